#include "installer/container_state.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/file.h"

#define STATE_MAX_BYTES 256
#define NONE "-"

/* Takes "KEY VALUE\n" from the front of text; VALUE is a digest or "-". */
static bool
take_line(const char **text, const char *key, char out[static UPT_PODMAN_DIGEST_HEX + 1])
{
	size_t key_len = strlen(key), len;
	const char *value = *text + key_len + 1;

	if (strncmp(*text, key, key_len) != 0 || (*text)[key_len] != ' ')
		return false;
	len = strcspn(value, "\n");
	if (value[len] != '\n')
		return false;
	*text = value + len + 1;
	out[0] = '\0';
	if (len == 1 && value[0] == NONE[0])
		return true;
	if (len != UPT_PODMAN_DIGEST_HEX || strspn(value, "0123456789abcdef") != len)
		return false;
	memcpy(out, value, len);
	out[len] = '\0';
	return true;
}

enum upt_code
upt_container_state_load(
	const char *path, struct upt_container_state *out, bool *known, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};
	struct upt_container_state state = {0};
	const char *text;
	enum upt_code code;

	*out = (struct upt_container_state){0};
	*known = false;
	code = upt_file_read(AT_FDCWD, path, STATE_MAX_BYTES, &buf, err);
	if (code == UPT_E_NOT_FOUND || code == UPT_E_TOO_LARGE)
		return UPT_OK;
	if (code != UPT_OK)
		return code;
	text = (const char *)buf.data;
	if (!take_line(&text, "current", state.current) ||
		!take_line(&text, "previous", state.previous) ||
		text != (const char *)buf.data + buf.len || state.current[0] == '\0')
		return UPT_OK;
	*out = state;
	*known = true;
	return UPT_OK;
}

enum upt_code
upt_container_state_save(
	const char *path, const struct upt_container_state *state, struct upt_err *err)
{
	char text[STATE_MAX_BYTES];
	int n = snprintf(text, sizeof(text), "current %s\nprevious %s\n", state->current,
		state->previous[0] == '\0' ? NONE : state->previous);

	return upt_file_replace(AT_FDCWD, path, 0644, upt_span(text, (size_t)n), err);
}
