/* What the cases about delegations share. */
#include "delegating.h"

#include <stdio.h>

struct doc *
doc_of(struct scene *s, const char *role)
{
	return scene_doc(s, IMAGE, role);
}

cJSON *
body_of(struct scene *s, const char *role)
{
	return scene_body(s, IMAGE, role);
}

cJSON *
to(struct scene *s, const char *from, const char *role, const char *path, bool terminating)
{
	char keys[80];

	snprintf(keys, sizeof(keys), "%.40s-1", role);
	return scene_delegate(s,
		&(struct delegation){.from = from,
			.to = role,
			.keys = keys,
			.path = path,
			.terminating = terminating});
}

void
good_step(struct scene *s)
{
	scene_step(s);
	scene_accept(s);
}

void
refuse_target(struct scene *s, enum upt_code code)
{
	scene_step(s);
	scene_refuse(s, code, IMAGE, "target");
}

void
vouch_other(struct scene *s, const char *role)
{
	cJSON *entry = scene_vouch(s, body_of(s, role), APP, HARDWARE);
	char *hex = at(entry, "hashes/sha256")->valuestring;

	hex[0] = hex[0] == '0' ? '1' : '0';
}
