#include <string.h>
#include "primary/internal.h"

enum upt_code
upt_primary_verify_director(struct upt_primary *p, bool *changed, struct upt_err *err)
{
	const struct upt_metadata *targets;

	UPT_TRY(upt_refresh(p->director, &p->director_feed, p->now, changed, err));
	targets = upt_trusted_set_targets(p->director);
	UPT_TRY(upt_director_assignments(
		targets, &p->vehicle, &p->arena, &p->assignments, &p->n_assignments, err));
	return UPT_OK;
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
	if (waits && upt_image_same(&pending, wanted))
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
	size_t k = 0;
	bool refused;

	for (size_t i = 0; i < p->n_ecus; i++) {
		/* Assignments are in the order of the ECUs, at most one each. */
		if (k < p->n_assignments && p->assignments[k].ecu == i)
			k++;
		else
			UPT_TRY(is_refused(p, &p->ecus[i], NULL, &refused, err));
	}
	return UPT_OK;
}

/* What is left to do, from what the ECUs themselves report: a crash between any two steps leaves a
 * plan that is simply made again. */
enum upt_code
upt_primary_plan(struct upt_primary *p, struct upt_cycle_summary *summary, struct upt_err *err)
{
	p->n_jobs = 0;
	p->jobs = upt_arena_alloc(&p->arena, p->n_assignments + 1, sizeof(*p->jobs));
	if (p->jobs == NULL)
		return upt_fail(
			err, UPT_E_NO_MEMORY, "no memory for %zu assignments", p->n_assignments);
	summary->n_assigned = (unsigned)p->n_assignments;
	UPT_TRY(forget_withdrawn(p, err));
	for (size_t i = 0; i < p->n_assignments; i++) {
		const struct upt_assignment *a = &p->assignments[i];
		struct upt_job *job = &p->jobs[i];

		*job = (struct upt_job){.ecu = &p->ecus[a->ecu], .director = a->target};
		UPT_TRY(decide(p, job->ecu, &a->target.image, &job->state, err));
		count_job(p, job, summary);
		p->n_jobs++;
	}
	return UPT_OK;
}

/* Step 10 for one ECU. */
static enum upt_code
match(struct upt_primary *p, struct upt_job *job, struct upt_err *err)
{
	const struct upt_ecu_config *config = job->ecu->config;
	struct upt_search search = {.feed = &p->image_feed,
		.now = p->now,
		.hardware_id = config->hardware_id,
		.star_crosses_slash = p->config->profile == UPT_PROFILE_OTA};
	struct upt_image floor;

	UPT_TRY(upt_ecu_release_floor(p, job->ecu, &floor, err));
	UPT_TRY(upt_imagerepo_find(
		p->image, &search, job->director.image.name, &p->arena, &job->image, err));
	/* The counter is about what is to be installed: an operator may have gone back below it. */
	return upt_imagerepo_match(&job->director, &job->image,
		&(struct upt_match){.hardware_id = config->hardware_id,
			.installed = job->state == UPT_JOB_WANTED ? &floor : NULL,
			.hardware_ids_optional = p->config->profile == UPT_PROFILE_OTA},
		err);
}

/* All assignments are matched, also those that are installed already (5.12): one that the Image
 * repository does not vouch for says that something is wrong with the Director. */
enum upt_code
upt_primary_verify_images(struct upt_primary *p, struct upt_err *err)
{
	bool changed;

	UPT_TRY(upt_refresh(p->image, &p->image_feed, p->now, &changed, err));
	for (size_t i = 0; i < p->n_jobs; i++) {
		enum upt_code code = match(p, &p->jobs[i], err);

		if (code != UPT_OK)
			return upt_wrap(err, code, "ECU %s", p->jobs[i].ecu->config->serial);
	}
	return UPT_OK;
}

bool
upt_primary_is_fresh(const struct upt_primary *p)
{
	return upt_trusted_set_expires(p->director) > p->now &&
	       upt_trusted_set_expires(p->image) > p->now;
}

static struct upt_trust_policy
trust_policy(struct upt_primary *p, enum upt_repo repo)
{
	bool ota = p->config->profile == UPT_PROFILE_OTA;
	bool director = repo == UPT_REPO_DIRECTOR;

	return (struct upt_trust_policy){
		.repo = repo,
		.limits = director ? p->config->director.limits : p->config->image.limits,
		.allow_targets_only = ota && director,
		.allow_canonical_hashes = ota,
		.require_snapshot_hash = true,
		.delegations_in_folder = ota,
		.check_rules = director ? upt_director_check_rules : NULL,
		.rules_ctx = director ? &p->vehicle : NULL,
	};
}

enum upt_code
upt_primary_begin_cycle(struct upt_primary *p, struct upt_err *err)
{
	struct upt_trust_policy director = trust_policy(p, UPT_REPO_DIRECTOR);
	struct upt_trust_policy image = trust_policy(p, UPT_REPO_IMAGE);

	upt_primary_end_cycle(p);
	UPT_TRY(upt_trusted_set_new(&director, &p->director, err));
	return upt_trusted_set_new(&image, &p->image, err);
}

void
upt_primary_end_cycle(struct upt_primary *p)
{
	upt_trusted_set_free(&p->director);
	upt_trusted_set_free(&p->image);
	upt_arena_clear(&p->arena);
	p->assignments = NULL;
	p->n_assignments = 0;
	p->jobs = NULL;
	p->n_jobs = 0;
}
