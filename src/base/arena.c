#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct upt_arena_block {
	struct upt_arena_block *next;
	alignas(max_align_t) unsigned char data[];
};

#define BLOCK_BYTES ((size_t)4096)

void *
upt_arena_alloc(struct upt_arena *arena, size_t n, size_t size)
{
	struct upt_arena_block *block;
	size_t bytes, block_bytes;
	void *out;

	if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX / 2)
		return NULL;
	bytes = (bytes + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (arena->blocks == NULL || arena->size - arena->used < bytes) {
		block_bytes = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
		block = calloc(1, sizeof(*block) + block_bytes);
		if (block == NULL)
			return NULL;
		block->next = arena->blocks;
		arena->blocks = block;
		arena->used = 0;
		arena->size = block_bytes;
	}
	out = arena->blocks->data + arena->used;
	arena->used += bytes;
	return out;
}

char *
upt_arena_string(struct upt_arena *arena, struct upt_span text)
{
	char *s;

	if (text.len == SIZE_MAX)
		return NULL;
	s = upt_arena_alloc(arena, text.len + 1, 1);
	if (s != NULL && text.len > 0)
		memcpy(s, text.data, text.len);
	return s;
}

void
upt_arena_clear(struct upt_arena *arena)
{
	struct upt_arena_block *block = arena->blocks;

	while (block != NULL) {
		struct upt_arena_block *next = block->next;
		free(block);
		block = next;
	}
	*arena = (struct upt_arena){0};
}
