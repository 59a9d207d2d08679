#include "backend.h"

#include "support/text.h"

enum { MANY = 3 };

static const struct statement statement = {.text = "q ?", .params = 1, .kind = STATEMENT_KEYS};
static struct question questions[MANY];
static struct slice keys[MANY];
static struct rows rows[MANY];
static struct error why[MANY];
static struct batch batch;

static void begin(void)
{
	static const char *const texts[MANY] = {"one", "two", "two"};

	for (size_t i = 0; i < MANY; i++) {
		keys[i] = slice_str(texts[i]);
		rows[i] = (struct rows){0};
		why[i] = (struct error){0};
		questions[i] = (struct question){.statement = &statement,
			.params = &keys[i],
			.rows = &rows[i],
			.why = &why[i]};
	}
	batch = (struct batch){.questions = questions, .count = MANY};
}

static void end(void)
{
	for (size_t i = 0; i < MANY; i++)
		rows_finish(&rows[i]);
}

static void assert_all(enum status status, const char *text)
{
	for (size_t i = 0; i < batch.count; i++) {
		ck_assert_int_eq(questions[i].status, status);
		ck_assert_str_eq(why[i].text, text);
		ck_assert_uint_eq(rows[i].count, 0);
	}
}

static void add(size_t question, const char *text)
{
	struct slice cell = slice_str(text);

	batch_add_row(&batch, question, &cell, 1);
}

/* What may be one key's fault is found out; nobody has an answer till then. */
START_TEST(a_key_at_fault)
{
	ck_assert_int_eq(batch_fail(&batch, FAULT_KEY, "illegal mix of collations"), SPLIT);
	for (size_t i = 0; i < MANY; i++)
		ck_assert_int_eq(questions[i].status, TRY_LATER);
	ck_assert_str_eq(why[0].text, "illegal mix of collations");
	batch.count = 1;
	ck_assert_int_eq(batch_fail(&batch, FAULT_KEY, "illegal mix of collations"), DONE);
	assert_all(BROKEN, "illegal mix of collations");
}
END_TEST

START_TEST(a_query_at_fault)
{
	add(1, "of a query that failed half-way");
	ck_assert_int_eq(batch_fail(&batch, FAULT_QUERY, "no such table"), DONE);
	assert_all(BROKEN, "no such table");
}
END_TEST

START_TEST(a_bad_moment)
{
	ck_assert_int_eq(batch_fail(&batch, FAULT_MOMENT, "deadlock"), SPLIT);
	batch.count = 1;
	add(0, "half a result");
	ck_assert_int_eq(batch_fail(&batch, FAULT_MOMENT, "deadlock"), DONE);
	assert_all(TRY_LATER, "deadlock");
}
END_TEST

START_TEST(a_connection_at_fault)
{
	for (batch.count = MANY; batch.count; batch.count--) {
		ck_assert_int_eq(batch_fail(&batch, FAULT_CONNECTION, "gone away"), LOST);
		ck_assert_str_eq(why[0].text, "gone away");
		ck_assert_int_eq(questions[0].status, TRY_LATER);
		ck_assert(!batch.is_refused);
	}
}
END_TEST

START_TEST(a_server_that_refuses)
{
	batch.count = 1;
	ck_assert_int_eq(batch_fail(&batch, FAULT_REFUSED, "read-only"), LOST);
	ck_assert(batch.is_refused);
	batch_clear(&batch);
	ck_assert(!batch.is_refused);
}
END_TEST

/* The reason may be a question's own text. */
START_TEST(a_reason_that_is_there_already)
{
	error_set(&why[0], "syntax error");
	ck_assert_int_eq(batch_fail(&batch, FAULT_QUERY, why[0].text), DONE);
	assert_all(BROKEN, "syntax error");
}
END_TEST

START_TEST(rows_make_it_found)
{
	add(1, "x");
	add(1, "y");
	add(2, "z");
	ck_assert_int_eq(batch_finish(&batch), DONE);
	ck_assert_int_eq(questions[0].status, NOT_FOUND);
	ck_assert_int_eq(questions[1].status, FOUND);
	ck_assert_int_eq(questions[2].status, FOUND);
	ck_assert_uint_eq(rows[1].count, 2);
	assert_slice(rows_cell(&rows[1], 1, 0), "y");
	assert_slice(rows_cell(&rows[2], 0, 0), "z");
}
END_TEST

/* What has a status keeps it: a question that failed is not "not found". */
START_TEST(a_status_is_kept)
{
	questions[0].status = BROKEN;
	questions[2].status = BROKEN;
	add(1, "x");
	batch_finish(&batch);
	ck_assert_int_eq(questions[0].status, BROKEN);
	ck_assert_int_eq(questions[1].status, FOUND);
	ck_assert_int_eq(questions[2].status, BROKEN);
}
END_TEST

/* Half of a result is none: the question is broken, whatever else comes. */
START_TEST(too_many_rows)
{
	char *text = calloc(1, 1 << 20);
	struct slice cell = slice_of(text, 1 << 20);

	for (int i = 0; i < 10; i++)
		batch_add_row(&batch, 1, &cell, 1);
	add(1, "small");
	add(0, "small");
	batch_finish(&batch);
	ck_assert_int_eq(questions[1].status, BROKEN);
	ck_assert_uint_eq(rows[1].count, 0);
	assert_contains(why[1].text, "more than 4 MB");
	ck_assert_int_eq(questions[0].status, FOUND);
	free(text);
}
END_TEST

START_TEST(clearing)
{
	add(0, "x");
	questions[1].status = BROKEN;
	questions[2].changed = 7;
	batch_finish(&batch);
	batch_clear(&batch);
	for (size_t i = 0; i < MANY; i++) {
		ck_assert_uint_eq(questions[i].changed, 0);
		ck_assert_int_eq(questions[i].status, TRY_LATER);
		ck_assert_uint_eq(rows[i].count, 0);
	}
	/* Rows of another width fit in, as after a change of the schema. */
	batch_add_row(&batch, 0, (struct slice[]){slice_str("a"), slice_str("b")}, 2);
	batch_finish(&batch);
	ck_assert_int_eq(questions[0].status, FOUND);
}
END_TEST

static int add_keyed(const char *key, const char *text)
{
	struct slice cells[] = {slice_str(key), slice_str(text)};

	return batch_add_keyed_row(&batch, cells, 2);
}

/* A key that was asked for twice is answered twice. */
START_TEST(rows_by_their_key)
{
	ck_assert_int_eq(add_keyed("two", "2"), 0);
	ck_assert_int_eq(add_keyed("two", "zwei"), 0);
	batch_finish(&batch);
	ck_assert_int_eq(questions[0].status, NOT_FOUND);
	for (size_t i = 1; i < MANY; i++) {
		ck_assert_int_eq(questions[i].status, FOUND);
		ck_assert_uint_eq(rows[i].count, 2);
		ck_assert_uint_eq(rows[i].columns, 1);
		assert_slice(rows_cell(&rows[i], 1, 0), "zwei");
	}
}
END_TEST

/* The database takes it for one of the keys, but which is not known. */
START_TEST(a_row_of_no_key)
{
	ck_assert_int_eq(add_keyed("TWO", "2"), -1);
	ck_assert_int_eq(add_keyed("tw", "2"), -1);
	ck_assert_int_eq(add_keyed("", "2"), -1);
	ck_assert_int_eq(batch_add_keyed_row(&batch, (struct slice[]){{NULL, 0}, keys[0]}, 2), -1);
	for (size_t i = 0; i < MANY; i++)
		ck_assert_uint_eq(rows[i].count, 0);
}
END_TEST

/* One question alone has all rows, however they are spelt. */
START_TEST(one_question_by_its_key)
{
	batch.count = 1;
	ck_assert_int_eq(add_keyed("ONE", "1"), 0);
	ck_assert_int_eq(add_keyed("one", "eins"), 0);
	batch_finish(&batch);
	ck_assert_int_eq(questions[0].status, FOUND);
	ck_assert_uint_eq(rows[0].count, 2);
	assert_slice(rows_cell(&rows[0], 0, 0), "1");
}
END_TEST

/* A list of what exists has one column, which is both. */
START_TEST(the_key_may_be_all)
{
	for (; batch.count; batch.count -= 2) {
		ck_assert_int_eq(batch_add_keyed_row(&batch, &keys[0], 1), 0);
		batch_finish(&batch);
		ck_assert_int_eq(questions[0].status, FOUND);
		assert_slice(rows_cell(&rows[0], 0, 0), "one");
		if (batch.count == 1)
			break;
		ck_assert_int_eq(questions[1].status, NOT_FOUND);
		batch_clear(&batch);
	}
}
END_TEST

/* An empty key is no NULL: that row is of nobody. */
START_TEST(null_is_no_key)
{
	struct slice cells[] = {{NULL, 0}, slice_str("x")};

	keys[0] = slice_str("");
	ck_assert_int_eq(batch_add_keyed_row(&batch, cells, 2), -1);
	cells[0] = slice_str("");
	ck_assert_int_eq(batch_add_keyed_row(&batch, cells, 2), 0);
	batch_finish(&batch);
	ck_assert_int_eq(questions[0].status, FOUND);
	ck_assert_int_eq(questions[1].status, NOT_FOUND);
}
END_TEST

/* Long keys are first looked at in their middle, and it is never enough. */
START_TEST(keys_that_differ_anywhere)
{
	const char *key = "user012345@example.com";
	char other[30], *copy;

	for (size_t size = 0; size <= strlen(key); size++) {
		keys[0] = slice_of(key, size);
		for (size_t at = 0; at < size; at++) {
			memcpy(other, key, size);
			other[at] = '#';
			copy = memcpy(malloc(size), other, size);
			ck_assert_int_eq(batch_add_keyed_row(
						 &batch, (struct slice[]){slice_of(copy, size)}, 1),
				-1);
			free(copy);
		}
		memcpy(other, key, size);
		ck_assert_int_eq(
			batch_add_keyed_row(&batch, (struct slice[]){slice_of(other, size)}, 1), 0);
	}
}
END_TEST

static void add_names(void)
{
	batch_add_name(&batch, slice_str("login"));
	batch_add_name(&batch, slice_str(""));
	batch_add_name(&batch, slice_str("uid"));
}

/* By whom the statement wants them. */
START_TEST(names_of_columns)
{
	struct statement named = statement;

	add_names();
	for (size_t i = 0; i < MANY; i++)
		ck_assert_uint_eq(rows[i].names.size, 0);
	named.named = true;
	for (size_t i = 0; i < MANY; i++)
		questions[i].statement = &named;
	questions[1].status = BROKEN;
	for (int round = 0; round < 2; round++) {
		add_names();
		add(0, "x");
		batch_finish(&batch);
		assert_slice(rows_name(&rows[0], 0), "login");
		assert_slice(rows_name(&rows[0], 2), "uid");
		ck_assert_uint_eq(rows[1].names.size, round ? rows[2].names.size : 0);
		/* They are there even if there are no rows. */
		assert_slice(rows_name(&rows[2], 0), "login");
		assert_slice(rows_name(&rows[2], 1), "");
		assert_slice(rows_name(&rows[2], 2), "uid");
		assert_slice(rows_name(&rows[2], 3), "");
		batch_clear(&batch);
	}
}
END_TEST

/* Of a batch that is asked in parts, those that were asked. */
START_TEST(names_of_a_part)
{
	struct statement named = statement;
	struct batch part = {.questions = questions + 1, .count = 1};

	named.named = true;
	for (size_t i = 0; i < MANY; i++)
		questions[i].statement = &named;
	batch_add_name(&part, slice_str("login"));
	ck_assert_uint_eq(rows[0].names.size, 0);
	assert_slice(rows_name(&rows[1], 0), "login");
	ck_assert_uint_eq(rows[2].names.size, 0);
	/* What has failed has none. */
	batch_fail(&part, FAULT_QUERY, "no such column");
	ck_assert_uint_eq(rows[1].names.size, 0);
}
END_TEST

START_TEST(commands)
{
	const struct statement_part part = {slice_str("BEGIN"), 0};
	struct statement asked = {.text = "Begin"};

	ck_assert(statement_is_command(&asked, "BEGIN"));
	ck_assert(!statement_is_command(&asked, "BEGIN IMMEDIATE"));
	ck_assert(!statement_is_command(&asked, "COMMIT"));
	/* A query is none, whatever it says. */
	asked.parts = &part;
	asked.part_count = 1;
	ck_assert(!statement_is_command(&asked, "BEGIN"));
}
END_TEST

/* Transactions. */

static struct transaction_state transaction;

/* Carries out a command, or a statement if it is none, unless that is not allowed. */
static enum status carry_out(const char *text, enum status status)
{
	struct statement command = {
		.text = text, .kind = STATEMENT_ONCE, .part_count = strchr(text, ' ') ? 1 : 0};

	batch.count = 1;
	batch_clear(&batch);
	questions[0].statement = &command;
	if (!transaction_allows(&transaction, &batch))
		return questions[0].status;
	questions[0].status = status;
	transaction_note(&transaction, &batch);
	return status;
}

START_TEST(a_transaction_that_fails)
{
	transaction = (struct transaction_state){0};
	ck_assert_int_eq(carry_out("BEGIN", NOT_FOUND), NOT_FOUND);
	ck_assert_int_eq(carry_out("UPDATE a", NOT_FOUND), NOT_FOUND);
	ck_assert_int_eq(carry_out("SELECT a", FOUND), FOUND);
	ck_assert_int_eq(carry_out("UPDATE b", TRY_LATER), TRY_LATER);
	ck_assert_int_eq(carry_out("UPDATE c", NOT_FOUND), BROKEN);
	assert_contains(why[0].text, "rolled back");
	ck_assert_int_eq(carry_out("BEGIN", NOT_FOUND), BROKEN);
	ck_assert_int_eq(carry_out("COMMIT", NOT_FOUND), BROKEN);
	ck_assert_int_eq(carry_out("SELECT a", FOUND), BROKEN);
	/* What is no command does not end it. */
	ck_assert_int_eq(carry_out("ROLLBACK TO here", NOT_FOUND), BROKEN);
	ck_assert_int_eq(carry_out("rollback", NOT_FOUND), NOT_FOUND);
	ck_assert_int_eq(carry_out("UPDATE c", NOT_FOUND), NOT_FOUND);
}
END_TEST

START_TEST(transactions_that_end)
{
	static const char *const ends[] = {"COMMIT", "ROLLBACK"};

	transaction = (struct transaction_state){0};
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(carry_out("BEGIN", NOT_FOUND), NOT_FOUND);
		ck_assert_int_eq(carry_out(ends[i], NOT_FOUND), NOT_FOUND);
		/* Whatever fails now stands alone. */
		ck_assert_int_eq(carry_out("UPDATE a", BROKEN), BROKEN);
		ck_assert_int_eq(carry_out("UPDATE a", NOT_FOUND), NOT_FOUND);
	}
	/* One that has not begun. */
	ck_assert_int_eq(carry_out("BEGIN", TRY_LATER), TRY_LATER);
	ck_assert_int_eq(carry_out("UPDATE a", NOT_FOUND), NOT_FOUND);
	/* One that can't be committed. */
	ck_assert_int_eq(carry_out("BEGIN", NOT_FOUND), NOT_FOUND);
	ck_assert_int_eq(carry_out("COMMIT", TRY_LATER), TRY_LATER);
	ck_assert_int_eq(carry_out("COMMIT", NOT_FOUND), BROKEN);
	ck_assert_int_eq(carry_out("ROLLBACK", NOT_FOUND), NOT_FOUND);
}
END_TEST

/* At first zero, and then what was put there, whatever else is asked for. */
START_TEST(slots_of_statements)
{
	static const size_t ids[] = {3, 0, 100, 2, 1000};
	struct statement asked = {.id = 0};
	struct buf slots = {0};

	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
			uint64_t *slot;

			asked.id = ids[i];
			slot = statement_slot(&slots, &asked, sizeof(*slot));
			ck_assert_uint_eq(*slot, round ? ids[i] + 1 : 0);
			*slot = ids[i] + 1;
		}
	}
	ck_assert_uint_eq(slots.size, 1001 * sizeof(uint64_t));
	buf_finish(&slots);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("backend");
	TCase *tcase = tcase_create("backend");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, a_key_at_fault);
	tcase_add_test(tcase, a_query_at_fault);
	tcase_add_test(tcase, a_bad_moment);
	tcase_add_test(tcase, a_connection_at_fault);
	tcase_add_test(tcase, a_server_that_refuses);
	tcase_add_test(tcase, a_reason_that_is_there_already);
	tcase_add_test(tcase, rows_make_it_found);
	tcase_add_test(tcase, a_status_is_kept);
	tcase_add_test(tcase, too_many_rows);
	tcase_add_test(tcase, clearing);
	tcase_add_test(tcase, rows_by_their_key);
	tcase_add_test(tcase, a_row_of_no_key);
	tcase_add_test(tcase, one_question_by_its_key);
	tcase_add_test(tcase, the_key_may_be_all);
	tcase_add_test(tcase, null_is_no_key);
	tcase_add_test(tcase, keys_that_differ_anywhere);
	tcase_add_test(tcase, slots_of_statements);
	tcase_add_test(tcase, names_of_columns);
	tcase_add_test(tcase, names_of_a_part);
	tcase_add_test(tcase, commands);
	tcase_add_test(tcase, a_transaction_that_fails);
	tcase_add_test(tcase, transactions_that_end);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
