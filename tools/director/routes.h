/*
 * From method and path to a reply: the whole of WIRE's Director interface but for HTTP itself.
 */
#ifndef UPT_TOOLS_DIRECTOR_ROUTES_H
#define UPT_TOOLS_DIRECTOR_ROUTES_H

#include "reply.h"

/* What a method and path mean. */
struct route {
	/* Takes the body; NULL: the path names metadata. */
	enum upt_code (*handler)(struct director *d, const struct request *request,
		struct reply *reply, struct upt_err *err);
	size_t max_body_bytes;
	enum role role; /* of metadata */
	uint64_t version; /* of metadata; 0: the latest */
	const char *allow; /* the methods of this path */
};

/* False when nothing lies at path. */
bool route_find(const char *path, struct route *out);
/* True when method is one of the route's. */
bool route_allows(const struct route *route, const char *method);
/* Answers; reply->status is set whenever UPT_OK is returned. */
UPT_NODISCARD enum upt_code route_answer(struct director *d, const struct route *route,
	const struct request *request, struct reply *reply, struct upt_err *err);

#endif
