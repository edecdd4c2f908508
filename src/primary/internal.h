/*
 * What the files of src/primary share. Steps of the cycle are functions of struct upt_primary in the order
 * of cycle.c.
 */
#ifndef UPT_PRIMARY_INTERNAL_H
#define UPT_PRIMARY_INTERNAL_H

#include "director/director.h"
#include "imagerepo/imagerepo.h"
#include "manifest/manifest.h"
#include "primary/primary.h"
#include "secondary/link.h"
#include "storage/images.h"
#include "storage/store.h"
#include "transport/http.h"

struct upt_engine;

struct upt_ecu {
	const struct upt_ecu_config *config;
	struct upt_link *link;
	struct upt_installer *installer; /* borrowed from a virtual link; NULL for ip */
	struct upt_engine *engine;       /* HTTP of the container engine, or NULL */
	struct upt_public_key *key;      /* of its version reports; ip: as it was registered */
	struct upt_buf report;           /* its signed report in this cycle */
	struct upt_image installed;      /* as that report says */
	bool reachable;
	bool resumed;                    /* its installer has picked up what a crash or reboot left */
};

/* One target that this cycle shall bring to one ECU. */
struct upt_job {
	struct upt_ecu *ecu;
	struct upt_target director;
	struct upt_target image;
	bool prepared;
	bool installed;
};

struct upt_primary {
	struct upt_primary_options options;
	const struct upt_config *config;
	const struct upt_log *log;
	struct upt_store *store;
	struct upt_images *images;
	struct upt_http *http;
	struct upt_private_key *key;     /* the Primary's, for the vehicle version manifest */
	struct upt_vehicle vehicle;
	struct upt_vehicle_ecu *vehicle_ecus;
	size_t n_ecus;
	struct upt_ecu *ecus;            /* the Primary is the first */
	int64_t now;                     /* trusted time of this cycle */
	/* Step 3 */
	struct upt_feed director_feed, image_feed;
	struct upt_trusted_set *director, *image;
	struct upt_arena arena;          /* of this cycle */
	struct upt_assignment *assignments;
	size_t n_assignments;
	struct upt_job *jobs;
	size_t n_jobs;
};

/* ---- ecus.c: links, installers and keys from the configuration ---- */
UPT_NODISCARD enum upt_code upt_ecus_new(struct upt_primary *p, struct upt_err *err);
void upt_ecus_free(struct upt_primary *p);

/* ---- engine.c ---- */
struct upt_engine_http;
UPT_NODISCARD enum upt_code upt_engine_new(const char *socket_path, const volatile bool *cancel,
	struct upt_engine **out, struct upt_err *err);
void upt_engine_free(struct upt_engine **engine);
const struct upt_engine_http *upt_engine_ops(const struct upt_engine *engine);

/* ---- feed.c: documents over HTTP, kept in the store; and the store's for Secondaries ---- */
struct upt_feed upt_primary_feed(struct upt_primary *p, enum upt_repo repo);
struct upt_metadata_source upt_primary_source(struct upt_primary *p);

/* ---- provision.c: pinned roots, registration ---- */
UPT_NODISCARD enum upt_code upt_primary_pin_roots(struct upt_primary *p, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_primary_register(struct upt_primary *p, struct upt_err *err);

/* ---- report.c: step 1 and the report after an installation ---- */
UPT_NODISCARD enum upt_code upt_primary_send_manifest(struct upt_primary *p, struct upt_err *err);
/* Keeps a refusal for the next version report. */
void upt_primary_record(struct upt_primary *p, const char *ecu, const struct upt_err *refusal);

/* ---- verify.c: step 3 ---- */
UPT_NODISCARD enum upt_code upt_primary_verify_director(struct upt_primary *p, bool *changed, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_primary_plan(struct upt_primary *p, struct upt_cycle_summary *summary, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_primary_verify_images(struct upt_primary *p, struct upt_err *err);
/* Fresh trusted sets for a cycle; end drops them with everything that points into them. */
UPT_NODISCARD enum upt_code upt_primary_begin_cycle(struct upt_primary *p, struct upt_err *err);
void upt_primary_end_cycle(struct upt_primary *p);

/* ---- content.c: steps 4 to 7 ---- */
UPT_NODISCARD enum upt_code upt_primary_download(struct upt_primary *p, struct upt_job *job, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_primary_prepare(struct upt_primary *p, struct upt_job *job, struct upt_err *err);
/* Removes stored images, whole or begun, that no job of this cycle is still to install. */
void upt_primary_prune_images(struct upt_primary *p);

/* ---- install.c ---- */
UPT_NODISCARD enum upt_code upt_primary_finalize(struct upt_primary *p, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_primary_install(struct upt_primary *p, struct upt_cycle_summary *summary, struct upt_err *err);
/* What an installer needs to know of a job; image_fd is -1. */
struct upt_install_job upt_job_describe(const struct upt_job *job);
struct upt_install_progress upt_primary_progress(struct upt_primary *p);

#endif
