/*
 * What every backend promises by backend.h, in one suite that knows nothing of any of them:
 *
 *	contract NAME [COMMAND [ARGUMENT ...]]
 *
 * The command is for servers: it prints the facts of one, a line "name=value" for each, and is run
 * with the arguments, "start", the backend's name and an empty directory; at the end with "remove"
 * and the directory. tests/support/database is such a command.
 *
 * To take a backend in, write contract/NAME.c (see contract.h).
 */
#include "contract/cases.h"
#include "contract/place.h"
#include "contract/scratch.h"

enum { LONG = 70000, LONG_KEY = 500 };

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

/* A table, and a connection that sees it. */
static void begin(void)
{
	memset(long_value, 'x', LONG);
	memset(long_key, 'k', LONG_KEY);
	place_begin();
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

static void assert_names(const struct rows *rows)
{
	static const char both[] = "login\0home";

	ck_assert(slice_equal(buf_slice(&rows->names), slice_of(both, sizeof(both))));
	assert_slice(rows_name(rows, 0), "login");
	assert_slice(rows_name(rows, 1), "home");
}

/* Whoever wants them gets them, with or without rows. */
START_TEST(names_of_columns)
{
	const struct query *query = add_query(tested->queries.named);

	for (int i = 0; i < 3; i++) {
		place.queries[0].statement.named = i < 2;
		ck_assert_int_eq(ask(query, "two"), FOUND);
		assert_column(1, "first|second");
		if (i == 2)
			break;
		assert_names(&place.rows);
		ck_assert_int_eq(ask(query, "three"), NOT_FOUND);
		assert_names(&place.rows);
	}
	ck_assert_uint_eq(place.rows.names.size, 0);
}
END_TEST

/* Each question gets them once, in whatever parts and attempts the batch is asked. */
START_TEST(names_in_a_batch)
{
	static const char *const keys[] = {"one", "three", "two", "mixed", "one", NULL};
	const struct query *query = add_query(tested->queries.named);
	struct group group;

	place.queries[0].statement.named = true;
	group_init(&group, query, keys);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(group_ask_part(&group, 0, group.count), DONE);
		for (size_t at = 0; at < group.count; at++)
			assert_names(group.questions[at].rows);
		assert_group_value(&group, 2, "two|two");
	}
	group_finish(&group);
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
	for (size_t i = 0; i < QUERIES_MOST; i++)
		add_query(i % 2 ? tested->queries.both : tested->queries.value);
	for (size_t i = 0; i < 3 * QUERIES_MOST; i++) {
		const struct query *query = &place.queries[i * 71 % QUERIES_MOST];

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
	static const char *const keys[] = {"one", "three", "two", NULL};
	struct group group;

	group_init(&group, add_query(tested->queries.value), keys);
	ck_assert_int_eq(group_ask_part(&group, 0, group.count), DONE);
	assert_group_value(&group, 0, "1");
	ck_assert_int_eq(group.questions[1].status, NOT_FOUND);
	assert_group_value(&group, 2, "first|second");
	group_finish(&group);
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
	ck_assert_int_eq(try_to_open(), -1);
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

static void add_tcase(Suite *suite, const char *name, void (*add_cases)(TCase *))
{
	TCase *tcase = tcase_create(name);

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, begin, place_end);
	add_cases(tcase);
	suite_add_tcase(suite, tcase);
}

static void add_contract_cases(TCase *tcase)
{
	tcase_add_test(tcase, is_declared);
	tcase_add_test(tcase, found);
	tcase_add_test(tcase, not_found);
	tcase_add_test(tcase, several_rows);
	tcase_add_test(tcase, several_columns);
	add_if(tcase, tested->queries.named, names_of_columns);
	add_if(tcase, tested->queries.named, names_in_a_batch);
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
	if (tested->server)
		add_server_cases(tcase);
	else
		tcase_add_test(tcase, a_place_that_is_gone);
}

static Suite *contract_suite(void)
{
	Suite *suite = suite_create(tested->backend->name);

	add_tcase(suite, "contract", add_contract_cases);
	if (tested->writing)
		add_tcase(suite, "writing", add_writing_cases);
	else
		printf("skipped: what is written: %s has no writer\n", tested->backend->name);
	if (tested->writing && tested->writing->add_cases)
		add_tcase(suite, "the writer's own", tested->writing->add_cases);
	return suite;
}

static const struct contract_backend *find_backend(const char *name)
{
	static const struct contract_backend *const all[] = {CONTRACT_BACKENDS};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(all[i]->backend->name, name) == 0)
			return all[i];
	return NULL;
}

int main(int argc, char **argv)
{
	int result;

	tested = argc > 1 ? find_backend(argv[1]) : NULL;
	if (!tested || (tested->server && argc < 3)) {
		fprintf(stderr, "usage: contract BACKEND [COMMAND [ARGUMENT ...]]\n");
		return EXIT_FAILURE;
	}
	scratch_make();
	result = tested->server ? server_start(argv + 2) : EXIT_SUCCESS;
	if (result == EXIT_SUCCESS)
		result = unit_run(contract_suite());
	if (tested->server)
		server_stop();
	scratch_remove();
	return result;
}
