/* MariaDB's part of the contract suite. */
#include "contract/mysql.h"

#include "contract/place.h"

#include <mysql.h>
#include <unistd.h>

extern const struct backend mysql_backend;

static void must(MYSQL *db, bool done)
{
	if (done)
		return;
	fprintf(stderr, "mysql: %s\n", mysql_error(db));
	abort();
}

static MYSQL *connect_as_owner(void)
{
	const struct contract_facts *facts = &contract_server_facts;
	MYSQL *db = mysql_init(NULL);
	my_bool no = 0;

	mysql_optionsv(db, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	mysql_optionsv(db, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &no);
	must(db, mysql_real_connect(db, facts->host, facts->user, facts->password, facts->dbname,
			 (unsigned)atoi(facts->port), NULL, CLIENT_MULTI_STATEMENTS) != NULL);
	return db;
}

/* Asks, and reads to the end. */
static void execute(MYSQL *db, const char *sql)
{
	int more;

	must(db, mysql_query(db, sql) == 0);
	do {
		mysql_free_result(mysql_store_result(db));
		more = mysql_next_result(db);
		must(db, more <= 0);
	} while (more == 0);
}

static void run(const char *sql)
{
	MYSQL *db = connect_as_owner();

	execute(db, sql);
	mysql_close(db);
}

void mysql_run_as_root(const char *sql)
{
	MYSQL *db = mysql_init(NULL);

	must(db, mysql_real_connect(
			 db, NULL, "root", NULL, NULL, 0, contract_server_facts.socket, 0) != NULL);
	execute(db, sql);
	mysql_close(db);
}

static void insert(MYSQL *db, const struct contract_row *row)
{
	MYSQL_STMT *statement = mysql_stmt_init(db);
	const char *sql = "INSERT INTO contract (k, v) VALUES (?, ?)";
	MYSQL_BIND values[2] = {{0}};
	my_bool is_null = !row->value;

	values[0] = (MYSQL_BIND){.buffer_type = MYSQL_TYPE_STRING,
		.buffer = (char *)row->key,
		.buffer_length = strlen(row->key)};
	values[1] = (MYSQL_BIND){.buffer_type = MYSQL_TYPE_STRING,
		.buffer = (char *)row->value,
		.buffer_length = row->value ? strlen(row->value) : 0,
		.is_null = &is_null};
	must(db, mysql_stmt_prepare(statement, sql, strlen(sql)) == 0 &&
			 mysql_stmt_bind_param(statement, values) == 0 &&
			 mysql_stmt_execute(statement) == 0);
	mysql_stmt_close(statement);
}

#define REMOVE                                                                                     \
	"DROP TABLE IF EXISTS contract, away, typed, old, folded, written;"                        \
	"DROP PROCEDURE IF EXISTS by_key; DROP PROCEDURE IF EXISTS two_results;"                   \
	"DROP PROCEDURE IF EXISTS no_result; DROP PROCEDURE IF EXISTS refuses;"                    \
	"DROP PROCEDURE IF EXISTS writes;"

/* A column for each type that a UNION, or a text of it, might make something else of. */
#define TYPED                                                                                      \
	"CREATE TABLE typed (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20), c CHAR(5),"         \
	" t TINYINT, s SMALLINT UNSIGNED, z INT(6) ZEROFILL, l BIGINT UNSIGNED, n DECIMAL(12,4),"  \
	" f FLOAT, f3 FLOAT(10,3), d DOUBLE, d4 DOUBLE(20,4), dt DATE, tm TIME, tm6 TIME(6),"      \
	" ts TIMESTAMP(3) NULL, y YEAR, vb VARBINARY(20), b BINARY(5), bl BLOB, e ENUM('a','b'),"  \
	" se SET('x','y','z'), bi BIT(10), j JSON, la VARCHAR(20) CHARACTER SET latin1,"           \
	" ci VARCHAR(20) COLLATE utf8mb4_unicode_ci);"                                             \
	"INSERT INTO typed VALUES"                                                                 \
	"(NULL, 'first', 'ab', -5, 65535, 42, 18446744073709551615, 12345.6789, 0.1, 3.14159,"     \
	" 1e100 / 3, 2.5, '2024-02-29', '-12:34:56', '10:11:12.123456',"                           \
	" '2024-05-06 07:08:09.123', 1999, 0x610062, 'ab', 0xff00, 'b', 'x,z', 5, '{\"a\": 1}',"   \
	" 'latin', 'first'),"                                                                      \
	"(NULL, 'second', '', 1, 0, 123456, 5000000000, -0.5, 123456789, 1234567.891, 0.1, 1e10,"  \
	" '1000-01-01', '838:59:59', '-00:00:00.5', NULL, 2001, '', '', '', 'a', '', 1023, '[]',"  \
	" 'gr\xc3\xbcn', 'gr\xc3\xbcn'),"                                                          \
	"(NULL, 'third', NULL, NULL, NULL, NULL, NULL, NULL, 1.17549e-38, NULL, 1e-7, NULL,"       \
	" '9999-12-31', NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '', ' ');"

#define TABLES                                                                                     \
	"CREATE TABLE written (k VARCHAR(100) PRIMARY KEY, v MEDIUMTEXT, n BIGINT NOT NULL"        \
	" DEFAULT 0 CHECK (n >= 0)) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;"              \
	"CREATE TABLE contract (k VARCHAR(600), v MEDIUMTEXT, id INT AUTO_INCREMENT PRIMARY KEY,"  \
	" KEY (k)) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;"                               \
	"CREATE TABLE old (k VARCHAR(50) PRIMARY KEY, v VARCHAR(50)) CHARACTER SET latin1;"        \
	"INSERT INTO old VALUES ('gr\xc3\xbcn', 'gr\xc3\xbc\xc3\x9f'), ('a\\\\', 'back');"         \
	"CREATE TABLE folded (k VARCHAR(50) PRIMARY KEY, v VARCHAR(50))"                           \
	" COLLATE utf8mb4_general_ci;"                                                             \
	"INSERT INTO folded VALUES ('one', '1'), ('o\xcc\x82', 'odd');" TYPED

#define PROCEDURES                                                                                 \
	"CREATE PROCEDURE by_key(key_ TEXT) READS SQL DATA"                                        \
	" SELECT v FROM contract WHERE k = key_ ORDER BY id;"                                      \
	"CREATE PROCEDURE two_results(key_ TEXT) BEGIN SELECT key_; SELECT 2; END;"                \
	"CREATE PROCEDURE no_result(key_ TEXT) SET @tabled = key_;"                                \
	"CREATE PROCEDURE refuses(key_ TEXT) BEGIN SELECT key_; IF key_ = 'poison' THEN"           \
	" SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'none of mine'; END IF; END;"                 \
	"CREATE PROCEDURE writes(key_ TEXT) BEGIN"                                                 \
	" INSERT INTO folded VALUES (key_, 'new'); SELECT v FROM folded WHERE k = key_; END;"

static void prepare(void *config)
{
	MYSQL *db = connect_as_owner();

	(void)config;
	execute(db, "SET sql_mode = ''");
	execute(db, REMOVE TABLES PROCEDURES);
	for (const struct contract_row *row = contract_rows; row->key; row++)
		insert(db, row);
	mysql_close(db);
}

static void remove_place(void *config)
{
	(void)config;
	run(REMOVE);
}

/* The id of one of the user's other connections from this host, or 0. */
static unsigned long other_connection(MYSQL *db)
{
	unsigned long id = 0;
	MYSQL_RES *result;
	MYSQL_ROW row;

	must(db, mysql_query(db,
			 "SELECT MIN(id) FROM information_schema.processlist WHERE "
			 "id <> CONNECTION_ID() AND user = SUBSTRING_INDEX(USER(), '@', 1)") == 0);
	result = mysql_store_result(db);
	row = mysql_fetch_row(result);
	if (row && row[0])
		id = strtoul(row[0], NULL, 10);
	mysql_free_result(result);
	return id;
}

/* Until they are gone. One may end by itself before it is killed, which is no error. */
static void kill_connections(void)
{
	MYSQL *db = connect_as_owner();
	unsigned long id;
	char sql[64];

	while ((id = other_connection(db)) != 0) {
		snprintf(sql, sizeof(sql), "KILL %lu", id);
		mysql_query(db, sql);
		usleep(1000);
	}
	mysql_close(db);
}

/* Valid for some of the types, and poison for others. */
static const char *const typed_keys[] = {"first", "ab", "AB", "ab ", "", " ", "a", "b", "B", "1",
	"01", " 1 ", "-5", "42", "000042", "5000000000", "18446744073709551615",
	"99999999999999999999", "1e300", "0.1", "0.10", "-.5", "12345.6789", "2024-02-29",
	"2024-02-30", "20240229", "0", "1999", "-12:34:56", "838:59:59", "x,z", "z,x", "x", "latin",
	"gr\xc3\xbcn", "GR\xc3\x9cN", "\xf0\x9f\x98\x80", "\xff", "it's", "back\\slash", "\"", "`",
	"%", "_", "a%", "?", ";", "--", "#", "/*", "*/", "\t\n", "a\xcc\x82", "ab\x01",
	"abcdefghijklmnopqrstuvwxyz", "third", "\xc3\x9f", "ss", "poison", "NULL", "@@version",
	NULL};

#define BY(column)                                                                                 \
	{                                                                                          \
		"SELECT v, " column " FROM typed WHERE " column " = '%s' ORDER BY id", typed_keys  \
	}
#define BRING(column)                                                                              \
	{                                                                                          \
		"SELECT " column " FROM typed WHERE v = '%s' OR '%s' = ''", typed_keys             \
	}

static const struct contract_alike alike[] = {
	BY("v"),
	BY("c"),
	BY("t"),
	BY("s"),
	BY("z"),
	BY("l"),
	BY("n"),
	BY("f"),
	BY("f3"),
	BY("d"),
	BY("d4"),
	BY("dt"),
	BY("tm"),
	BY("tm6"),
	BY("ts"),
	BY("y"),
	BY("vb"),
	BY("b"),
	BY("bl"),
	BY("e"),
	BY("se"),
	BY("bi"),
	BY("la"),
	BY("ci"),
	BRING("c, t, s, l, n, f, f3, d, d4, dt, tm, tm6, ts, y, vb, b, bl, e, se, bi, j, la, ci"),
	BRING("z"),
	BRING("z, '%s'"),
	BRING("z + 0"),
	BRING("MAX(z), COUNT(*)"),
	BRING("*"),
	BRING("typed.*, '%u' AS v"),
	BRING("v, v"),
	BRING("DISTINCT y"),
	BRING("SQL_NO_CACHE v"),
	BRING("ALL v"),
	BRING("t / 3, n / 7, d * 1.1, f + 0, NULL, 'x', 0x41, 1.50"),
	BRING("IF('%s' = 'a', 1, 2.5), '%s' + 0, '%s' * 1.10, '%s' LIKE 'a%%', CONCAT('%s', t)"),
	BRING("COLLATION('%s'), CHARSET('%s'), COERCIBILITY('%s'), HEX('%s'), LENGTH('%s')"),
	{"SELECT v FROM typed WHERE v LIKE '%s%%' ORDER BY id DESC", typed_keys},
	{"SELECT v FROM typed WHERE '%s' IN (v, c, la) ORDER BY 1 DESC", typed_keys},
	{"SELECT v FROM typed WHERE v <> '%s' ORDER BY id DESC LIMIT 2", typed_keys},
	{"SELECT v, COUNT(*) FROM typed WHERE v <> '%s' GROUP BY 1 ORDER BY v DESC", typed_keys},
	{"SELECT GROUP_CONCAT(v ORDER BY id DESC SEPARATOR '%s') FROM typed", typed_keys},
	{"SELECT v FROM typed WHERE v = '%s' UNION SELECT c FROM typed WHERE c = '%s' ORDER BY 1",
		typed_keys},
	{"(SELECT v FROM typed WHERE v = '%s') UNION ALL (SELECT la FROM typed WHERE la = '%s')",
		typed_keys},
	{"SELECT v FROM typed q WHERE q.v = '%s' AND EXISTS (SELECT 1 FROM typed r WHERE r.v = "
	 "q.v)",
		typed_keys},
	{"WITH k AS (SELECT * FROM typed WHERE v = '%s') SELECT v FROM k ORDER BY id", typed_keys},
	{"VALUES ('%s', 1), ('x', 2)", typed_keys},
	{"SELECT v FROM typed WHERE false AND t = '%s'", typed_keys},
	{"SELECT v FROM typed WHERE v = '%s' HAVING v <> ''", typed_keys},
	{"SELECT v FROM typed WHERE v = '%s' FOR UPDATE", typed_keys},
	{"SELECT v FROM typed WHERE v = (SELECT '%s' UNION SELECT IF('%s' = 'poison', 'b', '%s'))",
		typed_keys},
	{"SELECT v FROM typed WHERE v REGEXP '%s' ORDER BY id", typed_keys},
	{"SELECT v FROM typed WHERE v = '%s' LIMIT 1", typed_keys},
	{"SELECT v FROM old WHERE k = '%s'", typed_keys},
	{"SELECT v FROM folded WHERE k = '%s'", typed_keys},
	{"CALL by_key('%s')", typed_keys},
	{"SHOW TABLES LIKE '%s'", typed_keys},
	{NULL, NULL},
};

static const struct contract_server server = {
	.keys = "SELECT k, v FROM contract WHERE k IN (:keys) ORDER BY id",
	.poison = "SELECT v FROM contract WHERE k = IF('%s' = 'poison', (SELECT k FROM contract), "
		  "'%s') ORDER BY id",
	.sleep = "SELECT SLEEP(600), '%s'",
	.encrypted = "SELECT IF(variable_value = '', 'no', 'yes') FROM "
		     "information_schema.session_status WHERE variable_name = 'Ssl_cipher' AND "
		     "'%s' <> ''",
	.alike = alike,
	.run = run,
	.kill = kill_connections,
	.add_cases = mysql_add_cases,
};

static const struct contract_writing writing = {
	.upsert = "INSERT INTO written (k, v) VALUES (?, ?) ON DUPLICATE KEY UPDATE v = VALUES(v)",
	.run = run,
};

const struct contract_backend mysql_contract = {
	.backend = &mysql_backend,
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
