/* Settings of what happens around a reboot, and of what an update waits for: what is refused, and
 * what is touched by default. */
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "primary/config.h"

static const char base[] = "[uptane]\nvehicle_id = v\n"
			   "[director]\nurl = http://127.0.0.1:1/d\nroot = r\n"
			   "[image_repository]\nurl = http://127.0.0.1:1/i\nroot = r\n"
			   "[primary]\nserial = p\nhardware_id = h\nkey = k\n"
			   "installer = ostree\nos = gateway\n";

static char dir[] = "/tmp/upt-config-XXXXXX";

static void
write_file(const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static int
set_up(void **state)
{
	char path[PATH_MAX];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/uptaned.conf.d", dir);
	assert_int_equal(mkdir(path, 0755), 0);
	write_file("uptaned.conf", base);
	return 0;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int
tear_down(void **state)
{
	(void)state;
	return nftw(dir, remove_one, 8, FTW_PHYS | FTW_DEPTH);
}

static enum upt_code
load(const char *more, struct upt_config *config, struct upt_err *err)
{
	write_file("uptaned.conf.d/50-test.conf", more);
	return upt_config_load(dir, config, err);
}

static void
load_ok(const char *more, struct upt_config *config)
{
	struct upt_err err = {0};

	if (load(more, config, &err) != UPT_OK)
		fail_msg("%s", err.message);
}

static void
wrong_settings_are_named(void **state)
{
	static const char *const wrong[] = {"[primary]\nboot_loader = lilo\n",
		"[primary]\nboot_loader =\n", "[primary]\nboot_tries = 0\n",
		"[primary]\nboot_tries = 10\n", "[primary]\nreboot_command = reboot\n",
		"[primary]\nreboot_command = /a b c d e f g h i j k l m n o p q\n",
		"[primary]\nreserve_mib = 0\n", "[health]\nsystem = fine\n",
		"[health]\ncheck_timeout_s = 0\n", "[health]\ntimeout_s = 86401\n",
		"[boot]\ngrub = x\n", "[gates]\ndir = gates.d\n", "[gates]\ninhibit = x\n",
		"[gates]\ntimeout_s = 0\n", "[gates]\nretry_s = 86401\n",
		"[gates]\nwindow = 02:00\n", "[gates]\nwindow = mon 02:00-05:00\n",
		"[gates]\nwindow_applies_to = \n", "[gates]\nwindow_applies_to = all\n",
		"[gates]\nwindow_applies_to = install,reboot\n", "[gates]\nwindows = 1\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct upt_config config;
		struct upt_err err = {0};

		assert_int_equal(load(wrong[i], &config, &err), UPT_E_CONFIG);
		assert_non_null(strstr(err.message, "50-test.conf:2: "));
		assert_int_equal(config.n_ecus, 0);
	}
}

static void
the_machines_own_system_reboots_and_is_asked(void **state)
{
	struct upt_config config;

	(void)state;
	load_ok("", &config);
	assert_int_equal(config.trial.loader.kind, UPT_BOOT_AUTO);
	assert_string_equal(config.trial.reboot_argv[0], "/usr/bin/systemctl");
	assert_string_equal(config.trial.reboot_argv[1], "reboot");
	assert_null(config.trial.reboot_argv[2]);
	assert_int_equal(config.trial.health.system, UPT_HEALTH_TARGET);
	assert_string_equal(config.trial.health.dir, "/etc/uptaned/health.d");
	assert_int_equal(config.trial.tries, 3);
	upt_config_clear(&config);
}

/* A test or a demonstration must not reboot the machine it runs on, nor write its boot loader. */
static void
a_system_in_a_folder_touches_nothing_of_the_machine(void **state)
{
	struct upt_config config;

	(void)state;
	load_ok("[primary]\nsysroot = /srv/sysroot\n", &config);
	assert_int_equal(config.trial.loader.kind, UPT_BOOT_NONE);
	assert_null(config.trial.reboot_argv);
	assert_int_equal(config.trial.health.system, UPT_HEALTH_OFF);
	upt_config_clear(&config);
	/* but for what is said */
	load_ok("[primary]\nsysroot = /srv/sysroot\nboot_loader = grub\n"
		"[boot]\ngrubenv = /srv/grubenv\n[health]\nsystem = running\n",
		&config);
	assert_int_equal(config.trial.loader.kind, UPT_BOOT_GRUB);
	assert_string_equal(config.trial.loader.grubenv, "/srv/grubenv");
	assert_int_equal(config.trial.health.system, UPT_HEALTH_RUNNING);
	upt_config_clear(&config);
}

static void
settings_reach_their_place(void **state)
{
	struct upt_config config;

	(void)state;
	load_ok("[primary]\nreboot_command =  /sbin/shutdown\t-r  +1 \nboot_tries = 5\n"
		"boot_loader = systemd-boot\nreserve_mib = 64\n[boot]\nentries = /efi/e\n"
		"[health]\ndir =\ntimeout_s = 7\ncheck_timeout_s = 2\n",
		&config);
	assert_string_equal(config.trial.reboot_argv[0], "/sbin/shutdown");
	assert_string_equal(config.trial.reboot_argv[1], "-r");
	assert_string_equal(config.trial.reboot_argv[2], "+1");
	assert_null(config.trial.reboot_argv[3]);
	assert_int_equal(config.trial.loader.kind, UPT_BOOT_SYSTEMD);
	assert_string_equal(config.trial.loader.entries, "/efi/e");
	assert_int_equal(config.trial.tries, 5);
	assert_int_equal(config.ecus[0].reserve_mib, 64);
	assert_null(config.trial.health.dir);
	assert_int_equal(config.trial.health.timeout_ms, 7000);
	assert_int_equal(config.trial.health.check_timeout_ms, 2000);
	upt_config_clear(&config);
	load_ok("[primary]\nreboot_command =\n", &config);
	assert_null(config.trial.reboot_argv);
	upt_config_clear(&config);
}

static void
gates_are_read(void **state)
{
	struct upt_config config;

	(void)state;
	load_ok("", &config);
	assert_string_equal(config.gates.dir, "/etc/uptaned/gates.d");
	assert_string_equal(config.gates.inhibit_path, "/run/uptaned/inhibit");
	assert_int_equal(config.gates.timeout_ms, 30000);
	assert_int_equal(config.gates.retry_s, 300);
	assert_int_equal(config.gates.n_windows, 0);
	assert_false(config.gates.window_applies_to[UPT_GATE_DOWNLOAD]);
	assert_true(config.gates.window_applies_to[UPT_GATE_INSTALL]);
	assert_true(config.gates.window_applies_to[UPT_GATE_REBOOT]);
	upt_config_clear(&config);
	load_ok("[gates]\nwindow = 01:00-02:00\nwindow =\nwindow = 02:00-05:00\n"
		"window = Sat 22:00-04:00\nwindow_applies_to = reboot\t download\n"
		"dir =\ninhibit =\ntimeout_s = 3600\nretry_s = 1\n",
		&config);
	assert_null(config.gates.dir);
	assert_null(config.gates.inhibit_path);
	assert_int_equal(config.gates.timeout_ms, 3600000);
	assert_int_equal(config.gates.retry_s, 1);
	assert_int_equal(config.gates.n_windows, 2);
	assert_int_equal(config.gates.windows[0].from_min, 120);
	assert_int_equal(config.gates.windows[1].days, 0x40);
	assert_true(config.gates.window_applies_to[UPT_GATE_DOWNLOAD]);
	assert_false(config.gates.window_applies_to[UPT_GATE_INSTALL]);
	assert_true(config.gates.window_applies_to[UPT_GATE_REBOOT]);
	upt_config_clear(&config);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_settings_are_named),
		cmocka_unit_test(the_machines_own_system_reboots_and_is_asked),
		cmocka_unit_test(a_system_in_a_folder_touches_nothing_of_the_machine),
		cmocka_unit_test(settings_reach_their_place),
		cmocka_unit_test(gates_are_read),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
