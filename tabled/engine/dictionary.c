#include "engine/dictionary.h"

#include "base/utf8.h"
#include "engine/catalog.h"
#include "engine/dictionary_internal.h"
#include "engine/form.h"
#include "lookup.h"

/* clang-format off */
#define FIELD(name) offsetof(struct key_settings, name)
const struct setting key_setting_table[] = {
	{.name = "map", .type = SETTING_TEXT, .offset = FIELD(map),
	 .help = "The map that answers the key. The pattern has one variable: it is what the map is asked for."},
	{.name = "format", .type = SETTING_CHOICE, .offset = FIELD(format), .fallback = "value", .choices = "value|json",
	 .help = "What of the map is the value. value: its result, as Postfix would get it. json: the columns of the row "
		 "as an object, as Dovecot's passdb and userdb want; a column that is NULL is left out."},
	{.name = "iterate", .type = SETTING_TEXT, .offset = FIELD(iterate),
	 .help = "A query that lists what the variable may be, in one column, so that keys which a map answers can be "
		 "iterated: doveadm user '*'. It is asked of the map's source."},
	{.name = "source", .type = SETTING_TEXT, .offset = FIELD(source),
	 .help = "Instead of map: the source of the table to which the key is bound."},
	{.name = "table", .type = SETTING_TEXT, .offset = FIELD(table),
	 .help = "The table. Each key is a row of it: the columns of fields, and username_field for keys in priv/, "
		 "must be unique together, since by them a row is inserted or updated."},
	{.name = "username_field", .type = SETTING_TEXT, .offset = FIELD(username_field),
	 .help = "The column that has the user, for keys in priv/."},
	{.name = "value_field", .type = SETTING_LIST, .offset = FIELD(value_field),
	 .help = "The column of the value. Of several, all are given to who looks the key up; the first is the one "
		 "that is written."},
	{.name = "value_type", .type = SETTING_LIST, .offset = FIELD(value_type),
	 .help = "The types of value_field, one for each: " DICTIONARY_TYPES ". Default: string."},
	{.name = "fields", .type = SETTING_LIST, .offset = FIELD(fields),
	 .help = "The columns of the pattern's variables: \"column = $variable\", or \"column = $variable:int\" with "
		 "one of the types."},
	{.name = "expire_field", .type = SETTING_TEXT, .offset = FIELD(expire_field),
	 .help = "The column that says until when the row counts, in seconds since 1970; NULL: for ever. Dovecot 2.4 may "
		 "set it. Such keys are not kept in the cache."},
	{.name = "ttl", .type = SETTING_DURATION, .offset = FIELD(ttl), .fallback = "feed", .word = "feed",
	 .help = "Of a table: as for maps. What is written through tabled itself is seen at once, whatever the ttl."},
	{.name = "negative_ttl", .type = SETTING_DURATION, .offset = FIELD(negative_ttl), .fallback = "feed",
	 .word = "feed", .help = "Of a table: the same for \"not found\"."},
	{.name = "stale_ttl", .type = SETTING_DURATION, .offset = FIELD(stale_ttl), .fallback = "1d",
	 .help = "Of a table: for so long after its ttl a value may be given if the source can't be asked. 0: never."},
	{.name = "cache", .type = SETTING_CHOICE, .offset = FIELD(cache), .fallback = "auto", .choices = "auto|no|yes",
	 .help = "Of a table: whether values are kept at all. auto: yes, unless its names or the key's speak of a "
		 "password. Those of maps are kept as the map says, but not by themselves where they may be passwords."},
	{0}
};
#undef FIELD
/* clang-format on */

static int check_values(const struct dictionary_table *table, const struct dictionary_place *place,
	struct error *why)
{
	for (size_t i = 0; i < table->field_count; i++)
		if (dictionary_check_value(&table->fields[i], place->values[i], why) < 0)
			return -1;
	return 0;
}

int dictionary_check_path(struct slice path, struct slice user, struct error *why)
{
	if (path.size + user.size > LOOKUP_KEY_MAX)
		return error_set(why, "the key is longer than %d bytes", LOOKUP_KEY_MAX);
	if (slice_find(path, '\0') >= 0 || slice_find(user, '\0') >= 0)
		return error_set(why, "the key holds a NUL byte");
	if (!utf8_is_valid(path) || !utf8_is_valid(user))
		return error_set(why, "the key is not valid UTF-8");
	return 0;
}

int dictionary_find(const struct dictionary *dictionary, struct slice path, struct slice user,
	struct dictionary_place *ret_place, struct error *why)
{
	if (dictionary_check_path(path, user, why) < 0)
		return -1;
	for (size_t i = 0; i < dictionary->key_count; i++) {
		const struct dictionary_key *key = &dictionary->keys[i];

		if (!dictionary_pattern_match(&key->pattern, path, ret_place->values))
			continue;
		ret_place->key = key;
		ret_place->user = key->pattern.is_private ? user : slice_of("", 0);
		if (key->pattern.is_private && !user.size)
			return error_set(why, "the key is a user's, and no user is given");
		return check_values(&key->table, ret_place, why);
	}
	return error_set(why, "the dictionary has no such key");
}

size_t dictionary_key_parts(const struct dictionary_key *key)
{
	return key->pattern.variables + (key->table.name && key->pattern.is_private);
}

void dictionary_form(const struct dictionary_place *place, struct buf *out)
{
	struct slice parts[DICTIONARY_VARIABLES_MAX + 1];
	size_t variables = place->key->pattern.variables;

	memcpy(parts, place->values, variables * sizeof(*parts));
	parts[variables] = place->user;
	form_join(parts, dictionary_key_parts(place->key), out);
}

/* --- What is asked, for people */

static void show_statement(const char *what, struct statement_writer *writer, struct buf *out)
{
	buf_add_format(
		out, "    %-10s %s\n", what, statement_writer_end(writer, STATEMENT_ONCE, 0)->text);
	statement_writer_finish(writer);
}

static void show_list(
	const struct dictionary_key *key, const struct dialect *dialect, struct buf *out)
{
	const struct dictionary_span span = {.begin = slice_of("", 0),
		.known = key->pattern.variables ? key->pattern.variables - 1 : 0};
	const struct dictionary_list list = {
		.table = &key->table, .span = &span, .with_values = true, .limit = LIST_ROWS};
	struct statement_writer writer;

	statement_writer_init(&writer, dialect);
	if (key->table.name)
		dictionary_sql_list(&list, &writer);
	else
		dictionary_sql_list_query(key->settings->iterate, &list, &writer);
	show_statement("iterate", &writer, out);
}

static void show_table(
	const struct dictionary_key *key, const struct dialect *dialect, struct buf *out)
{
	const struct dictionary_row row = {.table = &key->table};
	const struct dictionary_change change = {.table = &key->table};
	struct statement_writer writer;

	buf_add_format(out, "    %-10s %s\n", "lookup", key->lookup.statement.text);
	statement_writer_init(&writer, dialect);
	dictionary_sql_set(&row, &change, 1, 0, &writer);
	show_statement("set", &writer, out);
	statement_writer_init(&writer, dialect);
	dictionary_sql_unset(&row, &writer);
	show_statement("unset", &writer, out);
	statement_writer_init(&writer, dialect);
	dictionary_sql_increment(&row, &change, 1, &writer);
	show_statement("increment", &writer, out);
}

void dictionary_show_sql(
	const struct dictionary *dictionary, const struct source_config *sources, struct buf *out)
{
	for (size_t i = 0; i < dictionary->key_count; i++) {
		const struct dictionary_key *key = &dictionary->keys[i];
		const struct source_config *source = &sources[key->source];

		buf_add_format(out, "%s %s, source %s (%s)\n", dictionary->name, key->pattern.text,
			source->name, source->backend->name);
		if (key->table.name)
			show_table(key, source->backend->dialect, out);
		else
			buf_add_format(out, "    %-10s map %s\n", "lookup", key->settings->map);
		if (key->table.name || key->settings->iterate)
			show_list(key, source->backend->dialect, out);
	}
}
