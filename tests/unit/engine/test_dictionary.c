#include "engine/dictionary.h"

#include "engine/dictionary_internal.h"
#include "engine/form.h"
#include "support/map.h"
#include "support/text.h"

#define COUNT(array) (int)(sizeof(array) / sizeof(array[0]))

static struct setup setup;
static struct fake fake;
static struct error why;

static void begin(void)
{
	setup_begin(&setup);
	setup_source(&setup, "other", &fake_backend, &fake);
	setup_source(&setup, "mail", &fake_backend, &fake);
}

static void end(void)
{
	setup_end(&setup);
}

/* Sets options, "name=value", parted by ';'; items of lists by '|'. */
static void set_options(const char *text)
{
	char *copy = strdup(text), *at = copy;

	while (at && *at) {
		char *option = strsep(&at, ";"), *equal = strchr(option, '=');

		*equal = '\0';
		setup_key_set(&setup, option, equal + 1);
	}
	free(copy);
}

static void add_key(const char *pattern, const char *options)
{
	setup_key(&setup, pattern);
	set_options(options);
}

static const struct dictionary *compile(void)
{
	ck_assert_msg(setup_compile(&setup), "%s", setup.why.text);
	return &setup.catalog->dictionaries[0];
}

/* --- What is compiled */

START_TEST(a_dictionary_is_found_by_name)
{
	const struct dictionary *dictionary;

	add_key("shared/x/$y", "source=mail;table=t;value_field=v;fields=a = $y");
	dictionary = compile();
	ck_assert_ptr_eq(catalog_find_dictionary(setup.catalog, slice_str("test")), dictionary);
	ck_assert_ptr_null(catalog_find_dictionary(setup.catalog, slice_str("tes")));
	ck_assert_ptr_null(catalog_find_dictionary(setup.catalog, slice_str("tests")));
	ck_assert_ptr_null(catalog_find_dictionary(setup.catalog, slice_str("")));
	/* What is asked for a key is no map that clients could name. */
	ck_assert_ptr_null(catalog_find(setup.catalog, slice_str("shared/x/$y")));
}
END_TEST

START_TEST(a_key_of_a_table)
{
	const struct dictionary_key *key;
	const struct table *table;

	setup_map(&setup, "m", "other", "a '%s'");
	add_key("priv/a/$one/$two/x",
		"source=mail;table=s.T_1;username_field=who;value_field=v|w;value_type=int|hexblob;"
		"fields=b=$two:uint| a\t=\t$one ;cache=no;ttl=5s");
	key = &compile()->keys[0];
	ck_assert_uint_eq(key->source, 1);
	ck_assert_str_eq(key->table.name, "s.T_1");
	ck_assert_str_eq(key->table.username_field, "who");
	ck_assert_ptr_null(key->table.expire_field);
	ck_assert(key->table.is_private);
	ck_assert_uint_eq(key->table.field_count, 2);
	ck_assert_str_eq(key->table.fields[0].name, "a");
	ck_assert_int_eq(key->table.fields[0].type, TYPE_STRING);
	ck_assert_str_eq(key->table.fields[1].name, "b");
	ck_assert_int_eq(key->table.fields[1].type, TYPE_UINT);
	ck_assert_uint_eq(key->table.value_count, 2);
	ck_assert_int_eq(key->table.values[0].type, TYPE_INT);
	ck_assert_int_eq(key->table.values[1].type, TYPE_HEXBLOB);
	ck_assert_uint_eq(dictionary_key_parts(key), 3);

	table = key->map->tables[0];
	ck_assert_uint_eq(setup.catalog->table_count, 2);
	ck_assert_ptr_eq(table, &setup.catalog->tables[1]);
	ck_assert_uint_eq(table->query.statement.id, 1);
	ck_assert_uint_eq(table->query.statement.params, 3);
	ck_assert_int_eq(table->query.statement.kind, STATEMENT_SELECT);
	ck_assert_uint_eq(table->form_parts, 3);
	ck_assert_int_eq(table->shape, SHAPE_VALUES);
	ck_assert_ptr_eq(catalog_key_of(setup.catalog, table), key);
	ck_assert_ptr_null(catalog_key_of(setup.catalog, &setup.catalog->tables[0]));
	ck_assert(!key->map->rules[0].kept);
	ck_assert_uint_eq(key->map->rules[0].ttl, 5000);
	ck_assert_uint_eq(key->map->index, 1);
	ck_assert_uint_eq(setup.catalog->counter_count, 2);
}
END_TEST

/* By one column alone it can be told which value a changed row is of. */
static const struct {
	const char *pattern, *options, *reads;
} reads_of[] = {
	{"shared/$a", "source=mail;table=t;value_field=v;fields=a = $a", "t.a = key"},
	{"priv/q", "source=mail;table=s.t;value_field=v;username_field=u", "s.t.u = key"},
	{"shared/$a/$b", "source=mail;table=t;value_field=v;fields=a = $a|b = $b", "any row of t"},
	{"priv/$a", "source=mail;table=t;value_field=v;username_field=u;fields=a = $a",
		"any row of t"},
	/* In the key 007 may stand for the 7 of the row, and a blob has other bytes there. */
	{"shared/$a", "source=mail;table=t;value_field=v;fields=a = $a:int", "any row of t"},
	{"shared/$a", "source=mail;table=t;value_field=v;fields=a = $a:hexblob", "any row of t"},
	/* Words of SQL's own are names as any other. */
	{"shared/$a", "source=mail;table=order;value_field=select;fields=user = $a",
		"order.user = key"},
};

START_TEST(what_a_key_reads)
{
	const struct reads *reads;
	struct buf out = {0};

	add_key(reads_of[_i].pattern, reads_of[_i].options);
	reads = &compile()->keys[0].map->tables[0]->reads;
	ck_assert_msg(!reads->unknown, "%s", reads->unknown);
	for (size_t i = 0; i < reads->count; i++)
		read_show(&reads->items[i], &out);
	assert_buf(&out, reads_of[_i].reads);
	buf_finish(&out);
}
END_TEST

START_TEST(a_key_of_a_map)
{
	const struct dictionary_key *key;
	const struct map *map;

	setup_map(&setup, "one", "other", "a '%s'");
	setup_set(&setup, "result_format", "<%s>");
	setup_map(&setup, "two", "mail", "b '%u' '%d'");
	setup_map(&setup, "virtual_alias_maps", NULL, NULL);
	setup_set(&setup, "maps", "one|two");
	add_key("shared/alias/$a", "map=virtual_alias_maps;iterate=c");
	key = &compile()->keys[0];
	map = catalog_find(setup.catalog, slice_str("virtual_alias_maps"));
	ck_assert_ptr_null(key->table.name);
	ck_assert_uint_eq(key->source, 0); /* that of the first of its maps */
	ck_assert_uint_eq(key->map->table_count, 2);
	ck_assert_ptr_eq(key->map->parameter, map->parameter);
	ck_assert_uint_eq(dictionary_key_parts(key), 1);
	for (size_t i = 0; i < 2; i++) {
		const struct table *table = key->map->tables[i];

		ck_assert_ptr_ne(table, map->tables[i]);
		ck_assert_str_eq(table->settings->query, map->tables[i]->settings->query);
		ck_assert_uint_eq(table->source, map->tables[i]->source);
		ck_assert_uint_eq(table->query.statement.id, 2 + i);
		ck_assert_int_eq(table->shape, SHAPE_TEXT);
		ck_assert(!table->query.statement.named);
		ck_assert_ptr_null(catalog_key_of(setup.catalog, table)->table.name);
	}
}
END_TEST

/* An object is no list of addresses, to which an extension could be added. */
START_TEST(an_object_of_a_map)
{
	const struct dictionary_key *key;

	setup_map(&setup, "virtual_alias_maps", "mail", "a '%s'");
	add_key("shared/userdb/$u", "map=virtual_alias_maps;format=json");
	key = &compile()->keys[0];
	ck_assert_int_eq(key->map->tables[0]->shape, SHAPE_JSON);
	ck_assert(key->map->tables[0]->query.statement.named);
	ck_assert_int_eq(key->map->rule.result, RESULT_AS_IS);
	ck_assert_uint_eq(key->map->rule.forms,
		catalog_find(setup.catalog, slice_str("virtual_alias_maps"))->rule.forms);
}
END_TEST

/* --- Mistakes */

#define TABLE "source=mail;table=t;value_field=v;fields=a = $a"

static const struct {
	const char *pattern, *options;
	const char *blamed; /* option at fault; NULL: the section */
	const char *why;
} mistakes[] = {
	{"x/$a", TABLE, NULL, "a key begins with shared/"},
	{"shared/$", TABLE, NULL, "as in $user"},
	{"shared/$a", "", NULL, "a key has either a map or a table"},
	{"shared/$a", "source=mail;value_field=v", NULL, "a key has either a map or a table"},
	{"shared/$a", "map=m;table=t", "table", "a key has either a map or a table"},
	/* Of a table. */
	{"shared/$a", "table=t", "source", "source is missing"},
	{"shared/$a", "table=t;source=mial", "source",
		"source = \"mial\": there is no such source"},
	{"shared/$a", TABLE ";iterate=q", "iterate", "iterate belongs to a map"},
	{"shared/$a", TABLE ";format=json", "format", "format belongs to a map"},
	{"shared/$a", "source=mail;table=t;fields=a = $a", "value_field", "value_field is missing"},
	{"shared/$a", TABLE ";value_type=int|int", "value_type",
		"1 columns in value_field, and 2 types"},
	{"shared/$a", TABLE ";value_type=number", "value_type",
		"\"number\" is none of string|int|uint|double|uuid|hexblob"},
	{"shared/$a", TABLE ";value_type=Int", "value_type", "\"Int\" is none of"},
	{"shared/$a", TABLE ";value_type=in", "value_type", "\"in\" is none of"},
	{"shared/a", "source=mail;table=t;value_field=v", NULL, "it has no variable, so no row"},
	{"priv/$a", TABLE, "username_field", "username_field is missing"},
	{"shared/$a", TABLE ";username_field=u", "username_field",
		"username_field belongs to keys in priv/"},
	{"shared/$a", "source=mail;table=t;value_field=v", "fields",
		"say which column has $a: \"column = $a\""},
	{"shared/$a/$b", TABLE, "fields", "say which column has $b"},
	{"shared/$a", TABLE "|b = $b", "fields", "\"b = $b\": the pattern has no variable $b"},
	{"shared/$a", "source=mail;table=t;value_field=v;fields=a = $a:double", "fields",
		"a double can't tell which row is meant"},
	{"shared/$a", TABLE "|b = $a", "fields", "$a has two columns"},
	{"shared/$a", TABLE "|b", "fields", "\"b\" is none of \"column = $variable\""},
	{"shared/$a", TABLE "|b = a", "fields", "\"b = a\" is none of"},
	{"shared/$a", TABLE "|b = $", "fields", "\"b = $\" is none of"},
	{"shared/$a", TABLE "|b = ", "fields", "\"b = \" is none of"},
	{"shared/$a", "source=mail;table=t;value_field=v;fields=a = $a:", "fields", "is none of"},
	{"shared/$a", "source=mail;table=t;value_field=v;fields=a = $a:text", "fields",
		"where type is one of string|int"},
	{"shared/$a", "source=mail;table=t;value_field=v;fields=a = ${int:a}", "fields",
		"\"a = ${int:a}\" is none of"},
	/* Names. */
	{"shared/$a", "source=mail;table=t t;value_field=v;fields=a = $a", "table",
		"table: \"t t\" is no plain name of a table"},
	{"shared/$a", "source=mail;table=a.b.c;value_field=v;fields=a = $a", "table",
		"\"a.b.c\" is no plain name"},
	{"shared/$a", "source=mail;table=a.;value_field=v;fields=a = $a", "table", "no plain name"},
	{"shared/$a", "source=mail;table=.a;value_field=v;fields=a = $a", "table", "no plain name"},
	{"shared/$a", "source=mail;table=t\";value_field=v;fields=a = $a", "table",
		"no plain name"},
	{"shared/$a", "source=mail;table=t--;value_field=v;fields=a = $a", "table",
		"no plain name"},
	{"shared/$a", "source=mail;table=t;value_field=v w;fields=a = $a", "value_field",
		"value_field: \"v w\" is no plain name of a column"},
	{"shared/$a", "source=mail;table=t;value_field=t.v;fields=a = $a", "value_field",
		"no plain name of a column: letters, digits and _"},
	{"shared/$a", "source=mail;table=t;value_field=v|;fields=a = $a", "value_field",
		"value_field: \"\" is no plain name"},
	{"shared/$a", "source=mail;table=t;value_field=v;fields=a' = $a", "fields",
		"fields: \"a'\" is no plain name"},
	{"shared/$a", "source=mail;table=t;value_field=v;fields= = $a", "fields", "\"\" is no"},
	{"shared/$a", "source=mail;table=t;value_field=ä;fields=a = $a", "value_field",
		"no plain name"},
	{"shared/$a", TABLE ";expire_field=e;username_field=u", "username_field", "priv/"},
	{"shared/$a", TABLE ";expire_field=e e", "expire_field", "no plain name"},
	{"priv/a", "source=mail;table=t;value_field=v;username_field=u(1)", "username_field",
		"no plain name"},
	/* One column has one meaning. */
	{"shared/$a/$b", "source=mail;table=t;value_field=v;fields=a = $a|a = $b", "fields",
		"fields: the column a has another meaning"},
	{"priv/$a", "source=mail;table=t;value_field=v;fields=a = $a;username_field=a", "fields",
		"the column a has another meaning"},
	{"shared/$a", TABLE ";expire_field=a", "fields", "the column a has another meaning"},
	{"priv/a", "source=mail;table=t;value_field=v;username_field=u;expire_field=u",
		"expire_field", "the column u has another meaning"},
	/* Of a map. */
	{"shared/$a", "map=mm", "map", "map = \"mm\": there is no such map"},
	{"priv/$a", "map=m", NULL, "a map does not know whose key it is asked for"},
	{"shared/a", "map=m", NULL, "it needs one variable"},
	{"shared/$a/$b", "map=m", NULL, "it needs one variable"},
	{"shared/$a", "map=m;source=mail", "source", "source belongs to a table"},
	{"shared/$a", "map=m;username_field=u", "username_field", "belongs to a table"},
	{"shared/$a", "map=m;value_field=v", "value_field", "belongs to a table"},
	{"shared/$a", "map=m;value_type=int", "value_type", "belongs to a table"},
	{"shared/$a", "map=m;fields=a = $a", "fields", "belongs to a table"},
	{"shared/$a", "map=m;expire_field=e", "expire_field", "belongs to a table"},
	{"shared/$a", "map=m;ttl=5s", "ttl", "ttl belongs to a table"},
	{"shared/$a", "map=m;negative_ttl=5s", "negative_ttl", "belongs to a table"},
	{"shared/$a", "map=m;stale_ttl=5s", "stale_ttl", "belongs to a table"},
	{"shared/$a", "map=m;cache=yes", "cache", "cache belongs to a table"},
};

/* A good key comes first, so that the culprit is not the first by accident. */
START_TEST(mistake)
{
	setup_map(&setup, "m", "mail", "a '%s'");
	add_key("shared/good/$a", TABLE);
	add_key(mistakes[_i].pattern, mistakes[_i].options);
	add_key("shared/also_good/$a", TABLE);
	ck_assert_msg(!setup_compile(&setup), "%s", mistakes[_i].why);
	ck_assert_ptr_eq(setup.culprit, &setup.key_settings[1]);
	assert_contains(setup.why.text, mistakes[_i].why);
	if (mistakes[_i].blamed)
		ck_assert_str_eq(setup.why.option, mistakes[_i].blamed);
	else
		ck_assert_ptr_null(setup.why.option);
}
END_TEST

/* --- What is kept */

static const struct {
	const char *query, *map_cache; /* a map … */
	const char *options;           /* … or a table */
	bool kept;
} cached[] = {
	{"a '%s'", "auto", "map=m", true},
	{"a '%s'", "no", "map=m", false},
	{"a '%s'", "yes", "map=m", true},
	{"password '%s'", "auto", "map=m", false},
	{"password '%s'", "auto", "map=m;format=json", false},
	{"PassWd '%s'", "auto", "map=m", false},
	{"a_secret '%s'", "auto", "map=m", false},
	{"password '%s'", "no", "map=m", false},
	/* All columns there are, by their names. */
	{"SELECT * FROM t WHERE a = '%s'", "auto", "map=m;format=json", false},
	{"SELECT * FROM t WHERE a = '%s'", "yes", "map=m;format=json", true},
	{"SELECT * FROM t WHERE a = '%s'", "auto", "map=m", true},
	/* Somebody has written that it is to be kept. */
	{"password '%s'", "yes", "map=m", true},
	{"password '%s'", "yes", "map=m;format=json", true},
	{NULL, NULL, TABLE, true},
	{NULL, NULL, TABLE ";cache=no", false},
	{NULL, NULL, TABLE ";cache=yes", true},
	{NULL, NULL, "source=mail;table=t;value_field=Password;fields=a = $a", false},
	{NULL, NULL, "source=mail;table=secrets;value_field=v;fields=a = $a", false},
	{NULL, NULL, "source=mail;table=t;value_field=Password;fields=a = $a;cache=yes", true},
	/* Whether it counts is for the database to say, each time. */
	{NULL, NULL, TABLE ";expire_field=e", false},
	{NULL, NULL, TABLE ";expire_field=e;cache=yes", false},
};

START_TEST(what_is_kept)
{
	const struct dictionary_key *key;

	if (cached[_i].query) {
		setup_map(&setup, "m", "mail", cached[_i].query);
		setup_set(&setup, "cache", cached[_i].map_cache);
	}
	add_key("shared/$a", cached[_i].options);
	key = &compile()->keys[0];
	ck_assert_int_eq(key->map->rules[0].kept, cached[_i].kept);
}
END_TEST

/* For Postfix there is just no transport; for Dovecot there might be no such user. */
START_TEST(nobody_is_unknown_while_the_source_is_away)
{
	const struct dictionary *dictionary;

	setup_map(&setup, "transport_maps", "mail", "a '%s'");
	setup_map(&setup, "sure", "mail", "b '%s'");
	setup_set(&setup, "stale_negative", "yes");
	add_key("shared/a/$a", "map=transport_maps");
	add_key("shared/b/$a", "map=sure");
	add_key("shared/c/$a", TABLE);
	dictionary = compile();
	ck_assert(
		catalog_find(setup.catalog, slice_str("transport_maps"))->rules[0].stale_negative);
	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(dictionary->keys[i].map->rules[0].stale_negative, i == 1);
}
END_TEST

/* The key may say it where its query does not. */
START_TEST(what_is_not_kept_for_its_key)
{
	const struct dictionary *dictionary;

	setup_map(&setup, "m", "mail", "a '%s'");
	add_key("shared/passdb/$a", "map=m");
	add_key("shared/secrets/$a", TABLE);
	dictionary = compile();
	for (size_t i = 0; i < 2; i++)
		ck_assert(!dictionary->keys[i].map->rules[0].kept);
	ck_assert(catalog_find(setup.catalog, slice_str("m"))->rules[0].kept);
}
END_TEST

/* Of a map made of others each has its own word, and the whole has one, too. */
static const struct {
	const char *whole, *member;
	bool plain, secret; /* is kept */
} composite[] = {
	{"auto", "auto", true, false},
	{"auto", "yes", true, true},
	{"yes", "yes", true, true},
	{"no", "yes", false, false},
};

START_TEST(what_is_kept_of_several)
{
	const struct map *map;

	setup_map(&setup, "plain", "mail", "a '%s'");
	setup_map(&setup, "secret", "mail", "password '%s'");
	setup_set(&setup, "cache", composite[_i].member);
	setup_map(&setup, "both", NULL, NULL);
	setup_set(&setup, "maps", "plain|secret");
	setup_set(&setup, "cache", composite[_i].whole);
	add_key("shared/$a", "map=both;format=json");
	map = compile()->keys[0].map;
	ck_assert_int_eq(map->rules[0].kept, composite[_i].plain);
	ck_assert_int_eq(map->rules[1].kept, composite[_i].secret);
	ck_assert(!table_is_secret(map->tables[0]));
	ck_assert(table_is_secret(map->tables[1]));
}
END_TEST

/* The tables of a map that serves passwords don't say so; nor do those of its key. */
START_TEST(what_never_gets_into_a_file)
{
	const struct table *table;

	setup_map(&setup, "plain", "mail", "a '%s'");
	setup_map(&setup, "smtp_sasl_password_maps", NULL, NULL);
	setup_set(&setup, "maps", "plain");
	setup_map(&setup, "other", "mail", "b '%s'");
	add_key("shared/a/$a", "map=smtp_sasl_password_maps");
	add_key("shared/b/$a", "map=other");
	add_key("shared/c/$a", TABLE);
	add_key("shared/d/$a", "source=mail;table=t;value_field=password;fields=a = $a;cache=yes");
	/* It is one of those that a map of passwords is made of. */
	add_key("shared/e/$a", "map=plain");
	table = compile()->keys[0].map->tables[0];
	ck_assert(!table_is_secret(table));
	ck_assert(catalog_is_secret(setup.catalog, table));
	for (size_t i = 0; i < 5; i++)
		ck_assert_int_eq(catalog_is_secret(setup.catalog,
					 setup.catalog->dictionaries[0].keys[i].map->tables[0]),
			i == 0 || i == 3 || i == 4);
}
END_TEST

/* --- Forms */

static const struct {
	const char *key, *user, *form;
	const char *parts[3];
} forms[] = {
	{"priv/q", "u@d.ex", "u@d.ex", {"u@d.ex"}},
	{"shared/one/x", "u@d.ex", "x", {"x"}},
	{"shared/one/5:x", "", "5:x", {"5:x"}},
	{"shared/two/a/b", "", "1:ab", {"a", "b"}},
	{"shared/two/a:/1:", "", "2:a:1:", {"a:", "1:"}},
	{"shared/two/1/1:a/", "", "1:11:a/", {"1", "1:a/"}},
	{"priv/one/bö/x", "u", "5:bö/xu", {"bö/x", "u"}},
	{"priv/two/a/b", "u", "1:a1:bu", {"a", "b", "u"}},
	/* To some databases "a " is the same as "a", but not its length: such a form is odd. */
	{"shared/two/a /b ", "", "2\001a b ", {"a ", "b "}},
	{"priv/two/ /b", "u", "1\001 1:bu", {" ", "b", "u"}},
};

static void add_form_keys(void)
{
	add_key("priv/q", "source=mail;table=t;value_field=v;username_field=u");
	add_key("shared/one/$a", TABLE);
	add_key("shared/two/$a/$b", TABLE "|b = $b");
	add_key("priv/one/$a", TABLE ";username_field=u");
	add_key("priv/two/$a/$b", TABLE "|b = $b;username_field=u");
}

START_TEST(forms_of_a_key)
{
	struct dictionary_place place;
	struct slice parts[DICTIONARY_VARIABLES_MAX];
	struct buf form = {0};
	size_t count;

	add_form_keys();
	ck_assert_int_eq(dictionary_find(compile(), slice_str(forms[_i].key),
				 slice_str(forms[_i].user), &place, &why),
		0);
	dictionary_form(&place, &form);
	assert_slice(buf_slice(&form), forms[_i].form);
	count = dictionary_key_parts(place.key);
	form_split(buf_slice(&form), count, parts);
	for (size_t i = 0; i < count; i++)
		assert_slice(parts[i], forms[_i].parts[i]);
	ck_assert(count == 3 || !forms[_i].parts[count]);
	buf_finish(&form);
}
END_TEST

START_TEST(a_form_of_nothing)
{
	struct slice part = slice_str("untouched");

	form_split(slice_str(""), 0, &part);
	assert_slice(part, "untouched");
	form_split(slice_str(""), 1, &part);
	assert_slice(part, "");
}
END_TEST

/* --- Finding */

static const struct {
	const char *key, *user;
	int place; /* -1: none */
	const char *why;
} finds[] = {
	{"shared/first/x", "", 0, NULL},
	{"shared/first/", "", 4, NULL}, /* it does not fit the first */
	{"shared/7", "", 4, NULL},
	{"shared/other/x", "u", 4, NULL},
	{"priv/quota", "u", 1, NULL},
	{"priv/quota", "", -1, "the key is a user's, and no user is given"},
	{"priv/quot", "u", -1, "the dictionary has no such key"},
	{"priv/quot", "", -1, "the dictionary has no such key"},
	{"", "", -1, "the dictionary has no such key"},
	{"shared/", "", -1, "the dictionary has no such key"},
	{"shared/first/\xff", "", -1, "the key is not valid UTF-8"},
	{"priv/quota", "\xff", -1, "the key is not valid UTF-8"},
	/* The first that fits counts, whether or not the value is one of its type. */
	{"shared/number/7", "", 2, NULL},
	{"shared/number/x", "", -1, "the value for n is not a whole number of 64 bits"},
	{"shared/hex/0f", "", 3, NULL},
	{"shared/hex/0", "", -1, "the value for h is not hexadecimal digits in pairs"},
};

START_TEST(keys_are_found)
{
	const struct dictionary *dictionary;
	struct dictionary_place place;
	int result;

	add_key("shared/first/$a", TABLE);
	add_key("priv/quota", "source=mail;table=t;value_field=v;username_field=u");
	add_key("shared/number/$n", "source=mail;table=t;value_field=v;fields=n = $n:int");
	add_key("shared/hex/$h", "source=mail;table=t;value_field=v;fields=h = $h:hexblob");
	add_key("shared/$a", TABLE);
	dictionary = compile();
	result = dictionary_find(
		dictionary, slice_str(finds[_i].key), slice_str(finds[_i].user), &place, &why);
	ck_assert_int_eq(result, finds[_i].place < 0 ? -1 : 0);
	if (result < 0) {
		ck_assert_str_eq(why.text, finds[_i].why);
		return;
	}
	ck_assert_ptr_eq(place.key, &dictionary->keys[finds[_i].place]);
	assert_slice(place.user, place.key->pattern.is_private ? finds[_i].user : "");
}
END_TEST

START_TEST(keys_that_nobody_has)
{
	struct dictionary_place place;
	struct buf path = {0};
	const struct dictionary *dictionary;

	add_key("shared/$a", TABLE);
	dictionary = compile();
	ck_assert_int_eq(
		dictionary_find(dictionary, slice_of("shared/\0", 8), slice_str(""), &place, &why),
		-1);
	ck_assert_str_eq(why.text, "the key holds a NUL byte");
	ck_assert_int_eq(dictionary_find(dictionary, slice_str("shared/x"), slice_of("u\0", 2),
				 &place, &why),
		-1);
	ck_assert_str_eq(why.text, "the key holds a NUL byte");
	buf_add_string(&path, "shared/");
	while (path.size < LOOKUP_KEY_MAX)
		buf_add_byte(&path, 'x');
	ck_assert_int_eq(
		dictionary_find(dictionary, buf_slice(&path), slice_of(NULL, 0), &place, &why), 0);
	ck_assert_int_eq(
		dictionary_find(dictionary, buf_slice(&path), slice_str("u"), &place, &why), -1);
	ck_assert_str_eq(why.text, "the key is longer than 10000 bytes");
	buf_finish(&path);
}
END_TEST

/* --- What is shown */

START_TEST(the_sql_is_shown)
{
	struct buf out = {0};

	setup_map(&setup, "m", "other", "a '%s'");
	add_key("priv/q", "source=mail;table=quota;value_field=bytes;username_field=u");
	add_key("shared/userdb/$user", "map=m;format=json;iterate=SELECT '100%' FROM t");
	add_key("shared/passdb/$user", "map=m");
	dictionary_show_sql(compile(), setup.sources, &out);
	assert_buf(&out,
		"test priv/q, source mail (fake)\n"
		"    lookup     SELECT \"bytes\" FROM \"quota\" WHERE \"u\" = ?\n"
		"    set        INSERT INTO \"quota\" (\"u\", \"bytes\") VALUES (?, ?) "
		"ON CONFLICT (\"u\") DO UPDATE SET \"bytes\" = excluded.\"bytes\"\n"
		"    unset      DELETE FROM \"quota\" WHERE \"u\" = ?\n"
		"    increment  UPDATE \"quota\" SET \"bytes\" = \"bytes\" + CAST(? AS "
		"INTEGER) WHERE \"u\" = ?\n"
		"    iterate    SELECT \"bytes\" FROM \"quota\" WHERE \"u\" = ? LIMIT "
		"1000\n"
		"test shared/userdb/$user, source other (fake)\n"
		"    lookup     map m\n"
		"    iterate    WITH tabled_list (tabled_key) AS (SELECT '100%' FROM t) SELECT "
		"DISTINCT tabled_key FROM tabled_list WHERE tabled_key IS NOT NULL AND "
		"substr(\"tabled_key\", 1) NOT LIKE '%/%' ORDER BY tabled_key LIMIT 1000\n"
		"test shared/passdb/$user, source other (fake)\n"
		"    lookup     map m\n");
	buf_finish(&out);
}
END_TEST

static Suite *dictionary_suite(void)
{
	Suite *suite = suite_create("dictionary");
	TCase *tcase = tcase_create("all");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, a_dictionary_is_found_by_name);
	tcase_add_test(tcase, a_key_of_a_table);
	tcase_add_loop_test(tcase, what_a_key_reads, 0, COUNT(reads_of));
	tcase_add_test(tcase, a_key_of_a_map);
	tcase_add_test(tcase, an_object_of_a_map);
	tcase_add_loop_test(tcase, mistake, 0, COUNT(mistakes));
	tcase_add_loop_test(tcase, what_is_kept, 0, COUNT(cached));
	tcase_add_loop_test(tcase, what_is_kept_of_several, 0, COUNT(composite));
	tcase_add_test(tcase, nobody_is_unknown_while_the_source_is_away);
	tcase_add_test(tcase, what_is_not_kept_for_its_key);
	tcase_add_test(tcase, what_never_gets_into_a_file);
	tcase_add_loop_test(tcase, forms_of_a_key, 0, COUNT(forms));
	tcase_add_test(tcase, a_form_of_nothing);
	tcase_add_loop_test(tcase, keys_are_found, 0, COUNT(finds));
	tcase_add_test(tcase, keys_that_nobody_has);
	tcase_add_test(tcase, the_sql_is_shown);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return unit_run(dictionary_suite());
}
