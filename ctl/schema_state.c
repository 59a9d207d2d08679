#include "ctl/schema_state.h"

#include "ctl/schema_sql.h"

#include <stdlib.h>
#include <string.h>

/* The first version did not say that it was one: by these it is known. */
static const char *const first_tables[] = {"domain", "mailbox", "alias", "alias_domain",
	"relay_domain", "transport", "sender_bcc", "recipient_bcc", "client_access",
	"sender_access", "sender_login", NULL};

/* Whether such a query can be asked. Returns 1 or 0; -1 with `why` if nobody knows. */
static int is_there(
	struct session *session, const char *columns, const char *table, struct error *why)
{
	struct rows rows = {0};
	struct buf sql = {0};
	enum status status;

	buf_add_format(&sql, "SELECT %s FROM %s WHERE 1 = 0", columns, table);
	status = database_ask(&session->database, buf_string(&sql), &rows, why);
	buf_finish(&sql);
	rows_finish(&rows);
	return status == BROKEN ? 0 : status == FOUND || status == NOT_FOUND ? 1 : -1;
}

static void add_name(struct buf *list, const char *format, const char *table, const char *column)
{
	buf_add_string(list, list->size ? ", " : "");
	buf_add_format(list, format, table, column);
}

/* Adds those columns of a table that are not there. */
static int look_at_columns(struct schema_state *state, struct session *session,
	const struct schema_table *table, struct error *why)
{
	int found;

	for (const struct schema_column *column = table->columns; column->name; column++) {
		found = is_there(session, column->name, table->name, why);
		if (found < 0)
			return -1;
		if (!found)
			add_name(&state->missing, "%s.%s", table->name, column->name);
	}
	return 0;
}

static int look_at_table(struct schema_state *state, struct session *session,
	const struct schema_table *table, struct error *why)
{
	struct buf columns = {0};
	int found = is_there(session, "1", table->name, why);

	if (found < 0)
		return -1;
	if (!found) {
		add_name(&state->missing, "table %s%s", table->name, "");
		return 0;
	}
	add_name(&state->present, "%s%s", table->name, "");
	for (const struct schema_column *column = table->columns; column->name; column++)
		buf_add_format(&columns, "%s%s", columns.size ? ", " : "", column->name);
	found = is_there(session, buf_string(&columns), table->name, why);
	buf_finish(&columns);
	return found ? found < 0 ? -1 : 0 : look_at_columns(state, session, table, why);
}

/* Asks for schema_version, which is there. */
static int ask_version(struct schema_state *state, struct session *session, struct error *why)
{
	struct rows rows = {0};
	enum status status = database_ask(
		&session->database, "SELECT max(version) FROM schema_version", &rows, why);
	struct slice cell = status == FOUND ? rows_cell(&rows, 0, 0) : (struct slice){0};
	struct buf number = {0};

	state->kind = cell.data ? SCHEMA_OURS : SCHEMA_BEGUN;
	buf_add_slice(&number, cell);
	state->version = (unsigned)strtoul(buf_string(&number), NULL, 10);
	buf_finish(&number);
	rows_finish(&rows);
	return status == FOUND ? 0 : -1;
}

/* Returns 1 if these are the tables of the first version, 0 if not, -1 with `why`. */
static int is_first(struct session *session, struct error *why)
{
	int found = 1;

	for (size_t i = 0; first_tables[i] && found == 1; i++)
		found = is_there(session, "active", first_tables[i], why);
	if (found == 1)
		found = is_there(session, "username, localpart, domain", "mailbox", why);
	if (found != 1)
		return found;
	found = is_there(session, "password", "mailbox", why);
	return found < 0 ? -1 : !found;
}

int schema_state_ask(struct schema_state *state, struct session *session, struct error *why)
{
	int has_version, first;

	*state = (struct schema_state){0};
	for (const struct schema_table *table = schema_tables; table->name; table++)
		if (look_at_table(state, session, table, why) < 0)
			return -1;
	has_version = is_there(session, "version, applied_at", "schema_version", why);
	if (has_version < 0)
		return -1;
	if (has_version)
		return ask_version(state, session, why);
	if (!state->present.size)
		return 0;
	first = is_first(session, why);
	state->kind = first ? SCHEMA_OURS : SCHEMA_FOREIGN;
	state->version = first ? 1 : 0;
	return first < 0 ? -1 : 0;
}

void schema_state_finish(struct schema_state *state)
{
	buf_finish(&state->present);
	buf_finish(&state->missing);
}
