/*
 * What all parts of the Director share: its folder, its database, its four online role keys and its
 * root. DIR holds director.db, keys/ROLE.N.pem (N: the root version that introduced the key) and
 * N.root.json, a copy of each root for provisioning. Uptane Standard 2.1 "director_repository",
 * "root_meta". Thread-safety: a struct director belongs to one thread.
 */
#ifndef UPT_TOOLS_DIRECTOR_DIRECTOR_H
#define UPT_TOOLS_DIRECTOR_DIRECTOR_H

#include "crypto/crypto.h"
#include "db.h"
#include "metadata/image.h"

#define DIRECTOR_VEHICLE_ID_MAX 128
#define DIRECTOR_LIFETIME_MIN_S 2
#define DIRECTOR_LIFETIME_MAX_S (100LL * 365 * 86400)

enum role {
	ROLE_ROOT = 0,
	ROLE_TIMESTAMP,
	ROLE_SNAPSHOT,
	ROLE_TARGETS,
	N_ROLES,
};

const char *role_name(enum role role);
/* False when name is no role. */
bool role_find(struct upt_span name, enum role *out);
/* Seconds that a role's metadata lives unless `init --expires` says otherwise. */
int64_t role_default_lifetime_s(enum role role);

struct director {
	char *dir; /* owned */
	struct db db;
	int64_t key_epoch; /* of keys[]; 0: none loaded */
	struct upt_private_key *keys[N_ROLES]; /* loaded when something must be signed */
};

/* Makes keys, root version 1 and database in dir, which must be empty or absent. */
UPT_NODISCARD enum upt_code director_init(const char *dir, const char *key_type,
	const int64_t lifetimes_s[static N_ROLES], int64_t now, struct upt_err *err);
UPT_NODISCARD enum upt_code director_open(struct director *d, const char *dir, struct upt_err *err);
/* Fits upt_cleanup(). */
void director_close(struct director *d);

UPT_NODISCARD enum upt_code
director_get_setting(struct director *d, const char *name, int64_t *out, struct upt_err *err);
/* Lifetime of a role's metadata in seconds. */
UPT_NODISCARD enum upt_code
director_get_lifetime(struct director *d, enum role role, int64_t *out_s, struct upt_err *err);
/* Brings d->keys up to the database's key_epoch: `rotate` may have run since. */
UPT_NODISCARD enum upt_code director_load_keys(struct director *d, struct upt_err *err);
/* Reads all keys but that of lost, which may not be readable (N_ROLES: none). key_epoch stays 0. */
UPT_NODISCARD enum upt_code
director_load_other_keys(struct director *d, enum role lost, struct upt_err *err);

/* Root by version, 0: the latest. UPT_E_NOT_FOUND. */
UPT_NODISCARD enum upt_code
director_load_root(struct director *d, uint64_t version, struct upt_buf *out, struct upt_err *err);
/*
 * Signs a root with the same keys and a new expiry once half of the latest one's life is over: a
 * Director nobody looks after for a year must not turn all its vehicles away. *renewed tells.
 */
UPT_NODISCARD enum upt_code
director_renew_root(struct director *d, int64_t now, bool *renewed, struct upt_err *err);
/*
 * Gives role a new key of the root key's type and publishes root N+1, signed by the old and the new
 * root key. The old key of a role other than root is not needed: it may be lost. All vehicles'
 * metadata is signed anew at their next request. The old key file is removed unless keep_old_key.
 * *version: N+1.
 */
UPT_NODISCARD enum upt_code director_rotate(struct director *d, enum role role, bool keep_old_key,
	int64_t now, uint64_t *version, struct upt_err *err);

/* UPT_E_NO_MEMORY, for what says only that. */
enum upt_code director_no_memory(struct upt_err *err);
/* The image's digest of that kind in hex, "" when it has none. */
void director_digest_hex(const struct upt_image *image, enum upt_hash_alg alg,
	char out[static 2 * UPT_HASH_MAX_BYTES + 1]);
/* True for 1 to DIRECTOR_VEHICLE_ID_MAX characters of [A-Za-z0-9._:-]. */
bool vehicle_id_check(struct upt_span id);

#endif
