/*
 * Makes the pinned roots and the corpus of fuzz_secondary_agent anew: a whole good update, its
 * stages, and attacks, as a Primary says them. Run by hand (target secondary-corpus) in tests/fuzz:
 * make_corpus secondary corpus/secondary_agent. The keys live as long as this program.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "../../unit/secondary/world.h"
#include "base/file.h"
#include "secondary/conn.h"

static const char *roots_dir, *corpus_dir;

/* One conversation; everything said is kept. */
struct recorder {
	struct upt_conn conn;
	struct upt_buf said, out, in;
	enum upt_wire_type type;
};

static void
say(struct recorder *r)
{
	assert_ok(upt_buf_append(&r->said, r->out.data, r->out.len, why));
	assert_ok(upt_conn_send(&r->conn, upt_buf_span(&r->out), why));
	r->out.len = 0;
}

static enum upt_wire_type
hear(struct recorder *r)
{
	assert_ok(upt_conn_receive(&r->conn, ~0u, 0, &r->type, &r->in, why));
	return r->type;
}

static void
say_empty(struct recorder *r, enum upt_wire_type type)
{
	assert_ok(upt_wire_put_empty(&r->out, type, why));
	say(r);
}

static void
start(struct recorder *r, struct world *w)
{
	*r = (struct recorder){.conn = {.fd = world_connect(w), .timeout_ms = 5000, .stop_fd = -1}};
	assert_ok(upt_wire_put_hello(&r->out, &(struct upt_wire_hello){1, 1}, why));
	say(r);
	hear(r);
}

static void
finish(struct recorder *r, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", corpus_dir, name);
	assert_ok(upt_file_replace(AT_FDCWD, path, 0644, upt_buf_span(&r->said), why));
	close(r->conn.fd);
	upt_buf_clear(&r->said);
	upt_buf_clear(&r->out);
	upt_buf_clear(&r->in);
}

static void
verify(struct recorder *r, struct world *w)
{
	say_empty(r, UPT_WIRE_VERIFY);
	while (hear(r) == UPT_WIRE_NEED) {
		struct upt_wire_file file = {.status = UPT_WIRE_FILE_ABSENT};
		struct upt_wire_need need;
		const struct upt_buf *served;

		assert_ok(upt_wire_parse_need(upt_buf_span(&r->in), &need, why));
		served = world_file(
			need.repo == UPT_REPO_DIRECTOR ? &w->director : &w->image, need.file_name);
		if (served != NULL)
			file = (struct upt_wire_file){UPT_WIRE_FILE_OK, (uint32_t)served->len};
		assert_ok(upt_wire_put_file(&r->out, &file, why));
		if (served != NULL)
			assert_ok(upt_wire_put_bytes(
				&r->out, UPT_WIRE_FILE_DATA, upt_buf_span(served), why));
		say(r);
	}
	assert_int_equal(r->type, UPT_WIRE_VERDICT);
}

static void
send_image(struct recorder *r, struct world *w)
{
	struct upt_wire_image_begin begin = {.length_bytes = w->content.len};

	snprintf(begin.name, sizeof(begin.name), WORLD_TARGET);
	assert_ok(upt_wire_put_image_begin(&r->out, &begin, why));
	say(r);
	if (hear(r) != UPT_WIRE_ACCEPT)
		return;
	assert_ok(upt_wire_put_bytes(&r->out, UPT_WIRE_IMAGE_DATA, upt_buf_span(&w->content), why));
	assert_ok(upt_wire_put_empty(&r->out, UPT_WIRE_IMAGE_END, why));
	say(r);
	hear(r);
}

static void
install(struct recorder *r)
{
	struct upt_wire_install msg = {WORLD_TARGET};

	assert_ok(upt_wire_put_install(&r->out, &msg, why));
	say(r);
	hear(r);
}

static void
report(struct recorder *r)
{
	say_empty(r, UPT_WIRE_REPORT);
	hear(r);
	say_empty(r, UPT_WIRE_TAKEN);
}

static void
write_root(const struct world_repo *r, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", roots_dir, name);
	assert_ok(upt_file_replace(
		AT_FDCWD, path, 0644, upt_buf_span(world_file(r, "1.root.json")), why));
}

/* From a fresh state each time, as the harness has it. */
static void
record(struct world *w, const char *name, bool image, bool put)
{
	struct recorder r;

	world_start(w);
	start(&r, w);
	verify(&r, w);
	if (image)
		send_image(&r, w);
	if (put)
		install(&r);
	report(&r);
	finish(&r, name);
	world_stop(w);
	/* The next agent gets another folder. */
	snprintf(w->state_dir, sizeof(w->state_dir), "%s/after-%s", w->dir, name);
	world_install_by_hand(w, "old firmware");
}

static void
make_all(void **state)
{
	const bool all[UPT_N_ROLES] = {true, true, true, true};
	struct recorder r;
	struct world w;

	(void)state;
	world_init(&w);
	world_set_content(&w, 100, 0);
	for (size_t i = 0; i < w.content.len; i++)
		w.content.data[i] = (uint8_t)i;
	for (size_t i = 0; i < 2; i++)
		assert_ok(upt_hash_span(w.image_says.digests[i].alg, upt_buf_span(&w.content),
			&w.image_says.digests[i], why));
	w.director_says = w.image_says;
	world_publish(&w);
	write_root(&w.director, "director-root.json");
	write_root(&w.image, "image-root.json");
	record(&w, "update", true, true);
	record(&w, "verify", false, false);
	record(&w, "install-without-image", false, true);
	w.content.data[7] ^= 1;
	record(&w, "wrong-image", true, true);
	w.content.data[7] ^= 1;
	w.director.forged = UPT_ROLE_TARGETS;
	world_publish(&w);
	record(&w, "forged-targets", true, true);
	w.director.forged = -1;
	w.list = false;
	world_publish(&w);
	record(&w, "unknown-target", true, false);
	w.list = true;
	assert_ok(upt_private_key_generate("ed25519", 0, &w.delegate, why));
	world_publish(&w);
	record(&w, "delegated", true, true);
	world_rotate(&w, &w.director, all);
	world_rotate(&w, &w.image, all);
	record(&w, "rotated", true, true);
	world_start(&w);
	start(&r, &w);
	report(&r);
	finish(&r, "report");
	world_stop(&w);
	world_clear(&w);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(make_all)};

	if (argc != 3) {
		fprintf(stderr, "Usage: %s ROOTS-DIR CORPUS-DIR\n", argv[0]);
		return 2;
	}
	roots_dir = argv[1];
	corpus_dir = argv[2];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
