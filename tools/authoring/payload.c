#include "authoring/payload.h"

#include "base/clock.h"
#include "base/encode.h"
#include "json/json.h"

void
upt_author_json_clear(cJSON **json)
{
	cJSON_Delete(*json);
	*json = NULL;
}

cJSON *
author_payload(const char *type, uint64_t version, int64_t expires)
{
	upt_cleanup(upt_author_json_clear) cJSON *payload = cJSON_CreateObject();
	char time[UPT_TIME_TEXT_SIZE];
	cJSON *result;

	upt_time_format(expires, time);
	if (payload == NULL || cJSON_AddStringToObject(payload, "_type", type) == NULL ||
		cJSON_AddStringToObject(payload, "expires", time) == NULL ||
		cJSON_AddStringToObject(payload, "spec_version", UPT_AUTHOR_SPEC_VERSION) == NULL ||
		cJSON_AddNumberToObject(payload, "version", (double)version) == NULL)
		return NULL;
	result = payload;
	payload = NULL;
	return result;
}

bool
author_put(cJSON *object, const char *name, cJSON *value)
{
	cJSON *old;

	if (value == NULL)
		return false;
	old = cJSON_DetachItemFromObjectCaseSensitive(object, name);
	if (!cJSON_AddItemToObject(object, name, value)) {
		cJSON_Delete(value);
		if (old != NULL)
			cJSON_AddItemToObject(object, name, old);
		return false;
	}
	cJSON_Delete(old);
	return true;
}

bool
author_exact(double number, uint64_t *out)
{
	*out = 0;
	if (!(number >= 0 && number <= (double)UPT_JSON_MAX_INTEGER))
		return false;
	if ((double)(uint64_t)number != number)
		return false;
	*out = (uint64_t)number;
	return true;
}

cJSON *
author_hashes(const struct upt_digest *digests, size_t n)
{
	upt_cleanup(upt_author_json_clear) cJSON *hashes = cJSON_CreateObject();
	char hex[2 * UPT_HASH_MAX_BYTES + 1];
	cJSON *result;

	for (size_t i = 0; hashes != NULL && i < n; i++) {
		upt_hex_encode(upt_span(digests[i].bytes, digests[i].len), hex);
		if (!author_put(hashes, upt_hash_name(digests[i].alg), cJSON_CreateString(hex)))
			return NULL;
	}
	result = hashes;
	hashes = NULL;
	return result;
}

cJSON *
upt_author_key(const struct upt_private_key *key)
{
	upt_cleanup(upt_author_json_clear) cJSON *object = cJSON_CreateObject();
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	cJSON *keyval, *result;

	if (object == NULL || upt_private_key_public_text(key, &text, NULL) != UPT_OK)
		return NULL;
	if (cJSON_AddStringToObject(object, "keytype", upt_private_key_type(key)) == NULL ||
		(keyval = cJSON_AddObjectToObject(object, "keyval")) == NULL ||
		cJSON_AddStringToObject(keyval, "public", (const char *)text.data) == NULL ||
		cJSON_AddStringToObject(object, "scheme", upt_private_key_method(key)) == NULL)
		return NULL;
	result = object;
	object = NULL;
	return result;
}

bool
author_add_keys(cJSON *keys, const struct upt_author_role *role)
{
	char id[65];

	for (size_t i = 0; i < role->n_keys; i++) {
		upt_private_key_id(role->keys[i], id);
		if (cJSON_GetObjectItemCaseSensitive(keys, id) == NULL &&
			!author_put(keys, id, upt_author_key(role->keys[i])))
			return false;
	}
	return true;
}

bool
author_add_role(cJSON *object, const struct upt_author_role *role)
{
	cJSON *ids = cJSON_AddArrayToObject(object, "keyids");
	char id[65];

	if (ids == NULL)
		return false;
	for (size_t i = 0; i < role->n_keys; i++) {
		cJSON *text;
		upt_private_key_id(role->keys[i], id);
		text = cJSON_CreateString(id);
		if (text == NULL)
			return false;
		cJSON_AddItemToArray(ids, text);
	}
	return cJSON_AddNumberToObject(object, "threshold", role->threshold) != NULL;
}

cJSON *
upt_author_root(uint64_t version, int64_t expires, bool consistent_snapshot,
	const struct upt_author_role *roles, size_t n_roles)
{
	upt_cleanup(upt_author_json_clear) cJSON *root = author_payload("root", version, expires);
	cJSON *keys, *list, *result;

	if (root == NULL ||
		cJSON_AddBoolToObject(root, "consistent_snapshot", consistent_snapshot) == NULL ||
		(keys = cJSON_AddObjectToObject(root, "keys")) == NULL ||
		(list = cJSON_AddObjectToObject(root, "roles")) == NULL)
		return NULL;
	for (size_t i = 0; i < n_roles; i++) {
		cJSON *role = cJSON_AddObjectToObject(list, roles[i].name);
		if (role == NULL || !author_add_keys(keys, &roles[i]) ||
			!author_add_role(role, &roles[i]))
			return NULL;
	}
	result = root;
	root = NULL;
	return result;
}

static cJSON *
payload_with_meta(const char *type, uint64_t version, int64_t expires)
{
	upt_cleanup(upt_author_json_clear) cJSON *payload = author_payload(type, version, expires);
	cJSON *result;

	if (payload == NULL || cJSON_AddObjectToObject(payload, "meta") == NULL)
		return NULL;
	result = payload;
	payload = NULL;
	return result;
}

cJSON *
upt_author_snapshot(uint64_t version, int64_t expires)
{
	return payload_with_meta("snapshot", version, expires);
}

cJSON *
upt_author_timestamp(uint64_t version, int64_t expires)
{
	return payload_with_meta("timestamp", version, expires);
}

static enum upt_code
list_file(cJSON *payload, const char *file_name, uint64_t version, struct upt_span bytes,
	struct upt_err *err)
{
	upt_cleanup(upt_author_json_clear) cJSON *entry = cJSON_CreateObject();
	cJSON *meta = cJSON_GetObjectItemCaseSensitive(payload, "meta");
	struct upt_digest digest;
	cJSON *taken;

	if (!cJSON_IsObject(meta))
		return upt_fail(
			err, UPT_E_MALFORMED, "a payload without meta cannot list %s", file_name);
	UPT_TRY(upt_hash_span(UPT_HASH_SHA256, bytes, &digest, err));
	if (entry == NULL || !author_put(entry, "hashes", author_hashes(&digest, 1)) ||
		cJSON_AddNumberToObject(entry, "length", (double)bytes.len) == NULL ||
		cJSON_AddNumberToObject(entry, "version", (double)version) == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory to list %s", file_name);
	taken = entry;
	entry = NULL;
	if (!author_put(meta, file_name, taken))
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory to list %s", file_name);
	return UPT_OK;
}

enum upt_code
upt_author_snapshot_add(cJSON *snapshot, const char *file_name, uint64_t version,
	struct upt_span bytes, struct upt_err *err)
{
	return list_file(snapshot, file_name, version, bytes, err);
}

enum upt_code
upt_author_timestamp_set(cJSON *timestamp, uint64_t snapshot_version,
	struct upt_span snapshot_bytes, struct upt_err *err)
{
	return list_file(timestamp, "snapshot.json", snapshot_version, snapshot_bytes, err);
}
