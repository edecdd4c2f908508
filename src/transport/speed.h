/*
 * Minimum speed over a sliding window (Uptane Standard 2.1 "in-vehicle": monitor download speed for
 * slow retrieval). libcurl's own rule looks at an average of some seconds and starts anew whenever
 * that is high once, so a burst now and then keeps a transfer alive for ever; here every window of
 * the given length must have brought enough. No clock: the time is an argument. Not thread-safe.
 */
#ifndef UPT_TRANSPORT_SPEED_H
#define UPT_TRANSPORT_SPEED_H

#include <stdbool.h>
#include <stdint.h>

#define UPT_SPEED_N_SLOTS 10
/* A step between two calls counts for at most this: libcurl calls once a second, so a longer gap
 * was ours (a stopped process, a busy CPU) and says nothing about the server. */
#define UPT_SPEED_MAX_STEP_MS 2000

struct upt_speed {
	uint64_t last_ms; /* clock of the last call */
	uint64_t elapsed_ms; /* watched time */
	uint64_t slot_ms;
	uint64_t min_window_bytes;
	uint64_t slots[UPT_SPEED_N_SLOTS];
	uint64_t n_slots_done;
	bool slow;
};

/* The window begins. min_bytes per second over window_s seconds, both above 0. */
void
upt_speed_start(struct upt_speed *speed, uint64_t now_ms, uint64_t min_bytes, unsigned window_s);
/* n bytes arrived. */
void upt_speed_add(struct upt_speed *speed, uint64_t now_ms, uint64_t n_bytes);
/* True once any window brought less than the minimum; stays true. */
bool upt_speed_is_slow(struct upt_speed *speed, uint64_t now_ms);
/* The time since the last call was spent in the receiver, not waiting for the server. */
void upt_speed_skip(struct upt_speed *speed, uint64_t now_ms);

#endif
