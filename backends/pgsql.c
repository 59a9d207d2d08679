/*
 * The PostgreSQL backend, by libpq. How it connects is in pgsql_connect.c, what it sends in
 * pgsql_send.c, its SQL in pgsql_statement.c, and what errors mean in pgsql_fault.c.
 *
 * A connection is in pipeline mode for good: all that a step needs goes out at once, up to a Sync,
 * and so reaches one and the same server behind a pooler. A statement is described before it is
 * asked; that tells the types of its parameters, and that it brings rows at all. After a minute it
 * is described anew, since not every change of a schema is an error to what was prepared before it.
 * What is asked but once is sent whole, and may change rows; a command is sent as it is.
 */
#include "pgsql_connect.h"
#include "pgsql_fault.h"
#include "pgsql_send.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdlib.h>

enum { FRESH_MS = 60000 };

static int pgsql_open(
	void *opaque, const void *config, const struct server *server, struct error *why)
{
	struct pgsql_conn *conn = opaque;
	const struct pgsql_config *own = config;

	conn->fd = -1;
	conn->is_read_only = server->settings->read_only;
	conn->by_name = own->prepare != NAMED_NO;
	conn->may_forgo = own->prepare == NAMED_AUTO;
	if (pgsql_connect(own, server, &conn->db, why) < 0)
		return -1;
	conn->needs_settings = pgsql_make_settings(conn->db, own, server, &conn->settings);
	conn->canceller = PQgetCancel(conn->db);
	conn->fd = descriptor_copy(PQsocket(conn->db));
	if (conn->fd < 0 || !conn->canceller || sodium_init() < 0 ||
		PQsetnonblocking(conn->db, 1) != 0 || !PQenterPipelineMode(conn->db))
		return error_set(why, "the connection is of no use: %s", strerror(errno));
	return 0;
}

static void pgsql_close(void *opaque)
{
	struct pgsql_conn *conn = opaque;
	struct pgsql_statement **statements = (struct pgsql_statement **)conn->statements.data;

	for (size_t i = 0; i < conn->statements.size / sizeof(*statements); i++)
		pgsql_statement_destroy(statements[i]);
	buf_finish(&conn->statements);
	pgsql_statement_destroy(conn->once);
	PQclear(conn->error);
	PQfreeCancel(conn->canceller);
	PQfinish(conn->db);
	descriptor_close(conn->fd);
	buf_finish(&conn->settings);
	buf_finish(&conn->text);
	buf_finish(&conn->pointers);
}

static void pgsql_cancel(void *opaque)
{
	const struct pgsql_conn *conn = opaque;
	char ignored[256];

	PQcancel(conn->canceller, ignored, sizeof(ignored));
}

static int pgsql_fd(const void *opaque)
{
	const struct pgsql_conn *conn = opaque;

	return conn->fd;
}

static struct pgsql_statement *find_statement(
	struct pgsql_conn *conn, const struct statement *statement)
{
	struct pgsql_statement **found = &conn->once;

	if (statement->kind != STATEMENT_ONCE)
		found = statement_slot(&conn->statements, statement, sizeof(*found));
	if (!*found)
		*found = pgsql_statement_create(statement);
	return *found;
}

/* The batch is over. */
static enum progress end(struct pgsql_conn *conn, enum progress progress)
{
	conn->batch = NULL;
	pgsql_statement_destroy(conn->once);
	conn->once = NULL;
	PQclear(conn->error);
	conn->error = NULL;
	return progress;
}

static enum progress fail(struct pgsql_conn *conn, enum fault fault)
{
	struct error why;

	pgsql_explain(conn->db, conn->error, &why);
	return end(conn, batch_fail(conn->batch, fault, why.text));
}

static enum progress flush(struct pgsql_conn *conn)
{
	int left = PQflush(conn->db);

	return left < 0 ? fail(conn, FAULT_CONNECTION) : left ? WANT_WRITE : WANT_READ;
}

/*
 * Rows are taken one by one, so that those which are too many don't fill the memory. It has to be
 * said for each command when its turn comes; libpq knows for which of them it means something.
 */
static void stream_rows(struct pgsql_conn *conn)
{
	if (conn->step == STEP_ASK || conn->step == STEP_ONCE)
		PQsetSingleRowMode(conn->db);
}

/* Goes on with the first step that is not done. */
static enum progress proceed(struct pgsql_conn *conn)
{
	struct pgsql_statement *asked = conn->asked;

	conn->step = STEP_ASK;
	if (!asked) {
		conn->step = STEP_COMMAND;
	} else if (conn->once) {
		conn->step = STEP_ONCE;
		pgsql_statement_make_alone(asked, buf_slice(&conn->settings));
	} else if (!asked->types.size) {
		conn->step = STEP_DESCRIBE;
		pgsql_statement_make_alone(asked, buf_slice(&conn->settings));
		buf_clear(&asked->many.text);
	} else if (conn->batch->count > 1 && !asked->many.text.size) {
		conn->step = STEP_TYPES;
	}
	conn->has_answer = conn->has_stray_row = conn->is_undone = false;
	conn->new = NULL;
	if (!pgsql_send_step(conn) || !PQpipelineSync(conn->db))
		return fail(conn, FAULT_CONNECTION);
	stream_rows(conn);
	return flush(conn);
}

static enum progress pgsql_start(void *opaque, struct batch *batch)
{
	struct pgsql_conn *conn = opaque;
	const struct statement *statement = batch->questions[0].statement;

	conn->batch = batch;
	conn->is_fresh = false;
	conn->asked = statement->part_count ? find_statement(conn, statement) : NULL;
	if (!conn->asked)
		return proceed(conn);
	if (batch->count > 1 && (!statement->params || conn->asked->is_alone))
		return end(conn, SPLIT);
	if (!batch->only_check && pgsql_has_nul(batch))
		return end(conn,
			batch_fail(batch, FAULT_KEY, "there is no NUL in a text of PostgreSQL"));
	if (conn->once)
		return proceed(conn);
	if ((batch->only_check || clock_ms() - conn->asked->since > FRESH_MS) &&
		!pgsql_send_forget(conn))
		return fail(conn, FAULT_CONNECTION);
	return proceed(conn);
}

/* Receiving. */

/* The number or the key that a row is for is no part of the answer, unless it is all. */
static int first_column(const struct pgsql_conn *conn, int columns)
{
	int first = conn->batch->count > 1;

	return first + (conn->asked->statement->kind == STATEMENT_KEYS && columns - first > 1);
}

static void take_names(struct pgsql_conn *conn, const PGresult *result)
{
	int columns = PQnfields(result);

	for (int i = first_column(conn, columns); i < columns; i++)
		batch_add_name(conn->batch, slice_str(PQfname(result, i)));
}

static void take_row(struct pgsql_conn *conn, const PGresult *result, int row)
{
	const struct batch *batch = conn->batch;
	bool is_many = batch->count > 1;
	unsigned long at = is_many ? strtoul(PQgetvalue(result, row, 0), NULL, 10) - 1 : 0;
	int columns = PQnfields(result), first = first_column(conn, columns);
	struct slice *cells;

	buf_clear(&conn->pointers);
	cells = (struct slice *)buf_reserve(&conn->pointers, (size_t)columns * sizeof(*cells));
	for (int i = first; i < columns; i++)
		cells[i - first] =
			slice_of(PQgetisnull(result, row, i) ? NULL : PQgetvalue(result, row, i),
				(size_t)PQgetlength(result, row, i));
	if (at < batch->count)
		batch_add_row(conn->batch, at, cells, (size_t)(columns - first));
	else
		conn->has_stray_row = true;
}

static void take_rows(struct pgsql_conn *conn, const PGresult *result)
{
	if (!conn->has_answer)
		take_names(conn, result);
	conn->has_answer = true;
	for (int row = 0; row < PQntuples(result); row++)
		take_row(conn, result, row);
}

/* Of what brings no rows. The COMMIT of a transaction that has failed is no error to the server. */
static void take_tag(struct pgsql_conn *conn, PGresult *result)
{
	struct question *question = &conn->batch->questions[0];

	if (conn->step == STEP_ONCE)
		question->changed = strtoull(PQcmdTuples(result), NULL, 10);
	else
		conn->is_undone = statement_is_command(question->statement, "COMMIT") &&
				  strcmp(PQcmdStatus(result), "ROLLBACK") == 0;
}

static void take_result(struct pgsql_conn *conn, PGresult *result)
{
	bool is_tag = PQresultStatus(result) == PGRES_COMMAND_OK;

	if (conn->before)
		return;
	if (conn->new) {
		conn->new->is_prepared = true;
		conn->new = NULL;
	} else if (conn->step == STEP_DESCRIBE) {
		pgsql_statement_take_types(conn->asked, result);
	} else if (conn->step == STEP_TYPES) {
		pgsql_statement_make_many(conn->asked, result, buf_slice(&conn->settings));
	} else if (is_tag && (conn->step == STEP_ONCE || conn->step == STEP_COMMAND)) {
		take_tag(conn, result);
	} else if (!is_tag && (conn->step == STEP_ASK || conn->step == STEP_ONCE)) {
		take_rows(conn, result);
	}
}

static enum progress ask_again(struct pgsql_conn *conn)
{
	PQclear(conn->error);
	conn->error = NULL;
	batch_clear(conn->batch);
	return proceed(conn);
}

static enum progress take_error(struct pgsql_conn *conn)
{
	enum fault fault = pgsql_fault(conn->error, conn->is_read_only);

	if (!conn->asked || conn->once)
		return fail(conn, fault);
	if (conn->by_name && conn->may_forgo &&
		(pgsql_error_is(conn->error, "26000") || pgsql_error_is(conn->error, "42P05"))) {
		conn->by_name = false;
		return ask_again(conn);
	}
	if (conn->step == STEP_DESCRIBE)
		return pgsql_statement_declare(conn->asked, conn->error) ? ask_again(conn)
									 : fail(conn, fault);
	/* It may be that the schema has changed; XX is "cache lookup failed" and the like. */
	if (!conn->is_fresh && (fault == FAULT_QUERY || pgsql_error_is(conn->error, "XX")))
		return pgsql_send_forget(conn) ? ask_again(conn) : fail(conn, FAULT_CONNECTION);
	/* For one key it was good enough to be described: so it's for what was made of it. */
	if (conn->batch->count > 1 && fault == FAULT_QUERY) {
		conn->asked->is_alone = conn->new == &conn->asked->many;
		fault = FAULT_KEY;
	}
	return fail(conn, fault);
}

/* All that was sent has been answered. */
static enum progress take_sync(struct pgsql_conn *conn)
{
	conn->before = 0;
	if (conn->error)
		return take_error(conn);
	if (conn->is_undone)
		return end(conn, batch_fail(conn->batch, FAULT_QUERY,
					 "something in this transaction has failed before: it is "
					 "rolled back"));
	if (conn->step == STEP_COMMAND || conn->step == STEP_ONCE)
		return end(conn, batch_finish(conn->batch));
	if (conn->has_stray_row)
		return end(conn, batch_fail(conn->batch, FAULT_MOMENT,
					 "the server brings a row that nobody asked for"));
	if (conn->step == STEP_ASK && conn->has_answer)
		return end(conn, batch_finish(conn->batch));
	if (conn->step == STEP_TYPES) {
		conn->asked->is_alone = !conn->asked->many.text.size;
		return conn->asked->is_alone ? end(conn, SPLIT) : proceed(conn);
	}
	/* DELETE, COPY and the like are not executed, even where they might be. */
	if (conn->step == STEP_ASK || !conn->asked->types.size)
		return end(
			conn, batch_fail(conn->batch, FAULT_QUERY, "the query can bring no rows"));
	conn->is_fresh = true;
	conn->asked->since = clock_ms();
	return conn->batch->only_check ? end(conn, batch_finish(conn->batch)) : proceed(conn);
}

static enum progress take_results(struct pgsql_conn *conn)
{
	bool was_end = false;

	while (!PQisBusy(conn->db)) {
		PGresult *result = PQgetResult(conn->db);
		ExecStatusType status = PQresultStatus(result);

		/* NULL stands behind each command; twice, there is nothing left to come. */
		if (!result && (was_end || PQstatus(conn->db) == CONNECTION_BAD))
			return fail(conn, FAULT_CONNECTION);
		was_end = !result;
		if (was_end) {
			conn->before -= conn->before > 0;
			stream_rows(conn);
			continue;
		}
		if (status == PGRES_FATAL_ERROR && !conn->error) {
			conn->error = result;
			continue;
		}
		if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ||
			status == PGRES_SINGLE_TUPLE)
			take_result(conn, result);
		PQclear(result);
		if (status == PGRES_PIPELINE_SYNC)
			return take_sync(conn);
	}
	return flush(conn);
}

static bool is_readable(int fd)
{
	struct pollfd ready = {fd, POLLIN, 0};

	return poll(&ready, 1, 0) > 0;
}

static enum progress pgsql_advance(void *opaque)
{
	struct pgsql_conn *conn = opaque;
	enum progress progress;

	/* What goes wrong is seen in the connection's status, by flush() for one. */
	PQconsumeInput(conn->db);
	if (!conn->batch) {
		PQisBusy(conn->db); /* reads the notices that may have come */
		return PQstatus(conn->db) == CONNECTION_OK ? DONE : LOST;
	}
	progress = take_results(conn);
	/* libpq before 15.20 may leave half of what TLS has decrypted, which nobody waits for. */
	if (conn->batch && PQsslInUse(conn->db) && !is_readable(conn->fd)) {
		PQconsumeInput(conn->db);
		progress = take_results(conn);
	}
	return progress;
}

static bool pgsql_rang(void *opaque)
{
	struct pgsql_conn *conn = opaque;
	PGnotify *notify;
	bool has_rung = false;

	while ((notify = PQnotifies(conn->db))) {
		has_rung = true;
		PQfreemem(notify);
	}
	return has_rung;
}

static const struct dialect pgsql_dialect = {
	.placeholder = '$', .numbered = true, .dollar_quotes = true};

const struct backend pgsql_backend = {
	.name = "pgsql",
	.settings = pgsql_settings,
	.config_size = sizeof(struct pgsql_config),
	.conn_size = sizeof(struct pgsql_conn),
	.dialect = &pgsql_dialect,
	.is_server = true,
	.usual_port = 5432,
	.writer = &pgsql_backend,
	.check = pgsql_check,
	.open = pgsql_open,
	.start = pgsql_start,
	.advance = pgsql_advance,
	.rang = pgsql_rang,
	.fd = pgsql_fd,
	.cancel = pgsql_cancel,
	.close = pgsql_close,
};
