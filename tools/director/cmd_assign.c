#include <stdio.h>
#include <time.h>
#include "assignment.h"
#include "base/file.h"
#include "cli.h"
#include "json/json.h"

#define MAX_GROUPS 64

/* The options of one assignment: what stands between two --and. */
struct group {
	const char *name, *sha256, *sha512, *length, *release_counter, *format, *uri, *from;
	bool clear;
};

/* The options of the whole command; they may stand in any group. */
struct shared {
	const char *dir, *vehicle, *correlation_id;
};

struct plan {
	struct assignment assignments[MAX_GROUPS];
	size_t n;
};

static void
plan_free(struct plan **plan)
{
	if (*plan == NULL)
		return;
	for (size_t i = 0; i < (*plan)->n; i++)
		assignment_clear(&(*plan)->assignments[i]);
	free(*plan);
	*plan = NULL;
}

static enum upt_code
read_digest(enum upt_hash_alg alg, const char *hex, struct upt_image *image, struct upt_err *err)
{
	if (hex == NULL)
		return UPT_OK;
	if (!upt_digest_parse(alg, upt_span_str(hex), &image->digests[image->n_digests]))
		return upt_fail(err, UPT_E_USAGE, "--%s: '%s' is not %zu hex digits",
			upt_hash_name(alg), hex, 2 * upt_hash_bytes(alg));
	image->n_digests++;
	return UPT_OK;
}

/* The image from the options that describe it one by one. */
static enum upt_code
read_described(const struct group *group, struct assignment *out, struct upt_err *err)
{
	struct upt_image *image = &out->image;

	UPT_TRY(cli_require("--sha256 (or --from)", group->sha256, err));
	UPT_TRY(cli_require("--length", group->length, err));
	*image = (struct upt_image){0};
	memcpy(image->name, group->name, strlen(group->name) + 1);
	UPT_TRY(cli_u64(
		"--length", group->length, 0, UPT_JSON_MAX_INTEGER, &image->length_bytes, err));
	UPT_TRY(read_digest(UPT_HASH_SHA256, group->sha256, image, err));
	UPT_TRY(read_digest(UPT_HASH_SHA512, group->sha512, image, err));
	if (group->release_counter != NULL) {
		UPT_TRY(cli_u64("--release-counter", group->release_counter, 0,
			UPT_JSON_MAX_INTEGER, &image->release_counter, err));
		image->has_release_counter = true;
	}
	return assignment_set_custom(out, group->format, group->uri, err);
}

static bool
describes_image(const struct group *group)
{
	return group->sha256 != NULL || group->sha512 != NULL || group->length != NULL ||
	       group->release_counter != NULL || group->format != NULL;
}

static enum upt_code
read_image(const struct group *group, struct assignment *out, struct upt_err *err)
{
	if (group->clear) {
		if (describes_image(group) || group->name != NULL || group->from != NULL ||
			group->uri != NULL)
			return upt_fail(err, UPT_E_USAGE, "--clear goes with --ecu only");
		out->clear = true;
		return UPT_OK;
	}
	UPT_TRY(cli_require("--name", group->name, err));
	UPT_TRY(assignment_check_name(group->name, err));
	if (group->from == NULL)
		return read_described(group, out, err);
	if (describes_image(group))
		return upt_fail(err, UPT_E_USAGE,
			"--from says hashes, length, counter and format itself; only --uri goes"
			" with it");
	UPT_TRY(assignment_read_target(out, group->from, group->name, err));
	return group->uri != NULL ? assignment_set_uri(out, group->uri, err) : UPT_OK;
}

static enum upt_code
read_group(
	int argc, char **argv, struct shared *shared, struct assignment *out, struct upt_err *err)
{
	struct group group = {0};
	struct cli_list ecus = {.values = out->ecus, .max = ASSIGN_MAX_ECUS};
	const struct cli_option options[] = {
		{.name = "--dir", .value = &shared->dir},
		{.name = "--vehicle", .value = &shared->vehicle},
		{.name = "--correlation-id", .value = &shared->correlation_id},
		{.name = "--ecu", .list = &ecus},
		{.name = "--name", .value = &group.name},
		{.name = "--sha256", .value = &group.sha256},
		{.name = "--sha512", .value = &group.sha512},
		{.name = "--length", .value = &group.length},
		{.name = "--release-counter", .value = &group.release_counter},
		{.name = "--format", .value = &group.format},
		{.name = "--uri", .value = &group.uri},
		{.name = "--from", .value = &group.from},
		{.name = "--clear", .flag = &group.clear},
	};

	UPT_TRY(cli_parse(argc, argv, options, sizeof(options) / sizeof(options[0]), NULL, err));
	if (ecus.n == 0)
		return upt_fail(err, UPT_E_USAGE, "--ecu is missing (try --help)");
	out->n_ecus = ecus.n;
	return read_image(&group, out, err);
}

/* Splits argv at every --and. */
static enum upt_code
read_groups(int argc, char **argv, struct shared *shared, struct plan *plan, struct upt_err *err)
{
	for (int start = 0;;) {
		int end = start;
		while (end < argc && strcmp(argv[end], "--and") != 0)
			end++;
		if (plan->n == MAX_GROUPS)
			return upt_fail(err, UPT_E_USAGE, "more than %d assignments", MAX_GROUPS);
		UPT_TRY(read_group(
			end - start, argv + start, shared, &plan->assignments[plan->n++], err));
		if (end == argc)
			return UPT_OK;
		start = end + 1;
	}
}

static void
print_plan(const struct plan *plan, const char *vehicle, bool changed)
{
	for (size_t i = 0; i < plan->n; i++) {
		const struct assignment *assignment = &plan->assignments[i];
		for (size_t j = 0; j < assignment->n_ecus; j++)
			(void)printf("%s: %s: %s%s\n", vehicle, assignment->ecus[j],
				assignment->clear ? "nothing assigned" : assignment->image.name,
				changed ? "" : " (unchanged)");
	}
}

static enum upt_code
run(int argc, char **argv, struct upt_err *err)
{
	upt_cleanup(director_close) struct director d = {0};
	upt_cleanup(plan_free) struct plan *plan = calloc(1, sizeof(*plan));
	struct shared shared = {0};
	bool changed = false;

	if (plan == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "out of memory");
	UPT_TRY(read_groups(argc, argv, &shared, plan, err));
	UPT_TRY(cli_require("--dir", shared.dir, err));
	UPT_TRY(cli_require("--vehicle", shared.vehicle, err));
	if (shared.correlation_id != NULL &&
		(strlen(shared.correlation_id) > 200 ||
			assignment_check_name(shared.correlation_id, NULL) != UPT_OK))
		return upt_fail(err, UPT_E_USAGE, "--correlation-id is empty or too long");
	UPT_TRY(director_open(&d, shared.dir, err));
	UPT_TRY(assignment_record(&d, shared.vehicle, plan->assignments, plan->n,
		shared.correlation_id, (int64_t)time(NULL), &changed, err));
	print_plan(plan, shared.vehicle, changed);
	return UPT_OK;
}

const struct command command_assign = {
	.name = "assign",
	.usage = "Usage: uptane-director assign --dir DIR --vehicle V --ecu SERIAL... IMAGE\n"
		 "       uptane-director assign --dir DIR --vehicle V --ecu SERIAL... --clear\n"
		 "\n"
		 "Says which image registered ECUs of a vehicle shall install, or that they shall\n"
		 "install nothing. The vehicle learns it at its next poll.\n"
		 "\n"
		 "IMAGE is one of\n"
		 "  --from TARGETS.JSON --name NAME   a target as the Image repository published "
		 "it\n"
		 "  --name NAME --sha256 HEX --length N [--sha512 HEX] [--release-counter N]\n"
		 "      [--format OSTREE|OCI|COMPOSE|BINARY]\n"
		 "\n"
		 "  --ecu SERIAL          may be repeated: all get the same image\n"
		 "  --uri URI             where to fetch it instead of the Image repository\n"
		 "  --correlation-id ID   names the update in reports (default: a random UUID)\n"
		 "  --and                 begins another --ecu... IMAGE in the same transaction: "
		 "the\n"
		 "                        vehicle sees all of them or none\n",
	.run = run,
};
