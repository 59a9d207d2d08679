/*
 * A small configuration made in a test, without a file: sources, maps and the catalog of them.
 */
#ifndef TABLED_TESTS_SUPPORT_MAP_H
#define TABLED_TESTS_SUPPORT_MAP_H

#include "engine/catalog.h"
#include "support/fake.h"

enum { SETUP_MOST = 16 };

struct setup {
	struct source_settings source_settings;
	struct source_config sources[SETUP_MOST];
	size_t source_count;
	struct map_settings settings[SETUP_MOST];
	struct map_config maps[SETUP_MOST];
	size_t map_count;
	struct key_settings key_settings[SETUP_MOST];
	struct key_config keys[SETUP_MOST];
	struct dictionary_config dictionary;
	struct catalog *catalog;
	const void *culprit;
	struct error why;
};

static inline void setup_begin(struct setup *setup)
{
	*setup = (struct setup){0};
	settings_init(source_setting_table, &setup->source_settings);
}

static inline void setup_source(
	struct setup *setup, const char *name, const struct backend *backend, const void *own)
{
	setup->sources[setup->source_count++] =
		(struct source_config){name, backend, &setup->source_settings, own, NULL};
}

/* Items are parted by '|'. */
static inline void setup_option(struct setup *setup, const struct setting *table, void *values,
	const char *name, const char *text)
{
	const struct setting *row = setting_find(table, name);
	const char *items[SETUP_MOST];
	char *copy = strdup(text);
	size_t count = 0;

	ck_assert_ptr_nonnull(row);
	if (row->type != SETTING_LIST)
		items[count++] = copy;
	else
		for (char *at = copy; at; count++)
			items[count] = strsep(&at, "|");
	ck_assert_msg(
		setting_set(row, values, items, count, &setup->why) == 0, "%s", setup->why.text);
	free(copy);
}

/* Sets an option of the last map. */
static inline void setup_set(struct setup *setup, const char *name, const char *text)
{
	setup_option(setup, map_setting_table, &setup->settings[setup->map_count - 1], name, text);
}

/* Adds a key to the dictionary "test". */
static inline void setup_key(struct setup *setup, const char *pattern)
{
	struct key_settings *settings = &setup->key_settings[setup->dictionary.key_count];

	settings_init(key_setting_table, settings);
	setup->keys[setup->dictionary.key_count++] = (struct key_config){pattern, settings};
	setup->dictionary.name = "test";
	setup->dictionary.keys = setup->keys;
}

/* Sets an option of the last key. */
static inline void setup_key_set(struct setup *setup, const char *name, const char *text)
{
	setup_option(setup, key_setting_table,
		&setup->key_settings[setup->dictionary.key_count - 1], name, text);
}

/* Adds a map; source and query may be NULL. */
static inline void setup_map(
	struct setup *setup, const char *name, const char *source, const char *query)
{
	struct map_settings *settings = &setup->settings[setup->map_count];

	settings_init(map_setting_table, settings);
	setup->maps[setup->map_count++] = (struct map_config){name, settings};
	if (source)
		setup_set(setup, "source", source);
	if (query)
		setup_set(setup, "query", query);
}

/* Returns whether it could be compiled. */
static inline bool setup_compile(struct setup *setup)
{
	setup->why.text[0] = '\0';
	setup->why.option = NULL;
	setup->catalog =
		catalog_create(&(struct catalog_config){.sources = setup->sources,
				       .source_count = setup->source_count,
				       .maps = setup->maps,
				       .map_count = setup->map_count,
				       .dictionaries = &setup->dictionary,
				       .dictionary_count = setup->dictionary.key_count > 0},
			&setup->culprit, &setup->why);
	return setup->catalog != NULL;
}

static inline void setup_end(struct setup *setup)
{
	catalog_destroy(setup->catalog);
	for (size_t i = 0; i < setup->map_count; i++)
		settings_finish(map_setting_table, &setup->settings[i]);
	for (size_t i = 0; i < setup->dictionary.key_count; i++)
		settings_finish(key_setting_table, &setup->key_settings[i]);
}

#endif
