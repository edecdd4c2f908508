#include "cli/cli.h"
#include "primary/inhibitor.h"

static enum upt_code
get_path(const struct upt_cli *cli, const char **path, struct upt_err *err)
{
	*path = cli->config.gates.inhibit_path;
	return *path != NULL ? UPT_OK
			     : upt_fail(err, UPT_E_CONFIG, "[gates] inhibit names no file");
}

enum upt_code
upt_cli_inhibit(struct upt_cli *cli, struct upt_err *err)
{
	const char *path;

	UPT_TRY(get_path(cli, &path, err));
	UPT_TRY(upt_inhibitor_set(path, cli->reason, err));
	puts("nothing is installed, and no reboot asked for, until 'uptanectl uninhibit'");
	return UPT_OK;
}

enum upt_code
upt_cli_uninhibit(struct upt_cli *cli, struct upt_err *err)
{
	const char *path;
	bool was_there;

	UPT_TRY(get_path(cli, &path, err));
	UPT_TRY(upt_inhibitor_remove(path, &was_there, err));
	puts(was_there ? "updates go on with the next poll" : "nothing was inhibited");
	return UPT_OK;
}
