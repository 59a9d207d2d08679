/*
 * What operators read about the cache, as JSON. Made in three steps, since going through all
 * answers takes a while. The report belongs to worker 0's thread, but while it is gathered.
 */
#ifndef TABLED_ADMIN_CACHE_REPORT_H
#define TABLED_ADMIN_CACHE_REPORT_H

#include "engine/engine.h"
#include "engine/hottest.h"

#include <jansson.h>

/* Zeroed is ready for cache_report_finish(). */
struct cache_report {
	struct cache *cache; /* borrowed */
	struct hottest hottest;
};

void cache_report_begin(struct cache_report *report, struct cache *cache);

/* Looks for the hottest keys, but never among those of secret spaces. On any thread. */
void cache_report_gather(struct cache_report *report);

/*
 * The report: "size", "used", "maps" and "hottest". What the workers have counted is taken from
 * `status`, which they have made together. Given to the caller.
 */
json_t *cache_report_make(
	struct cache_report *report, const struct engine *engine, const json_t *status);

void cache_report_finish(struct cache_report *report);

#endif
