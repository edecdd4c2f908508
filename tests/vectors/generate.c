/* vectors-generate DIR: writes the corpus into a new folder and prints the number of cases. */
#include <stdio.h>
#include "cases.h"

int
main(int argc, char **argv)
{
	static void (*const groups[])(struct generator *) = {
		cases_signature,
		cases_document,
	};
	struct generator *g;

	if (argc != 2) {
		fputs("usage: vectors-generate DIR\n", stderr);
		return 2;
	}
	g = generator_new(argv[1]);
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		groups[i](g);
	printf("%zu cases\n", generator_count(g));
	generator_free(&g);
	return 0;
}
