#include <string.h>
#include "primary/internal.h"

enum upt_code
upt_primary_verify_director(struct upt_primary *p, bool *changed, struct upt_err *err)
{
	return upt_repository_refresh(&p->repos[UPT_DIRECTOR_INDEX], changed, err);
}

/*
 * An image that was rolled back or failed stays away until the Director withdraws it or assigns
 * another one: assigned again and again by an unattended server, it would otherwise take the
 * vehicle down at every poll.
 */
static enum upt_code
is_refused(struct upt_primary *p, const struct upt_ecu *ecu, const struct upt_image *wanted,
	bool *refused, struct upt_err *err)
{
	struct upt_image image;

	UPT_TRY(upt_store_get_image(p->store, ecu->config->serial, UPT_SLOT_REFUSED, &image, err));
	*refused = wanted != NULL && upt_image_same(&image, wanted);
	if (image.name[0] != '\0' && !*refused)
		return upt_store_clear_image(p->store, ecu->config->serial, UPT_SLOT_REFUSED, err);
	return UPT_OK;
}

static enum upt_code
decide(struct upt_primary *p, const struct upt_ecu *ecu, const struct upt_image *wanted,
	enum upt_job_state *state, struct upt_err *err)
{
	struct upt_image pending;
	bool refused, waits;

	UPT_TRY(upt_store_get_image(
		p->store, ecu->config->serial, UPT_SLOT_PENDING, &pending, err));
	UPT_TRY(is_refused(p, ecu, wanted, &refused, err));
	/* Another machine knows best whether it waits: asked again, it says so. */
	waits = pending.name[0] != '\0' && ecu->installer != NULL;
	/* Another installation now would take away what it can go back to. */
	if (ecu->on_trial)
		*state = UPT_JOB_TRIAL;
	else if (waits && upt_image_same(&pending, wanted))
		*state = UPT_JOB_PENDING;
	else if (!waits && upt_image_same(&ecu->installed, wanted))
		*state = UPT_JOB_DONE;
	else if (refused)
		*state = UPT_JOB_REFUSED;
	else
		*state = ecu->reachable ? UPT_JOB_WANTED : UPT_JOB_UNREACHABLE;
	return UPT_OK;
}

static void
count_job(struct upt_primary *p, const struct upt_job *job, struct upt_cycle_summary *summary)
{
	const char *serial = job->ecu->config->serial, *name = job->director.image.name;

	if (job->state == UPT_JOB_REFUSED) {
		summary->n_refused++;
		upt_log(p->log, UPT_LOG_INFO,
			"ECU %s: %s was rolled back or failed here, not installed again", serial,
			name);
	} else if (job->state == UPT_JOB_LATER) {
		upt_log(p->log, UPT_LOG_INFO, "ECU %s: %s waits for the bundle under way", serial,
			name);
	} else if (job->state == UPT_JOB_UNREACHABLE) {
		summary->n_unreachable++;
	} else if (job->state == UPT_JOB_WANTED) {
		summary->n_wanted++;
	}
}

/* ECUs that the Director assigns nothing to: what it withdrew may come again. */
static enum upt_code
forget_withdrawn(struct upt_primary *p, struct upt_err *err)
{
	const struct upt_repository *director = &p->repos[UPT_DIRECTOR_INDEX];
	size_t k = 0;
	bool refused;

	for (size_t i = 0; i < p->n_ecus; i++) {
		/* Assignments are in the order of the ECUs, at most one each. */
		if (k < director->n_assignments && director->assignments[k].ecu == i)
			k++;
		else
			UPT_TRY(is_refused(p, &p->ecus[i], NULL, &refused, err));
	}
	return UPT_OK;
}

static enum upt_code
defer(struct upt_primary *p, struct upt_job *job, struct upt_err *err)
{
	bool allowed = true;

	if (job->state == UPT_JOB_WANTED)
		UPT_TRY(upt_bundle_allows(p, job, &allowed, err));
	if (!allowed)
		job->state = UPT_JOB_LATER;
	return UPT_OK;
}

/* What is left to do, from what the ECUs themselves report: a crash between any two steps leaves a
 * plan that is simply made again. */
enum upt_code
upt_primary_plan(struct upt_primary *p, struct upt_cycle_summary *summary, struct upt_err *err)
{
	const struct upt_repository *director = &p->repos[UPT_DIRECTOR_INDEX];
	size_t n = director->n_assignments;

	p->n_jobs = 0;
	p->jobs = upt_arena_alloc(&p->arena, n + 1, sizeof(*p->jobs));
	if (p->jobs == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for %zu assignments", n);
	summary->n_assigned = (unsigned)n;
	UPT_TRY(forget_withdrawn(p, err));
	for (size_t i = 0; i < n; i++) {
		const struct upt_assignment *a = &director->assignments[i];
		struct upt_job *job = &p->jobs[i];

		*job = (struct upt_job){.ecu = &p->ecus[a->ecu], .director = a->target};
		UPT_TRY(decide(p, job->ecu, &a->target.image, &job->state, err));
		UPT_TRY(defer(p, job, err));
		count_job(p, job, summary);
		p->n_jobs++;
	}
	return UPT_OK;
}

/* Step 10 for all assignments, also those that are installed already (5.12): one that nobody else
 * vouches for says that something is wrong with the Director. */
enum upt_code
upt_primary_verify_images(struct upt_primary *p, struct upt_err *err)
{
	UPT_TRY(upt_mapping_refresh(p, err));
	for (size_t i = 0; i < p->n_jobs; i++) {
		enum upt_code code = upt_mapping_agree(p, &p->jobs[i], err);

		if (code != UPT_OK)
			return upt_wrap(err, code, "ECU %s", p->jobs[i].ecu->config->serial);
	}
	return UPT_OK;
}

/* ---- descriptions ---- */

static bool
has_description(const struct upt_job *job)
{
	const struct upt_installer *installer = job->ecu->installer;

	return job->state == UPT_JOB_DONE && installer != NULL &&
	       installer->ops->is_outdated != NULL;
}

/* The Director says when a vehicle changes: without a word from it nothing is asked (5.7). */
enum upt_code
upt_primary_must_look(struct upt_primary *p, bool *look, struct upt_err *err)
{
	uint64_t looked_at;

	*look = false;
	UPT_TRY(upt_store_get_u64(p->store, "described_at", 0, &looked_at, err));
	for (size_t i = 0; i < p->n_jobs && !*look; i++)
		*look = has_description(&p->jobs[i]) &&
			looked_at !=
				upt_trusted_set_targets(p->repos[UPT_DIRECTOR_INDEX].set)->version;
	return UPT_OK;
}

enum upt_code
upt_primary_plan_descriptions(
	struct upt_primary *p, struct upt_cycle_summary *summary, struct upt_err *err)
{
	for (size_t i = 0; i < p->n_jobs; i++) {
		struct upt_job *job = &p->jobs[i];
		struct upt_install_job described = upt_job_describe(job);
		struct upt_installer *installer = job->ecu->installer;
		enum upt_code code;

		if (!has_description(job) || !installer->ops->is_outdated(installer, &described))
			continue;
		job->redescribed = true;
		job->state = UPT_JOB_WANTED;
		UPT_TRY(defer(p, job, err));
		if (job->state == UPT_JOB_LATER)
			continue;
		summary->n_wanted++;
		/* Now it is to be installed, and its release counter must not have fallen. */
		code = upt_mapping_agree(p, job, err);
		if (code != UPT_OK)
			return upt_wrap(err, code, "ECU %s", job->ecu->config->serial);
		upt_log(p->log, UPT_LOG_INFO, "ECU %s: %s is to run otherwise",
			job->ecu->config->serial, job->director.image.name);
	}
	return UPT_OK;
}

enum upt_code
upt_primary_note_looked(struct upt_primary *p, struct upt_err *err)
{
	uint64_t version = upt_trusted_set_targets(p->repos[UPT_DIRECTOR_INDEX].set)->version,
		 looked_at;

	if (upt_plan_is_open(&p->plan))
		return UPT_OK;
	UPT_TRY(upt_store_get_u64(p->store, "described_at", 0, &looked_at, err));
	return looked_at == version ? UPT_OK
				    : upt_store_set_u64(p->store, "described_at", version, err);
}

bool
upt_primary_is_fresh(const struct upt_primary *p)
{
	for (size_t i = 0; i < p->n_jobs; i++) {
		if (!upt_mapping_is_fresh(p, &p->jobs[i]))
			return false;
	}
	return true;
}

enum upt_code
upt_primary_begin_cycle(struct upt_primary *p, struct upt_err *err)
{
	upt_primary_end_cycle(p);
	return upt_repositories_begin_cycle(p, err);
}

void
upt_primary_end_cycle(struct upt_primary *p)
{
	upt_repositories_end_cycle(p);
	upt_arena_clear(&p->arena);
	p->jobs = NULL;
	p->n_jobs = 0;
}
