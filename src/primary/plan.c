#include "primary/plan.h"

#include <stdlib.h>
#include <string.h>

bool
upt_plan_is_open(const struct upt_plan *plan)
{
	return plan->state == UPT_PLAN_PREPARED || plan->state == UPT_PLAN_INSTALLING ||
	       plan->state == UPT_PLAN_ON_TRIAL || plan->state == UPT_PLAN_ROLLING_BACK;
}

/* ---- what to do next ---- */

static struct upt_plan_step
step(enum upt_plan_step_kind kind, size_t member)
{
	return (struct upt_plan_step){.kind = kind, .member = member};
}

static bool
is_there(enum upt_plan_at at)
{
	return at == UPT_AT_NEW || at == UPT_AT_WAITS || at == UPT_AT_TRIAL;
}

/*
 * The Director has changed its mind. What has proved itself as far as it could be taken back stays:
 * going back would cost a reboot, and what comes next is an update like any other. Before that
 * nothing is confirmed, and the next bundle starts from what the vehicle was.
 */
static struct upt_plan_step
leave_to_the_next(const struct upt_plan *plan, const struct upt_plan_fact *facts)
{
	bool any = false, all = true;

	for (size_t i = 0; i < plan->n_members; i++) {
		/* It is judged first: taken away now, it would be tried again unjudged. */
		if (facts[i].at == UPT_AT_TRIAL)
			return step(UPT_STEP_WAIT, i);
		any = any || facts[i].at == UPT_AT_NEW;
		all = all && (facts[i].at == UPT_AT_NEW || !plan->members[i].reversible);
	}
	return step(any && all ? UPT_STEP_CONFIRM : UPT_STEP_WITHDRAW, 0);
}

static struct upt_plan_step
go_forward(const struct upt_plan *plan, const struct upt_plan_fact *facts)
{
	bool waits = false;

	for (size_t i = 0; i < plan->n_members; i++) {
		if (facts[i].at == UPT_AT_NEW)
			continue;
		if (facts[i].at == UPT_AT_OLD && !(plan->members[i].last && waits))
			return step(UPT_STEP_INSTALL, i);
		if (facts[i].at == UPT_AT_OLD)
			return step(UPT_STEP_WAIT, i);
		waits = true;
	}
	return step(waits ? UPT_STEP_WAIT : UPT_STEP_CONFIRM, 0);
}

/* The last one first; one that needs a reboot for it is waited for, so that no older application
 * meets the newer system. */
static struct upt_plan_step
go_back(const struct upt_plan *plan, const struct upt_plan_fact *facts)
{
	bool stuck = false;

	for (size_t i = plan->n_members; i > 0; i--) {
		const struct upt_plan_member *m = &plan->members[i - 1];

		if (facts[i - 1].at == UPT_AT_LEAVING)
			return step(UPT_STEP_WAIT, i - 1);
		stuck = stuck || (facts[i - 1].at == UPT_AT_STUCK && m->state != UPT_MEMBER_KEPT);
		if (m->reversible && m->state != UPT_MEMBER_KEPT && is_there(facts[i - 1].at))
			return step(UPT_STEP_GO_BACK, i - 1);
	}
	return step(stuck ? UPT_STEP_WAIT : UPT_STEP_END, 0);
}

struct upt_plan_step
upt_plan_next(const struct upt_plan *plan, const struct upt_plan_fact *facts, bool replaced)
{
	if (!upt_plan_is_open(plan))
		return step(UPT_STEP_NONE, 0);
	if (plan->state == UPT_PLAN_ROLLING_BACK)
		return go_back(plan, facts);
	for (size_t i = 0; i < plan->n_members; i++) {
		if (facts[i].refused || facts[i].at == UPT_AT_LEAVING)
			return step(UPT_STEP_GIVE_UP, i);
	}
	return replaced ? leave_to_the_next(plan, facts) : go_forward(plan, facts);
}

/* ---- the order ---- */

struct sorting {
	struct upt_plan *plan;
	const struct upt_plan_wish *wishes;
	size_t *n_open; /* members that still come before it */
	size_t *order;
	bool *placed;
	bool *is_awaited; /* another comes after it */
};

static bool
comes_after(const struct sorting *s, size_t member, size_t other)
{
	const struct upt_plan_wish *wish = &s->wishes[member];

	for (size_t i = 0; i < wish->n_after; i++) {
		if (strcmp(wish->after[i], s->wishes[other].hardware_id) == 0)
			return true;
	}
	return false;
}

static void
count_open(struct sorting *s)
{
	for (size_t i = 0; i < s->plan->n_members; i++) {
		for (size_t k = 0; k < s->plan->n_members; k++) {
			if (!comes_after(s, i, k))
				continue;
			s->n_open[i]++;
			s->is_awaited[k] = true;
		}
		s->plan->members[i].last = !s->plan->members[i].reversible || s->n_open[i] > 0;
	}
}

/* n_members: there is none, the rest goes in a circle. */
static size_t
find_next(const struct sorting *s)
{
	size_t n = s->plan->n_members, found = n;

	for (size_t i = 0; i < n; i++) {
		if (s->placed[i] || s->n_open[i] > 0)
			continue;
		if (s->plan->members[i].reversible)
			return i;
		if (found == n || (s->is_awaited[i] && !s->is_awaited[found]))
			found = i;
	}
	return found;
}

static size_t
next_in_circle(const struct sorting *s, size_t member)
{
	size_t i = 0;

	while (s->placed[i] || !comes_after(s, member, i))
		i++;
	return i;
}

/* From any member that is not placed the way leads into a circle. */
static enum upt_code
fail_circle(const struct sorting *s, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	size_t at = 0, start;

	while (s->placed[at])
		at++;
	for (size_t i = 0; i < s->plan->n_members; i++)
		at = next_in_circle(s, at);
	start = at;
	do {
		at = next_in_circle(s, at);
		UPT_TRY(upt_buf_printf(&text, err, " after ECU %s", s->plan->members[at].ecu));
	} while (at != start && text.len < UPT_ERR_MESSAGE_MAX);
	return upt_fail(err, UPT_E_MALFORMED, "installAfter goes in a circle: ECU %s%s",
		s->plan->members[start].ecu, (const char *)text.data);
}

static enum upt_code
sort(struct sorting *s, struct upt_err *err)
{
	size_t n = s->plan->n_members;

	count_open(s);
	for (size_t at = 0; at < n; at++) {
		size_t next = find_next(s);

		if (next == n)
			return fail_circle(s, err);
		s->order[at] = next;
		s->placed[next] = true;
		for (size_t i = 0; i < n; i++)
			s->n_open[i] -= !s->placed[i] && comes_after(s, i, next);
	}
	return UPT_OK;
}

enum upt_code
upt_plan_order(struct upt_plan *plan, const struct upt_plan_wish *wishes, struct upt_err *err)
{
	size_t n = plan->n_members;
	upt_cleanup(upt_free_ptr) size_t *n_open = calloc(n + 1, sizeof(*n_open));
	upt_cleanup(upt_free_ptr) size_t *order = calloc(n + 1, sizeof(*order));
	upt_cleanup(upt_free_ptr) bool *placed = calloc(2 * n + 1, sizeof(*placed));
	struct upt_plan_member *members = calloc(n + 1, sizeof(*members));
	struct sorting s = {
		plan, wishes, n_open, order, placed, placed != NULL ? placed + n : NULL};
	enum upt_code code = UPT_E_NO_MEMORY;

	if (n_open != NULL && order != NULL && placed != NULL && members != NULL)
		code = sort(&s, err);
	else
		(void)upt_fail(err, code, "no memory for the order of %zu ECUs", n);
	if (code != UPT_OK) {
		free(members);
		return code;
	}
	for (size_t i = 0; i < n; i++)
		members[i] = plan->members[order[i]];
	free(plan->members);
	plan->members = members;
	return UPT_OK;
}

/* ---- in words ---- */

const char *
upt_plan_state_text(enum upt_plan_state state)
{
	switch (state) {
	case UPT_PLAN_NONE:
		return "none yet";
	case UPT_PLAN_PREPARED:
		return "prepared";
	case UPT_PLAN_INSTALLING:
		return "being installed";
	case UPT_PLAN_ON_TRIAL:
		return "installed, waits for a reboot or is on trial";
	case UPT_PLAN_CONFIRMED:
		return "confirmed";
	case UPT_PLAN_ROLLING_BACK:
		return "being rolled back";
	case UPT_PLAN_ROLLED_BACK:
		return "rolled back";
	}
	return "";
}

const char *
upt_member_state_text(enum upt_member_state state)
{
	switch (state) {
	case UPT_MEMBER_TO_DO:
		return "not installed yet";
	case UPT_MEMBER_INSTALLING:
		return "being installed";
	case UPT_MEMBER_WAITING:
		return "waits for a reboot or is on trial";
	case UPT_MEMBER_DONE:
		return "installed";
	case UPT_MEMBER_FAILED:
		return "failed";
	case UPT_MEMBER_GOING_BACK:
		return "goes back at the next reboot";
	case UPT_MEMBER_BACK:
		return "back";
	case UPT_MEMBER_KEPT:
		return "cannot go back";
	case UPT_MEMBER_LEFT:
		return "not wanted any more";
	}
	return "";
}
