#include "repo/cli.h"

#include "authoring/authoring.h"
#include "repo/signing.h"

/* clang-format off */
static const char help[] =
	"  -t, --type image|director  whose repository it is (default: image)\n"
	"      --key-type TYPE        ed25519 (default), ecdsa or rsa\n"
	"      --root-keys N          how many root keys to make (default: 1)\n"
	"      --root-threshold M     how many of them must sign a root (default: more than half)\n"
	"      --expires ROLE=DAYS    lifetime of a role's documents; may be repeated (default:\n"
	"                             root=365 targets=90 snapshot=30 timestamp=7; a delegated role\n"
	"                             not named here lives as long as targets)\n"
	"      --hash sha512          list SHA-512 of targets beside SHA-256\n\n"
	"Makes DIR with a key for each role, root version 1 and empty targets, snapshot and timestamp.\n"
	"Move the root keys (keys/root-*.pem) to a safe place afterwards: only root documents need them.\n"
	"metadata/1.root.json is what vehicles are provisioned with. \"publish\" fills DIR/public.\n";
/* clang-format on */

enum { OPT_KEY_TYPE = 256, OPT_ROOT_KEYS, OPT_ROOT_THRESHOLD, OPT_EXPIRES, OPT_HASH };

#define MAX_ROOT_KEYS 64

struct init_options {
	const char *kind;
	const char *key_type;
	uint64_t root_keys;
	uint64_t root_threshold;
	bool sha512;
	cJSON *days;
};

static void
init_options_clear(struct init_options *o)
{
	upt_author_json_clear(&o->days);
}

static enum upt_code
set_days(cJSON *days, const char *text, struct upt_err *err)
{
	const char *equals = strchr(text, '=');
	char role[REPO_ROLE_FILE_SIZE];
	uint64_t n;

	if (equals == NULL || equals == text || (size_t)(equals - text) >= sizeof(role))
		return upt_fail(err, UPT_E_USAGE, "--expires %s is not ROLE=DAYS", text);
	snprintf(role, sizeof(role), "%.*s", (int)(equals - text), text);
	if (!repo_is_top_role(role))
		UPT_TRY(repo_check_role_name(role, err));
	UPT_TRY(cli_number(equals + 1, "--expires: days", 1, REPO_MAX_DAYS, &n, err));
	cJSON_DeleteItemFromObjectCaseSensitive(days, role);
	if (cJSON_AddNumberToObject(days, role, (double)n) == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for settings");
	return UPT_OK;
}

static enum upt_code
take_option(struct init_options *o, int option, struct upt_err *err)
{
	switch (option) {
	case 't':
		o->kind = optarg;
		if (strcmp(optarg, "image") != 0 && strcmp(optarg, "director") != 0)
			return upt_fail(err, UPT_E_USAGE, "--type %s is neither image nor director",
				optarg);
		return UPT_OK;
	case OPT_KEY_TYPE:
		return repo_key_type(optarg, &o->key_type, err);
	case OPT_ROOT_KEYS:
		return cli_number(optarg, "--root-keys", 1, MAX_ROOT_KEYS, &o->root_keys, err);
	case OPT_ROOT_THRESHOLD:
		return cli_number(
			optarg, "--root-threshold", 1, MAX_ROOT_KEYS, &o->root_threshold, err);
	case OPT_EXPIRES:
		return set_days(o->days, optarg, err);
	default:
		if (strcmp(optarg, "sha512") != 0 && strcmp(optarg, "sha256") != 0)
			return upt_fail(
				err, UPT_E_USAGE, "--hash %s is neither sha256 nor sha512", optarg);
		o->sha512 = o->sha512 || strcmp(optarg, "sha512") == 0;
		return UPT_OK;
	}
}

static enum upt_code
read_options(struct cli *cli, int argc, char **argv, struct init_options *o, struct upt_err *err)
{
	static const struct option options[] = {{"type", required_argument, NULL, 't'},
		{"key-type", required_argument, NULL, OPT_KEY_TYPE},
		{"root-keys", required_argument, NULL, OPT_ROOT_KEYS},
		{"root-threshold", required_argument, NULL, OPT_ROOT_THRESHOLD},
		{"expires", required_argument, NULL, OPT_EXPIRES},
		{"hash", required_argument, NULL, OPT_HASH}, {0}};
	static const char *const defaults[] = {
		"root=365", "snapshot=30", "targets=90", "timestamp=7"};
	int option;

	o->days = cJSON_CreateObject();
	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
		UPT_TRY(set_days(o->days, defaults[i], err));
	while (true) {
		UPT_TRY(cli_option(cli, argc, argv, options, &option, err));
		if (option == -1)
			break;
		UPT_TRY(take_option(o, option, err));
	}
	UPT_TRY(cli_arguments(argc, argv, 0, 0, "", err));
	if (o->root_threshold == 0)
		o->root_threshold = o->root_keys / 2 + 1;
	if (o->root_threshold > o->root_keys)
		return upt_fail(err, UPT_E_USAGE,
			"a root threshold of %u with %u keys can never be met",
			(unsigned)o->root_threshold, (unsigned)o->root_keys);
	return UPT_OK;
}

static enum upt_code
put_settings(struct repo *repo, struct init_options *o, struct upt_err *err)
{
	cJSON *hashes;
	char *text;
	enum upt_code code;

	repo->settings = cJSON_CreateObject();
	if (repo->settings == NULL || !cJSON_AddStringToObject(repo->settings, "kind", o->kind) ||
		!cJSON_AddTrueToObject(repo->settings, "consistent_snapshot") ||
		(hashes = cJSON_AddArrayToObject(repo->settings, "hashes")) == NULL ||
		!cJSON_AddItemToArray(hashes, cJSON_CreateString("sha256")) ||
		(o->sha512 && !cJSON_AddItemToArray(hashes, cJSON_CreateString("sha512"))) ||
		!cJSON_AddItemToObject(repo->settings, "expires_days", o->days))
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for settings");
	o->days = NULL;
	UPT_TRY(repo_use_settings(repo, err));
	text = cJSON_Print(repo->settings);
	if (text == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for settings");
	code = txn_put(&repo->txn, "repo.json", 0644, upt_span_str(text), err);
	cJSON_free(text);
	return code;
}

/* Keys of the four roles, and the root payload that names them. */
static enum upt_code
make_keys(struct repo *repo, const struct init_options *o, cJSON **out, struct upt_err *err)
{
	static const char *const names[REPO_N_TOP] = {"root", "timestamp", "snapshot", "targets"};
	const struct upt_private_key *keys[MAX_ROOT_KEYS + REPO_N_TOP];
	struct upt_author_role roles[REPO_N_TOP];
	size_t n = 0;

	*out = NULL;
	for (int i = 0; i < REPO_N_TOP; i++) {
		roles[i] = (struct upt_author_role){.name = names[i],
			.keys = keys + n,
			.n_keys = i == 0 ? o->root_keys : 1,
			.threshold = i == 0 ? (unsigned)o->root_threshold : 1};
		for (size_t k = 0; k < roles[i].n_keys; k++) {
			struct repo_key *key;
			UPT_TRY(repo_key_generate_next(repo, names[i], o->key_type, &key, err));
			keys[n++] = key->private_key;
		}
	}
	*out = upt_author_root(0, repo->now, true, roles, REPO_N_TOP);
	if (*out == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a root");
	return UPT_OK;
}

static enum upt_code
sign_first(struct repo *repo, const char *name, cJSON *payload, struct upt_err *err)
{
	struct sign_request request = {.expires = repo_expiry(repo, name)};
	struct repo_role *role;
	enum upt_code code = repo_role_add(repo, name, NULL, &role, err);

	if (code != UPT_OK) {
		cJSON_Delete(payload);
		return code;
	}
	role->staged = payload;
	if (payload == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a new %s", name);
	return repo_sign(repo, role, &request, err);
}

static enum upt_code
make_repository(struct repo *repo, struct init_options *o, struct upt_err *err)
{
	const struct repo_role *targets, *snapshot;
	cJSON *root, *payload;

	UPT_TRY(put_settings(repo, o, err));
	UPT_TRY(make_keys(repo, o, &root, err));
	UPT_TRY(sign_first(repo, "root", root, err));
	UPT_TRY(sign_first(repo, "targets", upt_author_targets(0, repo->now), err));
	targets = repo_role_find(repo, "targets");
	payload = upt_author_snapshot(0, repo->now);
	if (payload != NULL && upt_author_snapshot_add(payload, "targets.json", 1,
				       upt_buf_span(&targets->bytes), err) != UPT_OK)
		upt_author_json_clear(&payload);
	UPT_TRY(sign_first(repo, "snapshot", payload, err));
	snapshot = repo_role_find(repo, "snapshot");
	payload = upt_author_timestamp(0, repo->now);
	if (payload != NULL &&
		upt_author_timestamp_set(payload, 1, upt_buf_span(&snapshot->bytes), err) != UPT_OK)
		upt_author_json_clear(&payload);
	UPT_TRY(sign_first(repo, "timestamp", payload, err));
	return repo_save(repo, err);
}

static enum upt_code
run(struct cli *cli, int argc, char **argv, struct upt_err *err)
{
	upt_cleanup(init_options_clear) struct init_options o = {
		.kind = "image", .key_type = "ed25519", .root_keys = 1};
	upt_cleanup(repo_close) struct repo repo = {.dirfd = -1};

	bool finished;

	UPT_TRY(read_options(cli, argc, argv, &o, err));
	UPT_TRY(repo_open_new(cli->dir, &repo, &finished, err));
	if (finished) {
		cli_say(cli, "finished the repository in %s, which an interrupted command left",
			cli->dir);
		return UPT_OK;
	}
	UPT_TRY(make_repository(&repo, &o, err));
	cli_say(cli, "made %s repository in %s: %zu keys, root version 1 (%u of %u root keys sign)",
		o.kind, cli->dir, repo.n_keys, (unsigned)o.root_threshold, (unsigned)o.root_keys);
	return UPT_OK;
}

const struct command cmd_init = {
	.name = "init",
	.args = "[OPTION]...",
	.summary = "Make a new repository workspace",
	.help = help,
	.run = run,
};
