#include "memory_feed.h"

#include <stdio.h>
#include <string.h>

static struct memory_file *
find(struct memory_file *files, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(files[i].name, name) == 0)
			return &files[i];
	}
	return NULL;
}

static void
put(struct memory_file *files, size_t *n, const char *name, struct upt_span bytes)
{
	struct memory_file *file = find(files, *n, name);

	if (file == NULL) {
		assert_true(*n < MAX_FILES);
		file = &files[(*n)++];
		snprintf(file->name, sizeof(file->name), "%s", name);
	}
	file->bytes.len = 0;
	assert_int_equal(upt_buf_append(&file->bytes, bytes.data, bytes.len, NULL), UPT_OK);
}

static void
take_away(struct memory_file *files, size_t *n, const char *name)
{
	struct memory_file *file = find(files, *n, name);

	if (file == NULL)
		return;
	upt_buf_clear(&file->bytes);
	*file = files[--*n];
	files[*n] = (struct memory_file){0};
}

void
serve(struct memory_feed *m, const char *name, struct upt_span bytes)
{
	put(m->served, &m->n_served, name, bytes);
}

void
store(struct memory_feed *m, const char *role, struct upt_span bytes)
{
	put(m->stored, &m->n_stored, role, bytes);
}

void
withdraw(struct memory_feed *m, const char *name)
{
	take_away(m->served, &m->n_served, name);
}

const struct upt_buf *
stored(const struct memory_feed *m, const char *role)
{
	for (size_t i = 0; i < m->n_stored; i++) {
		if (strcmp(m->stored[i].name, role) == 0)
			return &m->stored[i].bytes;
	}
	return NULL;
}

static enum upt_code
	UPT_PRINTF(3, 4) note(struct memory_feed *m, struct upt_err *err, const char *fmt, ...)
{
	char entry[400];
	size_t len = strlen(m->log);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(entry, sizeof(entry), fmt, ap);
	va_end(ap);
	assert_true(len + strlen(entry) + 2 < LOG_SIZE);
	snprintf(m->log + len, LOG_SIZE - len, "%s%s", len > 0 ? ";" : "", entry);
	if (m->failing != NULL && strcmp(entry, m->failing) == 0)
		return upt_fail(err, m->failure, "made to fail: %s", entry);
	return UPT_OK;
}

static enum upt_code
fetch(void *ctx, const char *name, size_t max, struct upt_buf *out, struct upt_err *err)
{
	struct memory_feed *m = ctx;
	struct memory_file *file;

	UPT_TRY(note(m, err, "get %s", name));
	file = find(m->served, m->n_served, name);
	if (file == NULL)
		return upt_fail(err, UPT_E_ABSENT, "no %s", name);
	if (file->bytes.len > max)
		return upt_fail(err, UPT_E_TOO_LARGE, "%s: more than %zu bytes", name, max);
	out->len = 0;
	return upt_buf_append(out, file->bytes.data, file->bytes.len, err);
}

static enum upt_code
load(void *ctx, const char *role, struct upt_buf *out, struct upt_err *err)
{
	struct memory_feed *m = ctx;
	struct memory_file *file = find(m->stored, m->n_stored, role);
	char entry[300];

	/* Loads are not part of the log, but can fail. */
	snprintf(entry, sizeof(entry), "load %s", role);
	if (m->failing != NULL && strcmp(entry, m->failing) == 0)
		return upt_fail(err, m->failure, "made to fail: %s", entry);
	if (file == NULL)
		return upt_fail(err, UPT_E_NOT_FOUND, "no %s stored", role);
	out->len = 0;
	return upt_buf_append(out, file->bytes.data, file->bytes.len, err);
}

static enum upt_code
save(void *ctx, const char *role, uint64_t version, struct upt_span bytes, struct upt_err *err)
{
	struct memory_feed *m = ctx;

	UPT_TRY(note(m, err, "save %s %llu", role, (unsigned long long)version));
	store(m, role, bytes);
	return UPT_OK;
}

static enum upt_code
save_root(void *ctx, uint64_t version, struct upt_span bytes, bool drop_others, struct upt_err *err)
{
	struct memory_feed *m = ctx;

	UPT_TRY(note(m, err, "save root %llu%s", (unsigned long long)version,
		drop_others ? " drop" : ""));
	if (drop_others) {
		take_away(m->stored, &m->n_stored, "timestamp");
		take_away(m->stored, &m->n_stored, "snapshot");
	}
	store(m, "root", bytes);
	return UPT_OK;
}

static enum upt_code
forget(void *ctx, const char *role, struct upt_err *err)
{
	struct memory_feed *m = ctx;

	UPT_TRY(note(m, err, "forget %s", role));
	take_away(m->stored, &m->n_stored, role);
	return UPT_OK;
}

void
memory_feed_init(struct memory_feed *m)
{
	memset(m, 0, sizeof(*m));
	m->feed = (struct upt_feed){m, fetch, load, save, save_root, forget};
}

void
memory_feed_clear(struct memory_feed *m)
{
	for (size_t i = 0; i < MAX_FILES; i++) {
		upt_buf_clear(&m->served[i].bytes);
		upt_buf_clear(&m->stored[i].bytes);
	}
}

void
assert_log(struct memory_feed *m, const char *want)
{
	assert_string_equal(m->log, want);
	m->log[0] = '\0';
}
