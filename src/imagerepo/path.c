#include "imagerepo/imagerepo.h"

/* One bracket expression at *pattern (behind '['): true when c is in it; *pattern moves behind ']'. A
 * bracket without end matches a literal '['. */
static bool
match_bracket(const char **pattern, char c, bool *is_bracket)
{
	const char *p = *pattern;
	bool negate = *p == '!' || *p == '^', in = false;

	if (negate)
		p++;
	for (bool first = true; *p != '\0' && (first || *p != ']'); first = false) {
		char low = *p, high = *p;

		if (p[1] == '-' && p[2] != '\0' && p[2] != ']') {
			high = p[2];
			p += 2;
		}
		p++;
		in = in || (low <= c && c <= high);
	}
	*is_bracket = *p == ']';
	if (*is_bracket)
		*pattern = p + 1;
	return in != negate;
}

/* One pattern item that is no '*' against one character. */
static bool
match_one(const char **pattern, char c, bool star_crosses_slash)
{
	const char *p = *pattern;
	bool is_bracket, in;

	if (*p == '?') {
		*pattern = p + 1;
		return c != '/' || star_crosses_slash;
	}
	if (*p == '[') {
		p++;
		in = match_bracket(&p, c, &is_bracket);
		if (is_bracket) {
			*pattern = p;
			return in && c != '/';
		}
		p = *pattern;
	}
	*pattern = p + 1;
	return *p == c;
}

/*
 * Greedy with one point of return: the last '*'. Never recursive, so that a pattern of many stars costs
 * at most pattern times name, not a power of it.
 */
bool
upt_path_matches(const char *pattern, const char *name, bool star_crosses_slash)
{
	const char *p = pattern, *n = name, *star = NULL, *retry = NULL;

	while (*n != '\0') {
		const char *next = p;

		if (*p == '*') {
			star = ++p;
			retry = n;
			continue;
		}
		if (*p != '\0' && match_one(&next, *n, star_crosses_slash)) {
			p = next;
			n++;
			continue;
		}
		/* Let the last star swallow one more character, if it may. */
		if (star == NULL || (*retry == '/' && !star_crosses_slash))
			return false;
		p = star;
		n = ++retry;
	}
	while (*p == '*')
		p++;
	return *p == '\0';
}
