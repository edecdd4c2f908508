/*
 * The update cycle: the Standard's seven steps ("what the Primary does", 2.1), in order, on one page.
 */
#include "primary/internal.h"

/* Step 2: the later of the system clock and the provisioned floor; a clock behind it is never believed. */
static enum upt_code
load_time(struct upt_primary *p, struct upt_err *err)
{
	int64_t clock = p->options.clock(p->options.clock_ctx);
	uint64_t floor;

	UPT_TRY(upt_store_get_u64(p->store, "time_floor", (uint64_t)p->config->build_time, &floor, err));
	if ((int64_t)floor < p->config->build_time)
		floor = (uint64_t)p->config->build_time;
	if (clock < (int64_t)floor)
		upt_log(p->log, UPT_LOG_WARNING, "the system clock is %lld s behind the trusted floor",
			(long long)((int64_t)floor - clock));
	p->now = clock > (int64_t)floor ? clock : (int64_t)floor;
	return UPT_OK;
}

/* Steps 4 to 7: everything that the bundle needs is fetched, verified and handed over before anything is
 * installed. A Secondary that cannot be reached, or goes away meanwhile, is left for a later cycle: a broken one
 * must not keep the vehicle's others from their updates. Any other fault ends the bundle. */
static enum upt_code
prepare_all(struct upt_primary *p, struct upt_err *err)
{
	for (size_t i = 0; i < p->n_jobs; i++) {
		struct upt_job *job = &p->jobs[i];
		const char *serial = job->ecu->config->serial;
		enum upt_code code;

		if (!job->ecu->reachable)
			continue;
		code = upt_primary_prepare(p, job, err);
		if (code == UPT_E_NETWORK && !job->ecu->reachable)
			upt_log_err(p->log, UPT_LOG_WARNING, err, "Secondary %s went away", serial);
		else if (code != UPT_OK)
			return upt_wrap(err, code, "ECU %s", serial);
	}
	return UPT_OK;
}

/* What could not be brought to its ECU: the cycle is not done, and the next one is to come soon. */
static enum upt_code
check_all_prepared(const struct upt_primary *p, struct upt_err *err)
{
	for (size_t i = 0; i < p->n_jobs; i++) {
		if (!p->jobs[i].prepared)
			return upt_fail(err, UPT_E_NETWORK,
				"Secondary %s cannot be reached: %s is left for a later cycle",
				p->jobs[i].ecu->config->serial, p->jobs[i].director.image.name);
	}
	return UPT_OK;
}

static enum upt_code
run_steps(struct upt_primary *p, struct upt_cycle_summary *summary, struct upt_err *err)
{
	bool changed;

	/* Step 1: vehicle version manifest */
	UPT_TRY(upt_primary_send_manifest(p, err));
	/* Step 2: time (again before step 3: the manifest may have waited for a slow Secondary) */
	UPT_TRY(load_time(p, err));
	/* Step 3: metadata of the Director; nothing new and nothing left to do ends the cycle (5.7) */
	UPT_TRY(upt_primary_verify_director(p, &changed, err));
	UPT_TRY(upt_primary_plan(p, summary, err));
	if (p->n_jobs == 0) {
		upt_primary_prune_images(p);
		return UPT_OK;
	}
	/* Step 3: metadata of the Image repository, and the match of every target */
	UPT_TRY(upt_primary_verify_images(p, err));
	upt_primary_prune_images(p); /* first, so that there is room for what comes */
	/* Steps 4 to 7: images; time, metadata and images to the Secondaries */
	UPT_TRY(prepare_all(p, err));
	/* "Installing images", then the report of what runs now */
	UPT_TRY(upt_primary_install(p, summary, err));
	upt_primary_prune_images(p);
	if (summary->n_installed > 0)
		UPT_TRY(upt_primary_send_manifest(p, err));
	return check_all_prepared(p, err);
}

/* A failed step jumps to the version report (3.3, 3.9, 3.17): the Director learns of the attack at once. */
static void
report_failure(struct upt_primary *p, const struct upt_err *failure)
{
	struct upt_err err = {0};

	upt_primary_record(p, "", failure);
	if (upt_code_attack(failure->code) == UPT_ATTACK_NONE && failure->code != UPT_E_INSTALL)
		return;
	if (upt_primary_send_manifest(p, &err) != UPT_OK)
		upt_log_err(p->log, UPT_LOG_WARNING, &err, "the refusal will be reported later");
}

static void
remember_result(struct upt_primary *p, enum upt_code code, const struct upt_err *failure)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	struct upt_err err = {0};

	if (upt_buf_printf(&text, &err, "%lld %s %s", (long long)p->now, upt_code_name(code),
		    code != UPT_OK ? failure->message : "") != UPT_OK ||
		upt_store_set_text(p->store, "last_cycle", upt_buf_span(&text), &err) != UPT_OK)
		upt_log_err(p->log, UPT_LOG_WARNING, &err, "cannot note the cycle's result");
}

enum upt_code
upt_primary_cycle(struct upt_primary *p, struct upt_cycle_summary *summary, struct upt_err *err)
{
	struct upt_http_stats before = upt_http_get_stats(p->http), after;
	struct upt_err failure = {0};
	enum upt_code code;

	*summary = (struct upt_cycle_summary){0};
	UPT_TRY(load_time(p, err));
	UPT_TRY(upt_primary_begin_cycle(p, err));
	/* Before the cycle: what a reboot or a crash left half done, and the first registration. */
	code = upt_primary_finalize(p, &failure);
	if (code == UPT_OK)
		code = upt_primary_register(p, &failure);
	if (code == UPT_OK)
		code = run_steps(p, summary, &failure);
	if (code != UPT_OK)
		report_failure(p, &failure);
	remember_result(p, code, &failure);
	upt_primary_end_cycle(p);
	after = upt_http_get_stats(p->http);
	summary->n_requests = after.n_requests - before.n_requests;
	summary->n_connections = after.n_connections - before.n_connections;
	summary->received_bytes = after.received_bytes - before.received_bytes;
	if (code != UPT_OK && err != NULL)
		*err = failure;
	return code;
}

enum upt_code
upt_primary_check(struct upt_primary *p, upt_check_each *each, void *ctx, struct upt_err *err)
{
	struct upt_cycle_summary summary = {0};
	enum upt_code code;
	bool changed;

	UPT_TRY(load_time(p, err));
	UPT_TRY(upt_primary_begin_cycle(p, err));
	UPT_TRY(upt_primary_register(p, err));
	UPT_TRY(upt_primary_send_manifest(p, err));
	UPT_TRY(upt_primary_verify_director(p, &changed, err));
	UPT_TRY(upt_primary_plan(p, &summary, err));
	code = p->n_jobs > 0 ? upt_primary_verify_images(p, err) : UPT_OK;
	for (size_t i = 0; i < p->n_assignments && code == UPT_OK; i++) {
		const struct upt_assignment *a = &p->assignments[i];
		const char *verdict = "installed";

		for (size_t k = 0; k < p->n_jobs; k++) {
			if (p->jobs[k].ecu == &p->ecus[a->ecu])
				verdict = "would be installed";
		}
		each(ctx, p->ecus[a->ecu].config->serial, a->target.image.name, verdict);
	}
	upt_primary_end_cycle(p);
	return code;
}
