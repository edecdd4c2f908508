/* What the fleet has and shall have: a table of 100 columns for people, JSON for programs. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include "authoring/authoring.h"
#include "base/clock.h"
#include "cli.h"
#include "director.h"

#define LINE_WIDTH 100
#define TABLE_ATTACKS 5

/* One ECU's row of ecu_view; texts borrowed until the next step. */
enum column {
	COL_SERIAL,
	COL_HARDWARE,
	COL_IS_PRIMARY,
	COL_KEY_TYPE,
	COL_COUNTER,
	COL_REPORTED_AT,
	COL_REPORT_TIME,
	COL_NAME,
	COL_LENGTH,
	COL_SHA256,
	COL_MISSING,
	COL_ASSIGNED_NAME,
	COL_ASSIGNED_SHA256,
	COL_ASSIGNED_LENGTH,
	COL_ASSIGNED_AT,
	COL_STATE,
};
#define ECU_QUERY                                                                                  \
	"SELECT serial, hardware_id, is_primary, key_type, counter, reported_at, report_time,"     \
	" installed_name, installed_length, installed_sha256, missing, assigned_name,"             \
	" assigned_sha256, assigned_length, assigned_at, state"                                    \
	" FROM ecu_view WHERE vehicle = ? ORDER BY is_primary DESC, position"

static bool
is_null(sqlite3_stmt *row, int column)
{
	return sqlite3_column_type(row, column) == SQLITE_NULL;
}

/* ---- table ---- */

/*
 * Prints text in exactly width columns: padded, or with its middle replaced by "..". What a vehicle
 * sent may hold anything; only printable ASCII reaches the terminal.
 */
static void
print_cell(const char *text, size_t width)
{
	size_t len = strlen(text);

	/* Only used when text is longer than width, which is then one of the table's. */
	size_t tail = width < 2 ? 0 : (width - 2) / 2, head = width < 2 ? 0 : width - 2 - tail;

	for (size_t i = 0; i < width; i++) {
		char c = ' ';
		if (len <= width)
			c = i < len ? text[i] : ' ';
		else if (i < head)
			c = text[i];
		else if (i < head + 2)
			c = '.';
		else
			c = text[len - (width - i)];
		(void)putchar(c >= 0x20 && c <= 0x7e ? c : '?');
	}
}

/* Prints at most width printable characters of text, without padding. */
static void
print_text(const char *text, size_t width)
{
	size_t len = strlen(text);

	print_cell(text, len < width ? len : width);
}

static void
print_time(int64_t t)
{
	char text[UPT_TIME_TEXT_SIZE];

	upt_time_format(t, text);
	(void)printf("%.10s %.8s UTC", text, text + 11);
}

/* "name sha256:0123456789ab", or name only when the hash is not known. */
static void
format_image(const char *name, const char *sha256, char *out, size_t size)
{
	if (*sha256 != '\0')
		(void)snprintf(out, size, "%s %.8s", name, sha256);
	else
		(void)snprintf(out, size, "%s", name);
}

static void
print_ecu_row(sqlite3_stmt *row)
{
	char reported[768] = "never reported", assigned[768] = "-", counter[24] = "-";
	const char *state = db_column_text(row, COL_STATE);

	if (!is_null(row, COL_NAME)) {
		format_image(db_column_text(row, COL_NAME), db_column_text(row, COL_SHA256),
			reported, sizeof(reported));
		(void)snprintf(counter, sizeof(counter), "%lld",
			(long long)sqlite3_column_int64(row, COL_COUNTER));
	}
	if (sqlite3_column_int(row, COL_MISSING) != 0)
		(void)snprintf(reported, sizeof(reported), "no report");
	if (!is_null(row, COL_ASSIGNED_NAME))
		format_image(db_column_text(row, COL_ASSIGNED_NAME),
			db_column_text(row, COL_ASSIGNED_SHA256), assigned, sizeof(assigned));
	(void)fputs(sqlite3_column_int(row, COL_IS_PRIMARY) != 0 ? "* " : "  ", stdout);
	print_cell(db_column_text(row, COL_SERIAL), 16);
	(void)putchar(' ');
	print_cell(db_column_text(row, COL_HARDWARE), 13);
	(void)putchar(' ');
	print_cell(reported, 26);
	(void)printf(" %6s ", counter);
	print_cell(assigned, 24);
	(void)printf(" %s\n", strcmp(state, "unassigned") == 0 ? "-" : state);
}

static enum upt_code
print_ecus(struct director *d, const char *vehicle, struct upt_err *err)
{
	upt_cleanup(db_finish) sqlite3_stmt *row = NULL;
	bool more = false;

	UPT_TRY(db_query(&d->db, &row, err, ECU_QUERY, DB_ARGS(db_text(vehicle))));
	UPT_TRY(db_step(row, &more, err));
	while (more) {
		print_ecu_row(row);
		UPT_TRY(db_step(row, &more, err));
	}
	return UPT_OK;
}

static enum upt_code
print_attacks(struct director *d, const char *vehicle, struct upt_err *err)
{
	upt_cleanup(db_finish) sqlite3_stmt *row = NULL;
	bool more = false;

	UPT_TRY(db_query(&d->db, &row, err,
		"SELECT ecu, reported_at, text FROM attack WHERE vehicle = ?"
		" ORDER BY rowid DESC LIMIT ?",
		DB_ARGS(db_text(vehicle), db_int(TABLE_ATTACKS))));
	UPT_TRY(db_step(row, &more, err));
	while (more) {
		(void)fputs("! attack reported ", stdout);
		print_time(sqlite3_column_int64(row, 1));
		(void)fputs(" by ", stdout);
		print_text(db_column_text(row, 0), 16);
		(void)fputs(": ", stdout);
		print_text(db_column_text(row, 2), LINE_WIDTH - 63);
		(void)putchar('\n');
		UPT_TRY(db_step(row, &more, err));
	}
	return UPT_OK;
}

/* Columns of the vehicle queries. */
enum vehicle_column {
	VEH_ID,
	VEH_PRIMARY,
	VEH_REGISTERED_AT,
	VEH_MANIFEST_AT,
	VEH_CORRELATION_ID,
	VEH_SUCCESS,
	VEH_CODE,
	VEH_TEXT,
	VEH_REPORT_CORRELATION_ID,
	VEH_REPORT_AT,
};
#define VEHICLE_QUERY                                                                              \
	"SELECT id, primary_serial, registered_at, manifest_at, correlation_id, report_success,"   \
	" report_code, report_text, report_correlation_id, report_at FROM vehicle"                 \
	" WHERE ?1 IS NULL OR id = ?1 ORDER BY id"

static enum upt_code
print_vehicle(struct director *d, sqlite3_stmt *row, struct upt_err *err)
{
	print_text(db_column_text(row, VEH_ID), 60);
	if (is_null(row, VEH_MANIFEST_AT)) {
		(void)fputs("  no manifest yet\n", stdout);
	} else {
		(void)fputs("  last manifest ", stdout);
		print_time(sqlite3_column_int64(row, VEH_MANIFEST_AT));
		(void)putchar('\n');
	}
	UPT_TRY(print_ecus(d, db_column_text(row, VEH_ID), err));
	if (!is_null(row, VEH_SUCCESS)) {
		(void)printf("  last installation %s, ",
			sqlite3_column_int(row, VEH_SUCCESS) != 0 ? "succeeded" : "failed");
		print_time(sqlite3_column_int64(row, VEH_REPORT_AT));
		(void)fputs(": ", stdout);
		print_text(db_column_text(row, VEH_CODE), 20);
		(void)putchar(' ');
		print_text(db_column_text(row, VEH_TEXT), 24);
		(void)putchar('\n');
	}
	return print_attacks(d, db_column_text(row, VEH_ID), err);
}

/* ---- JSON ---- */

/* A time as text, or null. */
static void
add_time(cJSON *object, const char *name, sqlite3_stmt *row, int column)
{
	char text[UPT_TIME_TEXT_SIZE];

	if (is_null(row, column)) {
		(void)cJSON_AddNullToObject(object, name);
		return;
	}
	upt_time_format(sqlite3_column_int64(row, column), text);
	(void)cJSON_AddStringToObject(object, name, text);
}

static void
add_text(cJSON *object, const char *name, sqlite3_stmt *row, int column)
{
	if (is_null(row, column))
		(void)cJSON_AddNullToObject(object, name);
	else
		(void)cJSON_AddStringToObject(object, name, db_column_text(row, column));
}

/* Exact: cJSON would print 10^15 as 1e+15. */
static void
add_integer(cJSON *object, const char *name, int64_t value)
{
	char digits[24];

	(void)snprintf(digits, sizeof(digits), "%lld", (long long)value);
	(void)cJSON_AddRawToObject(object, name, digits);
}

static void
add_image(cJSON *object, const char *name, sqlite3_stmt *row, int name_column, int length_column,
	int sha256_column, int time_column)
{
	if (is_null(row, name_column)) {
		(void)cJSON_AddNullToObject(object, name);
		return;
	}
	cJSON *image = cJSON_AddObjectToObject(object, name);
	add_text(image, "name", row, name_column);
	add_integer(image, "length", sqlite3_column_int64(row, length_column));
	add_text(image, "sha256", row, sha256_column);
	add_time(image, "at", row, time_column);
}

static void
add_ecu(cJSON *ecus, sqlite3_stmt *row)
{
	cJSON *ecu = cJSON_CreateObject();

	(void)cJSON_AddItemToArray(ecus, ecu);
	add_text(ecu, "serial", row, COL_SERIAL);
	add_text(ecu, "hardwareId", row, COL_HARDWARE);
	(void)cJSON_AddBoolToObject(ecu, "primary", sqlite3_column_int(row, COL_IS_PRIMARY) != 0);
	add_text(ecu, "keyType", row, COL_KEY_TYPE);
	add_image(ecu, "installed", row, COL_NAME, COL_LENGTH, COL_SHA256, COL_REPORTED_AT);
	if (is_null(row, COL_COUNTER))
		(void)cJSON_AddNullToObject(ecu, "reportCounter");
	else
		add_integer(ecu, "reportCounter", sqlite3_column_int64(row, COL_COUNTER));
	add_time(ecu, "ecuTime", row, COL_REPORT_TIME);
	(void)cJSON_AddBoolToObject(
		ecu, "missingFromLastManifest", sqlite3_column_int(row, COL_MISSING) != 0);
	add_image(ecu, "assigned", row, COL_ASSIGNED_NAME, COL_ASSIGNED_LENGTH, COL_ASSIGNED_SHA256,
		COL_ASSIGNED_AT);
	add_text(ecu, "state", row, COL_STATE);
}

static enum upt_code
add_ecus(struct director *d, const char *vehicle, cJSON *object, struct upt_err *err)
{
	upt_cleanup(db_finish) sqlite3_stmt *row = NULL;
	cJSON *ecus = cJSON_AddArrayToObject(object, "ecus");
	bool more = false;

	UPT_TRY(db_query(&d->db, &row, err, ECU_QUERY, DB_ARGS(db_text(vehicle))));
	UPT_TRY(db_step(row, &more, err));
	while (more) {
		add_ecu(ecus, row);
		UPT_TRY(db_step(row, &more, err));
	}
	return UPT_OK;
}

static enum upt_code
add_attacks(struct director *d, const char *vehicle, cJSON *object, struct upt_err *err)
{
	upt_cleanup(db_finish) sqlite3_stmt *row = NULL;
	cJSON *attacks = cJSON_AddArrayToObject(object, "attacks");
	bool more = false;

	UPT_TRY(db_query(&d->db, &row, err,
		"SELECT ecu, reported_at, text FROM attack WHERE vehicle = ? ORDER BY rowid",
		DB_ARGS(db_text(vehicle))));
	UPT_TRY(db_step(row, &more, err));
	while (more) {
		cJSON *attack = cJSON_CreateObject();
		(void)cJSON_AddItemToArray(attacks, attack);
		add_text(attack, "ecu", row, 0);
		add_time(attack, "at", row, 1);
		add_text(attack, "text", row, 2);
		UPT_TRY(db_step(row, &more, err));
	}
	return UPT_OK;
}

static enum upt_code
add_versions(struct director *d, const char *vehicle, cJSON *object, struct upt_err *err)
{
	cJSON *versions = cJSON_AddObjectToObject(object, "metadata");

	for (int i = ROLE_TIMESTAMP; i < N_ROLES; i++) {
		const char *name = role_name((enum role)i);
		int64_t version = 0;
		enum upt_code code = db_get_int(&d->db, &version, err,
			"SELECT max(version) FROM document WHERE vehicle = ? AND role = ?",
			DB_ARGS(db_text(vehicle), db_text(name)));
		if (code != UPT_OK && code != UPT_E_NOT_FOUND)
			return code;
		add_integer(versions, name, version);
	}
	return UPT_OK;
}

static enum upt_code
add_vehicle(struct director *d, cJSON *vehicles, sqlite3_stmt *row, struct upt_err *err)
{
	cJSON *object = cJSON_CreateObject();

	(void)cJSON_AddItemToArray(vehicles, object);
	add_text(object, "id", row, VEH_ID);
	add_text(object, "primary", row, VEH_PRIMARY);
	add_time(object, "registeredAt", row, VEH_REGISTERED_AT);
	add_time(object, "lastManifestAt", row, VEH_MANIFEST_AT);
	add_text(object, "correlationId", row, VEH_CORRELATION_ID);
	if (is_null(row, VEH_SUCCESS)) {
		(void)cJSON_AddNullToObject(object, "installation");
	} else {
		cJSON *report = cJSON_AddObjectToObject(object, "installation");
		(void)cJSON_AddBoolToObject(
			report, "success", sqlite3_column_int(row, VEH_SUCCESS) != 0);
		add_text(report, "code", row, VEH_CODE);
		add_text(report, "description", row, VEH_TEXT);
		add_text(report, "correlationId", row, VEH_REPORT_CORRELATION_ID);
		add_time(report, "at", row, VEH_REPORT_AT);
	}
	UPT_TRY(add_versions(d, db_column_text(row, VEH_ID), object, err));
	UPT_TRY(add_ecus(d, db_column_text(row, VEH_ID), object, err));
	return add_attacks(d, db_column_text(row, VEH_ID), object, err);
}

/* ---- command ---- */

static enum upt_code
show(struct director *d, const char *vehicle, cJSON *vehicles, struct upt_err *err)
{
	upt_cleanup(db_finish) sqlite3_stmt *row = NULL;
	bool more = false;
	size_t n = 0;

	UPT_TRY(db_query(&d->db, &row, err, VEHICLE_QUERY, DB_ARGS(db_text(vehicle))));
	UPT_TRY(db_step(row, &more, err));
	while (more) {
		if (vehicles == NULL && n == 0)
			(void)printf("  %-16s %-13s %-26s %6s %-24s %s\n", "ECU", "HARDWARE",
				"INSTALLED", "REPORT", "ASSIGNED", "STATE");
		n++;
		UPT_TRY(vehicles != NULL ? add_vehicle(d, vehicles, row, err)
					 : print_vehicle(d, row, err));
		UPT_TRY(db_step(row, &more, err));
	}
	if (vehicle != NULL && n == 0)
		return upt_fail(err, UPT_E_NOT_FOUND, "vehicle %s is not registered", vehicle);
	if (vehicles == NULL && n == 0)
		(void)puts("no vehicle has registered yet");
	return UPT_OK;
}

static enum upt_code
show_json(struct director *d, const char *vehicle, struct upt_err *err)
{
	upt_cleanup(upt_author_json_clear) cJSON *json = cJSON_CreateObject();
	cJSON *vehicles = cJSON_AddArrayToObject(json, "vehicles");

	if (vehicles == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "out of memory");
	UPT_TRY(show(d, vehicle, vehicles, err));
	upt_cleanup(upt_free_ptr) char *text = cJSON_Print(json);
	if (text == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "out of memory");
	(void)puts(text);
	return UPT_OK;
}

static enum upt_code
run(int argc, char **argv, struct upt_err *err)
{
	const char *dir = NULL, *vehicle = NULL;
	bool json = false;
	const struct cli_option options[] = {
		{.name = "--dir", .value = &dir},
		{.name = "--vehicle", .value = &vehicle},
		{.name = "--json", .flag = &json},
	};
	upt_cleanup(director_close) struct director d = {0};
	upt_cleanup(db_rollback) struct db_tx tx = {0};

	UPT_TRY(cli_parse(argc, argv, options, sizeof(options) / sizeof(options[0]), NULL, err));
	UPT_TRY(cli_require("--dir", dir, err));
	UPT_TRY(director_open(&d, dir, err));
	UPT_TRY(db_begin_read(&d.db, &tx, err));
	return json ? show_json(&d, vehicle, err) : show(&d, vehicle, NULL, err);
}

const struct command command_inventory = {
	.name = "inventory",
	.usage = "Usage: uptane-director inventory --dir DIR [--vehicle V] [--json]\n"
		 "\n"
		 "Shows per vehicle and ECU what it reported, what it is assigned, and the state:\n"
		 "current (they match), pending, failed (its last installation went wrong), or -\n"
		 "(nothing assigned). The Primary has a star.\n",
	.run = run,
};
