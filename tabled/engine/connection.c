/*
 * One connection's life: it is opened on another thread, joins its pool or counts against its host,
 * and leaves. What it is asked meanwhile is in asking.c.
 */
#include "base/log.h"
#include "base/memory.h"
#include "engine/pool_internal.h"

#include <stdlib.h>
#include <utlist.h>

void connection_create(struct pool *pool, struct host *host, uint64_t now)
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

void connection_drop(struct connection *connection, bool cancel)
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

void connections_drop_idle(struct pool *pool, const struct host *host)
{
	struct connection *connection, *next;

	DL_FOREACH_SAFE (pool->connections, connection, next) {
		if (connection->state == CONNECTION_IDLE && connection->host == host)
			connection_drop(connection, false);
	}
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
