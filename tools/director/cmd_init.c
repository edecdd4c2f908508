#include <stdio.h>
#include <time.h>
#include "cli.h"
#include "director.h"

/* ROLE=SECONDS */
static enum upt_code
read_lifetime(const char *text, int64_t lifetimes_s[static N_ROLES], struct upt_err *err)
{
	size_t len = strcspn(text, "=");
	enum role role;
	uint64_t seconds = 0;

	if (text[len] != '=' || !role_find(upt_span(text, len), &role))
		return upt_fail(err, UPT_E_USAGE,
			"--expires: '%s' is no ROLE=SECONDS with root, timestamp, snapshot or"
			" targets",
			text);
	UPT_TRY(cli_u64("--expires", text + len + 1, DIRECTOR_LIFETIME_MIN_S,
		DIRECTOR_LIFETIME_MAX_S, &seconds, err));
	lifetimes_s[role] = (int64_t)seconds;
	return UPT_OK;
}

static const char *
find_key_type(const char *name)
{
	static const char *const types[][2] = {{"ed25519", "ed25519"}, {"rsa", "rsa"},
		{"ecdsa", "ecdsa-sha2-nistp256"}, {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"}};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcmp(name, types[i][0]) == 0)
			return types[i][1];
	}
	return NULL;
}

static enum upt_code
run(int argc, char **argv, struct upt_err *err)
{
	const char *dir = NULL, *key_type = NULL, *values[16];
	struct cli_list expires = {.values = values, .max = 16};
	const struct cli_option options[] = {
		{.name = "--dir", .value = &dir},
		{.name = "--key-type", .value = &key_type},
		{.name = "--expires", .list = &expires},
	};
	int64_t lifetimes_s[N_ROLES];

	UPT_TRY(cli_parse(argc, argv, options, sizeof(options) / sizeof(options[0]), NULL, err));
	UPT_TRY(cli_require("--dir", dir, err));
	const char *type = find_key_type(key_type != NULL ? key_type : "ed25519");
	if (type == NULL)
		return upt_fail(err, UPT_E_USAGE, "--key-type: '%s' is none of ed25519, ecdsa, rsa",
			key_type);
	for (int i = 0; i < N_ROLES; i++)
		lifetimes_s[i] = role_default_lifetime_s((enum role)i);
	for (size_t i = 0; i < expires.n; i++)
		UPT_TRY(read_lifetime(values[i], lifetimes_s, err));
	UPT_TRY(director_init(dir, type, lifetimes_s, (int64_t)time(NULL), err));
	(void)printf("%s/1.root.json is the root to provision vehicles with\n", dir);
	return UPT_OK;
}

const struct command command_init = {
	.name = "init",
	.usage = "Usage: uptane-director init --dir DIR [OPTION...]\n"
		 "\n"
		 "Makes role keys (DIR/keys, mode 0600), root version 1 (DIR/1.root.json) and the\n"
		 "database in DIR, which must be empty or absent.\n"
		 "\n"
		 "  --key-type TYPE         ed25519 (default), ecdsa or rsa\n"
		 "  --expires ROLE=SECONDS  lifetime of a role's metadata; may be repeated\n"
		 "                          (root 31536000, targets and snapshot 2592000,\n"
		 "                          timestamp 86400)\n",
	.run = run,
};
