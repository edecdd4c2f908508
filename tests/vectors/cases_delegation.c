/* Delegations of the Image repository (resolve_delegations, 10.1 to 10.7; 0.9 to 0.11). */
#include <stdio.h>
#include "base/encode.h"
#include "cases.h"
#include "delegating.h"

/* ---- faults of a delegating document: of top-level targets, and of a delegated role ---- */

/* The delegation is added to what the place's document says. */
static cJSON *
spoilt(struct scene *s, enum upt_repo repo, const char *role)
{
	const struct upt_private_key *key = generator_key(s->gen, "image/inner-1");
	const struct upt_author_role delegated = {
		.name = "inner", .keys = &key, .n_keys = 1, .threshold = 1};
	const char *path = "none-*";
	cJSON *payload = scene_payload(s, repo, role), *list;

	must_code(upt_author_add_delegation(payload, &delegated, &path, 1, NULL, 0, false, NULL), NULL);
	list = at(payload, "delegations/roles");
	return cJSON_GetArrayItem(list, cJSON_GetArraySize(list) - 1);
}

#define DELEGATION_FAULT(name, change)                                                             \
	static void name(struct scene *s, enum upt_repo repo, const char *role)                    \
	{                                                                                          \
		cJSON *d = spoilt(s, repo, role);                                                  \
		change;                                                                            \
	}

DELEGATION_FAULT(no_name, drop(d, "name"))
DELEGATION_FAULT(empty_name, set(d, "name", str("")))
DELEGATION_FAULT(number_name, set(d, "name", num(1)))
DELEGATION_FAULT(to_root, set(d, "name", str("root")))
DELEGATION_FAULT(to_targets, set(d, "name", str("targets")))
DELEGATION_FAULT(to_snapshot, set(d, "name", str("snapshot")))
DELEGATION_FAULT(to_timestamp, set(d, "name", str("timestamp")))
DELEGATION_FAULT(zero_threshold, set(d, "threshold", num(0)))
DELEGATION_FAULT(no_threshold, drop(d, "threshold"))
DELEGATION_FAULT(text_threshold, set(d, "threshold", str("1")))
DELEGATION_FAULT(no_keyids, drop(d, "keyids"))
DELEGATION_FAULT(no_paths, drop(d, "paths"))
DELEGATION_FAULT(text_paths, set(d, "paths", str("*")))
DELEGATION_FAULT(number_path, set(d, "paths/0", num(1)))
DELEGATION_FAULT(paths_and_prefixes, cJSON_AddItemToObject(d, "path_hash_prefixes", cJSON_Parse("[\"00\"]")))
DELEGATION_FAULT(text_terminating, set(d, "terminating", str("true")))
DELEGATION_FAULT(text_hardware, cJSON_AddStringToObject(d, "hardwareIds", "hw-a"))
DELEGATION_FAULT(keyid_twice,
	cJSON_AddItemToArray(at(d, "keyids"), cJSON_Duplicate(at(d, "keyids/0"), true)))

static void
long_name(struct scene *s, enum upt_repo repo, const char *role)
{
	char name[258];

	memset(name, 'a', 257);
	name[257] = '\0';
	set(spoilt(s, repo, role), "name", str(name));
}

static void
role_twice(struct scene *s, enum upt_repo repo, const char *role)
{
	spoilt(s, repo, role);
	spoilt(s, repo, role);
}

static void
list_delegations(struct scene *s, enum upt_repo repo, const char *role)
{
	set(scene_payload(s, repo, role), "delegations", cJSON_CreateArray());
}

static void
text_role(struct scene *s, enum upt_repo repo, const char *role)
{
	spoilt(s, repo, role);
	set(scene_payload(s, repo, role), "delegations/roles/0", str("inner"));
}

static void
object_roles(struct scene *s, enum upt_repo repo, const char *role)
{
	spoilt(s, repo, role);
	set(scene_payload(s, repo, role), "delegations/roles", cJSON_CreateObject());
}

static void
too_many_roles(struct scene *s, enum upt_repo repo, const char *role)
{
	cJSON *list, *first = spoilt(s, repo, role);

	list = at(scene_payload(s, repo, role), "delegations/roles");
	for (int i = 0; i < 1024; i++) {
		cJSON *more = cJSON_Duplicate(first, true);
		char name[32];

		snprintf(name, sizeof(name), "inner-%d", i);
		set(more, "name", str(name));
		cJSON_AddItemToArray(list, more);
	}
}

#define DELEGATORS (I_TARGETS | I_TEAM)

static const struct fault faults[] = {
	{"delegation-without-name", "A delegation to nobody is refused.", "0.9", DELEGATORS,
		UPT_E_MALFORMED, no_name, NULL},
	{"delegation-empty-name", "A delegation to the empty name is refused.", "0.9", DELEGATORS,
		UPT_E_MALFORMED, empty_name, NULL},
	{"delegation-number-name", "A delegation to a number is refused.", "0.9", DELEGATORS,
		UPT_E_MALFORMED, number_name, NULL},
	{"delegation-long-name", "A role name of more than 256 bytes is refused.", "0.9", DELEGATORS,
		UPT_E_MALFORMED, long_name, NULL},
	{"delegation-to-root", "A delegation to the name of a top-level role is refused.", "0.9",
		DELEGATORS, UPT_E_MALFORMED, to_root, NULL},
	{"delegation-to-targets", "A delegation to top-level targets is refused.", "0.9", DELEGATORS,
		UPT_E_MALFORMED, to_targets, NULL},
	{"delegation-to-snapshot", "A delegation to the snapshot role is refused.", "0.9", DELEGATORS,
		UPT_E_MALFORMED, to_snapshot, NULL},
	{"delegation-to-timestamp", "A delegation to the timestamp role is refused.", "0.9", DELEGATORS,
		UPT_E_MALFORMED, to_timestamp, NULL},
	{"delegation-zero-threshold", "A delegation with a threshold of 0 is refused.", "0.9 9.3",
		DELEGATORS | D_TARGETS, UPT_E_BAD_THRESHOLD, zero_threshold, NULL},
	{"delegation-no-threshold", "A delegation without a threshold is refused.", "0.9", DELEGATORS,
		UPT_E_MALFORMED, no_threshold, NULL},
	{"delegation-text-threshold", "A delegation's threshold in quotes is refused.", "0.9", DELEGATORS,
		UPT_E_MALFORMED, text_threshold, NULL},
	{"delegation-no-keyids", "A delegation without keys is refused.", "0.9", DELEGATORS,
		UPT_E_MALFORMED, no_keyids, NULL},
	{"delegation-keyid-twice", "A delegation that lists one key id twice is refused.", "0.9", DELEGATORS | D_TARGETS,
		UPT_E_DUPLICATE_KEYID, keyid_twice, NULL},
	{"delegation-no-paths", "A delegation of nothing is refused.", "0.9 10.5", DELEGATORS,
		UPT_E_MALFORMED, no_paths, NULL},
	{"delegation-text-paths", "Paths that are no list are refused.", "10.5", DELEGATORS,
		UPT_E_MALFORMED, text_paths, NULL},
	{"delegation-number-path", "A path that is no text is refused.", "10.5", DELEGATORS,
		UPT_E_MALFORMED, number_path, NULL},
	{"delegation-paths-and-prefixes", "Paths and hash prefixes in one delegation are refused.", "10.5",
		DELEGATORS, UPT_E_MALFORMED, paths_and_prefixes, NULL},
	{"delegation-text-terminating", "terminating is true or false.", "0.10", DELEGATORS,
		UPT_E_MALFORMED, text_terminating, NULL},
	{"delegation-text-hardware", "Hardware ids that are no list are refused.", "10.5", DELEGATORS,
		UPT_E_MALFORMED, text_hardware, NULL},
	{"delegation-role-twice", "Two delegations to one role in one document are refused.", "0.9",
		DELEGATORS, UPT_E_MALFORMED, role_twice, NULL},
	{"delegations-list", "Delegations that are no object are refused.", "0.9", DELEGATORS,
		UPT_E_MALFORMED, list_delegations, NULL},
	{"delegation-is-text", "A delegation that is no object is refused.", "0.9", DELEGATORS,
		UPT_E_MALFORMED, text_role, NULL},
	{"delegation-roles-object", "Delegations are a list: their order is their priority.", "0.9",
		DELEGATORS, UPT_E_MALFORMED, object_roles, NULL},
	{"delegation-1025-roles", "More than 1024 delegations in one document are refused.", "0.9",
		DELEGATORS | D_TARGETS, UPT_E_DELEGATION, too_many_roles, NULL},
};

/* ---- order ---- */

static void
first_wins(struct scene *s)
{
	to(s, "targets", "first", "app-*", false);
	to(s, "targets", "second", "app-*", false);
	scene_move_app(s, "first");
	vouch_other(s, "second");
	doc_of(s, "second")->not_visited = true;
	good_step(s);
}

static void
second_is_asked(struct scene *s)
{
	to(s, "targets", "first", "app-*", false);
	to(s, "targets", "second", "app-*", false);
	scene_move_app(s, "second");
	good_step(s);
}

static void
earlier_role_disagrees(struct scene *s)
{
	to(s, "targets", "first", "app-*", false);
	to(s, "targets", "second", "app-*", false);
	scene_move_app(s, "second");
	vouch_other(s, "first");
	doc_of(s, "second")->not_visited = true;
	refuse_target(s, UPT_E_TARGET_MISMATCH);
	drop(body_of(s, "first"), "targets/" APP);
	doc_of(s, "second")->not_visited = false;
	good_step(s);
}

static void
delegator_comes_first(struct scene *s)
{
	to(s, "targets", "first", "app-*", false);
	vouch_other(s, "first");
	doc_of(s, "first")->not_visited = true;
	good_step(s);
}

static void
depth_before_breadth(struct scene *s)
{
	to(s, "targets", "first", "app-*", false);
	to(s, "first", "inner", "app-*", false);
	to(s, "targets", "second", "app-*", false);
	scene_move_app(s, "inner");
	vouch_other(s, "second");
	doc_of(s, "second")->not_visited = true;
	good_step(s);
}

/* ---- terminating ---- */

static void
terminating_found(struct scene *s)
{
	to(s, "targets", "first", "app-*", true);
	scene_move_app(s, "first");
	good_step(s);
}

static void
terminating_not_found(struct scene *s)
{
	to(s, "targets", "first", "app-*", true);
	to(s, "targets", "second", "app-*", false);
	scene_move_app(s, "second");
	doc_of(s, "second")->not_visited = true;
	refuse_target(s, UPT_E_UNKNOWN_TARGET);
	set(body_of(s, "targets"), "delegations/roles/0/terminating", cJSON_CreateFalse());
	doc_of(s, "second")->not_visited = false;
	good_step(s);
}

static void
terminating_does_not_match(struct scene *s)
{
	to(s, "targets", "first", "other-*", true);
	to(s, "targets", "second", "app-*", false);
	scene_move_app(s, "second");
	doc_of(s, "first")->not_visited = true;
	good_step(s);
}

/* A terminating delegation inside a branch ends the whole search, not the branch. */
static void
terminating_below(struct scene *s)
{
	to(s, "targets", "first", "app-*", false);
	to(s, "first", "inner", "app-*", true);
	to(s, "targets", "second", "app-*", false);
	scene_move_app(s, "second");
	doc_of(s, "second")->not_visited = true;
	refuse_target(s, UPT_E_UNKNOWN_TARGET);
	set(body_of(s, "first"), "delegations/roles/0/terminating", cJSON_CreateFalse());
	doc_of(s, "second")->not_visited = false;
	good_step(s);
}

static void
terminating_for_other_hardware(struct scene *s)
{
	scene_delegate(s,
		&(struct delegation){"targets", "first", "first-1", 1, "app-*", "hw-b", true});
	to(s, "targets", "second", "app-*", false);
	scene_move_app(s, "second");
	doc_of(s, "first")->not_visited = true;
	good_step(s);
}

/* ---- paths ---- */

/* The base target's place taken by one of that name, listed by "first" for that pattern. */
static void
pattern_case(struct scene *s, const char *pattern, const char *name, bool matches)
{
	drop(scene_body(s, DIRECTOR, "targets"), "targets/" APP);
	drop(body_of(s, "targets"), "targets/" APP);
	scene_image(s, name, "an image behind a pattern\n");
	to(s, "targets", "first", pattern, false);
	scene_assign(s, scene_body(s, DIRECTOR, "targets"), name, ECU, HARDWARE);
	scene_vouch(s, body_of(s, "first"), name, HARDWARE);
	doc_of(s, "first")->not_visited = !matches;
	if (!matches) {
		refuse_target(s, UPT_E_UNKNOWN_TARGET);
		set(body_of(s, "targets"), "delegations/roles/0/paths/0", str(name));
		doc_of(s, "first")->not_visited = false;
	}
	good_step(s);
}

static const struct {
	const char *name, *pattern, *target;
	bool matches[2]; /* in profile standard, in profile ota */
} patterns[] = {
	{"exact", "dir/a.bin", "dir/a.bin", {true, true}},
	{"prefix-only", "dir", "dir/a.bin", {false, false}},
	{"star", "*", "a.bin", {true, true}},
	{"star-at-slash", "*", "dir/a.bin", {false, true}},
	{"star-in-folder", "dir/*", "dir/a.bin", {true, true}},
	{"star-two-folders", "dir/*", "dir/sub/a.bin", {false, true}},
	{"star-in-the-middle", "dir/*/a.bin", "dir/sub/a.bin", {true, true}},
	{"many-stars", "*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", {false, false}},
	{"question-mark", "?.bin", "a.bin", {true, true}},
	{"question-mark-at-slash", "dir?a.bin", "dir/a.bin", {false, true}},
	{"question-mark-for-nothing", "a?.bin", "a.bin", {false, false}},
	{"bracket", "[a-c].bin", "b.bin", {true, true}},
	{"bracket-outside", "[a-c].bin", "d.bin", {false, false}},
	{"bracket-negated", "[!a-c].bin", "d.bin", {true, true}},
	{"bracket-at-slash", "dir[/]a.bin", "dir/a.bin", {false, true}},
	{"case", "A.BIN", "a.bin", {false, false}},
	{"dot-is-no-wildcard", "a.bin", "axbin", {false, false}},
	{"character-beyond-ascii", "caf?.bin", "caf\xc3\xa9.bin", {true, true}},
	{"empty", "", "a.bin", {false, false}},
	{"leading-slash", "/a.bin", "a.bin", {false, false}},
	{"parent-folder", "dir/../*", "a.bin", {false, false}},
};

static void
hash_prefix_case(struct scene *s, const char *prefix_or_null, bool matches)
{
	struct upt_digest digest;
	char hex[2 * UPT_HASH_MAX_BYTES + 1];
	cJSON *d = to(s, "targets", "first", "x", false), *list;

	must_code(upt_hash_span(UPT_HASH_SHA256, upt_span_str(APP), &digest, NULL), NULL);
	upt_hex_encode(upt_span(digest.bytes, digest.len), hex);
	hex[3] = '\0';
	drop(d, "paths");
	list = cJSON_AddArrayToObject(d, "path_hash_prefixes");
	cJSON_AddItemToArray(list, str("zz"));
	cJSON_AddItemToArray(list, str(prefix_or_null != NULL ? prefix_or_null : hex));
	scene_move_app(s, "first");
	doc_of(s, "first")->not_visited = !matches;
	if (!matches) {
		refuse_target(s, UPT_E_UNKNOWN_TARGET);
		set(body_of(s, "targets"), "delegations/roles/0/path_hash_prefixes/1", str(hex));
		doc_of(s, "first")->not_visited = false;
	}
	good_step(s);
}

static void
hash_prefix(struct scene *s)
{
	hash_prefix_case(s, NULL, true);
}

static void
other_hash_prefix(struct scene *s)
{
	hash_prefix_case(s, "0000", false);
}

static void
empty_hash_prefix(struct scene *s)
{
	hash_prefix_case(s, "", false);
}

/* ---- hardware ---- */

static void
hardware_matches(struct scene *s)
{
	scene_delegate(s,
		&(struct delegation){"targets", "first", "first-1", 1, "app-*", HARDWARE, false});
	scene_move_app(s, "first");
	good_step(s);
}

static void
hardware_does_not_match(struct scene *s)
{
	scene_delegate(s,
		&(struct delegation){"targets", "first", "first-1", 1, "app-*", "hw-b", false});
	scene_move_app(s, "first");
	doc_of(s, "first")->not_visited = true;
	refuse_target(s, UPT_E_UNKNOWN_TARGET);
	cJSON_AddItemToArray(
		at(body_of(s, "targets"), "delegations/roles/0/hardwareIds"), str(HARDWARE));
	doc_of(s, "first")->not_visited = false;
	good_step(s);
}

static void
empty_hardware(struct scene *s)
{
	cJSON *d = to(s, "targets", "first", "app-*", false);

	cJSON_AddArrayToObject(d, "hardwareIds");
	scene_move_app(s, "first");
	doc_of(s, "first")->not_visited = true;
	refuse_target(s, UPT_E_UNKNOWN_TARGET);
	cJSON_AddItemToArray(
		at(body_of(s, "targets"), "delegations/roles/0/hardwareIds"), str(HARDWARE));
	doc_of(s, "first")->not_visited = false;
	good_step(s);
}

/* ---- failures on the way (10.2) ---- */

static void
earlier_missing(struct scene *s)
{
	to(s, "targets", "first", "app-*", false);
	to(s, "targets", "second", "app-*", false);
	scene_move_app(s, "second");
	scene_step(s);
	doc_of(s, "first")->omit = true;
	scene_refuse(s, UPT_E_MISSING, IMAGE, "first");
	good_step(s);
}

static void
earlier_unsigned(struct scene *s)
{
	to(s, "targets", "first", "app-*", false);
	to(s, "targets", "second", "app-*", false);
	scene_move_app(s, "second");
	scene_step(s);
	scene_signing(s, IMAGE, "first")->keys = "thief-1";
	scene_refuse(s, UPT_E_THRESHOLD, IMAGE, "first");
	good_step(s);
}

static void
not_listed(struct scene *s)
{
	to(s, "targets", "first", "app-*", false);
	scene_move_app(s, "first");
	scene_step(s);
	doc_of(s, "first")->unlisted = true;
	scene_refuse(s, UPT_E_NOT_LISTED, IMAGE, "first");
	good_step(s);
}

static void
unneeded_role_missing(struct scene *s)
{
	to(s, "targets", "first", "other-*", false);
	doc_of(s, "first")->not_visited = true;
	scene_step(s);
	doc_of(s, "first")->omit = true;
	scene_accept(s);
}

static void
top_level_keys(struct scene *s)
{
	to(s, "targets", "first", "app-*", false);
	scene_move_app(s, "first");
	scene_step(s);
	scene_signing(s, IMAGE, "first")->keys = "targets-1";
	scene_refuse(s, UPT_E_THRESHOLD, IMAGE, "first");
	good_step(s);
}

/* ---- cycles, depth, number ---- */

static void
delegates_to_itself(struct scene *s)
{
	to(s, "targets", "first", "app-*", false);
	to(s, "first", "first", "app-*", false);
	to(s, "targets", "second", "app-*", false);
	scene_move_app(s, "second");
	good_step(s);
}

static void
cycle_of_two(struct scene *s)
{
	to(s, "targets", "first", "app-*", false);
	to(s, "first", "inner", "app-*", false);
	to(s, "inner", "first", "app-*", false);
	to(s, "targets", "second", "app-*", false);
	scene_move_app(s, "second");
	good_step(s);
}

static void
chain(struct scene *s, int n)
{
	char from[16] = "targets", role[16];

	for (int i = 1; i <= n; i++) {
		snprintf(role, sizeof(role), "level-%d", i);
		to(s, from, role, "app-*", false);
		memcpy(from, role, sizeof(from));
	}
	scene_move_app(s, role);
}

static void
eight_deep(struct scene *s)
{
	chain(s, 8);
	good_step(s);
}

static void
nine_deep(struct scene *s)
{
	chain(s, 9);
	doc_of(s, "level-9")->not_visited = true;
	refuse_target(s, UPT_E_DELEGATION);
	scene_vouch(s, body_of(s, "level-8"), APP, HARDWARE);
	good_step(s);
}

static void
row(struct scene *s, int n)
{
	char role[16];

	for (int i = 1; i <= n; i++) {
		snprintf(role, sizeof(role), "role-%d", i);
		to(s, "targets", role, "app-*", false);
	}
	scene_move_app(s, role);
}

static void
sixty_four_roles(struct scene *s)
{
	row(s, 64);
	good_step(s);
}

static void
sixty_five_roles(struct scene *s)
{
	row(s, 65);
	doc_of(s, "role-65")->not_visited = true;
	refuse_target(s, UPT_E_DELEGATION);
	scene_vouch(s, body_of(s, "role-64"), APP, HARDWARE);
	good_step(s);
}

static void
two_targets_count_apart(struct scene *s)
{
	row(s, 40);
	scene_ecu(s, "ecu-2", HARDWARE);
	scene_image(s, "app-2.bin", "another application\n");
	scene_assign(s, scene_body(s, DIRECTOR, "targets"), "app-2.bin", "ecu-2", HARDWARE);
	scene_vouch(s, body_of(s, "role-40"), "app-2.bin", HARDWARE);
	good_step(s);
}

/* ---- one role by two ways ---- */

/* Reached by "first" with the keys that sign it, and by "second" with others. The search does not find
 * the target by the first way because only one of two targets is there. */
static void
two_ways(struct scene *s, const char *keys_of_second)
{
	to(s, "targets", "first", "app-*", false);
	to(s, "targets", "second", "app-*", false);
	to(s, "first", "shared", "app-1*", false);
	scene_delegate(s,
		&(struct delegation){"second", "shared", keys_of_second, 1, "app-2*", NULL, false});
	scene_move_app(s, "shared");
	scene_ecu(s, "ecu-2", HARDWARE);
	scene_image(s, "app-2.bin", "another application\n");
	scene_assign(s, scene_body(s, DIRECTOR, "targets"), "app-2.bin", "ecu-2", HARDWARE);
	scene_vouch(s, body_of(s, "shared"), "app-2.bin", HARDWARE);
}

static void
two_ways_one_key(struct scene *s)
{
	two_ways(s, "shared-1");
	good_step(s);
}

static void
two_ways_other_keys(struct scene *s)
{
	two_ways(s, "shared-2");
	scene_step(s);
	/* All four were accepted for the first image; for the second, "shared" is not signed. */
	scene_trust(s, IMAGE, "timestamp", 1);
	scene_trust(s, IMAGE, "snapshot", 1);
	scene_trust(s, IMAGE, "targets", 1);
	scene_trust(s, IMAGE, "first", 1);
	scene_trust(s, IMAGE, "second", 1);
	scene_trust(s, IMAGE, "shared", 1);
	scene_trust(s, DIRECTOR, "timestamp", 1);
	scene_trust(s, DIRECTOR, "snapshot", 1);
	scene_trust(s, DIRECTOR, "targets", 1);
	scene_refuse_as_set(s, UPT_E_THRESHOLD, IMAGE, NULL);
	scene_step(s);
	scene_signing(s, IMAGE, "shared")->keys = "shared-1 shared-2";
	scene_accept(s);
}

/* ---- names and rollback ---- */

static void
odd_name(struct scene *s, const char *name)
{
	scene_delegate(s, &(struct delegation){"targets", name, "odd-1", 1, "app-*", NULL, false});
	scene_move_app(s, name);
	good_step(s);
	good_step(s);
}

static const struct {
	const char *name, *role;
} odd_names[] = {
	{"slash", "team/a"},
	{"parent-folder", "../../etc/passwd"},
	{"dot", "."},
	{"dots", ".."},
	{"hidden", ".team"},
	{"space", "team a"},
	{"percent", "team%2Fa"},
	{"question-mark", "team?a=b"},
	{"hash", "team#a"},
	{"backslash", "team\\a"},
	{"beyond-ascii", "\xc3\xa9quipe"},
	{"digits", "7"},
	{"version-prefix", "2.team"},
	{"json-suffix", "team.json"},
	{"upper-case-root", "Root"},
	{"quote", "team\"a"},
};

static void
delegated_rollback(struct scene *s)
{
	to(s, "targets", "first", "app-*", false);
	scene_move_app(s, "first");
	doc_of(s, "first")->version = 5;
	good_step(s);
	/* The snapshot forgets with its key; the role's own copy does not. */
	scene_step(s);
	scene_root(s, IMAGE);
	scene_plan(s, IMAGE, "snapshot", "snapshot-2", 1);
	doc_of(s, "first")->version = 4;
	scene_refuse(s, UPT_E_ROLLBACK, IMAGE, "first");
	scene_step(s);
	doc_of(s, "first")->version = 5;
	scene_accept(s);
}

static void
delegated_rollback_by_snapshot(struct scene *s)
{
	to(s, "targets", "first", "app-*", false);
	scene_move_app(s, "first");
	doc_of(s, "first")->version = 5;
	good_step(s);
	scene_step(s);
	doc_of(s, "first")->version = 4;
	scene_refuse(s, UPT_E_ROLLBACK, IMAGE, "snapshot");
	scene_step(s);
	scene_accept(s);
}

static void
delegated_dropped(struct scene *s)
{
	to(s, "targets", "first", "app-*", false);
	scene_move_app(s, "first");
	good_step(s);
	scene_step(s);
	doc_of(s, "first")->unlisted = true;
	scene_refuse(s, UPT_E_FILE_DROPPED, IMAGE, "snapshot");
	good_step(s);
}

/* Nobody delegates to it any more, and still it stays listed until the snapshot's key is rotated. */
static void
dropped_until_rotation(struct scene *s)
{
	to(s, "targets", "first", "app-*", false);
	to(s, "targets", "second", "app-*", false);
	scene_move_app(s, "second");
	good_step(s);
	drop(body_of(s, "targets"), "delegations/roles/0");
	doc_of(s, "first")->not_visited = true;
	for (int i = 0; i < 2; i++) {
		scene_step(s);
		doc_of(s, "first")->unlisted = doc_of(s, "first")->omit = true;
		scene_refuse(s, UPT_E_FILE_DROPPED, IMAGE, "snapshot");
	}
	scene_step(s);
	doc_of(s, "first")->unlisted = doc_of(s, "first")->omit = true;
	scene_root(s, IMAGE);
	scene_plan(s, IMAGE, "snapshot", "snapshot-2", 1);
	scene_accept(s);
}

static void
delegated_fast_forward(struct scene *s)
{
	to(s, "targets", "first", "app-*", false);
	scene_move_app(s, "first");
	doc_of(s, "first")->version = 4000000000;
	good_step(s);
	/* Its new key alone undoes nothing: the snapshot remembers. */
	drop(body_of(s, "targets"), "delegations");
	scene_delegate(s, &(struct delegation){"targets", "first", "first-2", 1, "app-*", NULL, false});
	scene_step(s);
	doc_of(s, "first")->version = 2;
	scene_signing(s, IMAGE, "first")->keys = "first-2";
	scene_refuse(s, UPT_E_ROLLBACK, IMAGE, "snapshot");
	scene_step(s);
	scene_root(s, IMAGE);
	scene_plan(s, IMAGE, "snapshot", "snapshot-2", 1);
	scene_signing(s, IMAGE, "first")->keys = "first-2";
	scene_accept(s);
}

static void
delegated_stored_expires(struct scene *s)
{
	to(s, "targets", "first", "app-*", false);
	scene_move_app(s, "first");
	scene_step(s);
	set(scene_payload(s, IMAGE, "first"), "expires", when(NOW + 60));
	scene_accept(s);
	doc_of(s, "first")->hold = true;
	scene_step(s);
	s->now = NOW + 60;
	scene_refuse(s, UPT_E_EXPIRED, IMAGE, "first");
	doc_of(s, "first")->hold = false;
	good_step(s);
}

static void
delegated_same_version(struct scene *s)
{
	to(s, "targets", "first", "app-*", false);
	scene_move_app(s, "first");
	good_step(s);
	scene_step(s);
	doc_of(s, "first")->version = 1;
	set(scene_payload(s, IMAGE, "first"), "spec_version", str("1.0.31"));
	scene_accept(s);
}

static void
delegated_unchanged(struct scene *s)
{
	to(s, "targets", "first", "app-*", false);
	scene_move_app(s, "first");
	good_step(s);
	doc_of(s, "first")->hold = true;
	doc_of(s, "first")->omit = true;
	good_step(s);
}

static void
delegated_key_rotated(struct scene *s)
{
	to(s, "targets", "first", "app-*", false);
	scene_move_app(s, "first");
	good_step(s);
	drop(body_of(s, "targets"), "delegations");
	scene_delegate(s, &(struct delegation){"targets", "first", "first-2", 1, "app-*", NULL, false});
	scene_step(s);
	scene_refuse(s, UPT_E_THRESHOLD, IMAGE, "first");
	scene_step(s);
	scene_signing(s, IMAGE, "first")->keys = "first-2";
	scene_accept(s);
}

static void
delegated_threshold(struct scene *s)
{
	scene_delegate(s,
		&(struct delegation){"targets", "first", "first-1 first-2 first-3", 2, "app-*", NULL, false});
	scene_move_app(s, "first");
	scene_step(s);
	scene_signing(s, IMAGE, "first")->keys = "first-3 first-1";
	scene_accept(s);
}

static const struct {
	const char *name, *title, *proves;
	void (*play)(struct scene *s);
} scenes[] = {
	{"first-wins", "Of two delegations that list a target, the first counts.", "0.9 10.1 10.3", first_wins},
	{"second-is-asked", "Where the first delegation does not list a target, the second may.", "10.1",
		second_is_asked},
	{"earlier-role-disagrees", "What the first delegation lists cannot be overruled by the second.", "10.3",
		earlier_role_disagrees},
	{"delegator-comes-first", "What a role lists itself comes before its delegations.", "10.1",
		delegator_comes_first},
	{"depth-before-breadth", "A delegation's own delegations come before the next one.", "10.1",
		depth_before_breadth},
	{"terminating-found", "A terminating delegation that lists the target.", "0.10 10.4",
		terminating_found},
	{"terminating-not-found", "Behind a terminating delegation nothing is searched.", "0.10 10.4",
		terminating_not_found},
	{"terminating-other-path", "A terminating delegation of other paths does not end the search.", "10.4 10.5",
		terminating_does_not_match},
	{"terminating-below", "A terminating delegation inside a branch ends the whole search.", "0.10 10.4",
		terminating_below},
	{"terminating-other-hardware", "A terminating delegation for other hardware does not end the search.",
		"10.4 10.5", terminating_for_other_hardware},
	{"hash-prefix", "A delegation by the prefix of the target name's hash.", "10.5", hash_prefix},
	{"other-hash-prefix", "A delegation of another hash prefix does not apply.", "10.5", other_hash_prefix},
	{"empty-hash-prefix", "An empty hash prefix applies to nothing.", "10.5", empty_hash_prefix},
	{"hardware-matches", "A delegation for the ECU's hardware applies.", "10.5", hardware_matches},
	{"hardware-does-not-match", "A delegation for other hardware does not apply.", "10.5",
		hardware_does_not_match},
	{"empty-hardware", "A delegation for an empty list of hardware applies to none.", "10.5", empty_hardware},
	{"earlier-missing", "A role that the server withholds ends the search: no later one may take its place.",
		"10.2", earlier_missing},
	{"earlier-unsigned", "A role that does not verify ends the search.", "10.2", earlier_unsigned},
	{"not-listed", "A role that the snapshot does not list is refused.", "9.2 10.2", not_listed},
	{"unneeded-role-missing", "A role that no target leads to is not asked for.", "10.5",
		unneeded_role_missing},
	{"top-level-keys", "Keys of top-level targets do not sign for a delegated role.", "9.3", top_level_keys},
	{"to-itself", "A role that delegates to itself adds nothing.", "10.1", delegates_to_itself},
	{"cycle-of-two", "Two roles that delegate to each other add nothing.", "10.1", cycle_of_two},
	{"eight-deep", "Delegations eight deep are followed.", "10.1", eight_deep},
	{"nine-deep", "Delegations nine deep are refused.", "10.1", nine_deep},
	{"sixty-four-roles", "Sixty-four roles are visited.", "10.7", sixty_four_roles},
	{"sixty-five-roles", "A search that would visit more than sixty-four roles is refused.", "10.7",
		sixty_five_roles},
	{"two-targets-count-apart", "Each target's search counts for itself.", "10.7", two_targets_count_apart},
	{"two-ways-one-key", "A role that two others delegate to with the same key.", "10.1", two_ways_one_key},
	{"two-ways-other-keys", "A role reached by two ways must be signed for each of them.", "9.3 10.2",
		two_ways_other_keys},
	{"rollback", "An older delegated role is refused also when the snapshot's memory is gone.", "9.4",
		delegated_rollback},
	{"rollback-by-snapshot", "A snapshot that lists an older delegated role is refused.", "8.5",
		delegated_rollback_by_snapshot},
	{"dropped", "A snapshot that no longer lists a delegated role is refused.", "8.6", delegated_dropped},
	{"dropped-until-rotation",
		"A role that nobody delegates to stays listed until the snapshot's key is rotated.", "6.7 8.6",
		dropped_until_rotation},
	{"fast-forward", "A fast-forwarded delegated role is undone by a rotation of its key and the snapshot's.",
		"6.7 9.4", delegated_fast_forward},
	{"stored-expires", "A stored delegated role is not trusted beyond its expiry, and does not wedge.",
		"1.14 9.5", delegated_stored_expires},
	{"same-version", "A delegated role of the same version with another listed hash is fetched.", "9.2 9.4",
		delegated_same_version},
	{"unchanged", "A delegated role that has not changed is not asked for again.", "5.10",
		delegated_unchanged},
	{"key-rotated", "The delegator's new keys count at once.", "9.3", delegated_key_rotated},
	{"two-of-three", "Any two of three keys satisfy a threshold of two.", "9.3", delegated_threshold},
};

static void
add_pattern(struct generator *g, size_t i, bool ota)
{
	bool matches = patterns[i].matches[ota ? 1 : 0];
	char name[128], title[256];
	struct scene *s;

	snprintf(name, sizeof(name), "%sdelegation-pattern-%s", ota ? "ota-" : "", patterns[i].name);
	snprintf(title, sizeof(title), "The pattern \"%s\" %s %s.", patterns[i].pattern,
		matches ? "matches" : "does not match", patterns[i].target);
	s = ota ? scene_begin_ota(g, name, title, "10.5") : scene_begin(g, name, title, "10.5");
	pattern_case(s, patterns[i].pattern, patterns[i].target, matches);
	scene_end(&s);
}

static void
add_odd_name(struct generator *g, size_t i, bool ota)
{
	char name[128];
	struct scene *s;
	static const char title[] = "A role name with odd characters stays one harmless file name.";

	snprintf(name, sizeof(name), "%sdelegation-name-%s", ota ? "ota-" : "", odd_names[i].name);
	s = ota ? scene_begin_ota(g, name, title, "0.15") : scene_begin(g, name, title, "0.13 0.15");
	odd_name(s, odd_names[i].role);
	scene_end(&s);
}

void
cases_delegation(struct generator *g)
{
	ADD_FAULTS(g, faults);
	for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
		struct scene *s;
		char name[128];

		snprintf(name, sizeof(name), "delegation-%s", scenes[i].name);
		s = scene_begin(g, name, scenes[i].title, scenes[i].proves);
		scenes[i].play(s);
		scene_end(&s);
	}
	for (int ota = 0; ota < 2; ota++) {
		for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
			add_pattern(g, i, ota == 1);
		for (size_t i = 0; i < sizeof(odd_names) / sizeof(odd_names[0]); i++)
			add_odd_name(g, i, ota == 1);
	}
}
