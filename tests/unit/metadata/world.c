#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
world_reset(struct world *w)
{
	upt_trusted_set_free(&w->set);
	assert_int_equal(upt_trusted_set_new(&w->policy, &w->set, NULL), UPT_OK);
}

void
world_init(struct world *w, enum upt_repo repo)
{
	*w = (struct world){0};
	for (int i = 0; i < N_KEYS; i++)
		assert_int_equal(upt_private_key_generate("ed25519", 0, &w->keys[i], NULL), UPT_OK);
	w->policy = (struct upt_trust_policy){
		.repo = repo,
		.limits = repo == UPT_REPO_DIRECTOR ? UPT_LIMITS_DIRECTOR : UPT_LIMITS_IMAGE,
		.require_snapshot_hash = true,
	};
	world_reset(w);
}

void
world_clear(struct world *w)
{
	upt_trusted_set_free(&w->set);
	for (int i = 0; i < N_KEYS; i++)
		upt_private_key_free(&w->keys[i]);
}

int
world_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	world_init(w, UPT_REPO_IMAGE);
	accepts(w, PIN, plain_root(w, 1), K(ROOT));
	assert_int_equal(upt_trusted_set_finish_root(w->set, NOW, NULL), UPT_OK);
	*state = w;
	return 0;
}

int
world_teardown(void **state)
{
	struct world *w = *state;

	world_clear(w);
	free(w);
	return 0;
}

/* ---- payloads ---- */

static size_t
chosen_keys(const struct world *w, unsigned keys, const struct upt_private_key *out[static N_KEYS])
{
	size_t n = 0;

	for (int i = 0; i < N_KEYS; i++) {
		if (keys & K(i))
			out[n++] = w->keys[i];
	}
	return n;
}

cJSON *
plan_root(struct world *w, const struct root_plan *plan)
{
	const char *const names[] = {"root", "timestamp", "snapshot", "targets"};
	const unsigned chosen[] = {plan->root, plan->timestamp, plan->snapshot, plan->targets};
	const struct upt_private_key *keys[4][N_KEYS];
	struct upt_author_role roles[4];
	size_t n = 0;
	cJSON *root;

	for (int i = 0; i < 4; i++) {
		if (chosen[i] == 0)
			continue;
		roles[n].name = names[i];
		roles[n].n_keys = chosen_keys(w, chosen[i], keys[i]);
		roles[n].keys = keys[i];
		roles[n].threshold = i == 0 && plan->root_threshold > 0 ? plan->root_threshold : 1;
		n++;
	}
	root = upt_author_root(plan->version, LATER, !plan->not_consistent, roles, n);
	assert_non_null(root);
	return root;
}

cJSON *
plain_root(struct world *w, uint64_t version)
{
	return plan_root(
		w, &(struct root_plan){version, K(ROOT), K(TIME), K(SNAP), K(TARG), 1, false});
}

cJSON *
empty_targets(uint64_t version)
{
	cJSON *targets = upt_author_targets(version, LATER);

	assert_non_null(targets);
	return targets;
}

struct upt_image
image_of(const char *name, struct upt_span content, bool sha512)
{
	struct upt_image image = {.length_bytes = content.len, .n_digests = sha512 ? 2 : 1};

	assert_true(strlen(name) <= UPT_TARGET_NAME_MAX);
	memcpy(image.name, name, strlen(name));
	assert_int_equal(upt_hash_span(UPT_HASH_SHA256, content, &image.digests[0], NULL), UPT_OK);
	if (sha512)
		assert_int_equal(
			upt_hash_span(UPT_HASH_SHA512, content, &image.digests[1], NULL), UPT_OK);
	return image;
}

cJSON *
targets_with(uint64_t version, const char *name, struct upt_span content)
{
	cJSON *targets = empty_targets(version);
	struct upt_image image = image_of(name, content, false);

	assert_int_equal(upt_author_add_target(targets, &image, NULL, NULL), UPT_OK);
	return targets;
}

cJSON *
snapshot_of(uint64_t version, uint64_t targets_version, struct upt_span targets)
{
	cJSON *snapshot = upt_author_snapshot(version, LATER);

	assert_non_null(snapshot);
	assert_int_equal(
		upt_author_snapshot_add(snapshot, "targets.json", targets_version, targets, NULL),
		UPT_OK);
	return snapshot;
}

cJSON *
timestamp_of(uint64_t version, uint64_t snapshot_version, struct upt_span snapshot)
{
	cJSON *timestamp = upt_author_timestamp(version, LATER);

	assert_non_null(timestamp);
	assert_int_equal(
		upt_author_timestamp_set(timestamp, snapshot_version, snapshot, NULL), UPT_OK);
	return timestamp;
}

void
delegate(struct world *w, cJSON *targets, const char *role, unsigned keys, unsigned threshold,
	const char *path, bool terminating)
{
	const struct upt_private_key *list[N_KEYS];
	struct upt_author_role r = {.name = role, .keys = list, .threshold = threshold};

	r.n_keys = chosen_keys(w, keys, list);
	assert_int_equal(
		upt_author_add_delegation(targets, &r, &path, 1, NULL, 0, terminating, NULL),
		UPT_OK);
}

void
delegate_to_several(struct world *w, cJSON *targets, const char *name,
	const struct named_keys *roles, size_t n, unsigned min, const char *path, bool terminating)
{
	const struct upt_private_key *lists[64][N_KEYS];
	const struct upt_author_scope scope = {
		.paths = &path, .n_paths = 1, .terminating = terminating};
	struct upt_author_role r[64];

	assert_true(n <= 64);
	for (size_t i = 0; i < n; i++) {
		r[i] = (struct upt_author_role){
			.name = roles[i].role, .keys = lists[i], .threshold = 1};
		r[i].n_keys = chosen_keys(w, roles[i].keys, lists[i]);
	}
	assert_code(upt_author_add_multi_role_delegation(targets, name, r, n, min, &scope, NULL),
		UPT_OK);
}

/* ---- spoiling ---- */

static cJSON *
walk(cJSON *object, const char *path, const char **last)
{
	const char *part = path, *slash;

	while ((slash = strchr(part, '/')) != NULL) {
		char name[300];

		assert_true((size_t)(slash - part) < sizeof(name));
		memcpy(name, part, (size_t)(slash - part));
		name[slash - part] = '\0';
		object = cJSON_IsArray(object)
				 ? cJSON_GetArrayItem(object, (int)strtol(name, NULL, 10))
				 : cJSON_GetObjectItemCaseSensitive(object, name);
		assert_non_null(object);
		part = slash + 1;
	}
	*last = part;
	return object;
}

cJSON *
at(cJSON *object, const char *path)
{
	const char *last;

	object = walk(object, path, &last);
	if (cJSON_IsArray(object))
		return cJSON_GetArrayItem(object, (int)strtol(last, NULL, 10));
	return cJSON_GetObjectItemCaseSensitive(object, last);
}

void
drop_member(cJSON *object, const char *path)
{
	const char *last;

	object = walk(object, path, &last);
	assert_true(cJSON_HasObjectItem(object, last));
	cJSON_DeleteItemFromObjectCaseSensitive(object, last);
}

void
set_member(cJSON *object, const char *path, cJSON *value)
{
	const char *last;

	assert_non_null(value);
	object = walk(object, path, &last);
	if (cJSON_IsArray(object)) {
		assert_true(cJSON_ReplaceItemInArray(object, (int)strtol(last, NULL, 10), value));
		return;
	}
	cJSON_DeleteItemFromObjectCaseSensitive(object, last);
	assert_true(cJSON_AddItemToObject(object, last, value));
}

void
sign_with(struct world *w, cJSON *payload, unsigned keys, struct upt_buf *out)
{
	const struct upt_private_key *list[N_KEYS];
	size_t n = chosen_keys(w, keys, list);

	assert_int_equal(upt_author_sign(payload, list, n, out, NULL), UPT_OK);
	cJSON_Delete(payload);
}

void
release_make(struct world *w, cJSON *targets, uint64_t version, struct release *out)
{
	uint64_t targets_version = (uint64_t)at(targets, "version")->valuedouble;

	sign_with(w, targets, K(TARG), &out->targets);
	sign_with(w, snapshot_of(version, targets_version, upt_buf_span(&out->targets)), K(SNAP),
		&out->snapshot);
	sign_with(w, timestamp_of(version, version, upt_buf_span(&out->snapshot)), K(TIME),
		&out->timestamp);
}

void
release_clear(struct release *r)
{
	upt_buf_clear(&r->targets);
	upt_buf_clear(&r->snapshot);
	upt_buf_clear(&r->timestamp);
}

/* ---- offering ---- */

enum upt_code
offer(struct world *w, enum step step, struct upt_buf *bytes, struct upt_err *err)
{
	bool drop_others;

	switch (step) {
	case PIN:
		return upt_trusted_set_pin_root(w->set, bytes, err);
	case NEXT_ROOT:
		return upt_trusted_set_update_root(w->set, bytes, &drop_others, err);
	case TIMESTAMP:
		return upt_trusted_set_update_timestamp(w->set, bytes, NOW, err);
	case SNAPSHOT:
		return upt_trusted_set_update_snapshot(w->set, bytes, NOW, err);
	case TARGETS:
		return upt_trusted_set_update_targets(w->set, bytes, NOW, err);
	case RESTORE_TIMESTAMP:
		return upt_trusted_set_restore(w->set, UPT_ROLE_TIMESTAMP, bytes, err);
	case RESTORE_SNAPSHOT:
		return upt_trusted_set_restore(w->set, UPT_ROLE_SNAPSHOT, bytes, err);
	case RESTORE_TARGETS:
		return upt_trusted_set_restore(w->set, UPT_ROLE_TARGETS, bytes, err);
	}
	return UPT_N_CODES;
}

struct shape {
	const struct upt_metadata *held[UPT_N_ROLES], *current[UPT_N_ROLES];
};

static struct shape
shape_of(const struct upt_trusted_set *set)
{
	struct shape s = {.current = {NULL, upt_trusted_set_timestamp(set),
				  upt_trusted_set_snapshot(set), upt_trusted_set_targets(set)}};

	for (int role = 0; role < UPT_N_ROLES; role++)
		s.held[role] = upt_trusted_set_held(set, (enum upt_role)role);
	return s;
}

void
refuses_bytes(struct world *w, enum step step, struct upt_span bytes, enum upt_code want)
{
	struct shape before = shape_of(w->set), after;
	struct upt_err err = {0};
	struct upt_buf buf = {0};
	const uint8_t *data;

	assert_int_equal(upt_buf_append(&buf, bytes.data, bytes.len, NULL), UPT_OK);
	data = buf.data;
	assert_code(offer(w, step, &buf, &err), want);
	assert_code(err.code, want);
	if (want != UPT_E_INTERNAL)
		assert_int_equal(err.repo, w->policy.repo);
	assert_true(err.message[0] != '\0');
	assert_ptr_equal(buf.data, data);
	assert_true(upt_span_equal(upt_buf_span(&buf), bytes));
	after = shape_of(w->set);
	assert_memory_equal(&after, &before, sizeof(after));
	upt_buf_clear(&buf);
}

void
accepts_bytes(struct world *w, enum step step, struct upt_span bytes)
{
	struct upt_err err = {0};
	struct upt_buf buf = {0};

	assert_int_equal(upt_buf_append(&buf, bytes.data, bytes.len, NULL), UPT_OK);
	if (offer(w, step, &buf, &err) != UPT_OK)
		fail_msg("step %d: %s: %s", step, upt_code_name(err.code), err.message);
	assert_null(buf.data);
	assert_int_equal(buf.len, 0);
}

void
refuses(struct world *w, enum step step, cJSON *payload, unsigned keys, enum upt_code want)
{
	struct upt_buf bytes = {0};

	sign_with(w, payload, keys, &bytes);
	refuses_bytes(w, step, upt_buf_span(&bytes), want);
	upt_buf_clear(&bytes);
}

void
accepts(struct world *w, enum step step, cJSON *payload, unsigned keys)
{
	struct upt_buf bytes = {0};

	sign_with(w, payload, keys, &bytes);
	accepts_bytes(w, step, upt_buf_span(&bytes));
	upt_buf_clear(&bytes);
}

void
accepts_release(struct world *w, const struct release *r)
{
	accepts_bytes(w, TIMESTAMP, upt_buf_span(&r->timestamp));
	accepts_bytes(w, SNAPSHOT, upt_buf_span(&r->snapshot));
	accepts_bytes(w, TARGETS, upt_buf_span(&r->targets));
}
