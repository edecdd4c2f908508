#include "trial.h"

#include <stdio.h>

struct tally {
	size_t n_failed, n_told;
	size_t n_at_step[ROTATION_STEPS + 1]; /* of what was stored after the failure */
};

/* A failure is told as what it was. OpenSSL reports some allocations as a wrong signature. */
static bool
fits(enum fault fault, enum upt_code code)
{
	switch (fault) {
	case FAULT_MEMORY:
	case FAULT_SQLITE_MEMORY:
		return code == UPT_E_NO_MEMORY;
	case FAULT_OPENSSL_MEMORY:
		return code == UPT_E_NO_MEMORY || code == UPT_E_INTERNAL || code == UPT_E_THRESHOLD;
	case FAULT_DISK_ERROR:
		return code == UPT_E_IO;
	case FAULT_DISK_FULL:
		return code == UPT_E_NO_SPACE;
	case FAULT_NONE:
		break;
	}
	return false;
}

static void
assert_final(const struct trial *t, const char *when, size_t at)
{
	struct upt_err err = {0};

	if (t->verify(t->ctx, &err) != UPT_OK)
		fail_msg("%s, call %zu: %s: %s", when, at, upt_code_name(err.code), err.message);
	assert_int_equal(rotation_step(t->r, t->load, t->ctx), ROTATION_STEPS);
}

/* False when no call was left to fail. */
static bool
try_one(const struct trial *t, enum fault fault, size_t at, bool restarts, struct tally *tally)
{
	struct upt_err err = {0};
	enum upt_code code;
	size_t step;
	bool hit;

	t->plant(t->ctx);
	faults_begin(fault, at);
	code = t->verify(t->ctx, &err);
	if (restarts)
		t->close(t->ctx);
	hit = faults_end();
	step = rotation_step(t->r, t->load, t->ctx);
	if (code != UPT_OK && (!hit || !fits(fault, code) || err.code != code))
		fail_msg("%s, call %zu: told as %s: %s", fault_name(fault), at, upt_code_name(code),
			err.message);
	if (code == UPT_OK)
		assert_int_equal(step, ROTATION_STEPS);
	assert_final(t, fault_name(fault), at);
	t->close(t->ctx);
	tally->n_failed += hit;
	tally->n_told += code != UPT_OK;
	tally->n_at_step[step] += hit;
	return hit;
}

void
trial_run(const struct trial *t, enum fault fault, size_t stride)
{
	struct tally tally = {0};
	bool restarts = false;
	size_t at = 0;

	for (; try_one(t, fault, at, restarts, &tally); at += stride)
		restarts = !restarts;
	/* A failure while the state is closed comes after the last one while it is open. */
	while (try_one(t, fault, at, true, &tally))
		at += stride;
	print_message("%s: %zu of about %zu calls failed, %zu were told; what was stored then was "
		      "as after step",
		fault_name(fault), tally.n_failed, at, tally.n_told);
	for (size_t i = 0; i <= ROTATION_STEPS; i++) {
		print_message(
			" %zu: %zu%s", i, tally.n_at_step[i], i < ROTATION_STEPS ? "," : "\n");
		assert_true(tally.n_at_step[i] > 0 || stride > 1);
	}
	assert_true(tally.n_told > 0);
}
