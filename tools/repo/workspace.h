/*
 * A repository workspace: settings, keys and the last signed state of every role, loaded whole, locked
 * against other commands, and written back in one step. Never used on a vehicle.
 *
 *   repo.json                settings
 *   keys/NAME.pem            private key, may be moved away; keys/NAME.json its public part
 *   metadata/ROLE.json       last signed version of a role; metadata/N.root.json every root
 *   staged/ROLE.json         changes that the next signature makes good
 *   images/SHA256            bytes of targets, until and after they are published
 *   public/                  what the static server serves
 */
#ifndef REPO_WORKSPACE_H
#define REPO_WORKSPACE_H

#include <cjson/cJSON.h>
#include "authoring/authoring.h"
#include "repo/names.h"
#include "repo/txn.h"

#define REPO_DOC_MAX_BYTES ((size_t)256 << 20)
#define REPO_MAX_DAYS 36500
#define REPO_N_TOP 4

struct repo_key {
	char name[REPO_KEY_NAME_MAX + 1];
	char id[65];
	cJSON *public_part;              /* {"keytype","scheme","keyval"} */
	struct upt_private_key *private_key; /* NULL until it was needed */
};

/* A role as it was last signed, and as it shall be. */
struct repo_role {
	char *name;
	struct repo_role *parent;    /* delegator; NULL at the top, and for one no longer delegated to */
	cJSON *current;              /* payload of the last signature; NULL when never signed */
	struct upt_buf bytes;        /* the signed file */
	cJSON *staged;               /* changed payload with the version it is based on, or NULL */
	struct upt_buf staged_bytes; /* the same as an unsigned envelope */
	bool staged_on_disk;         /* staged/ROLE.json is there */
	bool write_signed;           /* to be saved */
	bool write_staged;
};

struct repo {
	const char *dir; /* borrowed */
	int dirfd;       /* holds the lock; -1 closed */
	int64_t now;
	cJSON *settings;
	bool director;
	enum upt_hash_alg algs[2];
	size_t n_algs;
	struct repo_key **keys; /* sorted by name */
	size_t n_keys;
	struct repo_role **roles; /* root, timestamp, snapshot, targets, then delegated ones */
	size_t n_roles;
	struct txn txn;
};

/* Now, or SOURCE_DATE_EPOCH. UPT_E_CONFIG when that is no time. */
UPT_NODISCARD enum upt_code repo_clock(int64_t *out, struct upt_err *err);

/* Opens, locks and recovers a workspace. UPT_E_NOT_FOUND when DIR is none; UPT_E_BUSY. */
UPT_NODISCARD enum upt_code repo_open(const char *dir, struct repo *repo, struct upt_err *err);
/*
 * Opens and locks the folder for a new workspace, made when missing. UPT_E_USAGE unless it is empty.
 * *finished: it held one that was made but for its last steps, which have been taken now.
 */
UPT_NODISCARD enum upt_code repo_open_new(const char *dir, struct repo *repo, bool *finished,
	struct upt_err *err);
void repo_close(struct repo *repo);

/* Reads repo->settings into the fields made from it. UPT_E_CONFIG. */
UPT_NODISCARD enum upt_code repo_use_settings(struct repo *repo, struct upt_err *err);
/* When a document of that role signed now expires. */
int64_t repo_expiry(const struct repo *repo, const char *role_name);
/* Writes every changed role and all that was staged into repo->txn, durably and at once. */
UPT_NODISCARD enum upt_code repo_save(struct repo *repo, struct upt_err *err);

/* Stages a changed role's files into repo->txn, for a commit that holds more. */
UPT_NODISCARD enum upt_code repo_put_role(struct repo *repo, const struct repo_role *role,
	struct upt_err *err);

/* Strict reading of a JSON file of ours; *out is the caller's. bytes may be NULL. */
UPT_NODISCARD enum upt_code repo_read_json(const struct repo *repo, const char *path, struct upt_buf *bytes,
	cJSON **out, struct upt_err *err);

/* ---- keys.c ---- */
UPT_NODISCARD enum upt_code repo_keys_load(struct repo *repo, struct upt_err *err);
struct repo_key *repo_key_find(const struct repo *repo, const char *name);
struct repo_key *repo_key_by_id(const struct repo *repo, const char *id);
/* As repo_key_find; UPT_E_USAGE with the nearest name. */
UPT_NODISCARD enum upt_code repo_key_need(const struct repo *repo, const char *name,
	struct repo_key **out, struct upt_err *err);
/* "ed25519", "ecdsa", "rsa" as keytype for the generator; UPT_E_USAGE. */
UPT_NODISCARD enum upt_code repo_key_type(const char *text, const char **out, struct upt_err *err);
/* Makes a key and puts it into repo->txn. */
UPT_NODISCARD enum upt_code repo_key_generate(struct repo *repo, const char *name, const char *type,
	struct repo_key **out, struct upt_err *err);
/* Adds a public part whose private key lives elsewhere; public_part is taken over, also on failure. */
UPT_NODISCARD enum upt_code repo_key_import(struct repo *repo, const char *name, cJSON *public_part,
	struct repo_key **out, struct upt_err *err);
/* Makes a key named "PREFIX-K" with the first free K. */
UPT_NODISCARD enum upt_code repo_key_generate_next(struct repo *repo, const char *prefix,
	const char *type, struct repo_key **out, struct upt_err *err);
bool repo_key_is_here(const struct repo *repo, const struct repo_key *key);
/* Loads the private half. UPT_E_KEY when it was moved away or is another key. */
UPT_NODISCARD enum upt_code repo_key_open(const struct repo *repo, struct repo_key *key,
	struct upt_err *err);
void repo_keys_clear(struct repo *repo);

/* ---- roles.c ---- */
UPT_NODISCARD enum upt_code repo_roles_load(struct repo *repo, struct upt_err *err);
struct repo_role *repo_role_find(const struct repo *repo, const char *name);
/* As repo_role_find; UPT_E_USAGE with the nearest name. targets_only: no root, timestamp, snapshot. */
UPT_NODISCARD enum upt_code repo_role_need(const struct repo *repo, const char *name,
	bool targets_only, struct repo_role **out, struct upt_err *err);
/* Adds an empty role to the list. */
UPT_NODISCARD enum upt_code repo_role_add(struct repo *repo, const char *name,
	struct repo_role *parent, struct repo_role **out, struct upt_err *err);
/* The payload as it shall be: staged, else current. */
const cJSON *repo_role_payload(const struct repo_role *role);
struct upt_span repo_role_bytes(const struct repo_role *role);
uint64_t repo_role_version(const struct repo_role *role); /* of the last signature, 0 for none */
int64_t repo_role_expires(const struct repo_role *role);
/* The payload for changes; repo_role_stage() afterwards. */
UPT_NODISCARD enum upt_code repo_role_edit(struct repo_role *role, cJSON **out, struct upt_err *err);
/* Checks the changed payload as a client will and keeps it; a change that changes nothing is dropped. */
UPT_NODISCARD enum upt_code repo_role_stage(struct repo_role *role, struct upt_err *err);
/* True when the signed file holds this very payload. */
UPT_NODISCARD enum upt_code repo_role_signs(const struct repo_role *role, const cJSON *payload,
	bool *same, struct upt_err *err);
void repo_roles_clear(struct repo *repo);
/* The i-th role of an entry of delegations.roles, where keyids and threshold stand; NULL behind the
 * last one. An entry that is to one role is that role itself. */
cJSON *repo_delegated_role(cJSON *delegation, int i);
const char *repo_delegated_name(const cJSON *delegated_role);
/* "metadata/ROLE.json" and the like: folder without '/', version 0 for none. */
void repo_role_path(const struct repo_role *role, const char *folder, uint64_t version,
	char out[static 320]);

/* An array of strings holds s. */
bool repo_json_has_string(const cJSON *array, const char *s);
uint64_t repo_json_u64(const cJSON *object, const char *name);
const char *repo_json_text(const cJSON *object, const char *name); /* "" when there is none */

#endif
