/* The virtual link: an installer on the Primary that is an ECU of its own. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An engine that answers as it is told. */
struct engine {
	struct upt_installer base;
	struct upt_image current;
	enum upt_code code;
	bool needs_reboot;
	unsigned n_prepared, n_installed, n_rolled_back;
	bool *freed;
};

static struct engine *
from_base(struct upt_installer *base)
{
	return (struct engine *)base;
}

static enum upt_code
engine_current(struct upt_installer *base, struct upt_image *out, struct upt_err *err)
{
	(void)err;
	*out = from_base(base)->current;
	return UPT_OK;
}

static enum upt_code
engine_prepare(struct upt_installer *base, const struct upt_install_job *job,
	const struct upt_install_progress *progress, struct upt_err *err)
{
	struct engine *e = from_base(base);

	(void)progress;
	assert_non_null(job->image);
	e->n_prepared++;
	return e->code == UPT_OK ? UPT_OK : upt_fail(err, e->code, "engine says no");
}

static enum upt_code
engine_install(struct upt_installer *base, const struct upt_install_job *job, bool *needs_reboot,
	struct upt_err *err)
{
	struct engine *e = from_base(base);

	assert_non_null(job->image);
	e->n_installed++;
	*needs_reboot = e->needs_reboot;
	return e->code == UPT_OK ? UPT_OK : upt_fail(err, e->code, "engine says no");
}

static enum upt_code
engine_rollback(struct upt_installer *base, bool *needs_reboot, struct upt_err *err)
{
	struct engine *e = from_base(base);

	(void)err;
	e->n_rolled_back++;
	*needs_reboot = e->needs_reboot;
	return UPT_OK;
}

static void
engine_free(struct upt_installer *base)
{
	*from_base(base)->freed = true;
	free(base);
}

static const struct upt_installer_ops engine_ops = {.format = "OCI",
	.current = engine_current,
	.prepare = engine_prepare,
	.install = engine_install,
	.rollback = engine_rollback,
	.free = engine_free};

struct fixture {
	struct engine *engine;
	struct upt_link *link;
	struct upt_image known;
	uint64_t counter;
	bool freed;
};

static enum upt_code
next_counter(void *ctx, const char *serial, uint64_t *out, struct upt_err *err)
{
	struct fixture *f = ctx;

	(void)err;
	assert_string_equal(serial, "app");
	*out = ++f->counter;
	return UPT_OK;
}

static enum upt_code
installed(void *ctx, const char *serial, struct upt_image *out, struct upt_err *err)
{
	struct fixture *f = ctx;

	(void)err;
	assert_string_equal(serial, "app");
	*out = f->known;
	return UPT_OK;
}

static struct upt_image
image_of(const char *name, uint64_t length, const char *content)
{
	struct upt_image image = {.length_bytes = length, .n_digests = 1};

	snprintf(image.name, sizeof(image.name), "%s", name);
	assert_ok(upt_hash_span(UPT_HASH_SHA256, upt_span_str(content), &image.digests[0], why));
	return image;
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const struct upt_virtual_link_config config = {.serial = "app",
		.hardware_id = "container",
		.next_counter = next_counter,
		.installed = installed,
		.ctx = f};
	struct upt_private_key *key;

	assert_non_null(f);
	f->engine = calloc(1, sizeof(*f->engine));
	assert_non_null(f->engine);
	*f->engine = (struct engine){.base = {.ops = &engine_ops}, .freed = &f->freed};
	assert_ok(upt_private_key_generate("ecdsa-sha2-nistp256", 0, &key, why));
	assert_ok(upt_virtual_link_new(&config, &f->engine->base, key, NULL, &f->link, why));
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	upt_link_free(&f->link);
	assert_true(f->freed);
	free(f);
	return 0;
}

/* The report, checked with the key that info() tells. */
static struct upt_ecu_report
report(struct fixture *f, const char *attacks)
{
	upt_cleanup(upt_buf_clear) struct upt_buf envelope = {0};
	upt_cleanup(upt_public_key_free) struct upt_public_key *key = NULL;
	struct upt_ecu_report out;
	struct upt_ecu_info info;

	assert_ok(f->link->ops->info(f->link, &info, why));
	assert_string_equal(info.serial, "app");
	assert_string_equal(info.hardware_id, "container");
	assert_ok(f->link->ops->report(f->link, attacks, 1800000000, &envelope, why));
	assert_ok(upt_public_key_parse(
		upt_span_str(info.key_type), upt_span_str(info.public_key), &key, why));
	assert_ok(upt_ecu_report_check(upt_buf_span(&envelope), key, &out, why));
	assert_string_equal(out.ecu_serial, "app");
	assert_int_equal(out.time, 1800000000);
	return out;
}

static void
report_tells_what_both_agree_on(void **state)
{
	struct fixture *f = *state;
	struct upt_ecu_report r;

	f->known = image_of("app:1", 512, "one");
	f->engine->current = image_of("", 0, "one");
	r = report(f, "rollback:version-rollback:image");
	assert_true(upt_image_same(&r.installed, &f->known));
	assert_string_equal(r.attacks_detected, "rollback:version-rollback:image");
	assert_int_equal(r.report_counter, 1);
	r = report(f, "");
	assert_int_equal(r.report_counter, 2);
}

/* Where the engine cannot tell, the database is all there is. */
static void
report_tells_the_record_when_the_engine_cannot(void **state)
{
	struct fixture *f = *state;
	struct upt_ecu_report r;

	f->known = image_of("app:1", 512, "one");
	r = report(f, "");
	assert_true(upt_image_same(&r.installed, &f->known));
}

static void
report_never_claims_what_does_not_run(void **state)
{
	struct fixture *f = *state;
	struct upt_ecu_report r;

	f->known = image_of("app:2", 512, "two");
	f->engine->current = image_of("", 0, "one");
	r = report(f, "");
	assert_string_not_equal(r.installed.name, "app:2");
	assert_false(upt_image_same(&r.installed, &f->known));
}

static void
report_of_nothing_known_is_empty(void **state)
{
	struct fixture *f = *state;
	struct upt_ecu_report r = report(f, "");

	assert_string_equal(r.installed.name, "");
}

static void
too_long_attacks_are_refused(void **state)
{
	struct fixture *f = *state;
	upt_cleanup(upt_buf_clear) struct upt_buf envelope = {0};
	char text[UPT_ATTACKS_MAX + 1];

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_code(f->link->ops->report(f->link, text, 0, &envelope, NULL), UPT_E_INTERNAL);
	assert_int_equal(envelope.len, 0);
	text[UPT_ATTACKS_MAX - 1] = '\0';
	assert_ok(f->link->ops->report(f->link, text, 0, &envelope, why));
}

static void
work_goes_to_the_installer(void **state)
{
	struct fixture *f = *state;
	const struct upt_image image = image_of("app:1", 512, "one");
	const struct upt_install_job job = {.image = &image, .format = "OCI", .image_fd = -1};
	struct upt_metadata_source nothing = {0};
	struct upt_err err = {0};
	bool pending = true;

	assert_ok(f->link->ops->send_metadata(f->link, &nothing, why));
	assert_ok(f->link->ops->send_image(f->link, &job, NULL, why));
	assert_ok(f->link->ops->install(f->link, &job, &pending, why));
	assert_false(pending);
	f->engine->needs_reboot = true;
	assert_ok(f->link->ops->install(f->link, &job, &pending, why));
	assert_true(pending);
	assert_ok(f->link->ops->rollback(f->link, &pending, why));
	assert_int_equal(f->engine->n_prepared, 1);
	assert_int_equal(f->engine->n_installed, 2);
	assert_int_equal(f->engine->n_rolled_back, 1);
	assert_false(f->link->ops->needs_image(f->link));
	assert_string_equal(f->link->ops->format(f->link), "OCI");
	f->engine->code = UPT_E_IMAGE_HASH;
	assert_code(f->link->ops->send_image(f->link, &job, NULL, &err), UPT_E_IMAGE_HASH);
	assert_string_equal(err.message, "Secondary app: engine says no");
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(report_tells_what_both_agree_on),
		CASE(report_tells_the_record_when_the_engine_cannot),
		CASE(report_never_claims_what_does_not_run),
		CASE(report_of_nothing_known_is_empty),
		CASE(too_long_attacks_are_refused),
		CASE(work_goes_to_the_installer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
