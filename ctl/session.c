#include "ctl/session.h"

#include "ctl/command.h"
#include "engine/sql.h"

#include <stdlib.h>
#include <string.h>

/* What the map of our domains asks is the mail server's database, whatever else there is. */
static const struct source_config *find_usual(const struct catalog *catalog, struct error *why)
{
	const struct map *map = catalog_find(catalog, slice_str("virtual_mailbox_domains"));

	if (catalog->source_count == 1)
		return &catalog->sources[0];
	if (map && map->table_count)
		return &catalog->sources[map->tables[0]->source];
	error_set(why, catalog->source_count ? "there are several sources: say which by --source"
					     : "the configuration has no source");
	return NULL;
}

int session_find(struct session *session, const char *path, const char *name, struct error *why)
{
	const struct catalog *catalog;

	*session = (struct session){.config = config_read(path, why)};
	if (!session->config)
		return -1;
	catalog = session->config->catalog;
	if (!name)
		session->source = find_usual(catalog, why);
	else if (!(session->source = catalog_find_source(catalog, name)))
		error_set(why, "there is no source \"%s\"", name);
	return session->source ? 0 : -1;
}

int session_connect(struct session *session, bool for_writing, struct error *why)
{
	struct error inner;

	/* Times are in UTC to us. */
	if (database_open(&session->database, session->source, for_writing, &inner) == 0 &&
		(!sql_is_mysql(session_dialect(session)) ||
			database_do(&session->database, "SET time_zone = '+00:00'", &inner) == 0))
		return 0;
	return error_set(why, "source %s: %s", session->source->name, inner.text);
}

void session_close(struct session *session)
{
	if (session->database.conn)
		database_close(&session->database);
	config_destroy(session->config);
	*session = (struct session){0};
}

const struct dialect *session_dialect(const struct session *session)
{
	return session->source->backend->dialect;
}

enum status session_ask(struct session *session, struct statement_writer *writer, struct rows *rows,
	struct error *why)
{
	uint64_t changed;
	enum status status = database_put(&session->database, writer, rows, &changed, why);

	statement_writer_finish(writer);
	return status;
}

int session_change(struct session *session, struct statement_writer *writer, uint64_t *ret_changed,
	struct error *why)
{
	struct rows rows = {0};
	uint64_t changed = 0;
	enum status status = database_put(&session->database, writer, &rows, &changed, why);

	statement_writer_finish(writer);
	rows_finish(&rows);
	if (ret_changed)
		*ret_changed = changed;
	return status == FOUND || status == NOT_FOUND ? 0 : -1;
}

int session_fail(const struct error *why)
{
	return command_fail(why->text);
}
