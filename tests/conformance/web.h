/*
 * HTTP as the conformance suites serve it: one small document a request, and statuses that a suite
 * uses for "there is no such file". Thread-safety: as struct upt_http.
 */
#ifndef TESTS_CONFORMANCE_WEB_H
#define TESTS_CONFORMANCE_WEB_H

#include "transport/http.h"

struct web {
	struct upt_http *http;
	const long *absent; /* statuses besides 404 and 410 that mean "absent"; ends with 0 */
};

/* BASE/FILE; a slash at the end of base is not doubled, file is encoded already. Appended to out.
 */
UPT_NODISCARD enum upt_code
web_join(const char *base, const char *file, struct upt_buf *out, struct upt_err *err);
/* GET of BASE/FILE into out (replaced on UPT_OK). UPT_E_ABSENT for the statuses that mean it, else
 * as upt_http_get(). */
UPT_NODISCARD enum upt_code web_get(const struct web *web, const char *base, const char *file,
	size_t max_bytes, struct upt_buf *out, struct upt_err *err);

#endif
