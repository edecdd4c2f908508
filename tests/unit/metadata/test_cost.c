/* What a key's holder can make a client compute grows with the bytes, not with their square or
 * cube. */
#include "world.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/encode.h"
#include "json/json.h"
#include "metadata/limits.h"

#define MAX_SECONDS 8 /* some tenths with sanitizers; minutes for what these replaced */

/* Wrapped functions have no argument to carry these. */
static unsigned n_parsed, n_verified, n_compared;

enum upt_code __real_upt_public_key_parse(struct upt_span keytype, struct upt_span text,
	struct upt_public_key **out, struct upt_err *err);
enum upt_code __wrap_upt_public_key_parse(struct upt_span keytype, struct upt_span text,
	struct upt_public_key **out, struct upt_err *err);
enum upt_code __real_upt_public_key_verify(const struct upt_public_key *key, struct upt_span method,
	struct upt_span message, struct upt_span signature, struct upt_err *err);
enum upt_code __wrap_upt_public_key_verify(const struct upt_public_key *key, struct upt_span method,
	struct upt_span message, struct upt_span signature, struct upt_err *err);

enum upt_code
__wrap_upt_public_key_parse(struct upt_span keytype, struct upt_span text,
	struct upt_public_key **out, struct upt_err *err)
{
	n_parsed++;
	return __real_upt_public_key_parse(keytype, text, out, err);
}

enum upt_code
__wrap_upt_public_key_verify(const struct upt_public_key *key, struct upt_span method,
	struct upt_span message, struct upt_span signature, struct upt_err *err)
{
	n_verified++;
	return __real_upt_public_key_verify(key, method, message, signature, err);
}

bool __real_upt_json_raw_is(struct upt_span raw, const char *s);
bool __wrap_upt_json_raw_is(struct upt_span raw, const char *s);
int __real_upt_file_name_compare(struct upt_span a, struct upt_span b);
int __wrap_upt_file_name_compare(struct upt_span a, struct upt_span b);

bool
__wrap_upt_json_raw_is(struct upt_span raw, const char *s)
{
	n_compared++;
	return __real_upt_json_raw_is(raw, s);
}

int
__wrap_upt_file_name_compare(struct upt_span a, struct upt_span b)
{
	n_compared++;
	return __real_upt_file_name_compare(a, b);
}

static double
seconds_since(clock_t begin)
{
	return (double)(clock() - begin) / CLOCKS_PER_SEC;
}

/* The payload's text with n files, in rising or falling order of their names. */
static void
snapshot_text(uint64_t version, size_t n, bool falling, struct upt_buf *out)
{
	assert_code(
		upt_buf_printf(out, NULL,
			"{\"_type\":\"snapshot\",\"expires\":\"2026-01-02T00:00:00Z\",\"meta\":{"),
		UPT_OK);
	for (size_t i = 0; i < n; i++)
		assert_code(upt_buf_printf(out, NULL, "\"%05zu.json\":{\"version\":%llu},",
				    falling ? n - i : i + 1, (unsigned long long)version),
			UPT_OK);
	assert_code(upt_buf_printf(out, NULL, "\"targets.json\":{\"version\":1}},\"version\":%llu}",
			    (unsigned long long)version),
		UPT_OK);
}

/* In falling order no place in one listing says anything about the other. */
static void
big_snapshot(struct world *w, uint64_t version, size_t n, bool falling, struct upt_buf *out)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0}, canonical = {0}, sig = {0};
	char id[65], hex[129];

	snapshot_text(version, n, falling, &text);
	assert_code(
		upt_json_canonical(upt_buf_span(&text), UPT_JSON_UTF8, &canonical, NULL), UPT_OK);
	assert_code(
		upt_private_key_sign(w->keys[SNAP], upt_buf_span(&canonical), &sig, NULL), UPT_OK);
	upt_private_key_id(w->keys[SNAP], id);
	upt_hex_encode(upt_buf_span(&sig), hex);
	out->len = 0;
	assert_code(upt_buf_printf(out, NULL,
			    "{\"signatures\":[{\"keyid\":\"%s\",\"sig\":\"%s\"}],"
			    "\"signed\":%s}",
			    id, hex, (char *)text.data),
		UPT_OK);
}

static void
largest_snapshots_are_compared_in_order(void **state)
{
	struct world *w = *state;
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	clock_t begin;

	for (uint64_t version = 1; version <= 3; version++) {
		big_snapshot(w, version, UPT_MAX_SNAPSHOT_FILES - 1, version % 2 == 0, &bytes);
		assert_true(bytes.len <= w->policy.limits.snapshot_max_bytes);
		accepts(w, TIMESTAMP, timestamp_of(version, version, upt_buf_span(&bytes)),
			K(TIME));
		begin = clock();
		accepts_bytes(w, SNAPSHOT, upt_buf_span(&bytes));
		assert_true(seconds_since(begin) < MAX_SECONDS);
	}
	/* one file more is one too many */
	big_snapshot(w, 4, UPT_MAX_SNAPSHOT_FILES, false, &bytes);
	accepts(w, TIMESTAMP, timestamp_of(4, 4, upt_buf_span(&bytes)), K(TIME));
	refuses_bytes(w, SNAPSHOT, upt_buf_span(&bytes), UPT_E_MALFORMED);
}

/* Many ids of one key, alike in their first hundred characters, and last the id of another one. */
static cJSON *
root_of_many_ids(struct world *w, uint64_t version, enum key many, enum key last)
{
	cJSON *root = plain_root(w, version), *keys = at(root, "keys");
	cJSON *ids, *more;

	set_member(root, "roles/timestamp/keyids", cJSON_CreateArray());
	set_member(root, "roles/snapshot/keyids", cJSON_CreateArray());
	ids = at(root, "roles/timestamp/keyids");
	more = at(root, "roles/snapshot/keyids");

	for (int i = cJSON_GetArraySize(keys); i < UPT_MAX_KEYS; i++) {
		char id[128];

		snprintf(id, sizeof(id), "%0100d%d", 0, i);
		cJSON_AddItemToObject(
			keys, id, upt_author_key(w->keys[i < UPT_MAX_KEYS - 1 ? many : last]));
		cJSON_AddItemToArray(ids, cJSON_CreateString(id));
		cJSON_AddItemToArray(more, cJSON_CreateString(id));
	}
	return root;
}

static void
largest_roots_are_compared_without_a_cube(void **state)
{
	struct world *w = *state;
	clock_t begin;

	w->policy.limits.root_max_bytes = 1024 * 1024;
	world_reset(w);
	accepts(w, PIN, root_of_many_ids(w, 1, TIME, TIME2), K(ROOT));
	begin = clock();
	accepts(w, NEXT_ROOT, root_of_many_ids(w, 2, TIME2, TIME), K(ROOT));
	assert_true(seconds_since(begin) < MAX_SECONDS);
}

static void
use_p256(struct world *w, enum key key)
{
	upt_private_key_free(&w->keys[key]);
	assert_code(
		upt_private_key_generate("ecdsa-sha2-nistp256", 0, &w->keys[key], NULL), UPT_OK);
}

/* PEM has line breaks, which the three canonical forms spell differently. */
static void
canonical_text_with_pem_keys_is_verified_once_a_signature(void **state)
{
	struct world *w = *state;

	use_p256(w, ROOT);
	use_p256(w, ROOT2);
	world_reset(w);
	n_verified = 0;
	accepts(w, PIN, plain_root(w, 1), K(ROOT));
	assert_int_equal(n_verified, 1);
	/* by the old keys and by its own: the signature of ROOT is asked about twice */
	n_verified = 0;
	accepts(w, NEXT_ROOT,
		plan_root(w, &(struct root_plan){2, K(ROOT) | K(ROOT2), K(TIME), K(SNAP), K(TARG),
				     2, false}),
		K(ROOT) | K(ROOT2));
	assert_int_equal(n_verified, 3);
}

static cJSON *
root_with_key_of(struct world *w, uint64_t version, enum key other)
{
	return plan_root(w, &(struct root_plan){version, K(ROOT) | K(other), K(TIME), K(SNAP),
				    K(TARG), 1, false});
}

static void
root_step_parses_only_the_keys_that_are_new(void **state)
{
	struct world *w = *state;
	char id[65], path[100];
	cJSON *root;

	world_reset(w);
	n_parsed = 0;
	accepts(w, PIN, root_with_key_of(w, 1, ROOT2), K(ROOT));
	assert_int_equal(n_parsed, 5);
	n_parsed = 0;
	accepts(w, NEXT_ROOT, root_with_key_of(w, 2, ROOT3), K(ROOT));
	assert_int_equal(n_parsed, 1);
	/* known keys outlive the root that brought them */
	n_parsed = 0;
	accepts(w, NEXT_ROOT, root_with_key_of(w, 3, ROOT3), K(ROOT3));
	assert_int_equal(n_parsed, 0);
	/* another key under a known id is another key: the old one's signature no longer counts */
	root = root_with_key_of(w, 4, ROOT3);
	upt_private_key_id(w->keys[ROOT3], id);
	snprintf(path, sizeof(path), "keys/%s", id);
	set_member(root, path, upt_author_key(w->keys[THIEF]));
	n_parsed = 0;
	refuses(w, NEXT_ROOT, root, K(ROOT3), UPT_E_THRESHOLD);
	assert_int_equal(n_parsed, 1);
	accepts(w, NEXT_ROOT, root_with_key_of(w, 4, ROOT3), K(ROOT3));
}

/* One search for each ECU of a vehicle, in a repository that lists the images of many. */
static void
target_is_found_by_halves_in_a_canonical_text(void **state)
{
	enum { N = 4096 };
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	upt_cleanup(upt_metadata_free) struct upt_metadata *m = NULL;
	char name[32];

	(void)state;
	assert_code(upt_buf_printf(&text, NULL,
			    "{\"signatures\":[],\"signed\":{\"_type\":\"targets\",\"expires\":"
			    "\"2030-01-01T00:00:00Z\",\"targets\":{"),
		UPT_OK);
	for (int i = 0; i < N; i++)
		assert_code(upt_buf_printf(&text, NULL,
				    "%s\"%05d\":{\"hashes\":{\"sha256\":\"%064d\"},\"length\":1}",
				    i > 0 ? "," : "", i, i),
			UPT_OK);
	assert_code(upt_buf_printf(&text, NULL, "},\"version\":1}}"), UPT_OK);
	assert_code(upt_metadata_parse(UPT_ROLE_TARGETS, "targets", &text, &m, NULL), UPT_OK);
	for (int i = 0; i <= N; i++) {
		snprintf(name, sizeof(name), "%05d", i);
		n_compared = 0;
		assert_int_equal(upt_targets_find(&m->targets, name), i < N ? i : -1);
		assert_true(n_compared > 0 && n_compared <= 13);
	}
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(largest_snapshots_are_compared_in_order),
		T(largest_roots_are_compared_without_a_cube),
		T(canonical_text_with_pem_keys_is_verified_once_a_signature),
		T(root_step_parses_only_the_keys_that_are_new),
		T(target_is_found_by_halves_in_a_canonical_text),
	};
	return cmocka_run_group_tests_name("cost", tests, NULL, NULL);
}
