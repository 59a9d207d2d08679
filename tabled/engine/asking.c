/*
 * What an open connection is asked: a batch goes out, and what comes of it. Each of its questions
 * is answered, or put back into its line to be asked again, alone or in a smaller batch.
 */
#include "base/log.h"
#include "engine/pool_internal.h"

#include <utlist.h>

enum {
	LOSSES_MAX = 3,
	ONE_PATIENCE = 2, /* the share of the time left for one alone, if there is another host */
	GIVE_UPS_MAX = 2, /* after these, one that is alone gets all the time */
};

bool pool_suspects(const struct pool *pool, const struct ask *ask, uint64_t now)
{
	return !ask->only_check && !ask->transaction &&
	       suspects_hold(&pool->suspects, &ask->question, now);
}

/* From now on it is asked alone, and not by many connections at a time. */
static void pool_suspect(struct pool *pool, struct ask *ask, uint64_t now)
{
	suspects_add(&pool->suspects, &ask->question, now);
	lines_set_aside(&pool->lines, ask);
}

/*
 * Until when the answers are waited for. Several questions don't wait long for one of them; then
 * each is asked alone, and not for long before it is known which of them was the slow one.
 */
static uint64_t give_up_time(const struct connection *connection, uint64_t now)
{
	const struct pool *pool = connection->pool;
	uint64_t deadline = connection->asks[0]->deadline;
	uint64_t left = deadline > now ? deadline - now : 0;
	unsigned given_up = connection->asks[0]->given_up;

	/* It can't be asked elsewhere once it may have been committed. */
	if (connection->asks[0]->transaction)
		return deadline;
	if (connection->batch.count == 1 && (connection->asks_suspect || given_up >= GIVE_UPS_MAX))
		return deadline;
	if (connection->batch.count > 1 || given_up)
		return now + left / MANY_PATIENCE;
	for (size_t i = 0; i < pool->hosts.count; i++) {
		const struct host *host = &pool->hosts.items[i];

		if (host != connection->host && !host->down)
			return now + left / ONE_PATIENCE;
	}
	return deadline;
}

static void connection_advance(struct connection *connection, enum progress progress, uint64_t now);

/* The driver gives up before its asker does, so that there is time to hear of it. */
static void begin_transaction(struct connection *connection, uint64_t idle, uint64_t now)
{
	uint64_t give_up_at = now + (uint64_t)connection->server.query_timeout;

	if (connection->batch.deadline > give_up_at)
		connection->batch.deadline = give_up_at;
	transaction_start(connection, idle, now);
}

void connection_ask(struct connection *connection, struct line *line, uint64_t now)
{
	struct pool *pool = connection->pool;
	uint64_t idle = now - connection->since;
	size_t count;

	connection->asks_suspect = line == lines_suspect(&pool->lines);
	count = lines_take(
		&pool->lines, line, connection->asks, (size_t)pool->config->server->batch, now);
	connection->batch = (struct batch){.questions = connection->questions,
		.count = count,
		.deadline = connection->asks[0]->deadline,
		.only_check = connection->asks[0]->only_check};
	for (size_t i = 0; i < count; i++)
		connection->questions[i] = connection->asks[i]->question;
	batch_clear(&connection->batch);
	if (connection->asks[0]->transaction)
		begin_transaction(connection, idle, now);
	connection->state = CONNECTION_ASKING;
	connection->since = now;
	connection->give_up_at = give_up_time(connection, now);
	connection->host_answers = connection->host->answers;
	connection->line_answers = connection->asks[0]->home->answers;
	pool->busy++;
	pool->suspects_asked += connection->asks_suspect;
	connection->is_pressed = pool->lines.waiting > pool->lines.suspects;
	pool->total.batches++;
	pool->total.questions += count;
	/* The one that was used last is used again: the others may go. */
	DL_DELETE(pool->connections, connection);
	DL_PREPEND(pool->connections, connection);
	connection_advance(
		connection, connection->backend->start(connection->conn, &connection->batch), now);
}

static void connection_free_up(struct connection *connection, uint64_t now)
{
	struct pool *pool = connection->pool;

	connection->state = CONNECTION_IDLE;
	connection->since = now;
	pool->busy--;
	pool->suspects_asked -= connection->asks_suspect;
	/* A socket is nearly always writable: watching for it would keep the worker awake. */
	if (connection->writing)
		pool->connector->watch(pool->connector, connection, false);
	connection->writing = false;
}

/* Puts back what was not answered, in its order and before what waits. */
static void put_back(struct connection *connection, size_t share, uint64_t now)
{
	struct pool *pool = connection->pool;

	for (size_t i = connection->batch.count; i-- > 0;) {
		struct ask *ask = connection->asks[i];
		bool set_aside = ask && pool_suspects(pool, ask, now);

		if (set_aside)
			ask->home = lines_suspect(&pool->lines);
		if (ask)
			lines_put_back(&pool->lines, ask, set_aside ? 1 : share);
	}
}

/*
 * How long a question takes: an eighth of the newest batch, seven of what was known. A batch that
 * could have been larger only says that nobody has to wait, so that what was known fades. A suspect
 * says nothing of it, nor does what can't have company, or was found wanting in it.
 */
static void pool_keep_pace(struct pool *pool, const struct connection *connection, uint64_t now)
{
	if (connection->asks_suspect ||
		connection->asks[0]->share < (size_t)pool->config->server->batch)
		return;
	pool->spent -= pool->spent / 8;
	if (!connection->is_pressed)
		return;
	pool->spent += (now - connection->since) * 1000;
	pool->answered += connection->batch.count * 1000 - pool->answered / 8;
}

static void connection_hear(struct connection *connection, uint64_t now)
{
	struct source *source = connection->pool->source;

	if (source->rang && connection->backend->rang &&
		connection->backend->rang(connection->conn))
		source->rang(source->rang_owner, now);
}

/* Is there another step to ask of a transaction? Then it was asked. */
static bool has_gone_on(struct connection *connection, uint64_t now)
{
	if (!connection->asks[0]->transaction || !transaction_go_on(connection, now))
		return false;
	connection_advance(
		connection, connection->backend->start(connection->conn, &connection->batch), now);
	return true;
}

static void connection_done(struct connection *connection, uint64_t now)
{
	struct pool *pool = connection->pool;
	size_t count = connection->batch.count;

	if (has_gone_on(connection, now))
		return;
	pool_keep_pace(pool, connection, now);
	connection->host->doubtful = false;
	connection->host->answers++;
	connection->asks[0]->home->answers++;
	connection_free_up(connection, now);
	source_set_state(pool->source, SOURCE_UP, NULL, now);
	/* Found out by splitting: from now on it is asked alone. */
	if (count == 1 && connection->asks[0]->was_split &&
		connection->questions[0].status == BROKEN) {
		pool_suspect(pool, connection->asks[0], now);
		lines_forgive(&pool->lines, connection->asks[0]);
	}
	if (count > 1)
		lines_forgive(&pool->lines, connection->asks[0]);
	for (size_t i = 0; i < count; i++) {
		connection->asks[i]->question = connection->questions[i];
		connection->asks[i]->done(connection->asks[i], now);
	}
	/* After what was answered: that may be older than the bell. */
	connection_hear(connection, now);
	if (connection->retiring)
		connection_drop(connection, false);
}

/* One of several questions is at fault: ask them in halves, until it stands alone. */
static void connection_split(struct connection *connection, uint64_t now)
{
	struct pool *pool = connection->pool;
	size_t count = connection->batch.count;

	if (lines_blame(&pool->lines, connection->asks[0], now))
		log_info("source=%s: a query is asked for one key at a time for a while, since it "
			 "fails for several (%s): %.100s",
			pool->config->name, connection->questions[0].why->text,
			connection->questions[0].statement->text);
	connection_free_up(connection, now);
	for (size_t i = 0; i < count; i++)
		connection->asks[i]->was_split = true;
	put_back(connection, (count + 1) / 2, now);
	if (connection->retiring)
		connection_drop(connection, false);
}

/* Nothing more will be heard of it: may it have been committed? */
static bool is_unsure(const struct connection *connection, const struct ask *ask)
{
	return ask->transaction && !connection->batch.is_refused &&
	       transaction_is_unsure(ask->transaction);
}

/* It has no answer, and won't be asked again: a transaction may have happened all the same. */
static void fail_ask(
	const struct connection *connection, struct ask *ask, const struct error *why, uint64_t now)
{
	struct source *source = connection->pool->source;

	if (!is_unsure(connection, ask)) {
		source_fail_ask_with(source, ask, why, now);
		return;
	}
	ask->question.status = UNSURE;
	error_set(ask->question.why, "source %s: %s, while it was being committed",
		source->config->name, why->text);
	ask->done(ask, now);
}

static bool may_be_asked_again(const struct connection *connection, struct ask *ask, uint64_t now)
{
	return ++ask->losses < LOSSES_MAX && now < ask->deadline && !is_unsure(connection, ask);
}

/* The connection is gone: what it was asked is asked again elsewhere, within limits. */
static void connection_lose(struct connection *connection, uint64_t now)
{
	struct pool *pool = connection->pool;
	struct error why = *connection->questions[0].why;
	size_t count = connection->batch.count;
	bool is_last_try = false;

	pool->total.lost++;
	if (log_limit_pass(&pool->limit, now, "lost connections"))
		log_info("source=%s host=%s: a connection was lost: %s", pool->config->name,
			connection->host->text, why.text);
	for (size_t i = 0; i < count; i++) {
		struct ask *ask = connection->asks[i];

		if (may_be_asked_again(connection, ask, now)) {
			is_last_try |= ask->losses + 1 == LOSSES_MAX;
			continue;
		}
		connection->asks[i] = NULL;
		fail_ask(connection, ask, &why, now);
	}
	put_back(connection, count > 1 ? (count + 1) / 2 : 1, now);
	host_doubt(connection->host, now);
	/* Behind a server that was started anew all of them are stale. */
	if (is_last_try)
		connections_drop_idle(pool, connection->host);
	connection_drop(connection, false);
}

static void connection_advance(struct connection *connection, enum progress progress, uint64_t now)
{
	struct pool *pool = connection->pool;
	bool writing = progress == WANT_WRITE;

	switch (progress) {
	case DONE:
		connection_done(connection, now);
		break;
	case SPLIT:
		/* One question can't be: a driver that says so has no answer to it. */
		if (connection->batch.count > 1)
			connection_split(connection, now);
		else
			connection_done(connection, now);
		break;
	case BUSY:
	case LOST:
		connection_lose(connection, now);
		break;
	case WANT_READ:
	case WANT_WRITE:
		if (writing != connection->writing)
			pool->connector->watch(pool->connector, connection, writing);
		connection->writing = writing;
		break;
	}
}

void connection_ready(struct connection *connection, uint64_t now)
{
	enum progress progress = connection->backend->advance(connection->conn);

	if (connection->state == CONNECTION_ASKING)
		connection_advance(connection, progress, now);
	else if (progress == LOST)
		connection_drop(connection, false);
	else
		connection_hear(connection, now);
}

/* A question that is past its deadline, on a connection that does not answer. */
static void fail_slow(struct connection *connection, size_t at, uint64_t now)
{
	struct pool *pool = connection->pool;
	struct ask *ask = connection->asks[at];
	struct error why;

	connection->asks[at] = NULL;
	if (connection->batch.count == 1 && !ask->only_check && !ask->transaction)
		pool_suspect(pool, ask, now);
	error_set(&why, "no answer within query_timeout");
	fail_ask(connection, ask, &why, now);
}

/* Its one question was too slow in company, and now is alone, while others were answered. */
static bool is_to_blame(const struct connection *connection)
{
	const struct ask *ask = connection->asks[0];

	return connection->batch.count == 1 && ask->given_up && !ask->only_check &&
	       !ask->transaction && connection->host->answers > connection->host_answers &&
	       ask->home->answers > connection->line_answers;
}

void connection_give_up(struct connection *connection, uint64_t now)
{
	if (is_to_blame(connection))
		pool_suspect(connection->pool, connection->asks[0], now);
	for (size_t i = 0; i < connection->batch.count; i++) {
		connection->asks[i]->given_up++;
		if (now >= connection->asks[i]->deadline)
			fail_slow(connection, i, now);
	}
	put_back(connection, 1, now);
	connection_drop(connection, true);
}
