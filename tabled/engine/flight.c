#include "engine/flight.h"

#include "base/memory.h"
#include "engine/engine_internal.h"
#include "engine/form.h"

#include <stdlib.h>
#include <utlist.h>

struct flight *flight_of(struct cache_flight *shared)
{
	return (struct flight *)(void *)((char *)shared - offsetof(struct flight, shared));
}

static void flight_free(struct flight *flight)
{
	free(flight->params);
	buf_finish(&flight->form);
	buf_finish(&flight->params_text);
	buf_wipe(&flight->text);
	rows_finish(&flight->rows);
	free(flight);
}

void flight_free_spare(struct engine *engine)
{
	while (engine->spare_flights) {
		struct flight *flight = engine->spare_flights;

		engine->spare_flights = flight->next;
		flight_free(flight);
	}
}

struct flight *flight_prepare(struct engine *engine, const struct table *table, struct slice form)
{
	struct flight *flight = engine->spare_flights;

	if (!flight) {
		flight = memory_new(1, sizeof(*flight));
		engine->spare_flights = flight;
		engine->spare_flight_count++;
	}
	flight->engine = engine;
	flight->table = table;
	buf_clear(&flight->form);
	buf_add_slice(&flight->form, form);
	return flight;
}

void flight_take(struct flight *flight)
{
	struct engine *engine = flight->engine;

	engine->spare_flights = flight->next;
	engine->spare_flight_count--;
	engine->pending++;
}

static size_t flight_room(const struct flight *flight)
{
	return flight->form.room + flight->params_text.room + flight->text.room +
	       flight->rows.text.room + flight->rows.spans.room + flight->rows.names.room;
}

/* A few are kept to be used again; what a burst or a big one took is given back. */
static void flight_return(struct flight *flight)
{
	struct engine *engine = flight->engine;

	engine->pending--;
	if (engine->spare_flight_count == SPARE_MOST || flight_room(flight) > SPARE_BYTES) {
		flight_free(flight);
		return;
	}
	engine->spare_flight_count++;
	flight->next = engine->spare_flights;
	engine->spare_flights = flight;
}

/* Binds the key's parts to the table's statement. */
static void flight_bind(struct flight *flight)
{
	const struct query *query = &flight->table->query;
	size_t ends[STATEMENT_PARAMS_MAX];
	size_t count = query->statement.params, start = 0;

	if (flight->param_room < count) {
		flight->param_room = count;
		flight->params = memory_resize(flight->params, count * sizeof(*flight->params));
	}
	if (flight->table->form_parts) {
		form_split(buf_slice(&flight->form), count, flight->params);
		return;
	}
	buf_clear(&flight->params_text);
	for (size_t i = 0; i < count; i++) {
		template_expand(
			&query->params[i], &flight->key, &flight->key, &flight->params_text);
		ends[i] = flight->params_text.size;
	}
	for (size_t i = 0; i < count; i++) {
		flight->params[i] =
			slice_of(buf_slice(&flight->params_text).data + start, ends[i] - start);
		start = ends[i];
	}
}

static void flight_answered(struct ask *ask, uint64_t now);

static struct source *flight_source(const struct flight *flight)
{
	return &flight->engine->sources[flight->table->source];
}

/*
 * What an inline source shows between two rests may be from before a purge by another worker. Then
 * it shows what was purged, and to keep that would be for good.
 */
static void flight_look_anew(const struct flight *flight, uint64_t now)
{
	struct source *source = flight_source(flight);

	if (source->pool || flight->shared.order <= source->order)
		return;
	source_rest(source, now);
	source->order = flight->shared.order;
}

void flight_send(struct flight *flight, uint64_t deadline, uint64_t now)
{
	flight_look_anew(flight, now);
	flight->key = address_parts_of(buf_slice(&flight->form));
	flight_bind(flight);
	rows_clear(&flight->rows);
	buf_clear(&flight->text);
	flight->why.text[0] = '\0';
	flight->ask = (struct ask){
		.question = {.statement = &flight->table->query.statement,
			.params = flight->params,
			.rows = &flight->rows,
			.why = &flight->why},
		.deadline = deadline,
		.done = flight_answered,
	};
	source_ask(flight_source(flight), &flight->ask, now);
}

/*
 * One line in the log until the table is answered again, since what fails for one key mostly fails
 * for all; none if the source itself is away and has said so.
 */
static void log_failure(const struct flight *flight, bool broken, uint64_t now)
{
	struct engine *engine = flight->engine;
	const struct source *source = flight_source(flight);

	if (now == UINT64_MAX || source->state != SOURCE_UP ||
		atomic_exchange(&flight->shared.space->failing, true))
		return;
	if (log_limit_pass(&engine->limit, now, "failed lookups"))
		log_line(broken ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
			"map=%s source=%s: lookup failed: %s", flight->table->name,
			source->config->name, flight->why.text);
}

/* What the rows are as a result. If they can't be one, what was kept of the key is wrong, too. */
static enum status flight_format(struct flight *flight)
{
	enum status status = table_format(
		flight->table, &flight->rows, &flight->key, &flight->text, &flight->why);

	if (status != FOUND && status != NOT_FOUND)
		cache_forget(flight->engine->cache, &flight->shared);
	return status;
}

static void note_source(const struct flight *flight, enum status status, uint64_t now)
{
	if (now == UINT64_MAX)
		return; /* it was abandoned: that says nothing of the source */
	if (status != TRY_LATER)
		origin_reached(flight->shared.space->origin, now);
	else if (flight_source(flight)->state == SOURCE_UP)
		origin_doubted(flight->shared.space->origin, now);
	else
		origin_failed(flight->shared.space->origin, now);
}

/* Mostly nothing changes: other workers' copies of the line stay good. */
static void note_good(const struct flight *flight)
{
	atomic_bool *failing = &flight->shared.space->failing;

	if (atomic_load_explicit(failing, memory_order_relaxed))
		atomic_store(failing, false);
}

/* The source has answered, in source_ask() or later. */
static void flight_answered(struct ask *ask, uint64_t now)
{
	struct flight *flight = (struct flight *)ask;
	enum status status = ask->question.status;
	struct cache_answer answer;

	note_source(flight, status, now);
	if (status == FOUND)
		status = flight_format(flight);
	if (status == FOUND || status == NOT_FOUND)
		note_good(flight);
	else
		log_failure(flight, status == BROKEN, now);
	answer.status = status;
	answer.text = status == FOUND ? buf_slice(&flight->text) : slice_str(flight->why.text);
	cache_land(flight->engine->cache, &flight->shared, &answer, now);
	flight_return(flight);
}

void flight_drop(struct flight *flight, uint64_t now)
{
	if (!source_withdraw(flight_source(flight), &flight->ask))
		return;
	if (cache_give_up(flight->engine->cache, &flight->shared))
		flight_return(flight);
	else /* somebody has joined it meanwhile */
		flight_send(flight, flight->ask.deadline, now);
}

void flight_send_later(struct flight *flight)
{
	struct engine *engine = flight->engine;

	flight_take(flight);
	flight->next = NULL;
	LL_APPEND(engine->behind, flight);
}

void flight_send_behind(struct engine *engine, uint64_t now)
{
	while (engine->behind) {
		struct flight *flight = engine->behind;
		const struct source *source = flight_source(flight);

		engine->behind = flight->next;
		flight_send(flight, now + (uint64_t)source->config->settings->query_timeout, now);
	}
}

void flight_abandon_behind(struct engine *engine, uint64_t now)
{
	const struct cache_answer none = {TRY_LATER, slice_str("tabled is stopping")};

	while (engine->behind) {
		struct flight *flight = engine->behind;

		engine->behind = flight->next;
		cache_land(engine->cache, &flight->shared, &none, now);
		flight_return(flight);
	}
}
