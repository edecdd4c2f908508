#include "repo/workspace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <time.h>
#include "base/file.h"
#include "json/json.h"

bool
repo_json_has_string(const cJSON *array, const char *s)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, array)
	{
		if (cJSON_IsString(item) && strcmp(item->valuestring, s) == 0)
			return true;
	}
	return false;
}

uint64_t
repo_json_u64(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	if (!cJSON_IsNumber(item) ||
		!(item->valuedouble >= 0 && item->valuedouble <= (double)UPT_JSON_MAX_INTEGER))
		return 0;
	return (uint64_t)item->valuedouble;
}

const char *
repo_json_text(const cJSON *object, const char *name)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

	return text == NULL ? "" : text;
}

enum upt_code
repo_read_json(const struct repo *repo, const char *path, struct upt_buf *bytes, cJSON **out,
	struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	struct upt_json_doc doc;
	enum upt_code code;

	*out = NULL;
	UPT_TRY(upt_file_read(repo->dirfd, path, REPO_DOC_MAX_BYTES, &text, err));
	code = upt_json_check(upt_buf_span(&text), &doc, err);
	if (code != UPT_OK)
		return upt_wrap(err, code, "%s", path);
	*out = cJSON_ParseWithLength((const char *)text.data, text.len);
	if (*out == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for %s", path);
	if (bytes != NULL)
		upt_buf_move(bytes, &text);
	return UPT_OK;
}

/* SOURCE_DATE_EPOCH fixes the clock, so that a release can be made again byte for byte. */
enum upt_code
repo_clock(int64_t *out, struct upt_err *err)
{
	const char *fixed = getenv("SOURCE_DATE_EPOCH");
	char *end;
	long long value;

	if (fixed == NULL) {
		*out = (int64_t)time(NULL);
		return UPT_OK;
	}
	errno = 0;
	value = strtoll(fixed, &end, 10);
	if (fixed[0] < '0' || fixed[0] > '9' || *end != '\0' || errno != 0 ||
		value > 253402300799LL)
		return upt_fail(
			err, UPT_E_CONFIG, "SOURCE_DATE_EPOCH=%s is no time in seconds", fixed);
	*out = value;
	return UPT_OK;
}

static enum upt_code
open_locked(const char *dir, struct repo *repo, struct upt_err *err)
{
	*repo = (struct repo){.dir = dir, .dirfd = -1};
	UPT_TRY(repo_clock(&repo->now, err));
	repo->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (repo->dirfd < 0)
		return upt_fail_errno(err, errno, "cannot open workspace %s", dir);
	if (flock(repo->dirfd, LOCK_EX | LOCK_NB) == 0)
		return UPT_OK;
	if (errno == EWOULDBLOCK)
		return upt_fail(err, UPT_E_BUSY, "another uptane-repo is at work in %s", dir);
	return upt_fail_errno(err, errno, "cannot lock %s", dir);
}

static enum upt_code
use_hashes(struct repo *repo, const cJSON *list, struct upt_err *err)
{
	const cJSON *item;

	repo->n_algs = 0;
	cJSON_ArrayForEach(item, list)
	{
		const char *name = cJSON_GetStringValue(item);
		enum upt_hash_alg alg =
			name == NULL ? UPT_HASH_NONE : upt_hash_from_name(upt_span_str(name));
		if (alg == UPT_HASH_NONE || repo->n_algs == 2 ||
			(repo->n_algs == 1 && alg == repo->algs[0]))
			return upt_fail(err, UPT_E_CONFIG,
				"repo.json: hashes takes \"sha256\" and \"sha512\", each once");
		repo->algs[repo->n_algs++] = alg;
	}
	if (repo->n_algs == 0 || (repo->algs[0] != UPT_HASH_SHA256))
		return upt_fail(err, UPT_E_CONFIG, "repo.json: hashes must start with \"sha256\"");
	return UPT_OK;
}

static enum upt_code
check_days(const cJSON *days, struct upt_err *err)
{
	static const char *const roles[REPO_N_TOP] = {"root", "timestamp", "snapshot", "targets"};
	const cJSON *item;

	cJSON_ArrayForEach(item, days)
	{
		uint64_t n = repo_json_u64(days, item->string);
		if (n < 1 || n > REPO_MAX_DAYS)
			return upt_fail(err, UPT_E_CONFIG,
				"repo.json: expires_days.%s is not 1 to %d", item->string,
				REPO_MAX_DAYS);
	}
	for (int i = 0; i < REPO_N_TOP; i++) {
		if (repo_json_u64(days, roles[i]) == 0)
			return upt_fail(
				err, UPT_E_CONFIG, "repo.json: expires_days lacks %s", roles[i]);
	}
	return UPT_OK;
}

enum upt_code
repo_use_settings(struct repo *repo, struct upt_err *err)
{
	const char *kind = repo_json_text(repo->settings, "kind");
	const cJSON *consistent =
		cJSON_GetObjectItemCaseSensitive(repo->settings, "consistent_snapshot");

	repo->director = strcmp(kind, "director") == 0;
	if (!repo->director && strcmp(kind, "image") != 0)
		return upt_fail(
			err, UPT_E_CONFIG, "repo.json: kind is neither \"image\" nor \"director\"");
	if (!cJSON_IsTrue(consistent))
		return upt_fail(err, UPT_E_CONFIG,
			"repo.json: consistent_snapshot must be true: without it a client that "
			"polls "
			"during publication sees files of two releases");
	UPT_TRY(use_hashes(repo, cJSON_GetObjectItemCaseSensitive(repo->settings, "hashes"), err));
	return check_days(cJSON_GetObjectItemCaseSensitive(repo->settings, "expires_days"), err);
}

int64_t
repo_expiry(const struct repo *repo, const char *role_name)
{
	const cJSON *days = cJSON_GetObjectItemCaseSensitive(repo->settings, "expires_days");
	uint64_t n = repo_json_u64(days, role_name);

	if (n == 0)
		n = repo_json_u64(days, "targets");
	return repo->now + (int64_t)n * 86400;
}

enum upt_code
repo_open(const char *dir, struct repo *repo, struct upt_err *err)
{
	bool finished;

	UPT_TRY(open_locked(dir, repo, err));
	UPT_TRY(txn_recover(repo->dirfd, &finished, err));
	if (faccessat(repo->dirfd, "repo.json", F_OK, 0) != 0)
		return upt_fail(err, UPT_E_NOT_FOUND,
			"%s is no workspace (it has no repo.json): \"uptane-repo -C DIR init\" "
			"makes one",
			dir);
	UPT_TRY(repo_read_json(repo, "repo.json", NULL, &repo->settings, err));
	UPT_TRY(repo_use_settings(repo, err));
	UPT_TRY(repo_keys_load(repo, err));
	return repo_roles_load(repo, err);
}

static enum upt_code
check_empty(const struct repo *repo, struct upt_err *err)
{
	int fd = openat(repo->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	size_t n = 0;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return upt_fail_errno(err, errno, "cannot list %s", repo->dir);
	}
	for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir))
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(dir);
	if (faccessat(repo->dirfd, "repo.json", F_OK, 0) == 0)
		return upt_fail(err, UPT_E_USAGE, "%s holds a repository already", repo->dir);
	if (n > 0)
		return upt_fail(err, UPT_E_USAGE, "%s is not empty (%zu entries)", repo->dir, n);
	return UPT_OK;
}

enum upt_code
repo_open_new(const char *dir, struct repo *repo, bool *finished, struct upt_err *err)
{
	*finished = false;
	*repo = (struct repo){.dir = dir, .dirfd = -1};
	UPT_TRY(upt_dir_make(dir, 0755, err));
	UPT_TRY(open_locked(dir, repo, err));
	UPT_TRY(txn_recover(repo->dirfd, finished, err));
	return *finished ? UPT_OK : check_empty(repo, err);
}

enum upt_code
repo_put_role(struct repo *repo, const struct repo_role *role, struct upt_err *err)
{
	char path[320];

	if (role->write_signed && strcmp(role->name, "root") == 0) {
		repo_role_path(role, "metadata", repo_role_version(role), path);
		UPT_TRY(txn_put(&repo->txn, path, 0644, upt_buf_span(&role->bytes), err));
	}
	if (role->write_signed) {
		repo_role_path(role, "metadata", 0, path);
		UPT_TRY(txn_put(&repo->txn, path, 0644, upt_buf_span(&role->bytes), err));
	}
	if (!role->write_staged || (role->staged == NULL && !role->staged_on_disk))
		return UPT_OK;
	repo_role_path(role, "staged", 0, path);
	if (role->staged == NULL)
		return txn_remove(&repo->txn, path, err);
	return txn_put(&repo->txn, path, 0644, upt_buf_span(&role->staged_bytes), err);
}

enum upt_code
repo_save(struct repo *repo, struct upt_err *err)
{
	for (size_t i = 0; i < repo->n_roles; i++)
		UPT_TRY(repo_put_role(repo, repo->roles[i], err));
	return txn_commit(&repo->txn, repo->dir, repo->dirfd, err);
}

void
repo_close(struct repo *repo)
{
	txn_clear(&repo->txn);
	repo_roles_clear(repo);
	repo_keys_clear(repo);
	upt_author_json_clear(&repo->settings);
	upt_close_fd(&repo->dirfd);
	repo->dirfd = -1;
}
