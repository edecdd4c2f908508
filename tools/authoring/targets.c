#include "authoring/payload.h"

#include <inttypes.h>
#include <stdlib.h>
#include "json/json.h"

cJSON *
upt_author_targets(uint64_t version, int64_t expires)
{
	upt_cleanup(upt_author_json_clear) cJSON *payload = author_payload("targets", version, expires);
	cJSON *result;

	if (payload == NULL || cJSON_AddObjectToObject(payload, "targets") == NULL)
		return NULL;
	result = payload;
	payload = NULL;
	return result;
}

/* custom with the image's release counter in it; custom is taken over. */
static bool
complete_custom(const struct upt_image *image, cJSON **custom)
{
	if (!image->has_release_counter)
		return true;
	if (*custom == NULL)
		*custom = cJSON_CreateObject();
	return *custom != NULL && author_put(*custom, "releaseCounter",
					  cJSON_CreateNumber((double)image->release_counter));
}

static enum upt_code
check_image(const struct upt_image *image, const cJSON *custom, struct upt_err *err)
{
	if (image->name[0] == '\0')
		return upt_fail(err, UPT_E_MALFORMED, "a target without a name");
	if (image->n_digests == 0 || image->n_digests > UPT_MAX_DIGESTS)
		return upt_fail(err, UPT_E_MALFORMED, "target %s has %zu digests, not 1 to %d",
			image->name, image->n_digests, UPT_MAX_DIGESTS);
	if (image->length_bytes > UPT_JSON_MAX_INTEGER)
		return upt_fail(err, UPT_E_MALFORMED,
			"target %s: length %" PRIu64 " exceeds 2^53-1", image->name,
			image->length_bytes);
	if (image->has_release_counter && image->release_counter > UPT_JSON_MAX_INTEGER)
		return upt_fail(err, UPT_E_MALFORMED,
			"target %s: release counter %" PRIu64 " exceeds 2^53-1", image->name,
			image->release_counter);
	if (custom != NULL && !cJSON_IsObject(custom))
		return upt_fail(
			err, UPT_E_MALFORMED, "target %s: custom is no object", image->name);
	return UPT_OK;
}

/* A detached entry under the image's name; *custom is taken over and set to NULL. */
static enum upt_code
make_entry(const struct upt_image *image, cJSON **custom, cJSON **out, struct upt_err *err)
{
	upt_cleanup(upt_author_json_clear) cJSON *entry = cJSON_CreateObject();
	upt_cleanup(upt_author_json_clear) cJSON *own_custom = *custom;
	cJSON *taken;

	*out = NULL;
	*custom = NULL;
	UPT_TRY(check_image(image, own_custom, err));
	if (entry == NULL || !complete_custom(image, &own_custom) ||
		!author_put(entry, "hashes", author_hashes(image->digests, image->n_digests)) ||
		cJSON_AddNumberToObject(entry, "length", (double)image->length_bytes) == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for target %s", image->name);
	taken = own_custom;
	own_custom = NULL;
	if (taken != NULL && !author_put(entry, "custom", taken))
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for target %s", image->name);
	*out = entry;
	entry = NULL;
	return UPT_OK;
}

static enum upt_code
get_targets(cJSON *payload, cJSON **out, struct upt_err *err)
{
	*out = cJSON_GetObjectItemCaseSensitive(payload, "targets");
	if (!cJSON_IsObject(*out))
		return upt_fail(err, UPT_E_MALFORMED, "a payload without targets takes no target");
	return UPT_OK;
}

enum upt_code
upt_author_add_target(
	cJSON *targets, const struct upt_image *image, cJSON *custom, struct upt_err *err)
{
	upt_cleanup(upt_author_json_clear) cJSON *owned = custom;
	cJSON *list, *entry;

	UPT_TRY(get_targets(targets, &list, err));
	UPT_TRY(make_entry(image, &owned, &entry, err));
	if (!author_put(list, image->name, entry))
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for target %s", image->name);
	return UPT_OK;
}

/* All entries of an object, to sort them. The cJSON item holds its name. */
struct entry_ref {
	cJSON *entry;
	size_t order; /* of one name the last one stays */
};

static int
compare_entries(const void *a, const void *b)
{
	const struct entry_ref *x = a, *y = b;
	int order = strcmp(x->entry->string, y->entry->string);

	if (order != 0)
		return order;
	return x->order < y->order ? -1 : x->order > y->order;
}

static size_t
detach_all(cJSON *list, struct entry_ref *all, size_t n)
{
	while (list->child != NULL) {
		all[n].entry = cJSON_DetachItemViaPointer(list, list->child);
		all[n].order = n;
		n++;
	}
	return n;
}

/* Moves every entry of fresh into list, sorted; cannot fail, so that list is never half new. */
static void
merge_sorted(cJSON *list, cJSON *fresh, struct entry_ref *all)
{
	size_t n = detach_all(fresh, all, detach_all(list, all, 0));

	qsort(all, n, sizeof(*all), compare_entries);
	for (size_t i = 0; i < n; i++) {
		if (i + 1 < n && strcmp(all[i].entry->string, all[i + 1].entry->string) == 0)
			cJSON_Delete(all[i].entry);
		else
			cJSON_AddItemToArray(list, all[i].entry);
	}
}

static enum upt_code
make_entries(const struct upt_image *images, cJSON **customs, size_t n, cJSON *fresh,
	struct upt_err *err)
{
	for (size_t i = 0; i < n; i++) {
		cJSON *none = NULL, *entry;
		UPT_TRY(make_entry(&images[i], customs == NULL ? &none : &customs[i], &entry, err));
		/* Appends in constant time and looks for no duplicate. */
		if (!cJSON_AddItemToObject(fresh, images[i].name, entry)) {
			cJSON_Delete(entry);
			return upt_fail(
				err, UPT_E_NO_MEMORY, "no memory for target %s", images[i].name);
		}
	}
	return UPT_OK;
}

static enum upt_code
add_targets(cJSON *targets, const struct upt_image *images, cJSON **customs, size_t n,
	struct upt_err *err)
{
	upt_cleanup(upt_author_json_clear) cJSON *fresh = cJSON_CreateObject();
	upt_cleanup(upt_free_ptr) struct entry_ref *all = NULL;
	cJSON *list;

	UPT_TRY(get_targets(targets, &list, err));
	all = calloc((size_t)cJSON_GetArraySize(list) + n + 1, sizeof(*all));
	if (fresh == NULL || all == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for %zu targets", n);
	UPT_TRY(make_entries(images, customs, n, fresh, err));
	merge_sorted(list, fresh, all);
	return UPT_OK;
}

enum upt_code
upt_author_add_targets(cJSON *targets, const struct upt_image *images, cJSON **customs, size_t n,
	struct upt_err *err)
{
	enum upt_code code = add_targets(targets, images, customs, n, err);

	for (size_t i = 0; customs != NULL && i < n; i++)
		upt_author_json_clear(&customs[i]); /* left only by a failure */
	return code;
}

static bool
add_strings(cJSON *object, const char *name, const char *const *strings, size_t n)
{
	cJSON *array = cJSON_AddArrayToObject(object, name);

	if (array == NULL)
		return false;
	for (size_t i = 0; i < n; i++) {
		cJSON *text = cJSON_CreateString(strings[i]);
		if (text == NULL)
			return false;
		cJSON_AddItemToArray(array, text);
	}
	return true;
}

/* The payload's "delegations", made when it is not there yet; NULL without memory. */
static cJSON *
get_delegations(cJSON *targets)
{
	cJSON *delegations = cJSON_GetObjectItemCaseSensitive(targets, "delegations");

	if (delegations == NULL)
		delegations = cJSON_AddObjectToObject(targets, "delegations");
	if (delegations == NULL)
		return NULL;
	if (cJSON_GetObjectItemCaseSensitive(delegations, "keys") == NULL &&
		cJSON_AddObjectToObject(delegations, "keys") == NULL)
		return NULL;
	if (cJSON_GetObjectItemCaseSensitive(delegations, "roles") == NULL &&
		cJSON_AddArrayToObject(delegations, "roles") == NULL)
		return NULL;
	return delegations;
}

/* An entry with everything but the roles; NULL without memory. */
static cJSON *
make_delegation(const char *name, const struct upt_author_scope *scope)
{
	upt_cleanup(upt_author_json_clear) cJSON *entry = cJSON_CreateObject();
	cJSON *result;

	if (entry == NULL || cJSON_AddStringToObject(entry, "name", name) == NULL ||
		!add_strings(entry, "paths", scope->paths, scope->n_paths) ||
		cJSON_AddBoolToObject(entry, "terminating", scope->terminating) == NULL ||
		(scope->n_hardware_ids > 0 && !add_strings(entry, "hardwareIds",
						      scope->hardware_ids, scope->n_hardware_ids)))
		return NULL;
	result = entry;
	entry = NULL;
	return result;
}

/* Appends *entry, which is taken over on success, and the keys of its roles. */
static enum upt_code
append_delegation(cJSON *targets, cJSON **entry, const struct upt_author_role *roles,
	size_t n_roles, struct upt_err *err)
{
	cJSON *delegations = get_delegations(targets);
	cJSON *keys = cJSON_GetObjectItemCaseSensitive(delegations, "keys");
	cJSON *list = cJSON_GetObjectItemCaseSensitive(delegations, "roles");

	if (delegations == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a delegation");
	if (!cJSON_IsObject(keys) || !cJSON_IsArray(list))
		return upt_fail(err, UPT_E_MALFORMED, "delegations without keys or roles");
	for (size_t i = 0; i < n_roles; i++) {
		if (!author_add_keys(keys, &roles[i]))
			return upt_fail(
				err, UPT_E_NO_MEMORY, "no memory to delegate to %s", roles[i].name);
	}
	cJSON_AddItemToArray(list, *entry);
	*entry = NULL;
	return UPT_OK;
}

enum upt_code
upt_author_add_delegation(cJSON *targets, const struct upt_author_role *role,
	const char *const *paths, size_t n_paths, const char *const *hardware_ids,
	size_t n_hardware_ids, bool terminating, struct upt_err *err)
{
	const struct upt_author_scope scope = {
		paths, n_paths, hardware_ids, n_hardware_ids, terminating};
	upt_cleanup(upt_author_json_clear) cJSON *entry = make_delegation(role->name, &scope);

	if (entry == NULL || !author_add_role(entry, role))
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory to delegate to %s", role->name);
	return append_delegation(targets, &entry, role, 1, err);
}

static bool
add_roleinfo(cJSON *entry, const struct upt_author_role *roles, size_t n_roles)
{
	cJSON *list = cJSON_AddArrayToObject(entry, "roleinfo");

	for (size_t i = 0; list != NULL && i < n_roles; i++) {
		cJSON *item = cJSON_CreateObject();

		if (item == NULL)
			return false;
		cJSON_AddItemToArray(list, item);
		if (cJSON_AddStringToObject(item, "rolename", roles[i].name) == NULL ||
			!author_add_role(item, &roles[i]))
			return false;
	}
	return list != NULL;
}

enum upt_code
upt_author_add_multi_role_delegation(cJSON *targets, const char *name,
	const struct upt_author_role *roles, size_t n_roles, unsigned min_roles,
	const struct upt_author_scope *scope, struct upt_err *err)
{
	upt_cleanup(upt_author_json_clear) cJSON *entry = make_delegation(name, scope);

	if (entry == NULL ||
		cJSON_AddNumberToObject(entry, "min_roles_in_agreement", min_roles) == NULL ||
		!add_roleinfo(entry, roles, n_roles))
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for delegation %s", name);
	return append_delegation(targets, &entry, roles, n_roles, err);
}
