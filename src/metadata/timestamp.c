#include "metadata/roles.h"

/* By its decoded name: a name spelt with an escape is signed alike, and whoever serves the file
 * could otherwise take any one hash out of every check. */
static enum upt_hash_alg
algorithm(const struct upt_json_iter *members)
{
	static const enum upt_hash_alg known[] = {UPT_HASH_SHA256, UPT_HASH_SHA512};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (upt_json_key_is(members, upt_hash_name(known[i])))
			return known[i];
	}
	return UPT_HASH_NONE;
}

enum upt_code
upt_hashes_parse(struct upt_json_iter *it, struct upt_digest *digests, size_t *n_digests,
	bool *unknown, struct upt_err *err)
{
	struct upt_json_iter members = upt_json_enter(it);
	struct upt_span raw;

	*n_digests = 0;
	*unknown = false;
	if (it->type != UPT_JSON_OBJECT)
		return upt_fail(err, UPT_E_MALFORMED, "hashes is no object");
	while (upt_json_next(&members)) {
		enum upt_hash_alg alg = algorithm(&members);

		if (!upt_json_raw_string(&members, &raw))
			return upt_fail(err, UPT_E_MALFORMED, "a hash is no string");
		if (alg == UPT_HASH_NONE) {
			*unknown = true;
			continue;
		}
		/* Keys are distinct, so at most every known algorithm once; bounded all the same.
		 */
		if (*n_digests == UPT_MAX_DIGESTS)
			return upt_fail(err, UPT_E_MALFORMED, "more hashes than algorithms");
		if (!upt_digest_parse(alg, raw, &digests[*n_digests]))
			return upt_fail(err, UPT_E_MALFORMED, "a %s hash is not %zu hex digits",
				upt_hash_name(alg), 2 * upt_hash_bytes(alg));
		(*n_digests)++;
	}
	if (*n_digests == 0 && !*unknown)
		return upt_fail(err, UPT_E_MALFORMED, "hashes is empty");
	if (*n_digests == 2 && digests[0].alg > digests[1].alg) {
		struct upt_digest first = digests[1];
		digests[1] = digests[0];
		digests[0] = first;
	}
	return UPT_OK;
}

enum upt_code
upt_file_meta_parse(struct upt_json_iter *it, struct upt_file_meta *out, struct upt_err *err)
{
	struct upt_json_iter members = upt_json_enter(it);
	bool unknown;

	if (it->type != UPT_JSON_OBJECT)
		return upt_fail(err, UPT_E_MALFORMED, "a meta entry is no object");
	while (upt_json_next(&members)) {
		if (upt_json_key_is(&members, "version")) {
			if (!upt_json_u64(&members, &out->version) || out->version < 1)
				return upt_fail(err, UPT_E_MALFORMED,
					"a meta version is no whole number above 0");
		} else if (upt_json_key_is(&members, "length")) {
			if (!upt_json_u64(&members, &out->length_bytes))
				return upt_fail(
					err, UPT_E_MALFORMED, "a meta length is no whole number");
			out->has_length = true;
		} else if (upt_json_key_is(&members, "hashes")) {
			UPT_TRY(upt_hashes_parse(
				&members, out->digests, &out->n_digests, &unknown, err));
			/* Known hashes beside an unknown one still bind the file; an unknown one
			 * alone would be a check that never runs. */
			if (out->n_digests == 0)
				return upt_fail(err, UPT_E_MALFORMED,
					"a meta entry lists no hash that is known here");
		}
	}
	if (out->version < 1)
		return upt_fail(err, UPT_E_MALFORMED, "a meta entry has no version");
	return UPT_OK;
}

enum upt_code
upt_timestamp_member(struct upt_json_iter *it, struct upt_metadata *m, struct upt_err *err)
{
	struct upt_json_iter files;

	if (!upt_json_key_is(it, "meta"))
		return UPT_OK;
	if (it->type != UPT_JSON_OBJECT)
		return upt_fail(err, UPT_E_MALFORMED, "meta is no object");
	files = upt_json_enter(it);
	while (upt_json_next(&files)) {
		if (!upt_json_key_is(&files, "snapshot.json"))
			continue;
		m->timestamp.snapshot.name = upt_span_str("snapshot.json");
		UPT_TRY(upt_file_meta_parse(&files, &m->timestamp.snapshot, err));
	}
	return UPT_OK;
}

enum upt_code
upt_timestamp_complete(const struct upt_metadata *m, struct upt_err *err)
{
	if (m->timestamp.snapshot.version < 1)
		return upt_fail(err, UPT_E_MALFORMED, "meta does not list snapshot.json");
	return UPT_OK;
}
