/*
 * Every allocation on the way from bytes to trusted state fails once: the call says so, what was
 * trusted before still is, the next try succeeds, and nothing leaks (AddressSanitizer looks). Our
 * own allocations and libunistring's are reached through the linker, OpenSSL's through its hook.
 */
#include "memory_feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../faults/faults.h"
#include "imagerepo/imagerepo.h"

struct shape {
	const struct upt_metadata *held[UPT_N_ROLES], *current[UPT_N_ROLES];
};

static struct shape
shape_of(const struct upt_trusted_set *set)
{
	struct shape s = {.current = {NULL, upt_trusted_set_timestamp(set),
				  upt_trusted_set_snapshot(set), upt_trusted_set_targets(set)}};

	for (int role = 0; role < UPT_N_ROLES; role++)
		s.held[role] = upt_trusted_set_held(set, (enum upt_role)role);
	return s;
}

#define N_STEPS 5

struct scene {
	struct world w;
	struct release r;
	struct upt_buf roots[2], delegated; /* both delegated roles say the same */
	struct {
		enum step step;
		struct upt_span bytes;
	} steps[N_STEPS];
};

/* All key types, keys that are unsorted and not ASCII, a delegation to two roles that agree: every
 * way through the code. */
static struct scene *
scene_new(void)
{
	struct scene *s = calloc(1, sizeof(*s));
	cJSON *targets = targets_with(1, "gr\xc3\xbc\xe6\xbc\xa2n", upt_span("c", 1)), *snapshot,
	      *delegated;
	const struct named_keys pair[] = {{"role", K(DEL_A)}, {"other", K(DEL_A)}};
	struct root_plan plan = {1, K(ROOT) | K(ROOT2), K(TIME), K(SNAP), K(TARG), 2, false};

	assert_non_null(s);
	world_init(&s->w, UPT_REPO_IMAGE);
	upt_private_key_free(&s->w.keys[ROOT2]);
	assert_code(upt_private_key_generate("rsa", 2048, &s->w.keys[ROOT2], NULL), UPT_OK);
	upt_private_key_free(&s->w.keys[TIME]);
	assert_code(
		upt_private_key_generate("ecdsa-sha2-nistp256", 0, &s->w.keys[TIME], NULL), UPT_OK);
	for (int i = 0; i < 2; i++) {
		plan.version = (uint64_t)i + 1;
		sign_with(&s->w, plan_root(&s->w, &plan), K(ROOT) | K(ROOT2), &s->roots[i]);
	}
	delegated = targets_with(1, "x", upt_span("c", 1));
	set_member(delegated, "targets/x/custom", cJSON_Parse("{\"b\":1,\"a\":[2]}"));
	sign_with(&s->w, delegated, K(DEL_A), &s->delegated);
	delegate_to_several(&s->w, targets, "team", pair, 2, 2, "*", false);
	sign_with(&s->w, targets, K(TARG), &s->r.targets);
	snapshot = snapshot_of(1, 1, upt_buf_span(&s->r.targets));
	assert_code(upt_author_snapshot_add(
			    snapshot, "role.json", 1, upt_buf_span(&s->delegated), NULL),
		UPT_OK);
	assert_code(upt_author_snapshot_add(
			    snapshot, "other.json", 1, upt_buf_span(&s->delegated), NULL),
		UPT_OK);
	sign_with(&s->w, snapshot, K(SNAP), &s->r.snapshot);
	sign_with(
		&s->w, timestamp_of(1, 1, upt_buf_span(&s->r.snapshot)), K(TIME), &s->r.timestamp);
	s->steps[0].step = PIN;
	s->steps[0].bytes = upt_buf_span(&s->roots[0]);
	s->steps[1].step = NEXT_ROOT;
	s->steps[1].bytes = upt_buf_span(&s->roots[1]);
	s->steps[2].step = TIMESTAMP;
	s->steps[2].bytes = upt_buf_span(&s->r.timestamp);
	s->steps[3].step = SNAPSHOT;
	s->steps[3].bytes = upt_buf_span(&s->r.snapshot);
	s->steps[4].step = TARGETS;
	s->steps[4].bytes = upt_buf_span(&s->r.targets);
	return s;
}

static void
scene_free(struct scene *s)
{
	release_clear(&s->r);
	upt_buf_clear(&s->roots[0]);
	upt_buf_clear(&s->roots[1]);
	upt_buf_clear(&s->delegated);
	world_clear(&s->w);
	free(s);
}

/* The set as it is before step n. */
static void
replay(struct scene *s, size_t n)
{
	world_reset(&s->w);
	for (size_t i = 0; i < n; i++) {
		accepts_bytes(&s->w, s->steps[i].step, s->steps[i].bytes);
		if (s->steps[i].step == NEXT_ROOT)
			assert_code(upt_trusted_set_finish_root(s->w.set, NOW, NULL), UPT_OK);
	}
}

static void
assert_all_keys_usable(const struct upt_metadata *root)
{
	assert_int_equal(root->root.keyring.n_keys, 5);
	for (size_t i = 0; i < root->root.keyring.n_keys; i++)
		assert_non_null(root->root.keyring.keys[i].key);
}

/* OpenSSL gets along without some allocations, and reports others as a wrong signature. */
static void
assert_told(enum upt_code code, enum fault fault)
{
	if (code == UPT_E_NO_MEMORY)
		return;
	assert_true(fault == FAULT_OPENSSL_MEMORY);
	assert_true(code == UPT_OK || code == UPT_E_INTERNAL || code == UPT_E_THRESHOLD);
}

/* False when no allocation failed any more. */
static bool
try_step(struct scene *s, size_t i, enum fault fault, size_t n)
{
	struct shape before = shape_of(s->w.set), after;
	struct upt_buf buf = {0};
	struct upt_err err = {0};
	bool drop_others = false, more;
	enum upt_code code;

	assert_code(
		upt_buf_append(&buf, s->steps[i].bytes.data, s->steps[i].bytes.len, NULL), UPT_OK);
	faults_begin(fault, n);
	code = s->steps[i].step == NEXT_ROOT
		       ? upt_trusted_set_update_root(s->w.set, &buf, &drop_others, &err)
		       : offer(&s->w, s->steps[i].step, &buf, &err);
	more = faults_end();
	if (more)
		assert_told(code, fault);
	else
		assert_code(code, UPT_OK);
	/* A key that was lost on the way would look like a rotation, and unlearn what was learnt.
	 */
	assert_false(drop_others);
	if (code == UPT_OK) {
		assert_all_keys_usable(upt_trusted_set_root(s->w.set));
		return more;
	}
	assert_code(err.code, code);
	assert_true(upt_span_equal(upt_buf_span(&buf), s->steps[i].bytes));
	after = shape_of(s->w.set);
	assert_memory_equal(&after, &before, sizeof(after));
	upt_buf_clear(&buf);
	accepts_bytes(&s->w, s->steps[i].step, s->steps[i].bytes);
	return true;
}

static void
fail_steps(enum fault fault)
{
	struct scene *s = scene_new();

	for (size_t i = 0; i < N_STEPS; i++) {
		size_t n_failures = 0;

		replay(s, i);
		for (size_t n = 0; try_step(s, i, fault, n); n++) {
			n_failures++;
			replay(s, i);
		}
		assert_true(n_failures > 1);
	}
	scene_free(s);
}

static void
each_failure_of_ours_is_told_and_changes_nothing(void **state)
{
	(void)state;
	fail_steps(FAULT_MEMORY);
}

static void
failures_inside_openssl_change_nothing(void **state)
{
	(void)state;
	fail_steps(FAULT_OPENSSL_MEMORY);
}

/* ---- the drivers ---- */

/* The feed is not what is tested: its own allocations do not fail. */
static enum upt_code
resume(enum upt_code code)
{
	faults_resume();
	return code;
}

static enum upt_code
fetch(void *ctx, const char *name, size_t max, struct upt_buf *out, struct upt_err *err)
{
	struct memory_feed *m = ctx;

	faults_pause();
	return resume(m->feed.fetch(m, name, max, out, err));
}

static enum upt_code
load(void *ctx, const char *role, struct upt_buf *out, struct upt_err *err)
{
	struct memory_feed *m = ctx;

	faults_pause();
	return resume(m->feed.load(m, role, out, err));
}

static enum upt_code
save(void *ctx, const char *role, uint64_t version, struct upt_span bytes, struct upt_err *err)
{
	struct memory_feed *m = ctx;

	faults_pause();
	return resume(m->feed.save(m, role, version, bytes, err));
}

static enum upt_code
save_root(void *ctx, uint64_t version, struct upt_span bytes, bool drop_others, struct upt_err *err)
{
	struct memory_feed *m = ctx;

	faults_pause();
	return resume(m->feed.save_root(m, version, bytes, drop_others, err));
}

static enum upt_code
forget(void *ctx, const char *role, struct upt_err *err)
{
	struct memory_feed *m = ctx;

	faults_pause();
	return resume(m->feed.forget(m, role, err));
}

/* Refresh and search with the n-th allocation failing; *failed: there was one. */
static enum upt_code
cycle(struct scene *s, struct memory_feed *m, size_t n, bool *failed)
{
	const struct upt_feed feed = {m, fetch, load, save, save_root, forget};
	struct upt_search search = {.feed = &feed, .now = NOW, .hardware_id = "hw"};
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	struct upt_target target;
	enum upt_code code;
	bool changed;

	world_reset(&s->w);
	m->log[0] = '\0';
	faults_begin(FAULT_MEMORY, n);
	code = upt_refresh(s->w.set, &feed, NOW, &changed, NULL);
	if (code == UPT_OK)
		code = upt_imagerepo_find(s->w.set, &search, "x", &arena, &target, NULL);
	*failed = faults_end();
	if (code == UPT_OK)
		assert_string_equal(target.image.name, "x");
	return code;
}

static void
each_failure_of_a_cycle_keeps_the_store_sound(void **state)
{
	struct scene *s = scene_new();
	struct memory_feed m;

	(void)state;
	for (size_t n = 0;; n++) {
		bool more, failed;
		enum upt_code code;

		memory_feed_init(&m);
		store(&m, "root", upt_buf_span(&s->roots[0]));
		serve(&m, "2.root.json", upt_buf_span(&s->roots[1]));
		serve(&m, "timestamp.json", upt_buf_span(&s->r.timestamp));
		serve(&m, "1.snapshot.json", upt_buf_span(&s->r.snapshot));
		serve(&m, "1.targets.json", upt_buf_span(&s->r.targets));
		serve(&m, "1.role.json", upt_buf_span(&s->delegated));
		serve(&m, "1.other.json", upt_buf_span(&s->delegated));
		code = cycle(s, &m, n, &more);
		assert_code(code, more ? UPT_E_NO_MEMORY : UPT_OK);
		assert_null(strstr(m.log, "forget"));
		assert_null(strstr(m.log, "drop"));
		/* what was stored so far serves the next cycle, which then fails nowhere */
		assert_code(cycle(s, &m, SIZE_MAX, &failed), UPT_OK);
		assert_null(strstr(m.log, "forget"));
		if (!more) {
			/* and with everything stored */
			for (size_t k = 0;; k++) {
				code = cycle(s, &m, k, &failed);
				if (!failed)
					break;
				/* a confirmation that cannot be made is a download: no failure */
				assert_true(code == UPT_E_NO_MEMORY || code == UPT_OK);
				assert_null(strstr(m.log, "forget"));
			}
			assert_code(code, UPT_OK);
		}
		memory_feed_clear(&m);
		if (!more)
			break;
	}
	scene_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_failure_of_ours_is_told_and_changes_nothing),
		cmocka_unit_test(each_failure_of_a_cycle_keeps_the_store_sound),
		cmocka_unit_test(failures_inside_openssl_change_nothing),
	};

	if (!faults_hook_openssl())
		return 1;
	return cmocka_run_group_tests_name("metadata memory", tests, NULL, NULL);
}
