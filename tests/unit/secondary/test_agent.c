/* A real agent in a process of its own, and the Primary's link to it. */
#include "world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	world_init(w);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	world_clear(*state);
	free(*state);
	return 0;
}

/* Everything that an attack must leave alone. */
static void
assert_untouched(struct world *w)
{
	assert_true(world_installed_is(w, upt_span_str("old firmware")));
}

/* The next report names the attack, the one after it does not. */
static void
assert_attack(struct world *w, const char *expected)
{
	struct upt_ecu_report report;

	world_report(w, &report);
	assert_string_equal(report.attacks_detected, expected);
	world_report(w, &report);
	assert_string_equal(report.attacks_detected, "");
}

static void
info_tells_identity(void **state)
{
	struct world *w = *state;
	struct upt_link *link;
	struct upt_ecu_info info;

	world_start(w);
	link = world_link(w);
	assert_ok(link->ops->info(link, &info, why));
	assert_string_equal(info.serial, WORLD_SERIAL);
	assert_string_equal(info.hardware_id, WORLD_HARDWARE);
	assert_string_equal(info.key_type, "ed25519");
	assert_int_equal(strlen(info.public_key), 64);
	assert_true(link->ops->needs_image(link));
	assert_string_equal(link->ops->format(link), "BINARY");
	upt_link_free(&link);
	world_stop(w);
}

static void
update_installs_and_reports(void **state)
{
	struct world *w = *state;
	struct upt_ecu_report report;
	uint64_t counter;

	world_start(w);
	world_report(w, &report);
	assert_string_equal(report.installed.name, "");
	counter = report.report_counter;
	world_update(w);
	world_report(w, &report);
	assert_true(upt_image_same(&report.installed, &w->image_says));
	assert_true(report.report_counter > counter);
	assert_int_equal(report.time, w->now);
	assert_string_equal(report.attacks_detected, "");
	world_stop(w);
}

/* Metadata and images of one release may come again, after a Primary's crash for instance. */
static void
repeated_update_changes_nothing(void **state)
{
	struct world *w = *state;

	world_start(w);
	world_update(w);
	world_update(w);
	world_stop(w);
	world_start(w);
	world_update(w);
	world_stop(w);
}

static void
next_release_installs(void **state)
{
	struct world *w = *state;

	world_start(w);
	world_update(w);
	world_set_content(w, 70000, 2);
	world_publish(w);
	world_update(w);
	world_stop(w);
}

static void
empty_assignment_verifies(void **state)
{
	struct world *w = *state;
	struct upt_err err = {0};

	w->assign = false;
	world_publish(w);
	world_start(w);
	assert_ok(world_verify(w, why));
	assert_code(world_send(w, &err), UPT_E_UNKNOWN_TARGET);
	assert_code(world_install(w, &err), UPT_E_UNKNOWN_TARGET);
	assert_untouched(w);
	world_stop(w);
}

/* ---- attacks on metadata: refused by name, nothing lost, the next good update works ---- */

static void
assert_refused(struct world *w, enum upt_code expected, enum upt_repo repo, const char *attack)
{
	struct upt_err err = {0};

	assert_code(world_verify(w, &err), expected);
	assert_int_equal(err.repo, repo);
	assert_non_null(strstr(err.message, "Secondary " WORLD_SERIAL ": "));
	assert_untouched(w);
	assert_attack(w, attack);
}

static void
refuses_forged_director_targets(void **state)
{
	struct world *w = *state;

	world_start(w);
	w->director.forged = UPT_ROLE_TARGETS;
	world_publish(w);
	assert_refused(w, UPT_E_THRESHOLD, UPT_REPO_DIRECTOR,
		"arbitrary-software:signature-threshold:director");
	w->director.forged = -1;
	world_publish(w);
	world_update(w);
	world_stop(w);
}

static void
refuses_forged_image_timestamp(void **state)
{
	struct world *w = *state;

	world_start(w);
	w->image.forged = UPT_ROLE_TIMESTAMP;
	world_publish(w);
	assert_refused(
		w, UPT_E_THRESHOLD, UPT_REPO_IMAGE, "arbitrary-software:signature-threshold:image");
	w->image.forged = -1;
	world_publish(w);
	world_update(w);
	world_stop(w);
}

static void
refuses_target_unknown_to_image_repository(void **state)
{
	struct world *w = *state;
	struct upt_err err = {0};

	world_start(w);
	w->list = false;
	world_publish(w);
	assert_refused(
		w, UPT_E_UNKNOWN_TARGET, UPT_REPO_IMAGE, "arbitrary-software:unknown-target:image");
	/* And it stays out when the Primary goes on regardless. */
	assert_code(world_send(w, &err), UPT_E_UNKNOWN_TARGET);
	assert_code(world_install(w, &err), UPT_E_UNKNOWN_TARGET);
	assert_untouched(w);
	w->list = true;
	world_publish(w);
	world_update(w);
	world_stop(w);
}

static void
refuses_repositories_that_disagree(void **state)
{
	struct world *w = *state;

	world_start(w);
	w->director_says.digests[1].bytes[0] ^= 1;
	world_publish(w);
	assert_refused(w, UPT_E_TARGET_MISMATCH, UPT_REPO_IMAGE,
		"arbitrary-software:target-mismatch:image");
	w->director_says = w->image_says;
	world_publish(w);
	world_update(w);
	world_stop(w);
}

static void
refuses_rolled_back_timestamp(void **state)
{
	struct world *w = *state;
	upt_cleanup(upt_buf_clear) struct upt_buf old = {0};
	const struct upt_buf *now;

	world_start(w);
	now = world_file(&w->director, "timestamp.json");
	assert_ok(upt_buf_append(&old, now->data, now->len, why));
	world_publish(w);
	assert_ok(world_verify(w, why));
	world_serve(&w->director, "timestamp.json", upt_buf_span(&old));
	assert_refused(w, UPT_E_ROLLBACK, UPT_REPO_DIRECTOR, "rollback:version-rollback:director");
	world_publish(w);
	world_update(w);
	world_stop(w);
}

/* The agent remembers across a restart, or a reboot would undo the protection. */
static void
refuses_rollback_after_restart(void **state)
{
	struct world *w = *state;
	upt_cleanup(upt_buf_clear) struct upt_buf old = {0};
	const struct upt_buf *now = world_file(&w->image, "timestamp.json");

	assert_ok(upt_buf_append(&old, now->data, now->len, why));
	world_publish(w);
	world_start(w);
	assert_ok(world_verify(w, why));
	world_kill(w);
	world_start(w);
	world_serve(&w->image, "timestamp.json", upt_buf_span(&old));
	assert_refused(w, UPT_E_ROLLBACK, UPT_REPO_IMAGE, "rollback:version-rollback:image");
	world_publish(w);
	world_update(w);
	world_stop(w);
}

static void
refuses_expired_timestamp(void **state)
{
	struct world *w = *state;

	world_start(w);
	w->director.expires[UPT_ROLE_TIMESTAMP] = w->now;
	world_publish(w);
	assert_refused(w, UPT_E_EXPIRED, UPT_REPO_DIRECTOR, "freeze:expired:director");
	w->director.expires[UPT_ROLE_TIMESTAMP] = w->now + 1;
	world_publish(w);
	world_update(w);
	world_stop(w);
}

static void
refuses_wrong_hardware_of_director(void **state)
{
	struct world *w = *state;

	world_start(w);
	w->director_hardware = "door-v1";
	world_publish(w);
	assert_refused(w, UPT_E_WRONG_HARDWARE, UPT_REPO_DIRECTOR,
		"arbitrary-software:wrong-hardware:director");
	w->director_hardware = WORLD_HARDWARE;
	world_publish(w);
	world_update(w);
	world_stop(w);
}

static void
refuses_wrong_hardware_of_image_repository(void **state)
{
	struct world *w = *state;

	world_start(w);
	w->image_hardware = "door-v1";
	world_publish(w);
	assert_refused(
		w, UPT_E_WRONG_HARDWARE, UPT_REPO_IMAGE, "arbitrary-software:wrong-hardware:image");
	w->image_hardware = WORLD_HARDWARE;
	world_publish(w);
	world_update(w);
	world_stop(w);
}

static void
refuses_another_vehicle(void **state)
{
	struct world *w = *state;

	world_start(w);
	w->vehicle_id = "VIN-0002";
	world_publish(w);
	assert_refused(
		w, UPT_E_WRONG_VEHICLE, UPT_REPO_DIRECTOR, "mix-and-match:wrong-vehicle:director");
	w->vehicle_id = WORLD_VEHICLE;
	world_publish(w);
	world_update(w);
	world_stop(w);
}

static void
refuses_lower_release_counter(void **state)
{
	struct world *w = *state;

	w->image_says.has_release_counter = w->director_says.has_release_counter = true;
	w->image_says.release_counter = w->director_says.release_counter = 7;
	world_publish(w);
	world_start(w);
	world_update(w);
	w->image_says.release_counter = w->director_says.release_counter = 6;
	world_publish(w);
	{
		struct upt_err err = {0};

		assert_code(world_verify(w, &err), UPT_E_RELEASE_ROLLBACK);
		assert_code(world_install(w, &err), UPT_E_RELEASE_ROLLBACK);
	}
	assert_attack(w, "rollback:release-counter-rollback:image");
	world_set_content(w, 1000, 3);
	w->image_says.has_release_counter = w->director_says.has_release_counter = true;
	w->image_says.release_counter = w->director_says.release_counter = 8;
	world_publish(w);
	world_update(w);
	world_stop(w);
}

/* "Cannot tell" of the Primary is neither an attack nor "no newer root". */
static void
network_failure_is_no_attack(void **state)
{
	struct world *w = *state;
	struct upt_ecu_report report;
	struct upt_err err = {0};

	world_start(w);
	w->withheld = "2.root.json";
	assert_code(world_verify(w, &err), UPT_E_SERVER);
	world_report(w, &report);
	assert_string_equal(report.attacks_detected, "");
	w->withheld = NULL;
	world_update(w);
	world_stop(w);
}

static void
missing_file_is_refused(void **state)
{
	struct world *w = *state;
	struct upt_err err = {0};

	world_start(w);
	world_withdraw(&w->director, "timestamp.json");
	assert_code(world_verify(w, &err), UPT_E_MISSING);
	assert_int_equal(err.repo, UPT_REPO_DIRECTOR);
	assert_untouched(w);
	world_publish(w);
	world_update(w);
	world_stop(w);
}

/* ---- attacks on the image ---- */

static void
assert_image_refused(struct world *w, enum upt_code expected, const char *attack)
{
	struct upt_err err = {0};

	assert_code(world_send(w, &err), expected);
	assert_code(world_install(w, &err), UPT_E_NOT_FOUND);
	assert_untouched(w);
	assert_attack(w, attack);
}

static void
refuses_other_bytes(void **state)
{
	struct world *w = *state;

	world_start(w);
	assert_ok(world_verify(w, why));
	w->content.data[100000] ^= 1;
	assert_image_refused(w, UPT_E_IMAGE_HASH, "arbitrary-software:image-hash-mismatch");
	w->content.data[100000] ^= 1;
	world_update(w);
	world_stop(w);
}

static void
refuses_longer_image(void **state)
{
	struct world *w = *state;

	world_start(w);
	assert_ok(world_verify(w, why));
	assert_ok(upt_buf_append(&w->content, "x", 1, why));
	w->image_says.length_bytes++;
	assert_image_refused(w, UPT_E_TOO_LARGE, "endless-data:too-large");
	w->image_says.length_bytes--;
	w->content.len--;
	world_update(w);
	world_stop(w);
}

static void
refuses_shorter_image(void **state)
{
	struct world *w = *state;

	world_start(w);
	assert_ok(world_verify(w, why));
	w->image_says.length_bytes--;
	assert_image_refused(w, UPT_E_IMAGE_HASH, "arbitrary-software:image-hash-mismatch");
	w->image_says.length_bytes++;
	world_update(w);
	world_stop(w);
}

static void
refuses_unassigned_image(void **state)
{
	struct world *w = *state;
	struct upt_err err = {0};

	world_start(w);
	assert_ok(world_verify(w, why));
	snprintf(w->image_says.name, sizeof(w->image_says.name), "other.bin");
	assert_code(world_send(w, &err), UPT_E_UNKNOWN_TARGET);
	assert_code(world_install(w, &err), UPT_E_UNKNOWN_TARGET);
	assert_untouched(w);
	snprintf(w->image_says.name, sizeof(w->image_says.name), WORLD_TARGET);
	world_update(w);
	world_stop(w);
}

static void
refuses_image_before_metadata(void **state)
{
	struct world *w = *state;
	struct upt_err err = {0};

	world_start(w);
	assert_code(world_send(w, &err), UPT_E_NOT_FOUND);
	assert_code(world_install(w, &err), UPT_E_NOT_FOUND);
	assert_untouched(w);
	world_update(w);
	world_stop(w);
}

/* Bytes that rot in the store between receipt and installation. */
static void
refuses_image_that_changed_in_the_store(void **state)
{
	struct world *w = *state;
	struct upt_err err = {0};
	char path[PATH_MAX + 128], hex[65];
	int fd;

	world_start(w);
	assert_ok(world_verify(w, why));
	assert_ok(world_send(w, why));
	for (size_t i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", w->image_says.digests[0].bytes[i]);
	snprintf(path, sizeof(path), "%s/images/%s", w->state_dir, hex);
	assert_int_equal(chmod(path, 0600), 0);
	fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "rot", 3, 5), 3);
	close(fd);
	assert_code(world_install(w, &err), UPT_E_IMAGE_HASH);
	assert_untouched(w);
	world_update(w);
	world_stop(w);
}

/* A month may pass between image and installation: expiry is checked again. */
static void
refuses_install_of_expired_metadata(void **state)
{
	struct world *w = *state;
	struct upt_err err = {0};
	int64_t before = w->now;

	world_start(w);
	assert_ok(world_verify(w, why));
	assert_ok(world_send(w, why));
	world_stop(w);
	w->now += 2 * 86400;
	world_start(w);
	assert_code(world_install(w, &err), UPT_E_EXPIRED);
	assert_untouched(w);
	world_stop(w);
	w->now = before;
	world_start(w);
	assert_ok(world_install(w, why));
	assert_true(world_installed_is(w, upt_buf_span(&w->content)));
	world_stop(w);
}

static void
refuses_format_it_cannot_install(void **state)
{
	struct world *w = *state;
	struct upt_err err = {0};

	world_start(w);
	w->format = "OSTREE";
	world_publish(w);
	assert_code(world_verify(w, &err), UPT_E_UNSUPPORTED);
	assert_code(world_install(w, &err), UPT_E_UNSUPPORTED);
	assert_untouched(w);
	w->format = "BINARY";
	world_publish(w);
	world_update(w);
	world_stop(w);
}

/* The ECU's own software says when not. */
static void
installs_nothing_while_inhibited(void **state)
{
	struct world *w = *state;
	struct upt_err err = {0};

	world_start(w);
	assert_ok(world_verify(w, why));
	assert_ok(world_send(w, why));
	assert_ok(upt_file_replace(AT_FDCWD, w->inhibit_path, 0600, upt_span_str("driving"), why));
	assert_code(world_install(w, &err), UPT_E_BUSY);
	assert_untouched(w);
	unlink(w->inhibit_path);
	assert_ok(world_install(w, why));
	assert_true(world_installed_is(w, upt_buf_span(&w->content)));
	/* What is installed already may be confirmed at any time. */
	assert_ok(upt_file_replace(AT_FDCWD, w->inhibit_path, 0600, upt_span_str("driving"), why));
	assert_ok(world_install(w, why));
	world_stop(w);
}

static unsigned
count_files(const char *folder, const char *name)
{
	char path[PATH_MAX + 64];
	struct dirent *item;
	unsigned n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	dir = opendir(path);
	assert_non_null(dir);
	while ((item = readdir(dir)) != NULL)
		n += item->d_type == DT_REG;
	closedir(dir);
	return n;
}

/* Flash is scarce: no image stays in the store for longer than it is needed. */
static void
store_holds_only_what_is_assigned(void **state)
{
	struct world *w = *state;

	world_start(w);
	assert_ok(world_verify(w, why));
	assert_ok(world_send(w, why));
	assert_int_equal(count_files(w->state_dir, "images"), 1);
	/* Superseded before it was installed. */
	world_set_content(w, 3000, 8);
	world_publish(w);
	assert_ok(world_verify(w, why));
	assert_ok(world_send(w, why));
	assert_int_equal(count_files(w->state_dir, "images"), 1);
	assert_ok(world_install(w, why));
	assert_int_equal(count_files(w->state_dir, "images"), 0);
	assert_int_equal(count_files(w->state_dir, "images/partial"), 0);
	world_stop(w);
}

/* ---- profile ota ---- */

static void
ota_dialect_updates(void **state)
{
	struct world *w = *state;

	world_use_ota(w);
	world_start(w);
	world_update(w);
	assert_ok(upt_private_key_generate("ed25519", 0, &w->delegate, why));
	world_set_content(w, 3000, 8);
	world_publish(w);
	world_update(w);
	world_kill(w);
	world_start(w);
	world_update(w);
	world_stop(w);
}

/* A version alone says nothing about which snapshot the timestamp was made for (8.2): the dialect
 * is no excuse, its servers list hashes. */
static void
ota_timestamp_must_list_a_hash_of_the_snapshot(void **state)
{
	struct world *w = *state;

	world_use_ota(w);
	w->image.hashless = true;
	world_publish(w);
	world_start(w);
	assert_refused(w, UPT_E_MALFORMED, UPT_REPO_IMAGE, "");
	w->image.hashless = false;
	world_publish(w);
	world_update(w);
	world_stop(w);
}

/* The same Director is refused where the Standard rules: its root must name all roles. */
static void
standard_refuses_a_director_without_timestamp(void **state)
{
	struct world *w = *state;
	struct upt_agent_config config;
	struct upt_private_key *key;
	struct upt_agent *agent;
	struct upt_err err = {0};

	world_use_ota(w);
	w->ota = false;
	config = world_agent_config(w);
	assert_ok(upt_private_key_load(w->key_path, &key, why));
	assert_code(upt_agent_new(&config, key, NULL, &agent, &err), UPT_E_MALFORMED);
	assert_null(agent);
	w->ota = true;
	world_start(w);
	world_update(w);
	world_stop(w);
}

/* ---- delegations, rotations ---- */

static void
delegated_role_vouches(void **state)
{
	struct world *w = *state;
	struct upt_err err = {0};
	struct upt_private_key *key, *other;

	assert_ok(upt_private_key_generate("ed25519", 0, &key, why));
	assert_ok(upt_private_key_generate("ed25519", 0, &other, why));
	w->delegate = key;
	world_publish(w);
	world_start(w);
	world_update(w);
	/* The stored copy serves as long as the snapshot lists it. */
	world_withdraw(&w->image, "1.supplier.json");
	assert_ok(world_verify(w, why));
	/* Delegated to one key, signed by another. */
	w->delegate_version = 2;
	world_publish(w);
	{
		upt_cleanup(upt_buf_clear) struct upt_buf forged = {0};
		cJSON *payload = upt_author_targets(2, w->now + 86400);
		const struct upt_private_key *keys = other;

		assert_ok(upt_author_sign(payload, &keys, 1, &forged, why));
		cJSON_Delete(payload);
		world_serve(&w->image, "2.supplier.json", upt_buf_span(&forged));
	}
	/* Not what the snapshot lists: mix-and-match, before its signature matters. */
	assert_code(world_verify(w, &err), UPT_E_HASH_MISMATCH);
	assert_int_equal(err.repo, UPT_REPO_IMAGE);
	world_publish(w);
	assert_ok(world_verify(w, why));
	world_stop(w);
	upt_private_key_free(&other);
}

static void
delegated_role_that_does_not_list_it_refuses(void **state)
{
	struct world *w = *state;
	struct upt_private_key *key;

	assert_ok(upt_private_key_generate("ed25519", 0, &key, why));
	w->delegate = key;
	w->list = false;
	world_publish(w);
	world_start(w);
	assert_refused(
		w, UPT_E_UNKNOWN_TARGET, UPT_REPO_IMAGE, "arbitrary-software:unknown-target:image");
	w->list = true;
	w->delegate_version++;
	world_publish(w);
	world_update(w);
	world_stop(w);
}

static void
follows_roots_over_two_versions(void **state)
{
	struct world *w = *state;
	const bool all[UPT_N_ROLES] = {true, true, true, true};
	const bool stamp[UPT_N_ROLES] = {false, true, false, false};

	world_start(w);
	world_update(w);
	world_rotate(w, &w->director, all);
	world_rotate(w, &w->director, stamp);
	world_rotate(w, &w->image, stamp);
	world_rotate(w, &w->image, all);
	world_set_content(w, 5000, 9);
	world_publish(w);
	world_update(w);
	world_kill(w);
	world_start(w);
	world_update(w);
	world_stop(w);
}

/* 6.7: a version fast-forwarded by a stolen key does not outlive that key. */
static void
recovers_from_fast_forward(void **state)
{
	struct world *w = *state;
	const bool both[UPT_N_ROLES] = {false, true, true, false};
	uint64_t before[UPT_N_ROLES];
	struct upt_err err = {0};

	world_start(w);
	memcpy(before, w->director.versions, sizeof(before));
	w->director.versions[UPT_ROLE_TIMESTAMP] = 1000000;
	w->director.versions[UPT_ROLE_SNAPSHOT] = 1000000;
	world_publish(w);
	assert_ok(world_verify(w, why));
	memcpy(w->director.versions, before, sizeof(before));
	w->director.versions[UPT_ROLE_TARGETS] += 5;
	world_publish(w);
	assert_code(world_verify(w, &err), UPT_E_ROLLBACK);
	world_rotate(w, &w->director, both);
	world_update(w);
	world_stop(w);
}

static void
refuses_root_by_strangers(void **state)
{
	struct world *w = *state;
	const bool root[UPT_N_ROLES] = {true, false, false, false};
	const struct upt_buf *served;
	struct world other;

	world_init(&other);
	world_rotate(&other, &other.director, root);
	world_start(w);
	served = world_file(&other.director, "2.root.json");
	world_serve(&w->director, "2.root.json", upt_buf_span(served));
	assert_refused(w, UPT_E_THRESHOLD, UPT_REPO_DIRECTOR,
		"arbitrary-software:signature-threshold:director");
	world_withdraw(&w->director, "2.root.json");
	world_rotate(w, &w->director, root);
	world_update(w);
	world_stop(w);
	world_clear(&other);
}

/* A file beside the state is no way to exchange the roots. */
static void
pinned_file_does_not_replace_trusted_state(void **state)
{
	struct world *w = *state;
	struct world other;

	world_start(w);
	world_update(w);
	world_stop(w);
	world_init(&other);
	assert_ok(upt_file_replace(AT_FDCWD, w->director_root, 0644,
		upt_buf_span(world_file(&other.director, "1.root.json")), why));
	world_clear(&other);
	world_start(w);
	world_update(w);
	world_stop(w);
}

/* ---- what is installed ---- */

static void
foreign_file_is_reported_without_a_name(void **state)
{
	struct world *w = *state;
	struct upt_ecu_report report;

	world_start(w);
	world_update(w);
	world_install_by_hand(w, "something else");
	world_report(w, &report);
	assert_false(upt_image_same(&report.installed, &w->image_says));
	assert_string_not_equal(report.installed.name, WORLD_TARGET);
	world_update(w);
	world_report(w, &report);
	assert_true(upt_image_same(&report.installed, &w->image_says));
	world_stop(w);
}

static void
attack_stays_until_its_report_is_taken(void **state)
{
	struct world *w = *state;
	struct upt_err err = {0};
	struct upt_ecu_report report;

	world_start(w);
	w->director.forged = UPT_ROLE_TARGETS;
	world_publish(w);
	assert_code(world_verify(w, &err), UPT_E_THRESHOLD);
	world_kill(w);
	world_start(w);
	world_report(w, &report);
	assert_string_equal(
		report.attacks_detected, "arbitrary-software:signature-threshold:director");
	world_report(w, &report);
	assert_string_equal(report.attacks_detected, "");
	world_stop(w);
}

static void
counter_never_repeats(void **state)
{
	struct world *w = *state;
	struct upt_ecu_report report;
	uint64_t last = 0;

	for (int i = 0; i < 3; i++) {
		world_start(w);
		for (int n = 0; n < 3; n++) {
			world_report(w, &report);
			assert_true(report.report_counter > last);
			last = report.report_counter;
		}
		world_kill(w);
	}
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(info_tells_identity),
		CASE(update_installs_and_reports),
		CASE(repeated_update_changes_nothing),
		CASE(next_release_installs),
		CASE(empty_assignment_verifies),
		CASE(refuses_forged_director_targets),
		CASE(refuses_forged_image_timestamp),
		CASE(refuses_target_unknown_to_image_repository),
		CASE(refuses_repositories_that_disagree),
		CASE(refuses_rolled_back_timestamp),
		CASE(refuses_rollback_after_restart),
		CASE(refuses_expired_timestamp),
		CASE(refuses_wrong_hardware_of_director),
		CASE(refuses_wrong_hardware_of_image_repository),
		CASE(refuses_another_vehicle),
		CASE(refuses_lower_release_counter),
		CASE(network_failure_is_no_attack),
		CASE(missing_file_is_refused),
		CASE(refuses_other_bytes),
		CASE(refuses_longer_image),
		CASE(refuses_shorter_image),
		CASE(refuses_unassigned_image),
		CASE(refuses_image_before_metadata),
		CASE(refuses_image_that_changed_in_the_store),
		CASE(refuses_install_of_expired_metadata),
		CASE(refuses_format_it_cannot_install),
		CASE(installs_nothing_while_inhibited),
		CASE(store_holds_only_what_is_assigned),
		CASE(ota_dialect_updates),
		CASE(ota_timestamp_must_list_a_hash_of_the_snapshot),
		CASE(standard_refuses_a_director_without_timestamp),
		CASE(delegated_role_vouches),
		CASE(delegated_role_that_does_not_list_it_refuses),
		CASE(follows_roots_over_two_versions),
		CASE(recovers_from_fast_forward),
		CASE(refuses_root_by_strangers),
		CASE(pinned_file_does_not_replace_trusted_state),
		CASE(foreign_file_is_reported_without_a_name),
		CASE(attack_stays_until_its_report_is_taken),
		CASE(counter_never_repeats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
