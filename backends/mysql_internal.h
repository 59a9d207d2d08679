/*
 * What the parts of the MariaDB backend share: mysql.c makes the calls, mysql_part.c asks a batch
 * part by part and reads its rows, mysql_check.c looks at statements and at the server's role. For
 * these alone; read mysql.c first.
 *
 * A connection belongs to one thread.
 */
#ifndef TABLED_BACKENDS_MYSQL_INTERNAL_H
#define TABLED_BACKENDS_MYSQL_INTERNAL_H

#include "mysql_connect.h"

enum mysql_step {
	STEP_ROLE,
	STEP_ROLE_RESULT,
	STEP_QUERY,
	STEP_ROW,
	STEP_NEXT,
	STEP_PREPARE,
	STEP_FORGET,
};

/* All that it points to is its own, but for the batch and for texts that are constants. */
struct mysql_conn {
	MYSQL *db;
	int fd;           /* a duplicate: the library closes its own when it likes */
	struct buf known; /* mysql_part.c: what is known of each statement */
	struct transaction_state transaction;
	enum server_role role; /* that it has to have … */
	uint64_t role_at;      /* ms; … and had when that was looked at */

	struct batch *batch; /* borrowed: the one that runs; the rest is about it */
	struct batch part;   /* those of its questions that are asked just now */
	struct buf sql;
	enum mysql_step step;
	int wait; /* what the call that was left waits for; 0: none was */
	enum progress progress;

	/* What the calls bring. */
	int failed;
	MYSQL_RES *result;
	MYSQL_ROW row; /* in the result */
	MYSQL_STMT *statement;
	my_bool forgotten;

	size_t results;      /* of the part, each with its rows */
	const char *trouble; /* found while reading rows: said after the last one */
	enum fault trouble_fault;
};

/*
 * mysql_check.c: a primary may be made read-only, and another one take its place, while its
 * connections last.
 */
bool mysql_is_role_due(const struct mysql_conn *conn);

/* mysql_part.c: the server's words in one line; it quotes the query. */
void mysql_explain(struct error *why, const char *words, unsigned code);

/*
 * Each of these goes on where a call has brought us, or begins. They return whether there is
 * another call to make, that of conn->step; if not, conn->progress says how the batch has ended.
 */

/* mysql.c */
bool mysql_begin_batch(struct mysql_conn *conn);
bool mysql_end(struct mysql_conn *conn, enum progress progress);

/* mysql_part.c: the questions of the batch from `first` on, if any is left. */
bool mysql_ask_from(struct mysql_conn *conn, struct question *first);
bool mysql_after_query(struct mysql_conn *conn);
bool mysql_after_row(struct mysql_conn *conn);

/* The questions that are asked just now have failed; the others are asked if they can be. */
bool mysql_fail_with(struct mysql_conn *conn, enum fault fault, const char *text);

/* mysql_check.c: does the server take the batch's statement? */
bool mysql_begin_check(struct mysql_conn *conn);
bool mysql_after_prepare(struct mysql_conn *conn);
bool mysql_after_forget(struct mysql_conn *conn);

/* Has it still the role that it has to have? The batch begins behind that. */
bool mysql_ask_role(struct mysql_conn *conn);
bool mysql_after_role(struct mysql_conn *conn);
bool mysql_after_role_result(struct mysql_conn *conn);

#endif
