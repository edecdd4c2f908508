#include "installer/ostree_fetch.h"

int
main(int argc, char **argv)
{
	return upt_ostree_fetch(argc, argv);
}
