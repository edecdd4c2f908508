/*
 * Shared by the agent's files.
 */
#ifndef UPT_SECONDARY_AGENT_INTERNAL_H
#define UPT_SECONDARY_AGENT_INTERNAL_H

#include "base/arena.h"
#include "imagerepo/imagerepo.h"
#include "installer/installer.h"
#include "secondary/agent.h"
#include "secondary/conn.h"
#include "secondary/state.h"

struct upt_agent {
	struct upt_agent_config config;
	const struct upt_log *log;
	struct upt_private_key *key;
	struct upt_state *state;
	struct upt_installer *installer;
	struct upt_ecu_info info;
	int listen_fd;
	unsigned port;
	bool clock_reported; /* that the clock is behind was said already */
};

/* Trusted time: the clock, or the floor when the clock is behind it. */
int64_t upt_agent_now(struct upt_agent *agent);
/* Remembers the attack that a refusal indicates for the next version report. */
void upt_agent_note(struct upt_agent *agent, enum upt_code code, enum upt_repo repo);

/* ---- verify.c ---- */

/* What verified, unexpired metadata of both repositories assigns to this ECU. */
struct upt_agent_assignment {
	bool assigned;
	struct upt_target director, image; /* strings in the arena given */
};

/* Gets a file of a repository from the Primary, as struct upt_feed's fetch. */
struct upt_agent_source {
	enum upt_code (*fetch)(void *ctx, enum upt_repo repo, const char *file_name,
		size_t max_bytes, struct upt_buf *out, struct upt_err *err);
	void *ctx;
};

/* Full verification. source NULL: of what is stored, as if the Primary had nothing newer. */
UPT_NODISCARD enum upt_code
upt_agent_verify(struct upt_agent *agent, const struct upt_agent_source *source,
	struct upt_arena *arena, struct upt_agent_assignment *out, struct upt_err *err);
/* The stored metadata's assignment, when it is of that name; UPT_E_UNKNOWN_TARGET else. */
UPT_NODISCARD enum upt_code upt_agent_find_assigned(struct upt_agent *agent, const char *name,
	struct upt_arena *arena, struct upt_agent_assignment *out, struct upt_err *err);
/* The trust policy of a repository; vehicle (a struct upt_vehicle) is borrowed by it. */
struct upt_trust_policy
upt_agent_policy(const struct upt_agent *agent, enum upt_repo repo, const void *vehicle);

/* ---- install.c ---- */

/* Ends or undoes the record of an installation that was cut short. */
UPT_NODISCARD enum upt_code upt_agent_recover(struct upt_agent *agent, struct upt_err *err);
/* What is installed, by the file itself; the name only where our record is of that very content. */
UPT_NODISCARD enum upt_code
upt_agent_installed(struct upt_agent *agent, struct upt_image *out, struct upt_err *err);
/* Verifies again, from stored metadata and the stored image, and installs. */
UPT_NODISCARD enum upt_code
upt_agent_install(struct upt_agent *agent, const char *name, bool *pending, struct upt_err *err);
/* True when both list the same content, whatever its name. */
bool upt_agent_same_content(const struct upt_image *a, const struct upt_image *b);

/* ---- session.c, receive.c ---- */

/* One connection under way. */
struct upt_session {
	struct upt_agent *agent;
	struct upt_conn conn;
	struct upt_buf frame; /* payload of the frame received last */
	unsigned n_needs;
	bool lost; /* the connection is of no more use */
};

/* UPT_OK: sent, whatever the verdict was. */
UPT_NODISCARD enum upt_code upt_session_send_verdict(struct upt_session *s, enum upt_code code,
	bool pending, const struct upt_err *why, struct upt_err *err);
/* IMAGE_BEGIN to IMAGE_END; s->frame holds the first. UPT_OK: the next request may come. */
UPT_NODISCARD enum upt_code upt_session_receive_image(struct upt_session *s, struct upt_err *err);

#endif
