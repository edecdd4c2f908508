/*
 * All that a Secondary says to the Primary's IP link in one connection. The first byte chooses the
 * call.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "secondary/link_ip.h"

/* Below a socket's buffer, so that nobody has to read while the script is written. */
#define MAX_SCRIPT_BYTES ((size_t)96 * 1024)

static struct upt_span script;

static enum upt_code
connect_script(void *ctx, int *fd, struct upt_err *err)
{
	int *peer = ctx;
	int fds[2];

	(void)err;
	FUZZ_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	FUZZ_ASSERT(send(fds[1], script.data, script.len, MSG_DONTWAIT) == (ssize_t)script.len);
	shutdown(fds[1], SHUT_WR);
	*peer = fds[1];
	*fd = fds[0];
	return UPT_OK;
}

static enum upt_code
fetch(void *ctx, enum upt_repo repo, const char *file_name, size_t max_bytes, struct upt_buf *out,
	struct upt_err *err)
{
	(void)ctx;
	FUZZ_ASSERT(repo == UPT_REPO_DIRECTOR || repo == UPT_REPO_IMAGE);
	FUZZ_ASSERT(strstr(file_name, "..") != file_name && strlen(file_name) > 0);
	FUZZ_ASSERT(max_bytes <= UPT_WIRE_FILE_MAX_BYTES);
	if (file_name[0] == '2')
		return upt_fail(err, UPT_E_ABSENT, "absent");
	return upt_buf_append(out, "{}", max_bytes < 2 ? max_bytes : 2, err);
}

static int
image_file(void)
{
	static int fd = -1;

	if (fd < 0) {
		char path[] = "/tmp/upt-fuzz-link-XXXXXX";
		fd = mkstemp(path);
		FUZZ_ASSERT(fd >= 0 && ftruncate(fd, 100000) == 0);
		unlink(path);
	}
	return fd;
}

static void
call(struct upt_link *link, unsigned which)
{
	upt_cleanup(upt_buf_clear) struct upt_buf envelope = {0};
	const struct upt_image image = {.name = "fw.bin", .length_bytes = 100000};
	const struct upt_install_job job = {
		.image = &image, .format = "BINARY", .image_fd = image_file()};
	const struct upt_metadata_source source = {.fetch = fetch};
	struct upt_ecu_info info;
	struct upt_err err = {0};
	enum upt_code code = UPT_OK;
	bool pending = false;

	switch (which % 5) {
	case 0:
		code = link->ops->info(link, &info, &err);
		FUZZ_ASSERT((code == UPT_OK) == (info.serial[0] != '\0'));
		break;
	case 1:
		code = link->ops->report(link, "", 0, &envelope, &err);
		FUZZ_ASSERT(envelope.len <= UPT_WIRE_ENVELOPE_MAX_BYTES);
		FUZZ_ASSERT(code == UPT_OK || envelope.len == 0);
		break;
	case 2:
		code = link->ops->send_metadata(link, &source, &err);
		break;
	case 3:
		code = link->ops->send_image(link, &job, NULL, &err);
		break;
	default:
		code = link->ops->install(link, &job, &pending, &err);
		FUZZ_ASSERT(code == UPT_OK || !pending);
		break;
	}
	FUZZ_ASSERT(code == UPT_OK || (err.code == code && err.message[0] != '\0'));
	FUZZ_ASSERT(code != UPT_E_CANCELLED);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct upt_ip_link_config config = {.address = "fuzz", .timeout_ms = 50};
	struct upt_link *link;
	int peer = -1;

	if (size == 0 || size > MAX_SCRIPT_BYTES)
		return 0;
	script = upt_span(data + 1, size - 1);
	FUZZ_ASSERT(upt_ip_link_new_connected(&config, connect_script, &peer, NULL, &link, NULL) ==
		    UPT_OK);
	call(link, data[0]);
	upt_link_free(&link);
	if (peer >= 0)
		close(peer);
	return 0;
}
