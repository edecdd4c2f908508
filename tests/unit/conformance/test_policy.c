/* Where plain TUF differs from the Standard: each named policy, beside what happens without it. */
#include "../metadata/memory_feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "imagerepo/imagerepo.h"

struct scene {
	struct world w;
	struct memory_feed m;
	struct release r;
	struct upt_err err;
};

static int
setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	world_init(&s->w, UPT_REPO_IMAGE);
	s->w.policy.require_snapshot_hash = false;
	memory_feed_init(&s->m);
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	struct scene *s = *state;

	release_clear(&s->r);
	memory_feed_clear(&s->m);
	world_clear(&s->w);
	free(s);
	return 0;
}

/* A new set with the policy as it is now, under root v1. */
static void
start(struct scene *s)
{
	world_reset(&s->w);
	accepts(&s->w, PIN, plain_root(&s->w, 1), K(ROOT));
	assert_code(upt_trusted_set_finish_root(s->w.set, NOW, NULL), UPT_OK);
}

/* Without hash and length, as plain TUF allows it. */
static cJSON *
bare(cJSON *payload, const char *file)
{
	char path[64];

	snprintf(path, sizeof(path), "meta/%s.json/hashes", file);
	drop_member(payload, path);
	snprintf(path, sizeof(path), "meta/%s.json/length", file);
	drop_member(payload, path);
	return payload;
}

static cJSON *
timestamp_listing(uint64_t version, uint64_t snapshot_version)
{
	return bare(timestamp_of(version, snapshot_version, upt_span_str("x")), "snapshot");
}

static uint64_t
listed_snapshot(const struct scene *s)
{
	return upt_trusted_set_timestamp(s->w.set)->timestamp.snapshot.version;
}

static void
equal_timestamp_is_replaced_or_keeps_the_held_one(void **state)
{
	struct scene *s = *state;

	start(s);
	accepts(&s->w, TIMESTAMP, timestamp_listing(3, 1), K(TIME));
	accepts(&s->w, TIMESTAMP, timestamp_listing(3, 9), K(TIME));
	assert_int_equal(listed_snapshot(s), 9);
	s->w.policy.keep_equal_timestamp = true;
	start(s);
	accepts(&s->w, RESTORE_TIMESTAMP, timestamp_listing(3, 1), K(TIME));
	assert_null(upt_trusted_set_timestamp(s->w.set));
	accepts(&s->w, TIMESTAMP, timestamp_listing(3, 9), K(TIME));
	assert_int_equal(listed_snapshot(s), 1);
	accepts(&s->w, TIMESTAMP, timestamp_listing(4, 9), K(TIME));
	assert_int_equal(listed_snapshot(s), 9);
	refuses(&s->w, TIMESTAMP, timestamp_listing(3, 9), K(TIME), UPT_E_ROLLBACK);
}

static void
equal_timestamp_must_be_signed_and_the_kept_one_valid(void **state)
{
	struct scene *s = *state;
	cJSON *old = timestamp_listing(3, 1);

	s->w.policy.keep_equal_timestamp = true;
	start(s);
	accepts(&s->w, RESTORE_TIMESTAMP, timestamp_listing(3, 1), K(TIME));
	refuses(&s->w, TIMESTAMP, timestamp_listing(3, 1), K(THIEF), UPT_E_THRESHOLD);
	accepts(&s->w, TIMESTAMP, timestamp_listing(3, 1), K(TIME));
	start(s);
	set_member(old, "expires", cJSON_CreateString("2025-12-31T23:59:59Z"));
	accepts(&s->w, RESTORE_TIMESTAMP, old, K(TIME));
	refuses(&s->w, TIMESTAMP, timestamp_listing(3, 1), K(TIME), UPT_E_EXPIRED);
	accepts(&s->w, TIMESTAMP, timestamp_listing(4, 1), K(TIME));
}

/* What was below the kept timestamp must be confirmed again. */
static void
kept_timestamp_outdates_what_it_lists(void **state)
{
	struct scene *s = *state;

	s->w.policy.keep_equal_timestamp = true;
	start(s);
	release_make(&s->w, empty_targets(1), 1, &s->r);
	accepts_release(&s->w, &s->r);
	assert_non_null(upt_trusted_set_targets(s->w.set));
	accepts_bytes(&s->w, TIMESTAMP, upt_buf_span(&s->r.timestamp));
	assert_null(upt_trusted_set_snapshot(s->w.set));
	assert_null(upt_trusted_set_targets(s->w.set));
	assert_true(upt_trusted_set_confirm_snapshot(s->w.set, NOW));
	assert_true(upt_trusted_set_confirm_targets(s->w.set, NOW));
}

/* Stored snapshot v2 with targets v1, and a timestamp that lists a snapshot without a hash. */
static void
restore_unhashed(struct scene *s, uint64_t listed)
{
	start(s);
	accepts(&s->w, TIMESTAMP, timestamp_listing(1, listed), K(TIME));
	accepts(&s->w, RESTORE_SNAPSHOT, bare(snapshot_of(2, 1, upt_span_str("x")), "targets"),
		K(SNAP));
	accepts(&s->w, RESTORE_TARGETS, empty_targets(1), K(TARG));
}

static void
stored_copy_of_the_listed_version_needs_a_hash_or_not(void **state)
{
	struct scene *s = *state;

	restore_unhashed(s, 2);
	assert_false(upt_trusted_set_confirm_snapshot(s->w.set, NOW));
	s->w.policy.equal_version_is_current = true;
	restore_unhashed(s, 2);
	assert_false(upt_trusted_set_confirm_targets(s->w.set, NOW));
	assert_true(upt_trusted_set_confirm_snapshot(s->w.set, NOW));
	assert_true(upt_trusted_set_confirm_targets(s->w.set, NOW));
	assert_non_null(upt_trusted_set_targets(s->w.set));
	restore_unhashed(s, 3);
	assert_false(upt_trusted_set_confirm_snapshot(s->w.set, NOW));
	restore_unhashed(s, 2);
	assert_false(upt_trusted_set_confirm_snapshot(s->w.set, LATER));
}

/* A hash that is listed counts, whatever the policy. */
static void
stored_copy_with_another_hash_is_never_current(void **state)
{
	struct scene *s = *state;

	s->w.policy.equal_version_is_current = true;
	start(s);
	accepts(&s->w, TIMESTAMP, timestamp_of(1, 2, upt_span_str("other bytes")), K(TIME));
	accepts(&s->w, RESTORE_SNAPSHOT, snapshot_of(2, 1, upt_span_str("x")), K(SNAP));
	assert_false(upt_trusted_set_confirm_snapshot(s->w.set, NOW));
}

static void
targets_are_bound_by_their_stored_copy_or_by_the_listing_alone(void **state)
{
	struct scene *s = *state;

	release_make(&s->w, empty_targets(1), 5, &s->r);
	for (int plain = 0; plain < 2; plain++) {
		s->w.policy.targets_bound_by_snapshot = plain;
		start(s);
		accepts_bytes(&s->w, TIMESTAMP, upt_buf_span(&s->r.timestamp));
		accepts_bytes(&s->w, SNAPSHOT, upt_buf_span(&s->r.snapshot));
		accepts(&s->w, RESTORE_TARGETS, empty_targets(100), K(TARG));
		if (plain)
			accepts_bytes(&s->w, TARGETS, upt_buf_span(&s->r.targets));
		else
			refuses_bytes(&s->w, TARGETS, upt_buf_span(&s->r.targets), UPT_E_ROLLBACK);
	}
	/* The listing itself may not go back, nor may what it does not list be taken. */
	start(s);
	accepts(&s->w, RESTORE_SNAPSHOT, snapshot_of(4, 100, upt_span_str("x")), K(SNAP));
	accepts_bytes(&s->w, TIMESTAMP, upt_buf_span(&s->r.timestamp));
	refuses_bytes(&s->w, SNAPSHOT, upt_buf_span(&s->r.snapshot), UPT_E_ROLLBACK);
}

/* Without a snapshot nothing else would bind them. */
static void
targets_without_a_snapshot_are_bound_by_their_stored_copy(void **state)
{
	struct scene *s = *state;
	struct root_plan plan = {
		.version = 1, .root = K(ROOT), .targets = K(TARG), .root_threshold = 1};

	s->w.policy.allow_targets_only = true;
	s->w.policy.targets_bound_by_snapshot = true;
	world_reset(&s->w);
	accepts(&s->w, PIN, plan_root(&s->w, &plan), K(ROOT));
	assert_code(upt_trusted_set_finish_root(s->w.set, NOW, NULL), UPT_OK);
	accepts(&s->w, TARGETS, empty_targets(2), K(TARG));
	refuses(&s->w, TARGETS, empty_targets(1), K(TARG), UPT_E_ROLLBACK);
}

/* ---- the driver ---- */

static void
serve_signed(struct scene *s, const char *name, cJSON *payload, unsigned keys)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};

	sign_with(&s->w, payload, keys, &bytes);
	serve(&s->m, name, upt_buf_span(&bytes));
}

static void
serve_release(struct scene *s)
{
	release_make(&s->w, empty_targets(1), 1, &s->r);
	serve(&s->m, "timestamp.json", upt_buf_span(&s->r.timestamp));
	serve(&s->m, "1.snapshot.json", upt_buf_span(&s->r.snapshot));
	serve(&s->m, "1.targets.json", upt_buf_span(&s->r.targets));
}

static void
store_root(struct scene *s)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};

	sign_with(&s->w, plain_root(&s->w, 1), K(ROOT), &bytes);
	store(&s->m, "root", upt_buf_span(&bytes));
}

static enum upt_code
refresh(struct scene *s)
{
	bool changed;

	world_reset(&s->w);
	s->err = (struct upt_err){0};
	return upt_refresh(s->w.set, &s->m.feed, NOW, &changed, &s->err);
}

static void
too_many_roots_end_the_cycle_or_it_goes_on_without_a_look_at_more(void **state)
{
	struct scene *s = *state;

	serve_release(s);
	serve_signed(s, "2.root.json", plain_root(&s->w, 2), K(ROOT));
	serve_signed(s, "3.root.json", plain_root(&s->w, 3), K(ROOT));
	serve_signed(s, "4.root.json", plain_root(&s->w, 4), K(ROOT));
	s->w.policy.limits.max_root_steps = 2;
	store_root(s);
	assert_code(refresh(s), UPT_E_TOO_LARGE);
	assert_log(
		&s->m, "get 2.root.json;save root 2;get 3.root.json;save root 3;get 4.root.json");
	s->w.policy.go_on_after_max_root_steps = true;
	store_root(s);
	assert_code(refresh(s), UPT_OK);
	assert_log(&s->m, "get 2.root.json;save root 2;get 3.root.json;save root 3;"
			  "get timestamp.json;save timestamp 1;get 1.snapshot.json;save snapshot 1;"
			  "get 1.targets.json;save targets 1");
	assert_int_equal(upt_trusted_set_root(s->w.set)->version, 3);
	s->w.policy.limits.max_root_steps = 0;
	assert_code(refresh(s), UPT_OK);
	assert_log(&s->m, "get timestamp.json");
}

/* Nothing new is written, and the stored bytes are those seen first. */
static void
kept_timestamp_is_not_saved_again(void **state)
{
	struct scene *s = *state;
	cJSON *other = timestamp_of(1, 9, upt_span_str("x"));

	s->w.policy.keep_equal_timestamp = true;
	serve_release(s);
	store_root(s);
	assert_code(refresh(s), UPT_OK);
	s->m.log[0] = '\0';
	serve_signed(s, "timestamp.json", other, K(TIME));
	assert_code(refresh(s), UPT_OK);
	assert_log(&s->m, "get 2.root.json;get timestamp.json");
	assert_true(upt_span_equal(
		upt_buf_span(stored(&s->m, "timestamp")), upt_buf_span(&s->r.timestamp)));
}

/* ---- delegations ---- */

static void
list_role(struct scene *s, cJSON *snapshot, const char *name, cJSON *payload, unsigned keys)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	char file[64];

	sign_with(&s->w, payload, keys, &bytes);
	snprintf(file, sizeof(file), "1.%s.json", name);
	serve(&s->m, file, upt_buf_span(&bytes));
	assert_code(
		upt_author_snapshot_add(snapshot, file + 2, 1, upt_buf_span(&bytes), NULL), UPT_OK);
}

/* Top level to a and b, both to c; b expects other keys of c than those that sign it; d is last. */
static void
serve_diamond(struct scene *s)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	cJSON *top = empty_targets(1), *a = empty_targets(1), *b = empty_targets(1);
	cJSON *snapshot = upt_author_snapshot(1, LATER);

	delegate(&s->w, top, "a", K(DEL_A), 1, "*", false);
	delegate(&s->w, top, "b", K(DEL_A), 1, "*", false);
	delegate(&s->w, top, "d", K(DEL_A), 1, "*", false);
	delegate(&s->w, a, "c", K(DEL_A), 1, "*", false);
	delegate(&s->w, b, "c", K(DEL_B), 1, "*", false);
	list_role(s, snapshot, "a", a, K(DEL_A));
	list_role(s, snapshot, "b", b, K(DEL_A));
	list_role(s, snapshot, "c", empty_targets(1), K(DEL_A));
	list_role(s, snapshot, "d", targets_with(1, "file", upt_span_str("content")), K(DEL_A));
	list_role(s, snapshot, "targets", top, K(TARG));
	sign_with(&s->w, snapshot, K(SNAP), &bytes);
	serve(&s->m, "1.snapshot.json", upt_buf_span(&bytes));
	serve_signed(s, "timestamp.json", timestamp_of(1, 1, upt_buf_span(&bytes)), K(TIME));
	store_root(s);
}

static enum upt_code
find_file(struct scene *s, const char *name)
{
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	struct upt_search search = {.feed = &s->m.feed, .now = NOW, .hardware_id = ""};
	struct upt_target target;

	s->m.log[0] = '\0';
	return upt_imagerepo_find(s->w.set, &search, name, &arena, &target, &s->err);
}

static void
role_reached_twice_is_checked_twice_or_skipped(void **state)
{
	struct scene *s = *state;

	serve_diamond(s);
	assert_code(refresh(s), UPT_OK);
	assert_code(find_file(s, "file"), UPT_E_THRESHOLD);
	s->w.policy.visit_roles_once = true;
	s->m.n_stored = 1; /* the root */
	assert_code(refresh(s), UPT_OK);
	assert_code(find_file(s, "file"), UPT_OK);
	assert_log(&s->m,
		"get 1.a.json;save a 1;get 1.c.json;save c 1;get 1.b.json;save b 1;get 1.d.json;"
		"save d 1");
	/* Each search visits for itself. */
	assert_code(find_file(s, "absent"), UPT_E_UNKNOWN_TARGET);
	assert_log(&s->m, "");
	assert_code(find_file(s, "file"), UPT_OK);
}

static void
visits_are_limited_also_when_each_role_is_visited_once(void **state)
{
	struct scene *s = *state;

	s->w.policy.visit_roles_once = true;
	serve_diamond(s);
	s->w.policy.limits.max_delegations = 4;
	assert_code(refresh(s), UPT_OK);
	assert_code(find_file(s, "file"), UPT_OK);
	s->w.policy.limits.max_delegations = 3;
	assert_code(refresh(s), UPT_OK);
	assert_code(find_file(s, "file"), UPT_E_DELEGATION);
}

static void
leading_dot_of_a_role_is_encoded_or_plain(void **state)
{
	struct scene *s = *state;

	for (int plain = 0; plain < 2; plain++) {
		upt_cleanup(upt_buf_clear) struct upt_buf name = {0};

		s->w.policy.plain_leading_dot = plain;
		start(s);
		assert_code(upt_trusted_set_file_name(
				    s->w.set, UPT_ROLE_TARGETS, "../x.y", 0, &name, NULL),
			UPT_OK);
		assert_string_equal(
			(const char *)name.data, plain ? "..%2Fx.y.json" : "%2E.%2Fx.y.json");
	}
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(equal_timestamp_is_replaced_or_keeps_the_held_one),
		T(equal_timestamp_must_be_signed_and_the_kept_one_valid),
		T(kept_timestamp_outdates_what_it_lists),
		T(stored_copy_of_the_listed_version_needs_a_hash_or_not),
		T(stored_copy_with_another_hash_is_never_current),
		T(targets_are_bound_by_their_stored_copy_or_by_the_listing_alone),
		T(targets_without_a_snapshot_are_bound_by_their_stored_copy),
		T(too_many_roots_end_the_cycle_or_it_goes_on_without_a_look_at_more),
		T(kept_timestamp_is_not_saved_again),
		T(role_reached_twice_is_checked_twice_or_skipped),
		T(visits_are_limited_also_when_each_role_is_visited_once),
		T(leading_dot_of_a_role_is_encoded_or_plain),
	};
	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
