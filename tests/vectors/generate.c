/* vectors-generate DIR [NAME...]: writes the corpus, or the cases named, into a new folder and prints their
 * number. */
#include <stdio.h>
#include "cases.h"

int
main(int argc, char **argv)
{
	static void (*const groups[])(struct generator *) = {
		cases_signature,
		cases_document,
		cases_root,
		cases_listing,
		cases_director,
		cases_delegation,
		cases_multirole,
		cases_target,
		cases_spelling,
		cases_ota,
	};
	struct generator *g;

	if (argc < 2) {
		fputs("usage: vectors-generate DIR [NAME...]\n", stderr);
		return 2;
	}
	g = generator_new(argv[1], argv + 2, argc - 2);
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		groups[i](g);
	printf("%zu cases\n", generator_count(g));
	generator_free(&g);
	return 0;
}
