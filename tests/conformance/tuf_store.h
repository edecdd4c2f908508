/*
 * Trusted metadata in a directory, as a plain TUF client keeps it: ROLE.json, unversioned, with the
 * bytes as they were served; and the feed that reads the rest from a server. Thread-safety: none.
 */
#ifndef TESTS_CONFORMANCE_TUF_STORE_H
#define TESTS_CONFORMANCE_TUF_STORE_H

#include "metadata/refresh.h"
#include "web.h"

/* A directory is opened once and stays where it was. */
struct tuf_store {
	int dirfd;
	const struct web *web;
	const char *url; /* of the server's metadata */
	size_t max_bytes; /* of one file */
};

/* Everything but RFC 3986's unreserved characters as %XX: one path component, but for "." and "..".
 * Appended to out. */
UPT_NODISCARD enum upt_code tuf_quote(const char *name, struct upt_buf *out, struct upt_err *err);
/* The functions of a feed whose context is store. */
struct upt_feed tuf_store_feed(struct tuf_store *store);

#endif
