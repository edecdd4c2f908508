/*
 * The grammar of RFC 8259 section 2, one function per rule, in one pass. Recursion follows the
 * text's own nesting and is bounded by UPT_JSON_MAX_DEPTH.
 */
#include <stdlib.h>
#include "json/chars.h"
#include "json/keys.h"
#include "json/lex.h"
#include "json/nfc.h"

#define ALL_FORMS ((1u << UPT_JSON_N_FORMS) - 1)
#define FORM(name) (1u << UPT_JSON_##name)
#define STRINGIFY(x) #x
#define NUMBER_TEXT(x) STRINGIFY(x)

struct checker {
	const uint8_t *begin, *pos, *end;
	struct upt_json_doc *doc;
	struct upt_json_nfc nfc;
	struct upt_err *err;
};

/* What is known of an object's keys while its members go by. */
struct key_order {
	const uint8_t *last;
	size_t n;
	bool ascending;
};

static enum upt_code check_value(struct checker *c, unsigned depth, struct upt_json_facts *facts);

static enum upt_code
refuse(const struct checker *c, const uint8_t *at, const char *reason)
{
	return upt_fail(c->err, UPT_E_MALFORMED, "byte %zu: %s", (size_t)(at - c->begin), reason);
}

static bool
at_byte(const struct checker *c, uint8_t byte)
{
	return c->pos < c->end && *c->pos == byte;
}

/* No canonical form holds white space. */
static inline void
skip_space(struct checker *c, struct upt_json_facts *facts)
{
	const uint8_t *pos = upt_json_skip_space(c->pos, c->end);

	if (pos != c->pos)
		facts->in_place = 0;
	c->pos = pos;
}

/* Keeps the bits of those forms that spell the character as [from, to) does. */
static void
note_spelling(
	struct upt_json_facts *facts, uint32_t character, const uint8_t *from, const uint8_t *to)
{
	if (character < 0x20 || character >= 0x7f)
		facts->forms_differ = true;
	for (unsigned form = 0; form < UPT_JSON_N_FORMS; form++) {
		uint8_t spelling[UPT_JSON_MAX_SPELLING];
		size_t len;

		if ((facts->in_place & (1u << form)) == 0)
			continue;
		len = upt_json_spell(character, (enum upt_json_form)form, spelling);
		if (len != (size_t)(to - from) || memcmp(spelling, from, len) != 0)
			facts->in_place &= ~(1u << form);
	}
}

/* One character that is not plain: moves *pos behind it and raises *highest to it. */
static enum upt_code
check_character(
	struct checker *c, const uint8_t **pos, struct upt_json_facts *facts, uint32_t *highest)
{
	const uint8_t *from = *pos;
	uint32_t character;
	const char *reason;

	if (*from == '\\')
		reason = upt_json_read_escape(pos, c->end, &character);
	else if (*from < 0x20)
		reason = "raw control character in a string";
	else
		reason = upt_json_read_utf8(pos, c->end, &character);
	if (reason != NULL)
		return refuse(c, from, reason);
	if (*from == '\\' || character == 0x7f) {
		note_spelling(facts, character, from, *pos);
	} else {
		facts->in_place &= ~FORM(ASCII);
		facts->forms_differ = true;
	}
	if (character > *highest)
		*highest = character;
	return UPT_OK;
}

static enum upt_code
check_nfc(struct checker *c, struct upt_span raw)
{
	const char *reason;
	enum upt_code code = upt_json_nfc_check(&c->nfc, raw, &reason);

	if (code == UPT_E_MALFORMED)
		return refuse(c, raw.data - 1, reason);
	if (code != UPT_OK)
		return upt_fail(c->err, code, "no memory to normalise a string");
	return UPT_OK;
}

/* Rule "string"; *raw is what stands between its quotes. */
static enum upt_code
check_string(struct checker *c, struct upt_json_facts *facts, struct upt_span *raw)
{
	const uint8_t *first = c->pos + 1, *pos = first;
	uint32_t highest = 0;

	for (;;) {
		pos = upt_json_plain_end(pos, c->end);
		if (pos == c->end)
			return refuse(c, c->pos, "string without end");
		if (*pos == '"')
			break;
		UPT_TRY(check_character(c, &pos, facts, &highest));
	}
	*raw = upt_span(first, (size_t)(pos - first));
	if (highest >= UPT_JSON_NFC_FIRST)
		UPT_TRY(check_nfc(c, *raw));
	c->pos = pos + 1;
	return UPT_OK;
}

/* Rule "number", integers of 0 to 2^53-1 only: beyond them readers differ about the value. */
static enum upt_code
check_number(struct checker *c)
{
	const uint8_t *first = c->pos, *pos = first;
	uint64_t value = 0;

	for (; pos < c->end && *pos >= '0' && *pos <= '9'; pos++) {
		value = value * 10 + (uint64_t)(*pos - '0');
		if (value > UPT_JSON_MAX_INTEGER)
			return refuse(c, first, "integer above 9007199254740991");
	}
	if (*first == '0' && pos - first > 1)
		return refuse(c, first, "integer with a leading zero");
	if (pos < c->end && *pos == '.')
		return refuse(c, first, "number with a fraction");
	if (pos < c->end && (*pos == 'e' || *pos == 'E'))
		return refuse(c, first, "number with an exponent");
	c->pos = pos;
	return UPT_OK;
}

static enum upt_code
check_literal(struct checker *c, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(c->end - c->pos) < len || memcmp(c->pos, word, len) != 0)
		return refuse(c, c->pos, "unknown word");
	c->pos += len;
	return UPT_OK;
}

/* Two members of one name: one reader would take the first, another the last. */
static enum upt_code
refuse_duplicate(const struct checker *c, const uint8_t *first_character)
{
	return refuse(c, first_character - 1, "key occurs twice in its object");
}

/*
 * For an object whose keys did not come in ascending order: sorts them to find equal ones. It is
 * walked once more; nesting bounds how often a byte is.
 */
static enum upt_code
check_distinct(const struct checker *c, struct upt_span object, size_t n)
{
	upt_cleanup(upt_free_ptr) const uint8_t **keys = calloc(n, sizeof(*keys));
	const uint8_t *end = object.data + object.len;
	struct upt_json_iter it = upt_json_iter(object);
	size_t found = 0;

	if (keys == NULL)
		return upt_fail(c->err, UPT_E_NO_MEMORY, "no memory for %zu keys", n);
	while (found < n && upt_json_next(&it))
		keys[found++] = it.key.data;
	UPT_TRY(upt_json_sort_keys(keys, found, end, c->err));
	for (size_t i = 1; i < found; i++) {
		if (upt_json_compare_raw(keys[i - 1], end, keys[i], end) == 0)
			return refuse_duplicate(c, keys[i]);
	}
	return UPT_OK;
}

/* Takes the key just read into the order of its object. */
static enum upt_code
note_key(const struct checker *c, struct upt_json_facts *facts, struct key_order *order,
	struct upt_span key)
{
	int difference = 1;

	if (order->n > 0)
		difference = upt_json_compare_raw(key.data, c->end, order->last, c->end);

	if (difference == 0)
		return refuse_duplicate(c, key.data);
	if (difference < 0) {
		order->ascending = false;
		facts->in_place = 0;
	}
	order->last = key.data;
	order->n++;
	return UPT_OK;
}

/* What holds for a part holds for the whole. */
static void
add_facts(struct upt_json_facts *whole, const struct upt_json_facts *part)
{
	whole->in_place &= part->in_place;
	whole->forms_differ = whole->forms_differ || part->forms_differ;
}

/* Remembers a member of the top-level object. */
static enum upt_code
note_top(struct checker *c, struct upt_span key, const struct upt_json_facts *value)
{
	struct upt_json_doc *doc = c->doc;

	if (doc->n_top == UPT_JSON_MAX_TOP)
		return refuse(c, key.data - 1,
			"more than " NUMBER_TEXT(UPT_JSON_MAX_TOP) " members at the top");
	doc->top[doc->n_top].key = key;
	doc->top[doc->n_top].value = *value;
	doc->n_top++;
	return UPT_OK;
}

/* Rule "member". */
static enum upt_code
check_member(
	struct checker *c, unsigned depth, struct upt_json_facts *facts, struct key_order *order)
{
	struct upt_json_facts value;
	struct upt_span key;

	skip_space(c, facts);
	if (!at_byte(c, '"'))
		return refuse(c, c->pos, "a key must stand here");
	UPT_TRY(check_string(c, facts, &key));
	UPT_TRY(note_key(c, facts, order, key));
	skip_space(c, facts);
	if (!at_byte(c, ':'))
		return refuse(c, c->pos, "a colon must stand here");
	c->pos++;
	skip_space(c, facts);
	UPT_TRY(check_value(c, depth, &value));
	add_facts(facts, &value);
	return depth == 1 ? note_top(c, key, &value) : UPT_OK;
}

/* Rule "object"; depth is the nesting of its members. */
static enum upt_code
check_object(struct checker *c, unsigned depth, struct upt_json_facts *facts)
{
	const uint8_t *first = c->pos++;
	struct key_order order = {.ascending = true};

	skip_space(c, facts);
	if (!at_byte(c, '}')) {
		UPT_TRY(check_member(c, depth, facts, &order));
		for (skip_space(c, facts); at_byte(c, ','); skip_space(c, facts)) {
			c->pos++;
			UPT_TRY(check_member(c, depth, facts, &order));
		}
		if (!at_byte(c, '}'))
			return refuse(c, c->pos, "a comma or the object's end must stand here");
	}
	c->pos++;
	if (order.ascending)
		return UPT_OK;
	return check_distinct(c, upt_span(first, (size_t)(c->pos - first)), order.n);
}

static enum upt_code
check_element(struct checker *c, unsigned depth, struct upt_json_facts *facts)
{
	struct upt_json_facts value;

	skip_space(c, facts);
	UPT_TRY(check_value(c, depth, &value));
	add_facts(facts, &value);
	return UPT_OK;
}

/* Rule "array"; depth is the nesting of its elements. */
static enum upt_code
check_array(struct checker *c, unsigned depth, struct upt_json_facts *facts)
{
	c->pos++;
	skip_space(c, facts);
	if (!at_byte(c, ']')) {
		UPT_TRY(check_element(c, depth, facts));
		for (skip_space(c, facts); at_byte(c, ','); skip_space(c, facts)) {
			c->pos++;
			UPT_TRY(check_element(c, depth, facts));
		}
		if (!at_byte(c, ']'))
			return refuse(c, c->pos, "a comma or the array's end must stand here");
	}
	c->pos++;
	return UPT_OK;
}

static enum upt_code
refuse_start(const struct checker *c)
{
	static const uint8_t mark[] = {0xef, 0xbb, 0xbf};

	if (c->pos == c->end)
		return refuse(c, c->pos, "text ends where a value must stand");
	if (*c->pos == '-')
		return refuse(c, c->pos, "negative number");
	if (c->pos == c->begin && c->end - c->pos >= 3 && memcmp(c->pos, mark, 3) == 0)
		return refuse(c, c->pos, "byte order mark");
	return refuse(c, c->pos, "a value must stand here");
}

static enum upt_code
check_typed(
	struct checker *c, enum upt_json_type type, unsigned depth, struct upt_json_facts *facts)
{
	struct upt_span raw;

	switch (type) {
	case UPT_JSON_OBJECT:
	case UPT_JSON_ARRAY:
		/* The stack of every later walk is bounded by this line. */
		if (depth == UPT_JSON_MAX_DEPTH)
			return refuse(
				c, c->pos, "nested deeper than " NUMBER_TEXT(UPT_JSON_MAX_DEPTH));
		return type == UPT_JSON_OBJECT ? check_object(c, depth + 1, facts)
					       : check_array(c, depth + 1, facts);
	case UPT_JSON_STRING:
		return check_string(c, facts, &raw);
	case UPT_JSON_INTEGER:
		return check_number(c);
	case UPT_JSON_TRUE:
		return check_literal(c, "true");
	case UPT_JSON_FALSE:
		return check_literal(c, "false");
	case UPT_JSON_NULL:
		return check_literal(c, "null");
	}
	return refuse_start(c);
}

/* Rule "value"; depth is how many containers it stands in. */
static enum upt_code
check_value(struct checker *c, unsigned depth, struct upt_json_facts *facts)
{
	const uint8_t *first = c->pos;
	enum upt_json_type type;

	*facts = (struct upt_json_facts){.in_place = ALL_FORMS};
	if (first == c->end || !upt_json_type_at(*first, &type))
		return refuse_start(c);
	UPT_TRY(check_typed(c, type, depth, facts));
	facts->text = upt_span(first, (size_t)(c->pos - first));
	return UPT_OK;
}

/* Rule "JSON-text": one value, white space around it, and nothing else. */
static enum upt_code
check_text(struct checker *c)
{
	struct upt_json_facts around = {0};

	skip_space(c, &around);
	UPT_TRY(check_value(c, 0, &c->doc->whole));
	skip_space(c, &around);
	if (c->pos != c->end)
		return refuse(c, c->pos, "bytes behind the value");
	c->doc->type = upt_json_type_of(c->doc->whole.text);
	return UPT_OK;
}

enum upt_code
upt_json_check(struct upt_span text, struct upt_json_doc *doc, struct upt_err *err)
{
	struct upt_json_doc checked = {0};
	struct checker c = {
		.begin = text.data,
		.pos = text.data,
		.end = upt_json_span_end(text),
		.doc = &checked,
		.err = err,
	};
	enum upt_code code;

	*doc = (struct upt_json_doc){0};
	code = check_text(&c);
	upt_json_nfc_clear(&c.nfc);
	if (code == UPT_OK)
		*doc = checked;
	return code;
}

const struct upt_json_facts *
upt_json_top(const struct upt_json_doc *doc, const char *name)
{
	for (size_t i = 0; i < doc->n_top; i++) {
		if (upt_json_raw_is(doc->top[i].key, name))
			return &doc->top[i].value;
	}
	return NULL;
}
