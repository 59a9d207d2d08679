#include "contract/pgsql.h"

#include "base/clock.h"
#include "contract/asker.h"
#include "contract/scratch.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

/* The driver's own options. */

static void set_own(const char *option, const char *value)
{
	const struct setting *row = setting_find(tested->backend->settings, option);

	ck_assert_int_eq(setting_set(row, place.config, &value, 1, &place.why), 0);
}

static void reopen(void)
{
	if (place.conn)
		close_place();
	open_place();
}

static void reopen_with(const char *option, const char *value)
{
	set_own(option, value);
	reopen();
}

static const struct query *value_query(void)
{
	return add_query(tested->queries.value);
}

/* Where the server is, by conninfo alone. */
static void forget_server(void)
{
	free(place.settings.user);
	free(place.settings.dbname);
	place.settings.user = place.settings.dbname = NULL;
	place.server.host = NULL;
	place.server.port = 0;
	place.server.password = NULL;
}

static const char *make_conninfo(const char *more)
{
	static char text[1000];
	const struct contract_facts *facts = &contract_server_facts;

	snprintf(text, sizeof(text),
		"host=%s port=%s user=%s dbname=%s password='a secret of \\'tests\\'' %s",
		facts->host, facts->port, facts->user, facts->dbname, more);
	return text;
}

START_TEST(conninfo_keywords)
{
	forget_server();
	reopen_with("conninfo", make_conninfo(""));
	assert_value(value_query(), "one", "1");
	/* The options go before it. */
	place.server.host = "127.0.0.1";
	place.server.port = 1;
	ck_assert_int_eq(try_to_open(), -1);
	assert_contains(place.why.text, "port 1 ");
}
END_TEST

START_TEST(conninfo_uri)
{
	const struct contract_facts *facts = &contract_server_facts;
	char text[1000];

	forget_server();
	snprintf(text, sizeof(text), "postgresql://%s:a%%20secret%%20of%%20'tests'@%s:%s/%s",
		facts->user, facts->host, facts->port, facts->dbname);
	reopen_with("conninfo", text);
	assert_value(value_query(), "one", "1");
}
END_TEST

/* Whoever has made a mistake does not find the password in the log. */
START_TEST(conninfo_wrong)
{
	static const char *const wrong[] = {"password=my secret", "postgresql://me:secret@[::1",
		"secret", "pasword=secret", "postgresql://a/b?c=secret"};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		set_own("conninfo", wrong[i]);
		ck_assert_int_eq(tested->backend->check(place.config, &place.why), -1);
		ck_assert_str_eq(place.why.option, "conninfo");
		ck_assert_ptr_null(strstr(place.why.text, "secret"));
	}
}
END_TEST

START_TEST(conninfo_settings)
{
	const struct query *query;

	tested->server->run("DROP SCHEMA IF EXISTS other CASCADE; CREATE SCHEMA other; "
			    "CREATE TABLE other.contract AS SELECT 'one' AS k, 'x' AS v, 1 AS id");
	query = value_query();
	forget_server();
	set_own("conninfo", make_conninfo("options='-c search_path=other'"));
	if (contract_server_facts.pooler) {
		/* They can't be left out. */
		ck_assert_int_eq(try_to_open(), -1);
		assert_contains(place.why.text, "options");
	} else {
		reopen();
		assert_value(query, "one", "x");
	}
	tested->server->run("DROP SCHEMA other CASCADE");
}
END_TEST

START_TEST(by_service)
{
	char path[PATH_MAX];
	FILE *file = fdopen(scratch_file(path), "w");

	fprintf(file, "[mail]\nhost=%s\nport=%s\nuser=%s\ndbname=%s\npassword=%s\n",
		contract_server_facts.host, contract_server_facts.port, contract_server_facts.user,
		contract_server_facts.dbname, contract_server_facts.password);
	fclose(file);
	setenv("PGSERVICEFILE", path, 1);
	forget_server();
	reopen_with("service", "mail");
	assert_value(value_query(), "one", "1");
	ck_assert_int_eq(
		ask(add_query("DELETE FROM contract WHERE k = '%s' RETURNING v"), "one"), BROKEN);
	assert_value(&place.queries[0], "one", "1");
	unsetenv("PGSERVICEFILE");
	unlink(path);
}
END_TEST

/* What is said is done, whatever the environment and the home directory say. */
START_TEST(environment)
{
	static const char *const lies[][2] = {{"PGHOST", "127.0.0.3"}, {"PGPORT", "1"},
		{"PGUSER", "nobody"}, {"PGDATABASE", "nothing"}, {"PGPASSWORD", "wrong"},
		{"PGOPTIONS", "-c search_path=nowhere"}, {"PGSSLMODE", "verify-full"},
		{"PGSSLROOTCERT", "/nowhere"}, {"PGSSLCERT", "/nowhere"},
		{"PGTARGETSESSIONATTRS", "standby"}, {"PGCLIENTENCODING", "LATIN1"},
		{"PGGSSENCMODE", "require"}};
	const size_t count = sizeof(lies) / sizeof(lies[0]);

	for (size_t i = 0; i < count; i++)
		setenv(lies[i][0], lies[i][1], 1);
	/* A pooler gets no settings from the driver, so those of the environment can't be kept out.
	 */
	if (contract_server_facts.pooler)
		unsetenv("PGOPTIONS");
	reopen();
	assert_value(value_query(), "gr\xc3\xbcn", "\xf0\x9f\x98\x80");
	if (contract_server_facts.ca) {
		place.settings.tls = TLS_REQUIRE;
		reopen();
		place.settings.tls = TLS_VERIFY_FULL;
		place.settings.tls_ca = strdup(contract_server_facts.ca);
		reopen();
		place.settings.tls = TLS_OFF;
		reopen();
	}
	for (size_t i = 0; i < count; i++)
		unsetenv(lies[i][0]);
	/* This one libpq can't be talked out of. */
	setenv("PGHOSTADDR", "127.0.0.3", 1);
	ck_assert_int_eq(try_to_open(), -1);
	assert_contains(place.why.text, "PGHOSTADDR");
	unsetenv("PGHOSTADDR");
}
END_TEST

/* libpq would check the server's certificate by the one, and want to log in with the other. */
START_TEST(certificates_at_home)
{
	static const char *const names[] = {"root.crt", "postgresql.crt"};
	char home[PATH_MAX], directory[PATH_MAX + 16], path[PATH_MAX + 48];
	char *old = getenv("HOME") ? strdup(getenv("HOME")) : NULL;

	scratch_directory(home);
	snprintf(directory, sizeof(directory), "%s/.postgresql", home);
	mkdir(directory, 0700);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		ck_assert_int_eq(symlink(contract_server_facts.certificate, path), 0);
	}
	setenv("HOME", home, 1);
	place.settings.tls = TLS_REQUIRE;
	reopen();
	assert_value(add_query(tested->server->encrypted), "x", "yes");
	if (old)
		setenv("HOME", old, 1);
	free(old);
}
END_TEST

/* A name with all that means something on the way. */
#define ODD_SCHEMA "\"od d\\ 'x', $1\t\""

START_TEST(search_path)
{
	const struct query *query = value_query();

	tested->server->run(
		"DROP SCHEMA IF EXISTS " ODD_SCHEMA " CASCADE; CREATE SCHEMA " ODD_SCHEMA
		"; CREATE TABLE " ODD_SCHEMA ".contract AS SELECT 'one' AS k, 'x' AS v, 1 AS id");
	reopen_with("search_path", ODD_SCHEMA ", public");
	assert_value(query, "one", "x");
	assert_value(add_query("SELECT v FROM typed WHERE ci = '%s' AND id = 1"), "AB", "first");
	set_own("prepare", "no");
	reopen_with("search_path", "public");
	assert_value(query, "one", "1");
	tested->server->run("DROP SCHEMA " ODD_SCHEMA " CASCADE");
}
END_TEST

START_TEST(settings_of_the_session)
{
	const struct query *query = add_query("SELECT current_setting('transaction_read_only'), "
					      "current_setting('statement_timeout'), "
					      "current_setting('standard_conforming_strings'), "
					      "current_setting('client_encoding'), '%s'");

	place.server.query_timeout = 12345;
	reopen();
	ck_assert_int_eq(ask(query, "x"), FOUND);
	assert_column(0, "on");
	assert_column(1, "12345ms");
	assert_column(2, "on");
	assert_column(3, "UTF8");
}
END_TEST

START_TEST(a_role)
{
	place.settings.role = ROLE_PRIMARY;
	reopen();
	assert_value(value_query(), "one", "1");
	place.settings.role = ROLE_STANDBY;
	ck_assert_int_eq(try_to_open(), -1);
	assert_contains(place.why.text, "standby");
}
END_TEST

/* What a query may not do. */

/* Not seen by looking at it: it brings rows. */
START_TEST(writes_that_bring_rows)
{
	static const char *const texts[] = {"DELETE FROM contract WHERE k = '%s' RETURNING v",
		"INSERT INTO contract (k, v) VALUES ('%s', 'x') RETURNING v",
		"SELECT nextval('contract_id_seq'), '%s'"};

	for (size_t i = 0; i < 3; i++) {
		const struct query *query = add_query(texts[i]);

		ck_assert_int_eq(ask(query, "one"), BROKEN);
		ck_assert_int_eq(ask(query, "one"), BROKEN);
		assert_contains(place.why.text, "read-only");
	}
	assert_value(value_query(), "one", "1");
	place.settings.read_only = false;
	reopen();
	assert_value(&place.queries[1], "new", "x");
	assert_value(&place.queries[0], "new", "x");
}
END_TEST

START_TEST(what_brings_no_rows)
{
	static const char *const texts[] = {"COPY contract TO STDOUT", "COPY contract FROM STDIN",
		"BEGIN", "SET search_path = nowhere", "DEALLOCATE ALL", "LISTEN x", "SELECT",
		"DISCARD ALL"};

	place.settings.read_only = false;
	reopen();
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const struct query *query = add_query(texts[i]);

		ck_assert_int_eq(check(query), BROKEN);
		ck_assert_int_eq(ask(query, "one"), BROKEN);
	}
	assert_value(value_query(), "one", "1");
}
END_TEST

START_TEST(a_timeout_of_the_server)
{
	place.server.query_timeout = 1000; /* the last query has to be done within it, too */
	reopen();
	ck_assert_int_eq(ask(add_query(tested->server->sleep), "x"), TRY_LATER);
	assert_contains(place.why.text, "57014");
	assert_value(value_query(), "one", "1");
}
END_TEST

/* Whose fault an error is; and none of them is "not found". */
START_TEST(errors)
{
	static const struct {
		const char *state;
		enum status status;
		bool is_lost;
	} faults[] = {{"P0001", BROKEN, false}, {"22012", BROKEN, false}, {"23505", BROKEN, false},
		{"40001", TRY_LATER, false}, {"40P01", TRY_LATER, false},
		{"55P03", TRY_LATER, false}, {"57014", TRY_LATER, false},
		{"53200", TRY_LATER, false}, {"58030", TRY_LATER, false},
		{"XX001", TRY_LATER, false}, {"ZZ999", TRY_LATER, false}, {"42P01", BROKEN, false},
		{"42501", BROKEN, false}, {"0A000", BROKEN, false}, {"25006", BROKEN, false},
		{"25P02", TRY_LATER, true}, {"54001", BROKEN, false}, {"08006", TRY_LATER, false}};
	const struct query *query = add_query("SELECT fail('%s')");

	tested->server->run("CREATE OR REPLACE FUNCTION fail(k text) RETURNS text STABLE LANGUAGE "
			    "plpgsql AS $$BEGIN RAISE NOTICE 'a notice'; IF k <> 'fine' THEN "
			    "RAISE EXCEPTION 'as told' USING ERRCODE = k; END IF; RETURN k; END$$");
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		const char *keys[] = {"fine", faults[i].state, "fine", NULL};
		struct group group;

		ask_bytes(query, slice_str(faults[i].state));
		assert_contains(place.why.text, faults[i].state);
		ck_assert_int_eq(place.progress, faults[i].is_lost ? LOST : DONE);
		if (faults[i].is_lost) {
			reopen();
			continue;
		}
		group_init(&group, query, keys);
		ck_assert_int_eq(group_ask_part(&group, 0, group.count), SPLIT);
		group_ask(&group);
		assert_group_value(&group, 0, "fine");
		ck_assert_int_eq(group.questions[1].status, faults[i].status);
		assert_group_value(&group, 2, "fine");
		group_finish(&group);
	}
}
END_TEST

START_TEST(no_permission)
{
	static const char *const keys[] = {"one", "two", NULL};
	struct group group;

	group_init(&group, value_query(), keys);
	group_ask(&group);
	tested->server->run("REVOKE ALL ON contract FROM tabled");
	group_ask(&group);
	for (size_t i = 0; i < group.count; i++)
		ck_assert_int_eq(group.questions[i].status, BROKEN);
	assert_contains(group.questions[0].why->text, "42501");
	tested->server->run("GRANT ALL ON contract TO tabled");
	group_ask(&group);
	assert_group_value(&group, 0, "1");
	group_finish(&group);
}
END_TEST

/* Prepared statements. */

#define FORGET                                                                                     \
	"CREATE OR REPLACE FUNCTION forget(k text) RETURNS text LANGUAGE plpgsql AS "              \
	"$$BEGIN EXECUTE 'DEALLOCATE ALL'; RETURN k; END$$"

/* As a pooler does that gives each transaction another connection. */
START_TEST(names_that_get_lost)
{
	static const char *const keys[] = {"one", "two", NULL};
	const struct query *query = value_query();
	const struct query *loses = add_query("SELECT forget('%s')");
	struct group group;

	tested->server->run(FORGET);
	group_init(&group, query, keys);
	for (int i = 0; i < 3; i++) {
		assert_value(query, "one", "1");
		ck_assert_int_eq(group_ask_part(&group, 0, group.count), DONE);
		assert_group_value(&group, 1, "first|second");
		assert_value(loses, "x", "x");
		if (i == 2)
			ck_assert_int_eq(group_ask_part(&group, 0, group.count), DONE);
	}
	group_finish(&group);
}
END_TEST

START_TEST(names_that_are_a_must)
{
	const struct query *query = value_query();
	const struct query *loses = add_query("SELECT forget('%s')");

	tested->server->run(FORGET);
	reopen_with("prepare", "yes");
	assert_value(query, "one", "1");
	assert_value(loses, "x", "x");
	ask_bytes(query, slice_str("one"));
	ck_assert_int_eq(place.progress, LOST);
	assert_contains(place.why.text, "26000");
}
END_TEST

#define COUNT_NAMES "SELECT count(*) FROM pg_prepared_statements WHERE '%s' = 'x'"

static void assert_names(long most)
{
	const char *count;

	ck_assert_int_eq(ask(add_query(COUNT_NAMES), "x"), FOUND);
	count = text_of(rows_cell(&place.rows, 0, 0));
	ck_assert_msg(atol(count) <= most, "there are %s names", count);
}

START_TEST(without_names)
{
	static const char *const keys[] = {"one", "two", NULL};
	struct group group;

	reopen_with("prepare", "no");
	group_init(&group, value_query(), keys);
	for (int i = 0; i < 3; i++) {
		assert_value(&place.queries[0], "one", "1");
		ck_assert_int_eq(group_ask_part(&group, 0, group.count), DONE);
		assert_group_value(&group, 1, "first|second");
	}
	assert_names(0);
	group_finish(&group);
}
END_TEST

/* Whatever happens, the server has at most two for each query, and each is prepared but once. */
START_TEST(names_do_not_pile_up)
{
	static const char *const keys[] = {"one", "two", NULL};
	const struct query *good = value_query();
	const struct query *bad = add_query("SELECT v / 0, fail('%s') FROM contract");
	struct group group;

	tested->server->run("CREATE OR REPLACE FUNCTION fail(k text) RETURNS text LANGUAGE plpgsql "
			    "AS $$BEGIN RAISE EXCEPTION USING ERRCODE = '42P01'; END$$");
	reopen_with("prepare", "yes");
	group_init(&group, good, keys);
	for (int i = 0; i < 20; i++) {
		tested->server->run(i % 2 ? "ALTER TABLE contract ALTER v TYPE varchar(100000)"
					  : "ALTER TABLE contract ALTER v TYPE text");
		assert_value(good, "one", "1");
		ck_assert_int_eq(group_ask_part(&group, 0, group.count), DONE);
		ck_assert_int_eq(ask(bad, "x"), BROKEN);
		ck_assert_int_eq(check(good), NOT_FOUND);
	}
	assert_names(5);
	group_finish(&group);
}
END_TEST

/* The type of a column decides how its keys are read, and may change. */
START_TEST(a_type_that_changes)
{
	static const char *const keys[] = {"07", "x", "8", NULL};
	const struct query *query = add_query("SELECT v FROM contract WHERE k = '%s'");
	struct group group;

	tested->server->run("DELETE FROM contract; INSERT INTO contract VALUES ('7', 'seven')");
	group_init(&group, query, keys);
	group_ask(&group);
	ck_assert_int_eq(group.questions[0].status, NOT_FOUND);
	ck_assert_int_eq(ask(query, "07"), NOT_FOUND);
	tested->server->run("ALTER TABLE contract ALTER k TYPE integer USING k::integer");
	group_ask(&group);
	assert_group_value(&group, 0, "seven");
	ck_assert_int_eq(group.questions[1].status, BROKEN);
	ck_assert_int_eq(group.questions[2].status, NOT_FOUND);
	assert_value(query, "7", "seven");
	tested->server->run("ALTER TABLE contract ALTER k TYPE text");
	ck_assert_int_eq(ask(query, "07"), NOT_FOUND);
	group_ask(&group);
	ck_assert_int_eq(group.questions[0].status, NOT_FOUND);
	ck_assert_int_eq(group.questions[1].status, NOT_FOUND);
	group_finish(&group);
}
END_TEST

/* Two of them at once, which may have the same server behind a pooler. */
START_TEST(names_of_two)
{
	const struct query *query = value_query();
	void *first = place.conn;

	for (int i = 0; i < 3; i++) {
		assert_value(query, "one", "1");
		if (i == 0)
			open_place();
		assert_value(query, "two", "first|second");
		void *other = place.conn;
		place.conn = first;
		first = other;
	}
	close_place();
	place.conn = first;
}
END_TEST

/* Commands of the engine's own. */

static enum status command(const char *text)
{
	struct statement statement = {.text = text, .kind = STATEMENT_ALONE};
	struct question question = {
		.statement = &statement, .rows = &place.rows, .why = &place.why};
	struct batch batch = {
		.questions = &question, .count = 1, .deadline = clock_ms() + PATIENCE_MS};

	rows_clear(&place.rows);
	place.progress = wait_for(tested->backend->start(place.conn, &batch));
	return question.status;
}

static bool rang(void)
{
	return tested->backend->rang(place.conn);
}

/* Between batches: whatever comes first. */
static void hear(void)
{
	struct pollfd fd = {tested->backend->fd(place.conn), POLLIN, 0};

	ck_assert_int_gt(poll(&fd, 1, PATIENCE_MS), 0);
	ck_assert_int_eq(tested->backend->advance(place.conn), DONE);
}

START_TEST(a_bell)
{
	const struct query *query = value_query();

	ck_assert_int_eq(command("LISTEN tabled"), NOT_FOUND);
	ck_assert(!rang());
	assert_value(query, "one", "1");
	ck_assert(!rang());
	tested->server->run("NOTIFY tabled");
	hear();
	ck_assert(rang());
	ck_assert(!rang());
	/* Several between two looks are one, be it before a batch or within it. */
	tested->server->run("NOTIFY tabled; NOTIFY tabled, 'x'");
	tested->server->run("NOTIFY tabled");
	assert_value(query, "one", "1");
	ck_assert_int_eq(ask(add_query("SELECT pg_notify('tabled', '%s')"), "x"), FOUND);
	ck_assert(rang());
	ck_assert(!rang());
	tested->server->run("NOTIFY others");
	assert_value(query, "one", "1");
	ck_assert(!rang());
	tested->server->kill();
	wait_until_lost();
	ck_assert(!rang());
}
END_TEST

/* It would be taken, and nothing ever heard. */
START_TEST(a_bell_behind_a_pooler)
{
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(command("LISTEN tabled"), BROKEN);
		ck_assert_int_eq(place.progress, DONE);
		assert_contains(place.why.text, "pooler");
		assert_value(add_query(tested->queries.value), "one", "1");
	}
	assert_value(add_query("SELECT count(*) FROM pg_listening_channels() WHERE '%s' = 'x'"),
		"x", "0");
}
END_TEST

START_TEST(commands)
{
	ck_assert_int_eq(command("LISTEN"), BROKEN);
	assert_contains(place.why.text, "42601");
	ck_assert_int_eq(command("DELETE FROM contract"), BROKEN);
	assert_contains(place.why.text, "read-only");
	assert_value(value_query(), "one", "1");
	place.settings.read_only = false;
	reopen();
	ck_assert_int_eq(command("DELETE FROM contract WHERE k = 'one'"), NOT_FOUND);
	ck_assert_int_eq(ask(value_query(), "one"), NOT_FOUND);
	if (contract_server_facts.pooler) /* which may give a part of it to another session */
		return;
	ck_assert_int_eq(command("BEGIN"), NOT_FOUND);
	ck_assert_int_eq(command("DELETE FROM contract"), NOT_FOUND);
	ck_assert_int_eq(command("ROLLBACK"), NOT_FOUND);
	assert_value(value_query(), "two", "first|second");
}
END_TEST

/* Writing. */

static struct asker writer;

#define INSERT "INSERT INTO written (k, v) VALUES (?, ?)"
#define SHOW                                                                                       \
	"SELECT current_setting('search_path'), current_setting('statement_timeout'), "            \
	"current_setting('standard_conforming_strings'), current_setting('transaction_read_only')"

static void assert_settings(void)
{
	ck_assert_int_eq(asker_ask(&writer, SHOW, NO_VALUES), FOUND);
	asker_assert_column(&writer, 0, "public, pg_catalog");
	asker_assert_column(&writer, 1, "12345ms");
	asker_assert_column(&writer, 2, "on");
	asker_assert_column(&writer, 3, "off");
}

/* With a search_path they go before each question, whoever answers; but for transactions. */
START_TEST(settings_of_a_transaction)
{
	place.server.query_timeout = 12345;
	set_own("search_path", "public, pg_catalog");
	asker_open(&writer);
	for (int i = 0; i < 3; i++) {
		assert_settings();
		ck_assert_int_eq(asker_do(&writer, "BEGIN"), NOT_FOUND);
		assert_settings();
		asker_assert_changed(&writer, 1, INSERT, VALUES("a", "1"));
		assert_settings();
		if (i == 1)
			ck_assert_int_eq(asker_ask(&writer, INSERT, VALUES("a", "1")), BROKEN);
		if (i == 2) {
			ck_assert_int_eq(asker_ask(&writer, INSERT, VALUES("a", "1")), BROKEN);
			ck_assert_int_eq(asker_do(&writer, "COMMIT"), BROKEN);
		}
		ck_assert_int_eq(asker_do(&writer, "ROLLBACK"), NOT_FOUND);
	}
	ck_assert_int_eq(asker_do(&writer, "BEGIN"), NOT_FOUND);
	asker_assert_changed(&writer, 1, INSERT, VALUES("a", "2"));
	ck_assert_int_eq(asker_do(&writer, "COMMIT"), NOT_FOUND);
	assert_value(add_query("SELECT v FROM written WHERE k = '%s'"), "a", "2");
	assert_settings();
	asker_close(&writer);
}
END_TEST

/* What is found out at the very end is an error, too. */
START_TEST(a_constraint_at_the_end)
{
	const struct query *query = add_query("SELECT count(*) FROM written WHERE k = '%s'");

	tested->server->run("ALTER TABLE written ADD CONSTRAINT v UNIQUE (v) DEFERRABLE "
			    "INITIALLY DEFERRED");
	asker_open(&writer);
	asker_assert_changed(&writer, 1, INSERT, VALUES("a", "1"));
	ck_assert_int_eq(asker_ask(&writer, INSERT, VALUES("b", "1")), BROKEN);
	assert_contains(writer.why.text, "23505");
	assert_value(query, "b", "0");
	ck_assert_int_eq(asker_do(&writer, "BEGIN"), NOT_FOUND);
	asker_assert_changed(&writer, 1, INSERT, VALUES("b", "1"));
	ck_assert_int_eq(asker_do(&writer, "COMMIT"), BROKEN);
	assert_contains(writer.why.text, "23505");
	ck_assert_int_eq(asker_do(&writer, "ROLLBACK"), NOT_FOUND);
	assert_value(query, "b", "0");
	asker_assert_changed(&writer, 1, INSERT, VALUES("b", "2"));
	asker_close(&writer);
}
END_TEST

START_TEST(a_serialization_failure)
{
	struct asker other;

	asker_open(&writer);
	asker_open(&other);
	asker_assert_changed(&writer, 1, INSERT, VALUES("a", "1"));
	ck_assert_int_eq(asker_do(&writer, "BEGIN"), NOT_FOUND);
	asker_assert_changed(&writer, 0, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", NO_VALUES);
	ck_assert_int_eq(asker_ask(&writer, "SELECT v FROM written", NO_VALUES), FOUND);
	asker_assert_changed(&other, 1, "UPDATE written SET v = ?", VALUES("2"));
	ck_assert_int_eq(asker_ask(&writer, "UPDATE written SET v = ?", VALUES("3")), TRY_LATER);
	assert_contains(writer.why.text, "40001");
	ck_assert_int_eq(asker_do(&writer, "ROLLBACK"), NOT_FOUND);
	asker_assert_changed(&writer, 1, "UPDATE written SET v = ?", VALUES("3"));
	asker_close(&writer);
	asker_close(&other);
}
END_TEST

/* The server infers the types of values, and reads them so. */
START_TEST(types_of_values)
{
	asker_open(&writer);
	asker_assert_changed(&writer, 1,
		"UPDATE typed SET i = ?, d = ?, a = ?, t = ?, u = ?, ci = ? WHERE id = ?",
		VALUES("7", "1.5", "10.0.0.2", "2024-02-29", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12",
			"X", "1"));
	ck_assert_int_eq(
		asker_ask(&writer, "SELECT i, d, a FROM typed WHERE ci = ? AND a << ? LIMIT ?",
			VALUES("x", "10.0.0.0/8", "1")),
		FOUND);
	asker_assert_column(&writer, 0, "7");
	asker_assert_column(&writer, 1, "1.50");
	asker_assert_column(&writer, 2, "10.0.0.2");
	ck_assert_int_eq(
		asker_ask(&writer, "UPDATE typed SET i = ? WHERE id = ?", VALUES("x", "1")),
		BROKEN);
	assert_contains(writer.why.text, "22P02");
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
	asker_assert_changed(&writer, 0, INSERT " ON CONFLICT DO NOTHING", VALUES("a", "2"));
	asker_close(&writer);
}
END_TEST

START_TEST(nothing_is_kept)
{
	asker_open(&writer);
	for (int i = 0; i < 5; i++) {
		asker_wish(&writer, (struct asker_wishes){.only_check = i % 2});
		asker_ask(&writer, INSERT, VALUES("a", "1"));
	}
	ck_assert_int_eq(
		asker_ask(&writer, "SELECT count(*) FROM pg_prepared_statements WHERE name <> ''",
			NO_VALUES),
		FOUND);
	asker_assert_column(&writer, 0, "0");
	asker_close(&writer);
}
END_TEST

static void add_writing(TCase *tcase)
{
	tcase_add_test(tcase, settings_of_a_transaction);
	tcase_add_test(tcase, a_constraint_at_the_end);
	tcase_add_test(tcase, a_serialization_failure);
	tcase_add_test(tcase, types_of_values);
	tcase_add_test(tcase, changes_that_bring_rows);
	if (contract_server_facts.pooler)
		printf("skipped: nothing_is_kept: connections of the pooler have had others\n");
	else
		tcase_add_test(tcase, nothing_is_kept);
}

void pgsql_add_cases(TCase *tcase)
{
	tcase_add_test(tcase, conninfo_keywords);
	tcase_add_test(tcase, conninfo_uri);
	tcase_add_test(tcase, conninfo_wrong);
	tcase_add_test(tcase, conninfo_settings);
	tcase_add_test(tcase, by_service);
	tcase_add_test(tcase, environment);
	if (contract_server_facts.ca)
		tcase_add_test(tcase, certificates_at_home);
	tcase_add_test(tcase, search_path);
	tcase_add_test(tcase, settings_of_the_session);
	tcase_add_test(tcase, a_role);
	tcase_add_test(tcase, writes_that_bring_rows);
	tcase_add_test(tcase, what_brings_no_rows);
	tcase_add_test(tcase, a_timeout_of_the_server);
	tcase_add_test(tcase, errors);
	tcase_add_test(tcase, no_permission);
	tcase_add_test(tcase, names_that_get_lost);
	if (contract_server_facts.pooler) {
		printf("skipped: prepare = yes: the pooler can't do that\n");
	} else {
		tcase_add_test(tcase, names_that_are_a_must);
		tcase_add_test(tcase, names_do_not_pile_up);
	}
	tcase_add_test(tcase, without_names);
	tcase_add_test(tcase, a_type_that_changes);
	tcase_add_test(tcase, names_of_two);
	tcase_add_test(tcase, contract_server_facts.pooler ? a_bell_behind_a_pooler : a_bell);
	tcase_add_test(tcase, commands);
	add_writing(tcase);
}
