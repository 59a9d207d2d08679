/* The SQL that lists keys. */
#include "engine/dictionary_sql_internal.h"

#include <inttypes.h>

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
		conditions_begin(conditions);
		sql_write_around(conditions->writer, "substr(", column, "");
		statement_write(conditions->writer, ", 1, %zu) = ", size);
		statement_write_value(conditions->writer, begin);
	}
	if (!list->recurse) {
		conditions_begin(conditions);
		sql_write_around(conditions->writer, "substr(", column, "");
		statement_write(conditions->writer, ", %zu) NOT LIKE '%%/%%'", size + 1);
	}
}

/* Rows behind the last one: (a > ? OR (a = ? AND (b > ?))). */
static void write_after(struct conditions *conditions, const struct dictionary_column *columns,
	size_t count, const struct slice *after)
{
	struct statement_writer *writer = conditions->writer;

	conditions_begin(conditions);
	for (size_t i = 0; i < count; i++) {
		sql_write_around(writer, "(", columns[i].name, " > ");
		sql_write_typed(writer, &columns[i], after[i]);
		if (i + 1 == count)
			break;
		sql_write_around(writer, " OR (", columns[i].name, " = ");
		sql_write_typed(writer, &columns[i], after[i]);
		statement_write(writer, " AND ");
	}
	for (size_t i = 0; i < count; i++)
		statement_write(writer, i ? "))" : ")");
}

static void write_order(const struct dictionary_list *list, const struct dictionary_column *unknown,
	size_t count, struct statement_writer *writer)
{
	if (list->by_value)
		sql_write_around(writer, " ORDER BY ", list->table->values[0].name, "");
	for (size_t i = 0; i < count; i++)
		sql_write_around(
			writer, i || list->by_value ? ", " : " ORDER BY ", unknown[i].name, "");
	statement_write(writer, " LIMIT %" PRIu64, list->limit);
}

static void write_list_conditions(const struct dictionary_list *list,
	const struct dictionary_column *unknown, size_t count, struct statement_writer *writer)
{
	const struct dictionary_table *table = list->table;
	struct conditions conditions = {writer, false};

	for (size_t i = 0; i < list->span->known; i++)
		conditions_add_equal(&conditions, &table->fields[i], list->span->values[i]);
	conditions_add_user(&conditions, table, list->user);
	conditions_add_not_expired(&conditions, table);
	/* What is no value can't be a part of a key. */
	for (size_t i = 0; i < count; i++) {
		conditions_begin(&conditions);
		sql_write_around(writer, "", unknown[i].name, " IS NOT NULL");
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
		sql_write_column(writer, &unknown[i]);
	}
	if (list->with_values) {
		statement_write(writer, count ? ", " : "");
		sql_write_values(writer, table);
	} else if (!count) {
		statement_write(writer, "1");
	}
	sql_write_around(writer, " FROM ", table->name, "");
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
	conditions_begin(&conditions);
	statement_write(writer, "tabled_key IS NOT NULL");
	if (list->span->is_whole)
		conditions_add_equal(&conditions, &column, list->span->values[0]);
	write_begin(&conditions, column.name, list);
	if (list->after)
		write_after(&conditions, &column, 1, list->after);
	statement_write(writer, " ORDER BY tabled_key LIMIT %" PRIu64, list->limit);
}
