#include "pgsql_send.h"

#include <stdio.h>
#include <string.h>

/* All of these return whether libpq has taken it. */

static bool send_before(struct pgsql_conn *conn, const char *sql)
{
	conn->before++;
	return PQsendQueryParams(conn->db, sql, 0, NULL, NULL, NULL, NULL, 0);
}

static bool send_forget(struct pgsql_conn *conn, struct pgsql_sql *sql)
{
	char text[sizeof("DEALLOCATE ") + sizeof(sql->name)];

	if (!sql->is_prepared || !conn->by_name)
		return true;
	sql->is_prepared = false;
	snprintf(text, sizeof(text), "DEALLOCATE %s", sql->name);
	return send_before(conn, text);
}

bool pgsql_send_forget(struct pgsql_conn *conn)
{
	buf_clear(&conn->asked->types);
	conn->asked->is_alone = false;
	return send_forget(conn, &conn->asked->alone) && send_forget(conn, &conn->asked->many);
}

static bool send_prepare(struct pgsql_conn *conn, struct pgsql_sql *sql, const char *name)
{
	if (conn->by_name && sql->is_prepared)
		return true;
	conn->new = sql;
	return PQsendPrepare(conn->db, name, sql->text.data, 0, NULL);
}

/*
 * LISTEN, for one. A pooler would take it, and let nothing be heard: it gives each transaction
 * another connection, and to each of its clients a process number that is none of the server's. A
 * standby says that it is read-only, as if it had been asked to write.
 */
static bool send_command(struct pgsql_conn *conn)
{
	const char *command = conn->batch->questions[0].statement->text;
	char guard[300];

	snprintf(guard, sizeof(guard),
		"SELECT CASE WHEN pg_is_in_recovery() THEN "
		"('LISTEN hears nothing on a standby: ' || pg_is_in_recovery())::int "
		"WHEN pg_backend_pid() <> %d THEN "
		"('LISTEN hears nothing through a pooler, as process ' || pg_backend_pid())::int "
		"END",
		PQbackendPID(conn->db));
	if (strncmp(command, "LISTEN ", 7) == 0 && !send_before(conn, guard))
		return false;
	return PQsendQueryParams(conn->db, command, 0, NULL, NULL, NULL, NULL, 0);
}

static bool send_once(struct pgsql_conn *conn)
{
	const char *text = conn->once->alone.text.data;
	const char *const *values;

	if (conn->batch->only_check)
		return PQsendPrepare(conn->db, "", text, 0, NULL);
	values = pgsql_statement_values(conn->once, conn->batch, &conn->text, &conn->pointers);
	return PQsendQueryParams(
		conn->db, text, (int)conn->once->params, NULL, values, NULL, NULL, 0);
}

static bool send_asked(struct pgsql_conn *conn)
{
	struct pgsql_statement *asked = conn->asked;
	bool is_many = conn->step == STEP_ASK && conn->batch->count > 1;
	struct pgsql_sql *sql = is_many ? &asked->many : &asked->alone;
	const char *name = conn->by_name ? sql->name : "", *types = asked->types.data;
	const char *const *values;

	if (conn->step == STEP_TYPES)
		return PQsendQueryParams(conn->db, pgsql_types_sql, 1, NULL, &types, NULL, NULL, 0);
	if (!send_prepare(conn, sql, name))
		return false;
	if (conn->step == STEP_DESCRIBE)
		return PQsendDescribePrepared(conn->db, name);
	values = pgsql_statement_values(asked, conn->batch, &conn->text, &conn->pointers);
	return PQsendQueryPrepared(conn->db, name, (int)asked->params, values, NULL, NULL, 0);
}

/*
 * Within a transaction the settings are there since its BEGIN; and in one that has failed, they
 * would only keep ROLLBACK from being reached.
 */
static bool send_settings(struct pgsql_conn *conn)
{
	PGTransactionStatusType status = PQtransactionStatus(conn->db);

	if (!conn->needs_settings || status == PQTRANS_INTRANS || status == PQTRANS_INERROR)
		return true;
	return send_before(conn, conn->settings.data);
}

bool pgsql_send_step(struct pgsql_conn *conn)
{
	if (!send_settings(conn))
		return false;
	if (conn->step == STEP_COMMAND)
		return send_command(conn);
	return conn->step == STEP_ONCE ? send_once(conn) : send_asked(conn);
}
