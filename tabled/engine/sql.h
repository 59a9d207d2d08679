/*
 * SQL, read just closely enough to know what is text, what is a name and what is a comment, and
 * what the words of a query tell of it. Pure functions, any thread. Whoever reads a query has it
 * cut by sql_next(): so all agree on where a string ends.
 */
#ifndef TABLED_ENGINE_SQL_H
#define TABLED_ENGINE_SQL_H

#include "backend.h"

#include <stdbool.h>

enum sql_kind {
	SQL_BLANK,    /* one blank */
	SQL_COMMENT,  /* up to its end; of one that ends a line, without the newline */
	SQL_HINT,     /* a comment that MySQL or MariaDB reads */
	SQL_STRING,   /* '…'; "…" where that may be a string */
	SQL_DOLLAR,   /* $tag$ … $tag$ */
	SQL_NAME,     /* "…", `…` or […] */
	SQL_UNCLOSED, /* a quote that never ends; the token is all of the rest */
	SQL_KEYS,     /* :keys */
	SQL_WORD,     /* a name, a keyword or a number */
	SQL_SIGN,     /* any other character; also "::", and % with what follows it */
};

struct sql_token {
	enum sql_kind kind;
	struct slice text; /* with its quotes; borrowed */
};

/* Which database it is, where the marks of a dialect don't say what to write. */
static inline bool sql_is_postgresql(const struct dialect *dialect)
{
	return dialect->dollar_quotes;
}

static inline bool sql_is_mysql(const struct dialect *dialect)
{
	return dialect->hash_comments;
}

static inline bool sql_is_sqlite(const struct dialect *dialect)
{
	return dialect->bracket_names;
}

/* Cuts the first token off `*at`. Returns false at the end of the text. */
bool sql_next(const char **at, const struct dialect *dialect, struct sql_token *ret_token);

/* Appends what a string stands for, still with its expansions. */
void sql_decode(struct slice string, const struct dialect *dialect, struct buf *out);

/* May the character stand in a name or keyword? */
bool sql_is_name_character(char c);

/*
 * Of the next two `words` is the query in capitals, with a quote for each quoted part, and without
 * its comments.
 */

/* Whether the query may stand in a subquery, and there says what it says alone. In doubt: no. */
bool sql_is_select(struct slice words);

/* Whether the order of its rows is asked for, without a limit of their number. */
bool sql_is_ordered(struct slice words);

#endif
