/*
 * What rows become as the value of a dictionary's key. Pure functions, any thread.
 *
 * Values are escaped, and joined by TAB, as Dovecot's dict protocol has them (base/tabescape.h).
 */
#ifndef TABLED_ENGINE_SHAPE_H
#define TABLED_ENGINE_SHAPE_H

#include "base/error.h"
#include "lookup.h"

/*
 * The columns of the first row, each a value; NULL is an empty one (dovecot: dict-sql.c). FOUND, or
 * NOT_FOUND without rows, or BROKEN with `why` when they are too long.
 */
enum status shape_values(const struct rows *rows, struct buf *out, struct error *why);

/*
 * The row as a JSON object of its columns, by their names; those that are NULL are left out.
 * Several rows are BROKEN: which of them is the user's can't be told. So are two columns of one
 * name.
 */
enum status shape_json(const struct rows *rows, struct buf *out, struct error *why);

/* Appends values, some cells of a row, without a limit of their length. */
void shape_cells(const struct rows *rows, size_t row, size_t first, size_t end, struct buf *out);

#endif
