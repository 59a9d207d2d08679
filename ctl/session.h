/*
 * A source's database, for the commands that work on it themselves: the configuration that names
 * it, and a connection with the source's own user. Blocking.
 */
#ifndef TABLED_CTL_SESSION_H
#define TABLED_CTL_SESSION_H

#include "config.h"
#include "net/database.h"

struct session {
	struct config *config;              /* owned */
	const struct source_config *source; /* borrowed from it */
	struct database database;
};

/*
 * Reads the configuration at `path` and finds a source in it. Without a name it is the only one, or
 * the one that the map virtual_mailbox_domains asks. Returns -1 with `why`; it is to be closed
 * whatever comes of it.
 */
int session_find(struct session *session, const char *path, const char *name, struct error *why);

/* Connects to it. */
int session_connect(struct session *session, bool for_writing, struct error *why);

/* What is not committed is rolled back. */
void session_close(struct session *session);

const struct dialect *session_dialect(const struct session *session);

/*
 * Ask, and change, by what was written; the writer is finished. As database_put(), but that
 * "nothing" is NOT_FOUND. ret_changed may be NULL.
 */
enum status session_ask(struct session *session, struct statement_writer *writer, struct rows *rows,
	struct error *why);
int session_change(struct session *session, struct statement_writer *writer, uint64_t *ret_changed,
	struct error *why);

/* Says on stderr why, and returns EXIT_ERROR. */
int session_fail(const struct error *why);

#endif
