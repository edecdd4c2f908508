/* What any document must be: of its role, whole, in strict JSON, in time, and not too large. */
#include <stdio.h>
#include "cases.h"
#include "generator.h"
#include "metadata/limits.h"

/* ---- role, time, version ---- */

static void
expire(struct scene *s, enum upt_repo repo, const char *role)
{
	set(scene_payload(s, repo, role), "expires", when(PAST));
}

static void
expire_now(struct scene *s, enum upt_repo repo, const char *role)
{
	set(scene_payload(s, repo, role), "expires", when(NOW));
}

static void
wrong_type(struct scene *s, enum upt_repo repo, const char *role)
{
	set(scene_payload(s, repo, role), "_type",
		str(strcmp(role, "targets") == 0 ? "snapshot" : "targets"));
	if (strcmp(role, "team") == 0)
		set(scene_payload(s, repo, role), "_type", str("timestamp"));
}

static void
no_type(struct scene *s, enum upt_repo repo, const char *role)
{
	drop(scene_payload(s, repo, role), "_type");
}

static void
number_as_type(struct scene *s, enum upt_repo repo, const char *role)
{
	set(scene_payload(s, repo, role), "_type", num(1));
}

/*
 * A genuine document of another role under this one's name, listed as it is served: nothing but its own
 * words tells.
 */
static void
serve(struct scene *s, enum upt_repo repo, const char *role, const char *other)
{
	static const char *const above[] = {"timestamp", "snapshot"};
	upt_cleanup(upt_buf_clear) struct upt_buf copy = {0};
	struct repo *r = scene_repo(s, repo);
	const struct upt_buf *from = strcmp(other, "root") == 0 ? &r->roots[r->n_roots - 1].bytes
								: scene_bytes(s, repo, other);
	struct upt_buf *bytes;

	append(&copy, from->data, from->len);
	for (int i = 0; i < 2; i++) {
		if (strcmp(role, above[i]) != 0)
			doc_clear_step(scene_doc(s, repo, above[i]));
	}
	bytes = scene_bytes(s, repo, role);
	bytes->len = 0;
	append(bytes, copy.data, copy.len);
}

#define SERVE(other)                                                                               \
	static void serve_##other(struct scene *s, enum upt_repo repo, const char *role)           \
	{                                                                                          \
		serve(s, repo, role, #other);                                                      \
	}

SERVE(root)
SERVE(timestamp)
SERVE(snapshot)
SERVE(targets)
SERVE(team)

static void
with_team(struct scene *s, enum upt_repo repo, const char *role)
{
	(void)repo, (void)role;
	add_team(s);
}

static void
no_expires(struct scene *s, enum upt_repo repo, const char *role)
{
	drop(scene_payload(s, repo, role), "expires");
}

static void
local_expires(struct scene *s, enum upt_repo repo, const char *role)
{
	set(scene_payload(s, repo, role), "expires", str("2038-01-01T00:00:00+00:00"));
}

static void
impossible_expires(struct scene *s, enum upt_repo repo, const char *role)
{
	set(scene_payload(s, repo, role), "expires", str("2038-02-30T00:00:00Z"));
}

static void
number_as_expires(struct scene *s, enum upt_repo repo, const char *role)
{
	set(scene_payload(s, repo, role), "expires", num((double)EXPIRES));
}

static void
no_version(struct scene *s, enum upt_repo repo, const char *role)
{
	drop(scene_payload(s, repo, role), "version");
}

static void
version_zero(struct scene *s, enum upt_repo repo, const char *role)
{
	set(scene_payload(s, repo, role), "version", num(0));
}

static void
text_as_version(struct scene *s, enum upt_repo repo, const char *role)
{
	set(scene_payload(s, repo, role), "version", str("2"));
}

/* ---- spelling of the signed text: "spec_version" gives way to something else ---- */

static void
put_text(struct scene *s, enum upt_repo repo, const char *role, const char *member)
{
	replace(scene_text(s, repo, role), "\"spec_version\":\"1.0.0\"", member);
}

#define TEXT_FAULT(name, member)                                                                   \
	static void name(struct scene *s, enum upt_repo repo, const char *role)                    \
	{                                                                                          \
		put_text(s, repo, role, member);                                                   \
	}

TEXT_FAULT(twice_a_member, "\"spec_version\":\"1.0.0\",\"expires\":\"2037-01-01T00:00:00Z\"")
TEXT_FAULT(twice_by_escape, "\"v\":1,\"\\u0076\":2")
TEXT_FAULT(float_member, "\"spec_version\":1.0")
TEXT_FAULT(exponent_member, "\"spec_version\":1e3")
TEXT_FAULT(negative_member, "\"spec_version\":-1")
TEXT_FAULT(huge_member, "\"spec_version\":9007199254740992")
TEXT_FAULT(leading_zero_member, "\"spec_version\":01")
TEXT_FAULT(nul_member, "\"spec_version\":\"1\\u0000\"")
TEXT_FAULT(raw_control_member, "\"spec_version\":\"1\n\"")
TEXT_FAULT(surrogate_member, "\"spec_version\":\"\\ud800\"")
TEXT_FAULT(bad_utf8_member, "\"spec_version\":\"\xc3\x28\"")
TEXT_FAULT(overlong_member, "\"spec_version\":\"\xc0\xaf\"")
TEXT_FAULT(not_nfc_member, "\"spec_version\":\"e\xcc\x81\"")
TEXT_FAULT(comment_member, "/* */\"spec_version\":\"1.0.0\"")
TEXT_FAULT(trailing_comma_member, "\"spec_version\":[1,]")
TEXT_FAULT(nan_member, "\"spec_version\":NaN")
TEXT_FAULT(deep_member,
	"\"spec_version\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]")

/* ---- the file ---- */

static void
cut(struct scene *s, enum upt_repo repo, const char *role)
{
	struct upt_buf *bytes = scene_bytes(s, repo, role);

	scene_finish(s, repo);
	bytes->len /= 2;
}

static void
cut_last_byte(struct scene *s, enum upt_repo repo, const char *role)
{
	struct upt_buf *bytes = scene_bytes(s, repo, role);

	scene_finish(s, repo);
	bytes->len--;
}

static void
empty_file(struct scene *s, enum upt_repo repo, const char *role)
{
	struct upt_buf *bytes = scene_bytes(s, repo, role);

	scene_finish(s, repo);
	/* An empty buffer would be composed anew. */
	replace(bytes, (const char *)bytes->data, " ");
}

static void
put_file(struct scene *s, enum upt_repo repo, const char *role, const char *text)
{
	struct upt_buf *bytes = scene_bytes(s, repo, role);

	scene_finish(s, repo);
	bytes->len = 0;
	append(bytes, text, strlen(text));
}

static void
page_of_a_proxy(struct scene *s, enum upt_repo repo, const char *role)
{
	put_file(s, repo, role, "<!DOCTYPE html><title>Please log in</title>\n");
}

static void
list_as_file(struct scene *s, enum upt_repo repo, const char *role)
{
	put_file(s, repo, role, "[{\"signatures\":[],\"signed\":{}}]");
}

static void
no_signatures(struct scene *s, enum upt_repo repo, const char *role)
{
	replace(scene_bytes(s, repo, role), "{\"signatures\":", "{\"signature\":");
}

static void
object_as_signatures(struct scene *s, enum upt_repo repo, const char *role)
{
	struct upt_buf *bytes = scene_bytes(s, repo, role);

	replace(bytes, "{\"signatures\":[", "{\"signatures\":{\"a\":[");
	replace(bytes, "],\"signed\"", "]},\"signed\"");
}

static void
no_signed(struct scene *s, enum upt_repo repo, const char *role)
{
	replace(scene_bytes(s, repo, role), ",\"signed\":", ",\"sealed\":");
}

static void
text_after(struct scene *s, enum upt_repo repo, const char *role)
{
	append(scene_bytes(s, repo, role), "{}", 2);
}

static void
byte_order_mark(struct scene *s, enum upt_repo repo, const char *role)
{
	replace(scene_bytes(s, repo, role), "{\"signatures\"", "\xef\xbb\xbf{\"signatures\"");
}

static void
omit(struct scene *s, enum upt_repo repo, const char *role)
{
	scene_doc(s, repo, role)->omit = true;
}

/* ---- size ---- */

static size_t
limit_of(enum upt_repo repo, const char *role)
{
	struct upt_limits limits = repo == DIRECTOR ? UPT_LIMITS_DIRECTOR : UPT_LIMITS_IMAGE;

	if (strcmp(role, "root") == 0)
		return limits.root_max_bytes;
	if (strcmp(role, "timestamp") == 0)
		return limits.timestamp_max_bytes;
	if (strcmp(role, "snapshot") == 0)
		return limits.snapshot_max_bytes;
	return strcmp(role, "targets") == 0 ? limits.targets_max_bytes : limits.delegated_max_bytes;
}

static void
exceed_limit(struct scene *s, enum upt_repo repo, const char *role)
{
	pad(scene_bytes(s, repo, role), limit_of(repo, role) + 1);
}

static void
exceed_listing(struct scene *s, enum upt_repo repo, const char *role)
{
	struct upt_buf *bytes = scene_bytes(s, repo, role);

	scene_finish(s, repo);
	pad(bytes, bytes->len + 1);
}

static void
endless(struct scene *s, enum upt_repo repo, const char *role)
{
	struct upt_buf *bytes = scene_bytes(s, repo, role);

	scene_finish(s, repo);
	pad(bytes, 64 * bytes->len);
}

static void
reach_limit(struct scene *s, enum upt_repo repo, const char *role)
{
	pad(scene_bytes(s, repo, role), limit_of(repo, role));
}

static void
spaces_around(struct scene *s, enum upt_repo repo, const char *role)
{
	struct upt_buf *bytes = scene_bytes(s, repo, role);

	replace(bytes, "{\"signatures\"", "\n\t {\"signatures\"");
	append(bytes, "\r\n", 2);
}

#define STRICT EVERY_ROOT | D_TARGETS | I_TIMESTAMP | I_TEAM

static const struct fault faults[] = {
	{"expired", "A document that expired a second ago is refused.", "7.4 8.7 9.5", NEEDED | OTA_NEEDED,
		UPT_E_EXPIRED, expire, NULL},
	{"expires-now", "A document is no longer valid in the second in which it expires.", "7.4 8.7 9.5",
		NEEDED, UPT_E_EXPIRED, expire_now, NULL},
	{"wrong-type", "A document that says it is of another role is refused, though well signed.", "0.2",
		EVERYWHERE | OTA_EVERYWHERE, UPT_E_WRONG_ROLE, wrong_type, NULL},
	{"no-type", "A document that does not say its role is refused.", "0.2", EVERYWHERE,
		UPT_E_WRONG_ROLE, no_type, NULL},
	{"number-as-type", "A role that is no text is refused.", "0.2", D_TIMESTAMP | I_ROOT | I_TEAM,
		UPT_E_MALFORMED, number_as_type, NULL},
	{"serves-root", "The root is refused in another role's place.", "0.2", NEEDED | OTA_NEEDED,
		UPT_E_WRONG_ROLE, serve_root, NULL},
	{"serves-timestamp", "The timestamp is refused in another role's place.", "0.2", EVERY_ROOT | LISTED,
		UPT_E_WRONG_ROLE, serve_timestamp, NULL},
	{"serves-snapshot", "The snapshot is refused in another role's place.", "0.2",
		EVERY_ROOT | EVERY_TIMESTAMP | EVERY_TARGETS | I_TEAM, UPT_E_WRONG_ROLE, serve_snapshot, NULL},
	{"serves-targets", "Targets are refused in another role's place.", "0.2",
		EVERY_ROOT | EVERY_TIMESTAMP | EVERY_SNAPSHOT | OTA_D_ROOT, UPT_E_WRONG_ROLE, serve_targets, NULL},
	{"serves-targets", "Top-level targets are no delegated role's: other keys sign them.", "0.2 9.3", I_TEAM,
		UPT_E_THRESHOLD, serve_targets, NULL},
	{"serves-team", "A delegated role is refused in another role's place.", "0.2",
		I_ROOT | I_TIMESTAMP | I_SNAPSHOT, UPT_E_WRONG_ROLE, serve_team, with_team},
	{"serves-team", "A delegated role is no top-level targets: other keys sign it.", "0.2 9.3", I_TARGETS,
		UPT_E_THRESHOLD, serve_team, with_team},
	{"no-expires", "A document that never expires is refused.", "0.2", EVERYWHERE, UPT_E_MALFORMED,
		no_expires, NULL},
	{"local-expires", "A time is spelt YYYY-MM-DDTHH:MM:SSZ and in no other way.", "0.2",
		D_TARGETS | I_SNAPSHOT, UPT_E_MALFORMED, local_expires, NULL},
	{"impossible-expires", "A day that no calendar has is refused.", "0.2", D_TIMESTAMP | I_ROOT,
		UPT_E_MALFORMED, impossible_expires, NULL},
	{"number-as-expires", "A time in seconds is refused.", "0.2", D_ROOT | I_TEAM, UPT_E_MALFORMED,
		number_as_expires, NULL},
	{"no-version", "A document without a version is refused.", "0.2", EVERYWHERE, UPT_E_MALFORMED,
		no_version, NULL},
	{"version-zero", "Versions begin with 1.", "0.2", EVERYWHERE, UPT_E_MALFORMED, version_zero, NULL},
	{"text-as-version", "A version in quotes is refused.", "0.2", D_SNAPSHOT | I_TIMESTAMP | I_TEAM,
		UPT_E_MALFORMED, text_as_version, NULL},
	{"member-twice", "A document with one member twice is refused: readers would differ.", "0.2",
		EVERYWHERE | OTA_EVERYWHERE, UPT_E_MALFORMED, twice_a_member, NULL},
	{"member-twice-by-escape", "A member twice is seen through an escape.", "0.2", STRICT,
		UPT_E_MALFORMED, twice_by_escape, NULL},
	{"float", "A number with a fraction is refused anywhere in a document.", "0.2", STRICT,
		UPT_E_MALFORMED, float_member, NULL},
	{"exponent", "A number with an exponent is refused.", "0.2", D_TARGETS | I_SNAPSHOT,
		UPT_E_MALFORMED, exponent_member, NULL},
	{"negative", "A negative number is refused.", "0.2", D_SNAPSHOT | I_TARGETS, UPT_E_MALFORMED,
		negative_member, NULL},
	{"huge-number", "A number above 2^53-1 is refused: readers would round it.", "0.2", STRICT,
		UPT_E_MALFORMED, huge_member, NULL},
	{"leading-zero", "A number with a leading zero is refused.", "0.2", D_TIMESTAMP | I_TEAM,
		UPT_E_MALFORMED, leading_zero_member, NULL},
	{"nul-character", "A string with a NUL is refused: some readers would end there.", "0.3", STRICT,
		UPT_E_MALFORMED, nul_member, NULL},
	{"raw-control", "A raw line break in a string is refused.", "0.3", D_TARGETS | I_ROOT,
		UPT_E_MALFORMED, raw_control_member, NULL},
	{"lone-surrogate", "Half of a surrogate pair is refused.", "0.3", D_ROOT | I_TARGETS,
		UPT_E_MALFORMED, surrogate_member, NULL},
	{"bad-utf8", "A string that is no UTF-8 is refused.", "0.3", STRICT, UPT_E_MALFORMED,
		bad_utf8_member, NULL},
	{"overlong-utf8", "An overlong form of a character is refused.", "0.3", D_TIMESTAMP | I_TARGETS,
		UPT_E_MALFORMED, overlong_member, NULL},
	{"not-nfc", "A string that is not in Unicode's form NFC is refused.", "0.3", STRICT,
		UPT_E_MALFORMED, not_nfc_member, NULL},
	{"comment", "A comment is refused.", "0.2", D_SNAPSHOT | I_TEAM, UPT_E_MALFORMED, comment_member,
		NULL},
	{"trailing-comma", "A comma at the end of a list is refused.", "0.2", D_TARGETS | I_TIMESTAMP,
		UPT_E_MALFORMED, trailing_comma_member, NULL},
	{"not-a-number", "NaN is refused.", "0.2", D_ROOT | I_SNAPSHOT, UPT_E_MALFORMED, nan_member, NULL},
	{"deep-nesting", "Values nested deeper than 32 are refused.", "0.2", STRICT, UPT_E_MALFORMED,
		deep_member, NULL},
	{"half-a-file", "The first half of a file is refused.", "0.2", EVERYWHERE | OTA_EVERYWHERE, UPT_E_MALFORMED, cut,
		NULL},
	{"last-byte-missing", "A file that lacks its last byte is refused.", "0.2", EVERYWHERE,
		UPT_E_MALFORMED, cut_last_byte, NULL},
	{"blank-file", "A file of white space is refused.", "0.2", EVERYWHERE, UPT_E_MALFORMED, empty_file,
		NULL},
	{"page-of-a-proxy", "Another server's web page is refused.", "0.2",
		EVERY_ROOT | EVERY_TIMESTAMP | I_TEAM, UPT_E_MALFORMED, page_of_a_proxy, NULL},
	{"list-as-file", "A list of documents is refused.", "0.2", D_TARGETS | I_ROOT, UPT_E_MALFORMED,
		list_as_file, NULL},
	{"no-signature-list", "A document without a list of signatures is refused.", "0.2",
		D_TIMESTAMP | I_ROOT | I_TARGETS, UPT_E_MALFORMED, no_signatures, NULL},
	{"object-as-signatures", "Signatures that are no list are refused.", "0.2", D_TARGETS | I_TIMESTAMP,
		UPT_E_MALFORMED, object_as_signatures, NULL},
	{"nothing-signed", "A document without a signed part is refused.", "0.2",
		D_ROOT | D_SNAPSHOT | I_TEAM, UPT_E_MALFORMED, no_signed, NULL},
	{"text-after", "A file that goes on behind its document is refused.", "0.2", STRICT,
		UPT_E_MALFORMED, text_after, NULL},
	{"byte-order-mark", "A byte order mark is refused.", "0.3", D_TIMESTAMP | I_TARGETS,
		UPT_E_MALFORMED, byte_order_mark, NULL},
	{"missing", "A file that the server lacks is refused as missing, not taken for nothing new.",
		"5.15", NEEDED | OTA_NEEDED, UPT_E_MISSING, omit, NULL},
	{"above-limit", "A file of one byte more than its role may have is refused.", "6.2 7.1 8.1 9.1",
		EVERYWHERE | OTA_EVERYWHERE, UPT_E_TOO_LARGE, exceed_limit, NULL},
	{"above-listing", "A file of one byte more than is listed is refused.", "8.1 9.1", LISTED,
		UPT_E_TOO_LARGE, exceed_listing, NULL},
	{"endless", "A file that goes on and on is refused.", "8.1 9.1", LISTED, UPT_E_TOO_LARGE, endless,
		NULL},
};

static const struct variant variants[] = {
	{"at-limit", "A file of as many bytes as its role may have is accepted.", "6.2 7.1 8.1 9.1",
		EVERYWHERE | OTA_D_TARGETS, reach_limit, NULL},
	{"spaces-around", "White space before and behind a document is part of the file and of no document.",
		"0.2", EVERYWHERE, spaces_around, NULL},
};

void
cases_document(struct generator *g)
{
	ADD_FAULTS(g, faults);
	ADD_VARIANTS(g, variants);
}
