/*
 * Names that people type: roles, targets, keys. What is accepted here becomes part of file names on
 * the static server, so nothing that could leave its folder or forge a line of output passes.
 */
#ifndef REPO_NAMES_H
#define REPO_NAMES_H

#include <stddef.h>
#include "base/err.h"

#define REPO_ROLE_FILE_SIZE 201
#define REPO_KEY_NAME_MAX 100

/* UPT_E_USAGE with the reason. */
UPT_NODISCARD enum upt_code repo_check_role_name(const char *name, struct upt_err *err); /* delegated */
UPT_NODISCARD enum upt_code repo_check_target_name(const char *name, struct upt_err *err);
UPT_NODISCARD enum upt_code repo_check_key_name(const char *name, struct upt_err *err);

bool repo_is_top_role(const char *name);
/* Percent-encoded as clients ask for it; false when it does not fit. */
bool repo_encode_role(const char *name, char out[static REPO_ROLE_FILE_SIZE]);

/* The candidate most like the word when it is near enough to be a typo of it; NULL else. */
const char *repo_nearest(const char *word, const char *const *candidates, size_t n);

#endif
