/*
 * An Image repository in memory whose delegations are searched: roles by name, each with the keys
 * that sign it: "b" has DEL_B, "c" has DEL_C, all others DEL_A unless a test says otherwise.
 */
#ifndef TESTS_IMAGEREPO_SCENE_H
#define TESTS_IMAGEREPO_SCENE_H

#include "../metadata/memory_feed.h"
#include "imagerepo/imagerepo.h"

#define MAX_ROLES 80

/* Roles of the repository; the first is the top level. */
struct scene {
	struct world w;
	struct memory_feed m;
	size_t n_roles;
	struct {
		char name[40];
		unsigned keys;
		cJSON *payload;
	} roles[MAX_ROLES];
	struct upt_arena arena;
	struct upt_target found;
	struct upt_err err;
	const char *hardware_id;
	bool crosses;
};

/* cmocka setup and teardown: *state is a struct scene * with top-level targets that are empty. */
int scene_setup(void **state);
int scene_teardown(void **state);

/* Payload of a role, made with these keys when it is not there. */
cJSON *role(struct scene *s, const char *name, unsigned keys);
/* The content tells which role listed it. */
void lists(struct scene *s, const char *who, const char *target);
/* With content of that text. Returns the role's targets. */
cJSON *lists_as(struct scene *s, const char *who, const char *target, const char *content);
void
delegates(struct scene *s, const char *from, const char *to, const char *path, bool terminating);
/* To several roles, "a b c", of which min must agree. Returns the entry. */
cJSON *delegates_to_several(struct scene *s, const char *from, const char *name, const char *roles,
	unsigned min, const char *path, bool terminating);
/* Signs and serves everything, and refreshes the set. */
void refresh(struct scene *s);
/* A search; its outputs and its error are checked. */
enum upt_code find(struct scene *s, const char *name);
/* The content is that text: the name of the role that listed it, or what lists_as() said. */
void assert_found(struct scene *s, const char *name, const char *content);

#endif
