/*
 * The SQLite backend: one database file, read inline in the worker's loop, with one handle for
 * each worker and each query prepared once for it. What changes the file is sqlite_writer.c's.
 *
 * Between two rests (the worker sleeps, or something was purged) all questions share one read
 * transaction: taking the lock and looking whether the file has changed costs more than most
 * queries.
 *
 * Nothing in here waits. A lock that somebody else holds ends as BUSY, and the engine comes back;
 * a query that takes too long is interrupted at its deadline. A file that was replaced, removed or
 * damaged ends as LOST, and the engine opens it anew.
 */
#include "sqlite_internal.h"

struct sqlite_conn {
	struct sqlite_handle handle;
	struct buf statements; /* a sqlite3_stmt * for each that was asked */
	sqlite3_stmt *begin, *commit;
	bool reading; /* a read transaction is open */
};

/* For writing, transactions are whose commands begin them. */
static int open_file(struct sqlite_conn *conn, const struct sqlite_config *config, bool for_writing,
	struct error *why)
{
	struct sqlite_handle *handle = &conn->handle;
	int code;

	if (sqlite_handle_open(handle, config, for_writing, why) < 0)
		return -1;
	code = sqlite3_prepare_v2(handle->db, "BEGIN", -1, &conn->begin, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_prepare_v2(handle->db, "COMMIT", -1, &conn->commit, NULL);
	return code == SQLITE_OK ? 0 : sqlite_explain(handle, code, why);
}

static int sqlite_open(
	void *opaque, const void *config, const struct server *server, struct error *why)
{
	(void)server;
	return open_file(opaque, config, false, why);
}

static int sqlite_open_for_writing(
	void *opaque, const void *config, const struct server *server, struct error *why)
{
	(void)server;
	return open_file(opaque, config, true, why);
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
	sqlite_handle_close(&conn->handle);
}

/* The prepared statement, or NULL with ret_progress set and the question answered. */
static sqlite3_stmt *prepare(
	struct sqlite_conn *conn, struct question *question, enum progress *ret_progress)
{
	sqlite3_stmt **slot = statement_slot(&conn->statements, question->statement, sizeof(*slot));
	int code;

	if (*slot)
		return *slot;
	code = sqlite3_prepare_v3(conn->handle.db, question->statement->text, -1,
		SQLITE_PREPARE_PERSISTENT, slot, NULL);
	if (code != SQLITE_OK) {
		/* A query that can't be prepared is wrong for every key. */
		*ret_progress = sqlite_fail(&conn->handle, question, code, BROKEN);
		return NULL;
	}
	if (!sqlite_may_ask(&conn->handle, *slot, question)) {
		sqlite3_finalize(*slot);
		*slot = NULL;
		*ret_progress = DONE;
	}
	return *slot;
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
	sqlite3_stmt *statement;
	int code;

	if (question->statement->kind == STATEMENT_ONCE)
		return sqlite_ask_once(&conn->handle, question, only_check);
	statement = prepare(conn, question, &progress);
	if (!statement)
		return progress;
	if (only_check) {
		question->status = NOT_FOUND;
		return DONE;
	}
	progress = sqlite_answer(&conn->handle, statement, question, &code);
	/* Perhaps a table is gone: then it has to be prepared anew for that to be told. */
	if ((code & 0xff) == SQLITE_ERROR)
		forget_statement(conn, question->statement);
	return progress;
}

/* Ends the read transaction, and so the lock. One that SQLite has ended by itself is none. */
static void sqlite_rest(void *opaque)
{
	struct sqlite_conn *conn = opaque;

	if (conn->reading && !sqlite3_get_autocommit(conn->handle.db)) {
		sqlite3_step(conn->commit);
		sqlite3_reset(conn->commit);
	}
	conn->reading = false;
}

/* Opens the read transaction; the lock is taken by the first query in it. */
static int begin_reading(struct sqlite_conn *conn, struct error *why)
{
	int code;

	if (!conn->handle.damaged && conn->reading && !sqlite3_get_autocommit(conn->handle.db))
		return 0;
	if (sqlite_handle_check(&conn->handle, why) < 0)
		return -1;
	if (conn->handle.for_writing)
		return 0;
	sqlite3_step(conn->begin);
	code = sqlite3_reset(conn->begin);
	conn->reading = code == SQLITE_OK;
	return conn->reading ? 0 : sqlite_explain(&conn->handle, code, why);
}

static enum progress sqlite_start(void *opaque, struct batch *batch)
{
	struct sqlite_conn *conn = opaque;

	conn->handle.deadline = batch->deadline;
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

const struct dialect sqlite_dialect = {
	.placeholder = '?', .numbered = true, .double_quoted_text = true, .bracket_names = true};

const struct backend sqlite_backend = {
	.name = "sqlite",
	.settings = sqlite_settings,
	.config_size = sizeof(struct sqlite_config),
	.conn_size = sizeof(struct sqlite_conn),
	.dialect = &sqlite_dialect,
	.first_column_only = true,
	.writer = &sqlite_writer_backend,
	.create = sqlite_create,
	.open = sqlite_open,
	.open_for_writing = sqlite_open_for_writing,
	.start = sqlite_start,
	.rest = sqlite_rest,
	.close = sqlite_close,
};
