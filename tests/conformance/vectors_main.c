#include "vectors.h"

int
main(int argc, char **argv)
{
	return uptane_vectors_main(argc, argv);
}
