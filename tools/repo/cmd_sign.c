#include "repo/cli.h"

#include <inttypes.h>
#include "base/clock.h"
#include "repo/release.h"

/* clang-format off */
static const char help[] =
	"      --expires TIME        YYYY-MM-DDTHH:MM:SSZ (default: the days of repo.json from now)\n"
	"      --expires-in SECONDS  the same, from now\n"
	"      --key NAME            sign with this key only; repeat for more (default: every key of\n"
	"                            the role that is here)\n"
	"      --output FILE         write the document to FILE for others to sign too (\"cosign\", then\n"
	"                            \"import\"); the workspace stays as it is\n\n"
	"Signs the role as its next version, with its staged changes. A snapshot lists what is signed\n"
	"then, a timestamp that snapshot. Nothing is visible to clients before \"publish\", which signs\n"
	"whatever else must follow.\n";
/* clang-format on */

struct sign_options {
	struct cli_list keys;
	bool has_expires, has_expires_in;
	int64_t expires;
	uint64_t expires_in_s;
	const char *output;
};

static void
sign_options_clear(struct sign_options *o)
{
	cli_list_clear(&o->keys);
}

#define EXPIRES_IN_MAX_S ((uint64_t)REPO_MAX_DAYS * 86400)

static enum upt_code
take_option(struct sign_options *o, int option, struct upt_err *err)
{
	switch (option) {
	case 'e':
		o->has_expires = true;
		if (!upt_time_parse(upt_span_str(optarg), &o->expires))
			return upt_fail(err, UPT_E_USAGE,
				"--expires %s is no time like 2030-01-31T00:00:00Z", optarg);
		return UPT_OK;
	case 'i':
		o->has_expires_in = true;
		return cli_number(
			optarg, "--expires-in", 0, EXPIRES_IN_MAX_S, &o->expires_in_s, err);
	case 'o':
		o->output = optarg;
		return UPT_OK;
	default:
		return cli_list_add(&o->keys, optarg, err);
	}
}

static enum upt_code
read_options(struct cli *cli, int argc, char **argv, struct sign_options *o, struct upt_err *err)
{
	static const struct option options[] = {{"expires", required_argument, NULL, 'e'},
		{"expires-in", required_argument, NULL, 'i'}, {"key", required_argument, NULL, 'k'},
		{"output", required_argument, NULL, 'o'}, {0}};
	int option;

	while (true) {
		UPT_TRY(cli_option(cli, argc, argv, options, &option, err));
		if (option == -1)
			break;
		UPT_TRY(take_option(o, option, err));
	}
	if (o->has_expires && o->has_expires_in)
		return upt_fail(err, UPT_E_USAGE, "--expires and --expires-in exclude each other");
	return cli_arguments(argc, argv, 1, 1, "ROLE", err);
}

static enum upt_code
run(struct cli *cli, int argc, char **argv, struct upt_err *err)
{
	upt_cleanup(sign_options_clear) struct sign_options o = {0};
	upt_cleanup(repo_close) struct repo repo = {.dirfd = -1};
	struct sign_request request = {0};
	char expires[UPT_TIME_TEXT_SIZE];
	struct repo_role *role;
	bool same;

	UPT_TRY(read_options(cli, argc, argv, &o, err));
	UPT_TRY(repo_open(cli->dir, &repo, err));
	UPT_TRY(repo_role_need(&repo, argv[optind], false, &role, err));
	request.expires = o.has_expires      ? o.expires
			  : o.has_expires_in ? repo.now + (int64_t)o.expires_in_s
					     : repo_expiry(&repo, role->name);
	request.only = o.keys.items;
	request.n_only = o.keys.n;
	request.partial = o.output != NULL;
	if (strcmp(role->name, "snapshot") == 0 || strcmp(role->name, "timestamp") == 0)
		UPT_TRY(release_list(&repo, role, &same, err));
	UPT_TRY(repo_sign(&repo, role, &request, err));
	upt_time_format(request.expires, expires);
	if (request.expires <= repo.now)
		cli_warn(cli, "%s version %" PRIu64 " has already expired (%s): clients refuse it",
			role->name, repo_role_version(role), expires);
	if (o.output != NULL)
		return cli_write_document(cli, role, o.output, err);
	UPT_TRY(repo_save(&repo, err));
	cli_say(cli, "signed %s version %" PRIu64 ", expires %s", role->name,
		repo_role_version(role), expires);
	return UPT_OK;
}

const struct command cmd_sign = {
	.name = "sign",
	.args = "ROLE [OPTION]...",
	.summary = "Sign a role as its next version",
	.help = help,
	.run = run,
};
