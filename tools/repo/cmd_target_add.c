#include "repo/cli.h"

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include "authoring/authoring.h"
#include "base/file.h"
#include "imagerepo/imagerepo.h"
#include "json/json.h"
#include "metadata/limits.h"
#include "repo/images.h"
#include "repo/signing.h"

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

#define LIST_MAX_BYTES ((size_t)512 << 20)
#define CUSTOM_MAX_BYTES ((size_t)1 << 20)
#define LINE_MAX_BYTES 1024

struct add_options {
	const char *name, *format, *counter, *uri, *custom, *sha256, *sha512, *length, *many, *role;
	struct cli_list hardware, ecus;
	const char *file;
	uint64_t release_counter;
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

/* ---- custom ---- */
static enum upt_code
parse_custom(const char *text, cJSON **out, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf file = {0};
	const char *p = text;

	while (isspace((unsigned char)*p))
		p++;
	if (*p != '{') {
		UPT_TRY(upt_file_read(AT_FDCWD, text, CUSTOM_MAX_BYTES, &file, err));
		p = (const char *)file.data;
	}
	*out = cJSON_ParseWithOpts(p, NULL, true);
	if (cJSON_IsObject(*out))
		return UPT_OK;
	repo_json_clear(out);
	return upt_fail(err, UPT_E_USAGE, "--custom %.80s is no JSON object", text);
}

/* value is taken over; NULL is no memory. */
static enum upt_code
set_member(cJSON *object, const char *name, cJSON *value, struct upt_err *err)
{
	if (value == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for custom");
	cJSON_DeleteItemFromObjectCaseSensitive(object, name);
	if (cJSON_AddItemToObject(object, name, value))
		return UPT_OK;
	cJSON_Delete(value);
	return upt_fail(err, UPT_E_NO_MEMORY, "no memory for custom");
}

static enum upt_code
set_ecus(cJSON *custom, const struct cli_list *ecus, struct upt_err *err)
{
	cJSON *object = cJSON_CreateObject();

	UPT_TRY(set_member(custom, "ecuIdentifiers", object, err));
	for (size_t i = 0; i < ecus->n; i++) {
		const char *equals = strchr(ecus->items[i], '=');
		char serial[UPT_ECU_SERIAL_MAX + 1];
		cJSON *ecu = cJSON_CreateObject();
		snprintf(serial, sizeof(serial), "%.*s", (int)(equals - ecus->items[i]),
			ecus->items[i]);
		UPT_TRY(set_member(object, serial, ecu, err));
		UPT_TRY(set_member(ecu, "hardwareId", cJSON_CreateString(equals + 1), err));
	}
	return UPT_OK;
}

static enum upt_code
fill_custom(cJSON *custom, const struct add_options *o, struct upt_err *err)
{
	if (o->hardware.n > 0)
		UPT_TRY(set_member(custom, "hardwareIds",
			cJSON_CreateStringArray(o->hardware.items, (int)o->hardware.n), err));
	if (o->format != NULL)
		UPT_TRY(set_member(custom, "targetFormat", cJSON_CreateString(o->format), err));
	if (o->uri != NULL)
		UPT_TRY(set_member(custom, "uri", cJSON_CreateString(o->uri), err));
	return o->ecus.n == 0 ? UPT_OK : set_ecus(custom, &o->ecus, err);
}

/* *out is NULL when there is nothing to say. */
static enum upt_code
make_custom(const struct add_options *o, cJSON **out, struct upt_err *err)
{
	upt_cleanup(repo_json_clear) cJSON *custom = NULL;

	*out = NULL;
	if (o->custom != NULL)
		UPT_TRY(parse_custom(o->custom, &custom, err));
	else
		custom = cJSON_CreateObject();
	if (custom == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for custom");
	UPT_TRY(fill_custom(custom, o, err));
	if (custom->child == NULL)
		return UPT_OK;
	*out = custom;
	custom = NULL;
	return UPT_OK;
}

/* ---- images ---- */
struct image_list {
	struct upt_image *items;
	size_t n, cap;
};

static void
image_list_clear(struct image_list *list)
{
	free(list->items);
}

static enum upt_code
new_image(struct image_list *list, const char *name, const struct add_options *o,
	struct upt_image **out, struct upt_err *err)
{
	*out = NULL;
	UPT_TRY(repo_check_target_name(name, err));
	if (list->n == UPT_MAX_TARGETS)
		return upt_fail(err, UPT_E_TOO_LARGE, "more than %d targets", UPT_MAX_TARGETS);
	if (list->n == list->cap) {
		size_t cap = list->cap * 2 + 1;
		struct upt_image *grown = realloc(list->items, cap * sizeof(*grown));
		if (grown == NULL)
			return upt_fail(err, UPT_E_NO_MEMORY, "no memory for %zu targets", cap);
		list->items = grown;
		list->cap = cap;
	}
	*out = &list->items[list->n++];
	**out = (struct upt_image){
		.has_release_counter = o->counter != NULL, .release_counter = o->release_counter};
	snprintf((*out)->name, sizeof((*out)->name), "%s", name);
	return UPT_OK;
}

static enum upt_code
add_digest(struct upt_image *image, enum upt_hash_alg alg, const char *hex, struct upt_err *err)
{
	if (!upt_digest_parse(alg, upt_span_str(hex), &image->digests[image->n_digests]))
		return upt_fail(err, UPT_E_USAGE, "%.140s is no %s in hex (%zu digits)", hex,
			upt_hash_name(alg), 2 * upt_hash_bytes(alg));
	image->n_digests++;
	return UPT_OK;
}

static enum upt_code
describe(struct upt_image *image, const struct add_options *o, struct upt_err *err)
{
	UPT_TRY(add_digest(image, UPT_HASH_SHA256, o->sha256, err));
	if (o->sha512 != NULL)
		UPT_TRY(add_digest(image, UPT_HASH_SHA512, o->sha512, err));
	if (o->length == NULL)
		return UPT_OK;
	return cli_number(
		o->length, "--length", 0, UPT_JSON_MAX_INTEGER, &image->length_bytes, err);
}

static enum upt_code
add_line(struct image_list *list, char *line, const struct add_options *o, struct upt_err *err)
{
	char *hash = strchr(line, '\t');
	char *length = hash == NULL ? NULL : strchr(hash + 1, '\t');
	struct upt_image *image;

	if (length == NULL)
		return upt_fail(err, UPT_E_USAGE, "not NAME<tab>SHA256<tab>LENGTH");
	*hash++ = '\0';
	*length++ = '\0';
	UPT_TRY(new_image(list, line, o, &image, err));
	UPT_TRY(add_digest(image, UPT_HASH_SHA256, hash, err));
	return cli_number(length, "length", 0, UPT_JSON_MAX_INTEGER, &image->length_bytes, err);
}

static enum upt_code
read_stdin(struct upt_buf *out, struct upt_err *err)
{
	while (true) {
		size_t n;
		UPT_TRY(upt_buf_reserve(out, (size_t)1 << 16, err));
		n = fread(out->data + out->len, 1, (size_t)1 << 16, stdin);
		out->len += n;
		out->data[out->len] = 0;
		if (n == 0 && ferror(stdin))
			return upt_fail(err, UPT_E_IO, "cannot read stdin");
		if (n == 0)
			return UPT_OK;
		if (out->len > LIST_MAX_BYTES)
			return upt_fail(
				err, UPT_E_TOO_LARGE, "a list above %zu bytes", LIST_MAX_BYTES);
	}
}

static enum upt_code
read_list(struct image_list *list, const struct add_options *o, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	size_t number = 1;

	if (strcmp(o->many, "-") == 0)
		UPT_TRY(read_stdin(&text, err));
	else
		UPT_TRY(upt_file_read(AT_FDCWD, o->many, LIST_MAX_BYTES, &text, err));
	/* Behind a NUL, targets would be left out without a word. */
	if (text.len > 0 && memchr(text.data, 0, text.len) != NULL)
		return upt_fail(err, UPT_E_USAGE, "%s holds a NUL byte", o->many);
	for (char *line = (char *)text.data; line != NULL && *line != '\0'; number++) {
		char *end = strchr(line, '\n');
		enum upt_code code;
		if (end != NULL)
			*end = '\0';
		code = strlen(line) > LINE_MAX_BYTES
			       ? upt_fail(err, UPT_E_USAGE, "line of %zu bytes", strlen(line))
			       : add_line(list, line, o, err);
		if (code != UPT_OK)
			return upt_wrap(err, code, "%s:%zu", o->many, number);
		line = end == NULL ? NULL : end + 1;
	}
	return UPT_OK;
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

/* Every image gets a copy of the same custom object, or none. */
static enum upt_code
make_customs(const struct add_options *o, size_t n, cJSON **customs, struct upt_err *err)
{
	upt_cleanup(repo_json_clear) cJSON *custom = NULL;

	UPT_TRY(make_custom(o, &custom, err));
	for (size_t i = 0; custom != NULL && i < n; i++) {
		customs[i] = cJSON_Duplicate(custom, true);
		if (customs[i] == NULL)
			return upt_fail(err, UPT_E_NO_MEMORY, "no memory for %zu targets", n);
	}
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
	code = make_customs(o, list->n, customs, err);
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
		UPT_TRY(read_list(list, o, err));
		return check_all_paths(cli, role, list, err);
	}
	UPT_TRY(new_image(list, o->name != NULL ? o->name : default_name(o->file), o, &image, err));
	UPT_TRY(check_all_paths(cli, role, list, err));
	if (o->file == NULL)
		return describe(image, o, err);
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
