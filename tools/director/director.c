#include <errno.h>
#include <stdio.h>
#include "base/encode.h"
#include "director.h"

static const struct {
	const char *name;
	int64_t lifetime_s;
} roles[N_ROLES] = {
	[ROLE_ROOT] = {"root", 365LL * 86400},
	[ROLE_TIMESTAMP] = {"timestamp", 86400},
	[ROLE_SNAPSHOT] = {"snapshot", 30LL * 86400},
	[ROLE_TARGETS] = {"targets", 30LL * 86400},
};

const char *
role_name(enum role role)
{
	return roles[role].name;
}

int64_t
role_default_lifetime_s(enum role role)
{
	return roles[role].lifetime_s;
}

bool
role_find(struct upt_span name, enum role *out)
{
	for (int i = 0; i < N_ROLES; i++) {
		if (upt_span_equal(name, upt_span_str(roles[i].name))) {
			*out = (enum role)i;
			return true;
		}
	}
	return false;
}

enum upt_code
director_no_memory(struct upt_err *err)
{
	return upt_fail(err, UPT_E_NO_MEMORY, "out of memory");
}

void
director_digest_hex(const struct upt_image *image, enum upt_hash_alg alg,
	char out[static 2 * UPT_HASH_MAX_BYTES + 1])
{
	const struct upt_digest *digest = upt_image_digest(image, alg);

	out[0] = '\0';
	if (digest != NULL)
		upt_hex_encode(upt_span(digest->bytes, digest->len), out);
}

bool
vehicle_id_check(struct upt_span id)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-";

	for (size_t i = 0; i < id.len; i++) {
		if (id.data[i] == '\0' || strchr(allowed, id.data[i]) == NULL)
			return false;
	}
	return id.len >= 1 && id.len <= DIRECTOR_VEHICLE_ID_MAX;
}

static void
forget_keys(struct director *d)
{
	for (int i = 0; i < N_ROLES; i++)
		upt_private_key_free(&d->keys[i]);
	d->key_epoch = 0;
}

void
director_close(struct director *d)
{
	forget_keys(d);
	db_close(&d->db);
	free(d->dir);
	d->dir = NULL;
}

enum upt_code
director_open(struct director *d, const char *dir, struct upt_err *err)
{
	upt_cleanup(upt_free_ptr) char *path = NULL;

	*d = (struct director){0};
	if (asprintf(&path, "%s/director.db", dir) < 0) {
		path = NULL;
		return upt_fail(err, UPT_E_NO_MEMORY, "out of memory");
	}
	UPT_TRY(db_open(&d->db, path, err));
	d->dir = strdup(dir);
	if (d->dir == NULL) {
		db_close(&d->db);
		return upt_fail(err, UPT_E_NO_MEMORY, "out of memory");
	}
	return UPT_OK;
}

enum upt_code
director_get_setting(struct director *d, const char *name, int64_t *out, struct upt_err *err)
{
	return db_get_int(&d->db, out, err, "SELECT value FROM setting WHERE name = ?",
		DB_ARGS(db_text(name)));
}

enum upt_code
director_get_lifetime(struct director *d, enum role role, int64_t *out_s, struct upt_err *err)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "lifetime_%s", role_name(role));
	return director_get_setting(d, name, out_s, err);
}

static enum upt_code
load_key(struct director *d, enum role role, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf file = {0};
	upt_cleanup(upt_free_ptr) char *path = NULL;

	UPT_TRY(db_get_bytes(&d->db, &file, err, "SELECT file FROM role_key WHERE role = ?",
		DB_ARGS(db_text(role_name(role)))));
	if (asprintf(&path, "%s/keys/%s", d->dir, (const char *)file.data) < 0) {
		path = NULL;
		return upt_fail(err, UPT_E_NO_MEMORY, "out of memory");
	}
	return upt_private_key_load(path, &d->keys[role], err);
}

enum upt_code
director_load_other_keys(struct director *d, enum role lost, struct upt_err *err)
{
	forget_keys(d);
	for (int i = 0; i < N_ROLES; i++) {
		enum upt_code code = i == (int)lost ? UPT_OK : load_key(d, (enum role)i, err);
		if (code != UPT_OK) {
			forget_keys(d);
			return code;
		}
	}
	return UPT_OK;
}

enum upt_code
director_load_keys(struct director *d, struct upt_err *err)
{
	int64_t epoch = 0;

	UPT_TRY(director_get_setting(d, "key_epoch", &epoch, err));
	if (epoch == d->key_epoch)
		return UPT_OK;
	UPT_TRY(director_load_other_keys(d, N_ROLES, err));
	d->key_epoch = epoch;
	return UPT_OK;
}

enum upt_code
director_load_root(struct director *d, uint64_t version, struct upt_buf *out, struct upt_err *err)
{
	if (version == 0)
		return db_get_bytes(&d->db, out, err,
			"SELECT bytes FROM root ORDER BY version DESC LIMIT 1", DB_NO_ARGS);
	return db_get_bytes(&d->db, out, err, "SELECT bytes FROM root WHERE version = ?",
		DB_ARGS(db_int((int64_t)version)));
}
