#include "engine/map.h"

#include "support/map.h"
#include "support/text.h"

#define COUNT(array) (int)(sizeof(array) / sizeof(array[0]))

static struct setup setup;
static struct fake fake;
static struct backend one_column; /* a database whose Postfix client reads the first column only */

static void begin(void)
{
	setup_begin(&setup);
	one_column = fake_backend;
	one_column.first_column_only = true;
	setup_source(&setup, "wide", &fake_backend, &fake);
	setup_source(&setup, "narrow", &one_column, &fake);
}

static void end(void)
{
	setup_end(&setup);
}

static const struct map *compile(void)
{
	ck_assert_msg(setup_compile(&setup), "%s", setup.why.text);
	return &setup.catalog->maps[0];
}

/* Rows are parted by ';', cells by '|'; "NULL" is one. */
static void fill(struct rows *rows, const char *text)
{
	char *copy = strdup(text), *at = copy;

	while (*text && at) {
		char *row = strsep(&at, ";");
		struct slice cells[8];
		size_t columns = 0;

		while (row) {
			const char *cell = strsep(&row, "|");

			cells[columns++] = slice_str(strcmp(cell, "NULL") == 0 ? NULL : cell);
		}
		ck_assert_int_eq(rows_add(rows, cells, columns), 0);
	}
	free(copy);
}

/* postfix: db_common_expand(), and how dict_mysql.c and dict_sqlite.c join what it makes. */
static const struct {
	const char *source, *format, *limit, *rows;
	enum status status;
	const char *text; /* the result, or a part of the reason */
} formats[] = {
	{"wide", "%s", "0", "a@d.ex", FOUND, "a@d.ex"},
	{"wide", "%s", "0", "a@d.ex;b@d.ex", FOUND, "a@d.ex,b@d.ex"},
	{"wide", "%s", "0", "a|b;c|d", FOUND, "a,b,c,d"},
	{"narrow", "%s", "0", "a|b;c|d", FOUND, "a,c"},
	{"wide", "%s", "0", "", NOT_FOUND, ""},
	/* NULL and empty values do not count. */
	{"wide", "%s", "0", "NULL", NOT_FOUND, ""},
	{"wide", "%s", "0", "|", NOT_FOUND, ""},
	{"wide", "%s", "0", "NULL|a;|b;c|NULL", FOUND, "a,b,c"},
	{"narrow", "%s", "0", "NULL|a;|b;c|d", FOUND, "c"},
	/* Values that are text already joined stay as they are. */
	{"wide", "%s", "0", "a, b", FOUND, "a, b"},
	{"wide", "%s", "0", " a ", FOUND, " a "},
	/* Formats. */
	{"wide", "smtp:[%s]", "0", "mx1;mx2", FOUND, "smtp:[mx1],smtp:[mx2]"},
	{"wide", "%d/%u/", "0", "a@d.ex;nodomain;@e.ex;b@f.ex", FOUND, "d.ex/a/,f.ex/b/"},
	{"wide", "%d", "0", "nodomain", NOT_FOUND, ""},
	{"wide", "OK", "0", "1;2", FOUND, "OK,OK"},
	{"wide", "%s %S %U %D %1", "0", "v", FOUND, "v key@k.ex key k.ex ex"},
	{"wide", "100%%", "0", "v", FOUND, "100%"},
	/* The limit counts what counts. */
	{"wide", "%s", "2", "a;b", FOUND, "a,b"},
	{"wide", "%s", "2", "a;b;c", TRY_LATER, "expansion_limit = 2"},
	{"wide", "%s", "2", "a|b;c|d", TRY_LATER, "expansion_limit = 2"},
	{"wide", "%s", "2", "a|NULL;|b", FOUND, "a,b"},
	{"wide", "%s", "1", "a,b,c", FOUND, "a,b,c"},
	/* What no client may be sent. */
	{"wide", "%s", "0", "gr\xfc\xdf", BROKEN, "not valid UTF-8"},
	{"wide", "%s", "0", "gr\xc3\xbc\xc3\x9f", FOUND, "gr\xc3\xbc\xc3\x9f"},
};

START_TEST(format)
{
	const struct address_parts key = address_parts_of(slice_str("key@k.ex"));
	struct rows rows = {0};
	struct buf out = {0};
	struct error why = {0};
	enum status status;

	setup_map(&setup, "m", formats[_i].source, "q '%s'");
	setup_set(&setup, "result_format", formats[_i].format);
	setup_set(&setup, "expansion_limit", formats[_i].limit);
	compile();
	fill(&rows, formats[_i].rows);
	status = table_format(&setup.catalog->tables[0], &rows, &key, &out, &why);
	ck_assert_int_eq(status, formats[_i].status);
	if (status == FOUND)
		assert_slice(buf_slice(&out), formats[_i].text);
	else
		assert_contains(why.text, formats[_i].text);
	buf_finish(&out);
	rows_finish(&rows);
}
END_TEST

START_TEST(nul_in_a_value)
{
	const struct address_parts key = address_parts_of(slice_str("k"));
	struct slice cell = slice_of("a\0b", 3);
	struct rows rows = {0};
	struct buf out = {0};
	struct error why;

	setup_map(&setup, "m", "wide", "q '%s'");
	compile();
	rows_add(&rows, &cell, 1);
	ck_assert_int_eq(table_format(&setup.catalog->tables[0], &rows, &key, &out, &why), BROKEN);
	buf_finish(&out);
	rows_finish(&rows);
}
END_TEST

START_TEST(results_are_bounded)
{
	const struct address_parts key = address_parts_of(slice_str("k"));
	struct rows rows = {0};
	struct buf out = {0}, cell = {0};
	struct error why;
	struct slice value;

	setup_map(&setup, "m", "wide", "q '%s'");
	setup_set(&setup, "result_format", "%s%s");
	compile();
	for (int i = 0; i < 100000; i++)
		buf_add_byte(&cell, 'x');
	value = buf_slice(&cell);
	while (rows_add(&rows, &value, 1) == 0)
		continue;
	ck_assert_int_eq(table_format(&setup.catalog->tables[0], &rows, &key, &out, &why), BROKEN);
	assert_contains(why.text, "longer than 100000 bytes");
	ck_assert_uint_lt(out.size, 2 * LOOKUP_ROWS_MAX);
	buf_finish(&cell);
	buf_finish(&out);
	rows_finish(&rows);
}
END_TEST

/* postfix: db_common_check_domain(), match_list.c */
static const struct {
	const char *domains, *key; /* domains NULL: no list */
	bool wanted;
} lists[] = {
	{NULL, "user@d.ex", true},
	{NULL, "name", true},
	{NULL, "@d.ex", true},
	{NULL, "", false},
	{"d.ex", "user@d.ex", true},
	{"d.ex", "user@e.ex", false},
	{"d.ex", "user@sub.d.ex", false},
	{"d.ex", "@d.ex", false},
	{"d.ex", "d.ex", false},
	{"d.ex", "user@", false},
	{"D.Ex", "user@d.ex", true},
	{"d.ex", "a@b@d.ex", true},
	{"a.ex|d.ex", "user@d.ex", true},
	{"!d.ex", "user@d.ex", false},
	{"!d.ex", "user@e.ex", false},
	{"!e.ex|d.ex", "user@d.ex", true},
	{"!d.ex|d.ex", "user@d.ex", false},
	{"d.ex|!d.ex", "user@d.ex", true},
	{"!!d.ex", "user@d.ex", true},
	{"\xc3\x9c.ex", "user@\xc3\xbc.ex", true},
};

START_TEST(domain_list)
{
	const struct address_parts key = address_parts_of(slice_str(lists[_i].key));

	setup_map(&setup, "m", "wide", "q '%s'");
	if (lists[_i].domains)
		setup_set(&setup, "domain", lists[_i].domains);
	compile();
	ck_assert_int_eq(table_wants(&setup.catalog->tables[0], key.whole), lists[_i].wanted);
}
END_TEST

START_TEST(wants_what_templates_need)
{
	const struct address_parts address = address_parts_of(slice_str("user@d.ex"));
	const struct address_parts at_domain = address_parts_of(slice_str("@d.ex"));
	const struct address_parts name = address_parts_of(slice_str("name"));

	setup_map(&setup, "a", "wide", "q '%d'");
	setup_map(&setup, "b", "wide", "q '%s'");
	setup_set(&setup, "result_format", "%U");
	compile();
	ck_assert(table_wants(&setup.catalog->tables[0], address.whole));
	ck_assert(table_wants(&setup.catalog->tables[0], at_domain.whole));
	ck_assert(!table_wants(&setup.catalog->tables[0], name.whole));
	ck_assert(table_wants(&setup.catalog->tables[1], name.whole));
	ck_assert(!table_wants(&setup.catalog->tables[1], at_domain.whole));
}
END_TEST

/*
 * postfix: mail_addr_map_opt(): the result that is found for one form of a key, and what the
 * client is told, so that it ends up with the same addresses.
 */
static const struct {
	const char *parameter, *key, *form, *found, *told;
} restored[] = {
	{"virtual_alias_maps", "a+Ext@d.ex", "a@d.ex", "b@e.ex", "b+Ext@e.ex"},
	{"virtual_alias_maps", "a+Ext@d.ex", "a@d.ex", "b@e.ex, c", "b+Ext@e.ex,c+Ext"},
	{"virtual_alias_maps", "a+ext@d.ex", "a@d.ex", "\"b b\"@e.ex", "\"b b+ext\"@e.ex"},
	{"virtual_alias_maps", "\"a a+e e\"@d.ex", "\"a a\"@d.ex", "b@e.ex", "\"b+e e\"@e.ex"},
	{"virtual_alias_maps", "a+ext@d.ex", "a@d.ex", "b+x@e.ex", "b+x+ext@e.ex"},
	{"virtual_alias_maps", "a+ext@loc.ex", "a", "b@e.ex", "b+ext@e.ex"},
	/* What was found for the whole key, or for the domain, is complete. */
	{"virtual_alias_maps", "a+ext@d.ex", "a+ext@d.ex", "b@e.ex", "b@e.ex"},
	{"virtual_alias_maps", "a+ext@loc.ex", "a+ext", "b@e.ex", "b@e.ex"},
	{"virtual_alias_maps", "a+ext@d.ex", "@d.ex", "b@e.ex", "b@e.ex"},
	{"virtual_alias_maps", "a+ext@d.ex", "@d.ex", "@e.ex", "@e.ex"},
	{"virtual_alias_maps", "a@d.ex", "a@d.ex", "b@e.ex", "b@e.ex"},
	/* "@other" takes over the local part. */
	{"virtual_alias_maps", "A+Ext@d.ex", "a@d.ex", "@e.ex", "A+Ext@e.ex"},
	{"virtual_alias_maps", "\"a a+e\"@d.ex", "\"a a\"@d.ex", "@e.ex", "\"a a+e\"@e.ex"},
	{"virtual_alias_maps", "a+Ext@d.ex", "a+ext@d.ex", "@e.ex", "@e.ex"},
	{"smtp_generic_maps", "A+Ext@d.ex", "a@d.ex", "@e.ex", "A@e.ex"},
	{"smtp_generic_maps", "a+ext@d.ex", "a@d.ex", "b@e.ex", "b@e.ex"},
	{"canonical_maps", "A+Ext", "a", "b@e.ex", "b+Ext@e.ex"},
	{"canonical_maps", "A+Ext", "a", "@e.ex", "A+Ext@e.ex"},
	/* What is no address cannot take an extension; Postfix says what is wrong with it. */
	{"virtual_alias_maps", "a+ext@d.ex", "a@d.ex", " , ", " , "},
	{"virtual_alias_maps", "a+ext@d.ex", "a@d.ex", "(comment)", "(comment)"},
	/* Elsewhere results are no addresses. */
	{"transport_maps", "a+ext@d.ex", "a@d.ex", "smtp:[mx]", "smtp:[mx]"},
	{"virtual_mailbox_maps", "a+ext@d.ex", "a@d.ex", "d/a/", "d/a/"},
	{"sender_bcc_maps", "a+ext@d.ex", "a@d.ex", "b@e.ex", "b@e.ex"},
	{"smtpd_sender_login_maps", "a+ext@d.ex", "a@d.ex", "@e.ex", "@e.ex"},
};

static const struct key_form *find_form(const struct plan *plan, const char *key)
{
	for (size_t i = 0; i < plan->count; i++)
		if (slice_equal(plan->forms[i].key, slice_str(key)))
			return &plan->forms[i];
	ck_abort_msg("the plan has no form \"%s\"", key);
	return NULL;
}

START_TEST(extension)
{
	const struct map *map;
	struct plan plan = {0};
	struct buf text = {0};
	struct error why;

	setup_map(&setup, restored[_i].parameter, "wide", "q '%s'");
	setup_set(&setup, "local_domains", "loc.ex");
	map = compile();
	ck_assert_int_eq(plan_make(&plan, &map->rule, slice_str(restored[_i].key), &why), 0);
	buf_add_string(&text, restored[_i].found);
	map_restore_extension(map, &plan, find_form(&plan, restored[_i].form), &text);
	assert_buf(&text, restored[_i].told);
	buf_finish(&text);
	plan_finish(&plan);
}
END_TEST

/* That time passes no feed tells. */
START_TEST(query_by_the_clock)
{
	static const char query[] = "SELECT a FROM t WHERE b = '%s' AND c > CURRENT_TIMESTAMP";
	const struct map *maps;

	setup_map(&setup, "unlimited", "wide", query);
	setup_map(&setup, "limited", "wide", query);
	setup_set(&setup, "clock_ttl", "1m");
	setup_map(&setup, "timeless", "wide", "SELECT a FROM t WHERE b = '%s'");
	setup_set(&setup, "clock_ttl", "1m");
	maps = compile();
	ck_assert_str_eq(maps[0].tables[0]->reads.unknown,
		"it uses CURRENT_TIMESTAMP, and there is no clock_ttl");
	ck_assert_ptr_null(maps[1].tables[0]->reads.unknown);
	ck_assert_uint_eq(maps[1].tables[0]->reads.count, 1);
	ck_assert_uint_eq(maps[1].rules[0].clock_ttl, 60000);
	ck_assert_uint_eq(maps[2].rules[0].clock_ttl, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("map");
	TCase *tcase = tcase_create("map");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_loop_test(tcase, format, 0, COUNT(formats));
	tcase_add_test(tcase, nul_in_a_value);
	tcase_add_test(tcase, results_are_bounded);
	tcase_add_loop_test(tcase, domain_list, 0, COUNT(lists));
	tcase_add_test(tcase, wants_what_templates_need);
	tcase_add_loop_test(tcase, extension, 0, COUNT(restored));
	tcase_add_test(tcase, query_by_the_clock);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
