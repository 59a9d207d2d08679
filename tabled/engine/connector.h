/*
 * What the engine needs of the world to talk to a database server: threads on which opening and
 * closing may block, and somebody who watches a descriptor. The engine itself knows neither; the
 * network's side of it is net/dbconn.c, and tests have one of their own.
 */
#ifndef TABLED_ENGINE_CONNECTOR_H
#define TABLED_ENGINE_CONNECTOR_H

#include "backend.h"

struct connection;

struct connector {
	/*
	 * Has connection_open() called on another thread, then connection_opened() on the
	 * engine's. The connection stays the engine's.
	 */
	void (*open)(struct connector *connector, struct connection *connection);

	/*
	 * From now on connection_ready() is called whenever the descriptor is readable or, if
	 * `writing`, writable.
	 */
	void (*watch)(struct connector *connector, struct connection *connection, bool writing);

	/*
	 * Stops watching. Then, on another thread, has connection_close() called. The connection
	 * is given away.
	 */
	void (*close)(struct connector *connector, struct connection *connection, bool cancel);
};

/* For the connector: opens, which may block. `now` is clock_us(). */
void connection_open(struct connection *connection, uint64_t now);

/* For the connector: connection_open() is over. `now_us` is clock_us(), `now` the loop's (ms). */
void connection_opened(struct connection *connection, uint64_t now_us, uint64_t now);

/* For the connector: the descriptor is ready, or broken, which comes to the same. */
void connection_ready(struct connection *connection, uint64_t now);

/* For the connector: cancels what runs if asked to, closes and frees. May block. Any thread. */
void connection_close(struct connection *connection, bool cancel);

/* For the connector: what it has made of its own for this connection. */
void **connection_handle(struct connection *connection);

/* For the connector: what to watch. */
int connection_fd(const struct connection *connection);

#endif
