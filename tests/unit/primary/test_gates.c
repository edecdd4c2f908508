/* Gates before download, installation and reboot: each of their answers, and what becomes of an
 * update that waits. */
#include "world.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vehicle.h"

#define MAX_CUTS 200

/* ---- a vehicle that is to get a second release ---- */

static void
assign(struct world *w, unsigned n)
{
	char name[16];

	for (int i = PRIM; i <= APP; i++) {
		snprintf(name, sizeof(name), "%s-%u", world_serial((enum world_ecu)i), n);
		world_release(w, name, i == PRIM ? "hw-prim" : "hw-app", n);
		if (n == 1 && w->reboots && i == PRIM)
			vehicle_flash(w, &world_target(w, name)->image);
		world_assign(w, (enum world_ecu)i, name);
	}
	world_publish(w);
}

static void
cycle(struct world *w)
{
	w->kill_at = 0;
	assert_true(world_cycle(w));
	assert_string_equal(w->result->message, "");
}

static void
equip(struct world *w)
{
	assign(w, 1);
	cycle(w);
	assign(w, 2);
	world_forget_requests(w);
}

static void
set_up(struct world *w)
{
	world_init(w);
	equip(w);
}

static void
path_of(const struct world *w, const char *name, char out[static PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/%s", w->dir, name);
}

static void
gate(struct world *w, const char *name, const char *commands)
{
	char text[1024], file[300], path[PATH_MAX];

	snprintf(text, sizeof(text), "#!/bin/sh\n%s\n", commands);
	snprintf(file, sizeof(file), "gates.d/%s", name);
	world_write(w, file, text);
	path_of(w, file, path);
	assert_int_equal(chmod(path, 0755), 0);
}

static void
remove_file(struct world *w, const char *name)
{
	char path[PATH_MAX];

	path_of(w, name, path);
	assert_int_equal(remove(path), 0);
}

static unsigned
n_images(struct world *w)
{
	char path[PATH_MAX];
	struct dirent *entry;
	unsigned n = 0;
	DIR *dir;

	path_of(w, "state/images", path);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL)
		n += strlen(entry->d_name) == 64;
	closedir(dir);
	return n;
}

static void
assert_runs(struct world *w, unsigned n, const char *prim_refused)
{
	char name[16];

	for (int i = PRIM; i <= APP; i++) {
		enum world_ecu ecu = (enum world_ecu)i;

		snprintf(name, sizeof(name), "%s-%u", world_serial(ecu), n);
		if (i != PRIM || !w->reboots)
			assert_true(world_runs(w, ecu, name));
		assert_string_equal(world_slot(w, ecu, UPT_SLOT_INSTALLED), name);
		assert_string_equal(world_slot(w, ecu, UPT_SLOT_PENDING), "");
	}
	assert_string_equal(world_slot(w, PRIM, UPT_SLOT_REFUSED), prim_refused);
}

struct search {
	const char *text;
	unsigned n;
};

static enum upt_code
look_at(void *ctx, const struct upt_incident *incident, struct upt_err *err)
{
	struct search *search = ctx;

	(void)err;
	search->n += strstr(incident->message, search->text) != NULL;
	return UPT_OK;
}

static unsigned
n_incidents(struct world *w, const char *text)
{
	upt_cleanup(upt_store_close) struct upt_store *store = world_store(w);
	struct search search = {.text = text};

	assert_ok(upt_store_each_incident(store, false, look_at, &search, why));
	return search.n;
}

/* The cycle ends well, and the wait is what is told. */
static void
assert_waits(struct world *w, enum upt_gate before, const char *name, const char *reason)
{
	char text[UPT_WAIT_TEXT_SIZE];
	upt_cleanup(upt_store_close) struct upt_store *store = NULL;
	upt_cleanup(upt_buf_clear) struct upt_buf last = {0}, waits = {0};

	cycle(w);
	assert_int_equal(w->result->summary.n_installed, 0);
	assert_string_equal(w->result->wait.gate, name);
	assert_int_equal(w->result->wait.before, before);
	assert_non_null(strstr(w->result->wait.reason, reason));
	assert_int_equal(w->result->wait.until, w->now + (int64_t)w->result->wait.retry_s);
	store = world_store(w);
	assert_ok(upt_store_get_text(store, "last_cycle", &last, why));
	snprintf(text, sizeof(text), " ok waits for gate %s", name);
	assert_non_null(strstr((const char *)last.data, text));
	assert_ok(upt_store_get_text(store, "waits", &waits, why));
	snprintf(text, sizeof(text), "%lld %s %s ", (long long)w->result->wait.until,
		upt_gate_name(before), name);
	assert_memory_equal(waits.data, text, strlen(text));
	upt_store_close(&store);
	assert_int_equal(n_incidents(w, ""), 0);
}

/* Nothing speaks against it any more. */
static void
assert_installs(struct world *w)
{
	upt_cleanup(upt_store_close) struct upt_store *store = NULL;
	upt_cleanup(upt_buf_clear) struct upt_buf waits = {0};

	cycle(w);
	assert_string_equal(w->result->wait.gate, "");
	assert_int_equal(w->result->summary.n_installed, 2);
	assert_runs(w, 2, "");
	store = world_store(w);
	assert_ok(upt_store_get_text(store, "waits", &waits, why));
	assert_int_equal(waits.len, 0);
}

/* ---- now, and not now ---- */

static void
an_update_waits_for_its_gate_and_is_fetched_once(void **state)
{
	struct world w;

	(void)state;
	set_up(&w);
	gate(&w, "50-parked", "[ $1 != install ] || { echo it moves; exit 75; }");
	for (int i = 0; i < 2; i++) {
		assert_waits(&w, UPT_GATE_INSTALL, "50-parked", "it moves");
		assert_int_equal(w.result->wait.retry_s, 300);
		assert_runs(&w, 1, "");
		assert_int_equal(n_images(&w), 2);
	}
	assert_int_equal(world_n_requests(&w, "GET /repo/targets/"), 2);
	gate(&w, "50-parked", "exit 0");
	assert_installs(&w);
	assert_int_equal(world_n_requests(&w, "GET /repo/targets/"), 2);
	world_clear(&w);
}

static void
nothing_is_fetched_before_its_gate_is_open(void **state)
{
	struct world w;

	(void)state;
	set_up(&w);
	gate(&w, "metered", "[ $1 != download ] || exit 75");
	assert_waits(&w, UPT_GATE_DOWNLOAD, "metered", "");
	assert_runs(&w, 1, "");
	assert_int_equal(n_images(&w), 0);
	assert_int_equal(world_n_requests(&w, "GET /repo/targets/"), 0);
	gate(&w, "metered", "exit 0");
	assert_installs(&w);
	/* with nothing to do nobody is asked */
	gate(&w, "metered", "exit 69");
	cycle(&w);
	assert_string_equal(w.result->wait.gate, "");
	world_clear(&w);
}

/* Each status but 0, every death and silence: nothing is installed, and the gate is named. */
static void
whatever_is_no_clear_answer_means_not_now(void **state)
{
	static const struct {
		const char *commands, *reason;
		unsigned retry_s;
	} answers[] = {
		{"exit 75", "", 300},
		{"echo 'retry-after 60'; exit 75", "", 60},
		{"echo on the motorway; echo retry-after 7; exit 75", "on the motorway", 7},
		{"echo retry-after 0; exit 75", "", 1},
		{"echo retry-after 86400; exit 75", "", 86400},
		{"echo retry-after 86401; exit 75", "", 86400},
		{"echo retry-after 99999999999999999999999999; exit 75", "", 86400},
		{"echo retry-after 5; echo retry-after 9; exit 75", "", 5},
		{"echo retry-after -5; exit 75", "retry-after -5", 300},
		{"echo retry-after 5s; exit 75", "retry-after 5s", 300},
		{"printf 'a\\033[2Jb\\nretry-after 5'; exit 75", "a?[2Jb", 5},
		{"exit 1", "it exited with 1", 300},
		{"echo no; exit 3", "it exited with 3: no", 300},
		{"exit 70", "it exited with 70", 300},
		{"exit 255", "it exited with 255", 300},
		{"kill -SEGV $$", "signal 11", 300},
		{"sleep 1000", "did not end within 1000 ms", 300},
		{"exec /nonexistent", "it exited with 127", 300},
	};
	struct world w;

	(void)state;
	world_init(&w);
	w.extra = "timeout_s = 1\n";
	equip(&w);
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		gate(&w, "odd", answers[i].commands);
		assert_waits(&w, UPT_GATE_DOWNLOAD, "odd", answers[i].reason);
		assert_int_equal(w.result->wait.retry_s, answers[i].retry_s);
		if (answers[i].reason[0] == '\0')
			assert_string_equal(w.result->wait.reason, "");
	}
	assert_runs(&w, 1, "");
	assert_int_equal(world_n_requests(&w, "GET /repo/targets/"), 0);
	/* what it says does not matter when it says yes */
	gate(&w, "odd", "echo retry-after 60; echo no; exit 0");
	assert_installs(&w);
	world_clear(&w);
}

static void
gates_are_asked_in_the_order_of_their_names_until_one_says_no(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf asked = {0};
	struct world w;

	(void)state;
	set_up(&w);
	gate(&w, "30-c", "echo c $1 $# >>$(dirname $0)/../asked");
	gate(&w, "20-b", "echo b $1 $# >>$(dirname $0)/../asked; [ $1 = download ] || exit 75");
	gate(&w, "10-a", "echo a $1 $# >>$(dirname $0)/../asked");
	gate(&w, "15-not.asked", "exit 69");
	gate(&w, "15-backup~", "exit 69");
	assert_waits(&w, UPT_GATE_INSTALL, "20-b", "");
	world_file(&w, "asked", &asked);
	assert_string_equal((const char *)asked.data,
		"a download 1\nb download 1\nc download 1\na install 1\nb install 1\n");
	world_clear(&w);
}

/* ---- what a gate is told ---- */

static void
a_gate_knows_what_it_is_about_and_nothing_else_of_ours(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf told = {0};
	struct world w;

	(void)state;
	set_up(&w);
	assert_int_equal(setenv("SECRET", "x", 1), 0);
	gate(&w, "gate",
		"env | grep -v ^PWD= | sort >$(dirname $0)/../told.$1; cat >>$(dirname "
		"$0)/../told.$1");
	assert_installs(&w);
	assert_int_equal(unsetenv("SECRET"), 0);
	world_file(&w, "told.install", &told);
	/* the lines of the value are sorted with the others */
	assert_string_equal((const char *)told.data,
		"\nLC_ALL=C\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\nUPTANE_N_UPDATES=2\n"
		"UPTANE_UPDATES=prim\tprim-2\nUPTANE_VEHICLE_ID=" WORLD_VEHICLE "\napp\tapp-2\n");
	world_clear(&w);
}

/* ---- what must not be run ---- */

static void
a_gate_that_others_can_write_is_not_run(void **state)
{
	char path[PATH_MAX], folder[PATH_MAX], elsewhere[PATH_MAX];
	upt_cleanup(upt_buf_clear) struct upt_buf ran = {0};
	static const mode_t modes[] = {0757, 0775};
	struct world w;

	(void)state;
	set_up(&w);
	gate(&w, "10-first", "exit 0");
	gate(&w, "50-gate", "echo ran >>$(dirname $0)/../ran");
	path_of(&w, "gates.d/50-gate", path);
	path_of(&w, "gates.d", folder);
	path_of(&w, "elsewhere", elsewhere);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(chmod(path, modes[i]), 0);
		assert_waits(&w, UPT_GATE_DOWNLOAD, "gates.d", "gates.d/50-gate is not run");
		assert_int_equal(chmod(path, 0755), 0);
		assert_int_equal(chmod(folder, modes[i]), 0);
		assert_waits(&w, UPT_GATE_DOWNLOAD, "gates.d", "are not run");
		assert_int_equal(chmod(folder, 0755), 0);
	}
	assert_int_equal(rename(path, elsewhere), 0);
	assert_int_equal(symlink(elsewhere, path), 0);
	assert_waits(&w, UPT_GATE_DOWNLOAD, "gates.d", "gates.d/50-gate is not run");
	assert_int_equal(unlink(path), 0);
	/* nor is one that cannot be run */
	assert_int_equal(rename(elsewhere, path), 0);
	assert_int_equal(chmod(path, 0644), 0);
	assert_waits(&w, UPT_GATE_DOWNLOAD, "50-gate", "cannot start");
	world_file(&w, "ran", &ran);
	assert_int_equal(ran.len, 0);
	assert_runs(&w, 1, "");
	assert_int_equal(chmod(path, 0755), 0);
	assert_installs(&w);
	world_file(&w, "ran", &ran);
	assert_true(ran.len > 0);
	world_clear(&w);
}

/* ---- never ---- */

static void
refused_for_good(enum upt_gate step, unsigned n_fetched)
{
	struct upt_ecu_report report;
	char commands[64];
	struct world w;

	set_up(&w);
	snprintf(commands, sizeof(commands), "[ $1 != %s ] || { echo not for us; exit 69; }",
		upt_gate_name(step));
	gate(&w, "policy", commands);
	assert_true(world_cycle(&w));
	assert_code(w.result->code, UPT_E_INSTALL);
	assert_non_null(strstr(w.result->message, "gate policy refuses this update before its "));
	assert_non_null(strstr(w.result->message, ": not for us"));
	assert_string_equal(w.result->wait.gate, "");
	assert_runs(&w, 1, "prim-2");
	assert_string_equal(world_slot(&w, APP, UPT_SLOT_REFUSED), "app-2");
	assert_int_equal(world_n_requests(&w, "GET /repo/targets/"), n_fetched);
	assert_int_equal(n_incidents(&w, "not for us"), 1);
	/* not tried again, and nobody asked, though the gate has changed its mind */
	gate(&w, "policy", "exit 0");
	cycle(&w);
	assert_int_equal(w.result->summary.n_refused, 2);
	assert_runs(&w, 1, "prim-2");
	assert_int_equal(world_n_requests(&w, "GET /repo/targets/"), n_fetched);
	assert_int_equal(n_incidents(&w, ""), 1);
	/* the Director has */
	assign(&w, 3);
	cycle(&w);
	assert_runs(&w, 3, "");
	assert_true(world_reported(&w, "prim", &report));
	assert_string_equal(report.installed.name, "prim-3");
	world_clear(&w);
}

static void
a_bundle_that_a_gate_refuses_stays_away(void **state)
{
	(void)state;
	refused_for_good(UPT_GATE_DOWNLOAD, 0);
	refused_for_good(UPT_GATE_INSTALL, 2);
}

/* ---- verified again ---- */

static void
an_image_that_changed_while_it_waited_is_not_installed(void **state)
{
	char path[PATH_MAX], name[300];
	struct dirent *entry;
	struct world w;
	FILE *file;
	DIR *dir;

	(void)state;
	set_up(&w);
	gate(&w, "gate", "[ $1 != install ] || exit 75");
	assert_waits(&w, UPT_GATE_INSTALL, "gate", "");
	path_of(&w, "state/images", path);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		if (strlen(entry->d_name) != 64)
			continue;
		snprintf(name, sizeof(name), "state/images/%s", entry->d_name);
		path_of(&w, name, path);
		file = fopen(path, "r+e");
		assert_non_null(file);
		assert_int_equal(fputc('X', file), 'X'); /* as long as before */
		assert_int_equal(fclose(file), 0);
	}
	closedir(dir);
	gate(&w, "gate", "exit 0");
	assert_true(world_cycle(&w));
	assert_code(w.result->code, UPT_E_IMAGE_HASH);
	assert_runs(&w, 1, "");
	/* and is fetched anew: both were damaged, each cycle finds one */
	for (int i = 0; i < 2; i++)
		assert_true(world_cycle(&w));
	assert_code(w.result->code, UPT_OK);
	assert_runs(&w, 2, "");
	world_clear(&w);
}

static void
metadata_that_expired_while_it_waited_installs_nothing(void **state)
{
	struct world w;

	(void)state;
	set_up(&w);
	gate(&w, "gate", "[ $1 != install ] || exit 75");
	w.image.expires[UPT_ROLE_TARGETS] = w.now + 1000;
	world_publish(&w);
	assert_waits(&w, UPT_GATE_INSTALL, "gate", "");
	gate(&w, "gate", "exit 0");
	w.now += 1000;
	assert_true(world_cycle(&w));
	assert_code(w.result->code, UPT_E_EXPIRED);
	assert_runs(&w, 1, "");
	w.image.expires[UPT_ROLE_TARGETS] = w.now + 1000;
	world_publish(&w);
	assert_installs(&w);
	world_clear(&w);
}

/* The last look at the clock comes behind the gates: they may take their time. */
static void
metadata_that_expires_while_gates_are_asked_installs_nothing(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	/* a window that is always open makes the gates look at the clock */
	w.extra = "window = 00:00-24:00\nwindow_applies_to = install\n";
	equip(&w);
	w.clock_step = 1000;
	/* looks: at the start, after the manifest, for the window; the fourth finds it expired */
	w.image.expires[UPT_ROLE_TARGETS] = w.now + 4 * w.clock_step;
	world_publish(&w);
	assert_true(world_cycle(&w));
	assert_code(w.result->code, UPT_E_EXPIRED);
	assert_runs(&w, 1, "");
	w.image.expires[UPT_ROLE_TARGETS] = w.now + 5 * w.clock_step;
	world_publish(&w);
	assert_installs(&w);
	world_clear(&w);
}

/* ---- inhibitor and windows ---- */

static void
an_inhibitor_holds_back_while_it_is_there(void **state)
{
	char path[PATH_MAX];
	struct world w;

	(void)state;
	set_up(&w);
	world_write(&w, "inhibit", "a person works\033[2J here\nsecond line\n");
	assert_waits(&w, UPT_GATE_INSTALL, "inhibitor", "a person works?[2J here");
	assert_null(strstr(w.result->wait.reason, "second"));
	assert_int_equal(n_images(&w), 2);
	/* empty, no text, no file at all: it is there */
	world_write(&w, "inhibit", "");
	assert_waits(&w, UPT_GATE_INSTALL, "inhibitor", "");
	remove_file(&w, "inhibit");
	path_of(&w, "inhibit", path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_waits(&w, UPT_GATE_INSTALL, "inhibitor", "");
	remove_file(&w, "inhibit");
	assert_int_equal(symlink("/nonexistent", path), 0);
	assert_waits(&w, UPT_GATE_INSTALL, "inhibitor", "");
	assert_runs(&w, 1, "");
	remove_file(&w, "inhibit");
	assert_installs(&w);
	world_clear(&w);
}

static void
a_long_reason_is_cut(void **state)
{
	char reason[UPT_REASON_SIZE], path[PATH_MAX];
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	bool was_there;
	struct world w;

	(void)state;
	world_init(&w);
	path_of(&w, "run/inhibit", path);
	assert_false(upt_inhibitor_find(path, reason));
	for (int i = 0; i < 1000; i++)
		assert_ok(upt_buf_append(&text, "x", 1, why));
	assert_ok(upt_inhibitor_set(path, (const char *)text.data, why));
	assert_true(upt_inhibitor_find(path, reason));
	assert_int_equal(strlen(reason), UPT_REASON_SIZE - 1);
	assert_ok(upt_inhibitor_set(path, "other", why));
	assert_true(upt_inhibitor_find(path, reason));
	assert_string_equal(reason, "other");
	assert_ok(upt_inhibitor_remove(path, &was_there, why));
	assert_true(was_there);
	assert_false(upt_inhibitor_find(path, reason));
	assert_ok(upt_inhibitor_remove(path, &was_there, why));
	assert_false(was_there);
	world_clear(&w);
}

static void
an_installation_waits_for_its_window(void **state)
{
	struct world w;

	(void)state;
	assert_int_equal(setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1), 0);
	world_init(&w);
	equip(&w);
	/* Friday the 15th of January, 09:00 on the wall */
	assert_int_equal(w.now, 1800000000);
	w.extra = "window = Mon-Fri 02:00-05:00\nwindow = Sat 22:00-02:00\n";
	assert_waits(&w, UPT_GATE_INSTALL, "window", "no maintenance window is open");
	assert_int_equal(w.result->wait.retry_s, 37 * 3600);
	assert_int_equal(n_images(&w), 2);
	w.now += 37 * 3600 - 1;
	assert_waits(&w, UPT_GATE_INSTALL, "window", "no maintenance window is open");
	assert_int_equal(w.result->wait.retry_s, 1);
	assert_runs(&w, 1, "");
	w.now++;
	/* an open window does not open the gates */
	gate(&w, "gate", "[ $1 != install ] || exit 75");
	assert_waits(&w, UPT_GATE_INSTALL, "gate", "");
	remove_file(&w, "gates.d/gate");
	assert_installs(&w);
	unsetenv("TZ");
	world_clear(&w);
}

static void
a_window_is_for_the_steps_that_it_is_said_to_be_for(void **state)
{
	struct world w;

	(void)state;
	set_up(&w);
	w.extra = "window = Mon 02:00-05:00\nwindow_applies_to = download\n";
	assert_waits(&w, UPT_GATE_DOWNLOAD, "window", "");
	assert_int_equal(world_n_requests(&w, "GET /repo/targets/"), 0);
	w.extra = "window = Mon 02:00-05:00\nwindow_applies_to = reboot\n";
	assert_installs(&w);
	world_clear(&w);
}

/* ---- the reboot ---- */

static void
write_reboot(struct world *w, char extra[static PATH_MAX], const char *more)
{
	char path[PATH_MAX];

	world_write(w, "reboot", "#!/bin/sh\necho asked >>$0.log\n");
	path_of(w, "reboot", path);
	assert_int_equal(chmod(path, 0755), 0);
	snprintf(extra, PATH_MAX, "%s[primary]\nreboot_command = %.200s\n", more, path);
	w->extra = extra;
}

/* A cycle of the service, and whether it asked for the reboot. */
static bool
cycle_and_reboot(struct world *w, struct upt_wait *wait)
{
	upt_cleanup(upt_config_clear) struct upt_config config = {0};
	upt_cleanup(upt_primary_free) struct upt_primary *p = world_primary(w, &config);
	upt_cleanup(upt_buf_clear) struct upt_buf log = {0};
	struct upt_cycle_summary summary;

	world_write(w, "reboot.log", "");
	assert_ok(upt_primary_cycle(p, &summary, why));
	assert_true(summary.wants_reboot);
	assert_ok(upt_primary_reboot(p, why));
	*wait = (struct upt_wait){0};
	if (upt_primary_waits(p) != NULL)
		*wait = *upt_primary_waits(p);
	world_file(w, "reboot.log", &log);
	return log.len > 0;
}

static void
a_reboot_waits_for_its_gate(void **state)
{
	char extra[PATH_MAX];
	struct upt_wait wait;
	struct world w;

	(void)state;
	world_init(&w);
	w.reboots = true;
	write_reboot(&w, extra, "");
	equip(&w);
	gate(&w, "gate",
		"[ $1 != reboot ] || { echo $UPTANE_UPDATES; echo retry-after 9; exit 75; }");
	for (int i = 0; i < 2; i++) {
		assert_false(cycle_and_reboot(&w, &wait));
		assert_string_equal(wait.gate, "gate");
		assert_int_equal(wait.before, UPT_GATE_REBOOT);
		assert_string_equal(wait.reason, "prim prim-2");
		assert_int_equal(wait.retry_s, 9);
		assert_string_equal(world_slot(&w, PRIM, UPT_SLOT_PENDING), "prim-2");
		assert_true(world_runs(&w, APP, "app-2"));
	}
	/* what waits already is not refused any more */
	gate(&w, "gate", "echo never; exit 69");
	assert_false(cycle_and_reboot(&w, &wait));
	assert_string_equal(wait.reason, "never");
	assert_string_equal(world_slot(&w, PRIM, UPT_SLOT_PENDING), "prim-2");
	assert_string_equal(world_slot(&w, PRIM, UPT_SLOT_REFUSED), "");
	gate(&w, "gate", "exit 0");
	world_write(&w, "inhibit", "");
	assert_false(cycle_and_reboot(&w, &wait));
	assert_string_equal(wait.gate, "inhibitor");
	remove_file(&w, "inhibit");
	assert_true(cycle_and_reboot(&w, &wait));
	assert_string_equal(wait.gate, "");
	world_clear(&w);
}

/* A system that failed its trial is left outside of a window too, but not on the road. */
static void
the_way_back_waits_for_gates_and_for_no_window(void **state)
{
	char extra[PATH_MAX];
	struct upt_wait wait;
	struct world w;

	(void)state;
	world_init(&w);
	w.reboots = true;
	write_reboot(&w, extra, "");
	equip(&w);
	write_reboot(&w, extra, "window = Mon 02:00-05:00\nwindow_applies_to = reboot\n");
	assert_false(cycle_and_reboot(&w, &wait));
	assert_string_equal(wait.gate, "window");
	world_reboot(&w, true); /* by somebody else */
	w.app_unwell = true;
	gate(&w, "gate", "exit 75");
	assert_false(cycle_and_reboot(&w, &wait));
	assert_string_equal(wait.gate, "gate");
	assert_string_equal(world_slot(&w, PRIM, UPT_SLOT_REFUSED), "prim-2");
	gate(&w, "gate", "exit 0");
	assert_true(cycle_and_reboot(&w, &wait));
	world_clear(&w);
}

/* ---- with cuts ---- */

/* The power goes in the middle of a bundle, and the gate is closed when it is back: what is begun
 * waits as it is, and then is finished. */
static void
a_bundle_that_was_cut_waits_for_its_gate(void **state)
{
	bool cut = true;
	int n = 1;

	(void)state;
	for (; cut && n < MAX_CUTS; n++) {
		bool app_is_new, prim_is_new;
		struct world w;

		world_init(&w);
		w.many = true;
		equip(&w);
		w.kill_at = n;
		cut = !world_cycle(&w);
		w.kill_at = 0;
		gate(&w, "gate", "[ $1 != install ] || exit 75");
		app_is_new = world_runs(&w, APP, "app-2");
		prim_is_new = world_runs(&w, PRIM, "prim-2");
		cycle(&w);
		if (!prim_is_new)
			assert_string_equal(w.result->wait.gate, "gate");
		assert_int_equal(world_runs(&w, APP, "app-2"), app_is_new);
		assert_int_equal(world_runs(&w, PRIM, "prim-2"), prim_is_new);
		/* an installer's "no" to the rest takes back what was begun, as without a wait */
		if (app_is_new && !prim_is_new) {
			gate(&w, "gate", "[ $1 != install ] || exit 69");
			assert_true(world_cycle(&w));
			assert_code(w.result->code, UPT_E_INSTALL);
			assert_runs(&w, 1, "prim-2");
			assert_string_equal(world_slot(&w, APP, UPT_SLOT_REFUSED), "app-2");
		} else {
			gate(&w, "gate", "exit 0");
			cycle(&w);
			assert_runs(&w, 2, "");
		}
		world_clear(&w);
	}
	assert_in_range(n, 20, MAX_CUTS - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_update_waits_for_its_gate_and_is_fetched_once),
		cmocka_unit_test(nothing_is_fetched_before_its_gate_is_open),
		cmocka_unit_test(whatever_is_no_clear_answer_means_not_now),
		cmocka_unit_test(gates_are_asked_in_the_order_of_their_names_until_one_says_no),
		cmocka_unit_test(a_gate_knows_what_it_is_about_and_nothing_else_of_ours),
		cmocka_unit_test(a_gate_that_others_can_write_is_not_run),
		cmocka_unit_test(a_bundle_that_a_gate_refuses_stays_away),
		cmocka_unit_test(an_image_that_changed_while_it_waited_is_not_installed),
		cmocka_unit_test(metadata_that_expired_while_it_waited_installs_nothing),
		cmocka_unit_test(metadata_that_expires_while_gates_are_asked_installs_nothing),
		cmocka_unit_test(an_inhibitor_holds_back_while_it_is_there),
		cmocka_unit_test(a_long_reason_is_cut),
		cmocka_unit_test(an_installation_waits_for_its_window),
		cmocka_unit_test(a_window_is_for_the_steps_that_it_is_said_to_be_for),
		cmocka_unit_test(a_reboot_waits_for_its_gate),
		cmocka_unit_test(the_way_back_waits_for_gates_and_for_no_window),
		cmocka_unit_test(a_bundle_that_was_cut_waits_for_its_gate),
	};

	return cmocka_run_group_tests_name("primary.gates", tests, NULL, NULL);
}
