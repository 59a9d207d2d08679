/*
 * Lookups over database servers, alone and beside other databases: all forms of a key are asked at
 * once, and judged in their order all the same.
 */
#include "engine/engine.h"

#include "support/log.h"
#include "support/map.h"
#include "support/server_fake.h"
#include "support/text.h"

enum { START = 1000000, TIMEOUT = 5000 };

static struct setup setup;
static struct server_settings server;
static struct server_fake mail, other; /* servers … */
static struct fake local;              /* … and none */
static struct engine *engine;
static struct cache *cache;
static struct log_capture capture;

/* A lookup's answer. */
struct answer {
	int count;
	enum status status;
	struct buf text;
};

static struct answer answer;

static void on_answer(void *owner, const struct reply *reply)
{
	struct answer *answered = owner;

	answered->count++;
	answered->status = reply->status;
	buf_clear(&answered->text);
	buf_add_slice(&answered->text, reply->text);
}

static void answer_finish(struct answer *answered)
{
	buf_finish(&answered->text);
	*answered = (struct answer){0};
}

static void add_server(const char *name, struct server_fake *fake)
{
	setup_source(&setup, name, &server_backend, fake);
	setup.sources[setup.source_count - 1].server = &server;
	server_fake_init(fake, 64);
	fake->now = START;
}

static void begin(void)
{
	server = (struct server_settings){0};
	settings_init(server_setting_table, &server);
	server.pool = 1;
	local = (struct fake){0};
	setup_begin(&setup);
	add_server("mail", &mail);
	add_server("other", &other);
	setup_source(&setup, "local", &fake_backend, &local);
	log_capture_begin(&capture);
}

static void start(void)
{
	ck_assert_msg(setup_compile(&setup), "%s", setup.why.text);
	mail.batch_most = other.batch_most = (size_t)server.batch;
	other.network = &mail;
	cache = cache_create(1 << 20);
	engine = engine_create(setup.catalog, cache, NULL, &mail.connector);
}

static void turn(void)
{
	for (int i = 0; i < 10; i++) {
		engine_rest(engine, mail.now);
		if (engine_next(engine) > mail.now)
			return;
		engine_tick(engine, mail.now);
	}
	ck_abort_msg("the engine never lets the loop sleep");
}

static struct link *find(bool opening, bool busy)
{
	struct link *link;

	DL_FOREACH (mail.links, link) {
		if (link->opening == opening && (link->batch != NULL) == busy)
			return link;
	}
	return NULL;
}

static void open_all(void)
{
	struct link *link;

	turn();
	while ((link = find(true, false))) {
		link_opened(&mail, link, NULL);
		turn();
	}
}

static void settle(void)
{
	struct link *link;

	open_all();
	while ((link = find(false, true))) {
		link_answers(&mail, link);
		open_all();
	}
}

/* Everybody who waits is answered, and nothing stays behind. */
static void end(void)
{
	struct link *link;

	engine_abandon(engine);
	while ((link = find(true, false)))
		link_opened(&mail, link, "the test is over");
	ck_assert_uint_eq(engine_pending(engine), 0);
	engine_destroy(engine);
	cache_destroy(cache);
	engine = NULL;
	setup_end(&setup);
	log_capture_end(&capture);
	answer_finish(&answer);
	server_fake_finish(&mail);
	buf_finish(&other.asked);
	buf_finish(&local.asked);
	settings_finish(server_setting_table, &server);
}

static void pass(uint64_t ms)
{
	uint64_t until = mail.now + ms;

	while (engine_next(engine) <= until) {
		mail.now = engine_next(engine);
		turn();
	}
	mail.now = until;
	turn();
}

static void ask_into(struct answer *into, const char *map, const char *key)
{
	const struct request request = {slice_str(map), slice_str(key)};

	engine_lookup(engine, &request, mail.now, NULL, on_answer, into);
}

static void ask(const char *map, const char *key)
{
	answer_finish(&answer);
	ask_into(&answer, map, key);
}

static void assert_answer(enum status status, const char *text)
{
	ck_assert_int_eq(answer.count, 1);
	ck_assert_msg(answer.status == status, "%s: %s", status_text(answer.status),
		buf_string(&answer.text));
	assert_slice(buf_slice(&answer.text), text);
}

#define LIST(list, ...)                                                                            \
	do {                                                                                       \
		static const char *const keys_[] = {__VA_ARGS__, NULL};                            \
		list = keys_;                                                                      \
	} while (0)

/* transport_maps: the address, the address without its extension, the domain, its parents. */
static void start_transport(void)
{
	setup_map(&setup, "transport_maps", "mail", "SELECT a FROM t WHERE b = '%s'");
	start();
	LIST(mail.found, "nothing");
	LIST(mail.poison, "nothing");
}

START_TEST(all_forms_are_asked_at_once)
{
	start_transport();
	LIST(mail.found, "d.ex");
	ask("transport_maps", "U+X@D.Ex");
	ck_assert_int_eq(answer.count, 0);
	ck_assert_uint_eq(engine_pending(engine), 1 + 4); /* the lookup and its questions */
	settle();
	assert_answer(FOUND, "0:d.ex");
	assert_buf(&mail.asked, "u+x@d.ex,u@d.ex,d.ex,.ex ");
	ck_assert_uint_eq(engine_pending(engine), 0);
	ask("transport_maps", "u+x@d.ex");
	LIST(mail.found, "u@d.ex", "d.ex", ".ex");
	settle();
	assert_answer(FOUND, "0:u@d.ex");
	ask("transport_maps", "u+x@d.ex");
	LIST(mail.found, "other");
	settle();
	assert_answer(NOT_FOUND, "not found");
}
END_TEST

START_TEST(lookups_share_a_query)
{
	struct answer answers[20] = {0};

	start_transport();
	LIST(mail.found, "d.ex", "e.ex");
	for (int i = 0; i < 20; i++)
		ask_into(&answers[i], "transport_maps", i % 2 ? "a@d.ex" : "b@e.ex");
	settle();
	ck_assert_uint_eq(mail.started, 1);
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(answers[i].count, 1);
		assert_slice(buf_slice(&answers[i].text), i % 2 ? "0:d.ex" : "0:e.ex");
		answer_finish(&answers[i]);
	}
}
END_TEST

/* The connection that was asked this key. */
static struct link *asked(const char *key)
{
	struct link *link;

	DL_FOREACH (mail.links, link) {
		if (link->batch && slice_equal(link->batch->questions[0].params[0], slice_str(key)))
			return link;
	}
	ck_abort_msg("%s is not being asked", key);
}

/* The domain is asked beside the forms, and heard of when nobody waits any more. */
START_TEST(a_domain_is_asked_for_later)
{
	server.pool = 2;
	server.batch = 1;
	setup_map(&setup, "virtual_alias_maps", "mail", "SELECT a FROM t WHERE b = '%s'");
	setup_map(&setup, "virtual_alias_domains", "mail", "SELECT a FROM d WHERE b = '%s'");
	setup_set(&setup, "ttl", "1h");
	start();
	LIST(mail.found, "d.ex");
	LIST(mail.poison, "nothing");
	ask("virtual_alias_maps", "u@d.ex");
	open_all();
	link_answers(&mail, asked("@d.ex"));
	turn();
	assert_buf(&mail.asked, "u@d.ex @d.ex d.ex ");
	ck_assert_int_eq(answer.count, 0);
	link_answers(&mail, asked("u@d.ex"));
	assert_answer(NOT_FOUND, "not found");
	ck_assert_uint_ne(engine_pending(engine), 0);
	settle();
	ck_assert_uint_eq(engine_pending(engine), 0);
	ask("virtual_alias_domains", "d.ex");
	assert_answer(FOUND, "1:d.ex");
}
END_TEST

/* A later form's answer may come first: it has to wait for those before it. */
START_TEST(judged_in_their_order)
{
	server.pool = 2;
	server.batch = 1;
	start_transport();
	LIST(mail.found, "u@d.ex", "d.ex");
	ask("transport_maps", "u@d.ex");
	open_all();
	assert_buf(&mail.asked, "u@d.ex d.ex ");
	link_answers(&mail, asked("d.ex"));
	turn();
	ck_assert_int_eq(answer.count, 0);
	link_answers(&mail, asked("u@d.ex"));
	assert_answer(FOUND, "0:u@d.ex");
	settle();
	ck_assert_uint_eq(engine_pending(engine), 0);
}
END_TEST

/* Once it is known that the earlier form is found, nobody cares for the later one. */
START_TEST(poison_in_a_later_form_does_no_harm)
{
	start_transport();
	LIST(mail.found, "u@d.ex");
	LIST(mail.poison, "d.ex");
	ask("transport_maps", "u@d.ex");
	open_all();
	link_answers(&mail, find(false, true)); /* it is split */
	turn();
	ck_assert_int_eq(answer.count, 0);
	assert_buf(&mail.asked, "u@d.ex,d.ex,.ex u@d.ex,d.ex ");
	settle();
	assert_answer(FOUND, "0:u@d.ex");
	/* What waited is withdrawn. */
	assert_buf(&mail.asked, "u@d.ex ");
	ck_assert_uint_eq(engine_pending(engine), 0);
	ck_assert_str_eq(log_captured(&capture), "");
}
END_TEST

/* What follows an error is not known to be the right answer, though it is known. */
START_TEST(an_earlier_error_ends_it)
{
	start_transport();
	LIST(mail.found, "d.ex", ".ex");
	LIST(mail.poison, "u@d.ex");
	ask("transport_maps", "u@d.ex");
	settle();
	assert_answer(BROKEN, "this key is poison");
	ck_assert_uint_eq(engine_pending(engine), 0);
	ck_assert_uint_eq(log_captured_lines(&capture), 1);
	assert_contains(log_captured(&capture),
		"map=transport_maps source=mail: lookup failed: this key is "
		"poison");
}
END_TEST

START_TEST(a_later_error_ends_it_if_nothing_is_found)
{
	start_transport();
	LIST(mail.found, ".ex");
	LIST(mail.poison, "d.ex");
	ask("transport_maps", "u@d.ex");
	settle();
	assert_answer(BROKEN, "this key is poison");
}
END_TEST

/* The client is answered; the search lives on until its last question has come back. */
START_TEST(late_answers)
{
	server.pool = 2;
	server.batch = 1;
	start_transport();
	LIST(mail.found, "u@d.ex", "d.ex");
	ask("transport_maps", "u@d.ex");
	open_all();
	link_answers(&mail, asked("u@d.ex"));
	assert_answer(FOUND, "0:u@d.ex");
	ck_assert_uint_eq(engine_pending(engine), 1);
	/* Meanwhile others come and go. */
	ask("transport_maps", "e.ex");
	LIST(mail.found, "e.ex");
	turn();
	link_answers(&mail, asked("e.ex"));
	assert_answer(FOUND, "0:e.ex");
	ck_assert_uint_eq(engine_pending(engine), 1);
	link_answers(&mail, asked("d.ex"));
	ck_assert_int_eq(answer.count, 1);
	ck_assert_uint_eq(engine_pending(engine), 0);
}
END_TEST

/* What was out is asked again for nobody, and ends the search all the same. */
START_TEST(the_connection_is_lost_after_the_answer)
{
	server.pool = 2;
	server.batch = 1;
	start_transport();
	LIST(mail.found, "u@d.ex");
	ask("transport_maps", "u@d.ex");
	open_all();
	link_answers(&mail, asked("u@d.ex"));
	assert_answer(FOUND, "0:u@d.ex");
	link_breaks(&mail, asked("d.ex"), "gone");
	settle();
	ck_assert_int_eq(answer.count, 1);
	ck_assert_uint_eq(engine_pending(engine), 0);
}
END_TEST

/* The time is the lookup's, of all its forms and tables. */
START_TEST(answered_by_the_deadline)
{
	start_transport();
	ask("transport_maps", "u@d.ex");
	open_all();
	pass(TIMEOUT - 1);
	open_all();
	ck_assert_int_eq(answer.count, 0);
	pass(1);
	ck_assert_int_eq(answer.count, 1);
	ck_assert_int_eq(answer.status, TRY_LATER);
	ck_assert_uint_eq(engine_pending(engine) - (find(true, false) != NULL), 0);
	open_all();
	ask("transport_maps", "u@d.ex");
	LIST(mail.found, "u@d.ex");
	settle();
	assert_answer(FOUND, "0:u@d.ex");
}
END_TEST

START_TEST(down)
{
	start_transport();
	ask("transport_maps", "u@d.ex");
	turn();
	link_opened(&mail, find(true, false), "connection refused");
	assert_answer(TRY_LATER, "source mail: connection refused");
	for (int i = 0; i < 10; i++) {
		ask("transport_maps", "u@d.ex");
		assert_answer(TRY_LATER, "source mail: connection refused");
	}
	ck_assert_uint_eq(engine_pending(engine), 0);
	/* The source has said so; the lookups don't say it again. */
	ck_assert_uint_eq(log_captured_lines(&capture), 1);
}
END_TEST

/* More forms than are asked at a time. */
START_TEST(many_forms)
{
	char key[200];

	setup_map(&setup, "relay_domains", "mail", "SELECT a FROM t WHERE b = '%s'");
	start();
	for (size_t i = 0; i < sizeof(key) - 1; i++)
		key[i] = i % 2 ? '.' : 'a';
	key[sizeof(key) - 1] = '\0';
	key[sizeof(key) - 2] = 'z';
	LIST(mail.poison, "nothing");
	LIST(mail.found, "z");
	ask("relay_domains", key);
	settle();
	ck_assert_int_eq(answer.count, 1);
	ck_assert_uint_ge(mail.started, 2);
	ck_assert_int_ne(answer.status, TRY_LATER);
	ck_assert_uint_eq(engine_pending(engine), 0);
	LIST(mail.found, "nothing");
	ask("relay_domains", key);
	settle();
	ck_assert_int_eq(answer.count, 1);
	ck_assert_int_ne(answer.status, FOUND);
}
END_TEST

/* Maps made of tables on different databases. */
static void start_mixed(const char *maps)
{
	setup_map(&setup, "on_server", "mail", "SELECT a FROM s WHERE b = '%s'");
	setup_map(&setup, "on_local", "local", "l '%s'");
	setup_map(&setup, "on_other", "other", "SELECT a FROM o WHERE b = '%s'");
	setup_map(&setup, "relay_domains", NULL, NULL);
	setup_set(&setup, "maps", maps);
	start();
	LIST(mail.found, "nothing");
	LIST(mail.poison, "nothing");
	LIST(other.found, "nothing");
	LIST(other.poison, "nothing");
}

#define LOCAL_ROWS(...)                                                                            \
	do {                                                                                       \
		static const struct fake_row rows_[] = {__VA_ARGS__};                              \
		local.rows = rows_;                                                                \
		local.row_count = sizeof(rows_) / sizeof(rows_[0]);                                \
	} while (0)

/* What is found in the first table needs no other. */
START_TEST(local_before_server)
{
	start_mixed("on_local|on_server");
	LOCAL_ROWS({"d.ex", "local"});
	LIST(mail.found, "d.ex", "e.ex");
	ask("relay_domains", "d.ex");
	assert_answer(FOUND, "local");
	turn();
	ck_assert_uint_eq(mail.started, 0);
	ck_assert_uint_eq(mail.asked_opens, 0);
	ck_assert_uint_eq(engine_pending(engine), 0);
	ask("relay_domains", "e.ex");
	settle();
	assert_answer(FOUND, "0:e.ex");
}
END_TEST

/* What may not be needed is not asked of a database that is asked inline. */
START_TEST(server_before_local)
{
	start_mixed("on_server|on_local");
	LOCAL_ROWS({"d.ex", "local"}, {"e.ex", "local"});
	LIST(mail.found, "d.ex");
	ask("relay_domains", "d.ex");
	settle();
	assert_answer(FOUND, "0:d.ex");
	assert_buf(&local.asked, "");
	ask("relay_domains", "e.ex");
	settle();
	assert_answer(FOUND, "local");
	assert_buf(&local.asked, "e.ex ");
}
END_TEST

/* The local database is locked: the server may have answered long before it counts. */
START_TEST(local_is_locked)
{
	start_mixed("on_local|on_server");
	fake_play(&local, {BUSY, 0, "locked"}, {BUSY, 0, "locked"}, {DONE, FOUND, "local"});
	LIST(mail.found, "d.ex");
	ask("relay_domains", "d.ex");
	settle();
	ck_assert_int_eq(answer.count, 0);
	pass(100);
	assert_answer(FOUND, "local");
	ck_assert_uint_eq(engine_pending(engine), 0);
}
END_TEST

START_TEST(local_is_broken)
{
	start_mixed("on_local|on_server");
	fake_play(&local, {DONE, BROKEN, "no such table"});
	LIST(mail.found, "d.ex");
	ask("relay_domains", "d.ex");
	assert_answer(BROKEN, "no such table");
	settle();
	ck_assert_uint_eq(engine_pending(engine), 0);
}
END_TEST

/* The server is down, and comes first: what the local one has is not the answer. */
START_TEST(server_is_down_before_local)
{
	start_mixed("on_server|on_local");
	LOCAL_ROWS({"d.ex", "local"});
	ask("relay_domains", "d.ex");
	turn();
	link_opened(&mail, find(true, false), "refused");
	assert_answer(TRY_LATER, "source mail: refused");
	assert_buf(&local.asked, "");
	ask("relay_domains", "d.ex");
	assert_answer(TRY_LATER, "source mail: refused");
}
END_TEST

/* It is down, and comes last: what was found before is the answer. */
START_TEST(server_is_down_behind_local)
{
	start_mixed("on_local|on_server");
	LOCAL_ROWS({"d.ex", "local"});
	ask("relay_domains", "e.ex");
	turn();
	link_opened(&mail, find(true, false), "refused");
	assert_answer(TRY_LATER, "source mail: refused");
	ask("relay_domains", "d.ex");
	assert_answer(FOUND, "local");
}
END_TEST

/* Both servers are asked at once, each for all forms. */
START_TEST(two_servers)
{
	start_mixed("on_server|on_other");
	LIST(mail.found, "ex");
	ask("relay_domains", "d.ex");
	turn();
	ck_assert_uint_eq(server_links(&mail), 2);
	settle();
	assert_answer(FOUND, "0:ex");
	assert_buf(&mail.asked, "d.ex,ex ");
	assert_buf(&other.asked, "d.ex,ex ");
	LIST(other.found, "d.ex");
	ask("relay_domains", "d.ex");
	settle();
	assert_answer(FOUND, "2:d.ex");
	ck_assert_uint_eq(engine_pending(engine), 0);
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
	const struct request request = {slice_str("relay_domains"), slice_str("d.ex")};

	start_mixed("on_server|on_local|on_other");
	LIST(other.found, "d.ex");
	LIST(mail.found, "ex");
	engine_lookup(engine, &request, mail.now, &steps.trace, on_answer, &answer);
	settle();
	assert_answer(FOUND, "2:d.ex");
	/* The later forms were asked; that they were does not matter to anybody. */
	assert_buf(&steps.text, "d.ex on_server: not found\n"
				"d.ex on_local: not found\n"
				"d.ex on_other: found\n");
	buf_finish(&steps.text);
}
END_TEST

START_TEST(abandoned)
{
	struct answer answers[10] = {0};

	server.batch = 2;
	start_mixed("on_server|on_local|on_other");
	for (int i = 0; i < 10; i++) {
		ask_into(&answers[i], "relay_domains", "d.ex");
		if (i == 5)
			open_all();
	}
	engine_abandon(engine);
	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(answers[i].count, 1);
		ck_assert_int_eq(answers[i].status, TRY_LATER);
		answer_finish(&answers[i]);
	}
	assert_buf(&local.asked, "");
}
END_TEST

START_TEST(abandoned_while_opening)
{
	start_transport();
	ask("transport_maps", "d.ex");
	turn();
	ck_assert_uint_gt(engine_pending(engine), 1);
	engine_abandon(engine);
	ck_assert_int_eq(answer.count, 1);
	/* The thread that opens still holds the engine. */
	ck_assert_uint_eq(engine_pending(engine), 1);
	link_opened(&mail, find(true, false), NULL);
	ck_assert_uint_eq(engine_pending(engine), 0);
}
END_TEST

START_TEST(checks_every_statement)
{
	setup_map(&setup, "one", "mail", "SELECT a FROM t WHERE b = '%s'");
	setup_map(&setup, "two", "mail", "SELECT b, a FROM t WHERE b IN (:keys)");
	setup_map(&setup, "three", "other", "CALL x('%s', '%u')");
	start();
	LIST(mail.poison, "(check)");
	engine_check(engine, mail.now);
	ck_assert_uint_eq(engine_pending(engine), 3);
	settle();
	ck_assert_uint_eq(mail.checked, 2);
	ck_assert_uint_eq(other.checked, 1);
	ck_assert_uint_eq(engine_pending(engine), 0);
	assert_contains(log_captured(&capture), "<3>map=one source=mail: this key is poison");
	assert_contains(log_captured(&capture), "<3>map=two source=mail: this key is poison");
}
END_TEST

/* A server that is away, or hangs, is no mistake of the configuration. */
START_TEST(checks_what_is_down)
{
	setup_map(&setup, "one", "mail", "SELECT a FROM t WHERE b = '%s'");
	setup_map(&setup, "two", "mail", "SELECT b, a FROM t WHERE b IN (:keys)");
	start();
	engine_check(engine, mail.now);
	turn();
	link_opened(&mail, find(true, false), "refused");
	ck_assert_uint_eq(engine_pending(engine), 0);
	ck_assert_uint_eq(log_captured_lines(&capture), 1);
	assert_contains(log_captured(&capture), "source=mail state=down");
}
END_TEST

START_TEST(checks_what_hangs)
{
	setup_map(&setup, "one", "mail", "SELECT a FROM t WHERE b = '%s'");
	setup_map(&setup, "two", "mail", "SELECT b, a FROM t WHERE b IN (:keys)");
	start();
	engine_check(engine, mail.now);
	open_all();
	pass(TIMEOUT);
	open_all();
	ck_assert_uint_eq(engine_pending(engine), 0);
	ck_assert_ptr_null(strstr(log_captured(&capture), "<3>"));
	ask("two", "u@d.ex");
	LIST(mail.found, "u@d.ex");
	settle();
	assert_answer(FOUND, "1:u@d.ex");
}
END_TEST

static int asks_left;

static void ask_more(void *owner, const struct reply *reply)
{
	const struct request request = {slice_str("transport_maps"), slice_str("d.ex")};

	ck_assert_int_eq(reply->status, NOT_FOUND);
	if (--asks_left > 0)
		engine_lookup(engine, &request, mail.now, NULL, ask_more, owner);
}

/* As a client does that has many requests in its queue. */
START_TEST(an_answer_may_ask)
{
	const struct request request = {slice_str("transport_maps"), slice_str("d.ex")};

	asks_left = 50;
	start_transport();
	mail.at_once = true;
	engine_lookup(engine, &request, mail.now, NULL, ask_more, NULL);
	settle();
	ck_assert_int_eq(asks_left, 0);
	ck_assert_uint_eq(mail.started, 50);
	ck_assert_uint_eq(engine_pending(engine), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("search");
	TCase *one = tcase_create("one source"), *several = tcase_create("several sources");

	tcase_add_checked_fixture(one, begin, end);
	tcase_add_test(one, all_forms_are_asked_at_once);
	tcase_add_test(one, lookups_share_a_query);
	tcase_add_test(one, a_domain_is_asked_for_later);
	tcase_add_test(one, judged_in_their_order);
	tcase_add_test(one, poison_in_a_later_form_does_no_harm);
	tcase_add_test(one, an_earlier_error_ends_it);
	tcase_add_test(one, a_later_error_ends_it_if_nothing_is_found);
	tcase_add_test(one, late_answers);
	tcase_add_test(one, the_connection_is_lost_after_the_answer);
	tcase_add_test(one, answered_by_the_deadline);
	tcase_add_test(one, down);
	tcase_add_test(one, many_forms);
	tcase_add_test(one, abandoned_while_opening);
	tcase_add_test(one, an_answer_may_ask);
	suite_add_tcase(suite, one);
	tcase_add_checked_fixture(several, begin, end);
	tcase_add_test(several, local_before_server);
	tcase_add_test(several, server_before_local);
	tcase_add_test(several, local_is_locked);
	tcase_add_test(several, local_is_broken);
	tcase_add_test(several, server_is_down_before_local);
	tcase_add_test(several, server_is_down_behind_local);
	tcase_add_test(several, two_servers);
	tcase_add_test(several, trace);
	tcase_add_test(several, abandoned);
	tcase_add_test(several, checks_every_statement);
	tcase_add_test(several, checks_what_is_down);
	tcase_add_test(several, checks_what_hangs);
	suite_add_tcase(suite, several);
	return unit_run(suite);
}
