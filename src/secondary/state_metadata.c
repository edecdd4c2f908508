/*
 * Documents of the two repositories; state.h tells of the layout and of epochs.
 */
#include "secondary/state_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/encode.h"
#include "base/file.h"
#include "json/json.h"
#include "secondary/protocol.h"

#define CURRENT_MAX_BYTES ((size_t)64)

static struct upt_state_repo *
repo_of(struct upt_state *state, enum upt_repo repo)
{
	return &state->repos[repo == UPT_REPO_IMAGE ? 1 : 0];
}

/* ---- file names ---- */

/* Everything but unreserved characters is encoded, so that a role called "../../x" is one harmless
 * path component. A name too long for a file is replaced by its hash. */
static enum upt_code
delegated_file(const char *role, char out[static UPT_STATE_FILE_NAME_SIZE], struct upt_err *err)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	const size_t max = UPT_STATE_FILE_NAME_SIZE - sizeof(".json") - sizeof(".new");
	char hex[2 * UPT_HASH_MAX_BYTES + 1];
	struct upt_digest digest;
	size_t len = 0;

	for (const char *p = role; *p != '\0' && len <= max; p++) {
		bool as_is = strchr(plain, *p) != NULL;
		snprintf(out + len, 4, as_is ? "%c" : "%%%02X", (unsigned char)*p);
		len += as_is ? 1 : 3;
	}
	if (len > max) {
		UPT_TRY(upt_hash_span(UPT_HASH_SHA256, upt_span_str(role), &digest, err));
		upt_hex_encode(upt_span(digest.bytes, digest.len), hex);
		len = (size_t)snprintf(out, UPT_STATE_FILE_NAME_SIZE, "%%%s", hex);
	}
	snprintf(out + len, UPT_STATE_FILE_NAME_SIZE - len, ".json");
	return UPT_OK;
}

static void
touch(struct upt_state_repo *r, const char *file)
{
	if (r->n_touched < UPT_STATE_MAX_TOUCHED)
		snprintf(r->touched[r->n_touched++], UPT_STATE_FILE_NAME_SIZE, "%s", file);
}

/* Where a role's document is. */
static enum upt_code
locate(struct upt_state_repo *r, const char *role, int *dir_fd,
	char file[static UPT_STATE_FILE_NAME_SIZE], struct upt_err *err)
{
	*dir_fd = r->dir_fd;
	if (strcmp(role, "root") == 0) {
		snprintf(file, UPT_STATE_FILE_NAME_SIZE, "%ju.root.json",
			(uintmax_t)r->root_version);
	} else if (strcmp(role, "timestamp") == 0 || strcmp(role, "snapshot") == 0) {
		snprintf(file, UPT_STATE_FILE_NAME_SIZE, "%ju.%s.json", (uintmax_t)r->epoch, role);
	} else if (strcmp(role, "targets") == 0) {
		snprintf(file, UPT_STATE_FILE_NAME_SIZE, "targets.json");
	} else {
		*dir_fd = r->delegated_fd;
		UPT_TRY(delegated_file(role, file, err));
		touch(r, file);
	}
	return UPT_OK;
}

/* ---- which root ---- */

static int
print_current(char out[static CURRENT_MAX_BYTES], uintmax_t version, uintmax_t epoch)
{
	return snprintf(out, CURRENT_MAX_BYTES, "%ju %ju\n", version, epoch);
}

static enum upt_code
read_current(struct upt_state_repo *r, const char *name, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	enum upt_code code = upt_file_read(r->dir_fd, "current", CURRENT_MAX_BYTES, &text, err);
	char again[CURRENT_MAX_BYTES] = "";
	uintmax_t version, epoch;

	if (code == UPT_E_NOT_FOUND)
		return UPT_OK;
	UPT_TRY(code);
	/* sscanf(3) also reads signs, blanks and numbers that wrap: only what we would write counts. */
	if (sscanf((const char *)text.data, "%ju %ju", &version, &epoch) == 2)
		print_current(again, version, epoch);
	if (again[0] == '\0' || !upt_span_equal(upt_buf_span(&text), upt_span_str(again)) ||
		version == 0 || version > UPT_JSON_MAX_INTEGER || epoch > version)
		return upt_fail(err, UPT_E_IO, "the state's file %s/current is damaged", name);
	r->root_version = version;
	r->epoch = epoch;
	r->has_root = true;
	return UPT_OK;
}

static enum upt_code
publish_root(struct upt_state_repo *r, uint64_t version, uint64_t epoch, struct upt_err *err)
{
	char text[CURRENT_MAX_BYTES];
	int len = print_current(text, version, epoch);

	UPT_TRY(upt_file_replace(r->dir_fd, "current", 0600, upt_span(text, (size_t)len), err));
	r->root_version = version;
	r->epoch = epoch;
	r->has_root = true;
	return UPT_OK;
}

/* ---- rubbish ---- */

static bool
ends_with(const char *name, const char *end)
{
	size_t a = strlen(name), b = strlen(end);

	return a >= b && strcmp(name + a - b, end) == 0;
}

/* A document of another epoch, a root beyond the trusted one, or what a power cut left. */
static bool
is_rubbish(const struct upt_state_repo *r, const char *name)
{
	char *rest;
	uintmax_t n = strtoumax(name, &rest, 10);

	if (ends_with(name, ".new"))
		return true;
	if (rest == name)
		return false;
	if (strcmp(rest, ".timestamp.json") == 0 || strcmp(rest, ".snapshot.json") == 0)
		return !r->has_root || n != r->epoch;
	return strcmp(rest, ".root.json") == 0 && (!r->has_root || n > r->root_version);
}

static bool
is_untouched(const struct upt_state_repo *r, const char *name)
{
	if (name[0] == '.')
		return false;
	for (size_t i = 0; i < r->n_touched; i++) {
		if (strcmp(r->touched[i], name) == 0)
			return false;
	}
	return true;
}

/* Removes what is not wanted; best effort, for none of it is ever read. */
static void
sweep(const struct upt_state_repo *r, int dir_fd,
	bool (*unwanted)(const struct upt_state_repo *r, const char *name))
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *item;

	if (dir == NULL) {
		upt_close_fd(&fd);
		return;
	}
	while ((item = readdir(dir)) != NULL) {
		if (unwanted(r, item->d_name))
			unlinkat(dir_fd, item->d_name, 0);
	}
	closedir(dir);
}

/* ---- opening ---- */

static enum upt_code
open_repo(struct upt_state *state, struct upt_state_repo *r, const char *name, struct upt_err *err)
{
	UPT_TRY(upt_state_open_dir(state->dir_fd, name, &r->dir_fd, err));
	UPT_TRY(upt_state_open_dir(r->dir_fd, "delegated", &r->delegated_fd, err));
	r->touched = calloc(UPT_STATE_MAX_TOUCHED, sizeof(*r->touched));
	if (r->touched == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for the state");
	UPT_TRY(read_current(r, name, err));
	sweep(r, r->dir_fd, is_rubbish);
	return UPT_OK;
}

enum upt_code
upt_state_open_repos(struct upt_state *state, struct upt_err *err)
{
	UPT_TRY(open_repo(state, &state->repos[0], "director", err));
	return open_repo(state, &state->repos[1], "image", err);
}

void
upt_state_close_repos(struct upt_state *state)
{
	for (size_t i = 0; i < 2; i++) {
		upt_close_fd(&state->repos[i].dir_fd);
		upt_close_fd(&state->repos[i].delegated_fd);
		free(state->repos[i].touched);
	}
}

/* ---- documents ---- */

bool
upt_state_has_root(const struct upt_state *state, enum upt_repo repo)
{
	return state->repos[repo == UPT_REPO_IMAGE ? 1 : 0].has_root;
}

enum upt_code
upt_state_load(struct upt_state *state, enum upt_repo repo, const char *role_name,
	struct upt_buf *out, struct upt_err *err)
{
	struct upt_state_repo *r = repo_of(state, repo);
	char file[UPT_STATE_FILE_NAME_SIZE];
	int dir_fd;

	if (!r->has_root)
		return upt_fail(err, UPT_E_NOT_FOUND,
			"no root of the %s repository was provisioned", upt_repo_name(repo));
	UPT_TRY(locate(r, role_name, &dir_fd, file, err));
	return upt_file_read(dir_fd, file, UPT_WIRE_FILE_MAX_BYTES, out, err);
}

enum upt_code
upt_state_save(struct upt_state *state, enum upt_repo repo, const char *role_name,
	struct upt_span bytes, struct upt_err *err)
{
	struct upt_state_repo *r = repo_of(state, repo);
	char file[UPT_STATE_FILE_NAME_SIZE];
	int dir_fd;

	if (!r->has_root || strcmp(role_name, "root") == 0)
		return upt_fail(err, UPT_E_INTERNAL, "%s saved out of order", role_name);
	UPT_TRY(locate(r, role_name, &dir_fd, file, err));
	return upt_file_replace(dir_fd, file, 0600, bytes, err);
}

enum upt_code
upt_state_save_root(struct upt_state *state, enum upt_repo repo, uint64_t version,
	struct upt_span bytes, bool drop_others, struct upt_err *err)
{
	struct upt_state_repo *r = repo_of(state, repo);
	bool new_epoch = drop_others || !r->has_root;
	char file[UPT_STATE_FILE_NAME_SIZE];

	snprintf(file, sizeof(file), "%ju.root.json", (uintmax_t)version);
	UPT_TRY(upt_file_replace(r->dir_fd, file, 0600, bytes, err));
	/* The step that counts. Before it: the old root with its timestamp and snapshot. After it:
	 * the new root, and with a new epoch neither. */
	UPT_TRY(publish_root(r, version, new_epoch ? version : r->epoch, err));
	if (drop_others)
		sweep(r, r->dir_fd, is_rubbish);
	return UPT_OK;
}

enum upt_code
upt_state_forget(
	struct upt_state *state, enum upt_repo repo, const char *role_name, struct upt_err *err)
{
	struct upt_state_repo *r = repo_of(state, repo);
	char file[UPT_STATE_FILE_NAME_SIZE];
	int dir_fd;

	if (!r->has_root || strcmp(role_name, "root") == 0)
		return upt_fail(err, UPT_E_INTERNAL, "%s forgotten out of order", role_name);
	UPT_TRY(locate(r, role_name, &dir_fd, file, err));
	if (unlinkat(dir_fd, file, 0) != 0 && errno != ENOENT)
		return upt_fail_errno(err, errno, "cannot remove the stored %s", role_name);
	return upt_dir_sync(dir_fd, ".", err);
}

void
upt_state_prune_delegated(struct upt_state *state, enum upt_repo repo)
{
	struct upt_state_repo *r = repo_of(state, repo);

	sweep(r, r->delegated_fd, is_untouched);
	r->n_touched = 0;
}
