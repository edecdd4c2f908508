#include "cli/cli.h"

int
main(int argc, char **argv)
{
	return upt_uptanectl_main(argc, argv);
}
