/*
 * The record of which container version is current, as a file that somebody else wrote: it is
 * exactly what we would write for the two digests it holds, or it is nothing.
 */
#include "base/file.h"
#include "fuzz.h"
#include "installer/container_state.h"

#include <fcntl.h>

static bool
is_hex(const char *s, size_t len)
{
	return strlen(s) == len && strspn(s, "0123456789abcdef") == len;
}

static bool
is_version(const struct upt_oci_version *v)
{
	return is_hex(v->digest, UPT_OCI_DIGEST_HEX) &&
	       (v->spec[0] == '\0' || is_hex(v->spec, UPT_OCI_SPEC_HEX));
}

static bool
is_none(const struct upt_oci_version *v)
{
	return v->digest[0] == '\0' && v->spec[0] == '\0';
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	upt_cleanup(upt_buf_clear) struct upt_buf again = {0};
	struct upt_container_state state, none = {0};
	bool known = true;

	fuzz_write("state", upt_span(data, size));
	FUZZ_ASSERT(upt_container_state_load(fuzz_path("state"), &state, &known, NULL) == UPT_OK);
	if (!known) {
		FUZZ_ASSERT(memcmp(&state, &none, sizeof(state)) == 0);
		return 0;
	}
	FUZZ_ASSERT(is_version(&state.current));
	FUZZ_ASSERT(is_none(&state.previous) || is_version(&state.previous));
	FUZZ_ASSERT(is_none(&state.refused) || is_version(&state.refused));
	FUZZ_ASSERT(upt_container_state_save(fuzz_path("again"), &state, NULL) == UPT_OK);
	FUZZ_ASSERT(upt_file_read(AT_FDCWD, fuzz_path("again"), 1024, &again, NULL) == UPT_OK);
	FUZZ_ASSERT(upt_span_equal(upt_buf_span(&again), upt_span(data, size)));
	return 0;
}
