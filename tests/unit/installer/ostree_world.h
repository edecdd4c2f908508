/*
 * A small OSTree world below one directory: a remote with three versions of an operating system, a
 * device's sysroot that runs the first, and reboots as a boot loader does them.
 */
#ifndef UPT_TESTS_INSTALLER_OSTREE_WORLD_H
#define UPT_TESTS_INSTALLER_OSTREE_WORLD_H

#include "support.h"

struct ostree_world {
	char dir[PATH_MAX], log[PATH_MAX];
	char sysroot[PATH_MAX], remote[PATH_MAX], cmdline[PATH_MAX], boot_id[PATH_MAX];
	char state[PATH_MAX];
	char commit[4][65]; /* of version 1 to 3 */
	unsigned n_boots;
	struct upt_installer *installer;
	struct upt_err err;
};

void ostree_world_make(struct ostree_world *w);
void ostree_world_remove(struct ostree_world *w);
/* What config has of this world: sysroot, os, files, remote "updates". */
struct upt_ostree_installer_config ostree_world_config(const struct ostree_world *w);
/* The default entry of the boot loader becomes the command line; a new boot id. */
void ostree_world_boot(struct ostree_world *w);
/* The commits of the boot loader's entries, the default first, joined by spaces. */
void ostree_world_entries(struct ostree_world *w, char *out, size_t size);

#endif
