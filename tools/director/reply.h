/*
 * What a request is answered with. Handlers know no HTTP library: they take bytes and give a reply,
 * so that tests need no socket. A refusal is a reply (with UPT_OK); an error code means that this
 * Director failed, which the vehicle learns as 500 or 503 and nothing more.
 */
#ifndef UPT_TOOLS_DIRECTOR_REPLY_H
#define UPT_TOOLS_DIRECTOR_REPLY_H

#include "director.h"
#include "metadata/limits.h"

struct reply {
	unsigned status; /* HTTP status; 0 while there is none */
	struct upt_buf body; /* JSON, may be empty */
	char note[320]; /* what the log line says beside the status; "" for nothing */
};

/* Fits upt_cleanup(). */
void reply_clear(struct reply *reply);
/* {"code","message"} with the message also in the note. */
UPT_NODISCARD enum upt_code reply_error(struct reply *reply, struct upt_err *err, unsigned status,
	const char *code, const char *fmt, ...) UPT_PRINTF(5, 6);

/* A request of an authenticated vehicle. */
struct request {
	const char *vehicle;
	struct upt_span body;
	int64_t now;
};

/* Limits of bodies and what is kept of them. */
#define ECUS_MAX UPT_MAX_TARGET_ECUS /* of one vehicle: as many as it can be configured with */
#define ECUS_MAX_BYTES ((size_t)ECUS_MAX * 2048) /* each with a key of RSA 8192 */
#define EVENTS_MAX_BYTES ((size_t)256 * 1024)
#define EVENTS_MAX 500 /* in one request */
#define EVENTS_KEPT 2000 /* of one vehicle */

#define ATTACKS_KEPT 100 /* of one vehicle */
#define RESULT_CODE_MAX 64 /* of an installation report */
#define RESULT_TEXT_MAX 512

/* POST /director/ecus */
UPT_NODISCARD enum upt_code ecus_post(struct director *d, const struct request *request,
	struct reply *reply, struct upt_err *err);
/* PUT /director/manifest */
UPT_NODISCARD enum upt_code manifest_put(struct director *d, const struct request *request,
	struct reply *reply, struct upt_err *err);
/* POST /events */
UPT_NODISCARD enum upt_code events_post(struct director *d, const struct request *request,
	struct reply *reply, struct upt_err *err);

#endif
