/* Makes dictionaries from the options of their keys. */
#include "base/memory.h"
#include "engine/dictionary_internal.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_MOST = 128 };

/* What is compiled just now. */
struct compiler {
	struct catalog *catalog;
	struct dictionary_key *key;
	const struct key_settings *settings;
	struct error *why;
};

/* --- Options of a table */

/* Names are those that need no quotes in SQL, other than to be told from words of SQL's own. */
static int check_name(const char *option, const char *name, bool may_have_schema, struct error *why)
{
	static const char legal[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
	const char *at = name;
	size_t size = strspn(at, legal);

	if (may_have_schema && size && at[size] == '.')
		size = strspn(at += size + 1, legal);
	if (size && !at[size] && strlen(name) <= NAME_MOST)
		return 0;
	return error_option(why, option,
		"%s: \"%.100s\" is no plain name of a %s: letters, digits and _", option, name,
		may_have_schema ? "table, or schema.table" : "column");
}

static int read_type(struct slice word, enum dictionary_type *ret_type)
{
	static const char *const words[] = {"string", "int", "uint", "double", "uuid", "hexblob"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!slice_equal(word, slice_str(words[i])))
			continue;
		*ret_type = (enum dictionary_type)i;
		return 0;
	}
	return -1;
}

static int bad_field(const char *text, struct error *why)
{
	return error_option(why, "fields",
		"fields: \"%.100s\" is none of \"column = $variable\" and \"column = "
		"$variable:type\", where type is one of " DICTIONARY_TYPES,
		text);
}

static struct slice trim(struct slice text)
{
	while (text.size && strchr(" \t", text.data[0]))
		text = slice_from(text, 1);
	while (text.size && strchr(" \t", text.data[text.size - 1]))
		text.size--;
	return text;
}

/*
 * "$variable" or "$variable:type". Not "${type:variable}", as in Dovecot's file: in double quotes
 * libConfuse takes that for a variable of the environment.
 */
static int read_variable(
	struct slice text, struct slice *ret_variable, enum dictionary_type *ret_type)
{
	ptrdiff_t colon = slice_find(text, ':');

	*ret_type = TYPE_STRING;
	if (text.size < 2 || text.data[0] != '$')
		return -1;
	*ret_variable = slice_of(text.data + 1, (colon < 0 ? text.size : (size_t)colon) - 1);
	return colon < 0 ? 0 : read_type(slice_from(text, (size_t)colon + 1), ret_type);
}

static char *copy_slice(struct slice text)
{
	char *copy = memory_new(text.size + 1, 1);

	if (text.size)
		memcpy(copy, text.data, text.size);
	return copy;
}

static int take_field(struct compiler *compiler, const char *text)
{
	struct dictionary_table *table = &compiler->key->table;
	struct slice all = slice_str(text), variable = {0};
	ptrdiff_t equal = slice_find(all, '='), at;
	enum dictionary_type type;

	if (equal < 0 ||
		read_variable(trim(slice_from(all, (size_t)equal + 1)), &variable, &type) < 0)
		return bad_field(text, compiler->why);
	at = dictionary_pattern_find(&compiler->key->pattern, variable);
	if (at < 0)
		return error_option(compiler->why, "fields",
			"fields: \"%.100s\": the pattern has no variable $%.*s", text,
			SLICE_ARGS(variable));
	if (table->fields[at].name)
		return error_option(compiler->why, "fields", "fields: $%.*s has two columns",
			SLICE_ARGS(variable));
	table->fields[at] = (struct dictionary_column){
		copy_slice(trim(slice_of(all.data, (size_t)equal))), type};
	return check_name("fields", table->fields[at].name, false, compiler->why);
}

static int take_fields(struct compiler *compiler)
{
	const struct dictionary_pattern *pattern = &compiler->key->pattern;
	struct dictionary_table *table = &compiler->key->table;

	table->field_count = pattern->variables;
	table->fields = memory_new(table->field_count + 1, sizeof(*table->fields));
	for (size_t i = 0; i < compiler->settings->fields.count; i++)
		if (take_field(compiler, compiler->settings->fields.items[i]) < 0)
			return -1;
	for (size_t i = 0; i < table->field_count; i++)
		if (!table->fields[i].name)
			return error_option(compiler->why, "fields",
				"fields: say which column has $%.*s: \"column = $%.*s\"",
				SLICE_ARGS(pattern->pieces[i].variable),
				SLICE_ARGS(pattern->pieces[i].variable));
	return 0;
}

static int take_values(struct compiler *compiler)
{
	const struct text_list *names = &compiler->settings->value_field;
	const struct text_list *types = &compiler->settings->value_type;
	struct dictionary_table *table = &compiler->key->table;

	if (!names->count)
		return error_option(compiler->why, "value_field",
			"value_field is missing: the column of the value");
	if (types->count && types->count != names->count)
		return error_option(compiler->why, "value_type",
			"value_type: there are %zu columns in value_field, and %zu types",
			names->count, types->count);
	table->values = memory_new(names->count, sizeof(*table->values));
	for (size_t i = 0; i < names->count; i++) {
		struct dictionary_column *value = &table->values[table->value_count++];

		value->name = memory_copy_string(names->items[i]);
		if (check_name("value_field", value->name, false, compiler->why) < 0)
			return -1;
		if (types->count && read_type(slice_str(types->items[i]), &value->type) < 0)
			return error_option(compiler->why, "value_type",
				"value_type: \"%.50s\" is none of " DICTIONARY_TYPES,
				types->items[i]);
	}
	return 0;
}

static int check_optional_name(const char *option, const char *name, struct error *why)
{
	return name ? check_name(option, name, false, why) : 0;
}

static int take_table(struct compiler *compiler)
{
	const struct key_settings *settings = compiler->settings;
	struct dictionary_key *key = compiler->key;

	key->table.name = settings->table;
	key->table.username_field = settings->username_field;
	key->table.expire_field = settings->expire_field;
	key->table.is_private = key->pattern.is_private;
	if (key->pattern.is_private && !settings->username_field)
		return error_option(compiler->why, "username_field",
			"username_field is missing: the column of the user, since the key is in "
			"priv/");
	if (!key->pattern.is_private && !key->pattern.variables)
		return error_option(compiler->why, NULL,
			"key \"%s\" has no variable, so no row of a table can be told by it",
			key->pattern.text);
	if (check_name("table", settings->table, true, compiler->why) < 0 ||
		check_optional_name("username_field", settings->username_field, compiler->why) <
			0 ||
		check_optional_name("expire_field", settings->expire_field, compiler->why) < 0)
		return -1;
	return take_fields(compiler) < 0 ? -1 : take_values(compiler);
}

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

static const char *column_of(const struct dictionary_table *table)
{
	return table->field_count ? table->fields[0].name : table->username_field;
}

/* By one column alone it can be told which value a changed row is of. */
static void init_reads(struct compiler *compiler, struct table *table)
{
	struct dictionary_key *key = compiler->key;
	struct buf query = {0};

	if (dictionary_key_parts(key) == 1) {
		buf_add_string(&query, "SELECT ");
		dictionary_sql_name(key->table.values[0].name, table->backend->dialect, &query);
		buf_add_string(&query, " FROM ");
		dictionary_sql_name(key->table.name, table->backend->dialect, &query);
		buf_add_string(&query, " WHERE ");
		dictionary_sql_name(column_of(&key->table), table->backend->dialect, &query);
		buf_add_string(&query, " = '%s'");
		reads_init(&table->reads, buf_string(&query), table->backend->dialect);
	} else {
		struct text_list list = {(char *[]){compiler->settings->table}, 1};

		reads_init_tables(&table->reads, &list, table->backend->dialect);
	}
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

static void make_lookup(struct compiler *compiler, const struct source_config *source)
{
	struct dictionary_key *key = compiler->key;
	struct table *table = add_table(compiler);

	statement_writer_init(&key->lookup, source->backend->dialect);
	dictionary_sql_lookup(&key->table, &key->lookup);
	*table = (struct table){.name = key->pattern.text,
		.source = key->source,
		.backend = source->backend,
		.shape = SHAPE_VALUES,
		.form_parts = dictionary_key_parts(key),
		.settings = &key->own_settings};
	table->query.statement = *statement_writer_end(&key->lookup, STATEMENT_SELECT, 0);
	key->query = memory_copy_string(table->query.statement.text);
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
	if (take_table(compiler) < 0)
		return -1;
	make_lookup(compiler, source);
	map_init_dictionary(&key->own, key->pattern.text, &key->own_settings);
	return 0;
}

/* An answer of who may log in by what must not be kept by oversight. */
static bool speaks_of_passwords(const char *query)
{
	return strcasestr(query, "pass") || strcasestr(query, "secret");
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
		table->is_secret = speaks_of_passwords(from->settings->query);
		table_is_added(compiler, table);
	}
	return 0;
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
			"key \"%s\": a map does not know whose key it is asked for: use shared/",
			key->pattern.text);
	if (key->pattern.variables != 1)
		return error_option(compiler->why, NULL,
			"key \"%s\": to be answered by a map it needs one variable, since a map is "
			"asked for one key",
			key->pattern.text);
	if (copy_tables(compiler, map) < 0)
		return -1;
	key->source = map->tables[0]->source;
	key->own.name = key->pattern.text;
	key->own.rule = map->rule;
	key->own.parameter = map->parameter;
	map_init_rules(&key->own, map->settings);
	return 0;
}

/* --- Keys */

/* An option of the other kind would have no effect. */
static int check_options(struct compiler *compiler)
{
	static const char *const of_tables[] = {
		"source", "username_field", "value_field", "value_type", "fields", "expire_field"};
	const struct key_settings *settings = compiler->settings;

	if (!settings->map == !settings->table)
		return error_option(compiler->why, settings->map ? "table" : NULL,
			"a key has either a map or a table");
	if (settings->table && settings->iterate)
		return error_option(compiler->why, "iterate",
			"iterate belongs to a map; a table is iterated as it is");
	for (size_t i = 0; settings->map && i < sizeof(of_tables) / sizeof(of_tables[0]); i++)
		if (setting_is_set(setting_find(key_setting_table, of_tables[i]), settings))
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
	for (size_t i = 0; i < key->table.field_count; i++)
		free(key->table.fields[i].name);
	for (size_t i = 0; i < key->table.value_count; i++)
		free(key->table.values[i].name);
	free(key->table.fields);
	free(key->table.values);
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
