/*
 * Public Uptane vectors: a server plays Director and Image repository step by step and says of each
 * step whether a client must take it; a vehicle in memory runs one cycle a step, by the policies of
 * profile ota. Thread-safety: none.
 */
#ifndef TESTS_CONFORMANCE_VECTORS_H
#define TESTS_CONFORMANCE_VECTORS_H

#include <stdio.h>
#include "director/director.h"
#include "metadata/refresh.h"
#include "vectors/documents.h"
#include "web.h"

#define VECTORS_MAX_STEPS 1000

/* ---- one repository's trusted metadata, in memory ---- */

struct vector_store {
	const struct web *web;
	const char *url; /* of this repository, in this step */
	struct upt_buf first_root; /* seen, not yet verified */
	struct documents kept; /* "root" too */
};

/* Its first root is trusted on first use: 1.root.json of the server. */
struct upt_feed vector_store_feed(struct vector_store *store);
/* Keeps the first root once a set has taken it. */
UPT_NODISCARD enum upt_code vector_store_settle(
	struct vector_store *store, const struct upt_trusted_set *set, struct upt_err *err);
void vector_store_clear(struct vector_store *store);

/* ---- one cycle ---- */

struct vector_vehicle {
	struct vector_store director, image;
	struct upt_vehicle vehicle;
	int64_t now;
};

/* Metadata of both repositories, the match of every target, and the images. UPT_OK or the refusal.
 */
UPT_NODISCARD enum upt_code vector_cycle(struct vector_vehicle *v, struct upt_err *err);

/* ---- the suite ---- */

struct vectors_options {
	const char *url;
	const char *primary_ecu, *hardware_id;
};

struct vectors_result {
	unsigned n_vectors, n_passed, n_failed; /* the last two count steps */
};

/* Runs all vectors that the server names, a line a step to out. A step that could not be judged is
 * a failed one. UPT_OK when the list was had and is not empty, whatever the steps gave. */
UPT_NODISCARD enum upt_code vectors_run(const struct vectors_options *options, int64_t now,
	FILE *out, struct vectors_result *result, struct upt_err *err);

/* The whole program: 0 when every step went as expected, else 1. */
int uptane_vectors_main(int argc, char **argv);

#endif
