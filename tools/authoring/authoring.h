/*
 * Making and signing metadata: shared by uptane-repo, uptane-director, tests and vectors. Never
 * linked into anything that runs on a vehicle. All payloads are cJSON objects that the caller owns.
 */
#ifndef UPT_AUTHORING_AUTHORING_H
#define UPT_AUTHORING_AUTHORING_H

#include <cjson/cJSON.h>
#include "base/span.h"
#include "crypto/crypto.h"
#include "metadata/image.h"

struct upt_author_role {
	const char *name;                            /* "root", "targets", ... or a delegated role */
	const struct upt_private_key *const *keys;   /* keys listed for the role (public parts) */
	size_t n_keys;
	unsigned threshold;
};

/* New payloads: {"_type","spec_version","version","expires", ...}; NULL without memory. */
cJSON *upt_author_root(uint64_t version, int64_t expires, bool consistent_snapshot,
	const struct upt_author_role *roles, size_t n_roles);
cJSON *upt_author_targets(uint64_t version, int64_t expires);
/* Adds {length, hashes, custom} under targets; custom (may be NULL) is taken over. Replaces the entry. */
UPT_NODISCARD enum upt_code upt_author_add_target(cJSON *targets, const struct upt_image *image,
	cJSON *custom, struct upt_err *err);
/* meta entries: version, length and sha256 of the served bytes. */
cJSON *upt_author_snapshot(uint64_t version, int64_t expires);
UPT_NODISCARD enum upt_code upt_author_snapshot_add(cJSON *snapshot, const char *file_name,
	uint64_t version, struct upt_span bytes, struct upt_err *err);
cJSON *upt_author_timestamp(uint64_t version, int64_t expires);
UPT_NODISCARD enum upt_code upt_author_timestamp_set(cJSON *timestamp, uint64_t snapshot_version,
	struct upt_span snapshot_bytes, struct upt_err *err);
/* Adds a delegation (appended: order is priority). paths: glob patterns; hardware ids may be none. */
UPT_NODISCARD enum upt_code upt_author_add_delegation(cJSON *targets, const struct upt_author_role *role,
	const char *const *paths, size_t n_paths, const char *const *hardware_ids, size_t n_hardware_ids,
	bool terminating, struct upt_err *err);

/*
 * Signs: out (replaced) is the canonical envelope {"signatures":[{"keyid","method","sig"}],"signed"},
 * sig in hex (plain TUF and we read both), the text exactly what upt_json_canonical gives for
 * UPT_JSON_UTF8, so that clients verify it in place.
 */
UPT_NODISCARD enum upt_code upt_author_sign(const cJSON *payload,
	const struct upt_private_key *const *keys, size_t n_keys, struct upt_buf *out, struct upt_err *err);

#endif
