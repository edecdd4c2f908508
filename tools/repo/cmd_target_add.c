#include "authoring/authoring.h"
#include "imagerepo/imagerepo.h"
#include "json/json.h"
#include "repo/images.h"
#include "repo/signing.h"
#include "repo/target_input.h"

/* clang-format off */
static const char help[] =
	"      --name NAME         name of the target, may hold '/' (default with FILE: its last part)\n"
	"      --hardware-id ID    hardware it is for; may be repeated\n"
	"      --format FORMAT     OSTREE, OCI, COMPOSE or BINARY\n"
	"      --release-counter N counter that only rises, against rollback\n"
	"      --uri URI           where clients fetch it instead of targets/ here\n"
	"      --custom JSON       more custom members: an object, or a file that holds one; the\n"
	"                          options above win\n"
	"      --ecu SERIAL=HWID   director only: an ECU that shall install it; may be repeated\n"
	"      --role ROLE         delegated role that lists it (default: targets)\n"
	"      --sha256 HEX        without FILE: its hash (of OSTree: the commit; of OCI: the\n"
	"      --sha512 HEX        manifest's digest)\n"
	"      --length N          without FILE: its length in bytes (OSTREE: 0)\n"
	"      --many LIST         many at once: lines of NAME<tab>SHA256<tab>LENGTH, \"-\" for stdin\n\n"
	"The target is staged: \"publish\" signs it and makes it visible. A target of the same name is\n"
	"replaced. The bytes of FILE are kept in images/ and published as targets/HASH.NAME.\n";
/* clang-format on */

enum {
	OPT_NAME = 256,
	OPT_HARDWARE,
	OPT_FORMAT,
	OPT_COUNTER,
	OPT_URI,
	OPT_CUSTOM,
	OPT_ECU,
	OPT_ROLE,
	OPT_SHA256,
	OPT_SHA512,
	OPT_LENGTH,
	OPT_MANY
};

static void
add_options_clear(struct add_options *o)
{
	cli_list_clear(&o->hardware);
	cli_list_clear(&o->ecus);
}

static enum upt_code
take_option(struct add_options *o, int option, struct upt_err *err)
{
	const char **const places[] = {&o->name, NULL, &o->format, &o->counter, &o->uri, &o->custom,
		NULL, &o->role, &o->sha256, &o->sha512, &o->length, &o->many};

	if (option == OPT_HARDWARE)
		return cli_list_add(&o->hardware, optarg, err);
	if (option == OPT_ECU)
		return cli_list_add(&o->ecus, optarg, err);
	*places[option - OPT_NAME] = optarg;
	return UPT_OK;
}

static enum upt_code
check_format(struct add_options *o, struct upt_err *err)
{
	static const char *const formats[] = {"OSTREE", "OCI", "COMPOSE", "BINARY"};

	if (o->format == NULL)
		return UPT_OK;
	for (size_t i = 0; i < 4; i++) {
		if (strcasecmp(o->format, formats[i]) == 0) {
			o->format = formats[i];
			return UPT_OK;
		}
	}
	return upt_fail(err, UPT_E_USAGE, "--format %s is not one of OSTREE, OCI, COMPOSE, BINARY",
		o->format);
}

static enum upt_code
check_ids(const struct add_options *o, struct upt_err *err)
{
	for (size_t i = 0; i < o->hardware.n; i++) {
		size_t len = strlen(o->hardware.items[i]);
		if (len < 1 || len > UPT_HARDWARE_ID_MAX)
			return upt_fail(err, UPT_E_USAGE, "a hardware id of %zu bytes, not 1 to %d",
				len, UPT_HARDWARE_ID_MAX);
	}
	for (size_t i = 0; i < o->ecus.n; i++) {
		const char *equals = strchr(o->ecus.items[i], '=');
		if (equals == NULL || equals == o->ecus.items[i] || equals[1] == '\0' ||
			equals - o->ecus.items[i] > UPT_ECU_SERIAL_MAX ||
			strlen(equals + 1) > UPT_HARDWARE_ID_MAX)
			return upt_fail(err, UPT_E_USAGE, "--ecu %s is not SERIAL=HARDWARE-ID",
				o->ecus.items[i]);
	}
	return UPT_OK;
}

/* One source of name, hash and length: FILE, the options, or the list. */
static enum upt_code
check_sources(const struct add_options *o, struct upt_err *err)
{
	bool described = o->sha256 != NULL || o->sha512 != NULL || o->length != NULL;

	if (o->many != NULL && (o->file != NULL || o->name != NULL || described))
		return upt_fail(err, UPT_E_USAGE,
			"--many takes names, hashes and lengths from its list only");
	if (o->many != NULL)
		return UPT_OK;
	if (o->file != NULL && described)
		return upt_fail(err, UPT_E_USAGE,
			"hash and length of a FILE are computed: leave --sha256, --sha512, "
			"--length out");
	if (o->file == NULL && o->sha256 == NULL)
		return upt_fail(err, UPT_E_USAGE, "missing FILE, or --sha256, or --many");
	if (o->file == NULL && o->name == NULL)
		return upt_fail(err, UPT_E_USAGE, "missing --name");
	if (o->file == NULL && o->length == NULL &&
		(o->format == NULL || strcmp(o->format, "OSTREE") != 0))
		return upt_fail(
			err, UPT_E_USAGE, "missing --length (only --format OSTREE goes without)");
	return UPT_OK;
}

static enum upt_code
read_options(struct cli *cli, int argc, char **argv, struct add_options *o, struct upt_err *err)
{
	static const struct option options[] = {{"name", required_argument, NULL, OPT_NAME},
		{"hardware-id", required_argument, NULL, OPT_HARDWARE},
		{"format", required_argument, NULL, OPT_FORMAT},
		{"release-counter", required_argument, NULL, OPT_COUNTER},
		{"uri", required_argument, NULL, OPT_URI},
		{"custom", required_argument, NULL, OPT_CUSTOM},
		{"ecu", required_argument, NULL, OPT_ECU},
		{"role", required_argument, NULL, OPT_ROLE},
		{"sha256", required_argument, NULL, OPT_SHA256},
		{"sha512", required_argument, NULL, OPT_SHA512},
		{"length", required_argument, NULL, OPT_LENGTH},
		{"many", required_argument, NULL, OPT_MANY}, {0}};
	int option;

	while (true) {
		UPT_TRY(cli_option(cli, argc, argv, options, &option, err));
		if (option == -1)
			break;
		UPT_TRY(take_option(o, option, err));
	}
	UPT_TRY(cli_arguments(argc, argv, 0, 1, "FILE", err));
	o->file = optind < argc ? argv[optind] : NULL;
	if (o->counter != NULL)
		UPT_TRY(cli_number(o->counter, "--release-counter", 0, UPT_JSON_MAX_INTEGER,
			&o->release_counter, err));
	UPT_TRY(check_format(o, err));
	UPT_TRY(check_ids(o, err));
	return check_sources(o, err);
}

/* ---- adding ---- */
/*
 * A client looks into a delegated role only for names that a path of the delegation matches. Counts
 * names that match only where '*' crosses '/'.
 */
static enum upt_code
check_paths(const struct repo_role *role, const char *name, size_t *n_across, struct upt_err *err)
{
	const cJSON *entry, *path;
	bool across = false;

	if (role->parent == NULL)
		return UPT_OK;
	entry = role_delegation(repo_role_payload(role->parent), role->name);
	cJSON_ArrayForEach(path, cJSON_GetObjectItemCaseSensitive(entry, "paths"))
	{
		if (upt_path_matches(path->valuestring, name, false))
			return UPT_OK;
		across = across || upt_path_matches(path->valuestring, name, true);
	}
	if (!across)
		return upt_fail(err, UPT_E_USAGE,
			"no path of the delegation to %s matches %s: no client would find it",
			role->name, name);
	(*n_across)++;
	return UPT_OK;
}

static enum upt_code
check_all_paths(const struct cli *cli, const struct repo_role *role, const struct image_list *list,
	struct upt_err *err)
{
	size_t n_across = 0;

	for (size_t i = 0; i < list->n; i++)
		UPT_TRY(check_paths(role, list->items[i].name, &n_across, err));
	if (n_across > 0)
		cli_warn(cli,
			"%zu of %zu names match the paths of %s only where '*' matches '/' too, as "
			"clients in profile ota do",
			n_across, list->n, role->name);
	return UPT_OK;
}

static enum upt_code
add_images(struct repo_role *role, const struct image_list *list, const struct add_options *o,
	struct upt_err *err)
{
	upt_cleanup(upt_free_ptr) cJSON **customs = calloc(list->n + 1, sizeof(cJSON *));
	cJSON *payload;
	enum upt_code code;

	if (customs == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for %zu targets", list->n);
	code = target_input_customs(o, list->n, customs, err);
	if (code == UPT_OK)
		code = repo_role_edit(role, &payload, err);
	if (code != UPT_OK) {
		for (size_t i = 0; i < list->n; i++)
			cJSON_Delete(customs[i]);
		return code;
	}
	UPT_TRY(upt_author_add_targets(payload, list->items, customs, list->n, err));
	return repo_role_stage(role, err);
}

static const char *
default_name(const char *file)
{
	const char *slash = strrchr(file, '/');

	return slash == NULL ? file : slash + 1;
}

static enum upt_code
find_images(const struct cli *cli, const struct repo *repo, const struct repo_role *role,
	const struct add_options *o, struct image_list *list, struct upt_err *err)
{
	struct upt_image *image;

	if (o->many != NULL) {
		UPT_TRY(target_input_read_list(list, o, err));
		return check_all_paths(cli, role, list, err);
	}
	UPT_TRY(target_input_new(
		list, o->name != NULL ? o->name : default_name(o->file), o, &image, err));
	UPT_TRY(check_all_paths(cli, role, list, err));
	if (o->file == NULL)
		return target_input_describe(image, o, err);
	return repo_image_import(repo, o->file, image, err);
}

static enum upt_code
run(struct cli *cli, int argc, char **argv, struct upt_err *err)
{
	upt_cleanup(add_options_clear) struct add_options o = {.role = "targets"};
	upt_cleanup(repo_close) struct repo repo = {.dirfd = -1};
	upt_cleanup(image_list_clear) struct image_list list = {0};
	struct repo_role *role;

	UPT_TRY(read_options(cli, argc, argv, &o, err));
	UPT_TRY(repo_open(cli->dir, &repo, err));
	if (o.ecus.n > 0 && !repo.director)
		return upt_fail(err, UPT_E_USAGE,
			"--ecu is for a Director: %s is an Image repository", cli->dir);
	UPT_TRY(repo_role_need(&repo, o.role, true, &role, err));
	UPT_TRY(find_images(cli, &repo, role, &o, &list, err));
	UPT_TRY(add_images(role, &list, &o, err));
	UPT_TRY(repo_save(&repo, err));
	if (list.n == 1)
		cli_say(cli, "%s target %s in role %s",
			role->staged == NULL ? "unchanged" : "staged", list.items[0].name,
			role->name);
	else
		cli_say(cli, "%s %zu targets in role %s",
			role->staged == NULL ? "unchanged" : "staged", list.n, role->name);
	return UPT_OK;
}

const struct command cmd_target_add = {
	.name = "target add",
	.args = "[FILE] [OPTION]...",
	.summary = "Add or replace a target",
	.help = help,
	.run = run,
};
