/* What backend.h promises of STATEMENT_ONCE, and of writers. */
#include "contract/asker.h"
#include "contract/cases.h"

#include "base/clock.h"

#include <poll.h>

enum { LONG_VALUE = 70000, SHORT_MS = 300, LONGER_MS = 1000 };

#define SELECT "SELECT v FROM written WHERE k = ?"
#define INSERT "INSERT INTO written (k, v) VALUES (?, ?)"
#define UPDATE "UPDATE written SET v = ? WHERE k = ?"
#define DELETE "DELETE FROM written WHERE k = ?"

static struct asker writer, other;

/* The fixture of the place comes before it, and goes after it. */
static void begin(void)
{
	writer = other = (struct asker){0};
	asker_open(&writer);
}

static void end(void)
{
	if (writer.conn)
		asker_close(&writer);
	if (other.conn)
		asker_close(&other);
}

/* What others see of a row: its v, or NULL if it is not there. */
static void assert_written(const char *key, const char *value)
{
	const struct query *query = &place.queries[0];

	if (!place.query_count)
		add_query("SELECT v FROM written WHERE k = '%s'");
	if (value)
		assert_value(query, key, value);
	else
		ck_assert_int_eq(ask(query, key), NOT_FOUND);
	/* What reads for long would keep SQLite from writing. */
	rest();
}

START_TEST(a_writer_is_declared)
{
	const struct backend *backend = tested->backend->writer;

	ck_assert(backend->is_server);
	ck_assert_ptr_nonnull(backend->advance);
	ck_assert_ptr_nonnull(backend->fd);
	ck_assert_uint_eq(backend->config_size, tested->backend->config_size);
	ck_assert_ptr_eq(backend->dialect, tested->backend->dialect);
}
END_TEST

/* Asked once, by whoever reads and by whoever writes. */

static void assert_rows_of(struct asker *asker)
{
	const char *sql =
		"SELECT k AS login, v AS home FROM contract WHERE k = ? OR v = ? ORDER BY k "
		"DESC";

	for (int i = 0; i < 3; i++) {
		asker_wish(asker, (struct asker_wishes){.named = i > 0});
		ck_assert_int_eq(asker_ask(asker, sql, VALUES("one", "address")), FOUND);
		asker_assert_column(asker, 0, "one|a@b");
		asker_assert_column(asker, 1, "1|address");
		assert_slice(rows_name(&asker->rows, 0), i ? "login" : "");
		assert_slice(rows_name(&asker->rows, 1), i ? "home" : "");
		asker_wish(asker, (struct asker_wishes){.named = i > 0});
		ck_assert_int_eq(asker_ask(asker, sql, VALUES("three", "nothing")), NOT_FOUND);
		ck_assert_uint_eq(asker->question.changed, 0);
	}
}

START_TEST(rows_by_a_writer)
{
	assert_rows_of(&writer);
}
END_TEST

START_TEST(rows_by_a_reader)
{
	asker_open_reading(&other);
	assert_rows_of(&other);
	ck_assert_int_eq(
		asker_ask(&other, "SELECT v FROM contract WHERE k = ?", VALUES("null")), FOUND);
	asker_assert_column(&other, 0, "NULL");
	ck_assert_int_eq(asker_ask(&other, "SELECT MAX(v) FROM written", NO_VALUES), FOUND);
	asker_assert_column(&other, 0, "NULL");
}
END_TEST

/* Whatever it is that changes rows, who reads does not. */
START_TEST(a_reader_writes_nothing)
{
	asker_assert_changed(&writer, 1, INSERT, VALUES("a", "1"));
	asker_open_reading(&other);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(asker_ask(&other, INSERT, VALUES("b", "1")), BROKEN);
		ck_assert_int_eq(asker_ask(&other, UPDATE, VALUES("2", "a")), BROKEN);
		ck_assert_int_eq(asker_ask(&other, DELETE, VALUES("a")), BROKEN);
		ck_assert_int_eq(
			asker_ask(&other, tested->writing->upsert, VALUES("a", "2")), BROKEN);
		ck_assert_int_eq(asker_ask(&other, SELECT, VALUES("a")), FOUND);
		asker_assert_column(&other, 0, "1");
	}
	assert_written("a", "1");
	assert_written("b", NULL);
}
END_TEST

START_TEST(rows_that_are_met)
{
	asker_assert_changed(&writer, 1, INSERT, VALUES("a", "1"));
	asker_assert_changed(&writer, 1, INSERT, VALUES("b", "1"));
	asker_assert_changed(&writer, 1, UPDATE, VALUES("2", "a"));
	assert_written("a", "2");
	/* As it is already. */
	asker_assert_changed(&writer, 1, UPDATE, VALUES("2", "a"));
	asker_assert_changed(&writer, 0, UPDATE, VALUES("2", "c"));
	asker_assert_changed(&writer, 2, "UPDATE written SET v = ?", VALUES("2"));
	asker_assert_changed(&writer, 2, "UPDATE written SET v = v", NO_VALUES);
	asker_assert_changed(&writer, 0, DELETE, VALUES("c"));
	asker_assert_changed(&writer, 1, DELETE, VALUES("a"));
	asker_assert_changed(&writer, 0, DELETE, VALUES("a"));
	assert_written("a", NULL);
	assert_written("b", "2");
}
END_TEST

START_TEST(rows_that_may_be_there)
{
	const char *upsert = tested->writing->upsert;

	asker_assert_changed(&writer, 1, upsert, VALUES("a", "1"));
	assert_written("a", "1");
	asker_assert_changed(&writer, 1, upsert, VALUES("a", "2"));
	assert_written("a", "2");
	asker_assert_changed(&writer, 1, upsert, VALUES("a", "2"));
	assert_written("a", "2");
}
END_TEST

START_TEST(numbers)
{
	asker_assert_changed(&writer, 1, INSERT, VALUES("a", "1"));
	for (int i = 0; i < 3; i++)
		asker_assert_changed(
			&writer, 1, "UPDATE written SET n = n + ? WHERE k = ?", VALUES("5", "a"));
	ck_assert_int_eq(
		asker_ask(&writer, "SELECT n FROM written WHERE k = ?", VALUES("a")), FOUND);
	asker_assert_column(&writer, 0, "15");
}
END_TEST

/* No byte of a value means anything to the database, and none gets lost. */
START_TEST(odd_values)
{
	static const char *const values[] = {"", " ", "it's", "a\\b%c_\"d\"", "--", "?", "$1",
		"NULL", "gr\xc3\xbcn \xf0\x9f\x98\x80", "\x01\x7f\t\r\n",
		"\\'); DELETE FROM written; --"};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		asker_assert_changed(
			&writer, 1, tested->writing->upsert, VALUES(values[i], values[i]));
		assert_written(values[i], values[i]);
		ck_assert_int_eq(asker_ask(&writer, SELECT, VALUES(values[i])), FOUND);
		asker_assert_column(&writer, 0, values[i]);
	}
}
END_TEST

START_TEST(long_values)
{
	char *value = calloc(1, LONG_VALUE + 1);

	memset(value, '\'', LONG_VALUE);
	asker_assert_changed(&writer, 1, INSERT, VALUES("long", value));
	assert_written("long", value);
	free(value);
}
END_TEST

START_TEST(many_values)
{
	const char *sql =
		"SELECT v FROM contract WHERE k IN (?, ?, ?, ?, ?, ?, ?, ?) AND k <> 'two'";

	ck_assert_int_eq(
		asker_ask(&writer, sql, VALUES("x", "it's", "two", "a@b", "", "--", "one", "y")),
		FOUND);
	ck_assert_uint_eq(writer.rows.count, 4);
}
END_TEST

START_TEST(more_rows_than_fit)
{
	const char *sql = "SELECT x.v FROM contract x, contract y, contract z WHERE x.k = ?";

	ck_assert_int_eq(asker_ask(&writer, sql, VALUES("long")), BROKEN);
	assert_contains(writer.why.text, "MB");
	ck_assert_uint_eq(writer.rows.count, 0);
	asker_assert_changed(&writer, 1, INSERT, VALUES("a", "1"));
}
END_TEST

/* Nothing is asked then. */
START_TEST(once_only_checked)
{
	static const struct asker_wishes only_check = {.only_check = true};

	asker_assert_changed(&writer, 1, INSERT, VALUES("a", "1"));
	asker_wish(&writer, only_check);
	ck_assert_int_eq(asker_ask(&writer, DELETE, NO_VALUES), NOT_FOUND);
	asker_wish(&writer, only_check);
	ck_assert_int_eq(asker_ask(&writer, SELECT, NO_VALUES), NOT_FOUND);
	asker_wish(&writer, only_check);
	ck_assert_int_eq(asker_ask(&writer, "DELETE FROM nowhere WHERE k = ?", NO_VALUES), BROKEN);
	assert_written("a", "1");
}
END_TEST

/* One wrong statement is that one's error. */
START_TEST(what_is_broken)
{
	asker_assert_changed(&writer, 1, INSERT, VALUES("a", "1"));
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(
			asker_ask(&writer, "INSRT INTO written (k) VALUES (?)", VALUES("x")),
			BROKEN);
		ck_assert_int_eq(
			asker_ask(&writer, "DELETE FROM nowhere WHERE k = ?", VALUES("x")), BROKEN);
		ck_assert_int_eq(
			asker_ask(&writer, "UPDATE written SET w = ?", VALUES("x")), BROKEN);
		/* Constraints: it is there, it is nothing, it is not allowed. */
		ck_assert_int_eq(asker_ask(&writer, INSERT, VALUES("a", "2")), BROKEN);
		ck_assert_int_eq(
			asker_ask(&writer, "UPDATE written SET n = NULL WHERE k = ?", VALUES("a")),
			BROKEN);
		ck_assert_int_eq(
			asker_ask(&writer, "UPDATE written SET n = n - 1 WHERE k = ?", VALUES("a")),
			BROKEN);
		assert_written("a", "1");
		asker_assert_changed(&writer, 1, UPDATE, VALUES("1", "a"));
	}
}
END_TEST

/* Transactions. */

START_TEST(a_commit)
{
	for (int i = 0; i < 3; i++) {
		const char *key = VALUES("a", "b", "c")[i];

		ck_assert_int_eq(asker_do(&writer, "BEGIN"), NOT_FOUND);
		asker_assert_changed(&writer, 1, INSERT, VALUES(key, "1"));
		asker_assert_changed(&writer, 1, UPDATE, VALUES("2", key));
		ck_assert_int_eq(asker_ask(&writer, SELECT, VALUES(key)), FOUND);
		asker_assert_column(&writer, 0, "2");
		assert_written(key, NULL);
		ck_assert_int_eq(asker_do(&writer, "COMMIT"), NOT_FOUND);
		assert_written(key, "2");
	}
}
END_TEST

START_TEST(a_rollback)
{
	asker_assert_changed(&writer, 1, INSERT, VALUES("a", "1"));
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(asker_do(&writer, "BEGIN"), NOT_FOUND);
		asker_assert_changed(&writer, 1, INSERT, VALUES("b", "1"));
		asker_assert_changed(&writer, 1, DELETE, VALUES("a"));
		ck_assert_int_eq(asker_do(&writer, "ROLLBACK"), NOT_FOUND);
		assert_written("a", "1");
		assert_written("b", NULL);
	}
	asker_assert_changed(&writer, 1, INSERT, VALUES("b", "2"));
	assert_written("b", "2");
}
END_TEST

/* What fails in a transaction: by its data, by its words, by what is not there. */
static void do_wrong(struct asker *asker, int way)
{
	if (way == 0)
		ck_assert_int_eq(asker_ask(asker, INSERT, VALUES("a", "2")), BROKEN);
	else if (way == 1)
		ck_assert_int_eq(asker_ask(asker, "DELETE FORM written", NO_VALUES), BROKEN);
	else
		ck_assert_int_eq(asker_ask(asker, "DELETE FROM nowhere", NO_VALUES), BROKEN);
}

START_TEST(an_error_half_way)
{
	asker_assert_changed(&writer, 1, INSERT, VALUES("a", "1"));
	for (int way = 0; way < 3; way++) {
		ck_assert_int_eq(asker_do(&writer, "BEGIN"), NOT_FOUND);
		asker_assert_changed(&writer, 1, INSERT, VALUES("b", "1"));
		do_wrong(&writer, way);
		ck_assert_int_eq(asker_do(&writer, "ROLLBACK"), NOT_FOUND);
		assert_written("b", NULL);
	}
	asker_assert_changed(&writer, 1, INSERT, VALUES("b", "2"));
	assert_written("b", "2");
}
END_TEST

/* Half of it is never committed, whoever has not looked. */
START_TEST(a_commit_of_what_has_failed)
{
	asker_assert_changed(&writer, 1, INSERT, VALUES("a", "1"));
	for (int way = 0; way < 3; way++) {
		ck_assert_int_eq(asker_do(&writer, "BEGIN"), NOT_FOUND);
		asker_assert_changed(&writer, 1, INSERT, VALUES("b", "1"));
		do_wrong(&writer, way);
		ck_assert_int_eq(asker_do(&writer, "COMMIT"), BROKEN);
		assert_contains(writer.why.text, "rolled back");
		ck_assert_int_eq(asker_do(&writer, "ROLLBACK"), NOT_FOUND);
		assert_written("b", NULL);
	}
	ck_assert_int_eq(asker_do(&writer, "BEGIN"), NOT_FOUND);
	asker_assert_changed(&writer, 1, INSERT, VALUES("b", "2"));
	ck_assert_int_eq(asker_do(&writer, "COMMIT"), NOT_FOUND);
	assert_written("b", "2");
}
END_TEST

/* Nor does what comes after an error stand alone. */
START_TEST(what_comes_after_an_error)
{
	asker_assert_changed(&writer, 1, INSERT, VALUES("a", "1"));
	ck_assert_int_eq(asker_do(&writer, "BEGIN"), NOT_FOUND);
	do_wrong(&writer, 0);
	asker_start(&writer, INSERT, VALUES("b", "1"));
	ck_assert_int_ne(asker_finish(&writer), NOT_FOUND);
	if (writer.progress == LOST) {
		asker_close(&writer);
		asker_open(&writer);
	} else {
		ck_assert_int_eq(asker_do(&writer, "ROLLBACK"), NOT_FOUND);
	}
	assert_written("b", NULL);
	asker_assert_changed(&writer, 1, INSERT, VALUES("b", "2"));
}
END_TEST

START_TEST(closed_half_way)
{
	ck_assert_int_eq(asker_do(&writer, "BEGIN"), NOT_FOUND);
	asker_assert_changed(&writer, 1, INSERT, VALUES("a", "1"));
	asker_close(&writer);
	asker_open(&writer);
	/* Whatever the server still holds of it, it lets go of. */
	asker_assert_changed(&writer, 1, INSERT, VALUES("a", "2"));
	assert_written("a", "2");
}
END_TEST

/* Increments of two at the same time are all there. */
START_TEST(two_writers)
{
	asker_open(&other);
	asker_assert_changed(&writer, 1, INSERT, VALUES("a", "1"));
	for (int i = 0; i < 100; i++) {
		static const char sql[] = "UPDATE written SET n = n + 1 WHERE k = ?";

		asker_start(&writer, sql, VALUES("a"));
		asker_start(&other, sql, VALUES("a"));
		ck_assert_int_eq(asker_finish(&writer), NOT_FOUND);
		ck_assert_int_eq(asker_finish(&other), NOT_FOUND);
		ck_assert_uint_eq(writer.question.changed + other.question.changed, 2);
	}
	ck_assert_int_eq(asker_ask(&other, "SELECT n FROM written", NO_VALUES), FOUND);
	asker_assert_column(&other, 0, "200");
}
END_TEST

/* Whether it is still under way after a moment. */
static bool waits(struct asker *asker)
{
	struct pollfd fd = {asker->backend->fd(asker->conn), POLLIN, 0};
	uint64_t until = clock_ms() + SHORT_MS;

	while (clock_ms() < until) {
		if (poll(&fd, 1, 10) > 0)
			asker->progress = asker->backend->advance(asker->conn);
		if (asker->progress != WANT_READ && asker->progress != WANT_WRITE)
			return false;
	}
	return true;
}

/* One that somebody holds is waited for, and not by whoever asks. */
START_TEST(a_lock)
{
	asker_open(&other);
	asker_assert_changed(&writer, 1, INSERT, VALUES("a", "1"));
	ck_assert_int_eq(asker_do(&writer, "BEGIN"), NOT_FOUND);
	asker_assert_changed(&writer, 1, UPDATE, VALUES("2", "a"));
	asker_start(&other, UPDATE, VALUES("3", "a"));
	ck_assert(waits(&other));
	assert_written("a", "1");
	ck_assert_int_eq(asker_do(&writer, "COMMIT"), NOT_FOUND);
	ck_assert_int_eq(asker_finish(&other), NOT_FOUND);
	ck_assert_int_eq(other.progress, DONE);
	ck_assert_uint_eq(other.question.changed, 1);
	assert_written("a", "3");
}
END_TEST

/* Nobody can write as long as somebody else does: the moment is bad, the statement is not. */
START_TEST(a_lock_for_too_long)
{
	asker_assert_changed(&writer, 1, INSERT, VALUES("a", "1"));
	ck_assert_int_eq(asker_do(&writer, "BEGIN"), NOT_FOUND);
	asker_assert_changed(&writer, 1, UPDATE, VALUES("2", "a"));
	place.server.query_timeout = LONGER_MS; /* the last change has to be made within it, too */
	asker_open(&other);
	for (int i = 0; i < 2; i++) {
		asker_wish(&other, (struct asker_wishes){.patience = LONGER_MS});
		ck_assert_int_eq(asker_ask(&other, UPDATE, VALUES("3", "a")), TRY_LATER);
	}
	ck_assert_int_eq(asker_do(&writer, "COMMIT"), NOT_FOUND);
	asker_assert_changed(&other, 1, UPDATE, VALUES("3", "a"));
	assert_written("a", "3");
}
END_TEST

/* Of two that wait for each other one is told to try later, and all that it did is undone. */
START_TEST(a_deadlock)
{
	struct asker *victim, *winner;

	asker_open(&other);
	asker_assert_changed(&writer, 1, INSERT, VALUES("a", "0"));
	asker_assert_changed(&writer, 1, INSERT, VALUES("b", "0"));
	ck_assert_int_eq(asker_do(&writer, "BEGIN"), NOT_FOUND);
	ck_assert_int_eq(asker_do(&other, "BEGIN"), NOT_FOUND);
	asker_assert_changed(&writer, 1, UPDATE, VALUES("1", "a"));
	asker_assert_changed(&other, 1, UPDATE, VALUES("2", "b"));
	asker_start(&writer, UPDATE, VALUES("1", "b"));
	ck_assert(waits(&writer));
	asker_start(&other, UPDATE, VALUES("2", "a"));
	asker_finish(&writer);
	asker_finish(&other);
	victim = writer.question.status == TRY_LATER ? &writer : &other;
	winner = victim == &writer ? &other : &writer;
	ck_assert_int_eq(victim->progress, DONE);
	ck_assert_int_eq(victim->question.status, TRY_LATER);
	ck_assert_int_eq(winner->question.status, NOT_FOUND);
	ck_assert_int_eq(asker_do(victim, "COMMIT"), BROKEN);
	ck_assert_int_eq(asker_do(victim, "ROLLBACK"), NOT_FOUND);
	ck_assert_int_eq(asker_do(winner, "COMMIT"), NOT_FOUND);
	assert_written("a", winner == &writer ? "1" : "2");
	assert_written("b", winner == &writer ? "1" : "2");
	asker_assert_changed(victim, 1, UPDATE, VALUES("3", "a"));
	assert_written("a", "3");
}
END_TEST

/* Whatever was not committed is not there when the server hangs up. */
START_TEST(killed_half_way)
{
	ck_assert_int_eq(asker_do(&writer, "BEGIN"), NOT_FOUND);
	asker_assert_changed(&writer, 1, INSERT, VALUES("a", "1"));
	tested->server->kill();
	asker_start(&writer, "COMMIT", NULL);
	asker_finish(&writer);
	ck_assert_int_eq(writer.progress, LOST);
	asker_close(&writer);
	asker_open(&writer);
	close_place();
	open_place();
	assert_written("a", NULL);
	asker_assert_changed(&writer, 1, INSERT, VALUES("a", "2"));
}
END_TEST

/* What takes a server. */
static void add_server_writing_cases(TCase *tcase)
{
	tcase_add_test(tcase, a_deadlock);
	tcase_add_test(tcase, killed_half_way);
}

void add_writing_cases(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, a_writer_is_declared);
	tcase_add_test(tcase, rows_by_a_writer);
	tcase_add_test(tcase, rows_by_a_reader);
	tcase_add_test(tcase, a_reader_writes_nothing);
	tcase_add_test(tcase, rows_that_are_met);
	tcase_add_test(tcase, rows_that_may_be_there);
	tcase_add_test(tcase, numbers);
	tcase_add_test(tcase, odd_values);
	tcase_add_test(tcase, long_values);
	tcase_add_test(tcase, many_values);
	tcase_add_test(tcase, more_rows_than_fit);
	tcase_add_test(tcase, once_only_checked);
	tcase_add_test(tcase, what_is_broken);
	tcase_add_test(tcase, a_commit);
	tcase_add_test(tcase, a_rollback);
	tcase_add_test(tcase, an_error_half_way);
	tcase_add_test(tcase, a_commit_of_what_has_failed);
	tcase_add_test(tcase, what_comes_after_an_error);
	tcase_add_test(tcase, closed_half_way);
	tcase_add_test(tcase, two_writers);
	tcase_add_test(tcase, a_lock);
	if (contract_server_facts.pooler)
		printf("skipped: a_lock_for_too_long: the pooler drops statement_timeout\n");
	else
		tcase_add_test(tcase, a_lock_for_too_long);
	if (tested->server)
		add_server_writing_cases(tcase);
}
