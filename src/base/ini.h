/*
 * systemd-style INI: [section argument], key=value, '#' and ';' comments, repeated keys allowed.
 * Every value remembers its file and line, so that a wrong one can be named to its writer, and
 * whether it was asked for, so that a typo in a key is an error and not a silent default.
 */
#ifndef UPT_BASE_INI_H
#define UPT_BASE_INI_H

#include <stdbool.h>
#include "base/arena.h"

#define UPT_INI_MAX_BYTES ((size_t)256 * 1024)
#define UPT_INI_MAX_LINE_BYTES ((size_t)4096)
#define UPT_INI_MAX_DROP_INS 256

struct upt_ini_entry {
	const char *section; /* "ecu" of [ecu SERIAL] */
	const char *argument; /* "SERIAL" of it, or "" */
	const char *key;
	const char *value;
	const char *file;
	unsigned line;
	bool used;
	struct upt_ini_entry *next;
};

/* {0} is empty. All strings live in the arena. Not to be copied once something was read. */
struct upt_ini {
	struct upt_arena arena;
	struct upt_ini_entry *first, **tail;
};

/*
 * Reads one file; entries of later files override by coming later. UPT_E_CONFIG names file:line;
 * UPT_E_NOT_FOUND, UPT_E_PERMISSION, UPT_E_IO, UPT_E_NO_MEMORY. A refused file adds no entry.
 */
UPT_NODISCARD enum upt_code
upt_ini_read(struct upt_ini *ini, const char *path, struct upt_err *err);
/* Reads dir/name.conf (must exist) and then dir/name.conf.d/ *.conf in the order of their names. */
UPT_NODISCARD enum upt_code
upt_ini_read_dir(struct upt_ini *ini, const char *dir, const char *name, struct upt_err *err);
void upt_ini_clear(struct upt_ini *ini);

/* The last entry of that section, argument and key, marked as used; NULL when there is none. */
struct upt_ini_entry *
upt_ini_find(struct upt_ini *ini, const char *section, const char *argument, const char *key);
/* The next distinct argument of a section after prev (NULL: the first), in order of appearance;
 * NULL at the end. A section without an argument is not among them. */
const char *upt_ini_next_argument(const struct upt_ini *ini, const char *section, const char *prev);

/* The value of a setting that may be absent or empty: NULL then. */
const char *
upt_ini_optional(struct upt_ini *ini, const char *section, const char *argument, const char *key);

/* Typed getters: the default when absent; UPT_E_CONFIG naming file, line and key when it is wrong.
 */
UPT_NODISCARD enum upt_code upt_ini_string(struct upt_ini *ini, const char *section,
	const char *argument, const char *key, const char *fallback, const char **out,
	struct upt_err *err); /* fallback NULL: the key is required and not empty */
UPT_NODISCARD enum upt_code
upt_ini_u64(struct upt_ini *ini, const char *section, const char *argument, const char *key,
	uint64_t fallback, uint64_t min, uint64_t max, uint64_t *out, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_ini_bool(struct upt_ini *ini, const char *section,
	const char *argument, const char *key, bool fallback, bool *out, struct upt_err *err);
/* Fails for the first entry nobody asked for: an unknown section or a misspelt key. */
UPT_NODISCARD enum upt_code upt_ini_check_all_used(const struct upt_ini *ini, struct upt_err *err);
/* upt_fail(UPT_E_CONFIG) with "FILE:LINE: [section] key: " in front. */
enum upt_code upt_ini_fail(struct upt_err *err, const struct upt_ini_entry *entry, const char *fmt,
	...) UPT_PRINTF(3, 4);

#endif
