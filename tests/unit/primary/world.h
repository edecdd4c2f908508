/*
 * A vehicle and its world: two repositories that are signed here, an HTTP server on loopback that
 * serves them and keeps what the vehicle sends, and a Primary with two ECUs of its own ("prim",
 * "app": files, or prim as a system that reboots) and a Secondary on another machine ("sec": a
 * scripted link). Every cycle runs in a process of its own, as a service does that is started anew,
 * and can be killed at any of its writes.
 */
#ifndef UPT_TESTS_PRIMARY_WORLD_H
#define UPT_TESTS_PRIMARY_WORLD_H

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <cmocka.h>

#include "metadata/roles.h"
#include "primary/internal.h"

/* Expects success and prints the message else; the call names its last argument why. */
#define assert_ok(call)                                                                            \
	do {                                                                                       \
		struct upt_err why_ = {0};                                                         \
		struct upt_err *why = &why_;                                                       \
		enum upt_code code_ = (call);                                                      \
		if (code_ != UPT_OK)                                                               \
			fail_msg("%s: %s", upt_code_name(code_), why_.message);                    \
	} while (0)

/* Compares codes by name, so that a failure reads well. */
#define assert_code(code, expected)                                                                \
	assert_string_equal(upt_code_name(code), upt_code_name(expected))

#define WORLD_VEHICLE "VIN-0001"
#define WORLD_MAX_TARGETS 8

enum world_ecu { PRIM = 0, APP, SEC, N_ECUS };

struct world_repo {
	const char *folder; /* on the server */
	struct upt_private_key *keys[UPT_N_ROLES];
	uint64_t versions[UPT_N_ROLES];
	int64_t expires[UPT_N_ROLES];
	bool is_director;
	/* What it says of one release that the others do not. */
	const char *silent_on; /* it does not list it */
	const char *longer; /* it lists another length */
	const char *other_custom; /* it lists another custom object */
	const char *encrypted; /* it says of that release that it is */
};

/* A release: what the Image repository lists, and with an ECU what the Director assigns. */
struct world_target {
	struct upt_image image;
	const char *format;
	const char *hardware;
	const char *uri;
	bool listed; /* by the Image repository */
	bool assigned[N_ECUS];
	const char *after; /* hardware in installAfter, or NULL */
};

/* What one process did; in memory that it shares with the test. */
struct world_result {
	enum upt_code code;
	enum upt_repo repo;
	char message[UPT_ERR_MESSAGE_MAX];
	struct upt_cycle_summary summary;
	struct upt_wait wait; /* gate "": for none */
	bool needs_reboot;
	int n_writes; /* as kill_at counts them */
	char verdicts[1024]; /* of check: "ECU TARGET VERDICT\n" each */
};

struct world {
	char dir[64];
	int64_t now;
	pid_t server_pid;
	unsigned port;
	struct world_repo director, image;
	struct world_repo fleet, mirror; /* a second Director, a second Image repository */
	size_t n_targets;
	struct world_target targets[WORLD_MAX_TARGETS];
	struct upt_private_key *sec_key;

	/* The vehicle; change it before a process starts. */
	bool has_sec; /* the Secondary is in the configuration */
	bool reboots; /* prim is a system that reboots */
	bool counts; /* and GRUB counts its boots */
	const char *correlation_id; /* of what the Director assigns, or NULL */
	const char *extra; /* more lines for the configuration */
	const char *mapping; /* [mapping] sections; with them fleet and mirror, as far as they are named */
	int fail_install; /* enum world_ecu whose installer says no, or -1 */
	enum upt_code fail_code;
	enum upt_code sec_report, sec_prepare,
		sec_install; /* the Secondary's answers; UPT_OK: it works */
	bool sec_pending; /* it asks for a reboot of its own */
	bool sec_replays; /* it sends the report of before */
	bool app_unwell; /* app says so when it is asked */
	bool fail_rollback; /* the system that reboots cannot go back just now */
	volatile bool cancelled; /* the process is to stop */
	bool no_current[N_ECUS]; /* its installer cannot tell what runs */
	int64_t clock_step; /* the clock goes on by this much at every look */
	bool many; /* processes: they end without a look for leaks, which takes longer than a cycle
		    */
	int kill_at; /* the process dies before its n-th write; 0: never */
	struct world_result *result;
};

void world_init(struct world *w);
void world_clear(struct world *w);
/* A new release of name: its bytes are "NAME\n" repeated; assigned to nobody yet. */
struct world_target *
world_release(struct world *w, const char *name, const char *hardware, uint64_t counter);
/* Assigns release name to ecu in place of any other; NULL: nothing. */
void world_assign(struct world *w, enum world_ecu ecu, const char *name);
struct world_target *world_target(struct world *w, const char *name);
/* Signs and serves the next version of everything. */
void world_publish(struct world *w);
void world_serve(struct world *w, const char *path, struct upt_span bytes);
void world_withdraw(struct world *w, const char *path);
/* The server answers requests for path with this status. */
void world_set_status(struct world *w, const char *path, int status);

/* Each in a process of its own. False when kill_at ended it. */
bool world_cycle(struct world *w);
bool world_rollback(struct world *w, const char *serial);
bool world_check(struct world *w);
/* comes_up: what boots next does so; else it is tried again, and left when the loader counts. */
void world_reboot(struct world *w, bool comes_up);

/* What the vehicle did. */
unsigned world_n_requests(struct world *w, const char *line_start);
void world_forget_requests(struct world *w);
/* The report of an ECU in the last accepted manifest; false when it is not in there. */
bool world_reported(struct world *w, const char *serial, struct upt_ecu_report *out);
/* The installation report of the last manifest that has one, as text; how many have one. */
unsigned world_installation(struct world *w, struct upt_buf *out);
/* A health check that fails while the file "sick" is there, and ends uptaned while "deadly" is. */
void world_add_check(struct world *w);
void world_file(struct world *w, const char *name, struct upt_buf *out);
void world_write(struct world *w, const char *name, const char *text);
/* True when the file of ecu holds the release. */
bool world_runs(struct world *w, enum world_ecu ecu, const char *name);
const char *world_serial(enum world_ecu ecu);
/* Name in a slot, "" when it is empty; valid until the next 8 calls. */
const char *world_slot(struct world *w, enum world_ecu ecu, enum upt_image_slot slot);
struct upt_store *world_store(struct world *w);

/* A Primary in this process, for what no cycle shows. */
struct upt_primary *world_primary(struct world *w, struct upt_config *config);
void world_configure(struct world *w, struct upt_config *config);

/* kill.c */
extern int world_kill_at, world_n_writes;

#endif
