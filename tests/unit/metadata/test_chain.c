/* check_timestamp, check_snapshot, check_targets: every refusal beside an accepted twin. */
#include "world.h"

#include <stdio.h>
#include <string.h>
#include "json/json.h"
#include "metadata/limits.h"

/* ---- timestamp ---- */

static const struct upt_span some_snapshot = {(const uint8_t *)"s", 1};

static void
timestamp_needs_its_own_key(void **state)
{
	struct world *w = *state;

	refuses(w, TIMESTAMP, timestamp_of(1, 1, some_snapshot), K(SNAP) | K(ROOT) | K(THIEF),
		UPT_E_THRESHOLD);
	accepts(w, TIMESTAMP, timestamp_of(1, 1, some_snapshot), K(TIME));
}

static void
timestamp_refuses_rollback_of_itself_and_of_the_snapshot_it_lists(void **state)
{
	struct world *w = *state;

	accepts(w, TIMESTAMP, timestamp_of(5, 3, some_snapshot), K(TIME));
	refuses(w, TIMESTAMP, timestamp_of(4, 3, some_snapshot), K(TIME), UPT_E_ROLLBACK);
	refuses(w, TIMESTAMP, timestamp_of(6, 2, some_snapshot), K(TIME), UPT_E_ROLLBACK);
	accepts(w, TIMESTAMP, timestamp_of(5, 3, some_snapshot), K(TIME));
	accepts(w, TIMESTAMP, timestamp_of(6, 4, some_snapshot), K(TIME));
}

static void
timestamp_refuses_to_be_expired(void **state)
{
	struct world *w = *state;
	cJSON *expired = timestamp_of(1, 1, some_snapshot),
	      *last = timestamp_of(1, 1, some_snapshot);

	set_member(expired, "expires", cJSON_CreateString("2026-01-01T00:00:00Z"));
	refuses(w, TIMESTAMP, expired, K(TIME), UPT_E_EXPIRED);
	set_member(last, "expires", cJSON_CreateString("2026-01-01T00:00:01Z"));
	accepts(w, TIMESTAMP, last, K(TIME));
}

static void
expired_timestamp_leaves_no_trace_in_the_next_check(void **state)
{
	struct world *w = *state;
	cJSON *expired = timestamp_of(9, 9, some_snapshot);

	set_member(expired, "expires", cJSON_CreateString("2025-01-01T00:00:00Z"));
	refuses(w, TIMESTAMP, expired, K(TIME), UPT_E_EXPIRED);
	accepts(w, TIMESTAMP, timestamp_of(1, 1, some_snapshot), K(TIME));
}

static void
timestamp_must_list_a_hash_where_the_policy_asks(void **state)
{
	struct world *w = *state;
	cJSON *bare = timestamp_of(1, 1, some_snapshot);

	drop_member(bare, "meta/snapshot.json/hashes");
	refuses(w, TIMESTAMP, bare, K(TIME), UPT_E_MALFORMED);
	w->policy.require_snapshot_hash = false;
	world_reset(w);
	accepts(w, PIN, plain_root(w, 1), K(ROOT));
	assert_code(upt_trusted_set_finish_root(w->set, NOW, NULL), UPT_OK);
	bare = timestamp_of(1, 1, some_snapshot);
	drop_member(bare, "meta/snapshot.json/hashes");
	accepts(w, TIMESTAMP, bare, K(TIME));
	/* An equal version without a hash proves nothing: nothing is confirmed without a download.
	 */
	assert_false(upt_trusted_set_confirm_snapshot(w->set, NOW));
}

/* What differs between the profiles, and that 8.2 does not. */
static void
profiles_differ_in_what_their_servers_do_and_not_in_hashes(void **state)
{
	struct world *w = *state;

	for (int ota = 0; ota < 2; ota++) {
		struct upt_trust_policy director =
			upt_trust_policy_uptane(UPT_REPO_DIRECTOR, ota == 1);
		cJSON *bare = timestamp_of(1, 1, some_snapshot);

		assert_true(director.require_snapshot_hash);
		assert_int_equal(director.repo, UPT_REPO_DIRECTOR);
		assert_int_equal(director.allow_targets_only, ota);
		assert_int_equal(
			director.limits.targets_max_bytes, UPT_LIMITS_DIRECTOR.targets_max_bytes);
		w->policy = upt_trust_policy_uptane(UPT_REPO_IMAGE, ota == 1);
		assert_false(w->policy.allow_targets_only);
		assert_int_equal(w->policy.allow_canonical_hashes, ota);
		assert_int_equal(w->policy.delegations_in_folder, ota);
		world_reset(w);
		accepts(w, PIN, plain_root(w, 1), K(ROOT));
		assert_code(upt_trusted_set_finish_root(w->set, NOW, NULL), UPT_OK);
		drop_member(bare, "meta/snapshot.json/hashes");
		refuses(w, TIMESTAMP, bare, K(TIME), UPT_E_MALFORMED);
		accepts(w, TIMESTAMP, timestamp_of(1, 1, some_snapshot), K(TIME));
	}
}

static void
timestamp_refuses_shapes_that_are_none(void **state)
{
	struct world *w = *state;
	static const struct {
		const char *path, *json;
		enum upt_code want;
	} cases[] = {
		{"_type", "\"snapshot\"", UPT_E_WRONG_ROLE},
		{"meta", NULL, UPT_E_MALFORMED},
		{"meta", "[]", UPT_E_MALFORMED},
		{"meta/snapshot.json", NULL, UPT_E_MALFORMED},
		{"meta/snapshot.json", "1", UPT_E_MALFORMED},
		{"meta/snapshot.json/version", NULL, UPT_E_MALFORMED},
		{"meta/snapshot.json/version", "0", UPT_E_MALFORMED},
		{"meta/snapshot.json/length", "\"1\"", UPT_E_MALFORMED},
		{"meta/snapshot.json/hashes", "{}", UPT_E_MALFORMED},
		{"meta/snapshot.json/hashes", "[]", UPT_E_MALFORMED},
		{"meta/snapshot.json/hashes", "{\"sha256\":1}", UPT_E_MALFORMED},
		{"meta/snapshot.json/hashes", "{\"sha256\":\"00\"}", UPT_E_MALFORMED},
		{"meta/snapshot.json/hashes", "{\"blake3\":\"00\"}", UPT_E_MALFORMED},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cJSON *t = timestamp_of(1, 1, some_snapshot);

		if (cases[i].json == NULL)
			drop_member(t, cases[i].path);
		else
			set_member(t, cases[i].path, cJSON_Parse(cases[i].json));
		refuses(w, TIMESTAMP, t, K(TIME), cases[i].want);
	}
	accepts(w, TIMESTAMP, timestamp_of(1, 1, some_snapshot), K(TIME));
}

/* ---- snapshot ---- */

/* Offers the snapshot under a timestamp that lists it truly. */
static void
list_it(struct world *w, uint64_t version, cJSON *snapshot, unsigned keys, struct upt_buf *out)
{
	uint64_t own = (uint64_t)at(snapshot, "version")->valuedouble;

	sign_with(w, snapshot, keys, out);
	accepts(w, TIMESTAMP, timestamp_of(version, own, upt_buf_span(out)), K(TIME));
}

static cJSON *
snapshot_listing(uint64_t version, uint64_t targets, const char *role, uint64_t role_version)
{
	cJSON *s = snapshot_of(version, targets, some_snapshot);

	if (role != NULL)
		assert_code(upt_author_snapshot_add(s, role, role_version, some_snapshot, NULL),
			UPT_OK);
	return s;
}

static void
snapshot_must_be_the_listed_one(void **state)
{
	struct world *w = *state;
	struct upt_buf a = {0}, b = {0};

	sign_with(w, snapshot_listing(1, 1, NULL, 0), K(SNAP), &a);
	sign_with(w, snapshot_listing(1, 2, NULL, 0), K(SNAP), &b);
	refuses_bytes(w, SNAPSHOT, upt_buf_span(&a), UPT_E_INTERNAL);
	accepts(w, TIMESTAMP, timestamp_of(1, 1, upt_buf_span(&b)), K(TIME));
	refuses_bytes(w, SNAPSHOT, upt_buf_span(&a), UPT_E_HASH_MISMATCH);
	accepts_bytes(w, SNAPSHOT, upt_buf_span(&b));
	accepts(w, TIMESTAMP, timestamp_of(2, 2, upt_buf_span(&b)), K(TIME));
	refuses_bytes(w, SNAPSHOT, upt_buf_span(&b), UPT_E_VERSION_MISMATCH);
	upt_buf_clear(&a);
	upt_buf_clear(&b);
}

static void
snapshot_length_and_every_hash_must_agree(void **state)
{
	struct world *w = *state;
	struct upt_buf bytes = {0};
	cJSON *t;
	char sha512[129];

	sign_with(w, snapshot_listing(1, 1, NULL, 0), K(SNAP), &bytes);
	memset(sha512, 'a', 128);
	sha512[128] = '\0';
	t = timestamp_of(1, 1, upt_buf_span(&bytes));
	set_member(t, "meta/snapshot.json/hashes/sha512", cJSON_CreateString(sha512));
	accepts(w, TIMESTAMP, t, K(TIME));
	refuses_bytes(w, SNAPSHOT, upt_buf_span(&bytes), UPT_E_HASH_MISMATCH);
	t = timestamp_of(1, 1, upt_buf_span(&bytes));
	set_member(t, "meta/snapshot.json/length", cJSON_CreateNumber((double)bytes.len + 1));
	accepts(w, TIMESTAMP, t, K(TIME));
	refuses_bytes(w, SNAPSHOT, upt_buf_span(&bytes), UPT_E_HASH_MISMATCH);
	t = timestamp_of(1, 1, upt_buf_span(&bytes));
	drop_member(t, "meta/snapshot.json/length");
	set_member(t, "meta/snapshot.json/hashes/blake3", cJSON_CreateString("00"));
	accepts(w, TIMESTAMP, t, K(TIME));
	accepts_bytes(w, SNAPSHOT, upt_buf_span(&bytes));
	upt_buf_clear(&bytes);
}

/* Signed alike: whoever serves the file could take one hash out of the check. */
static void
hash_name_with_an_escape_is_still_that_hash(void **state)
{
	struct world *w = *state;
	struct upt_buf bytes = {0}, plain = {0}, spelt = {0};
	char sha512[129], *key;
	cJSON *t;

	memset(sha512, 'a', 128);
	sha512[128] = '\0';
	sign_with(w, snapshot_listing(1, 1, NULL, 0), K(SNAP), &bytes);
	t = timestamp_of(1, 1, upt_buf_span(&bytes));
	set_member(t, "meta/snapshot.json/hashes/sha512", cJSON_CreateString(sha512));
	sign_with(w, t, K(TIME), &plain);
	key = strstr((char *)plain.data, "sha512");
	assert_non_null(key);
	assert_code(upt_buf_printf(&spelt, NULL, "%.*ssh\\u0061512%s",
			    (int)(key - (char *)plain.data), (char *)plain.data, key + 6),
		UPT_OK);
	accepts_bytes(w, TIMESTAMP, upt_buf_span(&spelt));
	refuses_bytes(w, SNAPSHOT, upt_buf_span(&bytes), UPT_E_HASH_MISMATCH);
	upt_buf_clear(&bytes);
	upt_buf_clear(&plain);
	upt_buf_clear(&spelt);
}

static void
snapshot_needs_its_own_key(void **state)
{
	struct world *w = *state;
	struct upt_buf bytes = {0};

	list_it(w, 1, snapshot_listing(1, 1, NULL, 0), K(TIME) | K(TARG), &bytes);
	refuses_bytes(w, SNAPSHOT, upt_buf_span(&bytes), UPT_E_THRESHOLD);
	list_it(w, 2, snapshot_listing(1, 1, NULL, 0), K(SNAP), &bytes);
	accepts_bytes(w, SNAPSHOT, upt_buf_span(&bytes));
	upt_buf_clear(&bytes);
}

/* The listed version cannot go back without the timestamp's check noticing, but for a lost
 * timestamp. */
static void
snapshot_refuses_rollback_when_only_the_timestamp_was_lost(void **state)
{
	struct world *w = *state;
	struct upt_buf bytes = {0};

	sign_with(w, snapshot_listing(5, 1, NULL, 0), K(SNAP), &bytes);
	accepts_bytes(w, RESTORE_SNAPSHOT, upt_buf_span(&bytes));
	list_it(w, 1, snapshot_listing(4, 1, NULL, 0), K(SNAP), &bytes);
	refuses_bytes(w, SNAPSHOT, upt_buf_span(&bytes), UPT_E_ROLLBACK);
	list_it(w, 1, snapshot_listing(5, 1, NULL, 0), K(SNAP), &bytes);
	accepts_bytes(w, SNAPSHOT, upt_buf_span(&bytes));
	upt_buf_clear(&bytes);
}

static void
snapshot_refuses_to_take_a_listed_version_back_or_a_file_away(void **state)
{
	struct world *w = *state;
	struct upt_buf bytes = {0};
	static const struct {
		uint64_t targets;
		const char *role;
		uint64_t version;
		enum upt_code want;
	} cases[] = {
		{3, "a.json", 6, UPT_E_ROLLBACK},
		{2, "a.json", 7, UPT_E_ROLLBACK},
		{3, NULL, 0, UPT_E_FILE_DROPPED},
		{3, "b.json", 7, UPT_E_FILE_DROPPED},
		{3, "a.jso", 7, UPT_E_FILE_DROPPED},
		{9, "a.json", 7, UPT_OK},
	};

	list_it(w, 1, snapshot_listing(1, 3, "a.json", 7), K(SNAP), &bytes);
	accepts_bytes(w, SNAPSHOT, upt_buf_span(&bytes));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		list_it(w, 2 + i,
			snapshot_listing(2 + i, cases[i].targets, cases[i].role, cases[i].version),
			K(SNAP), &bytes);
		if (cases[i].want == UPT_OK)
			accepts_bytes(w, SNAPSHOT, upt_buf_span(&bytes));
		else
			refuses_bytes(w, SNAPSHOT, upt_buf_span(&bytes), cases[i].want);
	}
	upt_buf_clear(&bytes);
}

/* A snapshot whose meta stands in the order given; signing sorts, so the text is turned round
 * after. */
static void
unsorted_snapshot(struct world *w, uint64_t version, const char *const *names,
	const uint64_t *versions, size_t n, struct upt_buf *out)
{
	cJSON *s = upt_author_snapshot(version, LATER), *doc, *meta;
	char *text;

	for (size_t i = 0; i < n; i++)
		assert_code(upt_author_snapshot_add(s, names[i], versions[i], some_snapshot, NULL),
			UPT_OK);
	sign_with(w, s, K(SNAP), out);
	doc = cJSON_Parse((const char *)out->data);
	meta = at(doc, "signed/meta");
	for (size_t i = 0; i < n; i++)
		cJSON_AddItemToObject(
			meta, names[i], cJSON_DetachItemFromObjectCaseSensitive(meta, names[i]));
	text = cJSON_PrintUnformatted(doc);
	out->len = 0;
	assert_code(upt_buf_append(out, text, strlen(text), NULL), UPT_OK);
	cJSON_free(text);
	cJSON_Delete(doc);
}

static void
listings_are_compared_by_name_not_by_place(void **state)
{
	struct world *w = *state;
	static const char *const names[][5] = {
		{"zz.json", "targets.json", "a.json", "m.json", "a.jsonx"},
		{"m.json", "a.jsonx", "zz.json", "targets.json", "a.json"},
		{"a.jsonx", "zz.json", "m.json", "a.json", "targets.json"},
	};
	static const uint64_t versions[][5] = {{5, 1, 2, 3, 4}, {3, 4, 5, 1, 2}, {4, 5, 2, 2, 1}};
	struct upt_buf bytes = {0};

	for (size_t round = 0; round < 3; round++) {
		unsorted_snapshot(w, round + 1, names[round], versions[round], 5, &bytes);
		accepts(w, TIMESTAMP, timestamp_of(round + 1, round + 1, upt_buf_span(&bytes)),
			K(TIME));
		if (round == 2) /* m.json goes back from 3 to 2 */
			refuses_bytes(w, SNAPSHOT, upt_buf_span(&bytes), UPT_E_ROLLBACK);
		else
			accepts_bytes(w, SNAPSHOT, upt_buf_span(&bytes));
	}
	assert_int_equal(
		upt_snapshot_find(
			&upt_trusted_set_held(w->set, UPT_ROLE_SNAPSHOT)->snapshot, "a.json")
			->version,
		2);
	assert_null(upt_snapshot_find(
		&upt_trusted_set_held(w->set, UPT_ROLE_SNAPSHOT)->snapshot, "a.jso"));
	upt_buf_clear(&bytes);
}

static void
snapshot_refuses_to_be_expired(void **state)
{
	struct world *w = *state;
	struct upt_buf bytes = {0};
	cJSON *expired = snapshot_listing(1, 1, NULL, 0);

	set_member(expired, "expires", cJSON_CreateString("2026-01-01T00:00:00Z"));
	list_it(w, 1, expired, K(SNAP), &bytes);
	refuses_bytes(w, SNAPSHOT, upt_buf_span(&bytes), UPT_E_EXPIRED);
	assert_null(upt_trusted_set_held(w->set, UPT_ROLE_SNAPSHOT));
	list_it(w, 2, snapshot_listing(1, 1, NULL, 0), K(SNAP), &bytes);
	accepts_bytes(w, SNAPSHOT, upt_buf_span(&bytes));
	upt_buf_clear(&bytes);
}

static void
snapshot_must_list_targets(void **state)
{
	struct world *w = *state;
	struct upt_buf bytes = {0};
	cJSON *s = snapshot_listing(1, 1, "a.json", 1);

	drop_member(s, "meta/targets.json");
	list_it(w, 1, s, K(SNAP), &bytes);
	refuses_bytes(w, SNAPSHOT, upt_buf_span(&bytes), UPT_E_MALFORMED);
	upt_buf_clear(&bytes);
}

/* ---- hashes of the canonical envelope (profile ota) ---- */

static void
served_with_white_space(struct upt_buf *bytes, struct upt_buf *canonical)
{
	cJSON *doc = cJSON_Parse((const char *)bytes->data);
	char *text = cJSON_Print(doc);

	upt_buf_move(canonical, bytes);
	assert_code(upt_buf_append(bytes, text, strlen(text), NULL), UPT_OK);
	cJSON_free(text);
	cJSON_Delete(doc);
}

static void
hashes_of_the_canonical_text_are_for_profile_ota(void **state)
{
	struct world *w = *state;
	struct upt_buf bytes = {0}, canonical = {0};

	for (int ota = 0; ota < 2; ota++) {
		w->policy.allow_canonical_hashes = ota == 1;
		world_reset(w);
		accepts(w, PIN, plain_root(w, 1), K(ROOT));
		assert_code(upt_trusted_set_finish_root(w->set, NOW, NULL), UPT_OK);
		sign_with(w, snapshot_listing(1, 1, NULL, 0), K(SNAP), &bytes);
		served_with_white_space(&bytes, &canonical);
		accepts(w, TIMESTAMP, timestamp_of(1, 1, upt_buf_span(&canonical)), K(TIME));
		assert_int_equal(upt_trusted_set_fetch_limit(w->set, UPT_ROLE_SNAPSHOT, NULL),
			ota ? w->policy.limits.snapshot_max_bytes : canonical.len);
		if (ota)
			accepts_bytes(w, SNAPSHOT, upt_buf_span(&bytes));
		else
			refuses_bytes(w, SNAPSHOT, upt_buf_span(&bytes), UPT_E_HASH_MISMATCH);
		upt_buf_clear(&bytes);
		upt_buf_clear(&canonical);
	}
}

static void
profile_ota_still_refuses_other_content_and_other_lengths(void **state)
{
	struct world *w = *state;
	struct upt_buf bytes = {0}, canonical = {0}, other = {0};
	cJSON *t;

	w->policy.allow_canonical_hashes = true;
	world_reset(w);
	accepts(w, PIN, plain_root(w, 1), K(ROOT));
	assert_code(upt_trusted_set_finish_root(w->set, NOW, NULL), UPT_OK);
	sign_with(w, snapshot_listing(1, 2, NULL, 0), K(SNAP), &other);
	sign_with(w, snapshot_listing(1, 1, NULL, 0), K(SNAP), &bytes);
	served_with_white_space(&bytes, &canonical);
	accepts(w, TIMESTAMP, timestamp_of(1, 1, upt_buf_span(&other)), K(TIME));
	refuses_bytes(w, SNAPSHOT, upt_buf_span(&bytes), UPT_E_HASH_MISMATCH);
	t = timestamp_of(1, 1, upt_buf_span(&canonical));
	set_member(t, "meta/snapshot.json/length", cJSON_CreateNumber((double)canonical.len - 1));
	accepts(w, TIMESTAMP, t, K(TIME));
	refuses_bytes(w, SNAPSHOT, upt_buf_span(&bytes), UPT_E_HASH_MISMATCH);
	/* Both lengths are in the field, the hash binds the content. */
	t = timestamp_of(1, 1, upt_buf_span(&canonical));
	set_member(t, "meta/snapshot.json/length", cJSON_CreateNumber((double)bytes.len));
	accepts(w, TIMESTAMP, t, K(TIME));
	accepts_bytes(w, SNAPSHOT, upt_buf_span(&bytes));
	upt_buf_clear(&bytes);
	upt_buf_clear(&canonical);
	upt_buf_clear(&other);
}

/* ---- targets ---- */

/* Timestamp and snapshot that list these targets truly. */
static void
list_targets(struct world *w, uint64_t version, cJSON *targets, unsigned keys, struct upt_buf *out)
{
	upt_cleanup(upt_buf_clear) struct upt_buf snapshot = {0};
	uint64_t own = (uint64_t)at(targets, "version")->valuedouble;

	sign_with(w, targets, keys, out);
	list_it(w, version, snapshot_of(version, own, upt_buf_span(out)), K(SNAP), &snapshot);
	accepts_bytes(w, SNAPSHOT, upt_buf_span(&snapshot));
}

static void
targets_must_be_the_listed_ones(void **state)
{
	struct world *w = *state;
	struct upt_buf a = {0}, b = {0}, snapshot = {0};

	sign_with(w, targets_with(1, "x", some_snapshot), K(TARG), &b);
	refuses_bytes(w, TARGETS, upt_buf_span(&b), UPT_E_INTERNAL);
	list_targets(w, 1, empty_targets(1), K(TARG), &a);
	refuses_bytes(w, TARGETS, upt_buf_span(&b), UPT_E_HASH_MISMATCH);
	accepts_bytes(w, TARGETS, upt_buf_span(&a));
	list_it(w, 2, snapshot_of(2, 3, upt_buf_span(&b)), K(SNAP), &snapshot);
	accepts_bytes(w, SNAPSHOT, upt_buf_span(&snapshot));
	assert_null(upt_trusted_set_targets(w->set));
	refuses_bytes(w, TARGETS, upt_buf_span(&b), UPT_E_VERSION_MISMATCH);
	upt_buf_clear(&a);
	upt_buf_clear(&b);
	upt_buf_clear(&snapshot);
}

static void
targets_need_their_own_key(void **state)
{
	struct world *w = *state;
	struct upt_buf bytes = {0};

	list_targets(w, 1, empty_targets(1), K(ROOT) | K(SNAP) | K(TIME), &bytes);
	refuses_bytes(w, TARGETS, upt_buf_span(&bytes), UPT_E_THRESHOLD);
	list_targets(w, 2, empty_targets(1), K(TARG), &bytes);
	accepts_bytes(w, TARGETS, upt_buf_span(&bytes));
	upt_buf_clear(&bytes);
}

static void
targets_refuse_rollback_when_the_snapshot_was_lost(void **state)
{
	struct world *w = *state;
	struct upt_buf bytes = {0};

	sign_with(w, empty_targets(5), K(TARG), &bytes);
	accepts_bytes(w, RESTORE_TARGETS, upt_buf_span(&bytes));
	list_targets(w, 1, empty_targets(4), K(TARG), &bytes);
	refuses_bytes(w, TARGETS, upt_buf_span(&bytes), UPT_E_ROLLBACK);
	list_targets(w, 2, empty_targets(5), K(TARG), &bytes);
	accepts_bytes(w, TARGETS, upt_buf_span(&bytes));
	upt_buf_clear(&bytes);
}

static void
targets_refuse_to_be_expired(void **state)
{
	struct world *w = *state;
	struct upt_buf bytes = {0};
	cJSON *expired = empty_targets(1);

	set_member(expired, "expires", cJSON_CreateString("2025-12-31T00:00:00Z"));
	list_targets(w, 1, expired, K(TARG), &bytes);
	refuses_bytes(w, TARGETS, upt_buf_span(&bytes), UPT_E_EXPIRED);
	assert_null(upt_trusted_set_held(w->set, UPT_ROLE_TARGETS));
	list_targets(w, 2, empty_targets(1), K(TARG), &bytes);
	accepts_bytes(w, TARGETS, upt_buf_span(&bytes));
	upt_buf_clear(&bytes);
}

static void
director_must_not_delegate(void **state)
{
	struct world *w = *state;
	struct upt_buf bytes = {0};
	cJSON *t;

	for (int director = 0; director < 2; director++) {
		w->policy.repo = director ? UPT_REPO_DIRECTOR : UPT_REPO_IMAGE;
		world_reset(w);
		accepts(w, PIN, plain_root(w, 1), K(ROOT));
		assert_code(upt_trusted_set_finish_root(w->set, NOW, NULL), UPT_OK);
		t = empty_targets(1);
		delegate(w, t, "somebody", K(DEL_A), 1, "*", false);
		list_targets(w, 1, t, K(TARG), &bytes);
		if (director)
			refuses_bytes(w, TARGETS, upt_buf_span(&bytes), UPT_E_DIRECTOR_DELEGATES);
		else
			accepts_bytes(w, TARGETS, upt_buf_span(&bytes));
	}
	/* What an empty section delegates is nothing. */
	t = empty_targets(2);
	set_member(t, "delegations", cJSON_Parse("{\"keys\":{},\"roles\":[]}"));
	list_targets(w, 2, t, K(TARG), &bytes);
	accepts_bytes(w, TARGETS, upt_buf_span(&bytes));
	upt_buf_clear(&bytes);
}

static enum upt_code
check_nothing_named_forbidden(
	const void *ctx, const struct upt_metadata *targets, struct upt_err *err)
{
	if (upt_targets_find(&targets->targets, ctx) >= 0)
		return upt_fail(err, UPT_E_UNKNOWN_ECU, "forbidden");
	return UPT_OK;
}

static void
rules_keep_a_document_out_also_when_it_is_confirmed(void **state)
{
	struct world *w = *state;
	struct upt_buf bytes = {0}, copy = {0};

	w->policy.check_rules = check_nothing_named_forbidden;
	w->policy.rules_ctx = "forbidden";
	world_reset(w);
	accepts(w, PIN, plain_root(w, 1), K(ROOT));
	assert_code(upt_trusted_set_finish_root(w->set, NOW, NULL), UPT_OK);
	list_targets(w, 1, targets_with(1, "forbidden", some_snapshot), K(TARG), &bytes);
	refuses_bytes(w, TARGETS, upt_buf_span(&bytes), UPT_E_UNKNOWN_ECU);
	assert_code(upt_buf_append(&copy, bytes.data, bytes.len, NULL), UPT_OK);
	accepts_bytes(w, RESTORE_TARGETS, upt_buf_span(&copy));
	assert_false(upt_trusted_set_confirm_targets(w->set, NOW));
	assert_null(upt_trusted_set_targets(w->set));
	list_targets(w, 2, targets_with(2, "allowed", some_snapshot), K(TARG), &bytes);
	accepts_bytes(w, TARGETS, upt_buf_span(&bytes));
	upt_buf_clear(&bytes);
	upt_buf_clear(&copy);
}

static void
targets_only_director_is_held_to_signature_version_and_expiry(void **state)
{
	struct world *w = *state;
	struct root_plan plan = {1, K(ROOT), 0, 0, K(TARG), 1, false};
	cJSON *expired = empty_targets(7);

	w->policy.allow_targets_only = true;
	w->policy.repo = UPT_REPO_DIRECTOR;
	world_reset(w);
	accepts(w, PIN, plan_root(w, &plan), K(ROOT));
	refuses(w, TARGETS, empty_targets(5), K(TARG), UPT_E_INTERNAL);
	assert_code(upt_trusted_set_finish_root(w->set, NOW, NULL), UPT_OK);
	refuses(w, TARGETS, empty_targets(5), K(THIEF), UPT_E_THRESHOLD);
	accepts(w, TARGETS, empty_targets(5), K(TARG));
	refuses(w, TARGETS, empty_targets(4), K(TARG), UPT_E_ROLLBACK);
	set_member(expired, "expires", cJSON_CreateString("2025-12-31T00:00:00Z"));
	refuses(w, TARGETS, expired, K(TARG), UPT_E_EXPIRED);
	assert_false(upt_trusted_set_confirm_targets(w->set, NOW));
	refuses(w, TIMESTAMP, timestamp_of(1, 1, some_snapshot), K(TIME) | K(TARG),
		UPT_E_THRESHOLD);
	accepts(w, TARGETS, empty_targets(5), K(TARG));
}

/* ---- what depends on what ---- */

static void
newer_timestamp_ends_what_the_older_one_vouched_for(void **state)
{
	struct world *w = *state;
	struct release r = {0};

	release_make(w, empty_targets(1), 1, &r);
	accepts_release(w, &r);
	assert_non_null(upt_trusted_set_targets(w->set));
	accepts(w, TIMESTAMP, timestamp_of(2, 2, some_snapshot), K(TIME));
	assert_null(upt_trusted_set_snapshot(w->set));
	assert_null(upt_trusted_set_targets(w->set));
	assert_false(upt_trusted_set_confirm_snapshot(w->set, NOW));
	assert_false(upt_trusted_set_confirm_targets(w->set, NOW));
	refuses_bytes(w, TARGETS, upt_buf_span(&r.targets), UPT_E_INTERNAL);
	release_clear(&r);
}

static void
rejected_step_is_followed_by_a_good_one(void **state)
{
	struct world *w = *state;
	struct release r = {0}, other = {0};

	release_make(w, empty_targets(1), 1, &r);
	release_make(w, targets_with(1, "x", some_snapshot), 1, &other);
	accepts_bytes(w, TIMESTAMP, upt_buf_span(&r.timestamp));
	refuses_bytes(w, SNAPSHOT, upt_buf_span(&other.snapshot), UPT_E_HASH_MISMATCH);
	refuses_bytes(w, SNAPSHOT, upt_span_str("{"), UPT_E_MALFORMED);
	accepts_bytes(w, SNAPSHOT, upt_buf_span(&r.snapshot));
	refuses_bytes(w, TARGETS, upt_buf_span(&other.targets), UPT_E_HASH_MISMATCH);
	accepts_bytes(w, TARGETS, upt_buf_span(&r.targets));
	release_clear(&r);
	release_clear(&other);
}

/* Every role's document served as every other role. */
static void
documents_of_other_roles_are_refused_by_their_type(void **state)
{
	struct world *w = *state;
	struct release r = {0};
	struct upt_buf root = {0};
	const unsigned all = K(ROOT) | K(TIME) | K(SNAP) | K(TARG);

	release_make(w, empty_targets(1), 1, &r);
	sign_with(w, plain_root(w, 2), all, &root);
	refuses_bytes(w, TIMESTAMP, upt_buf_span(&r.snapshot), UPT_E_WRONG_ROLE);
	refuses_bytes(w, TIMESTAMP, upt_buf_span(&root), UPT_E_WRONG_ROLE);
	refuses_bytes(w, NEXT_ROOT, upt_buf_span(&r.timestamp), UPT_E_WRONG_ROLE);
	accepts_bytes(w, TIMESTAMP, upt_buf_span(&r.timestamp));
	refuses_bytes(w, SNAPSHOT, upt_buf_span(&r.timestamp), UPT_E_WRONG_ROLE);
	refuses_bytes(w, SNAPSHOT, upt_buf_span(&r.targets), UPT_E_WRONG_ROLE);
	accepts_bytes(w, SNAPSHOT, upt_buf_span(&r.snapshot));
	refuses_bytes(w, TARGETS, upt_buf_span(&r.snapshot), UPT_E_WRONG_ROLE);
	accepts_bytes(w, TARGETS, upt_buf_span(&r.targets));
	release_clear(&r);
	upt_buf_clear(&root);
}

static void
limit_of_each_role_holds(void **state)
{
	struct world *w = *state;
	struct release r = {0};

	release_make(w, empty_targets(1), 1, &r);
	for (int over = 1; over >= 0; over--) {
		w->policy.limits.timestamp_max_bytes = r.timestamp.len - (size_t)over;
		world_reset(w);
		accepts(w, PIN, plain_root(w, 1), K(ROOT));
		assert_code(upt_trusted_set_finish_root(w->set, NOW, NULL), UPT_OK);
		if (over)
			refuses_bytes(w, TIMESTAMP, upt_buf_span(&r.timestamp), UPT_E_TOO_LARGE);
	}
	for (int over = 1; over >= 0; over--) {
		w->policy.limits.snapshot_max_bytes = r.snapshot.len - (size_t)over;
		world_reset(w);
		accepts(w, PIN, plain_root(w, 1), K(ROOT));
		assert_code(upt_trusted_set_finish_root(w->set, NOW, NULL), UPT_OK);
		accepts_bytes(w, TIMESTAMP, upt_buf_span(&r.timestamp));
		if (over)
			refuses_bytes(w, SNAPSHOT, upt_buf_span(&r.snapshot), UPT_E_TOO_LARGE);
	}
	for (int over = 1; over >= 0; over--) {
		w->policy.limits.targets_max_bytes = r.targets.len - (size_t)over;
		world_reset(w);
		accepts(w, PIN, plain_root(w, 1), K(ROOT));
		assert_code(upt_trusted_set_finish_root(w->set, NOW, NULL), UPT_OK);
		accepts_bytes(w, TIMESTAMP, upt_buf_span(&r.timestamp));
		accepts_bytes(w, SNAPSHOT, upt_buf_span(&r.snapshot));
		if (over)
			refuses_bytes(w, TARGETS, upt_buf_span(&r.targets), UPT_E_TOO_LARGE);
	}
	accepts_bytes(w, TARGETS, upt_buf_span(&r.targets));
	release_clear(&r);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(timestamp_needs_its_own_key),
		T(timestamp_refuses_rollback_of_itself_and_of_the_snapshot_it_lists),
		T(timestamp_refuses_to_be_expired),
		T(expired_timestamp_leaves_no_trace_in_the_next_check),
		T(timestamp_must_list_a_hash_where_the_policy_asks),
		T(profiles_differ_in_what_their_servers_do_and_not_in_hashes),
		T(timestamp_refuses_shapes_that_are_none),
		T(snapshot_must_be_the_listed_one),
		T(snapshot_length_and_every_hash_must_agree),
		T(hash_name_with_an_escape_is_still_that_hash),
		T(snapshot_needs_its_own_key),
		T(snapshot_refuses_rollback_when_only_the_timestamp_was_lost),
		T(snapshot_refuses_to_take_a_listed_version_back_or_a_file_away),
		T(listings_are_compared_by_name_not_by_place),
		T(snapshot_refuses_to_be_expired),
		T(snapshot_must_list_targets),
		T(hashes_of_the_canonical_text_are_for_profile_ota),
		T(profile_ota_still_refuses_other_content_and_other_lengths),
		T(targets_must_be_the_listed_ones),
		T(targets_need_their_own_key),
		T(targets_refuse_rollback_when_the_snapshot_was_lost),
		T(targets_refuse_to_be_expired),
		T(director_must_not_delegate),
		T(rules_keep_a_document_out_also_when_it_is_confirmed),
		T(targets_only_director_is_held_to_signature_version_and_expiry),
		T(newer_timestamp_ends_what_the_older_one_vouched_for),
		T(rejected_step_is_followed_by_a_good_one),
		T(documents_of_other_roles_are_refused_by_their_type),
		T(limit_of_each_role_holds),
	};
	return cmocka_run_group_tests_name("chain", tests, NULL, NULL);
}
