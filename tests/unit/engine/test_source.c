#include "engine/source.h"

#include "support/fake.h"
#include "support/log.h"
#include "support/text.h"

enum { START = 1000000, TIMEOUT = 5000, RETRY = 100 };

static const struct statement statement = {.text = "q ?", .params = 1};
static struct source_settings settings;
static struct fake fake;
static struct source_config config;
static struct source source;
static struct log_capture capture;

/* One question, and what became of it. */
struct call {
	struct ask ask; /* the first, so that the answer finds its call */
	struct slice key;
	struct rows rows;
	struct error why;
	int answers;
	uint64_t answered_at;
};

static struct buf order; /* the keys, as they were answered */

/* Does what is due, and says when more will be. */
static uint64_t tick(uint64_t now)
{
	source_tick(&source, now);
	return source_next(&source);
}

static void on_done(struct ask *ask, uint64_t now)
{
	struct call *call = (struct call *)ask;

	call->answers++;
	call->answered_at = now;
	buf_add_slice(&order, call->key);
	buf_add_byte(&order, ' ');
}

static void call_begin(struct call *call, const char *key, uint64_t now)
{
	*call = (struct call){.key = slice_str(key)};
	call->ask = (struct ask){.question = {.statement = &statement,
					 .params = &call->key,
					 .rows = &call->rows,
					 .why = &call->why},
		.deadline = now + TIMEOUT,
		.done = on_done};
	source_ask(&source, &call->ask, now);
}

static void call_end(struct call *call)
{
	ck_assert_int_eq(call->answers, 1);
	rows_finish(&call->rows);
}

static void begin(void)
{
	settings = (struct source_settings){.query_timeout = TIMEOUT, .retry_interval = RETRY};
	fake = (struct fake){0};
	config = (struct source_config){"mail", &fake_backend, &settings, &fake, NULL};
	source_init(&source, &config, NULL);
	log_capture_begin(&capture);
}

static void end(void)
{
	source_finish(&source);
	ck_assert_uint_eq(fake.opened, fake.closed);
	log_capture_end(&capture);
	buf_finish(&fake.asked);
	buf_finish(&order);
}

START_TEST(opens_when_first_needed)
{
	struct call call;

	ck_assert_int_eq(source.state, SOURCE_UNUSED);
	ck_assert_uint_eq(fake.opened, 0);
	fake_play(&fake, {DONE, FOUND, "v"}, {DONE, NOT_FOUND, NULL});
	call_begin(&call, "k", START);
	ck_assert_int_eq(call.ask.question.status, FOUND);
	assert_slice(rows_cell(&call.rows, 0, 0), "v");
	ck_assert_uint_eq(fake.deadline, START + TIMEOUT);
	call_end(&call);
	call_begin(&call, "k", START);
	ck_assert_int_eq(call.ask.question.status, NOT_FOUND);
	call_end(&call);
	ck_assert_uint_eq(fake.opened, 1);
	ck_assert_int_eq(source.state, SOURCE_UP);
	ck_assert_uint_eq(tick(START), UINT64_MAX);
	ck_assert_str_eq(log_captured(&capture), "");
}
END_TEST

/* A question's own error is no reason to doubt the connection. */
START_TEST(errors_of_questions)
{
	struct call call;

	fake_play(&fake, {DONE, BROKEN, "no such table"}, {DONE, TRY_LATER, "interrupted"});
	call_begin(&call, "k", START);
	ck_assert_int_eq(call.ask.question.status, BROKEN);
	ck_assert_str_eq(call.why.text, "no such table");
	call_end(&call);
	call_begin(&call, "k", START);
	ck_assert_int_eq(call.ask.question.status, TRY_LATER);
	call_end(&call);
	ck_assert_uint_eq(fake.opened, 1);
	ck_assert_int_eq(source.state, SOURCE_UP);
}
END_TEST

START_TEST(busy_then_done)
{
	struct call call;
	uint64_t next;

	fake_play(&fake, {BUSY, 0, "locked"}, {BUSY, 0, "locked"}, {DONE, FOUND, "v"});
	call_begin(&call, "k", START);
	ck_assert_int_eq(call.answers, 0);
	ck_assert_int_eq(source.state, SOURCE_LOCKED);
	/* Before it is due nothing is tried. */
	next = tick(START);
	ck_assert_uint_gt(next, START);
	ck_assert_uint_eq(fake.started, 1);
	next = tick(next);
	ck_assert_uint_eq(fake.started, 2);
	ck_assert_int_eq(call.answers, 0);
	ck_assert_uint_eq(tick(next), UINT64_MAX);
	ck_assert_int_eq(call.ask.question.status, FOUND);
	ck_assert_uint_eq(call.answered_at, next);
	ck_assert_int_eq(source.state, SOURCE_UP);
	/* A short lock is nobody's concern. */
	ck_assert_uint_eq(log_captured_lines(&capture), 0);
	call_end(&call);
}
END_TEST

/* The waits grow, but never so long that a lock that was given back goes unseen. */
START_TEST(waits_grow_to_a_limit)
{
	struct call call;
	uint64_t now = START, longest = 0, total = 0;

	fake_play(&fake, {BUSY, 0, "l"}, {BUSY, 0, "l"}, {BUSY, 0, "l"}, {BUSY, 0, "l"},
		{BUSY, 0, "l"}, {BUSY, 0, "l"}, {BUSY, 0, "l"}, {BUSY, 0, "l"}, {BUSY, 0, "l"},
		{BUSY, 0, "l"}, {DONE, FOUND, "v"});
	call_begin(&call, "k", now);
	while (!call.answers) {
		uint64_t next = tick(now);

		if (call.answers)
			break;
		ck_assert_uint_gt(next, now);
		longest = next - now > longest ? next - now : longest;
		total += next - now;
		now = next;
	}
	ck_assert_uint_le(longest, 100);
	ck_assert_uint_ge(total, 100);
	ck_assert_uint_eq(log_captured_lines(&capture), 0);
	call_end(&call);
}
END_TEST

/* One line once a lock has lasted for a second, one when it is over. */
START_TEST(a_long_lock_is_logged)
{
	static const struct fake_step locked[] = {{BUSY, 0, "locked"}};
	struct call call;

	fake.steps = locked;
	fake.step_count = 1;
	call_begin(&call, "k", START);
	for (uint64_t at = 100; at <= 1200; at += 100) {
		fake.step = 0; /* locked for good */
		tick(START + at);
		ck_assert_uint_eq(log_captured_lines(&capture), at < 1000 ? 0 : 1);
	}
	assert_contains(log_captured(&capture), "source=mail state=locked reason=\"locked\"");
	fake_play(&fake, {DONE, FOUND, "v"});
	tick(START + 1300);
	ck_assert_int_eq(call.answers, 1);
	ck_assert_uint_eq(log_captured_lines(&capture), 2);
	assert_contains(log_captured(&capture), "source=mail state=up");
	call_end(&call);
}
END_TEST

START_TEST(locked_until_the_deadline)
{
	static const struct fake_step locked[] = {{BUSY, 0, "locked by another"}};
	struct call call;
	uint64_t now = START;

	fake.steps = locked;
	fake.step_count = 1;
	call_begin(&call, "k", now);
	while (!call.answers) {
		uint64_t next;

		fake.step = 0; /* locked for good */
		next = tick(now);
		ck_assert_uint_le(now, START + TIMEOUT);
		now = next == UINT64_MAX ? now : next;
	}
	ck_assert_uint_eq(call.answered_at, START + TIMEOUT);
	ck_assert_int_eq(call.ask.question.status, TRY_LATER);
	ck_assert_str_eq(call.why.text, "source mail: locked by another");
	ck_assert_uint_eq(log_captured_lines(&capture), 1);
	ck_assert_uint_eq(fake.opened, 1);
	call_end(&call);
}
END_TEST

/* Who comes while others wait does not overtake them, and adds no attempt of his own. */
START_TEST(asks_keep_their_order)
{
	struct call one, two, three;
	uint64_t next;

	fake_play(&fake, {BUSY, 0, "locked"}, {BUSY, 0, "locked"}, {DONE, FOUND, "1"},
		{DONE, FOUND, "2"}, {DONE, FOUND, "3"});
	call_begin(&one, "one", START);
	call_begin(&two, "two", START + 1);
	call_begin(&three, "three", START + 1);
	ck_assert_uint_eq(fake.started, 1);
	next = tick(tick(START + 1));
	ck_assert_uint_eq(fake.started, 2);
	ck_assert_uint_eq(tick(next), UINT64_MAX);
	assert_buf(&order, "one two three ");
	assert_slice(rows_cell(&two.rows, 0, 0), "2");
	call_end(&one);
	call_end(&two);
	call_end(&three);
}
END_TEST

START_TEST(each_has_its_own_deadline)
{
	struct call old, young;
	uint64_t next;

	fake_play(&fake, {BUSY, 0, "l"}, {BUSY, 0, "l"}, {BUSY, 0, "l"}, {BUSY, 0, "l"},
		{BUSY, 0, "l"}, {DONE, FOUND, "v"});
	call_begin(&old, "old", START);
	call_begin(&young, "young", START + TIMEOUT - 1);
	next = tick(START + TIMEOUT);
	ck_assert_int_eq(old.answers, 1);
	ck_assert_int_eq(old.ask.question.status, TRY_LATER);
	ck_assert_int_eq(young.answers, 0);
	while (!young.answers)
		next = tick(next);
	ck_assert_int_eq(young.ask.question.status, FOUND);
	call_end(&old);
	call_end(&young);
}
END_TEST

/* As when the database file was replaced: nobody sees it. */
START_TEST(lost_then_done)
{
	struct call call;

	fake_play(&fake, {DONE, FOUND, "1"}, {LOST, 0, "was replaced"}, {DONE, FOUND, "2"});
	call_begin(&call, "k", START);
	call_end(&call);
	call_begin(&call, "k", START);
	ck_assert_int_eq(call.ask.question.status, FOUND);
	assert_slice(rows_cell(&call.rows, 0, 0), "2");
	ck_assert_uint_eq(fake.opened, 2);
	ck_assert_int_eq(source.state, SOURCE_UP);
	ck_assert_str_eq(log_captured(&capture), "");
	call_end(&call);
}
END_TEST

START_TEST(lost_twice)
{
	struct call call;

	fake_play(&fake, {DONE, FOUND, "1"}, {LOST, 0, "was replaced"}, {LOST, 0, "is damaged"},
		{DONE, FOUND, "3"});
	call_begin(&call, "k", START);
	call_end(&call);
	call_begin(&call, "k", START);
	ck_assert_int_eq(call.ask.question.status, TRY_LATER);
	ck_assert_str_eq(call.why.text, "source mail: is damaged");
	ck_assert_int_eq(source.state, SOURCE_DOWN);
	ck_assert_uint_eq(log_captured_lines(&capture), 1);
	assert_contains(log_captured(&capture), "state=down reason=\"is damaged\"");
	call_end(&call);
	/* Left alone for a while … */
	call_begin(&call, "k", START + RETRY - 1);
	ck_assert_int_eq(call.ask.question.status, TRY_LATER);
	ck_assert_str_eq(call.why.text, "source mail: is damaged");
	ck_assert_uint_eq(fake.opened, 2);
	call_end(&call);
	/* … and then tried again. */
	call_begin(&call, "k", START + RETRY);
	ck_assert_int_eq(call.ask.question.status, FOUND);
	ck_assert_int_eq(source.state, SOURCE_UP);
	ck_assert_uint_eq(log_captured_lines(&capture), 2);
	call_end(&call);
}
END_TEST

/* A new connection that is lost at once is not opened a third time for the same question. */
START_TEST(lost_when_new)
{
	struct call call;

	fake_play(&fake, {LOST, 0, "no database"});
	call_begin(&call, "k", START);
	ck_assert_int_eq(call.ask.question.status, TRY_LATER);
	ck_assert_uint_eq(fake.opened, 1);
	ck_assert_int_eq(source.state, SOURCE_DOWN);
	call_end(&call);
}
END_TEST

START_TEST(cannot_be_opened)
{
	struct call call;

	fake.failing_opens = 2;
	for (int i = 0; i < 20; i++) {
		call_begin(&call, "k", START + (uint64_t)i * RETRY / 10);
		ck_assert_int_eq(call.ask.question.status, TRY_LATER);
		ck_assert_str_eq(call.why.text, "source mail: cannot be opened");
		call_end(&call);
	}
	ck_assert_uint_eq(fake.opened, 2);
	ck_assert_uint_eq(fake.closed, 2);
	ck_assert_uint_eq(log_captured_lines(&capture), 1);
	call_begin(&call, "k", START + 2 * RETRY);
	ck_assert_int_eq(call.ask.question.status, NOT_FOUND);
	ck_assert_uint_eq(log_captured_lines(&capture), 2);
	call_end(&call);
}
END_TEST

/* Lost, and then it cannot even be opened: the reason is the second one. */
START_TEST(lost_and_gone)
{
	struct call call;

	fake_play(&fake, {DONE, FOUND, "1"}, {LOST, 0, "was removed"});
	call_begin(&call, "k", START);
	call_end(&call);
	fake.failing_opens = 1;
	call_begin(&call, "k", START);
	ck_assert_int_eq(call.ask.question.status, TRY_LATER);
	ck_assert_str_eq(call.why.text, "source mail: cannot be opened");
	call_end(&call);
}
END_TEST

START_TEST(lost_while_others_wait)
{
	struct call one, two;
	uint64_t next;

	fake_play(&fake, {BUSY, 0, "locked"}, {LOST, 0, "was replaced"}, {DONE, FOUND, "1"},
		{DONE, FOUND, "2"});
	call_begin(&one, "one", START);
	call_begin(&two, "two", START);
	next = tick(START);
	tick(next);
	ck_assert_int_eq(one.ask.question.status, FOUND);
	ck_assert_int_eq(two.ask.question.status, FOUND);
	call_end(&one);
	call_end(&two);
}
END_TEST

static struct call chained;

static void ask_again(struct ask *ask, uint64_t now)
{
	on_done(ask, now);
	call_begin(&chained, "chained", now);
}

/* As the engine does: the answer to one form is followed by the question for the next. */
START_TEST(an_answer_may_ask)
{
	struct call first, second;
	uint64_t next;

	fake_play(&fake, {BUSY, 0, "locked"}, {DONE, FOUND, "1"}, {DONE, FOUND, "2"},
		{BUSY, 0, "locked"}, {DONE, FOUND, "3"});
	call_begin(&first, "first", START);
	first.ask.done = ask_again;
	call_begin(&second, "second", START);
	next = tick(START);
	next = tick(next);
	ck_assert_int_eq(second.answers, 1);
	ck_assert_int_eq(chained.answers, 0);
	ck_assert_uint_lt(next, UINT64_MAX);
	tick(next);
	assert_buf(&order, "first second chained ");
	call_end(&first);
	call_end(&second);
	call_end(&chained);
}
END_TEST

START_TEST(an_expiry_may_ask)
{
	struct call first;

	fake_play(&fake, {BUSY, 0, "locked"}, {BUSY, 0, "locked"}, {DONE, FOUND, "2"});
	call_begin(&first, "first", START);
	first.ask.done = ask_again;
	tick(START + TIMEOUT);
	ck_assert_int_eq(first.ask.question.status, TRY_LATER);
	while (!chained.answers)
		tick(tick(START + TIMEOUT));
	ck_assert_int_eq(chained.ask.question.status, FOUND);
	call_end(&first);
	call_end(&chained);
}
END_TEST

START_TEST(rests_once_after_work)
{
	struct call call;

	source_rest(&source, START);
	ck_assert_uint_eq(fake.rested, 0);
	call_begin(&call, "k", START);
	call_end(&call);
	source_rest(&source, START);
	source_rest(&source, START);
	ck_assert_uint_eq(fake.rested, 1);
	fake_play(&fake, {LOST, 0, "l"}, {LOST, 0, "l"});
	call_begin(&call, "k", START);
	call_end(&call);
	source_rest(&source, START); /* there is no connection to rest */
	ck_assert_uint_eq(fake.rested, 1);
}
END_TEST

static const struct {
	struct fake_step step;
	unsigned failing_opens;
	enum status status;
	const char *why;
} checks[] = {
	{{DONE, NOT_FOUND, NULL}, 0, NOT_FOUND, ""},
	{{DONE, BROKEN, "no such column"}, 0, BROKEN, "no such column"},
	{{LOST, 0, "not a database"}, 0, TRY_LATER, "source mail: not a database"},
	{{DONE, NOT_FOUND, NULL}, 1, TRY_LATER, "source mail: cannot be opened"},
};

START_TEST(check)
{
	struct call call = {0};

	fake.steps = &checks[_i].step;
	fake.step_count = 1;
	fake.failing_opens = checks[_i].failing_opens;
	call.ask = (struct ask){
		.question = {.statement = &statement, .rows = &call.rows, .why = &call.why},
		.deadline = START + TIMEOUT,
		.only_check = true,
		.done = on_done};
	source_ask(&source, &call.ask, START);
	ck_assert_int_eq(call.ask.question.status, checks[_i].status);
	ck_assert_str_eq(call.why.text, checks[_i].why);
	ck_assert_uint_eq(fake.checked, checks[_i].failing_opens ? 0 : 1);
	call_end(&call);
}
END_TEST

START_TEST(state_texts)
{
	ck_assert_str_eq(source_state_text(SOURCE_UNUSED), "unused");
	ck_assert_str_eq(source_state_text(SOURCE_UP), "up");
	ck_assert_str_eq(source_state_text(SOURCE_LOCKED), "locked");
	ck_assert_str_eq(source_state_text(SOURCE_DOWN), "down");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("source");
	TCase *tcase = tcase_create("source");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, opens_when_first_needed);
	tcase_add_test(tcase, errors_of_questions);
	tcase_add_test(tcase, busy_then_done);
	tcase_add_test(tcase, waits_grow_to_a_limit);
	tcase_add_test(tcase, a_long_lock_is_logged);
	tcase_add_test(tcase, locked_until_the_deadline);
	tcase_add_test(tcase, asks_keep_their_order);
	tcase_add_test(tcase, each_has_its_own_deadline);
	tcase_add_test(tcase, lost_then_done);
	tcase_add_test(tcase, lost_twice);
	tcase_add_test(tcase, lost_when_new);
	tcase_add_test(tcase, cannot_be_opened);
	tcase_add_test(tcase, lost_and_gone);
	tcase_add_test(tcase, lost_while_others_wait);
	tcase_add_test(tcase, an_answer_may_ask);
	tcase_add_test(tcase, an_expiry_may_ask);
	tcase_add_test(tcase, rests_once_after_work);
	tcase_add_loop_test(tcase, check, 0, sizeof(checks) / sizeof(checks[0]));
	tcase_add_test(tcase, state_texts);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
