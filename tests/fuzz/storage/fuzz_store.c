/*
 * The Primary's database as somebody left it who can write it. 'f': the bytes are the file. 'c': a
 * good database in which cells hold other values: for each, a byte for the column, a byte for the
 * type, a byte for the length, and the value. Whatever it is, the store refuses or answers within
 * the bounds of its callers' memory; what it answers is whole, and a refusal leaves nothing.
 */
#include <fcntl.h>
#include <sqlite3.h>

#include "base/file.h"
#include "fuzz.h"
#include "storage/store.h"

#define MAX_BYTES ((size_t)262144)

static const char *const columns[] = {"documents.repo", "documents.name", "documents.version",
	"documents.bytes", "roots.version", "roots.bytes", "numbers.name", "numbers.value",
	"texts.name", "texts.value", "images.ecu", "images.slot", "images.name", "images.length",
	"images.release_counter", "images.sha256", "images.sha512", "reports.ecu",
	"reports.envelope", "incidents.time", "incidents.code", "incidents.repo", "incidents.ecu",
	"incidents.message", "incidents.reported"};

/* ---- a good one ---- */

static void
fill(struct upt_store *store)
{
	struct upt_image image = {.name = "a", .length_bytes = 1, .n_digests = 2};
	const struct upt_incident incident = {.code = UPT_E_ROLLBACK, .message = "m", .ecu = "E"};

	image.digests[0] = (struct upt_digest){.alg = UPT_HASH_SHA256, .len = 32};
	image.digests[1] = (struct upt_digest){.alg = UPT_HASH_SHA512, .len = 64};
	FUZZ_ASSERT(upt_store_save_root(
			    store, UPT_REPO_DIRECTOR, 1, upt_span_str("r"), false, NULL) == UPT_OK);
	FUZZ_ASSERT(upt_store_save_document(store, UPT_REPO_DIRECTOR, "targets", 1,
			    upt_span_str("d"), NULL) == UPT_OK);
	FUZZ_ASSERT(upt_store_set_u64(store, "n", 1, NULL) == UPT_OK);
	FUZZ_ASSERT(upt_store_set_text(store, "t", upt_span_str("text"), NULL) == UPT_OK);
	for (int slot = 0; slot < 4; slot++)
		FUZZ_ASSERT(upt_store_set_image(
				    store, "E", (enum upt_image_slot)slot, &image, NULL) == UPT_OK);
	FUZZ_ASSERT(upt_store_save_report(store, "E", upt_span_str("{}"), NULL) == UPT_OK);
	FUZZ_ASSERT(upt_store_add_incident(store, &incident, NULL) == UPT_OK);
}

/* Its bytes, made once: a schema takes longer than all that is read. */
static struct upt_span
good_database(void)
{
	static struct upt_buf bytes;
	struct upt_store *store = NULL;

	if (bytes.len > 0)
		return upt_buf_span(&bytes);
	FUZZ_ASSERT(upt_store_open(fuzz_path("store"), UPT_STORE_WRITE, &store, NULL) == UPT_OK);
	fill(store);
	upt_store_close(&store);
	FUZZ_ASSERT(upt_file_read(AT_FDCWD, fuzz_path("store/state.db"), 1 << 20, &bytes, NULL) ==
		    UPT_OK);
	return upt_buf_span(&bytes);
}

/* ---- other values ---- */

static void
bind(sqlite3_stmt *statement, uint8_t type, struct upt_span value)
{
	int64_t number = 0;

	memcpy(&number, value.data, value.len < sizeof(number) ? value.len : sizeof(number));
	if (type % 4 == 0)
		sqlite3_bind_null(statement, 1);
	else if (type % 4 == 1)
		sqlite3_bind_int64(statement, 1, number);
	else if (type % 4 == 2)
		sqlite3_bind_text(
			statement, 1, (const char *)value.data, (int)value.len, SQLITE_TRANSIENT);
	else
		sqlite3_bind_blob(statement, 1, value.data, (int)value.len, SQLITE_TRANSIENT);
}

/* What the table's own rules refuse stays as it is. */
static void
set_column(sqlite3 *db, uint8_t column, uint8_t type, struct upt_span value)
{
	const char *name = columns[column % (sizeof(columns) / sizeof(columns[0]))];
	sqlite3_stmt *statement = NULL;
	char sql[128];

	snprintf(sql, sizeof(sql), "UPDATE %.*s SET %s = ?1", (int)strcspn(name, "."), name,
		strchr(name, '.') + 1);
	FUZZ_ASSERT(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK);
	bind(statement, type, value);
	(void)sqlite3_step(statement);
	sqlite3_finalize(statement);
}

static void
set_columns(struct upt_span rest)
{
	sqlite3 *db = NULL;

	FUZZ_ASSERT(sqlite3_open(fuzz_path("store/state.db"), &db) == SQLITE_OK);
	while (rest.len >= 3) {
		size_t len = rest.data[2];

		if (len > rest.len - 3)
			len = rest.len - 3;
		set_column(db, rest.data[0], rest.data[1], upt_span(rest.data + 3, len));
		rest = upt_span(rest.data + 3 + len, rest.len - 3 - len);
	}
	FUZZ_ASSERT(sqlite3_close(db) == SQLITE_OK);
}

/* ---- reading ---- */

static bool
ends_within(const char *text, size_t size)
{
	return memchr(text, 0, size) != NULL;
}

static enum upt_code
check_incident(void *ctx, const struct upt_incident *incident, struct upt_err *err)
{
	(void)ctx, (void)err;
	FUZZ_ASSERT(ends_within(incident->ecu, sizeof(incident->ecu)));
	FUZZ_ASSERT(ends_within(incident->message, sizeof(incident->message)));
	FUZZ_ASSERT(incident->code < UPT_N_CODES && upt_repo_name(incident->repo) != NULL);
	return UPT_OK;
}

static void
check_image(struct upt_store *store, const char *ecu, enum upt_image_slot slot)
{
	struct upt_image image, none;

	memset(&none, 0, sizeof(none));
	if (upt_store_get_image(store, ecu, slot, &image, NULL) != UPT_OK) {
		FUZZ_ASSERT(memcmp(&image, &none, sizeof(none)) == 0);
		return;
	}
	FUZZ_ASSERT(ends_within(image.name, sizeof(image.name)));
	FUZZ_ASSERT(image.n_digests <= UPT_MAX_DIGESTS);
	for (size_t i = 0; i < image.n_digests; i++)
		FUZZ_ASSERT(image.digests[i].len == upt_hash_bytes(image.digests[i].alg));
	FUZZ_ASSERT(upt_image_same(&image, &image) || image.n_digests == 0);
}

static enum upt_code
check_ecu(void *ctx, const char *ecu, struct upt_err *err)
{
	struct upt_store *store = ctx;

	(void)err;
	FUZZ_ASSERT(strlen(ecu) <= UPT_ECU_SERIAL_MAX);
	for (int slot = 0; slot < 4; slot++)
		check_image(store, ecu, (enum upt_image_slot)slot);
	return UPT_OK;
}

static void
check_store(struct upt_store *store)
{
	upt_cleanup(upt_buf_clear) struct upt_buf out = {0};
	uint64_t first = 0, last = 0, number;

	if (upt_store_root_versions(store, UPT_REPO_DIRECTOR, &first, &last, NULL) == UPT_OK) {
		FUZZ_ASSERT(first <= last);
		(void)!upt_store_load_root(store, UPT_REPO_DIRECTOR, last, &out, NULL);
	}
	(void)!upt_store_load_document(store, UPT_REPO_DIRECTOR, "targets", &out, NULL);
	(void)!upt_store_document_version(store, UPT_REPO_DIRECTOR, "targets", &number, NULL);
	if (upt_store_get_u64(store, "n", 5, &number, NULL) != UPT_OK)
		FUZZ_ASSERT(number == 0);
	(void)!upt_store_get_text(store, "t", &out, NULL);
	(void)!upt_store_load_report(store, "E", &out, NULL);
	(void)!upt_store_each_incident(store, false, check_incident, NULL, NULL);
	(void)!upt_store_each_ecu(store, check_ecu, store, NULL);
	for (int slot = 0; slot < 4; slot++)
		check_image(store, "E", (enum upt_image_slot)slot);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct upt_store *store = NULL;
	struct upt_err err = {0};
	struct upt_span good;
	enum upt_code code;

	if (size == 0 || size > MAX_BYTES || (data[0] != 'f' && data[0] != 'c'))
		return 0;
	good = good_database();
	fuzz_remove("store");
	FUZZ_ASSERT(upt_dir_make(fuzz_path("store"), 0700, NULL) == UPT_OK);
	fuzz_write("store/state.db", data[0] == 'f' ? upt_span(data + 1, size - 1) : good);
	if (data[0] == 'c')
		set_columns(upt_span(data + 1, size - 1));
	code = upt_store_open(fuzz_path("store"), UPT_STORE_WRITE, &store, &err);
	FUZZ_ASSERT((code == UPT_OK) == (store != NULL));
	FUZZ_ASSERT(code == UPT_OK || code == UPT_E_DATABASE);
	if (store != NULL)
		check_store(store);
	upt_store_close(&store);
	return 0;
}
