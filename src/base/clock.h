/*
 * Times as metadata spells them: exactly YYYY-MM-DDTHH:MM:SSZ, in seconds since 1970 (UTC).
 * Nothing here reads a clock: the time travels as an argument from the program that owns it.
 */
#ifndef UPT_BASE_CLOCK_H
#define UPT_BASE_CLOCK_H

#include "base/span.h"

#define UPT_TIME_TEXT_SIZE 21

/* False unless text is a real date and time in the one spelling; *out is 0 then. */
bool upt_time_parse(struct upt_span text, int64_t *out);
/* Writes the 20 characters and a NUL; years 0000 to 9999, others are clamped. */
void upt_time_format(int64_t t, char out[static UPT_TIME_TEXT_SIZE]);

#endif
