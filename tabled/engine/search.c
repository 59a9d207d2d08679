#include "engine/search.h"

#include "base/memory.h"
#include "base/utf8.h"

#include <stdlib.h>

/* Questions of one lookup that are out at a time. No usual key has more forms and tables. */
enum { STEPS_MAX = 32 };

/* One form of the key, asked of one table. */
struct step {
	struct ask ask; /* the first, so that the answer finds its step */
	struct search *search;
	const struct table *table;
	struct address_parts key;
	struct slice *params; /* owned */
	size_t param_room;
	struct buf params_text;
	struct rows rows;
	struct error why;
	bool wanted;   /* the table is asked for this form at all */
	bool answered; /* the question has its status */
};

struct search {
	struct engine *engine;
	const struct map *map;
	struct lookup_trace *trace;
	lookup_done *done;
	void *owner;
	uint64_t started; /* ms */
	struct plan plan;
	struct step *steps[STEPS_MAX]; /* owned; made when they are first needed */
	size_t first;                  /* the number of the step that steps[0] is now */
	size_t sent, judged;           /* steps, of all forms and tables */
	size_t outstanding;            /* questions without an answer */
	struct error why;
	struct buf text;
	bool running; /* inside search_run(): an answer must not start another one */
	bool over;    /* the client has its reply */
	struct search *next_spare;
};

static void step_free(struct step *step)
{
	if (!step)
		return;
	free(step->params);
	buf_finish(&step->params_text);
	rows_finish(&step->rows);
	free(step);
}

static void search_free(struct search *search)
{
	for (size_t i = 0; i < STEPS_MAX; i++)
		step_free(search->steps[i]);
	plan_finish(&search->plan);
	buf_wipe(&search->text);
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
	search->over = false;
	buf_clear(&search->text);
	engine->pending++;
	return search;
}

static size_t search_room(const struct search *search)
{
	size_t room = search->text.room + search->plan.text.room + search->plan.scratch.room +
		      search->plan.internal.room + search->plan.room * sizeof(*search->plan.forms);

	for (size_t i = 0; i < STEPS_MAX && search->steps[i]; i++)
		room += search->steps[i]->rows.text.room + search->steps[i]->rows.spans.room +
			search->steps[i]->params_text.room;
	return room;
}

/* A few are kept to be used again; what a burst or a big one took is given back. */
static void search_return(struct search *search)
{
	enum { KEEP_BYTES = 16 * 1024, KEEP_COUNT = 256 };
	struct engine *engine = search->engine;

	engine->pending--;
	if (engine->spare_count == KEEP_COUNT || search_room(search) > KEEP_BYTES) {
		search_free(search);
		return;
	}
	engine->spare_count++;
	search->next_spare = engine->spare;
	engine->spare = search;
}

/* Takes back what is asked but no longer needed. */
static void search_withdraw(struct search *search)
{
	for (size_t at = search->judged; at < search->sent; at++) {
		struct step *step = search->steps[at - search->first];
		struct source *source;

		if (!step->wanted || step->answered)
			continue;
		source = &search->engine->sources[step->table->source];
		search->outstanding -= source_withdraw(source, &step->ask);
	}
}

/* Answers the client. The search itself lives on until its last question has come back. */
static void search_reply(struct search *search, enum status status, struct slice text)
{
	struct reply reply = {status, text, search->map ? search->map->name : NULL};

	if (search->map)
		search->engine->counters[search->map->index].by_status[status]++;
	search->over = true;
	search_withdraw(search);
	search->done(search->owner, &reply);
}

static size_t step_count(const struct search *search)
{
	return search->plan.count * search->map->table_count;
}

static const struct key_form *step_form(const struct search *search, size_t at)
{
	return &search->plan.forms[at / search->map->table_count];
}

static void trace_step(const struct search *search, size_t at, const char *outcome)
{
	const struct step *step = search->steps[at - search->first];

	if (search->trace)
		search->trace->step(
			search->trace, step_form(search, at)->key, step->table->name, outcome);
}

/*
 * One line in the log until the table is answered again, since what fails for one key mostly fails
 * for all; none if the source itself is away and has said so.
 */
static void log_failure(struct search *search, const struct step *step, bool broken, uint64_t now)
{
	struct engine *engine = search->engine;
	const struct source *source = &engine->sources[step->table->source];
	bool *said = &engine->table_failing[step->table->query.statement.id];

	if (*said || source->state != SOURCE_UP)
		return;
	*said = true;
	if (log_limit_pass(&engine->limit, now, "failed lookups"))
		log_line(broken ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
			"map=%s table=%s source=%s: lookup failed: %s", search->map->name,
			step->table->name, source->config->name, step->why.text);
}

/* An error ends the lookup: what follows can't be known to be the right answer. */
static void search_fail(
	struct search *search, const struct step *step, enum status status, uint64_t now)
{
	log_failure(search, step, status == BROKEN, now);
	search_reply(search, status, slice_str(step->why.text));
}

/* Binds the key's parts to the table's statement. */
static void step_bind(struct step *step)
{
	const struct query *query = &step->table->query;
	size_t ends[STATEMENT_PARAMS_MAX];
	size_t count = query->statement.params, start = 0;

	if (step->param_room < count) {
		step->param_room = count;
		step->params = memory_resize(step->params, count * sizeof(*step->params));
	}
	buf_clear(&step->params_text);
	for (size_t i = 0; i < count; i++) {
		template_expand(&query->params[i], &step->key, &step->key, &step->params_text);
		ends[i] = step->params_text.size;
	}
	for (size_t i = 0; i < count; i++) {
		step->params[i] =
			slice_of(buf_slice(&step->params_text).data + start, ends[i] - start);
		start = ends[i];
	}
}

static void step_answered(struct ask *ask, uint64_t now);

static void step_ask(struct step *step, uint64_t now)
{
	struct search *search = step->search;
	struct source *source = &search->engine->sources[step->table->source];

	step_bind(step);
	rows_clear(&step->rows);
	step->why.text[0] = '\0';
	step->ask = (struct ask){
		.question = {.statement = &step->table->query.statement,
			.params = step->params,
			.rows = &step->rows,
			.why = &step->why},
		.deadline = search->started + (uint64_t)source->config->settings->query_timeout,
		.done = step_answered,
	};
	search->outstanding++;
	source_ask(source, &step->ask, now);
}

/* The next step: asks its question, unless the table does not want it. */
static void search_send(struct search *search, uint64_t now)
{
	size_t at = search->sent++, slot;
	struct step *step;

	if (search->judged == at)
		search->first = at; /* nothing is out: begin with the first slot again */
	slot = at - search->first;
	if (!search->steps[slot])
		search->steps[slot] = memory_new(1, sizeof(*step));
	step = search->steps[slot];
	step->search = search;
	step->table = search->map->tables[at % search->map->table_count];
	step->key = address_parts_of(step_form(search, at)->key);
	step->wanted = table_wants(step->table, &step->key);
	step->answered = !step->wanted;
	if (step->wanted)
		step_ask(step, now);
}

static void search_found(
	struct search *search, struct step *step, const struct key_form *form, uint64_t now)
{
	map_restore_extension(search->map, &search->plan, form, &search->text);
	if (search->text.size > LOOKUP_TEXT_MAX) {
		error_set(&step->why, "the result, with its extensions, is longer than %d bytes",
			LOOKUP_TEXT_MAX);
		search_fail(search, step, BROKEN, now);
		return;
	}
	search_reply(search, FOUND, buf_slice(&search->text));
}

/* Takes the answer to the oldest question. It may end the search. */
static void search_judge(struct search *search, uint64_t now)
{
	size_t at = search->judged++;
	struct step *step = search->steps[at - search->first];
	enum status status = step->ask.question.status;

	if (!step->wanted) {
		trace_step(
			search, at, "not asked: its query or domain list does not fit this form");
		return;
	}
	if (status == FOUND) {
		buf_clear(&search->text);
		status = table_format(
			step->table, &step->rows, &step->key, &search->text, &step->why);
	}
	if (status == FOUND || status == NOT_FOUND)
		search->engine->table_failing[step->table->query.statement.id] = false;
	trace_step(search, at,
		status == FOUND || status == NOT_FOUND ? status_text(status) : step->why.text);
	if (status == FOUND)
		search_found(search, step, step_form(search, at), now);
	else if (status != NOT_FOUND)
		search_fail(search, step, status, now);
}

/* May the next step be taken? A server is asked ahead, anything else only if need be. */
static bool may_send(const struct search *search)
{
	const struct table *table;

	if (search->sent == step_count(search) || search->over)
		return false;
	if (search->sent == search->judged)
		return true;
	table = search->map->tables[search->sent % search->map->table_count];
	return table->backend->is_server && search->sent - search->first < STEPS_MAX;
}

/* Goes on until the search is over or waits for an answer. */
static void search_run(struct search *search, uint64_t now)
{
	search->running = true;
	while (!search->over) {
		while (may_send(search))
			search_send(search, now);
		if (search->judged == search->sent)
			search_reply(search, NOT_FOUND, slice_str("not found"));
		else if (search->steps[search->judged - search->first]->answered)
			search_judge(search, now);
		else
			break;
	}
	search->running = false;
	if (search->over && !search->outstanding)
		search_return(search);
}

/* The source has answered: inside source_ask(), and so search_run(), which goes on, or later. */
static void step_answered(struct ask *ask, uint64_t now)
{
	struct step *step = (struct step *)ask;

	step->answered = true;
	step->search->outstanding--;
	if (!step->search->running)
		search_run(step->search, now);
}

/* An answer that needs no source. */
static void search_refuse(struct search *search, enum status status, struct slice text)
{
	search_reply(search, status, text);
	search_return(search);
}

static void refuse_unknown_map(struct search *search, struct slice name, uint64_t now)
{
	const struct catalog *catalog = search->engine->catalog;
	struct buf names = {0}, text = {0};

	for (size_t i = 0; i < catalog->map_count; i++)
		buf_add_format(&names, "%s%s", i ? ", " : "", catalog->maps[i].name);
	if (log_limit_pass(&search->engine->limit, now, "failed lookups"))
		log_warning("map=%.*s: there is no such map; these exist: %s", SLICE_ARGS(name),
			buf_string(&names));
	buf_add_format(
		&text, "there is no map \"%.*s\"; tabled's log says which exist", SLICE_ARGS(name));
	search_refuse(search, BROKEN, buf_slice(&text));
	buf_finish(&names);
	buf_finish(&text);
}

static void refuse_key(struct search *search, const char *why, uint64_t now)
{
	if (log_limit_pass(&search->engine->limit, now, "failed lookups"))
		log_warning("map=%s: a key was refused: %s", search->map->name, why);
	search_refuse(search, BROKEN, slice_str(why));
}

void search_begin(struct engine *engine, const struct request *request, uint64_t now,
	struct lookup_trace *trace, lookup_done *done, void *owner)
{
	struct search *search = search_take(engine);

	search->trace = trace;
	search->done = done;
	search->owner = owner;
	search->started = now;
	search->map = catalog_find(engine->catalog, request->map);
	if (!search->map)
		refuse_unknown_map(search, request->map, now);
	else if (slice_find(request->key, '\0') >= 0)
		refuse_key(search, "it holds a NUL byte", now);
	/* What is no UTF-8 can't be in any table: postfix: src/util/dict_utf8.c, dict_sqlite.c */
	else if (!utf8_is_valid(request->key))
		search_refuse(search, NOT_FOUND, slice_str("the key is not valid UTF-8"));
	else if (plan_make(&search->plan, &search->map->rule, request->key, &search->why) < 0)
		refuse_key(search, search->why.text, now);
	else
		search_run(search, now);
}
