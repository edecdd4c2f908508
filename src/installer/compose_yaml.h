/*
 * YAML as a compose file needs it, and nothing that makes YAML dangerous: one document of scalars,
 * lists and maps, bounded in size, depth and number; anchors, aliases, tags, directives and doubled
 * keys are refused, so that a page of text cannot become gigabytes and two readers cannot read it
 * differently. Thread-safety: all state is the caller's.
 */
#ifndef UPT_INSTALLER_COMPOSE_YAML_H
#define UPT_INSTALLER_COMPOSE_YAML_H

#include "base/arena.h"

#define UPT_YAML_MAX_BYTES ((size_t)256 * 1024)
#define UPT_YAML_MAX_DEPTH 8
#define UPT_YAML_MAX_NODES 16384

enum upt_yaml_type {
	UPT_YAML_SCALAR = 0,
	UPT_YAML_LIST,
	UPT_YAML_MAP,
};

struct upt_yaml {
	enum upt_yaml_type type;
	unsigned line; /* counted from 1; of a member, that of its key */
	bool plain; /* a scalar without quotes, which a reader may take for a number or truth value
		     */
	const char *text; /* of a scalar */
	const char *key; /* of a member of a map */
	struct upt_yaml *first, *next; /* elements or members, in order */
};

/*
 * Reads text into the arena. UPT_E_MALFORMED with "line N: reason"; UPT_E_TOO_LARGE;
 * UPT_E_NO_MEMORY. *out is NULL then.
 */
UPT_NODISCARD enum upt_code upt_yaml_read(
	struct upt_arena *arena, struct upt_span text, struct upt_yaml **out, struct upt_err *err);

#endif
