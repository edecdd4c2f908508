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
#define X(code, name_, attack_, exit_, text_)                                                      \
	[code] = {.name = (name_),                                                                 \
		.text = (text_),                                                                   \
		.attack = UPT_ATTACK_##attack_,                                                    \
		.exit_code = (exit_)},
	UPT_ERROR_CODES(X)
#undef X
};

/* Ends a text that did not fit with "...", so that nobody takes it for the whole. */
static void
mark_cut(char *text, size_t size)
{
	memcpy(text + size - 4, "...", 4);
}

/* Formats into text and cleans it. Arguments may lie in an error's message, so text is never it. */
static void UPT_PRINTF(3, 0) format(char *text, size_t size, const char *fmt, va_list ap)
{
	int n = vsnprintf(text, size, fmt, ap);

	if (n < 0)
		text[0] = '\0';
	else if ((size_t)n >= size)
		mark_cut(text, size);
	upt_sanitize(text);
}

enum upt_code
upt_fail(struct upt_err *err, enum upt_code code, const char *fmt, ...)
{
	char message[UPT_ERR_MESSAGE_MAX];
	va_list ap;

	if (err == NULL)
		return code;
	va_start(ap, fmt);
	format(message, sizeof(message), fmt, ap);
	va_end(ap);
	memcpy(err->message, message, sizeof(message));
	err->code = code;
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
	const char *reason = strerror(errnum);
	char what[UPT_ERR_MESSAGE_MAX];
	size_t room = sizeof(what) - 2;
	va_list ap;

	if (err == NULL)
		return code;
	/* A long name must not push the reason out of the message. */
	room -= strlen(reason) < room / 2 ? strlen(reason) : room / 2;
	va_start(ap, fmt);
	format(what, room, fmt, ap);
	va_end(ap);
	return upt_fail(err, code, "%s: %s", what, reason);
}

enum upt_code
upt_wrap(struct upt_err *err, enum upt_code code, const char *fmt, ...)
{
	char context[UPT_ERR_MESSAGE_MAX];
	va_list ap;

	if (err == NULL)
		return code;
	va_start(ap, fmt);
	format(context, sizeof(context), fmt, ap);
	va_end(ap);
	return upt_fail(err, code, "%s: %s", context, err->message);
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
	case UPT_REPO_OTHER:
		break;
	}
	return "other";
}
