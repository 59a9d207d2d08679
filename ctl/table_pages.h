/*
 * The rows of a table, a page at a time, in the order of its key: for tables of any size.
 */
#ifndef TABLED_CTL_TABLE_PAGES_H
#define TABLED_CTL_TABLE_PAGES_H

#include "ctl/schema_sql.h"
#include "ctl/session.h"

struct table_pages {
	struct session *session;          /* borrowed */
	const struct schema_table *table; /* borrowed */
	struct rows rows;                 /* the page: the columns that are not made, in order */
	bool is_over;
};

void table_pages_init(
	struct table_pages *pages, struct session *session, const struct schema_table *table);
void table_pages_finish(struct table_pages *pages);

/* Gets the next page; none is left if it has no rows. Returns -1 with `why`. */
int table_pages_next(struct table_pages *pages, struct error *why);

/* The place of a column among those that are not made. */
size_t table_column_at(const struct schema_table *table, const char *name);

#endif
