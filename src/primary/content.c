#include <stdlib.h>
#include <string.h>
#include "base/encode.h"
#include "primary/internal.h"

struct upt_install_job
upt_job_describe(const struct upt_job *job)
{
	const char *format = job->image.format[0] != '\0' ? job->image.format : job->director.format;

	/* An OSTree target without a format has length 0 in the field's dialect. */
	if (format[0] == '\0')
		format = job->image.image.length_bytes == 0 ? "OSTREE" : "BINARY";
	return (struct upt_install_job){.image = &job->image.image,
		.format = format,
		.uri = job->director.uri != NULL ? job->director.uri : job->image.uri,
		.custom = job->image.custom,
		.image_fd = -1};
}

static void
report_progress(void *ctx, const char *what, uint64_t done, uint64_t total, const char *unit)
{
	struct upt_primary *p = ctx;

	if (p->options.progress != NULL)
		p->options.progress(p->options.progress_ctx, what, done, total, unit);
}

struct upt_install_progress
upt_primary_progress(struct upt_primary *p)
{
	return (struct upt_install_progress){
		.report = report_progress, .ctx = p, .cancel = p->options.cancel};
}

/* HASH.FILENAME below the folder of FILENAME (0.14), or FILENAME where snapshots are not consistent. */
static enum upt_code
image_url(struct upt_primary *p, const struct upt_job *job, struct upt_buf *url, struct upt_err *err)
{
	const struct upt_image *image = &job->image.image;
	const char *slash = strrchr(image->name, '/');
	const char *base = slash != NULL ? slash + 1 : image->name;
	bool prefixed = upt_trusted_set_root(p->image)->root.consistent_snapshot;
	upt_cleanup(upt_buf_clear) struct upt_buf path = {0};
	char hex[2 * UPT_HASH_MAX_BYTES + 1];

	if (job->director.uri != NULL || job->image.uri != NULL)
		return upt_buf_printf(url, err, "%s",
			job->director.uri != NULL ? job->director.uri : job->image.uri);
	UPT_TRY(upt_buf_printf(&path, err, "%.*s", (int)(base - image->name), image->name));
	if (prefixed) {
		upt_hex_encode(upt_span(image->digests[0].bytes, image->digests[0].len), hex);
		UPT_TRY(upt_buf_printf(&path, err, "%s.", hex));
	}
	UPT_TRY(upt_buf_printf(&path, err, "%s", base));
	if (p->config->targets_url != NULL)
		UPT_TRY(upt_buf_printf(url, err, "%s/", p->config->targets_url));
	else
		UPT_TRY(upt_buf_printf(url, err, "%s/targets/", p->config->image.url));
	/* Where names are not hash-prefixed, the field's servers take the whole name as one component. */
	return upt_url_encode((const char *)path.data, prefixed, url, err);
}

/* One download: bytes go to the image store, which counts and hashes them. */
struct download {
	struct upt_primary *p;
	const struct upt_job *job;
	struct upt_image_writer *writer;
	uint64_t restarted;
	bool begun;
};

static enum upt_code
take_chunk(void *ctx, struct upt_span chunk, struct upt_err *err)
{
	struct download *d = ctx;

	if (!d->begun && d->restarted)
		UPT_TRY(upt_image_writer_restart(d->writer, err));
	d->begun = true;
	return upt_image_writer_write(d->writer, chunk, err);
}

static void
download_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct download *d = ctx;

	report_progress(d->p, d->job->image.image.name, done, total, "bytes");
}

static enum upt_code
transfer(struct download *d, const char *url, uint64_t offset, struct upt_err *err)
{
	const struct upt_image *image = &d->job->image.image;
	struct upt_http_download request = {.url = url,
		.offset = offset,
		.total_bytes = image->length_bytes,
		.sink = take_chunk,
		.progress = download_progress,
		.ctx = d,
		.restarted = &d->restarted};
	enum upt_code code;

	if (offset == image->length_bytes)
		return UPT_OK;
	code = upt_http_download(d->p->http, &request, err);
	if (code == UPT_E_ABSENT)
		return upt_fail(err, UPT_E_MISSING, "the server has no image %s (%s)", image->name, url);
	return code == UPT_OK ? UPT_OK : upt_wrap(err, code, "fetching %s", image->name);
}

/* Step 4 for one ECU (2.16, 2.17): length and every listed hash are checked before the image gets its name. */
enum upt_code
upt_primary_download(struct upt_primary *p, struct upt_job *job, struct upt_err *err)
{
	const struct upt_image *image = &job->image.image;
	struct download d = {.p = p, .job = job};
	upt_cleanup(upt_image_writer_free) struct upt_image_writer *writer = NULL;
	upt_cleanup(upt_buf_clear) struct upt_buf url = {0};
	uint64_t offset;

	if (upt_images_have(p->images, image))
		return UPT_OK;
	UPT_TRY(image_url(p, job, &url, err));
	UPT_TRY(upt_images_begin(p->images, image, &writer, &offset, err));
	if (offset > 0)
		upt_log(p->log, UPT_LOG_INFO, "%s: going on at byte %llu of %llu", image->name,
			(unsigned long long)offset, (unsigned long long)image->length_bytes);
	d.writer = writer;
	if (err != NULL)
		err->repo = UPT_REPO_IMAGE;
	UPT_TRY(transfer(&d, (const char *)url.data, offset, err));
	UPT_TRY(upt_image_writer_finish(writer, err));
	upt_log(p->log, UPT_LOG_INFO, "%s: %llu bytes, every listed hash verified", image->name,
		(unsigned long long)image->length_bytes);
	return UPT_OK;
}

static enum upt_code
check_format(const struct upt_job *job, const struct upt_install_job *described, struct upt_err *err)
{
	const char *takes = job->ecu->link->ops->format(job->ecu->link);

	if (strcmp(takes, described->format) == 0)
		return UPT_OK;
	return upt_fail(err, UPT_E_UNSUPPORTED, "image %s has format %s, ECU %s takes %s",
		described->image->name, described->format, job->ecu->config->serial, takes);
}

/* Steps 4, 6 and 7 for one ECU: content, then metadata, then the image; nothing visible changes yet. */
enum upt_code
upt_primary_prepare(struct upt_primary *p, struct upt_job *job, struct upt_err *err)
{
	struct upt_install_job described = upt_job_describe(job);
	struct upt_install_progress progress = upt_primary_progress(p);
	struct upt_metadata_source source = upt_primary_source(p);
	struct upt_link *link = job->ecu->link;
	upt_cleanup(upt_close_fd) int fd = -1;
	enum upt_code code;

	UPT_TRY(check_format(job, &described, err));
	if (link->ops->needs_image(link)) {
		UPT_TRY(upt_primary_download(p, job, err));
		UPT_TRY(upt_images_open_verified(p->images, &job->image.image, &fd, err));
		described.image_fd = fd;
	}
	code = link->ops->send_metadata(link, &source, err);
	if (code == UPT_OK)
		code = link->ops->send_image(link, &described, &progress, err);
	/* Not the image's server, but the ECU: the caller must tell them apart. */
	if (code == UPT_E_NETWORK && job->ecu->config->is_ip)
		job->ecu->reachable = false;
	job->prepared = code == UPT_OK;
	return code;
}

/*
 * Images are kept for what is still to be installed, and so that an interrupted download goes on; installers
 * keep what they roll back to themselves. Without this every release ever installed would stay until the disk
 * is full.
 */
void
upt_primary_prune_images(struct upt_primary *p)
{
	upt_cleanup(upt_free_ptr) struct upt_image *keep = calloc(p->n_jobs + 1, sizeof(*keep));
	struct upt_err err = {0};
	size_t n_keep = 0;

	if (keep == NULL)
		return;
	for (size_t i = 0; i < p->n_jobs; i++) {
		if (!p->jobs[i].installed)
			keep[n_keep++] = p->jobs[i].image.image;
	}
	if (upt_images_prune(p->images, keep, n_keep, &err) != UPT_OK)
		upt_log_err(p->log, UPT_LOG_WARNING, &err, "cannot remove old images");
}
