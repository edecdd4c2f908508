#include "secondary/agent_internal.h"

#include <fcntl.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"

#define DEFAULT_TIMEOUT_MS (60 * 1000)

/* ---- time, attacks ---- */

int64_t
upt_agent_now(struct upt_agent *agent)
{
	int64_t floor = upt_state_floor(agent->state);
	int64_t now = agent->config.clock != NULL ? agent->config.clock(agent->config.clock_ctx)
						  : (int64_t)time(NULL);
	char now_text[UPT_TIME_TEXT_SIZE], floor_text[UPT_TIME_TEXT_SIZE];

	if (now >= floor) {
		agent->clock_reported = false;
		return now;
	}
	/* Once per fall: a dead clock battery must not fill the log. */
	if (!agent->clock_reported) {
		upt_time_format(now, now_text);
		upt_time_format(floor, floor_text);
		upt_log(agent->log, UPT_LOG_WARNING,
			"the clock says %s, before %s which was surely later: it is not believed",
			now_text, floor_text);
	}
	agent->clock_reported = true;
	return floor;
}

void
upt_agent_note(struct upt_agent *agent, enum upt_code code, enum upt_repo repo)
{
	enum upt_attack attack = upt_code_attack(code);
	struct upt_err err = {0};
	char text[160];

	if (attack == UPT_ATTACK_NONE)
		return;
	snprintf(text, sizeof(text), "%s:%s%s%s", upt_attack_name(attack), upt_code_name(code),
		repo != UPT_REPO_NONE ? ":" : "", upt_repo_name(repo));
	if (upt_state_set_attacks(agent->state, text, &err) != UPT_OK)
		upt_log_err(agent->log, UPT_LOG_ERROR, &err, "cannot store the attack %s", text);
}

/* ---- pinned roots ---- */

static enum upt_code
import_root(struct upt_agent *agent, enum upt_repo repo, const char *path, struct upt_err *err)
{
	upt_cleanup(upt_trusted_set_free) struct upt_trusted_set *set = NULL;
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	struct upt_trust_policy policy = upt_agent_policy(agent, repo, NULL);
	const struct upt_metadata *root;
	enum upt_code code;

	policy.check_rules = NULL;
	UPT_TRY(upt_file_read(AT_FDCWD, path, policy.limits.root_max_bytes, &bytes, err));
	UPT_TRY(upt_trusted_set_new(&policy, &set, err));
	code = upt_trusted_set_pin_root(set, &bytes, err);
	if (code != UPT_OK)
		return upt_wrap(err, code, "pinned root %s", path);
	root = upt_trusted_set_root(set);
	UPT_TRY(upt_state_save_root(
		agent->state, repo, root->version, upt_buf_span(&root->bytes), true, err));
	upt_log(agent->log, UPT_LOG_INFO, "pinned %s root v%ju from %s", upt_repo_name(repo),
		(uintmax_t)root->version, path);
	return UPT_OK;
}

/* Only into an empty state: a file beside the state must never replace what was learnt since. */
static enum upt_code
ensure_root(struct upt_agent *agent, enum upt_repo repo, const char *path, struct upt_err *err)
{
	if (upt_state_has_root(agent->state, repo))
		return UPT_OK;
	if (path == NULL)
		return upt_fail(err, UPT_E_CONFIG,
			"the state has no %s root and %s_root names no file to pin",
			upt_repo_name(repo), upt_repo_name(repo));
	return import_root(agent, repo, path, err);
}

/* ---- life ---- */

static enum upt_code
fill_info(struct upt_agent *agent, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	struct upt_ecu_info *info = &agent->info;

	UPT_TRY(upt_private_key_public_text(agent->key, &text, err));
	if (text.len >= sizeof(info->public_key))
		return upt_fail(err, UPT_E_KEY, "a public key of %zu bytes", text.len);
	if (strlen(agent->config.serial) >= sizeof(info->serial) ||
		strlen(agent->config.hardware_id) >= sizeof(info->hardware_id))
		return upt_fail(err, UPT_E_CONFIG, "serial or hardware_id is too long");
	snprintf(info->serial, sizeof(info->serial), "%s", agent->config.serial);
	snprintf(info->hardware_id, sizeof(info->hardware_id), "%s", agent->config.hardware_id);
	snprintf(info->key_type, sizeof(info->key_type), "%s", upt_private_key_type(agent->key));
	memcpy(info->public_key, text.data, text.len);
	return UPT_OK;
}

static enum upt_code
start(struct upt_agent *agent, struct upt_err *err)
{
	const struct upt_file_installer_config file = {.path = agent->config.install_path};

	UPT_TRY(fill_info(agent, err));
	UPT_TRY(upt_state_open(agent->config.state_dir, &agent->state, err));
	UPT_TRY(upt_state_raise_floor(agent->state, agent->config.build_time, err));
	UPT_TRY(ensure_root(agent, UPT_REPO_DIRECTOR, agent->config.director_root, err));
	UPT_TRY(ensure_root(agent, UPT_REPO_IMAGE, agent->config.image_root, err));
	UPT_TRY(upt_file_installer_new(&file, agent->log, &agent->installer, err));
	return upt_agent_recover(agent, err);
}

enum upt_code
upt_agent_new(const struct upt_agent_config *config, struct upt_private_key *key,
	const struct upt_log *log, struct upt_agent **out, struct upt_err *err)
{
	upt_cleanup(upt_agent_free) struct upt_agent *agent = calloc(1, sizeof(*agent));

	*out = NULL;
	if (agent == NULL) {
		upt_private_key_free(&key);
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for the agent");
	}
	agent->config = *config;
	agent->key = key;
	agent->log = log;
	agent->listen_fd = -1;
	if (agent->config.timeout_ms == 0)
		agent->config.timeout_ms = DEFAULT_TIMEOUT_MS;
	UPT_TRY(start(agent, err));
	*out = agent;
	agent = NULL;
	return UPT_OK;
}

void
upt_agent_free(struct upt_agent **agent)
{
	struct upt_agent *a = *agent;

	*agent = NULL;
	if (a == NULL)
		return;
	upt_close_fd(&a->listen_fd);
	upt_installer_free(&a->installer);
	upt_state_close(&a->state);
	upt_private_key_free(&a->key);
	free(a);
}
