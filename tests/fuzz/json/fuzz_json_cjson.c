/*
 * The strict reader beside cJSON, both ways. What both accept is one value: the trees are walked
 * side by side. What only cJSON accepts has a reason of the list in reasons.h, and whatever has one
 * is refused by ours. Nothing is accepted by ours alone. So for every text cJSON can read, ours
 * accepts it exactly when there is no reason not to.
 */
#include "fuzz.h"

#include "json/json.h"
#include "reasons.h"

/* Names are compared with each other: quadratic in the members. */
#define MAX_BYTES ((size_t)4096)

static enum upt_json_type
type_of(const cJSON *item)
{
	if (cJSON_IsObject(item))
		return UPT_JSON_OBJECT;
	if (cJSON_IsArray(item))
		return UPT_JSON_ARRAY;
	if (cJSON_IsString(item))
		return UPT_JSON_STRING;
	if (cJSON_IsNumber(item))
		return UPT_JSON_INTEGER;
	if (cJSON_IsTrue(item))
		return UPT_JSON_TRUE;
	return cJSON_IsFalse(item) ? UPT_JSON_FALSE : UPT_JSON_NULL;
}

static void
assert_string(struct upt_span raw, const char *theirs)
{
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	struct upt_span decoded;
	const char *copy;

	FUZZ_ASSERT(upt_json_decode(&arena, raw, &decoded, NULL) == UPT_OK);
	FUZZ_ASSERT(upt_span_equal(decoded, upt_span_str(theirs)));
	FUZZ_ASSERT(upt_json_decode_string(&arena, raw, &copy, NULL) == UPT_OK);
	FUZZ_ASSERT(strcmp(copy, theirs) == 0);
	FUZZ_ASSERT(upt_json_raw_is(raw, theirs));
}

static void assert_members(struct upt_json_iter *it, const cJSON *container);

/* The current value of ours is theirs. */
static void
assert_value(struct upt_json_iter *it, const cJSON *theirs)
{
	struct upt_json_iter members;
	struct upt_span raw = {0};
	uint64_t number = 0;

	FUZZ_ASSERT(it->type == type_of(theirs));
	FUZZ_ASSERT(upt_json_u64(it, &number) == cJSON_IsNumber(theirs));
	FUZZ_ASSERT(upt_json_raw_string(it, &raw) == cJSON_IsString(theirs));
	if (cJSON_IsNumber(theirs))
		FUZZ_ASSERT((double)number == theirs->valuedouble &&
			    number == (uint64_t)theirs->valuedouble);
	if (cJSON_IsString(theirs)) {
		FUZZ_ASSERT(upt_json_string_is(it, theirs->valuestring));
		assert_string(raw, theirs->valuestring);
	}
	members = upt_json_enter(it);
	assert_members(&members, theirs);
}

/* One after the other in the order of the text, none more and none less. */
static void
assert_members(struct upt_json_iter *it, const cJSON *container)
{
	const cJSON *theirs;

	cJSON_ArrayForEach(theirs, container)
	{
		FUZZ_ASSERT(upt_json_next(it));
		if (cJSON_IsObject(container)) {
			FUZZ_ASSERT(upt_json_key_is(it, theirs->string));
			assert_string(it->key, theirs->string);
		} else {
			FUZZ_ASSERT(it->key.len == 0);
		}
		assert_value(it, theirs);
	}
	FUZZ_ASSERT(!upt_json_next(it));
}

static void
assert_same(const struct upt_json_doc *doc, const cJSON *tree)
{
	upt_cleanup(upt_buf_clear) struct upt_buf wrapped = {0};
	struct upt_json_iter it;

	FUZZ_ASSERT(doc->type == type_of(tree));
	/* In a list, so that a value which is no container has an iterator too. */
	FUZZ_ASSERT(upt_buf_printf(&wrapped, NULL, "[%.*s]", (int)doc->whole.text.len,
			    (const char *)doc->whole.text.data) == UPT_OK);
	it = upt_json_iter(upt_buf_span(&wrapped));
	FUZZ_ASSERT(upt_json_next(&it));
	assert_value(&it, tree);
	FUZZ_ASSERT(!upt_json_next(&it));
}

static void
say_reasons(unsigned reasons)
{
	for (unsigned i = 0; i < N_REASONS; i++) {
		if (reasons & (1u << i))
			fprintf(stderr, "reason: %s\n", reason_name(i));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct upt_span text = upt_span(data, size);
	const char *end = NULL;
	struct upt_json_doc doc;
	struct upt_err err = {0};
	enum upt_code code;
	unsigned reasons;
	cJSON *tree;

	if (size > MAX_BYTES)
		return 0;
	code = upt_json_check(text, &doc, &err);
	tree = size > 0 ? cJSON_ParseWithLengthOpts((const char *)data, size, &end, 0) : NULL;
	if (tree == NULL) {
		FUZZ_ASSERT(code != UPT_OK);
		return 0;
	}
	reasons = reasons_of(text, tree, end);
	if ((code == UPT_OK) != (reasons == 0)) {
		say_reasons(reasons);
		fprintf(stderr, "ours: %s\n", code == UPT_OK ? "accepted" : err.message);
	}
	FUZZ_ASSERT((code == UPT_OK) == (reasons == 0));
	if (code == UPT_OK)
		assert_same(&doc, tree);
	cJSON_Delete(tree);
	return 0;
}
