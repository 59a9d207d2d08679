#include "net/database.h"

#include "base/clock.h"
#include "base/memory.h"
#include "engine/sql.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	/* Making a trigger may have to wait for the transactions of others. */
	STATEMENT_MS = 60000,
	LOCK_MS = 20, /* between two attempts, while somebody holds a lock */
};

/* Opens what is no server, or one host of a server. */
static int open_here(struct database *database, bool for_writing, struct error *why)
{
	const struct backend *backend = database->source->backend;
	const struct server *server = database->source->server ? &database->server : NULL;
	int (*open)(void *, const void *, const struct server *, struct error *) = backend->open;

	if (for_writing && backend->open_for_writing)
		open = backend->open_for_writing;
	database->conn = memory_new(1, backend->conn_size);
	if (open(database->conn, database->source->own, server, why) == 0)
		return 0;
	backend->close(database->conn);
	free(database->conn);
	database->conn = NULL;
	return -1;
}

/* Tries one host after the other; `why` is about the last. */
static int open_server(struct database *database, bool for_writing, struct error *why)
{
	const struct text_list *hosts = &database->settings.hosts;

	if (server_password(&database->settings, &database->password, why) < 0)
		return -1;
	database->server = (struct server){.settings = &database->settings,
		.password = database->password,
		.query_timeout = STATEMENT_MS};
	for (size_t i = 0; i == 0 || i < hosts->count; i++) {
		struct error inner;

		server_address_finish(&database->address);
		database->address = (struct server_address){0};
		if (hosts->count &&
			server_address_parse(hosts->items[i], &database->address, why) < 0)
			return -1;
		database->server.host = database->address.host;
		database->server.port = database->address.port;
		if (open_here(database, for_writing, &inner) == 0)
			return 0;
		error_set(why, "%s%s%s", hosts->count ? hosts->items[i] : "",
			hosts->count ? ": " : "", inner.text);
	}
	return -1;
}

int database_open(struct database *database, const struct source_config *source, bool for_writing,
	struct error *why)
{
	int result;

	*database = (struct database){.source = source};
	if (!source->backend->is_server) {
		result = open_here(database, for_writing, why);
	} else {
		database->settings = *source->server;
		if (for_writing) {
			database->settings.read_only = false;
			database->settings.role = ROLE_PRIMARY;
		}
		result = open_server(database, for_writing, why);
	}
	if (result < 0)
		database_close(database);
	return result;
}

void database_close(struct database *database)
{
	if (database->conn) {
		database->source->backend->close(database->conn);
		free(database->conn);
	}
	server_password_wipe(database->password);
	server_address_finish(&database->address);
	*database = (struct database){0};
}

static void wait_for_lock(void)
{
	struct timespec time = {.tv_nsec = LOCK_MS * 1000000};

	nanosleep(&time, NULL);
}

/* Waits until the descriptor is ready. Returns whether it is, in time. */
static bool wait_for(const struct database *database, enum progress progress, uint64_t deadline)
{
	struct pollfd ready = {.fd = database->source->backend->fd(database->conn),
		.events = progress == WANT_READ ? POLLIN : POLLOUT};
	uint64_t now = clock_ms();
	int count = -1;

	if (now < deadline)
		count = poll(&ready, 1, (int)(deadline - now));
	return count > 0 || (count < 0 && errno == EINTR && now < deadline);
}

/* Goes on with a batch until it is over, or too late. */
static enum progress run(const struct database *database, struct batch *batch)
{
	const struct backend *backend = database->source->backend;
	enum progress progress = backend->start(database->conn, batch);

	while (progress == WANT_READ || progress == WANT_WRITE || progress == BUSY) {
		if (progress == BUSY) {
			wait_for_lock();
			if (clock_ms() >= batch->deadline)
				return BUSY;
			batch_clear(batch);
			progress = backend->start(database->conn, batch);
			continue;
		}
		if (!wait_for(database, progress, batch->deadline)) {
			error_set(batch->questions[0].why,
				"the database has not answered within %d s", STATEMENT_MS / 1000);
			return LOST;
		}
		progress = backend->advance(database->conn);
	}
	return progress;
}

static enum status ask(struct database *database, struct question *question)
{
	struct batch batch = {
		.questions = question, .count = 1, .deadline = clock_ms() + STATEMENT_MS};
	const struct backend *backend = database->source->backend;

	if (run(database, &batch) != DONE)
		return TRY_LATER;
	if (backend->rest)
		backend->rest(database->conn);
	return question->status;
}

int database_do(struct database *database, const char *command, struct error *why)
{
	struct statement statement = {
		.id = database->statements++, .text = command, .kind = STATEMENT_ALONE};
	struct rows rows = {0};
	struct question question = {.statement = &statement, .rows = &rows, .why = why};
	enum status status = ask(database, &question);

	rows_finish(&rows);
	return status == FOUND || status == NOT_FOUND ? 0 : -1;
}

int database_begin(struct database *database, struct error *why)
{
	/* Who only reads at first may never get the lock for writing. */
	bool is_sqlite = sql_is_sqlite(database->source->backend->dialect);

	return database_do(database, is_sqlite ? "BEGIN IMMEDIATE" : "BEGIN", why);
}

enum status database_ask(
	struct database *database, const char *query, struct rows *rows, struct error *why)
{
	struct statement_part part = {.sql = slice_str(query)};
	struct statement statement = {.id = database->statements++,
		.text = query,
		.kind = STATEMENT_ALONE,
		.parts = &part,
		.part_count = 1};
	struct question question = {.statement = &statement, .rows = rows, .why = why};

	return ask(database, &question);
}

enum status database_put(struct database *database, struct statement_writer *writer,
	struct rows *rows, uint64_t *ret_changed, struct error *why)
{
	const struct statement *statement =
		statement_writer_end(writer, STATEMENT_ONCE, database->statements++);
	struct question question = {
		.statement = statement, .params = writer->params, .rows = rows, .why = why};
	enum status status = ask(database, &question);

	*ret_changed = question.changed;
	return status;
}

enum status database_ask_with(struct database *database, const struct statement *statement,
	const struct slice *params, struct rows *rows, struct error *why)
{
	struct question question = {
		.statement = statement, .params = params, .rows = rows, .why = why};

	return ask(database, &question);
}
