#include "support.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/encode.h"
#include "base/file.h"

/* RFC 8032, section 7.1, test 2, as PKCS#8. */
#define RFC8032_PKCS8                                                                              \
	"302e020100300506032b657004220420"                                                         \
	"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
#define RFC8032_PUBLIC "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
#define RFC8032_SIG                                                                                \
	"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"                         \
	"085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"

static char dir[64], path[128];

static void
write_file(const void *data, size_t len, mode_t mode)
{
	FILE *f;

	unlink(path);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void
write_pem(const char *label, const uint8_t *der, size_t len)
{
	upt_cleanup(upt_buf_clear) struct upt_buf pem = {0};

	assert_ok(upt_buf_printf(&pem, &err, "-----BEGIN %s-----\n", label));
	assert_ok(upt_base64_encode(upt_span(der, len), &pem, &err));
	assert_ok(upt_buf_printf(&pem, &err, "\n-----END %s-----\n", label));
	write_file(pem.data, pem.len, 0600);
}

static enum upt_code
load(char message[static UPT_ERR_MESSAGE_MAX])
{
	struct upt_private_key *key = (struct upt_private_key *)(uintptr_t)1;
	struct upt_err err = {0};
	enum upt_code code = upt_private_key_load(path, &key, &err);

	memcpy(message, err.message, UPT_ERR_MESSAGE_MAX);
	if (code != UPT_OK)
		assert_null(key);
	upt_private_key_free(&key);
	return code;
}

static void
saved_key_loads_and_signs_as_itself(void **state)
{
	static const struct {
		const char *keytype, *type, *method;
	} rows[] = {
		{"ed25519", "ed25519", "ed25519"},
		{"ecdsa-sha2-nistp256", "ecdsa", "ecdsa-sha2-nistp256"},
		{"ecdsa-sha2-nistp384", "ecdsa", "ecdsa-sha2-nistp384"},
		{"rsa", "rsa", "rsassa-pss-sha256"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct upt_private_key *made, *loaded;
		struct upt_public_key *public;
		struct upt_buf text = {0}, sig = {0};
		struct upt_span message = upt_span_str("what is signed");
		char id[65], id2[65], fingerprint[65];
		struct stat st;

		assert_ok(upt_private_key_generate(rows[i].keytype, 2048, &made, &err));
		assert_ok(upt_private_key_save(made, path, &err));
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
		assert_ok(upt_private_key_load(path, &loaded, &err));
		assert_string_equal(upt_private_key_type(loaded), rows[i].type);
		assert_string_equal(upt_private_key_method(loaded), rows[i].method);
		upt_private_key_id(made, id);
		upt_private_key_id(loaded, id2);
		assert_string_equal(id, id2);
		assert_ok(upt_private_key_public_text(made, &text, &err));
		assert_int_equal(parse(rows[i].type, (char *)text.data, &public), UPT_OK);
		upt_hex_encode(upt_span(upt_public_key_fingerprint(public), 32), fingerprint);
		assert_string_equal(id, fingerprint);
		assert_ok(upt_private_key_sign(loaded, message, &sig, &err));
		assert_int_equal(
			verify(public, rows[i].method, message, upt_buf_span(&sig)), UPT_OK);
		assert_string_equal(upt_public_key_default_method(public), rows[i].method);
		sig.data[sig.len / 2] ^= 1;
		assert_int_equal(verify(public, rows[i].method, message, upt_buf_span(&sig)),
			UPT_E_THRESHOLD);
		upt_public_key_free(&public);
		upt_private_key_free(&made);
		upt_private_key_free(&loaded);
		assert_null(loaded);
		upt_buf_clear(&text);
		upt_buf_clear(&sig);
	}
}

static void
rfc8032_key_signs_as_the_rfc_says(void **state)
{
	struct upt_private_key *key;
	struct upt_buf text = {0}, sig = {0};
	uint8_t der[64], want[64];
	size_t len = unhex(RFC8032_PKCS8, der, sizeof(der));

	(void)state;
	write_pem("PRIVATE KEY", der, len);
	assert_ok(upt_private_key_load(path, &key, &err));
	assert_ok(upt_private_key_public_text(key, &text, &err));
	assert_string_equal((char *)text.data, RFC8032_PUBLIC);
	assert_ok(upt_buf_append(&sig, "old bytes", 9, &err));
	assert_ok(upt_private_key_sign(key, upt_span("\x72", 1), &sig, &err));
	assert_int_equal(sig.len, unhex(RFC8032_SIG, want, sizeof(want)));
	assert_memory_equal(sig.data, want, sig.len);
	upt_private_key_free(&key);
	upt_buf_clear(&text);
	upt_buf_clear(&sig);
}

static void
save_replaces_an_open_file_by_a_closed_one(void **state)
{
	struct upt_private_key *key;
	char message[UPT_ERR_MESSAGE_MAX];

	(void)state;
	write_file("old", 3, 0666);
	assert_ok(upt_private_key_generate("ed25519", 0, &key, &err));
	assert_ok(upt_private_key_save(key, path, &err));
	assert_int_equal(load(message), UPT_OK);
	upt_private_key_free(&key);
}

static void
key_file_that_others_may_use_is_refused(void **state)
{
	static const mode_t bad[] = {0644, 0640, 0604, 0620, 0602, 0660, 0777, 0601};
	static const mode_t good[] = {0600, 0400, 0700};
	uint8_t der[64];
	size_t len = unhex(RFC8032_PKCS8, der, sizeof(der));
	char message[UPT_ERR_MESSAGE_MAX], mode[16];

	(void)state;
	write_pem("PRIVATE KEY", der, len);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(chmod(path, bad[i]), 0);
		assert_int_equal(load(message), UPT_E_KEY);
		snprintf(mode, sizeof(mode), "%04o", (unsigned)bad[i]);
		assert_non_null(strstr(message, mode));
		assert_non_null(strstr(message, path));
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(chmod(path, good[i]), 0);
		assert_int_equal(load(message), UPT_OK);
	}
}

static void
files_that_are_no_key_are_refused(void **state)
{
	uint8_t der[64], big[64 * 1024 + 1];
	size_t len = unhex(RFC8032_PKCS8, der, sizeof(der));
	char message[UPT_ERR_MESSAGE_MAX];

	(void)state;
	unlink(path);
	assert_int_equal(load(message), UPT_E_NOT_FOUND);
	write_file("", 0, 0600);
	assert_int_equal(load(message), UPT_E_KEY);
	write_file("text", 4, 0600);
	assert_int_equal(load(message), UPT_E_KEY);
	write_pem("EC PRIVATE KEY", der, len);
	assert_int_equal(load(message), UPT_E_KEY);
	assert_non_null(strstr(message, "openssl pkcs8"));
	write_pem("ENCRYPTED PRIVATE KEY", der, len);
	assert_int_equal(load(message), UPT_E_KEY);
	write_pem("PRIVATE KEY", der, len - 1);
	assert_int_equal(load(message), UPT_E_KEY);
	der[len] = 0;
	write_pem("PRIVATE KEY", der, len + 1);
	assert_int_equal(load(message), UPT_E_KEY);
	write_pem("PRIVATE KEY", der, len);
	assert_int_equal(load(message), UPT_OK);
	memset(big, '\n', sizeof(big));
	write_file(big, sizeof(big), 0600);
	assert_int_equal(load(message), UPT_E_KEY);
	assert_non_null(strstr(message, "65537"));
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(load(message), UPT_E_KEY);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(load(message), UPT_E_KEY);
	unlink(path);
}

static void
write_pkcs8(EVP_PKEY *pkey)
{
	FILE *f;

	unlink(path);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(PEM_write_PKCS8PrivateKey(f, pkey, NULL, NULL, 0, NULL, NULL), 1);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0600), 0);
}

static void
keys_outside_the_rules_are_refused(void **state)
{
	char message[UPT_ERR_MESSAGE_MAX];
	EVP_PKEY *pkey = make_rsa(1024);

	(void)state;
	write_pkcs8(pkey);
	assert_int_equal(load(message), UPT_E_KEY);
	assert_non_null(strstr(message, "1024"));
	EVP_PKEY_free(pkey);
	pkey = make_ec("P-521");
	write_pkcs8(pkey);
	assert_int_equal(load(message), UPT_E_KEY);
	EVP_PKEY_free(pkey);
	pkey = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	assert_non_null(pkey);
	write_pkcs8(pkey);
	assert_int_equal(load(message), UPT_E_KEY);
	EVP_PKEY_free(pkey);
	pkey = make_ec("P-256");
	write_pkcs8(pkey);
	assert_int_equal(load(message), UPT_OK);
	EVP_PKEY_free(pkey);
}

/* The public half that a file carries is another key's: its signatures would verify nowhere. */
static void
halves_of_two_keys_are_refused(void **state)
{
	EVP_PKEY *a = make_ec("P-256"), *b = make_ec("P-256");
	char message[UPT_ERR_MESSAGE_MAX];
	uint8_t point[65], other[65], *der = NULL, *at;
	size_t len = 0, other_len = 0;
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(a);
	int der_len = i2d_PKCS8_PRIV_KEY_INFO(info, &der);

	(void)state;
	assert_true(der_len > 0);
	assert_int_equal(EVP_PKEY_get_octet_string_param(
				 a, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &len),
		1);
	assert_int_equal(EVP_PKEY_get_octet_string_param(
				 b, OSSL_PKEY_PARAM_PUB_KEY, other, sizeof(other), &other_len),
		1);
	assert_int_equal(len, other_len);
	write_pem("PRIVATE KEY", der, (size_t)der_len);
	assert_int_equal(load(message), UPT_OK);
	at = memmem(der, (size_t)der_len, point, len);
	assert_non_null(at);
	memcpy(at, other, len);
	write_pem("PRIVATE KEY", der, (size_t)der_len);
	assert_int_equal(load(message), UPT_E_KEY);
	OPENSSL_free(der);
	PKCS8_PRIV_KEY_INFO_free(info);
	EVP_PKEY_free(a);
	EVP_PKEY_free(b);
}

static void
keys_of_unknown_types_or_sizes_are_not_generated(void **state)
{
	struct upt_private_key *key = (struct upt_private_key *)(uintptr_t)1;

	(void)state;
	assert_int_equal(upt_private_key_generate("ed448", 0, &key, NULL), UPT_E_UNSUPPORTED);
	assert_null(key);
	assert_int_equal(upt_private_key_generate("rsa", 1024, &key, NULL), UPT_E_UNSUPPORTED);
	assert_int_equal(upt_private_key_generate("rsa", 16384, &key, NULL), UPT_E_UNSUPPORTED);
}

static void
save_into_no_directory_fails(void **state)
{
	struct upt_private_key *key;
	char nowhere[160];

	(void)state;
	snprintf(nowhere, sizeof(nowhere), "%s/no/key.pem", dir);
	assert_ok(upt_private_key_generate("ed25519", 0, &key, &err));
	assert_int_equal(upt_private_key_save(key, nowhere, NULL), UPT_E_NOT_FOUND);
	upt_private_key_free(&key);
}

static int
make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/upt-crypto-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/key.pem", dir);
	return 0;
}

static int
remove_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(saved_key_loads_and_signs_as_itself),
		cmocka_unit_test(rfc8032_key_signs_as_the_rfc_says),
		cmocka_unit_test(save_replaces_an_open_file_by_a_closed_one),
		cmocka_unit_test(key_file_that_others_may_use_is_refused),
		cmocka_unit_test(files_that_are_no_key_are_refused),
		cmocka_unit_test(keys_outside_the_rules_are_refused),
		cmocka_unit_test(halves_of_two_keys_are_refused),
		cmocka_unit_test(keys_of_unknown_types_or_sizes_are_not_generated),
		cmocka_unit_test(save_into_no_directory_fails),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
