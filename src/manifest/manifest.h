/*
 * ECU version reports and the vehicle version manifest: made and signed on ECUs, checked by the
 * Director and by the Primary. Uptane Standard 2.1 "vehicle_version_manifest", "version_report",
 * "construct_manifest_primary"; field names as deployed servers read them (docs/pouf.md).
 * Thread-safety: no state.
 */
#ifndef UPT_MANIFEST_MANIFEST_H
#define UPT_MANIFEST_MANIFEST_H

#include <cjson/cJSON.h>
#include "metadata/image.h"

#define UPT_REPORT_MAX_BYTES ((size_t)16 * 1024)
#define UPT_MANIFEST_MAX_BYTES ((size_t)4 * 1024 * 1024)
#define UPT_VEHICLE_ID_MAX 128
#define UPT_ATTACKS_MAX 1024

/* One ECU's report (the signed part). */
struct upt_ecu_report {
	char ecu_serial[UPT_ECU_SERIAL_MAX + 1];
	struct upt_image installed;
	char attacks_detected[UPT_ATTACKS_MAX]; /* "" or comma-separated "attack:code[:repository]" */
	int64_t time;                           /* latest verifiable time */
	uint64_t report_counter;                /* differs in every report of this ECU */
};

/*
 * Signs a payload: {"signatures":[{"keyid","method","hash":{"function":"sha256","digest"},"sig"}],
 * "signed":...}; sig is base64 over the canonical form (printable ASCII, so all forms agree; else
 * UPT_JSON_UTF8's), digest is the SHA-256 of the same bytes (Standard: payload hash). out replaced.
 */
UPT_NODISCARD enum upt_code upt_manifest_sign(const cJSON *payload, const struct upt_private_key *key,
	struct upt_buf *out, struct upt_err *err);

UPT_NODISCARD enum upt_code upt_ecu_report_sign(const struct upt_ecu_report *report,
	const struct upt_private_key *key, struct upt_buf *out, struct upt_err *err);
/*
 * Checks envelope (strict JSON, one valid signature of key over `signed`, payload hash when given and
 * required in profile standard) and reads the report. UPT_E_MALFORMED, UPT_E_THRESHOLD.
 */
UPT_NODISCARD enum upt_code upt_ecu_report_check(struct upt_span envelope,
	const struct upt_public_key *key, struct upt_ecu_report *out, struct upt_err *err);

/* The vehicle version manifest. */
struct upt_vehicle_manifest {
	char vehicle_id[UPT_VEHICLE_ID_MAX + 1];
	char primary_serial[UPT_ECU_SERIAL_MAX + 1];
	size_t n_reports;
	struct upt_manifest_entry {
		char ecu_serial[UPT_ECU_SERIAL_MAX + 1];
		struct upt_span envelope; /* borrowed: the ECU's own signed report, byte for byte */
	} *reports;                       /* owned by whoever filled it (check: malloc'd) */
};
void upt_vehicle_manifest_clear(struct upt_vehicle_manifest *m);

/* installation_report: object for the "installation_report" field or NULL. */
UPT_NODISCARD enum upt_code upt_vehicle_manifest_sign(const struct upt_vehicle_manifest *m,
	const cJSON *installation_report, const struct upt_private_key *primary_key, struct upt_buf *out, struct upt_err *err);
/* Verifies the Primary's signature and splits the reports; each report is then checked with its own
 * ECU's key by upt_ecu_report_check(). envelope spans point into envelope. Refuses duplicate ECUs,
 * an entry whose inner ecu_serial would differ is refused by the caller. */
UPT_NODISCARD enum upt_code upt_vehicle_manifest_check(struct upt_span envelope,
	const struct upt_public_key *primary_key, struct upt_vehicle_manifest *out, struct upt_err *err);

#endif
