/*
 * What is trusted of one repository, and the procedures that let something new in: pure functions
 * of bytes, trusted time and limits. Candidates arrive in the Standard's order (root, timestamp,
 * snapshot, targets, delegated targets); a refusal names the attack and changes nothing. No I/O, no
 * clock, no globals: the Primary, Secondaries, tests and fuzzers all feed this one verifier. Uptane
 * Standard 2.1 "full_verification", "check_root", "check_timestamp", "check_snapshot",
 * "check_targets". Thread-safety: a set belongs to one thread.
 */
#ifndef UPT_METADATA_TRUSTED_SET_H
#define UPT_METADATA_TRUSTED_SET_H

#include "metadata/limits.h"
#include "metadata/roles.h"

/* Where profiles differ; see docs/pouf.md. */
struct upt_trust_policy {
	enum upt_repo repo;
	struct upt_limits limits;
	/* A Director may lack timestamp and snapshot when its signed root does not list them
	 * (profile ota). */
	bool allow_targets_only;
	/* Hash and length in timestamp and snapshot may be those of the canonical envelope (profile
	 * ota). */
	bool allow_canonical_hashes;
	/* The timestamp must list a hash of the snapshot (Standard; plain TUF leaves it open). */
	bool require_snapshot_hash;
	/* Delegated roles are served as delegations/ROLE.json, unversioned (profile ota). */
	bool delegations_in_folder;
	/*
	 * Where plain TUF 1.0 differs from the Standard (its client workflow by section); all of
	 * them are false for every Uptane repository.
	 */
	/* 5.3.3: after limits.max_root_steps the cycle goes on under the last root instead of
	 * ending.
	 */
	bool go_on_after_max_root_steps;
	/* 5.4.3: of two timestamps with one version the held one stays, whatever the new one lists.
	 */
	bool keep_equal_timestamp;
	/* 5.5, 5.6: a stored snapshot or targets file of the listed version is current without a
	 * listed hash. */
	bool equal_version_is_current;
	/* 5.6: targets roll back only against the snapshot's listing (8.5), not against their
	 * stored copy (9.4): new snapshot keys undo a fast-forward of targets. */
	bool targets_bound_by_snapshot;
	/* 5.6.7.1: a search skips a role that it has visited, also when another delegator leads
	 * there. */
	bool visit_roles_once;
	/* 4.5: a delegation is to one role. TAP 3 is no part of it: one to several is malformed. */
	bool single_role_delegations;
	/* A leading dot of a role's name stays as it is in file names: TUF clients quote reserved
	 * characters only. */
	bool plain_leading_dot;
	/* Last step of checking top-level targets, e.g. the Director's rules (9.7, 9.8); may be
	 * NULL. A refusal keeps the document out. rules_ctx is borrowed for the set's life. */
	enum upt_code (*check_rules)(
		const void *rules_ctx, const struct upt_metadata *targets, struct upt_err *err);
	const void *rules_ctx;
};

/*
 * What every Uptane client asks of a repository in profile standard or ota, with the default limits
 * and no rules: the Director's are the caller's to add. One place, so that a Primary and its
 * Secondaries never differ in what they take.
 */
struct upt_trust_policy upt_trust_policy_uptane(enum upt_repo repo, bool ota);

struct upt_trusted_set;

UPT_NODISCARD enum upt_code upt_trusted_set_new(
	const struct upt_trust_policy *policy, struct upt_trusted_set **out, struct upt_err *err);
void upt_trusted_set_free(struct upt_trusted_set **set);
const struct upt_trust_policy *upt_trusted_set_policy(const struct upt_trusted_set *set);

/*
 * Every function below that takes bytes moves them into the set on UPT_OK (*bytes is empty then)
 * and leaves them alone else. Common refusals: UPT_E_TOO_LARGE above the role's limit,
 * UPT_E_MALFORMED, UPT_E_WRONG_ROLE, UPT_E_THRESHOLD, UPT_E_DUPLICATE_KEYID, UPT_E_BAD_THRESHOLD.
 */

/* 6.1: the previous root, pinned at provisioning or stored since. Must verify against itself.
 * Whatever else the set holds is forgotten: it was trusted under another root. */
UPT_NODISCARD enum upt_code
upt_trusted_set_pin_root(struct upt_trusted_set *set, struct upt_buf *bytes, struct upt_err *err);
/*
 * 6.3, 6.4: the next root: threshold of the trusted root's keys and of its own, version exactly one
 * higher. UPT_E_VERSION_GAP, UPT_E_ROLLBACK. Held documents that the new root's keys do not sign
 * are dropped. *drop_others is set when the timestamp's or snapshot's keys changed (6.7): the set
 * has dropped both, and the caller must drop its stored copies in the same durable step that stores
 * this root, or a fast-forwarded version would survive its key.
 */
UPT_NODISCARD enum upt_code upt_trusted_set_update_root(
	struct upt_trusted_set *set, struct upt_buf *bytes, bool *drop_others, struct upt_err *err);
/* 6.6: after the last root. UPT_E_EXPIRED. */
UPT_NODISCARD enum upt_code
upt_trusted_set_finish_root(struct upt_trusted_set *set, int64_t now, struct upt_err *err);

/*
 * A stored copy of the last accepted timestamp, snapshot or targets, as the "previous" of the next
 * check. Signatures are checked by the present root's keys, expiry is not: expired metadata on disk
 * never wedges the client. A copy that no longer verifies is to be dropped by the caller. It is not
 * current, nor is what depends on the role. UPT_E_ROLLBACK for a copy older than what is held
 * already.
 */
UPT_NODISCARD enum upt_code upt_trusted_set_restore(struct upt_trusted_set *set, enum upt_role role,
	struct upt_buf *bytes, struct upt_err *err);

/* 7.2 to 7.4. UPT_E_ROLLBACK, UPT_E_EXPIRED. */
UPT_NODISCARD enum upt_code upt_trusted_set_update_timestamp(
	struct upt_trusted_set *set, struct upt_buf *bytes, int64_t now, struct upt_err *err);
/* 5.5, 5.10: true when the restored snapshot is the one the timestamp lists (hash and version), and
 * it has not expired: then it is current without a download. */
bool upt_trusted_set_confirm_snapshot(struct upt_trusted_set *set, int64_t now);
/* 8.2 to 8.7. UPT_E_HASH_MISMATCH, UPT_E_VERSION_MISMATCH, UPT_E_ROLLBACK, UPT_E_FILE_DROPPED,
 * UPT_E_EXPIRED. */
UPT_NODISCARD enum upt_code upt_trusted_set_update_snapshot(
	struct upt_trusted_set *set, struct upt_buf *bytes, int64_t now, struct upt_err *err);
/* As confirm_snapshot, for the top-level targets. */
bool upt_trusted_set_confirm_targets(struct upt_trusted_set *set, int64_t now);
/* 9.2 to 9.6 (no delegations by a Director). UPT_E_VERSION_MISMATCH, UPT_E_HASH_MISMATCH,
 * UPT_E_ROLLBACK, UPT_E_EXPIRED, UPT_E_DIRECTOR_DELEGATES. */
UPT_NODISCARD enum upt_code upt_trusted_set_update_targets(
	struct upt_trusted_set *set, struct upt_buf *bytes, int64_t now, struct upt_err *err);

/*
 * A delegated role, reached as one that a delegation of delegator names (both current in this set).
 * Checked against the snapshot and against the keys of that delegator (9.2 to 9.5). *out is
 * borrowed from the set, until a role above is replaced. UPT_E_NOT_LISTED when the snapshot does
 * not list it; UPT_E_DELEGATION when all that is loaded would be more than the limits allow;
 * UPT_E_INTERNAL when no current document delegates so, or the role is loaded already.
 */
UPT_NODISCARD enum upt_code upt_trusted_set_update_delegated(struct upt_trusted_set *set,
	const struct upt_metadata *delegator, const struct upt_delegated_role *as,
	struct upt_buf *bytes, int64_t now, const struct upt_metadata **out, struct upt_err *err);
/* A stored copy of a delegated role as the "previous" of the next check (9.4), by the delegator's
 * keys and without regard to expiry, as upt_trusted_set_restore(). */
UPT_NODISCARD enum upt_code
upt_trusted_set_restore_delegated(struct upt_trusted_set *set, const struct upt_metadata *delegator,
	const struct upt_delegated_role *as, struct upt_buf *bytes, struct upt_err *err);
/*
 * The delegated role as an earlier call accepted it, if its signatures also satisfy this
 * delegator's keys: a role reached twice is trusted through each path by itself. *out is NULL when
 * it was not loaded yet.
 */
UPT_NODISCARD enum upt_code
upt_trusted_set_find_delegated(struct upt_trusted_set *set, const struct upt_metadata *delegator,
	const struct upt_delegated_role *as, const struct upt_metadata **out, struct upt_err *err);

/* The root of trust, also before upt_trusted_set_finish_root(); NULL when none is pinned. Borrowed.
 */
const struct upt_metadata *upt_trusted_set_root(const struct upt_trusted_set *set);
/* What is current in this cycle (fully checked, unexpired); NULL else. Borrowed. */
const struct upt_metadata *upt_trusted_set_timestamp(const struct upt_trusted_set *set);
const struct upt_metadata *upt_trusted_set_snapshot(const struct upt_trusted_set *set);
const struct upt_metadata *upt_trusted_set_targets(const struct upt_trusted_set *set);
/*
 * When the first of all that is current expires, delegated roles included: from then on nothing
 * that was decided by it may be acted upon (5.15; a freeze). INT64_MAX when nothing is current.
 */
int64_t upt_trusted_set_expires(const struct upt_trusted_set *set);
/* What the set holds of a role, current or only restored: for telling whether a save is needed. */
const struct upt_metadata *
upt_trusted_set_held(const struct upt_trusted_set *set, enum upt_role role);
/* True for a Director whose signed root lists neither timestamp nor snapshot (policy allows it). */
bool upt_trusted_set_targets_only(const struct upt_trusted_set *set);

/* Byte limit for fetching a role now: the smaller of its limit and the listed length, where served
 * bytes are what is listed. name: the delegated role's, or NULL. */
size_t upt_trusted_set_fetch_limit(
	const struct upt_trusted_set *set, enum upt_role role, const char *name);
/*
 * File name of a role on the server (0.13, 0.15): "7.root.json" (version = root version wanted),
 * "timestamp.json", "3.snapshot.json", "5.targets.json", "2.ROLE.json" with ROLE percent-encoded.
 * Appended to out. Call when the role that lists it is current. name: the delegated role's, or
 * NULL.
 */
UPT_NODISCARD enum upt_code
upt_trusted_set_file_name(const struct upt_trusted_set *set, enum upt_role role, const char *name,
	uint64_t root_version, struct upt_buf *out, struct upt_err *err);

#endif
