/* Makes dictionaries from the options of their keys. */
#include "base/memory.h"
#include "engine/dictionary_internal.h"

#include <stdlib.h>
#include <string.h>

/* What is compiled just now. */
struct compiler {
	struct catalog *catalog;
	struct dictionary_key *key;
	const struct key_settings *settings;
	struct error *why;
};

/* --- The map of a key */

/* A table of the catalog for the key alone. */
static struct table *add_table(struct compiler *compiler)
{
	struct catalog *catalog = compiler->catalog;
	struct table *table = &catalog->tables[catalog->table_count];
	struct map *own = &compiler->key->own;

	own->tables = memory_resize(own->tables, (own->table_count + 1) * sizeof(*own->tables));
	own->tables[own->table_count++] = table;
	*table = (struct table){0};
	return table;
}

/* Numbered as tables are, now that it is complete. */
static void table_is_added(struct compiler *compiler, struct table *table)
{
	table->query.statement.id = compiler->catalog->table_count++;
}

/*
 * By one column alone it can be told which value a changed row is of: if that is text, since
 * numbers and the like have other spellings in keys than in the database.
 */
static void init_reads(struct compiler *compiler, struct table *table)
{
	const struct dictionary_table *own = &compiler->key->table;
	const struct dialect *dialect = table->backend->dialect;
	const char *column = dictionary_text_column(own);
	struct text_list list = {(char *[]){compiler->settings->table}, 1};
	struct buf query = {0};

	if (!column) {
		reads_init_tables(&table->reads, &list, dialect);
		return;
	}
	buf_add_string(&query, "SELECT ");
	dictionary_sql_name(own->values[0].name, dialect, &query);
	buf_add_string(&query, " FROM ");
	dictionary_sql_name(own->name, dialect, &query);
	buf_add_string(&query, " WHERE ");
	dictionary_sql_name(column, dialect, &query);
	buf_add_string(&query, " = '%s'");
	reads_init(&table->reads, buf_string(&query), dialect);
	buf_finish(&query);
}

/* What a map would have said of the same rows. */
static void make_settings(struct compiler *compiler)
{
	struct dictionary_key *key = compiler->key;
	struct map_settings *own = &key->own_settings;

	settings_init(map_setting_table, own);
	own->query = key->query;
	own->ttl = compiler->settings->ttl;
	own->negative_ttl = compiler->settings->negative_ttl;
	own->stale_ttl = compiler->settings->stale_ttl;
	own->cache = key->table.expire_field ? CHOICE_NO : compiler->settings->cache;
}

static bool speaks_of_passwords(const char *text)
{
	return strcasestr(text, "pass") || strcasestr(text, "secret");
}

/*
 * An answer of who may log in by what must not be kept by oversight. An object of all columns there
 * are, whatever their names, may be one, too.
 */
static bool may_be_password(const struct compiler *compiler, const char *query)
{
	return speaks_of_passwords(compiler->key->pattern.text) || speaks_of_passwords(query) ||
	       (compiler->settings->format == FORMAT_JSON && strchr(query, '*'));
}

static void make_lookup(struct compiler *compiler, const struct source_config *source)
{
	struct dictionary_key *key = compiler->key;
	struct table *table = add_table(compiler);
	enum statement_kind kind;

	statement_writer_init(&key->lookup, source->backend->dialect);
	kind = dictionary_sql_lookup(&key->table, &key->lookup);
	*table = (struct table){.name = key->pattern.text,
		.source = key->source,
		.backend = source->backend,
		.shape = SHAPE_VALUES,
		.form_parts = dictionary_key_parts(key),
		.settings = &key->own_settings};
	table->query.statement = *statement_writer_end(&key->lookup, kind, 0);
	key->query = memory_copy_string(table->query.statement.text);
	table->is_secret = may_be_password(compiler, key->query);
	make_settings(compiler);
	table->domain = &key->own_settings.domain;
	init_reads(compiler, table);
	table_is_added(compiler, table);
}

static int compile_table(struct compiler *compiler)
{
	const struct key_settings *settings = compiler->settings;
	struct dictionary_key *key = compiler->key;
	const struct source_config *source;

	if (!settings->source)
		return error_option(
			compiler->why, "source", "source is missing: the name of a source section");
	source = catalog_find_source(compiler->catalog, settings->source);
	if (!source)
		return error_option(compiler->why, "source",
			"source = \"%s\": there is no such source", settings->source);
	key->source = (size_t)(source - compiler->catalog->sources);
	if (dictionary_table_init(key, settings, compiler->why) < 0)
		return -1;
	make_lookup(compiler, source);
	map_init_dictionary(&key->own, key->pattern.text, &key->own_settings);
	return 0;
}

/* The map's tables once more, with their rows in the form that the key wants. */
static int copy_tables(struct compiler *compiler, const struct map *map)
{
	for (size_t i = 0; i < map->table_count; i++) {
		const struct table *from = map->tables[i];
		struct table *table = add_table(compiler);

		if (table_init(table, from->name, from->settings, from->source, from->backend,
			    compiler->why) < 0) {
			table_finish(table);
			return -1;
		}
		table->shape = compiler->settings->format == FORMAT_JSON ? SHAPE_JSON : SHAPE_TEXT;
		table->query.statement.named = table->shape == SHAPE_JSON;
		table->is_secret = may_be_password(compiler, from->settings->query);
		table_is_added(compiler, table);
	}
	return 0;
}

/* What was not found may be a user, whatever it is where Postfix asks. */
static void keep_no_stale_negative(struct map *own)
{
	for (size_t i = 0; i < own->table_count && own->settings->stale_negative == CHOICE_AUTO;
		i++)
		own->rules[i].stale_negative = false;
}

static int compile_map(struct compiler *compiler)
{
	const struct key_settings *settings = compiler->settings;
	struct dictionary_key *key = compiler->key;
	const struct map *map = catalog_find(compiler->catalog, slice_str(settings->map));

	if (!map)
		return error_option(
			compiler->why, "map", "map = \"%s\": there is no such map", settings->map);
	if (key->pattern.is_private)
		return error_option(compiler->why, NULL,
			"a map does not know whose key it is asked for: use shared/");
	if (key->pattern.variables != 1)
		return error_option(compiler->why, NULL,
			"to be answered by a map it needs one variable, since a map is asked for "
			"one key");
	if (copy_tables(compiler, map) < 0)
		return -1;
	key->source = map->tables[0]->source;
	key->own.name = key->pattern.text;
	key->own.rule = map->rule;
	if (settings->format == FORMAT_JSON)
		key->own.rule.result = RESULT_AS_IS; /* no list of addresses */
	key->own.parameter = map->parameter;
	map_init_rules(&key->own, map->settings);
	keep_no_stale_negative(&key->own);
	return 0;
}

/* --- Keys */

/* Whether an option says anything else than it would if it were not there. */
static bool is_used(const struct key_settings *settings, const char *option)
{
	const struct setting *row = setting_find(key_setting_table, option);
	struct key_settings usual = {0};
	struct buf is = {0}, would_be = {0};
	bool result;

	settings_init(key_setting_table, &usual);
	setting_show(row, settings, &is);
	setting_show(row, &usual, &would_be);
	result = !slice_equal(buf_slice(&is), buf_slice(&would_be));
	settings_finish(key_setting_table, &usual);
	buf_finish(&is);
	buf_finish(&would_be);
	return result;
}

/* An option of the other kind would have no effect. */
static int check_options(struct compiler *compiler)
{
	static const char *const of_tables[] = {"source", "username_field", "value_field",
		"value_type", "fields", "expire_field", "ttl", "negative_ttl", "stale_ttl",
		"cache"};
	static const char *const of_maps[] = {"format", "iterate"};
	const struct key_settings *settings = compiler->settings;

	if (!settings->map == !settings->table)
		return error_option(compiler->why, settings->map ? "table" : NULL,
			"a key has either a map or a table");
	for (size_t i = 0; settings->table && i < sizeof(of_maps) / sizeof(of_maps[0]); i++)
		if (is_used(settings, of_maps[i]))
			return error_option(compiler->why, of_maps[i],
				"%s belongs to a map; this key is bound to a table", of_maps[i]);
	for (size_t i = 0; settings->map && i < sizeof(of_tables) / sizeof(of_tables[0]); i++)
		if (is_used(settings, of_tables[i]))
			return error_option(compiler->why, of_tables[i],
				"%s belongs to a table; this key is answered by a map",
				of_tables[i]);
	return 0;
}

static int compile_key(struct compiler *compiler, const char *pattern)
{
	struct dictionary_key *key = compiler->key;

	key->settings = compiler->settings;
	key->own.index = compiler->catalog->counter_count++;
	if (dictionary_pattern_init(&key->pattern, pattern, compiler->why) < 0 ||
		check_options(compiler) < 0)
		return -1;
	if ((compiler->settings->map ? compile_map(compiler) : compile_table(compiler)) < 0)
		return -1;
	key->map = &key->own;
	return 0;
}

size_t dictionary_count_tables(
	const struct dictionary_config *config, const struct map_config *maps, size_t map_count)
{
	size_t count = config->key_count;

	for (size_t i = 0; i < config->key_count; i++)
		for (size_t at = 0; config->keys[i].settings->map && at < map_count; at++)
			if (strcmp(maps[at].name, config->keys[i].settings->map) == 0)
				count += maps[at].settings->maps.count;
	return count;
}

int dictionary_init(struct dictionary *dictionary, const struct dictionary_config *config,
	struct catalog *catalog, size_t *ret_culprit, struct error *why)
{
	*dictionary = (struct dictionary){.name = config->name,
		.keys = memory_new(config->key_count + 1, sizeof(*dictionary->keys))};
	for (size_t i = 0; i < config->key_count; i++) {
		struct compiler compiler = {.catalog = catalog,
			.key = &dictionary->keys[i],
			.settings = config->keys[i].settings,
			.why = why};

		*ret_culprit = i;
		dictionary->key_count++;
		if (compile_key(&compiler, config->keys[i].pattern) < 0)
			return -1;
	}
	return 0;
}

static void key_finish(struct dictionary_key *key)
{
	dictionary_table_finish(&key->table);
	map_finish(&key->own);
	if (key->query) {
		key->own_settings.query = NULL;
		settings_finish(map_setting_table, &key->own_settings);
	}
	free(key->query);
	statement_writer_finish(&key->lookup);
}

void dictionary_finish(struct dictionary *dictionary)
{
	for (size_t i = 0; i < dictionary->key_count; i++)
		key_finish(&dictionary->keys[i]);
	free(dictionary->keys);
}
