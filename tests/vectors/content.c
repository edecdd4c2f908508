/* Targets, images and delegations of a scene. */
#include <stdio.h>
#include "generator.h"

cJSON *
scene_body(struct scene *s, enum upt_repo repo, const char *role)
{
	struct doc *d = scene_doc(s, repo, role);

	must(d->body != NULL, "a document without body");
	return d->body;
}

static struct served_image *
find_image(struct scene *s, const char *name)
{
	for (size_t i = 0; i < s->n_images; i++) {
		if (strcmp(s->images[i].name, name) == 0)
			return &s->images[i];
	}
	return NULL;
}

struct served_image *
scene_image(struct scene *s, const char *name, const char *content)
{
	struct served_image *image = find_image(s, name);

	if (image == NULL) {
		must(s->n_images < 8 && strlen(name) < sizeof(image->name), "room for an image");
		image = &s->images[s->n_images++];
		memcpy(image->name, name, strlen(name) + 1);
	}
	upt_buf_clear(&image->content);
	upt_buf_clear(&image->served);
	append(&image->content, content, strlen(content));
	append(&image->served, content, strlen(content));
	return image;
}

cJSON *
scene_list(struct scene *s, cJSON *targets, const char *name, bool both)
{
	const struct served_image *served = find_image(s, name);
	struct upt_image image = {.n_digests = both ? 2 : 1};
	struct upt_span content;
	cJSON *list;

	must(served != NULL && strlen(name) <= UPT_TARGET_NAME_MAX, name);
	content = upt_buf_span(&served->content);
	memcpy(image.name, name, strlen(name));
	image.length_bytes = content.len;
	must_code(upt_hash_span(UPT_HASH_SHA256, content, &image.digests[0], NULL), NULL);
	must_code(upt_hash_span(UPT_HASH_SHA512, content, &image.digests[1], NULL), NULL);
	must_code(upt_author_add_target(targets, &image, cJSON_CreateObject(), NULL), NULL);
	list = at(targets, "targets");
	return cJSON_GetObjectItemCaseSensitive(list, name);
}

cJSON *
scene_assign(struct scene *s, cJSON *targets, const char *name, const char *ecu, const char *hardware)
{
	cJSON *entry = scene_list(s, targets, name, false);
	cJSON *ecus = cJSON_AddObjectToObject(at(entry, "custom"), "ecuIdentifiers");

	cJSON_AddStringToObject(cJSON_AddObjectToObject(ecus, ecu), "hardwareId", hardware);
	return entry;
}

cJSON *
scene_vouch(struct scene *s, cJSON *targets, const char *name, const char *hardware)
{
	cJSON *entry = scene_list(s, targets, name, false);

	if (hardware != NULL)
		cJSON_AddItemToArray(
			cJSON_AddArrayToObject(at(entry, "custom"), "hardwareIds"), str(hardware));
	return entry;
}

static void
make_delegated(struct scene *s, const struct delegation *d)
{
	struct repo *r = scene_repo(s, IMAGE);
	struct doc *doc;

	for (size_t i = 0; i < r->n_docs; i++) {
		if (strcmp(r->docs[i].role, d->to) == 0)
			return;
	}
	must(r->n_docs < MAX_DOCS && strlen(d->to) < ROLE_NAME_SIZE, "room for a role");
	doc = &r->docs[r->n_docs++];
	memcpy(doc->role, d->to, strlen(d->to) + 1);
	snprintf(doc->keys, sizeof(doc->keys), "%s", d->keys);
	doc->version = r->docs[3].version;
	doc->body = upt_author_targets(1, EXPIRES);
}

cJSON *
scene_delegate(struct scene *s, const struct delegation *d)
{
	const struct upt_private_key *keys[64];
	struct upt_author_role role = {
		.name = d->to, .keys = keys, .threshold = d->threshold > 0 ? d->threshold : 1};
	struct upt_err err = {0};
	cJSON *body = scene_body(s, IMAGE, d->from);

	make_delegated(s, d);
	role.n_keys = pick_keys(s, scene_repo(s, IMAGE), d->keys, keys, 64);
	must_code(upt_author_add_delegation(body, &role, &d->path, 1, &d->hardware,
			  d->hardware != NULL ? 1 : 0, d->terminating, &err),
		&err);
	body = at(body, "delegations/roles");
	return cJSON_GetArrayItem(body, cJSON_GetArraySize(body) - 1);
}

#define MAX_MULTI_ROLES 40

cJSON *
scene_delegate_to_several(struct scene *s, const struct multi_role *d)
{
	const struct upt_author_scope scope = {
		.paths = &d->path, .n_paths = 1, .terminating = d->terminating};
	struct upt_author_role roles[MAX_MULTI_ROLES];
	const struct upt_private_key *keys[MAX_MULTI_ROLES];
	char names[MAX_MULTI_ROLES][32], key[40];
	struct upt_err err = {0};
	cJSON *body = scene_body(s, IMAGE, d->from);
	size_t n = 0;

	for (const char *p = d->to; *p != '\0'; n++) {
		size_t len = strcspn(p, " ");

		must(n < MAX_MULTI_ROLES && len < sizeof(names[0]), "room for a role");
		snprintf(names[n], sizeof(names[0]), "%.*s", (int)len, p);
		snprintf(key, sizeof(key), "%s-1", names[n]);
		make_delegated(s, &(struct delegation){.to = names[n], .keys = key});
		must(pick_keys(s, scene_repo(s, IMAGE), key, &keys[n], 1) == 1, key);
		roles[n] = (struct upt_author_role){
			.name = names[n], .keys = &keys[n], .n_keys = 1, .threshold = 1};
		p += len + (p[len] == ' ');
	}
	must_code(upt_author_add_multi_role_delegation(body, d->name, roles, n, d->min, &scope, &err), &err);
	body = at(body, "delegations/roles");
	return cJSON_GetArrayItem(body, cJSON_GetArraySize(body) - 1);
}

void
scene_move_app(struct scene *s, const char *role)
{
	drop(scene_body(s, IMAGE, "targets"), "targets/" APP);
	scene_vouch(s, scene_body(s, IMAGE, role), APP, HARDWARE);
}
