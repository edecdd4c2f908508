/*
 * A wrong clock, preloaded into a program: FAULT_CLOCK_S seconds are added to the time of day. Timers go by other
 * clocks, which stay right.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int fault_clock_gettime(clockid_t id, struct timespec *t) __asm__("clock_gettime");
time_t fault_clock_time(time_t *out) __asm__("time");
int fault_clock_gettimeofday(struct timeval *tv, void *zone) __asm__("gettimeofday");

int
fault_clock_gettime(clockid_t id, struct timespec *t)
{
	const char *shift = getenv("FAULT_CLOCK_S");
	long rc = syscall(SYS_clock_gettime, id, t);

	if (rc == 0 && shift != NULL && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		t->tv_sec += strtol(shift, NULL, 10);
	return (int)rc;
}

time_t
fault_clock_time(time_t *out)
{
	struct timespec t = {0};

	fault_clock_gettime(CLOCK_REALTIME, &t);
	if (out != NULL)
		*out = t.tv_sec;
	return t.tv_sec;
}

int
fault_clock_gettimeofday(struct timeval *tv, void *zone)
{
	struct timespec t = {0};

	(void)zone;
	if (tv == NULL || fault_clock_gettime(CLOCK_REALTIME, &t) != 0)
		return -1;
	tv->tv_sec = t.tv_sec;
	tv->tv_usec = t.tv_nsec / 1000;
	return 0;
}
