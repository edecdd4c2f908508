/*
 * One connection of a Primary, or of whoever else can reach this port.
 */
#include "secondary/agent_internal.h"

#include "manifest/manifest.h"

_Static_assert(UPT_WIRE_ENVELOPE_MAX_BYTES >= UPT_REPORT_MAX_BYTES, "every report fits its frame");

/* A Primary asks two or three things per connection. One that asks for ever shuts others out. */
#define MAX_REQUESTS 32

/* ---- answers ---- */

enum upt_code
upt_session_send_verdict(struct upt_session *s, enum upt_code code, bool pending,
	const struct upt_err *why, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf frame = {0};
	struct upt_wire_verdict verdict = {.pending = pending};

	snprintf(verdict.code_name, sizeof(verdict.code_name), "%s", upt_code_name(code));
	if (code != UPT_OK) {
		verdict.repo = why->repo;
		snprintf(verdict.message, sizeof(verdict.message), "%s", why->message);
	}
	UPT_TRY(upt_wire_put_verdict(&frame, &verdict, err));
	return upt_conn_send(&s->conn, upt_buf_span(&frame), err);
}

/* A refusal: into the log, into the next version report, and to the Primary. */
static enum upt_code
answer(struct upt_session *s, const char *what, enum upt_code code, bool pending,
	const struct upt_err *why, struct upt_err *err)
{
	if (code != UPT_OK) {
		upt_log_err(s->agent->log, UPT_LOG_WARNING, why, "%s refused", what);
		upt_agent_note(s->agent, code, why->repo);
	}
	return upt_session_send_verdict(s, code, pending, why, err);
}

/* ---- HELLO ---- */

static enum upt_code
handle_hello(struct upt_session *s, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf frame = {0};
	struct upt_wire_info info = {.version = UPT_WIRE_VERSION, .ecu = s->agent->info};
	struct upt_wire_hello hello;
	enum upt_wire_type type;
	struct upt_err why = {0};

	UPT_TRY(upt_conn_receive(&s->conn, UPT_WIRE_BIT(UPT_WIRE_HELLO), 0, &type, &s->frame, err));
	UPT_TRY(upt_wire_parse_hello(upt_buf_span(&s->frame), &hello, err));
	if (hello.min_version > UPT_WIRE_VERSION || hello.max_version < UPT_WIRE_VERSION) {
		enum upt_code code = upt_fail(&why, UPT_E_UNSUPPORTED,
			"the Primary speaks versions %u to %u, this Secondary speaks %u",
			hello.min_version, hello.max_version, UPT_WIRE_VERSION);
		UPT_TRY(upt_session_send_verdict(s, code, false, &why, err));
		*err = why;
		return code;
	}
	UPT_TRY(upt_wire_put_info(&frame, &info, err));
	return upt_conn_send(&s->conn, upt_buf_span(&frame), err);
}

/* ---- REPORT ---- */

static enum upt_code
make_report(struct upt_agent *agent, struct upt_buf *envelope, char attacks[static UPT_ATTACKS_MAX],
	struct upt_err *err)
{
	struct upt_ecu_report report = {0};

	UPT_TRY(upt_agent_installed(agent, &report.installed, err));
	snprintf(report.ecu_serial, sizeof(report.ecu_serial), "%s", agent->config.serial);
	snprintf(report.attacks_detected, sizeof(report.attacks_detected), "%s",
		upt_state_attacks(agent->state));
	snprintf(attacks, UPT_ATTACKS_MAX, "%s", report.attacks_detected);
	report.time = upt_agent_now(agent);
	UPT_TRY(upt_state_next_counter(agent->state, &report.report_counter, err));
	return upt_ecu_report_sign(&report, agent->key, envelope, err);
}

static enum upt_code
handle_report(struct upt_session *s, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf envelope = {0}, frame = {0};
	struct upt_state *state = s->agent->state;
	char attacks[UPT_ATTACKS_MAX];
	enum upt_wire_type type;
	struct upt_err why = {0};
	enum upt_code code = make_report(s->agent, &envelope, attacks, &why);

	if (code != UPT_OK)
		return answer(s, "a report", code, false, &why, err);
	UPT_TRY(upt_wire_put_bytes(&frame, UPT_WIRE_ENVELOPE, upt_buf_span(&envelope), err));
	UPT_TRY(upt_conn_send(&s->conn, upt_buf_span(&frame), err));
	/* Until the Primary says that it has the report, the attack stays in the next one. */
	UPT_TRY(upt_conn_receive(&s->conn, UPT_WIRE_BIT(UPT_WIRE_TAKEN), 0, &type, &s->frame, err));
	if (attacks[0] != '\0' && strcmp(attacks, upt_state_attacks(state)) == 0)
		UPT_TRY(upt_state_set_attacks(state, "", err));
	return UPT_OK;
}

/* ---- VERIFY ---- */

/* The frames of one file, each full but the last, into out. */
static enum upt_code
receive_file(struct upt_session *s, size_t length, struct upt_buf *out, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf file = {0};
	enum upt_wire_type type;

	UPT_TRY(upt_buf_reserve(&file, length, err));
	while (file.len < length) {
		size_t want = length - file.len;

		want = want < UPT_WIRE_CHUNK_BYTES ? want : UPT_WIRE_CHUNK_BYTES;
		UPT_TRY(upt_conn_receive(
			&s->conn, UPT_WIRE_BIT(UPT_WIRE_FILE_DATA), 0, &type, &s->frame, err));
		if (s->frame.len != want)
			return upt_fail(err, UPT_E_MALFORMED,
				"FILE_DATA of %zu bytes where %zu belong", s->frame.len, want);
		UPT_TRY(upt_buf_append(&file, s->frame.data, s->frame.len, err));
	}
	upt_buf_move(out, &file);
	return UPT_OK;
}

static enum upt_code
ask_for(struct upt_session *s, enum upt_repo repo, const char *file_name, size_t max_bytes,
	struct upt_wire_file *file, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf frame = {0};
	struct upt_wire_need need = {.repo = repo, .max_bytes = (uint32_t)max_bytes};
	enum upt_wire_type type;

	snprintf(need.file_name, sizeof(need.file_name), "%s", file_name);
	UPT_TRY(upt_wire_put_need(&frame, &need, err));
	UPT_TRY(upt_conn_send(&s->conn, upt_buf_span(&frame), err));
	UPT_TRY(upt_conn_receive(&s->conn, UPT_WIRE_BIT(UPT_WIRE_FILE), 0, &type, &s->frame, err));
	return upt_wire_parse_file(upt_buf_span(&s->frame), file, err);
}

/* The connection is of no more use: no verdict can follow. */
static enum upt_code
give_up(struct upt_session *s, enum upt_code code)
{
	s->lost = true;
	return code;
}

static enum upt_code
fetch(void *ctx, enum upt_repo repo, const char *file_name, size_t max_bytes, struct upt_buf *out,
	struct upt_err *err)
{
	struct upt_session *s = ctx;
	struct upt_wire_file file;
	enum upt_code code;

	if (++s->n_needs > UPT_WIRE_MAX_NEEDS)
		return upt_fail(err, UPT_E_TOO_LARGE, "more than %d files", UPT_WIRE_MAX_NEEDS);
	max_bytes = max_bytes < UPT_WIRE_FILE_MAX_BYTES ? max_bytes : UPT_WIRE_FILE_MAX_BYTES;
	code = ask_for(s, repo, file_name, max_bytes, &file, err);
	if (code != UPT_OK)
		return give_up(s, code);
	if (file.status == UPT_WIRE_FILE_ABSENT)
		return upt_fail(err, UPT_E_ABSENT, "the Primary has no %s", file_name);
	if (file.status != UPT_WIRE_FILE_OK)
		return upt_fail(err, UPT_E_SERVER, "the Primary cannot give %s", file_name);
	if (file.length_bytes > max_bytes)
		return upt_fail(err, UPT_E_TOO_LARGE, "%u bytes, more than the %zu allowed",
			file.length_bytes, max_bytes);
	code = receive_file(s, file.length_bytes, out, err);
	return code == UPT_OK ? UPT_OK : give_up(s, code);
}

static enum upt_code
handle_verify(struct upt_session *s, struct upt_err *err)
{
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	const struct upt_agent_source source = {.fetch = fetch, .ctx = s};
	struct upt_agent_assignment assignment;
	struct upt_err why = {0};
	enum upt_code code;

	s->n_needs = 0;
	code = upt_agent_verify(s->agent, &source, &arena, &assignment, &why);
	if (s->lost) {
		if (code == UPT_E_TOO_SLOW)
			upt_agent_note(s->agent, code, why.repo);
		*err = why;
		return code != UPT_OK ? code : UPT_E_NETWORK;
	}
	if (code == UPT_OK)
		upt_log(s->agent->log, UPT_LOG_INFO, "metadata verified: %s%s",
			assignment.assigned ? "assigned is " : "nothing is assigned",
			assignment.assigned ? assignment.image.image.name : "");
	UPT_TRY(answer(s, "metadata", code, false, &why, err));
	/* After a refusal for its length the file's frames may be under way: out of step. */
	if (code == UPT_E_TOO_LARGE) {
		upt_conn_linger(&s->conn, 2 * UPT_WIRE_FILE_MAX_BYTES);
		*err = why;
		return code;
	}
	return UPT_OK;
}

/* ---- INSTALL ---- */

static enum upt_code
handle_install(struct upt_session *s, struct upt_err *err)
{
	struct upt_wire_install msg;
	struct upt_err why = {0};
	enum upt_code code;
	bool pending;

	UPT_TRY(upt_wire_parse_install(upt_buf_span(&s->frame), &msg, err));
	code = upt_agent_install(s->agent, msg.name, &pending, &why);
	if (code == UPT_OK)
		upt_log(s->agent->log, UPT_LOG_INFO, "%s is installed", msg.name);
	return answer(s, "an installation", code, pending, &why, err);
}

/* ---- the conversation ---- */

static enum upt_code
next_request(struct upt_session *s, bool *end, struct upt_err *err)
{
	const unsigned allowed = UPT_WIRE_BIT(UPT_WIRE_NONE) | UPT_WIRE_BIT(UPT_WIRE_REPORT) |
				 UPT_WIRE_BIT(UPT_WIRE_VERIFY) |
				 UPT_WIRE_BIT(UPT_WIRE_IMAGE_BEGIN) |
				 UPT_WIRE_BIT(UPT_WIRE_INSTALL);
	enum upt_wire_type type;

	UPT_TRY(upt_conn_receive(&s->conn, allowed, 0, &type, &s->frame, err));
	*end = type == UPT_WIRE_NONE;
	if (type == UPT_WIRE_REPORT)
		return handle_report(s, err);
	if (type == UPT_WIRE_VERIFY)
		return handle_verify(s, err);
	if (type == UPT_WIRE_IMAGE_BEGIN)
		return upt_session_receive_image(s, err);
	return type == UPT_WIRE_INSTALL ? handle_install(s, err) : UPT_OK;
}

static enum upt_code
converse(struct upt_session *s, struct upt_err *err)
{
	bool end = false;

	UPT_TRY(upt_conn_prepare(s->conn.fd, err));
	UPT_TRY(handle_hello(s, err));
	for (unsigned i = 0; i < MAX_REQUESTS && !end; i++)
		UPT_TRY(next_request(s, &end, err));
	return UPT_OK;
}

void
upt_agent_serve(struct upt_agent *agent, int fd, int stop_fd)
{
	struct upt_session s = {.agent = agent,
		.conn = {.fd = fd, .timeout_ms = agent->config.timeout_ms, .stop_fd = stop_fd}};
	struct upt_err err = {0};

	if (converse(&s, &err) != UPT_OK)
		upt_log_err(agent->log, UPT_LOG_INFO, &err, "connection dropped");
	upt_buf_clear(&s.frame);
}
