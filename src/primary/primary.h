/*
 * The Primary: one update cycle in the Standard's seven steps, and what a person may ask of it.
 * Knows every module below; owns the state directory while it lives. Thread-safety: one thread.
 * Uptane Standard 2.1 "what the Primary does", "installing images".
 */
#ifndef UPT_PRIMARY_PRIMARY_H
#define UPT_PRIMARY_PRIMARY_H

#include "base/log.h"
#include "primary/config.h"
#include "primary/inhibitor.h"

struct upt_primary;

struct upt_primary_options {
	const struct upt_config *config; /* borrowed for the Primary's life */
	const struct upt_log *log; /* borrowed, may be NULL */
	int64_t (*clock)(void *ctx); /* seconds since 1970 by the system's clock */
	void *clock_ctx;
	/* Called a few times a second while something long runs; may be NULL. total 0: unknown. */
	void (*progress)(
		void *ctx, const char *what, uint64_t done, uint64_t total, const char *unit);
	void *progress_ctx;
	const volatile bool
		*cancel; /* becomes true: stop soon, state stays consistent; may be NULL */
};

/* Opens the state (UPT_E_BUSY, UPT_E_DATABASE, ...), loads or makes the ECU keys, pins the
 * provisioned roots at the first start, and sets up links. No network. */
UPT_NODISCARD enum upt_code upt_primary_new(
	const struct upt_primary_options *options, struct upt_primary **out, struct upt_err *err);
void upt_primary_free(struct upt_primary **primary);

/* What one cycle came to, for people; counts, not claims. */
struct upt_cycle_summary {
	unsigned n_assigned; /* targets that the Director assigns to this vehicle */
	unsigned n_wanted; /* of these: to be installed in this cycle */
	unsigned n_installed; /* ECUs that took a new image in this cycle */
	unsigned n_pending; /* ECUs that wait for a reboot */
	unsigned n_refused; /* assignments that were rolled back or failed before and are not tried
			       again */
	unsigned n_unreachable; /* assignments left for a later cycle because the ECU does not
				   answer */
	bool wants_reboot; /* this machine must reboot for what was installed or gone back to */
	uint64_t n_requests; /* to Director and Image repository */
	uint64_t n_connections;
	uint64_t received_bytes; /* headers and bodies */
};

/*
 * One cycle. A refusal of metadata or images is recorded, reported to the Director at once when it
 * can be reached, and returned; what was rightly learnt before it stays.
 */
UPT_NODISCARD enum upt_code upt_primary_cycle(
	struct upt_primary *primary, struct upt_cycle_summary *summary, struct upt_err *err);

/* Asks for the reboot by the configured command, once the gates before it are open; UPT_OK also when
 * they are not, and when no command is configured: somebody else reboots then. UPT_E_INSTALL when
 * the command fails. */
UPT_NODISCARD enum upt_code upt_primary_reboot(struct upt_primary *primary, struct upt_err *err);

#define UPT_GATE_NAME_SIZE 256
#define UPT_WAIT_TEXT_SIZE 640

/* A step that a gate put off. */
struct upt_wait {
	enum upt_gate before;
	char gate[UPT_GATE_NAME_SIZE]; /* "inhibitor", "window", or the name of a program */
	char reason[UPT_REASON_SIZE]; /* in its words; may be "" */
	uint64_t retry_s; /* a cycle is due so soon */
	int64_t until; /* that, as a time */
};

/* What the last cycle, or upt_primary_reboot(), came to wait for; NULL: nothing. */
const struct upt_wait *upt_primary_waits(const struct upt_primary *primary);
/* "install waits for gate NAME until TIME: REASON". */
void upt_wait_format(const struct upt_wait *wait, char out[static UPT_WAIT_TEXT_SIZE]);

/* Steps 2 and 3 only: verifies everything and says what an update would install. Each: called per
 * assignment. */
typedef void upt_check_each(void *ctx, const char *ecu, const char *target, const char *verdict);
UPT_NODISCARD enum upt_code upt_primary_check(
	struct upt_primary *primary, upt_check_each *each, void *ctx, struct upt_err *err);

/* An ECU back to what ran before; serial NULL: the Primary's own. *needs_reboot as the installer
 * says. The version rolled back from is not installed again until the Director assigns another one.
 */
UPT_NODISCARD enum upt_code upt_primary_rollback(
	struct upt_primary *primary, const char *serial, bool *needs_reboot, struct upt_err *err);

#endif
