#include "secondary/agent.h"

int
main(int argc, char **argv)
{
	return upt_agent_main(argc, argv);
}
