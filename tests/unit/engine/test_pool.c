#include "support/pool.h"

/* Most tests ask a few questions by these. */
static struct call calls[300];

static void ask_many(const char *const *keys, size_t count)
{
	for (size_t i = 0; i < count; i++)
		call_begin(&calls[i], keys[i]);
}

/* Asks for each letter of `letters` as a key. */
static void ask_letters(const char *letters)
{
	static const char *const keys[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k",
		"l", "m", "n", "o", "p", "q", "r", "s", "t", "u", "v", "w", "x", "y", "z"};

	for (size_t i = 0; letters[i]; i++)
		call_begin(&calls[i], keys[letters[i] - 'a']);
}

static void end_all(size_t count, enum status status)
{
	for (size_t i = 0; i < count; i++)
		call_end(&calls[i], status);
}

/* Connections. */

START_TEST(opens_when_first_needed)
{
	stage_start();
	stage_turn();
	ck_assert_uint_eq(server_links(&fake), 0);
	ck_assert_int_eq(source.state, SOURCE_UNUSED);
	ck_assert_uint_eq(source_next(&source), UINT64_MAX);
	call_begin(&calls[0], "f");
	ck_assert_uint_eq(server_links(&fake), 0); /* not before the worker rests */
	stage_turn();
	ck_assert_uint_eq(server_links(&fake), 1);
	ck_assert_uint_eq(pool_opening(source.pool), 1);
	ck_assert_uint_eq(source_opening(&source), 1);
	stage_settle();
	call_end(&calls[0], FOUND);
	ck_assert_int_eq(source.state, SOURCE_UP);
	ck_assert_uint_eq(server_links(&fake), 1);
	ck_assert_str_eq(log_captured(&capture), "");
}
END_TEST

START_TEST(an_idle_connection_is_used_again)
{
	stage_start();
	for (int i = 0; i < 5; i++) {
		call_begin(&calls[0], "f");
		stage_settle();
		call_end(&calls[0], FOUND);
	}
	ck_assert_uint_eq(fake.asked_opens, 1);
	ck_assert_uint_eq(stage_status().batches, 5);
	ck_assert_uint_eq(stage_status().questions, 5);
	ck_assert_uint_eq(stage_status().opened, 1);
}
END_TEST

/* Two connections as a rule; more only when somebody has waited for 50 ms, and one at a time. */
START_TEST(grows_while_questions_wait)
{
	server.batch = 1;
	server.pool = 4;
	stage_start();
	ask_letters("abcdeghi");
	stage_turn();
	ck_assert_uint_eq(pool_opening(source.pool), 2);
	stage_open_all();
	ck_assert_uint_eq(server_links(&fake), 2);
	ck_assert_uint_eq(stage_status().waiting, 6);
	stage_pass(49);
	ck_assert_uint_eq(server_links(&fake), 2);
	stage_pass(1);
	ck_assert_uint_eq(server_links(&fake), 3);
	stage_pass(100);
	ck_assert_uint_eq(server_links(&fake), 3); /* till that one is open */
	stage_open_all();
	ck_assert_uint_eq(server_links(&fake), 4);
	stage_pass(1000);
	ck_assert_uint_eq(server_links(&fake), 4);
	stage_settle();
	ck_assert_uint_eq(fake.most, 4);
	end_all(8, NOT_FOUND);
}
END_TEST

START_TEST(one_question_opens_one)
{
	stage_start();
	call_begin(&calls[0], "a");
	stage_turn();
	call_begin(&calls[1], "b");
	stage_turn();
	ck_assert_uint_eq(pool_opening(source.pool), 2);
	call_begin(&calls[2], "c");
	stage_turn();
	ck_assert_uint_eq(pool_opening(source.pool), 2);
	stage_settle();
	end_all(3, NOT_FOUND);
}
END_TEST

START_TEST(a_pool_of_one)
{
	server.pool = 1;
	stage_start();
	ask_letters("abc");
	stage_turn();
	ck_assert_uint_eq(server_links(&fake), 1);
	stage_pass(100);
	ck_assert_uint_eq(server_links(&fake), 1);
	stage_settle();
	end_all(3, NOT_FOUND);
	ck_assert_uint_eq(fake.most, 1);
}
END_TEST

START_TEST(unused_connections_are_closed)
{
	stage_start();
	stage_warm_up(3);
	stage_pass((uint64_t)server.idle_timeout - 1000);
	ck_assert_uint_eq(server_links(&fake), 3);
	call_begin(&calls[0], "a");
	stage_settle();
	call_end(&calls[0], NOT_FOUND);
	stage_pass(1000);
	ck_assert_uint_eq(server_links(&fake), 1);
	stage_pass((uint64_t)server.idle_timeout - 1001);
	ck_assert_uint_eq(server_links(&fake), 1);
	stage_pass(1);
	ck_assert_uint_eq(server_links(&fake), 0);
	ck_assert_uint_eq(source_next(&source), UINT64_MAX);
	ck_assert_int_eq(source.state, SOURCE_UP);
	ck_assert_uint_eq(fake.cancelled, 0);
	call_begin(&calls[0], "a");
	stage_settle();
	call_end(&calls[0], NOT_FOUND);
}
END_TEST

/* The server has closed it, as it may: nobody is hurt, and nobody needs to know. */
START_TEST(an_idle_connection_that_breaks_is_closed)
{
	stage_start();
	stage_warm_up(2);
	link_ready(&fake, fake.links, DONE); /* a notice, say */
	ck_assert_uint_eq(server_links(&fake), 2);
	link_breaks(&fake, fake.links, "");
	stage_turn();
	ck_assert_uint_eq(server_links(&fake), 1);
	call_begin(&calls[0], "f");
	stage_settle();
	call_end(&calls[0], FOUND);
	link_breaks(&fake, fake.links, "");
	stage_turn();
	ck_assert_uint_eq(server_links(&fake), 0);
	ck_assert_int_eq(source.state, SOURCE_UP);
	ck_assert_str_eq(log_captured(&capture), "");
	ck_assert_uint_eq(fake.cancelled, 0);
}
END_TEST

/* A socket is nearly always writable: who watches for it without need never sleeps. */
/* How often the source has rung, and what was answered till then. */
static unsigned bells, answered_at_bell;

static void count_bell(void *owner, uint64_t now)
{
	ck_assert_ptr_eq(owner, &bells);
	ck_assert_uint_eq(now, fake.now);
	bells++;
	answered_at_bell = (unsigned)calls[0].answers;
}

/* Between batches, and behind the answers of one. */
START_TEST(a_bell)
{
	bells = 0;
	stage_start();
	stage_warm_up(1);
	stage_link(1)->rings = true;
	link_ready(&fake, stage_link(1), DONE); /* nobody listens: it stays */
	ck_assert(stage_link(1)->rings);
	source.rang = count_bell;
	source.rang_owner = &bells;
	link_ready(&fake, stage_link(1), DONE);
	ck_assert_uint_eq(bells, 1);
	link_ready(&fake, stage_link(1), DONE);
	ck_assert_uint_eq(bells, 1);
	call_begin(&calls[0], "f");
	stage_turn();
	stage_link(1)->rings = true;
	link_ready(&fake, stage_link(1), WANT_READ);
	ck_assert_uint_eq(bells, 1);
	link_answers(&fake, stage_link(1));
	ck_assert_uint_eq(bells, 2);
	ck_assert_uint_eq(answered_at_bell, 1);
	call_end(&calls[0], FOUND);
	ck_assert_uint_eq(stage_status().live, 1);
}
END_TEST

START_TEST(watches_for_writing_only_while_it_writes)
{
	struct link *link;

	stage_start();
	stage_warm_up(1);
	link = fake.links;
	call_begin(&calls[0], "f");
	stage_turn();
	ck_assert(!link->writing);
	link_ready(&fake, link, WANT_WRITE);
	ck_assert(link->writing);
	link_ready(&fake, link, WANT_READ);
	ck_assert(!link->writing);
	link_ready(&fake, link, WANT_WRITE);
	link_answers(&fake, link); /* the answer came before all was sent */
	stage_turn();
	ck_assert(!link->writing);
	call_end(&calls[0], FOUND);
	call_begin(&calls[0], "f");
	stage_turn();
	link_ready(&fake, link, WANT_WRITE);
	ck_assert(link->writing);
	stage_settle();
	call_end(&calls[0], FOUND);
}
END_TEST

/* Batches. */

START_TEST(questions_gather_between_two_rests)
{
	static const char *const keys[] = {"f1", "n2", "f3", "f1"};

	stage_start();
	stage_warm_up(2);
	ask_many(keys, 4);
	ck_assert_uint_eq(fake.started, 0);
	stage_turn();
	assert_buf(&fake.asked, "f1,n2,f3,f1 ");
	call_begin(&calls[4], "f5");
	call_begin(&calls[5], "f6");
	stage_turn();
	assert_buf(&fake.asked, "f5,f6 ");
	call_begin(&calls[6], "f7");
	call_begin(&calls[7], "f8");
	stage_turn();
	assert_buf(&fake.asked, ""); /* both are busy */
	stage_settle();
	assert_buf(&fake.asked, "f7,f8 ");
	call_end(&calls[1], NOT_FOUND);
	call_end(&calls[0], FOUND);
	for (int i = 2; i < 8; i++)
		call_end(&calls[i], FOUND);
}
END_TEST

START_TEST(a_batch_has_its_limit)
{
	server.batch = 3;
	server.pool = 1;
	stage_start();
	ask_letters("abcdefgh");
	stage_settle();
	assert_buf(&fake.asked, "a,b,c d,e,f g,h ");
	assert_buf(&order, "a b c d e f g h ");
	for (size_t i = 0; i < 8; i++)
		call_end(&calls[i], i == 5 ? FOUND : NOT_FOUND);
}
END_TEST

START_TEST(one_statement_for_a_batch)
{
	stage_start();
	call_begin_of(&calls[0], "f1", &stage_statements[0]);
	call_begin_of(&calls[1], "f2", &stage_statements[1]);
	call_begin_of(&calls[2], "f3", &stage_statements[0]);
	call_begin_of(&calls[3], "f4", &stage_statements[2]);
	call_begin_of(&calls[4], "f5", &stage_statements[1]);
	call_begin_of(&calls[5], "f6", &stage_statements[2]);
	stage_settle();
	/* Whose first has waited longest goes first. */
	assert_buf(&fake.asked, "f1,f3 f2,f5 f4,f6 ");
	end_all(6, FOUND);
}
END_TEST

START_TEST(some_are_asked_alone)
{
	stage_start();
	stage_warm_up(1);
	for (int i = 0; i < 4; i++)
		call_begin_of(&calls[i], "f", &stage_statements[3]);
	stage_settle();
	assert_buf(&fake.asked, "f f f f ");
	end_all(4, FOUND);
}
END_TEST

START_TEST(batch_of_one)
{
	server.batch = 1;
	stage_start();
	ask_letters("abc");
	stage_settle();
	assert_buf(&fake.asked, "a b c ");
	end_all(3, NOT_FOUND);
}
END_TEST

/* A check holds no values, and so is never looked at for them. */
START_TEST(checks_are_asked_alone)
{
	stage_start();
	stage_warm_up(1);
	for (int i = 0; i < 3; i++) {
		call_prepare(&calls[i], "c", &stage_statements[i == 2 ? 2 : 0]);
		calls[i].ask.only_check = true;
		calls[i].ask.question.params = NULL;
		source_ask(&source, &calls[i].ask, fake.now);
	}
	call_begin_of(&calls[3], "f1", &stage_statements[2]);
	call_begin_of(&calls[4], "f2", &stage_statements[2]);
	stage_settle();
	ck_assert_uint_eq(fake.checked, 3);
	assert_buf(&fake.asked, "(check) (check) (check) f1,f2 ");
	end_all(3, NOT_FOUND);
	call_end(&calls[3], FOUND);
	call_end(&calls[4], FOUND);
}
END_TEST

/* One that takes too long is no suspect, since it has no key that could be. */
START_TEST(a_check_may_be_slow)
{
	stage_start();
	stage_warm_up(1);
	for (int i = 0; i < 2; i++) {
		call_prepare(&calls[0], "c", &stage_statements[0]);
		calls[0].ask.only_check = true;
		calls[0].ask.question.params = NULL;
		source_ask(&source, &calls[0].ask, fake.now);
		stage_pass(STAGE_TIMEOUT);
		call_end(&calls[0], TRY_LATER);
		stage_open_all();
	}
	ck_assert_uint_eq(fake.cancelled, 1);
}
END_TEST

/* Poison. */

START_TEST(poison_is_found_by_halves)
{
	server.pool = 1;
	stage_start();
	ask_letters("abcdefghijklmnopq");
	stage_settle();
	for (int i = 0; i < 17; i++)
		call_end(&calls[i], i == 5 ? FOUND : i == 15 ? BROKEN : NOT_FOUND);
	assert_buf(&fake.asked, "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q a,b,c,d,e,f,g,h,i "
				"j,k,l,m,n,o,p,q j,k,l,m n,o,p,q n,o p,q p q ");
	assert_buf(&order, "a b c d e f g h i j k l m n o p q ");
	ck_assert_str_eq(calls[15].why.text, "this key is poison");
	ck_assert_uint_eq(fake.cancelled, 0);
	ck_assert_str_eq(log_captured(&capture), "");
}
END_TEST

/* From then on it is asked alone for a minute, and harms no batch. */
START_TEST(poison_is_a_suspect)
{
	static const char *const keys[] = {"f1", "p", "f2"};

	server.pool = 1;
	stage_start();
	ask_many(keys, 3);
	stage_settle();
	assert_buf(&fake.asked, "f1,p,f2 f1,p f1 p f2 ");
	for (int i = 0; i < 3; i++)
		call_end(&calls[i], i == 1 ? BROKEN : FOUND);
	ask_many(keys, 3);
	stage_settle();
	assert_buf(&fake.asked, "f1,f2 p ");
	for (int i = 0; i < 3; i++)
		call_end(&calls[i], i == 1 ? BROKEN : FOUND);
	stage_pass(60000);
	ask_many(keys, 3);
	stage_settle();
	assert_buf(&fake.asked, "f1,p,f2 f1,p f1 p f2 ");
	for (int i = 0; i < 3; i++)
		call_end(&calls[i], i == 1 ? BROKEN : FOUND);
}
END_TEST

START_TEST(several_poisons_in_a_batch)
{
	static const char *const keys[] = {"p1", "f1", "p2", "p3", "f2", "f3", "f4", "p4"};

	stage_start();
	ask_many(keys, 8);
	stage_settle();
	for (size_t i = 0; i < 8; i++)
		call_end(&calls[i], keys[i][0] == 'p' ? BROKEN : FOUND);
	buf_clear(&fake.asked);
	ask_many(keys, 8);
	stage_settle();
	assert_buf(&fake.asked, "p1 f1,f2,f3,f4 p2 p3 p4 ");
	for (size_t i = 0; i < 8; i++)
		call_end(&calls[i], keys[i][0] == 'p' ? BROKEN : FOUND);
}
END_TEST

/* An error of the query is the answer for all; there is nothing to find out. */
START_TEST(a_wrong_query_is_not_split)
{
	struct link *link;

	stage_start();
	stage_warm_up(1);
	ask_letters("abcd");
	stage_turn();
	link = fake.links;
	ck_assert_int_eq(batch_fail(link->batch, FAULT_QUERY, "no such table"), DONE);
	for (size_t i = 0; i < 4; i++)
		stage_told(&link->batch->questions[i]);
	link_ready(&fake, link, DONE);
	stage_turn();
	ck_assert_uint_eq(fake.started, 1);
	ck_assert_str_eq(calls[3].why.text, "no such table");
	end_all(4, BROKEN);
}
END_TEST

/* Slow suspects take at most a quarter of the pool. */
START_TEST(suspects_leave_room)
{
	static const char *const keys[] = {"p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8"};

	server.pool = 8;
	stage_start();
	ask_many(keys, 8);
	stage_settle();
	end_all(8, BROKEN);
	stage_warm_up(8);
	ask_many(keys, 8);
	stage_turn();
	assert_buf(&fake.asked, "p1 p2 ");
	/* They wait, though connections are idle; and nobody is woken up for it. */
	stage_pass(1000);
	ck_assert_uint_eq(server_links(&fake), 8);
	call_begin(&calls[8], "f");
	stage_turn();
	assert_buf(&fake.asked, "f ");
	stage_settle();
	end_all(8, BROKEN);
	call_end(&calls[8], FOUND);
}
END_TEST

/* They do not make the pool grow either, nor keep the loop awake. */
START_TEST(suspects_open_no_connections)
{
	static const char *const keys[] = {"p1", "p2", "p3", "p4"};

	server.pool = 4;
	server.idle_timeout = 10000;
	stage_start();
	ask_many(keys, 4);
	stage_settle();
	end_all(4, BROKEN);
	stage_pass((uint64_t)server.idle_timeout);
	ck_assert_uint_eq(server_links(&fake), 0);
	buf_clear(&fake.asked);
	ask_many(keys, 4);
	stage_turn();
	stage_open_all();
	stage_pass(2000);
	assert_buf(&fake.asked, "p1 ");
	ck_assert_uint_le(server_links(&fake), 2);
	/* Those that waited till their deadline are answered then. */
	stage_pass(STAGE_TIMEOUT - 2000);
	end_all(4, TRY_LATER);
}
END_TEST

/* What has waited for most of its time would only be cancelled, if it is slow again. */
START_TEST(late_suspects_are_not_asked)
{
	static const char *const keys[] = {"p1", "p2"};

	server.pool = 2;
	stage_start();
	ask_many(keys, 2);
	stage_settle();
	end_all(2, BROKEN);
	buf_clear(&fake.asked);
	ask_many(keys, 2);
	stage_pass(STAGE_TIMEOUT * 3 / 4);
	ck_assert_int_eq(calls[1].answers, 0);
	stage_pass(1);
	call_end(&calls[1], TRY_LATER);
	ck_assert_int_eq(calls[0].answers, 0);
	stage_settle();
	call_end(&calls[0], BROKEN);
	assert_buf(&fake.asked, "p1 ");
}
END_TEST

/* A pool of one or two has room for one. */
START_TEST(suspects_are_asked_in_small_pools)
{
	static const char *const keys[] = {"p1", "p2"};

	server.pool = _i;
	stage_start();
	for (int i = 0; i < 2; i++) {
		ask_many(keys, 2);
		stage_settle();
		end_all(2, BROKEN);
	}
}
END_TEST

/* As when a collation takes keys for the same that differ. */
START_TEST(what_fails_only_together_is_asked_alone)
{
	struct link *link;
	unsigned rounds = 0;

	stage_start();
	stage_warm_up(1);
	while (log_captured_lines(&capture) == 0) {
		ck_assert_uint_lt(++rounds, 100);
		ask_letters("ab");
		stage_turn();
		link = stage_find(false, true);
		link_splits(&fake, link, "a row of another key");
		stage_settle();
		end_all(2, NOT_FOUND);
	}
	ck_assert_uint_ge(rounds, 10);
	assert_contains(log_captured(&capture), "source=mail");
	assert_contains(log_captured(&capture), "one key at a time");
	assert_contains(log_captured(&capture), "a row of another key");
	assert_contains(log_captured(&capture), "q0 $1");
	buf_clear(&fake.asked);
	ask_letters("ab");
	call_begin_of(&calls[2], "c", &stage_statements[1]);
	call_begin_of(&calls[3], "d", &stage_statements[1]);
	stage_settle();
	assert_buf(&fake.asked, "a b c,d "); /* the other statement is as before */
	end_all(4, NOT_FOUND);
	stage_pass(60000);
	ask_letters("ab");
	stage_settle();
	assert_buf(&fake.asked, "a,b ");
	end_all(2, NOT_FOUND);
	ck_assert_uint_eq(log_captured_lines(&capture), 1);
}
END_TEST

/* Where splitting finds who is at fault, the statement is not. */
START_TEST(much_poison_is_no_fault_of_the_statement)
{
	char keys[100][8];

	stage_start();
	for (int i = 0; i < 100; i++) {
		snprintf(keys[i], sizeof(keys[i]), "p%d", i);
		ask_letters("abcdegh");
		call_begin(&calls[7], keys[i]);
		stage_settle();
		end_all(7, NOT_FOUND);
		call_end(&calls[7], BROKEN);
	}
	ck_assert_str_eq(log_captured(&capture), "");
}
END_TEST

/* A driver that is wrong must not keep the worker from sleeping. */
START_TEST(one_question_cannot_be_split)
{
	stage_start();
	stage_warm_up(1);
	call_begin(&calls[0], "f");
	stage_turn();
	link_splits(&fake, fake.links, "nonsense");
	stage_turn();
	call_end(&calls[0], TRY_LATER);
	ck_assert_uint_eq(fake.started, 1);
}
END_TEST

/* Lost connections. */

START_TEST(lost_then_answered)
{
	stage_start();
	stage_warm_up(1);
	ask_letters("abf");
	stage_turn();
	link_breaks(&fake, fake.links, "server closed the connection");
	stage_settle();
	assert_buf(&order, "a b f ");
	call_end(&calls[0], NOT_FOUND);
	call_end(&calls[1], NOT_FOUND);
	call_end(&calls[2], FOUND);
	ck_assert_uint_eq(stage_status().lost, 1);
	ck_assert_uint_eq(fake.cancelled, 0);
	ck_assert_int_eq(source.state, SOURCE_UP);
	assert_contains(log_captured(&capture),
		"source=mail host=default: a connection was lost: server closed the connection");
	ck_assert_uint_eq(log_captured_lines(&capture), 1);
}
END_TEST

START_TEST(lost_three_times)
{
	stage_start();
	call_begin(&calls[0], "f");
	for (int i = 0; i < 3; i++) {
		stage_turn();
		stage_open_all();
		ck_assert_int_eq(calls[0].answers, 0);
		link_breaks(&fake, stage_find(false, true), "gone away");
	}
	ck_assert_str_eq(calls[0].why.text, "source mail: gone away");
	call_end(&calls[0], TRY_LATER);
	ck_assert_uint_eq(fake.started, 3);
	ck_assert_uint_eq(stage_status().lost, 3);
}
END_TEST

START_TEST(lost_at_once)
{
	stage_start();
	stage_warm_up(1);
	fake.loses = "broken pipe";
	ask_letters("ab");
	stage_turn();
	fake.loses = NULL;
	stage_settle();
	end_all(2, NOT_FOUND);
}
END_TEST

/* After its server was started anew, all of a pool is stale: that is one loss, not one for each. */
START_TEST(stale_connections_cost_no_answer)
{
	struct link *link, *next;

	stage_start();
	stage_warm_up(6);
	call_begin(&calls[0], "f");
	for (int i = 0; i < 6 && !calls[0].answers; i++) {
		bool is_stale;

		stage_turn();
		link = stage_find(false, true);
		if (!link)
			break;
		is_stale = link->number <= 6;
		if (is_stale)
			link_breaks(&fake, link, "connection reset");
	}
	DL_FOREACH_SAFE (fake.links, link, next) {
		if (!link->opening && !link->batch && link->number <= 6)
			link_breaks(&fake, link, "connection reset");
	}
	stage_settle();
	call_end(&calls[0], FOUND);
}
END_TEST

/* What takes the connection down with it takes few others along. */
/* After a refusal the pool is content with what it has, but not with nothing. */
START_TEST(all_lost_after_a_refusal)
{
	struct link *link;

	server.pool = 3;
	server.batch = 1;
	stage_start();
	stage_warm_up(2);
	ask_letters("abc");
	stage_pass(50);
	stage_refuse_all("too many connections");
	ck_assert_uint_eq(server_links(&fake), 2);
	while ((link = stage_find(false, true))) {
		link_breaks(&fake, link, "gone");
		stage_turn();
	}
	ck_assert_uint_gt(pool_opening(source.pool), 0);
	stage_settle();
	end_all(3, NOT_FOUND);
}
END_TEST

START_TEST(a_batch_that_is_lost_is_halved)
{
	stage_start();
	stage_warm_up(1);
	ask_letters("abcdeghi");
	stage_turn();
	link_breaks(&fake, fake.links, "crashed");
	stage_settle();
	assert_buf(&fake.asked, "a,b,c,d,e,g,h,i a,b,c,d e,g,h,i ");
	end_all(8, NOT_FOUND);
}
END_TEST

/* What was put back by two connections stands in its old order, and so is answered in time. */
START_TEST(what_is_put_back_keeps_its_place)
{
	struct link *one, *two;

	stage_start();
	stage_warm_up(2);
	ask_letters("ab");
	stage_turn();
	one = stage_find(false, true);
	fake.now += 1000;
	call_begin(&calls[2], "c");
	call_begin(&calls[3], "d");
	stage_turn();
	link_breaks(&fake, one, "gone");
	two = stage_find(false, true);
	link_breaks(&fake, two, "gone");
	stage_turn();
	ck_assert_uint_eq(stage_status().waiting, 4);
	stage_pass(STAGE_TIMEOUT - 1000);
	/* Nothing has come of the new connections, but for the waiting. */
	call_end(&calls[0], TRY_LATER);
	call_end(&calls[1], TRY_LATER);
	ck_assert_int_eq(calls[2].answers, 0);
	stage_settle();
	call_end(&calls[2], NOT_FOUND);
	call_end(&calls[3], NOT_FOUND);
}
END_TEST

/* Deadlines. */

START_TEST(the_queue_has_a_deadline)
{
	stage_start();
	call_begin(&calls[0], "a");
	stage_pass(1);
	call_begin(&calls[1], "b");
	stage_pass(STAGE_TIMEOUT - 2);
	ck_assert_int_eq(calls[0].answers, 0);
	stage_pass(1);
	ck_assert_uint_eq(calls[0].answered_at, STAGE_START + STAGE_TIMEOUT);
	ck_assert_int_eq(calls[1].answers, 0);
	assert_contains(calls[0].why.text, "source mail: no answer within query_timeout");
	stage_pass(1);
	end_all(2, TRY_LATER);
	/* The openings come too late for them, but not for the next. */
	stage_settle();
	call_begin(&calls[0], "f");
	stage_settle();
	call_end(&calls[0], FOUND);
}
END_TEST

/* A lookup that has spent its time elsewhere comes late, and still has to be answered in time. */
START_TEST(who_comes_last_may_be_due_first)
{
	stage_start();
	call_begin(&calls[0], "a");
	call_prepare(&calls[1], "b", &stage_statements[0]);
	calls[1].ask.deadline = fake.now + 300;
	source_ask(&source, &calls[1].ask, fake.now);
	call_prepare(&calls[2], "c", &stage_statements[0]);
	calls[2].ask.deadline = fake.now + 500;
	source_ask(&source, &calls[2].ask, fake.now);
	stage_pass(300);
	call_end(&calls[1], TRY_LATER);
	ck_assert_int_eq(calls[2].answers, 0);
	stage_pass(200);
	call_end(&calls[2], TRY_LATER);
	ck_assert_int_eq(calls[0].answers, 0);
	stage_settle();
	call_end(&calls[0], NOT_FOUND);
}
END_TEST

/* One question alone has all its time; then the query is cancelled. */
START_TEST(one_question_has_all_its_time)
{
	stage_start();
	stage_warm_up(1);
	call_begin(&calls[0], "f");
	stage_pass(STAGE_TIMEOUT - 1);
	ck_assert_int_eq(calls[0].answers, 0);
	stage_pass(1);
	call_end(&calls[0], TRY_LATER);
	ck_assert_uint_eq(fake.cancelled, 1);
	ck_assert_uint_eq(server_links(&fake), 0);
	ck_assert_uint_eq(log_captured_lines(&capture), 1);
	assert_contains(log_captured(&capture),
		"source=mail host=default: a query for 1 keys took more than 5000 ms and was "
		"cancelled: q0 $1");
}
END_TEST

START_TEST(several_have_a_quarter_of_theirs)
{
	stage_start();
	stage_warm_up(1);
	ask_letters("abcd");
	stage_pass(STAGE_TIMEOUT / 4 - 1);
	ck_assert_uint_eq(fake.cancelled, 0);
	stage_pass(1);
	ck_assert_uint_eq(fake.cancelled, 1);
	assert_buf(&fake.asked, "a,b,c,d ");
	stage_settle();
	assert_buf(&fake.asked, "a b c d ");
	end_all(4, NOT_FOUND);
}
END_TEST

/* One key whose query never ends is found; all others have their answers in time. */
START_TEST(a_slow_key_is_found)
{
	const struct call *slow = &calls[2];
	struct link *link;

	stage_start();
	stage_warm_up(2);
	ask_letters("abcdefgh");
	while (!slow->answers) {
		bool went_on = false;

		stage_turn();
		DL_FOREACH (fake.links, link) {
			bool has_slow = false;

			for (size_t i = 0; link->batch && i < link->batch->count; i++)
				has_slow |= link->batch->questions[i].params == &slow->key;
			if (link->opening)
				link_opened(&fake, link, NULL);
			else if (link->batch && !has_slow)
				link_answers(&fake, link);
			else
				continue;
			went_on = true;
			break;
		}
		if (!went_on)
			stage_pass(10);
	}
	ck_assert_uint_eq(slow->answered_at, slow->ask.deadline);
	for (int i = 0; i < 8; i++)
		call_end(&calls[i], i == 2 ? TRY_LATER : i == 5 ? FOUND : NOT_FOUND);
	/* In company, alone for a while, and as a suspect. */
	ck_assert_uint_eq(fake.cancelled, 3);
	/* Now it is known, and asked alone. */
	stage_open_all();
	buf_clear(&fake.asked);
	ask_letters("abcd");
	stage_settle();
	assert_buf(&fake.asked, "a,b,d c ");
	end_all(4, NOT_FOUND);
}
END_TEST

/* A connection that a server would serve now whose queries for keys in s… never end; or NULL. */
static struct link *ready_link(void)
{
	struct link *link;

	DL_FOREACH (fake.links, link) {
		bool is_ready = link->opening || link->batch;

		for (size_t i = 0; link->batch && i < link->batch->count; i++)
			is_ready &= link->batch->questions[i].params[0].data[0] != 's';
		if (is_ready)
			return link;
	}
	return NULL;
}

static void pass_with_sleepers(uint64_t ms)
{
	uint64_t until = fake.now + ms;
	struct link *link;

	stage_turn();
	for (; fake.now < until; stage_pass(1)) {
		while ((link = ready_link())) {
			if (link->opening)
				link_opened(&fake, link, NULL);
			else
				link_answers(&fake, link);
			stage_turn();
		}
	}
}

/* Clients who ask for nothing else but that, one question in ten: all others have their answers. */
START_TEST(slow_keys_hold_up_nobody)
{
	enum { CLIENTS = 96 };
	static const char *const slow[] = {"s1", "s2", "s3"};
	size_t asked = 0;
	uint64_t until;

	server.pool = 8;
	stage_start();
	stage_warm_up(2);
	until = fake.now + 3 * STAGE_TIMEOUT;
	for (bool is_first = true; fake.now < until; is_first = false) {
		for (size_t i = 0; i < CLIENTS; i++) {
			bool is_slow = calls[i].key.data && calls[i].key.data[0] == 's';

			if (!is_first && !calls[i].answers)
				continue;
			if (!is_first)
				call_end(&calls[i], is_slow ? TRY_LATER : FOUND);
			asked++;
			call_begin(&calls[i], asked % 10 ? "f" : slow[asked / 10 % 3]);
		}
		pass_with_sleepers(1);
	}
}
END_TEST

/* That a host answers others shows that it is the query which is slow, and not the host. */
START_TEST(a_slow_query_does_not_discredit_its_host)
{
	stage_start();
	stage_warm_up(3);
	call_begin(&calls[0], "s");
	call_begin(&calls[1], "f");
	stage_turn();
	fake.now++;
	call_begin(&calls[2], "f");
	pass_with_sleepers(1);
	call_end(&calls[2], FOUND);
	ck_assert_uint_eq(server_links(&fake), 3);
	stage_pass(STAGE_TIMEOUT / 4);
	ck_assert_uint_eq(fake.cancelled, 1);
	ck_assert_uint_eq(server_links(&fake), 2);
	ck_assert_uint_eq(fake.asked_opens, 3);
	pass_with_sleepers(STAGE_TIMEOUT);
	call_end(&calls[0], TRY_LATER);
	call_end(&calls[1], FOUND);
}
END_TEST

/* A younger question is not answered with the older one, but asked again. */
START_TEST(a_batch_ends_with_its_oldest)
{
	stage_start();
	stage_warm_up(1);
	call_begin(&calls[0], "a");
	stage_turn();
	for (int i = 1; i < 4; i++) {
		fake.now += 1000;
		call_begin(&calls[i], i == 1 ? "b" : i == 2 ? "c" : "d");
		stage_turn();
	}
	stage_pass(2000);
	call_end(&calls[0], TRY_LATER);
	stage_settle();
	for (int i = 1; i < 4; i++)
		call_end(&calls[i], NOT_FOUND);
}
END_TEST

/* What nobody waits for any more is not sent. */
START_TEST(expired_questions_are_not_asked)
{
	stage_start();
	ask_letters("ab");
	stage_turn();
	fake.now += STAGE_TIMEOUT; /* the worker was held up, and the openings are over first */
	calls[0].ask.deadline++;
	calls[1].ask.deadline++;
	fake.now++;
	link_opened(&fake, fake.links, NULL);
	stage_turn();
	end_all(2, TRY_LATER);
	ck_assert_uint_eq(fake.started, 0);
	ck_assert_uint_eq(fake.cancelled, 0);
}
END_TEST

/* Overload. */

/* Each question takes `ms` of the one connection, for a while. */
static void set_pace(uint64_t ms)
{
	struct link *link;

	for (int round = 0; round < 5; round++) {
		ask_letters("abcdeghi");
		stage_turn();
		stage_open_all();
		while ((link = stage_find(false, true))) {
			fake.now += ms;
			link_answers(&fake, link);
			stage_turn();
		}
		end_all(8, NOT_FOUND);
	}
	buf_clear(&fake.asked);
}

START_TEST(overload_is_refused_at_once)
{
	size_t refused = 0, count = 200;

	server.pool = server.batch = 1;
	stage_start();
	set_pace(100);
	ck_assert_uint_eq(stage_status().shed, 0);
	for (size_t i = 0; i < count; i++) {
		call_begin(&calls[i], "n");
		refused += calls[i].answers;
		stage_turn();
	}
	/* 50 can be answered within 5 s; some time is left for the answering itself. */
	ck_assert_uint_ge(refused, count - 50);
	ck_assert_uint_le(refused, count - 30);
	ck_assert_uint_eq(stage_status().shed, refused);
	assert_contains(calls[count - 1].why.text, "source mail: overloaded");
	assert_contains(log_captured(&capture), "overloaded");
	ck_assert_uint_le(log_captured_lines(&capture), 5);
	stage_settle();
	for (size_t i = 0; i < count; i++)
		call_end(&calls[i], calls[i].told < 0 ? TRY_LATER : NOT_FOUND);
}
END_TEST

/* Suspects have a line of their own, and nobody else waits behind it. */
START_TEST(waiting_suspects_are_no_overload)
{
	enum { COUNT = 100 };
	static const char *const keys[] = {"p1", "n"};

	server.pool = 1;
	server.batch = 2;
	stage_start();
	ask_many(keys, 2);
	stage_settle();
	call_end(&calls[0], BROKEN);
	call_end(&calls[1], NOT_FOUND);
	set_pace(100);
	for (size_t i = 0; i < COUNT; i++)
		call_begin(&calls[i], "p1");
	ck_assert_uint_eq(stage_status().waiting, COUNT);
	call_begin(&calls[COUNT], "n");
	ck_assert_uint_eq(stage_status().shed, 0);
	stage_settle();
	end_all(COUNT, BROKEN);
	call_end(&calls[COUNT], NOT_FOUND);
}
END_TEST

/* One query that took long says nothing of the others, least of all of those in batches. */
START_TEST(one_slow_question_is_no_overload)
{
	stage_start();
	stage_warm_up(2);
	call_begin(&calls[0], "n");
	stage_turn();
	stage_pass(STAGE_TIMEOUT - 1);
	stage_settle();
	call_end(&calls[0], NOT_FOUND);
	stage_open_all();
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 256; i++)
			call_begin(&calls[i], "n");
		stage_turn();
		fake.now += 5;
		stage_settle();
		end_all(256, NOT_FOUND);
	}
	ck_assert_uint_eq(stage_status().shed, 0);
}
END_TEST

/*
 * A server that answers 10 questions in 10 ms is asked twice as much for a minute. It answers what
 * it can, or nearly; the rest is refused. Nothing is cancelled that would have been answered.
 */
START_TEST(overload_does_not_break_down)
{
	enum { MANY = 120000, EACH_MS = 2, SECONDS = 30 };
	struct call *all = calloc(MANY, sizeof(*all));
	size_t asked = 0, answered = 0;
	uint64_t free_at = 0, until;

	server.pool = 1;
	server.batch = 10;
	stage_start();
	stage_warm_up(1);
	until = fake.now + SECONDS * 1000;
	while (fake.now < until) {
		struct link *link = stage_find(false, true);

		for (int i = 0; i < EACH_MS; i++)
			call_begin(&all[asked++], "n");
		if (link && fake.now >= free_at)
			link_answers(&fake, link);
		stage_turn();
		stage_open_all();
		link = stage_find(false, true);
		if (link && free_at <= fake.now)
			free_at = fake.now + 10;
		stage_pass(1);
	}
	stage_settle();
	for (size_t i = 0; i < asked; i++) {
		ck_assert_int_eq(all[i].answers, 1);
		answered += all[i].told >= 0;
		call_finish(&all[i]);
	}
	ck_assert_uint_ge(answered, SECONDS * 1000 * 8 / 10);
	ck_assert_uint_le(fake.cancelled, 3);
	free(all);
}
END_TEST

/* Withdrawing. */

START_TEST(withdrawn_while_it_waits)
{
	stage_start();
	ask_letters("abc");
	ck_assert(source_withdraw(&source, &calls[1].ask));
	calls[1].withdrawn = true;
	ck_assert_uint_eq(stage_status().waiting, 2);
	stage_settle();
	assert_buf(&fake.asked, "a,c ");
	ck_assert_int_eq(calls[1].answers, 0);
	call_finish(&calls[1]);
	call_end(&calls[0], NOT_FOUND);
	call_end(&calls[2], NOT_FOUND);
	/* The last one that waits: nothing is opened for it. */
	stage_pass((uint64_t)server.idle_timeout);
	call_begin(&calls[0], "a");
	ck_assert(source_withdraw(&source, &calls[0].ask));
	stage_turn();
	ck_assert_uint_eq(server_links(&fake), 0);
	call_finish(&calls[0]);
}
END_TEST

START_TEST(too_late_to_withdraw)
{
	stage_start();
	stage_warm_up(1);
	ask_letters("ab");
	stage_turn();
	ck_assert(!source_withdraw(&source, &calls[0].ask));
	link_breaks(&fake, fake.links, "gone");
	/* Now it waits again, and can be. */
	ck_assert(source_withdraw(&source, &calls[0].ask));
	calls[0].withdrawn = true;
	stage_settle();
	assert_buf(&fake.asked, "a,b b ");
	call_end(&calls[1], NOT_FOUND);
	call_finish(&calls[0]);
}
END_TEST

static void withdraw_next(struct ask *ask, uint64_t now)
{
	struct call *call = (struct call *)ask, *other = call + 1;

	call_done(ask, now);
	other->withdrawn = source_withdraw(&source, &other->ask);
}

/* As the engine does, from within an answer. */
START_TEST(an_answer_may_withdraw_another)
{
	server.batch = 2;
	server.pool = 1;
	stage_start();
	ask_letters("abcde");
	calls[0].ask.done = calls[1].ask.done = withdraw_next;
	stage_settle();
	ck_assert(!calls[1].withdrawn); /* it was out, in the same batch */
	ck_assert(calls[2].withdrawn);
	assert_buf(&order, "a b d e ");
	call_finish(&calls[2]);
	for (int i = 0; i < 5; i++)
		if (i != 2)
			call_end(&calls[i], NOT_FOUND);
}
END_TEST

/* The end. */

START_TEST(abandoned_questions_are_answered)
{
	server.batch = 1;
	stage_start();
	stage_warm_up(2);
	ask_letters("abcd");
	stage_turn();
	stage_pass(60); /* a third connection is on its way */
	source_abandon(&source);
	end_all(4, TRY_LATER);
	ck_assert_uint_eq(stage_status().waiting, 0);
	ck_assert_uint_eq(stage_status().busy, 0);
	ck_assert_uint_eq(source_opening(&source), 1);
	link_opened(&fake, stage_find(true, false), NULL);
	ck_assert_uint_eq(source_opening(&source), 0);
	/* Nobody has taken too long. */
	ck_assert_ptr_null(strstr(log_captured(&capture), "ms and was cancelled"));
}
END_TEST

START_TEST(destroyed_with_idle_connections)
{
	stage_start();
	stage_warm_up(5);
	ck_assert_uint_eq(server_links(&fake), 5);
}
END_TEST

/* Answers may ask again, as a search does that goes on. */

static int asks_left;

static void ask_again(struct ask *ask, uint64_t now)
{
	struct call *call = (struct call *)ask;

	call_done(ask, now);
	call_finish(call);
	if (--asks_left <= 0)
		return;
	call_begin(call, "n");
	call->ask.done = ask_again;
}

START_TEST(an_answer_may_ask)
{
	asks_left = 30;
	stage_start();
	stage_warm_up(1);
	fake.at_once = true;
	for (int i = 0; i < 3; i++) {
		call_begin(&calls[i], "n");
		calls[i].ask.done = ask_again;
	}
	stage_settle();
	ck_assert_int_le(asks_left, 0);
	assert_buf(&fake.asked, "n,n,n n,n,n n,n,n n,n,n n,n,n n,n,n n,n,n n,n,n n,n,n n,n,n "
				"n,n ");
}
END_TEST

static TCase *add_case(Suite *suite, const char *name)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, stage_begin, stage_end);
	suite_add_tcase(suite, tcase);
	return tcase;
}

static void add_connections(TCase *tcase)
{
	tcase_add_test(tcase, opens_when_first_needed);
	tcase_add_test(tcase, an_idle_connection_is_used_again);
	tcase_add_test(tcase, grows_while_questions_wait);
	tcase_add_test(tcase, one_question_opens_one);
	tcase_add_test(tcase, a_pool_of_one);
	tcase_add_test(tcase, unused_connections_are_closed);
	tcase_add_test(tcase, an_idle_connection_that_breaks_is_closed);
	tcase_add_test(tcase, a_bell);
	tcase_add_test(tcase, watches_for_writing_only_while_it_writes);
}

static void add_batches(TCase *tcase)
{
	tcase_add_test(tcase, questions_gather_between_two_rests);
	tcase_add_test(tcase, a_batch_has_its_limit);
	tcase_add_test(tcase, one_statement_for_a_batch);
	tcase_add_test(tcase, some_are_asked_alone);
	tcase_add_test(tcase, batch_of_one);
	tcase_add_test(tcase, checks_are_asked_alone);
	tcase_add_test(tcase, a_check_may_be_slow);
}

static void add_poison(TCase *tcase)
{
	tcase_add_test(tcase, poison_is_found_by_halves);
	tcase_add_test(tcase, poison_is_a_suspect);
	tcase_add_test(tcase, several_poisons_in_a_batch);
	tcase_add_test(tcase, a_wrong_query_is_not_split);
	tcase_add_test(tcase, suspects_leave_room);
	tcase_add_test(tcase, suspects_open_no_connections);
	tcase_add_test(tcase, late_suspects_are_not_asked);
	tcase_add_loop_test(tcase, suspects_are_asked_in_small_pools, 1, 4);
	tcase_add_test(tcase, what_fails_only_together_is_asked_alone);
	tcase_add_test(tcase, much_poison_is_no_fault_of_the_statement);
	tcase_add_test(tcase, one_question_cannot_be_split);
}

static void add_losses(TCase *tcase)
{
	tcase_add_test(tcase, lost_then_answered);
	tcase_add_test(tcase, lost_three_times);
	tcase_add_test(tcase, lost_at_once);
	tcase_add_test(tcase, stale_connections_cost_no_answer);
	tcase_add_test(tcase, all_lost_after_a_refusal);
	tcase_add_test(tcase, a_batch_that_is_lost_is_halved);
	tcase_add_test(tcase, what_is_put_back_keeps_its_place);
}

static void add_deadlines(TCase *tcase)
{
	tcase_add_test(tcase, the_queue_has_a_deadline);
	tcase_add_test(tcase, who_comes_last_may_be_due_first);
	tcase_add_test(tcase, one_question_has_all_its_time);
	tcase_add_test(tcase, several_have_a_quarter_of_theirs);
	tcase_add_test(tcase, a_slow_key_is_found);
	tcase_add_test(tcase, slow_keys_hold_up_nobody);
	tcase_add_test(tcase, a_slow_query_does_not_discredit_its_host);
	tcase_add_test(tcase, a_batch_ends_with_its_oldest);
	tcase_add_test(tcase, expired_questions_are_not_asked);
	tcase_add_test(tcase, overload_is_refused_at_once);
	tcase_add_test(tcase, waiting_suspects_are_no_overload);
	tcase_add_test(tcase, one_slow_question_is_no_overload);
	tcase_add_test(tcase, overload_does_not_break_down);
}

static void add_ends(TCase *tcase)
{
	tcase_add_test(tcase, withdrawn_while_it_waits);
	tcase_add_test(tcase, too_late_to_withdraw);
	tcase_add_test(tcase, an_answer_may_withdraw_another);
	tcase_add_test(tcase, abandoned_questions_are_answered);
	tcase_add_test(tcase, destroyed_with_idle_connections);
	tcase_add_test(tcase, an_answer_may_ask);
}

int main(void)
{
	Suite *suite = suite_create("pool");

	add_connections(add_case(suite, "connections"));
	add_batches(add_case(suite, "batches"));
	add_poison(add_case(suite, "poison"));
	add_losses(add_case(suite, "losses"));
	add_deadlines(add_case(suite, "deadlines"));
	add_ends(add_case(suite, "ends"));
	return unit_run(suite);
}
