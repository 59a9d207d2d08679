/* What only MariaDB and MySQL have. */
#include "contract/mysql.h"

#include "contract/asker.h"
#include "contract/relay.h"
#include "contract/scratch.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

static void assert_says(const char *query, const char *key, const char *words)
{
	ck_assert_int_eq(ask(add_query(query), key), BROKEN);
	assert_contains(place.why.text, words);
	assert_value(&place.queries[0], "one", "1");
}

START_TEST(procedures)
{
	const struct query *query = add_query("CALL by_key('%s')");

	ck_assert_int_eq(query->statement.kind, STATEMENT_ALONE);
	ck_assert_int_eq(check(query), NOT_FOUND);
	assert_value(query, "two", "first|second");
	ck_assert_int_eq(ask(query, "three"), NOT_FOUND);
	assert_says("CALL two_results('%s')", "x", "more than one result");
	assert_says("CALL no_result('%s')", "x", "no rows");
	assert_says("CALL refuses('%s')", "poison", "none of mine");
	assert_value(add_query("CALL refuses('%s')"), "x", "x");
	assert_says("CALL nowhere('%s')", "x", "1305");
}
END_TEST

START_TEST(procedures_that_write)
{
	assert_value(add_query(tested->queries.value), "one", "1");
	assert_says("CALL writes('%s')", "x", "READ ONLY");
	close_place();
	place.settings.read_only = false;
	open_place();
	assert_value(add_query("CALL writes('%s')"), "x", "new");
}
END_TEST

/* The collation finds more than bytes would: by a list of keys it can't be told for whom. */
START_TEST(keys_that_fold)
{
	static const char *const keys[] = {"ONE", "two", NULL};
	const struct query *query = add_query("SELECT k, v FROM folded WHERE k IN (:keys)");
	struct group group;

	assert_value(query, "ONE", "1");
	group_init(&group, query, keys);
	ck_assert_int_eq(group_ask_part(&group, 0, group.count), SPLIT);
	group_ask(&group);
	assert_group_value(&group, 0, "1");
	ck_assert_int_eq(group.questions[1].status, NOT_FOUND);
	group_finish(&group);
}
END_TEST

/* The list is whole wherever it is named. */
START_TEST(keys_named_twice)
{
	static const char *const keys[] = {"one", "three", "two", NULL};
	struct group group;

	group_init(&group,
		add_query("SELECT k, v FROM contract WHERE k IN (:keys) AND k IN (:keys)"), keys);
	group_ask(&group);
	assert_group_value(&group, 0, "1");
	ck_assert_int_eq(group.questions[1].status, NOT_FOUND);
	assert_group_value(&group, 2, "first|second");
	group_finish(&group);
}
END_TEST

/* Tries to open with an option file that says this of its [client]. */
static int try_options(const char *options)
{
	const struct setting *row = setting_find(tested->backend->settings, "option_file");
	char path[PATH_MAX];
	const char *item = path;
	FILE *file = fdopen(scratch_file(path), "w");
	int result;

	fprintf(file, "[client]\n%s\n", options);
	fclose(file);
	ck_assert_int_eq(setting_set(row, place.config, &item, 1, &place.why), 0);
	result = try_to_open();
	if (result == 0) {
		close_place();
		open_place();
	}
	unlink(path);
	return result;
}

/* Whatever the server makes of quotes and backslashes, a value is a value. */
START_TEST(modes_of_sql)
{
	static const char *const modes[] = {"NO_BACKSLASH_ESCAPES", "ANSI", "ORACLE", "TRADITIONAL",
		"PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH"};
	const char *keys[] = {"it's", "a\\b%c_\"d\"", "\x01\x7f", "\\' OR 1=1 -- ", "\\", "'", "\"",
		"gr\xc3\xbcn", "one", NULL};
	const struct query *query = add_query(tested->queries.value);
	struct group group;
	char options[200];

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		snprintf(options, sizeof(options), "init-command = \"SET sql_mode = '%s'\"",
			modes[i]);
		ck_assert_int_eq(try_options(options), 0);
		group_init(&group, query, keys);
		group_ask(&group);
		assert_group_value(&group, 0, "quote");
		assert_group_value(&group, 1, "signs");
		assert_group_value(&group, 2, "\x02 and '\\");
		for (size_t at = 3; at < 7; at++)
			ck_assert_int_eq(group.questions[at].status, NOT_FOUND);
		assert_group_value(&group, 7, "\xf0\x9f\x98\x80");
		assert_group_value(&group, 8, "1");
		group_finish(&group);
		assert_value(query, "a\\b%c_\"d\"", "signs");
	}
}
END_TEST

/* Neither character set nor snapshot is left to the option file, nor to the server. */
START_TEST(sessions)
{
	const struct query *query;

	ck_assert_int_eq(
		try_options("default-character-set = latin1\n"
			    "init-command = \"SET NAMES sjis, autocommit = 0\"\nreconnect"),
		0);
	query = add_query(tested->queries.value);
	assert_value(query, "gr\xc3\xbcn", "\xf0\x9f\x98\x80");
	ck_assert_int_eq(ask(query, "later"), NOT_FOUND);
	tested->server->run("INSERT INTO contract (k, v) VALUES ('later', 'new')");
	assert_value(query, "later", "new");
	tested->server->kill();
	ask_bytes(query, slice_str("one"));
	ck_assert_int_eq(place.progress, LOST);
}
END_TEST

START_TEST(time_limit)
{
	static const char *const keys[] = {"one", "two", NULL};
	const struct query *sleep = add_query(tested->server->sleep);
	struct group group;

	close_place();
	place.server.query_timeout = 1000; /* the last query has to be done within it, too */
	open_place();
	ck_assert_int_eq(ask(sleep, "x"), TRY_LATER);
	ck_assert_uint_gt(strlen(place.why.text), 5);
	group_init(&group, sleep, keys);
	group_ask(&group);
	ck_assert_int_eq(group.questions[0].status, TRY_LATER);
	ck_assert_int_eq(group.questions[1].status, TRY_LATER);
	group_finish(&group);
	assert_value(add_query(tested->queries.value), "one", "1");
}
END_TEST

START_TEST(roles)
{
	place.settings.role = ROLE_STANDBY;
	ck_assert_int_eq(try_to_open(), -1);
	assert_contains(place.why.text, "role");
	place.settings.role = ROLE_PRIMARY;
	ck_assert_int_eq(try_to_open(), 0);
}
END_TEST

/* A connection outlives its server's role, but not for long. */
START_TEST(a_role_that_is_lost)
{
	const struct query *query;

	close_place();
	place.settings.role = ROLE_PRIMARY;
	open_place();
	query = add_query(tested->queries.value);
	assert_value(query, "one", "1");
	poll(NULL, 0, SERVER_ROLE_MS);
	assert_value(query, "one", "1");
	mysql_run_as_root("SET GLOBAL read_only = 1");
	poll(NULL, 0, SERVER_ROLE_MS);
	ask_bytes(query, slice_str("one"));
	mysql_run_as_root("SET GLOBAL read_only = 0");
	ck_assert_int_eq(place.progress, LOST);
	assert_contains(place.why.text, "role = primary");
}
END_TEST

/* An option file asks for TLS where nothing else does, and is no way around it. */
START_TEST(tls_and_options)
{
	char options[300];

	place.settings.tls = TLS_REQUIRE;
	ck_assert_int_eq(try_options("default-auth = mysql_native_password"), -1);
	assert_contains(place.why.text, "default-auth");
	ck_assert_int_eq(try_options("ssl-verify-server-cert = 0\nssl-enforce = 0"), -1);
	assert_contains(place.why.text, "TLS");
	ck_assert_int_eq(try_options("ssl-verify-server-cert = 0"), 0);
	assert_value(add_query(tested->server->encrypted), "x", "yes");
	snprintf(options, sizeof(options), "ssl-ca = %s", contract_server_facts.ca);
	place.settings.tls = TLS_AUTO;
	ck_assert_int_eq(try_options(options), 0);
	assert_value(&place.queries[0], "x", "yes");
	place.settings.tls = TLS_OFF;
}
END_TEST

/* Opens anew through a relay. */
static struct relay *begin_relay(void)
{
	struct relay *relay =
		relay_start("127.0.0.1", contract_server_facts.host, contract_server_facts.port);

	if (place.conn)
		close_place();
	place.server.host = "127.0.0.1";
	place.server.port = relay_port(relay);
	return relay;
}

/* Starts a batch of which so many bytes of the answer come. */
static enum progress begin_batch(
	struct relay *relay, struct group *group, bool only_check, long bytes)
{
	enum progress progress;

	relay_let(relay, bytes);
	group->batch = (struct batch){.questions = group->questions,
		.count = only_check ? 1 : group->count,
		.deadline = PATIENCE_MS,
		.only_check = only_check};
	batch_clear(&group->batch);
	progress = tested->backend->start(place.conn, &group->batch);
	while (!relay_is_silent(relay) && (progress == WANT_READ || progress == WANT_WRITE)) {
		struct pollfd fd = {tested->backend->fd(place.conn), POLLIN, 0};

		poll(&fd, 1, 1);
		progress = tested->backend->advance(place.conn);
	}
	return progress;
}

/* In the middle of whatever the driver waits for: nothing is lost, nothing waits. */
START_TEST(closed_half_way)
{
	static const char *const keys[] = {"long", "two", "three", "long", NULL};
	struct relay *relay = begin_relay();
	struct group group;

	for (int tls = 0; tls < (contract_server_facts.ca ? 2 : 1); tls++) {
		place.settings.tls = tls ? TLS_REQUIRE : TLS_OFF;
		open_place();
		group_init(&group, add_query("SELECT v, k FROM contract WHERE k = '%s'"), keys);
		for (long bytes = 0; bytes < 100000; bytes = bytes * 5 / 2 + 1) {
			bool only_check = bytes < 50 && bytes % 2;

			ck_assert_int_eq(begin_batch(relay, &group, only_check, bytes), WANT_READ);
			close_place();
			relay_let(relay, RELAY_ALL);
			open_place();
			group_ask(&group);
			close_place();
			open_place();
		}
		group_finish(&group);
		close_place();
	}
	relay_stop(relay);
}
END_TEST

START_TEST(a_check_that_gets_no_answer)
{
	static const char *const keys[] = {"one", NULL};
	struct relay *relay = begin_relay();
	struct group group;

	open_place();
	group_init(&group, add_query(tested->queries.value), keys);
	ck_assert_int_eq(begin_batch(relay, &group, true, 3), WANT_READ);
	relay_stop(relay);
	ck_assert_int_eq(wait_for(WANT_READ), LOST);
	ck_assert_uint_gt(strlen(group.questions[0].why->text), 5);
	group_finish(&group);
}
END_TEST

/* How often the server was asked something over this connection, with this question. */
static long server_questions(void)
{
	const struct query *query =
		add_query("SELECT variable_value FROM information_schema.session_status "
			  "WHERE variable_name = 'Questions' AND '%s' <> ''");
	char text[20];

	ck_assert_int_eq(ask(query, "x"), FOUND);
	snprintf(text, sizeof(text), "%.*s", SLICE_ARGS(rows_cell(&place.rows, 0, 0)));
	return strtol(text, NULL, 10);
}

/* How many queries it takes to ask for all keys, once the query is known. */
static void assert_queries(const char *text, long should)
{
	static const char *const keys[] = {"one", "two", "three", "null", "empty", NULL};
	const struct query *query = add_query(text);
	struct group group;
	long before, took;

	group_init(&group, query, keys);
	group_ask(&group);
	before = server_questions();
	group_ask(&group);
	took = server_questions() - before - 1;
	ck_assert_msg(took == should, "%s: %ld queries", text, took);
	group_finish(&group);
}

START_TEST(queries_that_are_numbered)
{
	assert_queries("SELECT v FROM contract WHERE k = '%s'", 1);
	assert_queries("select distinct v, v from contract where k = '%s' order by id", 1);
	assert_queries("\n SELECT\tDISTINCT\n v FROM contract WHERE k = '%s' LIMIT 1", 1);
	assert_queries("SELECT MAX(v) FROM contract WHERE k = '%s' GROUP BY k", 1);
	assert_queries("SELECT k, v FROM contract WHERE k IN (:keys)", 1);
	/* These are asked one by one, but for the last three at the first attempt. */
	assert_queries("SELECT * FROM contract WHERE k = '%s'", 5);
	assert_queries("SELECT v FROM contract WHERE k = '%s' ORDER BY 1", 5);
	assert_queries("SELECT v FROM contract WHERE k = '%s' GROUP BY v , 1", 5);
	assert_queries("SELECT v FROM contract WHERE k = '%s' UNION SELECT 1", 5);
	assert_queries("(SELECT v FROM contract WHERE k = '%s')", 5);
	assert_queries("CALL by_key('%s')", 5);
	assert_queries("SELECT ALL v FROM contract WHERE k = '%s'", 5);
	assert_queries("SELECT DISTINCTROW v FROM contract WHERE k = '%s'", 5);
	assert_queries("SELECT/**/v FROM contract WHERE k = '%s'", 1);
}
END_TEST

/* Whether it is asked alone, as at first, or in a batch. */
static void assert_char(const struct query *query, const char *should)
{
	static const char *const ids[] = {"1", "1", "1", NULL};
	struct group group;

	group_init(&group, query, ids);
	for (int i = 0; i < 2; i++) {
		group_ask(&group);
		for (size_t at = 0; at < group.count; at++)
			assert_group_value(&group, at, should);
	}
	group_finish(&group);
	assert_value(query, "1", should);
}

/* A UNION would take zeros from a number; from a text it takes nothing. */
START_TEST(padding)
{
	static const char *const keys[] = {"first", "second", "third", "fourth", NULL};
	const struct query *query = add_query("SELECT z, c FROM typed WHERE v = '%s'");
	const struct query *text = add_query("SELECT c FROM typed WHERE id = '%s'");
	struct group group;

	group_init(&group, query, keys);
	for (int i = 0; i < 2; i++) {
		group_ask(&group);
		assert_group_value(&group, 0, "000042");
		assert_group_value(&group, 1, "123456");
		assert_group_value(&group, 2, "NULL");
		ck_assert_int_eq(group.questions[3].status, NOT_FOUND);
	}
	group_finish(&group);
	assert_char(text, "ab");
	ck_assert_int_eq(
		try_options("init-command = \"SET sql_mode = 'PAD_CHAR_TO_FULL_LENGTH'\""), 0);
	assert_char(text, "ab   ");
}
END_TEST

static enum status command(const char *text)
{
	struct statement statement = {.id = 1, .text = text, .kind = STATEMENT_ALONE};
	struct question question = {
		.statement = &statement, .rows = &place.rows, .why = &place.why};
	struct batch batch = {.questions = &question, .count = 1, .deadline = PATIENCE_MS};

	rows_clear(&place.rows);
	place.progress = wait_for(tested->backend->start(place.conn, &batch));
	ck_assert_int_eq(place.progress, DONE);
	return question.status;
}

/* Of the engine's own. */
START_TEST(commands)
{
	const struct query *query = add_query(tested->queries.value);

	ck_assert_int_eq(command("DELETE FROM contract WHERE k = 'one'"), BROKEN);
	assert_contains(place.why.text, "1792");
	ck_assert_int_eq(command("DELETE FROM"), BROKEN);
	assert_value(query, "one", "1");
	close_place();
	place.settings.read_only = false;
	open_place();
	ck_assert_int_eq(command("DELETE FROM contract WHERE k = 'one'"), NOT_FOUND);
	ck_assert_int_eq(ask(query, "one"), NOT_FOUND);
	assert_value(query, "two", "first|second");
}
END_TEST

START_TEST(a_message_in_one_line)
{
	ck_assert_int_eq(
		ask(add_query("SELECT v\nFROM contract\nWHERE k = '%s' ORDER\n"), "x"), BROKEN);
	assert_contains(place.why.text, "1064");
	ck_assert_ptr_null(strpbrk(place.why.text, "\n\t"));
}
END_TEST

/* The library would make something else of them. */
START_TEST(names_of_hosts)
{
	static const char *const names[] = {
		"a,127.0.0.1", "host=127.0.0.1", "a;b", "replication://127.0.0.1"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		place.server.host = names[i];
		ck_assert_int_eq(try_to_open(), -1);
	}
	/* By this name the library takes a socket, if no port is given. */
	place.server.host = "localhost";
	ck_assert_int_eq(try_to_open(), 0);
}
END_TEST

/* Passes a byte now and then. */
struct drip {
	pthread_t thread;
	struct relay *relay;
	atomic_bool stop;
};

static void *drip_run(void *opaque)
{
	struct drip *drip = opaque;

	while (!drip->stop) {
		usleep(100000);
		relay_let(drip->relay, 1);
	}
	return NULL;
}

/* At any byte, or that goes on byte by byte for minutes: it ends in time. */
START_TEST(a_handshake_that_stops)
{
	struct relay *relay = begin_relay();
	struct drip drip = {.relay = relay};

	place.settings.tls = TLS_VERIFY_FULL;
	ck_assert_int_eq(setting_set(setting_find(server_setting_table, "tls_ca"), &place.settings,
				 (const char *const *)&contract_server_facts.ca, 1, &place.why),
		0);
	place.settings.connect_timeout = 50;
	for (long bytes = 0; bytes < 1000; bytes += bytes < 100 ? 20 : 150) {
		relay_let(relay, bytes);
		ck_assert_int_eq(try_to_open(), -1);
	}
	place.settings.connect_timeout = 500;
	relay_let(relay, 150);
	ck_assert_int_eq(pthread_create(&drip.thread, NULL, drip_run, &drip), 0);
	ck_assert_int_eq(try_to_open(), -1);
	drip.stop = true;
	pthread_join(drip.thread, NULL);
	place.settings.connect_timeout = PATIENCE_MS;
	relay_let(relay, RELAY_ALL);
	ck_assert_int_eq(try_to_open(), 0);
	relay_stop(relay);
}
END_TEST

/* Nobody listens there, so it is not encrypted; and there is no name to verify. */
START_TEST(tls_by_a_socket)
{
	close_place();
	place.settings.tls = TLS_VERIFY_FULL;
	place.server.host = contract_server_facts.socket;
	place.server.port = 0;
	open_place();
	assert_value(add_query(tested->server->encrypted), "x", "no");
}
END_TEST

/* Writing. */

static struct asker writer;

#define INSERT "INSERT INTO written (k, v) VALUES (?, ?)"
#define UPDATE "UPDATE written SET v = ? WHERE k = ?"

/* What stands alone is there for good, whatever the option file says. */
START_TEST(what_stands_alone)
{
	const struct query *query;

	ck_assert_int_eq(try_options("init-command = \"SET autocommit = 0\""), 0);
	query = add_query("SELECT v FROM written WHERE k = '%s'");
	asker_open(&writer);
	asker_assert_changed(&writer, 1, INSERT, VALUES("a", "1"));
	assert_value(query, "a", "1");
	ck_assert_int_eq(asker_do(&writer, "BEGIN"), NOT_FOUND);
	asker_assert_changed(&writer, 1, UPDATE, VALUES("2", "a"));
	assert_value(query, "a", "1");
	ck_assert_int_eq(asker_do(&writer, "COMMIT"), NOT_FOUND);
	asker_assert_changed(&writer, 1, UPDATE, VALUES("3", "a"));
	assert_value(query, "a", "3");
	asker_close(&writer);
}
END_TEST

/* The server tells of them in words. */
START_TEST(rows_met_in_other_languages)
{
	static const char *const languages[] = {"de_DE", "fr_FR", "ru_RU", "ja_JP"};
	char options[100];

	for (size_t i = 0; i < sizeof(languages) / sizeof(languages[0]); i++) {
		snprintf(options, sizeof(options), "init-command = \"SET lc_messages = '%s'\"",
			languages[i]);
		ck_assert_int_eq(try_options(options), 0);
		asker_open(&writer);
		asker_assert_changed(&writer, 1, tested->writing->upsert, VALUES("a", "1"));
		asker_assert_changed(&writer, 1, UPDATE, VALUES("1", "a"));
		asker_assert_changed(&writer, 0, UPDATE, VALUES("1", "b"));
		asker_assert_changed(&writer, 2,
			"INSERT INTO written (k, v) VALUES (?, 1), ('c', 1) ON DUPLICATE KEY "
			"UPDATE v = 1",
			VALUES("a"));
		asker_close(&writer);
	}
}
END_TEST

/* They may look at ROW_COUNT(), which counts what was really changed. */
START_TEST(rows_as_procedures_count_them)
{
	tested->server->run(
		"DROP PROCEDURE IF EXISTS writes; CREATE PROCEDURE writes(key_ TEXT) BEGIN "
		"UPDATE folded SET v = v WHERE k = key_; SELECT ROW_COUNT(); END;");
	asker_open(&writer);
	ck_assert_int_eq(asker_ask(&writer, "CALL writes(?)", VALUES("one")), FOUND);
	asker_assert_column(&writer, 0, "0");
	asker_close(&writer);
}
END_TEST

START_TEST(changes_that_bring_rows)
{
	asker_open(&writer);
	asker_wish(&writer, (struct asker_wishes){.named = true});
	ck_assert_int_eq(
		asker_ask(&writer, INSERT " RETURNING k, v AS home", VALUES("a", "1")), FOUND);
	asker_assert_column(&writer, 1, "1");
	assert_slice(rows_name(&writer.rows, 1), "home");
	ck_assert_int_eq(
		asker_ask(&writer, "DELETE FROM written WHERE k = ? RETURNING v", VALUES("b")),
		NOT_FOUND);
	ck_assert_int_eq(asker_ask(&writer, "CALL by_key(?)", VALUES("one")), FOUND);
	asker_assert_column(&writer, 0, "1");
	ck_assert_int_eq(asker_ask(&writer, "CALL two_results(?)", VALUES("one")), BROKEN);
	asker_assert_changed(&writer, 0, "CALL no_result(?)", VALUES("one"));
	asker_close(&writer);
}
END_TEST

static void add_writing(TCase *tcase)
{
	tcase_add_test(tcase, what_stands_alone);
	tcase_add_test(tcase, rows_met_in_other_languages);
	tcase_add_test(tcase, rows_as_procedures_count_them);
	tcase_add_test(tcase, changes_that_bring_rows);
}

void mysql_add_cases(TCase *tcase)
{
	add_writing(tcase);
	tcase_add_test(tcase, procedures);
	tcase_add_test(tcase, procedures_that_write);
	tcase_add_test(tcase, keys_that_fold);
	tcase_add_test(tcase, keys_named_twice);
	tcase_add_test(tcase, modes_of_sql);
	tcase_add_test(tcase, sessions);
	tcase_add_test(tcase, time_limit);
	tcase_add_test(tcase, roles);
	tcase_add_test(tcase, a_role_that_is_lost);
	tcase_add_test(tcase, closed_half_way);
	tcase_add_test(tcase, a_check_that_gets_no_answer);
	tcase_add_test(tcase, queries_that_are_numbered);
	tcase_add_test(tcase, padding);
	tcase_add_test(tcase, commands);
	tcase_add_test(tcase, a_message_in_one_line);
	tcase_add_test(tcase, names_of_hosts);
	if (!contract_server_facts.ca)
		return;
	tcase_add_test(tcase, tls_and_options);
	tcase_add_test(tcase, a_handshake_that_stops);
	tcase_add_test(tcase, tls_by_a_socket);
}
