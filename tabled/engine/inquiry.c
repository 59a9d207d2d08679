#include "engine/inquiry.h"

#include "base/memory.h"
#include "engine/engine_internal.h"

#include <stdlib.h>
#include <utlist.h>

enum { LOOK_MS = 100 }; /* between looks for those who have waited too long */

struct flight {
	struct ask ask; /* the first, so that the answer finds its flight */
	struct cache_flight shared;
	struct engine *engine;
	const struct table *table;
	struct buf form;
	struct address_parts key; /* of the form */
	struct slice *params;     /* owned */
	size_t param_room;
	struct buf params_text, text;
	struct rows rows;
	struct error why;
	struct flight *next; /* in the list of spare ones, or of those to be sent behind */
};

static struct flight *flight_of(struct cache_flight *shared)
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

/* One that may be needed: it stays among the spare ones until flight_take(). */
static struct flight *flight_prepare(
	struct engine *engine, const struct table *table, struct slice form)
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

static void flight_take(struct flight *flight)
{
	struct engine *engine = flight->engine;

	engine->spare_flights = flight->next;
	engine->spare_flight_count--;
	engine->pending++;
}

static size_t flight_room(const struct flight *flight)
{
	return flight->form.room + flight->params_text.room + flight->text.room +
	       flight->rows.text.room + flight->rows.spans.room;
}

/* A few are kept to be used again; what a burst or a big one took is given back. */
static void flight_return(struct flight *flight)
{
	enum { KEEP_BYTES = 16 * 1024, KEEP_COUNT = 256 };
	struct engine *engine = flight->engine;

	engine->pending--;
	if (engine->spare_flight_count == KEEP_COUNT || flight_room(flight) > KEEP_BYTES) {
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

static void flight_send(struct flight *flight, uint64_t deadline, uint64_t now)
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

/* Nobody of this worker's waits for it any more. What is on its way to the source goes on. */
static void flight_drop(struct flight *flight, uint64_t now)
{
	if (!source_withdraw(flight_source(flight), &flight->ask))
		return;
	if (cache_give_up(flight->engine->cache, &flight->shared))
		flight_return(flight);
	else /* somebody has joined it meanwhile */
		flight_send(flight, flight->ask.deadline, now);
}

/* Behind: once those who wait for a reply have theirs. */
static void flight_send_later(struct flight *flight)
{
	struct engine *engine = flight->engine;

	flight_take(flight);
	flight->next = NULL;
	LL_APPEND(engine->behind, flight);
}

bool inquiry_refresh(
	struct engine *engine, const struct table *table, struct slice form, uint64_t now)
{
	struct flight *flight = flight_prepare(engine, table, form);
	struct cache_waiter nobody = {.inbox = engine->inbox};
	struct cache_question question = {.space = engine->spaces[table->query.statement.id],
		.form = buf_slice(&flight->form),
		.waiter = &nobody,
		.flight = &flight->shared};

	if (!cache_refresh(engine->cache, &question, now))
		return false;
	flight_send_later(flight);
	return true;
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

static void inquiry_finish(struct inquiry *inquiry, uint64_t now)
{
	if (inquiry->old)
		inquiry->engine->tables[inquiry->map->tables[inquiry->at]->query.statement.id]
			.stale++;
	inquiry->done(inquiry, now);
}

static struct cache_question question_of(struct inquiry *inquiry)
{
	const struct table *table = inquiry->map->tables[inquiry->at];

	return (struct cache_question){.space = inquiry->engine->spaces[table->query.statement.id],
		.form = inquiry->form,
		.rule = &inquiry->map->rules[inquiry->at],
		.waiter = &inquiry->waiter,
		.ret_text = &inquiry->text};
}

static void take_hit(struct inquiry *inquiry, const struct cache_question *question)
{
	inquiry->status = question->ret_status;
	inquiry->is_kept = true;
	inquiry->old = question->ret_old;
	inquiry->age = question->ret_age;
}

static void inquiry_end(struct inquiry *inquiry, const struct cache_answer *answer, uint64_t now)
{
	struct cache_question question = question_of(inquiry);

	/* Who is BROKEN is to be mended, and not to go unseen. */
	if (answer->status == TRY_LATER && question.rule->kept &&
		cache_fall_back(inquiry->engine->cache, &question, now)) {
		take_hit(inquiry, &question);
	} else {
		inquiry->status = answer->status;
		buf_clear(&inquiry->text);
		buf_add_slice(&inquiry->text, answer->text);
	}
	inquiry_finish(inquiry, now);
}

static void on_answer(struct cache_waiter *waiter, const struct cache_answer *answer, uint64_t now)
{
	struct inquiry *inquiry = (struct inquiry *)waiter;

	DL_DELETE(inquiry->engine->inquiries, inquiry);
	inquiry_end(inquiry, answer, now);
}

static enum cache_verdict ask_cache(
	struct inquiry *inquiry, struct cache_question *question, uint64_t now)
{
	if (question->rule->kept)
		return cache_ask(inquiry->engine->cache, question, now);
	cache_ask_alone(inquiry->engine->cache, question, now);
	return CACHE_LEAD;
}

void inquiry_begin(struct inquiry *inquiry, uint64_t now)
{
	struct engine *engine = inquiry->engine;
	const struct table *table = inquiry->map->tables[inquiry->at];
	struct table_counters *counters = &engine->tables[table->query.statement.id];
	struct cache_question question = question_of(inquiry);
	struct flight *flight = flight_prepare(engine, table, inquiry->form);

	inquiry->is_kept = inquiry->old = false;
	inquiry->waiter.inbox = engine->inbox;
	inquiry->waiter.answered = on_answer;
	question.form = buf_slice(&flight->form);
	question.flight = &flight->shared;
	DL_APPEND(engine->inquiries, inquiry);
	switch (ask_cache(inquiry, &question, now)) {
	case CACHE_HIT:
		DL_DELETE(engine->inquiries, inquiry);
		counters->hits++;
		if (question.ret_refresh)
			flight_send_later(flight);
		take_hit(inquiry, &question);
		inquiry_finish(inquiry, now);
		break;
	case CACHE_JOINED:
		counters->joined++;
		break;
	case CACHE_LEAD:
		counters->misses++;
		flight_take(flight);
		flight_send(flight, inquiry->deadline, now);
		break;
	}
}

bool inquiry_withdraw(struct inquiry *inquiry, uint64_t now)
{
	struct engine *engine = inquiry->engine;
	struct cache_flight *unwanted;

	if (!cache_withdraw(engine->cache, &inquiry->waiter, &unwanted))
		return false;
	DL_DELETE(engine->inquiries, inquiry);
	if (unwanted)
		flight_drop(flight_of(unwanted), now);
	return true;
}

/*
 * Who has joined a question that left before waits no longer than for one of his own. Now and then
 * is enough; who leads has his answer from the source itself.
 */
void inquiry_expire(struct engine *engine, uint64_t now)
{
	static const char why[] = "no answer within query_timeout";
	const struct cache_answer none = {TRY_LATER, {why, sizeof(why) - 1}};
	struct inquiry *inquiry, *next;

	if (!engine->inquiries || now < engine->look_at)
		return;
	engine->look_at = now + LOOK_MS;
	DL_FOREACH_SAFE (engine->inquiries, inquiry, next) {
		if (now < inquiry->deadline || !inquiry_withdraw(inquiry, now))
			continue;
		inquiry_end(inquiry, &none, now);
		next = engine->inquiries; /* his search may have withdrawn others */
	}
}

/* Of those that wait for other workers: their letters are here already, or they are withdrawn. */
void inquiry_abandon_all(struct engine *engine, uint64_t now)
{
	while (engine->behind) {
		struct flight *flight = engine->behind;
		struct cache_answer none = {TRY_LATER, slice_str("tabled is stopping")};

		engine->behind = flight->next;
		cache_land(engine->cache, &flight->shared, &none, now);
		flight_return(flight);
	}
	while (engine->inquiries) {
		struct inquiry *inquiry = engine->inquiries;

		if (!inquiry_withdraw(inquiry, now)) {
			inbox_open(engine->inbox, now);
			continue;
		}
		inquiry->status = TRY_LATER;
		buf_clear(&inquiry->text);
		buf_add_string(&inquiry->text, "tabled is stopping");
		inquiry->done(inquiry, now);
	}
}
