/* One bundle of a system that reboots, an application and a Secondary: what cuts do not show. */
#include "bundle.h"

#include <stdio.h>

static void
cycle(struct world *w)
{
	w->kill_at = 0;
	assert_true(world_cycle(w));
	assert_string_equal(w->result->message, "");
}

static void
run_on(struct world *w)
{
	int never = 0;

	bundle_run_on(w, true, &never);
}

static void
assert_states(struct world *w, enum upt_plan_state state, enum upt_member_state app,
	enum upt_member_state prim, enum upt_member_state sec)
{
	upt_cleanup(upt_plan_clear) struct upt_plan plan = {0};

	bundle_plan(w, &plan);
	assert_int_equal(plan.state, state);
	assert_int_equal(plan.n_members, 3);
	assert_string_equal(plan.members[0].ecu, "app");
	assert_string_equal(plan.members[1].ecu, "prim");
	assert_string_equal(plan.members[2].ecu, "sec");
	assert_int_equal(plan.members[0].state, app);
	assert_int_equal(plan.members[1].state, prim);
	assert_int_equal(plan.members[2].state, sec);
}

static unsigned
n_reports(struct world *w)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};

	return world_installation(w, &text);
}

static void
what_cannot_go_back_waits_until_the_rest_has_proved_itself(void **state)
{
	upt_cleanup(upt_plan_clear) struct upt_plan plan = {0};
	struct world w;

	(void)state;
	bundle_set_up(&w);
	cycle(&w);
	assert_states(&w, UPT_PLAN_ON_TRIAL, UPT_MEMBER_DONE, UPT_MEMBER_WAITING, UPT_MEMBER_TO_DO);
	bundle_plan(&w, &plan);
	assert_string_equal(plan.correlation_id, "urn:second");
	assert_true(plan.members[1].reversible);
	assert_string_equal(plan.members[1].before.name, "prim-1");
	assert_false(plan.members[2].reversible);
	/* while it waits nobody is asked for anything, and nothing is told */
	world_forget_requests(&w);
	cycle(&w);
	assert_int_equal(world_n_requests(&w, "GET /repo"), 0);
	assert_int_equal(world_n_requests(&w, "GET /director/"), 2);
	assert_int_equal(n_reports(&w), 1);
	world_reboot(&w, true);
	cycle(&w);
	assert_states(&w, UPT_PLAN_CONFIRMED, UPT_MEMBER_DONE, UPT_MEMBER_DONE, UPT_MEMBER_DONE);
	assert_int_equal(n_reports(&w), 2);
	bundle_assert_end(&w, 2, 2, UPT_PLAN_CONFIRMED, false);
	/* and once is enough */
	cycle(&w);
	assert_int_equal(n_reports(&w), 2);
	world_clear(&w);
}

static void
a_report_is_told_until_a_manifest_with_it_is_accepted(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	struct world w;

	(void)state;
	bundle_set_up(&w);
	w.fail_install = APP;
	world_set_status(&w, "director/manifest", 0);
	assert_true(world_cycle(&w));
	assert_code(w.result->code, UPT_E_INSTALL);
	assert_int_equal(world_installation(&w, &text), 2);
	assert_non_null(strstr(
		(char *)text.data, "{\"ecu\":\"app\",\"result\":{\"code\":\"INSTALL_FAILED\","));
	assert_non_null(strstr((char *)text.data,
		"{\"ecu\":\"prim\",\"result\":{\"code\":\"OPERATION_CANCELLED\","));
	assert_non_null(
		strstr((char *)text.data, "\"success\":false}},\"primary_ecu_serial\"") == NULL
			? "ends before the next member"
			: NULL);
	bundle_assert_end(&w, 1, 1, UPT_PLAN_ROLLED_BACK, true);
	/* another assignment of the Director is tried */
	w.fail_install = -1;
	world_assign(&w, PRIM, "prim-1");
	world_publish(&w);
	run_on(&w);
	world_assign(&w, PRIM, "prim-2");
	world_publish(&w);
	run_on(&w);
	assert_string_equal(world_slot(&w, PRIM, UPT_SLOT_INSTALLED), "prim-2");
	assert_string_equal(world_slot(&w, APP, UPT_SLOT_INSTALLED), "app-1");
	world_clear(&w);
}

/* Nothing is confirmed yet: the vehicle is what it was, then the new assignment is installed. */
static void
a_bundle_that_the_director_replaces_goes_back_unrefused(void **state)
{
	struct world w;

	(void)state;
	bundle_set_up(&w);
	cycle(&w);
	world_assign(&w, PRIM, NULL);
	world_assign(&w, SEC, NULL);
	world_assign(&w, APP, "app-1");
	world_publish(&w);
	run_on(&w);
	bundle_assert_end(&w, 1, 1, UPT_PLAN_ROLLED_BACK, false);
	assert_int_equal(n_reports(&w), 1);
	/* and what was withdrawn may come again */
	world_assign(&w, PRIM, "prim-2");
	world_assign(&w, SEC, "sec-2");
	world_assign(&w, APP, "app-2");
	world_publish(&w);
	run_on(&w);
	bundle_assert_end(&w, 2, 2, UPT_PLAN_CONFIRMED, false);
	world_clear(&w);
}

/* It proves itself, and then comes what the Director wants by now. */
static void
what_has_proved_itself_stays_when_the_director_replaces_the_rest(void **state)
{
	struct world w;

	(void)state;
	bundle_set_up(&w);
	w.sec_install = UPT_E_SERVER; /* not now */
	cycle(&w);
	world_reboot(&w, true);
	for (int i = 0; i < 3; i++) {
		assert_true(world_cycle(&w));
		assert_code(w.result->code, UPT_E_SERVER);
		assert_states(&w, UPT_PLAN_INSTALLING, UPT_MEMBER_DONE, UPT_MEMBER_DONE,
			UPT_MEMBER_INSTALLING);
	}
	world_assign(&w, SEC, NULL);
	world_publish(&w);
	run_on(&w);
	bundle_assert_end(&w, 2, 1, UPT_PLAN_CONFIRMED, false);
	assert_states(&w, UPT_PLAN_CONFIRMED, UPT_MEMBER_DONE, UPT_MEMBER_DONE, UPT_MEMBER_LEFT);
	assert_int_equal(n_reports(&w), 1);
	world_clear(&w);
}

/* A disk that is full, say. */
static void
what_failed_for_want_of_something_is_tried_again(void **state)
{
	struct world w;

	(void)state;
	bundle_set_up(&w);
	w.fail_install = PRIM;
	w.fail_code = UPT_E_NO_SPACE;
	for (int i = 0; i < 2; i++) {
		assert_true(world_cycle(&w));
		assert_code(w.result->code, UPT_E_NO_SPACE);
		bundle_assert_end(&w, 1, 1, UPT_PLAN_ROLLED_BACK, false);
	}
	assert_int_equal(n_reports(&w), 1);
	w.fail_install = -1;
	run_on(&w);
	bundle_assert_end(&w, 2, 2, UPT_PLAN_CONFIRMED, false);
	world_clear(&w);
}

/* The release says that the application needs the Secondary: that comes before what it is to be
 * last of, and stays when the rest fails. */
static void
a_signed_wish_puts_what_cannot_go_back_earlier(void **state)
{
	upt_cleanup(upt_plan_clear) struct upt_plan plan = {0};
	struct world w;

	(void)state;
	bundle_set_up(&w);
	world_target(&w, "app-2")->after = "hw-sec";
	world_publish(&w);
	w.fail_install = APP;
	for (int i = 0; i < 2; i++) {
		assert_true(world_cycle(&w));
		if (w.result->summary.wants_reboot)
			world_reboot(&w, true);
	}
	assert_code(w.result->code, UPT_E_INSTALL);
	bundle_plan(&w, &plan);
	assert_string_equal(plan.members[0].ecu, "prim");
	assert_string_equal(plan.members[1].ecu, "sec");
	assert_string_equal(plan.members[2].ecu, "app");
	assert_int_equal(plan.state, UPT_PLAN_ROLLING_BACK);
	assert_true(w.result->summary.wants_reboot);
	world_reboot(&w, true);
	run_on(&w);
	bundle_assert_end(&w, 1, 2, UPT_PLAN_ROLLED_BACK, true);
	world_clear(&w);
}

static void
wishes_in_a_circle_install_nothing(void **state)
{
	struct world w;

	(void)state;
	bundle_set_up(&w);
	world_target(&w, "app-2")->after = "hw-prim";
	world_target(&w, "prim-2")->after = "hw-app";
	world_publish(&w);
	assert_true(world_cycle(&w));
	assert_code(w.result->code, UPT_E_MALFORMED);
	assert_string_equal(w.result->message,
		"installAfter goes in a circle: ECU prim after ECU app after ECU prim");
	bundle_assert_end(&w, 1, 1, UPT_PLAN_CONFIRMED, false);
	world_target(&w, "prim-2")->after = NULL;
	world_publish(&w);
	run_on(&w);
	bundle_assert_end(&w, 2, 2, UPT_PLAN_CONFIRMED, false);
	world_clear(&w);
}

/* All or nothing also at a person's word while it is under way. */
static void
a_person_who_takes_one_part_back_takes_all(void **state)
{
	struct world w;

	(void)state;
	bundle_set_up(&w);
	cycle(&w);
	assert_true(world_rollback(&w, "app"));
	assert_code(w.result->code, UPT_OK);
	run_on(&w);
	bundle_assert_end(&w, 1, 1, UPT_PLAN_ROLLED_BACK, true);
	world_clear(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_cannot_go_back_waits_until_the_rest_has_proved_itself),
		cmocka_unit_test(a_report_is_told_until_a_manifest_with_it_is_accepted),
		cmocka_unit_test(a_bundle_that_the_director_replaces_goes_back_unrefused),
		cmocka_unit_test(what_has_proved_itself_stays_when_the_director_replaces_the_rest),
		cmocka_unit_test(what_failed_for_want_of_something_is_tried_again),
		cmocka_unit_test(a_signed_wish_puts_what_cannot_go_back_earlier),
		cmocka_unit_test(wishes_in_a_circle_install_nothing),
		cmocka_unit_test(a_person_who_takes_one_part_back_takes_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
