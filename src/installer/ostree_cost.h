/*
 * What fetching a commit will cost, told before its content is fetched: by the sizes that
 * "ostree commit --generate-sizes" puts into it, which the commit's id vouches for. GLib inside;
 * part of the program uptane-ostree-pull.
 */
#ifndef UPT_INSTALLER_OSTREE_COST_H
#define UPT_INSTALLER_OSTREE_COST_H

#include <ostree.h>
#include "base/err.h"

struct upt_ostree_cost {
	bool known; /* the commit lists sizes */
	uint64_t n_objects; /* that the repository lacks */
	uint64_t wire_bytes; /* of these as a server has them */
	/* and as they lie here, in whole blocks, with the largest one as it comes beside it */
	uint64_t disk_bytes;
};

/* The commit object must be in repo. UPT_E_MALFORMED when its sizes are none. */
UPT_NODISCARD enum upt_code upt_ostree_cost(
	OstreeRepo *repo, const char *commit, struct upt_ostree_cost *out, struct upt_err *err);
/* UPT_E_NO_SPACE, with the numbers, unless the file system of path has disk_bytes and keeps reserve
 * bytes free. */
UPT_NODISCARD enum upt_code upt_ostree_check_space(
	const char *path, uint64_t disk_bytes, uint64_t reserve_bytes, struct upt_err *err);

#endif
