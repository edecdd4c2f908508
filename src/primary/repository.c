/*
 * One repository by itself: its trusted set, brought up to date once a cycle, and what it says of
 * an assignment. The two basic ones and the additional ones alike; who must agree is mapping.c's.
 */
#include <string.h>
#include "primary/internal.h"

static struct upt_trust_policy
trust_policy(struct upt_repository *r)
{
	struct upt_primary *p = r->primary;
	bool director = r->config->is_director;
	struct upt_trust_policy policy =
		upt_trust_policy_uptane(director ? UPT_REPO_DIRECTOR : UPT_REPO_IMAGE,
			p->config->profile == UPT_PROFILE_OTA);

	policy.limits = r->config->limits;
	policy.check_rules = director ? upt_director_check_rules : NULL;
	policy.rules_ctx = director ? &p->vehicle : NULL;
	return policy;
}

static bool
is_basic(const struct upt_repository *r)
{
	return r->id < UPT_REPO_OTHER;
}

enum upt_code
upt_repositories_new(struct upt_primary *p, struct upt_err *err)
{
	size_t n = 2 + p->config->n_others;

	for (size_t i = 0; i < n; i++) {
		struct upt_repository *r = &p->repos[i];

		r->primary = p;
		r->config = upt_config_repo(p->config, i);
		r->feed = upt_repository_feed(r);
		if (i == UPT_DIRECTOR_INDEX)
			r->id = UPT_REPO_DIRECTOR;
		else if (i == UPT_IMAGE_INDEX)
			r->id = UPT_REPO_IMAGE;
		else
			UPT_TRY(upt_store_add_repo(p->store, r->config->name, &r->id, err));
		r->name = is_basic(r) ? upt_repo_name(r->id) : r->config->name;
	}
	p->n_repos = n;
	return UPT_OK;
}

enum upt_code
upt_repositories_begin_cycle(struct upt_primary *p, struct upt_err *err)
{
	for (size_t i = 0; i < p->n_repos; i++) {
		struct upt_trust_policy policy = trust_policy(&p->repos[i]);

		UPT_TRY(upt_trusted_set_new(&policy, &p->repos[i].set, err));
	}
	return UPT_OK;
}

void
upt_repositories_end_cycle(struct upt_primary *p)
{
	for (size_t i = 0; i < p->n_repos; i++) {
		struct upt_repository *r = &p->repos[i];

		upt_trusted_set_free(&r->set);
		r->asked = r->failure_told = false;
		r->failure = (struct upt_err){0};
		r->assignments = NULL;
		r->n_assignments = 0;
	}
}

/* By the class of its exit code: cannot tell, another TLS identity, a refusal. */
bool
upt_is_repository_failure(enum upt_code code)
{
	int exit_code = upt_code_exit(code);

	return exit_code == 5 || exit_code == 6 || exit_code >= 20;
}

/* The verifier knows two kinds of repositories; which of several failed is known here. */
static enum upt_code
name_failure(const struct upt_repository *r, enum upt_code code, struct upt_err *err)
{
	if (is_basic(r) || (code != UPT_E_UNSUPPORTED && !upt_is_repository_failure(code)))
		return code;
	if (err != NULL)
		err->repo = r->id;
	return upt_wrap(err, code, "repository %s", r->name);
}

static enum upt_code
ask(struct upt_repository *r, bool *changed, struct upt_err *err)
{
	struct upt_primary *p = r->primary;

	UPT_TRY(upt_refresh(r->set, &r->feed, p->now, changed, err));
	if (!r->config->is_director)
		return UPT_OK;
	return upt_director_assignments(upt_trusted_set_targets(r->set), &p->vehicle, &p->arena,
		&r->assignments, &r->n_assignments, err);
}

enum upt_code
upt_repository_refresh(struct upt_repository *r, bool *changed, struct upt_err *err)
{
	bool something = false;
	enum upt_code code;

	if (changed != NULL)
		*changed = false;
	if (!r->asked) {
		code = name_failure(r, ask(r, &something, &r->failure), &r->failure);
		r->failure.code = code;
		r->asked = true;
	}
	if (r->failure.code != UPT_OK) {
		if (err != NULL)
			*err = r->failure;
		return r->failure.code;
	}
	if (changed != NULL)
		*changed = something;
	return UPT_OK;
}

static enum upt_code
director_vote(struct upt_repository *r, const struct upt_job *job, struct upt_err *err)
{
	size_t ecu = (size_t)(job->ecu - r->primary->ecus);

	for (size_t i = 0; i < r->n_assignments; i++) {
		if (r->assignments[i].ecu == ecu)
			return upt_director_same(&job->director, &r->assignments[i].target, err);
	}
	return upt_fail(err, UPT_E_UNKNOWN_TARGET, "image %s: it assigns nothing to the ECU",
		job->director.image.name);
}

/* Step 10 for one ECU. */
static enum upt_code
image_vote(struct upt_repository *r, const struct upt_job *job, struct upt_target *image,
	struct upt_err *err)
{
	const char *hardware_id = job->ecu->config->hardware_id;
	struct upt_primary *p = r->primary;
	bool ota = p->config->profile == UPT_PROFILE_OTA;
	struct upt_search search = {.feed = &r->feed,
		.now = p->now,
		.hardware_id = hardware_id,
		.star_crosses_slash = ota};
	struct upt_image floor;

	UPT_TRY(upt_ecu_release_floor(p, job->ecu, &floor, err));
	UPT_TRY(upt_imagerepo_find(
		r->set, &search, job->director.image.name, &p->arena, image, err));
	/* The counter is about what is to be installed: an operator may have gone back below it. */
	return upt_imagerepo_match(&job->director, image,
		&(struct upt_match){.hardware_id = hardware_id,
			.installed = job->state == UPT_JOB_WANTED ? &floor : NULL,
			.hardware_ids_optional = ota},
		err);
}

enum upt_code
upt_repository_vote(struct upt_repository *r, const struct upt_job *job, struct upt_target *image,
	struct upt_err *err)
{
	enum upt_code code = r->config->is_director ? director_vote(r, job, err)
						    : image_vote(r, job, image, err);

	return name_failure(r, code, err);
}

bool
upt_repository_is_fresh(const struct upt_repository *r)
{
	return upt_trusted_set_expires(r->set) > r->primary->now;
}
