/*
 * Shared by the IP link's files; and how it gets its connection, so that tests and fuzzers can put
 * anything at the other end.
 */
#ifndef UPT_SECONDARY_LINK_IP_H
#define UPT_SECONDARY_LINK_IP_H

#include "secondary/conn.h"
#include "secondary/link.h"

/* A connected stream socket; the link closes it. */
typedef enum upt_code (*upt_link_connect)(void *ctx, int *fd, struct upt_err *err);

/* upt_ip_link_new() with its own way to connect; NULL: TCP to the configured address. */
UPT_NODISCARD enum upt_code
upt_ip_link_new_connected(const struct upt_ip_link_config *config, upt_link_connect connect,
	void *connect_ctx, const struct upt_log *log, struct upt_link **out, struct upt_err *err);

/* ---- of link_ip.c, link_connect.c and link_image.c only ---- */

struct upt_ip_link {
	struct upt_link base;
	char *address;
	unsigned port;
	struct upt_conn conn; /* settings; fd is of the call under way */
	upt_link_connect connect;
	void *connect_ctx;
	char serial[UPT_ECU_SERIAL_MAX + 1]; /* "" until the first INFO */
};

/* One call sequence: a connection, closed at its end. */
struct upt_ip_call {
	struct upt_ip_link *link;
	struct upt_conn conn;
	struct upt_ecu_info info;
	struct upt_buf out, in;
};

/* ctx: the struct upt_ip_link. Tries every address of a name; the last failure is told. */
UPT_NODISCARD enum upt_code upt_ip_connect_tcp(void *ctx, int *fd, struct upt_err *err);

/* Sends call->out and empties it. */
UPT_NODISCARD enum upt_code upt_ip_send_out(struct upt_ip_call *call, struct upt_err *err);
/* Receives that type, or a VERDICT that says why not: then its code. */
UPT_NODISCARD enum upt_code upt_ip_receive_or_verdict(struct upt_ip_call *call,
	enum upt_wire_type wanted, uint64_t extra_ms, struct upt_err *err);
/* The Secondary's own code; pending may be NULL. */
UPT_NODISCARD enum upt_code upt_ip_receive_verdict(
	struct upt_ip_call *call, uint64_t extra_ms, bool *pending, struct upt_err *err);

/* to may be NULL. */
UPT_NODISCARD enum upt_code
upt_ip_give_image(struct upt_ip_call *call, const struct upt_install_job *job,
	const struct upt_install_progress *to, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_ip_ask_install(struct upt_ip_call *call,
	const struct upt_install_job *job, bool *pending, struct upt_err *err);

#endif
