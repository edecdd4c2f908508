#include "json/chars.h"

#define SURROGATE_FIRST 0xd800u
#define SURROGATE_LOW 0xdc00u
#define SURROGATE_LAST 0xdfffu
#define SUPPLEMENTARY 0x10000u
#define UNICODE_LAST 0x10ffffu

/* Bytes of the sequence that starts with this byte, 0 for a byte that starts none. */
static size_t
sequence_length(uint8_t lead)
{
	if (lead < 0x80)
		return 1;
	if (lead >= 0xc2 && lead <= 0xdf)
		return 2;
	if (lead >= 0xe0 && lead <= 0xef)
		return 3;
	if (lead >= 0xf0 && lead <= 0xf4)
		return 4;
	return 0;
}

const char *
upt_json_read_utf8(const uint8_t **pos, const uint8_t *end, uint32_t *c)
{
	static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, SUPPLEMENTARY};
	const uint8_t *p = *pos;
	size_t len = p < end ? sequence_length(*p) : 0;
	uint32_t value;

	if (len == 0)
		return "byte that starts no UTF-8 character";
	if ((size_t)(end - p) < len)
		return "cut UTF-8 character";
	value = len == 1 ? *p : *p & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return "cut UTF-8 character";
		value = value << 6 | (p[i] & 0x3fu);
	}
	/* Two spellings of one name would let a filter and the verifier read different names. */
	if (value < smallest[len])
		return "overlong UTF-8 character";
	if (value >= SURROGATE_FIRST && value <= SURROGATE_LAST)
		return "surrogate in UTF-8";
	if (value > UNICODE_LAST)
		return "character above U+10FFFF";
	*pos = p + len;
	*c = value;
	return NULL;
}

static int
hex_digit(uint8_t byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	if (byte >= 'a' && byte <= 'f')
		return byte - 'a' + 10;
	if (byte >= 'A' && byte <= 'F')
		return byte - 'A' + 10;
	return -1;
}

/* Reads the backslash, u and four digits at *pos. */
static bool
read_unit(const uint8_t **pos, const uint8_t *end, uint32_t *unit)
{
	const uint8_t *p = *pos;
	uint32_t value = 0;

	if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
		return false;
	for (int i = 2; i < 6; i++) {
		int digit = hex_digit(p[i]);

		if (digit < 0)
			return false;
		value = value << 4 | (uint32_t)digit;
	}
	*pos = p + 6;
	*unit = value;
	return true;
}

static const char *
read_unicode_escape(const uint8_t **pos, const uint8_t *end, uint32_t *c)
{
	const uint8_t *p = *pos;
	uint32_t unit, low;

	if (!read_unit(&p, end, &unit))
		return "\\u without four hex digits";
	/* A C string ends at NUL: "a\u0000b" would be "a" to one reader and not to another. */
	if (unit == 0)
		return "escaped NUL";
	if (unit >= SURROGATE_FIRST && unit <= SURROGATE_LAST) {
		if (unit >= SURROGATE_LOW || !read_unit(&p, end, &low) || low < SURROGATE_LOW ||
			low > SURROGATE_LAST)
			return "lone surrogate";
		unit = SUPPLEMENTARY + ((unit - SURROGATE_FIRST) << 10) + (low - SURROGATE_LOW);
	}
	*pos = p;
	*c = unit;
	return NULL;
}

/* The letter of the short escape of a character and back; 0 for none. */
static const char short_letters[] = "bfnrt";
static const char short_controls[] = "\b\f\n\r\t";

static uint32_t
control_of_letter(uint8_t letter)
{
	for (size_t i = 0; short_letters[i] != '\0'; i++) {
		if (short_letters[i] == (char)letter)
			return (uint32_t)short_controls[i];
	}
	return 0;
}

static uint8_t
letter_of_control(uint32_t c)
{
	for (size_t i = 0; short_letters[i] != '\0'; i++) {
		if ((uint32_t)short_controls[i] == c)
			return (uint8_t)short_letters[i];
	}
	return 0;
}

const char *
upt_json_read_escape(const uint8_t **pos, const uint8_t *end, uint32_t *c)
{
	const uint8_t *p = *pos;
	uint32_t value;

	if (end - p < 2)
		return "cut escape";
	if (p[1] == 'u')
		return read_unicode_escape(pos, end, c);
	if (p[1] == '"' || p[1] == '\\' || p[1] == '/')
		value = p[1];
	else
		value = control_of_letter(p[1]);
	if (value == 0)
		return "unknown escape";
	*pos = p + 2;
	*c = value;
	return NULL;
}

size_t
upt_json_write_utf8(uint32_t c, uint8_t out[static 4])
{
	size_t len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < SUPPLEMENTARY ? 3 : 4;

	if (len == 1) {
		out[0] = (uint8_t)c;
		return 1;
	}
	for (size_t i = len - 1; i > 0; i--) {
		out[i] = (uint8_t)(0x80u | (c & 0x3fu));
		c >>= 6;
	}
	out[0] = (uint8_t)((0xf00u >> len) | c);
	return len;
}

static size_t
write_unit(uint32_t unit, uint8_t *out)
{
	static const char digits[] = "0123456789abcdef";

	out[0] = '\\';
	out[1] = 'u';
	for (int i = 0; i < 4; i++)
		out[2 + i] = (uint8_t)digits[unit >> (12 - 4 * i) & 0xf];
	return 6;
}

size_t
upt_json_spell(uint32_t c, enum upt_json_form form, uint8_t out[static UPT_JSON_MAX_SPELLING])
{
	uint8_t letter;

	if (c == '"' || c == '\\') {
		out[0] = '\\';
		out[1] = (uint8_t)c;
		return 2;
	}
	if (form == UPT_JSON_OLPC || (c >= 0x20 && (c < 0x7f || form == UPT_JSON_UTF8)))
		return upt_json_write_utf8(c, out);
	letter = letter_of_control(c);
	if (letter != 0) {
		out[0] = '\\';
		out[1] = letter;
		return 2;
	}
	if (c < SUPPLEMENTARY)
		return write_unit(c, out);
	c -= SUPPLEMENTARY;
	write_unit(SURROGATE_FIRST + (c >> 10), out);
	return 6 + write_unit(SURROGATE_LOW + (c & 0x3ff), out + 6);
}
