/*
 * What every backend promises by backend.h, in one suite that knows nothing of any of them:
 *
 *	contract NAME
 *
 * To take a backend in, write contract/NAME.c (see contract.h).
 */
#include "contract/contract.h"

#include "base/clock.h"
#include "engine/query.h"
#include "support/text.h"

enum { LONG = 70000, LONG_KEY = 500, PATIENCE_MS = 60000, MANY = 200 };

static char long_value[LONG + 1], long_key[LONG_KEY + 1];

const struct contract_row contract_rows[] = {
	{"one", "1"},
	{"two", "first"},
	{"two", "second"},
	{"null", NULL},
	{"empty", ""},
	{"mixed", NULL},
	{"mixed", "value"},
	{"it's", "quote"},
	{"a\\b%c_\"d\"", "signs"},
	{"--", "dashes"},
	{"gr\xc3\xbcn", "\xf0\x9f\x98\x80"},
	{"\x01\x7f", "\x02 and '\\"},
	{"a@b", "address"},
	{"long", long_value},
	{long_key, "long key"},
	{NULL, NULL},
};

static const struct contract_backend *tested;

/* A connection, and the statements that it has been asked. */
struct place {
	void *config, *conn;
	struct query queries[MANY];
	size_t query_count;
	struct rows rows;
	struct error why;
	enum progress progress;
};

static struct place place;

static void open_place(void)
{
	place.conn = calloc(1, tested->backend->conn_size);
	ck_assert_msg(tested->backend->open(place.conn, place.config, &place.why) == 0, "%s",
		place.why.text);
}

static void close_place(void)
{
	tested->backend->close(place.conn);
	free(place.conn);
	place.conn = NULL;
}

static void begin(void)
{
	place = (struct place){0};
	memset(long_value, 'x', LONG);
	memset(long_key, 'k', LONG_KEY);
	place.config = calloc(1, tested->backend->config_size);
	settings_init(tested->backend->settings, place.config);
	tested->prepare(place.config);
	open_place();
}

static void end(void)
{
	if (place.conn)
		close_place();
	tested->remove(place.config);
	settings_finish(tested->backend->settings, place.config);
	free(place.config);
	for (size_t i = 0; i < place.query_count; i++)
		query_finish(&place.queries[i]);
	rows_finish(&place.rows);
}

/* A statement, as the engine makes it. */
static const struct query *add_query(const char *text)
{
	struct template_needs needs = {0};
	struct query *query = &place.queries[place.query_count];

	ck_assert_msg(query_init(query, text, tested->backend->dialect, &needs, &place.why) == 0,
		"%s", place.why.text);
	query->statement.id = place.query_count++;
	return query;
}

static void start(struct question *question, bool only_check)
{
	struct batch batch = {.questions = question,
		.count = 1,
		.deadline = clock_ms() + PATIENCE_MS,
		.only_check = only_check};

	place.why.text[0] = '\0';
	rows_clear(&place.rows);
	place.progress = tested->backend->start(place.conn, &batch);
}

/* Asks, and returns the status if there is one: place.progress tells. */
static enum status ask_bytes(const struct query *query, struct slice key)
{
	struct slice params[STATEMENT_PARAMS_MAX];
	struct buf texts[STATEMENT_PARAMS_MAX] = {{0}};
	struct address_parts parts = address_parts_of(key);
	struct question question = {.statement = &query->statement,
		.params = params,
		.rows = &place.rows,
		.why = &place.why};

	for (size_t i = 0; i < query->statement.params; i++) {
		template_expand(&query->params[i], &parts, &parts, &texts[i]);
		params[i] = buf_slice(&texts[i]);
	}
	start(&question, false);
	for (size_t i = 0; i < query->statement.params; i++)
		buf_wipe(&texts[i]); /* a driver keeps no hold of what it was lent */
	return question.status;
}

static enum status ask(const struct query *query, const char *key)
{
	enum status status = ask_bytes(query, slice_str(key));

	ck_assert_msg(place.progress == DONE, "%s", place.why.text);
	return status;
}

static enum status check(const struct query *query)
{
	struct question question = {
		.statement = &query->statement, .rows = &place.rows, .why = &place.why};

	start(&question, true);
	ck_assert_msg(place.progress == DONE, "%s", place.why.text);
	return question.status;
}

static void rest(void)
{
	if (tested->backend->rest)
		tested->backend->rest(place.conn);
}

/* The values of a column, parted by '|'. */
static void assert_column(size_t column, const char *should)
{
	struct buf values = {0};

	for (size_t row = 0; row < place.rows.count; row++) {
		struct slice cell = rows_cell(&place.rows, row, column);

		if (row)
			buf_add_byte(&values, '|');
		if (cell.data)
			buf_add_slice(&values, cell);
		else
			buf_add_string(&values, "NULL");
	}
	assert_slice(buf_slice(&values), should);
	buf_finish(&values);
}

static void assert_value(const struct query *query, const char *key, const char *value)
{
	ck_assert_msg(ask(query, key) == FOUND, "%s: %s", key, place.why.text);
	assert_column(0, value);
}

START_TEST(is_declared)
{
	const struct backend *backend = tested->backend;
	bool listed = false;

	for (const struct backend *const *at = backends; *at; at++)
		listed = listed || *at == backend;
	ck_assert(listed);
	ck_assert(backend->dialect->placeholder == '?' || backend->dialect->placeholder == '$');
	for (const struct setting *row = backend->settings; row->name; row++)
		ck_assert_uint_gt(strlen(row->help), 10);
	if (backend->check)
		ck_assert_int_eq(backend->check(place.config, &place.why), 0);
}
END_TEST

START_TEST(found)
{
	const struct query *query = add_query(tested->queries.value);

	assert_value(query, "one", "1");
	ck_assert_uint_eq(place.rows.columns, 1);
}
END_TEST

START_TEST(not_found)
{
	const struct query *query = add_query(tested->queries.value);

	ck_assert_int_eq(ask(query, "three"), NOT_FOUND);
	ck_assert_uint_eq(place.rows.count, 0);
	/* Not by a part of the key, nor by another case of it, nor for want of one. */
	ck_assert_int_eq(ask(query, "on"), NOT_FOUND);
	ck_assert_int_eq(ask(query, "ones"), NOT_FOUND);
	ck_assert_int_eq(ask(query, "ONE"), NOT_FOUND);
	ck_assert_int_eq(ask(query, "one "), NOT_FOUND);
	ck_assert_int_eq(ask(query, ""), NOT_FOUND);
	ck_assert_int_eq(ask(query, "%"), NOT_FOUND);
}
END_TEST

START_TEST(several_rows)
{
	assert_value(add_query(tested->queries.value), "two", "first|second");
	ck_assert_uint_eq(place.rows.count, 2);
}
END_TEST

START_TEST(several_columns)
{
	const struct query *query = add_query(tested->queries.both);

	ck_assert_int_eq(ask(query, "two"), FOUND);
	ck_assert_uint_eq(place.rows.columns, 2);
	assert_column(0, "two|two");
	assert_column(1, "first|second");
}
END_TEST

/* A row with nothing in it is a row: what it means is the engine's to say. */
START_TEST(null_and_empty)
{
	const struct query *query = add_query(tested->queries.value);

	assert_value(query, "null", "NULL");
	assert_value(query, "empty", tested->empty_is_null ? "NULL" : "");
	assert_value(query, "mixed", "NULL|value");
}
END_TEST

/* No byte of a key means anything to the database, and none of a value gets lost. */
START_TEST(odd_bytes)
{
	const struct query *query = add_query(tested->queries.value);

	assert_value(query, "it's", "quote");
	assert_value(query, "a\\b%c_\"d\"", "signs");
	assert_value(query, "--", "dashes");
	assert_value(query, "gr\xc3\xbcn", "\xf0\x9f\x98\x80");
	assert_value(query, "\x01\x7f", "\x02 and '\\");
	ck_assert_int_eq(ask(query, "' OR '1'='1"), NOT_FOUND);
	ck_assert_int_eq(ask(query, "\\' OR 1=1 --"), NOT_FOUND);
	ck_assert_int_eq(ask(query, "one'; DROP TABLE contract; --"), NOT_FOUND);
	assert_value(query, "one", "1");
}
END_TEST

START_TEST(long_values_and_keys)
{
	const struct query *query = add_query(tested->queries.value);
	char *key = malloc(LOOKUP_KEY_MAX);

	assert_value(query, long_key, "long key");
	ck_assert_int_eq(ask(query, "long"), FOUND);
	ck_assert(slice_equal(rows_cell(&place.rows, 0, 0), slice_str(long_value)));
	memset(key, 'y', LOOKUP_KEY_MAX);
	ck_assert_int_eq(ask_bytes(query, slice_of(key, LOOKUP_KEY_MAX)), NOT_FOUND);
	free(key);
}
END_TEST

START_TEST(many_parameters)
{
	const struct query *query = add_query(tested->queries.expressions);

	ck_assert_int_eq(ask(query, "a@b"), FOUND);
	assert_column(0, "a@b");
	assert_column(1, "a");
	assert_column(2, "b");
	assert_column(3, "a-a@b");
	ck_assert_int_eq(ask(query, "it's\\@x?1$2"), FOUND);
	assert_column(0, "it's\\@x?1$2");
	assert_column(2, "x?1$2");
	/* What the question before was given does not stay. */
	ck_assert_int_eq(ask(query, "c@d"), FOUND);
	assert_column(3, "c-c@d");
}
END_TEST

START_TEST(the_same_statement_many_times)
{
	const struct query *query = add_query(tested->queries.value);

	for (int i = 0; i < 2000; i++) {
		assert_value(query, "one", "1");
		ck_assert_int_eq(ask(query, "three"), NOT_FOUND);
		assert_value(query, "two", "first|second");
		if (i % 7 == 0)
			rest();
	}
}
END_TEST

/* In any order of their numbers, so that what is prepared is never another's. */
START_TEST(many_statements)
{
	for (size_t i = 0; i < MANY; i++)
		add_query(i % 2 ? tested->queries.both : tested->queries.value);
	for (size_t i = 0; i < 3 * MANY; i++) {
		const struct query *query = &place.queries[i * 71 % MANY];

		ck_assert_int_eq(ask(query, "one"), FOUND);
		assert_column(0, query->statement.id % 2 ? "one" : "1");
	}
}
END_TEST

START_TEST(only_checks)
{
	const struct query *query = add_query(tested->queries.value);

	ck_assert_int_eq(check(query), NOT_FOUND);
	ck_assert_uint_eq(place.rows.count, 0);
	assert_value(query, "one", "1");
	ck_assert_int_eq(check(query), NOT_FOUND);
}
END_TEST

/* One wrong statement is that one's error; the others go on. */
static void assert_broken(const char *text)
{
	const struct query *good = add_query(tested->queries.value);
	const struct query *bad = add_query(text);

	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(check(bad), BROKEN);
		ck_assert_uint_gt(strlen(place.why.text), 5);
		ck_assert_int_eq(ask(bad, "one"), BROKEN);
		ck_assert_uint_gt(strlen(place.why.text), 5);
		assert_value(good, "one", "1");
		rest();
	}
}

START_TEST(nonsense)
{
	assert_broken(tested->queries.nonsense);
}
END_TEST

START_TEST(unknown_table)
{
	assert_broken(tested->queries.unknown_table);
}
END_TEST

START_TEST(nothing_is_written)
{
	assert_broken(tested->queries.writes);
	ck_assert_int_eq(ask(&place.queries[1], "two"), BROKEN);
	assert_value(&place.queries[0], "two", "first|second");
}
END_TEST

START_TEST(a_batch_of_several)
{
	const struct query *query = add_query(tested->queries.value);
	struct slice keys[] = {slice_str("one"), slice_str("three"), slice_str("two")};
	struct rows rows[3] = {{0}};
	struct error why[3];
	struct question questions[3];
	struct batch batch = {questions, 3, clock_ms() + PATIENCE_MS, false};

	for (int i = 0; i < 3; i++)
		questions[i] = (struct question){
			&query->statement, &keys[i], &rows[i], TRY_LATER, &why[i]};
	ck_assert_int_eq(tested->backend->start(place.conn, &batch), DONE);
	ck_assert_int_eq(questions[0].status, FOUND);
	ck_assert_int_eq(questions[1].status, NOT_FOUND);
	ck_assert_int_eq(questions[2].status, FOUND);
	ck_assert_uint_eq(rows[2].count, 2);
	for (int i = 0; i < 3; i++)
		rows_finish(&rows[i]);
}
END_TEST

START_TEST(reopens)
{
	const struct query *query = add_query(tested->queries.value);

	for (int i = 0; i < 20; i++) {
		assert_value(query, "one", "1");
		close_place();
		open_place();
	}
	assert_value(query, "two", "first|second");
}
END_TEST

START_TEST(two_connections)
{
	const struct query *query = add_query(tested->queries.value);
	void *first = place.conn;

	assert_value(query, "one", "1");
	open_place();
	assert_value(query, "two", "first|second");
	close_place();
	place.conn = first;
	assert_value(query, "one", "1");
}
END_TEST

/* What is away is not "not found", and may be closed like what was there. */
START_TEST(a_place_that_is_gone)
{
	const struct query *query = add_query(tested->queries.value);
	void *conn;

	assert_value(query, "one", "1");
	rest();
	tested->remove(place.config);
	if (!tested->needs_place) {
		assert_value(query, "one", "1");
		return;
	}
	ask_bytes(query, slice_str("one"));
	ck_assert_int_eq(place.progress, LOST);
	ck_assert_uint_gt(strlen(place.why.text), 5);
	close_place();
	conn = calloc(1, tested->backend->conn_size);
	place.why.text[0] = '\0';
	ck_assert_int_eq(tested->backend->open(conn, place.config, &place.why), -1);
	ck_assert_uint_gt(strlen(place.why.text), 5);
	tested->backend->close(conn);
	free(conn);
}
END_TEST

static void add_if(TCase *tcase, const char *query, const TTest *test)
{
	if (query)
		tcase_add_test(tcase, test);
	else
		printf("skipped: %s: the language of %s has no such query\n", test->name,
			tested->backend->name);
}

static Suite *contract_suite(void)
{
	Suite *suite = suite_create(tested->backend->name);
	TCase *tcase = tcase_create("contract");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, is_declared);
	tcase_add_test(tcase, found);
	tcase_add_test(tcase, not_found);
	tcase_add_test(tcase, several_rows);
	tcase_add_test(tcase, several_columns);
	tcase_add_test(tcase, null_and_empty);
	tcase_add_test(tcase, odd_bytes);
	tcase_add_test(tcase, long_values_and_keys);
	add_if(tcase, tested->queries.expressions, many_parameters);
	tcase_add_test(tcase, the_same_statement_many_times);
	tcase_add_test(tcase, many_statements);
	tcase_add_test(tcase, only_checks);
	tcase_add_test(tcase, nonsense);
	add_if(tcase, tested->queries.unknown_table, unknown_table);
	add_if(tcase, tested->queries.writes, nothing_is_written);
	tcase_add_test(tcase, a_batch_of_several);
	tcase_add_test(tcase, reopens);
	tcase_add_test(tcase, two_connections);
	tcase_add_test(tcase, a_place_that_is_gone);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(int argc, char **argv)
{
	static const struct contract_backend *const all[] = {CONTRACT_BACKENDS};

	for (size_t i = 0; argc == 2 && i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(all[i]->backend->name, argv[1]) == 0)
			tested = all[i];
	if (!tested) {
		fprintf(stderr, "usage: contract BACKEND\n");
		return EXIT_FAILURE;
	}
	return unit_run(contract_suite());
}
