#include "crypto/openssl.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include "base/encode.h"
#include "base/file.h"

#define PRIVATE_KEY_FILE_MAX_BYTES ((size_t)64 * 1024)

struct upt_private_key {
	struct upt_openssl_key key;
};

static void
bio_cleanup(BIO **bio)
{
	BIO_free(*bio);
}

static void
pkcs8_cleanup(PKCS8_PRIV_KEY_INFO **info)
{
	PKCS8_PRIV_KEY_INFO_free(*info);
}

/* ---- from OpenSSL's object to ours ---- */

/*
 * A file may carry a public half that is not the private one's: nobody could verify what such a key
 * signs, and with some schemes its signatures give the private half away.
 */
static enum upt_code
check_pair(const struct upt_private_key *key, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf sig = {0};
	struct upt_span message = upt_span_str("pair check");
	enum upt_code code;

	UPT_TRY(upt_private_key_sign(key, message, &sig, err));
	code = upt_openssl_key_verify(&key->key, upt_span_str(upt_private_key_method(key)), message,
		upt_buf_span(&sig), err);
	if (code == UPT_E_THRESHOLD)
		return upt_fail(err, UPT_E_KEY, "private and public half are no pair");
	return code;
}

/* Takes pkey over, as upt_openssl_key_adopt. */
static enum upt_code
private_key_new(EVP_PKEY *pkey, struct upt_private_key **out, struct upt_err *err)
{
	upt_cleanup(upt_private_key_free) struct upt_private_key *key = calloc(1, sizeof(*key));
	enum upt_code code;

	if (key == NULL) {
		EVP_PKEY_free(pkey);
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a private key");
	}
	code = upt_openssl_key_adopt(&key->key, pkey, err);
	if (code == UPT_OK)
		code = check_pair(key, err);
	if (code == UPT_E_UNSUPPORTED || code == UPT_E_MALFORMED)
		return upt_wrap(err, UPT_E_KEY, "unusable");
	UPT_TRY(code);
	*out = key;
	key = NULL;
	return UPT_OK;
}

enum upt_code
upt_private_key_generate(
	const char *keytype, unsigned bits, struct upt_private_key **out, struct upt_err *err)
{
	EVP_PKEY *pkey = NULL;

	*out = NULL;
	ERR_clear_error();
	switch (upt_key_kind_from_name(upt_span_str(keytype))) {
	case UPT_KEY_NONE:
		return upt_fail(err, UPT_E_UNSUPPORTED, "unknown key type %s", keytype);
	case UPT_KEY_ED25519:
		pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
		break;
	case UPT_KEY_RSA:
		if (bits < UPT_RSA_MIN_BITS || bits > UPT_RSA_MAX_BITS)
			return upt_fail(err, UPT_E_UNSUPPORTED,
				"RSA key of %u bits, outside %u to %u", bits, UPT_RSA_MIN_BITS,
				UPT_RSA_MAX_BITS);
		pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits);
		break;
	case UPT_KEY_P256:
		pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
		break;
	case UPT_KEY_P384:
		pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
		break;
	}
	if (pkey == NULL)
		return upt_openssl_fail(
			err, UPT_E_INTERNAL, "cannot generate a key of type %s", keytype);
	return private_key_new(pkey, out, err);
}

/* ---- files ---- */

static enum upt_code
check_key_file(int fd, const char *path, struct stat *st, struct upt_err *err)
{
	if (fstat(fd, st) != 0)
		return upt_fail_errno(err, errno, "cannot stat private key %s", path);
	if (!S_ISREG(st->st_mode))
		return upt_fail(err, UPT_E_KEY, "private key %s is not a regular file", path);
	/* A key that others could read may be in others' hands: it identifies nobody any more. */
	if ((st->st_mode & 077) != 0)
		return upt_fail(err, UPT_E_KEY,
			"private key %s has mode %04o: only its owner may read it (chmod 600)",
			path, (unsigned)st->st_mode & 07777u);
	if (st->st_size <= 0 || (uintmax_t)st->st_size > PRIVATE_KEY_FILE_MAX_BYTES)
		return upt_fail(err, UPT_E_KEY, "private key %s has %jd bytes, outside 1 to %zu",
			path, (intmax_t)st->st_size, PRIVATE_KEY_FILE_MAX_BYTES);
	return UPT_OK;
}

/* Checks the open file, not the path, so that the bytes read are those of the file checked. */
static enum upt_code
read_key_file(const char *path, struct upt_buf *pem, struct upt_err *err)
{
	upt_cleanup(upt_close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return upt_fail_errno(err, errno, "cannot open private key %s", path);
	UPT_TRY(check_key_file(fd, path, &st, err));
	UPT_TRY(upt_buf_reserve(pem, (size_t)st.st_size, err));
	while (pem->len < (size_t)st.st_size) {
		ssize_t n = read(fd, pem->data + pem->len, (size_t)st.st_size - pem->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return upt_fail_errno(err, errno, "cannot read private key %s", path);
		if (n == 0)
			return upt_fail(err, UPT_E_IO, "private key %s shrank", path);
		pem->len += (size_t)n;
	}
	return UPT_OK;
}

static enum upt_code
decode_pkcs8(struct upt_span pem, EVP_PKEY **out, struct upt_err *err)
{
	upt_cleanup(upt_secret_clear) struct upt_buf der = {0};
	upt_cleanup(pkcs8_cleanup) PKCS8_PRIV_KEY_INFO *info = NULL;
	const unsigned char *pos;
	enum upt_code code = upt_pem_decode(pem, "PRIVATE KEY", &der, err);

	if (code == UPT_E_MALFORMED)
		return upt_fail(err, UPT_E_KEY,
			"not one PKCS#8 PEM block without a passphrase "
			"(convert: openssl pkcs8 -topk8 -nocrypt)");
	UPT_TRY(code);
	assert(der.len <= LONG_MAX);
	pos = der.data;
	info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &pos, (long)der.len);
	if (info == NULL || pos != der.data + der.len)
		return upt_openssl_fail(err, UPT_E_KEY, "broken PKCS#8 text");
	*out = EVP_PKCS82PKEY_ex(info, NULL, NULL);
	if (*out == NULL)
		return upt_openssl_fail(err, UPT_E_KEY, "broken PKCS#8 key");
	return UPT_OK;
}

enum upt_code
upt_private_key_load(const char *path, struct upt_private_key **out, struct upt_err *err)
{
	upt_cleanup(upt_secret_clear) struct upt_buf pem = {0};
	EVP_PKEY *pkey = NULL;
	enum upt_code code;

	*out = NULL;
	ERR_clear_error();
	UPT_TRY(read_key_file(path, &pem, err));
	code = decode_pkcs8(upt_buf_span(&pem), &pkey, err);
	if (code == UPT_OK)
		code = private_key_new(pkey, out, err);
	if (code != UPT_OK)
		return upt_wrap(err, code, "private key %s", path);
	return UPT_OK;
}

enum upt_code
upt_private_key_save(const struct upt_private_key *key, const char *path, struct upt_err *err)
{
	/* OpenSSL wipes a memory BIO's bytes when it grows and when it is freed. */
	upt_cleanup(bio_cleanup) BIO *bio = NULL;
	char *pem = NULL;
	long len;

	ERR_clear_error();
	bio = BIO_new(BIO_s_mem());
	if (bio == NULL ||
		PEM_write_bio_PKCS8PrivateKey(bio, key->key.pkey, NULL, NULL, 0, NULL, NULL) != 1)
		return upt_openssl_fail(err, UPT_E_INTERNAL, "cannot encode a private key");
	len = BIO_get_mem_data(bio, &pem);
	if (len <= 0)
		return upt_openssl_fail(err, UPT_E_INTERNAL, "cannot encode a private key");
	return upt_file_replace(AT_FDCWD, path, 0600, upt_span(pem, (size_t)len), err);
}

void
upt_private_key_free(struct upt_private_key **key)
{
	if (*key == NULL)
		return;
	/* OpenSSL wipes the private numbers with the last reference. */
	upt_openssl_key_clear(&(*key)->key);
	free(*key);
	*key = NULL;
}

/* ---- names and public half ---- */

const char *
upt_private_key_method(const struct upt_private_key *key)
{
	return upt_key_method_default(key->key.kind)->name;
}

const char *
upt_private_key_type(const struct upt_private_key *key)
{
	return upt_key_kind_name(key->key.kind);
}

void
upt_private_key_id(const struct upt_private_key *key, char out[static 65])
{
	upt_hex_encode(upt_span(key->key.fingerprint, sizeof(key->key.fingerprint)), out);
}

static enum upt_code
public_hex(EVP_PKEY *pkey, struct upt_buf *out, struct upt_err *err)
{
	uint8_t raw[UPT_ED25519_KEY_BYTES];
	char hex[2 * sizeof(raw) + 1];
	size_t len = sizeof(raw);

	if (EVP_PKEY_get_raw_public_key(pkey, raw, &len) != 1 || len != sizeof(raw))
		return upt_openssl_fail(err, UPT_E_INTERNAL, "cannot encode a public key");
	upt_hex_encode(upt_span(raw, len), hex);
	return upt_buf_append(out, hex, 2 * len, err);
}

enum upt_code
upt_private_key_public_text(
	const struct upt_private_key *key, struct upt_buf *out, struct upt_err *err)
{
	upt_cleanup(bio_cleanup) BIO *bio = NULL;
	char *pem = NULL;
	long len;

	ERR_clear_error();
	if (key->key.kind == UPT_KEY_ED25519)
		return public_hex(key->key.pkey, out, err);
	bio = BIO_new(BIO_s_mem());
	if (bio == NULL || PEM_write_bio_PUBKEY(bio, key->key.pkey) != 1)
		return upt_openssl_fail(err, UPT_E_INTERNAL, "cannot encode a public key");
	len = BIO_get_mem_data(bio, &pem);
	if (len <= 0)
		return upt_openssl_fail(err, UPT_E_INTERNAL, "cannot encode a public key");
	return upt_buf_append(out, pem, (size_t)len, err);
}

enum upt_code
upt_private_key_sign(const struct upt_private_key *key, struct upt_span message,
	struct upt_buf *sig, struct upt_err *err)
{
	const struct upt_key_method *m = upt_key_method_default(key->key.kind);
	upt_cleanup(upt_openssl_md_ctx_cleanup) EVP_MD_CTX *ctx = NULL;
	upt_cleanup(upt_buf_clear) struct upt_buf fresh = {0};
	EVP_PKEY_CTX *pctx = NULL;
	size_t len = UPT_SIGNATURE_MAX_BYTES;

	upt_buf_clear(sig);
	ERR_clear_error();
	UPT_TRY(upt_buf_reserve(&fresh, len, err));
	ctx = EVP_MD_CTX_new();
	if (ctx == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a signature");
	if (EVP_DigestSignInit_ex(ctx, &pctx, upt_openssl_hash_name(m->hash), NULL, NULL,
		    key->key.pkey, NULL) != 1 ||
		upt_openssl_set_padding(pctx, m, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) != 1 ||
		EVP_DigestSign(ctx, fresh.data, &len, upt_openssl_bytes(message), message.len) != 1)
		return upt_openssl_fail(err, UPT_E_INTERNAL, "cannot sign with %s", m->name);
	/* ECDSA's encoder, out of memory, gives a length of -1 as success (OpenSSL 3.0). */
	if (len == 0 || len > UPT_SIGNATURE_MAX_BYTES)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a signature with %s", m->name);
	fresh.len = len;
	fresh.data[len] = 0;
	upt_buf_move(sig, &fresh);
	return UPT_OK;
}
