#include "metadata/limits.h"
#include "metadata/roles.h"

int
upt_file_name_compare(struct upt_span a, struct upt_span b)
{
	size_t common = a.len < b.len ? a.len : b.len;
	int order = common > 0 ? memcmp(a.data, b.data, common) : 0;

	if (order != 0)
		return order;
	return (a.len > b.len) - (a.len < b.len);
}

/* Merges the sorted runs [0, mid) and [mid, n) of from into to. */
static void
merge(const struct upt_file_meta *const *from, size_t mid, size_t n,
	const struct upt_file_meta **to)
{
	size_t left = 0, right = mid;

	for (size_t i = 0; i < n; i++) {
		if (right == n || (left < mid && upt_file_name_compare(
							 from[left]->name, from[right]->name) <= 0))
			to[i] = from[left++];
		else
			to[i] = from[right++];
	}
}

/*
 * Two snapshots are compared file by file (8.5, 8.6): without an order, whoever holds a snapshot
 * key could make that cost 65536 times 65536. n log n for any input; qsort(3) promises none.
 */
static enum upt_code
sort_files(struct upt_snapshot *snapshot, struct upt_arena *arena, struct upt_err *err)
{
	size_t n = snapshot->n_files;
	const struct upt_file_meta **from, **to;
	bool ascending = true;

	from = upt_arena_alloc(arena, n + 1, sizeof(const struct upt_file_meta *));
	if (from == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory to sort %zu files", n);
	for (size_t i = 0; i < n; i++) {
		from[i] = &snapshot->files[i];
		ascending = ascending &&
			    (i == 0 || upt_file_name_compare(from[i - 1]->name, from[i]->name) < 0);
	}
	snapshot->by_name = from;
	if (ascending)
		return UPT_OK;
	to = upt_arena_alloc(arena, n + 1, sizeof(const struct upt_file_meta *));
	if (to == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory to sort %zu files", n);
	for (size_t width = 1; width < n; width *= 2) {
		for (size_t i = 0; i < n; i += 2 * width) {
			size_t len = n - i < 2 * width ? n - i : 2 * width;

			merge(from + i, len < width ? len : width, len, to + i);
		}
		snapshot->by_name = to;
		to = from;
		from = snapshot->by_name;
	}
	return UPT_OK;
}

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

		UPT_TRY(upt_json_decode(&m->arena, files.key, &file->name, err));
		UPT_TRY(upt_file_meta_parse(&files, file, err));
		snapshot->n_files++;
	}
	return sort_files(snapshot, &m->arena, err);
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
	struct upt_span name = upt_span_str(file_name);
	size_t low = 0, high = snapshot->n_files;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = upt_file_name_compare(snapshot->by_name[mid]->name, name);

		if (order == 0)
			return snapshot->by_name[mid];
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}
