#include "bundle.h"

#include <stdio.h>

#include "vehicle.h"

static const char *const names[N_ECUS] = {"prim", "app", "sec"};

static void
release_and_assign(struct world *w, int n)
{
	for (int ecu = 0; ecu < N_ECUS; ecu++) {
		char name[16], hardware[16];
		struct world_target *t;

		snprintf(name, sizeof(name), "%s-%d", names[ecu], n);
		snprintf(hardware, sizeof(hardware), "hw-%s", names[ecu]);
		t = world_release(w, name, hardware, (uint64_t)n);
		t->hardware = ecu == PRIM ? "hw-prim" : ecu == APP ? "hw-app" : "hw-sec";
		world_assign(w, (enum world_ecu)ecu, name);
	}
}

void
bundle_set_up(struct world *w)
{
	world_init(w);
	w->many = w->reboots = w->counts = w->has_sec = true;
	world_add_check(w);
	release_and_assign(w, 1);
	vehicle_flash(w, &world_target(w, "prim-1")->image);
	w->correlation_id = "urn:first";
	world_publish(w);
	assert_true(world_cycle(w));
	assert_string_equal(w->result->message, "");
	assert_true(world_cycle(w));
	release_and_assign(w, 2);
	w->correlation_id = "urn:second";
	world_publish(w);
}

void
bundle_plan(struct world *w, struct upt_plan *out)
{
	upt_cleanup(upt_store_close) struct upt_store *store = world_store(w);

	assert_ok(upt_store_load_plan(store, out, why));
}

static bool
is_quiet(struct world *w)
{
	upt_cleanup(upt_plan_clear) struct upt_plan plan = {0};
	const struct upt_cycle_summary *s = &w->result->summary;

	if (w->result->code != UPT_OK || s->n_wanted > 0 || s->wants_reboot)
		return false;
	bundle_plan(w, &plan);
	return !upt_plan_is_open(&plan) && !plan.reports;
}

void
bundle_run_on(struct world *w, bool comes_up, int *cut_at)
{
	for (int i = 0; i < 14; i++) {
		int at = *cut_at;

		w->kill_at = at;
		if (!world_cycle(w)) {
			*cut_at = 0;
			/* a machine without power, or a service that is started again */
			if (at % 2 == 0)
				world_reboot(w, comes_up);
			continue;
		}
		*cut_at -= at > 0 ? w->result->n_writes : 0;
		if (is_quiet(w))
			return;
		if (w->result->summary.wants_reboot)
			world_reboot(w, comes_up);
	}
	fail_msg("after 14 cycles still at work: %s", w->result->message);
}

static void
assert_ecu(struct world *w, enum world_ecu ecu, int n, bool refused)
{
	struct upt_ecu_report report;
	char now[16], other[16];

	snprintf(now, sizeof(now), "%s-%d", names[ecu], n);
	snprintf(other, sizeof(other), "%s-%d", names[ecu], 3 - n);
	assert_string_equal(world_slot(w, ecu, UPT_SLOT_INSTALLED), now);
	assert_string_equal(world_slot(w, ecu, UPT_SLOT_PENDING), "");
	assert_string_equal(world_slot(w, ecu, UPT_SLOT_REFUSED), refused ? other : "");
	assert_true(world_reported(w, names[ecu], &report));
	assert_string_equal(report.installed.name, now);
	if (ecu == APP)
		assert_true(world_runs(w, APP, now));
	if (ecu == SEC) {
		upt_cleanup(upt_buf_clear) struct upt_buf flash = {0};

		world_file(w, "sec", &flash);
		assert_string_equal((const char *)flash.data, now);
	}
}

void
bundle_assert_end(struct world *w, int n, int n_sec, enum upt_plan_state state, bool refused)
{
	upt_cleanup(upt_plan_clear) struct upt_plan plan = {0};
	char counter[17];

	assert_ecu(w, PRIM, n, refused);
	assert_ecu(w, APP, n, refused);
	assert_ecu(w, SEC, n_sec, refused && n_sec == n);
	vehicle_grubenv(w, "boot_counter", counter);
	assert_string_equal(counter, "");
	bundle_plan(w, &plan);
	assert_int_equal(plan.state, state);
	assert_false(plan.reports);
}
