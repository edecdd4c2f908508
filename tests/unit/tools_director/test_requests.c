/*
 * Bodies that went wrong on the way, or were made to: thousands of damaged registrations, manifests
 * and events, none of which may change the database or get anything but a refusal.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include "manifest/manifest.h"

#define N_DAMAGED 1500

/* Small and the same every time. */
static uint32_t
next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(*seed >> 33);
}

/* A byte changed, bytes dropped or bytes doubled. */
static void
damage(struct upt_span good, uint64_t *seed, struct upt_buf *out)
{
	size_t at = next_random(seed) % good.len, len = 1 + next_random(seed) % 8;

	upt_buf_clear(out);
	if (len > good.len - at)
		len = good.len - at;
	assert_int_equal(upt_buf_append(out, good.data, good.len, NULL), UPT_OK);
	switch (next_random(seed) % 4) {
	case 0:
		out->data[at] ^= (uint8_t)(1U << (next_random(seed) % 8));
		break;
	case 1:
		out->data[at] = (uint8_t) "{}[]\",:\\0"[next_random(seed) % 9];
		break;
	case 2:
		memmove(out->data + at, out->data + at + len, good.len - at - len);
		out->len -= len;
		break;
	default:
		out->len = at;
		assert_int_equal(upt_buf_append(out, good.data + at, len, NULL), UPT_OK);
		assert_int_equal(upt_buf_append(out, good.data + at, good.len - at, NULL), UPT_OK);
		break;
	}
}

/* An exact copy of the body at the end of its allocation: a byte too far is seen by the sanitizer.
 */
static unsigned
status_of(struct fixture *f, const char *path, const struct upt_buf *body)
{
	uint8_t *copy = malloc(body->len > 0 ? body->len : 1);

	assert_non_null(copy);
	if (body->len > 0)
		memcpy(copy, body->data, body->len);
	struct reply reply = ask(f, path, upt_span(copy, body->len), T0 + 1);
	unsigned status = reply.status;
	assert_true(status < 300 || reply.body.len > 0);
	reply_clear(&reply);
	free(copy);
	return status;
}

static void
damaged_registrations_never_change_an_ecu(void **state)
{
	struct fixture *f = *state;
	upt_cleanup(upt_buf_clear) struct upt_buf body = {0};
	uint64_t seed = 1;
	size_t n_refused = 0;

	struct upt_digest before = database_digest(f);
	for (size_t i = 0; i < N_DAMAGED; i++) {
		damage(upt_buf_span(&f->registration), &seed, &body);
		unsigned status = status_of(f, "/director/ecus", &body);
		/* 200: the damage hit a member that nobody reads, or the case of a key type. */
		assert_true(status == 400 || status == 409 || status == 200);
		n_refused += status >= 400;
	}
	struct upt_digest after = database_digest(f);
	assert_true(upt_digest_equal(&before, &after));
	assert_true(n_refused > N_DAMAGED * 9 / 10);
	assert_int_equal(status_of(f, "/director/ecus", &f->registration), 200);
}

/* The two registered ECUs and n more, with names as long as can be and a key each, from number 2 on:
 * 0 would be of small order, 1 is left for another. */
static void
make_registration(struct fixture *f, int n, struct upt_buf *out)
{
	const struct upt_buf *known = &f->registration;

	upt_buf_clear(out);
	assert_int_equal(upt_buf_append(out, known->data, known->len - 2, NULL), UPT_OK);
	for (int i = 0; i < n; i++)
		assert_int_equal(
			upt_buf_printf(out, NULL,
				",{\"ecu_serial\":\"%0*d\",\"hardware_identifier\":\"%0*d\","
				"\"clientKey\":{\"keytype\":\"ed25519\",\"keyval\":"
				"{\"public\":\"%08x%056d\"}}}",
				UPT_ECU_SERIAL_MAX, i, UPT_HARDWARE_ID_MAX, i, i + 2, 0),
			UPT_OK);
	assert_int_equal(upt_buf_append(out, "]}", 2, NULL), UPT_OK);
}

static void
a_vehicle_has_as_many_ecus_as_it_can_be_configured_with(void **state)
{
	struct fixture *f = *state;
	upt_cleanup(upt_buf_clear) struct upt_buf body = {0};
	struct upt_digest before = database_digest(f), after;

	make_registration(f, UPT_MAX_TARGET_ECUS - 1, &body);
	assert_int_equal(status_of(f, "/director/ecus", &body), 400);
	after = database_digest(f);
	assert_true(upt_digest_equal(&before, &after));
	make_registration(f, UPT_MAX_TARGET_ECUS - 2, &body);
	assert_true(body.len < ECUS_MAX_BYTES);
	assert_int_equal(status_of(f, "/director/ecus", &body), 201);
	assert_int_equal(status_of(f, "/director/ecus", &body), 200);
	/* nor one by one */
	before = database_digest(f);
	upt_buf_clear(&body);
	assert_int_equal(
		upt_buf_append(&body, f->registration.data, f->registration.len - 2, NULL), UPT_OK);
	assert_int_equal(
		upt_buf_printf(&body, NULL,
			",{\"ecu_serial\":\"one\",\"hardware_identifier\":\"h\",\"clientKey\":"
			"{\"keytype\":\"ed25519\",\"keyval\":{\"public\":\"%08x%056d\"}}}]}",
			1, 0),
		UPT_OK);
	assert_int_equal(status_of(f, "/director/ecus", &body), 409);
	after = database_digest(f);
	assert_true(upt_digest_equal(&before, &after));
}

static void
make_manifest(struct fixture *f, uint64_t counter, struct upt_buf *out)
{
	struct upt_ecu_report report = {
		.ecu_serial = "prim", .installed = {.name = "os-1", .n_digests = 1}, .time = T0};
	struct upt_manifest_entry entry = {.ecu_serial = "prim"};
	struct upt_vehicle_manifest manifest = {
		.vehicle_id = VEHICLE, .primary_serial = "prim", .n_reports = 1, .reports = &entry};
	upt_cleanup(upt_buf_clear) struct upt_buf envelope = {0};
	struct upt_err err = {0};

	report.report_counter = counter;
	assert_int_equal(upt_hash_span(UPT_HASH_SHA256, upt_span("x", 1),
				 &report.installed.digests[0], &err),
		UPT_OK);
	assert_int_equal(upt_ecu_report_sign(&report, f->primary_key, &envelope, &err), UPT_OK);
	entry.envelope = upt_buf_span(&envelope);
	assert_int_equal(
		upt_vehicle_manifest_sign(&manifest, NULL, f->primary_key, out, &err), UPT_OK);
}

static void
damaged_manifests_change_nothing(void **state)
{
	struct fixture *f = *state;
	upt_cleanup(upt_buf_clear) struct upt_buf good = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf body = {0};
	uint64_t seed = 2;
	size_t n_accepted = 0;

	make_manifest(f, 1, &good);
	struct upt_digest before = database_digest(f);
	for (size_t i = 0; i < N_DAMAGED; i++) {
		damage(upt_buf_span(&good), &seed, &body);
		unsigned status = status_of(f, "/director/manifest", &body);
		assert_true(status == 400 || status == 403 || status == 200);
		if (status == 200) {
			/* The key id of a signature is no more than a name: not signed, not
			 * believed. */
			n_accepted++;
			assert_int_equal(status_of(f, "/director/manifest", &good), 403);
			assert_int_equal(
				db_run(&f->d.db, NULL, "UPDATE ecu SET counter = NULL", DB_NO_ARGS),
				UPT_OK);
			before = database_digest(f);
			continue;
		}
		struct upt_digest after = database_digest(f);
		assert_true(upt_digest_equal(&before, &after));
	}
	assert_true(n_accepted < N_DAMAGED / 4);
	assert_int_equal(status_of(f, "/director/manifest", &good), 200);
}

static void
a_counter_must_rise(void **state)
{
	struct fixture *f = *state;
	static const struct {
		uint64_t counter;
		unsigned status;
	} steps[] = {{5, 200}, {5, 403}, {4, 403}, {6, 200}, {9007199254740991, 200}, {7, 403}};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		upt_cleanup(upt_buf_clear) struct upt_buf manifest = {0};
		make_manifest(f, steps[i].counter, &manifest);
		assert_int_equal(status_of(f, "/director/manifest", &manifest), steps[i].status);
	}
}

static void
events_of_a_vehicle_are_bounded(void **state)
{
	struct fixture *f = *state;
	int64_t n = 0;

	for (int i = 0; i < EVENTS_KEPT / 400 + 2; i++) {
		upt_cleanup(upt_buf_clear) struct upt_buf body = {0};
		assert_int_equal(upt_buf_printf(&body, NULL, "["), UPT_OK);
		for (int j = 0; j < 400; j++)
			assert_int_equal(
				upt_buf_printf(&body, NULL,
					"%s{\"id\":\"%d-%d\",\"eventType\":{\"id\":\"t\"}}",
					j > 0 ? "," : "", i, j),
				UPT_OK);
		assert_int_equal(upt_buf_printf(&body, NULL, "]"), UPT_OK);
		assert_int_equal(status_of(f, "/events", &body), 204);
	}
	assert_int_equal(
		db_get_int(&f->d.db, &n, NULL, "SELECT count(*) FROM event", DB_NO_ARGS), UPT_OK);
	assert_int_equal(n, EVENTS_KEPT);
	assert_int_equal(db_get_int(&f->d.db, &n, NULL,
				 "SELECT count(*) FROM event WHERE id = '6-399'", DB_NO_ARGS),
		UPT_OK);
	assert_int_equal(n, 1);
}

static void
paths_have_one_spelling(void **state)
{
	static const struct {
		const char *path;
		bool found;
	} paths[] = {{"/director/root.json", true}, {"/director/1.root.json", true},
		{"/director/9007199254740991.targets.json", true},
		{"/director/9007199254740992.targets.json", false},
		{"/director/01.root.json", false}, {"/director/0.root.json", false},
		{"/director/1.timestamp.json", false}, {"/director/timestamp.json", true},
		{"/director/1.1.root.json", false}, {"/director/1root.json", false},
		{"/director/root.jsonx", false}, {"/director/Root.json", false},
		{"/director/ecus", true}, {"/director/ecus/", false}, {"/director", false},
		{"", false}, {"/events", true}, {"/events/", true}};

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct route route;
		if (route_find(paths[i].path, &route) != paths[i].found)
			fail_msg("%s", paths[i].path);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			damaged_registrations_never_change_an_ecu, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_vehicle_has_as_many_ecus_as_it_can_be_configured_with, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged_manifests_change_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_counter_must_rise, setup, teardown),
		cmocka_unit_test_setup_teardown(events_of_a_vehicle_are_bounded, setup, teardown),
		cmocka_unit_test(paths_have_one_spelling),
	};

	return cmocka_run_group_tests_name("tools_director.requests", tests, NULL, NULL);
}
