/* URLs: encoding of names, what messages show, what counts as the same server. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "transport/http.h"
#include "transport/url.h"

static void
assert_encodes(const char *path, bool keep_slash, const char *want)
{
	upt_cleanup(upt_buf_clear) struct upt_buf out = {0};
	struct upt_err err;

	assert_int_equal(upt_url_encode(path, keep_slash, &out, &err), UPT_OK);
	assert_string_equal((const char *)out.data, want);
	assert_int_equal(out.len, strlen(want));
}

static void
names_are_percent_encoded(void **state)
{
	(void)state;
	assert_encodes("", false, "");
	assert_encodes("a-Z_0.9~", false, "a-Z_0.9~");
	assert_encodes("dir/file name.bin", true, "dir/file%20name.bin");
	assert_encodes("dir/file name.bin", false, "dir%2Ffile%20name.bin");
	assert_encodes("a%2e?b#c&d=e+f;\r\n", true, "a%252e%3Fb%23c%26d%3De%2Bf%3B%0D%0A");
	assert_encodes("\xc3\xbc\x7f", true, "%C3%BC%7F");
	assert_encodes("...", true, "...");
	assert_encodes("a..b/.c", true, "a..b/.c");
}

static void
encoding_appends(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf out = {0};
	struct upt_err err;

	(void)state;
	assert_int_equal(upt_buf_printf(&out, &err, "https://h/"), UPT_OK);
	assert_int_equal(upt_url_encode("a b", true, &out, &err), UPT_OK);
	assert_string_equal((const char *)out.data, "https://h/a%20b");
}

static void
dot_segments_are_refused(void **state)
{
	static const char *const paths[] = {"..", ".", "../a", "a/..", "a/./b", "a/../b", "/.."};
	upt_cleanup(upt_buf_clear) struct upt_buf out = {0};
	struct upt_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		assert_int_equal(upt_url_encode(paths[i], true, &out, &err), UPT_E_MALFORMED);
		assert_int_equal(upt_url_encode(paths[i], false, &out, &err), UPT_E_MALFORMED);
		assert_int_equal(out.len, 0);
	}
}

static void
messages_show_no_secrets(void **state)
{
	char shown[UPT_URL_SHOWN_SIZE];
	char longer[1024] = "https://h/";

	(void)state;
	upt_url_show("https://me:pw@host.example:8443/a/b?X-Sig=s#f", shown);
	assert_string_equal(shown, "https://host.example:8443/a/b");
	upt_url_show_origin("https://me:pw@host.example:8443/a/b?X-Sig=s#f", shown);
	assert_string_equal(shown, "https://host.example:8443/");
	upt_url_show("no url with pw", shown);
	assert_string_equal(shown, "(malformed URL)");
	memset(longer + 10, 'a', sizeof(longer) - 11);
	upt_url_show(longer, shown);
	assert_int_equal(strlen(shown), UPT_URL_SHOWN_SIZE - 1);
}

static void
origin_is_scheme_host_and_port(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} cases[] = {
		{"https://h/a", "https://h/b?c", true},
		{"https://h/", "https://H:443/", true},
		{"https://u:p@h/", "https://h/", true},
		{"https://h/", "http://h/", false},
		{"https://h/", "https://h:444/", false},
		{"https://h/", "https://h.example/", false},
		{"https://h/", "https://h@evil/", false},
		{"https://h/", "https:/evil", false},
		{"https://h/", "", false},
		{"", "", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (upt_url_same_origin(cases[i].a, cases[i].b) != cases[i].same)
			fail_msg("%s and %s", cases[i].a, cases[i].b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_percent_encoded),
		cmocka_unit_test(encoding_appends),
		cmocka_unit_test(dot_segments_are_refused),
		cmocka_unit_test(messages_show_no_secrets),
		cmocka_unit_test(origin_is_scheme_host_and_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
