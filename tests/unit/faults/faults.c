#include "faults.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <uninorm.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"

/* Wrapped functions have no argument to carry these. */
static enum fault kind = FAULT_NONE, paused_kind = FAULT_NONE;
static size_t until_failure;
static bool failed;

const char *
fault_name(enum fault fault)
{
	static const char *const names[] = {"none", "memory", "memory of OpenSSL",
		"memory of SQLite", "disk error", "disk full"};

	return names[fault];
}

void
faults_begin(enum fault fault, size_t at)
{
	kind = fault;
	until_failure = at;
	failed = false;
}

bool
faults_end(void)
{
	kind = FAULT_NONE;
	return failed;
}

void
faults_pause(void)
{
	paused_kind = kind;
	kind = FAULT_NONE;
}

void
faults_resume(void)
{
	kind = paused_kind;
}

bool
faults_due(enum fault fault)
{
	if (kind != fault || failed)
		return false;
	if (until_failure-- > 0)
		return false;
	failed = true;
	return true;
}

bool
faults_disk_due(bool needs_room)
{
	if (faults_due(FAULT_DISK_ERROR)) {
		errno = EIO;
		return true;
	}
	if (needs_room && faults_due(FAULT_DISK_FULL)) {
		errno = ENOSPC;
		return true;
	}
	return false;
}

static bool
memory_due(void)
{
	if (!faults_due(FAULT_MEMORY))
		return false;
	errno = ENOMEM;
	return true;
}

/* NAME(args) fails with bad where due, or does what it does. */
#define WRAP(due, bad, type, name, params, args)                                                   \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		return (due) ? (bad) : __real_##name args;                                         \
	}
#define WRAP_MEMORY(type, name, params, args) WRAP(memory_due(), NULL, type, name, params, args)
#define WRAP_DISK(needs_room, type, name, params, args)                                            \
	WRAP(faults_disk_due(needs_room), -1, type, name, params, args)

/* ---- memory ---- */

WRAP_MEMORY(void *, malloc, (size_t size), (size))
WRAP_MEMORY(void *, calloc, (size_t n, size_t size), (n, size))
WRAP_MEMORY(void *, realloc, (void *p, size_t size), (p, size))
WRAP_MEMORY(char *, strdup, (const char *text), (text))
WRAP_MEMORY(char *, realpath, (const char *path, char *out), (path, out))
WRAP_MEMORY(DIR *, fdopendir, (int fd), (fd))
WRAP_MEMORY(void *, upt_arena_alloc, (struct upt_arena * arena, size_t n, size_t size),
	(arena, n, size))
WRAP_MEMORY(
	char *, upt_arena_string, (struct upt_arena * arena, struct upt_span text), (arena, text))
WRAP_MEMORY(struct uninorm_filter *, uninorm_filter_create,
	(uninorm_t nf, int (*stream_func)(void *, ucs4_t), void *stream_data),
	(nf, stream_func, stream_data))

int __wrap_asprintf(char **out, const char *fmt, ...) UPT_PRINTF(2, 3);

int
__wrap_asprintf(char **out, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (memory_due())
		return -1;
	va_start(ap, fmt);
	n = vasprintf(out, fmt, ap);
	va_end(ap);
	return n;
}

static void *
openssl_malloc(size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return faults_due(FAULT_OPENSSL_MEMORY) ? NULL : __real_malloc(size);
}

static void *
openssl_realloc(void *p, size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return faults_due(FAULT_OPENSSL_MEMORY) ? NULL : __real_realloc(p, size);
}

static void
openssl_free(void *p, const char *file, int line)
{
	(void)file, (void)line;
	free(p);
}

bool
faults_hook_openssl(void)
{
	return CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) == 1;
}

/* ---- the disk, by the names of large files ---- */

int __real_openat64(int dirfd, const char *path, int flags, ...);
int __wrap_openat64(int dirfd, const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);

static mode_t
mode_of(int flags, va_list ap)
{
	return (flags & O_CREAT) != 0 ? va_arg(ap, mode_t) : 0;
}

int
__wrap_openat64(int dirfd, const char *path, int flags, ...)
{
	mode_t mode;
	va_list ap;

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	if (faults_disk_due((flags & O_CREAT) != 0))
		return -1;
	return __real_openat64(dirfd, path, flags, mode);
}

int
__wrap_open64(const char *path, int flags, ...)
{
	mode_t mode;
	va_list ap;

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return __wrap_openat64(AT_FDCWD, path, flags, mode);
}

WRAP_DISK(false, ssize_t, read, (int fd, void *out, size_t n), (fd, out, n))
WRAP_DISK(true, ssize_t, write, (int fd, const void *bytes, size_t n), (fd, bytes, n))
WRAP_DISK(true, ssize_t, pwrite64, (int fd, const void *bytes, size_t n, off_t at),
	(fd, bytes, n, at))
WRAP_DISK(true, int, fsync, (int fd), (fd))
WRAP_DISK(true, int, ftruncate64, (int fd, off_t size), (fd, size))
WRAP_DISK(true, int, fallocate64, (int fd, int mode, off_t at, off_t n), (fd, mode, at, n))
WRAP_DISK(true, int, renameat, (int from_fd, const char *from, int to_fd, const char *to),
	(from_fd, from, to_fd, to))
WRAP_DISK(false, int, unlinkat, (int fd, const char *path, int flags), (fd, path, flags))
WRAP_DISK(true, int, mkdir, (const char *path, mode_t mode), (path, mode))
WRAP_DISK(true, int, mkdirat, (int fd, const char *path, mode_t mode), (fd, path, mode))
WRAP_DISK(false, int, fchmod, (int fd, mode_t mode), (fd, mode))
WRAP_DISK(false, int, flock, (int fd, int operation), (fd, operation))
WRAP_DISK(false, int, stat64, (const char *path, struct stat *st), (path, st))
WRAP_DISK(false, int, fstat64, (int fd, struct stat *st), (fd, st))
WRAP_DISK(false, int, fstatat64, (int fd, const char *path, struct stat *st, int flags),
	(fd, path, st, flags))

int __real_fstatvfs64(int fd, struct statvfs *st);
int __wrap_fstatvfs64(int fd, struct statvfs *st);

/* A disk that was full says so when it is asked. */
int
__wrap_fstatvfs64(int fd, struct statvfs *st)
{
	int r = faults_disk_due(false) ? -1 : __real_fstatvfs64(fd, st);

	if (r == 0 && kind == FAULT_DISK_FULL && failed)
		st->f_bavail = 0;
	return r;
}
