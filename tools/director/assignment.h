/*
 * What a vehicle's ECUs shall install. One change is one transaction, however many ECUs it names,
 * so that no vehicle ever sees half of an update. Uptane Standard 2.1 "director_repository".
 */
#ifndef UPT_TOOLS_DIRECTOR_ASSIGNMENT_H
#define UPT_TOOLS_DIRECTOR_ASSIGNMENT_H

#include "director.h"
#include "metadata/image.h"

#define ASSIGN_MAX_ECUS 64
#define TARGETS_FILE_MAX_BYTES ((size_t)64 * 1024 * 1024)
#define TARGET_CUSTOM_MAX_BYTES ((size_t)16 * 1024)
#define TARGET_URI_MAX 2048

/* One image and the ECUs that shall get it. */
struct assignment {
	const char *ecus[ASSIGN_MAX_ECUS]; /* borrowed */
	size_t n_ecus;
	bool clear; /* the ECUs shall get nothing; the rest is unused */
	struct upt_image image;
	struct upt_buf custom; /* JSON object: what travels with the target beside ecuIdentifiers */
	struct upt_buf hardware_ids; /* JSON array the ECUs' hardware ids must be in; empty: any */
};

/* Fits upt_cleanup(). */
void assignment_clear(struct assignment *assignment);

/*
 * Reads name's length, hashes and custom from a published targets metadata file. Its signatures are
 * not checked: the vehicle matches the target with the Image repository itself. UPT_E_NOT_FOUND
 * when the file does not list name.
 */
UPT_NODISCARD enum upt_code assignment_read_target(
	struct assignment *assignment, const char *path, const char *name, struct upt_err *err);
/* Custom of the named parts; format and uri may be NULL. */
UPT_NODISCARD enum upt_code assignment_set_custom(
	struct assignment *assignment, const char *format, const char *uri, struct upt_err *err);
/* Replaces the uri in custom. */
UPT_NODISCARD enum upt_code
assignment_set_uri(struct assignment *assignment, const char *uri, struct upt_err *err);
/* UPT_E_USAGE for a target name or uri that could not be signed or would be refused. */
UPT_NODISCARD enum upt_code assignment_check_name(const char *name, struct upt_err *err);

/*
 * Records n assignments of one vehicle. correlation_id NULL: a new random one. *changed is false
 * when everything was so already (a failed installation is always ordered anew). UPT_E_NOT_FOUND:
 * vehicle or ECU not registered; UPT_E_WRONG_HARDWARE; UPT_E_TARGET_MISMATCH: the name stands for
 * other content on another ECU of the vehicle; UPT_E_DUPLICATE_ECU: an ECU named twice.
 */
UPT_NODISCARD enum upt_code
assignment_record(struct director *d, const char *vehicle, const struct assignment *assignments,
	size_t n, const char *correlation_id, int64_t now, bool *changed, struct upt_err *err);

#endif
