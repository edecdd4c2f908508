/*
 * OCI: one application in a container. A new version is created beside the running one, must prove
 * itself healthy, and only then becomes the current one: the state file says which that is, is
 * replaced durably, and is the only commit point. Before it a crash is undone, after it finished
 * (settle()). The previous version stays, stopped, for a rollback; older ones are removed.
 */
#include "installer/container_state.h"
#include "installer/container_spec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>

#include "base/encode.h"
#include "base/file.h"

#define MAX_LOCAL_ENV 64
#define LOOK_MS 200 /* between two looks at a starting container */
#define SETTLED_LOOKS 10 /* that it must be seen running when it has no health page */
#define PROBE_TIMEOUT_MS 2000
#define URL_SIZE 512

struct container_installer {
	struct upt_installer base;
	const struct upt_engine_http *http;
	struct upt_arena arena;
	const char *name, *network, *health_url, *endpoint_path, *state_path;
	uint16_t port_a, port_b;
	unsigned health_timeout_s, stop_timeout_s;
	bool tls_verify;
	size_t n_env;
	struct upt_podman_pair env[MAX_LOCAL_ENV];
};

/* What the engine has of this application, and which of it shall run. */
struct view {
	struct upt_podman_list list;
	struct upt_container_state state;
	bool known; /* there is a current version */
};

/* A version that is to take over, and the one that runs. */
struct takeover {
	const char *name; /* of the new container */
	const char *digest;
	const char *health_url; /* with %p replaced; "" for none */
	bool own_page; /* the address names the version's own port */
	uint16_t port;
	const struct upt_podman_container *old; /* NULL: none */
	bool stop_first;
};

static struct container_installer *
from_base(struct upt_installer *base)
{
	return (struct container_installer *)base;
}

static const struct upt_podman_container *
find_digest(const struct upt_podman_list *list, const char *digest)
{
	for (size_t i = 0; i < list->n; i++) {
		if (digest[0] != '\0' && strcmp(list->items[i].digest, digest) == 0)
			return &list->items[i];
	}
	return NULL;
}

/* Without a state file a single running container is the current version: there is no other
 * reading. */
static void
adopt_running(struct view *view)
{
	const struct upt_podman_container *only = NULL;

	for (size_t i = 0; i < view->list.n; i++) {
		if (!view->list.items[i].running)
			continue;
		if (only != NULL)
			return;
		only = &view->list.items[i];
	}
	if (only == NULL)
		return;
	memcpy(view->state.current, only->digest, sizeof(only->digest));
	view->known = true;
}

static enum upt_code
look(struct container_installer *self, struct view *view, struct upt_err *err)
{
	UPT_TRY(upt_podman_list(self->http, self->name, &view->list, err));
	UPT_TRY(upt_container_state_load(self->state_path, &view->state, &view->known, err));
	if (!view->known)
		adopt_running(view);
	return UPT_OK;
}

static enum upt_code
write_endpoint(struct container_installer *self, uint16_t port, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf old = {0};
	char text[8];
	int n;

	if (self->endpoint_path == NULL || port == 0)
		return UPT_OK;
	n = snprintf(text, sizeof(text), "%u\n", port);
	if (upt_file_read(AT_FDCWD, self->endpoint_path, sizeof(text), &old, NULL) == UPT_OK &&
		upt_span_equal(upt_buf_span(&old), upt_span(text, (size_t)n)))
		return UPT_OK;
	return upt_file_replace(
		AT_FDCWD, self->endpoint_path, 0644, upt_span(text, (size_t)n), err);
}

/* Frees the disk of a version nobody goes back to; the engine keeps what another container uses. */
static void
drop_image(struct container_installer *self, const char *reference, const char *digest)
{
	const char *at = strstr(reference, "@sha256:");
	struct upt_err err = {0};

	if (at == NULL || strcmp(at + strlen("@sha256:"), digest) != 0)
		return;
	if (upt_podman_remove_image(self->http, reference, &err) != UPT_OK)
		upt_log_err(self->base.log, UPT_LOG_WARNING, &err, "%s: image stays", self->name);
}

/*
 * Brings the engine to what the state says: only current may run, only current and previous exist.
 * With drop_images the images of what is removed go too.
 */
static enum upt_code
settle(struct container_installer *self, const struct view *view, bool drop_images,
	struct upt_err *err)
{
	const struct upt_podman_container *current;

	if (!view->known)
		return UPT_OK;
	current = find_digest(&view->list, view->state.current);
	if (current != NULL && current->running)
		UPT_TRY(write_endpoint(self, current->port, err));
	for (size_t i = 0; i < view->list.n; i++) {
		const struct upt_podman_container *c = &view->list.items[i];
		if (strcmp(c->digest, view->state.current) == 0)
			continue;
		if (!c->stopped)
			UPT_TRY(upt_podman_stop(self->http, c->name, self->stop_timeout_s, err));
		if (strcmp(c->digest, view->state.previous) == 0)
			continue;
		UPT_TRY(upt_podman_remove(self->http, c->name, err));
		if (drop_images)
			drop_image(self, c->image, c->digest);
	}
	return UPT_OK;
}

/* ---- health ---- */

/* Sets the page to ask: template ("" for none) with every %p replaced by the port. */
static enum upt_code
set_health_url(
	struct takeover *new, const char *template, char url[static URL_SIZE], struct upt_err *err)
{
	size_t n = 0;

	new->health_url = url;
	new->own_page = strstr(template, "%p") != NULL;
	url[0] = '\0';
	if (new->own_page &&new->port == 0)
		return upt_fail(err, UPT_E_CONFIG,
			"the health address of %s needs a port and none is configured", new->name);
	for (const char *c = template; *c != '\0'; c++) {
		if (n + 8 > URL_SIZE)
			return upt_fail(err, UPT_E_CONFIG, "the health address of %s is too long",
				new->name);
		if (c[0] == '%' && c[1] == 'p') {
			n += (size_t)snprintf(url + n, URL_SIZE - n, "%u", new->port);
			c++;
		} else {
			url[n++] = *c;
		}
	}
	url[n] = '\0';
	return UPT_OK;
}

/* The device's own setting wins over what the release says; "" when neither names a page. */
static const char *
health_template(const struct container_installer *self, const char *of_release)
{
	if (self->health_url != NULL)
		return self->health_url;
	return of_release != NULL ? of_release : "";
}

static void
pause_between_looks(struct container_installer *self)
{
	struct timespec t = {.tv_nsec = LOOK_MS * 1000000L};

	if (self->http->pause != NULL) {
		self->http->pause(self->http->ctx, LOOK_MS);
		return;
	}
	while (nanosleep(&t, &t) != 0 && errno == EINTR)
		;
}

static uint64_t
monotonic_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec;
}

/* One look: *healthy, or UPT_E_INSTALL when it never will be. */
static enum upt_code
look_at_health(struct container_installer *self, const struct takeover *new, unsigned *n_running,
	bool *healthy, struct upt_err *why, struct upt_err *err)
{
	struct upt_podman_state state;

	*healthy = false;
	UPT_TRY(upt_podman_inspect(self->http, new->name, &state, err));
	/* Before the page is asked: what answers there could be somebody else. */
	if (state.n_restarts > 0)
		return upt_fail(err, UPT_E_INSTALL, "%s ended and was started again", new->name);
	if (state.gone)
		return upt_fail(err, UPT_E_INSTALL, "%s ended with exit code %jd", new->name,
			(intmax_t)state.exit_code);
	if (!state.running) {
		*n_running = 0;
		return UPT_OK;
	}
	++*n_running;
	if (new->health_url[0] == '\0')
		*healthy = *n_running >= SETTLED_LOOKS;
	else
		*healthy = self->http->probe(self->http->ctx, new->health_url, PROBE_TIMEOUT_MS,
				   why) == UPT_OK;
	return UPT_OK;
}

static enum upt_code
wait_healthy(struct container_installer *self, const struct takeover *new, struct upt_err *err)
{
	uint64_t deadline_s = monotonic_s() + self->health_timeout_s;
	unsigned n_looks = self->health_timeout_s * (1000 / LOOK_MS), n_running = 0;
	struct upt_err why = {0};
	bool healthy;

	/* Bounded twice: a probe may take long, and a clock may stand still. */
	for (unsigned i = 0; i < n_looks && monotonic_s() <= deadline_s; i++) {
		if (i > 0)
			pause_between_looks(self);
		UPT_TRY(look_at_health(self, new, &n_running, &healthy, &why, err));
		if (healthy)
			return UPT_OK;
	}
	return upt_fail(err, UPT_E_INSTALL, "%s is not healthy after %u s%s%.160s", new->name,
		self->health_timeout_s, why.message[0] == '\0' ? "" : ": ", why.message);
}

/* Adds the container's last words to a failure and makes it one of installation. */
static enum upt_code
explain(struct container_installer *self, const char *name, struct upt_err *err)
{
	struct upt_err cause = {0};
	char words[UPT_PODMAN_LOG_MAX + 1];

	if (err == NULL)
		return UPT_E_INSTALL;
	cause = *err;
	upt_podman_last_words(self->http, name, words);
	if (words[0] == '\0')
		return upt_fail(err, UPT_E_INSTALL, "%s", cause.message);
	return upt_fail(err, UPT_E_INSTALL, "%.200s; it said: %s", cause.message, words);
}

/* ---- taking over ---- */

/*
 * Two versions may run beside each other when nothing can mistake one for the other: on ports of
 * their own, or with no page to ask. Else the page of the old one could vouch for the new one.
 */
static bool
must_stop_first(const struct takeover *new)
{
	if (new->old == NULL || !new->old->running)
		return false;
	if (new->health_url[0] != '\0' && !new->own_page)
		return true;
	return new->port != 0 && (new->old->port == 0 || new->old->port == new->port);
}

static enum upt_code
start_and_prove(struct container_installer *self, const struct takeover *new, struct upt_err *err)
{
	if (new->stop_first)
		UPT_TRY(upt_podman_stop(self->http, new->old->name, self->stop_timeout_s, err));
	UPT_TRY(upt_podman_start(self->http, new->name, err));
	return wait_healthy(self, new, err);
}

/* The old version runs again as before; a failure to do so is louder than what led here. */
static void
restore_old(struct container_installer *self, const struct takeover *new)
{
	struct upt_err err = {0};

	if (!new->stop_first)
		return;
	if (upt_podman_start(self->http, new->old->name, &err) != UPT_OK)
		upt_log_err(self->base.log, UPT_LOG_ERROR, &err, "%s: cannot start %s again",
			self->name, new->old->name);
}

/* Commits new as current; on failure nothing is committed. */
static enum upt_code
commit(struct container_installer *self, const struct takeover *new, const char *previous,
	struct upt_err *err)
{
	struct upt_container_state state = {0};

	snprintf(state.current, sizeof(state.current), "%s", new->digest);
	snprintf(state.previous, sizeof(state.previous), "%s", previous);
	return upt_container_state_save(self->state_path, &state, err);
}

/* After the commit: the endpoint, then the old version stops, then what is older goes. */
static enum upt_code
finish(struct container_installer *self, const struct takeover *new, struct upt_err *err)
{
	struct view view;

	UPT_TRY(write_endpoint(self, new->port, err));
	UPT_TRY(look(self, &view, err));
	return settle(self, &view, true, err);
}

/* ---- operations ---- */

static enum upt_code
container_current(struct upt_installer *base, struct upt_image *out, struct upt_err *err)
{
	struct container_installer *self = from_base(base);
	const struct upt_podman_container *current;
	struct upt_podman_state state;
	struct view view;
	bool same;

	*out = (struct upt_image){0};
	UPT_TRY(look(self, &view, err));
	current = view.known ? find_digest(&view.list, view.state.current) : NULL;
	if (current == NULL || !current->running)
		return UPT_OK;
	UPT_TRY(upt_podman_inspect(self->http, current->name, &state, err));
	/* A label is text. The digest of the manifest is the engine's word; for an index it is one
	 * of those that the engine knows the image by. */
	same = strcmp(state.image_digest, current->digest) == 0;
	if (!same)
		UPT_TRY(upt_podman_has_image(
			self->http, state.image_id, current->digest, &same, err));
	if (!same)
		return upt_fail(err, UPT_E_INSTALL, "%s runs %.12s, not what its label says",
			current->name, state.image_digest);
	if (!upt_digest_parse(UPT_HASH_SHA256, upt_span_str(current->digest), &out->digests[0]))
		return upt_fail(err, UPT_E_INTERNAL, "%s has no digest", current->name);
	out->n_digests = 1;
	return UPT_OK;
}

static enum upt_code
read_job(struct container_installer *self, const struct upt_install_job *job,
	struct upt_container_spec *spec, char reference[static UPT_CONTAINER_REFERENCE_SIZE],
	char digest[static UPT_PODMAN_DIGEST_HEX + 1], struct upt_err *err)
{
	UPT_TRY(upt_container_reference(job, reference, digest, err));
	UPT_TRY(upt_container_spec_parse(job->custom, spec, err));
	/* A release of another application, paired with this ECU by mistake. */
	if (spec->name != NULL && strcmp(spec->name, self->name) != 0)
		return upt_fail(err, UPT_E_MALFORMED, "%s is application %s, this is %s",
			job->image->name, spec->name, self->name);
	return UPT_OK;
}

static enum upt_code
container_prepare(struct upt_installer *base, const struct upt_install_job *job,
	const struct upt_install_progress *progress, struct upt_err *err)
{
	struct container_installer *self = from_base(base);
	upt_cleanup(upt_container_spec_clear) struct upt_container_spec spec = {0};
	char reference[UPT_CONTAINER_REFERENCE_SIZE], digest[UPT_PODMAN_DIGEST_HEX + 1];
	bool has;

	UPT_TRY(read_job(self, job, &spec, reference, digest, err));
	if (progress != NULL && progress->cancel != NULL && *progress->cancel)
		return upt_fail(err, UPT_E_CANCELLED, "preparing %s was cancelled", self->name);
	UPT_TRY(upt_podman_has_image(self->http, reference, digest, &has, err));
	if (has)
		return UPT_OK;
	UPT_TRY(upt_podman_pull(self->http, reference, self->tls_verify, progress, err));
	UPT_TRY(upt_podman_has_image(self->http, reference, digest, &has, err));
	if (!has)
		return upt_fail(err, UPT_E_IMAGE_HASH,
			"the engine pulled %s and then has no image of that digest", reference);
	return UPT_OK;
}

static uint16_t
choose_port(const struct container_installer *self, const struct upt_podman_container *old)
{
	if (self->port_b != 0 && old != NULL && old->port == self->port_a)
		return self->port_b;
	return self->port_a;
}

static enum upt_code
create(struct container_installer *self, const struct upt_container_spec *spec,
	const struct takeover *new, const char *reference, const char *health_url,
	struct upt_err *err)
{
	struct upt_podman_pair env[UPT_CONTAINER_MAX_ENV + MAX_LOCAL_ENV + 1];
	size_t n_env = 0;
	char port[8];
	struct upt_podman_spec container = {
		.app = self->name,
		.name = new->name,
		.reference = reference,
		.digest = new->digest,
		.network = self->network,
		.port = new->port,
		.health_url = health_url,
		.command = spec->command,
		.n_command = spec->n_command,
		.env = env,
	};

	/* Later pairs win: the release proposes, the device decides. */
	for (size_t i = 0; i < spec->n_env; i++)
		env[n_env++] = spec->env[i];
	for (size_t i = 0; i < self->n_env; i++)
		env[n_env++] = self->env[i];
	snprintf(port, sizeof(port), "%u", new->port);
	if (new->port != 0)
		env[n_env++] = (struct upt_podman_pair){"PORT", port};
	container.n_env = n_env;
	return upt_podman_create(self->http, &container, err);
}

/* Nothing is committed yet: the new container goes and the old one runs on. */
static void
discard_new(struct container_installer *self, const struct takeover *new, const char *reference)
{
	struct upt_err err = {0};

	if (upt_podman_remove(self->http, new->name, &err) != UPT_OK)
		upt_log_err(self->base.log, UPT_LOG_ERROR, &err, "%s: cannot remove %s", self->name,
			new->name);
	restore_old(self, new);
	drop_image(self, reference, new->digest);
}

static enum upt_code
install_new(struct container_installer *self, const struct upt_container_spec *spec,
	const char *reference, const struct view *view, struct takeover *new, struct upt_err *err)
{
	const char *template = health_template(self, spec->health_url);
	char url[URL_SIZE];
	enum upt_code code;

	new->port = choose_port(self, new->old);
	UPT_TRY(set_health_url(new, template, url, err));
	new->stop_first = must_stop_first(new);
	code = create(self, spec, new, reference, spec->health_url, err);
	if (code == UPT_OK) {
		code = start_and_prove(self, new, err);
		if (code != UPT_OK)
			code = explain(self, new->name, err);
	}
	if (code == UPT_OK)
		code = commit(self, new, new->old == NULL ? "" : view->state.current, err);
	if (code != UPT_OK) {
		discard_new(self, new, reference);
		return code;
	}
	upt_log(self->base.log, UPT_LOG_INFO, "%s runs %.12s now", self->name, new->digest);
	return finish(self, new, err);
}

/* The version to install is the current one: it shall run, and nothing else shall. */
static enum upt_code
install_again(struct container_installer *self, const struct view *view,
	const struct upt_podman_container *current, struct upt_err *err)
{
	struct view after;

	UPT_TRY(settle(self, view, false, err));
	if (!current->running && upt_podman_start(self->http, current->name, err) != UPT_OK)
		return explain(self, current->name, err);
	UPT_TRY(upt_container_state_save(self->state_path, &view->state, err));
	UPT_TRY(look(self, &after, err));
	return settle(self, &after, false, err);
}

static enum upt_code
container_install(struct upt_installer *base, const struct upt_install_job *job, bool *needs_reboot,
	struct upt_err *err)
{
	struct container_installer *self = from_base(base);
	upt_cleanup(upt_container_spec_clear) struct upt_container_spec spec = {0};
	char reference[UPT_CONTAINER_REFERENCE_SIZE], digest[UPT_PODMAN_DIGEST_HEX + 1];
	char name[UPT_PODMAN_NAME_MAX + 1];
	struct takeover new = {.name = name, .digest = digest};
	const struct upt_podman_container *current;
	struct view view;
	bool has;

	*needs_reboot = false;
	UPT_TRY(read_job(self, job, &spec, reference, digest, err));
	UPT_TRY(look(self, &view, err));
	current = view.known ? find_digest(&view.list, view.state.current) : NULL;
	if (current != NULL && strcmp(current->digest, digest) == 0)
		return install_again(self, &view, current, err);
	UPT_TRY(upt_podman_has_image(self->http, reference, digest, &has, err));
	if (!has)
		return upt_fail(err, UPT_E_NOT_FOUND, "%s was not prepared", reference);
	UPT_TRY(settle(self, &view, false, err));
	/* Half-created by a crash, or the previous version coming back: made anew from what is
	 * signed now. */
	snprintf(name, sizeof(name), "%s-%.12s", self->name, digest);
	UPT_TRY(upt_podman_remove(self->http, name, err));
	new.old = current;
	return install_new(self, &spec, reference, &view, &new, err);
}

static enum upt_code
container_finalize(
	struct upt_installer *base, const struct upt_image *image, bool *done, struct upt_err *err)
{
	struct container_installer *self = from_base(base);
	const struct upt_digest *wanted = upt_image_digest(image, UPT_HASH_SHA256);
	struct upt_image found;

	*done = false;
	UPT_TRY(container_current(base, &found, err));
	if (wanted == NULL || found.n_digests != 1 || !upt_digest_equal(&found.digests[0], wanted))
		return upt_fail(err, UPT_E_INSTALL, "%s does not run %s", self->name, image->name);
	*done = true;
	return UPT_OK;
}

static enum upt_code
container_rollback(struct upt_installer *base, bool *needs_reboot, struct upt_err *err)
{
	struct container_installer *self = from_base(base);
	const struct upt_podman_container *previous;
	struct takeover new = {0};
	char url[URL_SIZE];
	struct view view;
	enum upt_code code;

	*needs_reboot = false;
	UPT_TRY(look(self, &view, err));
	previous = view.known ? find_digest(&view.list, view.state.previous) : NULL;
	if (previous == NULL)
		return upt_fail(err, UPT_E_INSTALL,
			"nothing to go back to: %s has no previous "
			"version",
			self->name);
	new = (struct takeover){.name = previous->name,
		.digest = previous->digest,
		.port = previous->port,
		.old = find_digest(&view.list, view.state.current)};
	UPT_TRY(set_health_url(&new, health_template(self, previous->health_url), url, err));
	UPT_TRY(settle(self, &view, false, err));
	new.stop_first = must_stop_first(&new);
	code = start_and_prove(self, &new, err);
	if (code != UPT_OK)
		code = explain(self, new.name, err);
	if (code == UPT_OK)
		code = commit(self, &new, view.state.current, err);
	if (code != UPT_OK) {
		struct upt_err ignored = {0};
		if (upt_podman_stop(self->http, new.name, self->stop_timeout_s, &ignored) != UPT_OK)
			upt_log_err(base->log, UPT_LOG_ERROR, &ignored, "%s: cannot stop %s",
				self->name, new.name);
		restore_old(self, &new);
		return code;
	}
	upt_log(base->log, UPT_LOG_INFO, "%s went back to %.12s", self->name, new.digest);
	return finish(self, &new, err);
}

static enum upt_code
container_resume(struct upt_installer *base, struct upt_err *err)
{
	struct container_installer *self = from_base(base);
	const struct upt_podman_container *current;
	struct view view;

	UPT_TRY(look(self, &view, err));
	if (!view.known)
		return UPT_OK;
	/* First what holds the port, then who shall have it. */
	UPT_TRY(settle(self, &view, false, err));
	current = find_digest(&view.list, view.state.current);
	if (current == NULL) {
		upt_log(base->log, UPT_LOG_WARNING, "the container of %s is gone", self->name);
		return UPT_OK;
	}
	if (current->running)
		return UPT_OK;
	UPT_TRY(upt_podman_start(self->http, current->name, err));
	return write_endpoint(self, current->port, err);
}

static void
container_free(struct upt_installer *base)
{
	struct container_installer *self = from_base(base);

	upt_arena_clear(&self->arena);
	free(self);
}

static const struct upt_installer_ops container_ops = {
	.format = "OCI",
	.needs_image = false,
	.current = container_current,
	.prepare = container_prepare,
	.install = container_install,
	.finalize = container_finalize,
	.rollback = container_rollback,
	.resume = container_resume,
	.free = container_free,
};

/* ---- configuration ---- */

static enum upt_code
copy_string(
	struct container_installer *self, const char *text, const char **out, struct upt_err *err)
{
	*out = NULL;
	if (text == NULL)
		return UPT_OK;
	*out = upt_arena_string(&self->arena, upt_span_str(text));
	if (*out == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for the container installer");
	return UPT_OK;
}

static enum upt_code
copy_env(struct container_installer *self, const struct upt_container_installer_config *config,
	struct upt_err *err)
{
	if (config->n_env > MAX_LOCAL_ENV)
		return upt_fail(err, UPT_E_CONFIG, "%s: more than %d environment variables",
			config->name, MAX_LOCAL_ENV);
	for (size_t i = 0; i < config->n_env; i++) {
		const char *equals = strchr(config->env[i], '=');
		size_t len = equals == NULL ? 0 : (size_t)(equals - config->env[i]);
		char *key = upt_arena_string(&self->arena, upt_span(config->env[i], len));
		if (key == NULL)
			return upt_fail(err, UPT_E_NO_MEMORY, "no memory for the environment");
		/* The value may be a secret and is not named. */
		if (!upt_container_env_key_ok(key))
			return upt_fail(err, UPT_E_CONFIG,
				"%s: environment entry %zu is not KEY=VALUE", config->name, i + 1);
		self->env[i].key = key;
		UPT_TRY(copy_string(self, equals + 1, &self->env[i].value, err));
		self->n_env++;
	}
	return UPT_OK;
}

static bool
network_ok(const char *network)
{
	return network == NULL || strcmp(network, "host") == 0 || strcmp(network, "bridge") == 0 ||
	       strcmp(network, "none") == 0;
}

static enum upt_code
check_config(const struct upt_container_installer_config *config, struct upt_err *err)
{
	bool has_port;

	if (config->name == NULL || !upt_container_name_ok(config->name))
		return upt_fail(err, UPT_E_CONFIG,
			"the container installer needs a name of "
			"lower-case letters, digits and -");
	if (config->http == NULL || config->state_path == NULL)
		return upt_fail(err, UPT_E_CONFIG, "%s: no engine or no state file", config->name);
	if (!network_ok(config->network))
		return upt_fail(err, UPT_E_CONFIG, "%s: network %s is not host, bridge or none",
			config->name, config->network);
	if (config->port_b != 0 && (config->port_a == 0 || config->port_a == config->port_b))
		return upt_fail(
			err, UPT_E_CONFIG, "%s: two ports are two different ones", config->name);
	if (config->health_timeout_s > 3600 || config->stop_timeout_s > 90)
		return upt_fail(
			err, UPT_E_CONFIG, "%s: a time limit is out of bounds", config->name);
	if (config->health_url == NULL)
		return UPT_OK;
	if (strncmp(config->health_url, "http://", 7) != 0 &&
		strncmp(config->health_url, "https://", 8) != 0)
		return upt_fail(err, UPT_E_CONFIG, "%s: the health address is no http address",
			config->name);
	has_port = strstr(config->health_url, "%p") != NULL;
	/* Else the old version would answer for the new one. */
	if (config->port_b != 0 && !has_port)
		return upt_fail(err, UPT_E_CONFIG,
			"%s: with two ports the health address needs %%p", config->name);
	if (config->port_a == 0 && has_port)
		return upt_fail(err, UPT_E_CONFIG, "%s: %%p in the health address needs a port",
			config->name);
	return UPT_OK;
}

static enum upt_code
configure(struct container_installer *self, const struct upt_container_installer_config *config,
	struct upt_err *err)
{
	self->http = config->http;
	self->port_a = config->port_a;
	self->port_b = config->port_b;
	self->health_timeout_s = config->health_timeout_s == 0 ? 30 : config->health_timeout_s;
	self->stop_timeout_s = config->stop_timeout_s == 0 ? 10 : config->stop_timeout_s;
	self->tls_verify = config->tls_verify;
	UPT_TRY(copy_string(self, config->name, &self->name, err));
	UPT_TRY(copy_string(self, config->network, &self->network, err));
	UPT_TRY(copy_string(self, config->health_url, &self->health_url, err));
	UPT_TRY(copy_string(self, config->endpoint_path, &self->endpoint_path, err));
	UPT_TRY(copy_string(self, config->state_path, &self->state_path, err));
	return copy_env(self, config, err);
}

enum upt_code
upt_container_installer_new(const struct upt_container_installer_config *config,
	const struct upt_log *log, struct upt_installer **out, struct upt_err *err)
{
	struct container_installer *self;
	enum upt_code code;

	*out = NULL;
	UPT_TRY(check_config(config, err));
	self = calloc(1, sizeof(*self));
	if (self == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for the container installer");
	self->base.ops = &container_ops;
	self->base.log = log;
	code = configure(self, config, err);
	if (code != UPT_OK) {
		container_free(&self->base);
		return code;
	}
	*out = &self->base;
	return UPT_OK;
}
