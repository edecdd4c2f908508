/*
 * The envelope of reports and manifests: one ECU's key, a payload hash beside the signature.
 * Private to src/manifest. Uptane Standard 2.1 "vehicle_version_manifest" (signature fields).
 * Thread-safety: no state.
 */
#ifndef UPT_MANIFEST_SIGNED_H
#define UPT_MANIFEST_SIGNED_H

#include "manifest/manifest.h"
#include "metadata/envelope.h"

/*
 * Checks text of at most max_bytes and one signature of key over its payload. *payload points into
 * text. Codes as upt_ecu_report_check(). what: "vehicle manifest".
 */
UPT_NODISCARD enum upt_code upt_manifest_open(struct upt_span text, size_t max_bytes,
	const struct upt_public_key *key, enum upt_manifest_profile profile, const char *what,
	struct upt_arena *arena, struct upt_span *payload, struct upt_err *err);

#endif
