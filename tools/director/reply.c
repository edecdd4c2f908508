#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdio.h>
#include "reply.h"

void
reply_clear(struct reply *reply)
{
	upt_buf_clear(&reply->body);
	*reply = (struct reply){0};
}

/* Printable ASCII only: a client's bytes must not drive the terminal that shows the reply. */
static void
sanitize(char *text)
{
	for (; *text != '\0'; text++) {
		if (*text < 0x20 || *text > 0x7e)
			*text = '?';
	}
}

static char *
error_json(const char *code, const char *message)
{
	cJSON *json = cJSON_CreateObject();
	char *text = NULL;

	if (cJSON_AddStringToObject(json, "code", code) != NULL &&
		cJSON_AddStringToObject(json, "message", message) != NULL)
		text = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	return text;
}

enum upt_code
reply_error(struct reply *reply, struct upt_err *err, unsigned status, const char *code,
	const char *fmt, ...)
{
	char message[256];
	va_list args;

	reply_clear(reply);
	va_start(args, fmt);
	(void)vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	sanitize(message);
	upt_cleanup(upt_free_ptr) char *text = error_json(code, message);
	if (text == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "out of memory");
	UPT_TRY(upt_buf_append(&reply->body, text, strlen(text), err));
	(void)snprintf(reply->note, sizeof(reply->note), "%.32s: %s", code, message);
	reply->status = status;
	return UPT_OK;
}
