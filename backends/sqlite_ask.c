#include "sqlite_internal.h"

#include <string.h>

enum { COLUMNS_MAX = 256 };

/* Whether it is prepared for each question. */
static bool is_new(const struct statement *statement)
{
	return statement->kind == STATEMENT_ONCE || !statement->part_count;
}

enum progress sqlite_fail(
	struct sqlite_handle *handle, struct question *question, int code, enum status status)
{
	sqlite_explain(handle, code, question->why);
	rows_clear(question->rows);
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
		handle->damaged = true;
		status = TRY_LATER;
		break;
	case SQLITE_INTERRUPT:
		status = TRY_LATER;
		break;
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_TOOBIG:
		status = BROKEN;
		break;
	case SQLITE_ERROR:
		/* What was prepared long ago may only have to be prepared anew. */
		if (is_new(question->statement))
			status = BROKEN;
		break;
	}
	question->status = status;
	return DONE;
}

bool sqlite_may_ask(
	const struct sqlite_handle *handle, sqlite3_stmt *statement, struct question *question)
{
	if (handle->for_writing || sqlite3_stmt_readonly(statement))
		return true;
	error_set(question->why, "the query would change the database");
	question->status = BROKEN;
	return false;
}

static void bind_params(sqlite3_stmt *statement, const struct question *question)
{
	/* Fewer than the query has, when some stand behind a ';', where SQLite stops reading. */
	int count = sqlite3_bind_parameter_count(statement);

	for (int i = 0; i < count && i < (int)question->statement->params; i++)
		sqlite3_bind_text(statement, i + 1, question->params[i].data,
			(int)question->params[i].size, SQLITE_STATIC);
}

/* The key that a row is for is no part of the answer, unless it is all. */
static bool has_key_column(const struct question *question, int columns)
{
	return question->statement->kind == STATEMENT_KEYS && columns > 1;
}

static void add_names(sqlite3_stmt *statement, struct question *question)
{
	struct batch batch = {.questions = question, .count = 1};
	int columns = sqlite3_column_count(statement);

	for (int i = has_key_column(question, columns); i < columns; i++)
		batch_add_name(&batch, slice_str(sqlite3_column_name(statement, i)));
}

static int add_row(sqlite3_stmt *statement, const struct question *question)
{
	struct slice cells[COLUMNS_MAX];
	int columns = sqlite3_column_count(statement);
	bool has_key = has_key_column(question, columns);

	if (columns > COLUMNS_MAX)
		return -1;
	for (int i = 0; i < columns; i++) {
		const char *text = (const char *)sqlite3_column_text(statement, i);

		cells[i] = slice_of(text, (size_t)sqlite3_column_bytes(statement, i));
	}
	return rows_add(question->rows, cells + has_key, (size_t)columns - has_key);
}

static enum progress read_rows(
	struct sqlite_handle *handle, sqlite3_stmt *statement, struct question *question)
{
	int code = sqlite3_step(statement);

	/* A statement may have other columns than before once it has run. */
	if (question->statement->named && (code == SQLITE_ROW || code == SQLITE_DONE))
		add_names(statement, question);
	for (; code == SQLITE_ROW; code = sqlite3_step(statement)) {
		if (add_row(statement, question) == 0)
			continue;
		rows_clear(question->rows);
		question->status = BROKEN;
		error_set(question->why,
			"the query brings more than %d MB, or more than %d columns",
			LOOKUP_ROWS_MAX >> 20, COLUMNS_MAX);
		return DONE;
	}
	if (code != SQLITE_DONE)
		return sqlite_fail(handle, question, code, TRY_LATER);
	question->status = question->rows->count ? FOUND : NOT_FOUND;
	return DONE;
}

enum progress sqlite_answer(struct sqlite_handle *handle, sqlite3_stmt *statement,
	struct question *question, int *ret_code)
{
	enum progress progress;

	rows_clear(question->rows);
	bind_params(statement, question);
	progress = read_rows(handle, statement, question);
	/* The bound text is not ours to keep. */
	*ret_code = sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return progress;
}

enum progress sqlite_ask_once(
	struct sqlite_handle *handle, struct question *question, bool only_check)
{
	enum progress progress = DONE;
	sqlite3_stmt *statement;
	int code = sqlite3_prepare_v2(handle->db, question->statement->text, -1, &statement, NULL);

	question->changed = 0;
	if (code != SQLITE_OK)
		return sqlite_fail(handle, question, code, BROKEN);
	if (!sqlite_may_ask(handle, statement, question)) {
		sqlite3_finalize(statement);
		return DONE;
	}
	if (only_check)
		question->status = NOT_FOUND;
	else
		progress = sqlite_answer(handle, statement, question, &code);
	if (question->statement->kind == STATEMENT_ONCE && !only_check &&
		question->status == NOT_FOUND && !sqlite3_stmt_readonly(statement))
		question->changed = (uint64_t)sqlite3_changes64(handle->db);
	sqlite3_finalize(statement);
	return progress;
}
