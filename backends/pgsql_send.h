/*
 * A PostgreSQL connection, and what it sends for each step of a batch. For pgsql.c alone.
 */
#ifndef TABLED_BACKENDS_PGSQL_SEND_H
#define TABLED_BACKENDS_PGSQL_SEND_H

#include "pgsql_statement.h"

/* The steps of a batch; what is known from the batch before is not asked again. */
enum step { STEP_DESCRIBE, STEP_TYPES, STEP_ASK, STEP_ONCE, STEP_COMMAND };

struct pgsql_conn {
	PGconn *db;
	PGcancel *canceller;
	int fd;                    /* a duplicate: libpq closes its own when it likes */
	bool is_read_only;         /* or was meant to be */
	bool by_name;              /* statements are prepared by their names … */
	bool may_forgo;            /* … as long as no pooler loses them */
	struct buf settings;       /* SQL that has to go before each question … */
	bool needs_settings;       /* … if the session does not have them */
	struct buf statements;     /* a struct pgsql_statement * for each */
	struct buf text, pointers; /* values that are sent; cells that have come */

	struct batch *batch;           /* the one that runs, and so all below */
	struct pgsql_statement *asked; /* NULL: a command */
	struct pgsql_statement *once;  /* the same, if nothing is kept of it: owned */
	enum step step;
	bool is_fresh;         /* described for this very batch */
	bool has_answer;       /* rows, or that there are none */
	bool has_stray_row;    /* one that nobody asked for */
	bool is_undone;        /* COMMIT has rolled back */
	size_t before;         /* commands in front, whose results say nothing */
	struct pgsql_sql *new; /* what is being prepared */
	PGresult *error;       /* the first one */
};

/* Sends what the step of the batch needs, but for the Sync. Returns whether libpq has taken it. */
bool pgsql_send_step(struct pgsql_conn *conn);

/* Has the statement described anew, by this batch. Returns the same. */
bool pgsql_send_forget(struct pgsql_conn *conn);

#endif
