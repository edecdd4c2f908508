#include "artifact.h"

#include <errno.h>
#include <sys/stat.h>
#include "base/file.h"

#define CHUNK_BYTES ((size_t)64 * 1024)

/* All listed hashes of one stream of bytes. */
struct hashing {
	const struct upt_target *target;
	struct upt_hash *hashes[UPT_MAX_DIGESTS];
	int fd; /* where bytes go, or -1 */
};

static void
hashing_clear(struct hashing *h)
{
	for (size_t i = 0; i < UPT_MAX_DIGESTS; i++)
		upt_hash_free(&h->hashes[i]);
}

static enum upt_code
hashing_start(struct hashing *h, struct upt_err *err)
{
	const struct upt_image *image = &h->target->image;

	/* A hash that nobody here can compute is a check that would not run. */
	if (h->target->unknown_hash || image->n_digests == 0)
		return upt_fail(err, UPT_E_UNSUPPORTED,
			"artifact %s: lists a hash algorithm that is not known here", image->name);
	for (size_t i = 0; i < image->n_digests; i++)
		UPT_TRY(upt_hash_new(image->digests[i].alg, &h->hashes[i], err));
	return UPT_OK;
}

static enum upt_code
hashing_take(void *ctx, struct upt_span chunk, struct upt_err *err)
{
	struct hashing *h = ctx;

	for (size_t i = 0; i < h->target->image.n_digests; i++)
		UPT_TRY(upt_hash_update(h->hashes[i], chunk, err));
	return h->fd < 0 ? UPT_OK : upt_file_write_all(h->fd, chunk, err);
}

/* *same is false when any one of them differs. */
static enum upt_code
hashing_finish(struct hashing *h, bool *same, struct upt_err *err)
{
	const struct upt_image *image = &h->target->image;

	*same = false;
	for (size_t i = 0; i < image->n_digests; i++) {
		struct upt_digest actual;

		UPT_TRY(upt_hash_final(h->hashes[i], &actual, err));
		if (!upt_digest_equal(&actual, &image->digests[i]))
			return UPT_OK;
	}
	*same = true;
	return UPT_OK;
}

enum upt_code
artifact_download(struct upt_http *http, const char *url, const struct upt_target *target, int fd,
	struct upt_err *err)
{
	upt_cleanup(hashing_clear) struct hashing h = {.target = target, .fd = fd};
	struct upt_http_download download = {.url = url,
		.total_bytes = target->image.length_bytes,
		.sink = hashing_take,
		.ctx = &h};
	bool same;

	UPT_TRY(hashing_start(&h, err));
	UPT_TRY(upt_http_download(http, &download, err));
	UPT_TRY(hashing_finish(&h, &same, err));
	if (!same)
		return upt_fail(err, UPT_E_IMAGE_HASH,
			"artifact %s: what was served is not what is listed", target->image.name);
	return UPT_OK;
}

enum upt_code
artifact_compare(int fd, const struct upt_target *target, bool *same, struct upt_err *err)
{
	upt_cleanup(hashing_clear) struct hashing h = {.target = target, .fd = -1};
	upt_cleanup(upt_free_ptr) uint8_t *chunk = malloc(CHUNK_BYTES);
	struct stat st;
	ssize_t n;

	*same = false;
	if (chunk == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory to read an artifact");
	UPT_TRY(hashing_start(&h, err));
	if (fstat(fd, &st) != 0)
		return upt_fail_errno(err, errno, "artifact %s", target->image.name);
	if (!S_ISREG(st.st_mode) || (uintmax_t)st.st_size != target->image.length_bytes)
		return UPT_OK;
	while ((n = read(fd, chunk, CHUNK_BYTES)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return upt_fail_errno(err, errno, "artifact %s", target->image.name);
		UPT_TRY(hashing_take(&h, upt_span(chunk, (size_t)n), err));
	}
	return hashing_finish(&h, same, err);
}
