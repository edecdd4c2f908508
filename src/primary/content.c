#include <stdlib.h>
#include <string.h>
#include "base/encode.h"
#include "primary/internal.h"
#include "transport/url.h"

struct upt_install_job
upt_job_describe(const struct upt_job *job)
{
	const char *format =
		job->image.format[0] != '\0' ? job->image.format : job->director.format;

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

/* ---- where an image is ---- */

/* The configured places: what the administrator wrote is not asked for twice. */
static bool
is_own_server(const struct upt_primary *p, const char *url)
{
	for (size_t i = 0; i < p->n_repos; i++) {
		const struct upt_repo_config *own = p->repos[i].config;

		if (upt_url_same_origin(own->url, url) ||
			(own->targets_url != NULL && upt_url_same_origin(own->targets_url, url)))
			return true;
	}
	return false;
}

/*
 * A uri may be the Director's word alone: without TLS whoever is on the network learns what this
 * vehicle installs and chooses when it does not, and a foreign server gets no client certificate
 * shown, which names the vehicle.
 */
static enum upt_code
choose_server(struct upt_primary *p, const struct upt_image *image, const char *uri,
	struct upt_http **http, struct upt_err *err)
{
	struct upt_http_config config = p->config->tls;
	char shown[UPT_URL_SHOWN_SIZE];

	*http = p->http;
	if (is_own_server(p, uri))
		return UPT_OK;
	upt_url_show(uri, shown);
	if (!upt_url_is_https(uri))
		return upt_fail(err, UPT_E_MALFORMED, "image %s: its uri %s is no https:// URL",
			image->name, shown);
	config.cert_path = config.key_path = NULL;
	config.cancel = p->options.cancel;
	if (p->foreign_http == NULL)
		UPT_TRY(upt_http_new(&config, &p->foreign_http, err));
	*http = p->foreign_http;
	return UPT_OK;
}

/* HASH.FILENAME below the folder of FILENAME (0.14), or FILENAME where snapshots are not
 * consistent. */
static enum upt_code
make_url(const struct upt_repository *source, const struct upt_image *image, struct upt_buf *url,
	struct upt_err *err)
{
	const char *slash = strrchr(image->name, '/');
	const char *base = slash != NULL ? slash + 1 : image->name;
	bool prefixed = upt_trusted_set_root(source->set)->root.consistent_snapshot;
	upt_cleanup(upt_buf_clear) struct upt_buf path = {0};
	char hex[2 * UPT_HASH_MAX_BYTES + 1];

	UPT_TRY(upt_buf_printf(&path, err, "%.*s", (int)(base - image->name), image->name));
	if (prefixed) {
		upt_hex_encode(upt_span(image->digests[0].bytes, image->digests[0].len), hex);
		UPT_TRY(upt_buf_printf(&path, err, "%s.", hex));
	}
	UPT_TRY(upt_buf_printf(&path, err, "%s", base));
	if (source->config->targets_url != NULL)
		UPT_TRY(upt_buf_printf(url, err, "%s/", source->config->targets_url));
	else
		UPT_TRY(upt_buf_printf(url, err, "%s/targets/", source->config->url));
	/* Where names are not hash-prefixed, the field's servers take the whole name as one
	 * component. */
	return upt_url_encode((const char *)path.data, prefixed, url, err);
}

static enum upt_code
find_image(struct upt_primary *p, const struct upt_job *job, struct upt_buf *url,
	struct upt_http **http, struct upt_err *err)
{
	const struct upt_image *image = &job->image.image;
	const char *uri = job->director.uri != NULL ? job->director.uri : job->image.uri;

	*http = p->http;
	if (uri == NULL)
		return make_url(job->source, image, url, err);
	UPT_TRY(choose_server(p, image, uri, http, err));
	return upt_buf_append(url, uri, strlen(uri), err);
}

/* One download: bytes go to the image store, which counts and hashes them. */
struct download {
	struct upt_primary *p;
	struct upt_http *http;
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
	char shown[UPT_URL_SHOWN_SIZE];
	enum upt_code code;

	if (offset == image->length_bytes)
		return UPT_OK;
	code = upt_http_download(d->http, &request, err);
	if (code != UPT_OK && err != NULL)
		err->repo = d->job->source->id;
	upt_url_show(url, shown); /* a signed URL's query is a secret */
	if (code == UPT_E_ABSENT)
		return upt_fail(err, UPT_E_MISSING, "the server has no image %s (%s)", image->name,
			shown);
	return code == UPT_OK ? UPT_OK : upt_wrap(err, code, "fetching %s", image->name);
}

/* Step 4 for one ECU (2.16, 2.17): length and every listed hash are checked before the image gets
 * its name. */
enum upt_code
upt_primary_download(struct upt_primary *p, struct upt_job *job, struct upt_err *err)
{
	const struct upt_image *image = &job->image.image;
	struct download d = {.p = p, .job = job};
	upt_cleanup(upt_image_writer_free) struct upt_image_writer *writer = NULL;
	upt_cleanup(upt_buf_clear) struct upt_buf url = {0};
	enum upt_code code;
	uint64_t offset;

	if (upt_images_have(p->images, image))
		return UPT_OK;
	UPT_TRY(find_image(p, job, &url, &d.http, err));
	UPT_TRY(upt_images_begin(p->images, image, &writer, &offset, err));
	if (offset > 0)
		upt_log(p->log, UPT_LOG_INFO, "%s: going on at byte %llu of %llu", image->name,
			(unsigned long long)offset, (unsigned long long)image->length_bytes);
	d.writer = writer;
	UPT_TRY(transfer(&d, (const char *)url.data, offset, err));
	code = upt_image_writer_finish(writer, err);
	if (code != UPT_OK && err != NULL)
		err->repo = job->source->id;
	UPT_TRY(code);
	upt_log(p->log, UPT_LOG_INFO, "%s: %llu bytes, every listed hash verified", image->name,
		(unsigned long long)image->length_bytes);
	return UPT_OK;
}

static enum upt_code
check_format(
	const struct upt_job *job, const struct upt_install_job *described, struct upt_err *err)
{
	const char *takes = job->ecu->link->ops->format(job->ecu->link);

	if (strcmp(takes, described->format) == 0)
		return UPT_OK;
	return upt_fail(err, UPT_E_UNSUPPORTED, "image %s has format %s, ECU %s takes %s",
		described->image->name, described->format, job->ecu->config->serial, takes);
}

/* Steps 6 and 7. */
static enum upt_code
hand_over(struct upt_primary *p, struct upt_job *job, const struct upt_install_job *described,
	struct upt_err *err)
{
	struct upt_install_progress progress = upt_primary_progress(p);
	struct upt_metadata_source source = upt_primary_source(p);
	struct upt_link *link = job->ecu->link;

	UPT_TRY(link->ops->send_metadata(link, &source, err));
	return link->ops->send_image(link, described, &progress, err);
}

/* Steps 4, 6 and 7 for one ECU: content, then metadata, then the image; nothing visible changes
 * yet. The job is UPT_JOB_UNREACHABLE afterwards when the ECU stopped answering: its silence must
 * not stop all others. */
enum upt_code
upt_primary_prepare(struct upt_primary *p, struct upt_job *job, struct upt_err *err)
{
	struct upt_install_job described = upt_job_describe(job);
	struct upt_link *link = job->ecu->link;
	struct upt_err why = {0};
	upt_cleanup(upt_close_fd) int fd = -1;
	enum upt_code code;

	UPT_TRY(check_format(job, &described, err));
	if (link->ops->needs_image(link)) {
		UPT_TRY(upt_primary_download(p, job, err));
		UPT_TRY(upt_images_open_verified(p->images, &job->image.image, &fd, err));
		described.image_fd = fd;
	}
	code = hand_over(p, job, &described, &why);
	job->prepared = code == UPT_OK;
	if (code == UPT_E_NETWORK && job->ecu->installer == NULL) {
		upt_log_err(p->log, UPT_LOG_WARNING, &why, "%s is left for a later cycle",
			job->image.image.name);
		job->state = UPT_JOB_UNREACHABLE;
		return UPT_OK;
	}
	if (code != UPT_OK && err != NULL)
		*err = why;
	return code;
}

/*
 * Images are kept for what is still to be installed, and so that an interrupted download goes on;
 * installers keep what they roll back to themselves. Without this every release ever installed
 * would stay until the disk is full.
 */
void
upt_primary_prune_images(struct upt_primary *p)
{
	upt_cleanup(upt_free_ptr) struct upt_image *keep = calloc(2 * p->n_jobs + 1, sizeof(*keep));
	struct upt_err err = {0};
	size_t n_keep = 0;

	if (keep == NULL)
		return;
	for (size_t i = 0; i < p->n_jobs; i++) {
		const struct upt_job *job = &p->jobs[i];
		bool waits = job->state == UPT_JOB_WANTED || job->state == UPT_JOB_LATER ||
			     job->state == UPT_JOB_UNREACHABLE;

		if (!waits || job->installed)
			continue;
		/* The Image repository's word is only known when there was something to match. */
		keep[n_keep++] = job->director.image;
		if (job->image.image.n_digests > 0)
			keep[n_keep++] = job->image.image;
	}
	if (upt_images_prune(p->images, keep, n_keep, &err) != UPT_OK)
		upt_log_err(p->log, UPT_LOG_WARNING, &err, "cannot remove old images");
}
