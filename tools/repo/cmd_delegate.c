#include "repo/cli.h"

#include "authoring/authoring.h"
#include "metadata/limits.h"
#include "repo/signing.h"

/* clang-format off */
static const char help[] =
	"      --key NAME        key that holds the role; repeat for more\n"
	"      --threshold N     how many of the keys must sign (default: 1)\n"
	"      --path GLOB       target names it may list; repeat for more. '*' and '?' stop at '/'\n"
	"                        (in profile ota they do not)\n"
	"      --hardware-id ID  it may list targets for this hardware only; repeat for more\n"
	"      --terminating     names its paths match are looked for nowhere behind it\n"
	"      --from PARENT     the role that delegates (default: targets)\n\n"
	"Clients search delegations in the order in which they were made. The delegation is staged;\n"
	"\"publish\" signs it together with a first, empty document of ROLE. A role whose keys lie with\n"
	"a supplier (\"key import\") must be signed there before this workspace can publish it.\n";
/* clang-format on */

struct delegate_options {
	struct cli_list keys, paths, hardware;
	uint64_t threshold;
	bool terminating;
	const char *parent;
};

static void
delegate_options_clear(struct delegate_options *o)
{
	cli_list_clear(&o->keys);
	cli_list_clear(&o->paths);
	cli_list_clear(&o->hardware);
}

static enum upt_code
check_lengths(const struct cli_list *list, size_t max, const char *what, struct upt_err *err)
{
	for (size_t i = 0; i < list->n; i++) {
		size_t len = strlen(list->items[i]);
		if (len < 1 || len > max)
			return upt_fail(err, UPT_E_USAGE, "a %s of %zu bytes, not 1 to %zu", what,
				len, max);
	}
	return UPT_OK;
}

static enum upt_code
take_option(struct delegate_options *o, int option, struct upt_err *err)
{
	switch (option) {
	case 'k':
		return cli_list_add(&o->keys, optarg, err);
	case 'p':
		return cli_list_add(&o->paths, optarg, err);
	case 'w':
		return cli_list_add(&o->hardware, optarg, err);
	case 'n':
		return cli_number(
			optarg, "--threshold", 1, UPT_MAX_ROLE_KEYIDS, &o->threshold, err);
	case 't':
		o->terminating = true;
		return UPT_OK;
	default:
		o->parent = optarg;
		return UPT_OK;
	}
}

static enum upt_code
read_options(
	struct cli *cli, int argc, char **argv, struct delegate_options *o, struct upt_err *err)
{
	static const struct option options[] = {{"key", required_argument, NULL, 'k'},
		{"path", required_argument, NULL, 'p'},
		{"hardware-id", required_argument, NULL, 'w'},
		{"threshold", required_argument, NULL, 'n'},
		{"terminating", no_argument, NULL, 't'}, {"from", required_argument, NULL, 'f'},
		{0}};
	int option;

	while (true) {
		UPT_TRY(cli_option(cli, argc, argv, options, &option, err));
		if (option == -1)
			break;
		UPT_TRY(take_option(o, option, err));
	}
	UPT_TRY(cli_arguments(argc, argv, 1, 1, "ROLE", err));
	UPT_TRY(repo_check_role_name(argv[optind], err));
	if (o->keys.n == 0 || o->paths.n == 0)
		return upt_fail(err, UPT_E_USAGE, "missing --%s", o->keys.n == 0 ? "key" : "path");
	UPT_TRY(check_lengths(&o->paths, UPT_TARGET_NAME_MAX, "path", err));
	return check_lengths(&o->hardware, UPT_HARDWARE_ID_MAX, "hardware id", err);
}

static enum upt_code
set_keys(const struct repo *repo, cJSON *payload, const char *role,
	const struct delegate_options *o, struct upt_err *err)
{
	upt_cleanup(upt_free_ptr) struct repo_key **holders =
		calloc(o->keys.n, sizeof(struct repo_key *));
	cJSON *keys = cJSON_GetObjectItemCaseSensitive(
		cJSON_GetObjectItemCaseSensitive(payload, "delegations"), "keys");

	if (holders == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for %zu keys", o->keys.n);
	for (size_t i = 0; i < o->keys.n; i++) {
		UPT_TRY(repo_key_need(repo, o->keys.items[i], &holders[i], err));
		for (size_t j = 0; j < i; j++) {
			if (holders[j] == holders[i])
				return upt_fail(err, UPT_E_USAGE, "key %s is named twice",
					holders[i]->name);
		}
	}
	return role_def_set(
		keys, role_delegation(payload, role), holders, o->keys.n, o->threshold, err);
}

/* A role that was delegated to before keeps its document: a client has seen its version. */
static enum upt_code
stage_role_itself(
	struct repo *repo, const char *name, struct repo_role *parent, struct upt_err *err)
{
	struct repo_role *role = repo_role_find(repo, name);

	if (role != NULL) {
		role->parent = parent;
		return UPT_OK;
	}
	UPT_TRY(repo_role_add(repo, name, parent, &role, err));
	role->staged = upt_author_targets(0, repo->now);
	if (role->staged == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for role %s", name);
	return repo_role_stage(role, err);
}

static enum upt_code
delegate(struct repo *repo, const char *name, const struct delegate_options *o, struct upt_err *err)
{
	struct upt_author_role author = {.name = name, .threshold = 1};
	const struct repo_role *existing = repo_role_find(repo, name);
	struct repo_role *parent;
	cJSON *payload;

	if (repo->director)
		return upt_fail(err, UPT_E_USAGE,
			"a Director must not delegate (Uptane Standard 2.1): clients refuse its "
			"targets");
	UPT_TRY(repo_role_need(repo, o->parent, true, &parent, err));
	if (existing != NULL && existing->parent != NULL)
		return upt_fail(err, UPT_E_USAGE,
			"%s delegates to %s already; \"rotate\" changes its keys, \"undelegate\" "
			"ends it",
			existing->parent->name, name);
	UPT_TRY(repo_role_edit(parent, &payload, err));
	UPT_TRY(upt_author_add_delegation(payload, &author, o->paths.items, o->paths.n,
		o->hardware.items, o->hardware.n, o->terminating, err));
	UPT_TRY(set_keys(repo, payload, name, o, err));
	UPT_TRY(repo_role_stage(parent, err));
	UPT_TRY(stage_role_itself(repo, name, parent, err));
	return repo_save(repo, err);
}

static enum upt_code
run(struct cli *cli, int argc, char **argv, struct upt_err *err)
{
	upt_cleanup(delegate_options_clear) struct delegate_options o = {
		.threshold = 1, .parent = "targets"};
	upt_cleanup(repo_close) struct repo repo = {.dirfd = -1};

	UPT_TRY(read_options(cli, argc, argv, &o, err));
	UPT_TRY(repo_open(cli->dir, &repo, err));
	UPT_TRY(delegate(&repo, argv[optind], &o, err));
	cli_say(cli, "staged the delegation from %s to %s (%u of %zu keys sign)", o.parent,
		argv[optind], (unsigned)o.threshold, o.keys.n);
	return UPT_OK;
}

const struct command cmd_delegate = {
	.name = "delegate",
	.args = "ROLE --key NAME... --path GLOB... [OPTION]...",
	.summary = "Let other keys list some of the targets",
	.help = help,
	.run = run,
};

/* ---- undelegate ---- */
static enum upt_code
undelegate(struct repo *repo, const char *name, struct upt_err *err)
{
	struct repo_role *role;
	cJSON *payload, *delegations, *list;

	UPT_TRY(repo_role_need(repo, name, true, &role, err));
	if (role->parent == NULL)
		return upt_fail(err, UPT_E_USAGE, "%s is no delegated role", name);
	UPT_TRY(repo_role_edit(role->parent, &payload, err));
	delegations = cJSON_GetObjectItemCaseSensitive(payload, "delegations");
	list = cJSON_GetObjectItemCaseSensitive(delegations, "roles");
	cJSON_Delete(cJSON_DetachItemViaPointer(list, role_delegation(payload, name)));
	role_def_prune(cJSON_GetObjectItemCaseSensitive(delegations, "keys"), list);
	if (list->child == NULL)
		cJSON_DeleteItemFromObjectCaseSensitive(payload, "delegations");
	UPT_TRY(repo_role_stage(role->parent, err));
	/* Unsigned changes of a role that nobody asks any more would only wait for its return. */
	if (role->staged != NULL) {
		repo_json_clear(&role->staged);
		upt_buf_clear(&role->staged_bytes);
		role->write_staged = true;
	}
	return repo_save(repo, err);
}

static enum upt_code
run_undelegate(struct cli *cli, int argc, char **argv, struct upt_err *err)
{
	upt_cleanup(repo_close) struct repo repo = {.dirfd = -1};
	int option;

	UPT_TRY(cli_option(cli, argc, argv, NULL, &option, err));
	UPT_TRY(cli_arguments(argc, argv, 1, 1, "ROLE", err));
	UPT_TRY(repo_open(cli->dir, &repo, err));
	UPT_TRY(undelegate(&repo, argv[optind], err));
	cli_say(cli, "staged the end of the delegation to %s", argv[optind]);
	return UPT_OK;
}

const struct command cmd_undelegate = {
	.name = "undelegate",
	.args = "ROLE",
	.summary = "End a delegation",
	.help = "Clients stop trusting ROLE once this is published. Its document stays listed in "
		"the\n"
		"snapshot, because clients take a file that vanishes for a rollback attack.\n",
	.run = run_undelegate,
};
