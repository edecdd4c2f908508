/*
 * How an IP link gets its connection, so that tests and fuzzers can put anything at the other end.
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

#endif
