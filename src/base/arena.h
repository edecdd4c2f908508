/*
 * Arena: many small allocations with one lifetime, e.g. all of one parsed document.
 */
#ifndef UPT_BASE_ARENA_H
#define UPT_BASE_ARENA_H

#include <stddef.h>
#include "base/err.h"
#include "base/span.h"

struct upt_arena_block;

/* {0} is an empty arena. */
struct upt_arena {
	struct upt_arena_block *blocks;
	size_t used;
	size_t size;
};

/* Zeroed memory for n items of size bytes, aligned for any type; NULL when memory or size_t ends.
 */
void *upt_arena_alloc(struct upt_arena *arena, size_t n, size_t size);
/* NUL-terminated copy of the span; NULL without memory. */
char *upt_arena_string(struct upt_arena *arena, struct upt_span text);
/* Frees everything; fits upt_cleanup(). */
void upt_arena_clear(struct upt_arena *arena);

#endif
