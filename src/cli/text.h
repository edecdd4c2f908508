/*
 * Text for people: tables and paragraphs that fit the terminal. Widths count characters of UTF-8;
 * what names hold that drives a terminal is replaced, since they come from servers.
 */
#ifndef UPT_CLI_TEXT_H
#define UPT_CLI_TEXT_H

#include <stdio.h>

/* Columns of the terminal that stdout is; 100 for a pipe or a file. */
unsigned upt_text_columns(void);

/* n_rows rows of n_cells strings (at most 8), the first row a heading. Where the widest row does not
 * fit into columns, each row is lines of a heading and a cell, with an empty line between rows. */
void
upt_text_table(FILE *to, const char *const *cells, size_t n_rows, size_t n_cells, unsigned columns);

/* A paragraph, indented as its text is; later lines two columns more. A word is never cut. */
void upt_text_paragraph(FILE *to, const char *text, unsigned columns);

#endif
