#include "admin/cache_report.h"

#include "base/clock.h"

#include <string.h>

enum { HOTTEST_SHOWN = 20 };

void cache_report_begin(struct cache_report *report, struct cache *cache)
{
	*report = (struct cache_report){.cache = cache, .hottest = {.most = HOTTEST_SHOWN}};
}

static void offer(void *context, const struct cache_entry *entry)
{
	if (entry->hits && !atomic_load(&entry->space->is_secret))
		hottest_offer(context, entry);
}

void cache_report_gather(struct cache_report *report)
{
	cache_each(report->cache, offer, &report->hottest, clock_ms());
	hottest_sort(&report->hottest);
}

/* The map that has a query of its own on that space: the table is named for it. NULL: no longer. */
static const struct table *table_of(const struct engine *engine, const struct cache_space *space)
{
	const struct catalog *catalog = engine_catalog(engine);

	for (size_t i = 0; i < catalog->table_count; i++)
		if (engine_space(engine, &catalog->tables[i]) == space)
			return &catalog->tables[i];
	return NULL;
}

static json_t *list_hottest(const struct cache_report *report, const struct engine *engine)
{
	json_t *list = json_array();

	for (size_t i = 0; i < report->hottest.count; i++) {
		const struct hot *hot = &report->hottest.items[i];
		const struct table *table = table_of(engine, hot->space);
		struct slice key = buf_slice(&hot->form);

		/* It may have become secret by a reload while they were gathered. */
		if (!table || atomic_load(&hot->space->is_secret))
			continue;
		json_array_append_new(
			list, json_pack("{s:s, s:s%, s:I}", "map", table->name, "key", key.data,
				      key.size, "hits", (json_int_t)hot->hits));
	}
	return list;
}

/* Of a map by its name, or of a dictionary's key by both names. */
static const struct table *table_named(
	const struct catalog *catalog, const char *dictionary_name, const char *name)
{
	const struct dictionary *dictionary =
		dictionary_name ? catalog_find_dictionary(catalog, slice_str(dictionary_name))
				: NULL;

	for (size_t i = 0; dictionary && i < dictionary->key_count; i++)
		if (strcmp(dictionary->keys[i].pattern.text, name) == 0)
			return dictionary->keys[i].map->tables[0];
	for (size_t i = 0; !dictionary && i < catalog->table_count; i++)
		if (strcmp(catalog->tables[i].name, name) == 0)
			return &catalog->tables[i];
	return NULL;
}

/* What a map with a query has, shared and counted. */
static json_t *report_map(struct cache_report *report, const struct engine *engine,
	const struct table *table, json_t *counted)
{
	const struct cache_tally tally = cache_tally(report->cache, engine_space(engine, table));
	json_t *map = json_pack("{s:s, s:I, s:I}", "name", table->name, "entries",
		(json_int_t)tally.entries, "bytes", (json_int_t)tally.bytes);

	json_object_update(map, counted);
	json_object_set_new(map, "evicted", json_integer((json_int_t)tally.evicted));
	return map;
}

static void add_maps(
	struct cache_report *report, const struct engine *engine, const json_t *items, json_t *list)
{
	json_t *item;
	size_t at;

	json_array_foreach(items, at, item)
	{
		const char *name = json_string_value(json_object_get(item, "name"));
		const char *dictionary = json_string_value(json_object_get(item, "dictionary"));
		const struct table *table =
			name ? table_named(engine_catalog(engine), dictionary, name) : NULL;
		json_t *counted = json_object_get(item, "cache");

		if (table && counted)
			json_array_append_new(list, report_map(report, engine, table, counted));
	}
}

/* With the keys of dictionaries that are bound to tables. */
static json_t *list_maps(
	struct cache_report *report, const struct engine *engine, const json_t *status)
{
	json_t *list = json_array();

	add_maps(report, engine, json_object_get(status, "maps"), list);
	add_maps(report, engine, json_object_get(status, "keys"), list);
	return list;
}

json_t *cache_report_make(
	struct cache_report *report, const struct engine *engine, const json_t *status)
{
	uint64_t used, size;

	cache_sizes(report->cache, &used, &size);
	return json_pack("{s:I, s:I, s:o, s:o}", "size", (json_int_t)size, "used", (json_int_t)used,
		"maps", list_maps(report, engine, status), "hottest", list_hottest(report, engine));
}

void cache_report_finish(struct cache_report *report)
{
	hottest_finish(&report->hottest);
}
