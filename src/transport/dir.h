/*
 * A directory in the place of a server: offline bundles, benches and tests. Names are as hostile as
 * those of a server. Thread-safety: no state.
 */
#ifndef UPT_TRANSPORT_DIR_H
#define UPT_TRANSPORT_DIR_H

#include "base/span.h"

#define UPT_DIR_NAME_MAX_BYTES ((size_t)512)

/*
 * Reads name below dirfd into out (replaced; unchanged on failure). name is FILE or FOLDER/FILE.
 * UPT_E_ABSENT: no such file; UPT_E_TOO_LARGE: more than max_bytes; UPT_E_MALFORMED: a name that is
 * empty, absolute, has an empty, "." or ".." component or more than one folder, and anything on
 * the way that is a symbolic link or no regular file; UPT_E_PERMISSION, UPT_E_IO, UPT_E_NO_MEMORY.
 */
UPT_NODISCARD enum upt_code upt_dir_fetch(
	int dirfd, const char *name, size_t max_bytes, struct upt_buf *out, struct upt_err *err);

#endif
