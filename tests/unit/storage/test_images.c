#include "support.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/encode.h"
#include "storage/images.h"

#define IMAGE_BYTES ((size_t)3 * 1024 * 1024 + 17)

struct fixture {
	char *dir;
	struct upt_images *images;
	struct upt_err err;
	struct upt_buf bytes;
	struct upt_image image;
	char partial[160]; /* its path below dir */
	char stored[160];
};

static void
name_files(struct fixture *f)
{
	char hex[2 * UPT_HASH_MAX_BYTES + 1];

	upt_hex_encode(upt_span(f->image.digests[0].bytes, f->image.digests[0].len), hex);
	snprintf(f->partial, sizeof(f->partial), "partial/%s", hex);
	snprintf(f->stored, sizeof(f->stored), "%s", hex);
}

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->dir = scratch_make();
	fill(&f->bytes, IMAGE_BYTES, 1);
	/* The server chooses the name; no file may ever carry it. */
	f->image = image_of("../../../../tmp/upt-escape", upt_buf_span(&f->bytes));
	name_files(f);
	assert_int_equal(upt_images_open(f->dir, &f->images, &f->err), UPT_OK);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	upt_images_close(&f->images);
	upt_buf_clear(&f->bytes);
	scratch_remove(&f->dir);
	free(f);
	return 0;
}

static struct upt_image_writer *
begin_at(struct fixture *f, uint64_t want_offset)
{
	struct upt_image_writer *w = NULL;
	uint64_t offset = 99;

	if (upt_images_begin(f->images, &f->image, &w, &offset, &f->err) != UPT_OK)
		fail_msg("%s", f->err.message);
	assert_int_equal(offset, want_offset);
	return w;
}

static void
write_range(struct fixture *f, struct upt_image_writer *w, size_t from, size_t to, size_t chunk)
{
	for (size_t at = from; at < to; at += chunk) {
		size_t n = to - at < chunk ? to - at : chunk;
		assert_int_equal(
			upt_image_writer_write(w, upt_span(f->bytes.data + at, n), &f->err),
			UPT_OK);
	}
}

static void
expect_stored(struct fixture *f)
{
	upt_cleanup(upt_buf_clear) struct upt_buf back = {0};
	int fd = -1;
	char c;

	assert_true(upt_images_have(f->images, &f->image));
	assert_false(scratch_exists(f->dir, f->partial));
	scratch_read(f->dir, f->stored, &back);
	assert_true(upt_span_equal(upt_buf_span(&f->bytes), upt_buf_span(&back)));
	assert_int_equal(upt_images_open_verified(f->images, &f->image, &fd, &f->err), UPT_OK);
	if (f->bytes.len > 0) {
		assert_int_equal(read(fd, &c, 1), 1); /* from its beginning */
		assert_int_equal((uint8_t)c, f->bytes.data[0]);
	}
	close(fd);
}

static void
store_it(struct fixture *f)
{
	struct upt_image_writer *w = begin_at(f, 0);

	write_range(f, w, 0, f->bytes.len, 16384);
	if (upt_image_writer_finish(w, &f->err) != UPT_OK)
		fail_msg("%s", f->err.message);
	upt_image_writer_free(&w);
	assert_null(w);
}

static void
whole_images_are_stored_by_digest(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	char path[4096];

	assert_false(upt_images_have(f->images, &f->image));
	store_it(f);
	expect_stored(f);
	assert_int_equal(stat(scratch_path(path, f->dir, f->stored), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0400);
	assert_false(scratch_exists("/tmp", "upt-escape"));
	upt_images_close(&f->images);
	assert_int_equal(upt_images_open(f->dir, &f->images, &f->err), UPT_OK);
	expect_stored(f);
	store_it(f); /* fetched again, it replaces itself */
	expect_stored(f);
}

static void
chunks_of_any_size_give_the_same_image(void **state)
{
	static const size_t chunks[] = {1021, 16384, 1048576, 1048577, IMAGE_BYTES};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
		struct upt_image_writer *w = begin_at(f, 0);

		write_range(f, w, 0, IMAGE_BYTES, chunks[i]);
		assert_int_equal(upt_image_writer_write(w, upt_span(NULL, 0), &f->err), UPT_OK);
		assert_int_equal(upt_image_writer_finish(w, &f->err), UPT_OK);
		upt_image_writer_free(&w);
		expect_stored(f);
		assert_int_equal(upt_images_prune(f->images, NULL, 0, &f->err), UPT_OK);
	}
}

static void
an_empty_image_is_an_image(void **state)
{
	struct fixture *f = *state;

	f->bytes.len = 0;
	f->image = image_of("empty", upt_span(NULL, 0));
	name_files(f);
	store_it(f);
	expect_stored(f);
}

static void
wrong_bytes_are_refused_and_deleted(void **state)
{
	struct fixture *f = *state;
	struct upt_image_writer *w;
	char want[2 * UPT_HASH_MAX_BYTES + 1];
	int fd = 99;

	f->bytes.data[IMAGE_BYTES - 1] ^= 1;
	w = begin_at(f, 0);
	write_range(f, w, 0, IMAGE_BYTES, 16384);
	assert_int_equal(upt_image_writer_finish(w, &f->err), UPT_E_IMAGE_HASH);
	upt_hex_encode(upt_span(f->image.digests[0].bytes, 32), want);
	assert_non_null(strstr(f->err.message, want)); /* the listed one, */
	f->image = image_of("other", upt_buf_span(&f->bytes));
	upt_hex_encode(upt_span(f->image.digests[0].bytes, 32), want);
	assert_non_null(strstr(f->err.message, want)); /* and the found one */
	assert_false(scratch_exists(f->dir, f->partial));
	assert_false(scratch_exists(f->dir, f->stored));
	assert_int_equal(upt_image_writer_write(w, upt_span("x", 1), &f->err), UPT_E_INTERNAL);
	assert_int_equal(upt_image_writer_finish(w, &f->err), UPT_E_INTERNAL);
	assert_int_equal(upt_image_writer_restart(w, &f->err), UPT_E_INTERNAL);
	upt_image_writer_free(&w);
	f->bytes.data[IMAGE_BYTES - 1] ^= 1;
	f->image = image_of("x", upt_buf_span(&f->bytes));
	assert_false(upt_images_have(f->images, &f->image));
	assert_int_equal(
		upt_images_open_verified(f->images, &f->image, &fd, &f->err), UPT_E_NOT_FOUND);
	assert_int_equal(fd, -1);
	store_it(f); /* from byte 0, not from a poisoned prefix */
	expect_stored(f);
}

static void
every_listed_hash_counts(void **state)
{
	struct fixture *f = *state;

	for (size_t wrong = 0; wrong < 2; wrong++) {
		struct upt_image_writer *w;

		f->image = image_of("x", upt_buf_span(&f->bytes));
		f->image.digests[wrong].bytes[7] ^= 0x10;
		name_files(f);
		w = begin_at(f, 0);
		write_range(f, w, 0, IMAGE_BYTES, 65536);
		assert_int_equal(upt_image_writer_finish(w, &f->err), UPT_E_IMAGE_HASH);
		assert_non_null(strstr(f->err.message, wrong == 0 ? "sha256" : "sha512"));
		upt_image_writer_free(&w);
		assert_false(scratch_exists(f->dir, f->partial));
		assert_false(scratch_exists(f->dir, f->stored));
	}
	f->image = image_of("x", upt_buf_span(&f->bytes));
	name_files(f);
	store_it(f);
	f->image.digests[1].bytes[7] ^= 0x10; /* the same when it is read back */
	assert_int_equal(upt_images_open_verified(f->images, &f->image, &(int){0}, &f->err),
		UPT_E_IMAGE_HASH);
}

static void
endless_data_is_refused_at_the_first_byte_too_many(void **state)
{
	struct fixture *f = *state;
	struct upt_image_writer *w = begin_at(f, 0);
	char path[4096];
	struct stat st;

	write_range(f, w, 0, IMAGE_BYTES - 1, 16384);
	assert_int_equal(upt_image_writer_write(w, upt_span("xy", 2), &f->err), UPT_E_TOO_LARGE);
	assert_non_null(strstr(f->err.message, "longer than the 3145745 bytes"));
	write_range(f, w, IMAGE_BYTES - 1, IMAGE_BYTES, 1);
	assert_int_equal(upt_image_writer_write(w, upt_span("x", 1), &f->err), UPT_E_TOO_LARGE);
	assert_int_equal(stat(scratch_path(path, f->dir, f->partial), &st), 0);
	assert_true((size_t)st.st_size <= IMAGE_BYTES);
	assert_int_equal(upt_image_writer_finish(w, &f->err), UPT_OK); /* nothing of it counted */
	upt_image_writer_free(&w);
	expect_stored(f);
}

static void
a_short_image_is_refused_and_deleted(void **state)
{
	struct fixture *f = *state;
	struct upt_image_writer *w = begin_at(f, 0);

	write_range(f, w, 0, IMAGE_BYTES - 1, 16384);
	assert_int_equal(upt_image_writer_finish(w, &f->err), UPT_E_IMAGE_HASH);
	assert_non_null(
		strstr(f->err.message, "ends after 3145744 bytes, the metadata lists 3145745"));
	upt_image_writer_free(&w);
	assert_false(scratch_exists(f->dir, f->partial));
	assert_false(scratch_exists(f->dir, f->stored));
}

static void
an_interrupted_download_resumes_where_it_stopped(void **state)
{
	struct fixture *f = *state;
	struct upt_image_writer *w = begin_at(f, 0);

	write_range(f, w, 0, 1500000, 16384);
	upt_image_writer_free(&w);
	assert_true(scratch_exists(f->dir, f->partial));
	assert_false(upt_images_have(f->images, &f->image));
	upt_images_close(&f->images);
	assert_int_equal(upt_images_open(f->dir, &f->images, &f->err), UPT_OK);
	w = begin_at(f, 1500000);
	write_range(f, w, 1500000, IMAGE_BYTES, 16384);
	assert_int_equal(upt_image_writer_finish(w, &f->err), UPT_OK);
	upt_image_writer_free(&w);
	expect_stored(f);
}

static void
a_killed_download_resumes_and_is_verified(void **state)
{
	struct fixture *f = *state;

	for (size_t kill_at = 100000; kill_at < IMAGE_BYTES; kill_at += 700000) {
		struct upt_image_writer *w = NULL;
		uint64_t offset;
		int status;
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			w = begin_at(f, 0);
			write_range(f, w, 0, kill_at, 16384);
			kill(getpid(), SIGKILL);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(
			upt_images_begin(f->images, &f->image, &w, &offset, &f->err), UPT_OK);
		assert_true(offset <= kill_at);
		assert_true(kill_at - offset <= 1024 * 1024); /* at most one block is lost */
		write_range(f, w, offset, IMAGE_BYTES, 16384);
		assert_int_equal(upt_image_writer_finish(w, &f->err), UPT_OK);
		upt_image_writer_free(&w);
		expect_stored(f);
		assert_int_equal(upt_images_prune(f->images, NULL, 0, &f->err), UPT_OK);
	}
}

static void
a_partial_that_changed_on_disk_is_found(void **state)
{
	struct fixture *f = *state;
	struct upt_image_writer *w = begin_at(f, 0);
	char path[4096];
	int fd;

	write_range(f, w, 0, 1500000, 16384);
	upt_image_writer_free(&w);
	fd = open(scratch_path(path, f->dir, f->partial), O_WRONLY);
	assert_int_equal(pwrite(fd, "\x55\xaa\x55\xaa", 4, 700000), 4);
	close(fd);
	w = begin_at(f, 1500000);
	write_range(f, w, 1500000, IMAGE_BYTES, 16384);
	assert_int_equal(upt_image_writer_finish(w, &f->err), UPT_E_IMAGE_HASH);
	upt_image_writer_free(&w);
	w = begin_at(f, 0);
	upt_image_writer_free(&w);
}

static void
a_partial_longer_than_the_image_starts_again(void **state)
{
	struct fixture *f = *state;
	struct upt_image_writer *w;
	upt_cleanup(upt_buf_clear) struct upt_buf longer = {0};

	fill(&longer, IMAGE_BYTES + 1, 3);
	scratch_write(f->dir, f->partial, longer.data, longer.len);
	w = begin_at(f, 0);
	write_range(f, w, 0, IMAGE_BYTES, 16384);
	assert_int_equal(upt_image_writer_finish(w, &f->err), UPT_OK);
	upt_image_writer_free(&w);
	expect_stored(f);
	/* One byte less is kept: all there, but wrong. */
	scratch_write(f->dir, f->partial, longer.data, IMAGE_BYTES);
	w = begin_at(f, IMAGE_BYTES);
	assert_int_equal(upt_image_writer_finish(w, &f->err), UPT_E_IMAGE_HASH);
	upt_image_writer_free(&w);
}

static void
a_restart_forgets_what_was_written(void **state)
{
	struct fixture *f = *state;
	struct upt_image_writer *w = begin_at(f, 0);

	for (int i = 0; i < 2; i++) {
		assert_int_equal(
			upt_image_writer_write(w, upt_span("wrong bytes", 11), &f->err), UPT_OK);
		write_range(f, w, 0, 2000000, 100000);
		assert_int_equal(upt_image_writer_restart(w, &f->err), UPT_OK);
	}
	write_range(f, w, 0, IMAGE_BYTES, 16384);
	assert_int_equal(upt_image_writer_finish(w, &f->err), UPT_OK);
	upt_image_writer_free(&w);
	expect_stored(f);
}

static void
a_planted_link_is_refused_and_its_file_untouched(void **state)
{
	struct fixture *f = *state;
	upt_cleanup(upt_buf_clear) struct upt_buf back = {0};
	char victim[4096], path[4096];
	struct upt_image_writer *w = (struct upt_image_writer *)1;
	uint64_t offset = 99;

	scratch_write(f->dir, "victim", "precious", 8);
	scratch_path(victim, f->dir, "victim");
	scratch_path(path, f->dir, f->partial);
	assert_int_equal(symlink(victim, path), 0);
	assert_int_equal(upt_images_begin(f->images, &f->image, &w, &offset, &f->err), UPT_E_IO);
	assert_null(w);
	assert_int_equal(offset, 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(link(victim, path), 0); /* the same through a hard link */
	assert_int_equal(upt_images_begin(f->images, &f->image, &w, &offset, &f->err), UPT_E_IO);
	assert_null(w);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0); /* and no hang */
	assert_int_equal(upt_images_begin(f->images, &f->image, &w, &offset, &f->err), UPT_E_IO);
	assert_int_equal(unlink(path), 0);
	scratch_read(f->dir, "victim", &back);
	assert_string_equal((char *)back.data, "precious");
	store_it(f);
}

static void
a_link_in_an_images_place_is_no_image(void **state)
{
	struct fixture *f = *state;
	char victim[4096], path[4096];
	int fd = 99;

	scratch_write(f->dir, "copy", f->bytes.data, f->bytes.len);
	assert_int_equal(symlink(scratch_path(victim, f->dir, "copy"),
				 scratch_path(path, f->dir, f->stored)),
		0);
	assert_false(upt_images_have(f->images, &f->image));
	assert_int_equal(upt_images_open_verified(f->images, &f->image, &fd, &f->err), UPT_E_IO);
	assert_int_equal(fd, -1);
	store_it(f); /* takes its place */
	expect_stored(f);
	assert_true(scratch_exists(f->dir, "copy"));
}

static void
two_writers_of_one_image_are_refused(void **state)
{
	struct fixture *f = *state;
	struct upt_image_writer *w = begin_at(f, 0), *second = NULL;
	uint64_t offset;

	assert_int_equal(
		upt_images_begin(f->images, &f->image, &second, &offset, &f->err), UPT_E_BUSY);
	assert_null(second);
	write_range(f, w, 0, IMAGE_BYTES, 16384);
	assert_int_equal(upt_image_writer_finish(w, &f->err), UPT_OK);
	upt_image_writer_free(&w);
	expect_stored(f);
}

static void
bit_rot_is_found_when_a_stored_image_is_opened(void **state)
{
	struct fixture *f = *state;
	char path[4096];
	int fd;

	for (size_t at = 0; at < IMAGE_BYTES; at += IMAGE_BYTES / 3) {
		store_it(f);
		scratch_path(path, f->dir, f->stored);
		assert_int_equal(chmod(path, 0600), 0);
		fd = open(path, O_WRONLY);
		f->bytes.data[at] ^= 0x04;
		assert_int_equal(pwrite(fd, &f->bytes.data[at], 1, (off_t)at), 1);
		f->bytes.data[at] ^= 0x04;
		close(fd);
		assert_true(upt_images_have(f->images, &f->image)); /* by name and length */
		fd = 99;
		assert_int_equal(upt_images_open_verified(f->images, &f->image, &fd, &f->err),
			UPT_E_IMAGE_HASH);
		assert_int_equal(fd, -1);
		assert_false(
			upt_images_have(f->images, &f->image)); /* so that it is fetched again */
	}
	store_it(f);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(truncate(path, IMAGE_BYTES - 1), 0);
	assert_false(upt_images_have(f->images, &f->image));
	assert_int_equal(
		upt_images_open_verified(f->images, &f->image, &fd, &f->err), UPT_E_IMAGE_HASH);
	assert_false(scratch_exists(f->dir, f->stored));
}

static void
an_image_without_a_usable_digest_is_unsupported(void **state)
{
	struct fixture *f = *state;
	struct upt_image_writer *w = NULL;
	uint64_t offset;
	int fd;

	for (int i = 0; i < 4; i++) {
		f->image = image_of("x", upt_buf_span(&f->bytes));
		if (i == 0)
			f->image.n_digests = 0;
		else if (i == 1)
			f->image.n_digests = UPT_MAX_DIGESTS + 1;
		else if (i == 2)
			f->image.digests[1].alg = UPT_HASH_NONE;
		else
			f->image.digests[0].len = 64;
		assert_int_equal(upt_images_begin(f->images, &f->image, &w, &offset, &f->err),
			UPT_E_UNSUPPORTED);
		assert_null(w);
		assert_false(upt_images_have(f->images, &f->image));
		assert_int_equal(upt_images_open_verified(f->images, &f->image, &fd, &f->err),
			UPT_E_UNSUPPORTED);
	}
}

static void
an_image_of_absurd_length_is_refused(void **state)
{
	struct fixture *f = *state;
	struct upt_image_writer *w = NULL;
	uint64_t offset;

	f->image.length_bytes = UINT64_MAX;
	assert_int_equal(
		upt_images_begin(f->images, &f->image, &w, &offset, &f->err), UPT_E_TOO_LARGE);
	f->image.length_bytes = INT64_MAX;
	assert_int_equal(
		upt_images_begin(f->images, &f->image, &w, &offset, &f->err), UPT_E_NO_SPACE);
	assert_null(w);
}

static void
pruning_keeps_what_is_asked_and_what_is_not_ours(void **state)
{
	struct fixture *f = *state;
	struct upt_image kept = f->image, other;
	struct upt_image_writer *w;
	char stored[160];

	store_it(f);
	memcpy(stored, f->stored, sizeof(stored));
	fill(&f->bytes, 1000, 7);
	f->image = other = image_of("other", upt_buf_span(&f->bytes));
	name_files(f);
	store_it(f);
	fill(&f->bytes, 2000, 8);
	f->image = image_of("partial", upt_buf_span(&f->bytes));
	name_files(f);
	w = begin_at(f, 0);
	write_range(f, w, 0, 1000, 100);
	upt_image_writer_free(&w);
	scratch_write(f->dir, "README", "x", 1);
	assert_true(scratch_exists(f->dir, f->partial));
	assert_int_equal(
		upt_images_prune(f->images, (struct upt_image[]){kept, f->image}, 2, &f->err),
		UPT_OK);
	assert_true(scratch_exists(f->dir, f->partial));
	assert_true(upt_images_have(f->images, &kept));
	assert_false(upt_images_have(f->images, &other));
	assert_int_equal(upt_images_prune(f->images, &kept, 1, &f->err), UPT_OK);
	assert_false(scratch_exists(f->dir, f->partial));
	assert_true(upt_images_have(f->images, &kept));
	assert_int_equal(upt_images_prune(f->images, NULL, 0, &f->err), UPT_OK);
	assert_false(scratch_exists(f->dir, stored));
	assert_true(scratch_exists(f->dir, "README"));
	assert_true(scratch_exists(f->dir, "partial"));
}

/* ---- the disk ---- */

static int
fill_the_disk(const void *ctx)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	upt_cleanup(upt_images_close) struct upt_images *images = NULL;
	upt_cleanup(upt_image_writer_free) struct upt_image_writer *w = NULL;
	struct upt_err err = {0};
	struct upt_image image;
	uint64_t offset;

	if (!scratch_mount(ctx, "4m"))
		return SCRATCH_SKIP;
	assert_int_equal(upt_images_open(ctx, &images, &err), UPT_OK);
	fill(&bytes, 5 << 20, 1);
	image = image_of("large", upt_buf_span(&bytes));
	assert_int_equal(upt_images_begin(images, &image, &w, &offset, &err), UPT_E_NO_SPACE);
	assert_non_null(strstr(err.message, "needs 5242880 more bytes"));
	assert_non_null(strstr(err.message, " has 4194304 free"));
	assert_null(w);
	/* It fits, but not with the reserve. */
	bytes.len = (4 << 20) - 20000;
	image = image_of("all", upt_buf_span(&bytes));
	assert_int_equal(upt_images_begin(images, &image, &w, &offset, &err), UPT_E_NO_SPACE);
	assert_non_null(strstr(err.message, "kept in reserve"));
	bytes.len = 3 << 20;
	image = image_of("fits", upt_buf_span(&bytes));
	assert_int_equal(upt_images_begin(images, &image, &w, &offset, &err), UPT_OK);
	assert_int_equal(upt_image_writer_write(w, upt_buf_span(&bytes), &err), UPT_OK);
	assert_int_equal(upt_image_writer_finish(w, &err), UPT_OK);
	return 0;
}

static void
a_full_disk_is_found_before_a_byte_is_fetched(void **state)
{
	struct fixture *f = *state;

	scratch_in_child(fill_the_disk, f->dir, "this machine forbids mounting a tmpfs");
}

static int
resume_on_a_nearly_full_disk(const void *ctx)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	upt_cleanup(upt_images_close) struct upt_images *images = NULL;
	upt_cleanup(upt_image_writer_free) struct upt_image_writer *w = NULL;
	struct upt_err err = {0};
	struct upt_image image;
	uint64_t offset;

	if (!scratch_mount(ctx, "8m"))
		return SCRATCH_SKIP;
	assert_int_equal(upt_images_open(ctx, &images, &err), UPT_OK);
	fill(&bytes, 4 << 20, 1);
	image = image_of("x", upt_buf_span(&bytes));
	assert_int_equal(upt_images_begin(images, &image, &w, &offset, &err), UPT_OK);
	assert_int_equal(upt_image_writer_write(w, upt_span(bytes.data, 2 << 20), &err), UPT_OK);
	upt_image_writer_free(&w);
	scratch_write(ctx, "filler", bytes.data, 3 << 20); /* leaves less than the rest needs */
	assert_int_equal(upt_images_begin(images, &image, &w, &offset, &err), UPT_OK);
	assert_int_equal(offset, 2 << 20);
	assert_int_equal(upt_image_writer_restart(w, &err), UPT_OK);
	assert_int_equal(upt_image_writer_write(w, upt_buf_span(&bytes), &err), UPT_OK);
	assert_int_equal(upt_image_writer_finish(w, &err), UPT_OK);
	return 0;
}

static void
resuming_counts_the_blocks_it_already_owns(void **state)
{
	struct fixture *f = *state;

	scratch_in_child(
		resume_on_a_nearly_full_disk, f->dir, "this machine forbids mounting a tmpfs");
}

static int
fail_a_write(const void *ctx)
{
	struct fixture *f = (struct fixture *)*(void *const *)ctx;
	struct upt_image_writer *w = begin_at(f, 0);
	struct rlimit limit, old;
	uint64_t offset;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = old;
	limit.rlim_cur = 1500000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(upt_image_writer_write(w, upt_buf_span(&f->bytes), &f->err), UPT_E_IO);
	assert_non_null(strstr(f->err.message, "File too large"));
	assert_int_equal(upt_image_writer_write(w, upt_span("x", 1), &f->err), UPT_E_INTERNAL);
	assert_int_equal(upt_image_writer_finish(w, &f->err), UPT_E_INTERNAL);
	upt_image_writer_free(&w);
	assert_false(upt_images_have(f->images, &f->image));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(upt_images_begin(f->images, &f->image, &w, &offset, &f->err), UPT_OK);
	assert_int_equal(offset, 1500000);
	write_range(f, w, offset, IMAGE_BYTES, 16384);
	assert_int_equal(upt_image_writer_finish(w, &f->err), UPT_OK);
	upt_image_writer_free(&w);
	expect_stored(f);
	return 0;
}

static void
a_failed_write_ends_the_writer_and_is_resumed(void **state)
{
	scratch_in_child(fail_a_write, state, "");
}

#define with_images(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		with_images(whole_images_are_stored_by_digest),
		with_images(chunks_of_any_size_give_the_same_image),
		with_images(an_empty_image_is_an_image),
		with_images(wrong_bytes_are_refused_and_deleted),
		with_images(every_listed_hash_counts),
		with_images(endless_data_is_refused_at_the_first_byte_too_many),
		with_images(a_short_image_is_refused_and_deleted),
		with_images(an_interrupted_download_resumes_where_it_stopped),
		with_images(a_killed_download_resumes_and_is_verified),
		with_images(a_partial_that_changed_on_disk_is_found),
		with_images(a_partial_longer_than_the_image_starts_again),
		with_images(a_restart_forgets_what_was_written),
		with_images(a_planted_link_is_refused_and_its_file_untouched),
		with_images(a_link_in_an_images_place_is_no_image),
		with_images(two_writers_of_one_image_are_refused),
		with_images(bit_rot_is_found_when_a_stored_image_is_opened),
		with_images(an_image_without_a_usable_digest_is_unsupported),
		with_images(an_image_of_absurd_length_is_refused),
		with_images(pruning_keeps_what_is_asked_and_what_is_not_ours),
		with_images(a_full_disk_is_found_before_a_byte_is_fetched),
		with_images(resuming_counts_the_blocks_it_already_owns),
		with_images(a_failed_write_ends_the_writer_and_is_resumed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
