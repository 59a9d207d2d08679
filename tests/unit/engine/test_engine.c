#include "engine/engine.h"

#include "support/log.h"
#include "support/map.h"
#include "support/text.h"

enum { START = 1000000, TIMEOUT = 5000 };

static struct setup setup;
static struct fake fake, other;
static struct engine *engine;
static struct cache *cache;
static struct log_capture capture;

/* A lookup's answer. */
struct answer {
	int count;
	enum status status;
	struct buf text, map;
};

static struct answer answer;

/* Does what is due, and says when more will be. */
static uint64_t tick(uint64_t now)
{
	engine_tick(engine, now);
	return engine_next(engine);
}

static void on_answer(void *owner, const struct reply *reply)
{
	struct answer *answered = owner;

	answered->count++;
	answered->status = reply->status;
	buf_clear(&answered->text);
	buf_add_slice(&answered->text, reply->text);
	buf_clear(&answered->map);
	buf_add_string(&answered->map, reply->map ? reply->map : "(none)");
}

static void answer_finish(struct answer *answered)
{
	buf_finish(&answered->text);
	buf_finish(&answered->map);
	*answered = (struct answer){0};
}

static void begin(void)
{
	fake = other = (struct fake){0};
	setup_begin(&setup);
	setup_source(&setup, "mail", &fake_backend, &fake);
	setup_source(&setup, "other", &fake_backend, &other);
	log_capture_begin(&capture);
}

static void end(void)
{
	engine_destroy(engine);
	cache_destroy(cache);
	engine = NULL;
	setup_end(&setup);
	log_capture_end(&capture);
	answer_finish(&answer);
	ck_assert_uint_eq(fake.opened, fake.closed);
	buf_finish(&fake.asked);
	buf_finish(&other.asked);
}

static void start(void)
{
	ck_assert_msg(setup_compile(&setup), "%s", setup.why.text);
	cache = cache_create(1 << 20);
	engine = engine_create(setup.catalog, cache, NULL, NULL);
}

#define PLAY_ROWS(fake_, ...)                                                                      \
	do {                                                                                       \
		static const struct fake_row rows_[] = {__VA_ARGS__};                              \
		(fake_)->rows = rows_;                                                             \
		(fake_)->row_count = sizeof(rows_) / sizeof(rows_[0]);                             \
	} while (0)

static void ask_bytes(const char *map, struct slice key)
{
	const struct request request = {slice_str(map), key};

	answer_finish(&answer);
	engine_lookup(engine, &request, START, NULL, on_answer, &answer);
}

static void ask(const char *map, const char *key)
{
	ask_bytes(map, slice_str(key));
}

static void assert_answer(enum status status, const char *text)
{
	ck_assert_int_eq(answer.count, 1);
	ck_assert_msg(answer.status == status, "%s: %s", status_text(answer.status),
		buf_string(&answer.text));
	assert_slice(buf_slice(&answer.text), text);
	ck_assert_uint_eq(engine_pending(engine), 0);
}

START_TEST(found_in_order_of_the_forms)
{
	setup_map(&setup, "virtual_alias_maps", "mail", "a '%s'");
	start();
	PLAY_ROWS(&fake, {"@d.ex", "all@d.ex"}, {"user@d.ex", "one@e.ex"});
	ask("virtual_alias_maps", "User+Ext@D.Ex");
	assert_answer(FOUND, "one+Ext@e.ex");
	assert_slice(buf_slice(&answer.map), "virtual_alias_maps");
	assert_buf(&fake.asked, "user+ext@d.ex user@d.ex ");
	ask("virtual_alias_maps", "nobody+ext@d.ex");
	assert_answer(FOUND, "all@d.ex");
	assert_buf(&fake.asked, "nobody+ext@d.ex nobody@d.ex @d.ex ");
	ask("virtual_alias_maps", "nobody@e.ex");
	assert_answer(NOT_FOUND, "not found");
	ck_assert_uint_eq(fake.opened, 1);
}
END_TEST

/* Each form is asked of all tables before the next form, as Postfix's maps_find() does. */
START_TEST(maps_of_maps)
{
	setup_map(&setup, "one", "mail", "1 '%s'");
	setup_map(&setup, "two", "other", "2 '%s'");
	setup_map(&setup, "virtual_alias_maps", NULL, NULL);
	setup_set(&setup, "maps", "one|two");
	start();
	PLAY_ROWS(&fake, {"@d.ex", "catch-all"});
	PLAY_ROWS(&other, {"user@d.ex", "address"}, {"@d.ex", "second"});
	ask("virtual_alias_maps", "user@d.ex");
	assert_answer(FOUND, "address");
	assert_buf(&fake.asked, "user@d.ex ");
	assert_buf(&other.asked, "user@d.ex ");
	ask("virtual_alias_maps", "nobody@d.ex");
	assert_answer(FOUND, "catch-all");
	assert_buf(&fake.asked, "nobody@d.ex @d.ex ");
	assert_buf(&other.asked, "nobody@d.ex ");
	/* A member, asked by its own name, has its own rule. */
	ask("two", "nobody@d.ex");
	assert_answer(NOT_FOUND, "not found");
	assert_buf(&other.asked, "nobody@d.ex ");
}
END_TEST

/* Each table has its own format, limit and domains. */
START_TEST(members_keep_their_options)
{
	setup_map(&setup, "one", "mail", "1 '%s'");
	setup_set(&setup, "domain", "one.ex");
	setup_map(&setup, "two", "mail", "2 '%u' '%d'");
	setup_set(&setup, "result_format", "<%s>");
	setup_map(&setup, "both", NULL, NULL);
	setup_set(&setup, "maps", "one|two");
	start();
	PLAY_ROWS(&fake, {"user@one.ex", "1"}, {"user|two.ex", "2"});
	ask("both", "user@one.ex");
	assert_answer(FOUND, "1");
	ask("both", "user@two.ex");
	assert_answer(FOUND, "<2>");
	assert_buf(&fake.asked, "user@one.ex user|two.ex ");
	ask("both", "user@three.ex");
	assert_answer(NOT_FOUND, "not found");
	ask("both", "name");
	assert_answer(NOT_FOUND, "not found");
	assert_buf(&fake.asked, "user|three.ex ");
}
END_TEST

/* What follows an error is not known to be the right answer. */
START_TEST(an_error_ends_the_lookup)
{
	setup_map(&setup, "virtual_alias_maps", "mail", "a '%s'");
	start();
	fake_play(&fake, {DONE, NOT_FOUND, NULL}, {DONE, TRY_LATER, "disk is slow"});
	PLAY_ROWS(&fake, {"@d.ex", "all"});
	ask("virtual_alias_maps", "user+ext@d.ex");
	assert_answer(TRY_LATER, "disk is slow");
	assert_buf(&fake.asked, "user+ext@d.ex user@d.ex ");
	assert_contains(log_captured(&capture),
		"map=virtual_alias_maps source=mail: lookup failed: disk "
		"is slow");
}
END_TEST

START_TEST(an_error_of_one_table_ends_the_lookup)
{
	setup_map(&setup, "one", "mail", "1 '%s'");
	setup_map(&setup, "two", "other", "2 '%s'");
	setup_map(&setup, "both", NULL, NULL);
	setup_set(&setup, "maps", "one|two");
	start();
	fake.failing_opens = 1;
	PLAY_ROWS(&other, {"user@d.ex", "v"});
	ask("both", "user@d.ex");
	assert_answer(TRY_LATER, "source mail: cannot be opened");
	ck_assert_uint_eq(other.started, 0);
	/* The source said so in the log; the lookup does not say it again. */
	ck_assert_uint_eq(log_captured_lines(&capture), 1);
}
END_TEST

START_TEST(a_result_that_cannot_be_given_is_an_error)
{
	setup_map(&setup, "m", "mail", "a '%s'");
	setup_set(&setup, "result_format", "%s");
	start();
	PLAY_ROWS(&fake, {"latin", "gr\xfc\xdf"}, {"empty", ""});
	ask("m", "latin");
	assert_answer(BROKEN, "the result is not valid UTF-8 text");
	ask("m", "empty");
	assert_answer(NOT_FOUND, "not found");
}
END_TEST

START_TEST(unknown_map)
{
	setup_map(&setup, "one", "mail", "1 '%s'");
	setup_map(&setup, "two", "mail", "2 '%s'");
	start();
	ask("tow", "key");
	assert_answer(BROKEN, "there is no map \"tow\"; tabled's log says which exist");
	assert_slice(buf_slice(&answer.map), "(none)");
	assert_contains(log_captured(&capture), "map=tow: there is no such map");
	assert_contains(log_captured(&capture), "these exist: one, two");
	for (int i = 0; i < 100; i++)
		ask("", "key");
	assert_answer(BROKEN, "there is no map \"\"; tabled's log says which exist");
	ck_assert_uint_lt(log_captured_lines(&capture), 10);
	ck_assert_uint_eq(fake.started, 0);
}
END_TEST

START_TEST(keys_that_cannot_be_asked)
{
	setup_map(&setup, "m", "mail", "a '%s'");
	start();
	PLAY_ROWS(&fake, {"a", "v"}, {"", "v"});
	ask_bytes("m", slice_of("a\0b", 3));
	assert_answer(BROKEN, "it holds a NUL byte");
	ask("m", "gr\xfc\xdf");
	assert_answer(NOT_FOUND, "the key is not valid UTF-8");
	ask("m", "");
	assert_answer(NOT_FOUND, "not found");
	ask_bytes("m", slice_of(NULL, 0));
	assert_answer(NOT_FOUND, "not found");
	ck_assert_uint_eq(fake.started, 0);
	ask("m", "a");
	assert_answer(FOUND, "v");
}
END_TEST

START_TEST(a_key_of_too_many_parts)
{
	char key[2000];

	setup_map(&setup, "relay_domains", "mail", "a '%s'");
	start();
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = i % 2 ? '.' : 'a';
	ask_bytes("relay_domains", slice_of(key, sizeof(key)));
	assert_answer(BROKEN, "the key has too many parts");
	ck_assert_uint_eq(fake.started, 0);
}
END_TEST

START_TEST(waits_for_a_lock)
{
	struct answer first = {0}, second = {0};
	struct request request = {slice_str("virtual_alias_maps"), slice_str("user+x@d.ex")};
	char key[] = "user+x@d.ex";
	uint64_t next;

	setup_map(&setup, "virtual_alias_maps", "mail", "a '%s'");
	setup_set(&setup, "ttl", "60s");
	setup_set(&setup, "negative_ttl", "60s");
	start();
	fake_play(&fake, {BUSY, 0, "locked"});
	PLAY_ROWS(&fake, {"user@d.ex", "v@e.ex"});
	request.key = slice_str(key);
	engine_lookup(engine, &request, START, NULL, on_answer, &first);
	engine_lookup(engine, &request, START + 1, NULL, on_answer, &second);
	memset(key, 'X', sizeof(key)); /* the request was borrowed for the call only */
	ck_assert_uint_eq(engine_pending(engine), 2 + 1); /* lookups, and the one question */
	next = tick(START + 1);
	ck_assert_uint_lt(next, START + TIMEOUT);
	tick(next);
	ck_assert_int_eq(first.count, 1);
	ck_assert_int_eq(second.count, 1);
	assert_slice(buf_slice(&first.text), "v+x@e.ex");
	assert_slice(buf_slice(&second.text), "v+x@e.ex");
	ck_assert_uint_eq(engine_pending(engine), 0);
	ck_assert_uint_eq(tick(next), UINT64_MAX);
	answer_finish(&first);
	answer_finish(&second);
}
END_TEST

/* The deadline is the lookup's: its forms do not get one each. */
START_TEST(one_deadline_for_all_forms)
{
	struct answer first = {0};
	const struct request request = {slice_str("virtual_alias_maps"), slice_str("user@d.ex")};
	uint64_t next;

	setup_map(&setup, "virtual_alias_maps", "mail", "a '%s'");
	start();
	fake_play(&fake, {BUSY, 0, "locked"}, {DONE, NOT_FOUND, NULL}, {BUSY, 0, "locked"},
		{BUSY, 0, "locked"}, {BUSY, 0, "locked"});
	engine_lookup(engine, &request, START, NULL, on_answer, &first);
	ck_assert_uint_eq(fake.deadline, START + TIMEOUT);
	next = tick(START + TIMEOUT / 2);
	ck_assert_int_eq(first.count, 0);
	ck_assert_uint_eq(fake.deadline, START + TIMEOUT);
	ck_assert_uint_le(next, START + TIMEOUT);
	tick(START + TIMEOUT);
	ck_assert_int_eq(first.count, 1);
	ck_assert_int_eq(first.status, TRY_LATER);
	answer_finish(&first);
}
END_TEST

/* A source that is locked costs the maps of another nothing. */
START_TEST(sources_do_not_wait_for_each_other)
{
	struct answer locked = {0};
	const struct request request = {slice_str("one"), slice_str("k")};

	setup_map(&setup, "one", "mail", "1 '%s'");
	setup_map(&setup, "two", "other", "2 '%s'");
	start();
	fake_play(&fake, {BUSY, 0, "locked"});
	PLAY_ROWS(&other, {"k", "v"});
	engine_lookup(engine, &request, START, NULL, on_answer, &locked);
	answer_finish(&answer);
	engine_lookup(engine, &(struct request){slice_str("two"), slice_str("k")}, START, NULL,
		on_answer, &answer);
	ck_assert_int_eq(answer.status, FOUND);
	ck_assert_uint_eq(engine_pending(engine), 1 + 1);
	tick(START + TIMEOUT);
	ck_assert_int_eq(locked.count, 1);
	answer_finish(&locked);
}
END_TEST

/* What a trace was told. */
struct steps {
	struct lookup_trace trace; /* the first, so that a step finds its steps */
	struct buf text;
};

static void on_step(
	struct lookup_trace *trace, struct slice form, const char *table, const char *outcome)
{
	struct steps *steps = (struct steps *)trace;

	buf_add_format(&steps->text, "%.*s %s: %s\n", SLICE_ARGS(form), table, outcome);
}

START_TEST(trace)
{
	struct steps steps = {.trace = {on_step}};
	const struct request request = {slice_str("virtual_alias_maps"), slice_str("User@D.ex")};

	setup_map(&setup, "one", "mail", "1 '%u'");
	setup_map(&setup, "two", "mail", "2 '%s'");
	setup_map(&setup, "virtual_alias_maps", NULL, NULL);
	setup_set(&setup, "maps", "one|two");
	start();
	PLAY_ROWS(&fake, {"@d.ex", "v"});
	engine_lookup(engine, &request, START, &steps.trace, on_answer, &answer);
	assert_answer(FOUND, "v");
	assert_buf(&steps.text,
		"user@d.ex one: not found\n"
		"user@d.ex two: not found\n"
		"@d.ex one: not asked: its query or domain list does not fit this form\n"
		"@d.ex two: found\n");
	answer_finish(&answer);
	fake_play(&fake, {DONE, BROKEN, "no such table"});
	engine_lookup(engine, &request, START, &steps.trace, on_answer, &answer);
	assert_buf(&steps.text, "user@d.ex one: no such table\n");
	buf_finish(&steps.text);
}
END_TEST

START_TEST(counts)
{
	const struct map *map;

	setup_map(&setup, "m", "mail", "a '%s'");
	setup_map(&setup, "n", "mail", "a '%s'");
	start();
	map = catalog_find(engine_catalog(engine), slice_str("m"));
	PLAY_ROWS(&fake, {"a", "v"});
	ask("m", "a");
	ask("m", "a");
	ask("m", "b");
	ask("x", "a");
	fake_play(&fake, {DONE, BROKEN, "wrong"}, {DONE, TRY_LATER, "slow"});
	ask("m", "c");
	ask("m", "d");
	ck_assert_uint_eq(engine_count(engine, map, FOUND), 2);
	ck_assert_uint_eq(engine_count(engine, map, NOT_FOUND), 1);
	ck_assert_uint_eq(engine_count(engine, map, BROKEN), 1);
	ck_assert_uint_eq(engine_count(engine, map, TRY_LATER), 1);
	map = catalog_find(engine_catalog(engine), slice_str("n"));
	for (int status = 0; status < STATUS_COUNT; status++)
		ck_assert_uint_eq(engine_count(engine, map, (enum status)status), 0);
	ck_assert_str_eq(engine_source(engine, 0)->config->name, "mail");
}
END_TEST

/* One line when it breaks, however often it is asked; and again if it breaks again. */
START_TEST(what_is_broken_is_said_once)
{
	setup_map(&setup, "m", "mail", "a '%s'");
	setup_map(&setup, "n", "mail", "b '%s'");
	start();
	fake_play(&fake, {DONE, BROKEN, "no such table: a"}, {DONE, BROKEN, "no such table: a"},
		{DONE, BROKEN, "no such table: b"}, {DONE, BROKEN, "no such table: a"},
		{DONE, NOT_FOUND, NULL}, {DONE, BROKEN, "no such table: a"});
	ask("m", "k");
	ask("m", "k");
	ck_assert_uint_eq(log_captured_lines(&capture), 1);
	assert_contains(log_captured(&capture), "<3>map=m source=mail: lookup failed");
	ask("n", "k");
	ask("m", "k");
	ck_assert_uint_eq(log_captured_lines(&capture), 2);
	ask("m", "k");
	ask("m", "k");
	ck_assert_uint_eq(log_captured_lines(&capture), 3);
}
END_TEST

START_TEST(what_fails_is_said_once)
{
	setup_map(&setup, "m", "mail", "a '%s'");
	start();
	fake_play(&fake, {DONE, TRY_LATER, "slow"}, {DONE, TRY_LATER, "slow"}, {DONE, BROKEN, "no"},
		{DONE, NOT_FOUND, NULL}, {DONE, TRY_LATER, "slow"});
	for (int i = 0; i < 3; i++)
		ask("m", "k");
	ck_assert_uint_eq(log_captured_lines(&capture), 1);
	assert_contains(log_captured(&capture), "<4>map=m source=mail: lookup failed: slow");
	ask("m", "k");
	ask("m", "k");
	ck_assert_uint_eq(log_captured_lines(&capture), 2);
}
END_TEST

START_TEST(checks_every_statement)
{
	setup_map(&setup, "m", "mail", "a '%s'");
	setup_map(&setup, "n", "other", "b '%s'");
	setup_map(&setup, "o", "mail", "c '%s'");
	start();
	fake_play(&fake, {DONE, BROKEN, "no such table: a"}, {DONE, NOT_FOUND, NULL});
	other.failing_opens = 1;
	engine_check(engine, START);
	ck_assert_uint_eq(fake.checked, 2);
	assert_contains(log_captured(&capture), "<3>map=m source=mail: no such table: a\n");
	/* A database that is away is no mistake of the configuration: only its state is logged. */
	assert_contains(log_captured(&capture), "<4>source=other state=down");
	ck_assert_uint_eq(log_captured_lines(&capture), 2);
	fake_play(&fake, {DONE, BROKEN, "no such table: a"});
	ask("m", "k");
	ck_assert_uint_eq(log_captured_lines(&capture), 2);
}
END_TEST

START_TEST(rests_what_was_asked)
{
	setup_map(&setup, "m", "mail", "a '%s'");
	start();
	ask("m", "k");
	engine_rest(engine, START);
	engine_rest(engine, START);
	ck_assert_uint_eq(fake.rested, 1);
	ck_assert_uint_eq(other.rested, 0);
}
END_TEST

static const struct request inner_request = {{"n", 1}, {"inner", 5}};
static struct answer inner_answer;

static void ask_from_answer(void *owner, const struct reply *reply)
{
	on_answer(owner, reply);
	engine_lookup(engine, &inner_request, START, NULL, on_answer, &inner_answer);
}

/* As a connection does that was full: its next request is taken when an answer has made room. */
START_TEST(an_answer_may_ask)
{
	const struct request request = {slice_str("m"), slice_str("outer")};

	setup_map(&setup, "m", "mail", "a '%s'");
	setup_map(&setup, "n", "mail", "b '%s'");
	start();
	PLAY_ROWS(&fake, {"outer", "1"}, {"inner", "2"});
	engine_lookup(engine, &request, START, NULL, ask_from_answer, &answer);
	assert_answer(FOUND, "1");
	ck_assert_int_eq(inner_answer.count, 1);
	assert_slice(buf_slice(&inner_answer.text), "2");
	answer_finish(&inner_answer);
}
END_TEST

START_TEST(many_lookups_at_a_time)
{
	enum { MANY = 500 };
	static struct answer answers[MANY];
	uint64_t now = START;

	setup_map(&setup, "m", "mail", "a '%s'");
	start();
	fake_play(&fake, {BUSY, 0, "locked"}, {BUSY, 0, "locked"});
	PLAY_ROWS(&fake, {"k7", "v7"}, {"k499", "v499"});
	for (int i = 0; i < MANY; i++) {
		char key[20];
		struct request request = {slice_str("m"), {key, 0}};

		request.key.size = (size_t)snprintf(key, sizeof(key), "k%d", i);
		engine_lookup(engine, &request, now, NULL, on_answer, &answers[i]);
	}
	ck_assert_uint_eq(engine_pending(engine), MANY + MANY); /* lookups and questions */
	while (engine_pending(engine))
		now = tick(now);
	for (int i = 0; i < MANY; i++) {
		ck_assert_int_eq(answers[i].count, 1);
		ck_assert_int_eq(answers[i].status, i == 7 || i == 499 ? FOUND : NOT_FOUND);
		answer_finish(&answers[i]);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("engine");
	TCase *tcase = tcase_create("engine");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, found_in_order_of_the_forms);
	tcase_add_test(tcase, maps_of_maps);
	tcase_add_test(tcase, members_keep_their_options);
	tcase_add_test(tcase, an_error_ends_the_lookup);
	tcase_add_test(tcase, an_error_of_one_table_ends_the_lookup);
	tcase_add_test(tcase, a_result_that_cannot_be_given_is_an_error);
	tcase_add_test(tcase, unknown_map);
	tcase_add_test(tcase, keys_that_cannot_be_asked);
	tcase_add_test(tcase, a_key_of_too_many_parts);
	tcase_add_test(tcase, waits_for_a_lock);
	tcase_add_test(tcase, one_deadline_for_all_forms);
	tcase_add_test(tcase, sources_do_not_wait_for_each_other);
	tcase_add_test(tcase, trace);
	tcase_add_test(tcase, counts);
	tcase_add_test(tcase, what_is_broken_is_said_once);
	tcase_add_test(tcase, what_fails_is_said_once);
	tcase_add_test(tcase, checks_every_statement);
	tcase_add_test(tcase, rests_what_was_asked);
	tcase_add_test(tcase, an_answer_may_ask);
	tcase_add_test(tcase, many_lookups_at_a_time);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
