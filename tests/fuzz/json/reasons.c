#include "reasons.h"

#include <stdlib.h>
#include <string.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

#define MAX_DEPTH 32
#define MAX_TOP 16
#define MAX_MARKS 30

static const char *const names[N_REASONS] = {"bytes behind the value", "byte order mark",
	"control character as white space", "sign", "fraction or exponent", "leading zero",
	"number above 2^53-1", "control character in a string", "NUL", "invalid UTF-8",
	"not in NFC", "too many combining marks", "duplicate name", "depth", "members at the top"};

const char *
reason_name(unsigned index)
{
	return index < N_REASONS ? names[index] : "?";
}

/* ---- by the bytes ---- */

/* A number's characters, as cJSON collects them. */
static unsigned
number_reasons(const char *s, size_t len)
{
	static const char max[] = "9007199254740991";
	unsigned reasons = 0;

	for (size_t i = 0; i < len; i++) {
		if (s[i] == '.' || s[i] == 'e' || s[i] == 'E')
			reasons |= REASON_FRACTION;
		if (s[i] == '-' || s[i] == '+')
			reasons |= REASON_SIGN;
	}
	if (reasons != 0)
		return reasons;
	if (len > 1 && s[0] == '0')
		return REASON_LEADING_ZERO;
	if (len > sizeof(max) - 1 || (len == sizeof(max) - 1 && memcmp(s, max, len) > 0))
		return REASON_TOO_BIG;
	return 0;
}

static bool
is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* The four characters behind "\u": cJSON takes what is no hex for 0. */
static bool
is_nul_escape(const char *hex, const char *end)
{
	if (end - hex < 4)
		return true;
	for (int i = 0; i < 4; i++) {
		if (!is_hex(hex[i]))
			return true;
	}
	return memcmp(hex, "0000", 4) == 0;
}

/* From behind the opening quote; returns the first byte behind the closing one. */
static const char *
scan_string(const char *p, const char *end, unsigned *reasons)
{
	const char *begin = p;

	while (p < end && *p != '"') {
		if ((unsigned char)*p < 0x20)
			*reasons |= REASON_CONTROL;
		if (*p == '\\' && p + 1 < end) {
			p++;
			if (*p == 'u' && is_nul_escape(p + 1, end))
				*reasons |= REASON_NUL;
		}
		p++;
	}
	if (u8_check((const uint8_t *)begin, (size_t)(p - begin)) != NULL)
		*reasons |= REASON_UTF8;
	return p < end ? p + 1 : p;
}

static const char *
scan_number(const char *p, const char *end, unsigned *reasons)
{
	const char *begin = p;

	while (p < end && *p != '\0' && strchr("0123456789+-.eE", *p) != NULL)
		p++;
	*reasons |= number_reasons(begin, (size_t)(p - begin));
	return p;
}

static unsigned
scan(const char *p, const char *end)
{
	unsigned reasons = 0;

	if (end - p >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) {
		reasons |= REASON_BOM;
		p += 3;
	}
	while (p < end) {
		if (*p == '"') {
			p = scan_string(p + 1, end, &reasons);
		} else if (*p == '-' || (*p >= '0' && *p <= '9')) {
			p = scan_number(p, end, &reasons);
		} else {
			if ((unsigned char)*p < 0x20 &&
				(*p == '\0' || strchr("\t\r\n", *p) == NULL))
				reasons |= REASON_SPACE;
			p++;
		}
	}
	return reasons;
}

static unsigned
trailing_reasons(const char *p, const char *end)
{
	for (; p < end; p++) {
		if (*p == '\0' || strchr(" \t\r\n", *p) == NULL)
			return REASON_TRAILING;
	}
	return 0;
}

/* ---- by the tree ---- */

/* A character and what follows it until the next one that starts a composition of its own. */
static unsigned
marks_reasons(const uint8_t *s)
{
	size_t in_a_row = 0;
	ucs4_t c;

	for (const uint8_t *next = u8_next(&c, s); next != NULL; next = u8_next(&c, next)) {
		in_a_row = uc_combining_class(c) != UC_CCC_NR ? in_a_row + 1 : 0;
		if (in_a_row > MAX_MARKS)
			return REASON_MARKS;
	}
	return 0;
}

static unsigned
string_reasons(const char *s)
{
	const uint8_t *text = (const uint8_t *)s;
	size_t len = strlen(s), normal_len = 0;
	uint8_t *normal;
	unsigned reasons;

	if (len == 0 || u8_check(text, len) != NULL)
		return 0; /* empty, or noticed by its bytes */
	reasons = marks_reasons(text);
	normal = u8_normalize(UNINORM_NFC, text, len, NULL, &normal_len);
	if (normal == NULL)
		abort();
	if (normal_len != len || memcmp(normal, text, len) != 0)
		reasons |= REASON_NFC;
	free(normal);
	return reasons;
}

static unsigned
member_reasons(const cJSON *object)
{
	unsigned reasons = 0;
	const cJSON *a, *b;

	cJSON_ArrayForEach(a, object)
	{
		reasons |= string_reasons(a->string);
		for (b = a->next; b != NULL; b = b->next) {
			if (strcmp(a->string, b->string) == 0)
				reasons |= REASON_DUPLICATE;
		}
	}
	return reasons;
}

static unsigned
tree_reasons(const cJSON *item, int depth)
{
	bool container = cJSON_IsObject(item) || cJSON_IsArray(item);
	unsigned reasons = 0;
	const cJSON *child;

	if (cJSON_IsString(item))
		return string_reasons(item->valuestring);
	if (container && depth >= MAX_DEPTH)
		reasons |= REASON_DEPTH;
	if (cJSON_IsObject(item))
		reasons |= member_reasons(item);
	cJSON_ArrayForEach(child, item) reasons |= tree_reasons(child, depth + 1);
	return reasons;
}

unsigned
reasons_of(struct upt_span text, const cJSON *tree, const char *end)
{
	const char *begin = (const char *)text.data;
	unsigned reasons = scan(begin, end) | trailing_reasons(end, begin + text.len);

	reasons |= tree_reasons(tree, 0);
	if (cJSON_IsObject(tree) && cJSON_GetArraySize(tree) > MAX_TOP)
		reasons |= REASON_TOP;
	return reasons;
}
