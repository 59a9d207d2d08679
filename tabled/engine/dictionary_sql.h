/*
 * The SQL of a dictionary's key that is bound to a table, for each of the databases: what looks a
 * key up, sets, unsets and increments it, and lists keys. Pure functions, any thread. Rules:
 * dovecot: src/lib-dict-backend/dict-sql.c.
 */
#ifndef TABLED_ENGINE_DICTIONARY_SQL_H
#define TABLED_ENGINE_DICTIONARY_SQL_H

#include "engine/dictionary_path.h"
#include "engine/dictionary_type.h"
#include "engine/statement_writer.h"

/* The table of a key. */
struct dictionary_table {
	const char *name;                 /* borrowed */
	const char *username_field;       /* borrowed; NULL: none */
	const char *expire_field;         /* borrowed; NULL: none */
	struct dictionary_column *fields; /* owned; one for each variable of the pattern */
	size_t field_count;
	struct dictionary_column *values; /* owned; the first is the one that is written */
	size_t value_count;
	bool is_private; /* a row belongs to a user, too */
};

/*
 * Appends the name of a table or column, in quotes, since it may be a word of the database's own:
 * to PostgreSQL, user is no column, but who is logged in. It means what it would mean without them.
 */
void dictionary_sql_name(const char *name, const struct dialect *dialect, struct buf *out);

/* The column by which a row is known, if it is a single one, and of text; else NULL. Borrowed. */
const char *dictionary_text_column(const struct dictionary_table *table);

/* The row that is meant: a value for each field of its table, and the user of a private key. */
struct dictionary_row {
	const struct dictionary_table *table;
	struct slice values[DICTIONARY_VARIABLES_MAX];
	struct slice user;
};

/* Values in the statement's order: those of the fields, then the user. Returns how it is batched.
 */
enum statement_kind dictionary_sql_lookup(
	const struct dictionary_table *table, struct statement_writer *writer);

/* One value of a row, in the column of `table`, which may be another key's of the same row. */
struct dictionary_change {
	const struct dictionary_table *table;
	struct slice value; /* or the difference */
};

/* `expire` in seconds from now; 0: never. */
void dictionary_sql_set(const struct dictionary_row *row, const struct dictionary_change *changes,
	size_t count, uint64_t expire, struct statement_writer *writer);
void dictionary_sql_unset(const struct dictionary_row *row, struct statement_writer *writer);
void dictionary_sql_increment(const struct dictionary_row *row,
	const struct dictionary_change *changes, size_t count, struct statement_writer *writer);

/* Which keys are listed. */
struct dictionary_list {
	const struct dictionary_table *table;
	const struct dictionary_span *span; /* of the key's pattern */
	struct slice user;
	bool recurse;
	bool with_values, by_value;
	const struct slice
		*after; /* the unknown fields of the last row that was listed; NULL: none */
	uint64_t limit; /* rows */
};

/* Cells of its rows: the unknown fields, then the values, if wanted. Sorted by the fields. */
void dictionary_sql_list(const struct dictionary_list *list, struct statement_writer *writer);

/*
 * The same by a query of the configuration, whose one column is the pattern's only variable: each
 * of its values once.
 */
void dictionary_sql_list_query(
	const char *query, const struct dictionary_list *list, struct statement_writer *writer);

#endif
