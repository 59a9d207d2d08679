/*
 * The vocabulary of a lookup. Everything may include this header; it includes nothing of the
 * house but base/. Read it first, then ARCHITECTURE.md, "The way of one lookup".
 *
 * The values below travel by value or are borrowed; nothing here knows threads or I/O.
 */
#ifndef TABLED_LOOKUP_H
#define TABLED_LOOKUP_H

#include "base/buf.h"
#include "base/slice.h"

#include <stddef.h>
#include <stdint.h>

/* How a lookup ended. Zero is the answer that can do no harm: mail waits. */
enum status {
	TRY_LATER, /* not known now: the client keeps the mail and asks again */
	FOUND,
	NOT_FOUND, /* known not to exist; the only answer that may bounce mail */
	BROKEN,    /* will not get better until somebody changes the configuration or the data */
	UNSURE,    /* a write whose fate is unknown */
};
enum { STATUS_COUNT = UNSURE + 1 };

/* "found", "not found", "try later" …, for people. Static storage. */
const char *status_text(enum status status);

/*
 * What Postfix's own clients and servers can carry (socketmap_table(5), tcp_table(5)). They bound
 * every buffer in the house.
 */
enum {
	LOOKUP_KEY_MAX = 10000,    /* bytes of a key: socketmap_max_query_size */
	LOOKUP_TEXT_MAX = 100000,  /* bytes of a reply: socketmap_max_reply_size */
	LOOKUP_ROWS_MAX = 4 << 20, /* bytes of rows that one question may bring */
};

/* What a client asks. Both slices are borrowed from the bytes it came in. */
struct request {
	struct slice map; /* data == NULL: the listener's own map (tcp_table names none) */
	struct slice key;
};

/* What it gets. FOUND: the text is the result; else it is the reason, for the client's log. */
struct reply {
	enum status status;
	struct slice text; /* borrowed, good during the call that hands it over */
	const char *map;   /* whose it is, for the log; NULL: of none. Borrowed likewise */
};

/*
 * The rows that answer one question, cell after cell. Owns its bytes. Cells may be NULL
 * (data == NULL), which is not the empty string.
 */
struct rows {
	size_t columns; /* cells in a row; set by the first row */
	size_t count;   /* rows */
	struct buf text;
	struct buf spans; /* a struct span for each cell */
	struct buf names; /* of the columns, if they were asked for, with a NUL behind each */
};

/*
 * Appends a row. Returns -1, and appends nothing, if LOOKUP_ROWS_MAX would be exceeded or the row
 * has other columns than the first.
 */
int rows_add(struct rows *rows, const struct slice *cells, size_t columns);

/* A cell, borrowed from the rows. */
struct slice rows_cell(const struct rows *rows, size_t row, size_t column);

/* The name of a column, borrowed from the rows; empty if it has none. */
struct slice rows_name(const struct rows *rows, size_t column);

/* Forgets the rows, keeps the memory. */
void rows_clear(struct rows *rows);

/* Frees the memory, wiping it first, since a cell may be a password. */
void rows_finish(struct rows *rows);

#endif
