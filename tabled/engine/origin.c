#include "engine/origin.h"

enum { TRY_LEAST_MS = 500, TRY_MOST_MS = 5000 };

void origin_reached(struct origin *origin, uint64_t now)
{
	/* Mostly nothing changes: other workers' copies of the line stay good. */
	if (atomic_load_explicit(&origin->reached, memory_order_relaxed) < now)
		atomic_store(&origin->reached, now);
	if (atomic_load_explicit(&origin->failed, memory_order_relaxed)) {
		atomic_store(&origin->failed, 0);
		atomic_store(&origin->failures, 0);
	}
	if (atomic_load_explicit(&origin->doubts, memory_order_relaxed))
		atomic_store(&origin->doubts, 0);
}

void origin_failed(struct origin *origin, uint64_t now)
{
	uint64_t failed = atomic_load(&origin->failed), failures, wait;

	/* Questions that left together fail together: that is one failure. */
	if (failed && now < failed + TRY_LEAST_MS)
		return;
	failures = atomic_fetch_add(&origin->failures, 1);
	wait = failures < 4 ? (uint64_t)TRY_LEAST_MS << failures : TRY_MOST_MS;

	atomic_store(&origin->next_try, now + (wait < TRY_MOST_MS ? wait : TRY_MOST_MS));
	atomic_store(&origin->failed, now ? now : 1);
}

void origin_doubted(struct origin *origin, uint64_t now)
{
	if (atomic_fetch_add(&origin->doubts, 1) > 0)
		origin_failed(origin, now);
}

bool origin_may_try(struct origin *origin, uint64_t now)
{
	uint64_t at = atomic_load(&origin->next_try);

	if (!atomic_load_explicit(&origin->failed, memory_order_relaxed))
		return true;
	return now >= at &&
	       atomic_compare_exchange_strong(&origin->next_try, &at, now + TRY_LEAST_MS);
}

struct freshness_source origin_facts(const struct origin *origin)
{
	struct freshness_source facts = {
		.reached = atomic_load_explicit(&origin->reached, memory_order_relaxed),
		.failing = atomic_load_explicit(&origin->failed, memory_order_relaxed) != 0,
	};

	/* The times must belong to the run. */
	do {
		facts.feed = atomic_load(&origin->feed_run);
		facts.healthy_until = atomic_load(&origin->healthy_until);
		facts.before_until = atomic_load(&origin->before_until);
	} while (atomic_load(&origin->feed_run) != facts.feed);
	return facts;
}

void origin_begin_feed(struct origin *origin)
{
	uint64_t feed = atomic_load(&origin->feed_run);

	if (feed % 2 == 0)
		atomic_store(&origin->feed_run, feed + 1);
}

void origin_feed_is_healthy(struct origin *origin, uint64_t until)
{
	atomic_store(&origin->healthy_until, until);
}

void origin_end_feed(struct origin *origin, uint64_t now)
{
	uint64_t feed = atomic_load(&origin->feed_run);
	uint64_t until = atomic_load(&origin->healthy_until);

	if (feed % 2 == 0)
		return;
	/* The number first: nobody may take the times of one run for those of another. */
	atomic_store(&origin->feed_run, feed + 1);
	atomic_store(&origin->before_until, until < now ? until : now);
	atomic_store(&origin->healthy_until, 0);
}
