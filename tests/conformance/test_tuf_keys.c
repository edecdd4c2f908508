/* tuf-client: key types, thresholds, rotations and the recovery from a fast-forward. */
#include "tuf_scene.h"

#include <stdio.h>
#include <string.h>

#define ALL_1 "root 1 snapshot 1 targets 1 timestamp 1"

static void
replace_key(struct scene *s, enum key key, const char *keytype)
{
	upt_private_key_free(&s->w.keys[key]);
	assert_int_equal(upt_private_key_generate(keytype, 2048, &s->w.keys[key], NULL), UPT_OK);
}

static void
next_root(struct scene *s)
{
	scene_role(s, "root")->version++;
	scene_publish_root(s);
}

/* Flips one bit of the signature that the key made. */
static void
damage_signature(struct scene *s, const char *path, enum key key)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	const struct upt_buf *served = scene_served(s, path);
	char id[65], *sig;

	assert_int_equal(upt_buf_append(&text, served->data, served->len, NULL), UPT_OK);
	upt_private_key_id(s->w.keys[key], id);
	sig = strstr((char *)text.data, id);
	assert_non_null(sig);
	sig = strstr(sig, "\"sig\":\"");
	assert_non_null(sig);
	sig += strlen("\"sig\":\"") + 40;
	*sig = *sig == '0' ? '1' : '0';
	scene_serve(s, path, upt_buf_span(&text));
}

/* ---- key types ---- */

static void
each_key_type_signs_and_its_damage_is_refused(void **state)
{
	static const char *const types[] = {
		"ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "rsa"};
	struct scene *s = *state;
	char path[64];

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct scene_role *root = scene_role(s, "root");

		/* The new key is needed beside the first one. */
		replace_key(s, ROOT2, types[i]);
		s->root.root = K(ROOT) | K(ROOT2);
		s->root.root_threshold = 2;
		root->keys = K(ROOT) | K(ROOT2) | K(ROOT3);
		next_root(s);
		scene_refreshes(s);
		scene_keeps(s, "root", &root->bytes);
		next_root(s);
		snprintf(
			path, sizeof(path), "/m/%llu.root.json", (unsigned long long)root->version);
		damage_signature(s, path, ROOT2);
		scene_refuses(s, UPT_E_THRESHOLD);
		scene_serve(s, path, upt_buf_span(&root->bytes));
		scene_refreshes(s);
		/* Back to the first one alone. */
		s->root.root = K(ROOT);
		s->root.root_threshold = 1;
		next_root(s);
		scene_refreshes(s);
	}
}

/* keytype "ecdsa" says nothing of the curve; the scheme does, and must fit. */
static void
p384_key_with_another_scheme_never_counts(void **state)
{
	struct scene *s = *state;
	char id[65], path[128];

	replace_key(s, SNAP, "ecdsa-sha2-nistp384");
	scene_publish(s);
	upt_private_key_id(s->w.keys[SNAP], id);
	snprintf(path, sizeof(path), "keys/%s/scheme", id);
	scene_change(s, "root", path, cJSON_CreateString("ecdsa-sha2-nistp256"));
	next_root(s);
	scene_refuses(s, UPT_E_THRESHOLD);
	scene_trusts(s, "root 2 timestamp 1");
	scene_undo_changes(s);
	next_root(s);
	scene_refreshes(s);
}

static void
deprecated_key_fields_do_not_matter(void **state)
{
	struct scene *s = *state;
	char id[65], path[128];

	upt_private_key_id(s->w.keys[SNAP], id);
	snprintf(path, sizeof(path), "keys/%s/keyid_hash_algorithms", id);
	scene_change(s, "root", path, cJSON_CreateString("md5"));
	next_root(s);
	scene_refreshes(s);
	scene_trusts(s, "root 2 snapshot 1 targets 1 timestamp 1");
}

/* ---- thresholds ---- */

static void
unsigned_roles_are_refused_and_earlier_ones_kept(void **state)
{
	static const struct {
		const char *role, *trusted;
	} rows[] = {{"root", "root 1"}, {"timestamp", "root 2"}, {"snapshot", "root 2 timestamp 2"},
		{"targets", "root 2 snapshot 2 timestamp 2"}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct scene *s = *state;

		scene_role(s, rows[i].role)->keys = K(THIEF);
		next_root(s);
		scene_publish_next(s);
		scene_refuses(s, UPT_E_THRESHOLD);
		scene_trusts(s, rows[i].trusted);
		assert_int_equal(scene_teardown(state), 0);
		assert_int_equal(scene_setup(state), 0);
	}
}

static void
fewer_signatures_than_the_threshold_are_refused(void **state)
{
	struct scene *s = *state;
	struct scene_role *snapshot = scene_role(s, "snapshot");

	s->root.snapshot = K(SNAP) | K(SNAP2) | K(DEL_C);
	scene_change(s, "root", "roles/snapshot/threshold", cJSON_CreateNumber(3));
	next_root(s);
	snapshot->keys = K(SNAP) | K(SNAP2) | K(DEL_C);
	scene_publish_next(s);
	scene_refreshes(s);
	snapshot->keys = K(SNAP) | K(SNAP2) | K(THIEF);
	scene_publish_next(s);
	scene_refuses(s, UPT_E_THRESHOLD);
	scene_trusts(s, "root 2 snapshot 2 targets 2 timestamp 3");
	/* More than there are keys can never be met. */
	snapshot->keys = K(SNAP) | K(SNAP2) | K(DEL_C);
	scene_undo_changes(s);
	scene_change(s, "root", "roles/snapshot/threshold", cJSON_CreateNumber(4));
	next_root(s);
	scene_publish_next(s);
	scene_refuses(s, UPT_E_THRESHOLD);
}

/* The served snapshot with its first signature once more, under another key id. */
static void
sign_again_as(struct scene *s, const char *path, const char *keyid)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	const char *served = (const char *)scene_served(s, path)->data;
	const char *first = strstr(served, "{\"keyid\":"), *end;

	assert_non_null(first);
	end = strchr(first, '}') + 1;
	assert_int_equal(upt_buf_printf(&text, NULL, "{\"signatures\":[%.*s,{\"keyid\":\"%s\"%s",
				 (int)(end - first), first, keyid, strchr(first, ',')),
		UPT_OK);
	scene_serve(s, path, upt_buf_span(&text));
}

/* One key under several ids is one key; two keys are two. */
static void
one_key_under_two_ids_counts_once(void **state)
{
	struct scene *s = *state;

	s->unhashed = true;
	for (int honest = 0; honest < 2; honest++) {
		enum key other = honest ? SNAP2 : SNAP;
		cJSON *ids = cJSON_CreateArray();
		char id[65];

		upt_private_key_id(s->w.keys[SNAP], id);
		cJSON_AddItemToArray(ids, cJSON_CreateString(id));
		cJSON_AddItemToArray(ids, cJSON_CreateString("second-id"));
		scene_change(s, "root", "keys/second-id", upt_author_key(s->w.keys[other]));
		scene_change(s, "root", "roles/snapshot/keyids", ids);
		scene_change(s, "root", "roles/snapshot/threshold", cJSON_CreateNumber(2));
		next_root(s);
		scene_undo_changes(s);
		if (!honest) {
			scene_publish_next(s);
			sign_again_as(s, "/m/2.snapshot.json", "second-id");
			scene_refuses(s, UPT_E_THRESHOLD);
			scene_trusts(s, "root 2 timestamp 2");
		} else {
			upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
			struct scene_role *snapshot = scene_role(s, "snapshot");
			char *place;

			snapshot->keys = K(SNAP) | K(SNAP2);
			scene_publish_next(s);
			upt_private_key_id(s->w.keys[SNAP2], id);
			place = strstr((char *)snapshot->bytes.data, id);
			assert_non_null(place);
			*place = '\0';
			assert_int_equal(upt_buf_printf(&text, NULL, "%ssecond-id%s",
						 (char *)snapshot->bytes.data, place + 64),
				UPT_OK);
			scene_serve(s, "/m/3.snapshot.json", upt_buf_span(&text));
			scene_refreshes(s);
		}
	}
}

static void
signature_list_that_names_a_key_twice_is_refused(void **state)
{
	struct scene *s = *state;
	char id[65];

	s->unhashed = true;
	scene_publish(s);
	upt_private_key_id(s->w.keys[SNAP], id);
	sign_again_as(s, "/m/1.snapshot.json", id);
	scene_refuses(s, UPT_E_DUPLICATE_KEYID);
	scene_trusts(s, "root 1 timestamp 1");
	scene_publish(s);
	sign_again_as(s, "/m/1.snapshot.json", "unknown-id");
	scene_refreshes(s);
}

static void
wrong_signature_beside_enough_good_ones_does_not_hurt(void **state)
{
	struct scene *s = *state;

	s->root.timestamp = K(TIME) | K(TIME2);
	next_root(s);
	scene_role(s, "timestamp")->keys = K(TIME) | K(TIME2);
	scene_publish_next(s);
	damage_signature(s, "/m/timestamp.json", TIME);
	scene_refreshes(s);
	scene_publish_next(s);
	damage_signature(s, "/m/timestamp.json", TIME);
	damage_signature(s, "/m/timestamp.json", TIME2);
	scene_refuses(s, UPT_E_THRESHOLD);
}

/* ---- rotations ---- */

static void
root_keys_rotate_with_the_signatures_of_both(void **state)
{
	struct scene *s = *state;
	struct scene_role *root = scene_role(s, "root");

	s->root.root = K(ROOT2);
	root->keys = K(ROOT2);
	next_root(s);
	scene_refuses(s, UPT_E_THRESHOLD); /* not by the old key */
	root->keys = K(ROOT) | K(THIEF);
	scene_publish_root(s);
	scene_refuses(s, UPT_E_THRESHOLD); /* not by the new one */
	scene_trusts(s, "root 1");
	root->keys = K(ROOT) | K(ROOT2) | K(THIEF);
	scene_publish_root(s);
	root->keys = K(ROOT2);
	next_root(s);
	scene_refreshes(s);
	scene_trusts(s, "root 3 snapshot 1 targets 1 timestamp 1");
	root->keys = K(ROOT);
	next_root(s);
	scene_refuses(s, UPT_E_THRESHOLD);
}

static void
root_threshold_goes_up_and_down_by_both_thresholds(void **state)
{
	struct scene *s = *state;
	struct scene_role *root = scene_role(s, "root");

	s->root.root = K(ROOT) | K(ROOT2) | K(ROOT3);
	s->root.root_threshold = 2;
	root->keys = K(ROOT);
	next_root(s);
	scene_refuses(s, UPT_E_THRESHOLD);
	root->keys = K(ROOT) | K(ROOT3);
	scene_publish_root(s);
	scene_refreshes(s);
	s->root.root_threshold = 1;
	next_root(s);
	root->keys = K(ROOT3);
	scene_publish_root(s);
	scene_refuses(s, UPT_E_THRESHOLD);
	root->keys = K(ROOT2) | K(ROOT3);
	scene_publish_root(s);
	scene_refreshes(s);
	root->keys = K(ROOT3);
	next_root(s);
	scene_refreshes(s);
	scene_trusts(s, "root 4 snapshot 1 targets 1 timestamp 1");
}

static void
keys_of_the_other_roles_rotate(void **state)
{
	struct scene *s = *state;
	struct {
		const char *role;
		unsigned *listed, old, new;
	} rows[] = {{"timestamp", &s->root.timestamp, K(TIME), K(TIME2)},
		{"snapshot", &s->root.snapshot, K(SNAP), K(SNAP2)},
		{"targets", &s->root.targets, K(TARG), K(TARG2)}};

	scene_refreshes(s);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		*rows[i].listed = rows[i].new;
		next_root(s);
		scene_publish_next(s); /* still by the old key */
		scene_refuses(s, UPT_E_THRESHOLD);
		scene_role(s, rows[i].role)->keys = rows[i].new;
		scene_publish_next(s);
		scene_refreshes(s);
		scene_keeps(s, rows[i].role, &scene_role(s, rows[i].role)->bytes);
	}
	scene_trusts(s, "root 4 snapshot 7 targets 7 timestamp 7");
}

/* ---- recovery from a fast-forward ---- */

static void
new_timestamp_key_undoes_a_fast_forward_of_the_timestamp(void **state)
{
	struct scene *s = *state;
	struct scene_role *timestamp = scene_role(s, "timestamp");

	timestamp->version = 99999;
	scene_publish(s);
	scene_refreshes(s);
	timestamp->version = 2;
	scene_publish(s);
	scene_refuses(s, UPT_E_ROLLBACK);
	s->root.timestamp = timestamp->keys = K(TIME2);
	next_root(s);
	scene_publish(s);
	scene_refreshes(s);
	scene_trusts(s, "root 2 snapshot 1 targets 1 timestamp 2");
}

/* The workflow forgets both when either's keys change. */
static void
new_snapshot_key_alone_forgets_the_timestamp_too(void **state)
{
	struct scene *s = *state;
	struct scene_role *timestamp = scene_role(s, "timestamp");

	timestamp->version = 99999;
	scene_publish(s);
	scene_refreshes(s);
	s->root.snapshot = scene_role(s, "snapshot")->keys = K(SNAP2);
	next_root(s);
	timestamp->version = 1;
	scene_publish_next(s);
	scene_refreshes(s);
	scene_trusts(s, "root 2 snapshot 2 targets 2 timestamp 2");
}

static void
new_snapshot_and_timestamp_keys_undo_a_fast_forward_of_the_snapshot(void **state)
{
	struct scene *s = *state;
	struct scene_role *snapshot = scene_role(s, "snapshot");

	snapshot->version = 99998;
	scene_publish_next(s);
	scene_refreshes(s);
	snapshot->version = 1;
	scene_publish_next(s);
	scene_refuses(s, UPT_E_ROLLBACK);
	s->root.timestamp = scene_role(s, "timestamp")->keys = K(TIME2);
	s->root.snapshot = snapshot->keys = K(SNAP2);
	next_root(s);
	snapshot->version = 1;
	scene_publish_next(s);
	scene_refreshes(s);
	scene_trusts(s, "root 2 snapshot 2 targets 4 timestamp 4");
}

static void
new_snapshot_key_alone_undoes_a_fast_forward_of_targets(void **state)
{
	struct scene *s = *state;
	struct scene_role *targets = scene_role(s, "targets");

	targets->version = 99;
	scene_publish_next(s);
	scene_refreshes(s);
	targets->version = 1;
	scene_publish_next(s);
	scene_refuses(s, UPT_E_ROLLBACK);
	s->root.snapshot = scene_role(s, "snapshot")->keys = K(SNAP2);
	next_root(s);
	targets->version = 1;
	scene_publish_next(s);
	scene_refreshes(s);
	scene_trusts(s, "root 2 snapshot 4 targets 2 timestamp 4");
}

int
main(int argc, char **argv)
{
#define T(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)
	const struct CMUnitTest tests[] = {
		T(each_key_type_signs_and_its_damage_is_refused),
		T(p384_key_with_another_scheme_never_counts),
		T(deprecated_key_fields_do_not_matter),
		T(unsigned_roles_are_refused_and_earlier_ones_kept),
		T(fewer_signatures_than_the_threshold_are_refused),
		T(one_key_under_two_ids_counts_once),
		T(signature_list_that_names_a_key_twice_is_refused),
		T(wrong_signature_beside_enough_good_ones_does_not_hurt),
		T(root_keys_rotate_with_the_signatures_of_both),
		T(root_threshold_goes_up_and_down_by_both_thresholds),
		T(keys_of_the_other_roles_rotate),
		T(new_timestamp_key_undoes_a_fast_forward_of_the_timestamp),
		T(new_snapshot_key_alone_forgets_the_timestamp_too),
		T(new_snapshot_and_timestamp_keys_undo_a_fast_forward_of_the_snapshot),
		T(new_snapshot_key_alone_undoes_a_fast_forward_of_targets),
	};
	if (argc != 2)
		return 2;
	scene_program(argv[1]);
	return cmocka_run_group_tests_name("tuf-client keys", tests, NULL, NULL);
}
