/*
 * Keys and role definitions as root and delegating targets list them. Key ids are opaque names;
 * what counts towards a threshold is the key's value. Uptane Standard 2.1 "common_metadata" (0.1),
 * "root_meta" (0.4). All memory is the document's arena, key objects are freed by
 * upt_keyring_clear.
 */
#ifndef UPT_METADATA_KEYS_H
#define UPT_METADATA_KEYS_H

#include "base/arena.h"
#include "crypto/crypto.h"
#include "json/json.h"

struct upt_key {
	const char *id;
	struct upt_span keytype, text; /* what key was parsed from */
	struct upt_span scheme; /* empty when the key names none */
	struct upt_public_key *key; /* NULL: unknown type or unusable value; it never counts */
};

struct upt_keyring {
	size_t n_keys;
	struct upt_key *keys;
};

struct upt_role_keys {
	uint64_t threshold;
	size_t n_keyids;
	const char **keyids; /* distinct */
};

/*
 * Reads a "keys" object. UPT_E_MALFORMED for a wrong shape or more than UPT_MAX_KEYS keys; a key of
 * an unknown type, or one that is no key, is kept unusable and never aborts the document (WIRE).
 * A key that known (may be NULL) lists alike is shared with it: parsing costs more than verifying.
 */
UPT_NODISCARD enum upt_code upt_keyring_parse(struct upt_json_iter *it, struct upt_arena *arena,
	const struct upt_keyring *known, struct upt_keyring *out, struct upt_err *err);
void upt_keyring_clear(struct upt_keyring *keyring);
const struct upt_key *upt_keyring_find(const struct upt_keyring *keyring, const char *id);

/*
 * Reads the members "keyids" and "threshold" of a role while the caller walks its object: call for
 * each member; returns UPT_OK and leaves other members alone. upt_role_keys_check() afterwards:
 * UPT_E_BAD_THRESHOLD below 1, UPT_E_MALFORMED when a member was missing.
 */
UPT_NODISCARD enum upt_code upt_role_keys_member(struct upt_json_iter *it, struct upt_arena *arena,
	struct upt_role_keys *role, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_role_keys_check(const struct upt_role_keys *role, const char *name, struct upt_err *err);

/* True when both roles are held by the same key values with the same threshold. */
bool upt_role_keys_same(const struct upt_role_keys *a, const struct upt_keyring *keyring_a,
	const struct upt_role_keys *b, const struct upt_keyring *keyring_b);

#endif
