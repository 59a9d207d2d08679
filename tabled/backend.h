/*
 * The extension point for databases. To add one: write backends/NAME.c with a
 * `const struct backend NAME_backend`, and add the word to backends/meson.build. Start with
 * backends/memory.c, the shortest, or backends/pgsql.c for a database server. The engine owns pool,
 * hosts, back-off, deadlines, templates, the making of batches and the reading of answers; a driver
 * only opens, asks and closes.
 *
 * A connection belongs to one thread at a time: the worker that asks, or the one on which the
 * engine has it opened, cancelled or closed. Drivers keep no state outside `conn`.
 */
#ifndef TABLED_BACKEND_H
#define TABLED_BACKEND_H

#include "base/error.h"
#include "lookup.h"
#include "server.h"
#include "setting.h"

/* Room for a statement's parameters; a query may have one string with expansions less. */
enum { STATEMENT_PARAMS_MAX = 64 };

/* How a statement can be asked for many keys in one query. */
enum statement_kind {
	STATEMENT_ALONE,  /* not at all: a procedure call, several statements … */
	STATEMENT_SELECT, /* it may stand in a subquery */
	STATEMENT_KEYS,   /* it names :keys; the first column of its rows is the key of each */
	STATEMENT_ONCE, /* not at all, and nothing is kept of it: its text may be gone afterwards */
};

/* A piece of SQL and the parameter behind it. */
struct statement_part {
	struct slice sql;
	size_t param; /* 1, 2 …; 0: none, this is the last piece */
};

/* A query as the engine made it from a map's template. Immutable; outlives all connections. */
struct statement {
	size_t id;        /* 0, 1, 2 … over all sources: an index for prepared statements */
	const char *text; /* SQL with the driver's placeholders, for one key */
	size_t params;
	enum statement_kind kind;
	bool ordered; /* holds the words ORDER BY, but no LIMIT */
	bool named;   /* its rows get their columns' names: batch_add_name() */
	const struct statement_part *parts; /* the same text, cut at its placeholders */
	size_t part_count;                  /* 0: a command: see open_for_writing() and rang() */
};

/* One statement with its parameters, and what came of it. */
struct question {
	const struct statement *statement; /* borrowed */
	const struct slice *params;        /* borrowed; never NULL values */
	struct rows *rows;                 /* borrowed; arrives empty */
	enum status
		status; /* arrives as TRY_LATER. FOUND: there are rows; NOT_FOUND: there are none */
	struct error *why; /* borrowed; filled unless FOUND or NOT_FOUND */
	uint64_t changed;  /* of a STATEMENT_ONCE that brings no rows: those that it has met */
};

struct batch {
	/* More than one only on a server, and then all of one statement that is not ALONE. */
	struct question *questions;
	size_t count;
	uint64_t deadline; /* clock_ms(): when the answer is no longer of use */
	bool only_check; /* prepare the statements, ask nothing: NOT_FOUND says that all is well */
	bool is_refused; /* of what is LOST: the server has said itself that nothing has happened */
};

/* How far a batch has come. */
enum progress {
	DONE, /* every question has its status */
	BUSY, /* somebody holds a lock; nothing was asked. Start the batch again a little later. */
	LOST, /* the connection is of no use: close and reopen; `why` of the first question says why
	       */
	SPLIT,      /* of several questions at least one is at fault: ask them in smaller batches */
	WANT_READ,  /* call advance() when the descriptor is readable */
	WANT_WRITE, /* … or writable */
};

/* How a driver's SQL is written, so that the engine can turn '%s' into a parameter. */
struct dialect {
	char placeholder;        /* '?' or '$' */
	bool numbered;           /* placeholders carry their number: ?1, $1 */
	bool backslash_escapes;  /* inside '…', \ escapes the next character */
	bool double_quoted_text; /* "…" may be a string */
	bool hash_comments;      /* # starts a comment */
	bool dollar_quotes;      /* $tag$ … $tag$ */
	bool bracket_names;      /* [x] is a quoted name */
};

struct backend {
	const char *name; /* the configuration's keyword */
	const struct setting *settings;
	size_t config_size; /* of the struct that `settings` describes */
	size_t conn_size;   /* of the connection; the engine allocates it, zeroed */
	const struct dialect *dialect;
	bool first_column_only; /* as Postfix's own client of this database reads rows */

	/*
	 * The database is a server: there are hosts and a pool, batches go on in advance(), and
	 * open(), cancel() and close() are called on a thread where they may block.
	 */
	bool is_server;
	unsigned usual_port;

	/* Checks what rows of `settings` can't. Returns -1 with `why`. May be NULL. */
	int (*check)(const void *config, struct error *why);

	/*
	 * Who carries out what changes rows: connections of this backend get their settings with
	 * read_only = no, and are asked nothing but commands (BEGIN, COMMIT, ROLLBACK) and
	 * STATEMENT_ONCE. It is a server, be it of its own making, so that waiting for locks and
	 * disks stops nobody. NULL: this database can't be written to.
	 */
	const struct backend *writer;

	/*
	 * Makes an empty database where the configuration says, if there is none. Returns -1 with
	 * `why`. NULL: that is an administrator's work, with the database's own tools.
	 */
	int (*create)(const void *config, struct error *why);

	/*
	 * Opens. `config` is borrowed for the life of the connection; `server` is NULL for what is
	 * none. Returns -1 with `why`, no later than settings->connect_timeout, names aside.
	 */
	int (*open)(void *conn, const void *config, const struct server *server, struct error *why);

	/*
	 * The same, for programs that change the database by commands, which are statements without
	 * parameters and parts: each is carried out as it stands, and NOT_FOUND says that it is
	 * done. A transaction that one of them begins goes on until another one ends it. NULL:
	 * open() does, if settings->read_only is no.
	 */
	int (*open_for_writing)(
		void *conn, const void *config, const struct server *server, struct error *why);

	/* Asks. One bad key is that question's BROKEN or TRY_LATER, never the connection's LOST. */
	enum progress (*start)(void *conn, struct batch *batch);

	/*
	 * Servers only: goes on with what start() began, never blocking. Between batches it is
	 * called when the descriptor is readable: DONE if all is well, or LOST.
	 */
	enum progress (*advance)(void *conn);

	/* Servers only: the descriptor to be watched. Stays the same from open() to close(). */
	int (*fd)(const void *conn);

	/*
	 * Servers only: whether the server has rung since the last call, or since open(). To be
	 * looked at whenever a batch or advance() is DONE. May be NULL: this one never rings.
	 *
	 * It rings where it was asked to, by the command "LISTEN name", for the life of the
	 * connection. Through a pooler or on a standby nobody would hear anything: there that is
	 * BROKEN.
	 */
	bool (*rang)(void *conn);

	/*
	 * Nothing will be asked for a moment: the worker is about to sleep, or what was read before
	 * may be too old. What was kept between batches to save work, such as a read lock, is given
	 * back. May be NULL.
	 */
	void (*rest)(void *conn);

	/*
	 * Asks the server to stop the query that runs; close() follows. It may block for ever.
	 * NULL: the server itself knows when to stop. The configuration may be gone by then.
	 */
	void (*cancel)(void *conn);

	/*
	 * Closes; accepts a connection whose open() failed half-way. The configuration may be gone
	 * by then.
	 */
	void (*close)(void *conn);
};

/* All backends that were built, NULL at the end. Made from backends/meson.build. */
extern const struct backend *const backends[];

/*
 * For drivers: what a connection knows of a statement, `size` bytes, at first all zero. `slots`
 * holds them by the statements' ids; a slot is good until another statement's is asked for.
 */
void *statement_slot(struct buf *slots, const struct statement *statement, size_t size);

/*
 * For drivers: another descriptor of a connection's socket, since a client library closes its own
 * when it likes; -1 with errno. descriptor_close() takes -1.
 */
int descriptor_copy(int fd);
void descriptor_close(int fd);

/*
 * For drivers: what an error of the database says. The tables that sort codes are theirs; what
 * follows from it is the same for all.
 */
enum fault {
	FAULT_KEY,        /* of this key: another one may well be answered */
	FAULT_QUERY,      /* of the query: wrong for every key, until somebody mends it */
	FAULT_MOMENT,     /* of nobody, such as a deadlock: the same question may do better */
	FAULT_CONNECTION, /* it, or its server, is of no use any more */
	FAULT_REFUSED, /* the same, and for certain nothing has happened: it takes no writes … */
};

/* Gives the batch what an error means: returns DONE, SPLIT or LOST. */
enum progress batch_fail(struct batch *batch, enum fault fault, const char *text);

/* Adds a row to a question; with too many bytes or columns, the question is BROKEN. */
void batch_add_row(struct batch *batch, size_t question, const struct slice *cells, size_t columns);

/*
 * The name of the answers' next column, if the statement is `named`; else nothing is done. To be
 * called for each column of a result, in their order, before its rows; what is no part of an answer
 * (the number or the key of a question) is left out.
 */
void batch_add_name(struct batch *batch, struct slice name);

/*
 * The same for STATEMENT_KEYS: the first of the cells says whose row it is. Returns -1 when no
 * question has that very key: the database compares otherwise than by bytes, and the batch has to
 * be SPLIT. One question alone takes all rows. The key is left out of the row, unless it is all.
 */
int batch_add_keyed_row(struct batch *batch, const struct slice *cells, size_t columns);

/* All rows are there: questions without a status are FOUND or NOT_FOUND. Returns DONE. */
enum progress batch_finish(struct batch *batch);

/* Forgets rows and statuses, to ask once more. */
void batch_clear(struct batch *batch);

/* Whether it is the command, such as "BEGIN", in any case of letters. */
bool statement_is_command(const struct statement *statement, const char *command);

/*
 * For drivers of databases that go on after an error within a transaction, or have then rolled it
 * back: what came next would be a half of it, or stand alone. So nothing is let through but
 * ROLLBACK; PostgreSQL does that by itself. Of a connection; zero at first.
 */
struct transaction_state {
	bool is_open; /* BEGIN was carried out, neither COMMIT nor ROLLBACK yet */
	bool has_failed;
};

/* Whether the batch may be asked. If not, it has its answer: BROKEN. */
bool transaction_allows(const struct transaction_state *transaction, struct batch *batch);

/* Notes what came of a batch that is DONE. */
void transaction_note(struct transaction_state *transaction, const struct batch *batch);

#endif
