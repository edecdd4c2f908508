/*
 * The inhibitor: a file that holds back installation and reboot while it is there. Whoever can
 * write its folder can hold an update back, and nothing else. Thread-safety: reentrant.
 */
#ifndef UPT_PRIMARY_INHIBITOR_H
#define UPT_PRIMARY_INHIBITOR_H

#include "base/err.h"

#define UPT_REASON_SIZE 201

/* True while it is there, and when that cannot be told. reason: its first line, as far as it fits,
 * sanitized; "" when there is none to read. */
bool upt_inhibitor_find(const char *path, char reason[static UPT_REASON_SIZE]);

/* Makes it, with its folder; durable only as far as the folder is. Errors by errno. */
UPT_NODISCARD enum upt_code
upt_inhibitor_set(const char *path, const char *reason, struct upt_err *err);
/* UPT_OK also when there was none. Errors by errno. */
UPT_NODISCARD enum upt_code
upt_inhibitor_remove(const char *path, bool *was_there, struct upt_err *err);

#endif
