#include "installer/container_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/file.h"

#define STATE_MAX_BYTES 512
#define NONE "-"

/* Takes len hex digits and the character after them from the front of text. */
static bool
take_hex(const char **text, char *out, size_t len, const char *ends)
{
	if (strspn(*text, "0123456789abcdef") != len || (*text)[len] == '\0' ||
		strchr(ends, (*text)[len]) == NULL)
		return false;
	memcpy(out, *text, len);
	out[len] = '\0';
	*text += len;
	return true;
}

/* Takes "KEY DIGEST[ SPEC]\n" or "KEY -\n" from the front of text. */
static bool
take_line(const char **text, const char *key, struct upt_oci_version *out)
{
	size_t key_len = strlen(key);
	const char *value = *text + key_len + 1;

	*out = (struct upt_oci_version){0};
	if (strncmp(*text, key, key_len) != 0 || (*text)[key_len] != ' ')
		return false;
	if (strncmp(value, NONE "\n", 2) == 0) {
		*text = value + 2;
		return true;
	}
	if (!take_hex(&value, out->digest, UPT_OCI_DIGEST_HEX, " \n"))
		return false;
	if (*value == ' ' && (value++, !take_hex(&value, out->spec, UPT_OCI_SPEC_HEX, "\n")))
		return false;
	*text = value + 1;
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
	text = buf.data == NULL ? "" : (const char *)buf.data;
	if (!take_line(&text, "current", &state.current) ||
		!take_line(&text, "previous", &state.previous) ||
		(text[0] != '\0' && (!take_line(&text, "refused", &state.refused) ||
					    state.refused.digest[0] == '\0')) ||
		(buf.data != NULL && text != (const char *)buf.data + buf.len) ||
		state.current.digest[0] == '\0')
		return UPT_OK;
	*out = state;
	*known = true;
	return UPT_OK;
}

static enum upt_code
put_line(
	struct upt_buf *text, const char *key, const struct upt_oci_version *v, struct upt_err *err)
{
	if (v->digest[0] == '\0')
		return upt_buf_printf(text, err, "%s " NONE "\n", key);
	return upt_buf_printf(
		text, err, "%s %s%s%s\n", key, v->digest, v->spec[0] == '\0' ? "" : " ", v->spec);
}

enum upt_code
upt_container_state_save(
	const char *path, const struct upt_container_state *state, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};

	UPT_TRY(put_line(&text, "current", &state->current, err));
	UPT_TRY(put_line(&text, "previous", &state->previous, err));
	if (state->refused.digest[0] != '\0')
		UPT_TRY(put_line(&text, "refused", &state->refused, err));
	return upt_file_replace(AT_FDCWD, path, 0644, upt_buf_span(&text), err);
}

enum upt_code
upt_container_state_restore(
	const char *path, const struct upt_container_state *state, bool known, struct upt_err *err)
{
	if (known)
		return upt_container_state_save(path, state, err);
	if (unlink(path) != 0 && errno != ENOENT)
		return upt_fail_errno(err, errno, "cannot remove %s", path);
	return UPT_OK;
}
