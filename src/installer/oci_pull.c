/*
 * The stream of a pull: lines of JSON that tell of layers and, where the engine counts them, of
 * bytes. The engine fetches, so a slow registry is only seen here: a stream that says nothing is
 * ended by the transport, and one that says too little by judge().
 */
#include "installer/oci_internal.h"

#include <stdio.h>

#define PULL_MAX_BYTES ((size_t)8 << 20) /* of progress lines, not of layers */
#define LINE_MAX_BYTES ((size_t)64 * 1024)
#define MAX_LAYERS 256
#define LAYER_ID_MAX 12
#define REPORT_MS 300

struct layer {
	char id[LAYER_ID_MAX + 1];
	const char *phase; /* of the table below; what it counts starts again with each */
	uint64_t seen_bytes; /* in that phase */
	bool done;
};

struct pull {
	const struct upt_oci *oci;
	const struct upt_oci_pull *job;
	struct upt_buf line;
	struct layer layers[MAX_LAYERS];
	size_t n_layers, n_done;
	uint64_t bytes; /* that came in or were unpacked, of all layers */
	uint64_t window_ms, window_bytes; /* when the window began, and bytes then */
	uint64_t reported_ms;
	bool said_something;
	enum upt_code failure; /* what an "error" line means */
	struct upt_err error;
};

static void
report(struct pull *pull, bool always, const char *what, uint64_t done, uint64_t total,
	const char *unit)
{
	const struct upt_install_progress *progress = pull->job->progress;
	uint64_t now = upt_engine_now_ms(pull->oci->http);

	if (progress == NULL || progress->report == NULL)
		return;
	if (!always && pull->reported_ms != 0 && now - pull->reported_ms < REPORT_MS)
		return;
	pull->reported_ms = now;
	progress->report(progress->ctx, what, done, total, unit);
}

/* A step forward that is not counted in bytes begins a new window. */
static void
note_step(struct pull *pull)
{
	pull->window_ms = upt_engine_now_ms(pull->oci->http);
	pull->window_bytes = pull->bytes;
}

/* A registry that trickles keeps a stream talking; in each window enough must come all the same. */
static enum upt_code
judge(struct pull *pull, struct upt_err *err)
{
	uint64_t window_s = pull->job->stall_s;
	uint64_t came = pull->bytes - pull->window_bytes;

	if (upt_engine_now_ms(pull->oci->http) - pull->window_ms < window_s * 1000)
		return UPT_OK;
	if (came < window_s * pull->job->min_speed_bytes)
		return upt_fail(err, UPT_E_TOO_SLOW,
			"the engine got %ju bytes in %ju s, %u a second are the least",
			(uintmax_t)came, (uintmax_t)window_s, pull->job->min_speed_bytes);
	note_step(pull);
	return UPT_OK;
}

/* ---- layers ---- */

/* What both engines say of a layer; counts: the bytes in progressDetail are new ones. */
static const struct phase {
	const char *status;
	bool counts, ends;
} phases[] = {
	{"Pulling fs layer", false, false},
	{"Waiting", false, false},
	{"Downloading", true, false},
	{"Verifying Checksum", false, false},
	{"Download complete", false, false},
	{"Extracting", true, false},
	{"Pull complete", false, true},
	{"Already exists", false, true},
};

static struct layer *
find_layer(struct pull *pull, const char *id)
{
	size_t len = strlen(id);

	for (size_t i = 0; i < pull->n_layers; i++) {
		if (strcmp(pull->layers[i].id, id) == 0)
			return &pull->layers[i];
	}
	if (pull->n_layers == MAX_LAYERS || len > LAYER_ID_MAX || len == 0 ||
		strspn(id, "0123456789abcdef") != len)
		return NULL;
	memcpy(pull->layers[pull->n_layers].id, id, len + 1);
	return &pull->layers[pull->n_layers++];
}

/* "current" of progressDetail as far as it is a sound number. */
static uint64_t
get_count(const cJSON *json, const char *name)
{
	const cJSON *detail = cJSON_GetObjectItemCaseSensitive(json, "progressDetail");
	const cJSON *number = cJSON_GetObjectItemCaseSensitive(detail, name);

	if (!cJSON_IsNumber(number) || !(number->valuedouble > 0) || !(number->valuedouble < 1e15))
		return 0;
	return (uint64_t)number->valuedouble;
}

static void
take_layer(struct pull *pull, const cJSON *json, const struct phase *phase, struct layer *layer)
{
	uint64_t current = get_count(json, "current");
	char what[32];

	if (layer->phase != phase->status) {
		layer->phase = phase->status;
		layer->seen_bytes = 0;
		note_step(pull);
	}
	if (phase->counts && current > layer->seen_bytes) {
		pull->bytes += current - layer->seen_bytes;
		layer->seen_bytes = current;
		snprintf(what, sizeof(what), "layer %s", layer->id);
		report(pull, false, what, current, get_count(json, "total"), "bytes");
	}
	/* Podman ends with the download, Docker goes on to unpack. */
	if (!layer->done && (phase->ends || strcmp(phase->status, "Download complete") == 0)) {
		layer->done = true;
		pull->n_done++;
		report(pull, true, "pull", pull->n_done, pull->n_layers, "layers");
	}
}

/* Podman's own API, in words: used when the registry's certificate is not to be checked. */
static void
take_words(struct pull *pull, const char *words)
{
	if (words == NULL || strncmp(words, "Copying blob", 12) != 0)
		return;
	note_step(pull);
	report(pull, true, "pull", ++pull->n_done, 0, "layers");
}

/*
 * What the engine says of a failed pull is for people; these parts of it name what must not pass
 * for a server's bad day: a registry that serves other bytes than were asked for, and a full disk.
 */
static enum upt_code
code_of(const char *text)
{
	static const struct {
		const char *part;
		enum upt_code code;
	} known[] = {
		{"no space left on device", UPT_E_NO_SPACE},
		{"does not match provided manifest digest", UPT_E_IMAGE_HASH}, /* Podman */
		{"Digest did not match", UPT_E_IMAGE_HASH}, /* Podman, a layer */
		{"verification failed for digest", UPT_E_IMAGE_HASH}, /* Docker, either */
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]) && text != NULL; i++) {
		if (strstr(text, known[i].part) != NULL)
			return known[i].code;
	}
	return UPT_E_SERVER;
}

/* One line of the stream. The engine answers a failed pull with 200 and says so in a line only. */
static enum upt_code
take_line(struct pull *pull, struct upt_err *err)
{
	upt_cleanup(upt_oci_json_free) cJSON *json = NULL;
	const char *text, *id;

	if (pull->line.len == 0 || (pull->line.len == 1 && pull->line.data[0] == '\r'))
		return UPT_OK;
	UPT_TRY(upt_oci_parse(&pull->line, "pull progress", &json, err));
	if (!cJSON_IsObject(json))
		return upt_fail(err, UPT_E_SERVER, "the engine's pull progress is no object");
	pull->said_something = true;
	text = upt_oci_text(json, "error");
	if (cJSON_HasObjectItem(json, "error"))
		pull->failure = upt_fail(&pull->error, code_of(text), "the engine cannot pull: %s",
			text == NULL ? "no reason given" : text);
	take_words(pull, upt_oci_text(json, "stream"));
	text = upt_oci_text(json, "status");
	id = upt_oci_text(json, "id");
	for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]) && text && id; i++) {
		struct layer *layer =
			strcmp(text, phases[i].status) == 0 ? find_layer(pull, id) : NULL;
		if (layer != NULL)
			take_layer(pull, json, &phases[i], layer);
	}
	return judge(pull, err);
}

static enum upt_code
take_bytes(void *ctx, struct upt_span chunk, struct upt_err *err)
{
	struct pull *pull = ctx;
	const struct upt_install_progress *progress = pull->job->progress;

	if (progress != NULL && progress->cancel != NULL && *progress->cancel)
		return upt_fail(err, UPT_E_CANCELLED, "the pull was cancelled");
	while (chunk.len > 0) {
		const uint8_t *newline = memchr(chunk.data, '\n', chunk.len);
		size_t n = newline == NULL ? chunk.len : (size_t)(newline - chunk.data);
		if (pull->line.len + n > LINE_MAX_BYTES)
			return upt_fail(err, UPT_E_TOO_LARGE,
				"the engine sent a line of more than %zu bytes", LINE_MAX_BYTES);
		UPT_TRY(upt_buf_append(&pull->line, chunk.data, n, err));
		if (newline == NULL)
			return UPT_OK;
		UPT_TRY(take_line(pull, err));
		pull->line.len = 0;
		chunk = upt_span(newline + 1, chunk.len - n - 1);
	}
	return UPT_OK;
}

/* ---- the request ---- */

static enum upt_code
make_request(const struct upt_oci *oci, const struct upt_oci_pull *job, struct upt_buf *path,
	struct upt_buf *header, struct upt_err *err)
{
	/* Room for all of it first: a buffer that grows leaves a copy behind. */
	if (job->auth != NULL) {
		UPT_TRY(upt_buf_reserve(header, strlen(job->auth) + 32, err));
		UPT_TRY(upt_buf_printf(header, err, "X-Registry-Auth: %s", job->auth));
	}
	if (job->tls_verify)
		return upt_oci_make_path(
			path, oci->prefix, "/images/create?fromImage=", job->reference, "", err);
	if (!oci->is_podman)
		return upt_fail(err, UPT_E_CONFIG,
			"Docker takes insecure registries from its daemon.json only");
	return upt_oci_make_path(path, UPT_OCI_LIBPOD,
		"/images/pull?tlsVerify=false&reference=", job->reference, "", err);
}

static void
pull_clear(struct pull *pull)
{
	upt_buf_clear(&pull->line);
}

enum upt_code
upt_oci_pull(const struct upt_oci *oci, const struct upt_oci_pull *job, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf path = {0};
	upt_cleanup(upt_buf_wipe) struct upt_buf header = {0};
	upt_cleanup(pull_clear) struct pull pull = {.oci = oci, .job = job};
	enum upt_code code;
	long status = 0;

	UPT_TRY(make_request(oci, job, &path, &header, err));
	note_step(&pull);
	code = oci->http->stream(oci->http->ctx,
		&(struct upt_engine_stream){.path = (const char *)path.data,
			.header = (const char *)header.data,
			.max_reply_bytes = PULL_MAX_BYTES,
			.quiet_ms = job->stall_s * 1000,
			.sink = take_bytes,
			.sink_ctx = &pull},
		&status, err);
	/* Docker's "manifest unknown": a registry without the image, not an engine without the API.
	 */
	if (code == UPT_E_ABSENT)
		return upt_wrap(err, UPT_E_SERVER, "the engine cannot pull");
	UPT_TRY(code);
	UPT_TRY(take_line(&pull, err));
	if (pull.failure != UPT_OK)
		return upt_fail(err, pull.failure, "%s", pull.error.message);
	if (!pull.said_something)
		return upt_fail(err, UPT_E_SERVER, "the engine ended the pull without a word");
	return UPT_OK;
}
