#include <getopt.h>
#include <string.h>
#include <time.h>
#include "base/log.h"
#include "vectors.h"

static const char usage[] =
	"Usage: uptane-vectors URL [--primary-ecu SERIAL] [--hardware-id ID]\n"
	"\n"
	"Runs the Uptane vectors that the server at URL names against uptaned's verifier.\n"
	"\n"
	"  --primary-ecu SERIAL   the vehicle's only ECU [test_primary_ecu_serial]\n"
	"  --hardware-id ID       its hardware [test_primary_hardware_id]\n"
	"\n"
	"Exit status: 0 when every step went as expected, else 1.\n";

static const struct option long_options[] = {
	{"primary-ecu", required_argument, NULL, 'p'},
	{"hardware-id", required_argument, NULL, 'i'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{0},
};

/* *done: help or version was all that was asked for. */
static enum upt_code
parse(int argc, char **argv, struct vectors_options *o, bool *done, struct upt_err *err)
{
	int id;

	*done = false;
	opterr = 0;
	while ((id = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (id) {
		case 'p':
			o->primary_ecu = optarg;
			break;
		case 'i':
			o->hardware_id = optarg;
			break;
		case 'h':
		case 'V':
			(void)fputs(id == 'h' ? usage : "uptane-vectors " UPT_VERSION "\n", stdout);
			*done = true;
			return UPT_OK;
		default:
			return upt_fail(err, UPT_E_USAGE, "%s: unknown or incomplete option",
				argv[optind - 1]);
		}
	}
	if (argc - optind != 1)
		return upt_fail(err, UPT_E_USAGE, "give one URL");
	o->url = argv[optind];
	return UPT_OK;
}

int
uptane_vectors_main(int argc, char **argv)
{
	struct upt_log log = {.stream = stderr, .name = "uptane-vectors", .level = UPT_LOG_INFO};
	struct vectors_options o = {.primary_ecu = "test_primary_ecu_serial",
		.hardware_id = "test_primary_hardware_id"};
	struct vectors_result result;
	struct upt_err err = {0};
	bool done;

	if (parse(argc, argv, &o, &done, &err) != UPT_OK) {
		upt_log(&log, UPT_LOG_ERROR, "%s (--help tells more)", err.message);
		return 1;
	}
	if (done)
		return 0;
	if (vectors_run(&o, (int64_t)time(NULL), stdout, &result, &err) != UPT_OK) {
		upt_log_err(&log, UPT_LOG_ERROR, &err, "%s", o.url);
		return 1;
	}
	printf("%u vectors, %u steps\n", result.n_vectors, result.n_passed + result.n_failed);
	printf("%u passed, %u failed\n", result.n_passed, result.n_failed);
	/* Results that did not reach their reader are none. */
	if (fflush(stdout) != 0 || ferror(stdout) != 0)
		return 1;
	return result.n_failed == 0 ? 0 : 1;
}
