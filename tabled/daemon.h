/*
 * The daemon: puts configuration, loop and control together, and starts, reloads and stops them.
 * It runs in the thread that calls daemon_run(), worker 0's; what the other workers do for it, in
 * theirs, says so.
 */
#ifndef TABLED_DAEMON_H
#define TABLED_DAEMON_H

#include "config.h"

/*
 * Opens the listeners, checks the queries, drops privileges, and answers lookups until SIGTERM or
 * SIGINT; SIGHUP reloads. Takes the configuration, which is given. Returns 0, or -1 with `why` when
 * it could not start.
 */
int daemon_run(struct config *config, struct error *why);

#endif
