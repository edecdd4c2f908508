/* Inside the generator: the corpus folder and the keys. Thread-safety: one thread. */
#ifndef TESTS_VECTORS_GENERATOR_H
#define TESTS_VECTORS_GENERATOR_H

#include "scene.h"

#define MAX_KEYS 256

struct named_key {
	char name[64];
	struct upt_private_key *key;
	struct evp_pkey_st *rsa; /* the same key, where it is of that type */
};

struct generator {
	char *dir;
	char *const *only;
	int n_only;
	size_t n_cases;
	size_t n_keys;
	struct named_key keys[MAX_KEYS];
};

/* openssl.c: random numbers are from the seed, from dice_begin() on. */
void dice_begin(void);
void dice_seed(struct upt_span what);
struct evp_pkey_st *rsa_generate(unsigned bits, struct upt_buf *pem);
void rsa_sign_sha512(struct evp_pkey_st *key, struct upt_span message, struct upt_buf *sig);
void rsa_free(struct evp_pkey_st *key);

/* Signs with a key of generator_key(); method NULL: the key's own. */
void generator_sign(struct generator *g, const struct upt_private_key *key, const char *method,
	struct upt_span message, struct upt_buf *sig);

/* The document's signatures and served bytes from what is set of it (sign.c). */
void doc_sign(struct scene *s, struct repo *r, struct doc *d, const char *role_keys);
void doc_compose(struct doc *d);
/* Text of the payload in canonical form, UTF-8. */
void doc_print(struct doc *d);
void doc_clear_step(struct doc *d);
/* Keys by a list of names; those without '/' are the repository's. Returns their number. */
size_t pick_keys(struct scene *s, const struct repo *r, const char *names,
	const struct upt_private_key **out, size_t max);

/* case.json and the folders of a step (publish.c). */
void publish_provisioned(struct scene *s, const struct repo *r);
void publish_step(struct scene *s);
void publish_case(struct scene *s);
void publish_expectation(
	struct scene *s, enum upt_code code, enum upt_repo repo, const char *role);

#endif
