#include "director/director.h"

#include <stdlib.h>

/* Bound on ECU entries of one Director document. */
#define MAX_DIRECTOR_ECUS 4096

/* The vehicle's ECUs in the order of their serials: a Director's document names each of hundreds.
 */
struct ecu_index {
	size_t n;
	const struct upt_vehicle_ecu **ecus;
};

static int
compare_ecus(const void *a, const void *b)
{
	const struct upt_vehicle_ecu *const *ea = a, *const *eb = b;

	return strcmp((*ea)->serial, (*eb)->serial);
}

static enum upt_code
index_ecus(const struct upt_vehicle *vehicle, struct upt_arena *arena, struct ecu_index *out,
	struct upt_err *err)
{
	out->n = vehicle->n_ecus;
	out->ecus = upt_arena_alloc(arena, vehicle->n_ecus + 1, sizeof(*out->ecus));
	if (out->ecus == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for %zu ECUs", vehicle->n_ecus);
	for (size_t i = 0; i < vehicle->n_ecus; i++)
		out->ecus[i] = &vehicle->ecus[i];
	qsort(out->ecus, out->n, sizeof(*out->ecus), compare_ecus);
	return UPT_OK;
}

static const struct upt_vehicle_ecu *
find_ecu(const struct ecu_index *index, const char *serial)
{
	const struct upt_vehicle_ecu wanted = {.serial = serial}, *key = &wanted;
	const struct upt_vehicle_ecu **found =
		bsearch(&key, index->ecus, index->n, sizeof(*index->ecus), compare_ecus);

	return found != NULL ? *found : NULL;
}

/* 0.6: without the id, one vehicle's empty targets would freeze every other vehicle. */
static enum upt_code
check_vehicle_id(
	const struct upt_vehicle *vehicle, const struct upt_metadata *targets, struct upt_err *err)
{
	struct upt_json_iter it = upt_json_iter(targets->targets.custom);
	struct upt_span raw;

	while (vehicle->vehicle_id != NULL && targets->targets.custom.len > 0 &&
		upt_json_next(&it)) {
		if (!upt_json_key_is(&it, "vehicleId"))
			continue;
		if (!upt_json_raw_string(&it, &raw))
			return upt_fail(err, UPT_E_MALFORMED,
				"director targets v%llu: vehicleId is no string",
				(unsigned long long)targets->version);
		if (!upt_json_raw_is(raw, vehicle->vehicle_id))
			return upt_fail(err, UPT_E_WRONG_VEHICLE,
				"director targets v%llu are for vehicle %.*s, this is %s",
				(unsigned long long)targets->version,
				(int)(raw.len < 64 ? raw.len : 64), (const char *)raw.data,
				vehicle->vehicle_id);
		return UPT_OK;
	}
	if (vehicle->require_vehicle_id && targets->targets.n_targets == 0)
		return upt_fail(err, UPT_E_WRONG_VEHICLE,
			"director targets v%llu are empty and name no vehicle; this is %s",
			(unsigned long long)targets->version,
			vehicle->vehicle_id != NULL ? vehicle->vehicle_id : "one without an id");
	return UPT_OK;
}

static int
compare_strings(const void *a, const void *b)
{
	const char *const *sa = a, *const *sb = b;

	return strcmp(*sa, *sb);
}

/* 9.7: two targets for one ECU would let the order of a JSON object choose what is installed. */
static enum upt_code
check_distinct(const char **serials, size_t n, uint64_t version, struct upt_err *err)
{
	qsort(serials, n, sizeof(*serials), compare_strings);
	for (size_t i = 1; i < n; i++) {
		if (strcmp(serials[i - 1], serials[i]) == 0)
			return upt_fail(err, UPT_E_DUPLICATE_ECU,
				"director targets v%llu assign two targets to ECU %s",
				(unsigned long long)version, serials[i]);
	}
	return UPT_OK;
}

static enum upt_code
collect_serials(const struct ecu_index *known, const struct upt_target *target, uint64_t version,
	const char **serials, size_t *n, struct upt_err *err)
{
	/* 0.7 */
	if (target->n_ecus == 0)
		return upt_fail(err, UPT_E_MALFORMED, "director targets v%llu: %s names no ECU",
			(unsigned long long)version, target->image.name);
	for (size_t i = 0; i < target->n_ecus; i++) {
		/* 9.8: a Director that speaks of foreign ECUs speaks of another vehicle. */
		if (known != NULL && find_ecu(known, target->ecus[i].serial) == NULL)
			return upt_fail(err, UPT_E_UNKNOWN_ECU,
				"director targets v%llu: %s is for ECU %s, which this vehicle does "
				"not have",
				(unsigned long long)version, target->image.name,
				target->ecus[i].serial);
		if (*n == MAX_DIRECTOR_ECUS)
			return upt_fail(err, UPT_E_MALFORMED,
				"director targets v%llu name more than %d ECUs",
				(unsigned long long)version, MAX_DIRECTOR_ECUS);
		serials[(*n)++] = target->ecus[i].serial;
	}
	return UPT_OK;
}

enum upt_code
upt_director_check_rules(
	const void *rules_ctx, const struct upt_metadata *targets, struct upt_err *err)
{
	const struct upt_vehicle *vehicle = rules_ctx;
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	const char **serials = upt_arena_alloc(&arena, MAX_DIRECTOR_ECUS, sizeof(*serials));
	struct ecu_index index;
	size_t n = 0;

	if (serials == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for the Director's ECUs");
	UPT_TRY(check_vehicle_id(vehicle, targets, err));
	UPT_TRY(index_ecus(vehicle, &arena, &index, err));
	for (size_t i = 0; i < targets->targets.n_targets; i++) {
		struct upt_target target;

		UPT_TRY(upt_targets_get(&targets->targets, i, &arena, &target, err));
		UPT_TRY(collect_serials(vehicle->knows_all_ecus ? &index : NULL, &target,
			targets->version, serials, &n, err));
	}
	return check_distinct(serials, n, targets->version, err);
}

static enum upt_code
check_hardware(const struct upt_target *target, const struct upt_target_ecu *listed,
	const struct upt_vehicle_ecu *ecu, struct upt_err *err)
{
	if (strcmp(listed->hardware_id, ecu->hardware_id) == 0)
		return UPT_OK;
	if (err != NULL)
		err->repo = UPT_REPO_DIRECTOR;
	return upt_fail(err, UPT_E_WRONG_HARDWARE, "director: %s is for hardware %s, ECU %s is %s",
		target->image.name, listed->hardware_id, ecu->serial, ecu->hardware_id);
}

static int
compare_assignments(const void *a, const void *b)
{
	const struct upt_assignment *aa = a, *bb = b;

	return (aa->ecu > bb->ecu) - (aa->ecu < bb->ecu);
}

/* The rules refuse it already, where the trusted set was given them. */
static enum upt_code
fail_twice(const struct upt_vehicle *vehicle, size_t ecu, struct upt_err *err)
{
	if (err != NULL)
		err->repo = UPT_REPO_DIRECTOR;
	return upt_fail(err, UPT_E_DUPLICATE_ECU, "director: more than one target for ECU %s",
		vehicle->ecus[ecu].serial);
}

enum upt_code
upt_director_assignments(const struct upt_metadata *targets, const struct upt_vehicle *vehicle,
	struct upt_arena *arena, struct upt_assignment **out, size_t *n_out, struct upt_err *err)
{
	struct upt_assignment *list = upt_arena_alloc(arena, vehicle->n_ecus + 1, sizeof(*list));
	struct ecu_index known;
	size_t n = 0;

	*out = NULL;
	*n_out = 0;
	if (list == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for assignments");
	UPT_TRY(index_ecus(vehicle, arena, &known, err));
	for (size_t i = 0; i < targets->targets.n_targets; i++) {
		struct upt_target target;

		UPT_TRY(upt_targets_get(&targets->targets, i, arena, &target, err));
		for (size_t k = 0; k < target.n_ecus; k++) {
			const struct upt_vehicle_ecu *ecu = find_ecu(&known, target.ecus[k].serial);
			size_t index;

			if (ecu == NULL)
				continue;
			index = (size_t)(ecu - vehicle->ecus);
			UPT_TRY(check_hardware(&target, &target.ecus[k], ecu, err));
			/* More assignments than ECUs: one has two. */
			if (n == vehicle->n_ecus)
				return fail_twice(vehicle, index, err);
			list[n++] = (struct upt_assignment){.ecu = index, .target = target};
		}
	}
	qsort(list, n, sizeof(*list), compare_assignments);
	for (size_t i = 1; i < n; i++) {
		if (list[i - 1].ecu == list[i].ecu)
			return fail_twice(vehicle, list[i].ecu, err);
	}
	*out = list;
	*n_out = n;
	return UPT_OK;
}

enum upt_code
upt_director_correlation_id(const struct upt_metadata *targets, struct upt_arena *arena,
	const char **out, struct upt_err *err)
{
	struct upt_json_iter it = upt_json_iter(targets->targets.custom);
	struct upt_span raw;

	*out = "";
	while (targets->targets.custom.len > 0 && upt_json_next(&it)) {
		if (upt_json_key_is(&it, "correlationId") && upt_json_raw_string(&it, &raw) &&
			raw.len <= 256)
			UPT_TRY(upt_json_decode_string(arena, raw, out, err));
	}
	return UPT_OK;
}
