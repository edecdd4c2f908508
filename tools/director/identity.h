/*
 * Who is calling: the client certificate of a TLS session, checked against the client CA, and its
 * common name, which is the vehicle's id.
 */
#ifndef UPT_TOOLS_DIRECTOR_IDENTITY_H
#define UPT_TOOLS_DIRECTOR_IDENTITY_H

#include <gnutls/gnutls.h>
#include "director.h"

/*
 * Fills out with the vehicle's id. UPT_E_TLS without a certificate, with one that the CA did not
 * sign, that is expired, not for clients, or whose subject has not exactly one usable common name;
 * out is "" then.
 */
UPT_NODISCARD enum upt_code identity_check(gnutls_session_t session,
	char out[static DIRECTOR_VEHICLE_ID_MAX + 1], struct upt_err *err);

#endif
