/*
 * What uptane-ostree-pull says on its standard output: our own program's lines, with a server's
 * words in them. The reader is one function of ostree_pull.c, taken in whole. A failure keeps the
 * first line's code that we know, or is an internal one; only a line "done" is a success.
 */
#include "installer/ostree_pull.c"

#include "fuzz.h"

#define MAX_BYTES ((size_t)32768)

static void
report(void *ctx, const char *what, uint64_t done, uint64_t total, const char *unit)
{
	(void)what, (void)done, (void)total;
	FUZZ_ASSERT(strcmp(unit, "objects") == 0);
	++*(size_t *)ctx;
}

/* A whole line of the text is this one. */
static bool
has_line(struct upt_span text, const char *line)
{
	struct upt_span part;

	while (fuzz_next_part(&text, '\n', &part)) {
		bool ended = text.data != part.data + part.len;

		if (ended && upt_span_equal(part, upt_span_str(line)))
			return true;
	}
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct upt_span text = upt_span(data, size);
	size_t n_reports = 0;
	const struct upt_install_progress progress = {.report = report, .ctx = &n_reports};
	struct pull pull = {.progress = &progress};
	int fds[2];

	if (size > MAX_BYTES)
		return 0;
	FUZZ_ASSERT(pipe2(fds, O_CLOEXEC) == 0);
	FUZZ_ASSERT(write(fds[1], data, size) == (ssize_t)size);
	close(fds[1]);
	pull.fd = fds[0];
	while (take_bytes(&pull))
		;
	close(fds[0]);
	FUZZ_ASSERT(pull.len < LINE_MAX_BYTES);
	FUZZ_ASSERT(!pull.done || memchr(data, 0, size) != NULL || has_line(text, "done"));
	FUZZ_ASSERT(pull.failure.code < UPT_N_CODES);
	FUZZ_ASSERT(pull.failure.code != UPT_OK || pull.failure.message[0] == '\0');
	for (const char *p = pull.failure.message; *p != '\0'; p++)
		FUZZ_ASSERT((unsigned char)*p >= 0x20 && *p != 0x7f);
	return 0;
}
