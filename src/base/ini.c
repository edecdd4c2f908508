#include "base/ini.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"

/* Where the reader is: the file, the line and the section the next key belongs to. */
struct place {
	const char *file;
	unsigned line;
	const char *section; /* NULL before the first header */
	const char *argument;
	unsigned header_line; /* of the section */
	size_t n_keys; /* of the section so far */
};

static enum upt_code
no_memory(const struct place *at, struct upt_err *err)
{
	return upt_fail(err, UPT_E_NO_MEMORY, "%s:%u: no memory", at->file, at->line);
}

static enum upt_code
refuse(const struct place *at, const char *why, struct upt_err *err)
{
	return upt_fail(err, UPT_E_CONFIG, "%s:%u: %s", at->file, at->line, why);
}

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static struct upt_span
trim(struct upt_span text)
{
	while (text.len > 0 && is_blank(text.data[0])) {
		text.data++;
		text.len--;
	}
	while (text.len > 0 && is_blank(text.data[text.len - 1]))
		text.len--;
	return text;
}

/* Names of sections and keys: what no editor, shell or locale changes on the way. */
static bool
is_name(struct upt_span text)
{
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];
		bool alnum =
			(c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!alnum && c != '_' && c != '-' && c != '.')
			return false;
	}
	return text.len > 0;
}

/* [ecu SERIAL] declares an ECU: one without a key would silently not exist. */
static enum upt_code
end_section(const struct place *at, struct upt_err *err)
{
	if (at->section == NULL || at->argument[0] == '\0' || at->n_keys > 0)
		return UPT_OK;
	return upt_fail(err, UPT_E_CONFIG, "%s:%u: section [%s %.64s] has no keys", at->file,
		at->header_line, at->section, at->argument);
}

/* text is "[name]" or "[name argument]", trimmed. */
static enum upt_code
read_header(struct upt_ini *ini, struct place *at, struct upt_span text, struct upt_err *err)
{
	struct upt_span name, argument;
	size_t n = 0;

	UPT_TRY(end_section(at, err));
	if (text.data[text.len - 1] != ']')
		return refuse(at, "a section header must end with ']'", err);
	name = trim(upt_span(text.data + 1, text.len - 2));
	if (memchr(name.data, ']', name.len) != NULL || memchr(name.data, '[', name.len) != NULL)
		return refuse(at, "a bracket inside a section header", err);
	while (n < name.len && !is_blank(name.data[n]))
		n++;
	argument = trim(upt_span(name.data + n, name.len - n));
	name.len = n;
	if (!is_name(name))
		return refuse(at, "a section needs a name of letters, digits, '_', '-', '.'", err);
	at->section = upt_arena_string(&ini->arena, name);
	at->argument = upt_arena_string(&ini->arena, argument);
	if (at->section == NULL || at->argument == NULL)
		return no_memory(at, err);
	at->header_line = at->line;
	at->n_keys = 0;
	return UPT_OK;
}

static enum upt_code
add_entry(struct upt_ini *ini, struct place *at, struct upt_span key, struct upt_span value,
	struct upt_err *err)
{
	struct upt_ini_entry *entry = upt_arena_alloc(&ini->arena, 1, sizeof(*entry));

	if (entry == NULL)
		return no_memory(at, err);
	*entry = (struct upt_ini_entry){
		.section = at->section,
		.argument = at->argument,
		.key = upt_arena_string(&ini->arena, key),
		.value = upt_arena_string(&ini->arena, value),
		.file = at->file,
		.line = at->line,
	};
	if (entry->key == NULL || entry->value == NULL)
		return no_memory(at, err);
	*ini->tail = entry;
	ini->tail = &entry->next;
	at->n_keys++;
	return UPT_OK;
}

static enum upt_code
read_key(struct upt_ini *ini, struct place *at, struct upt_span text, struct upt_err *err)
{
	const uint8_t *equals = memchr(text.data, '=', text.len);
	struct upt_span key, value;
	size_t n;

	if (equals == NULL)
		return refuse(at, "neither a comment, a [section] nor key=value", err);
	n = (size_t)(equals - text.data);
	key = trim(upt_span(text.data, n));
	value = trim(upt_span(equals + 1, text.len - n - 1));
	if (!is_name(key))
		return refuse(at, "a key needs a name of letters, digits, '_', '-', '.'", err);
	if (at->section == NULL)
		return refuse(at, "a key before the first [section]", err);
	/* Users of systemd and of shells expect more lines here; read alone, the value is wrong. */
	if (value.len > 0 && value.data[value.len - 1] == '\\')
		return refuse(
			at, "a value cannot end with '\\': there are no continuation lines", err);
	return add_entry(ini, at, key, value, err);
}

static enum upt_code
check_characters(const struct place *at, struct upt_span line, struct upt_err *err)
{
	for (size_t i = 0; i < line.len; i++) {
		uint8_t c = line.data[i];
		if (c == 0)
			return refuse(at, "a NUL byte", err);
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return upt_fail(err, UPT_E_CONFIG, "%s:%u: control character 0x%02x",
				at->file, at->line, c);
	}
	return UPT_OK;
}

static enum upt_code
read_line(struct upt_ini *ini, struct place *at, struct upt_span line, struct upt_err *err)
{
	struct upt_span text;

	if (line.len > 0 && line.data[line.len - 1] == '\r')
		line.len--;
	if (line.len > UPT_INI_MAX_LINE_BYTES)
		return upt_fail(err, UPT_E_CONFIG,
			"%s:%u: line of %zu bytes, more than the %zu allowed", at->file, at->line,
			line.len, UPT_INI_MAX_LINE_BYTES);
	UPT_TRY(check_characters(at, line, err));
	text = trim(line);
	if (text.len == 0 || text.data[0] == '#' || text.data[0] == ';')
		return UPT_OK;
	if (text.data[0] == '[')
		return read_header(ini, at, text, err);
	return read_key(ini, at, text, err);
}

static enum upt_code
read_lines(struct upt_ini *ini, struct place *at, struct upt_span text, struct upt_err *err)
{
	while (text.len > 0) {
		const uint8_t *end = memchr(text.data, '\n', text.len);
		size_t n = end != NULL ? (size_t)(end - text.data) : text.len;

		at->line++;
		UPT_TRY(read_line(ini, at, upt_span(text.data, n), err));
		n += end != NULL ? 1 : 0;
		text = upt_span(text.data + n, text.len - n);
	}
	return end_section(at, err);
}

enum upt_code
upt_ini_read(struct upt_ini *ini, const char *path, struct upt_err *err)
{
	static const uint8_t bom[] = {0xef, 0xbb, 0xbf};
	upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};
	struct place at = {.file = upt_arena_string(&ini->arena, upt_span_str(path))};
	struct upt_ini_entry **old_tail;
	enum upt_code code;

	if (at.file == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "%s: no memory", path);
	code = upt_file_read(AT_FDCWD, path, UPT_INI_MAX_BYTES, &buf, err);
	if (code == UPT_E_TOO_LARGE)
		return upt_fail(err, UPT_E_CONFIG, "%s: more than the %zu bytes allowed", path,
			UPT_INI_MAX_BYTES);
	if (code != UPT_OK)
		return code;
	if (buf.len >= sizeof(bom) && memcmp(buf.data, bom, sizeof(bom)) == 0)
		return upt_fail(err, UPT_E_CONFIG,
			"%s:1: starts with a UTF-8 byte order mark; save it without", path);
	if (ini->tail == NULL)
		ini->tail = &ini->first;
	old_tail = ini->tail;
	code = read_lines(ini, &at, upt_buf_span(&buf), err);
	if (code != UPT_OK) {
		/* A refused file contributes nothing. */
		ini->tail = old_tail;
		*old_tail = NULL;
	}
	return code;
}

static bool
is_drop_in(const char *name)
{
	size_t len = strlen(name);

	return name[0] != '.' && len > 5 && strcmp(name + len - 5, ".conf") == 0;
}

static int
compare_names(const void *a, const void *b)
{
	/* strcmp and not strcoll: the order must not depend on the locale. */
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void
close_dir(DIR **dir)
{
	if (*dir != NULL)
		closedir(*dir);
}

/* Names in the arena, sorted; *n is 0 when there is no such directory. */
static enum upt_code
list_drop_ins(struct upt_ini *ini, const char *path, const char *names[static UPT_INI_MAX_DROP_INS],
	size_t *n, struct upt_err *err)
{
	upt_cleanup(close_dir) DIR *dir = opendir(path);

	*n = 0;
	if (dir == NULL)
		return errno == ENOENT
			       ? UPT_OK
			       : upt_fail_errno(err, errno, "cannot open directory %s", path);
	for (;;) {
		const struct dirent *item;

		errno = 0;
		item = readdir(dir);
		if (item == NULL && errno != 0)
			return upt_fail_errno(err, errno, "cannot read directory %s", path);
		if (item == NULL)
			break;
		if (!is_drop_in(item->d_name))
			continue;
		if (*n == UPT_INI_MAX_DROP_INS)
			return upt_fail(err, UPT_E_CONFIG, "%s: more than %d files", path,
				UPT_INI_MAX_DROP_INS);
		names[*n] = upt_arena_string(&ini->arena, upt_span_str(item->d_name));
		if (names[*n] == NULL)
			return upt_fail(err, UPT_E_NO_MEMORY, "%s: no memory", path);
		(*n)++;
	}
	qsort(names, *n, sizeof(*names), compare_names);
	return UPT_OK;
}

enum upt_code
upt_ini_read_dir(struct upt_ini *ini, const char *dir, const char *name, struct upt_err *err)
{
	const char *names[UPT_INI_MAX_DROP_INS];
	char path[PATH_MAX], file[PATH_MAX];
	size_t n;

	if (snprintf(path, sizeof(path), "%s/%s.conf.d", dir, name) >= (int)sizeof(path))
		return upt_fail(err, UPT_E_CONFIG, "path too long: %.64s...", dir);
	snprintf(file, sizeof(file), "%s/%s.conf", dir, name);
	UPT_TRY(upt_ini_read(ini, file, err));
	UPT_TRY(list_drop_ins(ini, path, names, &n, err));
	for (size_t i = 0; i < n; i++) {
		if (snprintf(file, sizeof(file), "%s/%s", path, names[i]) >= (int)sizeof(file))
			return upt_fail(err, UPT_E_CONFIG, "path too long: %.64s...", path);
		UPT_TRY(upt_ini_read(ini, file, err));
	}
	return UPT_OK;
}

void
upt_ini_clear(struct upt_ini *ini)
{
	upt_arena_clear(&ini->arena);
	*ini = (struct upt_ini){0};
}
