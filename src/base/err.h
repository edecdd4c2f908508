/*
 * Errors: one enum for every refusal and failure. The same code names a test's expectation, a log
 * line, the exit code's class and the version report's attacks_detected (Uptane Standard 2.1,
 * "error code names the attack"). Thread-safety: an upt_err belongs to its caller; tables are const.
 */
#ifndef UPT_BASE_ERR_H
#define UPT_BASE_ERR_H

#include <stdbool.h>
#include <stdint.h>
#include "base/cleanup.h"

/* The Standard's attacks, as a version report names them. */
enum upt_attack {
	UPT_ATTACK_NONE = 0,
	UPT_ATTACK_ARBITRARY_SOFTWARE,
	UPT_ATTACK_ROLLBACK,
	UPT_ATTACK_FREEZE,
	UPT_ATTACK_MIX_AND_MATCH,
	UPT_ATTACK_ENDLESS_DATA,
	UPT_ATTACK_SLOW_RETRIEVAL,
};

/*
 * X(code, "stable-name", attack it indicates, exit code of its class, what it means).
 * Exit codes: 2 usage, 3 configuration, 4 local storage, 5 cannot tell (network, server),
 * 6 TLS identity, 7 installation, 8 busy, 9 cancelled, 10 internal; 20.. refusals by attack:
 * 20 arbitrary software, 21 rollback, 22 freeze, 23 mix-and-match, 24 endless data,
 * 25 slow retrieval, 26 malformed or incomplete metadata.
 */
#define UPT_ERROR_CODES(X)                                                                         \
	X(UPT_OK, "ok", NONE, 0, "success")                                                        \
	/* refusals of signed documents */                                                         \
	X(UPT_E_THRESHOLD, "signature-threshold", ARBITRARY_SOFTWARE, 20,                          \
		"too few valid signatures of distinct keys")                                       \
	X(UPT_E_DUPLICATE_KEYID, "duplicate-keyid", ARBITRARY_SOFTWARE, 20,                        \
		"a signature list or a role names one key id twice")                               \
	X(UPT_E_BAD_THRESHOLD, "bad-threshold", ARBITRARY_SOFTWARE, 20,                            \
		"a role's threshold is below 1")                                   \
	X(UPT_E_WRONG_ROLE, "wrong-role", MIX_AND_MATCH, 23,                                       \
		"a document of one role served as another")                                        \
	X(UPT_E_ROLLBACK, "version-rollback", ROLLBACK, 21,                                        \
		"an older version after a newer one")                                              \
	X(UPT_E_VERSION_GAP, "root-version-gap", ROLLBACK, 21, "a root that is not the next one")  \
	X(UPT_E_FILE_DROPPED, "snapshot-drops-file", ROLLBACK, 21,                                 \
		"a snapshot that no longer lists a file")                                          \
	X(UPT_E_RELEASE_ROLLBACK, "release-counter-rollback", ROLLBACK, 21,                        \
		"an image with a lower release counter than the installed one")                    \
	X(UPT_E_EXPIRED, "expired", FREEZE, 22, "metadata past its expiry")                        \
	X(UPT_E_CHANGED, "changed-while-version-same", MIX_AND_MATCH, 23,                          \
		"other content under an unchanged version")                                        \
	X(UPT_E_VERSION_MISMATCH, "version-mismatch", MIX_AND_MATCH, 23,                           \
		"a version that its timestamp or snapshot does not list")                          \
	X(UPT_E_HASH_MISMATCH, "metadata-hash-mismatch", MIX_AND_MATCH, 23,                        \
		"a document whose hash or length its timestamp or snapshot does not list")         \
	X(UPT_E_NOT_LISTED, "role-not-in-snapshot", MIX_AND_MATCH, 23,                             \
		"a role that the snapshot does not list")                                          \
	X(UPT_E_TOO_LARGE, "too-large", ENDLESS_DATA, 24, "more bytes than allowed")               \
	X(UPT_E_TOO_SLOW, "too-slow", SLOW_RETRIEVAL, 25, "a download below the minimum speed")    \
	X(UPT_E_MALFORMED, "malformed", NONE, 26, "bytes that are not what they should be")        \
	X(UPT_E_MISSING, "missing-metadata", NONE, 26, "a needed document that the server lacks")  \
	/* refusals of targets */                                                                  \
	X(UPT_E_UNKNOWN_TARGET, "unknown-target", ARBITRARY_SOFTWARE, 20,                          \
		"a target of the Director that the Image repository does not vouch for")           \
	X(UPT_E_TARGET_MISMATCH, "target-mismatch", ARBITRARY_SOFTWARE, 20,                        \
		"a target on which Director and Image repository disagree")                        \
	X(UPT_E_IMAGE_HASH, "image-hash-mismatch", ARBITRARY_SOFTWARE, 20,                         \
		"image bytes that are not those the metadata lists")                               \
	X(UPT_E_WRONG_HARDWARE, "wrong-hardware", ARBITRARY_SOFTWARE, 20,                          \
		"an image for other hardware")                                                     \
	X(UPT_E_WRONG_VEHICLE, "wrong-vehicle", MIX_AND_MATCH, 23,                                 \
		"Director metadata for another vehicle")                                           \
	X(UPT_E_UNKNOWN_ECU, "unknown-ecu", ARBITRARY_SOFTWARE, 20,                                \
		"a target for an ECU that this vehicle does not have")                             \
	X(UPT_E_DUPLICATE_ECU, "duplicate-ecu", ARBITRARY_SOFTWARE, 20,                            \
		"two targets for one ECU")                                                         \
	X(UPT_E_DIRECTOR_DELEGATES, "director-delegates", ARBITRARY_SOFTWARE, 20,                  \
		"a Director that delegates")                                                       \
	X(UPT_E_DELEGATION, "delegation-limit", ENDLESS_DATA, 24,                                  \
		"more delegations, or deeper, than allowed")                                       \
	/* cannot tell: never OK, never "nothing newer" */                                         \
	X(UPT_E_NETWORK, "network", NONE, 5, "the server could not be reached or broke off")       \
	X(UPT_E_ABSENT, "absent", NONE, 5, "the server says that it has no such file")             \
	X(UPT_E_SERVER, "server", NONE, 5, "the server answered with an error")                    \
	X(UPT_E_TLS, "tls", NONE, 6, "the peer's or our certificate was refused")                  \
	/* local failures */                                                                       \
	X(UPT_E_USAGE, "usage", NONE, 2, "wrong command line")                                     \
	X(UPT_E_CONFIG, "config", NONE, 3, "wrong configuration")                                  \
	X(UPT_E_IO, "io", NONE, 4, "a file could not be read or written")                          \
	X(UPT_E_NO_SPACE, "no-space", NONE, 4, "the disk is full")                                 \
	X(UPT_E_PERMISSION, "permission", NONE, 4, "access denied")                                \
	X(UPT_E_NOT_FOUND, "not-found", NONE, 4, "a local file or record that is not there")       \
	X(UPT_E_DATABASE, "database", NONE, 4, "the state database is unreadable or broken")       \
	X(UPT_E_KEY, "key", NONE, 3, "a local key is unusable")                                    \
	X(UPT_E_INSTALL, "install-failed", NONE, 7, "an installer or Secondary failed")            \
	X(UPT_E_BUSY, "busy", NONE, 8, "another process holds the state")                          \
	X(UPT_E_CANCELLED, "cancelled", NONE, 9, "interrupted on request")                         \
	X(UPT_E_UNSUPPORTED, "unsupported", NONE, 10, "a known thing this build cannot do")        \
	X(UPT_E_NO_MEMORY, "no-memory", NONE, 10, "out of memory")                                 \
	X(UPT_E_INTERNAL, "internal", NONE, 10, "a library failed in a way that has no other name")

enum upt_code {
#define X(code, name, attack, exit_code, text) code,
	UPT_ERROR_CODES(X)
#undef X
	UPT_N_CODES
};

/* Which repository a refusal is about. */
enum upt_repo {
	UPT_REPO_NONE = 0,
	UPT_REPO_DIRECTOR,
	UPT_REPO_IMAGE,
	/* From here to UPT_REPO_MAX: additional repositories, each with the number that the
	 * Primary's store has given to its name. */
	UPT_REPO_OTHER,
};

#define UPT_REPO_MAX 65535u
#define UPT_REPO_NAME_MAX 32

#define UPT_ERR_MESSAGE_MAX 512

/* Caller-owned, fixed size; {0} is "no error". message is one line without a final newline. */
struct upt_err {
	enum upt_code code;
	enum upt_repo repo;
	char message[UPT_ERR_MESSAGE_MAX];
};

/*
 * Replaces by '?', in place, what is no UTF-8, what ends a line or drives a terminal (C0, DEL, C1)
 * and what reorders a line for its reader (bidirectional controls): no server shall forge log lines.
 */
void upt_sanitize(char *text);

/*
 * Records a fault where it is known and returns code. err may be NULL; arguments may be parts of
 * err->message. The message is sanitized, and ends in "..." when it did not fit.
 */
enum upt_code upt_fail(struct upt_err *err, enum upt_code code, const char *fmt, ...)
	UPT_PRINTF(3, 4);

/* upt_fail with ": strerror(errnum)" appended and the code chosen by errnum (ENOSPC, EACCES, ...). */
enum upt_code upt_fail_errno(struct upt_err *err, int errnum, const char *fmt, ...)
	UPT_PRINTF(3, 4);

/* Puts "context: " in front of the message already in err and returns err's code. */
enum upt_code upt_wrap(struct upt_err *err, enum upt_code code, const char *fmt, ...)
	UPT_PRINTF(3, 4);

const char *upt_code_name(enum upt_code code);
enum upt_code upt_code_from_name(const char *name); /* UPT_N_CODES when unknown */
const char *upt_code_text(enum upt_code code);
enum upt_attack upt_code_attack(enum upt_code code);
int upt_code_exit(enum upt_code code);
/* "arbitrary-software", ...; "" for UPT_ATTACK_NONE. */
const char *upt_attack_name(enum upt_attack attack);
/* "director", "image", "other"; "" for UPT_REPO_NONE. */
const char *upt_repo_name(enum upt_repo repo);

#define UPT_TRY(expr)                                                                              \
	do {                                                                                       \
		enum upt_code upt_try_code_ = (expr);                                              \
		if (upt_try_code_ != UPT_OK)                                                       \
			return upt_try_code_;                                                      \
	} while (0)

#endif
