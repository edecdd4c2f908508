/*
 * A mirror that serves whatever it likes of what was ever signed, a store that fails or loses power
 * at any save, releases and rotations in between: what was once accepted is never followed by
 * anything older, and whenever the mirror is honest again one cycle brings the newest release. The
 * choices are random, from a fixed seed.
 */
#include "memory_feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DOCS 1000
#define N_STEPS 2000

struct pool {
	size_t n;
	uint64_t versions[MAX_DOCS];
	struct upt_buf docs[MAX_DOCS];
};

struct model {
	struct world w;
	struct memory_feed m; /* only its store */
	struct upt_feed feed;
	uint32_t seed;
	bool honest; /* the mirror and the store, for one cycle */
	bool thief; /* has the online keys: TIME and SNAP in use now */
	uint64_t n_roots, targets, release; /* the newest versions */
	unsigned time_key, snap_key;
	struct pool pools[UPT_N_ROLES];
	uint64_t saved[UPT_N_ROLES]; /* the newest accepted; 0 after a rotation */
	unsigned n_good, n_refused[UPT_N_CODES];
};

static uint32_t
next_random(struct model *m)
{
	m->seed = m->seed * 1664525 + 1013904223;
	return m->seed >> 8;
}

static bool
chance(struct model *m, unsigned percent)
{
	return !m->honest && next_random(m) % 100 < percent;
}

static struct upt_span
add(struct model *m, struct pool *pool, uint64_t version, cJSON *payload, unsigned keys)
{
	assert_true(pool->n < MAX_DOCS);
	pool->versions[pool->n] = version;
	sign_with(&m->w, payload, keys, &pool->docs[pool->n]);
	return upt_buf_span(&pool->docs[pool->n++]);
}

/* One that no longer is the newest stands behind it in the pool. */
static void
publish(struct model *m)
{
	struct upt_span targets, snapshot;

	m->release++;
	if (m->targets == 0 || next_random(m) % 2)
		m->targets++;
	targets =
		add(m, &m->pools[UPT_ROLE_TARGETS], m->targets, empty_targets(m->targets), K(TARG));
	snapshot = add(m, &m->pools[UPT_ROLE_SNAPSHOT], m->release,
		snapshot_of(m->release, m->targets, targets), m->snap_key);
	add(m, &m->pools[UPT_ROLE_TIMESTAMP], m->release,
		timestamp_of(m->release, m->release, snapshot), m->time_key);
}

static void
rotate(struct model *m)
{
	struct root_plan plan = {.version = ++m->n_roots, .root = K(ROOT), .targets = K(TARG)};

	/* A revoked key never comes back: its thief keeps it. */
	upt_private_key_free(&m->w.keys[TIME2]);
	upt_private_key_free(&m->w.keys[SNAP2]);
	assert_int_equal(upt_private_key_generate("ed25519", 0, &m->w.keys[TIME2], NULL), UPT_OK);
	assert_int_equal(upt_private_key_generate("ed25519", 0, &m->w.keys[SNAP2], NULL), UPT_OK);
	m->time_key = K(TIME2);
	m->snap_key = K(SNAP2);
	plan.timestamp = m->time_key;
	plan.snapshot = m->snap_key;
	add(m, &m->pools[UPT_ROLE_ROOT], m->n_roots, plan_root(&m->w, &plan), K(ROOT));
	publish(m);
}

/* What a thief of the online keys signs: any versions, any targets that were ever signed. */
static void
forge(struct model *m)
{
	struct pool *t = &m->pools[UPT_ROLE_TARGETS];
	size_t i = next_random(m) % t->n;
	uint64_t high = next_random(m) % 40 ? 1 + next_random(m) % (m->release + 5)
					    : UPT_JSON_MAX_INTEGER - 1 - next_random(m) % 3;
	cJSON *listing = snapshot_of(high, t->versions[i], upt_buf_span(&t->docs[i]));
	struct upt_span snapshot;

	if (next_random(m) % 4 == 0)
		set_member(listing, "meta/targets.json/version",
			cJSON_CreateNumber((double)(m->targets + next_random(m) % 9)));
	snapshot = add(m, &m->pools[UPT_ROLE_SNAPSHOT], high, listing, m->snap_key);
	add(m, &m->pools[UPT_ROLE_TIMESTAMP], high + next_random(m) % 2,
		timestamp_of(high + next_random(m) % 2, high, snapshot), m->time_key);
}

/* ---- the mirror ---- */

static enum upt_code
fetch(void *ctx, const char *name, size_t max, struct upt_buf *out, struct upt_err *err)
{
	struct model *m = ctx;
	char *rest;
	uint64_t version = strtoull(name, &rest, 10);
	struct pool *pool = &m->pools[UPT_ROLE_ROOT];
	size_t i;

	if (strstr(name, "timestamp") != NULL)
		pool = &m->pools[UPT_ROLE_TIMESTAMP];
	else if (strstr(name, "snapshot") != NULL)
		pool = &m->pools[UPT_ROLE_SNAPSHOT];
	else if (strstr(name, "targets") != NULL)
		pool = &m->pools[UPT_ROLE_TARGETS];
	if (chance(m, 5))
		return upt_fail(err, UPT_E_NETWORK, "no network");
	if (chance(m, 3))
		return upt_fail(err, UPT_E_ABSENT, "no %s", name);
	i = pool->n - 1;
	if (chance(m, 5))
		pool = &m->pools[next_random(m) % UPT_N_ROLES];
	if (pool->n == 0)
		return upt_fail(err, UPT_E_ABSENT, "no %s", name);
	/* Mostly something of that version, or the newest timestamp. */
	if (rest != name) {
		for (i = pool->n; i > 0 && pool->versions[i - 1] != version; i--)
			;
		if (i-- == 0 && !chance(m, 50))
			return upt_fail(err, UPT_E_ABSENT, "no %s", name);
	}
	if (i >= pool->n || chance(m, rest == name ? 25 : 10))
		i = next_random(m) % pool->n;
	if (pool->docs[i].len > max)
		return upt_fail(err, UPT_E_TOO_LARGE, "%s", name);
	out->len = 0;
	return upt_buf_append(out, pool->docs[i].data, pool->docs[i].len, err);
}

/* ---- the store ---- */

static enum upt_code
load(void *ctx, const char *role, struct upt_buf *out, struct upt_err *err)
{
	struct model *m = ctx;

	if (chance(m, 2))
		return upt_fail(err, UPT_E_IO, "cannot read");
	return m->m.feed.load(&m->m, role, out, err);
}

static enum upt_role
role_of(const char *name)
{
	for (int i = 0; i < UPT_N_ROLES; i++) {
		if (strcmp(name, upt_role_name((enum upt_role)i)) == 0)
			return (enum upt_role)i;
	}
	return UPT_N_ROLES;
}

static enum upt_code
save(void *ctx, const char *role, uint64_t version, struct upt_span bytes, struct upt_err *err)
{
	struct model *m = ctx;

	if (version < m->saved[role_of(role)])
		fail_msg("%s v%ju after v%ju", role, (uintmax_t)version,
			(uintmax_t)m->saved[role_of(role)]);
	if (chance(m, 4))
		return upt_fail(err, UPT_E_IO, "lost power before");
	m->m.log[0] = '\0';
	m->saved[role_of(role)] = version;
	UPT_TRY(m->m.feed.save(&m->m, role, version, bytes, err));
	return chance(m, 4) ? upt_fail(err, UPT_E_IO, "lost power behind") : UPT_OK;
}

static enum upt_code
save_root(void *ctx, uint64_t version, struct upt_span bytes, bool drop_others, struct upt_err *err)
{
	struct model *m = ctx;

	assert_true(drop_others);
	assert_int_equal(version, m->saved[UPT_ROLE_ROOT] + 1);
	if (chance(m, 4))
		return upt_fail(err, UPT_E_IO, "lost power before");
	m->m.log[0] = '\0';
	m->saved[UPT_ROLE_ROOT] = version;
	m->saved[UPT_ROLE_TIMESTAMP] = m->saved[UPT_ROLE_SNAPSHOT] = 0;
	UPT_TRY(m->m.feed.save_root(&m->m, version, bytes, drop_others, err));
	return chance(m, 4) ? upt_fail(err, UPT_E_IO, "lost power behind") : UPT_OK;
}

/* No stored copy ever stops to verify: rotations drop what they disown. */
static enum upt_code
forget(void *ctx, const char *role, struct upt_err *err)
{
	(void)ctx;
	(void)err;
	fail_msg("%s forgotten", role);
	return UPT_OK;
}

/* ---- the vehicle ---- */

static uint64_t
current_version(const struct upt_metadata *doc)
{
	return doc != NULL ? doc->version : 0;
}

static enum upt_code
cycle(struct model *m)
{
	struct upt_err err = {0};
	enum upt_code code;
	bool changed;

	world_reset(&m->w);
	code = upt_refresh(m->w.set, &m->feed, NOW, &changed, &err);
	m->n_refused[code]++;
	if (code != UPT_OK) {
		assert_code(err.code, code);
		/* A document that only could not be saved was accepted. */
		if (code != UPT_E_IO)
			assert_null(upt_trusted_set_targets(m->w.set));
		return code;
	}
	assert_int_equal(
		current_version(upt_trusted_set_targets(m->w.set)), m->saved[UPT_ROLE_TARGETS]);
	assert_int_equal(
		current_version(upt_trusted_set_timestamp(m->w.set)), m->saved[UPT_ROLE_TIMESTAMP]);
	return UPT_OK;
}

static void
assert_recovers(struct model *m)
{
	m->honest = true;
	assert_code(cycle(m), UPT_OK);
	assert_int_equal(current_version(upt_trusted_set_root(m->w.set)), m->n_roots);
	assert_int_equal(current_version(upt_trusted_set_targets(m->w.set)), m->targets);
	assert_int_equal(current_version(upt_trusted_set_timestamp(m->w.set)), m->release);
	m->honest = false;
	m->n_good++;
}

static void
run(bool thief)
{
	struct model *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	world_init(&m->w, UPT_REPO_IMAGE);
	memory_feed_init(&m->m);
	m->feed = (struct upt_feed){m, fetch, load, save, save_root, forget};
	m->seed = thief ? 2 : 1;
	m->time_key = K(TIME);
	m->snap_key = K(SNAP);
	m->n_roots = m->saved[UPT_ROLE_ROOT] = 1;
	add(m, &m->pools[UPT_ROLE_ROOT], 1, plain_root(&m->w, 1), K(ROOT));
	store(&m->m, "root", upt_buf_span(&m->pools[UPT_ROLE_ROOT].docs[0]));
	publish(m);
	for (int i = 0; i < N_STEPS; i++) {
		if (i % 40 == 39) {
			rotate(m);
			assert_recovers(m);
		} else if (thief && i % 40 == 19) {
			/* Stolen at once: timestamp and snapshot have no history that protects. */
			rotate(m);
			forge(m);
		} else if (i % 10 == 9) {
			publish(m);
		}
		if (!thief && i % 13 == 12)
			assert_recovers(m);
		if (thief && i % 7 == 6)
			forge(m);
		if (cycle(m) == UPT_OK)
			m->n_good++;
	}
	/* All of it was tried. */
	assert_true(m->n_good > N_STEPS / 20);
	assert_true(m->n_refused[UPT_E_ROLLBACK] > 10);
	assert_true(m->n_refused[UPT_E_WRONG_ROLE] > 10);
	assert_true(m->n_refused[UPT_E_IO] > 10);
	assert_true(m->n_refused[UPT_E_NETWORK] > 10);
	for (int r = 0; r < UPT_N_ROLES; r++) {
		for (size_t i = 0; i < m->pools[r].n; i++)
			upt_buf_clear(&m->pools[r].docs[i]);
	}
	memory_feed_clear(&m->m);
	world_clear(&m->w);
	free(m);
}

static void
nothing_older_follows_and_an_honest_mirror_heals(void **state)
{
	(void)state;
	run(false);
}

/* A thief of the online keys rolls nothing of the offline ones back, and their rotation ends it. */
static void
thief_of_the_online_keys_rolls_no_targets_back(void **state)
{
	(void)state;
	run(true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_older_follows_and_an_honest_mirror_heals),
		cmocka_unit_test(thief_of_the_online_keys_rolls_no_targets_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
