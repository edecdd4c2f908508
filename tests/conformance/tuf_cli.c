#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "tuf_client.h"

#define DEFAULT_MAX_ROOT_ROTATIONS 256u

static const char usage[] =
	"Usage: tuf-client --metadata-dir DIR [OPTION...] COMMAND\n"
	"\n"
	"A plain TUF 1.0 client on uptaned's verifier, for conformance suites.\n"
	"\n"
	"  init TRUSTED_ROOT  trust this file as the first root; sends nothing\n"
	"  refresh            bring the trusted metadata up to date\n"
	"  download           refresh, then get the named artifacts\n"
	"\n"
	"  --metadata-dir DIR       trusted metadata: root.json, ROLE.json...\n"
	"  --metadata-url URL       the repository's metadata (refresh, download)\n"
	"  --target-name PATH       an artifact; may be repeated (download)\n"
	"  --target-base-url URL    the repository's artifacts (download)\n"
	"  --target-dir DIR         where artifacts are kept (download)\n"
	"  --max-root-rotations N   new roots in one run [256]\n"
	"\n"
	"Exit status: 0 when everything succeeded, else 1.\n";

enum option_id {
	METADATA_DIR = 256,
	METADATA_URL,
	TARGET_NAME,
	TARGET_BASE_URL,
	TARGET_DIR,
	MAX_ROOT_ROTATIONS,
	HELP,
	VERSION,
};

static const struct option long_options[] = {
	{"metadata-dir", required_argument, NULL, METADATA_DIR},
	{"metadata-url", required_argument, NULL, METADATA_URL},
	{"target-name", required_argument, NULL, TARGET_NAME},
	{"target-base-url", required_argument, NULL, TARGET_BASE_URL},
	{"target-dir", required_argument, NULL, TARGET_DIR},
	{"max-root-rotations", required_argument, NULL, MAX_ROOT_ROTATIONS},
	{"help", no_argument, NULL, HELP},
	{"version", no_argument, NULL, VERSION},
	{0},
};

static enum upt_code
parse_count(const char *text, unsigned *out, struct upt_err *err)
{
	unsigned value = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9' && value <= 100000; p++)
		value = 10 * value + (unsigned)(*p - '0');
	if (p == text || *p != '\0' || value > 100000)
		return upt_fail(err, UPT_E_USAGE,
			"--max-root-rotations %s is no number up to 100000", text);
	*out = value;
	return UPT_OK;
}

static enum upt_code
add_target_name(struct tuf_options *o, const char *name, struct upt_err *err)
{
	if (o->n_target_names == TUF_MAX_TARGET_NAMES)
		return upt_fail(err, UPT_E_USAGE, "more than %d artifacts", TUF_MAX_TARGET_NAMES);
	if (name[0] == '\0')
		return upt_fail(err, UPT_E_USAGE, "an artifact without a name");
	o->target_names[o->n_target_names++] = name;
	return UPT_OK;
}

static enum upt_code
take_option(struct tuf_options *o, int id, const char *value, struct upt_err *err)
{
	switch (id) {
	case METADATA_DIR:
		o->metadata_dir = value;
		return UPT_OK;
	case METADATA_URL:
		o->metadata_url = value;
		return UPT_OK;
	case TARGET_NAME:
		return add_target_name(o, value, err);
	case TARGET_BASE_URL:
		o->target_base_url = value;
		return UPT_OK;
	case TARGET_DIR:
		o->target_dir = value;
		return UPT_OK;
	case MAX_ROOT_ROTATIONS:
		return parse_count(value, &o->max_root_rotations, err);
	default:
		return upt_fail(err, UPT_E_USAGE, "unknown or incomplete option");
	}
}

static enum upt_code
take_command(struct tuf_options *o, int argc, char **argv, struct upt_err *err)
{
	const char *command = argc > 0 ? argv[0] : "";

	if (strcmp(command, "init") == 0 && argc == 2) {
		o->command = TUF_INIT;
		o->trusted_root = argv[1];
	} else if (strcmp(command, "refresh") == 0 && argc == 1) {
		o->command = TUF_REFRESH;
	} else if (strcmp(command, "download") == 0 && argc == 1) {
		o->command = TUF_DOWNLOAD;
	} else {
		return upt_fail(err, UPT_E_USAGE,
			"give one command: init TRUSTED_ROOT, refresh or download");
	}
	if (o->metadata_dir == NULL)
		return upt_fail(err, UPT_E_USAGE, "%s needs --metadata-dir", command);
	if (o->command != TUF_INIT && o->metadata_url == NULL)
		return upt_fail(err, UPT_E_USAGE, "%s needs --metadata-url", command);
	if (o->command == TUF_DOWNLOAD &&
		(o->target_base_url == NULL || o->target_dir == NULL || o->n_target_names == 0))
		return upt_fail(err, UPT_E_USAGE,
			"download needs --target-name, --target-base-url and --target-dir");
	return UPT_OK;
}

/* *done: help or version was all that was asked for. */
static enum upt_code
parse(int argc, char **argv, struct tuf_options *o, bool *done, struct upt_err *err)
{
	int id;

	*done = false;
	opterr = 0;
	while ((id = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (id == HELP || id == VERSION) {
			(void)fputs(id == HELP ? usage : "tuf-client " UPT_VERSION "\n", stdout);
			*done = true;
			return UPT_OK;
		}
		if (id == '?')
			return upt_fail(err, UPT_E_USAGE, "%s: unknown or incomplete option",
				argv[optind - 1]);
		UPT_TRY(take_option(o, id, optarg, err));
	}
	return take_command(o, argc - optind, argv + optind, err);
}

static enum upt_code
run(const struct tuf_options *o, const struct upt_log *log, struct upt_err *err)
{
	/* The start of the update: everything in this run is judged by it (TUF 5.1). */
	int64_t now = (int64_t)time(NULL);

	switch (o->command) {
	case TUF_INIT:
		return tuf_init(o, err);
	case TUF_REFRESH:
		return tuf_refresh(o, now, err);
	case TUF_DOWNLOAD:
		return tuf_download(o, now, log, err);
	}
	return upt_fail(err, UPT_E_INTERNAL, "no such command");
}

int
tuf_client_main(int argc, char **argv)
{
	static const char *const names[] = {"init", "refresh", "download"};
	struct upt_log log = {.stream = stderr, .name = "tuf-client", .level = UPT_LOG_INFO};
	struct tuf_options o = {.max_root_rotations = DEFAULT_MAX_ROOT_ROTATIONS};
	struct upt_err err = {0};
	bool done;

	if (parse(argc, argv, &o, &done, &err) != UPT_OK) {
		upt_log(&log, UPT_LOG_ERROR, "%s (--help tells more)", err.message);
		return 1;
	}
	if (done)
		return 0;
	if (run(&o, &log, &err) == UPT_OK)
		return 0;
	upt_log_err(&log, UPT_LOG_ERROR, &err, "%s", names[o.command]);
	return 1;
}
