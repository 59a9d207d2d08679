#include "ctl/column_sql.h"

#include "engine/sql.h"

/* MySQL's sessions are in UTC (session_connect()), and SQLite's texts; PostgreSQL is told. */
void column_ask(struct statement_writer *writer, const char *column, bool is_time)
{
	if (is_time && sql_is_postgresql(writer->dialect))
		statement_write(
			writer, "to_char(%s AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')", column);
	else
		statement_write(writer, "%s", column);
}

void column_give(struct statement_writer *writer, struct slice value, bool is_time)
{
	bool is_told = is_time && sql_is_postgresql(writer->dialect);

	if (!value.data) {
		statement_write(writer, "NULL");
		return;
	}
	statement_write(writer, "%s", is_told ? "(CAST(" : "");
	statement_write_value(writer, value);
	statement_write(writer, "%s", is_told ? " AS timestamp) AT TIME ZONE 'UTC')" : "");
}
