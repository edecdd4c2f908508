/*
 * bench-ostree SYSROOT OS REMOTE COMMIT CMDLINE BOOT-ID STATE: pulls a commit and deploys it beside the
 * running system with the OSTree installer, as the Primary does it.
 */
#include <stdio.h>
#include "installer/installer.h"

static enum upt_code
run(char **argv, struct upt_err *err)
{
	struct upt_ostree_installer_config config = {.sysroot = argv[1],
		.os = argv[2],
		.remote = argv[3],
		.cmdline_path = argv[5],
		.boot_id_path = argv[6],
		.state_path = argv[7]};
	upt_cleanup(upt_installer_free) struct upt_installer *installer = NULL;
	struct upt_image image = {.name = "bench", .n_digests = 1};
	struct upt_install_job job = {.image = &image, .format = "OSTREE", .image_fd = -1};
	struct upt_install_progress progress = {0};
	bool needs_reboot;

	if (!upt_digest_parse(UPT_HASH_SHA256, upt_span_str(argv[4]), &image.digests[0]))
		return upt_fail(err, UPT_E_USAGE, "%s is no commit id", argv[4]);
	UPT_TRY(upt_ostree_installer_new(&config, NULL, &installer, err));
	UPT_TRY(installer->ops->prepare(installer, &job, &progress, err));
	return installer->ops->install(installer, &job, &needs_reboot, err);
}

int
main(int argc, char **argv)
{
	struct upt_err err = {0};

	if (argc != 8) {
		fputs("usage: bench-ostree SYSROOT OS REMOTE COMMIT CMDLINE BOOT-ID STATE\n", stderr);
		return 2;
	}
	if (run(argv, &err) != UPT_OK) {
		fprintf(stderr, "bench-ostree: %s\n", err.message);
		return upt_code_exit(err.code);
	}
	return 0;
}
