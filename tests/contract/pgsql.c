/* PostgreSQL's part of the contract suite, and what is PostgreSQL's alone. */
#include "contract/pgsql.h"

#include "contract/place.h"

#include <libpq-fe.h>

extern const struct backend pgsql_backend;

static PGconn *connect_as_owner(const char *dbname)
{
	const struct contract_facts *facts = &contract_server_facts;
	PGconn *db = PQsetdbLogin(
		facts->host, facts->port, NULL, NULL, dbname, facts->user, facts->password);

	if (PQstatus(db) != CONNECTION_OK) {
		fprintf(stderr, "pgsql: %s", PQerrorMessage(db));
		abort();
	}
	return db;
}

static void ignore_notice(void *context, const char *text)
{
	(void)context;
	(void)text;
}

static void must(PGconn *db, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
		fprintf(stderr, "pgsql: %s", PQerrorMessage(db));
		abort();
	}
	PQclear(result);
}

static void run_in(const char *dbname, const char *sql)
{
	PGconn *db = connect_as_owner(dbname);

	PQsetNoticeProcessor(db, ignore_notice, NULL);
	must(db, PQexec(db, sql));
	PQfinish(db);
}

static void run(const char *sql)
{
	run_in(contract_server_facts.dbname, sql);
}

static void insert(PGconn *db, const struct contract_row *row)
{
	const char *values[] = {row->key, row->value};

	must(db, PQexecParams(db, "INSERT INTO contract (k, v) VALUES ($1, $2)", 2, NULL, values,
			 NULL, NULL, 0));
}

/* A column for each type that reads literals, or compares them, otherwise than text. */
/* clang-format off */
static const char typed_sql[] =
	"CREATE EXTENSION IF NOT EXISTS citext;"
	"CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s \"so\"');"
	"CREATE DOMAIN small AS text CHECK (length(value) < 5);"
	"CREATE TABLE typed (id serial, v text,"
	" c char(5), vc varchar(5), n name, q \"char\", ci citext, b bytea, s small, e mood,"
	" i integer, l bigint, f float8, d numeric(8,2), bo boolean, bi bit(3),"
	" t timestamptz, dt date, a inet, m macaddr, u uuid, j jsonb, ar text[], bx box);"
	"INSERT INTO typed VALUES"
	" (1, 'first',"
	"  'ab', 'ab', 'ab', 'a', 'Ab', '\\x6162', 'ab', 'ok',"
	"  1, 1, 1, 1, true, '101',"
	"  '2024-02-29', '2024-02-29', '10.0.0.1', '08:00:2b:01:02:03',"
	"  'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{\"a\": 1}', '{a,b}', '(1,1),(0,0)'),"
	" (2, 'second',"
	"  'ab ', 'ab ', 'ab ', ' ', 'aB ', '\\x', '', 'it''s \"so\"',"
	"  -2, 5000000000, 1e300, 0.01, false, '000',"
	"  'epoch', 'infinity', '::1', NULL, NULL, '\"x\"', '{}', NULL),"
	" (3, 'third',"
	"  '', '', '', '', '', NULL, 'ab ', 'sad',"
	"  0, 0, 'NaN', NULL, NULL, '111',"
	"  NULL, NULL, '10.0.0.0/8', NULL, NULL, 'null', '{NULL,\"a b\"}', NULL);";
/* clang-format on */

#define REMOVE                                                                                     \
	"DROP TABLE IF EXISTS contract, away, typed, written; DROP TYPE IF EXISTS mood;"           \
	"DROP DOMAIN IF EXISTS small;"

static void prepare(void *config)
{
	PGconn *db;

	(void)config;
	run(REMOVE "CREATE TABLE contract (k text, v text, id serial PRIMARY KEY);"
		   "CREATE TABLE written (k text PRIMARY KEY, v text,"
		   " n bigint NOT NULL DEFAULT 0 CHECK (n >= 0))");
	run(typed_sql);
	db = connect_as_owner(contract_server_facts.dbname);
	for (const struct contract_row *row = contract_rows; row->key; row++)
		insert(db, row);
	PQfinish(db);
}

static void remove_place(void *config)
{
	(void)config;
	run(REMOVE);
}

/* A pooler has its own clients, whatever becomes of its connections to the server. */
static void kill_connections(void)
{
	if (contract_server_facts.pooler) {
		run_in(contract_server_facts.pooler, "KILL mail");
		run_in(contract_server_facts.pooler, "RESUME mail");
		return;
	}
	run("SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity "
	    "WHERE usename = current_user AND pid <> pg_backend_pid()");
}

/* Valid for some of the types, and poison for others. */
static const char *const typed_keys[] = {"ab", "ab ", "ab  ", "", " ", "a", "abcdefghij", "1", "01",
	" 1 ", "-2", "5000000000", "99999999999999999999", "1e300", "NaN", "0.010", "2024-02-29",
	"2024-02-30", "29.2.2024", "epoch", "infinity", "now", "10.0.0.1", "10.0.0.1/32",
	"010.0.0.1", "::1", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "ok", "OK", "it's \"so\"",
	"sad", "101", "1010", "B101", "x5", "t", "TRUE", "no", "on", "\\x6162", "\\x616", "\\141b",
	"ab\\", "{a,b}", "{\"a\", b}", "{}", "{a", "a,b", "{NULL,\"a b\"}", "08002b:010203",
	"{\"a\":1}", "\"x\"", "null", "NULL", "(1,1),(0,0)", "gr\xc3\xbcn", "\xff", "first", "$1",
	"%", NULL};

#define BY(column)                                                                                 \
	{                                                                                          \
		"SELECT v, " column " FROM typed WHERE " column " = '%s' ORDER BY id", typed_keys  \
	}

static const struct contract_alike alike[] = {
	BY("v"),
	BY("c"),
	BY("vc"),
	BY("n"),
	BY("q"),
	BY("b"),
	BY("i"),
	BY("l"),
	BY("f"),
	BY("d"),
	BY("t"),
	BY("dt"),
	BY("a"),
	BY("u"),
	BY("e"),
	BY("s"),
	BY("bi"),
	BY("bo"),
	BY("ar"),
	BY("m"),
	BY("j"),
	{"SELECT v FROM typed WHERE bx ~= '%s'", typed_keys},
	{"SELECT v FROM typed WHERE c = '%s' OR v = '%s' OR n = '%s' ORDER BY id DESC", typed_keys},
	{"SELECT v FROM typed WHERE vc = '%s' OR ci = '%s' ORDER BY id", typed_keys},
	{"SELECT v FROM typed WHERE i::text = '%s' OR i = '%s' ORDER BY id", typed_keys},
	{"SELECT v FROM typed WHERE '%s' = ANY (ar)", typed_keys},
	{"SELECT v FROM typed WHERE v = ANY ('%s') ORDER BY id", typed_keys},
	{"SELECT v FROM typed WHERE s = '%s'::small ORDER BY v", typed_keys},
	{"SELECT v FROM typed WHERE c = '%s'::char(3) ORDER BY v", typed_keys},
	{"SELECT v FROM typed WHERE i = '%s'::numeric::int ORDER BY v", typed_keys},
	{"SELECT v, v, 1, NULL, 'x' FROM typed WHERE vc LIKE '%s%%' ORDER BY id LIMIT 2",
		typed_keys},
	{"SELECT concat('%s', '/', i), '%u' || '%d', format('%%%%s', '%s') FROM typed", typed_keys},
	{"SELECT count(*), max('%s') FROM typed WHERE v <> '%s'", typed_keys},
	{"SELECT v FROM typed WHERE false AND i = '%s'", typed_keys},
	{"SELECT v FROM typed k WHERE k.v = '%s' UNION ALL SELECT n FROM typed n WHERE n = '%s'",
		typed_keys},
	{"WITH k AS (SELECT * FROM typed WHERE v = '%s') SELECT v FROM k ORDER BY id", typed_keys},
	{"VALUES ('%s', 1), ('x', 2)", typed_keys},
	{"SELECT n FROM generate_series(1, 3) n WHERE 'ab' = '%s' ORDER BY n DESC", typed_keys},
	{"SELECT v FROM typed WHERE v = '%s' LIMIT '1'", typed_keys},
	{"SELECT v FROM typed LIMIT '%s'", typed_keys},
	{"SELECT '%s' IS NOT NULL, 1 / (length('%s') - 2)", typed_keys},
	{NULL, NULL},
};

static const struct contract_server server = {
	.keys = "SELECT k, v FROM contract WHERE k IN (:keys) ORDER BY id",
	.poison = "SELECT v FROM contract WHERE k = '%s' AND CASE '%s' WHEN 'poison' THEN 1 / "
		  "(length('%s') - 6) ELSE 1 END = 1 ORDER BY id",
	.sleep = "SELECT pg_sleep(600), '%s'",
	.encrypted = "SELECT CASE WHEN ssl THEN 'yes' ELSE 'no' END FROM pg_stat_ssl "
		     "WHERE pid = pg_backend_pid() AND '%s' <> ''",
	.alike = alike,
	.run = run,
	.kill = kill_connections,
	.add_cases = pgsql_add_cases,
};

static const struct contract_writing writing = {
	.upsert = "INSERT INTO written (k, v) VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = "
		  "excluded.v",
	.run = run,
};

const struct contract_backend pgsql_contract = {
	.backend = &pgsql_backend,
	.queries = {.value = "SELECT v FROM contract WHERE k = '%s' ORDER BY id",
		.both = "SELECT k, v FROM contract WHERE k = '%s' ORDER BY id",
		.named = "SELECT k AS login, v AS home FROM contract WHERE k = '%s' ORDER BY id",
		.expressions = "SELECT '%s', '%u', '%d', '%u-%s'",
		.unknown_table = "SELECT v FROM nowhere WHERE k = '%s'",
		.nonsense = "SELCT v FROM contract WHERE k = '%s'",
		.writes = "DELETE FROM contract WHERE k = '%s'"},
	.prepare = prepare,
	.remove = remove_place,
	.writing = &writing,
	.server = &server,
};
