/*
 * Each allocation fails once: the code says so, outputs are as promised, and (AddressSanitizer
 * looks) nothing leaks. The linker sends the module's allocations through the functions below.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <uninorm.h>
#include "json/json.h"

#define TEXT(literal) upt_span(literal, sizeof(literal) - 1)
#define NEVER SIZE_MAX

/* Allocations until one fails; the wrapped functions have no argument to carry it. */
static size_t until_failure = NEVER;

static bool
fails_now(void)
{
	if (until_failure == NEVER)
		return false;
	return until_failure-- == 0;
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);
struct uninorm_filter *
__real_uninorm_filter_create(uninorm_t nf, int (*stream_func)(void *, ucs4_t), void *stream_data);
struct uninorm_filter *
__wrap_uninorm_filter_create(uninorm_t nf, int (*stream_func)(void *, ucs4_t), void *stream_data);
int __real_uninorm_filter_write(struct uninorm_filter *filter, ucs4_t uc);
int __wrap_uninorm_filter_write(struct uninorm_filter *filter, ucs4_t uc);

void *
__wrap_calloc(size_t n, size_t size)
{
	return fails_now() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t size)
{
	return fails_now() ? NULL : __real_realloc(p, size);
}

struct uninorm_filter *
__wrap_uninorm_filter_create(uninorm_t nf, int (*stream_func)(void *, ucs4_t), void *stream_data)
{
	return fails_now() ? NULL : __real_uninorm_filter_create(nf, stream_func, stream_data);
}

int
__wrap_uninorm_filter_write(struct uninorm_filter *filter, ucs4_t uc)
{
	return fails_now() ? -1 : __real_uninorm_filter_write(filter, uc);
}

static void
check_reports_each_failure(void **state)
{
	struct upt_span text = TEXT("{\"b\":{\"d\":0,\"c\":0},\"a\":\"\xe6\xbc\xa2\xe5\xad\x97\"}");
	size_t failures = 0;

	(void)state;
	for (;; failures++) {
		struct upt_err err = {0};
		struct upt_json_doc doc;
		enum upt_code code;

		until_failure = failures;
		code = upt_json_check(text, &doc, &err);
		until_failure = NEVER;
		if (code == UPT_OK)
			break;
		assert_int_equal(code, UPT_E_NO_MEMORY);
		assert_int_equal(err.code, UPT_E_NO_MEMORY);
		assert_null(doc.whole.text.data);
		assert_int_equal(doc.n_top, 0);
	}
	assert_int_equal(
		failures, 2 + 1 + 2 + 2); /* two sorts of two, the filter, two characters */
}

static void
check_of_sorted_ascii_keys_needs_no_memory(void **state)
{
	struct upt_json_doc doc;
	enum upt_code code;

	(void)state;
	until_failure = 0;
	code = upt_json_check(
		TEXT("{\"a\":[1,{\"x\":\"\\n\xc3\xa9\",\"y\":[]}],\"b\":{}}"), &doc, NULL);
	until_failure = NEVER;
	assert_int_equal(code, UPT_OK);
}

static void
canonical_keeps_the_old_bytes_at_each_failure(void **state)
{
	struct upt_span text =
		TEXT("{\"b\":{\"d\":\"\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2\",\"c\":0},\"a\":1}");
	size_t failures = 0;

	(void)state;
	for (;; failures++) {
		upt_cleanup(upt_buf_clear) struct upt_buf out = {0};
		struct upt_err err = {0};
		enum upt_code code;

		assert_int_equal(upt_buf_append(&out, "old", 3, NULL), UPT_OK);
		until_failure = failures;
		code = upt_json_canonical(text, UPT_JSON_ASCII, &out, &err);
		until_failure = NEVER;
		if (code == UPT_OK)
			break;
		assert_int_equal(code, UPT_E_NO_MEMORY);
		assert_int_equal(err.code, UPT_E_NO_MEMORY);
		assert_int_equal(out.len, 3);
		assert_string_equal((const char *)out.data, "old");
	}
	assert_true(failures >= 4);
}

static void
decode_reports_a_full_memory(void **state)
{
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	struct upt_span out = TEXT("before");
	struct upt_err err = {0};
	const char *s = "before";

	(void)state;
	until_failure = 0;
	assert_int_equal(upt_json_decode(&arena, TEXT("a\\n"), &out, &err), UPT_E_NO_MEMORY);
	until_failure = 0;
	assert_int_equal(upt_json_decode_string(&arena, TEXT("a"), &s, &err), UPT_E_NO_MEMORY);
	until_failure = NEVER;
	assert_null(out.data);
	assert_null(s);
	assert_int_equal(upt_json_decode_string(&arena, TEXT("a"), &s, &err), UPT_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(check_reports_each_failure),
		cmocka_unit_test(check_of_sorted_ascii_keys_needs_no_memory),
		cmocka_unit_test(canonical_keeps_the_old_bytes_at_each_failure),
		cmocka_unit_test(decode_reports_a_full_memory),
	};

	return cmocka_run_group_tests_name("json memory", tests, NULL, NULL);
}
