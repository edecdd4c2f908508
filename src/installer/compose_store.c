/*
 * The compose files that are kept: of what runs, and of what ran before. A file's name is its hash,
 * and it is hashed again before it is used: what decides which software runs must not rot, nor be
 * edited.
 */
#include "installer/compose_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/encode.h"
#include "base/file.h"
#include "installer/compose_yaml.h"

#define SUFFIX ".yml"

static enum upt_code
hash_hex(struct upt_span text, char out[static UPT_OCI_DIGEST_HEX + 1], struct upt_err *err)
{
	struct upt_digest digest;

	UPT_TRY(upt_hash_span(UPT_HASH_SHA256, text, &digest, err));
	upt_hex_encode(upt_span(digest.bytes, digest.len), out);
	return UPT_OK;
}

/* pread: the offset of a shared descriptor is neither trusted nor moved. */
static enum upt_code
read_whole(int fd, size_t size, const char *shown, struct upt_buf *out, struct upt_err *err)
{
	UPT_TRY(upt_buf_reserve(out, size, err));
	while (out->len < size) {
		ssize_t n = pread(fd, out->data + out->len, size - out->len, (off_t)out->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return upt_fail_errno(err, errno, "cannot read %s", shown);
		if (n == 0)
			return upt_fail(err, UPT_E_IMAGE_HASH, "%s has %zu bytes, listed are %zu",
				shown, out->len, size);
		out->len += (size_t)n;
	}
	out->data[size] = '\0';
	return UPT_OK;
}

enum upt_code
upt_compose_read_job(const struct upt_install_job *job, struct upt_buf *out, struct upt_err *err)
{
	const struct upt_image *image = job->image;

	if (image->length_bytes > UPT_YAML_MAX_BYTES)
		return upt_fail(err, UPT_E_TOO_LARGE,
			"%s has %ju bytes, a compose file may have %zu", image->name,
			(uintmax_t)image->length_bytes, UPT_YAML_MAX_BYTES);
	if (upt_image_digest(image, UPT_HASH_SHA256) == NULL)
		return upt_fail(err, UPT_E_UNSUPPORTED, "%s lists no sha256", image->name);
	UPT_TRY(read_whole(job->image_fd, (size_t)image->length_bytes, image->name, out, err));
	for (size_t i = 0; i < image->n_digests; i++) {
		struct upt_digest got;
		UPT_TRY(upt_hash_span(image->digests[i].alg, upt_buf_span(out), &got, err));
		if (!upt_digest_equal(&got, &image->digests[i]))
			return upt_fail(err, UPT_E_IMAGE_HASH, "the %s of %s is not the listed one",
				upt_hash_name(got.alg), image->name);
	}
	return UPT_OK;
}

enum upt_code
upt_compose_path(const struct upt_compose *self, const char *digest, struct upt_buf *out,
	struct upt_err *err)
{
	return upt_buf_printf(out, err, "%s/%s" SUFFIX, self->dir, digest);
}

enum upt_code
upt_compose_save(const struct upt_compose *self, const char *digest, struct upt_span text,
	struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf path = {0};

	UPT_TRY(upt_dir_make(self->dir, 0700, err));
	UPT_TRY(upt_compose_path(self, digest, &path, err));
	return upt_file_replace(AT_FDCWD, (const char *)path.data, 0600, text, err);
}

enum upt_code
upt_compose_load(const struct upt_compose *self, const char *digest, struct upt_buf *text,
	struct upt_compose_file *out, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf path = {0};
	char hex[UPT_OCI_DIGEST_HEX + 1];

	*out = (struct upt_compose_file){0};
	UPT_TRY(upt_compose_path(self, digest, &path, err));
	UPT_TRY(upt_file_read(AT_FDCWD, (const char *)path.data, UPT_YAML_MAX_BYTES, text, err));
	UPT_TRY(hash_hex(upt_buf_span(text), hex, err));
	if (strcmp(hex, digest) != 0)
		return upt_fail(err, UPT_E_IMAGE_HASH, "%s is not the file that was installed",
			(const char *)path.data);
	return upt_compose_file_parse(upt_buf_span(text), NULL, NULL, out, err);
}

/* DIGEST of "DIGEST.yml"; false for another name. */
static bool
read_name(const char *name, char digest[static UPT_OCI_DIGEST_HEX + 1])
{
	if (strlen(name) != UPT_OCI_DIGEST_HEX + strlen(SUFFIX) ||
		strspn(name, "0123456789abcdef") != UPT_OCI_DIGEST_HEX ||
		strcmp(name + UPT_OCI_DIGEST_HEX, SUFFIX) != 0)
		return false;
	memcpy(digest, name, UPT_OCI_DIGEST_HEX);
	digest[UPT_OCI_DIGEST_HEX] = '\0';
	return true;
}

void
upt_compose_sweep(const struct upt_compose *self, const struct upt_container_state *state,
	char first[UPT_OCI_DIGEST_HEX + 1])
{
	DIR *dir = opendir(self->dir);
	struct dirent *entry;

	if (first != NULL)
		first[0] = '\0';
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		char digest[UPT_OCI_DIGEST_HEX + 1];
		if (!read_name(entry->d_name, digest) ||
			strcmp(digest, state->current.digest) == 0 ||
			strcmp(digest, state->previous.digest) == 0)
			continue;
		if (first != NULL)
			memcpy(first, digest, sizeof(digest));
		else if (unlinkat(dirfd(dir), entry->d_name, 0) != 0)
			upt_log(self->common.base.log, UPT_LOG_WARNING, "%s/%s: %s", self->dir,
				entry->d_name, strerror(errno));
	}
	if (dir != NULL)
		closedir(dir);
}
