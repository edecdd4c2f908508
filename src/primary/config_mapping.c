/*
 * Additional repositories and which of them must agree on which targets: the repository mapping
 * (Uptane Standard 2.1, repo_mapping_meta; TAP 4). What could leave a target to fewer repositories
 * than its writer meant is refused here and by name, not found at the first cycle.
 */
#include <string.h>
#include "imagerepo/imagerepo.h"
#include "primary/config_internal.h"

#define BLANKS " \t"

const struct upt_repo_config *
upt_config_repo(const struct upt_config *config, size_t index)
{
	if (index == UPT_DIRECTOR_INDEX)
		return &config->director;
	return index == UPT_IMAGE_INDEX ? &config->image : &config->others[index - 2];
}

bool
upt_mapping_matches(const struct upt_config *config, const struct upt_mapping_config *mapping,
	const char *target)
{
	for (size_t i = 0; i < mapping->n_paths; i++) {
		if (upt_path_matches(mapping->paths[i], target, config->profile == UPT_PROFILE_OTA))
			return true;
	}
	return mapping->n_paths == 0;
}

static enum upt_code
fail_at(struct upt_config *c, const char *section, const char *name, const char *key,
	struct upt_err *err, const char *why)
{
	const struct upt_ini_entry *entry = upt_ini_find(&c->ini, section, name, key);

	return entry != NULL
		       ? upt_ini_fail(err, entry, "%s", why)
		       : upt_fail(err, UPT_E_CONFIG, "[%s %s] %s: %s", section, name, key, why);
}

/* ---- [repository NAME] ---- */

/* Part of lists (attacks_detected, a mapping's repositories) and of messages. */
static bool
is_repo_name(const char *name)
{
	static const char *const taken[] = {"director", "image", "image_repository", "other"};

	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		if (strcmp(taken[i], name) == 0)
			return false;
	}
	return name[0] != '\0' && strlen(name) <= UPT_REPO_NAME_MAX &&
	       name[strspn(name,
		       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")] ==
		       '\0';
}

/* One server asked twice would count for two. */
static enum upt_code
check_distinct_url(struct upt_config *c, const struct upt_repo_config *repo, struct upt_err *err)
{
	for (size_t i = 0; i < 2 + c->n_others; i++) {
		const struct upt_repo_config *other = upt_config_repo(c, i);

		if (strcmp(other->url, repo->url) == 0)
			return upt_ini_fail(err,
				upt_ini_find(&c->ini, "repository", repo->name, "url"),
				"'%s' is the url of %s already", repo->url, other->name);
	}
	return UPT_OK;
}

static enum upt_code
parse_other(
	struct upt_config *c, const char *name, struct upt_repo_config *repo, struct upt_err *err)
{
	static const char *const kinds[] = {"director", "image"};
	size_t kind;

	if (!is_repo_name(name))
		return upt_fail(err, UPT_E_CONFIG,
			"[repository %.40s]: a name has 1 to %d of A-Z, a-z, 0-9, '_', '.', '-', "
			"and is not director, image, image_repository or other",
			name, UPT_REPO_NAME_MAX);
	UPT_TRY(upt_config_parse_choice(c, "repository", name, "kind", kinds, 2, NULL, &kind, err));
	UPT_TRY(upt_config_parse_repo(c, "repository", name, kind == 0, repo, err));
	return check_distinct_url(c, repo, err);
}

static enum upt_code
parse_others(struct upt_config *c, struct upt_err *err)
{
	const char *name = NULL;
	size_t n = 0;

	while ((name = upt_ini_next_argument(&c->ini, "repository", name)) != NULL)
		n++;
	if (n > UPT_MAX_OTHER_REPOS)
		return upt_fail(err, UPT_E_CONFIG,
			"%zu [repository] sections, more than the %d supported", n,
			UPT_MAX_OTHER_REPOS);
	c->others = upt_arena_alloc(&c->ini.arena, n + 1, sizeof(*c->others));
	if (c->others == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for %zu repositories", n);
	while ((name = upt_ini_next_argument(&c->ini, "repository", name)) != NULL) {
		UPT_TRY(parse_other(c, name, &c->others[c->n_others], err));
		c->n_others++;
	}
	return UPT_OK;
}

/* ---- [mapping NAME] ---- */

/* The words of a value, in the configuration's arena. */
static enum upt_code
split(struct upt_config *c, const struct upt_ini_entry *entry, size_t max, const char ***out,
	size_t *n_out, struct upt_err *err)
{
	const char **words = upt_arena_alloc(&c->ini.arena, max, sizeof(*words));
	const char *p = entry->value + strspn(entry->value, BLANKS);
	size_t n = 0;

	for (; *p != '\0' && words != NULL; n++) {
		size_t len = strcspn(p, BLANKS);

		if (n == max)
			return upt_ini_fail(err, entry, "more than %zu words", max);
		words[n] = upt_arena_string(&c->ini.arena, upt_span(p, len));
		if (words[n] == NULL)
			break;
		p += len;
		p += strspn(p, BLANKS);
	}
	if (words == NULL || *p != '\0')
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a mapping");
	*out = words;
	*n_out = n;
	return n > 0 ? UPT_OK : upt_ini_fail(err, entry, "names nothing");
}

/* The index of the repository of that name, or UPT_MAX_REPOS. */
static size_t
find_repo(const struct upt_config *c, const char *name)
{
	for (size_t i = 0; i < 2 + c->n_others; i++) {
		if (strcmp(upt_config_repo(c, i)->name, name) == 0)
			return i;
	}
	return UPT_MAX_REPOS;
}

/* The order in which they are asked: the Standard's, Directors before Image repositories. */
static unsigned
rank(const struct upt_config *c, size_t index)
{
	if (upt_config_repo(c, index)->is_director)
		return index == UPT_DIRECTOR_INDEX ? 0 : 1;
	return index == UPT_IMAGE_INDEX ? 2 : 3;
}

static void
insert_repo(const struct upt_config *c, struct upt_mapping_config *m, size_t index)
{
	size_t at = m->n_repos++;

	for (; at > 0 && rank(c, m->repos[at - 1]) > rank(c, index); at--)
		m->repos[at] = m->repos[at - 1];
	m->repos[at] = index;
}

static bool
names_repo(const struct upt_mapping_config *m, size_t index)
{
	for (size_t i = 0; i < m->n_repos; i++) {
		if (m->repos[i] == index)
			return true;
	}
	return false;
}

/* A thief of one key must not be enough: the vehicle's Director and who vouches for images, both.
 */
static enum upt_code
check_kinds(struct upt_config *c, const struct upt_mapping_config *m, struct upt_err *err)
{
	if (!names_repo(m, UPT_DIRECTOR_INDEX))
		return fail_at(
			c, "mapping", m->name, "repositories", err, "director is not among them");
	if (upt_config_repo(c, m->repos[m->n_repos - 1])->is_director)
		return fail_at(c, "mapping", m->name, "repositories", err,
			"no Image repository is among them");
	return UPT_OK;
}

static enum upt_code
parse_repos(struct upt_config *c, struct upt_mapping_config *m, struct upt_err *err)
{
	const struct upt_ini_entry *entry =
		upt_ini_find(&c->ini, "mapping", m->name, "repositories");
	const char **names;
	size_t n, index;

	if (entry == NULL)
		return fail_at(c, "mapping", m->name, "repositories", err, "is required");
	UPT_TRY(split(c, entry, UPT_MAX_REPOS, &names, &n, err));
	for (size_t i = 0; i < n; i++) {
		index = find_repo(c, names[i]);
		if (index == UPT_MAX_REPOS)
			return upt_ini_fail(err, entry, "there is no repository '%s'", names[i]);
		if (names_repo(m, index))
			return upt_ini_fail(err, entry, "'%s' is named twice", names[i]);
		insert_repo(c, m, index);
	}
	return check_kinds(c, m, err);
}

static enum upt_code
parse_mapping(
	struct upt_config *c, const char *name, struct upt_mapping_config *m, struct upt_err *err)
{
	const struct upt_ini_entry *paths = upt_ini_find(&c->ini, "mapping", name, "paths");
	uint64_t threshold;

	m->name = name;
	if (paths != NULL)
		UPT_TRY(split(c, paths, UPT_MAX_MAPPING_PATHS, &m->paths, &m->n_paths, err));
	UPT_TRY(parse_repos(c, m, err));
	UPT_TRY(upt_ini_u64(
		&c->ini, "mapping", name, "threshold", m->n_repos, 2, m->n_repos, &threshold, err));
	m->threshold = (size_t)threshold;
	/* The vehicle's Director and one Image repository are always among those that agree. */
	if (threshold == 2 && rank(c, m->repos[1]) == 1)
		return fail_at(c, "mapping", name, "threshold", err,
			"2 are director and an Image repository: another Director would have no "
			"say");
	return upt_ini_bool(&c->ini, "mapping", name, "terminating", true, &m->terminating, err);
}

/* ---- what would be without effect ---- */

/*
 * True when pattern matches every name that other (NULL: no pattern, every name) matches. May miss
 * some that do: only those without '?' and brackets are looked into, where each '*' of other can
 * only be met by a '*' of pattern.
 */
static bool
covers(const struct upt_config *c, const char *pattern, const char *other)
{
	bool crosses = c->profile == UPT_PROFILE_OTA;

	if (crosses && pattern[strspn(pattern, "*")] == '\0')
		return true;
	if (other == NULL)
		return false;
	if (strcmp(pattern, other) == 0)
		return true;
	return strpbrk(pattern, "?[]") == NULL && strpbrk(other, "[]") == NULL &&
	       upt_path_matches(pattern, other, crosses);
}

/* The terminating mapping before m that takes everything of a pattern; NULL when none does. */
static const struct upt_mapping_config *
find_cover(const struct upt_config *c, const struct upt_mapping_config *m, const char *pattern)
{
	for (const struct upt_mapping_config *before = c->mappings; before < m; before++) {
		bool covered = before->n_paths == 0;

		for (size_t i = 0; i < before->n_paths && !covered; i++)
			covered = covers(c, before->paths[i], pattern);
		if (covered && before->terminating)
			return before;
	}
	return NULL;
}

/* A rule that never applies is one that its writer believes in. */
static enum upt_code
check_reachable(struct upt_config *c, const struct upt_mapping_config *m, struct upt_err *err)
{
	size_t n = m->n_paths > 0 ? m->n_paths : 1;

	for (size_t i = 0; i < n; i++) {
		const char *pattern = m->n_paths > 0 ? m->paths[i] : NULL;
		const struct upt_mapping_config *before = find_cover(c, m, pattern);

		if (before != NULL)
			return upt_fail(err, UPT_E_CONFIG,
				"[mapping %s] can never match %s: [mapping %s] before it is "
				"terminating and does",
				m->name, pattern != NULL ? pattern : "anything", before->name);
	}
	return UPT_OK;
}

static enum upt_code
check_all_repos_used(const struct upt_config *c, struct upt_err *err)
{
	for (size_t i = 0; i < 2 + c->n_others; i++) {
		bool used = false;

		for (size_t k = 0; k < c->n_mappings; k++)
			used = used || names_repo(&c->mappings[k], i);
		if (!used)
			return upt_fail(err, UPT_E_CONFIG, "repository %s is in no [mapping]",
				upt_config_repo(c, i)->name);
	}
	return UPT_OK;
}

/* Without a mapping both basic repositories must agree on everything. */
static void
imply_mapping(struct upt_config *c)
{
	c->mappings[0] = (struct upt_mapping_config){.n_repos = 2,
		.repos = {UPT_DIRECTOR_INDEX, UPT_IMAGE_INDEX},
		.threshold = 2,
		.terminating = true};
	c->n_mappings = 1;
}

enum upt_code
upt_config_parse_mappings(struct upt_config *c, struct upt_err *err)
{
	const char *name = NULL;
	size_t n = 0;

	UPT_TRY(parse_others(c, err));
	while ((name = upt_ini_next_argument(&c->ini, "mapping", name)) != NULL)
		n++;
	if (n > UPT_MAX_MAPPINGS)
		return upt_fail(err, UPT_E_CONFIG,
			"%zu [mapping] sections, more than the %d supported", n, UPT_MAX_MAPPINGS);
	c->mappings = upt_arena_alloc(&c->ini.arena, n + 1, sizeof(*c->mappings));
	if (c->mappings == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for %zu mappings", n);
	while ((name = upt_ini_next_argument(&c->ini, "mapping", name)) != NULL) {
		UPT_TRY(parse_mapping(c, name, &c->mappings[c->n_mappings], err));
		UPT_TRY(check_reachable(c, &c->mappings[c->n_mappings], err));
		c->n_mappings++;
	}
	if (c->n_mappings == 0)
		imply_mapping(c);
	return check_all_repos_used(c, err);
}
