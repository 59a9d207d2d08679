/*
 * In all three databases the order is: the tables; away with the triggers that are there; the list
 * of what is watched; the triggers; and last, a row that says of each table that everything may
 * have changed. PostgreSQL and SQLite do that in one transaction. MySQL can't, but in this order
 * tabled_feed always names all tables that may have triggers, and feed_ask_tables() none whose
 * triggers are not whole. CREATE TRIGGER waits for transactions that have used the table, so what
 * these have changed is told of by the last row.
 *
 * Triggers must not make anybody's statement fail: they convert nothing that might not convert, and
 * nothing in tabled_change can be refused.
 */
#include "engine/feed_sql_internal.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

enum {
	NAME_MAX_BYTES = 45, /* with "tabled_truncate_" before it, a name may have 63 */
};

/* --- Scripts */

void feed_script_finish(struct feed_script *script)
{
	for (size_t i = 0; i < script->count; i++)
		free(script->items[i]);
	free(script->items);
	*script = (struct feed_script){0};
}

void feed_script_take(struct feed_script *script, struct buf *text)
{
	buf_string(text);
	script->items = memory_resize(script->items, (script->count + 1) * sizeof(*script->items));
	script->items[script->count++] = text->data;
	*text = (struct buf){0};
}

void feed_script_add(struct feed_script *script, const char *text)
{
	struct buf copy = {0};

	buf_add_string(&copy, text);
	feed_script_take(script, &copy);
}

/* Only mysql has to be told where a statement with semicolons in it ends. */
void feed_script_show(
	const struct feed_script *script, const struct dialect *dialect, struct buf *out)
{
	bool delimits = false;

	if (sql_is_postgresql(dialect))
		buf_add_string(out, "\\set ON_ERROR_STOP on\n");
	else if (sql_is_mysql(dialect))
		buf_add_string(out, "SET NAMES utf8mb4;\n");
	else
		buf_add_string(out, ".bail on\n");
	for (size_t i = 0; i < script->count; i++) {
		bool needs = sql_is_mysql(dialect) && strchr(script->items[i], ';');

		if (needs != delimits)
			buf_add_string(out, needs ? "DELIMITER //\n" : "DELIMITER ;\n");
		delimits = needs;
		buf_add_format(out, "%s%s\n", script->items[i], delimits ? "//" : ";");
	}
	if (delimits)
		buf_add_string(out, "DELIMITER ;\n");
}

/* --- Names */

/* A table's name may have a schema. */
bool feed_is_plain(const char *name)
{
	for (const char *at = name; *at; at++)
		if ((unsigned char)*at < ' ' || strchr("'\"`\\\x7f", *at))
			return false;
	return true;
}

static int check_table(
	const struct feed_table *table, const struct dialect *dialect, struct error *why)
{
	const char *dot = strchr(table->name, '.');
	size_t main = strlen("main.");

	for (size_t i = 0; i < table->column_count; i++)
		if (!feed_is_plain(table->columns[i]))
			return error_set(why,
				"%s: a column whose name holds a quote or a backslash can't be "
				"watched",
				table->name);
	if (!feed_is_plain(table->name))
		return error_set(why,
			"%s: a table whose name holds a quote or a backslash can't be watched",
			table->name);
	if (strlen(table->name) > NAME_MAX_BYTES)
		return error_set(why,
			"%s: a table whose name has more than %d bytes can't be watched",
			table->name, NAME_MAX_BYTES);
	if (dot && strchr(dot + 1, '.'))
		return error_set(why, "%s: write it as schema.table in the query", table->name);
	if (dot && !sql_is_postgresql(dialect) && !sql_is_mysql(dialect) &&
		strncmp(table->name, "main.", main) != 0)
		return error_set(why, "%s is not in the file itself", table->name);
	return 0;
}

static char quote_of(const struct dialect *dialect)
{
	return sql_is_mysql(dialect) ? '`' : '"';
}

static void add_name(
	struct buf *out, const struct dialect *dialect, const char *prefix, const char *name)
{
	buf_add_format(out, "%c%s%s%c", quote_of(dialect), prefix, name, quote_of(dialect));
}

/* The table itself. In SQLite no schema may stand there; in MySQL it has to be the trigger's own.
 */
void feed_add_table(struct buf *out, const struct dialect *dialect, const char *name)
{
	const char *last = feed_table_last(name);

	if (last > name && sql_is_postgresql(dialect))
		buf_add_format(out, "\"%.*s\".", (int)(last - name - 1), name);
	add_name(out, dialect, "", last);
}

/* --- What all three share */

void feed_add_rows(struct feed_script *script, const struct feed_tables *tables)
{
	struct buf sql = {0};

	feed_script_add(script, "DELETE FROM tabled_feed");
	if (!tables->count)
		return;
	buf_add_string(&sql, "INSERT INTO tabled_feed (changed_table, key_column) VALUES");
	for (size_t i = 0; i < tables->count; i++)
		for (size_t j = 0; j < tables->items[i].column_count; j++)
			buf_add_format(&sql, "%s\n\t('%s', '%s')", i || j ? "," : "",
				tables->items[i].name, tables->items[i].columns[j]);
	feed_script_take(script, &sql);
}

void feed_add_last_row(struct feed_script *script)
{
	feed_script_add(script,
		"INSERT INTO tabled_change (changed_table, key_column)\n"
		"\tSELECT changed_table, min(key_column) FROM tabled_feed GROUP BY changed_table");
}

static const char *const events[] = {"insert", "update", "delete"};

/* For SQLite and MySQL, where each event has a trigger. */
static void drop_triggers(
	struct feed_script *script, const struct dialect *dialect, const char *table)
{
	struct buf sql = {0};

	for (size_t i = 0; i < FEED_EVENTS; i++) {
		buf_add_format(&sql, "DROP TRIGGER IF EXISTS %ctabled_%s_%s%c", quote_of(dialect),
			events[i], table, quote_of(dialect));
		feed_script_take(script, &sql);
	}
}

static bool is_watched(const struct feed_tables *tables, const char *name)
{
	for (size_t i = 0; i < tables->count; i++)
		if (strcmp(tables->items[i].name, name) == 0)
			return true;
	return false;
}

void feed_drop_triggers(struct feed_script *script, const struct dialect *dialect,
	const struct feed_tables *tables, const struct text_list *old)
{
	for (size_t i = 0; i < tables->count; i++)
		drop_triggers(script, dialect, tables->items[i].name);
	for (size_t i = 0; i < old->count; i++)
		if (!is_watched(tables, old->items[i]) && feed_is_plain(old->items[i]))
			drop_triggers(script, dialect, old->items[i]);
}

void feed_begin_trigger(
	struct buf *sql, const struct dialect *dialect, const struct feed_table *table, int event)
{
	buf_add_format(sql, "CREATE TRIGGER %ctabled_%s_%s%c AFTER %s ON ", quote_of(dialect),
		events[event], table->name, quote_of(dialect),
		event == FEED_INSERT   ? "INSERT"
		: event == FEED_UPDATE ? "UPDATE"
				       : "DELETE");
	feed_add_table(sql, dialect, table->name);
}

/* --- What others call */

int feed_sql_install(const struct feed_tables *tables, const struct text_list *old,
	const char *reader, const struct dialect *dialect, struct feed_script *ret_script,
	struct error *why)
{
	*ret_script = (struct feed_script){0};
	for (size_t i = 0; i < tables->count; i++)
		if (check_table(&tables->items[i], dialect, why) < 0)
			return -1;
	if (sql_is_postgresql(dialect))
		feed_pgsql_install(ret_script, dialect, tables, reader);
	else if (sql_is_mysql(dialect))
		feed_mysql_install(ret_script, dialect, tables, old);
	else
		feed_sqlite_install(ret_script, dialect, tables, old);
	return 0;
}

void feed_sql_remove(
	const struct text_list *old, const struct dialect *dialect, struct feed_script *ret_script)
{
	bool in_one = !sql_is_mysql(dialect);

	*ret_script = (struct feed_script){0};
	if (in_one)
		feed_script_add(ret_script, "BEGIN");
	if (sql_is_postgresql(dialect)) {
		feed_pgsql_drop(ret_script);
		feed_script_add(ret_script, "DROP FUNCTION IF EXISTS tabled_note_change()");
		feed_script_add(
			ret_script, "DROP FUNCTION IF EXISTS tabled_note(text, text, text)");
	} else {
		feed_drop_triggers(ret_script, dialect, &(struct feed_tables){0}, old);
	}
	if (!in_one) {
		feed_script_add(ret_script, "DROP VIEW IF EXISTS tabled_feed_live");
		feed_script_add(ret_script, "DROP FUNCTION IF EXISTS tabled_triggers");
	}
	feed_script_add(ret_script, "DROP TABLE IF EXISTS tabled_change");
	feed_script_add(ret_script, "DROP TABLE IF EXISTS tabled_feed");
	if (in_one)
		feed_script_add(ret_script, "COMMIT");
}
