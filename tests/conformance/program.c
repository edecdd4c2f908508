#include "program.h"

#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include "base/file.h"

#define OUTPUT_MAX_BYTES ((size_t)1024 * 1024)

extern char **environ;

void
scratch_make(char path[static 64])
{
	const char *tmp = getenv("TMPDIR");

	assert_true(snprintf(path, 64, "%s/upt-conformance-XXXXXX",
			    tmp != NULL && strlen(tmp) < 32 ? tmp : "/tmp") < 64);
	assert_non_null(mkdtemp(path));
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void
scratch_remove(const char *path)
{
	assert_int_equal(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void
read_output(const char *dir, const char *name, struct upt_buf *out)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(upt_file_read(AT_FDCWD, path, OUTPUT_MAX_BYTES, out, NULL), UPT_OK);
	/* Never NULL, so that it is a string. */
	assert_int_equal(upt_buf_reserve(out, 1, NULL), UPT_OK);
	out->data[out->len] = 0;
}

void
program_run(const char *const *argv, const char *dir, struct program_result *result)
{
	char out_path[128], err_path[128];
	char *args[PROGRAM_MAX_ARGS] = {NULL};
	posix_spawn_file_actions_t actions;
	int status, flags = O_WRONLY | O_CREAT | O_TRUNC;
	size_t n = 0;
	pid_t pid;

	snprintf(out_path, sizeof(out_path), "%s/.out", dir);
	snprintf(err_path, sizeof(err_path), "%s/.err", dir);
	for (; argv[n] != NULL; n++) {
		assert_true(n + 1 < PROGRAM_MAX_ARGS);
		args[n] = strdup(argv[n]);
		assert_non_null(args[n]);
	}
	assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, out_path, flags, 0600);
	posix_spawn_file_actions_addopen(&actions, 2, err_path, flags, 0600);
	assert_int_equal(posix_spawn(&pid, args[0], &actions, NULL, args, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	for (size_t i = 0; i < n; i++)
		free(args[i]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	result->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	read_output(dir, ".out", &result->out);
	read_output(dir, ".err", &result->err);
}

void
program_result_clear(struct program_result *result)
{
	upt_buf_clear(&result->out);
	upt_buf_clear(&result->err);
}
