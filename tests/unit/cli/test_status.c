/* What uptanectl status says of the state that a cycle left, as JSON and for people. */
#include "scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "storage/store.h"

struct fixture {
	char *dir;
	struct upt_ecu_config ecus[2];
	struct upt_cli cli;
	char *text; /* what was printed last */
};

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->dir = scratch_make_in_memory();
	f->ecus[0] = (struct upt_ecu_config){
		.serial = "gw", .hardware_id = "gateway", .kind = UPT_INSTALLER_OSTREE};
	f->ecus[1] =
		(struct upt_ecu_config){.serial = "ecm", .hardware_id = "engine", .is_ip = true};
	f->cli.config = (struct upt_config){
		.vehicle_id = "V", .state_dir = f->dir, .n_ecus = 2, .ecus = f->ecus};
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	free(f->text);
	scratch_remove(&f->dir);
	free(f);
	return 0;
}

static void
pend(struct fixture *f, const char *serial, uint64_t n_trials)
{
	upt_cleanup(upt_store_close) struct upt_store *store = NULL;
	struct upt_image image = {.name = "v2", .length_bytes = 1, .n_digests = 1};
	char name[32];

	image.digests[0] = (struct upt_digest){.alg = UPT_HASH_SHA256, .len = 32};
	snprintf(name, sizeof(name), "trials:%s", serial);
	assert_int_equal(upt_store_open(f->dir, UPT_STORE_WRITE, &store, NULL), UPT_OK);
	assert_int_equal(
		upt_store_set_image(store, serial, UPT_SLOT_PENDING, &image, NULL), UPT_OK);
	assert_int_equal(upt_store_set_u64(store, name, n_trials, NULL), UPT_OK);
}

static const char *
status(struct fixture *f, bool json)
{
	FILE *terminal = stdout;
	size_t len = 0;
	enum upt_code code;

	free(f->text);
	f->text = NULL;
	stdout = open_memstream(&f->text, &len);
	assert_non_null(stdout);
	f->cli.json = json;
	code = upt_cli_status(&f->cli, NULL);
	fclose(stdout);
	stdout = terminal;
	assert_int_equal(code, UPT_OK);
	return f->text;
}

static void
assert_says(const char *text, const char *words, bool yes)
{
	if ((strstr(text, words) != NULL) != yes)
		fail_msg("\"%s\" %s in:\n%s", words, yes ? "is not" : "is", text);
}

static void
nothing_pending_waits_for_nothing(void **state)
{
	struct fixture *f = *state;
	upt_cleanup(upt_store_close) struct upt_store *store = NULL;

	assert_int_equal(upt_store_open(f->dir, UPT_STORE_WRITE, &store, NULL), UPT_OK);
	/* left over, as a power cut may leave it */
	assert_int_equal(upt_store_set_u64(store, "trials:gw", 1, NULL), UPT_OK);
	upt_store_close(&store);
	assert_says(status(f, true), "\"waitsFor\":\t\"\"", true);
	assert_says(f->text, "\"trial\"", false);
	assert_says(status(f, false), "trial", false);
}

static void
a_system_waits_for_a_reboot_and_then_for_its_trial(void **state)
{
	struct fixture *f = *state;

	pend(f, "gw", 0);
	assert_says(status(f, true), "\"waitsFor\":\t\"reboot\"", true);
	assert_says(status(f, false), "  waits for a reboot: v2\n", true);
	pend(f, "gw", 1);
	assert_says(status(f, true), "\"waitsFor\":\t\"trial\"", true);
	assert_says(status(f, false), "  has booted and is on trial: v2\n", true);
	assert_says(f->text, "waits for a reboot", false);
}

static void
a_secondary_waits_for_its_report(void **state)
{
	struct fixture *f = *state;

	pend(f, "ecm", 0);
	assert_says(status(f, true), "\"waitsFor\":\t\"report\"", true);
	assert_says(status(f, false), "  told to install, not reported yet: v2\n", true);
	assert_says(f->text, "reboot", false);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(nothing_pending_waits_for_nothing),
		CASE(a_system_waits_for_a_reboot_and_then_for_its_trial),
		CASE(a_secondary_waits_for_its_report),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
