/*
 * Names that people type or that a supplier's document brings: roles, targets, keys. What is
 * accepted becomes a file of the static server: one path component, or a path that climbs nowhere,
 * as the client's own encoding has it.
 */
#include "base/encode.h"
#include "fuzz.h"
#include "metadata/image.h"
#include "repo/names.h"

static bool
has_control(const char *s)
{
	for (; *s != '\0'; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	}
	return false;
}

static void
check_role(const char *name)
{
	upt_cleanup(upt_buf_clear) struct upt_buf theirs = {0};
	char encoded[REPO_ROLE_FILE_SIZE];
	bool fits = repo_encode_role(name, encoded);

	FUZZ_ASSERT(upt_percent_encode(name, false, &theirs, NULL) == UPT_OK);
	FUZZ_ASSERT(fits == (theirs.len < REPO_ROLE_FILE_SIZE));
	FUZZ_ASSERT(fits || encoded[0] == '\0');
	if (fits && theirs.len > 0)
		FUZZ_ASSERT(strcmp(encoded, (const char *)theirs.data) == 0);
	if (repo_check_role_name(name, NULL) != UPT_OK)
		return;
	FUZZ_ASSERT(fits && encoded[0] != '\0' && encoded[0] != '.' && !has_control(name));
	FUZZ_ASSERT(strpbrk(encoded, "/ \\") == NULL && !repo_is_top_role(name));
}

static void
check_target(const char *name)
{
	char around[UPT_TARGET_NAME_MAX + 3];

	if (repo_check_target_name(name, NULL) != UPT_OK)
		return;
	FUZZ_ASSERT(name[0] != '\0' && strlen(name) <= UPT_TARGET_NAME_MAX && !has_control(name));
	snprintf(around, sizeof(around), "/%s/", name);
	FUZZ_ASSERT(strstr(around, "//") == NULL && strstr(around, "/./") == NULL &&
		    strstr(around, "/../") == NULL);
}

static void
check_key(const char *name)
{
	if (repo_check_key_name(name, NULL) != UPT_OK)
		return;
	FUZZ_ASSERT(name[0] != '\0' && strlen(name) <= REPO_KEY_NAME_MAX && !has_control(name));
	FUZZ_ASSERT(strpbrk(name, "/\\ ") == NULL && strchr(".-", name[0]) == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const words[] = {"publish", "target add", "key"};
	upt_cleanup(upt_free_ptr) char *name = fuzz_string(upt_span(data, size));
	const char *nearest;

	check_role(name);
	check_target(name);
	check_key(name);
	nearest = repo_nearest(name, words, 3);
	FUZZ_ASSERT(nearest == NULL || strlen(nearest) + 11 > strlen(name));
	return 0;
}
