#include <gnutls/x509.h>
#include "identity.h"

static void
free_certificate(gnutls_x509_crt_t *certificate)
{
	if (*certificate != NULL)
		gnutls_x509_crt_deinit(*certificate);
}

static void
free_datum(gnutls_datum_t *datum)
{
	gnutls_free(datum->data);
	datum->data = NULL;
}

static enum upt_code
fail_status(unsigned status, struct upt_err *err)
{
	upt_cleanup(free_datum) gnutls_datum_t text = {0};

	if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) !=
		GNUTLS_E_SUCCESS)
		return upt_fail(err, UPT_E_TLS, "the client certificate was refused");
	/* GnuTLS ends each sentence with a space. */
	int len = (int)text.size;
	while (len > 0 && (text.data[len - 1] == ' ' || text.data[len - 1] == '\0'))
		len--;
	return upt_fail(err, UPT_E_TLS, "client certificate: %.*s", len, (const char *)text.data);
}

/*
 * Chain, validity and purpose. The purpose matters: with a server's certificate of the same CA
 * somebody could else pose as a vehicle of the server's name.
 */
static enum upt_code
check_chain(gnutls_session_t session, struct upt_err *err)
{
	unsigned char purpose[] = GNUTLS_KP_TLS_WWW_CLIENT;
	gnutls_typed_vdata_st data = {
		.type = GNUTLS_DT_KEY_PURPOSE_OID, .data = purpose, .size = sizeof(purpose) - 1};
	unsigned status = ~0U;

	int rc = gnutls_certificate_verify_peers(session, &data, 1, &status);
	if (rc == GNUTLS_E_NO_CERTIFICATE_FOUND)
		return upt_fail(err, UPT_E_TLS, "a client certificate is required");
	if (rc != GNUTLS_E_SUCCESS)
		return upt_fail(err, UPT_E_TLS, "client certificate: %s", gnutls_strerror(rc));
	return status == 0 ? UPT_OK : fail_status(status, err);
}

static enum upt_code
read_common_name(gnutls_x509_crt_t certificate, char out[static DIRECTOR_VEHICLE_ID_MAX + 1],
	struct upt_err *err)
{
	char name[DIRECTOR_VEHICLE_ID_MAX + 1] = "", second[8];
	size_t len = sizeof(name), second_len = sizeof(second);

	int rc = gnutls_x509_crt_get_dn_by_oid(
		certificate, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name, &len);
	/* Two names would let the CA vouch for one and us believe the other. */
	int rc_second = gnutls_x509_crt_get_dn_by_oid(
		certificate, GNUTLS_OID_X520_COMMON_NAME, 1, 0, second, &second_len);
	if (rc != GNUTLS_E_SUCCESS || rc_second != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE ||
		len > DIRECTOR_VEHICLE_ID_MAX || !vehicle_id_check(upt_span(name, len)))
		return upt_fail(err, UPT_E_TLS,
			"the client certificate's common name is not one of 1 to %d characters"
			" A-Z a-z 0-9 . _ : -",
			DIRECTOR_VEHICLE_ID_MAX);
	memcpy(out, name, len);
	out[len] = '\0';
	return UPT_OK;
}

enum upt_code
identity_check(
	gnutls_session_t session, char out[static DIRECTOR_VEHICLE_ID_MAX + 1], struct upt_err *err)
{
	upt_cleanup(free_certificate) gnutls_x509_crt_t certificate = NULL;
	unsigned n = 0;

	out[0] = '\0';
	if (gnutls_certificate_type_get2(session, GNUTLS_CTYPE_CLIENT) != GNUTLS_CRT_X509)
		return upt_fail(err, UPT_E_TLS, "a client certificate is required");
	UPT_TRY(check_chain(session, err));
	const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &n);
	if (chain == NULL || n == 0)
		return upt_fail(err, UPT_E_TLS, "a client certificate is required");
	if (gnutls_x509_crt_init(&certificate) != GNUTLS_E_SUCCESS)
		return upt_fail(err, UPT_E_NO_MEMORY, "out of memory");
	if (gnutls_x509_crt_import(certificate, &chain[0], GNUTLS_X509_FMT_DER) != GNUTLS_E_SUCCESS)
		return upt_fail(err, UPT_E_TLS, "the client certificate cannot be read");
	return read_common_name(certificate, out, err);
}
