/*
 * The configuration: a file becomes an immutable snapshot, with everything in it checked and
 * compiled. Any thread may read it; whoever has it last destroys it.
 *
 * What a section is called and which options it has is not told here: those come from the tables
 * of whoever has the options (see setting.h). A new kind of section is one row in config.c.
 */
#ifndef TABLED_CONFIG_H
#define TABLED_CONFIG_H

#include "engine/cache.h"
#include "engine/catalog.h"
#include "net/listener.h"

#include <stdatomic.h>

/* The options outside of sections. */
struct global_settings {
	char *user;
	char *group;
	int log;         /* enum log_target */
	int log_level;   /* position in "error|warning|info|debug" */
	int64_t workers; /* 0: as config_workers() says */
};

struct config {
	struct global_settings global;
	struct source_config *sources;
	size_t source_count;
	struct map_config *maps;
	size_t map_count;
	struct dictionary_config *dictionaries;
	size_t dictionary_count;
	struct key_config *keys; /* of all dictionaries, one after the other */
	size_t key_count;
	struct listener_config *listeners;
	size_t listener_count;
	const struct cache_settings *cache;
	struct catalog *catalog;
	struct config_section *sections; /* see config_internal.h */
	size_t section_count;
	char *path;
	atomic_uint users; /* see config_hold() */
};

/*
 * Reads and checks a file. Returns NULL with `why`, "file:line: what is wrong and what would be
 * right". What may not be what was meant is logged as a warning.
 */
struct config *config_read(const char *path, struct error *why);

/* Takes NULL. */
void config_destroy(struct config *config);

/*
 * For a configuration that several workers use. Who has read it holds it; the last who lets it go,
 * from any thread, destroys it. config_hold() returns the configuration.
 */
struct config *config_hold(struct config *config);
void config_release(struct config *config);

/* How many workers there shall be. */
unsigned config_workers(const struct config *config);

/* Appends the configuration as a file, with all defaults, secrets hidden. */
void config_show(const struct config *config, struct buf *out);

/* Appends the SQL that the keys of dictionaries stand for, for people. */
void config_show_sql(const struct config *config, struct buf *out);

/* Puts "file:line: " of a listener's section in front of an error that opening it has given. */
void config_blame_listener(const struct config *config, size_t listener, struct error *why);

/* The same for the options outside of sections. */
void config_blame_global(const struct config *config, struct error *why);

/* Appends a manual page's description of all sections and options, in scdoc's form. */
void config_describe(struct buf *out);

#endif
