/*
 * The bundle of one assignment, by its written plan: begun, carried on after whatever came between,
 * rolled back as one. plan.c says what comes next; here it is asked with what the slots say, done,
 * and written down. What could not be written is found again by the next cycle, as after a power
 * cut.
 */
#include <stdlib.h>
#include <string.h>
#include "primary/internal.h"
#include "primary/plan.h"

/* Cycles in which an engine may fail to go back before what it runs stays. */
#define MAX_TRIES 3

static struct upt_ecu *
find_ecu(struct upt_primary *p, const char *serial)
{
	for (size_t i = 0; i < p->n_ecus; i++) {
		if (strcmp(p->ecus[i].config->serial, serial) == 0)
			return &p->ecus[i];
	}
	return NULL; /* taken out of the configuration */
}

struct upt_job *
upt_bundle_job(struct upt_primary *p, const struct upt_plan_member *m)
{
	for (size_t i = 0; i < p->n_jobs; i++) {
		if (strcmp(p->jobs[i].ecu->config->serial, m->ecu) == 0)
			return &p->jobs[i];
	}
	return NULL;
}

static struct upt_plan_member *
find_member(struct upt_primary *p, const struct upt_ecu *ecu)
{
	for (size_t i = 0; i < p->plan.n_members; i++) {
		if (strcmp(p->plan.members[i].ecu, ecu->config->serial) == 0)
			return &p->plan.members[i];
	}
	return NULL;
}

/* ---- what the slots say ---- */

static bool
was_begun(const struct upt_plan_member *m)
{
	return m->state != UPT_MEMBER_TO_DO;
}

static enum upt_plan_at
find_place(const struct upt_ecu *ecu, const struct upt_plan_member *m, const struct upt_slots *s)
{
	bool runs = upt_image_same(&s->installed, &m->image);

	/* Another machine knows best whether it waits: asked again, it says so. */
	if (ecu->installer == NULL)
		return runs ? UPT_AT_NEW : ecu->told ? UPT_AT_WAITS : UPT_AT_OLD;
	if (upt_image_same(&s->pending, &m->image))
		return ecu->on_trial ? UPT_AT_TRIAL : UPT_AT_WAITS;
	if (s->pending.name[0] != '\0' && was_begun(m) &&
		(runs || upt_image_same(&s->refused, &m->image) ||
			upt_image_same(&s->pending, &m->before)))
		return UPT_AT_LEAVING;
	return runs || ecu->unnoted ? UPT_AT_NEW : UPT_AT_OLD;
}

/* Its image runs all the while; whether as described its installer says when it is asked. */
static enum upt_plan_at
find_description(struct upt_primary *p, const struct upt_plan_member *m)
{
	const struct upt_job *job = upt_bundle_job(p, m);

	return m->state == UPT_MEMBER_DONE || (job != NULL && job->state == UPT_JOB_DONE)
		       ? UPT_AT_NEW
		       : UPT_AT_OLD;
}

static enum upt_code
look_at(struct upt_primary *p, const struct upt_plan_member *m, struct upt_plan_fact *out,
	struct upt_err *err)
{
	const struct upt_ecu *ecu = find_ecu(p, m->ecu);
	struct upt_slots s;

	*out = (struct upt_plan_fact){0};
	if (ecu == NULL)
		return UPT_OK;
	UPT_TRY(upt_ecu_get_slots(p, ecu, &s, err));
	out->refused = upt_image_same(&s.refused, &m->image);
	out->at = find_place(ecu, m, &s);
	if (m->redescribed && out->at == UPT_AT_NEW)
		out->at = find_description(p, m);
	if (ecu->stuck && p->plan.state == UPT_PLAN_ROLLING_BACK && out->at != UPT_AT_OLD)
		out->at = UPT_AT_STUCK;
	return UPT_OK;
}

static enum upt_code
look(struct upt_primary *p, struct upt_plan_fact **out, struct upt_err *err)
{
	struct upt_plan_fact *facts = calloc(p->plan.n_members + 1, sizeof(*facts));
	enum upt_code code = UPT_OK;

	*out = NULL;
	if (facts == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a plan");
	for (size_t i = 0; i < p->plan.n_members && code == UPT_OK; i++)
		code = look_at(p, &p->plan.members[i], &facts[i], err);
	if (code == UPT_OK)
		*out = facts;
	else
		free(facts);
	return code;
}

/* ---- written down ---- */

/* The way back is gone also when it cannot be written down: the next cycle looks again. */
static void
try_to_save(struct upt_primary *p)
{
	struct upt_err err = {0};

	if (upt_store_save_plan(p->store, &p->plan, &err) != UPT_OK)
		upt_log_err(p->log, UPT_LOG_WARNING, &err, "cannot write the plan of the bundle");
}

static enum upt_member_state
see_progress(struct upt_plan_member *m, enum upt_plan_at at)
{
	if (m->state == UPT_MEMBER_KEPT || m->state == UPT_MEMBER_FAILED)
		return m->state;
	switch (at) {
	case UPT_AT_NEW:
		return UPT_MEMBER_DONE;
	case UPT_AT_WAITS:
	case UPT_AT_TRIAL:
		return UPT_MEMBER_WAITING;
	case UPT_AT_LEAVING:
		return UPT_MEMBER_GOING_BACK;
	case UPT_AT_OLD:
	case UPT_AT_STUCK:
		break;
	}
	return m->state;
}

/* What people are shown; and, of what is to come up again after a reboot, that this was tried. */
static bool
note_progress(struct upt_primary *p, const struct upt_plan_fact *facts)
{
	bool changed = false;

	for (size_t i = 0; i < p->plan.n_members; i++) {
		struct upt_plan_member *m = &p->plan.members[i];
		enum upt_member_state seen = see_progress(m, facts[i].at);
		uint64_t n_tries = facts[i].at == UPT_AT_LEAVING ? MAX_TRIES : m->n_tries;

		changed = changed || seen != m->state || n_tries != m->n_tries;
		m->state = seen;
		m->n_tries = n_tries;
	}
	return changed;
}

static enum upt_code
note_wait(struct upt_primary *p, const struct upt_plan_fact *facts, enum upt_plan_step_kind kind,
	struct upt_err *err)
{
	bool waits = kind == UPT_STEP_WAIT && p->plan.state != UPT_PLAN_ROLLING_BACK &&
		     p->plan.state != UPT_PLAN_ON_TRIAL;

	if (waits)
		p->plan.state = UPT_PLAN_ON_TRIAL;
	/* Before the next is installed it is written anyway. */
	return (note_progress(p, facts) && kind != UPT_STEP_INSTALL) || waits
		       ? upt_store_save_plan(p->store, &p->plan, err)
		       : UPT_OK;
}

/* ---- the ends ---- */

static enum upt_code
confirm(struct upt_primary *p, const struct upt_plan_fact *facts, struct upt_err *err)
{
	struct upt_plan *plan = &p->plan;

	plan->state = UPT_PLAN_CONFIRMED;
	/* What the Director withdrew it need not hear of; deployed ones would cancel what they
	 * assign now. */
	plan->reports = true;
	(void)note_progress(p, facts);
	for (size_t i = 0; i < plan->n_members; i++) {
		if (facts[i].at == UPT_AT_NEW)
			continue;
		plan->members[i].state = UPT_MEMBER_LEFT;
		plan->reports = false;
	}
	upt_log(p->log, UPT_LOG_INFO, "the bundle of %zu ECU(s) is confirmed", plan->n_members);
	return upt_store_save_plan(p->store, plan, err);
}

static void
end_rollback(struct upt_primary *p, const struct upt_plan_fact *facts)
{
	struct upt_plan *plan = &p->plan;
	struct upt_err err = {0};

	plan->state = UPT_PLAN_ROLLED_BACK;
	plan->reports = plan->refuses;
	for (size_t i = 0; i < plan->n_members; i++) {
		struct upt_plan_member *m = &plan->members[i];

		if (facts[i].at == UPT_AT_OLD && was_begun(m) && m->state != UPT_MEMBER_FAILED)
			m->state = UPT_MEMBER_BACK;
		else if (facts[i].at != UPT_AT_OLD)
			m->state = m->reversible ? UPT_MEMBER_KEPT : UPT_MEMBER_DONE;
		if (facts[i].at != UPT_AT_OLD)
			upt_log(p->log, UPT_LOG_WARNING, "ECU %s keeps %s%s", m->ecu,
				m->redescribed ? "the new description of " : "", m->image.name);
	}
	upt_log(p->log, UPT_LOG_WARNING, "the bundle is rolled back: %s", plan->reason);
	if (upt_store_end_plan(p->store, plan, &err) != UPT_OK)
		upt_log_err(p->log, UPT_LOG_WARNING, &err, "cannot write the end of the bundle");
}

/* ---- back ---- */

static void
begin_rollback(struct upt_primary *p, bool refuses, const char *reason)
{
	p->plan.state = UPT_PLAN_ROLLING_BACK;
	p->plan.refuses = refuses;
	snprintf(p->plan.reason, sizeof(p->plan.reason), "%s", reason);
	try_to_save(p);
}

struct last_words {
	const struct upt_primary *p;
	struct upt_plan_member *member;
};

static enum upt_code
take_words(void *ctx, const struct upt_incident *incident, struct upt_err *err)
{
	struct last_words *words = ctx;

	(void)err;
	if (incident->code == UPT_E_INSTALL && incident->time >= words->p->plan.time &&
		strcmp(incident->ecu, words->member->ecu) == 0)
		memcpy(words->member->reason, incident->message, sizeof(words->member->reason));
	return UPT_OK;
}

/* It failed where no plan was at hand: in its trial, in the boot loader, by a person's word. */
static void
give_up(struct upt_primary *p, struct upt_plan_member *m)
{
	struct last_words words = {p, m};
	struct upt_err err = {0}, reason = {0};

	if (upt_store_each_incident(p->store, false, take_words, &words, &err) != UPT_OK)
		upt_log_err(p->log, UPT_LOG_WARNING, &err, "cannot read why ECU %s failed", m->ecu);
	if (m->reason[0] == '\0')
		snprintf(m->reason, sizeof(m->reason), "was rolled back here");
	m->state = UPT_MEMBER_FAILED;
	upt_fail(&reason, UPT_E_INSTALL, "ECU %s: %s", m->ecu, m->reason);
	begin_rollback(p, true, reason.message);
}

static enum upt_code
take_back(struct upt_primary *p, struct upt_ecu *ecu, const struct upt_plan_member *m,
	struct upt_err *err)
{
	struct upt_slots s;

	/* Under another name the same bytes ran before, and the engine has nothing to undo. */
	if (upt_image_same_content(&m->image, &m->before))
		UPT_TRY(upt_store_set_image(p->store, m->ecu, UPT_SLOT_INSTALLED, &m->before, err));
	else
		UPT_TRY(upt_ecu_undo(p, ecu, &m->image, err));
	ecu->unnoted = false;
	UPT_TRY(upt_ecu_get_slots(p, ecu, &s, err));
	ecu->installed = s.installed;
	return UPT_OK;
}

static void
keep(struct upt_plan_member *m, const char *reason)
{
	m->state = UPT_MEMBER_KEPT;
	snprintf(m->reason, sizeof(m->reason), "%s", reason);
}

static void
go_back(struct upt_primary *p, struct upt_plan_member *m)
{
	struct upt_ecu *ecu = find_ecu(p, m->ecu);
	struct upt_err err = {0};
	enum upt_code code;

	if (m->n_tries >= MAX_TRIES) {
		keep(m, m->reason[0] != '\0' ? m->reason
					     : "what ran before does not come up any more");
		try_to_save(p);
		return;
	}
	code = take_back(p, ecu, m, &err);
	m->n_tries += code == UPT_OK || code == UPT_E_INSTALL ? 1 : 0;
	if (code == UPT_OK)
		return;
	upt_log_err(p->log, UPT_LOG_WARNING, &err, "ECU %s keeps %s", m->ecu, m->image.name);
	ecu->stuck = true;
	if (code == UPT_E_NOT_FOUND || code == UPT_E_UNSUPPORTED || m->n_tries >= MAX_TRIES)
		keep(m, err.message);
	try_to_save(p);
}

/* ---- carrying on ---- */

static enum upt_code
take_step(struct upt_primary *p, struct upt_plan_step step, const struct upt_plan_fact *facts,
	struct upt_err *err)
{
	struct upt_plan_member *m = &p->plan.members[step.member];

	switch (step.kind) {
	case UPT_STEP_CONFIRM:
		return confirm(p, facts, err);
	case UPT_STEP_GIVE_UP:
		give_up(p, m);
		return UPT_OK;
	case UPT_STEP_WITHDRAW:
		begin_rollback(p, false, "the Director assigns something else");
		return UPT_OK;
	case UPT_STEP_GO_BACK:
		go_back(p, m);
		return UPT_OK;
	case UPT_STEP_END:
		end_rollback(p, facts);
		return UPT_OK;
	case UPT_STEP_NONE:
	case UPT_STEP_INSTALL:
	case UPT_STEP_WAIT:
		break;
	}
	return note_wait(p, facts, step.kind, err);
}

enum upt_code
upt_bundle_carry_on(
	struct upt_primary *p, bool replaced, struct upt_plan_step *next, struct upt_err *err)
{
	do {
		upt_cleanup(upt_free_ptr) struct upt_plan_fact *facts = NULL;

		*next = (struct upt_plan_step){0};
		if (!upt_plan_is_open(&p->plan))
			return UPT_OK;
		UPT_TRY(look(p, &facts, err));
		*next = upt_plan_next(&p->plan, facts, replaced);
		UPT_TRY(take_step(p, *next, facts, err));
	} while (next->kind != UPT_STEP_INSTALL && next->kind != UPT_STEP_WAIT);
	return UPT_OK;
}

enum upt_code
upt_bundle_allows(struct upt_primary *p, const struct upt_job *job, bool *yes, struct upt_err *err)
{
	upt_cleanup(upt_free_ptr) struct upt_plan_fact *facts = NULL;

	*yes = !upt_plan_is_open(&p->plan);
	if (*yes || find_member(p, job->ecu) == NULL)
		return UPT_OK;
	UPT_TRY(look(p, &facts, err));
	*yes = upt_plan_next(&p->plan, facts, false).kind == UPT_STEP_INSTALL;
	return UPT_OK;
}

static bool
is_assigned(const struct upt_primary *p, const struct upt_plan_member *m)
{
	const struct upt_repository *director = &p->repos[UPT_DIRECTOR_INDEX];

	for (size_t i = 0; i < director->n_assignments; i++) {
		const struct upt_assignment *a = &director->assignments[i];

		if (strcmp(p->ecus[a->ecu].config->serial, m->ecu) == 0)
			return upt_image_same(&a->target.image, &m->image);
	}
	return false;
}

enum upt_code
upt_bundle_follow(struct upt_primary *p, struct upt_err *err)
{
	bool replaced = false;
	struct upt_plan_step next;

	for (size_t i = 0; i < p->plan.n_members; i++)
		replaced = replaced || !is_assigned(p, &p->plan.members[i]);
	return upt_bundle_carry_on(p, replaced, &next, err);
}

/* ---- at the start of a process ---- */

static bool
says_it_is_there(const struct upt_ecu *ecu, const struct upt_image *image, bool *done)
{
	struct upt_err unknown = {0};

	*done = false;
	return ecu->installer->ops->finalize(ecu->installer, image, done, &unknown) == UPT_OK;
}

/*
 * The power went while an engine was asked: it may have done it, and the slots do not know. What
 * reboots becomes PENDING and is put to its trial like all others.
 */
static enum upt_code
repair(struct upt_primary *p, const struct upt_plan_member *m, struct upt_err *err)
{
	struct upt_ecu *ecu = find_ecu(p, m->ecu);
	struct upt_slots s;
	bool done;

	if (m->state != UPT_MEMBER_INSTALLING || m->redescribed || ecu == NULL ||
		ecu->installer == NULL)
		return UPT_OK;
	UPT_TRY(upt_ecu_get_slots(p, ecu, &s, err));
	if (s.pending.name[0] != '\0' || upt_image_same(&s.installed, &m->image) ||
		!says_it_is_there(ecu, &m->image, &done))
		return UPT_OK;
	if (upt_ecu_reboots(ecu))
		return upt_store_set_image(p->store, m->ecu, UPT_SLOT_PENDING, &m->image, err);
	return done ? upt_ecu_confirm(p, ecu, &m->image, err) : UPT_OK;
}

enum upt_code
upt_bundle_load(struct upt_primary *p, struct upt_err *err)
{
	UPT_TRY(upt_store_load_plan(p->store, &p->plan, err));
	for (size_t i = 0; i < p->n_ecus; i++)
		p->ecus[i].stuck = p->ecus[i].unnoted = p->ecus[i].told = false;
	for (size_t i = 0; i < p->plan.n_members && upt_plan_is_open(&p->plan); i++)
		UPT_TRY(repair(p, &p->plan.members[i], err));
	return UPT_OK;
}

/* ---- a new plan ---- */

static void
describe_member(const struct upt_job *job, struct upt_plan_member *out)
{
	const struct upt_installer *installer = job->ecu->installer;

	*out = (struct upt_plan_member){.image = job->image.image,
		.before = job->ecu->installed,
		.redescribed = job->redescribed};
	snprintf(out->ecu, sizeof(out->ecu), "%s", job->ecu->config->serial);
	out->reversible = installer != NULL && installer->ops->rollback != NULL &&
			  out->before.name[0] != '\0' && !job->redescribed;
}

/* Secondaries, then applications, the Primary's own system at the end: it is the one that reboots.
 * Jobs are in the order of the configuration, where the Primary is the first. */
static enum upt_code
fill_members(struct upt_primary *p, struct upt_plan *plan, struct upt_plan_wish *wishes,
	struct upt_err *err)
{
	for (size_t i = p->n_jobs; i > 0; i--) {
		const struct upt_job *job = &p->jobs[i - 1];

		if (!job->prepared)
			continue;
		describe_member(job, &plan->members[plan->n_members]);
		wishes[plan->n_members++] =
			(struct upt_plan_wish){.hardware_id = job->ecu->config->hardware_id,
				.n_after = job->image.n_install_after,
				.after = job->image.install_after};
	}
	return upt_plan_order(plan, wishes, err);
}

/* Before the start: what will stay new whatever comes. */
static void
name_what_stays(const struct upt_primary *p, const struct upt_plan *plan)
{
	size_t n_to_come = 0;

	for (size_t i = plan->n_members; i > 0; i--) {
		const struct upt_plan_member *m = &plan->members[i - 1];

		if (m->reversible)
			n_to_come++;
		else
			upt_log(p->log, UPT_LOG_INFO,
				"ECU %s: %s cannot be rolled back: it is installed %s", m->ecu,
				m->image.name,
				n_to_come == 0 ? "last"
					       : "before others, which must come after it");
	}
}

static enum upt_code
describe_assignment(struct upt_primary *p, struct upt_plan *plan, struct upt_err *err)
{
	const struct upt_metadata *targets =
		upt_trusted_set_targets(p->repos[UPT_DIRECTOR_INDEX].set);
	const char *id;

	UPT_TRY(upt_director_correlation_id(targets, &p->arena, &id, err));
	snprintf(plan->correlation_id, sizeof(plan->correlation_id), "%s", id);
	plan->targets_version = targets->version;
	plan->time = p->now;
	return UPT_OK;
}

enum upt_code
upt_bundle_begin(struct upt_primary *p, struct upt_err *err)
{
	upt_cleanup(upt_plan_clear) struct upt_plan plan = {.state = UPT_PLAN_PREPARED};
	upt_cleanup(upt_free_ptr) struct upt_plan_wish *wishes = NULL;

	if (upt_plan_is_open(&p->plan))
		return UPT_OK;
	plan.members = calloc(p->n_jobs + 1, sizeof(*plan.members));
	wishes = calloc(p->n_jobs + 1, sizeof(*wishes));
	if (plan.members == NULL || wishes == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a plan");
	UPT_TRY(fill_members(p, &plan, wishes, err));
	if (plan.n_members == 0)
		return UPT_OK;
	UPT_TRY(describe_assignment(p, &plan, err));
	name_what_stays(p, &plan);
	UPT_TRY(upt_store_save_plan(p->store, &plan, err));
	upt_plan_clear(&p->plan);
	p->plan = plan;
	plan.members = NULL;
	return UPT_OK;
}

enum upt_code
upt_bundle_install(struct upt_primary *p, size_t member, struct upt_err *err)
{
	p->plan.state = UPT_PLAN_INSTALLING;
	p->plan.members[member].state = UPT_MEMBER_INSTALLING;
	return upt_store_save_plan(p->store, &p->plan, err);
}

void
upt_bundle_fail(struct upt_primary *p, size_t member, const struct upt_err *failure)
{
	struct upt_plan_member *m = &p->plan.members[member];
	bool refuses = failure->code == UPT_E_INSTALL;
	struct upt_err err = {0};
	struct upt_plan_step next;

	snprintf(m->reason, sizeof(m->reason), "%s", failure->message);
	/* Everything before it runs and is well: it is asked again, and nothing goes back for want
	 * of a network. */
	if (!refuses && m->last) {
		try_to_save(p);
		return;
	}
	if (refuses)
		m->state = UPT_MEMBER_FAILED;
	begin_rollback(p, refuses, failure->message);
	if (upt_bundle_carry_on(p, false, &next, &err) != UPT_OK)
		upt_log_err(p->log, UPT_LOG_WARNING, &err, "the bundle is rolled back later");
}

/* Noted last first, as what fails is: what is still to be done is refused before what is done. */
static enum upt_code
refuse_wanted(struct upt_primary *p, struct upt_err *err)
{
	for (size_t i = p->n_jobs; i > 0; i--) {
		const struct upt_job *job = &p->jobs[i - 1];

		if (job->state == UPT_JOB_WANTED && !job->redescribed)
			UPT_TRY(upt_store_set_image(p->store, job->ecu->config->serial,
				UPT_SLOT_REFUSED, &job->image.image, err));
	}
	return UPT_OK;
}

enum upt_code
upt_bundle_refuse(struct upt_primary *p, const char *reason, struct upt_err *err)
{
	struct upt_plan_step next;

	UPT_TRY(refuse_wanted(p, err));
	if (!upt_plan_is_open(&p->plan))
		return UPT_OK;
	begin_rollback(p, true, reason);
	return upt_bundle_carry_on(p, false, &next, err);
}
