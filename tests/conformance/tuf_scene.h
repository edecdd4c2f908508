/*
 * A TUF repository that tests write in memory, the server that publishes it, and tuf-client run
 * against it: what it answered, what it asked for and what it keeps. Versions and keys of a role
 * are plain numbers that a test sets before it publishes.
 */
#ifndef TESTS_CONFORMANCE_TUF_SCENE_H
#define TESTS_CONFORMANCE_TUF_SCENE_H

#include "program.h"

#include "loopback.h"
#include "unit/metadata/world.h"

#define SCENE_MAX_FILES 96
#define SCENE_MAX_ROLES 24
#define SCENE_MAX_CHANGES 16
#define SCENE_LOG_BYTES 8192

struct scene_file {
	char path[320]; /* as a client asks for it: "/m/1.root.json" */
	int status;
	struct upt_buf bytes;
};

struct scene_role {
	char name[48];
	uint64_t version;
	unsigned keys; /* K() of world.h: those that sign */
	cJSON *payload; /* targets and delegated roles; NULL for the other three */
	struct upt_buf bytes; /* as published last */
	bool expired;
};

/* Applied to a role's payload each time that it is signed. */
struct scene_change {
	const char *role, *path;
	cJSON *value; /* NULL: the member is dropped */
};

struct scene {
	struct world w;
	struct loopback *server;
	/* When the scene began: what is published again unchanged has the same bytes. */
	int64_t now;
	char dir[64];
	struct scene_file files[SCENE_MAX_FILES];
	size_t n_files;
	struct scene_role roles[SCENE_MAX_ROLES]; /* [0] root, timestamp, snapshot, targets, ... */
	size_t n_roles;
	struct scene_change changes[SCENE_MAX_CHANGES];
	size_t n_changes;
	struct root_plan root; /* keys that the next root lists */
	bool unhashed; /* snapshot and timestamp list versions only */
	char log[SCENE_LOG_BYTES]; /* targets of the requests, a blank between them, without "/m/"
				    */
	struct program_result result;
	const char *const *options; /* further options of the client, ends with NULL */
};

/* cmocka: *state is a struct scene with everything at version 1, published, and root v1 given to
 * init. The program's path is main()'s argv[1]. */
int scene_setup(void **state);
int scene_teardown(void **state);
void scene_program(const char *path);

struct scene_role *scene_role(struct scene *s, const char *name); /* made when it is new */
/* The next signatures of the role have this member; value is taken over. */
void scene_change(struct scene *s, const char *role, const char *path, cJSON *value);
void scene_undo_changes(struct scene *s);
/* Signs and publishes root, or all of the other roles, at their versions. */
void scene_publish_root(struct scene *s);
void scene_publish(struct scene *s);
/* Versions of targets, snapshot and timestamp go up by one, then publish. */
void scene_publish_next(struct scene *s);
/* What the server has under a path: bytes, or a status without any. */
void scene_serve(struct scene *s, const char *path, struct upt_span bytes);
void scene_answer(struct scene *s, const char *path, int status);
const struct upt_buf *scene_served(struct scene *s, const char *path);
void scene_withdraw(struct scene *s, const char *path);
/* An artifact in a role and below /t/, under the name that consistent_snapshot asks for. */
void scene_artifact(struct scene *s, const char *role, const char *name, const char *content);
void scene_delegate(
	struct scene *s, const char *from, const char *to, const char *path, bool terminating);

/* Runs a command of the client; returns its exit status. names ends with NULL. */
int scene_init(struct scene *s, const char *root_file);
int scene_refresh(struct scene *s);
int scene_download(struct scene *s, const char *const *names);
/* Success; and failure with this code in what it wrote. */
void scene_refreshes(struct scene *s);
void scene_refuses(struct scene *s, enum upt_code want);
void scene_downloads(struct scene *s, const char *name);
void scene_refuses_download(struct scene *s, const char *name, enum upt_code want);

/* Requests since the last call, without "/m/" and ".json": "2.root timestamp 1.snapshot". */
void scene_asked(struct scene *s, const char *want);
/* The client's trusted files, sorted, by name and version: "root 1 snapshot 1". */
void scene_trusts(struct scene *s, const char *want);
/* Its copy of a role holds exactly these bytes. */
void scene_keeps(struct scene *s, const char *role, const struct upt_buf *bytes);
/* What it keeps under that file name of the artifact directory; NULL: nothing. */
void scene_has_artifact(struct scene *s, const char *file, const char *content);
size_t scene_count_artifacts(struct scene *s);
/* Puts a file into the client's metadata directory. */
void scene_plant(struct scene *s, const char *file, struct upt_span bytes);
char *scene_path(const struct scene *s, const char *name, char out[static 128]);

#endif
