/* Signatures: spellings, forms, key types, and what counts towards a threshold. */
#include "world.h"

#include <stdio.h>
#include <string.h>
#include "base/encode.h"
#include "json/json.h"
#include "metadata/envelope.h"
#include "metadata/limits.h"

struct sig {
	const struct upt_private_key *key; /* NULL: text is the signature */
	const char *keyid; /* NULL: the key's own */
	const char *method; /* NULL: none, as plain TUF */
	enum upt_json_form form;
	bool base64;
	const char *text;
	bool over_something_else;
};

static void
append_signature(const struct sig *s, struct upt_span payload, struct upt_buf *out)
{
	struct upt_buf message = {0}, raw = {0};
	char id[65], hex[2 * UPT_SIGNATURE_MAX_BYTES + 1];

	assert_code(upt_buf_printf(out, NULL, "{\"sig\":\""), UPT_OK);
	if (s->key == NULL) {
		assert_code(upt_buf_printf(out, NULL, "%s", s->text), UPT_OK);
	} else {
		assert_code(upt_json_canonical(payload, s->form, &message, NULL), UPT_OK);
		if (s->over_something_else)
			message.data[message.len / 2] ^= 1;
		assert_code(
			upt_private_key_sign(s->key, upt_buf_span(&message), &raw, NULL), UPT_OK);
		upt_private_key_id(s->key, id);
		if (s->base64) {
			assert_code(upt_base64_encode(upt_buf_span(&raw), out, NULL), UPT_OK);
		} else {
			upt_hex_encode(upt_buf_span(&raw), hex);
			assert_code(upt_buf_printf(out, NULL, "%s", hex), UPT_OK);
		}
	}
	assert_code(
		upt_buf_printf(out, NULL, "\",\"keyid\":\"%s\"", s->keyid != NULL ? s->keyid : id),
		UPT_OK);
	if (s->method != NULL)
		assert_code(upt_buf_printf(out, NULL, ",\"method\":\"%s\"", s->method), UPT_OK);
	assert_code(upt_buf_printf(out, NULL, "}"), UPT_OK);
	upt_buf_clear(&message);
	upt_buf_clear(&raw);
}

/* Deletes the payload; out is replaced. The payload is served as cJSON prints it, not canonical. */
static void
envelope(cJSON *payload, const struct sig *sigs, size_t n, struct upt_buf *out)
{
	char *text = cJSON_Print(payload);

	assert_non_null(text);
	out->len = 0;
	assert_code(upt_buf_printf(out, NULL, "{\"signatures\": ["), UPT_OK);
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			assert_code(upt_buf_printf(out, NULL, ", "), UPT_OK);
		append_signature(&sigs[i], upt_span_str(text), out);
	}
	assert_code(upt_buf_printf(out, NULL, "],\n\"signed\": %s}", text), UPT_OK);
	cJSON_free(text);
	cJSON_Delete(payload);
}

static void
pin_accepts(struct world *w, cJSON *root, const struct sig *sigs, size_t n)
{
	struct upt_buf bytes = {0};

	envelope(root, sigs, n, &bytes);
	world_reset(w);
	accepts_bytes(w, PIN, upt_buf_span(&bytes));
	upt_buf_clear(&bytes);
}

static void
pin_refuses(struct world *w, cJSON *root, const struct sig *sigs, size_t n, enum upt_code want)
{
	struct upt_buf bytes = {0};

	envelope(root, sigs, n, &bytes);
	world_reset(w);
	refuses_bytes(w, PIN, upt_buf_span(&bytes), want);
	upt_buf_clear(&bytes);
}

static cJSON *
root_of_two(struct world *w, unsigned threshold)
{
	return plan_root(w, &(struct root_plan){1, K(ROOT) | K(ROOT2), K(TIME), K(SNAP), K(TARG),
				    threshold, false});
}

static void
signature_counts_in_hex_and_in_base64(void **state)
{
	struct world *w = *state;
	struct sig s = {.key = w->keys[ROOT]};

	pin_accepts(w, plain_root(w, 1), &s, 1);
	s.base64 = true;
	pin_accepts(w, plain_root(w, 1), &s, 1);
	s.method = "ed25519";
	pin_accepts(w, plain_root(w, 1), &s, 1);
	s.over_something_else = true;
	pin_refuses(w, plain_root(w, 1), &s, 1, UPT_E_THRESHOLD);
}

/* OTA servers list no scheme with the key: the signature's method decides; TUF does it the other
 * way. */
static void
method_or_scheme_may_be_missing_but_must_not_differ(void **state)
{
	struct world *w = *state;
	struct sig s = {.key = w->keys[ROOT], .method = "ED25519"};
	char id[65], path[100];

	upt_private_key_id(w->keys[ROOT], id);
	snprintf(path, sizeof(path), "keys/%s/scheme", id);
	pin_accepts(w, plain_root(w, 1), &s, 1);
	for (int i = 0; i < 3; i++) {
		static const char *const methods[] = {"ed25519", NULL, "rsassa-pss-sha256"};
		cJSON *root = plain_root(w, 1);

		drop_member(root, path);
		s.method = methods[i];
		if (i < 2)
			pin_accepts(w, root, &s, 1);
		else
			pin_refuses(w, root, &s, 1, UPT_E_THRESHOLD);
	}
	for (int i = 0; i < 2; i++) {
		static const char *const schemes[] = {"rsassa-pss-sha256", "ed25519-of-tomorrow"};
		cJSON *root = plain_root(w, 1);

		set_member(root, path, cJSON_CreateString(schemes[i]));
		s.method = "ed25519";
		pin_refuses(w, root, &s, 1, UPT_E_THRESHOLD);
	}
}

/* PEM holds line breaks, which the three canonical forms spell in two ways; é makes it three. */
static void
pem_key_counts_in_each_of_the_three_forms(void **state)
{
	struct world *w = *state;
	static const char *const types[] = {"rsa", "ecdsa-sha2-nistp256", "ed25519"};

	for (size_t t = 0; t < 3; t++) {
		struct sig s = {0};

		upt_private_key_free(&w->keys[ROOT]);
		assert_code(upt_private_key_generate(types[t], 2048, &w->keys[ROOT], NULL), UPT_OK);
		s.key = w->keys[ROOT];
		for (int form = 0; form < UPT_JSON_N_FORMS; form++) {
			cJSON *root = plain_root(w, 1);

			set_member(root, "x-owner", cJSON_CreateString("Andr\xc3\xa9\n"));
			s.form = (enum upt_json_form)form;
			pin_accepts(w, root, &s, 1);
		}
		s.over_something_else = true;
		pin_refuses(w, plain_root(w, 1), &s, 1, UPT_E_THRESHOLD);
		s.over_something_else = false;
	}
}

static void
signers_of_one_document_may_use_different_forms(void **state)
{
	struct world *w = *state;
	const struct sig sigs[] = {{.key = w->keys[ROOT], .form = UPT_JSON_OLPC},
		{.key = w->keys[ROOT2], .form = UPT_JSON_ASCII, .base64 = true}};
	cJSON *root = root_of_two(w, 2);

	set_member(root, "x-owner", cJSON_CreateString("Andr\xc3\xa9\n"));
	pin_accepts(w, root, sigs, 2);
}

/* A role that a root does not list has the threshold 0: no signature at all would reach it. */
static void
threshold_of_zero_is_never_reached(void **state)
{
	struct world *w = *state;
	const struct upt_metadata *root;
	struct upt_role_keys role;

	accepts(w, PIN, plain_root(w, 1), K(ROOT));
	root = upt_trusted_set_root(w->set);
	role = root->root.roles[UPT_ROLE_ROOT];
	assert_code(upt_envelope_check_threshold(
			    &root->envelope, &root->root.keyring, &role, "root", NULL),
		UPT_OK);
	role.threshold = 0;
	assert_code(upt_envelope_check_threshold(
			    &root->envelope, &root->root.keyring, &role, "root", NULL),
		UPT_E_BAD_THRESHOLD);
}

/* The scheme of a key and the method of its signature may be an old and a new name of one thing. */
static void
old_name_of_a_method_is_the_method(void **state)
{
	static const struct {
		const char *keytype, *scheme, *method, *other;
	} names[] = {
		{"rsa", "rsassa-pss", "rsassa-pss-sha256", "ed25519"},
		{"rsa", "rsassa-pss-sha256", "RSASSA-PSS", "ed25519"},
		{"ecdsa", "ecdsa", "ecdsa-sha2-nistp256", "rsassa-pss-sha256"},
	};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct sig s = {.method = names[i].method};
		char id[65], path[128];

		upt_private_key_free(&w->keys[ROOT]);
		assert_code(upt_private_key_generate(names[i].keytype, 2048, &w->keys[ROOT], NULL),
			UPT_OK);
		s.key = w->keys[ROOT];
		upt_private_key_id(s.key, id);
		snprintf(path, sizeof(path), "keys/%s/scheme", id);
		for (int wrong = 0; wrong < 2; wrong++) {
			cJSON *root = plain_root(w, 1);

			set_member(root, path, cJSON_CreateString(names[i].scheme));
			s.method = wrong ? names[i].other : names[i].method;
			if (wrong)
				pin_refuses(w, root, &s, 1, UPT_E_THRESHOLD);
			else
				pin_accepts(w, root, &s, 1);
		}
	}
}

static void
one_key_under_two_ids_counts_once(void **state)
{
	struct world *w = *state;
	struct sig sigs[] = {{.key = w->keys[ROOT]}, {.key = w->keys[ROOT], .keyid = "alias"}};
	char id[65];
	cJSON *root, *key, *twice[2];

	upt_private_key_id(w->keys[ROOT], id);
	for (int i = 0; i < 2; i++) {
		root = root_of_two(w, 2);
		key = cJSON_Duplicate(at(at(root, "keys"), id), true);
		set_member(root, "keys/alias", key);
		cJSON_AddItemToArray(at(root, "roles/root/keyids"), cJSON_CreateString("alias"));
		twice[i] = root;
	}
	pin_refuses(w, twice[0], sigs, 2, UPT_E_THRESHOLD);
	sigs[0] = (struct sig){.key = w->keys[ROOT2]};
	pin_accepts(w, twice[1], sigs, 2);
}

static void
keyid_twice_in_the_list_is_refused(void **state)
{
	struct world *w = *state;
	const struct sig sigs[] = {{.key = w->keys[ROOT]}, {.key = w->keys[ROOT]}};

	pin_refuses(w, root_of_two(w, 1), sigs, 2, UPT_E_DUPLICATE_KEYID);
	pin_accepts(w, root_of_two(w, 1), sigs, 1);
}

static void
key_of_another_role_does_not_count(void **state)
{
	struct world *w = *state;
	const struct sig sigs[] = {{.key = w->keys[ROOT]}, {.key = w->keys[TARG]}};
	cJSON *root = root_of_two(w, 2);

	pin_refuses(w, root, sigs, 2, UPT_E_THRESHOLD);
	root = root_of_two(w, 1);
	pin_refuses(w, root, sigs + 1, 1, UPT_E_THRESHOLD);
	pin_accepts(w, root_of_two(w, 1), sigs, 2);
}

static void
key_id_of_a_role_that_names_no_key_does_not_count(void **state)
{
	struct world *w = *state;
	const struct sig sigs[] = {
		{.key = w->keys[ROOT], .keyid = "nobody"}, {.key = w->keys[ROOT]}};
	cJSON *root = plain_root(w, 1);

	set_member(root, "roles/root/keyids", cJSON_Parse("[\"nobody\"]"));
	pin_refuses(w, root, sigs, 1, UPT_E_THRESHOLD);
	pin_accepts(w, plain_root(w, 1), sigs, 2);
}

/* Fifteen years of service will bring keys and methods that this build has never heard of. */
static void
unknown_keys_and_methods_do_not_hide_the_known_ones(void **state)
{
	struct world *w = *state;
	static char huge[5000];
	const struct sig sigs[] = {
		{.keyid = "pq", .text = "abcd", .method = "ml-dsa-65"},
		{.keyid = "broken", .text = "abcd"},
		{.keyid = "neither", .text = "***"},
		{.keyid = "huge", .text = huge, .method = "slh-dsa"},
		{.key = w->keys[ROOT]},
	};
	static const char *const keys[][2] = {
		{"keys/pq", "{\"keytype\":\"ml-dsa\",\"keyval\":{\"public\":\"00\"}}"},
		{"keys/broken", "{\"keytype\":\"ed25519\",\"keyval\":{\"public\":\"00\"}}"},
		{"keys/neither", "{\"keytype\":7,\"scheme\":[],\"keyval\":null}"},
		{"keys/huge", "{}"},
	};

	memset(huge, 'A', sizeof(huge) - 1);
	for (int enough = 0; enough < 2; enough++) {
		cJSON *root = plain_root(w, 1);

		for (size_t i = 0; i < 4; i++) {
			set_member(root, keys[i][0], cJSON_Parse(keys[i][1]));
			cJSON_AddItemToArray(at(root, "roles/root/keyids"),
				cJSON_CreateString(strchr(keys[i][0], '/') + 1));
		}
		if (enough)
			pin_accepts(w, root, sigs, 5);
		else
			pin_refuses(w, root, sigs, 4, UPT_E_THRESHOLD);
	}
}

static void
unsigned_envelope_shapes_are_refused(void **state)
{
	struct world *w = *state;
	static const char *const texts[] = {"", "{}", "[]", "null", "{\"signatures\":[]}",
		"{\"signed\":{}}", "{\"signatures\":{},\"signed\":{}}",
		"{\"signatures\":[],\"signed\":[]}", "{\"signatures\":[1],\"signed\":{}}",
		"{\"signatures\":[{\"sig\":\"00\"}],\"signed\":{}}",
		"{\"signatures\":[{\"keyid\":1,\"sig\":\"00\"}],\"signed\":{}}",
		"{\"signatures\":[],\"signed\":{},\"signed\":{}}"};

	world_reset(w);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		refuses_bytes(w, PIN, upt_span_str(texts[i]), UPT_E_MALFORMED);
}

/* Every wrong one costs a pass over the document, and its signer chose how many there are. */
static void
wrong_signatures_are_tried_sixteen_times(void **state)
{
	struct world *w = *state;
	struct sig sigs[UPT_MAX_WRONG_SIGNATURES + 2];
	char ids[UPT_MAX_WRONG_SIGNATURES + 1][24], path[40];

	for (size_t n = UPT_MAX_WRONG_SIGNATURES; n <= UPT_MAX_WRONG_SIGNATURES + 1; n++) {
		cJSON *root = plain_root(w, 1);

		for (size_t i = 0; i < n; i++) {
			struct upt_private_key *key = w->keys[i % 2 ? TARG : TIME];

			snprintf(ids[i], sizeof(ids[i]), "wrong-%zu", i);
			snprintf(path, sizeof(path), "keys/%s", ids[i]);
			set_member(root, path, upt_author_key(key));
			cJSON_AddItemToArray(
				at(root, "roles/root/keyids"), cJSON_CreateString(ids[i]));
			sigs[i] = (struct sig){
				.key = key, .keyid = ids[i], .over_something_else = true};
		}
		sigs[n] = (struct sig){.key = w->keys[ROOT]};
		if (n > UPT_MAX_WRONG_SIGNATURES)
			pin_refuses(w, root, sigs, n + 1, UPT_E_THRESHOLD);
		else
			pin_accepts(w, root, sigs, n + 1);
	}
}

static void
signatures_beyond_the_limit_are_refused(void **state)
{
	struct world *w = *state;
	static struct sig sigs[UPT_MAX_SIGNATURES + 1];
	static char ids[UPT_MAX_SIGNATURES + 1][16];

	for (size_t i = 0; i < UPT_MAX_SIGNATURES; i++) {
		snprintf(ids[i], sizeof(ids[i]), "%zu", i);
		sigs[i] = (struct sig){.keyid = ids[i], .text = "00"};
	}
	sigs[UPT_MAX_SIGNATURES] = (struct sig){.key = w->keys[ROOT]};
	pin_refuses(w, plain_root(w, 1), sigs, UPT_MAX_SIGNATURES + 1, UPT_E_MALFORMED);
	pin_accepts(w, plain_root(w, 1), sigs + 1, UPT_MAX_SIGNATURES);
}

static void
key_ids_are_bounded(void **state)
{
	struct world *w = *state;
	char id[UPT_MAX_KEYID_BYTES + 2], path[sizeof(id) + 8];

	memset(id, 'k', sizeof(id));
	for (size_t len = UPT_MAX_KEYID_BYTES; len <= UPT_MAX_KEYID_BYTES + 1; len++) {
		struct sig sigs[] = {{.key = w->keys[ROOT]}, {.keyid = id, .text = "00"}};

		id[len] = '\0';
		for (int where = 0; where < 3; where++) {
			cJSON *root = plain_root(w, 1);

			snprintf(path, sizeof(path), "keys/%s", id);
			if (where == 1)
				set_member(root, path, cJSON_CreateObject());
			if (where == 2)
				cJSON_AddItemToArray(
					at(root, "roles/root/keyids"), cJSON_CreateString(id));
			if (len <= UPT_MAX_KEYID_BYTES)
				pin_accepts(w, root, sigs, where == 0 ? 2 : 1);
			else
				pin_refuses(w, root, sigs, where == 0 ? 2 : 1, UPT_E_MALFORMED);
		}
		id[len] = 'k';
	}
}

/* Hex of 1024 bytes is the longest that is decoded; what is longer is some later method's. */
static void
longest_signature_text_is_read(void **state)
{
	struct world *w = *state;
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	static char text[2 * UPT_SIGNATURE_MAX_BYTES + 3];
	struct upt_envelope e;

	memset(text, 'a', sizeof(text) - 1);
	for (size_t len = sizeof(text) - 3; len < sizeof(text); len += 2) {
		upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
		struct sig s = {.keyid = "k", .text = text};

		text[len] = '\0';
		envelope(empty_targets(1), &s, 1, &bytes);
		assert_code(upt_envelope_parse(upt_buf_span(&bytes), &arena, &e, NULL), UPT_OK);
		assert_int_equal(e.signatures[0].value.len,
			len <= 2 * UPT_SIGNATURE_MAX_BYTES ? UPT_SIGNATURE_MAX_BYTES : 0);
		text[len] = 'a';
	}
	(void)w;
}

static void
keys_beyond_the_limit_are_refused(void **state)
{
	struct world *w = *state;
	const struct sig s = {.key = w->keys[ROOT]};

	for (int over = 0; over < 2; over++) {
		cJSON *root = plain_root(w, 1);

		for (int i = cJSON_GetArraySize(at(root, "keys")); i < UPT_MAX_KEYS + over; i++) {
			char name[24];

			snprintf(name, sizeof(name), "more-%d", i);
			cJSON_AddItemToObject(at(root, "keys"), name, cJSON_CreateObject());
		}
		if (over)
			pin_refuses(w, root, &s, 1, UPT_E_MALFORMED);
		else
			pin_accepts(w, root, &s, 1);
	}
}

/* What a man in the middle may do without a key: the signed text may be spelt in any way. */
static void
escapes_in_names_change_nothing(void **state)
{
	struct world *w = *state;
	struct upt_buf plain = {0}, spelt = {0};
	const char *rest, *key;

	sign_with(w, plain_root(w, 1), K(ROOT), &plain);
	rest = (const char *)plain.data;
	while ((key = strstr(rest, "\"keyids\"")) != NULL) {
		assert_code(upt_buf_append(&spelt, rest, (size_t)(key - rest), NULL), UPT_OK);
		assert_code(upt_buf_printf(&spelt, NULL, "\"k\\u0065yids\""), UPT_OK);
		rest = key + strlen("\"keyids\"");
	}
	assert_code(upt_buf_printf(&spelt, NULL, "%s", rest), UPT_OK);
	assert_true(spelt.len > plain.len);
	world_reset(w);
	accepts_bytes(w, PIN, upt_buf_span(&spelt));
	upt_buf_clear(&plain);
	upt_buf_clear(&spelt);
}

static void
single_signature_is_checked_by_its_own_method(void **state)
{
	struct world *w = *state;
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	upt_cleanup(upt_public_key_free) struct upt_public_key *key = NULL;
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0}, text = {0};
	struct upt_envelope e;
	struct upt_err err = {0};
	const struct sig sigs[] = {{.key = w->keys[ROOT], .method = "ed25519"},
		{.key = w->keys[ROOT], .keyid = "no-method"},
		{.key = w->keys[ROOT],
			.keyid = "wrong",
			.method = "ed25519",
			.over_something_else = true},
		{.key = w->keys[ROOT], .keyid = "unknown", .method = "x"}};

	assert_code(upt_private_key_public_text(w->keys[ROOT], &text, NULL), UPT_OK);
	assert_code(upt_public_key_parse(upt_span_str("ed25519"), upt_buf_span(&text), &key, NULL),
		UPT_OK);
	envelope(empty_targets(1), sigs, 4, &bytes);
	assert_code(upt_envelope_parse(upt_buf_span(&bytes), &arena, &e, NULL), UPT_OK);
	assert_int_equal(e.n_signatures, 4);
	assert_code(upt_envelope_check_signature(&e, &e.signatures[0], key, &err), UPT_OK);
	for (size_t i = 1; i < 4; i++) {
		assert_code(upt_envelope_check_signature(&e, &e.signatures[i], key, &err),
			UPT_E_THRESHOLD);
		assert_code(err.code, UPT_E_THRESHOLD);
	}
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(signature_counts_in_hex_and_in_base64),
		T(method_or_scheme_may_be_missing_but_must_not_differ),
		T(pem_key_counts_in_each_of_the_three_forms),
		T(signers_of_one_document_may_use_different_forms),
		T(threshold_of_zero_is_never_reached),
		T(old_name_of_a_method_is_the_method),
		T(one_key_under_two_ids_counts_once),
		T(keyid_twice_in_the_list_is_refused),
		T(key_of_another_role_does_not_count),
		T(key_id_of_a_role_that_names_no_key_does_not_count),
		T(unknown_keys_and_methods_do_not_hide_the_known_ones),
		T(unsigned_envelope_shapes_are_refused),
		T(wrong_signatures_are_tried_sixteen_times),
		T(signatures_beyond_the_limit_are_refused),
		T(key_ids_are_bounded),
		T(longest_signature_text_is_read),
		T(keys_beyond_the_limit_are_refused),
		T(escapes_in_names_change_nothing),
		T(single_signature_is_checked_by_its_own_method),
	};
	return cmocka_run_group_tests_name("envelope", tests, NULL, NULL);
}
