/*
 * A file name that a Secondary asks its Primary for, against a store with documents that are called
 * as hostile roles are. The first byte says which repository, and how much may be answered. What is
 * answered is the document that the name spells, whole and within the bound; all else is absent.
 */
#include "fuzz.h"
#include "primary/internal.h"

static const char *const roles[] = {
	"timestamp", "snapshot", "targets", "a/b", "..", "1.x", "%41", "\xc3\xbc", "root.json"};

static struct upt_primary *
make_primary(void)
{
	static struct upt_primary p;
	struct upt_err err = {0};

	FUZZ_ASSERT(upt_store_open(fuzz_path("store"), UPT_STORE_WRITE, &p.store, &err) == UPT_OK);
	for (int repo = 0; repo < 2; repo++) {
		enum upt_repo id = repo == 0 ? UPT_REPO_DIRECTOR : UPT_REPO_IMAGE;

		for (uint64_t v = 1; v <= 3; v++)
			FUZZ_ASSERT(upt_store_save_root(p.store, id, v, upt_span_str("root"), false,
					    &err) == UPT_OK);
		for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
			FUZZ_ASSERT(upt_store_save_document(p.store, id, roles[i], 7,
					    upt_span_str(roles[i]), &err) == UPT_OK);
	}
	return &p;
}

/* The name with every %XX taken for its character; false for one that is none. */
static bool
decode(const char *name, char out[static 1024])
{
	size_t n = 0;

	for (; *name != '\0'; name++) {
		unsigned value = (unsigned char)*name;

		if (n == 1023)
			return false;
		if (*name == '%') {
			if (strspn(name + 1, "0123456789ABCDEF") < 2 ||
				sscanf(name + 1, "%2X", &value) != 1)
				return false;
			name += 2;
		}
		out[n++] = (char)value;
	}
	out[n] = '\0';
	return true;
}

/* The name's end is "ROLE.json", and before it there is nothing, a version or the folder. */
static bool
spells(const char *name, const char *role)
{
	char want[64], decoded[1024];
	size_t len, end;
	const char *rest;

	if (strncmp(name, "delegations/", 12) == 0)
		return spells(name + 12, role);
	if (!decode(name, decoded) || strchr(name, '/') != NULL)
		return false;
	snprintf(want, sizeof(want), "%s.json", role);
	len = strlen(decoded);
	end = strlen(want);
	if (len < end || strcmp(decoded + len - end, want) != 0)
		return false;
	rest = decoded + strspn(decoded, "0123456789");
	return len == end || (rest > decoded && *rest == '.' && strcmp(rest + 1, want) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct upt_primary *p;
	upt_cleanup(upt_buf_clear) struct upt_buf out = {0};
	struct upt_metadata_source source;
	upt_cleanup(upt_free_ptr) char *name = NULL;
	struct upt_err err = {0};
	enum upt_code code;
	size_t max;

	if (p == NULL)
		p = make_primary();
	if (size == 0 || size > 4096)
		return 0;
	max = (size_t)data[0] >> 1;
	name = fuzz_string(upt_span(data + 1, size - 1));
	source = upt_primary_source(p);
	code = source.fetch(source.ctx, data[0] & 1 ? UPT_REPO_IMAGE : UPT_REPO_DIRECTOR, name, max,
		&out, &err);
	FUZZ_ASSERT(code == UPT_OK || code == UPT_E_ABSENT || code == UPT_E_TOO_LARGE);
	if (code != UPT_OK) {
		FUZZ_ASSERT(out.len == 0);
		return 0;
	}
	FUZZ_ASSERT(out.len > 0 && out.len <= max);
	FUZZ_ASSERT(spells(name, (const char *)out.data));
	return 0;
}
