/*
 * Snapshot and timestamp over what is signed, and bringing all of it into public/.
 */
#ifndef REPO_RELEASE_H
#define REPO_RELEASE_H

#include "repo/signing.h"

/* Sets role->staged of snapshot or timestamp to what it must list now; *same: it lists that already. */
UPT_NODISCARD enum upt_code release_list(struct repo *repo, struct repo_role *role, bool *same,
	struct upt_err *err);
/* True when public/ holds this very version of the role. UPT_E_CHANGED when it holds another one
 * under the same version, UPT_E_ROLLBACK when its timestamp is newer than the workspace's. */
UPT_NODISCARD enum upt_code release_is_public(const struct repo *repo, const struct repo_role *role,
	bool *is_public, struct upt_err *err);
/* Path of the role's last signed version in public/. */
void release_path(const struct repo_role *role, char out[static 320]);
/* Bytes of the file that names the role's keys, and whose that is. */
struct upt_span release_definer(const struct repo *repo, const struct repo_role *role,
	const char **name);

#endif
