#include "repo/cli.h"

#include <inttypes.h>
#include "metadata/limits.h"
#include "repo/signing.h"

/* clang-format off */
static const char help[] =
	"      --new-key-type TYPE  ed25519, ecdsa or rsa (default: that of the key it replaces)\n"
	"      --replace NAME       replace this key by a new one; repeat for more\n"
	"      --add NAME           add this key, see \"key generate\" and \"key import\"; repeat for more\n"
	"      --remove NAME        remove this key; repeat for more\n"
	"      --threshold N        how many of the keys must sign\n"
	"      --output FILE        write the next root to FILE for others to sign too (\"cosign\", then\n"
	"                           \"import root\") instead of taking it over\n\n"
	"Without --replace, --add, --remove and --threshold every key of the role is replaced.\n"
	"For root, timestamp, snapshot and targets this signs the next root, with the keys of the root\n"
	"before it and, where root keys changed, with the new ones too. For a delegated role it stages\n"
	"the delegator's change. \"publish\" then signs anew what the new keys must sign. Old private keys\n"
	"stay in keys/: destroy them once the new root is published.\n";
/* clang-format on */

enum { OPT_TYPE = 256, OPT_REPLACE, OPT_ADD, OPT_REMOVE, OPT_THRESHOLD, OPT_OUTPUT };

struct rotate_options {
	const char *key_type;
	struct cli_list replace, add, remove;
	uint64_t threshold; /* 0: as it was */
	const char *output;
};

static void
rotate_options_clear(struct rotate_options *o)
{
	cli_list_clear(&o->replace);
	cli_list_clear(&o->add);
	cli_list_clear(&o->remove);
}

static enum upt_code
take_option(struct rotate_options *o, int option, struct upt_err *err)
{
	switch (option) {
	case OPT_TYPE:
		return repo_key_type(optarg, &o->key_type, err);
	case OPT_REPLACE:
		return cli_list_add(&o->replace, optarg, err);
	case OPT_ADD:
		return cli_list_add(&o->add, optarg, err);
	case OPT_REMOVE:
		return cli_list_add(&o->remove, optarg, err);
	case OPT_OUTPUT:
		o->output = optarg;
		return UPT_OK;
	default:
		return cli_number(
			optarg, "--threshold", 1, UPT_MAX_ROLE_KEYIDS, &o->threshold, err);
	}
}

static enum upt_code
read_options(struct cli *cli, int argc, char **argv, struct rotate_options *o, struct upt_err *err)
{
	static const struct option options[] = {{"new-key-type", required_argument, NULL, OPT_TYPE},
		{"replace", required_argument, NULL, OPT_REPLACE},
		{"add", required_argument, NULL, OPT_ADD},
		{"remove", required_argument, NULL, OPT_REMOVE},
		{"threshold", required_argument, NULL, OPT_THRESHOLD},
		{"output", required_argument, NULL, OPT_OUTPUT}, {0}};
	int option;

	while (true) {
		UPT_TRY(cli_option(cli, argc, argv, options, &option, err));
		if (option == -1)
			break;
		UPT_TRY(take_option(o, option, err));
	}
	return cli_arguments(argc, argv, 1, 1, "ROLE", err);
}

/* ---- the new holders ---- */
struct holders {
	struct repo_key *keys[UPT_MAX_ROLE_KEYIDS];
	size_t n;
};

static enum upt_code
add_holder(struct holders *h, struct repo_key *key, const char *role, struct upt_err *err)
{
	for (size_t i = 0; i < h->n; i++) {
		if (h->keys[i] == key)
			return upt_fail(
				err, UPT_E_USAGE, "key %s holds role %s already", key->name, role);
	}
	if (h->n == UPT_MAX_ROLE_KEYIDS)
		return upt_fail(err, UPT_E_USAGE, "more than %d keys", UPT_MAX_ROLE_KEYIDS);
	h->keys[h->n++] = key;
	return UPT_OK;
}

static enum upt_code
find_holder(const struct repo *repo, const struct holders *h, const char *name, const char *role,
	size_t *out, struct upt_err *err)
{
	struct repo_key *key;

	UPT_TRY(repo_key_need(repo, name, &key, err));
	for (*out = 0; *out < h->n; (*out)++) {
		if (h->keys[*out] == key)
			return UPT_OK;
	}
	return upt_fail(err, UPT_E_USAGE, "key %s is no key of role %s", name, role);
}

static enum upt_code
present_holders(const struct repo *repo, const char *role, const struct role_def *def,
	struct holders *h, struct upt_err *err)
{
	const cJSON *id;

	cJSON_ArrayForEach(id, def->keyids)
	{
		struct repo_key *key = repo_key_by_id(repo, id->valuestring);
		if (key == NULL)
			return upt_fail(err, UPT_E_KEY,
				"role %s has a key with id %s, which has no keys/NAME.json here",
				role, id->valuestring);
		UPT_TRY(add_holder(h, key, role, err));
	}
	return UPT_OK;
}

static enum upt_code
renew(struct cli *cli, struct repo *repo, const char *role, const char *key_type,
	struct repo_key **key, struct upt_err *err)
{
	const char *type = key_type;
	struct repo_key *fresh;

	if (type == NULL)
		UPT_TRY(repo_key_type(repo_json_text((*key)->public_part, "keytype"), &type, err));
	UPT_TRY(repo_key_generate_next(repo, role, type, &fresh, err));
	cli_say(cli, "key %s replaces %s", fresh->name, (*key)->name);
	*key = fresh;
	return UPT_OK;
}

static enum upt_code
change_holders(struct cli *cli, struct repo *repo, const char *role, const struct rotate_options *o,
	struct holders *h, struct upt_err *err)
{
	bool all = o->replace.n + o->add.n + o->remove.n == 0 && o->threshold == 0;
	size_t at;

	for (size_t i = 0; all && i < h->n; i++)
		UPT_TRY(renew(cli, repo, role, o->key_type, &h->keys[i], err));
	for (size_t i = 0; i < o->replace.n; i++) {
		UPT_TRY(find_holder(repo, h, o->replace.items[i], role, &at, err));
		UPT_TRY(renew(cli, repo, role, o->key_type, &h->keys[at], err));
	}
	for (size_t i = 0; i < o->add.n; i++) {
		struct repo_key *key;
		UPT_TRY(repo_key_need(repo, o->add.items[i], &key, err));
		UPT_TRY(add_holder(h, key, role, err));
	}
	for (size_t i = 0; i < o->remove.n; i++) {
		UPT_TRY(find_holder(repo, h, o->remove.items[i], role, &at, err));
		memmove(&h->keys[at], &h->keys[at + 1], (h->n - at - 1) * sizeof(h->keys[0]));
		h->n--;
	}
	return UPT_OK;
}

/* ---- where they are written ---- */
static enum upt_code
write_root(struct repo *repo, const char *role, const struct holders *h, uint64_t threshold,
	bool partial, struct upt_err *err)
{
	struct sign_request request = {.expires = repo_expiry(repo, "root"), .partial = partial};
	struct repo_role *root = repo_role_find(repo, "root");
	cJSON *payload, *keys, *roles;

	UPT_TRY(repo_role_edit(root, &payload, err));
	keys = cJSON_GetObjectItemCaseSensitive(payload, "keys");
	roles = cJSON_GetObjectItemCaseSensitive(payload, "roles");
	UPT_TRY(role_def_set(keys, cJSON_GetObjectItemCaseSensitive(roles, role), h->keys, h->n,
		threshold, err));
	role_def_prune(keys, roles);
	return repo_sign(repo, root, &request, err);
}

static enum upt_code
write_delegation(
	struct repo_role *role, const struct holders *h, uint64_t threshold, struct upt_err *err)
{
	cJSON *payload, *delegations, *keys;

	UPT_TRY(repo_role_edit(role->parent, &payload, err));
	delegations = cJSON_GetObjectItemCaseSensitive(payload, "delegations");
	keys = cJSON_GetObjectItemCaseSensitive(delegations, "keys");
	UPT_TRY(role_def_set(keys, role_entry(payload, role->name), h->keys, h->n, threshold, err));
	UPT_TRY(role_keys_apart(role_delegation(payload, role->name), err));
	role_def_prune(keys, cJSON_GetObjectItemCaseSensitive(delegations, "roles"));
	return repo_role_stage(role->parent, err);
}

static enum upt_code
rotate(struct cli *cli, struct repo *repo, struct repo_role *role, const struct rotate_options *o,
	struct upt_err *err)
{
	struct holders h = {.n = 0};
	struct role_def def;
	uint64_t threshold;

	if (o->output != NULL && role->parent != NULL)
		return upt_fail(err, UPT_E_USAGE,
			"--output is for roles that root names: the change of %s is staged in %s",
			role->name, role->parent->name);
	UPT_TRY(role_def_find(role, repo_role_payload(repo_role_find(repo, "root")), &def, err));
	threshold = o->threshold != 0 ? o->threshold : def.threshold;
	UPT_TRY(present_holders(repo, role->name, &def, &h, err));
	UPT_TRY(change_holders(cli, repo, role->name, o, &h, err));
	if (role->parent == NULL)
		UPT_TRY(write_root(repo, role->name, &h, threshold, o->output != NULL, err));
	else
		UPT_TRY(write_delegation(role, &h, threshold, err));
	if (o->output != NULL) {
		/* New keys are kept; no role uses them before the root comes back. */
		UPT_TRY(txn_commit(&repo->txn, repo->dir, repo->dirfd, err));
		return cli_write_document(cli, repo_role_find(repo, "root"), o->output, err);
	}
	UPT_TRY(repo_save(repo, err));
	if (role->parent == NULL)
		cli_say(cli,
			"signed root version %" PRIu64 ": role %s needs %" PRIu64 " of %zu keys",
			repo_role_version(repo_role_find(repo, "root")), role->name, threshold,
			h.n);
	else
		cli_say(cli, "staged in role %s: role %s needs %" PRIu64 " of %zu keys",
			role->parent->name, role->name, threshold, h.n);
	return UPT_OK;
}

static enum upt_code
run(struct cli *cli, int argc, char **argv, struct upt_err *err)
{
	upt_cleanup(rotate_options_clear) struct rotate_options o = {0};
	upt_cleanup(repo_close) struct repo repo = {.dirfd = -1};
	struct repo_role *role;

	UPT_TRY(read_options(cli, argc, argv, &o, err));
	UPT_TRY(repo_open(cli->dir, &repo, err));
	UPT_TRY(repo_role_need(&repo, argv[optind], false, &role, err));
	return rotate(cli, &repo, role, &o, err);
}

const struct command cmd_rotate = {
	.name = "rotate",
	.args = "ROLE [OPTION]...",
	.summary = "Change the keys of a role",
	.help = help,
	.run = run,
};
