#include "engine/dictionary_sql_internal.h"
#include "engine/sql.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

/* --- Names */

/* PostgreSQL takes a name without quotes in lower case. */
static char as_kept(const struct dialect *dialect, char c)
{
	return (char)(sql_is_postgresql(dialect) ? tolower((unsigned char)c) : c);
}

void dictionary_sql_name(const char *name, const struct dialect *dialect, struct buf *out)
{
	char quote = sql_is_mysql(dialect) ? '`' : '"';
	char open = sql_is_sqlite(dialect) ? '[' : quote,
	     close = sql_is_sqlite(dialect) ? ']' : quote;

	buf_add_byte(out, open);
	for (; *name; name++) {
		if (*name != '.') {
			buf_add_byte(out, as_kept(dialect, *name));
			continue;
		}
		buf_add_byte(out, close);
		buf_add_byte(out, '.');
		buf_add_byte(out, open);
	}
	buf_add_byte(out, close);
}

static void write_name(struct statement_writer *writer, const char *name)
{
	struct buf quoted = {0};

	dictionary_sql_name(name, writer->dialect, &quoted);
	statement_write(writer, "%s", buf_string(&quoted));
	buf_finish(&quoted);
}

void sql_write_around(
	struct statement_writer *writer, const char *before, const char *name, const char *behind)
{
	statement_write(writer, "%s", before);
	write_name(writer, name);
	statement_write(writer, "%s", behind);
}

/* --- Values in SQL */

void sql_write_typed(
	struct statement_writer *writer, const struct dictionary_column *column, struct slice value)
{
	const struct dialect *dialect = writer->dialect;

	if (column->type != TYPE_HEXBLOB) {
		statement_write_value(writer, value);
		return;
	}
	if (sql_is_postgresql(dialect))
		statement_write(writer, "decode(");
	else
		statement_write(writer, sql_is_mysql(dialect) ? "unhex(" : "tabled_unhex(");
	statement_write_value(writer, value);
	statement_write(writer, sql_is_postgresql(dialect) ? ", 'hex')" : ")");
}

void sql_write_column(struct statement_writer *writer, const struct dictionary_column *column)
{
	if (column->type != TYPE_HEXBLOB)
		write_name(writer, column->name);
	else if (sql_is_postgresql(writer->dialect))
		sql_write_around(writer, "encode(", column->name, ", 'hex')");
	else
		sql_write_around(writer, "lower(hex(", column->name, "))");
}

/* A whole number that is given as text, or as a part of the SQL. */
static void write_number(struct statement_writer *writer, struct slice value)
{
	const struct dialect *dialect = writer->dialect;

	statement_write(writer, "CAST(");
	statement_write_value(writer, value);
	statement_write(writer, " AS %s)",
		sql_is_postgresql(dialect) ? "bigint"
		: sql_is_mysql(dialect)    ? "SIGNED"
					   : "INTEGER");
}

/* Seconds since 1970. */
static void write_now(struct statement_writer *writer)
{
	if (sql_is_postgresql(writer->dialect))
		statement_write(writer, "CAST(extract(epoch FROM now()) AS bigint)");
	else if (sql_is_mysql(writer->dialect))
		statement_write(writer, "UNIX_TIMESTAMP()");
	else
		statement_write(writer, "CAST(strftime('%%s', 'now') AS INTEGER)");
}

/* --- Conditions */

void conditions_begin(struct conditions *conditions)
{
	statement_write(conditions->writer, conditions->has_any ? " AND " : " WHERE ");
	conditions->has_any = true;
}

void conditions_add_equal(
	struct conditions *conditions, const struct dictionary_column *column, struct slice value)
{
	conditions_begin(conditions);
	sql_write_around(conditions->writer, "", column->name, " = ");
	sql_write_typed(conditions->writer, column, value);
}

void conditions_add_user(
	struct conditions *conditions, const struct dictionary_table *table, struct slice user)
{
	if (!table->is_private)
		return;
	conditions_begin(conditions);
	sql_write_around(conditions->writer, "", table->username_field, " = ");
	statement_write_value(conditions->writer, user);
}

void conditions_add_not_expired(struct conditions *conditions, const struct dictionary_table *table)
{
	if (!table->expire_field)
		return;
	conditions_begin(conditions);
	sql_write_around(conditions->writer, "(", table->expire_field, " IS NULL OR ");
	sql_write_around(conditions->writer, "", table->expire_field, " > ");
	write_now(conditions->writer);
	statement_write(conditions->writer, ")");
}

static void write_row(struct conditions *conditions, const struct dictionary_row *row)
{
	for (size_t i = 0; i < row->table->field_count; i++)
		conditions_add_equal(conditions, &row->table->fields[i], row->values[i]);
	conditions_add_user(conditions, row->table, row->user);
}

void sql_write_values(struct statement_writer *writer, const struct dictionary_table *table)
{
	for (size_t i = 0; i < table->value_count; i++) {
		statement_write(writer, i ? ", " : "");
		sql_write_column(writer, &table->values[i]);
	}
}

const char *dictionary_text_column(const struct dictionary_table *table)
{
	if (table->field_count + table->is_private != 1)
		return NULL;
	if (table->is_private)
		return table->username_field;
	return table->fields[0].type == TYPE_STRING ? table->fields[0].name : NULL;
}

/* As a map names :keys in its query. */
static void write_lookup_of_keys(
	struct statement_writer *writer, const struct dictionary_table *table, const char *column)
{
	struct conditions conditions = {writer, true};

	sql_write_around(writer, "SELECT ", column, ", ");
	sql_write_values(writer, table);
	sql_write_around(writer, " FROM ", table->name, " WHERE ");
	sql_write_around(writer, "", column, " IN (");
	statement_write_value(writer, slice_of(NULL, 0));
	statement_write(writer, ")");
	conditions_add_not_expired(&conditions, table);
}

/* For MariaDB a list of keys is three times as cheap as a UNION; the others have better ways. */
enum statement_kind dictionary_sql_lookup(
	const struct dictionary_table *table, struct statement_writer *writer)
{
	const struct dictionary_row row = {.table = table};
	struct conditions conditions = {writer, false};
	const char *column = dictionary_text_column(table);

	if (sql_is_mysql(writer->dialect) && column) {
		write_lookup_of_keys(writer, table, column);
		return STATEMENT_KEYS;
	}
	statement_write(writer, "SELECT ");
	sql_write_values(writer, table);
	sql_write_around(writer, " FROM ", table->name, "");
	write_row(&conditions, &row);
	conditions_add_not_expired(&conditions, table);
	return STATEMENT_SELECT;
}

/* --- Changes */

/* The columns by which a row is known. */
static void write_key_columns(struct statement_writer *writer, const struct dictionary_table *table)
{
	for (size_t i = 0; i < table->field_count; i++)
		sql_write_around(writer, i ? ", " : "", table->fields[i].name, "");
	if (table->is_private)
		sql_write_around(writer, table->field_count ? ", " : "", table->username_field, "");
}

static void write_key_values(struct statement_writer *writer, const struct dictionary_row *row)
{
	for (size_t i = 0; i < row->table->field_count; i++) {
		statement_write(writer, i ? ", " : "");
		sql_write_typed(writer, &row->table->fields[i], row->values[i]);
	}
	if (row->table->is_private) {
		statement_write(writer, row->table->field_count ? ", " : "");
		statement_write_value(writer, row->user);
	}
}

static void write_expiry(struct statement_writer *writer, uint64_t expire)
{
	char number[24];

	if (!expire) {
		statement_write(writer, "NULL");
		return;
	}
	snprintf(number, sizeof(number), "%" PRIu64, expire);
	write_now(writer);
	statement_write(writer, " + ");
	write_number(writer, slice_str(number));
}

/* If the row is there already: its column gets what it would have been inserted with. */
static void write_new_value(struct statement_writer *writer, const char *column)
{
	bool is_mysql = sql_is_mysql(writer->dialect);

	write_name(writer, column);
	sql_write_around(
		writer, is_mysql ? " = VALUES(" : " = excluded.", column, is_mysql ? ")" : "");
}

static void write_upsert(const struct dictionary_row *row, const struct dictionary_change *changes,
	size_t count, struct statement_writer *writer)
{
	if (sql_is_mysql(writer->dialect)) {
		statement_write(writer, " ON DUPLICATE KEY UPDATE ");
	} else {
		statement_write(writer, " ON CONFLICT (");
		write_key_columns(writer, row->table);
		statement_write(writer, ") DO UPDATE SET ");
	}
	for (size_t i = 0; i < count; i++) {
		statement_write(writer, i ? ", " : "");
		write_new_value(writer, changes[i].table->values[0].name);
	}
	if (row->table->expire_field) {
		statement_write(writer, ", ");
		write_new_value(writer, row->table->expire_field);
	}
}

void dictionary_sql_set(const struct dictionary_row *row, const struct dictionary_change *changes,
	size_t count, uint64_t expire, struct statement_writer *writer)
{
	const struct dictionary_table *table = row->table;

	sql_write_around(writer, "INSERT INTO ", table->name, " (");
	write_key_columns(writer, table);
	for (size_t i = 0; i < count; i++)
		sql_write_around(writer, ", ", changes[i].table->values[0].name, "");
	if (table->expire_field)
		sql_write_around(writer, ", ", table->expire_field, "");
	statement_write(writer, ") VALUES (");
	write_key_values(writer, row);
	for (size_t i = 0; i < count; i++) {
		statement_write(writer, ", ");
		sql_write_typed(writer, &changes[i].table->values[0], changes[i].value);
	}
	if (table->expire_field) {
		statement_write(writer, ", ");
		write_expiry(writer, expire);
	}
	statement_write(writer, ")");
	write_upsert(row, changes, count, writer);
}

void dictionary_sql_unset(const struct dictionary_row *row, struct statement_writer *writer)
{
	struct conditions conditions = {writer, false};

	sql_write_around(writer, "DELETE FROM ", row->table->name, "");
	write_row(&conditions, row);
}

void dictionary_sql_increment(const struct dictionary_row *row,
	const struct dictionary_change *changes, size_t count, struct statement_writer *writer)
{
	struct conditions conditions = {writer, false};

	sql_write_around(writer, "UPDATE ", row->table->name, " SET ");
	for (size_t i = 0; i < count; i++) {
		const char *column = changes[i].table->values[0].name;

		sql_write_around(writer, i ? ", " : "", column, " = ");
		sql_write_around(writer, "", column, " + ");
		write_number(writer, changes[i].value);
	}
	write_row(&conditions, row);
}
