/* [repository] and [mapping] sections: what is read of good ones, and which are refused by name.
 * Each refused text differs in one thing from one that is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "primary/config.h"

#define FLEET "[repository fleet]\nkind = director\nurl = https://fleet/d\nroot = /f.json\n"
#define MIRROR "[repository mirror]\nkind = image\nurl = https://mirror/i\nroot = /m.json\n"
#define EVERYTHING "[mapping all]\nrepositories = director fleet image_repository mirror\n"

static char dir[] = "/tmp/upt-mapping-XXXXXX";

static enum upt_code
load(const char *profile, const char *more, struct upt_config *config, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	char path[64];

	assert_int_equal(upt_buf_printf(&text, NULL,
				 "[uptane]\nvehicle_id = v\nprofile = %s\n[director]\nurl = "
				 "https://d\nroot = /d.json\n[image_repository]\nurl = https://i\n"
				 "root = /i.json\n[primary]\nserial = p\nhardware_id = h\n"
				 "key = /k\ninstaller = file\npath = /p\n%s",
				 profile, more),
		UPT_OK);
	snprintf(path, sizeof(path), "%s/uptaned.conf", dir);
	assert_int_equal(upt_file_replace(AT_FDCWD, path, 0600, upt_buf_span(&text), NULL), UPT_OK);
	return upt_config_load(dir, config, err);
}

static void
assert_taken_as(const char *profile, const char *more)
{
	upt_cleanup(upt_config_clear) struct upt_config config = {0};
	struct upt_err err = {0};

	if (load(profile, more, &config, &err) != UPT_OK)
		fail_msg("%s", err.message);
}

static void
assert_taken(const char *more)
{
	assert_taken_as("standard", more);
}

static void
assert_refused_as(const char *profile, const char *more, const char *text)
{
	struct upt_config config = {.n_others = 7};
	struct upt_err err = {0};

	assert_int_equal(load(profile, more, &config, &err), UPT_E_CONFIG);
	assert_null(config.mappings);
	assert_int_equal(config.n_others, 0);
	if (strstr(err.message, text) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", err.message, text);
}

static void
assert_refused(const char *more, const char *text)
{
	assert_refused_as("standard", more, text);
}

static void
without_a_section_both_must_agree_on_everything(void **state)
{
	upt_cleanup(upt_config_clear) struct upt_config c = {0};

	(void)state;
	assert_int_equal(load("standard", "", &c, NULL), UPT_OK);
	assert_int_equal(c.n_others, 0);
	assert_int_equal(c.n_mappings, 1);
	assert_null(c.mappings[0].name);
	assert_int_equal(c.mappings[0].n_repos, 2);
	assert_int_equal(c.mappings[0].repos[0], UPT_DIRECTOR_INDEX);
	assert_int_equal(c.mappings[0].repos[1], UPT_IMAGE_INDEX);
	assert_int_equal(c.mappings[0].threshold, 2);
	assert_true(c.mappings[0].terminating);
	assert_true(upt_mapping_matches(&c, &c.mappings[0], "a/b/c"));
}

static void
sections_are_read_in_the_order_of_the_files(void **state)
{
	upt_cleanup(upt_config_clear) struct upt_config c = {0};
	const struct upt_repo_config *mirror;
	const struct upt_mapping_config *m;

	(void)state;
	assert_int_equal(
		load("standard",
			FLEET MIRROR "targets_url = https://cdn/t\nmax_targets_bytes = 4096\n"
				     "[mapping first]\npaths =  os/*\tapp-[ab] \nrepositories = "
				     "mirror image_repository fleet director\nthreshold = 3\n"
				     "terminating = no\n[mapping second]\n"
				     "repositories = director image_repository\n",
			&c, NULL),
		UPT_OK);
	assert_int_equal(c.n_others, 2);
	assert_string_equal(upt_config_repo(&c, 2)->name, "fleet");
	assert_true(upt_config_repo(&c, 2)->is_director);
	mirror = upt_config_repo(&c, 3);
	assert_false(mirror->is_director);
	assert_string_equal(mirror->url, "https://mirror/i");
	assert_string_equal(mirror->targets_url, "https://cdn/t");
	assert_int_equal(mirror->limits.targets_max_bytes, 4096);
	assert_int_equal(mirror->limits.max_delegations, UPT_LIMITS_IMAGE.max_delegations);
	assert_int_equal(c.n_mappings, 2);
	m = &c.mappings[0];
	assert_string_equal(m->name, "first");
	assert_int_equal(m->n_paths, 2);
	assert_string_equal(m->paths[1], "app-[ab]");
	/* Directors first, then image_repository. */
	assert_int_equal(m->n_repos, 4);
	for (size_t i = 0; i < 4; i++) {
		static const size_t order[] = {UPT_DIRECTOR_INDEX, 2, UPT_IMAGE_INDEX, 3};
		assert_int_equal(m->repos[i], order[i]);
	}
	assert_int_equal(m->threshold, 3);
	assert_false(m->terminating);
	assert_true(upt_mapping_matches(&c, m, "os/x"));
	assert_true(upt_mapping_matches(&c, m, "app-b"));
	assert_false(upt_mapping_matches(&c, m, "app-c"));
	assert_false(upt_mapping_matches(&c, m, "os/x/y"));
	assert_true(upt_mapping_matches(&c, &c.mappings[1], "os/x/y"));
}

static void
wrong_repositories_are_refused(void **state)
{
	(void)state;
	assert_taken(FLEET MIRROR EVERYTHING);
	assert_refused(FLEET MIRROR, "repository fleet is in no [mapping]");
	assert_refused(FLEET MIRROR "[mapping m]\nrepositories = director fleet image_repository\n",
		"repository mirror is in no [mapping]");
	assert_refused(MIRROR "[mapping m]\nrepositories = director mirror\n",
		"repository image_repository is in no [mapping]");
	assert_refused("[repository fleet]\nurl = https://f\nroot = /f\n", "kind");
	assert_refused("[repository fleet]\nkind = both\nurl = https://f\nroot = /f\n", "both");
	assert_refused("[repository fleet]\nkind = image\nurl = http://f\nroot = /f\n", "http://f");
	assert_refused("[repository fleet]\nkind = image\nurl = https://f\n", "root");
	assert_refused("[repository fleet]\nkind = image\nurl = https://i\nroot = /f\n",
		"'https://i' is the url of image_repository already");
	assert_refused(FLEET "targets_url = https://t\n" MIRROR EVERYTHING, "targets_url");
	assert_refused("[repository director]\nkind = director\nurl = https://f\nroot = /f\n",
		"[repository director]: a name has");
	assert_refused("[repository image]\nkind = image\nurl = https://f\nroot = /f\n",
		"[repository image]: a name has");
	assert_refused("[repository a:b]\nkind = image\nurl = https://f\nroot = /f\n",
		"[repository a:b]: a name has");
	assert_refused("[repository abcdefghijklmnopqrstuvwxyz1234567]\nkind = image\n"
		       "url = https://f\nroot = /f\n",
		"a name has 1 to 32");
}

static void
wrong_mappings_are_refused(void **state)
{
#define MAPPING(repos, more) FLEET MIRROR EVERYTHING "terminating = no\n[mapping m]\n" repos more
	(void)state;
	assert_taken(MAPPING("repositories = director image_repository\n", ""));
	assert_refused(MAPPING("repositories = director image_repositroy\n", ""),
		"there is no repository 'image_repositroy'");
	assert_refused(MAPPING("repositories = director image_repository director\n", ""),
		"'director' is named twice");
	assert_refused(MAPPING("repositories = fleet image_repository\n", ""),
		"repositories: director is not among them");
	assert_refused(MAPPING("repositories = director fleet\n", ""),
		"no Image repository is among them");
	assert_refused(MAPPING("repositories =\n", ""), "names nothing");
	assert_refused(MAPPING("paths = x\n", ""), "[mapping m] repositories: is required");
	assert_refused(MAPPING("repositories = director image_repository\n", "paths =\n"),
		"names nothing");
	assert_refused(MAPPING("repositories = director image_repository\n", "threshold = 1\n"),
		"threshold");
	assert_refused(MAPPING("repositories = director image_repository\n", "threshold = 3\n"),
		"threshold");
	assert_taken(MAPPING("repositories = director image_repository\n", "threshold = 2\n"));
	assert_refused(MAPPING("repositories = director image_repository\n", "thresold = 2\n"),
		"thresold");
	assert_refused("[mapping]\nrepositories = director image_repository\n", "mapping");
}

/* Two of them are always the vehicle's Director and an Image repository. */
static void
a_second_director_without_a_say_is_refused(void **state)
{
	(void)state;
	assert_refused(
		FLEET MIRROR EVERYTHING "threshold = 2\n", "another Director would have no say");
	assert_taken(FLEET MIRROR EVERYTHING "threshold = 3\n");
	assert_taken(MIRROR "[mapping m]\nrepositories = director image_repository mirror\n"
			    "threshold = 2\n");
}

static void
a_mapping_that_another_shadows_is_refused(void **state)
{
#define TWO "repositories = director image_repository\n"
#define PAIR(first, second) "[mapping a]\n" first TWO "[mapping b]\n" second TWO
	(void)state;
	assert_refused(PAIR("", ""), "[mapping b] can never match anything: [mapping a]");
	assert_refused(PAIR("", "paths = x\n"), "[mapping b] can never match x: [mapping a]");
	assert_taken(PAIR("terminating = no\n", ""));
	assert_taken(PAIR("paths = x\n", ""));
	assert_refused(PAIR("paths = y os/*\n", "paths = z os/*\n"), "can never match os/*");
	assert_refused(PAIR("paths = os/*\n", "paths = os/gw-?\n"), "can never match os/gw-?");
	assert_refused(PAIR("paths = a[bc]\n", "paths = a[bc]\n"), "can never match a[bc]");
	assert_taken(PAIR("paths = os/gw-*\n", "paths = os/*\n"));
	assert_taken(PAIR("paths = os/?\n", "paths = os/*\n"));
	assert_taken(PAIR("paths = *b*\n", "paths = [bc]\n"));
	assert_taken(PAIR("paths = *\n", "paths = a/*\n"));
	assert_taken(PAIR("paths = *\n", ""));
	/* There a '*' crosses slashes. */
	assert_refused_as("ota", PAIR("paths = *\n", "paths = a/*\n"), "can never match a/*");
	assert_refused_as("ota", PAIR("paths = *\n", ""), "can never match anything");
}

static void
counts_are_bounded(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf repos = {0}, maps = {0}, list = {0};

	(void)state;
	for (int i = 1; i <= UPT_MAX_OTHER_REPOS + 1; i++) {
		upt_cleanup(upt_buf_clear) struct upt_buf text = {0};

		assert_int_equal(upt_buf_printf(&repos, NULL,
					 "[repository r%d]\nkind = image\nurl = https://r%d\n"
					 "root = /r\n",
					 i, i),
			UPT_OK);
		assert_int_equal(upt_buf_printf(&list, NULL, " r%d", i), UPT_OK);
		assert_int_equal(upt_buf_printf(&text, NULL,
					 "%s[mapping m]\nrepositories = director "
					 "image_repository%s\n",
					 (char *)repos.data, (char *)list.data),
			UPT_OK);
		if (i <= UPT_MAX_OTHER_REPOS)
			assert_taken((char *)text.data);
		else
			assert_refused(
				(char *)text.data, "9 [repository] sections, more than the 8");
	}
	for (int i = 1; i <= UPT_MAX_MAPPINGS + 1; i++) {
		assert_int_equal(
			upt_buf_printf(&maps, NULL, "[mapping m%d]\npaths = p%d\n" TWO, i, i),
			UPT_OK);
		if (i == UPT_MAX_MAPPINGS)
			assert_taken((char *)maps.data);
	}
	assert_refused((char *)maps.data, "33 [mapping] sections, more than the 32");
}

static void
as_many_ecus_as_a_document_may_name(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};

	(void)state;
	for (int i = 2; i <= UPT_MAX_VEHICLE_ECUS; i++)
		assert_int_equal(
			upt_buf_printf(&text, NULL,
				"[secondary s%d]\nlink = ip\nhardware_id = h\naddress = a\n", i),
			UPT_OK);
	assert_taken((char *)text.data);
	assert_int_equal(upt_buf_printf(&text, NULL,
				 "[secondary last]\nlink = ip\nhardware_id = h\naddress = a\n"),
		UPT_OK);
	assert_refused((char *)text.data, "1025 ECUs, more than the 1024");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_section_both_must_agree_on_everything),
		cmocka_unit_test(sections_are_read_in_the_order_of_the_files),
		cmocka_unit_test(wrong_repositories_are_refused),
		cmocka_unit_test(wrong_mappings_are_refused),
		cmocka_unit_test(a_second_director_without_a_say_is_refused),
		cmocka_unit_test(a_mapping_that_another_shadows_is_refused),
		cmocka_unit_test(counts_are_bounded),
		cmocka_unit_test(as_many_ecus_as_a_document_may_name),
	};
	int failed;
	char path[64];

	if (mkdtemp(dir) == NULL)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(path, sizeof(path), "%s/uptaned.conf", dir);
	unlink(path);
	rmdir(dir);
	return failed;
}
