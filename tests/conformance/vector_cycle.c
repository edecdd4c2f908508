#include "artifact.h"
#include "imagerepo/imagerepo.h"
#include "vectors.h"

struct sets {
	struct upt_trusted_set *director, *image;
};

static void
sets_clear(struct sets *sets)
{
	upt_trusted_set_free(&sets->director);
	upt_trusted_set_free(&sets->image);
}

/* The policies that a vehicle of profile ota has. */
static enum upt_code
sets_new(const struct vector_vehicle *v, struct sets *out, struct upt_err *err)
{
	const struct upt_trust_policy image = upt_trust_policy_uptane(UPT_REPO_IMAGE, true);
	struct upt_trust_policy director = upt_trust_policy_uptane(UPT_REPO_DIRECTOR, true);

	director.check_rules = upt_director_check_rules;
	director.rules_ctx = &v->vehicle;
	UPT_TRY(upt_trusted_set_new(&director, &out->director, err));
	return upt_trusted_set_new(&image, &out->image, err);
}

static enum upt_code
refresh(struct vector_store *store, struct upt_trusted_set *set, int64_t now, struct upt_err *err)
{
	struct upt_feed feed = vector_store_feed(store);
	struct upt_err settle_err = {0};
	bool changed;
	enum upt_code code = upt_refresh(set, &feed, now, &changed, err);

	/* A first root that verified stays trusted, whatever came after it. */
	if (vector_store_settle(store, set, &settle_err) != UPT_OK && code == UPT_OK) {
		*err = settle_err;
		return settle_err.code;
	}
	return code;
}

static enum upt_code
fetch_image(const struct vector_store *store, const struct upt_target *target, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf path = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf url = {0};

	UPT_TRY(upt_buf_printf(&path, err, "targets/"));
	UPT_TRY(upt_url_encode(target->image.name, false, &path, err));
	UPT_TRY(web_join(store->url, (const char *)path.data, &url, err));
	return artifact_download(store->web->http, (const char *)url.data, target, -1, err);
}

static enum upt_code
take_assignment(struct vector_vehicle *v, const struct sets *sets,
	const struct upt_assignment *wanted, struct upt_arena *arena, struct upt_err *err)
{
	const char *hardware_id = v->vehicle.ecus[wanted->ecu].hardware_id;
	struct upt_feed feed = vector_store_feed(&v->image);
	const struct upt_search search = {.feed = &feed,
		.now = v->now,
		.hardware_id = hardware_id,
		.star_crosses_slash = true};
	const struct upt_match ecu = {.hardware_id = hardware_id, .hardware_ids_optional = true};
	struct upt_target target;

	UPT_TRY(upt_imagerepo_find(
		sets->image, &search, wanted->target.image.name, arena, &target, err));
	UPT_TRY(upt_imagerepo_match(&wanted->target, &target, &ecu, err));
	return fetch_image(&v->image, &target, err);
}

enum upt_code
vector_cycle(struct vector_vehicle *v, struct upt_err *err)
{
	upt_cleanup(sets_clear) struct sets sets = {0};
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	struct upt_assignment *assignments;
	size_t n;

	UPT_TRY(sets_new(v, &sets, err));
	UPT_TRY(refresh(&v->director, sets.director, v->now, err));
	UPT_TRY(upt_director_assignments(upt_trusted_set_targets(sets.director), &v->vehicle,
		&arena, &assignments, &n, err));
	/* Also when nothing is assigned: a step may be about the Image repository alone. */
	UPT_TRY(refresh(&v->image, sets.image, v->now, err));
	for (size_t i = 0; i < n; i++)
		UPT_TRY(take_assignment(v, &sets, &assignments[i], &arena, err));
	return UPT_OK;
}
