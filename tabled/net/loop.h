/*
 * A worker's loop: its listeners, its clients and the timers of its engine. Everything in it
 * belongs to one thread, the one that calls loop_run(). This folder is the only one that knows
 * libuv; nobody includes it through this header.
 */
#ifndef TABLED_NET_LOOP_H
#define TABLED_NET_LOOP_H

#include "engine/engine.h"
#include "net/listener.h"

struct loop;

/* Answers operators' commands: calls `done` once, now or later. The line is borrowed. */
struct command_handler {
	void (*run)(void *context, struct slice line, uint64_t now, lookup_done *done, void *owner);
	void *context;
};

struct loop *loop_create(struct command_handler commands);

/* After loop_run() has returned, or if it was never called. Takes NULL. */
void loop_destroy(struct loop *loop);

/*
 * Makes the listeners what the array says: opens new ones, closes those that are gone, keeps the
 * rest with their clients. All or nothing: returns -1 with `why`, and the number of the culprit,
 * when one can't be opened. The array is borrowed until the next call.
 */
int loop_listen(struct loop *loop, const struct listener_config *configs, size_t count,
	size_t *ret_culprit, struct error *why);

/*
 * Lookups that come from now on are answered by `engine`, which is given to the loop. Once those
 * under way in the engine before it are over, that one is destroyed and its `release` called.
 */
void loop_set_engine(
	struct loop *loop, struct engine *engine, void (*release)(void *context), void *context);

/* By what engines of this loop reach database servers. Borrowed. */
struct connector *loop_connector(struct loop *loop);

/* The engine in use. Borrowed. */
struct engine *loop_engine(const struct loop *loop);

/* Runs until loop_stop() and until what was under way then is answered. */
void loop_run(struct loop *loop);

/*
 * Takes no more clients and requests, lets loop_run() return when the rest is done. From then on
 * the process does not see the signals of loop_on_signal().
 */
void loop_stop(struct loop *loop);

/* Calls back, in the loop's thread, whenever the process gets the signal. */
void loop_on_signal(struct loop *loop, int signal, void (*handle)(void *context), void *context);

/* What a listener has seen, for status pages. */
struct listener_status {
	const char *protocol;
	const char *address;
	size_t connections;
	uint64_t accepted, requests, refused;
};

/* The state of listener number `at`. Returns false behind the last. */
bool loop_listener_status(const struct loop *loop, size_t at, struct listener_status *status);

#endif
