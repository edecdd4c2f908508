/*
 * The reference Director's HTTP interface: a path, a newline and a body, from a vehicle whose TLS
 * identity is good. A first byte '+' is dropped and lets the harness sign a manifest's body and the
 * reports in it with the vehicle's own keys. Every request is answered with a status; what is not a
 * success changes nothing in the database; what is answered is strict JSON.
 */
#include <cjson/cJSON.h>

#include "base/file.h"
#include "fuzz.h"
#include "json/json.h"
#include "manifest/manifest.h"
#include "support.h"

#define MAX_BYTES ((size_t)65536)

/* One Director for all inputs, put back to what it was after each that changed it. */
static struct fixture *f;
static sqlite3 *pristine;

static void
copy_database(sqlite3 *to, sqlite3 *from)
{
	sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");

	FUZZ_ASSERT(backup != NULL && sqlite3_backup_step(backup, -1) == SQLITE_DONE);
	FUZZ_ASSERT(sqlite3_backup_finish(backup) == SQLITE_OK);
}

static void
remove_director(void)
{
	void *state = f;

	sqlite3_close(pristine);
	(void)teardown(&state);
}

static void
make_director(void)
{
	void *state = NULL;

	FUZZ_ASSERT(setup(&state) == 0);
	f = state;
	assign(f, "sec", "app", T0);
	FUZZ_ASSERT(sqlite3_open(":memory:", &pristine) == SQLITE_OK);
	copy_database(pristine, f->d.db.handle);
	atexit(remove_director);
}

/* Every report that is an object becomes that ECU's signed one. */
static void
sign_reports(cJSON *payload)
{
	cJSON *reports = cJSON_GetObjectItemCaseSensitive(payload, "ecu_version_manifests");
	cJSON *report, *next;

	for (report = cJSON_IsObject(reports) ? reports->child : NULL; report != NULL;
		report = next) {
		upt_cleanup(upt_buf_clear) struct upt_buf out = {0};
		bool secondary = strcmp(report->string, "sec") == 0;

		next = report->next;
		if (upt_manifest_sign(report, secondary ? f->secondary_key : f->primary_key, &out,
			    NULL) != UPT_OK)
			continue;
		FUZZ_ASSERT(cJSON_ReplaceItemViaPointer(
			reports, report, cJSON_CreateRaw((const char *)out.data)));
	}
}

static void
sign_body(struct upt_span body, struct upt_buf *out)
{
	struct upt_json_doc doc;
	cJSON *payload = NULL;

	/* What cJSON alone would read is no payload that an honest signer could have. */
	if (upt_json_check(body, &doc, NULL) == UPT_OK)
		payload = cJSON_ParseWithLength((const char *)body.data, body.len);
	if (cJSON_IsObject(payload)) {
		sign_reports(payload);
		(void)!upt_manifest_sign(payload, f->primary_key, out, NULL);
	}
	cJSON_Delete(payload);
}

static void
check_reply(const struct reply *reply)
{
	struct upt_json_doc doc;

	FUZZ_ASSERT(reply->status == 200 || reply->status == 201 || reply->status == 204 ||
		    (reply->status >= 400 && reply->status <= 413));
	for (const char *p = reply->note; *p != '\0'; p++)
		FUZZ_ASSERT(*p >= 0x20 && *p < 0x7f);
	FUZZ_ASSERT(reply->status < 400 || reply->body.len > 0);
	if (reply->body.len > 0)
		FUZZ_ASSERT(upt_json_check(upt_buf_span(&reply->body), &doc, NULL) == UPT_OK);
}

static void
check_route(const struct route *route, const char *path)
{
	FUZZ_ASSERT(route->allow != NULL && path[0] == '/');
	FUZZ_ASSERT((route->handler != NULL) == (route->max_body_bytes > 0));
	FUZZ_ASSERT(!route_allows(route, "DELETE") && !route_allows(route, ""));
	if (route->handler == NULL)
		FUZZ_ASSERT(strstr(path, role_name(route->role)) != NULL);
}

static void
request(const struct route *route, struct upt_span body)
{
	const struct request want = {.vehicle = VEHICLE, .body = body, .now = T0};
	struct upt_digest before = database_digest(f), after;
	struct reply reply = {0};
	struct upt_err err = {0};

	FUZZ_ASSERT(route_answer(&f->d, route, &want, &reply, &err) == UPT_OK);
	after = database_digest(f);
	check_reply(&reply);
	if (reply.status >= 400)
		FUZZ_ASSERT(upt_digest_equal(&before, &after));
	if (!upt_digest_equal(&before, &after))
		copy_database(f->d.db.handle, pristine);
	reply_clear(&reply);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct upt_span rest = upt_span(data, size), line = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf signed_body = {0};
	upt_cleanup(upt_free_ptr) char *path = NULL;
	bool sign = size > 0 && data[0] == '+';
	struct route route;

	if (f == NULL)
		make_director();
	if (size > MAX_BYTES)
		return 0;
	if (sign)
		rest = upt_span(data + 1, size - 1);
	(void)fuzz_next_part(&rest, '\n', &line);
	path = fuzz_string(line);
	if (!route_find(path, &route))
		return 0;
	check_route(&route, path);
	if (sign) {
		sign_body(rest, &signed_body);
		rest = upt_buf_span(&signed_body);
	}
	if (route.handler == NULL)
		rest = upt_span("", 0);
	if (route.handler == NULL || rest.len <= route.max_body_bytes)
		request(&route, rest);
	return 0;
}
