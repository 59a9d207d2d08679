/*
 * How the PostgreSQL backend connects: its options, and what a session has to be told. For
 * pgsql.c alone.
 */
#ifndef TABLED_BACKENDS_PGSQL_CONNECT_H
#define TABLED_BACKENDS_PGSQL_CONNECT_H

#include "backend.h"

#include <libpq-fe.h>

struct pgsql_config {
	char *conninfo, *service, *search_path;
	int prepare; /* enum pgsql_naming */
};

enum pgsql_naming { NAMED_AUTO, NAMED_YES, NAMED_NO };

extern const struct setting pgsql_settings[];

int pgsql_check(const void *config, struct error *why);

/*
 * Connects and logs in. ret_db is for the caller to close, whatever comes of it. Returns -1 with
 * `why`, in which there is no password.
 */
int pgsql_connect(const struct pgsql_config *config, const struct server *server, PGconn **ret_db,
	struct error *why);

/*
 * Makes the SQL that sets for one transaction what the session should have been told. Returns
 * whether it has to go with each question, since a pooler has dropped what it was told.
 */
bool pgsql_make_settings(PGconn *db, const struct pgsql_config *config, const struct server *server,
	struct buf *ret_sql);

#endif
