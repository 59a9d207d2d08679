/*
 * Finds, among all workers, the client of a listener who has been idle longest, and sends him away.
 * Each worker is asked for its own, then one of them is told to close its client.
 */
#include "net/internal.h"

#include "base/memory.h"

#include <stdlib.h>
#include <utlist.h>

enum { EVICT_AFTER_MS = 1000 };

static struct conn *longest_idle(const struct listener *listener, uint64_t now)
{
	struct conn *conn, *found = NULL;
	uint64_t longest = EVICT_AFTER_MS;

	DL_FOREACH (listener->conns, conn) {
		uint64_t idle = conn_idle(conn, now);

		if (idle > longest) {
			longest = idle;
			found = conn;
		}
	}
	return found;
}

/* One such search. */
struct eviction {
	struct loop *loop; /* worker 0's */
	struct door *door; /* held */
	uint64_t idle[WORKERS_MAX];
};

static void evict_from(void *context, struct loop *loop)
{
	struct door *door = context;
	const struct listener *twin = loop_find_twin(loop, door);
	struct conn *conn = twin ? longest_idle(twin, loop_now(loop)) : NULL;

	if (conn)
		conn_close(conn);
	door_release(door);
}

static void measure_idle(void *context, struct loop *loop)
{
	struct eviction *eviction = context;
	const struct listener *twin = loop_find_twin(loop, eviction->door);
	const struct conn *conn = twin ? longest_idle(twin, loop_now(loop)) : NULL;

	eviction->idle[loop->number] = conn ? conn_idle(conn, loop_now(loop)) : 0;
}

static void eviction_end(void *context)
{
	struct eviction *eviction = context;
	unsigned longest = 0;

	for (unsigned i = 1; i < WORKERS_MAX; i++)
		if (eviction->idle[i] > eviction->idle[longest])
			longest = i;
	eviction->door->evicting = false;
	if (eviction->idle[longest])
		loop_tell(eviction->loop, longest, evict_from, eviction->door);
	else
		door_release(eviction->door);
	free(eviction);
}

void listener_evict(struct listener *listener)
{
	struct eviction *eviction;

	if (listener->door->evicting)
		return;
	listener->door->evicting = true;
	eviction = memory_new(1, sizeof(*eviction));
	eviction->loop = listener->loop;
	eviction->door = door_hold(listener->door);
	workers_visit(listener->loop->workers, measure_idle, eviction_end, eviction);
}
