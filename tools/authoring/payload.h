/*
 * Pieces of payloads that several roles share; inside the authoring library only. All of them return
 * NULL or false without memory.
 */
#ifndef UPT_AUTHORING_PAYLOAD_H
#define UPT_AUTHORING_PAYLOAD_H

#include "authoring/authoring.h"

/* Frees a cJSON local and fits upt_cleanup(). */
/* {"_type","spec_version","version","expires"}. */
cJSON *author_payload(const char *type, uint64_t version, int64_t expires);
/* Puts value (taken over, also on failure) under name, in place of what stands there. */
bool author_put(cJSON *object, const char *name, cJSON *value);
/* {"sha256": hex, ...} of the digests. */
cJSON *author_hashes(const struct upt_digest *digests, size_t n);
/* Adds the role's keys to a "keys" object, each id once. */
bool author_add_keys(cJSON *keys, const struct upt_author_role *role);
/* Sets "keyids" and "threshold" of the role in object. */
bool author_add_role(cJSON *object, const struct upt_author_role *role);
/* A number in 0..2^53-1 exactly; sets *out. */
bool author_exact(double number, uint64_t *out);

#endif
