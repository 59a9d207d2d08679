/*
 * The keeper: what is done for the cache beside lookups. It restores the cache at start, writes it
 * to its file now and then and at stop, and has restored answers asked anew. Belongs to worker 0's
 * thread; files are written on another one.
 */
#ifndef TABLED_KEEPER_H
#define TABLED_KEEPER_H

#include "engine/warmer.h"
#include "net/loop.h"

struct keeper {
	struct loop *loop;   /* worker 0's; borrowed */
	struct cache *cache; /* borrowed */
	char *path;          /* owned; NULL: the cache is not saved */
	struct loop_timer *save_timer, *warm_timer;
	struct warmer warmer;
	bool is_busy;    /* a thread saves or sweeps */
	bool once_more;  /* … and something was flushed meanwhile */
	bool is_failing; /* the log knows that it can't be saved */
};

/*
 * Before anything is asked, by the user that tabled will be: restores the cache. Both are borrowed
 * for the keeper's life, which is that of the loop.
 */
void keeper_start(struct keeper *keeper, struct loop *loop, struct cache *cache,
	const struct cache_settings *settings);

/* From now on these settings count. */
void keeper_configure(struct keeper *keeper, const struct cache_settings *settings);

/* Something was flushed: soon neither the memory nor the file have it. */
void keeper_flushed(struct keeper *keeper);

/* The workers have ended: writes the last word, if keeper_start() was called, and frees all. */
void keeper_finish(struct keeper *keeper);

#endif
