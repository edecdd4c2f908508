/*
 * A private key file as hostile bytes: it is refused and nothing is returned, or it is a key whose
 * public part our own parser takes under the same id, which saves and loads as itself, and whose
 * signatures no one but that part verifies.
 */
#include "crypto/crypto.h"
#include "fuzz.h"

/* RSA numbers are the file's own: what does not belong together signs what nobody verifies. */
static void
check_signature(const struct upt_private_key *key, const struct upt_public_key *public)
{
	upt_cleanup(upt_buf_clear) struct upt_buf sig = {0};
	struct upt_span method = upt_span_str(upt_private_key_method(key));
	enum upt_code code;

	code = upt_private_key_sign(key, upt_span_str("message"), &sig, NULL);
	FUZZ_ASSERT(code == UPT_OK || sig.len == 0);
	if (code != UPT_OK)
		return;
	FUZZ_ASSERT(sig.len > 0 && sig.len <= UPT_SIGNATURE_MAX_BYTES);
	code = upt_public_key_verify(
		public, method, upt_span_str("message"), upt_buf_span(&sig), NULL);
	FUZZ_ASSERT(code == UPT_OK || strcmp(upt_private_key_type(key), "ed25519") != 0);
	FUZZ_ASSERT(upt_public_key_verify(public, method, upt_span_str("massage"),
			    upt_buf_span(&sig), NULL) == UPT_E_THRESHOLD);
}

static void
check_key(const struct upt_private_key *key)
{
	upt_cleanup(upt_private_key_free) struct upt_private_key *again = NULL;
	upt_cleanup(upt_public_key_free) struct upt_public_key *public = NULL;
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	char id[65], again_id[65];

	upt_private_key_id(key, id);
	FUZZ_ASSERT(upt_private_key_public_text(key, &text, NULL) == UPT_OK);
	/* A key of a size that no verifier takes is no key of ours. */
	FUZZ_ASSERT(upt_public_key_parse(upt_span_str(upt_private_key_type(key)),
			    upt_buf_span(&text), &public, NULL) == UPT_OK);
	FUZZ_ASSERT(strcmp(upt_public_key_type(public), upt_private_key_type(key)) == 0);
	check_signature(key, public);
	FUZZ_ASSERT(upt_private_key_save(key, fuzz_path("again.pem"), NULL) == UPT_OK);
	FUZZ_ASSERT(upt_private_key_load(fuzz_path("again.pem"), &again, NULL) == UPT_OK);
	upt_private_key_id(again, again_id);
	FUZZ_ASSERT(strcmp(id, again_id) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	upt_cleanup(upt_private_key_free) struct upt_private_key *key = NULL;
	struct upt_err err = {0};
	enum upt_code code;

	fuzz_write("key.pem", upt_span(data, size));
	code = upt_private_key_load(fuzz_path("key.pem"), &key, &err);
	FUZZ_ASSERT((code == UPT_OK) == (key != NULL));
	FUZZ_ASSERT(code == UPT_OK || code == UPT_E_KEY);
	if (key != NULL)
		check_key(key);
	return 0;
}
