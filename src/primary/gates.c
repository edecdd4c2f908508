/*
 * Gates: whether an update may go on now. Asked are the inhibitor, the maintenance windows and the
 * programs in gates.d, until one says no. Whatever is no clear answer is "not now": a device that
 * cannot tell whether it is parked is not.
 */
#include <string.h>
#include <sysexits.h>
#include "base/clock.h"
#include "installer/programs.h"
#include "installer/run.h"
#include "primary/internal.h"

#define MAX_UPDATES_TOLD 64

/* ---- what a gate is told ---- */

struct facts {
	struct upt_buf vehicle, count, updates;
	unsigned n_updates;
};

static void
facts_clear(struct facts *f)
{
	upt_buf_clear(&f->vehicle);
	upt_buf_clear(&f->count);
	upt_buf_clear(&f->updates);
}

/* "SERIAL<TAB>NAME\n": whatever a name holds, a line is a line. */
static enum upt_code
add_update(struct facts *f, const char *serial, const char *name, struct upt_err *err)
{
	char clean_serial[UPT_ECU_SERIAL_MAX + 1], clean_name[UPT_TARGET_NAME_MAX + 1];

	if (f->n_updates == 0)
		UPT_TRY(upt_buf_printf(&f->updates, err, "UPTANE_UPDATES="));
	if (f->n_updates++ >= MAX_UPDATES_TOLD)
		return UPT_OK;
	snprintf(clean_serial, sizeof(clean_serial), "%s", serial);
	snprintf(clean_name, sizeof(clean_name), "%s", name);
	upt_sanitize(clean_serial);
	upt_sanitize(clean_name);
	return upt_buf_printf(&f->updates, err, "%s\t%s\n", clean_serial, clean_name);
}

/* Those of this cycle that the step is about. */
static enum upt_code
add_jobs(struct upt_primary *p, enum upt_gate gate, struct facts *f, struct upt_err *err)
{
	for (size_t i = 0; i < p->n_jobs; i++) {
		const struct upt_job *job = &p->jobs[i];

		if (gate == UPT_GATE_INSTALL ? job->prepared : job->state == UPT_JOB_WANTED)
			UPT_TRY(add_update(
				f, job->ecu->config->serial, job->image.image.name, err));
	}
	return UPT_OK;
}

/* Those that wait for the reboot. *leaving: it is only to leave what failed, or what a person went
 * back from. */
static enum upt_code
add_waiting(struct upt_primary *p, struct facts *f, bool *leaving, struct upt_err *err)
{
	*leaving = true;
	for (size_t i = 0; i < p->n_ecus; i++) {
		const struct upt_ecu *ecu = &p->ecus[i];
		struct upt_slots s;

		if (!ecu->waits)
			continue;
		UPT_TRY(upt_ecu_get_slots(p, ecu, &s, err));
		UPT_TRY(add_update(f, ecu->config->serial, s.pending.name, err));
		*leaving = *leaving && upt_slots_go_back(&s);
	}
	return UPT_OK;
}

static enum upt_code
finish_facts(const struct upt_primary *p, struct facts *f, struct upt_err *err)
{
	UPT_TRY(upt_buf_printf(&f->vehicle, err, "UPTANE_VEHICLE_ID=%s", p->config->vehicle_id));
	return upt_buf_printf(&f->count, err, "UPTANE_N_UPDATES=%u", f->n_updates);
}

/* ---- what it answers ---- */

/* SECONDS of "retry-after SECONDS", within bounds; false for any other line. */
static bool
read_retry_after(struct upt_span line, uint64_t *retry_s)
{
	static const char word[] = "retry-after ";
	size_t at = sizeof(word) - 1;
	uint64_t n = 0;

	if (line.len <= at || memcmp(line.data, word, at) != 0)
		return false;
	for (; at < line.len; at++) {
		if (line.data[at] < '0' || line.data[at] > '9')
			return false;
		if (n <= UPT_GATE_RETRY_MAX_S)
			n = n * 10 + (uint64_t)(line.data[at] - '0');
	}
	*retry_s = n < 1 ? 1 : n > UPT_GATE_RETRY_MAX_S ? UPT_GATE_RETRY_MAX_S : n;
	return true;
}

void
upt_gate_read_answer(struct upt_span said, uint64_t *retry_s, char words[static UPT_REASON_SIZE])
{
	bool has_words = false, has_retry = false;
	uint64_t n;

	*retry_s = 0;
	words[0] = '\0';
	while (said.len > 0) {
		const uint8_t *end = memchr(said.data, '\n', said.len);
		size_t len = end != NULL ? (size_t)(end - said.data) : said.len;
		struct upt_span line = upt_span(said.data, len);

		said = upt_span(said.data + len, said.len - len);
		if (said.len > 0)
			said = upt_span(said.data + 1, said.len - 1);
		if (read_retry_after(line, &n)) {
			*retry_s = has_retry ? *retry_s : n;
			has_retry = true;
		} else if (!has_words && line.len > 0) {
			snprintf(words, UPT_REASON_SIZE, "%.*s",
				(int)(len < UPT_REASON_SIZE ? len : UPT_REASON_SIZE - 1),
				(const char *)line.data);
			upt_sanitize(words);
			has_words = true;
		}
	}
}

/* ---- asking ---- */

/* One step that wants to go on. */
struct question {
	struct upt_primary *p;
	enum upt_gate gate;
	struct facts facts;
	const char *env[4];
	bool passes_windows;
	/* What came of it; name is NULL as long as nothing speaks against it. */
	const char *name;
	char file_name[UPT_GATE_NAME_SIZE];
	char reason[UPT_REASON_SIZE];
	uint64_t retry_s; /* 0: none was said */
	bool never, is_fault;
};

static void
question_clear(struct question *q)
{
	facts_clear(&q->facts);
}

/* As much of it as fits. */
static void
set_reason(struct question *q, const char *reason)
{
	snprintf(q->reason, sizeof(q->reason), "%.*s", (int)sizeof(q->reason) - 1, reason);
	upt_sanitize(q->reason);
}

static void
ask_inhibitor(struct question *q)
{
	const char *path = q->p->config->gates.inhibit_path;

	if (q->gate != UPT_GATE_DOWNLOAD && path != NULL && upt_inhibitor_find(path, q->reason))
		q->name = "inhibitor";
}

static enum upt_code
ask_windows(struct question *q, struct upt_err *err)
{
	const struct upt_gates_config *gates = &q->p->config->gates;
	int64_t opens;

	if (gates->n_windows == 0 || !gates->window_applies_to[q->gate] || q->passes_windows)
		return UPT_OK;
	UPT_TRY(upt_primary_later_time(q->p, err));
	if (!upt_windows_next(gates->windows, gates->n_windows, q->p->now, &opens)) {
		q->name = "window";
		set_reason(q, "none is known to open");
	} else if (opens > q->p->now) {
		q->name = "window";
		set_reason(q, "no maintenance window is open");
		q->retry_s = (uint64_t)(opens - q->p->now);
	}
	return UPT_OK;
}

/* What its exit says; false: go on. */
static bool
judge(struct question *q, int status, struct upt_span said)
{
	char words[UPT_REASON_SIZE], reason[UPT_REASON_SIZE + 32];

	if (status == 0)
		return false;
	upt_gate_read_answer(said, &q->retry_s, words);
	q->is_fault = status != EX_TEMPFAIL && status != EX_UNAVAILABLE;
	/* What is installed already waits: it is too late to refuse it. */
	q->never = status == EX_UNAVAILABLE && q->gate != UPT_GATE_REBOOT;
	snprintf(reason, sizeof(reason), "it exited with %d%s%s", status,
		words[0] != '\0' ? ": " : "", words);
	set_reason(q, q->is_fault ? reason : words);
	return true;
}

static enum upt_code
ask_program(void *ctx, const char *path, const char *name, struct upt_err *err)
{
	struct question *q = ctx;
	const char *const argv[] = {path, upt_gate_name(q->gate), NULL};
	const struct upt_run run = {.argv = argv,
		.env = q->env,
		.timeout_ms = q->p->config->gates.timeout_ms,
		.max_bytes = UPT_PROGRAM_OUTPUT_MAX_BYTES,
		.cancel = q->p->options.cancel};
	upt_cleanup(upt_buf_clear) struct upt_buf said = {0};
	enum upt_code code;
	bool ends;
	int status;

	snprintf(q->file_name, sizeof(q->file_name), "%s", name);
	code = upt_run_status(&run, &said, &status, err);
	ends = code != UPT_OK || judge(q, status, upt_buf_span(&said));
	upt_program_log_output(q->p->log, ends ? UPT_LOG_INFO : UPT_LOG_DEBUG, "gate", name, &said);
	if (code != UPT_OK)
		return code;
	if (ends) {
		q->name = q->file_name;
		/* Ends the round; what it means is in q. */
		return upt_fail(err, UPT_E_INSTALL, "%s", q->reason);
	}
	q->file_name[0] = '\0';
	return UPT_OK;
}

static enum upt_code
ask_programs(struct question *q, struct upt_err *err)
{
	const struct upt_programs programs = {.dir = q->p->config->gates.dir,
		.noun = "gates",
		.log = q->p->log,
		.each = ask_program,
		.ctx = q};
	struct upt_err why = {0};
	enum upt_code code;

	if (programs.dir == NULL)
		return UPT_OK;
	code = upt_programs_ask(&programs, &why);
	if (code == UPT_E_CANCELLED || code == UPT_E_NO_MEMORY)
		return upt_fail(err, code, "%s", why.message);
	if (code == UPT_OK || q->name != NULL)
		return UPT_OK;
	/* It could not be asked: it, or the folder, is not to be trusted, or it did not end. */
	q->name = q->file_name[0] != '\0' ? q->file_name : "gates.d";
	q->is_fault = true;
	set_reason(q, why.message);
	return UPT_OK;
}

static enum upt_code
ask_all(struct question *q, struct upt_err *err)
{
	UPT_TRY(finish_facts(q->p, &q->facts, err));
	q->env[0] = (const char *)q->facts.vehicle.data;
	q->env[1] = (const char *)q->facts.count.data;
	q->env[2] = (const char *)q->facts.updates.data;
	ask_inhibitor(q);
	if (q->name == NULL)
		UPT_TRY(ask_windows(q, err));
	return q->name == NULL ? ask_programs(q, err) : UPT_OK;
}

/* ---- what follows ---- */

void
upt_wait_format(const struct upt_wait *wait, char out[static UPT_WAIT_TEXT_SIZE])
{
	char until[UPT_TIME_TEXT_SIZE];

	upt_time_format(wait->until, until);
	snprintf(out, UPT_WAIT_TEXT_SIZE, "%s waits for gate %s until %s%s%s",
		upt_gate_name(wait->before), wait->gate, until, wait->reason[0] != '\0' ? ": " : "",
		wait->reason);
}

enum upt_code
upt_primary_note_wait(struct upt_primary *p, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0}, stored = {0};

	if (p->wait.gate[0] != '\0')
		UPT_TRY(upt_buf_printf(&text, err, "%lld %s %s %s", (long long)p->wait.until,
			upt_gate_name(p->wait.before), p->wait.gate, p->wait.reason));
	UPT_TRY(upt_store_get_text(p->store, "waits", &stored, err));
	return upt_span_equal(upt_buf_span(&text), upt_buf_span(&stored))
		       ? UPT_OK
		       : upt_store_set_text(p->store, "waits", upt_buf_span(&text), err);
}

static enum upt_code
begin_waiting(const struct question *q, struct upt_err *err)
{
	struct upt_primary *p = q->p;
	char text[UPT_WAIT_TEXT_SIZE];
	uint64_t retry_s = q->retry_s != 0 ? q->retry_s : p->config->gates.retry_s;

	UPT_TRY(upt_primary_later_time(p, err));
	p->wait = (struct upt_wait){
		.before = q->gate, .retry_s = retry_s, .until = p->now + (int64_t)retry_s};
	snprintf(p->wait.gate, sizeof(p->wait.gate), "%s", q->name);
	memcpy(p->wait.reason, q->reason, sizeof(p->wait.reason));
	upt_wait_format(&p->wait, text);
	upt_log(p->log, q->is_fault ? UPT_LOG_ERROR : UPT_LOG_INFO, "%s", text);
	/* Of the others the cycle makes its note. */
	return q->gate == UPT_GATE_REBOOT ? upt_primary_note_wait(p, err) : UPT_OK;
}

/* As an installer's "no": it would be the same at every poll. */
static enum upt_code
refuse(const struct question *q, struct upt_err *err)
{
	struct upt_err why = {0};

	upt_fail(&why, UPT_E_INSTALL, "gate %s refuses this update before its %s%s%s", q->name,
		upt_gate_name(q->gate), q->reason[0] != '\0' ? ": " : "", q->reason);
	UPT_TRY(upt_bundle_refuse(q->p, why.message, err));
	/* Nor is what runs described anew, before the Director says something else. */
	UPT_TRY(upt_primary_note_looked(q->p, err));
	return upt_fail(err, UPT_E_INSTALL, "%s", why.message);
}

enum upt_code
upt_primary_ask_gates(struct upt_primary *p, enum upt_gate gate, bool *open, struct upt_err *err)
{
	upt_cleanup(question_clear) struct question q = {.p = p, .gate = gate};

	*open = false;
	if (gate == UPT_GATE_REBOOT)
		UPT_TRY(add_waiting(p, &q.facts, &q.passes_windows, err));
	else
		UPT_TRY(add_jobs(p, gate, &q.facts, err));
	if (q.facts.n_updates > 0)
		UPT_TRY(ask_all(&q, err));
	if (q.never)
		return refuse(&q, err);
	if (q.name != NULL)
		return begin_waiting(&q, err);
	*open = true;
	return UPT_OK;
}

const struct upt_wait *
upt_primary_waits(const struct upt_primary *p)
{
	return p->wait.gate[0] != '\0' ? &p->wait : NULL;
}
