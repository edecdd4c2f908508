#include "installer/compose_run.h"

#include <stdio.h>

#include "installer/run.h"

#define MAX_LINES 400 /* logged of one run */

struct words {
	const struct upt_log *log;
	unsigned n_lines;
	char *out; /* the last lines, with " | " between */
	size_t size;
};

/* Keeps the end: what a program says last explains why it ended. */
static void
keep_line(struct words *words, const char *line)
{
	size_t have = strlen(words->out), drop = 0;
	size_t need = strlen(line) + 3;

	if (need + 1 > words->size)
		return;
	if (have + need + 1 > words->size)
		drop = have + need + 1 - words->size;
	memmove(words->out, words->out + drop, have - drop + 1);
	have -= drop;
	snprintf(words->out + have, words->size - have, "%s%s", have > 0 ? " | " : "", line);
}

static void
take_line(void *ctx, const char *line)
{
	struct words *words = ctx;

	if (words->n_lines++ < MAX_LINES)
		upt_log(words->log, UPT_LOG_INFO, "compose: %s", line);
	keep_line(words, line);
}

enum upt_code
upt_compose_run(void *ctx, const char *const *argv, char *out, size_t size, struct upt_err *err)
{
	const struct upt_compose_run *settings = ctx;
	upt_cleanup(upt_buf_clear) struct upt_buf host = {0}, home = {0}, docker = {0}, none = {0};
	struct words words = {.log = settings->log, .out = out, .size = size};
	struct upt_err why = {0};
	enum upt_code code;

	out[0] = '\0';
	UPT_TRY(upt_buf_printf(&host, err, "DOCKER_HOST=unix://%s", settings->socket_path));
	UPT_TRY(upt_buf_printf(&home, err, "HOME=%s", settings->home));
	UPT_TRY(upt_buf_printf(&docker, err, "DOCKER_CONFIG=%s", settings->home));
	const char *const env[] = {
		(const char *)host.data, (const char *)home.data, (const char *)docker.data, NULL};
	/* In home, else a .env where the daemon was started would fill in variables. */
	const struct upt_run run = {.argv = argv,
		.timeout_ms = settings->timeout_s * 1000,
		.env = env,
		.dir = settings->home,
		.line = take_line,
		.ctx = &words};

	code = upt_run(&run, &none, &why);
	if (code == UPT_E_INSTALL && out[0] != '\0')
		return upt_fail(err, code, "%.200s: %.300s", why.message, out);
	return code == UPT_OK ? UPT_OK : upt_fail(err, code, "%s", why.message);
}
