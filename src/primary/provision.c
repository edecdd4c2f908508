#include <cjson/cJSON.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "primary/internal.h"

#define REPLY_MAX_BYTES ((size_t)64 * 1024)

/* The first root comes from the administrator, once; from then on only signed rotation moves it. */
static enum upt_code
pin_root(struct upt_primary *p, enum upt_repo repo, const char *path, const struct upt_trusted_set *set_policy,
	struct upt_err *err)
{
	upt_cleanup(upt_trusted_set_free) struct upt_trusted_set *set = NULL;
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	const struct upt_trust_policy *policy = upt_trusted_set_policy(set_policy);
	const struct upt_metadata *root;
	uint64_t first, last;
	enum upt_code code = upt_store_root_versions(p->store, repo, &first, &last, err);

	if (code != UPT_E_NOT_FOUND)
		return code;
	UPT_TRY(upt_file_read(AT_FDCWD, path, policy->limits.root_max_bytes, &bytes, err));
	UPT_TRY(upt_trusted_set_new(policy, &set, err));
	code = upt_trusted_set_pin_root(set, &bytes, err);
	if (code != UPT_OK)
		return upt_wrap(err, code, "%s", path);
	root = upt_trusted_set_root(set);
	upt_log(p->log, UPT_LOG_INFO, "pinned %s root v%llu from %s", upt_repo_name(repo),
		(unsigned long long)root->version, path);
	return upt_store_save_root(p->store, repo, root->version, upt_buf_span(&root->bytes), false, err);
}

enum upt_code
upt_primary_pin_roots(struct upt_primary *p, struct upt_err *err)
{
	UPT_TRY(pin_root(p, UPT_REPO_DIRECTOR, p->config->director.root_path, p->director, err));
	return pin_root(p, UPT_REPO_IMAGE, p->config->image.root_path, p->image, err);
}

/* ---- registration of the vehicle's ECUs with the Director ---- */

static void
key_name(const char *serial, char *out, size_t size)
{
	snprintf(out, size, "ecu_key:%s", serial);
}

/* "TYPE\nPUBLIC" as it was registered. */
static enum upt_code
parse_registered_key(struct upt_ecu *ecu, struct upt_span text, struct upt_err *err)
{
	const uint8_t *line = memchr(text.data, '\n', text.len);
	size_t type_len = line != NULL ? (size_t)(line - text.data) : 0;

	if (line == NULL)
		return upt_fail(err, UPT_E_DATABASE, "the registered key of ECU %s is damaged",
			ecu->config->serial);
	upt_public_key_free(&ecu->key);
	return upt_public_key_parse(upt_span(text.data, type_len),
		upt_span(line + 1, text.len - type_len - 1), &ecu->key, err);
}

/*
 * The key of a Secondary on another machine: asked for once, at provisioning, and held ever since. One that
 * answers with another key later is another device, or somebody between.
 */
static enum upt_code
learn_key(struct upt_primary *p, struct upt_ecu *ecu, const struct upt_ecu_info *info, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf stored = {0}, fresh = {0};
	char name[UPT_ECU_SERIAL_MAX + 32];

	key_name(ecu->config->serial, name, sizeof(name));
	UPT_TRY(upt_buf_printf(&fresh, err, "%s\n%s", info->key_type, info->public_key));
	UPT_TRY(upt_store_get_text(p->store, name, &stored, err));
	if (stored.len > 0 && !upt_span_equal(upt_buf_span(&stored), upt_buf_span(&fresh)))
		return upt_fail(err, UPT_E_KEY, "ECU %s answers with another key than it was registered with",
			ecu->config->serial);
	UPT_TRY(parse_registered_key(ecu, upt_buf_span(&fresh), err));
	return stored.len > 0 ? UPT_OK : upt_store_set_text(p->store, name, upt_buf_span(&fresh), err);
}

/* The key that an earlier cycle registered; *known false when there is none yet. */
static enum upt_code
recall_key(struct upt_primary *p, struct upt_ecu *ecu, bool *known, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf stored = {0};
	char name[UPT_ECU_SERIAL_MAX + 32];

	*known = ecu->key != NULL;
	if (*known)
		return UPT_OK;
	key_name(ecu->config->serial, name, sizeof(name));
	UPT_TRY(upt_store_get_text(p->store, name, &stored, err));
	*known = stored.len > 0;
	return *known ? parse_registered_key(ecu, upt_buf_span(&stored), err) : UPT_OK;
}

static enum upt_code
ask_ecu(struct upt_primary *p, struct upt_ecu *ecu, struct upt_ecu_info *info, struct upt_err *err)
{
	const struct upt_ecu_config *c = ecu->config;

	UPT_TRY(ecu->link->ops->info(ecu->link, info, err));
	if (strcmp(info->serial, c->serial) != 0 || strcmp(info->hardware_id, c->hardware_id) != 0)
		return upt_fail(err, UPT_E_CONFIG, "ECU %s (%s) answers as %.40s (%.40s)", c->serial,
			c->hardware_id, info->serial, info->hardware_id);
	return c->is_ip ? learn_key(p, ecu, info, err) : UPT_OK;
}

static bool
add_ecu(cJSON *list, const struct upt_ecu_info *info)
{
	cJSON *ecu = cJSON_CreateObject(), *key, *keyval;

	if (ecu == NULL || !cJSON_AddItemToArray(list, ecu))
		return false;
	key = cJSON_AddStringToObject(ecu, "ecu_serial", info->serial) != NULL &&
			cJSON_AddStringToObject(ecu, "hardware_identifier", info->hardware_id) != NULL
		? cJSON_AddObjectToObject(ecu, "clientKey")
		: NULL;
	keyval = key != NULL && cJSON_AddStringToObject(key, "keytype", info->key_type) != NULL
		? cJSON_AddObjectToObject(key, "keyval")
		: NULL;
	return keyval != NULL && cJSON_AddStringToObject(keyval, "public", info->public_key) != NULL;
}

static void
delete_json(cJSON **json)
{
	cJSON_Delete(*json);
	*json = NULL;
}

static enum upt_code
registration_body(struct upt_primary *p, struct upt_buf *out, struct upt_err *err)
{
	upt_cleanup(delete_json) cJSON *body = cJSON_CreateObject();
	upt_cleanup(upt_free_ptr) struct upt_ecu_info *info = calloc(1, sizeof(*info));
	upt_cleanup(upt_free_ptr) char *text = NULL;
	cJSON *ecus = NULL;

	if (body != NULL &&
		cJSON_AddStringToObject(body, "primary_ecu_serial", p->ecus[0].config->serial) != NULL)
		ecus = cJSON_AddArrayToObject(body, "ecus");
	if (ecus == NULL || info == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for the registration");
	for (size_t i = 0; i < p->n_ecus; i++) {
		enum upt_code code = ask_ecu(p, &p->ecus[i], info, err);

		if (code != UPT_OK)
			return upt_wrap(err, code, "the vehicle cannot be registered yet");
		if (!add_ecu(ecus, info))
			return upt_fail(err, UPT_E_NO_MEMORY, "no memory for the registration");
	}
	text = cJSON_PrintUnformatted(body);
	if (text == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for the registration");
	return upt_buf_append(out, text, strlen(text), err);
}

static enum upt_code
all_known(struct upt_primary *p, bool *known, struct upt_err *err)
{
	*known = true;
	for (size_t i = 0; i < p->n_ecus && *known; i++)
		UPT_TRY(recall_key(p, &p->ecus[i], known, err));
	return UPT_OK;
}

/* The set of serials that was registered: a changed configuration registers again. */
static enum upt_code
serials(struct upt_primary *p, struct upt_buf *out, struct upt_err *err)
{
	for (size_t i = 0; i < p->n_ecus; i++)
		UPT_TRY(upt_buf_printf(out, err, "%s\t%s\n", p->ecus[i].config->serial,
			p->ecus[i].config->hardware_id));
	return UPT_OK;
}

enum upt_code
upt_primary_register(struct upt_primary *p, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf now = {0}, before = {0}, body = {0}, reply = {0}, url = {0};
	bool known;
	long status;
	enum upt_code code;

	UPT_TRY(serials(p, &now, err));
	UPT_TRY(upt_store_get_text(p->store, "registered_ecus", &before, err));
	UPT_TRY(all_known(p, &known, err));
	if (known && upt_span_equal(upt_buf_span(&now), upt_buf_span(&before)))
		return UPT_OK;
	UPT_TRY(registration_body(p, &body, err));
	UPT_TRY(upt_buf_printf(&url, err, "%s/ecus", p->config->director.url));
	code = upt_http_send(p->http, "POST", (const char *)url.data, "application/json",
		upt_buf_span(&body), REPLY_MAX_BYTES, &reply, &status, err);
	if (code != UPT_OK)
		return upt_wrap(err, code, "registering the vehicle's ECUs");
	upt_log(p->log, UPT_LOG_INFO, "registered %zu ECUs with the Director", p->n_ecus);
	return upt_store_set_text(p->store, "registered_ecus", upt_buf_span(&now), err);
}
