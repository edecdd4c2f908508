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
#include "base/file.h"
#include "imagerepo/imagerepo.h"

struct folder {
	int fd;
};

static enum upt_code
folder_fetch(void *ctx, const char *file, size_t max, struct upt_buf *out, struct upt_err *err)
{
	struct folder *folder = ctx;
	enum upt_code code = upt_file_read(folder->fd, file, max, out, err);

	return code == UPT_E_NOT_FOUND ? UPT_E_ABSENT : code;
}

static enum upt_code
folder_load(void *ctx, const char *role, struct upt_buf *out, struct upt_err *err)
{
	struct folder *folder = ctx;

	if (strcmp(role, "root") == 0)
		return upt_file_read(folder->fd, "1.root.json", 1u << 20, out, err);
	return upt_fail(err, UPT_E_NOT_FOUND, "nothing stored");
}

static enum upt_code
drop_save(void *ctx, const char *role, uint64_t version, struct upt_span bytes, struct upt_err *err)
{
	(void)ctx, (void)role, (void)version, (void)bytes, (void)err;
	return UPT_OK;
}

static enum upt_code
drop_root(void *ctx, uint64_t version, struct upt_span bytes, bool drop_others, struct upt_err *err)
{
	(void)ctx, (void)version, (void)bytes, (void)drop_others, (void)err;
	return UPT_OK;
}

static enum upt_code
drop_forget(void *ctx, const char *role, struct upt_err *err)
{
	(void)ctx, (void)role, (void)err;
	return UPT_OK;
}

static enum upt_code
verify(const char *dir, const char *name, const char *hardware, struct upt_err *err)
{
	struct upt_trust_policy policy = {.repo = UPT_REPO_IMAGE,
		.limits = UPT_LIMITS_IMAGE,
		.require_snapshot_hash = true};
	upt_cleanup(upt_trusted_set_free) struct upt_trusted_set *set = NULL;
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	struct folder folder = {.fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
	struct upt_feed feed = {&folder, folder_fetch, folder_load, drop_save, drop_root, drop_forget};
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
