/*
 * What the files of src/primary share. Steps of the cycle are functions of struct upt_primary in
 * the order of cycle.c.
 */
#ifndef UPT_PRIMARY_INTERNAL_H
#define UPT_PRIMARY_INTERNAL_H

#include "director/director.h"
#include "imagerepo/imagerepo.h"
#include "manifest/manifest.h"
#include "primary/plan.h"
#include "primary/primary.h"
#include "secondary/link.h"
#include "storage/images.h"
#include "storage/store.h"
#include "transport/http.h"

struct upt_boot;
struct upt_engine;

struct upt_ecu {
	const struct upt_ecu_config *config;
	struct upt_link *link;
	struct upt_installer *installer; /* borrowed from a virtual link; NULL for ip */
	struct upt_engine *engine; /* HTTP of the container engine, or NULL */
	struct upt_public_key *key; /* of its version reports; ip: as it was registered */
	struct upt_buf report; /* its signed report in this cycle */
	struct upt_image installed; /* as that report says */
	struct upt_image running; /* what its installer found, while running_known */
	bool running_known;
	bool reachable; /* it reported in this cycle */
	bool resumed; /* its installer finished what the last process left */
	bool waits; /* a reboot of this machine is wanted for it */
	bool on_trial; /* PENDING has booted and is not confirmed yet */
	bool told; /* another machine: it said that it waits for a reboot of its own */
	bool unnoted; /* its engine has installed what the slots do not know */
	bool stuck; /* it could not go back in this cycle */
};

/* What an assignment asks of this cycle. */
enum upt_job_state {
	UPT_JOB_DONE = 0, /* installed */
	UPT_JOB_PENDING, /* installed, waits for a reboot */
	UPT_JOB_TRIAL, /* the ECU runs something on trial: until that is settled nothing is installed */
	UPT_JOB_REFUSED, /* was rolled back or failed here */
	UPT_JOB_UNREACHABLE, /* the ECU does not answer: left for a later cycle */
	UPT_JOB_LATER, /* the bundle under way comes first */
	UPT_JOB_WANTED, /* to be installed */
};

/* One assignment of the Director to one ECU. */
struct upt_job {
	struct upt_ecu *ecu;
	struct upt_target director;
	struct upt_target image; /* of source, once mapping.c found agreement */
	const struct upt_repository *source;
	size_t threshold; /* how many must agree, of which agreed[i] do */
	bool agreed[UPT_MAX_REPOS];
	enum upt_job_state state;
	bool prepared;
	bool installed; /* in this cycle */
	bool redescribed; /* its image runs already, and not as the release now says */
};

/* One repository of the configuration, and what came of asking it in this cycle. */
struct upt_repository {
	struct upt_primary *primary;
	const struct upt_repo_config *config;
	const char *name; /* in reports: "director", "image", or NAME of [repository NAME] */
	enum upt_repo id; /* in the store */
	struct upt_feed feed;
	/* Step 3 */
	struct upt_trusted_set *set;
	bool asked; /* refreshed in this cycle, with the result failure */
	struct upt_err failure;
	bool failure_told;
	struct upt_assignment *assignments; /* a Director's, for this vehicle */
	size_t n_assignments;
};

struct upt_primary {
	struct upt_primary_options options;
	const struct upt_config *config;
	const struct upt_log *log;
	struct upt_store *store;
	struct upt_images *images;
	struct upt_http *http;
	struct upt_http *foreign_http; /* for images on servers that are not ours: without
					  certificate; or NULL */
	struct upt_private_key *key; /* the Primary's, for the vehicle version manifest */
	struct upt_boot *boot; /* what boots the Primary's system; never NULL */
	bool boot_settled; /* it counts nothing that an earlier process left */
	bool tries; /* a cycle: what booted on trial proves itself now */
	struct upt_vehicle vehicle;
	struct upt_vehicle_ecu *vehicle_ecus;
	size_t n_ecus;
	struct upt_ecu *ecus; /* the Primary is the first */
	int64_t now; /* trusted time of this cycle */
	uint64_t report_counter; /* of the manifest that is being made */
	bool changed; /* an ECU runs something that no accepted manifest tells of */
	struct upt_wait wait; /* what a gate put off; gate "": nothing */
	/* Step 3 */
	size_t n_repos; /* 0 before they are set up */
	struct upt_repository repos[UPT_MAX_REPOS]; /* by upt_config_repo()'s index */
	struct upt_arena arena; /* of this cycle */
	struct upt_job *jobs; /* one for each assignment */
	size_t n_jobs;
	struct upt_plan plan; /* of the last bundle, as it is written */
};

/* ---- ecus.c: links, installers and keys from the configuration ---- */
UPT_NODISCARD enum upt_code upt_ecus_new(struct upt_primary *p, struct upt_err *err);
void upt_ecus_free(struct upt_primary *p);
/* What the ECU's installer finds running: asked once a cycle, and again after anything was changed.
 */
UPT_NODISCARD enum upt_code
upt_ecu_running(struct upt_ecu *ecu, struct upt_image *out, struct upt_err *err);

/* What it installs runs after a reboot of this machine only. */
bool upt_ecu_reboots(const struct upt_ecu *ecu);

/* ---- engine.c ---- */
struct upt_engine_http;
/* socket_path NULL: the engine's own, or for "auto" Podman's unless only Docker's is there. */
UPT_NODISCARD enum upt_code upt_engine_new(enum upt_engine_kind kind, const char *socket_path,
	const volatile bool *cancel, struct upt_engine **out, struct upt_err *err);
void upt_engine_free(struct upt_engine **engine);
const struct upt_engine_http *upt_engine_ops(const struct upt_engine *engine);
const char *upt_engine_socket(const struct upt_engine *engine);

/* ---- feed.c: documents over HTTP, kept in the store; and the store's for Secondaries ---- */
struct upt_feed upt_repository_feed(struct upt_repository *r);
struct upt_metadata_source upt_primary_source(struct upt_primary *p);

/* ---- provision.c: pinned roots, registration ---- */
UPT_NODISCARD enum upt_code upt_primary_pin_roots(struct upt_primary *p, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_primary_register(struct upt_primary *p, struct upt_err *err);
/* The next cycle registers once more: the Director does not know the vehicle any longer. */
void upt_primary_register_again(struct upt_primary *p);

/* ---- report.c: step 1 and the report after an installation ---- */
UPT_NODISCARD enum upt_code upt_primary_send_manifest(struct upt_primary *p, struct upt_err *err);
/* Keeps a refusal for the next version report. */
void upt_primary_record(struct upt_primary *p, const char *ecu, const struct upt_err *refusal);

/* ---- repository.c: each repository by itself ---- */
UPT_NODISCARD enum upt_code upt_repositories_new(struct upt_primary *p, struct upt_err *err);
/* Fresh trusted sets for a cycle; end drops them. */
UPT_NODISCARD enum upt_code upt_repositories_begin_cycle(
	struct upt_primary *p, struct upt_err *err);
void upt_repositories_end_cycle(struct upt_primary *p);
/* Whether a failure says something about the repository, and nothing about this machine. */
bool upt_is_repository_failure(enum upt_code code);
/* Brings its metadata up to date, once in a cycle; asked again, it says the same. *changed as
 * upt_refresh(), may be NULL. */
UPT_NODISCARD enum upt_code upt_repository_refresh(
	struct upt_repository *r, bool *changed, struct upt_err *err);
/*
 * UPT_OK: a refreshed repository agrees with a job; *image is what an Image repository lists.
 * UPT_E_UNKNOWN_TARGET: it does not speak of it. UPT_E_TARGET_MISMATCH, UPT_E_WRONG_HARDWARE,
 * UPT_E_RELEASE_ROLLBACK: it says otherwise. Any other code: it cannot be told.
 */
UPT_NODISCARD enum upt_code upt_repository_vote(struct upt_repository *r,
	const struct upt_job *job, struct upt_target *image, struct upt_err *err);
/* Nothing that was verified of it in this cycle has expired by now. */
bool upt_repository_is_fresh(const struct upt_repository *r);

/* ---- mapping.c: which repositories must agree on a job ---- */
/* Refreshes those that the jobs need first; without jobs all that there are. */
UPT_NODISCARD enum upt_code upt_mapping_refresh(struct upt_primary *p, struct upt_err *err);
/* Fills in job->image, source, threshold and agreed, or refuses the job. */
UPT_NODISCARD enum upt_code upt_mapping_agree(
	struct upt_primary *p, struct upt_job *job, struct upt_err *err);
/* Enough of those that agreed are still fresh, and so is the one whose entry is acted upon. */
bool upt_mapping_is_fresh(const struct upt_primary *p, const struct upt_job *job);

/* ---- verify.c: step 3 ---- */
UPT_NODISCARD enum upt_code
upt_primary_verify_director(struct upt_primary *p, bool *changed, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_primary_plan(struct upt_primary *p, struct upt_cycle_summary *summary, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_primary_verify_images(struct upt_primary *p, struct upt_err *err);
/*
 * An image that runs may be described anew: *look says that the Director's targets are others than
 * when this was looked at last, and that an ECU here has a description. Then, with the Image
 * repository verified, upt_primary_plan_descriptions() adds what is to be installed once more.
 */
UPT_NODISCARD enum upt_code
upt_primary_must_look(struct upt_primary *p, bool *look, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_primary_plan_descriptions(
	struct upt_primary *p, struct upt_cycle_summary *summary, struct upt_err *err);
/* All of it is done, unless a bundle is under way. */
UPT_NODISCARD enum upt_code upt_primary_note_looked(struct upt_primary *p, struct upt_err *err);
/* Nothing that was verified in this cycle has expired by now, a delegated role that vouches for an
 * image included: downloads may take days. */
bool upt_primary_is_fresh(const struct upt_primary *p);
/* Fresh trusted sets for a cycle; end drops them with everything that points into them. */
UPT_NODISCARD enum upt_code upt_primary_begin_cycle(struct upt_primary *p, struct upt_err *err);
void upt_primary_end_cycle(struct upt_primary *p);

/* ---- content.c: steps 4 to 7 ---- */
UPT_NODISCARD enum upt_code
upt_primary_download(struct upt_primary *p, struct upt_job *job, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_primary_prepare(struct upt_primary *p, struct upt_job *job, struct upt_err *err);
/* Removes stored images, whole or begun, that no job of this cycle is still to install. */
void upt_primary_prune_images(struct upt_primary *p);

/* ---- slots.c: what the Primary remembers of an ECU's images ---- */
struct upt_slots {
	struct upt_image installed, previous, pending,
		refused; /* as in storage/store.h; name "": none */
};
UPT_NODISCARD enum upt_code upt_ecu_get_slots(struct upt_primary *p, const struct upt_ecu *ecu,
	struct upt_slots *out, struct upt_err *err);
/* image is what the ECU runs now: what it ran becomes PREVIOUS, PENDING is cleared. Repeatable. */
UPT_NODISCARD enum upt_code upt_ecu_confirm(struct upt_primary *p, const struct upt_ecu *ecu,
	const struct upt_image *image, struct upt_err *err);
/* What a new image must not fall below: INSTALLED, with the highest release counter that ever ran.
 */
UPT_NODISCARD enum upt_code upt_ecu_release_floor(struct upt_primary *p, const struct upt_ecu *ecu,
	struct upt_image *out, struct upt_err *err);
/* Notes which metadata vouches for a job's image: status shows it. */
UPT_NODISCARD enum upt_code
upt_ecu_remember_vouchers(struct upt_primary *p, const struct upt_job *job, struct upt_err *err);
/* Finishes a rollback that is noted in REFUSED. *went_back: it is done, or waits for a reboot. */
UPT_NODISCARD enum upt_code upt_ecu_finish_going_back(
	struct upt_primary *p, struct upt_ecu *ecu, bool *went_back);
/* Back from PENDING, or else from INSTALLED to PREVIOUS; what it went back from is REFUSED. When
 * the engine fails, nothing has changed. UPT_E_UNSUPPORTED for an ECU on another machine;
 * UPT_E_INSTALL. */
UPT_NODISCARD enum upt_code upt_ecu_go_back(
	struct upt_primary *p, struct upt_ecu *ecu, bool *needs_reboot, struct upt_err *err);
/* Back from image, which the engine has just installed, whether or not the slots have learnt of it. */
UPT_NODISCARD enum upt_code upt_ecu_undo(struct upt_primary *p, struct upt_ecu *ecu,
	const struct upt_image *image, struct upt_err *err);
/* Brings the slots of an ECU on this machine to what runs: after a reboot, a crash, a rollback by
 * others. *went_back: an interrupted rollback was finished. Only failures of the store are
 * returned. */
UPT_NODISCARD enum upt_code
upt_ecu_settle(struct upt_primary *p, struct upt_ecu *ecu, bool *went_back, struct upt_err *err);
/* The same for an ECU on another machine, from its report. */
UPT_NODISCARD enum upt_code
upt_ecu_adopt_report(struct upt_primary *p, struct upt_ecu *ecu, struct upt_err *err);

/* ---- trial.c: what booted on trial, and what did not ---- */
/* PENDING has booted: confirms it when it is well, else goes back; in a cycle only. *went_back: it
 * was given up before, and is now. Only failures of the store are returned. */
UPT_NODISCARD enum upt_code upt_ecu_prove(struct upt_primary *p, struct upt_ecu *ecu,
	const struct upt_slots *s, bool *went_back, struct upt_err *err);
/* Something else than PENDING has booted, as failure says: PENDING is refused, what runs stays. */
UPT_NODISCARD enum upt_code upt_ecu_give_up(struct upt_primary *p, struct upt_ecu *ecu,
	const struct upt_slots *s, struct upt_err *failure, struct upt_err *err);
/* Nothing is on trial: the boot loader counts no boots. Asked once in a process. */
void upt_primary_settle_boot(struct upt_primary *p);

/* ---- bundle.c: what is installed together, by its written plan ---- */
/* Reads the plan, and brings the slots to what an engine did that was asked when the power went. */
UPT_NODISCARD enum upt_code upt_bundle_load(struct upt_primary *p, struct upt_err *err);
/* All that needs nothing new from the network: confirms, or goes back. *next: what is left then, to
 * install or to wait for. Only failures of the store are returned. */
UPT_NODISCARD enum upt_code upt_bundle_carry_on(
	struct upt_primary *p, bool replaced, struct upt_plan_step *next, struct upt_err *err);
/* The same once it is verified what the Director assigns now. */
UPT_NODISCARD enum upt_code upt_bundle_follow(struct upt_primary *p, struct upt_err *err);
/* *yes: a job may be installed now; else the bundle under way comes first. */
UPT_NODISCARD enum upt_code upt_bundle_allows(
	struct upt_primary *p, const struct upt_job *job, bool *yes, struct upt_err *err);
/* Writes the plan of what was prepared, unless one is under way. */
UPT_NODISCARD enum upt_code upt_bundle_begin(struct upt_primary *p, struct upt_err *err);
/* A member is installed from now on; and this failed. The bundle goes back, or waits for it. */
UPT_NODISCARD enum upt_code upt_bundle_install(
	struct upt_primary *p, size_t member, struct upt_err *err);
void upt_bundle_fail(struct upt_primary *p, size_t member, const struct upt_err *failure);
/* The bundle is not wanted here, for reason: what of it is installed goes back, and all of it stays
 * away until the Director changes its mind. */
UPT_NODISCARD enum upt_code
upt_bundle_refuse(struct upt_primary *p, const char *reason, struct upt_err *err);
/* A member's job in this cycle, or NULL. */
struct upt_job *upt_bundle_job(struct upt_primary *p, const struct upt_plan_member *m);

/* ---- bundle_report.c ---- */
/* *out, to be freed by the caller: what the next manifest tells of the last bundle's end; NULL:
 * nothing, least of all of a success that the ECUs' reports do not show. */
UPT_NODISCARD enum upt_code upt_bundle_report(
	const struct upt_primary *p, cJSON **out, struct upt_err *err);
/* A manifest with it was accepted. */
UPT_NODISCARD enum upt_code upt_bundle_reported(struct upt_primary *p, struct upt_err *err);
/* Whether what PENDING waits for is a way back: from a failed trial, or at a person's word. */
bool upt_slots_go_back(const struct upt_slots *s);

/* ---- cycle.c ---- */
/* Within a cycle time never runs back: what has expired in it stays expired. */
UPT_NODISCARD enum upt_code upt_primary_later_time(struct upt_primary *p, struct upt_err *err);

/* ---- gates.c: what must agree before a step ---- */
/* *open: go on; nothing is asked when there is nothing to do. Else p->wait says who put it off, and
 * nothing has changed. UPT_E_INSTALL: one refuses the bundle for good, and it is noted as refused.
 */
UPT_NODISCARD enum upt_code upt_primary_ask_gates(
	struct upt_primary *p, enum upt_gate gate, bool *open, struct upt_err *err);
/* Keeps p->wait for uptanectl status. */
UPT_NODISCARD enum upt_code upt_primary_note_wait(struct upt_primary *p, struct upt_err *err);
/* What a gate said: the first "retry-after SECONDS", 0 without one and within 1 to
 * UPT_GATE_RETRY_MAX_S else; the first other line, sanitized. */
void upt_gate_read_answer(
	struct upt_span said, uint64_t *retry_s, char words[static UPT_REASON_SIZE]);

/* ---- install.c ---- */
/* Once in a process, tried again in each cycle until it succeeds: what a crash or a reboot stopped
 * runs again. */
void upt_primary_resume(struct upt_primary *p);
/* What a crash, a reboot or somebody else left, on every ECU of this machine. */
UPT_NODISCARD enum upt_code upt_primary_settle(struct upt_primary *p, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_primary_install(struct upt_primary *p, struct upt_cycle_summary *summary, struct upt_err *err);
/* What an installer needs to know of a job; image_fd is -1. */
struct upt_install_job upt_job_describe(const struct upt_job *job);
struct upt_install_progress upt_primary_progress(struct upt_primary *p);

#endif
