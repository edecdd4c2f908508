#include "fuzz.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

#include "base/file.h"

#define N_PATHS 4

bool
fuzz_next_part(struct upt_span *rest, uint8_t separator, struct upt_span *part)
{
	const uint8_t *end;

	if (rest->len == 0)
		return false;
	end = memchr(rest->data, separator, rest->len);
	if (end == NULL) {
		*part = *rest;
		*rest = upt_span(rest->data + rest->len, 0);
		return true;
	}
	*part = upt_span(rest->data, (size_t)(end - rest->data));
	*rest = upt_span(end + 1, rest->len - part->len - 1);
	return true;
}

char *
fuzz_string(struct upt_span bytes)
{
	char *text = malloc(bytes.len + 1);

	FUZZ_ASSERT(text != NULL);
	if (bytes.len > 0)
		memcpy(text, bytes.data, bytes.len);
	text[bytes.len] = '\0';
	return text;
}

static int
remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static void
remove_dir(void)
{
	nftw(fuzz_dir(), remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *
fuzz_dir(void)
{
	static char dir[128];

	if (dir[0] == '\0') {
		const char *parent = getenv("TMPDIR");

		if (parent == NULL)
			parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
		FUZZ_ASSERT(snprintf(dir, sizeof(dir), "%s/upt-fuzz-XXXXXX", parent) <
			    (int)sizeof(dir));
		FUZZ_ASSERT(mkdtemp(dir) != NULL);
		atexit(remove_dir);
	}
	return dir;
}

const char *
fuzz_path(const char *name)
{
	static char paths[N_PATHS][256];
	static unsigned next;
	char *path = paths[next++ % N_PATHS];

	FUZZ_ASSERT(snprintf(path, sizeof(paths[0]), "%s/%s", fuzz_dir(), name) <
		    (int)sizeof(paths[0]));
	return path;
}

void
fuzz_write(const char *name, struct upt_span bytes)
{
	upt_cleanup(upt_close_fd) int fd =
		open(fuzz_path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	FUZZ_ASSERT(fd >= 0 && upt_file_write_all(fd, bytes, NULL) == UPT_OK);
}

void
fuzz_remove(const char *name)
{
	nftw(fuzz_path(name), remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
