/*
 * Strict JSON in place: the only reader of signed bytes. First upt_json_check() accepts or refuses
 * the whole text (RFC 8259, strict UTF-8, Unicode NFC as RFC 5198 asks, no duplicate keys, integers
 * within 0..2^53-1 only, no NUL, bounded depth) and notes facts about each top-level member; then
 * iterators walk the checked bytes without a copy and without a DOM. An iterator must never be
 * started on unchecked bytes: it stays inside them, but what it yields then means nothing.
 * Thread-safety: all state is the caller's. Uptane Standard 2.1, "common_metadata", "meta_structures".
 */
#ifndef UPT_JSON_JSON_H
#define UPT_JSON_JSON_H

#include "base/arena.h"
#include "base/span.h"

#define UPT_JSON_MAX_DEPTH 32
#define UPT_JSON_MAX_INTEGER ((uint64_t)9007199254740991) /* 2^53 - 1 */
#define UPT_JSON_MAX_TOP 16
/* Combining marks in a row: "Stream-Safe Text Format" of UAX #15, so that NFC needs no memory. */
#define UPT_JSON_MAX_MARKS 30

/* How the signed bytes of `signed` are spelt: WIRE facts. Tried in this order by the verifier. */
enum upt_json_form {
	UPT_JSON_OLPC = 0,   /* only \" and \\ escaped, everything else raw (TUF, OLPC canonical JSON) */
	UPT_JSON_UTF8 = 1,   /* JSON escapes (\b \f \n \r \t \u00xx), raw UTF-8 (OTA servers) */
	UPT_JSON_ASCII = 2,  /* JSON escapes, \uxxxx for DEL and every non-ASCII, surrogate pairs (tools) */
	UPT_JSON_N_FORMS = 3,
};

enum upt_json_type {
	UPT_JSON_NULL = 0,
	UPT_JSON_TRUE,
	UPT_JSON_FALSE,
	UPT_JSON_INTEGER,
	UPT_JSON_STRING,
	UPT_JSON_ARRAY,
	UPT_JSON_OBJECT,
};

/* Facts about one value, gathered while it was checked. */
struct upt_json_facts {
	struct upt_span text;     /* the value's bytes, without white space around it */
	unsigned in_place;        /* bit 1 << form: text already is the canonical text in that form */
	bool forms_differ;        /* false: the three canonical forms of this value are one text */
};

/* A checked text. key is the raw text between the quotes of a top-level member's name. */
struct upt_json_doc {
	struct upt_json_facts whole;
	enum upt_json_type type;
	size_t n_top;             /* members of the top-level object; 0 when it is no object */
	struct {
		struct upt_span key;
		struct upt_json_facts value;
	} top[UPT_JSON_MAX_TOP];
};

/*
 * Checks text (borrowed; doc points into it). UPT_E_MALFORMED with "byte OFFSET: reason" (counted
 * from 0) for anything above, and for a top-level object of more than UPT_JSON_MAX_TOP members;
 * UPT_E_NO_MEMORY. doc is empty unless the result is UPT_OK. Time is linear, but for unsorted keys
 * (n log n, and once more over the bytes of each such object); memory is O(depth) for sorted keys,
 * and 16 bytes for each member of the largest unsorted object else.
 */
UPT_NODISCARD enum upt_code upt_json_check(
	struct upt_span text, struct upt_json_doc *doc, struct upt_err *err);

/* Facts of the top-level member whose (decoded) name is name; NULL when there is none. */
const struct upt_json_facts *upt_json_top(const struct upt_json_doc *doc, const char *name);

/*
 * Appends the canonical text (keys sorted by their decoded UTF-8 bytes, no white space) of a checked
 * value to out. In the form UPT_JSON_OLPC, a string with control characters gives a text that is no
 * JSON. UPT_E_NO_MEMORY; UPT_E_MALFORMED for a value no check let through, as far as it is noticed;
 * out keeps its length then. Time is linear for each level of nesting; memory is 8 bytes for each
 * member of the objects that are open at once, and 8 more while an object is sorted.
 */
UPT_NODISCARD enum upt_code upt_json_canonical(
	struct upt_span value, enum upt_json_form form, struct upt_buf *out, struct upt_err *err);

/* *same: two checked values have one canonical text, or both are absent (empty spans). Codes as
 * upt_json_canonical(); *same is false then. */
UPT_NODISCARD enum upt_code
upt_json_same(struct upt_span a, struct upt_span b, bool *same, struct upt_err *err);

/*
 * Walks the members of an object or the elements of an array, in order, in one pass over the bytes:
 *
 *   struct upt_json_iter it = upt_json_iter(value);
 *   while (upt_json_next(&it)) {
 *           if (upt_json_key_is(&it, "targets")) {
 *                   struct upt_json_iter sub = upt_json_enter(&it);
 *                   while (upt_json_next(&sub)) ...   // walked to its end: it resumes behind it
 *           }                                         // not walked: it skips the value itself
 *   }
 *
 * upt_json_iter() on a value that is neither object nor array yields nothing (check .type first).
 */
struct upt_json_iter {
	const uint8_t *pos, *end;
	struct upt_json_iter *parent;
	enum upt_json_type container; /* UPT_JSON_OBJECT or UPT_JSON_ARRAY */
	bool started;
	struct upt_span key;          /* raw text between the quotes; empty in arrays */
	enum upt_json_type type;      /* of the current value */
	const uint8_t *value;         /* first byte of the current value */
	const uint8_t *after;         /* first byte behind it, NULL while unknown */
};

struct upt_json_iter upt_json_iter(struct upt_span value);
bool upt_json_next(struct upt_json_iter *it);
/* Iterator over the current value; parent must outlive it and stay in place. */
struct upt_json_iter upt_json_enter(struct upt_json_iter *parent);
/* Bytes of the current value (finds its end when that is not known yet). */
struct upt_span upt_json_value(struct upt_json_iter *it);
/* Type of a checked value by its first byte. */
enum upt_json_type upt_json_type_of(struct upt_span value);

/* True when the decoded key or string equals the plain text s. */
bool upt_json_key_is(const struct upt_json_iter *it, const char *s);
bool upt_json_string_is(struct upt_json_iter *it, const char *s);
/* Raw text between the quotes of the current string value; false when it is no string. */
bool upt_json_raw_string(struct upt_json_iter *it, struct upt_span *out);
/* True when a raw key or string (text between the quotes) decodes to the plain text s. */
bool upt_json_raw_is(struct upt_span raw, const char *s);
/* Integer value; false when the current value is no integer. */
bool upt_json_u64(struct upt_json_iter *it, uint64_t *out);
/*
 * Decoded UTF-8 of a raw key or string: borrowed from the text when it holds no escape, else from
 * the arena. UPT_E_NO_MEMORY. The result holds no NUL byte and is not NUL-terminated.
 */
UPT_NODISCARD enum upt_code upt_json_decode(struct upt_arena *arena, struct upt_span raw,
	struct upt_span *out, struct upt_err *err);
/* The same as a NUL-terminated arena copy. */
UPT_NODISCARD enum upt_code upt_json_decode_string(struct upt_arena *arena, struct upt_span raw,
	const char **out, struct upt_err *err);
/* Orders two raw strings by their decoded bytes, as canonical form sorts keys. */
int upt_json_compare(struct upt_span raw_a, struct upt_span raw_b);

#endif
