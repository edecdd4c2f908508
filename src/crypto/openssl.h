/*
 * What the files of the OpenSSL backend share. Private to src/crypto. Thread-safety: as crypto.h.
 */
#ifndef UPT_CRYPTO_OPENSSL_H
#define UPT_CRYPTO_OPENSSL_H

#include <openssl/evp.h>

#include "crypto/key_text.h"

/* A key pair's public half, accepted by our rules; embedded in public and private keys. */
struct upt_openssl_key {
	EVP_PKEY *pkey; /* owned */
	enum upt_key_kind kind;
	uint8_t fingerprint[32]; /* SHA-256 of the SPKI DER */
};

/*
 * Fails with code, or with UPT_E_NO_MEMORY when OpenSSL's error queue says that memory ran out; its
 * first reason is appended to the message. Empties the queue.
 */
enum upt_code
upt_openssl_fail(struct upt_err *err, enum upt_code code, const char *fmt, ...) UPT_PRINTF(3, 4);

/* "SHA2-256"...: the names that OpenSSL's providers know. */
const char *upt_openssl_hash_name(enum upt_hash_alg alg);

/* Modulus and exponent, owned by the caller, also on failure. UPT_E_UNSUPPORTED for a size outside our
 * rules, UPT_E_NO_MEMORY, UPT_E_INTERNAL. */
UPT_NODISCARD enum upt_code
upt_openssl_rsa_numbers(const EVP_PKEY *pkey, BIGNUM **n, BIGNUM **e, struct upt_err *err);

/*
 * Takes pkey over (freed on failure), finds its kind, refuses sizes, exponents and curves outside
 * our rules, and computes its fingerprint. UPT_E_UNSUPPORTED, UPT_E_MALFORMED, UPT_E_NO_MEMORY.
 */
UPT_NODISCARD enum upt_code
upt_openssl_key_adopt(struct upt_openssl_key *key, EVP_PKEY *pkey, struct upt_err *err);
void upt_openssl_key_clear(struct upt_openssl_key *key);

/* A key object from SPKI DER, not yet checked by our rules; *out is NULL on failure. UPT_E_MALFORMED,
 * UPT_E_UNSUPPORTED for another algorithm or curve than ours, UPT_E_NO_MEMORY. */
UPT_NODISCARD enum upt_code
upt_openssl_spki_read(struct upt_span der, EVP_PKEY **out, struct upt_err *err);
/* The one SPKI DER of the key's value; der replaced. */
UPT_NODISCARD enum upt_code upt_openssl_spki_write(
	const struct upt_openssl_key *key, struct upt_buf *der, struct upt_err *err);

/* upt_public_key_verify on the embedded key. */
UPT_NODISCARD enum upt_code
upt_openssl_key_verify(const struct upt_openssl_key *key, struct upt_span method,
	struct upt_span message, struct upt_span signature, struct upt_err *err);
/* RSA's padding and salt length ("auto", "digest"); nothing for the other kinds. 1 is success. */
int upt_openssl_set_padding(
	EVP_PKEY_CTX *ctx, const struct upt_key_method *method, const char *salt_len);

/* Never NULL, also for the empty message: OpenSSL takes some NULLs for "tell me the size". */
static inline const unsigned char *
upt_openssl_bytes(struct upt_span span)
{
	return span.len > 0 ? span.data : (const unsigned char *)"";
}

static inline void
upt_openssl_pkey_cleanup(EVP_PKEY **pkey)
{
	EVP_PKEY_free(*pkey);
}

static inline void
upt_openssl_md_ctx_cleanup(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
}

#endif
