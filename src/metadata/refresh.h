/*
 * The refresh driver: knows the order of the roles and their file names, and nothing else. It asks
 * a feed for bytes, hands them to the trusted set, and has each accepted document stored durably
 * before the next one is asked for, so that a later failure keeps what was rightly learnt. Uptane
 * Standard 2.1 "full_verification" steps 2 to 9.
 */
#ifndef UPT_METADATA_REFRESH_H
#define UPT_METADATA_REFRESH_H

#include "metadata/trusted_set.h"

/* Where documents come from and where accepted ones are kept. All functions are required. */
struct upt_feed {
	void *ctx;
	/* The file as served, at most max_bytes. UPT_E_ABSENT only when the source is sure that
	 * there is no such file; "cannot tell" is any other code. out is replaced on UPT_OK. */
	enum upt_code (*fetch)(void *ctx, const char *file_name, size_t max_bytes,
		struct upt_buf *out, struct upt_err *err);
	/* The stored copy of a role ("root": the latest; a delegated role by its name).
	 * UPT_E_NOT_FOUND. */
	enum upt_code (*load)(
		void *ctx, const char *role_name, struct upt_buf *out, struct upt_err *err);
	/* Stores an accepted document durably before it returns UPT_OK. */
	enum upt_code (*save)(void *ctx, const char *role_name, uint64_t version,
		struct upt_span bytes, struct upt_err *err);
	/* Stores an accepted root; with drop_others, timestamp and snapshot are forgotten in the
	 * same durable step (6.7). */
	enum upt_code (*save_root)(void *ctx, uint64_t version, struct upt_span bytes,
		bool drop_others, struct upt_err *err);
	enum upt_code (*forget)(void *ctx, const char *role_name, struct upt_err *err);
};

/*
 * Loads the stored root (UPT_E_NOT_FOUND when none was provisioned) and brings root, timestamp,
 * snapshot and targets up to date. *changed: something other than a timestamp with the same listing
 * was accepted. Any refusal or failure ends it: "cannot tell" is never "no newer root".
 * UPT_E_TOO_LARGE when there are more new roots than limits.max_root_steps; those accepted are
 * stored. What the set held before the call is forgotten: the feed's stored copies are what counts.
 */
UPT_NODISCARD enum upt_code upt_refresh(struct upt_trusted_set *set, const struct upt_feed *feed,
	int64_t now, bool *changed, struct upt_err *err);

/* A delegated role: already loaded, else the stored copy when the snapshot still lists it, else
 * fetched. */
UPT_NODISCARD enum upt_code
upt_refresh_delegated(struct upt_trusted_set *set, const struct upt_feed *feed,
	const struct upt_metadata *delegator, const struct upt_delegated_role *as, int64_t now,
	const struct upt_metadata **out, struct upt_err *err);

#endif
