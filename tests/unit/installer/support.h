/*
 * What the installer tests share: a directory of their own, small files, images made from bytes.
 */
#ifndef UPT_TESTS_INSTALLER_SUPPORT_H
#define UPT_TESTS_INSTALLER_SUPPORT_H

#include <limits.h>
#include "installer/installer.h"

#define BYTES(s) upt_span((s), sizeof(s) - 1)

/* Asserts the code of a call, whose error is shown when it is another. */
#define CHECK_CALL(call, expected, err)                                                            \
	do {                                                                                       \
		enum upt_code code_ = (call);                                                      \
		if (code_ != (expected))                                                           \
			fail_msg("%s, not %s: %s", upt_code_name(code_), upt_code_name(expected),  \
				(err).message);                                                    \
	} while (0)
/* The same in a test whose world is w. */
#define CHECK_CODE(call, expected) CHECK_CALL(call, expected, w->err)
#define CHECK_OK(call) CHECK_CODE(call, UPT_OK)

/* Makes a directory below /tmp and remembers it for dir_remove(). */
void dir_make(char out[static PATH_MAX]);
/* Removes it with all below it, also what OSTree made immutable. */
void dir_remove(const char *dir);
/* dir/name in one of a few rotating static buffers. */
const char *path_in(const char *dir, const char *name);

void file_write(const char *path, struct upt_span bytes);
void file_write_text(const char *path, const char *text);
/* True when the file holds exactly these bytes. */
bool file_holds(const char *path, struct upt_span bytes);
bool file_exists(const char *path);

/* The image of these bytes with sha256 and sha512. */
struct upt_image image_of(const char *name, struct upt_span bytes);
/* The image whose sha256 is this hex and whose length is 0, as OSTREE targets are. */
struct upt_image image_of_hex(const char *name, const char *hex);

/* Runs a program to its end, output to the log file; asserts that it exits with 0. */
void run(const char *log, const char *const *argv);
/* The same with its standard output, without the final newline, in out. */
void run_output(const char *log, char *out, size_t size, const char *const *argv);

#endif
