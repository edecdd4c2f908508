/*
 * Shared by the files that read the Primary's configuration.
 */
#ifndef UPT_PRIMARY_CONFIG_INTERNAL_H
#define UPT_PRIMARY_CONFIG_INTERNAL_H

#include "primary/config.h"

/* A section that describes a repository: [director], [image_repository], [repository NAME]. */
UPT_NODISCARD enum upt_code upt_config_parse_repo(struct upt_config *c, const char *section,
	const char *arg, bool is_director, struct upt_repo_config *repo, struct upt_err *err);
/* The index in names of a key's value; fallback NULL: the key is required. */
UPT_NODISCARD enum upt_code upt_config_parse_choice(struct upt_config *c, const char *section,
	const char *arg, const char *key, const char *const *names, size_t n_names,
	const char *fallback, size_t *out, struct upt_err *err);

/* config_mapping.c: [repository NAME] and [mapping NAME], after the two basic repositories. */
UPT_NODISCARD enum upt_code upt_config_parse_mappings(struct upt_config *c, struct upt_err *err);

/* config_gates.c: [gates]. */
UPT_NODISCARD enum upt_code upt_config_parse_gates(struct upt_config *c, struct upt_err *err);

#endif
