/*
 * An installer on the Primary that counts as an ECU of its own: an application beside the system.
 * It has its own key and reports, and takes the Primary's verification as its own.
 */
#include "secondary/link.h"

#include <stdio.h>
#include <stdlib.h>

#include "manifest/manifest.h"

struct virtual_link {
	struct upt_link base;
	struct upt_virtual_link_config config; /* serial and hardware_id point into info */
	struct upt_installer *installer;
	struct upt_private_key *key;
	struct upt_ecu_info info;
};

static struct virtual_link *
from_base(struct upt_link *base)
{
	return (struct virtual_link *)base;
}

static enum upt_code
virtual_info(struct upt_link *base, struct upt_ecu_info *out, struct upt_err *err)
{
	(void)err;
	*out = from_base(base)->info;
	return UPT_OK;
}

/* Same content, whatever it is called: the engine knows no target names. */
static bool
same_content(const struct upt_image *engine, const struct upt_image *known)
{
	struct upt_image x = *engine;

	memcpy(x.name, known->name, sizeof(x.name));
	x.length_bytes = known->length_bytes;
	return upt_image_same(&x, known);
}

/* What is installed: the engine's word stands above the database's. */
static enum upt_code
find_installed(struct virtual_link *self, struct upt_image *out, struct upt_err *err)
{
	struct upt_image known = {0}, engine = {0};
	const struct upt_virtual_link_config *c = &self->config;

	UPT_TRY(c->installed(c->ctx, c->serial, &known, err));
	UPT_TRY(self->installer->ops->current(self->installer, &engine, err));
	if (engine.n_digests == 0 || same_content(&engine, &known)) {
		*out = known;
		return UPT_OK;
	}
	if (known.name[0] != '\0')
		upt_log(self->base.log, UPT_LOG_WARNING,
			"ECU %s: %s is recorded, but something else is installed", c->serial,
			known.name);
	engine.name[0] = '\0';
	*out = engine;
	return UPT_OK;
}

static enum upt_code
virtual_report(struct upt_link *base, const char *attacks, int64_t now, struct upt_buf *envelope,
	struct upt_err *err)
{
	struct virtual_link *self = from_base(base);
	const struct upt_virtual_link_config *c = &self->config;
	struct upt_ecu_report report = {.time = now};

	UPT_TRY(find_installed(self, &report.installed, err));
	snprintf(report.ecu_serial, sizeof(report.ecu_serial), "%s", c->serial);
	if (strlen(attacks) >= sizeof(report.attacks_detected))
		return upt_fail(err, UPT_E_INTERNAL, "ECU %s: attack text of %zu bytes", c->serial,
			strlen(attacks));
	snprintf(report.attacks_detected, sizeof(report.attacks_detected), "%s", attacks);
	UPT_TRY(c->next_counter(c->ctx, c->serial, &report.report_counter, err));
	return upt_ecu_report_sign(&report, self->key, envelope, err);
}

/* The Primary has verified for it: they share one computer and its fate. */
static enum upt_code
virtual_send_metadata(
	struct upt_link *base, const struct upt_metadata_source *source, struct upt_err *err)
{
	(void)base;
	(void)source;
	(void)err;
	return UPT_OK;
}

static enum upt_code
in_words(const struct virtual_link *self, enum upt_code code, struct upt_err *err)
{
	return code == UPT_OK ? UPT_OK : upt_wrap(err, code, "Secondary %s", self->info.serial);
}

static enum upt_code
virtual_send_image(struct upt_link *base, const struct upt_install_job *job,
	const struct upt_install_progress *progress, struct upt_err *err)
{
	struct virtual_link *self = from_base(base);
	const struct upt_installer_ops *ops = self->installer->ops;

	return in_words(self, ops->prepare(self->installer, job, progress, err), err);
}

static enum upt_code
virtual_install(struct upt_link *base, const struct upt_install_job *job, bool *pending,
	struct upt_err *err)
{
	struct virtual_link *self = from_base(base);
	const struct upt_installer_ops *ops = self->installer->ops;

	*pending = false;
	return in_words(self, ops->install(self->installer, job, pending, err), err);
}

static bool
virtual_needs_image(const struct upt_link *base)
{
	const struct virtual_link *self = (const struct virtual_link *)base;

	return self->installer->ops->needs_image;
}

static const char *
virtual_format(const struct upt_link *base)
{
	const struct virtual_link *self = (const struct virtual_link *)base;

	return self->installer->ops->format;
}

static enum upt_code
virtual_rollback(struct upt_link *base, bool *pending, struct upt_err *err)
{
	struct virtual_link *self = from_base(base);

	*pending = false;
	return in_words(self, self->installer->ops->rollback(self->installer, pending, err), err);
}

static void
virtual_free(struct upt_link *base)
{
	struct virtual_link *self = from_base(base);

	upt_installer_free(&self->installer);
	upt_private_key_free(&self->key);
	free(self);
}

static const struct upt_link_ops virtual_ops = {
	.info = virtual_info,
	.report = virtual_report,
	.send_metadata = virtual_send_metadata,
	.send_image = virtual_send_image,
	.install = virtual_install,
	.needs_image = virtual_needs_image,
	.format = virtual_format,
	.rollback = virtual_rollback,
	.free = virtual_free,
};

static enum upt_code
fill_info(struct virtual_link *self, const struct upt_virtual_link_config *config,
	struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	struct upt_ecu_info *info = &self->info;

	UPT_TRY(upt_private_key_public_text(self->key, &text, err));
	if (strlen(config->serial) >= sizeof(info->serial) ||
		strlen(config->hardware_id) >= sizeof(info->hardware_id) ||
		text.len >= sizeof(info->public_key))
		return upt_fail(err, UPT_E_CONFIG, "ECU %.64s: serial, hardware id or key too long",
			config->serial);
	snprintf(info->serial, sizeof(info->serial), "%s", config->serial);
	snprintf(info->hardware_id, sizeof(info->hardware_id), "%s", config->hardware_id);
	snprintf(info->key_type, sizeof(info->key_type), "%s", upt_private_key_type(self->key));
	memcpy(info->public_key, text.data, text.len);
	self->config = *config;
	self->config.serial = info->serial;
	self->config.hardware_id = info->hardware_id;
	return UPT_OK;
}

enum upt_code
upt_virtual_link_new(const struct upt_virtual_link_config *config, struct upt_installer *installer,
	struct upt_private_key *key, const struct upt_log *log, struct upt_link **out,
	struct upt_err *err)
{
	struct virtual_link *self = calloc(1, sizeof(*self));
	enum upt_code code;

	*out = NULL;
	if (self == NULL) {
		upt_installer_free(&installer);
		upt_private_key_free(&key);
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a link");
	}
	*self = (struct virtual_link){
		.base = {.ops = &virtual_ops, .log = log}, .installer = installer, .key = key};
	code = fill_info(self, config, err);
	if (code != UPT_OK) {
		virtual_free(&self->base);
		return code;
	}
	*out = &self->base;
	return UPT_OK;
}
