#include "engine/freshness.h"

/* Answers that were asked together don't expire together: up to a tenth of the time earlier. */
static uint64_t shorten(uint64_t ttl, uint64_t chance)
{
	return ttl - ttl / 10 * (chance % 1024) / 1024;
}

static uint64_t ttl_of(const struct freshness_answer *answer, const struct freshness_rule *rule)
{
	return answer->status == FOUND ? rule->ttl : rule->negative_ttl;
}

/* When the time to live is over, whatever the feed says. */
static uint64_t expiry_by_time(
	const struct freshness_answer *answer, const struct freshness_rule *rule)
{
	uint64_t ttl = ttl_of(answer, rule);

	if (ttl == FRESHNESS_BY_FEED && !answer->feed)
		return answer->asked;
	if (ttl == FRESHNESS_BY_FEED && !rule->clock_ttl)
		return UINT64_MAX;
	if (ttl == FRESHNESS_BY_FEED)
		ttl = rule->clock_ttl;
	return answer->asked + shorten(ttl, answer->chance);
}

uint64_t freshness_watched(
	const struct freshness_answer *answer, const struct freshness_source *source)
{
	uint64_t until = 0; /* of runs long past no more is known */

	if (!answer->feed)
		return UINT64_MAX;
	if (answer->feed == source->feed)
		until = source->healthy_until;
	else if (source->feed - answer->feed <= 2)
		until = source->before_until;
	return until > answer->asked ? until : answer->asked;
}

/* When it stopped being fresh, or will. */
static uint64_t expiry(const struct freshness_answer *answer, const struct freshness_rule *rule,
	const struct freshness_source *source)
{
	uint64_t by_time = expiry_by_time(answer, rule);
	uint64_t by_feed = freshness_watched(answer, source);

	return by_time < by_feed ? by_time : by_feed;
}

/*
 * Until when it was fresh, or watched by a healthy feed. The jitter of an answer from before a
 * restart is not known: it had the most.
 */
static uint64_t sure_until(const struct freshness_answer *answer, const struct freshness_rule *rule,
	const struct freshness_source *source)
{
	uint64_t ttl = ttl_of(answer, rule);

	if (answer->feed == FRESHNESS_RESTORED)
		return answer->asked + (ttl == FRESHNESS_BY_FEED ? 0 : ttl - ttl / 10);
	return answer->feed ? freshness_watched(answer, source) : expiry_by_time(answer, rule);
}

/*
 * A stale "not found" can bounce mail for a mailbox that was made a minute ago. So it counts only
 * where the configuration says so, and only if it was sure when the source was last reached.
 */
static bool may_be_stale(const struct freshness_answer *answer, const struct freshness_rule *rule,
	const struct freshness_source *source)
{
	return answer->status == FOUND ||
	       (rule->stale_negative && source->reached &&
		       sure_until(answer, rule, source) >= source->reached);
}

/* Grace is for those whose time has run out; after what else ends them, they are asked. */
static bool has_grace(const struct freshness_answer *answer, const struct freshness_rule *rule,
	const struct freshness_source *source, uint64_t now)
{
	uint64_t ttl = ttl_of(answer, rule);
	uint64_t grace = rule->grace < ttl ? rule->grace : ttl;

	if (ttl == FRESHNESS_BY_FEED)
		return false;
	if (now >= freshness_watched(answer, source))
		return false;
	return now - expiry_by_time(answer, rule) < grace;
}

enum freshness freshness_of(const struct freshness_answer *answer,
	const struct freshness_rule *rule, const struct freshness_source *source, uint64_t now)
{
	uint64_t expired = expiry(answer, rule, source);

	/* Another worker may have asked, whose clock was looked at a moment later. */
	if (now < answer->asked)
		now = answer->asked;
	if (now < expired)
		return FRESH;
	if (now - expired >= rule->stale_ttl && !has_grace(answer, rule, source, now))
		return FORGOTTEN;
	if (!may_be_stale(answer, rule, source))
		return FORGOTTEN;
	if (source->failing || has_grace(answer, rule, source, now))
		return GRACE;
	return STALE;
}
