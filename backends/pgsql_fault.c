#include "pgsql_fault.h"

#include <string.h>

/*
 * By the beginning of the SQLSTATE; the first one counts. Anything else is the moment's fault, so
 * also a remote server's that a function could not reach (08); when this server goes, it hangs up.
 */
static const struct {
	const char *state;
	enum fault fault;
} faults[] = {
	{"0A", FAULT_QUERY},         /* a feature that is not supported */
	{"20", FAULT_KEY},           /* case not found */
	{"21", FAULT_KEY},           /* a subquery brings more than one row */
	{"22", FAULT_KEY},           /* data */
	{"23", FAULT_KEY},           /* a constraint */
	{"25006", FAULT_REFUSED},    /* read-only: a standby by now */
	{"25", FAULT_CONNECTION},    /* its transaction */
	{"26", FAULT_CONNECTION},    /* no prepared statement by that name */
	{"2F", FAULT_KEY},           /* in a function */
	{"38", FAULT_KEY},           /* … */
	{"39", FAULT_KEY},           /* … */
	{"3F", FAULT_QUERY},         /* no such schema */
	{"42P05", FAULT_CONNECTION}, /* a prepared statement by that name is there already */
	{"42", FAULT_QUERY},         /* syntax, names, types, permissions */
	{"44", FAULT_KEY},           /* a view's check */
	{"54", FAULT_KEY},           /* too complex */
	{"P0", FAULT_KEY},           /* raised by a function */
};

bool pgsql_error_is(const PGresult *error, const char *state)
{
	const char *is = PQresultErrorField(error, PG_DIAG_SQLSTATE);

	return is && strncmp(is, state, strlen(state)) == 0;
}

enum fault pgsql_fault(const PGresult *error, bool read_only)
{
	if (read_only && pgsql_error_is(error, "25006"))
		return FAULT_QUERY;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		if (pgsql_error_is(error, faults[i].state))
			return faults[i].fault;
	return FAULT_MOMENT;
}

void pgsql_explain(const PGconn *db, const PGresult *error, struct error *why)
{
	const char *state = PQresultErrorField(error, PG_DIAG_SQLSTATE);

	if (state)
		error_set(why, "%s (SQLSTATE %s)",
			PQresultErrorField(error, PG_DIAG_MESSAGE_PRIMARY), state);
	else
		error_set(why, "%s", error ? PQresultErrorMessage(error) : PQerrorMessage(db));
	why->text[strcspn(why->text, "\n")] = '\0';
}
