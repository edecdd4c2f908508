#include "daemon/uptaned.h"

#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include "crypto/crypto.h"
#include "daemon/console.h"
#include "primary/primary.h"

/* Set by SIGTERM and SIGINT; the only state a signal handler can reach. */
static volatile bool stop_requested;

static void
request_stop(int signal_number)
{
	(void)signal_number;
	stop_requested = true;
}

/* Without SA_RESTART: a blocked call returns and sees the flag. */
static void
catch_signals(sigset_t *while_waiting)
{
	struct sigaction action = {.sa_handler = request_stop};

	sigprocmask(SIG_SETMASK, NULL, while_waiting);
	sigdelset(while_waiting, SIGTERM);
	sigdelset(while_waiting, SIGINT);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int64_t
system_clock(void *ctx)
{
	(void)ctx;
	return (int64_t)time(NULL);
}

enum mode {
	MODE_NONE = 0,
	MODE_ONCE,
	MODE_DAEMON,
	MODE_DONE, /* --help, --version */
};

struct options {
	enum mode mode;
	const char *config_dir;
	enum upt_log_level level;
};

static void
print_help(FILE *to)
{
	fputs("Usage: uptaned --once|--daemon [--config DIR] [--verbose|--quiet]\n"
	      "\n"
	      "Updates this vehicle or gateway: verifies the Director's and the Image repository's\n"
	      "metadata (Uptane), fetches verified images, installs them and reports what runs.\n"
	      "\n"
	      "  -1, --once         run one update cycle and exit\n"
	      "  -d, --daemon       poll until SIGTERM\n"
	      "  -c, --config DIR   folder of uptaned.conf (default /etc/uptaned)\n"
	      "  -v, --verbose      also log debugging details\n"
	      "  -q, --quiet        log warnings and errors only\n"
	      "  -h, --help         this text\n"
	      "  -V, --version      version\n"
	      "\n"
	      "Exit codes: 0 done; 2 usage; 3 configuration; 4 local storage; 5 network or server;\n"
	      "6 TLS identity; 7 installation; 8 busy; 9 interrupted; refused as an attack: 20 arbitrary\n"
	      "software, 21 rollback, 22 freeze, 23 mix-and-match, 24 endless data, 25 slow retrieval;\n"
	      "26 malformed or incomplete metadata. See uptaned(8).\n",
		to);
}

static enum upt_code
parse_options(int argc, char **argv, struct options *o, struct upt_err *err)
{
	static const struct option longs[] = {{"once", no_argument, NULL, '1'},
		{"daemon", no_argument, NULL, 'd'}, {"config", required_argument, NULL, 'c'},
		{"verbose", no_argument, NULL, 'v'}, {"quiet", no_argument, NULL, 'q'},
		{"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, {0}};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "1dc:vqhV", longs, NULL)) != -1) {
		switch (c) {
		case '1':
		case 'd':
			if (o->mode != MODE_NONE)
				return upt_fail(err, UPT_E_USAGE, "give --once or --daemon, and only once");
			o->mode = c == '1' ? MODE_ONCE : MODE_DAEMON;
			break;
		case 'c':
			o->config_dir = optarg;
			break;
		case 'v':
			o->level = UPT_LOG_DEBUG;
			break;
		case 'q':
			o->level = UPT_LOG_WARNING;
			break;
		case 'h':
			print_help(stdout);
			o->mode = MODE_DONE;
			return UPT_OK;
		case 'V':
			puts("uptaned " UPT_VERSION);
			o->mode = MODE_DONE;
			return UPT_OK;
		default:
			return upt_fail(err, UPT_E_USAGE, "unknown option or missing argument: %s",
				argv[optind - 1]);
		}
	}
	if (optind < argc)
		return upt_fail(err, UPT_E_USAGE, "unexpected argument '%s'", argv[optind]);
	if (o->mode == MODE_NONE)
		return upt_fail(err, UPT_E_USAGE, "give --once or --daemon (see --help)");
	return UPT_OK;
}

static enum upt_code
run_cycle(struct upt_primary *primary, struct upt_console *console, struct upt_err *err)
{
	struct upt_cycle_summary s = {0};
	enum upt_code code = upt_primary_cycle(primary, &s, err);

	upt_console_end_line(console);
	if (code != UPT_OK) {
		upt_log_err(&console->log, UPT_LOG_ERROR, err, "update cycle");
		return code;
	}
	upt_log(&console->log, UPT_LOG_INFO,
		"cycle done: %u assigned, %u installed, %u waiting for a reboot, %u refused before; "
		"%llu requests on %llu connection(s), %llu bytes received",
		s.n_assigned, s.n_installed, s.n_pending, s.n_refused, (unsigned long long)s.n_requests,
		(unsigned long long)s.n_connections, (unsigned long long)s.received_bytes);
	return UPT_OK;
}

/* A fleet that was powered on together must not poll together: up to a tenth earlier or later. */
static int64_t
with_jitter(int64_t interval_ms)
{
	struct upt_err ignored;
	uint32_t random = 0;

	if (upt_random(&random, sizeof(random), &ignored) != UPT_OK)
		return interval_ms;
	return interval_ms - interval_ms / 10 + (int64_t)(random % 1000) * (interval_ms / 5) / 1000;
}

static void
wait_ms(int64_t ms, const sigset_t *while_waiting)
{
	struct timespec timeout = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
	sigset_t blocked;

	/* A signal between the look at the flag and the sleep would be slept over: it is held back until
	 * ppoll() lets it in. */
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGINT);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	if (!stop_requested)
		ppoll(NULL, 0, &timeout, while_waiting);
	sigprocmask(SIG_UNBLOCK, &blocked, NULL);
}

/* Polls until told to stop. A cycle that could not be finished for want of a network is tried again sooner,
 * from half a minute up to the poll interval; a refusal waits for the next poll. */
static enum upt_code
run_daemon(struct upt_primary *primary, const struct upt_config *config, struct upt_console *console,
	const sigset_t *while_waiting)
{
	int64_t interval_ms = (int64_t)config->poll_interval_s * 1000, retry_ms = 30000;

	sd_notify(0, "READY=1");
	while (!stop_requested) {
		struct upt_err err = {0};
		enum upt_code code = run_cycle(primary, console, &err);
		bool soon = code == UPT_E_NETWORK || code == UPT_E_SERVER;

		sd_notifyf(0, "STATUS=last cycle: %s", upt_code_name(code));
		if (!soon)
			retry_ms = 30000;
		wait_ms(with_jitter(soon && retry_ms < interval_ms ? retry_ms : interval_ms), while_waiting);
		retry_ms = soon ? retry_ms * 2 : retry_ms;
	}
	sd_notify(0, "STOPPING=1");
	return UPT_OK;
}

static enum upt_code
run(const struct options *o, struct upt_console *console, struct upt_err *err)
{
	upt_cleanup(upt_config_clear) struct upt_config config = {0};
	upt_cleanup(upt_primary_free) struct upt_primary *primary = NULL;
	struct upt_primary_options options = {.config = &config,
		.log = &console->log,
		.clock = system_clock,
		.progress = upt_console_progress,
		.progress_ctx = console,
		.cancel = &stop_requested};
	sigset_t while_waiting;
	enum upt_code code;

	catch_signals(&while_waiting);
	code = upt_config_load(o->config_dir, &config, err);
	if (code == UPT_OK)
		code = upt_primary_new(&options, &primary, err);
	if (code != UPT_OK) {
		upt_log_err(&console->log, UPT_LOG_ERROR, err, "cannot start");
		return code;
	}
	if (o->mode == MODE_DAEMON)
		return run_daemon(primary, &config, console, &while_waiting);
	return run_cycle(primary, console, err);
}

int
upt_uptaned_main(int argc, char **argv)
{
	struct options o = {.config_dir = "/etc/uptaned", .level = UPT_LOG_INFO};
	struct upt_console console;
	struct upt_err err = {0};
	enum upt_code code = parse_options(argc, argv, &o, &err);

	upt_console_init(&console, "uptaned", o.level);
	if (code != UPT_OK) {
		upt_log(&console.log, UPT_LOG_ERROR, "%s", err.message);
		return upt_code_exit(code);
	}
	if (o.mode == MODE_DONE)
		return 0;
	return upt_code_exit(run(&o, &console, &err));
}
