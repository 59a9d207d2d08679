#include "engine/inquiry.h"

#include "engine/engine_internal.h"
#include "engine/flight.h"

#include <utlist.h>

enum { LOOK_MS = 100 }; /* between looks for those who have waited too long */

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

static struct table_counters *counters_of(const struct inquiry *inquiry)
{
	const struct table *table = inquiry->map->tables[inquiry->at];

	return &inquiry->engine->tables[table->query.statement.id];
}

static void inquiry_finish(struct inquiry *inquiry, uint64_t now)
{
	if (inquiry->old)
		counters_of(inquiry)->stale++;
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
	inquiry->stale = question->ret_stale;
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

static void inquiry_hit(
	struct inquiry *inquiry, const struct cache_question *question, uint64_t now)
{
	counters_of(inquiry)->hits++;
	take_hit(inquiry, question);
	inquiry_finish(inquiry, now);
}

/* There is no fresh answer: whoever asks the cache now may have to lead, and brings a flight. */
static void inquiry_ask(struct inquiry *inquiry, struct cache_question *question, uint64_t now)
{
	struct engine *engine = inquiry->engine;
	struct flight *flight =
		flight_prepare(engine, inquiry->map->tables[inquiry->at], inquiry->form);

	inquiry->waiter.inbox = engine->inbox;
	inquiry->waiter.answered = on_answer;
	question->form = buf_slice(&flight->form);
	question->flight = &flight->shared;
	switch (ask_cache(inquiry, question, now)) {
	case CACHE_HIT:
		if (question->ret_refresh)
			flight_send_later(flight);
		inquiry_hit(inquiry, question, now);
		break;
	case CACHE_JOINED:
		DL_APPEND(engine->inquiries, inquiry);
		counters_of(inquiry)->joined++;
		break;
	case CACHE_LEAD:
		DL_APPEND(engine->inquiries, inquiry);
		counters_of(inquiry)->misses++;
		flight_take(flight);
		flight_send(flight, inquiry->deadline, now);
		break;
	}
}

void inquiry_begin(struct inquiry *inquiry, uint64_t now)
{
	struct cache_question question = question_of(inquiry);

	inquiry->is_kept = inquiry->old = inquiry->stale = false;
	if (question.rule->kept && cache_get(inquiry->engine->cache, &question, now))
		inquiry_hit(inquiry, &question, now);
	else
		inquiry_ask(inquiry, &question, now);
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
	const struct cache_answer none = {TRY_LATER, slice_str("no answer within query_timeout")};
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
	const struct cache_answer none = {TRY_LATER, slice_str("tabled is stopping")};

	while (engine->inquiries) {
		struct inquiry *inquiry = engine->inquiries;

		if (inquiry_withdraw(inquiry, now))
			inquiry_end(inquiry, &none, now);
		else
			inbox_open(engine->inbox, now);
	}
}
