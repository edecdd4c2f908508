/* The laws of src/json over any bytes: accepted text keeps them, refused text stays inside itself.
 */
#include "fuzz.h"
#include "../../unit/json/laws.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *broken = json_broken_law(upt_span(data, size));

	if (broken != NULL)
		fprintf(stderr, "broken law: %s\n", broken);
	FUZZ_ASSERT(broken == NULL);
	return 0;
}
