/* Small tools of the cases: JSON by path, text, and failures that end the generator. */
#include <stdio.h>
#include "base/clock.h"
#include "scene.h"

void
must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "vectors-generate: %s\n", what);
	exit(1);
}

void
must_code(enum upt_code code, const struct upt_err *err)
{
	must(code == UPT_OK, err != NULL && err->message[0] != '\0' ? err->message : upt_code_name(code));
}

static cJSON *
member(cJSON *object, const char *name)
{
	return cJSON_IsArray(object) ? cJSON_GetArrayItem(object, (int)strtol(name, NULL, 10))
				     : cJSON_GetObjectItemCaseSensitive(object, name);
}

/* The object that holds the last part of path. */
static cJSON *
parent(cJSON *object, const char *path, const char **last)
{
	const char *slash;

	while ((slash = strchr(path, '/')) != NULL) {
		char name[ROLE_NAME_SIZE];

		must((size_t)(slash - path) < sizeof(name), path);
		memcpy(name, path, (size_t)(slash - path));
		name[slash - path] = '\0';
		object = member(object, name);
		must(object != NULL, path);
		path = slash + 1;
	}
	*last = path;
	return object;
}

cJSON *
at(cJSON *object, const char *path)
{
	const char *last;
	cJSON *found = parent(object, path, &last);

	found = member(found, last);
	must(found != NULL, path);
	return found;
}

void
drop(cJSON *object, const char *path)
{
	const char *last;

	object = parent(object, path, &last);
	must(member(object, last) != NULL, path);
	if (cJSON_IsArray(object))
		cJSON_DeleteItemFromArray(object, (int)strtol(last, NULL, 10));
	else
		cJSON_DeleteItemFromObjectCaseSensitive(object, last);
}

void
set(cJSON *object, const char *path, cJSON *value)
{
	const char *last;

	must(value != NULL, "memory");
	object = parent(object, path, &last);
	if (cJSON_IsArray(object)) {
		must(cJSON_ReplaceItemInArray(object, (int)strtol(last, NULL, 10), value), path);
		return;
	}
	/* last may be the name in the item that is replaced. */
	must(member(object, last) != NULL
			? cJSON_ReplaceItemInObjectCaseSensitive(object, last, value)
			: cJSON_AddItemToObject(object, last, value),
		path);
}

cJSON *
num(double value)
{
	return cJSON_CreateNumber(value);
}

cJSON *
str(const char *value)
{
	return cJSON_CreateString(value);
}

cJSON *
when(int64_t time)
{
	char text[UPT_TIME_TEXT_SIZE];

	upt_time_format(time, text);
	return str(text);
}

void
append(struct upt_buf *text, const void *bytes, size_t len)
{
	must_code(upt_buf_append(text, bytes, len, NULL), NULL);
}

void
replace(struct upt_buf *text, const char *from, const char *to)
{
	upt_cleanup(upt_buf_clear) struct upt_buf out = {0};
	const uint8_t *found = memmem(text->data, text->len, from, strlen(from));
	size_t before;

	must(found != NULL, from);
	before = (size_t)(found - text->data);
	append(&out, text->data, before);
	append(&out, to, strlen(to));
	append(&out, found + strlen(from), text->len - before - strlen(from));
	upt_buf_move(text, &out);
}

void
pad(struct upt_buf *text, size_t len)
{
	size_t old = text->len;

	must(old < len, "a text shorter than it shall be");
	must_code(upt_buf_reserve(text, len - old, NULL), NULL);
	memset(text->data + old, ' ', len - old);
	text->len = len;
	text->data[len] = '\0';
}
