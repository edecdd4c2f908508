#include "repo/cli.h"

static enum upt_code
remove_target(cJSON *payload, const char *name, const char *role, struct upt_err *err)
{
	cJSON *targets = cJSON_GetObjectItemCaseSensitive(payload, "targets");
	cJSON *entry = cJSON_DetachItemFromObjectCaseSensitive(targets, name);

	if (entry == NULL)
		return upt_fail(err, UPT_E_USAGE, "role %s has no target %s", role, name);
	cJSON_Delete(entry);
	return UPT_OK;
}

static enum upt_code
run(struct cli *cli, int argc, char **argv, struct upt_err *err)
{
	static const struct option options[] = {{"role", required_argument, NULL, 'r'}, {0}};
	upt_cleanup(repo_close) struct repo repo = {.dirfd = -1};
	const char *name = "targets";
	struct repo_role *role;
	cJSON *payload;
	int option;

	while (true) {
		UPT_TRY(cli_option(cli, argc, argv, options, &option, err));
		if (option == -1)
			break;
		name = optarg;
	}
	UPT_TRY(cli_arguments(argc, argv, 1, -1, "NAME", err));
	UPT_TRY(repo_open(cli->dir, &repo, err));
	UPT_TRY(repo_role_need(&repo, name, true, &role, err));
	UPT_TRY(repo_role_edit(role, &payload, err));
	for (int i = optind; i < argc; i++)
		UPT_TRY(remove_target(payload, argv[i], role->name, err));
	UPT_TRY(repo_role_stage(role, err));
	UPT_TRY(repo_save(&repo, err));
	cli_say(cli, "staged the removal of %d target%s from role %s", argc - optind,
		argc - optind == 1 ? "" : "s", role->name);
	return UPT_OK;
}

const struct command cmd_target_remove = {
	.name = "target remove",
	.args = "NAME... [--role ROLE]",
	.summary = "Remove targets",
	.help = "      --role ROLE  the role that lists them (default: targets)\n\n"
		"The removal is staged: \"publish\" makes it good. Published bytes stay under\n"
		"public/targets/, because clients may be fetching them; without metadata nobody "
		"installs\n"
		"them.\n",
	.run = run,
};
