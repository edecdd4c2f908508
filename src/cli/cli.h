/* uptanectl: what a person or a script asks of the Primary. One file per subcommand.
 * docs/man/uptanectl.1. */
#ifndef UPT_CLI_CLI_H
#define UPT_CLI_CLI_H

#include "primary/console.h"
#include "primary/primary.h"

struct upt_cli {
	const char *config_dir;
	struct upt_config config;
	struct upt_console console;
	bool json;
	const char *ecu; /* --ecu SERIAL or NULL */
	const char *reason; /* of inhibit; "" without one */
};

/* Each prints its result on stdout. */
UPT_NODISCARD enum upt_code upt_cli_status(struct upt_cli *cli, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_cli_check(struct upt_cli *cli, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_cli_update(struct upt_cli *cli, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_cli_rollback(struct upt_cli *cli, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_cli_inhibit(struct upt_cli *cli, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_cli_uninhibit(struct upt_cli *cli, struct upt_err *err);

/* The Primary of the configuration; SIGINT, SIGTERM and SIGHUP stop what it does. UPT_E_BUSY while
 * the service has the state, with the way out. */
UPT_NODISCARD enum upt_code
upt_cli_primary(struct upt_cli *cli, struct upt_primary **out, struct upt_err *err);

int upt_uptanectl_main(int argc, char **argv);

#endif
