#include "laws.h"

#include <stdio.h>
#include <stdlib.h>
#include <uninorm.h>
#include "model.h"

#define LAW(condition, name)                                                                       \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return name;                                                               \
	} while (0)

#define HOLDS(expr)                                                                                \
	do {                                                                                       \
		const char *broken_ = (expr);                                                      \
		if (broken_ != NULL)                                                               \
			return broken_;                                                            \
	} while (0)

/* What a walk saw: how many values, and a mix of where they are and what they are. */
struct seen {
	size_t n;
	uint64_t mix;
};

/* A walk's style: which containers it enters, and which it leaves half-way. */
enum style {
	ENTER_ALL, /* each to its end */
	SKIP_FIRST, /* value() of each before it enters */
	ABANDON_ODD, /* each second container is left after its first member */
};

static void
see(struct seen *seen, const struct upt_json_iter *it, const uint8_t *base)
{
	seen->n++;
	seen->mix = (seen->mix ^ (uint64_t)(it->value - base)) * UINT64_C(0x100000001b3);
	seen->mix = (seen->mix ^ (uint64_t)it->type ^ it->key.len << 8) * UINT64_C(0x100000001b3);
}

/* Bounded by the bytes: each call enters a bracket further in. */
static void
walk(struct upt_json_iter *it, enum style style, const uint8_t *base, unsigned depth,
	struct seen *seen)
{
	while (upt_json_next(it)) {
		struct upt_json_iter sub;

		see(seen, it, base);
		if (style == SKIP_FIRST)
			upt_json_value(it);
		if (depth > UPT_JSON_MAX_DEPTH)
			continue;
		sub = upt_json_enter(it);
		if (style == ABANDON_ODD && seen->n % 2 == 1)
			upt_json_next(&sub);
		else
			walk(&sub, style, base, depth + 1, seen);
	}
}

static struct seen
walk_all(struct upt_span text, enum style style)
{
	struct upt_json_iter it = upt_json_iter(text);
	struct seen seen = {0};

	walk(&it, style, text.data, 0, &seen);
	return seen;
}

/* Everything an accessor may do on one value. */
static const char *
use_value(struct upt_json_iter *it, struct upt_arena *arena)
{
	struct upt_span raw, decoded;
	const char *string;
	uint64_t number;

	LAW(upt_json_u64(it, &number) == (number != 0) || it->type == UPT_JSON_INTEGER,
		"only integers are numbers");
	LAW(number <= UPT_JSON_MAX_INTEGER, "integers are bounded");
	if (!upt_json_raw_string(it, &raw))
		return NULL;
	LAW(upt_json_decode(arena, raw, &decoded, NULL) == UPT_OK, "a string can be decoded");
	LAW(upt_json_decode_string(arena, raw, &string, NULL) == UPT_OK, "a string can be copied");
	LAW(memcmp(string, decoded.data, decoded.len) == 0 && string[decoded.len] == '\0',
		"both decoders agree");
	LAW(upt_json_compare(raw, raw) == 0, "a string equals itself");
	LAW(upt_json_compare(raw, it->key) == -upt_json_compare(it->key, raw),
		"comparison is antisymmetric");
	return NULL;
}

/* Bytes nobody checked: nothing read outside, nothing without an end. */
static const char *
unchecked_laws(struct upt_span text)
{
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf out = {0};
	struct upt_json_iter it = upt_json_iter(text);

	while (upt_json_next(&it))
		HOLDS(use_value(&it, &arena));
	walk_all(text, ENTER_ALL);
	walk_all(text, SKIP_FIRST);
	walk_all(text, ABANDON_ODD);
	LAW(upt_buf_append(&out, "old", 3, NULL) == UPT_OK, "memory");
	for (int form = 0; form < UPT_JSON_N_FORMS; form++) {
		if (upt_json_canonical(text, (enum upt_json_form)form, &out, NULL) != UPT_OK)
			LAW(out.len == 3 && memcmp(out.data, "old", 4) == 0,
				"a failure leaves the buffer alone");
		out.len = 3;
	}
	return NULL;
}

/* Strings of a checked text. */
struct strings {
	bool special; /* a character below 0x20 or above 0x7e */
	bool control; /* one below 0x20 */
	bool not_nfc;
};

static void
note_string(struct strings *strings, struct upt_span raw, struct upt_arena *arena)
{
	struct upt_span s;
	uint8_t *normal;
	size_t len = 0;

	if (upt_json_decode(arena, raw, &s, NULL) != UPT_OK)
		abort();
	for (size_t i = 0; i < s.len; i++) {
		strings->control = strings->control || s.data[i] < 0x20;
		strings->special = strings->special || s.data[i] < 0x20 || s.data[i] >= 0x7f;
	}
	if (s.len == 0)
		return;
	normal = u8_normalize(UNINORM_NFC, s.data, s.len, NULL, &len);
	if (normal == NULL || !upt_span_equal(upt_span(normal, len), s))
		strings->not_nfc = true;
	free(normal);
}

static void
note_strings(struct strings *strings, struct upt_json_iter *it, struct upt_arena *arena)
{
	struct upt_span raw;

	while (upt_json_next(it)) {
		struct upt_json_iter sub = upt_json_enter(it);

		if (it->container == UPT_JSON_OBJECT)
			note_string(strings, it->key, arena);
		if (upt_json_raw_string(it, &raw))
			note_string(strings, raw, arena);
		note_strings(strings, &sub, arena);
	}
}

static struct strings
strings_of(struct upt_span value)
{
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	struct upt_json_iter it = upt_json_iter(value);
	struct strings strings = {0};

	if (upt_json_type_of(value) == UPT_JSON_STRING)
		note_string(&strings, upt_span(value.data + 1, value.len - 2), &arena);
	note_strings(&strings, &it, &arena);
	return strings;
}

/* The canonical text is the same value again, and canonical. */
static const char *
canonical_laws(struct upt_span canonical, enum upt_json_form form)
{
	upt_cleanup(upt_buf_clear) struct upt_buf again = {0};
	struct upt_json_doc doc;

	LAW(upt_json_check(canonical, &doc, NULL) == UPT_OK, "canonical text is accepted");
	LAW(upt_span_equal(doc.whole.text, canonical), "canonical text has no space around it");
	LAW((doc.whole.in_place & (1u << form)) != 0, "canonical text is in place");
	LAW(upt_json_canonical(doc.whole.text, form, &again, NULL) == UPT_OK, "memory");
	LAW(upt_span_equal(upt_buf_span(&again), canonical), "canonical form is idempotent");
	return NULL;
}

static const char *
facts_laws(const struct upt_json_facts *facts)
{
	upt_cleanup(upt_buf_clear) struct upt_buf olpc = {0};
	struct strings strings = strings_of(facts->text);

	LAW(!strings.not_nfc, "accepted strings are in NFC");
	LAW(strings.special == facts->forms_differ,
		"forms_differ says whether a character is special");
	for (int f = 0; f < UPT_JSON_N_FORMS; f++) {
		upt_cleanup(upt_buf_clear) struct upt_buf out = {0};
		enum upt_json_form form = (enum upt_json_form)f;
		bool same;

		LAW(upt_json_canonical(facts->text, form, &out, NULL) == UPT_OK, "memory");
		same = upt_span_equal(upt_buf_span(&out), facts->text);
		LAW(same == ((facts->in_place >> f & 1) != 0), "in_place tells the canonical text");
		if (form != UPT_JSON_OLPC || !strings.control)
			HOLDS(canonical_laws(upt_buf_span(&out), form));
		if (form == UPT_JSON_OLPC)
			upt_buf_move(&olpc, &out);
		else if (!facts->forms_differ)
			LAW(upt_span_equal(upt_buf_span(&olpc), upt_buf_span(&out)),
				"without special characters the forms are one");
	}
	LAW(facts->in_place >> UPT_JSON_N_FORMS == 0, "in_place has no other bits");
	return NULL;
}

/* Our grammar is a part of cJSON's: what we accept, it reads as the same value. */
static const char *
model_laws(struct upt_span value)
{
	cJSON *tree = model_parse(value);

	LAW(tree != NULL, "cJSON accepts what we accept");
	for (int form = 0; form < UPT_JSON_N_FORMS; form++) {
		upt_cleanup(upt_buf_clear) struct upt_buf ours = {0}, theirs = {0};

		model_canonical(tree, (enum upt_json_form)form, &theirs);
		if (upt_json_canonical(value, (enum upt_json_form)form, &ours, NULL) != UPT_OK ||
			!upt_span_equal(upt_buf_span(&ours), upt_buf_span(&theirs))) {
			cJSON_Delete(tree);
			return "cJSON reads the same value";
		}
	}
	cJSON_Delete(tree);
	return NULL;
}

static const char *
walk_laws(struct upt_span value)
{
	struct seen whole = walk_all(value, ENTER_ALL), skipping = walk_all(value, SKIP_FIRST);
	struct upt_json_iter it = upt_json_iter(value);

	LAW(whole.n == skipping.n && whole.mix == skipping.mix,
		"a walked value ends where a skipped one does");
	walk_all(value, ABANDON_ODD);
	for (size_t i = 0; upt_json_next(&it); i++) {
		struct upt_json_iter sub = upt_json_enter(&it);
		struct upt_json_doc doc;

		if (i % 2 == 0)
			upt_json_next(&sub);
		LAW(upt_json_check(upt_json_value(&it), &doc, NULL) == UPT_OK,
			"each value is a text of its own");
	}
	return NULL;
}

static const char *
refused_laws(struct upt_span text, const struct upt_json_doc *doc, const struct upt_err *err)
{
	size_t offset = SIZE_MAX;

	LAW(err->code == UPT_E_MALFORMED, "a refusal has its code");
	LAW(sscanf(err->message, "byte %zu: ", &offset) == 1, "a refusal names the byte");
	LAW(offset <= text.len, "a refusal names a byte of the text");
	LAW(doc->whole.text.data == NULL && doc->n_top == 0 && doc->whole.in_place == 0,
		"a refusal leaves no document");
	return NULL;
}

const char *
json_broken_law(struct upt_span text)
{
	struct upt_err err = {0};
	struct upt_json_doc doc;

	HOLDS(unchecked_laws(text));
	if (upt_json_check(text, &doc, &err) != UPT_OK)
		return refused_laws(text, &doc, &err);
	HOLDS(facts_laws(&doc.whole));
	for (size_t i = 0; i < doc.n_top; i++)
		HOLDS(facts_laws(&doc.top[i].value));
	HOLDS(model_laws(doc.whole.text));
	return walk_laws(doc.whole.text);
}
