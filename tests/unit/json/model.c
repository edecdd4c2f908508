#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistr.h>

static void
must(enum upt_code code)
{
	if (code != UPT_OK)
		abort();
}

static void
put(struct upt_buf *out, const void *data, size_t len)
{
	must(upt_buf_append(out, data, len, NULL));
}

static void
put_escaped(struct upt_buf *out, ucs4_t c)
{
	const char *named = "\b\f\n\r\t";
	const char *at = c < 0x20 && c != 0 ? strchr(named, (int)c) : NULL;

	if (at != NULL)
		must(upt_buf_printf(out, NULL, "\\%c", "bfnrt"[at - named]));
	else if (c < 0x10000)
		must(upt_buf_printf(out, NULL, "\\u%04x", (unsigned)c));
	else
		must(upt_buf_printf(out, NULL, "\\u%04x\\u%04x", (unsigned)(0xd7c0 + (c >> 10)),
			(unsigned)(0xdc00 + (c & 0x3ff))));
}

static void
put_string(struct upt_buf *out, enum upt_json_form form, const char *s)
{
	const uint8_t *pos = (const uint8_t *)s;
	ucs4_t c;

	put(out, "\"", 1);
	for (const uint8_t *next = u8_next(&c, pos); next != NULL; next = u8_next(&c, pos)) {
		if (c == '"' || c == '\\')
			must(upt_buf_printf(out, NULL, "\\%c", (int)c));
		else if ((c < 0x20 && form != UPT_JSON_OLPC) ||
			 (c >= 0x7f && form == UPT_JSON_ASCII))
			put_escaped(out, c);
		else
			put(out, pos, (size_t)(next - pos));
		pos = next;
	}
	put(out, "\"", 1);
}

static int
by_name(const void *a, const void *b)
{
	const cJSON *const *x = a, *const *y = b;

	return strcmp((*x)->string, (*y)->string);
}

static void
put_members(struct upt_buf *out, enum upt_json_form form, const cJSON *object)
{
	size_t n = (size_t)cJSON_GetArraySize(object), i = 0;
	const cJSON **members = calloc(n + 1, sizeof(*members));
	const cJSON *member;

	if (members == NULL)
		abort();
	cJSON_ArrayForEach(member, object) members[i++] = member;
	qsort(members, n, sizeof(*members), by_name);
	for (i = 0; i < n; i++) {
		put(out, ",", i > 0);
		put_string(out, form, members[i]->string);
		put(out, ":", 1);
		model_canonical(members[i], form, out);
	}
	free(members);
}

void
model_canonical(const cJSON *item, enum upt_json_form form, struct upt_buf *out)
{
	const cJSON *element;

	if (cJSON_IsObject(item)) {
		put(out, "{", 1);
		put_members(out, form, item);
		put(out, "}", 1);
	} else if (cJSON_IsArray(item)) {
		put(out, "[", 1);
		cJSON_ArrayForEach(element, item)
		{
			put(out, ",", element != item->child);
			model_canonical(element, form, out);
		}
		put(out, "]", 1);
	} else if (cJSON_IsString(item)) {
		put_string(out, form, item->valuestring);
	} else if (cJSON_IsNumber(item)) {
		must(upt_buf_printf(out, NULL, "%.0f", item->valuedouble));
	} else {
		const char *word = cJSON_IsNull(item)   ? "null"
				   : cJSON_IsTrue(item) ? "true"
							: "false";

		put(out, word, strlen(word));
	}
}

cJSON *
model_parse(struct upt_span text)
{
	const char *end = NULL, *begin = (const char *)text.data;
	cJSON *tree;

	if (text.len == 0)
		return NULL;
	tree = cJSON_ParseWithLengthOpts(begin, text.len, &end, 0);
	while (tree != NULL && end < begin + text.len) {
		if (strchr(" \t\r\n", *end) == NULL || *end == '\0') {
			cJSON_Delete(tree);
			return NULL;
		}
		end++;
	}
	return tree;
}
