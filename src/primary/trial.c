/*
 * Booted is not healthy: what comes up after a reboot is on trial. It is confirmed once it is well,
 * or left again; what did not come up at all, so that the boot loader went back, is recognised by
 * what runs instead. PENDING, REFUSED and a count of begun trials say in the store where all that
 * stands, so that a power cut at any moment only makes the next process look again.
 */
#include <string.h>
#include "installer/boot.h"
#include "installer/run.h"
#include "primary/internal.h"

#define REBOOT_TIMEOUT_MS 60000

static void
counter_name(const struct upt_ecu *ecu, char out[static UPT_ECU_SERIAL_MAX + 16])
{
	snprintf(out, UPT_ECU_SERIAL_MAX + 16, "trials:%s", ecu->config->serial);
}

static enum upt_code
set_trials(struct upt_primary *p, const struct upt_ecu *ecu, uint64_t n, struct upt_err *err)
{
	char name[UPT_ECU_SERIAL_MAX + 16];
	uint64_t stored;

	counter_name(ecu, name);
	UPT_TRY(upt_store_get_u64(p->store, name, 0, &stored, err));
	return stored != n ? upt_store_set_u64(p->store, name, n, err) : UPT_OK;
}

/* ---- it is well ---- */

/*
 * The boot loader is told first: when the power goes in between, the trial is held again, whereas a
 * loader that counts what the slots hold for confirmed would go back behind their backs.
 */
static enum upt_code
confirm_boot(struct upt_primary *p, struct upt_ecu *ecu, const struct upt_image *image,
	struct upt_err *err)
{
	const char *serial = ecu->config->serial;
	struct upt_err failure = {0};

	UPT_TRY(set_trials(p, ecu, 0, err));
	if (p->boot->ops->mark_good(p->boot, &failure) != UPT_OK) {
		upt_log_err(p->log, UPT_LOG_ERROR, &failure,
			"ECU %s: %s is not confirmed: the boot loader cannot be told", serial,
			image->name);
		upt_primary_record(p, serial, &failure);
		ecu->on_trial = true;
		return UPT_OK;
	}
	UPT_TRY(upt_ecu_confirm(p, ecu, image, err));
	upt_log(p->log, UPT_LOG_INFO, "ECU %s: runs %s", serial, image->name);
	return UPT_OK;
}

/* ---- it is not ---- */

/* REFUSED is written by upt_ecu_go_back() before anything else: from then on the way is back. */
static enum upt_code
leave(struct upt_primary *p, struct upt_ecu *ecu, const struct upt_slots *s,
	const struct upt_err *reason, struct upt_err *err)
{
	const char *serial = ecu->config->serial;
	struct upt_err incident = {0}, failure = {0};
	bool needs_reboot;
	enum upt_code code;

	upt_fail(&incident, UPT_E_INSTALL, "%s booted and is rolled back: %s", s->pending.name,
		reason->message);
	upt_log_err(p->log, UPT_LOG_ERROR, &incident, "ECU %s", serial);
	upt_primary_record(p, serial, &incident);
	code = upt_ecu_go_back(p, ecu, &needs_reboot, &failure);
	if (code == UPT_OK)
		return set_trials(p, ecu, 0, err);
	upt_log_err(p->log, UPT_LOG_ERROR, &failure, "ECU %s", serial);
	/* There is no other system. Left unconfirmed it could not be mended by an update, and a
	 * boot loader that counts would look for one in vain. */
	if (code == UPT_E_NOT_FOUND)
		return confirm_boot(p, ecu, &s->pending, err);
	ecu->on_trial = true;
	return UPT_OK;
}

static enum upt_code
check_applications(void *ctx, struct upt_err *err)
{
	struct upt_primary *p = ctx;

	for (size_t i = 0; i < p->n_ecus; i++) {
		struct upt_installer *installer = p->ecus[i].installer;
		enum upt_code code;

		if (installer == NULL || installer->ops->check == NULL)
			continue;
		code = installer->ops->check(installer, err);
		if (code != UPT_OK)
			return upt_wrap(err, code, "ECU %s", p->ecus[i].config->serial);
	}
	return UPT_OK;
}

/* A system in which uptaned itself does not live long enough to judge it is none to stay in. */
static enum upt_code
judge(struct upt_primary *p, uint64_t n_trials, struct upt_err *reason)
{
	struct upt_health health = p->config->trial.health;

	if (n_trials > p->config->trial.tries)
		return upt_fail(reason, UPT_E_INSTALL,
			"%llu trials were begun and none came to its end",
			(unsigned long long)n_trials - 1);
	health.also = check_applications;
	health.ctx = p;
	health.cancel = p->options.cancel;
	return upt_health_wait(&health, p->log, reason);
}

/* What ran before, and was gone back to: there is nothing better, so it stays as it is. */
bool
upt_slots_go_back(const struct upt_slots *s)
{
	return upt_image_same(&s->pending, &s->installed) ||
	       (upt_image_same(&s->pending, &s->previous) &&
		       upt_image_same(&s->refused, &s->installed));
}

static enum upt_code
hold_trial(
	struct upt_primary *p, struct upt_ecu *ecu, const struct upt_slots *s, struct upt_err *err)
{
	char name[UPT_ECU_SERIAL_MAX + 16];
	struct upt_err reason = {0};
	uint64_t n_trials;
	enum upt_code code;

	counter_name(ecu, name);
	UPT_TRY(upt_store_next_u64(p->store, name, &n_trials, err));
	upt_log(p->log, UPT_LOG_INFO, "ECU %s: %s has booted and is on trial", ecu->config->serial,
		s->pending.name);
	code = judge(p, n_trials, &reason);
	if (code == UPT_OK)
		return confirm_boot(p, ecu, &s->pending, err);
	if (code == UPT_E_INSTALL)
		return leave(p, ecu, s, &reason, err);
	/* Stopped, or no memory: held again, and not counted. */
	upt_log_err(p->log, UPT_LOG_WARNING, &reason, "ECU %s", ecu->config->serial);
	ecu->on_trial = true;
	return set_trials(p, ecu, n_trials - 1, err);
}

enum upt_code
upt_ecu_prove(struct upt_primary *p, struct upt_ecu *ecu, const struct upt_slots *s,
	bool *went_back, struct upt_err *err)
{
	if (upt_image_same(&s->refused, &s->pending))
		return upt_ecu_finish_going_back(p, ecu, went_back);
	if (upt_slots_go_back(s))
		return confirm_boot(p, ecu, &s->pending, err);
	if (p->tries)
		return hold_trial(p, ecu, s, err);
	ecu->on_trial = true;
	return UPT_OK;
}

/* ---- it did not come up ---- */

/* What the boot loader knows of it, in front of what the engine found. */
static void
describe_fallback(struct upt_primary *p, const struct upt_slots *s, struct upt_err *failure)
{
	struct upt_boot_state state;
	struct upt_err ignored = {0};

	if (p->boot->ops->look(p->boot, &state, &ignored) == UPT_OK && state.fell_back)
		upt_wrap(failure, failure->code,
			"%s did not boot in %llu tries, boot loader %s went back", s->pending.name,
			(unsigned long long)p->config->trial.tries, p->boot->ops->name);
	else
		upt_wrap(failure, failure->code, "%s did not boot", s->pending.name);
}

/* The slots when what runs is known: what was gone back from may have come up again. */
static enum upt_code
name_what_runs(
	struct upt_primary *p, struct upt_ecu *ecu, const struct upt_slots *s, struct upt_err *err)
{
	struct upt_image running;
	struct upt_err unknown = {0};

	if (s->refused.name[0] != '\0' && upt_ecu_running(ecu, &running, &unknown) == UPT_OK &&
		upt_image_same_content(&running, &s->refused) &&
		!upt_image_same(&s->refused, &s->pending))
		return upt_ecu_confirm(p, ecu, &s->refused, err);
	return upt_store_clear_image(p->store, ecu->config->serial, UPT_SLOT_PENDING, err);
}

enum upt_code
upt_ecu_give_up(struct upt_primary *p, struct upt_ecu *ecu, const struct upt_slots *s,
	struct upt_err *failure, struct upt_err *err)
{
	struct upt_installer *installer = ecu->installer;
	const char *serial = ecu->config->serial;
	struct upt_err ignored = {0};

	/* Refused first, so that the vehicle is not driven into the same wall again; a rollback
	 * that was under way is no news. */
	if (!upt_image_same(&s->refused, &s->pending)) {
		describe_fallback(p, s, failure);
		upt_log_err(p->log, UPT_LOG_ERROR, failure, "ECU %s", serial);
		upt_primary_record(p, serial, failure);
		UPT_TRY(upt_store_set_image(p->store, serial, UPT_SLOT_REFUSED, &s->pending, err));
	}
	p->changed = true;
	/* Until this is done PENDING stays, and it is done again. */
	if (installer->ops->stay != NULL && installer->ops->stay(installer, &ignored) != UPT_OK) {
		upt_log_err(p->log, UPT_LOG_ERROR, &ignored, "ECU %s", serial);
		return UPT_OK;
	}
	UPT_TRY(set_trials(p, ecu, 0, err));
	return name_what_runs(p, ecu, s, err);
}

/* ---- the boot loader and the reboot ---- */

void
upt_primary_settle_boot(struct upt_primary *p)
{
	struct upt_boot_state state = {0};
	struct upt_err err = {0};
	enum upt_code code;

	if (p->boot_settled)
		return;
	for (size_t i = 0; i < p->n_ecus; i++) {
		if (p->ecus[i].waits || p->ecus[i].on_trial)
			return;
	}
	/* Armed, and then the power went before anything else was done. */
	code = p->boot->ops->look(p->boot, &state, &err);
	if (code == UPT_OK && state.armed)
		code = p->boot->ops->mark_good(p->boot, &err);
	p->boot_settled = code == UPT_OK;
	if (code != UPT_OK)
		upt_log_err(p->log, UPT_LOG_WARNING, &err, "boot loader %s", p->boot->ops->name);
}

enum upt_code
upt_primary_reboot(struct upt_primary *p, struct upt_err *err)
{
	/* Not cancelled by a request to stop: that is what a reboot sends first. */
	const struct upt_run run = {.argv = p->config->trial.reboot_argv,
		.timeout_ms = REBOOT_TIMEOUT_MS,
		.max_bytes = 512};
	upt_cleanup(upt_buf_clear) struct upt_buf said = {0};
	enum upt_code code;
	bool open;

	if (run.argv == NULL) {
		upt_log(p->log, UPT_LOG_INFO,
			"a reboot is needed; no command for it is configured");
		return UPT_OK;
	}
	UPT_TRY(upt_primary_ask_gates(p, UPT_GATE_REBOOT, &open, err));
	if (!open)
		return UPT_OK;
	upt_log(p->log, UPT_LOG_INFO, "asking for the reboot: %s", run.argv[0]);
	code = upt_run(&run, &said, err);
	if (code == UPT_OK)
		return UPT_OK;
	return upt_wrap(err, code, "the reboot was asked for in vain (%.200s)",
		said.len > 0 ? (const char *)said.data : "nothing was said");
}
