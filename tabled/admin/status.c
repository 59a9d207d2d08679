#include "admin/status.h"

#include "base/clock.h"
#include "engine/feed.h"
#include "engine/pool.h"

#include <assert.h>
#include <string.h>

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

static void add_feed(json_t *status, const struct feed *feed)
{
	struct feed_status state;
	json_t *object;

	feed_status(feed, clock_ms(), &state);
	object = json_pack("{s:s, s:I, s:I, s:I}", "state", state.state, "changes",
		(json_int_t)state.changes, "age", (json_int_t)state.age, "gaps",
		(json_int_t)state.gaps);
	if (state.why && *state.why && strcmp(state.state, "healthy") != 0)
		json_object_set_new(object, "why", json_string(state.why));
	json_object_set_new(status, "feed", object);
}

static json_t *status_of_source(const struct engine *engine, size_t at)
{
	const struct source *source = engine_source(engine, at);
	const struct feed *feed = engine_feed(engine, at);
	enum source_state state = engine_source_state(engine, at);
	json_t *status = json_pack("{s:s, s:s, s:s}", "name", source->config->name, "driver",
		source->config->backend->name, "state", source_state_text(state));

	if (state == SOURCE_LOCKED || state == SOURCE_DOWN)
		json_object_set_new(status, "reason", json_string(source->why.text));
	if (source->pool)
		add_pool(status, source);
	if (feed)
		add_feed(status, feed);
	return status;
}

/* Of the map's own table: one that is made of others has none. */
static void add_cache(json_t *status, const struct engine *engine, const struct map *map)
{
	const struct table_counters *counters;

	if (map->table_count != 1 || strcmp(map->tables[0]->name, map->name) != 0)
		return;
	counters = engine_table_counters(engine, map->tables[0]);
	json_object_set_new(status, "cache",
		json_pack("{s:I, s:I, s:I, s:I}", "hits", (json_int_t)counters->hits, "stale",
			(json_int_t)counters->stale, "joined", (json_int_t)counters->joined,
			"misses", (json_int_t)counters->misses));
}

static void add_counts(json_t *status, const struct engine *engine, const struct map *map)
{
	for (int i = 0; i < STATUS_COUNT; i++)
		json_object_set_new(status, status_text((enum status)i),
			json_integer((json_int_t)engine_count(engine, map, (enum status)i)));
	add_cache(status, engine, map);
}

static json_t *status_of_map(const struct engine *engine, const struct map *map)
{
	json_t *status = json_pack("{s:s, s:s}", "name", map->name, "serves", map->parameter->name);

	add_counts(status, engine, map);
	return status;
}

/* The keys of all dictionaries, each with the lookups of it. */
static json_t *list_keys(const struct engine *engine)
{
	const struct catalog *catalog = engine_catalog(engine);
	json_t *list = json_array();

	for (size_t i = 0; i < catalog->dictionary_count; i++) {
		const struct dictionary *dictionary = &catalog->dictionaries[i];

		for (size_t at = 0; at < dictionary->key_count; at++) {
			const struct dictionary_key *key = &dictionary->keys[at];
			json_t *status = json_pack("{s:s, s:s}", "dictionary", dictionary->name,
				"name", key->pattern.text);

			add_counts(status, engine, key->map);
			json_array_append_new(list, status);
		}
	}
	return list;
}

void status_add_engine(json_t *status, const struct engine *engine)
{
	const struct catalog *catalog = engine_catalog(engine);
	json_t *sources = json_array(), *maps = json_array();

	for (size_t i = 0; i < catalog->source_count; i++)
		json_array_append_new(sources, status_of_source(engine, i));
	for (size_t i = 0; i < catalog->map_count; i++)
		json_array_append_new(maps, status_of_map(engine, &catalog->maps[i]));
	json_object_set_new(status, "sources", sources);
	json_object_set_new(status, "maps", maps);
	json_object_set_new(status, "keys", list_keys(engine));
}

/* The worse, the higher. */
static int rank_of(const json_t *source)
{
	const char *state = json_string_value(json_object_get(source, "state"));

	for (int rank = SOURCE_DOWN; state && rank > SOURCE_UNUSED; rank--)
		if (strcmp(state, source_state_text((enum source_state)rank)) == 0)
			return rank;
	return SOURCE_UNUSED;
}

static void join_state(json_t *whole, json_t *part)
{
	json_t *reason = json_object_get(part, "reason");

	if (rank_of(part) <= rank_of(whole))
		return;
	json_object_set(whole, "state", json_object_get(part, "state"));
	if (reason)
		json_object_set(whole, "reason", reason);
	else
		json_object_del(whole, "reason");
}

static void join_value(json_t *whole, json_t *part);

static void join_objects(json_t *whole, json_t *part)
{
	const char *name;
	json_t *value;

	join_state(whole, part);
	json_object_foreach(part, name, value)
	{
		json_t *mine = json_object_get(whole, name);

		if (mine)
			join_value(mine, value);
		else if (strcmp(name, "reason") != 0)
			json_object_set(whole, name, value);
	}
}

static void join_value(json_t *whole, json_t *part)
{
	json_t *item;
	size_t at;

	if (json_is_integer(whole)) {
		json_integer_set(whole, json_integer_value(whole) + json_integer_value(part));
	} else if (json_is_object(whole)) {
		join_objects(whole, part);
	} else if (json_is_array(whole)) {
		/* The same configuration has made both: what belongs together stands in the same
		 * place. */
		assert(json_array_size(whole) == json_array_size(part));
		json_array_foreach(part, at, item) join_value(json_array_get(whole, at), item);
	}
}

void status_join(json_t *whole, json_t *part)
{
	join_objects(whole, part);
}
