/*
 * The update cycle: the Standard's seven steps ("what the Primary does", 2.1), in order, on one
 * page.
 */
#include "primary/internal.h"

static enum upt_code
read_clock(struct upt_primary *p, int64_t *now, int64_t *behind_s, struct upt_err *err)
{
	int64_t clock = p->options.clock(p->options.clock_ctx);
	int64_t floor = p->config->build_time;
	uint64_t stored;

	UPT_TRY(upt_store_get_u64(p->store, "time_floor", 0, &stored, err));
	if (stored <= INT64_MAX && (int64_t)stored > floor)
		floor = (int64_t)stored;
	*now = clock > floor ? clock : floor;
	*behind_s = *now - clock;
	return UPT_OK;
}

/* Step 2: the later of the system clock and the provisioned floor; a clock behind it is never
 * believed. */
static enum upt_code
load_time(struct upt_primary *p, struct upt_err *err)
{
	int64_t behind_s;

	UPT_TRY(read_clock(p, &p->now, &behind_s, err));
	if (behind_s > 0)
		upt_log(p->log, UPT_LOG_WARNING,
			"the system clock is %lld s behind the trusted floor", (long long)behind_s);
	return UPT_OK;
}

enum upt_code
upt_primary_later_time(struct upt_primary *p, struct upt_err *err)
{
	int64_t now, behind_s;

	UPT_TRY(read_clock(p, &now, &behind_s, err));
	if (now > p->now)
		p->now = now;
	return UPT_OK;
}

/* Steps 4 to 7: everything that the bundle needs is fetched, verified and handed over before
 * anything is installed. A Secondary that cannot be reached is left for a later cycle; any other
 * fault ends the bundle. */
static enum upt_code
prepare_all(struct upt_primary *p, struct upt_cycle_summary *summary, struct upt_err *err)
{
	upt_primary_prune_images(p); /* first, so that there is room for what comes */
	for (size_t i = 0; i < p->n_jobs; i++) {
		struct upt_job *job = &p->jobs[i];
		enum upt_code code;

		if (job->state != UPT_JOB_WANTED)
			continue;
		code = upt_primary_prepare(p, job, err);
		if (code != UPT_OK)
			return upt_wrap(err, code, "ECU %s", job->ecu->config->serial);
		summary->n_unreachable += job->state == UPT_JOB_UNREACHABLE ? 1 : 0;
	}
	return UPT_OK;
}

/* What could not be brought to its ECU: the cycle is not done, and the next one is to come soon. */
static enum upt_code
check_all_reached(const struct upt_primary *p, struct upt_err *err)
{
	for (size_t i = 0; i < p->n_jobs; i++) {
		if (p->jobs[i].state == UPT_JOB_UNREACHABLE)
			return upt_fail(err, UPT_E_NETWORK,
				"ECU %s does not answer: %s is left for a later cycle",
				p->jobs[i].ecu->config->serial, p->jobs[i].director.image.name);
	}
	return UPT_OK;
}

/* Nothing is to be installed; what went back is told. */
static enum upt_code
end_idle(struct upt_primary *p, struct upt_err *err)
{
	struct upt_plan_step next;

	upt_primary_prune_images(p);
	UPT_TRY(upt_bundle_carry_on(p, false, &next, err));
	if (p->changed)
		UPT_TRY(upt_primary_send_manifest(p, err));
	return check_all_reached(p, err);
}

/* *again: time went by, metadata expired, and all of it must be verified anew before anything is
 * installed. */
static enum upt_code
run_steps(
	struct upt_primary *p, struct upt_cycle_summary *summary, bool *again, struct upt_err *err)
{
	bool changed, look, open;

	*again = false;
	/* Step 1: vehicle version manifest */
	UPT_TRY(upt_primary_send_manifest(p, err));
	/* Step 2: time, after step 1: the manifest may have waited for a slow Secondary */
	UPT_TRY(upt_primary_later_time(p, err));
	/* Step 3: metadata of the Director; nothing new and nothing left to do ends the cycle (5.7)
	 */
	UPT_TRY(upt_primary_verify_director(p, &changed, err));
	UPT_TRY(upt_bundle_follow(p, err));
	UPT_TRY(upt_primary_plan(p, summary, err));
	UPT_TRY(upt_primary_must_look(p, &look, err));
	if (summary->n_wanted == 0 && !look)
		return end_idle(p, err);
	/* Step 3: metadata of the Image repository, and the match of every target */
	UPT_TRY(upt_primary_verify_images(p, err));
	UPT_TRY(upt_primary_plan_descriptions(p, summary, err));
	if (summary->n_wanted == 0) {
		UPT_TRY(upt_primary_note_looked(p, err));
		return end_idle(p, err);
	}
	UPT_TRY(upt_primary_ask_gates(p, UPT_GATE_DOWNLOAD, &open, err));
	if (!open)
		return check_all_reached(p, err);
	/* Steps 4 to 7: images; time, metadata and images to the Secondaries */
	UPT_TRY(prepare_all(p, summary, err));
	/* What was fetched stays until the gates are open, and all of it is verified again then. */
	UPT_TRY(upt_primary_ask_gates(p, UPT_GATE_INSTALL, &open, err));
	if (!open)
		return check_all_reached(p, err);
	UPT_TRY(upt_primary_later_time(p, err));
	*again = !upt_primary_is_fresh(p);
	if (*again)
		return UPT_OK;
	/* "Installing images", then the report of what runs now */
	UPT_TRY(upt_primary_install(p, summary, err));
	UPT_TRY(upt_primary_note_looked(p, err));
	upt_primary_prune_images(p);
	if (p->changed)
		UPT_TRY(upt_primary_send_manifest(p, err));
	return check_all_reached(p, err);
}

/* Twice at most: metadata that is fetched anew and has expired is a freeze, and is refused as one.
 */
static enum upt_code
run_while_fresh(struct upt_primary *p, struct upt_cycle_summary *summary, struct upt_err *err)
{
	bool again;

	UPT_TRY(run_steps(p, summary, &again, err));
	if (!again)
		return UPT_OK;
	upt_log(p->log, UPT_LOG_INFO, "metadata expired while images were fetched: verifying anew");
	UPT_TRY(upt_primary_begin_cycle(p, err));
	*summary = (struct upt_cycle_summary){0};
	UPT_TRY(run_steps(p, summary, &again, err));
	return again ? upt_fail(err, UPT_E_EXPIRED, "metadata expires faster than it can be used")
		     : UPT_OK;
}

/* A failed step jumps to the version report (3.3, 3.9, 3.17): the Director learns of the attack at
 * once. */
static void
report_failure(struct upt_primary *p, const struct upt_err *failure)
{
	struct upt_err err = {0};

	upt_primary_record(p, "", failure);
	if (upt_code_attack(failure->code) == UPT_ATTACK_NONE && !p->changed)
		return;
	if (upt_primary_send_manifest(p, &err) != UPT_OK)
		upt_log_err(p->log, UPT_LOG_WARNING, &err, "the refusal will be reported later");
}

static void
remember_result(struct upt_primary *p, enum upt_code code, const struct upt_err *failure)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	const struct upt_wait *wait = code == UPT_OK ? upt_primary_waits(p) : NULL;
	const char *failed = code != UPT_OK ? failure->message : "";
	struct upt_err err = {0};

	if (upt_buf_printf(&text, &err, "%lld %s %s%s", (long long)p->now, upt_code_name(code),
		    wait != NULL ? "waits for gate " : failed,
		    wait != NULL ? wait->gate : "") != UPT_OK ||
		upt_store_set_text(p->store, "last_cycle", upt_buf_span(&text), &err) != UPT_OK ||
		upt_primary_note_wait(p, &err) != UPT_OK)
		upt_log_err(p->log, UPT_LOG_WARNING, &err, "cannot note the cycle's result");
}

static struct upt_http_stats
all_stats(const struct upt_primary *p)
{
	struct upt_http_stats own = upt_http_get_stats(p->http), foreign = {0};

	if (p->foreign_http != NULL)
		foreign = upt_http_get_stats(p->foreign_http);
	return (struct upt_http_stats){.n_requests = own.n_requests + foreign.n_requests,
		.n_connections = own.n_connections + foreign.n_connections,
		.received_bytes = own.received_bytes + foreign.received_bytes};
}

static unsigned
count_pending(struct upt_primary *p)
{
	struct upt_image pending;
	struct upt_err err;
	unsigned n = 0;

	for (size_t i = 0; i < p->n_ecus; i++) {
		if (upt_store_get_image(p->store, p->ecus[i].config->serial, UPT_SLOT_PENDING,
			    &pending, &err) == UPT_OK)
			n += pending.name[0] != '\0';
	}
	return n;
}

enum upt_code
upt_primary_cycle(struct upt_primary *p, struct upt_cycle_summary *summary, struct upt_err *err)
{
	struct upt_http_stats before = all_stats(p), after;
	struct upt_err failure = {0};
	enum upt_code code;

	*summary = (struct upt_cycle_summary){0};
	UPT_TRY(load_time(p, err));
	UPT_TRY(upt_primary_begin_cycle(p, err));
	p->wait = (struct upt_wait){0};
	/* Before the cycle: what a reboot or a crash left half done, and the first registration. */
	upt_primary_resume(p);
	p->tries = true;
	code = upt_primary_settle(p, &failure);
	p->tries = false;
	if (code == UPT_OK)
		code = upt_primary_register(p, &failure);
	if (code == UPT_OK)
		code = run_while_fresh(p, summary, &failure);
	if (code != UPT_OK)
		report_failure(p, &failure);
	remember_result(p, code, &failure);
	upt_primary_end_cycle(p);
	summary->n_pending = count_pending(p);
	for (size_t i = 0; i < p->n_ecus; i++)
		summary->wants_reboot = summary->wants_reboot || p->ecus[i].waits;
	after = all_stats(p);
	summary->n_requests = after.n_requests - before.n_requests;
	summary->n_connections = after.n_connections - before.n_connections;
	summary->received_bytes = after.received_bytes - before.received_bytes;
	if (code != UPT_OK && err != NULL)
		*err = failure;
	return code;
}

static const char *
verdict(enum upt_job_state state)
{
	switch (state) {
	case UPT_JOB_DONE:
		return "installed";
	case UPT_JOB_PENDING:
		return "waits for a reboot";
	case UPT_JOB_TRIAL:
		return "runs on trial";
	case UPT_JOB_REFUSED:
		return "was rolled back or failed here";
	case UPT_JOB_UNREACHABLE:
		return "ECU does not answer";
	case UPT_JOB_LATER:
		return "waits for the bundle under way";
	case UPT_JOB_WANTED:
		return "would be installed";
	}
	return "";
}

enum upt_code
upt_primary_check(struct upt_primary *p, upt_check_each *each, void *ctx, struct upt_err *err)
{
	struct upt_cycle_summary summary = {0};
	enum upt_code code = UPT_OK;
	bool changed;

	UPT_TRY(load_time(p, err));
	UPT_TRY(upt_primary_begin_cycle(p, err));
	UPT_TRY(upt_primary_settle(p, err));
	UPT_TRY(upt_primary_register(p, err));
	UPT_TRY(upt_primary_send_manifest(p, err));
	UPT_TRY(upt_primary_verify_director(p, &changed, err));
	UPT_TRY(upt_primary_plan(p, &summary, err));
	/* Also with nothing to install: a person asks whether both repositories are sound. */
	code = upt_primary_verify_images(p, err);
	if (code == UPT_OK)
		code = upt_primary_plan_descriptions(p, &summary, err);
	for (size_t i = 0; i < p->n_jobs && code == UPT_OK; i++)
		each(ctx, p->jobs[i].ecu->config->serial, p->jobs[i].director.image.name,
			verdict(p->jobs[i].state));
	upt_primary_end_cycle(p);
	return code;
}
