/*
 * What a query reads: for each table of each of its SELECTs, which of its rows can have a part in
 * the answer for a key. By it, a changed row is enough to know which answers may be different now.
 * Pure functions, any thread; immutable once made. Start with reads_init().
 *
 * What is not surely understood is unknown, since a wrong dependency would keep a wrong answer for
 * ever. To have another function or another clause understood, begin in reads.c.
 */
#ifndef TABLED_ENGINE_READS_H
#define TABLED_ENGINE_READS_H

#include "backend.h"

enum read_kind {
	READ_KEY,     /* rows whose column equals the key */
	READ_USER,    /* … the key's local part */
	READ_DOMAIN,  /* … the key's domain */
	READ_LITERAL, /* … a text of the query, whatever the key */
	READ_ANY,     /* any row, for any key */
};

/*
 * One table of one SELECT. A row that was changed, and that had another value in this column both
 * before and after, has no part in the answer. Names are as the database keeps them: of what it
 * takes in any case, in lower case.
 */
struct read {
	char *table;  /* "alias", or "public.alias" where the query says so */
	char *column; /* NULL if READ_ANY */
	enum read_kind kind;
	char *literal; /* of READ_LITERAL, else NULL */
};

/*
 * All of a query. Each of the items has to be watched, and each may be enough of a reason to ask
 * again. No item at all: the answer never changes (SELECT 'OK').
 */
struct reads {
	struct read *items; /* owned, as are the strings */
	size_t count;
	char *unknown; /* owned; NULL: the items are all. Else why not: "it calls get_quota()" */
	bool by_clock; /* it compares with CURRENT_TIMESTAMP: an answer also changes by itself */
};

/* Reads the template of a query, as it stands in a map's option. Never fails: in doubt, unknown. */
void reads_init(struct reads *reads, const char *query, const struct dialect *dialect);

/* The administrator's word instead: any row of these tables may matter. */
void reads_init_tables(
	struct reads *reads, const struct text_list *tables, const struct dialect *dialect);

/* Takes it all back: it is unknown, and that is why. */
void reads_forget(struct reads *reads, const char *why);

/* Takes a zeroed struct, too. */
void reads_finish(struct reads *reads);

/* Appends an item for people: "alias.address = key", "any row of alias". */
void read_show(const struct read *read, struct buf *out);

#endif
