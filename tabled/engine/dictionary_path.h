/*
 * The pattern of a dictionary's key, "shared/last-login/$user": text and variables. A variable
 * stands for what comes up to the next '/', the last one of a pattern that ends with it for all the
 * rest. Pure functions, any thread. Rules: dovecot: src/lib-dict-backend/dict-sql.c,
 * dict_sql_map_match().
 */
#ifndef TABLED_ENGINE_DICTIONARY_PATH_H
#define TABLED_ENGINE_DICTIONARY_PATH_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>

enum { DICTIONARY_VARIABLES_MAX = 8 };

/* A piece of text, and the variable behind it. */
struct dictionary_piece {
	struct slice text;
	struct slice variable; /* its name without the '$'; data == NULL: the pattern ends here */
};

/* All slices are borrowed from the text. */
struct dictionary_pattern {
	const char *text;
	struct dictionary_piece pieces[DICTIONARY_VARIABLES_MAX + 1];
	size_t variables;
	bool is_private;     /* priv/…: each user has his own */
	bool takes_the_rest; /* it ends with a variable */
};

/* `text` is borrowed for the pattern's life. Returns -1 with `why`, which shows what is right. */
int dictionary_pattern_init(
	struct dictionary_pattern *pattern, const char *text, struct error *why);

/* The number of a variable by name, or -1. */
ptrdiff_t dictionary_pattern_find(const struct dictionary_pattern *pattern, struct slice name);

/* Does the key fit? Then ret_values has what the variables stand for, borrowed from the key. */
bool dictionary_pattern_match(const struct dictionary_pattern *pattern, struct slice key,
	struct slice ret_values[DICTIONARY_VARIABLES_MAX]);

/* How a path that is iterated meets the keys of a pattern. Slices are borrowed from the path. */
struct dictionary_span {
	struct slice values[DICTIONARY_VARIABLES_MAX]; /* of the variables that the path tells */
	size_t known;
	/* What the variable behind them begins with, up to and with its '/'; empty: with anything.
	 */
	struct slice begin;
	struct slice prefix; /* what all keys of it begin with, before the first unknown variable */
	bool is_whole;       /* the path is a key by itself */
};

/*
 * Does the pattern have keys below the path: children of it or, if `recurse`, any further down?
 * Keys below "a/b/" begin with it; what stands for "a/b" itself is found by `exact`.
 */
bool dictionary_pattern_meets(const struct dictionary_pattern *pattern, struct slice path,
	bool recurse, bool exact, struct dictionary_span *ret_span);

/* Appends the rest of a key, from the first unknown variable on, of which `cells` are the values.
 */
void dictionary_pattern_complete(const struct dictionary_pattern *pattern,
	const struct dictionary_span *span, const struct slice *cells, struct buf *out);

#endif
