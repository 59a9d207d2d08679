/*
 * Between the files of the feed's SQL: what all databases share is in feed_sql.c, the rest in
 * feed_sqlite.c, feed_mysql.c and feed_pgsql.c.
 */
#ifndef TABLED_ENGINE_FEED_SQL_INTERNAL_H
#define TABLED_ENGINE_FEED_SQL_INTERNAL_H

#include "engine/feed_sql.h"
#include "engine/sql.h"
#include "lookup.h"

/* A longer value is no key. */
enum { FEED_VALUE_MAX = LOOKUP_KEY_MAX };

/* What a trigger is for, in SQLite and MySQL. */
enum { FEED_INSERT, FEED_UPDATE, FEED_DELETE, FEED_EVENTS };

#define FEED_INSERT_CHANGE "INSERT INTO tabled_change (changed_table, key_column, key_value)"

/* Takes over the text, and leaves the buffer empty. */
void feed_script_take(struct feed_script *script, struct buf *text);

void feed_script_add(struct feed_script *script, const char *text);

/* Whether a name has to be escaped nowhere. */
bool feed_is_plain(const char *name);

/* Appends the table itself, in quotes. */
void feed_add_table(struct buf *out, const struct dialect *dialect, const char *name);

/* Makes tabled_feed say what is watched. */
void feed_add_rows(struct feed_script *script, const struct feed_tables *tables);

/* Says of each table that is watched that everything may have changed. */
void feed_add_last_row(struct feed_script *script);

/* Where each event has a trigger: CREATE TRIGGER … AFTER UPDATE ON … */
void feed_begin_trigger(
	struct buf *sql, const struct dialect *dialect, const struct feed_table *table, int event);

/* The same: drops those of all these tables. */
void feed_drop_triggers(struct feed_script *script, const struct dialect *dialect,
	const struct feed_tables *tables, const struct text_list *old);

void feed_sqlite_install(struct feed_script *script, const struct dialect *dialect,
	const struct feed_tables *tables, const struct text_list *old);
void feed_mysql_install(struct feed_script *script, const struct dialect *dialect,
	const struct feed_tables *tables, const struct text_list *old);
void feed_pgsql_install(struct feed_script *script, const struct dialect *dialect,
	const struct feed_tables *tables, const char *reader);

/* Drops all triggers of ours, whatever their tables. */
void feed_pgsql_drop(struct feed_script *script);

#endif
