/* Makes the table of a key from its options. */
#include "base/memory.h"
#include "engine/dictionary_internal.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_MOST = 128 };

/* What is read just now. */
struct table_reader {
	struct dictionary_key *key;
	const struct key_settings *settings;
	struct error *why;
};

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

static bool is_column(const char *one, const char *other)
{
	return one && strcasecmp(one, other) == 0;
}

/* A column by which rows are known, or which says until when: it has that one meaning. */
static int check_column(const struct dictionary_table *table, const char *option, const char *name,
	struct error *why)
{
	bool is_taken =
		is_column(table->username_field, name) || is_column(table->expire_field, name);

	for (size_t i = 0; i < table->field_count; i++)
		is_taken |= is_column(table->fields[i].name, name);
	if (is_taken)
		return error_option(
			why, option, "%s: the column %s has another meaning already", option, name);
	return check_name(option, name, false, why);
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
	return colon < 0 ? 0 : dictionary_type_find(slice_from(text, (size_t)colon + 1), ret_type);
}

static char *copy_slice(struct slice text)
{
	char *copy = memory_new(text.size + 1, 1);

	if (text.size)
		memcpy(copy, text.data, text.size);
	return copy;
}

static int take_field(struct table_reader *reader, const char *text)
{
	struct dictionary_table *table = &reader->key->table;
	struct slice all = slice_str(text), variable = {0};
	ptrdiff_t equal = slice_find(all, '='), at;
	enum dictionary_type type;
	char *name;
	int result;

	if (equal < 0 ||
		read_variable(trim(slice_from(all, (size_t)equal + 1)), &variable, &type) < 0)
		return bad_field(text, reader->why);
	at = dictionary_pattern_find(&reader->key->pattern, variable);
	if (at < 0)
		return error_option(reader->why, "fields",
			"fields: \"%.100s\": the pattern has no variable $%.*s", text,
			SLICE_ARGS(variable));
	if (table->fields[at].name)
		return error_option(reader->why, "fields", "fields: $%.*s has two columns",
			SLICE_ARGS(variable));
	/* What the database reads back need not be what it printed: a page would not go on there.
	 */
	if (type == TYPE_DOUBLE)
		return error_option(reader->why, "fields",
			"fields: \"%.100s\": a double can't tell which row is meant", text);
	name = copy_slice(trim(slice_of(all.data, (size_t)equal)));
	result = check_column(table, "fields", name, reader->why);
	table->fields[at] = (struct dictionary_column){name, type};
	return result;
}

static int take_fields(struct table_reader *reader)
{
	const struct dictionary_pattern *pattern = &reader->key->pattern;
	struct dictionary_table *table = &reader->key->table;

	table->field_count = pattern->variables;
	table->fields = memory_new(table->field_count + 1, sizeof(*table->fields));
	for (size_t i = 0; i < reader->settings->fields.count; i++)
		if (take_field(reader, reader->settings->fields.items[i]) < 0)
			return -1;
	for (size_t i = 0; i < table->field_count; i++)
		if (!table->fields[i].name)
			return error_option(reader->why, "fields",
				"fields: say which column has $%.*s: \"column = $%.*s\"",
				SLICE_ARGS(pattern->pieces[i].variable),
				SLICE_ARGS(pattern->pieces[i].variable));
	return 0;
}

static int take_values(struct table_reader *reader)
{
	const struct text_list *names = &reader->settings->value_field;
	const struct text_list *types = &reader->settings->value_type;
	struct dictionary_table *table = &reader->key->table;

	if (!names->count)
		return error_option(reader->why, "value_field",
			"value_field is missing: the column of the value");
	if (types->count && types->count != names->count)
		return error_option(reader->why, "value_type",
			"value_type: there are %zu columns in value_field, and %zu types",
			names->count, types->count);
	table->values = memory_new(names->count, sizeof(*table->values));
	for (size_t i = 0; i < names->count; i++) {
		struct dictionary_column *value = &table->values[table->value_count++];

		value->name = memory_copy_string(names->items[i]);
		if (check_name("value_field", value->name, false, reader->why) < 0)
			return -1;
		if (types->count &&
			dictionary_type_find(slice_str(types->items[i]), &value->type) < 0)
			return error_option(reader->why, "value_type",
				"value_type: \"%.50s\" is none of " DICTIONARY_TYPES,
				types->items[i]);
	}
	return 0;
}

static int take_column(
	struct table_reader *reader, const char *option, const char *name, const char **ret_name)
{
	if (name && check_column(&reader->key->table, option, name, reader->why) < 0)
		return -1;
	*ret_name = name;
	return 0;
}

/* Whose rows they are. */
static int check_owner(struct table_reader *reader)
{
	const struct dictionary_pattern *pattern = &reader->key->pattern;

	if (pattern->is_private && !reader->settings->username_field)
		return error_option(reader->why, "username_field",
			"username_field is missing: the column of the user, since the key is in "
			"priv/");
	if (!pattern->is_private && reader->settings->username_field)
		return error_option(reader->why, "username_field",
			"username_field belongs to keys in priv/, which are those of a user");
	if (!pattern->is_private && !pattern->variables)
		return error_option(reader->why, NULL,
			"it has no variable, so no row of a table can be told by it");
	return 0;
}

int dictionary_table_init(
	struct dictionary_key *key, const struct key_settings *settings, struct error *why)
{
	struct table_reader *reader = &(struct table_reader){key, settings, why};
	struct dictionary_table *table = &key->table;

	table->name = settings->table;
	table->is_private = reader->key->pattern.is_private;
	if (check_owner(reader) < 0 ||
		check_name("table", settings->table, true, reader->why) < 0 ||
		take_column(reader, "username_field", settings->username_field,
			&table->username_field) < 0 ||
		take_column(reader, "expire_field", settings->expire_field, &table->expire_field) <
			0)
		return -1;
	return take_fields(reader) < 0 ? -1 : take_values(reader);
}

void dictionary_table_finish(struct dictionary_table *table)
{
	for (size_t i = 0; i < table->field_count; i++)
		free(table->fields[i].name);
	for (size_t i = 0; i < table->value_count; i++)
		free(table->values[i].name);
	free(table->fields);
	free(table->values);
}
