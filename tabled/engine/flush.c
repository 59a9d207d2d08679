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

static struct cache_space *space_of(
	const struct engine *engine, const struct map *map, size_t table)
{
	return engine->spaces[map->tables[table]->query.statement.id];
}

int flush_map(struct engine *engine, struct slice name, struct error *why)
{
	const struct map *map = find_map(engine, name, why);

	if (!map)
		return -1;
	for (size_t i = 0; i < map->table_count; i++)
		cache_purge_space(engine->cache, space_of(engine, map, i));
	return 0;
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

static void purge_form(struct engine *engine, const struct map *map, struct slice form)
{
	for (size_t i = 0; i < map->table_count; i++)
		cache_purge_part(engine->cache, space_of(engine, map, i), CACHE_KEY, form);
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
		purge_form(engine, map, plan.forms[i].key);
	plan_finish(&plan);
	return result;
}
