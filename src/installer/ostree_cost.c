#include "installer/ostree_cost.h"

#include <errno.h>
#include <sys/statvfs.h>

#include "installer/ostree_internal.h"

#define BLOCK_BYTES 4096u

/* Whole blocks of a size; saturates. */
static uint64_t
in_blocks(uint64_t bytes)
{
	return bytes > UINT64_MAX - BLOCK_BYTES
		       ? UINT64_MAX
		       : (bytes + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
}

static bool
add(uint64_t *sum, uint64_t bytes)
{
	return !__builtin_add_overflow(*sum, bytes, sum);
}

static enum upt_code
add_object(OstreeRepo *repo, const OstreeCommitSizesEntry *entry, struct upt_ostree_cost *cost,
	uint64_t *largest, struct upt_err *err)
{
	g_autoptr(GError) error = NULL;
	gboolean has = FALSE;

	if (!ostree_repo_has_object(repo, entry->objtype, entry->checksum, &has, NULL, &error))
		return upt_ostree_fail(err, error, "cannot look for object %s", entry->checksum);
	if (has)
		return UPT_OK;
	cost->n_objects++;
	*largest = entry->archived > *largest ? entry->archived : *largest;
	if (!add(&cost->wire_bytes, entry->archived) ||
		!add(&cost->disk_bytes, in_blocks(entry->unpacked)))
		return upt_fail(err, UPT_E_MALFORMED, "the commit's sizes are beyond all measure");
	return UPT_OK;
}

enum upt_code
upt_ostree_cost(
	OstreeRepo *repo, const char *commit, struct upt_ostree_cost *out, struct upt_err *err)
{
	g_autoptr(GVariant) variant = NULL;
	g_autoptr(GPtrArray) sizes = NULL;
	g_autoptr(GError) error = NULL;
	struct upt_ostree_cost cost = {.known = true};
	uint64_t largest = 0;

	*out = (struct upt_ostree_cost){0};
	if (!ostree_repo_load_variant(repo, OSTREE_OBJECT_TYPE_COMMIT, commit, &variant, &error))
		return upt_ostree_fail(err, error, "cannot read commit %s", commit);
	if (!ostree_commit_get_object_sizes(variant, &sizes, &error)) {
		if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
			return UPT_OK;
		return upt_fail(err, UPT_E_MALFORMED, "commit %s lists no sizes but %s", commit,
			error->message);
	}
	for (guint i = 0; i < sizes->len; i++)
		UPT_TRY(add_object(repo, sizes->pdata[i], &cost, &largest, err));
	if (!add(&cost.disk_bytes, in_blocks(largest)))
		return upt_fail(err, UPT_E_MALFORMED, "the commit's sizes are beyond all measure");
	*out = cost;
	return UPT_OK;
}

enum upt_code
upt_ostree_check_space(
	const char *path, uint64_t disk_bytes, uint64_t reserve_bytes, struct upt_err *err)
{
	struct statvfs fs;
	uint64_t free_bytes;

	if (statvfs(path, &fs) != 0)
		return upt_fail_errno(err, errno, "cannot stat the file system of %s", path);
	free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (free_bytes < reserve_bytes || free_bytes - reserve_bytes < disk_bytes)
		return upt_fail(err, UPT_E_NO_SPACE,
			"%s has %ju bytes free, %ju are needed and %ju are kept", path,
			(uintmax_t)free_bytes, (uintmax_t)disk_bytes, (uintmax_t)reserve_bytes);
	return UPT_OK;
}
