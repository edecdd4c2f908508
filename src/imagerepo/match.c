#include "imagerepo/imagerepo.h"

/*
 * Every hash that the Director lists must be listed alike by the Image repository (which may list
 * more). Downloads are checked against the latter's list (2.17): one that only the Director lists
 * would never be.
 */
static enum upt_code
check_hashes(const struct upt_image *director, const struct upt_image *image, struct upt_err *err)
{
	for (size_t i = 0; i < director->n_digests; i++) {
		const struct upt_digest *other = upt_image_digest(image, director->digests[i].alg);

		if (other == NULL)
			return upt_fail(err, UPT_E_TARGET_MISMATCH,
				"image %s: the Image repository does not list the Director's %s",
				image->name, upt_hash_name(director->digests[i].alg));
		if (!upt_digest_equal(&director->digests[i], other))
			return upt_fail(err, UPT_E_TARGET_MISMATCH,
				"image %s: Director and Image repository list another %s",
				image->name, upt_hash_name(other->alg));
	}
	if (director->n_digests == 0)
		return upt_fail(err, UPT_E_TARGET_MISMATCH,
			"image %s: Director and Image repository have no hash in common",
			image->name);
	return UPT_OK;
}

/* 3.13: nothing is decrypted here, and what is encrypted is nothing to run. */
static enum upt_code
check_encryption(
	const struct upt_target *director, const struct upt_target *image, struct upt_err *err)
{
	const char *by = image->encrypted_by;

	if (by == NULL)
		by = director->encrypted_by;
	if (by == NULL)
		return UPT_OK;
	return upt_fail(err, UPT_E_UNSUPPORTED,
		"image %s: is encrypted (custom.%s), this client decrypts none", image->image.name,
		by);
}

/* 0.8: a section that both list alike, or neither lists. Compared in canonical form. */
static enum upt_code
check_must_match(
	const struct upt_target *director, const struct upt_target *image, struct upt_err *err)
{
	bool same;

	UPT_TRY(upt_json_same(director->must_match, image->must_match, &same, err));
	if (same)
		return UPT_OK;
	return upt_fail(err, UPT_E_TARGET_MISMATCH,
		"image %s: Director and Image repository differ in mustMatch", image->image.name);
}

static enum upt_code
check_hardware(const struct upt_target *image, const struct upt_match *ecu, struct upt_err *err)
{
	if (!image->has_hardware_ids && ecu->hardware_ids_optional)
		return UPT_OK;
	for (size_t i = 0; i < image->n_hardware_ids; i++) {
		if (strcmp(image->hardware_ids[i], ecu->hardware_id) == 0)
			return UPT_OK;
	}
	return upt_fail(err, UPT_E_WRONG_HARDWARE,
		"image %s: the Image repository does not list it for hardware %s",
		image->image.name, ecu->hardware_id);
}

static enum upt_code
check_release_counter(const struct upt_target *director, const struct upt_target *image,
	const struct upt_image *installed, struct upt_err *err)
{
	const struct upt_image *d = &director->image, *i = &image->image;

	/* Both repositories name it, or the Image repository alone does: its owners count releases.
	 */
	if (d->has_release_counter &&
		(!i->has_release_counter || d->release_counter != i->release_counter))
		return upt_fail(err, UPT_E_TARGET_MISMATCH,
			"image %s: Director and Image repository differ in releaseCounter",
			i->name);
	if (installed == NULL || !installed->has_release_counter)
		return UPT_OK;
	if (!i->has_release_counter || i->release_counter < installed->release_counter)
		return upt_fail(err, UPT_E_RELEASE_ROLLBACK,
			"image %s: release counter %llu after %llu (%s)", i->name,
			(unsigned long long)(i->has_release_counter ? i->release_counter : 0),
			(unsigned long long)installed->release_counter, installed->name);
	return UPT_OK;
}

enum upt_code
upt_imagerepo_match(const struct upt_target *director, const struct upt_target *image,
	const struct upt_match *ecu, struct upt_err *err)
{
	if (err != NULL)
		err->repo = UPT_REPO_IMAGE;
	/* Step 10.1 */
	if (strcmp(director->image.name, image->image.name) != 0)
		return upt_fail(err, UPT_E_TARGET_MISMATCH, "image %s: the Director wants %s",
			image->image.name, director->image.name);
	/* Step 10.2 */
	if (director->image.length_bytes != image->image.length_bytes)
		return upt_fail(err, UPT_E_TARGET_MISMATCH,
			"image %s: %llu bytes says the Director, %llu the Image repository",
			image->image.name, (unsigned long long)director->image.length_bytes,
			(unsigned long long)image->image.length_bytes);
	/* A hash that nobody here can verify is a check that would not run (2.17). */
	if (director->unknown_hash || image->unknown_hash)
		return upt_fail(err, UPT_E_TARGET_MISMATCH,
			"image %s: lists a hash algorithm that this client does not know",
			image->image.name);
	UPT_TRY(check_hashes(&director->image, &image->image, err));
	UPT_TRY(check_must_match(director, image, err));
	UPT_TRY(check_hardware(image, ecu, err));
	UPT_TRY(check_encryption(director, image, err));
	return check_release_counter(director, image, ecu->installed, err);
}

/* Two Image repositories vouch for one thing only when whatever is acted upon is the same: custom
 * says how an image is run, and a thief of one of them would otherwise choose that alone. */
enum upt_code
upt_imagerepo_same(const struct upt_target *a, const struct upt_target *b, struct upt_err *err)
{
	bool same;

	for (size_t i = 0; i < a->image.n_digests; i++) {
		const struct upt_digest *other =
			upt_image_digest(&b->image, a->image.digests[i].alg);

		if (other != NULL && !upt_digest_equal(&a->image.digests[i], other))
			return upt_fail(err, UPT_E_TARGET_MISMATCH,
				"image %s: two Image repositories list another %s", a->image.name,
				upt_hash_name(other->alg));
	}
	UPT_TRY(upt_json_same(a->custom, b->custom, &same, err));
	if (!same)
		return upt_fail(err, UPT_E_TARGET_MISMATCH,
			"image %s: two Image repositories differ in custom", a->image.name);
	return UPT_OK;
}
