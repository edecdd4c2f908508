#include "repo/cli.h"

#include "authoring/authoring.h"
#include "metadata/limits.h"
#include "repo/signing.h"

/* clang-format off */
static const char help[] =
	"      --key NAME        key that holds the role; repeat for more\n"
	"      --threshold N     how many of the keys must sign (default: 1)\n"
	"      --role ROLE       to several roles: the next one, whose --key and --threshold follow it\n"
	"      --agree N         how many of several roles must agree on a target (default: all)\n"
	"      --path GLOB       target names it may list; repeat for more. '*' and '?' stop at '/'\n"
	"                        (in profile ota they do not)\n"
	"      --hardware-id ID  it may list targets for this hardware only; repeat for more\n"
	"      --terminating     names its paths match are looked for nowhere behind it\n"
	"      --from PARENT     the role that delegates (default: targets)\n\n"
	"Clients search delegations in the order in which they were made. The delegation is staged;\n"
	"\"publish\" signs it together with a first, empty document of ROLE. A role whose keys lie with\n"
	"a supplier (\"key import\") must be signed there before this workspace can publish it.\n\n"
	"With --role, ROLE is a name for the delegation itself, and N of the roles must agree (TAP 3).\n"
	"Clients take a target that so many of them list alike, in length, hashes and custom; of two such\n"
	"groups, the one with the role that was named first.\n";
/* clang-format on */

struct member {
	const char *role; /* NULL: the only one, called as the delegation is */
	struct cli_list keys;
	uint64_t threshold;
};

struct delegate_options {
	struct member members[UPT_MAX_MULTI_ROLES];
	size_t n_members;
	struct cli_list paths, hardware;
	uint64_t agree; /* 0: all */
	bool terminating;
	const char *parent;
};

static void
delegate_options_clear(struct delegate_options *o)
{
	for (size_t i = 0; i < o->n_members; i++)
		cli_list_clear(&o->members[i].keys);
	cli_list_clear(&o->paths);
	cli_list_clear(&o->hardware);
}

static bool
is_to_several(const struct delegate_options *o)
{
	return o->members[0].role != NULL;
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

static struct member *
add_member(struct delegate_options *o, const char *role)
{
	o->members[o->n_members] = (struct member){.role = role, .threshold = 1};
	return &o->members[o->n_members++];
}

/* The one that --key and --threshold are about. */
static struct member *
last_member(struct delegate_options *o)
{
	return o->n_members == 0 ? add_member(o, NULL) : &o->members[o->n_members - 1];
}

static enum upt_code
begin_member(struct delegate_options *o, const char *role, struct upt_err *err)
{
	UPT_TRY(repo_check_role_name(role, err));
	if (o->n_members > 0 && !is_to_several(o))
		return upt_fail(
			err, UPT_E_USAGE, "--key and --threshold of %s stand before it", role);
	if (o->n_members == UPT_MAX_MULTI_ROLES)
		return upt_fail(err, UPT_E_USAGE, "more than %d roles", UPT_MAX_MULTI_ROLES);
	for (size_t i = 0; i < o->n_members; i++) {
		if (strcmp(o->members[i].role, role) == 0)
			return upt_fail(err, UPT_E_USAGE, "role %s is named twice", role);
	}
	add_member(o, role);
	return UPT_OK;
}

static enum upt_code
take_option(struct delegate_options *o, int option, struct upt_err *err)
{
	switch (option) {
	case 'k':
		return cli_list_add(&last_member(o)->keys, optarg, err);
	case 'n':
		return cli_number(optarg, "--threshold", 1, UPT_MAX_ROLE_KEYIDS,
			&last_member(o)->threshold, err);
	case 'r':
		return begin_member(o, optarg, err);
	case 'a':
		return cli_number(optarg, "--agree", 1, UPT_MAX_MULTI_ROLES, &o->agree, err);
	case 'p':
		return cli_list_add(&o->paths, optarg, err);
	case 'w':
		return cli_list_add(&o->hardware, optarg, err);
	case 't':
		o->terminating = true;
		return UPT_OK;
	default:
		o->parent = optarg;
		return UPT_OK;
	}
}

static enum upt_code
check_members(const struct delegate_options *o, struct upt_err *err)
{
	if (o->n_members == 0)
		return upt_fail(err, UPT_E_USAGE, "missing --key");
	for (size_t i = 0; i < o->n_members; i++) {
		if (o->members[i].keys.n == 0)
			return upt_fail(err, UPT_E_USAGE, "missing --key%s%s",
				is_to_several(o) ? " of role " : "",
				is_to_several(o) ? o->members[i].role : "");
	}
	if (o->agree > 0 && !is_to_several(o))
		return upt_fail(err, UPT_E_USAGE, "--agree needs more than one --role");
	if (o->agree > o->n_members)
		return upt_fail(err, UPT_E_USAGE, "%u roles to agree, of %zu", (unsigned)o->agree,
			o->n_members);
	return UPT_OK;
}

static enum upt_code
read_options(
	struct cli *cli, int argc, char **argv, struct delegate_options *o, struct upt_err *err)
{
	static const struct option options[] = {{"key", required_argument, NULL, 'k'},
		{"role", required_argument, NULL, 'r'}, {"agree", required_argument, NULL, 'a'},
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
	UPT_TRY(check_members(o, err));
	if (o->paths.n == 0)
		return upt_fail(err, UPT_E_USAGE, "missing --path");
	UPT_TRY(check_lengths(&o->paths, UPT_TARGET_NAME_MAX, "path", err));
	return check_lengths(&o->hardware, UPT_HARDWARE_ID_MAX, "hardware id", err);
}

static enum upt_code
set_keys(const struct repo *repo, cJSON *payload, const char *role, const struct member *member,
	struct upt_err *err)
{
	upt_cleanup(upt_free_ptr) struct repo_key **holders =
		calloc(member->keys.n, sizeof(struct repo_key *));
	cJSON *keys = cJSON_GetObjectItemCaseSensitive(
		cJSON_GetObjectItemCaseSensitive(payload, "delegations"), "keys");

	if (holders == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for %zu keys", member->keys.n);
	for (size_t i = 0; i < member->keys.n; i++) {
		UPT_TRY(repo_key_need(repo, member->keys.items[i], &holders[i], err));
		for (size_t j = 0; j < i; j++) {
			if (holders[j] == holders[i])
				return upt_fail(err, UPT_E_USAGE, "key %s is named twice",
					holders[i]->name);
		}
	}
	return role_def_set(
		keys, role_entry(payload, role), holders, member->keys.n, member->threshold, err);
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

static const char *
role_of(const struct member *member, const char *name)
{
	return member->role != NULL ? member->role : name;
}

/* The entry without keys, which set_keys() puts there. */
static enum upt_code
add_entry(cJSON *payload, const char *name, const struct delegate_options *o, struct upt_err *err)
{
	const struct upt_author_scope scope = {
		o->paths.items, o->paths.n, o->hardware.items, o->hardware.n, o->terminating};
	struct upt_author_role roles[UPT_MAX_MULTI_ROLES];

	for (size_t i = 0; i < o->n_members; i++)
		roles[i] = (struct upt_author_role){
			.name = role_of(&o->members[i], name), .threshold = 1};
	if (!is_to_several(o))
		return upt_author_add_delegation(payload, roles, scope.paths, scope.n_paths,
			scope.hardware_ids, scope.n_hardware_ids, scope.terminating, err);
	return upt_author_add_multi_role_delegation(payload, name, roles, o->n_members,
		(unsigned)(o->agree > 0 ? o->agree : o->n_members), &scope, err);
}

static enum upt_code
check_free(const struct repo *repo, const struct repo_role *parent, const char *name,
	const struct delegate_options *o, struct upt_err *err)
{
	for (size_t i = 0; i < o->n_members; i++) {
		const char *role = role_of(&o->members[i], name);
		const struct repo_role *existing = repo_role_find(repo, role);
		if (existing != NULL && existing->parent != NULL)
			return upt_fail(err, UPT_E_USAGE,
				"%s delegates to %s already; \"rotate\" changes its keys, "
				"\"undelegate\" ends it",
				existing->parent->name, role);
	}
	if (role_delegation_named(repo_role_payload(parent), name) != NULL)
		return upt_fail(
			err, UPT_E_USAGE, "%s has a delegation %s already", parent->name, name);
	return UPT_OK;
}

static enum upt_code
delegate(struct repo *repo, const char *name, const struct delegate_options *o, struct upt_err *err)
{
	struct repo_role *parent;
	cJSON *payload;

	if (repo->director)
		return upt_fail(err, UPT_E_USAGE,
			"a Director must not delegate (Uptane Standard 2.1): clients refuse its "
			"targets");
	UPT_TRY(repo_role_need(repo, o->parent, true, &parent, err));
	UPT_TRY(check_free(repo, parent, name, o, err));
	UPT_TRY(repo_role_edit(parent, &payload, err));
	UPT_TRY(add_entry(payload, name, o, err));
	for (size_t i = 0; i < o->n_members; i++)
		UPT_TRY(set_keys(
			repo, payload, role_of(&o->members[i], name), &o->members[i], err));
	UPT_TRY(role_keys_apart(role_delegation_named(payload, name), err));
	UPT_TRY(repo_role_stage(parent, err));
	for (size_t i = 0; i < o->n_members; i++)
		UPT_TRY(stage_role_itself(repo, role_of(&o->members[i], name), parent, err));
	return repo_save(repo, err);
}

static enum upt_code
run(struct cli *cli, int argc, char **argv, struct upt_err *err)
{
	upt_cleanup(delegate_options_clear) struct delegate_options o = {.parent = "targets"};
	upt_cleanup(repo_close) struct repo repo = {.dirfd = -1};

	UPT_TRY(read_options(cli, argc, argv, &o, err));
	UPT_TRY(repo_open(cli->dir, &repo, err));
	UPT_TRY(delegate(&repo, argv[optind], &o, err));
	if (is_to_several(&o))
		cli_say(cli, "staged the delegation %s from %s (%u of %zu roles must agree)",
			argv[optind], o.parent, (unsigned)(o.agree > 0 ? o.agree : o.n_members),
			o.n_members);
	else
		cli_say(cli, "staged the delegation from %s to %s (%u of %zu keys sign)", o.parent,
			argv[optind], (unsigned)o.members[0].threshold, o.members[0].keys.n);
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
/* The role that has a delegation of that name. */
static enum upt_code
find_delegator(
	const struct repo *repo, const char *name, struct repo_role **out, struct upt_err *err)
{
	struct repo_role *role;

	for (size_t i = REPO_N_TOP - 1; i < repo->n_roles; i++) {
		*out = repo->roles[i];
		if ((i < REPO_N_TOP || (*out)->parent != NULL) &&
			role_delegation_named(repo_role_payload(*out), name) != NULL)
			return UPT_OK;
	}
	*out = NULL;
	UPT_TRY(repo_role_need(repo, name, true, &role, err));
	if (role->parent == NULL)
		return upt_fail(err, UPT_E_USAGE, "%s is no delegated role", name);
	return upt_fail(err, UPT_E_USAGE,
		"%s is one of several roles: end %s, the delegation to all", name,
		repo_json_text(role_delegation(repo_role_payload(role->parent), name), "name"));
}

/* Unsigned changes of a role that nobody asks any more would only wait for its return. */
static void
drop_staged(struct repo *repo, const char *name)
{
	struct repo_role *role = repo_role_find(repo, name);

	if (role == NULL || role->staged == NULL)
		return;
	upt_author_json_clear(&role->staged);
	upt_buf_clear(&role->staged_bytes);
	role->write_staged = true;
}

static enum upt_code
undelegate(struct repo *repo, const char *name, struct upt_err *err)
{
	upt_cleanup(upt_author_json_clear) cJSON *entry = NULL;
	struct repo_role *parent;
	cJSON *payload, *delegations, *list;
	const cJSON *role;

	UPT_TRY(find_delegator(repo, name, &parent, err));
	UPT_TRY(repo_role_edit(parent, &payload, err));
	delegations = cJSON_GetObjectItemCaseSensitive(payload, "delegations");
	list = cJSON_GetObjectItemCaseSensitive(delegations, "roles");
	entry = cJSON_DetachItemViaPointer(list, role_delegation_named(payload, name));
	role_def_prune(cJSON_GetObjectItemCaseSensitive(delegations, "keys"), list);
	if (list->child == NULL)
		cJSON_DeleteItemFromObjectCaseSensitive(payload, "delegations");
	UPT_TRY(repo_role_stage(parent, err));
	for (int i = 0; (role = repo_delegated_role(entry, i)) != NULL; i++)
		drop_staged(repo, repo_delegated_name(role));
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
