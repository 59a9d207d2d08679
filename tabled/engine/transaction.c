/* What a connection does with a transaction, step by step. Its place in the pool is in asking.c. */
#include "engine/transaction.h"

#include "engine/pool_internal.h"

enum {
	RETRIES_MOST = 3,
	/* For so long after its last answer a connection is taken for alive. */
	ALIVE_MS = 1000,
};

const struct statement transaction_statement = {.id = 0, .text = "BEGIN"};
static const struct statement commit = {.id = 1, .text = "COMMIT"};
static const struct statement rollback = {.id = 2, .text = "ROLLBACK"};

static struct transaction *transaction_of(const struct connection *connection)
{
	return connection->asks[0]->transaction;
}

/* The ask's own rows and reason serve for the commands. */
static void put_command(struct connection *connection, const struct statement *statement)
{
	connection->questions[0] = connection->asks[0]->question;
	connection->questions[0].statement = statement;
	connection->questions[0].params = NULL;
	batch_clear(&connection->batch);
}

static void put_step(struct connection *connection, enum transaction_step step)
{
	struct transaction *transaction = transaction_of(connection);

	transaction->step = step;
	switch (step) {
	case TRANSACTION_BEGIN:
		put_command(connection, &transaction_statement);
		break;
	case TRANSACTION_WORK:
	case TRANSACTION_ALONE:
		connection->questions[0] = transaction->questions[transaction->at];
		connection->questions[0].changed = 0;
		batch_clear(&connection->batch);
		break;
	case TRANSACTION_COMMIT:
		put_command(connection, &commit);
		break;
	case TRANSACTION_ROLLBACK:
		put_command(connection, &rollback);
		break;
	}
}

/* Will the database give up by itself, and say so, well before nobody waits for it any more? */
static bool can_be_told(const struct connection *connection, uint64_t now)
{
	uint64_t limit = (uint64_t)connection->server.query_timeout;

	return now + limit + limit / 8 < connection->asks[0]->deadline;
}

/*
 * One statement commits itself, and saves two round trips. But on a connection that may be dead
 * already, or when there is no time to wait for its end, nobody could tell whether it has: there it
 * begins with BEGIN, which does no harm.
 */
void transaction_start(struct connection *connection, uint64_t idle, uint64_t now)
{
	struct transaction *transaction = transaction_of(connection);
	bool is_alone = transaction->count == 1 && idle < ALIVE_MS && can_be_told(connection, now);

	transaction->at = 0;
	put_step(connection, is_alone ? TRANSACTION_ALONE : TRANSACTION_BEGIN);
}

static bool is_done(enum status status)
{
	return status == FOUND || status == NOT_FOUND;
}

/* The answer to all. */
static bool end(struct connection *connection, enum status status, const struct error *why)
{
	connection->questions[0] = connection->asks[0]->question;
	connection->questions[0].status = status;
	if (why)
		error_set(connection->questions[0].why, "%s", why->text);
	return false;
}

/* What came of a question: is it one of those that have to meet a row, and has met none? */
static enum status outcome(const struct transaction *transaction, const struct question *question)
{
	if (!is_done(question->status))
		return question->status;
	return transaction->must_meet[transaction->at] && !question->changed ? NOT_FOUND : FOUND;
}

static void note_outcome(
	struct transaction *transaction, enum status status, const struct question *question)
{
	transaction->outcome = status;
	transaction->why = *question->why;
}

/* A deadlock, for one, is nobody's fault: the same may do better now. */
static bool retry_or_end(struct connection *connection, uint64_t now)
{
	struct transaction *transaction = transaction_of(connection);

	if (transaction->outcome != TRY_LATER || transaction->retries == RETRIES_MOST ||
		connection->retiring || now >= connection->asks[0]->deadline)
		return end(connection, transaction->outcome, &transaction->why);
	transaction->retries++;
	transaction_start(connection, 0, now);
	return true;
}

static bool after_work(struct connection *connection, const struct question *question)
{
	struct transaction *transaction = transaction_of(connection);
	enum status status = outcome(transaction, question);

	transaction->questions[transaction->at] = *question;
	if (status != FOUND) {
		note_outcome(transaction, status, question);
		put_step(connection, TRANSACTION_ROLLBACK);
		return true;
	}
	transaction->at++;
	put_step(connection,
		transaction->at < transaction->count ? TRANSACTION_WORK : TRANSACTION_COMMIT);
	return true;
}

static bool after_alone(
	struct connection *connection, const struct question *question, uint64_t now)
{
	struct transaction *transaction = transaction_of(connection);

	transaction->questions[0] = *question;
	note_outcome(transaction, outcome(transaction, question), question);
	return retry_or_end(connection, now);
}

static bool after_commit(struct connection *connection, const struct question *question)
{
	if (is_done(question->status))
		return end(connection, FOUND, NULL);
	note_outcome(transaction_of(connection), question->status, question);
	put_step(connection, TRANSACTION_ROLLBACK);
	return true;
}

/*
 * If it has failed, nobody knows what state the connection is in. Closed, it surely has none; but
 * to begin anew on it might commit what was done before.
 */
static bool after_rollback(
	struct connection *connection, const struct question *question, uint64_t now)
{
	struct transaction *transaction = transaction_of(connection);

	if (is_done(question->status))
		return retry_or_end(connection, now);
	connection->retiring = true;
	return end(connection, transaction->outcome, &transaction->why);
}

bool transaction_go_on(struct connection *connection, uint64_t now)
{
	struct question question = connection->questions[0];

	switch (transaction_of(connection)->step) {
	case TRANSACTION_BEGIN:
		if (!is_done(question.status))
			return end(connection, question.status, NULL);
		put_step(connection, TRANSACTION_WORK);
		return true;
	case TRANSACTION_WORK:
		return after_work(connection, &question);
	case TRANSACTION_ALONE:
		return after_alone(connection, &question, now);
	case TRANSACTION_COMMIT:
		return after_commit(connection, &question);
	case TRANSACTION_ROLLBACK:
		return after_rollback(connection, &question, now);
	}
	return false;
}

bool transaction_is_unsure(const struct transaction *transaction)
{
	return transaction->step == TRANSACTION_ALONE || transaction->step == TRANSACTION_COMMIT;
}
