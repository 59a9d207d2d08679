#include "engine/engine.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/utf8.h"

#include <assert.h>
#include <stdlib.h>

/* What a worker counts for each map. */
struct map_counters {
	uint64_t by_status[STATUS_COUNT];
};

struct engine {
	const struct catalog *catalog; /* borrowed */
	struct source *sources;        /* owned, in the catalog's order */
	struct map_counters *counters; /* owned, by map->index */
	bool *table_failing;           /* owned, by statement id: said so in the log already */
	struct lookup *spare;          /* list of lookups to be used again, with their buffers */
	size_t spare_count;
	size_t pending;
	struct log_limit limit;
};

/*
 * One lookup on its way: the forms of its key are asked, each of all tables of the map, until one
 * is found.
 */
struct lookup {
	struct ask ask; /* the question that is out */
	struct engine *engine;
	const struct map *map;
	struct lookup_trace *trace;
	lookup_done *done;
	void *owner;
	uint64_t started; /* ms */
	struct plan plan;
	size_t form, table;       /* the next to be asked */
	struct address_parts key; /* of the form that is out */
	struct slice params[STATEMENT_PARAMS_MAX];
	struct buf params_text;
	struct rows rows;
	struct error why;
	struct buf text;
	bool asking;   /* inside source_ask(): its done() must not start the next question */
	bool answered; /* the question that was out has its status */
	struct lookup *next_spare;
};

struct engine *engine_create(const struct catalog *catalog)
{
	struct engine *engine = memory_new(1, sizeof(*engine));

	engine->catalog = catalog;
	engine->sources = memory_new(catalog->source_count, sizeof(*engine->sources));
	engine->counters = memory_new(catalog->map_count, sizeof(*engine->counters));
	engine->table_failing = memory_new(catalog->table_count, sizeof(*engine->table_failing));
	for (size_t i = 0; i < catalog->source_count; i++)
		source_init(&engine->sources[i], &catalog->sources[i]);
	return engine;
}

static void lookup_free(struct lookup *lookup)
{
	plan_finish(&lookup->plan);
	buf_finish(&lookup->params_text);
	rows_finish(&lookup->rows);
	buf_wipe(&lookup->text);
	free(lookup);
}

void engine_destroy(struct engine *engine)
{
	if (!engine)
		return;
	assert(engine->pending == 0);
	while (engine->spare) {
		struct lookup *lookup = engine->spare;

		engine->spare = lookup->next_spare;
		lookup_free(lookup);
	}
	for (size_t i = 0; i < engine->catalog->source_count; i++)
		source_finish(&engine->sources[i]);
	free(engine->sources);
	free(engine->counters);
	free(engine->table_failing);
	free(engine);
}

static struct lookup *lookup_take(struct engine *engine)
{
	struct lookup *lookup = engine->spare;

	if (lookup) {
		engine->spare = lookup->next_spare;
		engine->spare_count--;
	} else {
		lookup = memory_new(1, sizeof(*lookup));
	}
	lookup->engine = engine;
	lookup->form = lookup->table = 0;
	buf_clear(&lookup->text);
	engine->pending++;
	return lookup;
}

static size_t lookup_room(const struct lookup *lookup)
{
	return lookup->text.room + lookup->rows.text.room + lookup->rows.spans.room +
	       lookup->params_text.room + lookup->plan.text.room + lookup->plan.scratch.room +
	       lookup->plan.internal.room + lookup->plan.room * sizeof(*lookup->plan.forms);
}

/* A few are kept to be used again; what a burst or a big one took is given back. */
static void lookup_return(struct lookup *lookup)
{
	enum { KEEP_BYTES = 16 * 1024, KEEP_COUNT = 256 };
	struct engine *engine = lookup->engine;

	engine->pending--;
	if (engine->spare_count == KEEP_COUNT || lookup_room(lookup) > KEEP_BYTES) {
		lookup_free(lookup);
		return;
	}
	engine->spare_count++;
	lookup->next_spare = engine->spare;
	engine->spare = lookup;
}

static void lookup_reply(struct lookup *lookup, enum status status, struct slice text)
{
	struct reply reply = {status, text, lookup->map ? lookup->map->name : NULL};

	if (lookup->map)
		lookup->engine->counters[lookup->map->index].by_status[status]++;
	lookup->done(lookup->owner, &reply);
	lookup_return(lookup);
}

static void lookup_trace_step(struct lookup *lookup, const struct table *table, const char *outcome)
{
	if (lookup->trace)
		lookup->trace->step(
			lookup->trace, lookup->plan.forms[lookup->form].key, table->name, outcome);
}

/*
 * One line in the log until the table is answered again, since what fails for one key mostly fails
 * for all; none if the source itself is away and has said so.
 */
static void lookup_log_failure(
	struct lookup *lookup, const struct table *table, bool broken, uint64_t now)
{
	struct engine *engine = lookup->engine;
	const struct source *source = &engine->sources[table->source];
	bool *said = &engine->table_failing[table->query.statement.id];

	if (*said || source->state != SOURCE_UP)
		return;
	*said = true;
	if (log_limit_pass(&engine->limit, now, "failed lookups"))
		log_line(broken ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
			"map=%s table=%s source=%s: lookup failed: %s", lookup->map->name,
			table->name, source->config->name, lookup->why.text);
}

/* An error ends the lookup: what follows can't be known to be the right answer. */
static void lookup_fail(
	struct lookup *lookup, const struct table *table, enum status status, uint64_t now)
{
	lookup_log_failure(lookup, table, status == BROKEN, now);
	lookup_reply(lookup, status, slice_str(lookup->why.text));
}

/* Binds the key's parts to the table's statement. */
static void lookup_bind(struct lookup *lookup, const struct table *table)
{
	size_t ends[STATEMENT_PARAMS_MAX];
	size_t start = 0;

	buf_clear(&lookup->params_text);
	for (size_t i = 0; i < table->query.statement.params; i++) {
		template_expand(
			&table->query.params[i], &lookup->key, &lookup->key, &lookup->params_text);
		ends[i] = lookup->params_text.size;
	}
	for (size_t i = 0; i < table->query.statement.params; i++) {
		lookup->params[i] =
			slice_of(buf_slice(&lookup->params_text).data + start, ends[i] - start);
		start = ends[i];
	}
}

static void lookup_answered(struct ask *ask, uint64_t now);

/* Sends the question for the current form and table. Returns whether its answer is here. */
static bool lookup_ask(struct lookup *lookup, const struct table *table, uint64_t now)
{
	struct source *source = &lookup->engine->sources[table->source];

	lookup_bind(lookup, table);
	rows_clear(&lookup->rows);
	lookup->why.text[0] = '\0';
	lookup->ask = (struct ask){
		.question = {.statement = &table->query.statement,
			.params = lookup->params,
			.rows = &lookup->rows,
			.why = &lookup->why},
		.deadline = lookup->started + (uint64_t)source->config->settings->query_timeout,
		.done = lookup_answered,
	};
	lookup->asking = true;
	lookup->answered = false;
	source_ask(source, &lookup->ask, now);
	lookup->asking = false;
	return lookup->answered;
}

static void lookup_found(struct lookup *lookup, const struct table *table, uint64_t now)
{
	map_restore_extension(
		lookup->map, &lookup->plan, &lookup->plan.forms[lookup->form], &lookup->text);
	if (lookup->text.size > LOOKUP_TEXT_MAX) {
		error_set(&lookup->why, "the result, with its extensions, is longer than %d bytes",
			LOOKUP_TEXT_MAX);
		lookup_fail(lookup, table, BROKEN, now);
		return;
	}
	lookup_reply(lookup, FOUND, buf_slice(&lookup->text));
}

/* Takes the answer to the question that was out. Returns whether the lookup is over. */
static bool lookup_take_answer(struct lookup *lookup, const struct table *table, uint64_t now)
{
	enum status status = lookup->ask.question.status;

	if (status == FOUND) {
		buf_clear(&lookup->text);
		status = table_format(
			table, &lookup->rows, &lookup->key, &lookup->text, &lookup->why);
	}
	if (status == FOUND || status == NOT_FOUND)
		lookup->engine->table_failing[table->query.statement.id] = false;
	lookup_trace_step(lookup, table,
		status == FOUND || status == NOT_FOUND ? status_text(status) : lookup->why.text);
	if (status == NOT_FOUND)
		return false;
	if (status == FOUND)
		lookup_found(lookup, table, now);
	else
		lookup_fail(lookup, table, status, now);
	return true;
}

/* The next table for this form, then the next form. */
static void lookup_advance(struct lookup *lookup)
{
	if (++lookup->table < lookup->map->table_count)
		return;
	lookup->table = 0;
	lookup->form++;
}

/* Goes on until the lookup is over or a question is out. */
static void lookup_run(struct lookup *lookup, uint64_t now)
{
	for (; lookup->form < lookup->plan.count; lookup_advance(lookup)) {
		const struct table *table = lookup->map->tables[lookup->table];

		if (lookup->table == 0)
			lookup->key = address_parts_of(lookup->plan.forms[lookup->form].key);
		if (!table_wants(table, &lookup->key)) {
			lookup_trace_step(lookup, table,
				"not asked: its query or domain list "
				"does not fit this form");
			continue;
		}
		if (!lookup_ask(lookup, table, now))
			return;
		if (lookup_take_answer(lookup, table, now))
			return;
	}
	lookup_reply(lookup, NOT_FOUND, slice_str("not found"));
}

/* The source has answered: inside lookup_ask(), which goes on by itself, or later. */
static void lookup_answered(struct ask *ask, uint64_t now)
{
	struct lookup *lookup = (struct lookup *)ask;

	lookup->answered = true;
	if (lookup->asking)
		return;
	if (lookup_take_answer(lookup, lookup->map->tables[lookup->table], now))
		return;
	lookup_advance(lookup);
	lookup_run(lookup, now);
}

static void reply_unknown_map(struct lookup *lookup, struct slice name, uint64_t now)
{
	const struct catalog *catalog = lookup->engine->catalog;
	struct buf names = {0}, text = {0};

	for (size_t i = 0; i < catalog->map_count; i++)
		buf_add_format(&names, "%s%s", i ? ", " : "", catalog->maps[i].name);
	if (log_limit_pass(&lookup->engine->limit, now, "failed lookups"))
		log_warning("map=%.*s: there is no such map; these exist: %s", SLICE_ARGS(name),
			buf_string(&names));
	buf_add_format(
		&text, "there is no map \"%.*s\"; tabled's log says which exist", SLICE_ARGS(name));
	lookup_reply(lookup, BROKEN, buf_slice(&text));
	buf_finish(&names);
	buf_finish(&text);
}

static void refuse_key(struct lookup *lookup, const char *why, uint64_t now)
{
	if (log_limit_pass(&lookup->engine->limit, now, "failed lookups"))
		log_warning("map=%s: a key was refused: %s", lookup->map->name, why);
	lookup_reply(lookup, BROKEN, slice_str(why));
}

void engine_lookup(struct engine *engine, const struct request *request, uint64_t now,
	struct lookup_trace *trace, lookup_done *done, void *owner)
{
	struct lookup *lookup = lookup_take(engine);

	lookup->trace = trace;
	lookup->done = done;
	lookup->owner = owner;
	lookup->started = now;
	lookup->map = catalog_find(engine->catalog, request->map);
	if (!lookup->map) {
		reply_unknown_map(lookup, request->map, now);
		return;
	}
	if (slice_find(request->key, '\0') >= 0) {
		refuse_key(lookup, "it holds a NUL byte", now);
		return;
	}
	/* What is no UTF-8 can't be in any table: postfix: src/util/dict_utf8.c, dict_sqlite.c */
	if (!utf8_is_valid(request->key)) {
		lookup_reply(lookup, NOT_FOUND, slice_str("the key is not valid UTF-8"));
		return;
	}
	if (plan_make(&lookup->plan, &lookup->map->rule, request->key, &lookup->why) < 0) {
		refuse_key(lookup, lookup->why.text, now);
		return;
	}
	lookup_run(lookup, now);
}

uint64_t engine_tick(struct engine *engine, uint64_t now)
{
	uint64_t next = UINT64_MAX;

	for (size_t i = 0; i < engine->catalog->source_count; i++) {
		uint64_t at = source_tick(&engine->sources[i], now);

		if (at < next)
			next = at;
	}
	return next;
}

void engine_rest(struct engine *engine)
{
	for (size_t i = 0; i < engine->catalog->source_count; i++)
		source_rest(&engine->sources[i]);
}

size_t engine_pending(const struct engine *engine)
{
	return engine->pending;
}

void engine_check(struct engine *engine, uint64_t now)
{
	for (size_t i = 0; i < engine->catalog->table_count; i++) {
		const struct table *table = &engine->catalog->tables[i];
		struct source *source = &engine->sources[table->source];
		struct error why;
		enum status status = source_check(source, &table->query.statement, now, &why);

		if (status == BROKEN) {
			log_error("map=%s source=%s: %s", table->name, source->config->name,
				why.text);
			engine->table_failing[table->query.statement.id] = true;
		}
	}
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
