/*
 * The law of memory, for every harness: what one input makes the code hold at once is bounded by a
 * constant and a multiple of the input's size. A few bytes that cost megabytes are an attack on a
 * device that has few of them, long before a limit of libFuzzer's is reached.
 *
 * The linker puts this file between libFuzzer (or replay.c) and the harness (--wrap). A sanitizer's
 * allocator tells of each block; without one there is nothing to ask, and nothing is checked.
 */
#include "fuzz.h"

#define BYTES_PER_INPUT_BYTE 64

typedef void malloc_hook(const volatile void *block, size_t size);
typedef void free_hook(const volatile void *block);

/* In libasan of both compilers; gcc has no header for them. */
__attribute__((weak)) int __sanitizer_install_malloc_and_free_hooks(malloc_hook *, free_hook *);
__attribute__((weak)) size_t __sanitizer_get_allocated_size(const volatile void *block);

int __real_LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __wrap_LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of the input that runs. Allocators have no context to hand over. */
static struct {
	bool on;
	size_t held, peak;
} memory;

static void
on_malloc(const volatile void *block, size_t size)
{
	(void)block;
	if (!memory.on)
		return;
	memory.held += size;
	if (memory.held > memory.peak)
		memory.peak = memory.held;
}

/* What was allocated before the input may be freed during it. */
static void
on_free(const volatile void *block)
{
	size_t size;

	if (!memory.on || block == NULL)
		return;
	size = __sanitizer_get_allocated_size(block);
	memory.held -= size < memory.held ? size : memory.held;
}

int
__wrap_LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool installed, warm;
	const size_t max = (size_t)UPT_FUZZ_MEMORY_KIB * 1024 + BYTES_PER_INPUT_BYTE * size;

	if (!installed && __sanitizer_install_malloc_and_free_hooks != NULL)
		__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
	installed = true;
	memory.held = memory.peak = 0;
	/* The first input also pays for the libraries' tables. */
	memory.on = warm;
	__real_LLVMFuzzerTestOneInput(data, size);
	memory.on = false;
	warm = true;
	if (memory.peak > max) {
		fprintf(stderr,
			"an input of %zu bytes made the code hold %zu bytes, allowed are %zu\n",
			size, memory.peak, max);
		abort();
	}
	return 0;
}
