/*
 * One role's document as hostile bytes, for the four harnesses of the role parsers. What is
 * accepted is what a plain reader of the same bytes (role_model.h) finds there; what that reader
 * refuses is refused.
 */
#ifndef UPT_TESTS_FUZZ_METADATA_ROLE_H
#define UPT_TESTS_FUZZ_METADATA_ROLE_H

#include "metadata/roles.h"

void fuzz_role(enum upt_role role, struct upt_span bytes);

#endif
