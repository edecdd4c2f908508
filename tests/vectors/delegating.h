/* Steps and roles of the Image repository, for the cases about delegations. Thread-safety: one thread. */
#ifndef TESTS_VECTORS_DELEGATING_H
#define TESTS_VECTORS_DELEGATING_H

#include "scene.h"

struct doc *doc_of(struct scene *s, const char *role);
cJSON *body_of(struct scene *s, const char *role);
/* FROM delegates PATH to ROLE, whose key is ROLE-1. Returns the entry. */
cJSON *to(struct scene *s, const char *from, const char *role, const char *path, bool terminating);
/* Other content under the base target's name, which the Director does not want. */
void vouch_other(struct scene *s, const char *role);
void good_step(struct scene *s);
void refuse_target(struct scene *s, enum upt_code code);

#endif
