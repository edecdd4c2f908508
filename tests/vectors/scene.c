/* The state of a case: repositories that live from step to step, and what a client trusts of them. */
#include <stdio.h>
#include "generator.h"

static const char *const top_level[] = {"root", "timestamp", "snapshot", "targets"};

static void
copy_text(char *to, size_t size, const char *from)
{
	must(strlen(from) < size, from);
	memcpy(to, from, strlen(from) + 1);
}

struct repo *
scene_repo(struct scene *s, enum upt_repo repo)
{
	return &s->repos[repo];
}

struct doc *
scene_doc(struct scene *s, enum upt_repo repo, const char *role)
{
	struct repo *r = scene_repo(s, repo);

	for (size_t i = 0; i < r->n_docs; i++) {
		if (strcmp(r->docs[i].role, role) == 0)
			return &r->docs[i];
	}
	must(false, role);
	return NULL;
}

static bool
lists_chain(const struct repo *r)
{
	return !r->targets_only;
}

/* ---- stages of a document ---- */

static cJSON *
build_root(struct scene *s, struct repo *r, uint64_t version)
{
	const struct upt_private_key *keys[4][64];
	struct upt_author_role roles[4];
	size_t n = 0;

	for (int i = 0; i < 4; i++) {
		if (!lists_chain(r) && (i == 1 || i == 2))
			continue;
		roles[n].name = top_level[i];
		roles[n].n_keys = pick_keys(s, r, r->plan[i].keys, keys[i], 64);
		roles[n].keys = keys[i];
		roles[n].threshold = r->plan[i].threshold;
		n++;
	}
	return upt_author_root(version, EXPIRES, r->consistent, roles, n);
}

static cJSON *
build_snapshot(struct scene *s, struct repo *r, uint64_t version)
{
	cJSON *payload = upt_author_snapshot(version, EXPIRES);

	for (size_t i = 3; i < r->n_docs; i++) {
		struct doc *d = &r->docs[i];
		char file[ROLE_NAME_SIZE + 8];

		if (d->unlisted)
			continue;
		snprintf(file, sizeof(file), "%s.json", d->role);
		must_code(upt_author_snapshot_add(payload, file, d->version,
				  upt_buf_span(scene_bytes(s, r->id, d->role)), NULL),
			NULL);
	}
	return payload;
}

static cJSON *
build_timestamp(struct scene *s, struct repo *r, uint64_t version)
{
	cJSON *payload = upt_author_timestamp(version, EXPIRES);

	must_code(upt_author_timestamp_set(payload, r->docs[2].version,
			  upt_buf_span(scene_bytes(s, r->id, "snapshot")), NULL),
		NULL);
	return payload;
}

static cJSON *
build_targets(struct doc *d)
{
	cJSON *payload = cJSON_Duplicate(d->body, true);

	set(payload, "version", num((double)d->version));
	return payload;
}

cJSON *
scene_payload(struct scene *s, enum upt_repo repo, const char *role)
{
	struct repo *r = scene_repo(s, repo);
	struct doc *d = scene_doc(s, repo, role);
	cJSON *payload;

	if (d->payload != NULL)
		return d->payload;
	if (d == &r->docs[0])
		payload = build_root(s, r, d->version);
	else if (d == &r->docs[1])
		payload = build_timestamp(s, r, d->version);
	else if (d == &r->docs[2])
		payload = build_snapshot(s, r, d->version);
	else
		payload = build_targets(d);
	must(payload != NULL, "memory");
	d->payload = payload;
	return payload;
}

struct signing *
scene_signing(struct scene *s, enum upt_repo repo, const char *role)
{
	struct doc *d = scene_doc(s, repo, role);

	must(d->signatures == NULL, "a document is signed already");
	return &d->signing;
}

struct upt_buf *
scene_text(struct scene *s, enum upt_repo repo, const char *role)
{
	struct doc *d = scene_doc(s, repo, role);

	scene_payload(s, repo, role);
	doc_print(d);
	return &d->text;
}

/* A root is signed by the keys of the one before and by its own. */
static void
root_signers(const struct repo *r, char *out, size_t size)
{
	const char *own = r->plan[0].keys;

	copy_text(out, size, r->n_roots > 0 ? r->roots[r->n_roots - 1].keys : "");
	while (*own != '\0') {
		size_t len = strcspn(own, " "), old = strlen(out);
		char name[64];

		snprintf(name, sizeof(name), "%.*s", (int)len, own);
		if (strstr(out, name) == NULL)
			snprintf(out + old, size - old, "%s%s", old > 0 ? " " : "", name);
		own += len + (own[len] == ' ');
	}
}

cJSON *
scene_signatures(struct scene *s, enum upt_repo repo, const char *role)
{
	struct repo *r = scene_repo(s, repo);
	struct doc *d = scene_doc(s, repo, role);
	char keys[1100];

	scene_text(s, repo, role);
	if (d == &r->docs[0])
		root_signers(r, keys, sizeof(keys));
	else
		snprintf(keys, sizeof(keys), "%s",
			d < &r->docs[4] ? r->plan[d - r->docs].keys : d->keys);
	doc_sign(s, r, d, keys);
	return d->signatures;
}

struct upt_buf *
scene_bytes(struct scene *s, enum upt_repo repo, const char *role)
{
	struct doc *d = scene_doc(s, repo, role);

	scene_signatures(s, repo, role);
	doc_compose(d);
	return &d->bytes;
}

void
scene_finish(struct scene *s, enum upt_repo repo)
{
	struct repo *r = scene_repo(s, repo);

	/* One by one: what is left out of the snapshot is served all the same. */
	for (size_t i = 3; i < r->n_docs; i++)
		scene_bytes(s, repo, r->docs[i].role);
	if (lists_chain(r))
		scene_bytes(s, repo, "timestamp");
}

/* ---- roots ---- */

static void
seal_root(struct scene *s, struct repo *r)
{
	struct sealed_root *root;

	if (!r->root_pending)
		return;
	scene_bytes(s, r->id, "root");
	r->roots = realloc(r->roots, (r->n_roots + 1) * sizeof(*r->roots));
	must(r->roots != NULL, "memory");
	root = &r->roots[r->n_roots++];
	*root = (struct sealed_root){0};
	copy_text(root->keys, sizeof(root->keys), r->plan[0].keys);
	if (!r->docs[0].omit)
		upt_buf_move(&root->bytes, &r->docs[0].bytes);
	doc_clear_step(&r->docs[0]);
	r->root_pending = false;
}

void
scene_root(struct scene *s, enum upt_repo repo)
{
	struct repo *r = scene_repo(s, repo);

	seal_root(s, r);
	r->root_pending = true;
	r->docs[0].version = r->n_roots + 1;
}

void
scene_plan(struct scene *s, enum upt_repo repo, const char *role, const char *keys, unsigned threshold)
{
	struct repo *r = scene_repo(s, repo);

	for (size_t i = 0; i < 4; i++) {
		if (strcmp(top_level[i], role) != 0)
			continue;
		copy_text(r->plan[i].keys, sizeof(r->plan[i].keys), keys);
		r->plan[i].threshold = threshold;
		return;
	}
	must(false, role);
}

/* ---- what a client trusts ---- */

void
scene_trust(struct scene *s, enum upt_repo repo, const char *role, uint64_t version)
{
	struct repo *r = scene_repo(s, repo);
	struct trusted *found = NULL;

	for (size_t i = 0; i < r->n_trusted && found == NULL; i++) {
		if (strcmp(r->trusted[i].role, role) == 0)
			found = &r->trusted[i];
	}
	if (found == NULL && version > 0) {
		must(r->n_trusted < MAX_DOCS, "room for what is trusted");
		found = &r->trusted[r->n_trusted++];
		copy_text(found->role, sizeof(found->role), role);
	}
	if (found != NULL && version > 0)
		found->version = version;
	else if (found != NULL)
		*found = r->trusted[--r->n_trusted];
}

/* Everything of the repository before that role is accepted; false when the role was met. */
static bool
trust_before(struct scene *s, struct repo *r, const char *role)
{
	for (size_t i = 0; i < r->n_docs; i++) {
		const struct doc *d = &r->docs[i];

		if (role != NULL && strcmp(d->role, role) == 0) {
			if (i == 0)
				scene_trust(s, r->id, "root", r->n_roots - 1);
			return false;
		}
		if (!lists_chain(r) && (i == 1 || i == 2))
			continue;
		if (i == 0)
			scene_trust(s, r->id, "root", r->followed > 0 ? r->followed : r->n_roots);
		else if (i < 4 || !d->not_visited)
			scene_trust(s, r->id, d->role, d->version);
	}
	return true;
}

/* ---- steps ---- */

void
scene_step(struct scene *s)
{
	for (int repo = DIRECTOR; repo <= IMAGE; repo++) {
		struct repo *r = &s->repos[repo];

		if (s->step == 0) {
			must(r->root_pending, "a first root");
			seal_root(s, r);
			publish_provisioned(s, r);
			scene_trust(s, r->id, "root", 1);
		}
		for (size_t i = 1; i < r->n_docs && s->step > 0; i++) {
			if (r->docs[i].hold)
				continue;
			doc_clear_step(&r->docs[i]);
			r->docs[i].version++;
		}
	}
	for (size_t i = 0; i < s->n_images && s->step > 0; i++) {
		s->images[i].omit = false;
		upt_buf_clear(&s->images[i].served);
		append(&s->images[i].served, s->images[i].content.data, s->images[i].content.len);
	}
	s->step++;
}

static void
finish_step(struct scene *s)
{
	for (int repo = DIRECTOR; repo <= IMAGE; repo++) {
		seal_root(s, &s->repos[repo]);
		scene_finish(s, (enum upt_repo)repo);
	}
	publish_step(s);
}

void
scene_accept(struct scene *s)
{
	finish_step(s);
	trust_before(s, &s->repos[DIRECTOR], NULL);
	trust_before(s, &s->repos[IMAGE], NULL);
	publish_expectation(s, UPT_OK, UPT_REPO_NONE, NULL);
}

void
scene_refuse_as_set(struct scene *s, enum upt_code code, enum upt_repo repo, const char *role)
{
	finish_step(s);
	publish_expectation(s, code, repo, role);
}

void
scene_refuse(struct scene *s, enum upt_code code, enum upt_repo repo, const char *role)
{
	struct repo *r = scene_repo(s, repo);

	finish_step(s);
	if (repo == IMAGE)
		trust_before(s, &s->repos[DIRECTOR], NULL);
	trust_before(s, r, role);
	publish_expectation(s, code, repo, role);
	/* The next step's server has mended its root. */
	if (strcmp(role, "root") == 0)
		upt_buf_clear(&r->roots[--r->n_roots].bytes);
}

void
scene_hold(struct scene *s, enum upt_repo repo, bool hold)
{
	struct repo *r = scene_repo(s, repo);

	for (size_t i = 1; i < r->n_docs; i++)
		r->docs[i].hold = hold;
}

/* ---- beginning and end ---- */

static void
init_repo(struct scene *s, enum upt_repo id)
{
	struct repo *r = &s->repos[id];

	r->id = id;
	r->consistent = !s->ota;
	r->targets_only = s->ota && id == DIRECTOR;
	r->in_folder = s->ota;
	r->n_docs = 4;
	for (size_t i = 0; i < 4; i++) {
		copy_text(r->docs[i].role, ROLE_NAME_SIZE, top_level[i]);
		r->docs[i].version = 1;
		snprintf(r->plan[i].keys, sizeof(r->plan[i].keys), "%s-1", top_level[i]);
		r->plan[i].threshold = 1;
	}
	r->docs[3].body = upt_author_targets(1, EXPIRES);
	scene_root(s, id);
}

static void
add_proofs(cJSON *json, const char *proves)
{
	cJSON *list = cJSON_AddArrayToObject(json, "proves");

	while (*proves != '\0') {
		size_t len = strcspn(proves, " ");
		char text[16];

		snprintf(text, sizeof(text), "%.*s", (int)len, proves);
		cJSON_AddItemToArray(list, str(text));
		proves += len + (proves[len] == ' ');
	}
}

static struct scene *
begin(struct generator *g, const char *name, const char *title, const char *proves, bool ota)
{
	struct scene *s = calloc(1, sizeof(*s));
	cJSON *vehicle;

	must(s != NULL, "memory");
	s->gen = g;
	s->ota = ota;
	s->now = NOW;
	copy_text(s->name, sizeof(s->name), name);
	s->json = cJSON_CreateObject();
	cJSON_AddStringToObject(s->json, "title", title);
	add_proofs(s->json, proves);
	cJSON_AddStringToObject(s->json, "profile", ota ? "ota" : "standard");
	vehicle = cJSON_AddObjectToObject(s->json, "vehicle");
	cJSON_AddStringToObject(vehicle, "id", VEHICLE);
	s->ecus = cJSON_AddArrayToObject(vehicle, "ecus");
	cJSON_AddArrayToObject(s->json, "steps");
	scene_ecu(s, ECU, HARDWARE);
	init_repo(s, DIRECTOR);
	init_repo(s, IMAGE);
	if (!ota) {
		cJSON *custom = cJSON_AddObjectToObject(scene_body(s, DIRECTOR, "targets"), "custom");
		cJSON_AddStringToObject(custom, "vehicleId", VEHICLE);
	}
	scene_image(s, APP, "the first release of the application\n");
	scene_assign(s, scene_body(s, DIRECTOR, "targets"), APP, ECU, HARDWARE);
	scene_vouch(s, scene_body(s, IMAGE, "targets"), APP, HARDWARE);
	return s;
}

struct scene *
scene_begin(struct generator *g, const char *name, const char *title, const char *proves)
{
	return begin(g, name, title, proves, false);
}

struct scene *
scene_begin_ota(struct generator *g, const char *name, const char *title, const char *proves)
{
	return begin(g, name, title, proves, true);
}

static void
clear_repo(struct repo *r)
{
	for (size_t i = 0; i < r->n_docs; i++) {
		doc_clear_step(&r->docs[i]);
		cJSON_Delete(r->docs[i].body);
	}
	for (size_t i = 0; i < r->n_roots; i++)
		upt_buf_clear(&r->roots[i].bytes);
	free(r->roots);
}

void
scene_end(struct scene **scene)
{
	struct scene *s = *scene;

	publish_case(s);
	clear_repo(&s->repos[DIRECTOR]);
	clear_repo(&s->repos[IMAGE]);
	for (size_t i = 0; i < s->n_images; i++) {
		upt_buf_clear(&s->images[i].content);
		upt_buf_clear(&s->images[i].served);
	}
	cJSON_Delete(s->json);
	free(s);
	*scene = NULL;
}

void
scene_ecu(struct scene *s, const char *serial, const char *hardware_id)
{
	cJSON *ecu = NULL, *each;

	cJSON_ArrayForEach(each, s->ecus) {
		if (strcmp(at(each, "serial")->valuestring, serial) == 0)
			ecu = each;
	}
	if (ecu == NULL) {
		ecu = cJSON_CreateObject();
		cJSON_AddStringToObject(ecu, "serial", serial);
		cJSON_AddItemToArray(s->ecus, ecu);
	}
	set(ecu, "hardware_id", str(hardware_id));
}
