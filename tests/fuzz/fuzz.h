/*
 * What every fuzz harness shares: the entry point that libFuzzer and replay.c call, an assertion
 * that no build type takes away, and a folder in memory for those that read files.
 */
#ifndef UPT_TESTS_FUZZ_FUZZ_H
#define UPT_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/span.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_ASSERT(condition)                                                                     \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__,          \
				#condition);                                                       \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* Takes the bytes up to the next separator, or all, from the front of rest; false at the end. */
bool fuzz_next_part(struct upt_span *rest, uint8_t separator, struct upt_span *part);
/* Bytes as a C string of their own, cut at the first NUL; the caller frees it. */
char *fuzz_string(struct upt_span bytes);

/* A folder of this process, in TMPDIR or else in memory where there is such a place; removed at
 * exit, but not by a crash: scripts/fuzz removes its TMPDIR. */
const char *fuzz_dir(void);
/* "FOLDER/NAME", good until four more were asked for. */
const char *fuzz_path(const char *name);
/* Writes FOLDER/NAME, without any care for durability. */
void fuzz_write(const char *name, struct upt_span bytes);
/* Removes FOLDER/NAME, with all below it. */
void fuzz_remove(const char *name);

#endif
