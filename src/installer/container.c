/*
 * OCI: one application in a container. A new version is created beside the running one, must prove
 * itself healthy, and only then becomes the current one: the state file says which that is, is
 * replaced durably, and is the only commit point. Before it a crash is undone, after it finished
 * (settle()). The previous version stays, stopped, for a rollback; older ones are removed.
 */
#include "installer/container_internal.h"
#include "installer/container_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/encode.h"
#include "base/file.h"

/* What the engine has of this application, and which of it shall run. */
struct view {
	struct upt_podman_list list;
	struct upt_container_state state;
	bool known; /* there is a current version */
};

static struct upt_container *
from_base(struct upt_installer *base)
{
	return (struct upt_container *)base;
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
look(struct upt_container *self, struct view *view, struct upt_err *err)
{
	UPT_TRY(upt_podman_list(self->http, self->name, &view->list, err));
	UPT_TRY(upt_container_state_load(self->state_path, &view->state, &view->known, err));
	if (!view->known)
		adopt_running(view);
	return UPT_OK;
}

static enum upt_code
write_endpoint(struct upt_container *self, uint16_t port, struct upt_err *err)
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
drop_image(struct upt_container *self, const char *reference, const char *digest)
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
settle(struct upt_container *self, const struct view *view, bool drop_images, struct upt_err *err)
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

/* ---- taking over ---- */

/*
 * Two versions may run beside each other when nothing can mistake one for the other: on ports of
 * their own, or with no page to ask. Else the page of the old one could vouch for the new one.
 */
static bool
must_stop_first(const struct upt_container_takeover *new)
{
	if (new->old == NULL || !new->old->running)
		return false;
	if (new->health_url[0] != '\0' && !new->own_page)
		return true;
	return new->port != 0 && (new->old->port == 0 || new->old->port == new->port);
}

static enum upt_code
start_and_prove(
	struct upt_container *self, const struct upt_container_takeover *new, struct upt_err *err)
{
	if (new->stop_first)
		UPT_TRY(upt_podman_stop(self->http, new->old->name, self->stop_timeout_s, err));
	UPT_TRY(upt_podman_start(self->http, new->name, err));
	return upt_container_wait_healthy(self, new, err);
}

/* The old version runs again as before; a failure to do so is louder than what led here. */
static void
restore_old(struct upt_container *self, const struct upt_container_takeover *new)
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
commit(struct upt_container *self, const struct upt_container_takeover *new, const char *previous,
	struct upt_err *err)
{
	struct upt_container_state state = {0};

	snprintf(state.current, sizeof(state.current), "%s", new->digest);
	snprintf(state.previous, sizeof(state.previous), "%s", previous);
	return upt_container_state_save(self->state_path, &state, err);
}

/* A commit that failed may have reached the disk all the same: what was true before is put back. */
static void
uncommit(struct upt_container *self, const struct view *view)
{
	struct upt_err err = {0};
	enum upt_code code = UPT_OK;

	if (view->known)
		code = upt_container_state_save(self->state_path, &view->state, &err);
	else if (unlink(self->state_path) != 0 && errno != ENOENT)
		code = upt_fail_errno(&err, errno, "cannot remove %s", self->state_path);
	if (code != UPT_OK)
		upt_log_err(self->base.log, UPT_LOG_ERROR, &err, "%s", self->name);
}

/* After the commit: the endpoint, then the old version stops, then what is older goes. */
static enum upt_code
finish(struct upt_container *self, const struct upt_container_takeover *new, struct upt_err *err)
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
	struct upt_container *self = from_base(base);
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
read_job(struct upt_container *self, const struct upt_install_job *job,
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
	struct upt_container *self = from_base(base);
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
choose_port(const struct upt_container *self, const struct upt_podman_container *old)
{
	if (self->port_b != 0 && old != NULL && old->port == self->port_a)
		return self->port_b;
	return self->port_a;
}

static enum upt_code
create(struct upt_container *self, const struct upt_container_spec *spec,
	const struct upt_container_takeover *new, const char *reference, const char *health_url,
	struct upt_err *err)
{
	struct upt_podman_pair env[UPT_CONTAINER_MAX_ENV + UPT_CONTAINER_MAX_LOCAL_ENV + 1];
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
discard_new(
	struct upt_container *self, const struct upt_container_takeover *new, const char *reference)
{
	struct upt_err err = {0};

	if (upt_podman_remove(self->http, new->name, &err) != UPT_OK)
		upt_log_err(self->base.log, UPT_LOG_ERROR, &err, "%s: cannot remove %s", self->name,
			new->name);
	restore_old(self, new);
	drop_image(self, reference, new->digest);
}

static enum upt_code
install_new(struct upt_container *self, const struct upt_container_spec *spec,
	const char *reference, const struct view *view, struct upt_container_takeover *new,
	struct upt_err *err)
{
	char url[UPT_CONTAINER_URL_SIZE];
	enum upt_code code;

	new->port = choose_port(self, new->old);
	UPT_TRY(upt_container_set_health_url(self, new, spec->health_url, url, err));
	new->stop_first = must_stop_first(new);
	code = create(self, spec, new, reference, spec->health_url, err);
	if (code == UPT_OK) {
		code = start_and_prove(self, new, err);
		if (code != UPT_OK)
			code = upt_container_explain(self, new->name, err);
	}
	if (code == UPT_OK) {
		code = commit(self, new, new->old == NULL ? "" : view->state.current, err);
		if (code != UPT_OK)
			uncommit(self, view);
	}
	if (code != UPT_OK) {
		discard_new(self, new, reference);
		return code;
	}
	upt_log(self->base.log, UPT_LOG_INFO, "%s runs %.12s now", self->name, new->digest);
	return finish(self, new, err);
}

/* The version to install is the current one: it shall run, and nothing else shall. */
static enum upt_code
install_again(struct upt_container *self, const struct view *view,
	const struct upt_podman_container *current, struct upt_err *err)
{
	struct view after;

	UPT_TRY(settle(self, view, false, err));
	if (!current->running && upt_podman_start(self->http, current->name, err) != UPT_OK)
		return upt_container_explain(self, current->name, err);
	UPT_TRY(upt_container_state_save(self->state_path, &view->state, err));
	UPT_TRY(look(self, &after, err));
	return settle(self, &after, false, err);
}

static enum upt_code
container_install(struct upt_installer *base, const struct upt_install_job *job, bool *needs_reboot,
	struct upt_err *err)
{
	struct upt_container *self = from_base(base);
	upt_cleanup(upt_container_spec_clear) struct upt_container_spec spec = {0};
	char reference[UPT_CONTAINER_REFERENCE_SIZE], digest[UPT_PODMAN_DIGEST_HEX + 1];
	char name[UPT_PODMAN_NAME_MAX + 1];
	struct upt_container_takeover new = {.name = name, .digest = digest};
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
	struct upt_container *self = from_base(base);
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
	struct upt_container *self = from_base(base);
	const struct upt_podman_container *previous;
	struct upt_container_takeover new = {0};
	char url[UPT_CONTAINER_URL_SIZE];
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
	new = (struct upt_container_takeover){.name = previous->name,
		.digest = previous->digest,
		.port = previous->port,
		.old = find_digest(&view.list, view.state.current)};
	UPT_TRY(upt_container_set_health_url(self, &new, previous->health_url, url, err));
	UPT_TRY(settle(self, &view, false, err));
	new.stop_first = must_stop_first(&new);
	code = start_and_prove(self, &new, err);
	if (code != UPT_OK)
		code = upt_container_explain(self, new.name, err);
	if (code == UPT_OK) {
		code = commit(self, &new, view.state.current, err);
		if (code != UPT_OK)
			uncommit(self, &view);
	}
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
	struct upt_container *self = from_base(base);
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
	struct upt_container *self = from_base(base);

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

enum upt_code
upt_container_installer_new(const struct upt_container_installer_config *config,
	const struct upt_log *log, struct upt_installer **out, struct upt_err *err)
{
	struct upt_container *self;
	enum upt_code code;

	*out = NULL;
	self = calloc(1, sizeof(*self));
	if (self == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for the container installer");
	self->base.ops = &container_ops;
	self->base.log = log;
	code = upt_container_configure(self, config, err);
	if (code != UPT_OK) {
		container_free(&self->base);
		return code;
	}
	*out = &self->base;
	return UPT_OK;
}
