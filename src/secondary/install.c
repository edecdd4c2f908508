/*
 * Installing the assigned image, and saying what is installed.
 */
#include "secondary/agent_internal.h"

#include <errno.h>

bool
upt_agent_same_content(const struct upt_image *a, const struct upt_image *b)
{
	struct upt_image x = *a, y = *b;

	x.name[0] = y.name[0] = '\0';
	return upt_image_same(&x, &y);
}

/* *is: the file at install_path is this image, by its bytes. */
static enum upt_code
is_current(struct upt_agent *agent, const struct upt_image *image, bool *is, struct upt_err *err)
{
	struct upt_image found;

	*is = false;
	UPT_TRY(agent->installer->ops->current(agent->installer, &found, err));
	*is = found.n_digests > 0 && upt_agent_same_content(&found, image);
	return UPT_OK;
}

/* The record of an image; *there false when there is none. A damaged one is as good as none: losing
 * a name must not stop updates. */
static enum upt_code
get_record(struct upt_agent *agent, enum upt_state_image which, struct upt_image *out, bool *there,
	struct upt_err *err)
{
	enum upt_code code = upt_state_get_image(agent->state, which, out, err);

	*there = code == UPT_OK;
	if (code == UPT_OK || code == UPT_E_NOT_FOUND)
		return UPT_OK;
	if (code != UPT_E_IO)
		return code;
	upt_log(agent->log, UPT_LOG_WARNING, "the record of an image is damaged: dropped");
	return upt_state_clear_image(agent->state, which, err);
}

enum upt_code
upt_agent_recover(struct upt_agent *agent, struct upt_err *err)
{
	struct upt_image image;
	bool there, is;

	UPT_TRY(get_record(agent, UPT_STATE_INSTALLING, &image, &there, err));
	if (!there)
		return UPT_OK;
	UPT_TRY(is_current(agent, &image, &is, err));
	if (is) {
		UPT_TRY(upt_state_set_image(agent->state, UPT_STATE_INSTALLED, &image, err));
		upt_log(agent->log, UPT_LOG_INFO, "%s had been installed before the last stop",
			image.name);
	}
	return upt_state_clear_image(agent->state, UPT_STATE_INSTALLING, err);
}

/* What the factory put in place gets the configured name, once. */
static enum upt_code
adopt_factory_image(struct upt_agent *agent, const struct upt_image *found,
	struct upt_image *record, struct upt_err *err)
{
	*record = *found;
	snprintf(record->name, sizeof(record->name), "%s", agent->config.factory_image);
	return upt_state_set_image(agent->state, UPT_STATE_INSTALLED, record, err);
}

enum upt_code
upt_agent_installed(struct upt_agent *agent, struct upt_image *out, struct upt_err *err)
{
	struct upt_image found, record;
	bool there;

	*out = (struct upt_image){0};
	UPT_TRY(upt_agent_recover(agent, err));
	UPT_TRY(agent->installer->ops->current(agent->installer, &found, err));
	if (found.n_digests == 0)
		return UPT_OK;
	UPT_TRY(get_record(agent, UPT_STATE_INSTALLED, &record, &there, err));
	if (!there && agent->config.factory_image != NULL) {
		UPT_TRY(adopt_factory_image(agent, &found, &record, err));
		there = true;
	}
	/* A file that is not what we installed is reported as itself, without a name. */
	*out = there && upt_agent_same_content(&found, &record) ? record : found;
	return UPT_OK;
}

static enum upt_code
put_in_place(struct upt_agent *agent, const struct upt_agent_assignment *a, bool *pending,
	struct upt_err *err)
{
	upt_cleanup(upt_close_fd) int fd = -1;
	struct upt_installer *installer = agent->installer;
	struct upt_install_job job = {.image = &a->image.image,
		.format = "BINARY",
		.uri = a->director.uri != NULL ? a->director.uri : a->image.uri,
		.custom = a->image.custom};

	/* verify_image: length and every hash of what lies on the flash now. */
	UPT_TRY(upt_images_open_verified(
		upt_state_images(agent->state), &a->image.image, &fd, err));
	job.image_fd = fd;
	UPT_TRY(installer->ops->prepare(installer, &job, NULL, err));
	/* Before the file changes, so that after a power cut the new file has a name. */
	UPT_TRY(upt_state_set_image(agent->state, UPT_STATE_INSTALLING, &a->image.image, err));
	return installer->ops->install(installer, &job, pending, err);
}

/* The image store's copy has served its purpose; flash is scarce. */
static void
free_store(struct upt_agent *agent)
{
	struct upt_err err = {0};

	if (upt_images_prune(upt_state_images(agent->state), NULL, 0, &err) != UPT_OK)
		upt_log_err(agent->log, UPT_LOG_WARNING, &err, "cannot tidy the image store");
}

/* install_image: the ECU itself knows when it must not be disturbed, whoever asks for it. */
static enum upt_code
check_inhibited(const struct upt_agent *agent, struct upt_err *err)
{
	const char *path = agent->config.inhibit_file;

	if (path == NULL || (access(path, F_OK) != 0 && errno == ENOENT))
		return UPT_OK;
	return upt_fail(err, UPT_E_BUSY, "not now: %s exists", path);
}

enum upt_code
upt_agent_install(struct upt_agent *agent, const char *name, bool *pending, struct upt_err *err)
{
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	struct upt_agent_assignment a;
	struct upt_err ignored = {0};
	enum upt_code code = UPT_OK;
	bool already;

	*pending = false;
	UPT_TRY(upt_agent_recover(agent, err));
	UPT_TRY(upt_agent_find_assigned(agent, name, &arena, &a, err));
	UPT_TRY(is_current(agent, &a.image.image, &already, err));
	if (!already)
		UPT_TRY(check_inhibited(agent, err));
	if (!already)
		code = put_in_place(agent, &a, pending, err);
	if (code != UPT_OK) {
		/* The installer may have failed after its rename: the file itself decides. */
		if (upt_agent_recover(agent, &ignored) != UPT_OK)
			upt_log_err(agent->log, UPT_LOG_ERROR, &ignored, "cannot tidy up");
		return code;
	}
	UPT_TRY(upt_state_set_image(agent->state, UPT_STATE_INSTALLED, &a.image.image, err));
	UPT_TRY(upt_state_clear_image(agent->state, UPT_STATE_INSTALLING, err));
	free_store(agent);
	return UPT_OK;
}
