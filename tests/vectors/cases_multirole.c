/* Delegations to several roles that must agree (TAP 3; resolve_delegations, 10.6; 0.11). */
#include <stdio.h>
#include "cases.h"
#include "delegating.h"

/* "a", "b" and "c" are asked together, two of them must agree; the base target is listed by none. */
static cJSON *
two_of_three(struct scene *s, bool terminating)
{
	drop(body_of(s, "targets"), "targets/" APP);
	return scene_delegate_to_several(s,
		&(struct multi_role){.from = "targets",
			.name = "several",
			.to = "a b c",
			.min = 2,
			.path = "app-*",
			.terminating = terminating});
}

static void
one(struct scene *s, const char *from, const char *role, bool terminating)
{
	to(s, from, role, "app-*", terminating);
}

static cJSON *
vouch(struct scene *s, const char *role)
{
	return scene_vouch(s, body_of(s, role), APP, HARDWARE);
}

/* ---- faults of a delegating document ---- */

/* A delegation to "inner" and "outer" is added to what the place's document says. */
static cJSON *
spoilt(struct scene *s, enum upt_repo repo, const char *role)
{
	const struct upt_private_key *keys[] = {
		generator_key(s->gen, "image/inner-1"), generator_key(s->gen, "image/outer-1")};
	const struct upt_author_role roles[] = {
		{.name = "inner", .keys = &keys[0], .n_keys = 1, .threshold = 1},
		{.name = "outer", .keys = &keys[1], .n_keys = 1, .threshold = 1}};
	const char *path = "none-*";
	const struct upt_author_scope scope = {.paths = &path, .n_paths = 1};
	cJSON *payload = scene_payload(s, repo, role), *list;

	must_code(upt_author_add_multi_role_delegation(payload, "several", roles, 2, 2, &scope, NULL),
		NULL);
	list = at(payload, "delegations/roles");
	return cJSON_GetArrayItem(list, cJSON_GetArraySize(list) - 1);
}

#define SHAPE_FAULT(name, change)                                                                  \
	static void name(struct scene *s, enum upt_repo repo, const char *role)                    \
	{                                                                                          \
		cJSON *d = spoilt(s, repo, role);                                                  \
		change;                                                                            \
	}

SHAPE_FAULT(no_name, drop(d, "name"))
SHAPE_FAULT(no_min, drop(d, "min_roles_in_agreement"))
SHAPE_FAULT(zero_min, set(d, "min_roles_in_agreement", num(0)))
SHAPE_FAULT(min_above_roles, set(d, "min_roles_in_agreement", num(3)))
SHAPE_FAULT(text_min, set(d, "min_roles_in_agreement", str("2")))
SHAPE_FAULT(no_roleinfo, drop(d, "roleinfo"))
SHAPE_FAULT(empty_roleinfo, set(d, "roleinfo", cJSON_CreateArray()))
SHAPE_FAULT(object_roleinfo, set(d, "roleinfo", cJSON_CreateObject()))
SHAPE_FAULT(text_role, set(d, "roleinfo/0", str("inner")))
SHAPE_FAULT(no_rolename, drop(d, "roleinfo/0/rolename"))
SHAPE_FAULT(empty_rolename, set(d, "roleinfo/0/rolename", str("")))
SHAPE_FAULT(role_twice, set(d, "roleinfo/1/rolename", str("inner")))
SHAPE_FAULT(to_root, set(d, "roleinfo/1/rolename", str("root")))
SHAPE_FAULT(to_targets, set(d, "roleinfo/1/rolename", str("targets")))
SHAPE_FAULT(no_keyids, drop(d, "roleinfo/1/keyids"))
SHAPE_FAULT(no_threshold, drop(d, "roleinfo/1/threshold"))
SHAPE_FAULT(zero_threshold, set(d, "roleinfo/1/threshold", num(0)))
SHAPE_FAULT(own_keyids, set(d, "keyids", cJSON_Duplicate(at(d, "roleinfo/0/keyids"), true)))
SHAPE_FAULT(own_threshold, set(d, "threshold", num(1)))

static void
name_twice(struct scene *s, enum upt_repo repo, const char *role)
{
	spoilt(s, repo, role);
	spoilt(s, repo, role);
}

static void
too_many_roles(struct scene *s, enum upt_repo repo, const char *role)
{
	cJSON *list = at(spoilt(s, repo, role), "roleinfo"), *first = cJSON_GetArrayItem(list, 0);
	char name[32];

	while (cJSON_GetArraySize(list) < 33) {
		cJSON *more = cJSON_Duplicate(first, true);

		snprintf(name, sizeof(name), "inner-%d", cJSON_GetArraySize(list));
		set(more, "rolename", str(name));
		cJSON_AddItemToArray(list, more);
	}
}

#define DELEGATORS (I_TARGETS | I_TEAM)

static const struct fault faults[] = {
	{"several-without-name", "A delegation to several roles has a name of its own.", "0.11", DELEGATORS,
		UPT_E_MALFORMED, no_name, NULL},
	{"several-name-twice", "Two delegations of one name are refused.", "0.11", DELEGATORS, UPT_E_MALFORMED,
		name_twice, NULL},
	{"several-no-minimum", "How many roles must agree is said.", "0.11 10.6", DELEGATORS, UPT_E_MALFORMED,
		no_min, NULL},
	{"several-zero-minimum", "At least one role must agree.", "0.11 10.6", DELEGATORS, UPT_E_BAD_THRESHOLD,
		zero_min, NULL},
	{"several-minimum-above-roles", "No more roles than there are can have to agree.", "0.11 10.6",
		DELEGATORS, UPT_E_BAD_THRESHOLD, min_above_roles, NULL},
	{"several-text-minimum", "The number of roles in quotes is refused.", "0.11", DELEGATORS,
		UPT_E_MALFORMED, text_min, NULL},
	{"several-no-roles", "A minimum without roles is refused.", "0.11", DELEGATORS, UPT_E_MALFORMED,
		no_roleinfo, NULL},
	{"several-empty-roles", "A delegation to no role is refused.", "0.11", DELEGATORS, UPT_E_MALFORMED,
		empty_roleinfo, NULL},
	{"several-roles-object", "Roles are a list: their order decides conflicts.", "0.11 10.6", DELEGATORS,
		UPT_E_MALFORMED, object_roleinfo, NULL},
	{"several-role-is-text", "A role without keys of its own is refused.", "0.11", DELEGATORS,
		UPT_E_MALFORMED, text_role, NULL},
	{"several-no-rolename", "A role without a name is refused.", "0.11", DELEGATORS, UPT_E_MALFORMED,
		no_rolename, NULL},
	{"several-empty-rolename", "A role with an empty name is refused.", "0.11", DELEGATORS, UPT_E_MALFORMED,
		empty_rolename, NULL},
	{"several-role-twice", "A role cannot agree with itself.", "0.11 10.6", DELEGATORS, UPT_E_MALFORMED,
		role_twice, NULL},
	{"several-to-root", "The name of a top-level role among several is refused.", "0.11", DELEGATORS,
		UPT_E_MALFORMED, to_root, NULL},
	{"several-to-targets", "Top-level targets among several roles are refused.", "0.11", DELEGATORS,
		UPT_E_MALFORMED, to_targets, NULL},
	{"several-no-keyids", "One of several roles without keys is refused.", "0.11", DELEGATORS,
		UPT_E_MALFORMED, no_keyids, NULL},
	{"several-no-threshold", "One of several roles without a threshold is refused.", "0.11", DELEGATORS,
		UPT_E_MALFORMED, no_threshold, NULL},
	{"several-zero-threshold", "One of several roles with a threshold of 0 is refused.", "0.11 9.3",
		DELEGATORS, UPT_E_BAD_THRESHOLD, zero_threshold, NULL},
	{"several-own-keyids", "Keys of the delegation beside keys of its roles are refused.", "0.11",
		DELEGATORS, UPT_E_MALFORMED, own_keyids, NULL},
	{"several-own-threshold", "A threshold of the delegation beside those of its roles is refused.", "0.11",
		DELEGATORS, UPT_E_MALFORMED, own_threshold, NULL},
	{"several-33-roles", "A delegation to more than 32 roles is refused.", "0.11", DELEGATORS,
		UPT_E_DELEGATION, too_many_roles, NULL},
};

/* ---- who must agree ---- */

static void
enough_agree(struct scene *s)
{
	two_of_three(s, false);
	vouch_other(s, "a");
	vouch(s, "b");
	vouch(s, "c");
	good_step(s);
}

static void
too_few_agree(struct scene *s)
{
	two_of_three(s, false);
	vouch(s, "a");
	vouch_other(s, "b");
	refuse_target(s, UPT_E_UNKNOWN_TARGET);
	vouch(s, "c");
	good_step(s);
}

static void
all_are_needed(struct scene *s)
{
	cJSON *d = two_of_three(s, false);

	set(d, "min_roles_in_agreement", num(3));
	vouch(s, "a");
	vouch(s, "b");
	refuse_target(s, UPT_E_UNKNOWN_TARGET);
	vouch(s, "c");
	good_step(s);
}

static void
one_is_enough(struct scene *s)
{
	set(two_of_three(s, false), "min_roles_in_agreement", num(1));
	vouch(s, "b");
	vouch_other(s, "c");
	good_step(s);
}

/* The example of TAP 3. */
static void
earliest_wins(struct scene *s)
{
	drop(body_of(s, "targets"), "targets/" APP);
	scene_delegate_to_several(s,
		&(struct multi_role){"targets", "several", "a b c d", 2, "app-*", false});
	vouch(s, "a");
	vouch_other(s, "b");
	vouch_other(s, "c");
	vouch(s, "d");
	good_step(s);
	vouch_other(s, "a");
	vouch(s, "b");
	vouch(s, "c");
	vouch_other(s, "d");
	refuse_target(s, UPT_E_TARGET_MISMATCH);
}

static void
of_one_role(struct scene *s)
{
	drop(body_of(s, "targets"), "targets/" APP);
	scene_delegate_to_several(s,
		&(struct multi_role){"targets", "several", "a", 1, "app-*", false});
	vouch(s, "a");
	good_step(s);
}

static void
beside_others(struct scene *s)
{
	one(s, "targets", "first", false);
	two_of_three(s, false);
	one(s, "targets", "second", false);
	vouch(s, "second");
	vouch_other(s, "a");
	good_step(s);
	vouch_other(s, "b");
	doc_of(s, "second")->not_visited = true;
	refuse_target(s, UPT_E_TARGET_MISMATCH);
}

/* ---- what they must agree on ---- */

static void
custom_differs(struct scene *s)
{
	two_of_three(s, false);
	set(vouch(s, "a"), "custom/releaseCounter", num(2));
	set(vouch(s, "b"), "custom/releaseCounter", num(1));
	refuse_target(s, UPT_E_UNKNOWN_TARGET);
	set(vouch(s, "c"), "custom/releaseCounter", num(2));
	good_step(s);
}

static void
hash_only_one_lists(struct scene *s)
{
	two_of_three(s, false);
	scene_vouch(s, body_of(s, "a"), APP, HARDWARE);
	cJSON_AddItemToArray(cJSON_AddArrayToObject(
				     at(scene_list(s, body_of(s, "b"), APP, true), "custom"), "hardwareIds"),
		str(HARDWARE));
	refuse_target(s, UPT_E_UNKNOWN_TARGET);
	vouch(s, "b");
	good_step(s);
}

static void
length_differs(struct scene *s)
{
	two_of_three(s, false);
	vouch(s, "a");
	set(vouch(s, "b"), "length", num(1));
	refuse_target(s, UPT_E_UNKNOWN_TARGET);
	vouch(s, "b");
	good_step(s);
}

/* ---- one party, one vote ---- */

static void
shared_role_counts_once(struct scene *s)
{
	two_of_three(s, false);
	one(s, "a", "shared", false);
	one(s, "b", "shared", false);
	vouch(s, "shared");
	refuse_target(s, UPT_E_UNKNOWN_TARGET);
	vouch(s, "c");
	good_step(s);
}

static void
sibling_adds_no_vote(struct scene *s)
{
	two_of_three(s, false);
	one(s, "a", "b", false);
	vouch(s, "b");
	refuse_target(s, UPT_E_UNKNOWN_TARGET);
	vouch(s, "c");
	good_step(s);
}

static void
answers_from_below(struct scene *s)
{
	two_of_three(s, false);
	one(s, "a", "below-a", false);
	one(s, "b", "below-b", false);
	vouch(s, "below-a");
	vouch(s, "below-b");
	good_step(s);
}

static void
nested(struct scene *s)
{
	two_of_three(s, false);
	scene_delegate_to_several(s, &(struct multi_role){"a", "inner", "d e", 2, "app-*", false});
	vouch(s, "d");
	vouch(s, "e");
	refuse_target(s, UPT_E_UNKNOWN_TARGET);
	vouch(s, "b");
	good_step(s);
}

/* ---- termination ---- */

static void
disagreement_goes_on(struct scene *s)
{
	two_of_three(s, false);
	one(s, "targets", "late", false);
	vouch_other(s, "a");
	vouch(s, "late");
	good_step(s);
}

static void
terminating_disagreement(struct scene *s)
{
	cJSON *d = two_of_three(s, true);

	one(s, "targets", "late", false);
	vouch_other(s, "a");
	vouch(s, "late");
	doc_of(s, "late")->not_visited = true;
	refuse_target(s, UPT_E_UNKNOWN_TARGET);
	set(d, "terminating", cJSON_CreateFalse());
	doc_of(s, "late")->not_visited = false;
	good_step(s);
}

static void
terminating_below_one(struct scene *s)
{
	two_of_three(s, false);
	one(s, "a", "below", true);
	one(s, "a", "behind", false);
	doc_of(s, "behind")->not_visited = true;
	vouch(s, "b");
	vouch(s, "c");
	good_step(s);
}

static void
terminating_below_enough(struct scene *s)
{
	two_of_three(s, false);
	one(s, "a", "below-a", true);
	one(s, "b", "below-b", true);
	one(s, "targets", "late", false);
	vouch(s, "late");
	doc_of(s, "late")->not_visited = true;
	refuse_target(s, UPT_E_UNKNOWN_TARGET);
	set(body_of(s, "b"), "delegations/roles/0/terminating", cJSON_CreateFalse());
	doc_of(s, "late")->not_visited = false;
	good_step(s);
}

/* ---- failures on the way (10.2) ---- */

static void
missing_role(struct scene *s)
{
	two_of_three(s, false);
	vouch(s, "a");
	vouch(s, "b");
	scene_step(s);
	doc_of(s, "c")->omit = true;
	scene_refuse(s, UPT_E_MISSING, IMAGE, "c");
	good_step(s);
}

static void
other_roles_key(struct scene *s)
{
	two_of_three(s, false);
	vouch(s, "a");
	vouch(s, "b");
	scene_step(s);
	scene_signing(s, IMAGE, "b")->keys = "a-1";
	doc_of(s, "c")->not_visited = true;
	scene_refuse(s, UPT_E_THRESHOLD, IMAGE, "b");
	doc_of(s, "c")->not_visited = false;
	good_step(s);
}

/* "b" is reached first by a delegation to it alone, with another key than it has among the three. */
static void
role_in_two_delegations(struct scene *s)
{
	static const char *const roles[] = {"timestamp", "snapshot", "targets"};

	scene_delegate(s, &(struct delegation){"targets", "b", "other-1", 1, "app-*", NULL, false});
	two_of_three(s, false);
	vouch(s, "a");
	vouch(s, "c");
	scene_step(s);
	/* Alone it was accepted, and so was "a". */
	for (size_t i = 0; i < 3; i++) {
		if (i == 2 || !scene_repo(s, DIRECTOR)->targets_only)
			scene_trust(s, DIRECTOR, roles[i], 1);
		scene_trust(s, IMAGE, roles[i], 1);
	}
	scene_trust(s, IMAGE, "a", 1);
	scene_trust(s, IMAGE, "b", 1);
	scene_refuse_as_set(s, UPT_E_THRESHOLD, IMAGE, NULL);
	scene_step(s);
	scene_signing(s, IMAGE, "b")->keys = "other-1 b-1";
	scene_accept(s);
}

static void
expired_role(struct scene *s)
{
	two_of_three(s, false);
	vouch(s, "a");
	vouch(s, "b");
	scene_step(s);
	set(scene_payload(s, IMAGE, "c"), "expires", when(PAST));
	scene_refuse(s, UPT_E_EXPIRED, IMAGE, "c");
	good_step(s);
}

static void
rolled_back_role(struct scene *s)
{
	two_of_three(s, false);
	vouch(s, "a");
	vouch(s, "b");
	doc_of(s, "c")->version = 5;
	good_step(s);
	/* The snapshot forgets with its key; the role's own copy does not. */
	scene_step(s);
	scene_root(s, IMAGE);
	scene_plan(s, IMAGE, "snapshot", "snapshot-2", 1);
	doc_of(s, "c")->version = 4;
	scene_refuse(s, UPT_E_ROLLBACK, IMAGE, "c");
	scene_step(s);
	doc_of(s, "c")->version = 5;
	scene_accept(s);
}

/* ---- paths, hardware, number ---- */

static void
visit_them(struct scene *s, bool visited)
{
	static const char *const roles[] = {"a", "b", "c"};

	for (size_t i = 0; i < 3; i++)
		doc_of(s, roles[i])->not_visited = !visited;
}

static void
other_path(struct scene *s)
{
	set(two_of_three(s, true), "paths/0", str("other-*"));
	one(s, "targets", "late", false);
	vouch(s, "late");
	visit_them(s, false);
	good_step(s);
}

static void
other_hardware(struct scene *s)
{
	cJSON *d = two_of_three(s, true), *list = cJSON_AddArrayToObject(d, "hardwareIds");

	cJSON_AddItemToArray(list, str("hw-b"));
	vouch(s, "a");
	vouch(s, "b");
	visit_them(s, false);
	refuse_target(s, UPT_E_UNKNOWN_TARGET);
	cJSON_AddItemToArray(list, str(HARDWARE));
	visit_them(s, true);
	good_step(s);
}

/* Two delegations to 32 roles each are 64 visits; one more is refused. */
static void
sixty_four_visits(struct scene *s, bool one_more)
{
	char names[2][32 * 8] = {"", ""};

	drop(body_of(s, "targets"), "targets/" APP);
	for (int i = 0; i < 64; i++) {
		char *list = names[i / 32];
		size_t used = strlen(list);

		snprintf(list + used, sizeof(names[0]) - used, "%sr%d", used > 0 ? " " : "", i);
	}
	scene_delegate_to_several(s,
		&(struct multi_role){"targets", "first", names[0], 2, "app-*", false});
	scene_delegate_to_several(s,
		&(struct multi_role){"targets", "second", names[1], 2, "app-*", false});
	one(s, "targets", "late", false);
	doc_of(s, "late")->not_visited = true;
	vouch(s, "r62");
	if (!one_more)
		vouch(s, "r63");
}

static void
sixty_four_roles(struct scene *s)
{
	sixty_four_visits(s, false);
	good_step(s);
}

static void
sixty_five_roles(struct scene *s)
{
	sixty_four_visits(s, true);
	refuse_target(s, UPT_E_DELEGATION);
	vouch(s, "r63");
	good_step(s);
}

static const struct {
	const char *name, *title, *proves;
	void (*play)(struct scene *s);
} scenes[] = {
	{"enough-agree", "Two of three roles agree, whatever the first one says.", "0.11 10.6", enough_agree},
	{"too-few-agree", "What one of two needed roles lists is not there.", "0.11 10.6", too_few_agree},
	{"all-are-needed", "Where all roles must agree, two of three are too few.", "0.11 10.6",
		all_are_needed},
	{"one-is-enough", "Where one role is enough, the earliest that lists the target counts.", "10.6",
		one_is_enough},
	{"earliest-wins", "Of two groups that agree, the one with the earliest role wins.", "10.6",
		earliest_wins},
	{"of-one-role", "A list of one role is a delegation to that role.", "0.11", of_one_role},
	{"beside-others", "Delegations to one and to several roles stand in one order.", "0.9 0.11",
		beside_others},
	{"custom-differs", "Roles that differ in a release counter do not agree.", "10.6", custom_differs},
	{"hash-only-one-lists", "Roles that list other hash algorithms do not agree.", "10.6",
		hash_only_one_lists},
	{"length-differs", "Roles that list other lengths do not agree.", "10.6", length_differs},
	{"shared-role-counts-once", "A role that two of them delegate to is one party.", "10.6",
		shared_role_counts_once},
	{"sibling-adds-no-vote", "A role that delegates to another of them adds no vote.", "10.6",
		sibling_adds_no_vote},
	{"answers-from-below", "What a role delegates further is its answer.", "10.1 10.6", answers_from_below},
	{"nested", "Roles that agree below one of them are one vote.", "10.1 10.6", nested},
	{"disagreement-goes-on", "Without agreement the search goes on.", "10.6", disagreement_goes_on},
	{"terminating-disagreement", "Without agreement a terminating delegation ends the search.",
		"0.10 10.4 10.6", terminating_disagreement},
	{"terminating-below-one", "A terminating delegation below one role ends that role's search only.",
		"10.4 10.6", terminating_below_one},
	{"terminating-below-enough",
		"Terminating delegations below as many roles as must agree end the whole search.",
		"0.10 10.4 10.6", terminating_below_enough},
	{"missing-role", "A role that is withheld ends the search also when two others agree.", "10.2 10.6",
		missing_role},
	{"other-roles-key", "One role's key does not sign for another.", "9.3 10.2 10.6", other_roles_key},
	{"role-in-two-delegations", "A role in two delegations is signed for each of them.", "9.3 10.2 10.6",
		role_in_two_delegations},
	{"expired-role", "An expired role ends the search also when two others agree.", "9.5 10.2 10.6",
		expired_role},
	{"rolled-back-role", "An older document of one of the roles is refused.", "9.4 10.2 10.6",
		rolled_back_role},
	{"other-path", "A delegation of other paths asks none of its roles.", "10.5 10.6", other_path},
	{"other-hardware", "A delegation for other hardware asks none of its roles.", "10.5 10.6",
		other_hardware},
	{"sixty-four-roles", "Each of several roles counts as visited: sixty-four are.", "10.7",
		sixty_four_roles},
	{"sixty-five-roles", "A sixty-fifth role after several is refused.", "10.7", sixty_five_roles},
};

void
cases_multirole(struct generator *g)
{
	ADD_FAULTS(g, faults);
	for (int ota = 0; ota < 2; ota++) {
		for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
			struct scene *s;
			char name[128];

			snprintf(name, sizeof(name), "%smultirole-%s", ota ? "ota-" : "", scenes[i].name);
			s = ota ? scene_begin_ota(g, name, scenes[i].title, scenes[i].proves)
				: scene_begin(g, name, scenes[i].title, scenes[i].proves);
			scenes[i].play(s);
			scene_end(&s);
		}
	}
}
