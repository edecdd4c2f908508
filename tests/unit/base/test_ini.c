#include "scratch.h"

#include <stdio.h>
#include <sys/stat.h>
#include "base/ini.h"

struct fixture {
	char *dir;
	char path[4096];
	struct upt_ini ini;
	struct upt_err err;
};

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->dir = scratch_make();
	scratch_path(f->path, f->dir, "uptaned.conf");
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	upt_ini_clear(&f->ini);
	scratch_remove(&f->dir);
	free(f);
	return 0;
}

static enum upt_code
read_text(struct fixture *f, const char *text)
{
	upt_ini_clear(&f->ini);
	scratch_write(f->dir, "uptaned.conf", text, strlen(text));
	return upt_ini_read(&f->ini, f->path, &f->err);
}

/* The message after the directory's name. */
static const char *
message(const struct fixture *f)
{
	size_t n = strlen(f->dir);

	return strncmp(f->err.message, f->dir, n) == 0 ? f->err.message + n + 1 : f->err.message;
}

static void
sections_keys_and_comments_are_read(void **state)
{
	struct fixture *f = *state;
	const char *s;

	assert_int_equal(
		read_text(f,
			"# comment\n; another\n\n[director]\nurl = https://a/?b=c#d \n"
			"  empty=\n\n[ecu  VIN 1 ]\r\n\thardware_id\t=\tbrake\r\n[ecu two]\nx=1"),
		UPT_OK);
	assert_int_equal(upt_ini_string(&f->ini, "director", "", "url", NULL, &s, &f->err), UPT_OK);
	assert_string_equal(s, "https://a/?b=c#d");
	assert_int_equal(
		upt_ini_string(&f->ini, "director", "", "empty", "x", &s, &f->err), UPT_OK);
	assert_string_equal(s, "");
	assert_int_equal(
		upt_ini_string(&f->ini, "ecu", "VIN 1", "hardware_id", NULL, &s, &f->err), UPT_OK);
	assert_string_equal(s, "brake");
	assert_int_equal(upt_ini_string(&f->ini, "ecu", "two", "x", NULL, &s, &f->err), UPT_OK);
	assert_int_equal(upt_ini_find(&f->ini, "ecu", "two", "x")->line, 11);
	assert_int_equal(upt_ini_check_all_used(&f->ini, &f->err), UPT_OK);
}

static void
an_empty_file_is_no_error(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(read_text(f, ""), UPT_OK);
	assert_null(f->ini.first);
	assert_int_equal(upt_ini_check_all_used(&f->ini, &f->err), UPT_OK);
}

static void
anything_else_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *text;
		const char *message;
	} rows[] = {
		{"[a]\nb=1\nnonsense\n", "uptaned.conf:3: neither a comment"},
		{"[a]\nb=1\n  continued\n", "uptaned.conf:3: neither a comment"},
		{"[a]\nb=1\\\n", "uptaned.conf:2: a value cannot end with '\\'"},
		{"b=1\n", "uptaned.conf:1: a key before the first [section]"},
		{"[a\nb=1\n", "uptaned.conf:1: a section header must end"},
		{"[a] # x\nb=1\n", "uptaned.conf:1: a section header must end"},
		{"[", "uptaned.conf:1: a section header must end"},
		{"[]\n", "uptaned.conf:1: a section needs a name"},
		{"[ \t]\n", "uptaned.conf:1: a section needs a name"},
		{"[a/b]\n", "uptaned.conf:1: a section needs a name"},
		{"[[a]]\n", "uptaned.conf:1: a bracket"},
		{"[a]b]\n", "uptaned.conf:1: a bracket"},
		{"[a]\n=1\n", "uptaned.conf:2: a key needs a name"},
		{"[a]\nb c=1\n", "uptaned.conf:2: a key needs a name"},
		{"[a]\n\"b\"=1\n", "uptaned.conf:2: a key needs a name"},
		{"[a]\nb=\x1b[2J\n", "uptaned.conf:2: control character 0x1b"},
		{"[a]\rb=1\n", "uptaned.conf:1: control character 0x0d"},
		{"\n[ecu x]\n#k=1\n[ecu y]\nk=1\n", "uptaned.conf:2: section [ecu x] has no keys"},
		{"[ecu x]", "uptaned.conf:1: section [ecu x] has no keys"},
		{"\xef\xbb\xbf[a]\nb=1\n", "uptaned.conf:1: starts with a UTF-8 byte order mark"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(read_text(f, rows[i].text), UPT_E_CONFIG);
		assert_int_equal(f->err.code, UPT_E_CONFIG);
		if (strncmp(message(f), rows[i].message, strlen(rows[i].message)) != 0)
			fail_msg("%s instead of %s", message(f), rows[i].message);
		assert_null(f->ini.first); /* the lines before it count neither */
		assert_int_equal(read_text(f, "[a]\nb=1\n"), UPT_OK);
	}
}

static void
a_nul_byte_is_refused(void **state)
{
	struct fixture *f = *state;

	scratch_write(f->dir, "uptaned.conf", "[a]\nb=1\0\n", 9);
	assert_int_equal(upt_ini_read(&f->ini, f->path, &f->err), UPT_E_CONFIG);
	assert_string_equal(message(f), "uptaned.conf:2: a NUL byte");
}

static void
long_lines_and_files_are_refused(void **state)
{
	static char text[UPT_INI_MAX_BYTES + 2];
	struct fixture *f = *state;
	const size_t max = UPT_INI_MAX_LINE_BYTES;

	memset(text, 'x', max + 5);
	memcpy(text, "[a]\nb=", 6);
	scratch_write(f->dir, "uptaned.conf", text, 4 + max);
	assert_int_equal(upt_ini_read(&f->ini, f->path, &f->err), UPT_OK);
	scratch_write(f->dir, "uptaned.conf", text, 4 + max + 1);
	assert_int_equal(upt_ini_read(&f->ini, f->path, &f->err), UPT_E_CONFIG);
	assert_string_equal(
		message(f), "uptaned.conf:2: line of 4097 bytes, more than the 4096 allowed");
	memset(text, '\n', sizeof(text));
	scratch_write(f->dir, "uptaned.conf", text, UPT_INI_MAX_BYTES);
	assert_int_equal(upt_ini_read(&f->ini, f->path, &f->err), UPT_OK);
	scratch_write(f->dir, "uptaned.conf", text, UPT_INI_MAX_BYTES + 1);
	assert_int_equal(upt_ini_read(&f->ini, f->path, &f->err), UPT_E_CONFIG);
	assert_string_equal(message(f), "uptaned.conf: more than the 262144 bytes allowed");
}

static void
a_missing_file_is_not_found(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(upt_ini_read(&f->ini, f->path, &f->err), UPT_E_NOT_FOUND);
	assert_int_equal(upt_ini_read_dir(&f->ini, f->dir, "uptaned", &f->err), UPT_E_NOT_FOUND);
}

static void
drop_ins_override_in_byte_order(void **state)
{
	struct fixture *f = *state;
	char path[4096];
	const char *s;

	scratch_write(f->dir, "uptaned.conf", "[a]\nk=main\nonly=main\n", 21);
	assert_int_equal(upt_ini_read_dir(&f->ini, f->dir, "uptaned", &f->err), UPT_OK);
	assert_int_equal(mkdir(scratch_path(path, f->dir, "uptaned.conf.d"), 0700), 0);
	/* A locale would sort a before B. */
	scratch_write(f->dir, "uptaned.conf.d/a.conf", "[a]\nk=a\n", 8);
	scratch_write(f->dir, "uptaned.conf.d/B.conf", "[a]\nk=B\n", 8);
	scratch_write(f->dir, "uptaned.conf.d/10.conf", "[a]\nk=10\n", 9);
	scratch_write(f->dir, "uptaned.conf.d/z.conf~", "broken", 6);
	scratch_write(f->dir, "uptaned.conf.d/.z.conf", "broken", 6);
	scratch_write(f->dir, "uptaned.conf.d/README", "broken", 6);
	upt_ini_clear(&f->ini);
	assert_int_equal(upt_ini_read_dir(&f->ini, f->dir, "uptaned", &f->err), UPT_OK);
	assert_int_equal(upt_ini_string(&f->ini, "a", "", "k", NULL, &s, &f->err), UPT_OK);
	assert_string_equal(s, "a");
	assert_int_equal(upt_ini_string(&f->ini, "a", "", "only", NULL, &s, &f->err), UPT_OK);
	assert_string_equal(s, "main");
	assert_int_equal(
		upt_ini_check_all_used(&f->ini, &f->err), UPT_OK); /* overridden ones too */
	scratch_write(f->dir, "uptaned.conf.d/20.conf", "broken", 6);
	upt_ini_clear(&f->ini);
	assert_int_equal(upt_ini_read_dir(&f->ini, f->dir, "uptaned", &f->err), UPT_E_CONFIG);
	assert_non_null(strstr(f->err.message, "uptaned.conf.d/20.conf:1: "));
}

static void
many_drop_ins_are_sorted(void **state)
{
	struct fixture *f = *state;
	char path[4096], name[64], text[32];
	unsigned want = 0;

	scratch_write(f->dir, "uptaned.conf", "", 0);
	assert_int_equal(mkdir(scratch_path(path, f->dir, "uptaned.conf.d"), 0700), 0);
	for (unsigned i = 0; i < 64; i++) {
		unsigned n = i * 37 % 64; /* a directory may keep the order of creation */
		snprintf(name, sizeof(name), "uptaned.conf.d/%02u.conf", n);
		scratch_write(f->dir, name, text,
			(size_t)snprintf(text, sizeof(text), "[a]\nk=%02u\n", n));
	}
	assert_int_equal(upt_ini_read_dir(&f->ini, f->dir, "uptaned", &f->err), UPT_OK);
	for (const struct upt_ini_entry *e = f->ini.first; e != NULL; e = e->next) {
		snprintf(text, sizeof(text), "%02u", want++);
		assert_string_equal(e->value, text);
	}
	assert_int_equal(want, 64);
}

static void
too_many_drop_ins_are_refused(void **state)
{
	struct fixture *f = *state;
	char path[4096], name[64];

	scratch_write(f->dir, "uptaned.conf", "", 0);
	assert_int_equal(mkdir(scratch_path(path, f->dir, "uptaned.conf.d"), 0700), 0);
	for (int i = 0; i < UPT_INI_MAX_DROP_INS; i++) {
		snprintf(name, sizeof(name), "uptaned.conf.d/%d.conf", i);
		scratch_write(f->dir, name, "", 0);
	}
	assert_int_equal(upt_ini_read_dir(&f->ini, f->dir, "uptaned", &f->err), UPT_OK);
	scratch_write(f->dir, "uptaned.conf.d/more.conf", "", 0);
	assert_int_equal(upt_ini_read_dir(&f->ini, f->dir, "uptaned", &f->err), UPT_E_CONFIG);
	assert_non_null(strstr(f->err.message, "more than 256 files"));
}

static void
whole_numbers_are_bounded_and_named(void **state)
{
	static const struct {
		const char *value;
		const char *message;
	} rows[] = {
		{"abc", "'abc' is not a whole number (1 to 86400)"},
		{"", "'' is not a whole number (1 to 86400)"},
		{"-1", "'-1' is not a whole number (1 to 86400)"},
		{"+1", "'+1' is not a whole number (1 to 86400)"},
		{"0x10", "'0x10' is not a whole number (1 to 86400)"},
		{"10s", "'10s' is not a whole number (1 to 86400)"},
		{"1 0", "'1 0' is not a whole number (1 to 86400)"},
		{"18446744073709551616",
			"'18446744073709551616' is not a whole number (1 to 86400)"},
		{"18446744073709551620",
			"'18446744073709551620' is not a whole number (1 to 86400)"},
		{"0", "0 is outside 1 to 86400"},
		{"86401", "86401 is outside 1 to 86400"},
	};
	struct fixture *f = *state;
	char text[128], want[256];
	uint64_t n;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), "\n[director]\npoll_interval_s = %s\n", rows[i].value);
		assert_int_equal(read_text(f, text), UPT_OK);
		n = 99;
		assert_int_equal(upt_ini_u64(&f->ini, "director", "", "poll_interval_s", 7, 1,
					 86400, &n, &f->err),
			UPT_E_CONFIG);
		assert_int_equal(n, 0);
		snprintf(want, sizeof(want), "uptaned.conf:3: [director] poll_interval_s: %s",
			rows[i].message);
		assert_string_equal(message(f), want);
	}
	assert_int_equal(
		read_text(f, "[d]\nlow=1\nhigh=86400\nall=18446744073709551615\n"), UPT_OK);
	assert_int_equal(upt_ini_u64(&f->ini, "d", "", "low", 7, 1, 86400, &n, &f->err), UPT_OK);
	assert_int_equal(n, 1);
	assert_int_equal(upt_ini_u64(&f->ini, "d", "", "high", 7, 1, 86400, &n, &f->err), UPT_OK);
	assert_int_equal(n, 86400);
	assert_int_equal(
		upt_ini_u64(&f->ini, "d", "", "all", 7, 0, UINT64_MAX, &n, &f->err), UPT_OK);
	assert_true(n == UINT64_MAX);
	assert_int_equal(upt_ini_u64(&f->ini, "d", "", "absent", 7, 1, 86400, &n, &f->err), UPT_OK);
	assert_int_equal(n, 7);
}

static void
yes_and_no_have_their_usual_spellings(void **state)
{
	static const struct {
		const char *value;
		int want;
	} rows[] = {{"yes", 1}, {"TRUE", 1}, {"On", 1}, {"1", 1}, {"no", 0}, {"false", 0},
		{"off", 0}, {"0", 0}, {"", -1}, {"maybe", -1}, {"y", -1}, {"2", -1},
		{"yes no", -1}};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[64];
		bool b = true;

		snprintf(text, sizeof(text), "[a x]\nb=%s\n", rows[i].value);
		assert_int_equal(read_text(f, text), UPT_OK);
		assert_int_equal(upt_ini_bool(&f->ini, "a", "x", "b", false, &b, &f->err),
			rows[i].want < 0 ? UPT_E_CONFIG : UPT_OK);
		assert_int_equal(b, rows[i].want > 0);
	}
	assert_string_equal(message(f), "uptaned.conf:2: [a x] b: 'yes no' is neither yes nor no");
	{
		bool b = false;
		assert_int_equal(
			upt_ini_bool(&f->ini, "a", "x", "absent", true, &b, &f->err), UPT_OK);
		assert_true(b);
	}
}

static void
required_keys_must_be_set_and_not_empty(void **state)
{
	struct fixture *f = *state;
	const char *s = "x";

	assert_int_equal(read_text(f, "[a]\nb=\nc=1\n"), UPT_OK);
	assert_int_equal(upt_ini_string(&f->ini, "a", "", "d", NULL, &s, &f->err), UPT_E_CONFIG);
	assert_null(s);
	assert_string_equal(message(f), "uptaned.conf: [a] d: required, but not set");
	assert_int_equal(upt_ini_string(&f->ini, "a", "", "b", NULL, &s, &f->err), UPT_E_CONFIG);
	assert_string_equal(message(f), "uptaned.conf:2: [a] b: required, but empty");
	assert_int_equal(upt_ini_string(&f->ini, "a", "", "d", "fallback", &s, &f->err), UPT_OK);
	assert_string_equal(s, "fallback");
}

static void
a_misspelt_key_is_found(void **state)
{
	struct fixture *f = *state;
	uint64_t n;

	assert_int_equal(read_text(f, "[a]\ngood=1\n[ecu s]\ngoood=1\nalso=2\n"), UPT_OK);
	assert_int_equal(upt_ini_u64(&f->ini, "a", "", "good", 0, 0, 9, &n, &f->err), UPT_OK);
	assert_int_equal(upt_ini_check_all_used(&f->ini, &f->err), UPT_E_CONFIG);
	assert_string_equal(message(f), "uptaned.conf:4: [ecu s] goood: unknown key or section");
	assert_non_null(upt_ini_find(&f->ini, "ecu", "s", "goood"));
	assert_non_null(upt_ini_find(&f->ini, "ecu", "s", "also"));
	assert_null(upt_ini_find(&f->ini, "ecu", "t", "also"));
	assert_int_equal(upt_ini_check_all_used(&f->ini, &f->err), UPT_OK);
}

static void
arguments_come_once_each_in_order(void **state)
{
	struct fixture *f = *state;
	const char *a;

	assert_int_equal(
		read_text(f, "[ecu]\nx=1\n[ecu b]\nx=1\ny=2\n[other z]\nx=1\n[ecu a]\nx=1\n"
			     "[ecu b]\nz=1\n[ecu c]\nx=1\n"),
		UPT_OK);
	a = upt_ini_next_argument(&f->ini, "ecu", NULL);
	assert_string_equal(a, "b");
	a = upt_ini_next_argument(&f->ini, "ecu", a);
	assert_string_equal(a, "a");
	a = upt_ini_next_argument(&f->ini, "ecu", a);
	assert_string_equal(a, "c");
	assert_null(upt_ini_next_argument(&f->ini, "ecu", a));
	assert_null(upt_ini_next_argument(&f->ini, "none", NULL));
}

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		with_fixture(sections_keys_and_comments_are_read),
		with_fixture(an_empty_file_is_no_error),
		with_fixture(anything_else_is_refused_with_its_line),
		with_fixture(a_nul_byte_is_refused),
		with_fixture(long_lines_and_files_are_refused),
		with_fixture(a_missing_file_is_not_found),
		with_fixture(drop_ins_override_in_byte_order),
		with_fixture(many_drop_ins_are_sorted),
		with_fixture(too_many_drop_ins_are_refused),
		with_fixture(whole_numbers_are_bounded_and_named),
		with_fixture(yes_and_no_have_their_usual_spellings),
		with_fixture(required_keys_must_be_set_and_not_empty),
		with_fixture(a_misspelt_key_is_found),
		with_fixture(arguments_come_once_each_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
