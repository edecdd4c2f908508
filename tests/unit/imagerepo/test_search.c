/* resolve_delegations over a repository in memory: order, termination, cycles, limits, failures. */
#include "scene.h"

#include <stdio.h>
#include <string.h>
#include "base/encode.h"

static void
search_needs_current_targets(void **state)
{
	struct scene *s = *state;

	s->err.repo = UPT_REPO_NONE;
	assert_code(
		upt_imagerepo_find(s->w.set,
			&(struct upt_search){.feed = &s->m.feed, .now = NOW, .hardware_id = "hw"},
			"x", &s->arena, &s->found, &s->err),
		UPT_E_INTERNAL);
	refresh(s);
	assert_code(find(s, "x"), UPT_E_UNKNOWN_TARGET);
}

static void
top_level_goes_first_and_delegations_follow_in_listed_order(void **state)
{
	struct scene *s = *state;

	lists(s, "targets", "x/top");
	lists(s, "first", "x/top");
	lists(s, "first", "x/both");
	lists(s, "second", "x/both");
	lists(s, "second", "x/late");
	delegates(s, "targets", "first", "x/*", false);
	delegates(s, "targets", "second", "x/*", false);
	refresh(s);
	assert_found(s, "x/top", "targets");
	assert_log(&s->m, "");
	assert_found(s, "x/both", "first");
	/* matched, not found, not terminating: it goes on */
	assert_found(s, "x/late", "second");
	assert_code(find(s, "y"), UPT_E_UNKNOWN_TARGET);
}

static void
only_delegations_for_the_path_are_visited(void **state)
{
	struct scene *s = *state;

	lists(s, "a", "b/x");
	lists(s, "a", "a/x");
	delegates(s, "targets", "a", "a/*", false);
	refresh(s);
	assert_code(find(s, "b/x"), UPT_E_UNKNOWN_TARGET);
	assert_log(&s->m, ""); /* not even asked for */
	assert_found(s, "a/x", "a");
	assert_code(find(s, "a/b/x"), UPT_E_UNKNOWN_TARGET);
}

static void
terminating_delegation_ends_the_search(void **state)
{
	struct scene *s = *state;

	lists(s, "second", "x/late");
	lists(s, "first", "x/early");
	delegates(s, "targets", "first", "x/*", true);
	delegates(s, "targets", "second", "x/*", false);
	refresh(s);
	assert_found(s, "x/early", "first");
	assert_code(find(s, "x/late"), UPT_E_UNKNOWN_TARGET);
	assert_non_null(strstr(s->err.message, "terminating"));
	assert_log(&s->m, "");
}

static void
terminating_delegation_for_other_paths_ends_nothing(void **state)
{
	struct scene *s = *state;

	lists(s, "second", "x/late");
	delegates(s, "targets", "first", "y/*", true);
	delegates(s, "targets", "second", "x/*", false);
	refresh(s);
	assert_found(s, "x/late", "second");
}

/* Below it: neither its siblings nor those of the roles above it are asked any more. */
static void
terminating_delegation_deep_down_ends_the_whole_search(void **state)
{
	struct scene *s = *state;

	delegates(s, "targets", "a", "*", false);
	delegates(s, "a", "b", "*", true);
	delegates(s, "a", "c", "*", false);
	delegates(s, "targets", "d", "*", false);
	lists(s, "c", "x");
	lists(s, "d", "x");
	lists(s, "b", "y");
	refresh(s);
	assert_found(s, "y", "b");
	assert_code(find(s, "x"), UPT_E_UNKNOWN_TARGET);
}

static void
terminating_delegation_still_searches_below_itself(void **state)
{
	struct scene *s = *state;

	delegates(s, "targets", "a", "*", true);
	delegates(s, "a", "b", "*", false);
	delegates(s, "a", "c", "*", false);
	lists(s, "c", "x");
	refresh(s);
	assert_found(s, "x", "c");
}

static void
cycle_ends_and_the_search_goes_on(void **state)
{
	struct scene *s = *state;

	delegates(s, "targets", "a", "*", false);
	delegates(s, "a", "b", "*", false);
	delegates(s, "b", "a", "*", false);
	delegates(s, "b", "c", "*", false);
	lists(s, "c", "x");
	refresh(s);
	assert_found(s, "x", "c");
	assert_code(find(s, "y"), UPT_E_UNKNOWN_TARGET);
}

/* "Nobody but a": and a is being searched already, and has not got it. */
static void
terminating_delegation_to_a_role_above_ends_the_search(void **state)
{
	struct scene *s = *state;

	delegates(s, "targets", "a", "*", false);
	delegates(s, "a", "b", "*", false);
	delegates(s, "b", "a", "*", true);
	delegates(s, "b", "c", "*", false);
	delegates(s, "targets", "d", "*", false);
	lists(s, "c", "x");
	lists(s, "d", "x");
	lists(s, "a", "y");
	refresh(s);
	assert_found(s, "y", "a");
	assert_code(find(s, "x"), UPT_E_UNKNOWN_TARGET);
}

static void
role_that_delegates_to_itself_ends(void **state)
{
	struct scene *s = *state;

	delegates(s, "targets", "a", "*", false);
	delegates(s, "a", "a", "*", false);
	refresh(s);
	assert_code(find(s, "x"), UPT_E_UNKNOWN_TARGET);
}

/* Going on would let whoever withholds a role hand its names to a role of lower priority. */
static void
withheld_role_ends_the_search(void **state)
{
	struct scene *s = *state;

	lists(s, "second", "x");
	delegates(s, "targets", "first", "*", false);
	delegates(s, "targets", "second", "*", false);
	refresh(s);
	s->m.failing = "get 1.first.json";
	s->m.failure = UPT_E_NETWORK;
	assert_code(find(s, "x"), UPT_E_NETWORK);
	assert_log(&s->m, "get 1.first.json");
	s->m.failure = UPT_E_ABSENT;
	assert_code(find(s, "x"), UPT_E_MISSING);
	s->m.failing = NULL;
	serve(&s->m, "1.first.json", upt_span_str("{}"));
	assert_code(find(s, "x"), UPT_E_MALFORMED);
}

static void
role_signed_by_others_ends_the_search(void **state)
{
	struct scene *s = *state;

	lists(s, "second", "x");
	role(s, "first", K(THIEF));
	delegates(s, "targets", "first", "*", false);
	delegates(s, "targets", "second", "*", false);
	refresh(s);
	assert_code(find(s, "x"), UPT_E_THRESHOLD);
}

static void
role_reached_by_two_paths_answers_to_both(void **state)
{
	struct scene *s = *state;

	delegates(s, "targets", "a", "*", false);
	delegates(s, "a", "shared", "a*", false);
	/* the top level delegates "shared" to another key */
	delegate(&s->w, role(s, "targets", 0), "shared", K(DEL_B), 1, "*", false);
	lists(s, "shared", "x");
	lists(s, "shared", "ax");
	refresh(s);
	assert_found(s, "ax", "shared");
	assert_code(find(s, "x"), UPT_E_THRESHOLD);
}

static void
hardware_ids_of_a_delegation_bind(void **state)
{
	struct scene *s = *state;
	cJSON *top;

	lists(s, "a", "x");
	lists(s, "b", "x");
	delegates(s, "targets", "a", "*", true);
	delegates(s, "targets", "b", "*", false);
	top = role(s, "targets", 0);
	set_member(top, "delegations/roles/0/hardwareIds", cJSON_Parse("[\"hw-1\",\"hw-2\"]"));
	set_member(top, "delegations/roles/1/hardwareIds", cJSON_Parse("[]"));
	refresh(s);
	s->hardware_id = "hw-2";
	assert_found(s, "x", "a");
	/* not included: also its being terminating does not apply; and an empty list includes
	 * nobody */
	s->hardware_id = "hw-3";
	assert_code(find(s, "x"), UPT_E_UNKNOWN_TARGET);
	assert_null(strstr(s->err.message, "terminating"));
}

static void
hash_prefixes_select_by_the_hash_of_the_name(void **state)
{
	struct scene *s = *state;
	struct upt_digest digest;
	char hex[65], prefixes[3][80];
	const char *const names[] = {"a", "b", "c"};

	assert_code(upt_hash_span(UPT_HASH_SHA256, upt_span_str("dir/x"), &digest, NULL), UPT_OK);
	upt_hex_encode(upt_span(digest.bytes, 32), hex);
	snprintf(prefixes[0], sizeof(prefixes[0]), "[\"\",\"%c\"]", hex[0] == '0' ? '1' : '0');
	snprintf(prefixes[1], sizeof(prefixes[1]), "[\"%.3s\"]", hex);
	snprintf(prefixes[2], sizeof(prefixes[2]), "[\"%s\"]", hex);
	for (size_t i = 0; i < 3; i++) {
		char path[64];

		lists(s, names[i], "dir/x");
		delegates(s, "targets", names[i], "*", false);
		snprintf(path, sizeof(path), "delegations/roles/%zu/paths", i);
		drop_member(role(s, "targets", 0), path);
		snprintf(path, sizeof(path), "delegations/roles/%zu/path_hash_prefixes", i);
		set_member(role(s, "targets", 0), path, cJSON_Parse(prefixes[i]));
	}
	lists(s, "b", "dir/y");
	refresh(s);
	assert_found(s, "dir/x", "b");
	assert_code(find(s, "dir/y"), UPT_E_UNKNOWN_TARGET);
}

static void
depth_is_bounded(void **state)
{
	struct scene *s = *state;
	char from[16] = "targets", to[16];

	for (int i = 1; i <= 9; i++) {
		snprintf(to, sizeof(to), "r%d", i);
		delegates(s, from, to, i == 9 ? "deep" : "*", false);
		memcpy(from, to, sizeof(from));
	}
	lists(s, "r8", "ok");
	lists(s, "r9", "deep");
	refresh(s);
	assert_found(s, "ok", "r8");
	assert_code(find(s, "deep"), UPT_E_DELEGATION);
}

/* Whatever a configuration allows. */
static void
depth_is_bounded_by_the_search_itself(void **state)
{
	struct scene *s = *state;
	char from[16] = "targets", to[16];

	s->w.policy.limits.max_delegations = s->w.policy.limits.max_delegation_depth = 1000;
	for (int i = 1; i <= 65; i++) {
		snprintf(to, sizeof(to), "r%d", i);
		delegates(s, from, to, i == 65 ? "deep" : "*", false);
		memcpy(from, to, sizeof(from));
	}
	lists(s, "r64", "ok");
	lists(s, "r65", "deep");
	refresh(s);
	assert_found(s, "ok", "r64");
	assert_code(find(s, "deep"), UPT_E_DELEGATION);
}

static void
number_of_roles_visited_is_bounded(void **state)
{
	struct scene *s = *state;
	char name[16];

	for (int i = 0; i < 65; i++) {
		snprintf(name, sizeof(name), "r%d", i);
		delegates(s, "targets", name, "*", false);
	}
	lists(s, "r63", "ok");
	lists(s, "r64", "late");
	refresh(s);
	assert_found(s, "ok", "r63");
	assert_code(find(s, "late"), UPT_E_DELEGATION);
	/* each search has its own count */
	assert_found(s, "ok", "r63");
}

static void
star_crosses_a_slash_in_profile_ota_only(void **state)
{
	struct scene *s = *state;

	lists(s, "a", "dir/sub/x");
	delegates(s, "targets", "a", "dir/*", false);
	refresh(s);
	assert_code(find(s, "dir/sub/x"), UPT_E_UNKNOWN_TARGET);
	s->crosses = true;
	assert_found(s, "dir/sub/x", "a");
}

static void
broken_entry_is_an_error_not_an_absent_target(void **state)
{
	struct scene *s = *state;

	lists(s, "a", "x");
	set_member(role(s, "a", 0), "targets/x/custom", cJSON_Parse("{\"hardwareIds\":1}"));
	delegates(s, "targets", "a", "*", false);
	delegates(s, "targets", "b", "*", false);
	lists(s, "b", "x");
	refresh(s);
	assert_code(find(s, "x"), UPT_E_MALFORMED);
}

static void
role_is_fetched_once_for_many_searches(void **state)
{
	struct scene *s = *state;

	lists(s, "a", "x");
	lists(s, "a", "y");
	delegates(s, "targets", "a", "*", false);
	refresh(s);
	assert_found(s, "x", "a");
	assert_log(&s->m, "get 1.a.json;save a 1");
	assert_found(s, "y", "a");
	assert_log(&s->m, "");
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)
	const struct CMUnitTest tests[] = {
		T(search_needs_current_targets),
		T(top_level_goes_first_and_delegations_follow_in_listed_order),
		T(only_delegations_for_the_path_are_visited),
		T(terminating_delegation_ends_the_search),
		T(terminating_delegation_for_other_paths_ends_nothing),
		T(terminating_delegation_deep_down_ends_the_whole_search),
		T(terminating_delegation_still_searches_below_itself),
		T(cycle_ends_and_the_search_goes_on),
		T(terminating_delegation_to_a_role_above_ends_the_search),
		T(role_that_delegates_to_itself_ends),
		T(withheld_role_ends_the_search),
		T(role_signed_by_others_ends_the_search),
		T(role_reached_by_two_paths_answers_to_both),
		T(hardware_ids_of_a_delegation_bind),
		T(hash_prefixes_select_by_the_hash_of_the_name),
		T(depth_is_bounded),
		T(depth_is_bounded_by_the_search_itself),
		T(number_of_roles_visited_is_bounded),
		T(star_crosses_a_slash_in_profile_ota_only),
		T(broken_entry_is_an_error_not_an_absent_target),
		T(role_is_fetched_once_for_many_searches),
	};
	return cmocka_run_group_tests_name("search", tests, NULL, NULL);
}
