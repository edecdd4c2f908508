/*
 * What hostile texts cost. The bounds are wide, for sanitizers and slow machines; what they catch
 * is work that grows with the square of the input: the smallest of these would take minutes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <time.h>
#include "json/json.h"

#define MAX_SECONDS 10.0
#define MEGABYTE ((size_t)1 << 20)

static double
cpu_seconds(void)
{
	struct timespec now;

	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), 0);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void
fill(struct upt_buf *out, char byte, size_t n)
{
	assert_int_equal(upt_buf_reserve(out, n, NULL), UPT_OK);
	memset(out->data + out->len, byte, n);
	out->len += n;
	out->data[out->len] = 0;
}

static void
put(struct upt_buf *out, const char *s)
{
	assert_int_equal(upt_buf_append(out, s, strlen(s), NULL), UPT_OK);
}

static void
assert_quick(struct upt_span text, enum upt_code expected)
{
	double before = cpu_seconds(), took;
	struct upt_err err = {0};
	struct upt_json_doc doc;
	enum upt_code code = upt_json_check(text, &doc, &err);

	took = cpu_seconds() - before;
	print_message("%zu bytes: %.3f s %s\n", text.len, took, err.message);
	assert_int_equal(code, expected);
	assert_true(took < MAX_SECONDS);
}

/* An object of n members whose keys are (i * step) % n: all orders that a sort may dislike. */
static void
put_object(struct upt_buf *out, size_t n, size_t step, const char *prefix)
{
	put(out, "{\"targets\":{");
	for (size_t i = 0; i < n; i++)
		assert_int_equal(upt_buf_printf(out, NULL, "%s\"%s%06zu\":{}", i > 0 ? "," : "",
					 prefix, i * step % n),
			UPT_OK);
	put(out, "}}");
}

static void
unsorted_keys_cost_n_log_n(void **state)
{
	static const size_t steps[] = {1, 99999, 3, 50001, 61803};

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		upt_cleanup(upt_buf_clear) struct upt_buf text = {0}, out = {0};
		double before;

		put_object(&text, 100000, steps[i], "");
		assert_quick(upt_buf_span(&text), UPT_OK);
		before = cpu_seconds();
		assert_int_equal(
			upt_json_canonical(upt_buf_span(&text), UPT_JSON_OLPC, &out, NULL), UPT_OK);
		assert_true(cpu_seconds() - before < MAX_SECONDS);
		assert_int_equal(out.len, text.len);
	}
}

static void
a_duplicate_among_unsorted_keys_is_found(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};

	(void)state;
	put_object(&text, 100000, 61803, "");
	text.len -= 2; /* the closing brackets */
	put(&text, ",\"04242\\u0032\":{}}}");
	assert_quick(upt_buf_span(&text), UPT_E_MALFORMED);
}

/* Keys that differ at their end, and keys that only the slow comparison tells apart. */
static void
long_common_beginnings_cost_their_length(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0}, prefix = {0};

	(void)state;
	fill(&prefix, 'p', 400);
	put_object(&text, 10000, 6181, (const char *)prefix.data);
	assert_quick(upt_buf_span(&text), UPT_OK);
	upt_buf_clear(&text);
	upt_buf_clear(&prefix);
	for (int i = 0; i < 70; i++)
		put(&prefix, "\\u0070");
	put_object(&text, 10000, 6181, (const char *)prefix.data);
	assert_quick(upt_buf_span(&text), UPT_OK);
}

/* Each level is unsorted and walked again when it closes: the depth bounds how often. */
static void
unsorted_objects_in_each_other_cost_their_depth(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};

	(void)state;
	for (int i = 0; i < UPT_JSON_MAX_DEPTH - 1; i++)
		put(&text, "{\"b\":");
	put(&text, "[0");
	for (size_t i = 0; i < 4 * MEGABYTE; i += 2)
		put(&text, ",0");
	put(&text, "]");
	for (int i = 0; i < UPT_JSON_MAX_DEPTH - 1; i++)
		put(&text, ",\"a\":0}");
	assert_quick(upt_buf_span(&text), UPT_OK);
}

static void
a_megabyte_of_brackets_is_refused_at_once(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	struct upt_json_iter it;
	double before;

	(void)state;
	fill(&text, '[', MEGABYTE);
	assert_quick(upt_buf_span(&text), UPT_E_MALFORMED);
	before = cpu_seconds();
	for (it = upt_json_iter(upt_buf_span(&text)); upt_json_next(&it);)
		;
	assert_true(cpu_seconds() - before < MAX_SECONDS);
}

static void
white_space_costs_its_length(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};

	(void)state;
	fill(&text, ' ', 16 * MEGABYTE);
	assert_quick(upt_buf_span(&text), UPT_E_MALFORMED);
	put(&text, "[");
	fill(&text, '\n', 16 * MEGABYTE);
	put(&text, "]");
	fill(&text, '\t', 16 * MEGABYTE);
	assert_quick(upt_buf_span(&text), UPT_OK);
}

static void
one_long_token_costs_its_length(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};

	(void)state;
	put(&text, "\"");
	fill(&text, 'x', 16 * MEGABYTE);
	assert_quick(upt_buf_span(&text), UPT_E_MALFORMED);
	put(&text, "\"");
	assert_quick(upt_buf_span(&text), UPT_OK);
	text.len = 0;
	fill(&text, '7', 16 * MEGABYTE);
	assert_quick(upt_buf_span(&text), UPT_E_MALFORMED);
	text.len = 0;
	put(&text, "\"");
	fill(&text, '\\', 4 * MEGABYTE);
	put(&text, "\"");
	assert_quick(upt_buf_span(&text), UPT_OK);
}

/* A repeated sequence of UTF-8 between two quotes. */
static void
assert_repeated(const char *sequence, enum upt_code expected)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};

	put(&text, "\"x");
	for (size_t len = 0; len < MEGABYTE; len += strlen(sequence))
		put(&text, sequence);
	put(&text, "\"");
	assert_quick(upt_buf_span(&text), expected);
}

static void
normalisation_costs_the_length_of_the_string(void **state)
{
	(void)state;
	assert_repeated("\xe6\xbc\xa2", UPT_OK); /* Han */
	assert_repeated("\xed\x95\x9c", UPT_OK); /* Hangul syllables */
	assert_repeated("x\xcc\x96\xcc\x81", UPT_OK); /* marks on each letter */
	assert_repeated("\xcc\x96", UPT_E_MALFORMED); /* nothing but marks */
	assert_repeated("\xe0\xbd\xb3", UPT_E_MALFORMED); /* a base that decomposes into marks */
	assert_repeated("\xe1\x85\xa1", UPT_OK); /* Hangul vowels that nothing precedes */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unsorted_keys_cost_n_log_n),
		cmocka_unit_test(a_duplicate_among_unsorted_keys_is_found),
		cmocka_unit_test(long_common_beginnings_cost_their_length),
		cmocka_unit_test(unsorted_objects_in_each_other_cost_their_depth),
		cmocka_unit_test(a_megabyte_of_brackets_is_refused_at_once),
		cmocka_unit_test(white_space_costs_its_length),
		cmocka_unit_test(one_long_token_costs_its_length),
		cmocka_unit_test(normalisation_costs_the_length_of_the_string),
	};

	return cmocka_run_group_tests_name("json cost", tests, NULL, NULL);
}
