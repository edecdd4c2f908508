/*
 * A clock for measuring how long something takes: it is never set, and stands still while the
 * machine sleeps. What time it is nothing here tells. Thread-safety: reentrant.
 */
#ifndef UPT_BASE_MONOTONIC_H
#define UPT_BASE_MONOTONIC_H

#include <stdint.h>

/* Milliseconds since some moment. */
int64_t upt_monotonic_ms(void);
/* Waits that long, whatever signals come. */
void upt_pause_ms(unsigned ms);

#endif
