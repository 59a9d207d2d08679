#include "engine/cache.h"

#include "support/asker.h"
#include "support/text.h"

enum { START = 1000000, TTL = 60000, NEGATIVE = 10000, GRACE_FOR = 6000, STALE_FOR = 3600000 };

static struct cache *cache;
static struct origin *origin;
static struct cache_space *space, *other_space;
static struct freshness_rule rule;
static struct inbox here, there; /* of two workers */
static struct asker one, two, three, four;

static void begin(void)
{
	cache = cache_create(4 << 20);
	origin = cache_origin(cache, "mail");
	space = cache_space(cache, "mail: a query", origin, false);
	other_space = cache_space(cache, "mail: another", origin, false);
	rule = (struct freshness_rule){.kept = true,
		.ttl = TTL,
		.negative_ttl = NEGATIVE,
		.grace = GRACE_FOR,
		.stale_ttl = STALE_FOR};
	inbox_init(&here, NULL, NULL);
	inbox_init(&there, NULL, NULL);
	one = two = three = four = (struct asker){0};
}

static void end(void)
{
	cache_destroy(cache);
	inbox_finish(&here);
	inbox_finish(&there);
	asker_finish(&one);
	asker_finish(&two);
	asker_finish(&three);
	asker_finish(&four);
}

static enum cache_verdict ask_by(
	struct asker *asker, struct inbox *inbox, struct slice form, uint64_t now)
{
	asker_prepare(asker, space, &rule, inbox, form);
	return asker_ask(asker, cache, now);
}

static enum cache_verdict ask(struct asker *asker, const char *form, uint64_t now)
{
	return ask_by(asker, &here, slice_str(form), now);
}

static void land(struct asker *asker, enum status status, const char *text, uint64_t now)
{
	const struct cache_answer answer = {status, slice_str(text)};

	ck_assert(asker_flies(asker));
	cache_land(cache, &asker->flight, &answer, now);
}

/* Has an answer kept that was asked at that time. */
static void learn(const char *form, enum status status, const char *text, uint64_t now)
{
	struct asker asker = {0};

	ck_assert_int_eq(ask(&asker, form, now), CACHE_LEAD);
	land(&asker, status, text, now);
	asker_finish(&asker);
}

/* How often an answer comes from the cache: without a trace of having been asked. */
static bool knows(const char *form, uint64_t now)
{
	struct asker asker = {0};
	struct cache_flight *unwanted;
	enum cache_verdict verdict = ask(&asker, form, now);

	ck_assert_int_ne(verdict, CACHE_JOINED);
	if (verdict == CACHE_LEAD)
		cache_withdraw(cache, &asker.waiter, &unwanted);
	if (asker_flies(&asker))
		cache_give_up(cache, &asker.flight);
	asker_finish(&asker);
	return verdict == CACHE_HIT;
}

static void assert_text(struct asker *asker, enum status status, const char *text)
{
	ck_assert_int_eq(asker->status, status);
	assert_slice(buf_slice(&asker->text), text);
}

START_TEST(asked_once_then_kept)
{
	ck_assert_int_eq(ask(&one, "a@d.ex", START), CACHE_LEAD);
	ck_assert_uint_eq(one.answers, 0);
	land(&one, FOUND, "b@e.ex", START + 5);
	ck_assert_uint_eq(one.answers, 1);
	assert_text(&one, FOUND, "b@e.ex");
	ck_assert_uint_eq(one.answered_at, START + 5);
	ck_assert_int_eq(ask(&two, "a@d.ex", START + 1000), CACHE_HIT);
	assert_text(&two, FOUND, "b@e.ex");
	ck_assert_uint_eq(two.question.ret_age, 1000);
	ck_assert(!two.question.ret_old);
	ck_assert(!two.question.ret_refresh);
	learn("nobody@d.ex", NOT_FOUND, "there are no rows", START);
	ck_assert_int_eq(ask(&two, "nobody@d.ex", START + 1000), CACHE_HIT);
	assert_text(&two, NOT_FOUND, "");
	/* By other bytes it is another key, and in another space another answer. */
	ck_assert_int_eq(ask(&two, "A@d.ex", START), CACHE_LEAD);
	land(&two, NOT_FOUND, "", START);
	asker_prepare(&two, other_space, &rule, &here, slice_str("a@d.ex"));
	ck_assert_int_eq(asker_ask(&two, cache, START), CACHE_LEAD);
	land(&two, NOT_FOUND, "", START);
	ck_assert_int_eq(ask(&two, "a@d.ex", START), CACHE_HIT);
	assert_text(&two, FOUND, "b@e.ex");
}
END_TEST

/* What nobody needs to be asked for; all else is left to who comes with a flight. */
START_TEST(got_while_it_is_fresh)
{
	asker_prepare(&one, space, &rule, &here, slice_str("a"));
	one.question.waiter = NULL;
	one.question.flight = NULL;
	ck_assert(!cache_get(cache, &one.question, START));
	learn("a", FOUND, "v", START);
	ck_assert(cache_get(cache, &one.question, START + 1));
	ck_assert_int_eq(one.question.ret_status, FOUND);
	assert_slice(buf_slice(one.question.ret_text), "v");
	ck_assert_uint_eq(one.question.ret_age, 1);
	ck_assert(!one.question.ret_old && !one.question.ret_refresh);
	ck_assert(!cache_get(cache, &one.question, START + TTL)); /* in its grace */
	cache_purge_space(cache, space);
	ck_assert(!cache_get(cache, &one.question, START + 1));
}
END_TEST

/* It came from another worker after this one had looked. */
START_TEST(there_when_it_is_asked)
{
	learn("a", FOUND, "v", START);
	asker_prepare(&one, space, &rule, &here, slice_str("a"));
	ck_assert_int_eq(cache_ask(cache, &one.question, START), CACHE_HIT);
	assert_slice(buf_slice(one.question.ret_text), "v");
	ck_assert(!one.question.ret_old && !one.question.ret_refresh);
}
END_TEST

/* The clocks of two workers differ by a little. */
START_TEST(asked_a_moment_later)
{
	learn("a", FOUND, "v", START);
	ck_assert_int_eq(ask(&one, "a", START - 3), CACHE_HIT);
	ck_assert_uint_eq(one.question.ret_age, 0);
}
END_TEST

START_TEST(one_flight_for_all)
{
	ck_assert_int_eq(ask(&one, "a", START), CACHE_LEAD);
	ck_assert_int_eq(ask(&two, "a", START + 1), CACHE_JOINED);
	ck_assert_int_eq(ask_by(&three, &there, slice_str("a"), START + 2), CACHE_JOINED);
	ck_assert_int_eq(ask(&four, "A", START + 2), CACHE_LEAD);
	land(&one, FOUND, "v", START + 3);
	ck_assert_uint_eq(one.answers, 1);
	ck_assert_uint_eq(two.answers, 1);
	assert_text(&two, FOUND, "v");
	/* He of the other worker is told in his own thread. */
	ck_assert_uint_eq(three.answers, 0);
	ck_assert_uint_eq(inbox_open(&here, START + 4), 0);
	ck_assert_uint_eq(inbox_open(&there, START + 4), 1);
	ck_assert_uint_eq(three.answers, 1);
	assert_text(&three, FOUND, "v");
	ck_assert_uint_eq(three.answered_at, START + 4);
	ck_assert_uint_eq(four.answers, 0);
	land(&four, NOT_FOUND, "", START + 5);
}
END_TEST

/* A question that left so long ago that its answer would not be fresh is no use to who comes now.
 */
START_TEST(joins_what_would_be_fresh)
{
	ask(&one, "a", START);
	ck_assert_int_eq(ask(&two, "a", START + NEGATIVE * 9 / 10 - 1), CACHE_JOINED);
	ck_assert_int_eq(ask(&three, "a", START + NEGATIVE), CACHE_LEAD);
	land(&one, FOUND, "old", START + NEGATIVE);
	land(&three, FOUND, "new", START + NEGATIVE);
	assert_text(&two, FOUND, "old");
	/* If an answer is fresh only as the feed says, without one nobody may share it. */
	rule.ttl = rule.negative_ttl = FRESHNESS_BY_FEED;
	ask(&one, "b", START);
	ck_assert_int_eq(ask(&two, "b", START), CACHE_LEAD);
	land(&one, FOUND, "v", START);
	land(&two, FOUND, "v", START);
	cache_watch(cache, space, true);
	origin_begin_feed(origin);
	origin_feed_is_healthy(origin, START + 1000);
	ask(&one, "c", START);
	ck_assert_int_eq(ask(&two, "c", START + 999), CACHE_JOINED);
	ck_assert_int_eq(ask(&three, "c", START + 1000), CACHE_LEAD);
	land(&one, FOUND, "v", START);
	land(&three, FOUND, "v", START);
}
END_TEST

START_TEST(an_error_is_no_answer)
{
	static const enum status errors[] = {TRY_LATER, BROKEN, UNSURE};

	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(ask(&one, "a", START), CACHE_LEAD);
		ck_assert_int_eq(ask_by(&two, &there, slice_str("a"), START), CACHE_JOINED);
		land(&one, errors[i], "why", START);
		assert_text(&one, errors[i], "why");
		inbox_open(&there, START);
		assert_text(&two, errors[i], "why");
	}
	ck_assert_uint_eq(cache_tally(cache, space).entries, 0);
	/* What is kept stays. */
	learn("b", FOUND, "v", START);
	ck_assert_int_eq(ask(&one, "b", START + TTL + GRACE_FOR), CACHE_LEAD);
	land(&one, TRY_LATER, "away", START + TTL + GRACE_FOR);
	ck_assert(cache_fall_back(cache, &one.question, START + TTL + GRACE_FOR));
	assert_text(&one, TRY_LATER, "v");
	ck_assert_int_eq(one.question.ret_status, FOUND);
	ck_assert(one.question.ret_old);
	ck_assert_uint_eq(one.question.ret_age, TTL + GRACE_FOR);
}
END_TEST

START_TEST(nothing_to_fall_back_on)
{
	ck_assert_int_eq(ask(&one, "a", START), CACHE_LEAD);
	land(&one, TRY_LATER, "away", START);
	ck_assert(!cache_fall_back(cache, &one.question, START));
	learn("a", NOT_FOUND, "", START);
	origin_failed(origin, START + NEGATIVE);
	ck_assert(!cache_fall_back(cache, &one.question, START + NEGATIVE));
	learn("b", FOUND, "v", START);
	asker_prepare(&one, space, &rule, &here, slice_str("b"));
	ck_assert(cache_fall_back(cache, &one.question, START + TTL + STALE_FOR - TTL / 10 - 1));
	ck_assert(!cache_fall_back(cache, &one.question, START + TTL + STALE_FOR));
	/* Meanwhile somebody else has learned it anew. */
	ck_assert_int_eq(ask(&two, "b", START + TTL + STALE_FOR), CACHE_LEAD);
	land(&two, FOUND, "new", START + TTL + STALE_FOR);
	ck_assert(cache_fall_back(cache, &one.question, START + TTL + STALE_FOR));
	ck_assert(!one.question.ret_old);
	assert_slice(buf_slice(&one.text), "new");
}
END_TEST

START_TEST(withdrawn)
{
	struct cache_flight *unwanted;

	ask(&one, "a", START);
	ask(&two, "a", START);
	ck_assert(cache_withdraw(cache, &one.waiter, &unwanted));
	ck_assert_ptr_null(unwanted); /* somebody else wants it */
	ck_assert(cache_withdraw(cache, &two.waiter, &unwanted));
	ck_assert_ptr_eq(unwanted, &one.flight);
	ck_assert(cache_give_up(cache, unwanted));
	ck_assert_int_eq(ask(&two, "a", START), CACHE_LEAD);
	land(&two, FOUND, "v", START);
	ck_assert_uint_eq(one.answers, 0);
	ck_assert_uint_eq(two.answers, 1);
}
END_TEST

START_TEST(joined_before_it_is_given_up)
{
	struct cache_flight *unwanted;

	ask(&one, "a", START);
	ck_assert(cache_withdraw(cache, &one.waiter, &unwanted));
	ck_assert_ptr_eq(unwanted, &one.flight);
	ck_assert_int_eq(ask_by(&two, &there, slice_str("a"), START), CACHE_JOINED);
	ck_assert(!cache_give_up(cache, unwanted));
	land(&one, FOUND, "v", START);
	inbox_open(&there, START);
	ck_assert_uint_eq(one.answers, 0);
	ck_assert_uint_eq(two.answers, 1);
}
END_TEST

/* Only the worker that asks can take its question back. */
START_TEST(withdrawn_in_another_worker)
{
	struct cache_flight *unwanted;

	ask(&one, "a", START);
	ask_by(&two, &there, slice_str("a"), START);
	ck_assert(cache_withdraw(cache, &one.waiter, &unwanted));
	ck_assert_ptr_null(unwanted);
	ck_assert(cache_withdraw(cache, &two.waiter, &unwanted));
	ck_assert_ptr_null(unwanted);
	land(&one, FOUND, "v", START);
	ck_assert_uint_eq(inbox_open(&there, START), 0);
	ck_assert_uint_eq(one.answers + two.answers, 0);
	ck_assert(knows("a", START));
}
END_TEST

START_TEST(withdrawn_too_late)
{
	struct cache_flight *unwanted;

	ask(&one, "a", START);
	ask_by(&two, &there, slice_str("a"), START);
	land(&one, FOUND, "v", START);
	ck_assert(!cache_withdraw(cache, &two.waiter, &unwanted));
	ck_assert_ptr_null(unwanted);
	ck_assert_uint_eq(two.answers, 0);
	inbox_open(&there, START);
	ck_assert_uint_eq(two.answers, 1);
}
END_TEST

static void withdraw_three(struct asker *asker)
{
	struct cache_flight *unwanted;

	(void)asker;
	ck_assert_uint_eq(three.answers, 0);
	ck_assert(!cache_withdraw(cache, &three.waiter, &unwanted));
}

static void ask_again(struct asker *asker)
{
	asker->then = NULL;
	ck_assert_int_eq(ask(&four, "a", START), CACHE_HIT);
	ck_assert_int_eq(ask(asker, "other", START), CACHE_LEAD);
}

/* Who is answered first may do as he likes with the others of his worker. */
START_TEST(an_answer_leads_to_more)
{
	ask(&one, "a", START);
	ask(&two, "a", START);
	ask(&three, "a", START);
	one.then = ask_again;
	two.then = withdraw_three;
	land(&one, FOUND, "v", START);
	ck_assert_uint_eq(two.answers, 1);
	ck_assert_uint_eq(three.answers, 1);
	ck_assert_uint_eq(one.answers, 0); /* that of the new question */
	land(&one, FOUND, "w", START);
	ck_assert_uint_eq(one.answers, 1);
	assert_text(&one, FOUND, "w");
}
END_TEST

START_TEST(alone)
{
	asker_prepare(&one, space, &rule, &here, slice_str("a"));
	cache_ask_alone(cache, &one.question, START);
	one.verdict = CACHE_LEAD;
	ck_assert_int_eq(ask(&two, "a", START), CACHE_LEAD);
	land(&two, FOUND, "two", START);
	ck_assert_uint_eq(one.answers, 0);
	land(&one, FOUND, "one", START + 1);
	assert_text(&one, FOUND, "one");
	ck_assert_int_eq(ask(&three, "a", START + 1), CACHE_HIT);
	assert_text(&three, FOUND, "two");
	/* It can be taken back as well. */
	asker_prepare(&one, space, &rule, &here, slice_str("a"));
	cache_ask_alone(cache, &one.question, START);
	struct cache_flight *unwanted;

	ck_assert(cache_withdraw(cache, &one.waiter, &unwanted));
	ck_assert_ptr_eq(unwanted, &one.flight);
	ck_assert(cache_give_up(cache, unwanted));
}
END_TEST

/* In its grace an answer is given at once, and one asks behind. */
START_TEST(grace)
{
	uint64_t expired = START + TTL;
	struct cache_flight *unwanted;

	learn("a", FOUND, "old", START);
	ck_assert_int_eq(ask(&one, "a", expired), CACHE_HIT);
	assert_text(&one, FOUND, "old");
	ck_assert(one.question.ret_old);
	ck_assert(one.question.ret_refresh);
	ck_assert_int_eq(ask(&two, "a", expired), CACHE_HIT);
	ck_assert(!two.question.ret_refresh);
	/* After its end, whoever comes waits for what is asked already. */
	ck_assert_int_eq(ask(&two, "a", expired + GRACE_FOR), CACHE_JOINED);
	ck_assert(cache_withdraw(cache, &two.waiter, &unwanted));
	ck_assert_ptr_null(unwanted); /* it needs nobody who waits */
	land(&one, FOUND, "new", expired + GRACE_FOR);
	ck_assert_uint_eq(one.answers, 0);
	ck_assert_int_eq(ask(&two, "a", expired + GRACE_FOR), CACHE_HIT);
	assert_text(&two, FOUND, "new");
	ck_assert(!two.question.ret_old);
	ck_assert_uint_eq(two.question.ret_age, GRACE_FOR);
}
END_TEST

/* While the source fails nobody waits for it, and few ask. */
START_TEST(stale_while_it_fails)
{
	uint64_t now = START + TTL + GRACE_FOR;

	learn("a", FOUND, "a", START);
	learn("b", FOUND, "b", START);
	learn("c", NOT_FOUND, "", START);
	origin_failed(origin, now);
	ck_assert_int_eq(ask(&one, "a", now), CACHE_HIT);
	ck_assert(one.question.ret_old && !one.question.ret_refresh);
	ck_assert_int_eq(ask(&one, "a", now + 500), CACHE_HIT);
	ck_assert(one.question.ret_old && one.question.ret_refresh);
	ck_assert_int_eq(ask(&two, "b", now + 500), CACHE_HIT);
	ck_assert(two.question.ret_old && !two.question.ret_refresh);
	/* Not found is not given: it could bounce mail. */
	ck_assert_int_eq(ask(&two, "c", now + 500), CACHE_LEAD);
	land(&two, TRY_LATER, "away", now + 500);
	land(&one, FOUND, "new", now + 600);
	origin_reached(origin, now + 600);
	ck_assert_int_eq(ask(&two, "b", now + 600), CACHE_LEAD);
	land(&two, FOUND, "b", now + 600);
}
END_TEST

/* What a change of the database concerns, by part of the key. */
static const struct purge_case {
	enum cache_part part;
	const char *value, *form;
	bool is_purged;
} purge_cases[] = {
	{CACHE_KEY, "a@d.ex", "a@d.ex", true},
	{CACHE_KEY, "A@D.EX", "a@d.ex", true},
	{CACHE_KEY, "a@d.ex", "A@d.eX", true},
	{CACHE_KEY, "a@d.ex   ", "a@d.ex", true},
	{CACHE_KEY, "a@d.ex", "a@d.ex ", true},
	{CACHE_KEY, "a@d.ex", "b@d.ex", false},
	{CACHE_KEY, "d.ex", "a@d.ex", false},
	{CACHE_KEY, "", "a@d.ex", false},
	{CACHE_KEY, "b\xc3\xa4r@d.ex", "a@d.ex", true}, /* beyond ASCII, nobody knows */
	{CACHE_KEY, "zzz", "b\xc3\xa4r@d.ex", true},
	{CACHE_KEY, "zzz", "bar@d.ex", false},
	{CACHE_KEY, "a\x01", "zzz", true}, /* some databases don't see it */
	{CACHE_KEY, "zzz", "a\x01", true},
	{CACHE_KEY, "zzz", "a\x7f", true},
	{CACHE_KEY, "zzz", "a\t", true},
	{CACHE_KEY, "zzz", "~ !", false},
	{CACHE_USER, "a", "a@d.ex", true},
	{CACHE_USER, "A ", "a@d.ex", true},
	{CACHE_USER, "a", "a", true}, /* without a domain it is all user */
	{CACHE_USER, "a", "b@d.ex", false},
	{CACHE_USER, "a@d", "a@d@e", true},
	{CACHE_USER, "d.ex", "a@d.ex", false},
	{CACHE_USER, "", "@d.ex", true},
	{CACHE_USER, "zzz", "b\xc3\xa4r@d.ex", true},
	{CACHE_USER, "b\xc3\xa4r", "a@d.ex", true},
	{CACHE_DOMAIN, "d.ex", "a@d.ex", true},
	{CACHE_DOMAIN, "D.ex ", "a@d.EX", true},
	{CACHE_DOMAIN, "d.ex", "@d.ex", true},
	{CACHE_DOMAIN, "e", "a@d@e", true},
	{CACHE_DOMAIN, "d.ex", "d.ex", false}, /* it is no domain of a key, but a key */
	{CACHE_DOMAIN, "d.ex", "a@e.ex", false},
	{CACHE_DOMAIN, "a", "a@d.ex", false},
	{CACHE_DOMAIN, "zzz", "b\xc3\xa4r@d.ex", true},
};

static struct cache_question question_in(struct cache_space *in, const char *form)
{
	return (struct cache_question){
		.space = in, .form = slice_str(form), .rule = &rule, .ret_text = &four.text};
}

START_TEST(purges_what_is_kept)
{
	const struct purge_case *at = &purge_cases[_i];
	struct cache_question other = question_in(other_space, at->form);

	learn(at->form, FOUND, "v", START);
	asker_prepare(&one, other_space, &rule, &here, slice_str(at->form));
	asker_ask(&one, cache, START);
	land(&one, FOUND, "v", START);
	cache_purge_part(cache, space, at->part, slice_str(at->value));
	ck_assert_int_eq(knows(at->form, START), !at->is_purged);
	ck_assert(cache_fall_back(cache, &other, START));
	/* It can be kept again. */
	if (at->is_purged)
		learn(at->form, FOUND, "v", START);
	ck_assert(knows(at->form, START));
}
END_TEST

/* Its answer may be from before: who waits gets it, but nobody who comes later. */
START_TEST(purges_what_is_asked)
{
	const struct purge_case *at = &purge_cases[_i];

	ck_assert_int_eq(ask(&one, at->form, START), CACHE_LEAD);
	ck_assert_int_eq(ask_by(&two, &there, slice_str(at->form), START), CACHE_JOINED);
	cache_purge_part(cache, space, at->part, slice_str(at->value));
	ck_assert_int_eq(
		ask(&three, at->form, START + 1), at->is_purged ? CACHE_LEAD : CACHE_JOINED);
	land(&one, FOUND, "old", START + 2);
	ck_assert_uint_eq(one.answers, 1);
	ck_assert_uint_eq(inbox_open(&there, START + 2), 1);
	ck_assert_int_eq(knows("(something else)", START), false);
	if (at->is_purged) {
		ck_assert_uint_eq(three.answers, 0);
		ck_assert_int_eq(ask(&four, at->form, START + 2), CACHE_JOINED);
		land(&three, FOUND, "new", START + 3);
		assert_text(&four, FOUND, "new");
	}
	ck_assert_int_eq(ask(&four, at->form, START + 3), CACHE_HIT);
	assert_text(&four, FOUND, at->is_purged ? "new" : "old");
}
END_TEST

/* The old answer may even come after the new one. */
START_TEST(overtaken)
{
	ask(&one, "a", START);
	cache_purge_part(cache, space, CACHE_KEY, slice_str("a"));
	ask(&two, "a", START + 1);
	land(&two, FOUND, "new", START + 2);
	land(&one, FOUND, "old", START + 3);
	ck_assert_int_eq(ask(&three, "a", START + 3), CACHE_HIT);
	assert_text(&three, FOUND, "new");
	/* The same by a purge that looks at nothing. */
	ask(&one, "b@d.ex", START);
	cache_purge_part(cache, space, CACHE_DOMAIN, slice_str("d.ex"));
	ask(&two, "b@d.ex", START + 1);
	land(&two, FOUND, "new", START + 2);
	land(&one, FOUND, "old", START + 3);
	ck_assert_int_eq(ask(&three, "b@d.ex", START + 3), CACHE_HIT);
	assert_text(&three, FOUND, "new");
}
END_TEST

/* Without a purge, too: both left since nobody could be sure of the first. */
START_TEST(overtaken_by_a_later_one)
{
	rule.ttl = rule.negative_ttl = 0;
	ask(&one, "a", START);
	ck_assert_int_eq(ask(&two, "a", START + 1), CACHE_LEAD);
	land(&two, FOUND, "new", START + 2);
	land(&one, FOUND, "old", START + 3);
	origin_failed(origin, START + 4);
	ck_assert_int_eq(ask(&three, "a", START + 4), CACHE_HIT);
	assert_text(&three, FOUND, "new");
	/* What is kept was purged, and so is no reason. */
	ask(&one, "b", START + 5);
	ask(&two, "b", START + 6);
	land(&two, FOUND, "new", START + 7);
	cache_purge_space(cache, space);
	ask(&three, "b", START + 5);
	land(&three, FOUND, "newest", START + 8);
	land(&one, FOUND, "old", START + 9);
	ck_assert_int_eq(ask(&four, "b", START + 9), CACHE_HIT);
	assert_text(&four, FOUND, "newest");
}
END_TEST

START_TEST(purges_a_space)
{
	struct cache_question other = question_in(other_space, "a");

	learn("a", FOUND, "v", START);
	asker_prepare(&one, other_space, &rule, &here, slice_str("a"));
	asker_ask(&one, cache, START);
	land(&one, FOUND, "v", START);
	ask(&one, "b", START);
	ask(&two, "c", START);
	cache_purge_space(cache, space);
	ck_assert(!knows("a", START));
	ck_assert_int_eq(ask(&three, "b", START), CACHE_LEAD);
	ck_assert_int_eq(ask(&four, "b", START), CACHE_JOINED);
	land(&one, FOUND, "old", START);
	land(&three, FOUND, "new", START);
	assert_text(&four, FOUND, "new");
	land(&two, FOUND, "old", START);
	ck_assert(!knows("c", START));
	ck_assert(cache_fall_back(cache, &other, START));
	learn("a", FOUND, "v", START);
	ck_assert(knows("a", START));
}
END_TEST

START_TEST(purges_all)
{
	struct cache_question other = question_in(other_space, "a");

	learn("a", FOUND, "v", START);
	asker_prepare(&one, other_space, &rule, &here, slice_str("a"));
	asker_ask(&one, cache, START);
	cache_purge_all(cache);
	land(&one, FOUND, "v", START);
	ck_assert(!knows("a", START));
	ck_assert(!cache_fall_back(cache, &other, START));
}
END_TEST

START_TEST(purges_what_other_configurations_have)
{
	struct origin *far = cache_origin(cache, "far");
	struct cache_space *far_space = cache_space(cache, "far one", far, false);
	struct cache_question other = question_in(other_space, "a"),
			      far_away = question_in(far_space, "a");

	learn("a", FOUND, "v", START);
	asker_prepare(&one, other_space, &rule, &here, slice_str("a"));
	asker_ask(&one, cache, START);
	land(&one, FOUND, "v", START);
	asker_prepare(&two, far_space, &rule, &here, slice_str("a"));
	asker_ask(&two, cache, START);
	land(&two, FOUND, "v", START);
	cache_purge_others(cache, space->origin, &space, 1);
	ck_assert(knows("a", START));
	ck_assert(!cache_fall_back(cache, &other, START));
	ck_assert(cache_fall_back(cache, &far_away, START));
}
END_TEST

/* What is asked behind is under the same law. */
START_TEST(purges_a_refresh)
{
	learn("a", FOUND, "old", START);
	ck_assert_int_eq(ask(&one, "a", START + TTL), CACHE_HIT);
	ck_assert(one.question.ret_refresh);
	cache_purge_part(cache, space, CACHE_KEY, slice_str("a"));
	ck_assert_int_eq(ask(&two, "a", START + TTL), CACHE_LEAD);
	land(&one, FOUND, "old", START + TTL);
	land(&two, FOUND, "new", START + TTL);
	ck_assert_int_eq(ask(&three, "a", START + TTL), CACHE_HIT);
	assert_text(&three, FOUND, "new");
}
END_TEST

START_TEST(nothing_to_fall_back_on_after_a_purge)
{
	learn("a@d.ex", FOUND, "v", START);
	cache_purge_part(cache, space, CACHE_DOMAIN, slice_str("d.ex"));
	asker_prepare(&one, space, &rule, &here, slice_str("a@d.ex"));
	ck_assert(!cache_fall_back(cache, &one.question, START));
}
END_TEST

START_TEST(forgets_what_is_wrong)
{
	learn("a", FOUND, "v", START);
	learn("b\xc3\xa4r", FOUND, "v", START);
	learn("c", FOUND, "v", START);
	ask(&one, "a", START + TTL + GRACE_FOR);
	cache_forget(cache, &one.flight);
	land(&one, BROKEN, "no text", START + TTL + GRACE_FOR);
	ck_assert(!cache_fall_back(cache, &one.question, START + TTL + GRACE_FOR));
	ck_assert(knows("b\xc3\xa4r", START));
	ck_assert(knows("c", START));
}
END_TEST

START_TEST(may_be_equal)
{
	ck_assert(cache_may_be_equal(slice_str("Text "), slice_str("text")));
	ck_assert(!cache_may_be_equal(slice_str("text"), slice_str("texts")));
	ck_assert(!cache_may_be_equal(slice_str(""), slice_str("0")));
	ck_assert(cache_may_be_equal(slice_str("\xc3\xa4"), slice_str("x")));
	ck_assert(cache_may_be_equal(slice_str("x"), slice_str("\xc3\xa4")));
	ck_assert(cache_may_be_equal(slice_str("x"), slice_str("y\x1f")));
}
END_TEST

/* Under a feed. */
static void begin_feed(uint64_t until)
{
	rule.ttl = rule.negative_ttl = FRESHNESS_BY_FEED;
	cache_watch(cache, space, true);
	origin_begin_feed(origin);
	origin_feed_is_healthy(origin, until);
}

START_TEST(watched)
{
	begin_feed(START + 100000);
	learn("a", FOUND, "v", START);
	ck_assert(knows("a", START + 99999));
	ck_assert(!knows("a", START + 100000));
	origin_feed_is_healthy(origin, START + 200000);
	ck_assert(knows("a", START + 199999));
	origin_end_feed(origin, START + 150000);
	ck_assert(!knows("a", START + 150000));
	asker_prepare(&one, space, &rule, &here, slice_str("a"));
	ck_assert(cache_fall_back(cache, &one.question, START + 150000));
	ck_assert(one.question.ret_old);
	/* The next run does not know what happened between. */
	origin_begin_feed(origin);
	origin_feed_is_healthy(origin, START + 300000);
	ck_assert(!knows("a", START + 200000));
	learn("a", FOUND, "v", START + 200000);
	ck_assert(knows("a", START + 200000));
}
END_TEST

/* The feed is healthy, but this table has no triggers, or its query is not understood. */
START_TEST(not_watched)
{
	rule.ttl = FRESHNESS_BY_FEED;
	origin_begin_feed(origin);
	origin_feed_is_healthy(origin, UINT64_MAX);
	learn("a", FOUND, "v", START);
	ck_assert(!knows("a", START));
	/* What was asked before the watch began is none of it. */
	cache_watch(cache, space, true);
	ck_assert(!knows("a", START));
	learn("a", FOUND, "v", START);
	ck_assert(knows("a", START));
	cache_watch(cache, space, true); /* as ever */
	ck_assert(knows("a", START));
	cache_watch(cache, space, false);
	ck_assert(!knows("a", START));
}
END_TEST

/* While nobody watched, there may have been changes, though not one purge. */
START_TEST(watched_again)
{
	begin_feed(UINT64_MAX);
	learn("a", FOUND, "v", START);
	ask(&one, "b", START);
	cache_watch(cache, space, false);
	cache_watch(cache, space, true);
	ck_assert(!knows("a", START));
	land(&one, FOUND, "v", START);
	ck_assert(!knows("b", START));
	learn("a", FOUND, "v", START);
	ck_assert(knows("a", START));
}
END_TEST

/* A question that left before the feed began. */
START_TEST(landed_in_a_feed)
{
	rule.ttl = FRESHNESS_BY_FEED;
	ask(&one, "a", START);
	begin_feed(UINT64_MAX);
	land(&one, FOUND, "v", START);
	ck_assert(!knows("a", START));
	ask(&one, "a", START);
	origin_end_feed(origin, START + 10);
	origin_begin_feed(origin);
	origin_feed_is_healthy(origin, UINT64_MAX);
	land(&one, FOUND, "v", START + 20);
	ck_assert(!knows("a", START + 20));
}
END_TEST

START_TEST(spaces_and_origins)
{
	ck_assert_ptr_eq(cache_origin(cache, "mail"), origin);
	ck_assert_ptr_ne(cache_origin(cache, "Mail"), origin);
	ck_assert_ptr_eq(cache_space(cache, "mail: a query", origin, true), space);
	ck_assert(atomic_load(&space->is_secret));
	/* Of another table, or from then on: what is kept may be secret all the same. */
	ck_assert_ptr_eq(cache_space(cache, "mail: a query", origin, false), space);
	ck_assert(atomic_load(&space->is_secret));
	ck_assert_ptr_ne(cache_space(cache, "mail: a Query", origin, false), space);
	for (int i = 0; i < 100; i++) {
		char name[20];

		sprintf(name, "space %d", i);
		ck_assert_uint_eq(cache_space(cache, name, origin, false)->number, 3 + i);
	}
	ck_assert_ptr_eq(cache_space(cache, "mail: another", origin, false), other_space);
	ck_assert_str_eq(other_space->identity, "mail: another");
}
END_TEST

/* What is kept, as it is shown. */
struct seen {
	unsigned count;
	struct cache_entry last;
	char form[100], text[100];
};

static void see(void *context, const struct cache_entry *entry)
{
	struct seen *seen = context;

	seen->count++;
	seen->last = *entry;
	snprintf(seen->form, sizeof(seen->form), "%.*s", SLICE_ARGS(entry->form));
	snprintf(seen->text, sizeof(seen->text), "%.*s", SLICE_ARGS(entry->text));
	seen->last.form = slice_str(seen->form);
	seen->last.text = slice_str(seen->text);
}

/* The texts are good until the next look. */
static struct seen look(uint64_t now)
{
	static struct seen seen;

	seen.count = 0;
	cache_each(cache, see, &seen, now);
	return seen;
}

START_TEST(shows_what_is_kept)
{
	struct seen seen = look(START);

	ck_assert_uint_eq(seen.count, 0);
	learn("a@d.ex", FOUND, "v", START);
	for (int i = 0; i < 5; i++)
		ck_assert(knows("a@d.ex", START));
	seen = look(START + 1000);
	ck_assert_uint_eq(seen.count, 1);
	assert_slice(seen.last.form, "a@d.ex");
	assert_slice(seen.last.text, "v");
	ck_assert_int_eq(seen.last.status, FOUND);
	ck_assert_ptr_eq(seen.last.space, space);
	ck_assert_uint_eq(seen.last.hits, 5);
	ck_assert_uint_eq(seen.last.sure, START);
	ck_assert(!seen.last.watched);
	for (int i = 0; i < 3000; i++) {
		char form[20];

		sprintf(form, "%d", i);
		learn(form, NOT_FOUND, "", START);
	}
	ck_assert_uint_eq(look(START).count, 3001);
	cache_purge_part(cache, space, CACHE_DOMAIN, slice_str("d.ex"));
	ck_assert_uint_eq(look(START).count, 3000);
	ck_assert_uint_eq(cache_tally(cache, space).entries, 3000);
	cache_purge_space(cache, space);
	ck_assert_uint_eq(look(START).count, 0);
	ck_assert_uint_eq(cache_tally(cache, space).entries, 0);
}
END_TEST

START_TEST(shows_until_when_it_was_sure)
{
	begin_feed(START + 5000);
	learn("a", FOUND, "v", START);
	ck_assert_uint_eq(look(START + 3000).last.sure, START + 3000);
	ck_assert_uint_eq(look(START + 9000).last.sure, START + 5000);
	ck_assert(look(START + 9000).last.watched);
	origin_end_feed(origin, START + 4000);
	ck_assert_uint_eq(look(START + 9000).last.sure, START + 4000);
	cache_watch(cache, space, false);
	ck_assert_uint_eq(look(START + 9000).last.sure, START);
}
END_TEST

/* Everything into a new cache, as after a restart. */
static void restart(uint64_t now)
{
	struct seen seen = look(now);
	struct cache *old = cache;

	ck_assert_uint_eq(seen.count, 1);
	cache = cache_create(1 << 20);
	origin_reached(cache_origin(cache, "mail"), origin_facts(origin).reached);
	origin = cache_origin(cache, "mail");
	space = cache_space(cache, "mail: a query", origin, false);
	seen.last.space = space;
	cache_restore(cache, &seen.last);
	cache_destroy(old);
}

START_TEST(restored)
{
	learn("a", FOUND, "v", START);
	knows("a", START);
	restart(START + 1000);
	/* Within its time to live, but the source is up: it is asked. */
	ck_assert_int_eq(ask(&one, "a", START + 1000), CACHE_LEAD);
	ck_assert(cache_fall_back(cache, &one.question, START + 1000));
	ck_assert(one.question.ret_old);
	ck_assert_uint_eq(one.question.ret_age, 1000);
	assert_slice(buf_slice(&one.text), "v");
	land(&one, TRY_LATER, "away", START + 1000);
	origin_failed(origin, START + 1000);
	ck_assert(knows("a", START + STALE_FOR - 1));
	ck_assert(!knows("a", START + STALE_FOR));
	ck_assert_uint_eq(look(START).last.hits, 3);
	/* Once more: it does not get any younger. */
	restart(START + 5000);
	ck_assert_uint_eq(look(START + 5000).last.sure, START);
	ck_assert(!look(START + 5000).last.watched);
}
END_TEST

START_TEST(restored_does_not_replace)
{
	struct cache_entry entry = {.space = space,
		.form = slice_str("a"),
		.text = slice_str("old"),
		.status = FOUND,
		.sure = START - 1000};

	learn("a", FOUND, "new", START);
	cache_restore(cache, &entry);
	ck_assert_int_eq(ask(&one, "a", START), CACHE_HIT);
	assert_text(&one, FOUND, "new");
	cache_purge_part(cache, space, CACHE_KEY, slice_str("a"));
	cache_restore(cache, &entry);
	cache_purge_part(cache, space, CACHE_KEY, slice_str("A"));
	ck_assert(!cache_fall_back(cache, &one.question, START));
}
END_TEST

/* A "not found" of before: only if it was sure when the source was last reached. */
START_TEST(restored_not_found)
{
	rule.stale_negative = true;
	learn("a", NOT_FOUND, "", START);
	origin_reached(origin, START + NEGATIVE / 2);
	restart(START + NEGATIVE);
	origin_failed(origin, START + NEGATIVE);
	ck_assert(knows("a", START + 2 * NEGATIVE));
	rule.stale_negative = false;
	ck_assert(!knows("a", START + 2 * NEGATIVE));
	rule.stale_negative = true;
	origin_reached(origin, START + NEGATIVE);
	origin_failed(origin, START + NEGATIVE);
	ck_assert(!knows("a", START + 2 * NEGATIVE));
}
END_TEST

START_TEST(restored_not_found_under_a_feed)
{
	begin_feed(START + 9000);
	rule.stale_negative = true;
	learn("a", NOT_FOUND, "", START);
	origin_reached(origin, START + 5000);
	restart(START + 5000);
	ck_assert(look(START + 6000).last.watched);
	origin_failed(origin, START + 6000);
	ck_assert(knows("a", START + 6000));
	origin_reached(origin, START + 5001);
	origin_failed(origin, START + 6000);
	ck_assert(!knows("a", START + 6000));
}
END_TEST

static bool refreshes(struct asker *asker, const char *form)
{
	asker_prepare(asker, space, &rule, &here, slice_str(form));
	asker->question.ret_refresh = cache_refresh(cache, &asker->question, START);
	asker->verdict = CACHE_HIT;
	return asker->question.ret_refresh;
}

/* What was restored is asked anew behind, once. */
START_TEST(refreshes_what_was_restored)
{
	learn("a", FOUND, "old", START);
	ck_assert(!refreshes(&one, "a"));
	restart(START);
	ck_assert(refreshes(&one, "a"));
	ck_assert(!refreshes(&two, "a"));
	ck_assert_int_eq(ask(&two, "a", START), CACHE_JOINED);
	land(&one, FOUND, "new", START);
	assert_text(&two, FOUND, "new");
	ck_assert(!refreshes(&one, "a"));
	ck_assert(!refreshes(&one, "b"));
	restart(START);
	cache_purge_space(cache, space);
	ck_assert(!refreshes(&one, "a"));
}
END_TEST

static void learn_many(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char form[40];

		sprintf(form, "user%u@domain%u.example", i, i % 100);
		learn(form, FOUND, "somebody@somewhere.example", START);
	}
}

START_TEST(keeps_to_its_size)
{
	uint64_t used, size;

	learn_many(60000);
	cache_sizes(cache, &used, &size);
	ck_assert_uint_eq(size, 4 << 20);
	ck_assert_uint_le(used, size);
	ck_assert_uint_gt(used, size * 95 / 100);
	ck_assert_uint_gt(cache_tally(cache, space).evicted, 0);
	ck_assert_uint_eq(
		cache_tally(cache, space).evicted + cache_tally(cache, space).entries, 60000);
	ck_assert_uint_eq(cache_tally(cache, other_space).entries, 0);
}
END_TEST

START_TEST(resizes)
{
	uint64_t used, size;
	uint64_t evicted;

	learn("a", FOUND, "v", START);
	ask(&one, "b", START);
	learn_many(5000);
	cache_resize(cache, 16 << 20);
	ck_assert(knows("a", START));
	ck_assert_uint_eq(cache_tally(cache, space).entries, 5001);
	cache_sizes(cache, &used, &size);
	ck_assert_uint_eq(size, 16 << 20);
	cache_resize(cache, 400 << 10);
	cache_sizes(cache, &used, &size);
	ck_assert_uint_le(used, 400 << 10);
	evicted = cache_tally(cache, space).evicted;
	ck_assert_uint_eq(evicted + cache_tally(cache, space).entries, 5001);
	ck_assert_uint_gt(cache_tally(cache, space).entries, 500);
	/* Flights are not touched by it. */
	ck_assert_int_eq(ask(&two, "b", START), CACHE_JOINED);
	land(&one, FOUND, "v", START);
	ck_assert(knows("b", START));
	cache_resize(cache, 0);
	ck_assert(!knows("b", START));
	cache_sizes(cache, &used, &size);
	ck_assert_uint_eq(used + size, 0);
	ck_assert_uint_eq(cache_tally(cache, space).entries, 0);
	cache_resize(cache, 4 << 20);
	learn("b", FOUND, "v", START);
	ck_assert(knows("b", START));
	ck_assert_uint_ge(cache_tally(cache, space).evicted, evicted);
}
END_TEST

/* Without room nothing is kept, but nobody asks twice at a time. */
START_TEST(no_room_at_all)
{
	static const size_t sizes[] = {0, 1, 1000, 140000, 150000, 160000};
	struct cache_entry entry = {
		.form = slice_str("r"), .text = slice_str("v"), .status = FOUND, .sure = START};

	for (int i = 0; i < 6; i++) {
		cache_resize(cache, sizes[i]);
		ask(&one, "a", START);
		ck_assert_int_eq(ask(&two, "a", START), CACHE_JOINED);
		land(&one, FOUND, "v", START);
		ck_assert_uint_eq(two.answers, 1);
		entry.space = space;
		cache_restore(cache, &entry);
		cache_purge_part(cache, space, CACHE_KEY, slice_str("a"));
		cache_purge_space(cache, space);
		ck_assert(!knows("a", START));
	}
}
END_TEST

/* Sizes at which the shards are all but nothing. */
START_TEST(hardly_any_room)
{
	cache_destroy(cache);
	for (size_t size = 130 << 10; size < 170 << 10; size += 7) {
		uint64_t used, most;

		cache = cache_create(size);
		origin = cache_origin(cache, "mail");
		space = cache_space(cache, "mail: a query", origin, false);
		learn_many(20);
		cache_sizes(cache, &used, &most);
		ck_assert(used <= most || cache_tally(cache, space).entries == 0);
		cache_destroy(cache);
	}
	cache = NULL;
}
END_TEST

START_TEST(long_texts)
{
	struct buf text = {0};

	memset(buf_reserve(&text, 100001), 'x', 100000);
	text.data[100000] = '\0';
	cache_resize(cache, 64 << 20);
	learn("a", FOUND, text.data, START);
	ck_assert_int_eq(ask(&one, "a", START), CACHE_HIT);
	ck_assert_uint_eq(one.text.size, 100000);
	/* A key that no table of Postfix has. */
	ck_assert_int_eq(ask_by(&one, &here, slice_of(text.data, 70000), START), CACHE_LEAD);
	land(&one, FOUND, "v", START);
	ck_assert_int_eq(ask_by(&one, &here, slice_of(text.data, 70000), START), CACHE_LEAD);
	land(&one, FOUND, "v", START);
	buf_finish(&text);
}
END_TEST

int main(void)
{
	enum { PURGE_CASES = sizeof(purge_cases) / sizeof(purge_cases[0]) };
	Suite *suite = suite_create("cache");
	TCase *tcase = tcase_create("cache");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, asked_once_then_kept);
	tcase_add_test(tcase, got_while_it_is_fresh);
	tcase_add_test(tcase, there_when_it_is_asked);
	tcase_add_test(tcase, asked_a_moment_later);
	tcase_add_test(tcase, one_flight_for_all);
	tcase_add_test(tcase, joins_what_would_be_fresh);
	tcase_add_test(tcase, an_error_is_no_answer);
	tcase_add_test(tcase, nothing_to_fall_back_on);
	tcase_add_test(tcase, withdrawn);
	tcase_add_test(tcase, joined_before_it_is_given_up);
	tcase_add_test(tcase, withdrawn_in_another_worker);
	tcase_add_test(tcase, withdrawn_too_late);
	tcase_add_test(tcase, an_answer_leads_to_more);
	tcase_add_test(tcase, alone);
	tcase_add_test(tcase, grace);
	tcase_add_test(tcase, stale_while_it_fails);
	tcase_add_loop_test(tcase, purges_what_is_kept, 0, PURGE_CASES);
	tcase_add_loop_test(tcase, purges_what_is_asked, 0, PURGE_CASES);
	tcase_add_test(tcase, overtaken);
	tcase_add_test(tcase, overtaken_by_a_later_one);
	tcase_add_test(tcase, purges_a_space);
	tcase_add_test(tcase, purges_all);
	tcase_add_test(tcase, purges_what_other_configurations_have);
	tcase_add_test(tcase, purges_a_refresh);
	tcase_add_test(tcase, nothing_to_fall_back_on_after_a_purge);
	tcase_add_test(tcase, forgets_what_is_wrong);
	tcase_add_test(tcase, may_be_equal);
	tcase_add_test(tcase, watched);
	tcase_add_test(tcase, not_watched);
	tcase_add_test(tcase, watched_again);
	tcase_add_test(tcase, landed_in_a_feed);
	tcase_add_test(tcase, spaces_and_origins);
	tcase_add_test(tcase, shows_what_is_kept);
	tcase_add_test(tcase, shows_until_when_it_was_sure);
	tcase_add_test(tcase, restored);
	tcase_add_test(tcase, restored_does_not_replace);
	tcase_add_test(tcase, restored_not_found);
	tcase_add_test(tcase, restored_not_found_under_a_feed);
	tcase_add_test(tcase, refreshes_what_was_restored);
	tcase_add_test(tcase, keeps_to_its_size);
	tcase_add_test(tcase, resizes);
	tcase_add_test(tcase, no_room_at_all);
	tcase_add_test(tcase, hardly_any_room);
	tcase_add_test(tcase, long_texts);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
