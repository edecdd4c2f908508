#include "crypto/openssl.h"

#include <assert.h>
#include <openssl/err.h>

struct upt_hash {
	EVP_MD_CTX *ctx;
	enum upt_hash_alg alg;
	bool finished;
};

const char *
upt_openssl_hash_name(enum upt_hash_alg alg)
{
	switch (alg) {
	case UPT_HASH_NONE:
		break;
	case UPT_HASH_SHA256:
		return "SHA2-256";
	case UPT_HASH_SHA512:
		return "SHA2-512";
	case UPT_HASH_SHA384:
		return "SHA2-384";
	}
	return NULL;
}

static const EVP_MD *
hash_md(enum upt_hash_alg alg)
{
	switch (alg) {
	case UPT_HASH_NONE:
		break;
	case UPT_HASH_SHA256:
		return EVP_sha256();
	case UPT_HASH_SHA512:
		return EVP_sha512();
	case UPT_HASH_SHA384:
		return EVP_sha384();
	}
	return NULL;
}

enum upt_code
upt_hash_new(enum upt_hash_alg alg, struct upt_hash **out, struct upt_err *err)
{
	struct upt_hash *h;

	*out = NULL;
	ERR_clear_error();
	if (hash_md(alg) == NULL)
		return upt_fail(err, UPT_E_UNSUPPORTED, "unknown hash algorithm %d", (int)alg);
	h = calloc(1, sizeof(*h));
	if (h == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a hash");
	h->alg = alg;
	h->ctx = EVP_MD_CTX_new();
	if (h->ctx == NULL || EVP_DigestInit_ex(h->ctx, hash_md(alg), NULL) != 1) {
		upt_hash_free(&h);
		return upt_openssl_fail(err, UPT_E_INTERNAL, "cannot start %s", upt_hash_name(alg));
	}
	*out = h;
	return UPT_OK;
}

enum upt_code
upt_hash_update(struct upt_hash *h, struct upt_span data, struct upt_err *err)
{
	assert(!h->finished);
	if (EVP_DigestUpdate(h->ctx, upt_openssl_bytes(data), data.len) != 1)
		return upt_openssl_fail(err, UPT_E_INTERNAL, "cannot hash %zu bytes", data.len);
	return UPT_OK;
}

enum upt_code
upt_hash_final(struct upt_hash *h, struct upt_digest *out, struct upt_err *err)
{
	struct upt_digest digest = {.alg = h->alg};
	unsigned len = 0;

	*out = (struct upt_digest){0};
	assert(!h->finished);
	h->finished = true;
	if (EVP_DigestFinal_ex(h->ctx, digest.bytes, &len) != 1 || len != upt_hash_bytes(h->alg))
		return upt_openssl_fail(
			err, UPT_E_INTERNAL, "cannot finish %s", upt_hash_name(h->alg));
	digest.len = len;
	*out = digest;
	return UPT_OK;
}

void
upt_hash_free(struct upt_hash **h)
{
	if (*h == NULL)
		return;
	EVP_MD_CTX_free((*h)->ctx);
	free(*h);
	*h = NULL;
}

enum upt_code
upt_hash_span(
	enum upt_hash_alg alg, struct upt_span data, struct upt_digest *out, struct upt_err *err)
{
	upt_cleanup(upt_hash_free) struct upt_hash *h = NULL;

	*out = (struct upt_digest){0};
	UPT_TRY(upt_hash_new(alg, &h, err));
	UPT_TRY(upt_hash_update(h, data, err));
	return upt_hash_final(h, out, err);
}
