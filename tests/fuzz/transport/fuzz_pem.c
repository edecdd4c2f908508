/*
 * The PEM files of a TLS configuration: a certificate file, and behind a byte 0xff a key file. What
 * OpenSSL's own reader finds no certificate in is refused; a refusal is a configuration error that
 * names the file.
 */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "fuzz.h"
#include "transport/pem.h"

#define SEPARATOR 0xff

static bool
has_certificate(struct upt_span pem)
{
	BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
	X509 *cert = bio != NULL ? PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL) : NULL;
	bool has = cert != NULL;

	X509_free(cert);
	BIO_free(bio);
	ERR_clear_error();
	return has;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct upt_span rest = upt_span(data, size), cert = {0};
	struct upt_err err = {0};
	enum upt_code code, both;

	if (size > 65536)
		return 0;
	(void)fuzz_next_part(&rest, SEPARATOR, &cert);
	fuzz_write("cert.pem", cert);
	fuzz_write("key.pem", rest);
	code = upt_pem_check_certificates(fuzz_path("cert.pem"), &err);
	FUZZ_ASSERT(code == UPT_OK || code == UPT_E_CONFIG);
	FUZZ_ASSERT(code == UPT_OK || strstr(err.message, "cert.pem") != NULL);
	FUZZ_ASSERT(code != UPT_OK || has_certificate(cert));
	both = upt_pem_check_identity(fuzz_path("cert.pem"), fuzz_path("key.pem"), &err);
	FUZZ_ASSERT(both == UPT_OK || both == UPT_E_CONFIG);
	FUZZ_ASSERT(both != UPT_OK || code == UPT_OK);
	FUZZ_ASSERT(ERR_peek_error() == 0);
	return 0;
}
