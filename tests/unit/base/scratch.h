/*
 * Directories and small file systems for tests; all of them are gone when the test ends.
 */
#ifndef UPT_TESTS_SCRATCH_H
#define UPT_TESTS_SCRATCH_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/span.h"

/* A new empty directory; the caller removes it. */
char *scratch_make(void);
/* The same where syncs cost nothing, if there is such a place. */
char *scratch_make_in_memory(void);
void scratch_remove(char **dir); /* with its content; fits upt_cleanup() */
/* "DIR/NAME" in a buffer of the caller; returns it. */
const char *scratch_path(char out[static 4096], const char *dir, const char *name);
void scratch_write(const char *dir, const char *name, const void *bytes, size_t len);
void scratch_read(const char *dir, const char *name, struct upt_buf *out);
bool scratch_exists(const char *dir, const char *name);
/* Runs body(ctx) in a child, whose mounts and locks end with it. The test fails unless it returns 0;
 * SCRATCH_SKIP skips the test and says why. */
#define SCRATCH_SKIP 77
void scratch_in_child(int (*body)(const void *ctx), const void *ctx, const char *why_skipped);
/* In a mount namespace of this process: a file system of that size ("1m") on dir. False when the
 * machine forbids it; the test then says so and skips. */
bool scratch_mount(const char *dir, const char *size);
void scratch_remount_read_only(const char *dir);

#endif
