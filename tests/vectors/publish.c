/* Writing a case: folders as a server would serve them, and case.json. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include "base/encode.h"
#include "base/file.h"
#include "generator.h"

struct generator *
generator_new(const char *dir, char *const *only, int n_only)
{
	struct generator *g = calloc(1, sizeof(*g));

	must(g != NULL, "memory");
	g->dir = strdup(dir);
	must(g->dir != NULL, "memory");
	g->only = only;
	g->n_only = n_only;
	dice_begin();
	must(mkdir(dir, 0777) == 0, "the folder of the corpus must not be there yet");
	return g;
}

void
generator_free(struct generator **g)
{
	for (size_t i = 0; i < (*g)->n_keys; i++) {
		upt_private_key_free(&(*g)->keys[i].key);
		rsa_free((*g)->keys[i].rsa);
	}
	free((*g)->dir);
	free(*g);
	*g = NULL;
}

size_t
generator_count(const struct generator *g)
{
	return g->n_cases;
}

static bool
is_wanted(const struct generator *g, const char *case_name)
{
	for (int i = 0; i < g->n_only; i++) {
		if (strcmp(g->only[i], case_name) == 0)
			return true;
	}
	return g->n_only == 0;
}

/* Every folder of the path. */
static void
make_folders(char *path, char *from)
{
	for (char *slash = strchr(from, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		must(mkdir(path, 0777) == 0 || errno == EEXIST, path);
		*slash = '/';
	}
}

void
generator_write(struct generator *g, const char *case_name, const char *path, struct upt_span bytes)
{
	upt_cleanup(upt_buf_clear) struct upt_buf full = {0};
	upt_cleanup(upt_close_fd) int fd = -1;

	if (!is_wanted(g, case_name))
		return;
	must_code(upt_buf_printf(&full, NULL, "%s/%s/%s", g->dir, case_name, path), NULL);
	make_folders((char *)full.data, (char *)full.data + strlen(g->dir) + 1);
	fd = open((const char *)full.data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	must(fd >= 0, (const char *)full.data);
	must_code(upt_file_write_all(fd, bytes, NULL), NULL);
}

/* As DESIGN asks of file names: everything but unreserved characters, and a dot in front. */
static void
append_encoded(struct upt_buf *out, const char *name, bool leading_dot)
{
	for (const char *p = name; *p != '\0'; p++) {
		bool plain = strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_~",
				     *p) != NULL ||
			     (*p == '.' && (leading_dot || p != name));

		if (plain)
			append(out, p, 1);
		else
			must_code(upt_buf_printf(out, NULL, "%%%02X", (unsigned char)*p), NULL);
	}
}

static void
write_doc(struct scene *s, const struct repo *r, size_t i)
{
	const struct doc *d = &r->docs[i];
	upt_cleanup(upt_buf_clear) struct upt_buf path = {0};

	if (d->omit)
		return;
	must_code(upt_buf_printf(&path, NULL, "%d/%s/", s->step, upt_repo_name(r->id)), NULL);
	if (d->file[0] != '\0') {
		append(&path, d->file, strlen(d->file));
	} else {
		if (i >= 4 && r->in_folder && !r->consistent)
			append(&path, "delegations/", 12);
		if (r->consistent && i != 1 && !d->unlisted && !r->targets_only)
			must_code(upt_buf_printf(&path, NULL, "%llu.",
					  (unsigned long long)d->version),
				NULL);
		append_encoded(&path, d->role, false);
		append(&path, ".json", 5);
	}
	generator_write(s->gen, s->name, (const char *)path.data, upt_buf_span(&d->bytes));
}

static void
write_roots(struct scene *s, const struct repo *r)
{
	for (size_t i = 0; i < r->n_roots; i++) {
		char path[64];

		if (r->roots[i].bytes.len == 0)
			continue;
		snprintf(path, sizeof(path), "%d/%s/%zu.root.json", s->step, upt_repo_name(r->id), i + 1);
		generator_write(s->gen, s->name, path, upt_buf_span(&r->roots[i].bytes));
	}
}

/* HASH.FILENAME in the folder of FILENAME, or FILENAME as one component. */
static void
write_image(struct scene *s, const struct served_image *image)
{
	upt_cleanup(upt_buf_clear) struct upt_buf path = {0};
	const char *slash = strrchr(image->name, '/'), *base = slash != NULL ? slash + 1 : image->name;
	char hex[2 * UPT_HASH_MAX_BYTES + 1], folder[600];
	struct upt_digest digest;

	if (image->omit)
		return;
	must_code(upt_hash_span(UPT_HASH_SHA256, upt_buf_span(&image->content), &digest, NULL), NULL);
	upt_hex_encode(upt_span(digest.bytes, digest.len), hex);
	must_code(upt_buf_printf(&path, NULL, "%d/image/targets/", s->step), NULL);
	if (!s->repos[IMAGE].consistent) {
		append_encoded(&path, image->name, true);
	} else {
		snprintf(folder, sizeof(folder), "%.*s", (int)(base - image->name), image->name);
		for (char *part = folder, *end; (end = strchr(part, '/')) != NULL; part = end + 1) {
			*end = '\0';
			append_encoded(&path, part, true);
			append(&path, "/", 1);
		}
		must_code(upt_buf_printf(&path, NULL, "%s.", hex), NULL);
		append_encoded(&path, base, true);
	}
	generator_write(s->gen, s->name, (const char *)path.data, upt_buf_span(&image->served));
}

void
publish_provisioned(struct scene *s, const struct repo *r)
{
	char path[64];

	snprintf(path, sizeof(path), "provisioned/%s/root.json", upt_repo_name(r->id));
	generator_write(s->gen, s->name, path, upt_buf_span(&r->roots[0].bytes));
}

void
publish_step(struct scene *s)
{
	for (int repo = DIRECTOR; repo <= IMAGE; repo++) {
		const struct repo *r = &s->repos[repo];

		write_roots(s, r);
		for (size_t i = r->targets_only ? 3 : 1; i < r->n_docs; i++)
			write_doc(s, r, i);
	}
	for (size_t i = 0; i < s->n_images; i++)
		write_image(s, &s->images[i]);
}

/* What the Director of this step wants on one ECU. */
static void
add_assigned(cJSON *list, const cJSON *targets, const char *serial)
{
	const cJSON *entry;

	cJSON_ArrayForEach(entry, targets) {
		const cJSON *custom = cJSON_GetObjectItemCaseSensitive(entry, "custom");
		const cJSON *ecus = cJSON_GetObjectItemCaseSensitive(custom, "ecuIdentifiers");
		cJSON *assigned;

		if (cJSON_GetObjectItemCaseSensitive(ecus, serial) == NULL)
			continue;
		assigned = cJSON_CreateObject();
		cJSON_AddStringToObject(assigned, "ecu", serial);
		cJSON_AddStringToObject(assigned, "name", entry->string);
		cJSON_AddItemToObject(assigned, "length",
			cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(entry, "length"), true));
		cJSON_AddItemToObject(assigned, "hashes",
			cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(entry, "hashes"), true));
		cJSON_AddItemToArray(list, assigned);
	}
}

static void
add_trusted(cJSON *step, const struct scene *s)
{
	cJSON *trusted = cJSON_AddObjectToObject(step, "trusted");

	for (int repo = DIRECTOR; repo <= IMAGE; repo++) {
		const struct repo *r = &s->repos[repo];
		cJSON *roles = cJSON_AddObjectToObject(trusted, upt_repo_name(r->id));

		for (size_t i = 0; i < r->n_trusted; i++) {
			char version[24];

			snprintf(version, sizeof(version), "%llu",
				(unsigned long long)r->trusted[i].version);
			cJSON_AddRawToObject(roles, r->trusted[i].role, version);
		}
	}
}

void
publish_expectation(struct scene *s, enum upt_code code, enum upt_repo repo, const char *role)
{
	cJSON *step = cJSON_CreateObject(), *expect, *assigned;

	cJSON_AddItemToObject(step, "now", when(s->now));
	expect = cJSON_AddObjectToObject(step, "expect");
	cJSON_AddStringToObject(expect, "code", upt_code_name(code));
	if (code != UPT_OK) {
		cJSON_AddStringToObject(expect, "repository", upt_repo_name(repo));
		if (role != NULL)
			cJSON_AddStringToObject(expect, "role", role);
	} else {
		const cJSON *ecu;

		assigned = cJSON_AddArrayToObject(expect, "assigned");
		cJSON_ArrayForEach(ecu, s->ecus)
			add_assigned(assigned, at(scene_payload(s, DIRECTOR, "targets"), "targets"),
				cJSON_GetObjectItemCaseSensitive(ecu, "serial")->valuestring);
	}
	add_trusted(step, s);
	cJSON_AddItemToArray(at(s->json, "steps"), step);
}

void
publish_case(struct scene *s)
{
	char *text;

	text = cJSON_Print(s->json);
	must(text != NULL, "memory");
	generator_write(s->gen, s->name, "case.json", upt_span_str(text));
	cJSON_free(text);
	s->gen->n_cases += is_wanted(s->gen, s->name) ? 1 : 0;
}
