/*
 * What the container installer reads: custom.container of a signed target (first byte 'c'), the uri
 * it pulls from ('u'), an engine's answers, all of them the same bytes ('e'), its stream while it
 * pulls, which comes in pieces with a byte 0xff between ('p'), the list of mirrors ('m') and the
 * file of credentials ('a').
 */
#include "fuzz.h"

#include <string.h>

#include "base/encode.h"
#include "installer/container_registry.h"
#include "json/json.h"

#define SEPARATOR 0xff
#define HEX64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HOST "registry.example:5000"
#define PATH "/team/dashboard@sha256:" HEX64

static void
fuzz_custom(struct upt_span text)
{
	struct upt_container_spec spec;
	struct upt_json_doc doc;

	if (upt_json_check(text, &doc, NULL) != UPT_OK)
		return;
	if (upt_container_spec_parse(text, &spec, NULL) != UPT_OK)
		return;
	for (size_t i = 0; i < spec.run.n_env; i++) {
		FUZZ_ASSERT(upt_container_env_key_ok(spec.run.env[i].key));
		FUZZ_ASSERT(strlen(spec.run.env[i].value) <= UPT_CONTAINER_TEXT_MAX);
	}
	for (size_t i = 0; i < spec.run.n_mounts; i++) {
		const struct upt_oci_mount *m = &spec.run.mounts[i];
		FUZZ_ASSERT((m->volume == NULL) != (m->bind == NULL));
		FUZZ_ASSERT(strstr(m->target, "/../") == NULL && strchr(m->target, ':') == NULL);
	}
	/* without a word of the device's owner nothing of the host is given away */
	if (upt_container_limits_apply(&(struct upt_container_limits){0}, &spec.run, NULL) ==
		UPT_OK) {
		FUZZ_ASSERT(spec.run.n_devices == 0);
		for (size_t i = 0; i < spec.run.n_mounts; i++)
			FUZZ_ASSERT(spec.run.mounts[i].bind == NULL);
	}
	FUZZ_ASSERT(spec.health_url == NULL || upt_container_health_url_ok(spec.health_url));
	upt_container_spec_clear(&spec);
}

static void
fuzz_uri(struct upt_span text)
{
	char uri[1024], reference[UPT_CONTAINER_REFERENCE_SIZE];
	char digest[UPT_OCI_DIGEST_HEX + 1];
	struct upt_image image = {.n_digests = 1, .digests = {{.alg = UPT_HASH_SHA256, .len = 32}}};
	struct upt_install_job job = {.image = &image, .uri = uri};

	if (text.len >= sizeof(uri) || memchr(text.data, 0, text.len) != NULL)
		return;
	memcpy(uri, text.data, text.len);
	uri[text.len] = '\0';
	if (upt_container_reference(&job, reference, digest, NULL) != UPT_OK)
		return;
	/* exactly one digest, ours, and nothing that a URL or a shell would take for syntax */
	FUZZ_ASSERT(strchr(reference, '@') == strrchr(reference, '@'));
	FUZZ_ASSERT(strpbrk(uri, " ?#&%$;'\"\\<>@") == NULL);
}

static enum upt_code
request(void *ctx, const char *method, const char *path, const char *content_type,
	struct upt_span body, size_t max_reply_bytes, struct upt_buf *out, long *status,
	struct upt_err *err)
{
	const struct upt_span *reply = ctx;

	(void)method;
	(void)path;
	(void)content_type;
	(void)body;
	*status = 200;
	if (reply->len > max_reply_bytes)
		return upt_fail(err, UPT_E_TOO_LARGE, "too large");
	out->len = 0;
	return upt_buf_append(out, reply->data, reply->len, err);
}

static enum upt_code
stream(void *ctx, const struct upt_engine_stream *stream, long *status, struct upt_err *err)
{
	struct upt_span rest = *(const struct upt_span *)ctx, piece;

	*status = 200;
	while (fuzz_next_part(&rest, SEPARATOR, &piece))
		UPT_TRY(stream->sink(stream->sink_ctx, piece, err));
	return UPT_OK;
}

/* Each look at the clock is a second later: a stream that says little becomes too slow. */
static uint64_t
tell_time(void *ctx)
{
	static uint64_t now_ms;

	(void)ctx;
	return now_ms += 1000;
}

static void
report(void *ctx, const char *what, uint64_t done, uint64_t total, const char *unit)
{
	(void)ctx;
	(void)total;
	FUZZ_ASSERT(done > 0 && done < UINT64_C(1) << 50);
	FUZZ_ASSERT(strcmp(unit, "layers") == 0 || strcmp(unit, "bytes") == 0);
	for (const char *c = what; *c != '\0'; c++)
		FUZZ_ASSERT(*c >= ' ' && *c <= '~');
}

static void
fuzz_pull(struct upt_span text)
{
	const struct upt_engine_http http = {.ctx = &text, .stream = stream, .now_ms = tell_time};
	const struct upt_install_progress progress = {.report = report};

	for (unsigned docker = 0; docker < 2; docker++) {
		struct upt_oci oci = {.http = &http, .is_podman = docker == 0, .prefix = "/v1.41"};
		const struct upt_oci_pull pull = {.reference = HOST PATH,
			.tls_verify = true,
			.stall_s = 30,
			.min_speed_bytes = 1,
			.progress = &progress};
		struct upt_err err = {0};
		enum upt_code code = upt_oci_pull(&oci, &pull, &err);

		FUZZ_ASSERT(code == UPT_OK || code == UPT_E_SERVER || code == UPT_E_NO_SPACE ||
			    code == UPT_E_TOO_SLOW || code == UPT_E_TOO_LARGE);
		FUZZ_ASSERT(code == UPT_OK || err.message[0] != '\0');
		FUZZ_ASSERT(code != UPT_OK || text.len > 0);
	}
}

static void
ask_lists(struct upt_oci *oci)
{
	struct upt_oci_list list;
	struct upt_oci_member members[4];
	size_t n;

	if (upt_oci_list(oci, "dashboard", &list, NULL) == UPT_OK) {
		for (size_t i = 0; i < list.n; i++)
			FUZZ_ASSERT(strlen(list.items[i].version.digest) == UPT_OCI_DIGEST_HEX);
	}
	if (upt_oci_list_project(oci, "dashboard", members, 4, &n, NULL) == UPT_OK) {
		FUZZ_ASSERT(n <= 4);
		for (size_t i = 0; i < n; i++)
			FUZZ_ASSERT(strlen(members[i].service) <= UPT_OCI_NAME_MAX);
	}
}

static void
ask_states(const struct upt_oci *oci)
{
	const struct upt_oci_version version = {.digest = HEX64};
	const struct upt_oci_run run = {
		.n_mounts = 1, .mounts = {{.volume = "data", .target = "/data"}}};
	const struct upt_oci_spec spec = {.app = "dashboard",
		.name = "x",
		.reference = HOST PATH,
		.version = &version,
		.health = "",
		.run = &run};
	struct upt_oci_state state;
	char words[UPT_OCI_LOG_MAX + 1];
	bool yes;

	if (upt_oci_inspect(oci, "x", &state, NULL) == UPT_OK)
		FUZZ_ASSERT(!state.running || !state.gone);
	else
		FUZZ_ASSERT(!state.running && !state.healthy && state.image_id[0] == '\0');
	if (upt_oci_check_health(oci, "x", &yes, NULL) != UPT_OK)
		FUZZ_ASSERT(!yes);
	if (upt_oci_has_image(oci, "x", "00", &yes, NULL) != UPT_OK)
		FUZZ_ASSERT(!yes);
	FUZZ_ASSERT(upt_oci_create(oci, &spec, NULL) != UPT_E_NO_MEMORY);
	upt_oci_last_words(oci, "x", words);
	for (const char *c = words; *c != '\0'; c++)
		FUZZ_ASSERT(*c >= ' ' && *c <= '~');
}

static void
fuzz_engine(struct upt_span text)
{
	const struct upt_engine_http http = {.ctx = &text, .request = request, .stream = stream};
	struct upt_oci oci = {.http = &http};

	ask_lists(&oci);
	for (unsigned docker = 0; docker < 2; docker++) {
		oci.is_podman = docker == 0;
		ask_states(&oci);
	}
	oci.prefix[0] = '\0';
	if (upt_oci_connect(&oci, NULL) == UPT_OK)
		FUZZ_ASSERT(strncmp(oci.prefix, "/v1.", 4) == 0 && strlen(oci.prefix) <= 7);
	else
		FUZZ_ASSERT(oci.prefix[0] == '\0');
}

/* Whatever the mirrors are, the image is asked for by its digest, and at its own registry last. */
static void
fuzz_mirrors(struct upt_span text)
{
	upt_cleanup(upt_free_ptr) char *mirrors = fuzz_string(text);
	struct upt_container_references refs;

	if (upt_container_mirrors_check(mirrors, NULL) != UPT_OK ||
		upt_container_references(mirrors, HOST PATH, &refs, NULL) != UPT_OK)
		return;
	FUZZ_ASSERT(refs.n >= 1 && refs.n <= UPT_CONTAINER_MAX_MIRRORS + 1);
	FUZZ_ASSERT(strcmp(refs.items[refs.n - 1], HOST PATH) == 0);
	for (size_t i = 0; i < refs.n; i++) {
		const char *ref = refs.items[i];
		size_t len = strlen(ref);

		FUZZ_ASSERT(len > strlen(PATH) && strcmp(ref + len - strlen(PATH), PATH) == 0);
		FUZZ_ASSERT(strchr(ref, '@') == strrchr(ref, '@'));
		FUZZ_ASSERT(strpbrk(ref, " ?#&%$;'\"\\<>\n\r\t") == NULL);
	}
}

/* A header has one line, and names the host it is for. */
static void
fuzz_credentials(struct upt_span text)
{
	upt_cleanup(upt_buf_clear) struct upt_buf header = {0}, plain = {0};
	struct upt_err err = {0};
	size_t len;

	fuzz_write("auth.json", text);
	if (upt_container_auth_find(fuzz_path("auth.json"), HOST PATH, &header, &err) != UPT_OK) {
		FUZZ_ASSERT(err.message[0] != '\0' && header.len == 0);
		return;
	}
	for (size_t i = 0; i < header.len; i++) {
		uint8_t *c = &header.data[i];
		FUZZ_ASSERT(*c > ' ' && *c <= '~' && *c != '+' && *c != '/');
		*c = *c == '-' ? '+' : *c == '_' ? '/' : *c;
	}
	if (header.len == 0)
		return;
	FUZZ_ASSERT(upt_buf_reserve(&plain, header.len, NULL) == UPT_OK);
	FUZZ_ASSERT(upt_base64_decode(upt_buf_span(&header), plain.data, header.len, &len));
	plain.data[len] = '\0';
	FUZZ_ASSERT(strstr((char *)plain.data, "\"serveraddress\":\"" HOST "\"") != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct upt_span rest;

	if (size == 0)
		return 0;
	rest = upt_span(data + 1, size - 1);
	if (data[0] == 'c')
		fuzz_custom(rest);
	else if (data[0] == 'u')
		fuzz_uri(rest);
	else if (data[0] == 'e')
		fuzz_engine(rest);
	else if (data[0] == 'p')
		fuzz_pull(rest);
	else if (data[0] == 'm')
		fuzz_mirrors(rest);
	else if (data[0] == 'a')
		fuzz_credentials(rest);
	return 0;
}
