#include "ctl/table_pages.h"

#include "ctl/column_sql.h"

#include <assert.h>
#include <string.h>

/* Rows of a page. Some tables have long rows, and LOOKUP_ROWS_MAX has room for few of these. */
static const size_t page_sizes[] = {500, 20, 1};

void table_pages_init(
	struct table_pages *pages, struct session *session, const struct schema_table *table)
{
	*pages = (struct table_pages){.session = session, .table = table};
}

void table_pages_finish(struct table_pages *pages)
{
	rows_finish(&pages->rows);
}

size_t table_column_at(const struct schema_table *table, const char *name)
{
	size_t at = 0;

	for (const struct schema_column *column = table->columns; column->name; column++) {
		if (column->is_made)
			continue;
		if (strcmp(column->name, name) == 0)
			return at;
		at++;
	}
	assert(!"a table has no such column");
	return 0;
}

/* The value of a key in the last row of the page before. */
static struct slice last_value(const struct rows *rows, size_t column)
{
	return rows_cell(rows, rows->count - 1, column);
}

/*
 * Writes what is behind that row: (a, b) > (x, y), in words that let every database use its index:
 * a >= x AND (a > x OR a = x AND (b > y)).
 */
static void write_behind(
	struct statement_writer *writer, const struct schema_table *table, const struct rows *rows)
{
	size_t depth = 0;

	statement_write(writer, " WHERE %s >= ", table->keys[0]);
	statement_write_value(writer, last_value(rows, table_column_at(table, table->keys[0])));
	for (; table->keys[depth]; depth++) {
		struct slice value = last_value(rows, table_column_at(table, table->keys[depth]));

		statement_write(writer, " AND (%s > ", table->keys[depth]);
		statement_write_value(writer, value);
		if (!table->keys[depth + 1])
			continue;
		statement_write(writer, " OR %s = ", table->keys[depth]);
		statement_write_value(writer, value);
	}
	while (depth--)
		statement_write(writer, ")");
}

static void write_page(
	const struct table_pages *pages, size_t most, struct statement_writer *writer)
{
	const struct schema_table *table = pages->table;
	const char *comma = "";

	statement_write(writer, "SELECT ");
	for (const struct schema_column *column = table->columns; column->name; column++) {
		if (column->is_made)
			continue;
		statement_write(writer, "%s", comma);
		column_ask(writer, column->name, column->is_time);
		comma = ", ";
	}
	statement_write(writer, " FROM %s", table->name);
	if (pages->rows.count)
		write_behind(writer, table, &pages->rows);
	statement_write(writer, " ORDER BY ");
	for (size_t i = 0; table->keys[i]; i++)
		statement_write(writer, "%s%s", i ? ", " : "", table->keys[i]);
	statement_write(writer, " LIMIT %zu", most);
}

static enum status ask_page(
	struct table_pages *pages, size_t most, struct rows *rows, struct error *why)
{
	struct statement_writer writer;

	statement_writer_init(&writer, session_dialect(pages->session));
	write_page(pages, most, &writer);
	return session_ask(pages->session, &writer, rows, why);
}

int table_pages_next(struct table_pages *pages, struct error *why)
{
	struct rows rows = {0};
	enum status status = NOT_FOUND;

	for (size_t i = 0; i < sizeof(page_sizes) / sizeof(page_sizes[0]) && !pages->is_over; i++) {
		rows_clear(&rows);
		status = ask_page(pages, page_sizes[i], &rows, why);
		if (status != BROKEN)
			break;
	}
	if (status != FOUND && status != NOT_FOUND) {
		rows_finish(&rows);
		return -1;
	}
	rows_finish(&pages->rows);
	pages->rows = rows;
	pages->is_over = status == NOT_FOUND;
	return 0;
}
