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

static char *
clean_copy(const char *text)
{
	char *copy = strdup(text);

	if (copy != NULL)
		upt_sanitize(copy);
	return copy;
}

static void
print_cell(FILE *to, const char *text, size_t width)
{
	upt_cleanup(upt_free_ptr) char *clean = clean_copy(text);

	if (clean == NULL)
		return;
	fputs(clean, to);
	for (size_t i = width_of(clean); i < width; i++)
		fputc(' ', to);
}

static size_t
width_of_cell(const char *text)
{
	upt_cleanup(upt_free_ptr) char *clean = clean_copy(text);

	return clean != NULL ? width_of(clean) : 0;
}

/* One line for each cell: no terminal is too narrow for it, and nothing that tells two names apart
 * is lost. */
static void
print_records(FILE *to, const char *const *cells, size_t n_rows, size_t n_cells)
{
	size_t width = 0;

	for (size_t i = 0; i < n_cells; i++) {
		size_t have = width_of_cell(cells[i]);
		width = have > width ? have : width;
	}
	for (size_t i = n_cells; i < n_rows * n_cells; i++) {
		if (i > n_cells && i % n_cells == 0)
			fputc('\n', to);
		print_cell(to, cells[i % n_cells], width + GAP);
		print_cell(to, cells[i], 0);
		fputc('\n', to);
	}
}

void
upt_text_table(FILE *to, const char *const *cells, size_t n_rows, size_t n_cells, unsigned columns)
{
	size_t widths[MAX_CELLS] = {0}, total = 0;

	if (n_cells > MAX_CELLS)
		return;
	for (size_t i = 0; i < n_rows * n_cells; i++) {
		size_t width = width_of_cell(cells[i]);
		if (width > widths[i % n_cells])
			widths[i % n_cells] = width;
	}
	for (size_t i = 0; i < n_cells; i++)
		total += widths[i] + (i > 0 ? GAP : 0);
	if (total > columns) {
		print_records(to, cells, n_rows, n_cells);
		return;
	}
	for (size_t i = 0; i < n_rows * n_cells; i++) {
		bool last = i % n_cells == n_cells - 1;
		print_cell(to, cells[i], last ? 0 : widths[i % n_cells] + GAP);
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
