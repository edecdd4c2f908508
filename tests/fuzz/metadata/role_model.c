#include "role_model.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <strings.h>
#include <time.h>

#include "fuzz.h"
#include "metadata/limits.h"

static const cJSON *
get(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* A number that is there, and ours. */
static void
same_number(const cJSON *item, uint64_t ours)
{
	FUZZ_ASSERT(cJSON_IsNumber(item) && item->valuedouble == (double)ours);
	FUZZ_ASSERT(ours <= UPT_JSON_MAX_INTEGER);
}

static void
same_text(const cJSON *item, const char *ours)
{
	FUZZ_ASSERT(cJSON_IsString(item) && strcmp(item->valuestring, ours) == 0);
}

static size_t
size_of(const cJSON *container)
{
	return (size_t)cJSON_GetArraySize(container);
}

/* ---- what all roles have ---- */

static void
check_expires(const cJSON *item, int64_t ours)
{
	struct tm tm = {0};
	const char *end;

	FUZZ_ASSERT(cJSON_IsString(item));
	end = strptime(item->valuestring, "%Y-%m-%dT%H:%M:%SZ", &tm);
	FUZZ_ASSERT(end != NULL && *end == '\0' && timegm(&tm) == ours);
}

static void
check_signatures(const cJSON *list, const struct upt_envelope *envelope)
{
	const cJSON *item, *other;
	size_t i = 0;

	FUZZ_ASSERT(cJSON_IsArray(list) && size_of(list) == envelope->n_signatures);
	FUZZ_ASSERT(envelope->n_signatures <= UPT_MAX_SIGNATURES);
	cJSON_ArrayForEach(item, list)
	{
		same_text(get(item, "keyid"), envelope->signatures[i++].keyid);
		for (other = item->next; other != NULL; other = other->next)
			FUZZ_ASSERT(strcmp(get(item, "keyid")->valuestring,
					    get(other, "keyid")->valuestring) != 0);
	}
}

/* ---- hashes ---- */

static bool
is_hex_of(const char *text, const struct upt_digest *digest)
{
	if (strlen(text) != 2 * digest->len)
		return false;
	for (size_t i = 0; i < digest->len; i++) {
		char byte[3];

		snprintf(byte, sizeof(byte), "%02x", digest->bytes[i]);
		if (tolower(text[2 * i]) != byte[0] || tolower(text[2 * i + 1]) != byte[1])
			return false;
	}
	return true;
}

/* Every known hash that is listed is there, in ours, once; nothing else is. */
static void
check_hashes(const cJSON *hashes, const struct upt_digest *digests, size_t n_digests)
{
	const cJSON *sha256 = get(hashes, "sha256"), *sha512 = get(hashes, "sha512");
	const cJSON *item;
	size_t n = 0;

	FUZZ_ASSERT(cJSON_IsObject(hashes) && hashes->child != NULL);
	cJSON_ArrayForEach(item, hashes) FUZZ_ASSERT(cJSON_IsString(item));
	if (sha256 != NULL)
		FUZZ_ASSERT(n < n_digests && digests[n].alg == UPT_HASH_SHA256 &&
			    is_hex_of(sha256->valuestring, &digests[n]) && ++n > 0);
	if (sha512 != NULL)
		FUZZ_ASSERT(n < n_digests && digests[n].alg == UPT_HASH_SHA512 &&
			    is_hex_of(sha512->valuestring, &digests[n]) && ++n > 0);
	FUZZ_ASSERT(n == n_digests);
}

static void
check_file_meta(const cJSON *meta, const struct upt_file_meta *ours)
{
	const cJSON *length = get(meta, "length"), *hashes = get(meta, "hashes");

	FUZZ_ASSERT(cJSON_IsObject(meta) && ours->version > 0);
	same_number(get(meta, "version"), ours->version);
	FUZZ_ASSERT(ours->has_length == (length != NULL));
	if (length != NULL)
		same_number(length, ours->length_bytes);
	FUZZ_ASSERT((ours->n_digests > 0) == (hashes != NULL));
	if (hashes != NULL)
		check_hashes(hashes, ours->digests, ours->n_digests);
}

/* ---- keys and roles ---- */

static void
check_keyring(const cJSON *keys, const struct upt_keyring *ours)
{
	const cJSON *key;
	size_t i = 0;

	FUZZ_ASSERT(cJSON_IsObject(keys) && size_of(keys) == ours->n_keys);
	FUZZ_ASSERT(ours->n_keys <= UPT_MAX_KEYS);
	cJSON_ArrayForEach(key, keys)
	{
		const cJSON *public = get(get(key, "keyval"), "public");
		const struct upt_key *found = &ours->keys[i++];

		FUZZ_ASSERT(cJSON_IsObject(key) && strcmp(found->id, key->string) == 0);
		FUZZ_ASSERT(upt_keyring_find(ours, key->string) == found);
		/* What can count has a type and a value. */
		FUZZ_ASSERT(found->key == NULL ||
			    (cJSON_IsString(get(key, "keytype")) && cJSON_IsString(public)));
		if (found->key != NULL &&
			strcasecmp(get(key, "keytype")->valuestring, "ed25519") == 0)
			FUZZ_ASSERT(strlen(public->valuestring) == 64);
	}
}

static void
check_role_keys(const cJSON *role, const struct upt_role_keys *ours)
{
	const cJSON *keyids = get(role, "keyids"), *id;
	size_t i = 0;

	FUZZ_ASSERT(cJSON_IsObject(role) && ours->threshold > 0);
	same_number(get(role, "threshold"), ours->threshold);
	FUZZ_ASSERT(cJSON_IsArray(keyids) && size_of(keyids) == ours->n_keyids);
	cJSON_ArrayForEach(id, keyids)
	{
		same_text(id, ours->keyids[i]);
		for (size_t k = 0; k < i; k++)
			FUZZ_ASSERT(strcmp(ours->keyids[k], ours->keyids[i]) != 0);
		i++;
	}
}

static void
check_root(const cJSON *payload, const struct upt_root *ours)
{
	const cJSON *consistent = get(payload, "consistent_snapshot");

	FUZZ_ASSERT(consistent == NULL || cJSON_IsBool(consistent));
	FUZZ_ASSERT(ours->consistent_snapshot == (cJSON_IsTrue(consistent) != 0));
	check_keyring(get(payload, "keys"), &ours->keyring);
	FUZZ_ASSERT(ours->has_role[UPT_ROLE_ROOT] && ours->has_role[UPT_ROLE_TARGETS]);
	for (int role = 0; role < UPT_N_ROLES; role++) {
		const cJSON *theirs =
			get(get(payload, "roles"), upt_role_name((enum upt_role)role));

		FUZZ_ASSERT(ours->has_role[role] == (theirs != NULL));
		if (theirs != NULL)
			check_role_keys(theirs, &ours->roles[role]);
	}
}

/* ---- timestamp and snapshot ---- */

static void
check_snapshot(const cJSON *payload, const struct upt_snapshot *ours)
{
	const cJSON *meta = get(payload, "meta"), *file;
	size_t i = 0;

	FUZZ_ASSERT(cJSON_IsObject(meta) && size_of(meta) == ours->n_files);
	FUZZ_ASSERT(get(meta, "targets.json") != NULL);
	cJSON_ArrayForEach(file, meta)
	{
		FUZZ_ASSERT(upt_span_equal(ours->files[i].name, upt_span_str(file->string)));
		check_file_meta(file, &ours->files[i++]);
	}
}

/* ---- targets ---- */

static void
check_strings(const cJSON *list, const char *const *ours, size_t n)
{
	const cJSON *item;
	size_t i = 0;

	FUZZ_ASSERT(size_of(list) == n && (list == NULL || cJSON_IsArray(list)));
	cJSON_ArrayForEach(item, list) same_text(item, ours[i++]);
}

/* The roles of a delegation: itself, or those in its roleinfo. */
static void
check_delegated_roles(const cJSON *delegation, const struct upt_delegation *ours)
{
	const cJSON *list = get(delegation, "roleinfo"), *role;
	size_t i = 0;

	if (list == NULL) {
		FUZZ_ASSERT(ours->n_roles == 1 && ours->min_roles == 1);
		FUZZ_ASSERT(strcmp(ours->roles[0].name, ours->name) == 0);
		check_role_keys(delegation, &ours->roles[0].keys);
		return;
	}
	FUZZ_ASSERT(get(delegation, "keyids") == NULL && get(delegation, "threshold") == NULL);
	FUZZ_ASSERT(size_of(list) == ours->n_roles && ours->n_roles <= UPT_MAX_MULTI_ROLES);
	FUZZ_ASSERT(ours->min_roles >= 1 && ours->min_roles <= ours->n_roles);
	FUZZ_ASSERT(get(delegation, "min_roles_in_agreement")->valuedouble ==
		(double)ours->min_roles);
	cJSON_ArrayForEach(role, list)
	{
		same_text(get(role, "rolename"), ours->roles[i].name);
		check_role_keys(role, &ours->roles[i].keys);
		for (size_t k = 0; k < i; k++)
			FUZZ_ASSERT(strcmp(ours->roles[k].name, ours->roles[i].name) != 0);
		i++;
	}
}

static void
check_delegation(const cJSON *role, const struct upt_delegation *ours)
{
	const cJSON *paths = get(role, "paths"), *prefixes = get(role, "path_hash_prefixes");
	const cJSON *terminating = get(role, "terminating");

	same_text(get(role, "name"), ours->name);
	FUZZ_ASSERT(ours->name[0] != '\0');
	check_delegated_roles(role, ours);
	for (int top = 0; top < UPT_N_ROLES; top++) {
		for (size_t i = 0; i < ours->n_roles; i++)
			FUZZ_ASSERT(strcmp(ours->roles[i].name,
					    upt_role_name((enum upt_role)top)) != 0);
	}
	FUZZ_ASSERT((paths != NULL) != (prefixes != NULL));
	check_strings(paths, ours->paths, ours->n_paths);
	check_strings(prefixes, ours->hash_prefixes, ours->n_hash_prefixes);
	FUZZ_ASSERT(ours->has_hardware_ids == (get(role, "hardwareIds") != NULL));
	check_strings(get(role, "hardwareIds"), ours->hardware_ids, ours->n_hardware_ids);
	FUZZ_ASSERT(terminating == NULL || cJSON_IsBool(terminating));
	FUZZ_ASSERT(ours->terminating == (cJSON_IsTrue(terminating) != 0));
}

static void
check_delegations(const cJSON *delegations, const struct upt_targets *ours)
{
	const cJSON *roles = get(delegations, "roles"), *keys = get(delegations, "keys"), *role;
	size_t i = 0;

	FUZZ_ASSERT(
		delegations == NULL || cJSON_IsNull(delegations) || cJSON_IsObject(delegations));
	FUZZ_ASSERT(size_of(roles) == ours->n_delegations);
	FUZZ_ASSERT(ours->has_delegations == (size_of(roles) > 0 || size_of(keys) > 0));
	if (keys != NULL)
		check_keyring(keys, &ours->keyring);
	cJSON_ArrayForEach(role, roles)
	{
		check_delegation(role, &ours->delegations[i]);
		for (size_t k = 0; k < i; k++)
			FUZZ_ASSERT(
				strcmp(ours->delegations[k].name, ours->delegations[i].name) != 0);
		i++;
	}
}

static void
check_ecus(const cJSON *ecus, const struct upt_target *ours)
{
	const cJSON *ecu;
	size_t i = 0;

	FUZZ_ASSERT(size_of(ecus) == ours->n_ecus && (ecus == NULL || cJSON_IsObject(ecus)));
	cJSON_ArrayForEach(ecu, ecus)
	{
		FUZZ_ASSERT(strcmp(ours->ecus[i].serial, ecu->string) == 0);
		same_text(get(ecu, "hardwareId"), ours->ecus[i++].hardware_id);
	}
}

static void
check_custom(const cJSON *custom, const struct upt_target *ours)
{
	const cJSON *uri = get(custom, "uri"), *format = get(custom, "targetFormat");
	const cJSON *counter = get(custom, "releaseCounter");

	FUZZ_ASSERT((ours->custom.len > 0) == cJSON_IsObject(custom));
	FUZZ_ASSERT(ours->image.has_release_counter == (counter != NULL));
	if (counter != NULL)
		same_number(counter, ours->image.release_counter);
	FUZZ_ASSERT(ours->has_hardware_ids == (get(custom, "hardwareIds") != NULL));
	check_strings(get(custom, "hardwareIds"), ours->hardware_ids, ours->n_hardware_ids);
	check_ecus(get(custom, "ecuIdentifiers"), ours);
	if (format != NULL)
		same_text(format, ours->format);
	else
		FUZZ_ASSERT(ours->format[0] == '\0');
	if (ours->uri != NULL)
		same_text(uri, ours->uri);
	else
		FUZZ_ASSERT(uri == NULL || cJSON_IsNull(uri) || uri->valuestring[0] == '\0');
	FUZZ_ASSERT((ours->must_match.len > 0) == (get(custom, "mustMatch") != NULL));
}

static void
check_target(const cJSON *entry, const struct upt_targets *targets, size_t i)
{
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	const cJSON *custom = get(entry, "custom");
	struct upt_target ours;

	FUZZ_ASSERT(cJSON_IsObject(entry));
	FUZZ_ASSERT(custom == NULL || cJSON_IsObject(custom) || cJSON_IsNull(custom));
	if (upt_targets_get(targets, i, &arena, &ours, NULL) != UPT_OK) {
		/* Only what custom says may be wrong by now. */
		FUZZ_ASSERT(cJSON_IsObject(custom));
		return;
	}
	FUZZ_ASSERT(strcmp(ours.image.name, entry->string) == 0);
	same_number(get(entry, "length"), ours.image.length_bytes);
	check_hashes(get(entry, "hashes"), ours.image.digests, ours.image.n_digests);
	check_custom(custom, &ours);
}

static void
check_targets(const cJSON *payload, const struct upt_targets *ours)
{
	const cJSON *list = get(payload, "targets"), *entry;
	size_t i = 0;

	FUZZ_ASSERT(cJSON_IsObject(list) && size_of(list) == ours->n_targets);
	cJSON_ArrayForEach(entry, list) check_target(entry, ours, i++);
	check_delegations(get(payload, "delegations"), ours);
	FUZZ_ASSERT((ours->custom.len > 0) == cJSON_IsObject(get(payload, "custom")));
}

void
role_model_check(const struct upt_metadata *m)
{
	cJSON *tree = cJSON_ParseWithLength((const char *)m->bytes.data, m->bytes.len);
	const cJSON *payload = get(tree, "signed");

	FUZZ_ASSERT(cJSON_IsObject(payload));
	FUZZ_ASSERT(cJSON_IsString(get(payload, "_type")) &&
		    strcasecmp(get(payload, "_type")->valuestring, upt_role_name(m->role)) == 0);
	FUZZ_ASSERT(m->version > 0);
	same_number(get(payload, "version"), m->version);
	check_expires(get(payload, "expires"), m->expires);
	check_signatures(get(tree, "signatures"), &m->envelope);
	if (m->role == UPT_ROLE_ROOT)
		check_root(payload, &m->root);
	if (m->role == UPT_ROLE_TIMESTAMP)
		check_file_meta(get(get(payload, "meta"), "snapshot.json"), &m->timestamp.snapshot);
	if (m->role == UPT_ROLE_SNAPSHOT)
		check_snapshot(payload, &m->snapshot);
	if (m->role == UPT_ROLE_TARGETS)
		check_targets(payload, &m->targets);
	cJSON_Delete(tree);
}
