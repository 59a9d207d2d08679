#include "engine/catalog.h"

#include "support/map.h"
#include "support/text.h"

static struct setup setup;
static struct fake fake;

static void begin(void)
{
	setup_begin(&setup);
}

static void end(void)
{
	setup_end(&setup);
}

START_TEST(maps_are_found_by_name)
{
	setup_source(&setup, "one", &fake_backend, &fake);
	setup_source(&setup, "two", &fake_backend, &fake);
	setup_map(&setup, "alias", "two", "a '%s'");
	setup_map(&setup, "virtual_alias_maps", "one", "b '%u' '%d'");
	setup_map(&setup, "both", NULL, NULL);
	setup_set(&setup, "maps", "virtual_alias_maps|alias");
	ck_assert_msg(setup_compile(&setup), "%s", setup.why.text);

	const struct map *alias = catalog_find(setup.catalog, slice_str("alias"));
	const struct map *virtual = catalog_find(setup.catalog, slice_str("virtual_alias_maps"));
	const struct map *both = catalog_find(setup.catalog, slice_str("both"));

	ck_assert_str_eq(alias->name, "alias");
	ck_assert_uint_eq(alias->table_count, 1);
	ck_assert_uint_eq(alias->tables[0]->source, 1);
	ck_assert_str_eq(alias->parameter->name, "");
	ck_assert_str_eq(virtual->parameter->name, "virtual_alias_maps");
	ck_assert_uint_eq(virtual->tables[0]->source, 0);
	ck_assert_uint_eq(both->table_count, 2);
	ck_assert_ptr_eq(both->tables[0], virtual->tables[0]);
	ck_assert_ptr_eq(both->tables[1], alias->tables[0]);
	ck_assert_ptr_null(catalog_find(setup.catalog, slice_str("alia")));
	ck_assert_ptr_null(catalog_find(setup.catalog, slice_str("aliass")));
	ck_assert_ptr_null(catalog_find(setup.catalog, slice_str("")));
	ck_assert_ptr_null(catalog_find(setup.catalog, slice_of(NULL, 0)));
	ck_assert_ptr_null(catalog_find(setup.catalog, slice_of("alias\0", 6)));
}
END_TEST

static void assert_rejecting(const char *name, const char *tables)
{
	const struct map *map = catalog_find(setup.catalog, slice_str(name));
	struct buf names = {0};

	for (size_t i = 0; i < map->rejecting_count; i++)
		buf_add_format(
			&names, "%s ", map->rejecting[i].map->tables[map->rejecting[i].at]->name);
	assert_buf(&names, tables);
	buf_finish(&names);
}

START_TEST(domains_in_which_not_found_rejects)
{
	setup_source(&setup, "one", &fake_backend, &fake);
	setup_map(&setup, "a", "one", "a '%s'");
	setup_map(&setup, "b", "one", "b '%s'");
	setup_map(&setup, "virtual_alias_maps", "one", "c '%s'");
	setup_map(&setup, "told", "one", "d '%s'");
	setup_set(&setup, "serves", "virtual_alias_maps");
	setup_set(&setup, "rejects_in", "both|a");
	setup_map(&setup, "forbidden", "one", "e '%s'");
	setup_set(&setup, "serves", "virtual_alias_maps");
	setup_set(&setup, "stale_negative", "yes");
	setup_map(&setup, "never_stale", "one", "f '%s'");
	setup_set(&setup, "serves", "virtual_alias_maps");
	setup_set(&setup, "stale_negative", "no");
	setup_map(&setup, "both", NULL, NULL);
	setup_set(&setup, "maps", "a|b");
	setup_set(&setup, "serves", "virtual_alias_domains");
	setup_map(&setup, "more", "one", "g '%s'");
	setup_set(&setup, "serves", "virtual_alias_domains");
	ck_assert_msg(setup_compile(&setup), "%s", setup.why.text);
	assert_rejecting("virtual_alias_maps", "a b more ");
	assert_rejecting("told", "a b a ");
	assert_rejecting("forbidden", "");
	assert_rejecting("never_stale", "");
	assert_rejecting("a", "");
}
END_TEST

START_TEST(statements_have_numbers_of_their_own)
{
	setup_source(&setup, "one", &fake_backend, &fake);
	setup_map(&setup, "a", "one", "a '%s'");
	setup_map(&setup, "b", NULL, NULL);
	setup_set(&setup, "maps", "a|c");
	setup_map(&setup, "c", "one", "c '%s'");
	ck_assert(setup_compile(&setup));
	ck_assert_uint_eq(setup.catalog->table_count, 2);
	for (size_t i = 0; i < setup.catalog->table_count; i++)
		ck_assert_uint_eq(setup.catalog->tables[i].query.statement.id, i);
	for (size_t i = 0; i < setup.catalog->map_count; i++)
		ck_assert_uint_eq(setup.catalog->maps[i].index, i);
}
END_TEST

START_TEST(nothing_is_enough)
{
	ck_assert(setup_compile(&setup));
	ck_assert_ptr_null(catalog_find(setup.catalog, slice_str("x")));
	catalog_destroy(NULL);
}
END_TEST

/* A good map comes first, so that the culprit is not the first by accident. */
static const struct {
	const char *name, *source, *query;
	const char *option, *value; /* one more option */
	const char *blamed;         /* option at fault */
	const char *parts[2];       /* of the reason */
} mistakes[] = {
	{"m", "mial", "a '%s'", NULL, NULL, "source", {"\"mial\"", "did you mean \"mail\""}},
	{"m", "zzzzzzzzzz", "a '%s'", NULL, NULL, "source", {"no such source", "mail"}},
	{"m", NULL, "a '%s'", NULL, NULL, "source", {"source is missing", "maps"}},
	{"m", "mail", NULL, NULL, NULL, "query", {"query is missing", "'%s'"}},
	{"m", NULL, NULL, NULL, NULL, "source", {"source is missing", ""}},
	{"m", "mail", "a '%s'", "rejects_in", "godo", "rejects_in", {"no map \"godo\"", ""}},
	{"m", "mail", "a '%s'", "rejects_in", "good|m", "rejects_in",
		{"\"m\" is no map of plain domains", "virtual_mailbox_domains"}},
	{"relay_domains", "mail", "a '%s'", "rejects_in", "relay_domains", "rejects_in",
		{"\"relay_domains\" is no map of plain domains", ""}},
	{"m", "mail", "a '%s'", "maps", "good", "maps", {"not both", ""}},
	{"m", NULL, "a '%s'", "maps", "good", "maps", {"not both", ""}},
	{"m", NULL, NULL, "maps", "godo", "maps", {"no map \"godo\"", ""}},
	{"m", NULL, NULL, "maps", "good|m", "maps", {"\"m\" is itself made of maps", "list"}},
	{"m", "mail", "a %s", NULL, NULL, "query", {"query: %s stands outside quotes", ""}},
	{"m", "mail", "a '%x'", NULL, NULL, "query", {"query: ", "%x"}},
	{"m", "mail", "a '%s'", "result_format", "%x", "result_format", {"result_format: ", "%x"}},
	{"m", "mail", "a '%s'", "result_format", "", "result_format", {"empty", "%s"}},
	{"m", "mail", "a '%s'", "domain", "hash:/etc/x", "domain", {"plain domains", ""}},
	{"m", "mail", "a '%s'", "domain", "a.ex, b.ex", "domain", {"plain domains", ""}},
	{"m", "mail", "a '%s'", "domain", "/etc/domains", "domain", {"plain domains", ""}},
	{"m", "mail", "a '%s'", "serves", "virtual_alias_map", "serves",
		{"serves = \"virtual_alias_map\"", "no Postfix parameter"}},
	{"m", "mail", "a '%s'", "serves", "alias_maps", "serves",
		{"alias_maps", "virtual_alias_maps"}},
	{"alias_maps", "mail", "a '%s'", NULL, NULL, "serves", {"local(8) refuses", ""}},
	{"m", "mail", "a '%s'", "serves", "virtual_uid_maps", "serves", {"virtual(8)", "LMTP"}},
	{"m", "mail", "a '%s'", "serves", "smtp_tls_session_cache_database", "serves",
		{"only be read", ""}},
	{"transport_maps", "mail", "a '%s'", "propagate_extension", "yes", "propagate_extension",
		{"virtual alias, canonical and generic", ""}},
};

START_TEST(mistake)
{
	setup_source(&setup, "mail", &fake_backend, &fake);
	setup_map(&setup, "good", "mail", "a '%s'");
	setup_map(&setup, mistakes[_i].name, mistakes[_i].source, mistakes[_i].query);
	if (mistakes[_i].option)
		setup_set(&setup, mistakes[_i].option, mistakes[_i].value);
	setup_map(&setup, "also_good", "mail", "a '%s'");
	ck_assert(!setup_compile(&setup));
	ck_assert_ptr_eq(setup.culprit, &setup.settings[1]);
	ck_assert_str_eq(setup.why.option, mistakes[_i].blamed);
	assert_contains(setup.why.text, mistakes[_i].parts[0]);
	assert_contains(setup.why.text, mistakes[_i].parts[1]);
}
END_TEST

static const struct {
	const char *name, *value;
} of_members[] = {{"domain", "d.ex"}, {"result_format", "%u"}, {"expansion_limit", "5"}};

/* On a map of maps these would have no effect. */
START_TEST(options_that_belong_to_members)
{
	setup_source(&setup, "mail", &fake_backend, &fake);
	setup_map(&setup, "good", "mail", "a '%s'");
	setup_map(&setup, "m", NULL, NULL);
	setup_set(&setup, "maps", "good");
	setup_set(&setup, of_members[_i].name, of_members[_i].value);
	ck_assert(!setup_compile(&setup));
	ck_assert_ptr_eq(setup.culprit, &setup.settings[1]);
	ck_assert_str_eq(setup.why.option, of_members[_i].name);
	assert_contains(setup.why.text, "belongs into the maps");
}
END_TEST

START_TEST(no_source_at_all)
{
	setup_map(&setup, "m", "mail", "a '%s'");
	ck_assert(!setup_compile(&setup));
	assert_contains(setup.why.text, "there is no source section");
}
END_TEST

/* What the options of a map change of its parameter's rule. */
START_TEST(rules)
{
	const struct map *maps;

	setup_source(&setup, "mail", &fake_backend, &fake);
	setup_map(&setup, "plain", "mail", "a '%s'");
	setup_map(&setup, "named", "mail", "a '%s'");
	setup_set(&setup, "serves", "transport_maps");
	setup_set(&setup, "parent_domains", "bare");
	setup_set(&setup, "fold", "no");
	setup_set(&setup, "recipient_delimiter", "-");
	setup_map(&setup, "virtual_alias_maps", "mail", "a '%s'");
	setup_set(&setup, "serves", "");
	setup_map(&setup, "virtual_mailbox_domains", "mail", "a '%s'");
	setup_set(&setup, "parent_domains", "dotted");
	setup_set(&setup, "fold", "ascii");
	setup_map(&setup, "smtp_generic_maps", "mail", "a '%s'");
	setup_set(&setup, "propagate_extension", "yes");
	setup_map(&setup, "canonical_maps", "mail", "a '%s'");
	setup_set(&setup, "propagate_extension", "no");
	setup_map(&setup, "header_checks", "mail", "a '%s'");
	setup_set(&setup, "fold", "yes");
	ck_assert_msg(setup_compile(&setup), "%s", setup.why.text);
	maps = setup.catalog->maps;
	ck_assert_uint_eq(maps[0].rule.forms, FORM_FULL);
	ck_assert_str_eq(maps[0].rule.delimiters, "+");
	ck_assert_int_eq(maps[0].rule.fold, FOLD_UNICODE);
	ck_assert_int_eq(maps[1].rule.parents, PARENTS_BARE);
	ck_assert_int_eq(maps[1].rule.fold, FOLD_NONE);
	ck_assert_str_eq(maps[1].rule.delimiters, "-");
	/* A parameter's name does not make it one, if serves says otherwise. */
	ck_assert_uint_eq(maps[2].rule.forms, FORM_FULL);
	ck_assert_int_eq(maps[2].rule.result, RESULT_AS_IS);
	/* Where no parents are asked, the kind of them makes none. */
	ck_assert_int_eq(maps[3].rule.parents, PARENTS_NONE);
	ck_assert_int_eq(maps[3].rule.fold, FOLD_ASCII);
	ck_assert(maps[4].rule.propagates);
	ck_assert(!maps[5].rule.propagates);
	ck_assert_int_eq(maps[6].rule.fold, FOLD_UNICODE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("catalog");
	TCase *tcase = tcase_create("catalog");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, maps_are_found_by_name);
	tcase_add_test(tcase, domains_in_which_not_found_rejects);
	tcase_add_test(tcase, statements_have_numbers_of_their_own);
	tcase_add_test(tcase, nothing_is_enough);
	tcase_add_loop_test(tcase, mistake, 0, sizeof(mistakes) / sizeof(mistakes[0]));
	tcase_add_loop_test(tcase, options_that_belong_to_members, 0, 3);
	tcase_add_test(tcase, no_source_at_all);
	tcase_add_test(tcase, rules);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
