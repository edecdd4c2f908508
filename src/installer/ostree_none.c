/* Takes the place of the OSTREE installer in a build without it (UPT_OSTREE=OFF). */
#include "installer/installer.h"

enum upt_code
upt_ostree_installer_new(const struct upt_ostree_installer_config *config,
	const struct upt_log *log, struct upt_installer **out, struct upt_err *err)
{
	(void)config;
	(void)log;
	*out = NULL;
	return upt_fail(err, UPT_E_UNSUPPORTED, "this build has no OSTree installer");
}
