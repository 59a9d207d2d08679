/*
 * Between the files of reads: one reads SELECTs (reads.c), one their words, for what must not stand
 * in them (reads_words.c), and one conditions (reads_condition.c).
 */
#ifndef TABLED_ENGINE_READS_INTERNAL_H
#define TABLED_ENGINE_READS_INTERNAL_H

#include "engine/reads.h"
#include "engine/sql.h"

enum { READS_TABLES_MAX = 64, READS_DEPTH_MAX = 32 };

/* One table of the SELECT that is read, and the best that is known of its rows so far. */
struct source_table {
	char *name, *last; /* owned; the name as it is written, and its last part */
	char *alias;       /* owned; NULL: none */
	struct read best;  /* its table is not used */
};

struct parser {
	const struct dialect *dialect;
	const struct sql_token *tokens; /* without blanks and comments */
	size_t count, at;
	size_t depth;
	size_t selects; /* so many have been read */
	struct source_table tables[READS_TABLES_MAX];
	size_t table_count;
	struct reads *reads;
};

/* A part of the tokens. */
struct span {
	size_t from, to;
};

/* reads.c */

/* Takes back what was found, and says why. Always returns false. */
bool give_up(struct reads *reads, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same, for the token where the parser is. */
bool not_understood(struct parser *parser);

void read_clear(struct read *read);

/* reads_words.c */

bool is_word(const struct sql_token *token, const char *word);
bool is_sign(const struct sql_token *token, const char *sign);

/* `list` is separated and surrounded by blanks, and in lower case. */
bool is_listed(const struct sql_token *token, const char *list);

/* So many bytes of a token are shown to people. */
int shown_size(const struct sql_token *token);

/* The token so many places on, or one that is nothing. */
const struct sql_token *peek(const struct parser *parser, size_t ahead);

/* Whether all tokens may stand in a query whose answer depends on nothing but rows. */
bool check_tokens(struct parser *parser);

/* reads_condition.c */

/* May the token be the name of a table, its alias or a column? */
bool is_name(const struct parser *parser, const struct sql_token *token);

/* A name as the database keeps it. Given to the caller. */
char *name_of(const struct dialect *dialect, const struct sql_token *token, bool is_column);

/*
 * "a.b.c" at the front of a span, as a table's name, is appended; *ret_last is its last part.
 * Returns how many tokens it has, or 0 if there is none.
 */
size_t read_name(const struct parser *parser, struct span span, struct buf *ret_name,
	const struct sql_token **ret_last);

/* Where the parenthesis at `at` is closed; or `to`, if that is not in the span up to there. */
size_t closing(const struct parser *parser, size_t at, size_t to);

/* Notes what a condition says of the tables from number `from` on. */
void read_condition(struct parser *parser, struct span span, size_t from);

#endif
