#include <string.h>
#include "primary/internal.h"

void
upt_primary_resume(struct upt_primary *p)
{
	for (size_t i = 0; i < p->n_ecus; i++) {
		struct upt_ecu *ecu = &p->ecus[i];
		struct upt_err err = {0};

		if (ecu->resumed || ecu->installer == NULL || ecu->installer->ops->resume == NULL)
			continue;
		ecu->resumed = ecu->installer->ops->resume(ecu->installer, &err) == UPT_OK;
		if (!ecu->resumed)
			upt_log_err(p->log, UPT_LOG_WARNING, &err, "ECU %s: cannot be brought up",
				ecu->config->serial);
	}
}

enum upt_code
upt_primary_settle(struct upt_primary *p, struct upt_err *err)
{
	struct upt_plan_step next;
	bool went_back;

	UPT_TRY(upt_bundle_load(p, err));
	for (size_t i = 0; i < p->n_ecus; i++) {
		enum upt_code code = upt_ecu_settle(p, &p->ecus[i], &went_back, err);

		if (code != UPT_OK)
			return upt_wrap(err, code, "ECU %s", p->ecus[i].config->serial);
	}
	upt_primary_settle_boot(p);
	/* A look changes nothing that works. */
	return p->tries ? upt_bundle_carry_on(p, false, &next, err) : UPT_OK;
}

/* ---- installing what was prepared ---- */

/* What the slots must hold before the engine changes anything. */
static enum upt_code
note_intent(struct upt_primary *p, const struct upt_job *job, struct upt_err *err)
{
	const char *serial = job->ecu->config->serial;
	struct upt_image before;

	/* The factory's image becomes the PREVIOUS of the first update, so that it has a name to go
	 * back to. */
	UPT_TRY(upt_store_get_image(p->store, serial, UPT_SLOT_INSTALLED, &before, err));
	if (before.name[0] == '\0' && job->ecu->installed.name[0] != '\0')
		UPT_TRY(upt_store_set_image(
			p->store, serial, UPT_SLOT_INSTALLED, &job->ecu->installed, err));
	/* Another machine may do it and then not be heard: its next report is understood by this.
	 */
	if (job->ecu->installer == NULL)
		UPT_TRY(upt_store_set_image(
			p->store, serial, UPT_SLOT_PENDING, &job->image.image, err));
	return UPT_OK;
}

static enum upt_code
ask_engine(struct upt_primary *p, struct upt_job *job, bool *pending, struct upt_err *err)
{
	struct upt_install_job described = upt_job_describe(job);
	struct upt_link *link = job->ecu->link;
	upt_cleanup(upt_close_fd) int fd = -1;
	enum upt_code code;

	if (link->ops->needs_image(link)) {
		UPT_TRY(upt_images_open_verified(p->images, &job->image.image, &fd, err));
		described.image_fd = fd;
	}
	UPT_TRY(note_intent(p, job, err));
	p->changed = true;
	job->ecu->running_known = false;
	code = link->ops->install(link, &described, pending, err);
	job->installed = job->ecu->unnoted = code == UPT_OK;
	/* A Secondary's "no" is a fact; silence is not. */
	if (code != UPT_OK && code != UPT_E_NETWORK && code != UPT_E_CANCELLED &&
		job->ecu->installer == NULL) {
		struct upt_err ignored = {0};

		if (upt_store_clear_image(p->store, job->ecu->config->serial, UPT_SLOT_PENDING,
			    &ignored) != UPT_OK)
			upt_log_err(p->log, UPT_LOG_WARNING, &ignored, "ECU %s",
				job->ecu->config->serial);
	}
	return code;
}

static enum upt_code
install_job(struct upt_primary *p, struct upt_job *job, bool *pending, struct upt_err *err)
{
	const char *serial = job->ecu->config->serial;

	UPT_TRY(ask_engine(p, job, pending, err));
	UPT_TRY(upt_ecu_remember_vouchers(p, job, err));
	job->ecu->waits = *pending && job->ecu->installer != NULL;
	job->ecu->told = *pending && job->ecu->installer == NULL;
	if (*pending)
		UPT_TRY(upt_store_set_image(
			p->store, serial, UPT_SLOT_PENDING, &job->image.image, err));
	else
		UPT_TRY(upt_ecu_confirm(p, job->ecu, &job->image.image, err));
	job->ecu->unnoted = false;
	return UPT_OK;
}

/* ---- the bundle ---- */

static bool
is_cancelled(const struct upt_primary *p)
{
	return p->options.cancel != NULL && *p->options.cancel;
}

static enum upt_code
install_member(struct upt_primary *p, struct upt_job *job, size_t member, struct upt_err *err)
{
	const char *serial = job->ecu->config->serial, *name = job->image.image.name;
	struct upt_err failure = {0};
	bool pending = false;
	enum upt_code code;

	UPT_TRY(upt_bundle_install(p, member, err));
	upt_log(p->log, UPT_LOG_INFO, "ECU %s: installing %s", serial, name);
	code = install_job(p, job, &pending, &failure);
	if (code != UPT_OK) {
		(void)upt_wrap(&failure, code, "ECU %s: installing %s", serial, name);
		upt_bundle_fail(p, member, &failure);
		return upt_fail(err, code, "%s", failure.message);
	}
	upt_log(p->log, UPT_LOG_INFO, "ECU %s: %s %s", serial, name,
		pending ? "is installed and waits for a reboot" : "is installed");
	return UPT_OK;
}

/* Until something is to be waited for: a reboot, or an ECU that stopped answering. */
static enum upt_code
install_all(struct upt_primary *p, struct upt_err *err)
{
	struct upt_plan_step next;
	struct upt_job *job;

	for (;;) {
		UPT_TRY(upt_bundle_carry_on(p, false, &next, err));
		if (next.kind != UPT_STEP_INSTALL)
			return UPT_OK;
		job = upt_bundle_job(p, &p->plan.members[next.member]);
		if (job == NULL || !job->prepared || job->installed)
			return UPT_OK;
		UPT_TRY(install_member(p, job, next.member, err));
	}
}

/* What went back was not installed after all. */
static void
count_installed(struct upt_primary *p, struct upt_cycle_summary *summary)
{
	for (size_t i = 0; i < p->plan.n_members; i++) {
		const struct upt_plan_member *m = &p->plan.members[i];
		struct upt_job *job = upt_bundle_job(p, m);

		if (job == NULL || !job->installed)
			continue;
		job->installed = m->state == UPT_MEMBER_DONE || m->state == UPT_MEMBER_WAITING;
		summary->n_installed += job->installed;
	}
}

enum upt_code
upt_primary_install(struct upt_primary *p, struct upt_cycle_summary *summary, struct upt_err *err)
{
	enum upt_code code;

	/* Later than this the bundle is finished rather than left half done. */
	if (is_cancelled(p))
		return upt_fail(err, UPT_E_CANCELLED, "stopped before anything was installed");
	UPT_TRY(upt_bundle_begin(p, err));
	code = install_all(p, err);
	count_installed(p, summary);
	return code;
}

/* ---- at a person's word ---- */

static bool
waits_to_go_back(const struct upt_slots *s)
{
	if (s->pending.name[0] == '\0')
		return false;
	/* From what was confirmed, or from what was on trial. */
	return (upt_image_same(&s->pending, &s->previous) &&
		       upt_image_same(&s->refused, &s->installed)) ||
	       (upt_image_same(&s->pending, &s->installed) && s->refused.name[0] != '\0');
}

enum upt_code
upt_primary_rollback(
	struct upt_primary *p, const char *serial, bool *needs_reboot, struct upt_err *err)
{
	struct upt_ecu *ecu = serial == NULL ? &p->ecus[0] : NULL;
	struct upt_slots s;
	bool went_back;

	*needs_reboot = false;
	for (size_t i = 0; i < p->n_ecus && ecu == NULL; i++) {
		if (strcmp(p->ecus[i].config->serial, serial) == 0)
			ecu = &p->ecus[i];
	}
	if (ecu == NULL)
		return upt_fail(err, UPT_E_USAGE, "this vehicle has no ECU %s", serial);
	UPT_TRY(upt_ecu_settle(p, ecu, &went_back, err));
	UPT_TRY(upt_ecu_get_slots(p, ecu, &s, err));
	/* Asked for again, after a power cut say: it is done, or waits for the reboot. */
	if (went_back || waits_to_go_back(&s)) {
		*needs_reboot = s.pending.name[0] != '\0';
		return UPT_OK;
	}
	return upt_ecu_go_back(p, ecu, needs_reboot, err);
}
