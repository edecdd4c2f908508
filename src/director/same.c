#include "director/director.h"

/* Both list the same algorithms, and the same under each. */
static bool
same_hashes(const struct upt_image *own, const struct upt_image *other)
{
	if (own->n_digests != other->n_digests)
		return false;
	for (size_t i = 0; i < own->n_digests; i++) {
		const struct upt_digest *digest = upt_image_digest(other, own->digests[i].alg);

		if (digest == NULL || !upt_digest_equal(&own->digests[i], digest))
			return false;
	}
	return own->n_digests > 0;
}

static bool
same_counter(const struct upt_image *own, const struct upt_image *other)
{
	return own->has_release_counter == other->has_release_counter &&
	       (!own->has_release_counter || own->release_counter == other->release_counter);
}

enum upt_code
upt_director_same(const struct upt_target *own, const struct upt_target *other, struct upt_err *err)
{
	const struct upt_image *a = &own->image, *b = &other->image;
	const char *what = NULL;
	bool same;

	UPT_TRY(upt_json_same(own->must_match, other->must_match, &same, err));
	if (strcmp(a->name, b->name) != 0)
		return upt_fail(err, UPT_E_TARGET_MISMATCH, "image %s: another Director assigns %s",
			a->name, b->name);
	if (a->length_bytes != b->length_bytes)
		what = "length";
	/* A hash that nobody here can compare is a check that would not run. */
	else if (own->unknown_hash || other->unknown_hash || !same_hashes(a, b))
		what = "hashes";
	else if (!same_counter(a, b))
		what = "releaseCounter";
	else if (!same)
		what = "mustMatch";
	if (what != NULL)
		return upt_fail(err, UPT_E_TARGET_MISMATCH, "image %s: two Directors differ in %s",
			a->name, what);
	return UPT_OK;
}
