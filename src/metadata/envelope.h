/*
 * The signed envelope {"signatures":[...],"signed":{...}} and the threshold check, shared by every
 * role. Uptane Standard 2.1 "common_metadata" (0.1, 0.2); spellings as deployed servers have them.
 */
#ifndef UPT_METADATA_ENVELOPE_H
#define UPT_METADATA_ENVELOPE_H

#include "metadata/keys.h"

struct upt_signature {
	const char *keyid;
	struct upt_span method; /* empty in plain TUF: the key's scheme decides */
	struct upt_span value; /* decoded from hex or base64 */
};

/* Unverified until upt_envelope_check_threshold() says otherwise. Points into text and the arena.
 */
struct upt_envelope {
	struct upt_json_doc doc;
	const struct upt_json_facts
		*payload; /* `signed`; points into doc: do not copy the struct */
	size_t n_signatures;
	struct upt_signature *signatures;
};

/*
 * Strict reading of a whole file. UPT_E_MALFORMED; UPT_E_DUPLICATE_KEYID when the list names a key
 * id twice, which no honest signer writes.
 */
UPT_NODISCARD enum upt_code upt_envelope_parse(struct upt_span text, struct upt_arena *arena,
	struct upt_envelope *out, struct upt_err *err);

/*
 * UPT_OK when at least role->threshold distinct key values of the role signed the payload, in any
 * one of the three canonical forms. UPT_E_THRESHOLD names both numbers. what: "director root v7".
 */
UPT_NODISCARD enum upt_code
upt_envelope_check_threshold(const struct upt_envelope *envelope, const struct upt_keyring *keyring,
	const struct upt_role_keys *role, const char *what, struct upt_err *err);

/*
 * One signature by one known key, for documents outside the roles (version reports). UPT_OK when
 * key made it over the payload, in any canonical form, with the method that it names;
 * UPT_E_THRESHOLD else.
 */
UPT_NODISCARD enum upt_code upt_envelope_check_signature(const struct upt_envelope *envelope,
	const struct upt_signature *sig, const struct upt_public_key *key, struct upt_err *err);

#endif
