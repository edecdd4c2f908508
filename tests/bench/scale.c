/*
 * bench-scale SCENE DIR ROUNDS: verifies a scene of bench-scale-make from its files as the Primary
 * does it, each round from nothing but the pinned roots. Prints the least processor time of a round
 * in microseconds, the peak memory that the rounds added in KiB, and how many signatures one round
 * verified.
 */
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include "cost.h"
#include "director/director.h"
#include "feed.h"
#include "imagerepo/imagerepo.h"
#include "scale.h"

/* A wrapped function has no argument to carry it. */
static unsigned long n_verified;

int __real_EVP_DigestVerify(EVP_MD_CTX *ctx, const unsigned char *sig, size_t sig_len,
	const unsigned char *message, size_t message_len);
int __wrap_EVP_DigestVerify(EVP_MD_CTX *ctx, const unsigned char *sig, size_t sig_len,
	const unsigned char *message, size_t message_len);

int
__wrap_EVP_DigestVerify(EVP_MD_CTX *ctx, const unsigned char *sig, size_t sig_len,
	const unsigned char *message, size_t message_len)
{
	n_verified++;
	return __real_EVP_DigestVerify(ctx, sig, sig_len, message, message_len);
}

struct scene {
	int image_fd, director_fd;
	struct upt_feed image, director;
	struct upt_vehicle vehicle;
};

static enum upt_code
new_set(const struct scene *scene, enum upt_repo repo, struct upt_trusted_set **out,
	struct upt_err *err)
{
	bool director = repo == UPT_REPO_DIRECTOR;
	struct upt_trust_policy policy = {.repo = repo,
		.limits = director ? UPT_LIMITS_DIRECTOR : UPT_LIMITS_IMAGE,
		.require_snapshot_hash = true,
		.check_rules = director ? upt_director_check_rules : NULL,
		.rules_ctx = director ? &scene->vehicle : NULL};

	return upt_trusted_set_new(&policy, out, err);
}

/* Finds the Image repository's word on a target; without one of the Director's, it is its own. */
static enum upt_code
match(struct scene *scene, struct upt_trusted_set *set, const char *name,
	const struct upt_target *director, struct upt_arena *arena, struct upt_err *err)
{
	struct upt_search search = {
		.feed = &scene->image, .now = SCALE_NOW, .hardware_id = SCALE_HARDWARE};
	struct upt_target image;

	UPT_TRY(upt_imagerepo_find(set, &search, name, arena, &image, err));
	return upt_imagerepo_match(director != NULL ? director : &image, &image,
		&(struct upt_match){.hardware_id = SCALE_HARDWARE}, err);
}

static enum upt_code
refresh_image(struct scene *scene, struct upt_trusted_set **set, struct upt_err *err)
{
	bool changed;

	UPT_TRY(new_set(scene, UPT_REPO_IMAGE, set, err));
	return upt_refresh(*set, &scene->image, SCALE_NOW, &changed, err);
}

static enum upt_code
rotations(struct scene *scene, struct upt_err *err)
{
	upt_cleanup(upt_trusted_set_free) struct upt_trusted_set *set = NULL;

	UPT_TRY(refresh_image(scene, &set, err));
	if (upt_trusted_set_root(set)->version != SCALE_N_ROTATIONS + 1)
		return upt_fail(err, UPT_E_INTERNAL, "it did not come to the last root");
	return UPT_OK;
}

static enum upt_code
delegations(struct scene *scene, struct upt_err *err)
{
	upt_cleanup(upt_trusted_set_free) struct upt_trusted_set *set = NULL;
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	char last[64];

	snprintf(last, sizeof(last), SCALE_TARGET_FORMAT, SCALE_N_ROLES - 1,
		SCALE_N_ROLE_TARGETS - 1);
	UPT_TRY(refresh_image(scene, &set, err));
	return match(scene, set, last, NULL, &arena, err);
}

static enum upt_code
director(struct scene *scene, struct upt_err *err)
{
	upt_cleanup(upt_trusted_set_free) struct upt_trusted_set *set = NULL;
	upt_cleanup(upt_trusted_set_free) struct upt_trusted_set *image = NULL;
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	struct upt_assignment *list;
	bool changed;
	size_t n;

	UPT_TRY(new_set(scene, UPT_REPO_DIRECTOR, &set, err));
	UPT_TRY(upt_refresh(set, &scene->director, SCALE_NOW, &changed, err));
	UPT_TRY(upt_director_assignments(
		upt_trusted_set_targets(set), &scene->vehicle, &arena, &list, &n, err));
	if (n != SCALE_N_ECUS)
		return upt_fail(err, UPT_E_INTERNAL, "%zu assignments", n);
	UPT_TRY(refresh_image(scene, &image, err));
	for (size_t i = 0; i < n; i++)
		UPT_TRY(match(
			scene, image, list[i].target.image.name, &list[i].target, &arena, err));
	return UPT_OK;
}

/* OpenSSL is loaded and has seen such a key before anything is measured. */
static enum upt_code
warm_up(struct scene *scene, struct upt_err *err)
{
	upt_cleanup(upt_trusted_set_free) struct upt_trusted_set *set = NULL;
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};

	UPT_TRY(new_set(scene, UPT_REPO_IMAGE, &set, err));
	UPT_TRY(scene->image.load(scene->image.ctx, "root", &bytes, err));
	return upt_trusted_set_pin_root(set, &bytes, err);
}

static enum upt_code
measure(const char *name, struct scene *scene, long n_rounds, struct upt_err *err)
{
	int64_t least = INT64_MAX;
	long peak;

	UPT_TRY(warm_up(scene, err));
	peak = cost_peak_kib();
	for (long i = 0; i < n_rounds; i++) {
		int64_t begin = cost_micros(), micros;

		n_verified = 0;
		if (strcmp(name, "rotations") == 0)
			UPT_TRY(rotations(scene, err));
		else if (strcmp(name, "delegations") == 0)
			UPT_TRY(delegations(scene, err));
		else
			UPT_TRY(director(scene, err));
		micros = cost_micros() - begin;
		least = micros < least ? micros : least;
	}
	printf("%lld %ld %lu\n", (long long)least, cost_peak_kib() - peak, n_verified);
	return UPT_OK;
}

static int
open_part(const char *dir, const char *part)
{
	int fd = -1, dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir_fd >= 0)
		fd = openat(dir_fd, part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd;
}

int
main(int argc, char **argv)
{
	static struct upt_vehicle_ecu ecus[SCALE_N_ECUS];
	static char serials[SCALE_N_ECUS][16];
	struct scene scene = {
		.vehicle = {.knows_all_ecus = true, .n_ecus = SCALE_N_ECUS, .ecus = ecus}};
	struct upt_err err = {0};

	if (argc != 4) {
		fputs("usage: bench-scale SCENE DIR ROUNDS\n", stderr);
		return 2;
	}
	for (int i = 0; i < SCALE_N_ECUS; i++) {
		snprintf(serials[i], sizeof(serials[i]), SCALE_ECU_FORMAT, i);
		ecus[i] = (struct upt_vehicle_ecu){serials[i], SCALE_HARDWARE};
	}
	scene.image_fd = open_part(argv[2], "image");
	scene.director_fd = open_part(argv[2], "director");
	scene.image = bench_feed(&scene.image_fd);
	scene.director = bench_feed(&scene.director_fd);
	if (measure(argv[1], &scene, strtol(argv[3], NULL, 10), &err) != UPT_OK) {
		fprintf(stderr, "bench-scale: %s\n", err.message);
		return upt_code_exit(err.code);
	}
	return 0;
}
