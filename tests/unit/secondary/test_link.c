/* The Primary's IP link against Secondaries that lie: each a script of what it says. */
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "secondary/link_ip.h"

struct fixture {
	struct upt_link *link;
	struct upt_buf script; /* all that the Secondary says in one connection */
	bool keep_open; /* it stays silent after the script; else it closes */
	int peer; /* its end of the latest connection */
	unsigned n_fetched;
	size_t give; /* bytes the Primary's source gives; SIZE_MAX: absent */
	char path[64];
	struct upt_image image;
	struct upt_install_job job;
	volatile bool cancel;
};

static enum upt_code
connect_script(void *ctx, int *fd, struct upt_err *err)
{
	struct fixture *f = ctx;
	const int big = 1 << 20;
	int fds[2];

	(void)err;
	if (f->peer >= 0)
		close(f->peer);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	for (int i = 0; i < 2; i++)
		setsockopt(fds[i], SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big));
	assert_int_equal(send(fds[1], f->script.data, f->script.len, 0), f->script.len);
	if (!f->keep_open)
		shutdown(fds[1], SHUT_WR);
	f->peer = fds[1];
	*fd = fds[0];
	return UPT_OK;
}

static void
say_info(struct fixture *f, const char *serial, uint16_t version)
{
	struct upt_wire_info info = {
		version, {.hardware_id = "H", .key_type = "ed25519", .public_key = "00"}};

	snprintf(info.ecu.serial, sizeof(info.ecu.serial), "%s", serial);
	assert_ok(upt_wire_put_info(&f->script, &info, why));
}

static void
say_verdict(struct fixture *f, const char *code, enum upt_repo repo, bool pending)
{
	struct upt_wire_verdict verdict = {.repo = repo, .pending = pending, .message = "so it is"};

	snprintf(verdict.code_name, sizeof(verdict.code_name), "%s", code);
	assert_ok(upt_wire_put_verdict(&f->script, &verdict, why));
}

static void
say_accept(struct fixture *f, uint64_t offset)
{
	assert_ok(upt_wire_put_accept(&f->script, &(struct upt_wire_accept){offset}, why));
}

static void
say_need(struct fixture *f, const char *name)
{
	struct upt_wire_need need = {.repo = UPT_REPO_DIRECTOR, .max_bytes = 100};

	snprintf(need.file_name, sizeof(need.file_name), "%s", name);
	assert_ok(upt_wire_put_need(&f->script, &need, why));
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct upt_ip_link_config config = {.address = "192.0.2.1", .port = 1, .timeout_ms = 100};

	assert_non_null(f);
	f->peer = -1;
	config.cancel = &f->cancel;
	assert_ok(upt_ip_link_new_connected(&config, connect_script, f, NULL, &f->link, why));
	snprintf(f->path, sizeof(f->path), "/tmp/upt-link-XXXXXX");
	f->job = (struct upt_install_job){
		.image = &f->image, .format = "BINARY", .image_fd = mkstemp(f->path)};
	assert_true(f->job.image_fd >= 0);
	assert_int_equal(ftruncate(f->job.image_fd, 300000), 0);
	snprintf(f->image.name, sizeof(f->image.name), "fw.bin");
	f->image.length_bytes = 300000;
	say_info(f, "S1", UPT_WIRE_VERSION);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	upt_link_free(&f->link);
	assert_null(f->link);
	if (f->peer >= 0)
		close(f->peer);
	close(f->job.image_fd);
	unlink(f->path);
	upt_buf_clear(&f->script);
	free(f);
	return 0;
}

static enum upt_code
fetch(void *ctx, enum upt_repo repo, const char *file_name, size_t max_bytes, struct upt_buf *out,
	struct upt_err *err)
{
	struct fixture *f = ctx;

	assert_int_equal(repo, UPT_REPO_DIRECTOR);
	assert_non_null(file_name);
	assert_int_equal(max_bytes, 100);
	f->n_fetched++;
	if (f->give == SIZE_MAX)
		return upt_fail(err, UPT_E_ABSENT, "absent");
	for (size_t i = 0; i < f->give; i++)
		UPT_TRY(upt_buf_append(out, "x", 1, err));
	return UPT_OK;
}

static enum upt_code
send_metadata(struct fixture *f, struct upt_err *err)
{
	const struct upt_metadata_source source = {.fetch = fetch, .ctx = f};

	return f->link->ops->send_metadata(f->link, &source, err);
}

static enum upt_code
send_image(struct fixture *f, struct upt_err *err)
{
	return f->link->ops->send_image(f->link, &f->job, NULL, err);
}

static enum upt_code
install(struct fixture *f, bool *pending, struct upt_err *err)
{
	return f->link->ops->install(f->link, &f->job, pending, err);
}

/* What the Primary said in the latest connection, frame by frame. */
static enum upt_wire_type
heard(struct fixture *f, struct upt_buf *payload)
{
	const struct upt_conn conn = {.fd = f->peer, .timeout_ms = 1000, .stop_fd = -1};
	enum upt_wire_type type;

	assert_ok(upt_conn_prepare(f->peer, why));
	assert_ok(upt_conn_receive(&conn, ~0u, 0, &type, payload, why));
	return type;
}

/* ---- greeting ---- */

static void
info_is_read(void **state)
{
	struct fixture *f = *state;
	struct upt_ecu_info info;

	assert_ok(f->link->ops->info(f->link, &info, why));
	assert_string_equal(info.serial, "S1");
	assert_string_equal(info.hardware_id, "H");
}

static void
answer_cut_at_any_byte_is_refused(void **state)
{
	struct fixture *f = *state;
	size_t len;

	say_verdict(f, "ok", UPT_REPO_NONE, true);
	len = f->script.len;
	for (size_t n = 0; n < len; n++) {
		struct upt_err err = {0};
		bool pending = true;

		f->script.len = n;
		assert_code(install(f, &pending, &err), UPT_E_NETWORK);
		assert_false(pending);
		assert_int_equal(strncmp(err.message, "Secondary ", 10), 0);
	}
	f->script.len = len;
	{
		bool pending = false;

		assert_ok(install(f, &pending, why));
		assert_true(pending);
	}
}

static void
silent_secondary_is_network(void **state)
{
	struct fixture *f = *state;
	struct upt_ecu_info info;
	struct upt_err err = {0};

	f->script.len = 0;
	f->keep_open = true;
	assert_code(f->link->ops->info(f->link, &info, &err), UPT_E_NETWORK);
	assert_string_equal(info.serial, "");
	assert_non_null(strstr(err.message, "192.0.2.1"));
	f->cancel = true;
	assert_code(f->link->ops->info(f->link, &info, &err), UPT_E_CANCELLED);
}

static void
other_version_is_refused(void **state)
{
	struct fixture *f = *state;
	struct upt_ecu_info info;
	struct upt_err err = {0};

	f->script.len = 0;
	say_info(f, "S1", UPT_WIRE_VERSION + 1);
	assert_code(f->link->ops->info(f->link, &info, &err), UPT_E_MALFORMED);
	f->script.len = 0;
	say_verdict(f, "unsupported", UPT_REPO_NONE, false);
	assert_code(f->link->ops->info(f->link, &info, &err), UPT_E_UNSUPPORTED);
}

static void
another_ecu_behind_the_address_is_refused(void **state)
{
	struct fixture *f = *state;
	struct upt_ecu_info info;
	struct upt_err err = {0};

	assert_ok(f->link->ops->info(f->link, &info, why));
	f->script.len = 0;
	say_info(f, "S2", UPT_WIRE_VERSION);
	assert_code(f->link->ops->info(f->link, &info, &err), UPT_E_NETWORK);
	assert_string_equal(err.message, "Secondary S1: now ECU S2 answers there");
}

static void
unreachable_secondary_is_network(void **state)
{
	struct sockaddr_in name = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct upt_ip_link_config config = {.address = "127.0.0.1", .timeout_ms = 1000};
	socklen_t len = sizeof(name);
	struct upt_ecu_info info;
	struct upt_err err = {0};
	struct upt_link *link;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	/* A port that is ours and where nobody listens. */
	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &len), 0);
	config.port = ntohs(name.sin_port);
	assert_ok(upt_ip_link_new(&config, NULL, &link, why));
	assert_code(link->ops->info(link, &info, &err), UPT_E_NETWORK);
	assert_non_null(strstr(err.message, "Secondary at 127.0.0.1 port "));
	upt_link_free(&link);
	close(fd);
}

/* ---- verdicts ---- */

static void
verdicts_keep_code_and_repository(void **state)
{
	static const struct {
		const char *name;
		enum upt_code code;
	} rows[] = {{"expired", UPT_E_EXPIRED}, {"signature-threshold", UPT_E_THRESHOLD},
		{"no-space", UPT_E_NO_SPACE}, {"from-the-future", UPT_E_INSTALL},
		{"", UPT_E_INSTALL}, {"cancelled", UPT_E_INSTALL}};
	struct fixture *f = *state;
	size_t start = f->script.len;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct upt_err err = {0};

		f->script.len = start;
		say_verdict(f, rows[i].name, UPT_REPO_IMAGE, false);
		assert_code(send_metadata(f, &err), rows[i].code);
		assert_int_equal(err.repo, UPT_REPO_IMAGE);
		assert_int_equal(strncmp(err.message, "Secondary S1: so it is", 22), 0);
	}
}

static void
agreeing_in_place_of_an_answer_is_refused(void **state)
{
	struct fixture *f = *state;
	upt_cleanup(upt_buf_clear) struct upt_buf envelope = {0};
	struct upt_err err = {0};

	say_verdict(f, "ok", UPT_REPO_NONE, false);
	assert_code(send_image(f, &err), UPT_E_MALFORMED);
	assert_code(f->link->ops->report(f->link, "", 0, &envelope, &err), UPT_E_MALFORMED);
	assert_int_equal(envelope.len, 0);
}

/* ---- reports ---- */

static void
report_is_handed_on_and_confirmed(void **state)
{
	struct fixture *f = *state;
	upt_cleanup(upt_buf_clear) struct upt_buf envelope = {0}, payload = {0};

	assert_ok(upt_wire_put_bytes(&f->script, UPT_WIRE_ENVELOPE, upt_span_str("{signed}"), why));
	assert_ok(f->link->ops->report(f->link, "", 0, &envelope, why));
	assert_true(upt_span_equal(upt_buf_span(&envelope), upt_span_str("{signed}")));
	assert_int_equal(heard(f, &payload), UPT_WIRE_HELLO);
	assert_int_equal(heard(f, &payload), UPT_WIRE_REPORT);
	assert_int_equal(heard(f, &payload), UPT_WIRE_TAKEN);
}

/* ---- metadata ---- */

static void
needs_are_answered(void **state)
{
	struct fixture *f = *state;
	upt_cleanup(upt_buf_clear) struct upt_buf payload = {0};
	struct upt_wire_file file;

	say_need(f, "2.root.json");
	say_verdict(f, "ok", UPT_REPO_NONE, false);
	f->give = 100;
	assert_ok(send_metadata(f, why));
	assert_int_equal(heard(f, &payload), UPT_WIRE_HELLO);
	assert_int_equal(heard(f, &payload), UPT_WIRE_VERIFY);
	assert_int_equal(heard(f, &payload), UPT_WIRE_FILE);
	assert_ok(upt_wire_parse_file(upt_buf_span(&payload), &file, why));
	assert_int_equal(file.status, UPT_WIRE_FILE_OK);
	assert_int_equal(heard(f, &payload), UPT_WIRE_FILE_DATA);
	assert_int_equal(payload.len, 100);
	/* Absent is absent; more than was asked for is never sent. */
	for (int absent = 0; absent < 2; absent++) {
		f->give = absent ? SIZE_MAX : 101;
		assert_ok(send_metadata(f, why));
		assert_int_equal(heard(f, &payload), UPT_WIRE_HELLO);
		assert_int_equal(heard(f, &payload), UPT_WIRE_VERIFY);
		assert_int_equal(heard(f, &payload), UPT_WIRE_FILE);
		assert_ok(upt_wire_parse_file(upt_buf_span(&payload), &file, why));
		assert_int_equal(file.status, absent ? UPT_WIRE_FILE_ABSENT : UPT_WIRE_FILE_ERROR);
	}
}

static void
need_for_a_path_is_refused_unasked(void **state)
{
	struct fixture *f = *state;
	struct upt_err err = {0};

	say_need(f, "../keys/primary.pem");
	say_verdict(f, "ok", UPT_REPO_NONE, false);
	assert_code(send_metadata(f, &err), UPT_E_MALFORMED);
	assert_int_equal(f->n_fetched, 0);
}

static void
endless_needs_are_cut_off(void **state)
{
	struct fixture *f = *state;
	struct upt_err err = {0};

	f->give = SIZE_MAX;
	for (int i = 0; i <= UPT_WIRE_MAX_NEEDS; i++)
		say_need(f, "a");
	assert_code(send_metadata(f, &err), UPT_E_MALFORMED);
	assert_int_equal(f->n_fetched, UPT_WIRE_MAX_NEEDS + 1);
}

/* ---- images ---- */

static void
offset_beyond_the_image_is_refused(void **state)
{
	struct fixture *f = *state;
	struct upt_err err = {0};

	say_accept(f, 300001);
	assert_code(send_image(f, &err), UPT_E_MALFORMED);
}

static void
whole_image_there_is_not_sent(void **state)
{
	struct fixture *f = *state;
	upt_cleanup(upt_buf_clear) struct upt_buf payload = {0};

	say_accept(f, 300000);
	say_verdict(f, "ok", UPT_REPO_NONE, false);
	assert_ok(send_image(f, why));
	assert_int_equal(heard(f, &payload), UPT_WIRE_HELLO);
	assert_int_equal(heard(f, &payload), UPT_WIRE_IMAGE_BEGIN);
	assert_int_equal(heard(f, &payload), UPT_WIRE_IMAGE_END);
}

static void
verdict_in_the_middle_stops_the_stream(void **state)
{
	struct fixture *f = *state;
	upt_cleanup(upt_buf_clear) struct upt_buf payload = {0};
	struct upt_err err = {0};

	say_accept(f, 0);
	say_verdict(f, "no-space", UPT_REPO_NONE, false);
	f->keep_open = true;
	assert_code(send_image(f, &err), UPT_E_NO_SPACE);
	assert_int_equal(heard(f, &payload), UPT_WIRE_HELLO);
	assert_int_equal(heard(f, &payload), UPT_WIRE_IMAGE_BEGIN);
	/* It had refused before the first byte: none was sent. */
	assert_int_equal(heard(f, &payload), UPT_WIRE_NONE);
}

static void
image_shorter_than_listed_is_a_local_fault(void **state)
{
	struct fixture *f = *state;
	struct upt_err err = {0};

	say_accept(f, 0);
	f->keep_open = true;
	assert_int_equal(ftruncate(f->job.image_fd, 70000), 0);
	assert_code(send_image(f, &err), UPT_E_IO);
}

static void
secondary_that_takes_nothing_is_given_up(void **state)
{
	struct fixture *f = *state;
	struct upt_err err = {0};

	f->image.length_bytes = (uint64_t)64 << 20;
	assert_int_equal(ftruncate(f->job.image_fd, (off_t)f->image.length_bytes), 0);
	say_accept(f, 0);
	f->keep_open = true;
	assert_code(send_image(f, &err), UPT_E_NETWORK);
}

static void
count_progress(void *ctx, const char *what, uint64_t done, uint64_t total, const char *unit)
{
	(void)what;
	(void)done;
	(void)total;
	(void)unit;
	++*(unsigned *)ctx;
}

static void
progress_is_told_and_cancels(void **state)
{
	struct fixture *f = *state;
	unsigned n = 0;
	volatile bool cancel = false;
	const struct upt_install_progress progress = {count_progress, &n, &cancel};
	struct upt_err err = {0};

	say_accept(f, 299999);
	f->keep_open = true;
	/* Its verdict never comes; the start and the end were told. */
	assert_code(f->link->ops->send_image(f->link, &f->job, &progress, &err), UPT_E_NETWORK);
	assert_int_equal(n, 2);
	cancel = true;
	assert_code(f->link->ops->send_image(f->link, &f->job, &progress, &err), UPT_E_CANCELLED);
	assert_int_equal(n, 2);
}

static void
rollback_is_unsupported(void **state)
{
	struct fixture *f = *state;
	struct upt_err err = {0};
	bool pending = true;

	assert_code(f->link->ops->rollback(f->link, &pending, &err), UPT_E_UNSUPPORTED);
	assert_false(pending);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(info_is_read),
		CASE(answer_cut_at_any_byte_is_refused),
		CASE(silent_secondary_is_network),
		CASE(other_version_is_refused),
		CASE(another_ecu_behind_the_address_is_refused),
		CASE(unreachable_secondary_is_network),
		CASE(verdicts_keep_code_and_repository),
		CASE(agreeing_in_place_of_an_answer_is_refused),
		CASE(report_is_handed_on_and_confirmed),
		CASE(needs_are_answered),
		CASE(need_for_a_path_is_refused_unasked),
		CASE(endless_needs_are_cut_off),
		CASE(offset_beyond_the_image_is_refused),
		CASE(whole_image_there_is_not_sent),
		CASE(verdict_in_the_middle_stops_the_stream),
		CASE(image_shorter_than_listed_is_a_local_fault),
		CASE(secondary_that_takes_nothing_is_given_up),
		CASE(progress_is_told_and_cancels),
		CASE(rollback_is_unsupported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
