/*
 * What the two SQLite backends share: sqlite.c reads inline in a worker's loop, sqlite_writer.c
 * changes rows on threads of its own. For these two alone.
 *
 * A handle belongs to one thread at a time.
 */
#ifndef TABLED_BACKENDS_SQLITE_INTERNAL_H
#define TABLED_BACKENDS_SQLITE_INTERNAL_H

#include "backend.h"

#include <sqlite3.h>
#include <sys/stat.h>

enum {
	/* SQLite's virtual machine looks at the clock each time it has run so many instructions. */
	SQLITE_STEPS_BETWEEN_CLOCKS = 10000,
	/* The part of the file's header that changes with each transaction (its "change counter"),
	 * and what tells of WAL mode. */
	SQLITE_VERSION_AT = 18,
	SQLITE_VERSION_SIZE = 22,
};

struct sqlite_config {
	char *path;
	bool immutable;
};

struct sqlite_handle {
	const struct sqlite_config *config; /* borrowed */
	sqlite3 *db;
	struct stat file;                  /* as it was seen last, to see what SQLite would not */
	char version[SQLITE_VERSION_SIZE]; /* from its header, then */
	bool asked;                        /* both are known, and pages of it may be kept */
	bool for_writing;
	bool damaged;      /* a page could not be read: the next batch gets a new handle */
	uint64_t deadline; /* of the batch that runs, ms */
};

extern const struct setting sqlite_settings[];
extern const struct dialect sqlite_dialect;

/* sqlite_open.c */

/* Makes the file, if there is none or an empty one. Returns -1 with `why`. */
int sqlite_create(const void *config, struct error *why);

/* Opens; it is to be closed whatever comes of it. A query is interrupted at handle->deadline. */
int sqlite_handle_open(struct sqlite_handle *handle, const struct sqlite_config *config,
	bool for_writing, struct error *why);
void sqlite_handle_close(struct sqlite_handle *handle);

/* Is the file that was opened still the one by that name, and nobody's but SQLite's to write? */
int sqlite_handle_check(struct sqlite_handle *handle, struct error *why);

/* What the handle itself has written is no sign of somebody else. */
void sqlite_handle_note(struct sqlite_handle *handle);

/* What an administrator can do about a result code, or SQLite's own words. Returns -1. */
int sqlite_explain(const struct sqlite_handle *handle, int code, struct error *why);

/* sqlite_ask.c */

/*
 * Sorts a result code: whose fault is it, this question's, the moment's or the connection's?
 * `status` is what the question gets if the code does not tell.
 */
enum progress sqlite_fail(
	struct sqlite_handle *handle, struct question *question, int code, enum status status);

/* Answers the question by a statement, which is reset then: ret_code is what it says to that. */
enum progress sqlite_answer(struct sqlite_handle *handle, sqlite3_stmt *statement,
	struct question *question, int *ret_code);

/* The same for what is asked once, of which nothing is kept: STATEMENT_ONCE, or a command. */
enum progress sqlite_ask_once(
	struct sqlite_handle *handle, struct question *question, bool only_check);

/* Whether the statement may be asked; if not, the question is BROKEN. */
bool sqlite_may_ask(
	const struct sqlite_handle *handle, sqlite3_stmt *statement, struct question *question);

/* sqlite_writer.c */
extern const struct backend sqlite_writer_backend;

#endif
