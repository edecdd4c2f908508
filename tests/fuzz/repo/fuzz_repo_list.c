/*
 * The list that "target add --many" reads: a line for each target, NAME<tab>SHA256<tab>LENGTH. What
 * is accepted, written again, is the list; what is refused is named with its line.
 */
#include <strings.h>

#include "base/encode.h"
#include "fuzz.h"
#include "json/json.h"
#include "repo/target_input.h"

static void
print_image(const struct upt_image *image, struct upt_buf *out)
{
	char hex[2 * UPT_HASH_MAX_BYTES + 1];

	FUZZ_ASSERT(image->n_digests == 1 && image->digests[0].alg == UPT_HASH_SHA256);
	FUZZ_ASSERT(image->length_bytes <= UPT_JSON_MAX_INTEGER);
	upt_hex_encode(upt_span(image->digests[0].bytes, image->digests[0].len), hex);
	FUZZ_ASSERT(upt_buf_printf(out, NULL, "%s\t%s\t%llu\n", image->name, hex,
			    (unsigned long long)image->length_bytes) == UPT_OK);
}

/* A length may have zeros in front and hex capital letters: each line's parts are compared. */
static void
check_list(const struct image_list *list, struct upt_span text)
{
	upt_cleanup(upt_buf_clear) struct upt_buf printed = {0};
	struct upt_span rest, theirs, ours;

	for (size_t i = 0; i < list->n; i++)
		print_image(&list->items[i], &printed);
	rest = upt_buf_span(&printed);
	while (fuzz_next_part(&text, '\n', &theirs)) {
		size_t name_and_hash;
		const uint8_t *tab;

		FUZZ_ASSERT(fuzz_next_part(&rest, '\n', &ours));
		tab = memrchr(ours.data, '\t', ours.len);
		name_and_hash = (size_t)(tab - ours.data) + 1;
		FUZZ_ASSERT(theirs.len >= ours.len);
		FUZZ_ASSERT(strncasecmp((const char *)theirs.data, (const char *)ours.data,
				    name_and_hash) == 0);
	}
	FUZZ_ASSERT(rest.len == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	upt_cleanup(image_list_clear) struct image_list list = {0};
	struct add_options options = {0};
	struct upt_err err = {0};
	char path[256];
	enum upt_code code;

	fuzz_write("list", upt_span(data, size));
	snprintf(path, sizeof(path), "%s", fuzz_path("list"));
	options.many = path;
	code = target_input_read_list(&list, &options, &err);
	FUZZ_ASSERT(code == UPT_OK || code == UPT_E_USAGE);
	if (code == UPT_OK)
		check_list(&list, upt_span(data, size));
	else
		FUZZ_ASSERT(strstr(err.message, path) != NULL);
	return 0;
}
