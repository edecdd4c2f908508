#include "tuf_client.h"

int
main(int argc, char **argv)
{
	return tuf_client_main(argc, argv);
}
