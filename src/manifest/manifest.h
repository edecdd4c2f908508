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
#define UPT_MANIFEST_MAX_REPORTS 1024
#define UPT_MANIFEST_MAX_SIGNATURES 8
#define UPT_VEHICLE_ID_MAX 128
#define UPT_ATTACKS_MAX 1024

/*
 * What a reader insists on. STANDARD: everything the Standard asks for. OTA: clients of that
 * dialect leave out the payload hash, the vehicle's id and the report counter; each is checked when
 * it is there.
 */
enum upt_manifest_profile {
	UPT_MANIFEST_STANDARD = 0,
	UPT_MANIFEST_OTA,
};

/* One ECU's report (the signed part). */
struct upt_ecu_report {
	char ecu_serial[UPT_ECU_SERIAL_MAX + 1];
	struct upt_image installed; /* name "" when the ECU does not know */
	/* "" or comma-separated "attack:code[:repository]" */
	char attacks_detected[UPT_ATTACKS_MAX];
	int64_t time; /* latest verifiable time */
	uint64_t report_counter; /* differs in every report of this ECU; 0..2^53-1 */
};

/*
 * An integer member of a payload, exact up to 2^53-1: cJSON alone would print 10^15 as 1e+15, which
 * is no integer to any reader of signed text. False without memory or above 2^53-1.
 */
UPT_NODISCARD bool upt_manifest_add_u64(cJSON *object, const char *name, uint64_t value);

/*
 * Signs a payload: {"signatures":[{"hash":{"digest","function":"sha256"},"keyid","method","sig"}],
 * "signed":...}, in canonical form itself; sig is base64 over the canonical form (printable ASCII,
 * so all forms agree; else UPT_JSON_UTF8's), digest is the SHA-256 of the same bytes (Standard:
 * payload hash). out replaced; empty on failure. UPT_E_MALFORMED when the payload is no object, or
 * holds what no signed text may hold (a fraction, a number above 2^53-1, broken UTF-8, one key
 * twice); UPT_E_NO_MEMORY, UPT_E_INTERNAL.
 */
UPT_NODISCARD enum upt_code upt_manifest_sign(const cJSON *payload,
	const struct upt_private_key *key, struct upt_buf *out, struct upt_err *err);

/*
 * Signs an ECU's report. installed.name "" is written as "unknown" with the hash of no bytes, as
 * deployed servers expect it. UPT_E_MALFORMED for an empty serial, an image without hashes,
 * control characters, a number above 2^53-1.
 */
UPT_NODISCARD enum upt_code upt_ecu_report_sign(const struct upt_ecu_report *report,
	const struct upt_private_key *key, struct upt_buf *out, struct upt_err *err);
/*
 * Checks envelope and reads the report; out is zero on refusal. UPT_E_TOO_LARGE above
 * UPT_REPORT_MAX_BYTES; UPT_E_MALFORMED for anything but strict JSON with every field the profile
 * asks for; UPT_E_DUPLICATE_KEYID; UPT_E_THRESHOLD unless key signed this payload (a payload hash
 * of other bytes, an unknown method or hash function never counts); UPT_E_NO_MEMORY. The caller
 * compares ecu_serial and report_counter with what it knows.
 */
UPT_NODISCARD enum upt_code upt_ecu_report_check(struct upt_span envelope,
	const struct upt_public_key *key, struct upt_ecu_report *out, struct upt_err *err);
/* The same for a reader of that profile; the plain name is STANDARD. */
UPT_NODISCARD enum upt_code
upt_ecu_report_check_as(enum upt_manifest_profile profile, struct upt_span envelope,
	const struct upt_public_key *key, struct upt_ecu_report *out, struct upt_err *err);

/* The vehicle version manifest. */
struct upt_vehicle_manifest {
	char vehicle_id[UPT_VEHICLE_ID_MAX + 1]; /* "": left out (profile ota) */
	char primary_serial[UPT_ECU_SERIAL_MAX + 1];
	size_t n_reports;
	struct upt_manifest_entry {
		char ecu_serial[UPT_ECU_SERIAL_MAX + 1];
		struct upt_span envelope; /* borrowed: the ECU's own signed report, byte for byte */
	} * reports; /* owned by whoever filled it (check: malloc'd) */
	struct upt_span
		installation_report; /* check: borrowed JSON object, empty when there is none */
};
/* Frees reports (malloc'd) and empties m; fits upt_cleanup(). */
void upt_vehicle_manifest_clear(struct upt_vehicle_manifest *m);
/* The ECU's entry; NULL when the manifest has none. */
const struct upt_manifest_entry *
upt_vehicle_manifest_find(const struct upt_vehicle_manifest *m, const char *ecu_serial);

/*
 * Signs m with the Primary's key; m->installation_report is not read, installation_report is the
 * object for that field or NULL. Every report goes in as it was signed. UPT_E_MALFORMED for a
 * report that is no strict JSON object, an ECU that comes twice, an empty serial; UPT_E_TOO_LARGE
 * above UPT_MANIFEST_MAX_BYTES or UPT_MANIFEST_MAX_REPORTS, which no server would take.
 */
UPT_NODISCARD enum upt_code
upt_vehicle_manifest_sign(const struct upt_vehicle_manifest *m, const cJSON *installation_report,
	const struct upt_private_key *primary_key, struct upt_buf *out, struct upt_err *err);
/*
 * Verifies the Primary's signature and splits the reports; codes as upt_ecu_report_check. Each
 * report is then checked with its own ECU's key by upt_ecu_report_check(), and the caller refuses
 * one whose inner ecu_serial differs from the entry's. Spans of out point into envelope. Refuses an
 * ECU that comes twice; ECUs that are missing are the caller's to find.
 */
UPT_NODISCARD enum upt_code
upt_vehicle_manifest_check(struct upt_span envelope, const struct upt_public_key *primary_key,
	struct upt_vehicle_manifest *out, struct upt_err *err);
/* The same for a reader of that profile; the plain name is STANDARD. */
UPT_NODISCARD enum upt_code upt_vehicle_manifest_check_as(enum upt_manifest_profile profile,
	struct upt_span envelope, const struct upt_public_key *primary_key,
	struct upt_vehicle_manifest *out, struct upt_err *err);

#endif
