/*
 * Byte limits and counts that bound what a server can make a client receive, hold or compute
 * (endless data). Uptane Standard 2.1, steps "size limit" of each role; defaults in DESIGN terms.
 */
#ifndef UPT_METADATA_LIMITS_H
#define UPT_METADATA_LIMITS_H

#include <stddef.h>
#include <stdint.h>

struct upt_limits {
	size_t root_max_bytes;
	size_t timestamp_max_bytes;
	size_t snapshot_max_bytes;
	size_t targets_max_bytes; /* top-level targets */
	size_t delegated_max_bytes; /* each delegated targets file */
	unsigned max_root_steps; /* new roots in one cycle */
	/* Delegated roles visited in one search; what all searches of a cycle load may be as much
	 * as one of them, max_delegations times delegated_max_bytes. */
	unsigned max_delegations;
	unsigned max_delegation_depth;
};

#define UPT_LIMITS_DIRECTOR                                                                        \
	((struct upt_limits){.root_max_bytes = 256 * 1024,                                         \
		.timestamp_max_bytes = 16 * 1024,                                                  \
		.snapshot_max_bytes = 2 * 1024 * 1024,                                             \
		.targets_max_bytes = 256 * 1024,                                                   \
		.delegated_max_bytes = 0,                                                          \
		.max_root_steps = 1024})

#define UPT_LIMITS_IMAGE                                                                           \
	((struct upt_limits){.root_max_bytes = 256 * 1024,                                         \
		.timestamp_max_bytes = 16 * 1024,                                                  \
		.snapshot_max_bytes = 2 * 1024 * 1024,                                             \
		.targets_max_bytes = 8 * 1024 * 1024,                                              \
		.delegated_max_bytes = 8 * 1024 * 1024,                                            \
		.max_root_steps = 1024,                                                            \
		.max_delegations = 64,                                                             \
		.max_delegation_depth = 8})

/* Inside one document. */
#define UPT_MAX_KEYS 512
#define UPT_MAX_SIGNATURES 512
#define UPT_MAX_WRONG_SIGNATURES 16 /* by keys of the role; others are not tried */
#define UPT_MAX_ROLE_KEYIDS 512
#define UPT_MAX_KEYID_BYTES 256
#define UPT_MAX_ROLE_NAME_BYTES 256
#define UPT_MAX_SNAPSHOT_FILES 65536
#define UPT_MAX_DELEGATED_ROLES 1024
#define UPT_MAX_MULTI_ROLES 32 /* that one delegation names */
#define UPT_MAX_PATHS 4096
#define UPT_MAX_TARGETS 1000000
#define UPT_MAX_TARGET_ECUS 1024
#define UPT_MAX_HARDWARE_IDS 1024
#define UPT_MAX_INSTALL_AFTER 64

#endif
