/*
 * Each vehicle's own targets, snapshot and timestamp: made of its assignments, signed, committed
 * and only then served. Nothing is signed while nothing changed, so a poll gets the same bytes
 * again. Uptane Standard 2.1 "director_repository", "targets_images_meta",
 * "metadata_filename_rules".
 */
#ifndef UPT_TOOLS_DIRECTOR_METADATA_H
#define UPT_TOOLS_DIRECTOR_METADATA_H

#include "director.h"

/* Old snapshots and targets stay available for vehicles in the middle of a refresh. */
#define METADATA_KEEP_VERSIONS 10

/*
 * Brings the vehicle's metadata up to date at time now: all of it when its assignments or the role
 * keys changed or half of the targets' life is over; snapshot and timestamp, or the timestamp only,
 * when half of their life is over. *signed_anew tells whether anything was signed. UPT_E_NOT_FOUND
 * for a vehicle that never registered.
 */
UPT_NODISCARD enum upt_code metadata_refresh(struct director *d, const char *vehicle, int64_t now,
	bool *signed_anew, struct upt_err *err);
/* The stored document, version 0: the latest. UPT_E_NOT_FOUND. */
UPT_NODISCARD enum upt_code metadata_load(struct director *d, const char *vehicle, enum role role,
	uint64_t version, struct upt_buf *out, struct upt_err *err);

#endif
