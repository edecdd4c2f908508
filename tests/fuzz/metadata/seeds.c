/* Writes the seeds: fuzz_metadata_seeds tests/fuzz/corpus. Everything is signed by the key in stream.h. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authoring/authoring.h"
#include "base/file.h"
#include "stream.h"

#define LATER INT64_C(4102444800) /* 2100-01-01T00:00:00Z */

static struct upt_private_key *key;
static int folder;

static void
must(enum upt_code code)
{
	if (code != UPT_OK) {
		fprintf(stderr, "seeds: %s\n", upt_code_name(code));
		exit(1);
	}
}

static void
load_key(void)
{
	must(upt_file_replace(folder, ".key", 0600, upt_span_str(STREAM_SECRET_PEM), NULL));
	if (fchdir(folder) != 0)
		must(UPT_E_IO);
	must(upt_private_key_load(".key", &key, NULL));
	unlinkat(folder, ".key", 0);
}

static cJSON *
root(uint64_t version, bool targets_only)
{
	const struct upt_private_key *keys[] = {key};
	const struct upt_author_role roles[] = {{"root", keys, 1, 1}, {"targets", keys, 1, 1},
		{"timestamp", keys, 1, 1}, {"snapshot", keys, 1, 1}};

	return upt_author_root(version, LATER, version % 2 == 1, roles, targets_only ? 2 : 4);
}

static cJSON *
targets(uint64_t version, const char *custom)
{
	struct upt_image image = {.name = "dir/x", .length_bytes = 7, .n_digests = 2};
	cJSON *t = upt_author_targets(version, LATER);

	image.digests[0] = (struct upt_digest){.alg = UPT_HASH_SHA256, .len = 32};
	image.digests[1] = (struct upt_digest){.alg = UPT_HASH_SHA512, .len = 64};
	must(upt_author_add_target(t, &image, cJSON_Parse(custom), NULL));
	return t;
}

static cJSON *
delegating(uint64_t version, const char *role, bool terminating)
{
	const struct upt_private_key *keys[] = {key};
	const struct upt_author_role r = {role, keys, 1, 1};
	const char *const paths[] = {"dir/*", "[!a-c]?"}, *const hardware[] = {"hw"};
	cJSON *t = upt_author_targets(version, LATER);

	must(upt_author_add_delegation(t, &r, paths, 2, hardware, 1, terminating, NULL));
	return t;
}

/* To "a/b" and "c", of which min must agree. */
static cJSON *
delegating_to_two(uint64_t version, unsigned min, bool terminating)
{
	const struct upt_private_key *keys[] = {key};
	const struct upt_author_role roles[] = {{"a/b", keys, 1, 1}, {"c", keys, 1, 1}};
	const char *const paths[] = {"dir/*"}, *const hardware[] = {"hw"};
	const struct upt_author_scope scope = {paths, 1, hardware, 1, terminating};
	cJSON *t = upt_author_targets(version, LATER);

	must(upt_author_add_multi_role_delegation(t, "two", roles, 2, min, &scope, NULL));
	return t;
}

/* The payload's own text, or the signed document. */
static void
text_of(cJSON *payload, bool sign, struct upt_buf *out)
{
	out->len = 0;
	if (sign) {
		const struct upt_private_key *keys[] = {key};

		must(upt_author_sign(payload, keys, 1, out, NULL));
	} else {
		char *text = cJSON_PrintUnformatted(payload);

		must(upt_buf_printf(out, NULL, "%s", text));
		cJSON_free(text);
	}
	cJSON_Delete(payload);
}

static void
add(struct upt_buf *stream, char letter, struct upt_span bytes)
{
	const char separator = (char)STREAM_SEPARATOR;

	must(upt_buf_append(stream, &letter, 1, NULL));
	must(upt_buf_append(stream, bytes.data, bytes.len, NULL));
	must(upt_buf_append(stream, &separator, 1, NULL));
}

static void
write_seed(const char *name, const char *mode, const struct upt_buf *stream)
{
	upt_cleanup(upt_buf_clear) struct upt_buf seed = {0};

	must(upt_buf_printf(&seed, NULL, "%s", mode));
	must(upt_buf_append(&seed, stream->data, stream->len, NULL));
	must(upt_file_replace(folder, name, 0644, upt_buf_span(&seed), NULL));
}

struct chain {
	struct upt_buf root, next, targets, role, snapshot, timestamp;
};

static void
chain_clear(struct chain *c)
{
	upt_buf_clear(&c->root);
	upt_buf_clear(&c->next);
	upt_buf_clear(&c->targets);
	upt_buf_clear(&c->role);
	upt_buf_clear(&c->snapshot);
	upt_buf_clear(&c->timestamp);
	*c = (struct chain){0};
}

static void
make_chain(struct chain *c, bool sign, cJSON *top, cJSON *delegated)
{
	cJSON *s = upt_author_snapshot(3, LATER), *t = upt_author_timestamp(4, LATER);
	uint64_t version = (uint64_t)cJSON_GetObjectItem(top, "version")->valuedouble;

	text_of(root(1, false), sign, &c->root);
	text_of(root(2, false), sign, &c->next);
	text_of(top, sign, &c->targets);
	must(upt_author_snapshot_add(s, "targets.json", version, upt_buf_span(&c->targets), NULL));
	if (delegated != NULL) {
		text_of(delegated, sign, &c->role);
		must(upt_author_snapshot_add(s, "a/b.json", 1, upt_buf_span(&c->role), NULL));
		must(upt_author_snapshot_add(s, "c.json", 1, upt_buf_span(&c->role), NULL));
	}
	text_of(s, sign, &c->snapshot);
	must(upt_author_timestamp_set(t, 3, upt_buf_span(&c->snapshot), NULL));
	text_of(t, sign, &c->timestamp);
}

/* Hashes of payloads are not those of the documents that the harness makes of them: taken out. */
static void
without_hashes(struct upt_buf *text)
{
	cJSON *doc = cJSON_Parse((const char *)text->data), *file;

	cJSON_ArrayForEach(file, cJSON_GetObjectItem(doc, "meta"))
	{
		cJSON_DeleteItemFromObject(file, "hashes");
		cJSON_DeleteItemFromObject(file, "length");
	}
	text_of(doc, false, text);
}

static void
write_chain(const char *name, unsigned mode, struct chain *c)
{
	upt_cleanup(upt_buf_clear) struct upt_buf stream = {0};
	char first[2] = {(char)('0' + mode), '\0'};

	if (mode & STREAM_SIGN) {
		without_hashes(&c->snapshot);
		without_hashes(&c->timestamp);
	}
	add(&stream, 'p', upt_buf_span(&c->root));
	add(&stream, 'n', upt_buf_span(&c->next));
	add(&stream, 'f', upt_span_str(""));
	add(&stream, '1', upt_buf_span(&c->timestamp));
	add(&stream, '2', upt_buf_span(&c->snapshot));
	add(&stream, 'T', upt_buf_span(&c->timestamp));
	add(&stream, 'c', upt_span_str(""));
	add(&stream, 'S', upt_buf_span(&c->snapshot));
	add(&stream, 'G', upt_buf_span(&c->targets));
	add(&stream, 'q', upt_span_str("dir/x"));
	/* Both delegated roles say the same: nothing stored, then what is served. */
	for (int i = 0; i < 2 && c->role.len > 0; i++) {
		must(upt_buf_append(&stream, "\xff", 1, NULL));
		add(&stream, ' ', upt_buf_span(&c->role));
	}
	write_seed(name, first, &stream);
	chain_clear(c);
}

#define ECUS "{\"ecuIdentifiers\":{\"E1\":{\"hardwareId\":\"hw\"}},\"uri\":\"https://x\"}"
#define IMAGE                                                                                      \
	"{\"hardwareIds\":[\"hw\"],\"targetFormat\":\"BINARY\",\"releaseCounter\":3,"              \
	"\"mustMatch\":{\"a\":[1]}}"

static void
write_sets(void)
{
	struct chain c = {0};
	cJSON *empty = upt_author_targets(5, LATER);

	make_chain(&c, true, targets(5, IMAGE), NULL);
	write_chain("trusted_set/set-image", 0, &c);
	make_chain(&c, true, delegating(5, "a/b", false), targets(1, IMAGE));
	write_chain("trusted_set/set-delegated", 0, &c);
	make_chain(&c, true, targets(5, ECUS), NULL);
	write_chain("trusted_set/set-director", STREAM_DIRECTOR, &c);
	cJSON_AddItemToObject(empty, "custom", cJSON_Parse("{\"vehicleId\":\"V\"}"));
	make_chain(&c, true, empty, NULL);
	write_chain("trusted_set/set-director-empty", STREAM_DIRECTOR, &c);
	make_chain(&c, true, targets(5, IMAGE), NULL);
	write_chain("trusted_set/set-image-ota", STREAM_OTA, &c);
	make_chain(&c, false, targets(5, IMAGE), NULL);
	write_chain("trusted_set/signing-image", STREAM_SIGN, &c);
	make_chain(&c, false, delegating(5, "a/b", true), delegating(1, "a/b", false));
	write_chain("trusted_set/signing-cycle", STREAM_SIGN, &c);
	make_chain(&c, false, delegating(5, "a/b", false), targets(1, IMAGE));
	write_chain("trusted_set/signing-delegated-ota", STREAM_SIGN | STREAM_OTA, &c);
	make_chain(&c, true, delegating(5, "a/b", false), targets(1, IMAGE));
	write_chain("trusted_set/set-tuf", STREAM_TUF, &c);
	make_chain(&c, false, delegating(5, "a/b", false), delegating(1, "a/b", false));
	write_chain("trusted_set/signing-tuf", STREAM_TUF | STREAM_SIGN, &c);
	make_chain(&c, true, delegating_to_two(5, 2, false), targets(1, IMAGE));
	write_chain("trusted_set/set-two-roles", 0, &c);
	make_chain(&c, true, delegating_to_two(5, 2, false), targets(1, IMAGE));
	write_chain("trusted_set/set-tuf-two-roles", STREAM_TUF, &c);
	make_chain(&c, false, delegating_to_two(5, 2, true), targets(1, IMAGE));
	write_chain("trusted_set/signing-two-roles-ota", STREAM_SIGN | STREAM_OTA, &c);
	make_chain(&c, false, delegating_to_two(5, 1, false), delegating_to_two(1, 2, true));
	write_chain("trusted_set/signing-two-roles-nested", STREAM_SIGN, &c);
	make_chain(&c, false, targets(5, ECUS), NULL);
	write_chain("trusted_set/signing-director", STREAM_SIGN | STREAM_DIRECTOR, &c);
}

static void
write_targets_only(void)
{
	upt_cleanup(upt_buf_clear) struct upt_buf stream = {0}, text = {0};

	text_of(root(1, true), false, &text);
	add(&stream, 'p', upt_buf_span(&text));
	add(&stream, 'f', upt_span_str(""));
	text_of(targets(5, ECUS), false, &text);
	add(&stream, 'G', upt_buf_span(&text));
	add(&stream, '3', upt_buf_span(&text));
	write_seed("trusted_set/signing-targets-only", "7", &stream);
}

/* "R": the refresh driver; each answer is a segment: load root, no newer root, load, get, ... */
static void
write_refresh(void)
{
	upt_cleanup(upt_buf_clear) struct upt_buf stream = {0};
	struct chain c = {0};

	make_chain(&c, true, targets(5, IMAGE), NULL);
	add(&stream, 'R', upt_span_str(""));
	add(&stream, ' ', upt_buf_span(&c.root));
	add(&stream, ' ', upt_buf_span(&c.next));
	must(upt_buf_append(&stream, "\xff", 1, NULL)); /* no root v3 */
	add(&stream, ' ', upt_buf_span(&c.timestamp));
	add(&stream, ' ', upt_buf_span(&c.timestamp));
	must(upt_buf_append(&stream, "\xff", 1, NULL)); /* no snapshot stored */
	add(&stream, ' ', upt_buf_span(&c.snapshot));
	must(upt_buf_append(&stream, "\xff", 1, NULL));
	add(&stream, ' ', upt_buf_span(&c.targets));
	add(&stream, 'q', upt_span_str("dir/x"));
	write_seed("trusted_set/set-refresh", "0", &stream);
	chain_clear(&c);
}

static void
write_documents(void)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	struct chain c = {0};

	make_chain(&c, true, targets(5, ECUS), delegating(1, "a/b", true));
	write_seed("root/root", "", &c.root);
	write_seed("timestamp/timestamp", "", &c.timestamp);
	write_seed("snapshot/snapshot", "", &c.snapshot);
	write_seed("targets/targets", "", &c.targets);
	write_seed("targets/targets-delegating", "", &c.role);
	write_chain("trusted_set/set-with-unused-role", 0, &c);
	make_chain(&c, true, delegating_to_two(5, 2, true), NULL);
	write_seed("targets/targets-two-roles", "", &c.targets);
	chain_clear(&c);
	must(upt_buf_printf(&text, NULL, "a/*[!b-d]?.bin%cdir/x.bin", STREAM_SEPARATOR));
	write_seed("path_pattern/pattern", "", &text);
}

int
main(int argc, char **argv)
{
	if (argc != 2 || (folder = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
		fprintf(stderr, "usage: fuzz_metadata_seeds FOLDER\n");
		return 2;
	}
	load_key();
	write_sets();
	write_targets_only();
	write_refresh();
	write_documents();
	upt_private_key_free(&key);
	close(folder);
	return 0;
}
