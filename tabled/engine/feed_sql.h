/*
 * The SQL of the change feed: what makes its tables and triggers in each of the three databases,
 * what takes them away, and what the daemon asks. schema/ holds the same texts for the project's
 * own tables; a test compares them. Pure functions, any thread.
 *
 *	tabled_change(id, changed_table, key_column, key_value, changed_at)
 *		a row for each row that was inserted, updated or deleted, for each key column and
 *		each value that it had and has. No value: everything that reads the table.
 *	tabled_feed(changed_table, key_column)
 *		which tables have triggers, and which columns these tell of
 */
#ifndef TABLED_ENGINE_FEED_SQL_H
#define TABLED_ENGINE_FEED_SQL_H

#include "engine/feed_tables.h"

/* Statements, to be carried out one after the other. None ends in a semicolon. */
struct feed_script {
	char **items; /* owned, as are the strings */
	size_t count;
};

void feed_script_finish(struct feed_script *script);

/*
 * Appends what the script needs to be fed to psql, mysql or sqlite3, and stops these at the first
 * error.
 */
void feed_script_show(
	const struct feed_script *script, const struct dialect *dialect, struct buf *out);

/*
 * Makes the feed watch these tables and no others. It may be done again and again. `old` are the
 * tables that are watched now, as FEED_ASK_OLD_TABLES tells; `reader` is the database's user that
 * shall read the feed, or NULL. Returns -1 with `why` if a table's name does not suit.
 */
int feed_sql_install(const struct feed_tables *tables, const struct text_list *old,
	const char *reader, const struct dialect *dialect, struct feed_script *ret_script,
	struct error *why);

/* Takes all of it away. */
void feed_sql_remove(
	const struct text_list *old, const struct dialect *dialect, struct feed_script *ret_script);

/* A query for the tables that are watched. It fails where no feed was ever installed. */
#define FEED_ASK_OLD_TABLES "SELECT DISTINCT changed_table FROM tabled_feed ORDER BY changed_table"

/*
 * A query for what a table and a column are to the feed. One row: '1', text that can be compared
 * with keys; '0', something else. No row: there is no such column, or it is none of a table.
 */
void feed_sql_column(
	const char *table, const char *column, const struct dialect *dialect, struct buf *out);

/*
 * A query for all foreign keys whose children the triggers don't see: child, parent, key, then
 * whether updates and deletions cascade, as '0' or '1'. Appends nothing where there are none.
 */
void feed_sql_links(const struct dialect *dialect, struct buf *out);

/*
 * What the daemon asks. All are templates of queries, as maps have them.
 *
 * The changes behind a number (the key is "%s"); those of a gap (the key is "from@to"). Columns:
 * id, changed_table, key_column, key_value. Whoever gets FEED_ROWS rows has to ask on.
 */
enum { FEED_ROWS = 400 }; /* of the longest values they are less than LOOKUP_ROWS_MAX */
#define FEED_ASK_NEW                                                                               \
	"SELECT id, changed_table, key_column, key_value FROM tabled_change WHERE id > '%s' "      \
	"ORDER BY id LIMIT 400"
#define FEED_ASK_GAP                                                                               \
	"SELECT id, changed_table, key_column, key_value FROM tabled_change "                      \
	"WHERE id BETWEEN '%u' AND '%d' ORDER BY id LIMIT 400"

/* The highest and the lowest number; NULL if there are none. The highest row is never trimmed. */
#define FEED_ASK_ENDS "SELECT max(id), min(id) FROM tabled_change"

/*
 * The tables and columns whose triggers are in place: a table that was made anew has lost them. A
 * third column holds a text that is another one after that, or when the server was started anew or
 * is another one: then all is to be asked again.
 */
const char *feed_ask_tables(const struct dialect *dialect);

/*
 * The highest number that may be trimmed, or NULL: rows of more than an hour ago, 10,000 at
 * most. On servers only, and not on standbys; SQLite's triggers trim by themselves.
 */
const char *feed_ask_old(const struct dialect *dialect);

/* A command, for a connection that may write: trims up to the number that feed_ask_old() gave. */
#define FEED_TRIM_FORMAT "DELETE FROM tabled_change WHERE id <= %" PRIu64

#endif
