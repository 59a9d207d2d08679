#include "engine/feed_sql_internal.h"

static void sqlite_tables(struct feed_script *script)
{
	feed_script_add(script, "CREATE TABLE IF NOT EXISTS tabled_change (\n"
				"\tid            INTEGER PRIMARY KEY AUTOINCREMENT,\n"
				"\tchanged_table TEXT NOT NULL,\n"
				"\tkey_column    TEXT NOT NULL,\n"
				"\tkey_value     TEXT,\n"
				"\tchanged_at    TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP\n"
				") STRICT");
	feed_script_add(script, "CREATE TABLE IF NOT EXISTS tabled_feed (\n"
				"\tchanged_table TEXT NOT NULL,\n"
				"\tkey_column    TEXT NOT NULL,\n"
				"\tPRIMARY KEY (changed_table, key_column)\n"
				") STRICT, WITHOUT ROWID");
	feed_script_add(script, "CREATE TRIGGER IF NOT EXISTS tabled_change_trim AFTER INSERT ON "
				"tabled_change WHEN NEW.id % 1000 = 0\n"
				"BEGIN\n"
				"\tDELETE FROM tabled_change WHERE id <= NEW.id - 10000;\n"
				"END");
}

/* A row of tabled_change for one column. A value that no key can equal is none. */
static void sqlite_row(struct buf *sql, const char *table, const char *column, const char *side)
{
	if (!*column) {
		buf_add_format(sql, "SELECT '%s', '', NULL", table);
		return;
	}
	buf_add_format(sql,
		"SELECT '%s', '%s', CASE WHEN typeof(%s.\"%s\") = 'text' AND length(CAST(%s.\"%s\" "
		"AS BLOB)) <= %d "
		"THEN %s.\"%s\" END",
		table, column, side, column, side, column, FEED_VALUE_MAX, side, column);
}

static void sqlite_trigger(struct feed_script *script, const struct dialect *dialect,
	const struct feed_table *table, int event)
{
	struct buf sql = {0};

	feed_begin_trigger(&sql, dialect, table, event);
	buf_add_string(&sql, "\nBEGIN\n\t" FEED_INSERT_CHANGE);
	for (size_t i = 0; i < table->column_count; i++) {
		buf_add_string(&sql, i ? "\n\t\tUNION " : "\n\t\t");
		sqlite_row(
			&sql, table->name, table->columns[i], event == FEED_DELETE ? "OLD" : "NEW");
		if (event != FEED_UPDATE || !*table->columns[i])
			continue;
		buf_add_string(&sql, "\n\t\tUNION ");
		sqlite_row(&sql, table->name, table->columns[i], "OLD");
	}
	buf_add_string(&sql, ";\nEND");
	feed_script_take(script, &sql);
}

void feed_sqlite_install(struct feed_script *script, const struct dialect *dialect,
	const struct feed_tables *tables, const struct text_list *old)
{
	feed_script_add(script, "BEGIN IMMEDIATE");
	sqlite_tables(script);
	feed_drop_triggers(script, dialect, tables, old);
	feed_add_rows(script, tables);
	for (size_t i = 0; i < tables->count; i++)
		for (int event = 0; event < FEED_EVENTS; event++)
			sqlite_trigger(script, dialect, &tables->items[i], event);
	feed_add_last_row(script);
	feed_script_add(script, "COMMIT");
}
