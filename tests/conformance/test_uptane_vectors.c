/* uptane-vectors: a server of vectors made here, good and bad, with right and wrong expectations.
 */
#include "program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "loopback.h"
#include "unit/metadata/world.h"

#define SERIAL "test_primary_ecu_serial"
#define HARDWARE "test_primary_hardware_id"
#define CONTENT "image content"
#define MAX_VECTORS 8
#define MAX_STEPS 3
#define MAX_FILES 24

struct vector_step {
	char *answer; /* JSON */
	struct {
		char path[64]; /* "director/targets.json" */
		struct upt_buf bytes;
	} files[MAX_FILES];
	size_t n_files;
};

struct vector {
	const char *name;
	struct vector_step steps[MAX_STEPS];
	size_t n_steps;
	unsigned current; /* POSTs so far */
};

struct suite {
	struct world w;
	struct loopback *server;
	char dir[64];
	struct vector vectors[MAX_VECTORS];
	size_t n_vectors;
	char list[512];
	int list_status, missing_status;
	struct program_result result;
};

static const char *program;

/* ---- the server ---- */

static const struct upt_buf *
find_file(const struct vector_step *step, const char *path)
{
	for (size_t i = 0; i < step->n_files; i++) {
		if (strcmp(step->files[i].path, path) == 0)
			return &step->files[i].bytes;
	}
	return NULL;
}

static struct loopback_reply
answer_step(struct vector *v)
{
	if (v->current++ >= v->n_steps)
		return (struct loopback_reply){.status = 204};
	return (struct loopback_reply){200, upt_span_str(v->steps[v->current - 1].answer)};
}

static struct loopback_reply
answer(void *ctx, const char *method, const char *target)
{
	struct suite *s = ctx;

	if (strcmp(target, "/") == 0)
		return (struct loopback_reply){s->list_status, upt_span_str(s->list)};
	for (size_t i = 0; i < s->n_vectors; i++) {
		struct vector *v = &s->vectors[i];
		size_t len = strlen(v->name);
		const struct upt_buf *file;

		if (strncmp(target + 1, v->name, len) != 0 || target[1 + len] != '/')
			continue;
		if (strcmp(method, "POST") == 0)
			return answer_step(v);
		if (v->current == 0 || v->current > v->n_steps)
			break;
		file = find_file(&v->steps[v->current - 1], target + 2 + len);
		if (file != NULL)
			return (struct loopback_reply){200, upt_buf_span(file)};
	}
	return (struct loopback_reply){.status = s->missing_status};
}

/* ---- vectors ---- */

/* What a step serves and what it says of it. */
struct plan {
	uint64_t version; /* of all but root; 0: 1 */
	uint64_t root_version; /* 0: 1 */
	unsigned image_root, director_root; /* keys that the roots list; 0: ROOT and ROOT2 */
	unsigned image_root_signers, image_targets; /* listed for targets; 0: TARG */
	unsigned targets_signers; /* of the Image repository's targets; 0: TARG */
	bool director_expired;
	bool delegated; /* the Image repository's target is in a delegated role */
	const char *served; /* image bytes; NULL: CONTENT */
	const char *wanted; /* what the Director lists; NULL: CONTENT */
	const char *serial, *hardware; /* NULL: the defaults */
	bool expect_update_failure, expect_target_failure;
};

static void
put(struct vector_step *step, const char *path, struct upt_span bytes)
{
	assert_true(step->n_files < MAX_FILES && strlen(path) < sizeof(step->files[0].path));
	snprintf(step->files[step->n_files].path, sizeof(step->files[0].path), "%s", path);
	assert_int_equal(
		upt_buf_append(&step->files[step->n_files].bytes, bytes.data, bytes.len, NULL),
		UPT_OK);
	step->n_files++;
}

static void
sign_and_put(struct suite *s, struct vector_step *step, const char *path, cJSON *payload,
	unsigned keys, bool expired)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	char expires[UPT_TIME_TEXT_SIZE];

	upt_time_format((int64_t)time(NULL) + (expired ? -60 : 86400), expires);
	set_member(payload, "expires", cJSON_CreateString(expires));
	sign_with(&s->w, payload, keys, &bytes);
	put(step, path, upt_buf_span(&bytes));
}

static cJSON *
custom_of(const struct plan *plan, bool director)
{
	cJSON *custom = cJSON_CreateObject();
	const char *hardware = plan->hardware != NULL ? plan->hardware : HARDWARE;

	if (director) {
		cJSON *ecus = cJSON_AddObjectToObject(custom, "ecuIdentifiers");

		cJSON_AddStringToObject(
			cJSON_AddObjectToObject(ecus, plan->serial != NULL ? plan->serial : SERIAL),
			"hardwareId", hardware);
	} else {
		cJSON_AddItemToArray(cJSON_AddArrayToObject(custom, "hardwareIds"),
			cJSON_CreateString(hardware));
	}
	return custom;
}

static cJSON *
listing(const struct plan *plan, bool director)
{
	cJSON *targets = empty_targets(plan->version > 0 ? plan->version : 1);
	const char *content = director && plan->wanted != NULL ? plan->wanted : CONTENT;
	struct upt_image image = image_of("file.txt", upt_span_str(content), true);

	assert_int_equal(
		upt_author_add_target(targets, &image, custom_of(plan, director), NULL), UPT_OK);
	return targets;
}

static unsigned
or_else(unsigned keys, unsigned fallback)
{
	return keys != 0 ? keys : fallback;
}

static void
put_director(struct suite *s, struct vector_step *step, const struct plan *plan)
{
	struct root_plan root = {.version = plan->root_version > 0 ? plan->root_version : 1,
		.root = or_else(plan->director_root, K(ROOT2)),
		.targets = K(TARG2),
		.not_consistent = true};
	char path[64];

	snprintf(path, sizeof(path), "director/%llu.root.json", (unsigned long long)root.version);
	sign_and_put(s, step, path, plan_root(&s->w, &root), K(ROOT2) | root.root, false);
	sign_and_put(s, step, "director/targets.json", listing(plan, true), K(TARG2),
		plan->director_expired);
}

static struct upt_span
last_file(const struct vector_step *step)
{
	return upt_buf_span(&step->files[step->n_files - 1].bytes);
}

static void
put_image_targets(
	struct suite *s, struct vector_step *step, const struct plan *plan, cJSON *snapshot)
{
	uint64_t version = plan->version > 0 ? plan->version : 1;
	cJSON *top = plan->delegated ? empty_targets(version) : listing(plan, false);

	if (plan->delegated) {
		delegate(&s->w, top, "role", K(DEL_A), 1, "*", false);
		sign_and_put(s, step, "image_repo/delegations/role.json", listing(plan, false),
			K(DEL_A), false);
		assert_int_equal(upt_author_snapshot_add(
					 snapshot, "role.json", version, last_file(step), NULL),
			UPT_OK);
	}
	sign_and_put(s, step, "image_repo/targets.json", top,
		or_else(plan->targets_signers, K(TARG)), false);
	assert_int_equal(
		upt_author_snapshot_add(snapshot, "targets.json", version, last_file(step), NULL),
		UPT_OK);
}

static void
put_image_repo(struct suite *s, struct vector_step *step, const struct plan *plan)
{
	uint64_t version = plan->version > 0 ? plan->version : 1;
	struct root_plan root = {.version = plan->root_version > 0 ? plan->root_version : 1,
		.root = or_else(plan->image_root, K(ROOT)),
		.timestamp = K(TIME),
		.snapshot = K(SNAP),
		.targets = or_else(plan->image_targets, K(TARG)),
		.not_consistent = true};
	cJSON *snapshot = upt_author_snapshot(version, LATER);
	char path[64];

	snprintf(path, sizeof(path), "image_repo/%llu.root.json", (unsigned long long)root.version);
	sign_and_put(s, step, path, plan_root(&s->w, &root),
		or_else(plan->image_root_signers, K(ROOT) | root.root), false);
	put_image_targets(s, step, plan, snapshot);
	sign_and_put(s, step, "image_repo/snapshot.json", snapshot, K(SNAP), false);
	sign_and_put(s, step, "image_repo/timestamp.json",
		timestamp_of(version, version, last_file(step)), K(TIME), false);
	put(step, "image_repo/targets/file.txt",
		upt_span_str(plan->served != NULL ? plan->served : CONTENT));
}

static const char *
truth(bool value)
{
	return value ? "true" : "false";
}

static struct vector_step *
add_step(struct suite *s, struct vector *v, const struct plan *plan)
{
	struct vector_step *step = &v->steps[v->n_steps];

	assert_true(v->n_steps < MAX_STEPS);
	put_director(s, step, plan);
	put_image_repo(s, step, plan);
	assert_true(asprintf(&step->answer,
			    "{\"director\":{\"update\":{\"is_success\":true},\"targets\":"
			    "{\"file.txt\":{\"is_success\":true}}},\"image_repo\":{\"update\":"
			    "{\"is_success\":%s,\"err\":\"E\",\"err_msg\":\"why\"},\"targets\":"
			    "{\"file.txt\":{\"is_success\":%s}}}}",
			    truth(!plan->expect_update_failure),
			    truth(!plan->expect_target_failure)) > 0);
	v->n_steps++;
	return step;
}

static struct vector *
add_vector(struct suite *s, const char *name)
{
	struct vector *v = &s->vectors[s->n_vectors];

	assert_true(s->n_vectors < MAX_VECTORS);
	v->name = name;
	s->n_vectors++;
	return v;
}

/* ---- running ---- */

static int
run_with(struct suite *s, const char *const *options)
{
	const char *argv[12] = {program, loopback_url(s->server)};
	size_t n = 2;

	loopback_lock(s->server);
	if (s->list[0] == '\0') {
		size_t len = 0;

		for (size_t i = 0; i < s->n_vectors; i++)
			len += (size_t)snprintf(s->list + len, sizeof(s->list) - len, "%s\"%s\"",
				i == 0 ? "[" : ",", s->vectors[i].name);
		snprintf(s->list + len, sizeof(s->list) - len, "]");
	}
	for (size_t i = 0; i < s->n_vectors; i++)
		s->vectors[i].current = 0;
	loopback_unlock(s->server);
	for (; options != NULL && *options != NULL; options++)
		argv[n++] = *options;
	program_run(argv, s->dir, &s->result);
	return s->result.status;
}

static void
shows(struct suite *s, const char *text)
{
	if (strstr((const char *)s->result.out.data, text) == NULL)
		fail_msg("no \"%s\" in:\n%s%s", text, (const char *)s->result.out.data,
			(const char *)s->result.err.data);
}

static void
ends_with(struct suite *s, const char *last_line)
{
	const char *out = (const char *)s->result.out.data;
	size_t len = strlen(last_line);

	if (s->result.out.len < len || strcmp(out + s->result.out.len - len, last_line) != 0)
		fail_msg("\"%s\" is not the end of:\n%s", last_line, out);
}

static int
setup(void **state)
{
	struct suite *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	world_init(&s->w, UPT_REPO_IMAGE);
	scratch_make(s->dir);
	s->list_status = 200;
	s->missing_status = 404;
	s->server = loopback_start(answer, s);
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	struct suite *s = *state;

	loopback_stop(&s->server);
	for (size_t i = 0; i < s->n_vectors; i++) {
		for (size_t k = 0; k < s->vectors[i].n_steps; k++) {
			struct vector_step *step = &s->vectors[i].steps[k];

			free(step->answer);
			for (size_t f = 0; f < step->n_files; f++)
				upt_buf_clear(&step->files[f].bytes);
		}
	}
	program_result_clear(&s->result);
	world_clear(&s->w);
	scratch_remove(s->dir);
	free(s);
	return 0;
}

/* ---- cases ---- */

static void
good_vectors_pass_whatever_a_missing_file_is_answered_with(void **state)
{
	static const int statuses[] = {404, 400, 500};
	struct suite *s = *state;
	struct plan good = {0}, delegated = {.delegated = true};

	add_step(s, add_vector(s, "good"), &good);
	add_step(s, add_vector(s, "delegated"), &delegated);
	for (size_t i = 0; i < 3; i++) {
		s->missing_status = statuses[i];
		assert_int_equal(run_with(s, NULL), 0);
		shows(s, "pass good 1: expected success, got success (ok)\n");
		shows(s, "pass delegated 1: expected success, got success (ok)\n");
		ends_with(s, "2 vectors, 2 steps\n2 passed, 0 failed\n");
	}
	assert_int_equal(s->result.err.len, 0);
}

static void
bad_vectors_pass_when_failure_is_expected(void **state)
{
	struct suite *s = *state;
	struct plan expired = {.director_expired = true, .expect_update_failure = true};
	struct plan is_unsigned = {.targets_signers = K(THIEF), .expect_update_failure = true};
	struct plan root = {.image_root_signers = K(THIEF), .expect_update_failure = true};
	struct plan changed = {.served = "Image content", .expect_target_failure = true};
	struct plan larger = {.served = CONTENT "!", .expect_target_failure = true};
	struct plan other_ecu = {.serial = "other", .expect_update_failure = true};
	struct plan mismatch = {.wanted = "Image content", .expect_target_failure = true};
	struct plan missing = {.delegated = true, .expect_update_failure = true};
	struct vector_step *step;

	add_step(s, add_vector(s, "expired"), &expired);
	add_step(s, add_vector(s, "unsigned"), &is_unsigned);
	add_step(s, add_vector(s, "root"), &root);
	add_step(s, add_vector(s, "changed"), &changed);
	add_step(s, add_vector(s, "larger"), &larger);
	add_step(s, add_vector(s, "ecu"), &other_ecu);
	add_step(s, add_vector(s, "mismatch"), &mismatch);
	step = add_step(s, add_vector(s, "missing"), &missing);
	for (size_t i = 0; i < step->n_files; i++) {
		if (strstr(step->files[i].path, "delegations/") != NULL)
			step->files[i].path[0] = '-';
	}
	assert_int_equal(run_with(s, NULL), 0);
	shows(s, "pass expired 1: expected failure, got failure (expired: ");
	shows(s, "pass unsigned 1: expected failure, got failure (signature-threshold: ");
	shows(s, "pass root 1: expected failure, got failure (signature-threshold: ");
	shows(s, "pass changed 1: expected failure, got failure (image-hash-mismatch: ");
	shows(s, "pass larger 1: expected failure, got failure (too-large: ");
	shows(s, "pass ecu 1: expected failure, got failure (unknown-ecu: ");
	shows(s, "pass mismatch 1: expected failure, got failure (target-mismatch: ");
	shows(s, "pass missing 1: expected failure, got failure (missing-metadata: ");
	ends_with(s, "8 vectors, 8 steps\n8 passed, 0 failed\n");
}

static void
wrong_expectation_fails_the_run(void **state)
{
	struct suite *s = *state;
	struct plan good = {0}, doubted = {.expect_update_failure = true};
	struct plan doubted_target = {.expect_target_failure = true};
	struct plan bad = {.director_expired = true};

	add_step(s, add_vector(s, "good"), &good);
	add_step(s, add_vector(s, "doubted"), &doubted);
	add_step(s, add_vector(s, "doubted-target"), &doubted_target);
	add_step(s, add_vector(s, "bad"), &bad);
	assert_int_equal(run_with(s, NULL), 1);
	shows(s, "pass good 1: expected success, got success (ok)\n");
	shows(s, "FAIL doubted 1: expected failure, got success (ok)\n");
	shows(s, "FAIL doubted-target 1: expected failure, got success (ok)\n");
	shows(s, "FAIL bad 1: expected success, got failure (expired: ");
	ends_with(s, "4 vectors, 4 steps\n1 passed, 3 failed\n");
}

static void
state_is_kept_between_the_steps_of_a_vector_only(void **state)
{
	struct suite *s = *state;
	struct vector *v = add_vector(s, "rollback");
	struct plan new = {.version = 2}, old = {.version = 1, .expect_update_failure = true};
	struct plan first = {.version = 1};

	add_step(s, v, &new);
	add_step(s, v, &old);
	add_step(s, v, &new);
	add_step(s, add_vector(s, "another"), &first);
	assert_int_equal(run_with(s, NULL), 0);
	shows(s, "pass rollback 2: expected failure, got failure (version-rollback: ");
	shows(s, "pass rollback 3: expected success, got success (ok)\n");
	ends_with(s, "2 vectors, 4 steps\n4 passed, 0 failed\n");
}

/* Later steps serve no 1.root.json: what was trusted last leads to the next. */
static void
roots_rotate_from_the_first_one_trusted(void **state)
{
	struct suite *s = *state;
	struct vector *v = add_vector(s, "rotation");
	struct plan first = {0};
	/* The targets' keys change with the second root: under the first one they are worthless. */
	struct plan next = {.version = 2,
		.root_version = 2,
		.image_root = K(ROOT3),
		.director_root = K(DEL_B),
		.image_targets = K(DEL_C),
		.targets_signers = K(DEL_C)};
	struct plan last = next;

	last.version = last.root_version = 3;
	add_step(s, v, &first);
	add_step(s, v, &next);
	add_step(s, v, &last);
	assert_int_equal(run_with(s, NULL), 0);
	ends_with(s, "1 vectors, 3 steps\n3 passed, 0 failed\n");
}

static void
first_root_is_trusted_on_first_use_and_never_again(void **state)
{
	struct suite *s = *state;
	struct vector *v = add_vector(s, "replaced");
	struct plan first = {0};
	struct plan other = {.version = 2, .image_root = K(THIEF), .image_root_signers = K(THIEF)};

	add_step(s, v, &first);
	add_step(s, v, &other);
	/* Another 1.root.json is not even asked for; the rest is signed as before. */
	assert_int_equal(run_with(s, NULL), 0);
	ends_with(s, "1 vectors, 2 steps\n2 passed, 0 failed\n");
	/* One that did not verify was not trusted: the next step's is. */
	v = add_vector(s, "repaired");
	other.expect_update_failure = true;
	other.version = 1;
	other.image_root_signers = K(ROOT);
	add_step(s, v, &other);
	add_step(s, v, &first);
	s->list[0] = '\0';
	assert_int_equal(run_with(s, NULL), 0);
	shows(s, "pass repaired 1: expected failure, got failure (signature-threshold: ");
	ends_with(s, "2 vectors, 4 steps\n4 passed, 0 failed\n");
}

static void
vehicle_is_named_by_options(void **state)
{
	static const char *const options[] = {
		"--hardware-id", "other-hw", "--primary-ecu", "other-ecu", NULL};
	struct suite *s = *state;
	struct plan plan = {.serial = "other-ecu", .hardware = "other-hw"};

	add_step(s, add_vector(s, "other"), &plan);
	assert_int_equal(run_with(s, NULL), 1);
	shows(s, "FAIL other 1: expected success, got failure (unknown-ecu: ");
	assert_int_equal(run_with(s, options), 0);
	ends_with(s, "1 vectors, 1 steps\n1 passed, 0 failed\n");
}

static void
names_of_vectors_are_quoted(void **state)
{
	struct suite *s = *state;
	struct plan good = {0};

	add_step(s, add_vector(s, "a%2Fb%20c"), &good);
	snprintf(s->list, sizeof(s->list), "[\"a/b c\"]");
	assert_int_equal(run_with(s, NULL), 0);
	shows(s, "pass a/b c 1: ");
}

/* Silence must not pass for success. */
static void
what_cannot_be_judged_fails_the_run(void **state)
{
	static const char *const answers[] = {"{}", "[]", "not JSON",
		"{\"director\":{\"update\":{\"is_success\":true}}}",
		"{\"director\":{\"update\":{}},\"image_repo\":{\"update\":{\"is_success\":true}}}",
		("{\"director\":{\"update\":{\"is_success\":true}},\"image_repo\":{\"update\":"
		 "{\"is_success\":\"true\"}}}")};
	struct suite *s = *state;
	struct vector *v = add_vector(s, "vector");
	struct plan good = {0};
	struct vector_step *step = add_step(s, v, &good);

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		free(step->answer);
		step->answer = strdup(answers[i]);
		assert_int_equal(run_with(s, NULL), 1);
		shows(s, "FAIL vector 1: not judged (malformed: ");
		ends_with(s, "1 vectors, 1 steps\n0 passed, 1 failed\n");
	}
	add_vector(s, "without-steps");
	snprintf(s->list, sizeof(s->list), "[\"without-steps\",\"unknown\"]");
	assert_int_equal(run_with(s, NULL), 1);
	shows(s, "FAIL without-steps 1: not judged (malformed: ");
	shows(s, "FAIL unknown 1: not judged (absent: ");
	ends_with(s, "2 vectors, 2 steps\n0 passed, 2 failed\n");
}

static void
suite_that_cannot_be_had_fails_the_run(void **state)
{
	static const char *const lists[] = {"[]", "{}", "[1]", "x"};
	struct suite *s = *state;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		snprintf(s->list, sizeof(s->list), "%s", lists[i]);
		assert_int_equal(run_with(s, NULL), 1);
		assert_non_null(strstr((const char *)s->result.err.data, "[malformed"));
		assert_int_equal(s->result.out.len, 0);
	}
	s->list_status = 404;
	assert_int_equal(run_with(s, NULL), 1);
	assert_non_null(strstr((const char *)s->result.err.data, "[absent"));
	assert_int_equal(run_with(s, (const char *const[]){"second-url", NULL}), 1);
	assert_non_null(strstr((const char *)s->result.err.data, "one URL"));
}

int
main(int argc, char **argv)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(good_vectors_pass_whatever_a_missing_file_is_answered_with),
		T(bad_vectors_pass_when_failure_is_expected),
		T(wrong_expectation_fails_the_run),
		T(state_is_kept_between_the_steps_of_a_vector_only),
		T(roots_rotate_from_the_first_one_trusted),
		T(first_root_is_trusted_on_first_use_and_never_again),
		T(vehicle_is_named_by_options),
		T(names_of_vectors_are_quoted),
		T(what_cannot_be_judged_fails_the_run),
		T(suite_that_cannot_be_had_fails_the_run),
	};
	if (argc != 2)
		return 2;
	program = argv[1];
	return cmocka_run_group_tests_name("uptane-vectors", tests, NULL, NULL);
}
