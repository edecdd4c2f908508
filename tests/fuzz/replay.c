/*
 * Runs a fuzz harness over files, where libFuzzer is not linked: replay PATH..., a path being a
 * file or a directory whose files are taken in the order of their names. Each name is written
 * before its run, so that the last one is that of a crash.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "base/file.h"
#include "fuzz.h"

#define MAX_INPUT_BYTES ((size_t)64 * 1024 * 1024)
#define MAX_FILES 100000

/* The harness gets bytes that end where their memory ends: AddressSanitizer sees one byte more. */
static int
run_bytes(struct upt_span bytes)
{
	uint8_t *exact = malloc(bytes.len);

	if (exact == NULL && bytes.len > 0)
		return -1;
	if (bytes.len > 0)
		memcpy(exact, bytes.data, bytes.len);
	LLVMFuzzerTestOneInput(exact, bytes.len);
	free(exact);
	return 0;
}

static int
run_file(int dirfd, const char *name)
{
	upt_cleanup(upt_buf_clear) struct upt_buf content = {0};
	struct upt_err err = {0};

	fprintf(stderr, "%s\n", name);
	if (upt_file_read(dirfd, name, MAX_INPUT_BYTES, &content, &err) != UPT_OK) {
		fprintf(stderr, "replay: %s: %s\n", name, err.message);
		return -1;
	}
	return run_bytes(upt_buf_span(&content));
}

static int
is_input(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* Returns the number of files run, -1 on failure. */
static int
run_directory(const char *path)
{
	upt_cleanup(upt_close_fd) int dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent **entries = NULL;
	int n = dirfd < 0 ? -1 : scandir(path, &entries, is_input, alphasort);
	int result = n;

	if (n < 0 || n > MAX_FILES)
		fprintf(stderr, "replay: cannot list %s\n", path);
	for (int i = 0; i < n; i++) {
		if (result >= 0 && run_file(dirfd, entries[i]->d_name) != 0)
			result = -1;
		free(entries[i]);
	}
	free(entries);
	return result;
}

int
main(int argc, char **argv)
{
	int total = 0;

	for (int i = 1; i < argc; i++) {
		struct stat status;
		int n = 1;

		if (stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode))
			n = run_directory(argv[i]);
		else if (run_file(AT_FDCWD, argv[i]) != 0)
			n = -1;
		if (n < 0)
			return 1;
		total += n;
	}
	/* A test over an empty corpus would pass for ever. */
	if (total == 0) {
		fprintf(stderr, "replay: no input in any of the %d paths given\n", argc - 1);
		return 1;
	}
	fprintf(stderr, "replay: %d inputs\n", total);
	return 0;
}
