/*
 * The canonical text is written from the checked one, member by member in the order of the keys:
 * there is no tree, only the keys of the objects that are open.
 */
#include "json/chars.h"
#include "json/keys.h"
#include "json/lex.h"

struct writer {
	struct upt_buf *out;
	enum upt_json_form form;
	const uint8_t *end; /* of the text that is read */
	struct upt_buf keys; /* stack: the keys of each object that is being written */
	struct upt_err *err;
};

static enum upt_code write_value(struct writer *w, struct upt_json_iter *it, unsigned depth);

static enum upt_code
put_byte(struct writer *w, char byte)
{
	return upt_buf_append(w->out, &byte, 1, w->err);
}

/* What a check would have refused: a caller's bug, but one that must not write outside. */
static enum upt_code
refuse(const struct writer *w)
{
	return upt_fail(w->err, UPT_E_MALFORMED, "no canonical form of an unchecked value");
}

/* One character that its form may spell otherwise. */
static enum upt_code
write_character(struct writer *w, const uint8_t **pos, const uint8_t *end)
{
	uint8_t spelling[UPT_JSON_MAX_SPELLING];
	const char *reason;
	uint32_t character;

	reason = **pos == '\\' ? upt_json_read_escape(pos, end, &character)
			       : upt_json_read_utf8(pos, end, &character);
	if (reason != NULL)
		return refuse(w);
	return upt_buf_append(
		w->out, spelling, upt_json_spell(character, w->form, spelling), w->err);
}

static enum upt_code
write_string(struct writer *w, struct upt_span raw)
{
	const uint8_t *pos = raw.data, *end = upt_json_span_end(raw);

	UPT_TRY(put_byte(w, '"'));
	while (pos < end) {
		const uint8_t *plain_end = upt_json_plain_end(pos, end);

		UPT_TRY(upt_buf_append(w->out, pos, (size_t)(plain_end - pos), w->err));
		pos = plain_end;
		if (pos < end)
			UPT_TRY(write_character(w, &pos, end));
	}
	return put_byte(w, '"');
}

/* Pushes the keys of the object; *ascending when they already are in order. */
static enum upt_code
push_keys(struct writer *w, struct upt_json_iter it, bool *ascending)
{
	const uint8_t *last = NULL;

	*ascending = true;
	while (upt_json_next(&it)) {
		if (last != NULL && upt_json_compare_raw(last, w->end, it.key.data, w->end) > 0)
			*ascending = false;
		last = it.key.data;
		UPT_TRY(upt_buf_append(&w->keys, &it.key.data, sizeof(it.key.data), w->err));
	}
	return UPT_OK;
}

/* The stack of keys from a place on; it moves whenever keys are pushed. */
static const uint8_t **
keys_from(const struct writer *w, size_t base)
{
	return (const uint8_t **)(void *)(w->keys.data + base);
}

/* The member whose key starts here. */
static enum upt_code
write_member(struct writer *w, const uint8_t *key, unsigned depth)
{
	struct upt_json_iter it = {
		.pos = key - 1,
		.end = w->end,
		.container = UPT_JSON_OBJECT,
	};

	if (!upt_json_next(&it))
		return refuse(w);
	UPT_TRY(write_string(w, it.key));
	UPT_TRY(put_byte(w, ':'));
	return write_value(w, &it, depth);
}

static enum upt_code
write_object(struct writer *w, struct upt_json_iter object, unsigned depth)
{
	size_t base = w->keys.len, n;
	bool ascending;

	UPT_TRY(push_keys(w, object, &ascending));
	n = (w->keys.len - base) / sizeof(object.key.data);
	if (!ascending)
		UPT_TRY(upt_json_sort_keys(keys_from(w, base), n, w->end, w->err));
	UPT_TRY(put_byte(w, '{'));
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			UPT_TRY(put_byte(w, ','));
		UPT_TRY(write_member(w, keys_from(w, base)[i], depth));
	}
	w->keys.len = base;
	return put_byte(w, '}');
}

static enum upt_code
write_array(struct writer *w, struct upt_json_iter it, unsigned depth)
{
	bool any = false;

	UPT_TRY(put_byte(w, '['));
	while (upt_json_next(&it)) {
		if (any)
			UPT_TRY(put_byte(w, ','));
		any = true;
		UPT_TRY(write_value(w, &it, depth));
	}
	return put_byte(w, ']');
}

static enum upt_code
write_container(struct writer *w, struct upt_json_iter it, unsigned depth)
{
	if (depth == UPT_JSON_MAX_DEPTH)
		return refuse(w);
	return it.container == UPT_JSON_OBJECT ? write_object(w, it, depth + 1)
					       : write_array(w, it, depth + 1);
}

static enum upt_code
write_value(struct writer *w, struct upt_json_iter *it, unsigned depth)
{
	struct upt_span raw;

	switch (it->type) {
	case UPT_JSON_OBJECT:
	case UPT_JSON_ARRAY:
		return write_container(w, upt_json_enter(it), depth);
	case UPT_JSON_STRING:
		if (!upt_json_raw_string(it, &raw))
			return refuse(w);
		return write_string(w, raw);
	case UPT_JSON_NULL:
	case UPT_JSON_TRUE:
	case UPT_JSON_FALSE:
	case UPT_JSON_INTEGER:
		break;
	}
	raw = upt_json_value(it);
	return upt_buf_append(w->out, raw.data, raw.len, w->err);
}

enum upt_code
upt_json_canonical(
	struct upt_span value, enum upt_json_form form, struct upt_buf *out, struct upt_err *err)
{
	struct writer w = {.out = out, .form = form, .end = upt_json_span_end(value), .err = err};
	struct upt_json_iter it = {.end = w.end};
	size_t old_len = out->len;
	enum upt_code code;

	it.value = upt_json_skip_space(value.data, w.end);
	if (it.value == w.end || !upt_json_type_at(*it.value, &it.type))
		return refuse(&w);
	UPT_TRY(upt_buf_reserve(out, value.len, err));
	code = write_value(&w, &it, 0);
	upt_buf_clear(&w.keys);
	if (code != UPT_OK) {
		out->len = old_len;
		out->data[old_len] = 0;
	}
	return code;
}

enum upt_code
upt_json_same(struct upt_span a, struct upt_span b, bool *same, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text_a = {0}, text_b = {0};

	*same = a.len == 0 && b.len == 0;
	if (a.len == 0 || b.len == 0)
		return UPT_OK;
	UPT_TRY(upt_json_canonical(a, UPT_JSON_UTF8, &text_a, err));
	UPT_TRY(upt_json_canonical(b, UPT_JSON_UTF8, &text_b, err));
	*same = upt_span_equal(upt_buf_span(&text_a), upt_buf_span(&text_b));
	return UPT_OK;
}
