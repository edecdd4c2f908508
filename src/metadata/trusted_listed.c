/* What a timestamp or snapshot says of a file (8.2, 9.2). */
#include "metadata/trusted.h"

static enum upt_code
check_hashes(const struct upt_file_meta *listed, struct upt_span bytes, const char *what,
	struct upt_err *err)
{
	for (size_t i = 0; i < listed->n_digests; i++) {
		struct upt_digest actual;

		UPT_TRY(upt_hash_span(listed->digests[i].alg, bytes, &actual, err));
		if (!upt_digest_equal(&actual, &listed->digests[i]))
			return upt_fail(err, UPT_E_HASH_MISMATCH, "%s: %s is not the listed one",
				what, upt_hash_name(listed->digests[i].alg));
	}
	return UPT_OK;
}

static enum upt_code
check_length(const struct upt_file_meta *listed, size_t len, const char *what, struct upt_err *err)
{
	if (!listed->has_length || listed->length_bytes == len)
		return UPT_OK;
	return upt_fail(err, UPT_E_HASH_MISMATCH, "%s: %zu bytes, listed are %llu", what, len,
		(unsigned long long)listed->length_bytes);
}

/*
 * Profile ota: the hashes may be those of the canonical envelope. The length is then that of the
 * served text or of the canonical one (both are in the field): the hashes alone bind the content.
 */
static enum upt_code
check_canonical(const struct upt_file_meta *listed, const struct upt_metadata *doc,
	const char *what, struct upt_err *err)
{
	const struct upt_json_facts *whole = &doc->envelope.doc.whole;
	upt_cleanup(upt_buf_clear) struct upt_buf canonical = {0};
	enum upt_code code = UPT_E_HASH_MISMATCH;

	if (listed->n_digests == 0)
		return check_length(listed, doc->bytes.len, what, err);
	for (int form = 0; form < UPT_JSON_N_FORMS && code == UPT_E_HASH_MISMATCH; form++) {
		canonical.len = 0;
		UPT_TRY(upt_json_canonical(whole->text, (enum upt_json_form)form, &canonical, err));
		code = check_hashes(listed, upt_buf_span(&canonical), what, err);
		if (code == UPT_OK && check_length(listed, doc->bytes.len, what, err) != UPT_OK)
			code = check_length(listed, canonical.len, what, err);
		if (!whole->forms_differ)
			break;
	}
	return code;
}

enum upt_code
upt_trusted_check_listed(const struct upt_trusted_set *set, const struct upt_file_meta *listed,
	const struct upt_metadata *doc, struct upt_err *err)
{
	char what[UPT_TRUSTED_WHAT_SIZE];
	enum upt_code code;

	upt_trusted_describe(set, doc, what);
	if (doc->version != listed->version)
		return upt_fail(err, UPT_E_VERSION_MISMATCH, "%s where v%llu is listed", what,
			(unsigned long long)listed->version);
	code = check_length(listed, doc->bytes.len, what, err);
	if (code == UPT_OK)
		code = check_hashes(listed, upt_buf_span(&doc->bytes), what, err);
	if (code != UPT_E_HASH_MISMATCH || !set->policy.allow_canonical_hashes)
		return code;
	return check_canonical(listed, doc, what, err);
}

enum upt_code
upt_trusted_check_targets_listed(
	const struct upt_trusted_set *set, const struct upt_metadata *doc, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf file = {0};
	const struct upt_file_meta *listed;

	if (upt_trusted_set_targets_only(set))
		return UPT_OK;
	UPT_TRY(upt_buf_printf(&file, err, "%s.json", doc->name));
	listed = upt_snapshot_find(
		&set->roles[UPT_ROLE_SNAPSHOT].doc->snapshot, (const char *)file.data);
	if (listed == NULL)
		return upt_fail(err, UPT_E_NOT_LISTED, "%s %s: the snapshot does not list it",
			upt_repo_name(set->policy.repo), doc->name);
	return upt_trusted_check_listed(set, listed, doc, err);
}
