/*
 * What to do next for a bundle, from its written plan and from what runs. Pure: the same answer
 * after any crash. docs/architecture.md draws the states. Thread-safety: no state.
 */
#ifndef UPT_PRIMARY_PLAN_H
#define UPT_PRIMARY_PLAN_H

#include "storage/store.h"

/* Where a member's ECU stands, by the slots once they are brought to the engine's word. */
enum upt_plan_at {
	UPT_AT_OLD = 0, /* what ran before, or anything else than the member's image */
	UPT_AT_NEW, /* the image runs and is confirmed */
	UPT_AT_WAITS, /* the image comes with the next reboot */
	UPT_AT_TRIAL, /* it has booted and is not confirmed */
	UPT_AT_LEAVING, /* it is left at the next reboot */
	UPT_AT_STUCK, /* it runs, and its engine has just failed to go back */
};

struct upt_plan_fact {
	enum upt_plan_at at;
	bool refused; /* given up: by its trial, by the boot loader, by a person */
};

enum upt_plan_step_kind {
	UPT_STEP_NONE = 0, /* the plan is at its end */
	UPT_STEP_INSTALL, /* member */
	UPT_STEP_WAIT, /* for a reboot, a trial, or an engine that works again */
	UPT_STEP_CONFIRM, /* what is not installed is LEFT */
	UPT_STEP_GIVE_UP, /* member failed: roll back for good */
	UPT_STEP_WITHDRAW, /* roll back; it may come again */
	UPT_STEP_GO_BACK, /* member */
	UPT_STEP_END, /* rolled back as far as can be */
};

struct upt_plan_step {
	enum upt_plan_step_kind kind;
	size_t member;
};

/* facts[i] of plan->members[i]. replaced: the Director wants something else of a member by now. */
struct upt_plan_step
upt_plan_next(const struct upt_plan *plan, const struct upt_plan_fact *facts, bool replaced);

bool upt_plan_is_open(const struct upt_plan *plan);

/* What the signed metadata says of a member's place. Borrowed. */
struct upt_plan_wish {
	const char *hardware_id; /* of its ECU */
	size_t n_after;
	const char *const *after; /* hardware ids whose members come before it */
};

/*
 * Puts the members, which come in the default order, in the order of installation, wishes[i] being
 * members[i]'s; fills in last. Of those whose wishes are met the first that can go back is next,
 * and one that cannot only when there is no other; of these the first that another comes after.
 * UPT_E_MALFORMED naming the ECUs of a circle, the
 * order then is as before; UPT_E_NO_MEMORY.
 */
UPT_NODISCARD enum upt_code
upt_plan_order(struct upt_plan *plan, const struct upt_plan_wish *wishes, struct upt_err *err);

/* In words, for people: "waits for a reboot". */
const char *upt_plan_state_text(enum upt_plan_state state);
const char *upt_member_state_text(enum upt_member_state state);

#endif
