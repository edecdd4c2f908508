/* The minimum speed, with an injected clock. Everywhere: 100 bytes a second over 10 s. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "transport/speed.h"

#define T0 ((uint64_t)123456)

static void
start(struct upt_speed *s)
{
	upt_speed_start(s, T0, 100, 10);
}

/* n bytes every second for duration seconds from *now; false as soon as it is slow. */
static bool
run(struct upt_speed *s, uint64_t *now, uint64_t n, unsigned duration_s)
{
	for (unsigned i = 0; i < duration_s; i++) {
		*now += 1000;
		upt_speed_add(s, *now, n);
		if (upt_speed_is_slow(s, *now))
			return false;
	}
	return true;
}

static void
enough_is_never_slow(void **state)
{
	struct upt_speed s;
	uint64_t now = T0;

	(void)state;
	start(&s);
	upt_speed_add(&s, now, 100);
	assert_true(run(&s, &now, 100, 1000));
}

static void
a_little_less_is_slow_after_one_window(void **state)
{
	struct upt_speed s;
	uint64_t now = T0;

	(void)state;
	start(&s);
	assert_true(run(&s, &now, 99, 9));
	assert_false(run(&s, &now, 99, 2));
}

static void
first_window_is_not_judged_before_its_end(void **state)
{
	struct upt_speed s;

	(void)state;
	start(&s);
	for (uint64_t t = 1; t < 10; t++)
		assert_false(upt_speed_is_slow(&s, T0 + t * 1000));
	assert_true(upt_speed_is_slow(&s, T0 + 10000));
}

static void
fast_start_does_not_pay_for_a_slow_rest(void **state)
{
	struct upt_speed s;
	uint64_t now = T0;

	(void)state;
	start(&s);
	upt_speed_add(&s, now, 100000000);
	assert_true(run(&s, &now, 1, 9));
	assert_false(run(&s, &now, 1, 3));
}

static void
burst_each_window_must_carry_the_window(void **state)
{
	struct upt_speed s;
	uint64_t now = T0;
	bool fine = true;

	(void)state;
	start(&s);
	for (int i = 0; i < 20 && fine; i++) {
		upt_speed_add(&s, now, 1000);
		fine = run(&s, &now, 0, 10);
	}
	assert_true(fine);
	start(&s);
	now = T0;
	for (int i = 0; i < 20 && fine; i++) {
		upt_speed_add(&s, now, 999);
		fine = run(&s, &now, 0, 10);
	}
	assert_false(fine);
}

static void
slow_stays_slow(void **state)
{
	struct upt_speed s;
	uint64_t now = T0;

	(void)state;
	start(&s);
	assert_false(run(&s, &now, 1, 11));
	upt_speed_add(&s, now, 1000000);
	assert_true(upt_speed_is_slow(&s, now));
}

static void
our_own_pause_is_not_the_servers(void **state)
{
	struct upt_speed s;
	uint64_t now = T0;

	(void)state;
	/* A stopped process: one long gap counts as at most two seconds. */
	start(&s);
	assert_true(run(&s, &now, 200, 5));
	now += 3600000;
	assert_true(run(&s, &now, 150, 100));
	/* A slow receiver: its time does not count at all. */
	start(&s);
	now = T0;
	for (int i = 0; i < 100; i++) {
		now += 100;
		upt_speed_add(&s, now, 11);
		now += 1900;
		upt_speed_skip(&s, now);
		assert_false(upt_speed_is_slow(&s, now));
	}
}

static void
clock_that_steps_back_harms_nothing(void **state)
{
	struct upt_speed s;

	(void)state;
	start(&s);
	assert_false(upt_speed_is_slow(&s, T0 - 1000));
	assert_false(upt_speed_is_slow(&s, T0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(enough_is_never_slow),
		cmocka_unit_test(a_little_less_is_slow_after_one_window),
		cmocka_unit_test(first_window_is_not_judged_before_its_end),
		cmocka_unit_test(fast_start_does_not_pay_for_a_slow_rest),
		cmocka_unit_test(burst_each_window_must_carry_the_window),
		cmocka_unit_test(slow_stays_slow),
		cmocka_unit_test(our_own_pause_is_not_the_servers),
		cmocka_unit_test(clock_that_steps_back_harms_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
