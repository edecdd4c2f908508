/*
 * Command lines: each command describes its options in a table; --help works everywhere, and every
 * mistake is one line on stderr and exit code 2.
 */
#ifndef UPT_TOOLS_DIRECTOR_CLI_H
#define UPT_TOOLS_DIRECTOR_CLI_H

#include "base/err.h"

struct cli_list {
	const char **values; /* borrowed room for max of them */
	size_t n, max;
};

/* Exactly one of flag, value and list is set. */
struct cli_option {
	const char *name; /* with its dashes */
	bool *flag;
	const char **value;
	struct cli_list *list;
};

/*
 * Reads argv[0 .. argc-1]: options, and up to positional->max other arguments (positional may be
 * NULL: none). An option given twice is an error unless it is a list. UPT_E_USAGE.
 */
UPT_NODISCARD enum upt_code cli_parse(int argc, char *const *argv, const struct cli_option *options,
	size_t n_options, struct cli_list *positional, struct upt_err *err);
/* True when --help or -h is among the arguments. */
bool cli_wants_help(int argc, char *const *argv);
/* UPT_E_USAGE naming the option when value is NULL. */
UPT_NODISCARD enum upt_code cli_require(const char *option, const char *value, struct upt_err *err);
/* Decimal integer in min..max. UPT_E_USAGE naming the option. */
UPT_NODISCARD enum upt_code cli_u64(const char *option, const char *text, uint64_t min,
	uint64_t max, uint64_t *out, struct upt_err *err);

/* A command: argv without the program's and the command's name. It prints its own output. */
struct command {
	const char *name;
	const char *usage; /* what --help prints */
	enum upt_code (*run)(int argc, char **argv, struct upt_err *err);
};

extern const struct command command_init, command_serve, command_assign, command_inventory,
	command_rotate;

#endif
