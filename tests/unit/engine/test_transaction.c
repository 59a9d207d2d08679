/*
 * Transactions on a pool: whatever happens, all of one is done or nothing, and what nobody knows is
 * called so. The server is played (support/server_fake.h): a statement's key is what it does.
 */
#include "engine/transaction.h"

#include "support/pool.h"

#define COUNT(array) (int)(sizeof(array) / sizeof(array[0]))

enum {
	QUESTIONS_MOST = 4,
	/* As a writer's: longer than what the database itself may take. */
	WORK_TIMEOUT = STAGE_TIMEOUT / 3 * 4,
};

static const struct statement work_statement = {
	.id = 3, .text = "w $1", .params = 1, .kind = STATEMENT_ONCE};

/* A transaction, and what became of it. */
struct work {
	struct ask ask; /* the first, so that the answer finds its work */
	struct transaction transaction;
	struct question questions[QUESTIONS_MOST];
	bool must_meet[QUESTIONS_MOST];
	struct slice keys[QUESTIONS_MOST];
	struct rows rows[QUESTIONS_MOST + 1];
	struct error whys[QUESTIONS_MOST + 1];
	int answers;
	uint64_t answered_at;
};

static struct work work;

/* Only calls want to know what their server has said. */
static void told(struct question *question)
{
	if (question->statement->kind != STATEMENT_ONCE && question->params)
		stage_told(question);
}

static void begin(void)
{
	stage_begin();
	fake.told = told;
	server.pool = 2;
	stage_start();
}

static void work_finish(struct work *done)
{
	for (size_t i = 0; i <= QUESTIONS_MOST; i++)
		rows_finish(&done->rows[i]);
	*done = (struct work){.answers = 0};
}

static void end(void)
{
	stage_end();
	work_finish(&work);
}

static void work_done(struct ask *ask, uint64_t now)
{
	struct work *done = (struct work *)ask;

	done->answers++;
	done->answered_at = now;
}

/* `keys` are parted by blanks. */
static void work_begin_of(struct work *made, const char *keys)
{
	struct slice rest = slice_str(keys);
	size_t count = 0;

	work_finish(made);
	while (rest.size) {
		ptrdiff_t blank = slice_find(rest, ' ');
		size_t size = blank < 0 ? rest.size : (size_t)blank;

		made->keys[count] = slice_of(rest.data, size);
		made->questions[count] = (struct question){.statement = &work_statement,
			.params = &made->keys[count],
			.rows = &made->rows[count],
			.why = &made->whys[count]};
		made->must_meet[count] = made->keys[count].data[0] == '?';
		count++;
		rest = slice_from(rest, blank < 0 ? size : size + 1);
	}
	made->transaction = (struct transaction){
		.questions = made->questions, .count = count, .must_meet = made->must_meet};
	made->ask = (struct ask){.question = {.statement = &transaction_statement,
					 .rows = &made->rows[QUESTIONS_MOST],
					 .why = &made->whys[QUESTIONS_MOST]},
		.deadline = fake.now + WORK_TIMEOUT,
		.done = work_done,
		.transaction = &made->transaction};
	source_ask(&source, &made->ask, fake.now);
}

static void work_begin(const char *keys)
{
	work_begin_of(&work, keys);
	stage_turn();
}

/* That it has ended so, and what was asked on the way; "": for no reason. */
static void work_end(enum status status, const char *why, const char *asked)
{
	const char *reason = work.whys[QUESTIONS_MOST].text;

	ck_assert_msg(
		work.answers == 1, "%d answers; asked %s", work.answers, buf_string(&fake.asked));
	ck_assert_msg(work.ask.question.status == status, "%s (%s)",
		status_text(work.ask.question.status), reason);
	if (*why)
		assert_contains(reason, why);
	assert_buf(&fake.asked, asked);
}

/* The connection that has something to do. */
static struct link *busy(void)
{
	struct link *link = stage_find(false, true);

	ck_assert_msg(link, "nothing is asked; so far %s", buf_string(&fake.asked));
	return link;
}

/* So many steps are answered. */
static void answer(int steps)
{
	while (steps--) {
		link_answers(&fake, busy());
		stage_turn();
	}
}

/* --- All is well */

START_TEST(one_statement_alone)
{
	stage_warm_up(1);
	work_begin("abc");
	ck_assert_int_eq(work.answers, 0);
	ck_assert(transaction_is_unsure(&work.transaction));
	answer(1);
	work_end(FOUND, "", "abc ");
	ck_assert_int_eq(work.questions[0].status, NOT_FOUND);
	ck_assert_uint_eq(work.questions[0].changed, 3);
	ck_assert_uint_eq(stage_status().busy, 0);
}
END_TEST

START_TEST(several_step_by_step)
{
	static const char *const found[] = {"bb", NULL};

	fake.found = found;
	stage_warm_up(1);
	work_begin("a bb ccc");
	ck_assert(!transaction_is_unsure(&work.transaction));
	answer(4);
	ck_assert(transaction_is_unsure(&work.transaction));
	ck_assert_int_eq(work.answers, 0);
	answer(1);
	work_end(FOUND, "", "BEGIN a bb ccc COMMIT ");
	for (size_t i = 0; i < 3; i++)
		ck_assert_uint_eq(work.questions[i].changed, i + 1);
	ck_assert_int_eq(work.questions[0].status, NOT_FOUND);
	ck_assert_int_eq(work.questions[1].status, FOUND);
	assert_slice(rows_cell(&work.rows[1], 0, 0), "3:bb");
	ck_assert_int_eq(work.questions[2].status, NOT_FOUND);
	ck_assert_uint_eq(fake.opened, 1);
}
END_TEST

/* Where the connection may be dead already, nobody could tell whether one alone has happened. */
START_TEST(one_statement_after_a_pause)
{
	stage_warm_up(1);
	stage_pass(999);
	work_begin("a");
	answer(1);
	work_end(FOUND, "", "a ");
	stage_pass(1000);
	work_begin("a");
	answer(3);
	work_end(FOUND, "", "BEGIN a COMMIT ");
}
END_TEST

START_TEST(on_a_new_connection)
{
	work_begin("a");
	ck_assert_int_eq(work.answers, 0);
	stage_open_all();
	answer(1);
	work_end(FOUND, "", "a ");
}
END_TEST

START_TEST(answered_at_once)
{
	stage_warm_up(1);
	fake.at_once = true;
	work_begin("a b c d");
	work_end(FOUND, "", "BEGIN a b c d COMMIT ");
	work_begin("a");
	work_end(FOUND, "", "a ");
}
END_TEST

/* --- A step fails */

static const struct {
	const char *keys, *poison, *asked;
} failures[] = {
	{"a", "a", "a "},
	{"a b", "BEGIN", "BEGIN "},
	{"a b", "a", "BEGIN a ROLLBACK "},
	{"a b", "b", "BEGIN a b ROLLBACK "},
	{"a b", "COMMIT", "BEGIN a b COMMIT ROLLBACK "},
};

START_TEST(a_step_fails)
{
	const char *const poison[] = {failures[_i].poison, NULL};

	stage_warm_up(1);
	fake.poison = poison;
	work_begin(failures[_i].keys);
	stage_settle();
	work_end(BROKEN, "this key is poison", failures[_i].asked);
	ck_assert_uint_eq(fake.closed, 0);
	/* The connection is good for the next one. */
	fake.poison = NULL;
	work_begin("x y");
	stage_settle();
	work_end(FOUND, "", "BEGIN x y COMMIT ");
	fake.poison = NULL;
}
END_TEST

/* A statement that has to meet a row and meets none undoes the rest, and is no error. */
static const struct {
	const char *keys, *asked;
} misses[] = {
	{"?0", "?0 "},
	{"a ?0", "BEGIN a ?0 ROLLBACK "},
	{"?0 a", "BEGIN ?0 ROLLBACK "},
};

START_TEST(a_row_is_missing)
{
	stage_warm_up(1);
	work_begin(misses[_i].keys);
	stage_settle();
	work_end(NOT_FOUND, "", misses[_i].asked);
	ck_assert_uint_eq(fake.closed, 0);
	work_begin("?1 a");
	stage_settle();
	work_end(FOUND, "", "BEGIN ?1 a COMMIT ");
}
END_TEST

/* What may do better another time is tried a few times more. */
static const struct {
	const char *keys, *unlucky, *asked, *asked_first; /* once, if it does better then */
	int steps;                                        /* of the first time */
} moments[] = {
	{"a", "a", "a a a a ", "a a ", 1},
	{"a b", "a", "BEGIN a ROLLBACK BEGIN a ROLLBACK BEGIN a ROLLBACK BEGIN a ROLLBACK ",
		"BEGIN a ROLLBACK BEGIN a b COMMIT ", 2},
	{"a b", "b", "BEGIN a b ROLLBACK BEGIN a b ROLLBACK BEGIN a b ROLLBACK BEGIN a b ROLLBACK ",
		"BEGIN a b ROLLBACK BEGIN a b COMMIT ", 3},
	{"a b", "COMMIT",
		"BEGIN a b COMMIT ROLLBACK BEGIN a b COMMIT ROLLBACK BEGIN a b COMMIT ROLLBACK "
		"BEGIN a b COMMIT ROLLBACK ",
		"BEGIN a b COMMIT ROLLBACK BEGIN a b COMMIT ", 4},
};

START_TEST(bad_luck)
{
	const char *const unlucky[] = {moments[_i].unlucky, NULL};

	stage_warm_up(1);
	fake.unlucky = unlucky;
	work_begin(moments[_i].keys);
	stage_settle();
	work_end(TRY_LATER, "this key is unlucky", moments[_i].asked);
	work_begin(moments[_i].keys);
	answer(moments[_i].steps);
	fake.unlucky = NULL;
	stage_settle();
	work_end(FOUND, "", moments[_i].asked_first);
	ck_assert_uint_eq(work.questions[0].changed, 1);
	ck_assert_uint_eq(fake.closed, 0);
}
END_TEST

START_TEST(no_luck_is_tried_after_the_deadline)
{
	static const char *const unlucky[] = {"a", NULL};

	stage_warm_up(1);
	fake.unlucky = unlucky;
	work_begin("a b");
	answer(2);
	fake.now = work.ask.deadline;
	answer(1);
	work_end(TRY_LATER, "this key is unlucky", "BEGIN a ROLLBACK ");
	fake.unlucky = NULL;
}
END_TEST

/*
 * What state the connection is in nobody knows then. To begin anew on it would commit what was
 * done before, in MySQL.
 */
START_TEST(rollback_fails)
{
	static const char *const unlucky[] = {"b", NULL};
	static const char *const poison[] = {"ROLLBACK", NULL};

	stage_warm_up(1);
	fake.unlucky = unlucky;
	fake.poison = poison;
	work_begin("a b");
	stage_settle();
	work_end(TRY_LATER, "this key is unlucky", "BEGIN a b ROLLBACK ");
	ck_assert_uint_eq(fake.closed, 1);
	fake.unlucky = fake.poison = NULL;
	work_begin("a b");
	stage_settle();
	work_end(FOUND, "", "BEGIN a b COMMIT ");
	ck_assert_uint_eq(fake.opened, 2);
}
END_TEST

/* --- The connection is lost */

/* After so many answers. What has surely not happened is asked again elsewhere. */
static const struct {
	const char *keys;
	int steps;
	enum status status; /* UNSURE, or FOUND: it was asked again */
	const char *asked;
} losses[] = {
	{"a", 0, UNSURE, "a "},
	{"a b", 0, FOUND, "BEGIN BEGIN a b COMMIT "},
	{"a b", 1, FOUND, "BEGIN a BEGIN a b COMMIT "},
	{"a b", 2, FOUND, "BEGIN a b BEGIN a b COMMIT "},
	{"a b", 3, UNSURE, "BEGIN a b COMMIT "},
};

START_TEST(the_connection_is_lost)
{
	stage_warm_up(1);
	work_begin(losses[_i].keys);
	answer(losses[_i].steps);
	link_breaks(&fake, busy(), "gone away");
	stage_settle();
	work_end(losses[_i].status, losses[_i].status == UNSURE ? "mail: gone away, while" : "",
		losses[_i].asked);
	/* Later nothing comes of it, either. */
	stage_pass(2 * WORK_TIMEOUT);
	stage_settle();
	work_end(losses[_i].status, "", "");
}
END_TEST

START_TEST(it_is_not_asked_again_for_ever)
{
	for (int steps = 0; steps < 3; steps++) {
		stage_warm_up(1);
		work_begin("a b");
		for (int i = 0; i < 3; i++) {
			stage_pass(STAGE_RETRY);
			stage_open_all();
			ck_assert_int_eq(work.answers, 0);
			answer(steps);
			link_breaks(&fake, busy(), "gone away");
		}
		stage_turn();
		ck_assert_int_eq(work.answers, 1);
		ck_assert_int_eq(work.ask.question.status, TRY_LATER);
		assert_contains(work.whys[QUESTIONS_MOST].text, "source mail: gone away");
		buf_clear(&fake.asked);
		stage_pass(STAGE_RETRY);
		stage_settle();
		assert_buf(&fake.asked, "");
	}
}
END_TEST

/* A connection that can't even be asked: the same. */
START_TEST(lost_inside_of_start)
{
	stage_warm_up(1);
	fake.loses = "broken pipe";
	work_begin("a");
	work_end(UNSURE, "broken pipe, while it was being committed", "a ");
}
END_TEST

/* Rolled back it is by the server then; nothing was done. */
START_TEST(lost_while_it_rolls_back)
{
	static const char *const poison[] = {"b", NULL};

	stage_warm_up(1);
	fake.poison = poison;
	work_begin("a b");
	answer(3);
	link_breaks(&fake, busy(), "gone away");
	stage_settle();
	work_end(BROKEN, "this key is poison", "BEGIN a b ROLLBACK BEGIN a b ROLLBACK ");
	fake.poison = NULL;
}
END_TEST

/* --- No answer */

/* After so many answers nothing more comes. */
static const struct {
	const char *keys;
	int steps;
	enum status status;
	const char *asked;
} silences[] = {
	{"a", 0, UNSURE, "a "},
	{"a b", 0, TRY_LATER, "BEGIN "},
	{"a b", 1, TRY_LATER, "BEGIN a "},
	{"a b", 2, TRY_LATER, "BEGIN a b "},
	{"a b", 3, UNSURE, "BEGIN a b COMMIT "},
	{"p b", 2, TRY_LATER, "BEGIN p ROLLBACK "},
};

START_TEST(the_deadline)
{
	stage_warm_up(1);
	work_begin(silences[_i].keys);
	answer(silences[_i].steps);
	stage_pass(WORK_TIMEOUT - 1);
	ck_assert_int_eq(work.answers, 0);
	stage_pass(1);
	work_end(silences[_i].status, "no answer within query_timeout", silences[_i].asked);
	ck_assert_uint_eq(work.answered_at, work.ask.deadline);
	/* The connection goes, and with it what was begun. */
	ck_assert_uint_eq(fake.cancelled, 1);
	stage_pass(WORK_TIMEOUT);
	stage_settle();
	assert_buf(&fake.asked, "");
}
END_TEST

START_TEST(abandoned)
{
	stage_warm_up(1);
	work_begin(silences[_i].keys);
	answer(silences[_i].steps);
	source_abandon(&source);
	work_end(silences[_i].status, "", silences[_i].asked);
}
END_TEST

/* What was never asked is not unsure. */
START_TEST(abandoned_while_it_waits)
{
	work_begin("a");
	source_abandon(&source);
	work_end(TRY_LATER, "", "");
	stage_open_all();
	assert_buf(&fake.asked, "");
}
END_TEST

START_TEST(lost_and_then_late)
{
	stage_warm_up(1);
	work_begin("a b");
	answer(2);
	link_breaks(&fake, busy(), "gone away");
	stage_refuse_all("connection refused");
	stage_pass(WORK_TIMEOUT);
	work_end(TRY_LATER, "source mail: ", "BEGIN a b ");
}
END_TEST

START_TEST(no_server)
{
	work_begin("a");
	stage_refuse_all("connection refused");
	work_end(TRY_LATER, "connection refused", "");
	/* It is tried in the background; till then nobody waits. */
	work_begin("a");
	work_end(TRY_LATER, "connection refused", "");
}
END_TEST

/* --- Others */

START_TEST(others_go_on)
{
	struct work other = {.answers = 0};
	struct link *first, *second;

	stage_warm_up(2);
	work_begin("a b");
	first = busy();
	work_begin_of(&other, "x y");
	stage_turn();
	second = fake.links == first ? first->next : fake.links;
	ck_assert_ptr_nonnull(second->batch);
	link_answers(&fake, second);
	link_answers(&fake, first);
	link_answers(&fake, second);
	link_answers(&fake, second);
	link_answers(&fake, second);
	ck_assert_int_eq(other.answers, 1);
	ck_assert_int_eq(work.answers, 0);
	link_breaks(&fake, second, "gone away");
	link_answers(&fake, first);
	link_answers(&fake, first);
	link_answers(&fake, first);
	work_end(FOUND, "", "BEGIN BEGIN x a y COMMIT b COMMIT ");
	work_finish(&other);
}
END_TEST

/* Nobody gets between its steps, and none shares a query with another. */
START_TEST(one_after_the_other)
{
	struct work others[3] = {{.answers = 0}};

	server.pool = 1;
	stage_warm_up(1);
	work_begin("a b");
	for (int i = 0; i < 3; i++)
		work_begin_of(&others[i], "x");
	stage_settle();
	work_end(FOUND, "", "BEGIN a b COMMIT x x x ");
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(others[i].answers, 1);
		ck_assert_int_eq(others[i].ask.question.status, FOUND);
		work_finish(&others[i]);
	}
}
END_TEST

static Suite *transaction_suite(void)
{
	Suite *suite = suite_create("transaction");
	TCase *tcase = tcase_create("all");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, one_statement_alone);
	tcase_add_test(tcase, several_step_by_step);
	tcase_add_test(tcase, one_statement_after_a_pause);
	tcase_add_test(tcase, on_a_new_connection);
	tcase_add_test(tcase, answered_at_once);
	tcase_add_loop_test(tcase, a_step_fails, 0, COUNT(failures));
	tcase_add_loop_test(tcase, a_row_is_missing, 0, COUNT(misses));
	tcase_add_loop_test(tcase, bad_luck, 0, COUNT(moments));
	tcase_add_test(tcase, no_luck_is_tried_after_the_deadline);
	tcase_add_test(tcase, rollback_fails);
	tcase_add_loop_test(tcase, the_connection_is_lost, 0, COUNT(losses));
	tcase_add_test(tcase, it_is_not_asked_again_for_ever);
	tcase_add_test(tcase, lost_inside_of_start);
	tcase_add_test(tcase, lost_while_it_rolls_back);
	tcase_add_loop_test(tcase, the_deadline, 0, COUNT(silences));
	tcase_add_loop_test(tcase, abandoned, 0, COUNT(silences));
	tcase_add_test(tcase, abandoned_while_it_waits);
	tcase_add_test(tcase, lost_and_then_late);
	tcase_add_test(tcase, no_server);
	tcase_add_test(tcase, others_go_on);
	tcase_add_test(tcase, one_after_the_other);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return unit_run(transaction_suite());
}
