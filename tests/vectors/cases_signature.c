/* Signatures and thresholds (0.1, 0.2, 6.3, 7.2, 8.3, 9.3). */
#include <stdio.h>
#include "cases.h"

#define PROVES "0.1 0.2 6.3 7.2 8.3 9.3"

/* ---- one signature ---- */

static void
unsign(struct scene *s, enum upt_repo repo, const char *role)
{
	cJSON *list = scene_signatures(s, repo, role);

	while (cJSON_GetArraySize(list) > 0)
		cJSON_DeleteItemFromArray(list, 0);
}

static void
sign_by_thief(struct scene *s, enum upt_repo repo, const char *role)
{
	scene_signing(s, repo, role)->keys = "thief-1";
}

static void
key_id_of(struct scene *s, enum upt_repo repo, const char *role, char out[static 65])
{
	const struct upt_private_key *key;
	char name[80];

	snprintf(name, sizeof(name), "%s/%s-1", upt_repo_name(repo), role);
	key = generator_key(s->gen, name);
	upt_private_key_id(key, out);
}

static void
sign_by_thief_in_other_name(struct scene *s, enum upt_repo repo, const char *role)
{
	char id[65];

	key_id_of(s, repo, role, id);
	sign_by_thief(s, repo, role);
	set(scene_signatures(s, repo, role), "0/keyid", str(id));
}

static void
sign_by_other_repository(struct scene *s, enum upt_repo repo, const char *role)
{
	static char keys[80];

	snprintf(keys, sizeof(keys), "%s/%s-1", repo == IMAGE ? "director" : "image",
		strcmp(role, "team") == 0 ? "targets" : role);
	scene_signing(s, repo, role)->keys = keys;
}

static void
sign_by_other_role(struct scene *s, enum upt_repo repo, const char *role)
{
	scene_signing(s, repo, role)->keys =
		strcmp(role, "snapshot") == 0 ? "timestamp-1" : "snapshot-1";
}

static void
spoil_signature(struct scene *s, enum upt_repo repo, const char *role)
{
	char *sig = at(scene_signatures(s, repo, role), "0/sig")->valuestring;

	sig[10] = sig[10] == '0' ? '1' : '0';
}

static void
shorten_signature(struct scene *s, enum upt_repo repo, const char *role)
{
	char *sig = at(scene_signatures(s, repo, role), "0/sig")->valuestring;

	sig[strlen(sig) - 2] = '\0';
}

static void
empty_signature(struct scene *s, enum upt_repo repo, const char *role)
{
	set(scene_signatures(s, repo, role), "0/sig", str(""));
}

static void
change_after_signing(struct scene *s, enum upt_repo repo, const char *role)
{
	scene_signatures(s, repo, role);
	replace(scene_text(s, repo, role), "\"1.0.0\"", "\"1.0.1\"");
}

static void
name_unknown_method(struct scene *s, enum upt_repo repo, const char *role)
{
	scene_signing(s, repo, role)->method = "crystals-9000";
}

static void
name_other_method(struct scene *s, enum upt_repo repo, const char *role)
{
	scene_signing(s, repo, role)->method = "rsassa-pss-sha256";
}

static void
sign_twice(struct scene *s, enum upt_repo repo, const char *role)
{
	cJSON *list = scene_signatures(s, repo, role);

	cJSON_AddItemToArray(list, cJSON_Duplicate(cJSON_GetArrayItem(list, 0), true));
}

static void
many_signatures(struct scene *s, enum upt_repo repo, const char *role)
{
	cJSON *list = scene_signatures(s, repo, role);

	for (int i = 0; i < 512; i++) {
		cJSON *more = cJSON_Duplicate(cJSON_GetArrayItem(list, 0), true);
		char id[16];

		snprintf(id, sizeof(id), "none-%d", i);
		set(more, "keyid", str(id));
		cJSON_AddItemToArray(list, more);
	}
}

static void
no_keyid(struct scene *s, enum upt_repo repo, const char *role)
{
	drop(scene_signatures(s, repo, role), "0/keyid");
}

static void
long_keyid(struct scene *s, enum upt_repo repo, const char *role)
{
	char id[258];

	memset(id, 'a', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	set(scene_signatures(s, repo, role), "0/keyid", str(id));
}

/* ---- two signatures ---- */

static const char *
two_keys(const char *role)
{
	static char keys[80];

	snprintf(keys, sizeof(keys), "%s-1 %s-2", role, role);
	return keys;
}

static void
need_two(struct scene *s, enum upt_repo repo, const char *role)
{
	if (strcmp(role, "team") != 0) {
		scene_plan(s, repo, role, two_keys(role), 2);
		return;
	}
	drop(scene_body(s, IMAGE, "targets"), "delegations");
	snprintf(scene_doc(s, IMAGE, "team")->keys, 512, "%s", two_keys(role));
	scene_delegate(s,
		&(struct delegation){.from = "targets",
			.to = "team",
			.keys = two_keys(role),
			.threshold = 2,
			.path = "app-*"});
}

static void
sign_once(struct scene *s, enum upt_repo repo, const char *role)
{
	drop(scene_signatures(s, repo, role), "1");
}

static void
sign_once_and_by_thief(struct scene *s, enum upt_repo repo, const char *role)
{
	static char keys[80];

	snprintf(keys, sizeof(keys), "%s-1 thief-1", role);
	scene_signing(s, repo, role)->keys = keys;
}

/* What lists the keys of a role, and the role's object in it. */
static cJSON *
definition(struct scene *s, enum upt_repo repo, const char *role, cJSON **keys)
{
	cJSON *root;

	if (strcmp(role, "team") == 0) {
		*keys = at(scene_body(s, IMAGE, "targets"), "delegations/keys");
		return at(scene_body(s, IMAGE, "targets"), "delegations/roles/0");
	}
	root = scene_payload(s, repo, "root");
	*keys = at(root, "keys");
	return cJSON_GetObjectItemCaseSensitive(at(root, "roles"), role);
}

/* The role's first key again, under another id. */
static void
list_alias(struct scene *s, enum upt_repo repo, const char *role)
{
	cJSON *keys, *defined;
	char id[65];

	defined = definition(s, repo, role, &keys);
	key_id_of(s, repo, role, id);
	set(keys, "alias", cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(keys, id), true));
	cJSON_AddItemToArray(at(defined, "keyids"), str("alias"));
}

static void
need_two_with_alias(struct scene *s, enum upt_repo repo, const char *role)
{
	need_two(s, repo, role);
	list_alias(s, repo, role);
}

static void
sign_under_both_ids(struct scene *s, enum upt_repo repo, const char *role)
{
	cJSON *list;

	if (strcmp(role, "root") == 0)
		list_alias(s, repo, role);
	list = scene_signatures(s, repo, role);
	set(list, "1", cJSON_Duplicate(cJSON_GetArrayItem(list, 0), true));
	set(list, "1/keyid", str("alias"));
}

/* A key that a role lists, but whose value no document defines. */
static void
list_unknown_key(struct scene *s, enum upt_repo repo, const char *role)
{
	cJSON *keys, *defined;

	defined = definition(s, repo, role, &keys);
	cJSON_AddItemToArray(at(defined, "keyids"), str("nowhere"));
	cJSON_AddItemToObject(keys, "future",
		cJSON_Parse("{\"keytype\":\"lattice\",\"scheme\":\"lattice-1\",\"keyval\":{\"public\":\"00\"}}"));
	cJSON_AddItemToArray(at(defined, "keyids"), str("future"));
}

static void
need_two_beside_unknown(struct scene *s, enum upt_repo repo, const char *role)
{
	need_two(s, repo, role);
	list_unknown_key(s, repo, role);
}

static void
sign_by_one_and_unknown(struct scene *s, enum upt_repo repo, const char *role)
{
	cJSON *list = scene_signatures(s, repo, role);

	set(list, "1/keyid", str("future"));
	set(list, "1/method", str("lattice-1"));
	cJSON_AddItemToArray(list, cJSON_Duplicate(cJSON_GetArrayItem(list, 0), true));
	set(list, "2/keyid", str("nowhere"));
}

/* As many as a list may have: the good one is the last. */
static void
full_signature_list(struct scene *s, enum upt_repo repo, const char *role)
{
	cJSON *list = scene_signatures(s, repo, role);

	for (int i = 0; i < 511; i++) {
		cJSON *more = cJSON_Duplicate(cJSON_GetArrayItem(list, cJSON_GetArraySize(list) - 1), true);
		char id[16];

		snprintf(id, sizeof(id), "none-%d", i);
		set(more, "keyid", str(id));
		cJSON_InsertItemInArray(list, 0, more);
	}
}

static void
longest_keyid(struct scene *s, enum upt_repo repo, const char *role)
{
	cJSON *list = scene_signatures(s, repo, role);
	cJSON *more = cJSON_Duplicate(cJSON_GetArrayItem(list, 0), true);
	char id[257];

	memset(id, 'a', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	set(more, "keyid", str(id));
	cJSON_AddItemToArray(list, more);
}

static void
unknown_signs_too(struct scene *s, enum upt_repo repo, const char *role)
{
	cJSON *list = scene_signatures(s, repo, role);
	cJSON *more = cJSON_Duplicate(cJSON_GetArrayItem(list, 0), true);

	set(more, "keyid", str("future"));
	set(more, "method", str("lattice-1"));
	cJSON_InsertItemInArray(list, 0, more);
}

static void
reverse_order(struct scene *s, enum upt_repo repo, const char *role)
{
	cJSON *list = scene_signatures(s, repo, role);

	cJSON_AddItemToArray(list, cJSON_DetachItemFromArray(list, 0));
}

static const struct fault faults[] = {
	{"unsigned", "A document without any signature is refused.", PROVES, EVERYWHERE | OTA_EVERYWHERE, UPT_E_THRESHOLD,
		unsign, NULL},
	{"signed-by-thief", "A signature by a key that is not the role's does not count.", PROVES,
		EVERYWHERE | OTA_EVERYWHERE, UPT_E_THRESHOLD, sign_by_thief, NULL},
	{"signed-in-other-name", "A thief's signature under the id of a good key does not count.", PROVES,
		EVERYWHERE, UPT_E_THRESHOLD, sign_by_thief_in_other_name, NULL},
	{"signed-by-other-repository", "Keys of one repository sign nothing of the other one.", PROVES,
		EVERYWHERE, UPT_E_THRESHOLD, sign_by_other_repository, NULL},
	{"signed-by-other-role", "A key of one role signs nothing of another one.", PROVES, EVERYWHERE,
		UPT_E_THRESHOLD, sign_by_other_role, NULL},
	{"wrong-signature", "A signature with one wrong digit does not count.", PROVES, EVERYWHERE,
		UPT_E_THRESHOLD, spoil_signature, NULL},
	{"short-signature", "A signature that lacks its last byte does not count.", PROVES,
		D_TARGETS | I_ROOT | I_TEAM, UPT_E_THRESHOLD, shorten_signature, NULL},
	{"empty-signature", "An empty signature does not count.", PROVES, D_TIMESTAMP | I_SNAPSHOT | I_TEAM,
		UPT_E_THRESHOLD, empty_signature, NULL},
	{"changed-after-signing", "What was changed after it was signed is refused.", PROVES, EVERYWHERE,
		UPT_E_THRESHOLD, change_after_signing, NULL},
	{"unknown-method", "A signature by a method that nobody knows does not count.", PROVES,
		EVERY_ROOT | EVERY_TARGETS | I_TEAM, UPT_E_THRESHOLD, name_unknown_method, NULL},
	{"other-method", "A signature that names another method than its key's does not count.", PROVES,
		D_TIMESTAMP | I_TARGETS, UPT_E_THRESHOLD, name_other_method, NULL},
	{"one-of-two", "One signature is refused where two are needed.", PROVES, EVERYWHERE | OTA_EVERYWHERE,
		UPT_E_THRESHOLD, sign_once, need_two},
	{"one-of-two-and-thief", "A good and a thief's signature are not two.", PROVES, EVERYWHERE,
		UPT_E_THRESHOLD, sign_once_and_by_thief, need_two},
	{"one-key-two-ids", "One key that is listed under two ids counts once.", PROVES, EVERYWHERE | OTA_EVERYWHERE,
		UPT_E_THRESHOLD, sign_under_both_ids, need_two_with_alias},
	{"one-and-unknown-keys", "Keys of an unknown type or without a value never count.", PROVES,
		EVERYWHERE, UPT_E_THRESHOLD, sign_by_one_and_unknown, need_two_beside_unknown},
	{"signature-twice", "A list that names one key id twice is refused as such.", PROVES, EVERYWHERE | OTA_EVERYWHERE,
		UPT_E_DUPLICATE_KEYID, sign_twice, NULL},
	{"many-signatures", "More than 512 signatures are refused.", "0.2", EVERY_SNAPSHOT | I_TARGETS,
		UPT_E_MALFORMED, many_signatures, NULL},
	{"signature-without-keyid", "A signature that names no key is refused.", "0.2",
		D_ROOT | D_TARGETS | I_TIMESTAMP | I_TEAM, UPT_E_MALFORMED, no_keyid, NULL},
	{"long-keyid", "A key id of more than 256 bytes is refused.", "0.2", D_SNAPSHOT | I_TARGETS,
		UPT_E_MALFORMED, long_keyid, NULL},
};

static const struct variant variants[] = {
	{"two-of-two", "Two signatures where two are needed, in any order.", PROVES, EVERYWHERE, reverse_order,
		need_two},
	{"two-beside-unknown-keys", "Enough known keys beside ones of an unknown type or without a value.",
		PROVES, EVERYWHERE, unknown_signs_too, need_two_beside_unknown},
	{"full-signature-list", "A list of 512 signatures, the good one at its end.", "0.2",
		EVERY_SNAPSHOT | I_TARGETS, full_signature_list, NULL},
	{"longest-keyid", "A key id of 256 bytes.", "0.2", D_SNAPSHOT | I_TARGETS, longest_keyid, NULL},
};

void
cases_signature(struct generator *g)
{
	ADD_VARIANTS(g, variants);
	ADD_FAULTS(g, faults);
}
