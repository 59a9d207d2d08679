/*
 * SQL that is made piece by piece, with its parameters: for statements that no configuration spells
 * out. Values never become a part of the SQL.
 *
 * Whoever writes owns the writer. What it makes is a statement as any other (backend.h), borrowed
 * from the writer, and good until that is finished.
 */
#ifndef TABLED_ENGINE_STATEMENT_WRITER_H
#define TABLED_ENGINE_STATEMENT_WRITER_H

#include "backend.h"

struct statement_writer {
	const struct dialect *dialect; /* borrowed */
	struct buf sql, ends;          /* the pieces, and where each ends: before a value */
	struct buf values, value_ends; /* the same for the values */
	struct buf text;
	struct statement_part *parts; /* owned */
	struct slice *params;         /* owned */
	struct statement statement;
};

void statement_writer_init(struct statement_writer *writer, const struct dialect *dialect);
void statement_writer_finish(struct statement_writer *writer);

/* Appends SQL. */
void statement_write(struct statement_writer *writer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Appends a placeholder. The value is copied; none (data == NULL) is given when it is asked. */
void statement_write_value(struct statement_writer *writer, struct slice value);

/* No more is written: makes the statement, and the values that were given its parameters. */
const struct statement *statement_writer_end(
	struct statement_writer *writer, enum statement_kind kind, size_t id);

#endif
