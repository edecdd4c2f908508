#include "support.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <signal.h>
#include "base/file.h"

static int
make_dir(void **state)
{
	*state = scratch_make();
	return 0;
}

static int
remove_dir(void **state)
{
	char *dir = *state;
	scratch_remove(&dir);
	return 0;
}

/* Opens, expects code and an untouched *out, and closes what opened. */
static void
expect_open(const char *dir, enum upt_store_mode mode, enum upt_code code, const char *message)
{
	struct upt_store *store = NULL;
	struct upt_err err = {0};

	assert_int_equal(upt_store_open(dir, mode, &store, &err), code);
	assert_int_equal(store == NULL, code != UPT_OK);
	assert_int_equal(err.code, code);
	if (message != NULL && strstr(err.message, message) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", err.message, message);
	upt_store_close(&store);
}

static void
make_store(const char *dir)
{
	upt_cleanup(upt_store_close) struct upt_store *store = NULL;
	struct upt_err err = {0};

	if (upt_store_open(dir, UPT_STORE_WRITE, &store, &err) != UPT_OK)
		fail_msg("%s", err.message);
	assert_int_equal(upt_store_set_u64(store, "n", 7, &err), UPT_OK);
}

static void
expect_seven(const char *dir, enum upt_store_mode mode)
{
	upt_cleanup(upt_store_close) struct upt_store *store = NULL;
	struct upt_err err = {0};
	uint64_t n;

	if (upt_store_open(dir, mode, &store, &err) != UPT_OK)
		fail_msg("%s", err.message);
	assert_int_equal(upt_store_get_u64(store, "n", 0, &n, &err), UPT_OK);
	assert_int_equal(n, 7);
}

/* Changes the database with plain SQLite. */
static void
alter(const char *dir, const char *sql)
{
	char path[4096];
	sqlite3 *db;

	assert_int_equal(sqlite3_open(scratch_path(path, dir, "state.db"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void
directories_and_database_are_private(void **state)
{
	mode_t old = umask(0);
	char dir[4096], path[4096];
	upt_cleanup(upt_store_close) struct upt_store *store = NULL;
	struct stat st;

	scratch_path(dir, *state, "var/lib/uptaned");
	assert_int_equal(upt_store_open(dir, UPT_STORE_WRITE, &store, NULL), UPT_OK);
	assert_int_equal(upt_store_set_u64(store, "n", 1, NULL), UPT_OK);
	umask(old);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	for (size_t i = 0; i < 4; i++) {
		static const char *const names[] = {
			"state.db", "state.db-wal", "state.db-shm", "lock"};
		assert_int_equal(stat(scratch_path(path, dir, names[i]), &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
	assert_false(scratch_exists(dir, "state.db.new"));
}

static void
pragmas_are_in_force(void **state)
{
	char path[4096];
	sqlite3 *db;
	sqlite3_stmt *stmt;

	make_store(*state);
	assert_int_equal(sqlite3_open(scratch_path(path, *state, "state.db"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db,
				 "SELECT (SELECT journal_mode FROM pragma_journal_mode),"
				 " (SELECT application_id FROM pragma_application_id),"
				 " (SELECT user_version FROM pragma_user_version)",
				 -1, &stmt, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	assert_string_equal((const char *)sqlite3_column_text(stmt, 0), "wal");
	assert_int_equal(sqlite3_column_int(stmt, 1), 0x55707453);
	assert_int_equal(sqlite3_column_int(stmt, 2), 3);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
}

static void
reading_before_there_is_a_store_is_not_found(void **state)
{
	char path[4096];

	expect_open(*state, UPT_STORE_READ_ONLY, UPT_E_NOT_FOUND, "state.db");
	expect_open(
		scratch_path(path, *state, "none"), UPT_STORE_READ_ONLY, UPT_E_NOT_FOUND, "none");
	assert_false(scratch_exists(*state, "state.db")); /* and makes none */
	assert_false(scratch_exists(*state, "lock"));
}

static void
what_is_no_database_is_refused_and_kept(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};
	char text[9000];

	memset(text, 'x', sizeof(text));
	scratch_write(*state, "state.db", text, sizeof(text));
	expect_open(*state, UPT_STORE_WRITE, UPT_E_DATABASE, "no database or damaged");
	expect_open(*state, UPT_STORE_READ_ONLY, UPT_E_DATABASE, "no database or damaged");
	scratch_read(*state, "state.db", &buf);
	assert_int_equal(buf.len, sizeof(text));
	assert_memory_equal(buf.data, text, sizeof(text));
}

static void
an_empty_file_is_damage_and_not_a_new_vehicle(void **state)
{
	scratch_write(*state, "state.db", "", 0);
	expect_open(*state, UPT_STORE_WRITE, UPT_E_DATABASE, "it is empty");
	expect_open(*state, UPT_STORE_READ_ONLY, UPT_E_DATABASE, "it is empty");
}

static void
a_truncated_database_is_refused(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};

	make_store(*state);
	scratch_read(*state, "state.db", &buf);
	for (size_t cut = 100; cut + 4096 <= buf.len; cut += 2048) {
		scratch_write(*state, "state.db", buf.data, cut);
		expect_open(*state, UPT_STORE_WRITE, UPT_E_DATABASE, "state.db");
		expect_open(*state, UPT_STORE_READ_ONLY, UPT_E_DATABASE, "state.db");
	}
	scratch_write(*state, "state.db", buf.data, buf.len);
	expect_seven(*state, UPT_STORE_WRITE);
}

static void
a_damaged_page_is_found_when_opening(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};
	unsigned refused = 0;

	make_store(*state);
	scratch_read(*state, "state.db", &buf);
	for (size_t page = 1; page < buf.len / 4096; page++) {
		upt_cleanup(upt_buf_clear) struct upt_buf bad = {0};
		struct upt_store *store = NULL;
		struct upt_err err = {0};

		assert_int_equal(upt_buf_append(&bad, buf.data, buf.len, NULL), UPT_OK);
		memset(bad.data + page * 4096, 0xa5, 64);
		scratch_write(*state, "state.db", bad.data, bad.len);
		assert_int_equal(
			upt_store_open(*state, UPT_STORE_WRITE, &store, &err), UPT_E_DATABASE);
		assert_null(store);
		refused++;
	}
	assert_true(refused > 8);
	scratch_write(*state, "state.db", buf.data, buf.len);
	expect_seven(*state, UPT_STORE_WRITE);
}

static void
a_newer_schema_is_refused_and_kept(void **state)
{
	make_store(*state);
	alter(*state, "PRAGMA user_version = 99");
	expect_open(*state, UPT_STORE_WRITE, UPT_E_DATABASE,
		"newer version of this program (schema 99, this one knows 3)");
	expect_open(*state, UPT_STORE_READ_ONLY, UPT_E_DATABASE, "newer version");
	alter(*state, "PRAGMA user_version = 3");
	expect_seven(*state, UPT_STORE_WRITE);
}

/* As the first release left it: with no names of repositories. */
static void
make_old_store(const char *dir)
{
	make_store(dir);
	alter(dir, "INSERT INTO documents (repo, name, version, bytes)"
		   " VALUES (2, 'targets', 5, x'6f6c64');"
		   "INSERT INTO incidents (time, code, repo, ecu, message)"
		   " VALUES (9, 'expired', 1, '', 'old');"
		   "INSERT INTO texts (name, value) VALUES ('bundle', x'61'), ('kept', x'62');"
		   "DROP TABLE repositories; DROP TABLE plan; DROP TABLE plan_members;"
		   "PRAGMA user_version = 1");
}

static enum upt_code
see_old_incident(void *ctx, const struct upt_incident *incident, struct upt_err *err)
{
	unsigned *n = ctx;

	(void)err;
	assert_string_equal(incident->repo_name, "director");
	(*n)++;
	return UPT_OK;
}

static void
an_old_schema_is_brought_to_the_new_one_with_all_it_holds(void **state)
{
	upt_cleanup(upt_store_close) struct upt_store *store = NULL;
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	upt_cleanup(upt_plan_clear) struct upt_plan plan = {0};
	struct upt_err err = {0};
	enum upt_repo repo;
	unsigned n = 0;

	make_old_store(*state);
	expect_open(*state, UPT_STORE_READ_ONLY, UPT_E_DATABASE, "has the old schema 1");
	expect_seven(*state, UPT_STORE_WRITE);
	expect_seven(*state, UPT_STORE_READ_ONLY);
	assert_int_equal(upt_store_open(*state, UPT_STORE_WRITE, &store, &err), UPT_OK);
	assert_int_equal(
		upt_store_load_document(store, UPT_REPO_IMAGE, "targets", &bytes, &err), UPT_OK);
	assert_string_equal((char *)bytes.data, "old");
	assert_int_equal(upt_store_each_incident(store, true, see_old_incident, &n, &err), UPT_OK);
	assert_int_equal(n, 1);
	assert_int_equal(upt_store_add_repo(store, "fleet", &repo, &err), UPT_OK);
	assert_int_equal(repo, UPT_REPO_OTHER);
	assert_int_equal(upt_store_load_plan(store, &plan, &err), UPT_OK);
	assert_int_equal(plan.state, UPT_PLAN_NONE);
	assert_int_equal(upt_store_get_text(store, "bundle", &bytes, &err), UPT_OK);
	assert_int_equal(bytes.len, 0);
	assert_int_equal(upt_store_get_text(store, "kept", &bytes, &err), UPT_OK);
	assert_string_equal((char *)bytes.data, "b");
}

static void
numbers_of_repositories_end_and_are_not_used_twice(void **state)
{
	upt_cleanup(upt_store_close) struct upt_store *store = NULL;
	struct upt_err err = {0};
	enum upt_repo repo = UPT_REPO_IMAGE;

	make_store(*state);
	alter(*state, "INSERT INTO repositories VALUES (65535, 'last')");
	assert_int_equal(upt_store_open(*state, UPT_STORE_WRITE, &store, &err), UPT_OK);
	assert_int_equal(upt_store_add_repo(store, "one more", &repo, &err), UPT_E_CONFIG);
	assert_int_equal(repo, UPT_REPO_NONE);
	assert_int_equal(upt_store_add_repo(store, "last", &repo, &err), UPT_OK);
	assert_int_equal(repo, UPT_REPO_MAX);
}

static void
another_programs_database_is_refused_unchanged(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf before = {0}, after = {0};

	alter(*state, "CREATE TABLE t (x)");
	scratch_read(*state, "state.db", &before);
	expect_open(*state, UPT_STORE_WRITE, UPT_E_DATABASE, "another program");
	expect_open(*state, UPT_STORE_READ_ONLY, UPT_E_DATABASE, "another program");
	scratch_read(*state, "state.db", &after);
	assert_true(upt_span_equal(upt_buf_span(&before), upt_buf_span(&after)));
	alter(*state, "DROP TABLE t; VACUUM");
	expect_open(*state, UPT_STORE_WRITE, UPT_E_DATABASE, "without tables");
}

static void
wrong_values_in_rows_are_named(void **state)
{
	struct upt_store *store = NULL;
	struct upt_err err = {0};
	struct upt_image image = {.name = "stale"};
	uint64_t n = 99;

	make_store(*state);
	alter(*state, "UPDATE numbers SET value = -1;"
		      "INSERT INTO images (ecu, slot, name, length, sha256) VALUES ('e', 0, 'n', "
		      "1, x'0011')");
	assert_int_equal(upt_store_open(*state, UPT_STORE_WRITE, &store, &err), UPT_OK);
	assert_int_equal(upt_store_get_u64(store, "n", 0, &n, &err), UPT_E_DATABASE);
	assert_int_equal(n, 0);
	assert_int_equal(
		upt_store_get_image(store, "e", UPT_SLOT_INSTALLED, &image, &err), UPT_E_DATABASE);
	assert_string_equal(image.name, "");
	assert_non_null(strstr(err.message, "a sha256 digest of 2 bytes"));
	upt_store_close(&store);
}

static void
a_half_made_database_of_a_power_cut_is_made_again(void **state)
{
	scratch_write(*state, "state.db.new", "half", 4);
	make_store(*state);
	expect_seven(*state, UPT_STORE_WRITE);
	assert_false(scratch_exists(*state, "state.db.new"));
}

static void
a_link_planted_for_the_new_database_is_not_followed(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};
	char victim[4096], link[4096];

	scratch_write(*state, "victim", "precious", 8);
	assert_int_equal(symlink(scratch_path(victim, *state, "victim"),
				 scratch_path(link, *state, "state.db.new")),
		0);
	make_store(*state);
	scratch_read(*state, "victim", &buf);
	assert_string_equal((char *)buf.data, "precious");
}

static void
a_link_in_the_databases_place_is_refused(void **state)
{
	char path[4096], other[4096], real[4096];

	make_store(scratch_path(other, *state, "other"));
	assert_int_equal(mkdir(scratch_path(path, *state, "dir"), 0700), 0);
	scratch_path(real, *state, "other/state.db");
	assert_int_equal(symlink(real, scratch_path(path, *state, "dir/state.db")), 0);
	expect_open(scratch_path(path, *state, "dir"), UPT_STORE_WRITE, UPT_E_DATABASE,
		"no regular file");
	/* A link of the administrator's to the directory is fine. */
	assert_int_equal(symlink(other, scratch_path(path, *state, "link")), 0);
	expect_seven(path, UPT_STORE_WRITE);
}

static void
a_journal_without_its_database_is_refused(void **state)
{
	char path[4096];

	scratch_write(*state, "state.db-wal", "journal", 7);
	expect_open(*state, UPT_STORE_WRITE, UPT_E_DATABASE, "its journal");
	assert_false(scratch_exists(*state, "state.db"));
	assert_int_equal(unlink(scratch_path(path, *state, "state.db-wal")), 0);
	scratch_write(*state, "state.db-wal", "", 0); /* holds nothing: no loss */
	make_store(*state);
}

static void
a_directory_open_to_everybody_is_refused(void **state)
{
	assert_int_equal(chmod(*state, 0777), 0);
	expect_open(*state, UPT_STORE_WRITE, UPT_E_PERMISSION, "mode 0777");
	assert_int_equal(chmod(*state, 0755), 0);
	make_store(*state);
}

static void
a_laxer_mode_is_tightened(void **state)
{
	char path[4096];
	struct stat st;

	make_store(*state);
	scratch_path(path, *state, "state.db");
	assert_int_equal(chmod(path, 0644), 0);
	expect_seven(*state, UPT_STORE_WRITE);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void
a_file_in_the_directorys_place_is_refused(void **state)
{
	char path[4096];

	scratch_write(*state, "file", "x", 1);
	expect_open(scratch_path(path, *state, "file"), UPT_STORE_WRITE, UPT_E_IO, "no directory");
}

/* ---- the lock ---- */

static void
the_holders_pid_is_named(void **state)
{
	char want[64];
	int ready[2], done[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(done), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct upt_store *store = NULL;
		if (upt_store_open(*state, UPT_STORE_WRITE, &store, NULL) != UPT_OK)
			_exit(1);
		close(done[1]);
		if (write(ready[1], "x", 1) != 1 || read(done[0], &c, 1) != 0)
			_exit(2);
		_exit(0); /* without closing: the kernel frees the lock */
	}
	close(done[0]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	snprintf(want, sizeof(want), "held by process %d", (int)pid);
	expect_open(*state, UPT_STORE_WRITE, UPT_E_BUSY, want);
	expect_open(*state, UPT_STORE_READ_ONLY, UPT_OK, NULL);
	close(done[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(ready[0]);
	close(ready[1]);
	expect_open(*state, UPT_STORE_WRITE, UPT_OK, NULL);
}

static void
a_second_open_in_one_process_is_busy_too(void **state)
{
	struct upt_store *store = NULL;

	assert_int_equal(upt_store_open(*state, UPT_STORE_WRITE, &store, NULL), UPT_OK);
	expect_open(*state, UPT_STORE_WRITE, UPT_E_BUSY, "held by process");
	upt_store_close(&store);
	expect_open(*state, UPT_STORE_WRITE, UPT_OK, NULL);
}

static void
a_program_that_outlives_us_does_not_keep_the_lock(void **state)
{
	struct upt_store *store = NULL;
	int hold[2], started[2], status;
	pid_t pid;
	char c;

	assert_int_equal(pipe(hold), 0);
	assert_int_equal(pipe2(started, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		/* A daemon that starts an installer and dies: no close() unlocks for it. */
		close(hold[1]);
		if (upt_store_open(*state, UPT_STORE_WRITE, &store, NULL) != UPT_OK)
			_exit(1);
		if (fork() == 0) {
			dup2(hold[0], 0);
			execl("/bin/cat", "cat", (char *)NULL);
			_exit(127);
		}
		close(started[1]);
		_exit(read(started[0], &c, 1) == 0 ? 0 : 2); /* closed by the exec */
	}
	close(hold[0]);
	close(started[0]);
	close(started[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	expect_open(*state, UPT_STORE_WRITE, UPT_OK, NULL);
	close(hold[1]); /* cat ends */
}

static void
a_link_planted_for_the_lock_is_refused(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};
	char victim[4096], link[4096];

	scratch_write(*state, "victim", "precious", 8);
	assert_int_equal(
		symlink(scratch_path(victim, *state, "victim"), scratch_path(link, *state, "lock")),
		0);
	expect_open(*state, UPT_STORE_WRITE, UPT_E_IO, "lock");
	scratch_read(*state, "victim", &buf);
	assert_string_equal((char *)buf.data, "precious");
}

/* ---- permissions and space ---- */

static int
be_nobody(const void *ctx)
{
	if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
		return SCRATCH_SKIP;
	expect_open(ctx, UPT_STORE_READ_ONLY, UPT_E_PERMISSION, "Permission denied");
	expect_open(ctx, UPT_STORE_WRITE, UPT_E_PERMISSION, "Permission denied");
	return 0;
}

static void
a_directory_without_permission_is_named(void **state)
{
	char path[4096];

	make_store(scratch_path(path, *state, "var"));
	assert_int_equal(chmod(path, geteuid() == 0 ? 0700 : 0), 0);
	assert_int_equal(chmod(*state, 0755), 0);
	scratch_in_child(be_nobody, path, "this machine forbids changing the user");
	assert_int_equal(chmod(path, 0700), 0);
}

static int
read_as_nobody(const void *ctx)
{
	if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
		return SCRATCH_SKIP;
	/* Nobody may read, but no journal can be opened beside the database. */
	expect_open(ctx, UPT_STORE_READ_ONLY, UPT_E_PERMISSION, "state.db");
	return 0;
}

static void
a_reader_who_may_not_write_gets_a_clear_error(void **state)
{
	char path[4096];

	make_store(*state);
	assert_int_equal(chmod(*state, geteuid() == 0 ? 0755 : 0555), 0);
	assert_int_equal(chmod(scratch_path(path, *state, "state.db"), 0444), 0);
	scratch_in_child(read_as_nobody, *state, "this machine forbids changing the user");
	assert_int_equal(chmod(*state, 0700), 0);
}

static int
open_read_only_mount(const void *ctx)
{
	struct upt_store *store = NULL;
	char dir[4096];

	if (!scratch_mount(ctx, "1m"))
		return SCRATCH_SKIP;
	make_store(scratch_path(dir, ctx, "50% a?b#c"));
	scratch_remount_read_only(ctx);
	expect_seven(dir, UPT_STORE_READ_ONLY);
	expect_open(dir, UPT_STORE_WRITE, UPT_E_PERMISSION, "Read-only file system");
	assert_int_equal(upt_store_open(dir, UPT_STORE_READ_ONLY, &store, NULL), UPT_OK);
	assert_int_equal(upt_store_set_u64(store, "n", 1, NULL), UPT_E_PERMISSION);
	upt_store_close(&store);
	return 0;
}

static void
a_read_only_file_system_can_be_read(void **state)
{
	scratch_in_child(open_read_only_mount, *state, "this machine forbids mounting a tmpfs");
}

/* Copies a store whose last commit (n = 8) is still in the journal: what a power cut leaves. */
static void
copy_with_journal(const char *dir, const char *to, size_t n_files)
{
	static const char *const names[] = {"state.db", "state.db-wal", "state.db-shm"};
	struct upt_store *store = NULL;
	char from[4096];

	make_store(scratch_path(from, dir, "from"));
	assert_int_equal(upt_store_open(from, UPT_STORE_WRITE, &store, NULL), UPT_OK);
	assert_int_equal(upt_store_set_u64(store, "n", 8, NULL), UPT_OK);
	assert_int_equal(mkdir(to, 0700), 0);
	for (size_t i = 0; i < n_files; i++) {
		upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};
		scratch_read(from, names[i], &buf);
		scratch_write(to, names[i], buf.data, buf.len);
	}
	upt_store_close(&store);
}

static int
read_after_crash_on_read_only_mount(const void *ctx)
{
	upt_cleanup(upt_store_close) struct upt_store *store = NULL;
	char bare[4096], whole[4096];
	uint64_t n;

	if (!scratch_mount(ctx, "1m"))
		return SCRATCH_SKIP;
	copy_with_journal(ctx, scratch_path(bare, ctx, "bare"), 2);
	copy_with_journal(ctx, scratch_path(whole, ctx, "whole"), 3);
	scratch_remount_read_only(ctx);
	/* Read without its journal the database would say 7, which is not true any more. */
	expect_open(bare, UPT_STORE_READ_ONLY, UPT_E_PERMISSION, "journal to replay");
	assert_int_equal(upt_store_open(whole, UPT_STORE_READ_ONLY, &store, NULL), UPT_OK);
	assert_int_equal(upt_store_get_u64(store, "n", 0, &n, NULL), UPT_OK);
	assert_int_equal(n, 8);
	return 0;
}

static void
a_journal_that_cannot_be_read_is_not_ignored(void **state)
{
	scratch_in_child(read_after_crash_on_read_only_mount, *state,
		"this machine forbids mounting a tmpfs");
}

static int
fill_the_disk(const void *ctx)
{
	upt_cleanup(upt_buf_clear) struct upt_buf small = {0}, large = {0}, back = {0};
	upt_cleanup(upt_store_close) struct upt_store *store = NULL;
	struct upt_err err = {0};

	if (!scratch_mount(ctx, "1m"))
		return SCRATCH_SKIP;
	fill(&small, 100000, 1);
	fill(&large, 2000000, 2);
	assert_int_equal(upt_store_open(ctx, UPT_STORE_WRITE, &store, &err), UPT_OK);
	assert_int_equal(upt_store_save_document(
				 store, UPT_REPO_IMAGE, "targets", 1, upt_buf_span(&small), &err),
		UPT_OK);
	assert_int_equal(upt_store_save_document(
				 store, UPT_REPO_IMAGE, "targets", 2, upt_buf_span(&large), &err),
		UPT_E_NO_SPACE);
	assert_non_null(strstr(err.message, "the disk is full"));
	assert_int_equal(
		upt_store_load_document(store, UPT_REPO_IMAGE, "targets", &back, &err), UPT_OK);
	assert_true(upt_span_equal(upt_buf_span(&small), upt_buf_span(&back)));
	assert_int_equal(upt_store_set_u64(store, "n", 7, &err), UPT_OK); /* and life goes on */
	upt_store_close(&store);
	expect_seven(ctx, UPT_STORE_WRITE);
	return 0;
}

static void
a_full_disk_keeps_the_old_document(void **state)
{
	scratch_in_child(fill_the_disk, *state, "this machine forbids mounting a tmpfs");
}

static int
create_on_full_disk(const void *ctx)
{
	char path[4096];
	int fd;

	if (!scratch_mount(ctx, "64k"))
		return SCRATCH_SKIP;
	fd = open(scratch_path(path, ctx, "filler"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	while (write(fd, path, 4096) > 0)
		;
	close(fd);
	expect_open(ctx, UPT_STORE_WRITE, UPT_E_NO_SPACE, NULL);
	assert_false(scratch_exists(ctx, "state.db"));
	assert_int_equal(truncate(path, 4096 * 8), 0); /* room for half of it */
	expect_open(ctx, UPT_STORE_WRITE, UPT_E_NO_SPACE, NULL);
	assert_false(scratch_exists(ctx, "state.db"));
	return 0;
}

static void
a_store_is_not_half_made_on_a_full_disk(void **state)
{
	scratch_in_child(create_on_full_disk, *state, "this machine forbids mounting a tmpfs");
}

static int
exceed_the_file_size(const void *ctx)
{
	upt_cleanup(upt_buf_clear) struct upt_buf large = {0};
	upt_cleanup(upt_store_close) struct upt_store *store = NULL;
	const struct rlimit limit = {300000, 300000};
	struct upt_err err = {0};
	uint64_t v;

	signal(SIGXFSZ, SIG_IGN);
	fill(&large, 2000000, 2);
	assert_int_equal(upt_store_open(ctx, UPT_STORE_WRITE, &store, &err), UPT_OK);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(upt_store_save_document(
				 store, UPT_REPO_IMAGE, "targets", 2, upt_buf_span(&large), &err),
		UPT_E_IO);
	assert_non_null(strstr(err.message, "File too large"));
	assert_int_equal(
		upt_store_document_version(store, UPT_REPO_IMAGE, "targets", &v, &err), UPT_OK);
	assert_int_equal(v, 0);
	assert_int_equal(upt_store_set_u64(store, "n", 7, &err), UPT_OK);
	return 0;
}

static void
another_write_error_is_io_and_not_a_full_disk(void **state)
{
	scratch_in_child(exceed_the_file_size, *state, "");
}

#define in_dir(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		in_dir(directories_and_database_are_private),
		in_dir(pragmas_are_in_force),
		in_dir(reading_before_there_is_a_store_is_not_found),
		in_dir(what_is_no_database_is_refused_and_kept),
		in_dir(an_empty_file_is_damage_and_not_a_new_vehicle),
		in_dir(a_truncated_database_is_refused),
		in_dir(a_damaged_page_is_found_when_opening),
		in_dir(a_newer_schema_is_refused_and_kept),
		in_dir(an_old_schema_is_brought_to_the_new_one_with_all_it_holds),
		in_dir(numbers_of_repositories_end_and_are_not_used_twice),
		in_dir(another_programs_database_is_refused_unchanged),
		in_dir(wrong_values_in_rows_are_named),
		in_dir(a_half_made_database_of_a_power_cut_is_made_again),
		in_dir(a_link_planted_for_the_new_database_is_not_followed),
		in_dir(a_link_in_the_databases_place_is_refused),
		in_dir(a_journal_without_its_database_is_refused),
		in_dir(a_directory_open_to_everybody_is_refused),
		in_dir(a_laxer_mode_is_tightened),
		in_dir(a_file_in_the_directorys_place_is_refused),
		in_dir(the_holders_pid_is_named),
		in_dir(a_second_open_in_one_process_is_busy_too),
		in_dir(a_program_that_outlives_us_does_not_keep_the_lock),
		in_dir(a_link_planted_for_the_lock_is_refused),
		in_dir(a_directory_without_permission_is_named),
		in_dir(a_reader_who_may_not_write_gets_a_clear_error),
		in_dir(a_read_only_file_system_can_be_read),
		in_dir(a_journal_that_cannot_be_read_is_not_ignored),
		in_dir(a_full_disk_keeps_the_old_document),
		in_dir(a_store_is_not_half_made_on_a_full_disk),
		in_dir(another_write_error_is_io_and_not_a_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
