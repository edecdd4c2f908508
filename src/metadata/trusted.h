/*
 * Internal to src/metadata: the trusted set and the checks that its roles share, one file per
 * procedure of the Standard (trusted_root.c, trusted_chain.c, trusted_delegated.c). Every check is
 * read-only; state changes only through upt_trusted_replace(), after the last check.
 */
#ifndef UPT_METADATA_TRUSTED_H
#define UPT_METADATA_TRUSTED_H

#include "metadata/trusted_set.h"

#define UPT_TRUSTED_WHAT_SIZE 160

/* One accepted document and whether everything about it was checked in this cycle. */
struct upt_trusted {
	struct upt_metadata *doc;
	bool current;
};

/* A delegated role; what is not current is only the "previous" of the next check (9.4). */
struct upt_trusted_delegated {
	struct upt_metadata *doc;
	/* The path through which its signatures were checked. */
	const struct upt_metadata *delegator;
	const struct upt_delegated_role *as;
	bool current;
};

struct upt_trusted_set {
	struct upt_trust_policy policy;
	struct upt_trusted roles[UPT_N_ROLES];
	size_t n_delegated;
	struct upt_trusted_delegated *delegated;
};

/* Frees what is held of a role. */
void upt_trusted_drop(struct upt_trusted_set *set, enum upt_role role);
void upt_trusted_drop_delegated(struct upt_trusted_set *set);
/* What depends on the role is no longer current. */
void upt_trusted_outdate_below(struct upt_trusted_set *set, enum upt_role role);
/* Takes *doc over; what depends on the role is no longer current. */
void upt_trusted_replace(
	struct upt_trusted_set *set, enum upt_role role, struct upt_metadata **doc, bool current);

size_t upt_trusted_limit(const struct upt_trusted_set *set, enum upt_role role, bool delegated);
/* Limit and strict reading; bytes move into *doc on success only. */
UPT_NODISCARD enum upt_code upt_trusted_parse(const struct upt_trusted_set *set, enum upt_role role,
	const char *name, struct upt_buf *bytes, struct upt_metadata **doc, struct upt_err *err);
/* A refusal after parsing: the caller gets its bytes back. Returns code. */
enum upt_code upt_trusted_give_back(const struct upt_trusted_set *set, struct upt_metadata *doc,
	struct upt_buf *bytes, enum upt_code code, struct upt_err *err);

/* "director root v7" for messages; returns out. */
const char *upt_trusted_describe(const struct upt_trusted_set *set, const struct upt_metadata *doc,
	char out[static UPT_TRUSTED_WHAT_SIZE]);
/* By the keys that root lists for the document's role. */
UPT_NODISCARD enum upt_code upt_trusted_check_signatures(const struct upt_trusted_set *set,
	const struct upt_root *root, const struct upt_metadata *doc, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_trusted_check_expiry(const struct upt_trusted_set *set,
	const struct upt_metadata *doc, int64_t now, struct upt_err *err);
/* 7.3, 8.4, 9.4; previous may be NULL. */
UPT_NODISCARD enum upt_code upt_trusted_check_not_older(const struct upt_trusted_set *set,
	const struct upt_metadata *doc, const struct upt_metadata *previous, struct upt_err *err);
/* Version, length and every hash, over the served bytes, or in profile ota over the canonical
 * envelope. */
UPT_NODISCARD enum upt_code upt_trusted_check_listed(const struct upt_trusted_set *set,
	const struct upt_file_meta *listed, const struct upt_metadata *doc, struct upt_err *err);
/* Step 9.2: as the current snapshot lists it. Without a snapshot (targets only) nothing lists it.
 */
UPT_NODISCARD enum upt_code upt_trusted_check_targets_listed(
	const struct upt_trusted_set *set, const struct upt_metadata *doc, struct upt_err *err);

#endif
