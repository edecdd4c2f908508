#include "fuzz.h"
#include "role.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_role(UPT_ROLE_TIMESTAMP, upt_span(data, size));
	return 0;
}
