#include "dict/session.h"

#include "base/clock.h"
#include "base/memory.h"
#include "engine/dictionary_commit.h"
#include "engine/dictionary_iteration.h"
#include "engine/dictionary_lookup.h"
#include "proto/dict.h"

#include <assert.h>
#include <stdlib.h>
#include <uthash.h>
#include <utlist.h>

enum {
	TRANSACTIONS_MOST = 1000, /* open at a time … */
	OPEN_MB_MOST = 16,        /* … and what they hold together */
	NAME_MOST = 255,
};

/* A command that the client waits for. */
struct command {
	struct dict_session *session;
	uint32_t number; /* 0: he knows none */
	struct dict_times times;
	struct buf held; /* its reply, or the beginning of it, until those before are out */
	bool is_over;
	uint32_t transaction; /* of a commit … */
	bool asynchronous;    /* … by DICT_COMMIT_ASYNC */
	struct dictionary_iteration *iteration;
	bool with_values;
	bool is_stuck; /* an iteration that has rows, but no room for them */
	struct command *prev, *next;
};

/* What was begun, and neither committed nor rolled back. */
struct open_transaction {
	uint32_t id;
	struct dictionary_changes *changes;
	UT_hash_handle hh;
};

struct dict_session {
	struct dict_client *client; /* NULL: he has gone */
	unsigned major, minor;      /* 0: he has not said hello */
	bool is_numbered, has_values;
	char name[NAME_MOST +
		  1];    /* of the dictionary; looked for anew each time, since it may change */
	struct buf user; /* of the hello */
	uint32_t last_number;
	struct command *commands; /* list, oldest first */
	size_t pending, commits;
	struct open_transaction *transactions; /* hash by id */
	size_t open_bytes;                     /* that they hold */
	bool is_busy; /* inside a call of the client's: he looks at `out` himself afterwards */
};

struct dict_session *dict_session_create(struct dict_client *client)
{
	struct dict_session *session = memory_new(1, sizeof(*session));

	session->client = client;
	return session;
}

static void free_if_over(struct dict_session *session)
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

/* --- Replies */

static void command_free(struct command *command)
{
	struct dict_session *session = command->session;

	DL_DELETE(session->commands, command);
	session->pending--;
	iteration_end(command->iteration);
	buf_wipe(&command->held);
	free(command);
}

static struct command *command_begin(struct dict_session *session)
{
	struct command *command = memory_new(1, sizeof(*command));

	command->session = session;
	command->times.began = clock_wall_us();
	if (session->is_numbered) {
		/* 0 is none. */
		command->number =
			++session->last_number ? session->last_number : ++session->last_number;
		dict_put_number(session->client->out, command->number);
	}
	DL_APPEND(session->commands, command);
	session->pending++;
	return command;
}

/* May its reply go out, or are there others before it? */
static bool has_its_turn(const struct command *command)
{
	return command->number || command == command->session->commands;
}

/* Where its reply is to be added. */
static struct buf *out_of(struct command *command)
{
	return has_its_turn(command) ? command->session->client->out : &command->held;
}

static void tell_client(struct dict_session *session)
{
	if (!session->is_busy)
		session->client->has_replies(session->client);
}

/* Lets out the replies that have waited for the one before. */
static void let_out(struct dict_session *session)
{
	struct command *first;

	while ((first = session->commands) && has_its_turn(first) && !first->number) {
		buf_add_slice(session->client->out, buf_slice(&first->held));
		buf_wipe(&first->held);
		if (!first->is_over)
			break;
		command_free(first);
	}
}

/* Its reply is complete. */
static void command_over(struct command *command)
{
	struct dict_session *session = command->session;

	command->is_over = true;
	if (has_its_turn(command))
		command_free(command);
	let_out(session);
	tell_client(session);
}

/* If nobody waits for the answer any more, that is the end of it. */
static bool is_lost(struct command *command)
{
	struct dict_session *session = command->session;

	if (session->client)
		return false;
	command_free(command);
	free_if_over(session);
	return true;
}

/* --- Lookups */

static void on_looked_up(void *owner, const struct reply *reply)
{
	struct command *command = owner;
	const struct dict_session *session = command->session;
	struct buf *out;

	if (is_lost(command))
		return;
	command->times.ended = clock_wall_us();
	out = out_of(command);
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

/* The client's path was answered up to here: rows go out as long as there is room. */
static void iterate(struct command *command, uint64_t now)
{
	struct dict_session *session = command->session;
	struct slice key, values;
	struct reply failure;
	enum iteration_state state = ITERATION_ROW;

	command->is_stuck = false;
	while (state == ITERATION_ROW) {
		/* What waits for its turn waits with its rows, too. */
		if (!has_its_turn(command) || session->client->is_full(session->client)) {
			command->is_stuck = true;
			return;
		}
		state = iteration_next(command->iteration, now, &key, &values, &failure);
		if (state == ITERATION_ROW)
			dict_put_row(session->client->out, command->number, key, values);
	}
	if (state == ITERATION_WAIT)
		return;
	command->times.ended = clock_wall_us();
	if (state == ITERATION_DONE)
		dict_put_last_row(session->client->out, command->number, &command->times);
	else
		dict_put_failed(
			session->client->out, command->number, failure.text, &command->times);
	command_over(command);
}

static void on_rows(void *owner, uint64_t now)
{
	struct command *command = owner;
	struct dict_session *session = command->session;

	session->is_busy = true;
	iterate(command, now);
	session->is_busy = false;
	tell_client(session);
}

bool dict_session_waits(const struct dict_session *session)
{
	const struct command *command;

	DL_FOREACH (session->commands, command) {
		if (command->is_stuck && has_its_turn(command))
			return true;
	}
	return false;
}

void dict_session_resume(struct dict_session *session, uint64_t now)
{
	struct command *command, *next;

	session->is_busy = true;
	DL_FOREACH_SAFE (session->commands, command, next) {
		if (command->is_stuck && has_its_turn(command))
			iterate(command, now);
		/* When one is over, those behind it are let out, and are gone. */
		if (!session->is_numbered)
			break;
	}
	session->is_busy = false;
}

/* --- Transactions */

static struct open_transaction *find_transaction(const struct dict_session *session, uint32_t id)
{
	struct open_transaction *found;

	HASH_FIND(hh, session->transactions, &id, sizeof(id), found);
	return found;
}

/* Takes the transaction out of those that are open. The changes are given to the caller. */
static struct dictionary_changes *take_changes(
	struct dict_session *session, struct open_transaction *transaction)
{
	struct dictionary_changes *changes = transaction->changes;

	session->open_bytes -= changes_size(changes);
	HASH_DEL(session->transactions, transaction);
	free(transaction);
	return changes;
}

static void on_committed(void *owner, const struct reply *reply)
{
	static const enum dict_commit commits[STATUS_COUNT] = {[FOUND] = DICT_COMMITTED,
		[NOT_FOUND] = DICT_ROW_MISSING,
		[TRY_LATER] = DICT_COMMIT_FAILED,
		[BROKEN] = DICT_COMMIT_FAILED,
		[UNSURE] = DICT_COMMIT_UNSURE};
	struct command *command = owner;

	command->session->commits--;
	if (is_lost(command))
		return;
	command->times.ended = clock_wall_us();
	dict_put_commit(out_of(command), command->number, commits[reply->status],
		command->asynchronous, command->transaction, reply->text, &command->times);
	command_over(command);
}

/* --- Commands */

/* What a command is carried out with. */
struct call {
	struct dict_session *session;
	struct engine *engine;
	const struct dictionary *dictionary;
	const struct dict_command *command;
	uint64_t now;
	struct error *why;
};

/* The user of a command; of one that names none, that of the hello. */
static struct slice user_of(const struct call *call)
{
	return call->command->user.data ? call->command->user : buf_slice(&call->session->user);
}

static int run_lookup(const struct call *call)
{
	dictionary_lookup(call->engine, call->dictionary, call->command->key, user_of(call),
		call->now, on_looked_up, command_begin(call->session));
	return 0;
}

static int run_iterate(const struct call *call)
{
	const struct dict_command *from = call->command;
	struct command *command = command_begin(call->session);
	struct iteration_config config = {.dictionary = call->dictionary,
		.path_count = from->path_count,
		.user = user_of(call),
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

static int run_begin(const struct call *call)
{
	struct dict_session *session = call->session;
	struct open_transaction *transaction;
	uint32_t id = call->command->transaction;

	if (find_transaction(session, id))
		return error_set(call->why, "transaction %u is begun twice", id);
	if (HASH_COUNT(session->transactions) == TRANSACTIONS_MOST)
		return error_set(
			call->why, "more than %d transactions are open", TRANSACTIONS_MOST);
	transaction = memory_new(1, sizeof(*transaction));
	transaction->id = id;
	transaction->changes = changes_create(user_of(call), call->command->expire);
	HASH_ADD(hh, session->transactions, id, sizeof(transaction->id), transaction);
	return 0;
}

static int commit(const struct call *call, struct open_transaction *transaction, bool asynchronous)
{
	struct command *command = command_begin(call->session);

	command->transaction = transaction->id;
	command->asynchronous = asynchronous;
	call->session->commits++;
	dictionary_commit(call->engine, call->dictionary, take_changes(call->session, transaction),
		call->now, on_committed, command);
	return 0;
}

static void add_increment(struct dictionary_changes *changes, const struct dict_command *command)
{
	struct buf number = {0};

	buf_add_format(&number, "%lld", (long long)command->difference);
	changes_add(changes, CHANGE_INCREMENT, command->key, buf_slice(&number));
	buf_finish(&number);
}

/* Adds a change, or refuses all of them. */
static int change(const struct call *call, struct dictionary_changes *changes)
{
	struct dict_session *session = call->session;
	const struct dict_command *command = call->command;

	session->open_bytes -= changes_size(changes);
	switch (command->verb) {
	case DICT_SET:
		changes_add(changes, CHANGE_SET, command->key, command->value);
		break;
	case DICT_UNSET:
		changes_add(changes, CHANGE_UNSET, command->key, slice_of("", 0));
		break;
	case DICT_INCREMENT:
		add_increment(changes, command);
		break;
	default:
		changes_refuse(changes, "values can't be appended to");
	}
	session->open_bytes += changes_size(changes);
	if (session->open_bytes <= (size_t)OPEN_MB_MOST << 20)
		return 0;
	return error_set(
		call->why, "the transactions that are open hold more than %d MB", OPEN_MB_MOST);
}

/* All that belongs to a transaction that is open. */
static int run_in_transaction(const struct call *call)
{
	const struct dict_command *command = call->command;
	struct open_transaction *transaction =
		find_transaction(call->session, command->transaction);

	if (!transaction)
		return error_set(call->why, "there is no transaction %u", command->transaction);
	switch (command->verb) {
	case DICT_SET:
	case DICT_UNSET:
	case DICT_INCREMENT:
	case DICT_APPEND:
		return change(call, transaction->changes);
	case DICT_COMMIT:
	case DICT_COMMIT_ASYNC:
		return commit(call, transaction, command->verb == DICT_COMMIT_ASYNC);
	case DICT_ROLLBACK:
		changes_destroy(take_changes(call->session, transaction));
		return 0;
	default: /* when it happened, and that values are not to be logged: they never are */
		return 0;
	}
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
	if (command->name.size > NAME_MOST || slice_find(command->name, '\0') >= 0)
		return error_set(why, "the name of the dictionary is too long");
	memcpy(session->name, command->name.data, command->name.size);
	buf_add_slice(&session->user, command->user);
	session->minor = command->minor;
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
		return run_begin(call);
	default:
		return run_in_transaction(call);
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
	struct open_transaction *transaction, *next_transaction;
	struct command *command, *next;

	if (!session)
		return;
	session->client = NULL;
	HASH_ITER (hh, session->transactions, transaction, next_transaction) {
		changes_destroy(take_changes(session, transaction));
	}
	/* Lookups and commits that are out come back. */
	DL_FOREACH_SAFE (session->commands, command, next) {
		if (command->is_over || command->iteration)
			command_free(command);
	}
	free_if_over(session);
}
