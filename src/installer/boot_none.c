/* No boot loader that counts: one that boots what it is told, and again what does not come up. */
#include <stdlib.h>

#include "installer/boot_internal.h"

static enum upt_code
none_probe(struct upt_boot *self, struct upt_boot_facts *out, struct upt_err *err)
{
	(void)self, (void)err;
	*out = (struct upt_boot_facts){.text = "it does not count boots: a system that does not "
					       "come up is not left by itself"};
	return UPT_OK;
}

static enum upt_code
none_arm(struct upt_boot *self, unsigned tries, struct upt_err *err)
{
	(void)self, (void)tries, (void)err;
	return UPT_OK;
}

static enum upt_code
none_mark_good(struct upt_boot *self, struct upt_err *err)
{
	(void)self, (void)err;
	return UPT_OK;
}

static enum upt_code
none_look(struct upt_boot *self, struct upt_boot_state *out, struct upt_err *err)
{
	(void)self, (void)err;
	*out = (struct upt_boot_state){0};
	return UPT_OK;
}

static void
none_free(struct upt_boot *self)
{
	free(self);
}

static const struct upt_boot_ops none_ops = {.name = "none",
	.probe = none_probe,
	.arm = none_arm,
	.mark_good = none_mark_good,
	.look = none_look,
	.free = none_free};

enum upt_code
upt_boot_none_new(const struct upt_boot_config *config, struct upt_boot **out, struct upt_err *err)
{
	struct upt_boot *self = calloc(1, sizeof(*self));

	(void)config;
	if (self == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a boot loader");
	self->ops = &none_ops;
	*out = self;
	return UPT_OK;
}
