/*
 * Which images this installer pulled, so that it removes those and never an image of someone else.
 * A reference is noted before it is pulled: a pull that a power cut ends is cleaned up too.
 */
#include "installer/container_images.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/file.h"

#define MAX_BYTES ((size_t)64 * 1024)

static enum upt_code
load(const char *path, struct upt_buf *out, struct upt_err *err)
{
	enum upt_code code = upt_file_read(AT_FDCWD, path, MAX_BYTES, out, err);

	return code == UPT_E_NOT_FOUND ? UPT_OK : code;
}

/* The next line without its end; false behind the last whole one. */
static bool
next_line(struct upt_span *rest, struct upt_span *line)
{
	const uint8_t *end = rest->len == 0 ? NULL : memchr(rest->data, '\n', rest->len);

	if (end == NULL)
		return false;
	*line = upt_span(rest->data, (size_t)(end - rest->data));
	*rest = upt_span(end + 1, rest->len - line->len - 1);
	return true;
}

enum upt_code
upt_container_images_note(const char *path, const char *reference, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	struct upt_span rest, line;

	UPT_TRY(load(path, &text, err));
	rest = upt_buf_span(&text);
	while (next_line(&rest, &line)) {
		if (upt_span_equal(line, upt_span_str(reference)))
			return UPT_OK;
	}
	UPT_TRY(upt_buf_printf(&text, err, "%s\n", reference));
	return upt_file_replace(AT_FDCWD, path, 0644, upt_buf_span(&text), err);
}

/* The digest that a reference ends with is one of those to keep. */
static bool
is_kept(struct upt_span reference, const char *const *keep, size_t n_keep)
{
	for (size_t i = 0; i < n_keep; i++) {
		size_t len = strlen(keep[i]);
		if (len > 0 && reference.len > len &&
			memcmp(reference.data + reference.len - len, keep[i], len) == 0)
			return true;
	}
	return false;
}

enum upt_code
upt_container_images_prune(const char *path, const struct upt_oci *oci, const char *const *keep,
	size_t n_keep, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0}, left = {0};
	enum upt_code result = UPT_OK;
	struct upt_span rest, line;

	UPT_TRY(load(path, &text, err));
	rest = upt_buf_span(&text);
	while (next_line(&rest, &line)) {
		upt_cleanup(upt_buf_clear) struct upt_buf reference = {0};
		enum upt_code code = UPT_OK;

		UPT_TRY(upt_buf_printf(
			&reference, err, "%.*s", (int)line.len, (const char *)line.data));
		if (!is_kept(line, keep, n_keep))
			code = upt_oci_remove_image(oci, (const char *)reference.data, err);
		if (code != UPT_OK)
			result = code;
		/* One that could not go, or shall stay, is tried again the next time. */
		if (code != UPT_OK || is_kept(line, keep, n_keep))
			UPT_TRY(upt_buf_printf(&left, err, "%s\n", (const char *)reference.data));
	}
	if (!upt_span_equal(upt_buf_span(&left), upt_buf_span(&text)))
		UPT_TRY(upt_file_replace(AT_FDCWD, path, 0644, upt_buf_span(&left), err));
	return result;
}
