/*
 * A plain TUF 1.0 client of one repository, for public suites that judge clients by a command line:
 * it feeds the verifier that vehicles have, with the named differences of struct upt_trust_policy.
 * TUF specification 1.0, section 5 "Detailed client workflow". Thread-safety: none.
 */
#ifndef TESTS_CONFORMANCE_TUF_CLIENT_H
#define TESTS_CONFORMANCE_TUF_CLIENT_H

#include "base/log.h"

#define TUF_MAX_TARGET_NAMES 1024

enum tuf_command {
	TUF_INIT,
	TUF_REFRESH,
	TUF_DOWNLOAD,
};

/* What the command line says; everything borrowed from it. */
struct tuf_options {
	enum tuf_command command;
	const char *metadata_dir;
	const char *trusted_root; /* init */
	const char *metadata_url; /* refresh, download */
	const char *target_base_url, *target_dir; /* download */
	size_t n_target_names;
	const char *target_names[TUF_MAX_TARGET_NAMES];
	unsigned max_root_rotations; /* in one run; then it goes on under the last one */
};

/* Trusts a file as the first root, unseen: whoever runs this has chosen it. Sends nothing. */
UPT_NODISCARD enum upt_code tuf_init(const struct tuf_options *options, struct upt_err *err);
/* The workflow at time now, seconds since 1970. UPT_E_NOT_FOUND before init. */
UPT_NODISCARD enum upt_code
tuf_refresh(const struct tuf_options *options, int64_t now, struct upt_err *err);
/*
 * The workflow, then each named artifact into target_dir under its quoted name, unless what is
 * there is it already. Goes on with the others when one fails; the last failure is returned, those
 * before it are logged.
 */
UPT_NODISCARD enum upt_code tuf_download(const struct tuf_options *options, int64_t now,
	const struct upt_log *log, struct upt_err *err);

/* The whole program: 0 or 1. */
int tuf_client_main(int argc, char **argv);

#endif
