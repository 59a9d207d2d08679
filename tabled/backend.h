/*
 * The extension point for databases. To add one: write backends/NAME.c with a
 * `const struct backend NAME_backend`, and add the word to backends/meson.build. Start with
 * backends/memory.c, the shortest. The engine owns pool, back-off, deadlines, templates and the
 * reading of answers; a driver only opens, asks and closes.
 *
 * A connection belongs to one thread at a time, the worker that asks. Drivers keep no state
 * outside `conn`.
 */
#ifndef TABLED_BACKEND_H
#define TABLED_BACKEND_H

#include "base/error.h"
#include "lookup.h"
#include "setting.h"

/* Room for a statement's parameters; a query may have one string with expansions less. */
enum { STATEMENT_PARAMS_MAX = 64 };

/* A query as the engine made it from a map's template. Immutable; outlives all connections. */
struct statement {
	size_t id;        /* 0, 1, 2 … within its source: an index for prepared statements */
	const char *text; /* SQL with the driver's placeholders */
	size_t params;
};

/* One statement with its parameters, and what came of it. */
struct question {
	const struct statement *statement; /* borrowed */
	const struct slice *params;        /* borrowed; never NULL values */
	struct rows *rows;                 /* borrowed; arrives empty */
	enum status
		status; /* arrives as TRY_LATER. FOUND: there are rows; NOT_FOUND: there are none */
	struct error *why; /* borrowed; filled unless FOUND or NOT_FOUND */
};

struct batch {
	struct question *questions;
	size_t count;
	uint64_t deadline; /* clock_ms(): when the answer is no longer of use */
	bool only_check; /* prepare the statements, ask nothing: NOT_FOUND says that all is well */
};

/* How far a batch has come. */
enum progress {
	DONE, /* every question has its status */
	BUSY, /* somebody holds a lock; nothing was asked. Start the batch again a little later. */
	LOST, /* the connection is of no use: close and reopen; `why` of the first question says why
	       */
};

/* How a driver's SQL is written, so that the engine can turn '%s' into a parameter. */
struct dialect {
	char placeholder;        /* '?' or '$' */
	bool numbered;           /* placeholders carry their number: ?1, $1 */
	bool backslash_escapes;  /* inside '…', \ escapes the next character */
	bool double_quoted_text; /* "…" may be a string */
	bool hash_comments;      /* # starts a comment */
	bool dollar_quotes;      /* $tag$ … $tag$ */
};

struct backend {
	const char *name; /* the configuration's keyword */
	const struct setting *settings;
	size_t config_size; /* of the struct that `settings` describes */
	size_t conn_size;   /* of the connection; the engine allocates it, zeroed */
	const struct dialect *dialect;
	bool first_column_only; /* as Postfix's own client of this database reads rows */

	/* Checks what rows of `settings` can't. Returns -1 with `why`. May be NULL. */
	int (*check)(const void *config, struct error *why);

	/* Opens. `config` is borrowed for the life of the connection. Returns -1 with `why`. */
	int (*open)(void *conn, const void *config, struct error *why);

	/* Asks. One bad key is that question's BROKEN or TRY_LATER, never the connection's LOST. */
	enum progress (*start)(void *conn, struct batch *batch);

	/*
	 * Nothing will be asked for a moment: the worker is about to sleep. What was kept between
	 * batches to save work, such as a read lock, is given back. May be NULL.
	 */
	void (*rest)(void *conn);

	/* Closes; accepts a connection whose open() failed half-way. */
	void (*close)(void *conn);
};

/* All backends that were built, NULL at the end. Made from backends/meson.build. */
extern const struct backend *const backends[];

#endif
