#include "storage/store_internal.h"

/* Column of a digest; NULL is "not listed". */
static enum upt_code
read_digest(struct upt_query *q, int column, enum upt_hash_alg alg, struct upt_image *image,
	struct upt_err *err)
{
	const void *bytes = sqlite3_column_blob(q->stmt, column);
	size_t len = (size_t)sqlite3_column_bytes(q->stmt, column);
	struct upt_digest *digest = &image->digests[image->n_digests];

	if (sqlite3_column_type(q->stmt, column) == SQLITE_NULL)
		return UPT_OK;
	if (bytes == NULL || len != upt_hash_bytes(alg))
		return upt_fail(err, UPT_E_DATABASE, "%s is damaged (%s: a %s digest of %zu bytes)",
			q->store->path, q->what, upt_hash_name(alg), len);
	digest->alg = alg;
	digest->len = len;
	memcpy(digest->bytes, bytes, len);
	image->n_digests++;
	return UPT_OK;
}

enum upt_code
upt_query_image(struct upt_query *q, int column, struct upt_image *out, struct upt_err *err)
{
	struct upt_image image = {0};

	*out = image;
	UPT_TRY(upt_query_text(q, column, image.name, sizeof(image.name), err));
	UPT_TRY(upt_query_u64(q, column + 1, &image.length_bytes, err));
	image.has_release_counter = sqlite3_column_type(q->stmt, column + 2) != SQLITE_NULL;
	if (image.has_release_counter)
		UPT_TRY(upt_query_u64(q, column + 2, &image.release_counter, err));
	UPT_TRY(read_digest(q, column + 3, UPT_HASH_SHA256, &image, err));
	UPT_TRY(read_digest(q, column + 4, UPT_HASH_SHA512, &image, err));
	*out = image;
	return UPT_OK;
}

enum upt_code
upt_store_get_image(struct upt_store *store, const char *ecu, enum upt_image_slot slot,
	struct upt_image *out, struct upt_err *err)
{
	upt_cleanup(upt_query_end) struct upt_query q = upt_query_begin(store, "reading an image",
		"SELECT name, length, release_counter, sha256, sha512 FROM images"
		" WHERE ecu = ?1 AND slot = ?2");
	bool row;

	*out = (struct upt_image){0};
	upt_query_bind_text(&q, 1, ecu);
	upt_query_bind_int(&q, 2, slot);
	UPT_TRY(upt_query_step(&q, &row, err));
	return row ? upt_query_image(&q, 0, out, err) : UPT_OK;
}

static void
bind_digest(struct upt_query *q, int at, const struct upt_image *image, enum upt_hash_alg alg)
{
	const struct upt_digest *digest = upt_image_digest(image, alg);

	if (digest != NULL)
		upt_query_bind_blob(q, at, upt_span(digest->bytes, digest->len));
}

void
upt_query_bind_image(struct upt_query *q, int at, const struct upt_image *image)
{
	upt_query_bind_text(q, at, image->name);
	upt_query_bind_u64(q, at + 1, image->length_bytes);
	if (image->has_release_counter)
		upt_query_bind_u64(q, at + 2, image->release_counter);
	bind_digest(q, at + 3, image, UPT_HASH_SHA256);
	bind_digest(q, at + 4, image, UPT_HASH_SHA512);
}

enum upt_code
upt_store_set_image(struct upt_store *store, const char *ecu, enum upt_image_slot slot,
	const struct upt_image *image, struct upt_err *err)
{
	upt_cleanup(upt_query_end) struct upt_query q = {0};

	if (image->name[0] == '\0')
		return upt_store_clear_image(store, ecu, slot, err);
	/* Refused when written: read back, it would make the whole ECU unreadable. */
	if (strlen(ecu) > UPT_ECU_SERIAL_MAX)
		return upt_fail(
			err, UPT_E_INTERNAL, "an ECU serial of %zu characters", strlen(ecu));
	q = upt_query_begin(store, "saving an image",
		"INSERT OR REPLACE INTO images"
		" (ecu, slot, name, length, release_counter, sha256, sha512)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
	upt_query_bind_text(&q, 1, ecu);
	upt_query_bind_int(&q, 2, slot);
	upt_query_bind_image(&q, 3, image);
	return upt_query_run(&q, err);
}

enum upt_code
upt_store_clear_image(
	struct upt_store *store, const char *ecu, enum upt_image_slot slot, struct upt_err *err)
{
	upt_cleanup(upt_query_end) struct upt_query q = upt_query_begin(
		store, "clearing an image", "DELETE FROM images WHERE ecu = ?1 AND slot = ?2");

	upt_query_bind_text(&q, 1, ecu);
	upt_query_bind_int(&q, 2, slot);
	return upt_query_run(&q, err);
}

enum upt_code
upt_store_confirm_image(struct upt_store *store, const char *ecu, const struct upt_image *image,
	struct upt_err *err)
{
	upt_cleanup(upt_transaction_end) struct upt_transaction t = {0};
	struct upt_image old;

	UPT_TRY(upt_transaction_begin(&t, store, err));
	UPT_TRY(upt_store_get_image(store, ecu, UPT_SLOT_INSTALLED, &old, err));
	if (old.name[0] != '\0' && !upt_image_same(&old, image))
		UPT_TRY(upt_store_set_image(store, ecu, UPT_SLOT_PREVIOUS, &old, err));
	UPT_TRY(upt_store_set_image(store, ecu, UPT_SLOT_INSTALLED, image, err));
	UPT_TRY(upt_store_clear_image(store, ecu, UPT_SLOT_PENDING, err));
	return upt_transaction_commit(&t, err);
}

/* The first serial after prev in byte order; *row is false at the end. */
static enum upt_code
next_ecu(struct upt_store *store, char serial[static UPT_ECU_SERIAL_MAX + 1], bool *row,
	struct upt_err *err)
{
	upt_cleanup(upt_query_end) struct upt_query q = upt_query_begin(store, "listing the ECUs",
		"SELECT ecu FROM images WHERE ecu > ?1 ORDER BY ecu LIMIT 1");
	char prev[UPT_ECU_SERIAL_MAX + 1];

	memcpy(prev, serial, sizeof(prev));
	upt_query_bind_text(&q, 1, prev);
	UPT_TRY(upt_query_step(&q, row, err));
	return *row ? upt_query_text(&q, 0, serial, UPT_ECU_SERIAL_MAX + 1, err) : UPT_OK;
}

enum upt_code
upt_store_each_ecu(struct upt_store *store,
	enum upt_code (*each)(void *ctx, const char *ecu, struct upt_err *err), void *ctx,
	struct upt_err *err)
{
	char serial[UPT_ECU_SERIAL_MAX + 1] = "";
	bool row;

	/* A query per step, so that each() may change what it is shown. */
	for (;;) {
		UPT_TRY(next_ecu(store, serial, &row, err));
		if (!row)
			return UPT_OK;
		UPT_TRY(each(ctx, serial, err));
	}
}
