/*
 * The SQL of the MariaDB/MySQL backend, and what the server's errors mean. For mysql.c alone. Pure
 * functions, any thread.
 */
#ifndef TABLED_BACKENDS_MYSQL_SQL_H
#define TABLED_BACKENDS_MYSQL_SQL_H

#include "backend.h"

/* How a SELECT is asked for several keys in one query, from the fastest way on. */
enum mysql_way {
	WAY_UNKNOWN,
	WAY_INSIDE, /* (SELECT 0, goto FROM …) UNION ALL (SELECT 1, goto FROM …) */
	WAY_AROUND, /* SELECT 0, q.* FROM (SELECT goto FROM …) q UNION ALL … */
	WAY_ALONE,  /* not at all */
};

/* The way to try first. */
enum mysql_way mysql_first_way(const struct statement *statement);

/* Appends the query for the questions. With only_check they need no parameters. */
void mysql_write(struct buf *sql, const struct batch *batch, enum mysql_way way);

/* Whose fault an error is. */
enum fault mysql_fault(unsigned code);

/* May the error come from what was written around a query? */
bool mysql_blames_way(unsigned code);

#endif
