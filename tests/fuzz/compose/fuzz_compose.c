/*
 * A compose file: whatever its bytes, what is accepted pins every image and asks for nothing that
 * the device does not permit.
 */
#include "fuzz.h"

#include <string.h>

#include "installer/compose_file.h"

static const struct upt_container_limits permitted = {
	.binds = "/srv/data /etc/certs:ro", .devices = "/dev/ttyS0", .ports = "8080"};

static void
check_service(const struct upt_compose_service *service)
{
	const struct upt_oci_run *run = service->run;

	FUZZ_ASSERT(strlen(service->digest) == UPT_OCI_DIGEST_HEX);
	FUZZ_ASSERT(strstr(service->image, "@sha256:") + 8 == service->digest);
	FUZZ_ASSERT(service->network_mode == NULL || strcmp(service->network_mode, "host") != 0);
	for (size_t i = 0; i < run->n_mounts; i++) {
		const char *bind = run->mounts[i].bind;
		FUZZ_ASSERT(bind == NULL || strcmp(bind, "/srv/data") == 0 ||
			    (strcmp(bind, "/etc/certs") == 0 && run->mounts[i].read_only));
	}
	for (size_t i = 0; i < run->n_devices; i++)
		FUZZ_ASSERT(strcmp(run->devices[i], "/dev/ttyS0") == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct upt_compose_file file;

	if (upt_compose_file_parse(upt_span(data, size), &permitted, NULL, &file, NULL) != UPT_OK) {
		FUZZ_ASSERT(file.n_services == 0);
		return 0;
	}
	FUZZ_ASSERT(file.n_services > 0 && file.n_services <= UPT_COMPOSE_MAX_SERVICES);
	for (size_t i = 0; i < file.n_services; i++)
		check_service(&file.services[i]);
	upt_compose_file_clear(&file);
	return 0;
}
