/*
 * State of the Primary in one SQLite database (WAL, synchronous=FULL): trusted metadata, what is
 * installed, what is pending a reboot, attacks to report, counters. Every call that returns UPT_OK
 * has committed durably. One process holds the store at a time (a lock file beside the database).
 * Thread-safety: a store belongs to one thread.
 */
#ifndef UPT_STORAGE_STORE_H
#define UPT_STORAGE_STORE_H

#include "base/span.h"
#include "metadata/image.h"

/* Of one document or text; a larger one is refused before any memory is taken. */
#define UPT_STORE_DOCUMENT_MAX_BYTES ((size_t)64 * 1024 * 1024)
#define UPT_STORE_MAX_INCIDENTS 1000

struct upt_store;

enum upt_store_mode {
	/* Create or open, migrate, lock: UPT_E_BUSY names the process that holds it. */
	UPT_STORE_WRITE,
	/* Status, also beside a running daemon and on a read-only file system: no lock, no
	 * migration; UPT_E_NOT_FOUND when there is none yet. */
	UPT_STORE_READ_ONLY,
};

/*
 * Opens dir/state.db (dir mode 0700, file 0600, both made when missing; dir must not be writable by
 * everybody). UPT_E_DATABASE when it is no database, empty, damaged (quick_check), another
 * program's or a newer version's, or when its journal is there without it: a damaged database is
 * never replaced silently, since trusted versions and counters would start again. UPT_E_PERMISSION,
 * UPT_E_NO_SPACE, UPT_E_IO.
 */
UPT_NODISCARD enum upt_code upt_store_open(
	const char *dir, enum upt_store_mode mode, struct upt_store **out, struct upt_err *err);
void upt_store_close(struct upt_store **store);

/*
 * ---- repositories ----
 * An additional repository is known by its name: what is trusted of it must be found again wherever
 * it stands in the configuration, and after it was out of it for a while. A name keeps its number
 * for ever. UPT_E_NOT_FOUND for a name without one.
 */
UPT_NODISCARD enum upt_code upt_store_find_repo(
	struct upt_store *store, const char *name, enum upt_repo *out, struct upt_err *err);
/* The number of that name, a new one when it has none. UPT_E_CONFIG when all are taken. */
UPT_NODISCARD enum upt_code upt_store_add_repo(
	struct upt_store *store, const char *name, enum upt_repo *out, struct upt_err *err);

/* ---- trusted metadata; name is the role's: "timestamp", "targets", a delegated role ---- */
UPT_NODISCARD enum upt_code upt_store_save_document(struct upt_store *store, enum upt_repo repo,
	const char *name, uint64_t version, struct upt_span bytes, struct upt_err *err);
/* UPT_E_NOT_FOUND when nothing is stored; out replaced. Reads a large blob in place, without a
 * second copy in memory. */
UPT_NODISCARD enum upt_code upt_store_load_document(struct upt_store *store, enum upt_repo repo,
	const char *name, struct upt_buf *out, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_store_forget_document(struct upt_store *store, enum upt_repo repo,
	const char *name, struct upt_err *err); /* UPT_OK when there was none */
/* Every accepted root is kept: Secondaries need the chain. drop_others forgets the repository's
 * timestamp and snapshot in the same transaction: after a rotation of their keys a fast-forwarded
 * version must not survive a power cut between the two (Standard, check_root 6.7). */
UPT_NODISCARD enum upt_code upt_store_save_root(struct upt_store *store, enum upt_repo repo,
	uint64_t version, struct upt_span bytes, bool drop_others, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_store_load_root(struct upt_store *store, enum upt_repo repo,
	uint64_t version, struct upt_buf *out, struct upt_err *err);
/* Highest and lowest stored root version; UPT_E_NOT_FOUND when there is none. */
UPT_NODISCARD enum upt_code upt_store_root_versions(struct upt_store *store, enum upt_repo repo,
	uint64_t *first, uint64_t *last, struct upt_err *err);
/* Stored version of a document, 0 when there is none. */
UPT_NODISCARD enum upt_code upt_store_document_version(struct upt_store *store, enum upt_repo repo,
	const char *name, uint64_t *version, struct upt_err *err);

/* ---- small values by name ("report_counter", "time_floor", "registered_ecus", ...) ---- */
UPT_NODISCARD enum upt_code upt_store_get_u64(struct upt_store *store, const char *name,
	uint64_t fallback, uint64_t *out, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_store_set_u64(struct upt_store *store, const char *name, uint64_t value, struct upt_err *err);
/* Adds 1 durably and returns the new value: report counters. */
UPT_NODISCARD enum upt_code
upt_store_next_u64(struct upt_store *store, const char *name, uint64_t *out, struct upt_err *err);
/* Replaced; empty when absent. */
UPT_NODISCARD enum upt_code upt_store_get_text(
	struct upt_store *store, const char *name, struct upt_buf *out, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_store_set_text(
	struct upt_store *store, const char *name, struct upt_span text, struct upt_err *err);

/* ---- images on ECUs ---- */
enum upt_image_slot {
	UPT_SLOT_INSTALLED = 0, /* runs now, as far as we know */
	UPT_SLOT_PREVIOUS = 1, /* what ran before it */
	UPT_SLOT_PENDING = 2, /* installed, becomes current after a reboot */
	/* Rolled back or failed: not tried again until the Director changes its mind. */
	UPT_SLOT_REFUSED = 3,
};
/* out->name is "" when the slot is empty (UPT_OK). */
UPT_NODISCARD enum upt_code upt_store_get_image(struct upt_store *store, const char *ecu,
	enum upt_image_slot slot, struct upt_image *out, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_store_set_image(struct upt_store *store, const char *ecu,
	enum upt_image_slot slot, const struct upt_image *image, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_store_clear_image(
	struct upt_store *store, const char *ecu, enum upt_image_slot slot, struct upt_err *err);
/* In one transaction: INSTALLED becomes PREVIOUS, image becomes INSTALLED, PENDING is cleared.
 * No-op for PREVIOUS when image is the same as INSTALLED. */
UPT_NODISCARD enum upt_code upt_store_confirm_image(struct upt_store *store, const char *ecu,
	const struct upt_image *image, struct upt_err *err);
/* Calls each(ctx, ecu) for every ECU with any image, in order of serial. */
UPT_NODISCARD enum upt_code upt_store_each_ecu(struct upt_store *store,
	enum upt_code (*each)(void *ctx, const char *ecu, struct upt_err *err), void *ctx,
	struct upt_err *err);

/*
 * ---- the plan of a bundle: what one assignment of the Director asks of the ECUs together ----
 * The numbers are in databases: none may change its meaning.
 */
enum upt_plan_state {
	UPT_PLAN_NONE = 0, /* no bundle yet */
	UPT_PLAN_PREPARED = 1, /* everything is there, nothing is installed */
	UPT_PLAN_INSTALLING = 2,
	UPT_PLAN_ON_TRIAL = 3, /* waits for a reboot, and for what booted to be well */
	UPT_PLAN_CONFIRMED = 4, /* the end: everything runs */
	UPT_PLAN_ROLLING_BACK = 5,
	UPT_PLAN_ROLLED_BACK = 6, /* the end: what can go back has */
};

enum upt_member_state {
	UPT_MEMBER_TO_DO = 0,
	UPT_MEMBER_INSTALLING = 1, /* its engine is being asked */
	UPT_MEMBER_WAITING = 2, /* for a reboot, or on trial */
	UPT_MEMBER_DONE = 3, /* runs */
	UPT_MEMBER_FAILED = 4, /* was refused, or did not prove itself: see reason */
	UPT_MEMBER_GOING_BACK = 5, /* at the next reboot */
	UPT_MEMBER_BACK = 6,
	UPT_MEMBER_KEPT = 7, /* should have gone back and cannot: see reason */
	UPT_MEMBER_LEFT = 8, /* not tried any more: the Director wants something else */
};

struct upt_plan_member {
	char ecu[UPT_ECU_SERIAL_MAX + 1];
	struct upt_image image, before; /* before: what it goes back to; name "": nothing known */
	bool reversible;
	bool last; /* installed only once everything before it runs: it cannot go back, or needs it */
	bool redescribed; /* image runs already, and not as its release says now */
	enum upt_member_state state;
	uint64_t n_tries; /* to go back */
	char reason[UPT_ERR_MESSAGE_MAX];
};

#define UPT_CORRELATION_ID_MAX 256

struct upt_plan {
	char correlation_id[UPT_CORRELATION_ID_MAX + 1]; /* the Director's, "" when it gave none */
	uint64_t targets_version; /* of the Director's targets */
	int64_t time; /* when it was written */
	enum upt_plan_state state;
	bool refuses; /* rolled back for good: not tried again until the Director changes its mind */
	bool reports; /* the Director is to hear of its end and has not yet */
	char reason[UPT_ERR_MESSAGE_MAX];
	size_t n_members;
	struct upt_plan_member *members; /* in the order of installation; owned */
};

void upt_plan_clear(struct upt_plan *plan); /* fits upt_cleanup() */
/* The last plan; state UPT_PLAN_NONE when there never was one. out replaced. */
UPT_NODISCARD enum upt_code upt_store_load_plan(
	struct upt_store *store, struct upt_plan *out, struct upt_err *err);
/* Replaces it, in one transaction. */
UPT_NODISCARD enum upt_code upt_store_save_plan(
	struct upt_store *store, const struct upt_plan *plan, struct upt_err *err);
/*
 * The same for the end of a rollback: in the same transaction the images that did not stay
 * (TO_DO, FAILED, BACK, LEFT) are REFUSED when the plan refuses, and else not any longer. What was
 * only described anew is never REFUSED: its image runs.
 */
UPT_NODISCARD enum upt_code upt_store_end_plan(
	struct upt_store *store, const struct upt_plan *plan, struct upt_err *err);

/* ---- last signed version report of each ECU (Standard: create_version_report) ---- */
UPT_NODISCARD enum upt_code upt_store_save_report(
	struct upt_store *store, const char *ecu, struct upt_span envelope, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_store_load_report(struct upt_store *store, const char *ecu,
	struct upt_buf *out, struct upt_err *err); /* UPT_E_NOT_FOUND */

/* ---- detected attacks and failures, until a version report that names them was accepted ---- */
struct upt_incident {
	uint64_t id;
	int64_t time;
	enum upt_code code;
	enum upt_repo repo;
	char repo_name[UPT_REPO_NAME_MAX + 1]; /* of repo; "" for UPT_REPO_NONE */
	char ecu[UPT_ECU_SERIAL_MAX + 1]; /* "" when it concerns the vehicle */
	char message[UPT_ERR_MESSAGE_MAX];
};
/* The newest 1000 are kept. */
UPT_NODISCARD enum upt_code upt_store_add_incident(struct upt_store *store,
	const struct upt_incident *incident,
	struct upt_err *err); /* id and repo_name ignored */
/* Oldest first; only those not yet reported when unreported is true. */
UPT_NODISCARD enum upt_code upt_store_each_incident(struct upt_store *store, bool unreported,
	enum upt_code (*each)(void *ctx, const struct upt_incident *incident, struct upt_err *err),
	void *ctx, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_store_mark_reported(struct upt_store *store, uint64_t up_to_id, struct upt_err *err);

#endif
