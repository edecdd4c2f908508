/*
 * A path pattern and a name, between them a byte 0xff: fnmatch(3) is the referee where it speaks of
 * the same patterns.
 */
#include <fnmatch.h>

#include "fuzz.h"
#include "imagerepo/imagerepo.h"

#define SEPARATOR 0xff

/* glibc's classes ("[[:alpha:]]") are none of ours; and see random_patterns_agree_with_fnmatch. */
static bool
is_fnmatchs(struct upt_span pattern)
{
	for (size_t i = 0; i < pattern.len; i++) {
		uint8_t c = pattern.data[i], next = i + 1 < pattern.len ? pattern.data[i + 1] : 0;

		if (c < 0x20 || c > 0x7e ||
			(c == '[' && (next == ':' || next == '.' || next == '=')))
			return false;
	}
	return pattern.len == 0 || pattern.data[pattern.len - 1] != '-';
}

static bool
is_ascii(struct upt_span text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < 0x20 || text.data[i] > 0x7e)
			return false;
	}
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct upt_span rest = upt_span(data, size), pattern = {0}, name = {0};
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	const char *p, *n;

	if (fuzz_next_part(&rest, SEPARATOR, &pattern))
		name = rest;
	if (pattern.len > UPT_TARGET_NAME_MAX || name.len > UPT_TARGET_NAME_MAX)
		return 0;
	p = upt_arena_string(&arena, pattern);
	n = upt_arena_string(&arena, name);
	FUZZ_ASSERT(p != NULL && n != NULL);
	for (int crosses = 0; crosses < 2; crosses++) {
		bool got = upt_path_matches(p, n, crosses);

		/* A name that does not cross a slash does not mind being allowed to. */
		FUZZ_ASSERT(
			crosses || !got || strpbrk(p, "[") != NULL || upt_path_matches(p, n, true));
		/* fnmatch() may take a power of the pattern's stars. */
		if (pattern.len <= 24 && name.len <= 24 && is_fnmatchs(pattern) && is_ascii(name))
			FUZZ_ASSERT(
				got ==
				(fnmatch(p, n, FNM_NOESCAPE | (crosses ? 0 : FNM_PATHNAME)) == 0));
	}
	return 0;
}
