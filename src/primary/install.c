#include <string.h>
#include "primary/internal.h"

/* ---- what a reboot or a crash left half done ---- */

static enum upt_code
finalize_ecu(struct upt_primary *p, struct upt_ecu *ecu, const struct upt_image *pending, struct upt_err *err)
{
	const char *serial = ecu->config->serial;
	struct upt_err failure = {0};
	bool done = false;
	enum upt_code code = ecu->installer->ops->finalize(ecu->installer, pending, &done, &failure);

	if (code == UPT_OK && !done) {
		upt_log(p->log, UPT_LOG_INFO, "ECU %s: %s waits for a reboot", serial, pending->name);
		return UPT_OK;
	}
	if (code == UPT_OK) {
		UPT_TRY(upt_store_confirm_image(p->store, serial, pending, err));
		upt_log(p->log, UPT_LOG_INFO, "ECU %s: runs %s", serial, pending->name);
		return UPT_OK;
	}
	if (code != UPT_E_INSTALL)
		return upt_fail(err, code, "%s", failure.message);
	/* Something else came up: say so, and do not drive the vehicle into the same wall again. */
	upt_log_err(p->log, UPT_LOG_ERROR, &failure, "ECU %s", serial);
	upt_primary_record(p, serial, &failure);
	UPT_TRY(upt_store_set_image(p->store, serial, UPT_SLOT_REFUSED, pending, err));
	return upt_store_clear_image(p->store, serial, UPT_SLOT_PENDING, err);
}

/* Once in a process: an update that a crash cut short is finished or undone, and an application that shall run
 * and does not, as after a reboot, is started. A failure leaves the other ECUs updatable. */
static void
resume_ecu(struct upt_primary *p, struct upt_ecu *ecu)
{
	struct upt_err failure = {0};

	if (ecu->resumed || ecu->installer->ops->resume == NULL)
		return;
	ecu->resumed = ecu->installer->ops->resume(ecu->installer, &failure) == UPT_OK;
	if (!ecu->resumed)
		upt_log_err(p->log, UPT_LOG_WARNING, &failure, "ECU %s: cannot be brought up",
			ecu->config->serial);
}

enum upt_code
upt_primary_finalize(struct upt_primary *p, struct upt_err *err)
{
	for (size_t i = 0; i < p->n_ecus; i++) {
		struct upt_ecu *ecu = &p->ecus[i];
		struct upt_image pending;
		enum upt_code code;

		if (ecu->installer == NULL)
			continue;
		resume_ecu(p, ecu);
		UPT_TRY(upt_store_get_image(p->store, ecu->config->serial, UPT_SLOT_PENDING, &pending, err));
		if (pending.name[0] == '\0')
			continue;
		code = finalize_ecu(p, ecu, &pending, err);
		if (code != UPT_OK)
			return upt_wrap(err, code, "ECU %s", ecu->config->serial);
	}
	return UPT_OK;
}

/* ---- installing what was prepared ---- */

/* Which versions of which metadata vouched for what an ECU runs: status and the demo show it. */
static enum upt_code
remember_vouchers(struct upt_primary *p, const struct upt_job *job, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	const struct upt_trusted_set *sets[] = {p->director, p->image};
	char name[UPT_ECU_SERIAL_MAX + 32];

	for (size_t i = 0; i < 2; i++) {
		UPT_TRY(upt_buf_printf(&text, err, "%s%s", i > 0 ? "; " : "",
			upt_repo_name(upt_trusted_set_policy(sets[i])->repo)));
		for (int role = 0; role < UPT_N_ROLES; role++) {
			const struct upt_metadata *doc = upt_trusted_set_held(sets[i], (enum upt_role)role);
			if (doc != NULL)
				UPT_TRY(upt_buf_printf(&text, err, " %s %llu", doc->name,
					(unsigned long long)doc->version));
		}
	}
	snprintf(name, sizeof(name), "vouchers:%s", job->ecu->config->serial);
	return upt_store_set_text(p->store, name, upt_buf_span(&text), err);
}

static enum upt_code
install_job(struct upt_primary *p, struct upt_job *job, bool *pending, struct upt_err *err)
{
	struct upt_install_job described = upt_job_describe(job);
	struct upt_link *link = job->ecu->link;
	const char *serial = job->ecu->config->serial;
	upt_cleanup(upt_close_fd) int fd = -1;
	struct upt_image before;

	if (link->ops->needs_image(link)) {
		UPT_TRY(upt_images_open_verified(p->images, &job->image.image, &fd, err));
		described.image_fd = fd;
	}
	/* The factory's image becomes the PREVIOUS of the first update, so that it has a name to go back to. */
	UPT_TRY(upt_store_get_image(p->store, serial, UPT_SLOT_INSTALLED, &before, err));
	if (before.name[0] == '\0' && job->ecu->installed.name[0] != '\0')
		UPT_TRY(upt_store_set_image(p->store, serial, UPT_SLOT_INSTALLED, &job->ecu->installed, err));
	UPT_TRY(remember_vouchers(p, job, err));
	UPT_TRY(link->ops->install(link, &described, pending, err));
	job->installed = true;
	if (*pending)
		return upt_store_set_image(p->store, serial, UPT_SLOT_PENDING, &job->image.image, err);
	return upt_store_confirm_image(p->store, serial, &job->image.image, err);
}

/* The bundle failed: ECUs of this cycle that can go back do, the last one first. */
static void
roll_back_bundle(struct upt_primary *p, struct upt_cycle_summary *summary)
{
	for (size_t i = p->n_jobs; i > 0; i--) {
		struct upt_job *job = &p->jobs[i - 1];
		const char *serial = job->ecu->config->serial;
		struct upt_err err = {0};
		bool pending;

		if (!job->installed)
			continue;
		if (job->ecu->link->ops->rollback(job->ecu->link, &pending, &err) != UPT_OK) {
			upt_log_err(p->log, UPT_LOG_WARNING, &err, "ECU %s keeps %s", serial,
				job->image.image.name);
			continue;
		}
		job->installed = false;
		if (upt_store_clear_image(p->store, serial, UPT_SLOT_PENDING, &err) != UPT_OK ||
			upt_store_set_image(p->store, serial, UPT_SLOT_INSTALLED, &job->ecu->installed, &err) !=
				UPT_OK)
			upt_log_err(p->log, UPT_LOG_ERROR, &err, "ECU %s: cannot note the rollback", serial);
		upt_log(p->log, UPT_LOG_WARNING, "ECU %s: back to %s", serial, job->ecu->installed.name);
		summary->n_installed--;
	}
}

/* Secondaries first, then applications, the Primary's own system last: it is the one that reboots. Jobs are
 * in the order of the configuration, where the Primary is the first. */
enum upt_code
upt_primary_install(struct upt_primary *p, struct upt_cycle_summary *summary, struct upt_err *err)
{
	for (size_t i = p->n_jobs; i > 0; i--) {
		struct upt_job *job = &p->jobs[i - 1];
		const char *serial = job->ecu->config->serial;
		bool pending = false;
		enum upt_code code;

		if (!job->prepared)
			continue;
		upt_log(p->log, UPT_LOG_INFO, "ECU %s: installing %s", serial, job->image.image.name);
		code = install_job(p, job, &pending, err);
		if (code != UPT_OK) {
			upt_wrap(err, code, "ECU %s: installing %s", serial, job->image.image.name);
			roll_back_bundle(p, summary);
			return code;
		}
		summary->n_installed++;
		summary->n_pending += pending ? 1 : 0;
		upt_log(p->log, UPT_LOG_INFO, "ECU %s: %s %s", serial, job->image.image.name,
			pending ? "is installed and waits for a reboot" : "is installed");
	}
	return UPT_OK;
}

enum upt_code
upt_primary_rollback(struct upt_primary *p, const char *serial, bool *needs_reboot, struct upt_err *err)
{
	struct upt_image running, previous;
	struct upt_ecu *ecu = NULL;

	*needs_reboot = false;
	for (size_t i = 0; i < p->n_ecus; i++) {
		if (serial == NULL || strcmp(p->ecus[i].config->serial, serial) == 0) {
			ecu = &p->ecus[i];
			break;
		}
	}
	if (ecu == NULL)
		return upt_fail(err, UPT_E_USAGE, "this vehicle has no ECU %s", serial);
	UPT_TRY(upt_primary_finalize(p, err));
	serial = ecu->config->serial;
	UPT_TRY(upt_store_get_image(p->store, serial, UPT_SLOT_INSTALLED, &running, err));
	UPT_TRY(upt_store_get_image(p->store, serial, UPT_SLOT_PREVIOUS, &previous, err));
	if (previous.name[0] == '\0')
		return upt_fail(err, UPT_E_INSTALL, "ECU %s has nothing to go back to", serial);
	/* Noted before it is done: a crash in between must not have the next cycle undo the operator's wish. */
	UPT_TRY(upt_store_set_image(p->store, serial, UPT_SLOT_REFUSED, &running, err));
	UPT_TRY(ecu->link->ops->rollback(ecu->link, needs_reboot, err));
	upt_log(p->log, UPT_LOG_INFO, "ECU %s: back from %s to %s%s", serial, running.name, previous.name,
		*needs_reboot ? " at the next reboot" : "");
	if (*needs_reboot)
		return upt_store_set_image(p->store, serial, UPT_SLOT_PENDING, &previous, err);
	return upt_store_confirm_image(p->store, serial, &previous, err);
}
