/* The COMPOSE installer in a build without libyaml. */
#include "installer/installer.h"

enum upt_code
upt_compose_installer_new(const struct upt_compose_installer_config *config,
	const struct upt_log *log, struct upt_installer **out, struct upt_err *err)
{
	(void)config;
	(void)log;
	*out = NULL;
	return upt_fail(err, UPT_E_UNSUPPORTED, "this build has no compose (UPT_COMPOSE)");
}
