#include "imagerepo/imagerepo.h"

/* Above every code point: a byte that is part of no character equals only itself. */
#define NO_CHARACTER 0x110000u

/* The length of the character that begins with this byte (RFC 3629), 1 for one that begins none. */
static size_t
character_length(unsigned char first)
{
	if (first >= 0xf0 && first <= 0xf4)
		return 4;
	if (first >= 0xe0 && first < 0xf0)
		return 3;
	return first >= 0xc2 && first < 0xe0 ? 2 : 1;
}

/* Takes one character, or '?' would match half of one and "[é]" every name that begins like it. */
static uint32_t
take_character(const char **text)
{
	const unsigned char *p = (const unsigned char *)*text;
	size_t len = character_length(p[0]);
	uint32_t c = p[0];

	*text += 1;
	if (len == 1)
		return c < 0x80 ? c : NO_CHARACTER + c;
	c &= 0x7fu >> len;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0u) != 0x80)
			return NO_CHARACTER + p[0];
		c = c << 6 | (p[i] & 0x3fu);
	}
	*text += len - 1;
	return c;
}

/*
 * The bracket expression behind a '[' at *pattern: true when c is in it; *pattern moves behind its
 * ']'. Without one, *is_bracket is false and the '[' is meant literally.
 */
static bool
match_bracket(const char **pattern, uint32_t c, bool *is_bracket)
{
	const char *p = *pattern;
	bool negate = *p == '!' || *p == '^', in = false;

	if (negate)
		p++;
	for (bool first = true; *p != '\0' && (first || *p != ']'); first = false) {
		uint32_t low, high;

		low = high = take_character(&p);
		if (p[0] == '-' && p[1] != '\0' && p[1] != ']') {
			p++;
			high = take_character(&p);
		}
		in = in || (low <= c && c <= high);
	}
	*is_bracket = *p == ']';
	if (*is_bracket)
		*pattern = p + 1;
	return in != negate;
}

/* One pattern item that is no '*' against one character. last is the pattern's last ']': from there
 * on a '[' opens nothing. Looking for its end at each of hundreds would cost the pattern's length
 * once more, and whoever writes patterns would write such. */
static bool
match_one(const char **pattern, const char *last, uint32_t c, bool crosses_slash)
{
	const char *p = *pattern;

	if (*p == '?') {
		*pattern = p + 1;
		return c != '/' || crosses_slash;
	}
	if (*p == '[' && last != NULL && p < last) {
		bool is_bracket, in;

		p++;
		in = match_bracket(&p, c, &is_bracket);
		if (is_bracket) {
			*pattern = p;
			return in && (c != '/' || crosses_slash);
		}
	}
	return take_character(pattern) == c;
}

/*
 * Greedy with one point of return: the last '*'. Never recursive, so that a pattern of many stars
 * costs at most pattern times name, not a power of it. One point is enough, also where a star ends
 * at a slash: slashes pair up in order, and between two of them an earlier star reaches nothing
 * that a later one does not.
 */
bool
upt_path_matches(const char *pattern, const char *name, bool star_crosses_slash)
{
	const char *p = pattern, *n = name, *star = NULL, *retry = NULL;
	const char *last = strrchr(pattern, ']');

	while (*n != '\0') {
		const char *next_p = p, *next_n = n;

		if (*p == '*') {
			star = ++p;
			retry = n;
			continue;
		}
		if (*p != '\0' &&
			match_one(&next_p, last, take_character(&next_n), star_crosses_slash)) {
			p = next_p;
			n = next_n;
			continue;
		}
		/* Let the last star swallow one more character, if it may. */
		if (star == NULL || (*retry == '/' && !star_crosses_slash))
			return false;
		take_character(&retry);
		p = star;
		n = retry;
	}
	while (*p == '*')
		p++;
	return *p == '\0';
}
