#include "daemon/uptaned.h"

int
main(int argc, char **argv)
{
	return upt_uptaned_main(argc, argv);
}
