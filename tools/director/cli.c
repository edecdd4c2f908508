#include <errno.h>
#include <string.h>
#include "cli.h"

bool
cli_wants_help(int argc, char *const *argv)
{
	for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	}
	return false;
}

static enum upt_code
push(struct cli_list *list, const char *value, const char *what, struct upt_err *err)
{
	if (list == NULL || list->n == list->max)
		return upt_fail(err, UPT_E_USAGE, "%s '%s' is one too many", what, value);
	list->values[list->n++] = value;
	return UPT_OK;
}

/* The option that argument begins with; *value is what stands behind its '=' or NULL. */
static const struct cli_option *
find_option(const char *argument, const struct cli_option *options, size_t n_options,
	const char **value)
{
	size_t len = strcspn(argument, "=");

	*value = argument[len] == '=' ? argument + len + 1 : NULL;
	for (size_t i = 0; i < n_options; i++) {
		if (strlen(options[i].name) == len && strncmp(options[i].name, argument, len) == 0)
			return &options[i];
	}
	return NULL;
}

static enum upt_code
set_option(const struct cli_option *option, const char *value, struct upt_err *err)
{
	if (option->list != NULL)
		return push(option->list, value, option->name, err);
	if (*option->value != NULL)
		return upt_fail(err, UPT_E_USAGE, "%s is given twice", option->name);
	*option->value = value;
	return UPT_OK;
}

enum upt_code
cli_parse(int argc, char *const *argv, const struct cli_option *options, size_t n_options,
	struct cli_list *positional, struct upt_err *err)
{
	bool only_positional = false;

	for (int i = 0; i < argc; i++) {
		const char *value = NULL;
		if (!only_positional && strcmp(argv[i], "--") == 0) {
			only_positional = true;
			continue;
		}
		if (only_positional || argv[i][0] != '-') {
			UPT_TRY(push(positional, argv[i], "argument", err));
			continue;
		}
		const struct cli_option *option = find_option(argv[i], options, n_options, &value);
		if (option == NULL)
			return upt_fail(
				err, UPT_E_USAGE, "unknown option %s (try --help)", argv[i]);
		if (option->flag != NULL) {
			if (value != NULL)
				return upt_fail(
					err, UPT_E_USAGE, "%s takes no value", option->name);
			*option->flag = true;
			continue;
		}
		if (value == NULL && ++i < argc)
			value = argv[i];
		if (value == NULL)
			return upt_fail(err, UPT_E_USAGE, "%s needs a value", option->name);
		UPT_TRY(set_option(option, value, err));
	}
	return UPT_OK;
}

enum upt_code
cli_require(const char *option, const char *value, struct upt_err *err)
{
	if (value == NULL || *value == '\0')
		return upt_fail(err, UPT_E_USAGE, "%s is missing (try --help)", option);
	return UPT_OK;
}

enum upt_code
cli_u64(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *out,
	struct upt_err *err)
{
	char *end = NULL;

	*out = 0;
	errno = 0;
	unsigned long long n = strtoull(text, &end, 10);
	/* strtoull takes signs and white space, which no number here has. */
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || n < min || n > max)
		return upt_fail(err, UPT_E_USAGE, "%s: '%s' is no number from %llu to %llu", option,
			text, (unsigned long long)min, (unsigned long long)max);
	*out = n;
	return UPT_OK;
}
