/*
 * How the values of columns are asked for and given as text that is the same in each database:
 * times are in UTC, "2030-12-31 23:59:59".
 */
#ifndef TABLED_CTL_COLUMN_SQL_H
#define TABLED_CTL_COLUMN_SQL_H

#include "engine/statement_writer.h"

/* Writes what asks for a column. */
void column_ask(struct statement_writer *writer, const char *column, bool is_time);

/* Writes a value; NULL for none. */
void column_give(struct statement_writer *writer, struct slice value, bool is_time);

#endif
