#include "repo/txn.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cjson/cJSON.h>
#include "authoring/authoring.h"
#include "base/file.h"

#define STAGING ".commit.new"
#define COMMIT ".commit"
#define MANIFEST "manifest"
#define MANIFEST_MAX_BYTES ((size_t)16 << 20)
#define FILE_MAX_BYTES ((size_t)1 << 30)

static enum upt_code
add_entry(struct txn *txn, const char *path, struct txn_entry **out, struct upt_err *err)
{
	struct txn_entry *grown = realloc(txn->entries, (txn->n + 1) * sizeof(*grown));

	if (grown == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory to stage %s", path);
	txn->entries = grown;
	*out = &grown[txn->n];
	**out = (struct txn_entry){.path = strdup(path), .mode = 0644};
	if ((*out)->path == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory to stage %s", path);
	txn->n++;
	return UPT_OK;
}

enum upt_code
txn_put(struct txn *txn, const char *path, mode_t mode, struct upt_span bytes, struct upt_err *err)
{
	struct txn_entry *entry;

	UPT_TRY(add_entry(txn, path, &entry, err));
	entry->mode = mode;
	return upt_buf_append(&entry->bytes, bytes.data, bytes.len, err);
}

enum upt_code
txn_put_key(
	struct txn *txn, const char *path, const struct upt_private_key *key, struct upt_err *err)
{
	struct txn_entry *entry;

	UPT_TRY(add_entry(txn, path, &entry, err));
	entry->key = key;
	return UPT_OK;
}

enum upt_code
txn_remove(struct txn *txn, const char *path, struct upt_err *err)
{
	struct txn_entry *entry;

	UPT_TRY(add_entry(txn, path, &entry, err));
	entry->remove = true;
	return UPT_OK;
}

void
txn_clear(struct txn *txn)
{
	for (size_t i = 0; i < txn->n; i++) {
		free(txn->entries[i].path);
		upt_buf_clear(&txn->entries[i].bytes);
	}
	free(txn->entries);
	*txn = (struct txn){0};
}

/* Length of the folder part of path, 0 when there is none. */
static size_t
parent_len(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? 0 : (size_t)(slash - path);
}

enum upt_code
repo_sync_parent(int dirfd, const char *path, struct upt_err *err)
{
	char parent[PATH_MAX];
	size_t len = parent_len(path);

	if (len == 0)
		return upt_dir_sync(dirfd, ".", err);
	snprintf(parent, sizeof(parent), "%.*s", (int)len, path);
	return upt_dir_sync(dirfd, parent, err);
}

enum upt_code
repo_make_parents(int dirfd, const char *path, struct upt_err *err)
{
	char part[PATH_MAX];

	for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		mode_t mode = strncmp(path, "keys/", 5) == 0 ? 0700 : 0755;
		if (snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path) >=
			(int)sizeof(part))
			return upt_fail(err, UPT_E_IO, "path too long: %.64s...", path);
		if (mkdirat(dirfd, part, mode) == 0)
			UPT_TRY(repo_sync_parent(dirfd, part, err));
		else if (errno != EEXIST)
			return upt_fail_errno(err, errno, "cannot make directory %s", part);
	}
	return UPT_OK;
}

/* Removes a staging folder and the plain files in it; none is fine. */
static enum upt_code
remove_folder(int dirfd, const char *name, struct upt_err *err)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir;

	if (fd < 0 && errno == ENOENT)
		return UPT_OK;
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (dir == NULL) {
		int saved = errno;
		if (fd >= 0)
			close(fd);
		return upt_fail_errno(err, saved, "cannot open %s", name);
	}
	for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			unlinkat(fd, e->d_name, 0);
	}
	closedir(dir);
	if (unlinkat(dirfd, name, AT_REMOVEDIR) != 0)
		return upt_fail_errno(err, errno, "cannot remove %s", name);
	return UPT_OK;
}

static enum upt_code
write_manifest(const struct txn *txn, int dirfd, struct upt_err *err)
{
	upt_cleanup(upt_author_json_clear) cJSON *list = cJSON_CreateArray();
	enum upt_code code;
	char *text;

	for (size_t i = 0; list != NULL && i < txn->n; i++) {
		cJSON *item = cJSON_CreateObject();
		if (item == NULL || !cJSON_AddItemToArray(list, item) ||
			!cJSON_AddStringToObject(item, "path", txn->entries[i].path) ||
			!cJSON_AddBoolToObject(item, "remove", txn->entries[i].remove))
			return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a list of files");
	}
	text = cJSON_PrintUnformatted(list);
	if (text == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a list of files");
	code = upt_file_replace(dirfd, STAGING "/" MANIFEST, 0600, upt_span_str(text), err);
	cJSON_free(text);
	return code;
}

static enum upt_code
stage_entry(
	const struct txn_entry *entry, size_t i, const char *dir, int dirfd, struct upt_err *err)
{
	char path[PATH_MAX];

	if (entry->remove)
		return UPT_OK;
	if (entry->key == NULL) {
		snprintf(path, sizeof(path), STAGING "/%zu", i);
		return upt_file_replace(dirfd, path, entry->mode, upt_buf_span(&entry->bytes), err);
	}
	if (snprintf(path, sizeof(path), "%s/" STAGING "/%zu", dir, i) >= (int)sizeof(path))
		return upt_fail(err, UPT_E_IO, "path too long: %.64s...", dir);
	return upt_private_key_save(entry->key, path, err);
}

static enum upt_code
stage_all(const struct txn *txn, const char *dir, int dirfd, struct upt_err *err)
{
	if (mkdirat(dirfd, STAGING, 0700) != 0)
		return upt_fail_errno(err, errno, "cannot make %s/" STAGING, dir);
	for (size_t i = 0; i < txn->n; i++) {
		enum upt_code code = stage_entry(&txn->entries[i], i, dir, dirfd, err);
		if (code != UPT_OK)
			return upt_wrap(err, code, "%s", txn->entries[i].path);
	}
	return write_manifest(txn, dirfd, err);
}

/* public/ may be a mount of its own: then a copy takes the rename's place, as durably. */
static enum upt_code
copy_over(int dirfd, const char *from, const char *path, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	struct stat st;

	UPT_TRY(upt_file_read(dirfd, from, FILE_MAX_BYTES, &bytes, err));
	if (fstatat(dirfd, from, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return upt_fail_errno(err, errno, "cannot stat %s", from);
	UPT_TRY(upt_file_replace(dirfd, path, st.st_mode & 0777, upt_buf_span(&bytes), err));
	if (unlinkat(dirfd, from, 0) != 0)
		return upt_fail_errno(err, errno, "cannot remove %s", from);
	return UPT_OK;
}

/* Below the workspace. A workspace may come from somebody else, and whoever wrote its list could else
 * have the next command replace or remove any file of whoever runs it. */
static bool
is_inside(const char *path)
{
	while (true) {
		size_t n = strcspn(path, "/");

		if (n == 0 || (n == 1 && path[0] == '.') ||
			(n == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		if (path[n] == '\0')
			return true;
		path += n + 1;
	}
}

static enum upt_code
apply_entry(int dirfd, const cJSON *item, size_t i, struct upt_err *err)
{
	const char *path = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "path"));
	char from[64];

	if (path == NULL || !is_inside(path))
		return upt_fail(err, UPT_E_IO, "damaged " COMMIT "/" MANIFEST ": entry %zu", i);
	UPT_TRY(repo_make_parents(dirfd, path, err));
	if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "remove"))) {
		if (unlinkat(dirfd, path, 0) != 0 && errno != ENOENT)
			return upt_fail_errno(err, errno, "cannot remove %s", path);
		return repo_sync_parent(dirfd, path, err);
	}
	snprintf(from, sizeof(from), COMMIT "/%zu", i);
	if (renameat(dirfd, from, dirfd, path) == 0)
		return repo_sync_parent(dirfd, path, err);
	if (errno == EXDEV)
		return copy_over(dirfd, from, path, err);
	if (errno == ENOENT)
		return UPT_OK; /* moved before the cut */
	return upt_fail_errno(err, errno, "cannot move %s to its place", path);
}

static enum upt_code
apply_all(int dirfd, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	upt_cleanup(upt_author_json_clear) cJSON *list = NULL;
	size_t i = 0;

	UPT_TRY(upt_file_read(dirfd, COMMIT "/" MANIFEST, MANIFEST_MAX_BYTES, &text, err));
	list = cJSON_ParseWithLength((const char *)text.data, text.len);
	if (!cJSON_IsArray(list))
		return upt_fail(err, UPT_E_IO, "damaged " COMMIT "/" MANIFEST);
	for (const cJSON *item = list->child; item != NULL; item = item->next, i++)
		UPT_TRY(apply_entry(dirfd, item, i, err));
	if (unlinkat(dirfd, COMMIT "/" MANIFEST, 0) != 0)
		return upt_fail_errno(err, errno, "cannot remove " COMMIT "/" MANIFEST);
	return remove_folder(dirfd, COMMIT, err);
}

enum upt_code
txn_commit(const struct txn *txn, const char *dir, int dirfd, struct upt_err *err)
{
	enum upt_code code;

	if (txn->n == 0)
		return UPT_OK;
	UPT_TRY(remove_folder(dirfd, STAGING, err));
	code = stage_all(txn, dir, dirfd, err);
	if (code != UPT_OK) {
		/* A full disk is left as it was found. */
		(void)!remove_folder(dirfd, STAGING, NULL);
		return code;
	}
	if (renameat(dirfd, STAGING, dirfd, COMMIT) != 0)
		return upt_fail_errno(err, errno, "cannot commit in %s", dir);
	UPT_TRY(upt_dir_sync(dirfd, ".", err));
	return apply_all(dirfd, err);
}

enum upt_code
txn_recover(int dirfd, bool *finished, struct upt_err *err)
{
	enum upt_code code;

	*finished = false;
	UPT_TRY(remove_folder(dirfd, STAGING, err));
	if (faccessat(dirfd, COMMIT, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
		return UPT_OK;
	/* The list goes last: without it, everything was in its place already. */
	if (faccessat(dirfd, COMMIT "/" MANIFEST, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
		return remove_folder(dirfd, COMMIT, err);
	code = apply_all(dirfd, err);
	*finished = code == UPT_OK;
	return code == UPT_OK ? code : upt_wrap(err, code, "finishing an interrupted command");
}
