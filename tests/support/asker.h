/*
 * Somebody who asks the cache, as an inquiry and its flight do, but by hand: the test itself says
 * what the source answers.
 */
#ifndef TABLED_TESTS_SUPPORT_ASKER_H
#define TABLED_TESTS_SUPPORT_ASKER_H

#include "engine/cache.h"
#include "support/unit.h"

struct asker {
	struct cache_waiter waiter; /* the first, so that an answer finds its asker */
	struct cache_flight flight;
	struct cache_question question; /* the last one */
	struct buf form, text;
	enum cache_verdict verdict;
	unsigned answers; /* that came by the waiter */
	enum status status;
	uint64_t answered_at;
	void (*then)(struct asker *asker); /* called with the answer; may be NULL */
};

static inline void asker_answered(
	struct cache_waiter *waiter, const struct cache_answer *answer, uint64_t now)
{
	struct asker *asker = (struct asker *)waiter;

	asker->answers++;
	asker->status = answer->status;
	asker->answered_at = now;
	buf_clear(&asker->text);
	buf_add_slice(&asker->text, answer->text);
	if (asker->then)
		asker->then(asker);
}

static inline void asker_prepare(struct asker *asker, struct cache_space *space,
	const struct freshness_rule *rule, struct inbox *inbox, struct slice form)
{
	buf_clear(&asker->form);
	buf_add_slice(&asker->form, form);
	asker->answers = 0;
	asker->waiter.inbox = inbox;
	asker->waiter.answered = asker_answered;
	asker->question = (struct cache_question){.space = space,
		.form = buf_slice(&asker->form),
		.rule = rule,
		.waiter = &asker->waiter,
		.flight = &asker->flight,
		.ret_text = &asker->text};
}

/* Whether it has a flight of its own now, which has to land or to be given up. */
static inline bool asker_flies(const struct asker *asker)
{
	return asker->verdict == CACHE_LEAD || asker->question.ret_refresh;
}

static inline enum cache_verdict asker_ask(struct asker *asker, struct cache *cache, uint64_t now)
{
	asker->verdict = cache_get(cache, &asker->question, now)
				 ? CACHE_HIT
				 : cache_ask(cache, &asker->question, now);
	if (asker->verdict == CACHE_HIT)
		asker->status = asker->question.ret_status;
	return asker->verdict;
}

static inline void asker_finish(struct asker *asker)
{
	buf_finish(&asker->form);
	buf_finish(&asker->text);
}

#endif
