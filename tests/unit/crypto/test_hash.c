/* FIPS 180-4 examples, and what the callers of digests rely on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/encode.h"
#include "crypto/crypto.h"

struct vector {
	enum upt_hash_alg alg;
	const char *message;
	const char *hex;
};

static const struct vector vectors[] = {
	{UPT_HASH_SHA256, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
	{UPT_HASH_SHA256, "abc",
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	{UPT_HASH_SHA256, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
	{UPT_HASH_SHA512, "",
		"cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
		"47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"},
	{UPT_HASH_SHA512, "abc",
		"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
		"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
};

static void
known_messages_have_known_digests(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		const struct vector *v = &vectors[i];
		struct upt_digest got, want;

		assert_int_equal(
			upt_hash_span(v->alg, upt_span_str(v->message), &got, NULL), UPT_OK);
		assert_true(upt_digest_parse(v->alg, upt_span_str(v->hex), &want));
		assert_true(upt_digest_equal(&got, &want));
		assert_int_equal(got.len, upt_hash_bytes(v->alg));
		assert_memory_equal(got.bytes, want.bytes, got.len);
	}
}

static void
million_letters_in_uneven_pieces_hash_like_one_message(void **state)
{
	static const char *want[] = {
		[UPT_HASH_SHA256] =
			"cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
		[UPT_HASH_SHA512] =
			"e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973eb"
			"de0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b",
	};
	uint8_t piece[997];

	(void)state;
	memset(piece, 'a', sizeof(piece));
	for (enum upt_hash_alg alg = UPT_HASH_SHA256; alg <= UPT_HASH_SHA512; alg++) {
		struct upt_hash *h;
		struct upt_digest got, expected;
		size_t left = 1000000;

		assert_int_equal(upt_hash_new(alg, &h, NULL), UPT_OK);
		assert_int_equal(upt_hash_update(h, upt_span(NULL, 0), NULL), UPT_OK);
		while (left > 0) {
			size_t n = left < sizeof(piece) ? left : sizeof(piece);
			assert_int_equal(upt_hash_update(h, upt_span(piece, n), NULL), UPT_OK);
			left -= n;
		}
		assert_int_equal(upt_hash_final(h, &got, NULL), UPT_OK);
		upt_hash_free(&h);
		assert_null(h);
		assert_true(upt_digest_parse(alg, upt_span_str(want[alg]), &expected));
		assert_true(upt_digest_equal(&got, &expected));
	}
}

static void
unknown_algorithm_is_refused(void **state)
{
	struct upt_hash *h = (struct upt_hash *)(uintptr_t)1;
	struct upt_digest digest = {.alg = UPT_HASH_SHA256, .len = 32};

	(void)state;
	assert_int_equal(upt_hash_new(UPT_HASH_NONE, &h, NULL), UPT_E_UNSUPPORTED);
	assert_null(h);
	assert_int_equal(upt_hash_span(UPT_HASH_NONE, upt_span_str("abc"), &digest, NULL),
		UPT_E_UNSUPPORTED);
	assert_int_equal(digest.len, 0);
}

static void
names_are_exact(void **state)
{
	(void)state;
	assert_int_equal(upt_hash_from_name(upt_span_str("sha256")), UPT_HASH_SHA256);
	assert_int_equal(upt_hash_from_name(upt_span_str("sha512")), UPT_HASH_SHA512);
	assert_int_equal(upt_hash_from_name(upt_span_str("SHA256")), UPT_HASH_NONE);
	assert_int_equal(upt_hash_from_name(upt_span_str("sha25")), UPT_HASH_NONE);
	assert_int_equal(upt_hash_from_name(upt_span_str("sha2566")), UPT_HASH_NONE);
	assert_int_equal(upt_hash_from_name(upt_span_str("md5")), UPT_HASH_NONE);
	assert_int_equal(upt_hash_from_name(upt_span(NULL, 0)), UPT_HASH_NONE);
	assert_string_equal(upt_hash_name(UPT_HASH_SHA512), "sha512");
	assert_string_equal(upt_hash_name(UPT_HASH_NONE), "");
}

static void
digest_text_of_another_length_is_refused(void **state)
{
	char hex[129];
	struct upt_digest digest;

	(void)state;
	memset(hex, 'a', sizeof(hex));
	assert_true(upt_digest_parse(UPT_HASH_SHA256, upt_span(hex, 64), &digest));
	assert_int_equal(digest.len, 32);
	assert_false(upt_digest_parse(UPT_HASH_SHA256, upt_span(hex, 62), &digest));
	assert_int_equal(digest.alg, UPT_HASH_NONE);
	assert_int_equal(digest.len, 0);
	assert_false(upt_digest_parse(UPT_HASH_SHA256, upt_span(hex, 128), &digest));
	assert_false(upt_digest_parse(UPT_HASH_SHA512, upt_span(hex, 64), &digest));
	assert_false(upt_digest_parse(UPT_HASH_NONE, upt_span(hex, 0), &digest));
	hex[10] = 'g';
	assert_false(upt_digest_parse(UPT_HASH_SHA256, upt_span(hex, 64), &digest));
}

static void
digests_differ_by_any_byte_and_by_algorithm(void **state)
{
	struct upt_digest a, b, none = {0};

	(void)state;
	assert_int_equal(upt_hash_span(UPT_HASH_SHA512, upt_span_str("x"), &a, NULL), UPT_OK);
	b = a;
	assert_true(upt_digest_equal(&a, &b));
	for (size_t i = 0; i < a.len; i++) {
		b.bytes[i] ^= 1;
		assert_false(upt_digest_equal(&a, &b));
		b.bytes[i] ^= 1;
	}
	b.alg = UPT_HASH_SHA256;
	b.len = 32;
	assert_false(upt_digest_equal(&a, &b));
	b = a;
	b.len = 32;
	assert_false(upt_digest_equal(&a, &b));
	a.len = 0;
	assert_false(upt_digest_equal(&a, &a));
	assert_false(upt_digest_equal(&none, &none));
}

/* SHA-384 is for signatures by P-384 only: it hashes, and no metadata can list it. */
static void
sha384_hashes_and_has_no_name_in_metadata(void **state)
{
	static const uint8_t start[4] = {0xcb, 0x00, 0x75, 0x3f};
	struct upt_digest digest;

	(void)state;
	assert_int_equal(
		upt_hash_span(UPT_HASH_SHA384, upt_span_str("abc"), &digest, NULL), UPT_OK);
	assert_int_equal(digest.len, 48);
	assert_memory_equal(digest.bytes, start, sizeof(start));
	assert_int_equal(upt_hash_from_name(upt_span_str("sha384")), UPT_HASH_NONE);
}

static void
number_that_is_no_algorithm_has_no_name_and_no_bytes(void **state)
{
	const enum upt_hash_alg wrong = (enum upt_hash_alg)77;
	struct upt_digest digest = {.len = 1};

	(void)state;
	assert_string_equal(upt_hash_name(wrong), "");
	assert_int_equal(upt_hash_bytes(wrong), 0);
	assert_int_equal(
		upt_hash_span(wrong, upt_span_str("x"), &digest, NULL), UPT_E_UNSUPPORTED);
	assert_int_equal(digest.len, 0);
}

static void
random_bytes_fill_the_whole_buffer(void **state)
{
	uint8_t a[64] = {0}, b[64] = {0}, zero[16] = {0};

	(void)state;
	assert_int_equal(upt_random(a, sizeof(a), NULL), UPT_OK);
	assert_int_equal(upt_random(b, sizeof(b), NULL), UPT_OK);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_memory_not_equal(a, zero, sizeof(zero));
	assert_memory_not_equal(a + 48, zero, sizeof(zero));
	assert_int_equal(upt_random(a, (size_t)1 << 40, NULL), UPT_E_INTERNAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_messages_have_known_digests),
		cmocka_unit_test(million_letters_in_uneven_pieces_hash_like_one_message),
		cmocka_unit_test(unknown_algorithm_is_refused),
		cmocka_unit_test(names_are_exact),
		cmocka_unit_test(digest_text_of_another_length_is_refused),
		cmocka_unit_test(digests_differ_by_any_byte_and_by_algorithm),
		cmocka_unit_test(sha384_hashes_and_has_no_name_in_metadata),
		cmocka_unit_test(number_that_is_no_algorithm_has_no_name_and_no_bytes),
		cmocka_unit_test(random_bytes_fill_the_whole_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
