#include "metadata/trusted_set.h"

struct upt_trust_policy
upt_trust_policy_uptane(enum upt_repo repo, bool ota)
{
	bool director = repo == UPT_REPO_DIRECTOR;

	return (struct upt_trust_policy){
		.repo = repo,
		.limits = director ? UPT_LIMITS_DIRECTOR : UPT_LIMITS_IMAGE,
		.allow_targets_only = ota && director,
		.allow_canonical_hashes = ota,
		/* 8.2 in either profile: servers of profile ota list hashes, too. By its version
		 * alone, a snapshot could be another one than its timestamp was made for. */
		.require_snapshot_hash = true,
		.delegations_in_folder = ota,
	};
}
