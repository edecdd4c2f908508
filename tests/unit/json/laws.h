/*
 * What has to hold for every text whatever, as one function for the fuzzer and the unit tests.
 */
#ifndef UPT_TESTS_JSON_LAWS_H
#define UPT_TESTS_JSON_LAWS_H

#include "json/json.h"

/*
 * NULL, or the name of the first law of src/json that the text breaks. text.data must end where its
 * memory ends, so that a sanitizer sees reads behind it.
 */
const char *json_broken_law(struct upt_span text);

#endif
