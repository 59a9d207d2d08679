#include "ctl/table_copy.h"

#include "ctl/column_sql.h"
#include "ctl/table_pages.h"
#include "engine/sql.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

static void tell(const struct table_progress *progress, const char *table, uint64_t rows)
{
	if (progress && progress->tell)
		progress->tell(progress->opaque, table, rows);
}

/* --- Copying */

static bool is_key(const struct schema_table *table, const char *column)
{
	for (size_t i = 0; table->keys[i]; i++)
		if (strcmp(table->keys[i], column) == 0)
			return true;
	return false;
}

static size_t count_columns(const struct schema_table *table)
{
	size_t count = 0;

	for (const struct schema_column *column = table->columns; column->name; column++)
		count += !column->is_made;
	return count;
}

static void write_names(struct statement_writer *writer, const struct schema_table *table)
{
	const char *comma = "";

	for (const struct schema_column *column = table->columns; column->name; column++) {
		if (column->is_made)
			continue;
		statement_write(writer, "%s%s", comma, column->name);
		comma = ", ";
	}
}

static void write_row(struct statement_writer *writer, const struct schema_table *table,
	const struct rows *rows, size_t row)
{
	size_t at = 0;

	for (const struct schema_column *column = table->columns; column->name; column++) {
		if (column->is_made)
			continue;
		statement_write(writer, "%s", at ? ", " : "(");
		column_give(writer, rows_cell(rows, row, at++), column->is_time);
	}
	statement_write(writer, ")");
}

/* In MySQL "nothing" is to set a key to what it is: IGNORE would hide other mistakes, too. */
static void write_conflict(
	struct statement_writer *writer, const struct schema_table *table, bool replace)
{
	bool is_mysql = sql_is_mysql(writer->dialect);
	const char *comma = "";

	if (is_mysql) {
		statement_write(writer, " ON DUPLICATE KEY UPDATE %s = %s.%s", table->keys[0],
			table->name, table->keys[0]);
		comma = ", ";
	} else {
		statement_write(writer, " ON CONFLICT (");
		for (size_t i = 0; table->keys[i]; i++)
			statement_write(writer, "%s%s", i ? ", " : "", table->keys[i]);
		statement_write(writer, replace ? ") DO UPDATE SET " : ") DO NOTHING");
	}
	if (!replace)
		return;
	for (const struct schema_column *column = table->columns; column->name; column++) {
		if (column->is_made || is_key(table, column->name))
			continue;
		statement_write(writer, is_mysql ? "%s%s = VALUES(%s)" : "%s%s = excluded.%s",
			comma, column->name, column->name);
		comma = ", ";
	}
}

/* As many rows as a statement has room for. Returns how many; 0 with `why`. */
static size_t put_rows(struct session *to, const struct schema_table *table,
	const struct rows *rows, size_t from, bool replace, struct error *why)
{
	size_t most = STATEMENT_PARAMS_MAX / count_columns(table), count = 0;
	struct statement_writer writer;

	statement_writer_init(&writer, session_dialect(to));
	statement_write(&writer, "INSERT INTO %s (", table->name);
	write_names(&writer, table);
	statement_write(&writer, ") VALUES ");
	for (; count < most && from + count < rows->count; count++) {
		statement_write(&writer, "%s", count ? ", " : "");
		write_row(&writer, table, rows, from + count);
	}
	write_conflict(&writer, table, replace);
	return session_change(to, &writer, NULL, why) < 0 ? 0 : count;
}

static int put_page(struct session *to, const struct schema_table *table, const struct rows *rows,
	bool replace, struct error *why)
{
	if (database_begin(&to->database, why) < 0)
		return -1;
	for (size_t at = 0, count; at < rows->count; at += count) {
		count = put_rows(to, table, rows, at, replace, why);
		if (count)
			continue;
		database_do(&to->database, "ROLLBACK", NULL);
		return -1;
	}
	return database_do(&to->database, "COMMIT", why);
}

/* Numbers that the database gives go on behind those that were copied; two of the three know. */
static int move_counter(struct session *to, const struct schema_table *table, struct error *why)
{
	struct rows rows = {0};
	char query[300];
	enum status status = FOUND;

	for (const struct schema_column *column = table->columns; column->name; column++) {
		if (!column->is_counter || !sql_is_postgresql(session_dialect(to)))
			continue;
		snprintf(query, sizeof(query),
			"SELECT setval(pg_get_serial_sequence('%s', '%s'), max(%s)) FROM %s",
			table->name, column->name, column->name, table->name);
		status = database_ask(&to->database, query, &rows, why);
	}
	rows_finish(&rows);
	return status == FOUND ? 0 : -1;
}

int table_copy(struct session *from, struct session *to, const struct schema_table *table,
	bool replace, const struct table_progress *progress, struct error *why)
{
	struct table_pages pages;
	uint64_t done = 0;
	int result;

	table_pages_init(&pages, from, table);
	while ((result = table_pages_next(&pages, why)) == 0 && pages.rows.count) {
		result = put_page(to, table, &pages.rows, replace, why);
		if (result < 0)
			break;
		done += pages.rows.count;
		tell(progress, table->name, done);
	}
	table_pages_finish(&pages);
	return result < 0 ? -1 : move_counter(to, table, why);
}

/* --- Adding up */

/* The size goes before the bytes, so that no two rows look the same by where one cell ends. */
static void add_cell(crypto_generichash_state *state, struct slice cell)
{
	uint64_t size = cell.data ? cell.size : UINT64_MAX;

	crypto_generichash_update(state, (const unsigned char *)&size, sizeof(size));
	if (cell.size)
		crypto_generichash_update(state, (const unsigned char *)cell.data, cell.size);
}

int table_sum(struct session *session, const struct schema_table *table,
	const struct table_progress *progress, struct table_sum *ret_sum, struct error *why)
{
	crypto_generichash_state state;
	struct table_pages pages;
	int result;

	if (sodium_init() < 0)
		return error_set(why, "libsodium can't be used here");
	*ret_sum = (struct table_sum){0};
	crypto_generichash_init(&state, NULL, 0, TABLE_SUM_SIZE);
	table_pages_init(&pages, session, table);
	while ((result = table_pages_next(&pages, why)) == 0 && pages.rows.count) {
		for (size_t i = 0; i < pages.rows.count * pages.rows.columns; i++)
			add_cell(&state, rows_cell(&pages.rows, i / pages.rows.columns,
						 i % pages.rows.columns));
		ret_sum->count += pages.rows.count;
		tell(progress, table->name, ret_sum->count);
	}
	table_pages_finish(&pages);
	crypto_generichash_final(&state, ret_sum->sum, TABLE_SUM_SIZE);
	return result;
}
