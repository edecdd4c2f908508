/*
 * A whole trusted set that takes whatever comes in whatever order (stream.h). Whoever writes the
 * input holds the key of every role in the modes that sign, and none in the others. What must hold:
 * a refusal changes nothing and gives the bytes back; what is current rests on what is current;
 * versions do not fall.
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/encode.h"
#include "director/director.h"
#include "fuzz.h"
#include "imagerepo/imagerepo.h"
#include "stream.h"

struct machine {
	unsigned mode;
	const struct upt_private_key *key;
	struct upt_trusted_set *set;
	struct upt_span left; /* segments not yet taken */
};

static struct upt_private_key *
load_key(void)
{
	static const char pem[] = STREAM_SECRET_PEM;
	struct upt_private_key *key = NULL;
	char path[64];
	int fd = memfd_create("key", MFD_CLOEXEC);

	FUZZ_ASSERT(fd >= 0 && fchmod(fd, 0600) == 0);
	FUZZ_ASSERT(write(fd, pem, sizeof(pem) - 1) == (ssize_t)sizeof(pem) - 1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	FUZZ_ASSERT(upt_private_key_load(path, &key, NULL) == UPT_OK);
	close(fd);
	return key;
}

/* The document that a segment means: its bytes, or an envelope around them. */
static void
make_document(const struct machine *m, struct upt_span text, struct upt_buf *out)
{
	upt_cleanup(upt_buf_clear) struct upt_buf canonical = {0}, sig = {0};
	char id[65], hex[2 * 64 + 1];
	struct upt_json_doc doc;

	if (!(m->mode & STREAM_SIGN) || upt_json_check(text, &doc, NULL) != UPT_OK) {
		FUZZ_ASSERT(upt_buf_append(out, text.data, text.len, NULL) == UPT_OK);
		return;
	}
	FUZZ_ASSERT(upt_json_canonical(doc.whole.text, UPT_JSON_UTF8, &canonical, NULL) == UPT_OK);
	FUZZ_ASSERT(upt_private_key_sign(m->key, upt_buf_span(&canonical), &sig, NULL) == UPT_OK);
	upt_private_key_id(m->key, id);
	upt_hex_encode(upt_buf_span(&sig), hex);
	FUZZ_ASSERT(upt_buf_printf(out, NULL,
			    "{\"signatures\":[{\"keyid\":\"k\",\"sig\":\"%s\"},{\"keyid\":\"%s\","
			    "\"sig\":"
			    "\"%s\"}],\"signed\":",
			    hex, id, hex) == UPT_OK);
	FUZZ_ASSERT(upt_buf_append(out, text.data, text.len, NULL) == UPT_OK);
	FUZZ_ASSERT(upt_buf_append(out, "}", 1, NULL) == UPT_OK);
}

struct shape {
	const struct upt_metadata *held[UPT_N_ROLES], *current[UPT_N_ROLES];
	uint64_t version[UPT_N_ROLES];
};

static struct shape
shape_of(const struct upt_trusted_set *set)
{
	struct shape s;

	memset(&s, 0, sizeof(s));
	s.current[UPT_ROLE_TIMESTAMP] = upt_trusted_set_timestamp(set);
	s.current[UPT_ROLE_SNAPSHOT] = upt_trusted_set_snapshot(set);
	s.current[UPT_ROLE_TARGETS] = upt_trusted_set_targets(set);
	for (int role = 0; role < UPT_N_ROLES; role++) {
		s.held[role] = upt_trusted_set_held(set, (enum upt_role)role);
		s.version[role] = s.held[role] != NULL ? s.held[role]->version : 0;
	}
	return s;
}

static void
check_shape(const struct upt_trusted_set *set, const struct shape *s)
{
	bool targets_only = upt_trusted_set_targets_only(set);

	if (s->current[UPT_ROLE_TARGETS] != NULL && !targets_only)
		FUZZ_ASSERT(s->current[UPT_ROLE_SNAPSHOT] != NULL);
	if (s->current[UPT_ROLE_SNAPSHOT] != NULL) {
		FUZZ_ASSERT(s->current[UPT_ROLE_TIMESTAMP] != NULL);
		FUZZ_ASSERT(s->version[UPT_ROLE_SNAPSHOT] ==
			    s->current[UPT_ROLE_TIMESTAMP]->timestamp.snapshot.version);
	}
	for (int role = UPT_ROLE_TIMESTAMP; role < UPT_N_ROLES; role++) {
		FUZZ_ASSERT(s->current[role] == NULL || s->current[role] == s->held[role]);
		FUZZ_ASSERT(s->current[role] == NULL || s->current[role]->expires > STREAM_NOW);
	}
}

static enum upt_code
offer(struct machine *m, char letter, struct upt_buf *bytes, bool *drop_others)
{
	switch (letter) {
	case 'p':
		return upt_trusted_set_pin_root(m->set, bytes, NULL);
	case 'n':
		return upt_trusted_set_update_root(m->set, bytes, drop_others, NULL);
	case 'T':
		return upt_trusted_set_update_timestamp(m->set, bytes, STREAM_NOW, NULL);
	case 'S':
		return upt_trusted_set_update_snapshot(m->set, bytes, STREAM_NOW, NULL);
	case 'G':
		return upt_trusted_set_update_targets(m->set, bytes, STREAM_NOW, NULL);
	case '1':
		return upt_trusted_set_restore(m->set, UPT_ROLE_TIMESTAMP, bytes, NULL);
	case '2':
		return upt_trusted_set_restore(m->set, UPT_ROLE_SNAPSHOT, bytes, NULL);
	case '3':
		return upt_trusted_set_restore(m->set, UPT_ROLE_TARGETS, bytes, NULL);
	default:
		return UPT_N_CODES;
	}
}

/* A root only steps by one or is pinned anew; the others fall only when a root let them. */
static void
check_versions(char letter, bool tuf, const struct shape *before, const struct shape *after)
{
	if (letter == 'n')
		FUZZ_ASSERT(after->version[UPT_ROLE_ROOT] == before->version[UPT_ROLE_ROOT] + 1);
	for (int role = UPT_ROLE_TIMESTAMP; role < UPT_N_ROLES && letter != 'p' && letter != 'n';
		role++)
		FUZZ_ASSERT(after->version[role] >= before->version[role] ||
			    (tuf && role == UPT_ROLE_TARGETS));
}

static void
take_document(struct machine *m, char letter, struct upt_span text)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0}, copy = {0};
	struct shape before = shape_of(m->set), after;
	bool drop_others = false;
	enum upt_code code;

	make_document(m, text, &bytes);
	FUZZ_ASSERT(upt_buf_append(&copy, bytes.data, bytes.len, NULL) == UPT_OK);
	code = offer(m, letter, &bytes, &drop_others);
	after = shape_of(m->set);
	check_shape(m->set, &after);
	if (code == UPT_OK) {
		FUZZ_ASSERT(bytes.data == NULL);
		check_versions(letter, m->mode & STREAM_TUF, &before, &after);
		FUZZ_ASSERT(!drop_others || after.held[UPT_ROLE_TIMESTAMP] == NULL);
		return;
	}
	FUZZ_ASSERT(!drop_others && memcmp(&before, &after, sizeof(before)) == 0);
	FUZZ_ASSERT(upt_span_equal(upt_buf_span(&bytes), upt_buf_span(&copy)));
}

/* A feed whose server and store answer with the next segment each. */
static enum upt_code
next_document(
	struct machine *m, size_t max, enum upt_code none, struct upt_buf *out, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	struct upt_span segment;

	if (!fuzz_next_part(&m->left, STREAM_SEPARATOR, &segment) || segment.len == 0)
		return upt_fail(err, none, "no more segments");
	make_document(m, upt_span(segment.data + 1, segment.len - 1), &bytes);
	if (bytes.len > max)
		return upt_fail(err, UPT_E_TOO_LARGE, "more than %zu bytes", max);
	upt_buf_move(out, &bytes);
	return UPT_OK;
}

static enum upt_code
fetch(void *ctx, const char *file_name, size_t max, struct upt_buf *out, struct upt_err *err)
{
	/* One path component, below the folder at most; a name that ends in ".json" is no "..". */
	FUZZ_ASSERT(strchr(file_name, '/') == NULL || strncmp(file_name, "delegations/", 12) == 0);
	FUZZ_ASSERT(strrchr(file_name, '/') == NULL || strrchr(file_name, '/') == file_name + 11);
	FUZZ_ASSERT(
		strlen(file_name) > 5 && strcmp(file_name + strlen(file_name) - 5, ".json") == 0);
	return next_document(ctx, max, UPT_E_ABSENT, out, err);
}

static enum upt_code
load(void *ctx, const char *role, struct upt_buf *out, struct upt_err *err)
{
	(void)role;
	return next_document(ctx, SIZE_MAX, UPT_E_NOT_FOUND, out, err);
}

static enum upt_code
save(void *ctx, const char *role, uint64_t version, struct upt_span bytes, struct upt_err *err)
{
	(void)ctx, (void)err;
	FUZZ_ASSERT(role[0] != '\0' && version > 0 && bytes.len > 0);
	return UPT_OK;
}

static enum upt_code
save_root(void *ctx, uint64_t version, struct upt_span bytes, bool drop_others, struct upt_err *err)
{
	(void)drop_others;
	return save(ctx, "root", version, bytes, err);
}

static enum upt_code
forget(void *ctx, const char *role, struct upt_err *err)
{
	(void)ctx, (void)err;
	FUZZ_ASSERT(strcmp(role, "root") != 0);
	return UPT_OK;
}

static void
search(struct machine *m, struct upt_span name)
{
	const struct upt_feed feed = {m, fetch, load, save, save_root, forget};
	struct upt_search search = {.feed = &feed,
		.now = STREAM_NOW,
		.hardware_id = "hw",
		.star_crosses_slash = m->mode & STREAM_OTA};
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	const char *text = upt_arena_string(&arena, name);
	struct upt_target target;

	FUZZ_ASSERT(text != NULL);
	if (upt_imagerepo_find(m->set, &search, text, &arena, &target, NULL) == UPT_OK)
		FUZZ_ASSERT(strcmp(target.image.name, text) == 0);
	else
		FUZZ_ASSERT(target.image.name[0] == '\0');
}

static void
refresh(struct machine *m)
{
	const struct upt_feed feed = {m, fetch, load, save, save_root, forget};
	bool changed;

	if (upt_refresh(m->set, &feed, STREAM_NOW, &changed, NULL) == UPT_OK)
		FUZZ_ASSERT(upt_trusted_set_targets(m->set) != NULL);
}

static void
step(struct machine *m, struct upt_span segment)
{
	char letter = (char)segment.data[0];
	struct shape after;

	if (letter == 'f') {
		bool ok = upt_trusted_set_finish_root(m->set, STREAM_NOW, NULL) == UPT_OK;

		FUZZ_ASSERT(!ok || upt_trusted_set_root(m->set)->expires > STREAM_NOW);
	} else if (letter == 'c') {
		(void)upt_trusted_set_confirm_snapshot(m->set, STREAM_NOW);
		(void)upt_trusted_set_confirm_targets(m->set, STREAM_NOW);
	} else if (letter == 'q') {
		search(m, upt_span(segment.data + 1, segment.len - 1));
	} else if (letter == 'R') {
		refresh(m);
	} else {
		take_document(m, letter, upt_span(segment.data + 1, segment.len - 1));
	}
	after = shape_of(m->set);
	check_shape(m->set, &after);
}

static void
drive(unsigned mode, struct upt_span input)
{
	static struct upt_private_key *key;
	static const struct upt_vehicle_ecu ecus[] = {{"E1", "hw"}, {"E2", "hw2"}};
	const struct upt_vehicle vehicle = {.vehicle_id = "V",
		.require_vehicle_id = !(mode & STREAM_OTA),
		.knows_all_ecus = true,
		.n_ecus = 2,
		.ecus = ecus};
	bool director = mode & STREAM_DIRECTOR, ota = mode & STREAM_OTA, tuf = mode & STREAM_TUF;
	const struct upt_trust_policy policy = {
		.repo = director ? UPT_REPO_DIRECTOR : UPT_REPO_IMAGE,
		.limits = director ? UPT_LIMITS_DIRECTOR : UPT_LIMITS_IMAGE,
		.allow_targets_only = ota && director,
		.allow_canonical_hashes = ota,
		.require_snapshot_hash = !(mode & STREAM_SIGN),
		.delegations_in_folder = ota,
		.go_on_after_max_root_steps = tuf,
		.keep_equal_timestamp = tuf,
		.equal_version_is_current = tuf,
		.targets_bound_by_snapshot = tuf,
		.visit_roles_once = tuf,
		.single_role_delegations = tuf,
		.plain_leading_dot = tuf,
		.check_rules = director ? upt_director_check_rules : NULL,
		.rules_ctx = &vehicle,
	};
	struct machine m = {.mode = mode, .left = input};
	struct upt_span segment;

	if (key == NULL)
		key = load_key();
	m.key = key;
	FUZZ_ASSERT(upt_trusted_set_new(&policy, &m.set, NULL) == UPT_OK);
	while (fuzz_next_part(&m.left, STREAM_SEPARATOR, &segment)) {
		if (segment.len > 0)
			step(&m, segment);
	}
	if (director && upt_trusted_set_targets(m.set) != NULL) {
		upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
		struct upt_assignment *list;
		size_t n;

		if (upt_director_assignments(upt_trusted_set_targets(m.set), &vehicle, &arena,
			    &list, &n, NULL) == UPT_OK)
			FUZZ_ASSERT(n <= 2 && (n < 2 || list[0].ecu < list[1].ecu));
	}
	upt_trusted_set_free(&m.set);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0 && data[0] >= '0' && data[0] <= '?')
		drive((unsigned)(data[0] - '0'), upt_span(data + 1, size - 1));
	return 0;
}
