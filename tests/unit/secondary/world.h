/*
 * Two repositories with metadata of their own making, and an agent to hand it to: a real one, in a
 * process of its own, on a real TCP port.
 */
#ifndef UPT_TESTS_SECONDARY_WORLD_H
#define UPT_TESTS_SECONDARY_WORLD_H

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <cmocka.h>

#include "authoring/authoring.h"
#include "manifest/manifest.h"
#include "metadata/roles.h"
#include "secondary/agent.h"
#include "secondary/link.h"

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

#define WORLD_SERIAL "SEC-1"
#define WORLD_HARDWARE "brake-v2"
#define WORLD_VEHICLE "VIN-0001"
#define WORLD_TARGET "fw-2.bin"
#define WORLD_MAX_FILES 64

struct world_file {
	char name[128];
	struct upt_buf bytes;
};

/* One repository: change it, then world_publish(). */
struct world_repo {
	enum upt_repo repo;
	bool consistent, targets_only;
	bool hashless; /* the timestamp lists no hash */
	struct upt_private_key *keys[UPT_N_ROLES]; /* that sign; the root lists them */
	uint64_t versions[UPT_N_ROLES];
	int64_t expires[UPT_N_ROLES];
	struct upt_private_key *forger; /* signs role forged instead of its key, if any */
	int forged; /* enum upt_role, or -1 */
	size_t n_files;
	struct world_file files[WORLD_MAX_FILES]; /* what a server would serve */
};

struct world {
	char dir[64];
	char state_dir[PATH_MAX], install_path[PATH_MAX];
	char director_root[PATH_MAX], image_root[PATH_MAX], key_path[PATH_MAX];
	char inhibit_path[PATH_MAX]; /* no such file, unless a test makes it */
	int64_t now;
	struct world_repo director, image;
	struct upt_buf content; /* bytes of the target that is sent */
	struct upt_image director_says, image_says;
	const char *director_hardware; /* hardware id in the Director's targets */
	const char *image_hardware;
	const char *vehicle_id; /* in the Director's targets; NULL: none */
	const char *format; /* targetFormat in the Image repository; NULL: none */
	bool ota; /* see world_use_ota() */
	bool assign, list; /* by the Director, by the Image repository */
	struct upt_private_key *delegate; /* with it, role "supplier" lists the target */
	uint64_t delegate_version;

	pid_t agent_pid;
	unsigned port;
	unsigned timeout_ms; /* of agent and link */
	int kill_at; /* the agent dies before its n-th disk operation; 0: never */
	const char *withheld; /* file name the source answers "cannot tell" for */
	unsigned n_fetched;
};

/* A fresh world whose version 1 of everything is published and whose agent is not running. */
void world_init(struct world *w);
void world_clear(struct world *w);
/* Target bytes: n of them, from a seed. Both repositories list them. */
void world_set_content(struct world *w, size_t n, unsigned seed);
/* Signs and serves targets, snapshot and timestamp of both repositories, versions one up. */
void world_publish(struct world *w);
/* The next root of a repository, with a new key for the roles marked; also published after it. */
void world_rotate(struct world *w, struct world_repo *r, const bool renew[UPT_N_ROLES]);
/* Puts a file on the server as it is. */
void world_serve(struct world_repo *r, const char *name, struct upt_span bytes);
const struct upt_buf *world_file(const struct world_repo *r, const char *name);
void world_withdraw(struct world_repo *r, const char *name);
/* Founds both repositories anew in the dialect of WIRE: a Director with root and targets only, an
 * Image repository without consistent snapshots; and the agent in that profile. */
void world_use_ota(struct world *w);
/* The Primary's side, serving what is published. */
struct upt_metadata_source world_source(struct world *w);

struct upt_agent_config world_agent_config(const struct world *w);
void world_start(struct world *w);
/* SIGTERM, and the agent's exit status must be 0. */
void world_stop(struct world *w);
/* SIGKILL. */
void world_kill(struct world *w);
/* Waits for the death that kill_at causes. */
void world_wait_death(struct world *w);

/* A plain connection to the running agent. */
int world_connect(const struct world *w);
/* The installation that the metadata is about, with its bytes in an open file. */
struct upt_install_job world_job(struct world *w);
/* A new link to the running agent. */
struct upt_link *world_link(struct world *w);
/* The steps of an update through a link of its own; the code is the step's. */
enum upt_code world_verify(struct world *w, struct upt_err *err);
enum upt_code world_send(struct world *w, struct upt_err *err);
enum upt_code world_install(struct world *w, struct upt_err *err);
/* All three; asserts that the file is in place afterwards. */
void world_update(struct world *w);
/* The report, verified. */
void world_report(struct world *w, struct upt_ecu_report *out);
/* True when the installed file holds these bytes. */
bool world_installed_is(const struct world *w, struct upt_span bytes);
void world_install_by_hand(const struct world *w, const char *text);

#endif
