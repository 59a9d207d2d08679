#include "engine/template.h"

#include "support/text.h"

#define COUNT(array) (int)(sizeof(array) / sizeof(array[0]))

START_TEST(taken_apart)
{
	struct address_parts parts = address_parts_of(slice_str("a@b@x.y.example"));

	assert_slice(parts.whole, "a@b@x.y.example");
	assert_slice(parts.user, "a@b");
	assert_slice(parts.domain, "x.y.example");
	ck_assert_uint_eq(parts.label_count, 3);
	assert_slice(parts.labels[0], "example");
	assert_slice(parts.labels[1], "y");
	assert_slice(parts.labels[2], "x");
}
END_TEST

static const struct {
	const char *whole, *user, *domain; /* domain NULL: there is none */
	size_t labels;
} splits[] = {
	{"name", "name", NULL, 0},
	{"", "", NULL, 0},
	{"@d.ex", "", "d.ex", 2},
	{"user@", "user", "", 0},
	{"@", "", "", 0},
	{"u@one", "u", "one", 1},
	/* As Postfix's argv_split(): runs of dots part labels like one. */
	{"u@.a..b.", "u", ".a..b.", 2},
	{"u@...", "u", "...", 0},
	{"u@1.2.3.4.5.6.7.8.9", "u", "1.2.3.4.5.6.7.8.9", 9},
	{"u@1.2.3.4.5.6.7.8.9.10.11", "u", "1.2.3.4.5.6.7.8.9.10.11", 9},
};

START_TEST(split)
{
	struct address_parts parts = address_parts_of(slice_str(splits[_i].whole));

	assert_slice(parts.user, splits[_i].user);
	ck_assert_int_eq(parts.domain.data != NULL, splits[_i].domain != NULL);
	if (splits[_i].domain)
		assert_slice(parts.domain, splits[_i].domain);
	ck_assert_uint_eq(parts.label_count, splits[_i].labels);
}
END_TEST

/*
 * postfix: src/global/db_common.c. A query and a result template, a key and a value; what is asked
 * (NULL: nothing), and what the value becomes (NULL: it does not count).
 */
static const struct {
	const char *query, *result, *key, *value, *asked, *becomes;
} cases[] = {
	{"%s", "%s", "k@d.ex", "v@e.ex", "k@d.ex", "v@e.ex"},
	{"%s|%u|%d|%S|%U|%D", "%s|%u|%d|%S|%U|%D", "k@d.ex", "v@e.ex",
		"k@d.ex|k|d.ex|k@d.ex|k|d.ex", "v@e.ex|v|e.ex|k@d.ex|k|d.ex"},
	{"%1 %2 %3", "%3.%2.%1", "k@x.y.ex", "v", "ex y x", "x.y.ex"},
	{"100%% of %s", "%%%s%%", "k", "v", "100% of k", "%v%"},
	{"no expansion", "OK", "k", "v", "no expansion", "OK"},
	{"%%s", "%%%%", "k", "v", "%s", "%%"},
	/* %u is the whole of what has no '@'. */
	{"%u", "%u", "name", "value", "name", "value"},
	{"%s", "%u", "name", "v@e.ex", "name", "v"},
	/* A key without what the query asks for is not asked. */
	{"%d", "%s", "name", "v", NULL, NULL},
	{"%D", "%s", "name", "v", NULL, NULL},
	{"%d", "%s", "user@", "v", NULL, NULL},
	{"%u", "%s", "@d.ex", "v", NULL, NULL},
	{"%U", "%s", "@d.ex", "v", NULL, NULL},
	{"%u", "%s", "user@", "v", "user", "v"},
	{"%d", "%s", "@d.ex", "v", "d.ex", "v"},
	{"%s", "%s", "@d.ex", "v", "@d.ex", "v"},
	{"%s", "%s", "user@", "v", "user@", "v"},
	{"%1", "%s", "name", "v", NULL, NULL},
	{"%1", "%s", "u@ex", "v", "ex", "v"},
	{"%2", "%s", "u@ex", "v", NULL, NULL},
	{"%1%3", "%s", "u@b.ex", "v", NULL, NULL},
	{"%9", "%s", "u@1.2.3.4.5.6.7.8.9", "v", "1", "v"},
	{"%9", "%s", "u@2.3.4.5.6.7.8.9", "v", NULL, NULL},
	{"%2", "%s", "u@.ex", "v", NULL, NULL},
	{"%2", "%s", "u@a..ex.", "v", "a", "v"},
	/* What the result asks of the key keeps it from being asked, too. */
	{"%s", "%U", "@d.ex", "v", NULL, NULL},
	{"%s", "%D", "name", "v", NULL, NULL},
	{"%s", "%2", "u@ex", "v", NULL, NULL},
	{"%s", "%S", "@d.ex", "v", "@d.ex", "@d.ex"},
	/* Values that lack what the result asks of them do not count. */
	{"%s", "%d", "k", "value", "k", NULL},
	{"%s", "%d", "k", "v@", "k", NULL},
	{"%s", "%u", "k", "@e.ex", "k", NULL},
	{"%s", "%d", "k", "@e.ex", "k", "e.ex"},
	{"%s", "%u", "k", "v@", "k", "v"},
	{"%s", "%s", "k", "@e.ex", "k", "@e.ex"},
};

START_TEST(expansion)
{
	struct template query, result;
	struct template_needs needs = {0};
	struct error why;
	struct address_parts key = address_parts_of(slice_str(cases[_i].key));
	struct address_parts value = address_parts_of(slice_str(cases[_i].value));
	struct buf out = {0};

	ck_assert_int_eq(
		template_init(&query, slice_str(cases[_i].query), TEMPLATE_OF_QUERY, &needs, &why),
		0);
	ck_assert_int_eq(template_init(&result, slice_str(cases[_i].result), TEMPLATE_OF_RESULT,
				 &needs, &why),
		0);
	ck_assert_int_eq(template_key_fits(&needs, &key), cases[_i].asked != NULL);
	if (cases[_i].asked) {
		template_expand(&query, &key, &key, &out);
		assert_buf(&out, cases[_i].asked);
		ck_assert_int_eq(template_value_fits(&needs, &value), cases[_i].becomes != NULL);
	}
	if (cases[_i].becomes) {
		template_expand(&result, &value, &key, &out);
		assert_buf(&out, cases[_i].becomes);
	}
	buf_finish(&out);
	template_finish(&query);
	template_finish(&result);
}
END_TEST

static const struct {
	const char *text, *part;
} mistakes[] = {
	{"%x", "\"%x\""},
	{"%0", "\"%0\""},
	{"a % b", "\"% \""},
	{"100%", "\"%\""},
	{"%", "\"%\""},
	{"%%%", "\"%\""},
	{"%s%'", "\"%'\""},
};

START_TEST(mistake)
{
	struct template template;
	struct template_needs needs = {0};
	struct error why;

	ck_assert_int_eq(template_init(&template, slice_str(mistakes[_i].text), TEMPLATE_OF_RESULT,
				 &needs, &why),
		-1);
	assert_contains(why.text, mistakes[_i].part);
	assert_contains(why.text, "%%");
}
END_TEST

START_TEST(what_is_an_expansion)
{
	for (int c = 0; c < 256; c++)
		ck_assert_int_eq(
			template_is_expansion((char)c), c && strchr("sudSUD123456789", c) != NULL);
}
END_TEST

/* Expansion copies bytes; it never looks at them. */
START_TEST(expansions_in_a_value_stay)
{
	struct template template;
	struct template_needs needs = {0};
	struct address_parts value = address_parts_of(slice_str("%s'\\%d@%u"));
	struct buf out = {0};

	template_init(&template, slice_str("<%s>"), TEMPLATE_OF_RESULT, &needs, NULL);
	template_expand(&template, &value, &value, &out);
	assert_buf(&out, "<%s'\\%d@%u>");
	buf_finish(&out);
	template_finish(&template);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("template");
	TCase *tcase = tcase_create("template");

	tcase_add_test(tcase, taken_apart);
	tcase_add_loop_test(tcase, split, 0, COUNT(splits));
	tcase_add_loop_test(tcase, expansion, 0, COUNT(cases));
	tcase_add_loop_test(tcase, mistake, 0, COUNT(mistakes));
	tcase_add_test(tcase, what_is_an_expansion);
	tcase_add_test(tcase, expansions_in_a_value_stay);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
