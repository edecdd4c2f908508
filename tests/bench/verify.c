/*
 * bench-verify DIR TARGET HARDWARE: full verification of an Image repository from its files in DIR to the
 * matched target, as the Primary does it: the same trusted set, refresh and search. Prints the target's
 * SHA-256 and this process's peak memory in KiB.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include "base/encode.h"
#include "feed.h"
#include "imagerepo/imagerepo.h"

static enum upt_code
verify(const char *dir, const char *name, const char *hardware, struct upt_err *err)
{
	struct upt_trust_policy policy = {.repo = UPT_REPO_IMAGE,
		.limits = UPT_LIMITS_IMAGE,
		.require_snapshot_hash = true};
	upt_cleanup(upt_trusted_set_free) struct upt_trusted_set *set = NULL;
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct upt_feed feed = bench_feed(&fd);
	struct upt_search search = {.feed = &feed, .now = (int64_t)time(NULL), .hardware_id = hardware};
	char hex[2 * UPT_HASH_MAX_BYTES + 1];
	struct upt_target target;
	bool changed;

	policy.limits.targets_max_bytes = 64u << 20;
	UPT_TRY(upt_trusted_set_new(&policy, &set, err));
	UPT_TRY(upt_refresh(set, &feed, search.now, &changed, err));
	UPT_TRY(upt_imagerepo_find(set, &search, name, &arena, &target, err));
	UPT_TRY(upt_imagerepo_match(
		&target, &target, &(struct upt_match){.hardware_id = hardware}, err));
	upt_hex_encode(upt_span(target.image.digests[0].bytes, target.image.digests[0].len), hex);
	printf("%s ", hex);
	return UPT_OK;
}

int
main(int argc, char **argv)
{
	struct upt_err err = {0};
	struct rusage usage;

	if (argc != 4) {
		fputs("usage: bench-verify DIR TARGET HARDWARE\n", stderr);
		return 2;
	}
	if (verify(argv[1], argv[2], argv[3], &err) != UPT_OK) {
		fprintf(stderr, "bench-verify: %s\n", err.message);
		return upt_code_exit(err.code);
	}
	getrusage(RUSAGE_SELF, &usage);
	printf("%ld\n", usage.ru_maxrss);
	return 0;
}
