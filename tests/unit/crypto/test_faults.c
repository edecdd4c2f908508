/*
 * Every call that can fail while a private key is loaded, saved or used, or bytes are hashed, fails
 * once: the call says so, gives nothing out, and leaves the file of before or the new one.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/scratch.h"
#include "../faults/faults.h"

static const struct {
	const char *keytype;
	unsigned bits;
	size_t stride; /* OpenSSL allocates thousands of times to read a file */
} types[] = {{"ed25519", 0, 11}, {"rsa", 2048, 23}, {"ecdsa-sha2-nistp256", 0, 23},
	{"ecdsa-sha2-nistp384", 0, 37}};

#define N_TYPES (sizeof(types) / sizeof(types[0]))

struct scene {
	char *dir, path[4096];
	struct upt_private_key *key, *made; /* made: by a call under test */
	struct upt_buf file, text; /* of key */
	struct upt_buf out; /* of a call under test */
	struct upt_digest digest;
	const char *keytype;
};

/* ---- calls ---- */

static enum upt_code
load(struct scene *s, struct upt_err *err)
{
	enum upt_code code = upt_private_key_load(s->path, &s->made, err);

	assert_int_equal(code == UPT_OK, s->made != NULL);
	upt_private_key_free(&s->made);
	return code;
}

static enum upt_code
generate(struct scene *s, struct upt_err *err)
{
	enum upt_code code = upt_private_key_generate(s->keytype, 0, &s->made, err);

	assert_int_equal(code == UPT_OK, s->made != NULL);
	upt_private_key_free(&s->made);
	return code;
}

static enum upt_code
save(struct scene *s, struct upt_err *err)
{
	enum upt_code code = upt_private_key_save(s->key, s->path, err);
	upt_cleanup(upt_buf_clear) struct upt_buf now = {0};
	faults_pause();

	scratch_read(s->dir, "key.pem", &now);
	assert_true(upt_span_equal(upt_buf_span(&now), upt_buf_span(&s->file)));
	faults_resume();
	return code;
}

static enum upt_code
sign(struct scene *s, struct upt_err *err)
{
	enum upt_code code = upt_private_key_sign(s->key, upt_span_str("message"), &s->out, err);

	assert_int_equal(code == UPT_OK, s->out.len > 0);
	upt_buf_clear(&s->out);
	return code;
}

static enum upt_code
public_text(struct scene *s, struct upt_err *err)
{
	enum upt_code code = upt_private_key_public_text(s->key, &s->out, err);

	assert_int_equal(code == UPT_OK, s->out.len > 0);
	if (code == UPT_OK)
		assert_true(upt_span_equal(upt_buf_span(&s->out), upt_buf_span(&s->text)));
	upt_buf_clear(&s->out);
	return code;
}

static enum upt_code
hash(struct scene *s, struct upt_err *err)
{
	enum upt_code code = upt_hash_span(UPT_HASH_SHA512, upt_span_str("x"), &s->digest, err);

	assert_int_equal(code == UPT_OK, s->digest.len > 0);
	return code;
}

/* ---- failing them ---- */

/* OpenSSL gets along without some allocations, and forgets of others why it failed: a file may then
 * read as broken. */
static bool
fits(enum fault fault, enum upt_code code)
{
	if (fault == FAULT_MEMORY)
		return code == UPT_E_NO_MEMORY;
	if (fault == FAULT_DISK_ERROR)
		return code == UPT_E_IO;
	if (fault == FAULT_DISK_FULL)
		return code == UPT_E_NO_SPACE;
	return code == UPT_OK || code == UPT_E_NO_MEMORY || code == UPT_E_INTERNAL ||
	       code == UPT_E_KEY;
}

/* Returns how many calls failed. */
static size_t
fail_each(struct scene *s, enum upt_code (*call)(struct scene *s, struct upt_err *err),
	enum fault fault, size_t stride)
{
	size_t n = 0;

	for (size_t at = 0;; at += stride) {
		struct upt_err err = {0};
		enum upt_code code;

		faults_begin(fault, at);
		code = call(s, &err);
		if (!faults_end()) {
			assert_int_equal(code, UPT_OK);
			return n;
		}
		if (!fits(fault, code) || err.code != code)
			fail_msg("%s, %s, call %zu: told as %s: %s", s->keytype, fault_name(fault),
				at, upt_code_name(code), err.message);
		n++;
	}
}

static void
open_scene(struct scene *s, size_t type)
{
	*s = (struct scene){.keytype = types[type].keytype};
	s->dir = scratch_make_in_memory();
	scratch_path(s->path, s->dir, "key.pem");
	assert_ok(upt_private_key_generate(s->keytype, types[type].bits, &s->key, &err));
	assert_ok(upt_private_key_save(s->key, s->path, &err));
	assert_ok(upt_private_key_public_text(s->key, &s->text, &err));
	scratch_read(s->dir, "key.pem", &s->file);
	/* What OpenSSL allocates once is there before memory ends. */
	assert_ok(load(s, &err));
	assert_ok(sign(s, &err));
}

static void
close_scene(struct scene *s)
{
	upt_private_key_free(&s->key);
	upt_buf_clear(&s->file);
	upt_buf_clear(&s->text);
	scratch_remove(&s->dir);
}

static void
no_failure_gives_half_a_key_or_signature(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_TYPES; i++) {
		struct scene s;

		open_scene(&s, i);
		assert_true(fail_each(&s, load, FAULT_MEMORY, 1) > 0);
		assert_true(fail_each(&s, load, FAULT_DISK_ERROR, 1) >= 3);
		assert_true(fail_each(&s, load, FAULT_OPENSSL_MEMORY, types[i].stride) > 0);
		assert_true(fail_each(&s, sign, FAULT_MEMORY, 1) > 0);
		assert_true(fail_each(&s, sign, FAULT_OPENSSL_MEMORY, 1) > 0);
		assert_true(fail_each(&s, public_text, FAULT_MEMORY, 1) > 0);
		fail_each(&s, public_text, FAULT_OPENSSL_MEMORY, 1);
		if (types[i].bits == 0) {
			assert_true(fail_each(&s, generate, FAULT_MEMORY, 1) > 0);
			fail_each(&s, generate, FAULT_OPENSSL_MEMORY, types[i].stride);
		}
		close_scene(&s);
	}
}

static void
no_failure_loses_the_saved_key(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_TYPES; i++) {
		struct scene s;

		open_scene(&s, i);
		assert_true(fail_each(&s, save, FAULT_DISK_ERROR, 1) >= 5);
		assert_true(fail_each(&s, save, FAULT_DISK_FULL, 1) >= 3);
		fail_each(&s, save, FAULT_OPENSSL_MEMORY, 1);
		close_scene(&s);
	}
}

static void
no_failure_gives_half_a_digest(void **state)
{
	struct scene s = {.keytype = "sha512"};

	(void)state;
	assert_ok(hash(&s, &err));
	assert_true(fail_each(&s, hash, FAULT_MEMORY, 1) > 0);
	assert_true(fail_each(&s, hash, FAULT_OPENSSL_MEMORY, 1) > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_failure_gives_half_a_key_or_signature),
		cmocka_unit_test(no_failure_loses_the_saved_key),
		cmocka_unit_test(no_failure_gives_half_a_digest),
	};

	if (!faults_hook_openssl())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
