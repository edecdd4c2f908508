/* Keys and signatures that the module itself would never make. */
#ifndef TESTS_UNIT_CRYPTO_SUPPORT_H
#define TESTS_UNIT_CRYPTO_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/evp.h>

#include "crypto/crypto.h"

/* Expects success and prints the message else. */
#define assert_ok(call)                                                                            \
	do {                                                                                       \
		struct upt_err err = {0};                                                          \
		enum upt_code code_ = (call);                                                      \
		if (code_ != UPT_OK)                                                               \
			fail_msg("%s: %s", upt_code_name(code_), err.message);                     \
	} while (0)

/* Decodes hex; returns the number of bytes. */
size_t unhex(const char *hex, uint8_t *out, size_t max);

EVP_PKEY *make_rsa(size_t bits);
EVP_PKEY *make_ec(const char *group);
/* A public RSA key of these numbers; n is any odd number of that many bits, e is shifted and made odd. */
EVP_PKEY *make_rsa_numbers(int n_bits, uint64_t e, int e_shift);
/* SPKI DER as hex, in a buffer to free. */
char *spki_hex(const EVP_PKEY *pkey);
char *spki_pem(EVP_PKEY *pkey);

/* Parses and returns what upt_public_key_parse returned; *out must be NULL unless UPT_OK. */
enum upt_code parse(const char *keytype, const char *text, struct upt_public_key **out);
enum upt_code verify(const struct upt_public_key *key, const char *method, struct upt_span message,
	struct upt_span signature);

#endif
