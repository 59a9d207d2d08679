/* Connections that are open and do nothing, as most of Postfix's are most of the time. */
#ifndef TABLED_BENCH_IDLE_H
#define TABLED_BENCH_IDLE_H

#include "keys.h"
#include "options.h"

struct idle {
	int *fds; /* owned */
	size_t count;
};

/* Opens options->idle connections; if there are keys, each asks one. Returns -1 with `why`. */
int idle_open(struct idle *idle, const struct options *options, const struct keys *keys,
	struct error *why);

/* How many the server has not closed. */
size_t idle_still_open(const struct idle *idle);

void idle_close(struct idle *idle);

#endif
