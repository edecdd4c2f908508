#include "daemon/uptaned.h"

#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include "crypto/crypto.h"
#include "primary/console.h"
#include "primary/primary.h"

#define FIRST_RETRY_MS 30000
#define LATE_MS 120000

/* Set by SIGTERM and SIGINT, and by SIGHUP; the only state a signal handler can reach. */
static volatile bool stop_requested, reload_requested;

static void
request_stop(int signal_number)
{
	(void)signal_number;
	stop_requested = true;
}

static void
request_reload(int signal_number)
{
	(void)signal_number;
	reload_requested = true;
}

/* Without SA_RESTART: a blocked call returns and sees the flag. A single cycle has nothing to
 * reload: its terminal is gone. */
static void
catch_signals(bool reloads)
{
	struct sigaction stop = {.sa_handler = request_stop},
			 reload = {.sa_handler = request_reload};

	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGHUP, reloads ? &reload : &stop, NULL);
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
	      "Updates this vehicle or gateway: verifies the Director's and the Image "
	      "repository's\n"
	      "metadata (Uptane), fetches verified images, installs them and reports what runs.\n"
	      "\n"
	      "  -1, --once         run one update cycle and exit\n"
	      "  -d, --daemon       poll until SIGTERM; SIGHUP: read the configuration and poll "
	      "now\n"
	      "  -c, --config DIR   folder of uptaned.conf (default /etc/uptaned)\n"
	      "  -v, --verbose      also log debugging details\n"
	      "  -q, --quiet        log warnings and errors only\n"
	      "  -h, --help         this text\n"
	      "  -V, --version      version\n"
	      "\n"
	      "Exit codes: 0 done; 2 usage; 3 configuration; 4 local storage; 5 network or "
	      "server;\n"
	      "6 TLS identity; 7 installation; 8 busy; 9 interrupted; refused as an attack: 20 "
	      "arbitrary\n"
	      "software, 21 rollback, 22 freeze, 23 mix-and-match, 24 endless data, 25 slow "
	      "retrieval;\n"
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
				return upt_fail(
					err, UPT_E_USAGE, "give --once or --daemon, and only once");
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

/* Whatever else the cycle came to: what was installed, or given up, runs after the reboot only. */
static void
reboot_if_needed(struct upt_primary *primary, const struct upt_cycle_summary *s,
	const struct upt_console *console)
{
	struct upt_err err = {0};

	if (s->wants_reboot && !stop_requested && upt_primary_reboot(primary, &err) != UPT_OK)
		upt_log_err(&console->log, UPT_LOG_ERROR, &err, "reboot");
}

static enum upt_code
run_cycle(struct upt_primary *primary, struct upt_console *console, struct upt_err *err)
{
	struct upt_cycle_summary s = {0};
	enum upt_code code = upt_primary_cycle(primary, &s, err);

	upt_console_end_line(console);
	reboot_if_needed(primary, &s, console);
	if (code != UPT_OK) {
		upt_log_err(&console->log, UPT_LOG_ERROR, err, "update cycle");
		return code;
	}
	upt_log(&console->log, UPT_LOG_INFO,
		"cycle done: %u assigned, %u installed, %u waiting for a reboot, %u refused "
		"before, "
		"%u out of reach; %llu requests on %llu connection(s), %llu bytes received",
		s.n_assigned, s.n_installed, s.n_pending, s.n_refused, s.n_unreachable,
		(unsigned long long)s.n_requests, (unsigned long long)s.n_connections,
		(unsigned long long)s.received_bytes);
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
wait_ms(int64_t ms)
{
	struct timespec timeout = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
	sigset_t blocked, before;

	/* A signal between the look at the flag and the sleep would be slept over: it is held back
	 * until ppoll() lets it in. */
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGINT);
	sigaddset(&blocked, SIGHUP);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	if (!stop_requested && !reload_requested)
		ppoll(NULL, 0, &timeout, &before);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

/* When a gate is asked again: a fleet that waits for the same window comes up to two minutes late,
 * and never too early. */
static int64_t
with_delay(int64_t interval_ms)
{
	struct upt_err ignored;
	uint32_t random = 0;

	if (upt_random(&random, sizeof(random), &ignored) != UPT_OK)
		return interval_ms;
	return interval_ms + (interval_ms / 10 < LATE_MS ? interval_ms / 10 : LATE_MS) *
				     (int64_t)(random % 1000) / 1000;
}

/* A Primary and the configuration that it borrows. */
struct service {
	const struct options *options;
	struct upt_console *console;
	struct upt_config configs[2], *config; /* the one in use, and one to read another into */
	struct upt_primary *primary;
};

static void
service_clear(struct service *s)
{
	upt_primary_free(&s->primary);
	upt_config_clear(&s->configs[0]);
	upt_config_clear(&s->configs[1]);
}

static enum upt_code
new_primary(struct service *s, const struct upt_config *config, struct upt_err *err)
{
	struct upt_primary_options options = {.config = config,
		.log = &s->console->log,
		.clock = system_clock,
		.progress = upt_console_progress,
		.progress_ctx = s->console,
		.cancel = &stop_requested};

	return upt_primary_new(&options, &s->primary, err);
}

/* A configuration that is wrong, or with which the Primary does not start, leaves the old one in
 * force: a slip of the pen must not end the updates of a vehicle that nobody can reach. */
static enum upt_code
reload(struct service *s, struct upt_err *err)
{
	struct upt_config *fresh = s->config == &s->configs[0] ? &s->configs[1] : &s->configs[0];
	enum upt_code code = upt_config_load(s->options->config_dir, fresh, err);

	if (code == UPT_OK) {
		upt_primary_free(&s->primary);
		code = new_primary(s, fresh, err);
	}
	if (code == UPT_OK) {
		upt_config_clear(s->config);
		s->config = fresh;
		upt_log(&s->console->log, UPT_LOG_INFO, "the configuration was read again");
		return UPT_OK;
	}
	upt_log_err(&s->console->log, UPT_LOG_ERROR, err, "the old configuration stays");
	upt_config_clear(fresh);
	return s->primary != NULL ? UPT_OK : new_primary(s, s->config, err);
}

/* Time to the next poll. A cycle that could not be finished for want of a network is tried again
 * sooner, from half a minute up to the poll interval; a refusal waits for the next poll, and what a
 * gate put off for as long as it said, if that is sooner. */
static int64_t
next_poll_ms(const struct service *s, bool soon, int64_t *retry_ms)
{
	int64_t interval_ms = (int64_t)s->config->poll_interval_s * 1000;
	const struct upt_wait *gate = upt_primary_waits(s->primary);
	int64_t wait = interval_ms;

	if (gate != NULL && !soon && (int64_t)gate->retry_s < interval_ms / 1000) {
		*retry_ms = FIRST_RETRY_MS;
		return with_delay((int64_t)gate->retry_s * 1000);
	}
	if (!soon) {
		*retry_ms = FIRST_RETRY_MS;
	} else if (*retry_ms < interval_ms) {
		wait = *retry_ms;
		*retry_ms *= 2;
	}
	return with_jitter(wait);
}

/* Polls until told to stop. */
static enum upt_code
run_daemon(struct service *s, struct upt_err *err)
{
	int64_t retry_ms = FIRST_RETRY_MS;
	enum upt_code code = UPT_OK;

	sd_notify(0, "READY=1");
	while (!stop_requested && code == UPT_OK) {
		struct upt_err failure = {0};
		enum upt_code result = run_cycle(s->primary, s->console, &failure);

		sd_notifyf(0, "STATUS=last cycle: %s%s", upt_code_name(result),
			upt_primary_waits(s->primary) != NULL ? ", waits for a gate" : "");
		wait_ms(next_poll_ms(
			s, result == UPT_E_NETWORK || result == UPT_E_SERVER, &retry_ms));
		if (reload_requested) {
			reload_requested = false;
			code = reload(s, err);
		}
	}
	sd_notify(0, "STOPPING=1");
	if (code != UPT_OK)
		upt_log_err(&s->console->log, UPT_LOG_ERROR, err, "cannot go on");
	return code;
}

static enum upt_code
run(const struct options *o, struct upt_console *console, struct upt_err *err)
{
	upt_cleanup(service_clear) struct service s = {.options = o, .console = console};
	enum upt_code code;

	s.config = &s.configs[0];
	catch_signals(o->mode == MODE_DAEMON);
	code = upt_config_load(o->config_dir, s.config, err);
	if (code == UPT_OK)
		code = new_primary(&s, s.config, err);
	if (code != UPT_OK) {
		upt_log_err(&console->log, UPT_LOG_ERROR, err, "cannot start");
		return code;
	}
	return o->mode == MODE_DAEMON ? run_daemon(&s, err) : run_cycle(s.primary, console, err);
}

int
upt_uptaned_main(int argc, char **argv)
{
	struct options o = {.config_dir = "/etc/uptaned", .level = UPT_LOG_INFO};
	upt_cleanup(upt_console_clear) struct upt_console console;
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
