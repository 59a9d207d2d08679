/*
 * Whose fault an error of PostgreSQL is. For pgsql.c alone.
 */
#ifndef TABLED_BACKENDS_PGSQL_FAULT_H
#define TABLED_BACKENDS_PGSQL_FAULT_H

#include "backend.h"

#include <libpq-fe.h>

/* `read_only`: the session was asked to be, so it's no surprise that it is. */
enum fault pgsql_fault(const PGresult *error, bool read_only);

/* Whether the error's SQLSTATE begins so. */
bool pgsql_error_is(const PGresult *error, const char *state);

/* The error in words, or that of the connection if `error` is NULL. */
void pgsql_explain(const PGconn *db, const PGresult *error, struct error *why);

#endif
