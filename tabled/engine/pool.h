/*
 * The pool of a source that is a database server: its connections, its hosts and the questions that
 * wait. Questions gather while the worker reads from its clients and while all connections are
 * busy; a free connection takes as many as share a statement, in one query.
 *
 * It belongs to its worker's thread, does no I/O of its own and reads no clock. Start reading at
 * pool_dispatch().
 */
#ifndef TABLED_ENGINE_POOL_H
#define TABLED_ENGINE_POOL_H

#include "engine/connector.h"
#include "engine/source.h"

struct pool;

/* Both are borrowed for the pool's life. */
struct pool *pool_create(struct source *source, struct connector *connector);

/* Closes all connections. Nothing may be waiting nor pending. Takes NULL. */
void pool_destroy(struct pool *pool);

/* As source_ask(), source_withdraw(), source_tick() and source_next() in source.h. */
void pool_ask(struct pool *pool, struct ask *ask, uint64_t now);
bool pool_withdraw(struct pool *pool, struct ask *ask);
void pool_tick(struct pool *pool, uint64_t now);
uint64_t pool_next(const struct pool *pool);

/* Answers all that waits or is out TRY_LATER, without trying anything more. */
void pool_abandon(struct pool *pool);

/* Sends what has gathered, as far as there are connections, and opens more if need be. */
void pool_dispatch(struct pool *pool, uint64_t now);

/* Connections that are being opened: until then the pool can't be destroyed. */
size_t pool_opening(const struct pool *pool);

/* What status pages show of a pool. */
struct pool_status {
	size_t live, busy, waiting;
	uint64_t batches, questions; /* sent */
	uint64_t opened, lost, shed;
};
void pool_status(const struct pool *pool, struct pool_status *status);

#endif
