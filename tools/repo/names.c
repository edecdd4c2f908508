#include "repo/names.h"

#include <stdio.h>
#include <string.h>
#include "base/encode.h"
#include "metadata/image.h"

bool
repo_is_top_role(const char *name)
{
	return strcmp(name, "root") == 0 || strcmp(name, "timestamp") == 0 ||
	       strcmp(name, "snapshot") == 0 || strcmp(name, "targets") == 0;
}

static bool
has_control(const char *s)
{
	for (; *s != '\0'; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	}
	return false;
}

/* "7.root" would stand where the seventh root stands. */
static bool
is_root_version(const char *name)
{
	size_t digits = strspn(name, "0123456789");

	return digits > 0 && strcmp(name + digits, ".root") == 0;
}

bool
repo_encode_role(const char *name, char out[static REPO_ROLE_FILE_SIZE])
{
	upt_cleanup(upt_buf_clear) struct upt_buf encoded = {0};

	out[0] = '\0';
	if (upt_percent_encode(name, false, &encoded, NULL) != UPT_OK ||
		encoded.len >= REPO_ROLE_FILE_SIZE)
		return false;
	if (encoded.len > 0)
		memcpy(out, encoded.data, encoded.len + 1);
	return true;
}

enum upt_code
repo_check_role_name(const char *name, struct upt_err *err)
{
	char encoded[REPO_ROLE_FILE_SIZE];

	if (name[0] == '\0')
		return upt_fail(err, UPT_E_USAGE, "a role name must not be empty");
	if (has_control(name))
		return upt_fail(err, UPT_E_USAGE, "role name %s holds control characters", name);
	if (repo_is_top_role(name) || is_root_version(name))
		return upt_fail(err, UPT_E_USAGE, "%s is no name for a delegated role", name);
	if (!repo_encode_role(name, encoded))
		return upt_fail(err, UPT_E_USAGE,
			"role name %.40s... exceeds %d encoded characters", name,
			REPO_ROLE_FILE_SIZE - 1);
	return UPT_OK;
}

enum upt_code
repo_check_target_name(const char *name, struct upt_err *err)
{
	size_t len = strlen(name);
	const char *part = name;

	if (len == 0 || len > UPT_TARGET_NAME_MAX)
		return upt_fail(err, UPT_E_USAGE, "a target name of %zu bytes, not 1 to %d", len,
			UPT_TARGET_NAME_MAX);
	if (has_control(name))
		return upt_fail(err, UPT_E_USAGE, "target name %s holds control characters", name);
	while (true) {
		size_t n = strcspn(part, "/");
		if (n == 0 || (n == 1 && part[0] == '.') ||
			(n == 2 && part[0] == '.' && part[1] == '.'))
			return upt_fail(err, UPT_E_USAGE,
				"target name %s is absolute or has an empty, \".\" or \"..\" part",
				name);
		if (part[n] == '\0')
			return UPT_OK;
		part += n + 1;
	}
}

enum upt_code
repo_check_key_name(const char *name, struct upt_err *err)
{
	size_t len = strlen(name);

	if (len == 0 || len > REPO_KEY_NAME_MAX || name[0] == '.' || name[0] == '-' ||
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") !=
			len)
		return upt_fail(err, UPT_E_USAGE,
			"key name %s: 1 to %d letters, digits, '.', '_' and '-', a letter, digit "
			"or '_' first",
			name, REPO_KEY_NAME_MAX);
	return UPT_OK;
}

/* Edits from a to b: insert, delete, replace, swap neighbours. Words above 31 characters never
 * match. */
static size_t
distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b), d[32][32];

	if (la > 31 || lb > 31)
		return SIZE_MAX;
	for (size_t i = 0; i <= la; i++) {
		for (size_t j = 0; j <= lb; j++) {
			size_t best = i == 0 ? j : i;
			if (i > 0 && j > 0) {
				best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
				if (d[i - 1][j] + 1 < best)
					best = d[i - 1][j] + 1;
				if (d[i][j - 1] + 1 < best)
					best = d[i][j - 1] + 1;
			}
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	}
	return d[la][lb];
}

const char *
repo_nearest(const char *word, const char *const *candidates, size_t n)
{
	const char *nearest = NULL;
	size_t best = strlen(word) / 3 + 2;

	for (size_t i = 0; i < n; i++) {
		size_t d = distance(word, candidates[i]);
		if (d < best) {
			best = d;
			nearest = candidates[i];
		}
	}
	return nearest;
}
