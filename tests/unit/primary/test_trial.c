/*
 * A system that reboots and proves itself: well, unwell, not coming up at all, each also with the
 * power cut at every write. GRUB's environment block is real; the system is the test's.
 */
#include "world.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vehicle.h"

#define MAX_CUTS 200

static void
set_up(struct world *w)
{
	world_init(w);
	w->many = w->reboots = w->counts = true;
	world_add_check(w);
	world_release(w, "prim-1", "hw-prim", 1);
	vehicle_flash(w, &world_target(w, "prim-1")->image);
	world_assign(w, PRIM, "prim-1");
	world_publish(w);
	assert_true(world_cycle(w));
	assert_string_equal(w->result->message, "");
	world_release(w, "prim-2", "hw-prim", 2);
	world_assign(w, PRIM, "prim-2");
	world_publish(w);
}

static void
cycle(struct world *w)
{
	w->kill_at = 0;
	assert_true(world_cycle(w));
	assert_string_equal(w->result->message, "");
}

/* Cycles and reboots as uptaned asks for them, until there is nothing left to do. */
static void
run_on(struct world *w, bool comes_up)
{
	for (int i = 0; i < 6; i++) {
		cycle(w);
		if (w->result->summary.wants_reboot)
			world_reboot(w, comes_up);
		else if (w->result->summary.n_wanted == 0)
			return;
	}
	fail_msg("after 6 cycles still at work");
}

static void
assert_slots(struct world *w, const char *installed, const char *pending, const char *refused)
{
	assert_string_equal(world_slot(w, PRIM, UPT_SLOT_INSTALLED), installed);
	assert_string_equal(world_slot(w, PRIM, UPT_SLOT_PENDING), pending);
	assert_string_equal(world_slot(w, PRIM, UPT_SLOT_REFUSED), refused);
}

static void
assert_reported(struct world *w, const char *name)
{
	struct upt_ecu_report report;

	assert_true(world_reported(w, "prim", &report));
	assert_string_equal(report.installed.name, name);
}

/* The loader counts nothing: any number of boots stays where it is. */
static void
assert_at_rest(struct world *w, const char *installed, const char *refused)
{
	char counter[17];

	assert_slots(w, installed, "", refused);
	assert_reported(w, installed);
	vehicle_grubenv(w, "boot_counter", counter);
	assert_string_equal(counter, "");
	world_reboot(w, true);
	cycle(w);
	assert_slots(w, installed, "", refused);
	assert_reported(w, installed);
}

struct search {
	const char *text;
	unsigned n;
};

static enum upt_code
look_at(void *ctx, const struct upt_incident *incident, struct upt_err *err)
{
	struct search *search = ctx;

	(void)err;
	search->n +=
		incident->code == UPT_E_INSTALL && strstr(incident->message, search->text) != NULL;
	return UPT_OK;
}

static unsigned
n_incidents(struct world *w, const char *text)
{
	upt_cleanup(upt_store_close) struct upt_store *store = world_store(w);
	struct search search = {.text = text};

	assert_ok(upt_store_each_incident(store, false, look_at, &search, why));
	return search.n;
}

static void
cut_everywhere(bool (*act)(struct world *w, int n), int at_least)
{
	int n = 1;

	for (bool cut = true; cut && n < MAX_CUTS; n++) {
		struct world w;

		set_up(&w);
		cut = act(&w, n);
		world_clear(&w);
	}
	assert_in_range(n, at_least, MAX_CUTS - 1);
}

/* ---- once ---- */

static void
a_system_is_confirmed_only_once_it_is_well(void **state)
{
	struct world w;
	char counter[17];

	(void)state;
	set_up(&w);
	cycle(&w);
	assert_true(w.result->summary.wants_reboot);
	assert_slots(&w, "prim-1", "prim-2", "");
	assert_reported(&w, "prim-1");
	vehicle_grubenv(&w, "boot_counter", counter);
	assert_string_equal(counter, "3");
	world_reboot(&w, true);
	vehicle_grubenv(&w, "boot_counter", counter);
	assert_string_equal(counter, "2");
	/* neither a look nor a person's question is a trial */
	assert_true(world_check(&w));
	assert_non_null(strstr(w.result->verdicts, "prim prim-2 runs on trial"));
	assert_slots(&w, "prim-1", "prim-2", "");
	assert_reported(&w, "prim-2");
	cycle(&w);
	assert_false(w.result->summary.wants_reboot);
	assert_string_equal(world_slot(&w, PRIM, UPT_SLOT_PREVIOUS), "prim-1");
	assert_at_rest(&w, "prim-2", "");
	world_clear(&w);
}

static void
an_unwell_system_is_left_and_not_tried_again(void **state)
{
	struct world w;

	(void)state;
	set_up(&w);
	cycle(&w);
	world_reboot(&w, true);
	world_write(&w, "sick", "");
	cycle(&w);
	assert_true(w.result->summary.wants_reboot);
	assert_slots(&w, "prim-1", "prim-1", "prim-2");
	assert_reported(&w, "prim-2");
	/* the old system is not put to the same question: there is nothing better than it */
	world_reboot(&w, true);
	cycle(&w);
	assert_int_equal(w.result->summary.n_refused, 1);
	assert_at_rest(&w, "prim-1", "prim-2");
	assert_int_equal(n_incidents(&w, "health.d/check exited with 7"), 1);
	/* another release is */
	world_release(&w, "prim-3", "hw-prim", 3);
	world_assign(&w, PRIM, "prim-3");
	world_publish(&w);
	world_withdraw(&w, "../sick");
	run_on(&w, true);
	assert_at_rest(&w, "prim-3", "");
	world_clear(&w);
}

/* An application that does not run on the new system is a reason to leave it, too. */
static void
an_unwell_application_speaks_against_the_system(void **state)
{
	struct world w;

	(void)state;
	set_up(&w);
	cycle(&w);
	world_reboot(&w, true);
	w.app_unwell = true;
	cycle(&w);
	assert_slots(&w, "prim-1", "prim-1", "prim-2");
	assert_int_equal(n_incidents(&w, "ECU app: the application does not answer"), 1);
	world_reboot(&w, true);
	cycle(&w);
	assert_at_rest(&w, "prim-1", "prim-2");
	world_clear(&w);
}

static void
what_does_not_come_up_is_left_by_the_boot_loader(void **state)
{
	struct world w;

	(void)state;
	set_up(&w);
	cycle(&w);
	world_reboot(&w, false);
	cycle(&w);
	assert_false(w.result->summary.wants_reboot);
	assert_int_equal(w.result->summary.n_refused, 1);
	assert_int_equal(
		n_incidents(&w, "prim-2 did not boot in 3 tries, boot loader grub went back"), 1);
	assert_at_rest(&w, "prim-1", "prim-2");
	world_clear(&w);
}

static void
a_system_in_which_the_client_dies_is_left(void **state)
{
	struct world w;

	(void)state;
	set_up(&w);
	cycle(&w);
	world_reboot(&w, true);
	world_write(&w, "deadly", "");
	w.kill_at = 1000000;
	for (int i = 0; i < 3; i++) {
		assert_false(world_cycle(&w));
		assert_slots(&w, "prim-1", "prim-2", "");
	}
	cycle(&w);
	assert_true(w.result->summary.wants_reboot);
	assert_int_equal(n_incidents(&w, "3 trials were begun and none came to its end"), 1);
	world_reboot(&w, true);
	cycle(&w);
	assert_at_rest(&w, "prim-1", "prim-2");
	world_clear(&w);
}

/* The system before it was removed by somebody: what runs stays, or nothing could ever mend it. */
static void
an_unwell_system_stays_when_there_is_no_other(void **state)
{
	struct world w;

	(void)state;
	set_up(&w);
	cycle(&w);
	world_reboot(&w, true);
	world_write(&w, "sick", "");
	vehicle_flash(&w, &world_target(&w, "prim-2")->image);
	cycle(&w);
	assert_false(w.result->summary.wants_reboot);
	assert_int_equal(n_incidents(&w, "prim-2 booted and is rolled back"), 1);
	assert_at_rest(&w, "prim-2", "");
	world_clear(&w);
}

/* It cannot go back just now: it stays on trial, and goes when it can. */
static void
an_unwell_system_is_left_as_soon_as_it_can_be(void **state)
{
	struct world w;
	char counter[17];

	(void)state;
	set_up(&w);
	cycle(&w);
	world_reboot(&w, true);
	world_write(&w, "sick", "");
	w.fail_rollback = true;
	for (int i = 0; i < 5; i++) {
		cycle(&w);
		assert_slots(&w, "prim-1", "prim-2", "");
		vehicle_grubenv(&w, "boot_counter", counter);
		assert_string_equal(counter, "2");
	}
	w.fail_rollback = false;
	run_on(&w, true);
	assert_at_rest(&w, "prim-1", "prim-2");
	world_clear(&w);
}

/* A service that is stopped in the middle, again and again, has not failed its trial. */
static void
a_trial_that_was_interrupted_does_not_count(void **state)
{
	struct world w;

	(void)state;
	set_up(&w);
	cycle(&w);
	world_reboot(&w, true);
	w.cancelled = true;
	for (int i = 0; i < 5; i++) {
		assert_true(world_cycle(&w));
		assert_slots(&w, "prim-1", "prim-2", "");
	}
	w.cancelled = false;
	cycle(&w);
	assert_at_rest(&w, "prim-2", "");
	world_clear(&w);
}

static void
a_person_leaves_a_system_on_trial(void **state)
{
	struct world w;

	(void)state;
	set_up(&w);
	cycle(&w);
	world_reboot(&w, true);
	for (int i = 0; i < 2; i++) { /* asked twice, it goes back once */
		assert_true(world_rollback(&w, NULL));
		assert_code(w.result->code, UPT_OK);
		assert_true(w.result->needs_reboot);
		assert_slots(&w, "prim-1", "prim-1", "prim-2");
	}
	world_reboot(&w, true);
	cycle(&w);
	assert_at_rest(&w, "prim-1", "prim-2");
	world_clear(&w);
}

static void
a_rollback_that_does_not_come_up_is_left_too(void **state)
{
	struct world w;

	(void)state;
	set_up(&w);
	run_on(&w, true);
	assert_true(world_rollback(&w, NULL));
	assert_slots(&w, "prim-2", "prim-1", "prim-2");
	world_reboot(&w, false);
	cycle(&w);
	assert_int_equal(n_incidents(&w, "prim-1 did not boot in 3 tries"), 1);
	assert_at_rest(&w, "prim-2", "");
	/* and the way back is tried again when a person says so */
	assert_true(world_rollback(&w, NULL));
	world_reboot(&w, true);
	cycle(&w);
	assert_at_rest(&w, "prim-1", "prim-2");
	/* a rollback is itself rolled back */
	assert_true(world_rollback(&w, NULL));
	world_reboot(&w, true);
	cycle(&w);
	assert_at_rest(&w, "prim-2", "");
	world_clear(&w);
}

static void
an_automatic_rollback_that_does_not_come_up_keeps_the_new_system(void **state)
{
	struct world w;

	(void)state;
	set_up(&w);
	cycle(&w);
	world_reboot(&w, true);
	world_write(&w, "sick", "");
	cycle(&w);
	/* what runs is known by what was left for it, not by what is assigned */
	world_assign(&w, PRIM, NULL);
	world_publish(&w);
	world_reboot(&w, false);
	cycle(&w);
	assert_at_rest(&w, "prim-2", "");
	world_clear(&w);
}

/* The Director's word, which needs no lower release counter, is an update like any other. */
static void
the_director_orders_an_older_release(void **state)
{
	struct world w;

	(void)state;
	set_up(&w);
	world_target(&w, "prim-2")->image.release_counter = 1;
	world_publish(&w);
	run_on(&w, true);
	assert_at_rest(&w, "prim-2", "");
	world_assign(&w, PRIM, "prim-1");
	world_publish(&w);
	cycle(&w);
	assert_slots(&w, "prim-2", "prim-1", "");
	world_reboot(&w, true);
	cycle(&w);
	assert_string_equal(world_slot(&w, PRIM, UPT_SLOT_PREVIOUS), "prim-2");
	assert_at_rest(&w, "prim-1", "");
	world_clear(&w);
}

static void
a_boot_loader_that_cannot_be_told_confirms_nothing(void **state)
{
	struct world w;
	char path[PATH_MAX], hidden[PATH_MAX];

	(void)state;
	set_up(&w);
	cycle(&w);
	world_reboot(&w, true);
	snprintf(path, sizeof(path), "%s/grubenv", w.dir);
	snprintf(hidden, sizeof(hidden), "%s/hidden", w.dir);
	assert_int_equal(rename(path, hidden), 0);
	/* another release does not take away what the one on trial can go back to */
	world_release(&w, "prim-3", "hw-prim", 3);
	world_assign(&w, PRIM, "prim-3");
	world_publish(&w);
	for (int i = 0; i < 5; i++) {
		cycle(&w);
		assert_slots(&w, "prim-1", "prim-2", "");
		assert_reported(&w, "prim-2");
	}
	assert_int_equal(rename(hidden, path), 0);
	cycle(&w);
	assert_slots(&w, "prim-2", "prim-3", "");
	world_clear(&w);
}

/* ---- the reboot ---- */

static struct upt_primary *
primary_with(struct world *w, struct upt_config *config, const char *commands, bool has_command)
{
	static char extra[PATH_MAX];
	char text[PATH_MAX], path[PATH_MAX];

	snprintf(text, sizeof(text), "#!/bin/sh\n%s\n", commands);
	world_write(w, "reboot", text);
	snprintf(path, sizeof(path), "%s/reboot", w->dir);
	assert_int_equal(chmod(path, 0755), 0);
	snprintf(extra, sizeof(extra), "[primary]\nreboot_command = %.200s  now  please\n", path);
	w->extra = has_command ? extra : NULL;
	return world_primary(w, config);
}

static void
the_reboot_is_asked_for_by_the_configured_command(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf said = {0};
	struct upt_config config = {0};
	struct upt_primary *p;
	struct upt_err err = {0};
	struct world w;

	(void)state;
	set_up(&w);
	/* none: somebody else does it */
	p = primary_with(&w, &config, "exit 1", false);
	assert_ok(upt_primary_reboot(p, why));
	upt_primary_free(&p);
	upt_config_clear(&config);
	p = primary_with(&w, &config, "echo not allowed; exit 1", true);
	assert_code(upt_primary_reboot(p, &err), UPT_E_INSTALL);
	assert_non_null(strstr(err.message, "not allowed"));
	upt_primary_free(&p);
	upt_config_clear(&config);
	p = primary_with(&w, &config, "echo \"$1 $2 $#\" >\"$0.asked\"", true);
	/* The reboot begins with a request to stop. */
	w.cancelled = true;
	assert_ok(upt_primary_reboot(p, why));
	world_file(&w, "reboot.asked", &said);
	assert_string_equal((const char *)said.data, "now please 2\n");
	upt_primary_free(&p);
	upt_config_clear(&config);
	world_clear(&w);
}

/* ---- with cuts ---- */

/* The power goes while prim-2 proves itself; n 1 to the last write of that cycle. */
static bool
on_trial(struct world *w, int n, bool sick)
{
	bool cut;

	cycle(w);
	world_reboot(w, true);
	if (sick)
		world_write(w, "sick", "");
	w->kill_at = n;
	cut = !world_cycle(w);
	/* a service that is started again, or a machine */
	if (n % 2 == 0)
		world_reboot(w, true);
	run_on(w, true);
	if (sick)
		assert_at_rest(w, "prim-1", "prim-2");
	else
		assert_at_rest(w, "prim-2", "");
	return cut;
}

static bool
on_trial_and_well(struct world *w, int n)
{
	return on_trial(w, n, false);
}

static bool
on_trial_and_unwell(struct world *w, int n)
{
	return on_trial(w, n, true);
}

static void
a_trial_survives_any_cut(void **state)
{
	(void)state;
	cut_everywhere(on_trial_and_well, 8);
}

static void
leaving_an_unwell_system_survives_any_cut(void **state)
{
	(void)state;
	cut_everywhere(on_trial_and_unwell, 12);
}

static bool
after_fallback(struct world *w, int n)
{
	bool cut;

	cycle(w);
	world_reboot(w, false);
	w->kill_at = n;
	cut = !world_cycle(w);
	if (n % 2 == 0)
		world_reboot(w, false);
	run_on(w, false);
	assert_at_rest(w, "prim-1", "prim-2");
	assert_int_equal(n_incidents(w, "prim-2 did not boot"), 1);
	return cut;
}

static void
a_fallback_is_understood_at_any_cut(void **state)
{
	(void)state;
	cut_everywhere(after_fallback, 10);
}

/* The cut comes while a system is installed that will never boot: no moment lets it boot
 * uncounted. */
static bool
installing_what_hangs(struct world *w, int n)
{
	bool cut;

	w->kill_at = n;
	cut = !world_cycle(w);
	world_reboot(w, false);
	run_on(w, false);
	assert_at_rest(w, "prim-1", "prim-2");
	return cut;
}

static void
what_hangs_is_left_whenever_the_power_went(void **state)
{
	(void)state;
	cut_everywhere(installing_what_hangs, 15);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_system_is_confirmed_only_once_it_is_well),
		cmocka_unit_test(an_unwell_system_is_left_and_not_tried_again),
		cmocka_unit_test(an_unwell_application_speaks_against_the_system),
		cmocka_unit_test(what_does_not_come_up_is_left_by_the_boot_loader),
		cmocka_unit_test(a_system_in_which_the_client_dies_is_left),
		cmocka_unit_test(an_unwell_system_stays_when_there_is_no_other),
		cmocka_unit_test(an_unwell_system_is_left_as_soon_as_it_can_be),
		cmocka_unit_test(a_trial_that_was_interrupted_does_not_count),
		cmocka_unit_test(a_person_leaves_a_system_on_trial),
		cmocka_unit_test(a_rollback_that_does_not_come_up_is_left_too),
		cmocka_unit_test(an_automatic_rollback_that_does_not_come_up_keeps_the_new_system),
		cmocka_unit_test(the_director_orders_an_older_release),
		cmocka_unit_test(a_boot_loader_that_cannot_be_told_confirms_nothing),
		cmocka_unit_test(the_reboot_is_asked_for_by_the_configured_command),
		cmocka_unit_test(a_trial_survives_any_cut),
		cmocka_unit_test(leaving_an_unwell_system_survives_any_cut),
		cmocka_unit_test(a_fallback_is_understood_at_any_cut),
		cmocka_unit_test(what_hangs_is_left_whenever_the_power_went),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
