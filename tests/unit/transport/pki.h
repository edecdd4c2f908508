/* Certificates for the tests, made anew for each run in a temporary folder. */
#ifndef TEST_TRANSPORT_PKI_H
#define TEST_TRANSPORT_PKI_H

/* dir/{ca,other-ca,server,client,other-client}.{pem,key}; server.pem is for 127.0.0.1.
 * wrong-name.pem is of the same authority for another name; locked.key is client.key with a
 * passphrase. */
void pki_make(const char *dir);
void pki_remove(const char *dir);

#endif
