#include "storage/images_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/file.h"

/* Kept free for the database, its journal and logs: an update must not stop the vehicle's own. */
#define RESERVE_MAX_BYTES ((uint64_t)16 * 1024 * 1024)
#define WRITEBACK_BYTES ((uint64_t)8 * 1024 * 1024)

struct upt_image_writer {
	struct upt_images *images; /* borrowed */
	struct upt_image image;
	char name[UPT_IMAGE_NAME_SIZE];
	int fd;
	bool broken; /* a write failed: hashes and file no longer agree */
	bool gone; /* renamed to its place, or deleted */
	uint64_t written; /* bytes in the file, all of them hashed */
	uint64_t flushed; /* of these, those whose writeback has begun */
	size_t n_block; /* bytes waiting in block */
	uint8_t *block;
	struct upt_image_hashes hashes;
};

/* ---- beginning ---- */

/* The reserve is the smaller of 16 MiB and 1 % of the file system. */
static enum upt_code
check_space(const struct upt_image_writer *w, struct upt_err *err)
{
	const struct upt_images *images = w->images;
	uint64_t free_bytes, reserve, have, need;
	struct statvfs vfs;
	struct stat st;

	if (fstat(w->fd, &st) != 0)
		return upt_fail_errno(
			err, errno, "cannot stat the partial of %.128s", w->image.name);
	/* An interrupted download still owns the blocks that were allocated for all of it. */
	have = (uint64_t)st.st_blocks * 512;
	need = w->image.length_bytes > have ? w->image.length_bytes - have : 0;
	if (fstatvfs(images->partial_fd, &vfs) != 0)
		return upt_fail_errno(
			err, errno, "cannot ask for the free space of %s", images->path);
	free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	reserve = (uint64_t)vfs.f_blocks * vfs.f_frsize / 100;
	if (reserve > RESERVE_MAX_BYTES)
		reserve = RESERVE_MAX_BYTES;
	if (free_bytes < reserve || free_bytes - reserve < need)
		return upt_fail(err, UPT_E_NO_SPACE,
			"image %.128s needs %ju more bytes, %s has %ju free (%ju of them kept in "
			"reserve)",
			w->image.name, (uintmax_t)need, images->path, (uintmax_t)free_bytes,
			(uintmax_t)reserve);
	return UPT_OK;
}

/* Opens partial/HEX and refuses whatever is not a plain file of our own that nobody else writes. */
static enum upt_code
open_partial(struct upt_image_writer *w, uint64_t *size, struct upt_err *err)
{
	const char *dir = w->images->path;
	struct stat st;

	*size = 0;
	/* O_NOFOLLOW: a link planted here would make us overwrite the file it points to. */
	w->fd = openat(w->images->partial_fd, w->name,
		O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (w->fd < 0)
		return upt_fail_errno(
			err, errno, "cannot open %s/" UPT_IMAGES_PARTIAL "/%s", dir, w->name);
	if (fstat(w->fd, &st) != 0)
		return upt_fail_errno(
			err, errno, "cannot stat %s/" UPT_IMAGES_PARTIAL "/%s", dir, w->name);
	/* The same through a hard link. */
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return upt_fail(err, UPT_E_IO,
			"%s/" UPT_IMAGES_PARTIAL "/%s is no plain file with one name", dir,
			w->name);
	if (flock(w->fd, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK
			       ? upt_fail(err, UPT_E_BUSY, "image %.128s is being fetched already",
					 w->image.name)
			       : upt_fail_errno(err, errno, "cannot lock %s", w->name);
	*size = (uint64_t)st.st_size;
	return UPT_OK;
}

/* Blocks for the rest at once: fewer fragments, and a full disk shows now and not at 90 %. */
static enum upt_code
allocate(struct upt_image_writer *w, struct upt_err *err)
{
	uint64_t need = w->image.length_bytes - w->written;

	if (need == 0 || fallocate(w->fd, FALLOC_FL_KEEP_SIZE, (off_t)w->written, (off_t)need) == 0)
		return UPT_OK;
	/* Not every file system can; the check of the free space stands. */
	if (errno != ENOSPC && errno != EDQUOT && errno != EFBIG)
		return UPT_OK;
	return upt_fail_errno(err, errno, "cannot allocate %ju bytes for image %.128s",
		(uintmax_t)need, w->image.name);
}

static enum upt_code
resume(struct upt_image_writer *w, uint64_t size, struct upt_err *err)
{
	if (size > w->image.length_bytes)
		return upt_image_writer_restart(w, err);
	UPT_TRY(upt_image_hashes_init(&w->hashes, &w->image, err));
	/* Read back, and not remembered: what a power cut left is what counts. */
	UPT_TRY(upt_image_hashes_file(&w->hashes, w->fd, size, w->block, w->name, err));
	w->written = size;
	w->flushed = size;
	return UPT_OK;
}

static enum upt_code
begin(struct upt_image_writer *w, struct upt_err *err)
{
	uint64_t size;

	UPT_TRY(upt_image_file_name(&w->image, w->name, err));
	if (w->image.length_bytes > INT64_MAX)
		return upt_fail(err, UPT_E_TOO_LARGE, "image %.128s of %ju bytes", w->image.name,
			(uintmax_t)w->image.length_bytes);
	w->block = malloc(UPT_IMAGE_BLOCK_BYTES);
	if (w->block == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory to write an image");
	UPT_TRY(open_partial(w, &size, err));
	UPT_TRY(resume(w, size, err));
	UPT_TRY(check_space(w, err));
	return allocate(w, err);
}

enum upt_code
upt_images_begin(struct upt_images *images, const struct upt_image *image,
	struct upt_image_writer **out, uint64_t *offset_bytes, struct upt_err *err)
{
	upt_cleanup(upt_image_writer_free) struct upt_image_writer *w = calloc(1, sizeof(*w));

	*out = NULL;
	*offset_bytes = 0;
	if (w == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory to write an image");
	w->images = images;
	w->image = *image;
	w->fd = -1;
	UPT_TRY(begin(w, err));
	*offset_bytes = w->written;
	*out = w;
	w = NULL;
	return UPT_OK;
}

/* ---- writing ---- */

/* Starts writeback of what has come in, without waiting for it: else the final fsync has all of it
 * to do while the vehicle waits. */
static void
start_writeback(struct upt_image_writer *w)
{
	if (w->written - w->flushed < WRITEBACK_BYTES)
		return;
	sync_file_range(
		w->fd, (off_t)w->flushed, (off_t)(w->written - w->flushed), SYNC_FILE_RANGE_WRITE);
	w->flushed = w->written;
}

static enum upt_code
write_at_end(struct upt_image_writer *w, struct upt_span bytes, struct upt_err *err)
{
	uint64_t at = w->written;

	while (bytes.len > 0) {
		ssize_t n = pwrite(w->fd, bytes.data, bytes.len, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return upt_fail_errno(err, errno, "cannot write image %.128s at byte %ju",
				w->image.name, (uintmax_t)at);
		bytes = upt_span(bytes.data + n, bytes.len - (size_t)n);
		at += (uint64_t)n;
	}
	return UPT_OK;
}

/* Hashes and writes bytes; on a failure the file ends where it ended before. */
static enum upt_code
put(struct upt_image_writer *w, struct upt_span bytes, struct upt_err *err)
{
	enum upt_code code = write_at_end(w, bytes, err);

	if (code == UPT_OK)
		code = upt_image_hashes_update(&w->hashes, bytes, err);
	if (code != UPT_OK) {
		w->broken = true;
		return code;
	}
	w->written += bytes.len;
	start_writeback(w);
	return UPT_OK;
}

static enum upt_code
put_block(struct upt_image_writer *w, struct upt_err *err)
{
	size_t n = w->n_block;

	w->n_block = 0;
	return n > 0 ? put(w, upt_span(w->block, n), err) : UPT_OK;
}

static enum upt_code
check_usable(const struct upt_image_writer *w, struct upt_err *err)
{
	if (w->broken || w->gone)
		return upt_fail(err, UPT_E_INTERNAL,
			"image %.128s: used after a failure or the end", w->image.name);
	return UPT_OK;
}

enum upt_code
upt_image_writer_write(struct upt_image_writer *w, struct upt_span chunk, struct upt_err *err)
{
	uint64_t room;

	UPT_TRY(check_usable(w, err));
	room = w->image.length_bytes - w->written - w->n_block;
	if (chunk.len > room)
		return upt_fail(err, UPT_E_TOO_LARGE,
			"image %.128s is longer than the %ju bytes the metadata lists",
			w->image.name, (uintmax_t)w->image.length_bytes);
	while (chunk.len > 0) {
		size_t n = UPT_IMAGE_BLOCK_BYTES - w->n_block;
		n = chunk.len < n ? chunk.len : n;
		memcpy(w->block + w->n_block, chunk.data, n);
		w->n_block += n;
		chunk = upt_span(chunk.data + n, chunk.len - n);
		if (w->n_block == UPT_IMAGE_BLOCK_BYTES)
			UPT_TRY(put_block(w, err));
	}
	return UPT_OK;
}

enum upt_code
upt_image_writer_restart(struct upt_image_writer *w, struct upt_err *err)
{
	if (w->gone)
		return check_usable(w, err);
	w->broken = true;
	w->n_block = 0;
	w->written = 0;
	w->flushed = 0;
	upt_image_hashes_clear(&w->hashes);
	if (ftruncate(w->fd, 0) != 0)
		return upt_fail_errno(
			err, errno, "cannot empty the partial of image %.128s", w->image.name);
	UPT_TRY(upt_image_hashes_init(&w->hashes, &w->image, err));
	UPT_TRY(allocate(w, err)); /* the truncation gave the blocks back */
	w->broken = false;
	return UPT_OK;
}

/* ---- ending ---- */

static enum upt_code
verify(struct upt_image_writer *w, struct upt_err *err)
{
	if (w->written != w->image.length_bytes)
		return upt_fail(err, UPT_E_IMAGE_HASH,
			"image %.128s ends after %ju bytes, the metadata lists %ju", w->image.name,
			(uintmax_t)w->written, (uintmax_t)w->image.length_bytes);
	return upt_image_hashes_check(&w->hashes, &w->image, err);
}

static enum upt_code
publish(struct upt_image_writer *w, struct upt_err *err)
{
	struct upt_images *images = w->images;

	if (fchmod(w->fd, 0400) != 0 || fsync(w->fd) != 0)
		return upt_fail_errno(err, errno, "cannot sync image %.128s", w->image.name);
	if (renameat(images->partial_fd, w->name, images->dir_fd, w->name) != 0)
		return upt_fail_errno(
			err, errno, "cannot move image %s to %s", w->name, images->path);
	w->gone = true;
	UPT_TRY(upt_dir_sync(images->dir_fd, ".", err));
	return upt_dir_sync(images->partial_fd, ".", err);
}

enum upt_code
upt_image_writer_finish(struct upt_image_writer *w, struct upt_err *err)
{
	enum upt_code code;

	UPT_TRY(check_usable(w, err));
	UPT_TRY(put_block(w, err));
	code = verify(w, err);
	if (code == UPT_E_IMAGE_HASH) {
		w->gone = true;
		if (unlinkat(w->images->partial_fd, w->name, 0) == 0)
			fsync(w->images->partial_fd);
	}
	w->broken = code != UPT_OK; /* the hashes are finished either way */
	return code == UPT_OK ? publish(w, err) : code;
}

void
upt_image_writer_free(struct upt_image_writer **w)
{
	struct upt_image_writer *s = *w;

	*w = NULL;
	if (s == NULL)
		return;
	if (s->fd >= 0 && !s->gone) {
		/* Best effort: bytes that are lost here are fetched again. */
		if (!s->broken && s->n_block > 0)
			(void)put_block(s, NULL);
		fsync(s->fd);
	}
	upt_close_fd(&s->fd);
	upt_image_hashes_clear(&s->hashes);
	free(s->block);
	free(s);
}
