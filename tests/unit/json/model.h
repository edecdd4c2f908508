/*
 * A second opinion on JSON: the canonical text of a cJSON tree, for texts whose value cJSON can
 * hold.
 */
#ifndef UPT_TESTS_JSON_MODEL_H
#define UPT_TESTS_JSON_MODEL_H

#include <cjson/cJSON.h>
#include "json/json.h"

/* Appends the canonical text of item in form to out. Aborts without memory. */
void model_canonical(const cJSON *item, enum upt_json_form form, struct upt_buf *out);
/* Parses all of text, nothing behind it; NULL when cJSON refuses. */
cJSON *model_parse(struct upt_span text);

#endif
