/* Keys, and envelopes that the module itself would never make. */
#ifndef TESTS_UNIT_MANIFEST_SUPPORT_H
#define TESTS_UNIT_MANIFEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "manifest/manifest.h"

#define assert_ok(call)                                                                            \
	do {                                                                                       \
		struct upt_err err = {0};                                                          \
		enum upt_code code_ = (call);                                                      \
		if (code_ != UPT_OK)                                                               \
			fail_msg("%s: %s", upt_code_name(code_), err.message);                     \
	} while (0)

struct pair {
	struct upt_private_key *private;
	struct upt_public_key *public;
};

struct pair make_pair(const char *keytype);
void pair_clear(struct pair *pair);

/* What an envelope's one signature says; a NULL member is left out. */
struct entry {
	const char *method;
	const char *function; /* "": no hash object */
	const char *hashed; /* text whose digest is stated; NULL: the payload's */
	const char *keyid;
};
#define GOOD_ENTRY ((struct entry){"ed25519", "sha256", NULL, "k"})

/* One signature entry by pair over signed_text, as text to free. */
char *make_entry(const struct pair *pair, const char *signed_text, const struct entry *entry);
/* {"signatures":[entries],"signed":payload}, to free. */
char *make_envelope(const char *entries, const char *payload);
/* A well-formed envelope over payload, to free. */
char *sign_text(const struct pair *pair, const char *payload);

/* Formats into a new string. */
char *format(const char *fmt, ...) UPT_PRINTF(1, 2);

/* A report that both sides accept. */
struct upt_ecu_report sample_report(const char *serial);

#endif
