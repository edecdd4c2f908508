/*
 * The four roles' payloads, read from checked JSON. Parsing says nothing about trust: only struct
 * upt_trusted_set decides that. Uptane Standard 2.1 "root_meta", "targets_meta", "snapshot_meta",
 * "timestamp_meta". Everything lives in the document (struct upt_metadata) that owns the bytes.
 */
#ifndef UPT_METADATA_ROLES_H
#define UPT_METADATA_ROLES_H

#include "metadata/envelope.h"
#include "metadata/image.h"

enum upt_role {
	UPT_ROLE_ROOT = 0,
	UPT_ROLE_TIMESTAMP,
	UPT_ROLE_SNAPSHOT,
	UPT_ROLE_TARGETS, /* top-level and delegated */
	UPT_N_ROLES,
};

const char *upt_role_name(enum upt_role role);

struct upt_root {
	bool consistent_snapshot;
	struct upt_keyring keyring;
	bool has_role[UPT_N_ROLES];
	struct upt_role_keys roles[UPT_N_ROLES];
};

/* How a timestamp or snapshot lists a file. */
struct upt_file_meta {
	struct upt_span name; /* decoded: "snapshot.json", "targets.json", "ROLE.json" */
	uint64_t version;
	bool has_length;
	uint64_t length_bytes;
	size_t n_digests;
	struct upt_digest digests[UPT_MAX_DIGESTS];
};

struct upt_timestamp {
	struct upt_file_meta snapshot;
};

struct upt_snapshot {
	size_t n_files;
	struct upt_file_meta *files; /* in the order of the text */
	const struct upt_file_meta **by_name; /* the same in the order of upt_file_name_compare() */
};

/* A role that a delegation names, and who signs for it by this delegation. */
struct upt_delegated_role {
	const char *name;
	struct upt_role_keys keys;
};

/* To one role, or to several of which some must agree on a target (TAP 3). */
struct upt_delegation {
	const char *name; /* the role's; of several roles: the delegation's */
	size_t n_roles; /* 1 to UPT_MAX_MULTI_ROLES, distinct */
	struct upt_delegated_role *roles; /* in order: the first is heard first */
	uint64_t min_roles; /* that must agree: 1 to n_roles */
	bool terminating;
	size_t n_paths;
	const char **paths; /* glob patterns */
	size_t n_hash_prefixes;
	const char **hash_prefixes; /* lower-case hex prefixes of the target path's SHA-256 */
	bool has_hardware_ids;
	size_t n_hardware_ids;
	const char **hardware_ids;
};

/* Where a target's entry stands in the text: an index instead of a copy of every entry. */
struct upt_target_ref {
	struct upt_span raw_name;
	struct upt_span value;
};

struct upt_targets {
	struct upt_span custom; /* top-level custom object, or empty */
	size_t n_targets;
	struct upt_target_ref *refs; /* in the order of the text */
	bool ascending; /* their names as they stand, without escapes: searched by halves */
	bool has_delegations;
	bool has_multi_roles; /* a delegation is in the shape of TAP 3 */
	struct upt_keyring keyring; /* of the delegations */
	size_t n_delegations;
	struct upt_delegation *delegations; /* in order: first is highest priority */
};

/* One document: bytes, envelope and payload. Owns all of it. */
struct upt_metadata {
	enum upt_role role;
	const char *name; /* "root", "timestamp", "snapshot", "targets" or the delegated role's */
	uint64_t version;
	int64_t expires;
	const struct upt_metadata *before; /* while it is parsed; NULL else */
	struct upt_buf bytes;
	struct upt_arena arena;
	struct upt_envelope envelope;
	struct upt_root root;
	struct upt_timestamp timestamp;
	struct upt_snapshot snapshot;
	struct upt_targets targets;
};

/*
 * Reads a file as a document of that role. On UPT_OK bytes is empty (moved into the document) and
 * *out is to be freed by upt_metadata_free; on failure bytes is as before and *out is NULL.
 * UPT_E_MALFORMED, UPT_E_WRONG_ROLE (type confusion), UPT_E_BAD_THRESHOLD, UPT_E_DUPLICATE_KEYID,
 * UPT_E_NO_MEMORY. name is copied.
 */
UPT_NODISCARD enum upt_code upt_metadata_parse(enum upt_role role, const char *name,
	struct upt_buf *bytes, struct upt_metadata **out, struct upt_err *err);
/* The same for what follows before (may be NULL), a document of that role: keys that both list
 * alike are shared. Either may be freed first. */
UPT_NODISCARD enum upt_code
upt_metadata_parse_next(enum upt_role role, const char *name, const struct upt_metadata *before,
	struct upt_buf *bytes, struct upt_metadata **out, struct upt_err *err);
void upt_metadata_free(struct upt_metadata **metadata);

/* A listed target, decoded. Strings live in the arena given to upt_targets_get(). */
struct upt_target {
	struct upt_image image; /* name, length, known digests, release counter */
	bool unknown_hash; /* lists an algorithm that this build cannot verify */
	const char *format; /* "" when absent */
	const char *uri; /* NULL when absent */
	bool has_hardware_ids; /* a list is given, be it empty */
	size_t n_hardware_ids;
	const char **hardware_ids; /* Image repository: the hardware it is for */
	size_t n_install_after;
	const char **install_after; /* Image repository: hardware that is to be updated before it */
	size_t n_ecus;
	struct upt_target_ecu { /* Director: the ECUs that shall install it */
		const char *serial;
		const char *hardware_id;
	} * ecus;
	const char *encrypted_by; /* the member of custom that says it is encrypted, or NULL */
	struct upt_span
		must_match; /* raw JSON object that both repositories must list alike, or empty */
	struct upt_span custom; /* the whole custom object, raw, or empty */
};

/* Index of the target of that name, or -1. */
long upt_targets_find(const struct upt_targets *targets, const char *name);
/* Decodes entry i < n_targets. UPT_E_MALFORMED for wrong shapes in custom; UPT_E_NO_MEMORY. */
UPT_NODISCARD enum upt_code upt_targets_get(const struct upt_targets *targets, size_t i,
	struct upt_arena *arena, struct upt_target *out, struct upt_err *err);

/* Orders names by their bytes. */
int upt_file_name_compare(struct upt_span a, struct upt_span b);
/* The snapshot's listing of a file ("targets.json", "ROLE.json"), or NULL. */
const struct upt_file_meta *
upt_snapshot_find(const struct upt_snapshot *snapshot, const char *file_name);

/* Role parsers, one file each; used by upt_metadata_parse only. */
UPT_NODISCARD enum upt_code
upt_root_member(struct upt_json_iter *it, struct upt_metadata *m, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_timestamp_member(struct upt_json_iter *it, struct upt_metadata *m, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_snapshot_member(struct upt_json_iter *it, struct upt_metadata *m, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_targets_member(struct upt_json_iter *it, struct upt_metadata *m, struct upt_err *err);
/* The member "delegations" of targets. UPT_E_DELEGATION above a limit; UPT_E_BAD_THRESHOLD for
 * min_roles_in_agreement outside 1 to the number of roles. */
UPT_NODISCARD enum upt_code
upt_delegations_parse(struct upt_json_iter *it, struct upt_metadata *m, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_root_complete(const struct upt_metadata *m, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_timestamp_complete(const struct upt_metadata *m, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_snapshot_complete(const struct upt_metadata *m, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_targets_complete(const struct upt_metadata *m, struct upt_err *err);
/* Reads {"version"[,"length"][,"hashes"]}. */
UPT_NODISCARD enum upt_code
upt_file_meta_parse(struct upt_json_iter *it, struct upt_file_meta *out, struct upt_err *err);
/* Reads a hashes object; unknown algorithms are skipped and noted. */
UPT_NODISCARD enum upt_code upt_hashes_parse(struct upt_json_iter *it, struct upt_digest *digests,
	size_t *n_digests, bool *unknown, struct upt_err *err);
/* Reads a list of at most max strings of at most max_bytes each, as spelt, into the arena. */
UPT_NODISCARD enum upt_code upt_strings_parse(struct upt_json_iter *it, struct upt_arena *arena,
	size_t max, size_t max_bytes, const char ***out, size_t *n_out, struct upt_err *err);

#endif
