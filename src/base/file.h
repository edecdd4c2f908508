/*
 * Durable files: whole-file reads with a bound, and replacement that survives a power cut
 * (temporary file, fsync, rename, fsync of the directory). Paths are local configuration, never
 * server input.
 */
#ifndef UPT_BASE_FILE_H
#define UPT_BASE_FILE_H

#include <sys/types.h>
#include "base/span.h"

/* Reads a regular file of at most max_bytes into out (replaced). UPT_E_NOT_FOUND, UPT_E_PERMISSION,
 * UPT_E_TOO_LARGE, UPT_E_IO, UPT_E_NO_MEMORY; out is unchanged then. Follows symbolic links of the
 * administrator; dirfd as in openat (AT_FDCWD for the working directory). */
UPT_NODISCARD enum upt_code upt_file_read(
	int dirfd, const char *path, size_t max_bytes, struct upt_buf *out, struct upt_err *err);

/* Reads exactly size bytes of an open regular file into out (replaced; unchanged on failure). shown names
 * it in messages. UPT_E_IO, also when it ends early; UPT_E_NO_MEMORY. */
UPT_NODISCARD enum upt_code upt_file_read_open(
	int fd, size_t size, const char *shown, struct upt_buf *out, struct upt_err *err);

/* Replaces path durably: after UPT_OK the new bytes survive a power cut; on any failure or cut
 * before it, the old file is whole. Never follows a symbolic link at the temporary's place. */
UPT_NODISCARD enum upt_code upt_file_replace(
	int dirfd, const char *path, mode_t mode, struct upt_span bytes, struct upt_err *err);

/* write(2) until all is written. */
UPT_NODISCARD enum upt_code upt_file_write_all(int fd, struct upt_span bytes, struct upt_err *err);
/* Makes the directory with its missing parents (mode 0755 and the umask; last one: mode), durably.
 * UPT_OK when it is there already; UPT_E_IO when something else has its name. */
UPT_NODISCARD enum upt_code upt_dir_make(const char *path, mode_t mode, struct upt_err *err);
/* fsync of a directory by path, so that a rename or unlink inside it is durable. */
UPT_NODISCARD enum upt_code upt_dir_sync(int dirfd, const char *path, struct upt_err *err);

#endif
