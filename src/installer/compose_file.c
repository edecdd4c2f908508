#include "installer/compose_file.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "installer/compose_yaml.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define NAME_MAX_BYTES 63

struct context {
	struct upt_compose_file *file;
	struct upt_compose_service *service;
	const struct upt_yaml *services, *volumes, *networks; /* of the top level, or NULL */
};

typedef enum upt_code
read_member(struct context *c, const struct upt_yaml *node, struct upt_err *err);

struct member {
	const char *key;
	read_member *read;
};

static enum upt_code
refuse(struct upt_err *err, const struct upt_yaml *node, const char *why)
{
	return upt_fail(err, UPT_E_MALFORMED, "line %u: %.64s %s", node->line,
		node->key == NULL ? "this" : node->key, why);
}

static enum upt_code
read_members(struct context *c, const struct upt_yaml *map, const struct member *known,
	size_t n_known, struct upt_err *err)
{
	if (map->type != UPT_YAML_MAP)
		return refuse(err, map, "is no map");
	for (const struct upt_yaml *m = map->first; m != NULL; m = m->next) {
		size_t i = 0;
		while (i < n_known && strcmp(known[i].key, m->key) != 0)
			i++;
		if (i == n_known)
			return refuse(err, m, "is no key that is allowed here");
		UPT_TRY(known[i].read(c, m, err));
	}
	return UPT_OK;
}

static bool
consists_of(const char *text, size_t max, const char *allowed)
{
	size_t len = strlen(text);

	return len > 0 && len <= max && strspn(text, allowed) == len;
}

static const struct upt_yaml *
find_member(const struct upt_yaml *map, const char *key)
{
	const struct upt_yaml *m = map == NULL ? NULL : map->first;

	while (m != NULL && strcmp(m->key, key) != 0)
		m = m->next;
	return m;
}

/* Nothing, in any of the ways in which YAML says it. */
static bool
is_empty(const struct upt_yaml *node)
{
	if (node->type == UPT_YAML_SCALAR)
		return node->plain && (node->text[0] == '\0' || strcmp(node->text, "~") == 0 ||
					      strcasecmp(node->text, "null") == 0);
	return node->type == UPT_YAML_MAP && node->first == NULL;
}

/* ---- values without a right in them ---- */

static enum upt_code
read_text(struct context *c, const struct upt_yaml *node, struct upt_err *err)
{
	(void)c;
	return node->type == UPT_YAML_SCALAR ? UPT_OK : refuse(err, node, "is no text");
}

static enum upt_code
read_texts(struct context *c, const struct upt_yaml *node, struct upt_err *err)
{
	if (node->type != UPT_YAML_LIST)
		return refuse(err, node, "is no list");
	for (const struct upt_yaml *item = node->first; item != NULL; item = item->next)
		UPT_TRY(read_text(c, item, err));
	return UPT_OK;
}

static enum upt_code
read_text_or_texts(struct context *c, const struct upt_yaml *node, struct upt_err *err)
{
	return node->type == UPT_YAML_SCALAR ? UPT_OK : read_texts(c, node, err);
}

static enum upt_code
read_bool(struct context *c, const struct upt_yaml *node, struct upt_err *err)
{
	(void)c;
	if (node->type == UPT_YAML_SCALAR && node->plain &&
		(strcmp(node->text, "true") == 0 || strcmp(node->text, "false") == 0))
		return UPT_OK;
	return refuse(err, node, "is neither true nor false");
}

/* "KEY: value", or "KEY=value" in a list; "KEY" alone would be taken from the environment. */
static enum upt_code
read_pairs(const struct upt_yaml *node, bool are_labels, struct upt_err *err)
{
	if (node->type == UPT_YAML_SCALAR)
		return refuse(err, node, "is no map");
	for (const struct upt_yaml *m = node->first; m != NULL; m = m->next) {
		const char *name = node->type == UPT_YAML_MAP ? m->key : m->text;
		if (m->type != UPT_YAML_SCALAR)
			return refuse(err, m, "is no text");
		if (node->type == UPT_YAML_LIST && strchr(m->text, '=') == NULL)
			return refuse(err, m, "is no KEY=value");
		if (node->type == UPT_YAML_MAP && is_empty(m))
			return refuse(err, m, "has no value");
		/* By these we know the containers again. */
		if (are_labels && (strncmp(name, "com.docker.", 11) == 0 ||
					  strncmp(name, "uptane.", 7) == 0 ||
					  strncmp(name, "io.podman.", 10) == 0))
			return refuse(err, m, "is a label of the engine or of uptaned");
	}
	return UPT_OK;
}

static enum upt_code
read_environment(struct context *c, const struct upt_yaml *node, struct upt_err *err)
{
	(void)c;
	return read_pairs(node, false, err);
}

static enum upt_code
read_labels(struct context *c, const struct upt_yaml *node, struct upt_err *err)
{
	(void)c;
	return read_pairs(node, true, err);
}

static enum upt_code
read_restart(struct context *c, const struct upt_yaml *node, struct upt_err *err)
{
	UPT_TRY(read_text(c, node, err));
	if (strcmp(node->text, "no") == 0 || strcmp(node->text, "on-failure") == 0 ||
		strcmp(node->text, "unless-stopped") == 0 || strcmp(node->text, "always") == 0)
		return UPT_OK;
	return refuse(err, node, "is none of no, on-failure, unless-stopped, always");
}

static enum upt_code
read_tmpfs(struct context *c, const struct upt_yaml *node, struct upt_err *err)
{
	UPT_TRY(read_texts(c, node, err));
	for (const struct upt_yaml *item = node->first; item != NULL; item = item->next) {
		if (!upt_container_path_ok(item->text))
			return refuse(err, item, "is no plain absolute path");
	}
	return UPT_OK;
}

static enum upt_code
read_condition(struct context *c, const struct upt_yaml *node, struct upt_err *err)
{
	UPT_TRY(read_text(c, node, err));
	if (strcmp(node->text, "service_started") == 0 ||
		strcmp(node->text, "service_healthy") == 0)
		return UPT_OK;
	return refuse(err, node, "is neither service_started nor service_healthy");
}

static enum upt_code
read_depends_on(struct context *c, const struct upt_yaml *node, struct upt_err *err)
{
	static const struct member known[] = {{"condition", read_condition}};

	if (node->type == UPT_YAML_SCALAR)
		return refuse(err, node, "is no list");
	for (const struct upt_yaml *m = node->first; m != NULL; m = m->next) {
		const char *name = node->type == UPT_YAML_MAP ? m->key : m->text;
		if (name == NULL || find_member(c->services, name) == NULL)
			return refuse(err, m, "is no service of this file");
		if (node->type == UPT_YAML_MAP)
			UPT_TRY(read_members(c, m, known, 1, err));
	}
	return UPT_OK;
}

static enum upt_code
read_networks(struct context *c, const struct upt_yaml *node, struct upt_err *err)
{
	UPT_TRY(read_texts(c, node, err));
	for (const struct upt_yaml *item = node->first; item != NULL; item = item->next) {
		if (find_member(c->networks, item->text) == NULL)
			return refuse(err, item, "is no network of this file");
	}
	return UPT_OK;
}

static enum upt_code
read_healthcheck(struct context *c, const struct upt_yaml *node, struct upt_err *err)
{
	static const struct member known[] = {
		{"test", read_text_or_texts},
		{"interval", read_text},
		{"timeout", read_text},
		{"retries", read_text},
		{"start_period", read_text},
	};

	UPT_TRY(read_members(c, node, known, sizeof(known) / sizeof(known[0]), err));
	if (find_member(node, "test") == NULL)
		return refuse(err, node, "has no test");
	c->service->has_check = true;
	return UPT_OK;
}

/* ---- what is asked of the device ---- */

static enum upt_code
read_image(struct context *c, const struct upt_yaml *node, struct upt_err *err)
{
	char repository[UPT_CONTAINER_REPOSITORY_MAX + 1];
	const char *at;
	size_t len;

	UPT_TRY(read_text(c, node, err));
	at = strstr(node->text, "@sha256:");
	len = at == NULL ? 0 : (size_t)(at - node->text);
	if (at == NULL || len > UPT_CONTAINER_REPOSITORY_MAX ||
		strlen(at + 8) != UPT_OCI_DIGEST_HEX ||
		strspn(at + 8, "abcdef" DIGITS) != UPT_OCI_DIGEST_HEX)
		return refuse(err, node, "is not pinned: HOST/NAME@sha256:DIGEST is wanted");
	memcpy(repository, node->text, len);
	repository[len] = '\0';
	if (!upt_container_repository_ok(repository))
		return refuse(err, node, "names no registry: HOST/NAME@sha256:DIGEST is wanted");
	c->service->image = node->text;
	c->service->digest = at + 8;
	return UPT_OK;
}

/* Takes up to the separator from *rest; the arena's copy, or NULL without memory. */
static const char *
take_part(struct context *c, const char **rest, const char *separators)
{
	size_t len = strcspn(*rest, separators);
	const char *part = upt_arena_string(&c->file->arena, upt_span(*rest, len));

	*rest += len;
	if (**rest != '\0')
		++*rest;
	return part;
}

/* SOURCE:TARGET[:ro|:rw], where SOURCE is a volume of this file or a path that the device permits.
 */
static enum upt_code
read_volume(struct context *c, const struct upt_yaml *node, struct upt_err *err)
{
	struct upt_oci_mount *mount = &c->service->run->mounts[c->service->run->n_mounts];
	const char *rest = node->text, *source, *target;

	if (c->service->run->n_mounts == UPT_OCI_MAX_LISTED)
		return refuse(err, node, "is one too many");
	source = take_part(c, &rest, ":");
	target = take_part(c, &rest, ":");
	if (source == NULL || target == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a compose file");
	if (!upt_container_path_ok(target) ||
		(rest[0] != '\0' && strcmp(rest, "ro") != 0 && strcmp(rest, "rw") != 0))
		return refuse(err, node, "is not SOURCE:TARGET[:ro]");
	*mount = (struct upt_oci_mount){.target = target, .read_only = strcmp(rest, "ro") == 0};
	if (source[0] == '/' && upt_container_path_ok(source))
		mount->bind = source;
	else if (find_member(c->volumes, source) != NULL)
		mount->volume = source;
	else
		return refuse(err, node, "mounts neither a path nor a volume of this file");
	c->service->run->n_mounts++;
	return UPT_OK;
}

static bool
read_port_number(const char *text, uint16_t *out)
{
	if (!consists_of(text, 5, DIGITS) || text[0] == '0' || strtoul(text, NULL, 10) > UINT16_MAX)
		return false;
	*out = (uint16_t)strtoul(text, NULL, 10);
	return true;
}

/*
 * "[ADDRESS:]HOST:CONTAINER[/tcp|/udp]", with quotes: without them YAML 1.1 reads 22:22 as a number
 * to the base 60. Without an address the port is open to everybody.
 */
static enum upt_code
read_port(struct context *c, const struct upt_yaml *node, struct upt_err *err)
{
	struct upt_oci_port *port = &c->service->run->ports[c->service->run->n_ports];
	const char *rest = node->text, *parts[3] = {0};
	uint8_t binary[4];
	size_t n = 0;

	if (c->service->run->n_ports == UPT_OCI_MAX_LISTED)
		return refuse(err, node, "is one too many");
	if (node->plain)
		return refuse(err, node, "is a port without quotes");
	while (n < 3 && rest[0] != '\0' && rest[0] != '/') {
		size_t len = strcspn(rest, ":/");
		parts[n] = upt_arena_string(&c->file->arena, upt_span(rest, len));
		if (parts[n++] == NULL)
			return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a compose file");
		rest += len + (rest[len] == ':');
	}
	port->udp = strcmp(rest, "/udp") == 0;
	if (n < 2 || !read_port_number(parts[n - 2], &port->host) ||
		!read_port_number(parts[n - 1], &port->container) ||
		(n == 3 && inet_pton(AF_INET, parts[0], binary) != 1) ||
		(rest[0] != '\0' && !port->udp && strcmp(rest, "/tcp") != 0))
		return refuse(err, node, "is not [ADDRESS:]HOST:CONTAINER[/udp]");
	port->address = n == 3 ? parts[0] : "0.0.0.0";
	c->service->run->n_ports++;
	return UPT_OK;
}

/* PATH or PATH:PATH: what is called otherwise inside is harder to see through. */
static enum upt_code
read_device(struct context *c, const struct upt_yaml *node, struct upt_err *err)
{
	struct upt_oci_run *run = c->service->run;
	const char *rest = node->text, *path;

	if (run->n_devices == UPT_OCI_MAX_LISTED)
		return refuse(err, node, "is one too many");
	path = take_part(c, &rest, ":");
	if (path == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a compose file");
	if (!upt_container_path_ok(path) || strncmp(path, "/dev/", 5) != 0 ||
		(rest[0] != '\0' && strcmp(rest, path) != 0))
		return refuse(err, node, "is no device");
	run->devices[run->n_devices++] = path;
	return UPT_OK;
}

static enum upt_code
read_each(struct context *c, const struct upt_yaml *node, read_member *read, struct upt_err *err)
{
	UPT_TRY(read_texts(c, node, err));
	for (const struct upt_yaml *item = node->first; item != NULL; item = item->next)
		UPT_TRY(read(c, item, err));
	return UPT_OK;
}

static enum upt_code
read_volumes(struct context *c, const struct upt_yaml *node, struct upt_err *err)
{
	return read_each(c, node, read_volume, err);
}

static enum upt_code
read_ports(struct context *c, const struct upt_yaml *node, struct upt_err *err)
{
	return read_each(c, node, read_port, err);
}

static enum upt_code
read_devices(struct context *c, const struct upt_yaml *node, struct upt_err *err)
{
	return read_each(c, node, read_device, err);
}

static enum upt_code
read_network_mode(struct context *c, const struct upt_yaml *node, struct upt_err *err)
{
	UPT_TRY(read_text(c, node, err));
	if (strcmp(node->text, "host") != 0 && strcmp(node->text, "bridge") != 0 &&
		strcmp(node->text, "none") != 0)
		return refuse(err, node, "is none of host, bridge, none");
	c->service->network_mode = node->text;
	return UPT_OK;
}

/* NUMBER[k|m|g] of bytes. */
static enum upt_code
read_memory(struct context *c, const struct upt_yaml *node, struct upt_err *err)
{
	static const char units[] = "kmg";
	const char *unit;
	size_t digits;

	UPT_TRY(read_text(c, node, err));
	digits = strspn(node->text, DIGITS);
	unit = node->text[digits] == '\0' ? NULL : strchr(units, node->text[digits]);
	if (digits == 0 || digits > 12 || node->text[0] == '0' ||
		(node->text[digits] != '\0' && (unit == NULL || node->text[digits + 1] != '\0')))
		return refuse(err, node, "is no number of bytes");
	c->service->run->memory_bytes = strtoull(node->text, NULL, 10)
					<< (unit == NULL ? 0 : 10 * (unit - units + 1));
	return UPT_OK;
}

/* N or N.N to N.NNN of a processor. */
static enum upt_code
read_cpus(struct context *c, const struct upt_yaml *node, struct upt_err *err)
{
	size_t whole, part = 0;
	char millis[] = "000";

	UPT_TRY(read_text(c, node, err));
	whole = strspn(node->text, DIGITS);
	if (node->text[whole] == '.')
		part = strspn(node->text + whole + 1, DIGITS);
	if (whole == 0 || whole > 3 || part > 3 ||
		node->text[whole + (part > 0 ? part + 1 : 0)] != '\0')
		return refuse(err, node, "is no number of processors");
	memcpy(millis, node->text + whole + 1, part);
	c->service->run->cpu_millis =
		strtoull(node->text, NULL, 10) * 1000 + strtoull(millis, NULL, 10);
	return c->service->run->cpu_millis > 0 ? UPT_OK : refuse(err, node, "is zero");
}

static enum upt_code
read_pids(struct context *c, const struct upt_yaml *node, struct upt_err *err)
{
	UPT_TRY(read_text(c, node, err));
	if (!consists_of(node->text, 7, DIGITS) || node->text[0] == '0')
		return refuse(err, node, "is no number of processes");
	c->service->run->pids = strtoull(node->text, NULL, 10);
	return UPT_OK;
}

/* ---- services ---- */

static const struct member service_members[] = {
	{"image", read_image},
	{"command", read_text_or_texts},
	{"entrypoint", read_text_or_texts},
	{"environment", read_environment},
	{"labels", read_labels},
	{"volumes", read_volumes},
	{"tmpfs", read_tmpfs},
	{"ports", read_ports},
	{"devices", read_devices},
	{"network_mode", read_network_mode},
	{"networks", read_networks},
	{"restart", read_restart},
	{"user", read_text},
	{"working_dir", read_text},
	{"hostname", read_text},
	{"read_only", read_bool},
	{"init", read_bool},
	{"cap_drop", read_texts},
	{"mem_limit", read_memory},
	{"cpus", read_cpus},
	{"pids_limit", read_pids},
	{"healthcheck", read_healthcheck},
	{"depends_on", read_depends_on},
	{"stop_grace_period", read_text},
	{"stop_signal", read_text},
};

static enum upt_code
read_services(struct context *c, const struct upt_yaml *node, struct upt_err *err)
{
	if (node->type != UPT_YAML_MAP || node->first == NULL)
		return refuse(err, node, "is no map of services");
	for (const struct upt_yaml *m = node->first; m != NULL; m = m->next) {
		if (c->file->n_services == UPT_COMPOSE_MAX_SERVICES)
			return refuse(err, m, "is one service too many");
		c->service = &c->file->services[c->file->n_services];
		*c->service = (struct upt_compose_service){.name = m->key,
			.line = m->line,
			.run = upt_arena_alloc(&c->file->arena, 1, sizeof(struct upt_oci_run))};
		if (c->service->run == NULL)
			return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a compose file");
		if (!consists_of(m->key, NAME_MAX_BYTES, LOWER DIGITS "_-") ||
			strchr("_-", m->key[0]) != NULL)
			return refuse(err, m, "is no service's name");
		UPT_TRY(read_members(c, m, service_members,
			sizeof(service_members) / sizeof(service_members[0]), err));
		if (c->service->image == NULL)
			return refuse(err, m, "has no image");
		c->file->n_services++;
	}
	return UPT_OK;
}

/* Names only: options of a driver can be a path of the host. */
static enum upt_code
read_names(struct context *c, const struct upt_yaml *node, struct upt_err *err)
{
	(void)c;
	if (node->type != UPT_YAML_MAP)
		return refuse(err, node, "is no map");
	for (const struct upt_yaml *m = node->first; m != NULL; m = m->next) {
		if (!consists_of(m->key, NAME_MAX_BYTES, LOWER DIGITS "_-") ||
			strchr("_-", m->key[0]) != NULL)
			return refuse(err, m, "is no name");
		if (!is_empty(m))
			return refuse(err, m, "has options, which are not allowed");
	}
	return UPT_OK;
}

static const struct member top_members[] = {
	{"version", read_text},
	{"services", read_services},
	{"volumes", read_names},
	{"networks", read_names},
};

/* A variable would be filled in from outside of what is signed; "$$" is a dollar sign. */
static enum upt_code
check_no_variables(const struct upt_yaml *node, struct upt_err *err)
{
	const char *dollar = node->text == NULL ? NULL : strchr(node->text, '$');

	for (; dollar != NULL; dollar = strchr(dollar + 2, '$')) {
		if (dollar[1] != '$')
			return refuse(err, node, "holds a variable");
	}
	for (const struct upt_yaml *m = node->first; m != NULL; m = m->next)
		UPT_TRY(check_no_variables(m, err));
	return UPT_OK;
}

/* The engine gets the file as it is signed: a limit is not lowered here, but has to be there. */
static enum upt_code
check_limit(const struct upt_compose_service *service, const char *key, uint64_t value,
	uint64_t most, struct upt_err *err)
{
	if (most == 0 || (value != 0 && value <= most))
		return UPT_OK;
	return upt_fail(err, UPT_E_PERMISSION,
		"line %u: service %s needs %s of at most %ju on this device", service->line,
		service->name, key, (uintmax_t)most);
}

static enum upt_code
check_rights(struct upt_compose_service *service, const struct upt_container_limits *limits,
	const char *network, struct upt_err *err)
{
	enum upt_code code;

	if (service->network_mode != NULL && strcmp(service->network_mode, "host") == 0 &&
		(network == NULL || strcmp(network, "host") != 0))
		return upt_fail(err, UPT_E_PERMISSION,
			"line %u: service %s is not permitted the host's network (network = host)",
			service->line, service->name);
	UPT_TRY(check_limit(
		service, "mem_limit", service->run->memory_bytes, limits->memory_bytes, err));
	UPT_TRY(check_limit(
		service, "cpus (thousandths)", service->run->cpu_millis, limits->cpu_millis, err));
	UPT_TRY(check_limit(service, "pids_limit", service->run->pids, limits->pids, err));
	code = upt_container_limits_apply(limits, service->run, err);
	return code == UPT_OK
		       ? UPT_OK
		       : upt_wrap(err, code, "line %u: service %s", service->line, service->name);
}

static enum upt_code
read_file(struct upt_compose_file *file, struct upt_span text,
	const struct upt_container_limits *limits, const char *network, struct upt_err *err)
{
	struct context c = {.file = file};
	struct upt_yaml *root;

	UPT_TRY(upt_yaml_read(&file->arena, text, &root, err));
	UPT_TRY(check_no_variables(root, err));
	if (root->type == UPT_YAML_MAP) {
		c.services = find_member(root, "services");
		c.volumes = find_member(root, "volumes");
		c.networks = find_member(root, "networks");
	}
	UPT_TRY(read_members(
		&c, root, top_members, sizeof(top_members) / sizeof(top_members[0]), err));
	if (file->n_services == 0)
		return upt_fail(err, UPT_E_MALFORMED, "a compose file without services");
	for (size_t i = 0; i < file->n_services && limits != NULL; i++)
		UPT_TRY(check_rights(&file->services[i], limits, network, err));
	return UPT_OK;
}

enum upt_code
upt_compose_file_parse(struct upt_span text, const struct upt_container_limits *limits,
	const char *network, struct upt_compose_file *out, struct upt_err *err)
{
	enum upt_code code;

	*out = (struct upt_compose_file){0};
	code = read_file(out, text, limits, network, err);
	if (code != UPT_OK)
		upt_compose_file_clear(out);
	return code;
}

void
upt_compose_file_clear(struct upt_compose_file *file)
{
	upt_arena_clear(&file->arena);
	*file = (struct upt_compose_file){0};
}
