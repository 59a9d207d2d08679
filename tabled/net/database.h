/*
 * Statements for a database, one after the other, on a connection of their own. Blocking: for
 * programs, and for threads that may wait. Lookups go another way (engine/pool.h).
 */
#ifndef TABLED_NET_DATABASE_H
#define TABLED_NET_DATABASE_H

#include "engine/catalog.h"
#include "engine/statement_writer.h"

struct database {
	const struct source_config *source; /* borrowed */
	struct server_settings settings;    /* the source's, but for what writing needs; its
					       pointers are borrowed */
	struct server_address address;
	char *password;
	struct server server;
	void *conn;
	size_t statements; /* so many have been sent */
};

/*
 * Connects to a source, with its own user and password. For writing, to a host that takes writes.
 * Returns -1 with `why`; then there is nothing to close.
 */
int database_open(struct database *database, const struct source_config *source, bool for_writing,
	struct error *why);
void database_close(struct database *database);

/* Carries out a statement that brings no rows. Returns -1 with `why`. */
int database_do(struct database *database, const char *command, struct error *why);

/*
 * Asks a query without parameters; its rows are added to `rows`. `why` is filled unless it is FOUND
 * or NOT_FOUND. BROKEN: the query is wrong, for want of a table, say; TRY_LATER: nobody knows.
 */
enum status database_ask(
	struct database *database, const char *query, struct rows *rows, struct error *why);

/* Begins a transaction that is going to write: database_do() "COMMIT" or "ROLLBACK" ends it. */
int database_begin(struct database *database, struct error *why);

/*
 * Carries out, or asks, what was written, with its values; that can be done once. As
 * database_ask(). ret_changed: the rows that a change has met.
 */
enum status database_put(struct database *database, struct statement_writer *writer,
	struct rows *rows, uint64_t *ret_changed, struct error *why);

/* Asks a statement with its parameters, whose id nobody else has. As database_ask(). */
enum status database_ask_with(struct database *database, const struct statement *statement,
	const struct slice *params, struct rows *rows, struct error *why);

#endif
