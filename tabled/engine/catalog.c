#include "engine/catalog.h"

#include "base/hash.h"
#include "base/memory.h"
#include "engine/dictionary_internal.h"

#include <stdlib.h>
#include <uthash.h>

/* clang-format off */
const struct setting source_setting_table[] = {
	{.name = "query_timeout", .type = SETTING_DURATION, .offset = offsetof(struct source_settings, query_timeout),
	 .fallback = "5s", .least = 10, .most = 90000,
	 .help = "How long a lookup may take in all, waiting for locks included; then the answer is \"try later\". "
		 "Postfix itself waits 100 s. 10ms to 90s."},
	{.name = "retry_interval", .type = SETTING_DURATION, .offset = offsetof(struct source_settings, retry_interval),
	 .fallback = "100ms", .least = 0, .most = 3600000,
	 .help = "How long a source that could not be opened is left alone before it is tried again. "
		 "For database servers the wait grows with each failure, up to 5s."},
	{0}
};
/* clang-format on */

/* A secret stands as a part of its hash, since the text may be written to a file. */
static void describe_secret(const char *secret, struct buf *out)
{
	static const struct hash_key key = {{0, 0}};

	buf_add_format(out, "%08x", (unsigned)hash_folded(&key, 0, slice_str(secret)));
}

static void describe_options(const struct setting *table, const void *values, struct buf *out)
{
	for (const struct setting *row = table; row->name; row++) {
		if (!setting_is_set(row, values))
			continue;
		buf_add_format(out, "\n%s=", row->name);
		if (row->type == SETTING_SECRET)
			describe_secret(
				*(char *const *)(const void *)((const char *)values + row->offset),
				out);
		else
			setting_show(row, values, out);
	}
}

void source_describe(const struct source_config *source, struct buf *out)
{
	buf_add_format(out, "%s %s", source->backend->name, source->name);
	describe_options(source->backend->settings, source->own, out);
	if (source->server)
		server_describe(source->server, out);
}

struct map_name {
	const struct map *map;
	UT_hash_handle hh;
};

/* Compiling: what is known while maps are gone through one after the other. */
struct compiler {
	struct catalog *catalog;
	const struct map_config *maps;
	struct table **table_of; /* for each map, its own table or NULL */
	struct error *why;
};

const struct source_config *catalog_find_source(const struct catalog *catalog, const char *name)
{
	for (size_t i = 0; i < catalog->source_count; i++)
		if (strcmp(catalog->sources[i].name, name) == 0)
			return &catalog->sources[i];
	return NULL;
}

static int unknown_source(const struct catalog *catalog, const char *name, struct error *why)
{
	const char *names[65] = {NULL};
	const char *closest;

	for (size_t i = 0; i < catalog->source_count && i < 64; i++)
		names[i] = catalog->sources[i].name;
	closest = setting_closest(name, names);
	if (!closest)
		closest = names[0];
	return error_option(why, "source",
		closest ? "source = \"%s\": there is no such source; did you mean \"%s\"?"
			: "source = \"%s\": there is no source section, such as sqlite %s { path = "
			  "\"/var/lib/tabled/mail.db\" }",
		name, closest ? closest : name);
}

/* What belongs to a table belongs to the members: here it would have no effect. */
static int check_composite(const struct map_settings *settings, struct error *why)
{
	const char *option = NULL;

	if (settings->domain.count)
		option = "domain";
	if (settings->expansion_limit)
		option = "expansion_limit";
	if (strcmp(settings->result_format, "%s") != 0)
		option = "result_format";
	if (settings->feed_tables.count)
		option = "feed_tables";
	if (settings->ttl != SETTING_WORD)
		option = "ttl";
	if (settings->negative_ttl != SETTING_WORD)
		option = "negative_ttl";
	if (!option)
		return 0;
	return error_option(
		why, option, "%s belongs into the maps that this one is made of", option);
}

static int check_kind(const struct map_settings *settings, struct error *why)
{
	bool has_query = settings->source || settings->query;

	if (settings->maps.count && has_query)
		return error_option(why, "maps",
			"a map has either source and query, or maps = {...}, not both");
	if (settings->maps.count)
		return check_composite(settings, why);
	if (!settings->source)
		return error_option(why, "source",
			"source is missing: the name of a source section (or use maps = {...})");
	if (!settings->query)
		return error_option(why, "query",
			"query is missing, such as \"SELECT goto FROM alias WHERE address = "
			"'%%s'\"");
	return 0;
}

static int compile_table(struct compiler *compiler, size_t at)
{
	const struct map_settings *settings = compiler->maps[at].settings;
	struct catalog *catalog = compiler->catalog;
	const struct source_config *source;
	struct table *table;

	if (check_kind(settings, compiler->why) < 0)
		return -1;
	if (settings->maps.count)
		return 0;
	source = catalog_find_source(catalog, settings->source);
	if (!source)
		return unknown_source(catalog, settings->source, compiler->why);
	table = &catalog->tables[catalog->table_count];
	compiler->table_of[at] = table;
	/* Numbered over all sources: a driver's array of statements has a few holes. */
	if (table_init(table, compiler->maps[at].name, settings,
		    (size_t)(source - catalog->sources), source->backend, compiler->why) < 0) {
		table_finish(table);
		return -1;
	}
	table->query.statement.id = catalog->table_count++;
	return 0;
}

/* The number of a map by name, or -1. */
static ptrdiff_t find_map(const struct compiler *compiler, const char *name)
{
	for (size_t i = 0; i < compiler->catalog->map_count; i++)
		if (strcmp(compiler->maps[i].name, name) == 0)
			return (ptrdiff_t)i;
	return -1;
}

static int compile_members(struct compiler *compiler, struct map *map, size_t at)
{
	const struct text_list *members = &compiler->maps[at].settings->maps;

	for (size_t i = 0; i < members->count; i++) {
		ptrdiff_t member = find_map(compiler, members->items[i]);

		if (member < 0)
			return error_option(compiler->why, "maps", "maps: there is no map \"%s\"",
				members->items[i]);
		if (!compiler->table_of[member])
			return error_option(compiler->why, "maps",
				"maps: \"%s\" is itself made of maps; list its members instead",
				members->items[i]);
		map->tables[map->table_count++] = compiler->table_of[member];
	}
	return 0;
}

/* Domains are asked for as they are, by one form. */
static int add_rejecting(struct compiler *compiler, struct map *map, size_t at)
{
	const struct map *domains = &compiler->catalog->maps[at];

	if (domains->rule.forms || domains == map)
		return error_option(compiler->why, "rejects_in",
			"rejects_in: \"%s\" is no map of plain domains, such as "
			"virtual_mailbox_domains",
			compiler->maps[at].name);
	map->rejecting = memory_resize(map->rejecting,
		(map->rejecting_count + domains->table_count) * sizeof(*map->rejecting));
	for (size_t i = 0; i < domains->table_count; i++)
		map->rejecting[map->rejecting_count++] = (struct map_table){domains, i};
	return 0;
}

/* What is not said: the maps that Postfix's own rule speaks of. */
static int add_rejecting_by_rule(struct compiler *compiler, struct map *map)
{
	const char *name = map->parameter->rejects_in;

	for (size_t i = 0; name && i < compiler->catalog->map_count; i++)
		if (strcmp(compiler->catalog->maps[i].parameter->name, name) == 0 &&
			add_rejecting(compiler, map, i) < 0)
			return -1;
	return 0;
}

/* Once all maps have their tables. */
static int compile_rejecting(struct compiler *compiler, size_t at)
{
	const struct map_settings *settings = compiler->maps[at].settings;
	struct map *map = &compiler->catalog->maps[at];

	if (!settings->rejects_in.count)
		return settings->stale_negative == CHOICE_AUTO
			       ? add_rejecting_by_rule(compiler, map)
			       : 0;
	for (size_t i = 0; i < settings->rejects_in.count; i++) {
		const char *name = settings->rejects_in.items[i];
		ptrdiff_t domains = find_map(compiler, name);

		if (domains < 0)
			return error_option(compiler->why, "rejects_in",
				"rejects_in: there is no map \"%s\"", name);
		if (add_rejecting(compiler, map, (size_t)domains) < 0)
			return -1;
	}
	return 0;
}

static int compile_map(struct compiler *compiler, size_t at)
{
	struct map *map = &compiler->catalog->maps[at];
	const struct map_settings *settings = compiler->maps[at].settings;
	struct map_name *name;

	map->index = at;
	map->tables = memory_new(settings->maps.count + 1, sizeof(*map->tables));
	if (compiler->table_of[at])
		map->tables[map->table_count++] = compiler->table_of[at];
	else if (compile_members(compiler, map, at) < 0)
		return -1;
	map_init_rules(map, settings);
	name = memory_new(1, sizeof(*name));
	name->map = map;
	HASH_ADD_KEYPTR(hh, compiler->catalog->names, map->name, strlen(map->name), name);
	return 0;
}

static int compile_maps(struct compiler *compiler, const void **ret_culprit)
{
	for (size_t i = 0; i < compiler->catalog->map_count; i++) {
		*ret_culprit = compiler->maps[i].settings;
		/* The rule first: that Postfix takes no such map matters more than its query. */
		if (map_init_rule(&compiler->catalog->maps[i], compiler->maps[i].name,
			    compiler->maps[i].settings, compiler->why) < 0)
			return -1;
		if (compile_table(compiler, i) < 0)
			return -1;
	}
	for (size_t i = 0; i < compiler->catalog->map_count; i++) {
		*ret_culprit = compiler->maps[i].settings;
		if (compile_map(compiler, i) < 0)
			return -1;
	}
	for (size_t i = 0; i < compiler->catalog->map_count; i++) {
		*ret_culprit = compiler->maps[i].settings;
		if (compile_rejecting(compiler, i) < 0)
			return -1;
	}
	return 0;
}

static int compile_dictionaries(
	struct compiler *compiler, const struct catalog_config *config, const void **ret_culprit)
{
	struct catalog *catalog = compiler->catalog;

	for (size_t i = 0; i < config->dictionary_count; i++) {
		const struct dictionary_config *dictionary = &config->dictionaries[i];
		size_t key = 0;

		catalog->dictionary_count++;
		if (dictionary_init(&catalog->dictionaries[i], dictionary, catalog, &key,
			    compiler->why) == 0)
			continue;
		*ret_culprit = dictionary->keys[key].settings;
		return -1;
	}
	return 0;
}

static size_t count_tables(const struct catalog_config *config)
{
	size_t count = config->map_count;

	for (size_t i = 0; i < config->dictionary_count; i++)
		count += dictionary_count_tables(
			&config->dictionaries[i], config->maps, config->map_count);
	return count;
}

struct catalog *catalog_create(
	const struct catalog_config *config, const void **ret_culprit, struct error *why)
{
	struct catalog *catalog = memory_new(1, sizeof(*catalog));
	struct compiler compiler = {.catalog = catalog, .maps = config->maps, .why = why};
	int result;

	*catalog = (struct catalog){.sources = config->sources,
		.source_count = config->source_count,
		.map_count = config->map_count,
		.counter_count = config->map_count,
		.tables = memory_new(count_tables(config), sizeof(struct table)),
		.maps = memory_new(config->map_count, sizeof(struct map)),
		.dictionaries = memory_new(config->dictionary_count, sizeof(struct dictionary))};
	compiler.table_of = memory_new(config->map_count, sizeof(*compiler.table_of));
	result = compile_maps(&compiler, ret_culprit);
	if (result == 0)
		result = compile_dictionaries(&compiler, config, ret_culprit);
	free(compiler.table_of);
	if (result == 0)
		return catalog;
	catalog_destroy(catalog);
	return NULL;
}

void catalog_destroy(struct catalog *catalog)
{
	struct map_name *name, *next;

	if (!catalog)
		return;
	HASH_ITER (hh, catalog->names, name, next) {
		HASH_DEL(catalog->names, name);
		free(name);
	}
	for (size_t i = 0; i < catalog->table_count; i++)
		table_finish(&catalog->tables[i]);
	for (size_t i = 0; i < catalog->map_count; i++)
		map_finish(&catalog->maps[i]);
	for (size_t i = 0; i < catalog->dictionary_count; i++)
		dictionary_finish(&catalog->dictionaries[i]);
	free(catalog->tables);
	free(catalog->maps);
	free(catalog->dictionaries);
	free(catalog);
}

const struct dictionary *catalog_find_dictionary(const struct catalog *catalog, struct slice name)
{
	for (size_t i = 0; i < catalog->dictionary_count; i++)
		if (slice_equal(slice_str(catalog->dictionaries[i].name), name))
			return &catalog->dictionaries[i];
	return NULL;
}

static bool has_table(const struct map *map, const struct table *table)
{
	for (size_t i = 0; i < map->table_count; i++)
		if (map->tables[i] == table)
			return true;
	return false;
}

const struct dictionary_key *catalog_key_of(
	const struct catalog *catalog, const struct table *table)
{
	for (size_t i = 0; i < catalog->dictionary_count; i++)
		for (size_t at = 0; at < catalog->dictionaries[i].key_count; at++)
			if (has_table(&catalog->dictionaries[i].keys[at].own, table))
				return &catalog->dictionaries[i].keys[at];
	return NULL;
}

/* Whether the map has the table, or the one that a dictionary has made this one of. */
static bool is_made_of(const struct map *map, const struct table *table)
{
	for (size_t i = 0; i < map->table_count; i++)
		if (map->tables[i]->settings == table->settings)
			return true;
	return false;
}

bool catalog_is_secret(const struct catalog *catalog, const struct table *table)
{
	for (size_t i = 0; i < catalog->map_count; i++)
		if (catalog->maps[i].parameter->secret && is_made_of(&catalog->maps[i], table))
			return true;
	return table_is_secret(table);
}

const struct map *catalog_find(const struct catalog *catalog, struct slice name)
{
	struct map_name *found;

	HASH_FIND(hh, catalog->names, name.data, name.size, found);
	return found ? found->map : NULL;
}

void catalog_list_maps(const struct catalog *catalog, struct buf *out)
{
	for (size_t i = 0; i < catalog->map_count; i++)
		buf_add_format(out, "%s%s", i ? ", " : "", catalog->maps[i].name);
}
