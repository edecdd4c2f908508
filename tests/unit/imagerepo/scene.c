#include "scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

cJSON *
role(struct scene *s, const char *name, unsigned keys)
{
	for (size_t i = 0; i < s->n_roles; i++) {
		if (strcmp(s->roles[i].name, name) == 0)
			return s->roles[i].payload;
	}
	assert_true(s->n_roles < MAX_ROLES);
	snprintf(s->roles[s->n_roles].name, sizeof(s->roles[0].name), "%s", name);
	s->roles[s->n_roles].keys = keys;
	s->roles[s->n_roles].payload = empty_targets(1);
	return s->roles[s->n_roles++].payload;
}

/* Roles "b" and "c" have keys of their own, all others share one. */
static unsigned
keys_of(const char *name)
{
	if (strcmp(name, "b") == 0)
		return K(DEL_B);
	return strcmp(name, "c") == 0 ? K(DEL_C) : K(DEL_A);
}

cJSON *
lists_as(struct scene *s, const char *who, const char *target, const char *content)
{
	struct upt_image image = image_of(target, upt_span_str(content), false);
	cJSON *payload = role(s, who, keys_of(who));

	image.length_bytes = strlen(content);
	assert_code(upt_author_add_target(payload, &image, NULL, NULL), UPT_OK);
	return at(payload, "targets");
}

void
lists(struct scene *s, const char *who, const char *target)
{
	lists_as(s, who, target, who);
}

void
delegates(struct scene *s, const char *from, const char *to, const char *path, bool terminating)
{
	role(s, to, keys_of(to));
	delegate(&s->w, role(s, from, keys_of(from)), to, keys_of(to), 1, path, terminating);
}

cJSON *
delegates_to_several(struct scene *s, const char *from, const char *name, const char *roles,
	unsigned min, const char *path, bool terminating)
{
	cJSON *payload = role(s, from, keys_of(from)), *list;
	struct named_keys members[64];
	char names[64][16];
	size_t n = 0;

	for (const char *p = roles; *p != '\0'; n++) {
		size_t len = strcspn(p, " ");

		assert_true(n < 64 && len < sizeof(names[0]));
		snprintf(names[n], sizeof(names[0]), "%.*s", (int)len, p);
		role(s, names[n], keys_of(names[n]));
		members[n] = (struct named_keys){names[n], keys_of(names[n])};
		p += len + (p[len] == ' ');
	}
	delegate_to_several(&s->w, payload, name, members, n, min, path, terminating);
	list = at(payload, "delegations/roles");
	return cJSON_GetArrayItem(list, cJSON_GetArraySize(list) - 1);
}

static void
publish(struct scene *s)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	cJSON *snapshot = upt_author_snapshot(1, LATER);
	char file[64];

	for (size_t i = 0; i < s->n_roles; i++) {
		sign_with(&s->w, s->roles[i].payload, s->roles[i].keys, &bytes);
		snprintf(file, sizeof(file), "1.%s.json", s->roles[i].name);
		serve(&s->m, file, upt_buf_span(&bytes));
		assert_code(
			upt_author_snapshot_add(snapshot, file + 2, 1, upt_buf_span(&bytes), NULL),
			UPT_OK);
	}
	s->n_roles = 0;
	sign_with(&s->w, snapshot, K(SNAP), &bytes);
	serve(&s->m, "1.snapshot.json", upt_buf_span(&bytes));
	sign_with(&s->w, timestamp_of(1, 1, upt_buf_span(&bytes)), K(TIME), &bytes);
	serve(&s->m, "timestamp.json", upt_buf_span(&bytes));
	sign_with(&s->w, plain_root(&s->w, 1), K(ROOT), &bytes);
	store(&s->m, "root", upt_buf_span(&bytes));
}

enum upt_code
find(struct scene *s, const char *name)
{
	struct upt_search search = {.feed = &s->m.feed,
		.now = NOW,
		.hardware_id = s->hardware_id,
		.star_crosses_slash = s->crosses};
	enum upt_code code;

	s->err = (struct upt_err){0};
	s->m.log[0] = '\0';
	code = upt_imagerepo_find(s->w.set, &search, name, &s->arena, &s->found, &s->err);
	if (code != UPT_OK) {
		assert_code(s->err.code, code);
		assert_int_equal(s->err.repo, UPT_REPO_IMAGE);
		assert_string_equal(s->found.image.name, "");
	} else {
		assert_string_equal(s->found.image.name, name);
	}
	return code;
}

void
refresh(struct scene *s)
{
	bool changed;

	publish(s);
	world_reset(&s->w);
	assert_code(upt_refresh(s->w.set, &s->m.feed, NOW, &changed, &s->err), UPT_OK);
}

void
assert_found(struct scene *s, const char *name, const char *content)
{
	struct upt_image want = image_of(name, upt_span_str(content), false);

	if (find(s, name) != UPT_OK)
		fail_msg("%s: %s", name, s->err.message);
	assert_true(upt_digest_equal(&s->found.image.digests[0], &want.digests[0]));
}

int
scene_setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	world_init(&s->w, UPT_REPO_IMAGE);
	memory_feed_init(&s->m);
	s->hardware_id = "hw";
	role(s, "targets", K(TARG));
	*state = s;
	return 0;
}

int
scene_teardown(void **state)
{
	struct scene *s = *state;

	for (size_t i = 0; i < s->n_roles; i++)
		cJSON_Delete(s->roles[i].payload);
	world_clear(&s->w);
	memory_feed_clear(&s->m);
	upt_arena_clear(&s->arena);
	free(s);
	return 0;
}
