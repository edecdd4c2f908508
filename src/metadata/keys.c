#include "metadata/keys.h"

#include "metadata/limits.h"

/*
 * Asks twice before it calls a key unusable: OpenSSL reports some failed allocations as a broken
 * key, and a key that is lost that way looks like a rotation, after which the client forgets what
 * protects it from rollback (6.7).
 */
static enum upt_code
parse_value(struct upt_span keytype, struct upt_span text, struct upt_public_key **out,
	struct upt_err *err)
{
	enum upt_code code = upt_public_key_parse(keytype, text, out, err);

	if (code == UPT_E_MALFORMED || code == UPT_E_UNSUPPORTED)
		code = upt_public_key_parse(keytype, text, out, err);
	return code;
}

/* The value of the key that known lists in the same words, else a new one. */
static enum upt_code
get_value(const struct upt_keyring *known, struct upt_key *key, struct upt_err *err)
{
	const struct upt_key *same = known != NULL ? upt_keyring_find(known, key->id) : NULL;

	if (same != NULL && same->key != NULL && upt_span_equal(same->keytype, key->keytype) &&
		upt_span_equal(same->text, key->text))
		return upt_public_key_share(same->key, &key->key, err);
	return parse_value(key->keytype, key->text, &key->key, err);
}

static enum upt_code
parse_key(struct upt_json_iter *it, struct upt_arena *arena, const struct upt_keyring *known,
	struct upt_key *out, struct upt_err *err)
{
	struct upt_json_iter members = upt_json_enter(it), keyval;
	struct upt_span raw;
	enum upt_code code;

	if (it->type != UPT_JSON_OBJECT)
		return upt_fail(err, UPT_E_MALFORMED, "key %s is no object", out->id);
	while (upt_json_next(&members)) {
		if (upt_json_key_is(&members, "keytype") && upt_json_raw_string(&members, &raw)) {
			UPT_TRY(upt_json_decode(arena, raw, &out->keytype, err));
		} else if (upt_json_key_is(&members, "scheme") &&
			   upt_json_raw_string(&members, &raw)) {
			UPT_TRY(upt_json_decode(arena, raw, &out->scheme, err));
		} else if (upt_json_key_is(&members, "keyval") && members.type == UPT_JSON_OBJECT) {
			keyval = upt_json_enter(&members);
			while (upt_json_next(&keyval)) {
				if (upt_json_key_is(&keyval, "public") &&
					upt_json_raw_string(&keyval, &raw))
					UPT_TRY(upt_json_decode(arena, raw, &out->text, err));
			}
		}
	}
	code = get_value(known, out, err);
	/* Fifteen years of service will bring key types this build has never heard of; such a key
	 * is listed and never counts, beside enough known ones the document still verifies. */
	return code == UPT_E_NO_MEMORY || code == UPT_E_INTERNAL ? code : UPT_OK;
}

static size_t
count_members(struct upt_json_iter it)
{
	struct upt_json_iter members = upt_json_iter(upt_json_value(&it));
	size_t n = 0;

	while (upt_json_next(&members))
		n++;
	return n;
}

enum upt_code
upt_keyring_parse(struct upt_json_iter *it, struct upt_arena *arena,
	const struct upt_keyring *known, struct upt_keyring *out, struct upt_err *err)
{
	struct upt_json_iter members;
	size_t n;

	*out = (struct upt_keyring){0};
	if (it->type != UPT_JSON_OBJECT)
		return upt_fail(err, UPT_E_MALFORMED, "keys is no object");
	n = count_members(*it);
	if (n > UPT_MAX_KEYS)
		return upt_fail(err, UPT_E_MALFORMED, "%zu keys, more than the %d allowed", n,
			UPT_MAX_KEYS);
	out->keys = upt_arena_alloc(arena, n, sizeof(*out->keys));
	if (out->keys == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for %zu keys", n);
	members = upt_json_enter(it);
	while (upt_json_next(&members)) {
		struct upt_key *key = &out->keys[out->n_keys];

		if (members.key.len == 0 || members.key.len > UPT_MAX_KEYID_BYTES)
			return upt_fail(err, UPT_E_MALFORMED, "a key id of %zu characters",
				members.key.len);
		UPT_TRY(upt_json_decode_string(arena, members.key, &key->id, err));
		out->n_keys++;
		UPT_TRY(parse_key(&members, arena, known, key, err));
	}
	return UPT_OK;
}

void
upt_keyring_clear(struct upt_keyring *keyring)
{
	for (size_t i = 0; i < keyring->n_keys; i++)
		upt_public_key_free(&keyring->keys[i].key);
	*keyring = (struct upt_keyring){0};
}

const struct upt_key *
upt_keyring_find(const struct upt_keyring *keyring, const char *id)
{
	for (size_t i = 0; i < keyring->n_keys; i++) {
		if (strcmp(keyring->keys[i].id, id) == 0)
			return &keyring->keys[i];
	}
	return NULL;
}

static enum upt_code
parse_keyids(struct upt_json_iter *it, struct upt_arena *arena, struct upt_role_keys *role,
	struct upt_err *err)
{
	struct upt_json_iter ids;
	struct upt_span raw;
	size_t n = count_members(*it);

	if (it->type != UPT_JSON_ARRAY || n > UPT_MAX_ROLE_KEYIDS)
		return upt_fail(err, UPT_E_MALFORMED, "keyids is no list of at most %d",
			UPT_MAX_ROLE_KEYIDS);
	role->keyids = upt_arena_alloc(arena, n + 1, sizeof(*role->keyids));
	if (role->keyids == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for %zu key ids", n);
	ids = upt_json_enter(it);
	while (upt_json_next(&ids)) {
		const char *id;

		if (!upt_json_raw_string(&ids, &raw) || raw.len > UPT_MAX_KEYID_BYTES)
			return upt_fail(err, UPT_E_MALFORMED,
				"a key id is no string of at most %d bytes", UPT_MAX_KEYID_BYTES);
		UPT_TRY(upt_json_decode_string(arena, raw, &id, err));
		for (size_t i = 0; i < role->n_keyids; i++) {
			if (strcmp(role->keyids[i], id) == 0)
				return upt_fail(err, UPT_E_DUPLICATE_KEYID,
					"a role lists key id %.16s... twice", id);
		}
		role->keyids[role->n_keyids++] = id;
	}
	return UPT_OK;
}

enum upt_code
upt_role_keys_member(struct upt_json_iter *it, struct upt_arena *arena, struct upt_role_keys *role,
	struct upt_err *err)
{
	if (upt_json_key_is(it, "keyids"))
		return parse_keyids(it, arena, role, err);
	if (upt_json_key_is(it, "threshold")) {
		if (!upt_json_u64(it, &role->threshold))
			return upt_fail(err, UPT_E_MALFORMED, "threshold is no whole number");
		/* 0 would accept a document that nobody signed. */
		if (role->threshold < 1)
			return upt_fail(err, UPT_E_BAD_THRESHOLD,
				"threshold 0: unsigned documents would pass");
	}
	return UPT_OK;
}

enum upt_code
upt_role_keys_check(const struct upt_role_keys *role, const char *name, struct upt_err *err)
{
	if (role->keyids == NULL)
		return upt_fail(err, UPT_E_MALFORMED, "role %s lists no keyids", name);
	if (role->threshold < 1)
		return upt_fail(err, UPT_E_MALFORMED, "role %s has no threshold", name);
	return UPT_OK;
}

/* The values of a role's usable keys; a key under two ids stands there twice. */
struct prints {
	size_t n;
	const uint8_t *list[UPT_MAX_ROLE_KEYIDS];
};

static void
collect(const struct upt_role_keys *role, const struct upt_keyring *keyring, struct prints *out)
{
	out->n = 0;
	for (size_t i = 0; i < role->n_keyids; i++) {
		const struct upt_key *key = upt_keyring_find(keyring, role->keyids[i]);

		if (key != NULL && key->key != NULL)
			out->list[out->n++] = upt_public_key_fingerprint(key->key);
	}
}

static bool
holds(const struct prints *prints, const uint8_t *print)
{
	for (size_t i = 0; i < prints->n; i++) {
		if (memcmp(prints->list[i], print, 32) == 0)
			return true;
	}
	return false;
}

static bool
holds_all(const struct prints *a, const struct prints *b)
{
	for (size_t i = 0; i < b->n; i++) {
		if (!holds(a, b->list[i]))
			return false;
	}
	return true;
}

bool
upt_role_keys_same(const struct upt_role_keys *a, const struct upt_keyring *keyring_a,
	const struct upt_role_keys *b, const struct upt_keyring *keyring_b)
{
	struct prints prints_a, prints_b;

	if (a->threshold != b->threshold)
		return false;
	collect(a, keyring_a, &prints_a);
	collect(b, keyring_b, &prints_b);
	return holds_all(&prints_a, &prints_b) && holds_all(&prints_b, &prints_a);
}
