/*
 * Internal to src/json: the lexical steps that checker, iterators and canonicaliser share. Every
 * function takes [pos, end), stays inside it whatever the bytes are, and keeps no state.
 */
#ifndef UPT_JSON_LEX_H
#define UPT_JSON_LEX_H

#include <endian.h>
#include "json/json.h"

/* A byte in every lane of a 64-bit word, so that eight characters are looked at in one step. */
#define UPT_JSON_LANES(byte) (UINT64_C(0x0101010101010101) * (byte))

/* First byte behind a span; no arithmetic on the NULL of an empty one. */
static inline const uint8_t *
upt_json_span_end(struct upt_span span)
{
	return span.len > 0 ? span.data + span.len : span.data;
}

/* Eight bytes with the first one in the lowest lane. */
static inline uint64_t
upt_json_load8(const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return le64toh(word);
}

/*
 * The high bit of each lane that holds a quote or a backslash. A borrow only spoils lanes above a
 * real hit, so the lowest bit is always right.
 */
static inline uint64_t
upt_json_quote_or_escape(uint64_t word)
{
	uint64_t quote = word ^ UPT_JSON_LANES('"');
	uint64_t escape = word ^ UPT_JSON_LANES('\\');

	return (((quote - UPT_JSON_LANES(1)) & ~quote) | ((escape - UPT_JSON_LANES(1)) & ~escape)) &
	       UPT_JSON_LANES(0x80);
}

/* The same for every byte that is not printable ASCII, a quote or a backslash. */
static inline uint64_t
upt_json_not_plain(uint64_t word)
{
	uint64_t quote = word ^ UPT_JSON_LANES('"');
	uint64_t escape = word ^ UPT_JSON_LANES('\\');
	uint64_t control = word - UPT_JSON_LANES(0x20);
	uint64_t del = word + UPT_JSON_LANES(1);

	return (word | control | del | (quote - UPT_JSON_LANES(1)) | (escape - UPT_JSON_LANES(1))) &
	       UPT_JSON_LANES(0x80);
}

static inline size_t
upt_json_first_lane(uint64_t hits)
{
	return (size_t)__builtin_ctzll(hits) / 8;
}

static inline bool
upt_json_is_plain(uint8_t byte)
{
	return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

/* The first byte that every form may spell otherwise than as it stands, or end. */
static inline const uint8_t *
upt_json_plain_end(const uint8_t *pos, const uint8_t *end)
{
	while ((size_t)(end - pos) >= 8) {
		uint64_t hits = upt_json_not_plain(upt_json_load8(pos));

		if (hits != 0)
			return pos + upt_json_first_lane(hits);
		pos += 8;
	}
	while (pos < end && upt_json_is_plain(*pos))
		pos++;
	return pos;
}

/* The closing quote of a string whose first character is at pos; NULL when there is none. */
static inline const uint8_t *
upt_json_string_end(const uint8_t *pos, const uint8_t *end)
{
	while (pos < end) {
		if ((size_t)(end - pos) >= 8) {
			uint64_t hits = upt_json_quote_or_escape(upt_json_load8(pos));

			if (hits == 0) {
				pos += 8;
				continue;
			}
			pos += upt_json_first_lane(hits);
		}
		if (*pos == '"')
			return pos;
		/* A backslash hides the next byte; at the end of the bytes it hides nothing. */
		if (*pos == '\\' && end - pos < 2)
			return NULL;
		pos += *pos == '\\' ? 2 : 1;
	}
	return NULL;
}

static inline bool
upt_json_is_space(uint8_t byte)
{
	return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static inline const uint8_t *
upt_json_skip_space(const uint8_t *pos, const uint8_t *end)
{
	while (pos < end && upt_json_is_space(*pos))
		pos++;
	return pos;
}

/* Type of the value that starts with this byte; false when none does. */
static inline bool
upt_json_type_at(uint8_t first, enum upt_json_type *type)
{
	switch (first) {
	case '{':
		*type = UPT_JSON_OBJECT;
		return true;
	case '[':
		*type = UPT_JSON_ARRAY;
		return true;
	case '"':
		*type = UPT_JSON_STRING;
		return true;
	case 't':
		*type = UPT_JSON_TRUE;
		return true;
	case 'f':
		*type = UPT_JSON_FALSE;
		return true;
	case 'n':
		*type = UPT_JSON_NULL;
		return true;
	default:
		*type = UPT_JSON_INTEGER;
		return first >= '0' && first <= '9';
	}
}

#endif
