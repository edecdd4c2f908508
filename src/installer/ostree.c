/*
 * OSTREE: a commit is pulled by its id, deployed beside the running one and booted next; the one
 * that runs stays as the way back. It is deployed at once rather than staged for shutdown: a staged
 * deployment is lost when the power goes before an orderly shutdown, and a vehicle's power does.
 * The price is that changes to /etc between installation and reboot are not carried over.
 * Uptane Standard 2.1, "download_image", "verify_image", "install_image".
 */
#include "installer/ostree_internal.h"

#include <limits.h>
#include <stdio.h>

#include "base/encode.h"

#define RESERVE_BYTES ((uint64_t)32 << 20)

static struct upt_ostree *
from_base(struct upt_installer *base)
{
	return (struct upt_ostree *)base;
}

static enum upt_code
commit_of(const struct upt_image *image, char out[static UPT_OSTREE_COMMIT_HEX + 1],
	struct upt_err *err)
{
	const struct upt_digest *sha256 = upt_image_digest(image, UPT_HASH_SHA256);

	out[0] = '\0';
	if (sha256 == NULL)
		return upt_fail(
			err, UPT_E_MALFORMED, "%s lists no sha256, the commit's id", image->name);
	upt_hex_encode(upt_span(sha256->bytes, sha256->len), out);
	return UPT_OK;
}

static enum upt_code
ostree_current(struct upt_installer *base, struct upt_image *out, struct upt_err *err)
{
	struct upt_ostree *self = from_base(base);
	g_autoptr(OstreeSysroot) sysroot = NULL;
	OstreeDeployment *running;
	struct upt_digest commit;

	*out = (struct upt_image){0};
	UPT_TRY(upt_ostree_open(self->sysroot, UPT_OSTREE_READ, &sysroot, err));
	UPT_TRY(upt_ostree_find_running(self, sysroot, &running, err));
	if (!upt_digest_parse(
		    UPT_HASH_SHA256, upt_span_str(ostree_deployment_get_csum(running)), &commit))
		return upt_fail(err, UPT_E_INTERNAL, "libostree's commit id is none");
	out->digests[0] = commit;
	out->n_digests = 1;
	return UPT_OK;
}

/* Looks anew each time: the pull is another process's. */
static enum upt_code
is_complete(const struct upt_ostree *self, const char *commit, const struct upt_image *image,
	bool *complete, struct upt_err *err)
{
	g_autoptr(OstreeSysroot) sysroot = NULL;
	g_autoptr(OstreeRepo) repo = NULL;

	UPT_TRY(upt_ostree_open(self->sysroot, UPT_OSTREE_READ, &sysroot, err));
	UPT_TRY(upt_ostree_get_repo(sysroot, &repo, err));
	return upt_ostree_check_commit(repo, commit, image, complete, err);
}

static enum upt_code
ostree_prepare(struct upt_installer *base, const struct upt_install_job *job,
	const struct upt_install_progress *progress, struct upt_err *err)
{
	struct upt_ostree *self = from_base(base);
	char commit[UPT_OSTREE_COMMIT_HEX + 1];
	bool complete;

	UPT_TRY(commit_of(job->image, commit, err));
	if (progress != NULL && progress->cancel != NULL && *progress->cancel)
		return upt_fail(err, UPT_E_CANCELLED, "preparing %s was cancelled", commit);
	UPT_TRY(is_complete(self, commit, job->image, &complete, err));
	if (complete)
		UPT_TRY(upt_ostree_check_objects(self, commit, &complete, err));
	if (complete)
		return UPT_OK;
	UPT_TRY(upt_ostree_pull(self, commit, job->uri, progress, err));
	UPT_TRY(is_complete(self, commit, job->image, &complete, err));
	if (!complete)
		return upt_fail(
			err, UPT_E_IMAGE_HASH, "commit %s was pulled and is not complete", commit);
	upt_log(base->log, UPT_LOG_INFO, "pulled commit %s", commit);
	return UPT_OK;
}

static bool
is_commit(OstreeDeployment *deployment, const char *commit)
{
	return deployment != NULL && strcmp(ostree_deployment_get_csum(deployment), commit) == 0;
}

/* Remembers, before anything changes, what runs and what shall boot. */
static enum upt_code
remember(struct upt_ostree *self, enum upt_ostree_kind kind, OstreeDeployment *running,
	const char *commit, struct upt_err *err)
{
	struct upt_ostree_record record = {.kind = kind};

	UPT_TRY(upt_ostree_boot_id(self, record.boot_id, err));
	snprintf(record.running, sizeof(record.running), "%s.%d",
		ostree_deployment_get_csum(running), ostree_deployment_get_deployserial(running));
	snprintf(record.commit, sizeof(record.commit), "%s", commit);
	return upt_ostree_record_save(self, &record, err);
}

/*
 * The boot loader counts the boots of what comes next: one that counts whatever boots before that
 * is chosen, so that no power cut lets it boot uncounted; one that counts an entry once it is
 * there.
 */
static enum upt_code
arm(const struct upt_ostree *self, bool entry_is_there, struct upt_err *err)
{
	struct upt_err why = {0};
	enum upt_code code;

	if (self->boot == NULL || self->boot->ops->arms_entry != entry_is_there)
		return UPT_OK;
	code = self->boot->ops->arm(self->boot, self->boot_tries, &why);
	if (code == UPT_OK)
		return UPT_OK;
	/* Its no is not the commit's fault, which would be refused for good. */
	return upt_fail(err, code == UPT_E_INSTALL ? UPT_E_IO : code,
		"the boot loader cannot be armed: %s", why.message);
}

/*
 * What was to boot next never did, or came up and was left by the boot loader: it goes, and what
 * runs is the default again. The record stays when the links were renamed in this boot: it alone
 * still tells what runs; its commit is then what runs, and no boot of it is counted.
 */
static enum upt_code
back_to_running(struct upt_ostree *self, OstreeSysroot *sysroot, OstreeDeployment *running,
	struct upt_err *err)
{
	UPT_TRY(remember(
		self, UPT_OSTREE_ROLLBACK, running, ostree_deployment_get_csum(running), err));
	UPT_TRY(upt_ostree_set_default(self, sysroot, running, running, false, err));
	return self->boot != NULL ? self->boot->ops->mark_good(self->boot, err) : UPT_OK;
}

static enum upt_code
install_commit(struct upt_ostree *self, OstreeSysroot *sysroot, const char *commit,
	bool *needs_reboot, struct upt_err *err)
{
	OstreeDeployment *next = upt_ostree_nth(self, sysroot, 0), *running;

	UPT_TRY(upt_ostree_find_running(self, sysroot, &running, err));
	if (is_commit(running, commit)) {
		if (!ostree_deployment_equal(next, running))
			UPT_TRY(back_to_running(self, sysroot, running, err));
		return UPT_OK;
	}
	UPT_TRY(remember(self, UPT_OSTREE_INSTALL, running, commit, err));
	UPT_TRY(arm(self, false, err));
	if (!is_commit(next, commit)) {
		UPT_TRY(upt_ostree_deploy(self, sysroot, commit, running, err));
		upt_log(self->base.log, UPT_LOG_INFO, "deployed commit %s, it boots next", commit);
	}
	UPT_TRY(arm(self, true, err));
	*needs_reboot = true;
	return UPT_OK;
}

static enum upt_code
ostree_install(struct upt_installer *base, const struct upt_install_job *job, bool *needs_reboot,
	struct upt_err *err)
{
	struct upt_ostree *self = from_base(base);
	g_autoptr(OstreeSysroot) sysroot = NULL;
	g_autoptr(OstreeRepo) repo = NULL;
	char commit[UPT_OSTREE_COMMIT_HEX + 1];
	bool complete;

	*needs_reboot = false;
	UPT_TRY(commit_of(job->image, commit, err));
	UPT_TRY(upt_ostree_open(self->sysroot, UPT_OSTREE_CHANGE, &sysroot, err));
	UPT_TRY(upt_ostree_get_repo(sysroot, &repo, err));
	UPT_TRY(upt_ostree_check_commit(repo, commit, job->image, &complete, err));
	if (!complete)
		return upt_fail(err, UPT_E_NOT_FOUND, "commit %s was not prepared", commit);
	return install_commit(self, sysroot, commit, needs_reboot, err);
}

/*
 * True when a change to that commit was made in this boot and is complete, so that it boots next
 * and cannot run yet. A record alone proves nothing: it is written before the change.
 */
static enum upt_code
waits_for_reboot(struct upt_ostree *self, OstreeSysroot *sysroot, const char *commit, bool *waits,
	struct upt_err *err)
{
	struct upt_ostree_record record;
	char boot_id[UPT_OSTREE_BOOT_ID_CHARS + 1];

	*waits = false;
	UPT_TRY(upt_ostree_record_load(self, &record, err));
	if (record.kind == UPT_OSTREE_NOTHING)
		return UPT_OK;
	UPT_TRY(upt_ostree_boot_id(self, boot_id, err));
	*waits = strcmp(record.boot_id, boot_id) == 0 && strcmp(record.commit, commit) == 0 &&
		 is_commit(upt_ostree_nth(self, sysroot, 0), commit);
	return UPT_OK;
}

static enum upt_code
ostree_finalize(
	struct upt_installer *base, const struct upt_image *image, bool *done, struct upt_err *err)
{
	struct upt_ostree *self = from_base(base);
	g_autoptr(OstreeSysroot) sysroot = NULL;
	OstreeDeployment *running;
	char commit[UPT_OSTREE_COMMIT_HEX + 1];
	bool waits;

	*done = false;
	UPT_TRY(commit_of(image, commit, err));
	UPT_TRY(upt_ostree_open(self->sysroot, UPT_OSTREE_READ, &sysroot, err));
	UPT_TRY(upt_ostree_find_running(self, sysroot, &running, err));
	UPT_TRY(waits_for_reboot(self, sysroot, commit, &waits, err));
	if (!is_commit(running, commit)) {
		if (waits)
			return UPT_OK;
		return upt_fail(err, UPT_E_INSTALL, "commit %s booted, not %s",
			ostree_deployment_get_csum(running), commit);
	}
	/* In a boot in which the links were renamed the record alone tells what runs. */
	if (!waits)
		UPT_TRY(upt_ostree_record_remove(self, err));
	*done = true;
	return UPT_OK;
}

static enum upt_code
rollback_deployment(
	struct upt_ostree *self, OstreeSysroot *sysroot, bool *needs_reboot, struct upt_err *err)
{
	OstreeDeployment *next = upt_ostree_nth(self, sysroot, 0), *running, *target;
	struct upt_ostree_record record;
	bool waits;

	UPT_TRY(upt_ostree_find_running(self, sysroot, &running, err));
	if (!ostree_deployment_equal(next, running)) {
		UPT_TRY(upt_ostree_record_load(self, &record, err));
		UPT_TRY(waits_for_reboot(
			self, sysroot, ostree_deployment_get_csum(next), &waits, err));
		/* Asked again, after a crash say, before the reboot: it is done already. */
		*needs_reboot = waits && record.kind == UPT_OSTREE_ROLLBACK;
		return *needs_reboot ? UPT_OK : back_to_running(self, sysroot, running, err);
	}
	target = upt_ostree_nth(self, sysroot, 1);
	if (target == NULL)
		return upt_fail(err, UPT_E_NOT_FOUND,
			"nothing to go back to: %s has one deployment only", self->os);
	UPT_TRY(remember(
		self, UPT_OSTREE_ROLLBACK, running, ostree_deployment_get_csum(target), err));
	UPT_TRY(arm(self, false, err));
	UPT_TRY(upt_ostree_set_default(self, sysroot, target, running, true, err));
	*needs_reboot = true;
	return UPT_OK;
}

static enum upt_code
ostree_rollback(struct upt_installer *base, bool *needs_reboot, struct upt_err *err)
{
	struct upt_ostree *self = from_base(base);
	g_autoptr(OstreeSysroot) sysroot = NULL;

	*needs_reboot = false;
	UPT_TRY(upt_ostree_open(self->sysroot, UPT_OSTREE_CHANGE, &sysroot, err));
	UPT_TRY(rollback_deployment(self, sysroot, needs_reboot, err));
	/* What is gone back to may not come up any more, either. */
	return *needs_reboot ? arm(self, true, err) : UPT_OK;
}

static enum upt_code
ostree_stay(struct upt_installer *base, struct upt_err *err)
{
	struct upt_ostree *self = from_base(base);
	g_autoptr(OstreeSysroot) sysroot = NULL;
	OstreeDeployment *running;

	UPT_TRY(upt_ostree_open(self->sysroot, UPT_OSTREE_CHANGE, &sysroot, err));
	UPT_TRY(upt_ostree_find_running(self, sysroot, &running, err));
	if (ostree_deployment_equal(upt_ostree_nth(self, sysroot, 0), running))
		return UPT_OK;
	return back_to_running(self, sysroot, running, err);
}

static void
ostree_free(struct upt_installer *base)
{
	struct upt_ostree *self = from_base(base);
	char *strings[] = {self->sysroot, self->os, self->remote, self->cmdline_path,
		self->boot_id_path, self->state_path, self->ca_path, self->cert_path,
		self->key_path, self->proxy, self->pull_program};

	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		free(strings[i]);
	free(self);
}

static const struct upt_installer_ops ostree_ops = {
	.format = "OSTREE",
	.needs_image = false,
	.current = ostree_current,
	.prepare = ostree_prepare,
	.install = ostree_install,
	.finalize = ostree_finalize,
	.stay = ostree_stay,
	.rollback = ostree_rollback,
	.free = ostree_free,
};

static bool
copy_string(const char *text, const char *fallback, char **out)
{
	const char *from = text != NULL ? text : fallback;

	*out = from == NULL ? NULL : strdup(from);
	return from == NULL || *out != NULL;
}

/* Beside the running program, as in a build tree, else where it is installed. */
static bool
find_pull_program(const char *configured, char **out)
{
	static const char name[] = "uptane-ostree-pull";
	char self[PATH_MAX];
	ssize_t n;

	if (configured != NULL)
		return copy_string(configured, NULL, out);
	n = readlink("/proc/self/exe", self, sizeof(self) - sizeof(name));
	while (n > 0 && self[n - 1] != '/')
		n--;
	if (n > 0) {
		memcpy(self + n, name, sizeof(name));
		if (access(self, X_OK) == 0)
			return copy_string(self, NULL, out);
	}
	return copy_string(UPT_LIBEXEC_DIR "/uptane-ostree-pull", NULL, out);
}

static bool
copy_config(struct upt_ostree *self, const struct upt_ostree_installer_config *config)
{
	self->min_speed_bytes = config->min_speed_bytes == 0 ? 128 : config->min_speed_bytes;
	self->min_speed_window_s =
		config->min_speed_window_s == 0 ? 30 : config->min_speed_window_s;
	self->reserve_bytes = config->reserve_bytes == 0 ? RESERVE_BYTES : config->reserve_bytes;
	self->boot = config->boot;
	self->boot_tries = config->boot_tries == 0 ? 3 : config->boot_tries;
	return copy_string(config->sysroot, NULL, &self->sysroot) &&
	       copy_string(config->os, NULL, &self->os) &&
	       copy_string(config->remote, NULL, &self->remote) &&
	       copy_string(config->cmdline_path, "/proc/cmdline", &self->cmdline_path) &&
	       copy_string(config->boot_id_path, "/proc/sys/kernel/random/boot_id",
		       &self->boot_id_path) &&
	       copy_string(config->state_path, NULL, &self->state_path) &&
	       copy_string(config->ca_path, NULL, &self->ca_path) &&
	       copy_string(config->cert_path, NULL, &self->cert_path) &&
	       copy_string(config->key_path, NULL, &self->key_path) &&
	       copy_string(config->proxy, NULL, &self->proxy) &&
	       find_pull_program(config->pull_program, &self->pull_program);
}

enum upt_code
upt_ostree_installer_new(const struct upt_ostree_installer_config *config,
	const struct upt_log *log, struct upt_installer **out, struct upt_err *err)
{
	struct upt_ostree *self;

	*out = NULL;
	if (config->sysroot == NULL || config->os == NULL || config->state_path == NULL)
		return upt_fail(err, UPT_E_CONFIG,
			"the OSTree installer needs sysroot, os and a state file");
	if ((config->cert_path == NULL) != (config->key_path == NULL))
		return upt_fail(err, UPT_E_CONFIG,
			"the OSTree installer needs a certificate and its key, or neither");
	/* A configured remote has its own key, and this one is not shown to libostree at all. */
	if (config->remote == NULL && config->key_path != NULL &&
		strncmp(config->key_path, "pkcs11:", 7) == 0)
		return upt_fail(
			err, UPT_E_UNSUPPORTED, "libostree cannot use a key in hardware (pkcs11)");
	self = calloc(1, sizeof(*self));
	if (self == NULL || !copy_config(self, config)) {
		if (self != NULL)
			ostree_free(&self->base);
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for the OSTree installer");
	}
	self->base.ops = &ostree_ops;
	self->base.log = log;
	*out = &self->base;
	return UPT_OK;
}
