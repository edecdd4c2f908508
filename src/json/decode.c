#include "json/chars.h"
#include "json/keys.h"
#include "json/lex.h"

/* Writes the decoded bytes of raw, which never are more than the raw ones. */
static size_t
decode_into(struct upt_span raw, uint8_t *out)
{
	const uint8_t *pos = raw.data, *end = upt_json_span_end(raw);
	size_t len = 0;
	uint32_t c;

	while (pos < end) {
		const uint8_t *escape = memchr(pos, '\\', (size_t)(end - pos));
		size_t n = (size_t)((escape != NULL ? escape : end) - pos);

		memcpy(out + len, pos, n);
		len += n;
		pos += n;
		if (pos == end)
			break;
		if (upt_json_read_escape(&pos, end, &c) != NULL) {
			out[len++] = *pos++;
		} else {
			uint8_t bytes[4];

			n = upt_json_write_utf8(c, bytes);
			memcpy(out + len, bytes, n);
			len += n;
		}
	}
	return len;
}

static bool
has_escape(struct upt_span raw)
{
	return raw.len > 0 && memchr(raw.data, '\\', raw.len) != NULL;
}

static enum upt_code
decode_copy(struct upt_arena *arena, struct upt_span raw, struct upt_span *out, struct upt_err *err)
{
	uint8_t *copy = NULL;

	if (raw.len < SIZE_MAX)
		copy = upt_arena_alloc(arena, raw.len + 1, 1);
	if (copy == NULL)
		return upt_fail(
			err, UPT_E_NO_MEMORY, "no memory for a string of %zu bytes", raw.len);
	*out = upt_span(copy, decode_into(raw, copy));
	return UPT_OK;
}

enum upt_code
upt_json_decode(
	struct upt_arena *arena, struct upt_span raw, struct upt_span *out, struct upt_err *err)
{
	*out = (struct upt_span){0};
	if (has_escape(raw))
		return decode_copy(arena, raw, out, err);
	*out = raw;
	return UPT_OK;
}

enum upt_code
upt_json_decode_string(
	struct upt_arena *arena, struct upt_span raw, const char **out, struct upt_err *err)
{
	struct upt_span copy;

	*out = NULL;
	UPT_TRY(decode_copy(arena, raw, &copy, err));
	*out = (const char *)copy.data; /* the arena's memory is zeroed, so a NUL follows */
	return UPT_OK;
}

int
upt_json_compare(struct upt_span raw_a, struct upt_span raw_b)
{
	return upt_json_compare_raw(
		raw_a.data, upt_json_span_end(raw_a), raw_b.data, upt_json_span_end(raw_b));
}

bool
upt_json_raw_is(struct upt_span raw, const char *s)
{
	const uint8_t *pos = raw.data, *end = upt_json_span_end(raw);
	size_t len = strlen(s);

	if (!has_escape(raw))
		return upt_span_equal(raw, upt_span(s, len));
	while (pos < end) {
		uint8_t bytes[4] = {*pos};
		size_t n = 1;
		uint32_t c;

		if (*pos != '\\' || upt_json_read_escape(&pos, end, &c) != NULL)
			pos++;
		else
			n = upt_json_write_utf8(c, bytes);
		if (len < n || memcmp(s, bytes, n) != 0)
			return false;
		s += n;
		len -= n;
	}
	return len == 0;
}

bool
upt_json_key_is(const struct upt_json_iter *it, const char *s)
{
	return it->container == UPT_JSON_OBJECT && it->value != NULL && upt_json_raw_is(it->key, s);
}

bool
upt_json_string_is(struct upt_json_iter *it, const char *s)
{
	struct upt_span raw;

	return upt_json_raw_string(it, &raw) && upt_json_raw_is(raw, s);
}
