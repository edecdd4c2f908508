/*
 * [gates]: what must agree before something is fetched, installed or rebooted into.
 */
#include <string.h>
#include "primary/config_internal.h"

#define MAX_WINDOWS 64

static bool
is_window(const struct upt_ini_entry *entry)
{
	return strcmp(entry->section, "gates") == 0 && entry->argument[0] == '\0' &&
	       strcmp(entry->key, "window") == 0;
}

/* May be repeated; an empty one forgets those before it. */
static enum upt_code
parse_windows(struct upt_config *c, struct upt_gates_config *gates, struct upt_err *err)
{
	struct upt_window *windows = upt_arena_alloc(&c->ini.arena, MAX_WINDOWS, sizeof(*windows));

	if (windows == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for maintenance windows");
	for (struct upt_ini_entry *entry = c->ini.first; entry != NULL; entry = entry->next) {
		struct upt_err why = {0};

		if (!is_window(entry))
			continue;
		entry->used = true;
		if (entry->value[0] == '\0') {
			gates->n_windows = 0;
			continue;
		}
		if (gates->n_windows == MAX_WINDOWS)
			return upt_ini_fail(err, entry, "more than %d of them", MAX_WINDOWS);
		if (upt_window_parse(entry->value, &windows[gates->n_windows], &why) != UPT_OK)
			return upt_ini_fail(err, entry, "%s", why.message);
		gates->n_windows++;
	}
	gates->windows = windows;
	return UPT_OK;
}

/* Which word of names begins at *at; *at goes on behind it and the blanks that follow. */
static bool
next_step(const char **at, size_t *step)
{
	size_t len = strcspn(*at, " \t");

	for (*step = 0; *step < UPT_N_GATES; ++*step) {
		const char *name = upt_gate_name((enum upt_gate) * step);

		if (strlen(name) == len && strncmp(*at, name, len) == 0) {
			*at += len;
			*at += strspn(*at, " \t");
			return true;
		}
	}
	return false;
}

static enum upt_code
parse_window_steps(struct upt_config *c, struct upt_gates_config *gates, struct upt_err *err)
{
	const char *at;
	size_t step;

	UPT_TRY(upt_ini_string(
		&c->ini, "gates", "", "window_applies_to", "install reboot", &at, err));
	do {
		if (!next_step(&at, &step))
			return upt_ini_fail(err,
				upt_ini_find(&c->ini, "gates", "", "window_applies_to"),
				"'%s' is none of download, install, reboot", at);
		gates->window_applies_to[step] = true;
	} while (*at != '\0');
	return UPT_OK;
}

/* A path, or NULL when it is said to be none. */
static enum upt_code
parse_path(struct upt_config *c, const char *key, const char *fallback, const char **out,
	struct upt_err *err)
{
	UPT_TRY(upt_ini_string(&c->ini, "gates", "", key, fallback, out, err));
	if ((*out)[0] == '\0')
		*out = NULL;
	else if ((*out)[0] != '/')
		return upt_ini_fail(err, upt_ini_find(&c->ini, "gates", "", key),
			"'%s' is no absolute path", *out);
	return UPT_OK;
}

const char *
upt_gate_name(enum upt_gate gate)
{
	static const char *const names[UPT_N_GATES] = {"download", "install", "reboot"};

	return names[gate];
}

enum upt_code
upt_config_parse_gates(struct upt_config *c, struct upt_err *err)
{
	struct upt_gates_config *gates = &c->gates;
	uint64_t timeout_s;

	UPT_TRY(parse_path(c, "dir", "/etc/uptaned/gates.d", &gates->dir, err));
	UPT_TRY(parse_path(c, "inhibit", "/run/uptaned/inhibit", &gates->inhibit_path, err));
	UPT_TRY(upt_ini_u64(&c->ini, "gates", "", "timeout_s", 30, 1, 3600, &timeout_s, err));
	UPT_TRY(upt_ini_u64(&c->ini, "gates", "", "retry_s", 300, 1, UPT_GATE_RETRY_MAX_S,
		&gates->retry_s, err));
	gates->timeout_ms = (unsigned)timeout_s * 1000;
	UPT_TRY(parse_windows(c, gates, err));
	return parse_window_steps(c, gates, err);
}
