/*
 * The agent's power cut: it dies right before its n-th operation that changes what is on the disk.
 * Linked with --wrap for each of these.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

int world_kill_at; /* 0: never */
static int n_operations;

int __real_fsync(int fd);
int __real_rename(const char *from, const char *to);
int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __real_link(const char *from, const char *to);
int __real_unlink(const char *path);
int __real_unlinkat(int fd, const char *path, int flags);
int __wrap_fsync(int fd);
int __wrap_rename(const char *from, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_link(const char *from, const char *to);
int __wrap_unlink(const char *path);
int __wrap_unlinkat(int fd, const char *path, int flags);

static void
count(void)
{
	if (world_kill_at > 0 && ++n_operations == world_kill_at)
		raise(SIGKILL);
}

int
__wrap_fsync(int fd)
{
	count();
	return __real_fsync(fd);
}

int
__wrap_rename(const char *from, const char *to)
{
	count();
	return __real_rename(from, to);
}

int
__wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	count();
	return __real_renameat(from_fd, from, to_fd, to);
}

int
__wrap_link(const char *from, const char *to)
{
	count();
	return __real_link(from, to);
}

int
__wrap_unlink(const char *path)
{
	count();
	return __real_unlink(path);
}

int
__wrap_unlinkat(int fd, const char *path, int flags)
{
	count();
	return __real_unlinkat(fd, path, flags);
}
