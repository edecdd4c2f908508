/* Keys of the corpus: fixed seeds, so that nothing secret-looking lies in the repository. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "base/encode.h"
#include "base/file.h"
#include "generator.h"

static bool
kind_is(const char *name, const char *kind)
{
	const char *slash = strrchr(name, '/');
	const char *base = slash != NULL ? slash + 1 : name;

	return strncmp(base, kind, strlen(kind)) == 0;
}

/* PKCS#8 of RFC 8410: what stands before an Ed25519 seed. */
static const uint8_t ed25519_prefix[] = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b,
	0x65, 0x70, 0x04, 0x22, 0x04, 0x20};

/* PEM of the key whose seed is the SHA-256 of its name. */
static void
seed_pem(const char *name, struct upt_buf *pem)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0}, der = {0};
	struct upt_digest seed;

	must_code(upt_buf_printf(&text, NULL, "TEST key of the vector corpus: %s", name), NULL);
	must_code(upt_hash_span(UPT_HASH_SHA256, upt_buf_span(&text), &seed, NULL), NULL);
	append(&der, ed25519_prefix, sizeof(ed25519_prefix));
	append(&der, seed.bytes, seed.len);
	append(pem, "-----BEGIN PRIVATE KEY-----\n", 28);
	must_code(upt_base64_encode(upt_buf_span(&der), pem, NULL), NULL);
	append(pem, "\n-----END PRIVATE KEY-----\n", 27);
}

/* Keys are loaded from files only: this one is in memory. */
static struct upt_private_key *
load_pem(struct upt_span pem)
{
	upt_cleanup(upt_close_fd) int fd = memfd_create("vector-key", MFD_CLOEXEC);
	struct upt_private_key *key;
	struct upt_err err = {0};
	char path[64];

	must(fd >= 0 && fchmod(fd, 0600) == 0, "a file in memory");
	must_code(upt_file_write_all(fd, pem, &err), &err);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	must_code(upt_private_key_load(path, &key, &err), &err);
	return key;
}

/* "rsa-4096-1": of 4096 bits. */
static void
make_rsa(const char *name, struct named_key *out)
{
	upt_cleanup(upt_buf_clear) struct upt_buf pem = {0};
	const char *bits = strstr(name, "rsa-") + 4;

	out->rsa = rsa_generate((unsigned)strtoul(bits, NULL, 10), &pem);
	out->key = load_pem(upt_buf_span(&pem));
}

static void
make_key(const char *name, struct named_key *out)
{
	upt_cleanup(upt_buf_clear) struct upt_buf pem = {0};
	struct upt_err err = {0};
	const char *curve = kind_is(name, "p256-")   ? "ecdsa-sha2-nistp256"
			    : kind_is(name, "p384-") ? "ecdsa-sha2-nistp384"
						     : NULL;

	dice_seed(upt_span_str(name));
	if (kind_is(name, "rsa-")) {
		make_rsa(name, out);
	} else if (curve != NULL) {
		must_code(upt_private_key_generate(curve, 0, &out->key, &err), &err);
	} else {
		seed_pem(name, &pem);
		out->key = load_pem(upt_buf_span(&pem));
	}
}

const struct upt_private_key *
generator_key(struct generator *g, const char *name)
{
	struct named_key *key;

	for (size_t i = 0; i < g->n_keys; i++) {
		if (strcmp(g->keys[i].name, name) == 0)
			return g->keys[i].key;
	}
	must(g->n_keys < MAX_KEYS && strlen(name) < sizeof(key->name), "room for a key");
	key = &g->keys[g->n_keys];
	memcpy(key->name, name, strlen(name) + 1);
	make_key(name, key);
	g->n_keys++;
	return key->key;
}

void
generator_sign(struct generator *g, const struct upt_private_key *key, const char *method,
	struct upt_span message, struct upt_buf *sig)
{
	struct named_key *named = g->keys;
	struct upt_err err = {0};

	while (named->key != key)
		named++;
	dice_seed(message);
	if (named->rsa != NULL && method != NULL && strcasecmp(method, "rsassa-pss-sha512") == 0)
		rsa_sign_sha512(named->rsa, message, sig);
	else
		must_code(upt_private_key_sign(key, message, sig, &err), &err);
}
