/*
 * The Image repository: finding a target through delegations, and matching what the Director wants
 * with what the Image repository vouches for. Uptane Standard 2.1 "resolve_delegations" (10.1
 * to 10.7), "full_verification" step 10 (5.12 to 5.14), "verify_image" (3.12).
 */
#ifndef UPT_IMAGEREPO_IMAGEREPO_H
#define UPT_IMAGEREPO_IMAGEREPO_H

#include "metadata/refresh.h"

/* True when the glob matches the whole name. '*' and '?' stop at '/' unless star_crosses_slash (the
 * OTA dialect, where '*' crosses); "[abc]", "[a-z]", "[!a]" as in shells. Time is linear in both
 * lengths' product. */
bool upt_path_matches(const char *pattern, const char *name, bool star_crosses_slash);

struct upt_search {
	const struct upt_feed *feed;
	int64_t now;
	const char *hardware_id; /* of the ECU that shall get the target (10.5) */
	bool star_crosses_slash;
};

/*
 * Searches top-level targets and delegations in priority order. UPT_E_UNKNOWN_TARGET when nothing
 * lists it, also below a terminating delegation, or the roles that must agree do not (10.6);
 * UPT_E_DELEGATION above the limits; any failure to load or verify a delegated role ends the search
 * (10.2). Strings of *out live in the arena, raw JSON in the set.
 */
UPT_NODISCARD enum upt_code
upt_imagerepo_find(struct upt_trusted_set *set, const struct upt_search *search, const char *name,
	struct upt_arena *arena, struct upt_target *out, struct upt_err *err);

/* The ECU that shall get the target. */
struct upt_match {
	const char *hardware_id;
	const struct upt_image *installed; /* NULL: nothing is known to be */
	/* A target that lists no hardware at all is for any: deployed servers leave it out (profile
	 * ota). */
	bool hardware_ids_optional;
};

/*
 * Step 10: the Image repository's target must agree with the Director's in length, every hash and
 * mustMatch, be for this hardware, and not fall below the release counter of what is installed.
 * UPT_E_TARGET_MISMATCH, UPT_E_WRONG_HARDWARE, UPT_E_UNSUPPORTED when either says that the image is
 * encrypted, UPT_E_RELEASE_ROLLBACK.
 */
UPT_NODISCARD enum upt_code upt_imagerepo_match(const struct upt_target *director,
	const struct upt_target *image, const struct upt_match *ecu, struct upt_err *err);

/* Whether a second Image repository's entry, which matches the Director's too, may count beside the
 * first one's: no hash that differs, and the same custom object. UPT_E_TARGET_MISMATCH. */
UPT_NODISCARD enum upt_code
upt_imagerepo_same(const struct upt_target *a, const struct upt_target *b, struct upt_err *err);

#endif
