/* Boot loaders: each on its own files in a directory, and with files that are broken. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "base/file.h"
#include "installer/boot_internal.h"
#include "support.h"

struct world {
	char dir[PATH_MAX];
	char printenv[PATH_MAX], setenv[PATH_MAX], env[PATH_MAX], uenv[PATH_MAX];
	char grubenv[PATH_MAX], cfg[PATH_MAX], entries[PATH_MAX], efivars[PATH_MAX];
	struct upt_boot_config config;
	struct upt_boot *boot;
	struct upt_err err;
};

static void
program(const char *path, const char *text)
{
	file_write_text(path, text);
	assert_int_equal(chmod(path, 0755), 0);
}

/* fw_printenv and fw_setenv on a text file; "fail" beside it makes them fail. */
static void
make_tools(struct world *w)
{
	program(w->printenv, "#!/bin/sh\n"
			     "[ \"$1\" = -c ] && [ ! -e \"$2.fail\" ] && exec cat \"$2\"\n"
			     "echo cannot read the environment >&2\nexit 1\n");
	program(w->setenv,
		"#!/bin/sh\n"
		"[ \"$1\" = -c ] && [ ! -e \"$2.fail\" ] || { echo flash is gone; exit 1; }\n"
		"grep -v \"^$3=\" \"$2\" >\"$2.new\"\n"
		"echo \"$3=$4\" >>\"$2.new\"\necho \"$3=$4\" >>\"$2.log\"\n"
		"mv \"$2.new\" \"$2\"\n");
	file_write_text(w->env, "altbootcmd=run boot_previous\nbootcount=0\nbootlimit=5\n");
}

static int
set_up(void **state)
{
	static struct world w;

	memset(&w, 0, sizeof(w));
	dir_make(w.dir);
#define PATH(field, name) snprintf(w.field, sizeof(w.field), "%s", path_in(w.dir, name))
	PATH(printenv, "fw_printenv");
	PATH(setenv, "fw_setenv");
	PATH(env, "env");
	PATH(uenv, "uEnv.txt");
	PATH(grubenv, "grubenv");
	PATH(cfg, "grub.cfg");
	PATH(entries, "entries");
	PATH(efivars, "efivars");
	make_tools(&w);
	assert_int_equal(mkdir(w.entries, 0755), 0);
	assert_int_equal(mkdir(w.efivars, 0755), 0);
	w.config = (struct upt_boot_config){.fw_printenv = w.printenv,
		.fw_setenv = w.setenv,
		.fw_env_config = w.env,
		.uenv = w.uenv,
		.grubenv = w.grubenv,
		.entries = w.entries,
		.efivars = w.efivars};
	*state = &w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	upt_boot_free(&w->boot);
	dir_remove(w->dir);
	return 0;
}

static void
open_boot(struct world *w, enum upt_boot_kind kind)
{
	upt_boot_free(&w->boot);
	w->config.kind = kind;
	CHECK_OK(upt_boot_new(&w->config, NULL, &w->boot, &w->err));
}

static struct upt_boot_facts
probe(struct world *w)
{
	struct upt_boot_facts facts;

	CHECK_OK(w->boot->ops->probe(w->boot, &facts, &w->err));
	return facts;
}

static struct upt_boot_state
look(struct world *w)
{
	struct upt_boot_state s;

	CHECK_OK(w->boot->ops->look(w->boot, &s, &w->err));
	return s;
}

static void
arm(struct world *w, unsigned tries)
{
	CHECK_OK(w->boot->ops->arm(w->boot, tries, &w->err));
}

static void
mark_good(struct world *w)
{
	CHECK_OK(w->boot->ops->mark_good(w->boot, &w->err));
}

/* ---- U-Boot ---- */

static void
uboot_counts_what_is_armed_and_forgets_what_is_good(void **state)
{
	struct world *w = *state;

	open_boot(w, UPT_BOOT_UBOOT);
	assert_int_equal(probe(w).abilities, UPT_BOOT_COUNTS | UPT_BOOT_TELLS | UPT_BOOT_GAPLESS);
	assert_false(look(w).armed);
	arm(w, 3);
	assert_true(look(w).armed);
	assert_int_equal(look(w).tries_left, 3);
	/* as U-Boot leaves it in the last boot of the new system, and in the first of the old */
	file_write_text(w->env, "bootlimit=3\nupgrade_available=1\nbootcount=3\n");
	assert_false(look(w).fell_back);
	assert_int_equal(look(w).tries_left, 0);
	file_write_text(w->env, "bootlimit=3\nupgrade_available=1\nbootcount=4\n");
	assert_true(look(w).fell_back);
	mark_good(w);
	assert_false(look(w).armed);
	assert_false(look(w).fell_back);
	assert_true(file_holds(w->env, BYTES("bootlimit=3\nupgrade_available=0\nbootcount=0\n")));
}

/* The power may go between any two writes: what is armed has its whole count, and what is not
 * counts nothing. */
static void
uboot_writes_in_the_order_that_a_power_cut_may_break(void **state)
{
	struct world *w = *state;
	char log[PATH_MAX + 8];

	open_boot(w, UPT_BOOT_UBOOT);
	snprintf(log, sizeof(log), "%s.log", w->env);
	arm(w, 2);
	assert_true(file_holds(log, BYTES("bootcount=0\nbootlimit=2\nupgrade_available=1\n")));
	assert_int_equal(unlink(log), 0);
	mark_good(w);
	assert_true(file_holds(log, BYTES("upgrade_available=0\nbootcount=0\n")));
}

static void
uboot_says_what_it_cannot_do(void **state)
{
	struct world *w = *state;

	open_boot(w, UPT_BOOT_UBOOT);
	file_write_text(w->uenv, "kernel_image=/boot/a\nbootargs=b\n");
	assert_non_null(strstr(probe(w).text, "no previous system"));
	file_write_text(w->uenv, "kernel_image=/boot/a\nkernel_image2=/boot/b\n");
	assert_string_equal(probe(w).text, "");
	file_write_text(w->env, "altbootcmd=\nbootcount=0\nbootlimit=5\n");
	assert_int_equal(probe(w).abilities, 0);
	assert_non_null(strstr(probe(w).text, "altbootcmd"));
	file_write_text(w->env, "altbootcmd=x\nbootcount=0\n");
	assert_int_equal(probe(w).abilities, UPT_BOOT_COUNTS | UPT_BOOT_GAPLESS);
}

static void
uboot_passes_on_what_its_tools_say(void **state)
{
	struct world *w = *state;
	struct upt_boot_state s;
	char fail[PATH_MAX + 8];

	open_boot(w, UPT_BOOT_UBOOT);
	snprintf(fail, sizeof(fail), "%s.fail", w->env);
	file_write_text(fail, "");
	CHECK_CODE(w->boot->ops->arm(w->boot, 3, &w->err), UPT_E_INSTALL);
	assert_non_null(strstr(w->err.message, "flash is gone"));
	memset(&s, 0xff, sizeof(s));
	CHECK_CODE(w->boot->ops->look(w->boot, &s, &w->err), UPT_E_INSTALL);
	assert_false(s.armed || s.fell_back);
	assert_int_equal(unlink(fail), 0);
	arm(w, 3);
	assert_int_equal(unlink(w->setenv), 0);
	CHECK_CODE(w->boot->ops->mark_good(w->boot, &w->err), UPT_E_NOT_FOUND);
}

static void
uboot_refuses_an_environment_that_is_ambiguous(void **state)
{
	static const char *const broken[] = {"bootcount=1\nx=y\nbootcount=9\n", "bootcount=-1\n",
		"bootcount=\n", "bootcount=0x1\n", "bootcount=1 \n",
		"bootcount=99999999999999999999\n", "upgrade_available=yes\n",
		"bootlimit=1234567\n"};
	struct world *w = *state;
	struct upt_boot_state s;

	open_boot(w, UPT_BOOT_UBOOT);
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		file_write_text(w->env, broken[i]);
		memset(&s, 0xff, sizeof(s));
		CHECK_CODE(w->boot->ops->look(w->boot, &s, &w->err), UPT_E_MALFORMED);
		assert_false(s.armed || s.fell_back);
	}
	file_write_text(w->env, "xbootcount=1\nx=y\nbootcount=2\nbootcountx=3\nbootlimit=2\n");
	assert_true(look(w).tells_tries);
	file_write(w->env, BYTES("bootcount=1\0002\n"));
	CHECK_CODE(w->boot->ops->look(w->boot, &s, &w->err), UPT_E_MALFORMED);
}

/* ---- GRUB ---- */

/* A block with this text and its filling. */
static void
write_grubenv(struct world *w, const char *text)
{
	char block[UPT_GRUBENV_BYTES];
	int n = snprintf(block, sizeof(block), "# GRUB Environment Block\n%s", text);

	memset(block + n, '#', sizeof(block) - (size_t)n);
	file_write(w->grubenv, upt_span(block, sizeof(block)));
}

static void
assert_grubenv(struct world *w, const char *text)
{
	char block[UPT_GRUBENV_BYTES];
	int n = snprintf(block, sizeof(block), "# GRUB Environment Block\n%s", text);

	memset(block + n, '#', sizeof(block) - (size_t)n);
	assert_true(file_holds(w->grubenv, upt_span(block, sizeof(block))));
}

static void
grub_counts_what_is_armed_and_forgets_what_is_good(void **state)
{
	struct world *w = *state;
	struct stat before, after;

	write_grubenv(w, "# a comment\nsaved_entry=a\\\\\\\nboot_counter=9\nboot_success=1\n");
	file_write_text(w->cfg, "decrement boot_counter\n");
	open_boot(w, UPT_BOOT_GRUB);
	assert_int_equal(probe(w).abilities, UPT_BOOT_COUNTS | UPT_BOOT_TELLS | UPT_BOOT_GAPLESS);
	assert_string_equal(probe(w).text, "");
	assert_false(look(w).armed);
	assert_int_equal(stat(w->grubenv, &before), 0);
	arm(w, 3);
	assert_grubenv(w,
		"# a "
		"comment\nsaved_entry=a\\\\\\\nboot_counter=9\nboot_counter=3\nboot_success=0\n");
	assert_true(look(w).armed);
	assert_int_equal(look(w).tries_left, 3);
	write_grubenv(w, "boot_success=0\nboot_counter=0\n");
	assert_false(look(w).fell_back);
	write_grubenv(w, "boot_success=0\nboot_counter=-1\n");
	assert_true(look(w).fell_back);
	mark_good(w);
	assert_grubenv(w, "boot_success=1\n");
	assert_false(look(w).armed);
	/* in place: GRUB knows the file by its blocks */
	assert_int_equal(stat(w->grubenv, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
}

static void
grub_that_does_not_count_says_so(void **state)
{
	struct world *w = *state;

	write_grubenv(w, "");
	open_boot(w, UPT_BOOT_GRUB);
	assert_int_equal(probe(w).abilities, 0);
	file_write_text(w->cfg, "linux /vmlinuz\n");
	assert_int_equal(probe(w).abilities, 0);
	assert_non_null(strstr(probe(w).text, w->cfg));
}

/* Each leaves the file as it was, beside one that is taken. */
static void
grub_refuses_a_broken_block(void **state)
{
	struct world *w = *state;
	char text[UPT_GRUBENV_BYTES + 1];

	open_boot(w, UPT_BOOT_GRUB);
	CHECK_CODE(w->boot->ops->arm(w->boot, 3, &w->err), UPT_E_NOT_FOUND);
	file_write_text(w->grubenv, "");
	CHECK_CODE(w->boot->ops->arm(w->boot, 3, &w->err), UPT_E_MALFORMED);
	assert_true(file_holds(w->grubenv, BYTES("")));
	/* 1023 and 1025 bytes */
	memset(text, '#', sizeof(text));
	memcpy(text, "# GRUB Environment Block\n", 25);
	file_write(w->grubenv, upt_span(text, UPT_GRUBENV_BYTES - 1));
	CHECK_CODE(w->boot->ops->arm(w->boot, 3, &w->err), UPT_E_MALFORMED);
	CHECK_CODE(
		w->boot->ops->look(w->boot, &(struct upt_boot_state){0}, &w->err), UPT_E_MALFORMED);
	file_write(w->grubenv, upt_span(text, UPT_GRUBENV_BYTES + 1));
	CHECK_CODE(w->boot->ops->arm(w->boot, 3, &w->err), UPT_E_TOO_LARGE);
	/* another first line */
	text[2] = 'X';
	file_write(w->grubenv, upt_span(text, UPT_GRUBENV_BYTES));
	CHECK_CODE(w->boot->ops->arm(w->boot, 3, &w->err), UPT_E_MALFORMED);
	assert_true(file_holds(w->grubenv, upt_span(text, UPT_GRUBENV_BYTES)));
	/* a variable that never ends, and no room for two more */
	text[2] = 'G';
	memset(text + 25, 'v', UPT_GRUBENV_BYTES - 25);
	file_write(w->grubenv, upt_span(text, UPT_GRUBENV_BYTES));
	CHECK_CODE(w->boot->ops->arm(w->boot, 3, &w->err), UPT_E_MALFORMED);
	text[UPT_GRUBENV_BYTES - 1] = '\n';
	file_write(w->grubenv, upt_span(text, UPT_GRUBENV_BYTES));
	CHECK_CODE(w->boot->ops->arm(w->boot, 3, &w->err), UPT_E_NO_SPACE);
	assert_true(file_holds(w->grubenv, upt_span(text, UPT_GRUBENV_BYTES)));
	/* a backslash at the very end takes nothing with it */
	text[UPT_GRUBENV_BYTES - 1] = '\\';
	file_write(w->grubenv, upt_span(text, UPT_GRUBENV_BYTES));
	CHECK_CODE(w->boot->ops->arm(w->boot, 3, &w->err), UPT_E_MALFORMED);
	write_grubenv(w, "boot_counter=2x\n");
	CHECK_CODE(
		w->boot->ops->look(w->boot, &(struct upt_boot_state){0}, &w->err), UPT_E_MALFORMED);
	write_grubenv(w, "boot_counter=2\n");
	assert_int_equal(look(w).tries_left, 2);
}

/* ---- systemd-boot ---- */

static void
write_entry(struct world *w, const char *file, unsigned version)
{
	char text[64];

	snprintf(text, sizeof(text), "title x\nversion %u\noptions y\n", version);
	file_write_text(path_in(w->entries, file), text);
}

static void
write_efi_path(struct world *w, const char *path)
{
	uint8_t bytes[1024] = {6, 0, 0, 0};
	size_t n = strlen(path);

	for (size_t i = 0; i < n; i++)
		bytes[4 + 2 * i] = (uint8_t)path[i];
	file_write(path_in(w->efivars, "LoaderBootCountPath-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"),
		upt_span(bytes, 4 + 2 * (n + 1)));
}

static bool
has_entry(struct world *w, const char *file)
{
	return file_exists(path_in(w->entries, file));
}

static void
systemd_boot_counts_the_default_entry(void **state)
{
	struct world *w = *state;

	write_entry(w, "ostree-1-gateway.conf", 1);
	write_entry(w, "ostree-2-gateway.conf", 2);
	write_entry(w, "rescue.conf", 9);
	open_boot(w, UPT_BOOT_SYSTEMD);
	assert_int_equal(probe(w).abilities, UPT_BOOT_COUNTS | UPT_BOOT_TELLS);
	assert_false(look(w).armed);
	arm(w, 3);
	assert_true(has_entry(w, "ostree-2-gateway+3.conf"));
	assert_true(has_entry(w, "ostree-1-gateway.conf"));
	assert_true(has_entry(w, "rescue.conf"));
	arm(w, 3);
	assert_int_equal(look(w).tries_left, 3);
	/* the last try */
	assert_int_equal(rename(path_in(w->entries, "ostree-2-gateway+3.conf"),
				 path_in(w->entries, "ostree-2-gateway+0-3.conf")),
		0);
	write_efi_path(w, "\\loader\\entries\\ostree-2-gateway+0-3.conf");
	assert_false(look(w).fell_back);
	mark_good(w);
	assert_true(has_entry(w, "ostree-2-gateway.conf"));
	assert_false(has_entry(w, "ostree-2-gateway+0-3.conf"));
	assert_false(look(w).armed);
	mark_good(w);
}

static void
systemd_boot_never_blesses_what_did_not_boot(void **state)
{
	struct world *w = *state;

	write_entry(w, "ostree-1-gateway.conf", 1);
	write_entry(w, "ostree-2-gateway+0-3.conf", 2);
	open_boot(w, UPT_BOOT_SYSTEMD);
	assert_true(look(w).fell_back);
	mark_good(w);
	assert_true(has_entry(w, "ostree-2-gateway+0-3.conf"));
	assert_true(look(w).fell_back);
}

static void
systemd_boot_needs_an_entry_to_arm(void **state)
{
	struct world *w = *state;

	open_boot(w, UPT_BOOT_SYSTEMD);
	CHECK_CODE(w->boot->ops->arm(w->boot, 3, &w->err), UPT_E_INSTALL);
	file_write_text(path_in(w->entries, "ostree-1-gateway.conf"), "title x\n");
	CHECK_CODE(w->boot->ops->arm(w->boot, 3, &w->err), UPT_E_MALFORMED);
	assert_true(has_entry(w, "ostree-1-gateway.conf"));
	write_entry(w, "ostree-1-gateway.conf", 1);
	arm(w, 1);
	assert_true(has_entry(w, "ostree-1-gateway+1.conf"));
	assert_int_equal(rename(w->entries, path_in(w->dir, "gone")), 0);
	CHECK_CODE(w->boot->ops->arm(w->boot, 3, &w->err), UPT_E_NOT_FOUND);
	CHECK_CODE(w->boot->ops->probe(w->boot, &(struct upt_boot_facts){0}, &w->err),
		UPT_E_NOT_FOUND);
}

static void
entry_names_are_read_as_systemd_boot_reads_them(void **state)
{
	static const char *const none[] = {"", ".conf", "a", "a.confx", "a+.conf", "a+x.conf",
		"a+1-.conf", "a+1-x.conf", "a+-1.conf", "+1.conf", "a+1-2-3.conf", "a+1234567.conf",
		".a.conf", "a/b.conf"};
	struct upt_boot_entry e;

	(void)state;
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_false(upt_boot_entry_parse(none[i], &e));
	assert_true(upt_boot_entry_parse("a-1.conf", &e));
	assert_false(e.counts);
	assert_true(upt_boot_entry_parse("a+b+2-1.conf", &e));
	assert_string_equal(e.name, "a+b");
	assert_int_equal(e.left, 2);
	assert_int_equal(e.done, 1);
}

static void
the_efi_variable_must_be_a_path(void **state)
{
	char name[UPT_BOOT_NAME_MAX + 1] = "x";

	(void)state;
	assert_false(upt_boot_count_path_parse(BYTES(""), name));
	assert_false(upt_boot_count_path_parse(BYTES("\6\0\0\0"), name));
	assert_false(upt_boot_count_path_parse(BYTES("\6\0\0\0a"), name));
	assert_false(upt_boot_count_path_parse(BYTES("\6\0\0\0a\1"), name));
	assert_false(upt_boot_count_path_parse(BYTES("\6\0\0\0\\\0\0\0"), name));
	assert_false(upt_boot_count_path_parse(BYTES("\6\0\0\0a\0\0\0b\0"), name));
	assert_string_equal(name, "");
	assert_true(upt_boot_count_path_parse(BYTES("\6\0\0\0\\\0a\0b\0\0\0"), name));
	assert_string_equal(name, "ab");
}

/* ---- which one it is ---- */

static void
the_loader_is_found_by_its_traces(void **state)
{
	struct world *w = *state;

	open_boot(w, UPT_BOOT_AUTO);
	assert_string_equal(w->boot->ops->name, "uboot");
	write_grubenv(w, "");
	open_boot(w, UPT_BOOT_AUTO);
	assert_string_equal(w->boot->ops->name, "grub");
	file_write(path_in(w->efivars, "LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"),
		BYTES("\6\0\0\0s\0y\0s\0t\0e\0m\0d\0-\0b\0o\0o\0t\0 \0002\0005\0"));
	open_boot(w, UPT_BOOT_AUTO);
	assert_string_equal(w->boot->ops->name, "systemd-boot");
	file_write(path_in(w->efivars, "LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"),
		BYTES("\6\0\0\0G\0R\0U\0B\0 \0002\0.\0001\0002\0003\0004\0005\0"));
	assert_int_equal(unlink(w->grubenv), 0);
	assert_int_equal(unlink(w->setenv), 0);
	open_boot(w, UPT_BOOT_AUTO);
	assert_string_equal(w->boot->ops->name, "none");
}

static void
no_loader_promises_nothing(void **state)
{
	struct world *w = *state;

	open_boot(w, UPT_BOOT_NONE);
	assert_int_equal(probe(w).abilities, 0);
	assert_string_not_equal(probe(w).text, "");
	arm(w, 3);
	assert_false(look(w).armed);
	mark_good(w);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(uboot_counts_what_is_armed_and_forgets_what_is_good),
		CASE(uboot_writes_in_the_order_that_a_power_cut_may_break),
		CASE(uboot_says_what_it_cannot_do),
		CASE(uboot_passes_on_what_its_tools_say),
		CASE(uboot_refuses_an_environment_that_is_ambiguous),
		CASE(grub_counts_what_is_armed_and_forgets_what_is_good),
		CASE(grub_that_does_not_count_says_so),
		CASE(grub_refuses_a_broken_block),
		CASE(systemd_boot_counts_the_default_entry),
		CASE(systemd_boot_never_blesses_what_did_not_boot),
		CASE(systemd_boot_needs_an_entry_to_arm),
		CASE(entry_names_are_read_as_systemd_boot_reads_them),
		CASE(the_efi_variable_must_be_a_path),
		CASE(the_loader_is_found_by_its_traces),
		CASE(no_loader_promises_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
