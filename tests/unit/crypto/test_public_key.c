#include "support.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>

#include "base/encode.h"

#define RFC8032_KEY2 "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
#define RFC8032_SIG2                                                                               \
	"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"                         \
	"085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"

static const char message_text[] = "{\"_type\":\"Root\"}";
static EVP_PKEY *rsa, *p256;

static struct upt_span
message(void)
{
	return upt_span_str(message_text);
}

struct signing {
	const char *hash;
	int padding; /* 0: not RSA */
	int salt_len;
	const char *mgf1; /* NULL: hash */
};

static struct upt_span
sign(EVP_PKEY *pkey, const struct signing *how, uint8_t out[static UPT_SIGNATURE_MAX_BYTES])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL;
	size_t len = UPT_SIGNATURE_MAX_BYTES;

	assert_int_equal(EVP_DigestSignInit_ex(ctx, &pctx, how->hash, NULL, NULL, pkey, NULL), 1);
	if (how->padding != 0)
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, how->padding), 1);
	if (how->padding == RSA_PKCS1_PSS_PADDING)
		assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, how->salt_len), 1);
	if (how->mgf1 != NULL)
		assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md_name(pctx, how->mgf1, NULL), 1);
	assert_int_equal(EVP_DigestSign(ctx, out, &len, (const unsigned char *)message_text,
				 strlen(message_text)),
		1);
	EVP_MD_CTX_free(ctx);
	return upt_span(out, len);
}

static struct upt_public_key *
parsed(const char *keytype, EVP_PKEY *pkey)
{
	struct upt_public_key *key;
	char *pem = spki_pem(pkey);

	assert_int_equal(parse(keytype, pem, &key), UPT_OK);
	free(pem);
	return key;
}

static enum upt_code
parse_hex_of(const char *keytype, EVP_PKEY *pkey)
{
	struct upt_public_key *key;
	char *hex = spki_hex(pkey);
	enum upt_code code = parse(keytype, hex, &key);

	free(hex);
	upt_public_key_free(&key);
	return code;
}

/* ---- ed25519 ---- */

static void
rfc8032_signatures_verify(void **state)
{
	static const struct {
		const char *key, *message, *sig;
	} vectors[] = {
		{"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
			"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
			"5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
		{RFC8032_KEY2, "72", RFC8032_SIG2},
		{"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
			"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
			"18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct upt_public_key *key;
		uint8_t text[8], sig[64];
		struct upt_span msg = upt_span(text, unhex(vectors[i].message, text, sizeof(text)));

		unhex(vectors[i].sig, sig, sizeof(sig));
		assert_int_equal(parse("ED25519", vectors[i].key, &key), UPT_OK);
		assert_string_equal(upt_public_key_type(key), "ed25519");
		assert_string_equal(upt_public_key_default_method(key), "ed25519");
		assert_int_equal(verify(key, "ed25519", msg, upt_span(sig, 64)), UPT_OK);
		upt_public_key_free(&key);
		assert_null(key);
	}
}

static void
ed25519_refuses_every_flipped_bit(void **state)
{
	struct upt_public_key *key;
	uint8_t sig[64], msg = 0x72;

	(void)state;
	unhex(RFC8032_SIG2, sig, sizeof(sig));
	assert_int_equal(parse("ed25519", RFC8032_KEY2, &key), UPT_OK);
	for (size_t bit = 0; bit < 512; bit++) {
		sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(verify(key, "ed25519", upt_span(&msg, 1), upt_span(sig, 64)),
			UPT_E_THRESHOLD);
		sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	msg ^= 1;
	assert_int_equal(
		verify(key, "ed25519", upt_span(&msg, 1), upt_span(sig, 64)), UPT_E_THRESHOLD);
	msg ^= 1;
	assert_int_equal(verify(key, "ed25519", upt_span(&msg, 1), upt_span(sig, 64)), UPT_OK);
	upt_public_key_free(&key);
}

static void
ed25519_refuses_signatures_of_another_length(void **state)
{
	struct upt_public_key *key;
	uint8_t sig[128] = {0}, msg = 0x72;

	(void)state;
	unhex(RFC8032_SIG2, sig, sizeof(sig));
	assert_int_equal(parse("ed25519", RFC8032_KEY2, &key), UPT_OK);
	for (size_t len = 0; len <= sizeof(sig); len++)
		assert_int_equal(verify(key, "ed25519", upt_span(&msg, 1), upt_span(sig, len)),
			len == 64 ? UPT_OK : UPT_E_THRESHOLD);
	upt_public_key_free(&key);
}

/* The same signature with S + L: a second text for it must not pass. */
static void
ed25519_refuses_a_second_spelling_of_a_signature(void **state)
{
	static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6,
		0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};
	struct upt_public_key *key;
	uint8_t sig[64], msg = 0x72;
	unsigned carry = 0;

	(void)state;
	unhex(RFC8032_SIG2, sig, sizeof(sig));
	for (size_t i = 0; i < 32; i++) {
		carry += (unsigned)sig[32 + i] + order[i];
		sig[32 + i] = (uint8_t)carry;
		carry >>= 8;
	}
	assert_int_equal(carry, 0);
	assert_int_equal(parse("ed25519", RFC8032_KEY2, &key), UPT_OK);
	assert_int_equal(
		verify(key, "ed25519", upt_span(&msg, 1), upt_span(sig, 64)), UPT_E_THRESHOLD);
	upt_public_key_free(&key);
}

static void
ed25519_refuses_keys_under_which_anybody_can_sign(void **state)
{
	static const char *const weak[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000080",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	};
	struct upt_public_key *key;

	(void)state;
	for (size_t i = 0; i < sizeof(weak) / sizeof(weak[0]); i++)
		assert_int_equal(parse("ed25519", weak[i], &key), UPT_E_MALFORMED);
	assert_int_equal(parse("ed25519", RFC8032_KEY2, &key), UPT_OK);
	upt_public_key_free(&key);
	/* One below the smallest refused spelling but the order-2 point's: still a number below p.
	 */
	assert_int_equal(
		parse("ed25519", "ebffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
			&key),
		UPT_OK);
	upt_public_key_free(&key);
}

static void
ed25519_refuses_text_of_another_form(void **state)
{
	static const char *const bad[] = {
		"",
		"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af466",
		RFC8032_KEY2 "00",
		RFC8032_KEY2 "\n",
		" " RFC8032_KEY2,
		"zd4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
		/* its SPKI DER: another spelling of the same key */
		"302a300506032b6570032100" RFC8032_KEY2,
	};
	struct upt_public_key *key;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse("ed25519", bad[i], &key), UPT_E_MALFORMED);
}

/* ---- RSA ---- */

static void
rsa_pss_takes_any_salt_length_of_its_hash(void **state)
{
	static const int salts[] = {0, 20, 32, 64, RSA_PSS_SALTLEN_MAX};
	struct upt_public_key *key = parsed("RSA", rsa);
	uint8_t sig[UPT_SIGNATURE_MAX_BYTES];

	(void)state;
	assert_string_equal(upt_public_key_type(key), "rsa");
	assert_string_equal(upt_public_key_default_method(key), "rsassa-pss-sha256");
	for (size_t i = 0; i < 5; i++) {
		struct signing how = {"SHA256", RSA_PKCS1_PSS_PADDING, salts[i], NULL};
		struct upt_span s = sign(rsa, &how, sig);
		assert_int_equal(verify(key, "rsassa-pss", message(), s), UPT_OK);
		assert_int_equal(verify(key, "rsassa-pss-sha256", message(), s), UPT_OK);
		assert_int_equal(verify(key, "RSASSA-PSS-SHA256", message(), s), UPT_OK);
		assert_int_equal(verify(key, "rsassa-pss-sha512", message(), s), UPT_E_THRESHOLD);
		how.hash = "SHA512";
		s = sign(rsa, &how, sig);
		assert_int_equal(verify(key, "rsassa-pss-sha512", message(), s), UPT_OK);
		assert_int_equal(verify(key, "rsassa-pss", message(), s), UPT_E_THRESHOLD);
	}
	upt_public_key_free(&key);
}

static void
rsa_refuses_other_paddings_and_mask_hashes(void **state)
{
	struct upt_public_key *key = parsed("rsa", rsa);
	uint8_t sig[UPT_SIGNATURE_MAX_BYTES];
	struct signing how = {"SHA256", RSA_PKCS1_PADDING, 0, NULL};

	(void)state;
	assert_int_equal(
		verify(key, "rsassa-pss", message(), sign(rsa, &how, sig)), UPT_E_THRESHOLD);
	how = (struct signing){"SHA256", RSA_PKCS1_PSS_PADDING, 32, "SHA1"};
	assert_int_equal(
		verify(key, "rsassa-pss", message(), sign(rsa, &how, sig)), UPT_E_THRESHOLD);
	how.mgf1 = NULL;
	assert_int_equal(verify(key, "rsassa-pss", message(), sign(rsa, &how, sig)), UPT_OK);
	upt_public_key_free(&key);
}

static void
rsa_refuses_damaged_signatures(void **state)
{
	struct signing how = {"SHA256", RSA_PKCS1_PSS_PADDING, 32, NULL};
	struct upt_public_key *key = parsed("rsa", rsa);
	uint8_t sig[UPT_SIGNATURE_MAX_BYTES] = {0};
	struct upt_span s = sign(rsa, &how, sig);

	(void)state;
	assert_int_equal(s.len, 256);
	for (size_t i = 0; i < s.len; i += 15) {
		sig[i] ^= 0x10;
		assert_int_equal(verify(key, "rsassa-pss", message(), s), UPT_E_THRESHOLD);
		sig[i] ^= 0x10;
	}
	assert_int_equal(verify(key, "rsassa-pss", message(), upt_span(sig, 255)), UPT_E_THRESHOLD);
	assert_int_equal(verify(key, "rsassa-pss", message(), upt_span(sig, 257)), UPT_E_THRESHOLD);
	assert_int_equal(verify(key, "rsassa-pss", message(), upt_span(NULL, 0)), UPT_E_THRESHOLD);
	assert_int_equal(verify(key, "rsassa-pss", upt_span_str("{}"), s), UPT_E_THRESHOLD);
	assert_int_equal(verify(key, "rsassa-pss", message(), s), UPT_OK);
	upt_public_key_free(&key);
}

static void
rsa_refuses_sizes_and_exponents_outside_the_rules(void **state)
{
	static const struct {
		int bits;
		uint64_t e;
		enum upt_code code;
	} rows[] = {
		{1024, 65537, UPT_E_UNSUPPORTED},
		{2040, 65537, UPT_E_UNSUPPORTED},
		{2047, 65537, UPT_E_UNSUPPORTED},
		{2048, 65537, UPT_OK},
		{8192, 65537, UPT_OK},
		{8193, 65537, UPT_E_UNSUPPORTED},
		{2048, 1, UPT_E_MALFORMED},
		{2048, 65536, UPT_E_MALFORMED},
		{2048, 3, UPT_E_UNSUPPORTED},
		{2048, 65535, UPT_E_UNSUPPORTED},
		{2048, UINT64_MAX, UPT_OK},
	};
	/* one bit more than 64, and more bits than the modulus has */
	static const int shifts[] = {64, 3000};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		EVP_PKEY *pkey = make_rsa_numbers(rows[i].bits, rows[i].e, 0);
		assert_int_equal(parse_hex_of("rsa", pkey), rows[i].code);
		EVP_PKEY_free(pkey);
	}
	for (size_t i = 0; i < 2; i++) {
		EVP_PKEY *pkey = make_rsa_numbers(2048, 1, shifts[i]);
		assert_int_equal(parse_hex_of("rsa", pkey), UPT_E_UNSUPPORTED);
		EVP_PKEY_free(pkey);
	}
}

static void
rsa_key_restricted_to_pss_is_unsupported(void **state)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
	EVP_PKEY *pkey = NULL;

	(void)state;
	assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 2048), 1);
	assert_int_equal(EVP_PKEY_generate(ctx, &pkey), 1);
	assert_int_equal(parse_hex_of("rsa", pkey), UPT_E_UNSUPPORTED);
	EVP_PKEY_free(pkey);
	EVP_PKEY_CTX_free(ctx);
}

/* ---- ECDSA ---- */

static void
ecdsa_takes_its_two_methods_and_refuses_damage(void **state)
{
	struct upt_public_key *key = parsed("ecPrime256v1", p256);
	uint8_t sig[UPT_SIGNATURE_MAX_BYTES] = {0};
	struct signing how = {"SHA256", 0, 0, NULL};
	struct upt_span s = sign(p256, &how, sig);

	(void)state;
	assert_string_equal(upt_public_key_type(key), "ecdsa");
	assert_string_equal(upt_public_key_default_method(key), "ecdsa-sha2-nistp256");
	assert_int_equal(verify(key, "ecdsa-sha2-nistp256", message(), s), UPT_OK);
	assert_int_equal(verify(key, "ecdsa", message(), s), UPT_OK);
	for (size_t i = 0; i < s.len; i++) {
		sig[i] ^= 0x04;
		assert_int_equal(verify(key, "ecdsa", message(), s), UPT_E_THRESHOLD);
		sig[i] ^= 0x04;
	}
	for (size_t len = 0; len < s.len + 40; len++)
		assert_int_equal(verify(key, "ecdsa", message(), upt_span(sig, len)),
			len == s.len ? UPT_OK : UPT_E_THRESHOLD);
	how.hash = "SHA512";
	assert_int_equal(verify(key, "ecdsa", message(), sign(p256, &how, sig)), UPT_E_THRESHOLD);
	upt_public_key_free(&key);
}

/* "ecdsa" names both curves; the narrower names hold only their own, and so do the methods. */
static void
ecdsa_p384_has_a_name_and_a_method_of_its_own(void **state)
{
	EVP_PKEY *p384 = make_ec("P-384");
	struct upt_public_key *key = parsed("ecdsa", p384),
			      *same = parsed("ECDSA-sha2-nistp384", p384);
	uint8_t sig[UPT_SIGNATURE_MAX_BYTES] = {0};
	struct signing how = {"SHA384", 0, 0, NULL};
	struct upt_span s = sign(p384, &how, sig);

	(void)state;
	assert_string_equal(upt_public_key_type(key), "ecdsa");
	assert_string_equal(upt_public_key_default_method(key), "ecdsa-sha2-nistp384");
	assert_memory_equal(upt_public_key_fingerprint(key), upt_public_key_fingerprint(same), 32);
	assert_int_equal(verify(key, "ecdsa-sha2-nistp384", message(), s), UPT_OK);
	assert_int_equal(verify(key, "ecdsa-sha2-nistp256", message(), s), UPT_E_UNSUPPORTED);
	assert_int_equal(verify(key, "ecdsa", message(), s), UPT_E_UNSUPPORTED);
	for (size_t i = 0; i < s.len; i++) {
		sig[i] ^= 0x04;
		assert_int_equal(verify(key, "ecdsa-sha2-nistp384", message(), s), UPT_E_THRESHOLD);
		sig[i] ^= 0x04;
	}
	for (size_t len = 0; len < s.len + 40; len++)
		assert_int_equal(verify(key, "ecdsa-sha2-nistp384", message(), upt_span(sig, len)),
			len == s.len ? UPT_OK : UPT_E_THRESHOLD);
	how.hash = "SHA256";
	assert_int_equal(verify(key, "ecdsa-sha2-nistp384", message(), sign(p384, &how, sig)),
		UPT_E_THRESHOLD);
	assert_int_equal(parse_hex_of("ecdsa-sha2-nistp256", p384), UPT_E_MALFORMED);
	assert_int_equal(parse_hex_of("ecprime256v1", p384), UPT_E_MALFORMED);
	assert_int_equal(parse_hex_of("ecdsa-sha2-nistp384", p256), UPT_E_MALFORMED);
	upt_public_key_free(&key);
	upt_public_key_free(&same);
	EVP_PKEY_free(p384);
}

/* (r, n - s) is a signature too; deployed signers do not normalise, so neither form is refused. */
static void
ecdsa_takes_both_halves_of_s(void **state)
{
	struct upt_public_key *key = parsed("ecdsa", p256);
	uint8_t bytes[UPT_SIGNATURE_MAX_BYTES];
	struct signing how = {"SHA256", 0, 0, NULL};
	struct upt_span s = sign(p256, &how, bytes);
	const unsigned char *pos = s.data;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &pos, (long)s.len);
	BIGNUM *order = NULL, *r, *other = BN_new();
	unsigned char *der = NULL;
	int len;

	(void)state;
	assert_true(BN_hex2bn(
		&order, "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551"));
	assert_int_equal(BN_sub(other, order, ECDSA_SIG_get0_s(sig)), 1);
	r = BN_dup(ECDSA_SIG_get0_r(sig));
	assert_int_equal(ECDSA_SIG_set0(sig, r, other), 1);
	len = i2d_ECDSA_SIG(sig, &der);
	assert_true(len > 0);
	assert_int_equal(verify(key, "ecdsa", message(), s), UPT_OK);
	assert_int_equal(verify(key, "ecdsa", message(), upt_span(der, (size_t)len)), UPT_OK);
	OPENSSL_free(der);
	ECDSA_SIG_free(sig);
	BN_free(order);
	upt_public_key_free(&key);
}

static void
ecdsa_refuses_zero_signatures(void **state)
{
	static const uint8_t zeros[] = {0x30, 0x06, 0x02, 0x01, 0x00, 0x02, 0x01, 0x00};
	struct upt_public_key *key = parsed("ecdsa", p256);

	(void)state;
	assert_int_equal(
		verify(key, "ecdsa", message(), upt_span(zeros, sizeof(zeros))), UPT_E_THRESHOLD);
	upt_public_key_free(&key);
}

static void
other_curves_are_unsupported(void **state)
{
	static const char *const groups[] = {"P-521", "P-224", "secp256k1", "brainpoolP384r1"};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		EVP_PKEY *pkey = make_ec(groups[i]);
		assert_int_equal(parse_hex_of("ecdsa", pkey), UPT_E_UNSUPPORTED);
		EVP_PKEY_free(pkey);
	}
	assert_int_equal(parse_hex_of("ecdsa", p256), UPT_OK);
}

static void
curve_given_by_parameters_is_unsupported(void **state)
{
	EVP_PKEY *pkey = make_ec("P-256");

	(void)state;
	assert_int_equal(parse_hex_of("ecdsa", pkey), UPT_OK);
	assert_int_equal(EVP_PKEY_set_utf8_string_param(
				 pkey, OSSL_PKEY_PARAM_EC_ENCODING, OSSL_PKEY_EC_ENCODING_EXPLICIT),
		1);
	assert_int_equal(parse_hex_of("ecdsa", pkey), UPT_E_UNSUPPORTED);
	EVP_PKEY_free(pkey);
}

static void
points_off_the_curve_are_malformed(void **state)
{
	static const char prefix[] = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
	struct upt_public_key *key;
	char *hex = spki_hex(p256);

	(void)state;
	assert_memory_equal(hex, prefix, strlen(prefix));
	hex[strlen(hex) - 1] = hex[strlen(hex) - 1] == '0' ? '1' : '0';
	assert_int_equal(parse("ecdsa", hex, &key), UPT_E_MALFORMED);
	free(hex);
	/* The point at infinity: under it anybody can sign. */
	assert_int_equal(
		parse("ecdsa", "3019301306072a8648ce3d020106082a8648ce3d03010703020000", &key),
		UPT_E_MALFORMED);
}

/* Adds one byte to the end of an SPKI's key and to the two or three lengths around it. */
static void
append_byte(char *hex, const size_t *lengths, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char digits[] = {hex[2 * lengths[i]], hex[2 * lengths[i] + 1], '\0'};
		unsigned long len = strtoul(digits, NULL, 16);

		snprintf(digits, sizeof(digits), "%02x", (unsigned)(len + 1) & 0xff);
		memcpy(hex + 2 * lengths[i], digits, 2);
	}
	memcpy(hex + strlen(hex), "00", 3);
}

/* Else one key would have as many spellings as anybody likes. */
static void
bytes_behind_a_key_inside_its_spki_are_malformed(void **state)
{
	static const size_t rsa_lengths[] = {3, 22}, ec_lengths[] = {1, 24};
	struct {
		const char *keytype;
		char *hex;
		const size_t *lengths;
	} cases[] = {{"rsa", spki_hex(rsa), rsa_lengths}, {"ecdsa", spki_hex(p256), ec_lengths}};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct upt_public_key *key;
		char *longer = calloc(1, strlen(cases[i].hex) + 3);

		memcpy(longer, cases[i].hex, strlen(cases[i].hex));
		assert_int_equal(parse(cases[i].keytype, longer, &key), UPT_OK);
		upt_public_key_free(&key);
		append_byte(longer, cases[i].lengths, 2);
		assert_int_equal(parse(cases[i].keytype, longer, &key), UPT_E_MALFORMED);
		free(longer);
		free(cases[i].hex);
	}
}

static void
other_algorithms_in_an_spki_are_unsupported(void **state)
{
	struct upt_public_key *key;

	(void)state;
	/* X25519, Ed448 */
	assert_int_equal(
		parse("rsa", "302a300506032b656e032100" RFC8032_KEY2, &key), UPT_E_UNSUPPORTED);
	assert_int_equal(
		parse("ecdsa", "302a300506032b6571032100" RFC8032_KEY2, &key), UPT_E_UNSUPPORTED);
}

/* ---- key text ---- */

static void
one_key_spelt_four_ways_has_one_fingerprint(void **state)
{
	EVP_PKEY *pkey = make_ec("P-256");
	struct upt_public_key *keys[4];
	char *text[4];

	(void)state;
	text[0] = spki_pem(pkey);
	text[1] = spki_hex(pkey);
	assert_int_equal(EVP_PKEY_set_utf8_string_param(
				 pkey, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "compressed"),
		1);
	text[2] = spki_hex(pkey);
	assert_true(strlen(text[2]) < strlen(text[1]));
	assert_int_equal(EVP_PKEY_set_utf8_string_param(
				 pkey, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "hybrid"),
		1);
	text[3] = spki_hex(pkey);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(
			parse(i % 2 == 0 ? "ECDSA" : "ecdsa-sha2-nistp256", text[i], &keys[i]),
			UPT_OK);
	for (size_t i = 1; i < 4; i++)
		assert_memory_equal(upt_public_key_fingerprint(keys[i]),
			upt_public_key_fingerprint(keys[0]), 32);
	for (size_t i = 0; i < 4; i++) {
		upt_public_key_free(&keys[i]);
		free(text[i]);
	}
	EVP_PKEY_free(pkey);
}

static void
fingerprint_is_the_hash_of_the_spki(void **state)
{
	EVP_PKEY *keys[] = {rsa, p256};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct upt_public_key *key = parsed(i == 0 ? "rsa" : "ecdsa", keys[i]);
		char *hex = spki_hex(keys[i]);
		uint8_t der[1024];
		struct upt_digest digest;
		size_t len = unhex(hex, der, sizeof(der));

		assert_ok(upt_hash_span(UPT_HASH_SHA256, upt_span(der, len), &digest, &err));
		assert_memory_equal(upt_public_key_fingerprint(key), digest.bytes, 32);
		free(hex);
		upt_public_key_free(&key);
	}
}

static void
pem_may_lack_its_last_line_break_or_have_crlf(void **state)
{
	struct upt_public_key *key;
	char *pem = spki_pem(rsa), *crlf = calloc(1, 2 * strlen(pem) + 1);
	size_t n = 0;

	(void)state;
	for (const char *p = pem; *p != '\0'; p++) {
		if (*p == '\n')
			crlf[n++] = '\r';
		crlf[n++] = *p;
	}
	assert_int_equal(parse("rsa", crlf, &key), UPT_OK);
	upt_public_key_free(&key);
	pem[strlen(pem) - 1] = '\0';
	assert_int_equal(parse("rsa", pem, &key), UPT_OK);
	upt_public_key_free(&key);
	free(crlf);
	free(pem);
}

static enum upt_code
parse_joined(const char *before, const char *text, const char *behind)
{
	size_t n = strlen(before) + strlen(text) + strlen(behind) + 1;
	char *joined = malloc(n);
	struct upt_public_key *key;
	enum upt_code code;

	assert_non_null(joined);
	snprintf(joined, n, "%s%s%s", before, text, behind);
	code = parse("rsa", joined, &key);
	upt_public_key_free(&key);
	free(joined);
	return code;
}

static void
text_around_a_key_is_malformed(void **state)
{
	char *pem = spki_pem(rsa), *hex = spki_hex(rsa);

	(void)state;
	assert_int_equal(parse_joined("", pem, ""), UPT_OK);
	assert_int_equal(parse_joined("", pem, " \n"), UPT_OK);
	assert_int_equal(parse_joined("\n", pem, ""), UPT_E_MALFORMED);
	assert_int_equal(parse_joined("comment\n", pem, ""), UPT_E_MALFORMED);
	assert_int_equal(parse_joined("", pem, "x"), UPT_E_MALFORMED);
	assert_int_equal(parse_joined("", pem, pem), UPT_E_MALFORMED);
	assert_int_equal(parse_joined("", hex, ""), UPT_OK);
	assert_int_equal(parse_joined("", hex, "00"), UPT_E_MALFORMED);
	assert_int_equal(parse_joined("", hex, "0"), UPT_E_MALFORMED);
	assert_int_equal(parse_joined("0x", hex, ""), UPT_E_MALFORMED);
	free(hex);
	free(pem);
}

static void
broken_pem_is_malformed(void **state)
{
	static const char *const bad[] = {
		"",
		"-",
		"-----BEGIN PUBLIC KEY-----",
		"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
		"-----BEGIN PUBLIC KEY-----\nMFkw\n",
		"-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n",
		"-----BEGIN PUBLIC KEY-----\nMF w\n-----END PUBLIC KEY-----\n",
		("-----BEGIN PUBLIC KEY-----\nProc-Type: 4,ENCRYPTED\n\nMFkw\n"
		 "-----END PUBLIC KEY-----\n"),
		"-----BEGIN CERTIFICATE-----\nMFkw\n-----END CERTIFICATE-----\n",
		"-----BEGIN RSA PUBLIC KEY-----\nMFkw\n-----END RSA PUBLIC KEY-----\n",
		"3059301306072a8648ce3d020106082a8648ce3d030107034200",
		"00",
	};
	struct upt_public_key *key;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(parse("rsa", bad[i], &key), UPT_E_MALFORMED);
		assert_int_equal(parse("ecdsa", bad[i], &key), UPT_E_MALFORMED);
	}
}

static void
oversized_key_text_is_malformed(void **state)
{
	char *hex = spki_hex(rsa), *text = calloc(1, UPT_KEY_TEXT_MAX_BYTES + 3);
	char *pem = spki_pem(rsa);
	struct upt_public_key *key;

	(void)state;
	/* White space behind a PEM block is fine up to the bound, and only up to it. */
	memset(text, '\n', UPT_KEY_TEXT_MAX_BYTES);
	memcpy(text, pem, strlen(pem));
	assert_int_equal(parse("rsa", text, &key), UPT_OK);
	upt_public_key_free(&key);
	text[UPT_KEY_TEXT_MAX_BYTES] = '\n';
	assert_int_equal(parse("rsa", text, &key), UPT_E_MALFORMED);
	free(text);
	free(hex);
	free(pem);
}

static void
key_of_another_type_than_named_is_malformed(void **state)
{
	struct upt_public_key *key;

	(void)state;
	assert_int_equal(parse_hex_of("ecdsa", rsa), UPT_E_MALFORMED);
	assert_int_equal(parse_hex_of("rsa", p256), UPT_E_MALFORMED);
	assert_int_equal(parse_hex_of("ed25519", p256), UPT_E_MALFORMED);
	assert_int_equal(parse("rsa", RFC8032_KEY2, &key), UPT_E_MALFORMED);
	assert_int_equal(
		parse("rsa", "302a300506032b6570032100" RFC8032_KEY2, &key), UPT_E_MALFORMED);
}

static void
unknown_key_types_are_unsupported(void **state)
{
	static const char *const names[] = {
		"", "rs", "rsaa", "ed448", "ed25519 ", "dsa", "sm2", "ecdsa-sha2-nistp521"};
	struct upt_public_key *key;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(parse(names[i], RFC8032_KEY2, &key), UPT_E_UNSUPPORTED);
	/* a NUL inside a name ends nothing */
	assert_int_equal(upt_public_key_parse(
				 upt_span("ed25519", 8), upt_span_str(RFC8032_KEY2), &key, NULL),
		UPT_E_UNSUPPORTED);
}

static void
methods_of_other_key_types_are_unsupported(void **state)
{
	static const char *const methods[] = {"ed25519", "rsassa-pss", "rsassa-pss-sha256",
		"rsassa-pss-sha512", "ecdsa-sha2-nistp256", "ecdsa", "", "rsassa-pkcs1v15-sha256",
		"ed25519ph", "ecdsa-sha2-nistp384"};
	static const unsigned own[] = {0x01, 0x0e, 0x30}; /* bit i: methods[i] is of this key */
	struct upt_public_key *keys[3];
	uint8_t sig[256] = {1};

	(void)state;
	assert_int_equal(parse("ed25519", RFC8032_KEY2, &keys[0]), UPT_OK);
	keys[1] = parsed("rsa", rsa);
	keys[2] = parsed("ecdsa", p256);
	for (size_t k = 0; k < 3; k++) {
		for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
			assert_int_equal(verify(keys[k], methods[i], message(),
						 upt_span(sig, k == 0 ? 64 : 256)),
				(own[k] >> i & 1) != 0 ? UPT_E_THRESHOLD : UPT_E_UNSUPPORTED);
		upt_public_key_free(&keys[k]);
	}
}

static int
make_keys(void **state)
{
	(void)state;
	rsa = make_rsa(2048);
	p256 = make_ec("P-256");
	return 0;
}

static int
free_keys(void **state)
{
	(void)state;
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(p256);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc8032_signatures_verify),
		cmocka_unit_test(ed25519_refuses_every_flipped_bit),
		cmocka_unit_test(ed25519_refuses_signatures_of_another_length),
		cmocka_unit_test(ed25519_refuses_a_second_spelling_of_a_signature),
		cmocka_unit_test(ed25519_refuses_keys_under_which_anybody_can_sign),
		cmocka_unit_test(ed25519_refuses_text_of_another_form),
		cmocka_unit_test(rsa_pss_takes_any_salt_length_of_its_hash),
		cmocka_unit_test(rsa_refuses_other_paddings_and_mask_hashes),
		cmocka_unit_test(rsa_refuses_damaged_signatures),
		cmocka_unit_test(rsa_refuses_sizes_and_exponents_outside_the_rules),
		cmocka_unit_test(rsa_key_restricted_to_pss_is_unsupported),
		cmocka_unit_test(ecdsa_takes_its_two_methods_and_refuses_damage),
		cmocka_unit_test(ecdsa_p384_has_a_name_and_a_method_of_its_own),
		cmocka_unit_test(ecdsa_takes_both_halves_of_s),
		cmocka_unit_test(ecdsa_refuses_zero_signatures),
		cmocka_unit_test(other_curves_are_unsupported),
		cmocka_unit_test(curve_given_by_parameters_is_unsupported),
		cmocka_unit_test(points_off_the_curve_are_malformed),
		cmocka_unit_test(bytes_behind_a_key_inside_its_spki_are_malformed),
		cmocka_unit_test(other_algorithms_in_an_spki_are_unsupported),
		cmocka_unit_test(one_key_spelt_four_ways_has_one_fingerprint),
		cmocka_unit_test(fingerprint_is_the_hash_of_the_spki),
		cmocka_unit_test(pem_may_lack_its_last_line_break_or_have_crlf),
		cmocka_unit_test(text_around_a_key_is_malformed),
		cmocka_unit_test(broken_pem_is_malformed),
		cmocka_unit_test(oversized_key_text_is_malformed),
		cmocka_unit_test(key_of_another_type_than_named_is_malformed),
		cmocka_unit_test(unknown_key_types_are_unsupported),
		cmocka_unit_test(methods_of_other_key_types_are_unsupported),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
