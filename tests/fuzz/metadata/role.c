#include "role.h"

#include "director/director.h"
#include "fuzz.h"
#include "imagerepo/imagerepo.h"
#include "role_model.h"

static void
read_targets(const struct upt_metadata *m)
{
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	const char *correlation_id = NULL;

	for (size_t i = 0; i < m->targets.n_targets; i++) {
		struct upt_target t;
		enum upt_code code = upt_targets_get(&m->targets, i, &arena, &t, NULL);

		FUZZ_ASSERT(code == UPT_OK || code == UPT_E_MALFORMED);
		FUZZ_ASSERT(t.format != NULL);
		if (code != UPT_OK) {
			FUZZ_ASSERT(t.image.name[0] == '\0' && t.n_ecus == 0);
			continue;
		}
		FUZZ_ASSERT(upt_targets_find(&m->targets, t.image.name) == (long)i);
		FUZZ_ASSERT(t.image.n_digests > 0 || t.unknown_hash);
		/* It agrees with itself in every hash that is known; and a hardware id it has not
		 * is refused. */
		FUZZ_ASSERT(upt_imagerepo_match(&t, &t, &(struct upt_match){.hardware_id = "\x01"},
				    NULL) != UPT_OK);
	}
	FUZZ_ASSERT(upt_director_correlation_id(m, &arena, &correlation_id, NULL) == UPT_OK);
	FUZZ_ASSERT(correlation_id != NULL);
}

static void
read_snapshot(const struct upt_snapshot *s)
{
	for (size_t i = 0; i < s->n_files; i++) {
		upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
		const char *name = upt_arena_string(&arena, s->files[i].name);

		FUZZ_ASSERT(name != NULL && upt_snapshot_find(s, name) == &s->files[i]);
		FUZZ_ASSERT(i == 0 || upt_file_name_compare(
					      s->by_name[i - 1]->name, s->by_name[i]->name) < 0);
	}
}

void
fuzz_role(enum upt_role role, struct upt_span bytes)
{
	upt_cleanup(upt_metadata_free) struct upt_metadata *m = NULL;
	upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};

	FUZZ_ASSERT(upt_buf_append(&buf, bytes.data, bytes.len, NULL) == UPT_OK);
	if (upt_metadata_parse(role, upt_role_name(role), &buf, &m, NULL) != UPT_OK) {
		FUZZ_ASSERT(m == NULL && upt_span_equal(upt_buf_span(&buf), bytes));
		return;
	}
	FUZZ_ASSERT(buf.data == NULL && upt_span_equal(upt_buf_span(&m->bytes), bytes));
	role_model_check(m);
	if (role == UPT_ROLE_TARGETS)
		read_targets(m);
	if (role == UPT_ROLE_SNAPSHOT)
		read_snapshot(&m->snapshot);
}
