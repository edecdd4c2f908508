#include "support.h"

#include <stdio.h>
#include <sys/stat.h>

struct fixture {
	char *dir;
	struct upt_store *store;
	struct upt_err err;
};

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->dir = scratch_make();
	assert_int_equal(upt_store_open(f->dir, UPT_STORE_WRITE, &f->store, &f->err), UPT_OK);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	upt_store_close(&f->store);
	scratch_remove(&f->dir);
	free(f);
	return 0;
}

static void
reopen(struct fixture *f)
{
	upt_store_close(&f->store);
	assert_int_equal(upt_store_open(f->dir, UPT_STORE_WRITE, &f->store, &f->err), UPT_OK);
}

static void
save(struct fixture *f, enum upt_repo repo, const char *name, uint64_t version, const char *text)
{
	assert_int_equal(
		upt_store_save_document(f->store, repo, name, version, upt_span_str(text), &f->err),
		UPT_OK);
}

static void
expect_document(
	struct fixture *f, enum upt_repo repo, const char *name, uint64_t version, const char *text)
{
	upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};
	uint64_t v = 99;

	assert_int_equal(upt_store_load_document(f->store, repo, name, &buf, &f->err), UPT_OK);
	assert_string_equal((char *)buf.data, text);
	assert_int_equal(upt_store_document_version(f->store, repo, name, &v, &f->err), UPT_OK);
	assert_int_equal(v, version);
}

static void
documents_survive_reopening(void **state)
{
	struct fixture *f = *state;

	save(f, UPT_REPO_DIRECTOR, "targets", 3, "director");
	save(f, UPT_REPO_IMAGE, "targets", 4, "image");
	save(f, UPT_REPO_IMAGE, "deleg'ated; --", 5, "role");
	save(f, UPT_REPO_DIRECTOR, "targets", 7, "director 7");
	save(f, UPT_REPO_IMAGE, "empty", 1, "");
	reopen(f);
	expect_document(f, UPT_REPO_DIRECTOR, "targets", 7, "director 7");
	expect_document(f, UPT_REPO_IMAGE, "targets", 4, "image");
	expect_document(f, UPT_REPO_IMAGE, "deleg'ated; --", 5, "role");
	expect_document(f, UPT_REPO_IMAGE, "empty", 1, "");
}

static void
absent_document_is_not_found_and_version_zero(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};
	struct fixture *f = *state;
	uint64_t v = 99;

	save(f, UPT_REPO_IMAGE, "targets", 4, "image");
	assert_int_equal(upt_buf_append(&buf, "stale", 5, NULL), UPT_OK);
	assert_int_equal(
		upt_store_load_document(f->store, UPT_REPO_DIRECTOR, "targets", &buf, &f->err),
		UPT_E_NOT_FOUND);
	assert_int_equal(buf.len, 0);
	assert_non_null(strstr(f->err.message, "no director targets stored"));
	assert_int_equal(
		upt_store_load_document(f->store, UPT_REPO_IMAGE, "Targets", &buf, &f->err),
		UPT_E_NOT_FOUND);
	assert_int_equal(
		upt_store_document_version(f->store, UPT_REPO_DIRECTOR, "targets", &v, &f->err),
		UPT_OK);
	assert_int_equal(v, 0);
}

static void
forgotten_document_is_gone(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};
	struct fixture *f = *state;

	save(f, UPT_REPO_IMAGE, "timestamp", 4, "t");
	save(f, UPT_REPO_DIRECTOR, "timestamp", 4, "kept");
	assert_int_equal(
		upt_store_forget_document(f->store, UPT_REPO_IMAGE, "timestamp", &f->err), UPT_OK);
	assert_int_equal(
		upt_store_forget_document(f->store, UPT_REPO_IMAGE, "timestamp", &f->err), UPT_OK);
	reopen(f);
	assert_int_equal(
		upt_store_load_document(f->store, UPT_REPO_IMAGE, "timestamp", &buf, &f->err),
		UPT_E_NOT_FOUND);
	expect_document(f, UPT_REPO_DIRECTOR, "timestamp", 4, "kept");
}

static void
every_root_is_kept(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};
	struct fixture *f = *state;
	uint64_t first = 99, last = 99;
	char text[32];

	assert_int_equal(upt_store_root_versions(f->store, UPT_REPO_IMAGE, &first, &last, &f->err),
		UPT_E_NOT_FOUND);
	assert_int_equal(first, 0);
	assert_int_equal(last, 0);
	for (uint64_t v = 9; v <= 12; v++) {
		snprintf(text, sizeof(text), "root %d", (int)v);
		assert_int_equal(upt_store_save_root(f->store, UPT_REPO_IMAGE, v,
					 upt_span_str(text), false, &f->err),
			UPT_OK);
	}
	reopen(f);
	assert_int_equal(
		upt_store_root_versions(f->store, UPT_REPO_IMAGE, &first, &last, &f->err), UPT_OK);
	assert_int_equal(first, 9);
	assert_int_equal(last, 12);
	for (uint64_t v = 9; v <= 12; v++) {
		snprintf(text, sizeof(text), "root %d", (int)v);
		assert_int_equal(
			upt_store_load_root(f->store, UPT_REPO_IMAGE, v, &buf, &f->err), UPT_OK);
		assert_string_equal((char *)buf.data, text);
	}
	assert_int_equal(
		upt_store_load_root(f->store, UPT_REPO_IMAGE, 13, &buf, &f->err), UPT_E_NOT_FOUND);
	assert_int_equal(upt_store_load_root(f->store, UPT_REPO_DIRECTOR, 9, &buf, &f->err),
		UPT_E_NOT_FOUND);
	assert_int_equal(buf.len, 0);
	assert_non_null(strstr(f->err.message, "no director root v9 stored"));
}

static void
a_root_that_rotates_keys_drops_timestamp_and_snapshot(void **state)
{
	struct fixture *f = *state;
	uint64_t v;

	for (int drop = 0; drop <= 1; drop++) {
		static const char *const names[] = {"timestamp", "snapshot"};

		for (size_t i = 0; i < 2; i++) {
			save(f, UPT_REPO_IMAGE, names[i], 5, "image");
			save(f, UPT_REPO_DIRECTOR, names[i], 5, "director");
		}
		save(f, UPT_REPO_IMAGE, "targets", 5, "kept");
		assert_int_equal(upt_store_save_root(f->store, UPT_REPO_IMAGE, 2, upt_span_str("r"),
					 drop == 1, &f->err),
			UPT_OK);
		reopen(f);
		for (size_t i = 0; i < 2; i++) {
			assert_int_equal(upt_store_document_version(
						 f->store, UPT_REPO_IMAGE, names[i], &v, &f->err),
				UPT_OK);
			assert_int_equal(v, drop == 1 ? 0 : 5);
			expect_document(f, UPT_REPO_DIRECTOR, names[i], 5, "director");
		}
		expect_document(f, UPT_REPO_IMAGE, "targets", 5, "kept");
	}
}

static void
large_documents_come_back_whole(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf a = {0}, b = {0}, back = {0};
	struct fixture *f = *state;
	struct stat st;
	char path[4096];

	fill(&a, 14000000, 1);
	fill(&b, 3000001, 2);
	assert_int_equal(upt_store_save_document(
				 f->store, UPT_REPO_IMAGE, "targets", 1, upt_buf_span(&a), &f->err),
		UPT_OK);
	assert_int_equal(
		upt_store_load_document(f->store, UPT_REPO_IMAGE, "targets", &back, &f->err),
		UPT_OK);
	assert_true(upt_span_equal(upt_buf_span(&a), upt_buf_span(&back)));
	assert_true(back.cap <= a.len + 4096); /* not a byte more than needed */
	assert_int_equal(upt_store_save_document(
				 f->store, UPT_REPO_IMAGE, "targets", 2, upt_buf_span(&b), &f->err),
		UPT_OK);
	/* The next commit gives the journal's megabytes back. */
	assert_int_equal(upt_store_set_u64(f->store, "x", 1, &f->err), UPT_OK);
	assert_int_equal(stat(scratch_path(path, f->dir, "state.db-wal"), &st), 0);
	assert_true(st.st_size <= 1048576);
	reopen(f);
	assert_int_equal(
		upt_store_load_document(f->store, UPT_REPO_IMAGE, "targets", &back, &f->err),
		UPT_OK);
	assert_true(upt_span_equal(upt_buf_span(&b), upt_buf_span(&back)));
}

static void
documents_above_the_limit_are_refused(void **state)
{
	struct fixture *f = *state;
	const struct upt_span huge = upt_span("x", UPT_STORE_DOCUMENT_MAX_BYTES + 1);

	save(f, UPT_REPO_IMAGE, "targets", 1, "old");
	assert_int_equal(
		upt_store_save_document(f->store, UPT_REPO_IMAGE, "targets", 2, huge, &f->err),
		UPT_E_TOO_LARGE);
	assert_int_equal(upt_store_save_root(f->store, UPT_REPO_IMAGE, 2, huge, false, &f->err),
		UPT_E_TOO_LARGE);
	expect_document(f, UPT_REPO_IMAGE, "targets", 1, "old");
}

static void
numbers_survive_reopening(void **state)
{
	struct fixture *f = *state;
	uint64_t n = 99;

	assert_int_equal(upt_store_get_u64(f->store, "time_floor", 42, &n, &f->err), UPT_OK);
	assert_int_equal(n, 42);
	assert_int_equal(upt_store_set_u64(f->store, "time_floor", 1700000000, &f->err), UPT_OK);
	assert_int_equal(upt_store_set_u64(f->store, "largest", INT64_MAX, &f->err), UPT_OK);
	assert_int_equal(upt_store_set_u64(f->store, "zero", 0, &f->err), UPT_OK);
	reopen(f);
	assert_int_equal(upt_store_get_u64(f->store, "time_floor", 42, &n, &f->err), UPT_OK);
	assert_int_equal(n, 1700000000);
	assert_int_equal(upt_store_get_u64(f->store, "largest", 42, &n, &f->err), UPT_OK);
	assert_true(n == INT64_MAX);
	assert_int_equal(upt_store_get_u64(f->store, "zero", 42, &n, &f->err), UPT_OK);
	assert_int_equal(n, 0);
}

static void
numbers_that_would_come_back_negative_are_refused(void **state)
{
	struct fixture *f = *state;
	uint64_t n;

	assert_int_equal(upt_store_set_u64(f->store, "n", 5, &f->err), UPT_OK);
	assert_int_equal(
		upt_store_set_u64(f->store, "n", (uint64_t)INT64_MAX + 1, &f->err), UPT_E_INTERNAL);
	assert_int_equal(upt_store_save_document(f->store, UPT_REPO_IMAGE, "t", UINT64_MAX,
				 upt_span_str("x"), &f->err),
		UPT_E_INTERNAL);
	assert_int_equal(upt_store_get_u64(f->store, "n", 0, &n, &f->err), UPT_OK);
	assert_int_equal(n, 5);
}

static void
counters_never_repeat(void **state)
{
	struct fixture *f = *state;
	uint64_t n;

	for (uint64_t want = 1; want <= 20; want++) {
		assert_int_equal(
			upt_store_next_u64(f->store, "report_counter", &n, &f->err), UPT_OK);
		assert_int_equal(n, want);
		if (want % 7 == 0)
			reopen(f);
	}
	assert_int_equal(upt_store_get_u64(f->store, "report_counter", 0, &n, &f->err), UPT_OK);
	assert_int_equal(n, 20);
	assert_int_equal(upt_store_next_u64(f->store, "another", &n, &f->err), UPT_OK);
	assert_int_equal(n, 1);
	assert_int_equal(upt_store_set_u64(f->store, "another", INT64_MAX, &f->err), UPT_OK);
	assert_int_equal(upt_store_next_u64(f->store, "another", &n, &f->err), UPT_E_INTERNAL);
	assert_int_equal(n, 0);
	assert_int_equal(upt_store_get_u64(f->store, "another", 0, &n, &f->err), UPT_OK);
	assert_true(n == INT64_MAX);
}

static void
texts_survive_reopening(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};
	struct fixture *f = *state;

	assert_int_equal(upt_store_set_text(f->store, "a", upt_span("x\0y", 3), &f->err), UPT_OK);
	assert_int_equal(upt_store_set_text(f->store, "b", upt_span_str("old"), &f->err), UPT_OK);
	assert_int_equal(upt_store_set_text(f->store, "b", upt_span(NULL, 0), &f->err), UPT_OK);
	reopen(f);
	assert_int_equal(upt_store_get_text(f->store, "a", &buf, &f->err), UPT_OK);
	assert_true(upt_span_equal(upt_buf_span(&buf), upt_span("x\0y", 3)));
	assert_int_equal(upt_store_get_text(f->store, "b", &buf, &f->err), UPT_OK);
	assert_int_equal(buf.len, 0);
	assert_int_equal(upt_buf_append(&buf, "stale", 5, NULL), UPT_OK);
	assert_int_equal(upt_store_get_text(f->store, "absent", &buf, &f->err), UPT_OK);
	assert_int_equal(buf.len, 0);
}

static void
expect_image(
	struct fixture *f, const char *ecu, enum upt_image_slot slot, const struct upt_image *want)
{
	struct upt_image got = {.name = "stale"};
	const struct upt_image none = {0};

	assert_int_equal(upt_store_get_image(f->store, ecu, slot, &got, &f->err), UPT_OK);
	assert_same_image(&got, want != NULL ? want : &none);
}

static void
images_survive_reopening(void **state)
{
	struct upt_image a = image_of("a.bin", upt_span_str("a")),
			 b = image_of("b.bin", upt_span_str("b"));
	struct fixture *f = *state;

	a.has_release_counter = true; /* 0 is a counter, absent is none */
	b.n_digests = 1;
	memset(b.name, 'n', UPT_TARGET_NAME_MAX);
	expect_image(f, "primary", UPT_SLOT_INSTALLED, NULL);
	assert_int_equal(
		upt_store_set_image(f->store, "primary", UPT_SLOT_INSTALLED, &b, &f->err), UPT_OK);
	assert_int_equal(
		upt_store_set_image(f->store, "primary", UPT_SLOT_INSTALLED, &a, &f->err), UPT_OK);
	assert_int_equal(
		upt_store_set_image(f->store, "primary", UPT_SLOT_PENDING, &b, &f->err), UPT_OK);
	assert_int_equal(
		upt_store_set_image(f->store, "other", UPT_SLOT_REFUSED, &a, &f->err), UPT_OK);
	reopen(f);
	expect_image(f, "primary", UPT_SLOT_INSTALLED, &a);
	expect_image(f, "primary", UPT_SLOT_PENDING, &b);
	expect_image(f, "primary", UPT_SLOT_PREVIOUS, NULL);
	expect_image(f, "other", UPT_SLOT_REFUSED, &a);
	assert_int_equal(
		upt_store_clear_image(f->store, "primary", UPT_SLOT_PENDING, &f->err), UPT_OK);
	expect_image(f, "primary", UPT_SLOT_PENDING, NULL);
	expect_image(f, "primary", UPT_SLOT_INSTALLED, &a);
}

static void
an_image_with_sha512_alone_comes_back_as_such(void **state)
{
	struct upt_image a = image_of("a.bin", upt_span_str("a"));
	struct fixture *f = *state;

	a.digests[0] = a.digests[1];
	a.n_digests = 1;
	assert_int_equal(
		upt_store_set_image(f->store, "e", UPT_SLOT_INSTALLED, &a, &f->err), UPT_OK);
	expect_image(f, "e", UPT_SLOT_INSTALLED, &a);
}

static void
an_image_without_a_name_clears_the_slot(void **state)
{
	struct upt_image a = image_of("a.bin", upt_span_str("a"));
	const struct upt_image none = {0};
	struct fixture *f = *state;

	assert_int_equal(
		upt_store_set_image(f->store, "e", UPT_SLOT_INSTALLED, &a, &f->err), UPT_OK);
	assert_int_equal(
		upt_store_set_image(f->store, "e", UPT_SLOT_INSTALLED, &none, &f->err), UPT_OK);
	expect_image(f, "e", UPT_SLOT_INSTALLED, NULL);
}

static void
confirming_moves_installed_to_previous(void **state)
{
	struct upt_image a = image_of("a", upt_span_str("a")), b = image_of("b", upt_span_str("b"));
	struct fixture *f = *state;

	assert_int_equal(upt_store_confirm_image(f->store, "e", &a, &f->err), UPT_OK);
	expect_image(f, "e", UPT_SLOT_INSTALLED, &a);
	expect_image(f, "e", UPT_SLOT_PREVIOUS, NULL);
	assert_int_equal(upt_store_set_image(f->store, "e", UPT_SLOT_PENDING, &b, &f->err), UPT_OK);
	assert_int_equal(upt_store_set_image(f->store, "x", UPT_SLOT_PENDING, &b, &f->err), UPT_OK);
	assert_int_equal(upt_store_confirm_image(f->store, "e", &b, &f->err), UPT_OK);
	reopen(f);
	expect_image(f, "e", UPT_SLOT_INSTALLED, &b);
	expect_image(f, "e", UPT_SLOT_PREVIOUS, &a);
	expect_image(f, "e", UPT_SLOT_PENDING, NULL);
	expect_image(f, "x", UPT_SLOT_PENDING, &b);
}

static void
confirming_the_same_image_keeps_previous(void **state)
{
	struct upt_image a = image_of("a", upt_span_str("a")), b = image_of("b", upt_span_str("b"));
	struct upt_image b_again = b;
	struct fixture *f = *state;

	b_again.has_release_counter = true;
	b_again.release_counter = 5;
	assert_int_equal(upt_store_confirm_image(f->store, "e", &a, &f->err), UPT_OK);
	assert_int_equal(upt_store_confirm_image(f->store, "e", &b, &f->err), UPT_OK);
	assert_int_equal(upt_store_set_image(f->store, "e", UPT_SLOT_PENDING, &b, &f->err), UPT_OK);
	assert_int_equal(upt_store_confirm_image(f->store, "e", &b_again, &f->err), UPT_OK);
	expect_image(f, "e", UPT_SLOT_INSTALLED, &b_again);
	expect_image(f, "e", UPT_SLOT_PREVIOUS, &a);
	expect_image(f, "e", UPT_SLOT_PENDING, NULL);
}

struct seen {
	struct upt_store *store;
	char text[512];
	unsigned n;
	enum upt_code stop_with;
};

static enum upt_code
see_ecu(void *ctx, const char *ecu, struct upt_err *err)
{
	struct seen *s = ctx;
	size_t used = strlen(s->text);

	snprintf(s->text + used, sizeof(s->text) - used, "%s ", ecu);
	s->n++;
	if (s->stop_with != UPT_OK)
		return upt_fail(err, s->stop_with, "enough");
	/* What is shown may be changed. */
	return upt_store_clear_image(s->store, ecu, UPT_SLOT_INSTALLED, err);
}

static void
each_ecu_comes_once_in_order(void **state)
{
	struct upt_image a = image_of("a", upt_span_str("a"));
	struct fixture *f = *state;
	struct seen seen = {.store = f->store};
	char longest[UPT_ECU_SERIAL_MAX + 2];

	memset(longest, 'z', sizeof(longest));
	longest[UPT_ECU_SERIAL_MAX] = '\0';
	assert_int_equal(upt_store_each_ecu(f->store, see_ecu, &seen, &f->err), UPT_OK);
	assert_int_equal(seen.n, 0);
	assert_int_equal(
		upt_store_set_image(f->store, longest, UPT_SLOT_PENDING, &a, &f->err), UPT_OK);
	assert_int_equal(
		upt_store_set_image(f->store, "b", UPT_SLOT_INSTALLED, &a, &f->err), UPT_OK);
	assert_int_equal(upt_store_set_image(f->store, "b", UPT_SLOT_PENDING, &a, &f->err), UPT_OK);
	assert_int_equal(
		upt_store_set_image(f->store, "B", UPT_SLOT_INSTALLED, &a, &f->err), UPT_OK);
	assert_int_equal(upt_store_set_image(f->store, "a", UPT_SLOT_REFUSED, &a, &f->err), UPT_OK);
	assert_int_equal(upt_store_each_ecu(f->store, see_ecu, &seen, &f->err), UPT_OK);
	assert_int_equal(seen.n, 4);
	assert_memory_equal(seen.text, "B a b zzz", 9);
	seen = (struct seen){.store = f->store, .stop_with = UPT_E_CANCELLED};
	assert_int_equal(upt_store_each_ecu(f->store, see_ecu, &seen, &f->err), UPT_E_CANCELLED);
	assert_string_equal(seen.text, "a "); /* B had only what was cleared */
	longest[UPT_ECU_SERIAL_MAX] = 'z';
	longest[UPT_ECU_SERIAL_MAX + 1] = '\0';
	assert_int_equal(upt_store_set_image(f->store, longest, UPT_SLOT_PENDING, &a, &f->err),
		UPT_E_INTERNAL);
}

static void
reports_survive_reopening(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};
	struct fixture *f = *state;

	assert_int_equal(
		upt_store_save_report(f->store, "e", upt_span_str("old"), &f->err), UPT_OK);
	assert_int_equal(upt_store_save_report(f->store, "e", upt_span_str("{}"), &f->err), UPT_OK);
	reopen(f);
	assert_int_equal(upt_store_load_report(f->store, "e", &buf, &f->err), UPT_OK);
	assert_string_equal((char *)buf.data, "{}");
	assert_int_equal(upt_store_load_report(f->store, "x", &buf, &f->err), UPT_E_NOT_FOUND);
	assert_int_equal(buf.len, 0);
}

static enum upt_code
see_incident(void *ctx, const struct upt_incident *incident, struct upt_err *err)
{
	struct seen *s = ctx;
	size_t used = strlen(s->text);

	(void)err;
	s->n++;
	if (used < sizeof(s->text) - 64)
		snprintf(s->text + used, sizeof(s->text) - used, "%d:%d:%s:%s:%s:%.20s ",
			(int)incident->id, (int)incident->time, upt_code_name(incident->code),
			incident->repo_name, incident->ecu, incident->message);
	return UPT_OK;
}

static void
expect_incidents(struct fixture *f, bool unreported, const char *text)
{
	struct seen seen = {.store = f->store};

	assert_int_equal(
		upt_store_each_incident(f->store, unreported, see_incident, &seen, &f->err),
		UPT_OK);
	assert_string_equal(seen.text, text);
}

static void
incidents_stay_until_reported(void **state)
{
	const struct upt_incident a = {.id = 77,
		.time = 100,
		.code = UPT_E_ROLLBACK,
		.repo = UPT_REPO_IMAGE,
		.message = "v7 after v9"};
	const struct upt_incident b = {
		.time = 90, .code = UPT_E_IMAGE_HASH, .ecu = "e", .message = "x"};
	struct fixture *f = *state;

	assert_int_equal(upt_store_add_incident(f->store, &a, &f->err), UPT_OK);
	assert_int_equal(upt_store_add_incident(f->store, &b, &f->err), UPT_OK);
	reopen(f);
	expect_incidents(f, true,
		"1:100:version-rollback:image::v7 after v9 2:90:image-hash-mismatch::e:x ");
	assert_int_equal(upt_store_mark_reported(f->store, 1, &f->err), UPT_OK);
	reopen(f);
	expect_incidents(f, true, "2:90:image-hash-mismatch::e:x ");
	expect_incidents(f, false,
		"1:100:version-rollback:image::v7 after v9 2:90:image-hash-mismatch::e:x ");
	assert_int_equal(upt_store_mark_reported(f->store, 2, &f->err), UPT_OK);
	expect_incidents(f, true, "");
}

/* ---- additional repositories ---- */

static enum upt_repo
number_of(struct fixture *f, const char *name)
{
	enum upt_repo repo = UPT_REPO_NONE;

	assert_int_equal(upt_store_add_repo(f->store, name, &repo, &f->err), UPT_OK);
	return repo;
}

static void
a_repository_keeps_its_number_whatever_comes_beside_it(void **state)
{
	struct fixture *f = *state;
	enum upt_repo fleet = number_of(f, "fleet"), mirror, found;

	assert_int_equal(fleet, UPT_REPO_OTHER);
	save(f, fleet, "targets", 7, "the fleet's");
	reopen(f);
	mirror = number_of(f, "mirror");
	assert_int_not_equal(mirror, fleet);
	save(f, mirror, "targets", 2, "the mirror's");
	reopen(f);
	assert_int_equal(number_of(f, "fleet"), fleet);
	assert_int_equal(upt_store_find_repo(f->store, "mirror", &found, &f->err), UPT_OK);
	assert_int_equal(found, mirror);
	expect_document(f, fleet, "targets", 7, "the fleet's");
	expect_document(f, mirror, "targets", 2, "the mirror's");
	assert_int_equal(number_of(f, "director"), UPT_REPO_DIRECTOR);
	assert_int_equal(number_of(f, "image"), UPT_REPO_IMAGE);
}

static void
an_unknown_repository_is_not_found_and_gets_no_number(void **state)
{
	struct fixture *f = *state;
	enum upt_repo repo = UPT_REPO_IMAGE;

	assert_int_equal(
		upt_store_find_repo(f->store, "fleet", &repo, &f->err), UPT_E_NOT_FOUND);
	assert_int_equal(repo, UPT_REPO_NONE);
	assert_non_null(strstr(f->err.message, "fleet"));
	assert_int_equal(number_of(f, "mirror"), UPT_REPO_OTHER);
}

static void
incidents_name_additional_repositories(void **state)
{
	struct upt_incident a = {.time = 1, .code = UPT_E_EXPIRED, .message = "old"};
	struct fixture *f = *state;

	a.repo = number_of(f, "fleet");
	assert_int_equal(upt_store_add_incident(f->store, &a, &f->err), UPT_OK);
	reopen(f);
	expect_incidents(f, true, "1:1:expired:fleet::old ");
}

static void
only_the_newest_incidents_are_kept(void **state)
{
	struct upt_incident incident = {.code = UPT_E_TOO_SLOW, .message = "slow"};
	struct fixture *f = *state;
	struct seen seen = {.store = f->store};

	for (int i = 0; i < UPT_STORE_MAX_INCIDENTS + 5; i++) {
		incident.time = i;
		assert_int_equal(upt_store_add_incident(f->store, &incident, &f->err), UPT_OK);
	}
	assert_int_equal(
		upt_store_each_incident(f->store, true, see_incident, &seen, &f->err), UPT_OK);
	assert_int_equal(seen.n, UPT_STORE_MAX_INCIDENTS);
	assert_memory_equal(seen.text, "6:5:too-slow:::slow 7:6:", 24);
}

static void
a_reader_works_beside_the_writer(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};
	upt_cleanup(upt_store_close) struct upt_store *reader = NULL;
	struct fixture *f = *state;
	uint64_t v;

	save(f, UPT_REPO_IMAGE, "targets", 1, "one");
	assert_int_equal(upt_store_open(f->dir, UPT_STORE_READ_ONLY, &reader, &f->err), UPT_OK);
	assert_int_equal(
		upt_store_document_version(reader, UPT_REPO_IMAGE, "targets", &v, &f->err), UPT_OK);
	assert_int_equal(v, 1);
	save(f, UPT_REPO_IMAGE, "targets", 2, "two");
	assert_int_equal(
		upt_store_load_document(reader, UPT_REPO_IMAGE, "targets", &buf, &f->err), UPT_OK);
	assert_string_equal((char *)buf.data, "two");
	assert_int_equal(upt_store_set_u64(reader, "n", 1, &f->err), UPT_E_PERMISSION);
	assert_int_equal(upt_store_save_document(reader, UPT_REPO_IMAGE, "targets", 3,
				 upt_span_str("three"), &f->err),
		UPT_E_PERMISSION);
	expect_document(f, UPT_REPO_IMAGE, "targets", 2, "two");
	upt_store_close(&f->store); /* the reader outlives the daemon */
	assert_int_equal(
		upt_store_load_document(reader, UPT_REPO_IMAGE, "targets", &buf, &f->err), UPT_OK);
	assert_string_equal((char *)buf.data, "two");
}

static const char *const plan_ecus[] = {"back", "failed", "kept", "described"};

static struct upt_plan
make_plan(void)
{
	static const enum upt_member_state states[] = {
		UPT_MEMBER_BACK, UPT_MEMBER_FAILED, UPT_MEMBER_KEPT, UPT_MEMBER_TO_DO};
	struct upt_plan plan = {.correlation_id = "urn:1",
		.targets_version = 7,
		.time = -3,
		.state = UPT_PLAN_ROLLED_BACK,
		.refuses = true,
		.reports = true,
		.reason = "why",
		.n_members = 4};

	plan.members = calloc(4, sizeof(*plan.members));
	assert_non_null(plan.members);
	for (size_t i = 0; i < 4; i++) {
		struct upt_plan_member *m = &plan.members[i];

		*m = (struct upt_plan_member){.image = image_of("new", upt_span_str("new")),
			.state = states[i],
			.n_tries = i,
			.last = i == 2,
			.reversible = i == 0,
			.redescribed = i == 3,
			.reason = "because"};
		m->image.has_release_counter = true;
		m->image.release_counter = i;
		if (i > 0)
			m->before = image_of("old", upt_span_str("old"));
		snprintf(m->ecu, sizeof(m->ecu), "%s", plan_ecus[i]);
	}
	return plan;
}

static void
a_plan_survives_reopening(void **state)
{
	struct fixture *f = *state;
	upt_cleanup(upt_plan_clear) struct upt_plan plan = make_plan(), got = {0};

	assert_int_equal(upt_store_load_plan(f->store, &got, &f->err), UPT_OK);
	assert_int_equal(got.state, UPT_PLAN_NONE);
	assert_int_equal(upt_store_save_plan(f->store, &plan, &f->err), UPT_OK);
	assert_int_equal(upt_store_save_plan(f->store, &plan, &f->err), UPT_OK); /* replaced */
	reopen(f);
	assert_int_equal(upt_store_load_plan(f->store, &got, &f->err), UPT_OK);
	assert_string_equal(got.correlation_id, "urn:1");
	assert_int_equal(got.targets_version, 7);
	assert_int_equal(got.time, -3);
	assert_int_equal(got.state, UPT_PLAN_ROLLED_BACK);
	assert_true(got.refuses && got.reports);
	assert_string_equal(got.reason, "why");
	assert_int_equal(got.n_members, 4);
	for (size_t i = 0; i < 4; i++) {
		const struct upt_plan_member *a = &got.members[i], *b = &plan.members[i];

		assert_string_equal(a->ecu, b->ecu);
		assert_same_image(&a->image, &b->image);
		assert_same_image(&a->before, &b->before);
		assert_int_equal(a->state, b->state);
		assert_int_equal(a->n_tries, b->n_tries);
		assert_true(a->last == b->last && a->reversible == b->reversible &&
			    a->redescribed == b->redescribed);
		assert_string_equal(a->reason, "because");
	}
}

static void
expect_refused(struct fixture *f, const char *ecu, const char *name)
{
	struct upt_image image;

	assert_int_equal(
		upt_store_get_image(f->store, ecu, UPT_SLOT_REFUSED, &image, &f->err), UPT_OK);
	assert_string_equal(image.name, name);
}

static void
the_end_of_a_plan_refuses_what_did_not_stay(void **state)
{
	static const char *const refused[] = {"new", "new", "", ""};
	struct fixture *f = *state;
	upt_cleanup(upt_plan_clear) struct upt_plan plan = make_plan();
	struct upt_image other = image_of("other", upt_span_str("other"));

	assert_int_equal(upt_store_end_plan(f->store, &plan, &f->err), UPT_OK);
	for (size_t i = 0; i < 4; i++)
		expect_refused(f, plan_ecus[i], refused[i]);
	/* and allows it again when it was not for good; what else is refused stays so */
	plan.refuses = false;
	assert_int_equal(upt_store_set_image(
				 f->store, "failed", UPT_SLOT_REFUSED, &other, &f->err),
		UPT_OK);
	assert_int_equal(upt_store_end_plan(f->store, &plan, &f->err), UPT_OK);
	expect_refused(f, "back", "");
	expect_refused(f, "failed", "other");
}

#define with_store(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		with_store(documents_survive_reopening),
		with_store(absent_document_is_not_found_and_version_zero),
		with_store(forgotten_document_is_gone),
		with_store(every_root_is_kept),
		with_store(a_root_that_rotates_keys_drops_timestamp_and_snapshot),
		with_store(large_documents_come_back_whole),
		with_store(documents_above_the_limit_are_refused),
		with_store(numbers_survive_reopening),
		with_store(numbers_that_would_come_back_negative_are_refused),
		with_store(counters_never_repeat),
		with_store(texts_survive_reopening),
		with_store(images_survive_reopening),
		with_store(an_image_with_sha512_alone_comes_back_as_such),
		with_store(an_image_without_a_name_clears_the_slot),
		with_store(confirming_moves_installed_to_previous),
		with_store(confirming_the_same_image_keeps_previous),
		with_store(each_ecu_comes_once_in_order),
		with_store(a_plan_survives_reopening),
		with_store(the_end_of_a_plan_refuses_what_did_not_stay),
		with_store(reports_survive_reopening),
		with_store(incidents_stay_until_reported),
		with_store(a_repository_keeps_its_number_whatever_comes_beside_it),
		with_store(an_unknown_repository_is_not_found_and_gets_no_number),
		with_store(incidents_name_additional_repositories),
		with_store(only_the_newest_incidents_are_kept),
		with_store(a_reader_works_beside_the_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
