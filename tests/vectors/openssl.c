/*
 * What the corpus needs of OpenSSL beyond the project's own crypto: RSA keys of any size whose
 * signatures are over SHA-512 too, and random numbers that are the same in every run. The numbers
 * stand behind each key that is generated, each salt of RSA-PSS and each nonce of ECDSA. Never do
 * this where a key shall be a secret.
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* the only way to choose the numbers that every key type uses */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include "generator.h"

/* OpenSSL hands no context to its source of numbers: this is the one state that is not a case's. */
static struct {
	struct upt_digest seed;
	uint64_t n_blocks;
} dice;

static int
next_bytes(unsigned char *out, int n)
{
	size_t len = (size_t)n;

	while (len > 0) {
		uint8_t block[UPT_HASH_MAX_BYTES + sizeof(dice.n_blocks)];
		struct upt_digest digest;
		size_t part;

		memcpy(block, dice.seed.bytes, dice.seed.len);
		memcpy(block + dice.seed.len, &dice.n_blocks, sizeof(dice.n_blocks));
		dice.n_blocks++;
		must_code(upt_hash_span(UPT_HASH_SHA512,
				  upt_span(block, dice.seed.len + sizeof(dice.n_blocks)), &digest, NULL),
			NULL);
		part = len < digest.len ? len : digest.len;
		memcpy(out, digest.bytes, part);
		out += part;
		len -= part;
	}
	return 1;
}

static int
is_seeded(void)
{
	return 1;
}

void
dice_begin(void)
{
	static const RAND_METHOD method = {
		.bytes = next_bytes, .pseudorand = next_bytes, .status = is_seeded};

	must(RAND_set_rand_method(&method) == 1, "random numbers of the corpus");
}

void
dice_seed(struct upt_span what)
{
	must_code(upt_hash_span(UPT_HASH_SHA256, what, &dice.seed, NULL), NULL);
	dice.n_blocks = 0;
}

static void
bio_free(BIO **bio)
{
	BIO_free(*bio);
}

struct evp_pkey_st *
rsa_generate(unsigned bits, struct upt_buf *pem)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits);
	upt_cleanup(bio_free) BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	long len;

	must(key != NULL && bio != NULL &&
			PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1,
		"an RSA key");
	len = BIO_get_mem_data(bio, &text);
	append(pem, text, (size_t)len);
	return key;
}

static void
ctx_free(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
}

void
rsa_sign_sha512(struct evp_pkey_st *key, struct upt_span message, struct upt_buf *sig)
{
	upt_cleanup(ctx_free) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL;
	uint8_t bytes[UPT_SIGNATURE_MAX_BYTES];
	size_t len = sizeof(bytes);

	must(ctx != NULL && EVP_DigestSignInit_ex(ctx, &pctx, "SHA512", NULL, NULL, key, NULL) == 1 &&
			EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
			EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1 &&
			EVP_DigestSign(ctx, bytes, &len, message.data, message.len) == 1,
		"an RSA signature");
	append(sig, bytes, len);
}

void
rsa_free(struct evp_pkey_st *key)
{
	EVP_PKEY_free(key);
}
