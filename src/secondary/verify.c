/*
 * Full verification on the Secondary: the same trusted set, refresh driver, Director's rules and
 * delegation search as on the Primary, over the Secondary's own state.
 */
#include "secondary/agent_internal.h"

#include "director/director.h"

struct repo_feed {
	struct upt_agent *agent;
	enum upt_repo repo;
	const struct upt_agent_source *source; /* NULL: nothing newer than what is stored */
};

/* ---- feed ---- */

/* What stands behind the version of "7.snapshot.json"; the name itself without one. */
static const char *
unversioned(const char *file_name)
{
	size_t digits = strspn(file_name, "0123456789");

	return digits > 0 && file_name[digits] == '.' ? file_name + digits + 1 : file_name;
}

/*
 * "timestamp.json", "7.snapshot.json", "5.targets.json": the stored copy, as if the Primary served
 * it. A delegated role was looked for among the stored ones before anybody asks here.
 */
static enum upt_code
fetch_stored(
	const struct repo_feed *f, const char *file_name, struct upt_buf *out, struct upt_err *err)
{
	static const struct {
		const char *file, *role;
	} rows[] = {{"timestamp.json", "timestamp"}, {"snapshot.json", "snapshot"},
		{"targets.json", "targets"}};
	const char *name = unversioned(file_name);

	if (strcmp(name, "root.json") == 0)
		return upt_fail(err, UPT_E_ABSENT, "no newer root is stored");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(name, rows[i].file) == 0)
			return upt_state_load(f->agent->state, f->repo, rows[i].role, out, err);
	}
	return upt_fail(err, UPT_E_NOT_FOUND,
		"no stored copy of %s is current: the metadata has to be verified again",
		file_name);
}

static enum upt_code
feed_fetch(void *ctx, const char *file_name, size_t max_bytes, struct upt_buf *out,
	struct upt_err *err)
{
	const struct repo_feed *f = ctx;

	if (f->source == NULL)
		return fetch_stored(f, file_name, out, err);
	return f->source->fetch(f->source->ctx, f->repo, file_name, max_bytes, out, err);
}

static enum upt_code
feed_load(void *ctx, const char *role_name, struct upt_buf *out, struct upt_err *err)
{
	const struct repo_feed *f = ctx;

	return upt_state_load(f->agent->state, f->repo, role_name, out, err);
}

static enum upt_code
feed_save(void *ctx, const char *role_name, uint64_t version, struct upt_span bytes,
	struct upt_err *err)
{
	const struct repo_feed *f = ctx;

	upt_log(f->agent->log, UPT_LOG_DEBUG, "accepted %s %s v%ju", upt_repo_name(f->repo),
		role_name, (uintmax_t)version);
	return upt_state_save(f->agent->state, f->repo, role_name, bytes, err);
}

static enum upt_code
feed_save_root(
	void *ctx, uint64_t version, struct upt_span bytes, bool drop_others, struct upt_err *err)
{
	const struct repo_feed *f = ctx;

	upt_log(f->agent->log, UPT_LOG_INFO, "accepted %s root v%ju", upt_repo_name(f->repo),
		(uintmax_t)version);
	return upt_state_save_root(f->agent->state, f->repo, version, bytes, drop_others, err);
}

static enum upt_code
feed_forget(void *ctx, const char *role_name, struct upt_err *err)
{
	const struct repo_feed *f = ctx;

	upt_log(f->agent->log, UPT_LOG_WARNING,
		"the stored %s %s does not verify any more: dropped", upt_repo_name(f->repo),
		role_name);
	return upt_state_forget(f->agent->state, f->repo, role_name, err);
}

static struct upt_feed
feed_of(struct repo_feed *f)
{
	return (struct upt_feed){.ctx = f,
		.fetch = feed_fetch,
		.load = feed_load,
		.save = feed_save,
		.save_root = feed_save_root,
		.forget = feed_forget};
}

/* ---- policy ---- */

struct upt_trust_policy
upt_agent_policy(const struct upt_agent *agent, enum upt_repo repo, const void *vehicle)
{
	struct upt_trust_policy policy = upt_trust_policy_uptane(repo, agent->config.profile_ota);

	policy.check_rules = repo == UPT_REPO_DIRECTOR ? upt_director_check_rules : NULL;
	policy.rules_ctx = repo == UPT_REPO_DIRECTOR ? vehicle : NULL;
	return policy;
}

static enum upt_code
refresh(struct upt_agent *agent, enum upt_repo repo, const struct upt_vehicle *vehicle,
	struct repo_feed *f, int64_t now, struct upt_trusted_set **set, struct upt_err *err)
{
	struct upt_trust_policy policy = upt_agent_policy(agent, repo, vehicle);
	struct upt_feed feed = feed_of(f);
	bool changed;

	UPT_TRY(upt_trusted_set_new(&policy, set, err));
	return upt_refresh(*set, &feed, now, &changed, err);
}

/* ---- step 10: what both repositories say of this ECU's image ---- */

/* What this agent can put in place. A format it does not know could mean anything. */
static enum upt_code
check_format(const struct upt_target *director, const struct upt_target *image, struct upt_err *err)
{
	const char *format = image->format[0] != '\0' ? image->format : director->format;

	if (format[0] == '\0' || strcmp(format, "BINARY") == 0)
		return UPT_OK;
	return upt_fail(err, UPT_E_UNSUPPORTED, "image %s is of format %s; this ECU takes BINARY",
		image->image.name, format);
}

static enum upt_code
match(struct upt_agent *agent, struct upt_trusted_set *set, struct repo_feed *f, int64_t now,
	struct upt_arena *arena, struct upt_agent_assignment *a, struct upt_err *err)
{
	struct upt_feed feed = feed_of(f);
	struct upt_search search = {.feed = &feed,
		.now = now,
		.hardware_id = agent->config.hardware_id,
		.star_crosses_slash = agent->config.profile_ota};
	struct upt_image installed;
	enum upt_code code;

	UPT_TRY(upt_imagerepo_find(set, &search, a->director.image.name, arena, &a->image, err));
	/* The record counts even if somebody replaced the file: a release counter only rises. */
	code = upt_state_get_image(agent->state, UPT_STATE_INSTALLED, &installed, err);
	if (code != UPT_OK && code != UPT_E_NOT_FOUND)
		return code;
	UPT_TRY(upt_imagerepo_match(&a->director, &a->image,
		&(struct upt_match){.hardware_id = agent->config.hardware_id,
			.installed = code == UPT_OK ? &installed : NULL,
			.hardware_ids_optional = agent->config.profile_ota},
		err));
	return check_format(&a->director, &a->image, err);
}

static enum upt_code
assignment_of(const struct upt_trusted_set *director, const struct upt_vehicle *vehicle,
	struct upt_arena *arena, struct upt_agent_assignment *out, struct upt_err *err)
{
	struct upt_assignment *list;
	size_t n;

	if (err != NULL)
		err->repo = UPT_REPO_DIRECTOR;
	UPT_TRY(upt_director_assignments(
		upt_trusted_set_targets(director), vehicle, arena, &list, &n, err));
	out->assigned = n > 0;
	if (n > 0)
		out->director = list[0].target;
	return UPT_OK;
}

enum upt_code
upt_agent_verify(struct upt_agent *agent, const struct upt_agent_source *source,
	struct upt_arena *arena, struct upt_agent_assignment *out, struct upt_err *err)
{
	upt_cleanup(upt_trusted_set_free) struct upt_trusted_set *director = NULL;
	upt_cleanup(upt_trusted_set_free) struct upt_trusted_set *image = NULL;
	struct repo_feed director_feed = {agent, UPT_REPO_DIRECTOR, source};
	struct repo_feed image_feed = {agent, UPT_REPO_IMAGE, source};
	const struct upt_vehicle_ecu self = {agent->config.serial, agent->config.hardware_id};
	const struct upt_vehicle vehicle = {.vehicle_id = agent->config.vehicle_id,
		.require_vehicle_id = !agent->config.profile_ota,
		.knows_all_ecus = false,
		.n_ecus = 1,
		.ecus = &self};
	struct upt_agent_assignment found = {0};
	int64_t now = upt_agent_now(agent);

	*out = (struct upt_agent_assignment){0};
	/* full_verification, steps 2 to 5 */
	UPT_TRY(refresh(agent, UPT_REPO_DIRECTOR, &vehicle, &director_feed, now, &director, err));
	/* Steps 6 to 9. Also without an assignment: roots of a repository that rotates its keys are
	 * followed one by one, and an ECU that idles for years should not have to catch up at once.
	 */
	UPT_TRY(refresh(agent, UPT_REPO_IMAGE, NULL, &image_feed, now, &image, err));
	UPT_TRY(assignment_of(director, &vehicle, arena, &found, err));
	/* Step 10 */
	if (found.assigned)
		UPT_TRY(match(agent, image, &image_feed, now, arena, &found, err));
	upt_state_prune_delegated(agent->state, UPT_REPO_IMAGE);
	if (err != NULL)
		err->repo = UPT_REPO_NONE;
	*out = found;
	return UPT_OK;
}

enum upt_code
upt_agent_find_assigned(struct upt_agent *agent, const char *name, struct upt_arena *arena,
	struct upt_agent_assignment *out, struct upt_err *err)
{
	UPT_TRY(upt_agent_verify(agent, NULL, arena, out, err));
	if (out->assigned && strcmp(out->image.image.name, name) == 0)
		return UPT_OK;
	/* Nobody but the two repositories together chooses what comes here. */
	*out = (struct upt_agent_assignment){0};
	return upt_fail(err, UPT_E_UNKNOWN_TARGET,
		"image %s: the verified metadata does not assign it to this ECU", name);
}
