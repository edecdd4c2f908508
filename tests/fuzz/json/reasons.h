/*
 * Why cJSON reads a text that the strict reader must not: found without any code of ours, from
 * cJSON's own tree, from libunistring and from a look at the bytes. A text that cJSON reads and
 * that has none of these reasons is one that our reader has to accept.
 */
#ifndef UPT_TESTS_FUZZ_JSON_REASONS_H
#define UPT_TESTS_FUZZ_JSON_REASONS_H

#include <cjson/cJSON.h>
#include "base/span.h"

enum reason {
	REASON_TRAILING = 1 << 0, /* bytes behind the value */
	REASON_BOM = 1 << 1, /* a byte order mark before it */
	REASON_SPACE = 1 << 2, /* control characters as white space */
	REASON_SIGN = 1 << 3, /* a number with a sign */
	REASON_FRACTION = 1 << 4, /* a number with a fraction or an exponent */
	REASON_LEADING_ZERO = 1 << 5,
	REASON_TOO_BIG = 1 << 6, /* a number above 2^53-1 */
	REASON_CONTROL = 1 << 7, /* a raw control character in a string */
	REASON_NUL = 1 << 8, /* an escaped NUL, or what cJSON takes for one */
	REASON_UTF8 = 1 << 9, /* a string that is no UTF-8 */
	REASON_NFC = 1 << 10, /* a string not in Normalization Form C */
	REASON_MARKS = 1 << 11, /* too many combining marks in a row */
	REASON_DUPLICATE = 1 << 12, /* an object with one name twice */
	REASON_DEPTH = 1 << 13, /* nested too deep */
	REASON_TOP = 1 << 14, /* too many members at the top */
};

#define N_REASONS 15

/* All that are there; tree is cJSON's of text, end the first byte behind what it read. */
unsigned reasons_of(struct upt_span text, const cJSON *tree, const char *end);
const char *reason_name(unsigned index);

#endif
