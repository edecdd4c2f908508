/*
 * A configuration file as hostile bytes. What is accepted is written again, entry by entry, and
 * reads as the same; what a plain reader of the documented grammar refuses is refused; a refused
 * file names its line, adds no entry and leaves an earlier one's alone.
 */
#include "base/ini.h"
#include "fuzz.h"

static const char *const earlier = "[earlier]\nkey = value\n";

static bool
is_name(const char *s)
{
	return *s != '\0' &&
	       s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")] ==
		       '\0';
}

/* No blanks around it, no control characters but a tab within. */
static bool
is_trimmed(const char *s)
{
	size_t len = strlen(s);

	for (size_t i = 0; i < len; i++) {
		if (((unsigned char)s[i] < 0x20 && s[i] != '\t') || s[i] == 0x7f)
			return false;
	}
	return len == 0 || (strchr(" \t", s[0]) == NULL && strchr(" \t", s[len - 1]) == NULL);
}

static void
check_entry(const struct upt_ini_entry *e)
{
	FUZZ_ASSERT(is_name(e->section) && is_name(e->key));
	FUZZ_ASSERT(is_trimmed(e->argument) && is_trimmed(e->value));
	FUZZ_ASSERT(strpbrk(e->argument, "[]") == NULL);
	FUZZ_ASSERT(e->line > 0 && !e->used);
	FUZZ_ASSERT(strlen(e->value) < UPT_INI_MAX_LINE_BYTES);
}

static void
print_entries(const struct upt_ini_entry *first, struct upt_buf *out)
{
	for (const struct upt_ini_entry *e = first; e != NULL; e = e->next) {
		bool has_argument = e->argument[0] != '\0';

		FUZZ_ASSERT(
			upt_buf_printf(out, NULL, "[%s%s%s]\n%s=%s\n", e->section,
				has_argument ? " " : "", e->argument, e->key, e->value) == UPT_OK);
	}
}

static void
assert_same_entries(const struct upt_ini_entry *a, const struct upt_ini_entry *b)
{
	for (; a != NULL && b != NULL; a = a->next, b = b->next) {
		FUZZ_ASSERT(strcmp(a->section, b->section) == 0);
		FUZZ_ASSERT(strcmp(a->argument, b->argument) == 0);
		FUZZ_ASSERT(strcmp(a->key, b->key) == 0 && strcmp(a->value, b->value) == 0);
	}
	FUZZ_ASSERT(a == NULL && b == NULL);
}

/* The getters on each entry: the last one of a name counts, numbers are decimal and bounded. */
static void
use_entries(struct upt_ini *ini)
{
	size_t n = 0;

	for (struct upt_ini_entry *e = ini->first; e != NULL && n < 64; e = e->next, n++) {
		const struct upt_ini_entry *found =
			upt_ini_find(ini, e->section, e->argument, e->key);
		const char *text = NULL;
		uint64_t number = 1;
		bool flag;

		FUZZ_ASSERT(found != NULL && found->line >= e->line && e->used);
		FUZZ_ASSERT(upt_ini_string(ini, e->section, e->argument, e->key, "", &text, NULL) ==
			    UPT_OK);
		FUZZ_ASSERT(text == found->value);
		if (upt_ini_u64(ini, e->section, e->argument, e->key, 0, 5, 500, &number, NULL) ==
			UPT_OK)
			FUZZ_ASSERT(number >= 5 && number <= 500 &&
				    strspn(text, "0123456789") == strlen(text));
		else
			FUZZ_ASSERT(number == 0);
		(void)!upt_ini_bool(ini, e->section, e->argument, e->key, false, &flag, NULL);
		(void)upt_ini_next_argument(ini, e->section, NULL);
	}
	if (n < 64)
		FUZZ_ASSERT(upt_ini_check_all_used(ini, NULL) == UPT_OK);
}

static void
check_accepted(struct upt_ini *ini, struct upt_ini_entry *first)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	upt_cleanup(upt_ini_clear) struct upt_ini again = {0};

	for (const struct upt_ini_entry *e = first; e != NULL; e = e->next)
		check_entry(e);
	print_entries(first, &text);
	if (text.len <= UPT_INI_MAX_BYTES) {
		fuzz_write("again.conf", upt_buf_span(&text));
		FUZZ_ASSERT(upt_ini_read(&again, fuzz_path("again.conf"), NULL) == UPT_OK);
		assert_same_entries(first, again.first);
	}
	use_entries(ini);
}

/* What no grammar of ours holds. */
static bool
is_surely_wrong(struct upt_span text)
{
	return text.len > UPT_INI_MAX_BYTES || (text.len > 0 && memchr(text.data, 0, text.len)) ||
	       (text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	upt_cleanup(upt_ini_clear) struct upt_ini ini = {0};
	struct upt_span text = upt_span(data, size);
	struct upt_err err = {0};
	enum upt_code code;

	fuzz_write("earlier.conf", upt_span_str(earlier));
	fuzz_write("fuzz.conf", text);
	FUZZ_ASSERT(upt_ini_read(&ini, fuzz_path("earlier.conf"), NULL) == UPT_OK);
	code = upt_ini_read(&ini, fuzz_path("fuzz.conf"), &err);
	FUZZ_ASSERT(ini.first != NULL && strcmp(ini.first->value, "value") == 0);
	if (code != UPT_OK) {
		FUZZ_ASSERT(code == UPT_E_CONFIG && ini.first->next == NULL);
		FUZZ_ASSERT(strstr(err.message, "fuzz.conf:") != NULL);
		return 0;
	}
	FUZZ_ASSERT(!is_surely_wrong(text));
	check_accepted(&ini, ini.first->next);
	return 0;
}
