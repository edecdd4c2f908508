/* The power goes at each write in turn; the next processes must come to the same end as without. */
#include "world.h"

#include <stdio.h>
#include <unistd.h>

#include "vehicle.h"

#define MAX_CUTS 200

/* Releases 1 and 2 of both ECUs; 1 runs everywhere and 2 is assigned. */
static void
prepare_update(struct world *w)
{
	world_release(w, "prim-1", "hw-prim", 1);
	world_release(w, "app-1", "hw-app", 1);
	if (w->reboots)
		vehicle_flash(w, &world_target(w, "prim-1")->image);
	world_assign(w, PRIM, "prim-1");
	world_assign(w, APP, "app-1");
	world_publish(w);
	assert_true(world_cycle(w));
	assert_string_equal(w->result->message, "");
	world_release(w, "prim-2", "hw-prim", 2);
	world_release(w, "app-2", "hw-app", 2);
	world_assign(w, PRIM, "prim-2");
	world_assign(w, APP, "app-2");
	world_publish(w);
}

static void
cycle_until_quiet(struct world *w)
{
	w->kill_at = 0;
	for (int i = 0; i < 4; i++) {
		assert_true(world_cycle(w));
		if (w->result->code == UPT_OK && w->result->summary.n_wanted == 0)
			return;
	}
	fail_msg("after 4 cycles still: %s", w->result->message);
}

/* Slots, files and the last report say one thing. */
static void
assert_at(struct world *w, enum world_ecu ecu, const char *now, const char *before,
	const char *refused)
{
	struct upt_ecu_report report;
	char backup[64];
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};

	assert_string_equal(world_slot(w, ecu, UPT_SLOT_INSTALLED), now);
	assert_string_equal(world_slot(w, ecu, UPT_SLOT_PREVIOUS), before);
	assert_string_equal(world_slot(w, ecu, UPT_SLOT_PENDING), "");
	assert_string_equal(world_slot(w, ecu, UPT_SLOT_REFUSED), refused);
	assert_true(world_reported(w, world_serial(ecu), &report));
	assert_string_equal(report.installed.name, now);
	assert_string_equal(report.attacks_detected, "");
	if (ecu == PRIM && w->reboots)
		return;
	assert_true(world_runs(w, ecu, now));
	snprintf(backup, sizeof(backup), "%s.previous", world_serial(ecu));
	world_file(w, backup, &bytes);
	assert_memory_equal(bytes.data, before, strlen(before));
}

static void
cut_everywhere(bool (*act)(struct world *w, int n), int at_least)
{
	int n = 1;

	for (bool cut = true; cut && n < MAX_CUTS; n++) {
		struct world w;

		world_init(&w);
		w.many = true;
		cut = act(&w, n);
		world_clear(&w);
	}
	assert_in_range(n, at_least, MAX_CUTS - 1);
}

static bool
update(struct world *w, int n)
{
	bool cut;

	prepare_update(w);
	w->kill_at = n;
	cut = !world_cycle(w);
	cycle_until_quiet(w);
	assert_at(w, PRIM, "prim-2", "prim-1", "");
	assert_at(w, APP, "app-2", "app-1", "");
	return cut;
}

static void
update_survives_any_cut(void **state)
{
	(void)state;
	cut_everywhere(update, 20);
}

/* A failing bundle leaves every ECU as it was, and is not tried again. */
static bool
failing_bundle(struct world *w, int n)
{
	bool cut;

	prepare_update(w);
	w->fail_install = PRIM;
	w->kill_at = n;
	cut = !world_cycle(w);
	cycle_until_quiet(w);
	assert_at(w, PRIM, "prim-1", "factory", "prim-2");
	/* Where the cut came before the bundle was given up, the application was tried once more.
	 */
	assert_at(w, APP, "app-1", "app-2", "app-2");
	assert_int_equal(w->result->summary.n_refused, 2);
	return cut;
}

static void
failing_bundle_goes_back_at_any_cut(void **state)
{
	(void)state;
	cut_everywhere(failing_bundle, 20);
}

static bool
person_goes_back(struct world *w, int n)
{
	bool cut;

	prepare_update(w);
	cycle_until_quiet(w);
	w->kill_at = n;
	cut = !world_rollback(w, "app");
	/* The person does it again, not knowing how far it came: back once, not twice. */
	w->kill_at = 0;
	if (cut)
		assert_true(world_rollback(w, "app"));
	assert_code(w->result->code, UPT_OK);
	cycle_until_quiet(w);
	assert_at(w, APP, "app-1", "app-2", "app-2");
	assert_at(w, PRIM, "prim-2", "prim-1", "");
	return cut;
}

static void
rollback_done_again_after_any_cut_goes_back_once(void **state)
{
	(void)state;
	cut_everywhere(person_goes_back, 5);
}

static bool
service_finishes_rollback(struct world *w, int n)
{
	bool cut;

	prepare_update(w);
	cycle_until_quiet(w);
	w->kill_at = n;
	cut = !world_rollback(w, "app");
	cycle_until_quiet(w);
	/* The power went before the wish was noted, or the wish is fulfilled. */
	if (n > 1)
		assert_at(w, APP, "app-1", "app-2", "app-2");
	else
		assert_at(w, APP, "app-2", "app-1", "");
	return cut;
}

static void
rollback_is_finished_by_the_service(void **state)
{
	(void)state;
	cut_everywhere(service_finishes_rollback, 5);
}

/* ---- a system that reboots ---- */

static bool
reboot_update(struct world *w, int n)
{
	bool cut;

	w->reboots = true;
	prepare_update(w);
	w->kill_at = n;
	cut = !world_cycle(w);
	world_reboot(w, true);
	cycle_until_quiet(w);
	world_reboot(w, true);
	cycle_until_quiet(w);
	assert_at(w, PRIM, "prim-2", "prim-1", "");
	return cut;
}

static void
update_that_reboots_survives_any_cut(void **state)
{
	(void)state;
	cut_everywhere(reboot_update, 20);
}

static bool
reboot_rollback(struct world *w, int n)
{
	bool cut;

	w->reboots = true;
	prepare_update(w);
	cycle_until_quiet(w);
	world_reboot(w, true);
	cycle_until_quiet(w);
	w->kill_at = n;
	cut = !world_rollback(w, NULL);
	w->kill_at = 0;
	if (n % 2 == 0)
		assert_true(world_cycle(w)); /* or the reboot comes first */
	world_reboot(w, true);
	cycle_until_quiet(w);
	world_reboot(w, true);
	cycle_until_quiet(w);
	if (n > 1)
		assert_at(w, PRIM, "prim-1", "prim-2", "prim-2");
	else
		assert_at(w, PRIM, "prim-2", "prim-1", "");
	return cut;
}

static void
rollback_that_reboots_survives_any_cut(void **state)
{
	(void)state;
	cut_everywhere(reboot_rollback, 4);
}

/* Before the reboot the operator changes his mind: what waits never comes. */
static bool
cancel_pending(struct world *w, int n)
{
	bool cut;

	w->reboots = true;
	prepare_update(w);
	cycle_until_quiet(w);
	assert_string_equal(world_slot(w, PRIM, UPT_SLOT_PENDING), "prim-2");
	w->kill_at = n;
	cut = !world_rollback(w, "prim");
	w->kill_at = 0;
	if (!cut) {
		assert_code(w->result->code, UPT_OK);
		assert_false(w->result->needs_reboot);
	}
	assert_true(world_cycle(w));
	world_reboot(w, true);
	cycle_until_quiet(w);
	if (n > 1)
		assert_at(w, PRIM, "prim-1", "", "prim-2");
	else
		assert_at(w, PRIM, "prim-2", "prim-1", "");
	return cut;
}

static void
rollback_of_what_waits_survives_any_cut(void **state)
{
	(void)state;
	cut_everywhere(cancel_pending, 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(update_survives_any_cut),
		cmocka_unit_test(failing_bundle_goes_back_at_any_cut),
		cmocka_unit_test(rollback_done_again_after_any_cut_goes_back_once),
		cmocka_unit_test(rollback_is_finished_by_the_service),
		cmocka_unit_test(update_that_reboots_survives_any_cut),
		cmocka_unit_test(rollback_that_reboots_survives_any_cut),
		cmocka_unit_test(rollback_of_what_waits_survives_any_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
