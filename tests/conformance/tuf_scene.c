#include "tuf_scene.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"

#define MONTH_S (INT64_C(30) * 86400)
#define FILE_MAX_BYTES ((size_t)1024 * 1024)

static const char *program;

void
scene_program(const char *path)
{
	program = path;
}

char *
scene_path(const struct scene *s, const char *name, char out[static 128])
{
	assert_true(snprintf(out, 128, "%s/%s", s->dir, name) < 128);
	return out;
}

/* ---- the server ---- */

static struct scene_file *
find_file(struct scene *s, const char *path)
{
	for (size_t i = 0; i < s->n_files; i++) {
		if (strcmp(s->files[i].path, path) == 0)
			return &s->files[i];
	}
	return NULL;
}

static struct loopback_reply
answer(void *ctx, const char *method, const char *target)
{
	struct scene *s = ctx;
	const struct scene_file *file = find_file(s, target);
	size_t len = strlen(s->log);
	const char *shown = strncmp(target, "/m/", 3) == 0 ? target + 3 : target;

	if (strcmp(method, "GET") != 0)
		return (struct loopback_reply){.status = 405};
	if (len + strlen(shown) + 2 < sizeof(s->log))
		snprintf(s->log + len, sizeof(s->log) - len, "%s%s", len > 0 ? " " : "", shown);
	if (file == NULL)
		return (struct loopback_reply){.status = 404};
	return (struct loopback_reply){file->status, upt_buf_span(&file->bytes)};
}

static struct scene_file *
place(struct scene *s, const char *path)
{
	struct scene_file *file = find_file(s, path);

	if (file == NULL) {
		assert_true(s->n_files < SCENE_MAX_FILES);
		file = &s->files[s->n_files++];
		assert_true(strlen(path) < sizeof(file->path));
		snprintf(file->path, sizeof(file->path), "%s", path);
	}
	return file;
}

void
scene_serve(struct scene *s, const char *path, struct upt_span bytes)
{
	struct scene_file *file;

	loopback_lock(s->server);
	file = place(s, path);
	file->status = 200;
	file->bytes.len = 0;
	assert_int_equal(upt_buf_append(&file->bytes, bytes.data, bytes.len, NULL), UPT_OK);
	loopback_unlock(s->server);
}

void
scene_answer(struct scene *s, const char *path, int status)
{
	struct scene_file *file;

	loopback_lock(s->server);
	file = place(s, path);
	file->status = status;
	file->bytes.len = 0;
	loopback_unlock(s->server);
}

void
scene_withdraw(struct scene *s, const char *path)
{
	assert_non_null(find_file(s, path));
	scene_answer(s, path, 404);
}

const struct upt_buf *
scene_served(struct scene *s, const char *path)
{
	assert_non_null(find_file(s, path));
	return &find_file(s, path)->bytes;
}

/* ---- the repository ---- */

struct scene_role *
scene_role(struct scene *s, const char *name)
{
	struct scene_role *role;

	for (size_t i = 0; i < s->n_roles; i++) {
		if (strcmp(s->roles[i].name, name) == 0)
			return &s->roles[i];
	}
	assert_true(s->n_roles < SCENE_MAX_ROLES && strlen(name) < sizeof(role->name));
	role = &s->roles[s->n_roles++];
	*role = (struct scene_role){.version = 1, .keys = K(DEL_A)};
	snprintf(role->name, sizeof(role->name), "%s", name);
	role->payload = empty_targets(1);
	return role;
}

void
scene_change(struct scene *s, const char *role, const char *path, cJSON *value)
{
	assert_true(s->n_changes < SCENE_MAX_CHANGES);
	s->changes[s->n_changes++] = (struct scene_change){role, path, value};
}

void
scene_undo_changes(struct scene *s)
{
	while (s->n_changes > 0)
		cJSON_Delete(s->changes[--s->n_changes].value);
}

/* Finishes a payload (taken over): version, expiry and the test's changes; signs it. */
static void
sign_role(struct scene *s, struct scene_role *role, cJSON *payload)
{
	char expires[UPT_TIME_TEXT_SIZE];

	upt_time_format(role->expired ? s->now - 60 : s->now + MONTH_S, expires);
	set_member(payload, "version", cJSON_CreateNumber((double)role->version));
	set_member(payload, "expires", cJSON_CreateString(expires));
	for (size_t i = 0; i < s->n_changes; i++) {
		const struct scene_change *change = &s->changes[i];

		if (strcmp(change->role, role->name) != 0)
			continue;
		if (change->value == NULL)
			drop_member(payload, change->path);
		else
			set_member(payload, change->path, cJSON_Duplicate(change->value, true));
	}
	sign_with(&s->w, payload, role->keys, &role->bytes);
}

/* Everything but unreserved characters, as TUF clients ask for a role. */
static void
quote(const char *name, char out[static 256])
{
	size_t n = 0;

	for (; *name != '\0'; name++) {
		bool plain = strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._~",
				     *name) != NULL;

		n += (size_t)snprintf(
			out + n, 256 - n, plain ? "%c" : "%%%02X", (unsigned char)*name);
		assert_true(n < 256);
	}
	out[n] = '\0';
}

static void
serve_role(struct scene *s, const struct scene_role *role)
{
	bool root = strcmp(role->name, "root") == 0;
	bool versioned = root || (!s->root.not_consistent && strcmp(role->name, "timestamp") != 0);
	char path[320], quoted[256];

	quote(role->name, quoted);
	if (versioned)
		snprintf(path, sizeof(path), "/m/%llu.%s.json", (unsigned long long)role->version,
			quoted);
	else
		snprintf(path, sizeof(path), "/m/%s.json", quoted);
	scene_serve(s, path, upt_buf_span(&role->bytes));
}

void
scene_publish_root(struct scene *s)
{
	struct scene_role *role = scene_role(s, "root");

	s->root.version = role->version;
	sign_role(s, role, plan_root(&s->w, &s->root));
	serve_role(s, role);
}

static void
drop_listing(struct scene *s, cJSON *payload, const char *file)
{
	cJSON *entry = cJSON_GetObjectItemCaseSensitive(
		cJSON_GetObjectItemCaseSensitive(payload, "meta"), file);

	assert_non_null(entry);
	if (!s->unhashed)
		return;
	cJSON_DeleteItemFromObjectCaseSensitive(entry, "hashes");
	cJSON_DeleteItemFromObjectCaseSensitive(entry, "length");
}

static void
list_role(struct scene *s, cJSON *snapshot, const struct scene_role *role)
{
	char file[64];

	snprintf(file, sizeof(file), "%s.json", role->name);
	assert_int_equal(upt_author_snapshot_add(
				 snapshot, file, role->version, upt_buf_span(&role->bytes), NULL),
		UPT_OK);
	drop_listing(s, snapshot, file);
}

void
scene_publish(struct scene *s)
{
	struct scene_role *timestamp = scene_role(s, "timestamp");
	struct scene_role *snapshot = scene_role(s, "snapshot");
	cJSON *listing = upt_author_snapshot(1, LATER), *last = upt_author_timestamp(1, LATER);

	for (size_t i = 0; i < s->n_roles; i++) {
		struct scene_role *role = &s->roles[i];

		if (role->payload == NULL)
			continue;
		sign_role(s, role, cJSON_Duplicate(role->payload, true));
		serve_role(s, role);
		list_role(s, listing, role);
	}
	sign_role(s, snapshot, listing);
	serve_role(s, snapshot);
	assert_int_equal(upt_author_timestamp_set(
				 last, snapshot->version, upt_buf_span(&snapshot->bytes), NULL),
		UPT_OK);
	drop_listing(s, last, "snapshot.json");
	sign_role(s, timestamp, last);
	serve_role(s, timestamp);
}

void
scene_publish_next(struct scene *s)
{
	scene_role(s, "targets")->version++;
	scene_role(s, "snapshot")->version++;
	scene_role(s, "timestamp")->version++;
	scene_publish(s);
}

void
scene_delegate(
	struct scene *s, const char *from, const char *to, const char *path, bool terminating)
{
	scene_role(s, to);
	delegate(&s->w, scene_role(s, from)->payload, to, K(DEL_A), 1, path, terminating);
}

void
scene_artifact(struct scene *s, const char *role, const char *name, const char *content)
{
	struct upt_image image = image_of(name, upt_span_str(content), false);
	const char *slash = strrchr(name, '/');
	int n_folder = slash != NULL ? (int)(slash + 1 - name) : 0;
	char hex[65], path[320];

	assert_int_equal(
		upt_author_add_target(scene_role(s, role)->payload, &image, NULL, NULL), UPT_OK);
	upt_hex_encode(upt_span(image.digests[0].bytes, 32), hex);
	if (s->root.not_consistent)
		snprintf(path, sizeof(path), "/t/%s", name);
	else
		snprintf(path, sizeof(path), "/t/%.*s%s.%s", n_folder, name, hex, name + n_folder);
	scene_serve(s, path, upt_span_str(content));
}

/* ---- the client ---- */

static int
run(struct scene *s, const char *command, const char *argument, const char *const *names)
{
	char metadata[128], artifacts[128], metadata_url[96], artifacts_url[96];
	const char *argv[PROGRAM_MAX_ARGS];
	size_t n = 0;

	snprintf(metadata_url, sizeof(metadata_url), "%s/m/", loopback_url(s->server));
	snprintf(artifacts_url, sizeof(artifacts_url), "%s/t", loopback_url(s->server));
	argv[n++] = program;
	for (const char *const *name = names; name != NULL && *name != NULL; name++) {
		argv[n++] = "--target-name";
		argv[n++] = *name;
	}
	argv[n++] = "--metadata-dir";
	argv[n++] = scene_path(s, "metadata", metadata);
	for (const char *const *option = s->options; option != NULL && *option != NULL; option++)
		argv[n++] = *option;
	if (strcmp(command, "init") != 0) {
		argv[n++] = "--metadata-url";
		argv[n++] = metadata_url;
	}
	if (strcmp(command, "download") == 0) {
		argv[n++] = "--target-dir";
		argv[n++] = scene_path(s, "artifacts", artifacts);
		argv[n++] = "--target-base-url";
		argv[n++] = artifacts_url;
	}
	argv[n++] = command;
	if (argument != NULL)
		argv[n++] = argument;
	assert_true(n < PROGRAM_MAX_ARGS);
	argv[n] = NULL;
	program_run(argv, s->dir, &s->result);
	return s->result.status;
}

int
scene_init(struct scene *s, const char *root_file)
{
	return run(s, "init", root_file, NULL);
}

int
scene_refresh(struct scene *s)
{
	return run(s, "refresh", NULL, NULL);
}

int
scene_download(struct scene *s, const char *const *names)
{
	return run(s, "download", NULL, names);
}

static void
expect(struct scene *s, int status, enum upt_code want)
{
	const char *text = (const char *)s->result.err.data;
	char shown[64];

	if (want == UPT_OK) {
		if (status != 0)
			fail_msg("exit status %d: %s", status, text);
		return;
	}
	snprintf(shown, sizeof(shown), "[%s", upt_code_name(want));
	if (status != 1 || strstr(text, shown) == NULL)
		fail_msg("exit status %d instead of 1 with %s: %s", status, shown, text);
}

void
scene_refreshes(struct scene *s)
{
	expect(s, scene_refresh(s), UPT_OK);
}

void
scene_refuses(struct scene *s, enum upt_code want)
{
	expect(s, scene_refresh(s), want);
}

void
scene_downloads(struct scene *s, const char *name)
{
	expect(s, scene_download(s, (const char *const[]){name, NULL}), UPT_OK);
}

void
scene_refuses_download(struct scene *s, const char *name, enum upt_code want)
{
	expect(s, scene_download(s, (const char *const[]){name, NULL}), want);
}

/* ---- what it did ---- */

static void
drop_suffixes(char *text, const char *suffix)
{
	size_t len = strlen(suffix);

	for (char *p = strstr(text, suffix); p != NULL; p = strstr(p, suffix)) {
		if (p[len] == ' ' || p[len] == '\0')
			memmove(p, p + len, strlen(p + len) + 1);
		else
			p += len;
	}
}

void
scene_asked(struct scene *s, const char *want)
{
	loopback_lock(s->server);
	drop_suffixes(s->log, ".json");
	assert_string_equal(s->log, want);
	s->log[0] = '\0';
	loopback_unlock(s->server);
}

static int
compare_names(const void *a, const void *b)
{
	const struct dirent *const *da = a, *const *db = b;

	return strcmp((*da)->d_name, (*db)->d_name);
}

static int
is_listed(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return compare_names(a, b);
}

static double
version_of(const char *path)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	cJSON *document;
	double version;

	assert_int_equal(upt_file_read(AT_FDCWD, path, FILE_MAX_BYTES, &text, NULL), UPT_OK);
	document = cJSON_ParseWithLength((const char *)text.data, text.len);
	assert_non_null(document);
	version = at(document, "signed/version")->valuedouble;
	cJSON_Delete(document);
	return version;
}

void
scene_trusts(struct scene *s, const char *want)
{
	char dir[128], path[512], got[1024] = "";
	struct dirent **entries;
	int n = scandir(scene_path(s, "metadata", dir), &entries, is_listed, by_name);

	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		size_t len = strlen(got), name_len = strlen(entries[i]->d_name);

		snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);
		assert_true(
			name_len > 5 && strcmp(entries[i]->d_name + name_len - 5, ".json") == 0);
		snprintf(got + len, sizeof(got) - len, "%s%.*s %.0f", len > 0 ? " " : "",
			(int)name_len - 5, entries[i]->d_name, version_of(path));
		free(entries[i]);
	}
	free(entries);
	assert_string_equal(got, want);
}

void
scene_keeps(struct scene *s, const char *role, const struct upt_buf *bytes)
{
	upt_cleanup(upt_buf_clear) struct upt_buf kept = {0};
	char name[64], path[128];

	snprintf(name, sizeof(name), "metadata/%s.json", role);
	assert_int_equal(
		upt_file_read(AT_FDCWD, scene_path(s, name, path), FILE_MAX_BYTES, &kept, NULL),
		UPT_OK);
	assert_true(upt_span_equal(upt_buf_span(&kept), upt_buf_span(bytes)));
}

void
scene_has_artifact(struct scene *s, const char *file, const char *content)
{
	upt_cleanup(upt_buf_clear) struct upt_buf kept = {0};
	char name[96], path[128];
	enum upt_code code;

	snprintf(name, sizeof(name), "artifacts/%s", file);
	code = upt_file_read(AT_FDCWD, scene_path(s, name, path), FILE_MAX_BYTES, &kept, NULL);
	assert_int_equal(code, content != NULL ? UPT_OK : UPT_E_NOT_FOUND);
	if (content != NULL)
		assert_true(upt_span_equal(upt_buf_span(&kept), upt_span_str(content)));
}

size_t
scene_count_artifacts(struct scene *s)
{
	char dir[128];
	struct dirent **entries;
	int n = scandir(scene_path(s, "artifacts", dir), &entries, is_listed, by_name);

	assert_true(n >= 0);
	for (int i = 0; i < n; i++)
		free(entries[i]);
	free(entries);
	return (size_t)n;
}

void
scene_plant(struct scene *s, const char *file, struct upt_span bytes)
{
	char name[64], path[128];

	snprintf(name, sizeof(name), "metadata/%s", file);
	assert_int_equal(
		upt_file_replace(AT_FDCWD, scene_path(s, name, path), 0644, bytes, NULL), UPT_OK);
}

/* ---- cmocka ---- */

int
scene_setup(void **state)
{
	static const struct {
		const char *name;
		unsigned keys;
	} top[] = {{"root", K(ROOT)}, {"timestamp", K(TIME)}, {"snapshot", K(SNAP)},
		{"targets", K(TARG)}};
	struct scene *s = calloc(1, sizeof(*s));
	char path[128];

	assert_non_null(s);
	world_init(&s->w, UPT_REPO_IMAGE);
	s->now = (int64_t)time(NULL);
	scratch_make(s->dir);
	s->server = loopback_start(answer, s);
	s->root = (struct root_plan){1, K(ROOT), K(TIME), K(SNAP), K(TARG), 1, false};
	for (size_t i = 0; i < sizeof(top) / sizeof(top[0]); i++) {
		struct scene_role *role = scene_role(s, top[i].name);

		role->keys = top[i].keys;
		if (strcmp(role->name, "targets") != 0) {
			cJSON_Delete(role->payload);
			role->payload = NULL;
		}
	}
	scene_publish_root(s);
	scene_publish(s);
	assert_int_equal(upt_file_replace(AT_FDCWD, scene_path(s, "first.json", path), 0644,
				 upt_buf_span(&scene_role(s, "root")->bytes), NULL),
		UPT_OK);
	assert_int_equal(scene_init(s, path), 0);
	*state = s;
	return 0;
}

int
scene_teardown(void **state)
{
	struct scene *s = *state;

	loopback_stop(&s->server);
	scene_undo_changes(s);
	for (size_t i = 0; i < s->n_roles; i++) {
		cJSON_Delete(s->roles[i].payload);
		upt_buf_clear(&s->roles[i].bytes);
	}
	for (size_t i = 0; i < s->n_files; i++)
		upt_buf_clear(&s->files[i].bytes);
	program_result_clear(&s->result);
	world_clear(&s->w);
	scratch_remove(s->dir);
	free(s);
	return 0;
}
