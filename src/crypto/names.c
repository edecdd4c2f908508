/* Names and digests: nothing here depends on a backend. */
#include "crypto/crypto.h"
#include "crypto/key_text.h"

#include <assert.h>

#include "base/encode.h"

struct hash_row {
	const char *name;
	size_t n_bytes;
};

static const struct hash_row hash_rows[] = {
	[UPT_HASH_NONE] = {"", 0},
	[UPT_HASH_SHA256] = {"sha256", 32},
	[UPT_HASH_SHA512] = {"sha512", 64},
	[UPT_HASH_SHA384] = {"sha384", 48},
};

static const struct upt_key_method key_methods[] = {
	/* The first row of a kind is its default and what our private keys sign with. */
	{"ed25519", UPT_KEY_ED25519, UPT_HASH_NONE},
	{"rsassa-pss-sha256", UPT_KEY_RSA, UPT_HASH_SHA256},
	{"rsassa-pss", UPT_KEY_RSA, UPT_HASH_SHA256},
	{"rsassa-pss-sha512", UPT_KEY_RSA, UPT_HASH_SHA512},
	{"ecdsa-sha2-nistp256", UPT_KEY_P256, UPT_HASH_SHA256},
	{"ecdsa", UPT_KEY_P256, UPT_HASH_SHA256},
	{"ecdsa-sha2-nistp384", UPT_KEY_P384, UPT_HASH_SHA384},
};

struct key_type_row {
	const char *name;
	enum upt_key_kind kind;
};

static const struct key_type_row key_types[] = {
	/* The first row of a kind is how we write it. */
	{"ed25519", UPT_KEY_ED25519},
	{"rsa", UPT_KEY_RSA},
	{"ecdsa", UPT_KEY_P256},
	{"ecdsa-sha2-nistp256", UPT_KEY_P256},
	{"ecprime256v1", UPT_KEY_P256},
	{"ecdsa", UPT_KEY_P384},
	{"ecdsa-sha2-nistp384", UPT_KEY_P384},
};

#define N_ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* ASCII only: a locale must not decide which key type a document names. */
static bool
name_is(struct upt_span name, const char *lower)
{
	size_t i;

	for (i = 0; i < name.len && lower[i] != '\0'; i++) {
		uint8_t c = name.data[i];
		if (c >= 'A' && c <= 'Z')
			c = (uint8_t)(c - 'A' + 'a');
		if (c != (uint8_t)lower[i])
			return false;
	}
	return i == name.len && lower[i] == '\0';
}

enum upt_key_kind
upt_key_kind_from_name(struct upt_span keytype)
{
	for (size_t i = 0; i < N_ROWS(key_types); i++) {
		if (name_is(keytype, key_types[i].name))
			return key_types[i].kind;
	}
	return UPT_KEY_NONE;
}

bool
upt_key_kind_has_name(enum upt_key_kind kind, struct upt_span keytype)
{
	for (size_t i = 0; i < N_ROWS(key_types); i++) {
		if (key_types[i].kind == kind && name_is(keytype, key_types[i].name))
			return true;
	}
	return false;
}

const char *
upt_key_kind_name(enum upt_key_kind kind)
{
	for (size_t i = 0; i < N_ROWS(key_types); i++) {
		if (key_types[i].kind == kind)
			return key_types[i].name;
	}
	return "";
}

const struct upt_key_method *
upt_key_method_find(enum upt_key_kind kind, struct upt_span name)
{
	for (size_t i = 0; i < N_ROWS(key_methods); i++) {
		if (key_methods[i].kind == kind && name_is(name, key_methods[i].name))
			return &key_methods[i];
	}
	return NULL;
}

const struct upt_key_method *
upt_key_method_default(enum upt_key_kind kind)
{
	for (size_t i = 0; i < N_ROWS(key_methods); i++) {
		if (key_methods[i].kind == kind)
			return &key_methods[i];
	}
	assert(false);
	return NULL;
}

enum upt_hash_alg
upt_hash_from_name(struct upt_span name)
{
	for (size_t i = UPT_HASH_SHA256; i <= UPT_HASH_SHA512; i++) {
		if (upt_span_equal(name, upt_span_str(hash_rows[i].name)))
			return (enum upt_hash_alg)i;
	}
	return UPT_HASH_NONE;
}

const char *
upt_hash_name(enum upt_hash_alg alg)
{
	return (size_t)alg < N_ROWS(hash_rows) ? hash_rows[alg].name : "";
}

size_t
upt_hash_bytes(enum upt_hash_alg alg)
{
	return (size_t)alg < N_ROWS(hash_rows) ? hash_rows[alg].n_bytes : 0;
}

bool
upt_digest_equal(const struct upt_digest *a, const struct upt_digest *b)
{
	size_t n = upt_hash_bytes(a->alg);
	volatile uint8_t differ = 0;

	/* Two digests that are both empty say nothing about the content: not equal. */
	if (n == 0 || a->alg != b->alg || a->len != n || b->len != n)
		return false;
	for (size_t i = 0; i < n; i++)
		differ |= (uint8_t)(a->bytes[i] ^ b->bytes[i]);
	return differ == 0;
}

bool
upt_digest_parse(enum upt_hash_alg alg, struct upt_span hex, struct upt_digest *out)
{
	struct upt_digest digest = {.alg = alg, .len = upt_hash_bytes(alg)};

	*out = (struct upt_digest){0};
	if (digest.len == 0 || !upt_hex_decode(hex, digest.bytes, digest.len))
		return false;
	*out = digest;
	return true;
}
