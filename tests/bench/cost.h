/*
 * What one process has cost so far. Its own processor time, not the clock's: neighbours on the
 * machine take the clock's. Thread-safety: no shared state.
 */
#ifndef TESTS_BENCH_COST_H
#define TESTS_BENCH_COST_H

#include <stdint.h>
#include <stdio.h>
#include <time.h>

static inline int64_t
cost_micros(void)
{
	struct timespec t = {0};

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Peak memory in KiB; unlike getrusage's, not that of the shell before exec. -1 when not to be had.
 */
static inline long
cost_peak_kib(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	long kib = -1;

	while (f != NULL && kib < 0 && fgets(line, sizeof(line), f) != NULL)
		(void)sscanf(line, "VmHWM: %ld", &kib);
	if (f != NULL)
		fclose(f);
	return kib;
}

#endif
