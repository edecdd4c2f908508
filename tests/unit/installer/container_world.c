#include "container_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

void
renew(struct world *w)
{
	upt_installer_free(&w->installer);
	CHECK_OK(upt_container_installer_new(&w->config, NULL, &w->installer, &w->err));
}

int
set_up(void **state)
{
	static struct world world;
	struct world *w = &world;

	memset(w, 0, sizeof(*w));
	dir_make(w->dir);
	snprintf(w->state, sizeof(w->state), "%s", path_in(w->dir, "state"));
	snprintf(w->endpoint, sizeof(w->endpoint), "%s", path_in(w->dir, "endpoint"));
	fake_engine_init(&w->fake);
	w->config = (struct upt_container_installer_config){
		.http = &w->fake.ops,
		.name = "dashboard",
		.port_a = 8081,
		.port_b = 8082,
		.health_url = "http://127.0.0.1:%p/",
		.health_timeout_s = 5,
		.endpoint_path = w->endpoint,
		.state_path = w->state,
		.tls_verify = true,
	};
	renew(w);
	*state = w;
	return 0;
}

int
tear_down(void **state)
{
	struct world *w = *state;

	upt_installer_free(&w->installer);
	dir_remove(w->dir);
	return 0;
}

struct upt_image
image(struct world *w, unsigned version)
{
	return image_of_hex("dashboard.oci", w->fake.digest[version]);
}

struct upt_install_job
job_of(const struct upt_image *of, const char *custom)
{
	return (struct upt_install_job){.image = of,
		.format = "OCI",
		.uri = FAKE_REPOSITORY,
		.custom = upt_span_str(custom),
		.image_fd = -1};
}

enum upt_code
prepare_with(struct world *w, unsigned version, const char *custom)
{
	struct upt_image of = image(w, version);
	struct upt_install_job job = job_of(&of, custom);

	return w->installer->ops->prepare(w->installer, &job, NULL, &w->err);
}

enum upt_code
install_with(struct world *w, unsigned version, const char *custom)
{
	struct upt_image of = image(w, version);
	struct upt_install_job job = job_of(&of, custom);
	bool needs_reboot = true;
	enum upt_code code = w->installer->ops->install(w->installer, &job, &needs_reboot, &w->err);

	assert_false(needs_reboot);
	return code;
}

enum upt_code
update_with(struct world *w, unsigned version, const char *custom)
{
	enum upt_code code = prepare_with(w, version, custom);

	return code != UPT_OK ? code : install_with(w, version, custom);
}

enum upt_code
update(struct world *w, unsigned version)
{
	return update_with(w, version, "");
}

enum upt_code
rollback(struct world *w)
{
	bool needs_reboot = true;
	enum upt_code code = w->installer->ops->rollback(w->installer, &needs_reboot, &w->err);

	assert_false(needs_reboot);
	return code;
}

enum upt_code
resume(struct world *w)
{
	return w->installer->ops->resume(w->installer, &w->err);
}

enum upt_code
check(struct world *w)
{
	return w->installer->ops->check(w->installer, &w->err);
}

void
assert_runs(struct world *w, unsigned version)
{
	struct upt_image found, expected = image(w, version);
	char text[16];
	bool done = false;

	assert_int_equal(fake_running(&w->fake), version);
	CHECK_OK(w->installer->ops->current(w->installer, &found, &w->err));
	assert_int_equal(found.n_digests, 1);
	assert_true(upt_digest_equal(&found.digests[0], &expected.digests[0]));
	CHECK_OK(w->installer->ops->finalize(w->installer, &expected, &done, &w->err));
	assert_true(done);
	for (size_t i = 0; i < FAKE_CONTAINERS; i++) {
		const struct fake_container *c = &w->fake.containers[i];
		if (!c->used || c->status != FAKE_RUNNING || c->port == 0)
			continue;
		snprintf(text, sizeof(text), "%u\n", c->port);
		assert_true(file_holds(w->endpoint, upt_span_str(text)));
	}
}
