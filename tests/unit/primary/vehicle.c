#include "vehicle.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/file.h"
#include "installer/boot_internal.h"
#include "manifest/manifest.h"

/* ---- a system that reboots: which image runs, boots next, ran before; as libostree's installer
 * does ---- */

struct system_state {
	char running[65], next[65], previous[65];
	unsigned boot, changed_in; /* the boot in which next was chosen */
	bool going_back;
};

static struct world *world; /* of this process */
static struct upt_boot *loader;

static void
state_path(const struct world *w, char out[static PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/system", w->dir);
}

static struct system_state
load(const struct world *w)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	struct system_state state;
	char path[PATH_MAX];

	state_path(w, path);
	assert_ok(upt_file_read(AT_FDCWD, path, sizeof(state), &bytes, why));
	memcpy(&state, bytes.data, sizeof(state));
	return state;
}

/* upt_file_replace() fsyncs and renames: each a moment at which the power may go. */
static void
save(const struct world *w, const struct system_state *state)
{
	char path[PATH_MAX];

	state_path(w, path);
	assert_ok(upt_file_replace(AT_FDCWD, path, 0600, upt_span(state, sizeof(*state)), why));
}

static void
hex_of(const struct upt_image *image, char out[static 65])
{
	const struct upt_digest *sha256 = upt_image_digest(image, UPT_HASH_SHA256);

	upt_hex_encode(upt_span(sha256->bytes, sha256->len), out);
}

static enum upt_code
system_current(struct upt_installer *self, struct upt_image *out, struct upt_err *err)
{
	struct system_state state = load(world);

	(void)self;
	*out = (struct upt_image){.n_digests = 1};
	if (world->no_current[PRIM])
		return upt_fail(err, UPT_E_IO, "the system cannot be read");
	assert_true(
		upt_digest_parse(UPT_HASH_SHA256, upt_span_str(state.running), &out->digests[0]));
	return UPT_OK;
}

static enum upt_code
system_prepare(struct upt_installer *self, const struct upt_install_job *job,
	const struct upt_install_progress *progress, struct upt_err *err)
{
	(void)self, (void)job, (void)progress, (void)err;
	return UPT_OK;
}

static enum upt_code
system_install(struct upt_installer *self, const struct upt_install_job *job, bool *needs_reboot,
	struct upt_err *err)
{
	struct system_state state = load(world);
	char hex[65];

	(void)self;
	if (world->fail_install == PRIM)
		return upt_fail(err, world->fail_code, "the system cannot be deployed");
	hex_of(job->image, hex);
	*needs_reboot = strcmp(state.running, hex) != 0;
	state.going_back = false;
	state.changed_in = state.boot;
	memcpy(state.next, hex, sizeof(hex));
	if (*needs_reboot)
		UPT_TRY(loader->ops->arm(loader, 3, err));
	save(world, &state);
	return UPT_OK;
}

static enum upt_code
system_finalize(
	struct upt_installer *self, const struct upt_image *image, bool *done, struct upt_err *err)
{
	struct system_state state = load(world);
	char hex[65];

	(void)self;
	hex_of(image, hex);
	*done = strcmp(state.running, hex) == 0;
	if (*done || (strcmp(state.next, hex) == 0 && state.changed_in == state.boot))
		return UPT_OK;
	return upt_fail(err, UPT_E_INSTALL, "%.8s booted, not %.8s", state.running, hex);
}

/* What runs is what boots, and it is not counted. */
static enum upt_code
stay(struct system_state *state, struct upt_err *err)
{
	memcpy(state->next, state->running, sizeof(state->next));
	state->changed_in = state->boot;
	save(world, state);
	return loader->ops->mark_good(loader, err);
}

static enum upt_code
system_stay(struct upt_installer *self, struct upt_err *err)
{
	struct system_state state = load(world);

	(void)self;
	return strcmp(state.next, state.running) != 0 ? stay(&state, err) : UPT_OK;
}

static enum upt_code
system_rollback(struct upt_installer *self, bool *needs_reboot, struct upt_err *err)
{
	struct system_state state = load(world);

	(void)self;
	*needs_reboot = false;
	if (world->fail_rollback)
		return upt_fail(err, UPT_E_INSTALL, "the list of deployments cannot be written");
	*needs_reboot = strcmp(state.next, state.running) == 0 || state.going_back;
	if (strcmp(state.next, state.running) != 0) {
		if (state.going_back)
			return UPT_OK; /* asked again */
		return stay(&state, err);
	}
	if (state.previous[0] == '\0')
		return upt_fail(err, UPT_E_NOT_FOUND, "nothing to go back to");
	memcpy(state.next, state.previous, sizeof(state.next));
	state.going_back = true;
	UPT_TRY(loader->ops->arm(loader, 3, err));
	state.changed_in = state.boot;
	save(world, &state);
	return UPT_OK;
}

/* The file installer that this one hides is freed behind it. */
static void (*real_free)(struct upt_installer *self);

static void
system_free(struct upt_installer *self)
{
	real_free(self);
}

static const struct upt_installer_ops system_ops = {.format = "OSTREE",
	.current = system_current,
	.prepare = system_prepare,
	.install = system_install,
	.finalize = system_finalize,
	.stay = system_stay,
	.rollback = system_rollback,
	.free = system_free};

static void
write_grubenv(const struct world *w, const struct upt_grubenv_value *value)
{
	char block[UPT_GRUBENV_BYTES], path[PATH_MAX];
	upt_cleanup(upt_buf_clear) struct upt_buf old = {0};

	snprintf(path, sizeof(path), "%s/grubenv", w->dir);
	memset(block, '#', sizeof(block));
	memcpy(block, "# GRUB Environment Block\n", 25);
	if (value != NULL) {
		assert_ok(upt_file_read(AT_FDCWD, path, sizeof(block), &old, why));
		memcpy(block, old.data, sizeof(block));
		assert_ok(upt_grubenv_set((uint8_t *)block, value, 1, why));
	}
	assert_ok(upt_file_replace(AT_FDCWD, path, 0600, upt_span(block, sizeof(block)), why));
}

void
vehicle_flash(struct world *w, const struct upt_image *image)
{
	struct system_state state = {.boot = 1};

	hex_of(image, state.running);
	memcpy(state.next, state.running, sizeof(state.next));
	save(w, &state);
	if (w->counts)
		write_grubenv(w, NULL);
}

static void
run_commit(struct system_state *state, const char *commit)
{
	char now[65];

	memcpy(now, commit, sizeof(now));
	if (strcmp(now, state->running) == 0)
		return;
	memcpy(state->previous, state->running, sizeof(state->previous));
	memcpy(state->running, now, sizeof(state->running));
}

void
vehicle_grubenv(const struct world *w, const char *name, char out[static 17])
{
	upt_cleanup(upt_buf_clear) struct upt_buf block = {0};
	char path[PATH_MAX];
	bool found;

	snprintf(path, sizeof(path), "%s/grubenv", w->dir);
	assert_ok(upt_file_read(AT_FDCWD, path, UPT_GRUBENV_BYTES, &block, why));
	assert_ok(upt_grubenv_find(upt_buf_span(&block), name, out, &found, why));
}

/* As grub.cfg counts; false: the tries are used up. */
static bool
grub_has_a_try(const struct world *w)
{
	char counter[17], success[17], less[24];
	long left;

	vehicle_grubenv(w, "boot_counter", counter);
	vehicle_grubenv(w, "boot_success", success);
	write_grubenv(w, &(struct upt_grubenv_value){"boot_success", "0"});
	if (counter[0] == '\0' || strcmp(success, "0") != 0)
		return true;
	left = strtol(counter, NULL, 10);
	snprintf(less, sizeof(less), "%ld", left > 0 ? left - 1 : -1);
	write_grubenv(w, &(struct upt_grubenv_value){"boot_counter", less});
	return left > 0;
}

/* The entry behind the default: what ran when that was chosen. */
static const char *
second_entry(const struct system_state *state)
{
	return strcmp(state->next, state->running) != 0 ? state->running : state->previous;
}

static void
boot_counted(struct world *w, struct system_state *state, bool comes_up)
{
	unsigned n = 0;

	while (grub_has_a_try(w)) {
		if (comes_up) {
			run_commit(state, state->next);
			return;
		}
		/* a watchdog starts it again */
		assert_true(++n < 100);
	}
	run_commit(state, second_entry(state));
}

void
vehicle_reboot(struct world *w, bool comes_up)
{
	struct system_state state = load(w);

	state.boot++;
	state.going_back = false;
	if (w->counts) {
		boot_counted(w, &state, comes_up || strcmp(state.next, state.running) == 0);
	} else {
		if (!comes_up)
			memcpy(state.next, state.running, sizeof(state.next));
		run_commit(&state, state.next);
	}
	save(w, &state);
}

/* ---- an installer that says no ---- */

static struct upt_installer_ops app_ops;
static const struct upt_installer_ops *real_app_ops;

static enum upt_code
app_install(struct upt_installer *self, const struct upt_install_job *job, bool *needs_reboot,
	struct upt_err *err)
{
	if (world->fail_install == APP)
		return upt_fail(err, world->fail_code, "the application does not start");
	return real_app_ops->install(self, job, needs_reboot, err);
}

static enum upt_code
app_current(struct upt_installer *self, struct upt_image *out, struct upt_err *err)
{
	if (world->no_current[APP])
		return upt_fail(err, UPT_E_NETWORK, "the engine does not answer");
	return real_app_ops->current(self, out, err);
}

static enum upt_code
app_check(struct upt_installer *self, struct upt_err *err)
{
	(void)self;
	return world->app_unwell ? upt_fail(err, UPT_E_INSTALL, "the application does not answer")
				 : UPT_OK;
}

static struct upt_installer_ops prim_ops;
static const struct upt_installer_ops *real_prim_ops;

static enum upt_code
prim_install(struct upt_installer *self, const struct upt_install_job *job, bool *needs_reboot,
	struct upt_err *err)
{
	if (world->fail_install == PRIM)
		return upt_fail(err, world->fail_code, "no");
	return real_prim_ops->install(self, job, needs_reboot, err);
}

static enum upt_code
prim_current(struct upt_installer *self, struct upt_image *out, struct upt_err *err)
{
	if (world->no_current[PRIM])
		return upt_fail(err, UPT_E_IO, "the file cannot be read");
	return real_prim_ops->current(self, out, err);
}

/* ---- the Secondary: its flash is the file "sec", its counter the file "sec.counter" ---- */

static enum upt_code
sec_info(struct upt_link *self, struct upt_ecu_info *out, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};

	(void)self;
	if (world->sec_report != UPT_OK)
		return upt_fail(err, world->sec_report, "the Secondary's answer");
	*out = (struct upt_ecu_info){.serial = "sec", .hardware_id = "hw-sec"};
	UPT_TRY(upt_private_key_public_text(world->sec_key, &text, err));
	snprintf(out->key_type, sizeof(out->key_type), "%s", upt_private_key_type(world->sec_key));
	memcpy(out->public_key, text.data, text.len);
	return UPT_OK;
}

static uint64_t
next_counter(void)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	uint64_t n;
	char out[32];

	world_file(world, "sec.counter", &text);
	n = (text.len > 0 ? strtoull((const char *)text.data, NULL, 10) : 0) +
	    (world->sec_replays ? 0 : 1);
	snprintf(out, sizeof(out), "%ju", (uintmax_t)n);
	world_write(world, "sec.counter", out);
	return n;
}

static void
sec_image(struct upt_image *out)
{
	upt_cleanup(upt_buf_clear) struct upt_buf name = {0};

	*out = (struct upt_image){0};
	world_file(world, "sec", &name);
	if (name.len > 0)
		*out = world_target(world, (const char *)name.data)->image;
	out->has_release_counter = false;
}

static enum upt_code
sec_report(struct upt_link *self, const char *attacks, int64_t now, struct upt_buf *envelope,
	struct upt_err *err)
{
	struct upt_ecu_report report = {.ecu_serial = "sec", .time = now};

	(void)self, (void)attacks;
	if (world->sec_report != UPT_OK)
		return upt_fail(err, world->sec_report, "the Secondary's answer");
	sec_image(&report.installed);
	report.report_counter = next_counter();
	return upt_ecu_report_sign(&report, world->sec_key, envelope, err);
}

static enum upt_code
sec_send_metadata(
	struct upt_link *self, const struct upt_metadata_source *source, struct upt_err *err)
{
	(void)self, (void)source;
	return world->sec_prepare == UPT_OK
		       ? UPT_OK
		       : upt_fail(err, world->sec_prepare, "the Secondary's answer");
}

static enum upt_code
sec_send_image(struct upt_link *self, const struct upt_install_job *job,
	const struct upt_install_progress *progress, struct upt_err *err)
{
	(void)self, (void)progress, (void)err;
	assert_true(job->image_fd >= 0);
	return UPT_OK;
}

/* UPT_E_NETWORK: it installs, and its answer is lost. */
static enum upt_code
sec_install(struct upt_link *self, const struct upt_install_job *job, bool *pending,
	struct upt_err *err)
{
	(void)self;
	*pending = world->sec_pending;
	if ((world->sec_install == UPT_OK && !world->sec_pending) ||
		world->sec_install == UPT_E_NETWORK)
		world_write(world, "sec", job->image->name);
	return world->sec_install == UPT_OK
		       ? UPT_OK
		       : upt_fail(err, world->sec_install, "the Secondary's answer");
}

static bool
sec_needs_image(const struct upt_link *self)
{
	(void)self;
	return true;
}

static const char *
sec_format(const struct upt_link *self)
{
	(void)self;
	return "BINARY";
}

static enum upt_code
sec_rollback(struct upt_link *self, bool *pending, struct upt_err *err)
{
	(void)self, (void)pending;
	return upt_fail(err, UPT_E_UNSUPPORTED, "no");
}

static void
sec_free(struct upt_link *self)
{
	free(self);
}

static const struct upt_link_ops sec_ops = {.info = sec_info,
	.report = sec_report,
	.send_metadata = sec_send_metadata,
	.send_image = sec_send_image,
	.install = sec_install,
	.needs_image = sec_needs_image,
	.format = sec_format,
	.rollback = sec_rollback,
	.free = sec_free};

void
vehicle_equip(struct world *w, struct upt_primary *p)
{
	struct upt_installer *prim = p->ecus[PRIM].installer, *app = p->ecus[APP].installer;

	world = w;
	loader = p->boot;
	real_prim_ops = prim->ops;
	real_free = prim->ops->free;
	prim_ops = *prim->ops;
	prim_ops.install = prim_install;
	prim_ops.current = prim_current;
	prim->ops = w->reboots ? &system_ops : &prim_ops;
	real_app_ops = app->ops;
	app_ops = *app->ops;
	app_ops.install = app_install;
	app_ops.current = app_current;
	app_ops.check = app_check;
	app->ops = &app_ops;
	if (!w->has_sec)
		return;
	upt_link_free(&p->ecus[SEC].link);
	p->ecus[SEC].link = calloc(1, sizeof(struct upt_link));
	assert_non_null(p->ecus[SEC].link);
	p->ecus[SEC].link->ops = &sec_ops;
}
