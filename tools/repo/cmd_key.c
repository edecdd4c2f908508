#include "repo/cli.h"

#include <fcntl.h>
#include "base/file.h"
#include "json/json.h"

#define PUBLIC_MAX_BYTES ((size_t)65536)

/* ---- key generate ---- */
static enum upt_code
run_generate(struct cli *cli, int argc, char **argv, struct upt_err *err)
{
	static const struct option options[] = {{"type", required_argument, NULL, 't'}, {0}};
	upt_cleanup(repo_close) struct repo repo = {.dirfd = -1};
	const char *type = "ed25519";
	struct repo_key *key;
	int option;

	while (true) {
		UPT_TRY(cli_option(cli, argc, argv, options, &option, err));
		if (option == -1)
			break;
		UPT_TRY(repo_key_type(optarg, &type, err));
	}
	UPT_TRY(cli_arguments(argc, argv, 1, 1, "NAME", err));
	UPT_TRY(repo_open(cli->dir, &repo, err));
	UPT_TRY(repo_key_generate(&repo, argv[optind], type, &key, err));
	UPT_TRY(repo_save(&repo, err));
	cli_say(cli, "made key %s: %s", key->name, key->id);
	return UPT_OK;
}

const struct command cmd_key_generate = {
	.name = "key generate",
	.args = "NAME [--type TYPE]",
	.summary = "Make a key",
	.help = "      --type TYPE  ed25519 (default), ecdsa or rsa (3072 bits)\n\n"
		"Writes keys/NAME.pem (private, mode 0600) and keys/NAME.json (public). No role "
		"uses the\n"
		"key yet: \"delegate --key NAME\" and \"rotate ROLE --add NAME\" give it one.\n",
	.run = run_generate,
};

/* ---- key import ---- */
static enum upt_code
read_public(const char *path, cJSON **out, struct upt_err *err)
{
	static const char *const members[] = {"keytype", "scheme", "keyval"};
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	upt_cleanup(upt_author_json_clear) cJSON *given = NULL;
	struct upt_json_doc doc;
	enum upt_code code;

	*out = NULL;
	UPT_TRY(upt_file_read(AT_FDCWD, path, PUBLIC_MAX_BYTES, &text, err));
	code = upt_json_check(upt_buf_span(&text), &doc, err);
	if (code != UPT_OK)
		return upt_wrap(err, code, "%s", path);
	given = cJSON_ParseWithLength((const char *)text.data, text.len);
	*out = cJSON_CreateObject();
	for (size_t i = 0; i < 3; i++) {
		cJSON *item = cJSON_DetachItemFromObjectCaseSensitive(given, members[i]);
		if (item == NULL || !cJSON_AddItemToObject(*out, members[i], item)) {
			cJSON_Delete(item);
			upt_author_json_clear(out);
			return upt_fail(err, UPT_E_MALFORMED, "%s is no public key: it has no %s",
				path, members[i]);
		}
	}
	return UPT_OK;
}

static enum upt_code
run_import(struct cli *cli, int argc, char **argv, struct upt_err *err)
{
	upt_cleanup(repo_close) struct repo repo = {.dirfd = -1};
	struct repo_key *key;
	cJSON *public_part;
	int option;

	UPT_TRY(cli_option(cli, argc, argv, NULL, &option, err));
	UPT_TRY(cli_arguments(argc, argv, 2, 2, "NAME FILE", err));
	UPT_TRY(repo_open(cli->dir, &repo, err));
	UPT_TRY(read_public(argv[optind + 1], &public_part, err));
	UPT_TRY(repo_key_import(&repo, argv[optind], public_part, &key, err));
	UPT_TRY(repo_save(&repo, err));
	cli_say(cli, "imported public key %s: %s", key->name, key->id);
	return UPT_OK;
}

const struct command cmd_key_import = {
	.name = "key import",
	.args = "NAME FILE",
	.summary = "Add the public key of somebody else, e.g. a supplier",
	.help = "FILE holds what \"key show\" prints: "
		"{\"keytype\",\"scheme\",\"keyval\":{\"public\"}}.\n"
		"The private key stays with its owner.\n",
	.run = run_import,
};

/* ---- key show ---- */
static enum upt_code
run_show(struct cli *cli, int argc, char **argv, struct upt_err *err)
{
	upt_cleanup(repo_close) struct repo repo = {.dirfd = -1};
	struct repo_key *key;
	int option;
	char *text;

	UPT_TRY(cli_option(cli, argc, argv, NULL, &option, err));
	UPT_TRY(cli_arguments(argc, argv, 1, 1, "NAME", err));
	UPT_TRY(repo_open(cli->dir, &repo, err));
	UPT_TRY(repo_key_need(&repo, argv[optind], &key, err));
	text = cJSON_PrintUnformatted(key->public_part);
	if (text == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for key %s", key->name);
	fprintf(cli->out, "%s\n", text);
	cJSON_free(text);
	return UPT_OK;
}

const struct command cmd_key_show = {
	.name = "key show",
	.args = "NAME",
	.summary = "Print a key's public part as metadata spells it",
	.help = "The output is what \"key import\" takes.\n",
	.run = run_show,
};

/* ---- key list ---- */
static void
print_roles(FILE *out, const cJSON *list, const char *id, bool *first)
{
	cJSON *entry, *role;

	cJSON_ArrayForEach(entry, list)
	{
		for (int i = 0; (role = repo_delegated_role(entry, i)) != NULL; i++) {
			if (!repo_json_has_string(
				    cJSON_GetObjectItemCaseSensitive(role, "keyids"), id))
				continue;
			fprintf(out, "%s%s", *first ? "" : ",",
				role->string != NULL ? role->string : repo_delegated_name(role));
			*first = false;
		}
	}
}

static void
print_key(FILE *out, const struct repo *repo, const struct repo_key *key)
{
	bool first = true;

	fprintf(out, "%s\t%s\t%s\t%s\t", key->name, repo_json_text(key->public_part, "keytype"),
		key->id, repo_key_is_here(repo, key) ? "here" : "away");
	for (size_t i = 0; i < repo->n_roles; i++) {
		const cJSON *payload = repo_role_payload(repo->roles[i]);
		const cJSON *holder =
			i == 0 ? payload : cJSON_GetObjectItemCaseSensitive(payload, "delegations");
		print_roles(
			out, cJSON_GetObjectItemCaseSensitive(holder, "roles"), key->id, &first);
	}
	fprintf(out, "%s\n", first ? "-" : "");
}

static enum upt_code
run_list(struct cli *cli, int argc, char **argv, struct upt_err *err)
{
	upt_cleanup(repo_close) struct repo repo = {.dirfd = -1};
	int option;

	UPT_TRY(cli_option(cli, argc, argv, NULL, &option, err));
	UPT_TRY(cli_arguments(argc, argv, 0, 0, "", err));
	UPT_TRY(repo_open(cli->dir, &repo, err));
	for (size_t i = 0; i < repo.n_keys; i++)
		print_key(cli->out, &repo, repo.keys[i]);
	return UPT_OK;
}

const struct command cmd_key_list = {
	.name = "key list",
	.args = "",
	.summary = "List keys: name, type, key id, private half here or away, roles",
	.help = "One line a key, fields separated by tabs; \"-\" for a key without a role.\n",
	.run = run_list,
};
