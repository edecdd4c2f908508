/* tuf-client: artifacts are exactly what is listed, kept under quoted names, fetched once. */
#include "tuf_scene.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/encode.h"
#include "base/file.h"

#define CONTENT "content of the artifact"

/* "DIR" HASH "." FILE of a content. */
static const char *
hashed(const char *folder, const char *content, const char *file, char out[static 256])
{
	struct upt_digest digest;
	char hex[65];

	assert_int_equal(
		upt_hash_span(UPT_HASH_SHA256, upt_span_str(content), &digest, NULL), UPT_OK);
	upt_hex_encode(upt_span(digest.bytes, digest.len), hex);
	assert_true(snprintf(out, 256, "/t/%s%s.%s", folder, hex, file) < 256);
	return out;
}

static void
artifact_is_fetched_once(void **state)
{
	struct scene *s = *state;
	char path[256], want[512];

	scene_artifact(s, "targets", "file.txt", CONTENT);
	scene_publish_next(s);
	scene_downloads(s, "file.txt");
	snprintf(want, sizeof(want), "2.root timestamp 2.snapshot 2.targets %s",
		hashed("", CONTENT, "file.txt", path));
	scene_asked(s, want);
	scene_has_artifact(s, "file.txt", CONTENT);
	scene_downloads(s, "file.txt");
	scene_asked(s, "2.root timestamp");
	scene_has_artifact(s, "file.txt", CONTENT);
	assert_int_equal(scene_count_artifacts(s), 1);
}

static void
artifact_in_a_folder_is_kept_as_one_file(void **state)
{
	struct scene *s = *state;
	char path[256], want[512];

	scene_artifact(s, "targets", "path/to/a file", CONTENT);
	hashed("path/to/", CONTENT, "a file", path);
	scene_serve(s, hashed("path/to/", CONTENT, "a%20file", path), upt_span_str(CONTENT));
	scene_publish_next(s);
	scene_downloads(s, "path/to/a file");
	snprintf(want, sizeof(want), "2.root timestamp 2.snapshot 2.targets %s", path);
	scene_asked(s, want);
	scene_has_artifact(s, "path%2Fto%2Fa%20file", CONTENT);
	assert_int_equal(scene_count_artifacts(s), 1);
}

static void
plain_name_is_asked_for_without_consistent_snapshots(void **state)
{
	struct scene *s = *state;

	s->root.not_consistent = true;
	scene_role(s, "root")->version = 2;
	scene_publish_root(s);
	scene_artifact(s, "targets", "dir/file.txt", CONTENT);
	scene_publish_next(s);
	scene_downloads(s, "dir/file.txt");
	scene_asked(s, "2.root 3.root timestamp snapshot targets /t/dir/file.txt");
	scene_has_artifact(s, "dir%2Ffile.txt", CONTENT);
}

static void
several_artifacts_come_with_one_refresh(void **state)
{
	struct scene *s = *state;
	char a[256], b[256], want[768];

	scene_artifact(s, "targets", "a", "content a");
	scene_artifact(s, "targets", "b", "content b");
	scene_publish_next(s);
	assert_int_equal(scene_download(s, (const char *const[]){"a", "b", NULL}), 0);
	snprintf(want, sizeof(want), "2.root timestamp 2.snapshot 2.targets %s %s",
		hashed("", "content a", "a", a), hashed("", "content b", "b", b));
	scene_asked(s, want);
	scene_has_artifact(s, "a", "content a");
	scene_has_artifact(s, "b", "content b");
}

static void
one_failure_among_several_fails_the_run_but_not_the_others(void **state)
{
	struct scene *s = *state;

	scene_artifact(s, "targets", "a", "content a");
	scene_artifact(s, "targets", "b", "content b");
	scene_publish_next(s);
	assert_int_equal(
		scene_download(s, (const char *const[]){"a", "absent", "b", "gone", NULL}), 1);
	assert_non_null(strstr((const char *)s->result.err.data, "absent"));
	assert_non_null(strstr((const char *)s->result.err.data, "gone"));
	scene_has_artifact(s, "a", "content a");
	scene_has_artifact(s, "b", "content b");
	assert_int_equal(scene_count_artifacts(s), 2);
}

static void
changed_artifact_replaces_the_kept_one(void **state)
{
	struct scene *s = *state;

	scene_artifact(s, "targets", "file.txt", CONTENT);
	scene_publish_next(s);
	scene_downloads(s, "file.txt");
	scene_artifact(s, "targets", "file.txt", "other content");
	scene_publish_next(s);
	scene_downloads(s, "file.txt");
	scene_has_artifact(s, "file.txt", "other content");
	assert_int_equal(scene_count_artifacts(s), 1);
}

static void
damaged_kept_artifact_is_fetched_again(void **state)
{
	struct scene *s = *state;
	char path[128];

	scene_artifact(s, "targets", "file.txt", CONTENT);
	scene_publish_next(s);
	scene_downloads(s, "file.txt");
	assert_int_equal(upt_file_replace(AT_FDCWD, scene_path(s, "artifacts/file.txt", path), 0644,
				 upt_span_str("Content of the artifact"), NULL),
		UPT_OK);
	scene_downloads(s, "file.txt");
	scene_has_artifact(s, "file.txt", CONTENT);
}

/* Nobody who can write a link there shall choose what is overwritten, nor change the artifact
 * later. */
static void
link_in_the_place_of_an_artifact_is_replaced_not_followed(void **state)
{
	struct scene *s = *state;
	static const char *const targets[] = {"first.json", "artifacts/same"};
	char link[128], target[128];
	struct stat st;

	scene_artifact(s, "targets", "same", CONTENT);
	scene_artifact(s, "targets", "file.txt", CONTENT);
	scene_publish_next(s);
	scene_downloads(s, "same");
	scene_path(s, "artifacts/file.txt", link);
	for (size_t i = 0; i < 2; i++) {
		upt_cleanup(upt_buf_clear) struct upt_buf before = {0}, after = {0};

		scene_path(s, targets[i], target);
		assert_int_equal(upt_file_read(AT_FDCWD, target, 65536, &before, NULL), UPT_OK);
		(void)unlink(link);
		assert_int_equal(symlink(target, link), 0);
		scene_downloads(s, "file.txt");
		scene_has_artifact(s, "file.txt", CONTENT);
		assert_int_equal(lstat(link, &st), 0);
		assert_true(S_ISREG(st.st_mode));
		assert_int_equal(upt_file_read(AT_FDCWD, target, 65536, &after, NULL), UPT_OK);
		assert_true(upt_span_equal(upt_buf_span(&before), upt_buf_span(&after)));
	}
}

static void
other_bytes_than_listed_are_not_kept(void **state)
{
	struct scene *s = *state;
	char path[256];

	scene_artifact(s, "targets", "kept", CONTENT);
	scene_artifact(s, "targets", "new", CONTENT);
	scene_publish_next(s);
	scene_downloads(s, "kept");
	scene_serve(s, hashed("", CONTENT, "kept", path), upt_span_str("Content of the artifact"));
	scene_serve(s, hashed("", CONTENT, "new", path), upt_span_str("Content of the artifact"));
	scene_downloads(s, "kept");
	scene_has_artifact(s, "kept", CONTENT);
	scene_refuses_download(s, "new", UPT_E_IMAGE_HASH);
	scene_has_artifact(s, "new", NULL);
	assert_int_equal(scene_count_artifacts(s), 1);
}

static void
artifact_of_another_length_is_not_kept(void **state)
{
	struct scene *s = *state;
	char path[256];

	scene_artifact(s, "targets", "file.txt", CONTENT);
	scene_publish_next(s);
	scene_serve(s, hashed("", CONTENT, "file.txt", path), upt_span_str(CONTENT "!"));
	scene_refuses_download(s, "file.txt", UPT_E_TOO_LARGE);
	scene_serve(s, path, upt_span_str("content"));
	scene_refuses_download(s, "file.txt", UPT_E_NETWORK);
	scene_withdraw(s, path);
	scene_refuses_download(s, "file.txt", UPT_E_ABSENT);
	assert_int_equal(scene_count_artifacts(s), 0);
}

static void
empty_artifact_is_one(void **state)
{
	struct scene *s = *state;

	scene_artifact(s, "targets", "empty", "");
	scene_publish_next(s);
	scene_downloads(s, "empty");
	scene_has_artifact(s, "empty", "");
}

/* ---- hashes ---- */

/* Lists the artifact with these hashes of content (or of other bytes). */
static void
list_hashes(struct scene *s, const char *name, const char *algorithm, enum upt_hash_alg real,
	const char *bytes)
{
	struct upt_digest digest;
	char path[64], hex[129];

	assert_int_equal(upt_hash_span(real, upt_span_str(bytes), &digest, NULL), UPT_OK);
	upt_hex_encode(upt_span(digest.bytes, digest.len), hex);
	snprintf(path, sizeof(path), "targets/%s/hashes/%s", name, algorithm);
	set_member(scene_role(s, "targets")->payload, path, cJSON_CreateString(hex));
}

static void
sha512_alone_names_and_checks_the_artifact(void **state)
{
	struct scene *s = *state;
	struct upt_digest digest;
	char hex[129], path[256];

	scene_artifact(s, "targets", "file", CONTENT);
	drop_member(scene_role(s, "targets")->payload, "targets/file/hashes/sha256");
	list_hashes(s, "file", "sha512", UPT_HASH_SHA512, CONTENT);
	assert_int_equal(
		upt_hash_span(UPT_HASH_SHA512, upt_span_str(CONTENT), &digest, NULL), UPT_OK);
	upt_hex_encode(upt_span(digest.bytes, digest.len), hex);
	snprintf(path, sizeof(path), "/t/%s.file", hex);
	scene_serve(s, path, upt_span_str("Content of the artifact"));
	scene_publish_next(s);
	scene_refuses_download(s, "file", UPT_E_IMAGE_HASH);
	scene_serve(s, path, upt_span_str(CONTENT));
	scene_downloads(s, "file");
	scene_has_artifact(s, "file", CONTENT);
}

static void
every_listed_hash_is_checked(void **state)
{
	struct scene *s = *state;

	scene_artifact(s, "targets", "file", CONTENT);
	list_hashes(s, "file", "sha512", UPT_HASH_SHA512, "other bytes");
	scene_publish_next(s);
	scene_refuses_download(s, "file", UPT_E_IMAGE_HASH);
	list_hashes(s, "file", "sha512", UPT_HASH_SHA512, CONTENT);
	scene_publish_next(s);
	scene_downloads(s, "file");
}

static void
unknown_hash_algorithm_is_a_check_that_cannot_be_made(void **state)
{
	struct scene *s = *state;

	scene_artifact(s, "targets", "file", CONTENT);
	drop_member(scene_role(s, "targets")->payload, "targets/file/hashes/sha256");
	list_hashes(s, "file", "unknown-hash", UPT_HASH_SHA512, CONTENT);
	scene_publish_next(s);
	scene_refreshes(s);
	scene_refuses_download(s, "file", UPT_E_UNSUPPORTED);
	assert_int_equal(scene_count_artifacts(s), 0);
}

/* ---- names ---- */

static void
names_cannot_leave_the_directory(void **state)
{
	struct scene *s = *state;

	scene_artifact(s, "targets", "../metadata/root.json", "x");
	scene_artifact(s, "targets", "..", CONTENT);
	scene_publish_next(s);
	scene_refuses_download(s, "../metadata/root.json", UPT_E_MALFORMED);
	scene_downloads(s, "..");
	scene_has_artifact(s, "%2E%2E", CONTENT);
	scene_keeps(s, "root", &scene_role(s, "root")->bytes);
	assert_int_equal(scene_count_artifacts(s), 1);
}

static void
failed_refresh_downloads_nothing(void **state)
{
	struct scene *s = *state;

	scene_artifact(s, "targets", "file", CONTENT);
	scene_publish_next(s);
	scene_refreshes(s);
	scene_asked(s, "2.root timestamp 2.snapshot 2.targets");
	scene_role(s, "timestamp")->expired = true;
	scene_publish_next(s);
	scene_refuses_download(s, "file", UPT_E_EXPIRED);
	scene_asked(s, "2.root timestamp");
	assert_int_equal(scene_count_artifacts(s), 0);
}

int
main(int argc, char **argv)
{
#define T(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)
	const struct CMUnitTest tests[] = {
		T(artifact_is_fetched_once),
		T(artifact_in_a_folder_is_kept_as_one_file),
		T(plain_name_is_asked_for_without_consistent_snapshots),
		T(several_artifacts_come_with_one_refresh),
		T(one_failure_among_several_fails_the_run_but_not_the_others),
		T(changed_artifact_replaces_the_kept_one),
		T(damaged_kept_artifact_is_fetched_again),
		T(link_in_the_place_of_an_artifact_is_replaced_not_followed),
		T(other_bytes_than_listed_are_not_kept),
		T(artifact_of_another_length_is_not_kept),
		T(empty_artifact_is_one),
		T(sha512_alone_names_and_checks_the_artifact),
		T(every_listed_hash_is_checked),
		T(unknown_hash_algorithm_is_a_check_that_cannot_be_made),
		T(names_cannot_leave_the_directory),
		T(failed_refresh_downloads_nothing),
	};
	if (argc != 2)
		return 2;
	scene_program(argv[1]);
	return cmocka_run_group_tests_name("tuf-client artifacts", tests, NULL, NULL);
}
