#include "engine/engine.h"

#include "base/memory.h"
#include "engine/engine_internal.h"
#include "engine/feed.h"
#include "engine/flight.h"
#include "engine/inquiry.h"
#include "engine/search.h"
#include "engine/writer.h"

#include <assert.h>
#include <stdlib.h>

/* What all tables of the same text have in common, by whatever configuration they came. */
static struct cache_space *space_of(struct engine *engine, const struct table *table)
{
	const struct source_config *source = &engine->catalog->sources[table->source];
	struct buf identity = {0};
	struct cache_space *space;

	source_describe(source, &identity);
	table_describe(table, &identity);
	space = cache_space(engine->cache, buf_string(&identity),
		cache_origin(engine->cache, source->name),
		catalog_is_secret(engine->catalog, table));
	buf_finish(&identity);
	return space;
}

static void make_spaces(struct engine *engine)
{
	size_t count = engine->catalog->table_count;

	engine->spaces = memory_new(count, sizeof(struct cache_space *));
	for (size_t i = 0; i < count; i++)
		engine->spaces[i] = space_of(engine, &engine->catalog->tables[i]);
}

struct engine *engine_create(const struct catalog *catalog, struct cache *cache,
	struct inbox *inbox, struct connector *connector)
{
	struct engine *engine = memory_new(1, sizeof(*engine));

	engine->catalog = catalog;
	engine->cache = cache;
	engine->inbox = inbox;
	engine->connector = connector;
	engine->sources = memory_new(catalog->source_count, sizeof(*engine->sources));
	engine->writers = memory_new(catalog->source_count, sizeof(struct writer *));
	engine->counters = memory_new(catalog->counter_count, sizeof(*engine->counters));
	engine->tables = memory_new(catalog->table_count, sizeof(*engine->tables));
	make_spaces(engine);
	for (size_t i = 0; i < catalog->source_count; i++) {
		source_init(&engine->sources[i], &catalog->sources[i], connector);
		engine->sources[i].complained =
			&cache_origin(cache, catalog->sources[i].name)->complained;
	}
	return engine;
}

void engine_destroy(struct engine *engine)
{
	if (!engine)
		return;
	assert(engine_pending(engine) == 0);
	search_free_spare(engine);
	flight_free_spare(engine);
	for (size_t i = 0; i < engine->catalog->source_count; i++) {
		source_finish(&engine->sources[i]);
		writer_destroy(engine->writers[i]);
		if (engine->feeds)
			feed_destroy(engine->feeds[i]);
	}
	free(engine->feeds);
	free(engine->sources);
	free(engine->writers);
	free(engine->counters);
	free(engine->tables);
	free(engine->spaces);
	free(engine);
}

void engine_lookup(struct engine *engine, const struct request *request, uint64_t now,
	struct lookup_trace *trace, lookup_done *done, void *owner)
{
	search_begin(engine, request, now, trace, done, owner);
}

void engine_run_feeds(struct engine *engine, uint64_t now)
{
	const struct catalog *catalog = engine->catalog;

	engine->feeds = memory_new(catalog->source_count, sizeof(struct feed *));
	for (size_t i = 0; i < catalog->source_count; i++)
		engine->feeds[i] = feed_create(
			catalog, i, engine->cache, engine->spaces, engine->connector, now);
}

void engine_retire(struct engine *engine, uint64_t now)
{
	for (size_t i = 0; engine->feeds && i < engine->catalog->source_count; i++)
		feed_stop(engine->feeds[i], now);
}

void engine_tick(struct engine *engine, uint64_t now)
{
	for (size_t i = 0; i < engine->catalog->source_count; i++) {
		source_tick(&engine->sources[i], now);
		if (engine->writers[i])
			source_tick(&engine->writers[i]->source, now);
		if (engine->feeds)
			feed_tick(engine->feeds[i], now);
	}
	inquiry_expire(engine, now);
}

void engine_abandon(struct engine *engine)
{
	engine_retire(engine, UINT64_MAX);
	/* A lookup that fails at one source does not go on to the next. */
	for (size_t i = 0; i < engine->catalog->source_count; i++) {
		source_abandon(&engine->sources[i]);
		if (engine->writers[i])
			source_abandon(&engine->writers[i]->source);
	}
	flight_abandon_behind(engine, UINT64_MAX);
	inquiry_abandon_all(engine, UINT64_MAX);
}

static uint64_t least(uint64_t one, uint64_t other)
{
	return one < other ? one : other;
}

uint64_t engine_next(const struct engine *engine)
{
	uint64_t next = engine->inquiries ? engine->look_at : UINT64_MAX;

	for (size_t i = 0; i < engine->catalog->source_count; i++) {
		uint64_t at = source_next(&engine->sources[i]);
		const struct writer *writer = engine->writers[i];
		uint64_t feed_at = engine->feeds ? feed_next(engine->feeds[i]) : UINT64_MAX;
		uint64_t writer_at = writer ? source_next(&writer->source) : UINT64_MAX;

		next = least(next, least(at, least(feed_at, writer_at)));
	}
	return next;
}

void engine_rest(struct engine *engine, uint64_t now)
{
	flight_send_behind(engine, now);
	for (size_t i = 0; i < engine->catalog->source_count; i++) {
		source_rest(&engine->sources[i], now);
		if (engine->writers[i])
			source_rest(&engine->writers[i]->source, now);
		if (engine->feeds)
			feed_rest(engine->feeds[i], now);
	}
}

size_t engine_pending(const struct engine *engine)
{
	size_t count = engine->pending;

	for (size_t i = 0; i < engine->catalog->source_count; i++) {
		count += source_opening(&engine->sources[i]);
		if (engine->writers[i])
			count += source_opening(&engine->writers[i]->source);
		if (engine->feeds)
			count += feed_pending(engine->feeds[i]);
	}
	return count;
}

struct writer *engine_writer(struct engine *engine, size_t source, struct error *why)
{
	const struct source_config *config = &engine->catalog->sources[source];

	if (!config->backend->writer) {
		error_set(why, "source %s can't be written to: it is one of %s", config->name,
			config->backend->name);
		return NULL;
	}
	if (!engine->writers[source])
		engine->writers[source] = writer_create(config, engine->connector);
	return engine->writers[source];
}

/* The check of one table's query. */
struct check {
	struct ask ask; /* the first, so that the answer finds its check */
	struct engine *engine;
	const struct table *table;
	struct rows rows;
	struct error why;
};

static void check_done(struct ask *ask, uint64_t now)
{
	struct check *check = (struct check *)ask;
	const struct table *table = check->table;
	struct engine *engine = check->engine;

	(void)now;
	if (ask->question.status == BROKEN) {
		log_error("map=%s source=%s: %s", table->name,
			engine->sources[table->source].config->name, check->why.text);
		atomic_store(&engine->spaces[table->query.statement.id]->failing, true);
	}
	engine->pending--;
	rows_finish(&check->rows);
	free(check);
}

static void check_begin(struct engine *engine, const struct table *table, uint64_t now)
{
	struct source *source = &engine->sources[table->source];
	struct check *check = memory_new(1, sizeof(*check));

	check->engine = engine;
	check->table = table;
	check->ask = (struct ask){
		.question = {.statement = &table->query.statement,
			.rows = &check->rows,
			.why = &check->why},
		.deadline = now + (uint64_t)source->config->settings->query_timeout,
		.only_check = true,
		.done = check_done,
	};
	engine->pending++;
	source_ask(source, &check->ask, now);
}

void engine_check(struct engine *engine, uint64_t now)
{
	for (size_t i = 0; i < engine->catalog->table_count; i++)
		check_begin(engine, &engine->catalog->tables[i], now);
}

const struct catalog *engine_catalog(const struct engine *engine)
{
	return engine->catalog;
}

const struct source *engine_source(const struct engine *engine, size_t at)
{
	return &engine->sources[at];
}

uint64_t engine_count(const struct engine *engine, const struct map *map, enum status status)
{
	return engine->counters[map->index].by_status[status];
}

const struct table_counters *engine_table_counters(
	const struct engine *engine, const struct table *table)
{
	return &engine->tables[table->query.statement.id];
}

struct cache *engine_cache(const struct engine *engine)
{
	return engine->cache;
}

const struct cache_space *engine_space(const struct engine *engine, const struct table *table)
{
	return engine->spaces[table->query.statement.id];
}

const struct feed *engine_feed(const struct engine *engine, size_t source)
{
	return engine->feeds ? engine->feeds[source] : NULL;
}

enum source_state engine_source_state(const struct engine *engine, size_t at)
{
	const struct source *source = &engine->sources[at];
	const struct origin *origin = cache_origin(engine->cache, source->config->name);

	/* Nobody has asked this worker since another one has reached it. */
	if (source->state == SOURCE_DOWN && origin_facts(origin).reached > source->since)
		return SOURCE_UP;
	return source->state;
}
