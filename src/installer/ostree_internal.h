/*
 * The OSTREE installer's own files: ostree.c (operations), ostree_pull.c (fetching a commit, by way
 * of the program uptane-ostree-pull: ostree_fetch.c), ostree_sysroot.c (what runs, what boots
 * next), ostree_record.c (what is remembered across a reboot). GLib is known to these and nobody
 * else. Thread-safety: that of the installer.
 */
#ifndef UPT_INSTALLER_OSTREE_INTERNAL_H
#define UPT_INSTALLER_OSTREE_INTERNAL_H

#include <ostree.h>
#include "installer/boot.h"
#include "installer/installer.h"

#define UPT_OSTREE_COMMIT_HEX 64
#define UPT_OSTREE_BOOT_ID_CHARS 36

struct upt_ostree {
	struct upt_installer base;
	char *sysroot, *os, *remote;
	char *cmdline_path, *boot_id_path, *state_path;
	char *ca_path, *cert_path, *key_path, *proxy;
	char *pull_program;
	unsigned min_speed_bytes, min_speed_window_s;
	uint64_t reserve_bytes;
	struct upt_boot *boot; /* or NULL */
	unsigned boot_tries;
};

/* ---- ostree_record.c: no GLib in it ---- */

enum upt_ostree_kind {
	UPT_OSTREE_NOTHING = 0, /* no change waits for a reboot */
	UPT_OSTREE_INSTALL,
	UPT_OSTREE_ROLLBACK,
};

/* Written before the boot loader's list changes. */
struct upt_ostree_record {
	enum upt_ostree_kind kind;
	char boot_id[UPT_OSTREE_BOOT_ID_CHARS + 1]; /* when it was written */
	char running[UPT_OSTREE_COMMIT_HEX + 16]; /* COMMIT.SERIAL that ran then */
	char commit[UPT_OSTREE_COMMIT_HEX + 1]; /* that shall boot */
};

/* kind is UPT_OSTREE_NOTHING when there is no file or it holds something else. */
UPT_NODISCARD enum upt_code upt_ostree_record_load(
	const struct upt_ostree *self, struct upt_ostree_record *out, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_ostree_record_save(
	const struct upt_ostree *self, const struct upt_ostree_record *record, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_ostree_record_remove(const struct upt_ostree *self, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_ostree_boot_id(const struct upt_ostree *self,
	char out[static UPT_OSTREE_BOOT_ID_CHARS + 1], struct upt_err *err);
/*
 * The path after "ostree=" of the kernel's command line. UPT_E_INSTALL when there is none, or more
 * than one: which of them booted cannot be told then.
 */
UPT_NODISCARD enum upt_code
upt_ostree_booted_link(const struct upt_ostree *self, char *out, size_t size, struct upt_err *err);

/* ---- ostree_sysroot.c ---- */

/* upt_fail() with a GError's message behind the text; its code is chosen by the error. */
enum upt_code
upt_ostree_fail(struct upt_err *err, const GError *error, const char *fmt, ...) UPT_PRINTF(3, 4);

enum upt_ostree_access {
	UPT_OSTREE_READ,
	UPT_OSTREE_CHANGE, /* with the lock (UPT_E_BUSY); read-only mounts become writable for us */
};

/* Opens and loads the sysroot at path. */
UPT_NODISCARD enum upt_code upt_ostree_open(
	const char *path, enum upt_ostree_access access, OstreeSysroot **out, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_ostree_get_repo(OstreeSysroot *sysroot, OstreeRepo **out, struct upt_err *err);
/*
 * The deployment of our OS that runs, borrowed from sysroot; never NULL on success. Text only ever
 * selects among the deployments that libostree has: UPT_E_INSTALL when it selects none.
 */
UPT_NODISCARD enum upt_code upt_ostree_find_running(const struct upt_ostree *self,
	OstreeSysroot *sysroot, OstreeDeployment **out, struct upt_err *err);
/* The nth deployment of our OS in boot order, 0 the default; NULL behind the last. Borrowed. */
OstreeDeployment *upt_ostree_nth(const struct upt_ostree *self, OstreeSysroot *sysroot, unsigned n);
/*
 * Makes first the default. keep: the deployment that must survive (what runs). Deployments of other
 * systems and pinned ones survive always; of ours only first, keep, and with others what else there
 * is.
 */
UPT_NODISCARD enum upt_code
upt_ostree_set_default(const struct upt_ostree *self, OstreeSysroot *sysroot,
	OstreeDeployment *first, OstreeDeployment *keep, bool others, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_ostree_deploy(const struct upt_ostree *self, OstreeSysroot *sysroot,
	const char *commit, OstreeDeployment *merge, struct upt_err *err);

/* ---- ostree_pull.c ---- */

/*
 * *complete: the repository holds the whole commit and its object is what image lists: every hash,
 * and the length unless that is 0. UPT_E_IMAGE_HASH when the object is there and differs.
 */
UPT_NODISCARD enum upt_code upt_ostree_check_commit(OstreeRepo *repo, const char *commit,
	const struct upt_image *image, bool *complete, struct upt_err *err);
/*
 * *all: every object that commit, which passes for complete, needs is there. One that libostree was
 * removing when the power went keeps its commit object and lacks others: it is marked as partial,
 * so that a pull fetches the rest, and would else be taken for whole and never be deployed.
 */
UPT_NODISCARD enum upt_code upt_ostree_check_objects(
	const struct upt_ostree *self, const char *commit, bool *all, struct upt_err *err);
/*
 * Pulls commit into the sysroot's repository, with the sysroot's lock. Progress and cancellation as
 * in prepare. UPT_E_ABSENT: the server lacks part of it; UPT_E_IMAGE_HASH: an object is not what
 * its name says; UPT_E_TOO_SLOW, UPT_E_TLS, UPT_E_SERVER, UPT_E_NETWORK, UPT_E_NO_SPACE,
 * UPT_E_CANCELLED, UPT_E_BUSY; UPT_E_TOO_LARGE: more bytes than the commit's sizes allow;
 * UPT_E_MALFORMED, UPT_E_CONFIG and UPT_E_UNSUPPORTED for a uri or a
 * remote that cannot be used.
 */
UPT_NODISCARD enum upt_code upt_ostree_pull(const struct upt_ostree *self, const char *commit,
	const char *uri, const struct upt_install_progress *progress, struct upt_err *err);

#endif
