/* What is asked of a database for the change feed: by the daemon, and before triggers are made. */
#include "engine/feed_sql.h"
#include "engine/sql.h"

#include <string.h>

/* Names come from queries: a quote in one is doubled, a backslash in MySQL too. */
static void add_literal(struct buf *out, const struct dialect *dialect, struct slice text)
{
	buf_add_byte(out, '\'');
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] == '\'' || (text.data[i] == '\\' && dialect->backslash_escapes))
			buf_add_byte(out, text.data[i]);
		buf_add_byte(out, text.data[i]);
	}
	buf_add_byte(out, '\'');
}

/* "schema." of a table's name, without the dot; empty if there is none. */
static struct slice schema_of(const char *table)
{
	size_t size = (size_t)(feed_table_last(table) - table);

	return slice_of(table, size ? size - 1 : 0);
}

static void sqlite_column(
	const char *table, const char *column, const struct dialect *dialect, struct buf *out)
{
	buf_add_string(out,
		"SELECT upper(c.type) NOT LIKE '%INT%' AND (upper(c.type) LIKE '%CHAR%' OR "
		"upper(c.type) LIKE '%CLOB%' OR upper(c.type) LIKE '%TEXT%') "
		"FROM sqlite_master AS t JOIN pragma_table_xinfo(t.name) AS c "
		"WHERE t.type = 'table' AND t.sql NOT LIKE 'CREATE VIRTUAL%' AND lower(t.name) = ");
	add_literal(out, dialect, slice_str(feed_table_last(table)));
	if (!*column)
		buf_add_string(out, " LIMIT 1");
	else
		buf_add_string(out, " AND lower(c.name) = ");
	if (*column)
		add_literal(out, dialect, slice_str(column));
}

/*
 * To these, two texts of plain ASCII are equal only if they are but for case and blanks at the end.
 * To a Lithuanian collation y is i, to a Latin one v is u, and there are more. In some character
 * sets two letters look the same.
 */
#define MYSQL_COLLATIONS                                                                           \
	"'^(ascii|latin1|ucs2|utf8|utf8mb3|utf8mb4|utf16|utf32)_"                                  \
	"((general|unicode|unicode_520|swedish|danish|german1|german2)_(nopad_)?c[is]|"            \
	"((uca1400|0900)_)?(nopad_)?(a[is]_c[is]|bin))$'"

static void mysql_column(
	const char *table, const char *column, const struct dialect *dialect, struct buf *out)
{
	struct slice schema = schema_of(table);

	buf_add_string(out,
		"SELECT c.data_type IN ('char', 'varchar', 'tinytext', 'text', 'mediumtext', "
		"'longtext') AND coalesce(c.collation_name, '') REGEXP " MYSQL_COLLATIONS " "
		"FROM information_schema.columns AS c JOIN information_schema.tables AS t "
		"ON t.table_schema = c.table_schema AND t.table_name = c.table_name "
		"WHERE t.table_type = 'BASE TABLE' AND c.table_schema = DATABASE() AND "
		"c.table_name = ");
	add_literal(out, dialect, slice_str(feed_table_last(table)));
	if (schema.size) {
		buf_add_string(out, " AND c.table_schema = ");
		add_literal(out, dialect, schema);
	}
	if (*column) {
		buf_add_string(out, " AND c.column_name = ");
		add_literal(out, dialect, slice_str(column));
	}
	buf_add_string(out, " LIMIT 1");
}

/* Texts are compared byte by byte, or but for case, unless by a collation that is not
 * deterministic. */
static void pgsql_column(
	const char *table, const char *column, const struct dialect *dialect, struct buf *out)
{
	struct slice schema = schema_of(table);

	buf_add_string(out,
		"SELECT CASE WHEN y.typname IN ('text', 'varchar', 'bpchar', 'citext', 'name') "
		"AND coalesce(k.collisdeterministic, true) THEN 1 ELSE 0 END FROM pg_class AS t "
		"JOIN pg_namespace AS s ON s.oid = t.relnamespace "
		"JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT "
		"a.attisdropped "
		"JOIN pg_type AS y ON y.oid = a.atttypid LEFT JOIN pg_collation AS k ON k.oid = "
		"a.attcollation "
		"WHERE t.relkind IN ('r', 'p') AND t.relname = ");
	add_literal(out, dialect, slice_str(feed_table_last(table)));
	if (schema.size) {
		buf_add_string(out, " AND s.nspname = ");
		add_literal(out, dialect, schema);
	} else {
		buf_add_string(out, " AND pg_table_is_visible(t.oid)");
	}
	if (*column) {
		buf_add_string(out, " AND a.attname = ");
		add_literal(out, dialect, slice_str(column));
	}
	buf_add_string(out, " LIMIT 1");
}

void feed_sql_column(
	const char *table, const char *column, const struct dialect *dialect, struct buf *out)
{
	if (sql_is_postgresql(dialect))
		pgsql_column(table, column, dialect, out);
	else if (sql_is_mysql(dialect))
		mysql_column(table, column, dialect, out);
	else
		sqlite_column(table, column, dialect, out);
}

/* What a cascade does is shown to those only who may do more than read; for others, each does. */
void feed_sql_links(const struct dialect *dialect, struct buf *out)
{
	if (!sql_is_mysql(dialect))
		return;
	buf_add_string(out,
		"SELECT k.table_name, k.referenced_table_name, k.referenced_column_name, "
		"coalesce(r.update_rule, 'CASCADE') NOT IN ('RESTRICT', 'NO ACTION'), "
		"coalesce(r.delete_rule, 'CASCADE') NOT IN ('RESTRICT', 'NO ACTION') "
		"FROM information_schema.key_column_usage AS k "
		"LEFT JOIN information_schema.referential_constraints AS r "
		"ON r.constraint_schema = k.constraint_schema AND r.constraint_name = "
		"k.constraint_name "
		"AND r.table_name = k.table_name "
		"WHERE k.table_schema = DATABASE() AND k.referenced_table_schema = DATABASE() "
		"ORDER BY 1, 2, 3");
}

/*
 * The third column has also to tell one start of a server from another, since what was committed
 * last may be lost with the first, or on its way to another host. PostgreSQL may crash and recover
 * while the postmaster lives, but its statistics don't outlive that; uuid_short() begins with the
 * server's number and the second of its start.
 */
const char *feed_ask_tables(const struct dialect *dialect)
{
	if (sql_is_postgresql(dialect))
		return "SELECT f.changed_table, f.key_column, concat_ws(' ', "
		       "pg_postmaster_start_time(), "
		       "(SELECT stats_reset FROM pg_stat_bgwriter), (SELECT "
		       "string_agg(concat(a.oid, '.', a.xmin), ' ' ORDER BY a.oid) "
		       "FROM pg_trigger AS a WHERE a.tgname = t.tgname)) "
		       "FROM tabled_feed AS f "
		       "JOIN pg_trigger AS t ON t.tgname = 'tabled_' || f.changed_table AND "
		       "t.tgenabled IN ('O', 'A') "
		       "JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_namespace AS s ON s.oid = "
		       "c.relnamespace "
		       "WHERE t.tgfoid = to_regproc('tabled_note_change') AND (c.relkind = 'p' OR "
		       "NOT "
		       "EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhparent = c.oid)) AND "
		       "EXISTS (SELECT FROM pg_trigger AS z WHERE z.tgrelid = c.oid AND z.tgname = "
		       "'tabled_truncate_' || f.changed_table AND z.tgenabled IN ('O', 'A')) AND "
		       "f.changed_table = "
		       "CASE WHEN position('.' IN f.changed_table) > 0 THEN s.nspname || '.' || "
		       "c.relname "
		       "WHEN pg_table_is_visible(c.oid) THEN c.relname END "
		       "ORDER BY 1, 2";
	if (sql_is_mysql(dialect))
		return "SELECT f.changed_table, f.key_column, concat_ws(' ', t.create_time, "
		       "uuid_short() >> 24) FROM tabled_feed_live AS f "
		       "LEFT JOIN information_schema.tables AS t ON t.table_schema = DATABASE() "
		       "AND t.table_name = substring_index(f.changed_table, '.', -1) ORDER BY 1, 2";
	return "SELECT f.changed_table, f.key_column, v.schema_version "
	       "FROM tabled_feed AS f, pragma_schema_version AS v WHERE (SELECT count(*) FROM "
	       "sqlite_master AS t "
	       "WHERE t.type = 'trigger' AND t.name IN ('tabled_insert_' || f.changed_table, "
	       "'tabled_update_' || f.changed_table, 'tabled_delete_' || f.changed_table) "
	       "AND lower(t.tbl_name) IN (f.changed_table, substr(f.changed_table, 6))) = 3 ORDER "
	       "BY 1, 2";
}

#define OLDEST "FROM (SELECT id, changed_at FROM tabled_change ORDER BY id LIMIT 10000) AS oldest "

/* A standby takes no writes; and one that did would no longer be what its primary thinks it is. */
const char *feed_ask_old(const struct dialect *dialect)
{
	if (sql_is_postgresql(dialect))
		return "SELECT max(id) " OLDEST
		       "WHERE changed_at < clock_timestamp() - interval '1 hour' "
		       "AND id < (SELECT max(id) FROM tabled_change) AND NOT pg_is_in_recovery()";
	return "SELECT max(id) " OLDEST "WHERE changed_at < CURRENT_TIMESTAMP - INTERVAL 1 HOUR "
	       "AND id < (SELECT max(id) FROM tabled_change) "
	       "AND CAST(@@global.read_only AS CHAR) IN ('0', 'OFF')";
}
