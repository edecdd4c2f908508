/*
 * Where an image may be had: the mirrors of the device's configuration in their order, then the
 * registry that the release names. All are asked for the same digest, so that a mirror can refuse
 * an image and cannot change it. Credentials are looked up for each host by itself: one registry
 * is not told the password of another.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cjson/cJSON.h>

#include "base/encode.h"
#include "base/file.h"
#include "installer/container_registry.h"

#define AUTH_FILE_MAX_BYTES ((size_t)64 * 1024)
#define SECRET_MAX 4096

enum upt_code
upt_container_references(const char *mirrors, const char *reference,
	struct upt_container_references *out, struct upt_err *err)
{
	const char *path = strchr(reference, '/');
	const char *word = mirrors == NULL ? "" : mirrors;

	*out = (struct upt_container_references){0};
	for (word += strspn(word, " "); *word != '\0'; word += strspn(word, " ")) {
		size_t len = strcspn(word, " ");
		int n = snprintf(out->items[out->n], UPT_CONTAINER_REFERENCE_SIZE, "%.*s%s",
			(int)len, word, path);
		if (n < 0 || (size_t)n >= UPT_CONTAINER_REFERENCE_SIZE)
			return upt_fail(err, UPT_E_CONFIG, "mirror %.*s makes too long a name",
				(int)len, word);
		out->n++;
		word += len;
	}
	snprintf(out->items[out->n++], UPT_CONTAINER_REFERENCE_SIZE, "%s", reference);
	return UPT_OK;
}

enum upt_code
upt_container_mirrors_check(const char *mirrors, struct upt_err *err)
{
	const char *word = mirrors == NULL ? "" : mirrors;
	size_t n = 0;

	for (word += strspn(word, " "); *word != '\0'; word += strspn(word, " ")) {
		size_t len = strcspn(word, " ");
		char text[UPT_CONTAINER_REPOSITORY_MAX + 1];

		if (++n > UPT_CONTAINER_MAX_MIRRORS)
			return upt_fail(err, UPT_E_CONFIG, "mirrors: more than %d",
				UPT_CONTAINER_MAX_MIRRORS);
		/* As the front part of a repository it is sound exactly when one below it is. */
		if (len > sizeof(text) - 3)
			return upt_fail(err, UPT_E_CONFIG, "mirrors: %.64s... is too long", word);
		snprintf(text, sizeof(text), "%.*s/x", (int)len, word);
		if (!upt_container_repository_ok(text))
			return upt_fail(err, UPT_E_CONFIG,
				"mirrors: '%.*s' is not HOST:PORT or HOST:PORT/NAME", (int)len,
				word);
		word += len;
	}
	return UPT_OK;
}

/* ---- credentials ---- */

/* Wipes every text below json before it is freed. */
static void
wipe(cJSON *json)
{
	for (; json != NULL; json = json->next) {
		if (json->valuestring != NULL)
			explicit_bzero(json->valuestring, strlen(json->valuestring));
		wipe(json->child);
	}
}

static void
secret_json_free(cJSON **json)
{
	wipe(*json);
	cJSON_Delete(*json);
}

/* A password that others could read or replace is none. */
static enum upt_code
read_secret_file(const char *path, struct upt_buf *out, struct upt_err *err)
{
	struct stat st;
	upt_cleanup(upt_close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);

	if (fd < 0 || fstat(fd, &st) != 0)
		return upt_fail_errno(err, errno, "cannot open %s", path);
	if (!S_ISREG(st.st_mode) || st.st_size > (off_t)AUTH_FILE_MAX_BYTES)
		return upt_fail(err, UPT_E_CONFIG, "%s is no file of credentials", path);
	if ((st.st_mode & 077) != 0 || (st.st_uid != 0 && st.st_uid != geteuid()))
		return upt_fail(err, UPT_E_PERMISSION,
			"%s holds credentials and must be the owner's alone (mode 0600, not %04o)",
			path, (unsigned)st.st_mode & 07777);
	return upt_file_read_open(fd, (size_t)st.st_size, path, out, err);
}

/* base64url, as the engines want it: with padding. */
static enum upt_code
encode_url(struct upt_span text, struct upt_buf *out, struct upt_err *err)
{
	/* Room for all of it first: a buffer that grows leaves a copy behind. */
	UPT_TRY(upt_buf_reserve(out, text.len / 3 * 4 + 8, err));
	UPT_TRY(upt_base64_encode(text, out, err));
	for (size_t i = 0; i < out->len; i++) {
		if (out->data[i] == '+')
			out->data[i] = '-';
		else if (out->data[i] == '/')
			out->data[i] = '_';
	}
	return UPT_OK;
}

static enum upt_code
describe_auth(const char *pair, const char *host, struct upt_buf *out, struct upt_err *err)
{
	upt_cleanup(secret_json_free) cJSON *json = cJSON_CreateObject();
	upt_cleanup(upt_buf_wipe) struct upt_buf user = {0}, text = {0};
	const char *colon = strchr(pair, ':');

	if (colon == NULL)
		return upt_fail(
			err, UPT_E_CONFIG, "the credentials of %s are not USER:PASSWORD", host);
	UPT_TRY(upt_buf_append(&user, pair, (size_t)(colon - pair), err));
	UPT_TRY(upt_buf_reserve(&text, SECRET_MAX * 8, err));
	if (!cJSON_AddStringToObject(json, "username", user.len == 0 ? "" : (char *)user.data) ||
		!cJSON_AddStringToObject(json, "password", colon + 1) ||
		!cJSON_AddStringToObject(json, "serveraddress", host) ||
		!cJSON_PrintPreallocated(json, (char *)text.data, SECRET_MAX * 8, 0))
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for the credentials of %s", host);
	return encode_url(upt_span_str((char *)text.data), out, err);
}

enum upt_code
upt_container_auth_find(
	const char *path, const char *reference, struct upt_buf *out, struct upt_err *err)
{
	upt_cleanup(upt_buf_wipe) struct upt_buf file = {0};
	upt_cleanup(secret_json_free) cJSON *json = NULL;
	upt_cleanup(upt_buf_wipe) struct upt_buf pair = {0};
	char host[UPT_CONTAINER_REPOSITORY_MAX + 1];
	const char *auth;
	size_t len = 0;

	out->len = 0;
	if (path == NULL)
		return UPT_OK;
	snprintf(host, sizeof(host), "%.*s", (int)strcspn(reference, "/"), reference);
	UPT_TRY(read_secret_file(path, &file, err));
	if (file.len > 0)
		json = cJSON_ParseWithLength((const char *)file.data, file.len);
	if (!cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(json, "auths")))
		return upt_fail(err, UPT_E_CONFIG, "%s is no {\"auths\": ...}", path);
	auth = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(
		cJSON_GetObjectItemCaseSensitive(
			cJSON_GetObjectItemCaseSensitive(json, "auths"), host),
		"auth"));
	if (auth == NULL)
		return UPT_OK;
	UPT_TRY(upt_buf_reserve(&pair, SECRET_MAX, err));
	if (!upt_base64_decode(upt_span_str(auth), pair.data, SECRET_MAX, &len) ||
		memchr(pair.data, '\0', len) != NULL)
		return upt_fail(
			err, UPT_E_CONFIG, "%s: the auth of %s is no base64 text", path, host);
	pair.data[len] = '\0';
	return describe_auth((const char *)pair.data, host, out, err);
}
