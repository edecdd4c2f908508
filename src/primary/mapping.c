/*
 * The repository mapping (Uptane Standard 2.1, repo_mapping_meta; TAP 4): which repositories must
 * agree on an assignment of the vehicle's Director. The first mapping that matches the target's
 * name is asked, and a threshold of its repositories must say the same, an Image repository among
 * them. The next one is asked only where that has a sure "no" for its answer: whoever withholds or
 * garbles what one repository says must not thereby move a target to a mapping that asks less.
 */
#include <stdlib.h>
#include <string.h>
#include "primary/internal.h"

/* What a mapping's repositories say of one job. */
struct tally {
	size_t n_agree, n_unknown;
	bool image_agrees, image_unknown;
	bool agreed[UPT_MAX_REPOS];
	const struct upt_repository *source;
	struct upt_target image; /* of source */
	struct upt_err no, unknown; /* the first of each */
	char dissenters[UPT_MAX_REPOS * (UPT_REPO_NAME_MAX + 2)]; /* "a, b": who does not agree */
};

static bool
needs_all(const struct upt_mapping_config *m)
{
	return m->threshold == m->n_repos;
}

/* One that can be done without does not count; what it failed with is told once. */
static void
tell_failure(struct upt_primary *p, struct upt_repository *r)
{
	if (r->failure_told)
		return;
	r->failure_told = true;
	upt_log_err(
		p->log, UPT_LOG_WARNING, &r->failure, "going on without repository %s", r->name);
	upt_primary_record(p, "", &r->failure);
}

/* Directors first, then Image repositories, as the configuration has put them. */
static enum upt_code
refresh_all(struct upt_primary *p, const struct upt_mapping_config *m, struct upt_err *err)
{
	for (size_t i = 0; i < m->n_repos; i++) {
		struct upt_repository *r = &p->repos[m->repos[i]];
		enum upt_code code = upt_repository_refresh(r, NULL, err);

		if (code == UPT_OK)
			continue;
		if (needs_all(m) || !upt_is_repository_failure(code))
			return code;
		tell_failure(p, r);
	}
	return UPT_OK;
}

/* The first mapping behind after (NULL: from the first on) that is for the job; NULL at the end. */
static const struct upt_mapping_config *
find_mapping(const struct upt_primary *p, const struct upt_job *job,
	const struct upt_mapping_config *after)
{
	const struct upt_mapping_config *m = after != NULL ? after + 1 : p->config->mappings;

	for (; m < p->config->mappings + p->config->n_mappings; m++) {
		if (upt_mapping_matches(p->config, m, job->director.image.name))
			return m;
	}
	return NULL;
}

enum upt_code
upt_mapping_refresh(struct upt_primary *p, struct upt_err *err)
{
	for (size_t i = 0; i < p->n_jobs; i++) {
		const struct upt_mapping_config *m = find_mapping(p, &p->jobs[i], NULL);

		if (m != NULL)
			UPT_TRY(refresh_all(p, m, err));
	}
	/* With nothing assigned, a person asks whether the repositories are sound. */
	for (size_t i = 0; i < p->config->n_mappings && p->n_jobs == 0; i++)
		UPT_TRY(refresh_all(p, &p->config->mappings[i], err));
	return UPT_OK;
}

/* ---- votes ---- */

/* It was heard and does not agree; any other failure leaves open what it says. */
static bool
is_no(enum upt_code code)
{
	return code == UPT_E_UNKNOWN_TARGET || code == UPT_E_TARGET_MISMATCH ||
	       code == UPT_E_WRONG_HARDWARE || code == UPT_E_RELEASE_ROLLBACK ||
	       code == UPT_E_UNSUPPORTED;
}

/* The first Image repository that agrees is the one whose entry is acted upon; others must list
 * the same. */
static enum upt_code
vote(struct upt_repository *r, const struct upt_job *job, struct tally *t, struct upt_err *err)
{
	struct upt_target image = {.format = ""};
	enum upt_code code;

	if (r->id == UPT_REPO_DIRECTOR)
		return UPT_OK; /* the one that asks */
	UPT_TRY(upt_repository_refresh(r, NULL, err));
	UPT_TRY(upt_repository_vote(r, job, &image, err));
	if (r->config->is_director)
		return UPT_OK;
	if (t->source == NULL) {
		t->source = r;
		t->image = image;
		return UPT_OK;
	}
	code = upt_imagerepo_same(&t->image, &image, err);
	if (code == UPT_OK)
		return UPT_OK;
	if (err != NULL)
		err->repo = r->id;
	return upt_wrap(err, code, "repositories %s and %s", t->source->name, r->name);
}

static void
note_dissent(const struct upt_repository *r, const struct upt_err *why, struct tally *t)
{
	size_t used = strlen(t->dissenters);
	bool no = is_no(why->code);
	struct upt_err *first = no ? &t->no : &t->unknown;

	snprintf(t->dissenters + used, sizeof(t->dissenters) - used, "%s%s", used > 0 ? ", " : "",
		r->name);
	t->n_unknown += no ? 0 : 1;
	t->image_unknown = t->image_unknown || (!no && !r->config->is_director);
	if (first->code == UPT_OK)
		*first = *why;
}

/* A repository that can be done without and says otherwise may be what an attack looks like. */
static void
tell_dissent(struct upt_primary *p, const struct upt_repository *r, const struct upt_job *job,
	const struct upt_err *why)
{
	upt_log_err(p->log, UPT_LOG_WARNING, why, "ECU %s: repository %s does not agree",
		job->ecu->config->serial, r->name);
	if (why->code != UPT_E_UNKNOWN_TARGET)
		upt_primary_record(p, job->ecu->config->serial, why);
}

static enum upt_code
count_votes(struct upt_primary *p, const struct upt_mapping_config *m, const struct upt_job *job,
	struct tally *t, struct upt_err *err)
{
	for (size_t i = 0; i < m->n_repos; i++) {
		struct upt_repository *r = &p->repos[m->repos[i]];
		struct upt_err why = {0};
		enum upt_code code = vote(r, job, t, &why);

		if (code == UPT_OK) {
			t->agreed[m->repos[i]] = true;
			t->n_agree++;
			t->image_agrees = t->image_agrees || !r->config->is_director;
			continue;
		}
		if (!is_no(code) && (needs_all(m) || !upt_is_repository_failure(code))) {
			if (err != NULL)
				*err = why;
			return code;
		}
		note_dissent(r, &why, t);
		if (!needs_all(m) && r->failure.code == UPT_OK)
			tell_dissent(p, r, job, &why);
	}
	return UPT_OK;
}

/* ---- what follows from them ---- */

static bool
is_reached(const struct upt_mapping_config *m, const struct tally *t)
{
	return t->n_agree >= m->threshold && t->image_agrees;
}

/* Those that could not be heard may make the difference. */
static bool
is_open(const struct upt_mapping_config *m, const struct tally *t)
{
	return t->n_agree + t->n_unknown >= m->threshold && (t->image_agrees || t->image_unknown);
}

static enum upt_code
refuse(const struct upt_mapping_config *m, const struct upt_job *job, const struct tally *t,
	struct upt_err *err)
{
	const struct upt_err *why = is_open(m, t) ? &t->unknown : &t->no;
	char message[UPT_ERR_MESSAGE_MAX];

	if (err == NULL)
		return why->code;
	*err = *why;
	if (m->name == NULL)
		return why->code;
	memcpy(message, why->message, sizeof(message));
	return upt_fail(err, why->code,
		"mapping %s: %zu of %zu repositories agree on %s, %zu must, an Image repository "
		"among them; not %s: %s",
		m->name, t->n_agree, m->n_repos, job->director.image.name, m->threshold,
		t->dissenters, message);
}

static void
accept(const struct upt_mapping_config *m, const struct tally *t, struct upt_job *job)
{
	job->image = t->image;
	job->source = t->source;
	job->threshold = m->threshold;
	memcpy(job->agreed, t->agreed, sizeof(job->agreed));
}

enum upt_code
upt_mapping_agree(struct upt_primary *p, struct upt_job *job, struct upt_err *err)
{
	const struct upt_mapping_config *m = find_mapping(p, job, NULL);
	enum upt_code code = UPT_OK;

	for (; m != NULL; m = find_mapping(p, job, m)) {
		upt_cleanup(upt_free_ptr) struct tally *t = calloc(1, sizeof(*t));

		if (t == NULL)
			return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a mapping");
		UPT_TRY(refresh_all(p, m, err));
		UPT_TRY(count_votes(p, m, job, t, err));
		if (is_reached(m, t)) {
			accept(m, t, job);
			return UPT_OK;
		}
		code = refuse(m, job, t, err);
		if (m->terminating || is_open(m, t))
			return code;
	}
	if (code != UPT_OK)
		return code;
	if (err != NULL)
		err->repo = UPT_REPO_DIRECTOR;
	return upt_fail(err, UPT_E_UNKNOWN_TARGET, "image %s: no mapping is for it",
		job->director.image.name);
}

bool
upt_mapping_is_fresh(const struct upt_primary *p, const struct upt_job *job)
{
	size_t n_fresh = 0;

	for (size_t i = 0; i < p->n_repos; i++)
		n_fresh += job->agreed[i] && upt_repository_is_fresh(&p->repos[i]) ? 1 : 0;
	/* The vehicle's Director decides, whoever else agrees. */
	return n_fresh >= job->threshold && job->source != NULL &&
	       upt_repository_is_fresh(job->source) &&
	       upt_repository_is_fresh(&p->repos[UPT_DIRECTOR_INDEX]);
}
