#include "engine/feed_tables.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static void table_finish(struct feed_table *table)
{
	for (size_t i = 0; i < table->column_count; i++)
		free(table->columns[i]);
	for (size_t i = 0; i < table->child_count; i++) {
		free(table->children[i].table);
		free(table->children[i].key);
	}
	free(table->columns);
	free(table->children);
	free(table->name);
}

void feed_tables_finish(struct feed_tables *tables)
{
	for (size_t i = 0; i < tables->count; i++)
		table_finish(&tables->items[i]);
	free(tables->items);
	*tables = (struct feed_tables){0};
}

const char *feed_table_last(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot ? dot + 1 : name;
}

/* The table by name; it is made if there is none. Good until the next one is made. */
static struct feed_table *find_table(struct feed_tables *tables, const char *name)
{
	struct feed_table *items;
	size_t at = 0;

	while (at < tables->count && strcmp(tables->items[at].name, name) < 0)
		at++;
	if (at < tables->count && strcmp(tables->items[at].name, name) == 0)
		return &tables->items[at];
	items = memory_resize(tables->items, (tables->count + 1) * sizeof(*items));
	memmove(items + at + 1, items + at, (tables->count - at) * sizeof(*items));
	items[at] = (struct feed_table){.name = memory_copy_string(name)};
	tables->items = items;
	tables->count++;
	return &items[at];
}

static void add_column(struct feed_table *table, const char *column)
{
	size_t at = 0;

	while (at < table->column_count && strcmp(table->columns[at], column) < 0)
		at++;
	if (at < table->column_count && strcmp(table->columns[at], column) == 0)
		return;
	table->columns =
		memory_resize(table->columns, (table->column_count + 1) * sizeof(*table->columns));
	memmove(table->columns + at + 1, table->columns + at,
		(table->column_count - at) * sizeof(*table->columns));
	table->columns[at] = memory_copy_string(column);
	table->column_count++;
}

void feed_tables_add(struct feed_tables *tables, const struct reads *reads)
{
	for (size_t i = 0; i < reads->count; i++) {
		struct feed_table *table = find_table(tables, reads->items[i].table);

		if (reads->items[i].column)
			add_column(table, reads->items[i].column);
	}
}

void feed_tables_weaken(struct feed_tables *tables, const char *name, const char *column)
{
	struct feed_table *table = find_table(tables, name);

	for (size_t i = 0; i < table->column_count; i++) {
		if (strcmp(table->columns[i], column) != 0)
			continue;
		free(table->columns[i]);
		table->column_count--;
		memmove(table->columns + i, table->columns + i + 1,
			(table->column_count - i) * sizeof(*table->columns));
		add_column(table, FEED_EVERYTHING);
		return;
	}
}

void feed_tables_drop(struct feed_tables *tables, const char *name)
{
	for (size_t i = 0; i < tables->count; i++) {
		if (strcmp(tables->items[i].name, name) != 0)
			continue;
		table_finish(&tables->items[i]);
		tables->count--;
		memmove(tables->items + i, tables->items + i + 1,
			(tables->count - i) * sizeof(*tables->items));
		return;
	}
}

static struct feed_child *find_child(
	struct feed_table *table, const char *name, const struct feed_link *link)
{
	struct feed_child *child;

	for (size_t i = 0; i < table->child_count; i++) {
		child = &table->children[i];
		if (strcmp(child->table, name) == 0 && strcmp(child->key, link->key) == 0)
			return child;
	}
	table->children = memory_resize(table->children, (table->child_count + 1) * sizeof(*child));
	child = &table->children[table->child_count++];
	*child = (struct feed_child){
		.table = memory_copy_string(name), .key = memory_copy_string(link->key)};
	return child;
}

/* Returns whether the table was not known to change with the link's parent. */
static bool add_child(struct feed_tables *tables, const struct feed_link *link, const char *name)
{
	struct feed_child *child = find_child(find_table(tables, link->parent), name, link);
	bool is_new =
		(link->on_update && !child->on_update) || (link->on_delete && !child->on_delete);

	child->on_update = child->on_update || link->on_update;
	child->on_delete = child->on_delete || link->on_delete;
	return is_new;
}

/*
 * The child changes with its parent. Returns whether that was new. Each addition may move the
 * tables: whoever calls goes on until there is none.
 */
static bool follow_link(struct feed_tables *tables, const struct feed_link *link)
{
	bool is_new = false;

	for (size_t i = 0; i < tables->count; i++) {
		char *name = memory_copy_string(tables->items[i].name);

		if (strcmp(feed_table_last(name), link->child) == 0)
			is_new = add_child(tables, link, name) || is_new;
		free(name);
	}
	return is_new;
}

/* So does what changes with the child. */
static bool follow_children(struct feed_tables *tables, const struct feed_link *link)
{
	bool is_new = false;

	for (size_t i = 0; i < tables->count; i++) {
		if (strcmp(feed_table_last(tables->items[i].name), link->child) != 0)
			continue;
		for (size_t j = 0; j < tables->items[i].child_count; j++) {
			char *name = memory_copy_string(tables->items[i].children[j].table);

			is_new = add_child(tables, link, name) || is_new;
			free(name);
		}
	}
	return is_new;
}

void feed_tables_link(struct feed_tables *tables, const struct feed_link *links, size_t count)
{
	bool is_new = true;

	while (is_new) {
		is_new = false;
		for (size_t i = 0; i < count; i++) {
			if (!links[i].on_update && !links[i].on_delete)
				continue;
			is_new = follow_link(tables, &links[i]) || is_new;
			is_new = follow_children(tables, &links[i]) || is_new;
		}
	}
}

void feed_tables_complete(struct feed_tables *tables)
{
	for (size_t i = 0; i < tables->count; i++)
		if (!tables->items[i].column_count)
			add_column(&tables->items[i], FEED_EVERYTHING);
}

bool feed_covers(struct slice table, const struct read *read)
{
	return slice_equal(table, slice_str(read->table));
}

bool feed_tells(struct slice table, struct slice column, const struct read *read)
{
	return feed_covers(table, read) &&
	       (read->kind == READ_ANY || slice_equal(column, slice_str(read->column)));
}
