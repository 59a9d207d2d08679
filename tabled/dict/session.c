#include "dict/session.h"

#include "base/clock.h"
#include "base/memory.h"
#include "dict/session_internal.h"
#include "engine/dictionary_lookup.h"

#include <stdlib.h>
#include <utlist.h>

/* Of a client that go on at a time, the oldest: each holds a page of rows. */
enum { ITERATIONS_MOST = 8 };

struct dict_session *dict_session_create(struct dict_client *client)
{
	struct dict_session *session = memory_new(1, sizeof(*session));

	session->client = client;
	return session;
}

void session_free_if_over(struct dict_session *session)
{
	if (session->client || session->pending)
		return;
	buf_finish(&session->user);
	free(session);
}

size_t dict_session_pending(const struct dict_session *session)
{
	return session->pending;
}

bool dict_session_commits(const struct dict_session *session)
{
	return session->commits;
}

/* --- Lookups */

static void on_looked_up(void *owner, const struct reply *reply)
{
	struct command *command = owner;
	const struct dict_session *session = command->session;
	struct buf *out;

	if (command_is_lost(command))
		return;
	command->times.ended = clock_wall_us();
	out = command_out(command);
	switch (reply->status) {
	case FOUND:
		dict_put_found(
			out, command->number, reply->text, session->has_values, &command->times);
		break;
	case NOT_FOUND:
		dict_put_not_found(out, command->number, &command->times);
		break;
	default:
		dict_put_failed(out, command->number, reply->text, &command->times);
	}
	command_over(command);
}

/* --- Iterations */

/* What waits for its turn waits with its rows, too. */
static bool may_iterate(const struct command *command)
{
	size_t before = 0;

	if (!command_has_turn(command))
		return false;
	for (const struct command *at = command->session->commands; at != command; at = at->next)
		before += at->iteration != NULL;
	return before < ITERATIONS_MOST;
}

/* The client's path was answered up to here: rows go out as long as there is room. */
static void iterate(struct command *command, uint64_t now)
{
	struct dict_session *session = command->session;
	struct slice key, values;
	struct reply failure;
	enum iteration_state state = ITERATION_ROW;

	command->is_stuck = false;
	while (state == ITERATION_ROW) {
		if (!may_iterate(command) || session->client->is_full(session->client)) {
			command->is_stuck = true;
			return;
		}
		state = iteration_next(command->iteration, now, &key, &values, &failure);
		if (state == ITERATION_ROW)
			dict_put_row(command_out(command), command->number, key, values);
	}
	if (state == ITERATION_WAIT)
		return;
	command->times.ended = clock_wall_us();
	if (state == ITERATION_DONE)
		dict_put_last_row(command_out(command), command->number, &command->times);
	else
		dict_put_failed(
			command_out(command), command->number, failure.text, &command->times);
	command_over(command);
}

static void on_rows(void *owner, uint64_t now)
{
	struct command *command = owner;
	struct dict_session *session = command->session;

	session->is_busy = true;
	iterate(command, now);
	session->is_busy = false;
	session_tell_client(session);
}

bool dict_session_waits(const struct dict_session *session)
{
	const struct command *command;

	DL_FOREACH (session->commands, command) {
		if (command->is_stuck && may_iterate(command))
			return true;
	}
	return false;
}

void dict_session_resume(struct dict_session *session, uint64_t now)
{
	struct command *command, *next;

	session->is_busy = true;
	DL_FOREACH_SAFE (session->commands, command, next) {
		if (command->is_stuck && may_iterate(command))
			iterate(command, now);
		/* When one is over, those behind it are let out, and are gone. */
		if (!session->is_numbered)
			break;
	}
	session->is_busy = false;
}

/* --- Commands */

struct slice call_user(const struct call *call)
{
	return call->command->user.data ? call->command->user : buf_slice(&call->session->user);
}

static int run_lookup(const struct call *call)
{
	dictionary_lookup(call->engine, call->dictionary, call->command->key, call_user(call),
		call->now, on_looked_up, command_begin(call->session));
	return 0;
}

static int run_iterate(const struct call *call)
{
	const struct dict_command *from = call->command;
	struct command *command = command_begin(call->session);
	struct iteration_config config = {.dictionary = call->dictionary,
		.path_count = from->path_count,
		.user = call_user(call),
		.recurse = from->flags & DICT_RECURSE,
		.exact = from->flags & DICT_EXACT_KEY,
		.with_values = !(from->flags & DICT_NO_VALUE),
		.by_value = from->flags & DICT_SORT_BY_VALUE,
		.max_rows = from->max_rows};

	_Static_assert((int)DICT_PATHS_MAX <= (int)ITERATION_PATHS_MAX, "all paths have a place");
	memcpy(config.paths, from->paths, sizeof(from->paths));
	command->iteration = iteration_begin(call->engine, &config, on_rows, command);
	iterate(command, call->now);
	return 0;
}

static bool may_name(const struct dict_session *session, const char *name)
{
	const struct text_list *allowed = session->client->dictionaries;

	return !allowed->count || text_list_has(allowed, name);
}

static void list_dictionaries(
	const struct dict_session *session, const struct catalog *catalog, struct buf *out)
{
	for (size_t i = 0; i < catalog->dictionary_count; i++)
		if (may_name(session, catalog->dictionaries[i].name))
			buf_add_format(
				out, "%s%s", out->size ? ", " : "", catalog->dictionaries[i].name);
}

static const struct dictionary *find_dictionary(
	const struct dict_session *session, const struct engine *engine, struct error *why)
{
	const struct catalog *catalog = engine_catalog(engine);
	const struct dictionary *found = catalog_find_dictionary(catalog, slice_str(session->name));
	struct buf names = {0};

	if (found && may_name(session, session->name))
		return found;
	list_dictionaries(session, catalog, &names);
	error_set(why, "there is no dictionary \"%s\" here; these are: %s", session->name,
		buf_string(&names));
	buf_finish(&names);
	return NULL;
}

static int take_hello(struct dict_session *session, const struct engine *engine,
	const struct dict_command *command, struct error *why)
{
	if (command->name.size > NAME_MOST)
		return error_set(why, "the name of the dictionary is too long");
	memcpy(session->name, command->name.data, command->name.size);
	buf_add_slice(&session->user, command->user);
	session->is_numbered = dict_is_numbered(command->major, command->minor);
	session->has_values = dict_has_values(command->major, command->minor);
	if (!find_dictionary(session, engine, why))
		return -1;
	session->major = command->major;
	return 0;
}

static int run(const struct call *call)
{
	switch (call->command->verb) {
	case DICT_LOOKUP:
		return run_lookup(call);
	case DICT_ITERATE:
		return run_iterate(call);
	case DICT_BEGIN:
		return transactions_begin(call);
	default:
		return transactions_go_on(call);
	}
}

int dict_session_line(struct dict_session *session, struct engine *engine, char *line, size_t size,
	uint64_t now, struct error *why)
{
	struct dict_command command;
	struct call call = {
		.session = session, .engine = engine, .command = &command, .now = now, .why = why};
	int result;

	if (dict_parse(line, size, session->major, &command, why) < 0)
		return -1;
	if (command.verb == DICT_HELLO)
		return take_hello(session, engine, &command, why);
	call.dictionary = find_dictionary(session, engine, why);
	if (!call.dictionary)
		return -1;
	session->is_busy = true;
	result = run(&call);
	session->is_busy = false;
	return result;
}

void dict_session_leave(struct dict_session *session)
{
	struct command *command, *next;

	if (!session)
		return;
	session->client = NULL;
	transactions_forget(session);
	/* Lookups and commits that are out come back. */
	DL_FOREACH_SAFE (session->commands, command, next) {
		if (command->is_over || command->iteration)
			command_free(command);
	}
	session_free_if_over(session);
}
