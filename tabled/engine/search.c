#include "engine/search.h"

#include "base/memory.h"
#include "base/utf8.h"
#include "engine/address.h"
#include "engine/engine_internal.h"
#include "engine/inquiry.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Inquiries of one lookup that are out at a time. No usual key has more forms and tables. */
enum { STEPS_MAX = 32 };

/* One form of the key, asked of one table; or the key's domain, asked of those of map->rejecting.
 */
struct step {
	struct inquiry inquiry; /* the first, so that the answer finds its step */
	struct search *search;
	size_t form; /* its number in the plan; not of a domain */
	bool is_domain;
	bool wanted;   /* the table is asked for this form at all */
	bool answered; /* the inquiry has its status */
};

struct search {
	struct engine *engine;
	const struct map *map;
	struct lookup_trace *trace;
	lookup_done *done;
	void *owner;
	uint64_t started; /* ms */
	struct plan plan;
	struct buf domain; /* of the key, folded; empty if it is not to be asked, or not yet */
	struct step *steps[STEPS_MAX]; /* owned; made when they are first needed */
	size_t first;                  /* the number of the step that steps[0] is now */
	size_t sent, judged;           /* steps, of all forms and tables */
	size_t outstanding;            /* inquiries without an answer */
	bool stale; /* one that was judged is "not found" though nobody knows whether it still is */
	struct error why;
	bool running; /* inside search_run(): an answer must not start another one */
	bool over;    /* the client has its reply */
	struct search *next_spare;
};

static void step_free(struct step *step)
{
	if (!step)
		return;
	buf_wipe(&step->inquiry.text);
	free(step);
}

static void search_free(struct search *search)
{
	for (size_t i = 0; i < STEPS_MAX; i++)
		step_free(search->steps[i]);
	plan_finish(&search->plan);
	buf_finish(&search->domain);
	free(search);
}

void search_free_spare(struct engine *engine)
{
	while (engine->spare) {
		struct search *search = engine->spare;

		engine->spare = search->next_spare;
		search_free(search);
	}
}

static struct search *search_take(struct engine *engine)
{
	struct search *search = engine->spare;

	if (search) {
		engine->spare = search->next_spare;
		engine->spare_count--;
	} else {
		search = memory_new(1, sizeof(*search));
	}
	search->engine = engine;
	search->first = search->sent = search->judged = search->outstanding = 0;
	search->over = search->stale = false;
	buf_clear(&search->domain);
	engine->pending++;
	return search;
}

static size_t search_room(const struct search *search)
{
	size_t room = search->plan.key.room + search->plan.text.room + search->plan.scratch.room +
		      search->plan.internal.room + search->plan.room * sizeof(*search->plan.forms) +
		      search->domain.room;

	for (size_t i = 0; i < STEPS_MAX && search->steps[i]; i++)
		room += search->steps[i]->inquiry.text.room;
	return room;
}

/* A few are kept to be used again; what a burst or a big one took is given back. */
static void search_return(struct search *search)
{
	struct engine *engine = search->engine;

	engine->pending--;
	if (engine->spare_count == SPARE_MOST || search_room(search) > SPARE_BYTES) {
		search_free(search);
		return;
	}
	engine->spare_count++;
	search->next_spare = engine->spare;
	engine->spare = search;
}

/* Takes back what is asked but no longer needed. */
static void search_withdraw(struct search *search, uint64_t now)
{
	for (size_t at = search->judged; at < search->sent; at++) {
		struct step *step = search->steps[at - search->first];

		if (step->wanted && !step->answered)
			search->outstanding -= inquiry_withdraw(&step->inquiry, now);
	}
}

/*
 * Answers the client. The search itself lives on until its last question has come back. What is
 * "not found" needs no more forms; its domain may still be asked, and is to be kept for later.
 */
static void search_reply(struct search *search, enum status status, struct slice text, uint64_t now)
{
	struct reply reply = {status, text, search->map ? search->map->name : NULL};

	if (search->map)
		search->engine->counters[search->map->index].by_status[status]++;
	search->over = true;
	if (status != NOT_FOUND)
		search_withdraw(search, now);
	search->done(search->owner, &reply);
}

static void search_run(struct search *search, uint64_t now);

/* Of the key's forms. */
static size_t form_steps(const struct search *search)
{
	return search->plan.count * search->map->table_count;
}

/* Behind the forms, once all are there, comes the domain. It is folded even if the key is not. */
static void search_add_domain(struct search *search)
{
	struct slice key;
	ptrdiff_t at;

	if (!search->map->rejecting_count || !search->plan.is_whole || !search->plan.count)
		return;
	key = search->plan.forms[0].key;
	at = slice_find_last(key, '@');
	if (at >= 0)
		utf8_fold(slice_from(key, (size_t)at + 1), &search->domain);
}

/* All that is known by now. The domain is asked even if nobody doubts: so it is kept for later. */
static size_t step_count(const struct search *search)
{
	return form_steps(search) + (search->domain.size ? search->map->rejecting_count : 0);
}

/* Whose table the step with this number asks. */
static struct map_table step_target(const struct search *search, size_t at)
{
	size_t forms = form_steps(search);

	return at < forms ? (struct map_table){search->map, at % search->map->table_count}
			  : search->map->rejecting[at - forms];
}

static const struct key_form *step_form(const struct step *step)
{
	return &step->search->plan.forms[step->form];
}

static void trace_step(const struct search *search, const struct step *step)
{
	struct lookup_trace *trace = search->trace;
	const struct inquiry *inquiry = &step->inquiry;
	const char *status = status_text(inquiry->status);
	char text[sizeof(struct error)];

	if (!step->wanted)
		snprintf(text, sizeof(text),
			"not asked: its query or domain list does not fit this form");
	else if (inquiry->is_kept)
		snprintf(text, sizeof(text), "%s, kept for %" PRIu64 ".%" PRIu64 " s%s", status,
			inquiry->age / 1000, inquiry->age % 1000 / 100,
			inquiry->old ? ": old, but the best there is" : "");
	else if (inquiry->status == FOUND || inquiry->status == NOT_FOUND)
		snprintf(text, sizeof(text), "%s", status);
	else
		snprintf(text, sizeof(text), "%.*s", SLICE_ARGS(buf_slice(&inquiry->text)));
	trace->step(trace, inquiry->form, inquiry->map->tables[inquiry->at]->name, text);
}

static void step_answered(struct inquiry *inquiry, uint64_t now)
{
	struct step *step = (struct step *)inquiry;

	step->answered = true;
	step->search->outstanding--;
	if (!step->search->running)
		search_run(step->search, now);
}

static void step_ask(struct step *step, uint64_t now)
{
	struct search *search = step->search;
	const struct table *table = step->inquiry.map->tables[step->inquiry.at];
	const struct source_config *source = &search->engine->catalog->sources[table->source];

	step->inquiry.deadline = search->started + (uint64_t)source->settings->query_timeout;
	search->outstanding++;
	inquiry_begin(&step->inquiry, now);
}

/* The next step: asks its question, unless the table does not want it. */
static void search_send(struct search *search, uint64_t now)
{
	size_t at = search->sent++, slot;
	struct map_table target = step_target(search, at);
	struct step *step;

	if (search->judged == at)
		search->first = at; /* nothing is out: begin with the first slot again */
	slot = at - search->first;
	if (!search->steps[slot])
		search->steps[slot] = memory_new(1, sizeof(*step));
	step = search->steps[slot];
	step->search = search;
	step->inquiry.engine = search->engine;
	step->inquiry.map = target.map;
	step->inquiry.at = target.at;
	step->is_domain = at >= form_steps(search);
	step->form = step->is_domain ? 0 : at / search->map->table_count;
	step->inquiry.form = step->is_domain ? buf_slice(&search->domain) : step_form(step)->key;
	step->inquiry.done = step_answered;
	step->wanted = table_wants(target.map->tables[target.at], step->inquiry.form);
	step->answered = !step->wanted;
	if (step->wanted)
		step_ask(step, now);
}

static void search_found(
	struct search *search, struct step *step, const struct key_form *form, uint64_t now)
{
	struct buf *text = &step->inquiry.text;

	map_restore_extension(search->map, &search->plan, form, text);
	if (text->size <= LOOKUP_TEXT_MAX) {
		search_reply(search, FOUND, buf_slice(text), now);
		return;
	}
	error_set(&search->why, "the result, with its extensions, is longer than %d bytes",
		LOOKUP_TEXT_MAX);
	if (log_limit_pass(&search->engine->limit, now, "failed lookups"))
		log_error("map=%s: lookup failed: %s", search->map->name, search->why.text);
	search_reply(search, BROKEN, slice_str(search->why.text), now);
}

/* The key was not found. If that is not sure, it may not be said in these domains. */
static void search_judge_domain(struct search *search, const struct step *step, uint64_t now)
{
	const struct inquiry *inquiry = &step->inquiry;

	if (!search->stale || !step->wanted || inquiry->status == NOT_FOUND)
		return;
	if (inquiry->status == FOUND)
		search_reply(search, TRY_LATER,
			slice_str("it was not found before, and would be rejected"), now);
	else
		search_reply(search, inquiry->status, buf_slice(&inquiry->text), now);
}

/* Takes the oldest answer. It may end the search. */
static void search_judge(struct search *search, uint64_t now)
{
	size_t at = search->judged++;
	struct step *step = search->steps[at - search->first];
	enum status status = step->inquiry.status;

	if (search->trace)
		trace_step(search, step);
	if (step->is_domain) {
		search_judge_domain(search, step, now);
		return;
	}
	if (!step->wanted || status == NOT_FOUND) {
		search->stale |= step->wanted && step->inquiry.stale;
		return;
	}
	if (status == FOUND)
		search_found(search, step, step_form(step), now);
	else /* what follows can't be known to be the right answer */
		search_reply(search, status, buf_slice(&step->inquiry.text), now);
}

static void log_key(struct search *search, const char *why, uint64_t now)
{
	if (log_limit_pass(&search->engine->limit, now, "failed lookups"))
		log_warning("map=%s: a key was refused: %s", search->map->name, why);
}

/* The first form was not enough: makes the others. What is out keeps the form that it has. */
static void search_complete(struct search *search, uint64_t now)
{
	if (plan_complete(&search->plan, &search->map->rule, &search->why) < 0) {
		log_key(search, search->why.text, now);
		search_reply(search, BROKEN, slice_str(search->why.text), now);
		return;
	}
	for (size_t at = search->first; at < search->sent; at++) {
		struct step *step = search->steps[at - search->first];

		step->inquiry.form = step_form(step)->key;
	}
	search_add_domain(search);
}

/* May more be asked? A server is asked ahead, anything else only if need be. */
static bool may_ask(const struct search *search)
{
	struct map_table next = search->sent < step_count(search)
					? step_target(search, search->sent)
					: (struct map_table){search->map, 0};

	return search->sent == search->judged ||
	       (search->sent - search->first < STEPS_MAX &&
		       next.map->tables[next.at]->backend->is_server);
}

static bool has_answer(const struct search *search)
{
	return search->judged < search->sent &&
	       search->steps[search->judged - search->first]->answered;
}

/* No form was found. What is sure waits for no domain. */
static bool is_not_found(const struct search *search)
{
	size_t needed = search->stale ? step_count(search) : form_steps(search);

	return search->plan.is_whole && search->judged >= needed;
}

/* Goes on until the search is over or waits for an answer. What is there is judged first. */
static void search_run(struct search *search, uint64_t now)
{
	search->running = true;
	while (!search->over) {
		if (has_answer(search))
			search_judge(search, now);
		else if (search->sent < step_count(search) && may_ask(search))
			search_send(search, now);
		else if (!search->plan.is_whole && may_ask(search))
			search_complete(search, now);
		else if (is_not_found(search))
			search_reply(search, NOT_FOUND, slice_str("not found"), now);
		else
			break;
	}
	search->running = false;
	if (search->over && !search->outstanding)
		search_return(search);
}

/* An answer that needs no source. */
static void search_refuse(
	struct search *search, enum status status, struct slice text, uint64_t now)
{
	search_reply(search, status, text, now);
	search_return(search);
}

static void refuse_unknown_map(struct search *search, struct slice name, uint64_t now)
{
	struct buf names = {0}, text = {0};

	catalog_list_maps(search->engine->catalog, &names);
	if (log_limit_pass(&search->engine->limit, now, "failed lookups"))
		log_warning("map=%.*s: there is no such map; these exist: %s", SLICE_ARGS(name),
			buf_string(&names));
	buf_add_format(
		&text, "there is no map \"%.*s\"; tabled's log says which exist", SLICE_ARGS(name));
	search_refuse(search, BROKEN, buf_slice(&text), now);
	buf_finish(&names);
	buf_finish(&text);
}

static void refuse_key(struct search *search, const char *why, uint64_t now)
{
	log_key(search, why, now);
	search_refuse(search, BROKEN, slice_str(why), now);
}

/* Most clients ask one map over and over. */
static const struct map *find_map(struct engine *engine, struct slice name)
{
	if (!engine->last_map || !slice_equal(engine->last_name, name)) {
		engine->last_map = catalog_find(engine->catalog, name);
		engine->last_name = slice_str(engine->last_map ? engine->last_map->name : NULL);
	}
	return engine->last_map;
}

static struct search *search_make(struct engine *engine, uint64_t now, struct lookup_trace *trace,
	lookup_done *done, void *owner)
{
	struct search *search = search_take(engine);

	search->trace = trace;
	search->done = done;
	search->owner = owner;
	search->started = now;
	return search;
}

/* Its forms are made, or the first of them. */
static void search_start(struct search *search, uint64_t now)
{
	search_add_domain(search);
	search_run(search, now);
}

static void search_key(struct search *search, struct slice key, uint64_t now)
{
	bool is_plain = address_is_plain(key); /* and so is all right */

	if (!is_plain && slice_find(key, '\0') >= 0)
		refuse_key(search, "it holds a NUL byte", now);
	/* What is no UTF-8 can't be in any table: postfix: src/util/dict_utf8.c, dict_sqlite.c */
	else if (!is_plain && !utf8_is_valid(key))
		search_refuse(search, NOT_FOUND, slice_str("the key is not valid UTF-8"), now);
	else if (plan_begin(&search->plan, &search->map->rule, key, is_plain, &search->why) < 0)
		refuse_key(search, search->why.text, now);
	else
		search_start(search, now);
}

void search_begin(struct engine *engine, const struct request *request, uint64_t now,
	struct lookup_trace *trace, lookup_done *done, void *owner)
{
	struct search *search = search_make(engine, now, trace, done, owner);

	search->map = find_map(engine, request->map);
	if (!search->map)
		refuse_unknown_map(search, request->map, now);
	else
		search_key(search, request->key, now);
}

void search_begin_in(struct engine *engine, const struct map *map, struct slice key, uint64_t now,
	lookup_done *done, void *owner)
{
	struct search *search = search_make(engine, now, NULL, done, owner);

	search->map = map;
	search_key(search, key, now);
}
