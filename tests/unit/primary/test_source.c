/* What a Secondary gets when it asks its Primary for metadata by a file's name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ftw.h>
#include <stdlib.h>
#include <string.h>

#include "primary/internal.h"

static int
remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static void
a_document_above_the_bound_is_refused_and_not_handed_out(void **state)
{
	char dir[] = "/tmp/upt-source-XXXXXX";
	upt_cleanup(upt_buf_clear) struct upt_buf out = {0};
	struct upt_primary p = {0};
	struct upt_metadata_source source = upt_primary_source(&p);
	struct upt_err err = {0};

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(upt_store_open(dir, UPT_STORE_WRITE, &p.store, &err), UPT_OK);
	assert_int_equal(upt_store_save_document(p.store, UPT_REPO_IMAGE, "targets", 1,
				 upt_span_str("12345"), &err),
		UPT_OK);
	assert_int_equal(
		source.fetch(&p, UPT_REPO_IMAGE, "targets.json", 4, &out, &err), UPT_E_TOO_LARGE);
	assert_int_equal(out.len, 0);
	assert_int_equal(source.fetch(&p, UPT_REPO_IMAGE, "targets.json", 5, &out, &err), UPT_OK);
	assert_int_equal(out.len, 5);
	upt_store_close(&p.store);
	nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_document_above_the_bound_is_refused_and_not_handed_out),
	};

	return cmocka_run_group_tests_name("primary source", tests, NULL, NULL);
}
