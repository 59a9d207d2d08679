/* What a client has begun: gathered until he commits it, and told how that has ended. */
#include "base/clock.h"
#include "base/memory.h"
#include "dict/session_internal.h"
#include "engine/dictionary_commit.h"

#include <stdlib.h>

enum {
	TRANSACTIONS_MOST = 1000, /* open at a time … */
	OPEN_MB_MOST = 16,        /* … and what they hold together */
};

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
	if (command_is_lost(command))
		return;
	command->times.ended = clock_wall_us();
	dict_put_commit(command_out(command), command->number, commits[reply->status],
		command->asynchronous, command->transaction, reply->text, &command->times);
	command_over(command);
}

int transactions_begin(const struct call *call)
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
	transaction->changes = changes_create(call_user(call), call->command->expire);
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

int transactions_go_on(const struct call *call)
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

void transactions_forget(struct dict_session *session)
{
	struct open_transaction *transaction, *next;

	HASH_ITER (hh, session->transactions, transaction, next) {
		changes_destroy(take_changes(session, transaction));
	}
}
