/*
 * A dictionary as Dovecot knows them: keys, and what answers each of them. A key is answered by a
 * map, or bound to a table of a source, which can be written to as well. Made from the
 * configuration and then immutable; any thread may read it. To add an option for keys: one field
 * here, one row in dictionary.c, and its name in dictionary_compile.c, check_options(): whether it
 * is one of maps or of tables.
 *
 * A key that is looked up is asked of a map of its own (dictionary_key.map), which no client knows
 * by name: so it is cached, joined and batched as any lookup. What is asked of it, the key form,
 * holds the values of all fields: see dictionary_form().
 */
#ifndef TABLED_ENGINE_DICTIONARY_H
#define TABLED_ENGINE_DICTIONARY_H

#include "engine/dictionary_sql.h"
#include "engine/map.h"

struct source_config;

/* The options of a `key` section. */
struct key_settings {
	char *map;
	int format; /* enum key_format */
	char *iterate;
	char *source, *table;
	char *username_field;
	struct text_list value_field, value_type, fields;
	char *expire_field;
	int64_t ttl, negative_ttl, stale_ttl; /* as those of a map */
	int cache;
};

enum key_format { FORMAT_VALUE, FORMAT_JSON };

extern const struct setting key_setting_table[];

/* A `key` section as it was read. Borrowed from the configuration. */
struct key_config {
	const char *pattern;
	const struct key_settings *settings;
};

struct dictionary_config {
	const char *name;
	const struct key_config *keys;
	size_t key_count;
};

struct dictionary_key {
	struct dictionary_pattern pattern;
	const struct key_settings *settings; /* borrowed */
	const struct map *map;         /* what is asked for it; borrowed from the catalog, or own */
	struct dictionary_table table; /* name == NULL: it is not bound to one */
	size_t source;                 /* index in the catalog; of `table`, or of `iterate` */
	struct map own;                /* of a table, or of the JSON of a map */
	struct map_settings
		own_settings;           /* of its tables; what is not owned by the map it copies */
	char *query;                    /* owned; for logs, and to tell spaces apart */
	struct statement_writer lookup; /* of `table` */
};

struct dictionary {
	const char *name;            /* borrowed */
	struct dictionary_key *keys; /* owned */
	size_t key_count;
};

/* What a key that is looked up, or written to, means. */
struct dictionary_place {
	const struct dictionary_key *key;
	struct slice values[DICTIONARY_VARIABLES_MAX]; /* borrowed from the path */
	struct slice user;                             /* borrowed; only of private keys */
};

/*
 * Finds the first key whose pattern fits. Returns -1 with `why` if there is none, if a value is not
 * of its type, or if a private key comes without a user. `why` does not name the key, which may be
 * somebody's address.
 */
int dictionary_find(const struct dictionary *dictionary, struct slice path, struct slice user,
	struct dictionary_place *ret_place, struct error *why);

/* Appends the key form: the values of all fields, then the user (form.h). */
void dictionary_form(const struct dictionary_place *place, struct buf *out);

/* Appends what is asked and done for each key, as SQL with placeholders, for people. */
void dictionary_show_sql(
	const struct dictionary *dictionary, const struct source_config *sources, struct buf *out);

#endif
