#include "pki.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <unistd.h>

#include "must.h"

struct identity {
	X509 *cert;
	EVP_PKEY *key;
};

static const char *const names[] = {
	"ca", "other-ca", "server", "wrong-name", "client", "other-client"};

static void
add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	must(extension != NULL);
	X509_add_ext(cert, extension, -1);
	X509_EXTENSION_free(extension);
}

static void
save(const char *dir, const char *name, const struct identity *id)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.pem", dir, name);
	f = fopen(path, "we");
	must(f != NULL);
	PEM_write_X509(f, id->cert);
	fclose(f);
	snprintf(path, sizeof(path), "%s/%s.key", dir, name);
	f = fopen(path, "we");
	must(f != NULL);
	PEM_write_PrivateKey(f, id->key, NULL, NULL, 0, NULL, NULL);
	fclose(f);
}

/* issuer NULL: an authority of its own. */
static struct identity
make(const char *dir, const char *name, const struct identity *issuer, const char *san)
{
	static long serial = 1;
	struct identity id = {.cert = X509_new(), .key = EVP_EC_gen("P-256")};
	X509_NAME *subject;

	must(id.cert != NULL && id.key != NULL);
	X509_set_version(id.cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(id.cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(id.cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(id.cert), 3600);
	X509_set_pubkey(id.cert, id.key);
	subject = X509_get_subject_name(id.cert);
	X509_NAME_add_entry_by_txt(
		subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(
		id.cert, issuer != NULL ? X509_get_subject_name(issuer->cert) : subject);
	add_extension(id.cert, issuer != NULL ? issuer->cert : id.cert, NID_basic_constraints,
		issuer != NULL ? "critical,CA:FALSE" : "critical,CA:TRUE");
	if (san != NULL)
		add_extension(id.cert, issuer->cert, NID_subject_alt_name, san);
	X509_sign(id.cert, issuer != NULL ? issuer->key : id.key, EVP_sha256());
	save(dir, name, &id);
	return id;
}

static void
clear(struct identity *id)
{
	X509_free(id->cert);
	EVP_PKEY_free(id->key);
}

static void
save_locked(const char *dir, const struct identity *id)
{
	unsigned char passphrase[] = "secret";
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/locked.key", dir);
	f = fopen(path, "we");
	must(f != NULL);
	PEM_write_PrivateKey(
		f, id->key, EVP_aes_256_cbc(), passphrase, (int)sizeof(passphrase) - 1, NULL, NULL);
	fclose(f);
}

void
pki_make(const char *dir)
{
	struct identity ca = make(dir, "ca", NULL, NULL);
	struct identity other_ca = make(dir, "other-ca", NULL, NULL);
	struct identity server = make(dir, "server", &ca, "IP:127.0.0.1");
	struct identity wrong = make(dir, "wrong-name", &ca, "DNS:elsewhere.example");
	struct identity client = make(dir, "client", &ca, NULL);
	struct identity other_client = make(dir, "other-client", &other_ca, NULL);

	save_locked(dir, &client);
	clear(&ca);
	clear(&other_ca);
	clear(&server);
	clear(&wrong);
	clear(&client);
	clear(&other_client);
}

void
pki_remove(const char *dir)
{
	char path[256];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s.pem", dir, names[i]);
		unlink(path);
		snprintf(path, sizeof(path), "%s/%s.key", dir, names[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/locked.key", dir);
	unlink(path);
}
