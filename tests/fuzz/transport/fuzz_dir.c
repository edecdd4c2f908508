/*
 * A file name that hostile metadata makes a client look for in a folder (an offline bundle). What
 * is read is a plain file of that folder or of one below it, and the one of that name; never the
 * one beside the folder, nor what a link in it names.
 */
#include <fcntl.h>

#include "base/file.h"
#include "fuzz.h"
#include "transport/dir.h"

static const char *const inside[] = {"a.json", "b/c.json", "b/.hidden", "..c"};

static int
make_folder(void)
{
	int fd;

	FUZZ_ASSERT(upt_dir_make(fuzz_path("bundle/b"), 0700, NULL) == UPT_OK);
	fuzz_write("outside", upt_span_str("outside"));
	for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
		char name[64];

		snprintf(name, sizeof(name), "bundle/%s", inside[i]);
		fuzz_write(name, upt_span_str(inside[i]));
	}
	FUZZ_ASSERT(symlink("../outside", fuzz_path("bundle/link")) == 0);
	FUZZ_ASSERT(symlink("..", fuzz_path("bundle/up")) == 0);
	fd = open(fuzz_path("bundle"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	FUZZ_ASSERT(fd >= 0);
	return fd;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int folder = -1;
	upt_cleanup(upt_buf_clear) struct upt_buf out = {0};
	upt_cleanup(upt_free_ptr) char *name = fuzz_string(upt_span(data, size));
	struct upt_err err = {0};
	enum upt_code code;

	if (folder < 0)
		folder = make_folder();
	FUZZ_ASSERT(upt_buf_append(&out, "old", 3, NULL) == UPT_OK);
	code = upt_dir_fetch(folder, name, 8, &out, &err);
	if (code == UPT_OK) {
		FUZZ_ASSERT(strcmp(name, (const char *)out.data) == 0);
		return 0;
	}
	FUZZ_ASSERT(code == UPT_E_ABSENT || code == UPT_E_MALFORMED || code == UPT_E_TOO_LARGE);
	FUZZ_ASSERT(upt_span_equal(upt_buf_span(&out), upt_span_str("old")));
	FUZZ_ASSERT(err.message[0] != '\0');
	return 0;
}
