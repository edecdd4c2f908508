/* One update as the Primary does it: Director, Image repository, match, image bytes. */
#include <fcntl.h>
#include <stdio.h>
#include "base/encode.h"
#include "base/file.h"
#include "runner.h"

#define IMAGE_MAX_BYTES ((size_t)1 << 20)

struct sets {
	struct upt_trusted_set *director, *image;
};

static void
sets_clear(struct sets *sets)
{
	upt_trusted_set_free(&sets->director);
	upt_trusted_set_free(&sets->image);
}

/* The same policies as the Primary's. */
static enum upt_code
sets_new(const struct vehicle *v, struct sets *out, struct upt_err *err)
{
	const struct upt_trust_policy image = upt_trust_policy_uptane(UPT_REPO_IMAGE, v->ota);
	struct upt_trust_policy director = upt_trust_policy_uptane(UPT_REPO_DIRECTOR, v->ota);

	director.check_rules = upt_director_check_rules;
	director.rules_ctx = &v->facts;
	UPT_TRY(upt_trusted_set_new(&director, &out->director, err));
	return upt_trusted_set_new(&image, &out->image, err);
}

static enum upt_code
refresh(struct store *store, struct upt_trusted_set *set, int64_t now, struct outcome *out)
{
	struct upt_feed feed = store_feed(store);
	bool changed;
	enum upt_code code;

	store->asked[0] = '\0';
	code = upt_refresh(set, &feed, now, &changed, &out->err);
	/* A pinned root that is refused was not asked for. */
	snprintf(out->role, sizeof(out->role), "%s",
		store->asked[0] != '\0' ? store->asked : "root");
	return code;
}

static void
name_role(struct outcome *out, const char *role)
{
	snprintf(out->role, sizeof(out->role), "%s", role);
}

/* ---- image bytes ---- */

static enum upt_code
append_encoded(struct upt_buf *out, const char *text, bool keep_slash, struct upt_err *err)
{
	for (const char *p = text; *p != '\0'; p++) {
		if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~",
			    *p) != NULL ||
			(*p == '/' && keep_slash))
			UPT_TRY(upt_buf_append(out, p, 1, err));
		else
			UPT_TRY(upt_buf_printf(out, err, "%%%02X", (unsigned char)*p));
	}
	return UPT_OK;
}

/* 0.14: HASH.FILENAME in the folder of FILENAME; without consistent snapshots the name as one part. */
static enum upt_code
image_path(const struct store *store, const struct upt_image *image, bool consistent, struct upt_buf *out,
	struct upt_err *err)
{
	const char *slash = strrchr(image->name, '/'), *base = slash != NULL ? slash + 1 : image->name;
	upt_cleanup(upt_buf_clear) struct upt_buf folder = {0};
	char hex[2 * UPT_HASH_MAX_BYTES + 1];

	UPT_TRY(upt_buf_printf(out, err, "%s/targets/", store->folder));
	if (!consistent)
		return append_encoded(out, image->name, false, err);
	UPT_TRY(upt_buf_printf(&folder, err, "%.*s", (int)(base - image->name), image->name));
	UPT_TRY(append_encoded(out, (const char *)folder.data, true, err));
	upt_hex_encode(upt_span(image->digests[0].bytes, image->digests[0].len), hex);
	UPT_TRY(upt_buf_printf(out, err, "%s.", hex));
	return append_encoded(out, base, false, err);
}

/* 2.17, 3.14, 3.15 by the store that a vehicle has. */
static enum upt_code
take_image(struct vehicle *v, const struct upt_image *image, bool consistent, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf path = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	upt_cleanup(upt_image_writer_free) struct upt_image_writer *writer = NULL;
	uint64_t offset;
	enum upt_code code;

	err->repo = UPT_REPO_IMAGE;
	if (upt_images_have(v->images, image))
		return UPT_OK;
	UPT_TRY(image_path(&v->image, image, consistent, &path, err));
	code = upt_file_read(AT_FDCWD, (const char *)path.data, IMAGE_MAX_BYTES, &bytes, err);
	if (code == UPT_E_NOT_FOUND)
		return upt_fail(err, UPT_E_MISSING, "the server has no image %s", image->name);
	UPT_TRY(code);
	UPT_TRY(upt_images_begin(v->images, image, &writer, &offset, err));
	UPT_TRY(upt_image_writer_write(writer, upt_buf_span(&bytes), err));
	return upt_image_writer_finish(writer, err);
}

/* ---- targets ---- */

/* Of a search, what is about one target: too many delegations and a malformed entry may also be what a
 * document is refused for while it is read, and then it is not kept. */
static bool
is_about_the_target(enum upt_code code, const struct store *store)
{
	if (code != UPT_E_DELEGATION && code != UPT_E_MALFORMED)
		return code == UPT_E_UNKNOWN_TARGET;
	return store_keeps_asked(store);
}

static enum upt_code
take_assignment(struct vehicle *v, const struct sets *sets, const struct upt_assignment *wanted, int64_t now,
	struct outcome *out)
{
	const struct upt_feed feed = store_feed(&v->image);
	const char *hardware_id = v->ecus[wanted->ecu].hardware_id;
	const struct upt_image *installed = &v->installed[wanted->ecu];
	const struct upt_search search = {
		.feed = &feed, .now = now, .hardware_id = hardware_id, .star_crosses_slash = v->ota};
	const struct upt_match ecu = {.hardware_id = hardware_id,
		.installed = installed->name[0] != '\0' ? installed : NULL,
		.hardware_ids_optional = v->ota};
	struct upt_target found;
	enum upt_code code;

	code = upt_imagerepo_find(
		sets->image, &search, wanted->target.image.name, &out->arena, &found, &out->err);
	name_role(out, is_about_the_target(code, &v->image) ? "target" : v->image.asked);
	UPT_TRY(code);
	name_role(out, "target");
	UPT_TRY(upt_imagerepo_match(&wanted->target, &found, &ecu, &out->err));
	name_role(out, "image");
	return take_image(v, &found.image, upt_trusted_set_root(sets->image)->root.consistent_snapshot,
		&out->err);
}

static enum upt_code
update(struct vehicle *v, int64_t now, struct outcome *out)
{
	upt_cleanup(sets_clear) struct sets sets = {0};

	UPT_TRY(sets_new(v, &sets, &out->err));
	UPT_TRY(refresh(&v->director, sets.director, now, out));
	name_role(out, "target");
	UPT_TRY(upt_director_assignments(upt_trusted_set_targets(sets.director), &v->facts, &out->arena,
		&out->list, &out->n, &out->err));
	UPT_TRY(refresh(&v->image, sets.image, now, out));
	for (size_t i = 0; i < out->n; i++)
		UPT_TRY(take_assignment(v, &sets, &out->list[i], now, out));
	for (size_t i = 0; i < out->n; i++)
		v->installed[out->list[i].ecu] = out->list[i].target.image;
	return UPT_OK;
}

void
vehicle_update(struct vehicle *v, int64_t now, struct outcome *out)
{
	struct upt_err err = {0};

	out->code = update(v, now, out);
	if (out->code == UPT_OK)
		out->role[0] = '\0';
	/* The bytes of the next step are to be verified again. */
	if (upt_images_prune(v->images, NULL, 0, &err) != UPT_OK)
		fprintf(stderr, "vectors-run: %s\n", err.message);
}
