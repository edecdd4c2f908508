/*
 * The agent that runs on a Linux Secondary: it takes metadata and images from its Primary over
 * protocol.h, verifies all of it for itself (full verification, with its own roots and state),
 * installs one file and signs version reports. It links neither curl nor SQLite nor libostree.
 * Uptane Standard 2.1 "full_verification", "verify_image", "install_image",
 * "create_version_report". Thread-safety: an agent belongs to one thread.
 */
#ifndef UPT_SECONDARY_AGENT_H
#define UPT_SECONDARY_AGENT_H

#include "base/ini.h"
#include "base/log.h"
#include "crypto/crypto.h"

/* Everything borrowed for the agent's life. */
struct upt_agent_config {
	const char *serial, *hardware_id;
	const char *vehicle_id; /* NULL only in profile ota: the Director's targets are not checked
				   for it */
	bool profile_ota; /* WIRE dialect instead of the Standard as written */
	const char *state_dir;
	const char *director_root; /* pinned root files, imported when the state has none; */
	const char *image_root; /* may be NULL later */
	const char *install_path;
	const char *factory_image; /* name of what the factory put at install_path; NULL: unknown */
	const char *inhibit_file; /* nothing is installed while it exists; NULL: none */
	const char *address; /* numeric, to listen on */
	unsigned port; /* 0: any free one */
	const char *ready_file; /* gets "PORT\n" once connections are taken; NULL: none */
	const char *primary; /* numeric address of the only peer served; NULL: everyone */
	unsigned timeout_ms; /* of a frame; 0: 60000 */
	int64_t build_time; /* trusted time is never below it */
	int64_t (*clock)(void *ctx); /* seconds since 1970; NULL: the system's */
	void *clock_ctx;
};

/* [secondary] of an INI as uptane-secondary(8) describes it. Strings point into ini. UPT_E_CONFIG.
 * *key_path: file of the private key; *log_level as configured. */
UPT_NODISCARD enum upt_code upt_agent_config_read(struct upt_ini *ini, struct upt_agent_config *out,
	const char **key_path, enum upt_log_level *log_level, struct upt_err *err);

struct upt_agent;

/*
 * Opens the state, imports pinned roots where there are none, and finishes the books of an
 * installation that a power cut interrupted. Takes over key, also when it fails. UPT_E_BUSY when
 * another agent uses the state; UPT_E_CONFIG; codes of upt_trusted_set_pin_root() for a root file.
 */
UPT_NODISCARD enum upt_code
upt_agent_new(const struct upt_agent_config *config, struct upt_private_key *key,
	const struct upt_log *log, struct upt_agent **out, struct upt_err *err);
void upt_agent_free(struct upt_agent **agent);

/* Binds and listens; upt_agent_port() tells where. Writes ready_file. */
UPT_NODISCARD enum upt_code upt_agent_listen(struct upt_agent *agent, struct upt_err *err);
unsigned upt_agent_port(const struct upt_agent *agent);
/* Serves one connection after the other until stop_fd is readable (then UPT_OK). Nothing a peer
 * does ends it. */
UPT_NODISCARD enum upt_code
upt_agent_run(struct upt_agent *agent, int stop_fd, struct upt_err *err);
/* Serves one connected stream socket to its end; stop_fd as above or -1. Does not close fd. */
void upt_agent_serve(struct upt_agent *agent, int fd, int stop_fd);

/* The program: command line to exit code. */
int upt_agent_main(int argc, char **argv);

#endif
