/*
 * What the words of a query tell of it, as far as it has to be known whether the query may stand in
 * another one. `words` is the query in capitals, with a quote for each quoted part, and without its
 * comments. Pure functions, any thread.
 */
#ifndef TABLED_ENGINE_SQL_H
#define TABLED_ENGINE_SQL_H

#include "base/slice.h"

#include <stdbool.h>

/* May the character stand in a name or keyword? */
bool sql_is_name_character(char c);

/* Whether the query may stand in a subquery, and there says what it says alone. In doubt: no. */
bool sql_is_select(struct slice words);

/* Whether the order of its rows is asked for, without a limit of their number. */
bool sql_is_ordered(struct slice words);

#endif
