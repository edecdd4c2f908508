/*
 * All files that one command writes, as one step: they are staged in DIR/.commit.new, the rename of
 * that folder to DIR/.commit is the moment of truth, and then each file moves to its place in order. A
 * cut before the rename leaves nothing behind; after it, the next command moves the rest first.
 */
#ifndef REPO_TXN_H
#define REPO_TXN_H

#include <sys/types.h>
#include "base/span.h"
#include "crypto/crypto.h"

struct txn_entry {
	char *path;
	mode_t mode;
	struct upt_buf bytes;
	const struct upt_private_key *key; /* written instead of bytes */
	bool remove;
};

/* {0} is empty. Order is the order in which files appear: what a reader follows comes last. */
struct txn {
	struct txn_entry *entries;
	size_t n;
};

/* path: relative to the workspace, without "..". The bytes are copied; a key is borrowed. */
UPT_NODISCARD enum upt_code txn_put(struct txn *txn, const char *path, mode_t mode, struct upt_span bytes,
	struct upt_err *err);
UPT_NODISCARD enum upt_code txn_put_key(struct txn *txn, const char *path,
	const struct upt_private_key *key, struct upt_err *err);
UPT_NODISCARD enum upt_code txn_remove(struct txn *txn, const char *path, struct upt_err *err);
/* Writes everything durably. The caller holds the workspace's lock. dir and dirfd are one folder. */
UPT_NODISCARD enum upt_code txn_commit(const struct txn *txn, const char *dir, int dirfd,
	struct upt_err *err);
/* Finishes or forgets what a killed command left; *finished: it was finished. */
UPT_NODISCARD enum upt_code txn_recover(int dirfd, bool *finished, struct upt_err *err);
void txn_clear(struct txn *txn);

/* mkdir -p of everything before the last '/', durably. */
UPT_NODISCARD enum upt_code repo_make_parents(int dirfd, const char *path, struct upt_err *err);
/* fsync of the folder that holds path. */
UPT_NODISCARD enum upt_code repo_sync_parent(int dirfd, const char *path, struct upt_err *err);

#endif
