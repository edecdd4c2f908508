/* The Secondary's state folder. */
#include "world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "metadata/limits.h"
#include "secondary/state.h"

struct fixture {
	char dir[64];
	struct upt_state *state;
	struct upt_buf out;
};

static int
remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "/tmp/upt-state-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_ok(upt_state_open(f->dir, &f->state, why));
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	upt_state_close(&f->state);
	upt_buf_clear(&f->out);
	nftw(f->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static void
reopen(struct fixture *f)
{
	upt_state_close(&f->state);
	assert_ok(upt_state_open(f->dir, &f->state, why));
}

static const char *
path_of(const struct fixture *f, const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	return path;
}

static bool
exists(const struct fixture *f, const char *name)
{
	struct stat st;

	return lstat(path_of(f, name), &st) == 0;
}

static void
write_file(const struct fixture *f, const char *name, const char *text)
{
	assert_ok(upt_file_replace(AT_FDCWD, path_of(f, name), 0600, upt_span_str(text), why));
}

/* "" when the document is not there. */
static const char *
load(struct fixture *f, enum upt_repo repo, const char *role)
{
	enum upt_code code = upt_state_load(f->state, repo, role, &f->out, NULL);

	if (code == UPT_E_NOT_FOUND)
		return "";
	assert_code(code, UPT_OK);
	return (const char *)f->out.data;
}

static void
save(struct fixture *f, enum upt_repo repo, const char *role, const char *text)
{
	assert_ok(upt_state_save(f->state, repo, role, upt_span_str(text), why));
}

static void
save_root(struct fixture *f, enum upt_repo repo, uint64_t version, const char *text, bool drop)
{
	assert_ok(upt_state_save_root(f->state, repo, version, upt_span_str(text), drop, why));
}

static void
second_agent_is_refused(void **state)
{
	struct fixture *f = *state;
	struct upt_state *second;

	assert_code(upt_state_open(f->dir, &second, NULL), UPT_E_BUSY);
	assert_null(second);
	reopen(f);
}

static void
folder_writable_for_others_is_refused(void **state)
{
	struct fixture *f = *state;

	upt_state_close(&f->state);
	assert_int_equal(chmod(f->dir, 0770), 0);
	assert_code(upt_state_open(f->dir, &f->state, NULL), UPT_E_CONFIG);
	assert_null(f->state);
	assert_int_equal(chmod(f->dir, 0700), 0);
	assert_ok(upt_state_open(f->dir, &f->state, why));
}

static void
nothing_is_stored_before_a_root(void **state)
{
	struct fixture *f = *state;

	assert_false(upt_state_has_root(f->state, UPT_REPO_DIRECTOR));
	assert_code(upt_state_load(f->state, UPT_REPO_DIRECTOR, "root", &f->out, NULL),
		UPT_E_NOT_FOUND);
	assert_code(upt_state_save(f->state, UPT_REPO_DIRECTOR, "targets", upt_span_str("x"), NULL),
		UPT_E_INTERNAL);
	save_root(f, UPT_REPO_DIRECTOR, 1, "r1", true);
	assert_true(upt_state_has_root(f->state, UPT_REPO_DIRECTOR));
	assert_false(upt_state_has_root(f->state, UPT_REPO_IMAGE));
	assert_string_equal(load(f, UPT_REPO_IMAGE, "root"), "");
}

static void
documents_survive_reopening(void **state)
{
	struct fixture *f = *state;

	save_root(f, UPT_REPO_DIRECTOR, 4, "r4", true);
	save_root(f, UPT_REPO_IMAGE, 1, "i1", true);
	save(f, UPT_REPO_DIRECTOR, "timestamp", "t");
	save(f, UPT_REPO_DIRECTOR, "snapshot", "s");
	save(f, UPT_REPO_DIRECTOR, "targets", "g");
	save(f, UPT_REPO_IMAGE, "role/../x", "d");
	reopen(f);
	assert_string_equal(load(f, UPT_REPO_DIRECTOR, "root"), "r4");
	assert_string_equal(load(f, UPT_REPO_DIRECTOR, "timestamp"), "t");
	assert_string_equal(load(f, UPT_REPO_DIRECTOR, "snapshot"), "s");
	assert_string_equal(load(f, UPT_REPO_DIRECTOR, "targets"), "g");
	assert_string_equal(load(f, UPT_REPO_IMAGE, "role/../x"), "d");
	assert_string_equal(load(f, UPT_REPO_IMAGE, "timestamp"), "");
	assert_ok(upt_state_forget(f->state, UPT_REPO_DIRECTOR, "snapshot", why));
	assert_ok(upt_state_forget(f->state, UPT_REPO_DIRECTOR, "snapshot", why));
	assert_string_equal(load(f, UPT_REPO_DIRECTOR, "snapshot"), "");
}

static void
rotation_drops_timestamp_and_snapshot_with_the_root(void **state)
{
	struct fixture *f = *state;

	save_root(f, UPT_REPO_DIRECTOR, 1, "r1", true);
	save(f, UPT_REPO_DIRECTOR, "timestamp", "t");
	save(f, UPT_REPO_DIRECTOR, "snapshot", "s");
	save(f, UPT_REPO_DIRECTOR, "targets", "g");
	save_root(f, UPT_REPO_DIRECTOR, 2, "r2", false);
	assert_string_equal(load(f, UPT_REPO_DIRECTOR, "timestamp"), "t");
	save_root(f, UPT_REPO_DIRECTOR, 3, "r3", true);
	assert_string_equal(load(f, UPT_REPO_DIRECTOR, "root"), "r3");
	assert_string_equal(load(f, UPT_REPO_DIRECTOR, "timestamp"), "");
	assert_string_equal(load(f, UPT_REPO_DIRECTOR, "snapshot"), "");
	assert_string_equal(load(f, UPT_REPO_DIRECTOR, "targets"), "g");
	assert_false(exists(f, "director/1.timestamp.json"));
	assert_true(exists(f, "director/1.root.json"));
	assert_true(exists(f, "director/2.root.json"));
}

/* The one moment that matters, by hand: the new root is there, `current` still is the old one. */
static void
cut_before_publication_keeps_everything_old(void **state)
{
	struct fixture *f = *state;

	save_root(f, UPT_REPO_DIRECTOR, 1, "r1", true);
	save(f, UPT_REPO_DIRECTOR, "timestamp", "t");
	upt_state_close(&f->state);
	write_file(f, "director/2.root.json", "r2");
	write_file(f, "director/current.new", "2 2\n");
	reopen(f);
	assert_string_equal(load(f, UPT_REPO_DIRECTOR, "root"), "r1");
	assert_string_equal(load(f, UPT_REPO_DIRECTOR, "timestamp"), "t");
	assert_false(exists(f, "director/2.root.json"));
	assert_false(exists(f, "director/current.new"));
}

/* And right after it: the old timestamp's file is still there, but of another epoch. */
static void
cut_after_publication_leaves_no_old_timestamp(void **state)
{
	struct fixture *f = *state;

	save_root(f, UPT_REPO_DIRECTOR, 1, "r1", true);
	save(f, UPT_REPO_DIRECTOR, "timestamp", "t");
	upt_state_close(&f->state);
	write_file(f, "director/2.root.json", "r2");
	write_file(f, "director/current", "2 2\n");
	assert_true(exists(f, "director/1.timestamp.json"));
	reopen(f);
	assert_string_equal(load(f, UPT_REPO_DIRECTOR, "root"), "r2");
	assert_string_equal(load(f, UPT_REPO_DIRECTOR, "timestamp"), "");
	assert_false(exists(f, "director/1.timestamp.json"));
}

static void
damaged_current_is_named(void **state)
{
	static const char *const bad[] = {
		"", "x", "1", "1 2\n", "0 0\n", "2 1", "2 1\nx", "2 1 3\n", "-1 -1\n", " 2 1\n",
		"+2 1\n", "2  1\n", "02 1\n", "9007199254740992 1\n", "99999999999999999999 1\n"};
	struct fixture *f = *state;

	save_root(f, UPT_REPO_DIRECTOR, 2, "r2", true);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct upt_err err = {0};
		enum upt_code code;

		upt_state_close(&f->state);
		write_file(f, "director/current", bad[i]);
		code = upt_state_open(f->dir, &f->state, &err);
		assert_code(code, UPT_E_IO);
		assert_non_null(strstr(err.message, "director/current"));
	}
	write_file(f, "director/current", "2 2\n");
	reopen(f);
}

static void
names_of_roles_stay_in_their_folder(void **state)
{
	struct fixture *f = *state;
	char longest[UPT_MAX_ROLE_NAME_BYTES + 1], other[UPT_MAX_ROLE_NAME_BYTES + 1];

	save_root(f, UPT_REPO_IMAGE, 1, "r", true);
	save(f, UPT_REPO_IMAGE, "../targets", "a");
	save(f, UPT_REPO_IMAGE, "5.timestamp", "b");
	save(f, UPT_REPO_IMAGE, ".", "c");
	save(f, UPT_REPO_IMAGE, "..", "d");
	memset(longest, '/', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	memcpy(other, longest, sizeof(other));
	other[sizeof(other) - 2] = 'x';
	save(f, UPT_REPO_IMAGE, longest, "e");
	save(f, UPT_REPO_IMAGE, other, "f");
	assert_string_equal(load(f, UPT_REPO_IMAGE, "../targets"), "a");
	assert_string_equal(load(f, UPT_REPO_IMAGE, "targets"), "");
	assert_string_equal(load(f, UPT_REPO_IMAGE, "timestamp"), "");
	assert_string_equal(load(f, UPT_REPO_IMAGE, "."), "c");
	assert_string_equal(load(f, UPT_REPO_IMAGE, longest), "e");
	assert_string_equal(load(f, UPT_REPO_IMAGE, other), "f");
	assert_true(exists(f, "image/delegated/%2E%2E%2Ftargets.json"));
}

static void
unused_delegated_roles_are_pruned(void **state)
{
	struct fixture *f = *state;

	save_root(f, UPT_REPO_IMAGE, 1, "r", true);
	save(f, UPT_REPO_IMAGE, "a", "1");
	save(f, UPT_REPO_IMAGE, "b", "2");
	upt_state_prune_delegated(f->state, UPT_REPO_IMAGE);
	assert_string_equal(load(f, UPT_REPO_IMAGE, "a"), "1");
	upt_state_prune_delegated(f->state, UPT_REPO_IMAGE);
	assert_string_equal(load(f, UPT_REPO_IMAGE, "b"), "");
	assert_string_equal(load(f, UPT_REPO_IMAGE, "a"), "1");
}

static void
counter_survives_any_end(void **state)
{
	struct fixture *f = *state;
	uint64_t last = 0, n;

	for (int i = 0; i < 200; i++) {
		assert_ok(upt_state_next_counter(f->state, &n, why));
		assert_true(n > last);
		last = n;
		if (i % 70 == 0)
			reopen(f);
	}
}

static void
attacks_and_floor_survive(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(upt_state_attacks(f->state), "");
	assert_ok(upt_state_set_attacks(f->state, "freeze:expired:image", why));
	assert_ok(upt_state_raise_floor(f->state, 1000, why));
	assert_ok(upt_state_raise_floor(f->state, 999, why));
	reopen(f);
	assert_string_equal(upt_state_attacks(f->state), "freeze:expired:image");
	assert_int_equal(upt_state_floor(f->state), 1000);
	assert_ok(upt_state_set_attacks(f->state, "", why));
	reopen(f);
	assert_string_equal(upt_state_attacks(f->state), "");
}

/* Whoever damaged the files must not keep the ECU from reporting for good. */
static void
damaged_values_are_named_or_can_be_reported(void **state)
{
	static const char *const files[] = {"counter", "floor"};
	struct fixture *f = *state;
	struct upt_err err = {0};

	for (size_t i = 0; i < 2; i++) {
		upt_state_close(&f->state);
		write_file(f, files[i], "9007199254740992\n");
		assert_code(upt_state_open(f->dir, &f->state, &err), UPT_E_IO);
		assert_null(f->state);
		assert_non_null(strstr(err.message, files[i]));
		write_file(f, files[i], "9007199254740900\n");
		reopen(f);
		write_file(f, files[i], "1\n");
	}
	write_file(f, "attacks", "freeze\x1b[2J,\xe4\n");
	reopen(f);
	assert_string_equal(upt_state_attacks(f->state), "freeze?[2J,?");
}

static void
images_are_recorded(void **state)
{
	struct fixture *f = *state;
	struct upt_image image = {.name = "a \"quoted\" \xc3\xa9 name",
		.length_bytes = 9007199254740991ull,
		.n_digests = 2,
		.has_release_counter = true,
		.release_counter = 41};
	struct upt_image out;

	assert_ok(upt_hash_span(UPT_HASH_SHA256, upt_span_str("x"), &image.digests[0], why));
	assert_ok(upt_hash_span(UPT_HASH_SHA512, upt_span_str("x"), &image.digests[1], why));
	assert_code(
		upt_state_get_image(f->state, UPT_STATE_INSTALLED, &out, NULL), UPT_E_NOT_FOUND);
	assert_ok(upt_state_set_image(f->state, UPT_STATE_INSTALLED, &image, why));
	reopen(f);
	assert_ok(upt_state_get_image(f->state, UPT_STATE_INSTALLED, &out, why));
	assert_true(upt_image_same(&image, &out));
	assert_int_equal(out.n_digests, 2);
	assert_true(out.has_release_counter && out.release_counter == 41);
	assert_code(
		upt_state_get_image(f->state, UPT_STATE_INSTALLING, &out, NULL), UPT_E_NOT_FOUND);
	assert_ok(upt_state_clear_image(f->state, UPT_STATE_INSTALLED, why));
	assert_code(
		upt_state_get_image(f->state, UPT_STATE_INSTALLED, &out, NULL), UPT_E_NOT_FOUND);
}

static void
damaged_record_is_refused(void **state)
{
	static const char *const bad[] = {"", "{", "{}", "[]", "{\"hashes\":{},\"name\":\"x\"}",
		"{\"hashes\":{\"sha256\":\"00\"},\"name\":\"x\",\"length\":1}", "{\"length\":-1}"};
	struct fixture *f = *state;
	struct upt_image out;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		write_file(f, "installed.json", bad[i]);
		out.n_digests = 7;
		assert_code(
			upt_state_get_image(f->state, UPT_STATE_INSTALLED, &out, NULL), UPT_E_IO);
		assert_int_equal(out.n_digests, 0);
	}
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(second_agent_is_refused),
		CASE(folder_writable_for_others_is_refused),
		CASE(nothing_is_stored_before_a_root),
		CASE(documents_survive_reopening),
		CASE(rotation_drops_timestamp_and_snapshot_with_the_root),
		CASE(cut_before_publication_keeps_everything_old),
		CASE(cut_after_publication_leaves_no_old_timestamp),
		CASE(damaged_current_is_named),
		CASE(names_of_roles_stay_in_their_folder),
		CASE(unused_delegated_roles_are_pruned),
		CASE(counter_survives_any_end),
		CASE(attacks_and_floor_survive),
		CASE(damaged_values_are_named_or_can_be_reported),
		CASE(images_are_recorded),
		CASE(damaged_record_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
