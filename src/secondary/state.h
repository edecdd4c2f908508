/*
 * What a Secondary keeps in its state folder (mode 0700). Every value is a file that is replaced
 * durably, so that a power cut leaves the old one or the new one. No database.
 *
 *   lock                       held while an agent runs
 *   director/ image/           one repository each:
 *     current                  "ROOTVERSION EPOCH": which root is trusted; see below
 *     N.root.json              the chain of roots accepted so far
 *     E.timestamp.json         of epoch E
 *     E.snapshot.json
 *     targets.json
 *     delegated/ROLE.json      ROLE percent-encoded
 *   images/                    storage/images.h
 *   installed.json             what the last finished installation put in place
 *   installing.json            what an installation under way is about to put in place
 *   counter attacks floor      report counter, unreported attack, trusted time's floor
 *
 * Root rotation (6.7): when a new root changes the timestamp's or snapshot's keys, both documents
 * must go in the same step that publishes the root; else a version fast-forwarded by a stolen key
 * would outlive that key. Deleting them before the root is published would be wrong the other way:
 * a power cut in between leaves the old root without its timestamp, and an older one could be
 * replayed. So both belong to an epoch, the version of the root that last rotated them, and the one
 * rename that replaces `current` switches root and epoch together. Files of other epochs are
 * rubbish, never read, and removed when convenient.
 *
 * Thread-safety: a state belongs to one thread. Uptane Standard 2.1 "build-time" (1.8, 1.12).
 */
#ifndef UPT_SECONDARY_STATE_H
#define UPT_SECONDARY_STATE_H

#include "manifest/manifest.h"
#include "metadata/image.h"
#include "storage/images.h"

struct upt_state;

/* Makes what is missing and takes the lock. UPT_E_BUSY when another agent has it. */
UPT_NODISCARD enum upt_code
upt_state_open(const char *dir, struct upt_state **out, struct upt_err *err);
void upt_state_close(struct upt_state **state);
/* The image store; borrowed. */
struct upt_images *upt_state_images(struct upt_state *state);

/* ---- one repository's documents, as struct upt_feed wants them ---- */

bool upt_state_has_root(const struct upt_state *state, enum upt_repo repo);
UPT_NODISCARD enum upt_code upt_state_load(struct upt_state *state, enum upt_repo repo,
	const char *role_name, struct upt_buf *out, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_state_save(struct upt_state *state, enum upt_repo repo,
	const char *role_name, struct upt_span bytes, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_state_save_root(struct upt_state *state, enum upt_repo repo,
	uint64_t version, struct upt_span bytes, bool drop_others, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_state_forget(
	struct upt_state *state, enum upt_repo repo, const char *role_name, struct upt_err *err);
/* Forgets delegated roles that nobody loaded or saved since the last call: what a server names once
 * must not fill the flash for ever. They are only copies; the snapshot guards their versions. */
void upt_state_prune_delegated(struct upt_state *state, enum upt_repo repo);

/* ---- images ---- */

enum upt_state_image {
	UPT_STATE_INSTALLED,
	UPT_STATE_INSTALLING,
};

/* UPT_E_NOT_FOUND when there is no such record; *out is zeroed on any failure. */
UPT_NODISCARD enum upt_code upt_state_get_image(struct upt_state *state, enum upt_state_image which,
	struct upt_image *out, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_state_set_image(struct upt_state *state, enum upt_state_image which,
	const struct upt_image *image, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_state_clear_image(struct upt_state *state, enum upt_state_image which, struct upt_err *err);

/* ---- values ---- */

/* A number that no earlier call gave, also across a power cut: blocks of numbers are reserved
 * durably before the first of them is given. A cut wastes the rest of a block and repeats none. */
UPT_NODISCARD enum upt_code
upt_state_next_counter(struct upt_state *state, uint64_t *out, struct upt_err *err);
/* The attack seen last and not reported yet; "" for none. Borrowed. */
const char *upt_state_attacks(const struct upt_state *state);
UPT_NODISCARD enum upt_code
upt_state_set_attacks(struct upt_state *state, const char *attacks, struct upt_err *err);
/* Trusted time is never below this. Raising it to something lower changes nothing. */
int64_t upt_state_floor(const struct upt_state *state);
UPT_NODISCARD enum upt_code
upt_state_raise_floor(struct upt_state *state, int64_t floor, struct upt_err *err);

#endif
