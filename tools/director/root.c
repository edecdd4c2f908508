/*
 * Making roots: the first one, one with a changed key, one with a later expiry. The keys lie on
 * this machine: whoever takes it over is the Director, which is why vehicles ask the Image
 * repository too.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include "authoring/authoring.h"
#include "base/file.h"
#include "director.h"

#define RSA_BITS 3072
#define THRESHOLD 1

static enum upt_code
check_empty(const char *dir, struct upt_err *err)
{
	DIR *stream = opendir(dir);

	if (stream == NULL)
		return upt_fail_errno(err, errno, "%s", dir);
	size_t n = 0;
	for (const struct dirent *e = readdir(stream); e != NULL; e = readdir(stream))
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(stream);
	if (n > 0)
		return upt_fail(err, UPT_E_USAGE,
			"%s is not empty (%zu entries); a Director starts in an empty directory",
			dir, n);
	return UPT_OK;
}

/* Signs a root of d->keys; old_root_key (or NULL) signs beside the new one. */
static enum upt_code
sign_root(struct director *d, uint64_t version, int64_t expires,
	const struct upt_private_key *old_root_key, struct upt_buf *out, struct upt_err *err)
{
	struct upt_author_role author[N_ROLES];
	const struct upt_private_key *keys[N_ROLES];

	for (int i = 0; i < N_ROLES; i++) {
		keys[i] = d->keys[i];
		author[i] = (struct upt_author_role){.name = role_name((enum role)i),
			.keys = &keys[i],
			.n_keys = 1,
			.threshold = THRESHOLD};
	}
	upt_cleanup(upt_author_json_clear) cJSON *payload =
		upt_author_root(version, expires, true, author, N_ROLES);
	if (payload == NULL)
		return director_no_memory(err);
	const struct upt_private_key *signers[2] = {d->keys[ROLE_ROOT], old_root_key};
	return upt_author_sign(payload, signers, old_root_key != NULL ? 2 : 1, out, err);
}

static enum upt_code
record_root(struct director *d, uint64_t version, int64_t expires, struct upt_span bytes,
	struct upt_err *err)
{
	return db_run(&d->db, err, "INSERT INTO root(version, expires, bytes) VALUES (?, ?, ?)",
		DB_ARGS(db_int((int64_t)version), db_int(expires), db_blob(bytes)));
}

/* The copy that provisioning pins; the database's record is the one that counts. */
static enum upt_code
export_root(const struct director *d, uint64_t version, struct upt_span bytes, struct upt_err *err)
{
	upt_cleanup(upt_free_ptr) char *path = NULL;

	if (asprintf(&path, "%s/%llu.root.json", d->dir, (unsigned long long)version) < 0) {
		path = NULL;
		return director_no_memory(err);
	}
	return upt_file_replace(AT_FDCWD, path, 0644, bytes, err);
}

/* Generates d->keys[role] as keys/ROLE.VERSION.pem and names it in the database. */
static enum upt_code
new_key(struct director *d, enum role role, const char *key_type, uint64_t version,
	struct upt_err *err)
{
	char file[64], id[65];
	upt_cleanup(upt_free_ptr) char *path = NULL;
	upt_cleanup(upt_private_key_free) struct upt_private_key *key = NULL;

	(void)snprintf(
		file, sizeof(file), "%s.%llu.pem", role_name(role), (unsigned long long)version);
	if (asprintf(&path, "%s/keys/%s", d->dir, file) < 0) {
		path = NULL;
		return director_no_memory(err);
	}
	UPT_TRY(upt_private_key_generate(key_type, RSA_BITS, &key, err));
	UPT_TRY(upt_private_key_save(key, path, err));
	upt_private_key_id(key, id);
	UPT_TRY(db_run(&d->db, err,
		"INSERT INTO role_key(role, file, key_id) VALUES (?, ?, ?)"
		" ON CONFLICT(role) DO UPDATE SET file = excluded.file, key_id = excluded.key_id",
		DB_ARGS(db_text(role_name(role)), db_text(file), db_text(id))));
	upt_private_key_free(&d->keys[role]);
	d->keys[role] = key;
	key = NULL;
	return UPT_OK;
}

static enum upt_code
save_settings(struct director *d, const int64_t lifetimes_s[static N_ROLES], struct upt_err *err)
{
	for (int i = 0; i < N_ROLES; i++) {
		char name[32];
		(void)snprintf(name, sizeof(name), "lifetime_%s", role_name((enum role)i));
		UPT_TRY(db_run(&d->db, err, "INSERT INTO setting(name, value) VALUES (?, ?)",
			DB_ARGS(db_text(name), db_int(lifetimes_s[i]))));
	}
	return db_run(&d->db, err, "INSERT INTO setting(name, value) VALUES ('key_epoch', 1)",
		DB_NO_ARGS);
}

static enum upt_code
make_first(struct director *d, const char *key_type, const int64_t lifetimes_s[static N_ROLES],
	int64_t now, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	upt_cleanup(db_rollback) struct db_tx tx = {0};
	int64_t expires = now + lifetimes_s[ROLE_ROOT];

	UPT_TRY(db_begin(&d->db, &tx, err));
	UPT_TRY(save_settings(d, lifetimes_s, err));
	for (int i = 0; i < N_ROLES; i++)
		UPT_TRY(new_key(d, (enum role)i, key_type, 1, err));
	UPT_TRY(sign_root(d, 1, expires, NULL, &bytes, err));
	UPT_TRY(record_root(d, 1, expires, upt_buf_span(&bytes), err));
	UPT_TRY(db_commit(&tx, err));
	return export_root(d, 1, upt_buf_span(&bytes), err);
}

enum upt_code
director_init(const char *dir, const char *key_type, const int64_t lifetimes_s[static N_ROLES],
	int64_t now, struct upt_err *err)
{
	upt_cleanup(upt_free_ptr) char *keys = NULL;
	upt_cleanup(upt_free_ptr) char *path = NULL;
	upt_cleanup(director_close) struct director d = {0};

	UPT_TRY(upt_dir_make(dir, 0700, err));
	UPT_TRY(check_empty(dir, err));
	if (asprintf(&keys, "%s/keys", dir) < 0) {
		keys = NULL;
		return director_no_memory(err);
	}
	if (asprintf(&path, "%s/director.db", dir) < 0) {
		path = NULL;
		return director_no_memory(err);
	}
	d.dir = strdup(dir);
	if (d.dir == NULL)
		return director_no_memory(err);
	UPT_TRY(upt_dir_make(keys, 0700, err));
	UPT_TRY(db_create(&d.db, path, err));
	return make_first(&d, key_type, lifetimes_s, now, err);
}

static enum upt_code
latest_root(struct director *d, uint64_t *version, int64_t *expires, struct upt_err *err)
{
	upt_cleanup(db_finish) sqlite3_stmt *statement = NULL;
	bool row = false;

	UPT_TRY(db_query(&d->db, &statement, err,
		"SELECT version, expires FROM root ORDER BY version DESC LIMIT 1", DB_NO_ARGS));
	UPT_TRY(db_step(statement, &row, err));
	if (!row)
		return upt_fail(err, UPT_E_DATABASE, "the database holds no root");
	*version = (uint64_t)sqlite3_column_int64(statement, 0);
	*expires = sqlite3_column_int64(statement, 1);
	return UPT_OK;
}

enum upt_code
director_renew_root(struct director *d, int64_t now, bool *renewed, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	upt_cleanup(db_rollback) struct db_tx tx = {0};
	uint64_t version = 0;
	int64_t expires = 0, lifetime_s = 0;

	*renewed = false;
	UPT_TRY(director_get_lifetime(d, ROLE_ROOT, &lifetime_s, err));
	UPT_TRY(latest_root(d, &version, &expires, err));
	if (now < expires - lifetime_s / 2)
		return UPT_OK;
	UPT_TRY(db_begin(&d->db, &tx, err));
	UPT_TRY(latest_root(d, &version, &expires, err));
	if (now < expires - lifetime_s / 2)
		return UPT_OK;
	UPT_TRY(director_load_keys(d, err));
	expires = now + lifetime_s;
	UPT_TRY(sign_root(d, version + 1, expires, NULL, &bytes, err));
	UPT_TRY(record_root(d, version + 1, expires, upt_buf_span(&bytes), err));
	UPT_TRY(db_commit(&tx, err));
	*renewed = true;
	return export_root(d, version + 1, upt_buf_span(&bytes), err);
}

/* upt_private_key_generate's name for the type of an existing key. */
static const char *
type_for_generate(const struct upt_private_key *key)
{
	const char *type = upt_private_key_type(key);

	return strcmp(type, "ecdsa") == 0 ? "ecdsa-sha2-nistp256" : type;
}

static enum upt_code
remove_key_file(const struct director *d, const char *file, struct upt_err *err)
{
	upt_cleanup(upt_free_ptr) char *path = NULL;

	if (asprintf(&path, "%s/keys/%s", d->dir, file) < 0) {
		path = NULL;
		return director_no_memory(err);
	}
	if (unlink(path) != 0 && errno != ENOENT)
		return upt_fail_errno(err, errno, "%s", path);
	return UPT_OK;
}

/* Everything of director_rotate but the transaction's end. old_root: set when role is root. */
static enum upt_code
rotate_in_transaction(struct director *d, enum role role, struct upt_private_key **old_root,
	int64_t now, uint64_t *version, struct upt_buf *bytes, struct upt_err *err)
{
	int64_t expires = 0, lifetime_s = 0;

	UPT_TRY(latest_root(d, version, &expires, err));
	UPT_TRY(director_get_lifetime(d, ROLE_ROOT, &lifetime_s, err));
	UPT_TRY(director_load_other_keys(d, role == ROLE_ROOT ? N_ROLES : role, err));
	*version += 1;
	expires = now + lifetime_s;
	const char *type = type_for_generate(d->keys[ROLE_ROOT]);
	if (role == ROLE_ROOT) {
		*old_root = d->keys[ROLE_ROOT];
		d->keys[ROLE_ROOT] = NULL;
	}
	UPT_TRY(new_key(d, role, type, *version, err));
	UPT_TRY(sign_root(d, *version, expires, *old_root, bytes, err));
	UPT_TRY(record_root(d, *version, expires, upt_buf_span(bytes), err));
	return db_run(&d->db, err, "UPDATE setting SET value = value + 1 WHERE name = 'key_epoch'",
		DB_NO_ARGS);
}

enum upt_code
director_rotate(struct director *d, enum role role, bool keep_old_key, int64_t now,
	uint64_t *version, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf old_file = {0};
	upt_cleanup(upt_private_key_free) struct upt_private_key *old_root = NULL;
	upt_cleanup(db_rollback) struct db_tx tx = {0};

	*version = 0;
	UPT_TRY(db_begin(&d->db, &tx, err));
	UPT_TRY(db_get_bytes(&d->db, &old_file, err, "SELECT file FROM role_key WHERE role = ?",
		DB_ARGS(db_text(role_name(role)))));
	uint64_t next = 0;
	enum upt_code code = rotate_in_transaction(d, role, &old_root, now, &next, &bytes, err);
	if (code == UPT_OK)
		code = db_commit(&tx, err);
	/* keys[] may now differ from what the database says: read them again before the next use.
	 */
	d->key_epoch = 0;
	UPT_TRY(code);
	*version = next;
	UPT_TRY(export_root(d, next, upt_buf_span(&bytes), err));
	/* Nobody may sign with a key that the root no longer lists; a copy left lying about could
	 * still deceive every vehicle that has not seen the new root. */
	return keep_old_key ? UPT_OK : remove_key_file(d, (const char *)old_file.data, err);
}
