#include "scratch.h"

static void
spans_compare_by_content(void **state)
{
	(void)state;
	assert_true(upt_span_equal(upt_span_str("abc"), upt_span("abcd", 3)));
	assert_false(upt_span_equal(upt_span_str("abc"), upt_span_str("abd")));
	assert_false(upt_span_equal(upt_span_str("abc"), upt_span_str("ab")));
	assert_true(upt_span_equal(upt_span(NULL, 0), upt_span_str("")));
}

static void
buffer_grows_and_stays_terminated(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};
	struct upt_err err = {0};

	(void)state;
	for (int i = 0; i < 5000; i++) {
		assert_int_equal(upt_buf_append(&buf, "0123456789", 10, &err), UPT_OK);
		assert_int_equal(buf.data[buf.len], 0);
		assert_true(buf.len < buf.cap);
	}
	assert_int_equal(buf.len, 50000);
	assert_memory_equal(buf.data + 49990, "0123456789", 10);
}

static void
reserve_alone_terminates(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};

	(void)state;
	assert_int_equal(upt_buf_reserve(&buf, 0, NULL), UPT_OK);
	assert_int_equal(buf.len, 0);
	assert_string_equal((char *)buf.data, "");
	assert_int_equal(upt_buf_append(&buf, NULL, 0, NULL), UPT_OK);
	assert_int_equal(buf.len, 0);
}

static void
reserve_refuses_overflow_and_changes_nothing(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};
	struct upt_err err = {0};
	struct upt_buf before;

	(void)state;
	assert_int_equal(upt_buf_append(&buf, "abc", 3, NULL), UPT_OK);
	before = buf;
	assert_int_equal(upt_buf_reserve(&buf, SIZE_MAX, &err), UPT_E_NO_MEMORY);
	assert_int_equal(upt_buf_reserve(&buf, SIZE_MAX - 3, &err), UPT_E_NO_MEMORY);
	assert_int_equal(err.code, UPT_E_NO_MEMORY);
	assert_memory_equal(&before, &buf, sizeof(buf));
	assert_int_equal(upt_buf_reserve(&buf, 16, &err), UPT_OK);
}

static void
printf_appends_text_of_any_length(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};

	(void)state;
	assert_int_equal(upt_buf_printf(&buf, NULL, "%d-%s", 7, "x"), UPT_OK);
	assert_int_equal(upt_buf_printf(&buf, NULL, "%0*d", 3000, 1), UPT_OK);
	assert_int_equal(buf.len, 3003);
	assert_memory_equal(buf.data, "7-x000", 6);
	assert_string_equal((char *)buf.data + 3001, "01");
}

static void
move_empties_the_source(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf a = {0}, b = {0};

	(void)state;
	assert_int_equal(upt_buf_append(&a, "old", 3, NULL), UPT_OK);
	assert_int_equal(upt_buf_append(&b, "new", 3, NULL), UPT_OK);
	upt_buf_move(&a, &b);
	assert_string_equal((char *)a.data, "new");
	assert_null(b.data);
	assert_int_equal(b.cap, 0);
	upt_buf_move(&a, &a);
	assert_string_equal((char *)a.data, "new");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spans_compare_by_content),
		cmocka_unit_test(buffer_grows_and_stays_terminated),
		cmocka_unit_test(reserve_alone_terminates),
		cmocka_unit_test(reserve_refuses_overflow_and_changes_nothing),
		cmocka_unit_test(printf_appends_text_of_any_length),
		cmocka_unit_test(move_empties_the_source),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
