/* keys/generate: what it writes is what our programs take, for each type. */
#include "support.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"

extern char **environ;

static char dir[64], keys[96];

static const char *
path_of(const char *name, const char *suffix)
{
	static char path[160];

	snprintf(path, sizeof(path), "%s/%s%s", keys, name, suffix);
	return path;
}

/* Runs keys/generate --type TYPE KEYS NAME; returns its exit code. */
static int
generate(const char *type, const char *name)
{
	const char *const args[] = {"keys/generate", "--type", type, keys, name, NULL};
	posix_spawn_file_actions_t actions;
	char *argv[6] = {NULL};
	pid_t pid;
	int status;

	for (size_t i = 0; args[i] != NULL; i++) {
		argv[i] = strdup(args[i]);
		assert_non_null(argv[i]);
	}
	assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
	assert_int_equal(posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", 1, 0), 0);
	assert_int_equal(posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", 1, 0), 0);
	assert_int_equal(posix_spawn(&pid, argv[0], &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	for (size_t i = 0; argv[i] != NULL; i++)
		free(argv[i]);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
remove_keys(void)
{
	unlink(path_of("a", ".pem"));
	unlink(path_of("a", ".json"));
	unlink(path_of("TEST-KEYS", ""));
	rmdir(keys);
}

/* The public text with its line breaks as JSON escapes. */
static void
append_json_text(struct upt_buf *out, const struct upt_buf *text)
{
	for (size_t i = 0; i < text->len; i++) {
		const char *piece = text->data[i] == '\n' ? "\\n" : (const char *)&text->data[i];

		assert_ok(upt_buf_append(out, piece, text->data[i] == '\n' ? 2 : 1, &err));
	}
}

static void
each_type_loads_and_its_public_file_is_its_public_half(void **state)
{
	static const char *const types[] = {"ed25519", "ecdsa", "rsa"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
		upt_cleanup(upt_buf_clear) struct upt_buf want = {0};
		upt_cleanup(upt_buf_clear) struct upt_buf got = {0};
		struct upt_private_key *key;
		struct stat st;

		assert_int_equal(generate(types[i], "a"), 0);
		assert_int_equal(stat(path_of("a", ".pem"), &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
		assert_ok(upt_private_key_load(path_of("a", ".pem"), &key, &err));
		assert_string_equal(upt_private_key_type(key), types[i]);
		assert_ok(upt_private_key_public_text(key, &text, &err));
		assert_ok(upt_buf_printf(
			&want, &err, "{\"keytype\":\"%s\",\"keyval\":{\"public\":\"", types[i]));
		append_json_text(&want, &text);
		assert_ok(upt_buf_printf(
			&want, &err, "\"},\"scheme\":\"%s\"}\n", upt_private_key_method(key)));
		assert_ok(upt_file_read(AT_FDCWD, path_of("a", ".json"), 4096, &got, &err));
		assert_string_equal((char *)got.data, (char *)want.data);
		upt_private_key_free(&key);
		remove_keys();
	}
}

static void
keys_that_are_there_are_not_overwritten(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf before = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf after = {0};

	(void)state;
	assert_int_equal(generate("ed25519", "a"), 0);
	assert_ok(upt_file_read(AT_FDCWD, path_of("a", ".pem"), 4096, &before, &err));
	assert_int_equal(generate("ed25519", "a"), 2);
	assert_ok(upt_file_read(AT_FDCWD, path_of("a", ".pem"), 4096, &after, &err));
	assert_string_equal((char *)before.data, (char *)after.data);
	remove_keys();
}

static void
unknown_types_and_names_that_leave_the_folder_are_refused(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(generate("dsa", "a"), 2);
	assert_int_equal(generate("ed25519", "../a"), 2);
	assert_int_not_equal(stat(keys, &st), 0);
}

static int
make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/upt-keys-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(keys, sizeof(keys), "%s/keys", dir);
	return 0;
}

/* Fails when a run left anything behind. */
static int
remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_type_loads_and_its_public_file_is_its_public_half),
		cmocka_unit_test(keys_that_are_there_are_not_overwritten),
		cmocka_unit_test(unknown_types_and_names_that_leave_the_folder_are_refused),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
