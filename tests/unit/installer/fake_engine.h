/*
 * A Podman or Docker in memory: images, containers, volumes, ports that only one container can
 * hold, and a registry with a mirror. It can be told which versions are broken and after how many
 * calls the power goes.
 */
#ifndef UPT_TESTS_INSTALLER_FAKE_ENGINE_H
#define UPT_TESTS_INSTALLER_FAKE_ENGINE_H

#include "installer/engine.h"
#include "support.h"

#define FAKE_VERSIONS 4
#define FAKE_CONTAINERS 8
#define FAKE_VOLUMES 4
#define FAKE_REPOSITORY "127.0.0.1:5000/dashboard"
#define FAKE_MIRROR "mirror.example:5001/cache"
#define FAKE_MIRRORED FAKE_MIRROR "/dashboard"

enum fake_status {
	FAKE_CREATED,
	FAKE_RUNNING,
	FAKE_EXITED,
};

struct fake_container {
	bool used;
	char name[128];
	char app[64]; /* label */
	char project[64], service[64]; /* labels of compose */
	char digest[65], spec[17]; /* labels */
	char port_label[8], health_label[512], timeout_label[8], alone_label[4];
	unsigned version; /* what it really is */
	unsigned port; /* that it listens on: its environment's PORT */
	enum fake_status status;
	unsigned n_restarts;
};

struct fake_volume {
	char name[128], app[64]; /* label; "" for none */
};

struct fake_engine {
	struct upt_engine_http ops;
	bool is_docker;
	const char *version; /* answer to GET /version; NULL: that of the engine */
	char digest[FAKE_VERSIONS][65]; /* version 0 is never used */
	/* what the registry and the versions are like */
	bool in_registry[FAKE_VERSIONS], present[FAKE_VERSIONS];
	bool from_mirror[FAKE_VERSIONS]; /* known by the mirror's name */
	bool mirror_is_down;
	bool full_at_create, full_at_start; /* its disk */
	bool pull_lies; /* says "pulled" and has nothing */
	const char *pull_script; /* answers a pull with this text instead */
	bool dies[FAKE_VERSIONS], sick[FAKE_VERSIONS], start_fails[FAKE_VERSIONS];
	bool flaps[FAKE_VERSIONS];
	unsigned healthy_after[FAKE_VERSIONS]; /* probes that fail first */
	struct upt_span log;
	const char *list_exited_as; /* what the list calls a container that has ended */
	const char *garbage; /* the next GET answers with this */
	struct fake_container containers[FAKE_CONTAINERS];
	struct fake_volume volumes[FAKE_VOLUMES];
	bool engine_check_passes; /* the engine's health check */
	uint64_t now_ms, piece_ms; /* the clock; a piece of a pull's stream takes so long */
	/* what happened */
	char last_pull[512], last_pull_path[512], last_header[512];
	unsigned last_quiet_ms;
	char last_create[4096];
	unsigned n_calls, n_pulls, n_pauses, n_probes;
	/* the power: gone at that call, 0 never; before or after the call had its effect */
	unsigned crash_at;
	bool crash_after, crashed;
};

/* Counts a step; true when the power is gone before it has its effect, or after. */
bool fake_power_fails_before(struct fake_engine *fake);
bool fake_power_fails_after(struct fake_engine *fake);
/* The version of a reference; 0 when there is none. */
unsigned fake_version_of(const struct fake_engine *fake, const char *reference);
/* A place for a container, empty. */
struct fake_container *fake_new_container(struct fake_engine *fake);
/* Starts it: as the engine does when it is asked to. */
void fake_start(struct fake_engine *fake, struct fake_container *c);
void fake_engine_init(struct fake_engine *fake);
struct fake_container *fake_find(struct fake_engine *fake, const char *name);
/* The one running container's version; 0 when none, 99 when several run. */
unsigned fake_running(const struct fake_engine *fake);
unsigned fake_count(const struct fake_engine *fake);
/* The machine was off: nothing runs. */
void fake_power_cycle(struct fake_engine *fake);

#endif
