/* What comes next for a bundle, over all states: pure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "primary/plan.h"

/*
 * Members: 'r' can go back, 'x' cannot, 'd' can and comes last; a capital: it is KEPT.
 * Facts: 'o' old, 'n' new, 'w' waits, 't' on trial, 'l' leaving, 's' stuck; a capital: refused.
 */
struct row {
	enum upt_plan_state state;
	const char *members, *facts;
	bool replaced;
	enum upt_plan_step_kind kind;
	size_t member;
};

#define ENDED(s)                                                                                   \
	{s, "rr", "oo", false, UPT_STEP_NONE, 0}, {s, "rr", "nN", true, UPT_STEP_NONE, 0},         \
	{                                                                                          \
		s, "rrx", "twl", false, UPT_STEP_NONE, 0                                           \
	}
/* The three states before the end differ for people; what comes next follows from the facts. */
#define FORWARD(s)                                                                                 \
	/* the first that is not there yet */                                                      \
	{s, "rrx", "ooo", false, UPT_STEP_INSTALL, 0},                                             \
		{s, "rrx", "noo", false, UPT_STEP_INSTALL, 1},                                     \
		{s, "rrr", "wno", false, UPT_STEP_INSTALL, 2}, /* does not wait for a reboot */    \
		{s, "rrx", "nno", false, UPT_STEP_INSTALL, 2},                                     \
		/* what cannot go back waits for all before it */                                  \
		{s, "rrx", "nwo", false, UPT_STEP_WAIT, 2},                                        \
		{s, "rrx", "nto", false, UPT_STEP_WAIT, 2},                                        \
		{s, "rdx", "woo", false, UPT_STEP_WAIT, 1},                                        \
		{s, "xrr", "ooo", false, UPT_STEP_INSTALL, 0}, /* forced before the others */      \
		{s, "xrr", "woo", false, UPT_STEP_INSTALL, 1},                                     \
		/* all are there */                                                                \
		{s, "rr", "nw", false, UPT_STEP_WAIT, 0}, {s, "rr", "nt", false, UPT_STEP_WAIT, 0},\
		{s, "rx", "nw", false, UPT_STEP_WAIT, 0},                                          \
		{s, "rrx", "nnn", false, UPT_STEP_CONFIRM, 0},                                     \
		/* one has failed, wherever the others are */                                      \
		{s, "rr", "nO", false, UPT_STEP_GIVE_UP, 1},                                       \
		{s, "rr", "Ow", false, UPT_STEP_GIVE_UP, 0},                                       \
		{s, "rr", "nL", false, UPT_STEP_GIVE_UP, 1},                                       \
		{s, "rr", "nl", false, UPT_STEP_GIVE_UP, 1},                                       \
		{s, "rr", "nT", false, UPT_STEP_GIVE_UP, 1},                                       \
		{s, "rr", "Nn", false, UPT_STEP_GIVE_UP, 0},                                       \
		/* also when the Director wants something else: what failed is refused */          \
		{s, "rr", "nO", true, UPT_STEP_GIVE_UP, 1},                                        \
		/* it does: nothing is confirmed yet ... */                                        \
		{s, "rr", "oo", true, UPT_STEP_WITHDRAW, 0},                                       \
		{s, "rr", "no", true, UPT_STEP_WITHDRAW, 0},                                       \
		{s, "rr", "nw", true, UPT_STEP_WITHDRAW, 0},                                       \
		{s, "xr", "no", true, UPT_STEP_WITHDRAW, 0},                                       \
		{s, "x", "o", true, UPT_STEP_WITHDRAW, 0},                                         \
		{s, "rx", "on", true, UPT_STEP_WITHDRAW, 0},                                       \
		/* ... or it proves itself just now, or has ... */                                 \
		{s, "rr", "nt", true, UPT_STEP_WAIT, 1},                                           \
		{s, "rr", "nn", true, UPT_STEP_CONFIRM, 0},                                        \
		{s, "rx", "no", true, UPT_STEP_CONFIRM, 0},                                        \
	{                                                                                          \
		s, "xx", "no", true, UPT_STEP_CONFIRM, 0                                           \
	}

static const struct row rows[] = {
	ENDED(UPT_PLAN_NONE), ENDED(UPT_PLAN_CONFIRMED), ENDED(UPT_PLAN_ROLLED_BACK),
	FORWARD(UPT_PLAN_PREPARED), FORWARD(UPT_PLAN_INSTALLING), FORWARD(UPT_PLAN_ON_TRIAL),
	/* the last one first */
	{UPT_PLAN_ROLLING_BACK, "rrr", "nnn", false, UPT_STEP_GO_BACK, 2},
	{UPT_PLAN_ROLLING_BACK, "rrr", "nno", false, UPT_STEP_GO_BACK, 1},
	{UPT_PLAN_ROLLING_BACK, "rrr", "nwO", false, UPT_STEP_GO_BACK, 1},
	{UPT_PLAN_ROLLING_BACK, "rrr", "ntO", false, UPT_STEP_GO_BACK, 1},
	{UPT_PLAN_ROLLING_BACK, "rrr", "NOO", false, UPT_STEP_GO_BACK, 0},
	/* one that needs a reboot for it before those that were there first */
	{UPT_PLAN_ROLLING_BACK, "rr", "nl", false, UPT_STEP_WAIT, 1},
	{UPT_PLAN_ROLLING_BACK, "rr", "nL", false, UPT_STEP_WAIT, 1},
	{UPT_PLAN_ROLLING_BACK, "rr", "ln", false, UPT_STEP_GO_BACK, 1},
	/* what cannot, and what could not just now, keeps nobody else */
	{UPT_PLAN_ROLLING_BACK, "rrx", "nnn", false, UPT_STEP_GO_BACK, 1},
	{UPT_PLAN_ROLLING_BACK, "rR", "nn", false, UPT_STEP_GO_BACK, 0},
	{UPT_PLAN_ROLLING_BACK, "rr", "ns", false, UPT_STEP_GO_BACK, 0},
	{UPT_PLAN_ROLLING_BACK, "rr", "os", false, UPT_STEP_WAIT, 0},
	{UPT_PLAN_ROLLING_BACK, "rR", "os", false, UPT_STEP_END, 0},
	{UPT_PLAN_ROLLING_BACK, "rR", "on", false, UPT_STEP_END, 0},
	{UPT_PLAN_ROLLING_BACK, "rx", "on", false, UPT_STEP_END, 0},
	{UPT_PLAN_ROLLING_BACK, "rr", "OO", true, UPT_STEP_END, 0},
	{UPT_PLAN_ROLLING_BACK, "rr", "oo", false, UPT_STEP_END, 0},
};

static void
fill(const struct row *row, struct upt_plan *plan, struct upt_plan_fact *facts)
{
	static const char letters[] = "onwtls";

	*plan = (struct upt_plan){.state = row->state, .n_members = strlen(row->members)};
	plan->members = calloc(plan->n_members, sizeof(*plan->members));
	assert_non_null(plan->members);
	for (size_t i = 0; i < plan->n_members; i++) {
		char member = row->members[i], fact = row->facts[i];

		plan->members[i].reversible = (member | 0x20) != 'x';
		plan->members[i].last = (member | 0x20) != 'r';
		if (member < 'a')
			plan->members[i].state = UPT_MEMBER_KEPT;
		facts[i].at = (enum upt_plan_at)(strchr(letters, fact | 0x20) - letters);
		facts[i].refused = fact < 'a';
	}
}

static void
what_comes_next_follows_from_plan_and_facts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		upt_cleanup(upt_plan_clear) struct upt_plan plan = {0};
		const struct row *row = &rows[i];
		struct upt_plan_fact facts[8];
		struct upt_plan_step next;

		fill(row, &plan, facts);
		next = upt_plan_next(&plan, facts, row->replaced);
		if (next.kind != row->kind || next.member != row->member)
			fail_msg("state %d, %s at %s, replaced %d: step %d of %zu, not %d of %zu",
				row->state, row->members, row->facts, row->replaced, next.kind,
				next.member, row->kind, row->member);
	}
}

/*
 * Whatever engines and reboots do, every plan ends: each step is done, or its engine fails, and
 * what waits comes up or does not. Never is an irreversible one installed while something before it
 * is not confirmed.
 */
static void
act(struct upt_plan *plan, struct upt_plan_fact *facts, struct upt_plan_step next, unsigned dice)
{
	struct upt_plan_member *m = &plan->members[next.member];
	struct upt_plan_fact *fact = &facts[next.member];

	switch (next.kind) {
	case UPT_STEP_INSTALL:
		for (size_t i = 0; i < next.member; i++)
			assert_true(!m->last || facts[i].at == UPT_AT_NEW);
		if (dice % 5 == 0)
			plan->state = UPT_PLAN_ROLLING_BACK;
		else
			fact->at = dice % 2 == 0 ? UPT_AT_NEW : UPT_AT_WAITS;
		break;
	case UPT_STEP_WAIT: /* the reboot */
		for (size_t i = 0; i < plan->n_members; i++) {
			fact = &facts[i];
			if (fact->at == UPT_AT_LEAVING)
				fact->at = UPT_AT_OLD;
			else if (fact->at == UPT_AT_STUCK)
				fact->at = UPT_AT_NEW;
			else if (fact->at == UPT_AT_WAITS || fact->at == UPT_AT_TRIAL)
				*fact = dice % 3 == 0 ? (struct upt_plan_fact){UPT_AT_OLD, true}
						      : (struct upt_plan_fact){UPT_AT_NEW, false};
		}
		break;
	case UPT_STEP_GO_BACK:
		assert_true(m->reversible);
		m->n_tries++;
		if (dice % 4 != 0)
			fact->at = dice % 2 == 0 ? UPT_AT_OLD : UPT_AT_LEAVING;
		else if (m->n_tries < 3)
			fact->at = UPT_AT_STUCK;
		else
			m->state = UPT_MEMBER_KEPT;
		break;
	case UPT_STEP_GIVE_UP:
	case UPT_STEP_WITHDRAW:
		plan->state = UPT_PLAN_ROLLING_BACK;
		break;
	case UPT_STEP_CONFIRM:
		plan->state = UPT_PLAN_CONFIRMED;
		break;
	case UPT_STEP_END:
		plan->state = UPT_PLAN_ROLLED_BACK;
		break;
	case UPT_STEP_NONE:
		fail();
	}
}

static void
every_plan_comes_to_one_consistent_end(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		upt_cleanup(upt_plan_clear) struct upt_plan plan = {0};
		struct row row = {UPT_PLAN_PREPARED, "rrdx", "oooo", false, UPT_STEP_NONE, 0};
		struct upt_plan_fact facts[8];
		bool kept = false;
		int n_steps = 0;

		fill(&row, &plan, facts);
		while (upt_plan_is_open(&plan)) {
			bool replaced = (seed = seed * 1664525 + 1013904223) >> 8 < 100000;

			act(&plan, facts, upt_plan_next(&plan, facts, replaced), seed >> 16);
			assert_true(++n_steps < 60);
			kept = kept || replaced;
		}
		for (size_t i = 0; i < plan.n_members; i++)
			kept = kept || plan.members[i].state == UPT_MEMBER_KEPT;
		for (size_t i = 0; i < plan.n_members && !kept; i++)
			assert_int_equal(facts[i].at, plan.state == UPT_PLAN_CONFIRMED
							      ? UPT_AT_NEW
							      : UPT_AT_OLD);
	}
}

/* ---- the order ---- */

/* Members "r" and "x" by ECU and hardware names of one letter; after[i]: letters. */
static enum upt_code
order(const char *kinds, const char *const *after, char out[static 16], struct upt_err *err)
{
	upt_cleanup(upt_plan_clear) struct upt_plan plan = {.n_members = strlen(kinds)};
	struct upt_plan_wish wishes[8] = {0};
	static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
	const char *lists[8][8] = {{0}};
	enum upt_code code;

	plan.members = calloc(plan.n_members, sizeof(*plan.members));
	assert_non_null(plan.members);
	for (size_t i = 0; i < plan.n_members; i++) {
		snprintf(plan.members[i].ecu, 2, "%s", names[i]);
		plan.members[i].reversible = kinds[i] == 'r';
		wishes[i].hardware_id = names[i];
		wishes[i].after = lists[i];
		for (const char *at = after[i]; *at != '\0'; at++)
			lists[i][wishes[i].n_after++] = names[*at - 'a'];
	}
	code = upt_plan_order(&plan, wishes, err);
	memset(out, 0, 16);
	for (size_t i = 0; i < plan.n_members; i++) {
		out[strlen(out)] = plan.members[i].ecu[0];
		if (plan.members[i].last)
			out[strlen(out)] = '!';
	}
	return code;
}

static void
signed_wishes_change_the_order_and_nothing_else_does(void **state)
{
	static const struct {
		const char *kinds, *after[8], *order;
	} cases[] = {
		{"rrr", {"", "", ""}, "abc"},
		{"xrr", {"", "", ""}, "bca!"}, /* what cannot go back is last */
		{"xxr", {"", "", ""}, "ca!b!"},
		{"rrr", {"c", "", ""}, "bca!"},
		{"rrr", {"b", "c", ""}, "cb!a!"},
		{"rrr", {"bc", "", ""}, "bca!"},
		{"rrr", {"h", "", ""}, "abc"}, /* of another bundle: without effect */
		{"xrr", {"", "a", ""}, "ca!b!"}, /* forced earlier, and no earlier than that */
		{"xxr", {"", "", "b"}, "b!c!a!"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct upt_err err = {0};
		char got[16];

		assert_int_equal(order(cases[i].kinds, cases[i].after, got, &err), UPT_OK);
		assert_string_equal(got, cases[i].order);
	}
}

static void
a_circle_is_refused_by_name(void **state)
{
	const char *after[] = {"", "c", "d", "b"}, *own[] = {"a"};
	struct upt_err err = {0};
	char got[16];

	(void)state;
	assert_int_equal(order("rrrr", after, got, &err), UPT_E_MALFORMED);
	assert_non_null(strstr(err.message, "ECU c after ECU d after ECU b after ECU c"));
	assert_memory_equal(got, "a", 1);
	assert_int_equal(order("r", own, got, &err), UPT_E_MALFORMED);
	assert_string_equal(err.message, "installAfter goes in a circle: ECU a after ECU a");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_comes_next_follows_from_plan_and_facts),
		cmocka_unit_test(every_plan_comes_to_one_consistent_end),
		cmocka_unit_test(signed_wishes_change_the_order_and_nothing_else_does),
		cmocka_unit_test(a_circle_is_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
