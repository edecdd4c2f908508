/* check_root (6.1 to 6.7): the chain of roots, rotation of keys, and recovery from stolen ones. */
#include <stdio.h>
#include "cases.h"
#include "metadata/limits.h"

/* ---- one wrong root ---- */

static void
skip_version(struct scene *s, enum upt_repo repo, const char *role)
{
	set(scene_payload(s, repo, role), "version", num(3));
}

static void
same_version(struct scene *s, enum upt_repo repo, const char *role)
{
	set(scene_payload(s, repo, role), "version", num(1));
}

static void
no_old_signature(struct scene *s, enum upt_repo repo, const char *role)
{
	scene_plan(s, repo, role, "root-2", 1);
	scene_signing(s, repo, role)->keys = "root-2";
}

static void
no_new_signature(struct scene *s, enum upt_repo repo, const char *role)
{
	scene_plan(s, repo, role, "root-2", 1);
	scene_signing(s, repo, role)->keys = "root-1";
}

static void
two_root_keys(struct scene *s, enum upt_repo repo, const char *role)
{
	scene_plan(s, repo, role, "root-1 root-2", 2);
}

static void
old_threshold_unmet(struct scene *s, enum upt_repo repo, const char *role)
{
	scene_plan(s, repo, role, "root-3", 1);
	scene_signing(s, repo, role)->keys = "root-1 root-3";
}

static void
new_threshold_unmet(struct scene *s, enum upt_repo repo, const char *role)
{
	scene_plan(s, repo, role, "root-2 root-3", 2);
	scene_signing(s, repo, role)->keys = "root-1 root-2";
}

static void
more_than_keys(struct scene *s, enum upt_repo repo, const char *role)
{
	set(scene_payload(s, repo, role), "roles/root/threshold", num(2));
}

static void
root_of_other_repository(struct scene *s, enum upt_repo repo, const char *role)
{
	enum upt_repo other = repo == IMAGE ? DIRECTOR : IMAGE;
	struct upt_buf *bytes = scene_bytes(s, repo, role);
	const struct upt_buf *from;

	scene_root(s, other);
	from = scene_bytes(s, other, role);
	bytes->len = 0;
	append(bytes, from->data, from->len);
}

#define PAYLOAD_FAULT(name, change)                                                                \
	static void name(struct scene *s, enum upt_repo repo, const char *role)                    \
	{                                                                                          \
		cJSON *payload = scene_payload(s, repo, role);                                     \
		change;                                                                            \
	}

PAYLOAD_FAULT(zero_root, set(payload, "roles/root/threshold", num(0)))
PAYLOAD_FAULT(zero_timestamp, set(payload, "roles/timestamp/threshold", num(0)))
PAYLOAD_FAULT(zero_snapshot, set(payload, "roles/snapshot/threshold", num(0)))
PAYLOAD_FAULT(zero_targets, set(payload, "roles/targets/threshold", num(0)))
PAYLOAD_FAULT(text_threshold, set(payload, "roles/timestamp/threshold", str("1")))
PAYLOAD_FAULT(no_threshold, drop(payload, "roles/snapshot/threshold"))
PAYLOAD_FAULT(no_keyids, drop(payload, "roles/targets/keyids"))
PAYLOAD_FAULT(object_keyids, set(payload, "roles/targets/keyids", cJSON_CreateObject()))
PAYLOAD_FAULT(number_keyid, set(payload, "roles/targets/keyids/0", num(1)))
PAYLOAD_FAULT(no_root_role, drop(payload, "roles/root"))
PAYLOAD_FAULT(no_timestamp_role, drop(payload, "roles/timestamp"))
PAYLOAD_FAULT(no_snapshot_role, drop(payload, "roles/snapshot"))
PAYLOAD_FAULT(no_targets_role, drop(payload, "roles/targets"))
PAYLOAD_FAULT(no_chain, drop(payload, "roles/timestamp"); drop(payload, "roles/snapshot"))
PAYLOAD_FAULT(list_role, set(payload, "roles/snapshot", cJSON_CreateArray()))
PAYLOAD_FAULT(no_keys, drop(payload, "keys"))
PAYLOAD_FAULT(list_keys, set(payload, "keys", cJSON_CreateArray()))
PAYLOAD_FAULT(no_roles, drop(payload, "roles"))
PAYLOAD_FAULT(list_roles, set(payload, "roles", cJSON_CreateArray()))
PAYLOAD_FAULT(text_consistent, set(payload, "consistent_snapshot", str("true")))
PAYLOAD_FAULT(text_key, cJSON_AddStringToObject(at(payload, "keys"), "k", "text"))
PAYLOAD_FAULT(twice_keyid,
	cJSON_AddItemToArray(at(payload, "roles/targets/keyids"),
		cJSON_Duplicate(at(payload, "roles/targets/keyids/0"), true)))

static void
many_keys(struct scene *s, enum upt_repo repo, const char *role)
{
	cJSON *keys = at(scene_payload(s, repo, role), "keys");

	for (int i = 0; i <= UPT_MAX_KEYS; i++) {
		char id[16];

		snprintf(id, sizeof(id), "none-%d", i);
		cJSON_AddItemToObject(keys, id, cJSON_CreateObject());
	}
}

static const struct fault faults[] = {
	{"version-gap", "A root that skips a version is refused.", "6.4", EVERY_ROOT | OTA_ROOT, UPT_E_VERSION_GAP,
		skip_version, NULL},
	{"version-again", "An older root in the place of the next one is refused.", "6.4", EVERY_ROOT | OTA_ROOT,
		UPT_E_ROLLBACK, same_version, NULL},
	{"without-old-keys", "A root that only its own new keys sign is refused.", "6.3", EVERY_ROOT | OTA_ROOT,
		UPT_E_THRESHOLD, no_old_signature, NULL},
	{"without-new-keys", "A root that its own new keys do not sign is refused.", "6.3", EVERY_ROOT | OTA_ROOT,
		UPT_E_THRESHOLD, no_new_signature, NULL},
	{"old-threshold-unmet", "One of two old keys is not enough for a new root.", "6.3", EVERY_ROOT,
		UPT_E_THRESHOLD, old_threshold_unmet, two_root_keys},
	{"new-threshold-unmet", "One of two new keys is not enough for a new root.", "6.3", EVERY_ROOT,
		UPT_E_THRESHOLD, new_threshold_unmet, NULL},
	{"threshold-above-keys", "A root that can never be followed is refused.", "6.3", EVERY_ROOT,
		UPT_E_THRESHOLD, more_than_keys, NULL},
	{"of-other-repository", "The other repository's root is refused.", "6.3", EVERY_ROOT,
		UPT_E_THRESHOLD, root_of_other_repository, NULL},
	{"zero-for-root", "A threshold of 0 for root is refused.", "0.4", EVERY_ROOT, UPT_E_BAD_THRESHOLD,
		zero_root, NULL},
	{"zero-for-timestamp", "A threshold of 0 for timestamp is refused.", "0.4", EVERY_ROOT,
		UPT_E_BAD_THRESHOLD, zero_timestamp, NULL},
	{"zero-for-snapshot", "A threshold of 0 for snapshot is refused.", "0.4", EVERY_ROOT,
		UPT_E_BAD_THRESHOLD, zero_snapshot, NULL},
	{"zero-for-targets", "A threshold of 0 for targets is refused.", "0.4", EVERY_ROOT,
		UPT_E_BAD_THRESHOLD, zero_targets, NULL},
	{"keyid-twice", "A role that lists one key id twice is refused.", "0.4", EVERY_ROOT,
		UPT_E_DUPLICATE_KEYID, twice_keyid, NULL},
	{"text-as-threshold", "A threshold in quotes is refused.", "0.4", EVERY_ROOT, UPT_E_MALFORMED,
		text_threshold, NULL},
	{"no-threshold", "A role without a threshold is refused.", "0.4", EVERY_ROOT, UPT_E_MALFORMED,
		no_threshold, NULL},
	{"no-keyids", "A role without keys is refused.", "0.4", EVERY_ROOT, UPT_E_MALFORMED, no_keyids,
		NULL},
	{"object-as-keyids", "Key ids that are no list are refused.", "0.4", EVERY_ROOT, UPT_E_MALFORMED,
		object_keyids, NULL},
	{"number-as-keyid", "A key id that is no text is refused.", "0.4", EVERY_ROOT, UPT_E_MALFORMED,
		number_keyid, NULL},
	{"no-role-root", "A root that does not define root is refused.", "0.4", EVERY_ROOT,
		UPT_E_MALFORMED, no_root_role, NULL},
	{"no-role-timestamp", "A root that does not define timestamp is refused.", "0.4", EVERY_ROOT,
		UPT_E_MALFORMED, no_timestamp_role, NULL},
	{"no-role-snapshot", "A root that does not define snapshot is refused.", "0.4", EVERY_ROOT,
		UPT_E_MALFORMED, no_snapshot_role, NULL},
	{"no-role-targets", "A root that does not define targets is refused.", "0.4", EVERY_ROOT,
		UPT_E_MALFORMED, no_targets_role, NULL},
	{"no-chain", "A root with neither timestamp nor snapshot is refused in profile standard.", "0.4",
		EVERY_ROOT, UPT_E_MALFORMED, no_chain, NULL},
	{"list-as-role", "A role that is no object is refused.", "0.4", EVERY_ROOT, UPT_E_MALFORMED,
		list_role, NULL},
	{"no-keys", "A root without keys is refused.", "0.4", EVERY_ROOT, UPT_E_MALFORMED, no_keys, NULL},
	{"list-as-keys", "Keys that are no object are refused.", "0.4", EVERY_ROOT, UPT_E_MALFORMED,
		list_keys, NULL},
	{"text-as-key", "A key that is no object is refused.", "0.1", EVERY_ROOT, UPT_E_MALFORMED, text_key,
		NULL},
	{"no-roles", "A root without roles is refused.", "0.4", EVERY_ROOT, UPT_E_MALFORMED, no_roles,
		NULL},
	{"list-as-roles", "Roles that are no object are refused.", "0.4", EVERY_ROOT, UPT_E_MALFORMED,
		list_roles, NULL},
	{"text-as-consistent", "consistent_snapshot is true or false.", "0.13", EVERY_ROOT,
		UPT_E_MALFORMED, text_consistent, NULL},
	{"many-keys", "More than 512 keys are refused.", "0.4", EVERY_ROOT, UPT_E_MALFORMED, many_keys,
		NULL},
};

/* ---- chains ---- */

/* The Director comes first: what is refused of the Image repository leaves it trusted. */
static void
trust_director(struct scene *s, enum upt_repo repo, uint64_t version)
{
	if (repo != IMAGE)
		return;
	scene_trust(s, DIRECTOR, "timestamp", version);
	scene_trust(s, DIRECTOR, "snapshot", version);
	scene_trust(s, DIRECTOR, "targets", version);
}

static void
good_step(struct scene *s)
{
	scene_step(s);
	scene_accept(s);
}

static void
three_at_once(struct scene *s, enum upt_repo repo)
{
	good_step(s);
	scene_step(s);
	scene_root(s, repo);
	scene_plan(s, repo, "root", "root-2", 1);
	scene_root(s, repo);
	scene_plan(s, repo, "root", "root-3", 1);
	scene_root(s, repo);
	scene_accept(s);
	good_step(s);
}

/* The key of version 1 is revoked by 2, and signs 3 all the same. */
static void
revoked_root_key(struct scene *s, enum upt_repo repo)
{
	good_step(s);
	scene_step(s);
	scene_root(s, repo);
	scene_plan(s, repo, "root", "root-2", 1);
	scene_accept(s);
	scene_step(s);
	scene_root(s, repo);
	scene_signing(s, repo, "root")->keys = "root-1";
	scene_refuse(s, UPT_E_THRESHOLD, repo, "root");
	scene_step(s);
	scene_root(s, repo);
	scene_accept(s);
}

static void
second_of_two_wrong(struct scene *s, enum upt_repo repo)
{
	good_step(s);
	scene_step(s);
	scene_root(s, repo);
	scene_root(s, repo);
	scene_signing(s, repo, "root")->keys = "thief-1";
	scene_refuse(s, UPT_E_THRESHOLD, repo, "root");
	scene_step(s);
	scene_root(s, repo);
	scene_accept(s);
}

/* An old root comes back under the name of the next one. */
static void
older_root_again(struct scene *s, enum upt_repo repo)
{
	const struct upt_buf *old;
	struct upt_buf *bytes;

	good_step(s);
	scene_step(s);
	scene_root(s, repo);
	scene_root(s, repo);
	scene_accept(s);
	scene_step(s);
	scene_root(s, repo);
	bytes = scene_bytes(s, repo, "root");
	old = &scene_repo(s, repo)->roots[1].bytes;
	bytes->len = 0;
	append(bytes, old->data, old->len);
	scene_refuse(s, UPT_E_ROLLBACK, repo, "root");
	scene_step(s);
	scene_root(s, repo);
	scene_accept(s);
}

static void
gap_on_server(struct scene *s, enum upt_repo repo)
{
	good_step(s);
	scene_step(s);
	scene_root(s, repo);
	scene_doc(s, repo, "root")->omit = true;
	scene_root(s, repo);
	scene_repo(s, repo)->followed = 1;
	scene_accept(s);
}

static void
expired_last(struct scene *s, enum upt_repo repo)
{
	good_step(s);
	scene_step(s);
	scene_root(s, repo);
	set(scene_payload(s, repo, "root"), "expires", when(NOW));
	scene_trust(s, repo, "root", 2);
	trust_director(s, repo, 2);
	scene_refuse_as_set(s, UPT_E_EXPIRED, repo, "root");
	scene_step(s);
	scene_root(s, repo);
	scene_accept(s);
}

static void
expired_between(struct scene *s, enum upt_repo repo)
{
	set(scene_payload(s, repo, "root"), "expires", when(PAST));
	scene_step(s);
	scene_root(s, repo);
	set(scene_payload(s, repo, "root"), "expires", when(PAST));
	scene_root(s, repo);
	scene_accept(s);
	good_step(s);
}

static void
expired_provisioned(struct scene *s, enum upt_repo repo)
{
	set(scene_payload(s, repo, "root"), "expires", when(NOW));
	scene_step(s);
	trust_director(s, repo, 1);
	scene_refuse_as_set(s, UPT_E_EXPIRED, repo, "root");
	scene_step(s);
	scene_root(s, repo);
	scene_accept(s);
}

static void
refuse_provisioned(struct scene *s, enum upt_repo repo, enum upt_code code)
{
	scene_step(s);
	trust_director(s, repo, 1);
	scene_refuse_as_set(s, code, repo, "root");
}

static void
unsigned_provisioned(struct scene *s, enum upt_repo repo)
{
	scene_signing(s, repo, "root")->keys = "thief-1";
	refuse_provisioned(s, repo, UPT_E_THRESHOLD);
}

static void
zero_provisioned(struct scene *s, enum upt_repo repo)
{
	scene_plan(s, repo, "targets", "targets-1", 0);
	refuse_provisioned(s, repo, UPT_E_BAD_THRESHOLD);
}

static void
targets_provisioned(struct scene *s, enum upt_repo repo)
{
	set(scene_payload(s, repo, "root"), "_type", str("targets"));
	refuse_provisioned(s, repo, UPT_E_WRONG_ROLE);
}

static void
other_roles(struct scene *s, enum upt_repo repo)
{
	cJSON *root = scene_payload(s, repo, "root");

	cJSON_AddItemToObject(at(root, "roles"), "mirrors",
		cJSON_Parse("{\"keyids\":[],\"threshold\":1}"));
	cJSON_AddItemToObject(at(root, "roles"), "offline-updates", cJSON_CreateNull());
	good_step(s);
}

static void
future_keys(struct scene *s, enum upt_repo repo)
{
	cJSON *root = scene_payload(s, repo, "root");
	static const char *const roles[] = {"root", "timestamp", "snapshot", "targets"};

	cJSON_AddItemToObject(at(root, "keys"), "future",
		cJSON_Parse("{\"keytype\":\"lattice\",\"keyval\":{\"public\":\"00\"}}"));
	cJSON_AddItemToObject(at(root, "keys"), "short",
		cJSON_Parse("{\"keytype\":\"ed25519\",\"keyval\":{\"public\":\"00\"}}"));
	cJSON_AddItemToObject(at(root, "keys"), "empty", cJSON_CreateObject());
	for (int i = 0; i < 4; i++) {
		cJSON *ids = at(cJSON_GetObjectItemCaseSensitive(at(root, "roles"), roles[i]), "keyids");

		cJSON_InsertItemInArray(ids, 0, str("future"));
		cJSON_InsertItemInArray(ids, 0, str("short"));
		cJSON_AddItemToArray(ids, str("empty"));
		cJSON_AddItemToArray(ids, str("nowhere"));
	}
	good_step(s);
	scene_step(s);
	scene_root(s, repo);
	scene_accept(s);
}

static void
exactly_the_limit(struct scene *s, enum upt_repo repo)
{
	scene_step(s);
	for (int i = 0; i < 1024; i++)
		scene_root(s, repo);
	scene_accept(s);
}

static void
above_the_limit(struct scene *s, enum upt_repo repo)
{
	scene_step(s);
	for (int i = 0; i < 1025; i++)
		scene_root(s, repo);
	scene_trust(s, repo, "root", 1025);
	trust_director(s, repo, 1);
	scene_refuse_as_set(s, UPT_E_TOO_LARGE, repo, "root");
	good_step(s);
}

/* ---- rotation ---- */

static void
rotate(struct scene *s, enum upt_repo repo, const char *role)
{
	char keys[80];

	scene_root(s, repo);
	snprintf(keys, sizeof(keys), "%s-2", role);
	scene_plan(s, repo, role, keys, 1);
}

static void
rotate_all(struct scene *s, enum upt_repo repo)
{
	static const char *const roles[] = {"root", "timestamp", "snapshot", "targets"};

	good_step(s);
	for (int i = 0; i < 4; i++) {
		scene_step(s);
		rotate(s, repo, roles[i]);
		scene_accept(s);
	}
	good_step(s);
}

static void
revoked_timestamp_key(struct scene *s, enum upt_repo repo)
{
	good_step(s);
	scene_step(s);
	rotate(s, repo, "timestamp");
	scene_signing(s, repo, "timestamp")->keys = "timestamp-1";
	trust_director(s, repo, 2);
	scene_trust(s, repo, "root", 2);
	scene_trust(s, repo, "timestamp", 0);
	scene_trust(s, repo, "snapshot", 0);
	scene_refuse_as_set(s, UPT_E_THRESHOLD, repo, "timestamp");
	good_step(s);
}

static void
revoked_snapshot_key(struct scene *s, enum upt_repo repo)
{
	good_step(s);
	scene_step(s);
	rotate(s, repo, "snapshot");
	scene_signing(s, repo, "snapshot")->keys = "snapshot-1";
	trust_director(s, repo, 2);
	scene_trust(s, repo, "root", 2);
	scene_trust(s, repo, "timestamp", 2);
	scene_trust(s, repo, "snapshot", 0);
	scene_refuse_as_set(s, UPT_E_THRESHOLD, repo, "snapshot");
	good_step(s);
}

static void
revoked_targets_key(struct scene *s, enum upt_repo repo)
{
	good_step(s);
	scene_step(s);
	rotate(s, repo, "targets");
	scene_signing(s, repo, "targets")->keys = "targets-1";
	trust_director(s, repo, 2);
	scene_trust(s, repo, "root", 2);
	scene_trust(s, repo, "timestamp", 2);
	scene_trust(s, repo, "snapshot", 2);
	scene_trust(s, repo, "targets", 0);
	scene_refuse_as_set(s, UPT_E_THRESHOLD, repo, "targets");
	good_step(s);
}

/* A thief has signed a version that nobody else will reach. */
static void
fast_forward_timestamp(struct scene *s, enum upt_repo repo)
{
	scene_doc(s, repo, "timestamp")->version = 4000000000;
	good_step(s);
	scene_step(s);
	scene_doc(s, repo, "timestamp")->version = 2;
	scene_root(s, repo); /* a new root with the old keys undoes nothing */
	scene_refuse(s, UPT_E_ROLLBACK, repo, "timestamp");
	scene_step(s);
	rotate(s, repo, "timestamp");
	scene_accept(s);
}

static void
fast_forward_snapshot(struct scene *s, enum upt_repo repo)
{
	scene_doc(s, repo, "snapshot")->version = 4000000000;
	good_step(s);
	scene_step(s);
	scene_doc(s, repo, "snapshot")->version = 2;
	scene_refuse(s, UPT_E_ROLLBACK, repo, "timestamp");
	scene_step(s);
	rotate(s, repo, "snapshot");
	scene_accept(s);
}

static void
fast_forward_targets(struct scene *s, enum upt_repo repo)
{
	scene_doc(s, repo, "targets")->version = 4000000000;
	good_step(s);
	scene_step(s);
	rotate(s, repo, "snapshot");
	rotate(s, repo, "targets");
	scene_doc(s, repo, "targets")->version = 2;
	scene_accept(s);
}

/* The snapshot's memory is gone with its key; that of the targets themselves is not. */
static void
older_targets_after_rotation(struct scene *s, enum upt_repo repo)
{
	scene_doc(s, repo, "targets")->version = 5;
	good_step(s);
	scene_step(s);
	rotate(s, repo, "snapshot");
	scene_doc(s, repo, "targets")->version = 4;
	scene_refuse(s, UPT_E_ROLLBACK, repo, "targets");
	scene_step(s);
	scene_accept(s);
}

/* The same key under another id, and in another order, is no rotation: nothing is forgotten. */
static void
renamed_key(struct scene *s, enum upt_repo repo)
{
	scene_doc(s, repo, "timestamp")->version = 5;
	good_step(s);
	scene_step(s);
	scene_root(s, repo);
	{
		cJSON *root = scene_payload(s, repo, "root");
		cJSON *id = at(root, "roles/timestamp/keyids/0");
		cJSON *key = cJSON_GetObjectItemCaseSensitive(at(root, "keys"), id->valuestring);

		set(root, "keys/other-name", cJSON_Duplicate(key, true));
		cJSON_InsertItemInArray(at(root, "roles/timestamp/keyids"), 0, str("other-name"));
	}
	scene_doc(s, repo, "timestamp")->version = 2;
	scene_refuse(s, UPT_E_ROLLBACK, repo, "timestamp");
	scene_step(s);
	scene_doc(s, repo, "timestamp")->version = 6;
	scene_accept(s);
}

static void
raised_threshold(struct scene *s, enum upt_repo repo)
{
	good_step(s);
	scene_step(s);
	scene_root(s, repo);
	scene_plan(s, repo, "targets", "targets-1 targets-2", 2);
	scene_accept(s);
	scene_step(s);
	scene_signing(s, repo, "targets")->keys = "targets-2";
	scene_refuse(s, UPT_E_THRESHOLD, repo, "targets");
	good_step(s);
}

static const struct {
	const char *name, *title, *proves;
	void (*play)(struct scene *s, enum upt_repo repo);
} scenes[] = {
	{"root-three-at-once", "Three new roots in one update, each with other keys, are followed one by one.",
		"6.2 6.3 6.5", three_at_once},
	{"root-revoked-key", "A root key that an earlier root revoked signs no later one.", "6.3",
		revoked_root_key},
	{"root-second-of-two-wrong", "Of two new roots the good first one is kept, the second refused.",
		"1.13 6.5", second_of_two_wrong},
	{"root-older-again", "A root of three versions ago is refused in the place of the next one.", "6.4",
		older_root_again},
	{"root-gap-on-server", "A root that is missing ends the chain, whatever stands behind it.", "6.2",
		gap_on_server},
	{"root-expired-last", "The last root has expired: it is kept, and nothing is trusted under it.",
		"6.6", expired_last},
	{"root-expired-between", "Roots on the way to the last one may have expired.", "6.6",
		expired_between},
	{"root-expired-provisioned", "The provisioned root has expired and there is no newer one yet.",
		"1.14 6.6", expired_provisioned},
	{"root-provisioned-by-thief", "A provisioned root that does not verify by its own keys is refused.",
		"6.1", unsigned_provisioned},
	{"root-provisioned-with-zero", "A provisioned root with a threshold of 0 is refused.", "0.4 6.1",
		zero_provisioned},
	{"root-provisioned-other-role", "Targets provisioned as root are refused.", "0.2 6.1",
		targets_provisioned},
	{"root-other-roles", "Roles of others in a root are ignored.", "0.4", other_roles},
	{"root-future-keys", "Keys of unknown types, broken and missing ones do no harm beside good ones.",
		"0.1", future_keys},
	{"rotate-all", "The keys of all four roles are rotated, one after the other.", "6.3 6.7", rotate_all},
	{"timestamp-revoked-key", "A timestamp by a revoked key is refused; its rotation made the client forget.",
		"6.7 7.2", revoked_timestamp_key},
	{"snapshot-revoked-key", "A snapshot by a revoked key is refused.", "6.7 8.3", revoked_snapshot_key},
	{"targets-revoked-key", "Targets by a revoked key are refused, and the stored ones are no more trusted.",
		"9.3", revoked_targets_key},
	{"timestamp-fast-forward", "A fast-forwarded timestamp is undone by a rotation of its key, and only by it.",
		"6.7 7.3", fast_forward_timestamp},
	{"snapshot-fast-forward", "A fast-forwarded snapshot is undone by a rotation of its key.", "6.7 8.4",
		fast_forward_snapshot},
	{"targets-fast-forward", "Fast-forwarded targets are undone by a rotation of snapshot and targets.",
		"6.7 9.4", fast_forward_targets},
	{"targets-older-after-rotation", "Older targets are refused also when the snapshot's memory is gone.",
		"9.4", older_targets_after_rotation},
	{"root-renamed-key", "A key under another id is no rotation: rollback protection stays.", "6.7 7.3",
		renamed_key},
	{"targets-raised-threshold", "A threshold that a new root raised holds at once.", "9.3",
		raised_threshold},
};

static void
add_scene(struct generator *g, enum upt_repo repo, size_t i)
{
	struct scene *s;
	char name[128];

	snprintf(name, sizeof(name), "%s-%s", upt_repo_name(repo), scenes[i].name);
	s = scene_begin(g, name, scenes[i].title, scenes[i].proves);
	scenes[i].play(s, repo);
	scene_end(&s);
}

void
cases_root(struct generator *g)
{
	struct scene *s;

	ADD_FAULTS(g, faults);
	for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
		add_scene(g, DIRECTOR, i);
		add_scene(g, IMAGE, i);
	}
	s = scene_begin(g, "director-root-1024-at-once", "As many new roots as one update may bring.", "6.5");
	exactly_the_limit(s, DIRECTOR);
	scene_end(&s);
	s = scene_begin(g, "image-root-1025-at-once",
		"One new root more than an update may bring: all before it are kept, and the next update goes on.",
		"1.14 6.5");
	above_the_limit(s, IMAGE);
	scene_end(&s);
}
