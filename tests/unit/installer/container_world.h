/*
 * What the container installer's tests share: an installer on an engine in memory, and its steps.
 */
#ifndef UPT_TESTS_INSTALLER_CONTAINER_WORLD_H
#define UPT_TESTS_INSTALLER_CONTAINER_WORLD_H

#include "fake_engine.h"

struct world {
	char dir[PATH_MAX], state[PATH_MAX], endpoint[PATH_MAX];
	struct fake_engine fake;
	struct upt_container_installer_config config;
	struct upt_installer *installer;
	struct upt_err err;
};

/* A new process on what the last one left. */
void renew(struct world *w);
int set_up(void **state);
int tear_down(void **state);

struct upt_image image(struct world *w, unsigned version);
struct upt_install_job job_of(const struct upt_image *of, const char *custom);
enum upt_code prepare_with(struct world *w, unsigned version, const char *custom);
enum upt_code install_with(struct world *w, unsigned version, const char *custom);
enum upt_code update_with(struct world *w, unsigned version, const char *custom);
enum upt_code update(struct world *w, unsigned version);
enum upt_code rollback(struct world *w);
enum upt_code resume(struct world *w);
enum upt_code check(struct world *w);
/* By the engine's truth and by the installer's word: that version runs, alone, and is announced. */
void assert_runs(struct world *w, unsigned version);

#endif
