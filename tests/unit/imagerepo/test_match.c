/* Step 10: Director and Image repository must agree. Each case changes one thing in an accepted
 * pair. */
#include "../metadata/world.h"

#include <string.h>
#include "imagerepo/imagerepo.h"

static const char *hardware[] = {"other", "hw"};

struct pair {
	struct upt_target director, image;
	struct upt_image installed;
	struct upt_match ecu;
};

static struct pair
good_pair(void)
{
	struct pair p = {
		.director = {.image = image_of("x", upt_span("content", 7), true), .format = ""}};

	p.director.image.has_release_counter = true;
	p.director.image.release_counter = 5;
	p.director.must_match = upt_span_str("{\"a\":1,\"b\":[2]}");
	p.image = p.director;
	p.image.must_match = upt_span_str("{ \"b\" : [ 2 ], \"\\u0061\":1}");
	p.image.has_hardware_ids = true;
	p.image.hardware_ids = hardware;
	p.image.n_hardware_ids = 2;
	p.installed = p.image.image;
	return p;
}

static enum upt_code
match(struct pair *p, bool installed)
{
	struct upt_err err = {0};
	enum upt_code code;

	p->ecu.hardware_id = "hw";
	p->ecu.installed = installed ? &p->installed : NULL;
	code = upt_imagerepo_match(&p->director, &p->image, &p->ecu, &err);
	if (code != UPT_OK) {
		assert_code(err.code, code);
		assert_int_equal(err.repo, UPT_REPO_IMAGE);
	}
	return code;
}

static void
equal_targets_match(void **state)
{
	struct pair p = good_pair();

	(void)state;
	assert_code(match(&p, false), UPT_OK);
	assert_code(match(&p, true), UPT_OK);
}

static void
name_length_and_every_hash_must_agree(void **state)
{
	struct pair p = good_pair();

	(void)state;
	p.image.image.name[0] = 'y';
	assert_code(match(&p, false), UPT_E_TARGET_MISMATCH);
	p = good_pair();
	p.director.image.length_bytes++;
	assert_code(match(&p, false), UPT_E_TARGET_MISMATCH);
	for (int i = 0; i < 2; i++) {
		p = good_pair();
		p.director.image.digests[i].bytes[31] ^= 1;
		assert_code(match(&p, false), UPT_E_TARGET_MISMATCH);
	}
	p = good_pair();
	p.director.image.n_digests = 0;
	assert_code(match(&p, false), UPT_E_TARGET_MISMATCH);
}

/* Downloads are checked against the Image repository's list: it must not be the shorter one. */
static void
hash_that_only_the_director_lists_is_refused(void **state)
{
	struct pair p = good_pair();

	(void)state;
	p.image.image.n_digests = 1;
	assert_code(match(&p, false), UPT_E_TARGET_MISMATCH);
	p = good_pair();
	p.director.image.n_digests = 1;
	assert_code(match(&p, false), UPT_OK);
	p.director.image.digests[0] = p.image.image.digests[1];
	p.image.image.n_digests = 1;
	assert_code(match(&p, false), UPT_E_TARGET_MISMATCH);
}

static void
image_that_is_encrypted_is_refused_by_name(void **state)
{
	struct upt_err err = {0};
	struct pair p = good_pair();

	(void)state;
	p.director.encrypted_by = "encryptedTarget";
	assert_code(match(&p, false), UPT_E_UNSUPPORTED);
	p = good_pair();
	p.image.encrypted_by = "encryption";
	assert_code(match(&p, true), UPT_E_UNSUPPORTED);
	assert_code(upt_imagerepo_match(&p.director, &p.image, &p.ecu, &err), UPT_E_UNSUPPORTED);
	assert_string_equal(err.message,
		"image x: is encrypted (custom.encryption), this client decrypts none");
}

static void
hash_that_nobody_here_can_verify_is_refused(void **state)
{
	struct pair p = good_pair();

	(void)state;
	p.director.unknown_hash = true;
	assert_code(match(&p, false), UPT_E_TARGET_MISMATCH);
	p = good_pair();
	p.image.unknown_hash = true;
	assert_code(match(&p, false), UPT_E_TARGET_MISMATCH);
}

static void
must_match_is_compared_in_canonical_form(void **state)
{
	struct pair p = good_pair();

	(void)state;
	p.image.must_match = upt_span_str("{\"a\":1,\"b\":[3]}");
	assert_code(match(&p, false), UPT_E_TARGET_MISMATCH);
	p.image.must_match = upt_span_str("{\"a\":1}");
	assert_code(match(&p, false), UPT_E_TARGET_MISMATCH);
	p.image.must_match = (struct upt_span){0};
	assert_code(match(&p, false), UPT_E_TARGET_MISMATCH);
	p = good_pair();
	p.director.must_match = (struct upt_span){0};
	assert_code(match(&p, false), UPT_E_TARGET_MISMATCH);
	p.image.must_match = (struct upt_span){0};
	assert_code(match(&p, false), UPT_OK);
}

static void
hardware_must_be_listed(void **state)
{
	struct pair p = good_pair();

	(void)state;
	p.image.n_hardware_ids = 1;
	assert_code(match(&p, false), UPT_E_WRONG_HARDWARE);
	p.image.n_hardware_ids = 0;
	p.image.has_hardware_ids = false;
	assert_code(match(&p, false), UPT_E_WRONG_HARDWARE);
	p.ecu.hardware_ids_optional = true;
	assert_code(match(&p, false), UPT_OK);
	/* a list that is there binds, also an empty one */
	p.image.has_hardware_ids = true;
	assert_code(match(&p, false), UPT_E_WRONG_HARDWARE);
}

static void
release_counter_must_not_fall(void **state)
{
	struct pair p = good_pair();

	(void)state;
	p.installed.release_counter = 6;
	assert_code(match(&p, true), UPT_E_RELEASE_ROLLBACK);
	assert_code(match(&p, false), UPT_OK);
	p.installed.release_counter = 4;
	assert_code(match(&p, true), UPT_OK);
	/* nothing is newer than no counter, but no counter is older than any */
	p.installed.has_release_counter = false;
	assert_code(match(&p, true), UPT_OK);
	p = good_pair();
	p.director.image.has_release_counter = p.image.image.has_release_counter = false;
	assert_code(match(&p, true), UPT_E_RELEASE_ROLLBACK);
	assert_code(match(&p, false), UPT_OK);
}

static void
release_counter_of_the_director_must_be_the_image_repositorys(void **state)
{
	struct pair p = good_pair();

	(void)state;
	p.director.image.release_counter = 6;
	assert_code(match(&p, false), UPT_E_TARGET_MISMATCH);
	p.director.image.has_release_counter = false;
	assert_code(match(&p, false), UPT_OK);
	p = good_pair();
	p.image.image.has_release_counter = false;
	assert_code(match(&p, false), UPT_E_TARGET_MISMATCH);
}

/* Two Image repositories count beside each other only when what is acted upon is the same. */
static void
a_second_image_repository_must_list_the_same(void **state)
{
	struct upt_target a = good_pair().image, b = a;

	(void)state;
	a.custom = upt_span_str("{\"a\":1,\"b\":[2]}");
	b.custom = upt_span_str("{ \"b\" : [ 2 ], \"\\u0061\":1}");
	assert_code(upt_imagerepo_same(&a, &b, NULL), UPT_OK);
	b.custom = upt_span_str("{\"a\":1,\"b\":[3]}");
	assert_code(upt_imagerepo_same(&a, &b, NULL), UPT_E_TARGET_MISMATCH);
	b.custom = upt_span(NULL, 0);
	assert_code(upt_imagerepo_same(&a, &b, NULL), UPT_E_TARGET_MISMATCH);
	b.custom = a.custom;
	/* One that only the first lists is checked by the download; the Director's are in both. */
	b.image.n_digests = 1;
	assert_code(upt_imagerepo_same(&a, &b, NULL), UPT_OK);
	b.image.n_digests = 2;
	b.image.digests[1].bytes[31] ^= 1;
	assert_code(upt_imagerepo_same(&a, &b, NULL), UPT_E_TARGET_MISMATCH);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_targets_match),
		cmocka_unit_test(name_length_and_every_hash_must_agree),
		cmocka_unit_test(hash_that_only_the_director_lists_is_refused),
		cmocka_unit_test(image_that_is_encrypted_is_refused_by_name),
		cmocka_unit_test(hash_that_nobody_here_can_verify_is_refused),
		cmocka_unit_test(must_match_is_compared_in_canonical_form),
		cmocka_unit_test(hardware_must_be_listed),
		cmocka_unit_test(release_counter_must_not_fall),
		cmocka_unit_test(release_counter_of_the_director_must_be_the_image_repositorys),
		cmocka_unit_test(a_second_image_repository_must_list_the_same),
	};
	return cmocka_run_group_tests_name("match", tests, NULL, NULL);
}
