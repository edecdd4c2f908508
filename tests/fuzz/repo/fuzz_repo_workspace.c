/*
 * A workspace in which one file is somebody else's: the first byte says which. It opens or the file
 * is named; opened, every role has a payload and a name that may be a file's, and each staged or
 * signed payload can be told from the other. 'c' is the list of an interrupted command, which
 * touches nothing outside. 'i' and 'r' are documents to be imported as targets
 * and as root, signed by strangers: they are refused and change nothing.
 */
#include <fcntl.h>

#include "base/file.h"
#include "fuzz.h"
#include "repo/cli.h"

static const struct {
	char letter;
	const char *path;
} files[] = {
	{'s', "repo/repo.json"},
	{'k', "repo/keys/extra.json"},
	{'o', "repo/metadata/root.json"},
	{'t', "repo/metadata/targets.json"},
	{'n', "repo/metadata/snapshot.json"},
	{'g', "repo/staged/targets.json"},
	{'d', "repo/metadata/vendor.json"},
	{'c', "repo/.commit/manifest"},
	{'i', "import.json"},
	{'r', "import.json"},
};

/* One command line, which says nothing. */
static int
run(const char *const *words)
{
	char *argv[16];
	int argc = 0, code;

	for (; words[argc] != NULL; argc++) {
		argv[argc] = strdup(words[argc]);
		FUZZ_ASSERT(argv[argc] != NULL);
	}
	argv[argc] = NULL;
	optind = 0;
	code = repo_main(argc, argv);
	while (argc > 0)
		free(argv[--argc]);
	return code;
}

/* The good workspace's bytes of each file, "" where it has none. */
static struct upt_buf good[sizeof(files) / sizeof(files[0])];

static void
make_workspace(void)
{
	char dir[256];

	snprintf(dir, sizeof(dir), "%s", fuzz_path("repo"));
	setenv("SOURCE_DATE_EPOCH", "1767225600", 1);
	FUZZ_ASSERT(run((const char *const[]){"uptane-repo", "-q", "-C", dir, "init", NULL}) == 0);
	FUZZ_ASSERT(upt_dir_make(fuzz_path("repo/staged"), 0755, NULL) == UPT_OK);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		/* Those that it has not stay empty. */
		(void)!upt_file_read(AT_FDCWD, fuzz_path(files[i].path), 1 << 20, &good[i], NULL);
}

/* The list may name any file of the workspace: it is made anew. */
static void
check_journal(void)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};

	FUZZ_ASSERT(upt_file_read(AT_FDCWD, fuzz_path("outside"), 16, &text, NULL) == UPT_OK);
	FUZZ_ASSERT(upt_span_equal(upt_buf_span(&text), upt_span_str("outside")));
	fuzz_remove("repo");
	make_workspace();
}

static void
put_back(size_t i)
{
	if (good[i].len > 0)
		fuzz_write(files[i].path, upt_buf_span(&good[i]));
	else
		fuzz_remove(files[i].path);
}

static void
check_repo(const struct repo *repo)
{
	char path[320];

	FUZZ_ASSERT(repo->n_algs >= 1 && repo->n_algs <= 2 && repo->n_roles >= REPO_N_TOP);
	for (size_t i = 0; i < repo->n_roles; i++) {
		const struct repo_role *role = repo->roles[i];

		FUZZ_ASSERT(i < REPO_N_TOP || repo_check_role_name(role->name, NULL) == UPT_OK);
		FUZZ_ASSERT(i >= REPO_N_TOP || role->current != NULL);
		(void)repo_role_version(role);
		(void)repo_role_expires(role);
		repo_role_path(role, "metadata", 0, path);
		FUZZ_ASSERT(strstr(path, "/.") == NULL);
	}
	for (size_t i = 0; i < repo->n_keys; i++)
		FUZZ_ASSERT(strlen(repo->keys[i]->id) == 64);
}

static void
open_workspace(void)
{
	upt_cleanup(repo_close) struct repo repo = {.dirfd = -1};
	struct upt_err err = {0};
	char dir[256];

	snprintf(dir, sizeof(dir), "%s", fuzz_path("repo"));
	if (repo_open(dir, &repo, &err) == UPT_OK)
		check_repo(&repo);
	else
		FUZZ_ASSERT(err.message[0] != '\0');
}

static void
import(const char *role)
{
	upt_cleanup(upt_buf_clear) struct upt_buf after = {0};
	char dir[256], file[256];
	size_t i = strcmp(role, "root") == 0 ? 2 : 3;

	snprintf(dir, sizeof(dir), "%s", fuzz_path("repo"));
	snprintf(file, sizeof(file), "%s", fuzz_path("import.json"));
	FUZZ_ASSERT(run((const char *const[]){
			    "uptane-repo", "-q", "-C", dir, "import", role, file, NULL}) != 0);
	FUZZ_ASSERT(
		upt_file_read(AT_FDCWD, fuzz_path(files[i].path), 1 << 20, &after, NULL) == UPT_OK);
	FUZZ_ASSERT(upt_span_equal(upt_buf_span(&after), upt_buf_span(&good[i])));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t i = 0;

	if (good[0].len == 0)
		make_workspace();
	while (size > 0 && i < sizeof(files) / sizeof(files[0]) && (char)data[0] != files[i].letter)
		i++;
	if (size == 0 || i == sizeof(files) / sizeof(files[0]))
		return 0;
	if (files[i].letter == 'c') {
		FUZZ_ASSERT(upt_dir_make(fuzz_path("repo/.commit"), 0700, NULL) == UPT_OK);
		fuzz_write("repo/.commit/0", upt_span_str("new"));
		fuzz_write("outside", upt_span_str("outside"));
	}
	fuzz_write(files[i].path, upt_span(data + 1, size - 1));
	if (files[i].letter == 'i')
		import("targets");
	else if (files[i].letter == 'r')
		import("root");
	else
		open_workspace();
	if (files[i].letter == 'c')
		check_journal();
	else
		put_back(i);
	return 0;
}
