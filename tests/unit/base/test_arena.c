#include "scratch.h"

#include <stdalign.h>
#include "base/arena.h"

static void
allocations_are_aligned_zeroed_and_apart(void **state)
{
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	unsigned char *prev = NULL;

	(void)state;
	for (size_t size = 1; size < 300; size++) {
		unsigned char *p = upt_arena_alloc(&arena, 1, size);
		assert_non_null(p);
		assert_int_equal((uintptr_t)p % alignof(max_align_t), 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, size); /* ASan sees an overlap with the block's end */
		if (prev != NULL)
			assert_int_equal(prev[size - 2], 0xff);
		prev = p;
	}
}

static void
large_items_get_their_own_block(void **state)
{
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	char *small = upt_arena_string(&arena, upt_span_str("small"));
	unsigned char *large = upt_arena_alloc(&arena, 1000, 1000);

	(void)state;
	assert_non_null(large);
	memset(large, 1, 1000000);
	assert_non_null(upt_arena_alloc(&arena, 1, 1));
	assert_string_equal(small, "small");
}

static void
sizes_that_overflow_are_refused(void **state)
{
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};

	(void)state;
	assert_null(upt_arena_alloc(&arena, SIZE_MAX / 2, 3));
	assert_null(upt_arena_alloc(&arena, SIZE_MAX, 1));
	assert_null(upt_arena_alloc(&arena, (size_t)1 << 33, (size_t)1 << 31));
	assert_null(upt_arena_string(&arena, upt_span("x", SIZE_MAX)));
	assert_non_null(upt_arena_alloc(&arena, 0, 8)); /* and nothing is no error */
	assert_non_null(upt_arena_alloc(&arena, 2, 8));
}

static void
strings_are_terminated_copies(void **state)
{
	struct upt_arena arena = {0};
	char text[] = "abcdef";
	char *copy = upt_arena_string(&arena, upt_span(text, 3));

	(void)state;
	text[0] = 'X';
	assert_string_equal(copy, "abc");
	assert_string_equal(upt_arena_string(&arena, upt_span(NULL, 0)), "");
	upt_arena_clear(&arena);
	assert_null(arena.blocks);
	upt_arena_clear(&arena); /* twice is harmless */
	assert_non_null(upt_arena_alloc(&arena, 1, 1));
	upt_arena_clear(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allocations_are_aligned_zeroed_and_apart),
		cmocka_unit_test(large_items_get_their_own_block),
		cmocka_unit_test(sizes_that_overflow_are_refused),
		cmocka_unit_test(strings_are_terminated_copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
