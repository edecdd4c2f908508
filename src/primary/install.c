#include <string.h>
#include "base/encode.h"
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
	bool went_back;

	for (size_t i = 0; i < p->n_ecus; i++) {
		enum upt_code code = upt_ecu_settle(p, &p->ecus[i], &went_back, err);

		if (code != UPT_OK)
			return upt_wrap(err, code, "ECU %s", p->ecus[i].config->serial);
	}
	upt_primary_settle_boot(p);
	return UPT_OK;
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
	job->installed = code == UPT_OK;
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
	if (*pending)
		return upt_store_set_image(
			p->store, serial, UPT_SLOT_PENDING, &job->image.image, err);
	return upt_ecu_confirm(p, job->ecu, &job->image.image, err);
}

/* ---- the bundle ---- */

/* "SERIAL\tHEX\n" of each image of the bundle under way: after a power cut in its middle the rest
 * is still one bundle with what was installed before. */
static enum upt_code
describe_member(const struct upt_job *job, struct upt_buf *out, struct upt_err *err)
{
	const struct upt_digest *digest = &job->director.image.digests[0];
	char hex[2 * UPT_HASH_MAX_BYTES + 1];

	upt_hex_encode(upt_span(digest->bytes, digest->len), hex);
	return upt_buf_printf(out, err, "%s\t%s\n", job->ecu->config->serial, hex);
}

static enum upt_code
note_bundle(struct upt_primary *p, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};

	for (size_t i = 0; i < p->n_jobs; i++) {
		/* What was only described anew has no image to go back from. */
		if ((p->jobs[i].prepared || p->jobs[i].installed) && !p->jobs[i].redescribed)
			UPT_TRY(describe_member(&p->jobs[i], &text, err));
	}
	return upt_store_set_text(p->store, "bundle", upt_buf_span(&text), err);
}

enum upt_code
upt_primary_end_bundle(struct upt_primary *p, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};

	UPT_TRY(upt_store_get_text(p->store, "bundle", &text, err));
	return text.len > 0 ? upt_store_set_text(p->store, "bundle", upt_span(NULL, 0), err)
			    : UPT_OK;
}

enum upt_code
upt_primary_resume_bundle(struct upt_primary *p, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};

	UPT_TRY(upt_store_get_text(p->store, "bundle", &text, err));
	for (size_t i = 0; i < p->n_jobs && text.len > 0; i++) {
		upt_cleanup(upt_buf_clear) struct upt_buf member = {0};
		struct upt_job *job = &p->jobs[i];

		UPT_TRY(describe_member(job, &member, err));
		job->installed = (job->state == UPT_JOB_DONE || job->state == UPT_JOB_PENDING ||
					 job->state == UPT_JOB_TRIAL) &&
				 memmem(text.data, text.len, member.data, member.len) != NULL;
	}
	return UPT_OK;
}

/* ---- when the bundle fails ---- */

static bool
can_go_back(const struct upt_job *job)
{
	return job->installed && job->ecu->installer != NULL && !job->redescribed;
}

/*
 * An installer's "no" would come again at every poll, and with it the rollback of all others: the
 * whole bundle stays away until the Director changes its mind. Noted before anything goes back, so
 * that after a power cut the rest of it goes back too.
 */
static void
refuse_bundle(struct upt_primary *p)
{
	/* What is installed is noted first, what failed last: after a power cut in between it fails
	 * again. */
	for (size_t i = p->n_jobs; i > 0; i--) {
		struct upt_job *job = &p->jobs[i - 1];
		struct upt_err err = {0};

		/* The image runs, as it did before: its installer remembers what failed. */
		if (job->redescribed)
			continue;
		if ((job->state != UPT_JOB_WANTED && !job->installed) ||
			(job->installed && !can_go_back(job)))
			continue;
		if (upt_store_set_image(p->store, job->ecu->config->serial, UPT_SLOT_REFUSED,
			    &job->image.image, &err) != UPT_OK)
			upt_log_err(
				p->log, UPT_LOG_WARNING, &err, "ECU %s", job->ecu->config->serial);
	}
}

/* What failed for want of a network, space or time is tried again. */
static void
allow_again(struct upt_primary *p, const struct upt_job *job)
{
	struct upt_err err = {0};

	if (upt_store_clear_image(p->store, job->ecu->config->serial, UPT_SLOT_REFUSED, &err) !=
		UPT_OK)
		upt_log_err(p->log, UPT_LOG_WARNING, &err, "ECU %s", job->ecu->config->serial);
}

/* ECUs of this cycle that can go back do, the last one first. */
static void
roll_back_bundle(struct upt_primary *p, bool for_good)
{
	for (size_t i = p->n_jobs; i > 0; i--) {
		struct upt_job *job = &p->jobs[i - 1];
		struct upt_err err = {0};

		if (job->installed && job->redescribed)
			upt_log(p->log, UPT_LOG_WARNING, "ECU %s keeps its new description",
				job->ecu->config->serial);
		if (!job->installed || job->redescribed)
			continue;
		if (upt_ecu_undo(p, job->ecu, &job->image.image, &err) != UPT_OK) {
			upt_log_err(p->log, UPT_LOG_WARNING, &err, "ECU %s keeps %s",
				job->ecu->config->serial, job->image.image.name);
			continue;
		}
		if (!for_good)
			allow_again(p, job);
		job->installed = false;
	}
}

static bool
is_cancelled(const struct upt_primary *p)
{
	return p->options.cancel != NULL && *p->options.cancel;
}

static enum upt_code
install_all(struct upt_primary *p, struct upt_err *err)
{
	for (size_t i = p->n_jobs; i > 0; i--) {
		struct upt_job *job = &p->jobs[i - 1];
		const char *serial = job->ecu->config->serial;
		bool pending = false;
		enum upt_code code;

		if (!job->prepared)
			continue;
		upt_log(p->log, UPT_LOG_INFO, "ECU %s: installing %s", serial,
			job->image.image.name);
		code = install_job(p, job, &pending, err);
		if (code != UPT_OK)
			return upt_wrap(
				err, code, "ECU %s: installing %s", serial, job->image.image.name);
		upt_log(p->log, UPT_LOG_INFO, "ECU %s: %s %s", serial, job->image.image.name,
			pending ? "is installed and waits for a reboot" : "is installed");
	}
	return UPT_OK;
}

/* Secondaries first, then applications, the Primary's own system last: it is the one that reboots.
 * Jobs are in the order of the configuration, where the Primary is the first. */
enum upt_code
upt_primary_install(struct upt_primary *p, struct upt_cycle_summary *summary, struct upt_err *err)
{
	struct upt_err ignored = {0};
	enum upt_code code;

	/* Later than this the bundle is finished rather than left half done. */
	if (is_cancelled(p))
		return upt_fail(err, UPT_E_CANCELLED, "stopped before anything was installed");
	UPT_TRY(note_bundle(p, err));
	code = install_all(p, err);
	if (code == UPT_E_INSTALL)
		refuse_bundle(p);
	if (code != UPT_OK)
		roll_back_bundle(p, code == UPT_E_INSTALL);
	for (size_t i = 0; i < p->n_jobs; i++)
		summary->n_installed += p->jobs[i].state == UPT_JOB_WANTED && p->jobs[i].installed;
	if (upt_primary_end_bundle(p, &ignored) != UPT_OK)
		upt_log_err(p->log, UPT_LOG_WARNING, &ignored, "cannot note the end of a bundle");
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
