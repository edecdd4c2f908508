/* The cases of the corpus, by what they are about. Thread-safety: one thread. */
#ifndef TESTS_VECTORS_CASES_H
#define TESTS_VECTORS_CASES_H

#include "scene.h"

/* A role of a repository that a fault is put into. "team" is a delegated role of the Image repository
 * that holds the base target. */
struct place {
	enum upt_repo repo;
	const char *role;
	bool ota;
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

/* What is odd with one document and is no fault wherever that document stands. */
struct variant {
	const char *name;
	const char *title;
	const char *proves;
	unsigned places;
	void (*change)(struct scene *s, enum upt_repo repo, const char *role);
	void (*prepare)(struct scene *s, enum upt_repo repo, const char *role); /* before step 1 */
};

/* Bits of fault.places and variant.places. */
#define D_ROOT (1u << 0)
#define D_TIMESTAMP (1u << 1)
#define D_SNAPSHOT (1u << 2)
#define D_TARGETS (1u << 3)
#define I_ROOT (1u << 4)
#define I_TIMESTAMP (1u << 5)
#define I_SNAPSHOT (1u << 6)
#define I_TARGETS (1u << 7)
#define I_TEAM (1u << 8)
/* Profile ota, where the Director serves root and targets only. */
#define OTA_D_ROOT (1u << 9)
#define OTA_D_TARGETS (1u << 10)
#define OTA_I_ROOT (1u << 11)
#define OTA_I_TIMESTAMP (1u << 12)
#define OTA_I_SNAPSHOT (1u << 13)
#define OTA_I_TARGETS (1u << 14)
#define OTA_I_TEAM (1u << 15)
#define EVERY_ROOT (D_ROOT | I_ROOT)
#define EVERY_TIMESTAMP (D_TIMESTAMP | I_TIMESTAMP)
#define EVERY_SNAPSHOT (D_SNAPSHOT | I_SNAPSHOT)
#define EVERY_TARGETS (D_TARGETS | I_TARGETS)
#define LISTED (EVERY_SNAPSHOT | EVERY_TARGETS | I_TEAM)
#define NEEDED (EVERY_TIMESTAMP | LISTED)
#define EVERYWHERE (EVERY_ROOT | NEEDED)
#define OTA_ROOT (OTA_D_ROOT | OTA_I_ROOT)
#define OTA_LISTED (OTA_I_SNAPSHOT | OTA_I_TARGETS | OTA_I_TEAM)
#define OTA_NEEDED (OTA_D_TARGETS | OTA_I_TIMESTAMP | OTA_LISTED)
#define OTA_EVERYWHERE (OTA_ROOT | OTA_NEEDED)

/* For each place of each fault: a good step, the fault, and a good step again. */
void add_faults(struct generator *g, const struct fault *faults, size_t n);
#define ADD_FAULTS(g, faults) add_faults(g, faults, sizeof(faults) / sizeof((faults)[0]))

/* For each place of each variant: a good step, the variant, and a good step again; all are accepted. */
void add_variants(struct generator *g, const struct variant *variants, size_t n);
#define ADD_VARIANTS(g, variants) add_variants(g, variants, sizeof(variants) / sizeof((variants)[0]))

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
void cases_multirole(struct generator *g);
void cases_target(struct generator *g);
void cases_spelling(struct generator *g);
void cases_ota(struct generator *g);

#endif
