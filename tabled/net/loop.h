/*
 * A worker's loop: its listeners, its clients and the timers of its engine. Everything in it
 * belongs to one thread, that of its worker; other threads reach it by its inbox alone. Workers are
 * in workers.h. This folder is the only one that knows libuv; nobody includes it through this
 * header.
 */
#ifndef TABLED_NET_LOOP_H
#define TABLED_NET_LOOP_H

#include "engine/engine.h"
#include "engine/inbox.h"
#include "net/listener.h"

struct loop;

/*
 * Answers operators' commands, in worker 0's thread: calls `done` once, now or later. The line is
 * borrowed.
 */
struct command_handler {
	void (*run)(void *context, struct slice line, uint64_t now, lookup_done *done, void *owner);
	void *context;
};

/* Whose loop it is: 0 is the main thread's. */
unsigned loop_number(const struct loop *loop);

/*
 * Lookups that come from now on are answered by `engine`, which is given to the loop. Once those
 * under way in the engine before it are over, that one is destroyed and its `release` called.
 */
void loop_set_engine(
	struct loop *loop, struct engine *engine, void (*release)(void *context), void *context);

/* By what engines of this loop reach database servers. Borrowed. */
struct connector *loop_connector(struct loop *loop);

/* Where other threads put what is to be done in the loop's. Borrowed. */
struct inbox *loop_inbox(struct loop *loop);

/* The engine in use. Borrowed. */
struct engine *loop_engine(const struct loop *loop);

/* Calls back, in the loop's thread, whenever the process gets the signal. Only worker 0's. */
void loop_on_signal(struct loop *loop, int signal, void (*handle)(void *context), void *context);

/*
 * Calls back every so often, in the loop's thread, once loop_timer_set() has said how often. The
 * loop owns it, and ends it with itself.
 */
struct loop_timer *loop_every(
	struct loop *loop, void (*task)(void *context, uint64_t now), void *context);

/* From now on every `interval` ms; 0: no more. What is so already stays as it is. */
void loop_timer_set(struct loop_timer *timer, uint64_t interval);

/*
 * Has something done on another thread, since it takes long or waits for a disk; `done` is called
 * in the loop's thread then. The loop does not end before.
 */
void loop_aside(
	struct loop *loop, void (*run)(void *context), void (*done)(void *context), void *context);

/* Clients of all its listeners, with those that are on their way to it. */
size_t loop_clients(const struct loop *loop);

/* What a listener has seen in this loop, for status pages. */
struct listener_status {
	const char *protocol;
	const char *address;
	size_t connections;
	uint64_t accepted, requests, refused;
};

/* The state of listener number `at`. Returns false behind the last. */
bool loop_listener_status(const struct loop *loop, size_t at, struct listener_status *status);

#endif
