#include "installer/engine.h"

#include "base/monotonic.h"

uint64_t
upt_engine_now_ms(const struct upt_engine_http *http)
{
	return http->now_ms != NULL ? http->now_ms(http->ctx) : (uint64_t)upt_monotonic_ms();
}

void
upt_engine_pause(const struct upt_engine_http *http, unsigned ms)
{
	if (http->pause != NULL)
		http->pause(http->ctx, ms);
	else
		upt_pause_ms(ms);
}
