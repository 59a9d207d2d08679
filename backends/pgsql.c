/*
 * The PostgreSQL backend, by libpq; pgsql_connect.c is how it connects.
 *
 * A connection is in pipeline mode for good: all that a question needs goes out at once, up to a
 * Sync, and so reaches one and the same server behind a pooler. A new statement is described before
 * it is asked: that tells the types of its parameters, and that it brings rows. After a minute this
 * is done anew, as not every change of a schema is noticed by the server.
 *
 * For several keys the query becomes a lateral subquery of a list of keys. The list is an array of
 * the very type that was inferred for the parameter, so that the same input function reads the
 * keys; and OFFSET 0 keeps the planner from merging the two, so that each key gets the plan and the
 * order of a query of its own.
 */
#include "pgsql_connect.h"

#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

enum { HASH_SIZE = 16, FRESH_MS = 60000, READS_MOST = 16 };

#define NAME_PREFIX "tabled_"

/* The names of types. Those that there are no arrays of, such as arrays, are left out. */
#define TYPES_SQL                                                                                  \
	"SELECT format('%I.%I', nspname, typname) FROM unnest($1::oid[]) WITH ORDINALITY AS g "    \
	"(type, n) JOIN pg_type t ON t.oid = type JOIN pg_namespace s ON s.oid = typnamespace "    \
	"WHERE typarray <> 0 ORDER BY n"

/* A text of SQL, and the name that the server knows it by. */
struct prepared {
	struct buf sql;
	char name[sizeof(NAME_PREFIX) + 2 * HASH_SIZE];
	bool done;
};

/* What a connection knows of a statement. */
struct known {
	struct prepared alone, many; /* many without SQL: not made yet */
	struct buf types;            /* of its parameters, "{25,23}"; empty: not described yet */
	uint64_t since;              /* ms; when it was described */
	bool *is_text;               /* by part: a type that can't be inferred */
};

enum step { STEP_DESCRIBE, STEP_TYPES, STEP_ASK };

struct pgsql_conn {
	PGconn *db;
	PGcancel *canceller;
	int fd;               /* a duplicate: libpq closes its own when it likes */
	bool is_read_only;    /* or was meant to be */
	bool by_name;         /* statements are prepared by their names … */
	bool may_forget;      /* … unless a pooler loses them */
	struct buf settings;  /* SQL: what has to be set for each question … */
	bool needs_settings;  /* … as the session does not have it */
	struct known **known; /* by statement id */
	size_t known_room;

	struct batch *batch; /* the one that runs; the rest is about it */
	struct known *asked;
	enum step step;
	bool is_fresh;   /* was described for this very batch */
	bool has_answer; /* rows, or that there are none */
	size_t before;   /* commands before those that matter */
	bool *preparing; /* what the next result that matters is about */
	PGresult *error; /* the first one */
	struct buf text, values;
};

static int pgsql_open(
	void *opaque, const void *config, const struct server *server, struct error *why)
{
	struct pgsql_conn *conn = opaque;
	const struct pgsql_config *own = config;

	conn->fd = -1;
	conn->is_read_only = server->settings->read_only;
	conn->by_name = own->prepare != NAMED_NO;
	conn->may_forget = own->prepare == NAMED_AUTO;
	if (pgsql_connect(own, server, &conn->db, why) < 0)
		return -1;
	conn->needs_settings = pgsql_make_settings(conn->db, own, server, &conn->settings);
	conn->canceller = PQgetCancel(conn->db);
	conn->fd = fcntl(PQsocket(conn->db), F_DUPFD_CLOEXEC, 0);
	if (conn->fd < 0 || !conn->canceller || sodium_init() < 0 ||
		PQsetnonblocking(conn->db, 1) != 0 || !PQenterPipelineMode(conn->db))
		return error_set(why, "the connection is of no use: %s", strerror(errno));
	return 0;
}

static void known_destroy(struct known *known)
{
	if (!known)
		return;
	buf_finish(&known->alone.sql);
	buf_finish(&known->many.sql);
	buf_finish(&known->types);
	free(known->is_text);
	free(known);
}

static void pgsql_close(void *opaque)
{
	struct pgsql_conn *conn = opaque;

	for (size_t i = 0; i < conn->known_room; i++)
		known_destroy(conn->known[i]);
	free(conn->known);
	PQclear(conn->error);
	PQfreeCancel(conn->canceller);
	PQfinish(conn->db);
	if (conn->fd >= 0)
		close(conn->fd);
	buf_finish(&conn->settings);
	buf_finish(&conn->text);
	buf_finish(&conn->values);
}

static void pgsql_cancel(void *opaque)
{
	const struct pgsql_conn *conn = opaque;
	char ignored[256];

	if (conn->canceller)
		PQcancel(conn->canceller, ignored, sizeof(ignored));
}

static int pgsql_fd(const void *opaque)
{
	const struct pgsql_conn *conn = opaque;

	return conn->fd;
}

/* Statements. */

static struct known *known_find(struct pgsql_conn *conn, size_t id)
{
	if (id >= conn->known_room) {
		size_t room = id + 8;

		conn->known = memory_resize(conn->known, room * sizeof(*conn->known));
		memset(conn->known + conn->known_room, 0,
			(room - conn->known_room) * sizeof(*conn->known));
		conn->known_room = room;
	}
	if (!conn->known[id])
		conn->known[id] = memory_new(1, sizeof(struct known));
	return conn->known[id];
}

/*
 * Names the statement by its text. A pooler's server may know the name from somebody else's, and
 * then it has to mean the same.
 */
static void prepared_name(struct prepared *prepared, struct slice settings)
{
	unsigned char hash[HASH_SIZE];
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, HASH_SIZE);
	crypto_generichash_update(&state, (const unsigned char *)settings.data, settings.size);
	crypto_generichash_update(
		&state, (const unsigned char *)prepared->sql.data, prepared->sql.size);
	crypto_generichash_final(&state, hash, HASH_SIZE);
	strcpy(prepared->name, NAME_PREFIX);
	sodium_bin2hex(
		prepared->name + sizeof(NAME_PREFIX) - 1, 2 * HASH_SIZE + 1, hash, HASH_SIZE);
}

/*
 * For one key. Each place has a parameter of its own: one that two places share would have one
 * type, and so other semantics than two literals (citext and text, char(8) and text …).
 */
static void make_alone(struct pgsql_conn *conn, const struct statement *statement)
{
	struct prepared *alone = &conn->asked->alone;

	buf_clear(&alone->sql);
	for (size_t i = 0; i < statement->part_count; i++) {
		buf_add_slice(&alone->sql, statement->parts[i].sql);
		if (statement->parts[i].param)
			buf_add_format(&alone->sql, "$%zu%s", i + 1,
				conn->asked->is_text[i] ? "::text" : "");
	}
	buf_string(&alone->sql);
	prepared_name(alone, buf_slice(&conn->settings));
}

/* For several keys. `types` are the rows of TYPES_SQL. */
static void make_many(
	struct pgsql_conn *conn, const struct statement *statement, const PGresult *types)
{
	struct buf *sql = &conn->asked->many.sql;
	int count = (int)statement->part_count - 1;

	if (PQntuples(types) != count || PQnfields(types) != 1)
		return;
	buf_add_string(sql, "SELECT tabled_key.n, tabled_row.* FROM unnest(");
	for (int i = 0; i < count; i++)
		buf_add_format(sql, "%s$%d::%s[]", i ? ", " : "", i + 1, PQgetvalue(types, i, 0));
	buf_add_string(sql, ") WITH ORDINALITY AS tabled_key (");
	for (int i = 0; i < count; i++)
		buf_add_format(sql, "p%d, ", i);
	buf_add_string(sql, "n), LATERAL (SELECT * FROM (");
	for (int i = 0; i <= count; i++) {
		buf_add_slice(sql, statement->parts[i].sql);
		if (i < count)
			buf_add_format(sql, "tabled_key.p%d", i);
	}
	buf_add_string(sql, ") AS tabled_query OFFSET 0) AS tabled_row");
	buf_string(sql);
	prepared_name(&conn->asked->many, buf_slice(&conn->settings));
}

/* Values. */

/* A parameter of all questions as an array. */
static void add_array(struct buf *out, const struct batch *batch, size_t param)
{
	for (size_t i = 0; i < batch->count; i++) {
		struct slice value = batch->questions[i].params[param];

		buf_add_string(out, i ? "\",\"" : "{\"");
		for (size_t at = 0; at < value.size; at++) {
			if (value.data[at] == '"' || value.data[at] == '\\')
				buf_add_byte(out, '\\');
			buf_add_byte(out, value.data[at]);
		}
	}
	buf_add_string(out, "\"}");
}

/* All parameters' values, one after the other. Good until the next call. */
static const char *const *make_values(struct pgsql_conn *conn)
{
	const struct batch *batch = conn->batch;
	const struct statement *statement = batch->questions[0].statement;
	const char *at;

	buf_clear(&conn->text);
	for (size_t i = 0; i + 1 < statement->part_count; i++) {
		size_t param = statement->parts[i].param - 1;

		if (batch->count == 1)
			buf_add_slice(&conn->text, batch->questions[0].params[param]);
		else
			add_array(&conn->text, batch, param);
		buf_add_byte(&conn->text, '\0');
	}
	buf_clear(&conn->values);
	at = conn->text.data;
	for (size_t i = 0; i + 1 < statement->part_count; i++, at += strlen(at) + 1)
		buf_add(&conn->values, &at, sizeof(at));
	return (const char *const *)conn->values.data;
}

/* libpq takes C strings, and would find what stands before the NUL. */
static bool has_nul(const struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		for (size_t j = 0; j < batch->questions[i].statement->params; j++)
			if (slice_find(batch->questions[i].params[j], '\0') >= 0)
				return true;
	return false;
}

/* Errors. */

/* Whose fault it is by the beginning of its SQLSTATE. Of anything else it is the moment's. */
static const struct {
	const char *state;
	enum fault fault;
} faults[] = {
	{"0A", FAULT_QUERY},      /* feature not supported */
	{"20", FAULT_KEY},        /* case not found */
	{"21", FAULT_KEY},        /* a subquery brings more than one row */
	{"22", FAULT_KEY},        /* data */
	{"23", FAULT_KEY},        /* constraint */
	{"25", FAULT_CONNECTION}, /* state of the transaction, read-only: another server now? */
	{"26", FAULT_CONNECTION}, /* no prepared statement by that name */
	{"2F", FAULT_KEY},        /* these four are functions' */
	{"38", FAULT_KEY}, {"39", FAULT_KEY}, {"P0", FAULT_KEY}, {"3F", FAULT_QUERY}, /* schema */
	{"42P05", FAULT_CONNECTION}, /* there is a prepared statement by that name */
	{"42", FAULT_QUERY},         /* syntax, names, permissions, types */
	{"44", FAULT_KEY},           /* view's check */
	{"54", FAULT_KEY},           /* too complex */
};

static bool error_is(const PGresult *error, int field, const char *start)
{
	const char *value = PQresultErrorField(error, field);

	return value && strncmp(value, start, strlen(start)) == 0;
}

static enum fault find_fault(const struct pgsql_conn *conn)
{
	/* After these the server hangs up, whatever the reason. */
	if (error_is(conn->error, PG_DIAG_SEVERITY_NONLOCALIZED, "FATAL") ||
		error_is(conn->error, PG_DIAG_SEVERITY_NONLOCALIZED, "PANIC"))
		return FAULT_CONNECTION;
	if (conn->is_read_only && error_is(conn->error, PG_DIAG_SQLSTATE, "25006"))
		return FAULT_QUERY;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		if (error_is(conn->error, PG_DIAG_SQLSTATE, faults[i].state))
			return faults[i].fault;
	return FAULT_MOMENT;
}

/* The batch is over. */
static enum progress end(struct pgsql_conn *conn, enum progress progress)
{
	conn->batch = NULL;
	PQclear(conn->error);
	conn->error = NULL;
	return progress;
}

static enum progress fail(struct pgsql_conn *conn, enum fault fault)
{
	const char *message = PQresultErrorField(conn->error, PG_DIAG_MESSAGE_PRIMARY);
	struct error why;

	if (message)
		error_set(&why, "%s (SQLSTATE %s)", message,
			PQresultErrorField(conn->error, PG_DIAG_SQLSTATE));
	else
		error_set(&why, "%s", PQerrorMessage(conn->db));
	why.text[strcspn(why.text, "\n")] = '\0';
	return end(conn, batch_fail(conn->batch, fault, why.text));
}

/* Sending. */

static bool send_sql(struct pgsql_conn *conn, const char *sql)
{
	conn->before++;
	return PQsendQueryParams(conn->db, sql, 0, NULL, NULL, NULL, NULL, 0);
}

static bool send_prepare(struct pgsql_conn *conn, struct prepared *prepared, const char *name)
{
	if (conn->by_name && prepared->done)
		return true;
	conn->preparing = &prepared->done;
	return PQsendPrepare(conn->db, name, prepared->sql.data, 0, NULL);
}

/* The server is to forget it as well: this goes before whatever is asked next. */
static bool send_forget(struct pgsql_conn *conn, struct prepared *prepared)
{
	char sql[sizeof("DEALLOCATE ") + sizeof(prepared->name)];

	if (!prepared->done || !conn->by_name)
		return true;
	prepared->done = false;
	snprintf(sql, sizeof(sql), "DEALLOCATE %s", prepared->name);
	return send_sql(conn, sql);
}

static bool known_forget(struct pgsql_conn *conn)
{
	struct known *known = conn->asked;

	buf_clear(&known->types);
	return send_forget(conn, &known->alone) && send_forget(conn, &known->many);
}

/* Sends what has not gone yet. */
static enum progress flush(struct pgsql_conn *conn)
{
	int left = PQflush(conn->db);

	return left < 0 ? fail(conn, FAULT_CONNECTION) : left ? WANT_WRITE : WANT_READ;
}

static bool send_step(struct pgsql_conn *conn)
{
	struct known *known = conn->asked;
	bool is_many = conn->step == STEP_ASK && conn->batch->count > 1;
	struct prepared *prepared = is_many ? &known->many : &known->alone;
	const char *name = conn->by_name ? prepared->name : "";
	const char *types = known->types.data;
	int count = (int)conn->batch->questions[0].statement->part_count - 1;

	if (conn->step == STEP_TYPES)
		return PQsendQueryParams(conn->db, TYPES_SQL, 1, NULL, &types, NULL, NULL, 0);
	if (!send_prepare(conn, prepared, name))
		return false;
	if (conn->step == STEP_DESCRIBE)
		return PQsendDescribePrepared(conn->db, name);
	return PQsendQueryPrepared(conn->db, name, count, make_values(conn), NULL, NULL, 0);
}

/* Goes on with the first step that has not been done. */
static enum progress proceed(struct pgsql_conn *conn)
{
	const struct batch *batch = conn->batch;
	struct known *known = conn->asked;

	if (!known->types.size) {
		conn->step = STEP_DESCRIBE;
		buf_clear(&known->many.sql);
		make_alone(conn, batch->questions[0].statement);
	} else if (batch->count > 1 && !known->many.sql.size) {
		conn->step = STEP_TYPES;
	} else {
		conn->step = STEP_ASK;
	}
	conn->has_answer = false;
	if ((conn->needs_settings && !send_sql(conn, conn->settings.data)) || !send_step(conn) ||
		!PQpipelineSync(conn->db))
		return fail(conn, FAULT_CONNECTION);
	return flush(conn);
}

static enum progress pgsql_start(void *opaque, struct batch *batch)
{
	struct pgsql_conn *conn = opaque;
	const struct statement *statement = batch->questions[0].statement;

	conn->batch = batch;
	conn->asked = known_find(conn, statement->id);
	conn->is_fresh = false;
	if (!conn->asked->is_text)
		conn->asked->is_text = memory_new(statement->part_count, sizeof(bool));
	if (batch->count > 1 && !statement->params)
		return end(conn, SPLIT); /* there is nothing to tell them apart by */
	if (!batch->only_check && has_nul(batch))
		return end(conn, batch_fail(batch, FAULT_KEY, "there can be no NUL in a text"));
	if ((batch->only_check || clock_ms() - conn->asked->since > FRESH_MS) &&
		!known_forget(conn))
		return fail(conn, FAULT_CONNECTION);
	return proceed(conn);
}

/* Receiving. */

static void add_row(struct pgsql_conn *conn, const PGresult *result, int row)
{
	const struct batch *batch = conn->batch;
	bool is_many = batch->count > 1;
	int columns = PQnfields(result), first = is_many;
	long question = is_many ? atol(PQgetvalue(result, row, 0)) - 1 : 0;
	struct slice *cells;

	/* The key that a row is for is not a part of the answer. */
	first += batch->questions[0].statement->kind == STATEMENT_KEYS && columns - first > 1;
	buf_clear(&conn->values);
	cells = (struct slice *)buf_reserve(&conn->values, (size_t)columns * sizeof(*cells));
	for (int i = first; i < columns; i++)
		cells[i] = PQgetisnull(result, row, i)
				   ? slice_of(NULL, 0)
				   : slice_of(PQgetvalue(result, row, i),
					     (size_t)PQgetlength(result, row, i));
	if (question >= 0 && question < (long)batch->count)
		batch_add_row(
			conn->batch, (size_t)question, cells + first, (size_t)(columns - first));
}

static void take_types(struct pgsql_conn *conn, const PGresult *described)
{
	struct buf *types = &conn->asked->types;

	/* What brings no rows is no query: DELETE, COPY … It is not executed. */
	if (PQnfields(described) == 0)
		return;
	buf_add_byte(types, '{');
	for (int i = 0; i < PQnparams(described); i++)
		buf_add_format(types, "%s%u", i ? "," : "", PQparamtype(described, i));
	buf_add_byte(types, '}');
	buf_string(types);
}

static void take_good_result(struct pgsql_conn *conn, const PGresult *result)
{
	if (conn->before)
		return;
	if (conn->preparing) {
		*conn->preparing = true;
		conn->preparing = NULL;
	} else if (conn->step == STEP_DESCRIBE) {
		take_types(conn, result);
	} else if (conn->step == STEP_TYPES) {
		make_many(conn, conn->batch->questions[0].statement, result);
	} else if (PQresultStatus(result) != PGRES_COMMAND_OK) {
		conn->has_answer = true;
		for (int i = 0; i < PQntuples(result); i++)
			add_row(conn, result, i);
	}
}

/* Starts the batch over, as far as it has come. */
static enum progress ask_again(struct pgsql_conn *conn)
{
	PQclear(conn->error);
	conn->error = NULL;
	batch_clear(conn->batch);
	return proceed(conn);
}

/* concat('%s') takes anything, and so does not say what; of a literal it would be text. */
static bool declare_as_text(struct pgsql_conn *conn)
{
	const char *message = PQresultErrorField(conn->error, PG_DIAG_MESSAGE_PRIMARY);
	const char *number = message ? strchr(message, '$') : NULL;
	size_t param = number ? strtoul(number + 1, NULL, 10) : 0;

	if (!error_is(conn->error, PG_DIAG_SQLSTATE, "42P18") || param < 1 ||
		param >= conn->batch->questions[0].statement->part_count ||
		conn->asked->is_text[param - 1])
		return false;
	conn->asked->is_text[param - 1] = true;
	return true;
}

static enum progress take_error(struct pgsql_conn *conn)
{
	enum fault fault = find_fault(conn);
	bool has_lost_name = error_is(conn->error, PG_DIAG_SQLSTATE, "26000") ||
			     error_is(conn->error, PG_DIAG_SQLSTATE, "42P05");

	if (has_lost_name && conn->may_forget && conn->by_name) {
		conn->by_name = false;
		return ask_again(conn);
	}
	if (conn->step == STEP_DESCRIBE)
		return declare_as_text(conn) ? ask_again(conn) : fail(conn, fault);
	/* What was described before may no longer fit: XX is "cache lookup failed" and the like. */
	if (!conn->is_fresh &&
		(fault == FAULT_QUERY || error_is(conn->error, PG_DIAG_SQLSTATE, "XX")))
		return known_forget(conn) ? ask_again(conn) : fail(conn, FAULT_CONNECTION);
	/* The query itself was good enough to be described: so it's what was made of it. */
	if (conn->batch->count > 1 && fault == FAULT_QUERY)
		fault = FAULT_KEY;
	return fail(conn, fault);
}

/* All that was sent has been answered. */
static enum progress take_sync(struct pgsql_conn *conn)
{
	conn->before = 0;
	conn->preparing = NULL;
	if (conn->error)
		return take_error(conn);
	if (conn->step == STEP_ASK && conn->has_answer)
		return end(conn, batch_finish(conn->batch));
	if (conn->step == STEP_DESCRIBE && conn->asked->types.size) {
		conn->is_fresh = true;
		conn->asked->since = clock_ms();
		if (conn->batch->only_check)
			return end(conn, batch_finish(conn->batch));
		return proceed(conn);
	}
	if (conn->step == STEP_TYPES)
		return conn->asked->many.sql.size ? proceed(conn) : end(conn, SPLIT);
	return end(
		conn, batch_fail(conn->batch, FAULT_QUERY, "the query brings no rows: it is none"));
}

static enum progress take_results(struct pgsql_conn *conn)
{
	bool was_end = false;

	while (!PQisBusy(conn->db)) {
		PGresult *result = PQgetResult(conn->db);
		ExecStatusType status = PQresultStatus(result);

		if (!result && (was_end || PQstatus(conn->db) == CONNECTION_BAD))
			return fail(conn, FAULT_CONNECTION);
		was_end = !result;
		if (was_end) {
			conn->before -= conn->before > 0;
			PQsetSingleRowMode(conn->db);
		} else if (status == PGRES_FATAL_ERROR && !conn->error) {
			conn->error = result;
			continue;
		} else if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ||
			   status == PGRES_SINGLE_TUPLE) {
			take_good_result(conn, result);
		}
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

/*
 * Takes what has arrived. Of what TLS has decrypted libpq may leave up to 8 KB (half a record)
 * behind, which poll() does not see.
 */
static bool take_input(struct pgsql_conn *conn)
{
	bool alive = PQconsumeInput(conn->db), was_readable = true;

	if (!PQsslInUse(conn->db))
		return alive;
	for (int i = 0; i < READS_MOST && alive && was_readable && PQisBusy(conn->db); i++) {
		was_readable = is_readable(conn->fd);
		alive = PQconsumeInput(conn->db);
	}
	return alive;
}

static enum progress pgsql_advance(void *opaque)
{
	struct pgsql_conn *conn = opaque;
	bool alive = take_input(conn);
	enum progress progress;

	if (!conn->batch) {
		PQisBusy(conn->db); /* reads the notices that may have come */
		return alive && PQstatus(conn->db) == CONNECTION_OK ? DONE : LOST;
	}
	progress = take_results(conn);
	return alive || !conn->batch ? progress : fail(conn, FAULT_CONNECTION);
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
	.check = pgsql_check,
	.open = pgsql_open,
	.start = pgsql_start,
	.advance = pgsql_advance,
	.fd = pgsql_fd,
	.cancel = pgsql_cancel,
	.close = pgsql_close,
};
