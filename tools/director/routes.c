#include <stdio.h>
#include "json/json.h"
#include "manifest/manifest.h"
#include "metadata.h"
#include "routes.h"

#define PREFIX "/director/"

static const struct {
	const char *path;
	struct route route;
} posts[] = {
	{"/director/ecus",
		{.handler = ecus_post, .max_body_bytes = ECUS_MAX_BYTES, .allow = "POST"}},
	{"/director/manifest", {.handler = manifest_put,
				       .max_body_bytes = UPT_MANIFEST_MAX_BYTES,
				       .allow = "PUT"}},
	{"/events", {.handler = events_post, .max_body_bytes = EVENTS_MAX_BYTES, .allow = "POST"}},
	/* Gateways redirect to this one; clients that learnt it may ask for it at once. */
	{"/events/", {.handler = events_post, .max_body_bytes = EVENTS_MAX_BYTES, .allow = "POST"}},
};

/* "N." in front of a file name: one spelling of each version only. True when there is none, too. */
static bool
read_version(const char **name, uint64_t *version)
{
	const char *p = *name;

	*version = 0;
	if (*p < '0' || *p > '9')
		return true;
	if (*p == '0')
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		*version = *version * 10 + (uint64_t)(*p - '0');
		if (*version > UPT_JSON_MAX_INTEGER)
			return false;
	}
	*name = p + 1;
	return *p == '.';
}

/* [N.]ROLE.json; a timestamp has no versions. */
static bool
find_metadata(const char *name, struct route *out)
{
	size_t len;

	*out = (struct route){.allow = "GET, HEAD"};
	if (!read_version(&name, &out->version))
		return false;
	len = strcspn(name, ".");
	if (strcmp(name + len, ".json") != 0 || !role_find(upt_span(name, len), &out->role))
		return false;
	return out->version == 0 || out->role != ROLE_TIMESTAMP;
}

bool
route_find(const char *path, struct route *out)
{
	for (size_t i = 0; i < sizeof(posts) / sizeof(posts[0]); i++) {
		if (strcmp(path, posts[i].path) == 0) {
			*out = posts[i].route;
			return true;
		}
	}
	if (strncmp(path, PREFIX, sizeof(PREFIX) - 1) != 0)
		return false;
	return find_metadata(path + sizeof(PREFIX) - 1, out);
}

bool
route_allows(const struct route *route, const char *method)
{
	if (route->handler == NULL)
		return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
	return strcmp(method, route->allow) == 0;
}

/* Everything that may sign. No failure in here means "there is no such metadata". */
static enum upt_code
refresh(struct director *d, const struct route *route, const struct request *request,
	struct reply *reply, struct upt_err *err)
{
	bool signed_anew = false;
	int64_t n_vehicles = 0;

	if (route->role == ROLE_ROOT)
		return director_renew_root(d, request->now, &signed_anew, err);
	UPT_TRY(db_get_int(&d->db, &n_vehicles, err, "SELECT count(*) FROM vehicle WHERE id = ?",
		DB_ARGS(db_text(request->vehicle))));
	if (n_vehicles == 0)
		return reply_error(reply, err, 404, "unknown_vehicle",
			"vehicle %s registered no ECUs", request->vehicle);
	if (route->version != 0)
		return UPT_OK;
	UPT_TRY(metadata_refresh(d, request->vehicle, request->now, &signed_anew, err));
	if (signed_anew)
		(void)snprintf(reply->note, sizeof(reply->note), "signed anew");
	return UPT_OK;
}

static enum upt_code
load(struct director *d, const struct route *route, const struct request *request,
	struct reply *reply, struct upt_err *err)
{
	if (route->role == ROLE_ROOT)
		return director_load_root(d, route->version, &reply->body, err);
	return metadata_load(d, request->vehicle, route->role, route->version, &reply->body, err);
}

enum upt_code
route_answer(struct director *d, const struct route *route, const struct request *request,
	struct reply *reply, struct upt_err *err)
{
	reply_clear(reply);
	if (route->handler != NULL)
		return route->handler(d, request, reply, err);
	UPT_TRY(refresh(d, route, request, reply, err));
	if (reply->status != 0)
		return UPT_OK;
	enum upt_code code = load(d, route, request, reply, err);
	if (code == UPT_E_NOT_FOUND) {
		*err = (struct upt_err){0};
		return reply_error(reply, err, 404, "not_found", "there is no such metadata");
	}
	UPT_TRY(code);
	reply->status = 200;
	return UPT_OK;
}
