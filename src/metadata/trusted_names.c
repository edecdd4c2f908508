/* How the current roles are fetched: byte limits (7.1, 8.1, 9.1) and file names (0.13, 0.15). */
#include <stdio.h>
#include "base/encode.h"
#include "metadata/trusted.h"

/* How the current timestamp or snapshot lists the file of a role; NULL when nothing does. */
static const struct upt_file_meta *
listing(const struct upt_trusted_set *set, enum upt_role role, const char *name)
{
	const struct upt_metadata *timestamp = upt_trusted_set_timestamp(set);
	const struct upt_metadata *snapshot = upt_trusted_set_snapshot(set);
	char file[UPT_MAX_ROLE_NAME_BYTES + 8];

	if (role == UPT_ROLE_SNAPSHOT)
		return timestamp != NULL ? &timestamp->timestamp.snapshot : NULL;
	if (role != UPT_ROLE_TARGETS || snapshot == NULL)
		return NULL;
	snprintf(file, sizeof(file), "%s.json", name != NULL ? name : "targets");
	return upt_snapshot_find(&snapshot->snapshot, file);
}

size_t
upt_trusted_set_fetch_limit(const struct upt_trusted_set *set, enum upt_role role, const char *name)
{
	size_t limit = upt_trusted_limit(set, role, name != NULL);
	const struct upt_file_meta *listed = listing(set, role, name);

	/* Where the listed length may be the canonical text's, the served one may be longer. */
	if (listed != NULL && listed->has_length && !set->policy.allow_canonical_hashes &&
		listed->length_bytes < limit)
		limit = (size_t)listed->length_bytes;
	return limit;
}

enum upt_code
upt_trusted_set_file_name(const struct upt_trusted_set *set, enum upt_role role, const char *name,
	uint64_t root_version, struct upt_buf *out, struct upt_err *err)
{
	const struct upt_metadata *root = set->roles[UPT_ROLE_ROOT].doc;
	const struct upt_file_meta *listed = listing(set, role, name);
	bool versioned = root != NULL && root->root.consistent_snapshot;

	if (role == UPT_ROLE_ROOT)
		return upt_buf_printf(out, err, "%llu.root.json", (unsigned long long)root_version);
	if (role == UPT_ROLE_TIMESTAMP)
		return upt_buf_printf(out, err, "timestamp.json");
	if (name != NULL && set->policy.delegations_in_folder && !versioned)
		UPT_TRY(upt_buf_printf(out, err, "delegations/"));
	if (versioned && listed != NULL)
		UPT_TRY(upt_buf_printf(out, err, "%llu.", (unsigned long long)listed->version));
	/* Where a leading dot is plain, what follows makes the name longer than "..". */
	UPT_TRY(upt_percent_encode(name != NULL ? name : upt_role_name(role),
		set->policy.plain_leading_dot, out, err));
	return upt_buf_printf(out, err, ".json");
}
