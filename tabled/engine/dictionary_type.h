/*
 * The types of a dictionary's columns, and what values of each look like. Pure functions, any
 * thread. To add a type: one word in each list here and in dictionary_type.c, and how it is written
 * in dictionary_sql.c, if a text is not what the database takes for it.
 */
#ifndef TABLED_ENGINE_DICTIONARY_TYPE_H
#define TABLED_ENGINE_DICTIONARY_TYPE_H

#include "base/error.h"
#include "base/slice.h"

enum dictionary_type { TYPE_STRING, TYPE_INT, TYPE_UINT, TYPE_DOUBLE, TYPE_UUID, TYPE_HEXBLOB };

/* Their words, as options have them, for people. */
#define DICTIONARY_TYPES "string|int|uint|double|uuid|hexblob"

/* Returns -1 if there is no type by that word. */
int dictionary_type_find(struct slice word, enum dictionary_type *ret_type);

struct dictionary_column {
	char *name; /* owned by whoever has the table */
	enum dictionary_type type;
};

/* Whether a value is one of the type: what is none must not come before a database, which may take
 * it for another one. Returns -1 with `why`. */
int dictionary_check_value(
	const struct dictionary_column *column, struct slice value, struct error *why);

#endif
