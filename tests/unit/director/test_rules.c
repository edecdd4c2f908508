/* The Director's rules (0.6, 0.7, 9.7, 9.8) and assignments, over documents read by the real
 * parser. */
#include "../metadata/world.h"

#include <stdio.h>
#include <string.h>
#include "director/director.h"

/* A wrapped function has no argument to carry it. */
static unsigned n_compared;

int __real_strcmp(const char *a, const char *b);
int __wrap_strcmp(const char *a, const char *b);

int
__wrap_strcmp(const char *a, const char *b)
{
	n_compared++;
	return __real_strcmp(a, b);
}

static const struct upt_vehicle_ecu ecus[] = {
	{"primary", "hw-p"}, {"brake", "hw-b"}, {"radio", "hw-r"}};

static struct upt_vehicle
vehicle(void)
{
	return (struct upt_vehicle){.vehicle_id = "VIN-1",
		.require_vehicle_id = true,
		.knows_all_ecus = true,
		.n_ecus = 3,
		.ecus = ecus};
}

/* Adds target name for the ECUs given as "serial=hardware,serial=hardware". */
static void
assign(cJSON *targets, const char *name, const char *list)
{
	struct upt_image image = image_of(name, upt_span_str(name), false);
	cJSON *custom = cJSON_CreateObject(),
	      *ids = cJSON_AddObjectToObject(custom, "ecuIdentifiers");
	char text[200], *save = text, *entry;

	snprintf(text, sizeof(text), "%s", list);
	while ((entry = strsep(&save, ",")) != NULL && *entry != '\0') {
		char *hardware = strchr(entry, '=');

		*hardware++ = '\0';
		cJSON_AddStringToObject(
			cJSON_AddObjectToObject(ids, entry), "hardwareId", hardware);
	}
	assert_code(upt_author_add_target(targets, &image, custom, NULL), UPT_OK);
}

static struct upt_metadata *
parsed(cJSON *payload)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	struct upt_metadata *m;

	assert_code(upt_author_sign(payload, NULL, 0, &bytes, NULL), UPT_OK);
	cJSON_Delete(payload);
	assert_code(upt_metadata_parse(UPT_ROLE_TARGETS, "targets", &bytes, &m, NULL), UPT_OK);
	return m;
}

static enum upt_code
check(const struct upt_vehicle *v, cJSON *payload)
{
	upt_cleanup(upt_metadata_free) struct upt_metadata *m = parsed(payload);
	struct upt_err err = {0};
	enum upt_code code = upt_director_check_rules(v, m, &err);

	assert_code(err.code, code);
	return code;
}

static cJSON *
for_vehicle(const char *json)
{
	cJSON *t = empty_targets(1);

	set_member(t, "custom", cJSON_Parse(json));
	return t;
}

static void
empty_targets_must_name_this_vehicle(void **state)
{
	struct upt_vehicle v = vehicle();

	(void)state;
	assert_code(check(&v, empty_targets(1)), UPT_E_WRONG_VEHICLE);
	assert_code(check(&v, for_vehicle("{}")), UPT_E_WRONG_VEHICLE);
	assert_code(check(&v, for_vehicle("{\"vehicleId\":\"VIN-2\"}")), UPT_E_WRONG_VEHICLE);
	assert_code(check(&v, for_vehicle("{\"vehicleId\":\"VIN-11\"}")), UPT_E_WRONG_VEHICLE);
	assert_code(check(&v, for_vehicle("{\"vehicleId\":7}")), UPT_E_MALFORMED);
	assert_code(check(&v, for_vehicle("{\"vehicleId\":null}")), UPT_E_MALFORMED);
	assert_code(check(&v, for_vehicle("{\"vehicleId\":\"VIN-1\",\"correlationId\":\"c\"}")),
		UPT_OK);
	v.vehicle_id = NULL; /* not configured: nothing can be for us */
	assert_code(check(&v, for_vehicle("{\"vehicleId\":\"VIN-1\"}")), UPT_E_WRONG_VEHICLE);
}

static void
profile_ota_serves_no_vehicle_id(void **state)
{
	struct upt_vehicle v = vehicle();

	(void)state;
	v.require_vehicle_id = false;
	assert_code(check(&v, empty_targets(1)), UPT_OK);
	/* but one that is served must be ours */
	assert_code(check(&v, for_vehicle("{\"vehicleId\":\"VIN-2\"}")), UPT_E_WRONG_VEHICLE);
	v.vehicle_id = NULL;
	assert_code(check(&v, empty_targets(1)), UPT_OK);
}

static void
targets_with_entries_for_another_vehicle_are_refused(void **state)
{
	struct upt_vehicle v = vehicle();
	cJSON *t = empty_targets(1);

	(void)state;
	assign(t, "x", "primary=hw-p");
	assert_code(check(&v, t), UPT_OK);
	t = for_vehicle("{\"vehicleId\":\"VIN-2\"}");
	assign(t, "x", "primary=hw-p");
	assert_code(check(&v, t), UPT_E_WRONG_VEHICLE);
}

static void
every_target_names_an_ecu(void **state)
{
	struct upt_vehicle v = vehicle();
	cJSON *t = targets_with(1, "nobodys", upt_span("c", 1));

	(void)state;
	assert_code(check(&v, t), UPT_E_MALFORMED);
	t = empty_targets(1);
	assign(t, "nobodys", "");
	assert_code(check(&v, t), UPT_E_MALFORMED);
}

static void
unknown_ecu_is_refused_by_who_knows_all(void **state)
{
	struct upt_vehicle v = vehicle();

	(void)state;
	for (int all = 0; all < 2; all++) {
		cJSON *t = empty_targets(1);

		assign(t, "x", "primary=hw-p,stranger=hw-s");
		v.knows_all_ecus = all == 1;
		assert_code(check(&v, t), all ? UPT_E_UNKNOWN_ECU : UPT_OK);
	}
}

static void
ecu_has_at_most_one_target(void **state)
{
	struct upt_vehicle v = vehicle();
	cJSON *t = empty_targets(1);

	(void)state;
	assign(t, "x", "primary=hw-p,brake=hw-b");
	assign(t, "y", "radio=hw-r");
	assert_code(check(&v, cJSON_Duplicate(t, true)), UPT_OK);
	assign(t, "z", "brake=hw-b");
	assert_code(check(&v, t), UPT_E_DUPLICATE_ECU);
	/* also of ECUs that a Secondary does not know */
	v.knows_all_ecus = false;
	v.n_ecus = 1;
	t = empty_targets(1);
	assign(t, "x", "other=h");
	assign(t, "y", "primary=hw-p");
	assign(t, "z", "other=h");
	assert_code(check(&v, t), UPT_E_DUPLICATE_ECU);
}

static void
assignments_come_in_the_order_of_the_vehicle(void **state)
{
	struct upt_vehicle v = vehicle();
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	upt_cleanup(upt_metadata_free) struct upt_metadata *m = NULL;
	struct upt_assignment *list;
	cJSON *t = empty_targets(1);
	size_t n;

	(void)state;
	assign(t, "a", "radio=hw-r,stranger=x");
	assign(t, "b", "primary=hw-p");
	m = parsed(t);
	assert_code(upt_director_assignments(m, &v, &arena, &list, &n, NULL), UPT_OK);
	assert_int_equal(n, 2);
	assert_int_equal(list[0].ecu, 0);
	assert_string_equal(list[0].target.image.name, "b");
	assert_int_equal(list[1].ecu, 2);
	assert_string_equal(list[1].target.image.name, "a");
}

static void
assignment_for_other_hardware_is_refused(void **state)
{
	struct upt_vehicle v = vehicle();
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	upt_cleanup(upt_metadata_free) struct upt_metadata *m = NULL;
	struct upt_assignment *list;
	struct upt_err err = {0};
	cJSON *t = empty_targets(1);
	size_t n;

	(void)state;
	assign(t, "a", "brake=hw-p");
	m = parsed(t);
	assert_code(upt_director_assignments(m, &v, &arena, &list, &n, &err), UPT_E_WRONG_HARDWARE);
	assert_int_equal(err.repo, UPT_REPO_DIRECTOR);
	assert_null(list);
	assert_int_equal(n, 0);
}

/* Also where nobody asked for the rules: the order of an object must not choose. */
static void
second_assignment_for_one_ecu_is_refused(void **state)
{
	struct upt_vehicle v = vehicle();
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	struct upt_assignment *list;
	size_t n;

	(void)state;
	for (int many = 0; many < 2; many++) {
		upt_cleanup(upt_metadata_free) struct upt_metadata *m = NULL;
		struct upt_err err = {0};
		cJSON *t = empty_targets(1);

		assign(t, "a", "brake=hw-b");
		assign(t, "b", "brake=hw-b");
		if (many) {
			assign(t, "c", "brake=hw-b");
			assign(t, "d", "brake=hw-b");
		}
		m = parsed(t);
		assert_code(upt_director_assignments(m, &v, &arena, &list, &n, &err),
			UPT_E_DUPLICATE_ECU);
		assert_int_equal(err.repo, UPT_REPO_DIRECTOR);
		assert_null(list);
	}
}

static void
correlation_id_is_a_short_string_or_nothing(void **state)
{
	static const struct {
		const char *custom, *want;
	} cases[] = {{"{\"correlationId\":\"urn:x:1\"}", "urn:x:1"}, {"{}", ""},
		{"{\"correlationId\":7}", ""}, {"{\"correlationId\":\"\"}", ""}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
		upt_cleanup(upt_metadata_free) struct upt_metadata *m =
			parsed(for_vehicle(cases[i].custom));
		const char *id;

		assert_code(upt_director_correlation_id(m, &arena, &id, NULL), UPT_OK);
		assert_string_equal(id, cases[i].want);
	}
	{
		upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
		upt_cleanup(upt_metadata_free) struct upt_metadata *m = parsed(empty_targets(1));
		const char *id = NULL;

		assert_code(upt_director_correlation_id(m, &arena, &id, NULL), UPT_OK);
		assert_string_equal(id, "");
	}
}

static void
correlation_id_is_bounded(void **state)
{
	char custom[400], text[258];

	(void)state;
	memset(text, 'c', sizeof(text));
	for (size_t len = 256; len <= 257; len++) {
		upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
		upt_cleanup(upt_metadata_free) struct upt_metadata *m = NULL;
		const char *id;

		snprintf(custom, sizeof(custom), "{\"correlationId\":\"%.*s\"}", (int)len, text);
		m = parsed(for_vehicle(custom));
		assert_code(upt_director_correlation_id(m, &arena, &id, NULL), UPT_OK);
		assert_int_equal(strlen(id), len == 256 ? 256 : 0);
	}
}

/* n ECUs in targets of at most 1000 each. */
static cJSON *
many_ecus(size_t n)
{
	struct upt_image image = image_of("x", upt_span("x", 1), false);
	cJSON *t = empty_targets(1), *custom = NULL, *ids = NULL;

	for (size_t i = 0; i < n; i++) {
		char name[32];

		if (i % 1000 == 0) {
			custom = cJSON_CreateObject();
			ids = cJSON_AddObjectToObject(custom, "ecuIdentifiers");
		}
		snprintf(name, sizeof(name), "e%zu", i);
		cJSON_AddStringToObject(cJSON_AddObjectToObject(ids, name), "hardwareId", "h");
		if (i % 1000 != 999 && i + 1 != n)
			continue;
		snprintf(image.name, sizeof(image.name), "x%zu", i);
		assert_code(upt_author_add_target(t, &image, custom, NULL), UPT_OK);
	}
	return t;
}

/* A Secondary knows no other ECU, and cannot count on names to bound what it is told. */
static void
ecus_of_all_targets_are_bounded(void **state)
{
	struct upt_vehicle v = vehicle();

	(void)state;
	v.knows_all_ecus = false;
	assert_code(check(&v, many_ecus(4096)), UPT_OK);
	assert_code(check(&v, many_ecus(4097)), UPT_E_MALFORMED);
}

static void
assignments_of_a_broken_entry_are_none(void **state)
{
	struct upt_vehicle v = vehicle();
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	upt_cleanup(upt_metadata_free) struct upt_metadata *m = NULL;
	struct upt_assignment *list;
	cJSON *t = empty_targets(1);
	size_t n;

	(void)state;
	assign(t, "a", "primary=hw-p");
	assign(t, "b", "brake=hw-b");
	set_member(t, "targets/b/custom/uri", cJSON_CreateNumber(1));
	assert_code(check(&v, cJSON_Duplicate(t, true)), UPT_E_MALFORMED);
	m = parsed(t);
	assert_code(upt_director_assignments(m, &v, &arena, &list, &n, NULL), UPT_E_MALFORMED);
	assert_null(list);
	assert_int_equal(n, 0);
}

static void
rules_hold_inside_the_trusted_set(void **state)
{
	struct upt_vehicle v = vehicle();
	struct world w;
	struct release r = {0};
	cJSON *t = empty_targets(1);

	(void)state;
	world_init(&w, UPT_REPO_DIRECTOR);
	w.policy.check_rules = upt_director_check_rules;
	w.policy.rules_ctx = &v;
	world_reset(&w);
	accepts(&w, PIN, plain_root(&w, 1), K(ROOT));
	assert_code(upt_trusted_set_finish_root(w.set, NOW, NULL), UPT_OK);
	assign(t, "x", "stranger=h");
	release_make(&w, t, 1, &r);
	accepts_bytes(&w, TIMESTAMP, upt_buf_span(&r.timestamp));
	accepts_bytes(&w, SNAPSHOT, upt_buf_span(&r.snapshot));
	refuses_bytes(&w, TARGETS, upt_buf_span(&r.targets), UPT_E_UNKNOWN_ECU);
	t = empty_targets(2);
	assign(t, "x", "brake=hw-b");
	release_make(&w, t, 2, &r);
	accepts_release(&w, &r);
	release_clear(&r);
	world_clear(&w);
}

/* ---- another Director ---- */

static void
two_directors_must_agree_on_the_whole_image(void **state)
{
	struct upt_target own = {.image = image_of("x", upt_span("content", 7), true)}, other;

	(void)state;
	own.image.has_release_counter = true;
	own.image.release_counter = 5;
	own.must_match = upt_span_str("{\"a\":1,\"b\":2}");
	other = own;
	other.must_match = upt_span_str("{\"b\":2, \"a\":1}");
	assert_code(upt_director_same(&own, &other, NULL), UPT_OK);
	other = own;
	other.image.name[0] = 'y';
	assert_code(upt_director_same(&own, &other, NULL), UPT_E_TARGET_MISMATCH);
	other = own;
	other.image.length_bytes++;
	assert_code(upt_director_same(&own, &other, NULL), UPT_E_TARGET_MISMATCH);
	for (int i = 0; i < 2; i++) {
		other = own;
		other.image.digests[i].bytes[31] ^= 1;
		assert_code(upt_director_same(&own, &other, NULL), UPT_E_TARGET_MISMATCH);
	}
	other = own;
	other.image.n_digests = 1;
	assert_code(upt_director_same(&own, &other, NULL), UPT_E_TARGET_MISMATCH);
	assert_code(upt_director_same(&other, &own, NULL), UPT_E_TARGET_MISMATCH);
	other = own;
	other.unknown_hash = true;
	assert_code(upt_director_same(&own, &other, NULL), UPT_E_TARGET_MISMATCH);
	other = own;
	other.image.release_counter++;
	assert_code(upt_director_same(&own, &other, NULL), UPT_E_TARGET_MISMATCH);
	other = own;
	other.image.has_release_counter = false;
	assert_code(upt_director_same(&own, &other, NULL), UPT_E_TARGET_MISMATCH);
	assert_code(upt_director_same(&other, &own, NULL), UPT_E_TARGET_MISMATCH);
	other = own;
	other.must_match = upt_span(NULL, 0);
	assert_code(upt_director_same(&own, &other, NULL), UPT_E_TARGET_MISMATCH);
	own.image.n_digests = other.image.n_digests = 0;
	other.must_match = own.must_match;
	assert_code(upt_director_same(&own, &other, NULL), UPT_E_TARGET_MISMATCH);
}

/* 1,000 ECUs with a target each: pairs would be a million comparisons in each call. */
static void
many_ecus_cost_n_log_n(void **state)
{
	enum { N = 1000 };
	static struct upt_vehicle_ecu many[N];
	static char serials[N][16], list[N][32];
	static struct upt_image images[N];
	static cJSON *customs[N];
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	upt_cleanup(upt_metadata_free) struct upt_metadata *m = NULL;
	struct upt_vehicle v = {.knows_all_ecus = true, .n_ecus = N, .ecus = many};
	struct upt_assignment *assigned;
	cJSON *targets = empty_targets(1);
	size_t n;

	(void)state;
	for (int i = 0; i < N; i++) {
		/* neither in the order of the vehicle nor in that of the targets */
		snprintf(serials[i], sizeof(serials[i]), "ecu-%04d", i * 333 % N);
		many[i] = (struct upt_vehicle_ecu){serials[i], "hw"};
		snprintf(list[i], sizeof(list[i]), "image-%04d", i);
		images[i] = image_of(list[i], upt_span_str(list[i]), false);
		customs[i] = cJSON_CreateObject();
		cJSON_AddStringToObject(
			cJSON_AddObjectToObject(
				cJSON_AddObjectToObject(customs[i], "ecuIdentifiers"), serials[i]),
			"hardwareId", "hw");
	}
	assert_code(upt_author_add_targets(targets, images, customs, N, NULL), UPT_OK);
	m = parsed(targets);
	n_compared = 0;
	assert_code(upt_director_check_rules(&v, m, NULL), UPT_OK);
	assert_true(n_compared > N && n_compared < 40 * N);
	n_compared = 0;
	assert_code(upt_director_assignments(m, &v, &arena, &assigned, &n, NULL), UPT_OK);
	assert_int_equal(n, N);
	assert_true(n_compared > N && n_compared < 40 * N);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(assigned[i].ecu, i);
		assert_string_equal(assigned[i].target.image.name, list[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_targets_must_name_this_vehicle),
		cmocka_unit_test(profile_ota_serves_no_vehicle_id),
		cmocka_unit_test(targets_with_entries_for_another_vehicle_are_refused),
		cmocka_unit_test(every_target_names_an_ecu),
		cmocka_unit_test(unknown_ecu_is_refused_by_who_knows_all),
		cmocka_unit_test(ecu_has_at_most_one_target),
		cmocka_unit_test(assignments_come_in_the_order_of_the_vehicle),
		cmocka_unit_test(assignment_for_other_hardware_is_refused),
		cmocka_unit_test(second_assignment_for_one_ecu_is_refused),
		cmocka_unit_test(correlation_id_is_a_short_string_or_nothing),
		cmocka_unit_test(correlation_id_is_bounded),
		cmocka_unit_test(ecus_of_all_targets_are_bounded),
		cmocka_unit_test(assignments_of_a_broken_entry_are_none),
		cmocka_unit_test(rules_hold_inside_the_trusted_set),
		cmocka_unit_test(two_directors_must_agree_on_the_whole_image),
		cmocka_unit_test(many_ecus_cost_n_log_n),
	};
	return cmocka_run_group_tests_name("director rules", tests, NULL, NULL);
}
