/*
 * A second reader of metadata, as plain as can be: cJSON's tree, the Standard's fields, one check
 * after the other, no speed. It aborts when our parser accepted what it would not, or read another
 * value. Uptane Standard 2.1 "root_meta", "targets_meta", "snapshot_meta", "timestamp_meta".
 */
#ifndef UPT_TESTS_FUZZ_METADATA_ROLE_MODEL_H
#define UPT_TESTS_FUZZ_METADATA_ROLE_MODEL_H

#include "metadata/roles.h"

/* m: what upt_metadata_parse() made of its own bytes. */
void role_model_check(const struct upt_metadata *m);

#endif
