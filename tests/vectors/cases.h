/* The cases of the corpus, by what they are about. Thread-safety: one thread. */
#ifndef TESTS_VECTORS_CASES_H
#define TESTS_VECTORS_CASES_H

#include "scene.h"

/* A role of a repository that a fault is put into. "team" is a delegated role of the Image repository
 * that holds the base target. */
struct place {
	enum upt_repo repo;
	const char *role;
};

/* What is wrong with one document, and what comes of it wherever that document stands. */
struct fault {
	const char *name;
	const char *title;
	const char *proves;
	unsigned places;
	enum upt_code code;
	void (*spoil)(struct scene *s, enum upt_repo repo, const char *role);
	void (*prepare)(struct scene *s, enum upt_repo repo, const char *role); /* before step 1 */
};

/* Bits of fault.places. */
#define D_ROOT (1u << 0)
#define D_TIMESTAMP (1u << 1)
#define D_SNAPSHOT (1u << 2)
#define D_TARGETS (1u << 3)
#define I_ROOT (1u << 4)
#define I_TIMESTAMP (1u << 5)
#define I_SNAPSHOT (1u << 6)
#define I_TARGETS (1u << 7)
#define I_TEAM (1u << 8)
#define EVERY_ROOT (D_ROOT | I_ROOT)
#define EVERY_TIMESTAMP (D_TIMESTAMP | I_TIMESTAMP)
#define EVERY_SNAPSHOT (D_SNAPSHOT | I_SNAPSHOT)
#define EVERY_TARGETS (D_TARGETS | I_TARGETS)
#define LISTED (EVERY_SNAPSHOT | EVERY_TARGETS | I_TEAM)
#define NEEDED (EVERY_TIMESTAMP | LISTED)
#define EVERYWHERE (EVERY_ROOT | NEEDED)

/* For each place of each fault: a good step, the fault, and a good step again. */
void add_faults(struct generator *g, const struct fault *faults, size_t n);
#define ADD_FAULTS(g, faults) add_faults(g, faults, sizeof(faults) / sizeof((faults)[0]))

/* The base target moves to the delegated role "team". */
void add_team(struct scene *s);
/* The document gets other bytes after it was listed: signed again, as it is now. */
void sign_again(struct scene *s, enum upt_repo repo, const char *role);

void cases_signature(struct generator *g);
void cases_document(struct generator *g);
void cases_root(struct generator *g);
void cases_listing(struct generator *g);
void cases_director(struct generator *g);
void cases_delegation(struct generator *g);
void cases_target(struct generator *g);
void cases_spelling(struct generator *g);
void cases_ota(struct generator *g);

#endif
