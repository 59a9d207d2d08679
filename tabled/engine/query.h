/*
 * A query: the SQL of a map, in which every string literal that holds expansions has become a
 * parameter. Values are always bound, never pasted into SQL, so no key can change what the query
 * means. Immutable once parsed; any thread.
 */
#ifndef TABLED_ENGINE_QUERY_H
#define TABLED_ENGINE_QUERY_H

#include "backend.h"
#include "engine/template.h"

struct query {
	struct statement statement;                   /* its text is owned */
	struct template params[STATEMENT_PARAMS_MAX]; /* what to bind, in order */
};

/*
 * Parses the template of a query, adding to `needs` what its expansions ask of a key. Returns -1
 * with `why`, which shows how to write it, when an expansion stands where nothing can be bound.
 */
int query_init(struct query *query, const char *text, const struct dialect *dialect,
	struct template_needs *needs, struct error *why);
void query_finish(struct query *query);

#endif
