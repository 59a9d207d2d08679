#include "engine/warmer.h"

#include "support/map.h"
#include "support/text.h"

#define START ((uint64_t)1 << 40)

static struct setup setup;
static struct fake fake;
static struct cache *cache;
static struct origin *origin;
static struct engine *engine;
static struct inbox inbox;
static struct warmer warmer;

static void make_engine(void)
{
	ck_assert_msg(setup_compile(&setup), "%s", setup.why.text);
	engine = engine_create(setup.catalog, cache, &inbox, NULL);
}

static void begin(void)
{
	fake = (struct fake){0};
	inbox_init(&inbox, NULL, NULL);
	setup_begin(&setup);
	setup_source(&setup, "mail", &fake_backend, &fake);
	setup_map(&setup, "alias", "mail", "1 '%s'");
	setup_set(&setup, "negative_ttl", "1h");
	cache = cache_create(4 << 20);
	origin = cache_origin(cache, "mail");
	warmer_init(&warmer);
}

static void end(void)
{
	warmer_finish(&warmer);
	engine_destroy(engine);
	cache_destroy(cache);
	inbox_finish(&inbox);
	setup_end(&setup);
	buf_finish(&fake.asked);
}

/* Restores an answer of the map's table. */
static void restore(const char *form, uint32_t hits)
{
	const struct cache_entry entry = {.space = engine_space(engine, &setup.catalog->tables[0]),
		.form = slice_str(form),
		.status = NOT_FOUND,
		.sure = START - 1000,
		.hits = hits};

	cache_restore(cache, &entry);
	hottest_offer(&warmer.hottest, &entry);
}

/* Returns what the source was asked for. */
static const char *tick(bool goes_on, uint64_t now)
{
	static struct buf asked;

	buf_clear(&fake.asked);
	ck_assert_int_eq(warmer_tick(&warmer, engine, now), goes_on);
	engine_rest(engine, now);
	buf_clear(&asked);
	buf_add_slice(&asked, buf_slice(&fake.asked));
	return buf_string(&asked);
}

static void on_answer(void *owner, const struct reply *reply)
{
	(void)owner;
	(void)reply;
}

static void ask(const char *key, uint64_t now)
{
	const struct request request = {slice_str("alias"), slice_str(key)};

	engine_lookup(engine, &request, now, NULL, on_answer, NULL);
}

START_TEST(hottest_first_a_few_at_a_time)
{
	make_engine();
	origin_reached(origin, START - 1000);
	for (int i = 0; i < 7; i++) {
		char form[] = {(char)('a' + i), '\0'};

		restore(form, (uint32_t)i);
	}
	hottest_sort(&warmer.hottest);
	ck_assert_str_eq(tick(true, START), "g f e d c ");
	ck_assert_str_eq(tick(true, START + 100), "b a ");
	/* It has made sure that all are answered. */
	ck_assert_str_eq(tick(false, START + 200), "");
	ck_assert_uint_eq(warmer.hottest.count, 0);
	buf_clear(&fake.asked);
	ask("d", START + 300);
	assert_buf(&fake.asked, "");
}
END_TEST

START_TEST(what_was_asked_meanwhile_or_purged_is_left_out)
{
	make_engine();
	origin_reached(origin, START - 1000);
	restore("a", 3);
	restore("b", 2);
	restore("c", 1);
	ask("a", START);
	cache_purge_part(cache,
		(struct cache_space *)engine_space(engine, &setup.catalog->tables[0]), CACHE_KEY,
		slice_str("b"));
	ck_assert_str_eq(tick(true, START), "c ");
	ck_assert_str_eq(tick(false, START), "");
}
END_TEST

START_TEST(waits_for_the_source)
{
	make_engine();
	restore("a", 2);
	restore("b", 1);
	/* Nobody has reached it. */
	ck_assert_str_eq(tick(true, START), "");
	ck_assert_str_eq(tick(true, START), "");
	origin_reached(origin, START);
	fake_play(&fake, {DONE, TRY_LATER, "away"});
	/* It is lost on the way, and those that it could not answer have their turn again. */
	ck_assert_str_eq(tick(true, START + 1), "a b ");
	origin_failed(origin, START + 2);
	for (int i = 0; i < 20; i++)
		ck_assert_str_eq(tick(true, START + 3), "");
	origin_reached(origin, START + 4);
	ck_assert_str_eq(tick(true, START + 5), "a ");
	ck_assert_str_eq(tick(false, START + 6), "");
}
END_TEST

/* The database is locked: a client waits for the very answer. */
START_TEST(what_is_being_asked_is_left_out)
{
	make_engine();
	origin_reached(origin, START - 1000);
	restore("a", 2);
	restore("b", 1);
	fake_play(&fake, {BUSY, TRY_LATER, "locked"});
	ask("a", START);
	ck_assert_uint_eq(engine_pending(engine), 2); /* the search and its flight */
	ck_assert(warmer_tick(&warmer, engine, START + 1));
	ck_assert_uint_eq(engine_pending(engine), 3); /* that of "b" */
	engine_tick(engine, START + 1000);
	engine_rest(engine, START + 1000);
	ck_assert_uint_eq(engine_pending(engine), 0);
	ck_assert(!warmer_tick(&warmer, engine, START + 1001));
	assert_buf(&fake.asked, "a a b ");
}
END_TEST

/* A question that is refused every time is not asked for ever. */
START_TEST(gives_up)
{
	static const struct fake_step steps[] = {{DONE, BROKEN, "no"}, {DONE, BROKEN, "no"},
		{DONE, BROKEN, "no"}, {DONE, BROKEN, "no"}};

	make_engine();
	origin_reached(origin, START - 1000);
	restore("a", 1);
	fake.steps = steps;
	fake.step_count = 4;
	ck_assert_str_eq(tick(true, START), "a ");
	ck_assert_str_eq(tick(true, START), "a ");
	ck_assert_str_eq(tick(false, START), "a ");
}
END_TEST

/* The configuration may be another one now. */
START_TEST(what_is_not_kept_any_more_is_left_out)
{
	setup_set(&setup, "cache", "no");
	make_engine();
	origin_reached(origin, START - 1000);
	restore("a", 1);
	ck_assert_str_eq(tick(false, START), "");
}
END_TEST

START_TEST(of_tables_that_are_gone)
{
	const struct cache_entry entry = {.space = cache_space(cache, "gone", origin, false),
		.form = slice_str("a"),
		.status = NOT_FOUND,
		.sure = START - 1000};

	make_engine();
	origin_reached(origin, START - 1000);
	cache_restore(cache, &entry);
	hottest_offer(&warmer.hottest, &entry);
	ck_assert_str_eq(tick(false, START), "");
}
END_TEST

START_TEST(no_more_than_it_may)
{
	char form[20];

	make_engine();
	for (unsigned i = 0; i < 3 * WARMER_MOST; i++) {
		const struct cache_entry entry = {
			.space = engine_space(engine, &setup.catalog->tables[0]),
			.form = slice_of(form, (size_t)snprintf(form, sizeof(form), "%u", i)),
			.hits = i % 100 == 0 ? i : 0};

		hottest_offer(&warmer.hottest, &entry);
	}
	hottest_sort(&warmer.hottest);
	ck_assert_uint_eq(warmer.hottest.count, WARMER_MOST);
	for (unsigned i = 0; i < WARMER_MOST; i++)
		ck_assert_uint_eq(warmer.hottest.items[i].hits,
			i < 300 ? 3 * WARMER_MOST - 100 * (i + 1) : 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("warmer");
	TCase *tcase = tcase_create("warmer");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, hottest_first_a_few_at_a_time);
	tcase_add_test(tcase, what_was_asked_meanwhile_or_purged_is_left_out);
	tcase_add_test(tcase, waits_for_the_source);
	tcase_add_test(tcase, what_is_being_asked_is_left_out);
	tcase_add_test(tcase, gives_up);
	tcase_add_test(tcase, what_is_not_kept_any_more_is_left_out);
	tcase_add_test(tcase, of_tables_that_are_gone);
	tcase_add_test(tcase, no_more_than_it_may);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
