/*
 * A Secondary's state folder whose files somebody else wrote: between bytes 0xff the contents of
 * those in the list below; a part that is "-" leaves its file out. Whatever they hold, the agent
 * starts or names the damaged file; what it takes from them can be signed and written again.
 */
#include <fcntl.h>

#include "base/file.h"
#include "fuzz.h"
#include "json/json.h"
#include "secondary/state_internal.h"

#define SEPARATOR 0xff

static const char *const files[] = {"state/director/current", "state/image/current",
	"state/counter", "state/floor", "state/attacks", "state/installed.json",
	"state/installing.json"};

static void
check_image(struct upt_state *state, enum upt_state_image which)
{
	struct upt_image image, again, none;
	struct upt_err err = {0};
	enum upt_code code;

	memset(&none, 0, sizeof(none));
	code = upt_state_get_image(state, which, &image, &err);
	if (code != UPT_OK) {
		FUZZ_ASSERT(code == UPT_E_NOT_FOUND || code == UPT_E_IO || code == UPT_E_TOO_LARGE);
		FUZZ_ASSERT(memcmp(&image, &none, sizeof(none)) == 0);
		return;
	}
	FUZZ_ASSERT(image.n_digests > 0 && image.n_digests <= UPT_MAX_DIGESTS);
	FUZZ_ASSERT(image.length_bytes <= UPT_JSON_MAX_INTEGER);
	for (size_t i = 0; i < image.n_digests; i++)
		FUZZ_ASSERT(image.digests[i].len == upt_hash_bytes(image.digests[i].alg));
	FUZZ_ASSERT(upt_state_set_image(state, which, &image, NULL) == UPT_OK);
	FUZZ_ASSERT(upt_state_get_image(state, which, &again, NULL) == UPT_OK);
	FUZZ_ASSERT(memcmp(&image, &again, sizeof(image)) == 0);
}

static void
check_repo(struct upt_state *state, enum upt_repo repo)
{
	const struct upt_state_repo *r = &state->repos[repo == UPT_REPO_IMAGE ? 1 : 0];
	upt_cleanup(upt_buf_clear) struct upt_buf out = {0};
	enum upt_code code = upt_state_load(state, repo, "timestamp", &out, NULL);

	FUZZ_ASSERT(code == UPT_E_NOT_FOUND && out.len == 0);
	FUZZ_ASSERT(upt_state_has_root(state, repo) == (r->root_version > 0));
	FUZZ_ASSERT(r->root_version <= UPT_JSON_MAX_INTEGER && r->epoch <= r->root_version);
}

/* A report with these values can be signed, so no file locks the ECU out of reporting. */
static void
check_report(struct upt_state *state)
{
	static struct upt_private_key *key;
	upt_cleanup(upt_buf_clear) struct upt_buf out = {0};
	struct upt_ecu_report report = {.ecu_serial = "E", .time = upt_state_floor(state)};
	uint64_t next;

	if (key == NULL)
		FUZZ_ASSERT(upt_private_key_generate("ed25519", 0, &key, NULL) == UPT_OK);
	FUZZ_ASSERT(upt_state_next_counter(state, &report.report_counter, NULL) == UPT_OK);
	FUZZ_ASSERT(upt_state_next_counter(state, &next, NULL) == UPT_OK);
	FUZZ_ASSERT(next == report.report_counter + 1);
	snprintf(report.attacks_detected, sizeof(report.attacks_detected), "%s",
		upt_state_attacks(state));
	FUZZ_ASSERT(upt_ecu_report_sign(&report, key, &out, NULL) == UPT_OK);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct upt_span rest = upt_span(data, size), part;
	struct upt_state *state = NULL;
	struct upt_err err = {0};
	enum upt_code code;

	if (size > 65536)
		return 0;
	fuzz_remove("state");
	FUZZ_ASSERT(upt_dir_make(fuzz_path("state/director"), 0700, NULL) == UPT_OK);
	FUZZ_ASSERT(upt_dir_make(fuzz_path("state/image"), 0700, NULL) == UPT_OK);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (fuzz_next_part(&rest, SEPARATOR, &part) &&
			!upt_span_equal(part, upt_span_str("-")))
			fuzz_write(files[i], part);
	}
	code = upt_state_open(fuzz_path("state"), &state, &err);
	FUZZ_ASSERT((code == UPT_OK) == (state != NULL));
	if (state == NULL) {
		FUZZ_ASSERT(code == UPT_E_IO || code == UPT_E_TOO_LARGE);
		FUZZ_ASSERT(err.message[0] != '\0');
		return 0;
	}
	check_repo(state, UPT_REPO_DIRECTOR);
	check_repo(state, UPT_REPO_IMAGE);
	check_image(state, UPT_STATE_INSTALLED);
	check_image(state, UPT_STATE_INSTALLING);
	check_report(state);
	upt_state_close(&state);
	return 0;
}
