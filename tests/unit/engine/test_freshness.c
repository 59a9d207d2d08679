/*
 * How old an answer may be. The cases are the sentences of the README and of the manual on `ttl`,
 * `negative_ttl`, `grace`, `stale_ttl`, `stale_negative` and the feed; each stands over those that
 * show it.
 */
#include "engine/freshness.h"

#include "support/unit.h"

/* Times in seconds. All answers are asked at ASKED, unless the case says otherwise. */
enum { ASKED = 1000, TTL = 100, NEGATIVE = 20, STALE_FOR = 1000, LONG_AGO = ASKED - 500 };

static uint64_t ms(uint64_t seconds)
{
	return seconds == UINT64_MAX ? UINT64_MAX : seconds * 1000;
}

/* The usual rule, as most of the cases have it. */
#define RULE .ttl = TTL, .negative_ttl = NEGATIVE, .stale_ttl = STALE_FOR
#define BY_FEED .ttl = UINT64_MAX, .negative_ttl = UINT64_MAX, .stale_ttl = STALE_FOR

struct freshness_case {
	const char *what;
	enum status status;
	uint64_t ttl, negative_ttl, clock_ttl, grace, stale_ttl;
	bool stale_negative;
	uint64_t feed;                             /* of the answer */
	uint64_t run, healthy_until, before_until; /* of the source */
	uint64_t reached;
	bool failing;
	uint64_t now;
	enum freshness should;
};

static const struct freshness_case cases[] = {
	/* ttl, negative_ttl. */
	{"just asked", FOUND, RULE, .reached = ASKED, .now = ASKED, .should = FRESH},
	{"by a worker whose clock is ahead", FOUND, RULE, .reached = ASKED, .now = ASKED - 1,
		.should = FRESH},
	{"within ttl", FOUND, RULE, .reached = ASKED, .now = ASKED + TTL - 1, .should = FRESH},
	{"after ttl it is asked", FOUND, RULE, .reached = ASKED, .now = ASKED + TTL,
		.should = STALE},
	{"negative within its own ttl", NOT_FOUND, RULE, .reached = ASKED,
		.now = ASKED + NEGATIVE - 1, .should = FRESH},
	{"negative after it", NOT_FOUND, RULE, .reached = ASKED + 30, .now = ASKED + NEGATIVE,
		.should = FORGOTTEN},
	{"ttl = 0: never fresh", FOUND, .stale_ttl = STALE_FOR, .reached = ASKED, .now = ASKED,
		.should = STALE},
	{"the source fails within ttl: nobody cares", FOUND, RULE, .reached = ASKED,
		.failing = true, .now = ASKED + 50, .should = FRESH},
	{"… not for negatives either", NOT_FOUND, RULE, .reached = ASKED, .failing = true,
		.now = ASKED + 10, .should = FRESH},

	/* Grace: an expired entry is answered at once and refreshed behind. */
	{"in grace", FOUND, RULE, .grace = 30, .reached = ASKED, .now = ASKED + TTL,
		.should = GRACE},
	{"at its end", FOUND, RULE, .grace = 30, .reached = ASKED, .now = ASKED + TTL + 29,
		.should = GRACE},
	{"after it", FOUND, RULE, .grace = 30, .reached = ASKED, .now = ASKED + TTL + 30,
		.should = STALE},
	{"grace is never longer than ttl", FOUND, .ttl = 10, .grace = 500, .stale_ttl = STALE_FOR,
		.reached = ASKED, .now = ASKED + 20, .should = STALE},
	{"… though as long", FOUND, .ttl = 10, .grace = 500, .stale_ttl = STALE_FOR,
		.reached = ASKED, .now = ASKED + 19, .should = GRACE},
	{"grace needs no stale_ttl", FOUND, .ttl = TTL, .grace = 30, .reached = ASKED,
		.now = ASKED + TTL + 1, .should = GRACE},
	{"after grace without stale_ttl", FOUND, .ttl = TTL, .grace = 30, .reached = ASKED,
		.now = ASKED + TTL + 30, .should = FORGOTTEN},

	/* When the source fails, entries live on up to stale_ttl. */
	{"stale while it fails: at once", FOUND, RULE, .reached = ASKED, .failing = true,
		.now = ASKED + TTL, .should = GRACE},
	{"to the end of stale_ttl", FOUND, RULE, .reached = ASKED, .failing = true,
		.now = ASKED + TTL + STALE_FOR - 1, .should = GRACE},
	{"not beyond", FOUND, RULE, .reached = ASKED, .failing = true,
		.now = ASKED + TTL + STALE_FOR, .should = FORGOTTEN},
	{"it does not fail: asked first", FOUND, RULE, .reached = ASKED + 500, .now = ASKED + 500,
		.should = STALE},
	{"stale_ttl = 0", FOUND, .ttl = TTL, .reached = ASKED, .failing = true, .now = ASKED + TTL,
		.should = FORGOTTEN},

	/* A stale "not found" can bounce mail: stale_negative = no … */
	{"negative, while it fails", NOT_FOUND, RULE, .reached = ASKED, .failing = true,
		.now = ASKED + NEGATIVE, .should = FORGOTTEN},
	{"… in grace too", NOT_FOUND, RULE, .grace = 15, .reached = ASKED,
		.now = ASKED + NEGATIVE + 1, .should = FORGOTTEN},
	{"… in grace while it fails", NOT_FOUND, RULE, .grace = 15, .reached = ASKED,
		.failing = true, .now = ASKED + NEGATIVE + 1, .should = FORGOTTEN},

	/* … and yes, if it was still fresh when the source was last reached. */
	{"was fresh when last reached", NOT_FOUND, RULE, .stale_negative = true,
		.reached = ASKED + 10, .failing = true, .now = ASKED + NEGATIVE, .should = GRACE},
	{"not asked again since", NOT_FOUND, RULE, .stale_negative = true, .reached = ASKED + 10,
		.now = ASKED + NEGATIVE, .should = STALE},
	{"was not fresh any more", NOT_FOUND, RULE, .stale_negative = true,
		.reached = ASKED + NEGATIVE + 1, .failing = true, .now = ASKED + 100,
		.should = FORGOTTEN},
	{"within stale_ttl", NOT_FOUND, RULE, .stale_negative = true, .reached = ASKED + 10,
		.failing = true, .now = ASKED + NEGATIVE + STALE_FOR - 1, .should = GRACE},
	{"beyond stale_ttl", NOT_FOUND, RULE, .stale_negative = true, .reached = ASKED + 10,
		.failing = true, .now = ASKED + NEGATIVE + STALE_FOR, .should = FORGOTTEN},
	{"grace: fresh when last reached", NOT_FOUND, RULE, .grace = 15, .stale_negative = true,
		.reached = ASKED + NEGATIVE - 1, .now = ASKED + NEGATIVE + 1, .should = GRACE},
	{"grace: reached since", NOT_FOUND, RULE, .grace = 15, .stale_negative = true,
		.reached = ASKED + NEGATIVE + 1, .now = ASKED + NEGATIVE + 2, .should = FORGOTTEN},

	/* ttl = "feed": as long as the feed is healthy. */
	{"under the feed", FOUND, BY_FEED, .feed = 1, .run = 1, .healthy_until = ASKED + 90000,
		.reached = ASKED + 89999, .now = ASKED + 89999, .should = FRESH},
	{"negative, too", NOT_FOUND, BY_FEED, .feed = 1, .run = 1, .healthy_until = ASKED + 90000,
		.reached = ASKED + 89999, .now = ASKED + 89999, .should = FRESH},
	{"under the feed, but the clock counts", FOUND, BY_FEED, .clock_ttl = 60, .feed = 1,
		.run = 1, .healthy_until = ASKED + 90000, .now = ASKED + 59, .should = FRESH},
	{"… and is over", FOUND, BY_FEED, .clock_ttl = 60, .feed = 1, .run = 1,
		.healthy_until = ASKED + 90000, .reached = ASKED, .now = ASKED + 60,
		.should = STALE},
	{"… negative, too", NOT_FOUND, BY_FEED, .clock_ttl = 60, .feed = 1, .run = 1,
		.healthy_until = ASKED + 90000, .reached = ASKED, .now = ASKED + 60,
		.should = FORGOTTEN},
	{"… and without a feed it is asked all the same", FOUND, BY_FEED, .clock_ttl = 60,
		.reached = ASKED, .now = ASKED, .should = STALE},
	{"… where there is a ttl, that holds", FOUND, RULE, .clock_ttl = 60, .reached = ASKED,
		.now = ASKED + 70, .should = FRESH},
	{"no feed: it is asked each time", FOUND, BY_FEED, .reached = ASKED, .now = ASKED,
		.should = STALE},
	{"… and kept for when the source fails", FOUND, BY_FEED, .reached = ASKED, .failing = true,
		.now = ASKED + STALE_FOR - 1, .should = GRACE},
	{"… no longer than stale_ttl", FOUND, BY_FEED, .reached = ASKED, .failing = true,
		.now = ASKED + STALE_FOR, .should = FORGOTTEN},
	{"… without grace", FOUND, BY_FEED, .grace = 30, .reached = ASKED, .now = ASKED + 1,
		.should = STALE},
	{"asked before the feed began", FOUND, BY_FEED, .feed = 0, .run = 1,
		.healthy_until = ASKED + 500, .reached = ASKED, .now = ASKED + 1, .should = STALE},

	/* The feed purges what changed; time runs out beside it. */
	{"ttl within a healthy feed", FOUND, RULE, .feed = 1, .run = 1,
		.healthy_until = ASKED + 500, .reached = ASKED, .now = ASKED + TTL,
		.should = STALE},
	{"grace within a healthy feed", FOUND, RULE, .grace = 30, .feed = 1, .run = 1,
		.healthy_until = ASKED + 500, .reached = ASKED, .now = ASKED + TTL,
		.should = GRACE},

	/* When the feed breaks, everything counts as expired, still good as stale. */
	{"nothing heard in time", FOUND, RULE, .feed = 1, .run = 1, .healthy_until = ASKED + 10,
		.reached = ASKED, .now = ASKED + 10, .should = STALE},
	{"… by feed alone", FOUND, BY_FEED, .feed = 1, .run = 1, .healthy_until = ASKED + 10,
		.reached = ASKED, .now = ASKED + 10, .should = STALE},
	{"… no grace", FOUND, RULE, .grace = 90, .feed = 1, .run = 1, .healthy_until = ASKED + 10,
		.reached = ASKED, .now = ASKED + TTL + 1, .should = STALE},
	{"… stale while the source fails", FOUND, BY_FEED, .feed = 1, .run = 1,
		.healthy_until = ASKED + 10, .reached = ASKED, .failing = true,
		.now = ASKED + 10 + STALE_FOR - 1, .should = GRACE},
	{"… up to stale_ttl", FOUND, BY_FEED, .feed = 1, .run = 1, .healthy_until = ASKED + 10,
		.reached = ASKED, .failing = true, .now = ASKED + 10 + STALE_FOR,
		.should = FORGOTTEN},
	{"the run is over", FOUND, RULE, .feed = 1, .run = 2, .before_until = ASKED + 10,
		.reached = ASKED, .now = ASKED + 20, .should = STALE},
	{"stale_ttl counts from when it was sure", FOUND, BY_FEED, .feed = 1, .run = 2,
		.before_until = ASKED + 5000, .reached = ASKED, .failing = true,
		.now = ASKED + 5000 + STALE_FOR - 1, .should = GRACE},
	{"no run has been healthy yet", FOUND, BY_FEED, .feed = 1, .run = 1, .healthy_until = 0,
		.reached = ASKED, .now = ASKED + 1, .should = STALE},
	{"asked after it was last healthy", FOUND, BY_FEED, .feed = 1, .run = 1,
		.healthy_until = ASKED - 1, .reached = ASKED, .now = ASKED + 1, .should = STALE},

	/* … until it is back and caught up. */
	{"back in the same run", FOUND, BY_FEED, .feed = 1, .run = 1, .healthy_until = ASKED + 700,
		.reached = ASKED + 600, .now = ASKED + 600, .should = FRESH},
	{"a new run knows nothing of what came before", FOUND, BY_FEED, .feed = 1, .run = 3,
		.healthy_until = ASKED + 700, .before_until = ASKED + 10, .reached = ASKED,
		.now = ASKED + 600, .should = STALE},
	{"of the run before", FOUND, RULE, .feed = 1, .run = 3, .healthy_until = ASKED + 700,
		.before_until = ASKED + 10, .reached = ASKED, .now = ASKED + 20, .should = STALE},
	{"of runs long past", FOUND, BY_FEED, .feed = 1, .run = 5, .healthy_until = ASKED + 900,
		.before_until = ASKED + 850, .reached = ASKED, .now = ASKED + 860, .should = STALE},
	{"… from when it was asked", FOUND, BY_FEED, .feed = 1, .run = 5,
		.healthy_until = ASKED + 2000, .before_until = ASKED + 1900, .reached = ASKED,
		.now = ASKED + STALE_FOR, .should = FORGOTTEN},
	{"between runs: long past", FOUND, BY_FEED, .feed = 1, .run = 4,
		.before_until = ASKED + 1900, .reached = ASKED, .now = ASKED + STALE_FOR,
		.should = FORGOTTEN},
	{"from before a restart", FOUND, RULE, .feed = FRESHNESS_RESTORED, .run = 1,
		.healthy_until = ASKED + 900, .reached = ASKED, .now = ASKED + 1, .should = STALE},
	{"… without a feed", FOUND, RULE, .feed = FRESHNESS_RESTORED, .reached = ASKED,
		.now = ASKED + 1, .should = STALE},
	{"… while the source is down", FOUND, RULE, .feed = FRESHNESS_RESTORED, .failing = true,
		.now = ASKED + STALE_FOR - 1, .should = GRACE},
	{"… no longer than stale_ttl", FOUND, RULE, .feed = FRESHNESS_RESTORED, .failing = true,
		.now = ASKED + STALE_FOR, .should = FORGOTTEN},

	/* A negative under a feed that was healthy when the source was last reached. */
	{"negative: both went together", NOT_FOUND, BY_FEED, .stale_negative = true, .feed = 1,
		.run = 2, .before_until = ASKED + 600, .reached = ASKED + 599, .failing = true,
		.now = ASKED + 700, .should = GRACE},
	{"negative: the feed went first", NOT_FOUND, BY_FEED, .stale_negative = true, .feed = 1,
		.run = 2, .before_until = ASKED + 600, .reached = ASKED + 601, .failing = true,
		.now = ASKED + 700, .should = FORGOTTEN},
	{"negative: … and nobody said so", NOT_FOUND, BY_FEED, .stale_negative = true, .feed = 1,
		.run = 1, .healthy_until = ASKED + 600, .reached = ASKED + 601, .failing = true,
		.now = ASKED + 700, .should = FORGOTTEN},
	{"negative: not where it rejects", NOT_FOUND, BY_FEED, .feed = 1, .run = 2,
		.before_until = ASKED + 600, .reached = ASKED + 599, .failing = true,
		.now = ASKED + 700, .should = FORGOTTEN},
	{"negative: watched, though its ttl was over", NOT_FOUND, RULE, .stale_negative = true,
		.feed = 1, .run = 2, .before_until = ASKED + 600, .reached = ASKED + 599,
		.failing = true, .now = ASKED + 700, .should = GRACE},
	{"negative: in grace, and watched", NOT_FOUND, RULE, .grace = 15, .stale_negative = true,
		.feed = 1, .run = 1, .healthy_until = ASKED + 600, .reached = ASKED + 22,
		.now = ASKED + 22, .should = GRACE},
	{"negative: the feed ended before its ttl", NOT_FOUND, RULE, .stale_negative = true,
		.feed = 1, .run = 2, .before_until = ASKED + 5, .reached = ASKED + 6,
		.failing = true, .now = ASKED + 10, .should = FORGOTTEN},
	{"negative: asked without a feed", NOT_FOUND, BY_FEED, .stale_negative = true,
		.reached = ASKED + 1, .failing = true, .now = ASKED + 2, .should = FORGOTTEN},

	/* A negative from before a restart: the same, and nothing without knowing. */
	{"restored, fresh when last reached", NOT_FOUND, RULE, .stale_negative = true,
		.feed = FRESHNESS_RESTORED, .reached = ASKED + 18, .failing = true,
		.now = ASKED + 30, .should = GRACE},
	{"restored, perhaps not fresh any more", NOT_FOUND, RULE, .stale_negative = true,
		.feed = FRESHNESS_RESTORED, .reached = ASKED + 19, .failing = true,
		.now = ASKED + 30, .should = FORGOTTEN},
	{"restored, never fresh without a feed", NOT_FOUND, BY_FEED, .stale_negative = true,
		.feed = FRESHNESS_RESTORED, .reached = ASKED + 1, .failing = true, .now = ASKED + 2,
		.should = FORGOTTEN},
	{"restored, was watched", NOT_FOUND, BY_FEED, .stale_negative = true,
		.feed = FRESHNESS_RESTORED_WATCHED, .reached = ASKED, .failing = true,
		.now = ASKED + 2, .should = GRACE},
	{"restored, was watched no longer", NOT_FOUND, RULE, .stale_negative = true,
		.feed = FRESHNESS_RESTORED_WATCHED, .reached = ASKED + 1, .failing = true,
		.now = ASKED + 2, .should = FORGOTTEN},
	{"restored, not where it rejects", NOT_FOUND, RULE, .feed = FRESHNESS_RESTORED,
		.reached = ASKED, .failing = true, .now = ASKED + 2, .should = FORGOTTEN},
	{"restored, nobody knows when it was reached", NOT_FOUND, RULE, .stale_negative = true,
		.feed = FRESHNESS_RESTORED, .failing = true, .now = ASKED + 2, .should = FORGOTTEN},
};

static const char *const names[] = {
	[FRESH] = "FRESH", [GRACE] = "GRACE", [STALE] = "STALE", [FORGOTTEN] = "FORGOTTEN"};

START_TEST(by_the_table)
{
	const struct freshness_case *at = &cases[_i];
	struct freshness_rule rule = {.kept = true,
		.ttl = ms(at->ttl),
		.negative_ttl = ms(at->negative_ttl),
		.clock_ttl = ms(at->clock_ttl),
		.grace = ms(at->grace),
		.stale_ttl = ms(at->stale_ttl),
		.stale_negative = at->stale_negative};
	struct freshness_source source = {.reached = ms(at->reached),
		.healthy_until = ms(at->healthy_until),
		.feed = at->run,
		.before_until = ms(at->before_until),
		.failing = at->failing};
	struct freshness_answer answer = {
		.status = at->status, .asked = ms(ASKED), .feed = at->feed};
	enum freshness is = freshness_of(&answer, &rule, &source, ms(at->now));

	ck_assert_msg(is == at->should, "%s: is %s, should be %s", at->what, names[is],
		names[at->should]);
}
END_TEST

static uint64_t expires(uint64_t ttl, uint64_t chance)
{
	const struct freshness_rule rule = {.ttl = ttl, .stale_ttl = 10 * ttl};
	const struct freshness_answer answer = {FOUND, ms(ASKED), 0, chance};
	const struct freshness_source source = {.reached = ms(ASKED)};
	uint64_t now = ms(ASKED);

	while (freshness_of(&answer, &rule, &source, now) == FRESH)
		now++;
	return now - ms(ASKED);
}

/* Entries made together don't expire together; none is kept longer than it may. */
START_TEST(jitter)
{
	uint64_t least = UINT64_MAX, most = 0, early = 0;

	for (uint64_t chance = 0; chance < 5000; chance += 7) {
		uint64_t at = expires(1000, chance * 0x9e3779b97f4a7c15 >> 20);

		least = at < least ? at : least;
		most = at > most ? at : most;
		early += at < 950;
	}
	ck_assert_uint_ge(least, 900);
	ck_assert_uint_lt(least, 905);
	ck_assert_uint_gt(most, 995);
	ck_assert_uint_le(most, 1000);
	ck_assert_uint_gt(early, 715 * 2 / 5);
	ck_assert_uint_lt(early, 715 * 3 / 5);
	ck_assert_uint_eq(expires(5, 1023), 5);
	ck_assert_uint_eq(expires(0, 1023), 0);
}
END_TEST

/* The older, the less good: time alone never makes an answer better. */
START_TEST(time_never_makes_it_better)
{
	const struct freshness_case *at = &cases[_i];
	enum freshness last = FRESH;

	for (uint64_t now = ms(ASKED); now < ms(ASKED + 3000); now += 500) {
		struct freshness_rule rule = {true, ms(at->ttl), ms(at->negative_ttl),
			ms(at->clock_ttl), ms(at->grace), ms(at->stale_ttl), at->stale_negative};
		struct freshness_source source = {ms(at->reached), ms(at->healthy_until), at->run,
			ms(at->before_until), at->failing};
		struct freshness_answer answer = {at->status, ms(ASKED), at->feed, 0};
		enum freshness is = freshness_of(&answer, &rule, &source, now);

		ck_assert_msg(is >= last, "%s: %s after %s", at->what, names[is], names[last]);
		last = is;
	}
}
END_TEST

START_TEST(only_odd_runs_are_runs)
{
	ck_assert_uint_eq(freshness_feed(&(struct freshness_source){.feed = 0}), 0);
	ck_assert_uint_eq(freshness_feed(&(struct freshness_source){.feed = 1}), 1);
	ck_assert_uint_eq(freshness_feed(&(struct freshness_source){.feed = 2}), 0);
	ck_assert_uint_eq(freshness_feed(&(struct freshness_source){.feed = 3}), 3);
}
END_TEST

int main(void)
{
	enum { CASES = sizeof(cases) / sizeof(cases[0]) };
	Suite *suite = suite_create("freshness");
	TCase *tcase = tcase_create("freshness");

	tcase_add_loop_test(tcase, by_the_table, 0, CASES);
	tcase_add_test(tcase, jitter);
	tcase_add_loop_test(tcase, time_never_makes_it_better, 0, CASES);
	tcase_add_test(tcase, only_odd_runs_are_runs);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
