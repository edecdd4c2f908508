/*
 * What the engine really runs of a project. A run of compose says little: its exit code is that of
 * its own work, not of the applications'.
 */
#include "installer/compose_internal.h"

#include <stdio.h>

#define LOOK_MS 500
#define SETTLED_LOOKS 6 /* that all must be seen running */
#define TIMEOUT_S 60

/* One look at a project. */
struct look {
	struct upt_oci_member members[2 * UPT_COMPOSE_MAX_SERVICES];
	size_t n;
	bool all_run; /* exactly the services, each in its image */
	bool all_healthy;
	bool lost; /* one ended or was started again: it will not become better */
	char why[200]; /* what is missing */
};

/* How often each was started again before: it may have run for months. */
struct baseline {
	bool known[UPT_COMPOSE_MAX_SERVICES];
	uint64_t n_restarts[UPT_COMPOSE_MAX_SERVICES];
};

static const struct upt_oci_member *
find_only(const struct look *look, const char *service, bool *twice)
{
	const struct upt_oci_member *found = NULL;

	*twice = false;
	for (size_t i = 0; i < look->n; i++) {
		if (strcmp(look->members[i].service, service) != 0)
			continue;
		*twice = found != NULL;
		found = &look->members[i];
	}
	return found;
}

static void
miss(struct look *look, const char *service, const char *why)
{
	look->all_run = look->all_healthy = false;
	snprintf(look->why, sizeof(look->why), "service %s %s", service, why);
}

static enum upt_code
look_at_service(struct upt_compose *self, const struct upt_compose_file *file, size_t i,
	struct baseline *baseline, struct look *look, struct upt_err *err)
{
	const struct upt_compose_service *service = &file->services[i];
	const struct upt_oci *oci = &self->common.oci;
	struct upt_oci_state state;
	const struct upt_oci_member *member;
	bool twice, pinned, healthy = true;

	member = find_only(look, service->name, &twice);
	if (member == NULL || twice) {
		miss(look, service->name, twice ? "has two containers" : "has no container");
		return UPT_OK;
	}
	UPT_TRY(upt_oci_inspect(oci, member->name, &state, err));
	if (!baseline->known[i]) {
		baseline->known[i] = true;
		baseline->n_restarts[i] = state.n_restarts;
	}
	if (state.gone || state.n_restarts > baseline->n_restarts[i]) {
		look->lost = true;
		miss(look, service->name, state.gone ? "ended" : "was started again");
		return UPT_OK;
	}
	UPT_TRY(upt_oci_has_image(oci, state.image_id, service->digest, &pinned, err));
	if (!state.running || !pinned) {
		miss(look, service->name,
			pinned ? "does not run" : "runs another image than the pinned one");
		return UPT_OK;
	}
	if (service->has_check)
		UPT_TRY(upt_oci_check_health(oci, member->name, &healthy, err));
	if (!healthy) {
		look->all_healthy = false;
		snprintf(look->why, sizeof(look->why), "service %s is not healthy", service->name);
	}
	return UPT_OK;
}

static enum upt_code
look_once(struct upt_compose *self, const struct upt_compose_file *file, struct baseline *baseline,
	struct look *look, struct upt_err *err)
{
	*look = (struct look){.all_run = true, .all_healthy = true};
	UPT_TRY(upt_oci_list_project(&self->common.oci, self->common.name, look->members,
		2 * UPT_COMPOSE_MAX_SERVICES, &look->n, err));
	for (size_t i = 0; i < file->n_services && !look->lost; i++)
		UPT_TRY(look_at_service(self, file, i, baseline, look, err));
	if (look->all_run && look->n != file->n_services)
		miss(look, self->common.name, "has containers of no service");
	return UPT_OK;
}

enum upt_code
upt_compose_is_running(struct upt_compose *self, const struct upt_compose_file *file, bool *right,
	struct upt_err *err)
{
	struct baseline baseline = {0};
	struct look look;
	struct upt_compose_file unchecked = *file;

	*right = false;
	/* Running is asked, not health: that is a matter of the moment of taking over. */
	for (size_t i = 0; i < unchecked.n_services; i++)
		unchecked.services[i].has_check = false;
	UPT_TRY(look_once(self, &unchecked, &baseline, &look, err));
	*right = look.all_run;
	return UPT_OK;
}

enum upt_code
upt_compose_check(
	struct upt_compose *self, const struct upt_compose_file *file, struct upt_err *err)
{
	struct baseline baseline = {0};
	struct look look;

	UPT_TRY(look_once(self, file, &baseline, &look, err));
	return look.all_healthy
		       ? UPT_OK
		       : upt_fail(err, UPT_E_INSTALL, "%s: %s", self->common.name, look.why);
}

enum upt_code
upt_compose_wait_healthy(
	struct upt_compose *self, const struct upt_compose_file *file, struct upt_err *err)
{
	const struct upt_engine_http *http = self->common.oci.http;
	unsigned timeout_s =
		self->common.health_timeout_s != 0 ? self->common.health_timeout_s : TIMEOUT_S;
	unsigned max_looks = timeout_s * 1000 / LOOK_MS + SETTLED_LOOKS, n_settled = 0;
	uint64_t end_ms = upt_engine_now_ms(http) + (uint64_t)timeout_s * 1000;
	struct baseline baseline = {0};
	struct look look = {0};

	/* Bounded twice: a look may take long, and a clock may stand still. */
	for (unsigned i = 0; i < max_looks && upt_engine_now_ms(http) <= end_ms; i++) {
		if (i > 0)
			upt_engine_pause(http, LOOK_MS);
		UPT_TRY(look_once(self, file, &baseline, &look, err));
		if (look.lost)
			return upt_fail(err, UPT_E_INSTALL, "%s: %s", self->common.name, look.why);
		n_settled = look.all_run ? n_settled + 1 : 0;
		if (look.all_healthy && n_settled >= SETTLED_LOOKS)
			return UPT_OK;
	}
	return upt_fail(err, UPT_E_INSTALL, "%s is not healthy after %u s: %s", self->common.name,
		timeout_s, look.why);
}
