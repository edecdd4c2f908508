#include "repo/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include "base/file.h"

static const struct command *const commands[] = {&cmd_init, &cmd_status, &cmd_key_generate,
	&cmd_key_import, &cmd_key_show, &cmd_key_list, &cmd_target_add, &cmd_target_remove,
	&cmd_target_list, &cmd_delegate, &cmd_undelegate, &cmd_sign, &cmd_rotate, &cmd_cosign,
	&cmd_import, &cmd_publish, &cmd_verify};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

void
cli_say(const struct cli *cli, const char *fmt, ...)
{
	va_list ap;

	if (cli->quiet)
		return;
	va_start(ap, fmt);
	vfprintf(cli->out, fmt, ap);
	va_end(ap);
	fputc('\n', cli->out);
}

void
cli_warn(const struct cli *cli, const char *fmt, ...)
{
	char text[UPT_ERR_MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(cli->errors, "uptane-repo: warning: %s\n", text);
}

enum upt_code
cli_write_document(
	const struct cli *cli, const struct repo_role *role, const char *path, struct upt_err *err)
{
	UPT_TRY(upt_file_replace(AT_FDCWD, path, 0644, upt_buf_span(&role->bytes), err));
	cli_say(cli,
		"wrote %s version %" PRIu64
		" to %s; \"cosign\" adds signatures, \"import\" takes it over",
		role->name, repo_role_version(role), path);
	return UPT_OK;
}

enum upt_code
cli_number(const char *text, const char *what, uint64_t min, uint64_t max, uint64_t *out,
	struct upt_err *err)
{
	unsigned long long value = 0;
	char *end = NULL;

	*out = 0;
	errno = 0;
	if (text[0] >= '0' && text[0] <= '9')
		value = strtoull(text, &end, 10);
	if (end == NULL || *end != '\0' || errno != 0 || value < min || value > max)
		return upt_fail(err, UPT_E_USAGE, "%s %s is no number from %" PRIu64 " to %" PRIu64,
			what, text, min, max);
	*out = value;
	return UPT_OK;
}

enum upt_code
cli_list_add(struct cli_list *list, const char *item, struct upt_err *err)
{
	const char **grown = realloc(list->items, (list->n + 1) * sizeof(const char *));

	if (grown == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for arguments");
	list->items = grown;
	list->items[list->n++] = item;
	return UPT_OK;
}

void
cli_list_clear(struct cli_list *list)
{
	free(list->items);
	*list = (struct cli_list){0};
}

/* ---- options ---- */
#define MAX_OPTIONS 24

static const struct option common_options[] = {{"repo", required_argument, NULL, 'C'},
	{"quiet", no_argument, NULL, 'q'}, {"help", no_argument, NULL, 'h'}, {0}};

static enum upt_code
fail_option(
	const struct cli *cli, const char *word, const struct option *options, struct upt_err *err)
{
	const char *names[MAX_OPTIONS + 1], *nearest;
	char typed[64];
	size_t n = 0;

	while (n < MAX_OPTIONS && options[n].name != NULL) {
		names[n] = options[n].name;
		n++;
	}
	snprintf(typed, sizeof(typed), "%.*s", (int)strcspn(word, "="), word);
	nearest = strncmp(typed, "--", 2) == 0 ? repo_nearest(typed + 2, names, n) : NULL;
	if (nearest != NULL)
		return upt_fail(
			err, UPT_E_USAGE, "unknown option %s; did you mean --%s?", typed, nearest);
	return upt_fail(err, UPT_E_USAGE, "unknown option %s; see \"uptane-repo %s%s--help\"",
		typed, cli->command == NULL ? "" : cli->command->name,
		cli->command == NULL ? "" : " ");
}

/* shorts: how getopt treats what is no option ("+": stop at the first argument). */
static enum upt_code
next_option(struct cli *cli, int argc, char **argv, const char *shorts,
	const struct option *options, int *out, struct upt_err *err)
{
	struct option all[MAX_OPTIONS + 1] = {{0}};
	size_t n = 0;

	for (const struct option *o = options; o != NULL && o->name != NULL && n < 20; o++)
		all[n++] = *o;
	for (const struct option *o = common_options; o->name != NULL; o++)
		all[n++] = *o;
	opterr = 0;
	while (true) {
		int before = optind;
		*out = getopt_long(argc, argv, shorts, all, NULL);
		if (*out == 'C')
			cli->dir = optarg;
		else if (*out == 'q')
			cli->quiet = true;
		else if (*out == ':')
			return upt_fail(
				err, UPT_E_USAGE, "option %s needs a value", argv[optind - 1]);
		else if (*out == '?')
			return fail_option(
				cli, argv[before < optind ? optind - 1 : before], all, err);
		else
			return UPT_OK;
	}
}

enum upt_code
cli_option(struct cli *cli, int argc, char **argv, const struct option *options, int *out,
	struct upt_err *err)
{
	UPT_TRY(next_option(cli, argc, argv, ":C:qh", options, out, err));
	if (*out == 'h')
		return upt_fail(err, UPT_E_USAGE, "-h stands alone");
	return UPT_OK;
}

enum upt_code
cli_arguments(int argc, char **argv, int min, int max, const char *what, struct upt_err *err)
{
	int n = argc - optind;

	if (n < min)
		return upt_fail(err, UPT_E_USAGE, "missing %s", what);
	if (max >= 0 && n > max)
		return upt_fail(err, UPT_E_USAGE, "unexpected argument %s", argv[optind + max]);
	return UPT_OK;
}

/* ---- help ---- */
static void
print_overview(FILE *out)
{
	fputs("Usage: uptane-repo [-C DIR] COMMAND [OPTION]...\n"
	      "Make, sign and publish the metadata of an Uptane repository.\n\nCommands:\n",
		out);
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(out, "  %-15s %s\n", commands[i]->name, commands[i]->summary);
	fputs("\nOptions of every command:\n"
	      "  -C, --repo DIR  the workspace (default: the current directory); files given as\n"
	      "                  arguments stay relative to the current directory\n"
	      "  -q, --quiet     print errors and warnings only\n"
	      "  -h, --help      explain the command\n"
	      "      --version   print the version\n\n"
	      "A release, from nothing:\n"
	      "  uptane-repo -C repo init\n"
	      "  uptane-repo -C repo target add firmware.bin --name firmware.bin --hardware-id "
	      "gw-1\n"
	      "  uptane-repo -C repo publish\n"
	      "then serve repo/public with any static HTTP server.\n\n"
	      "\"uptane-repo COMMAND --help\" explains a command; uptane-repo(1) explains "
	      "everything.\n",
		out);
}

static void
print_help(FILE *out, const struct command *command)
{
	fprintf(out, "Usage: uptane-repo [-C DIR] %s%s%s\n%s.\n\n%s", command->name,
		command->args[0] == '\0' ? "" : " ", command->args, command->summary,
		command->help);
}

/* ---- finding the command ---- */
static bool
starts_group(const char *word, const struct command *command)
{
	size_t len = strlen(word);

	return strncmp(command->name, word, len) == 0 && command->name[len] == ' ';
}

/* "target" alone, or with a word that is none of its commands. */
static enum upt_code
fail_group(const char *group, const char *word, struct upt_err *err)
{
	const char *names[N_COMMANDS], *nearest;
	char list[160] = "";
	size_t n = 0;

	for (size_t i = 0; i < N_COMMANDS; i++) {
		size_t used = strlen(list);
		if (!starts_group(group, commands[i]))
			continue;
		names[n++] = commands[i]->name + strlen(group) + 1;
		snprintf(list + used, sizeof(list) - used, "%s%s", used == 0 ? "" : ", ",
			names[n - 1]);
	}
	nearest = word == NULL ? NULL : repo_nearest(word, names, n);
	if (nearest != NULL)
		return upt_fail(err, UPT_E_USAGE, "unknown command %s %s; did you mean %s %s?",
			group, word, group, nearest);
	return upt_fail(err, UPT_E_USAGE, "%s needs one of: %s", group, list);
}

static enum upt_code
fail_command(const char *word, struct upt_err *err)
{
	const char *names[2 * N_COMMANDS], *nearest;
	char groups[N_COMMANDS][32];
	size_t n = 0;

	for (size_t i = 0; i < N_COMMANDS; i++) {
		snprintf(groups[i], sizeof(groups[i]), "%.*s", (int)strcspn(commands[i]->name, " "),
			commands[i]->name);
		names[n++] = groups[i];
	}
	nearest = repo_nearest(word, names, n);
	if (nearest != NULL)
		return upt_fail(
			err, UPT_E_USAGE, "unknown command %s; did you mean %s?", word, nearest);
	return upt_fail(err, UPT_E_USAGE, "unknown command %s; see \"uptane-repo --help\"", word);
}

/* Sets the command and how many words name it. */
static enum upt_code
find_command(int argc, char **argv, const struct command **out, int *n_words, struct upt_err *err)
{
	const char *second = argc > 1 && argv[1][0] != '-' ? argv[1] : NULL;
	bool is_group = false;

	*out = NULL;
	*n_words = 0;
	for (size_t i = 0; i < N_COMMANDS && *out == NULL; i++) {
		const struct command *c = commands[i];
		size_t len = strlen(argv[0]);
		bool group = starts_group(argv[0], c);
		is_group = is_group || group;
		if (strcmp(c->name, argv[0]) == 0 ||
			(group && second != NULL && strcmp(c->name + len + 1, second) == 0)) {
			*out = c;
			*n_words = group ? 2 : 1;
		}
	}
	if (*out != NULL)
		return UPT_OK;
	return is_group ? fail_group(argv[0], second, err) : fail_command(argv[0], err);
}

static bool
asks_for_help(int argc, char **argv)
{
	for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	}
	return false;
}

/* "uptane-repo key --help": the commands of the group. */
static bool
print_group_help(FILE *out, const char *word)
{
	bool found = false;

	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (!starts_group(word, commands[i]))
			continue;
		fprintf(out, "%s  %-15s %s\n", found ? "" : "Commands:\n", commands[i]->name,
			commands[i]->summary);
		found = true;
	}
	return found;
}

static enum upt_code
dispatch(struct cli *cli, int argc, char **argv, struct upt_err *err)
{
	int n_words;
	enum upt_code code = find_command(argc, argv, &cli->command, &n_words, err);

	if (code != UPT_OK && asks_for_help(argc, argv) && print_group_help(cli->out, argv[0]))
		return UPT_OK;
	if (code != UPT_OK)
		return code;
	if (asks_for_help(argc, argv)) {
		print_help(cli->out, cli->command);
		return UPT_OK;
	}
	/* getopt takes argv[0] for the program's name; 0 makes it forget the first pass's "+". */
	optind = 0;
	return cli->command->run(cli, argc - n_words + 1, argv + n_words - 1, err);
}

static enum upt_code
run(struct cli *cli, int argc, char **argv, struct upt_err *err)
{
	static const struct option globals[] = {{"version", no_argument, NULL, 'V'}, {0}};
	int option;

	optind = 1;
	UPT_TRY(next_option(cli, argc, argv, "+:C:qh", globals, &option, err));
	if (option == 'V') {
		fprintf(cli->out, "uptane-repo %s\n", UPT_VERSION);
		return UPT_OK;
	}
	if (option == 'h') {
		print_overview(cli->out);
		return UPT_OK;
	}
	if (optind >= argc)
		return upt_fail(err, UPT_E_USAGE, "missing command; see \"uptane-repo --help\"");
	return dispatch(cli, argc - optind, argv + optind, err);
}

int
repo_main(int argc, char **argv)
{
	struct cli cli = {.dir = ".", .out = stdout, .errors = stderr};
	struct upt_err err = {0};
	enum upt_code code;

	/* A closed pipe or a file size limit is an error to report, not a silent death. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	code = run(&cli, argc, argv, &err);
	if (fflush(cli.out) != 0 && code == UPT_OK)
		code = upt_fail_errno(&err, errno, "cannot write the output");
	if (code != UPT_OK)
		fprintf(cli.errors, "uptane-repo: %s\n", err.message);
	return upt_code_exit(code);
}
