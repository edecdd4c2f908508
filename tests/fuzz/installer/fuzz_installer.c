/*
 * What the container installer reads: custom.container of a signed target (first byte 'c'), the uri
 * it pulls from ('u'), and an engine's answers, all of them the same bytes ('e').
 */
#include "fuzz.h"

#include <string.h>

#include "installer/container_spec.h"
#include "json/json.h"

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
	const struct upt_span *reply = ctx;

	*status = 200;
	return stream->sink(stream->sink_ctx, *reply, err);
}

static void
fuzz_engine(struct upt_span text)
{
	const struct upt_engine_http http = {.ctx = &text, .request = request, .stream = stream};
	struct upt_oci oci = {.http = &http, .prefix = "/v1.41"};
	const struct upt_oci_pull pull = {.reference = "x", .tls_verify = true, .stall_s = 1};
	struct upt_oci_list list;
	struct upt_oci_state state;
	char words[UPT_OCI_LOG_MAX + 1];
	bool has;

	if (upt_oci_list(&oci, "dashboard", &list, NULL) == UPT_OK) {
		for (size_t i = 0; i < list.n; i++) {
			FUZZ_ASSERT(strlen(list.items[i].version.digest) == UPT_OCI_DIGEST_HEX);
		}
	}
	if (upt_oci_inspect(&oci, "x", &state, NULL) == UPT_OK)
		FUZZ_ASSERT(!state.running || !state.gone);
	if (upt_oci_has_image(&oci, "x", "00", &has, NULL) != UPT_OK)
		FUZZ_ASSERT(!has);
	FUZZ_ASSERT(upt_oci_pull(&oci, &pull, NULL) != UPT_E_NO_MEMORY);
	upt_oci_last_words(&oci, "x", words);
	for (const char *c = words; *c != '\0'; c++) {
		FUZZ_ASSERT(*c >= ' ' && *c <= '~');
	}
	oci.prefix[0] = '\0';
	if (upt_oci_connect(&oci, NULL) == UPT_OK)
		FUZZ_ASSERT(strncmp(oci.prefix, "/v1.", 4) == 0 && strlen(oci.prefix) <= 7);
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
	return 0;
}
