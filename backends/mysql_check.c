/* What the MariaDB backend asks besides lookups: whether a statement is right, and the server's
 * role. */
#include "base/clock.h"
#include "mysql_internal.h"
#include "mysql_sql.h"

#include <string.h>

/* Statements. */

/* The rows of these are known only when they have run. */
static bool brings_rows_later(const char *text)
{
	static const char *const words[] = {"CALL", "EXECUTE", "BEGIN"};

	text += strspn(text, " \t\r\n");
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strncasecmp(text, words[i], strlen(words[i])) == 0)
			return true;
	return false;
}

bool mysql_begin_check(struct mysql_conn *conn)
{
	conn->part = *conn->batch;
	conn->part.count = 1;
	buf_clear(&conn->sql);
	mysql_write(&conn->sql, &conn->part);
	conn->statement = mysql_stmt_init(conn->db);
	conn->step = STEP_PREPARE;
	return conn->statement || mysql_fail_with(conn, FAULT_CONNECTION, "out of memory");
}

/* All questions are of one statement, so what is found of the first holds for them all. */
bool mysql_after_prepare(struct mysql_conn *conn)
{
	const struct statement *statement = conn->part.questions[0].statement;
	unsigned code = conn->failed ? mysql_stmt_errno(conn->statement) : 0;
	enum fault fault = mysql_fault(code);
	struct error why;

	mysql_explain(&why, mysql_stmt_error(conn->statement), code);
	if (fault == FAULT_CONNECTION || fault == FAULT_REFUSED)
		return mysql_fail_with(conn, fault, why.text);
	conn->part.count = conn->batch->count;
	if (fault == FAULT_QUERY || mysql_blames_numbers(code))
		batch_fail(&conn->part, FAULT_QUERY, why.text);
	else if (!code && !mysql_stmt_field_count(conn->statement) &&
		 statement->kind != STATEMENT_ONCE && !brings_rows_later(statement->text))
		batch_fail(&conn->part, FAULT_QUERY, "the query brings no rows: it is no SELECT");
	else
		/* Other errors are those of the empty value that was put in, or can't be told. */
		batch_finish(&conn->part);
	conn->step = STEP_FORGET;
	return true;
}

bool mysql_after_forget(struct mysql_conn *conn)
{
	conn->statement = NULL;
	return mysql_end(conn, DONE);
}

/* The role. */

bool mysql_is_role_due(const struct mysql_conn *conn)
{
	return conn->role != ROLE_ANY && !conn->transaction.is_open &&
	       clock_ms() >= conn->role_at + SERVER_ROLE_MS;
}

bool mysql_ask_role(struct mysql_conn *conn)
{
	conn->part = *conn->batch;
	conn->part.count = 1;
	buf_clear(&conn->sql);
	buf_add_string(&conn->sql, MYSQL_ASK_ROLE);
	conn->step = STEP_ROLE;
	return true;
}

/* Whatever it is, nothing of the batch was asked. */
static bool fail_role(struct mysql_conn *conn)
{
	struct error why;

	mysql_explain(&why, mysql_error(conn->db), mysql_errno(conn->db));
	return mysql_fail_with(conn, FAULT_REFUSED, why.text);
}

bool mysql_after_role(struct mysql_conn *conn)
{
	conn->step = STEP_ROLE_RESULT;
	return !conn->failed || fail_role(conn);
}

bool mysql_after_role_result(struct mysql_conn *conn)
{
	MYSQL_ROW row = conn->result ? mysql_fetch_row(conn->result) : NULL;
	struct error why;
	int checked;

	if (!row || !row[0])
		return fail_role(conn);
	checked = mysql_check_role(conn->role, row[0], &why);
	mysql_free_result(conn->result);
	conn->result = NULL;
	conn->role_at = clock_ms();
	return checked < 0 ? mysql_fail_with(conn, FAULT_REFUSED, why.text)
			   : mysql_begin_batch(conn);
}
