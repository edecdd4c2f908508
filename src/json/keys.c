#include "json/keys.h"

#include <stdlib.h>
#include "json/chars.h"
#include "json/lex.h"

/* Decoded bytes of a raw string, one by one. */
struct decoded {
	const uint8_t *pos, *end;
	uint8_t bytes[4]; /* of the escape read last */
	size_t n, used;
};

/* -1 at the end. An escape that no check let through reads as the bytes it is made of. */
static int
next_byte(struct decoded *d)
{
	uint32_t c;

	if (d->used < d->n)
		return d->bytes[d->used++];
	if (d->pos >= d->end || *d->pos == '"')
		return -1;
	if (*d->pos != '\\' || upt_json_read_escape(&d->pos, d->end, &c) != NULL)
		return *d->pos++;
	d->n = upt_json_write_utf8(c, d->bytes);
	d->used = 1;
	return d->bytes[0];
}

static int
compare_decoded(struct decoded a, struct decoded b)
{
	int x, y;

	do {
		x = next_byte(&a);
		y = next_byte(&b);
	} while (x == y && x >= 0);
	return x < y ? -1 : x > y;
}

/* Characters from pos on that both strings spell alike, without quote or escape. */
static size_t
common_length(const uint8_t *a, const uint8_t *a_end, const uint8_t *b, const uint8_t *b_end)
{
	size_t max = (size_t)(a_end - a < b_end - b ? a_end - a : b_end - b);
	size_t len = 0;

	for (; max - len >= 8; len += 8) {
		uint64_t x = upt_json_load8(a + len), y = upt_json_load8(b + len);
		uint64_t hits = (x ^ y) | upt_json_quote_or_escape(x);

		if (hits != 0)
			return len + upt_json_first_lane(hits);
	}
	while (len < max && a[len] == b[len] && a[len] != '"' && a[len] != '\\')
		len++;
	return len;
}

int
upt_json_compare_raw(const uint8_t *a, const uint8_t *a_end, const uint8_t *b, const uint8_t *b_end)
{
	size_t len = common_length(a, a_end, b, b_end);

	/* Behind equal beginnings, one byte each nearly always decides. */
	return compare_decoded((struct decoded){.pos = a + len, .end = a_end},
		(struct decoded){.pos = b + len, .end = b_end});
}

/* Merges the sorted runs [0, mid) and [mid, n) of from into to. */
static void
merge(const uint8_t *const *from, size_t mid, size_t n, const uint8_t **to, const uint8_t *end)
{
	size_t left = 0, right = mid;

	for (size_t i = 0; i < n; i++) {
		if (right == n || (left < mid && upt_json_compare_raw(
							 from[left], end, from[right], end) <= 0))
			to[i] = from[left++];
		else
			to[i] = from[right++];
	}
}

enum upt_code
upt_json_sort_keys(const uint8_t **keys, size_t n, const uint8_t *end, struct upt_err *err)
{
	upt_cleanup(upt_free_ptr) const uint8_t **scratch = calloc(n, sizeof(*scratch));
	const uint8_t **from = keys, **to = scratch;

	if (scratch == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory to sort %zu keys", n);
	for (size_t width = 1; width < n; width *= 2) {
		const uint8_t **swap = from;

		for (size_t i = 0; i < n;) {
			size_t len = n - i < 2 * width ? n - i : 2 * width;

			merge(from + i, len < width ? len : width, len, to + i, end);
			i += len;
		}
		from = to;
		to = swap;
	}
	if (from != keys)
		memcpy(keys, from, n * sizeof(*keys));
	return UPT_OK;
}
