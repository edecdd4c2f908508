#include "world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "authoring/authoring.h"
#include "base/encode.h"
#include "base/file.h"
#include "server.h"
#include "vehicle.h"

#define DAY 86400

static const char *const serials[N_ECUS] = {"prim", "app", "sec"};
static const char *const hardware[N_ECUS] = {"hw-prim", "hw-app", "hw-sec"};

const char *
world_serial(enum world_ecu ecu)
{
	return serials[ecu];
}

/* ---- files ---- */

static void
path_of(const struct world *w, const char *name, char out[static PATH_MAX])
{
	assert_true(snprintf(out, PATH_MAX, "%s/%s", w->dir, name) < PATH_MAX);
}

void
world_file(struct world *w, const char *name, struct upt_buf *out)
{
	char path[PATH_MAX];
	struct upt_err err;

	path_of(w, name, path);
	out->len = 0;
	if (upt_file_read(AT_FDCWD, path, (size_t)1 << 20, out, &err) != UPT_OK)
		out->len = 0;
}

static void
write_bytes(struct world *w, const char *name, struct upt_span bytes)
{
	char path[PATH_MAX];
	int fd;

	path_of(w, name, path);
	for (char *slash = path + strlen(w->dir) + 1; (slash = strchr(slash, '/')) != NULL;
		slash++) {
		*slash = '\0';
		assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
		*slash = '/';
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes.data, bytes.len), bytes.len);
	close(fd);
}

void
world_write(struct world *w, const char *name, const char *text)
{
	write_bytes(w, name, upt_span_str(text));
}

void
world_serve(struct world *w, const char *path, struct upt_span bytes)
{
	char name[PATH_MAX];

	snprintf(name, sizeof(name), "srv/%s", path);
	write_bytes(w, name, bytes);
}

void
world_withdraw(struct world *w, const char *path)
{
	char name[256], full[PATH_MAX];

	snprintf(name, sizeof(name), "srv/%s", path);
	path_of(w, name, full);
	(void)remove(full);
}

void
world_set_status(struct world *w, const char *path, int status)
{
	char name[256], text[16];

	snprintf(name, sizeof(name), "%s.status", path);
	snprintf(text, sizeof(text), "%d", status);
	if (status == 0)
		world_withdraw(w, name);
	else
		world_serve(w, name, upt_span_str(text));
}

/* ---- repositories ---- */

static struct upt_private_key *
new_key(void)
{
	struct upt_private_key *key;

	assert_ok(upt_private_key_generate("ed25519", 0, &key, why));
	return key;
}

static void
sign_as(struct world *w, struct world_repo *r, enum upt_role role, cJSON *payload,
	struct upt_buf *out)
{
	const struct upt_private_key *key = r->keys[role];
	char name[128];

	assert_non_null(payload);
	assert_ok(upt_author_sign(payload, &key, 1, out, why));
	cJSON_Delete(payload);
	if (role == UPT_ROLE_TIMESTAMP)
		snprintf(name, sizeof(name), "%s/timestamp.json", r->folder);
	else
		snprintf(name, sizeof(name), "%s/%ju.%s.json", r->folder,
			(uintmax_t)r->versions[role], upt_role_name(role));
	world_serve(w, name, upt_buf_span(out));
}

static void
serve_root(struct world *w, struct world_repo *r)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	struct upt_author_role roles[UPT_N_ROLES];
	const struct upt_private_key *keys[UPT_N_ROLES];
	char name[64];

	for (int i = 0; i < UPT_N_ROLES; i++) {
		keys[i] = r->keys[i];
		roles[i] = (struct upt_author_role){.name = upt_role_name((enum upt_role)i),
			.keys = &keys[i],
			.n_keys = 1,
			.threshold = 1};
	}
	sign_as(w, r, UPT_ROLE_ROOT,
		upt_author_root(r->versions[UPT_ROLE_ROOT], r->expires[UPT_ROLE_ROOT], true, roles,
			UPT_N_ROLES),
		&bytes);
	snprintf(name, sizeof(name), "%s.root.json", r->folder);
	write_bytes(w, name, upt_buf_span(&bytes));
}

static cJSON *
custom_of(const struct world_target *t, bool director)
{
	cJSON *custom = cJSON_CreateObject(), *list;

	if (t->format != NULL)
		cJSON_AddStringToObject(custom, "targetFormat", t->format);
	if (t->uri != NULL)
		cJSON_AddStringToObject(custom, "uri", t->uri);
	if (!director) {
		list = cJSON_AddArrayToObject(custom, "hardwareIds");
		cJSON_AddItemToArray(list, cJSON_CreateString(t->hardware));
		if (t->after != NULL)
			cJSON_AddItemToArray(cJSON_AddArrayToObject(custom, "installAfter"),
				cJSON_CreateString(t->after));
		return custom;
	}
	list = cJSON_AddObjectToObject(custom, "ecuIdentifiers");
	for (int i = 0; i < N_ECUS; i++) {
		if (t->assigned[i])
			cJSON_AddStringToObject(cJSON_AddObjectToObject(list, serials[i]),
				"hardwareId", hardware[i]);
	}
	return custom;
}

static bool
is_assigned(const struct world_target *t)
{
	return t->assigned[PRIM] || t->assigned[APP] || t->assigned[SEC];
}

static bool
is_release(const char *name, const struct world_target *t)
{
	return name != NULL && strcmp(name, t->image.name) == 0;
}

static cJSON *
targets_of(struct world *w, struct world_repo *r)
{
	bool director = r->is_director;
	cJSON *targets =
		upt_author_targets(r->versions[UPT_ROLE_TARGETS], r->expires[UPT_ROLE_TARGETS]);

	if (director) {
		cJSON *top = cJSON_AddObjectToObject(targets, "custom");

		cJSON_AddStringToObject(top, "vehicleId", WORLD_VEHICLE);
		if (w->correlation_id != NULL)
			cJSON_AddStringToObject(top, "correlationId", w->correlation_id);
	}
	for (size_t i = 0; i < w->n_targets; i++) {
		const struct world_target *t = &w->targets[i];
		struct upt_image image = t->image;
		cJSON *custom;

		if (is_release(r->silent_on, t) || !(director ? is_assigned(t) : t->listed))
			continue;
		custom = custom_of(t, director);
		if (is_release(r->other_custom, t))
			cJSON_AddStringToObject(custom, "note", r->folder);
		if (is_release(r->encrypted, t))
			cJSON_AddTrueToObject(custom, "encrypted");
		image.length_bytes += is_release(r->longer, t) ? 1 : 0;
		assert_ok(upt_author_add_target(targets, &image, custom, why));
	}
	return targets;
}

static void
publish_repo(struct world *w, struct world_repo *r)
{
	upt_cleanup(upt_buf_clear) struct upt_buf targets = {0}, snapshot = {0}, timestamp = {0};
	cJSON *snap, *stamp;

	for (int i = UPT_ROLE_TIMESTAMP; i < UPT_N_ROLES; i++)
		r->versions[i]++;
	sign_as(w, r, UPT_ROLE_TARGETS, targets_of(w, r), &targets);
	snap = upt_author_snapshot(r->versions[UPT_ROLE_SNAPSHOT], r->expires[UPT_ROLE_SNAPSHOT]);
	assert_ok(upt_author_snapshot_add(
		snap, "targets.json", r->versions[UPT_ROLE_TARGETS], upt_buf_span(&targets), why));
	sign_as(w, r, UPT_ROLE_SNAPSHOT, snap, &snapshot);
	stamp = upt_author_timestamp(
		r->versions[UPT_ROLE_TIMESTAMP], r->expires[UPT_ROLE_TIMESTAMP]);
	assert_ok(upt_author_timestamp_set(
		stamp, r->versions[UPT_ROLE_SNAPSHOT], upt_buf_span(&snapshot), why));
	sign_as(w, r, UPT_ROLE_TIMESTAMP, stamp, &timestamp);
}

void
world_publish(struct world *w)
{
	publish_repo(w, &w->director);
	publish_repo(w, &w->image);
	publish_repo(w, &w->fleet);
	publish_repo(w, &w->mirror);
}

/* ---- releases ---- */

struct world_target *
world_target(struct world *w, const char *name)
{
	for (size_t i = 0; i < w->n_targets; i++) {
		if (strcmp(w->targets[i].image.name, name) == 0)
			return &w->targets[i];
	}
	fail_msg("no release %s", name);
	return NULL;
}

static void
fill_content(const char *name, struct upt_buf *out)
{
	for (int i = 0; i < 100; i++)
		assert_ok(upt_buf_printf(out, why, "%s\n", name));
}

struct world_target *
world_release(struct world *w, const char *name, const char *hw, uint64_t counter)
{
	upt_cleanup(upt_buf_clear) struct upt_buf content = {0};
	struct world_target *t = &w->targets[w->n_targets++];
	char hex[2 * UPT_HASH_MAX_BYTES + 1], path[256];

	assert_true(w->n_targets <= WORLD_MAX_TARGETS);
	fill_content(name, &content);
	*t = (struct world_target){.image = {.length_bytes = content.len,
					   .n_digests = 1,
					   .has_release_counter = true,
					   .release_counter = counter},
		.format = "BINARY",
		.hardware = hw,
		.listed = true};
	snprintf(t->image.name, sizeof(t->image.name), "%s", name);
	assert_ok(
		upt_hash_span(UPT_HASH_SHA256, upt_buf_span(&content), &t->image.digests[0], why));
	upt_hex_encode(upt_span(t->image.digests[0].bytes, 32), hex);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/targets/%s.%s", i == 0 ? "repo" : "mirror", hex,
			name);
		world_serve(w, path, upt_buf_span(&content));
	}
	if (w->reboots && strcmp(hw, hardware[PRIM]) == 0) {
		t->format = "OSTREE";
		t->image.length_bytes = 0;
	}
	return t;
}

void
world_assign(struct world *w, enum world_ecu ecu, const char *name)
{
	for (size_t i = 0; i < w->n_targets; i++)
		w->targets[i].assigned[ecu] = false;
	if (name != NULL)
		world_target(w, name)->assigned[ecu] = true;
}

bool
world_runs(struct world *w, enum world_ecu ecu, const char *name)
{
	upt_cleanup(upt_buf_clear) struct upt_buf file = {0}, content = {0};

	fill_content(name, &content);
	world_file(w, serials[ecu], &file);
	return upt_span_equal(upt_buf_span(&file), upt_buf_span(&content));
}

/* ---- the vehicle ---- */

static int64_t
test_clock(void *ctx)
{
	struct world *w = ctx;

	w->now += w->clock_step;
	return w->now;
}

static void
write_repository(struct world *w, const struct world_repo *r, struct upt_buf *text)
{
	if (strstr(w->mapping, r->folder) == NULL)
		return;
	assert_ok(upt_buf_printf(text, why,
		"[repository %s]\nkind = %s\nurl = http://127.0.0.1:%u/%s\nroot = "
		"%s/%s.root.json\n",
		r->folder, r->is_director ? "director" : "image", w->port, r->folder, w->dir,
		r->folder));
}

static void
write_config(struct world *w)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};

	assert_ok(upt_buf_printf(&text, why,
		"[uptane]\nvehicle_id = " WORLD_VEHICLE "\nstate_dir = %s/state\n"
		"[director]\nurl = http://127.0.0.1:%u/director\nroot = %s/director.root.json\n"
		"[image_repository]\nurl = http://127.0.0.1:%u/repo\nroot = %s/repo.root.json\n"
		"[primary]\nserial = prim\nhardware_id = hw-prim\nkey = %s/prim.key\n"
		"installer = file\npath = %s/prim\n"
		"[secondary app]\nlink = virtual\nhardware_id = hw-app\nkey = %s/app.key\n"
		"installer = file\npath = %s/app\n"
		"[health]\ndir = %s/health.d\ntimeout_s = 0\n"
		"[gates]\ndir = %s/gates.d\ninhibit = %s/inhibit\n%s",
		w->dir, w->port, w->dir, w->port, w->dir, w->dir, w->dir, w->dir, w->dir, w->dir,
		w->dir, w->dir, w->extra != NULL ? w->extra : ""));
	if (w->counts)
		assert_ok(upt_buf_printf(&text, why,
			"[primary]\nboot_loader = grub\n[boot]\ngrubenv = %s/grubenv\n", w->dir));
	if (w->has_sec)
		assert_ok(upt_buf_printf(&text, why,
			"[secondary sec]\nlink = ip\nhardware_id = hw-sec\naddress = "
			"127.0.0.1\nport = 1\n"));
	if (w->mapping != NULL) {
		write_repository(w, &w->fleet, &text);
		write_repository(w, &w->mirror, &text);
		assert_ok(upt_buf_append(&text, w->mapping, strlen(w->mapping), why));
	}
	write_bytes(w, "etc/uptaned.conf", upt_buf_span(&text));
}

void
world_configure(struct world *w, struct upt_config *config)
{
	char dir[PATH_MAX];

	write_config(w);
	path_of(w, "etc", dir);
	assert_ok(upt_config_load(dir, config, why));
}

static enum upt_code
new_primary(
	struct world *w, struct upt_config *config, struct upt_primary **out, struct upt_err *err)
{
	static struct upt_log log = {.name = "uptaned", .level = UPT_LOG_DEBUG};
	struct upt_primary_options options = {.config = config,
		.log = &log,
		.clock = test_clock,
		.clock_ctx = w,
		.cancel = &w->cancelled};

	log.stream = getenv("UPT_TEST_LOG") != NULL ? stderr : NULL;
	UPT_TRY(upt_primary_new(&options, out, err));
	vehicle_equip(w, *out);
	return UPT_OK;
}

struct upt_primary *
world_primary(struct world *w, struct upt_config *config)
{
	struct upt_primary *p;

	world_configure(w, config);
	assert_ok(new_primary(w, config, &p, why));
	return p;
}

enum command { CYCLE, ROLLBACK, CHECK };

static void
note_verdict(void *ctx, const char *ecu, const char *target, const char *verdict)
{
	struct world_result *r = ctx;
	size_t used = strlen(r->verdicts);

	snprintf(
		r->verdicts + used, sizeof(r->verdicts) - used, "%s %s %s\n", ecu, target, verdict);
}

static void
run(struct world *w, enum command command, const char *serial)
{
	upt_cleanup(upt_config_clear) struct upt_config config = {0};
	upt_cleanup(upt_primary_free) struct upt_primary *p = NULL;
	struct world_result *r = w->result;
	struct upt_err err = {0};

	world_configure(w, &config);
	world_n_writes = 0;
	world_kill_at = w->kill_at;
	r->code = new_primary(w, &config, &p, &err);
	if (r->code == UPT_OK && command == CYCLE)
		r->code = upt_primary_cycle(p, &r->summary, &err);
	else if (r->code == UPT_OK && command == CHECK)
		r->code = upt_primary_check(p, note_verdict, r, &err);
	else if (r->code == UPT_OK)
		r->code = upt_primary_rollback(p, serial, &r->needs_reboot, &err);
	world_kill_at = 0;
	r->n_writes = world_n_writes;
	if (p != NULL && upt_primary_waits(p) != NULL)
		r->wait = *upt_primary_waits(p);
	if (r->code == UPT_OK)
		return;
	r->repo = err.repo;
	memcpy(r->message, err.message, sizeof(r->message));
}

static bool
run_process(struct world *w, enum command command, const char *serial)
{
	int status = 0;
	pid_t pid;

	memset(w->result, 0, sizeof(*w->result));
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		/* A failed assertion must end this process, and not go on with the next test in it.
		 */
		setenv("CMOCKA_TEST_ABORT", "1", 1);
		run(w, command, serial);
		fflush(NULL);
		if (w->many)
			_exit(0);
		exit(0); /* leaks are looked for */
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && w->kill_at > 0)
		return false;
	assert_int_equal(status, 0);
	return true;
}

bool
world_cycle(struct world *w)
{
	return run_process(w, CYCLE, NULL);
}

bool
world_rollback(struct world *w, const char *serial)
{
	return run_process(w, ROLLBACK, serial);
}

bool
world_check(struct world *w)
{
	return run_process(w, CHECK, NULL);
}

void
world_reboot(struct world *w, bool comes_up)
{
	vehicle_reboot(w, comes_up);
}

/* ---- what it did ---- */

unsigned
world_n_requests(struct world *w, const char *line_start)
{
	upt_cleanup(upt_buf_clear) struct upt_buf log = {0};
	const char *line;
	unsigned n = 0;

	world_file(w, "requests", &log);
	line = log.len > 0 ? (const char *)log.data : "";
	for (const char *end; (end = strchr(line, '\n')) != NULL; line = end + 1)
		n += strncmp(line, line_start, strlen(line_start)) == 0;
	return n;
}

void
world_forget_requests(struct world *w)
{
	world_write(w, "requests", "");
}

/* The newest thing that was sent and is a manifest. */
static bool
last_manifest(struct world *w, struct upt_buf *out)
{
	bool found = false;
	char name[32];

	for (int n = 1; n < 100000; n++) {
		upt_cleanup(upt_buf_clear) struct upt_buf body = {0};

		snprintf(name, sizeof(name), "got.%d", n);
		world_file(w, name, &body);
		if (body.len == 0)
			break;
		if (strstr((const char *)body.data, "ecu_version_manifests") == NULL)
			continue;
		found = true;
		upt_buf_move(out, &body);
	}
	return found;
}

static struct upt_public_key *
public_part(const struct upt_private_key *key)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	struct upt_public_key *out;

	assert_ok(upt_private_key_public_text(key, &text, why));
	assert_ok(upt_public_key_parse(
		upt_span_str(upt_private_key_type(key)), upt_buf_span(&text), &out, why));
	return out;
}

static struct upt_public_key *
key_of_file(struct world *w, const char *name)
{
	upt_cleanup(upt_private_key_free) struct upt_private_key *key = NULL;
	char path[PATH_MAX];

	path_of(w, name, path);
	assert_ok(upt_private_key_load(path, &key, why));
	return public_part(key);
}

bool
world_reported(struct world *w, const char *serial, struct upt_ecu_report *out)
{
	upt_cleanup(upt_vehicle_manifest_clear) struct upt_vehicle_manifest manifest = {0};
	upt_cleanup(upt_public_key_free) struct upt_public_key *prim = key_of_file(w, "prim.key"),
							       *key = NULL;
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	const struct upt_manifest_entry *entry;
	char name[64];

	*out = (struct upt_ecu_report){0};
	if (!last_manifest(w, &bytes))
		return false;
	assert_ok(upt_vehicle_manifest_check(upt_buf_span(&bytes), prim, &manifest, why));
	entry = upt_vehicle_manifest_find(&manifest, serial);
	if (entry == NULL)
		return false;
	snprintf(name, sizeof(name), "%s.key", serial);
	key = strcmp(serial, "sec") == 0 ? public_part(w->sec_key) : key_of_file(w, name);
	assert_ok(upt_ecu_report_check(entry->envelope, key, out, why));
	return true;
}

unsigned
world_installation(struct world *w, struct upt_buf *out)
{
	static const char field[] = "\"installation_report\":";
	unsigned n_found = 0;
	char name[32];

	for (int n = 1; n < 100000; n++) {
		upt_cleanup(upt_buf_clear) struct upt_buf body = {0};
		const char *at;

		snprintf(name, sizeof(name), "got.%d", n);
		world_file(w, name, &body);
		if (body.len == 0)
			break;
		at = strstr((const char *)body.data, field);
		if (at == NULL)
			continue;
		n_found++;
		out->len = 0;
		/* to the next member of the manifest: canonical text is sorted */
		assert_ok(upt_buf_printf(out, why, "%.*s",
			(int)(strstr(at, ",\"primary_ecu_serial\"") - at), at));
	}
	return n_found;
}

void
world_add_check(struct world *w)
{
	char text[512], path[PATH_MAX];

	path_of(w, "health.d", path);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(text, sizeof(text),
		"#!/bin/sh\n[ ! -e %s/deadly ] || kill -9 $PPID\n[ ! -e %s/sick ] || exit 7\n",
		w->dir, w->dir);
	world_write(w, "health.d/check", text);
	path_of(w, "health.d/check", path);
	assert_int_equal(chmod(path, 0755), 0);
}

struct upt_store *
world_store(struct world *w)
{
	struct upt_store *store;
	char dir[PATH_MAX];

	path_of(w, "state", dir);
	assert_ok(upt_store_open(dir, UPT_STORE_WRITE, &store, why));
	return store;
}

const char *
world_slot(struct world *w, enum world_ecu ecu, enum upt_image_slot slot)
{
	upt_cleanup(upt_store_close) struct upt_store *store = world_store(w);
	static char names[8][UPT_TARGET_NAME_MAX + 1];
	static unsigned next;
	struct upt_image image;
	char *name = names[next++ % 8];

	assert_ok(upt_store_get_image(store, serials[ecu], slot, &image, why));
	memcpy(name, image.name, sizeof(image.name));
	return name;
}

/* ---- beginning and end ---- */

static void
repo_init(struct world *w, struct world_repo *r, const char *folder, bool is_director)
{
	r->folder = folder;
	r->is_director = is_director;
	for (int i = 0; i < UPT_N_ROLES; i++) {
		r->keys[i] = new_key();
		r->expires[i] = w->now + 3650 * (int64_t)DAY;
	}
	r->versions[UPT_ROLE_ROOT] = 1;
	serve_root(w, r);
}

void
world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	/* In memory where there is some: hundreds of fsyncs take minutes on a disk. */
	snprintf(w->dir, sizeof(w->dir), "%s/upt-primary-XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(w->dir));
	w->result = mmap(NULL, sizeof(*w->result), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(w->result != MAP_FAILED);
	w->now = 1800000000;
	w->fail_install = -1;
	w->fail_code = UPT_E_INSTALL;
	w->sec_key = new_key();
	w->server_pid = server_start(w->dir, &w->port);
	repo_init(w, &w->director, "director", true);
	repo_init(w, &w->image, "repo", false);
	repo_init(w, &w->fleet, "fleet", true);
	repo_init(w, &w->mirror, "mirror", false);
	world_write(w, "prim", "factory\n");
	world_write(w, "app", "factory\n");
	world_publish(w);
}

static int
remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

void
world_clear(struct world *w)
{
	server_stop(w->server_pid);
	for (int i = 0; i < UPT_N_ROLES; i++) {
		upt_private_key_free(&w->director.keys[i]);
		upt_private_key_free(&w->image.keys[i]);
		upt_private_key_free(&w->fleet.keys[i]);
		upt_private_key_free(&w->mirror.keys[i]);
	}
	upt_private_key_free(&w->sec_key);
	munmap(w->result, sizeof(*w->result));
	nftw(w->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
