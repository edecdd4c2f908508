#include "transport/pem.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/file.h"

static void
free_x509(X509 **cert)
{
	X509_free(*cert);
}

static void
free_pkey(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

static void
free_bio(BIO **bio)
{
	BIO_free(*bio);
}

static void
wipe_and_clear(struct upt_buf *buf)
{
	if (buf->data != NULL)
		OPENSSL_cleanse(buf->data, buf->cap);
	upt_buf_clear(buf);
}

/* Never asks a terminal: an encrypted key is a configuration error. */
static int
no_passphrase(char *buf, int size, int writing, void *ctx)
{
	(void)buf, (void)size, (void)writing, (void)ctx;
	return -1;
}

static enum upt_code
read_pem(const char *path, size_t max_bytes, struct upt_buf *buf, struct upt_err *err)
{
	enum upt_code code = upt_file_read(AT_FDCWD, path, max_bytes, buf, err);

	if (code != UPT_OK)
		return upt_wrap(err, UPT_E_CONFIG, "TLS file");
	return UPT_OK;
}

/* The next certificate; NULL at the end (*ended) or at a broken one. */
static X509 *
next_certificate(BIO *bio, bool *ended)
{
	X509 *cert;

	ERR_clear_error();
	cert = PEM_read_bio_X509_AUX(bio, NULL, no_passphrase, NULL);
	*ended = cert == NULL && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	ERR_clear_error();
	return cert;
}

/* Reads all; the first certificate, whose key is the one that matters, goes to the caller. */
static enum upt_code
load_certificates(const char *path, X509 **first, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf pem = {0};
	upt_cleanup(free_bio) BIO *bio = NULL;
	bool ended = false;

	*first = NULL;
	UPT_TRY(read_pem(path, UPT_PEM_MAX_BYTES, &pem, err));
	bio = BIO_new_mem_buf(pem.data, (int)pem.len);
	if (bio == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for %s", path);
	while (!ended) {
		upt_cleanup(free_x509) X509 *cert = next_certificate(bio, &ended);
		if (cert == NULL && !ended)
			return upt_fail(err, UPT_E_CONFIG, "%s has a malformed certificate", path);
		if (*first == NULL) {
			*first = cert;
			cert = NULL;
		}
	}
	if (*first == NULL)
		return upt_fail(err, UPT_E_CONFIG, "%s has no PEM certificate", path);
	return UPT_OK;
}

static enum upt_code
load_key(const char *path, EVP_PKEY **out, struct upt_err *err)
{
	upt_cleanup(wipe_and_clear) struct upt_buf pem = {0};
	upt_cleanup(free_bio) BIO *bio = NULL;

	*out = NULL;
	UPT_TRY(read_pem(path, UPT_PEM_KEY_MAX_BYTES, &pem, err));
	bio = BIO_new_mem_buf(pem.data, (int)pem.len);
	if (bio == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for %s", path);
	*out = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	ERR_clear_error();
	if (*out == NULL)
		return upt_fail(err, UPT_E_CONFIG, "%s has no unencrypted PEM private key", path);
	return UPT_OK;
}

enum upt_code
upt_pem_check_certificates(const char *path, struct upt_err *err)
{
	upt_cleanup(free_x509) X509 *first = NULL;

	return load_certificates(path, &first, err);
}

enum upt_code
upt_pem_check_identity(const char *cert_path, const char *key_path, struct upt_err *err)
{
	upt_cleanup(free_x509) X509 *cert = NULL;
	upt_cleanup(free_pkey) EVP_PKEY *key = NULL;
	int match;

	UPT_TRY(load_certificates(cert_path, &cert, err));
	UPT_TRY(load_key(key_path, &key, err));
	match = X509_check_private_key(cert, key);
	ERR_clear_error();
	if (match != 1)
		return upt_fail(
			err, UPT_E_CONFIG, "the key in %s is not that of %s", key_path, cert_path);
	return UPT_OK;
}
