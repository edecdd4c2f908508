#include "imagerepo/agree.h"

#include <assert.h>
#include "metadata/limits.h"

/* An answer to compare with others. */
struct ballot {
	const struct upt_answer *answer;
	struct upt_digest custom; /* of its canonical form; of nothing when there is none */
};

static enum upt_code
fill_in(const struct upt_answer *answers, size_t n, struct ballot *ballots, struct upt_err *err)
{
	for (size_t i = 0; i < n; i++) {
		upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
		struct upt_span custom = answers[i].target.custom;

		ballots[i].answer = &answers[i];
		if (custom.len > 0)
			UPT_TRY(upt_json_canonical(custom, UPT_JSON_UTF8, &text, err));
		UPT_TRY(upt_hash_span(
			UPT_HASH_SHA256, upt_buf_span(&text), &ballots[i].custom, err));
	}
	return UPT_OK;
}

/* The values of an algorithm that is unknown here are not compared: no such target is accepted
 * (upt_imagerepo_match). */
static bool
same_content(const struct upt_target *a, const struct upt_target *b)
{
	if (a->image.length_bytes != b->image.length_bytes ||
		a->image.n_digests != b->image.n_digests || a->unknown_hash != b->unknown_hash)
		return false;
	for (size_t i = 0; i < a->image.n_digests; i++) {
		const struct upt_digest *other =
			upt_image_digest(&b->image, a->image.digests[i].alg);

		if (other == NULL || !upt_digest_equal(&a->image.digests[i], other))
			return false;
	}
	return true;
}

/*
 * TAP 3 lets roles differ in custom. But that is where hardware ids, the release counter and what a
 * container may do stand: the earliest role's alone would be the word of one.
 */
static bool
is_alike(const struct ballot *a, const struct ballot *b)
{
	return a->answer->lister != NULL && b->answer->lister != NULL &&
	       same_content(&a->answer->target, &b->answer->target) &&
	       upt_digest_equal(&a->custom, &b->custom);
}

static bool
has_spoken(const struct ballot *ballots, size_t n, const struct upt_metadata *lister)
{
	for (size_t i = 0; i < n; i++) {
		if (ballots[i].answer->lister == lister)
			return true;
	}
	return false;
}

/*
 * How many documents say what the first ballot says. Two roles may delegate to a third, or one of
 * them to the other: who holds that one is one party still, whatever he signs.
 */
static size_t
count_alike(const struct ballot *ballots, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		if (is_alike(&ballots[0], &ballots[i]) &&
			!has_spoken(ballots, i, ballots[i].answer->lister))
			count++;
	}
	return count;
}

/* The first that enough of those behind it join: an earlier one like it would have won before. */
static enum upt_code
find_winner(const struct upt_answer *answers, size_t n, uint64_t min, const struct upt_answer **out,
	struct upt_err *err)
{
	struct ballot ballots[UPT_MAX_MULTI_ROLES];

	assert(n <= UPT_MAX_MULTI_ROLES);
	UPT_TRY(fill_in(answers, n, ballots, err));
	for (size_t i = 0; *out == NULL && i < n; i++) {
		if (count_alike(&ballots[i], n - i) >= min)
			*out = &answers[i];
	}
	return UPT_OK;
}

static const struct upt_answer *
first_listing(const struct upt_answer *answers, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (answers[i].lister != NULL)
			return &answers[i];
	}
	return NULL;
}

static size_t
count_terminated(const struct upt_answer *answers, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += answers[i].terminated;
	return count;
}

enum upt_code
upt_answers_agree(const struct upt_answer *answers, size_t n, uint64_t min, struct upt_answer *out,
	struct upt_err *err)
{
	const struct upt_answer *winner = NULL;

	*out = (struct upt_answer){0};
	/* One role that is enough by itself is compared with nobody. */
	if (min == 1)
		winner = first_listing(answers, n);
	else
		UPT_TRY(find_winner(answers, n, min, &winner, err));
	if (winner != NULL)
		*out = *winner;
	else
		out->terminated = count_terminated(answers, n) >= min;
	return UPT_OK;
}
