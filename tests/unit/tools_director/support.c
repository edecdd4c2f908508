#include "support.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int
remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void
add_ecu(struct upt_buf *out, const char *serial, const struct upt_private_key *key)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};

	assert_int_equal(upt_private_key_public_text(key, &text, NULL), UPT_OK);
	assert_int_equal(
		upt_buf_printf(out, NULL,
			"{\"ecu_serial\":\"%s\",\"hardware_identifier\":\"hw\",\"clientKey\":"
			"{\"keytype\":\"ED25519\",\"keyval\":{\"public\":\"%.*s\"}}}",
			serial, (int)text.len, (const char *)text.data),
		UPT_OK);
}

int
setup(void **state)
{
	static const int64_t lifetimes_s[N_ROLES] = {[ROLE_ROOT] = ROOT_LIFE_S,
		[ROLE_TARGETS] = TARGETS_LIFE_S,
		[ROLE_SNAPSHOT] = SNAPSHOT_LIFE_S,
		[ROLE_TIMESTAMP] = TIMESTAMP_LIFE_S};
	struct fixture *f = calloc(1, sizeof(*f));
	struct upt_err err = {0};

	assert_non_null(f);
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/director-unit.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(director_init(f->dir, "ed25519", lifetimes_s, T0, &err), UPT_OK);
	assert_int_equal(director_open(&f->d, f->dir, &err), UPT_OK);
	assert_int_equal(upt_private_key_generate("ed25519", 0, &f->primary_key, &err), UPT_OK);
	assert_int_equal(upt_private_key_generate("ed25519", 0, &f->secondary_key, &err), UPT_OK);
	assert_int_equal(upt_buf_printf(&f->registration, &err,
				 "{\"primary_ecu_serial\":\"prim\",\"ecus\":["),
		UPT_OK);
	add_ecu(&f->registration, "prim", f->primary_key);
	assert_int_equal(upt_buf_printf(&f->registration, &err, ","), UPT_OK);
	add_ecu(&f->registration, "sec", f->secondary_key);
	assert_int_equal(upt_buf_printf(&f->registration, &err, "]}"), UPT_OK);
	struct reply reply = ask(f, "/director/ecus", upt_buf_span(&f->registration), T0);
	assert_int_equal(reply.status, 201);
	reply_clear(&reply);
	*state = f;
	return 0;
}

int
teardown(void **state)
{
	struct fixture *f = *state;

	director_close(&f->d);
	upt_private_key_free(&f->primary_key);
	upt_private_key_free(&f->secondary_key);
	upt_buf_clear(&f->registration);
	(void)nftw(f->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

struct reply
ask(struct fixture *f, const char *path, struct upt_span body, int64_t now)
{
	struct reply reply = {0};
	struct upt_err err = {0};
	struct route route;

	assert_true(route_find(path, &route));
	struct request request = {.vehicle = VEHICLE, .body = body, .now = now};
	enum upt_code code = route_answer(&f->d, &route, &request, &reply, &err);
	if (code != UPT_OK)
		print_error("%s: %s\n", path, err.message);
	assert_int_equal(code, UPT_OK);
	return reply;
}

uint64_t
version_at(struct fixture *f, enum role role, int64_t now)
{
	char path[64];
	const char *found;

	(void)snprintf(path, sizeof(path), "/director/%s.json", role_name(role));
	struct reply reply = ask(f, path, upt_span("", 0), now);
	assert_int_equal(reply.status, 200);
	/* "version" is the payload's last member: canonical form sorts. */
	found = strrchr((const char *)reply.body.data, ':');
	assert_non_null(found);
	uint64_t version = strtoull(found + 1, NULL, 10);
	reply_clear(&reply);
	return version;
}

void
assign(struct fixture *f, const char *ecu, const char *name, int64_t now)
{
	struct assignment assignment = {.ecus = {ecu}, .n_ecus = 1};
	struct upt_err err = {0};
	bool changed = false;

	(void)snprintf(assignment.image.name, sizeof(assignment.image.name), "%s", name);
	assignment.image.length_bytes = 1;
	assignment.image.n_digests = 1;
	assert_int_equal(upt_hash_span(UPT_HASH_SHA256, upt_span("x", 1),
				 &assignment.image.digests[0], &err),
		UPT_OK);
	assert_int_equal(assignment_set_custom(&assignment, NULL, NULL, &err), UPT_OK);
	assert_int_equal(
		assignment_record(&f->d, VEHICLE, &assignment, 1, NULL, now, &changed, &err),
		UPT_OK);
	assert_true(changed);
	assignment_clear(&assignment);
}

static void
hash_table(struct fixture *f, const char *table, struct upt_hash *hash)
{
	upt_cleanup(db_finish) sqlite3_stmt *statement = NULL;
	char sql[64];
	bool row = false;

	(void)snprintf(sql, sizeof(sql), "SELECT * FROM %s", table);
	assert_int_equal(db_query(&f->d.db, &statement, NULL, sql, DB_NO_ARGS), UPT_OK);
	assert_int_equal(db_step(statement, &row, NULL), UPT_OK);
	while (row) {
		for (int i = 0; i < sqlite3_column_count(statement); i++) {
			struct upt_span value = db_column_bytes(statement, i);
			assert_int_equal(upt_hash_update(hash, value, NULL), UPT_OK);
			assert_int_equal(upt_hash_update(hash, upt_span("|", 1), NULL), UPT_OK);
		}
		assert_int_equal(db_step(statement, &row, NULL), UPT_OK);
	}
}

struct upt_digest
database_digest(struct fixture *f)
{
	static const char *const tables[] = {"setting", "role_key", "root", "vehicle", "ecu",
		"attack", "target", "assignment", "document", "event"};
	upt_cleanup(upt_hash_free) struct upt_hash *hash = NULL;
	struct upt_digest digest;

	assert_int_equal(upt_hash_new(UPT_HASH_SHA256, &hash, NULL), UPT_OK);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		hash_table(f, tables[i], hash);
	assert_int_equal(upt_hash_final(hash, &digest, NULL), UPT_OK);
	return digest;
}
