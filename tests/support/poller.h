/*
 * The world of an engine that asks real databases, by poll(): connections are opened when the
 * engine has had its turn, in the test's own thread. The clock is the real one.
 */
#ifndef TABLED_TESTS_SUPPORT_POLLER_H
#define TABLED_TESTS_SUPPORT_POLLER_H

#include "base/clock.h"
#include "engine/connector.h"
#include "engine/engine.h"

#include <poll.h>
#include <stdlib.h>
#include <utlist.h>

struct polled {
	struct connection *connection; /* borrowed */
	bool opening;
	short events; /* 0: it is not watched */
	struct polled *prev, *next;
};

struct poller {
	struct connector connector;
	struct polled *items; /* list */
	size_t opened, closed;
};

static inline void poller_open(struct connector *connector, struct connection *connection)
{
	struct poller *poller = (struct poller *)connector;
	struct polled *polled = calloc(1, sizeof(*polled));

	polled->connection = connection;
	polled->opening = true;
	*connection_handle(connection) = polled;
	DL_APPEND(poller->items, polled);
}

static inline void poller_watch(
	struct connector *connector, struct connection *connection, bool writing)
{
	struct polled *polled = *connection_handle(connection);

	(void)connector;
	polled->events = (short)(POLLIN | (writing ? POLLOUT : 0));
}

static inline void poller_close(
	struct connector *connector, struct connection *connection, bool cancel)
{
	struct poller *poller = (struct poller *)connector;
	struct polled *polled = *connection_handle(connection);

	DL_DELETE(poller->items, polled);
	poller->closed++;
	connection_close(connection, cancel);
	free(polled);
}

static inline void poller_init(struct poller *poller)
{
	*poller = (struct poller){.connector = {poller_open, poller_watch, poller_close}};
}

static inline bool poller_open_one(struct poller *poller)
{
	struct polled *polled;

	DL_FOREACH (poller->items, polled) {
		if (!polled->opening)
			continue;
		polled->opening = false;
		poller->opened++;
		connection_open(polled->connection, clock_us());
		connection_opened(polled->connection, clock_us(), clock_ms());
		return true;
	}
	return false;
}

/* Waits for one of the descriptors, at most so long. */
static inline void poller_wait(const struct poller *poller, int ms)
{
	struct polled *polled, *ready = NULL;

	DL_FOREACH (poller->items, polled) {
		struct pollfd fd = {connection_fd(polled->connection), polled->events, 0};

		if (polled->events && poll(&fd, 1, ms) > 0)
			ready = polled;
	}
	if (ready)
		connection_ready(ready->connection, clock_ms());
	else if (!poller->items)
		poll(NULL, 0, ms);
}

/* One turn of the loop. */
static inline void poller_turn(struct poller *poller, struct engine *engine)
{
	engine_rest(engine, clock_ms());
	while (poller_open_one(poller))
		engine_rest(engine, clock_ms());
	poller_wait(poller, 1);
	if (engine_next(engine) <= clock_ms())
		engine_tick(engine, clock_ms());
}

#endif
