#include "repo/cli.h"

#include <fcntl.h>
#include <inttypes.h>
#include "authoring/authoring.h"
#include "base/file.h"
#include "json/json.h"

static const char help[] = "Adds the signature of a private key to a document that \"sign "
			   "--output\" or \"rotate --output\"\n"
			   "wrote, in place. It needs no workspace: each holder of a key runs it "
			   "on the machine that has the\n"
			   "key, after looking at the document (it is JSON; jq .signed FILE). A "
			   "former signature of the same\n"
			   "key is replaced.\n";

/* {"signatures":[those that were there],"signed":payload}: one text, spliced from two. */
static enum upt_code
splice_envelope(
	const cJSON *others, const struct upt_buf *fresh, struct upt_buf *out, struct upt_err *err)
{
	static const char head[] = "{\"signatures\":[";
	const cJSON *entry;

	UPT_TRY(upt_buf_append(out, head, sizeof(head) - 1, err));
	cJSON_ArrayForEach(entry, others)
	{
		char *text = cJSON_PrintUnformatted(entry);
		enum upt_code code =
			text == NULL ? upt_fail(err, UPT_E_NO_MEMORY, "no memory for signatures")
				     : upt_buf_printf(out, err, "%s,", text);
		cJSON_free(text);
		UPT_TRY(code);
	}
	return upt_buf_append(
		out, fresh->data + sizeof(head) - 1, fresh->len - (sizeof(head) - 1), err);
}

static enum upt_code
read_document(const char *path, cJSON **out, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	struct upt_json_doc doc;
	enum upt_code code;

	UPT_TRY(upt_file_read(AT_FDCWD, path, REPO_DOC_MAX_BYTES, &text, err));
	code = upt_json_check(upt_buf_span(&text), &doc, err);
	if (code != UPT_OK)
		return upt_wrap(err, code, "%s", path);
	*out = cJSON_ParseWithLength((const char *)text.data, text.len);
	if (*out == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for %s", path);
	if (!cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(*out, "signatures")) ||
		!cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(*out, "signed")))
		return upt_fail(err, UPT_E_MALFORMED, "%s is no metadata", path);
	return UPT_OK;
}

static void
drop_signature(cJSON *signatures, const char *id)
{
	cJSON *entry = signatures->child;

	while (entry != NULL) {
		cJSON *next = entry->next;
		if (strcmp(repo_json_text(entry, "keyid"), id) == 0)
			cJSON_Delete(cJSON_DetachItemViaPointer(signatures, entry));
		entry = next;
	}
}

static enum upt_code
cosign(const char *path, const char *key_path, const struct cli *cli, struct upt_err *err)
{
	upt_cleanup(upt_author_json_clear) cJSON *doc = NULL;
	upt_cleanup(upt_private_key_free) struct upt_private_key *key = NULL;
	upt_cleanup(upt_buf_clear) struct upt_buf fresh = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf out = {0};
	const struct upt_private_key *keys[1];
	const cJSON *payload;
	cJSON *signatures;
	char id[65];

	UPT_TRY(read_document(path, &doc, err));
	UPT_TRY(upt_private_key_load(key_path, &key, err));
	payload = cJSON_GetObjectItemCaseSensitive(doc, "signed");
	signatures = cJSON_GetObjectItemCaseSensitive(doc, "signatures");
	upt_private_key_id(key, id);
	drop_signature(signatures, id);
	keys[0] = key;
	UPT_TRY(upt_author_sign(payload, keys, 1, &fresh, err));
	UPT_TRY(splice_envelope(signatures, &fresh, &out, err));
	UPT_TRY(upt_file_replace(AT_FDCWD, path, 0644, upt_buf_span(&out), err));
	cli_say(cli, "signed %s version %" PRIu64 ", expires %s, with key %s (%d signatures now)",
		repo_json_text(payload, "_type"), repo_json_u64(payload, "version"),
		repo_json_text(payload, "expires"), id, cJSON_GetArraySize(signatures) + 1);
	return UPT_OK;
}

static enum upt_code
run(struct cli *cli, int argc, char **argv, struct upt_err *err)
{
	int option;

	UPT_TRY(cli_option(cli, argc, argv, NULL, &option, err));
	UPT_TRY(cli_arguments(argc, argv, 2, 2, "FILE KEY.pem", err));
	return cosign(argv[optind], argv[optind + 1], cli, err);
}

const struct command cmd_cosign = {
	.name = "cosign",
	.args = "FILE KEY.pem",
	.summary = "Add a signature to a document, away from the workspace",
	.help = help,
	.run = run,
};
