/*
 * The SQLite backend: one database file, read inline in the worker's loop, with one handle for
 * each worker and each query prepared once for it.
 *
 * Between two rests (the worker sleeps, or something was purged) all questions share one read
 * transaction: taking the lock and looking whether the file has changed costs more than most
 * queries.
 *
 * Nothing in here waits. A lock that somebody else holds ends as BUSY, and the engine comes back;
 * a query that takes too long is interrupted at its deadline. A file that was replaced, removed or
 * damaged ends as LOST, and the engine opens it anew.
 */
#include "backend.h"

#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	/* SQLite's virtual machine looks at the clock each time it has run so many instructions. */
	STEPS_BETWEEN_CLOCKS = 10000,
	COLUMNS_MAX = 256,
	/* The part of the file's header that changes with each transaction (its "change counter").
	 */
	VERSION_AT = 24,
	VERSION_SIZE = 16,
};

/* Pages that a handle keeps at most: SQLite's own default is 2 MB, less than the upper levels of a
 * big index. */
#define PAGE_CACHE "PRAGMA cache_size = -32768"

struct sqlite_config {
	char *path;
	bool immutable;
};

struct sqlite_conn {
	const struct sqlite_config *config; /* borrowed */
	sqlite3 *db;
	struct stat file;           /* as it was seen last, to see what SQLite would not */
	char version[VERSION_SIZE]; /* from its header, then */
	bool asked;                 /* there was a batch: pages of the file may be kept */
	struct buf statements;      /* a sqlite3_stmt * for each that was asked */
	sqlite3_stmt *begin, *commit;
	bool for_writing;  /* transactions are whose statements begin them */
	bool reading;      /* a read transaction is open */
	bool damaged;      /* a page could not be read: the next batch gets a new handle */
	uint64_t deadline; /* of the batch that runs, ms */
};

static const struct setting sqlite_settings[] = {
	{.name = "path",
		.type = SETTING_TEXT,
		.offset = offsetof(struct sqlite_config, path),
		.required = true,
		.help = "The database file. tabled only reads it."},
	{.name = "immutable",
		.type = SETTING_BOOL,
		.offset = offsetof(struct sqlite_config, immutable),
		.fallback = "no",
		.help = "yes: nobody ever changes the file, as on a read-only medium, so it is "
			"read "
			"without locks. If somebody does all the same, answers may be wrong."},
	{0}};

static int interrupt_at_deadline(void *context)
{
	const struct sqlite_conn *conn = context;

	return clock_ms() >= conn->deadline;
}

/* The path as a URI, so that a '?' in it stays what it is and `immutable` can be asked for. */
static char *path_to_uri(const char *path, const char *query)
{
	static const char hex[] = "0123456789ABCDEF";
	struct buf uri = {0};

	buf_add_string(&uri, "file:");
	for (; *path; path++) {
		if (strchr("%?#", *path)) {
			buf_add_byte(&uri, '%');
			buf_add_byte(&uri, hex[(unsigned char)*path >> 4]);
			buf_add_byte(&uri, hex[(unsigned char)*path & 15]);
		} else {
			buf_add_byte(&uri, *path);
		}
	}
	buf_add_string(&uri, query);
	buf_string(&uri);
	return uri.data;
}

/* What an administrator can do about a result code, or SQLite's own words. */
static int explain(const struct sqlite_conn *conn, int code, struct error *why)
{
	const char *path = conn->config->path;
	const char *text = conn->db ? sqlite3_errmsg(conn->db) : sqlite3_errstr(code);

	switch (code & 0xff) {
	case SQLITE_NOTADB:
		return error_set(why, "%s is not an SQLite database", path);
	case SQLITE_CORRUPT:
		return error_set(why,
			"%s is damaged (%s): check it by \"PRAGMA integrity_check\" and restore it",
			path, text);
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
		return error_set(why,
			"%s can't be read (%s): the user of tabled needs to read the file, and for "
			"a database in WAL mode to write to its directory (or immutable = yes, if "
			"nobody ever changes it)",
			path, text);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return error_set(why, "%s is locked by another process", path);
	case SQLITE_INTERRUPT:
		return error_set(why, "the query took longer than query_timeout");
	default:
		return error_set(why, "%s: %s", path, text);
	}
}

static int open_file(struct sqlite_conn *conn, const struct sqlite_config *settings, int flags,
	struct error *why)
{
	const char *path = settings->path;
	char *uri;
	int code;

	conn->config = settings;
	if (stat(path, &conn->file) < 0)
		return error_set(why, "%s: %s", path, strerror(errno));
	uri = path_to_uri(path, settings->immutable ? "?immutable=1" : "");
	code = sqlite3_open_v2(uri, &conn->db, flags | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
	free(uri);
	if (code != SQLITE_OK)
		return explain(conn, code, why);
	sqlite3_extended_result_codes(conn->db, 1);
	sqlite3_busy_timeout(conn->db, 0);
	sqlite3_exec(conn->db, PAGE_CACHE, NULL, NULL, NULL);
	sqlite3_progress_handler(conn->db, STEPS_BETWEEN_CLOCKS, interrupt_at_deadline, conn);
	code = sqlite3_prepare_v2(conn->db, "BEGIN", -1, &conn->begin, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_prepare_v2(conn->db, "COMMIT", -1, &conn->commit, NULL);
	return code == SQLITE_OK ? 0 : explain(conn, code, why);
}

static int sqlite_open(
	void *opaque, const void *config, const struct server *server, struct error *why)
{
	(void)server;
	return open_file(opaque, config, SQLITE_OPEN_READONLY, why);
}

static int sqlite_open_for_writing(
	void *opaque, const void *config, const struct server *server, struct error *why)
{
	struct sqlite_conn *conn = opaque;
	int code;

	(void)server;
	conn->for_writing = true;
	if (open_file(conn, config, SQLITE_OPEN_READWRITE, why) < 0)
		return -1;
	code = sqlite3_exec(conn->db, "PRAGMA foreign_keys = ON", NULL, NULL, NULL);
	return code == SQLITE_OK ? 0 : explain(conn, code, why);
}

static void sqlite_close(void *opaque)
{
	struct sqlite_conn *conn = opaque;
	sqlite3_stmt **statements = (sqlite3_stmt **)conn->statements.data;

	for (size_t i = 0; i < conn->statements.size / sizeof(*statements); i++)
		sqlite3_finalize(statements[i]);
	buf_finish(&conn->statements);
	sqlite3_finalize(conn->begin);
	sqlite3_finalize(conn->commit);
	sqlite3_close(conn->db);
}

/* By SQLite's own descriptor, since closing another one would give up its locks. */
static void read_version(const struct sqlite_conn *conn, char version[VERSION_SIZE])
{
	sqlite3_file *file = NULL;

	memset(version, 0, VERSION_SIZE);
	sqlite3_file_control(conn->db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
	if (file && file->pMethods)
		file->pMethods->xRead(file, version, VERSION_SIZE, VERSION_AT);
}

static bool is_as_before(const struct stat *old, const struct stat *new)
{
	return old->st_size == new->st_size && old->st_mtim.tv_sec == new->st_mtim.tv_sec &&
	       old->st_mtim.tv_nsec == new->st_mtim.tv_nsec;
}

/*
 * Was something copied over the file? SQLite trusts the pages that it keeps as long as the header
 * says that nothing has changed, and a backup's header may well say so.
 */
static int check_content(struct sqlite_conn *conn, const struct stat *file, struct error *why)
{
	char version[VERSION_SIZE];

	if (conn->asked && is_as_before(&conn->file, file))
		return 0;
	read_version(conn, version);
	if (conn->asked && memcmp(version, conn->version, VERSION_SIZE) == 0)
		return error_set(why, "%s was overwritten", conn->config->path);
	memcpy(conn->version, version, VERSION_SIZE);
	conn->file = *file;
	conn->asked = true;
	return 0;
}

/* Is the file that was opened still the one by that name, and nobody's but SQLite's to write? */
static int check_file(struct sqlite_conn *conn, struct error *why)
{
	struct stat file;

	if (stat(conn->config->path, &file) < 0)
		return error_set(why, "%s: %s", conn->config->path, strerror(errno));
	if (file.st_ino != conn->file.st_ino || file.st_dev != conn->file.st_dev)
		return error_set(why, "%s was replaced", conn->config->path);
	/* To SQLite that is a database without tables, but somebody may be about to fill it. */
	if (!file.st_size)
		return error_set(why, "%s is empty", conn->config->path);
	return check_content(conn, &file, why);
}

/* Sorts a result code: whose fault is it, this question's, the moment's or the connection's? */
static enum progress fail(
	struct sqlite_conn *conn, struct question *question, int code, enum status status)
{
	explain(conn, code, question->why);
	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return BUSY;
	case SQLITE_NOTADB:
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
	case SQLITE_PROTOCOL:
		return LOST;
	case SQLITE_CORRUPT:
		/* One bad page is no reason to fail the other tables; but nothing is kept of it. */
		conn->damaged = true;
		status = TRY_LATER;
		break;
	case SQLITE_INTERRUPT:
		status = TRY_LATER;
		break;
	}
	question->status = status;
	return DONE;
}

/* The prepared statement, or NULL with ret_progress set and the question answered. */
static sqlite3_stmt *prepare(
	struct sqlite_conn *conn, struct question *question, enum progress *ret_progress)
{
	sqlite3_stmt **slot = statement_slot(&conn->statements, question->statement, sizeof(*slot));
	int code;

	if (*slot)
		return *slot;
	code = sqlite3_prepare_v3(
		conn->db, question->statement->text, -1, SQLITE_PREPARE_PERSISTENT, slot, NULL);
	if (code != SQLITE_OK) {
		/* A query that can't be prepared is wrong for every key. */
		*ret_progress = fail(conn, question, code, BROKEN);
		return NULL;
	}
	if (!conn->for_writing && !sqlite3_stmt_readonly(*slot)) {
		error_set(question->why, "the query would change the database");
		sqlite3_finalize(*slot);
		*slot = NULL;
		question->status = BROKEN;
		*ret_progress = DONE;
	}
	return *slot;
}

static void bind_params(sqlite3_stmt *statement, const struct question *question)
{
	/* Fewer than the query has, when some stand behind a ';', where SQLite stops reading. */
	int count = sqlite3_bind_parameter_count(statement);

	for (int i = 0; i < count && i < (int)question->statement->params; i++)
		sqlite3_bind_text(statement, i + 1, question->params[i].data,
			(int)question->params[i].size, SQLITE_STATIC);
}

static int add_row(sqlite3_stmt *statement, const struct question *question)
{
	struct slice cells[COLUMNS_MAX];
	int columns = sqlite3_column_count(statement);
	bool has_key = question->statement->kind == STATEMENT_KEYS && columns > 1;

	if (columns > COLUMNS_MAX)
		return -1;
	for (int i = 0; i < columns; i++) {
		const char *text = (const char *)sqlite3_column_text(statement, i);

		cells[i] = slice_of(text, (size_t)sqlite3_column_bytes(statement, i));
	}
	return rows_add(question->rows, cells + has_key, (size_t)columns - has_key);
}

static enum progress read_rows(
	struct sqlite_conn *conn, sqlite3_stmt *statement, struct question *question)
{
	int code;

	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		if (add_row(statement, question) == 0)
			continue;
		question->status = BROKEN;
		error_set(question->why,
			"the query brings more than %d MB, or more than %d columns",
			LOOKUP_ROWS_MAX >> 20, COLUMNS_MAX);
		return DONE;
	}
	if (code != SQLITE_DONE)
		return fail(conn, question, code, TRY_LATER);
	question->status = question->rows->count ? FOUND : NOT_FOUND;
	return DONE;
}

static void forget_statement(struct sqlite_conn *conn, const struct statement *statement)
{
	sqlite3_stmt **slot = statement_slot(&conn->statements, statement, sizeof(*slot));

	sqlite3_finalize(*slot);
	*slot = NULL;
}

static enum progress ask(struct sqlite_conn *conn, struct question *question, bool only_check)
{
	enum progress progress = DONE;
	sqlite3_stmt *statement = prepare(conn, question, &progress);
	int code;

	if (!statement)
		return progress;
	if (only_check) {
		question->status = NOT_FOUND;
		return DONE;
	}
	rows_clear(question->rows);
	bind_params(statement, question);
	progress = read_rows(conn, statement, question);
	/* The bound text is not ours to keep. */
	code = sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	/* Perhaps a table is gone: then it has to be prepared anew for that to be told. */
	if ((code & 0xff) == SQLITE_ERROR)
		forget_statement(conn, question->statement);
	return progress;
}

/* Ends the read transaction, and so the lock. One that SQLite has ended by itself is none. */
static void sqlite_rest(void *opaque)
{
	struct sqlite_conn *conn = opaque;

	if (conn->reading && !sqlite3_get_autocommit(conn->db)) {
		sqlite3_step(conn->commit);
		sqlite3_reset(conn->commit);
	}
	conn->reading = false;
}

/* Opens the read transaction; the lock is taken by the first query in it. */
static int begin_reading(struct sqlite_conn *conn, struct error *why)
{
	int code;

	if (conn->damaged)
		return error_set(why, "%s is damaged", conn->config->path);
	if (conn->reading && !sqlite3_get_autocommit(conn->db))
		return 0;
	if (check_file(conn, why) < 0)
		return -1;
	if (conn->for_writing)
		return 0;
	sqlite3_step(conn->begin);
	code = sqlite3_reset(conn->begin);
	conn->reading = code == SQLITE_OK;
	return conn->reading ? 0 : explain(conn, code, why);
}

static enum progress sqlite_start(void *opaque, struct batch *batch)
{
	struct sqlite_conn *conn = opaque;

	conn->deadline = batch->deadline;
	if (begin_reading(conn, batch->questions[0].why) < 0)
		return LOST;
	for (size_t i = 0; i < batch->count; i++) {
		enum progress progress = ask(conn, &batch->questions[i], batch->only_check);

		if (progress == DONE)
			continue;
		if (i > 0)
			*batch->questions[0].why = *batch->questions[i].why;
		sqlite_rest(conn);
		return progress;
	}
	return DONE;
}

static const struct dialect sqlite_dialect = {
	.placeholder = '?', .numbered = true, .double_quoted_text = true, .bracket_names = true};

const struct backend sqlite_backend = {
	.name = "sqlite",
	.settings = sqlite_settings,
	.config_size = sizeof(struct sqlite_config),
	.conn_size = sizeof(struct sqlite_conn),
	.dialect = &sqlite_dialect,
	.first_column_only = true,
	.open = sqlite_open,
	.open_for_writing = sqlite_open_for_writing,
	.start = sqlite_start,
	.rest = sqlite_rest,
	.close = sqlite_close,
};
