/*
 * A database server that a test plays, and the connector by which the engine reaches it. Nothing
 * happens by itself: the test says when an opening has worked or failed, and when a connection is
 * ready. What is answered follows from the key's first letter, so that a wrong answer shows:
 *
 *	f…  found, as "statement:key"
 *	p…  poison: it fails alone, and has a batch split
 *	else not found
 *
 * or, if the test has lists of them, from these.
 *
 * `own` of the source_config is the struct server_fake itself, which outlives the source.
 */
#ifndef TABLED_TESTS_SUPPORT_SERVER_FAKE_H
#define TABLED_TESTS_SUPPORT_SERVER_FAKE_H

#include "engine/connector.h"
#include "support/unit.h"

#include <utlist.h>

/*
 * What is checked very often. check's own assertions send a message each time, whether or not they
 * hold.
 */
#define must_say(condition, text)                                                                  \
	do {                                                                                       \
		if (!(condition))                                                                  \
			ck_abort_msg("%s", text);                                                  \
	} while (0)
#define must(condition) must_say(condition, #condition)

/* A connection, as the server and the connector see it. */
struct link {
	struct connection *connection; /* borrowed */
	struct server_conn *conn;      /* borrowed; NULL until it is open */
	unsigned number;               /* 1, 2 … in the order of opening */
	bool opening, watched, writing;
	bool rings;             /* until the engine has looked */
	struct batch *batch;    /* under way; NULL: none */
	enum progress progress; /* what advance() says next */
	char host[64];
	char password[64];
	struct link *prev, *next;
};

struct server_conn {
	struct server_fake *fake;
	struct link *link;
};

struct server_fake {
	struct connector connector;
	struct server_fake *network; /* borrowed; whose connector is used: mostly its own */
	struct link *links;          /* list, oldest first: all that were not closed */
	struct link *opener;         /* whose open() runs */
	const char *refusal;         /* why that fails; NULL: it works */
	uint64_t now, took;          /* ms; µs that an opening takes */
	bool at_once;                /* batches are answered inside start() */
	const char *loses;           /* inside start() the connection is lost, for this reason */
	const char *const *found, *const *poison; /* lists of keys, NULL at the end; may be NULL */
	const char *const *unlucky; /* likewise: these fail, and might do better another time */
	size_t batch_most;          /* what the pool was told */
	void (*told)(struct question *question); /* called for each answer; may be NULL */
	unsigned asked_opens, opened, refused, closed, cancelled;
	unsigned started, checked, watches;
	size_t most;      /* links at a time */
	struct buf asked; /* each batch: its keys, parted by ','; then a blank */
};

static inline struct server_fake *fake_of(struct connector *connector)
{
	return (struct server_fake *)connector;
}

static inline size_t server_links(const struct server_fake *fake)
{
	const struct link *link;
	size_t count = 0;

	DL_FOREACH (fake->links, link) {
		count++;
	}
	return count;
}

/* The connector. */

static inline void server_connector_open(struct connector *connector, struct connection *connection)
{
	struct server_fake *fake = fake_of(connector);
	struct link *link = calloc(1, sizeof(*link));
	size_t count;

	link->connection = connection;
	link->number = ++fake->asked_opens;
	link->opening = true;
	*connection_handle(connection) = link;
	DL_APPEND(fake->links, link);
	count = server_links(fake);
	fake->most = count > fake->most ? count : fake->most;
}

static inline void server_connector_watch(
	struct connector *connector, struct connection *connection, bool writing)
{
	struct link *link = *connection_handle(connection);

	must(!link->opening);
	must(connection_fd(connection) == 100 + (int)link->number);
	fake_of(connector)->watches++;
	link->watched = true;
	link->writing = writing;
}

static inline void server_connector_close(
	struct connector *connector, struct connection *connection, bool cancel)
{
	struct server_fake *fake = fake_of(connector);
	struct link *link = *connection_handle(connection);

	must(!link->opening);
	DL_DELETE(fake->links, link);
	fake->closed++;
	connection_close(connection, cancel);
	free(link);
}

/* The driver. */

static inline int server_open(
	void *opaque, const void *config, const struct server *server, struct error *why)
{
	struct server_conn *conn = opaque;
	struct server_fake *fake = (struct server_fake *)config;

	must(!conn->fake); /* the memory arrives zeroed */
	must(fake->network->opener);
	conn->fake = fake;
	conn->link = fake->network->opener;
	conn->link->conn = conn;
	snprintf(conn->link->host, sizeof(conn->link->host), "%s:%u",
		server->host ? server->host : "", server->port);
	snprintf(conn->link->password, sizeof(conn->link->password), "%s",
		server->password ? server->password : "(none)");
	if (fake->network->refusal)
		return error_set(why, "%s", fake->network->refusal);
	return 0;
}

/* Of a command its text. */
static inline struct slice server_key(const struct question *question)
{
	if (question->params)
		return question->params[0];
	return slice_str(question->statement->part_count || question->statement->params
				 ? "(check)"
				 : question->statement->text);
}

static inline bool server_has(const char *const *list, char letter, struct slice key)
{
	if (!list)
		return key.size && key.data[0] == letter;
	for (; *list; list++)
		if (slice_equal(key, slice_str(*list)))
			return true;
	return false;
}

static inline void server_answer_one(const struct server_fake *fake, struct batch *batch, size_t at)
{
	struct question *question = &batch->questions[at];
	struct slice key = server_key(question), cell;
	struct buf text = {0};

	if (!batch->only_check && server_has(fake->found, 'f', key)) {
		buf_add_format(&text, "%zu:%.*s", question->statement->id, SLICE_ARGS(key));
		cell = buf_slice(&text);
		batch_add_row(batch, at, &cell, 1);
		buf_finish(&text);
	}
	/* As many rows as its key has bytes; ?0 meets none. */
	if (question->statement->kind == STATEMENT_ONCE)
		question->changed = slice_equal(key, slice_str("?0")) ? 0 : key.size;
}

/* As a driver does that has read all rows. */
static inline enum progress server_answer(struct server_fake *fake, struct batch *batch)
{
	enum progress progress = DONE;

	for (size_t i = 0; i < batch->count && progress == DONE; i++) {
		struct slice key = server_key(&batch->questions[i]);

		if (server_has(fake->poison, 'p', key)) {
			progress = batch_fail(batch, FAULT_KEY, "this key is poison");
			if (progress == SPLIT)
				return SPLIT;
		}
		if (fake->unlucky && server_has(fake->unlucky, 0, key))
			return batch_fail(batch, FAULT_MOMENT, "this key is unlucky");
		server_answer_one(fake, batch, i);
	}
	batch_finish(batch);
	for (size_t i = 0; i < batch->count && fake->told; i++)
		fake->told(&batch->questions[i]);
	return progress;
}

/* What every driver relies on. */
static inline void server_check_batch(const struct server_fake *fake, const struct batch *batch)
{
	const struct statement *statement = batch->questions[0].statement;

	must(batch->count >= 1);
	must(batch->count <= fake->batch_most);
	if (statement->kind == STATEMENT_ALONE || statement->kind == STATEMENT_ONCE ||
		batch->only_check)
		must(batch->count == 1);
	for (size_t i = 0; i < batch->count; i++) {
		const struct question *question = &batch->questions[i];

		must(question->statement == statement);
		must(question->status == TRY_LATER);
		must(question->rows->count == 0);
		must(question->why);
	}
}

static inline void server_note(struct server_fake *fake, const struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		buf_add_string(&fake->asked, i ? "," : "");
		buf_add_slice(&fake->asked, server_key(&batch->questions[i]));
	}
	buf_add_byte(&fake->asked, ' ');
}

static inline enum progress server_start(void *opaque, struct batch *batch)
{
	struct server_conn *conn = opaque;
	struct server_fake *fake = conn->fake;

	must(!conn->link->batch); /* one at a time */
	server_check_batch(fake, batch);
	server_note(fake, batch);
	fake->started++;
	fake->checked += batch->only_check;
	if (fake->loses) {
		error_set(batch->questions[0].why, "%s", fake->loses);
		return LOST;
	}
	if (fake->at_once)
		return server_answer(fake, batch);
	conn->link->batch = batch;
	return WANT_READ;
}

static inline enum progress server_advance(void *opaque)
{
	struct link *link = ((struct server_conn *)opaque)->link;
	enum progress progress = link->progress;

	if (progress != WANT_READ && progress != WANT_WRITE)
		link->batch = NULL;
	return progress;
}

static inline int server_fd(const void *opaque)
{
	const struct server_conn *conn = opaque;

	return 100 + (int)conn->link->number;
}

static inline bool server_rang(void *opaque)
{
	struct link *link = ((struct server_conn *)opaque)->link;
	bool rang = link->rings;

	link->rings = false;
	return rang;
}

static inline void server_cancel(void *opaque)
{
	((struct server_conn *)opaque)->fake->cancelled++;
}

/* What was never open comes here, too, zeroed: the password could not be read. */
static inline void server_close(void *opaque)
{
	struct server_conn *conn = opaque;

	must(!conn->fake || conn->link->conn == conn);
}

static const struct setting server_fake_settings[] = {{0}};

static const struct dialect server_fake_dialect = {.placeholder = '$', .numbered = true};

static const struct backend server_backend = {
	.name = "server",
	.settings = server_fake_settings,
	.config_size = sizeof(struct server_fake),
	.conn_size = sizeof(struct server_conn),
	.dialect = &server_fake_dialect,
	.is_server = true,
	.usual_port = 1234,
	.open = server_open,
	.start = server_start,
	.advance = server_advance,
	.rang = server_rang,
	.fd = server_fd,
	.cancel = server_cancel,
	.close = server_close,
};

static inline void server_fake_init(struct server_fake *fake, size_t batch_most)
{
	*fake = (struct server_fake){.connector = {server_connector_open, server_connector_watch,
					     server_connector_close},
		.network = fake,
		.batch_most = batch_most,
		.took = 250};
}

/* All that was opened has been closed. */
static inline void server_fake_finish(struct server_fake *fake)
{
	must(!fake->links);
	must(fake->opened + fake->refused == fake->closed);
	buf_finish(&fake->asked);
}

/* What happens to a connection. The link is gone if the engine closes it. */

/* The opening is over: it has worked, or has failed for a reason. */
static inline void link_opened(struct server_fake *fake, struct link *link, const char *refusal)
{
	struct connection *connection = link->connection;

	must(link->opening);
	link->opening = false;
	fake->opener = link;
	fake->refusal = refusal;
	connection_open(connection, fake->now * 1000);
	fake->opener = NULL;
	if (refusal)
		fake->refused++;
	else
		fake->opened++;
	connection_opened(connection, fake->now * 1000 + fake->took, fake->now);
}

static inline void link_ready(struct server_fake *fake, struct link *link, enum progress progress)
{
	must(link->watched);
	link->progress = progress;
	connection_ready(link->connection, fake->now);
}

/* The server answers the batch; poison has it split. */
static inline void link_answers(struct server_fake *fake, struct link *link)
{
	must(link->batch);
	link_ready(fake, link, server_answer(link->conn->fake, link->batch));
}

/* It fails though no single question is at fault. */
static inline void link_splits(struct server_fake *fake, struct link *link, const char *why)
{
	must(link->batch);
	error_set(link->batch->questions[0].why, "%s", why);
	link_ready(fake, link, SPLIT);
}

/* The connection breaks, in the middle of a batch or without one. */
static inline void link_breaks(struct server_fake *fake, struct link *link, const char *why)
{
	if (link->batch)
		error_set(link->batch->questions[0].why, "%s", why);
	link_ready(fake, link, LOST);
}

#endif
