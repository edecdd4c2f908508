/*
 * vectors-run CORPUS [NAME...]: runs every case of the corpus, or the named ones, against this
 * project's verifier. One line for each difference, the processor's time, a last line "N passed, N
 * failed"; exit 1 when a case failed, there is none, or it took too long.
 */
#include <dirent.h>
#include <stdio.h>
#include <time.h>
#include "runner.h"

/* Of the whole corpus with sanitizers. The processor's time, which other work on it does not lengthen. */
#define MAX_SECONDS 60

static int
is_case(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void
count(bool ok, unsigned counts[static 2])
{
	counts[ok ? 0 : 1]++;
}

static bool
run_all(const char *corpus, const char *scratch, unsigned counts[static 2])
{
	struct dirent **entries;
	int n = scandir(corpus, &entries, is_case, alphasort);

	if (n < 0) {
		perror(corpus);
		return false;
	}
	for (int i = 0; i < n; i++) {
		count(judge_case(corpus, entries[i]->d_name, scratch), counts);
		free(entries[i]);
	}
	free(entries);
	return true;
}

static bool
is_in_time(void)
{
	struct timespec used;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) != 0)
		return false;
	printf("%lld.%lld seconds of the processor, %d are allowed\n", (long long)used.tv_sec,
		(long long)used.tv_nsec / 100000000, MAX_SECONDS);
	return used.tv_sec < MAX_SECONDS;
}

static void
remove_scratch(const char *scratch)
{
	char partial[64];

	snprintf(partial, sizeof(partial), "%s/partial", scratch);
	rmdir(partial);
	if (rmdir(scratch) != 0)
		perror(scratch);
}

int
main(int argc, char **argv)
{
	/* In memory where there is such a place: the image store makes every image durable. */
	bool shm = access("/dev/shm", W_OK) == 0;
	char in_memory[] = "/dev/shm/vectors-run-XXXXXX", on_disk[] = "/tmp/vectors-run-XXXXXX";
	char *scratch = shm ? in_memory : on_disk;
	unsigned counts[2] = {0, 0};
	bool ran = true, in_time;

	if (argc < 2) {
		fputs("usage: vectors-run CORPUS [NAME...]\n", stderr);
		return 2;
	}
	if (mkdtemp(scratch) == NULL) {
		perror(scratch);
		return 4;
	}
	if (argc == 2)
		ran = run_all(argv[1], scratch, counts);
	for (int i = 2; i < argc; i++)
		count(judge_case(argv[1], argv[i], scratch), counts);
	remove_scratch(scratch);
	in_time = is_in_time();
	printf("%u passed, %u failed\n", counts[0], counts[1]);
	return ran && in_time && counts[0] > 0 && counts[1] == 0 ? 0 : 1;
}
