#include "imagerepo/imagerepo.h"

#include <stdlib.h>
#include "base/encode.h"
#include "imagerepo/agree.h"

/* One search: where it stands and what it has cost so far. */
struct walk {
	struct upt_trusted_set *set;
	const struct upt_search *search;
	const char *name;
	char name_hash[2 * UPT_HASH_MAX_BYTES + 1]; /* lower-case hex SHA-256 of name */
	struct upt_arena *arena;
	unsigned n_visited;
	/* Roles between the top level and here: a role that is met again below itself adds nothing.
	 */
	const char *path[64];
	unsigned depth;
	const char **visited; /* n_visited of at most limits.max_delegations */
	/* The last delegation whose roles list the target and do not agree, or NULL. */
	const char *disagreed;
};

static bool
lists_hardware(const struct upt_delegation *d, const char *hardware_id)
{
	if (!d->has_hardware_ids)
		return true;
	for (size_t i = 0; i < d->n_hardware_ids; i++) {
		if (strcmp(d->hardware_ids[i], hardware_id) == 0)
			return true;
	}
	return false;
}

static bool
lists_path(const struct walk *walk, const struct upt_delegation *d)
{
	for (size_t i = 0; i < d->n_paths; i++) {
		if (upt_path_matches(d->paths[i], walk->name, walk->search->star_crosses_slash))
			return true;
	}
	for (size_t i = 0; i < d->n_hash_prefixes; i++) {
		if (d->hash_prefixes[i][0] != '\0' && strncmp(walk->name_hash, d->hash_prefixes[i],
							      strlen(d->hash_prefixes[i])) == 0)
			return true;
	}
	return false;
}

static bool
on_path(const struct walk *walk, const char *role)
{
	for (unsigned i = 0; i < walk->depth; i++) {
		if (strcmp(walk->path[i], role) == 0)
			return true;
	}
	return false;
}

/* Plain TUF skips what it has visited. The Standard has each path to a role checked by its own
 * keys.
 */
static bool
is_skipped(const struct walk *walk, const char *role)
{
	if (!upt_trusted_set_policy(walk->set)->visit_roles_once)
		return on_path(walk, role);
	for (unsigned i = 0; i < walk->n_visited; i++) {
		if (strcmp(walk->visited[i], role) == 0)
			return true;
	}
	return false;
}

static enum upt_code
check_limits(const struct walk *walk, const char *role, struct upt_err *err)
{
	const struct upt_limits *limits = &upt_trusted_set_policy(walk->set)->limits;

	if (walk->n_visited >= limits->max_delegations)
		return upt_fail(err, UPT_E_DELEGATION,
			"image %s: more than %u delegated roles visited, at role %s", walk->name,
			limits->max_delegations, role);
	if (walk->depth >= limits->max_delegation_depth ||
		walk->depth >= sizeof(walk->path) / sizeof(walk->path[0]))
		return upt_fail(err, UPT_E_DELEGATION,
			"image %s: delegations deeper than %u, at role %s", walk->name,
			limits->max_delegation_depth, role);
	return UPT_OK;
}

/* Recursion ends: check_limits() is asked before each level. */
static enum upt_code search_role(struct walk *walk, const struct upt_metadata *role,
	struct upt_answer *out, struct upt_err *err);

/* What the role says, reached as this delegator names it. */
static enum upt_code
ask_role(struct walk *walk, const struct upt_metadata *delegator,
	const struct upt_delegated_role *as, struct upt_answer *out, struct upt_err *err)
{
	const struct upt_metadata *role;

	*out = (struct upt_answer){0};
	if (is_skipped(walk, as->name))
		return UPT_OK;
	UPT_TRY(check_limits(walk, as->name, err));
	walk->visited[walk->n_visited++] = as->name;
	/* Step 10.2: a role that cannot be had or verified ends the search; going on would let
	 * whoever withholds it hand the name to a role of lower priority. */
	UPT_TRY(upt_refresh_delegated(
		walk->set, walk->search->feed, delegator, as, walk->search->now, &role, err));
	walk->path[walk->depth++] = as->name;
	UPT_TRY(search_role(walk, role, out, err));
	walk->depth--;
	return UPT_OK;
}

/*
 * Step 10.6. Every role is asked, also when enough have agreed: otherwise whoever withholds one
 * decides which of two conflicting groups is complete first. What ends one role's own search is
 * its answer, and silences none of the others.
 */
static enum upt_code
ask_delegation(struct walk *walk, const struct upt_metadata *delegator,
	const struct upt_delegation *d, struct upt_answer *out, struct upt_err *err)
{
	upt_cleanup(upt_free_ptr) struct upt_answer *answers = calloc(d->n_roles, sizeof(*answers));

	*out = (struct upt_answer){0};
	if (answers == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a search");
	for (size_t i = 0; i < d->n_roles; i++)
		UPT_TRY(ask_role(walk, delegator, &d->roles[i], &answers[i], err));
	UPT_TRY(upt_answers_agree(answers, d->n_roles, d->min_roles, out, err));
	for (size_t i = 0; i < d->n_roles && out->lister == NULL; i++) {
		if (answers[i].lister != NULL)
			walk->disagreed = d->name;
	}
	return UPT_OK;
}

/* Steps 10.1 to 10.6 below one role, depth first in listed order. */
static enum upt_code
search_role(struct walk *walk, const struct upt_metadata *role, struct upt_answer *out,
	struct upt_err *err)
{
	long index = upt_targets_find(&role->targets, walk->name);

	*out = (struct upt_answer){0};
	if (index >= 0) {
		out->lister = role;
		return upt_targets_get(
			&role->targets, (size_t)index, walk->arena, &out->target, err);
	}
	for (size_t i = 0; i < role->targets.n_delegations; i++) {
		const struct upt_delegation *d = &role->targets.delegations[i];

		/* Step 10.5 */
		if (!lists_hardware(d, walk->search->hardware_id) || !lists_path(walk, d))
			continue;
		UPT_TRY(ask_delegation(walk, role, d, out, err));
		/* Step 10.3 */
		if (out->lister != NULL)
			return UPT_OK;
		/* Step 10.4 */
		out->terminated = out->terminated || d->terminating;
		if (out->terminated)
			return UPT_OK;
	}
	return UPT_OK;
}

static enum upt_code
fail_not_listed(const struct walk *walk, bool terminated, struct upt_err *err)
{
	const char *name = walk->name;

	if (walk->disagreed != NULL)
		return upt_fail(err, UPT_E_UNKNOWN_TARGET,
			"image %s: too few roles of delegation %s agree on it", name,
			walk->disagreed);
	return upt_fail(err, UPT_E_UNKNOWN_TARGET,
		"image %s: the Image repository does not list it%s", name,
		terminated ? " (a terminating delegation ended the search)" : "");
}

enum upt_code
upt_imagerepo_find(struct upt_trusted_set *set, const struct upt_search *search, const char *name,
	struct upt_arena *arena, struct upt_target *out, struct upt_err *err)
{
	struct walk walk = {.set = set, .search = search, .name = name, .arena = arena};
	const struct upt_metadata *top = upt_trusted_set_targets(set);
	struct upt_answer answer;
	struct upt_digest hash;

	*out = (struct upt_target){.format = ""};
	if (top == NULL)
		return upt_fail(err, UPT_E_INTERNAL, "search before current targets");
	walk.visited = upt_arena_alloc(arena,
		upt_trusted_set_policy(set)->limits.max_delegations + 1, sizeof(*walk.visited));
	if (walk.visited == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a search");
	UPT_TRY(upt_hash_span(UPT_HASH_SHA256, upt_span_str(name), &hash, err));
	upt_hex_encode(upt_span(hash.bytes, hash.len), walk.name_hash);
	if (err != NULL)
		err->repo = UPT_REPO_IMAGE;
	UPT_TRY(search_role(&walk, top, &answer, err));
	/* Steps 10.4, 10.7 */
	if (answer.lister == NULL)
		return fail_not_listed(&walk, answer.terminated, err);
	*out = answer.target;
	return UPT_OK;
}
