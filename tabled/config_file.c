/*
 * A configuration file becomes a snapshot: what config_parse.c has read of its sections is put
 * where it belongs, with the lines to blame.
 */
#include "config_internal.h"
#include "config_parse.h"

#include "base/log.h"
#include "base/memory.h"

#include <stdlib.h>

/* One file being taken over. */
struct reader {
	struct config_parse parse;
	struct config *config;
	struct error *why;
};

static void section_init(
	struct config_section *section, const struct config_kind *kind, const cfg_t *from)
{
	*section = (struct config_section){.kind = *kind, .line = from ? from->line : 0};
	section->title = memory_copy_string(kind->title ? cfg_title((cfg_t *)from) : NULL);
	for (size_t part = 0; part < CONFIG_PARTS; part++) {
		const struct setting *table = kind->parts[part].table;

		if (!table)
			continue;
		section->values[part] = memory_new(1, kind->parts[part].size);
		section->lines[part] = memory_new(setting_count(table), sizeof(int));
		settings_init(table, section->values[part]);
	}
}

/* Takes over an option that the file sets. */
static int take_option(struct reader *reader, struct config_section *section, size_t part,
	const struct setting *row, cfg_opt_t *option)
{
	int *line = &section->lines[part][row - section->kind.parts[part].table];
	unsigned count = cfg_opt_size(option);
	const char **items;
	int result;

	*line = config_parse_line(&reader->parse, option);
	if (!count || !*line)
		return 0; /* an empty list is as good as none */
	items = memory_new(count, sizeof(*items));
	for (unsigned i = 0; i < count; i++)
		items[i] = cfg_opt_getnstr(option, i);
	result = setting_set(row, section->values[part], items, count, reader->why);
	free(items);
	if (result < 0)
		return config_blame(reader->config, section, reader->why);
	if (row->unused)
		log_warning("%s:%d: %s has no effect here: %s", reader->config->path, *line,
			row->name, row->help);
	return 0;
}

static int take_options(struct reader *reader, struct config_section *section, cfg_t *from)
{
	for (size_t part = 0; part < CONFIG_PARTS; part++) {
		const struct setting *table = section->kind.parts[part].table;

		for (size_t i = 0; i < setting_count(table); i++) {
			if (take_option(reader, section, part, &table[i],
				    cfg_getopt(from, table[i].name)) < 0)
				return -1;
			if (!table[i].required || section->lines[part][i])
				continue;
			error_set(reader->why, "%s is missing: %s", table[i].name, table[i].help);
			return config_blame(reader->config, section, reader->why);
		}
	}
	return 0;
}

/* A map, a dictionary, or a key of the dictionary that came last. */
static void file_named(struct config *config, struct config_section *section)
{
	const char *keyword = section->kind.keyword;

	if (strcmp(keyword, "map") == 0) {
		config->maps[config->map_count++] =
			(struct map_config){section->title, section->values[0]};
	} else if (strcmp(keyword, "dictionary") == 0) {
		config->dictionaries[config->dictionary_count++] = (struct dictionary_config){
			section->title, &config->keys[config->key_count], 0};
	} else {
		config->dictionaries[config->dictionary_count - 1].key_count++;
		config->keys[config->key_count++] =
			(struct key_config){section->title, section->values[0]};
	}
}

static struct listener_config listener_of(const struct config_section *section)
{
	const struct proto *proto = section->kind.proto;
	const struct listener_map_settings *map = section->values[1];
	const struct listener_dictionary_settings *dictionaries = section->values[1];

	return (struct listener_config){.proto = proto,
		.settings = section->values[0],
		.map = proto->kind == PROTO_ONE_MAP ? map->map : NULL,
		.dictionaries = proto->kind == PROTO_SESSION ? &dictionaries->dictionaries : NULL};
}

/* Passes a section's values on to where they belong. */
static int file_section(struct reader *reader, struct config_section *section)
{
	struct config *config = reader->config;
	const struct config_kind *kind = &section->kind;

	if (kind->backend) {
		config->sources[config->source_count++] = (struct source_config){section->title,
			kind->backend, section->values[1], section->values[0],
			kind->backend->is_server ? section->values[2] : NULL};
	} else if (kind->proto) {
		config->listeners[config->listener_count++] = listener_of(section);
	} else if (kind->is_single) {
		if (config->cache) {
			error_set(reader->why, "there is a cache section already");
			return config_blame(config, section, reader->why);
		}
		config->cache = section->values[0];
	} else {
		file_named(config, section);
	}
	return 0;
}

static int take_sections(struct reader *reader, const struct config_kind *parent, cfg_t *from);

static int take_section(struct reader *reader, const struct config_kind *kind, cfg_t *from)
{
	struct config *config = reader->config;
	struct config_section *section = &config->sections[config->section_count++];

	section_init(section, kind, from);
	if (from && take_options(reader, section, from) < 0)
		return -1;
	if (!kind->keyword) {
		/* The first section holds them, and frees them. */
		config->global = *(struct global_settings *)section->values[0];
		return 0;
	}
	if (file_section(reader, section) < 0)
		return -1;
	return from ? take_sections(reader, kind, from) : 0;
}

/* All sections that stand in one, or in the file. */
static int take_sections(struct reader *reader, const struct config_kind *parent, cfg_t *from)
{
	for (size_t i = 1; i < reader->parse.kind_count; i++) {
		const struct config_kind *kind = &reader->parse.kinds[i];

		if (!config_kind_stands_in(kind, parent))
			continue;
		if (kind->is_single && !cfg_size(from, kind->keyword) &&
			take_section(reader, kind, NULL) < 0)
			return -1;
		for (unsigned at = 0; at < cfg_size(from, kind->keyword); at++)
			if (take_section(reader, kind, cfg_getnsec(from, kind->keyword, at)) < 0)
				return -1;
	}
	return 0;
}

/* How many sections there are, at most. */
static size_t count_sections(
	const struct reader *reader, const struct config_kind *parent, cfg_t *from)
{
	size_t count = 0;

	for (size_t i = 1; i < reader->parse.kind_count; i++) {
		const struct config_kind *kind = &reader->parse.kinds[i];

		if (!config_kind_stands_in(kind, parent))
			continue;
		count += cfg_size(from, kind->keyword) + kind->is_single;
		for (unsigned at = 0; at < cfg_size(from, kind->keyword); at++)
			count += count_sections(reader, kind, cfg_getnsec(from, kind->keyword, at));
	}
	return count;
}

static int take_all(struct reader *reader)
{
	cfg_t *root = reader->parse.root;
	struct config *config = reader->config;
	const struct config_kind *file = &reader->parse.kinds[0];
	size_t room = 1 + count_sections(reader, file, root);

	config->sections = memory_new(room, sizeof(*config->sections));
	config->sources = memory_new(room, sizeof(*config->sources));
	config->maps = memory_new(room, sizeof(*config->maps));
	config->dictionaries = memory_new(room, sizeof(*config->dictionaries));
	config->keys = memory_new(room, sizeof(*config->keys));
	config->listeners = memory_new(room, sizeof(*config->listeners));
	return take_section(reader, file, root) < 0 ? -1 : take_sections(reader, file, root);
}

struct config *config_read(const char *path, struct error *why)
{
	struct config *config = config_hold(memory_new(1, sizeof(*config)));
	struct reader reader = {.config = config, .why = why};
	int result;

	config->path = memory_copy_string(path);
	result = config_parse(&reader.parse, path, why);
	if (result == 0)
		result = take_all(&reader);
	config_parse_finish(&reader.parse);
	if (result == 0 && config_check(config, why) == 0)
		return config;
	config_destroy(config);
	return NULL;
}
