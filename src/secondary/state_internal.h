/*
 * Shared by the files of state.h.
 */
#ifndef UPT_SECONDARY_STATE_INTERNAL_H
#define UPT_SECONDARY_STATE_INTERNAL_H

#include "secondary/state.h"

#define UPT_STATE_FILE_NAME_SIZE 256
/* More than one search visits; beyond it a role is merely fetched again next time. */
#define UPT_STATE_MAX_TOUCHED 256

struct upt_state_repo {
	int dir_fd;
	int delegated_fd;
	bool has_root;
	uint64_t root_version;
	uint64_t epoch;
	size_t n_touched;
	char (*touched)[UPT_STATE_FILE_NAME_SIZE]; /* of UPT_STATE_MAX_TOUCHED */
};

struct upt_state {
	int dir_fd;
	int lock_fd;
	struct upt_images *images;
	struct upt_state_repo repos[2]; /* director, image */
	uint64_t counter_next, counter_end; /* reserved: [next, end) */
	char attacks[UPT_ATTACKS_MAX];
	int64_t floor;
};

/* Opens (and makes) director/ and image/, and reads which root is trusted. */
UPT_NODISCARD enum upt_code upt_state_open_repos(struct upt_state *state, struct upt_err *err);
void upt_state_close_repos(struct upt_state *state);
/* Makes a directory below dir_fd unless it is there, durably, and opens it. */
UPT_NODISCARD enum upt_code
upt_state_open_dir(int dir_fd, const char *name, int *fd, struct upt_err *err);

#endif
