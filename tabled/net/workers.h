/*
 * The workers of a process: each has a loop with its own engine, clients and connections, in a
 * thread of its own. Worker 0 is the main thread. Signals, commands and reloads are its own, and it
 * takes the clients and hands each to the worker that has the fewest. Workers share nothing but
 * what they send each other as letters (engine/inbox.h), and what is immutable or counted.
 *
 * All functions belong to worker 0's thread. Start reading at workers_visit().
 */
#ifndef TABLED_NET_WORKERS_H
#define TABLED_NET_WORKERS_H

#include "net/loop.h"

enum { WORKERS_MAX = 64 };

struct workers;

/* `count` workers, of which only worker 0 is there until workers_start(). */
struct workers *workers_create(unsigned count, struct command_handler commands);

/* After workers_run() has returned, or if it was never called. Takes NULL. */
void workers_destroy(struct workers *workers);

/* Worker 0's loop. Borrowed. */
struct loop *workers_main(const struct workers *workers);

unsigned workers_count(const struct workers *workers);

/*
 * Makes worker 0's listeners what the array says: opens new ones, closes those that are gone, keeps
 * the rest with their clients. All or nothing: returns -1 with `why`, and the number of the
 * culprit, when one can't be opened. workers_adopt() has to follow before worker 0 runs on.
 */
int workers_listen(struct workers *workers, const struct listener_config *configs, size_t count,
	size_t *ret_culprit, struct error *why);

/*
 * Starts the threads of the other workers. They take no signals, and have the rights that the
 * process has now. Where the system has no thread to give there are fewer workers.
 */
void workers_start(struct workers *workers);

/* What is to be done in a worker's thread. The loop is that worker's. */
typedef void worker_task(void *context, struct loop *loop);

/*
 * Has each worker do `task`, worker 0 at once; when all have, `then` is called (NULL: nothing is).
 * With one worker that is before this returns. Each worker gets what it is sent in the order in
 * which it was sent, clients included.
 */
void workers_visit(
	struct workers *workers, worker_task *task, void (*then)(void *context), void *context);

/*
 * The same for a new configuration, whose listeners are open: each worker first makes its
 * listeners what worker 0's are. The array is borrowed until `then`.
 */
void workers_adopt(struct workers *workers, const struct listener_config *configs, size_t count,
	worker_task *task, void (*then)(void *context), void *context);

/* Runs until workers_stop() and until what was under way then is answered, by all workers. */
void workers_run(struct workers *workers);

/* No worker takes more clients and requests; see loop_stop(). */
void workers_stop(struct workers *workers);

#endif
