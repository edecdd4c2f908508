#include "cli/cli.h"

static void
print_verdict(void *ctx, const char *ecu, const char *target, const char *verdict)
{
	(void)ctx;
	printf("%-24s %-40s %s\n", ecu, target, verdict);
}

/* Verifies everything an update would need, and installs nothing. */
enum upt_code
upt_cli_check(struct upt_cli *cli, struct upt_err *err)
{
	upt_cleanup(upt_primary_free) struct upt_primary *primary = NULL;

	UPT_TRY(upt_cli_primary(cli, &primary, err));
	UPT_TRY(upt_primary_check(primary, print_verdict, NULL, err));
	puts("metadata of both repositories is verified");
	return UPT_OK;
}

/* One cycle now, for a person who does not want to wait for the service's next poll. */
enum upt_code
upt_cli_update(struct upt_cli *cli, struct upt_err *err)
{
	upt_cleanup(upt_primary_free) struct upt_primary *primary = NULL;
	struct upt_cycle_summary summary = {0};

	UPT_TRY(upt_cli_primary(cli, &primary, err));
	UPT_TRY(upt_primary_cycle(primary, &summary, err));
	printf("%u installed, %u waiting for a reboot\n", summary.n_installed, summary.n_pending);
	return UPT_OK;
}
