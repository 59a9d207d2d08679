#include "engine/feed_sql_internal.h"

static void pgsql_tables(struct feed_script *script)
{
	feed_script_add(script, "CREATE TABLE IF NOT EXISTS tabled_change (\n"
				"\tid            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n"
				"\tchanged_table text COLLATE \"C\" NOT NULL,\n"
				"\tkey_column    text COLLATE \"C\" NOT NULL,\n"
				"\tkey_value     text COLLATE \"C\",\n"
				"\tchanged_at    timestamptz NOT NULL DEFAULT clock_timestamp()\n"
				")");
	feed_script_add(script, "CREATE TABLE IF NOT EXISTS tabled_feed (\n"
				"\tchanged_table text COLLATE \"C\" NOT NULL,\n"
				"\tkey_column    text COLLATE \"C\" NOT NULL,\n"
				"\tPRIMARY KEY (changed_table, key_column)\n"
				")");
}

/*
 * Who changes a row need not have rights on tabled_change: tabled_note() has them, and is there for
 * triggers only. The trigger's own function has the rights of whoever changes the row, since
 * to_jsonb() may call what the table's owner has made. A search_path of their own keeps both from
 * writing to another table of that name.
 */
static void pgsql_functions(struct feed_script *script)
{
	feed_script_add(script,
		"CREATE OR REPLACE FUNCTION tabled_note(changed text, key text, value text)\n"
		"\tRETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$\n"
		"BEGIN\n"
		"\tIF pg_trigger_depth() > 0 THEN\n"
		"\t\tINSERT INTO tabled_change (changed_table, key_column, key_value)\n"
		"\t\t\tVALUES (changed, key, CASE WHEN octet_length(value) <= 10000 THEN value "
		"END);\n"
		"\tEND IF;\n"
		"END\n"
		"$$");
	feed_script_add(script,
		"CREATE OR REPLACE FUNCTION tabled_note_change() RETURNS trigger LANGUAGE plpgsql "
		"AS $$\n"
		"DECLARE\n"
		"\told_row jsonb;\n"
		"\tnew_row jsonb;\n"
		"BEGIN\n"
		"\tIF TG_OP = 'TRUNCATE' THEN\n"
		"\t\tPERFORM tabled_note(TG_ARGV[0], TG_ARGV[1], NULL);\n"
		"\tELSE\n"
		"\t\tIF TG_OP <> 'INSERT' THEN old_row := to_jsonb(OLD); END IF;\n"
		"\t\tIF TG_OP <> 'DELETE' THEN new_row := to_jsonb(NEW); END IF;\n"
		"\t\tPERFORM tabled_note(TG_ARGV[0], key, value)\n"
		"\t\t\tFROM (SELECT DISTINCT key COLLATE \"C\", (data ->> key) COLLATE \"C\"\n"
		"\t\t\t\tFROM unnest(TG_ARGV[1:]) AS key, unnest(ARRAY[old_row, new_row]) AS data\n"
		"\t\t\t\tWHERE data IS NOT NULL) AS changed (key, value);\n"
		"\tEND IF;\n"
		"\tPERFORM pg_notify('tabled', '');\n"
		"\tRETURN NULL;\n"
		"END\n"
		"$$");
	feed_script_add(script,
		"DO $$ DECLARE path text := format('pg_catalog, %I, pg_temp', current_schema()); "
		"BEGIN\n"
		"\tEXECUTE 'ALTER FUNCTION tabled_note(text, text, text) SET search_path = ' || "
		"path;\n"
		"\tEXECUTE 'ALTER FUNCTION tabled_note_change() SET search_path = ' || path;\n"
		"END $$");
}

/* Those of partitions go with their parents'. */
void feed_pgsql_drop(struct feed_script *script)
{
	feed_script_add(script,
		"DO $$ DECLARE one record; BEGIN\n"
		"\tFOR one IN SELECT t.tgname, c.oid::regclass AS place\n"
		"\t\tFROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid\n"
		"\t\tWHERE t.tgfoid = to_regproc('tabled_note_change') AND NOT t.tgisinternal\n"
		"\t\tORDER BY c.relispartition\n"
		"\tLOOP\n"
		"\t\tEXECUTE format('DROP TRIGGER IF EXISTS %I ON %s', one.tgname, one.place);\n"
		"\tEND LOOP;\n"
		"END $$");
}

static void pgsql_arguments(struct buf *sql, const struct feed_table *table)
{
	buf_add_format(sql, "EXECUTE FUNCTION tabled_note_change('%s'", table->name);
	for (size_t i = 0; i < table->column_count; i++)
		buf_add_format(sql, ", '%s'", table->columns[i]);
	buf_add_byte(sql, ')');
}

/* ALWAYS: even for rows that replication brings. */
static void pgsql_triggers(
	struct feed_script *script, const struct dialect *dialect, const struct feed_table *table)
{
	struct buf sql = {0};

	buf_add_format(&sql, "CREATE TRIGGER \"tabled_%s\" AFTER INSERT OR UPDATE OR DELETE ON ",
		table->name);
	feed_add_table(&sql, dialect, table->name);
	buf_add_string(&sql, "\n\tFOR EACH ROW ");
	pgsql_arguments(&sql, table);
	feed_script_take(script, &sql);
	buf_add_format(
		&sql, "CREATE TRIGGER \"tabled_truncate_%s\" AFTER TRUNCATE ON ", table->name);
	feed_add_table(&sql, dialect, table->name);
	buf_add_string(&sql, "\n\tFOR EACH STATEMENT ");
	pgsql_arguments(&sql, table);
	feed_script_take(script, &sql);
	buf_add_string(&sql, "ALTER TABLE ");
	feed_add_table(&sql, dialect, table->name);
	buf_add_format(&sql,
		" ENABLE ALWAYS TRIGGER \"tabled_%s\", ENABLE ALWAYS TRIGGER "
		"\"tabled_truncate_%s\"",
		table->name, table->name);
	feed_script_take(script, &sql);
}

/* Rows of these are changed where no trigger sees it. */
static void pgsql_check(struct feed_script *script)
{
	feed_script_add(script,
		"DO $$ DECLARE one regclass; BEGIN\n"
		"\tSELECT c.oid INTO one FROM pg_trigger AS t JOIN pg_class AS c ON "
		"c.oid = t.tgrelid\n"
		"\t\tWHERE t.tgfoid = to_regproc('tabled_note_change') AND (c.relkind "
		"NOT IN ('r', 'p')\n"
		"\t\t\tOR (c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits WHERE "
		"inhparent = c.oid)));\n"
		"\tIF one IS NOT NULL THEN\n"
		"\t\tRAISE EXCEPTION 'the table % is a foreign one or has others that "
		"inherit from it: it can''t be watched', one;\n"
		"\tEND IF;\n"
		"END $$");
}

static void pgsql_grant(struct feed_script *script, const char *reader)
{
	struct buf sql = {0};

	if (!reader || !feed_is_plain(reader))
		return;
	buf_add_format(&sql, "GRANT SELECT, DELETE ON tabled_change TO \"%s\"", reader);
	feed_script_take(script, &sql);
	buf_add_format(&sql, "GRANT SELECT ON tabled_feed TO \"%s\"", reader);
	feed_script_take(script, &sql);
}

void feed_pgsql_install(struct feed_script *script, const struct dialect *dialect,
	const struct feed_tables *tables, const char *reader)
{
	feed_script_add(script, "BEGIN");
	pgsql_tables(script);
	pgsql_functions(script);
	feed_pgsql_drop(script);
	feed_add_rows(script, tables);
	for (size_t i = 0; i < tables->count; i++)
		pgsql_triggers(script, dialect, &tables->items[i]);
	pgsql_check(script);
	pgsql_grant(script, reader);
	feed_add_last_row(script);
	feed_script_add(script, "COMMIT");
}
