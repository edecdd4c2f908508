/*
 * How keys are spelt: types, methods, PEM and hex. Private to src/crypto and common to its
 * backends, so that two backends cannot disagree on which text is a key. Thread-safety: no state.
 */
#ifndef UPT_CRYPTO_KEY_TEXT_H
#define UPT_CRYPTO_KEY_TEXT_H

#include "crypto/crypto.h"

enum upt_key_kind {
	UPT_KEY_NONE = 0,
	UPT_KEY_ED25519,
	UPT_KEY_RSA,
	UPT_KEY_P256,
	UPT_KEY_P384,
};

#define UPT_RSA_MIN_BITS 2048u
#define UPT_RSA_MAX_BITS 8192u
#define UPT_RSA_MAX_EXPONENT_BITS 64
#define UPT_ED25519_KEY_BYTES 32
#define UPT_ED25519_SIGNATURE_BYTES 64
/* DER of two INTEGERs of 1 to 33 bytes; 1 to 49 bytes. */
#define UPT_ECDSA_SIGNATURE_MIN_BYTES 8
#define UPT_P256_SIGNATURE_MAX_BYTES 72
#define UPT_P384_SIGNATURE_MAX_BYTES 104

struct upt_key_method {
	const char *name;
	enum upt_key_kind kind;
	enum upt_hash_alg hash; /* NONE: the scheme hashes for itself */
};

/* Names are compared without regard to case, as deployed clients do. */
enum upt_key_kind upt_key_kind_from_name(struct upt_span keytype);
/* "ecdsa" names both of its curves: the first answer of the function above is then not the only
 * one.
 */
bool upt_key_kind_has_name(enum upt_key_kind kind, struct upt_span keytype);
const char *upt_key_kind_name(enum upt_key_kind kind);
/* NULL when the method is unknown or not one of this kind's. */
const struct upt_key_method *upt_key_method_find(enum upt_key_kind kind, struct upt_span name);
const struct upt_key_method *upt_key_method_default(enum upt_key_kind kind);

/*
 * Decodes text that is exactly one PEM block of that label, from its first byte on, with nothing
 * but white space behind it; no header lines. der is replaced. UPT_E_MALFORMED, UPT_E_NO_MEMORY.
 */
UPT_NODISCARD enum upt_code
upt_pem_decode(struct upt_span text, const char *label, struct upt_buf *der, struct upt_err *err);
/* SPKI DER from SPKI PEM or from hex of it; der replaced. UPT_E_MALFORMED, UPT_E_NO_MEMORY. */
UPT_NODISCARD enum upt_code
upt_spki_decode(struct upt_span text, struct upt_buf *der, struct upt_err *err);
/* 64 hex characters of a point that can serve as a key. UPT_E_MALFORMED. */
UPT_NODISCARD enum upt_code upt_ed25519_decode(
	struct upt_span text, uint8_t out[static UPT_ED25519_KEY_BYTES], struct upt_err *err);

/* Wipes the bytes, then frees them; fits upt_cleanup(). */
void upt_secret_clear(struct upt_buf *buf);

#endif
