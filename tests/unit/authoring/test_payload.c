#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>
#include "authoring/authoring.h"
#include "json/json.h"

static cJSON *
at(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

static const char *
text_at(const cJSON *object, const char *name)
{
	const char *text = cJSON_GetStringValue(at(object, name));

	assert_non_null(text);
	return text;
}

static struct upt_image
image_named(const char *name, uint64_t length)
{
	struct upt_image image = {.length_bytes = length, .n_digests = 1};

	strncpy(image.name, name, sizeof(image.name) - 1);
	image.digests[0].alg = UPT_HASH_SHA256;
	image.digests[0].len = 32;
	memset(image.digests[0].bytes, 0xab, 32);
	return image;
}

static struct upt_private_key *
new_key(const char *type)
{
	struct upt_private_key *key = NULL;

	assert_int_equal(upt_private_key_generate(type, 2048, &key, NULL), UPT_OK);
	return key;
}

static void
root_lists_a_shared_key_once_and_every_role(void **state)
{
	struct upt_private_key *a = new_key("ed25519"), *b = new_key("rsa");
	const struct upt_private_key *both[] = {a, b}, *one[] = {a};
	const struct upt_author_role roles[] = {
		{.name = "root", .keys = both, .n_keys = 2, .threshold = 2},
		{.name = "targets", .keys = one, .n_keys = 1, .threshold = 1},
	};
	cJSON *root = upt_author_root(7, 1893456000, true, roles, 2), *key;
	char id[65];

	(void)state;
	assert_non_null(root);
	assert_string_equal(text_at(root, "_type"), "root");
	assert_string_equal(text_at(root, "expires"), "2030-01-01T00:00:00Z");
	assert_true(cJSON_IsTrue(at(root, "consistent_snapshot")));
	assert_int_equal(cJSON_GetArraySize(at(root, "keys")), 2);
	upt_private_key_id(b, id);
	key = at(at(root, "keys"), id);
	assert_string_equal(text_at(key, "keytype"), "rsa");
	assert_string_equal(text_at(key, "scheme"), "rsassa-pss-sha256");
	assert_non_null(strstr(text_at(at(key, "keyval"), "public"), "BEGIN PUBLIC KEY"));
	assert_int_equal(cJSON_GetArraySize(at(at(at(root, "roles"), "root"), "keyids")), 2);
	assert_int_equal(at(at(at(root, "roles"), "root"), "threshold")->valueint, 2);
	assert_int_equal(cJSON_GetArraySize(at(at(at(root, "roles"), "targets"), "keyids")), 1);
	cJSON_Delete(root);
	upt_private_key_free(&a);
	upt_private_key_free(&b);
}

static void
target_is_replaced_and_carries_its_release_counter(void **state)
{
	cJSON *targets = upt_author_targets(1, 0), *entry, *custom = cJSON_CreateObject();
	struct upt_image image = image_named("app.img", 10);

	(void)state;
	assert_int_equal(upt_author_add_target(targets, &image, NULL, NULL), UPT_OK);
	assert_null(at(at(at(targets, "targets"), "app.img"), "custom"));
	cJSON_AddStringToObject(custom, "uri", "https://example.org/a");
	image.length_bytes = 11;
	image.has_release_counter = true;
	image.release_counter = 4;
	assert_int_equal(upt_author_add_target(targets, &image, custom, NULL), UPT_OK);
	assert_int_equal(cJSON_GetArraySize(at(targets, "targets")), 1);
	entry = at(at(targets, "targets"), "app.img");
	assert_int_equal(at(entry, "length")->valueint, 11);
	assert_int_equal(at(at(entry, "custom"), "releaseCounter")->valueint, 4);
	assert_string_equal(text_at(at(entry, "custom"), "uri"), "https://example.org/a");
	assert_string_equal(text_at(at(entry, "hashes"), "sha256"),
		"abababababababababababababababababababababababababababababababab");
	cJSON_Delete(targets);
}

static void
target_refuses_a_length_above_2_53_minus_1(void **state)
{
	cJSON *targets = upt_author_targets(1, 0);
	struct upt_image good = image_named("ok", UPT_JSON_MAX_INTEGER);
	struct upt_image bad = image_named("bad", UPT_JSON_MAX_INTEGER + 1);
	struct upt_err err = {0};

	(void)state;
	assert_int_equal(upt_author_add_target(targets, &good, NULL, &err), UPT_OK);
	assert_int_equal(
		upt_author_add_target(targets, &bad, cJSON_CreateObject(), &err), UPT_E_MALFORMED);
	assert_non_null(strstr(err.message, "9007199254740992"));
	assert_int_equal(cJSON_GetArraySize(at(targets, "targets")), 1);
	cJSON_Delete(targets);
}

static void
target_refuses_no_digest_no_name_and_a_custom_that_is_no_object(void **state)
{
	cJSON *targets = upt_author_targets(1, 0);
	struct upt_image image = image_named("a", 1);

	(void)state;
	assert_int_equal(upt_author_add_target(targets, &image, cJSON_CreateString("x"), NULL),
		UPT_E_MALFORMED);
	image.n_digests = 0;
	assert_int_equal(upt_author_add_target(targets, &image, NULL, NULL), UPT_E_MALFORMED);
	image = image_named("", 1);
	assert_int_equal(upt_author_add_target(targets, &image, NULL, NULL), UPT_E_MALFORMED);
	assert_null(at(targets, "targets")->child);
	cJSON_Delete(targets);
}

static void
many_targets_are_sorted_and_the_last_of_a_name_stays(void **state)
{
	const struct upt_image images[] = {
		image_named("c", 1), image_named("a", 2), image_named("b", 3), image_named("a", 4)};
	cJSON *targets = upt_author_targets(1, 0), *list = at(targets, "targets");
	struct upt_image old = image_named("b", 9), kept = image_named("0", 5);

	(void)state;
	assert_int_equal(upt_author_add_target(targets, &old, NULL, NULL), UPT_OK);
	assert_int_equal(upt_author_add_target(targets, &kept, NULL, NULL), UPT_OK);
	assert_int_equal(upt_author_add_targets(targets, images, NULL, 4, NULL), UPT_OK);
	assert_int_equal(cJSON_GetArraySize(list), 4);
	assert_string_equal(cJSON_GetArrayItem(list, 0)->string, "0");
	assert_string_equal(cJSON_GetArrayItem(list, 1)->string, "a");
	assert_int_equal(at(at(list, "a"), "length")->valueint, 4);
	assert_int_equal(at(at(list, "b"), "length")->valueint, 3);
	assert_int_equal(at(at(list, "0"), "length")->valueint, 5);
	cJSON_Delete(targets);
}

static void
many_targets_add_none_when_one_is_bad_and_take_over_every_custom(void **state)
{
	const struct upt_image images[] = {
		image_named("a", 1), image_named("", 2), image_named("c", 3)};
	cJSON *customs[] = {cJSON_CreateObject(), NULL, cJSON_CreateObject()};
	cJSON *targets = upt_author_targets(1, 0);

	(void)state;
	assert_int_equal(
		upt_author_add_targets(targets, images, customs, 3, NULL), UPT_E_MALFORMED);
	assert_null(at(targets, "targets")->child);
	for (int i = 0; i < 3; i++)
		assert_null(customs[i]);
	cJSON_Delete(targets);
}

static void
snapshot_and_timestamp_list_version_length_and_sha256(void **state)
{
	cJSON *snapshot = upt_author_snapshot(2, 0), *timestamp = upt_author_timestamp(3, 0), *meta;

	(void)state;
	assert_int_equal(
		upt_author_snapshot_add(snapshot, "targets.json", 1, upt_span_str("old"), NULL),
		UPT_OK);
	assert_int_equal(
		upt_author_snapshot_add(snapshot, "targets.json", 5, upt_span_str("abc"), NULL),
		UPT_OK);
	meta = at(at(snapshot, "meta"), "targets.json");
	assert_int_equal(cJSON_GetArraySize(at(snapshot, "meta")), 1);
	assert_int_equal(at(meta, "version")->valueint, 5);
	assert_int_equal(at(meta, "length")->valueint, 3);
	assert_string_equal(text_at(at(meta, "hashes"), "sha256"),
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(upt_author_timestamp_set(timestamp, 2, upt_span_str("abc"), NULL), UPT_OK);
	meta = at(at(timestamp, "meta"), "snapshot.json");
	assert_int_equal(at(meta, "version")->valueint, 2);
	cJSON_Delete(snapshot);
	cJSON_Delete(timestamp);
}

static void
delegations_keep_their_order_and_name_hardware_only_when_given(void **state)
{
	struct upt_private_key *key = new_key("ed25519");
	const struct upt_private_key *keys[] = {key};
	struct upt_author_role role = {.name = "first", .keys = keys, .n_keys = 1, .threshold = 1};
	const char *paths[] = {"a/*", "b/*"}, *hardware[] = {"gw-1"};
	cJSON *targets = upt_author_targets(1, 0), *roles, *delegations;

	(void)state;
	assert_int_equal(
		upt_author_add_delegation(targets, &role, paths, 2, hardware, 1, true, NULL),
		UPT_OK);
	role.name = "second";
	assert_int_equal(
		upt_author_add_delegation(targets, &role, paths, 1, NULL, 0, false, NULL), UPT_OK);
	delegations = at(targets, "delegations");
	roles = at(delegations, "roles");
	assert_int_equal(cJSON_GetArraySize(at(delegations, "keys")), 1);
	assert_string_equal(text_at(cJSON_GetArrayItem(roles, 0), "name"), "first");
	assert_int_equal(cJSON_GetArraySize(at(cJSON_GetArrayItem(roles, 0), "paths")), 2);
	assert_int_equal(cJSON_GetArraySize(at(cJSON_GetArrayItem(roles, 0), "hardwareIds")), 1);
	assert_true(cJSON_IsTrue(at(cJSON_GetArrayItem(roles, 0), "terminating")));
	assert_string_equal(text_at(cJSON_GetArrayItem(roles, 1), "name"), "second");
	assert_null(at(cJSON_GetArrayItem(roles, 1), "hardwareIds"));
	assert_true(cJSON_IsFalse(at(cJSON_GetArrayItem(roles, 1), "terminating")));
	cJSON_Delete(targets);
	upt_private_key_free(&key);
}

static void
delegation_to_several_roles_names_each_with_its_keys(void **state)
{
	struct upt_private_key *mine = new_key("ed25519"), *theirs = new_key("ed25519");
	const struct upt_private_key *keys[] = {mine, theirs};
	const struct upt_author_role roles[] = {
		{.name = "first", .keys = keys, .n_keys = 2, .threshold = 2},
		{.name = "second", .keys = &keys[1], .n_keys = 1, .threshold = 1}};
	const char *paths[] = {"a/*", "b/*"}, *hardware[] = {"gw-1"};
	const struct upt_author_scope scope = {paths, 2, hardware, 1, true};
	cJSON *targets = upt_author_targets(1, 0), *entry, *list;

	(void)state;
	assert_int_equal(
		upt_author_add_multi_role_delegation(targets, "both", roles, 2, 2, &scope, NULL),
		UPT_OK);
	assert_int_equal(cJSON_GetArraySize(at(at(targets, "delegations"), "keys")), 2);
	entry = cJSON_GetArrayItem(at(at(targets, "delegations"), "roles"), 0);
	assert_string_equal(text_at(entry, "name"), "both");
	assert_int_equal(at(entry, "min_roles_in_agreement")->valueint, 2);
	assert_int_equal(cJSON_GetArraySize(at(entry, "paths")), 2);
	assert_int_equal(cJSON_GetArraySize(at(entry, "hardwareIds")), 1);
	assert_true(cJSON_IsTrue(at(entry, "terminating")));
	assert_null(at(entry, "keyids"));
	assert_null(at(entry, "threshold"));
	list = at(entry, "roleinfo");
	assert_int_equal(cJSON_GetArraySize(list), 2);
	for (int i = 0; i < 2; i++) {
		const cJSON *role = cJSON_GetArrayItem(list, i);

		assert_string_equal(text_at(role, "rolename"), i == 0 ? "first" : "second");
		assert_int_equal(at(role, "threshold")->valueint, 2 - i);
		assert_int_equal(cJSON_GetArraySize(at(role, "keyids")), 2 - i);
	}
	cJSON_Delete(targets);
	upt_private_key_free(&mine);
	upt_private_key_free(&theirs);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_lists_a_shared_key_once_and_every_role),
		cmocka_unit_test(target_is_replaced_and_carries_its_release_counter),
		cmocka_unit_test(target_refuses_a_length_above_2_53_minus_1),
		cmocka_unit_test(target_refuses_no_digest_no_name_and_a_custom_that_is_no_object),
		cmocka_unit_test(many_targets_are_sorted_and_the_last_of_a_name_stays),
		cmocka_unit_test(many_targets_add_none_when_one_is_bad_and_take_over_every_custom),
		cmocka_unit_test(snapshot_and_timestamp_list_version_length_and_sha256),
		cmocka_unit_test(delegations_keep_their_order_and_name_hardware_only_when_given),
		cmocka_unit_test(delegation_to_several_roles_names_each_with_its_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
