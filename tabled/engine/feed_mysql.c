#include "engine/feed_sql_internal.h"

#include <string.h>

static void mysql_tables(struct feed_script *script)
{
	feed_script_add(script,
		"CREATE TABLE IF NOT EXISTS tabled_change (\n"
		"\tid            BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,\n"
		"\tchanged_table VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,\n"
		"\tkey_column    VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,\n"
		"\tkey_value     VARBINARY(10000),\n"
		"\tchanged_at    TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP\n"
		") ENGINE = InnoDB");
	feed_script_add(script,
		"CREATE TABLE IF NOT EXISTS tabled_feed (\n"
		"\tchanged_table VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,\n"
		"\tkey_column    VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,\n"
		"\tPRIMARY KEY (changed_table, key_column)\n"
		") ENGINE = InnoDB");
}

/* Triggers are shown to those only who may make some: so a function looks, and a view asks it. */
static void mysql_view(struct feed_script *script)
{
	feed_script_add(script, "DROP FUNCTION IF EXISTS tabled_triggers");
	feed_script_add(script,
		"CREATE FUNCTION tabled_triggers(name VARCHAR(64) CHARACTER SET utf8mb4 "
		"COLLATE utf8mb4_bin)\n"
		"\tRETURNS INTEGER READS SQL DATA SQL SECURITY DEFINER\n"
		"\tRETURN (SELECT count(*) FROM information_schema.triggers\n"
		"\t\tWHERE trigger_schema = DATABASE()\n"
		"\t\tAND trigger_name IN (concat('tabled_insert_', name), "
		"concat('tabled_update_', name),\n"
		"\t\t\tconcat('tabled_delete_', name))\n"
		"\t\tAND event_object_table = substring_index(name, '.', -1)\n"
		"\t\tAND (name NOT LIKE '%.%' OR name = concat(trigger_schema, '.', "
		"event_object_table)))");
	feed_script_add(script, "CREATE OR REPLACE SQL SECURITY DEFINER VIEW tabled_feed_live AS\n"
				"\tSELECT changed_table, key_column FROM tabled_feed WHERE "
				"tabled_triggers(changed_table) = 3");
}

static void mysql_row(struct buf *sql, const char *table, const char *column, const char *side)
{
	if (!*column) {
		buf_add_format(sql, "('%s', '', NULL)", table);
		return;
	}
	buf_add_format(sql,
		"('%s', '%s', IF(length(CONVERT(%s.`%s` USING utf8mb4)) <= %d, CONVERT(%s.`%s` "
		"USING utf8mb4), NULL))",
		table, column, side, column, FEED_VALUE_MAX, side, column);
}

/* Values, since INSERT … SELECT would lock the numbers of the rows for a whole statement. */
static void mysql_rows(struct buf *sql, const struct feed_table *table, int event)
{
	buf_add_string(sql, "\t" FEED_INSERT_CHANGE " VALUES");
	for (size_t i = 0; i < table->column_count; i++) {
		buf_add_string(sql, i ? ",\n\t\t" : "\n\t\t");
		mysql_row(
			sql, table->name, table->columns[i], event == FEED_DELETE ? "OLD" : "NEW");
	}
	buf_add_string(sql, ";\n");
}

/* Of an update, the old values that are others, whatever the collation says. */
static void mysql_old_rows(struct buf *sql, const struct feed_table *table)
{
	for (size_t i = 0; i < table->column_count; i++) {
		const char *column = table->columns[i];

		if (!*column)
			continue;
		buf_add_format(sql,
			"\tIF NOT CAST(OLD.`%s` AS BINARY) <=> CAST(NEW.`%s` AS BINARY) "
			"THEN\n\t\t" FEED_INSERT_CHANGE " VALUES\n\t\t\t",
			column, column);
		mysql_row(sql, table->name, column, "OLD");
		buf_add_string(sql, ";\n\tEND IF;\n");
	}
}

/* No trigger of the child's is fired when the database changes it with its parent. */
static void mysql_children(struct buf *sql, const struct feed_tables *tables,
	const struct feed_table *table, int event)
{
	for (size_t i = 0; i < table->child_count; i++) {
		const struct feed_child *child = &table->children[i];
		const char *column = FEED_EVERYTHING;

		for (size_t j = 0; j < tables->count; j++)
			if (strcmp(tables->items[j].name, child->table) == 0)
				column = tables->items[j].columns[0];
		if (event == FEED_DELETE && child->on_delete)
			buf_add_format(sql, "\t" FEED_INSERT_CHANGE " VALUES ('%s', '%s', NULL);\n",
				child->table, column);
		if (event == FEED_UPDATE && child->on_update)
			buf_add_format(sql,
				"\tIF NOT CAST(OLD.`%s` AS BINARY) <=> CAST(NEW.`%s` AS BINARY) "
				"THEN\n\t\t" FEED_INSERT_CHANGE
				" VALUES ('%s', '%s', NULL);\n\tEND IF;\n",
				child->key, child->key, child->table, column);
	}
}

void feed_mysql_install(struct feed_script *script, const struct dialect *dialect,
	const struct feed_tables *tables, const struct text_list *old)
{
	struct buf sql = {0};

	mysql_tables(script);
	mysql_view(script);
	feed_drop_triggers(script, dialect, tables, old);
	feed_add_rows(script, tables);
	for (size_t i = 0; i < tables->count; i++) {
		for (int event = 0; event < FEED_EVENTS; event++) {
			feed_begin_trigger(&sql, dialect, &tables->items[i], event);
			buf_add_string(&sql, " FOR EACH ROW\nBEGIN\n");
			mysql_rows(&sql, &tables->items[i], event);
			if (event == FEED_UPDATE)
				mysql_old_rows(&sql, &tables->items[i]);
			mysql_children(&sql, tables, &tables->items[i], event);
			buf_add_string(&sql, "END");
			feed_script_take(script, &sql);
		}
	}
	feed_add_last_row(script);
}
