/*
 * The rotation of rotation.h, verified and stored once for each call that can fail, with that call
 * failing: the failure is told by a code that fits, what is stored is as after one of the steps,
 * and the next try, with nothing failing, succeeds.
 */
#ifndef TESTS_FAULTS_TRIAL_H
#define TESTS_FAULTS_TRIAL_H

#include "faults.h"
#include "rotation.h"

struct trial {
	const struct rotation *r;
	void *ctx;
	/* State with version 1 of everything, closed. */
	void (*plant)(void *ctx);
	/* Opens the state unless it is open, and verifies everything. */
	enum upt_code (*verify)(void *ctx, struct upt_err *err);
	void (*close)(void *ctx);
	/* Opens as verify does. */
	rotation_load load;
};

/*
 * Every stride-th call of that kind. After every second failure the state is closed, as if the
 * process had ended, and the next process tries again; else the same one does. Prints how many
 * calls failed.
 */
void trial_run(const struct trial *t, enum fault fault, size_t stride);

#endif
