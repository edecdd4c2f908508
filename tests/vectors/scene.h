/*
 * What a test vector is made of: two repositories in memory whose documents are built, signed and
 * published step by step, and what a client must make of each step. Sound by default; a case spoils
 * one thing. Building goes in stages, so that a case can reach in between: payload, signed text,
 * signatures, bytes as served; what lists a document is built from the bytes it has by then. All
 * failures of the generator itself end the process. Thread-safety: a case belongs to one thread.
 */
#ifndef TESTS_VECTORS_SCENE_H
#define TESTS_VECTORS_SCENE_H

#include "authoring/authoring.h"
#include "json/json.h"

#define NOW INT64_C(1893456000) /* 2030-01-01T00:00:00Z */
#define EXPIRES INT64_C(2145916800) /* 2038-01-01T00:00:00Z */
#define PAST (NOW - 1)

#define DIRECTOR UPT_REPO_DIRECTOR
#define IMAGE UPT_REPO_IMAGE

#define ROLE_NAME_SIZE 300
/* Root, timestamp, snapshot, targets, and delegated roles in search order. */
#define MAX_DOCS 80

/* The base scene: one ECU that shall get one image. */
#define VEHICLE "vehicle-1"
#define ECU "ecu-1"
#define HARDWARE "hw-a"
#define APP "app-1.bin"

/* How a document is signed, where a case wants it otherwise. */
struct signing {
	const char *keys; /* separated by spaces; NULL: the role's own */
	enum upt_json_form form; /* UPT_JSON_UTF8 unless set */
	bool other_form; /* form is meant */
	bool base64;
	bool no_method;
	const char *method; /* NULL: the key's own */
};

struct doc {
	char role[ROLE_NAME_SIZE];
	uint64_t version;
	bool hold; /* published again as it was */
	bool omit; /* in this step the server does not have it */
	bool not_visited; /* delegated: the search does not come here */
	bool unlisted; /* in this step the snapshot leaves it out */
	char file[3 * ROLE_NAME_SIZE]; /* served under this name; "": the usual one */
	char keys[512]; /* delegated: who signs */
	cJSON *body; /* targets: what lasts from step to step */
	/* In this step, as far as it was needed. */
	cJSON *payload;
	struct signing signing;
	struct upt_buf text;
	cJSON *signatures;
	struct upt_buf bytes;
};

struct role_plan {
	char keys[512];
	unsigned threshold;
};

struct sealed_root {
	struct upt_buf bytes; /* as served; empty: not served */
	char keys[512]; /* of its role root */
};

struct trusted {
	char role[ROLE_NAME_SIZE];
	uint64_t version;
};

struct repo {
	enum upt_repo id;
	bool consistent;
	bool targets_only; /* root lists neither timestamp nor snapshot */
	bool in_folder;
	struct role_plan plan[4]; /* root, timestamp, snapshot, targets */
	size_t n_roots;
	struct sealed_root *roots; /* version i + 1 */
	bool root_pending;
	uint64_t followed; /* the last root that a client can come to; 0: the newest */
	size_t n_docs;
	struct doc docs[MAX_DOCS];
	size_t n_trusted;
	struct trusted trusted[MAX_DOCS];
};

struct served_image {
	char name[600];
	struct upt_buf content; /* as listed */
	struct upt_buf served; /* as served */
	bool omit;
};

struct generator;

struct scene {
	struct generator *gen;
	char name[128];
	bool ota;
	int64_t now;
	struct repo repos[3]; /* by enum upt_repo; [0] is not used */
	size_t n_images;
	struct served_image images[8];
	cJSON *json; /* case.json */
	cJSON *ecus;
	int step;
};

/* ---- a case ---- */

/* proves: numbers of CHECKLIST, separated by spaces. The base scene is set up, nothing published. */
struct scene *scene_begin(struct generator *g, const char *name, const char *title, const char *proves);
struct scene *scene_begin_ota(
	struct generator *g, const char *name, const char *title, const char *proves);
/* The next step: every version one higher. The first one also provisions the roots. */
void scene_step(struct scene *s);
/* Ends a step: writes its folders and what must come of it. */
void scene_accept(struct scene *s);
/* repo and role: what is refused; role "target" or "image" for what is no document's fault, NULL for
 * one that only this client names. What came before it in this step is trusted. */
void scene_refuse(struct scene *s, enum upt_code code, enum upt_repo repo, const char *role);
/* The same, but trusted stays as it was set by scene_trust(). */
void scene_refuse_as_set(struct scene *s, enum upt_code code, enum upt_repo repo, const char *role);
void scene_trust(struct scene *s, enum upt_repo repo, const char *role, uint64_t version); /* 0: not */
void scene_end(struct scene **s);

/* Everything but the root is published again as it is, or no longer. */
void scene_hold(struct scene *s, enum upt_repo repo, bool hold);
/* An ECU more, or the base one with other facts. */
void scene_ecu(struct scene *s, const char *serial, const char *hardware_id);

/* ---- documents ---- */

struct repo *scene_repo(struct scene *s, enum upt_repo repo);
struct doc *scene_doc(struct scene *s, enum upt_repo repo, const char *role);
/* What lasts (targets and delegated roles only). */
cJSON *scene_body(struct scene *s, enum upt_repo repo, const char *role);
/* Of this step. */
cJSON *scene_payload(struct scene *s, enum upt_repo repo, const char *role);
struct signing *scene_signing(struct scene *s, enum upt_repo repo, const char *role);
struct upt_buf *scene_text(struct scene *s, enum upt_repo repo, const char *role);
cJSON *scene_signatures(struct scene *s, enum upt_repo repo, const char *role);
struct upt_buf *scene_bytes(struct scene *s, enum upt_repo repo, const char *role);
/* Builds all of the repository, so that what is spoilt now is listed as it was. */
void scene_finish(struct scene *s, enum upt_repo repo);

/* Begins the next root (the one before it is sealed), by the plans as they are when it is needed. */
void scene_root(struct scene *s, enum upt_repo repo);
void scene_plan(struct scene *s, enum upt_repo repo, const char *role, const char *keys, unsigned threshold);

/* ---- targets ---- */

/* Content that the Image repository serves under that name. */
struct served_image *scene_image(struct scene *s, const char *name, const char *content);
/* Lists it in a body or payload; sha512 beside sha256 when both. Returns the new entry. */
cJSON *scene_list(struct scene *s, cJSON *targets, const char *name, bool both);
/* ... for an ECU (Director), for a hardware id (Image repository; NULL: none is named). */
cJSON *scene_assign(struct scene *s, cJSON *targets, const char *name, const char *ecu, const char *hardware);
cJSON *scene_vouch(struct scene *s, cJSON *targets, const char *name, const char *hardware);

struct delegation {
	const char *from; /* a role of the Image repository */
	const char *to;
	const char *keys;
	unsigned threshold; /* 0: 1 */
	const char *path;
	const char *hardware; /* NULL: for any */
	bool terminating;
};
/* In the delegator's body; makes the delegated role unless it is there. Returns the entry. */
cJSON *scene_delegate(struct scene *s, const struct delegation *d);

struct multi_role {
	const char *from;
	const char *name; /* of the delegation */
	const char *to; /* separated by spaces; the key of ROLE is ROLE-1 */
	unsigned min;
	const char *path;
	bool terminating;
};
/* The same to several roles (TAP 3). */
cJSON *scene_delegate_to_several(struct scene *s, const struct multi_role *d);
/* The base target moves from top-level targets to this role. */
void scene_move_app(struct scene *s, const char *role);

/* ---- JSON by path: "roles/root/threshold", numbers index arrays ---- */
cJSON *at(cJSON *object, const char *path);
void set(cJSON *object, const char *path, cJSON *value);
void drop(cJSON *object, const char *path);
cJSON *num(double value);
cJSON *str(const char *value);
cJSON *when(int64_t time);
/* Replaces the first occurrence, which must be there. */
void replace(struct upt_buf *text, const char *from, const char *to);
void append(struct upt_buf *text, const void *bytes, size_t len);
/* Spaces at the end until the text has that many bytes. */
void pad(struct upt_buf *text, size_t len);

/* ---- the generator ---- */

/* only: names of the cases to write, n_only of them; 0: all. */
struct generator *generator_new(const char *dir, char *const *only, int n_only);
void generator_free(struct generator **g);
size_t generator_count(const struct generator *g);
/* Keys by name, for the whole corpus: "director/root-1". p256-*, p384-* and rsa-BITS-* are of these
 * types, all others ed25519. */
const struct upt_private_key *generator_key(struct generator *g, const char *name);
void generator_write(
	struct generator *g, const char *case_name, const char *path, struct upt_span bytes);
/* Ends the process unless ok. */
void must(bool ok, const char *what);
void must_code(enum upt_code code, const struct upt_err *err);

#endif
