/*
 * Checks the PEM files of a TLS configuration when it is loaded, so that a wrong path or a key of
 * another certificate is a configuration error with the file's name and not a handshake failure
 * in the field. Thread-safety: no state.
 */
#ifndef UPT_TRANSPORT_PEM_H
#define UPT_TRANSPORT_PEM_H

#include "base/err.h"

#define UPT_PEM_MAX_BYTES ((size_t)4 * 1024 * 1024)
#define UPT_PEM_KEY_MAX_BYTES ((size_t)64 * 1024)

/* At least one certificate, and nothing that begins like one and is none. UPT_E_CONFIG. */
UPT_NODISCARD enum upt_code upt_pem_check_certificates(const char *path, struct upt_err *err);
/* A certificate and its unencrypted private key. UPT_E_CONFIG. */
UPT_NODISCARD enum upt_code
upt_pem_check_identity(const char *cert_path, const char *key_path, struct upt_err *err);

#endif
