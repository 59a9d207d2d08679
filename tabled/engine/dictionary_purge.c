#include "engine/dictionary_purge.h"

#include "engine/dictionary_internal.h"
#include "engine/engine_internal.h"
#include "engine/feed_tables.h"
#include "engine/feed_watches.h"

#include <string.h>
#include <strings.h>

/* Names as reads.h has them, folded or not: to purge what was meant by another name does no harm.
 */
static bool is_table(const struct dictionary_place *place, const char *name)
{
	return strcasecmp(feed_table_last(name), feed_table_last(place->key->table.name)) == 0;
}

/* The value that the row has in a column, if it is one by which it is known, and is text. */
static struct slice value_in(const struct dictionary_place *place, const char *column)
{
	const struct dictionary_table *table = &place->key->table;

	for (size_t i = 0; i < table->field_count; i++)
		if (table->fields[i].type == TYPE_STRING &&
			strcasecmp(table->fields[i].name, column) == 0)
			return place->values[i];
	if (table->is_private && strcasecmp(table->username_field, column) == 0)
		return place->user;
	return slice_of(NULL, 0);
}

static void purge_read(struct engine *engine, const struct dictionary_place *place, size_t table,
	const struct read *read)
{
	struct slice value = slice_of(NULL, 0);

	if (!is_table(place, read->table))
		return;
	if (read->kind != READ_ANY)
		value = value_in(place, read->column);
	feed_purge_read(engine->cache, engine->spaces[table], read, value);
}

/*
 * Numbers and UUIDs have many spellings, and so many key forms. Other values have the few that the
 * cache knows of.
 */
static bool is_spelled_alike(
	const struct dictionary_column *one, const struct dictionary_column *other)
{
	return one->type == other->type && (one->type == TYPE_STRING || one->type == TYPE_HEXBLOB);
}

static bool has_same_columns(
	const struct dictionary_table *one, const struct dictionary_table *other)
{
	if (strcasecmp(one->name, other->name) != 0 || one->is_private != other->is_private ||
		one->field_count != other->field_count)
		return false;
	for (size_t i = 0; i < one->field_count; i++)
		if (strcasecmp(one->fields[i].name, other->fields[i].name) != 0 ||
			!is_spelled_alike(&one->fields[i], &other->fields[i]))
			return false;
	return !one->is_private || strcasecmp(one->username_field, other->username_field) == 0;
}

/* The table's key form of the same row, if the key of a dictionary is known by the same columns. */
static bool purge_same_row(
	struct engine *engine, const struct dictionary_place *place, const struct table *table)
{
	const struct dictionary_key *key = catalog_key_of(engine->catalog, table);
	struct dictionary_place same = *place;
	struct buf form = {0};

	if (!key || !has_same_columns(&key->table, &place->key->table))
		return false;
	same.key = key;
	dictionary_form(&same, &form);
	cache_purge_part(engine->cache, engine->spaces[table->query.statement.id], CACHE_KEY,
		buf_slice(&form));
	buf_finish(&form);
	return true;
}

void dictionary_purge(struct engine *engine, const struct dictionary_place *place)
{
	const struct catalog *catalog = engine->catalog;

	for (size_t i = 0; i < catalog->table_count; i++) {
		const struct table *table = &catalog->tables[i];

		if (table->source != place->key->source)
			continue;
		if (table->form_parts && purge_same_row(engine, place, table))
			continue;
		/* It may read any table. */
		if (table->reads.unknown)
			cache_purge_space(engine->cache, engine->spaces[i]);
		for (size_t at = 0; at < table->reads.count; at++)
			purge_read(engine, place, i, &table->reads.items[at]);
	}
}
