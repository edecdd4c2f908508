#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct code_row {
	const char *name;
	const char *text;
	enum upt_attack attack;
	int exit_code;
};

static const struct code_row code_rows[UPT_N_CODES] = {
#define X(code, name_, attack_, exit_, text_) \
	[code] = {.name = (name_), .text = (text_), .attack = UPT_ATTACK_##attack_, .exit_code = (exit_)},
	UPT_ERROR_CODES(X)
#undef X
};

/* What a terminal or a log reader would act upon becomes '?'. UTF-8 text stays readable. */
static void
sanitize(char *s)
{
	for (; *s != '\0'; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
	}
}

static void
set_message(struct upt_err *err, const char *fmt, va_list ap)
{
	if (vsnprintf(err->message, sizeof(err->message), fmt, ap) < 0)
		err->message[0] = '\0';
	sanitize(err->message);
}

enum upt_code
upt_fail(struct upt_err *err, enum upt_code code, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return code;
	err->code = code;
	va_start(ap, fmt);
	set_message(err, fmt, ap);
	va_end(ap);
	return code;
}

static enum upt_code
code_of_errno(int errnum)
{
	switch (errnum) {
	case ENOSPC:
	case EDQUOT:
		return UPT_E_NO_SPACE;
	case EACCES:
	case EPERM:
	case EROFS:
		return UPT_E_PERMISSION;
	case ENOENT:
	case ENOTDIR:
		return UPT_E_NOT_FOUND;
	case ENOMEM:
		return UPT_E_NO_MEMORY;
	default:
		return UPT_E_IO;
	}
}

enum upt_code
upt_fail_errno(struct upt_err *err, int errnum, const char *fmt, ...)
{
	enum upt_code code = code_of_errno(errnum);
	size_t used;
	va_list ap;

	if (err == NULL)
		return code;
	err->code = code;
	va_start(ap, fmt);
	set_message(err, fmt, ap);
	va_end(ap);
	used = strlen(err->message);
	snprintf(err->message + used, sizeof(err->message) - used, ": %s", strerror(errnum));
	return code;
}

enum upt_code
upt_wrap(struct upt_err *err, enum upt_code code, const char *fmt, ...)
{
	char context[UPT_ERR_MESSAGE_MAX];
	char joined[2 * UPT_ERR_MESSAGE_MAX + 4];
	va_list ap;

	if (err == NULL)
		return code;
	va_start(ap, fmt);
	if (vsnprintf(context, sizeof(context), fmt, ap) < 0)
		context[0] = '\0';
	va_end(ap);
	sanitize(context);
	snprintf(joined, sizeof(joined), "%s: %s", context, err->message);
	joined[sizeof(err->message) - 1] = '\0';
	memcpy(err->message, joined, sizeof(err->message));
	err->code = code;
	return code;
}

const char *
upt_code_name(enum upt_code code)
{
	return code < UPT_N_CODES ? code_rows[code].name : "unknown";
}

enum upt_code
upt_code_from_name(const char *name)
{
	for (int i = 0; i < UPT_N_CODES; i++) {
		if (strcmp(code_rows[i].name, name) == 0)
			return (enum upt_code)i;
	}
	return UPT_N_CODES;
}

const char *
upt_code_text(enum upt_code code)
{
	return code < UPT_N_CODES ? code_rows[code].text : "unknown code";
}

enum upt_attack
upt_code_attack(enum upt_code code)
{
	return code < UPT_N_CODES ? code_rows[code].attack : UPT_ATTACK_NONE;
}

int
upt_code_exit(enum upt_code code)
{
	return code < UPT_N_CODES ? code_rows[code].exit_code : 10;
}

const char *
upt_attack_name(enum upt_attack attack)
{
	switch (attack) {
	case UPT_ATTACK_NONE:
		return "";
	case UPT_ATTACK_ARBITRARY_SOFTWARE:
		return "arbitrary-software";
	case UPT_ATTACK_ROLLBACK:
		return "rollback";
	case UPT_ATTACK_FREEZE:
		return "freeze";
	case UPT_ATTACK_MIX_AND_MATCH:
		return "mix-and-match";
	case UPT_ATTACK_ENDLESS_DATA:
		return "endless-data";
	case UPT_ATTACK_SLOW_RETRIEVAL:
		return "slow-retrieval";
	}
	return "";
}

const char *
upt_repo_name(enum upt_repo repo)
{
	switch (repo) {
	case UPT_REPO_NONE:
		return "";
	case UPT_REPO_DIRECTOR:
		return "director";
	case UPT_REPO_IMAGE:
		return "image";
	}
	return "";
}
