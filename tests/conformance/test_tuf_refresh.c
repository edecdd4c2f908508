/* tuf-client: init, the order of a refresh, and what each step of the workflow refuses. */
#include "tuf_scene.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define ALL_1 "root 1 snapshot 1 targets 1 timestamp 1"

/* ---- init ---- */

static void
init_copies_the_root_and_sends_nothing(void **state)
{
	struct scene *s = *state;

	scene_asked(s, "");
	scene_keeps(s, "root", &scene_role(s, "root")->bytes);
	scene_trusts(s, "root 1");
	assert_int_equal(scene_init(s, "/nonexistent"), 1);
	scene_keeps(s, "root", &scene_role(s, "root")->bytes);
	scene_asked(s, "");
}

static void
init_again_keeps_what_was_learnt(void **state)
{
	struct scene *s = *state;
	char path[128];

	scene_refreshes(s);
	assert_int_equal(scene_init(s, scene_path(s, "first.json", path)), 0);
	scene_trusts(s, ALL_1);
	scene_refreshes(s);
}

static void
first_root_that_does_not_verify_is_never_used(void **state)
{
	struct scene *s = *state;
	struct scene_role *root = scene_role(s, "root");

	root->keys = K(THIEF);
	scene_publish_root(s);
	scene_plant(s, "root.json", upt_buf_span(&root->bytes));
	scene_refuses(s, UPT_E_THRESHOLD);
	root->keys = K(ROOT);
	scene_change(s, "root", "_type", cJSON_CreateString("targets"));
	scene_publish_root(s);
	scene_plant(s, "root.json", upt_buf_span(&root->bytes));
	scene_refuses(s, UPT_E_WRONG_ROLE);
	scene_plant(s, "root.json", upt_span_str("{}"));
	scene_refuses(s, UPT_E_MALFORMED);
	scene_asked(s, "");
	scene_undo_changes(s);
	scene_publish_root(s);
	scene_plant(s, "root.json", upt_buf_span(&root->bytes));
	scene_refreshes(s);
}

static void
refresh_before_init_fails_without_a_request(void **state)
{
	struct scene *s = *state;
	char path[128];

	assert_int_equal(remove(scene_path(s, "metadata/root.json", path)), 0);
	scene_refuses(s, UPT_E_NOT_FOUND);
	scene_asked(s, "");
}

static void
wrong_command_lines_fail_without_a_request(void **state)
{
	static const char *const unknown[] = {"--unknown", NULL},
				 *const count[] = {"--max-root-rotations", "many", NULL},
				 *const nameless[] = {"--target-name", "", NULL};
	struct scene *s = *state;

	s->options = unknown;
	assert_int_equal(scene_refresh(s), 1);
	s->options = count;
	assert_int_equal(scene_refresh(s), 1);
	s->options = nameless;
	assert_int_equal(scene_download(s, NULL), 1);
	s->options = NULL;
	assert_int_equal(scene_download(s, NULL), 1);
	assert_non_null(strstr((const char *)s->result.err.data, "--target-name"));
	scene_asked(s, "");
}

/* ---- order and storage ---- */

static void
refresh_asks_in_order_and_keeps_the_bytes_as_served(void **state)
{
	struct scene *s = *state;
	struct scene_role *timestamp = scene_role(s, "timestamp");

	/* White space that no second writer would make. */
	assert_int_equal(upt_buf_append(&timestamp->bytes, " \n", 2, NULL), UPT_OK);
	scene_serve(s, "/m/timestamp.json", upt_buf_span(&timestamp->bytes));
	scene_refreshes(s);
	scene_asked(s, "2.root timestamp 1.snapshot 1.targets");
	scene_trusts(s, ALL_1);
	for (size_t i = 0; i < 4; i++)
		scene_keeps(s, s->roles[i].name, &s->roles[i].bytes);
}

static void
refresh_with_nothing_new_asks_for_root_and_timestamp_only(void **state)
{
	struct scene *s = *state;

	for (int unhashed = 0; unhashed < 2; unhashed++) {
		s->unhashed = unhashed;
		scene_publish_next(s);
		scene_refreshes(s);
		scene_asked(s, unhashed ? "2.root timestamp 3.snapshot 3.targets"
					: "2.root timestamp 2.snapshot 2.targets");
		scene_refreshes(s);
		scene_asked(s, "2.root timestamp");
		/* A new timestamp alone needs no more. */
		scene_role(s, "timestamp")->version++;
		scene_publish(s);
		scene_refreshes(s);
		scene_asked(s, "2.root timestamp");
	}
}

static void
refresh_asks_for_plain_names_without_consistent_snapshots(void **state)
{
	struct scene *s = *state;

	s->root.not_consistent = true;
	scene_role(s, "root")->version = 2;
	scene_publish_root(s);
	scene_publish_next(s);
	scene_refreshes(s);
	scene_asked(s, "2.root 3.root timestamp snapshot targets");
	scene_trusts(s, "root 2 snapshot 2 targets 2 timestamp 2");
}

static void
lost_and_broken_copies_are_fetched_again(void **state)
{
	struct scene *s = *state;
	char path[128];

	scene_refreshes(s);
	scene_asked(s, "2.root timestamp 1.snapshot 1.targets");
	assert_int_equal(remove(scene_path(s, "metadata/snapshot.json", path)), 0);
	scene_plant(s, "targets.json", upt_span_str("{"));
	scene_refreshes(s);
	scene_asked(s, "2.root timestamp 1.snapshot 1.targets");
	scene_trusts(s, ALL_1);
}

static void
equal_timestamp_with_other_content_is_not_taken(void **state)
{
	struct scene *s = *state;
	upt_cleanup(upt_buf_clear) struct upt_buf first = {0};

	s->unhashed = true;
	scene_publish_next(s);
	scene_refreshes(s);
	assert_int_equal(upt_buf_append(&first, scene_role(s, "timestamp")->bytes.data,
				 scene_role(s, "timestamp")->bytes.len, NULL),
		UPT_OK);
	scene_asked(s, "2.root timestamp 2.snapshot 2.targets");
	scene_change(s, "timestamp", "meta/snapshot.json/version", cJSON_CreateNumber(100));
	scene_publish(s);
	scene_refreshes(s);
	scene_asked(s, "2.root timestamp");
	scene_keeps(s, "timestamp", &first);
}

/* ---- roots ---- */

static void
roots_are_followed_one_by_one(void **state)
{
	struct scene *s = *state;
	struct scene_role *root = scene_role(s, "root");

	for (root->version = 2; root->version <= 4; root->version++)
		scene_publish_root(s);
	scene_refreshes(s);
	scene_asked(s, "2.root 3.root 4.root 5.root timestamp 1.snapshot 1.targets");
	scene_trusts(s, "root 4 snapshot 1 targets 1 timestamp 1");
}

static void
root_steps_of_one_run_are_limited_and_it_goes_on(void **state)
{
	static const char *const two[] = {"--max-root-rotations", "2", NULL};
	struct scene *s = *state;
	struct scene_role *root = scene_role(s, "root");

	for (root->version = 2; root->version <= 4; root->version++)
		scene_publish_root(s);
	s->options = two;
	scene_refreshes(s);
	scene_asked(s, "2.root 3.root timestamp 1.snapshot 1.targets");
	scene_trusts(s, "root 3 snapshot 1 targets 1 timestamp 1");
	scene_refreshes(s);
	scene_asked(s, "4.root 5.root timestamp");
	scene_trusts(s, "root 4 snapshot 1 targets 1 timestamp 1");
}

static void
root_of_another_version_than_its_name_is_refused(void **state)
{
	struct scene *s = *state;

	scene_role(s, "root")->version = 3;
	scene_publish_root(s);
	scene_serve(s, "/m/2.root.json", upt_buf_span(&scene_role(s, "root")->bytes));
	scene_refuses(s, UPT_E_VERSION_GAP);
	scene_role(s, "root")->version = 1;
	scene_publish_root(s);
	scene_serve(s, "/m/2.root.json", upt_buf_span(&scene_role(s, "root")->bytes));
	scene_refuses(s, UPT_E_ROLLBACK);
	scene_trusts(s, "root 1");
}

static void
expired_root_is_stored_and_ends_the_refresh(void **state)
{
	struct scene *s = *state;
	struct scene_role *root = scene_role(s, "root");

	root->version = 2;
	root->expired = true;
	scene_publish_root(s);
	scene_refuses(s, UPT_E_EXPIRED);
	scene_asked(s, "2.root 3.root");
	scene_trusts(s, "root 2");
	root->version = 3;
	root->expired = false;
	scene_publish_root(s);
	scene_refreshes(s);
}

/* Object storage says 403 of what it does not have; a server in trouble says nothing about roots.
 */
static void
forbidden_root_is_no_newer_one_but_a_server_error_is_no_answer(void **state)
{
	struct scene *s = *state;

	scene_answer(s, "/m/2.root.json", 403);
	scene_refreshes(s);
	scene_trusts(s, ALL_1);
	scene_answer(s, "/m/2.root.json", 500);
	scene_refuses(s, UPT_E_SERVER);
	scene_answer(s, "/m/2.root.json", 204);
	scene_refuses(s, UPT_E_SERVER);
	scene_answer(s, "/m/2.root.json", 401);
	scene_refuses(s, UPT_E_SERVER);
}

/* ---- expiry ---- */

static void
expired_metadata_is_refused_and_not_stored(void **state)
{
	static const struct {
		const char *role, *trusted;
	} rows[] = {{"timestamp", ALL_1}, {"snapshot", "root 1 snapshot 1 targets 1 timestamp 2"},
		{"targets", "root 1 snapshot 2 targets 1 timestamp 2"}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct scene *s = *state;

		scene_refreshes(s);
		scene_role(s, rows[i].role)->expired = true;
		scene_publish_next(s);
		scene_refuses(s, UPT_E_EXPIRED);
		scene_trusts(s, rows[i].trusted);
		scene_role(s, rows[i].role)->expired = false;
		scene_publish_next(s);
		scene_refreshes(s);
		assert_int_equal(scene_teardown(state), 0);
		assert_int_equal(scene_setup(state), 0);
	}
}

/* What expired on the client's disk is no longer used, but what comes next is measured by it. */
static void
expired_stored_metadata_is_the_previous_of_what_comes(void **state)
{
	struct scene *s = *state;

	for (size_t i = 1; i < 4; i++)
		s->roles[i].expired = true;
	scene_publish_next(s);
	for (size_t i = 1; i < 4; i++) {
		char file[64];

		snprintf(file, sizeof(file), "%s.json", s->roles[i].name);
		scene_plant(s, file, upt_buf_span(&s->roles[i].bytes));
	}
	scene_refuses(s, UPT_E_EXPIRED);
	for (size_t i = 1; i < 4; i++)
		s->roles[i].expired = false;
	scene_role(s, "timestamp")->version = 1;
	scene_publish(s);
	scene_refuses(s, UPT_E_ROLLBACK);
	scene_trusts(s, "root 1 snapshot 2 targets 2 timestamp 2");
	scene_role(s, "timestamp")->version = 2;
	scene_publish_next(s);
	scene_refreshes(s);
	scene_trusts(s, "root 1 snapshot 3 targets 3 timestamp 3");
}

/* ---- rollback ---- */

static void
older_timestamp_is_refused(void **state)
{
	struct scene *s = *state;

	scene_publish_next(s);
	scene_refreshes(s);
	scene_asked(s, "2.root timestamp 2.snapshot 2.targets");
	scene_role(s, "timestamp")->version = 1;
	scene_publish(s);
	scene_refuses(s, UPT_E_ROLLBACK);
	scene_asked(s, "2.root timestamp");
	scene_trusts(s, "root 1 snapshot 2 targets 2 timestamp 2");
}

static void
older_snapshot_in_a_newer_timestamp_is_refused(void **state)
{
	struct scene *s = *state;

	for (int unhashed = 0; unhashed < 2; unhashed++) {
		s->unhashed = unhashed;
		scene_publish_next(s);
		scene_refreshes(s);
		scene_role(s, "snapshot")->version--;
		scene_role(s, "timestamp")->version++;
		scene_publish(s);
		scene_refuses(s, UPT_E_ROLLBACK);
		scene_role(s, "snapshot")->version++;
	}
	/* The second round's client had seen the first one's timestamp refused as well. */
	scene_trusts(s, "root 1 snapshot 3 targets 3 timestamp 4");
}

static void
older_targets_in_a_newer_snapshot_are_refused(void **state)
{
	struct scene *s = *state;

	scene_publish_next(s);
	scene_refreshes(s);
	scene_role(s, "targets")->version = 0;
	scene_publish_next(s);
	scene_refuses(s, UPT_E_ROLLBACK);
	scene_trusts(s, "root 1 snapshot 2 targets 2 timestamp 3");
}

static void
snapshot_that_no_longer_lists_a_file_is_refused(void **state)
{
	struct scene *s = *state;

	scene_delegate(s, "targets", "role", "*", false);
	scene_publish_next(s);
	scene_refreshes(s);
	scene_change(s, "snapshot", "meta/role.json", NULL);
	scene_publish_next(s);
	scene_refuses(s, UPT_E_FILE_DROPPED);
	scene_undo_changes(s);
	scene_publish_next(s);
	scene_refreshes(s);
}

/* ---- mix and match ---- */

static void
files_of_other_versions_than_listed_are_refused(void **state)
{
	struct scene *s = *state;

	scene_change(s, "snapshot", "version", cJSON_CreateNumber(7));
	scene_publish(s);
	scene_refuses(s, UPT_E_VERSION_MISMATCH);
	scene_asked(s, "2.root timestamp 1.snapshot");
	scene_trusts(s, "root 1 timestamp 1");
	scene_undo_changes(s);
	scene_change(s, "targets", "version", cJSON_CreateNumber(7));
	scene_publish_next(s);
	scene_refuses(s, UPT_E_VERSION_MISMATCH);
	scene_asked(s, "2.root timestamp 2.snapshot 2.targets");
	scene_trusts(s, "root 1 snapshot 2 timestamp 2");
}

static void
files_with_another_hash_than_listed_are_refused(void **state)
{
	static const char other[] =
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
	struct scene *s = *state;

	scene_change(s, "timestamp", "meta/snapshot.json/hashes/sha256", cJSON_CreateString(other));
	scene_publish(s);
	scene_refuses(s, UPT_E_HASH_MISMATCH);
	scene_trusts(s, "root 1 timestamp 1");
	scene_undo_changes(s);
	scene_change(s, "snapshot", "meta/targets.json/hashes/sha256", cJSON_CreateString(other));
	scene_publish_next(s);
	scene_refuses(s, UPT_E_HASH_MISMATCH);
	scene_trusts(s, "root 1 snapshot 2 timestamp 2");
	scene_undo_changes(s);
	scene_publish_next(s);
	scene_refreshes(s);
}

static void
files_of_another_length_than_listed_are_refused(void **state)
{
	struct scene *s = *state;
	size_t len = scene_role(s, "snapshot")->bytes.len;

	scene_change(
		s, "timestamp", "meta/snapshot.json/length", cJSON_CreateNumber((double)len - 1));
	scene_publish(s);
	scene_refuses(s, UPT_E_TOO_LARGE);
	scene_undo_changes(s);
	scene_change(
		s, "timestamp", "meta/snapshot.json/length", cJSON_CreateNumber((double)len + 1));
	scene_publish_next(s);
	scene_refuses(s, UPT_E_HASH_MISMATCH);
	scene_trusts(s, "root 1 timestamp 2");
}

static void
sha512_is_checked_beside_sha256(void **state)
{
	struct scene *s = *state;
	char hex[129];

	memset(hex, 'a', 128);
	hex[128] = '\0';
	scene_change(s, "timestamp", "meta/snapshot.json/hashes/sha512", cJSON_CreateString(hex));
	scene_publish(s);
	scene_refuses(s, UPT_E_HASH_MISMATCH);
	scene_trusts(s, "root 1 timestamp 1");
}

static void
document_of_another_role_is_refused(void **state)
{
	struct scene *s = *state;

	scene_change(s, "timestamp", "_type", cJSON_CreateString("snapshot"));
	scene_publish(s);
	scene_refuses(s, UPT_E_WRONG_ROLE);
	scene_trusts(s, "root 1");
}

/* ---- missing files ---- */

static void
missing_files_end_the_refresh_and_keep_what_was_learnt(void **state)
{
	struct scene *s = *state;

	scene_refreshes(s);
	scene_asked(s, "2.root timestamp 1.snapshot 1.targets");
	scene_publish_next(s);
	scene_withdraw(s, "/m/2.targets.json");
	scene_refuses(s, UPT_E_MISSING);
	scene_asked(s, "2.root timestamp 2.snapshot 2.targets");
	scene_trusts(s, "root 1 snapshot 2 targets 1 timestamp 2");
	scene_publish_next(s);
	scene_withdraw(s, "/m/3.snapshot.json");
	scene_refuses(s, UPT_E_MISSING);
	scene_asked(s, "2.root timestamp 3.snapshot");
	scene_trusts(s, "root 1 snapshot 2 targets 1 timestamp 3");
	scene_withdraw(s, "/m/timestamp.json");
	scene_refuses(s, UPT_E_MISSING);
	scene_asked(s, "2.root timestamp");
	scene_trusts(s, "root 1 snapshot 2 targets 1 timestamp 3");
	scene_publish_next(s);
	scene_refreshes(s);
	scene_trusts(s, "root 1 snapshot 4 targets 4 timestamp 4");
}

/* ---- what is unknown ---- */

static void
unknown_fields_are_part_of_what_is_signed(void **state)
{
	struct scene *s = *state;
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	char *place;

	scene_change(s, "root", "custom-field", cJSON_CreateString("line\nbreak \xc3\xa9"));
	scene_change(s, "root", "roles/root/another-field", cJSON_CreateString("value"));
	scene_change(s, "targets", "x-custom", cJSON_CreateNumber(7));
	scene_role(s, "root")->version = 2;
	scene_publish_root(s);
	scene_publish_next(s);
	scene_refreshes(s);
	scene_trusts(s, "root 2 snapshot 2 targets 2 timestamp 2");
	/* Another value under the same signature. */
	scene_role(s, "root")->version = 3;
	scene_publish_root(s);
	assert_int_equal(upt_buf_append(&text, scene_role(s, "root")->bytes.data,
				 scene_role(s, "root")->bytes.len, NULL),
		UPT_OK);
	place = strstr((char *)text.data, "\"another-field\":\"value\"");
	assert_non_null(place);
	memcpy(place + strlen("\"another-field\":\""), "VALUE", 5);
	scene_serve(s, "/m/3.root.json", upt_buf_span(&text));
	scene_refuses(s, UPT_E_THRESHOLD);
}

int
main(int argc, char **argv)
{
#define T(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)
	const struct CMUnitTest tests[] = {
		T(init_copies_the_root_and_sends_nothing),
		T(init_again_keeps_what_was_learnt),
		T(first_root_that_does_not_verify_is_never_used),
		T(refresh_before_init_fails_without_a_request),
		T(wrong_command_lines_fail_without_a_request),
		T(refresh_asks_in_order_and_keeps_the_bytes_as_served),
		T(refresh_with_nothing_new_asks_for_root_and_timestamp_only),
		T(refresh_asks_for_plain_names_without_consistent_snapshots),
		T(lost_and_broken_copies_are_fetched_again),
		T(equal_timestamp_with_other_content_is_not_taken),
		T(roots_are_followed_one_by_one),
		T(root_steps_of_one_run_are_limited_and_it_goes_on),
		T(root_of_another_version_than_its_name_is_refused),
		T(expired_root_is_stored_and_ends_the_refresh),
		T(forbidden_root_is_no_newer_one_but_a_server_error_is_no_answer),
		T(expired_metadata_is_refused_and_not_stored),
		T(expired_stored_metadata_is_the_previous_of_what_comes),
		T(older_timestamp_is_refused),
		T(older_snapshot_in_a_newer_timestamp_is_refused),
		T(older_targets_in_a_newer_snapshot_are_refused),
		T(snapshot_that_no_longer_lists_a_file_is_refused),
		T(files_of_other_versions_than_listed_are_refused),
		T(files_with_another_hash_than_listed_are_refused),
		T(files_of_another_length_than_listed_are_refused),
		T(sha512_is_checked_beside_sha256),
		T(document_of_another_role_is_refused),
		T(missing_files_end_the_refresh_and_keep_what_was_learnt),
		T(unknown_fields_are_part_of_what_is_signed),
	};
	if (argc != 2)
		return 2;
	scene_program(argv[1]);
	return cmocka_run_group_tests_name("tuf-client refresh", tests, NULL, NULL);
}
