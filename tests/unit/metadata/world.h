/*
 * A repository in memory for the tests of the verifier: keys by name, payloads with sound defaults
 * that a test spoils in one place, and a trusted set to offer them to. Everything is deterministic
 * but keys.
 */
#ifndef TESTS_METADATA_WORLD_H
#define TESTS_METADATA_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "authoring/authoring.h"
#include "metadata/trusted_set.h"

#define NOW INT64_C(1767225600) /* 2026-01-01T00:00:00Z */
#define LATER (NOW + 86400)
#define PAST (NOW - 1)

enum key {
	ROOT,
	ROOT2,
	ROOT3,
	TIME,
	TIME2,
	SNAP,
	SNAP2,
	TARG,
	TARG2,
	DEL_A,
	DEL_B,
	DEL_C,
	THIEF, /* in no role */
	N_KEYS,
};
#define K(key) (1u << (key))

struct world {
	struct upt_private_key *keys[N_KEYS];
	struct upt_trust_policy policy;
	struct upt_trusted_set *set;
};

void world_init(struct world *w, enum upt_repo repo);
void world_clear(struct world *w);
/* A new, empty set with w->policy. */
void world_reset(struct world *w);
/* cmocka setup and teardown: *state is a struct world * of an Image repository with root v1
 * finished. */
int world_setup(void **state);
int world_teardown(void **state);

/* Payloads: all expire LATER. Keys of a role as a bit set of K(). */
struct root_plan {
	uint64_t version;
	unsigned root, timestamp, snapshot, targets; /* 0: the role is not listed */
	unsigned root_threshold; /* 0: 1 */
	bool not_consistent;
};
cJSON *plan_root(struct world *w, const struct root_plan *plan);
/* ROOT, TIME, SNAP, TARG with threshold 1. */
cJSON *plain_root(struct world *w, uint64_t version);
cJSON *empty_targets(uint64_t version);
cJSON *targets_with(uint64_t version, const char *name, struct upt_span content);
cJSON *snapshot_of(uint64_t version, uint64_t targets_version, struct upt_span targets);
cJSON *timestamp_of(uint64_t version, uint64_t snapshot_version, struct upt_span snapshot);
void delegate(struct world *w, cJSON *targets, const char *role, unsigned keys, unsigned threshold,
	const char *path, bool terminating);
struct named_keys {
	const char *role;
	unsigned keys; /* of which one signs */
};
/* To several roles, of which min must agree (TAP 3). */
void delegate_to_several(struct world *w, cJSON *targets, const char *name,
	const struct named_keys *roles, size_t n, unsigned min, const char *path, bool terminating);
/* Lists sha256 and, with sha512, the longer hash of the content. */
struct upt_image image_of(const char *name, struct upt_span content, bool sha512);

/* Changing a payload before it is signed: members by path, "meta/snapshot.json/version". */
cJSON *at(cJSON *object, const char *path);
void set_member(cJSON *object, const char *path, cJSON *value);
void drop_member(cJSON *object, const char *path);

/* Signs and deletes the payload; out is replaced. */
void sign_with(struct world *w, cJSON *payload, unsigned keys, struct upt_buf *out);

/* A whole release, targets of which are version v, snapshot v, timestamp v. */
struct release {
	struct upt_buf targets, snapshot, timestamp;
};
void release_make(struct world *w, cJSON *targets, uint64_t version, struct release *out);
void release_clear(struct release *r);

enum step {
	PIN,
	NEXT_ROOT,
	TIMESTAMP,
	SNAPSHOT,
	TARGETS,
	RESTORE_TIMESTAMP,
	RESTORE_SNAPSHOT,
	RESTORE_TARGETS
};

/* Offers bytes to the set. */
enum upt_code offer(struct world *w, enum step step, struct upt_buf *bytes, struct upt_err *err);
/* The refusal has this code and names the repository; the set is as before, the bytes are given
 * back. */
void refuses_bytes(struct world *w, enum step step, struct upt_span bytes, enum upt_code want);
void accepts_bytes(struct world *w, enum step step, struct upt_span bytes);
/* The same with a payload, which is signed and deleted. */
void refuses(struct world *w, enum step step, cJSON *payload, unsigned keys, enum upt_code want);
void accepts(struct world *w, enum step step, cJSON *payload, unsigned keys);
/* All three of a release. */
void accepts_release(struct world *w, const struct release *r);

#define assert_code(got, want) assert_string_equal(upt_code_name(got), upt_code_name(want))

#endif
