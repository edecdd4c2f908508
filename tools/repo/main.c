#include "repo/cli.h"

int
main(int argc, char **argv)
{
	return repo_main(argc, argv);
}
