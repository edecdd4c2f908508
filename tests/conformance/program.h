/*
 * A scratch directory, and programs run in it with what they wrote kept as text. Every failure of
 * the harness itself fails the test.
 */
#ifndef TESTS_CONFORMANCE_PROGRAM_H
#define TESTS_CONFORMANCE_PROGRAM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/span.h"

#define PROGRAM_MAX_ARGS 64

/* A fresh directory below TMPDIR or /tmp. */
void scratch_make(char path[static 64]);
/* With all it holds. */
void scratch_remove(const char *path);

struct program_result {
	int status; /* the exit status; 128 + N when signal N ended it */
	struct upt_buf out, err;
};

/* argv ends with NULL. The program gets no input; it must end by itself. */
void program_run(const char *const *argv, const char *dir, struct program_result *result);
void program_result_clear(struct program_result *result);

#endif
