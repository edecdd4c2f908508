/*
 * Writes a vehicle version manifest to standard output, signed as an ECU would sign it:
 *
 *   director_manifest_tool VEHICLE PRIMARY PRIMARY_KEY [ECU...] [--result FILE]
 *   ECU: LISTED_SERIAL SERIAL KEY COUNTER NAME LENGTH SHA256 ATTACKS
 *
 * LISTED_SERIAL is the name in the manifest and SERIAL the one in the report, so that tests can
 * lie.
 */
#include <fcntl.h>
#include <stdio.h>
#include "base/file.h"
#include "manifest/manifest.h"

#define ECU_WORDS 8
#define MAX_ECUS 16

struct tool {
	struct upt_vehicle_manifest manifest;
	struct upt_manifest_entry entries[MAX_ECUS];
	struct upt_buf reports[MAX_ECUS];
	cJSON *result;
};

static void
tool_clear(struct tool *tool)
{
	for (size_t i = 0; i < MAX_ECUS; i++)
		upt_buf_clear(&tool->reports[i]);
	cJSON_Delete(tool->result);
}

static enum upt_code
add_report(struct tool *tool, char **words, struct upt_err *err)
{
	upt_cleanup(upt_private_key_free) struct upt_private_key *key = NULL;
	struct upt_ecu_report report = {.time = 1700000000};
	size_t i = tool->manifest.n_reports;

	if (i == MAX_ECUS)
		return upt_fail(err, UPT_E_USAGE, "too many ECUs");
	struct upt_manifest_entry *entry = &tool->entries[i];
	(void)snprintf(entry->ecu_serial, sizeof(entry->ecu_serial), "%s", words[0]);
	(void)snprintf(report.ecu_serial, sizeof(report.ecu_serial), "%s", words[1]);
	report.report_counter = strtoull(words[3], NULL, 10);
	(void)snprintf(report.installed.name, sizeof(report.installed.name), "%s", words[4]);
	report.installed.length_bytes = strtoull(words[5], NULL, 10);
	report.installed.n_digests = 1;
	if (!upt_digest_parse(
		    UPT_HASH_SHA256, upt_span_str(words[6]), &report.installed.digests[0]))
		return upt_fail(err, UPT_E_USAGE, "%s is no SHA-256", words[6]);
	(void)snprintf(report.attacks_detected, sizeof(report.attacks_detected), "%s", words[7]);
	UPT_TRY(upt_private_key_load(words[2], &key, err));
	UPT_TRY(upt_ecu_report_sign(&report, key, &tool->reports[i], err));
	entry->envelope = upt_buf_span(&tool->reports[i]);
	tool->manifest.n_reports++;
	return UPT_OK;
}

static enum upt_code
read_result(struct tool *tool, const char *path, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf file = {0};

	UPT_TRY(upt_file_read(AT_FDCWD, path, 65536, &file, err));
	tool->result = cJSON_ParseWithLength((const char *)file.data, file.len);
	return tool->result != NULL ? UPT_OK : upt_fail(err, UPT_E_USAGE, "%s is no JSON", path);
}

static enum upt_code
make(struct tool *tool, int argc, char **argv, struct upt_buf *out, struct upt_err *err)
{
	upt_cleanup(upt_private_key_free) struct upt_private_key *key = NULL;
	struct upt_vehicle_manifest *manifest = &tool->manifest;

	if (argc < 4)
		return upt_fail(err, UPT_E_USAGE, "VEHICLE PRIMARY PRIMARY_KEY [ECU...]");
	(void)snprintf(manifest->vehicle_id, sizeof(manifest->vehicle_id), "%s", argv[1]);
	(void)snprintf(manifest->primary_serial, sizeof(manifest->primary_serial), "%s", argv[2]);
	manifest->reports = tool->entries;
	for (int i = 4; i < argc;) {
		if (strcmp(argv[i], "--result") == 0 && i + 1 < argc) {
			UPT_TRY(read_result(tool, argv[i + 1], err));
			i += 2;
		} else if (i + ECU_WORDS <= argc) {
			UPT_TRY(add_report(tool, argv + i, err));
			i += ECU_WORDS;
		} else {
			return upt_fail(err, UPT_E_USAGE, "an incomplete ECU at %s", argv[i]);
		}
	}
	UPT_TRY(upt_private_key_load(argv[3], &key, err));
	return upt_vehicle_manifest_sign(manifest, tool->result, key, out, err);
}

int
main(int argc, char **argv)
{
	upt_cleanup(tool_clear) struct tool tool = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf out = {0};
	struct upt_err err = {0};

	if (make(&tool, argc, argv, &out, &err) != UPT_OK) {
		(void)fprintf(stderr, "director_manifest_tool: %s\n", err.message);
		return upt_code_exit(err.code);
	}
	return fwrite(out.data, 1, out.len, stdout) == out.len && fflush(stdout) == 0 ? 0 : 1;
}
