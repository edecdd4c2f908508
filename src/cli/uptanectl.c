#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include "cli/cli.h"

struct command {
	const char *name;
	enum upt_code (*run)(struct upt_cli *cli, struct upt_err *err);
	bool takes_json, takes_ecu, takes_reason;
	const char *text;
};

static const struct command commands[] = {
	{"status", upt_cli_status, true, false, false,
		"what runs, what waits, which metadata is trusted (--json for scripts)"},
	{"check", upt_cli_check, false, false, false,
		"verify the metadata of both repositories now; install nothing"},
	{"update", upt_cli_update, false, false, false, "run one update cycle now"},
	{"rollback", upt_cli_rollback, false, true, false,
		"go back to what ran before (--ecu SERIAL; default: the Primary)"},
	{"inhibit", upt_cli_inhibit, false, false, true,
		"hold back installation and reboot (inhibit [REASON])"},
	{"uninhibit", upt_cli_uninhibit, false, false, false, "let updates go on"},
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void
print_help(void)
{
	puts("Usage: uptanectl COMMAND [--config DIR] [--json] [--ecu SERIAL]\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].text);
	puts("\n  -c, --config DIR   folder of uptaned.conf (default /etc/uptaned)\n"
	     "  -j, --json         machine-readable output (status)\n"
	     "  -e, --ecu SERIAL   which ECU (rollback)\n"
	     "  -h, --help         this text\n"
	     "  -V, --version      version\n\n"
	     "Exit codes are those of uptaned(8).");
}

static int64_t
system_clock(void *ctx)
{
	(void)ctx;
	return (int64_t)time(NULL);
}

/* The only state a signal handler can reach. */
static volatile bool stop_requested;

static void
request_stop(int signal_number)
{
	(void)signal_number;
	stop_requested = true;
}

enum upt_code
upt_cli_primary(struct upt_cli *cli, struct upt_primary **out, struct upt_err *err)
{
	struct upt_primary_options options = {.config = &cli->config,
		.log = &cli->console.log,
		.clock = system_clock,
		.progress = upt_console_progress,
		.progress_ctx = &cli->console,
		.cancel = &stop_requested};
	struct sigaction stop = {.sa_handler = request_stop};
	enum upt_code code;

	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGHUP, &stop, NULL);
	code = upt_primary_new(&options, out, err);
	if (code == UPT_E_BUSY)
		return upt_fail(err, code,
			"%s; stop the service first (systemctl stop uptaned), or let it poll now "
			"(systemctl reload uptaned)",
			err->message);
	return code;
}

/* Parses options; *command is NULL when help or version was all that was asked for. */
static enum upt_code
parse(int argc, char **argv, struct upt_cli *cli, const struct command **command,
	struct upt_err *err)
{
	static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
		{"json", no_argument, NULL, 'j'}, {"ecu", required_argument, NULL, 'e'},
		{"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, {0}};
	int c;

	*command = NULL;
	opterr = 0;
	while ((c = getopt_long(argc, argv, "c:je:hV", longs, NULL)) != -1) {
		if (c == 'c') {
			cli->config_dir = optarg;
		} else if (c == 'j') {
			cli->json = true;
		} else if (c == 'e') {
			cli->ecu = optarg;
		} else if (c == 'h') {
			print_help();
			return UPT_OK;
		} else if (c == 'V') {
			puts("uptanectl " UPT_VERSION);
			return UPT_OK;
		} else {
			return upt_fail(err, UPT_E_USAGE, "unknown option or missing argument: %s",
				argv[optind - 1]);
		}
	}
	if (optind == argc)
		return upt_fail(err, UPT_E_USAGE, "give a command (see --help)");
	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (strcmp(commands[i].name, argv[optind]) == 0)
			*command = &commands[i];
	}
	if (*command == NULL)
		return upt_fail(
			err, UPT_E_USAGE, "unknown command '%s' (see --help)", argv[optind]);
	if (optind + ((*command)->takes_reason ? 2 : 1) < argc)
		return upt_fail(err, UPT_E_USAGE, "%s (see --help)",
			(*command)->takes_reason ? "give the reason as one argument"
						 : "more than one command");
	cli->reason = optind + 1 < argc ? argv[optind + 1] : "";
	/* Ignored, --ecu would let an update of one ECU become one of all. */
	if ((cli->json && !(*command)->takes_json) || (cli->ecu != NULL && !(*command)->takes_ecu))
		return upt_fail(err, UPT_E_USAGE, "%s takes no %s", (*command)->name,
			cli->json && !(*command)->takes_json ? "--json" : "--ecu");
	return UPT_OK;
}

/* What a script reads must have been written. */
static enum upt_code
flush_output(struct upt_err *err)
{
	if (fflush(stdout) == 0 && ferror(stdout) == 0)
		return UPT_OK;
	return upt_fail_errno(err, errno, "cannot write the output");
}

int
upt_uptanectl_main(int argc, char **argv)
{
	struct upt_cli cli = {.config_dir = "/etc/uptaned"};
	const struct command *command;
	struct upt_err err = {0};
	enum upt_code code = parse(argc, argv, &cli, &command, &err);

	upt_console_init(&cli.console, "uptanectl", UPT_LOG_INFO);
	if (code == UPT_OK && command != NULL) {
		code = upt_config_load(cli.config_dir, &cli.config, &err);
		if (code == UPT_OK)
			code = command->run(&cli, &err);
		upt_config_clear(&cli.config);
	}
	if (code == UPT_OK)
		code = flush_output(&err);
	if (code == UPT_E_USAGE)
		upt_log(&cli.console.log, UPT_LOG_ERROR, "%s", err.message);
	else if (code != UPT_OK)
		upt_log_err(&cli.console.log, UPT_LOG_ERROR, &err, "%s",
			command != NULL ? command->name : "start");
	upt_console_clear(&cli.console);
	return upt_code_exit(code);
}
