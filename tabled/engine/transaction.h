/*
 * A transaction: statements that a connection carries out all together, or not at all. It is asked
 * of a pool as one question is (struct ask), and goes on step by step on one connection
 * (transaction.c).
 *
 * How it has ended is the status of its ask: FOUND: it is committed; NOT_FOUND: a statement
 * that has to meet a row has met none, and nothing of it is; TRY_LATER or BROKEN: nothing of it is,
 * either; UNSURE: it was being committed when the connection was lost, and nobody knows.
 * What is unsure is never tried again; what surely has not happened is, if it may do better.
 */
#ifndef TABLED_ENGINE_TRANSACTION_H
#define TABLED_ENGINE_TRANSACTION_H

#include "backend.h"

struct connection;

enum transaction_step {
	TRANSACTION_BEGIN,
	TRANSACTION_WORK,  /* one of its statements */
	TRANSACTION_ALONE, /* its only statement, which commits itself */
	TRANSACTION_COMMIT,
	TRANSACTION_ROLLBACK,
};

/* Owned by whoever asks. */
struct transaction {
	struct question *questions; /* borrowed; of STATEMENT_ONCE, in their order */
	size_t count;               /* at least one */
	const bool *must_meet;      /* borrowed; of each question: it has to meet a row */

	/* The connection's: */
	enum transaction_step step;
	size_t at; /* the question that is asked */
	unsigned retries;
	enum status outcome; /* of all: FOUND, or why it is rolled back … */
	struct error why;    /* … and the reason */
};

/* For whoever asks: the statement that stands for any transaction in an ask. */
extern const struct statement transaction_statement;

/*
 * For asking.c: puts the first step in the place of the question that the connection is to ask. It
 * was `idle` for so long (ms).
 */
void transaction_start(struct connection *connection, uint64_t idle, uint64_t now);

/*
 * The step was answered. Returns whether there is another one to ask, which is in its place then;
 * if not, what is there is the answer to all.
 */
bool transaction_go_on(struct connection *connection, uint64_t now);

/* If the connection ends now: may it be committed? */
bool transaction_is_unsure(const struct transaction *transaction);

#endif
