/*
 * Memory that ends inside OpenSSL, at every allocation in turn. OpenSSL often forgets why it
 * failed, so a good signature may be refused as a wrong one; what must hold is that nothing is ever
 * accepted that would be refused with memory to spare, that the cause is told where OpenSSL tells
 * it, and that nothing leaks (AddressSanitizer).
 */
#include "support.h"

#include <openssl/core_names.h>

#include "../faults/faults.h"

#define RFC8032_KEY "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
#define RFC8032_SIG                                                                                \
	"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"                         \
	"5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"

#define MAX_KEY_ALLOCATIONS 300 /* 20, 70 and 207 with OpenSSL 3.0 */

static bool failed; /* in the last call with a failure */

struct subject {
	const char *keytype, *method;
	char *text;
	struct upt_public_key *key;
	uint8_t sig[UPT_SIGNATURE_MAX_BYTES];
	size_t sig_len;
};

static struct subject subjects[3];
static const char message_text[] = "a message";

/* The message of the ed25519 vector is empty. */
static struct upt_span
message_of(const struct subject *s)
{
	return upt_span_str(s == &subjects[0] ? "" : message_text);
}

static enum upt_code
verify_with_failure(const struct subject *s, size_t at)
{
	enum upt_code code;

	faults_begin(FAULT_OPENSSL_MEMORY, at);
	code = verify(s->key, s->method, message_of(s), upt_span(s->sig, s->sig_len));
	failed = faults_end();
	return code;
}

static void
good_signature_passes_or_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		unsigned n_told = 0;

		for (size_t n = 0;; n++) {
			enum upt_code code = verify_with_failure(&subjects[i], n);

			if (!failed) {
				assert_int_equal(code, UPT_OK);
				break;
			}
			n_told += code == UPT_E_NO_MEMORY;
			assert_int_not_equal(code, UPT_E_UNSUPPORTED);
		}
		assert_true(n_told > 0);
	}
}

static void
bad_signature_never_passes(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct subject *s = &subjects[i];

		s->sig[s->sig_len / 2] ^= 1;
		for (size_t n = 0;; n++) {
			enum upt_code code = verify_with_failure(s, n);

			assert_int_not_equal(code, UPT_OK);
			if (!failed) {
				assert_int_equal(code, UPT_E_THRESHOLD);
				break;
			}
		}
		s->sig[s->sig_len / 2] ^= 1;
	}
}

static enum upt_code
parse_with_failure(const char *keytype, const char *text, size_t at, struct upt_public_key **key)
{
	enum upt_code code;

	faults_begin(FAULT_OPENSSL_MEMORY, at);
	code = parse(keytype, text, key);
	failed = faults_end();
	return code;
}

/* The fingerprint above all: a key that had two could count twice. */
static void
good_key_is_itself_or_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		unsigned n_told = 0;

		for (size_t n = 0;; n++) {
			struct upt_public_key *key;
			enum upt_code code =
				parse_with_failure(subjects[i].keytype, subjects[i].text, n, &key);

			if (code == UPT_OK)
				assert_memory_equal(upt_public_key_fingerprint(key),
					upt_public_key_fingerprint(subjects[i].key), 32);
			upt_public_key_free(&key);
			n_told += code == UPT_E_NO_MEMORY;
			if (!failed) {
				assert_int_equal(code, UPT_OK);
				break;
			}
		}
		assert_true(n_told > 0);
	}
}

/* A check that fails for want of memory must refuse, not be skipped. */
static void
forbidden_key_never_passes(void **state)
{
	EVP_PKEY *p521 = make_ec("P-521"), *small = make_rsa_numbers(1024, 65537, 0);
	EVP_PKEY *e1 = make_rsa_numbers(2048, 1, 0), *stated = make_ec("P-256");
	char *text[5];

	(void)state;
	assert_int_equal(EVP_PKEY_set_utf8_string_param(stated, OSSL_PKEY_PARAM_EC_ENCODING,
				 OSSL_PKEY_EC_ENCODING_EXPLICIT),
		1);
	text[0] = spki_hex(p521);
	text[1] = spki_hex(stated);
	text[2] = strdup("3019301306072a8648ce3d020106082a8648ce3d03010703020000");
	text[3] = spki_hex(small);
	text[4] = spki_hex(e1);
	for (size_t i = 0; i < 5; i++) {
		for (size_t n = 0;; n++) {
			struct upt_public_key *key;

			assert_int_not_equal(
				parse_with_failure(i < 3 ? "ecdsa" : "rsa", text[i], n, &key),
				UPT_OK);
			if (!failed)
				break;
		}
		free(text[i]);
	}
	EVP_PKEY_free(p521);
	EVP_PKEY_free(small);
	EVP_PKEY_free(e1);
	EVP_PKEY_free(stated);
}

static void
hash_is_right_or_not_there(void **state)
{
	struct upt_digest want, got;

	(void)state;
	assert_ok(upt_hash_span(UPT_HASH_SHA256, upt_span_str("x"), &want, &err));
	for (size_t n = 0;; n++) {
		enum upt_code code;

		faults_begin(FAULT_OPENSSL_MEMORY, n);
		code = upt_hash_span(UPT_HASH_SHA256, upt_span_str("x"), &got, NULL);
		failed = faults_end();
		if (code == UPT_OK)
			assert_true(upt_digest_equal(&got, &want));
		else
			assert_int_equal(got.len, 0);
		if (code != UPT_OK)
			assert_true(code == UPT_E_NO_MEMORY || code == UPT_E_INTERNAL);
		if (!failed)
			break;
	}
}

/* With OpenSSL's general decoders and encoders it were up to two thousand, and several times what a
 * verification costs. */
static void
key_costs_few_allocations(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct upt_public_key *key;

		assert_int_equal(parse_with_failure(subjects[i].keytype, subjects[i].text,
					 MAX_KEY_ALLOCATIONS, &key),
			UPT_OK);
		assert_false(failed);
		upt_public_key_free(&key);
	}
}

static void
make_subject(struct subject *s, const char *keytype, unsigned bits)
{
	struct upt_private_key *private;
	struct upt_buf text = {0}, sig = {0};

	assert_ok(upt_private_key_generate(keytype, bits, &private, &err));
	assert_ok(upt_private_key_public_text(private, &text, &err));
	assert_ok(upt_private_key_sign(private, upt_span_str(message_text), &sig, &err));
	s->keytype = keytype;
	s->method = upt_private_key_method(private);
	s->text = (char *)text.data;
	memcpy(s->sig, sig.data, sig.len);
	s->sig_len = sig.len;
	upt_buf_clear(&sig);
	upt_private_key_free(&private);
}

static int
make_subjects(void **state)
{
	(void)state;
	subjects[0].keytype = subjects[0].method = "ed25519";
	subjects[0].text = strdup(RFC8032_KEY);
	subjects[0].sig_len = unhex(RFC8032_SIG, subjects[0].sig, sizeof(subjects[0].sig));
	make_subject(&subjects[1], "rsa", 2048);
	make_subject(&subjects[2], "ecdsa", 0);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(
			parse(subjects[i].keytype, subjects[i].text, &subjects[i].key), UPT_OK);
		/* What the library allocates once is there before memory ends. */
		assert_int_equal(verify_with_failure(&subjects[i], SIZE_MAX), UPT_OK);
	}
	return 0;
}

static int
free_subjects(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		upt_public_key_free(&subjects[i].key);
		free(subjects[i].text);
	}
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_signature_passes_or_is_refused),
		cmocka_unit_test(bad_signature_never_passes),
		cmocka_unit_test(good_key_is_itself_or_refused),
		cmocka_unit_test(forbidden_key_never_passes),
		cmocka_unit_test(hash_is_right_or_not_there),
		cmocka_unit_test(key_costs_few_allocations),
	};

	/* Only before OpenSSL's first allocation. */
	if (!faults_hook_openssl())
		return 1;
	return cmocka_run_group_tests(tests, make_subjects, free_subjects);
}
