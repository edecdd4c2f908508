#include "installer/ostree_fetch.h"

#include <dirent.h>
#include <netinet/in.h>
#include <linux/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "installer/ostree_cost.h"
#include "installer/ostree_internal.h"

#define TICK_MS 500u
#define N_NETWORK_RETRIES 2u
/* What may come on top of the listed sizes: replies' heads, objects asked for twice, the rest. */
#define HEAD_BYTES 2048u
#define SLACK_BYTES ((guint64)4 << 20)

struct fetch {
	const char *sysroot, *remote, *commit, *url;
	guint64 min_speed_bytes, window_s, reserve_bytes;
	char *repo_path, *tmp_path;
	OstreeAsyncProgress *async; /* of the pull under way; read and written atomically */
	/* Both written before the pull that needs them. */
	_Atomic guint64 all_bytes; /* of the objects to come, 0 while that is not known */
	_Atomic guint64 max_bytes; /* that a server may send for them, 0: no limit but the disk's */
	/* of the watching thread */
	guint64 seen_bytes; /* what the sockets had received at the last tick */
	guint64 all_seen_bytes; /* since the beginning */
	guint64 window_bytes; /* what they have received since the window began */
	guint64 n_ticks; /* of waiting in this window */
};

/* One line, written by one call so that two threads' lines do not mix. */
static void say(const char *fmt, ...) UPT_PRINTF(1, 2);

static void
say(const char *fmt, ...)
{
	char line[1024];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, args);
	va_end(args);
	if (n < 0)
		return;
	if ((size_t)n > sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	for (int i = 0; i < n; i++) {
		if (line[i] == '\n')
			line[i] = ' ';
	}
	line[n] = '\n';
	if (write(STDOUT_FILENO, line, (size_t)n + 1) < 0)
		_exit(1);
}

/* The TCP connections of this process, all of them libostree's, and what they have received. */
struct traffic {
	unsigned n_connections;
	guint64 bytes;
};

static void
add_connection(struct traffic *traffic, int fd)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
		return;
	traffic->n_connections++;
	traffic->bytes += info.tcpi_bytes_received;
}

/* libostree's own count of bytes says nothing of the replies it waits for first. */
static struct traffic
measure_traffic(void)
{
	struct traffic traffic = {0};
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;

	if (dir == NULL)
		return traffic;
	while ((entry = readdir(dir)) != NULL)
		add_connection(&traffic, (int)strtol(entry->d_name, NULL, 10));
	closedir(dir);
	return traffic;
}

/*
 * Says whether a server owes us something: before the first object is asked for, and while one is.
 * A remote that is a directory has no connection and owes nothing.
 */
static bool
waits_for_server(const struct traffic *traffic, OstreeAsyncProgress *async)
{
	if (traffic->n_connections == 0)
		return false;
	return ostree_async_progress_get_uint(async, "requested") == 0 ||
	       ostree_async_progress_get_uint(async, "outstanding-fetches") > 0;
}

/*
 * Ticks of waiting are counted, not time: what libostree writes and syncs in between is not the
 * server's. A server that sends a byte now and then would else hold us for ever (slow retrieval).
 */
static bool
too_slow(struct fetch *fetch, OstreeAsyncProgress *async)
{
	struct traffic now = measure_traffic();
	/* Less than before: a connection was closed, its bytes are gone from the sum. */
	guint64 more = now.bytes >= fetch->seen_bytes ? now.bytes - fetch->seen_bytes : now.bytes;

	fetch->all_seen_bytes += more;
	fetch->window_bytes += more;
	fetch->seen_bytes = now.bytes;
	if (!waits_for_server(&now, async) ||
		fetch->window_bytes >= fetch->min_speed_bytes * fetch->window_s) {
		fetch->window_bytes = 0;
		fetch->n_ticks = 0;
		return false;
	}
	fetch->n_ticks++;
	return fetch->n_ticks * TICK_MS >= fetch->window_s * 1000;
}

/* libostree takes an object of any length, and would fill the disk with an endless one. */
static enum upt_code
check_amount(const struct fetch *fetch, struct upt_err *err)
{
	guint64 max = fetch->max_bytes;

	if (max > 0 && fetch->all_seen_bytes > max)
		return upt_fail(err, UPT_E_TOO_LARGE,
			"the server has sent %ju bytes for a commit that allows %ju",
			(uintmax_t)fetch->all_seen_bytes, (uintmax_t)max);
	return upt_ostree_check_space(fetch->repo_path, 0, fetch->reserve_bytes, err);
}

static enum upt_code
check_pull(struct fetch *fetch, OstreeAsyncProgress *async, struct upt_err *err)
{
	if (too_slow(fetch, async))
		return upt_fail(err, UPT_E_TOO_SLOW,
			"the server sends less than %ju bytes a second",
			(uintmax_t)fetch->min_speed_bytes);
	return check_amount(fetch, err);
}

static void *
watch(void *ctx)
{
	struct fetch *fetch = ctx;

	for (;;) {
		OstreeAsyncProgress *async;
		struct upt_err err = {0};
		enum upt_code code;

		g_usleep((gulong)TICK_MS * 1000);
		async = g_atomic_pointer_get(&fetch->async);
		/* No ostree_async_progress_get(): it aborts for what is not set yet. */
		say("progress %u %u %ju %ju", ostree_async_progress_get_uint(async, "fetched"),
			ostree_async_progress_get_uint(async, "requested"),
			(uintmax_t)ostree_async_progress_get_uint64(async, "bytes-transferred"),
			(uintmax_t)fetch->all_bytes);
		code = check_pull(fetch, async, &err);
		if (code == UPT_OK)
			continue;
		say("failed %s %s", upt_code_name(code), err.message);
		_exit(1);
	}
	return NULL;
}

/* libcurl's number in "While fetching URL: [60] ...": only to name a failure, never to excuse one.
 */
static bool
is_tls_failure(const char *message)
{
	static const char *const numbers[] = {
		": [35] ",
		": [51] ",
		": [53] ",
		": [54] ",
		": [58] ",
		": [59] ",
		": [60] ",
		": [66] ",
		": [77] ",
		": [82] ",
		": [83] ",
		": [90] ",
		": [91] ",
		": [98] ",
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (strstr(message, numbers[i]) != NULL)
			return true;
	}
	return false;
}

static enum upt_code
code_of(const GError *error)
{
	const char *message = error->message;

	if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE) ||
		strstr(message, "min-free-space") != NULL)
		return UPT_E_NO_SPACE;
	if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED) ||
		g_error_matches(error, G_IO_ERROR, G_IO_ERROR_READ_ONLY))
		return UPT_E_PERMISSION;
	if (strstr(message, "exceeded maximum size") != NULL)
		return UPT_E_TOO_LARGE;
	if (strstr(message, "orrupted") != NULL || strstr(message, "hecksum expected") != NULL)
		return UPT_E_IMAGE_HASH;
	if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
		return UPT_E_ABSENT;
	if (strstr(message, "Server returned HTTP") != NULL)
		return UPT_E_SERVER;
	return is_tls_failure(message) ? UPT_E_TLS : UPT_E_NETWORK;
}

static GVariant *
pull_options(const struct fetch *fetch, OstreeRepoPullFlags flags)
{
	const char *const refs[] = {fetch->commit, NULL};
	GVariantBuilder builder;

	g_variant_builder_init(&builder, G_VARIANT_TYPE("a{sv}"));
	g_variant_builder_add(&builder, "{sv}", "refs", g_variant_new_strv(refs, -1));
	/* UNTRUSTED: objects of a local remote (a stick, say) are hashed like those of a server. */
	g_variant_builder_add(&builder, "{sv}", "flags",
		g_variant_new_int32((gint32)(flags | OSTREE_REPO_PULL_FLAGS_UNTRUSTED)));
	g_variant_builder_add(&builder, "{sv}", "depth", g_variant_new_int32(0));
	/*
	 * Their size can be told beforehand (the dry-run option), and they do not pay whatever it
	 * is: while 2022.7 fetches a delta's parts it also fetches the objects that are in them.
	 */
	g_variant_builder_add(
		&builder, "{sv}", "disable-static-deltas", g_variant_new_boolean(TRUE));
	g_variant_builder_add(
		&builder, "{sv}", "n-network-retries", g_variant_new_uint32(N_NETWORK_RETRIES));
	g_variant_builder_add(&builder, "{sv}", "append-user-agent",
		g_variant_new_string("uptaned/" UPT_VERSION));
	if (fetch->url[0] != '\0')
		g_variant_builder_add(
			&builder, "{sv}", "override-url", g_variant_new_string(fetch->url));
	return g_variant_ref_sink(g_variant_builder_end(&builder));
}

/* Each with a progress of its own: the old one would say that nothing is waited for. It is not
 * freed, as the watching thread may still look at it. */
static enum upt_code
pull(struct fetch *fetch, OstreeRepo *repo, OstreeRepoPullFlags flags, struct upt_err *err)
{
	g_autoptr(GVariant) options = pull_options(fetch, flags);
	g_autoptr(GError) error = NULL;
	OstreeAsyncProgress *async = ostree_async_progress_new();

	g_atomic_pointer_set(&fetch->async, async);
	if (!ostree_repo_pull_with_options(repo, fetch->remote, options, async, NULL, &error))
		return upt_fail(err, error == NULL ? UPT_E_INTERNAL : code_of(error), "%s",
			error == NULL ? "no reason given" : error->message);
	return UPT_OK;
}

/* The commit object alone is fetched for it, unless it is there already. */
static enum upt_code
check_cost(struct fetch *fetch, OstreeRepo *repo, struct upt_ostree_cost *cost, struct upt_err *err)
{
	gboolean has = FALSE;

	UPT_TRY(upt_ostree_check_space(fetch->repo_path, 0, fetch->reserve_bytes, err));
	if (!ostree_repo_has_object(
		    repo, OSTREE_OBJECT_TYPE_COMMIT, fetch->commit, &has, NULL, NULL) ||
		!has)
		UPT_TRY(pull(fetch, repo, OSTREE_REPO_PULL_FLAGS_COMMIT_ONLY, err));
	UPT_TRY(upt_ostree_cost(repo, fetch->commit, cost, err));
	return upt_ostree_check_space(
		fetch->repo_path, cost->disk_bytes, fetch->reserve_bytes, err);
}

/* What no deployment needs goes when there is no room, and not before: an earlier pull that was cut
 * short is worth keeping. */
static enum upt_code
make_room(struct fetch *fetch, OstreeSysroot *sysroot, OstreeRepo *repo,
	struct upt_ostree_cost *cost, struct upt_err *err)
{
	g_autoptr(GError) error = NULL;
	enum upt_code code = check_cost(fetch, repo, cost, err);

	if (code != UPT_E_NO_SPACE)
		return code;
	if (!ostree_sysroot_cleanup(sysroot, NULL, &error))
		return upt_ostree_fail(err, error, "no space is left, and cannot clean up");
	return check_cost(fetch, repo, cost, err);
}

static void
expect(struct fetch *fetch, const struct upt_ostree_cost *cost)
{
	if (!cost->known)
		return;
	fetch->all_bytes = cost->wire_bytes;
	fetch->max_bytes = fetch->all_seen_bytes + 2 * cost->wire_bytes +
			   HEAD_BYTES * cost->n_objects + SLACK_BYTES;
}

static enum upt_code
fetch_commit(struct fetch *fetch, struct upt_err *err)
{
	g_autoptr(OstreeSysroot) sysroot = NULL;
	g_autoptr(OstreeRepo) repo = NULL;
	struct upt_ostree_cost cost;
	pthread_t watcher;

	UPT_TRY(upt_ostree_open(fetch->sysroot, UPT_OSTREE_CHANGE, &sysroot, err));
	UPT_TRY(upt_ostree_get_repo(sysroot, &repo, err));
	if (pthread_create(&watcher, NULL, watch, fetch) != 0)
		return upt_fail(err, UPT_E_NO_MEMORY, "cannot watch over the pull");
	UPT_TRY(make_room(fetch, sysroot, repo, &cost, err));
	expect(fetch, &cost);
	return pull(fetch, repo, OSTREE_REPO_PULL_FLAGS_NONE, err);
}

static bool
read_number(const char *text, guint64 max, guint64 *out)
{
	return g_ascii_string_to_unsigned(text, 10, 1, max, out, NULL);
}

static bool
read_arguments(int argc, char **argv, struct fetch *fetch)
{
	if (argc != 8 || !ostree_validate_checksum_string(argv[3], NULL))
		return false;
	fetch->sysroot = argv[1];
	fetch->remote = argv[2];
	fetch->commit = argv[3];
	fetch->url = argv[7];
	fetch->repo_path = g_build_filename(argv[1], "ostree", "repo", NULL);
	fetch->tmp_path = g_build_filename(fetch->repo_path, "tmp", NULL);
	return read_number(argv[4], 1000000, &fetch->min_speed_bytes) &&
	       read_number(argv[5], 1000000, &fetch->window_s) &&
	       read_number(argv[6], G_MAXINT64, &fetch->reserve_bytes);
}

int
upt_ostree_fetch(int argc, char **argv)
{
	struct fetch fetch = {0};
	struct upt_err err = {0};
	enum upt_code code;

	if (!read_arguments(argc, argv, &fetch)) {
		fprintf(stderr,
			"usage: uptane-ostree-pull SYSROOT REMOTE COMMIT MIN_BYTES_PER_SECOND "
			"WINDOW_SECONDS RESERVE_BYTES URL\nStarted by uptaned; not meant for "
			"people.\n");
		return upt_code_exit(UPT_E_USAGE);
	}
	/* Nobody would stop us when the installer is gone. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* libostree keeps what it receives in /var/tmp else, whose space nobody watches over. */
	setenv("TMPDIR", fetch.tmp_path, 1);
	fetch.async = ostree_async_progress_new();
	code = fetch_commit(&fetch, &err);
	if (code == UPT_OK)
		say("done");
	else
		say("failed %s %s", upt_code_name(code), err.message);
	/* Not return: the watching thread still uses fetch. */
	_exit(upt_code_exit(code));
}
