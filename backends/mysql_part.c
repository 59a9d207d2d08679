/*
 * A batch of the MariaDB backend is asked in parts: of a query that is new to the connection the
 * first key goes alone, which tells the types of its columns; what can't be asked together goes one
 * by one.
 */
#include "base/clock.h"
#include "mysql_internal.h"
#include "mysql_sql.h"

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

bool mysql_ask_from(struct mysql_conn *conn, struct question *first)
{
	size_t left = (size_t)(conn->batch->questions + conn->batch->count - first);

	if (!left)
		return mysql_end(conn, DONE);
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
	return mysql_ask_from(conn, conn->part.questions + conn->part.count);
}

/* Errors. */

bool mysql_fail_with(struct mysql_conn *conn, enum fault fault, const char *text)
{
	enum progress progress = batch_fail(&conn->part, fault, text);

	if (progress == DONE)
		return ask_rest(conn);
	/* The reason is looked for in the first of all. */
	error_set(conn->batch->questions[0].why, "%s", text);
	conn->batch->is_refused = conn->part.is_refused;
	return mysql_end(conn, progress);
}

static void know(struct mysql_conn *conn, enum way way)
{
	struct known *known = known_of(conn, conn->part.questions[0].statement);

	known->way = way;
	known->since = clock_ms();
}

void mysql_explain(struct error *why, const char *words, unsigned code)
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
		return mysql_ask_from(conn, conn->part.questions);
	}
	mysql_explain(&why, mysql_error(conn->db), code);
	/* A call that fails without an error has left the connection in an unknown state. */
	return mysql_fail_with(conn, code ? mysql_fault(code) : FAULT_CONNECTION, why.text);
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
		return mysql_fail_with(conn, conn->trouble_fault, conn->trouble);
	batch_finish(&conn->part);
	return ask_rest(conn);
}

/* The server has begun to answer: with rows, or without. */
bool mysql_after_query(struct mysql_conn *conn)
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

bool mysql_after_row(struct mysql_conn *conn)
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
