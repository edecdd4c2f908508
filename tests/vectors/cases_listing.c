/* check_timestamp and check_snapshot (7.1 to 8.7), and what they list of others (9.1, 9.2). */
#include <stdio.h>
#include "cases.h"
#include "generator.h"

/* ---- versions ---- */

static void
from_five(struct scene *s, enum upt_repo repo, const char *role)
{
	struct repo *r = scene_repo(s, repo);

	(void)role;
	for (size_t i = 1; i < r->n_docs; i++)
		r->docs[i].version = 5;
}

static void
older_timestamp(struct scene *s, enum upt_repo repo, const char *role)
{
	set(scene_payload(s, repo, role), "version", num(4));
}

static void
lists_older_snapshot(struct scene *s, enum upt_repo repo, const char *role)
{
	scene_doc(s, repo, "snapshot")->version = 4;
	scene_payload(s, repo, role);
}

static void
lists_older_targets(struct scene *s, enum upt_repo repo, const char *role)
{
	set(at(scene_payload(s, repo, role), "meta"), "targets.json",
		cJSON_Parse("{\"version\":4}"));
}

/* The version of a document is not the one that is listed. */
static void
other_version(struct scene *s, enum upt_repo repo, const char *role)
{
	set(scene_payload(s, repo, role), "version",
		num((double)scene_doc(s, repo, role)->version + 1));
}

static void
earlier_version(struct scene *s, enum upt_repo repo, const char *role)
{
	set(scene_payload(s, repo, role), "version",
		num((double)scene_doc(s, repo, role)->version - 1));
}

/* ---- hashes and lengths ---- */

/* How the document above lists that role. */
static cJSON *
listing(struct scene *s, enum upt_repo repo, const char *role)
{
	const char *above = strcmp(role, "snapshot") == 0 ? "timestamp" : "snapshot";
	char file[ROLE_NAME_SIZE + 8];
	cJSON *found;

	snprintf(file, sizeof(file), "%s.json", role);
	found = cJSON_GetObjectItemCaseSensitive(at(scene_payload(s, repo, above), "meta"), file);
	must(found != NULL, file);
	return found;
}

static void
other_content(struct scene *s, enum upt_repo repo, const char *role)
{
	scene_finish(s, repo);
	replace(scene_text(s, repo, role), "\"1.0.0\"", "\"1.0.1\"");
	sign_again(s, repo, role);
}

static void
wrong_hash(struct scene *s, enum upt_repo repo, const char *role)
{
	char *hex = at(listing(s, repo, role), "hashes/sha256")->valuestring;

	hex[63] = hex[63] == '0' ? '1' : '0';
}

static void
wrong_second_hash(struct scene *s, enum upt_repo repo, const char *role)
{
	char hex[129];

	memset(hex, 'a', sizeof(hex) - 1);
	hex[128] = '\0';
	set(at(listing(s, repo, role), "hashes"), "sha512", str(hex));
}

static void
listed_longer(struct scene *s, enum upt_repo repo, const char *role)
{
	cJSON *length = at(listing(s, repo, role), "length");

	cJSON_SetNumberValue(length, length->valuedouble + 1);
}

static void
listed_shorter(struct scene *s, enum upt_repo repo, const char *role)
{
	cJSON *length = at(listing(s, repo, role), "length");

	cJSON_SetNumberValue(length, length->valuedouble - 1);
}

/* Step 8.2 without a length: the hash alone binds the file, and white space counts. */
static void
space_added(struct scene *s, enum upt_repo repo, const char *role)
{
	drop(listing(s, repo, role), "length");
	append(scene_bytes(s, repo, role), "\n", 1);
}

#define PAYLOAD_FAULT(name, change)                                                                \
	static void name(struct scene *s, enum upt_repo repo, const char *role)                    \
	{                                                                                          \
		cJSON *payload = scene_payload(s, repo, role);                                     \
		change;                                                                            \
	}

/* The name of the one file that both list first. */
static cJSON *
first(cJSON *payload)
{
	return at(payload, "meta")->child;
}

PAYLOAD_FAULT(no_meta, drop(payload, "meta"))
PAYLOAD_FAULT(list_meta, set(payload, "meta", cJSON_CreateArray()))
PAYLOAD_FAULT(empty_meta, set(payload, "meta", cJSON_CreateObject()))
PAYLOAD_FAULT(entry_text, set(at(payload, "meta"), first(payload)->string, str("2")))
PAYLOAD_FAULT(entry_no_version, drop(first(payload), "version"))
PAYLOAD_FAULT(entry_version_zero, set(first(payload), "version", num(0)))
PAYLOAD_FAULT(entry_version_text, set(first(payload), "version", str("2")))
PAYLOAD_FAULT(entry_length_text, set(first(payload), "length", str("2")))
PAYLOAD_FAULT(entry_no_hash, drop(first(payload), "hashes"))
PAYLOAD_FAULT(entry_empty_hashes, set(first(payload), "hashes", cJSON_CreateObject()))
PAYLOAD_FAULT(entry_short_hash, set(first(payload), "hashes/sha256", str("abcd")))
PAYLOAD_FAULT(entry_number_hash, set(first(payload), "hashes/sha256", num(1)))
PAYLOAD_FAULT(entry_unknown_hash, set(first(payload), "hashes", cJSON_Parse("{\"md5\":\"00\"}")))

/* ---- files that disappear ---- */

static void
also_list(struct scene *s, enum upt_repo repo, const char *role)
{
	(void)role;
	cJSON_AddItemToObject(at(scene_payload(s, repo, "snapshot"), "meta"), "other.json",
		cJSON_Parse("{\"version\":7}"));
}

static void
list_no_more(struct scene *s, enum upt_repo repo, const char *role)
{
	(void)s, (void)repo, (void)role;
}

static const struct fault faults[] = {
	{"rollback", "A timestamp older than the one before is refused.", "7.3", EVERY_TIMESTAMP,
		UPT_E_ROLLBACK, older_timestamp, from_five},
	{"lists-older-snapshot", "A newer timestamp that lists an older snapshot is refused.", "7.3 8.4",
		EVERY_TIMESTAMP, UPT_E_ROLLBACK, lists_older_snapshot, from_five},
	{"lists-older-targets", "A newer snapshot that lists older targets is refused.", "8.5",
		EVERY_SNAPSHOT, UPT_E_ROLLBACK, lists_older_targets, from_five},
	{"newer-than-listed", "A document of a higher version than is listed is refused.", "8.2 9.2", LISTED | OTA_LISTED,
		UPT_E_VERSION_MISMATCH, other_version, NULL},
	{"older-than-listed", "A document of a lower version than is listed is refused.", "8.2 9.2", LISTED,
		UPT_E_VERSION_MISMATCH, earlier_version, from_five},
	{"not-the-listed-one", "A genuine document of the listed version that is not the listed one is refused.",
		"8.2 9.2", LISTED | OTA_LISTED, UPT_E_HASH_MISMATCH, other_content, NULL},
	{"wrong-hash-listed", "A document whose hash differs in one digit is refused.", "8.2", LISTED,
		UPT_E_HASH_MISMATCH, wrong_hash, NULL},
	{"wrong-second-hash-listed", "Every listed hash counts, not only the first.", "8.2", LISTED,
		UPT_E_HASH_MISMATCH, wrong_second_hash, NULL},
	{"longer-listed", "A document shorter than is listed is refused.", "8.2", LISTED,
		UPT_E_HASH_MISMATCH, listed_longer, NULL},
	{"shorter-listed", "A document longer than is listed is not read to its end.", "8.1 9.1", LISTED,
		UPT_E_TOO_LARGE, listed_shorter, NULL},
	{"white-space-added", "White space behind a document makes it another file.", "8.2", LISTED,
		UPT_E_HASH_MISMATCH, space_added, NULL},
	{"no-meta", "A document that lists nothing is refused.", "8.1", EVERY_TIMESTAMP | EVERY_SNAPSHOT,
		UPT_E_MALFORMED, no_meta, NULL},
	{"list-as-meta", "A listing that is no object is refused.", "8.1", EVERY_TIMESTAMP | EVERY_SNAPSHOT,
		UPT_E_MALFORMED, list_meta, NULL},
	{"empty-meta", "A listing without the file that must be listed is refused.", "8.1",
		EVERY_TIMESTAMP | EVERY_SNAPSHOT, UPT_E_MALFORMED, empty_meta, NULL},
	{"entry-is-text", "A listed file that is no object is refused.", "8.1",
		EVERY_TIMESTAMP | EVERY_SNAPSHOT, UPT_E_MALFORMED, entry_text, NULL},
	{"entry-without-version", "A listed file without version is refused.", "8.2",
		EVERY_TIMESTAMP | EVERY_SNAPSHOT, UPT_E_MALFORMED, entry_no_version, NULL},
	{"entry-version-zero", "A listed file of version 0 is refused.", "8.2",
		EVERY_TIMESTAMP | EVERY_SNAPSHOT, UPT_E_MALFORMED, entry_version_zero, NULL},
	{"entry-version-text", "A listed version in quotes is refused.", "8.2",
		EVERY_TIMESTAMP | EVERY_SNAPSHOT, UPT_E_MALFORMED, entry_version_text, NULL},
	{"entry-length-text", "A listed length in quotes is refused.", "8.1",
		EVERY_TIMESTAMP | EVERY_SNAPSHOT, UPT_E_MALFORMED, entry_length_text, NULL},
	{"entry-without-hash", "A timestamp that lists no hash of the snapshot is refused.", "8.2",
		EVERY_TIMESTAMP, UPT_E_MALFORMED, entry_no_hash, NULL},
	{"entry-empty-hashes", "An empty list of hashes is refused.", "8.2",
		EVERY_TIMESTAMP | EVERY_SNAPSHOT, UPT_E_MALFORMED, entry_empty_hashes, NULL},
	{"entry-short-hash", "A hash of the wrong length is refused.", "8.2",
		EVERY_TIMESTAMP | EVERY_SNAPSHOT, UPT_E_MALFORMED, entry_short_hash, NULL},
	{"entry-number-hash", "A hash that is no text is refused.", "8.2",
		EVERY_TIMESTAMP | EVERY_SNAPSHOT, UPT_E_MALFORMED, entry_number_hash, NULL},
	{"entry-unknown-hash", "A file that only a hash unknown here binds is refused.", "8.2",
		EVERY_TIMESTAMP | EVERY_SNAPSHOT, UPT_E_MALFORMED, entry_unknown_hash, NULL},
};

/* ---- scenes ---- */

static void
good_step(struct scene *s)
{
	scene_step(s);
	scene_accept(s);
}

/* What was listed once stays listed, until the snapshot's key is rotated. */
static void
dropped_file(struct scene *s, enum upt_repo repo)
{
	scene_step(s);
	also_list(s, repo, "snapshot");
	scene_accept(s);
	scene_step(s);
	list_no_more(s, repo, "snapshot");
	scene_refuse(s, UPT_E_FILE_DROPPED, repo, "snapshot");
	scene_step(s);
	also_list(s, repo, "snapshot");
	scene_accept(s);
	scene_step(s);
	scene_root(s, repo);
	scene_plan(s, repo, "snapshot", "snapshot-2", 1);
	scene_accept(s);
}

static void
lowered_file(struct scene *s, enum upt_repo repo)
{
	scene_step(s);
	also_list(s, repo, "snapshot");
	scene_accept(s);
	scene_step(s);
	also_list(s, repo, "snapshot");
	set(cJSON_GetObjectItemCaseSensitive(
		    at(scene_payload(s, repo, "snapshot"), "meta"), "other.json"),
		"version", num(6));
	scene_refuse(s, UPT_E_ROLLBACK, repo, "snapshot");
	scene_step(s);
	also_list(s, repo, "snapshot");
	set(cJSON_GetObjectItemCaseSensitive(
		    at(scene_payload(s, repo, "snapshot"), "meta"), "other.json"),
		"version", num(8));
	scene_accept(s);
}

/* 5.5, 5.10: what is unchanged need not be there. */
static void
nothing_new(struct scene *s, enum upt_repo repo)
{
	good_step(s);
	scene_hold(s, repo, true);
	scene_doc(s, repo, "snapshot")->omit = true;
	scene_doc(s, repo, "targets")->omit = true;
	good_step(s);
	scene_hold(s, repo, false);
	good_step(s);
}

static void
new_timestamp_only(struct scene *s, enum upt_repo repo)
{
	good_step(s);
	scene_hold(s, repo, true);
	scene_doc(s, repo, "timestamp")->hold = false;
	scene_doc(s, repo, "snapshot")->omit = true;
	scene_doc(s, repo, "targets")->omit = true;
	good_step(s);
}

/* A frozen server: the same genuine files until they expire. */
static void
frozen(struct scene *s, enum upt_repo repo)
{
	scene_step(s);
	set(scene_payload(s, repo, "timestamp"), "expires", when(NOW + 60));
	scene_accept(s);
	scene_hold(s, repo, true);
	scene_step(s);
	s->now = NOW + 59;
	scene_accept(s);
	scene_step(s);
	s->now = NOW + 60;
	scene_refuse(s, UPT_E_EXPIRED, repo, "timestamp");
	scene_hold(s, repo, false);
	good_step(s);
}

static void
stored_snapshot_expires(struct scene *s, enum upt_repo repo)
{
	scene_step(s);
	set(scene_payload(s, repo, "snapshot"), "expires", when(NOW + 60));
	scene_accept(s);
	scene_hold(s, repo, true);
	scene_doc(s, repo, "timestamp")->hold = false;
	scene_step(s);
	s->now = NOW + 60;
	scene_refuse(s, UPT_E_EXPIRED, repo, "snapshot");
	scene_hold(s, repo, false);
	good_step(s);
}

static void
stored_targets_expire(struct scene *s, enum upt_repo repo)
{
	scene_step(s);
	set(scene_payload(s, repo, "targets"), "expires", when(NOW + 60));
	scene_accept(s);
	scene_hold(s, repo, true);
	scene_doc(s, repo, "timestamp")->hold = false;
	scene_step(s);
	s->now = NOW + 60;
	scene_refuse(s, UPT_E_EXPIRED, repo, "targets");
	scene_hold(s, repo, false);
	good_step(s);
}

/* Mix and match: the snapshot of one release with the targets of another. */
static void
mixed_releases(struct scene *s, enum upt_repo repo)
{
	upt_cleanup(upt_buf_clear) struct upt_buf old = {0};
	const struct upt_buf *bytes;

	scene_step(s);
	bytes = scene_bytes(s, repo, "targets");
	append(&old, bytes->data, bytes->len);
	scene_accept(s);
	scene_step(s);
	scene_finish(s, repo);
	scene_bytes(s, repo, "targets")->len = 0;
	append(&scene_doc(s, repo, "targets")->bytes, old.data, old.len);
	scene_refuse(s, UPT_E_VERSION_MISMATCH, repo, "targets");
	good_step(s);
}

/* Content changes under one version: the listed hash tells, also for a client that has the old one. */
static void
changed_under_same_version(struct scene *s, enum upt_repo repo)
{
	good_step(s);
	scene_hold(s, repo, true);
	scene_step(s);
	replace(scene_text(s, repo, "snapshot"), "\"1.0.0\"", "\"1.0.1\"");
	sign_again(s, repo, "snapshot");
	/* Nothing that lists it has changed: the stored copy is still the listed one. */
	scene_accept(s);
	scene_hold(s, repo, false);
	scene_step(s);
	scene_finish(s, repo);
	replace(scene_text(s, repo, "snapshot"), "\"1.0.0\"", "\"1.0.1\"");
	sign_again(s, repo, "snapshot");
	scene_refuse(s, UPT_E_HASH_MISMATCH, repo, "snapshot");
	good_step(s);
}

/* Versions need not rise one by one, and may stay. */
static void
versions_jump(struct scene *s, enum upt_repo repo)
{
	struct repo *r = scene_repo(s, repo);

	good_step(s);
	scene_step(s);
	for (size_t i = 1; i < r->n_docs; i++)
		r->docs[i].version = 9007199254740990;
	scene_accept(s);
	good_step(s);
}

static void
sha512_listed(struct scene *s, enum upt_repo repo)
{
	static const char *const files[] = {"snapshot", "targets"};

	scene_step(s);
	for (int i = 1; i >= 0; i--) {
		struct upt_digest digest;
		char hex[129];

		must_code(upt_hash_span(UPT_HASH_SHA512,
				  upt_buf_span(scene_bytes(s, repo, files[i])), &digest, NULL),
			NULL);
		for (size_t k = 0; k < digest.len; k++)
			snprintf(hex + 2 * k, 3, "%02X", digest.bytes[k]);
		set(listing(s, repo, files[i]), "hashes/sha512", str(hex));
		set(listing(s, repo, files[i]), "hashes/future", str("anything"));
	}
	scene_accept(s);
}

/* ---- across steps ---- */

/* A whole release of earlier times, each file of it genuine and in date. */
static void
replayed_release(struct scene *s, enum upt_repo repo)
{
	static const char *const roles[] = {"timestamp", "snapshot", "targets"};
	struct upt_buf old[3] = {{0}};

	scene_step(s);
	for (int i = 0; i < 3; i++) {
		const struct upt_buf *bytes = scene_bytes(s, repo, roles[i]);

		append(&old[i], bytes->data, bytes->len);
	}
	scene_accept(s);
	good_step(s);
	scene_step(s);
	scene_finish(s, repo);
	for (int i = 0; i < 3; i++) {
		struct doc *d = scene_doc(s, repo, roles[i]);

		d->version = 1;
		d->bytes.len = 0;
		append(&d->bytes, old[i].data, old[i].len);
		upt_buf_clear(&old[i]);
	}
	scene_refuse(s, UPT_E_ROLLBACK, repo, "timestamp");
	scene_step(s);
	for (int i = 0; i < 3; i++)
		scene_doc(s, repo, roles[i])->version = 3;
	scene_accept(s);
}

/* A refusal below it does not make the timestamp forget. */
static void
rollback_after_refusal(struct scene *s, enum upt_repo repo)
{
	good_step(s);
	scene_step(s);
	scene_doc(s, repo, "timestamp")->version = 7;
	scene_signing(s, repo, "snapshot")->keys = "thief-1";
	scene_refuse(s, UPT_E_THRESHOLD, repo, "snapshot");
	scene_step(s);
	scene_doc(s, repo, "timestamp")->version = 6;
	scene_refuse(s, UPT_E_ROLLBACK, repo, "timestamp");
	scene_step(s);
	scene_doc(s, repo, "timestamp")->version = 7;
	scene_accept(s);
}

/* ---- other content under an unchanged version ---- */

static void
set_same_version(struct scene *s, enum upt_repo repo, const char *role)
{
	char text[16];

	scene_doc(s, repo, role)->version--;
	snprintf(text, sizeof(text), "1.0.%d", s->step);
	set(scene_payload(s, repo, role), "spec_version", str(text));
}

static void
same_timestamp_version(struct scene *s, enum upt_repo repo)
{
	good_step(s);
	scene_step(s);
	set_same_version(s, repo, "timestamp");
	scene_accept(s);
}

static void
same_snapshot_version(struct scene *s, enum upt_repo repo)
{
	good_step(s);
	scene_step(s);
	set_same_version(s, repo, "snapshot");
	scene_accept(s);
}

/* The stored copy has the listed version and not the listed hash. */
static void
same_targets_version(struct scene *s, enum upt_repo repo)
{
	good_step(s);
	scene_step(s);
	set_same_version(s, repo, "targets");
	scene_accept(s);
	scene_step(s);
	set_same_version(s, repo, "targets");
	scene_doc(s, repo, "targets")->omit = true;
	scene_refuse(s, UPT_E_MISSING, repo, "targets");
	good_step(s);
}

static void
versions_only(struct scene *s, enum upt_repo repo)
{
	scene_step(s);
	set(at(scene_payload(s, repo, "snapshot"), "meta"), "targets.json",
		cJSON_Parse("{\"version\":1}"));
	scene_accept(s);
	good_step(s);
}

static const struct {
	const char *name, *title, *proves;
	void (*play)(struct scene *s, enum upt_repo repo);
} scenes[] = {
	{"snapshot-drops-file", "A snapshot that no longer lists a file is refused, unless its key was rotated.",
		"6.7 8.6", dropped_file},
	{"snapshot-lowers-file", "A snapshot that lists any file with a lower version is refused.", "8.5",
		lowered_file},
	{"nothing-new", "What has not changed is not asked for again.", "5.5 5.10", nothing_new},
	{"new-timestamp-only", "A new timestamp that lists the same snapshot is enough.", "5.10 7.3",
		new_timestamp_only},
	{"timestamp-frozen", "A server that serves the same genuine files is refused once they expire.", "7.4",
		frozen},
	{"snapshot-stored-expires", "A stored snapshot that is still listed is not trusted beyond its expiry.",
		"8.7", stored_snapshot_expires},
	{"targets-stored-expire", "Stored targets that are still listed are not trusted beyond their expiry.",
		"9.5", stored_targets_expire},
	{"targets-of-older-release", "The snapshot of one release with the targets of another is refused.",
		"9.2", mixed_releases},
	{"snapshot-changed-same-version", "A snapshot with other content under the listed version is refused.",
		"8.2", changed_under_same_version},
	{"versions-jump", "Versions may jump, up to 2^53-1.", "7.3 8.4 9.4", versions_jump},
	{"sha512-listed", "SHA-512 beside SHA-256, in either case, and hashes unknown here are fine.", "8.2",
		sha512_listed},
	{"replayed-release", "A whole release of earlier times is refused.", "7.3", replayed_release},
	{"rollback-after-refusal", "A timestamp whose snapshot was refused is not forgotten.", "1.13 7.3",
		rollback_after_refusal},
	{"timestamp-same-version", "A timestamp of the same version may list a newer snapshot.", "7.3",
		same_timestamp_version},
	{"snapshot-same-version", "A snapshot of the same version that is listed with another hash is fetched.",
		"5.10 8.4", same_snapshot_version},
	{"targets-same-version", "Targets of the same version with another listed hash are fetched, not taken as stored.",
		"9.2 9.4", same_targets_version},
	{"snapshot-versions-only", "A snapshot may list versions only.", "8.5 9.2", versions_only},
};

void
cases_listing(struct generator *g)
{
	ADD_FAULTS(g, faults);
	for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
		for (int repo = DIRECTOR; repo <= IMAGE; repo++) {
			struct scene *s;
			char name[128];

			snprintf(name, sizeof(name), "%s-%s", upt_repo_name((enum upt_repo)repo),
				scenes[i].name);
			s = scene_begin(g, name, scenes[i].title, scenes[i].proves);
			scenes[i].play(s, (enum upt_repo)repo);
			scene_end(&s);
		}
	}
}
