/*
 * Internal to src/imagerepo: what roles answer about a target, and when several of them agree.
 * Uptane Standard 2.1 "resolve_delegations" (10.6), TAP 3. Thread-safety: no shared state.
 */
#ifndef UPT_IMAGEREPO_AGREE_H
#define UPT_IMAGEREPO_AGREE_H

#include "metadata/roles.h"

/* What one role, with all that it delegates to, says of a target. {0}: it does not list it. */
struct upt_answer {
	const struct upt_metadata *lister; /* the document that lists it, or NULL; borrowed */
	struct upt_target target;
	bool terminated; /* not listed, and a terminating delegation says that nobody else may */
};

/*
 * The answer of a delegation to n roles, given in its order. Answers are alike when length, every
 * hash and the whole custom object (in canonical form) are: whatever the client acts upon. The
 * first answer that at least min of them give wins; where no target does, at least min must say
 * that the search ends, or it goes on. Answers of one and the same document count once.
 * UPT_E_NO_MEMORY.
 */
UPT_NODISCARD enum upt_code upt_answers_agree(const struct upt_answer *answers, size_t n,
	uint64_t min, struct upt_answer *out, struct upt_err *err);

#endif
