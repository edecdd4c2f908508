/*
 * bench-scale-make KEYTYPE DIR: makes the scenes that bench-scale verifies (scale.h), signed by
 * keys of one type ("ed25519", "ecdsa-sha2-nistp256", "rsa" of 2048 bits), and beside each the list
 * of the signature checks and hashes that its documents need, DIR/SCENE/floor, for bench-floor. One
 * line each: verify KEY FILE OFFSET LENGTH SIGNATURE      sha256 - FILE OFFSET LENGTH -
 */
#include <stdio.h>
#include <sys/stat.h>
#include "authoring/authoring.h"
#include "scale.h"

enum {
	TIMESTAMP_KEY,
	SNAPSHOT_KEY,
	TARGETS_KEY,
	FIRST_OTHER_KEY, /* the others serve roots and delegated roles by turns */
	N_KEYS = 16,
};

struct maker {
	const char *dir;
	struct upt_private_key *keys[N_KEYS];
};

struct scene {
	const struct maker *maker;
	const char *name;
	FILE *floor;
};

static void
json_clear(cJSON **json)
{
	cJSON_Delete(*json);
}

static void
file_clear(FILE **file)
{
	if (*file != NULL)
		fclose(*file);
}

static size_t
other_key(size_t i)
{
	return FIRST_OTHER_KEY + i % (N_KEYS - FIRST_OTHER_KEY);
}

static enum upt_code
make_dir(const char *path, struct upt_err *err)
{
	if (mkdir(path, 0700) != 0)
		return upt_fail(err, UPT_E_IO, "cannot make %s", path);
	return UPT_OK;
}

static enum upt_code
open_file(const char *path, FILE **out, struct upt_err *err)
{
	*out = fopen(path, "w");
	return *out != NULL ? UPT_OK : upt_fail(err, UPT_E_IO, "cannot make %s", path);
}

static struct upt_author_role
role_of(const struct maker *m, const char *name, size_t key)
{
	return (struct upt_author_role){
		name, (const struct upt_private_key *const *)&m->keys[key], 1, 1};
}

/* ---- files and what it takes to check them ---- */

static enum upt_code
note_hash(struct scene *s, const char *file, struct upt_span bytes, struct upt_err *err)
{
	if (fprintf(s->floor, "sha256 - %s 0 %zu -\n", file, bytes.len) < 0)
		return upt_fail(err, UPT_E_IO, "cannot write the floor of %s", s->name);
	return UPT_OK;
}

/* The one signature by that key, over the signed object as it stands in the envelope. */
static enum upt_code
note_check(struct scene *s, const char *file, const struct upt_buf *bytes, size_t key,
	struct upt_err *err)
{
	const char *text = (const char *)bytes->data, *payload = strstr(text, "\"signed\":");
	const char *sig;
	char id[65];
	size_t offset;

	upt_private_key_id(s->maker->keys[key], id);
	sig = strstr(text, id);
	sig = sig != NULL ? strstr(sig, "\"sig\":\"") : NULL;
	if (payload == NULL || sig == NULL)
		return upt_fail(err, UPT_E_INTERNAL, "%s is not signed by key %zu", file, key);
	offset = (size_t)(payload - text) + strlen("\"signed\":");
	sig += strlen("\"sig\":\"");
	if (fprintf(s->floor, "verify ../keys/%zu.pem %s %zu %zu %.*s\n", key, file, offset,
		    bytes->len - offset - 1, (int)strcspn(sig, "\""), sig) < 0)
		return upt_fail(err, UPT_E_IO, "cannot write the floor of %s", s->name);
	return UPT_OK;
}

/* Signs by n keys, each of which is checked once. */
static enum upt_code
write_signed(struct scene *s, const char *file, const cJSON *payload, const size_t *keys, size_t n,
	struct upt_buf *out, struct upt_err *err)
{
	const struct upt_private_key *list[2] = {NULL};
	upt_cleanup(upt_buf_clear) struct upt_buf path = {0};
	upt_cleanup(file_clear) FILE *f = NULL;

	for (size_t i = 0; i < n; i++)
		list[i] = s->maker->keys[keys[i]];
	UPT_TRY(upt_author_sign(payload, list, n, out, err));
	for (size_t i = 0; i < n; i++)
		UPT_TRY(note_check(s, file, out, keys[i], err));
	UPT_TRY(upt_buf_printf(&path, err, "%s/%s/%s", s->maker->dir, s->name, file));
	UPT_TRY(open_file((const char *)path.data, &f, err));
	if (fwrite(out->data, 1, out->len, f) != out->len || fflush(f) != 0)
		return upt_fail(err, UPT_E_IO, "cannot write %s", file);
	return UPT_OK;
}

/* ---- documents ---- */

/* The root key changes with every version; the other roles keep theirs. */
static enum upt_code
make_root(struct scene *s, const char *repo, size_t version, struct upt_err *err)
{
	const size_t keys[] = {other_key(version), other_key(version - 1)};
	const struct upt_author_role roles[] = {
		role_of(s->maker, "root", keys[0]),
		role_of(s->maker, "timestamp", TIMESTAMP_KEY),
		role_of(s->maker, "snapshot", SNAPSHOT_KEY),
		role_of(s->maker, "targets", TARGETS_KEY),
	};
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	upt_cleanup(json_clear) cJSON *root =
		upt_author_root(version, SCALE_EXPIRES, true, roles, 4);
	char file[64];

	if (root == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a root");
	snprintf(file, sizeof(file), "%s/%zu.root.json", repo, version);
	return write_signed(s, file, root, keys, version == 1 ? 1 : 2, &bytes, err);
}

/* Writes the repository's targets under name and lists them. */
static enum upt_code
make_targets(struct scene *s, const char *repo, const char *role, const cJSON *targets, size_t key,
	cJSON *snapshot, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	char file[64];

	snprintf(file, sizeof(file), "%s/1.%s.json", repo, role);
	UPT_TRY(write_signed(s, file, targets, &key, 1, &bytes, err));
	UPT_TRY(note_hash(s, file, upt_buf_span(&bytes), err));
	snprintf(file, sizeof(file), "%s.json", role);
	return upt_author_snapshot_add(snapshot, file, 1, upt_buf_span(&bytes), err);
}

/* Snapshot and timestamp over what is listed. */
static enum upt_code
publish(struct scene *s, const char *repo, const cJSON *snapshot, struct upt_err *err)
{
	upt_cleanup(json_clear) cJSON *timestamp = upt_author_timestamp(1, SCALE_EXPIRES);
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	char file[64];

	snprintf(file, sizeof(file), "%s/1.snapshot.json", repo);
	UPT_TRY(write_signed(s, file, snapshot, &(size_t){SNAPSHOT_KEY}, 1, &bytes, err));
	UPT_TRY(note_hash(s, file, upt_buf_span(&bytes), err));
	UPT_TRY(upt_author_timestamp_set(timestamp, 1, upt_buf_span(&bytes), err));
	snprintf(file, sizeof(file), "%s/timestamp.json", repo);
	return write_signed(s, file, timestamp, &(size_t){TIMESTAMP_KEY}, 1, &bytes, err);
}

static void
image_of(struct upt_image *image, int role, int i)
{
	*image = (struct upt_image){.length_bytes = 1000000 + (uint64_t)i,
		.n_digests = 1,
		.has_release_counter = true,
		.release_counter = 7};
	snprintf(image->name, sizeof(image->name), SCALE_TARGET_FORMAT, role, i);
	/* A hash of the right length; nothing is downloaded. */
	image->digests[0] = (struct upt_digest){.alg = UPT_HASH_SHA256, .len = 32};
	memcpy(image->digests[0].bytes, image->name, 20);
}

static cJSON *
for_ecu(int i)
{
	cJSON *custom = cJSON_CreateObject();
	cJSON *ecus = cJSON_AddObjectToObject(custom, "ecuIdentifiers");
	char serial[32];

	snprintf(serial, sizeof(serial), SCALE_ECU_FORMAT, i);
	cJSON_AddStringToObject(
		cJSON_AddObjectToObject(ecus, serial), "hardwareId", SCALE_HARDWARE);
	return custom;
}

static cJSON *
for_hardware(void)
{
	cJSON *custom = cJSON_CreateObject();

	cJSON_AddItemToArray(
		cJSON_AddArrayToObject(custom, "hardwareIds"), cJSON_CreateString(SCALE_HARDWARE));
	return custom;
}

static enum upt_code
add_targets(cJSON *targets, int role, size_t n, bool director, struct upt_err *err)
{
	struct upt_image *images = calloc(n, sizeof(*images));
	cJSON **customs = calloc(n, sizeof(*customs));
	enum upt_code code = UPT_E_NO_MEMORY;

	for (size_t i = 0; images != NULL && customs != NULL && i < n; i++) {
		image_of(&images[i], role, (int)i);
		customs[i] = director ? for_ecu((int)i) : for_hardware();
	}
	if (images != NULL && customs != NULL)
		code = upt_author_add_targets(targets, images, customs, n, err);
	free(images);
	free(customs);
	return code;
}

/* ---- scenes ---- */

static enum upt_code
make_repo(struct scene *s, const char *repo, size_t n_targets, struct upt_err *err)
{
	upt_cleanup(json_clear) cJSON *snapshot = upt_author_snapshot(1, SCALE_EXPIRES);
	upt_cleanup(json_clear) cJSON *targets = upt_author_targets(1, SCALE_EXPIRES);

	UPT_TRY(add_targets(targets, 0, n_targets, strcmp(repo, "director") == 0, err));
	UPT_TRY(make_root(s, repo, 1, err));
	UPT_TRY(make_targets(s, repo, "targets", targets, TARGETS_KEY, snapshot, err));
	return publish(s, repo, snapshot, err);
}

static enum upt_code
make_rotations(struct scene *s, struct upt_err *err)
{
	UPT_TRY(make_repo(s, "image", 1, err));
	for (size_t version = 2; version <= SCALE_N_ROTATIONS + 1; version++)
		UPT_TRY(make_root(s, "image", version, err));
	return UPT_OK;
}

/* The roles of one level, numbered as a search visits them, and what is below them. */
static enum upt_code
delegate(struct scene *s, cJSON *delegator, int level, int *n_roles, cJSON *snapshot,
	struct upt_err *err)
{
	static const int n_below[] = {5, 3, 2, 0};
	static const char *const all[] = {"*"};

	for (int i = 0; i < n_below[level]; i++) {
		upt_cleanup(json_clear) cJSON *targets = upt_author_targets(1, SCALE_EXPIRES);
		int number = (*n_roles)++;
		size_t key = other_key((size_t)number);
		struct upt_author_role role;
		char name[16];

		snprintf(name, sizeof(name), "role-%02d", number);
		role = role_of(s->maker, name, key);
		UPT_TRY(add_targets(targets, number, SCALE_N_ROLE_TARGETS, false, err));
		UPT_TRY(delegate(s, targets, level + 1, n_roles, snapshot, err));
		UPT_TRY(make_targets(s, "image", name, targets, key, snapshot, err));
		UPT_TRY(upt_author_add_delegation(delegator, &role, all, 1, NULL, 0, false, err));
	}
	return UPT_OK;
}

static enum upt_code
make_delegations(struct scene *s, struct upt_err *err)
{
	upt_cleanup(json_clear) cJSON *snapshot = upt_author_snapshot(1, SCALE_EXPIRES);
	upt_cleanup(json_clear) cJSON *targets = upt_author_targets(1, SCALE_EXPIRES);
	int n_roles = 0;

	UPT_TRY(make_root(s, "image", 1, err));
	UPT_TRY(delegate(s, targets, 0, &n_roles, snapshot, err));
	UPT_TRY(make_targets(s, "image", "targets", targets, TARGETS_KEY, snapshot, err));
	return publish(s, "image", snapshot, err);
}

static enum upt_code
make_director(struct scene *s, struct upt_err *err)
{
	UPT_TRY(make_repo(s, "director", SCALE_N_ECUS, err));
	return make_repo(s, "image", SCALE_N_ECUS, err);
}

static enum upt_code
make_scene(const struct maker *m, const char *name,
	enum upt_code (*make)(struct scene *, struct upt_err *), struct upt_err *err)
{
	static const char *const parts[] = {"", "/image", "/director"};
	struct scene scene = {.maker = m, .name = name};
	upt_cleanup(file_clear) FILE *floor = NULL;
	char path[4096];

	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s%s", m->dir, name, parts[i]);
		UPT_TRY(make_dir(path, err));
	}
	snprintf(path, sizeof(path), "%s/%s/floor", m->dir, name);
	UPT_TRY(open_file(path, &floor, err));
	scene.floor = floor;
	return make(&scene, err);
}

static enum upt_code
make_keys(struct maker *m, const char *keytype, struct upt_err *err)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/keys", m->dir);
	UPT_TRY(make_dir(path, err));
	for (size_t i = 0; i < N_KEYS; i++) {
		UPT_TRY(upt_private_key_generate(keytype, 2048, &m->keys[i], err));
		snprintf(path, sizeof(path), "%s/keys/%zu.pem", m->dir, i);
		UPT_TRY(upt_private_key_save(m->keys[i], path, err));
	}
	return UPT_OK;
}

static enum upt_code
make_all(struct maker *m, const char *keytype, struct upt_err *err)
{
	UPT_TRY(make_dir(m->dir, err));
	UPT_TRY(make_keys(m, keytype, err));
	UPT_TRY(make_scene(m, "rotations", make_rotations, err));
	UPT_TRY(make_scene(m, "delegations", make_delegations, err));
	return make_scene(m, "director", make_director, err);
}

int
main(int argc, char **argv)
{
	struct maker maker = {0};
	struct upt_err err = {0};

	if (argc != 3) {
		fputs("usage: bench-scale-make KEYTYPE DIR\n", stderr);
		return 2;
	}
	maker.dir = argv[2];
	if (make_all(&maker, argv[1], &err) != UPT_OK)
		fprintf(stderr, "bench-scale-make: %s\n", err.message);
	for (size_t i = 0; i < N_KEYS; i++)
		upt_private_key_free(&maker.keys[i]);
	return upt_code_exit(err.code);
}
