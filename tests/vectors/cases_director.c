/* The Director's targets (0.6, 0.7, 9.6 to 9.8, 3.10), and what both repositories' targets must be. */
#include <stdio.h>
#include "cases.h"

#define PAYLOAD_FAULT(name, change)                                                                \
	static void name(struct scene *s, enum upt_repo repo, const char *role)                    \
	{                                                                                          \
		cJSON *payload = scene_payload(s, repo, role);                                     \
		change;                                                                            \
	}

/* ---- what an entry must be, in either repository (0.5) ---- */

/* The only entry. */
static cJSON *
entry(cJSON *payload)
{
	return at(payload, "targets")->child;
}

PAYLOAD_FAULT(no_targets, drop(payload, "targets"))
PAYLOAD_FAULT(list_targets, set(payload, "targets", cJSON_CreateArray()))
PAYLOAD_FAULT(entry_text, set(at(payload, "targets"), entry(payload)->string, str("x")))
PAYLOAD_FAULT(no_length, drop(entry(payload), "length"))
PAYLOAD_FAULT(text_length, set(entry(payload), "length", str("10")))
PAYLOAD_FAULT(no_hashes, drop(entry(payload), "hashes"))
PAYLOAD_FAULT(empty_hashes, set(entry(payload), "hashes", cJSON_CreateObject()))
PAYLOAD_FAULT(short_hash, set(entry(payload), "hashes/sha256", str("00")))
PAYLOAD_FAULT(list_custom, set(entry(payload), "custom", cJSON_CreateArray()))
PAYLOAD_FAULT(empty_name, cJSON_AddItemToObject(at(payload, "targets"), "",
				  cJSON_Duplicate(entry(payload), true)))
PAYLOAD_FAULT(list_top_custom, set(payload, "custom", cJSON_CreateArray()))

static void
long_name(struct scene *s, enum upt_repo repo, const char *role)
{
	cJSON *payload = scene_payload(s, repo, role);
	char name[514];

	memset(name, 'a', sizeof(name) - 1);
	name[513] = '\0';
	cJSON_AddItemToObject(at(payload, "targets"), name, cJSON_Duplicate(entry(payload), true));
}

/* ---- the Director's own rules ---- */

PAYLOAD_FAULT(other_vehicle, set(payload, "custom/vehicleId", str("vehicle-2")))
PAYLOAD_FAULT(vehicle_number, set(payload, "custom/vehicleId", num(1)))
PAYLOAD_FAULT(empty_without_vehicle, drop(payload, "custom");
	      set(payload, "targets", cJSON_CreateObject()))
PAYLOAD_FAULT(empty_of_other_vehicle, set(payload, "custom/vehicleId", str("vehicle-2"));
	      set(payload, "targets", cJSON_CreateObject()))
PAYLOAD_FAULT(no_ecu, drop(entry(payload), "custom/ecuIdentifiers"))
PAYLOAD_FAULT(empty_ecus, set(entry(payload), "custom/ecuIdentifiers", cJSON_CreateObject()))
PAYLOAD_FAULT(list_ecus, set(entry(payload), "custom/ecuIdentifiers", cJSON_CreateArray()))
PAYLOAD_FAULT(no_hardware, drop(entry(payload), "custom/ecuIdentifiers/" ECU "/hardwareId"))
PAYLOAD_FAULT(number_hardware, set(entry(payload), "custom/ecuIdentifiers/" ECU "/hardwareId", num(1)))
PAYLOAD_FAULT(unknown_ecu,
	cJSON_AddStringToObject(cJSON_AddObjectToObject(at(entry(payload), "custom/ecuIdentifiers"), "ecu-9"),
		"hardwareId", HARDWARE))
PAYLOAD_FAULT(two_targets_for_ecu, cJSON_AddItemToObject(at(payload, "targets"), "app-2.bin",
					   cJSON_Duplicate(entry(payload), true)))
PAYLOAD_FAULT(text_counter, set(entry(payload), "custom/releaseCounter", str("1")))
PAYLOAD_FAULT(number_uri, set(entry(payload), "custom/uri", num(1)))
PAYLOAD_FAULT(text_must_match, set(entry(payload), "custom/mustMatch", str("x")))

static void
delegate(struct scene *s, enum upt_repo repo, const char *role)
{
	const struct upt_private_key *key = generator_key(s->gen, "director/team-1");
	const struct upt_author_role delegated = {
		.name = "team", .keys = &key, .n_keys = 1, .threshold = 1};
	const char *path = "*";

	must_code(upt_author_add_delegation(scene_payload(s, repo, role), &delegated, &path, 1, NULL, 0,
			  false, NULL),
		NULL);
}

static void
delegate_to_nobody(struct scene *s, enum upt_repo repo, const char *role)
{
	delegate(s, repo, role);
	set(scene_payload(s, repo, role), "delegations/roles", cJSON_CreateArray());
}

static const struct fault faults[] = {
	{"no-targets", "Targets metadata without targets is refused.", "0.5", EVERY_TARGETS | I_TEAM,
		UPT_E_MALFORMED, no_targets, NULL},
	{"list-as-targets", "Targets that are no object are refused.", "0.5", EVERY_TARGETS | I_TEAM,
		UPT_E_MALFORMED, list_targets, NULL},
	{"entry-is-text", "A target that is no object is refused.", "0.5", EVERY_TARGETS, UPT_E_MALFORMED,
		entry_text, NULL},
	{"target-without-length", "A target without length is refused.", "0.5", D_TARGETS | I_TEAM,
		UPT_E_MALFORMED, no_length, NULL},
	{"target-length-text", "A target's length in quotes is refused.", "0.5", EVERY_TARGETS,
		UPT_E_MALFORMED, text_length, NULL},
	{"target-without-hashes", "A target without hashes is refused.", "0.5", EVERY_TARGETS | I_TEAM,
		UPT_E_MALFORMED, no_hashes, NULL},
	{"target-empty-hashes", "A target with an empty list of hashes is refused.", "0.5", EVERY_TARGETS,
		UPT_E_MALFORMED, empty_hashes, NULL},
	{"target-short-hash", "A target's hash of the wrong length is refused.", "0.5", EVERY_TARGETS,
		UPT_E_MALFORMED, short_hash, NULL},
	{"target-custom-list", "A target's custom section that is no object is refused.", "0.5",
		EVERY_TARGETS, UPT_E_MALFORMED, list_custom, NULL},
	{"target-without-name", "A target without a name is refused.", "0.5", EVERY_TARGETS,
		UPT_E_MALFORMED, empty_name, NULL},
	{"target-long-name", "A target's name of more than 512 bytes is refused.", "0.5", EVERY_TARGETS,
		UPT_E_MALFORMED, long_name, NULL},
	{"custom-list", "A custom section that is no object is refused.", "0.5", EVERY_TARGETS,
		UPT_E_MALFORMED, list_top_custom, NULL},
	{"other-vehicle", "Targets for another vehicle are refused.", "0.6", D_TARGETS, UPT_E_WRONG_VEHICLE,
		other_vehicle, NULL},
	{"vehicle-is-number", "A vehicle id that is no text is refused.", "0.6", D_TARGETS,
		UPT_E_MALFORMED, vehicle_number, NULL},
	{"empty-without-vehicle", "Empty targets that name no vehicle are refused: they could freeze any.",
		"0.6", D_TARGETS, UPT_E_WRONG_VEHICLE, empty_without_vehicle, NULL},
	{"empty-of-other-vehicle", "Empty targets of another vehicle are refused.", "0.6", D_TARGETS,
		UPT_E_WRONG_VEHICLE, empty_of_other_vehicle, NULL},
	{"delegates", "A Director that delegates is refused.", "0.9 9.6", D_TARGETS | OTA_D_TARGETS,
		UPT_E_DIRECTOR_DELEGATES, delegate, NULL},
	{"delegation-keys", "A Director that lists keys to delegate to is refused.", "0.9 9.6", D_TARGETS,
		UPT_E_DIRECTOR_DELEGATES, delegate_to_nobody, NULL},
	{"no-ecu", "A target that names no ECU is refused.", "0.7", D_TARGETS, UPT_E_MALFORMED, no_ecu, NULL},
	{"empty-ecus", "A target for an empty list of ECUs is refused.", "0.7", D_TARGETS, UPT_E_MALFORMED,
		empty_ecus, NULL},
	{"list-as-ecus", "ECUs that are no object are refused.", "0.7", D_TARGETS, UPT_E_MALFORMED,
		list_ecus, NULL},
	{"ecu-without-hardware", "An ECU without hardware id is refused.", "0.7", D_TARGETS,
		UPT_E_MALFORMED, no_hardware, NULL},
	{"hardware-is-number", "A hardware id that is no text is refused.", "0.7", D_TARGETS,
		UPT_E_MALFORMED, number_hardware, NULL},
	{"unknown-ecu", "A target for an ECU that the vehicle does not have is refused.", "9.8", D_TARGETS | OTA_D_TARGETS,
		UPT_E_UNKNOWN_ECU, unknown_ecu, NULL},
	{"two-targets-for-ecu", "Two targets for one ECU are refused.", "9.7", D_TARGETS | OTA_D_TARGETS,
		UPT_E_DUPLICATE_ECU, two_targets_for_ecu, NULL},
	{"counter-is-text", "A release counter in quotes is refused.", "3.12", D_TARGETS, UPT_E_MALFORMED,
		text_counter, NULL},
	{"uri-is-number", "An URI that is no text is refused.", "3.6", D_TARGETS, UPT_E_MALFORMED,
		number_uri, NULL},
	{"must-match-is-text", "A section that must match is an object.", "0.8", D_TARGETS, UPT_E_MALFORMED,
		text_must_match, NULL},
};

/* ---- scenes ---- */

static cJSON *
director(struct scene *s)
{
	return scene_body(s, DIRECTOR, "targets");
}

static void
wrong_hardware(struct scene *s)
{
	scene_step(s);
	set(entry(scene_payload(s, DIRECTOR, "targets")), "custom/ecuIdentifiers/" ECU "/hardwareId",
		str("hw-b"));
	scene_refuse(s, UPT_E_WRONG_HARDWARE, DIRECTOR, "target");
	scene_step(s);
	scene_accept(s);
}

static void
empty_for_this_vehicle(struct scene *s)
{
	scene_step(s);
	scene_accept(s);
	set(director(s), "targets", cJSON_CreateObject());
	scene_step(s);
	scene_accept(s);
}

static void
without_vehicle(struct scene *s)
{
	drop(director(s), "custom");
	scene_step(s);
	scene_accept(s);
}

static void
empty_delegations(struct scene *s)
{
	cJSON_AddItemToObject(
		director(s), "delegations", cJSON_Parse("{\"keys\":{},\"roles\":[]}"));
	scene_step(s);
	scene_accept(s);
}

/* Both ECUs of the vehicle, with an image each; and one image for both. */
static void
two_ecus(struct scene *s)
{
	scene_ecu(s, "ecu-2", "hw-b");
	scene_image(s, "other/os.bin", "an operating system\n");
	scene_assign(s, director(s), "other/os.bin", "ecu-2", "hw-b");
	scene_vouch(s, scene_body(s, IMAGE, "targets"), "other/os.bin", "hw-b");
	scene_step(s);
	scene_accept(s);
}

static void
one_image_for_two(struct scene *s)
{
	cJSON *ecus = at(entry(director(s)), "custom/ecuIdentifiers");

	scene_ecu(s, "ecu-2", "hw-b");
	cJSON_AddStringToObject(cJSON_AddObjectToObject(ecus, "ecu-2"), "hardwareId", "hw-b");
	cJSON_AddItemToArray(
		at(entry(scene_body(s, IMAGE, "targets")), "custom/hardwareIds"), str("hw-b"));
	scene_step(s);
	scene_accept(s);
	/* For the second ECU alone it is not meant: nothing of the assignment is taken. */
	scene_step(s);
	drop(entry(scene_payload(s, IMAGE, "targets")), "custom/hardwareIds/1");
	scene_refuse(s, UPT_E_WRONG_HARDWARE, IMAGE, "target");
	scene_step(s);
	scene_accept(s);
}

static void
only_one_of_two(struct scene *s)
{
	scene_ecu(s, "ecu-2", "hw-b");
	scene_step(s);
	scene_accept(s);
}

/* Serials are exact: another case is another ECU. */
static void
serials_are_exact(struct scene *s)
{
	cJSON *ecus;

	scene_step(s);
	ecus = at(entry(scene_payload(s, DIRECTOR, "targets")), "custom/ecuIdentifiers");
	cJSON_AddStringToObject(cJSON_AddObjectToObject(ecus, "ECU-1"), "hardwareId", HARDWARE);
	scene_refuse(s, UPT_E_UNKNOWN_ECU, DIRECTOR, "targets");
	scene_step(s);
	scene_accept(s);
}

static const struct {
	const char *name, *title, *proves;
	void (*play)(struct scene *s);
} scenes[] = {
	{"director-assigns-wrong-hardware", "A target for other hardware than the ECU's is refused.", "3.10",
		wrong_hardware},
	{"director-empty", "Empty targets that name this vehicle: nothing is assigned.", "0.6",
		empty_for_this_vehicle},
	{"director-without-vehicle", "Targets that are not empty need not name the vehicle.", "0.6",
		without_vehicle},
	{"director-empty-delegations", "An empty list of delegations delegates nothing.", "9.6",
		empty_delegations},
	{"director-two-ecus", "Two ECUs get an image each.", "9.7 9.8", two_ecus},
	{"director-one-image-two-ecus", "One image for two ECUs; it must be meant for the hardware of both.",
		"3.10 9.7", one_image_for_two},
	{"director-one-of-two-ecus", "An ECU for which there is no target gets none.", "9.8",
		only_one_of_two},
	{"director-serials-are-exact", "A serial in another case is another ECU's.", "9.8",
		serials_are_exact},
};

void
cases_director(struct generator *g)
{
	ADD_FAULTS(g, faults);
	for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
		struct scene *s =
			scene_begin(g, scenes[i].name, scenes[i].title, scenes[i].proves);

		scenes[i].play(s);
		scene_end(&s);
	}
}
