/*
 * Moving the rows of a table from one database to another, in pages by the order of its key, and a
 * checksum over them that is the same for the same rows in any database.
 */
#ifndef TABLED_CTL_TABLE_COPY_H
#define TABLED_CTL_TABLE_COPY_H

#include "ctl/schema_sql.h"
#include "ctl/session.h"

enum { TABLE_SUM_SIZE = 32 };

struct table_sum {
	uint64_t count;
	unsigned char sum[TABLE_SUM_SIZE];
};

/* Told after each page how many rows are done. May be NULL. */
struct table_progress {
	void (*tell)(void *opaque, const char *table, uint64_t rows);
	void *opaque;
};

/*
 * Copies all rows; the columns that a database makes are left to it. A row whose key is there
 * already stays as it is, or is overwritten (`replace`). Each page is a transaction of its own, so
 * it can be done again after an interruption. Returns -1 with `why`.
 */
int table_copy(struct session *from, struct session *to, const struct schema_table *table,
	bool replace, const struct table_progress *progress, struct error *why);

/* Counts the rows and adds them up, as text in the order of the key. Returns -1 with `why`. */
int table_sum(struct session *session, const struct schema_table *table,
	const struct table_progress *progress, struct table_sum *ret_sum, struct error *why);

#endif
