/*
 * Internal to src/json: the keys of an object, put in order. A key is known by the address of its
 * first character; it ends at its closing quote. Eight bytes a key is all an unsorted object costs.
 */
#ifndef UPT_JSON_KEYS_H
#define UPT_JSON_KEYS_H

#include "json/json.h"

/* Orders two raw strings by decoded bytes; each ends at an unescaped quote or at its end. */
int upt_json_compare_raw(
	const uint8_t *a, const uint8_t *a_end, const uint8_t *b, const uint8_t *b_end);

/*
 * Sorts n keys of a text that ends at end; equal ones keep their order. n log n comparisons for any
 * input (qsort(3) promises none, and an attacker chooses the input). UPT_E_NO_MEMORY.
 */
UPT_NODISCARD enum upt_code
upt_json_sort_keys(const uint8_t **keys, size_t n, const uint8_t *end, struct upt_err *err);

#endif
