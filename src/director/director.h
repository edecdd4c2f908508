/*
 * The Director's rules on this vehicle: which targets are for which ECU, and what a Director may
 * never say. Pure. Uptane Standard 2.1 "check_targets" (9.6 to 9.8), "targets_images_meta" (0.6,
 * 0.7).
 */
#ifndef UPT_DIRECTOR_DIRECTOR_H
#define UPT_DIRECTOR_DIRECTOR_H

#include "metadata/trusted_set.h"

struct upt_vehicle_ecu {
	const char *serial;
	const char *hardware_id;
};

/* The vehicle as it was configured; everything borrowed. */
struct upt_vehicle {
	const char *vehicle_id;
	/* Profile standard: targets of the Director carry the vehicle's id when they are empty
	 * (0.6), and any id they carry must be ours. Profile ota: no id is served. */
	bool require_vehicle_id;
	/* The Primary knows every ECU of the vehicle (9.8); a Secondary knows only itself. */
	bool knows_all_ecus;
	size_t n_ecus;
	const struct upt_vehicle_ecu *ecus;
};

/* Rules for struct upt_trust_policy: rules_ctx is a const struct upt_vehicle *.
 * UPT_E_WRONG_VEHICLE, UPT_E_DUPLICATE_ECU, UPT_E_UNKNOWN_ECU, UPT_E_MALFORMED (a target without
 * ECU, 0.7). */
UPT_NODISCARD enum upt_code upt_director_check_rules(
	const void *vehicle, const struct upt_metadata *targets, struct upt_err *err);

struct upt_assignment {
	size_t ecu; /* index into vehicle->ecus */
	struct upt_target target; /* strings in the arena given */
};

/*
 * The targets that the Director's current targets metadata assigns to this vehicle's ECUs, in the
 * order of vehicle->ecus. *out is an arena array. An assignment to an ECU with another hardware id
 * than ours is UPT_E_WRONG_HARDWARE (3.10).
 */
UPT_NODISCARD enum upt_code
upt_director_assignments(const struct upt_metadata *targets, const struct upt_vehicle *vehicle,
	struct upt_arena *arena, struct upt_assignment **out, size_t *n_out, struct upt_err *err);

/*
 * Whether another Director assigns the same image to an ECU as the vehicle's own does: name, length,
 * every hash, release counter and mustMatch. UPT_E_TARGET_MISMATCH. Assigning to which ECU is the
 * caller's to compare.
 */
UPT_NODISCARD enum upt_code upt_director_same(
	const struct upt_target *own, const struct upt_target *other, struct upt_err *err);

/* The Director's correlation id (top-level custom), or "" when there is none. Arena string. */
UPT_NODISCARD enum upt_code upt_director_correlation_id(const struct upt_metadata *targets,
	struct upt_arena *arena, const char **out, struct upt_err *err);

#endif
