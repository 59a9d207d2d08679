#include "engine/pool.h"

#include "base/log.h"
#include "base/memory.h"
#include "engine/hosts.h"
#include "engine/line.h"
#include "engine/suspects.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <utlist.h>

enum {
	USUAL_CONNECTIONS = 2, /* more share the server's processors, but make smaller batches */
	GROW_AFTER_MS = 50,    /* that a question has waited */
	GROW_PAUSE_MS = 1000,  /* after a server that is up has refused one more */
	LOSSES_MAX = 3,
	MANY_PATIENCE = 4, /* the share of the time left that several questions get together */
	ONE_PATIENCE = 2,  /* … and one alone, if there is another host to ask */
	GIVE_UPS_MAX = 2,  /* after these, one that is alone gets all the time */
};

enum connection_state { CONNECTION_OPENING, CONNECTION_IDLE, CONNECTION_ASKING };

struct connection {
	struct pool *pool;
	struct host *host;
	const struct backend *backend;
	const void *own; /* the driver's options; only good until it is open */
	struct server server;
	void *conn;   /* owned; the driver's */
	void *handle; /* the connector's */
	int result;   /* of opening; why it failed */
	struct error why;
	uint64_t opening_since; /* µs */
	enum connection_state state;
	bool writing;        /* watched for it */
	bool retiring;       /* to be closed once it is free: a better host is back */
	bool asks_suspect;   /* its one question is one */
	bool is_pressed;     /* others waited when it was asked */
	uint64_t since;      /* ms; of the state */
	uint64_t give_up_at; /* ms; while busy */
	uint64_t host_answers, line_answers; /* that there were when it was asked */
	struct ask **asks;                   /* owned, as is the next: room for a whole batch */
	struct question *questions;
	struct batch batch;
	struct connection *prev, *next;
};

struct pool {
	struct source *source;
	const struct source_config *config;
	struct connector *connector;
	struct hosts hosts;
	struct lines lines;
	struct suspects suspects;
	struct connection *connections; /* list; those that were used last come first */
	size_t opening, live, busy, suspects_asked;
	uint64_t grow_at; /* ms; not before */
	/* Of late, while others waited: what a question takes of a connection is their ratio. */
	uint64_t spent, answered; /* µs; thousandths of questions */
	struct pool_status total;
	struct log_limit limit;
};

struct pool *pool_create(struct source *source, struct connector *connector)
{
	struct pool *pool = memory_new(1, sizeof(*pool));

	assert(connector);
	pool->source = source;
	pool->config = source->config;
	pool->connector = connector;
	/* Addresses differ from daemon to daemon: seed enough for jitter. */
	hosts_init(&pool->hosts, pool->config->server, (uint64_t)(uintptr_t)pool);
	return pool;
}

size_t pool_opening(const struct pool *pool)
{
	return pool->opening;
}

void pool_status(const struct pool *pool, struct pool_status *status)
{
	*status = pool->total;
	status->live = pool->live;
	status->busy = pool->busy;
	status->waiting = pool->lines.waiting;
}

/* Opening. */

static void connection_create(struct pool *pool, struct host *host, uint64_t now)
{
	const struct server_settings *settings = pool->config->server;
	struct connection *connection = memory_new(1, sizeof(*connection));

	*connection = (struct connection){.pool = pool,
		.host = host,
		.backend = pool->config->backend,
		.own = pool->config->own,
		.server = {.settings = settings,
			.host = host->address.host,
			.port = host->address.port,
			.query_timeout = pool->config->settings->query_timeout},
		.conn = memory_new(1, pool->config->backend->conn_size),
		.since = now,
		.asks = memory_new((size_t)settings->batch, sizeof(struct ask *)),
		.questions = memory_new((size_t)settings->batch, sizeof(struct question))};
	DL_APPEND(pool->connections, connection);
	pool->opening++;
	host->opening++;
	pool->connector->open(pool->connector, connection);
}

void connection_open(struct connection *connection, uint64_t now)
{
	char *password;

	connection->opening_since = now;
	connection->result =
		server_password(connection->server.settings, &password, &connection->why);
	if (connection->result < 0)
		return;
	connection->server.password = password;
	connection->result = connection->backend->open(
		connection->conn, connection->own, &connection->server, &connection->why);
	connection->server.password = NULL;
	server_password_wipe(password);
}

void connection_close(struct connection *connection, bool cancel)
{
	if (cancel && connection->backend->cancel)
		connection->backend->cancel(connection->conn);
	connection->backend->close(connection->conn);
	free(connection->conn);
	free(connection->asks);
	free(connection->questions);
	free(connection);
}

void **connection_handle(struct connection *connection)
{
	return &connection->handle;
}

int connection_fd(const struct connection *connection)
{
	return connection->backend->fd(connection->conn);
}

/* Takes it out of the pool and has it closed. Whatever it was asked has been dealt with. */
static void connection_drop(struct connection *connection, bool cancel)
{
	struct pool *pool = connection->pool;

	DL_DELETE(pool->connections, connection);
	if (connection->state != CONNECTION_OPENING) {
		pool->live--;
		connection->host->live--;
		/* With none left, there is nothing to be content with. */
		if (!pool->live)
			pool->grow_at = 0;
	}
	if (connection->state == CONNECTION_ASKING) {
		pool->busy--;
		pool->suspects_asked -= connection->asks_suspect;
	}
	pool->connector->close(pool->connector, connection, cancel);
}

void pool_destroy(struct pool *pool)
{
	struct connection *connection, *next;

	if (!pool)
		return;
	assert(!pool->opening && !pool->busy && !pool->lines.waiting);
	DL_FOREACH_SAFE (pool->connections, connection, next) {
		connection_drop(connection, false);
	}
	lines_finish(&pool->lines);
	hosts_finish(&pool->hosts);
	free(pool);
}

/* No host can be reached: what waits is answered now, and what comes until one is back, too. */
static void pool_fail_all(struct pool *pool, uint64_t now)
{
	struct ask *ask;

	while ((ask = lines_take_any(&pool->lines)))
		source_fail_ask(pool->source, ask, now);
}

static bool is_alone(const struct pool *pool)
{
	return pool->hosts.count == 1;
}

static void opening_failed(struct connection *connection, uint64_t now)
{
	struct pool *pool = connection->pool;
	struct host *host = connection->host;
	bool was_down = host->down;
	struct error why = connection->why;

	host_failed(&pool->hosts, host, pool->config->settings->retry_interval, now);
	pool->grow_at = pool->live ? now + GROW_PAUSE_MS : 0;
	if (host->down && !was_down && !is_alone(pool))
		log_warning("source=%s host=%s state=down reason=\"%s\": left out until it is back",
			pool->config->name, host->text, why.text);
	connection_drop(connection, false);
	if (pool->live || pool->opening || !hosts_all_down(&pool->hosts))
		return;
	source_set_state(pool->source, SOURCE_DOWN, &why, now);
	pool_fail_all(pool, now);
}

/* Connections to hosts that are less preferred than the one that is back are given up. */
static void retire_others(struct pool *pool, const struct host *host)
{
	struct connection *connection, *next;

	DL_FOREACH_SAFE (pool->connections, connection, next) {
		if (!hosts_prefer(&pool->hosts, host, connection->host))
			continue;
		if (connection->state == CONNECTION_IDLE)
			connection_drop(connection, false);
		else
			connection->retiring = true;
	}
}

static void opening_worked(struct connection *connection, uint64_t took, uint64_t now)
{
	struct pool *pool = connection->pool;
	struct host *host = connection->host;

	if (host->down && !is_alone(pool))
		log_info("source=%s host=%s state=up", pool->config->name, host->text);
	host_up(host, took);
	host->live++;
	pool->live++;
	pool->total.opened++;
	pool->grow_at = 0;
	connection->state = CONNECTION_IDLE;
	connection->since = now;
	source_set_state(pool->source, SOURCE_UP, NULL, now);
	pool->connector->watch(pool->connector, connection, false);
	retire_others(pool, host);
}

void connection_opened(struct connection *connection, uint64_t now_us, uint64_t now)
{
	connection->pool->opening--;
	connection->host->opening--;
	if (connection->result < 0)
		opening_failed(connection, now);
	else
		opening_worked(connection, now_us - connection->opening_since, now);
}

/* Asking. */

/*
 * Until when the answers are waited for. Several questions don't wait long for one of them; then
 * each is asked alone, and not for long before it is known which of them was the slow one.
 */
static uint64_t give_up_time(const struct connection *connection, uint64_t now)
{
	const struct pool *pool = connection->pool;
	uint64_t deadline = connection->batch.deadline;
	uint64_t left = deadline > now ? deadline - now : 0;
	unsigned given_up = connection->asks[0]->given_up;

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

/* Takes a batch from a line, and asks it. */
static void connection_ask(struct connection *connection, struct line *line, uint64_t now)
{
	struct pool *pool = connection->pool;
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
	connection->state = CONNECTION_ASKING;
	connection->since = now;
	connection->give_up_at = give_up_time(connection, now);
	connection->host_answers = connection->host->answers;
	connection->line_answers = connection->asks[0]->home->answers;
	pool->busy++;
	pool->suspects_asked += connection->asks_suspect;
	connection->is_pressed = pool->lines.waiting > 0;
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

static bool is_suspect(const struct pool *pool, const struct ask *ask, uint64_t now)
{
	return !ask->only_check && suspects_hold(&pool->suspects, &ask->question, now);
}

/* From now on it is asked alone, and not by many connections at a time. */
static void pool_suspect(struct pool *pool, struct ask *ask, uint64_t now)
{
	suspects_add(&pool->suspects, &ask->question, now);
	lines_set_aside(&pool->lines, ask);
}

/* Puts back what was not answered, in its order and before what waits. */
static void put_back(struct connection *connection, size_t share, uint64_t now)
{
	struct pool *pool = connection->pool;

	for (size_t i = connection->batch.count; i-- > 0;) {
		struct ask *ask = connection->asks[i];
		bool set_aside = ask && is_suspect(pool, ask, now);

		if (set_aside)
			ask->home = lines_suspect(&pool->lines);
		if (ask)
			lines_put_back(&pool->lines, ask, set_aside ? 1 : share);
	}
}

/*
 * How long a question takes: an eighth of the newest batch, seven of what was known. A batch that
 * could have been larger says nothing of it, nor does a suspect, or a statement that no batch
 * takes.
 */
static void pool_keep_pace(struct pool *pool, const struct connection *connection, uint64_t now)
{
	if (connection->asks_suspect || connection->questions[0].statement->kind == STATEMENT_ALONE)
		return;
	pool->spent -= pool->spent / 8;
	if (!connection->is_pressed)
		return;
	pool->spent += (now - connection->since) * 1000;
	pool->answered += connection->batch.count * 1000 - pool->answered / 8;
}

static void connection_done(struct connection *connection, uint64_t now)
{
	struct pool *pool = connection->pool;
	size_t count = connection->batch.count;

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

/* Idle connections to a host that may be dead: whoever comes next had better connect anew. */
static void drop_idle(struct pool *pool, const struct host *host)
{
	struct connection *connection, *next;

	DL_FOREACH_SAFE (pool->connections, connection, next) {
		if (connection->state == CONNECTION_IDLE && connection->host == host)
			connection_drop(connection, false);
	}
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

		if (++ask->losses < LOSSES_MAX && now < ask->deadline) {
			is_last_try |= ask->losses + 1 == LOSSES_MAX;
			continue;
		}
		connection->asks[i] = NULL;
		source_fail_ask_with(pool->source, ask, &why, now);
	}
	put_back(connection, count > 1 ? (count + 1) / 2 : 1, now);
	host_doubt(connection->host, now);
	/* Behind a server that was started anew all of them are stale. */
	if (is_last_try)
		drop_idle(pool, connection->host);
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
}

static struct connection *idle_connection(const struct pool *pool)
{
	struct connection *connection;

	DL_FOREACH (pool->connections, connection) {
		if (connection->state == CONNECTION_IDLE)
			return connection;
	}
	return NULL;
}

/* Suspects get a quarter of the connections, so that slow ones don't take them all. */
static bool suspects_may_go(const struct pool *pool)
{
	return !pool->suspects_asked ||
	       pool->suspects_asked < (size_t)pool->config->server->pool / 4;
}

/* Since when there was a question that could be asked (ms); UINT64_MAX: there is none. */
static uint64_t waiting_since(const struct pool *pool)
{
	return lines_since(&pool->lines, suspects_may_go(pool));
}

/* Is it worth a further connection, after all idle ones were put to use? */
static bool wants_more(const struct pool *pool, uint64_t now)
{
	size_t count = pool->live + pool->opening;
	uint64_t since = waiting_since(pool);

	if (since == UINT64_MAX || now < pool->grow_at ||
		count >= (size_t)pool->config->server->pool)
		return false;
	if (count < USUAL_CONNECTIONS)
		return pool->opening < pool->lines.waiting;
	return !pool->opening && now >= since + GROW_AFTER_MS;
}

static void pool_grow(struct pool *pool, uint64_t now)
{
	while (wants_more(pool, now)) {
		struct host *host = hosts_choose(&pool->hosts, now);

		if (!host) {
			pool->grow_at = hosts_next_probe(&pool->hosts);
			break;
		}
		connection_create(pool, host, now);
	}
}

static void expire_waiting(struct pool *pool, uint64_t now)
{
	struct error why;
	struct ask *ask;

	while ((ask = lines_take_expired(&pool->lines, now))) {
		error_set(&why,
			"no answer within query_timeout: %zu questions wait, for %zu connections",
			pool->lines.waiting + 1, pool->live);
		source_fail_ask_with(pool->source, ask, &why, now);
	}
}

/*
 * Suspects that have waited for most of their time. A slow one would be cancelled again in a
 * moment, and the next, and the next: that is hard on a server that goes on with what was given up.
 */
static void fail_late_suspects(struct pool *pool, uint64_t now)
{
	const struct line *line = lines_suspect(&pool->lines);
	struct error why;

	error_set(&why, "no answer within query_timeout: others wait that were slow before");
	while (line && line->asks) {
		struct ask *ask = line->asks;

		if (now + (ask->deadline - ask->since) / MANY_PATIENCE <= ask->deadline)
			break;
		lines_remove(&pool->lines, ask);
		source_fail_ask_with(pool->source, ask, &why, now);
	}
}

void pool_dispatch(struct pool *pool, uint64_t now)
{
	struct connection *connection;
	struct line *line;

	if (!pool->lines.waiting)
		return;
	expire_waiting(pool, now);
	fail_late_suspects(pool, now);
	while ((line = lines_oldest(&pool->lines, suspects_may_go(pool))) &&
		(connection = idle_connection(pool)))
		connection_ask(connection, line, now);
	pool_grow(pool, now);
}

/*
 * Would it wait so long, as things go, that there is no time left to be answered in? Then better
 * say so at once. A server that works on what is given up a moment later gets nothing done.
 */
static bool is_overloaded(const struct pool *pool, const struct ask *ask, uint64_t now)
{
	uint64_t left = ask->deadline > now ? ask->deadline - now : 0;
	uint64_t wait;

	if (!pool->answered)
		return false;
	wait = pool->lines.waiting * pool->spent / pool->answered / (pool->live ? pool->live : 1);
	return wait > left - left / MANY_PATIENCE;
}

static void pool_shed(struct pool *pool, struct ask *ask, uint64_t now)
{
	struct error why;

	pool->total.shed++;
	error_set(&why, "overloaded: %zu questions wait", pool->lines.waiting);
	if (log_limit_pass(&pool->limit, now, "refused questions"))
		log_warning("source=%s: a question was answered \"try later\" at once: %s (is a "
			    "query slow, or without an index?)",
			pool->config->name, why.text);
	source_fail_ask_with(pool->source, ask, &why, now);
}

void pool_ask(struct pool *pool, struct ask *ask, uint64_t now)
{
	bool set_aside = is_suspect(pool, ask, now);

	ask->since = now;
	ask->share = (size_t)pool->config->server->batch;
	if (set_aside || ask->only_check || ask->question.statement->kind == STATEMENT_ALONE)
		ask->share = 1;
	if (pool->source->state == SOURCE_DOWN)
		source_fail_ask(pool->source, ask, now); /* it is tried in the background */
	else if (pool->lines.waiting && is_overloaded(pool, ask, now))
		pool_shed(pool, ask, now);
	else
		lines_append(&pool->lines, ask, set_aside);
}

bool pool_withdraw(struct pool *pool, struct ask *ask)
{
	if (!ask->line)
		return false;
	lines_remove(&pool->lines, ask);
	return true;
}

/* Time. */

/* A question that is past its deadline, on a connection that does not answer. */
static void fail_slow(struct connection *connection, size_t at, uint64_t now)
{
	struct pool *pool = connection->pool;
	struct ask *ask = connection->asks[at];
	struct error why;

	connection->asks[at] = NULL;
	if (connection->batch.count == 1 && !ask->only_check)
		pool_suspect(pool, ask, now);
	error_set(&why, "no answer within query_timeout");
	source_fail_ask_with(pool->source, ask, &why, now);
}

/* Its one question was too slow in company, and now is alone, while others were answered. */
static bool is_to_blame(const struct connection *connection)
{
	const struct ask *ask = connection->asks[0];

	return connection->batch.count == 1 && ask->given_up && !ask->only_check &&
	       connection->host->answers > connection->host_answers &&
	       ask->home->answers > connection->line_answers;
}

/* The answers take too long: the query is cancelled, and the connection with it. */
static void connection_give_up(struct connection *connection, uint64_t now)
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

/* The first connection that has been waited for long enough, or NULL. */
static struct connection *overdue_connection(const struct pool *pool, uint64_t now)
{
	struct connection *connection;

	DL_FOREACH (pool->connections, connection) {
		if (connection->state == CONNECTION_ASKING && now >= connection->give_up_at)
			return connection;
	}
	return NULL;
}

static void log_slow(struct pool *pool, const struct connection *connection, uint64_t now)
{
	if (log_limit_pass(&pool->limit, now, "slow queries"))
		log_warning("source=%s host=%s: a query for %zu keys took more than %" PRIu64
			    " ms and was cancelled: %.200s",
			pool->config->name, connection->host->text, connection->batch.count,
			now - connection->since, connection->questions[0].statement->text);
}

static void give_up_overdue(struct pool *pool, uint64_t now)
{
	struct connection *connection;

	/* Giving up one may close others, so each time it is looked for anew. */
	while ((connection = overdue_connection(pool, now))) {
		log_slow(pool, connection, now);
		/* If it has answered others meanwhile, it is not the host that is slow. */
		if (connection->host->answers == connection->host_answers) {
			host_doubt(connection->host, now);
			drop_idle(pool, connection->host);
		}
		connection_give_up(connection, now);
	}
}

static void close_idle(struct pool *pool, uint64_t now)
{
	uint64_t idle_timeout = (uint64_t)pool->config->server->idle_timeout;
	struct connection *connection, *next;

	DL_FOREACH_SAFE (pool->connections, connection, next) {
		if (connection->state == CONNECTION_IDLE && now - connection->since >= idle_timeout)
			connection_drop(connection, false);
	}
}

/* The idle connection that was used least of late, or NULL. */
static struct connection *spare_connection(const struct pool *pool)
{
	struct connection *connection, *spare = NULL;

	DL_FOREACH (pool->connections, connection) {
		if (connection->state == CONNECTION_IDLE)
			spare = connection;
	}
	return spare;
}

/* Hosts that were down are tried, whether or not somebody asks. */
static void tick_hosts(struct pool *pool, uint64_t now)
{
	struct host *host = hosts_to_probe(&pool->hosts, now);
	struct connection *idle;

	if (!host || (!host->down && !pool->live))
		return;
	if (pool->live + pool->opening >= (size_t)pool->config->server->pool) {
		/* The last connection is not given up for one that may take seconds to fail. */
		idle = pool->live > 1 ? spare_connection(pool) : NULL;
		if (!idle) {
			host->retry_at = now + GROW_PAUSE_MS;
			return;
		}
		connection_drop(idle, false);
	}
	connection_create(pool, host, now);
}

void pool_tick(struct pool *pool, uint64_t now)
{
	give_up_overdue(pool, now);
	expire_waiting(pool, now);
	close_idle(pool, now);
	tick_hosts(pool, now);
}

void pool_abandon(struct pool *pool)
{
	struct connection *connection;

	while ((connection = overdue_connection(pool, UINT64_MAX)))
		connection_give_up(connection, UINT64_MAX);
	expire_waiting(pool, UINT64_MAX);
}

static uint64_t least(uint64_t one, uint64_t other)
{
	return one < other ? one : other;
}

static uint64_t most(uint64_t one, uint64_t other)
{
	return one > other ? one : other;
}

uint64_t pool_next(const struct pool *pool)
{
	uint64_t idle_timeout = (uint64_t)pool->config->server->idle_timeout;
	uint64_t next = lines_next_deadline(&pool->lines);
	uint64_t since = waiting_since(pool);
	const struct connection *connection;

	DL_FOREACH (pool->connections, connection) {
		if (connection->state == CONNECTION_ASKING)
			next = least(next, connection->give_up_at);
		else if (connection->state == CONNECTION_IDLE)
			next = least(next, connection->since + idle_timeout);
	}
	if (since != UINT64_MAX && !pool->opening &&
		pool->live < (size_t)pool->config->server->pool)
		next = least(next, most(pool->grow_at, since + GROW_AFTER_MS));
	return pool->live || hosts_all_down(&pool->hosts)
		       ? least(next, hosts_next_probe(&pool->hosts))
		       : next;
}
