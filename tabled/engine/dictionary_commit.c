#include "engine/dictionary_commit.h"

#include "base/memory.h"
#include "engine/dictionary_internal.h"
#include "engine/dictionary_purge.h"
#include "engine/engine_internal.h"
#include "engine/writer.h"

#include <stdlib.h>

enum {
	STATEMENT_ID = 3, /* behind those of transaction.c */
	/* Columns of one row that one statement changes. */
	COLUMNS_MOST = 16,
};

/* A row that several changes of one kind meet. */
struct group {
	enum change_kind kind;
	struct dictionary_row row;
	struct dictionary_change changes[COLUMNS_MOST];
	size_t count;
};

/* Changes on their way to the database. */
struct commit {
	struct ask ask; /* the first, so that the answer finds its commit */
	struct transaction transaction;
	struct engine *engine;
	const struct dictionary *dictionary;
	struct dictionary_changes *changes;
	size_t source;
	struct statement_writer *writers; /* owned; one for each statement */
	bool *must_meet;                  /* owned; likewise */
	struct question *questions;       /* owned; likewise */
	struct rows *rows;                /* owned; likewise, and one for all */
	struct error *whys;               /* owned; likewise */
	size_t count;
	lookup_done *done;
	void *owner;
};

/* --- From changes to statements */

static bool is_number(enum dictionary_type type)
{
	/* What has no type of its own is whatever the database says. */
	return type != TYPE_UUID && type != TYPE_HEXBLOB;
}

/* Finds the row that a change is of. Returns -1 with `why`. */
static int place_change(struct commit *commit, struct change *change, struct error *why)
{
	struct dictionary_changes *changes = commit->changes;
	struct slice path = change_path(changes, change);
	const struct dictionary_column *column;

	if (dictionary_find(commit->dictionary, path, changes->user, &change->place, why) < 0)
		return -1;
	if (!change->place.key->table.name)
		return error_set(why, "the key is answered by a map, and can't be written to");
	column = &change->place.key->table.values[0];
	if (change->kind == CHANGE_SET)
		return dictionary_check_value(column, change_value(changes, change), why);
	if (change->kind == CHANGE_INCREMENT && !is_number(column->type))
		return error_set(why, "%s is no number that could be incremented", column->name);
	return 0;
}

static int place_all(struct commit *commit, struct error *why)
{
	struct dictionary_changes *changes = commit->changes;

	for (size_t i = 0; i < changes->count; i++) {
		if (place_change(commit, &changes->items[i], why) < 0)
			return -1;
		if (changes->items[i].place.key->source != changes->items[0].place.key->source)
			return error_set(why, "a transaction can't change several sources at once");
	}
	commit->source = changes->items[0].place.key->source;
	return 0;
}

static bool is_same_name(const char *one, const char *other)
{
	return one && other ? strcmp(one, other) == 0 : one == other;
}

static bool is_same_row(const struct dictionary_row *row, const struct dictionary_place *place)
{
	const struct dictionary_table *one = row->table, *other = &place->key->table;

	if (strcmp(one->name, other->name) != 0 || one->is_private != other->is_private ||
		!is_same_name(one->username_field, other->username_field) ||
		!is_same_name(one->expire_field, other->expire_field) ||
		one->field_count != other->field_count)
		return false;
	for (size_t i = 0; i < one->field_count; i++)
		if (strcmp(one->fields[i].name, other->fields[i].name) != 0 ||
			one->fields[i].type != other->fields[i].type ||
			!slice_equal(row->values[i], place->values[i]))
			return false;
	return true;
}

/* May the change be a part of the group's statement? A column has one place in it. */
static bool fits(const struct group *group, const struct change *change)
{
	if (group->kind != change->kind || change->kind == CHANGE_UNSET ||
		group->count == COLUMNS_MOST || !is_same_row(&group->row, &change->place))
		return false;
	for (size_t i = 0; i < group->count; i++)
		if (strcmp(group->changes[i].table->values[0].name,
			    change->place.key->table.values[0].name) == 0)
			return false;
	return true;
}

static void group_add(
	struct group *group, const struct dictionary_changes *changes, const struct change *change)
{
	if (!group->count) {
		group->kind = change->kind;
		group->row = (struct dictionary_row){
			.table = &change->place.key->table, .user = change->place.user};
		memcpy(group->row.values, change->place.values, sizeof(group->row.values));
	}
	group->changes[group->count++] = (struct dictionary_change){
		&change->place.key->table, change_value(changes, change)};
}

static void write_group(struct commit *commit, const struct group *group)
{
	struct statement_writer *writer = &commit->writers[commit->count];

	statement_writer_init(
		writer, commit->engine->catalog->sources[commit->source].backend->dialect);
	switch (group->kind) {
	case CHANGE_SET:
		dictionary_sql_set(
			&group->row, group->changes, group->count, commit->changes->expire, writer);
		break;
	case CHANGE_UNSET:
		dictionary_sql_unset(&group->row, writer);
		break;
	case CHANGE_INCREMENT:
		dictionary_sql_increment(&group->row, group->changes, group->count, writer);
		break;
	}
	commit->must_meet[commit->count] = group->kind == CHANGE_INCREMENT;
	commit->questions[commit->count] = (struct question){
		.statement = statement_writer_end(writer, STATEMENT_ONCE, STATEMENT_ID),
		.params = writer->params,
		.rows = &commit->rows[commit->count],
		.why = &commit->whys[commit->count]};
	commit->count++;
}

static void write_all(struct commit *commit)
{
	const struct dictionary_changes *changes = commit->changes;
	struct group group = {.count = 0};

	commit->writers = memory_new(changes->count, sizeof(*commit->writers));
	commit->must_meet = memory_new(changes->count, sizeof(*commit->must_meet));
	commit->questions = memory_new(changes->count, sizeof(*commit->questions));
	commit->rows = memory_new(changes->count + 1, sizeof(*commit->rows));
	commit->whys = memory_new(changes->count + 1, sizeof(*commit->whys));
	for (size_t i = 0; i < changes->count; i++) {
		if (group.count && !fits(&group, &changes->items[i])) {
			write_group(commit, &group);
			group.count = 0;
		}
		group_add(&group, changes, &changes->items[i]);
	}
	write_group(commit, &group);
}

/* --- The end */

static void commit_free(struct commit *commit)
{
	for (size_t i = 0; i < commit->count; i++)
		statement_writer_finish(&commit->writers[i]);
	for (size_t i = 0; commit->rows && i <= commit->changes->count; i++)
		rows_finish(&commit->rows[i]);
	changes_destroy(commit->changes);
	free(commit->writers);
	free(commit->must_meet);
	free(commit->questions);
	free(commit->rows);
	free(commit->whys);
	commit->engine->pending--;
	free(commit);
}

static void reply(struct commit *commit, enum status status, const char *why)
{
	struct reply answer = {status, slice_str(why), commit->dictionary->name};

	commit->done(commit->owner, &answer);
	commit_free(commit);
}

/* Whoever wrote gets an error; the log gets a word to whoever has to mend it. */
static void reply_failed(struct commit *commit, enum status status, const char *why, uint64_t now)
{
	if (log_limit_pass(&commit->engine->limit, now, "failed transactions"))
		log_warning("dictionary=%s: a transaction %s: %s", commit->dictionary->name,
			status == UNSURE ? "may have been committed or not" : "has failed", why);
	reply(commit, status, why);
}

/*
 * Of other configurations it is not known what their answers depend on: of one that comes into use
 * just now, and of one of before, whose answers would be good again after a further reload.
 */
static void purge(const struct commit *commit)
{
	const struct engine *engine = commit->engine;
	const char *source = engine->catalog->sources[commit->source].name;

	cache_purge_others(engine->cache, cache_origin(engine->cache, source), engine->spaces,
		engine->catalog->table_count);
	for (size_t i = 0; i < commit->changes->count; i++)
		dictionary_purge(commit->engine, &commit->changes->items[i].place);
}

static void commit_answered(struct ask *ask, uint64_t now)
{
	struct commit *commit = (struct commit *)ask;
	enum status status = ask->question.status;

	switch (status) {
	case FOUND:
		purge(commit);
		reply(commit, FOUND, "");
		break;
	case NOT_FOUND:
		reply(commit, NOT_FOUND, "");
		break;
	case UNSURE:
		purge(commit);
		/* fall through */
	case TRY_LATER:
	case BROKEN:
		reply_failed(commit, status, ask->question.why->text, now);
		break;
	}
}

static void commit_send(struct commit *commit, struct writer *writer, uint64_t now)
{
	size_t at = commit->changes->count; /* the place for what belongs to no statement */
	const struct source_config *config = &commit->engine->catalog->sources[commit->source];

	commit->transaction = (struct transaction){.questions = commit->questions,
		.count = commit->count,
		.must_meet = commit->must_meet};
	commit->ask = (struct ask){.question = {.statement = &transaction_statement,
					   .rows = &commit->rows[at],
					   .why = &commit->whys[at]},
		.deadline = now + (uint64_t)config->settings->query_timeout,
		.done = commit_answered,
		.transaction = &commit->transaction};
	source_ask(&writer->source, &commit->ask, now);
}

void dictionary_commit(struct engine *engine, const struct dictionary *dictionary,
	struct dictionary_changes *changes, uint64_t now, lookup_done *done, void *owner)
{
	struct commit *commit = memory_new(1, sizeof(*commit));
	struct writer *writer;
	struct error why;

	*commit = (struct commit){.engine = engine,
		.dictionary = dictionary,
		.changes = changes,
		.done = done,
		.owner = owner};
	engine->pending++;
	if (changes->is_refused) {
		reply_failed(commit, BROKEN, changes->refusal.text, now);
	} else if (!changes->count) {
		reply(commit, FOUND, "");
	} else if (place_all(commit, &why) < 0 ||
		   !(writer = engine_writer(engine, commit->source, &why))) {
		reply_failed(commit, BROKEN, why.text, now);
	} else {
		write_all(commit);
		commit_send(commit, writer, now);
	}
}
