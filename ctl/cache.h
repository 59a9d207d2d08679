/*
 * tabledctl cache and tabledctl flush: what the cache has, and how it is told to forget.
 */
#ifndef TABLED_CTL_CACHE_H
#define TABLED_CTL_CACHE_H

#include "command.h"

enum exit_status run_cache(struct client *client, int argc, char **argv);
enum exit_status run_flush(struct client *client, int argc, char **argv);

#endif
