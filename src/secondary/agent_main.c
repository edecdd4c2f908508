/*
 * The command line of uptane-secondary(8).
 */
#include "secondary/agent.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#define PROGRAM "uptane-secondary"

struct options {
	const char *config_dir;
	const char *key_type;
	bool generate_key;
	bool info;
};

/* What main's failure paths have to release. */
struct program {
	struct upt_log log;
	struct upt_ini ini;
	struct upt_agent_config config;
	const char *key_path;
	struct upt_private_key *key;
	struct upt_agent *agent;
	int stop_fd;
};

static void
usage(FILE *to)
{
	fputs("Usage: " PROGRAM " [--config DIR] [--generate-key [--key-type TYPE]] [--info]\n"
	      "The agent of a Secondary ECU: verifies what its Primary hands over, installs one "
	      "file,\n"
	      "and reports what is installed.\n\n"
	      "  --config DIR     read DIR/" PROGRAM ".conf and its drop-ins [/etc/" PROGRAM "]\n"
	      "  --generate-key   make the ECU's private key when there is none\n"
	      "  --key-type TYPE  of a new key: ed25519 (default), ecdsa-sha2-nistp256 or rsa\n"
	      "  --info           check the configuration, print serial, hardware id and public "
	      "key\n"
	      "  --help           print this\n"
	      "  --version        print the version\n",
		to);
}

/* UPT_OK to go on; *exit_now for --help and --version. */
static enum upt_code
parse_options(int argc, char **argv, struct options *o, bool *exit_now, struct upt_err *err)
{
	static const struct option long_options[] = {{"config", required_argument, NULL, 'c'},
		{"generate-key", no_argument, NULL, 'g'},
		{"key-type", required_argument, NULL, 't'}, {"info", no_argument, NULL, 'i'},
		{"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, {0}};
	int c;

	*o = (struct options){.config_dir = "/etc/" PROGRAM, .key_type = "ed25519"};
	*exit_now = false;
	opterr = 0;
	while ((c = getopt_long(argc, argv, "c:gt:ihV", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->config_dir = optarg;
			break;
		case 'g':
			o->generate_key = true;
			break;
		case 't':
			o->key_type = optarg;
			break;
		case 'i':
			o->info = true;
			break;
		case 'h':
			usage(stdout);
			*exit_now = true;
			return UPT_OK;
		case 'V':
			puts(PROGRAM " " UPT_VERSION);
			*exit_now = true;
			return UPT_OK;
		default:
			return upt_fail(err, UPT_E_USAGE,
				"unknown option or missing argument: %s; try --help",
				argv[optind - 1]);
		}
	}
	if (optind != argc)
		return upt_fail(err, UPT_E_USAGE, "unexpected %s; try --help", argv[optind]);
	return UPT_OK;
}

static enum upt_code
load_key(struct program *p, const struct options *o, struct upt_err *err)
{
	enum upt_code code = upt_private_key_load(p->key_path, &p->key, err);

	if (code != UPT_E_NOT_FOUND)
		return code;
	if (!o->generate_key)
		return upt_wrap(err, UPT_E_KEY, "no private key (--generate-key makes one)");
	UPT_TRY(upt_private_key_generate(o->key_type, 3072, &p->key, err));
	UPT_TRY(upt_private_key_save(p->key, p->key_path, err));
	upt_log(&p->log, UPT_LOG_INFO, "made the key %s", p->key_path);
	return UPT_OK;
}

static enum upt_code
print_info(const struct program *p, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	char id[65];

	UPT_TRY(upt_private_key_public_text(p->key, &text, err));
	upt_private_key_id(p->key, id);
	printf("serial: %s\nhardware_id: %s\nkeytype: %s\nkeyid: %s\npublic: %.*s\n",
		p->config.serial, p->config.hardware_id, upt_private_key_type(p->key), id,
		(int)text.len, (const char *)text.data);
	if (fflush(stdout) != 0)
		return upt_fail_errno(err, errno, "cannot print");
	return UPT_OK;
}

/* SIGTERM and SIGINT as something poll(2) sees: no handler, no race, no wakeups while idle. */
static enum upt_code
catch_signals(struct program *p, struct upt_err *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return upt_fail_errno(err, errno, "cannot block signals");
	p->stop_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (p->stop_fd < 0)
		return upt_fail_errno(err, errno, "cannot watch signals");
	signal(SIGPIPE, SIG_IGN); /* logs may go to a pipe whose reader has gone */
	return UPT_OK;
}

static enum upt_code
run(struct program *p, const struct options *o, struct upt_err *err)
{
	struct upt_private_key *key;

	UPT_TRY(upt_ini_read_dir(&p->ini, o->config_dir, PROGRAM, err));
	UPT_TRY(upt_agent_config_read(&p->ini, &p->config, &p->key_path, &p->log.level, err));
	UPT_TRY(load_key(p, o, err));
	if (o->info)
		return print_info(p, err);
	UPT_TRY(catch_signals(p, err));
	key = p->key;
	p->key = NULL;
	UPT_TRY(upt_agent_new(&p->config, key, &p->log, &p->agent, err));
	UPT_TRY(upt_agent_listen(p->agent, err));
	UPT_TRY(upt_agent_run(p->agent, p->stop_fd, err));
	upt_log(&p->log, UPT_LOG_INFO, "stopped");
	return UPT_OK;
}

static void
program_clear(struct program *p)
{
	upt_agent_free(&p->agent);
	upt_private_key_free(&p->key);
	upt_ini_clear(&p->ini);
	upt_close_fd(&p->stop_fd);
}

int
upt_agent_main(int argc, char **argv)
{
	upt_cleanup(program_clear) struct program p = {
		.log = {.stream = stderr, .name = PROGRAM, .level = UPT_LOG_INFO}, .stop_fd = -1};
	struct options options;
	struct upt_err err = {0};
	bool exit_now;
	enum upt_code code = parse_options(argc, argv, &options, &exit_now, &err);

	/* systemd sets it for services whose stderr goes to the journal. */
	p.log.journal = getenv("JOURNAL_STREAM") != NULL;
	if (code == UPT_OK && !exit_now)
		code = run(&p, &options, &err);
	if (code != UPT_OK)
		upt_log_err(&p.log, UPT_LOG_ERROR, &err, "cannot go on");
	return upt_code_exit(code);
}
