/*
 * The catalog: all maps and sources of one configuration, compiled. Immutable and shared by all
 * workers; whoever made it destroys it after the last engine that uses it is gone.
 */
#ifndef TABLED_ENGINE_CATALOG_H
#define TABLED_ENGINE_CATALOG_H

#include "engine/dictionary.h"
#include "engine/map.h"

/* The options that every source has, whatever its driver. */
struct source_settings {
	int64_t query_timeout;  /* ms */
	int64_t retry_interval; /* ms */
};

extern const struct setting source_setting_table[];

/* A source section as it was read. Everything is borrowed from the configuration. */
struct source_config {
	const char *name;
	const struct backend *backend;
	const struct source_settings *settings;
	const void *own;                      /* the driver's options */
	const struct server_settings *server; /* NULL: the database is none */
};

/* Appends a text that differs from that of a source with other data, as far as one can tell. */
void source_describe(const struct source_config *source, struct buf *out);

struct map_config {
	const char *name;
	const struct map_settings *settings;
};

/* All that a configuration says of what can be looked up. */
struct catalog_config {
	const struct source_config *sources;
	size_t source_count;
	const struct map_config *maps;
	size_t map_count;
	const struct dictionary_config *dictionaries;
	size_t dictionary_count;
};

struct catalog {
	const struct source_config *sources; /* borrowed */
	size_t source_count;
	struct table
		*tables; /* owned; those of maps with a query, then those of dictionaries' keys */
	size_t table_count;
	struct map *maps; /* owned */
	size_t map_count;
	struct map_name *names;          /* owned; hash of maps by name */
	struct dictionary *dictionaries; /* owned */
	size_t dictionary_count;
	size_t counter_count; /* maps, and the keys of dictionaries, which have maps of their own */
};

/*
 * Compiles. All is borrowed for the catalog's life. Returns NULL with `why` on a mistake;
 * ret_culprit is then the settings of the map or key whose section holds it.
 */
struct catalog *catalog_create(
	const struct catalog_config *config, const void **ret_culprit, struct error *why);
void catalog_destroy(struct catalog *catalog);

/* A source by name, or NULL. Borrowed. */
const struct source_config *catalog_find_source(const struct catalog *catalog, const char *name);

/* Are its answers passwords? A map that serves some may be made of tables that don't say so. */
bool catalog_is_secret(const struct catalog *catalog, const struct table *table);

/* Appends the names of all maps, for a message. */
void catalog_list_maps(const struct catalog *catalog, struct buf *out);

/* A dictionary by name, or NULL. Borrowed. */
const struct dictionary *catalog_find_dictionary(const struct catalog *catalog, struct slice name);

/* A map by name, or NULL. Borrowed. */
const struct map *catalog_find(const struct catalog *catalog, struct slice name);

#endif
