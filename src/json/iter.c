#include "json/lex.h"

/* First byte behind the container at pos: brackets count, strings hide theirs. */
static const uint8_t *
container_end(const uint8_t *pos, const uint8_t *end)
{
	size_t open = 0;

	while (pos < end) {
		switch (*pos++) {
		case '"':
			pos = upt_json_string_end(pos, end);
			if (pos == NULL)
				return NULL;
			pos++;
			break;
		case '{':
		case '[':
			open++;
			break;
		case '}':
		case ']':
			if (--open == 0)
				return pos;
			break;
		default:
			break;
		}
	}
	return NULL;
}

/* First byte behind a number or a literal: up to what may follow a value. */
static const uint8_t *
scalar_end(const uint8_t *pos, const uint8_t *end)
{
	while (pos < end && ((*pos >= '0' && *pos <= '9') || (*pos >= 'a' && *pos <= 'z')))
		pos++;
	return pos;
}

/* Finds the end of the current value once; NULL on bytes that no check let through. */
static const uint8_t *
find_after(struct upt_json_iter *it)
{
	if (it->after != NULL || it->value == NULL)
		return it->after;
	if (it->type == UPT_JSON_OBJECT || it->type == UPT_JSON_ARRAY) {
		it->after = container_end(it->value, it->end);
	} else if (it->type == UPT_JSON_STRING) {
		const uint8_t *quote = upt_json_string_end(it->value + 1, it->end);

		it->after = quote == NULL ? NULL : quote + 1;
	} else {
		it->after = scalar_end(it->value, it->end);
	}
	return it->after;
}

/* Ends the walk: from now on there is no current value. */
static bool
finish(struct upt_json_iter *it)
{
	it->pos = it->end;
	it->key = (struct upt_span){0};
	it->type = UPT_JSON_NULL;
	it->value = NULL;
	it->after = NULL;
	return false;
}

/*
 * The walk came to the closing bracket at pos: the parent need not look for it again. A parent that
 * moved on meanwhile stands behind the bracket and must not be thrown back.
 */
static bool
finish_at(struct upt_json_iter *it, const uint8_t *pos)
{
	struct upt_json_iter *parent = it->parent;

	if (parent != NULL && parent->value != NULL && parent->value < pos)
		parent->after = pos + 1;
	return finish(it);
}

static bool
read_key(struct upt_json_iter *it)
{
	const uint8_t *pos = it->pos, *quote;

	if (pos == it->end || *pos != '"')
		return false;
	quote = upt_json_string_end(pos + 1, it->end);
	if (quote == NULL)
		return false;
	it->key = upt_span(pos + 1, (size_t)(quote - (pos + 1)));
	pos = upt_json_skip_space(quote + 1, it->end);
	if (pos == it->end || *pos != ':')
		return false;
	it->pos = upt_json_skip_space(pos + 1, it->end);
	return true;
}

bool
upt_json_next(struct upt_json_iter *it)
{
	uint8_t close = it->container == UPT_JSON_OBJECT ? '}' : ']';
	const uint8_t *pos = it->pos;

	if (it->started)
		pos = find_after(it);
	if (pos == NULL || pos == it->end)
		return finish(it);
	pos = upt_json_skip_space(pos, it->end);
	if (pos < it->end && *pos == close)
		return finish_at(it, pos);
	if (it->started) {
		if (pos == it->end || *pos != ',')
			return finish(it);
		pos = upt_json_skip_space(pos + 1, it->end);
	}
	it->started = true;
	it->pos = pos;
	if (it->container == UPT_JSON_OBJECT && !read_key(it))
		return finish(it);
	if (it->pos == it->end || !upt_json_type_at(*it->pos, &it->type))
		return finish(it);
	it->value = it->pos;
	it->after = NULL;
	return true;
}

struct upt_json_iter
upt_json_iter(struct upt_span value)
{
	struct upt_json_iter it = {.container = upt_json_type_of(value)};
	const uint8_t *end = upt_json_span_end(value);

	if (it.container != UPT_JSON_OBJECT && it.container != UPT_JSON_ARRAY)
		return it;
	it.pos = upt_json_skip_space(value.data, end) + 1;
	it.end = end;
	return it;
}

struct upt_json_iter
upt_json_enter(struct upt_json_iter *parent)
{
	struct upt_json_iter it = {.container = UPT_JSON_NULL};

	if (parent->value == NULL)
		return it;
	it = upt_json_iter(upt_span(parent->value, (size_t)(parent->end - parent->value)));
	it.parent = parent;
	return it;
}

struct upt_span
upt_json_value(struct upt_json_iter *it)
{
	const uint8_t *after = find_after(it);

	if (after == NULL)
		return (struct upt_span){0};
	return upt_span(it->value, (size_t)(after - it->value));
}

enum upt_json_type
upt_json_type_of(struct upt_span value)
{
	enum upt_json_type type;
	const uint8_t *end = upt_json_span_end(value);
	const uint8_t *pos = upt_json_skip_space(value.data, end);

	return pos < end && upt_json_type_at(*pos, &type) ? type : UPT_JSON_NULL;
}

bool
upt_json_raw_string(struct upt_json_iter *it, struct upt_span *out)
{
	const uint8_t *after;

	*out = (struct upt_span){0};
	if (it->value == NULL || it->type != UPT_JSON_STRING)
		return false;
	after = find_after(it);
	if (after == NULL)
		return false;
	*out = upt_span(it->value + 1, (size_t)(after - it->value) - 2);
	return true;
}

bool
upt_json_u64(struct upt_json_iter *it, uint64_t *out)
{
	const uint8_t *after;
	uint64_t value = 0;

	*out = 0;
	if (it->value == NULL || it->type != UPT_JSON_INTEGER)
		return false;
	after = find_after(it);
	for (const uint8_t *pos = it->value; pos < after; pos++) {
		if (*pos < '0' || *pos > '9')
			return false;
		value = value * 10 + (uint64_t)(*pos - '0');
		if (value > UPT_JSON_MAX_INTEGER)
			return false;
	}
	*out = value;
	return true;
}
