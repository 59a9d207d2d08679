#include "admin/status.h"

#include "engine/pool.h"

static void add_pool(json_t *status, const struct source *source)
{
	struct pool_status pool;

	pool_status(source->pool, &pool);
	json_object_set_new(status, "pool",
		json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "connections",
			(json_int_t)pool.live, "busy", (json_int_t)pool.busy, "waiting",
			(json_int_t)pool.waiting, "opened", (json_int_t)pool.opened, "lost",
			(json_int_t)pool.lost, "queries", (json_int_t)pool.batches, "questions",
			(json_int_t)pool.questions, "refused", (json_int_t)pool.shed));
}

static json_t *status_of_source(const struct source *source)
{
	json_t *status = json_pack("{s:s, s:s, s:s}", "name", source->config->name, "driver",
		source->config->backend->name, "state", source_state_text(source->state));

	if (source->state == SOURCE_LOCKED || source->state == SOURCE_DOWN)
		json_object_set_new(status, "reason", json_string(source->why.text));
	if (source->pool)
		add_pool(status, source);
	return status;
}

static json_t *status_of_map(const struct engine *engine, const struct map *map)
{
	json_t *status = json_pack("{s:s, s:s}", "name", map->name, "serves", map->parameter->name);

	for (int i = 0; i < STATUS_COUNT; i++)
		json_object_set_new(status, status_text((enum status)i),
			json_integer((json_int_t)engine_count(engine, map, (enum status)i)));
	return status;
}

void status_add_engine(json_t *status, const struct engine *engine)
{
	const struct catalog *catalog = engine_catalog(engine);
	json_t *sources = json_array(), *maps = json_array();

	for (size_t i = 0; i < catalog->source_count; i++)
		json_array_append_new(sources, status_of_source(engine_source(engine, i)));
	for (size_t i = 0; i < catalog->map_count; i++)
		json_array_append_new(maps, status_of_map(engine, &catalog->maps[i]));
	json_object_set_new(status, "sources", sources);
	json_object_set_new(status, "maps", maps);
}
