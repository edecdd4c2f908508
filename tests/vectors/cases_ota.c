/*
 * Profile ota: what deployed servers do otherwise (docs/pouf.md). The Director serves root and targets
 * only, hashes may be those of canonical text, files carry no version, and hardware may be left out.
 */
#include "cases.h"
#include "generator.h"

static void
good_step(struct scene *s)
{
	scene_step(s);
	scene_accept(s);
}

static cJSON *
entry(struct scene *s, enum upt_repo repo)
{
	return at(scene_payload(s, repo, "targets"), "targets")->child;
}

/* ---- the Director without timestamp and snapshot ---- */

static void
director_rollback(struct scene *s)
{
	scene_doc(s, DIRECTOR, "targets")->version = 5;
	good_step(s);
	scene_step(s);
	scene_doc(s, DIRECTOR, "targets")->version = 4;
	scene_refuse(s, UPT_E_ROLLBACK, DIRECTOR, "targets");
	scene_step(s);
	scene_accept(s);
}

static void
director_fast_forward(struct scene *s)
{
	scene_doc(s, DIRECTOR, "targets")->version = 4000000000;
	good_step(s);
	scene_step(s);
	scene_doc(s, DIRECTOR, "targets")->version = 2;
	scene_root(s, DIRECTOR); /* a new root with the old keys undoes nothing */
	scene_refuse(s, UPT_E_ROLLBACK, DIRECTOR, "targets");
	scene_step(s);
	scene_root(s, DIRECTOR);
	scene_plan(s, DIRECTOR, "targets", "targets-2", 1);
	scene_accept(s);
}

static void
director_stored_expires(struct scene *s)
{
	scene_step(s);
	set(scene_payload(s, DIRECTOR, "targets"), "expires", when(NOW + 60));
	scene_accept(s);
	scene_hold(s, DIRECTOR, true);
	scene_step(s);
	s->now = NOW + 60;
	scene_refuse(s, UPT_E_EXPIRED, DIRECTOR, "targets");
	scene_hold(s, DIRECTOR, false);
	good_step(s);
}

static void
director_with_chain(struct scene *s)
{
	scene_repo(s, DIRECTOR)->targets_only = false;
	good_step(s);
	scene_step(s);
	scene_signing(s, DIRECTOR, "timestamp")->keys = "thief-1";
	scene_refuse(s, UPT_E_THRESHOLD, DIRECTOR, "timestamp");
	good_step(s);
}

/* Half a chain would be neither of the two. */
static void
director_half_chain(struct scene *s)
{
	cJSON *root;

	good_step(s);
	scene_step(s);
	scene_root(s, DIRECTOR);
	root = scene_payload(s, DIRECTOR, "root");
	set(root, "roles/timestamp", cJSON_Duplicate(at(root, "roles/targets"), true));
	scene_refuse(s, UPT_E_MALFORMED, DIRECTOR, "root");
	scene_step(s);
	scene_root(s, DIRECTOR);
	scene_accept(s);
}

static void
image_without_chain(struct scene *s)
{
	cJSON *root;

	good_step(s);
	scene_step(s);
	scene_root(s, IMAGE);
	root = scene_payload(s, IMAGE, "root");
	drop(root, "roles/snapshot");
	scene_refuse(s, UPT_E_MALFORMED, IMAGE, "root");
	scene_step(s);
	scene_root(s, IMAGE);
	scene_accept(s);
}

static void
empty_without_vehicle(struct scene *s)
{
	good_step(s);
	set(scene_body(s, DIRECTOR, "targets"), "targets", cJSON_CreateObject());
	good_step(s);
}

static void
other_vehicle(struct scene *s)
{
	good_step(s);
	scene_step(s);
	set(scene_payload(s, DIRECTOR, "targets"), "custom", cJSON_Parse("{\"vehicleId\":\"vehicle-2\"}"));
	scene_refuse(s, UPT_E_WRONG_VEHICLE, DIRECTOR, "targets");
	scene_step(s);
	set(scene_payload(s, DIRECTOR, "targets"), "custom", cJSON_Parse("{\"vehicleId\":\"" VEHICLE "\"}"));
	scene_accept(s);
}

/* ---- hardware ---- */

static void
hardware_left_out(struct scene *s)
{
	scene_step(s);
	drop(entry(s, IMAGE), "custom/hardwareIds");
	scene_accept(s);
	scene_step(s);
	set(entry(s, IMAGE), "custom/hardwareIds", cJSON_CreateArray());
	scene_refuse(s, UPT_E_WRONG_HARDWARE, IMAGE, "target");
	good_step(s);
}

static void
other_hardware(struct scene *s)
{
	good_step(s);
	scene_step(s);
	set(entry(s, IMAGE), "custom/hardwareIds/0", str("hw-b"));
	scene_refuse(s, UPT_E_WRONG_HARDWARE, IMAGE, "target");
	good_step(s);
}

/* ---- hashes of the canonical envelope ---- */

/* Lists role as its canonical text is, and serves it with white space in between. */
static void
serve_spaced(struct scene *s, const char *role)
{
	scene_finish(s, IMAGE);
	replace(scene_bytes(s, IMAGE, role), "{\"signatures\":", "{ \"signatures\" :\n");
}

static void
canonical_hash(struct scene *s)
{
	good_step(s);
	scene_step(s);
	serve_spaced(s, "snapshot");
	serve_spaced(s, "targets");
	scene_accept(s);
	scene_step(s);
	serve_spaced(s, "targets");
	replace(scene_bytes(s, IMAGE, "targets"), "\"method\"", "\"Method\"");
	scene_refuse(s, UPT_E_HASH_MISMATCH, IMAGE, "targets");
	good_step(s);
}

static void
canonical_hash_in_standard(struct scene *s)
{
	good_step(s);
	scene_step(s);
	/* No length is listed, so that the hash alone refuses it. */
	drop(at(scene_payload(s, IMAGE, "snapshot"), "meta"), "targets.json");
	must_code(upt_author_snapshot_add(scene_payload(s, IMAGE, "snapshot"), "targets.json",
			  scene_doc(s, IMAGE, "targets")->version,
			  upt_buf_span(scene_bytes(s, IMAGE, "targets")), NULL),
		NULL);
	cJSON_DeleteItemFromObject(
		cJSON_GetObjectItemCaseSensitive(at(scene_payload(s, IMAGE, "snapshot"), "meta"), "targets.json"),
		"length");
	serve_spaced(s, "targets");
	scene_refuse(s, UPT_E_HASH_MISMATCH, IMAGE, "targets");
	good_step(s);
}

/* ---- file names ---- */

static void
versioned_names(struct scene *s)
{
	scene_repo(s, DIRECTOR)->consistent = true;
	scene_repo(s, IMAGE)->consistent = true;
	add_team(s);
	good_step(s);
	good_step(s);
}

/* The other profile's place for a delegated role is not looked into. */
static void
delegated_in_folder(struct scene *s)
{
	add_team(s);
	good_step(s);
	scene_step(s);
	memcpy(scene_doc(s, IMAGE, "team")->file, "team.json", 10);
	scene_refuse(s, UPT_E_MISSING, IMAGE, "team");
	good_step(s);
}

static void
plain_names(struct scene *s)
{
	scene_repo(s, DIRECTOR)->consistent = false;
	scene_repo(s, IMAGE)->consistent = false;
	add_team(s);
	good_step(s);
	good_step(s);
	scene_step(s);
	memcpy(scene_doc(s, IMAGE, "team")->file, "2.team.json", 12);
	scene_refuse(s, UPT_E_MISSING, IMAGE, "team");
	good_step(s);
}

static const struct {
	bool ota;
	const char *name, *title, *proves;
	void (*play)(struct scene *s);
} scenes[] = {
	{true, "ota-director-targets-rollback", "Older targets of a Director without snapshot are refused.", "9.4",
		director_rollback},
	{true, "ota-director-targets-fast-forward",
		"Fast-forwarded targets of a Director without snapshot are undone by a rotation of their key.",
		"1.14 9.4", director_fast_forward},
	{true, "ota-director-targets-stored-expire", "Stored targets are not trusted beyond their expiry.", "9.5",
		director_stored_expires},
	{true, "ota-director-with-chain", "A Director that lists all four roles must serve them.", "5.4 5.5",
		director_with_chain},
	{true, "ota-director-half-chain", "A Director that lists a timestamp and no snapshot is refused.", "0.4",
		director_half_chain},
	{true, "ota-image-half-chain", "The Image repository must list timestamp and snapshot.", "0.4",
		image_without_chain},
	{true, "ota-director-empty-without-vehicle", "Empty targets need not name the vehicle.", "0.6",
		empty_without_vehicle},
	{true, "ota-director-other-vehicle", "A vehicle id that is there must be this vehicle's.", "0.6",
		other_vehicle},
	{true, "ota-target-hardware-left-out", "An image without hardware ids is for any; an empty list is for none.",
		"3.10", hardware_left_out},
	{true, "ota-target-other-hardware", "An image for other hardware is refused.", "3.10", other_hardware},
	{true, "ota-canonical-hash", "A listed hash may be that of the canonical envelope.", "8.2 9.2",
		canonical_hash},
	{false, "image-targets-canonical-hash", "A listed hash is that of the served bytes in profile standard.",
		"8.2 9.2", canonical_hash_in_standard},
	{true, "ota-versioned-names", "Versioned file names in profile ota.", "0.13", versioned_names},
	{true, "ota-delegated-in-folder", "A delegated role has its place in delegations/.", "0.13",
		delegated_in_folder},
	{false, "plain-names", "File names without versions in profile standard.", "0.13", plain_names},
};

void
cases_ota(struct generator *g)
{
	for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
		struct scene *s = scenes[i].ota ? scene_begin_ota(g, scenes[i].name, scenes[i].title,
							  scenes[i].proves)
						: scene_begin(g, scenes[i].name, scenes[i].title,
							  scenes[i].proves);

		scenes[i].play(s);
		scene_end(&s);
	}
}
