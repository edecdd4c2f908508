/* A system that reboots, an application and a Secondary that are updated as one bundle. */
#include "world.h"

/* Release 1 runs everywhere; 2 is assigned, and not heard of yet. */
void bundle_set_up(struct world *w);
/*
 * Cycles, and reboots as uptaned asks for them, until there is nothing left to do. *cut_at: the
 * power goes before so many writes of all these processes, then *cut_at is 0; 0: never.
 */
void bundle_run_on(struct world *w, bool comes_up, int *cut_at);
/* Everything runs release n (of the Secondary n_sec), and the other is refused or not: slots,
 * files, reports and plan agree. */
void bundle_assert_end(struct world *w, int n, int n_sec, enum upt_plan_state state, bool refused);
void bundle_plan(struct world *w, struct upt_plan *out);
