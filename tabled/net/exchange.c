/*
 * What becomes of a client's requests: each is asked of whoever knows the answer, and the replies
 * get into the client's buffer in the order of the requests. Only the session of a conversation has
 * an order of its own. How much may be under way is decided here.
 */
#include "net/internal.h"

#include "base/memory.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	IN_FLIGHT_MAX = 256,        /* requests */
	OUT_MAX_BYTES = 256 * 1024, /* of replies; one more may still be added */
};

size_t conn_owes(const struct conn *conn)
{
	return conn->in_flight + (conn->session ? dict_session_pending(conn->session) : 0);
}

bool conn_has_no_room(const struct conn *conn)
{
	return conn->held + conn->out.size + conn->sending.size >= OUT_MAX_BYTES;
}

bool conn_is_full(const struct conn *conn)
{
	return conn_owes(conn) >= IN_FLIGHT_MAX || conn_has_no_room(conn) ||
	       (conn->session && dict_session_commits(conn->session));
}

void conn_log(struct conn *conn, const char *what, const char *why)
{
	struct listener *listener = conn->listener;

	listener->refused++;
	if (log_limit_pass(&listener->limit, loop_now(listener->loop), "refused requests"))
		log_warning("listener=%s: %s: %s", listener->address, what, why);
}

static void conn_put(struct conn *conn, const struct reply *reply, struct buf *out)
{
	struct error why;
	char what[320];

	if (conn->listener->proto->put(out, reply, &why) == 0)
		return;
	snprintf(what, sizeof(what), "map=%.255s: a result was turned into an error",
		reply->map ? reply->map : "");
	conn_log(conn, what, why.text);
}

static void exchange_end(struct exchange *exchange, struct loop *loop)
{
	buf_wipe(&exchange->bytes);
	exchange->next = loop->spare;
	loop->spare = exchange;
}

static struct exchange *exchange_begin(struct conn *conn)
{
	struct loop *loop = conn->listener->loop;
	struct exchange *exchange = loop->spare;

	if (exchange)
		loop->spare = exchange->next;
	else
		exchange = memory_new(1, sizeof(*exchange));
	exchange->conn = conn;
	exchange->answered = false;
	exchange->next = NULL;
	if (conn->last && conn->first)
		conn->last->next = exchange;
	else
		conn->first = exchange;
	conn->last = exchange;
	conn->in_flight++;
	return exchange;
}

/* Writes the replies at the head of the queue, up to the first that is not there yet. */
static void conn_collect(struct conn *conn)
{
	while (conn->first && conn->first->answered) {
		struct exchange *exchange = conn->first;

		conn->first = exchange->next;
		conn->in_flight--;
		conn->held -= exchange->bytes.size;
		buf_add_slice(&conn->out, buf_slice(&exchange->bytes));
		exchange_end(exchange, conn->listener->loop);
	}
}

/* The answer to a request: lookup_done. */
static void exchange_done(void *owner, const struct reply *reply)
{
	struct exchange *exchange = owner;
	struct conn *conn = exchange->conn;

	if (!conn) {
		buf_wipe(&exchange->bytes);
		free(exchange);
		return;
	}
	if (exchange != conn->first) {
		exchange->answered = true;
		conn_put(conn, reply, &exchange->bytes);
		conn->held += exchange->bytes.size;
		return;
	}
	conn->first = exchange->next;
	conn->in_flight--;
	conn_put(conn, reply, &conn->out);
	exchange_end(exchange, conn->listener->loop);
	conn_collect(conn);
	if (!conn->processing)
		conn_settle(conn);
}

static void conn_submit(struct conn *conn, struct request *request)
{
	struct listener *listener = conn->listener;
	struct loop *loop = listener->loop;
	struct exchange *exchange = exchange_begin(conn);

	listener->requests++;
	if (listener->proto->kind == PROTO_COMMAND) {
		assert(loop->commands.run);
		loop->commands.run(loop->commands.context, request->key, loop_now(loop),
			exchange_done, exchange);
		return;
	}
	if (listener->proto->kind == PROTO_ONE_MAP)
		request->map = slice_str(listener->map);
	engine_lookup(loop->current.engine, request, loop_now(loop), NULL, exchange_done, exchange);
}

/* A request that can't be served gets its error in its turn. */
static void conn_refuse(struct conn *conn, const struct error *why)
{
	struct reply reply = {BROKEN, slice_str(why->text), NULL};

	conn_log(conn, "a request was refused", why->text);
	exchange_done(exchange_begin(conn), &reply);
}

/* Lookups that are out come back to an exchange that has lost its client. */
void conn_forget(struct conn *conn)
{
	while (conn->first) {
		struct exchange *exchange = conn->first;

		conn->first = exchange->next;
		exchange->conn = NULL;
		if (exchange->answered)
			exchange_end(exchange, conn->listener->loop);
	}
	dict_session_leave(conn->session);
	conn->session = NULL;
}

/* --- Conversations, whose replies are the session's */

static struct conn *conn_of(const struct dict_client *client)
{
	return (struct conn *)((uintptr_t)client - offsetof(struct conn, dict));
}

static void on_replies(struct dict_client *client)
{
	struct conn *conn = conn_of(client);

	if (!conn->processing)
		conn_settle(conn);
}

static bool has_no_room(const struct dict_client *client)
{
	return conn_has_no_room(conn_of(client));
}

/* Who says what can't be understood is told nothing: his client takes any line for a reply. */
static void conn_converse(struct conn *conn, char *line, size_t size)
{
	struct loop *loop = conn->listener->loop;
	struct error why;

	conn->listener->requests++;
	if (dict_session_line(
		    conn->session, loop->current.engine, line, size, loop_now(loop), &why) == 0)
		return;
	conn_log(conn, "a client was disconnected", why.text);
	conn->ending = true;
}

void conn_start_session(struct conn *conn)
{
	conn->dict = (struct dict_client){
		&conn->listener->dictionaries, &conn->out, on_replies, has_no_room};
	conn->session = dict_session_create(&conn->dict);
}

/* --- Either */

void conn_serve(struct conn *conn, enum cut cut, struct request *request, const struct error *why)
{
	if (cut != CUT_REQUEST && !conn->session)
		conn_refuse(conn, why);
	else if (cut != CUT_REQUEST)
		conn_log(conn, "a client was disconnected", why->text);
	else if (conn->session)
		conn_converse(conn, (char *)(uintptr_t)request->key.data, request->key.size);
	else
		conn_submit(conn, request);
}
