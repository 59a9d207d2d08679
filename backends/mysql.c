/*
 * The MariaDB backend, for MySQL servers, too, by libmariadb's non-blocking calls.
 *
 * Such a call runs on a stack of its own, and is left when it would have to wait: NAME_start() and
 * NAME_cont() then return what for, and else 0. mysql_send_query() with a watched socket was no
 * choice, since reading blocks once the first bytes are there; with a thread for each connection
 * one lookup takes 1.3 times as long (tests/bench/README.md).
 *
 * Queries go as text, as Postfix's own client sends them (mysql_sql.c). Several keys become one
 * UNION ALL. A batch is asked in parts: of a query that is new to the connection the first key goes
 * alone, which tells the types of its columns; and what can't be asked together goes one by one.
 *
 * After some errors, such as a deadlock, the server has rolled back the transaction, after others
 * it has not: see struct transaction_state.
 */
#include "base/clock.h"
#include "mysql_connect.h"
#include "mysql_sql.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>

enum {
	COLUMNS_MAX = 256,
	PART_MOST = 256, /* keys in one UNION: the server takes memory and stack for each */
	SQL_MOST =
		512 << 10, /* bytes of a query for several keys: max_allowed_packet may be 1 MB */
	FRESH_MS = 60000,  /* then a query is taken for new again: its tables may have changed */
};

/* Can a statement be asked for several keys in one query? */
enum way { WAY_UNKNOWN, WAY_TOGETHER, WAY_ALONE };

/* What a connection knows of one. */
struct known {
	enum way way;
	uint64_t since; /* ms */
};

enum step {
	STEP_ROLE,
	STEP_ROLE_RESULT,
	STEP_QUERY,
	STEP_ROW,
	STEP_NEXT,
	STEP_PREPARE,
	STEP_FORGET,
};

struct mysql_conn {
	MYSQL *db;
	int fd;           /* a duplicate: the library closes its own when it likes */
	struct buf known; /* a struct known for each statement */
	struct transaction_state transaction;
	enum server_role role; /* that it has to have … */
	uint64_t role_at;      /* ms; … and had when that was looked at */

	struct batch *batch; /* the one that runs; the rest is about it */
	struct batch part;   /* those of its questions that are asked just now */
	struct buf sql;
	enum step step;
	int wait; /* what the call that was left waits for; 0: none was */
	enum progress progress;

	/* What the calls bring. */
	int failed;
	MYSQL_RES *result;
	MYSQL_ROW row;
	MYSQL_STMT *statement;
	my_bool forgotten;

	size_t results;      /* of the part, each with its rows */
	const char *trouble; /* found while reading rows: said after the last one */
	enum fault trouble_fault;
};

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

/* What follows a step returns whether there is another call to make; if not, conn->progress says
 * how the batch has ended. */

static bool end(struct mysql_conn *conn, enum progress progress)
{
	conn->progress = progress;
	return false;
}

/* Parts of a batch. */

static struct known *known_of(struct mysql_conn *conn, const struct statement *statement)
{
	return statement_slot(&conn->known, statement, sizeof(struct known));
}

/* So many questions are left: how many may be asked in one query? */
static size_t part_size(struct mysql_conn *conn, const struct statement *statement, size_t left)
{
	struct known *known;

	if (statement->kind == STATEMENT_KEYS)
		return left;
	if (statement->kind == STATEMENT_ONCE || !statement->part_count)
		return 1;
	known = known_of(conn, statement);
	if (known->way != WAY_UNKNOWN && clock_ms() >= known->since + FRESH_MS)
		known->way = WAY_UNKNOWN;
	if (known->way != WAY_TOGETHER)
		return 1;
	return left < PART_MOST ? left : PART_MOST;
}

/* Begins with the questions from `first` on, if any is left. */
static bool ask_from(struct mysql_conn *conn, struct question *first)
{
	size_t left = (size_t)(conn->batch->questions + conn->batch->count - first);

	if (!left)
		return end(conn, DONE);
	conn->part = *conn->batch;
	conn->part.questions = first;
	conn->part.count = part_size(conn, first->statement, left);
	for (;; conn->part.count /= 2) {
		buf_clear(&conn->sql);
		mysql_write(&conn->sql, &conn->part);
		if (conn->part.count == 1 || conn->sql.size <= SQL_MOST)
			break;
	}
	conn->results = 0;
	conn->trouble = NULL;
	conn->step = STEP_QUERY;
	return true;
}

static bool ask_rest(struct mysql_conn *conn)
{
	return ask_from(conn, conn->part.questions + conn->part.count);
}

/* Errors. */

static bool fail_with(struct mysql_conn *conn, enum fault fault, const char *text)
{
	enum progress progress = batch_fail(&conn->part, fault, text);

	if (progress == DONE)
		return ask_rest(conn);
	/* The reason is looked for in the first of all. */
	error_set(conn->batch->questions[0].why, "%s", text);
	conn->batch->is_refused = conn->part.is_refused;
	return end(conn, progress);
}

static void know(struct mysql_conn *conn, enum way way)
{
	struct known *known = known_of(conn, conn->part.questions[0].statement);

	known->way = way;
	known->since = clock_ms();
}

/* The server's words in one line: it quotes the query. */
static void explain(struct error *why, const char *words, unsigned code)
{
	error_set(why, "%s (error %u)", words, code);
	for (char *at = why->text; *at; at++)
		if ((unsigned char)*at < ' ')
			*at = ' ';
}

static bool fail(struct mysql_conn *conn)
{
	unsigned code = mysql_errno(conn->db);
	struct error why;

	if (conn->part.count > 1 && mysql_blames_numbers(code) &&
		conn->part.questions[0].statement->kind == STATEMENT_SELECT) {
		know(conn, WAY_ALONE);
		batch_clear(&conn->part);
		return ask_from(conn, conn->part.questions);
	}
	explain(&why, mysql_error(conn->db), code);
	/* A call that fails without an error has left the connection in an unknown state. */
	return fail_with(conn, code ? mysql_fault(code) : FAULT_CONNECTION, why.text);
}

static void note_trouble(struct mysql_conn *conn, enum fault fault, const char *text)
{
	conn->trouble = text;
	conn->trouble_fault = fault;
}

/* Results. */

/* Learns from a query for one key how it may be asked for several. A UNION drops zeros of ZEROFILL.
 */
static void learn(struct mysql_conn *conn)
{
	const struct statement *statement = conn->part.questions[0].statement;
	bool together;

	if (statement->kind != STATEMENT_SELECT || known_of(conn, statement)->way != WAY_UNKNOWN)
		return;
	together = mysql_may_number(statement);
	for (unsigned i = 0; i < mysql_num_fields(conn->result); i++)
		together = together &&
			   !(mysql_fetch_field_direct(conn->result, i)->flags & ZEROFILL_FLAG);
	know(conn, together ? WAY_TOGETHER : WAY_ALONE);
}

/* The number or the key that a row is for is no part of the answer, unless it is all. */
static void take_names(struct mysql_conn *conn)
{
	const struct statement *statement = conn->part.questions[0].statement;
	unsigned columns = mysql_num_fields(conn->result);
	bool has_more = statement->kind == STATEMENT_KEYS ? columns > 1 : conn->part.count > 1;

	for (unsigned i = has_more; i < columns; i++) {
		const MYSQL_FIELD *field = mysql_fetch_field_direct(conn->result, i);

		batch_add_name(&conn->part, slice_of(field->name, field->name_length));
	}
}

/* That there is no result at all is right only for what changes rows. */
static void take_change(struct mysql_conn *conn)
{
	struct question *question = &conn->part.questions[0];

	if (question->statement->kind == STATEMENT_ONCE)
		question->changed = mysql_rows_met(question->statement->text, mysql_info(conn->db),
			mysql_affected_rows(conn->db));
	else if (question->statement->part_count)
		note_trouble(conn, FAULT_QUERY, "the query brings no rows: it is no SELECT");
}

/* One result is complete: is there a further one? */
static bool after_result(struct mysql_conn *conn)
{
	if (mysql_more_results(conn->db)) {
		conn->step = STEP_NEXT;
		return true;
	}
	if (conn->results == 0)
		take_change(conn);
	if (conn->trouble)
		return fail_with(conn, conn->trouble_fault, conn->trouble);
	batch_finish(&conn->part);
	return ask_rest(conn);
}

/* The server has begun to answer: with rows, or without. */
static bool after_query(struct mysql_conn *conn)
{
	if (conn->failed)
		return fail(conn);
	if (mysql_field_count(conn->db) == 0)
		return after_result(conn);
	conn->result = mysql_use_result(conn->db);
	if (!conn->result)
		return fail(conn);
	if (conn->results++ == 0) {
		learn(conn);
		take_names(conn);
	} else {
		note_trouble(conn, FAULT_QUERY, "the procedure brings more than one result");
	}
	if (mysql_num_fields(conn->result) > COLUMNS_MAX)
		note_trouble(conn, FAULT_QUERY, "the query brings more than 256 columns");
	conn->step = STEP_ROW;
	return true;
}

/* Which question a row of several is for: the number that was written into its query. */
static size_t row_owner(struct slice number)
{
	size_t owner = 0;

	for (size_t i = 0; i < number.size; i++)
		owner = owner * 10 + (size_t)(number.data[i] - '0');
	return owner;
}

static void add_row(struct mysql_conn *conn)
{
	const struct statement *statement = conn->part.questions[0].statement;
	unsigned long *sizes = mysql_fetch_lengths(conn->result);
	size_t columns = mysql_num_fields(conn->result);
	struct slice cells[COLUMNS_MAX];

	for (size_t i = 0; i < columns; i++)
		cells[i] = slice_of(conn->row[i], conn->row[i] ? sizes[i] : 0);
	if (statement->kind == STATEMENT_KEYS) {
		if (batch_add_keyed_row(&conn->part, cells, columns) < 0)
			note_trouble(conn, FAULT_KEY,
				"a row is found by a key that differs from its own");
	} else if (conn->part.count > 1) {
		size_t owner = row_owner(cells[0]);

		if (owner < conn->part.count)
			batch_add_row(&conn->part, owner, cells + 1, columns - 1);
		else
			note_trouble(conn, FAULT_MOMENT,
				"the server brings a row that nobody asked for");
	} else {
		batch_add_row(&conn->part, 0, cells, columns);
	}
}

static bool after_row(struct mysql_conn *conn)
{
	if (conn->row) {
		if (!conn->trouble)
			add_row(conn);
		return true;
	}
	mysql_free_result(conn->result);
	conn->result = NULL;
	return mysql_errno(conn->db) ? fail(conn) : after_result(conn);
}

/* Checks. */

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

static bool begin_check(struct mysql_conn *conn)
{
	conn->part = *conn->batch;
	conn->part.count = 1;
	buf_clear(&conn->sql);
	mysql_write(&conn->sql, &conn->part);
	conn->statement = mysql_stmt_init(conn->db);
	conn->step = STEP_PREPARE;
	return conn->statement || fail_with(conn, FAULT_CONNECTION, "out of memory");
}

/* All questions are of one statement, so what is found of the first holds for them all. */
static bool after_prepare(struct mysql_conn *conn)
{
	const struct statement *statement = conn->part.questions[0].statement;
	unsigned code = conn->failed ? mysql_stmt_errno(conn->statement) : 0;
	enum fault fault = mysql_fault(code);
	struct error why;

	explain(&why, mysql_stmt_error(conn->statement), code);
	if (fault == FAULT_CONNECTION || fault == FAULT_REFUSED)
		return fail_with(conn, fault, why.text);
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

static bool after_forget(struct mysql_conn *conn)
{
	conn->statement = NULL;
	return end(conn, DONE);
}

/* The role. */

/* A primary may be made read-only, and another one take its place, while its connections last. */
static bool is_role_due(const struct mysql_conn *conn)
{
	return conn->role != ROLE_ANY && !conn->transaction.is_open &&
	       clock_ms() >= conn->role_at + SERVER_ROLE_MS;
}

static bool ask_role(struct mysql_conn *conn)
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

	explain(&why, mysql_error(conn->db), mysql_errno(conn->db));
	return fail_with(conn, FAULT_REFUSED, why.text);
}

static bool after_role(struct mysql_conn *conn)
{
	conn->step = STEP_ROLE_RESULT;
	return !conn->failed || fail_role(conn);
}

static bool begin_batch(struct mysql_conn *conn)
{
	return conn->batch->only_check ? begin_check(conn) : ask_from(conn, conn->batch->questions);
}

static bool after_role_result(struct mysql_conn *conn)
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
	return checked < 0 ? fail_with(conn, FAULT_REFUSED, why.text) : begin_batch(conn);
}

static bool after(struct mysql_conn *conn)
{
	switch (conn->step) {
	case STEP_ROLE:
		return after_role(conn);
	case STEP_ROLE_RESULT:
		return after_role_result(conn);
	case STEP_QUERY:
	case STEP_NEXT:
		return after_query(conn);
	case STEP_ROW:
		return after_row(conn);
	case STEP_PREPARE:
		return after_prepare(conn);
	case STEP_FORGET:
		return after_forget(conn);
	}
	return end(conn, LOST);
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
	begun = is_role_due(conn) ? ask_role(conn) : begin_batch(conn);
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
