/*
 * What a client keeps of one repository, in memory: the latest document of each role. Shared with
 * tests/conformance. Thread-safety: that of its owner.
 */
#ifndef TESTS_VECTORS_DOCUMENTS_H
#define TESTS_VECTORS_DOCUMENTS_H

#include "base/span.h"

struct document {
	char *role;
	uint64_t version;
	struct upt_buf bytes;
	unsigned mark; /* its owner's */
};

struct documents {
	size_t n;
	struct document *list; /* owned */
};

/* NULL when there is none of that role; good until something is kept or forgotten. */
struct document *documents_find(const struct documents *d, const char *role);
/* A copy of the bytes; UPT_E_NOT_FOUND. */
UPT_NODISCARD enum upt_code documents_load(
	const struct documents *d, const char *role, struct upt_buf *out, struct upt_err *err);
/* In place of what was kept of that role. */
UPT_NODISCARD enum upt_code documents_keep(struct documents *d, const char *role, uint64_t version,
	struct upt_span bytes, struct upt_err *err);
void documents_forget(struct documents *d, const char *role);
/* A new root; drop_others: what it disowns goes with it. */
UPT_NODISCARD enum upt_code documents_keep_root(struct documents *d, uint64_t version,
	struct upt_span bytes, bool drop_others, struct upt_err *err);
void documents_clear(struct documents *d);

#endif
