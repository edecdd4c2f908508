/*
 * Version 1 of the schema. Times are seconds since 1970, UTC. What vehicles send is kept only after
 * its signatures were checked, with the exception of event, whose only witness is the TLS identity.
 */
#ifndef UPT_TOOLS_DIRECTOR_DB_SCHEMA_H
#define UPT_TOOLS_DIRECTOR_DB_SCHEMA_H

#define DB_APPLICATION_ID 1431323716 /* "UPTD" */
#define DB_SCHEMA_VERSION 1

#define DB_SCHEMA                                                                                  \
	/* lifetimes of roles, and key_epoch, which rises with every rotation */                   \
	"CREATE TABLE setting("                                                                    \
	"  name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"                  \
	"CREATE TABLE role_key("                                                                   \
	"  role TEXT PRIMARY KEY, file TEXT NOT NULL, key_id TEXT NOT NULL) STRICT, WITHOUT ROWID;" \
	"CREATE TABLE root("                                                                       \
	"  version INTEGER PRIMARY KEY, expires INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT;"    \
	/* assignment_version rises when the vehicle's targets change; report_* are the last */    \
	/* installation report */                                                                  \
	"CREATE TABLE vehicle("                                                                    \
	"  id TEXT PRIMARY KEY, primary_serial TEXT NOT NULL, registered_at INTEGER NOT NULL,"     \
	"  assignment_version INTEGER NOT NULL DEFAULT 0, correlation_id TEXT,"                    \
	"  manifest_at INTEGER, report_success INTEGER, report_code TEXT, report_text TEXT,"       \
	"  report_correlation_id TEXT, report_at INTEGER) STRICT;"                                 \
	/* counter, installed_*: the last accepted report; missing: not in the last manifest */    \
	"CREATE TABLE ecu("                                                                        \
	"  vehicle TEXT NOT NULL REFERENCES vehicle(id), serial TEXT NOT NULL,"                    \
	"  position INTEGER NOT NULL, hardware_id TEXT NOT NULL, key_type TEXT NOT NULL,"          \
	"  key_public TEXT NOT NULL, key_fingerprint BLOB NOT NULL,"                               \
	"  counter INTEGER, reported_at INTEGER, report_time INTEGER, installed_name TEXT,"        \
	"  installed_length INTEGER, installed_sha256 TEXT, installed_sha512 TEXT,"                \
	"  missing INTEGER NOT NULL DEFAULT 0,"                                                    \
	"  result_success INTEGER, result_code TEXT, result_correlation_id TEXT,"                  \
	"  result_at INTEGER,"                                                                     \
	"  PRIMARY KEY(vehicle, serial)) STRICT, WITHOUT ROWID;"                                   \
	"CREATE TABLE attack("                                                                     \
	"  vehicle TEXT NOT NULL REFERENCES vehicle(id), ecu TEXT NOT NULL,"                       \
	"  reported_at INTEGER NOT NULL, text TEXT NOT NULL) STRICT;"                              \
	"CREATE INDEX attack_by_vehicle ON attack(vehicle);"                                       \
	"CREATE TABLE target("                                                                     \
	"  vehicle TEXT NOT NULL REFERENCES vehicle(id), name TEXT NOT NULL,"                      \
	"  length INTEGER NOT NULL, sha256 TEXT NOT NULL, sha512 TEXT NOT NULL DEFAULT '',"        \
	"  custom TEXT NOT NULL, PRIMARY KEY(vehicle, name)) STRICT, WITHOUT ROWID;"               \
	"CREATE TABLE assignment("                                                                 \
	"  vehicle TEXT NOT NULL, ecu TEXT NOT NULL, target TEXT NOT NULL,"                        \
	"  assigned_at INTEGER NOT NULL,"                                                          \
	"  PRIMARY KEY(vehicle, ecu),"                                                             \
	"  FOREIGN KEY(vehicle, ecu) REFERENCES ecu(vehicle, serial),"                             \
	"  FOREIGN KEY(vehicle, target) REFERENCES target(vehicle, name)) STRICT, WITHOUT ROWID;"  \
	/* signed metadata per vehicle; source: assignment_version it was made of */               \
	"CREATE TABLE document("                                                                   \
	"  vehicle TEXT NOT NULL REFERENCES vehicle(id), role TEXT NOT NULL,"                      \
	"  version INTEGER NOT NULL, expires INTEGER NOT NULL, key_epoch INTEGER NOT NULL,"        \
	"  source INTEGER NOT NULL, bytes BLOB NOT NULL,"                                          \
	"  PRIMARY KEY(vehicle, role, version)) STRICT;"                                           \
	"CREATE TABLE event("                                                                      \
	"  vehicle TEXT NOT NULL REFERENCES vehicle(id), id TEXT NOT NULL,"                        \
	"  received_at INTEGER NOT NULL, type TEXT NOT NULL, bytes BLOB NOT NULL,"                 \
	"  UNIQUE(vehicle, id)) STRICT;"                                                           \
	/* What each ECU has and shall have. An installation report counts when it names the */    \
	/* vehicle's present correlation id, or none and came after the assignment; an ECU's own */ \
	/* result is preferred to the vehicle's. */                                                \
	"CREATE VIEW ecu_view AS WITH facts AS ("                                                  \
	"  SELECT ecu.*, a.target AS assigned_name, a.assigned_at AS assigned_at,"                 \
	"    t.length AS assigned_length, t.sha256 AS assigned_sha256,"                            \
	"    t.sha512 AS assigned_sha512,"                                                         \
	"    ecu.serial = v.primary_serial AS is_primary,"                                         \
	"    CASE WHEN ecu.result_correlation_id = v.correlation_id"                               \
	"      OR (ecu.result_correlation_id = '' AND ecu.result_at >= a.assigned_at)"             \
	"      THEN ecu.result_success END AS own_result,"                                         \
	"    CASE WHEN v.report_correlation_id = v.correlation_id"                                 \
	"      OR (v.report_correlation_id = '' AND v.report_at >= a.assigned_at)"                 \
	"      THEN v.report_success END AS vehicle_result"                                        \
	"  FROM ecu JOIN vehicle v ON v.id = ecu.vehicle"                                          \
	"  LEFT JOIN assignment a ON a.vehicle = ecu.vehicle AND a.ecu = ecu.serial"               \
	"  LEFT JOIN target t ON t.vehicle = a.vehicle AND t.name = a.target)"                     \
	"SELECT *, CASE WHEN assigned_name IS NULL THEN 'unassigned'"                              \
	"  WHEN installed_name = assigned_name AND ((assigned_sha256 <> ''"                        \
	"      AND installed_sha256 = assigned_sha256) OR (assigned_sha256 = ''"                   \
	"      AND installed_sha512 = assigned_sha512)) THEN 'current'"                            \
	"  WHEN coalesce(own_result, vehicle_result) = 0 THEN 'failed'"                            \
	"  ELSE 'pending' END AS state FROM facts;"

#endif
