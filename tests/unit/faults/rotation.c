#include "rotation.h"

#include <stdio.h>
#include <string.h>

#define MISSING 0

static const char *const roles[ROTATION_MAX_DOCUMENTS] = {
	"root", "timestamp", "snapshot", "targets", "role"};

const char *
rotation_role(size_t i)
{
	return roles[i];
}

/* ---- making them ---- */

static void
must_match(cJSON *custom)
{
	cJSON_AddStringToObject(
		cJSON_AddObjectToObject(custom, "mustMatch"), "built", "2026-01-01");
	cJSON_AddStringToObject(custom, "targetFormat", "BINARY");
}

static cJSON *
ecu_custom(void)
{
	cJSON *custom = cJSON_CreateObject();
	cJSON *ids = cJSON_AddObjectToObject(custom, "ecuIdentifiers");

	cJSON_AddStringToObject(
		cJSON_AddObjectToObject(ids, ROTATION_ECU), "hardwareId", ROTATION_HARDWARE);
	must_match(custom);
	return custom;
}

static cJSON *
hardware_custom(void)
{
	cJSON *custom = cJSON_CreateObject();

	cJSON_AddItemToArray(cJSON_AddArrayToObject(custom, "hardwareIds"),
		cJSON_CreateString(ROTATION_HARDWARE));
	must_match(custom);
	return custom;
}

static void
add_target(cJSON *targets, cJSON *custom)
{
	struct upt_image image = image_of(ROTATION_TARGET, upt_span_str("content"), true);

	assert_code(upt_author_add_target(targets, &image, custom, NULL), UPT_OK);
}

static cJSON *
targets_of(struct rotation_repo *r, uint64_t version, struct upt_buf *role)
{
	cJSON *targets = empty_targets(version), *delegated;

	if (r->w.policy.repo == UPT_REPO_DIRECTOR) {
		set_member(targets, "custom", cJSON_CreateObject());
		set_member(targets, "custom/vehicleId", cJSON_CreateString(ROTATION_VEHICLE));
		add_target(targets, ecu_custom());
		return targets;
	}
	/* A name that is not ASCII: strings then pass the normalizer. */
	add_target(targets, hardware_custom());
	drop_member(targets, "targets/" ROTATION_TARGET);
	set_member(targets, "targets/gr\xc3\xbcn",
		cJSON_Parse(
			"{\"length\":1,\"hashes\":{\"sha256\":\"00000000000000000000000000000000"
			"00000000000000000000000000000000\"}}"));
	delegate(&r->w, targets, "role", K(DEL_A), 1, "*", true);
	delegated = empty_targets(version);
	add_target(delegated, hardware_custom());
	sign_with(&r->w, delegated, K(DEL_A), role);
	return targets;
}

static void
make_version(struct rotation_repo *r, uint64_t version)
{
	unsigned time = version == 1 ? K(TIME) : K(TIME2), snap = version == 1 ? K(SNAP) : K(SNAP2);
	struct root_plan plan = {version, K(ROOT), time, snap, K(TARG), 1, false};
	struct upt_buf *d = r->documents[version - 1];
	cJSON *snapshot;

	sign_with(&r->w, plan_root(&r->w, &plan), K(ROOT), &d[0]);
	sign_with(&r->w, targets_of(r, version, &d[4]), K(TARG), &d[3]);
	snapshot = snapshot_of(version, version, upt_buf_span(&d[3]));
	if (d[4].len > 0)
		assert_code(upt_author_snapshot_add(
				    snapshot, "role.json", version, upt_buf_span(&d[4]), NULL),
			UPT_OK);
	sign_with(&r->w, snapshot, snap, &d[2]);
	sign_with(&r->w, timestamp_of(version, version, upt_buf_span(&d[2])), time, &d[1]);
}

static void
repo_init(struct rotation_repo *r, enum upt_repo repo, size_t n_documents)
{
	world_init(&r->w, repo);
	r->n_documents = n_documents;
	make_version(r, 1);
	make_version(r, 2);
}

static void
repo_clear(struct rotation_repo *r)
{
	for (size_t i = 0; i < ROTATION_MAX_DOCUMENTS; i++) {
		upt_buf_clear(&r->documents[0][i]);
		upt_buf_clear(&r->documents[1][i]);
	}
	world_clear(&r->w);
}

void
rotation_init(struct rotation *r)
{
	memset(r, 0, sizeof(*r));
	repo_init(&r->director, UPT_REPO_DIRECTOR, ROTATION_DIRECTOR_STEPS);
	repo_init(&r->image, UPT_REPO_IMAGE, ROTATION_IMAGE_STEPS);
}

void
rotation_clear(struct rotation *r)
{
	repo_clear(&r->director);
	repo_clear(&r->image);
}

/* ---- serving and judging them ---- */

static const struct rotation_repo *
repo_of(const struct rotation *r, enum upt_repo repo)
{
	return repo == UPT_REPO_DIRECTOR ? &r->director : &r->image;
}

enum upt_code
rotation_fetch(const struct rotation *r, enum upt_repo repo, const char *file_name,
	size_t max_bytes, struct upt_buf *out, struct upt_err *err)
{
	const struct rotation_repo *from = repo_of(r, repo);

	for (size_t i = 0; i < from->n_documents; i++) {
		char name[40];

		snprintf(name, sizeof(name), i == 1 ? "%s.json" : "2.%s.json", roles[i]);
		if (strcmp(name, file_name) != 0)
			continue;
		assert_true(from->documents[1][i].len <= max_bytes);
		out->len = 0;
		return upt_buf_append(
			out, from->documents[1][i].data, from->documents[1][i].len, err);
	}
	return upt_fail(err, UPT_E_ABSENT, "no %s", file_name);
}

/* Version of document i after that many documents of its repository were accepted. The root takes
 * timestamp and snapshot, whose keys it revokes, with it. */
static unsigned
version_after(size_t n_accepted, size_t i)
{
	bool revoked = i == 1 || i == 2;

	if (n_accepted > i)
		return 2;
	return revoked && n_accepted > 0 ? MISSING : 1;
}

static unsigned
stored_version(const struct rotation_repo *r, size_t i, rotation_load load, void *ctx)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	struct upt_err err = {0};
	enum upt_code code = load(ctx, r->w.policy.repo, roles[i], &bytes, &err);

	if (code == UPT_E_NOT_FOUND)
		return MISSING;
	if (code != UPT_OK)
		fail_msg("%s: %s: %s", roles[i], upt_code_name(code), err.message);
	for (unsigned v = 1; v <= 2; v++) {
		if (upt_span_equal(upt_buf_span(&bytes), upt_buf_span(&r->documents[v - 1][i])))
			return v;
	}
	fail_msg("%s: %zu bytes that nobody served", roles[i], bytes.len);
	return MISSING;
}

/* How many of the repository's documents were accepted. */
static size_t
repo_step(const struct rotation_repo *r, rotation_load load, void *ctx)
{
	unsigned stored[ROTATION_MAX_DOCUMENTS];

	for (size_t i = 0; i < r->n_documents; i++)
		stored[i] = stored_version(r, i, load, ctx);
	for (size_t step = 0; step <= r->n_documents; step++) {
		size_t i = 0;

		while (i < r->n_documents && stored[i] == version_after(step, i))
			i++;
		if (i == r->n_documents)
			return step;
	}
	fail_msg("%s: stored are root v%u, timestamp v%u, snapshot v%u, targets v%u: no step",
		upt_repo_name(r->w.policy.repo), stored[0], stored[1], stored[2], stored[3]);
	return 0;
}

size_t
rotation_step(const struct rotation *r, rotation_load load, void *ctx)
{
	size_t director = repo_step(&r->director, load, ctx);
	size_t image = repo_step(&r->image, load, ctx);

	/* The Director comes first, and whole. */
	assert_true(image == 0 || director == ROTATION_DIRECTOR_STEPS);
	return director + image;
}
