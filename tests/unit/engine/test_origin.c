#include "engine/origin.h"

#include "support/unit.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

static struct origin origin;

static void begin(void)
{
	memset(&origin, 0, sizeof(origin));
}

START_TEST(unknown_at_first)
{
	struct freshness_source facts = origin_facts(&origin);

	ck_assert_uint_eq(facts.reached, 0);
	ck_assert(!facts.failing);
	ck_assert_uint_eq(freshness_feed(&facts), 0);
	ck_assert(origin_may_try(&origin, 1000));
	ck_assert(origin_may_try(&origin, 1000));
}
END_TEST

START_TEST(reached_and_failing)
{
	origin_reached(&origin, 1000);
	ck_assert_uint_eq(origin_facts(&origin).reached, 1000);
	origin_failed(&origin, 2000);
	ck_assert(origin_facts(&origin).failing);
	ck_assert_uint_eq(origin_facts(&origin).reached, 1000);
	origin_reached(&origin, 3000);
	ck_assert(!origin_facts(&origin).failing);
	/* The workers' clocks differ by a little. */
	origin_reached(&origin, 2999);
	ck_assert_uint_eq(origin_facts(&origin).reached, 3000);
	origin_failed(&origin, 0);
	ck_assert(origin_facts(&origin).failing);
}
END_TEST

START_TEST(one_slow_key_is_no_failure)
{
	origin_doubted(&origin, 1000);
	ck_assert(!origin_facts(&origin).failing);
	origin_reached(&origin, 1001);
	origin_doubted(&origin, 1002);
	ck_assert(!origin_facts(&origin).failing);
	origin_doubted(&origin, 1003);
	ck_assert(origin_facts(&origin).failing);
	origin_reached(&origin, 1004);
	ck_assert(!origin_facts(&origin).failing);
}
END_TEST

/* One of many asks behind, now and then; the more it fails, the less often. */
START_TEST(tries_while_it_fails)
{
	uint64_t now = 1000, last = 0;

	for (int i = 0; i < 20; i++) {
		uint64_t from = now;

		for (int together = 0; together < 10; together++)
			origin_failed(&origin, now);
		ck_assert(!origin_may_try(&origin, now));
		while (!origin_may_try(&origin, now))
			now++;
		ck_assert(!origin_may_try(&origin, now));
		ck_assert_uint_ge(now - from, last);
		last = now - from;
		if (i == 0)
			ck_assert_uint_eq(last, 500);
		ck_assert_uint_ge(last, 500);
		ck_assert_uint_le(last, 5000);
	}
	ck_assert_uint_eq(last, 5000);
	/* If nothing is heard of that one, another one goes. */
	ck_assert(!origin_may_try(&origin, now + 499));
	ck_assert(origin_may_try(&origin, now + 500));
	origin_reached(&origin, now);
	ck_assert(origin_may_try(&origin, now));
	ck_assert(origin_may_try(&origin, now));
	origin_failed(&origin, now);
	ck_assert(!origin_may_try(&origin, now + 499));
	ck_assert(origin_may_try(&origin, now + 500));
}
END_TEST

START_TEST(runs_of_the_feed)
{
	struct freshness_source facts;

	origin_begin_feed(&origin);
	facts = origin_facts(&origin);
	ck_assert_uint_eq(freshness_feed(&facts), 1);
	ck_assert_uint_eq(facts.healthy_until, 0);
	origin_feed_is_healthy(&origin, 5000);
	origin_begin_feed(&origin); /* it is on already */
	facts = origin_facts(&origin);
	ck_assert_uint_eq(facts.feed, 1);
	ck_assert_uint_eq(facts.healthy_until, 5000);
	origin_end_feed(&origin, 4000);
	facts = origin_facts(&origin);
	ck_assert_uint_eq(freshness_feed(&facts), 0);
	ck_assert_uint_eq(facts.feed, 2);
	ck_assert_uint_eq(facts.before_until, 4000);
	origin_end_feed(&origin, 4500); /* it is off already */
	ck_assert_uint_eq(origin_facts(&origin).before_until, 4000);
	origin_begin_feed(&origin);
	facts = origin_facts(&origin);
	ck_assert_uint_eq(facts.feed, 3);
	ck_assert_uint_eq(facts.healthy_until, 0); /* nothing of the run before is left */
	origin_feed_is_healthy(&origin, 8000);
	origin_end_feed(&origin, 9000); /* long after it was last healthy */
	ck_assert_uint_eq(origin_facts(&origin).before_until, 8000);
}
END_TEST

static atomic_bool looked; /* whoever watches the runs has seen one */

/* Run N is healthy from N thousand to N thousand and nine hundred. */
static void *run_feed(void *nothing)
{
	for (uint64_t feed = 1; feed < 1600000; feed += 2) {
		origin_begin_feed(&origin);
		while (!atomic_load(&looked))
			sched_yield();
		for (uint64_t ms = 100; ms <= 900; ms += 200)
			origin_feed_is_healthy(&origin, feed * 1000 + ms);
		origin_end_feed(&origin, UINT64_MAX);
	}
	return nothing;
}

/* Whoever looks while runs come and go sees no time of a run as that of another one. */
START_TEST(times_belong_to_their_run)
{
	struct freshness_source facts;
	uint64_t first = 0, last = 0;
	pthread_t thread;

	pthread_create(&thread, NULL, run_feed, NULL);
	do {
		uint64_t run;

		facts = origin_facts(&origin);
		run = freshness_feed(&facts);
		first = first ? first : facts.feed;
		atomic_store(&looked, first != 0);
		last = facts.feed;
		if (run && facts.healthy_until && facts.healthy_until / 1000 != run)
			ck_abort_msg("%lu is no time of run %lu", facts.healthy_until, run);
		if (run > 1 && facts.before_until / 1000 != run - 2)
			ck_abort_msg(
				"%lu is no time of the run before %lu", facts.before_until, run);
		if (!run && facts.before_until / 1000 > facts.feed)
			ck_abort_msg("%lu is no time before %lu", facts.before_until, facts.feed);
	} while (facts.feed < 1600000);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(last, 1600000);
	ck_assert_uint_lt(first, last);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("origin");
	TCase *tcase = tcase_create("origin");

	tcase_add_checked_fixture(tcase, begin, NULL);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, unknown_at_first);
	tcase_add_test(tcase, reached_and_failing);
	tcase_add_test(tcase, one_slow_key_is_no_failure);
	tcase_add_test(tcase, tries_while_it_fails);
	tcase_add_test(tcase, runs_of_the_feed);
	tcase_add_test(tcase, times_belong_to_their_run);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
