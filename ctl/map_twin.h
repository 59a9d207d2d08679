/*
 * One map's query, ready to be asked of two sources: each database has its own words for it.
 */
#ifndef TABLED_CTL_MAP_TWIN_H
#define TABLED_CTL_MAP_TWIN_H

#include "ctl/session.h"

struct map_twin {
	struct session *session; /* borrowed */
	struct table table;
	struct statement statement; /* of the table, with a number of the session's own */
};

/* Compiles the query of a map for the source of a session. Returns -1 with `why`. */
int map_twin_init(struct map_twin *twin, const struct table *table, struct session *session,
	struct error *why);
void map_twin_finish(struct map_twin *twin);

/*
 * Appends the rows for a key, as text that is the same for the same rows in whatever order. `why`
 * is filled unless it is FOUND or NOT_FOUND.
 */
enum status map_twin_ask(
	struct map_twin *twin, const char *key, struct buf *out, struct error *why);

#endif
