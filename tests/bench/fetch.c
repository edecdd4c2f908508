/*
 * bench-fetch URL SHA256 LENGTH DIR: downloads an image into an image store in DIR as the Primary does it:
 * every listed hash verified, durable on disk. Prints this process's peak memory in KiB.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include "storage/images.h"
#include "transport/http.h"

static enum upt_code
take_chunk(void *ctx, struct upt_span chunk, struct upt_err *err)
{
	return upt_image_writer_write(ctx, chunk, err);
}

static enum upt_code
fetch(const char *url, const struct upt_image *image, const char *dir, struct upt_err *err)
{
	struct upt_http_config config = {0};
	upt_cleanup(upt_http_free) struct upt_http *http = NULL;
	upt_cleanup(upt_images_close) struct upt_images *images = NULL;
	upt_cleanup(upt_image_writer_free) struct upt_image_writer *writer = NULL;
	struct upt_http_download download = {.url = url, .total_bytes = image->length_bytes, .sink = take_chunk};
	uint64_t offset;

	UPT_TRY(upt_http_new(&config, &http, err));
	UPT_TRY(upt_images_open(dir, &images, err));
	UPT_TRY(upt_images_begin(images, image, &writer, &offset, err));
	download.ctx = writer;
	UPT_TRY(upt_http_download(http, &download, err));
	return upt_image_writer_finish(writer, err);
}

int
main(int argc, char **argv)
{
	struct upt_image image = {.name = "bench.bin", .n_digests = 1};
	struct upt_err err = {0};
	struct rusage usage;

	if (argc != 5 || !upt_digest_parse(UPT_HASH_SHA256, upt_span_str(argv[2]), &image.digests[0])) {
		fputs("usage: bench-fetch URL SHA256 LENGTH DIR\n", stderr);
		return 2;
	}
	image.length_bytes = strtoull(argv[3], NULL, 10);
	if (fetch(argv[1], &image, argv[4], &err) != UPT_OK) {
		fprintf(stderr, "bench-fetch: %s\n", err.message);
		return upt_code_exit(err.code);
	}
	getrusage(RUSAGE_SELF, &usage);
	printf("%ld\n", usage.ru_maxrss);
	return 0;
}
