/*
 * The MariaDB backend, for MySQL servers, too, by libmariadb's non-blocking calls.
 *
 * Such a call runs on a stack of its own, and is left when it would have to wait: NAME_start() and
 * NAME_cont() then return what for, and else 0. mysql_send_query() with a watched socket was no
 * choice, since reading blocks once the first bytes are there; with a thread for each connection
 * one lookup takes 1.3 times as long (tests/bench/README.md).
 *
 * Queries go as text, as Postfix's own client sends them (mysql_sql.c). Several keys become one
 * UNION ALL, and a batch is asked in parts (mysql_part.c).
 *
 * After some errors, such as a deadlock, the server has rolled back the transaction, after others
 * it has not: see struct transaction_state.
 */
#include "base/clock.h"
#include "mysql_internal.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>

/* Calls. */

/* Makes the call of the step, or goes on with it. Returns what it waits for, or 0. */
static int call(struct mysql_conn *conn)
{
	int ready = conn->wait & (MYSQL_WAIT_READ | MYSQL_WAIT_WRITE);
	bool begins = !conn->wait;

	switch (conn->step) {
	case STEP_ROLE:
	case STEP_QUERY:
		return begins ? mysql_real_query_start(
					&conn->failed, conn->db, conn->sql.data, conn->sql.size)
			      : mysql_real_query_cont(&conn->failed, conn->db, ready);
	case STEP_ROLE_RESULT:
		return begins ? mysql_store_result_start(&conn->result, conn->db)
			      : mysql_store_result_cont(&conn->result, conn->db, ready);
	case STEP_ROW:
		return begins ? mysql_fetch_row_start(&conn->row, conn->result)
			      : mysql_fetch_row_cont(&conn->row, conn->result, ready);
	case STEP_NEXT:
		return begins ? mysql_next_result_start(&conn->failed, conn->db)
			      : mysql_next_result_cont(&conn->failed, conn->db, ready);
	case STEP_PREPARE:
		return begins ? mysql_stmt_prepare_start(&conn->failed, conn->statement,
					conn->sql.data, conn->sql.size)
			      : mysql_stmt_prepare_cont(&conn->failed, conn->statement, ready);
	case STEP_FORGET:
		return begins ? mysql_stmt_close_start(&conn->forgotten, conn->statement)
			      : mysql_stmt_close_cont(&conn->forgotten, conn->statement, ready);
	}
	return 0;
}

bool mysql_end(struct mysql_conn *conn, enum progress progress)
{
	conn->progress = progress;
	return false;
}

bool mysql_begin_batch(struct mysql_conn *conn)
{
	return conn->batch->only_check ? mysql_begin_check(conn)
				       : mysql_ask_from(conn, conn->batch->questions);
}

static bool after(struct mysql_conn *conn)
{
	switch (conn->step) {
	case STEP_ROLE:
		return mysql_after_role(conn);
	case STEP_ROLE_RESULT:
		return mysql_after_role_result(conn);
	case STEP_QUERY:
	case STEP_NEXT:
		return mysql_after_query(conn);
	case STEP_ROW:
		return mysql_after_row(conn);
	case STEP_PREPARE:
		return mysql_after_prepare(conn);
	case STEP_FORGET:
		return mysql_after_forget(conn);
	}
	return mysql_end(conn, LOST);
}

/* The driver. */

static enum progress go_on(struct mysql_conn *conn)
{
	/* An error of another connection's TLS would be taken for this one's. */
	ERR_clear_error();
	do {
		conn->wait = call(conn);
		if (conn->wait)
			return conn->wait & MYSQL_WAIT_WRITE ? WANT_WRITE : WANT_READ;
	} while (after(conn));
	if (conn->progress == DONE)
		transaction_note(&conn->transaction, conn->batch);
	conn->batch = NULL;
	return conn->progress;
}

static enum progress conn_start(void *opaque, struct batch *batch)
{
	struct mysql_conn *conn = opaque;
	bool begun;

	if (!transaction_allows(&conn->transaction, batch))
		return DONE;
	conn->batch = batch;
	begun = mysql_is_role_due(conn) ? mysql_ask_role(conn) : mysql_begin_batch(conn);
	if (begun)
		return go_on(conn);
	conn->batch = NULL;
	return conn->progress;
}

static enum progress conn_advance(void *opaque)
{
	struct mysql_conn *conn = opaque;
	char byte;

	if (conn->batch)
		return go_on(conn);
	/* Between batches a server only says that it hangs up. */
	return recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN ? DONE
											: LOST;
}

static int conn_fd(const void *opaque)
{
	const struct mysql_conn *conn = opaque;

	return conn->fd;
}

static int conn_open(
	void *opaque, const void *config, const struct server *server, struct error *why)
{
	struct mysql_conn *conn = opaque;

	conn->fd = -1;
	if (mysql_connect_to(config, server, &conn->db, why) < 0)
		return -1;
	conn->role = (enum server_role)server->settings->role;
	conn->role_at = clock_ms();
	conn->fd = descriptor_copy(mysql_get_socket(conn->db));
	return conn->fd < 0 ? error_set(why, "%s", strerror(errno)) : 0;
}

static void conn_close(void *opaque)
{
	struct mysql_conn *conn = opaque;

	/* A call that was left has to end, or its memory would be lost. It will not wait now. */
	if (conn->wait)
		shutdown(conn->fd, SHUT_RDWR);
	while (conn->wait)
		conn->wait = call(conn);
	mysql_free_result(conn->result);
	if (conn->statement && conn->step != STEP_FORGET)
		mysql_stmt_close(conn->statement);
	mysql_close(conn->db);
	descriptor_close(conn->fd);
	buf_finish(&conn->known);
	buf_wipe(&conn->sql);
}

static const struct dialect mysql_dialect = {.placeholder = '?',
	.backslash_escapes = true,
	.double_quoted_text = true,
	.hash_comments = true};

/* The server ends a query by itself at query_timeout, so there is nothing to cancel. */
const struct backend mysql_backend = {
	.name = "mysql",
	.settings = mysql_settings,
	.config_size = sizeof(struct mysql_config),
	.conn_size = sizeof(struct mysql_conn),
	.dialect = &mysql_dialect,
	.is_server = true,
	.usual_port = 3306,
	.writer = &mysql_backend,
	.open = conn_open,
	.start = conn_start,
	.advance = conn_advance,
	.fd = conn_fd,
	.close = conn_close,
};
