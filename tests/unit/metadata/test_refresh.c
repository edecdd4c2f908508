/* The refresh driver: exactly the requests wanted, each accepted document saved, "cannot tell" is
 * no answer. */
#include "memory_feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct scene {
	struct world w;
	struct memory_feed m;
	struct release r;
	struct upt_buf root;
	bool changed;
	struct upt_err err;
};

static enum upt_code
refresh(struct scene *s)
{
	s->changed = !s->changed; /* must be written */
	s->err = (struct upt_err){0};
	return upt_refresh(s->w.set, &s->m.feed, NOW, &s->changed, &s->err);
}

static enum upt_code
refresh_anew(struct scene *s)
{
	world_reset(&s->w);
	return refresh(s);
}

/* Release number v: targets v, snapshot v, timestamp v. */
static void
publish(struct scene *s, cJSON *targets, uint64_t v)
{
	char name[64];

	release_make(&s->w, targets, v, &s->r);
	serve(&s->m, "timestamp.json", upt_buf_span(&s->r.timestamp));
	snprintf(name, sizeof(name), "%llu.snapshot.json", (unsigned long long)v);
	serve(&s->m, name, upt_buf_span(&s->r.snapshot));
	snprintf(name, sizeof(name), "%llu.targets.json", (unsigned long long)v);
	serve(&s->m, name, upt_buf_span(&s->r.targets));
}

static void
publish_root(struct scene *s, cJSON *root, unsigned keys)
{
	char name[64];

	snprintf(name, sizeof(name), "%.0f.root.json", at(root, "version")->valuedouble);
	sign_with(&s->w, root, keys, &s->root);
	serve(&s->m, name, upt_buf_span(&s->root));
}

static int
setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	world_init(&s->w, UPT_REPO_IMAGE);
	memory_feed_init(&s->m);
	sign_with(&s->w, plain_root(&s->w, 1), K(ROOT), &s->root);
	store(&s->m, "root", upt_buf_span(&s->root));
	publish(s, empty_targets(1), 1);
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	struct scene *s = *state;

	world_clear(&s->w);
	memory_feed_clear(&s->m);
	release_clear(&s->r);
	upt_buf_clear(&s->root);
	free(s);
	return 0;
}

#define FIRST                                                                                      \
	"get 2.root.json;get timestamp.json;save timestamp 1;get 1.snapshot.json;save snapshot 1;" \
	"get 1.targets.json;save targets 1"

static void
first_refresh_fetches_and_saves_each_role_once(void **state)
{
	struct scene *s = *state;

	assert_code(refresh(s), UPT_OK);
	assert_true(s->changed);
	assert_log(&s->m, FIRST);
	assert_int_equal(upt_trusted_set_targets(s->w.set)->version, 1);
}

static void
nothing_new_asks_for_root_and_timestamp_and_writes_nothing(void **state)
{
	struct scene *s = *state;

	assert_code(refresh(s), UPT_OK);
	assert_log(&s->m, FIRST);
	for (int again = 0; again < 2; again++) {
		/* in a new process, and in the same one */
		assert_code(again == 0 ? refresh_anew(s) : refresh(s), UPT_OK);
		assert_false(s->changed);
		assert_log(&s->m, "get 2.root.json;get timestamp.json");
		assert_int_equal(upt_trusted_set_targets(s->w.set)->version, 1);
	}
}

static void
new_timestamp_with_the_same_listing_is_saved_but_is_no_change(void **state)
{
	struct scene *s = *state;

	assert_code(refresh(s), UPT_OK);
	assert_log(&s->m, FIRST);
	sign_with(
		&s->w, timestamp_of(2, 1, upt_buf_span(&s->r.snapshot)), K(TIME), &s->r.timestamp);
	serve(&s->m, "timestamp.json", upt_buf_span(&s->r.timestamp));
	assert_code(refresh_anew(s), UPT_OK);
	assert_false(s->changed);
	assert_log(&s->m, "get 2.root.json;get timestamp.json;save timestamp 2");
}

static void
new_snapshot_with_the_same_targets_fetches_no_targets(void **state)
{
	struct scene *s = *state;

	assert_code(refresh(s), UPT_OK);
	assert_log(&s->m, FIRST);
	sign_with(&s->w, snapshot_of(2, 1, upt_buf_span(&s->r.targets)), K(SNAP), &s->r.snapshot);
	serve(&s->m, "2.snapshot.json", upt_buf_span(&s->r.snapshot));
	sign_with(
		&s->w, timestamp_of(2, 2, upt_buf_span(&s->r.snapshot)), K(TIME), &s->r.timestamp);
	serve(&s->m, "timestamp.json", upt_buf_span(&s->r.timestamp));
	assert_code(refresh_anew(s), UPT_OK);
	assert_true(s->changed);
	assert_log(&s->m, "get 2.root.json;get timestamp.json;save timestamp 2;get 2.snapshot.json;"
			  "save snapshot 2");
}

static void
cannot_tell_is_never_no_newer_root(void **state)
{
	struct scene *s = *state;
	static const enum upt_code codes[] = {UPT_E_NETWORK, UPT_E_SERVER, UPT_E_TLS,
		UPT_E_TOO_SLOW, UPT_E_TOO_LARGE, UPT_E_CANCELLED};

	s->m.failing = "get 2.root.json";
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		s->m.failure = codes[i];
		assert_code(refresh_anew(s), codes[i]);
		assert_int_equal(s->err.repo, UPT_REPO_IMAGE);
		assert_false(s->changed);
		assert_log(&s->m, "get 2.root.json");
		assert_null(upt_trusted_set_timestamp(s->w.set));
	}
	s->m.failure = UPT_E_ABSENT;
	assert_code(refresh_anew(s), UPT_OK);
	assert_log(&s->m, FIRST);
}

static void
needed_file_that_is_absent_is_missing_and_other_failures_keep_their_name(void **state)
{
	struct scene *s = *state;
	static const char *const files[] = {"timestamp.json", "1.snapshot.json", "1.targets.json"};
	char entry[64];

	for (size_t i = 0; i < 3; i++) {
		snprintf(entry, sizeof(entry), "get %s", files[i]);
		s->m.failing = entry;
		s->m.failure = UPT_E_ABSENT;
		assert_code(refresh_anew(s), UPT_E_MISSING);
		assert_int_equal(s->err.repo, UPT_REPO_IMAGE);
		assert_non_null(strstr(s->err.message, files[i]));
		s->m.failure = UPT_E_NETWORK;
		assert_code(refresh_anew(s), UPT_E_NETWORK);
		assert_int_equal(s->err.repo, UPT_REPO_IMAGE);
		assert_null(upt_trusted_set_targets(s->w.set));
	}
	s->m.failing = NULL;
	assert_code(refresh_anew(s), UPT_OK);
}

static void
failure_in_the_middle_keeps_what_was_learnt(void **state)
{
	struct scene *s = *state;

	s->m.failing = "get 1.targets.json";
	s->m.failure = UPT_E_NETWORK;
	assert_code(refresh(s), UPT_E_NETWORK);
	assert_log(&s->m, "get 2.root.json;get timestamp.json;save timestamp 1;get 1.snapshot.json;"
			  "save snapshot 1;get 1.targets.json");
	s->m.failing = NULL;
	assert_code(refresh_anew(s), UPT_OK);
	assert_true(s->changed);
	assert_log(&s->m, "get 2.root.json;get timestamp.json;get 1.targets.json;save targets 1");
	/* and the rollback is noticed by what was learnt before the failure */
	publish(s, empty_targets(2), 2);
	s->m.failing = "get 2.snapshot.json";
	assert_code(refresh_anew(s), UPT_E_NETWORK);
	s->m.failing = NULL;
	publish(s, empty_targets(1), 1);
	assert_code(refresh_anew(s), UPT_E_ROLLBACK);
}

static void
failed_save_ends_the_refresh(void **state)
{
	struct scene *s = *state;

	s->m.failing = "save snapshot 1";
	s->m.failure = UPT_E_NO_SPACE;
	assert_code(refresh(s), UPT_E_NO_SPACE);
	assert_log(&s->m, "get 2.root.json;get timestamp.json;save timestamp 1;get 1.snapshot.json;"
			  "save snapshot 1");
	s->m.failing = NULL;
	/* The set begins from the store again: what was not saved is fetched once more. */
	assert_code(refresh(s), UPT_OK);
	assert_log(&s->m, "get 2.root.json;get timestamp.json;get 1.snapshot.json;save snapshot 1;"
			  "get 1.targets.json;save targets 1");
}

static void
refused_document_is_not_saved_and_the_next_good_one_is_taken(void **state)
{
	struct scene *s = *state;

	sign_with(&s->w, timestamp_of(9, 1, upt_buf_span(&s->r.snapshot)), K(THIEF), &s->root);
	serve(&s->m, "timestamp.json", upt_buf_span(&s->root));
	assert_code(refresh(s), UPT_E_THRESHOLD);
	assert_log(&s->m, "get 2.root.json;get timestamp.json");
	assert_null(stored(&s->m, "timestamp"));
	serve(&s->m, "timestamp.json", upt_buf_span(&s->r.timestamp));
	assert_code(refresh(s), UPT_OK);
	assert_log(&s->m, FIRST);
}

static void
no_stored_root_means_not_provisioned(void **state)
{
	struct scene *s = *state;

	s->m.n_stored = 0;
	upt_buf_clear(&s->m.stored[0].bytes);
	assert_code(refresh(s), UPT_E_NOT_FOUND);
	assert_log(&s->m, "");
}

static void
unreadable_store_is_not_taken_for_an_empty_one(void **state)
{
	struct scene *s = *state;
	static const char *const entries[] = {
		"load root", "load timestamp", "load snapshot", "load targets"};

	assert_code(refresh(s), UPT_OK);
	s->m.failure = UPT_E_DATABASE;
	for (size_t i = 0; i < 4; i++) {
		s->m.failing = entries[i];
		assert_code(refresh_anew(s), UPT_E_DATABASE);
	}
	assert_non_null(stored(&s->m, "targets"));
}

/* ---- roots ---- */

static void
roots_are_stepped_one_by_one_and_each_is_saved_at_once(void **state)
{
	struct scene *s = *state;
	struct root_plan plan = {2, K(ROOT2), K(TIME), K(SNAP), K(TARG), 1, false};

	publish_root(s, plan_root(&s->w, &plan), K(ROOT) | K(ROOT2));
	plan = (struct root_plan){3, K(ROOT3), K(TIME), K(SNAP), K(TARG), 1, false};
	publish_root(s, plan_root(&s->w, &plan), K(ROOT2) | K(ROOT3));
	s->m.failing = "get 3.root.json";
	s->m.failure = UPT_E_NETWORK;
	assert_code(refresh(s), UPT_E_NETWORK);
	assert_log(&s->m, "get 2.root.json;save root 2;get 3.root.json");
	s->m.failing = NULL;
	assert_code(refresh_anew(s), UPT_OK);
	assert_true(s->changed);
	assert_log(&s->m,
		"get 3.root.json;save root 3;get 4.root.json;get timestamp.json;save timestamp 1;"
		"get 1.snapshot.json;save snapshot 1;get 1.targets.json;save targets 1");
}

static void
rotation_of_the_snapshot_key_is_saved_with_drop_others(void **state)
{
	struct scene *s = *state;
	struct root_plan plan = {2, K(ROOT), K(TIME), K(SNAP2), K(TARG), 1, false};

	/* The thief of both keys went ahead of everyone. */
	publish(s, empty_targets(1), 1);
	sign_with(
		&s->w, snapshot_of(1000, 1, upt_buf_span(&s->r.targets)), K(SNAP), &s->r.snapshot);
	serve(&s->m, "1000.snapshot.json", upt_buf_span(&s->r.snapshot));
	sign_with(&s->w, timestamp_of(1000, 1000, upt_buf_span(&s->r.snapshot)), K(TIME),
		&s->r.timestamp);
	serve(&s->m, "timestamp.json", upt_buf_span(&s->r.timestamp));
	assert_code(refresh(s), UPT_OK);
	s->m.log[0] = '\0';
	publish_root(s, plan_root(&s->w, &plan), K(ROOT));
	sign_with(&s->w, snapshot_of(2, 1, upt_buf_span(&s->r.targets)), K(SNAP2), &s->r.snapshot);
	serve(&s->m, "2.snapshot.json", upt_buf_span(&s->r.snapshot));
	sign_with(
		&s->w, timestamp_of(2, 2, upt_buf_span(&s->r.snapshot)), K(TIME), &s->r.timestamp);
	serve(&s->m, "timestamp.json", upt_buf_span(&s->r.timestamp));
	assert_code(refresh_anew(s), UPT_OK);
	assert_log(&s->m, "get 2.root.json;save root 2 drop;get 3.root.json;get timestamp.json;"
			  "save timestamp 2;get 2.snapshot.json;save snapshot 2");
}

static void
stored_copy_of_a_revoked_key_is_forgotten(void **state)
{
	struct scene *s = *state;
	struct root_plan plan = {2, K(ROOT), K(TIME), K(SNAP), K(TARG2), 1, false};

	publish(s, empty_targets(1000), 1);
	serve(&s->m, "1000.targets.json", upt_buf_span(&s->r.targets));
	assert_code(refresh(s), UPT_OK);
	s->m.log[0] = '\0';
	publish_root(s, plan_root(&s->w, &plan), K(ROOT));
	/* same snapshot: the listed targets are the thief's, and are refused by their signature */
	assert_code(refresh_anew(s), UPT_E_THRESHOLD);
	assert_log(&s->m,
		"get 2.root.json;save root 2;get 3.root.json;get timestamp.json;forget targets;"
		"get 1000.targets.json");
	assert_null(stored(&s->m, "targets"));
}

static void
rotten_stored_copy_is_forgotten_and_fetched_again(void **state)
{
	struct scene *s = *state;

	assert_code(refresh(s), UPT_OK);
	s->m.log[0] = '\0';
	store(&s->m, "snapshot", upt_span_str("{\"signatures\":["));
	assert_code(refresh_anew(s), UPT_OK);
	assert_log(&s->m, "get 2.root.json;get timestamp.json;forget snapshot;get 1.snapshot.json;"
			  "save snapshot 1");
}

static void
more_roots_than_one_cycle_takes_are_left_to_the_next_one(void **state)
{
	struct scene *s = *state;

	for (uint64_t v = 2; v <= 6; v++)
		publish_root(s, plain_root(&s->w, v), K(ROOT));
	s->w.policy.limits.max_root_steps = 3;
	assert_code(refresh_anew(s), UPT_E_TOO_LARGE);
	assert_int_equal(s->err.repo, UPT_REPO_IMAGE);
	assert_log(&s->m, "get 2.root.json;save root 2;get 3.root.json;save root 3;get 4.root.json;"
			  "save root 4;get 5.root.json");
	/* nothing is trusted by a root that is known to be replaced */
	assert_null(upt_trusted_set_timestamp(s->w.set));
	assert_code(refresh_anew(s), UPT_OK);
	assert_int_equal(upt_trusted_set_root(s->w.set)->version, 6);
	/* exactly as many as one cycle takes are no reason to stop */
	for (uint64_t v = 7; v <= 9; v++)
		publish_root(s, plain_root(&s->w, v), K(ROOT));
	assert_code(refresh_anew(s), UPT_OK);
	assert_int_equal(upt_trusted_set_root(s->w.set)->version, 9);
}

static void
expired_root_stops_the_refresh_but_its_successor_is_found(void **state)
{
	struct scene *s = *state;
	cJSON *expired = plain_root(&s->w, 2);

	set_member(expired, "expires", cJSON_CreateString("2025-01-01T00:00:00Z"));
	publish_root(s, expired, K(ROOT));
	assert_code(refresh(s), UPT_E_EXPIRED);
	assert_log(&s->m, "get 2.root.json;save root 2;get 3.root.json");
	publish_root(s, plain_root(&s->w, 3), K(ROOT));
	assert_code(refresh_anew(s), UPT_OK);
}

/* ---- a Director without timestamp and snapshot (profile ota) ---- */

static void
targets_only_director_is_asked_for_root_and_targets(void **state)
{
	struct scene *s = *state;
	struct root_plan plan = {1, K(ROOT), 0, 0, K(TARG), 1, true};

	s->w.policy.allow_targets_only = true;
	s->w.policy.repo = UPT_REPO_DIRECTOR;
	sign_with(&s->w, plan_root(&s->w, &plan), K(ROOT), &s->root);
	store(&s->m, "root", upt_buf_span(&s->root));
	serve(&s->m, "targets.json", upt_buf_span(&s->r.targets));
	assert_code(refresh_anew(s), UPT_OK);
	assert_true(s->changed);
	assert_log(&s->m, "get 2.root.json;get targets.json;save targets 1");
	assert_code(refresh_anew(s), UPT_OK);
	assert_false(s->changed);
	assert_log(&s->m, "get 2.root.json;get targets.json");
	sign_with(&s->w, empty_targets(2), K(TARG), &s->root);
	serve(&s->m, "targets.json", upt_buf_span(&s->root));
	assert_code(refresh_anew(s), UPT_OK);
	assert_true(s->changed);
	serve(&s->m, "targets.json", upt_buf_span(&s->r.targets));
	assert_code(refresh_anew(s), UPT_E_ROLLBACK);
}

/* ---- delegated roles ---- */

static const struct upt_delegated_role *
publish_delegated(struct scene *s, uint64_t v, struct upt_span role, uint64_t role_version)
{
	cJSON *targets = empty_targets(v), *snapshot;
	char name[64];

	delegate(&s->w, targets, "a/b", K(DEL_A), 1, "*", false);
	publish(s, targets, v);
	snapshot = snapshot_of(v, v, upt_buf_span(&s->r.targets));
	assert_code(
		upt_author_snapshot_add(snapshot, "a/b.json", role_version, role, NULL), UPT_OK);
	sign_with(&s->w, snapshot, K(SNAP), &s->r.snapshot);
	snprintf(name, sizeof(name), "%llu.snapshot.json", (unsigned long long)v);
	serve(&s->m, name, upt_buf_span(&s->r.snapshot));
	sign_with(
		&s->w, timestamp_of(v, v, upt_buf_span(&s->r.snapshot)), K(TIME), &s->r.timestamp);
	serve(&s->m, "timestamp.json", upt_buf_span(&s->r.timestamp));
	assert_code(refresh_anew(s), UPT_OK);
	s->m.log[0] = '\0';
	return &upt_trusted_set_targets(s->w.set)->targets.delegations[0].roles[0];
}

static enum upt_code
get_delegated(struct scene *s, const struct upt_delegated_role *d, const struct upt_metadata **out)
{
	return upt_refresh_delegated(
		s->w.set, &s->m.feed, upt_trusted_set_targets(s->w.set), d, NOW, out, &s->err);
}

static void
delegated_role_is_fetched_once_saved_and_then_taken_from_the_store(void **state)
{
	struct scene *s = *state;
	struct upt_buf role = {0};
	const struct upt_delegated_role *d;
	const struct upt_metadata *out;

	sign_with(&s->w, empty_targets(4), K(DEL_A), &role);
	d = publish_delegated(s, 2, upt_buf_span(&role), 4);
	assert_code(get_delegated(s, d, &out), UPT_E_MISSING);
	assert_null(out);
	assert_log(&s->m, "get 4.a%2Fb.json");
	serve(&s->m, "4.a%2Fb.json", upt_buf_span(&role));
	assert_code(get_delegated(s, d, &out), UPT_OK);
	assert_log(&s->m, "get 4.a%2Fb.json;save a/b 4");
	assert_code(get_delegated(s, d, &out), UPT_OK);
	assert_log(&s->m, "");
	assert_code(refresh_anew(s), UPT_OK);
	s->m.log[0] = '\0';
	d = &upt_trusted_set_targets(s->w.set)->targets.delegations[0].roles[0];
	assert_code(get_delegated(s, d, &out), UPT_OK);
	assert_int_equal(out->version, 4);
	assert_log(&s->m, "");
	upt_buf_clear(&role);
}

static void
delegated_role_is_held_to_its_stored_version(void **state)
{
	struct scene *s = *state;
	struct upt_buf role = {0}, older = {0};
	const struct upt_delegated_role *d;
	const struct upt_metadata *out;

	sign_with(&s->w, empty_targets(4), K(DEL_A), &role);
	sign_with(&s->w, empty_targets(3), K(DEL_A), &older);
	store(&s->m, "a/b", upt_buf_span(&role));
	d = publish_delegated(s, 2, upt_buf_span(&older), 3);
	serve(&s->m, "3.a%2Fb.json", upt_buf_span(&older));
	assert_code(get_delegated(s, d, &out), UPT_E_ROLLBACK);
	assert_log(&s->m, "get 3.a%2Fb.json");
	/* a stored copy that the delegator's keys do not sign wedges nothing */
	sign_with(&s->w, empty_targets(4), K(THIEF), &role);
	store(&s->m, "a/b", upt_buf_span(&role));
	assert_code(refresh_anew(s), UPT_OK);
	s->m.log[0] = '\0';
	d = &upt_trusted_set_targets(s->w.set)->targets.delegations[0].roles[0];
	assert_code(get_delegated(s, d, &out), UPT_OK);
	assert_log(&s->m, "get 3.a%2Fb.json;save a/b 3");
	upt_buf_clear(&role);
	upt_buf_clear(&older);
}

static void
delegated_role_whose_store_is_unreadable_is_a_local_failure(void **state)
{
	struct scene *s = *state;
	struct upt_buf role = {0};
	const struct upt_delegated_role *d;
	const struct upt_metadata *out;

	sign_with(&s->w, empty_targets(4), K(DEL_A), &role);
	d = publish_delegated(s, 2, upt_buf_span(&role), 4);
	s->m.failing = "load a/b";
	s->m.failure = UPT_E_DATABASE;
	assert_code(get_delegated(s, d, &out), UPT_E_DATABASE);
	assert_null(out);
	assert_log(&s->m, "");
	upt_buf_clear(&role);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(first_refresh_fetches_and_saves_each_role_once),
		T(nothing_new_asks_for_root_and_timestamp_and_writes_nothing),
		T(new_timestamp_with_the_same_listing_is_saved_but_is_no_change),
		T(new_snapshot_with_the_same_targets_fetches_no_targets),
		T(cannot_tell_is_never_no_newer_root),
		T(needed_file_that_is_absent_is_missing_and_other_failures_keep_their_name),
		T(failure_in_the_middle_keeps_what_was_learnt),
		T(failed_save_ends_the_refresh),
		T(refused_document_is_not_saved_and_the_next_good_one_is_taken),
		T(no_stored_root_means_not_provisioned),
		T(unreadable_store_is_not_taken_for_an_empty_one),
		T(roots_are_stepped_one_by_one_and_each_is_saved_at_once),
		T(rotation_of_the_snapshot_key_is_saved_with_drop_others),
		T(stored_copy_of_a_revoked_key_is_forgotten),
		T(rotten_stored_copy_is_forgotten_and_fetched_again),
		T(more_roots_than_one_cycle_takes_are_left_to_the_next_one),
		T(expired_root_stops_the_refresh_but_its_successor_is_found),
		T(targets_only_director_is_asked_for_root_and_targets),
		T(delegated_role_is_fetched_once_saved_and_then_taken_from_the_store),
		T(delegated_role_is_held_to_its_stored_version),
		T(delegated_role_whose_store_is_unreadable_is_a_local_failure),
	};
	return cmocka_run_group_tests_name("refresh", tests, NULL, NULL);
}
