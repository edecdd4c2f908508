#include "recorder.h"

#include <stdio.h>

#define N_STEPS 7

/* The store after each step; step 0 is the beginning. */
struct expected {
	uint64_t document; /* version, and seed of its bytes */
	uint64_t counter;
	bool confirmed; /* "b" is installed and "a" previous, instead of pending and installed */
	uint64_t root; /* the last one; root 2 has dropped the timestamp */
};

static const struct expected steps[N_STEPS + 1] = {
	{1, 1, false, 1},
	{2, 1, false, 1},
	{2, 2, false, 1},
	{2, 2, true, 1},
	{2, 2, true, 2},
	{3, 2, true, 2},
	{4, 2, true, 2},
	{4, 3, true, 2},
};

static void
document(struct upt_buf *buf, uint64_t version)
{
	fill(buf, 80000 + 40000 * (size_t)(version % 2), (unsigned)version);
}

static void
save(struct upt_store *store, uint64_t version)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};

	document(&bytes, version);
	assert_int_equal(upt_store_save_document(store, UPT_REPO_IMAGE, "targets", version,
				 upt_buf_span(&bytes), NULL),
		UPT_OK);
}

static void
begin(struct upt_store *store)
{
	struct upt_image a = image_of("a", upt_span_str("a")), b = image_of("b", upt_span_str("b"));
	uint64_t n;

	save(store, 1);
	assert_int_equal(upt_store_save_document(
				 store, UPT_REPO_IMAGE, "timestamp", 5, upt_span_str("t"), NULL),
		UPT_OK);
	assert_int_equal(
		upt_store_save_root(store, UPT_REPO_IMAGE, 1, upt_span_str("r"), false, NULL),
		UPT_OK);
	assert_int_equal(upt_store_next_u64(store, "counter", &n, NULL), UPT_OK);
	assert_int_equal(upt_store_confirm_image(store, "e", &a, NULL), UPT_OK);
	assert_int_equal(upt_store_set_image(store, "e", UPT_SLOT_PENDING, &b, NULL), UPT_OK);
}

static void
take_step(struct upt_store *store, unsigned step)
{
	const struct expected *from = &steps[step - 1], *to = &steps[step];
	struct upt_image b = image_of("b", upt_span_str("b"));
	uint64_t n;

	if (to->document != from->document)
		save(store, to->document);
	if (to->counter != from->counter)
		assert_int_equal(upt_store_next_u64(store, "counter", &n, NULL), UPT_OK);
	if (to->confirmed != from->confirmed)
		assert_int_equal(upt_store_confirm_image(store, "e", &b, NULL), UPT_OK);
	if (to->root != from->root)
		assert_int_equal(upt_store_save_root(store, UPT_REPO_IMAGE, to->root,
					 upt_span_str("r"), true, NULL),
			UPT_OK);
}

static const char *
image_name(struct upt_store *store, enum upt_image_slot slot, struct upt_image *image)
{
	assert_int_equal(upt_store_get_image(store, "e", slot, image, NULL), UPT_OK);
	return image->name;
}

/* True when everything is as after that step. */
static bool
matches(struct upt_store *store, unsigned step)
{
	const struct expected *want = &steps[step];
	upt_cleanup(upt_buf_clear) struct upt_buf have = {0}, bytes = {0};
	uint64_t version, counter, first, last, timestamp;
	struct upt_image image;

	assert_int_equal(
		upt_store_document_version(store, UPT_REPO_IMAGE, "targets", &version, NULL),
		UPT_OK);
	assert_int_equal(
		upt_store_load_document(store, UPT_REPO_IMAGE, "targets", &have, NULL), UPT_OK);
	document(&bytes, version);
	assert_true(upt_span_equal(upt_buf_span(&have), upt_buf_span(&bytes))); /* never half */
	assert_int_equal(upt_store_get_u64(store, "counter", 0, &counter, NULL), UPT_OK);
	assert_int_equal(
		upt_store_root_versions(store, UPT_REPO_IMAGE, &first, &last, NULL), UPT_OK);
	assert_int_equal(
		upt_store_document_version(store, UPT_REPO_IMAGE, "timestamp", &timestamp, NULL),
		UPT_OK);
	return version == want->document && counter == want->counter && last == want->root &&
	       timestamp == (want->root == 2 ? 0 : 5) &&
	       strcmp(image_name(store, UPT_SLOT_INSTALLED, &image), want->confirmed ? "b" : "a") ==
		       0 &&
	       strcmp(image_name(store, UPT_SLOT_PREVIOUS, &image), want->confirmed ? "a" : "") ==
		       0 &&
	       strcmp(image_name(store, UPT_SLOT_PENDING, &image), want->confirmed ? "" : "b") == 0;
}

struct scene {
	char *before; /* the files before the first step */
	char *after; /* where they are rebuilt */
};

static int
record_all_steps(void **state)
{
	upt_cleanup(upt_store_close) struct upt_store *store = NULL;
	struct scene *scene = calloc(1, sizeof(*scene));
	char *work = scratch_make();
	upt_cleanup(upt_buf_clear) struct upt_buf db = {0};

	scene->before = scratch_make();
	scene->after = scratch_make();
	*state = scene;
	assert_int_equal(upt_store_open(work, UPT_STORE_WRITE, &store, NULL), UPT_OK);
	begin(store);
	upt_store_close(&store);
	scratch_read(work, "state.db", &db);
	scratch_write(scene->before, "state.db", db.data, db.len);
	recorder_start();
	assert_int_equal(upt_store_open(work, UPT_STORE_WRITE, &store, NULL), UPT_OK);
	for (unsigned step = 1; step <= N_STEPS; step++) {
		take_step(store, step);
		recorder_acknowledge(step);
	}
	upt_store_close(&store);
	recorder_stop();
	scratch_remove(&work);
	return 0;
}

static int
forget_all(void **state)
{
	struct scene *scene = *state;

	recorder_clear();
	scratch_remove(&scene->before);
	scratch_remove(&scene->after);
	free(scene);
	return 0;
}

static void
cut_at(const struct scene *scene, size_t n, enum recorder_loss loss)
{
	upt_cleanup(upt_store_close) struct upt_store *store = NULL;
	unsigned step = recorder_rebuild(scene->before, scene->after, n, loss);
	struct upt_err err = {0};
	uint64_t counter;

	if (upt_store_open(scene->after, UPT_STORE_WRITE, &store, &err) != UPT_OK)
		fail_msg("cut after %zu records, loss %d: %s", n, (int)loss, err.message);
	if (!matches(store, step) && (step == N_STEPS || !matches(store, step + 1)))
		fail_msg("cut after %zu records, loss %d: neither step %u nor the next", n,
			(int)loss, step);
	assert_int_equal(upt_store_next_u64(store, "after", &counter, &err), UPT_OK);
}

static void
a_power_cut_at_any_write_leaves_old_or_new(void **state)
{
	size_t n_records = recorder_length();

	assert_true(n_records > 150); /* the record holds real work, checkpoint included */
	for (size_t n = 0; n <= n_records; n++) {
		for (unsigned loss = 0; loss < RECORDER_N_LOSSES; loss++)
			cut_at(*state, n, (enum recorder_loss)loss);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_power_cut_at_any_write_leaves_old_or_new, record_all_steps, forget_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
