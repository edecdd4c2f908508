/*
 * The power goes at each write of a bundle, in whichever process: it ends as it does without, all
 * new or all old, and slots, files, the last report and the plan say so.
 */
#include "bundle.h"

#define MAX_CUTS 400

/* Returns whether the power went; the vehicle then is where it belongs. */
typedef bool act(struct world *w, int n);

static void
cut_everywhere(act *act_once, int at_least)
{
	int n = 1;

	for (bool cut = true; cut && n < MAX_CUTS; n++) {
		struct world w;

		bundle_set_up(&w);
		cut = act_once(&w, n);
		world_clear(&w);
	}
	assert_in_range(n, at_least, MAX_CUTS - 1);
}

/* The Director heard of the bundle's end, once, and of nothing else. */
static void
assert_heard(struct world *w, const char *result)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};

	/* of release 1, and of 2; again when the power went before it was noted as told */
	assert_in_range(world_installation(w, &text), 2, 3);
	assert_non_null(strstr((const char *)text.data, "\"correlation_id\":\"urn:second\""));
	assert_non_null(strstr((const char *)text.data, result));
}

static bool
run(struct world *w, int n, bool comes_up)
{
	int cut_at = n;

	bundle_run_on(w, comes_up, &cut_at);
	return cut_at == 0;
}

static bool
success(struct world *w, int n)
{
	bool cut = run(w, n, true);

	bundle_assert_end(w, 2, 2, UPT_PLAN_CONFIRMED, false);
	assert_heard(w, "\"result\":{\"code\":\"OK\",\"description\":\"all installed\"");
	return cut;
}

static bool
application_fails(struct world *w, int n)
{
	bool cut;

	w->fail_install = APP;
	cut = run(w, n, true);
	bundle_assert_end(w, 1, 1, UPT_PLAN_ROLLED_BACK, true);
	assert_heard(w, "ECU app: installing app-2: ");
	return cut;
}

static bool
system_fails_its_trial(struct world *w, int n)
{
	bool cut;

	world_write(w, "sick", "");
	cut = run(w, n, true);
	bundle_assert_end(w, 1, 1, UPT_PLAN_ROLLED_BACK, true);
	assert_heard(w, "ECU prim: prim-2 booted and is rolled back: ");
	return cut;
}

static bool
system_does_not_boot(struct world *w, int n)
{
	bool cut = run(w, n, false);

	bundle_assert_end(w, 1, 1, UPT_PLAN_ROLLED_BACK, true);
	assert_heard(w, "ECU prim: prim-2 did not boot in 3 tries");
	return cut;
}

static bool
secondary_fails_last(struct world *w, int n)
{
	bool cut;

	w->sec_install = UPT_E_INSTALL;
	cut = run(w, n, true);
	bundle_assert_end(w, 1, 1, UPT_PLAN_ROLLED_BACK, true);
	assert_heard(w, "ECU sec: installing sec-2: ");
	return cut;
}

static void
a_bundle_is_installed_whenever_the_power_went(void **state)
{
	(void)state;
	cut_everywhere(success, 40);
}

static void
a_failing_application_leaves_all_old_whenever_the_power_went(void **state)
{
	(void)state;
	cut_everywhere(application_fails, 20);
}

static void
a_system_that_is_unwell_takes_the_application_back_whenever_the_power_went(void **state)
{
	(void)state;
	cut_everywhere(system_fails_its_trial, 60);
}

static void
a_system_that_does_not_boot_takes_the_application_back_whenever_the_power_went(void **state)
{
	(void)state;
	cut_everywhere(system_does_not_boot, 40);
}

static void
a_secondary_that_fails_last_takes_all_back_whenever_the_power_went(void **state)
{
	(void)state;
	cut_everywhere(secondary_fails_last, 60);
}

/* Each takes minutes: by the name given they run beside each other. */
int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bundle_is_installed_whenever_the_power_went),
		cmocka_unit_test(a_failing_application_leaves_all_old_whenever_the_power_went),
		cmocka_unit_test(
			a_system_that_is_unwell_takes_the_application_back_whenever_the_power_went),
		cmocka_unit_test(
			a_system_that_does_not_boot_takes_the_application_back_whenever_the_power_went),
		cmocka_unit_test(
			a_secondary_that_fails_last_takes_all_back_whenever_the_power_went),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
