/*
 * What the SQL of dictionaries is made of, for dictionary_sql.c and dictionary_sql_list.c. Nobody
 * else includes it.
 */
#ifndef TABLED_ENGINE_DICTIONARY_SQL_INTERNAL_H
#define TABLED_ENGINE_DICTIONARY_SQL_INTERNAL_H

#include "engine/dictionary_sql.h"

/* A name in its quotes, and what stands around it. */
void sql_write_around(
	struct statement_writer *writer, const char *before, const char *name, const char *behind);

/* A placeholder, and around it what makes the column's type of a text. */
void sql_write_typed(struct statement_writer *writer, const struct dictionary_column *column,
	struct slice value);

/* A column as it is shown; and all that have values. */
void sql_write_column(struct statement_writer *writer, const struct dictionary_column *column);
void sql_write_values(struct statement_writer *writer, const struct dictionary_table *table);

/* "WHERE" before the first condition, "AND" before all others. */
struct conditions {
	struct statement_writer *writer;
	bool has_any;
};

/* The condition itself is to be written next. */
void conditions_begin(struct conditions *conditions);

void conditions_add_equal(
	struct conditions *conditions, const struct dictionary_column *column, struct slice value);

/* Only rows of the user, if they are some user's; only those that have not expired, if they do. */
void conditions_add_user(
	struct conditions *conditions, const struct dictionary_table *table, struct slice user);
void conditions_add_not_expired(
	struct conditions *conditions, const struct dictionary_table *table);

#endif
