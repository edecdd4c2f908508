/*
 * A Director in a temporary folder with one registered vehicle of two ECUs, at a time of our
 * choosing.
 */
#ifndef UPT_TEST_TOOLS_DIRECTOR_SUPPORT_H
#define UPT_TEST_TOOLS_DIRECTOR_SUPPORT_H

/* clang-format off: cmocka needs these first */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include "director/assignment.h"
#include "director/metadata.h"
#include "director/routes.h"

#define T0 ((int64_t)1700000000)
#define VEHICLE "veh-1"
/* Lifetimes of the Director in these tests. */
#define ROOT_LIFE_S 100000
#define TARGETS_LIFE_S 10000
#define SNAPSHOT_LIFE_S 6000
#define TIMESTAMP_LIFE_S 1000

struct fixture {
	char dir[64];
	struct director d;
	struct upt_private_key *primary_key, *secondary_key;
	struct upt_buf registration;
};

/* cmocka setup and teardown; *state is a struct fixture *. */
int setup(void **state);
int teardown(void **state);

/* The reply to a request; the caller clears it. */
struct reply ask(struct fixture *f, const char *path, struct upt_span body, int64_t now);
/* Version and text of the latest document of that role after a request at now. */
uint64_t version_at(struct fixture *f, enum role role, int64_t now);
/* Assigns name (one byte long) to an ECU. */
void assign(struct fixture *f, const char *ecu, const char *name, int64_t now);
/* A hash over everything the database holds. */
struct upt_digest database_digest(struct fixture *f);

#endif
