/* assert() that release builds keep. */
#ifndef TEST_TRANSPORT_MUST_H
#define TEST_TRANSPORT_MUST_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define must(condition) must_be((condition), #condition, __FILE__, __LINE__)

static inline void
must_be(bool ok, const char *text, const char *file, int line)
{
	if (ok)
		return;
	fprintf(stderr, "%s:%d: %s\n", file, line, text);
	abort();
}

#endif
