/*
 * The load: many connections in one epoll loop and one thread. epoll without a library between,
 * since each microsecond spent here is a microsecond taken from the server's figures.
 */
#ifndef TABLED_BENCH_LOAD_H
#define TABLED_BENCH_LOAD_H

#include "keys.h"
#include "options.h"
#include "tally.h"

/*
 * Opens the connections, asks, and counts into `tally` until time or requests are used up.
 * A lost connection is opened again. Returns -1 with `why` if the server cannot be reached at
 * the start, or not for as long as a reply may take.
 */
int load_run(const struct options *options, const struct keys *keys, struct tally *tally,
	struct error *why);

#endif
