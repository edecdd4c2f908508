#include "repo/workspace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include "authoring/authoring.h"
#include "base/encode.h"

#define RSA_BITS 3072

struct repo_key *
repo_key_find(const struct repo *repo, const char *name)
{
	for (size_t i = 0; i < repo->n_keys; i++) {
		if (strcmp(repo->keys[i]->name, name) == 0)
			return repo->keys[i];
	}
	return NULL;
}

struct repo_key *
repo_key_by_id(const struct repo *repo, const char *id)
{
	for (size_t i = 0; i < repo->n_keys; i++) {
		if (strcmp(repo->keys[i]->id, id) == 0)
			return repo->keys[i];
	}
	return NULL;
}

enum upt_code
repo_key_need(const struct repo *repo, const char *name, struct repo_key **out, struct upt_err *err)
{
	upt_cleanup(upt_free_ptr) const char **names = NULL;
	const char *nearest;

	*out = repo_key_find(repo, name);
	if (*out != NULL)
		return UPT_OK;
	names = calloc(repo->n_keys + 1, sizeof(*names));
	for (size_t i = 0; names != NULL && i < repo->n_keys; i++)
		names[i] = repo->keys[i]->name;
	nearest = names == NULL ? NULL : repo_nearest(name, names, repo->n_keys);
	if (nearest != NULL)
		return upt_fail(
			err, UPT_E_USAGE, "no key named %s; did you mean %s?", name, nearest);
	return upt_fail(err, UPT_E_USAGE,
		"no key named %s; \"key generate\" makes one, \"key import\" adds a public key",
		name);
}

static void
key_free(struct repo_key **key)
{
	if (*key == NULL)
		return;
	cJSON_Delete((*key)->public_part);
	upt_private_key_free(&(*key)->private_key);
	free(*key);
	*key = NULL;
}

void
repo_keys_clear(struct repo *repo)
{
	for (size_t i = 0; i < repo->n_keys; i++)
		key_free(&repo->keys[i]);
	free(repo->keys);
	repo->keys = NULL;
	repo->n_keys = 0;
}

/* Keeps the list sorted by name, so that output does not depend on the folder's order. */
static enum upt_code
insert_key(struct repo *repo, struct repo_key *key, struct upt_err *err)
{
	struct repo_key **grown =
		realloc(repo->keys, (repo->n_keys + 1) * sizeof(struct repo_key *));
	size_t i;

	if (grown == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for key %s", key->name);
	repo->keys = grown;
	for (i = repo->n_keys; i > 0 && strcmp(grown[i - 1]->name, key->name) > 0; i--)
		grown[i] = grown[i - 1];
	grown[i] = key;
	repo->n_keys++;
	return UPT_OK;
}

/* The id follows from the key itself, whatever its file says. */
static enum upt_code
identify(const cJSON *public_part, const char *name, char id[static 65], struct upt_err *err)
{
	const cJSON *keyval = cJSON_GetObjectItemCaseSensitive(public_part, "keyval");
	struct upt_public_key *parsed = NULL;
	enum upt_code code =
		upt_public_key_parse(upt_span_str(repo_json_text(public_part, "keytype")),
			upt_span_str(repo_json_text(keyval, "public")), &parsed, err);

	if (code == UPT_OK && repo_json_text(public_part, "scheme")[0] == '\0')
		code = upt_fail(err, UPT_E_MALFORMED, "it has no scheme");
	if (code == UPT_OK)
		upt_hex_encode(upt_span(upt_public_key_fingerprint(parsed), 32), id);
	upt_public_key_free(&parsed);
	return code == UPT_OK ? code : upt_wrap(err, code, "public key %s", name);
}

/* Takes public_part over, also on failure. */
static enum upt_code
add_key(struct repo *repo, const char *name, cJSON *public_part, struct repo_key **out,
	struct upt_err *err)
{
	upt_cleanup(key_free) struct repo_key *key = calloc(1, sizeof(*key));
	const struct repo_key *same;

	*out = NULL;
	if (key == NULL) {
		cJSON_Delete(public_part);
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for key %s", name);
	}
	key->public_part = public_part;
	snprintf(key->name, sizeof(key->name), "%s", name);
	UPT_TRY(identify(public_part, name, key->id, err));
	same = repo_key_by_id(repo, key->id);
	if (same != NULL)
		return upt_fail(err, UPT_E_USAGE, "keys %s and %s are one key", same->name, name);
	UPT_TRY(insert_key(repo, key, err));
	*out = key;
	key = NULL;
	return UPT_OK;
}

static enum upt_code
load_key(struct repo *repo, const char *file, size_t name_len, struct upt_err *err)
{
	char name[REPO_KEY_NAME_MAX + 1], path[128 + REPO_KEY_NAME_MAX];
	struct repo_key *key;
	cJSON *public_part;

	if (name_len == 0 || name_len > REPO_KEY_NAME_MAX)
		return upt_fail(
			err, UPT_E_USAGE, "keys/%s: a name of %zu characters", file, name_len);
	snprintf(name, sizeof(name), "%.*s", (int)name_len, file);
	UPT_TRY(repo_check_key_name(name, err));
	snprintf(path, sizeof(path), "keys/%s.json", name);
	UPT_TRY(repo_read_json(repo, path, NULL, &public_part, err));
	return add_key(repo, name, public_part, &key, err);
}

enum upt_code
repo_keys_load(struct repo *repo, struct upt_err *err)
{
	int fd = openat(repo->dirfd, "keys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	enum upt_code code = UPT_OK;

	if (dir == NULL) {
		int saved = errno;
		if (fd >= 0)
			close(fd);
		return upt_fail_errno(err, saved, "cannot open %s/keys", repo->dir);
	}
	for (struct dirent *e = readdir(dir); code == UPT_OK && e != NULL; e = readdir(dir)) {
		size_t len = strlen(e->d_name);
		if (e->d_name[0] != '.' && len > 5 && strcmp(e->d_name + len - 5, ".json") == 0)
			code = load_key(repo, e->d_name, len - 5, err);
	}
	closedir(dir);
	return code;
}

enum upt_code
repo_key_type(const char *text, const char **out, struct upt_err *err)
{
	static const char *const types[][2] = {{"ed25519", "ed25519"},
		{"ecdsa", "ecdsa-sha2-nistp256"}, {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"},
		{"rsa", "rsa"}};

	*out = NULL;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcmp(text, types[i][0]) == 0)
			*out = types[i][1];
	}
	if (*out == NULL)
		return upt_fail(
			err, UPT_E_USAGE, "key type %s is not one of ed25519, ecdsa, rsa", text);
	return UPT_OK;
}

static enum upt_code
check_free(const struct repo *repo, const char *name, struct upt_err *err)
{
	char path[128 + REPO_KEY_NAME_MAX];

	UPT_TRY(repo_check_key_name(name, err));
	snprintf(path, sizeof(path), "keys/%s.pem", name);
	if (repo_key_find(repo, name) != NULL ||
		faccessat(repo->dirfd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return upt_fail(err, UPT_E_USAGE, "there is a key named %s already", name);
	return UPT_OK;
}

static enum upt_code
put_public(struct repo *repo, const struct repo_key *key, struct upt_err *err)
{
	char path[128 + REPO_KEY_NAME_MAX];
	enum upt_code code;
	char *text = cJSON_PrintUnformatted(key->public_part);

	if (text == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for key %s", key->name);
	snprintf(path, sizeof(path), "keys/%s.json", key->name);
	code = txn_put(&repo->txn, path, 0644, upt_span_str(text), err);
	cJSON_free(text);
	return code;
}

enum upt_code
repo_key_import(struct repo *repo, const char *name, cJSON *public_part, struct repo_key **out,
	struct upt_err *err)
{
	enum upt_code code = check_free(repo, name, err);

	*out = NULL;
	if (code != UPT_OK) {
		cJSON_Delete(public_part);
		return code;
	}
	UPT_TRY(add_key(repo, name, public_part, out, err));
	return put_public(repo, *out, err);
}

enum upt_code
repo_key_generate(struct repo *repo, const char *name, const char *type, struct repo_key **out,
	struct upt_err *err)
{
	struct upt_private_key *private_key = NULL;
	char path[128 + REPO_KEY_NAME_MAX];
	cJSON *public_part;
	enum upt_code code;

	*out = NULL;
	UPT_TRY(check_free(repo, name, err));
	UPT_TRY(upt_private_key_generate(type, RSA_BITS, &private_key, err));
	public_part = upt_author_key(private_key);
	code = public_part == NULL ? upt_fail(err, UPT_E_NO_MEMORY, "no memory for key %s", name)
				   : add_key(repo, name, public_part, out, err);
	if (code != UPT_OK) {
		upt_private_key_free(&private_key);
		return code;
	}
	(*out)->private_key = private_key;
	snprintf(path, sizeof(path), "keys/%s.pem", name);
	UPT_TRY(txn_put_key(&repo->txn, path, private_key, err));
	return put_public(repo, *out, err);
}

enum upt_code
repo_key_generate_next(struct repo *repo, const char *prefix, const char *type,
	struct repo_key **out, struct upt_err *err)
{
	char name[REPO_KEY_NAME_MAX + 1], clean[REPO_KEY_NAME_MAX - 10];
	size_t n = 0;

	/* A delegated role may be called what no key may. */
	for (const char *p = prefix; *p != '\0' && n + 1 < sizeof(clean); p++) {
		bool fine = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
			    (*p >= '0' && *p <= '9') || (n > 0 && (*p == '-' || *p == '.'));
		clean[n++] = fine ? *p : '_';
	}
	clean[n] = '\0';
	for (unsigned k = 1; k < 100000; k++) {
		snprintf(name, sizeof(name), "%s-%u", clean, k);
		if (check_free(repo, name, NULL) == UPT_OK)
			return repo_key_generate(repo, name, type, out, err);
	}
	*out = NULL;
	return upt_fail(err, UPT_E_USAGE, "too many keys named %s-K", clean);
}

bool
repo_key_is_here(const struct repo *repo, const struct repo_key *key)
{
	char path[128 + REPO_KEY_NAME_MAX];

	snprintf(path, sizeof(path), "keys/%s.pem", key->name);
	return key->private_key != NULL || faccessat(repo->dirfd, path, F_OK, 0) == 0;
}

enum upt_code
repo_key_open(const struct repo *repo, struct repo_key *key, struct upt_err *err)
{
	char path[PATH_MAX], id[65];

	if (key->private_key != NULL)
		return UPT_OK;
	if (snprintf(path, sizeof(path), "%s/keys/%s.pem", repo->dir, key->name) >=
		(int)sizeof(path))
		return upt_fail(err, UPT_E_IO, "path too long: %.64s...", repo->dir);
	UPT_TRY(upt_private_key_load(path, &key->private_key, err));
	upt_private_key_id(key->private_key, id);
	if (strcmp(id, key->id) != 0) {
		upt_private_key_free(&key->private_key);
		return upt_fail(err, UPT_E_KEY, "%s is key %s, not %s as keys/%s.json says", path,
			id, key->id, key->name);
	}
	return UPT_OK;
}
