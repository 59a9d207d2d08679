#include "engine/dictionary_sql.h"

#include "engine/sql.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Values */

/* As C's strtoll() would, but all of it has to be the number. */
static bool is_number(const char *text, bool is_unsigned)
{
	char *end;

	if (!isdigit((unsigned char)text[!is_unsigned && text[0] == '-']))
		return false;
	errno = 0;
	strtoll(text, &end, 10);
	return !*end && errno == 0;
}

static bool is_double(const char *text)
{
	char *end;

	if (!isdigit((unsigned char)text[strspn(text, "+-.")]) || strpbrk(text, "xXnN"))
		return false;
	errno = 0;
	strtod(text, &end);
	return !*end && errno == 0;
}

static bool is_hexadecimal(const char *text)
{
	return strspn(text, "0123456789abcdefABCDEF") == strlen(text);
}

/* With its dashes, or without. */
static bool is_uuid(const char *text)
{
	static const char form[] = "........-....-....-....-............";
	size_t size = strlen(text);

	if (size == 32)
		return is_hexadecimal(text);
	if (size != sizeof(form) - 1)
		return false;
	for (size_t i = 0; i < size; i++)
		if (form[i] == '-' ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
			return false;
	return true;
}

static bool is_of_type(enum dictionary_type type, const char *text)
{
	switch (type) {
	case TYPE_STRING:
		return true;
	case TYPE_INT:
		return is_number(text, false);
	case TYPE_UINT:
		return is_number(text, true);
	case TYPE_DOUBLE:
		return is_double(text);
	case TYPE_UUID:
		return is_uuid(text);
	case TYPE_HEXBLOB:
		return strlen(text) % 2 == 0 && is_hexadecimal(text);
	}
	return false;
}

int dictionary_check_value(
	const struct dictionary_column *column, struct slice value, struct error *why)
{
	static const char *const names[] = {"text", "a whole number of 64 bits",
		"a whole number of 63 bits, without a sign", "a number", "a UUID",
		"hexadecimal digits in pairs"};
	struct buf copy = {0};
	bool is_good = slice_find(value, '\0') < 0;

	buf_add_slice(&copy, value);
	is_good = is_good && is_of_type(column->type, buf_string(&copy));
	buf_wipe(&copy);
	if (is_good)
		return 0;
	return error_set(why, "the value for %s is not %s", column->name, names[column->type]);
}

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

static void write_around(
	struct statement_writer *writer, const char *before, const char *name, const char *behind)
{
	statement_write(writer, "%s", before);
	write_name(writer, name);
	statement_write(writer, "%s", behind);
}

/* --- Values in SQL */

/* A placeholder, and around it what makes the column's type of a text. */
static void write_typed(
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

/* A column as it is shown. */
static void write_column(struct statement_writer *writer, const struct dictionary_column *column)
{
	if (column->type != TYPE_HEXBLOB)
		write_name(writer, column->name);
	else if (sql_is_postgresql(writer->dialect))
		write_around(writer, "encode(", column->name, ", 'hex')");
	else
		write_around(writer, "lower(hex(", column->name, "))");
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

/* "WHERE" before the first condition, "AND" before all others. */
struct conditions {
	struct statement_writer *writer;
	bool has_any;
};

static void begin_condition(struct conditions *conditions)
{
	statement_write(conditions->writer, conditions->has_any ? " AND " : " WHERE ");
	conditions->has_any = true;
}

static void write_equal(
	struct conditions *conditions, const struct dictionary_column *column, struct slice value)
{
	begin_condition(conditions);
	write_around(conditions->writer, "", column->name, " = ");
	write_typed(conditions->writer, column, value);
}

static void write_user(
	struct conditions *conditions, const struct dictionary_table *table, struct slice user)
{
	if (!table->is_private)
		return;
	begin_condition(conditions);
	write_around(conditions->writer, "", table->username_field, " = ");
	statement_write_value(conditions->writer, user);
}

static void write_not_expired(struct conditions *conditions, const struct dictionary_table *table)
{
	if (!table->expire_field)
		return;
	begin_condition(conditions);
	write_around(conditions->writer, "(", table->expire_field, " IS NULL OR ");
	write_around(conditions->writer, "", table->expire_field, " > ");
	write_now(conditions->writer);
	statement_write(conditions->writer, ")");
}

static void write_row(struct conditions *conditions, const struct dictionary_row *row)
{
	for (size_t i = 0; i < row->table->field_count; i++)
		write_equal(conditions, &row->table->fields[i], row->values[i]);
	write_user(conditions, row->table, row->user);
}

static void write_values(struct statement_writer *writer, const struct dictionary_table *table)
{
	for (size_t i = 0; i < table->value_count; i++) {
		statement_write(writer, i ? ", " : "");
		write_column(writer, &table->values[i]);
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

	write_around(writer, "SELECT ", column, ", ");
	write_values(writer, table);
	write_around(writer, " FROM ", table->name, " WHERE ");
	write_around(writer, "", column, " IN (");
	statement_write_value(writer, slice_of(NULL, 0));
	statement_write(writer, ")");
	write_not_expired(&conditions, table);
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
	write_values(writer, table);
	write_around(writer, " FROM ", table->name, "");
	write_row(&conditions, &row);
	write_not_expired(&conditions, table);
	return STATEMENT_SELECT;
}

/* --- Changes */

/* The columns by which a row is known. */
static void write_key_columns(struct statement_writer *writer, const struct dictionary_table *table)
{
	for (size_t i = 0; i < table->field_count; i++)
		write_around(writer, i ? ", " : "", table->fields[i].name, "");
	if (table->is_private)
		write_around(writer, table->field_count ? ", " : "", table->username_field, "");
}

static void write_key_values(struct statement_writer *writer, const struct dictionary_row *row)
{
	for (size_t i = 0; i < row->table->field_count; i++) {
		statement_write(writer, i ? ", " : "");
		write_typed(writer, &row->table->fields[i], row->values[i]);
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
	write_around(writer, is_mysql ? " = VALUES(" : " = excluded.", column, is_mysql ? ")" : "");
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

	write_around(writer, "INSERT INTO ", table->name, " (");
	write_key_columns(writer, table);
	for (size_t i = 0; i < count; i++)
		write_around(writer, ", ", changes[i].table->values[0].name, "");
	if (table->expire_field)
		write_around(writer, ", ", table->expire_field, "");
	statement_write(writer, ") VALUES (");
	write_key_values(writer, row);
	for (size_t i = 0; i < count; i++) {
		statement_write(writer, ", ");
		write_typed(writer, &changes[i].table->values[0], changes[i].value);
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

	write_around(writer, "DELETE FROM ", row->table->name, "");
	write_row(&conditions, row);
}

void dictionary_sql_increment(const struct dictionary_row *row,
	const struct dictionary_change *changes, size_t count, struct statement_writer *writer)
{
	struct conditions conditions = {writer, false};

	write_around(writer, "UPDATE ", row->table->name, " SET ");
	for (size_t i = 0; i < count; i++) {
		const char *column = changes[i].table->values[0].name;

		write_around(writer, i ? ", " : "", column, " = ");
		write_around(writer, "", column, " + ");
		write_number(writer, changes[i].value);
	}
	write_row(&conditions, row);
}

/* --- Lists */

/* Characters, as databases count them. */
static size_t count_characters(struct slice text)
{
	size_t count = 0;

	for (size_t i = 0; i < text.size; i++)
		count += ((unsigned char)text.data[i] & 0xc0) != 0x80;
	return count;
}

/*
 * Children only: behind what the path says there is no further '/'. Not by LIKE alone, since a path
 * may hold a % or a _.
 */
static void write_begin(
	struct conditions *conditions, const char *column, const struct dictionary_list *list)
{
	struct slice begin = list->span->begin;
	size_t size = count_characters(begin);

	if (size) {
		begin_condition(conditions);
		write_around(conditions->writer, "substr(", column, "");
		statement_write(conditions->writer, ", 1, %zu) = ", size);
		statement_write_value(conditions->writer, begin);
	}
	if (!list->recurse) {
		begin_condition(conditions);
		write_around(conditions->writer, "substr(", column, "");
		statement_write(conditions->writer, ", %zu) NOT LIKE '%%/%%'", size + 1);
	}
}

/* Rows behind the last one: (a > ? OR (a = ? AND (b > ?))). */
static void write_after(struct conditions *conditions, const struct dictionary_column *columns,
	size_t count, const struct slice *after)
{
	struct statement_writer *writer = conditions->writer;

	begin_condition(conditions);
	for (size_t i = 0; i < count; i++) {
		write_around(writer, "(", columns[i].name, " > ");
		write_typed(writer, &columns[i], after[i]);
		if (i + 1 == count)
			break;
		write_around(writer, " OR (", columns[i].name, " = ");
		write_typed(writer, &columns[i], after[i]);
		statement_write(writer, " AND ");
	}
	for (size_t i = 0; i < count; i++)
		statement_write(writer, i ? "))" : ")");
}

static void write_order(const struct dictionary_list *list, const struct dictionary_column *unknown,
	size_t count, struct statement_writer *writer)
{
	if (list->by_value)
		write_around(writer, " ORDER BY ", list->table->values[0].name, "");
	for (size_t i = 0; i < count; i++)
		write_around(
			writer, i || list->by_value ? ", " : " ORDER BY ", unknown[i].name, "");
	statement_write(writer, " LIMIT %" PRIu64, list->limit);
}

static void write_list_conditions(const struct dictionary_list *list,
	const struct dictionary_column *unknown, size_t count, struct statement_writer *writer)
{
	const struct dictionary_table *table = list->table;
	struct conditions conditions = {writer, false};

	for (size_t i = 0; i < list->span->known; i++)
		write_equal(&conditions, &table->fields[i], list->span->values[i]);
	write_user(&conditions, table, list->user);
	write_not_expired(&conditions, table);
	/* What is no value can't be a part of a key. */
	for (size_t i = 0; i < count; i++) {
		begin_condition(&conditions);
		write_around(writer, "", unknown[i].name, " IS NOT NULL");
	}
	if (count == 1 && unknown[0].type == TYPE_STRING)
		write_begin(&conditions, unknown[0].name, list);
	if (list->after && count)
		write_after(&conditions, unknown, count, list->after);
}

void dictionary_sql_list(const struct dictionary_list *list, struct statement_writer *writer)
{
	const struct dictionary_table *table = list->table;
	const struct dictionary_column *unknown = &table->fields[list->span->known];
	size_t count = table->field_count - list->span->known;

	statement_write(writer, "SELECT ");
	for (size_t i = 0; i < count; i++) {
		statement_write(writer, i ? ", " : "");
		write_column(writer, &unknown[i]);
	}
	if (list->with_values) {
		statement_write(writer, count ? ", " : "");
		write_values(writer, table);
	} else if (!count) {
		statement_write(writer, "1");
	}
	write_around(writer, " FROM ", table->name, "");
	write_list_conditions(list, unknown, count, writer);
	write_order(list, unknown, count, writer);
}

void dictionary_sql_list_query(
	const char *query, const struct dictionary_list *list, struct statement_writer *writer)
{
	static const struct dictionary_column column = {
		(char *)(uintptr_t) "tabled_key", TYPE_STRING};
	struct conditions conditions = {writer, false};

	statement_write(writer,
		"WITH tabled_list (tabled_key) AS (%s) SELECT DISTINCT tabled_key FROM tabled_list",
		query);
	begin_condition(&conditions);
	statement_write(writer, "tabled_key IS NOT NULL");
	if (list->span->is_whole)
		write_equal(&conditions, &column, list->span->values[0]);
	write_begin(&conditions, column.name, list);
	if (list->after)
		write_after(&conditions, &column, 1, list->after);
	statement_write(writer, " ORDER BY tabled_key LIMIT %" PRIu64, list->limit);
}
