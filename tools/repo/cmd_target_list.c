#include "repo/cli.h"

#include <inttypes.h>

static const char help[] = "      --role ROLE  only this role's (default: of all roles)\n"
			   "      --json       one JSON object a line: "
			   "{\"role\",\"name\",\"length\",\"hashes\",\"custom\"}\n\n"
			   "Prints role, name, length, SHA-256, format and hardware ids, separated "
			   "by tabs, as they will be\n"
			   "after the next \"publish\"; \"-\" stands for what is not set.\n";

static enum upt_code
print_json(FILE *out, const char *role, const cJSON *entry, struct upt_err *err)
{
	upt_cleanup(upt_author_json_clear) cJSON *line = cJSON_Duplicate(entry, true);
	char *text;

	if (line == NULL || !cJSON_AddStringToObject(line, "role", role) ||
		!cJSON_AddStringToObject(line, "name", entry->string) ||
		(text = cJSON_PrintUnformatted(line)) == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for target %s", entry->string);
	fprintf(out, "%s\n", text);
	cJSON_free(text);
	return UPT_OK;
}

static const char *
or_dash(const char *text)
{
	return text[0] == '\0' ? "-" : text;
}

static void
print_line(FILE *out, const char *role, const cJSON *entry)
{
	const cJSON *custom = cJSON_GetObjectItemCaseSensitive(entry, "custom"), *id;
	const cJSON *ids = cJSON_GetObjectItemCaseSensitive(custom, "hardwareIds");
	const char *separator = "";

	fprintf(out, "%s\t%s\t%" PRIu64 "\t%s\t%s\t", role, entry->string,
		repo_json_u64(entry, "length"),
		or_dash(repo_json_text(
			cJSON_GetObjectItemCaseSensitive(entry, "hashes"), "sha256")),
		or_dash(repo_json_text(custom, "targetFormat")));
	cJSON_ArrayForEach(id, ids)
	{
		fprintf(out, "%s%s", separator, cJSON_IsString(id) ? id->valuestring : "?");
		separator = ",";
	}
	fprintf(out, "%s\n", separator[0] == '\0' ? "-" : "");
}

static enum upt_code
print_role(FILE *out, const struct repo_role *role, bool json, struct upt_err *err)
{
	const cJSON *entry;

	cJSON_ArrayForEach(
		entry, cJSON_GetObjectItemCaseSensitive(repo_role_payload(role), "targets"))
	{
		if (json)
			UPT_TRY(print_json(out, role->name, entry, err));
		else
			print_line(out, role->name, entry);
	}
	return UPT_OK;
}

static enum upt_code
run(struct cli *cli, int argc, char **argv, struct upt_err *err)
{
	static const struct option options[] = {
		{"role", required_argument, NULL, 'r'}, {"json", no_argument, NULL, 'j'}, {0}};
	upt_cleanup(repo_close) struct repo repo = {.dirfd = -1};
	struct repo_role *only = NULL;
	const char *name = NULL;
	bool json = false;
	int option;

	while (true) {
		UPT_TRY(cli_option(cli, argc, argv, options, &option, err));
		if (option == -1)
			break;
		if (option == 'r')
			name = optarg;
		else
			json = true;
	}
	UPT_TRY(cli_arguments(argc, argv, 0, 0, "", err));
	UPT_TRY(repo_open(cli->dir, &repo, err));
	if (name != NULL)
		UPT_TRY(repo_role_need(&repo, name, true, &only, err));
	for (size_t i = 0; i < repo.n_roles; i++) {
		bool former = repo.roles[i]->parent == NULL && i >= REPO_N_TOP;
		if (!former && (only == NULL || only == repo.roles[i]))
			UPT_TRY(print_role(cli->out, repo.roles[i], json, err));
	}
	return UPT_OK;
}

const struct command cmd_target_list = {
	.name = "target list",
	.args = "[--role ROLE] [--json]",
	.summary = "List targets",
	.help = help,
	.run = run,
};
