#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "secondary/conn.h"

#define DAY 86400

/* ---- repositories ---- */

static struct upt_private_key *
new_key(void)
{
	struct upt_private_key *key;

	assert_ok(upt_private_key_generate("ed25519", 0, &key, why));
	return key;
}

const struct upt_buf *
world_file(const struct world_repo *r, const char *name)
{
	for (size_t i = 0; i < r->n_files; i++) {
		if (strcmp(r->files[i].name, name) == 0)
			return &r->files[i].bytes;
	}
	return NULL;
}

void
world_serve(struct world_repo *r, const char *name, struct upt_span bytes)
{
	size_t i = 0;

	while (i < r->n_files && strcmp(r->files[i].name, name) != 0 && r->files[i].name[0] != '\0')
		i++;
	assert_true(i < WORLD_MAX_FILES);
	if (i == r->n_files)
		r->n_files++;
	snprintf(r->files[i].name, sizeof(r->files[i].name), "%s", name);
	r->files[i].bytes.len = 0;
	assert_ok(upt_buf_append(&r->files[i].bytes, bytes.data, bytes.len, why));
}

void
world_withdraw(struct world_repo *r, const char *name)
{
	for (size_t i = 0; i < r->n_files; i++) {
		if (strcmp(r->files[i].name, name) == 0)
			r->files[i].name[0] = '\0';
	}
}

static void
sign_as(struct world_repo *r, enum upt_role role, cJSON *payload, struct upt_buf *out)
{
	const struct upt_private_key *key = r->forged == (int)role ? r->forger : r->keys[role];

	assert_non_null(payload);
	assert_ok(upt_author_sign(payload, &key, 1, out, why));
	cJSON_Delete(payload);
}

static cJSON *
root_payload(struct world_repo *r)
{
	struct upt_author_role roles[UPT_N_ROLES];
	const struct upt_private_key *keys[UPT_N_ROLES];
	size_t n = 0;

	for (int i = 0; i < UPT_N_ROLES; i++) {
		if (r->targets_only && i != UPT_ROLE_ROOT && i != UPT_ROLE_TARGETS)
			continue;
		keys[n] = r->keys[i];
		roles[n] = (struct upt_author_role){.name = upt_role_name((enum upt_role)i),
			.keys = &keys[n],
			.n_keys = 1,
			.threshold = 1};
		n++;
	}
	return upt_author_root(
		r->versions[UPT_ROLE_ROOT], r->expires[UPT_ROLE_ROOT], r->consistent, roles, n);
}

/* Serves a document as "7.snapshot.json", or without the version. */
static void
serve_document(struct world_repo *r, const char *name, uint64_t version, struct upt_span bytes)
{
	char file[64];

	if (r->consistent)
		snprintf(file, sizeof(file), "%ju.%s.json", (uintmax_t)version, name);
	else
		snprintf(file, sizeof(file), "%s.json", name);
	world_serve(r, file, bytes);
}

static void
serve_root(struct world_repo *r, const struct upt_private_key *old_key)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	const struct upt_private_key *keys[2] = {r->keys[UPT_ROLE_ROOT], old_key};
	bool both = old_key != NULL && old_key != r->keys[UPT_ROLE_ROOT];
	cJSON *payload = root_payload(r);
	char name[64];

	assert_non_null(payload);
	assert_ok(upt_author_sign(payload, keys, both ? 2 : 1, &bytes, why));
	cJSON_Delete(payload);
	snprintf(name, sizeof(name), "%ju.root.json", (uintmax_t)r->versions[UPT_ROLE_ROOT]);
	world_serve(r, name, upt_buf_span(&bytes));
}

static cJSON *
image_custom(const struct world *w)
{
	cJSON *custom = cJSON_CreateObject();
	cJSON *list = cJSON_AddArrayToObject(custom, "hardwareIds");

	cJSON_AddItemToArray(list, cJSON_CreateString(w->image_hardware));
	if (w->format != NULL)
		cJSON_AddStringToObject(custom, "targetFormat", w->format);
	return custom;
}

static cJSON *
ecu_custom(const char *serial, const char *hardware)
{
	cJSON *custom = cJSON_CreateObject();
	cJSON *ecus = cJSON_AddObjectToObject(custom, "ecuIdentifiers");
	cJSON *ecu = cJSON_AddObjectToObject(ecus, serial);

	cJSON_AddStringToObject(ecu, "hardwareId", hardware);
	return custom;
}

static cJSON *
director_targets(struct world *w)
{
	struct world_repo *r = &w->director;
	cJSON *targets =
		upt_author_targets(r->versions[UPT_ROLE_TARGETS], r->expires[UPT_ROLE_TARGETS]);
	cJSON *custom = cJSON_AddObjectToObject(targets, "custom");

	if (w->vehicle_id != NULL)
		cJSON_AddStringToObject(custom, "vehicleId", w->vehicle_id);
	if (w->assign)
		assert_ok(upt_author_add_target(targets, &w->director_says,
			ecu_custom(WORLD_SERIAL, w->director_hardware), why));
	return targets;
}

/* The delegated role's document, and its listing in the snapshot. */
static void
serve_delegate(struct world *w, cJSON *targets, cJSON *snapshot)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	const struct upt_private_key *key = w->delegate;
	const struct upt_author_role role = {"supplier", &key, 1, 1};
	const char *const paths[] = {"fw-*"};
	cJSON *delegated = upt_author_targets(w->delegate_version, w->now + DAY);

	assert_ok(upt_author_add_delegation(targets, &role, paths, 1, NULL, 0, true, why));
	if (w->list)
		assert_ok(upt_author_add_target(delegated, &w->image_says, image_custom(w), why));
	assert_ok(upt_author_sign(delegated, &key, 1, &bytes, why));
	cJSON_Delete(delegated);
	assert_ok(upt_author_snapshot_add(
		snapshot, "supplier.json", w->delegate_version, upt_buf_span(&bytes), why));
	serve_document(&w->image, w->ota ? "delegations/supplier" : "supplier", w->delegate_version,
		upt_buf_span(&bytes));
}

static cJSON *
image_targets(struct world *w, cJSON *snapshot)
{
	struct world_repo *r = &w->image;
	cJSON *targets =
		upt_author_targets(r->versions[UPT_ROLE_TARGETS], r->expires[UPT_ROLE_TARGETS]);

	if (w->delegate != NULL)
		serve_delegate(w, targets, snapshot);
	else if (w->list)
		assert_ok(upt_author_add_target(targets, &w->image_says, image_custom(w), why));
	return targets;
}

static void
publish_repo(struct world *w, struct world_repo *r)
{
	upt_cleanup(upt_buf_clear) struct upt_buf targets = {0}, snapshot = {0}, timestamp = {0};
	cJSON *snap, *stamp;

	/* What was published before is gone from the server, but for the roots. */
	for (size_t i = 0; i < r->n_files; i++) {
		if (strstr(r->files[i].name, ".root.json") == NULL)
			world_withdraw(r, r->files[i].name);
	}
	r->versions[UPT_ROLE_TIMESTAMP]++;
	r->versions[UPT_ROLE_SNAPSHOT]++;
	r->versions[UPT_ROLE_TARGETS]++;
	snap = upt_author_snapshot(r->versions[UPT_ROLE_SNAPSHOT], r->expires[UPT_ROLE_SNAPSHOT]);
	sign_as(r, UPT_ROLE_TARGETS,
		r->repo == UPT_REPO_DIRECTOR ? director_targets(w) : image_targets(w, snap),
		&targets);
	assert_ok(upt_author_snapshot_add(
		snap, "targets.json", r->versions[UPT_ROLE_TARGETS], upt_buf_span(&targets), why));
	sign_as(r, UPT_ROLE_SNAPSHOT, snap, &snapshot);
	stamp = upt_author_timestamp(
		r->versions[UPT_ROLE_TIMESTAMP], r->expires[UPT_ROLE_TIMESTAMP]);
	assert_ok(upt_author_timestamp_set(
		stamp, r->versions[UPT_ROLE_SNAPSHOT], upt_buf_span(&snapshot), why));
	if (r->hashless)
		cJSON_DeleteItemFromObject(
			cJSON_GetObjectItem(cJSON_GetObjectItem(stamp, "meta"), "snapshot.json"),
			"hashes");
	sign_as(r, UPT_ROLE_TIMESTAMP, stamp, &timestamp);
	serve_document(r, "targets", r->versions[UPT_ROLE_TARGETS], upt_buf_span(&targets));
	if (r->targets_only)
		return;
	world_serve(r, "timestamp.json", upt_buf_span(&timestamp));
	serve_document(r, "snapshot", r->versions[UPT_ROLE_SNAPSHOT], upt_buf_span(&snapshot));
}

void
world_publish(struct world *w)
{
	publish_repo(w, &w->director);
	publish_repo(w, &w->image);
}

void
world_rotate(struct world *w, struct world_repo *r, const bool renew[UPT_N_ROLES])
{
	struct upt_private_key *old_root = r->keys[UPT_ROLE_ROOT];

	for (int i = 0; i < UPT_N_ROLES; i++) {
		if (!renew[i])
			continue;
		if (i != UPT_ROLE_ROOT)
			upt_private_key_free(&r->keys[i]);
		r->keys[i] = new_key();
	}
	r->versions[UPT_ROLE_ROOT]++;
	serve_root(r, old_root);
	if (old_root != r->keys[UPT_ROLE_ROOT])
		upt_private_key_free(&old_root);
	world_publish(w);
}

static void
repo_init(struct world *w, struct world_repo *r, enum upt_repo repo)
{
	r->repo = repo;
	r->consistent = true;
	r->forged = -1;
	r->forger = new_key();
	for (int i = 0; i < UPT_N_ROLES; i++) {
		r->keys[i] = new_key();
		r->expires[i] = w->now + (i == UPT_ROLE_ROOT ? 3650 : 1) * (int64_t)DAY;
	}
	r->versions[UPT_ROLE_ROOT] = 1;
	serve_root(r, NULL);
}

static void
repo_clear(struct world_repo *r)
{
	upt_private_key_free(&r->forger);
	for (int i = 0; i < UPT_N_ROLES; i++)
		upt_private_key_free(&r->keys[i]);
	for (size_t i = 0; i < r->n_files; i++)
		upt_buf_clear(&r->files[i].bytes);
}

/* ---- the world ---- */

void
world_set_content(struct world *w, size_t n, unsigned seed)
{
	struct upt_image *image = &w->image_says;

	w->content.len = 0;
	assert_ok(upt_buf_reserve(&w->content, n, why));
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1103515245u + 12345u;
		w->content.data[i] = (uint8_t)(seed >> 16);
	}
	w->content.len = n;
	*image = (struct upt_image){.name = WORLD_TARGET, .length_bytes = n, .n_digests = 2};
	assert_ok(
		upt_hash_span(UPT_HASH_SHA256, upt_buf_span(&w->content), &image->digests[0], why));
	assert_ok(
		upt_hash_span(UPT_HASH_SHA512, upt_buf_span(&w->content), &image->digests[1], why));
	w->director_says = *image;
}

static void
write_root_file(const struct world_repo *r, const char *path)
{
	assert_ok(upt_file_replace(
		AT_FDCWD, path, 0644, upt_buf_span(world_file(r, "1.root.json")), why));
}

void
world_init(struct world *w)
{
	struct upt_private_key *key = new_key();

	memset(w, 0, sizeof(*w));
	/* In memory where there is some: hundreds of fsyncs take minutes on a disk. */
	snprintf(w->dir, sizeof(w->dir), "%s/upt-secondary-XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->state_dir, sizeof(w->state_dir), "%s/state", w->dir);
	snprintf(w->install_path, sizeof(w->install_path), "%s/firmware", w->dir);
	snprintf(w->director_root, sizeof(w->director_root), "%s/director.json", w->dir);
	snprintf(w->image_root, sizeof(w->image_root), "%s/image.json", w->dir);
	snprintf(w->inhibit_path, sizeof(w->inhibit_path), "%s/inhibit", w->dir);
	snprintf(w->key_path, sizeof(w->key_path), "%s/key.pem", w->dir);
	w->now = 1800000000;
	w->timeout_ms = 20000;
	w->director_hardware = w->image_hardware = WORLD_HARDWARE;
	w->vehicle_id = WORLD_VEHICLE;
	w->assign = w->list = true;
	w->delegate_version = 1;
	assert_ok(upt_private_key_save(key, w->key_path, why));
	upt_private_key_free(&key);
	repo_init(w, &w->director, UPT_REPO_DIRECTOR);
	repo_init(w, &w->image, UPT_REPO_IMAGE);
	write_root_file(&w->director, w->director_root);
	write_root_file(&w->image, w->image_root);
	world_set_content(w, 200000, 1);
	world_publish(w);
	world_install_by_hand(w, "old firmware");
}

void
world_use_ota(struct world *w)
{
	w->ota = true;
	w->vehicle_id = NULL;
	w->director.targets_only = true;
	w->director.consistent = w->image.consistent = false;
	serve_root(&w->director, NULL);
	serve_root(&w->image, NULL);
	write_root_file(&w->director, w->director_root);
	write_root_file(&w->image, w->image_root);
	world_publish(w);
}

static int
remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void
world_clear(struct world *w)
{
	if (w->agent_pid > 0)
		world_kill(w);
	repo_clear(&w->director);
	repo_clear(&w->image);
	upt_private_key_free(&w->delegate);
	upt_buf_clear(&w->content);
	nftw(w->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	w->dir[0] = '\0';
}

static enum upt_code
source_fetch(void *ctx, enum upt_repo repo, const char *file_name, size_t max_bytes,
	struct upt_buf *out, struct upt_err *err)
{
	struct world *w = ctx;
	const struct upt_buf *bytes =
		world_file(repo == UPT_REPO_DIRECTOR ? &w->director : &w->image, file_name);

	w->n_fetched++;
	if (w->withheld != NULL && strcmp(w->withheld, file_name) == 0)
		return upt_fail(err, UPT_E_NETWORK, "withheld");
	if (bytes == NULL)
		return upt_fail(err, UPT_E_ABSENT, "no %s", file_name);
	if (bytes->len > max_bytes)
		return upt_fail(err, UPT_E_TOO_LARGE, "%s has %zu bytes", file_name, bytes->len);
	out->len = 0;
	return upt_buf_append(out, bytes->data, bytes->len, err);
}

struct upt_metadata_source
world_source(struct world *w)
{
	return (struct upt_metadata_source){.fetch = source_fetch, .ctx = w};
}

/* ---- the agent ---- */

/* Set in the agent's process only: see __wrap_fsync() and its like in kill.c. */
extern int world_kill_at;

static int64_t
fixed_clock(void *ctx)
{
	const struct world *w = ctx;

	return w->now;
}

struct upt_agent_config
world_agent_config(const struct world *w)
{
	return (struct upt_agent_config){.serial = WORLD_SERIAL,
		.hardware_id = WORLD_HARDWARE,
		.vehicle_id = w->ota ? NULL : WORLD_VEHICLE,
		.profile_ota = w->ota,
		.inhibit_file = w->inhibit_path,
		.state_dir = w->state_dir,
		.director_root = w->director_root,
		.image_root = w->image_root,
		.install_path = w->install_path,
		.address = "127.0.0.1",
		.timeout_ms = w->timeout_ms,
		.clock = fixed_clock,
		.clock_ctx = (void *)(uintptr_t)w};
}

static int
agent_process(const struct world *w, int port_fd)
{
	const struct upt_log log = {.stream = getenv("UPT_TEST_LOG") != NULL ? stderr : NULL,
		.name = "agent",
		.level = UPT_LOG_DEBUG};
	struct upt_agent_config config = world_agent_config(w);
	struct upt_private_key *key = NULL;
	struct upt_agent *agent = NULL;
	struct upt_err err = {0};
	sigset_t set;
	unsigned port;
	int stop_fd;

	/* No test that fails or dies leaves an agent behind. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	world_kill_at = w->kill_at;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	stop_fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (upt_private_key_load(w->key_path, &key, &err) != UPT_OK ||
		upt_agent_new(&config, key, &log, &agent, &err) != UPT_OK ||
		upt_agent_listen(agent, &err) != UPT_OK) {
		fprintf(stderr, "agent: %s\n", err.message);
		return 1;
	}
	port = upt_agent_port(agent);
	if (write(port_fd, &port, sizeof(port)) != sizeof(port))
		return 1;
	close(port_fd);
	if (upt_agent_run(agent, stop_fd, &err) != UPT_OK)
		return 1;
	upt_agent_free(&agent);
	close(stop_fd);
	return 0;
}

void
world_start(struct world *w)
{
	int fds[2];

	assert_int_equal(w->agent_pid, 0);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	fflush(NULL);
	w->agent_pid = fork();
	assert_true(w->agent_pid >= 0);
	if (w->agent_pid == 0) {
		close(fds[0]);
		_exit(agent_process(w, fds[1]));
	}
	close(fds[1]);
	w->port = 0;
	/* An agent that dies early (kill_at) leaves port 0, and every call finds nobody there. */
	if (read(fds[0], &w->port, sizeof(w->port)) != sizeof(w->port) && w->kill_at == 0)
		fail_msg("the agent did not start");
	close(fds[0]);
}

void
world_stop(struct world *w)
{
	int status = -1;

	assert_int_equal(kill(w->agent_pid, SIGTERM), 0);
	assert_int_equal(waitpid(w->agent_pid, &status, 0), w->agent_pid);
	w->agent_pid = 0;
	assert_int_equal(status, 0);
}

void
world_kill(struct world *w)
{
	kill(w->agent_pid, SIGKILL);
	waitpid(w->agent_pid, NULL, 0);
	w->agent_pid = 0;
}

void
world_wait_death(struct world *w)
{
	int status = 0;

	assert_int_equal(waitpid(w->agent_pid, &status, 0), w->agent_pid);
	w->agent_pid = 0;
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* ---- calls ---- */

int
world_connect(const struct world *w)
{
	const struct sockaddr_in name = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)w->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&name, sizeof(name)), 0);
	assert_ok(upt_conn_prepare(fd, why));
	return fd;
}

struct upt_link *
world_link(struct world *w)
{
	const struct upt_ip_link_config config = {
		.address = "127.0.0.1", .port = w->port, .timeout_ms = w->timeout_ms};
	struct upt_link *link;

	assert_ok(upt_ip_link_new(&config, NULL, &link, why));
	return link;
}

enum upt_code
world_verify(struct world *w, struct upt_err *err)
{
	struct upt_metadata_source source = world_source(w);
	struct upt_link *link = world_link(w);
	enum upt_code code = link->ops->send_metadata(link, &source, err);

	upt_link_free(&link);
	return code;
}

struct upt_install_job
world_job(struct world *w)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/image", w->dir);
	assert_ok(upt_file_replace(AT_FDCWD, path, 0600, upt_buf_span(&w->content), why));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return (struct upt_install_job){
		.image = &w->image_says, .format = "BINARY", .image_fd = fd};
}

enum upt_code
world_send(struct world *w, struct upt_err *err)
{
	struct upt_install_job job = world_job(w);
	struct upt_link *link = world_link(w);
	enum upt_code code = link->ops->send_image(link, &job, NULL, err);

	upt_link_free(&link);
	close(job.image_fd);
	return code;
}

enum upt_code
world_install(struct world *w, struct upt_err *err)
{
	struct upt_install_job job = {.image = &w->image_says, .format = "BINARY", .image_fd = -1};
	struct upt_link *link = world_link(w);
	bool pending = true;
	enum upt_code code = link->ops->install(link, &job, &pending, err);

	upt_link_free(&link);
	assert_false(pending);
	return code;
}

void
world_update(struct world *w)
{
	assert_ok(world_verify(w, why));
	assert_ok(world_send(w, why));
	assert_ok(world_install(w, why));
	assert_true(world_installed_is(w, upt_buf_span(&w->content)));
}

void
world_report(struct world *w, struct upt_ecu_report *out)
{
	upt_cleanup(upt_buf_clear) struct upt_buf envelope = {0};
	upt_cleanup(upt_public_key_free) struct upt_public_key *key = NULL;
	struct upt_link *link = world_link(w);
	struct upt_ecu_info info;

	assert_ok(link->ops->info(link, &info, why));
	assert_ok(link->ops->report(link, "", 0, &envelope, why));
	assert_ok(upt_public_key_parse(
		upt_span_str(info.key_type), upt_span_str(info.public_key), &key, why));
	assert_ok(upt_ecu_report_check(upt_buf_span(&envelope), key, out, why));
	assert_string_equal(out->ecu_serial, WORLD_SERIAL);
	upt_link_free(&link);
}

bool
world_installed_is(const struct world *w, struct upt_span bytes)
{
	upt_cleanup(upt_buf_clear) struct upt_buf file = {0};

	return upt_file_read(AT_FDCWD, w->install_path, (size_t)64 << 20, &file, NULL) == UPT_OK &&
	       upt_span_equal(upt_buf_span(&file), bytes);
}

void
world_install_by_hand(const struct world *w, const char *text)
{
	assert_ok(upt_file_replace(AT_FDCWD, w->install_path, 0644, upt_span_str(text), why));
}
