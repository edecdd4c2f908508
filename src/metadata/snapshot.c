#include "metadata/limits.h"
#include "metadata/roles.h"

enum upt_code
upt_snapshot_member(struct upt_json_iter *it, struct upt_metadata *m, struct upt_err *err)
{
	struct upt_snapshot *snapshot = &m->snapshot;
	struct upt_json_iter files;
	size_t n = 0;

	if (!upt_json_key_is(it, "meta"))
		return UPT_OK;
	if (it->type != UPT_JSON_OBJECT)
		return upt_fail(err, UPT_E_MALFORMED, "meta is no object");
	files = upt_json_iter(upt_json_value(it));
	while (upt_json_next(&files))
		n++;
	if (n > UPT_MAX_SNAPSHOT_FILES)
		return upt_fail(err, UPT_E_MALFORMED, "%zu files, more than the %d allowed", n,
			UPT_MAX_SNAPSHOT_FILES);
	snapshot->files = upt_arena_alloc(&m->arena, n + 1, sizeof(*snapshot->files));
	if (snapshot->files == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for %zu listed files", n);
	files = upt_json_enter(it);
	while (upt_json_next(&files)) {
		struct upt_file_meta *file = &snapshot->files[snapshot->n_files];

		file->raw_name = files.key;
		UPT_TRY(upt_file_meta_parse(&files, file, err));
		snapshot->n_files++;
	}
	return UPT_OK;
}

enum upt_code
upt_snapshot_complete(const struct upt_metadata *m, struct upt_err *err)
{
	if (upt_snapshot_find(&m->snapshot, "targets.json") == NULL)
		return upt_fail(err, UPT_E_MALFORMED, "meta does not list targets.json");
	return UPT_OK;
}

const struct upt_file_meta *
upt_snapshot_find(const struct upt_snapshot *snapshot, const char *file_name)
{
	for (size_t i = 0; i < snapshot->n_files; i++) {
		if (upt_json_raw_is(snapshot->files[i].raw_name, file_name))
			return &snapshot->files[i];
	}
	return NULL;
}
