/* More than two repositories: which of them must agree, and what follows when one is silent, says
 * otherwise, cannot be heard or is forged. Each refusal stands beside a cycle that one thing mends.
 */
#include "world.h"

#include <stdio.h>
#include <unistd.h>

#define ALL_THREE "[mapping both-directors]\nrepositories = image_repository fleet director\n"
#define TWO_OF_THREE                                                                               \
	"[mapping any]\nrepositories = director image_repository mirror\nthreshold = 2\n"

static int
set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	world_init(w);
	world_release(w, "app-1", "hw-app", 1);
	world_release(w, "app-2", "hw-app", 2);
	world_assign(w, APP, "app-1");
	world_publish(w);
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	world_clear(w);
	free(w);
	return 0;
}

/* The release that is assigned now is installed by one cycle. */
static void
assert_installs(struct world *w, const char *name)
{
	assert_true(world_cycle(w));
	assert_string_equal(w->result->message, "");
	assert_code(w->result->code, UPT_OK);
	assert_true(world_runs(w, APP, name));
	assert_string_equal(world_slot(w, APP, UPT_SLOT_INSTALLED), name);
}

/* The cycle ends with that code and text, and app runs what it ran. */
static void
assert_refused(struct world *w, enum upt_code code, unsigned repo, const char *text)
{
	upt_cleanup(upt_buf_clear) struct upt_buf before = {0}, after = {0};
	const char *slot = world_slot(w, APP, UPT_SLOT_INSTALLED);

	world_file(w, "app", &before);
	assert_true(world_cycle(w));
	if (w->result->code != code || strstr(w->result->message, text) == NULL)
		fail_msg("%s: %s, expected %s: %s", upt_code_name(w->result->code),
			w->result->message, upt_code_name(code), text);
	assert_int_equal(w->result->repo, repo);
	world_file(w, "app", &after);
	assert_true(upt_span_equal(upt_buf_span(&before), upt_buf_span(&after)));
	assert_string_equal(world_slot(w, APP, UPT_SLOT_INSTALLED), slot);
	assert_string_equal(world_slot(w, APP, UPT_SLOT_REFUSED), "");
}

static void
assert_heard(struct world *w, const char *attacks)
{
	struct upt_ecu_report report;

	assert_true(world_reported(w, "prim", &report));
	assert_string_equal(report.attacks_detected, attacks);
}

/* All files of a repository, or only its timestamp, cannot be had. */
static void
set_down(struct world *w, const char *folder, bool down)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/2.root.json", folder);
	world_set_status(w, path, down ? 500 : 0);
}

static void
without_a_mapping_only_the_two_are_asked_and_must_agree(void **state)
{
	struct world *w = *state;

	w->image.silent_on = "app-1";
	world_publish(w);
	assert_refused(w, UPT_E_UNKNOWN_TARGET, UPT_REPO_IMAGE,
		"ECU app: image app-1: the Image repository does not list it");
	w->image.silent_on = NULL;
	world_publish(w);
	assert_installs(w, "app-1");
	assert_int_equal(world_n_requests(w, "GET /fleet"), 0);
	assert_int_equal(world_n_requests(w, "GET /mirror"), 0);
}

static void
directors_are_asked_before_image_repositories(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf log = {0};
	struct world *w = *state;
	const char *director, *fleet, *image;

	w->mapping = ALL_THREE;
	assert_installs(w, "app-1");
	world_file(w, "requests", &log);
	director = strstr((char *)log.data, "GET /director/timestamp.json");
	fleet = strstr((char *)log.data, "GET /fleet/timestamp.json");
	image = strstr((char *)log.data, "GET /repo/timestamp.json");
	assert_true(director != NULL && director < fleet && fleet < image);
	assert_int_equal(world_n_requests(w, "POST /fleet"), 0);
	assert_int_equal(world_n_requests(w, "PUT /fleet"), 0);
}

static void
a_second_director_that_is_silent_refuses(void **state)
{
	struct world *w = *state;

	w->mapping = ALL_THREE;
	w->fleet.silent_on = "app-1";
	world_publish(w);
	assert_refused(w, UPT_E_UNKNOWN_TARGET, UPT_REPO_OTHER,
		"ECU app: mapping both-directors: 2 of 3 repositories agree on app-1, 3 must, an "
		"Image repository among them; not fleet: repository fleet: image app-1: it "
		"assigns nothing to the ECU");
	assert_heard(w, "arbitrary-software:unknown-target:fleet");
	w->fleet.silent_on = NULL;
	world_publish(w);
	assert_installs(w, "app-1");
}

static void
a_second_director_that_assigns_other_content_refuses(void **state)
{
	struct world *w = *state;

	w->mapping = ALL_THREE;
	w->fleet.longer = "app-1";
	world_publish(w);
	assert_refused(w, UPT_E_TARGET_MISMATCH, UPT_REPO_OTHER, "two Directors differ in length");
	assert_heard(w, "arbitrary-software:target-mismatch:fleet");
	w->fleet.longer = NULL;
	world_publish(w);
	assert_installs(w, "app-1");
}

static void
a_needed_repository_that_cannot_be_told_ends_the_cycle_and_is_no_attack(void **state)
{
	struct world *w = *state;

	w->mapping = ALL_THREE;
	set_down(w, "fleet", true);
	assert_refused(w, UPT_E_SERVER, UPT_REPO_OTHER, "repository fleet: director 2.root.json");
	assert_heard(w, "");
	set_down(w, "fleet", false);
	assert_installs(w, "app-1");
	assert_heard(w, "");
}

static void
a_needed_repository_that_is_forged_ends_the_cycle_by_its_name(void **state)
{
	struct world *w = *state;
	upt_cleanup(upt_buf_clear) struct upt_buf stamp = {0};

	w->mapping = ALL_THREE;
	world_file(w, "srv/director/timestamp.json", &stamp);
	world_serve(w, "fleet/timestamp.json", upt_buf_span(&stamp));
	assert_refused(w, UPT_E_THRESHOLD, UPT_REPO_OTHER, "repository fleet: director timestamp");
	assert_heard(w, "arbitrary-software:signature-threshold:fleet");
	world_publish(w);
	assert_installs(w, "app-1");
}

static void
one_of_three_may_be_down(void **state)
{
	struct world *w = *state;

	w->mapping = TWO_OF_THREE;
	set_down(w, "mirror", true);
	assert_installs(w, "app-1");
	assert_int_equal(world_n_requests(w, "GET /mirror/targets"), 0);
	set_down(w, "mirror", false);
	set_down(w, "repo", true);
	world_assign(w, APP, "app-2");
	world_publish(w);
	world_forget_requests(w);
	assert_installs(w, "app-2");
	assert_int_equal(world_n_requests(w, "GET /mirror/targets"), 1);
	assert_int_equal(world_n_requests(w, "GET /repo/targets"), 0);
}

static void
with_every_image_repository_down_nobody_can_tell(void **state)
{
	struct world *w = *state;

	w->mapping = TWO_OF_THREE;
	set_down(w, "mirror", true);
	set_down(w, "repo", true);
	assert_refused(w, UPT_E_SERVER, UPT_REPO_IMAGE,
		"mapping any: 1 of 3 repositories agree on app-1, 2 must, an Image repository "
		"among them; not image, mirror: ");
	assert_heard(w, "");
	set_down(w, "mirror", false);
	assert_installs(w, "app-1");
}

/* Three Directors are three of four, and yet nobody vouches for the image. */
static void
directors_alone_are_never_enough(void **state)
{
	struct world *w = *state;

	w->mapping = "[mapping m]\nrepositories = director fleet image_repository mirror\n"
		     "threshold = 3\n";
	w->mirror.is_director = true;
	w->image.silent_on = "app-1";
	world_publish(w);
	assert_refused(w, UPT_E_UNKNOWN_TARGET, UPT_REPO_IMAGE, "3 of 4 repositories agree");
	w->image.silent_on = NULL;
	world_publish(w);
	assert_installs(w, "app-1");
}

static void
one_that_can_be_done_without_is_told_when_it_is_forged(void **state)
{
	struct world *w = *state;

	w->mapping = TWO_OF_THREE;
	w->mirror.expires[UPT_ROLE_TIMESTAMP] = w->now - 1;
	world_publish(w);
	assert_installs(w, "app-1");
	assert_heard(w, "freeze:expired:mirror");
	w->mirror.expires[UPT_ROLE_TIMESTAMP] = w->now + 1000;
	world_assign(w, APP, "app-2");
	world_publish(w);
	assert_installs(w, "app-2");
	assert_heard(w, "");
}

static void
one_that_says_otherwise_is_told_and_has_no_vote(void **state)
{
	struct world *w = *state;

	w->mapping = TWO_OF_THREE;
	w->mirror.longer = "app-1";
	world_publish(w);
	assert_installs(w, "app-1");
	assert_heard(w, "arbitrary-software:target-mismatch:mirror");
	/* The other way round: the entry is the one that agrees. */
	w->mirror.longer = NULL;
	w->image.longer = "app-2";
	world_assign(w, APP, "app-2");
	world_publish(w);
	assert_installs(w, "app-2");
	/* And with both there is none. */
	w->mirror.longer = w->image.longer = "app-1";
	world_assign(w, APP, "app-1");
	world_publish(w);
	assert_refused(w, UPT_E_TARGET_MISMATCH, UPT_REPO_IMAGE, "1 of 3 repositories agree");
}

/* custom says how an image is run: a thief of one Image repository must not choose it alone. */
static void
image_repositories_must_list_the_same_custom(void **state)
{
	struct world *w = *state;

	w->mapping = "[mapping m]\nrepositories = director image_repository mirror\n";
	w->image.other_custom = "app-1";
	world_publish(w);
	assert_refused(w, UPT_E_TARGET_MISMATCH, UPT_REPO_OTHER,
		"two Image repositories differ in custom");
	w->image.other_custom = NULL;
	world_publish(w);
	assert_installs(w, "app-1");
}

/* What nobody here decrypts is not installed, and one that says so can be done without. */
static void
an_encrypted_image_is_refused_and_no_attack(void **state)
{
	struct world *w = *state;

	w->image.encrypted = "app-1";
	world_publish(w);
	assert_refused(w, UPT_E_UNSUPPORTED, UPT_REPO_IMAGE,
		"ECU app: image app-1: is encrypted (custom.encrypted), this client decrypts none");
	assert_heard(w, "");
	w->mapping = TWO_OF_THREE;
	w->mirror.encrypted = "app-1";
	world_publish(w);
	assert_refused(w, UPT_E_UNSUPPORTED, UPT_REPO_IMAGE, "1 of 3 repositories agree");
	w->mirror.encrypted = NULL;
	world_publish(w);
	assert_installs(w, "app-1");
}

#define FALLS_THROUGH                                                                              \
	"[mapping strict]\npaths = app-1 other/*\nrepositories = director fleet "                  \
	"image_repository\n"                                                                       \
	"terminating = no\n"                                                                       \
	"[mapping rest]\npaths = app-*\nrepositories = director image_repository mirror\n"

static void
a_sure_no_leads_on_to_the_next_mapping(void **state)
{
	struct world *w = *state;

	w->mapping = FALLS_THROUGH;
	w->fleet.silent_on = "app-1";
	w->mirror.silent_on = "app-1";
	world_publish(w);
	assert_refused(w, UPT_E_UNKNOWN_TARGET, UPT_REPO_OTHER + 1, "mapping rest: 2 of 3");
	w->mirror.silent_on = NULL;
	world_publish(w);
	assert_installs(w, "app-1");
}

/* Else whoever withholds one repository would choose the mapping. */
static void
one_that_cannot_be_heard_does_not_lead_on(void **state)
{
	struct world *w = *state;

	w->mapping = FALLS_THROUGH;
	set_down(w, "fleet", true);
	assert_refused(w, UPT_E_SERVER, UPT_REPO_OTHER, "repository fleet");
	assert_int_equal(world_n_requests(w, "GET /mirror"), 0);
	set_down(w, "fleet", false);
	assert_installs(w, "app-1");
}

/* The same where two of four would do: the two that cannot be heard might be the second. */
static void
an_open_vote_does_not_lead_on(void **state)
{
	struct world *w = *state;

	w->mapping = "[mapping first]\nrepositories = director fleet image_repository mirror\n"
		     "threshold = 3\nterminating = no\n"
		     "[mapping second]\nrepositories = director image_repository\n";
	w->mirror.silent_on = "app-1";
	world_publish(w);
	set_down(w, "fleet", true);
	assert_refused(w, UPT_E_SERVER, UPT_REPO_OTHER,
		"mapping first: 2 of 4 repositories agree on app-1, 3 must, an Image repository "
		"among them; not fleet, mirror: repository fleet");
	set_down(w, "fleet", false);
	w->fleet.silent_on = "app-1";
	world_publish(w);
	assert_installs(w, "app-1");
}

static void
a_terminating_mapping_leads_nowhere(void **state)
{
	struct world *w = *state;

	w->mapping =
		"[mapping strict]\npaths = app-1\nrepositories = director fleet image_repository\n"
		"[mapping rest]\npaths = app-*\nrepositories = director image_repository\n";
	w->fleet.silent_on = "app-1";
	world_publish(w);
	assert_refused(w, UPT_E_UNKNOWN_TARGET, UPT_REPO_OTHER, "mapping strict: 2 of 3");
	world_assign(w, APP, "app-2");
	world_publish(w);
	assert_installs(w, "app-2");
}

static void
a_target_that_no_mapping_is_for_is_refused(void **state)
{
	struct world *w = *state;

	w->mapping = "[mapping m]\npaths = app-2\nrepositories = director fleet image_repository\n";
	assert_refused(w, UPT_E_UNKNOWN_TARGET, UPT_REPO_DIRECTOR, "app-1: no mapping is for it");
	world_assign(w, APP, "app-2");
	world_publish(w);
	assert_installs(w, "app-2");
}

/* What was trusted of a repository is still so after it was out of the configuration, and wherever
 * it stands in it. */
static void
a_repository_taken_out_and_put_back_is_remembered(void **state)
{
	struct world *w = *state;
	upt_cleanup(upt_buf_clear) struct upt_buf stamp = {0};

	world_file(w, "srv/fleet/timestamp.json", &stamp);
	world_publish(w);
	w->mapping = "[mapping m]\nrepositories = director fleet image_repository mirror\n";
	assert_installs(w, "app-1");
	/* Without fleet, mirror is the first of the additional ones. */
	w->mapping = "[mapping m]\nrepositories = director image_repository mirror\n";
	world_assign(w, APP, "app-2");
	world_publish(w);
	assert_installs(w, "app-2");
	world_assign(w, APP, "app-1");
	world_target(w, "app-1")->image.release_counter = 3;
	world_publish(w);
	world_serve(w, "fleet/timestamp.json", upt_buf_span(&stamp));
	/* In another order: mirror before fleet. */
	w->mapping = "[mapping m]\nrepositories = mirror image_repository fleet director\n";
	assert_refused(w, UPT_E_ROLLBACK, UPT_REPO_OTHER, "repository fleet: director timestamp");
	assert_heard(w, "rollback:version-rollback:fleet");
	world_publish(w);
	assert_installs(w, "app-1");
}

static void
another_root_for_a_known_name_changes_nothing(void **state)
{
	struct world *w = *state;
	upt_cleanup(upt_buf_clear) struct upt_buf other = {0};

	w->mapping = ALL_THREE;
	assert_installs(w, "app-1");
	world_file(w, "director.root.json", &other);
	world_write(w, "fleet.root.json", (const char *)other.data);
	world_assign(w, APP, "app-2");
	world_publish(w);
	assert_installs(w, "app-2");
}

/* Time goes by between verification and installation: only those that are needed must last. */
static void
one_that_expires_meanwhile_matters_only_when_it_is_needed(void **state)
{
	struct world *w = *state;

	w->mapping = TWO_OF_THREE;
	w->clock_step = 10;
	w->mirror.expires[UPT_ROLE_TIMESTAMP] = w->now + 30;
	world_publish(w);
	assert_installs(w, "app-1");
	assert_int_equal(world_n_requests(w, "GET /director/timestamp.json"), 1);
	w->now = 1800000000;
	w->mapping = "[mapping all]\nrepositories = director image_repository mirror\n";
	world_assign(w, APP, "app-2");
	world_publish(w);
	assert_refused(w, UPT_E_EXPIRED, UPT_REPO_OTHER, "repository mirror");
}

static void
check_asks_every_repository_also_with_nothing_assigned(void **state)
{
	struct world *w = *state;

	w->mapping = ALL_THREE;
	world_assign(w, APP, NULL);
	world_publish(w);
	set_down(w, "fleet", true);
	assert_true(world_check(w));
	assert_code(w->result->code, UPT_E_SERVER);
	set_down(w, "fleet", false);
	assert_true(world_check(w));
	assert_code(w->result->code, UPT_OK);
}

#define in_world(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		in_world(without_a_mapping_only_the_two_are_asked_and_must_agree),
		in_world(directors_are_asked_before_image_repositories),
		in_world(a_second_director_that_is_silent_refuses),
		in_world(a_second_director_that_assigns_other_content_refuses),
		in_world(a_needed_repository_that_cannot_be_told_ends_the_cycle_and_is_no_attack),
		in_world(a_needed_repository_that_is_forged_ends_the_cycle_by_its_name),
		in_world(one_of_three_may_be_down),
		in_world(with_every_image_repository_down_nobody_can_tell),
		in_world(directors_alone_are_never_enough),
		in_world(one_that_can_be_done_without_is_told_when_it_is_forged),
		in_world(one_that_says_otherwise_is_told_and_has_no_vote),
		in_world(image_repositories_must_list_the_same_custom),
		in_world(an_encrypted_image_is_refused_and_no_attack),
		in_world(a_sure_no_leads_on_to_the_next_mapping),
		in_world(one_that_cannot_be_heard_does_not_lead_on),
		in_world(an_open_vote_does_not_lead_on),
		in_world(a_terminating_mapping_leads_nowhere),
		in_world(a_target_that_no_mapping_is_for_is_refused),
		in_world(a_repository_taken_out_and_put_back_is_remembered),
		in_world(another_root_for_a_known_name_changes_nothing),
		in_world(one_that_expires_meanwhile_matters_only_when_it_is_needed),
		in_world(check_asks_every_repository_also_with_nothing_assigned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
