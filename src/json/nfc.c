#include "json/nfc.h"

#include <uninorm.h>
#include "json/chars.h"

/* The next decoded character of a checked raw string; false at its end. */
static bool
next_char(const uint8_t **pos, const uint8_t *end, ucs4_t *c)
{
	const char *reason;
	uint32_t value;

	if (*pos >= end)
		return false;
	reason = **pos == '\\' ? upt_json_read_escape(pos, end, &value)
			       : upt_json_read_utf8(pos, end, &value);
	if (reason != NULL)
		return false;
	*c = value;
	return true;
}

/* Called with each normalised character: it has to be the next one of the string itself. */
static int
compare_char(void *context, ucs4_t normalised)
{
	struct upt_json_nfc *nfc = context;
	ucs4_t expected;

	if (!next_char(&nfc->expected, nfc->end, &expected) || expected != normalised)
		nfc->differs = true;
	else
		nfc->pending--;
	return 0;
}

/*
 * The normaliser holds a base character and its marks back until the next base character. Without
 * the bound, a string of nothing but marks would have it hold, and sort, the whole string.
 */
static const char *
fault(const struct upt_json_nfc *nfc)
{
	if (nfc->differs)
		return "string not in Unicode Normalization Form C";
	if (nfc->pending > 1 + UPT_JSON_MAX_MARKS)
		return "too many combining marks in a row";
	return NULL;
}

enum upt_code
upt_json_nfc_check(struct upt_json_nfc *nfc, struct upt_span raw, const char **reason)
{
	const uint8_t *pos = raw.data;
	ucs4_t c;

	*reason = NULL;
	if (nfc->filter == NULL)
		nfc->filter = uninorm_filter_create(UNINORM_NFC, compare_char, nfc);
	if (nfc->filter == NULL)
		return UPT_E_NO_MEMORY;
	nfc->expected = raw.data;
	nfc->end = raw.data + raw.len;
	nfc->pending = 0;
	nfc->differs = false;
	while (next_char(&pos, nfc->end, &c)) {
		nfc->pending++;
		if (uninorm_filter_write(nfc->filter, c) != 0)
			return UPT_E_NO_MEMORY;
		*reason = fault(nfc);
		if (*reason != NULL)
			return UPT_E_MALFORMED;
	}
	if (uninorm_filter_flush(nfc->filter) != 0)
		return UPT_E_NO_MEMORY;
	/* What the normaliser swallowed was not its own normal form. */
	if (nfc->pending != 0)
		nfc->differs = true;
	*reason = fault(nfc);
	return *reason == NULL ? UPT_OK : UPT_E_MALFORMED;
}

void
upt_json_nfc_clear(struct upt_json_nfc *nfc)
{
	if (nfc->filter != NULL)
		uninorm_filter_free(nfc->filter);
	*nfc = (struct upt_json_nfc){0};
}
