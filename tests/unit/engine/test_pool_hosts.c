/*
 * The pool's hosts: which one is asked, what becomes of one that is down, and how it comes back.
 */
#include "support/pool.h"

#include <fcntl.h>

static struct call calls[100];

static size_t links_to(const char *host)
{
	const struct link *link;
	size_t count = 0;

	DL_FOREACH (fake.links, link) {
		count += !link->opening && strcmp(link->host, host) == 0;
	}
	return count;
}

/* The first opening works, or fails; returns the host it went to. */
static const char *next_opening(const char *refusal)
{
	static char host[sizeof(((struct link *)0)->host)];
	struct link *link = stage_find(true, false);
	unsigned number;

	ck_assert_ptr_nonnull(link);
	number = link->number;
	link_opened(&fake, link, refusal);
	DL_FOREACH (fake.links, link) {
		if (link->number == number)
			snprintf(host, sizeof(host), "%s", link->host);
	}
	stage_turn();
	return refusal ? "(refused)" : host;
}

static void ask_one(const char *key, enum status status)
{
	call_begin(&calls[0], key);
	stage_settle();
	call_end(&calls[0], status);
}

static void ask_at_once(const char *key, const char *why)
{
	call_begin(&calls[0], key);
	ck_assert_str_eq(calls[0].why.text, why);
	call_end(&calls[0], TRY_LATER);
}

/* Waits for the next opening. Returns how long that was. */
static uint64_t wait_for_opening(void)
{
	uint64_t start = fake.now;

	while (!stage_find(true, false)) {
		ck_assert_uint_lt(fake.now - start, 100000);
		stage_pass(1);
	}
	return fake.now - start;
}

static unsigned count_of(const char *text, const char *part)
{
	unsigned count = 0;

	for (; (text = strstr(text, part)); text++)
		count++;
	return count;
}

/* One host. */

START_TEST(starts_while_the_database_is_down)
{
	stage_start();
	call_begin(&calls[0], "f");
	call_begin(&calls[1], "n");
	stage_turn();
	next_opening("connection refused");
	stage_refuse_all("connection refused");
	ck_assert_str_eq(calls[0].why.text, "source mail: connection refused");
	call_end(&calls[0], TRY_LATER);
	call_end(&calls[1], TRY_LATER);
	ck_assert_int_eq(source.state, SOURCE_DOWN);
	ask_at_once("f", "source mail: connection refused");
	ck_assert_uint_eq(log_captured_lines(&capture), 1);
	assert_contains(
		log_captured(&capture), "<4>source=mail state=down reason=\"connection refused\"");
}
END_TEST

/* It is tried in the background, though nobody asks, with waits that grow to 5 s, and jitter. */
START_TEST(is_probed_until_it_is_back)
{
	uint64_t should = STAGE_RETRY, waited, same = 0;

	stage_start();
	call_begin(&calls[0], "f");
	stage_turn();
	next_opening("refused");
	call_end(&calls[0], TRY_LATER);
	for (int i = 0; i < 20; i++) {
		waited = wait_for_opening();
		ck_assert_uint_ge(waited, should * 3 / 4);
		ck_assert_uint_le(waited, should * 5 / 4 + 1);
		same += waited == should;
		ck_assert_uint_eq(server_links(&fake), 1);
		next_opening("still refused");
		ask_at_once("f", "source mail: still refused");
		should = should * 2 > 5000 ? 5000 : should * 2;
	}
	ck_assert_uint_lt(same, 10);
	ck_assert_uint_eq(log_captured_lines(&capture), 1);
	wait_for_opening();
	next_opening(NULL);
	ck_assert_int_eq(source.state, SOURCE_UP);
	ck_assert_uint_eq(log_captured_lines(&capture), 2);
	assert_contains(log_captured(&capture), "<6>source=mail state=up");
	ask_one("f", FOUND);
}
END_TEST

/* What waits for an opening that takes long is answered by its deadline. */
START_TEST(a_host_that_does_not_answer)
{
	stage_start();
	call_begin(&calls[0], "f");
	stage_pass(3000);
	call_begin(&calls[1], "f");
	stage_turn();
	stage_pass(2000);
	call_end(&calls[0], TRY_LATER);
	ck_assert_int_eq(calls[1].answers, 0);
	stage_refuse_all("timed out");
	call_end(&calls[1], TRY_LATER);
	ck_assert_int_eq(source.state, SOURCE_DOWN);
}
END_TEST

/* Its connections break, and it can't be reached: who waits knows at once. */
START_TEST(goes_down)
{
	stage_start();
	stage_warm_up(2);
	call_begin(&calls[0], "f");
	call_begin(&calls[1], "g");
	stage_turn();
	while (stage_find(false, true))
		link_breaks(&fake, stage_find(false, true), "shut down");
	while (stage_find(false, false))
		link_breaks(&fake, stage_find(false, false), "shut down");
	stage_turn();
	ck_assert_int_eq(source.state, SOURCE_UP);
	stage_refuse_all("refused");
	ck_assert_str_eq(calls[0].why.text, "source mail: refused");
	call_end(&calls[0], TRY_LATER);
	call_end(&calls[1], TRY_LATER);
	ck_assert_int_eq(source.state, SOURCE_DOWN);
	ck_assert_uint_eq(count_of(log_captured(&capture), "state=down"), 1);
}
END_TEST

/* "too many connections": the ones that there are do the work, and a further one is tried rarely.
 */
START_TEST(too_many_connections)
{
	unsigned opens;

	server.batch = 1;
	stage_start();
	stage_warm_up(1);
	for (int i = 0; i < 5; i++)
		call_begin(&calls[i], "n");
	stage_turn();
	opens = fake.asked_opens;
	stage_refuse_all("too many connections");
	for (int i = 0; i < 30; i++) {
		stage_pass(100);
		if (stage_find(true, false))
			next_opening("too many connections");
	}
	ck_assert_uint_ge(fake.asked_opens, opens + 2);
	ck_assert_uint_le(fake.asked_opens, opens + 3);
	ck_assert_int_eq(source.state, SOURCE_UP);
	ck_assert_uint_eq(server_links(&fake), 1);
	while (stage_find(false, true)) {
		link_answers(&fake, stage_find(false, true));
		stage_turn();
		stage_refuse_all("too many connections");
	}
	for (int i = 0; i < 5; i++)
		call_end(&calls[i], NOT_FOUND);
	ck_assert_str_eq(log_captured(&capture), "");
	/* It is no host to be probed either. */
	stage_pass(3000);
	ck_assert_uint_eq(server_links(&fake), 1);
}
END_TEST

START_TEST(without_a_pause_between_probes)
{
	unsigned opens = 0;

	settings.retry_interval = 0;
	stage_start();
	call_begin(&calls[0], "f");
	stage_turn();
	next_opening("refused");
	call_end(&calls[0], TRY_LATER);
	for (uint64_t until = fake.now + 60000; fake.now < until; opens++) {
		wait_for_opening();
		next_opening("refused");
	}
	ck_assert_uint_ge(opens, 10);
	ck_assert_uint_le(opens, 60);
}
END_TEST

START_TEST(the_password_is_read_for_each_connection)
{
	char path[] = "/tmp/tabled-test-XXXXXX";
	int file = mkstemp(path);

	ck_assert_int_ge(file, 0);
	server.password_file = strdup(path);
	stage_start();
	call_begin(&calls[0], "f");
	stage_turn();
	next_opening(NULL); /* the file is empty: the driver is not even asked */
	assert_contains(calls[0].why.text, "source mail: password_file /tmp/tabled-test-");
	assert_contains(calls[0].why.text, "holds no password");
	call_end(&calls[0], TRY_LATER);
	fake.opened--;
	fake.refused++;
	ck_assert_int_eq(write(file, "secret\n", 7), 7);
	close(file);
	wait_for_opening();
	next_opening(NULL);
	ck_assert_str_eq(fake.links->password, "secret");
	ck_assert_ptr_null(strstr(log_captured(&capture), "secret"));
	unlink(path);
	ask_one("f", FOUND);
}
END_TEST

START_TEST(an_address_is_taken_apart)
{
	static const char *const from[] = {"db.example:5433", "db.example", "[::1]:5", "/run/db"};
	static const char *const to[] = {"db.example:5433", "db.example:0", "::1:5", "/run/db:0"};

	stage_start_with(from[_i], ORDER_RANDOM);
	call_begin(&calls[0], "f");
	stage_turn();
	ck_assert_str_eq(next_opening(NULL), to[_i]);
	ck_assert_str_eq(fake.links->password, "(none)");
	stage_settle();
	call_end(&calls[0], FOUND);
}
END_TEST

/* Several hosts. */

START_TEST(the_first_is_asked)
{
	stage_start_with("one two three", ORDER_FIRST);
	stage_warm_up(5);
	ck_assert_uint_eq(links_to("one:0"), 5);
}
END_TEST

START_TEST(any_is_asked)
{
	server.pool = 40;
	stage_start_with("one two", ORDER_RANDOM);
	stage_warm_up(40);
	ck_assert_uint_ge(links_to("one:0"), 2);
	ck_assert_uint_ge(links_to("two:0"), 2);
	ck_assert_uint_eq(links_to("one:0") + links_to("two:0"), 40);
}
END_TEST

/* The nearest is the one that connects fastest, once both are known. */
START_TEST(the_nearest_is_asked)
{
	stage_start_with("far near", ORDER_NEAREST);
	call_begin(&calls[0], "f");
	stage_turn();
	fake.took = 2000;
	ck_assert_str_eq(next_opening(NULL), "far:0");
	/* The other is tried in the background. */
	stage_pass(1);
	fake.took = 500;
	ck_assert_str_eq(next_opening(NULL), "near:0");
	stage_settle();
	call_end(&calls[0], FOUND);
	stage_pass(1);
	ck_assert_uint_eq(links_to("far:0"), 0);
	fake.took = 600;
	stage_warm_up(3);
	ck_assert_uint_eq(links_to("near:0"), 3);
	ck_assert_str_eq(log_captured(&capture), "");
}
END_TEST

/* The one that is down is left out, and nobody has to wait for it. */
START_TEST(the_next_host_is_asked)
{
	stage_start_with("one two", ORDER_FIRST);
	call_begin(&calls[0], "f");
	stage_turn();
	next_opening("refused");
	ck_assert_str_eq(next_opening(NULL), "two:0");
	stage_settle();
	call_end(&calls[0], FOUND);
	ck_assert_int_eq(source.state, SOURCE_UP);
	ck_assert_uint_eq(log_captured_lines(&capture), 1);
	assert_contains(log_captured(&capture),
		"<4>source=mail host=one state=down reason=\"refused\": left out until it is back");
	for (int i = 0; i < 10; i++) {
		wait_for_opening();
		ask_one("f", FOUND); /* which opens it: settle lets all openings work */
		if (links_to("one:0"))
			break;
	}
	ck_assert_uint_eq(links_to("one:0"), 1);
}
END_TEST

/* The preferred host is back: idle connections to others go at once, busy ones when they are done.
 */
START_TEST(comes_back_to_the_first)
{
	stage_start_with("one two", ORDER_FIRST);
	call_begin(&calls[0], "f");
	stage_turn();
	next_opening("refused");
	next_opening(NULL);
	stage_turn();
	call_begin(&calls[1], "f");
	stage_turn();
	wait_for_opening();
	while (stage_find(true, false))
		next_opening(stage_status().live < 2 ? NULL : "refused");
	/* One is busy with calls[0]; whatever was opened beside it went to one host or the other.
	 */
	for (int i = 0; i < 20 && !links_to("one:0"); i++) {
		wait_for_opening();
		next_opening(NULL);
	}
	ck_assert_uint_eq(links_to("one:0"), 1);
	assert_contains(log_captured(&capture), "<6>source=mail host=one state=up");
	stage_settle();
	call_end(&calls[0], FOUND);
	call_end(&calls[1], FOUND);
	ck_assert_uint_eq(links_to("two:0"), 0);
	ck_assert_uint_eq(fake.cancelled, 0);
	ask_one("f", FOUND);
	ck_assert_uint_eq(links_to("two:0"), 0);
}
END_TEST

/* With all of them down it is one line for each, and one for the source; and so when they are up.
 */
START_TEST(all_hosts_down)
{
	const char *log;

	stage_start_with("one two three", ORDER_RANDOM);
	call_begin(&calls[0], "f");
	stage_turn();
	next_opening("refused");
	ck_assert_int_eq(calls[0].answers, 0);
	next_opening("refused");
	ck_assert_int_eq(calls[0].answers, 0);
	next_opening("refused, too");
	ck_assert_str_eq(calls[0].why.text, "source mail: refused, too");
	call_end(&calls[0], TRY_LATER);
	ask_at_once("f", "source mail: refused, too");
	for (int i = 0; i < 30; i++) {
		wait_for_opening();
		next_opening("refused");
	}
	ck_assert_uint_eq(log_captured_lines(&capture), 4);
	while (log_captured_lines(&capture) < 8) {
		wait_for_opening();
		next_opening(NULL);
	}
	log = log_captured(&capture);
	ck_assert_uint_eq(count_of(log, "source=mail state=down"), 1);
	ck_assert_uint_eq(count_of(log, "source=mail state=up"), 1);
	ck_assert_uint_eq(count_of(log, "host=two state=down"), 1);
	ck_assert_uint_eq(count_of(log, "host=two state=up"), 1);
	ask_one("f", FOUND);
	stage_pass(20000);
	ck_assert_uint_eq(log_captured_lines(&capture), 8);
}
END_TEST

/* A probe has its place within the pool: an idle connection gives way; busy ones don't. */
START_TEST(probes_stay_within_the_pool)
{
	server.pool = 2;
	server.batch = 1;
	settings.query_timeout = 50000;
	stage_start_with("one two", ORDER_FIRST);
	call_begin(&calls[0], "f");
	call_begin(&calls[1], "f");
	stage_turn();
	next_opening("refused");
	next_opening("refused");
	next_opening(NULL);
	stage_pass(2000);
	stage_open_all(); /* whichever, both are busy now */
	ck_assert_uint_eq(stage_status().busy, 2);
	stage_pass(10000);
	ck_assert_uint_eq(server_links(&fake), 2);
	ck_assert_uint_eq(stage_status().busy, 2);
	stage_settle();
	call_end(&calls[0], FOUND);
	call_end(&calls[1], FOUND);
	ck_assert_uint_eq(fake.most, 2);
}
END_TEST

/* A host that is down does not cost a small pool its only connection, over and over again. */
START_TEST(a_pool_of_one_keeps_its_connection)
{
	server.pool = 1;
	stage_start_with("one two", ORDER_FIRST);
	call_begin(&calls[0], "f");
	stage_turn();
	next_opening("refused");
	ck_assert_str_eq(next_opening(NULL), "two:0");
	stage_settle();
	call_end(&calls[0], FOUND);
	for (int i = 0; i < 100; i++) {
		stage_pass(100);
		ck_assert_uint_eq(stage_status().live, 1);
		call_begin(&calls[0], "f");
		stage_turn();
		link_answers(&fake, stage_find(false, true));
		call_end(&calls[0], FOUND);
	}
}
END_TEST

/* One question that gets no answer from a host is asked of another, in time. */
START_TEST(a_slow_host_is_left)
{
	stage_start_with("one two", ORDER_FIRST);
	stage_warm_up(2);
	call_begin(&calls[0], "f");
	stage_pass(STAGE_TIMEOUT / 2 - 1);
	ck_assert_uint_eq(links_to("one:0"), 2);
	stage_pass(1);
	/* The idle one to it is given up with it. */
	ck_assert_uint_eq(links_to("one:0"), 0);
	ck_assert_uint_eq(fake.cancelled, 1);
	ck_assert_str_eq(next_opening(NULL), "two:0");
	link_answers(&fake, stage_find(false, true));
	call_end(&calls[0], FOUND);
	assert_contains(log_captured(&capture), "host=one: a query for 1 keys took more than");
}
END_TEST

/* … and is not left for good: it is tried again, and then preferred again. */
START_TEST(a_slow_host_comes_back)
{
	stage_start_with("one two", ORDER_FIRST);
	stage_warm_up(1);
	call_begin(&calls[0], "f");
	stage_pass(STAGE_TIMEOUT / 2);
	ck_assert_str_eq(next_opening(NULL), "two:0");
	stage_settle();
	call_end(&calls[0], FOUND);
	wait_for_opening();
	ck_assert_str_eq(next_opening(NULL), "one:0");
	ck_assert_uint_eq(links_to("two:0"), 0);
	stage_pass(20000);
	ask_one("f", FOUND);
	ck_assert_uint_eq(server_links(&fake), 1);
	ck_assert_uint_eq(links_to("one:0"), 1);
}
END_TEST

/* As a pooler does that lets everybody in, though the database behind it is gone. */
START_TEST(a_host_that_loses_what_it_is_asked)
{
	stage_start_with("one two", ORDER_FIRST);
	for (int round = 0; round < 5; round++) {
		call_begin(&calls[0], "f");
		for (int i = 0; i < 20 && !calls[0].answers; i++) {
			struct link *link;

			stage_turn();
			stage_open_all();
			link = stage_find(false, true);
			if (!link)
				continue;
			if (strcmp(link->host, "one:0") == 0)
				link_breaks(&fake, link, "server login failed");
			else
				link_answers(&fake, link);
		}
		call_end(&calls[0], FOUND);
		stage_turn();
		stage_pass(500);
		stage_open_all();
	}
}
END_TEST

/* The only other host is down: there is nobody to move to, so all of the time is used. */
START_TEST(no_host_to_move_to)
{
	stage_start_with("one two", ORDER_FIRST);
	call_begin(&calls[0], "f");
	stage_turn();
	next_opening("refused");
	next_opening(NULL);
	stage_settle();
	call_end(&calls[0], FOUND);
	call_begin(&calls[0], "f");
	stage_turn();
	for (int i = 0; i < STAGE_TIMEOUT / 100 - 1; i++) {
		stage_pass(100);
		stage_refuse_all("refused");
		ck_assert_uint_eq(fake.cancelled, 0);
	}
	link_answers(&fake, stage_find(false, true));
	call_end(&calls[0], FOUND);
}
END_TEST

/* Probing goes on for a host that is down while the others were idle for long and are closed. */
START_TEST(a_host_that_is_down_is_not_forgotten)
{
	stage_start_with("one two", ORDER_FIRST);
	call_begin(&calls[0], "f");
	stage_turn();
	next_opening("refused");
	next_opening(NULL);
	stage_settle();
	call_end(&calls[0], FOUND);
	for (int i = 0; i < 700; i++) {
		stage_pass(100);
		stage_refuse_all("refused");
	}
	ck_assert_uint_eq(server_links(&fake), 0);
	stage_pass(60000);
	stage_open_all();
	call_begin(&calls[0], "f");
	stage_settle();
	call_end(&calls[0], FOUND);
	for (int i = 0; i < 20 && !links_to("one:0"); i++) {
		stage_pass(1000);
		stage_open_all();
	}
	ck_assert_uint_eq(links_to("one:0"), 1);
	ck_assert_uint_eq(links_to("two:0"), 0);
}
END_TEST

static TCase *add_case(Suite *suite, const char *name)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, stage_begin, stage_end);
	suite_add_tcase(suite, tcase);
	return tcase;
}

int main(void)
{
	Suite *suite = suite_create("pool_hosts");
	TCase *one = add_case(suite, "one"), *several = add_case(suite, "several");

	tcase_add_test(one, starts_while_the_database_is_down);
	tcase_add_test(one, is_probed_until_it_is_back);
	tcase_add_test(one, a_host_that_does_not_answer);
	tcase_add_test(one, goes_down);
	tcase_add_test(one, too_many_connections);
	tcase_add_test(one, without_a_pause_between_probes);
	tcase_add_test(one, the_password_is_read_for_each_connection);
	tcase_add_loop_test(one, an_address_is_taken_apart, 0, 4);
	tcase_add_test(several, the_first_is_asked);
	tcase_add_test(several, any_is_asked);
	tcase_add_test(several, the_nearest_is_asked);
	tcase_add_test(several, the_next_host_is_asked);
	tcase_add_test(several, comes_back_to_the_first);
	tcase_add_test(several, all_hosts_down);
	tcase_add_test(several, probes_stay_within_the_pool);
	tcase_add_test(several, a_pool_of_one_keeps_its_connection);
	tcase_add_test(several, a_slow_host_is_left);
	tcase_add_test(several, a_slow_host_comes_back);
	tcase_add_test(several, a_host_that_loses_what_it_is_asked);
	tcase_add_test(several, no_host_to_move_to);
	tcase_add_test(several, a_host_that_is_down_is_not_forgotten);
	return unit_run(suite);
}
