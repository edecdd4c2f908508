/*
 * Making and signing metadata: shared by uptane-repo, uptane-director, tests and vectors. Never
 * linked into anything that runs on a vehicle. All payloads are cJSON objects that the caller owns.
 * Spelling: plain TUF 1.0 (_type in lower case, keys with a scheme, signatures in hex), which every
 * client of WIRE's dialects reads. Standard 2.1 "root_meta", "targets_meta", "snapshot_meta",
 * "timestamp_meta". Thread-safety: no shared state.
 */
#ifndef UPT_AUTHORING_AUTHORING_H
#define UPT_AUTHORING_AUTHORING_H

#include <cjson/cJSON.h>
#include "base/span.h"
#include "crypto/crypto.h"
#include "metadata/image.h"

#define UPT_AUTHOR_SPEC_VERSION "1.0.0"

struct upt_author_role {
	const char *name;                            /* "root", "targets", ... or a delegated role */
	const struct upt_private_key *const *keys;   /* keys listed for the role (public parts) */
	size_t n_keys;
	unsigned threshold;
};

/* Frees what upt_cleanup() or a caller owns; *json is NULL afterwards. */
void upt_author_json_clear(cJSON **json);
/*
 * New payloads: {"_type","spec_version","version","expires", ...}; NULL without memory. A version
 * above 2^53 - 1 is refused when the payload is signed. Nothing checks thresholds against keys:
 * attack vectors are made with the same functions.
 */
cJSON *upt_author_root(uint64_t version, int64_t expires, bool consistent_snapshot,
	const struct upt_author_role *roles, size_t n_roles);
cJSON *upt_author_targets(uint64_t version, int64_t expires);
/*
 * Adds {length, hashes, custom} under targets in place of an entry of the same name; custom (may be
 * NULL) is taken over, also on failure. A release counter of the image is set in custom. Linear in
 * the entries present: upt_author_add_targets() adds thousands. UPT_E_MALFORMED for an empty name,
 * no digest, or a number above 2^53 - 1; UPT_E_NO_MEMORY.
 */
UPT_NODISCARD enum upt_code upt_author_add_target(cJSON *targets, const struct upt_image *image,
	cJSON *custom, struct upt_err *err);
/*
 * The same for n images in O((entries + n) log(entries + n)); of a name given twice the last one
 * stays. customs is NULL or n owned objects or NULLs: each is taken over and its place set to NULL,
 * also on failure. Afterwards the entries are in the order of canonical form. A failure adds none.
 */
UPT_NODISCARD enum upt_code upt_author_add_targets(cJSON *targets, const struct upt_image *images,
	cJSON **customs, size_t n, struct upt_err *err);
/* meta entries: version, length and sha256 of the served bytes. */
cJSON *upt_author_snapshot(uint64_t version, int64_t expires);
UPT_NODISCARD enum upt_code upt_author_snapshot_add(cJSON *snapshot, const char *file_name,
	uint64_t version, struct upt_span bytes, struct upt_err *err);
cJSON *upt_author_timestamp(uint64_t version, int64_t expires);
UPT_NODISCARD enum upt_code upt_author_timestamp_set(cJSON *timestamp, uint64_t snapshot_version,
	struct upt_span snapshot_bytes, struct upt_err *err);
/*
 * Adds a delegation (appended: order is priority). paths: glob patterns; hardware ids may be none,
 * else they are written as "hardwareIds". The payload is unchanged on failure.
 */
UPT_NODISCARD enum upt_code upt_author_add_delegation(cJSON *targets, const struct upt_author_role *role,
	const char *const *paths, size_t n_paths, const char *const *hardware_ids, size_t n_hardware_ids,
	bool terminating, struct upt_err *err);

/* Which targets a delegation is about. */
struct upt_author_scope {
	const char *const *paths;
	size_t n_paths;
	const char *const *hardware_ids;
	size_t n_hardware_ids;
	bool terminating;
};
/*
 * Adds a delegation to several roles, of which min_roles must agree (TAP 3). name is the delegation's
 * own; the order of the roles decides between groups that agree on different things.
 */
UPT_NODISCARD enum upt_code upt_author_add_multi_role_delegation(cJSON *targets, const char *name,
	const struct upt_author_role *roles, size_t n_roles, unsigned min_roles,
	const struct upt_author_scope *scope, struct upt_err *err);

/* {"keytype","scheme","keyval":{"public"}} of the public part; NULL without memory. */
cJSON *upt_author_key(const struct upt_private_key *key);

/*
 * Signs: out (replaced) is the canonical envelope {"signatures":[{"keyid","method","sig"}],"signed"},
 * sig in hex (plain TUF and we read both), the text exactly what upt_json_canonical gives for
 * UPT_JSON_UTF8, so that clients verify it in place. No key: an unsigned envelope. Signatures stand
 * in the order of keys. UPT_E_MALFORMED when the payload is no object or holds what no reader of
 * signed JSON takes (a float, a number outside 0..2^53-1, a duplicate key); UPT_E_DUPLICATE_KEYID
 * for one key twice; out is unchanged on failure.
 */
UPT_NODISCARD enum upt_code upt_author_sign(const cJSON *payload,
	const struct upt_private_key *const *keys, size_t n_keys, struct upt_buf *out, struct upt_err *err);

#endif
