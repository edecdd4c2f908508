#include "scratch.h"

#include "base/log.h"

struct memory {
	char *text;
	size_t len;
	FILE *stream;
};

static void
open_memory(struct memory *m)
{
	*m = (struct memory){0};
	m->stream = open_memstream(&m->text, &m->len);
	assert_non_null(m->stream);
}

static void
close_memory(struct memory *m)
{
	fclose(m->stream);
	free(m->text);
}

static void
lines_have_name_and_level(void **state)
{
	struct memory m;
	struct upt_log log;

	(void)state;
	open_memory(&m);
	log = (struct upt_log){.stream = m.stream, .name = "uptaned", .level = UPT_LOG_INFO};
	upt_log(&log, UPT_LOG_ERROR, "disk %d", 1);
	upt_log(&log, UPT_LOG_INFO, "polling");
	upt_log(&log, UPT_LOG_DEBUG, "not wanted");
	assert_string_equal(m.text, "uptaned: error: disk 1\nuptaned: polling\n");
	close_memory(&m);
}

static void
journal_lines_have_priorities(void **state)
{
	struct memory m;
	struct upt_log log;

	(void)state;
	open_memory(&m);
	log = (struct upt_log){
		.stream = m.stream, .name = "u", .level = UPT_LOG_DEBUG, .journal = true};
	upt_log(&log, UPT_LOG_ERROR, "a");
	upt_log(&log, UPT_LOG_WARNING, "b");
	upt_log(&log, UPT_LOG_INFO, "c");
	upt_log(&log, UPT_LOG_DEBUG, "d");
	assert_string_equal(m.text, "<3>u: error: a\n<4>u: warning: b\n<6>u: c\n<7>u: debug: d\n");
	close_memory(&m);
}

static void
a_server_cannot_forge_a_line(void **state)
{
	struct memory m;
	struct upt_log log;

	(void)state;
	open_memory(&m);
	log = (struct upt_log){.stream = m.stream, .name = "u", .level = UPT_LOG_INFO};
	upt_log(&log, UPT_LOG_INFO, "server says %s", "x\nu: installed\x1b[2J\xc2\x9b");
	assert_string_equal(m.text, "u: server says x?u: installed?[2J??\n");
	close_memory(&m);
}

static void
a_long_line_stays_one_line(void **state)
{
	char text[5000];
	struct memory m;
	struct upt_log log;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	open_memory(&m);
	log = (struct upt_log){.stream = m.stream, .name = "u", .level = UPT_LOG_INFO};
	upt_log(&log, UPT_LOG_INFO, "%s", text);
	assert_true(m.len > 1000 && m.len < 2000);
	assert_ptr_equal(strchr(m.text, '\n'), m.text + m.len - 1);
	close_memory(&m);
}

static void
failures_name_code_and_attack(void **state)
{
	struct upt_err err = {0};
	struct memory m;
	struct upt_log log;

	(void)state;
	open_memory(&m);
	log = (struct upt_log){.stream = m.stream, .name = "u", .level = UPT_LOG_WARNING};
	upt_fail(&err, UPT_E_ROLLBACK, "v7 after v9");
	upt_log_err(&log, UPT_LOG_WARNING, &err, "update %d", 3);
	upt_fail(&err, UPT_E_IO, "gone");
	upt_log_err(&log, UPT_LOG_ERROR, &err, "update");
	upt_log_err(&log, UPT_LOG_INFO, &err, "not wanted");
	assert_string_equal(m.text,
		"u: warning: update 3: v7 after v9 [version-rollback, attack: rollback]\n"
		"u: error: update: gone [io]\n");
	close_memory(&m);
}

static void
no_log_is_silence(void **state)
{
	struct upt_log log = {.name = "u", .level = UPT_LOG_DEBUG};
	struct upt_err err = {0};

	(void)state;
	upt_log(NULL, UPT_LOG_ERROR, "x");
	upt_log(&log, UPT_LOG_ERROR, "x");
	upt_log_err(NULL, UPT_LOG_ERROR, &err, "x");
	upt_log_err(&log, UPT_LOG_ERROR, &err, "x");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_have_name_and_level),
		cmocka_unit_test(journal_lines_have_priorities),
		cmocka_unit_test(a_server_cannot_forge_a_line),
		cmocka_unit_test(a_long_line_stays_one_line),
		cmocka_unit_test(failures_name_code_and_attack),
		cmocka_unit_test(no_log_is_silence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
