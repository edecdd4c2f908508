/*
 * The command line: one table of commands, one way to read options, one line for an error.
 */
#ifndef REPO_CLI_H
#define REPO_CLI_H

#include <getopt.h>
#include <stdio.h>
#include "repo/workspace.h"

struct cli {
	const char *dir;
	bool quiet;
	const struct command *command;
	FILE *out;
	FILE *errors;
};

struct command {
	const char *name;    /* "target add" */
	const char *args;    /* after the name in the usage line */
	const char *summary; /* one line */
	const char *help;    /* options and what to know */
	enum upt_code (*run)(struct cli *cli, int argc, char **argv, struct upt_err *err);
};

/* Runs a command line; returns the exit code. */
int repo_main(int argc, char **argv);

/* ---- for commands ---- */
/*
 * The next option: its val, or -1 when none is left (optind is the first argument then). -C, -q are
 * handled inside. UPT_E_USAGE for an unknown one, with the nearest.
 */
UPT_NODISCARD enum upt_code cli_option(struct cli *cli, int argc, char **argv,
	const struct option *options, int *out, struct upt_err *err);
/* UPT_E_USAGE unless min to max arguments are left. what: "FILE". */
UPT_NODISCARD enum upt_code cli_arguments(int argc, char **argv, int min, int max, const char *what,
	struct upt_err *err);
/* A line on stdout unless -q. */
void cli_say(const struct cli *cli, const char *fmt, ...) UPT_PRINTF(2, 3);
/* "uptane-repo: warning: ..." */
void cli_warn(const struct cli *cli, const char *fmt, ...) UPT_PRINTF(2, 3);
/* Writes a document that others shall sign too, and says so. */
UPT_NODISCARD enum upt_code cli_write_document(const struct cli *cli, const struct repo_role *role,
	const char *path, struct upt_err *err);
/* A decimal number in min..max. */
UPT_NODISCARD enum upt_code cli_number(const char *text, const char *what, uint64_t min, uint64_t max,
	uint64_t *out, struct upt_err *err);

/* Values of an option that may be repeated; pointers into argv. */
struct cli_list {
	const char **items;
	size_t n;
};
UPT_NODISCARD enum upt_code cli_list_add(struct cli_list *list, const char *item, struct upt_err *err);
void cli_list_clear(struct cli_list *list);

/* One per file cmd_*.c. */
extern const struct command cmd_init, cmd_status, cmd_key_generate, cmd_key_import, cmd_key_show,
	cmd_key_list, cmd_target_add, cmd_target_remove, cmd_target_list, cmd_delegate, cmd_undelegate,
	cmd_sign, cmd_cosign, cmd_import, cmd_publish, cmd_rotate, cmd_verify;

#endif
