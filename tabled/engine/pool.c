#include "engine/pool.h"

#include "base/log.h"
#include "base/memory.h"
#include "engine/pool_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <utlist.h>

enum {
	USUAL_CONNECTIONS = 2, /* more share the server's processors, but make smaller batches */
	GROW_AFTER_MS = 50,    /* that a question has waited */
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
	size_t before = pool->lines.waiting - pool->lines.suspects;
	uint64_t wait;

	if (!before || !pool->answered)
		return false;
	wait = before * pool->spent / pool->answered / (pool->live ? pool->live : 1);
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
	bool set_aside = pool_suspects(pool, ask, now);

	ask->since = now;
	ask->share = (size_t)pool->config->server->batch;
	if (set_aside || ask->only_check || ask->question.statement->kind == STATEMENT_ALONE ||
		ask->question.statement->kind == STATEMENT_ONCE)
		ask->share = 1;
	if (pool->source->state == SOURCE_DOWN)
		source_fail_ask(pool->source, ask, now); /* it is tried in the background */
	else if (!set_aside && is_overloaded(pool, ask, now))
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
			connections_drop_idle(pool, connection->host);
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
