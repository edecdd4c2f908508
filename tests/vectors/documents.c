#include "documents.h"

#include <stdlib.h>
#include <string.h>

struct document *
documents_find(const struct documents *d, const char *role)
{
	for (size_t i = 0; i < d->n; i++) {
		if (strcmp(d->list[i].role, role) == 0)
			return &d->list[i];
	}
	return NULL;
}

static enum upt_code
copy(struct upt_span bytes, struct upt_buf *out, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf fresh = {0};

	UPT_TRY(upt_buf_append(&fresh, bytes.data, bytes.len, err));
	upt_buf_move(out, &fresh);
	return UPT_OK;
}

enum upt_code
documents_load(
	const struct documents *d, const char *role, struct upt_buf *out, struct upt_err *err)
{
	const struct document *found = documents_find(d, role);

	if (found == NULL)
		return upt_fail(err, UPT_E_NOT_FOUND, "no %s is stored", role);
	return copy(upt_buf_span(&found->bytes), out, err);
}

/* A place for a role; NULL without memory. */
static struct document *
reserve(struct documents *d, const char *role)
{
	struct document *found = documents_find(d, role), *grown;

	if (found != NULL)
		return found;
	grown = realloc(d->list, (d->n + 1) * sizeof(*grown));
	if (grown == NULL)
		return NULL;
	d->list = grown;
	grown += d->n;
	*grown = (struct document){.role = strdup(role)};
	if (grown->role == NULL)
		return NULL;
	d->n++;
	return grown;
}

enum upt_code
documents_keep(struct documents *d, const char *role, uint64_t version, struct upt_span bytes,
	struct upt_err *err)
{
	struct document *place = reserve(d, role);

	if (place == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory to store %s", role);
	UPT_TRY(copy(bytes, &place->bytes, err));
	place->version = version;
	return UPT_OK;
}

void
documents_forget(struct documents *d, const char *role)
{
	struct document *found = documents_find(d, role);

	if (found == NULL)
		return;
	free(found->role);
	upt_buf_clear(&found->bytes);
	*found = d->list[--d->n];
}

enum upt_code
documents_keep_root(struct documents *d, uint64_t version, struct upt_span bytes, bool drop_others,
	struct upt_err *err)
{
	if (drop_others) {
		documents_forget(d, "timestamp");
		documents_forget(d, "snapshot");
	}
	return documents_keep(d, "root", version, bytes, err);
}

void
documents_clear(struct documents *d)
{
	for (size_t i = 0; i < d->n; i++) {
		free(d->list[i].role);
		upt_buf_clear(&d->list[i].bytes);
	}
	free(d->list);
	*d = (struct documents){0};
}
