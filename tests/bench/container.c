/*
 * bench-container SOCKET STATE ENDPOINT PORT-A PORT-B REPOSITORY DIGEST LENGTH: pulls an image and
 * lets it take over with the OCI installer, wired as the Primary wires it. PORT-B 0: there is one
 * port. Prints what each request to the engine took: MICROSECONDS METHOD PATH.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "installer/engine.h"
#include "primary/internal.h"

/* The engine, and a clock before and after each request. */
struct timed {
	struct upt_engine_http ops;
	const struct upt_engine_http *engine;
};

static int64_t
now_micros(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static enum upt_code
request(void *ctx, const char *method, const char *path, const char *content_type,
	struct upt_span body, size_t max_reply_bytes, struct upt_buf *out, long *status,
	struct upt_err *err)
{
	const struct timed *timed = ctx;
	int64_t start = now_micros();
	enum upt_code code = timed->engine->request(timed->engine->ctx, method, path, content_type,
		body, max_reply_bytes, out, status, err);

	printf("%jd %s %s\n", (intmax_t)(now_micros() - start), method, path);
	return code;
}

static enum upt_code
stream(void *ctx, const struct upt_engine_stream *stream, long *status, struct upt_err *err)
{
	const struct timed *timed = ctx;
	int64_t start = now_micros();
	enum upt_code code = timed->engine->stream(timed->engine->ctx, stream, status, err);

	printf("%jd POST %s\n", (intmax_t)(now_micros() - start), stream->path);
	return code;
}

static enum upt_code
probe(void *ctx, const char *url, unsigned timeout_ms, struct upt_err *err)
{
	const struct timed *timed = ctx;
	int64_t start = now_micros();
	enum upt_code code = timed->engine->probe(timed->engine->ctx, url, timeout_ms, err);

	printf("%jd PROBE %s\n", (intmax_t)(now_micros() - start), url);
	return code;
}

static enum upt_code
update(const struct upt_container_installer_config *config, const struct upt_install_job *job,
	struct upt_err *err)
{
	upt_cleanup(upt_installer_free) struct upt_installer *installer = NULL;
	struct upt_install_progress progress = {0};
	struct upt_image running;
	bool needs_reboot;
	int64_t start;

	UPT_TRY(upt_container_installer_new(config, NULL, &installer, err));
	UPT_TRY(installer->ops->current(installer, &running, err));
	start = now_micros();
	UPT_TRY(installer->ops->prepare(installer, job, &progress, err));
	UPT_TRY(installer->ops->install(installer, job, &needs_reboot, err));
	printf("%jd UPDATE\n", (intmax_t)(now_micros() - start));
	return UPT_OK;
}

static enum upt_code
run(char **argv, struct upt_err *err)
{
	struct timed timed = {.ops = {&timed, request, stream, probe, NULL, NULL}};
	struct upt_container_installer_config config = {.http = &timed.ops,
		.name = "dashboard",
		.network = "host",
		.state_path = argv[2],
		.endpoint_path = argv[3],
		.port_a = (uint16_t)strtoul(argv[4], NULL, 10),
		.port_b = (uint16_t)strtoul(argv[5], NULL, 10),
		.health_url = "http://127.0.0.1:%p/"};
	struct upt_image image = {.name = "bench", .n_digests = 1};
	struct upt_install_job job = {
		.image = &image, .format = "OCI", .uri = argv[6], .image_fd = -1};
	struct upt_engine *engine;
	enum upt_code code;

	if (!upt_digest_parse(UPT_HASH_SHA256, upt_span_str(argv[7]), &image.digests[0]))
		return upt_fail(err, UPT_E_USAGE, "%s is no digest", argv[7]);
	image.length_bytes = strtoull(argv[8], NULL, 10);
	UPT_TRY(upt_engine_new(UPT_ENGINE_PODMAN, argv[1], NULL, &engine, err));
	timed.engine = upt_engine_ops(engine);
	code = update(&config, &job, err);
	upt_engine_free(&engine);
	return code;
}

int
main(int argc, char **argv)
{
	struct upt_err err = {0};

	if (argc != 9) {
		fputs("usage: bench-container SOCKET STATE ENDPOINT PORT-A PORT-B REPOSITORY "
		      "DIGEST "
		      "LENGTH\n",
			stderr);
		return 2;
	}
	if (run(argv, &err) != UPT_OK) {
		fprintf(stderr, "bench-container: %s\n", err.message);
		return upt_code_exit(err.code);
	}
	return 0;
}
