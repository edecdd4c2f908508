/* Metadata that expires while images are fetched (1.13, 7.4): verified anew, never acted upon. */
#include "world.h"

#include <string.h>

/* Assigns prim-2 and lets the Image repository's targets expire after n more looks at the clock. */
static void
prepare(struct world *w, int64_t n)
{
	world_init(w);
	world_release(w, "prim-1", "hw-prim", 1);
	world_release(w, "prim-2", "hw-prim", 2);
	world_assign(w, PRIM, "prim-1");
	world_publish(w);
	assert_true(world_cycle(w));
	assert_code(w->result->code, UPT_OK);
	world_assign(w, PRIM, "prim-2");
	w->clock_step = 1000;
	w->image.expires[UPT_ROLE_TARGETS] = w->now + n * w->clock_step;
	world_publish(w);
}

static void
image_is_not_installed_once_what_vouches_for_it_expired(void **state)
{
	struct world w;

	(void)state;
	/* Looks: at the start, after the manifest, before installing. The third one finds it
	 * expired, and so does the verification that follows. */
	prepare(&w, 3);
	assert_true(world_cycle(&w));
	assert_code(w.result->code, UPT_E_EXPIRED);
	assert_int_equal(w.result->repo, UPT_REPO_IMAGE);
	assert_true(world_runs(&w, PRIM, "prim-1"));
	assert_string_equal(world_slot(&w, PRIM, UPT_SLOT_INSTALLED), "prim-1");
	/* The repository is published anew: the next cycle goes on as if nothing had been. */
	w.image.expires[UPT_ROLE_TARGETS] = w.now + 100 * w.clock_step;
	world_publish(&w);
	assert_true(world_cycle(&w));
	assert_code(w.result->code, UPT_OK);
	assert_true(world_runs(&w, PRIM, "prim-2"));
	world_clear(&w);
}

static void
image_is_installed_while_what_vouches_for_it_holds(void **state)
{
	struct world w;

	(void)state;
	prepare(&w, 4);
	assert_true(world_cycle(&w));
	assert_code(w.result->code, UPT_OK);
	assert_true(world_runs(&w, PRIM, "prim-2"));
	world_clear(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(image_is_not_installed_once_what_vouches_for_it_expired),
		cmocka_unit_test(image_is_installed_while_what_vouches_for_it_holds),
	};

	return cmocka_run_group_tests_name("primary.fresh", tests, NULL, NULL);
}
