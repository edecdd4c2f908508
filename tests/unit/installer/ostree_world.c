#include "ostree_world.h"

#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "base/file.h"

#define RUN(w, ...) run((w)->log, (const char *const[]){__VA_ARGS__, NULL})

static void
make_dirs(const char *root, const char *const *names)
{
	for (; *names != NULL; names++)
		assert_int_equal(upt_dir_make(path_in(root, *names), 0755, NULL), UPT_OK);
}

/* A tree that can be deployed: kernel, initramfs, /usr/etc and the empty mount points. */
static void
make_tree(const char *tree)
{
	make_dirs(tree, (const char *const[]){"usr/lib/modules/6.1", "usr/etc", "usr/bin", "boot",
				"dev", "proc", "sys", "run", "var", "tmp", "sysroot", NULL});
	assert_int_equal(symlink("sysroot/ostree", path_in(tree, "ostree")), 0);
	file_write_text(path_in(tree, "usr/lib/modules/6.1/vmlinuz"), "a kernel\n");
	file_write_text(path_in(tree, "usr/lib/modules/6.1/initramfs.img"), "an initramfs\n");
	file_write_text(path_in(tree, "usr/etc/hostname"), "gateway\n");
}

static void
make_remote(struct ostree_world *w)
{
	char tree[PATH_MAX], tree_arg[PATH_MAX + 16], repo[PATH_MAX + 8], text[64];

	snprintf(tree, sizeof(tree), "%s", path_in(w->dir, "tree"));
	snprintf(tree_arg, sizeof(tree_arg), "--tree=dir=%s", tree);
	snprintf(repo, sizeof(repo), "--repo=%s", w->remote);
	RUN(w, "ostree", repo, "init", "--mode=archive");
	make_tree(tree);
	for (unsigned i = 1; i <= 3; i++) {
		snprintf(text, sizeof(text), "ID=gateway\nVERSION_ID=%u\nPRETTY_NAME=Gateway\n", i);
		file_write_text(path_in(tree, "usr/lib/os-release"), text);
		run_output(w->log, w->commit[i], sizeof(w->commit[i]),
			(const char *const[]){"ostree", repo, "commit", "--branch=os/gateway",
				tree_arg, "--owner-uid=0", "--owner-gid=0", "--no-xattrs",
				"--timestamp=@1700000000", NULL});
	}
}

static void
make_sysroot(struct ostree_world *w)
{
	char sysroot[PATH_MAX + 16], repo[PATH_MAX + 32], url[PATH_MAX + 16];

	snprintf(sysroot, sizeof(sysroot), "--sysroot=%s", w->sysroot);
	snprintf(repo, sizeof(repo), "--repo=%s/ostree/repo", w->sysroot);
	snprintf(url, sizeof(url), "file://%s", w->remote);
	make_dirs(w->dir, (const char *const[]){"sysroot", NULL});
	RUN(w, "ostree", "admin", "init-fs", "--modern", w->sysroot);
	RUN(w, "ostree", "admin", "os-init", sysroot, "gateway");
	RUN(w, "ostree", repo, "config", "set", "sysroot.bootloader", "none");
	RUN(w, "ostree", repo, "remote", "add", "--no-gpg-verify", "updates", url);
	RUN(w, "ostree", repo, "pull", "updates", w->commit[1]);
	RUN(w, "ostree", "admin", "deploy", sysroot, "--os=gateway", "--karg=quiet",
		"--karg=root=LABEL=gateway", w->commit[1]);
}

void
ostree_world_make(struct ostree_world *w)
{
	memset(w, 0, sizeof(*w));
	dir_make(w->dir);
	snprintf(w->log, sizeof(w->log), "%s", path_in(w->dir, "log"));
	snprintf(w->sysroot, sizeof(w->sysroot), "%s", path_in(w->dir, "sysroot"));
	snprintf(w->remote, sizeof(w->remote), "%s", path_in(w->dir, "remote"));
	snprintf(w->cmdline, sizeof(w->cmdline), "%s", path_in(w->dir, "cmdline"));
	snprintf(w->boot_id, sizeof(w->boot_id), "%s", path_in(w->dir, "boot_id"));
	snprintf(w->state, sizeof(w->state), "%s", path_in(w->dir, "state"));
	make_remote(w);
	make_sysroot(w);
	ostree_world_boot(w);
}

void
ostree_world_remove(struct ostree_world *w)
{
	upt_installer_free(&w->installer);
	dir_remove(w->dir);
}

struct upt_ostree_installer_config
ostree_world_config(const struct ostree_world *w)
{
	return (struct upt_ostree_installer_config){
		.sysroot = w->sysroot,
		.os = "gateway",
		.remote = "updates",
		.cmdline_path = w->cmdline,
		.boot_id_path = w->boot_id,
		.state_path = w->state,
		.pull_program = PULL_PROGRAM,
	};
}

/* The value behind "KEY " at the start of a line of text, to its end. */
static void
value_of(const char *text, const char *key, char *out, size_t size)
{
	size_t len = strlen(key);

	for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, len) == 0 && line[len] == ' ') {
			line += len + strspn(line + len, " ");
			snprintf(out, size, "%.*s", (int)strcspn(line, "\n"), line);
			return;
		}
	}
	fail_msg("no %s in a boot loader entry", key);
}

struct entry {
	int version;
	char options[512];
};

/* The boot loader's entries, highest version (the default) first. */
static size_t
read_entries(struct ostree_world *w, struct entry out[static 4])
{
	char pattern[PATH_MAX + 32], version[16];
	size_t n = 0;
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/boot/loader/entries/*.conf", w->sysroot);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc && i < 4; i++) {
		upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
		struct entry e = {0};
		size_t at = n++;
		assert_int_equal(
			upt_file_read(AT_FDCWD, found.gl_pathv[i], 65536, &text, NULL), UPT_OK);
		value_of((const char *)text.data, "version", version, sizeof(version));
		value_of((const char *)text.data, "options", e.options, sizeof(e.options));
		e.version = (int)strtol(version, NULL, 10);
		for (; at > 0 && out[at - 1].version < e.version; at--)
			out[at] = out[at - 1];
		out[at] = e;
	}
	globfree(&found);
	return n;
}

void
ostree_world_boot(struct ostree_world *w)
{
	struct entry entries[4];
	char text[600];

	assert_true(read_entries(w, entries) > 0);
	snprintf(text, sizeof(text), "BOOT_IMAGE=/vmlinuz %s\n", entries[0].options);
	file_write_text(w->cmdline, text);
	snprintf(text, sizeof(text), "0e8a2c1d-0000-4000-8000-%012u\n", ++w->n_boots);
	file_write_text(w->boot_id, text);
}

void
ostree_world_entries(struct ostree_world *w, char *out, size_t size)
{
	struct entry entries[4];
	size_t n = read_entries(w, entries), used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		char link[PATH_MAX + 512], real[PATH_MAX];
		const char *path = strstr(entries[i].options, "ostree=");
		assert_non_null(path);
		snprintf(link, sizeof(link), "%s%.*s", w->sysroot, (int)strcspn(path + 7, " "),
			path + 7);
		assert_non_null(realpath(link, real));
		used += (size_t)snprintf(out + used, size - used, "%s%.64s", i == 0 ? "" : " ",
			strrchr(real, '/') + 1);
		assert_true(used < size);
	}
}
