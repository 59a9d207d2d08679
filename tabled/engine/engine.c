#include "engine/engine.h"

#include "base/memory.h"
#include "engine/search.h"

#include <assert.h>
#include <stdlib.h>

struct engine *engine_create(const struct catalog *catalog, struct connector *connector)
{
	struct engine *engine = memory_new(1, sizeof(*engine));

	engine->catalog = catalog;
	engine->sources = memory_new(catalog->source_count, sizeof(*engine->sources));
	engine->counters = memory_new(catalog->map_count, sizeof(*engine->counters));
	engine->table_failing = memory_new(catalog->table_count, sizeof(*engine->table_failing));
	for (size_t i = 0; i < catalog->source_count; i++)
		source_init(&engine->sources[i], &catalog->sources[i], connector);
	return engine;
}

void engine_destroy(struct engine *engine)
{
	if (!engine)
		return;
	assert(engine_pending(engine) == 0);
	search_free_spare(engine);
	for (size_t i = 0; i < engine->catalog->source_count; i++)
		source_finish(&engine->sources[i]);
	free(engine->sources);
	free(engine->counters);
	free(engine->table_failing);
	free(engine);
}

void engine_lookup(struct engine *engine, const struct request *request, uint64_t now,
	struct lookup_trace *trace, lookup_done *done, void *owner)
{
	search_begin(engine, request, now, trace, done, owner);
}

void engine_tick(struct engine *engine, uint64_t now)
{
	for (size_t i = 0; i < engine->catalog->source_count; i++)
		source_tick(&engine->sources[i], now);
}

void engine_abandon(struct engine *engine)
{
	/* A lookup that fails at one source does not go on to the next. */
	for (size_t i = 0; i < engine->catalog->source_count; i++)
		source_abandon(&engine->sources[i]);
}

uint64_t engine_next(const struct engine *engine)
{
	uint64_t next = UINT64_MAX;

	for (size_t i = 0; i < engine->catalog->source_count; i++) {
		uint64_t at = source_next(&engine->sources[i]);

		if (at < next)
			next = at;
	}
	return next;
}

void engine_rest(struct engine *engine, uint64_t now)
{
	for (size_t i = 0; i < engine->catalog->source_count; i++)
		source_rest(&engine->sources[i], now);
}

size_t engine_pending(const struct engine *engine)
{
	size_t count = engine->pending;

	for (size_t i = 0; i < engine->catalog->source_count; i++)
		count += source_opening(&engine->sources[i]);
	return count;
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
		engine->table_failing[table->query.statement.id] = true;
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
