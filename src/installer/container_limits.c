/*
 * What this device permits a signed release to ask for. A release grants nothing by itself: who
 * holds the release keys must not be able to reach what the owner of the device keeps to himself.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "installer/container_spec.h"

/* The next word of a list with spaces between, from *list on; false at the end. */
static bool
next_word(const char **list, const char **word, size_t *len)
{
	if (*list == NULL)
		return false;
	*word = *list + strspn(*list, " ");
	*len = strcspn(*word, " ");
	*list = *word + *len;
	return *len > 0;
}

static bool
has_word(const char *list, const char *wanted)
{
	const char *word;
	size_t len;

	while (next_word(&list, &word, &len)) {
		if (strlen(wanted) == len && memcmp(word, wanted, len) == 0)
			return true;
	}
	return false;
}

/* PATH, or PATH:ro where ro is allowed. */
static bool
path_word_ok(const char *word, size_t len, bool may_be_ro)
{
	char path[UPT_CONTAINER_PATH_MAX + 1];

	if (may_be_ro && len > 3 && memcmp(word + len - 3, ":ro", 3) == 0)
		len -= 3;
	if (len >= sizeof(path))
		return false;
	memcpy(path, word, len);
	path[len] = '\0';
	return upt_container_path_ok(path);
}

static bool
port_word_ok(const char *word, size_t len)
{
	size_t digits = strspn(word, "0123456789");

	if (digits == 0 || digits > 5 || word[0] == '0' || strtoul(word, NULL, 10) > UINT16_MAX)
		return false;
	return digits == len || (len == digits + 4 && memcmp(word + digits, "/udp", 4) == 0);
}

enum upt_code
upt_container_limits_check(const struct upt_container_limits *limits, struct upt_err *err)
{
	const char *binds = limits->binds, *devices = limits->devices, *ports = limits->ports,
		   *word;
	size_t len;

	while (next_word(&binds, &word, &len)) {
		if (!path_word_ok(word, len, true))
			return upt_fail(err, UPT_E_CONFIG, "allow_binds: '%.*s' is no path",
				(int)len, word);
	}
	while (next_word(&devices, &word, &len)) {
		if (!path_word_ok(word, len, false) || strncmp(word, "/dev/", 5) != 0)
			return upt_fail(err, UPT_E_CONFIG, "allow_devices: '%.*s' is no device",
				(int)len, word);
	}
	while (next_word(&ports, &word, &len)) {
		if (!port_word_ok(word, len))
			return upt_fail(err, UPT_E_CONFIG, "allow_ports: '%.*s' is no port",
				(int)len, word);
	}
	return UPT_OK;
}

/* Exactly a listed path: below one that a container may write it could have put a link. */
static enum upt_code
check_mounts(const struct upt_container_limits *limits, const struct upt_oci_run *run,
	struct upt_err *err)
{
	for (size_t i = 0; i < run->n_mounts; i++) {
		const struct upt_oci_mount *m = &run->mounts[i];
		char read_only[UPT_CONTAINER_PATH_MAX + 4];

		if (m->bind == NULL || has_word(limits->binds, m->bind))
			continue;
		snprintf(read_only, sizeof(read_only), "%s:ro", m->bind);
		if (!m->read_only || !has_word(limits->binds, read_only))
			return upt_fail(err, UPT_E_PERMISSION,
				"allow_binds does not permit the release to mount %s%s", m->bind,
				m->read_only ? "" : " writable");
	}
	return UPT_OK;
}

static enum upt_code
check_ports(const struct upt_container_limits *limits, const struct upt_oci_run *run,
	struct upt_err *err)
{
	for (size_t i = 0; i < run->n_ports; i++) {
		const struct upt_oci_port *port = &run->ports[i];
		char word[16];

		if (strcmp(port->address, "127.0.0.1") == 0 || strcmp(port->address, "::1") == 0)
			continue;
		snprintf(word, sizeof(word), "%u%s", port->host, port->udp ? "/udp" : "");
		if (!has_word(limits->ports, word))
			return upt_fail(err, UPT_E_PERMISSION,
				"allow_ports does not permit the release to publish %s on %s", word,
				port->address);
	}
	return UPT_OK;
}

static void
lower(uint64_t *value, uint64_t most)
{
	if (most != 0 && (*value == 0 || *value > most))
		*value = most;
}

enum upt_code
upt_container_limits_apply(
	const struct upt_container_limits *limits, struct upt_oci_run *run, struct upt_err *err)
{
	UPT_TRY(check_mounts(limits, run, err));
	UPT_TRY(check_ports(limits, run, err));
	for (size_t i = 0; i < run->n_devices; i++) {
		if (!has_word(limits->devices, run->devices[i]))
			return upt_fail(err, UPT_E_PERMISSION,
				"allow_devices does not permit the release to use %s",
				run->devices[i]);
	}
	lower(&run->memory_bytes, limits->memory_bytes);
	lower(&run->cpu_millis, limits->cpu_millis);
	lower(&run->pids, limits->pids);
	return UPT_OK;
}

bool
upt_container_run_alone(const struct upt_oci_run *run)
{
	for (size_t i = 0; i < run->n_mounts; i++) {
		if (!run->mounts[i].read_only)
			return true;
	}
	return run->n_ports > 0 || run->n_devices > 0;
}
