/*
 * COMPOSE: several containers by a compose file. All images are there before anything stops; then
 * compose replaces what differs, and the engine is asked whether every service runs in its pinned
 * image and is healthy. The state file says which file is the current one and is the only commit
 * point: before it, what failed is undone by bringing the old file up again; after a crash whatever
 * is current is brought up once more, which changes nothing where nothing differs.
 */
#include "installer/compose_internal.h"

#include <stdio.h>

#include "base/encode.h"

#define PROGRAM "/usr/bin/docker-compose"
#define TIMEOUT_S 300
#define OUTPUT_MAX 1024
#define MAX_KEPT (2 * UPT_COMPOSE_MAX_SERVICES)

/* A file with its text. */
struct version {
	char digest[UPT_OCI_DIGEST_HEX + 1];
	struct upt_buf text;
	struct upt_compose_file file;
};

static void
version_clear(struct version *version)
{
	upt_buf_clear(&version->text);
	upt_compose_file_clear(&version->file);
}

static struct upt_compose *
from_base(struct upt_installer *base)
{
	return (struct upt_compose *)base;
}

static enum upt_code
load_state(struct upt_compose *self, struct upt_container_state *state, bool *known,
	struct upt_err *err)
{
	UPT_TRY(upt_oci_connect(&self->common.oci, err));
	return upt_container_state_load(self->common.state_path, state, known, err);
}

static enum upt_code
load_version(struct upt_compose *self, const char *digest, struct version *out, struct upt_err *err)
{
	snprintf(out->digest, sizeof(out->digest), "%s", digest);
	return upt_compose_load(self, digest, &out->text, &out->file, err);
}

/* As what the device permits now. */
static enum upt_code
parse(struct upt_compose *self, struct version *version, struct upt_err *err)
{
	return upt_compose_file_parse(upt_buf_span(&version->text), &self->common.limits,
		self->common.network, &version->file, err);
}

static enum upt_code
read_version(struct upt_compose *self, const struct upt_install_job *job, struct version *out,
	struct upt_err *err)
{
	const struct upt_digest *sha256;

	UPT_TRY(upt_compose_read_job(job, &out->text, err));
	sha256 = upt_image_digest(job->image, UPT_HASH_SHA256);
	upt_hex_encode(upt_span(sha256->bytes, sha256->len), out->digest);
	return parse(self, out, err);
}

/* ---- images ---- */

/* The references of a service: no mirrors, as compose asks for the image by the name in the file.
 */
static enum upt_code
find_image(struct upt_compose *self, const struct upt_compose_service *service,
	struct upt_container_references *refs, const char **found, struct upt_err *err)
{
	UPT_TRY(upt_container_references(NULL, service->image, refs, err));
	return upt_container_find_image(&self->common, refs, service->digest, found, err);
}

static void
keep_images(const struct version *version, const char **keep, size_t *n)
{
	for (size_t i = 0; i < version->file.n_services; i++)
		keep[(*n)++] = version->file.services[i].digest;
}

/* Of what is current and previous, and of one more version or NULL. Without the files nothing is
 * known to be unused. */
static void
prune_images(struct upt_compose *self, const struct upt_container_state *state,
	const struct version *also)
{
	upt_cleanup(version_clear) struct version current = {0}, previous = {0};
	const char *keep[MAX_KEPT + UPT_COMPOSE_MAX_SERVICES];
	struct upt_err err = {0};
	size_t n = 0;

	if (state->current.digest[0] != '\0' &&
		load_version(self, state->current.digest, &current, &err) != UPT_OK)
		return;
	if (state->previous.digest[0] != '\0' &&
		load_version(self, state->previous.digest, &previous, &err) != UPT_OK)
		return;
	keep_images(&current, keep, &n);
	keep_images(&previous, keep, &n);
	if (also != NULL)
		keep_images(also, keep, &n);
	upt_container_prune_images(&self->common, keep, n);
}

/* ---- compose ---- */

static enum upt_code
run(struct upt_compose *self, const char *digest, bool up, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf path = {0};
	char timeout[16], output[OUTPUT_MAX];
	const char *argv[20] = {self->program, "--ansi", "never", "-p", self->common.name, "-f"};
	size_t n = 6;

	UPT_TRY(upt_compose_path(self, digest, &path, err));
	snprintf(timeout, sizeof(timeout), "%u", self->common.stop_timeout_s);
	argv[n++] = (const char *)path.data;
	argv[n++] = up ? "up" : "down";
	if (up) {
		argv[n++] = "-d";
		argv[n++] = "--no-build";
	}
	argv[n++] = "--remove-orphans";
	argv[n++] = "-t";
	argv[n++] = timeout;
	return self->runner.run(self->runner.ctx, argv, output, sizeof(output), err);
}

/* Brings version up and proves it. A run that fails and leaves all running has not failed. */
static enum upt_code
bring_up(struct upt_compose *self, const struct version *version, struct upt_err *err)
{
	struct upt_err said = {0};
	enum upt_code code = run(self, version->digest, true, &said);

	if (code != UPT_OK && code != UPT_E_INSTALL) {
		if (err != NULL)
			*err = said;
		return code;
	}
	code = upt_compose_wait_healthy(self, &version->file, err);
	if (code == UPT_E_INSTALL && said.message[0] != '\0')
		return upt_wrap(err, code, "%.200s", said.message);
	if (code == UPT_OK && said.message[0] != '\0')
		upt_log(self->common.base.log, UPT_LOG_WARNING, "%s: %s", self->common.name,
			said.message);
	return code;
}

/* Back to what ran before, whatever is left of the new version; named volumes stay. */
static void
restore(struct upt_compose *self, const struct upt_container_state *state, bool known,
	const char *failed)
{
	upt_cleanup(version_clear) struct version old = {0};
	struct upt_err err = {0};
	enum upt_code code;

	if (!known)
		code = run(self, failed, false, &err);
	else if ((code = load_version(self, state->current.digest, &old, &err)) == UPT_OK)
		code = bring_up(self, &old, &err);
	if (code != UPT_OK)
		upt_log_err(self->common.base.log, UPT_LOG_ERROR, &err,
			"%s: the old version is not up again", self->common.name);
}

/* ---- operations ---- */

static enum upt_code
measure(const struct version *version, struct upt_image *out, struct upt_err *err)
{
	struct upt_span text = upt_buf_span(&version->text);
	struct upt_image found = {.n_digests = 2, .length_bytes = text.len};

	UPT_TRY(upt_hash_span(UPT_HASH_SHA256, text, &found.digests[0], err));
	UPT_TRY(upt_hash_span(UPT_HASH_SHA512, text, &found.digests[1], err));
	*out = found;
	return UPT_OK;
}

static enum upt_code
compose_current(struct upt_installer *base, struct upt_image *out, struct upt_err *err)
{
	struct upt_compose *self = from_base(base);
	upt_cleanup(version_clear) struct version current = {0};
	struct upt_container_state state;
	bool known, right;

	*out = (struct upt_image){0};
	UPT_TRY(load_state(self, &state, &known, err));
	if (!known)
		return UPT_OK;
	UPT_TRY(load_version(self, state.current.digest, &current, err));
	UPT_TRY(upt_compose_is_running(self, &current.file, &right, err));
	return right ? measure(&current, out, err) : UPT_OK;
}

static enum upt_code
compose_prepare(struct upt_installer *base, const struct upt_install_job *job,
	const struct upt_install_progress *progress, struct upt_err *err)
{
	struct upt_compose *self = from_base(base);
	upt_cleanup(version_clear) struct version new = {0};
	struct upt_container_state state;
	bool known;

	UPT_TRY(read_version(self, job, &new, err));
	UPT_TRY(load_state(self, &state, &known, err));
	/* Room first: what an earlier assignment pulled and nobody installed goes. */
	prune_images(self, &state, &new);
	for (size_t i = 0; i < new.file.n_services; i++) {
		const struct upt_compose_service *service = &new.file.services[i];
		struct upt_container_references refs;
		const char *found;

		if (progress != NULL && progress->cancel != NULL && *progress->cancel)
			return upt_fail(err, UPT_E_CANCELLED, "preparing %s was cancelled",
				self->common.name);
		UPT_TRY(find_image(self, service, &refs, &found, err));
		if (found == NULL)
			UPT_TRY(upt_container_pull(
				&self->common, &refs, service->digest, progress, err));
	}
	return UPT_OK;
}

static enum upt_code
check_prepared(struct upt_compose *self, const struct version *version, struct upt_err *err)
{
	for (size_t i = 0; i < version->file.n_services; i++) {
		struct upt_container_references refs;
		const char *found;

		UPT_TRY(find_image(self, &version->file.services[i], &refs, &found, err));
		/* Compose would pull it, after it had stopped what runs. */
		if (found == NULL)
			return upt_fail(err, UPT_E_NOT_FOUND, "%s was not prepared",
				version->file.services[i].image);
	}
	return UPT_OK;
}

/* From what state says to version, or back again. */
static enum upt_code
take_over(struct upt_compose *self, const struct version *version,
	const struct upt_container_state *state, bool known, struct upt_err *err)
{
	struct upt_container_state next = {.previous = state->current};
	struct upt_err ignored = {0};
	enum upt_code code = bring_up(self, version, err);

	/* What cannot be told is no success either. */
	if (code == UPT_E_SERVER || code == UPT_E_ABSENT)
		code = upt_wrap(err, UPT_E_INSTALL, "%s", self->common.name);
	if (strcmp(version->digest, state->current.digest) == 0)
		return code;
	memcpy(next.current.digest, version->digest, sizeof(version->digest));
	if (code == UPT_OK) {
		code = upt_container_state_save(self->common.state_path, &next, err);
		if (code != UPT_OK && upt_container_state_restore(self->common.state_path, state,
					      known, &ignored) != UPT_OK)
			upt_log_err(self->common.base.log, UPT_LOG_ERROR, &ignored, "%s",
				self->common.name);
	}
	if (code != UPT_OK) {
		restore(self, state, known, version->digest);
		next = *state;
	} else {
		upt_log(self->common.base.log, UPT_LOG_INFO, "%s runs %.12s now", self->common.name,
			version->digest);
	}
	upt_compose_sweep(self, &next, NULL);
	prune_images(self, &next, NULL);
	return code;
}

static enum upt_code
compose_install(struct upt_installer *base, const struct upt_install_job *job, bool *needs_reboot,
	struct upt_err *err)
{
	struct upt_compose *self = from_base(base);
	upt_cleanup(version_clear) struct version new = {0};
	struct upt_container_state state;
	bool known;

	*needs_reboot = false;
	UPT_TRY(read_version(self, job, &new, err));
	UPT_TRY(load_state(self, &state, &known, err));
	UPT_TRY(check_prepared(self, &new, err));
	UPT_TRY(upt_compose_save(self, new.digest, upt_buf_span(&new.text), err));
	return take_over(self, &new, &state, known, err);
}

static enum upt_code
compose_finalize(
	struct upt_installer *base, const struct upt_image *image, bool *done, struct upt_err *err)
{
	struct upt_image found;

	*done = false;
	UPT_TRY(compose_current(base, &found, err));
	if (!upt_image_same_content(&found, image))
		return upt_fail(err, UPT_E_INSTALL, "%s does not run %s",
			from_base(base)->common.name, image->name);
	*done = true;
	return UPT_OK;
}

static enum upt_code
compose_check(struct upt_installer *base, struct upt_err *err)
{
	struct upt_compose *self = from_base(base);
	upt_cleanup(version_clear) struct version current = {0};
	struct upt_container_state state;
	bool known;

	UPT_TRY(load_state(self, &state, &known, err));
	if (!known)
		return UPT_OK;
	UPT_TRY(load_version(self, state.current.digest, &current, err));
	return upt_compose_check(self, &current.file, err);
}

static enum upt_code
compose_rollback(struct upt_installer *base, bool *needs_reboot, struct upt_err *err)
{
	struct upt_compose *self = from_base(base);
	upt_cleanup(version_clear) struct version previous = {0};
	struct upt_container_state state;
	bool known;

	*needs_reboot = false;
	UPT_TRY(load_state(self, &state, &known, err));
	if (!known || state.previous.digest[0] == '\0')
		return upt_fail(err, UPT_E_INSTALL,
			"nothing to go back to: %s has no previous version", self->common.name);
	UPT_TRY(load_version(self, state.previous.digest, &previous, err));
	upt_compose_file_clear(&previous.file);
	UPT_TRY(parse(self, &previous, err));
	UPT_TRY(check_prepared(self, &previous, err));
	return take_over(self, &previous, &state, known, err);
}

/* A first installation that a crash cut short: there is nothing that should run. */
static enum upt_code
clear_away(struct upt_compose *self, const struct upt_container_state *state, struct upt_err *err)
{
	char digest[UPT_OCI_DIGEST_HEX + 1];

	upt_compose_sweep(self, state, digest);
	if (digest[0] == '\0')
		return UPT_OK;
	UPT_TRY(run(self, digest, false, err));
	upt_compose_sweep(self, state, NULL);
	return UPT_OK;
}

static enum upt_code
compose_resume(struct upt_installer *base, struct upt_err *err)
{
	struct upt_compose *self = from_base(base);
	upt_cleanup(version_clear) struct version current = {0};
	struct upt_container_state state;
	bool known, right;

	UPT_TRY(load_state(self, &state, &known, err));
	if (!known)
		return clear_away(self, &state, err);
	UPT_TRY(load_version(self, state.current.digest, &current, err));
	UPT_TRY(upt_compose_is_running(self, &current.file, &right, err));
	if (!right)
		UPT_TRY(run(self, current.digest, true, err));
	upt_compose_sweep(self, &state, NULL);
	return UPT_OK;
}

static void
compose_free(struct upt_installer *base)
{
	struct upt_compose *self = from_base(base);

	upt_arena_clear(&self->common.arena);
	free(self);
}

static const struct upt_installer_ops compose_ops = {
	.format = "COMPOSE",
	.needs_image = true,
	.current = compose_current,
	.prepare = compose_prepare,
	.install = compose_install,
	.finalize = compose_finalize,
	.check = compose_check,
	.rollback = compose_rollback,
	.resume = compose_resume,
	.free = compose_free,
};

/* ---- settings ---- */

static enum upt_code
check_config(const struct upt_compose_installer_config *config, struct upt_err *err)
{
	const struct upt_container_installer_config *c = &config->container;

	if (c->n_env > 0 || c->port_a != 0 || c->port_b != 0 || c->health_url != NULL ||
		c->endpoint_path != NULL || c->mirrors != NULL)
		return upt_fail(err, UPT_E_CONFIG,
			"a compose file takes no env, ports, health_url, endpoint or mirrors");
	if (config->socket_path == NULL || config->socket_path[0] != '/')
		return upt_fail(err, UPT_E_CONFIG, "compose needs the path of the engine's socket");
	if (config->program != NULL && config->program[0] != '/')
		return upt_fail(err, UPT_E_CONFIG, "'%s' is no path of a program", config->program);
	return config->timeout_s > 3600
		       ? upt_fail(err, UPT_E_CONFIG, "the time limit of compose is out of bounds")
		       : UPT_OK;
}

static enum upt_code
keep_text(struct upt_compose *self, const char *text, const char *after, const char **out,
	struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf whole = {0};

	UPT_TRY(upt_buf_printf(&whole, err, "%s%s", text, after));
	*out = upt_arena_string(&self->common.arena, upt_buf_span(&whole));
	return *out != NULL ? UPT_OK
			    : upt_fail(err, UPT_E_NO_MEMORY, "no memory for the compose installer");
}

static enum upt_code
configure(struct upt_compose *self, const struct upt_compose_installer_config *config,
	struct upt_err *err)
{
	UPT_TRY(check_config(config, err));
	UPT_TRY(upt_container_configure(&self->common, &config->container, err));
	UPT_TRY(keep_text(self, config->program != NULL ? config->program : PROGRAM, "",
		&self->program, err));
	UPT_TRY(keep_text(self, config->container.state_path, ".d", &self->dir, err));
	UPT_TRY(keep_text(self, config->socket_path, "", &self->run.socket_path, err));
	self->run.home = self->dir;
	self->run.timeout_s = config->timeout_s != 0 ? config->timeout_s : TIMEOUT_S;
	self->run.log = self->common.base.log;
	self->runner = config->runner != NULL
			       ? *config->runner
			       : (struct upt_compose_runner){upt_compose_run, &self->run};
	return UPT_OK;
}

enum upt_code
upt_compose_installer_new(const struct upt_compose_installer_config *config,
	const struct upt_log *log, struct upt_installer **out, struct upt_err *err)
{
	struct upt_compose *self;
	enum upt_code code;

	*out = NULL;
	self = calloc(1, sizeof(*self));
	if (self == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for the compose installer");
	self->common.base.ops = &compose_ops;
	self->common.base.log = log;
	code = configure(self, config, err);
	if (code != UPT_OK) {
		compose_free(&self->common.base);
		return code;
	}
	*out = &self->common.base;
	return UPT_OK;
}
