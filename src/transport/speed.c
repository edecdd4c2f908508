#include "transport/speed.h"

#include <string.h>

void
upt_speed_start(struct upt_speed *speed, uint64_t now_ms, uint64_t min_bytes, unsigned window_s)
{
	uint64_t window_ms = (uint64_t)window_s * 1000;

	memset(speed, 0, sizeof(*speed));
	speed->last_ms = now_ms;
	speed->slot_ms = window_ms / UPT_SPEED_N_SLOTS;
	speed->min_window_bytes = min_bytes * window_s;
}

/* Closes every slot whose time is over; judges the window that ends with each. */
static void
advance(struct upt_speed *speed, uint64_t now_ms)
{
	uint64_t step = now_ms > speed->last_ms ? now_ms - speed->last_ms : 0;

	speed->last_ms = now_ms;
	speed->elapsed_ms += step < UPT_SPEED_MAX_STEP_MS ? step : UPT_SPEED_MAX_STEP_MS;
	while (speed->elapsed_ms / speed->slot_ms > speed->n_slots_done) {
		uint64_t sum = 0;
		speed->n_slots_done++;
		for (int i = 0; i < UPT_SPEED_N_SLOTS; i++)
			sum += speed->slots[i];
		if (speed->n_slots_done >= UPT_SPEED_N_SLOTS && sum < speed->min_window_bytes)
			speed->slow = true;
		speed->slots[speed->n_slots_done % UPT_SPEED_N_SLOTS] = 0;
	}
}

void
upt_speed_add(struct upt_speed *speed, uint64_t now_ms, uint64_t n_bytes)
{
	advance(speed, now_ms);
	speed->slots[speed->n_slots_done % UPT_SPEED_N_SLOTS] += n_bytes;
}

bool
upt_speed_is_slow(struct upt_speed *speed, uint64_t now_ms)
{
	advance(speed, now_ms);
	return speed->slow;
}

void
upt_speed_skip(struct upt_speed *speed, uint64_t now_ms)
{
	speed->last_ms = now_ms;
}
