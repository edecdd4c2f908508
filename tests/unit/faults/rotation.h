/*
 * Two repositories before and after a release that changes everything: version 2 of the root gives
 * timestamp and snapshot new keys, and timestamp, snapshot, targets and the Image repository's
 * delegated role "role" follow. Every document that is accepted on the way is a step; what is
 * stored is always as after one of them.
 */
#ifndef TESTS_FAULTS_ROTATION_H
#define TESTS_FAULTS_ROTATION_H

#include "../metadata/world.h"

#define ROTATION_VEHICLE "VIN-1"
#define ROTATION_ECU "ecu-1"
#define ROTATION_HARDWARE "hw"
#define ROTATION_TARGET "x"

#define ROTATION_DIRECTOR_STEPS 4 /* root, timestamp, snapshot, targets */
#define ROTATION_IMAGE_STEPS 5 /* and role */
#define ROTATION_STEPS (ROTATION_DIRECTOR_STEPS + ROTATION_IMAGE_STEPS)
#define ROTATION_MAX_DOCUMENTS 5

struct rotation_repo {
	struct world w;
	size_t n_documents;
	struct upt_buf documents[2][ROTATION_MAX_DOCUMENTS]; /* versions 1 and 2 */
};

struct rotation {
	struct rotation_repo director, image;
};

void rotation_init(struct rotation *r);
void rotation_clear(struct rotation *r);
/* The role's name of document i. */
const char *rotation_role(size_t i);
/* Version 2, as a server has it: fits what a feed fetches. */
enum upt_code rotation_fetch(const struct rotation *r, enum upt_repo repo, const char *file_name,
	size_t max_bytes, struct upt_buf *out, struct upt_err *err);

/* Loads a stored document: UPT_E_NOT_FOUND when there is none. */
typedef enum upt_code (*rotation_load)(
	void *ctx, enum upt_repo repo, const char *role, struct upt_buf *out, struct upt_err *err);
/* The step as after which everything is stored, byte for byte; fails the test when there is none.
 */
size_t rotation_step(const struct rotation *r, rotation_load load, void *ctx);

#endif
