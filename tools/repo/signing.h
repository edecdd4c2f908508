/*
 * Which keys a role is held by, and signing it with those that are here. Uptane Standard 2.1
 * "root_meta", "targets_role_delegations", "check_root" (a root is signed by the one before it too).
 */
#ifndef REPO_SIGNING_H
#define REPO_SIGNING_H

#include "repo/workspace.h"

/* A role's keys and threshold in a root or a delegating payload. Borrowed from that payload. */
struct role_def {
	const cJSON *keys;
	const cJSON *keyids;
	uint64_t threshold;
};

/* root: the root payload that names top-level roles. UPT_E_MALFORMED when the role is not in it. */
UPT_NODISCARD enum upt_code role_def_find(const struct repo_role *role, const cJSON *root,
	struct role_def *out, struct upt_err *err);

struct sign_request {
	int64_t expires;
	const char *const *only;    /* names of the keys to use; none: all that are here */
	size_t n_only;
	bool partial;               /* fewer signatures than the threshold are fine: others follow */
	const cJSON *published_root; /* keys that clients of this older root know sign as well, or NULL */
};

/*
 * Signs the role's staged or current payload as the next version. UPT_E_KEY when too few keys are
 * here, with the names and key ids of those missing; UPT_E_USAGE for a key that is not the role's.
 */
UPT_NODISCARD enum upt_code repo_sign(struct repo *repo, struct repo_role *role,
	const struct sign_request *request, struct upt_err *err);

/*
 * What a client would say to these bytes as that role: UPT_OK or UPT_E_THRESHOLD. definer: the file
 * that names the role's keys, a root or the delegating targets.
 */
UPT_NODISCARD enum upt_code repo_check_signatures(const char *role_name, struct upt_span bytes,
	const char *definer_name, struct upt_span definer, struct upt_err *err);

/* Keys of the role that are here. */
size_t repo_count_here(const struct repo *repo, const struct role_def *def);

/* ---- changing who holds a role ---- */
/* Sets keyids and threshold of entry to these keys, and adds them to the "keys" object. */
UPT_NODISCARD enum upt_code role_def_set(cJSON *keys, cJSON *entry, struct repo_key *const *holders,
	size_t n_holders, uint64_t threshold, struct upt_err *err);
/* Removes keys that no role names. roles: an object or an array of entries with keyids. */
void role_def_prune(cJSON *keys, const cJSON *roles);
/* UPT_E_USAGE when two roles of a delegation have a key in common. Clients count roles: its holder
 * would agree with himself. */
UPT_NODISCARD enum upt_code role_keys_apart(cJSON *delegation, struct upt_err *err);
/* The delegation in a payload that names the role, or NULL; in it, where the role's keys stand. */
cJSON *role_delegation(const cJSON *payload, const char *role_name);
cJSON *role_entry(const cJSON *payload, const char *role_name);
/* The delegation of that name: of one role, the role's. */
cJSON *role_delegation_named(const cJSON *payload, const char *name);

#endif
