/*
 * The power cut: the process dies right before its n-th write, be it of the store or of an
 * installer. Linked with --wrap for each of these.
 */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include "world.h"

int world_kill_at; /* 0: never */
int world_n_writes;

static void
count(void)
{
	if (++world_n_writes == world_kill_at && world_kill_at > 0)
		raise(SIGKILL);
}

/* NAME(args) dies before it, or does it. */
#define WRAP(type, name, params, args)                                                             \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		count();                                                                           \
		return __real_##name args;                                                         \
	}

WRAP(int, fsync, (int fd), (fd))
WRAP(int, rename, (const char *from, const char *to), (from, to))
WRAP(int, renameat, (int from_fd, const char *from, int to_fd, const char *to),
	(from_fd, from, to_fd, to))
WRAP(int, link, (const char *from, const char *to), (from, to))
WRAP(int, unlink, (const char *path), (path))
WRAP(enum upt_code, upt_dir_sync, (int fd, const char *path, struct upt_err *err), (fd, path, err))
WRAP(enum upt_code, upt_store_set_image,
	(struct upt_store * s, const char *ecu, enum upt_image_slot slot, const struct upt_image *i,
		struct upt_err *e),
	(s, ecu, slot, i, e))
WRAP(enum upt_code, upt_store_clear_image,
	(struct upt_store * s, const char *ecu, enum upt_image_slot slot, struct upt_err *e),
	(s, ecu, slot, e))
WRAP(enum upt_code, upt_store_confirm_image,
	(struct upt_store * s, const char *ecu, const struct upt_image *i, struct upt_err *e),
	(s, ecu, i, e))
WRAP(enum upt_code, upt_store_set_text,
	(struct upt_store * s, const char *name, struct upt_span text, struct upt_err *e),
	(s, name, text, e))
WRAP(enum upt_code, upt_store_set_u64,
	(struct upt_store * s, const char *name, uint64_t v, struct upt_err *e), (s, name, v, e))
WRAP(enum upt_code, upt_store_next_u64,
	(struct upt_store * s, const char *name, uint64_t *v, struct upt_err *e), (s, name, v, e))
WRAP(enum upt_code, upt_store_save_document,
	(struct upt_store * s, enum upt_repo r, const char *n, uint64_t v, struct upt_span b,
		struct upt_err *e),
	(s, r, n, v, b, e))
WRAP(enum upt_code, upt_store_add_incident,
	(struct upt_store * s, const struct upt_incident *i, struct upt_err *e), (s, i, e))
WRAP(enum upt_code, upt_store_mark_reported, (struct upt_store * s, uint64_t id, struct upt_err *e),
	(s, id, e))
WRAP(enum upt_code, upt_store_save_report,
	(struct upt_store * s, const char *ecu, struct upt_span b, struct upt_err *e),
	(s, ecu, b, e))
WRAP(enum upt_code, upt_store_save_plan,
	(struct upt_store * s, const struct upt_plan *p, struct upt_err *e), (s, p, e))
WRAP(enum upt_code, upt_store_end_plan,
	(struct upt_store * s, const struct upt_plan *p, struct upt_err *e), (s, p, e))
