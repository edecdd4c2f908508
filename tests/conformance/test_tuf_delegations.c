/* tuf-client: the search through delegated roles, seen by the requests it makes. */
#include "tuf_scene.h"

#include <stdio.h>
#include <string.h>
#include "base/encode.h"

#define CONTENT "content of the artifact"

/* Requests of a first download of something that no role lists. */
static void
searches(struct scene *s, const char *roles)
{
	char want[256];

	scene_publish_next(s);
	scene_refuses_download(s, "missingpath", UPT_E_UNKNOWN_TARGET);
	snprintf(want, sizeof(want), "2.root timestamp 2.snapshot 2.targets%s%s",
		roles[0] != '\0' ? " " : "", roles);
	scene_asked(s, want);
}

static void
download_refreshes_first(void **state)
{
	searches(*state, "");
	scene_trusts(*state, "root 1 snapshot 2 targets 2 timestamp 2");
}

static void
roles_are_visited_depth_first_in_listed_order(void **state)
{
	struct scene *s = *state;

	scene_delegate(s, "targets", "A", "*", false);
	scene_delegate(s, "targets", "B", "*", false);
	scene_delegate(s, "A", "C", "*", false);
	scene_delegate(s, "A", "D", "*", false);
	searches(s, "1.A 1.C 1.D 1.B");
	/* They are kept, and not asked for again. */
	scene_trusts(s, "A 1 B 1 C 1 D 1 root 1 snapshot 2 targets 2 timestamp 2");
	scene_refuses_download(s, "missingpath", UPT_E_UNKNOWN_TARGET);
	scene_asked(s, "2.root timestamp");
	scene_role(s, "C")->version = 2;
	scene_publish_next(s);
	scene_refuses_download(s, "missingpath", UPT_E_UNKNOWN_TARGET);
	scene_asked(s, "2.root timestamp 3.snapshot 3.targets 2.C");
}

static void
terminating_delegation_ends_the_search_behind_its_own_roles(void **state)
{
	struct scene *s = *state;

	scene_delegate(s, "targets", "A", "*", false);
	scene_delegate(s, "targets", "B", "*", false);
	scene_delegate(s, "A", "C", "*", true);
	scene_delegate(s, "A", "D", "*", false);
	scene_delegate(s, "C", "E", "*", false);
	searches(s, "1.A 1.C 1.E");
}

static void
terminating_delegation_of_other_paths_ends_nothing(void **state)
{
	struct scene *s = *state;

	scene_delegate(s, "targets", "A", "*.py", true);
	scene_delegate(s, "targets", "B", "*", false);
	searches(s, "1.B");
}

static void
cycles_end(void **state)
{
	struct scene *s = *state;

	scene_delegate(s, "targets", "A", "*", false);
	scene_delegate(s, "targets", "B", "*", false);
	scene_delegate(s, "B", "C", "*", false);
	scene_delegate(s, "C", "D", "*", false);
	scene_delegate(s, "D", "B", "*", false);
	scene_delegate(s, "D", "D", "*", false);
	searches(s, "1.A 1.B 1.C 1.D");
}

static void
role_reached_twice_is_visited_once(void **state)
{
	struct scene *s = *state;

	scene_delegate(s, "targets", "A", "*", false);
	scene_delegate(s, "targets", "B", "*", false);
	scene_delegate(s, "B", "C", "*", false);
	scene_delegate(s, "A", "C", "*", false);
	searches(s, "1.A 1.C 1.B");
}

/* ... also by a delegation whose keys it does not satisfy: it listed nothing the first time. */
static void
second_delegator_of_a_visited_role_has_no_say(void **state)
{
	struct scene *s = *state;

	scene_delegate(s, "targets", "A", "*", false);
	scene_delegate(s, "targets", "B", "*", false);
	scene_delegate(s, "targets", "D", "*", false);
	scene_delegate(s, "A", "C", "*", false);
	delegate(&s->w, scene_role(s, "B")->payload, "C", K(DEL_B), 1, "*", false);
	scene_artifact(s, "D", "artifact", CONTENT);
	scene_publish_next(s);
	scene_downloads(s, "artifact");
	scene_has_artifact(s, "artifact", CONTENT);
}

static void
role_is_reached_by_the_delegation_whose_path_matches(void **state)
{
	struct scene *s = *state;

	scene_delegate(s, "targets", "A", "*", false);
	scene_delegate(s, "targets", "B", "*", false);
	scene_delegate(s, "B", "C", "*", false);
	scene_delegate(s, "A", "C", "*.py", false);
	searches(s, "1.A 1.B 1.C");
}

static void
plain_names_are_asked_for_without_consistent_snapshots(void **state)
{
	struct scene *s = *state;

	s->root.not_consistent = true;
	scene_role(s, "root")->version = 2;
	scene_publish_root(s);
	scene_delegate(s, "targets", "A", "*", false);
	scene_publish_next(s);
	scene_refuses_download(s, "missingpath", UPT_E_UNKNOWN_TARGET);
	scene_asked(s, "2.root 3.root timestamp snapshot targets A");
}

/* A star stays between two slashes. */
static void
paths_match_component_by_component(void **state)
{
	static const struct {
		const char *path, *asked;
		bool found;
	} rows[] = {
		{"artifact", "", true},
		{"README.md", "1.A", true},
		{"releases/x/x_v1", "1.B 1.C", true},
		{"releases/y/y_v1.zip", "1.B 1.D", true},
		{"releases/z/z_v1.zip", "1.B", false},
		{"releases/x/deep/x_v1", "", false},
		{"docs/README.md", "", false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct scene *s = *state;
		char want[512];

		scene_delegate(s, "targets", "A", "*.md", false);
		scene_delegate(s, "targets", "B", "releases/*/*", false);
		scene_delegate(s, "B", "C", "releases/x/*", false);
		scene_delegate(s, "B", "D", "releases/y/*.zip", false);
		scene_artifact(s, "targets", "artifact", CONTENT);
		scene_artifact(s, "A", "README.md", CONTENT);
		scene_artifact(s, "A", "docs/README.md", CONTENT);
		scene_artifact(s, "C", "releases/x/x_v1", CONTENT);
		scene_artifact(s, "C", "releases/x/deep/x_v1", CONTENT);
		scene_artifact(s, "D", "releases/y/y_v1.zip", CONTENT);
		scene_artifact(s, "D", "releases/z/z_v1.zip", CONTENT);
		scene_publish_next(s);
		snprintf(want, sizeof(want), "2.root timestamp 2.snapshot 2.targets%s%s",
			rows[i].asked[0] != '\0' ? " " : "", rows[i].asked);
		scene_refreshes(s);
		if (rows[i].found)
			scene_downloads(s, rows[i].path);
		else
			scene_refuses_download(s, rows[i].path, UPT_E_UNKNOWN_TARGET);
		/* Without the second round's root and timestamp, and the artifact itself. */
		{
			char *log = s->log, *again = strstr(log, " 2.root.json timestamp.json");
			char *artifact;

			assert_non_null(again);
			memmove(again, again + strlen(" 2.root.json timestamp.json"),
				strlen(again + strlen(" 2.root.json timestamp.json")) + 1);
			artifact = strstr(log, " /t/");
			assert_int_equal(artifact != NULL, rows[i].found);
			if (artifact != NULL)
				*artifact = '\0';
		}
		scene_asked(s, want);
		assert_int_equal(scene_count_artifacts(s), rows[i].found ? 1 : 0);
		assert_int_equal(scene_teardown(state), 0);
		assert_int_equal(scene_setup(state), 0);
	}
}

/* Bins by the first hex digits of the path's SHA-256. */
static void
hash_prefixes_choose_the_bin(void **state)
{
	static const char *const names[] = {"bin-low", "bin-high"};
	static const char digits[] = "0123456789abcdef";
	struct scene *s = *state;
	struct upt_digest digest;
	char hex[65];
	bool high;

	for (int bin = 0; bin < 2; bin++) {
		cJSON *prefixes = cJSON_CreateArray(), *roles;

		scene_delegate(s, "targets", names[bin], "*", false);
		for (int i = 0; i < 8; i++)
			cJSON_AddItemToArray(prefixes,
				cJSON_CreateString((const char[]){digits[8 * bin + i], '\0'}));
		roles = at(scene_role(s, "targets")->payload, "delegations/roles");
		drop_member(cJSON_GetArrayItem(roles, bin), "paths");
		set_member(cJSON_GetArrayItem(roles, bin), "path_hash_prefixes", prefixes);
		scene_artifact(s, names[bin], "some/artifact", CONTENT);
	}
	assert_int_equal(
		upt_hash_span(UPT_HASH_SHA256, upt_span_str("some/artifact"), &digest, NULL),
		UPT_OK);
	upt_hex_encode(upt_span(digest.bytes, digest.len), hex);
	high = hex[0] >= '8';
	scene_publish_next(s);
	scene_downloads(s, "some/artifact");
	scene_trusts(s, high ? "bin-high 1 root 1 snapshot 2 targets 2 timestamp 2"
			     : "bin-low 1 root 1 snapshot 2 targets 2 timestamp 2");
}

/* In requests and in file names they are quoted, and stay below the directory. */
static void
odd_role_names_are_quoted(void **state)
{
	static const struct {
		const char *name, *quoted;
	} rows[] = {{"?", "%3F"}, {"#", "%23"}, {"/delegatedrole", "%2Fdelegatedrole"},
		{"../delegatedrole", "..%2Fdelegatedrole"}, {"..", ".."}, {".", "."},
		{"a b%41", "a%20b%2541"}, {"r\xc3\xb6le", "r%C3%B6le"}, {"1.root", "1.root"}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct scene *s = *state;
		char roles[64], file[128], path[128];

		scene_delegate(s, "targets", rows[i].name, "*", false);
		snprintf(roles, sizeof(roles), "1.%s", rows[i].quoted);
		searches(s, roles);
		snprintf(file, sizeof(file), "metadata/%s.json", rows[i].quoted);
		assert_int_equal(access(scene_path(s, file, path), R_OK), 0);
		assert_int_equal(remove(path), 0);
		scene_trusts(s, "root 1 snapshot 2 targets 2 timestamp 2");
		assert_int_equal(scene_teardown(state), 0);
		assert_int_equal(scene_setup(state), 0);
	}
}

static void
role_called_like_a_top_level_one_is_refused(void **state)
{
	struct scene *s = *state;

	scene_delegate(s, "targets", "other", "*", false);
	scene_change(s, "targets", "delegations/roles/0/name", cJSON_CreateString("snapshot"));
	scene_publish_next(s);
	scene_refuses(s, UPT_E_MALFORMED);
	scene_trusts(s, "root 1 snapshot 2 timestamp 2");
}

/* Going on would hand the name to a role of lower priority. */
static void
role_that_cannot_be_had_or_verified_ends_the_search(void **state)
{
	struct scene *s = *state;

	scene_delegate(s, "targets", "A", "*", false);
	scene_delegate(s, "targets", "B", "*", false);
	scene_artifact(s, "B", "artifact", CONTENT);
	scene_publish_next(s);
	scene_withdraw(s, "/m/1.A.json");
	scene_refuses_download(s, "artifact", UPT_E_MISSING);
	scene_role(s, "A")->keys = K(THIEF);
	scene_publish_next(s);
	scene_refuses_download(s, "artifact", UPT_E_THRESHOLD);
	scene_role(s, "A")->keys = K(DEL_A);
	scene_change(s, "snapshot", "meta/A.json/version", cJSON_CreateNumber(2));
	scene_publish_next(s);
	scene_serve(s, "/m/2.A.json", upt_buf_span(&scene_role(s, "A")->bytes));
	scene_refuses_download(s, "artifact", UPT_E_VERSION_MISMATCH);
	scene_undo_changes(s);
	scene_role(s, "A")->version = 3;
	scene_publish_next(s);
	scene_downloads(s, "artifact");
	scene_has_artifact(s, "artifact", CONTENT);
}

static void
role_that_the_snapshot_does_not_list_is_refused(void **state)
{
	struct scene *s = *state;

	scene_delegate(s, "targets", "A", "*", false);
	scene_change(s, "snapshot", "meta/A.json", NULL);
	scene_publish_next(s);
	scene_serve(s, "/m/A.json", upt_buf_span(&scene_role(s, "A")->bytes));
	scene_refuses_download(s, "artifact", UPT_E_NOT_LISTED);
}

static void
expired_role_is_refused_and_replaced_by_a_valid_one(void **state)
{
	struct scene *s = *state;
	struct scene_role *role;

	scene_delegate(s, "targets", "A", "*", false);
	role = scene_role(s, "A");
	scene_artifact(s, "A", "artifact", CONTENT);
	role->expired = true;
	scene_publish_next(s);
	scene_refuses_download(s, "artifact", UPT_E_EXPIRED);
	scene_trusts(s, "root 1 snapshot 2 targets 2 timestamp 2");
	/* As if it had been valid when it was stored. */
	scene_plant(s, "A.json", upt_buf_span(&role->bytes));
	scene_refuses_download(s, "artifact", UPT_E_EXPIRED);
	role->expired = false;
	role->version = 2;
	scene_publish_next(s);
	scene_downloads(s, "artifact");
	scene_trusts(s, "A 2 root 1 snapshot 3 targets 3 timestamp 3");
}

static void
older_role_is_refused_by_its_listing(void **state)
{
	struct scene *s = *state;

	scene_delegate(s, "targets", "A", "*", false);
	scene_role(s, "A")->version = 5;
	scene_publish_next(s);
	scene_refuses_download(s, "missingpath", UPT_E_UNKNOWN_TARGET);
	scene_role(s, "A")->version = 4;
	scene_publish_next(s);
	scene_refuses(s, UPT_E_ROLLBACK);
	scene_trusts(s, "A 5 root 1 snapshot 2 targets 2 timestamp 3");
}

static void
first_role_that_lists_the_artifact_is_believed(void **state)
{
	struct scene *s = *state;

	scene_delegate(s, "targets", "A", "*", false);
	scene_delegate(s, "targets", "B", "*", false);
	scene_artifact(s, "B", "artifact", "of B");
	scene_artifact(s, "A", "artifact", "of A");
	scene_publish_next(s);
	scene_downloads(s, "artifact");
	scene_has_artifact(s, "artifact", "of A");
	scene_trusts(s, "A 1 root 1 snapshot 2 targets 2 timestamp 2");
}

int
main(int argc, char **argv)
{
#define T(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)
	const struct CMUnitTest tests[] = {
		T(download_refreshes_first),
		T(roles_are_visited_depth_first_in_listed_order),
		T(terminating_delegation_ends_the_search_behind_its_own_roles),
		T(terminating_delegation_of_other_paths_ends_nothing),
		T(cycles_end),
		T(role_reached_twice_is_visited_once),
		T(second_delegator_of_a_visited_role_has_no_say),
		T(role_is_reached_by_the_delegation_whose_path_matches),
		T(plain_names_are_asked_for_without_consistent_snapshots),
		T(paths_match_component_by_component),
		T(hash_prefixes_choose_the_bin),
		T(odd_role_names_are_quoted),
		T(role_called_like_a_top_level_one_is_refused),
		T(role_that_cannot_be_had_or_verified_ends_the_search),
		T(role_that_the_snapshot_does_not_list_is_refused),
		T(expired_role_is_refused_and_replaced_by_a_valid_one),
		T(older_role_is_refused_by_its_listing),
		T(first_role_that_lists_the_artifact_is_believed),
	};
	if (argc != 2)
		return 2;
	scene_program(argv[1]);
	return cmocka_run_group_tests_name("tuf-client delegations", tests, NULL, NULL);
}
