/*
 * Internal to src/json: is a string in Unicode Normalization Form C (RFC 5198, UAX #15)? Works on
 * the raw string, character by character, in constant memory.
 */
#ifndef UPT_JSON_NFC_H
#define UPT_JSON_NFC_H

#include "json/json.h"

struct uninorm_filter;

/* Characters below this are their own NFC and combine with nothing in front of them. */
#define UPT_JSON_NFC_FIRST 0x300u

/* {0} is ready; one serves any number of strings. */
struct upt_json_nfc {
	struct uninorm_filter *filter;
	const uint8_t *expected, *end; /* what the normaliser has to give back next */
	size_t pending; /* characters given to it and not yet given back */
	bool differs;
};

/* UPT_E_MALFORMED with *reason when the checked raw string is not in NFC; UPT_E_NO_MEMORY. */
UPT_NODISCARD enum upt_code
upt_json_nfc_check(struct upt_json_nfc *nfc, struct upt_span raw, const char **reason);
void upt_json_nfc_clear(struct upt_json_nfc *nfc);

#endif
