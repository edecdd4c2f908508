#include "base/err.h"

#include <stddef.h>

/* Bytes of the UTF-8 character at s and its code point; 0 when there is no whole, valid one. */
static size_t
decode_utf8(const unsigned char *s, uint32_t *out)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = s[0] < 0x80             ? 1
		   : (s[0] & 0xe0) == 0xc0 ? 2
		   : (s[0] & 0xf0) == 0xe0 ? 3
		   : (s[0] & 0xf8) == 0xf0 ? 4
					   : 0;
	uint32_t c = n == 1 ? s[0] : n == 0 ? 0 : s[0] & (0x7fu >> n);

	*out = 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80) /* the final NUL ends here too */
			return 0;
		c = c << 6 | (s[i] & 0x3fu);
	}
	if (n == 0 || c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*out = c;
	return n;
}

/*
 * What ends a line, drives a terminal (C0, DEL, and C1, whose U+009B is an escape sequence of its
 * own) or reorders what a person reads (line separators and bidirectional controls).
 */
static bool
is_dangerous(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x61c || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

void
upt_sanitize(char *text)
{
	while (*text != '\0') {
		uint32_t c;
		size_t n = decode_utf8((const unsigned char *)text, &c);
		bool replace = n == 0 || is_dangerous(c);

		for (n = n == 0 ? 1 : n; n > 0; n--, text++) {
			if (replace)
				*text = '?';
		}
	}
}
