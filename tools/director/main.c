#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "cli.h"

static const struct command *const commands[] = {
	&command_init, &command_serve, &command_assign, &command_inventory, &command_rotate};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const char usage[] =
	"Usage: uptane-director COMMAND [OPTION...]\n"
	"\n"
	"The reference Director for a bench, CI or a small fleet.\n"
	"\n"
	"  init       make keys, root and database in an empty directory\n"
	"  serve      answer vehicles over HTTPS with client certificates\n"
	"  assign     say which image an ECU shall install\n"
	"  inventory  show what ECUs reported and what they are assigned\n"
	"  rotate     give a role a new key\n"
	"\n"
	"uptane-director COMMAND --help tells more; uptane-director(1) tells all.\n";

static int
fail(const struct upt_err *err, const char *command)
{
	(void)fprintf(stderr, "uptane-director: %s%s%s\n", command, *command != '\0' ? ": " : "",
		err->message);
	return upt_code_exit(err->code);
}

/* Output that did not reach the disk or the pipe is a failure, whatever the command did. */
static int
flush_output(const char *command)
{
	struct upt_err err = {0};

	if (fflush(stdout) == 0 && ferror(stdout) == 0)
		return 0;
	(void)upt_fail(&err, UPT_E_IO, "standard output could not be written");
	return fail(&err, command);
}

static int
run(const struct command *command, int argc, char **argv)
{
	struct upt_err err = {0};

	if (cli_wants_help(argc, argv)) {
		(void)fputs(command->usage, stdout);
		return flush_output(command->name);
	}
	if (command->run(argc, argv, &err) != UPT_OK)
		return fail(&err, command->name);
	return flush_output(command->name);
}

int
main(int argc, char **argv)
{
	struct upt_err err = {0};

	/* Keys and the fleet's inventory are nobody else's business. */
	(void)umask(077);
	if (argc < 2) {
		(void)fputs(usage, stderr);
		return upt_code_exit(UPT_E_USAGE);
	}
	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (strcmp(argv[1], commands[i]->name) == 0)
			return run(commands[i], argc - 2, argv + 2);
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
		strcmp(argv[1], "help") == 0) {
		(void)fputs(usage, stdout);
		return flush_output("");
	}
	if (strcmp(argv[1], "--version") == 0) {
		(void)puts("uptane-director " UPT_VERSION);
		return flush_output("");
	}
	(void)upt_fail(&err, UPT_E_USAGE, "unknown command %s (try --help)", argv[1]);
	return fail(&err, "");
}
