#include "installer/container_internal.h"

#include <stdio.h>

#define LOOK_MS 200 /* between two looks at a starting container */
#define SETTLED_LOOKS 10 /* that it must be seen running when it has no health page */
#define PROBE_TIMEOUT_MS 2000

/* The device's own setting wins over what the release says; "" when neither names a page. */
static const char *
health_template(const struct upt_container *self, const char *of_release)
{
	return self->health_url != NULL ? self->health_url : of_release;
}

enum upt_code
upt_container_set_health(const struct upt_container *self, struct upt_container_takeover *new,
	const char *of_release, char url[static UPT_CONTAINER_URL_SIZE], struct upt_err *err)
{
	const char *template = health_template(self, of_release);
	size_t n = 0;

	new->check_engine = strcmp(template, UPT_CONTAINER_ENGINE_CHECK) == 0;
	if (new->check_engine)
		template = "";
	new->health_url = url;
	new->own_page = strstr(template, "%p") != NULL;
	url[0] = '\0';
	if (new->own_page &&new->port == 0)
		return upt_fail(err, UPT_E_CONFIG,
			"the health address of %s needs a port and none is configured", new->name);
	for (const char *c = template; *c != '\0'; c++) {
		if (n + 8 > UPT_CONTAINER_URL_SIZE)
			return upt_fail(err, UPT_E_CONFIG, "the health address of %s is too long",
				new->name);
		if (c[0] == '%' && c[1] == 'p') {
			n += (size_t)snprintf(url + n, UPT_CONTAINER_URL_SIZE - n, "%u", new->port);
			c++;
		} else {
			url[n++] = *c;
		}
	}
	url[n] = '\0';
	return UPT_OK;
}

enum upt_code
upt_container_ask_health(struct upt_container *self, const struct upt_container_takeover *version,
	bool *healthy, struct upt_err *why, struct upt_err *err)
{
	*healthy = true;
	if (version->check_engine)
		return upt_oci_check_health(&self->oci, version->name, healthy, err);
	if (version->health_url[0] != '\0')
		*healthy = self->oci.http->probe(self->oci.http->ctx, version->health_url,
				   PROBE_TIMEOUT_MS, why) == UPT_OK;
	return UPT_OK;
}

/* One look: *healthy, or UPT_E_INSTALL when it never will be. */
static enum upt_code
look_at_health(struct upt_container *self, const struct upt_container_takeover *new,
	unsigned *n_running, bool *healthy, struct upt_err *why, struct upt_err *err)
{
	struct upt_oci_state state;

	*healthy = false;
	UPT_TRY(upt_oci_inspect(&self->oci, new->name, &state, err));
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
	/* With nothing to ask, that it goes on running is all that can be seen. */
	if (!new->check_engine &&new->health_url[0] == '\0') {
		*healthy = *n_running >= SETTLED_LOOKS;
		return UPT_OK;
	}
	return upt_container_ask_health(self, new, healthy, why, err);
}

enum upt_code
upt_container_wait_healthy(
	struct upt_container *self, const struct upt_container_takeover *new, struct upt_err *err)
{
	const struct upt_engine_http *http = self->oci.http;
	uint64_t end_ms = upt_engine_now_ms(http) + (uint64_t) new->timeout_s * 1000;
	unsigned n_looks = new->timeout_s *(1000 / LOOK_MS), n_running = 0;
	struct upt_err why = {0};
	bool healthy;

	/* Bounded twice: a probe may take long, and a clock may stand still. */
	for (unsigned i = 0; i < n_looks && upt_engine_now_ms(http) <= end_ms; i++) {
		if (i > 0)
			upt_engine_pause(http, LOOK_MS);
		UPT_TRY(look_at_health(self, new, &n_running, &healthy, &why, err));
		if (healthy)
			return UPT_OK;
	}
	return upt_fail(err, UPT_E_INSTALL, "%s is not healthy after %u s%s%.160s", new->name,
		new->timeout_s, why.message[0] == '\0' ? "" : ": ", why.message);
}

/* The engine's and the device's own trouble: it passes, and a version is refused for good. */
static bool
is_no_fault_of_the_version(enum upt_code code)
{
	return code == UPT_E_NETWORK || code == UPT_E_NO_SPACE || code == UPT_E_NO_MEMORY ||
	       code == UPT_E_CANCELLED;
}

enum upt_code
upt_container_explain(struct upt_container *self, const char *name, struct upt_err *err)
{
	struct upt_err cause = {0};
	char words[UPT_OCI_LOG_MAX + 1];

	if (err == NULL)
		return UPT_E_INSTALL;
	if (is_no_fault_of_the_version(err->code))
		return err->code;
	cause = *err;
	upt_oci_last_words(&self->oci, name, words);
	if (words[0] == '\0')
		return upt_fail(err, UPT_E_INSTALL, "%s", cause.message);
	return upt_fail(err, UPT_E_INSTALL, "%.200s; it said: %s", cause.message, words);
}
