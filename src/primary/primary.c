#include "primary/primary.h"

#include <limits.h>
#include <stdlib.h>
#include "installer/boot.h"
#include "primary/internal.h"

static enum upt_code
open_state(struct upt_primary *p, struct upt_err *err)
{
	char dir[PATH_MAX];

	UPT_TRY(upt_store_open(p->config->state_dir, UPT_STORE_WRITE, &p->store, err));
	if (snprintf(dir, sizeof(dir), "%s/images", p->config->state_dir) >= (int)sizeof(dir))
		return upt_fail(err, UPT_E_CONFIG, "state_dir is too long");
	return upt_images_open(dir, &p->images, err);
}

static enum upt_code
open_http(struct upt_primary *p, struct upt_err *err)
{
	struct upt_http_config config = p->config->tls;

	config.cancel = p->options.cancel;
	return upt_http_new(&config, &p->http, err);
}

enum upt_code
upt_primary_new(
	const struct upt_primary_options *options, struct upt_primary **out, struct upt_err *err)
{
	upt_cleanup(upt_primary_free) struct upt_primary *p = calloc(1, sizeof(*p));

	*out = NULL;
	if (p == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for the Primary");
	p->options = *options;
	p->config = options->config;
	p->log = options->log;
	UPT_TRY(open_state(p, err));
	UPT_TRY(open_http(p, err));
	UPT_TRY(upt_boot_new(&p->config->trial.loader, p->log, &p->boot, err));
	UPT_TRY(upt_ecus_new(p, err));
	/* At the start, not when it is too late. */
	if (p->config->ecus[0].kind == UPT_INSTALLER_OSTREE)
		upt_boot_describe(p->boot);
	UPT_TRY(upt_repositories_new(p, err));
	UPT_TRY(upt_primary_begin_cycle(p, err));
	UPT_TRY(upt_primary_pin_roots(p, err));
	*out = p;
	p = NULL;
	return UPT_OK;
}

void
upt_primary_free(struct upt_primary **primary)
{
	struct upt_primary *p = *primary;

	if (p == NULL)
		return;
	upt_primary_end_cycle(p);
	upt_plan_clear(&p->plan);
	upt_ecus_free(p);
	upt_boot_free(&p->boot);
	upt_private_key_free(&p->key);
	upt_http_free(&p->http);
	upt_http_free(&p->foreign_http);
	upt_images_close(&p->images);
	upt_store_close(&p->store);
	free(p);
	*primary = NULL;
}
