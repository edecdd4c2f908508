#include <cjson/cJSON.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "base/encode.h"
#include "base/file.h"
#include "primary/internal.h"

#define REPLY_MAX_BYTES ((size_t)64 * 1024)
#define KEY_ID_SIZE 33

/* Whoever puts another file in its place later must know that it changes nothing. */
static void
warn_of_other_root(struct upt_primary *p, const struct upt_repository *r, uint64_t first)
{
	upt_cleanup(upt_buf_clear) struct upt_buf pinned = {0}, file = {0};
	const char *path = r->config->root_path;
	struct upt_err err = {0};

	if (upt_store_load_root(p->store, r->id, first, &pinned, &err) != UPT_OK ||
		upt_file_read(AT_FDCWD, path, pinned.len + 1, &file, &err) == UPT_E_NOT_FOUND ||
		upt_span_equal(upt_buf_span(&pinned), upt_buf_span(&file)))
		return;
	upt_log(p->log, UPT_LOG_WARNING,
		"%s is not the %s root v%llu that was pinned, and is ignored", path, r->name,
		(unsigned long long)first);
}

/* The first root comes from the administrator, once; from then on only signed rotation moves it. */
static enum upt_code
pin_root(struct upt_primary *p, const struct upt_repository *r, struct upt_err *err)
{
	upt_cleanup(upt_trusted_set_free) struct upt_trusted_set *set = NULL;
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	const struct upt_trust_policy *policy = upt_trusted_set_policy(r->set);
	const char *path = r->config->root_path;
	const struct upt_metadata *root;
	uint64_t first, last;
	enum upt_code code = upt_store_root_versions(p->store, r->id, &first, &last, err);

	if (code == UPT_OK)
		warn_of_other_root(p, r, first);
	if (code != UPT_E_NOT_FOUND)
		return code;
	UPT_TRY(upt_file_read(AT_FDCWD, path, policy->limits.root_max_bytes, &bytes, err));
	UPT_TRY(upt_trusted_set_new(policy, &set, err));
	code = upt_trusted_set_pin_root(set, &bytes, err);
	if (code != UPT_OK)
		return upt_wrap(err, code, "%s", path);
	root = upt_trusted_set_root(set);
	upt_log(p->log, UPT_LOG_INFO, "pinned %s root v%llu from %s", r->name,
		(unsigned long long)root->version, path);
	return upt_store_save_root(
		p->store, r->id, root->version, upt_buf_span(&root->bytes), false, err);
}

enum upt_code
upt_primary_pin_roots(struct upt_primary *p, struct upt_err *err)
{
	for (size_t i = 0; i < p->n_repos; i++)
		UPT_TRY(pin_root(p, &p->repos[i], err));
	return UPT_OK;
}

/* ---- registration of the vehicle's ECUs with the Director ---- */

static void
key_name(const char *serial, char *out, size_t size)
{
	snprintf(out, size, "ecu_key:%s", serial);
}

/* Start of the fingerprint: tells keys apart for people and in the list of what is registered. */
static void
key_id(const struct upt_public_key *key, char out[static KEY_ID_SIZE])
{
	upt_hex_encode(upt_span(upt_public_key_fingerprint(key), (KEY_ID_SIZE - 1) / 2), out);
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
 * The key of a Secondary on another machine: asked for once, at provisioning, and held ever since.
 * One that answers with another key later is another device, or somebody between.
 */
static enum upt_code
learn_key(struct upt_primary *p, struct upt_ecu *ecu, const struct upt_ecu_info *info,
	struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf stored = {0}, fresh = {0};
	char name[UPT_ECU_SERIAL_MAX + 32], id[KEY_ID_SIZE];

	key_name(ecu->config->serial, name, sizeof(name));
	UPT_TRY(upt_buf_printf(&fresh, err, "%s\n%s", info->key_type, info->public_key));
	UPT_TRY(upt_store_get_text(p->store, name, &stored, err));
	if (stored.len > 0 && !upt_span_equal(upt_buf_span(&stored), upt_buf_span(&fresh)))
		return upt_fail(err, UPT_E_KEY,
			"ECU %s answers with another key than it was registered with",
			ecu->config->serial);
	UPT_TRY(parse_registered_key(ecu, upt_buf_span(&fresh), err));
	if (stored.len > 0)
		return UPT_OK;
	key_id(ecu->key, id);
	upt_log(p->log, UPT_LOG_WARNING, "ECU %s: its key %s is trusted at first sight",
		ecu->config->serial, id);
	return upt_store_set_text(p->store, name, upt_buf_span(&fresh), err);
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
		return upt_fail(err, UPT_E_CONFIG, "ECU %s (%s) answers as %.40s (%.40s)",
			c->serial, c->hardware_id, info->serial, info->hardware_id);
	return c->is_ip ? learn_key(p, ecu, info, err) : UPT_OK;
}

static bool
add_ecu(cJSON *list, const struct upt_ecu_info *info)
{
	cJSON *ecu = cJSON_CreateObject(), *key, *keyval;

	if (ecu == NULL || !cJSON_AddItemToArray(list, ecu))
		return false;
	key = cJSON_AddStringToObject(ecu, "ecu_serial", info->serial) != NULL &&
			      cJSON_AddStringToObject(
				      ecu, "hardware_identifier", info->hardware_id) != NULL
		      ? cJSON_AddObjectToObject(ecu, "clientKey")
		      : NULL;
	keyval = key != NULL && cJSON_AddStringToObject(key, "keytype", info->key_type) != NULL
			 ? cJSON_AddObjectToObject(key, "keyval")
			 : NULL;
	return keyval != NULL &&
	       cJSON_AddStringToObject(keyval, "public", info->public_key) != NULL;
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

	if (body != NULL && cJSON_AddStringToObject(
				    body, "primary_ecu_serial", p->ecus[0].config->serial) != NULL)
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

/* Keys of an earlier registration. */
static enum upt_code
recall_keys(struct upt_primary *p, bool *all_known, struct upt_err *err)
{
	bool known;

	*all_known = true;
	for (size_t i = 0; i < p->n_ecus; i++) {
		UPT_TRY(recall_key(p, &p->ecus[i], &known, err));
		*all_known = *all_known && known;
	}
	return UPT_OK;
}

/* What is registered, a line "SERIAL\tHARDWARE\tKEY" each: another configuration or key registers
 * again. */
static enum upt_code
list_ecus(struct upt_primary *p, struct upt_buf *out, struct upt_err *err)
{
	char id[KEY_ID_SIZE];

	for (size_t i = 0; i < p->n_ecus; i++) {
		const struct upt_ecu *ecu = &p->ecus[i];

		id[0] = '\0';
		if (ecu->key != NULL)
			key_id(ecu->key, id);
		UPT_TRY(upt_buf_printf(out, err, "%s\t%s\t%s\n", ecu->config->serial,
			ecu->config->hardware_id, id));
	}
	return UPT_OK;
}

static enum upt_code
is_registered_as(struct upt_primary *p, const struct upt_buf *now, struct upt_buf *before,
	bool *same, struct upt_err *err)
{
	uint64_t again;

	UPT_TRY(upt_store_get_text(p->store, "registered_ecus", before, err));
	UPT_TRY(upt_store_get_u64(p->store, "register_again", 0, &again, err));
	*same = again == 0 && upt_span_equal(upt_buf_span(now), upt_buf_span(before));
	return UPT_OK;
}

static enum upt_code
post_ecus(struct upt_primary *p, struct upt_span body, long *status, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf url = {0}, reply = {0};
	enum upt_code code;

	*status = 0;
	UPT_TRY(upt_buf_printf(&url, err, "%s/ecus", p->config->director.url));
	code = upt_http_send(p->http, "POST", (const char *)url.data, "application/json", body,
		REPLY_MAX_BYTES, &reply, status, err);
	return code == UPT_OK ? UPT_OK : upt_wrap(err, code, "registering the vehicle's ECUs");
}

/* A key is learnt anew from an ECU that was taken out of the configuration, registered so, and put
 * back. */
static enum upt_code
forget_removed(struct upt_primary *p, const struct upt_buf *before, struct upt_err *err)
{
	const char *line = before->len > 0 ? (const char *)before->data : "", *end;
	char name[UPT_ECU_SERIAL_MAX + 32];

	for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		size_t len = strcspn(line, "\t");
		bool kept = false;

		for (size_t i = 0; i < p->n_ecus; i++)
			kept = kept || (strlen(p->ecus[i].config->serial) == len &&
					       strncmp(p->ecus[i].config->serial, line, len) == 0);
		snprintf(name, sizeof(name), "ecu_key:%.*s", (int)len, line);
		if (!kept)
			UPT_TRY(upt_store_set_text(p->store, name, upt_span(NULL, 0), err));
	}
	return UPT_OK;
}

static enum upt_code
note_registered(struct upt_primary *p, const struct upt_buf *before, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf now = {0};

	UPT_TRY(forget_removed(p, before, err));
	UPT_TRY(list_ecus(p, &now, err)); /* with the keys that were learnt on the way */
	UPT_TRY(upt_store_set_text(p->store, "registered_ecus", upt_buf_span(&now), err));
	upt_log(p->log, UPT_LOG_INFO, "registered %zu ECUs with the Director", p->n_ecus);
	return upt_store_set_u64(p->store, "register_again", 0, err);
}

void
upt_primary_register_again(struct upt_primary *p)
{
	struct upt_err err = {0};

	if (upt_store_set_u64(p->store, "register_again", 1, &err) != UPT_OK)
		upt_log_err(p->log, UPT_LOG_WARNING, &err, "cannot note to register again");
}

enum upt_code
upt_primary_register(struct upt_primary *p, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf now = {0}, before = {0}, body = {0};
	struct upt_err why = {0};
	bool known, same;
	long status = 0;
	enum upt_code code;

	UPT_TRY(recall_keys(p, &known, err));
	UPT_TRY(list_ecus(p, &now, err));
	UPT_TRY(is_registered_as(p, &now, &before, &same, err));
	if (known && same)
		return UPT_OK;
	code = registration_body(p, &body, &why);
	if (code == UPT_OK)
		code = post_ecus(p, upt_buf_span(&body), &status, &why);
	if (code == UPT_OK)
		return note_registered(p, &before, err);
	/* A vehicle that was registered goes on as it was: an ECU that was added and does not
	 * answer, or a Director that takes no replacement, must not cut all others off from
	 * updates. The manifest tells. */
	if ((code == UPT_E_NETWORK && before.len > 0) || status == 409 || status == 412) {
		upt_log_err(p->log, UPT_LOG_WARNING, &why, "the registration stays as it is");
		return UPT_OK;
	}
	if (err != NULL)
		*err = why;
	return code;
}
