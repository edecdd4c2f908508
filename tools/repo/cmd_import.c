#include "repo/cli.h"

#include <fcntl.h>
#include <inttypes.h>
#include "base/clock.h"
#include "base/file.h"
#include "json/json.h"
#include "metadata/roles.h"
#include "repo/images.h"
#include "repo/release.h"

static const char help[] = "      --images DIR  take the bytes of its targets from DIR, which "
			   "holds HASH.NAME files as\n"
			   "                    public/targets does\n\n"
			   "Takes over a document that was signed elsewhere: a root or targets "
			   "that \"cosign\" completed, or a\n"
			   "delegated role of a supplier, who has a workspace of its own and sends "
			   "metadata/targets.json.\n"
			   "It must carry the threshold of the role's keys, a higher version (a "
			   "root: the next one) and an\n"
			   "expiry to come. \"publish\" makes it visible.\n";

struct candidate {
	struct upt_buf bytes;
	cJSON *payload;
};

static void
candidate_clear(struct candidate *c)
{
	upt_buf_clear(&c->bytes);
	upt_author_json_clear(&c->payload);
}

/* Reads it as a client would read that role. */
static enum upt_code
read_candidate(
	const char *path, const struct repo_role *role, struct candidate *c, struct upt_err *err)
{
	upt_cleanup(upt_metadata_free) struct upt_metadata *parsed = NULL;
	upt_cleanup(upt_buf_clear) struct upt_buf copy = {0};
	upt_cleanup(upt_author_json_clear) cJSON *envelope = NULL;
	enum upt_role kind = strcmp(role->name, "root") == 0 ? UPT_ROLE_ROOT : UPT_ROLE_TARGETS;
	enum upt_code code;

	UPT_TRY(upt_file_read(AT_FDCWD, path, REPO_DOC_MAX_BYTES, &c->bytes, err));
	UPT_TRY(upt_buf_append(&copy, c->bytes.data, c->bytes.len, err));
	code = upt_metadata_parse(kind, role->name, &copy, &parsed, err);
	if (code != UPT_OK)
		return upt_wrap(err, code, "%s", path);
	envelope = cJSON_ParseWithLength((const char *)c->bytes.data, c->bytes.len);
	c->payload = cJSON_DetachItemFromObjectCaseSensitive(envelope, "signed");
	if (c->payload == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for %s", path);
	return UPT_OK;
}

/* A name that cannot be published would stop every later publication. */
static enum upt_code
check_names(const struct candidate *c, struct upt_err *err)
{
	const cJSON *delegations = cJSON_GetObjectItemCaseSensitive(c->payload, "delegations");
	cJSON *entry, *role;

	cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(delegations, "roles"))
	{
		for (int i = 0; (role = repo_delegated_role(entry, i)) != NULL; i++)
			UPT_TRY(repo_check_role_name(repo_delegated_name(role), err));
	}
	cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(c->payload, "targets"))
		UPT_TRY(repo_check_target_name(entry->string, err));
	return UPT_OK;
}

static enum upt_code
check_version(const struct repo *repo, const struct repo_role *role, const struct candidate *c,
	struct upt_err *err)
{
	uint64_t version = repo_json_u64(c->payload, "version"), ours = repo_role_version(role);
	int64_t expires = 0;

	if (version <= ours)
		return upt_fail(err, UPT_E_ROLLBACK,
			"%s version %" PRIu64 " does not follow version %" PRIu64 " here",
			role->name, version, ours);
	if (strcmp(role->name, "root") == 0 && version != ours + 1)
		return upt_fail(err, UPT_E_VERSION_GAP,
			"root version %" PRIu64 " after version %" PRIu64, version, ours);
	upt_time_parse(upt_span_str(repo_json_text(c->payload, "expires")), &expires);
	if (expires <= repo->now)
		return upt_fail(err, UPT_E_EXPIRED, "%s version %" PRIu64 " expired at %s",
			role->name, version, repo_json_text(c->payload, "expires"));
	return UPT_OK;
}

/* By the keys of who names the role; a root by its own keys as well (6.3). */
static enum upt_code
check_signatures(const struct repo *repo, const struct repo_role *role, const struct candidate *c,
	struct upt_err *err)
{
	const char *definer;
	struct upt_span bytes = release_definer(repo, role, &definer);
	enum upt_code code =
		repo_check_signatures(role->name, upt_buf_span(&c->bytes), definer, bytes, err);

	if (code == UPT_OK && strcmp(role->name, "root") == 0)
		code = repo_check_signatures(
			"root", upt_buf_span(&c->bytes), "root", upt_buf_span(&c->bytes), err);
	return code == UPT_OK ? code : upt_wrap(err, code, "the file is not signed as it must be");
}

/* Staged changes are dropped when the document contains them, or when there are none to speak of.
 */
static enum upt_code
check_staged(struct repo_role *role, struct upt_err *err)
{
	cJSON *copy;
	bool same;
	enum upt_code code;

	if (role->staged == NULL)
		return UPT_OK;
	copy = cJSON_Duplicate(role->staged, true);
	if (copy == NULL ||
		!cJSON_ReplaceItemInObjectCaseSensitive(
			copy, "version", cJSON_CreateNumber((double)repo_role_version(role))) ||
		!cJSON_ReplaceItemInObjectCaseSensitive(copy, "expires",
			cJSON_CreateString(repo_json_text(role->current, "expires")))) {
		cJSON_Delete(copy);
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for role %s", role->name);
	}
	code = repo_role_signs(role, copy, &same, err);
	cJSON_Delete(copy);
	if (code != UPT_OK)
		return code;
	if (!same && (cJSON_GetObjectItemCaseSensitive(role->staged, "delegations") != NULL ||
			     cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(
				     role->staged, "targets")) > 0))
		return upt_fail(err, UPT_E_USAGE,
			"role %s has other changes staged here: remove staged/ of it, or sign them "
			"first",
			role->name);
	return UPT_OK;
}

/* Puts the document in the role's place, in memory. */
static enum upt_code
take_over(struct repo_role *role, struct candidate *c, struct upt_err *err)
{
	cJSON_Delete(role->current);
	role->current = c->payload;
	c->payload = NULL;
	upt_buf_move(&role->bytes, &c->bytes);
	UPT_TRY(check_staged(role, err));
	upt_author_json_clear(&role->staged);
	upt_buf_clear(&role->staged_bytes);
	role->write_signed = true;
	role->write_staged = true;
	return UPT_OK;
}

static enum upt_code
adopt_images(const struct repo *repo, const struct repo_role *role, const char *dir, size_t *n,
	struct upt_err *err)
{
	const cJSON *entry;

	cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(role->current, "targets"))
	{
		bool here;
		UPT_TRY(repo_image_adopt(repo, dir, entry->string, entry, &here, err));
		*n += here;
	}
	return UPT_OK;
}

static enum upt_code
import(struct repo *repo, struct repo_role *role, const char *path, const char *images,
	size_t *n_images, struct upt_err *err)
{
	upt_cleanup(candidate_clear) struct candidate c = {.payload = NULL};

	if (strcmp(role->name, "snapshot") == 0 || strcmp(role->name, "timestamp") == 0)
		return upt_fail(err, UPT_E_USAGE,
			"a %s follows from the rest: \"publish\" signs it here", role->name);
	UPT_TRY(read_candidate(path, role, &c, err));
	UPT_TRY(check_names(&c, err));
	UPT_TRY(check_version(repo, role, &c, err));
	UPT_TRY(check_signatures(repo, role, &c, err));
	UPT_TRY(take_over(role, &c, err));
	if (images != NULL)
		UPT_TRY(adopt_images(repo, role, images, n_images, err));
	return repo_save(repo, err);
}

static enum upt_code
run(struct cli *cli, int argc, char **argv, struct upt_err *err)
{
	static const struct option options[] = {{"images", required_argument, NULL, 'i'}, {0}};
	upt_cleanup(repo_close) struct repo repo = {.dirfd = -1};
	const char *images = NULL;
	struct repo_role *role;
	size_t n_images = 0;
	int option;

	while (true) {
		UPT_TRY(cli_option(cli, argc, argv, options, &option, err));
		if (option == -1)
			break;
		images = optarg;
	}
	UPT_TRY(cli_arguments(argc, argv, 2, 2, "ROLE FILE", err));
	UPT_TRY(repo_open(cli->dir, &repo, err));
	UPT_TRY(repo_role_need(&repo, argv[optind], false, &role, err));
	UPT_TRY(import(&repo, role, argv[optind + 1], images, &n_images, err));
	cli_say(cli, "imported %s version %" PRIu64, role->name, repo_role_version(role));
	if (images != NULL)
		cli_say(cli, "imported %zu images", n_images);
	return UPT_OK;
}

const struct command cmd_import = {
	.name = "import",
	.args = "ROLE FILE [--images DIR]",
	.summary = "Take over a document that was signed elsewhere",
	.help = help,
	.run = run,
};
