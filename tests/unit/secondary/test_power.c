/* The agent dies at each of its disk operations in turn; what is left must be whole, and work. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "secondary/conn.h"

#define MAX_CUTS 400

static int
setup(void **state)
{
	*state = calloc(1, sizeof(struct world));
	return *state != NULL ? 0 : -1;
}

/* Also after a failure within one of many worlds. */
static int
teardown(void **state)
{
	struct world *w = *state;

	if (w->dir[0] != '\0')
		world_clear(w);
	free(w);
	return 0;
}

static bool
holds_old_or_new(const struct world *w)
{
	return world_installed_is(w, upt_span_str("old firmware")) ||
	       world_installed_is(w, upt_buf_span(&w->content));
}

/* As much of an update as the agent lives to see; true when that is all of it. */
static bool
try_update(struct world *w)
{
	struct upt_err err = {0};

	return w->port != 0 && world_verify(w, &err) == UPT_OK && world_send(w, &err) == UPT_OK &&
	       world_install(w, &err) == UPT_OK;
}

/* A fresh vehicle, cut at its n-th operation; false when the update needs fewer. */
static bool
cut_and_recover(struct world *w, int n, void (*prepare)(struct world *w))
{
	struct upt_ecu_report report;
	bool complete;

	world_init(w);
	if (prepare != NULL)
		prepare(w);
	w->kill_at = n;
	world_start(w);
	complete = try_update(w);
	/* It failed for no other reason than its death. */
	if (complete)
		world_stop(w);
	else
		world_wait_death(w);
	assert_true(holds_old_or_new(w));
	w->kill_at = 0;
	world_start(w);
	/* The new file has its name at once, and not from the repetition only. */
	world_report(w, &report);
	if (world_installed_is(w, upt_buf_span(&w->content)))
		assert_true(upt_image_same(&report.installed, &w->image_says));
	world_update(w);
	world_report(w, &report);
	assert_true(upt_image_same(&report.installed, &w->image_says));
	assert_string_equal(report.attacks_detected, "");
	world_stop(w);
	world_clear(w);
	return !complete;
}

static void
cut_everywhere(struct world *w, void (*prepare)(struct world *w))
{
	int n = 1;

	while (n < MAX_CUTS && cut_and_recover(w, n, prepare))
		n++;
	/* An update that touches the disk less often than this was none. */
	assert_in_range(n, 20, MAX_CUTS - 1);
}

static void
first_update_survives_any_cut(void **state)
{
	cut_everywhere(*state, NULL);
}

/* A vehicle with one update behind it, and both repositories' keys rotated since. */
static void
prepare_rotation(struct world *w)
{
	const bool all[UPT_N_ROLES] = {true, true, true, true};
	const bool stamp[UPT_N_ROLES] = {false, true, false, false};

	world_start(w);
	world_update(w);
	world_stop(w);
	world_install_by_hand(w, "old firmware");
	world_rotate(w, &w->director, all);
	world_rotate(w, &w->image, stamp);
	world_set_content(w, 3000, 5);
	world_publish(w);
}

static void
rotation_survives_any_cut(void **state)
{
	cut_everywhere(*state, prepare_rotation);
}

/*
 * The point of epochs: at no cut may the fast-forwarded timestamp live on under the root that
 * revoked its key, and at no cut may it be gone under the root that had not.
 */
static void
copy_file(struct upt_buf *out, const struct world_repo *r, const char *name)
{
	const struct upt_buf *served = world_file(r, name);

	assert_non_null(served);
	out->len = 0;
	assert_ok(upt_buf_append(out, served->data, served->len, why));
}

/* A Primary that withholds the new root and replays the timestamp from before the fast-forward:
 * refused as a rollback under the old root, as wrongly signed under the new one. */
static enum upt_code
replay(struct world *w, const struct upt_buf *old)
{
	upt_cleanup(upt_buf_clear) struct upt_buf root = {0}, stamp = {0};
	struct upt_ecu_report report;
	struct upt_err err = {0};
	enum upt_code code;

	copy_file(&root, &w->director, "2.root.json");
	copy_file(&stamp, &w->director, "timestamp.json");
	world_withdraw(&w->director, "2.root.json");
	world_serve(&w->director, "timestamp.json", upt_buf_span(old));
	code = world_verify(w, &err);
	world_serve(&w->director, "2.root.json", upt_buf_span(&root));
	world_serve(&w->director, "timestamp.json", upt_buf_span(&stamp));
	world_report(w, &report);
	return code;
}

/* Verified up to a fast-forwarded timestamp; the rotation that revokes its keys waits. */
static void
prepare_fast_forward(struct world *w, struct upt_buf *old)
{
	const bool both[UPT_N_ROLES] = {false, true, true, false};

	copy_file(old, &w->director, "timestamp.json");
	w->director.versions[UPT_ROLE_TIMESTAMP] = 1000;
	world_publish(w);
	world_start(w);
	assert_ok(world_verify(w, why));
	world_stop(w);
	w->director.versions[UPT_ROLE_TIMESTAMP] = 1;
	world_rotate(w, &w->director, both);
}

static void
fast_forward_dies_with_its_key_at_any_cut(void **state)
{
	struct world *w = *state;
	unsigned n_old = 0, n_new = 0;
	bool complete = false;

	for (int n = 1; !complete && n < MAX_CUTS; n++) {
		upt_cleanup(upt_buf_clear) struct upt_buf old = {0};
		struct upt_err err = {0};
		enum upt_code code;

		world_init(w);
		prepare_fast_forward(w, &old);
		w->kill_at = n;
		world_start(w);
		complete = w->port != 0 && world_verify(w, &err) == UPT_OK;
		if (complete)
			world_stop(w);
		else
			world_wait_death(w);
		w->kill_at = 0;
		world_start(w);
		code = replay(w, &old);
		n_old += code == UPT_E_ROLLBACK;
		n_new += code == UPT_E_THRESHOLD;
		assert_true(code == UPT_E_ROLLBACK || code == UPT_E_THRESHOLD);
		world_update(w);
		world_stop(w);
		world_clear(w);
	}
	assert_true(complete && n_old >= 3 && n_new >= 3);
}

/* What a transfer reported of itself. */
struct seen {
	uint64_t first, last;
	unsigned n;
};

static void
note_progress(void *ctx, const char *what, uint64_t done, uint64_t total, const char *unit)
{
	struct seen *seen = ctx;

	assert_string_equal(what, WORLD_TARGET);
	assert_string_equal(unit, "bytes");
	assert_true(done <= total);
	if (seen->n++ == 0)
		seen->first = done;
	assert_true(done >= seen->last);
	seen->last = done;
}

/* The first n bytes of the image, sent by hand; returns when the agent has stored most of them. */
static void
send_part(struct world *w, size_t n)
{
	upt_cleanup(upt_buf_clear) struct upt_buf out = {0}, in = {0};
	struct upt_conn conn = {.timeout_ms = w->timeout_ms, .stop_fd = -1};
	struct upt_wire_image_begin begin = {.length_bytes = w->content.len};
	const struct upt_wire_hello hello = {1, 1};
	enum upt_wire_type type;

	conn.fd = world_connect(w);
	snprintf(begin.name, sizeof(begin.name), WORLD_TARGET);
	assert_ok(upt_wire_put_hello(&out, &hello, why));
	assert_ok(upt_wire_put_image_begin(&out, &begin, why));
	assert_ok(upt_conn_send(&conn, upt_buf_span(&out), why));
	assert_ok(upt_conn_receive(&conn, UPT_WIRE_BIT(UPT_WIRE_INFO), 0, &type, &in, why));
	assert_ok(upt_conn_receive(&conn, UPT_WIRE_BIT(UPT_WIRE_ACCEPT), 0, &type, &in, why));
	for (size_t at = 0; at < n; at += UPT_WIRE_CHUNK_BYTES) {
		out.len = 0;
		assert_ok(upt_wire_put_bytes(&out, UPT_WIRE_IMAGE_DATA,
			upt_span(w->content.data + at, UPT_WIRE_CHUNK_BYTES), why));
		assert_ok(upt_conn_send(&conn, upt_buf_span(&out), why));
	}
	/* An out-of-place frame makes it drop the connection: by then all before it is stored. */
	out.len = 0;
	assert_ok(upt_wire_put_empty(&out, UPT_WIRE_TAKEN, why));
	assert_ok(upt_conn_send(&conn, upt_buf_span(&out), why));
	assert_ok(upt_conn_receive(&conn, UPT_WIRE_BIT(UPT_WIRE_NONE), 0, &type, &in, why));
	close(conn.fd);
}

/* kill -9 in the middle of an image: what had reached the disk is not sent again. */
static void
image_resumes_after_kill(void **state)
{
	const size_t part = (size_t)3 << 20;
	struct upt_install_progress progress = {.report = note_progress};
	struct seen seen = {0};
	struct upt_install_job job;
	struct upt_link *link;
	struct world *w = *state;

	world_init(w);
	world_set_content(w, ((size_t)5 << 20) + 123, 4);
	world_publish(w);
	world_start(w);
	assert_ok(world_verify(w, why));
	send_part(w, part);
	world_kill(w);
	world_start(w);
	progress.ctx = &seen;
	job = world_job(w);
	link = world_link(w);
	assert_ok(link->ops->send_image(link, &job, &progress, why));
	upt_link_free(&link);
	close(job.image_fd);
	assert_int_equal(seen.first, part);
	assert_int_equal(seen.last, w->content.len);
	assert_ok(world_install(w, why));
	assert_true(world_installed_is(w, upt_buf_span(&w->content)));
	world_stop(w);
	world_clear(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(first_update_survives_any_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(rotation_survives_any_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(
			fast_forward_dies_with_its_key_at_any_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(image_resumes_after_kill, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
