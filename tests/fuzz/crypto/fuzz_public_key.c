/*
 * The public key parser over any text, under each key type (the first byte chooses), and the
 * verifier with the same bytes as signature: no text may be both refused and returned, none may
 * verify.
 */
#include "crypto/crypto.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const types[] = {"ed25519", "rsa", "ecdsa", "unknown"};
	static const char *const methods[] = {
		"ed25519", "rsassa-pss", "rsassa-pss-sha512", "ecdsa"};
	struct upt_public_key *key;
	struct upt_span text;
	enum upt_code code;

	if (size == 0)
		return 0;
	text = upt_span(data + 1, size - 1);
	code = upt_public_key_parse(upt_span_str(types[data[0] % 4]), text, &key, NULL);
	FUZZ_ASSERT((code == UPT_OK) == (key != NULL));
	if (key == NULL) {
		FUZZ_ASSERT(code == UPT_E_MALFORMED || code == UPT_E_UNSUPPORTED);
		return 0;
	}
	for (size_t i = 0; i < 4; i++) {
		size_t n = text.len < UPT_SIGNATURE_MAX_BYTES ? text.len : UPT_SIGNATURE_MAX_BYTES;

		code = upt_public_key_verify(
			key, upt_span_str(methods[i]), text, upt_span(text.data, n), NULL);
		FUZZ_ASSERT(code == UPT_E_THRESHOLD || code == UPT_E_UNSUPPORTED);
	}
	upt_public_key_free(&key);
	return 0;
}
