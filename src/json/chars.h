/*
 * Internal to src/json: one character at a time, from its spelling to its code point and back.
 */
#ifndef UPT_JSON_CHARS_H
#define UPT_JSON_CHARS_H

#include "json/json.h"

/* Longest spelling of one character: a surrogate pair. */
#define UPT_JSON_MAX_SPELLING 12

/*
 * Reads the UTF-8 sequence at *pos (RFC 3629: shortest form, no surrogates, at most U+10FFFF) and
 * moves behind it. NULL, or why it is none; *pos and *c are unchanged then.
 */
const char *upt_json_read_utf8(const uint8_t **pos, const uint8_t *end, uint32_t *c);
/* The same for the escape whose backslash is at *pos; \u0000 and lone surrogates are none. */
const char *upt_json_read_escape(const uint8_t **pos, const uint8_t *end, uint32_t *c);
/* Writes c (not above U+10FFFF, no surrogate) as UTF-8; returns the number of bytes. */
size_t upt_json_write_utf8(uint32_t c, uint8_t out[static 4]);
/* Writes c as form spells it inside a string; returns the number of bytes. */
size_t
upt_json_spell(uint32_t c, enum upt_json_form form, uint8_t out[static UPT_JSON_MAX_SPELLING]);

#endif
