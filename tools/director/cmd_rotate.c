#include <stdio.h>
#include <time.h>
#include "cli.h"
#include "director.h"

static enum upt_code
run(int argc, char **argv, struct upt_err *err)
{
	const char *dir = NULL, *names[1] = {NULL};
	bool keep_old_key = false;
	struct cli_list positional = {.values = names, .max = 1};
	const struct cli_option options[] = {
		{.name = "--dir", .value = &dir},
		{.name = "--keep-old-key", .flag = &keep_old_key},
	};
	upt_cleanup(director_close) struct director d = {0};
	enum role role;
	uint64_t version = 0;

	UPT_TRY(cli_parse(
		argc, argv, options, sizeof(options) / sizeof(options[0]), &positional, err));
	UPT_TRY(cli_require("--dir", dir, err));
	UPT_TRY(cli_require("ROLE", names[0], err));
	if (!role_find(upt_span_str(names[0]), &role))
		return upt_fail(err, UPT_E_USAGE,
			"'%s' is none of root, timestamp, snapshot, targets", names[0]);
	UPT_TRY(director_open(&d, dir, err));
	UPT_TRY(director_rotate(&d, role, keep_old_key, (int64_t)time(NULL), &version, err));
	(void)printf("%s has a new key since root version %llu\n", names[0],
		(unsigned long long)version);
	return UPT_OK;
}

const struct command command_rotate = {
	.name = "rotate",
	.usage =
		"Usage: uptane-director rotate --dir DIR [--keep-old-key] ROLE\n"
		"\n"
		"Gives ROLE (root, timestamp, snapshot, targets) a new key and publishes the next\n"
		"root, signed by the old and the new root key. All metadata is signed anew at the\n"
		"next request of each vehicle. The old key file is removed.\n"
		"\n"
		"  --keep-old-key  leave the old key file where it is (drills)\n",
	.run = run,
};
