#include "base/ini.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

/* "[section argument]" as the file spells it. */
static void
format_section(const char *section, const char *argument, char *out, size_t size)
{
	snprintf(out, size, "[%s%s%s]", section, argument[0] != '\0' ? " " : "", argument);
}

enum upt_code
upt_ini_fail(struct upt_err *err, const struct upt_ini_entry *entry, const char *fmt, ...)
{
	char section[128], what[UPT_ERR_MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	if (vsnprintf(what, sizeof(what), fmt, ap) < 0)
		what[0] = '\0';
	va_end(ap);
	format_section(entry->section, entry->argument, section, sizeof(section));
	return upt_fail(err, UPT_E_CONFIG, "%s:%u: %s %s: %s", entry->file, entry->line, section,
		entry->key, what);
}

struct upt_ini_entry *
upt_ini_find(struct upt_ini *ini, const char *section, const char *argument, const char *key)
{
	struct upt_ini_entry *found = NULL;

	for (struct upt_ini_entry *entry = ini->first; entry != NULL; entry = entry->next) {
		if (strcmp(entry->section, section) != 0 ||
			strcmp(entry->argument, argument) != 0 || strcmp(entry->key, key) != 0)
			continue;
		entry->used = true; /* the overridden ones too: they are no typing mistakes */
		found = entry;
	}
	return found;
}

/* True when an earlier entry of the section already brought this one's argument. */
static bool
seen_before(const struct upt_ini *ini, const struct upt_ini_entry *entry)
{
	for (const struct upt_ini_entry *e = ini->first; e != entry; e = e->next) {
		if (strcmp(e->section, entry->section) == 0 &&
			strcmp(e->argument, entry->argument) == 0)
			return true;
	}
	return false;
}

const char *
upt_ini_next_argument(const struct upt_ini *ini, const char *section, const char *prev)
{
	bool past = prev == NULL;

	for (const struct upt_ini_entry *entry = ini->first; entry != NULL; entry = entry->next) {
		if (strcmp(entry->section, section) != 0 || entry->argument[0] == '\0')
			continue;
		if (past && !seen_before(ini, entry))
			return entry->argument;
		if (!past && strcmp(entry->argument, prev) == 0)
			past = true;
	}
	return NULL;
}

const char *
upt_ini_optional(struct upt_ini *ini, const char *section, const char *argument, const char *key)
{
	const struct upt_ini_entry *entry = upt_ini_find(ini, section, argument, key);

	return entry != NULL && entry->value[0] != '\0' ? entry->value : NULL;
}

enum upt_code
upt_ini_string(struct upt_ini *ini, const char *section, const char *argument, const char *key,
	const char *fallback, const char **out, struct upt_err *err)
{
	const struct upt_ini_entry *entry = upt_ini_find(ini, section, argument, key);
	char name[128];

	*out = NULL;
	if (fallback == NULL && entry == NULL) {
		format_section(section, argument, name, sizeof(name));
		return upt_fail(err, UPT_E_CONFIG, "%s: %s %s: required, but not set",
			ini->first != NULL ? ini->first->file : "configuration", name, key);
	}
	if (fallback == NULL && entry->value[0] == '\0')
		return upt_ini_fail(err, entry, "required, but empty");
	*out = entry != NULL ? entry->value : fallback;
	return UPT_OK;
}

/* Decimal digits only: no sign, no white space, no other base. */
static bool
parse_u64(const char *s, uint64_t *out)
{
	uint64_t v = 0;

	*out = 0;
	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9' || __builtin_mul_overflow(v, 10, &v) ||
			__builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return false;
	}
	*out = v;
	return true;
}

enum upt_code
upt_ini_u64(struct upt_ini *ini, const char *section, const char *argument, const char *key,
	uint64_t fallback, uint64_t min, uint64_t max, uint64_t *out, struct upt_err *err)
{
	const struct upt_ini_entry *entry = upt_ini_find(ini, section, argument, key);
	uint64_t v = fallback;

	*out = 0;
	if (entry != NULL && !parse_u64(entry->value, &v))
		return upt_ini_fail(err, entry, "'%.64s' is not a whole number (%ju to %ju)",
			entry->value, (uintmax_t)min, (uintmax_t)max);
	if (entry != NULL && (v < min || v > max))
		return upt_ini_fail(err, entry, "%ju is outside %ju to %ju", (uintmax_t)v,
			(uintmax_t)min, (uintmax_t)max);
	*out = v;
	return UPT_OK;
}

static bool
parse_bool(const char *s, bool *out)
{
	static const char *const yes[] = {"yes", "true", "on", "1"};
	static const char *const no[] = {"no", "false", "off", "0"};

	*out = false;
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (strcasecmp(s, no[i]) == 0)
			return true;
		if (strcasecmp(s, yes[i]) == 0) {
			*out = true;
			return true;
		}
	}
	return false;
}

enum upt_code
upt_ini_bool(struct upt_ini *ini, const char *section, const char *argument, const char *key,
	bool fallback, bool *out, struct upt_err *err)
{
	const struct upt_ini_entry *entry = upt_ini_find(ini, section, argument, key);
	bool v = fallback;

	*out = false;
	if (entry != NULL && !parse_bool(entry->value, &v))
		return upt_ini_fail(err, entry, "'%.64s' is neither yes nor no", entry->value);
	*out = v;
	return UPT_OK;
}

enum upt_code
upt_ini_check_all_used(const struct upt_ini *ini, struct upt_err *err)
{
	for (const struct upt_ini_entry *entry = ini->first; entry != NULL; entry = entry->next) {
		if (!entry->used)
			return upt_ini_fail(err, entry, "unknown key or section");
	}
	return UPT_OK;
}
