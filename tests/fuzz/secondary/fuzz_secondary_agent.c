/*
 * All that a Primary, or a stranger, says to the agent in one connection, from a fresh state with
 * the roots of this folder. Whatever it is, the installed file is the old one or the one image that
 * these repositories' keys have signed (make_corpus.c made them and threw the keys away).
 */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "fuzz.h"
#include "secondary/agent.h"

#define MAX_SCRIPT_BYTES ((size_t)96 * 1024)
#define OLD "old firmware"

static void
prepare(void)
{
	fuzz_remove("state");
	fuzz_write("firmware", upt_span_str(OLD));
}

static int64_t
fixed_clock(void *ctx)
{
	(void)ctx;
	return 1800000000;
}

/* Mirrors world_agent_config() of the unit tests, whose world make_corpus.c recorded. */
static struct upt_agent *
new_agent(void)
{
	const struct upt_agent_config config = {.serial = "SEC-1",
		.hardware_id = "brake-v2",
		.vehicle_id = "VIN-0001",
		.state_dir = fuzz_path("state"),
		.director_root = UPT_FUZZ_SECONDARY_DIR "/director-root.json",
		.image_root = UPT_FUZZ_SECONDARY_DIR "/image-root.json",
		.install_path = fuzz_path("firmware"),
		.address = "127.0.0.1",
		.timeout_ms = 50,
		.clock = fixed_clock};
	struct upt_private_key *key;
	struct upt_agent *agent;
	struct upt_err err = {0};

	FUZZ_ASSERT(upt_private_key_generate("ed25519", 0, &key, NULL) == UPT_OK);
	if (upt_agent_new(&config, key, NULL, &agent, &err) != UPT_OK) {
		fprintf(stderr, "%s\n", err.message);
		abort();
	}
	return agent;
}

/* The one signed image: bytes 0, 1, 2, ... */
static void
check_installed(void)
{
	upt_cleanup(upt_buf_clear) struct upt_buf file = {0};

	FUZZ_ASSERT(upt_file_read(AT_FDCWD, fuzz_path("firmware"), 4096, &file, NULL) == UPT_OK);
	if (upt_span_equal(upt_buf_span(&file), upt_span_str(OLD)))
		return;
	FUZZ_ASSERT(file.len == 100);
	for (size_t i = 0; i < file.len; i++)
		FUZZ_ASSERT(file.data[i] == i);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct upt_agent *agent;
	int fds[2];

	if (size > MAX_SCRIPT_BYTES)
		return 0;
	prepare();
	agent = new_agent();
	FUZZ_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	FUZZ_ASSERT(send(fds[1], data, size, MSG_DONTWAIT) == (ssize_t)size);
	shutdown(fds[1], SHUT_WR);
	upt_agent_serve(agent, fds[0], -1);
	close(fds[0]);
	close(fds[1]);
	upt_agent_free(&agent);
	check_installed();
	return 0;
}
