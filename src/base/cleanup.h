/*
 * Cleanup attributes: an owning local names the function that releases it, so that every early
 * return of a fail-closed procedure releases what it holds.
 */
#ifndef UPT_BASE_CLEANUP_H
#define UPT_BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define upt_cleanup(fn) __attribute__((cleanup(fn)))
#define UPT_NODISCARD __attribute__((warn_unused_result))
#define UPT_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Frees a malloc'd local: upt_cleanup(upt_free_ptr) char *s = ... */
static inline void
upt_free_ptr(void *p)
{
	void **pp = p;
	free(*pp);
	*pp = NULL;
}

/* Closes a file descriptor local; -1 means none. */
static inline void
upt_close_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#endif
