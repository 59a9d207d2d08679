/*
 * The SQL of the MariaDB/MySQL backend, and what the server's errors mean. For this backend alone.
 * Pure functions, any thread.
 */
#ifndef TABLED_BACKENDS_MYSQL_SQL_H
#define TABLED_BACKENDS_MYSQL_SQL_H

#include "backend.h"

/*
 * May several keys be asked for as (SELECT 0, goto FROM …) UNION ALL (SELECT 1, goto FROM …)? In
 * doubt: no. As a derived table any query could be numbered, but where MariaDB can't merge that
 * with the rest, it takes several times longer than query by query.
 */
bool mysql_may_number(const struct statement *statement);

/* Appends the query for the questions; rows of several begin with their number. With only_check
 * they need no parameters. */
void mysql_write(struct buf *sql, const struct batch *batch);

/*
 * How many rows a statement that changes some has met, by mysql_info() and mysql_affected_rows().
 * The latter leaves out those that were as they should be, and counts those twice that another one
 * had to make room for.
 */
uint64_t mysql_rows_met(const char *text, const char *info, uint64_t affected);

/* Whose fault an error is. */
enum fault mysql_fault(unsigned code);

/* May the error come from numbering, and the query alone be good? */
bool mysql_blames_numbers(unsigned code);

#endif
