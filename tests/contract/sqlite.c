/* SQLite's part of the contract suite. */
#include "contract/sqlite.h"

#include "contract/contract.h"
#include "contract/scratch.h"

#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const struct backend sqlite_backend;

static char path[PATH_MAX + 32];

static void must(int code, sqlite3 *db)
{
	if (code == SQLITE_OK || code == SQLITE_DONE)
		return;
	fprintf(stderr, "sqlite: %s\n", sqlite3_errmsg(db));
	abort();
}

static void insert(sqlite3 *db, const struct contract_row *row)
{
	sqlite3_stmt *statement;

	must(sqlite3_prepare_v2(db, "INSERT INTO contract VALUES (?, ?)", -1, &statement, NULL),
		db);
	sqlite3_bind_text(statement, 1, row->key, -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, 2, row->value, -1, SQLITE_STATIC);
	must(sqlite3_step(statement), db);
	sqlite3_finalize(statement);
}

static void run(const char *sql)
{
	sqlite3 *db;

	must(sqlite3_open(path, &db), db);
	must(sqlite3_busy_timeout(db, 60000), db);
	must(sqlite3_exec(db, sql, NULL, NULL, NULL), db);
	sqlite3_close(db);
}

const char *sqlite_contract_path(void)
{
	return path;
}

#define TABLES                                                                                     \
	"CREATE TABLE contract (k TEXT, v TEXT);"                                                  \
	"CREATE TABLE written (k TEXT PRIMARY KEY, v TEXT,"                                        \
	" n INTEGER NOT NULL DEFAULT 0 CHECK (n >= 0));"

static void prepare(void *config)
{
	const struct setting *row = setting_find(sqlite_backend.settings, "path");
	const char *items[] = {path};
	char directory[PATH_MAX];
	struct error why;
	sqlite3 *db;

	scratch_directory(directory);
	snprintf(path, sizeof(path), "%s/mail 100%% #1?.db", directory);
	must(sqlite3_open(path, &db), db);
	must(sqlite3_exec(db, TABLES, NULL, NULL, NULL), db);
	for (const struct contract_row *from = contract_rows; from->key; from++)
		insert(db, from);
	sqlite3_close(db);
	if (setting_set(row, config, items, 1, &why) < 0)
		abort();
}

static void remove_place(void *config)
{
	char log[sizeof(path) + 8];

	(void)config;
	unlink(path);
	for (int i = 0; i < 3; i++) {
		snprintf(log, sizeof(log), "%s%s", path,
			(const char *[]){"-wal", "-shm", "-journal"}[i]);
		unlink(log);
	}
}

static const struct contract_writing writing = {
	.upsert = "INSERT INTO written (k, v) VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = "
		  "excluded.v",
	.run = run,
	.add_cases = sqlite_add_cases,
};

const struct contract_backend sqlite_contract = {
	.backend = &sqlite_backend,
	.queries = {.value = "SELECT v FROM contract WHERE k = '%s' ORDER BY rowid",
		.both = "SELECT k, v FROM contract WHERE k = '%s' ORDER BY rowid",
		.named = "SELECT k AS login, v AS home FROM contract WHERE k = '%s' ORDER BY rowid",
		.expressions = "SELECT '%s', '%u', '%d', '%u-%s'",
		.unknown_table = "SELECT v FROM nowhere WHERE k = '%s'",
		.nonsense = "SELCT v FROM contract WHERE k = '%s'",
		.writes = "DELETE FROM contract WHERE k = '%s'"},
	.prepare = prepare,
	.remove = remove_place,
	.needs_place = true,
	.writing = &writing,
};
