/* Reading targets: what every entry must have, and what an entry says. */
#include "world.h"

#include <stdio.h>
#include <string.h>

#include "metadata/limits.h"

static enum upt_code
parse(struct world *w, cJSON *payload, struct upt_metadata **out)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	enum upt_code code;

	sign_with(w, payload, K(TARG), &bytes);
	code = upt_metadata_parse(UPT_ROLE_TARGETS, "targets", &bytes, out, NULL);
	if (code == UPT_OK)
		assert_null(bytes.data);
	else
		assert_null(*out);
	return code;
}

static cJSON *
one_target(void)
{
	cJSON *t = targets_with(1, "x", upt_span("content", 7));

	set_member(t, "targets/x/custom", cJSON_CreateObject());
	return t;
}

static void
entries_without_length_or_hash_are_refused_at_once(void **state)
{
	struct world *w = *state;
	struct upt_metadata *m;
	static const struct {
		const char *path, *json;
		enum upt_code want;
	} cases[] = {
		{"targets", NULL, UPT_E_MALFORMED},
		{"targets", "[]", UPT_E_MALFORMED},
		{"targets", "null", UPT_E_MALFORMED},
		{"targets/x", "1", UPT_E_MALFORMED},
		{"targets/x/length", NULL, UPT_E_MALFORMED},
		{"targets/x/length", "\"7\"", UPT_E_MALFORMED},
		{"targets/x/hashes", NULL, UPT_E_MALFORMED},
		{"targets/x/hashes", "{}", UPT_E_MALFORMED},
		{"targets/x/hashes/sha256", "\"zz\"", UPT_E_MALFORMED},
		{"targets/x/hashes/sha256", "\"00\"", UPT_E_MALFORMED},
		{"targets/x/hashes/sha256", "7", UPT_E_MALFORMED},
		{"targets/x/custom", "7", UPT_E_MALFORMED},
		{"custom", "[]", UPT_E_MALFORMED},
		{"custom", "null", UPT_OK},
		{"targets/x/custom", "null", UPT_OK},
		{"targets/x/hashes/md5", "\"whatever\"", UPT_OK},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cJSON *t = one_target();

		if (cases[i].json == NULL)
			drop_member(t, cases[i].path);
		else
			set_member(t, cases[i].path, cJSON_Parse(cases[i].json));
		assert_code(parse(w, t, &m), cases[i].want);
		if (m != NULL)
			upt_metadata_free(&m);
	}
}

static void
names_are_bounded(void **state)
{
	struct world *w = *state;
	struct upt_metadata *m;
	char name[UPT_TARGET_NAME_MAX + 2];

	memset(name, 'n', sizeof(name));
	name[UPT_TARGET_NAME_MAX] = '\0';
	assert_code(parse(w, targets_with(1, name, upt_span("c", 1)), &m), UPT_OK);
	assert_int_equal(upt_targets_find(&m->targets, name), 0);
	upt_metadata_free(&m);
	for (int empty = 0; empty < 2; empty++) {
		cJSON *t = one_target();

		name[UPT_TARGET_NAME_MAX] = 'n';
		name[UPT_TARGET_NAME_MAX + 1] = '\0';
		cJSON_AddItemToObject(at(t, "targets"), empty ? "" : name,
			cJSON_Duplicate(at(t, "targets/x"), true));
		assert_code(parse(w, t, &m), UPT_E_MALFORMED);
	}
}

static void
entry_is_read_whole(void **state)
{
	struct world *w = *state;
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	struct upt_metadata *m;
	struct upt_target t;
	cJSON *payload = one_target();

	set_member(payload, "targets/x/hashes/sha512",
		cJSON_CreateString(
			"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
			"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"));
	set_member(payload, "targets/x/custom",
		cJSON_Parse("{\"ecuIdentifiers\":{\"E1\":{\"hardwareId\":\"h1\",\"more\":1},"
			    "\"E2\":{\"hardwareId\":\"h2\"}},\"hardwareIds\":[\"h1\",\"h2\"],"
			    "\"releaseCounter\":9007199254740991,\"targetFormat\":\"OSTREE\","
			    "\"uri\":\"https://x/y\",\"mustMatch\":{\"a\":[1]},\"other\":null}"));
	assert_code(parse(w, payload, &m), UPT_OK);
	assert_code(upt_targets_get(&m->targets, 0, &arena, &t, NULL), UPT_OK);
	assert_string_equal(t.image.name, "x");
	assert_int_equal(t.image.length_bytes, 7);
	assert_int_equal(t.image.n_digests, 2);
	assert_int_equal(t.image.digests[0].alg, UPT_HASH_SHA256);
	assert_int_equal(t.image.digests[1].alg, UPT_HASH_SHA512);
	assert_false(t.unknown_hash);
	assert_true(t.image.has_release_counter);
	assert_int_equal(t.image.release_counter, 9007199254740991);
	assert_int_equal(t.n_ecus, 2);
	assert_string_equal(t.ecus[1].serial, "E2");
	assert_string_equal(t.ecus[1].hardware_id, "h2");
	assert_int_equal(t.n_hardware_ids, 2);
	assert_string_equal(t.hardware_ids[0], "h1");
	assert_string_equal(t.format, "OSTREE");
	assert_string_equal(t.uri, "https://x/y");
	assert_true(upt_span_equal(t.must_match, upt_span_str("{\"a\":[1]}")));
	upt_metadata_free(&m);
}

static void
custom_of_a_wrong_shape_is_refused_and_gives_nothing(void **state)
{
	struct world *w = *state;
	static const char *const wrong[] = {
		"{\"ecuIdentifiers\":[]}",
		"{\"ecuIdentifiers\":{\"E\":1}}",
		"{\"ecuIdentifiers\":{\"E\":{}}}",
		"{\"ecuIdentifiers\":{\"\":{\"hardwareId\":\"h\"}}}",
		"{\"ecuIdentifiers\":{\"E\":{\"hardwareId\":1}}}",
		"{\"hardwareIds\":\"h\"}",
		"{\"installAfter\":\"h\"}",
		"{\"installAfter\":[1]}",
		"{\"hardwareIds\":[1]}",
		"{\"releaseCounter\":\"1\"}",
		"{\"targetFormat\":1}",
		"{\"targetFormat\":\"a format of more than thirty-two characters\"}",
		"{\"uri\":1}",
		"{\"mustMatch\":[]}",
		"{\"mustMatch\":null}",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
		struct upt_target t;
		struct upt_err err = {0};
		struct upt_metadata *m;
		cJSON *payload = one_target();

		set_member(payload, "targets/x/custom", cJSON_Parse(wrong[i]));
		assert_code(parse(w, payload, &m), UPT_OK);
		assert_code(upt_targets_get(&m->targets, 0, &arena, &t, &err), UPT_E_MALFORMED);
		assert_non_null(strstr(err.message, "target x"));
		assert_string_equal(t.image.name, "");
		assert_int_equal(t.image.n_digests, 0);
		assert_int_equal(t.n_ecus, 0);
		upt_metadata_free(&m);
	}
}

static void
custom_that_says_an_image_is_encrypted_is_noted(void **state)
{
	struct world *w = *state;
	static const struct {
		const char *custom, *by;
	} cases[] = {
		{"{\"encryptedTarget\":{\"length\":9}}", "encryptedTarget"},
		{"{\"uri\":\"u\",\"encryptedSymmetricKey\":\"00\"}", "encryptedSymmetricKey"},
		{"{\"encrypted_target\":{}}", "encrypted_target"},
		{"{\"encrypted_symmetric_key\":0}", "encrypted_symmetric_key"},
		{"{\"encrypted\":true,\"releaseCounter\":1}", "encrypted"},
		{"{\"encryption\":\"aes\"}", "encryption"},
		{"{\"encrypted\":false,\"encryption\":null,\"encryptions\":1}", NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
		cJSON *payload = one_target();
		struct upt_metadata *m;
		struct upt_target t;

		set_member(payload, "targets/x/custom", cJSON_Parse(cases[i].custom));
		assert_code(parse(w, payload, &m), UPT_OK);
		assert_code(upt_targets_get(&m->targets, 0, &arena, &t, NULL), UPT_OK);
		assert_string_equal(t.encrypted_by != NULL ? t.encrypted_by : "none",
			cases[i].by != NULL ? cases[i].by : "none");
		upt_metadata_free(&m);
	}
}

static void
unknown_hash_is_noted(void **state)
{
	struct world *w = *state;
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	struct upt_metadata *m;
	struct upt_target t;
	cJSON *payload = one_target();

	set_member(payload, "targets/x/hashes/blake3", cJSON_CreateString("00"));
	assert_code(parse(w, payload, &m), UPT_OK);
	assert_code(upt_targets_get(&m->targets, 0, &arena, &t, NULL), UPT_OK);
	assert_true(t.unknown_hash);
	assert_int_equal(t.image.n_digests, 1);
	upt_metadata_free(&m);
}

/* Whoever serves the file may spell it so; the signature is the same. */
static void
escaped_hash_name_does_not_hide_the_hash(void **state)
{
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	upt_cleanup(upt_metadata_free) struct upt_metadata *m = NULL;
	struct upt_buf text = {0};
	struct upt_target t;

	(void)state;
	assert_code(upt_buf_printf(&text, NULL,
			    "{\"signatures\":[],\"signed\":{\"_type\":\"targets\",\"version\":1,"
			    "\"expires\":\"2030-01-01T00:00:00Z\",\"targets\":{\"\\u0078\":{"
			    "\"length\":1,"
			    "\"hashes\":{\"sh\\u0061256\":\"%064d\"}}}}}",
			    0),
		UPT_OK);
	assert_code(upt_metadata_parse(UPT_ROLE_TARGETS, "targets", &text, &m, NULL), UPT_OK);
	assert_int_equal(upt_targets_find(&m->targets, "x"), 0);
	assert_code(upt_targets_get(&m->targets, 0, &arena, &t, NULL), UPT_OK);
	assert_string_equal(t.image.name, "x");
	assert_false(t.unknown_hash);
	assert_int_equal(t.image.n_digests, 1);
}

/* Searched by halves where the text's order is that of the names, one by one else. */
static void
target_is_found_in_any_order_and_spelling(void **state)
{
	static const char *const texts[] = {
		"abc", "cba", "bac", "ab\\u0063", "\\u0061bc", "\\u0063\\u0062\\u0061"};
	static const char *const absent[] = {"", "0", "aa", "bb", "d", "\\u0061"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
		upt_cleanup(upt_metadata_free) struct upt_metadata *m = NULL;

		assert_code(upt_buf_printf(&text, NULL,
				    "{\"signatures\":[],\"signed\":{\"_type\":\"targets\","
				    "\"version\":1,\"expires\":\"2030-01-01T00:00:00Z\","
				    "\"targets\":{"),
			UPT_OK);
		for (const char *c = texts[i]; *c != '\0';) {
			int len = *c == '\\' ? 6 : 1;

			assert_code(upt_buf_printf(&text, NULL,
					    "%s\"%.*s\":{\"length\":1,\"hashes\":{\"sha256\":"
					    "\"%064d\"}}",
					    c != texts[i] ? "," : "", len, c, 0),
				UPT_OK);
			c += len;
		}
		assert_code(upt_buf_printf(&text, NULL, "}}}"), UPT_OK);
		assert_code(
			upt_metadata_parse(UPT_ROLE_TARGETS, "targets", &text, &m, NULL), UPT_OK);
		assert_int_equal(m->targets.n_targets, 3);
		for (int c = 0; c < 3; c++) {
			char name[2] = {(char)('a' + c), '\0'};

			assert_true(upt_targets_find(&m->targets, name) >= 0);
		}
		for (size_t k = 0; k < sizeof(absent) / sizeof(absent[0]); k++)
			assert_int_equal(upt_targets_find(&m->targets, absent[k]), -1);
	}
}

/* struct upt_image has sha256 first: the manifest and Secondaries name an image by it. */
static void
hashes_come_in_order_whatever_the_text(void **state)
{
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	upt_cleanup(upt_metadata_free) struct upt_metadata *m = NULL;
	struct upt_buf text = {0};
	struct upt_target t;

	(void)state;
	assert_code(upt_buf_printf(&text, NULL,
			    "{\"signatures\":[],\"signed\":{\"_type\":\"targets\",\"version\":1,"
			    "\"expires\":\"2030-01-01T00:00:00Z\",\"targets\":{\"x\":{"
			    "\"length\":1,"
			    "\"hashes\":{\"sha512\":\"%0128d\",\"sha256\":\"%064d\"}}}}}",
			    5, 2),
		UPT_OK);
	assert_code(upt_metadata_parse(UPT_ROLE_TARGETS, "targets", &text, &m, NULL), UPT_OK);
	assert_code(upt_targets_get(&m->targets, 0, &arena, &t, NULL), UPT_OK);
	assert_int_equal(t.image.n_digests, 2);
	assert_int_equal(t.image.digests[0].alg, UPT_HASH_SHA256);
	assert_int_equal(t.image.digests[0].bytes[31], 2);
	assert_int_equal(t.image.digests[1].alg, UPT_HASH_SHA512);
	assert_int_equal(t.image.digests[1].bytes[63], 5);
}

/* The code with which an entry whose custom has n items in member is read. */
static enum upt_code
read_with_items(struct world *w, const char *member, size_t n)
{
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	cJSON *payload = one_target(), *list;
	bool ecus = strcmp(member, "ecuIdentifiers") == 0;
	struct upt_metadata *m;
	struct upt_target t;
	enum upt_code code;

	list = ecus ? cJSON_AddObjectToObject(at(payload, "targets/x/custom"), member)
		    : cJSON_AddArrayToObject(at(payload, "targets/x/custom"), member);
	for (size_t i = 0; i < n; i++) {
		char name[32];

		snprintf(name, sizeof(name), "%zu", i);
		if (ecus)
			cJSON_AddStringToObject(
				cJSON_AddObjectToObject(list, name), "hardwareId", "h");
		else
			cJSON_AddItemToArray(list, cJSON_CreateString(name));
	}
	assert_code(parse(w, payload, &m), UPT_OK);
	code = upt_targets_get(&m->targets, 0, &arena, &t, NULL);
	if (code == UPT_OK)
		assert_int_equal(t.n_ecus + t.n_hardware_ids + t.n_install_after, n);
	else
		assert_int_equal(t.n_ecus + t.n_hardware_ids + t.n_install_after, 0);
	upt_metadata_free(&m);
	return code;
}

static void
lists_of_an_entry_are_bounded(void **state)
{
	assert_code(read_with_items(*state, "ecuIdentifiers", UPT_MAX_TARGET_ECUS), UPT_OK);
	assert_code(read_with_items(*state, "ecuIdentifiers", UPT_MAX_TARGET_ECUS + 1),
		UPT_E_MALFORMED);
	assert_code(read_with_items(*state, "installAfter", UPT_MAX_INSTALL_AFTER), UPT_OK);
	assert_code(read_with_items(*state, "installAfter", UPT_MAX_INSTALL_AFTER + 1),
		UPT_E_MALFORMED);
	assert_code(read_with_items(*state, "hardwareIds", UPT_MAX_HARDWARE_IDS), UPT_OK);
	assert_code(
		read_with_items(*state, "hardwareIds", UPT_MAX_HARDWARE_IDS + 1), UPT_E_MALFORMED);
}

/* What the parser checked is checked again where it is copied into arrays of fixed size. */
static void
entry_is_checked_again_when_it_is_read(void **state)
{
	static const char *const values[] = {
		"{\"length\":1}", "{\"length\":\"1\"}", "{\"hashes\":[]}"};
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	char name[UPT_TARGET_NAME_MAX + 2];
	struct upt_target_ref ref = {.value = upt_span_str(values[0])};
	struct upt_targets targets = {.n_targets = 1, .refs = &ref};
	struct upt_target t;

	(void)state;
	memset(name, 'n', sizeof(name));
	ref.raw_name = upt_span(name, UPT_TARGET_NAME_MAX);
	assert_code(upt_targets_get(&targets, 0, &arena, &t, NULL), UPT_OK);
	ref.raw_name = upt_span(name, UPT_TARGET_NAME_MAX + 1);
	assert_code(upt_targets_get(&targets, 0, &arena, &t, NULL), UPT_E_MALFORMED);
	assert_string_equal(t.image.name, "");
	ref.raw_name = upt_span("x", 1);
	for (size_t i = 1; i < 3; i++) {
		ref.value = upt_span_str(values[i]);
		assert_code(upt_targets_get(&targets, 0, &arena, &t, NULL), UPT_E_MALFORMED);
		assert_string_equal(t.image.name, "");
	}
}

static void
images_are_the_same_when_every_common_hash_agrees(void **state)
{
	struct upt_image a = image_of("x", upt_span("c", 1), true), b = a;

	(void)state;
	assert_true(upt_image_same(&a, &b));
	b.n_digests = 1;
	assert_true(upt_image_same(&a, &b));
	assert_true(upt_image_same(&b, &a));
	b = a;
	b.digests[1].bytes[63] ^= 1;
	assert_false(upt_image_same(&a, &b));
	b = a;
	b.length_bytes++;
	assert_false(upt_image_same(&a, &b));
	b = a;
	b.name[0] = 'y';
	assert_false(upt_image_same(&a, &b));
	b = a;
	b.n_digests = 1;
	b.digests[0] = a.digests[1];
	a.n_digests = 1;
	assert_false(upt_image_same(&a, &b));
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(entries_without_length_or_hash_are_refused_at_once),
		T(names_are_bounded),
		T(entry_is_read_whole),
		T(custom_of_a_wrong_shape_is_refused_and_gives_nothing),
		T(custom_that_says_an_image_is_encrypted_is_noted),
		T(unknown_hash_is_noted),
		T(escaped_hash_name_does_not_hide_the_hash),
		T(target_is_found_in_any_order_and_spelling),
		T(hashes_come_in_order_whatever_the_text),
		T(lists_of_an_entry_are_bounded),
		T(entry_is_checked_again_when_it_is_read),
		T(images_are_the_same_when_every_common_hash_agrees),
	};
	return cmocka_run_group_tests_name("targets", tests, NULL, NULL);
}
