/*
 * The sysroot: which deployment runs, which boots next, and changing that.
 */
#include "installer/ostree_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

static enum upt_code
code_of(const GError *error)
{
	if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
		return UPT_E_CANCELLED;
	if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE))
		return UPT_E_NO_SPACE;
	if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED) ||
		g_error_matches(error, G_IO_ERROR, G_IO_ERROR_READ_ONLY))
		return UPT_E_PERMISSION;
	if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
		return UPT_E_NOT_FOUND;
	return UPT_E_INSTALL;
}

enum upt_code
upt_ostree_fail(struct upt_err *err, const GError *error, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return upt_fail(err, error == NULL ? UPT_E_INTERNAL : code_of(error), "%s: %s", text,
		error == NULL ? "no reason given" : error->message);
}

static bool
is_read_only(const char *path)
{
	struct statvfs fs;

	return statvfs(path, &fs) == 0 && (fs.f_flag & ST_RDONLY) != 0;
}

/*
 * A device may mount /sysroot and /boot read-only. With its lock libostree makes them writable,
 * when told that this thread has a mount namespace of its own, so that nobody else sees it. (Its
 * own helper for that asks about the first process, which a confined service may not.) This goes
 * before anything is opened: what was opened in the old namespace may lose its mounts with it.
 */
static enum upt_code
leave_read_only_mounts(const char *path, bool *left, struct upt_err *err)
{
	*left = false;
	if (strcmp(path, "/") != 0 || access("/run/ostree-booted", F_OK) != 0)
		return UPT_OK;
	if (!is_read_only("/sysroot") && !is_read_only("/boot"))
		return UPT_OK;
	if (unshare(CLONE_NEWNS) != 0)
		return upt_fail_errno(err, errno, "cannot make a mount namespace");
	*left = true;
	return UPT_OK;
}

enum upt_code
upt_ostree_open(
	const char *path, enum upt_ostree_access access, OstreeSysroot **out, struct upt_err *err)
{
	g_autoptr(OstreeSysroot) sysroot = NULL;
	g_autoptr(GFile) file = g_file_new_for_path(path);
	g_autoptr(GError) error = NULL;
	gboolean acquired = TRUE;
	bool in_namespace = false;

	*out = NULL;
	if (access == UPT_OSTREE_CHANGE)
		UPT_TRY(leave_read_only_mounts(path, &in_namespace, err));
	sysroot = ostree_sysroot_new(file);
	if (in_namespace)
		ostree_sysroot_set_mount_namespace_in_use(sysroot);
	if (access == UPT_OSTREE_CHANGE && !ostree_sysroot_try_lock(sysroot, &acquired, &error))
		return upt_ostree_fail(err, error, "cannot lock sysroot %s", path);
	if (!acquired)
		return upt_fail(err, UPT_E_BUSY, "somebody else changes sysroot %s", path);
	if (!ostree_sysroot_load(sysroot, NULL, &error))
		return upt_ostree_fail(err, error, "cannot load sysroot %s", path);
	*out = g_steal_pointer(&sysroot);
	return UPT_OK;
}

enum upt_code
upt_ostree_get_repo(OstreeSysroot *sysroot, OstreeRepo **out, struct upt_err *err)
{
	g_autoptr(GError) error = NULL;

	if (!ostree_sysroot_get_repo(sysroot, out, NULL, &error))
		return upt_ostree_fail(err, error, "cannot open the sysroot's repository");
	return UPT_OK;
}

static bool
is_ours(const struct upt_ostree *self, OstreeDeployment *deployment)
{
	return strcmp(ostree_deployment_get_osname(deployment), self->os) == 0;
}

static OstreeDeployment *
deployment_at(OstreeSysroot *sysroot, unsigned i)
{
	/* The array lives as long as the sysroot; the reference given with it is not needed. */
	g_autoptr(GPtrArray) all = ostree_sysroot_get_deployments(sysroot);

	return i < all->len ? all->pdata[i] : NULL;
}

OstreeDeployment *
upt_ostree_nth(const struct upt_ostree *self, OstreeSysroot *sysroot, unsigned n)
{
	OstreeDeployment *deployment;

	for (unsigned i = 0; (deployment = deployment_at(sysroot, i)) != NULL; i++) {
		if (!is_ours(self, deployment))
			continue;
		if (n-- == 0)
			return deployment;
	}
	return NULL;
}

static OstreeDeployment *
find_by_name(const struct upt_ostree *self, OstreeSysroot *sysroot, const char *name)
{
	OstreeDeployment *deployment;

	for (unsigned n = 0; (deployment = upt_ostree_nth(self, sysroot, n)) != NULL; n++) {
		g_autofree char *its =
			g_strdup_printf("%s.%d", ostree_deployment_get_csum(deployment),
				ostree_deployment_get_deployserial(deployment));
		if (strcmp(its, name) == 0)
			return deployment;
	}
	return NULL;
}

/*
 * Compares what the link leads to with the directory of each deployment by device and inode: a path
 * with .. or a link planted on the way leads to some other directory and so selects nothing.
 */
static OstreeDeployment *
find_by_link(const struct upt_ostree *self, OstreeSysroot *sysroot, const char *link)
{
	int root = ostree_sysroot_get_fd(sysroot);
	OstreeDeployment *deployment;
	struct stat booted, st;

	if (fstatat(root, link + strspn(link, "/"), &booted, 0) != 0)
		return NULL;
	for (unsigned n = 0; (deployment = upt_ostree_nth(self, sysroot, n)) != NULL; n++) {
		g_autofree char *dir = ostree_sysroot_get_deployment_dirpath(sysroot, deployment);
		if (fstatat(root, dir, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			st.st_dev == booted.st_dev && st.st_ino == booted.st_ino)
			return deployment;
	}
	return NULL;
}

/* In a sysroot that is not /: by what was remembered in this boot, else by the command line. */
static enum upt_code
find_elsewhere(const struct upt_ostree *self, OstreeSysroot *sysroot, OstreeDeployment **out,
	struct upt_err *err)
{
	struct upt_ostree_record record;
	char boot_id[UPT_OSTREE_BOOT_ID_CHARS + 1], link[PATH_MAX];

	UPT_TRY(upt_ostree_record_load(self, &record, err));
	UPT_TRY(upt_ostree_boot_id(self, boot_id, err));
	/* The command line was resolved at boot. Every change since renames the links: the same
	 * text may name another deployment now. */
	if (record.kind != UPT_OSTREE_NOTHING && strcmp(record.boot_id, boot_id) == 0) {
		*out = find_by_name(self, sysroot, record.running);
		if (*out == NULL)
			return upt_fail(err, UPT_E_INSTALL, "deployment %s, which runs, is gone",
				record.running);
		return UPT_OK;
	}
	UPT_TRY(upt_ostree_booted_link(self, link, sizeof(link), err));
	*out = find_by_link(self, sysroot, link);
	if (*out == NULL)
		return upt_fail(
			err, UPT_E_INSTALL, "ostree=%s is no deployment of %s", link, self->os);
	return UPT_OK;
}

enum upt_code
upt_ostree_find_running(const struct upt_ostree *self, OstreeSysroot *sysroot,
	OstreeDeployment **out, struct upt_err *err)
{
	OstreeDeployment *booted = ostree_sysroot_get_booted_deployment(sysroot);

	*out = NULL;
	if (booted == NULL)
		return find_elsewhere(self, sysroot, out, err);
	if (!is_ours(self, booted))
		return upt_fail(err, UPT_E_CONFIG, "OS %s is booted, not %s",
			ostree_deployment_get_osname(booted), self->os);
	*out = booted;
	return UPT_OK;
}

static bool
same(OstreeDeployment *a, OstreeDeployment *b)
{
	return a != NULL && b != NULL && ostree_deployment_equal(a, b);
}

static void
print_nothing(const gchar *text)
{
	(void)text;
}

enum upt_code
upt_ostree_set_default(const struct upt_ostree *self, OstreeSysroot *sysroot,
	OstreeDeployment *first, OstreeDeployment *keep, bool others, struct upt_err *err)
{
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_object_unref);
	g_autoptr(GError) error = NULL;
	OstreeDeployment *deployment;
	GPrintFunc old_print;
	gboolean written;

	g_ptr_array_add(list, g_object_ref(first));
	/* The one that runs is the second: a boot loader falls back in this order. */
	if (!same(first, keep))
		g_ptr_array_add(list, g_object_ref(keep));
	for (unsigned i = 0; (deployment = deployment_at(sysroot, i)) != NULL; i++) {
		if (same(deployment, first) || same(deployment, keep))
			continue;
		if (others || !is_ours(self, deployment) || ostree_deployment_is_pinned(deployment))
			g_ptr_array_add(list, g_object_ref(deployment));
	}
	/* libostree tells standard output how much it freed; that is the program's, not its own. */
	old_print = g_set_print_handler(print_nothing);
	written = ostree_sysroot_write_deployments(sysroot, list, NULL, &error);
	g_set_print_handler(old_print);
	if (!written)
		return upt_ostree_fail(err, error, "cannot write the list of deployments");
	return UPT_OK;
}

enum upt_code
upt_ostree_deploy(const struct upt_ostree *self, OstreeSysroot *sysroot, const char *commit,
	OstreeDeployment *merge, struct upt_err *err)
{
	g_autoptr(GKeyFile) origin = ostree_sysroot_origin_new_from_refspec(sysroot, commit);
	g_autoptr(OstreeDeployment) deployment = NULL;
	g_autoptr(GError) error = NULL;

	/* Kernel arguments and /etc come from what runs, not from what was pending and never ran.
	 */
	if (!ostree_sysroot_deploy_tree(
		    sysroot, self->os, commit, origin, merge, NULL, &deployment, NULL, &error))
		return upt_ostree_fail(err, error, "cannot deploy %s", commit);
	return upt_ostree_set_default(self, sysroot, deployment, merge, false, err);
}
