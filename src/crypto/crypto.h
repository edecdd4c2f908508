/*
 * Hashes, public keys and private keys: what the verifier and the signers need and nothing else. A
 * backend is whole files that CMake chooses (openssl_*.c). Thread-safety: objects belong to one
 * thread at a time; a parsed public key may be used by several at once.
 */
#ifndef UPT_CRYPTO_CRYPTO_H
#define UPT_CRYPTO_CRYPTO_H

#include "base/span.h"

enum upt_hash_alg {
	UPT_HASH_NONE = 0,
	UPT_HASH_SHA256,
	UPT_HASH_SHA512,
	UPT_HASH_SHA384, /* inside ecdsa-sha2-nistp384 only: no document lists it */
};

#define UPT_HASH_MAX_BYTES 64

struct upt_digest {
	enum upt_hash_alg alg;
	size_t len; /* 32, 48 or 64 */
	uint8_t bytes[UPT_HASH_MAX_BYTES];
};

/* "sha256", "sha512"; UPT_HASH_NONE for any other name (exact, lower case). */
enum upt_hash_alg upt_hash_from_name(struct upt_span name);
const char *upt_hash_name(enum upt_hash_alg alg);
size_t upt_hash_bytes(enum upt_hash_alg alg);
/* Constant time; digests of different algorithms are never equal. */
bool upt_digest_equal(const struct upt_digest *a, const struct upt_digest *b);
/* Parses hex of exactly the algorithm's length; false else. */
bool upt_digest_parse(enum upt_hash_alg alg, struct upt_span hex, struct upt_digest *out);

struct upt_hash;
UPT_NODISCARD enum upt_code
upt_hash_new(enum upt_hash_alg alg, struct upt_hash **out, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_hash_update(struct upt_hash *h, struct upt_span data, struct upt_err *err);
/* Writes the digest; h can only be freed afterwards. */
UPT_NODISCARD enum upt_code
upt_hash_final(struct upt_hash *h, struct upt_digest *out, struct upt_err *err);
void upt_hash_free(struct upt_hash **h);
/* One shot. */
UPT_NODISCARD enum upt_code upt_hash_span(
	enum upt_hash_alg alg, struct upt_span data, struct upt_digest *out, struct upt_err *err);

/* Key types and signature methods that this build knows. */
#define UPT_SIGNATURE_MAX_BYTES 1024 /* RSA 8192 */
#define UPT_KEY_TEXT_MAX_BYTES 4096 /* keyval.public */

struct upt_public_key;

/*
 * Parses keyval.public. keytype is case-insensitive: "ed25519" (64 hex characters), "rsa" (2048 to
 * 8192 bits, odd public exponent of 17 to 64 bits), "ecdsa" (P-256 or P-384),
 * "ecdsa-sha2-nistp256", "ecprime256v1" (P-256), "ecdsa-sha2-nistp384" (P-384); all but the first
 * as SPKI PEM, one block and nothing before it, or as hex of SPKI DER. UPT_E_UNSUPPORTED for an
 * unknown type, a curve or size outside these: the caller lets such a key never count and goes on.
 * UPT_E_MALFORMED when the text is no key of its type, or one under which anybody can sign: it
 * never counts either. UPT_E_NO_MEMORY aborts.
 */
UPT_NODISCARD enum upt_code upt_public_key_parse(struct upt_span keytype,
	struct upt_span public_text, struct upt_public_key **out, struct upt_err *err);
void upt_public_key_free(struct upt_public_key **key);
/* The same key once more without parsing it again; freed for itself. UPT_E_NO_MEMORY. */
UPT_NODISCARD enum upt_code upt_public_key_share(
	const struct upt_public_key *key, struct upt_public_key **out, struct upt_err *err);
/* SHA-256 of the SPKI DER: equal exactly for equal key values, however they were spelt. */
const uint8_t *upt_public_key_fingerprint(const struct upt_public_key *key); /* 32 bytes */
/* "ed25519", "rsa" or "ecdsa". */
const char *upt_public_key_type(const struct upt_public_key *key);
/* The method a signature has when neither it nor the key names one. */
const char *upt_public_key_default_method(const struct upt_public_key *key);

/*
 * Verifies one signature. method: "ed25519"; "rsassa-pss", "rsassa-pss-sha256", "rsassa-pss-sha512"
 * (MGF1 with the same hash, any salt length); "ecdsa-sha2-nistp256", "ecdsa" (P-256, DER signature
 * over SHA-256); "ecdsa-sha2-nistp384" (P-384, over SHA-384); without regard to case.
 * UPT_OK; UPT_E_THRESHOLD when the signature is wrong; UPT_E_UNSUPPORTED when the method is unknown
 * or not one of this key's type; UPT_E_NO_MEMORY or UPT_E_INTERNAL when the library could not tell
 * and says so; OpenSSL reports some failed allocations as a wrong signature.
 */
UPT_NODISCARD enum upt_code
upt_public_key_verify(const struct upt_public_key *key, struct upt_span method,
	struct upt_span message, struct upt_span signature, struct upt_err *err);

/* ---- private keys: ECU identity keys and the signing tools ---- */
struct upt_private_key;

/* keytype "ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "rsa" (RSA of bits, 2048 to
 * 8192; others ignore bits). */
UPT_NODISCARD enum upt_code upt_private_key_generate(
	const char *keytype, unsigned bits, struct upt_private_key **out, struct upt_err *err);
/* PKCS#8 PEM file without a passphrase, at most 64 KiB. UPT_E_KEY when it is not, also when its
 * mode gives group or others anything; UPT_E_NOT_FOUND, UPT_E_PERMISSION, UPT_E_IO. */
UPT_NODISCARD enum upt_code
upt_private_key_load(const char *path, struct upt_private_key **out, struct upt_err *err);
/* Writes PKCS#8 PEM durably with mode 0600. */
UPT_NODISCARD enum upt_code
upt_private_key_save(const struct upt_private_key *key, const char *path, struct upt_err *err);
void upt_private_key_free(struct upt_private_key **key);
/* "ed25519", "rsassa-pss-sha256", "ecdsa-sha2-nistp256" or "ecdsa-sha2-nistp384". */
const char *upt_private_key_method(const struct upt_private_key *key);
/* keytype as metadata spells it: "ed25519", "rsa", "ecdsa". */
const char *upt_private_key_type(const struct upt_private_key *key);
/* keyval.public as text: hex for ed25519, SPKI PEM else. Appended to out. */
UPT_NODISCARD enum upt_code upt_private_key_public_text(
	const struct upt_private_key *key, struct upt_buf *out, struct upt_err *err);
/* Key id: hex SHA-256 of the SPKI DER, 65 bytes with the NUL. */
void upt_private_key_id(const struct upt_private_key *key, char out[static 65]);
/* Signs message with upt_private_key_method(); sig replaced. */
UPT_NODISCARD enum upt_code upt_private_key_sign(const struct upt_private_key *key,
	struct upt_span message, struct upt_buf *sig, struct upt_err *err);

/* Random bytes from the library's generator (nonces, ids). */
UPT_NODISCARD enum upt_code upt_random(void *out, size_t len, struct upt_err *err);

#endif
