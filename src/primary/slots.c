/*
 * What the Primary remembers of each ECU's images. The engines are the authority on what runs;
 * these slots give it names and release counters, and are brought back to the truth after whatever
 * came between the two: a power cut, a reboot, a boot loader that went back, a person with the
 * engine's own tools.
 */
#include <string.h>
#include "base/encode.h"
#include "primary/internal.h"

/* Lines of vouchers kept: for what runs, what ran before, and what is being installed. */
#define N_VOUCHERS 3

enum upt_code
upt_ecu_get_slots(struct upt_primary *p, const struct upt_ecu *ecu, struct upt_slots *out,
	struct upt_err *err)
{
	const char *serial = ecu->config->serial;

	UPT_TRY(upt_store_get_image(p->store, serial, UPT_SLOT_INSTALLED, &out->installed, err));
	UPT_TRY(upt_store_get_image(p->store, serial, UPT_SLOT_PREVIOUS, &out->previous, err));
	UPT_TRY(upt_store_get_image(p->store, serial, UPT_SLOT_PENDING, &out->pending, err));
	return upt_store_get_image(p->store, serial, UPT_SLOT_REFUSED, &out->refused, err);
}

/* ---- release counters ---- */

static void
counter_name(const struct upt_ecu *ecu, char out[static UPT_ECU_SERIAL_MAX + 32])
{
	snprintf(out, UPT_ECU_SERIAL_MAX + 32, "release_counter:%s", ecu->config->serial);
}

/* *floor: one more than the highest release counter that ever ran on the ECU, 0 when none did. */
static enum upt_code
get_floor(struct upt_primary *p, const struct upt_ecu *ecu, uint64_t *stored, uint64_t *floor,
	struct upt_err *err)
{
	static const enum upt_image_slot slots[] = {UPT_SLOT_INSTALLED, UPT_SLOT_PREVIOUS};
	char name[UPT_ECU_SERIAL_MAX + 32];
	struct upt_image image;

	counter_name(ecu, name);
	UPT_TRY(upt_store_get_u64(p->store, name, 0, stored, err));
	*floor = *stored;
	for (size_t i = 0; i < 2; i++) {
		UPT_TRY(upt_store_get_image(p->store, ecu->config->serial, slots[i], &image, err));
		if (image.has_release_counter && image.release_counter >= *floor)
			*floor = image.release_counter + 1;
	}
	return UPT_OK;
}

/* 3.12. The engine going back by itself must not lower it: whoever can make a boot fail could else
 * have an older release assigned, one whose holes he knows. */
enum upt_code
upt_ecu_release_floor(struct upt_primary *p, const struct upt_ecu *ecu, struct upt_image *out,
	struct upt_err *err)
{
	uint64_t stored, floor;

	UPT_TRY(upt_store_get_image(p->store, ecu->config->serial, UPT_SLOT_INSTALLED, out, err));
	UPT_TRY(get_floor(p, ecu, &stored, &floor, err));
	out->has_release_counter = floor > 0;
	out->release_counter = floor > 0 ? floor - 1 : 0;
	return UPT_OK;
}

/* Before slots are moved: what falls out of them must not be forgotten. */
static enum upt_code
keep_floor(struct upt_primary *p, const struct upt_ecu *ecu, struct upt_err *err)
{
	char name[UPT_ECU_SERIAL_MAX + 32];
	uint64_t stored, floor;

	UPT_TRY(get_floor(p, ecu, &stored, &floor, err));
	counter_name(ecu, name);
	return floor > stored ? upt_store_set_u64(p->store, name, floor, err) : UPT_OK;
}

/* ---- what runs ---- */

enum upt_code
upt_ecu_confirm(struct upt_primary *p, const struct upt_ecu *ecu, const struct upt_image *image,
	struct upt_err *err)
{
	const char *serial = ecu->config->serial;
	struct upt_image installed;

	UPT_TRY(upt_store_get_image(p->store, serial, UPT_SLOT_INSTALLED, &installed, err));
	UPT_TRY(keep_floor(p, ecu, err));
	/* The same bytes under another name: the engine still goes back to what it went back to
	 * before. */
	if (upt_image_same_content(&installed, image)) {
		UPT_TRY(upt_store_set_image(p->store, serial, UPT_SLOT_INSTALLED, image, err));
		return upt_store_clear_image(p->store, serial, UPT_SLOT_PENDING, err);
	}
	return upt_store_confirm_image(p->store, serial, image, err);
}

/* ---- going back ---- */

/* What an ECU goes back to: from PENDING, which may run already, to INSTALLED. */
static const struct upt_image *
way_back(const struct upt_slots *s)
{
	return s->pending.name[0] != '\0' ? &s->installed : &s->previous;
}

/* The slots after the engine went back. */
static enum upt_code
note_gone_back(struct upt_primary *p, const struct upt_ecu *ecu, const struct upt_slots *s,
	bool needs_reboot, struct upt_err *err)
{
	const char *serial = ecu->config->serial;

	if (needs_reboot)
		return upt_store_set_image(p->store, serial, UPT_SLOT_PENDING, way_back(s), err);
	/* What was to come never ran: nothing else has changed. */
	if (s->pending.name[0] != '\0')
		return upt_store_clear_image(p->store, serial, UPT_SLOT_PENDING, err);
	return upt_ecu_confirm(p, ecu, &s->previous, err);
}

enum upt_code
upt_ecu_go_back(struct upt_primary *p, struct upt_ecu *ecu, bool *needs_reboot, struct upt_err *err)
{
	const char *serial = ecu->config->serial;
	const struct upt_image *from;
	struct upt_slots s;
	enum upt_code code;

	*needs_reboot = false;
	if (ecu->installer == NULL)
		return upt_fail(err, UPT_E_UNSUPPORTED,
			"ECU %s is another machine: it goes back only when the Director assigns it",
			serial);
	UPT_TRY(upt_ecu_get_slots(p, ecu, &s, err));
	from = s.pending.name[0] != '\0' ? &s.pending : &s.installed;
	if (from == &s.installed && s.previous.name[0] == '\0')
		return upt_fail(err, UPT_E_INSTALL, "ECU %s has nothing to go back to", serial);
	/* Noted before it is done: after a power cut in between, upt_ecu_settle() finds it and
	 * finishes. */
	if (!upt_image_same(&s.refused, from))
		UPT_TRY(upt_store_set_image(p->store, serial, UPT_SLOT_REFUSED, from, err));
	p->changed = true;
	ecu->running_known = false;
	code = ecu->link->ops->rollback(ecu->link, needs_reboot, err);
	if (code != UPT_OK) {
		struct upt_err ignored = {0};
		const struct upt_image *refused =
			upt_image_same(&s.refused, from) ? &(struct upt_image){0} : &s.refused;

		if (upt_store_set_image(p->store, serial, UPT_SLOT_REFUSED, refused, &ignored) !=
			UPT_OK)
			upt_log_err(p->log, UPT_LOG_WARNING, &ignored, "ECU %s", serial);
		return code;
	}
	UPT_TRY(note_gone_back(p, ecu, &s, *needs_reboot, err));
	ecu->waits = *needs_reboot;
	upt_log(p->log, UPT_LOG_WARNING, "ECU %s: back from %s to %s%s", serial, from->name,
		way_back(&s)->name, *needs_reboot ? " at the next reboot" : "");
	return UPT_OK;
}

enum upt_code
upt_ecu_undo(struct upt_primary *p, struct upt_ecu *ecu, const struct upt_image *image,
	struct upt_err *err)
{
	bool needs_reboot;
	struct upt_slots s;

	UPT_TRY(upt_ecu_get_slots(p, ecu, &s, err));
	if (ecu->installer == NULL || upt_image_same(&s.pending, image) ||
		upt_image_same(&s.installed, image))
		return upt_ecu_go_back(p, ecu, &needs_reboot, err);
	/* The disk was full between the engine's work and its note: INSTALLED never left what runs
	 * again, and moving it to PREVIOUS would name a release that does not run. */
	p->changed = true;
	ecu->running_known = false;
	UPT_TRY(ecu->link->ops->rollback(ecu->link, &needs_reboot, err));
	upt_log(p->log, UPT_LOG_WARNING, "ECU %s: back from %s to %s", ecu->config->serial,
		image->name, s.installed.name);
	return UPT_OK;
}

/* A rollback that was noted and, as far as the slots know, not done: the power went in between. */
enum upt_code
upt_ecu_finish_going_back(struct upt_primary *p, struct upt_ecu *ecu, bool *went_back)
{
	struct upt_err failure = {0};
	bool needs_reboot;

	upt_log(p->log, UPT_LOG_WARNING, "ECU %s: finishing an interrupted rollback",
		ecu->config->serial);
	*went_back = upt_ecu_go_back(p, ecu, &needs_reboot, &failure) == UPT_OK;
	if (!*went_back)
		upt_log_err(p->log, UPT_LOG_ERROR, &failure, "ECU %s", ecu->config->serial);
	return UPT_OK;
}

/* ---- after a reboot, a crash, or somebody else's doing ---- */

/* The engine was told to boot PENDING, and now says what came of it. */
static enum upt_code
settle_pending(struct upt_primary *p, struct upt_ecu *ecu, const struct upt_slots *s,
	bool *went_back, struct upt_err *err)
{
	const char *serial = ecu->config->serial;
	struct upt_err failure = {0};
	bool done = false;
	enum upt_code code =
		ecu->installer->ops->finalize(ecu->installer, &s->pending, &done, &failure);

	if (code == UPT_OK && done)
		return upt_ecu_prove(p, ecu, s, went_back, err);
	if (code == UPT_OK && upt_image_same(&s->refused, &s->pending))
		return upt_ecu_finish_going_back(p, ecu, went_back);
	if (code == UPT_OK) {
		ecu->waits = true;
		upt_log(p->log, UPT_LOG_INFO, "ECU %s: %s waits for a reboot", serial,
			s->pending.name);
		return UPT_OK;
	}
	if (code == UPT_E_INSTALL)
		return upt_ecu_give_up(p, ecu, s, &failure, err);
	/* Cannot tell: asked again in the next cycle. */
	upt_log_err(p->log, UPT_LOG_ERROR, &failure, "ECU %s", serial);
	return UPT_OK;
}

/*
 * The engine runs PREVIOUS and the slots do not know that it went back: a rollback that a power cut
 * interrupted (then it is noted in REFUSED), a boot loader that gave up, a person with the engine's
 * tools.
 */
static enum upt_code
follow_back(struct upt_primary *p, struct upt_ecu *ecu, const struct upt_slots *s, bool *went_back,
	struct upt_err *err)
{
	const char *serial = ecu->config->serial;
	struct upt_err incident = {0};

	*went_back = upt_image_same(&s->refused, &s->installed);
	if (!*went_back) {
		upt_fail(&incident, UPT_E_INSTALL, "went back from %s to %s by itself",
			s->installed.name, s->previous.name);
		upt_log_err(p->log, UPT_LOG_WARNING, &incident, "ECU %s", serial);
		upt_primary_record(p, serial, &incident);
		UPT_TRY(upt_store_set_image(
			p->store, serial, UPT_SLOT_REFUSED, &s->installed, err));
	}
	UPT_TRY(upt_ecu_confirm(p, ecu, &s->previous, err));
	upt_log(p->log, UPT_LOG_INFO, "ECU %s: runs %s", serial, s->previous.name);
	return UPT_OK;
}

enum upt_code
upt_ecu_settle(struct upt_primary *p, struct upt_ecu *ecu, bool *went_back, struct upt_err *err)
{
	struct upt_image running;
	struct upt_slots s;
	struct upt_err unknown = {0};

	*went_back = false;
	if (ecu->installer == NULL)
		return UPT_OK;
	ecu->running_known = false;
	ecu->waits = ecu->on_trial = false;
	UPT_TRY(upt_ecu_get_slots(p, ecu, &s, err));
	if (s.pending.name[0] != '\0')
		return settle_pending(p, ecu, &s, went_back, err);
	/* Cannot tell: the version report says so. */
	if (upt_ecu_running(ecu, &running, &unknown) != UPT_OK || running.n_digests == 0)
		return UPT_OK;
	if (!upt_image_same_content(&running, &s.installed) &&
		upt_image_same_content(&running, &s.previous))
		return follow_back(p, ecu, &s, went_back, err);
	if (upt_image_same_content(&running, &s.installed) &&
		upt_image_same(&s.refused, &s.installed))
		return upt_ecu_finish_going_back(p, ecu, went_back);
	return UPT_OK;
}

enum upt_code
upt_ecu_adopt_report(struct upt_primary *p, struct upt_ecu *ecu, struct upt_err *err)
{
	static const enum upt_image_slot slots[] = {
		UPT_SLOT_PENDING, UPT_SLOT_INSTALLED, UPT_SLOT_PREVIOUS};
	const char *serial = ecu->config->serial;
	struct upt_image known;

	if (ecu->installed.name[0] == '\0')
		return UPT_OK;
	/* Release counters are not in a report: they come from what the Primary knows of the same
	 * image. */
	for (size_t i = 0; i < 3; i++) {
		UPT_TRY(upt_store_get_image(p->store, serial, slots[i], &known, err));
		if (!upt_image_same(&known, &ecu->installed))
			continue;
		ecu->installed = known;
		return slots[i] == UPT_SLOT_INSTALLED ? UPT_OK
						      : upt_ecu_confirm(p, ecu, &known, err);
	}
	return upt_ecu_confirm(p, ecu, &ecu->installed, err);
}

/* ---- vouchers ---- */

static enum upt_code
describe_vouchers(
	struct upt_primary *p, const struct upt_job *job, struct upt_buf *out, struct upt_err *err)
{
	const struct upt_image *image = &job->image.image;
	const char *separator = "";
	char hex[2 * UPT_HASH_MAX_BYTES + 1];

	upt_hex_encode(upt_span(image->digests[0].bytes, image->digests[0].len), hex);
	UPT_TRY(upt_buf_printf(out, err, "%s ", hex));
	for (size_t i = 0; i < p->n_repos; i++) {
		const struct upt_repository *r = &p->repos[i];

		if (!job->agreed[i])
			continue;
		UPT_TRY(upt_buf_printf(out, err, "%s%s", separator, r->name));
		separator = "; ";
		for (int role = 0; role < UPT_N_ROLES; role++) {
			const struct upt_metadata *doc =
				upt_trusted_set_held(r->set, (enum upt_role)role);
			if (doc != NULL)
				UPT_TRY(upt_buf_printf(out, err, " %s %llu", doc->name,
					(unsigned long long)doc->version));
		}
	}
	return upt_buf_printf(out, err, "\n");
}

/* "HEX director root 1 ...; image ...\n" for each of the last images, the newest first: a rollback
 * changes which line counts and not the text. */
enum upt_code
upt_ecu_remember_vouchers(struct upt_primary *p, const struct upt_job *job, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf before = {0}, text = {0};
	char name[UPT_ECU_SERIAL_MAX + 32];
	size_t hex_len = 2 * job->image.image.digests[0].len;
	const char *line, *end;

	snprintf(name, sizeof(name), "vouchers:%s", job->ecu->config->serial);
	UPT_TRY(describe_vouchers(p, job, &text, err));
	UPT_TRY(upt_store_get_text(p->store, name, &before, err));
	line = before.len > 0 ? (const char *)before.data : "";
	for (int n = 1; n < N_VOUCHERS && (end = strchr(line, '\n')) != NULL; line = end + 1) {
		if (strncmp(line, (const char *)text.data, hex_len) == 0)
			continue;
		UPT_TRY(upt_buf_append(&text, line, (size_t)(end + 1 - line), err));
		n++;
	}
	if (upt_span_equal(upt_buf_span(&before), upt_buf_span(&text)))
		return UPT_OK;
	return upt_store_set_text(p->store, name, upt_buf_span(&text), err);
}
