/*
 * bench-durable store|file SCENE STATE: makes the new roots of bench-scale-make's scene "rotations"
 * durable one by one in the new folder STATE: in the Primary's store, or, the least that it takes,
 * by appending each to a file and fdatasync(2). Prints the microseconds it took, by the clock:
 * waiting for the disk is the cost.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/file.h"
#include "scale.h"
#include "storage/store.h"

struct sink {
	struct upt_store *store; /* NULL: fd */
	int fd;
};

static int64_t
clock_micros(void)
{
	struct timespec t = {0};

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static enum upt_code
keep(struct sink *sink, uint64_t version, struct upt_span bytes, struct upt_err *err)
{
	if (sink->store != NULL)
		return upt_store_save_root(sink->store, UPT_REPO_IMAGE, version, bytes, false, err);
	UPT_TRY(upt_file_write_all(sink->fd, bytes, err));
	if (fdatasync(sink->fd) != 0)
		return upt_fail(err, UPT_E_IO, "fdatasync failed");
	return UPT_OK;
}

static enum upt_code
keep_all(struct sink *sink, const char *scene, int64_t *micros, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	char path[4096];

	*micros = 0;
	for (uint64_t version = 2; version <= SCALE_N_ROTATIONS + 1; version++) {
		int64_t begin;

		snprintf(path, sizeof(path), "%s/image/%llu.root.json", scene,
			(unsigned long long)version);
		UPT_TRY(upt_file_read(AT_FDCWD, path, 1u << 20, &bytes, err));
		begin = clock_micros();
		UPT_TRY(keep(sink, version, upt_buf_span(&bytes), err));
		*micros += clock_micros() - begin;
	}
	return UPT_OK;
}

static enum upt_code
run(char **argv, int64_t *micros, struct upt_err *err)
{
	struct sink sink = {.fd = -1};
	char path[4096];
	enum upt_code code;

	if (strcmp(argv[1], "store") == 0) {
		UPT_TRY(upt_store_open(argv[3], UPT_STORE_WRITE, &sink.store, err));
	} else {
		UPT_TRY(upt_dir_make(argv[3], 0700, err));
		snprintf(path, sizeof(path), "%s/roots", argv[3]);
		sink.fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (sink.fd < 0)
			return upt_fail(err, UPT_E_IO, "cannot make %s", path);
	}
	code = keep_all(&sink, argv[2], micros, err);
	upt_store_close(&sink.store);
	if (sink.fd >= 0)
		close(sink.fd);
	return code;
}

int
main(int argc, char **argv)
{
	struct upt_err err = {0};
	int64_t micros = 0;

	if (argc != 4) {
		fputs("usage: bench-durable store|file SCENE STATE\n", stderr);
		return 2;
	}
	if (run(argv, &micros, &err) != UPT_OK) {
		fprintf(stderr, "bench-durable: %s\n", err.message);
		return upt_code_exit(err.code);
	}
	printf("%lld\n", (long long)micros);
	return 0;
}
