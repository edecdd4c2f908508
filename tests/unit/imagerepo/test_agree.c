/* Delegations to several roles (TAP 3): who must agree, on what, and who wins. */
#include "scene.h"

#include <stdio.h>
#include <string.h>

/* "a", "b" and "c" list "x" with these contents; NULL: they do not. */
static void
three_list(struct scene *s, const char *a, const char *b, const char *c)
{
	const char *const contents[] = {a, b, c}, *const names[] = {"a", "b", "c"};

	for (size_t i = 0; i < 3; i++) {
		if (contents[i] != NULL)
			lists_as(s, names[i], "x", contents[i]);
	}
}

static void
enough_roles_that_agree_decide(void **state)
{
	struct scene *s = *state;

	delegates_to_several(s, "targets", "team", "a b c", 2, "*", false);
	three_list(s, "bad", "good", "good");
	lists_as(s, "c", "alone", "good");
	refresh(s);
	assert_found(s, "x", "good");
	/* one of two that are needed, be it the only one that lists it */
	assert_code(find(s, "alone"), UPT_E_UNKNOWN_TARGET);
	assert_non_null(strstr(s->err.message, "too few roles of delegation team"));
	assert_code(find(s, "nobodys"), UPT_E_UNKNOWN_TARGET);
	assert_null(strstr(s->err.message, "too few"));
}

static void
all_must_agree_where_all_are_needed(void **state)
{
	struct scene *s = *state;

	delegates_to_several(s, "targets", "team", "a b c", 3, "*", false);
	three_list(s, "good", "good", "good");
	lists_as(s, "a", "y", "good");
	lists_as(s, "b", "y", "good");
	refresh(s);
	assert_found(s, "x", "good");
	assert_code(find(s, "y"), UPT_E_UNKNOWN_TARGET);
}

static void
one_role_that_is_enough_is_the_first_that_lists_it(void **state)
{
	struct scene *s = *state;

	delegates_to_several(s, "targets", "team", "a b c", 1, "*", false);
	three_list(s, NULL, "bs", "cs");
	refresh(s);
	assert_found(s, "x", "bs");
}

/* The example of TAP 3: two groups, and the one that the earliest role belongs to wins. */
static void
of_two_groups_the_one_with_the_earliest_role_wins(void **state)
{
	struct scene *s = *state;

	delegates_to_several(s, "targets", "team", "a b c d", 2, "*", false);
	three_list(s, "one", "two", "two");
	lists_as(s, "d", "x", "one");
	/* a role that nobody joins is passed over, however early it stands */
	lists_as(s, "a", "y", "zero");
	lists_as(s, "b", "y", "one");
	lists_as(s, "c", "y", "two");
	lists_as(s, "d", "y", "two");
	refresh(s);
	assert_found(s, "x", "one");
	assert_found(s, "y", "two");
}

/* Else whoever withholds "a" in the example above would make the other group win. */
static void
every_role_is_asked_also_when_enough_have_agreed(void **state)
{
	struct scene *s = *state;

	delegates_to_several(s, "targets", "team", "a b c", 2, "*", false);
	delegates(s, "targets", "late", "*", false);
	three_list(s, "good", "good", NULL);
	lists(s, "late", "x");
	refresh(s);
	s->m.failing = "get 1.c.json";
	s->m.failure = UPT_E_ABSENT;
	assert_code(find(s, "x"), UPT_E_MISSING);
	s->m.failing = NULL;
	assert_found(s, "x", "good");
}

static void
role_signed_by_another_roles_key_ends_the_search(void **state)
{
	struct scene *s = *state;

	role(s, "b", K(DEL_A)); /* "a" signs for "b" */
	delegates_to_several(s, "targets", "team", "a b c", 2, "*", false);
	three_list(s, "good", "good", "good");
	refresh(s);
	assert_code(find(s, "x"), UPT_E_THRESHOLD);
}

static void
expired_role_ends_the_search(void **state)
{
	struct scene *s = *state;

	delegates_to_several(s, "targets", "team", "a b c", 2, "*", false);
	three_list(s, "good", "good", "good");
	set_member(role(s, "c", 0), "expires", cJSON_CreateString("2026-01-01T00:00:00Z"));
	refresh(s);
	assert_code(find(s, "x"), UPT_E_EXPIRED);
}

/* ---- what they must agree on ---- */

/* "a" and "b" list "x" alike, but for this member of its entry. */
static enum upt_code
agree_but_for(void **state, const char *member, const char *json_a, const char *json_b)
{
	const char *const names[] = {"a", "b"}, *const jsons[] = {json_a, json_b};
	struct scene *s;
	char path[40];

	scene_teardown(state);
	scene_setup(state);
	s = *state;
	delegates_to_several(s, "targets", "team", "a b", 2, "*", false);
	snprintf(path, sizeof(path), "x/%s", member);
	for (size_t i = 0; i < 2; i++) {
		cJSON *targets = lists_as(s, names[i], "x", "same");

		if (jsons[i] != NULL)
			set_member(targets, path, cJSON_Parse(jsons[i]));
	}
	refresh(s);
	return find(s, "x");
}

static void
roles_must_agree_on_custom(void **state)
{
	static const char one[] = "{\"releaseCounter\":1,\"hardwareIds\":[\"hw\"]}",
			  two[] = "{\"releaseCounter\":2,\"hardwareIds\":[\"hw\"]}";

	assert_code(agree_but_for(state, "custom", two, one), UPT_E_UNKNOWN_TARGET);
	assert_code(agree_but_for(state, "custom", two, two), UPT_OK);
	assert_int_equal(((struct scene *)*state)->found.image.release_counter, 2);
}

static void
roles_must_agree_on_what_only_an_installer_reads(void **state)
{
	static const char yes[] = "{\"container\":{\"privileged\":true}}",
			  no[] = "{\"container\":{\"privileged\":false}}";

	assert_code(agree_but_for(state, "custom", yes, no), UPT_E_UNKNOWN_TARGET);
	assert_code(agree_but_for(state, "custom", yes, yes), UPT_OK);
}

static void
roles_must_agree_whether_there_is_a_custom(void **state)
{
	assert_code(agree_but_for(state, "custom", NULL, "{}"), UPT_E_UNKNOWN_TARGET);
	assert_code(agree_but_for(state, "custom", NULL, "null"), UPT_OK);
	assert_code(agree_but_for(state, "custom", "{}", "{ }"), UPT_OK);
}

static void
order_of_members_is_no_difference(void **state)
{
	assert_code(agree_but_for(state, "custom", "{\"releaseCounter\":2,\"uri\":\"https://x\"}",
			    "{\"uri\":\"https://x\",\"releaseCounter\":2}"),
		UPT_OK);
	assert_string_equal(((struct scene *)*state)->found.uri, "https://x");
}

static void
roles_must_agree_on_length_and_every_hash(void **state)
{
	static const char sha512[] =
		"\"cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
		"47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e\"";
	static const char md5[] = "\"d41d8cd98f00b204e9800998ecf8427e\"";

	assert_code(agree_but_for(state, "length", NULL, "5"), UPT_E_UNKNOWN_TARGET);
	assert_code(agree_but_for(state, "length", NULL, "4"), UPT_OK);
	assert_code(agree_but_for(state, "hashes/sha512", NULL, sha512), UPT_E_UNKNOWN_TARGET);
	assert_code(agree_but_for(state, "hashes/sha512", sha512, sha512), UPT_OK);
	assert_code(agree_but_for(state, "hashes/md5", NULL, md5), UPT_E_UNKNOWN_TARGET);
	assert_code(agree_but_for(state, "hashes/md5", md5, md5), UPT_OK);
}

/* ---- one party, one vote ---- */

static void
role_that_two_lead_to_counts_once(void **state)
{
	struct scene *s = *state;

	delegates_to_several(s, "targets", "team", "a b", 2, "*", false);
	delegates(s, "a", "shared", "*", false);
	delegates(s, "b", "own", "y", false);
	delegates(s, "b", "shared", "*", false);
	lists_as(s, "shared", "x", "good");
	lists_as(s, "shared", "y", "good");
	lists_as(s, "own", "y", "good");
	refresh(s);
	assert_code(find(s, "x"), UPT_E_UNKNOWN_TARGET);
	assert_found(s, "y", "good");
}

static void
roles_below_the_roles_answer_for_them(void **state)
{
	struct scene *s = *state;

	delegates_to_several(s, "targets", "team", "a b", 2, "*", false);
	delegates(s, "a", "below-a", "*", false);
	delegates(s, "b", "below-b", "*", false);
	lists_as(s, "below-a", "x", "good");
	lists_as(s, "below-b", "x", "good");
	refresh(s);
	assert_found(s, "x", "good");
}

/* "a" lets "b" speak for it: "b" is one party still. And with "c" they are two. */
static void
role_that_delegates_to_its_sibling_adds_no_vote(void **state)
{
	struct scene *s = *state;

	delegates_to_several(s, "targets", "team", "a b c", 2, "*", false);
	delegates(s, "a", "b", "*", false);
	lists_as(s, "b", "x", "bs");
	lists_as(s, "b", "y", "good");
	lists_as(s, "c", "y", "good");
	refresh(s);
	assert_code(find(s, "x"), UPT_E_UNKNOWN_TARGET);
	assert_found(s, "y", "good");
}

/* The sibling is signed by its own key only: what "a" says about the keys of "b" is refused. */
static void
role_that_lends_its_sibling_another_key_ends_the_search(void **state)
{
	struct scene *s = *state;

	delegates_to_several(s, "targets", "team", "a b", 2, "*", false);
	delegate(&s->w, role(s, "a", 0), "b", K(DEL_A), 1, "*", false);
	lists_as(s, "b", "x", "good");
	refresh(s);
	assert_code(find(s, "x"), UPT_E_THRESHOLD);
	/* signed by the key that "a" names, it is not what the delegation names */
	scene_teardown(state);
	scene_setup(state);
	s = *state;
	role(s, "b", K(DEL_A));
	delegates_to_several(s, "targets", "team", "a b", 2, "*", false);
	delegate(&s->w, role(s, "a", 0), "b", K(DEL_A), 1, "*", false);
	lists_as(s, "a", "y", "good");
	lists_as(s, "b", "x", "good");
	lists_as(s, "b", "y", "good");
	refresh(s);
	assert_code(find(s, "x"), UPT_E_THRESHOLD);
	assert_code(find(s, "y"), UPT_E_THRESHOLD);
}

static void
group_of_a_nested_delegation_is_one_vote(void **state)
{
	struct scene *s = *state;

	delegates_to_several(s, "targets", "team", "a b", 2, "*", false);
	delegates_to_several(s, "a", "inner", "d e", 2, "*", false);
	lists_as(s, "d", "x", "good");
	lists_as(s, "e", "x", "good");
	lists_as(s, "d", "y", "good");
	lists_as(s, "e", "y", "good");
	lists_as(s, "b", "y", "good");
	refresh(s);
	assert_code(find(s, "x"), UPT_E_UNKNOWN_TARGET);
	assert_found(s, "y", "good");
}

/* ---- termination, scope, limits ---- */

static void
without_agreement_the_search_goes_on_unless_terminating(void **state)
{
	struct scene *s = *state;

	delegates_to_several(s, "targets", "open", "a b", 2, "open/*", false);
	delegates_to_several(s, "targets", "closed", "a b", 2, "closed/*", true);
	delegates(s, "targets", "late", "*/*", false);
	lists(s, "a", "open/x");
	lists(s, "b", "open/x");
	lists(s, "late", "open/x");
	lists(s, "late", "open/y");
	lists(s, "a", "closed/x");
	lists(s, "b", "closed/x");
	lists(s, "late", "closed/x");
	lists(s, "late", "closed/y");
	refresh(s);
	assert_found(s, "open/x", "late");
	assert_found(s, "open/y", "late");
	assert_code(find(s, "closed/x"), UPT_E_UNKNOWN_TARGET);
	assert_code(find(s, "closed/y"), UPT_E_UNKNOWN_TARGET);
	assert_non_null(strstr(s->err.message, "terminating"));
}

/* One role's terminating delegation is its own answer: it silences no other role. */
static void
terminating_delegation_of_one_role_ends_its_own_search_only(void **state)
{
	struct scene *s = *state;

	delegates_to_several(s, "targets", "team", "a b c", 2, "*", false);
	delegates(s, "a", "below", "*", true);
	delegates(s, "a", "behind", "*", false);
	delegates(s, "targets", "late", "*", false);
	lists_as(s, "behind", "x", "good");
	three_list(s, NULL, "good", "good");
	lists_as(s, "behind", "y", "good");
	lists_as(s, "b", "y", "good");
	lists(s, "late", "y");
	refresh(s);
	assert_found(s, "x", "good");
	/* "behind" is not asked: "b" stays alone, and the search goes on behind the delegation */
	assert_found(s, "y", "late");
}

/* What one role that is delegated to alone can do, as many can together as must agree. */
static void
enough_roles_that_terminate_end_the_whole_search(void **state)
{
	struct scene *s = *state;

	delegates_to_several(s, "targets", "team", "a b c", 2, "*", false);
	delegates(s, "a", "below", "*", true);
	delegates(s, "b", "below", "x", true);
	delegates(s, "targets", "late", "*", false);
	lists(s, "late", "x");
	lists(s, "late", "y");
	refresh(s);
	assert_code(find(s, "x"), UPT_E_UNKNOWN_TARGET);
	assert_found(s, "y", "late");
}

static void
paths_and_hardware_bind_all_of_its_roles(void **state)
{
	struct scene *s = *state;
	cJSON *d = delegates_to_several(s, "targets", "team", "a b", 2, "x*", false);

	set_member(d, "hardwareIds", cJSON_Parse("[\"hw-1\"]"));
	lists_as(s, "a", "x", "good");
	lists_as(s, "b", "x", "good");
	lists_as(s, "a", "y", "good");
	lists_as(s, "b", "y", "good");
	refresh(s);
	assert_code(find(s, "x"), UPT_E_UNKNOWN_TARGET);
	s->hardware_id = "hw-1";
	assert_code(find(s, "y"), UPT_E_UNKNOWN_TARGET);
	assert_log(&s->m, "");
	assert_found(s, "x", "good");
}

static void
role_above_adds_no_vote(void **state)
{
	struct scene *s = *state;

	delegates(s, "targets", "a", "*", false);
	delegates_to_several(s, "a", "team", "a b c", 2, "*", false);
	lists_as(s, "b", "x", "good");
	lists_as(s, "b", "y", "good");
	lists_as(s, "c", "y", "good");
	refresh(s);
	assert_code(find(s, "x"), UPT_E_UNKNOWN_TARGET);
	assert_found(s, "y", "good");
}

/* Every way into a role counts, so that a few documents cannot ask for endless work. */
static void
visits_of_all_roles_are_limited_together(void **state)
{
	struct scene *s = *state;

	s->w.policy.limits.max_delegations = 6;
	delegates_to_several(s, "targets", "team", "a b c", 2, "*", false);
	delegates_to_several(s, "a", "inner", "b c d", 2, "*", false);
	lists_as(s, "b", "ok", "good");
	lists_as(s, "c", "ok", "good");
	lists_as(s, "d", "x", "good");
	delegates(s, "c", "d", "x", false);
	refresh(s);
	assert_found(s, "ok", "good");
	assert_code(find(s, "x"), UPT_E_DELEGATION);
}

static void
depth_of_every_role_is_limited(void **state)
{
	struct scene *s = *state;

	s->w.policy.limits.max_delegation_depth = 2;
	delegates_to_several(s, "targets", "team", "a b", 1, "*", false);
	delegates(s, "b", "d", "*", false);
	delegates(s, "d", "e", "deep", false);
	lists(s, "d", "ok");
	lists(s, "e", "deep");
	refresh(s);
	assert_found(s, "ok", "d");
	assert_code(find(s, "deep"), UPT_E_DELEGATION);
}

static void
broken_entry_of_one_role_is_an_error(void **state)
{
	struct scene *s = *state;

	delegates_to_several(s, "targets", "team", "a b c", 2, "*", false);
	three_list(s, "good", "good", "good");
	set_member(role(s, "c", 0), "targets/x/custom", cJSON_Parse("{\"hardwareIds\":1}"));
	refresh(s);
	assert_code(find(s, "x"), UPT_E_MALFORMED);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)
	const struct CMUnitTest tests[] = {
		T(enough_roles_that_agree_decide),
		T(all_must_agree_where_all_are_needed),
		T(one_role_that_is_enough_is_the_first_that_lists_it),
		T(of_two_groups_the_one_with_the_earliest_role_wins),
		T(every_role_is_asked_also_when_enough_have_agreed),
		T(role_signed_by_another_roles_key_ends_the_search),
		T(expired_role_ends_the_search),
		T(roles_must_agree_on_custom),
		T(roles_must_agree_on_what_only_an_installer_reads),
		T(roles_must_agree_whether_there_is_a_custom),
		T(order_of_members_is_no_difference),
		T(roles_must_agree_on_length_and_every_hash),
		T(role_that_two_lead_to_counts_once),
		T(roles_below_the_roles_answer_for_them),
		T(role_that_delegates_to_its_sibling_adds_no_vote),
		T(role_that_lends_its_sibling_another_key_ends_the_search),
		T(group_of_a_nested_delegation_is_one_vote),
		T(without_agreement_the_search_goes_on_unless_terminating),
		T(terminating_delegation_of_one_role_ends_its_own_search_only),
		T(enough_roles_that_terminate_end_the_whole_search),
		T(paths_and_hardware_bind_all_of_its_roles),
		T(role_above_adds_no_vote),
		T(visits_of_all_roles_are_limited_together),
		T(depth_of_every_role_is_limited),
		T(broken_entry_of_one_role_is_an_error),
	};
	return cmocka_run_group_tests_name("agree", tests, NULL, NULL);
}
