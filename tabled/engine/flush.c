#include "engine/flush.h"

#include "base/utf8.h"
#include "engine/engine_internal.h"

void flush_all(struct engine *engine)
{
	cache_purge_all(engine->cache);
}

static const struct map *find_map(const struct engine *engine, struct slice name, struct error *why)
{
	const struct catalog *catalog = engine->catalog;
	const struct map *map = catalog_find(catalog, name);
	struct buf names = {0};

	if (map)
		return map;
	catalog_list_maps(catalog, &names);
	error_set(why, "there is no map \"%.*s\"; these exist: %s", SLICE_ARGS(name),
		buf_string(&names));
	buf_finish(&names);
	return NULL;
}

/* A key of a table, or all of it if that is NULL. */
static void purge_table(struct engine *engine, const struct table *table, const struct slice *form)
{
	struct cache_space *space = engine->spaces[table->query.statement.id];

	if (form)
		cache_purge_part(engine->cache, space, CACHE_KEY, *form);
	else
		cache_purge_space(engine->cache, space);
}

/* The map's tables, and what dictionaries have made of them: there answers have another form. */
static void purge_map(struct engine *engine, const struct map *map, const struct slice *form)
{
	const struct catalog *catalog = engine->catalog;

	for (size_t i = 0; i < catalog->table_count; i++)
		for (size_t at = 0; at < map->table_count; at++)
			if (catalog->tables[i].settings == map->tables[at]->settings)
				purge_table(engine, &catalog->tables[i], form);
}

static void purge_dictionary(struct engine *engine, const struct dictionary *dictionary)
{
	for (size_t i = 0; i < dictionary->key_count; i++)
		for (size_t at = 0; at < dictionary->keys[i].map->table_count; at++)
			purge_table(engine, dictionary->keys[i].map->tables[at], NULL);
}

int flush_map(struct engine *engine, struct slice name, struct error *why)
{
	const struct dictionary *dictionary = catalog_find_dictionary(engine->catalog, name);
	const struct map *map = catalog_find(engine->catalog, name);

	if (dictionary)
		purge_dictionary(engine, dictionary);
	if (!dictionary || map)
		map = find_map(engine, name, why);
	if (map)
		purge_map(engine, map, NULL);
	return map || dictionary ? 0 : -1;
}

/* What a lookup would refuse is no key. */
static int check_key(struct slice key, struct error *why)
{
	if (!key.size)
		return error_set(why, "the key is empty");
	if (key.size > LOOKUP_KEY_MAX)
		return error_set(why, "the key is longer than %d bytes", LOOKUP_KEY_MAX);
	if (slice_find(key, '\0') >= 0)
		return error_set(why, "the key holds a NUL byte");
	if (!utf8_is_valid(key))
		return error_set(why, "the key is not valid UTF-8");
	return 0;
}

int flush_key(struct engine *engine, struct slice name, struct slice key, struct error *why)
{
	const struct map *map = find_map(engine, name, why);
	struct plan plan = {0};
	int result;

	if (!map || check_key(key, why) < 0)
		return -1;
	result = plan_make(&plan, &map->rule, key, why);
	for (size_t i = 0; result == 0 && i < plan.count; i++)
		purge_map(engine, map, &plan.forms[i].key);
	plan_finish(&plan);
	return result;
}
