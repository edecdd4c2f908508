/*
 * uptane-secondary.conf as hostile bytes. What is accepted has every setting that the agent needs,
 * within its bounds; a refusal leaves an empty configuration and a reason.
 */
#include "base/clock.h"
#include "fuzz.h"
#include "metadata/image.h"
#include "secondary/agent.h"

static void
check_name(const char *name, size_t max)
{
	FUZZ_ASSERT(name[0] != '\0' && strlen(name) <= max);
	for (const char *p = name; *p != '\0'; p++)
		FUZZ_ASSERT(*p >= 0x20 && *p < 0x7f);
}

static void
check_config(const struct upt_agent_config *config, const char *key_path)
{
	check_name(config->serial, UPT_ECU_SERIAL_MAX);
	check_name(config->hardware_id, UPT_HARDWARE_ID_MAX);
	FUZZ_ASSERT(config->vehicle_id != NULL || config->profile_ota);
	FUZZ_ASSERT(config->vehicle_id == NULL || config->vehicle_id[0] != '\0');
	FUZZ_ASSERT(config->state_dir[0] != '\0' && config->install_path[0] != '\0');
	FUZZ_ASSERT(key_path != NULL && key_path[0] != '\0');
	FUZZ_ASSERT(config->port <= 65535 && config->address[0] != '\0');
	FUZZ_ASSERT(strpbrk(config->address, "[]") == NULL);
	FUZZ_ASSERT(config->timeout_ms >= 1000 && config->timeout_ms <= 3600000);
	FUZZ_ASSERT(config->build_time >= 0);
	FUZZ_ASSERT(config->factory_image == NULL ||
		    strlen(config->factory_image) <= UPT_TARGET_NAME_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	upt_cleanup(upt_ini_clear) struct upt_ini ini = {0};
	struct upt_agent_config config, none;
	enum upt_log_level level = UPT_LOG_INFO;
	const char *key_path = NULL;
	struct upt_err err = {0};
	enum upt_code code;

	memset(&none, 0, sizeof(none));
	fuzz_write("uptane-secondary.conf", upt_span(data, size));
	if (upt_ini_read(&ini, fuzz_path("uptane-secondary.conf"), NULL) != UPT_OK)
		return 0;
	code = upt_agent_config_read(&ini, &config, &key_path, &level, &err);
	if (code == UPT_OK) {
		check_config(&config, key_path);
		return 0;
	}
	FUZZ_ASSERT(code == UPT_E_CONFIG && err.message[0] != '\0');
	FUZZ_ASSERT(memcmp(&config, &none, sizeof(none)) == 0);
	return 0;
}
