#include "transport/retry.h"

#include <sys/random.h>
#include <time.h>

#define CANCEL_POLL_MS 50u

void
upt_retry_start(struct upt_retry *retry)
{
	*retry = (struct upt_retry){.started_ms = upt_http_now_ms()};
}

/*
 * A POST that may have reached the server is not sent again: it could act twice. 503 says that it
 * did not act. An engine behind a Unix socket that failed fails again, and says so at once.
 */
static bool
is_worth_it(const struct upt_exchange *x, enum upt_code code)
{
	bool idempotent = upt_exchange_is_idempotent(x);

	if (x->http->unix_socket != NULL)
		return false;
	if (code == UPT_E_NETWORK)
		return idempotent || !x->answer.request_sent;
	if (code == UPT_OK && x->answer.status >= 500)
		return (idempotent || x->answer.status == 503) &&
		       x->answer.retry_after_s <= UPT_HTTP_RETRY_AFTER_MAX_S;
	return false;
}

/* Doubled for each retry, plus up to as much again, so that a fleet does not return in step. */
static uint64_t
pause_ms(const struct upt_retry *retry, const struct upt_exchange *x)
{
	uint64_t pause = (uint64_t)x->http->retry_delay_ms << retry->n;
	uint64_t asked = x->answer.retry_after_s * 1000;
	uint32_t random = 0;

	if (pause < asked)
		pause = asked;
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
		random = (uint32_t)upt_http_now_ms() * 2654435761u;
	return pause + (pause * random >> 32);
}

/* False when cancelled. */
static bool
sleep_ms(const struct upt_http *http, uint64_t ms)
{
	uint64_t end = upt_http_now_ms() + ms;

	while (!upt_http_is_cancelled(http)) {
		uint64_t now = upt_http_now_ms();
		uint64_t left = now < end ? end - now : 0;
		uint64_t step = left < CANCEL_POLL_MS ? left : CANCEL_POLL_MS;
		const struct timespec ts = {.tv_nsec = (long)step * 1000000};
		if (left == 0)
			return true;
		nanosleep(&ts, NULL);
	}
	return false;
}

bool
upt_retry_wait(struct upt_retry *retry, const struct upt_exchange *x, enum upt_code *code,
	struct upt_err *err)
{
	if (!is_worth_it(x, *code))
		return false;
	/* Bounded as a whole: no new try once a request's whole time is over. */
	if (retry->n >= UPT_HTTP_N_RETRIES ||
		upt_http_now_ms() - retry->started_ms >= x->http->request_timeout_ms) {
		if (*code != UPT_OK)
			upt_wrap(err, *code, "after %u tries", retry->n + 1);
		return false;
	}
	if (!sleep_ms(x->http, pause_ms(retry, x))) {
		*code = upt_fail(err, UPT_E_CANCELLED, "cancelled between two tries");
		return false;
	}
	retry->n++;
	return true;
}
