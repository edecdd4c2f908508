/*
 * Running test vectors against this project's verifier: the procedures that the Primary follows, fed
 * from folders, with a store in memory that lasts from step to step. Thread-safety: one thread.
 */
#ifndef TESTS_VECTORS_RUNNER_H
#define TESTS_VECTORS_RUNNER_H

#include <cjson/cJSON.h>
#include "director/director.h"
#include "documents.h"
#include "imagerepo/imagerepo.h"
#include "storage/images.h"

#define RUNNER_MAX_ECUS 8

/* One repository: what the client has kept, and the folder that is its server in this step. */
struct store {
	char folder[1024];
	struct documents kept; /* marked with n_asked */
	/* The document that was asked for last; "" when none was. */
	char asked[UPT_MAX_ROLE_NAME_BYTES + 1];
	unsigned n_asked;
};

/* store.c */
UPT_NODISCARD enum upt_code store_provision(
	struct store *s, const char *folder, struct upt_err *err);
struct upt_feed store_feed(struct store *s);
void store_clear(struct store *s);
/* True when the document that was asked for last was accepted. */
bool store_keeps_asked(const struct store *s);

struct vehicle {
	bool ota;
	struct upt_vehicle facts;
	struct upt_vehicle_ecu ecus[RUNNER_MAX_ECUS];
	struct upt_image installed[RUNNER_MAX_ECUS];
	struct store director, image;
	struct upt_images *images;
};

/* What came of a step. Strings of assignments live in the arena. */
struct outcome {
	enum upt_code code;
	struct upt_err err;
	char role[UPT_MAX_ROLE_NAME_BYTES + 1];
	size_t n;
	struct upt_assignment *list;
	struct upt_arena arena;
};

/* cycle.c: one update, from metadata to image bytes. */
void vehicle_update(struct vehicle *v, int64_t now, struct outcome *out);

/* judge.c: compares with what case.json says; prints each difference. True when there is none. */
bool judge_case(const char *dir, const char *name, const char *scratch);

#endif
