/*
 * OCI: one application in a container. A new version is created beside the running one, must prove
 * itself healthy, and only then becomes the current one: the state file says which that is, is
 * replaced durably, and is the only commit point. Before it a crash is undone, after it finished
 * (settle()). The previous version stays, stopped, for a rollback; older ones are removed.
 */
#include "installer/container_internal.h"
#include "installer/container_state.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/encode.h"
#include "base/file.h"

/* What the engine has of this application, and which of it shall run. */
struct view {
	struct upt_oci_list list;
	struct upt_container_state state;
	bool known; /* there is a current version */
};

static struct upt_container *
from_base(struct upt_installer *base)
{
	return (struct upt_container *)base;
}

static const struct upt_oci_container *
find_version(const struct upt_oci_list *list, const struct upt_oci_version *version)
{
	for (size_t i = 0; i < list->n; i++) {
		if (version->digest[0] != '\0' &&
			upt_oci_version_equal(&list->items[i].version, version))
			return &list->items[i];
	}
	return NULL;
}

/* Without a state file a single running container is the current version: there is no other
 * reading. */
static void
adopt_running(struct view *view)
{
	const struct upt_oci_container *only = NULL;

	for (size_t i = 0; i < view->list.n; i++) {
		if (!view->list.items[i].running)
			continue;
		if (only != NULL)
			return;
		only = &view->list.items[i];
	}
	if (only == NULL)
		return;
	view->state.current = only->version;
	view->known = true;
}

static enum upt_code
look(struct upt_container *self, struct view *view, struct upt_err *err)
{
	UPT_TRY(upt_oci_connect(&self->oci, err));
	UPT_TRY(upt_oci_list(&self->oci, self->name, &view->list, err));
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

static void
prune_images(struct upt_container *self, const struct upt_container_state *state, const char *also)
{
	const char *keep[] = {state->current.digest, state->previous.digest, also};

	upt_container_prune_images(self, keep, 3);
}

/* Brings the engine to what the state says: only current may run, only current and previous exist.
 */
static enum upt_code
settle(struct upt_container *self, const struct view *view, struct upt_err *err)
{
	const struct upt_oci_container *current;

	if (!view->known)
		return UPT_OK;
	current = find_version(&view->list, &view->state.current);
	if (current != NULL && current->running)
		UPT_TRY(write_endpoint(self, current->port, err));
	for (size_t i = 0; i < view->list.n; i++) {
		const struct upt_oci_container *c = &view->list.items[i];
		if (upt_oci_version_equal(&c->version, &view->state.current))
			continue;
		if (!c->stopped)
			UPT_TRY(upt_oci_stop(&self->oci, c->name, self->stop_timeout_s, err));
		if (upt_oci_version_equal(&c->version, &view->state.previous))
			continue;
		UPT_TRY(upt_oci_remove(&self->oci, c->name, err));
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
	if (new->alone || new->old->alone)
		return true;
	if (new->health_url[0] != '\0' && !new->own_page)
		return true;
	return new->port != 0 && (new->old->port == 0 || new->old->port == new->port);
}

static enum upt_code
start_and_prove(
	struct upt_container *self, const struct upt_container_takeover *new, struct upt_err *err)
{
	if (new->stop_first)
		UPT_TRY(upt_oci_stop(&self->oci, new->old->name, self->stop_timeout_s, err));
	UPT_TRY(upt_oci_start(&self->oci, new->name, err));
	return upt_container_wait_healthy(self, new, err);
}

/* The old version runs again as before; a failure to do so is louder than what led here. */
static void
restore_old(struct upt_container *self, const struct upt_container_takeover *new)
{
	struct upt_err err = {0};

	if (!new->stop_first)
		return;
	if (upt_oci_start(&self->oci, new->old->name, &err) != UPT_OK)
		upt_log_err(self->base.log, UPT_LOG_ERROR, &err, "%s: cannot start %s again",
			self->name, new->old->name);
}

/*
 * Commits new as current; on failure nothing is committed. Of two descriptions of one image only
 * the last stays: going back means another image, as those who order it count.
 */
static enum upt_code
commit(struct upt_container *self, const struct upt_container_takeover *new,
	const struct view *view, struct upt_err *err)
{
	struct upt_container_state state = {.current = new->version};

	if (strcmp(view->state.current.digest, new->version.digest) == 0)
		state.previous = view->state.previous;
	else if (new->old != NULL)
		state.previous = view->state.current;
	return upt_container_state_save(self->state_path, &state, err);
}

static void
uncommit(struct upt_container *self, const struct view *view)
{
	struct upt_err err = {0};

	if (upt_container_state_restore(self->state_path, &view->state, view->known, &err) !=
		UPT_OK)
		upt_log_err(self->base.log, UPT_LOG_ERROR, &err, "%s", self->name);
}

/* After the commit: the endpoint, then the old version stops, then what is older goes. */
static enum upt_code
finish(struct upt_container *self, const struct upt_container_takeover *new, struct upt_err *err)
{
	struct view view;

	UPT_TRY(write_endpoint(self, new->port, err));
	UPT_TRY(look(self, &view, err));
	UPT_TRY(settle(self, &view, err));
	prune_images(self, &view.state, "");
	return UPT_OK;
}

/* ---- operations ---- */

/* A label is text. That the image has this digest is the engine's word, which knows an image by
 * every digest that was pulled as it. */
static enum upt_code
check_label(
	struct upt_container *self, const struct upt_oci_container *container, struct upt_err *err)
{
	struct upt_oci_state state;
	bool same;

	UPT_TRY(upt_oci_inspect(&self->oci, container->name, &state, err));
	UPT_TRY(upt_oci_has_image(
		&self->oci, state.image_id, container->version.digest, &same, err));
	return same ? UPT_OK
		    : upt_fail(err, UPT_E_INSTALL, "%s runs image %.24s, not what its label says",
			      container->name, state.image_id);
}

static enum upt_code
container_current(struct upt_installer *base, struct upt_image *out, struct upt_err *err)
{
	struct upt_container *self = from_base(base);
	const struct upt_oci_container *current;
	struct view view;

	*out = (struct upt_image){0};
	UPT_TRY(look(self, &view, err));
	current = view.known ? find_version(&view.list, &view.state.current) : NULL;
	if (current == NULL || !current->running)
		return UPT_OK;
	UPT_TRY(check_label(self, current, err));
	if (!upt_digest_parse(
		    UPT_HASH_SHA256, upt_span_str(current->version.digest), &out->digests[0]))
		return upt_fail(err, UPT_E_INTERNAL, "%s has no digest", current->name);
	out->n_digests = 1;
	return UPT_OK;
}

/* What a job asks for, and where it may be had. */
struct order {
	struct upt_container_spec spec;
	struct upt_container_references references;
	struct upt_oci_version version;
};

static void
order_clear(struct order *order)
{
	upt_container_spec_clear(&order->spec);
}

static enum upt_code
read_job(struct upt_container *self, const struct upt_install_job *job, struct order *order,
	struct upt_err *err)
{
	struct upt_container_spec *spec = &order->spec;
	char reference[UPT_CONTAINER_REFERENCE_SIZE];

	UPT_TRY(upt_container_reference(job, reference, order->version.digest, err));
	UPT_TRY(upt_container_references(self->mirrors, reference, &order->references, err));
	UPT_TRY(upt_container_spec_parse(job->custom, spec, err));
	memcpy(order->version.spec, spec->digest, sizeof(spec->digest));
	/* A release of another application, paired with this ECU by mistake. */
	if (spec->name != NULL && strcmp(spec->name, self->name) != 0)
		return upt_fail(err, UPT_E_MALFORMED, "%s is application %s, this is %s",
			job->image->name, spec->name, self->name);
	if (spec->run.n_ports > 0 && self->network != NULL && strcmp(self->network, "bridge") != 0)
		return upt_fail(err, UPT_E_CONFIG,
			"%s publishes ports, which network = %s has none of", job->image->name,
			self->network);
	return upt_container_limits_apply(&self->limits, &spec->run, err);
}

static enum upt_code
container_prepare(struct upt_installer *base, const struct upt_install_job *job,
	const struct upt_install_progress *progress, struct upt_err *err)
{
	struct upt_container *self = from_base(base);
	upt_cleanup(order_clear) struct order order = {0};
	struct view view;
	const char *found;

	UPT_TRY(read_job(self, job, &order, err));
	if (progress != NULL && progress->cancel != NULL && *progress->cancel)
		return upt_fail(err, UPT_E_CANCELLED, "preparing %s was cancelled", self->name);
	UPT_TRY(look(self, &view, err));
	UPT_TRY(upt_container_find_image(
		self, &order.references, order.version.digest, &found, err));
	if (found != NULL)
		return UPT_OK;
	/* Room first: what an earlier assignment pulled and nobody installed goes. */
	if (view.known)
		prune_images(self, &view.state, order.version.digest);
	return upt_container_pull(self, &order.references, order.version.digest, progress, err);
}

static uint16_t
choose_port(const struct upt_container *self, const struct upt_oci_container *old)
{
	if (self->port_b != 0 && old != NULL && old->port == self->port_a)
		return self->port_b;
	return self->port_a;
}

static const char *
health_label(const struct upt_container_spec *spec)
{
	if (spec->health_engine)
		return UPT_CONTAINER_ENGINE_CHECK;
	return spec->health_url == NULL ? "" : spec->health_url;
}

static enum upt_code
create(struct upt_container *self, struct upt_container_spec *spec,
	const struct upt_container_takeover *new, const char *reference, struct upt_err *err)
{
	struct upt_oci_run *run = &spec->run;
	char port[8];

	/* Later pairs win: the release proposes, the device decides. */
	for (size_t i = 0; i < self->n_env; i++)
		run->env[run->n_env++] = self->env[i];
	snprintf(port, sizeof(port), "%u", new->port);
	if (new->port != 0)
		run->env[run->n_env++] = (struct upt_oci_pair){"PORT", port};
	return upt_oci_create(&self->oci,
		&(struct upt_oci_spec){.app = self->name,
			.name = new->name,
			.reference = reference,
			.version = &new->version,
			.network = self->network,
			.port = new->port,
			.alone = new->alone,
			.health = health_label(spec),
			.timeout_s = spec->health_timeout_s,
			.run = run},
		err);
}

/* The device's own setting, else the release's, else half a minute. */
static unsigned
choose_timeout(const struct upt_container *self, unsigned of_release_s)
{
	if (self->health_timeout_s != 0)
		return self->health_timeout_s;
	return of_release_s != 0 ? of_release_s : 30;
}

/* Nothing is committed yet: the new container goes and the old one runs on. */
static void
discard_new(struct upt_container *self, const struct upt_container_takeover *new,
	const struct view *view)
{
	struct upt_err err = {0};

	if (upt_oci_remove(&self->oci, new->name, &err) != UPT_OK)
		upt_log_err(self->base.log, UPT_LOG_ERROR, &err, "%s: cannot remove %s", self->name,
			new->name);
	restore_old(self, new);
	prune_images(self, &view->state, "");
}

/* What runs was to run otherwise and cannot: not tried again until something else is signed. */
static void
refuse_description(struct upt_container *self, const struct upt_container_takeover *new,
	const struct view *view, enum upt_code code)
{
	struct upt_container_state state = view->state;
	struct upt_err err = {0};

	if (code != UPT_E_INSTALL || strcmp(state.current.digest, new->version.digest) != 0)
		return;
	state.refused = new->version;
	if (upt_container_state_save(self->state_path, &state, &err) != UPT_OK)
		upt_log_err(self->base.log, UPT_LOG_ERROR, &err, "%s", self->name);
}

static enum upt_code
install_new(struct upt_container *self, struct upt_container_spec *spec, const char *reference,
	const struct view *view, struct upt_container_takeover *new, struct upt_err *err)
{
	char url[UPT_CONTAINER_URL_SIZE];
	enum upt_code code;

	new->port = choose_port(self, new->old);
	new->alone = upt_container_run_alone(&spec->run);
	new->timeout_s = choose_timeout(self, spec->health_timeout_s);
	UPT_TRY(upt_container_set_health(self, new, health_label(spec), url, err));
	new->stop_first = must_stop_first(new);
	code = create(self, spec, new, reference, err);
	if (code == UPT_OK) {
		code = start_and_prove(self, new, err);
		if (code != UPT_OK)
			code = upt_container_explain(self, new->name, err);
	}
	if (code == UPT_OK) {
		code = commit(self, new, view, err);
		if (code != UPT_OK)
			uncommit(self, view);
	}
	if (code != UPT_OK) {
		discard_new(self, new, view);
		refuse_description(self, new, view, code);
		return code;
	}
	upt_log(self->base.log, UPT_LOG_INFO, "%s runs %.12s now", self->name, new->version.digest);
	return finish(self, new, err);
}

/* The version to install is the current one: it shall run, and nothing else shall. */
static enum upt_code
install_again(struct upt_container *self, const struct view *view,
	const struct upt_oci_container *current, struct upt_err *err)
{
	struct view after;

	UPT_TRY(settle(self, view, err));
	if (!current->running && upt_oci_start(&self->oci, current->name, err) != UPT_OK)
		return upt_container_explain(self, current->name, err);
	UPT_TRY(upt_container_state_save(self->state_path, &view->state, err));
	UPT_TRY(look(self, &after, err));
	return settle(self, &after, err);
}

static enum upt_code
container_install(struct upt_installer *base, const struct upt_install_job *job, bool *needs_reboot,
	struct upt_err *err)
{
	struct upt_container *self = from_base(base);
	upt_cleanup(order_clear) struct order order = {0};
	char name[UPT_OCI_NAME_MAX + 1];
	struct upt_container_takeover new = {.name = name};
	const struct upt_oci_container *current;
	const char *reference;
	struct view view;

	*needs_reboot = false;
	UPT_TRY(read_job(self, job, &order, err));
	new.version = order.version;
	UPT_TRY(look(self, &view, err));
	current = view.known ? find_version(&view.list, &view.state.current) : NULL;
	if (current != NULL && upt_oci_version_equal(&current->version, &new.version))
		return install_again(self, &view, current, err);
	UPT_TRY(upt_container_find_image(
		self, &order.references, order.version.digest, &reference, err));
	if (reference == NULL)
		return upt_fail(err, UPT_E_NOT_FOUND, "%s was not prepared",
			order.references.items[order.references.n - 1]);
	UPT_TRY(settle(self, &view, err));
	/* Half-created by a crash, or the previous version coming back: made anew from what is
	 * signed now. */
	upt_oci_container_name(self->name, &new.version, name);
	UPT_TRY(upt_oci_remove(&self->oci, name, err));
	new.old = current;
	return install_new(self, &order.spec, reference, &view, &new, err);
}

static bool
container_is_outdated(struct upt_installer *base, const struct upt_install_job *job)
{
	struct upt_container *self = from_base(base);
	upt_cleanup(order_clear) struct order order = {0};
	struct upt_container_state state;
	struct upt_err err = {0};
	bool known;

	/* What cannot be read is not installed either, and what runs keeps running. */
	if (read_job(self, job, &order, &err) != UPT_OK ||
		upt_container_state_load(self->state_path, &state, &known, &err) != UPT_OK) {
		upt_log_err(base->log, UPT_LOG_WARNING, &err, "%s", self->name);
		return false;
	}
	return known && strcmp(state.current.digest, order.version.digest) == 0 &&
	       !upt_oci_version_equal(&state.current, &order.version) &&
	       !upt_oci_version_equal(&state.refused, &order.version);
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

/* What proved a version when it was made, from the labels of its container. */
static enum upt_code
proof_of(struct upt_container *self, const struct upt_oci_container *made,
	struct upt_container_takeover *out, char url[static UPT_CONTAINER_URL_SIZE],
	struct upt_err *err)
{
	*out = (struct upt_container_takeover){.name = made->name,
		.version = made->version,
		.port = made->port,
		.alone = made->alone,
		.timeout_s = choose_timeout(self, made->timeout_s)};
	return upt_container_set_health(self, out, made->health, url, err);
}

/* Of now: how often it was started again before, in months perhaps, is no matter. */
static enum upt_code
container_check(struct upt_installer *base, struct upt_err *err)
{
	struct upt_container *self = from_base(base);
	const struct upt_oci_container *current;
	struct upt_container_takeover version;
	char url[UPT_CONTAINER_URL_SIZE];
	struct upt_err why = {0};
	struct view view;
	bool healthy;

	UPT_TRY(look(self, &view, err));
	if (!view.known)
		return UPT_OK;
	current = find_version(&view.list, &view.state.current);
	if (current == NULL || !current->running)
		return upt_fail(err, UPT_E_INSTALL, "%s does not run %.12s, which it shall",
			self->name, view.state.current.digest);
	UPT_TRY(check_label(self, current, err));
	UPT_TRY(proof_of(self, current, &version, url, err));
	UPT_TRY(upt_container_ask_health(self, &version, &healthy, &why, err));
	return healthy ? UPT_OK
		       : upt_fail(err, UPT_E_INSTALL, "%s is not healthy%s%.160s", current->name,
				 why.message[0] == '\0' ? "" : ": ", why.message);
}

static enum upt_code
container_rollback(struct upt_installer *base, bool *needs_reboot, struct upt_err *err)
{
	struct upt_container *self = from_base(base);
	const struct upt_oci_container *previous;
	struct upt_container_takeover new = {0};
	char url[UPT_CONTAINER_URL_SIZE];
	struct view view;
	enum upt_code code;

	*needs_reboot = false;
	UPT_TRY(look(self, &view, err));
	previous = view.known ? find_version(&view.list, &view.state.previous) : NULL;
	if (previous == NULL)
		return upt_fail(err, UPT_E_INSTALL,
			"nothing to go back to: %s has no previous "
			"version",
			self->name);
	UPT_TRY(proof_of(self, previous, &new, url, err));
	new.old = find_version(&view.list, &view.state.current);
	UPT_TRY(settle(self, &view, err));
	new.stop_first = must_stop_first(&new);
	code = start_and_prove(self, &new, err);
	if (code != UPT_OK)
		code = upt_container_explain(self, new.name, err);
	if (code == UPT_OK) {
		code = commit(self, &new, &view, err);
		if (code != UPT_OK)
			uncommit(self, &view);
	}
	if (code != UPT_OK) {
		struct upt_err ignored = {0};
		if (upt_oci_stop(&self->oci, new.name, self->stop_timeout_s, &ignored) != UPT_OK)
			upt_log_err(base->log, UPT_LOG_ERROR, &ignored, "%s: cannot stop %s",
				self->name, new.name);
		restore_old(self, &new);
		return code;
	}
	upt_log(base->log, UPT_LOG_INFO, "%s went back to %.12s", self->name, new.version.digest);
	return finish(self, &new, err);
}

static enum upt_code
container_resume(struct upt_installer *base, struct upt_err *err)
{
	struct upt_container *self = from_base(base);
	const struct upt_oci_container *current;
	struct view view;

	UPT_TRY(look(self, &view, err));
	if (!view.known)
		return UPT_OK;
	/* First what holds the port, then who shall have it. */
	UPT_TRY(settle(self, &view, err));
	current = find_version(&view.list, &view.state.current);
	if (current == NULL) {
		upt_log(base->log, UPT_LOG_WARNING, "the container of %s is gone", self->name);
		return UPT_OK;
	}
	if (current->running)
		return UPT_OK;
	UPT_TRY(upt_oci_start(&self->oci, current->name, err));
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
	.check = container_check,
	.rollback = container_rollback,
	.is_outdated = container_is_outdated,
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
