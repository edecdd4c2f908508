#include "metadata/roles.h"

#include <stdlib.h>
#include "metadata/limits.h"

/* The parts of an entry that every target must have (0.5), checked for all of them at once, so that
 * a document with one broken entry is never half trusted. */
static enum upt_code
check_entry(struct upt_json_iter *it, struct upt_err *err)
{
	struct upt_json_iter members = upt_json_enter(it);
	struct upt_digest digests[UPT_MAX_DIGESTS];
	bool has_length = false, has_hashes = false, unknown;
	size_t n_digests;
	uint64_t length;

	if (it->type != UPT_JSON_OBJECT)
		return upt_fail(err, UPT_E_MALFORMED, "it is no object");
	while (upt_json_next(&members)) {
		if (upt_json_key_is(&members, "length")) {
			has_length = upt_json_u64(&members, &length);
		} else if (upt_json_key_is(&members, "hashes")) {
			UPT_TRY(upt_hashes_parse(&members, digests, &n_digests, &unknown, err));
			has_hashes = true;
		} else if (upt_json_key_is(&members, "custom") && members.type != UPT_JSON_OBJECT &&
			   members.type != UPT_JSON_NULL) {
			return upt_fail(err, UPT_E_MALFORMED, "custom is no object");
		}
	}
	if (!has_length || !has_hashes)
		return upt_fail(
			err, UPT_E_MALFORMED, "it has no %s", has_length ? "hashes" : "length");
	return UPT_OK;
}

static enum upt_code
add_ref(struct upt_targets *targets, size_t *cap, struct upt_target_ref ref, struct upt_err *err)
{
	if (targets->n_targets >= UPT_MAX_TARGETS)
		return upt_fail(err, UPT_E_MALFORMED, "more than %d targets", UPT_MAX_TARGETS);
	if (targets->n_targets == *cap) {
		size_t grown = *cap == 0 ? 16 : *cap + *cap / 2;
		struct upt_target_ref *refs = realloc(targets->refs, grown * sizeof(*refs));
		if (refs == NULL)
			return upt_fail(err, UPT_E_NO_MEMORY, "no memory for %zu targets", grown);
		targets->refs = refs;
		*cap = grown;
	}
	targets->refs[targets->n_targets++] = ref;
	return UPT_OK;
}

/* Canonical texts list their targets in order. A name with an escape stands elsewhere than its raw text. */
static bool
keeps_order(const struct upt_targets *targets, struct upt_span name)
{
	if (memchr(name.data, '\\', name.len) != NULL)
		return false;
	return targets->n_targets == 0 ||
	       upt_file_name_compare(
		       targets->refs[targets->n_targets - 1].raw_name, name) < 0;
}

static enum upt_code
parse_targets(struct upt_json_iter *it, struct upt_targets *targets, struct upt_err *err)
{
	struct upt_json_iter entries = upt_json_enter(it);
	size_t cap = 0;

	if (it->type != UPT_JSON_OBJECT)
		return upt_fail(err, UPT_E_MALFORMED, "targets is no object");
	targets->ascending = true;
	while (upt_json_next(&entries)) {
		enum upt_code code = check_entry(&entries, err);

		if (code == UPT_OK &&
			(entries.key.len == 0 || entries.key.len > UPT_TARGET_NAME_MAX))
			code = upt_fail(err, UPT_E_MALFORMED, "its name has %zu bytes (1 to %d)",
				entries.key.len, UPT_TARGET_NAME_MAX);
		if (code != UPT_OK)
			return upt_wrap(err, code, "target %.*s",
				(int)(entries.key.len < 100 ? entries.key.len : 100),
				(const char *)entries.key.data);
		targets->ascending = targets->ascending && keeps_order(targets, entries.key);
		UPT_TRY(add_ref(targets, &cap,
			(struct upt_target_ref){
				.raw_name = entries.key, .value = upt_json_value(&entries)},
			err));
	}
	return UPT_OK;
}

enum upt_code
upt_targets_member(struct upt_json_iter *it, struct upt_metadata *m, struct upt_err *err)
{
	if (upt_json_key_is(it, "targets"))
		return parse_targets(it, &m->targets, err);
	if (upt_json_key_is(it, "delegations"))
		return upt_delegations_parse(it, m, err);
	if (upt_json_key_is(it, "custom")) {
		if (it->type != UPT_JSON_OBJECT && it->type != UPT_JSON_NULL)
			return upt_fail(err, UPT_E_MALFORMED, "custom is no object");
		if (it->type == UPT_JSON_OBJECT)
			m->targets.custom = upt_json_value(it);
	}
	return UPT_OK;
}

enum upt_code
upt_targets_complete(const struct upt_metadata *m, struct upt_err *err)
{
	struct upt_json_iter it = upt_json_iter(m->envelope.payload->text);

	if (m->targets.n_targets > 0)
		return UPT_OK;
	while (upt_json_next(&it)) {
		if (upt_json_key_is(&it, "targets"))
			return UPT_OK;
	}
	return upt_fail(err, UPT_E_MALFORMED, "no targets");
}

static long
find_by_halves(const struct upt_targets *targets, struct upt_span name)
{
	size_t low = 0, high = targets->n_targets;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = upt_file_name_compare(targets->refs[mid].raw_name, name);

		if (order == 0)
			return (long)mid;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return -1;
}

long
upt_targets_find(const struct upt_targets *targets, const char *name)
{
	if (targets->ascending)
		return find_by_halves(targets, upt_span_str(name));
	for (size_t i = 0; i < targets->n_targets; i++) {
		if (upt_json_raw_is(targets->refs[i].raw_name, name))
			return (long)i;
	}
	return -1;
}

static enum upt_code
parse_ecu(struct upt_json_iter *it, struct upt_arena *arena, struct upt_target_ecu *ecu,
	struct upt_err *err)
{
	struct upt_json_iter members = upt_json_enter(it);
	struct upt_span raw;

	if (it->type != UPT_JSON_OBJECT || it->key.len == 0 || it->key.len > UPT_ECU_SERIAL_MAX)
		return upt_fail(err, UPT_E_MALFORMED, "an entry of ecuIdentifiers is wrong");
	UPT_TRY(upt_json_decode_string(arena, it->key, &ecu->serial, err));
	while (upt_json_next(&members)) {
		if (!upt_json_key_is(&members, "hardwareId"))
			continue;
		if (!upt_json_raw_string(&members, &raw) || raw.len > UPT_HARDWARE_ID_MAX)
			return upt_fail(err, UPT_E_MALFORMED,
				"hardwareId is no string of at most %d bytes", UPT_HARDWARE_ID_MAX);
		UPT_TRY(upt_json_decode_string(arena, raw, &ecu->hardware_id, err));
	}
	if (ecu->hardware_id == NULL)
		return upt_fail(err, UPT_E_MALFORMED, "ECU %s has no hardwareId", ecu->serial);
	return UPT_OK;
}

static enum upt_code
parse_ecus(struct upt_json_iter *it, struct upt_arena *arena, struct upt_target *out,
	struct upt_err *err)
{
	struct upt_json_iter members;
	size_t n = 0;

	if (it->type != UPT_JSON_OBJECT)
		return upt_fail(err, UPT_E_MALFORMED, "ecuIdentifiers is no object");
	members = upt_json_iter(upt_json_value(it));
	while (upt_json_next(&members))
		n++;
	if (n > UPT_MAX_TARGET_ECUS)
		return upt_fail(err, UPT_E_MALFORMED, "%zu ECUs, more than the %d allowed", n,
			UPT_MAX_TARGET_ECUS);
	out->ecus = upt_arena_alloc(arena, n + 1, sizeof(*out->ecus));
	if (out->ecus == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for %zu ECUs", n);
	members = upt_json_enter(it);
	while (upt_json_next(&members)) {
		UPT_TRY(parse_ecu(&members, arena, &out->ecus[out->n_ecus], err));
		out->n_ecus++;
	}
	return UPT_OK;
}

/*
 * What says that an image is encrypted: the Standard fixes no names (POUF-1 has the last two), so that
 * every spelling at hand counts. Said of an image that is installed as it is, ciphertext would run.
 */
static const char *
find_encryption(const struct upt_json_iter *it)
{
	static const char *const names[] = {"encrypted", "encryption", "encrypted_target",
		"encrypted_symmetric_key", "encryptedTarget", "encryptedSymmetricKey"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (upt_json_key_is(it, names[i]))
			return it->type != UPT_JSON_NULL && it->type != UPT_JSON_FALSE ? names[i]
										       : NULL;
	}
	return NULL;
}

static enum upt_code
custom_member(struct upt_json_iter *it, struct upt_arena *arena, struct upt_target *out,
	struct upt_err *err)
{
	struct upt_span raw;

	if (upt_json_key_is(it, "ecuIdentifiers"))
		return parse_ecus(it, arena, out, err);
	if (upt_json_key_is(it, "hardwareIds")) {
		out->has_hardware_ids = true;
		return upt_strings_parse(it, arena, UPT_MAX_HARDWARE_IDS, UPT_HARDWARE_ID_MAX,
			&out->hardware_ids, &out->n_hardware_ids, err);
	}
	if (upt_json_key_is(it, "installAfter"))
		return upt_strings_parse(it, arena, UPT_MAX_INSTALL_AFTER, UPT_HARDWARE_ID_MAX,
			&out->install_after, &out->n_install_after, err);
	if (upt_json_key_is(it, "releaseCounter")) {
		out->image.has_release_counter = upt_json_u64(it, &out->image.release_counter);
		if (!out->image.has_release_counter)
			return upt_fail(err, UPT_E_MALFORMED, "releaseCounter is no whole number");
	} else if (upt_json_key_is(it, "targetFormat")) {
		if (!upt_json_raw_string(it, &raw) || raw.len > 32)
			return upt_fail(err, UPT_E_MALFORMED, "targetFormat is no short string");
		return upt_json_decode_string(arena, raw, &out->format, err);
	} else if (upt_json_key_is(it, "uri") && it->type != UPT_JSON_NULL) {
		if (!upt_json_raw_string(it, &raw) || raw.len > 2048)
			return upt_fail(
				err, UPT_E_MALFORMED, "uri is no string of at most 2048 bytes");
		return raw.len == 0 ? UPT_OK : upt_json_decode_string(arena, raw, &out->uri, err);
	} else if (upt_json_key_is(it, "mustMatch")) {
		if (it->type != UPT_JSON_OBJECT)
			return upt_fail(err, UPT_E_MALFORMED, "mustMatch is no object");
		out->must_match = upt_json_value(it);
	}
	return UPT_OK;
}

static enum upt_code
parse_custom(struct upt_json_iter *it, struct upt_arena *arena, struct upt_target *out,
	struct upt_err *err)
{
	struct upt_json_iter members;

	if (it->type != UPT_JSON_OBJECT)
		return UPT_OK; /* null: none */
	out->custom = upt_json_value(it);
	members = upt_json_iter(out->custom);
	while (upt_json_next(&members)) {
		if (out->encrypted_by == NULL)
			out->encrypted_by = find_encryption(&members);
		UPT_TRY(custom_member(&members, arena, out, err));
	}
	return UPT_OK;
}

static enum upt_code
get_members(const struct upt_target_ref *ref, struct upt_arena *arena, struct upt_target *out,
	struct upt_err *err)
{
	struct upt_json_iter members = upt_json_iter(ref->value);

	while (upt_json_next(&members)) {
		if (upt_json_key_is(&members, "length")) {
			if (!upt_json_u64(&members, &out->image.length_bytes))
				return upt_fail(err, UPT_E_MALFORMED, "length is no whole number");
		} else if (upt_json_key_is(&members, "hashes")) {
			UPT_TRY(upt_hashes_parse(&members, out->image.digests,
				&out->image.n_digests, &out->unknown_hash, err));
		} else if (upt_json_key_is(&members, "custom")) {
			enum upt_code code = parse_custom(&members, arena, out, err);

			if (code != UPT_OK)
				return upt_wrap(err, code, "custom");
		}
	}
	return UPT_OK;
}

enum upt_code
upt_targets_get(const struct upt_targets *targets, size_t i, struct upt_arena *arena,
	struct upt_target *out, struct upt_err *err)
{
	struct upt_target target = {.format = ""};
	struct upt_span name;
	enum upt_code code;

	*out = target;
	UPT_TRY(upt_json_decode(arena, targets->refs[i].raw_name, &name, err));
	if (name.len > UPT_TARGET_NAME_MAX)
		return upt_fail(err, UPT_E_MALFORMED, "a target name of %zu bytes", name.len);
	memcpy(target.image.name, name.data, name.len);
	code = get_members(&targets->refs[i], arena, &target, err);
	if (code != UPT_OK)
		return upt_wrap(err, code, "target %s", target.image.name);
	*out = target;
	return UPT_OK;
}
