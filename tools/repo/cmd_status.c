#include "repo/cli.h"

#include <inttypes.h>
#include "base/clock.h"
#include "repo/release.h"

/* What stands between this role and the clients; several words may apply. */
static enum upt_code
describe(const struct repo *repo, const struct repo_role *role, char *out, size_t size,
	struct upt_err *err)
{
	const char *definer;
	struct upt_span bytes = release_definer(repo, role, &definer);
	bool is_public = false, former = role->parent == NULL && !repo_is_top_role(role->name);
	bool unsigned_ = false;
	enum upt_code code;

	if (!former && role->bytes.len > 0) {
		code = repo_check_signatures(
			role->name, upt_buf_span(&role->bytes), definer, bytes, err);
		if (code != UPT_OK && code != UPT_E_THRESHOLD)
			return code;
		unsigned_ = code != UPT_OK;
	}
	if (role->bytes.len > 0)
		UPT_TRY(release_is_public(repo, role, &is_public, err));
	snprintf(out, size, "%s%s%s%s%s", former ? ", no longer delegated to" : "",
		role->staged != NULL ? ", staged changes" : "",
		unsigned_ ? ", signed by former keys" : "",
		role->bytes.len > 0 && repo_role_expires(role) <= repo->now ? ", expired" : "",
		is_public ? "" : ", not published");
	return UPT_OK;
}

static enum upt_code
print_role(FILE *out, const struct repo *repo, const struct repo_role *role, struct upt_err *err)
{
	char expires[UPT_TIME_TEXT_SIZE] = "-", state[160], keys[64] = "-";
	struct role_def def;

	UPT_TRY(describe(repo, role, state, sizeof(state), err));
	if (role->bytes.len > 0)
		upt_time_format(repo_role_expires(role), expires);
	if (role_def_find(role, repo_role_payload(repo->roles[0]), &def, NULL) == UPT_OK)
		snprintf(keys, sizeof(keys), "%" PRIu64 " of %d, %zu here", def.threshold,
			cJSON_GetArraySize(def.keyids), repo_count_here(repo, &def));
	fprintf(out, "%-16s %7" PRIu64 "  %-20s  %-15s %s\n", role->name, repo_role_version(role),
		expires, keys, state[0] == '\0' ? "published" : state + 2);
	return UPT_OK;
}

static enum upt_code
run(struct cli *cli, int argc, char **argv, struct upt_err *err)
{
	upt_cleanup(repo_close) struct repo repo = {.dirfd = -1};
	int option;

	UPT_TRY(cli_option(cli, argc, argv, NULL, &option, err));
	UPT_TRY(cli_arguments(argc, argv, 0, 0, "", err));
	UPT_TRY(repo_open(cli->dir, &repo, err));
	fprintf(cli->out, "%-16s %7s  %-20s  %-15s %s\n", "ROLE", "VERSION", "EXPIRES", "KEYS",
		"STATE");
	for (size_t i = 0; i < repo.n_roles; i++)
		UPT_TRY(print_role(cli->out, &repo, repo.roles[i], err));
	return UPT_OK;
}

const struct command cmd_status = {
	.name = "status",
	.args = "",
	.summary = "Show every role: version, expiry, keys, what is not published",
	.help = "KEYS says how many of the role's keys must sign, and how many are in keys/ now.\n",
	.run = run,
};
