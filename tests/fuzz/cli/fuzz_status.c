/*
 * uptanectl status over a state that others' words are in: between bytes 0xff the note of the last
 * cycle, what vouches for an image, an image's name, an incident's message, an ECU's, the note of
 * what is waited for. As JSON it is JSON; as a table nothing in it drives the terminal.
 */
#include <cjson/cJSON.h>

#include "cli/cli.h"
#include "fuzz.h"
#include "metadata/image.h"
#include "storage/store.h"

#define SEPARATOR 0xff
#define N_PARTS 6

static void
fill(struct upt_store *store, char *const parts[static N_PARTS])
{
	struct upt_image image = {.length_bytes = 1, .n_digests = 1};
	struct upt_incident incident = {.code = UPT_E_ROLLBACK, .repo = UPT_REPO_DIRECTOR};

	image.digests[0] = (struct upt_digest){.alg = UPT_HASH_SHA256, .len = 32};
	snprintf(image.name, sizeof(image.name), "%s", parts[2]);
	snprintf(incident.message, sizeof(incident.message), "%s", parts[3]);
	snprintf(incident.ecu, sizeof(incident.ecu), "%s", parts[4]);
	FUZZ_ASSERT(
		upt_store_set_text(store, "last_cycle", upt_span_str(parts[0]), NULL) == UPT_OK);
	FUZZ_ASSERT(upt_store_set_text(store, "waits", upt_span_str(parts[5]), NULL) == UPT_OK);
	FUZZ_ASSERT(
		upt_store_set_text(store, "vouchers:E", upt_span_str(parts[1]), NULL) == UPT_OK);
	/* What is not UTF-8 no column takes. */
	(void)!upt_store_set_image(store, "E", UPT_SLOT_INSTALLED, &image, NULL);
	(void)!upt_store_set_image(store, "E", UPT_SLOT_REFUSED, &image, NULL);
	(void)!upt_store_add_incident(store, &incident, NULL);
}

/* What status prints, as one string that the caller frees. */
static char *
print_status(struct upt_cli *cli, bool json)
{
	FILE *terminal = stdout, *memory;
	char *text = NULL;
	size_t len = 0;
	enum upt_code code;

	memory = open_memstream(&text, &len);
	FUZZ_ASSERT(memory != NULL);
	stdout = memory;
	cli->json = json;
	code = upt_cli_status(cli, NULL);
	stdout = terminal;
	fclose(memory);
	FUZZ_ASSERT(code == UPT_OK || len == 0);
	FUZZ_ASSERT(code == UPT_OK || code == UPT_E_DATABASE);
	return text;
}

static void
check_status(void)
{
	struct upt_ecu_config ecu = {
		.serial = "E", .hardware_id = "hw", .kind = UPT_INSTALLER_FILE};
	struct upt_cli cli = {.config = {.vehicle_id = "V",
				      .state_dir = fuzz_path("state"),
				      .n_ecus = 1,
				      .ecus = &ecu}};
	char *text = print_status(&cli, true);
	cJSON *tree = cJSON_Parse(text);

	FUZZ_ASSERT(text[0] == '\0' || cJSON_IsObject(tree));
	cJSON_Delete(tree);
	free(text);
	text = print_status(&cli, false);
	for (const char *p = text; *p != '\0'; p++)
		FUZZ_ASSERT(((unsigned char)*p >= 0x20 && *p != 0x7f) || *p == '\n');
	FUZZ_ASSERT(strstr(text, "\xc2\x9b") == NULL && strstr(text, "\xe2\x80\xae") == NULL);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct upt_span rest = upt_span(data, size), part;
	char *parts[N_PARTS];
	struct upt_store *store = NULL;

	if (size > 65536)
		return 0;
	fuzz_remove("state");
	FUZZ_ASSERT(upt_store_open(fuzz_path("state"), UPT_STORE_WRITE, &store, NULL) == UPT_OK);
	for (size_t i = 0; i < N_PARTS; i++) {
		if (!fuzz_next_part(&rest, SEPARATOR, &part))
			part = upt_span("", 0);
		parts[i] = fuzz_string(part);
	}
	fill(store, parts);
	for (size_t i = 0; i < N_PARTS; i++)
		free(parts[i]);
	upt_store_close(&store);
	check_status();
	return 0;
}
