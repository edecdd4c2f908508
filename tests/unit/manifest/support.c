#include "support.h"

#include <stdio.h>

#include "base/encode.h"

struct pair
make_pair(const char *keytype)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	struct pair pair = {0};

	assert_ok(upt_private_key_generate(keytype, 2048, &pair.private, &err));
	assert_ok(upt_private_key_public_text(pair.private, &text, &err));
	assert_ok(upt_public_key_parse(upt_span_str(upt_private_key_type(pair.private)),
		upt_buf_span(&text), &pair.public, &err));
	return pair;
}

void
pair_clear(struct pair *pair)
{
	upt_private_key_free(&pair->private);
	upt_public_key_free(&pair->public);
}

char *
format(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	assert_true(n >= 0);
	return text;
}

static char *
hash_object(const char *function, const char *text)
{
	enum upt_hash_alg alg = upt_hash_from_name(upt_span_str(function));
	char hex[2 * UPT_HASH_MAX_BYTES + 1] = "00";
	struct upt_digest digest;

	if (alg != UPT_HASH_NONE) {
		assert_ok(upt_hash_span(alg, upt_span_str(text), &digest, &err));
		upt_hex_encode(upt_span(digest.bytes, digest.len), hex);
	}
	return format("\"hash\":{\"function\":\"%s\",\"digest\":\"%s\"},", function, hex);
}

char *
make_entry(const struct pair *pair, const char *signed_text, const struct entry *entry)
{
	upt_cleanup(upt_buf_clear) struct upt_buf sig = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf sig64 = {0};
	char *hash = NULL, *method = NULL, *keyid = NULL, *text;

	assert_ok(upt_private_key_sign(pair->private, upt_span_str(signed_text), &sig, &err));
	assert_ok(upt_base64_encode(upt_buf_span(&sig), &sig64, &err));
	if (entry->function != NULL && entry->function[0] != '\0')
		hash = hash_object(
			entry->function, entry->hashed != NULL ? entry->hashed : signed_text);
	if (entry->method != NULL)
		method = format("\"method\":\"%s\",", entry->method);
	if (entry->keyid != NULL)
		keyid = format("\"keyid\":\"%s\",", entry->keyid);
	text = format("{%s%s%s\"sig\":\"%s\"}", keyid != NULL ? keyid : "",
		method != NULL ? method : "", hash != NULL ? hash : "", (char *)sig64.data);
	free(hash);
	free(method);
	free(keyid);
	return text;
}

char *
make_envelope(const char *entries, const char *payload)
{
	return format("{\"signatures\":[%s],\"signed\":%s}", entries, payload);
}

char *
sign_text(const struct pair *pair, const char *payload)
{
	struct entry good = GOOD_ENTRY;
	char *entry = make_entry(pair, payload, &good);
	char *envelope = make_envelope(entry, payload);

	free(entry);
	return envelope;
}

struct upt_ecu_report
sample_report(const char *serial)
{
	struct upt_ecu_report report = {.time = 1700000000, .report_counter = 7};

	snprintf(report.ecu_serial, sizeof(report.ecu_serial), "%s", serial);
	snprintf(report.installed.name, sizeof(report.installed.name), "firmware-1.bin");
	report.installed.length_bytes = 4096;
	report.installed.n_digests = 2;
	assert_ok(upt_hash_span(
		UPT_HASH_SHA256, upt_span_str("firmware"), &report.installed.digests[0], &err));
	assert_ok(upt_hash_span(
		UPT_HASH_SHA512, upt_span_str("firmware"), &report.installed.digests[1], &err));
	return report;
}
