#include "engine/dictionary_iteration.h"

#include "base/log.h"
#include "base/memory.h"
#include "engine/dictionary_internal.h"
#include "engine/engine_internal.h"
#include "engine/form.h"
#include "engine/shape.h"

#include <stdlib.h>

/* Sorted by value there is no place to go on from: all of it is one page. */
#define ALL_ROWS 1000000

struct dictionary_iteration {
	struct ask ask; /* the first, so that the answer finds its iteration */
	struct engine *engine;
	struct iteration_config config; /* its slices are in `texts` */
	struct buf texts;
	iteration_ready *ready;
	void *owner;
	uint64_t left;    /* rows that may still be given */
	size_t path, key; /* which path is asked of which key; keys from `key` on are to come */
	const struct dictionary_key *asked; /* NULL: the next one is to be found */
	struct dictionary_span span;
	struct statement_writer writer;
	struct rows rows;
	size_t row;                  /* the next of the page */
	uint64_t limit, asked_limit; /* rows of a page; of the one that was asked for */
	bool is_last;                /* page of the key */
	bool has_begun;              /* the key has had a page with rows */
	struct buf last;             /* the cells of its last row, as a form */
	struct buf row_key, row_values;
	bool has_met, is_over, is_left;
	bool is_out;        /* a page is asked for … */
	bool is_asking;     /* … just now: its answer may come at once */
	enum status status; /* of what is over: NOT_FOUND, or what went wrong */
	struct error why;
};

static struct slice keep(struct buf *texts, struct slice text)
{
	size_t at = texts->size;

	buf_add_slice(texts, text);
	return slice_of(texts->data + at, text.size);
}

static void take_config(
	struct dictionary_iteration *iteration, const struct iteration_config *config)
{
	struct iteration_config *own = &iteration->config;
	size_t size = config->user.size;

	*own = *config;
	for (size_t i = 0; i < config->path_count; i++)
		size += config->paths[i].size;
	buf_reserve(&iteration->texts, size + 1); /* so that none of them moves */
	for (size_t i = 0; i < config->path_count; i++)
		own->paths[i] = keep(&iteration->texts, config->paths[i]);
	own->user = keep(&iteration->texts, config->user);
}

static void stop(struct dictionary_iteration *iteration, enum status status)
{
	iteration->is_over = true;
	iteration->status = status;
}

static void fail(struct dictionary_iteration *iteration, const char *why)
{
	error_set(&iteration->why, "%s", why);
	stop(iteration, BROKEN);
}

static void check_paths(struct dictionary_iteration *iteration)
{
	const struct iteration_config *config = &iteration->config;
	struct error why;

	for (size_t i = 0; i < config->path_count && !iteration->is_over; i++)
		if (dictionary_check_path(config->paths[i], config->user, &why) < 0)
			fail(iteration, why.text);
}

struct dictionary_iteration *iteration_begin(struct engine *engine,
	const struct iteration_config *config, iteration_ready *ready, void *owner)
{
	struct dictionary_iteration *iteration = memory_new(1, sizeof(*iteration));

	iteration->engine = engine;
	iteration->ready = ready;
	iteration->owner = owner;
	iteration->left = config->max_rows ? config->max_rows : UINT64_MAX;
	iteration->limit = config->by_value ? ALL_ROWS : LIST_ROWS;
	take_config(iteration, config);
	check_paths(iteration);
	engine->pending++;
	return iteration;
}

static void iteration_free(struct dictionary_iteration *iteration)
{
	iteration->engine->pending--;
	statement_writer_finish(&iteration->writer);
	rows_finish(&iteration->rows);
	buf_finish(&iteration->texts);
	buf_finish(&iteration->last);
	buf_finish(&iteration->row_key);
	buf_wipe(&iteration->row_values);
	free(iteration);
}

static struct source *source_of(const struct dictionary_iteration *iteration)
{
	return &iteration->engine->sources[iteration->asked->source];
}

void iteration_end(struct dictionary_iteration *iteration)
{
	if (!iteration)
		return;
	iteration->is_left = true;
	if (!iteration->is_out || source_withdraw(source_of(iteration), &iteration->ask))
		iteration_free(iteration);
}

static bool can_be_listed(const struct dictionary_key *key)
{
	return key->table.name || key->settings->iterate;
}

/* The next key that has something below the path. Returns false if there is none. */
static bool find_key(struct dictionary_iteration *iteration, struct slice path)
{
	const struct iteration_config *config = &iteration->config;

	while (iteration->key < config->dictionary->key_count) {
		const struct dictionary_key *key = &config->dictionary->keys[iteration->key++];

		if (!can_be_listed(key) ||
			!dictionary_pattern_meets(&key->pattern, path, config->recurse,
				config->exact, &iteration->span))
			continue;
		iteration->asked = key;
		iteration->has_met = true;
		iteration->has_begun = false;
		return true;
	}
	return false;
}

/* Finds what is to be asked next. An exact key is only looked for once. */
static bool find_next(struct dictionary_iteration *iteration)
{
	const struct iteration_config *config = &iteration->config;

	for (; iteration->path < config->path_count; iteration->path++, iteration->key = 0) {
		if (config->exact && iteration->key)
			continue;
		if (find_key(iteration, config->paths[iteration->path]))
			return true;
	}
	return false;
}

/* --- Asking */

static bool is_bound(const struct dictionary_iteration *iteration)
{
	return iteration->asked->table.name;
}

/* The fields that the path does not tell: the first cells of each row. */
static size_t unknown_fields(const struct dictionary_iteration *iteration)
{
	return iteration->asked->pattern.variables - iteration->span.known;
}

/* A value that is none of its column's type is in no row. */
static bool may_have_rows(const struct dictionary_iteration *iteration)
{
	const struct dictionary_table *table = &iteration->asked->table;
	struct error ignored;

	if (!is_bound(iteration))
		return true;
	for (size_t i = 0; i < iteration->span.known; i++)
		if (dictionary_check_value(&table->fields[i], iteration->span.values[i], &ignored) <
			0)
			return false;
	return !iteration->span.begin.size ||
	       table->fields[table->field_count - 1].type == TYPE_STRING;
}

static void write_page(struct dictionary_iteration *iteration, const struct slice *after)
{
	const struct iteration_config *config = &iteration->config;
	const struct dictionary_key *key = iteration->asked;
	const struct dictionary_list list = {.table = &key->table,
		.span = &iteration->span,
		.user = config->user,
		.recurse = config->recurse || config->exact,
		.with_values = config->with_values,
		.by_value = config->by_value,
		.after = after,
		.limit = iteration->asked_limit};

	statement_writer_finish(&iteration->writer);
	statement_writer_init(&iteration->writer, source_of(iteration)->config->backend->dialect);
	if (is_bound(iteration))
		dictionary_sql_list(&list, &iteration->writer);
	else
		dictionary_sql_list_query(key->settings->iterate, &list, &iteration->writer);
}

static void page_answered(struct ask *ask, uint64_t now);

static void ask_page(struct dictionary_iteration *iteration, uint64_t now)
{
	struct slice after[DICTIONARY_VARIABLES_MAX];
	const struct source_config *source = source_of(iteration)->config;
	const struct statement *statement;

	iteration->asked_limit =
		iteration->limit < iteration->left ? iteration->limit : iteration->left;
	if (iteration->has_begun)
		form_split(buf_slice(&iteration->last), unknown_fields(iteration), after);
	write_page(iteration, iteration->has_begun ? after : NULL);
	statement = statement_writer_end(
		&iteration->writer, STATEMENT_ONCE, iteration->engine->catalog->table_count);
	rows_clear(&iteration->rows);
	iteration->row = 0;
	iteration->why.text[0] = '\0';
	iteration->ask = (struct ask){.question = {.statement = statement,
					      .params = iteration->writer.params,
					      .rows = &iteration->rows,
					      .why = &iteration->why},
		.deadline = now + (uint64_t)source->settings->query_timeout,
		.done = page_answered};
	iteration->is_out = iteration->is_asking = true;
	source_ask(source_of(iteration), &iteration->ask, now);
	iteration->is_asking = false;
}

/* By the cells of the last row the next page goes on. */
static void note_last(struct dictionary_iteration *iteration)
{
	struct slice cells[DICTIONARY_VARIABLES_MAX];
	size_t count = unknown_fields(iteration);

	for (size_t i = 0; i < count; i++)
		cells[i] = rows_cell(&iteration->rows, iteration->rows.count - 1, i);
	iteration->has_begun = true;
	buf_clear(&iteration->last);
	form_join(cells, count, &iteration->last);
}

/* Big values may be too many for one page: is a smaller one worth a try? */
static bool try_smaller(struct dictionary_iteration *iteration, enum status status)
{
	if (status != BROKEN || !iteration->config.with_values || iteration->config.by_value ||
		iteration->limit == 1)
		return false;
	iteration->limit = iteration->limit > 8 ? iteration->limit / 8 : 1;
	return true;
}

static void take_page(struct dictionary_iteration *iteration)
{
	enum status status = iteration->ask.question.status;
	uint64_t count = iteration->rows.count;

	if (status != FOUND && status != NOT_FOUND) {
		if (!try_smaller(iteration, status))
			stop(iteration, status);
		return;
	}
	iteration->is_last = count < iteration->asked_limit || iteration->config.by_value ||
			     !unknown_fields(iteration);
	if (count)
		note_last(iteration);
}

static void page_answered(struct ask *ask, uint64_t now)
{
	struct dictionary_iteration *iteration = (struct dictionary_iteration *)ask;

	iteration->is_out = false;
	if (iteration->is_left) {
		iteration_free(iteration);
		return;
	}
	take_page(iteration);
	if (!iteration->is_asking)
		iteration->ready(iteration->owner, now);
}

/* --- Rows */

/* A value of a variable that is not the last can't hold a '/': by such a key nobody would find it.
 */
static bool is_key(
	const struct dictionary_iteration *iteration, const struct slice *cells, size_t count)
{
	const struct dictionary_pattern *pattern = &iteration->asked->pattern;

	for (size_t i = 0; i < count; i++) {
		bool is_rest = pattern->takes_the_rest && i + 1 == count;

		if (!cells[i].size || (!is_rest && slice_find(cells[i], '/') >= 0))
			return false;
	}
	/* A database may take other letters for the same; who asks for keys below a path does not.
	 */
	return !count || slice_starts_with(cells[count - 1], iteration->span.begin);
}

/* Makes the row at hand. Returns false if it is none that a client can be told. */
static bool make_row(struct dictionary_iteration *iteration)
{
	size_t count = unknown_fields(iteration), at = iteration->row++;
	struct slice cells[DICTIONARY_VARIABLES_MAX];

	for (size_t i = 0; i < count; i++)
		cells[i] = rows_cell(&iteration->rows, at, i);
	if (!is_key(iteration, cells, count))
		return false;
	buf_clear(&iteration->row_key);
	buf_clear(&iteration->row_values);
	if (iteration->span.is_whole)
		buf_add_slice(&iteration->row_key, iteration->span.prefix);
	else
		dictionary_pattern_complete(
			&iteration->asked->pattern, &iteration->span, cells, &iteration->row_key);
	if (iteration->config.with_values && is_bound(iteration))
		shape_cells(&iteration->rows, at, count, iteration->rows.columns,
			&iteration->row_values);
	return true;
}

/* Goes on to the next key, or stops. */
static void advance(struct dictionary_iteration *iteration, uint64_t now)
{
	if (!iteration->left || (!iteration->asked && !find_next(iteration))) {
		if (iteration->left && !iteration->has_met)
			fail(iteration, "there are no keys by this path");
		else
			stop(iteration, NOT_FOUND);
		return;
	}
	if (iteration->asked->pattern.is_private && !iteration->config.user.size)
		fail(iteration, "the keys are a user's, and no user is given");
	else if (may_have_rows(iteration))
		ask_page(iteration, now);
	else
		iteration->asked = NULL;
}

/* The client gets an error; the log gets a word to whoever has to mend it. */
static enum iteration_state say_failed(
	struct dictionary_iteration *iteration, uint64_t now, struct reply *ret_failure)
{
	const char *name = iteration->config.dictionary->name, *why = iteration->why.text;

	*ret_failure =
		(struct reply){.status = iteration->status, .text = slice_str(why), .map = name};
	if (log_limit_pass(&iteration->engine->limit, now, "failed iterations"))
		log_warning("dictionary=%s: an iteration has failed: %s", name, why);
	return ITERATION_FAILED;
}

enum iteration_state iteration_next(struct dictionary_iteration *iteration, uint64_t now,
	struct slice *ret_key, struct slice *ret_values, struct reply *ret_failure)
{
	while (!iteration->is_over && !iteration->is_out) {
		if (iteration->row < iteration->rows.count) {
			if (!make_row(iteration))
				continue;
			iteration->left--;
			*ret_key = buf_slice(&iteration->row_key);
			*ret_values = buf_slice(&iteration->row_values);
			return ITERATION_ROW;
		}
		if (iteration->is_last) {
			iteration->asked = NULL;
			iteration->is_last = false;
		}
		rows_clear(&iteration->rows);
		iteration->row = 0;
		advance(iteration, now);
	}
	if (!iteration->is_over)
		return ITERATION_WAIT;
	if (iteration->status == NOT_FOUND)
		return ITERATION_DONE;
	return say_failed(iteration, now, ret_failure);
}
