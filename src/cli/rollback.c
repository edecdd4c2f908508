#include "cli/cli.h"

enum upt_code
upt_cli_rollback(struct upt_cli *cli, struct upt_err *err)
{
	upt_cleanup(upt_primary_free) struct upt_primary *primary = NULL;
	bool needs_reboot;

	UPT_TRY(upt_cli_primary(cli, &primary, err));
	UPT_TRY(upt_primary_rollback(primary, cli->ecu, &needs_reboot, err));
	puts(needs_reboot ? "rolled back; takes effect at the next reboot" : "rolled back");
	return UPT_OK;
}
