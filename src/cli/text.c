#include "cli/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/err.h"

#define DEFAULT_COLUMNS 100
#define MIN_COLUMNS 40
#define MAX_CELLS 8
#define MIN_CELL 8 /* characters that any cell keeps */
#define CUT "..."
#define GAP 2 /* between two cells */

unsigned
upt_text_columns(void)
{
	struct winsize size;

	if (isatty(STDOUT_FILENO) != 1 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 ||
		size.ws_col == 0)
		return DEFAULT_COLUMNS;
	return size.ws_col < MIN_COLUMNS ? MIN_COLUMNS : size.ws_col;
}

static bool
begins_character(char c)
{
	return ((uint8_t)c & 0xc0) != 0x80;
}

static size_t
width_of(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += begins_character(*text) ? 1 : 0;
	return n;
}

/* Bytes of the first n characters. */
static size_t
bytes_of(const char *text, size_t n)
{
	const char *p = text;

	for (; *p != '\0'; p++) {
		if (begins_character(*p) && n-- == 0)
			break;
	}
	return (size_t)(p - text);
}

static char *
clean_copy(const char *text)
{
	char *copy = strdup(text);

	if (copy != NULL)
		upt_sanitize(copy);
	return copy;
}

static void
print_cell(FILE *to, const char *text, size_t width, bool pad)
{
	upt_cleanup(upt_free_ptr) char *clean = clean_copy(text);
	size_t have = clean != NULL ? width_of(clean) : 0, left, right;

	if (clean == NULL)
		return;
	if (have <= width) {
		fputs(clean, to);
		for (size_t i = have; pad && i < width + GAP; i++)
			fputc(' ', to);
		return;
	}
	left = (width - strlen(CUT) + 1) / 2;
	right = width - strlen(CUT) - left;
	fprintf(to, "%.*s" CUT "%s%*s", (int)bytes_of(clean, left), clean,
		clean + bytes_of(clean, have - right), pad ? GAP : 0, "");
}

/* Takes from the widest column until all fit, or none has anything left to give. */
static void
fit(size_t *widths, size_t n_cells, unsigned columns)
{
	for (;;) {
		size_t total = (n_cells - 1) * GAP, widest = 0;

		for (size_t i = 0; i < n_cells; i++) {
			total += widths[i];
			widest = widths[i] > widths[widest] ? i : widest;
		}
		if (total <= columns || widths[widest] <= MIN_CELL)
			return;
		widths[widest]--;
	}
}

void
upt_text_table(FILE *to, const char *const *cells, size_t n_rows, size_t n_cells, unsigned columns)
{
	size_t widths[MAX_CELLS] = {0};

	if (n_cells > MAX_CELLS)
		return;
	for (size_t i = 0; i < n_rows * n_cells; i++) {
		size_t width = width_of(cells[i]);
		if (width > widths[i % n_cells])
			widths[i % n_cells] = width;
	}
	fit(widths, n_cells, columns);
	for (size_t i = 0; i < n_rows * n_cells; i++) {
		bool last = i % n_cells == n_cells - 1;
		print_cell(to, cells[i], widths[i % n_cells], !last);
		if (last)
			fputc('\n', to);
	}
}

void
upt_text_paragraph(FILE *to, const char *text, unsigned columns)
{
	upt_cleanup(upt_free_ptr) char *clean = clean_copy(text);
	const char *word = clean != NULL ? clean : "";
	size_t indent = strspn(word, " ") + 2, used = 0;

	/* The first word takes the spaces before it along. */
	for (size_t len = strcspn(word + indent - 2, " ") + indent - 2; *word != '\0';
		len = strcspn(word, " ")) {
		size_t width = 0;

		for (size_t i = 0; i < len; i++)
			width += begins_character(word[i]) ? 1 : 0;
		if (used > 0 && used + 1 + width > columns) {
			fprintf(to, "\n%*s", (int)indent, "");
			used = indent;
		} else if (used > 0) {
			fputc(' ', to);
			used++;
		}
		fprintf(to, "%.*s", (int)len, word);
		used += width;
		word += len;
		word += strspn(word, " ");
	}
	fputc('\n', to);
}
