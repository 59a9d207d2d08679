#include "setting.h"

#include "support/text.h"

struct values {
	char *text;
	char *secret;
	struct text_list list;
	bool flag;
	int64_t number;
	int64_t duration;
	int64_t size;
	mode_t mode;
	int choice;
	char *with_default;
	int64_t any_number;
};

#define FIELD(name) offsetof(struct values, name)
static const struct setting table[] = {
	{.name = "text", .type = SETTING_TEXT, .offset = FIELD(text)},
	{.name = "secret", .type = SETTING_SECRET, .offset = FIELD(secret)},
	{.name = "list", .type = SETTING_LIST, .offset = FIELD(list)},
	{.name = "flag", .type = SETTING_BOOL, .offset = FIELD(flag), .fallback = "yes"},
	{.name = "number",
		.type = SETTING_NUMBER,
		.offset = FIELD(number),
		.fallback = "7",
		.least = 1,
		.most = 64},
	{.name = "duration",
		.type = SETTING_DURATION,
		.offset = FIELD(duration),
		.fallback = "5s",
		.least = 10,
		.most = 90000},
	{.name = "size",
		.type = SETTING_SIZE,
		.offset = FIELD(size),
		.fallback = "64M",
		.least = 1024,
		.most = 1 << 30},
	{.name = "mode", .type = SETTING_MODE, .offset = FIELD(mode), .fallback = "0660"},
	{.name = "choice",
		.type = SETTING_CHOICE,
		.offset = FIELD(choice),
		.fallback = "second",
		.choices = "first|second|third"},
	{.name = "with_default",
		.type = SETTING_TEXT,
		.offset = FIELD(with_default),
		.fallback = "%s"},
	{.name = "any_number", .type = SETTING_NUMBER, .offset = FIELD(any_number)}, {0}};
#undef FIELD

static struct values values;
static struct error why;

static void begin(void)
{
	values = (struct values){0};
	settings_init(table, &values);
}

static void end(void)
{
	settings_finish(table, &values);
}

static int set(const char *name, const char *text)
{
	const struct setting *row = setting_find(table, name);

	ck_assert_ptr_nonnull(row);
	why.text[0] = '\0';
	why.option = NULL;
	return setting_set(row, &values, &text, 1, &why);
}

static void show(const char *name, struct buf *out)
{
	setting_show(setting_find(table, name), &values, out);
}

START_TEST(defaults)
{
	ck_assert_ptr_null(values.text);
	ck_assert_ptr_null(values.secret);
	ck_assert_uint_eq(values.list.count, 0);
	ck_assert(values.flag);
	ck_assert_int_eq(values.number, 7);
	ck_assert_int_eq(values.duration, 5000);
	ck_assert_int_eq(values.size, 64 << 20);
	ck_assert_int_eq(values.mode, 0660);
	ck_assert_int_eq(values.choice, 1);
	ck_assert_str_eq(values.with_default, "%s");
	ck_assert_int_eq(values.any_number, 0);
}
END_TEST

START_TEST(find)
{
	ck_assert_ptr_eq(setting_find(table, "text"), &table[0]);
	ck_assert_ptr_null(setting_find(table, "tex"));
	ck_assert_ptr_null(setting_find(table, ""));
}
END_TEST

START_TEST(is_set)
{
	ck_assert(!setting_is_set(setting_find(table, "text"), &values));
	ck_assert(!setting_is_set(setting_find(table, "list"), &values));
	ck_assert(setting_is_set(setting_find(table, "number"), &values));
	ck_assert_int_eq(set("text", ""), 0);
	ck_assert_int_eq(set("list", "a"), 0);
	ck_assert(setting_is_set(setting_find(table, "text"), &values));
	ck_assert(setting_is_set(setting_find(table, "list"), &values));
}
END_TEST

/* What an option takes, and how it is shown; NULL: it is refused, with this in the reason. */
static const struct {
	const char *name, *text, *shown, *reason;
} cases[] = {
	{"text", "a b", "\"a b\"", NULL},
	{"text", "", "\"\"", NULL},
	{"text", "say \"hi\" \\ ${HOME}", "\"say \\\"hi\\\" \\\\ \\${HOME}\"", NULL},
	{"text", "two\nlines\tand a tab", "\"two\\nlines\\tand a tab\"", NULL},
	{"secret", "swordfish", "\"(hidden)\"", NULL},
	{"list", "one", "{\"one\"}", NULL},
	{"flag", "no", "no", NULL},
	{"flag", "YES", "yes", NULL},
	{"flag", "off", "no", NULL},
	{"flag", "on", "yes", NULL},
	{"flag", "true", "yes", NULL},
	{"flag", "False", "no", NULL},
	{"flag", "", NULL, "this takes yes or no"},
	{"flag", "1", NULL, "this takes yes or no"},
	{"flag", "yes ", NULL, "this takes yes or no"},
	{"number", "1", "\"1\"", NULL},
	{"number", "64", "\"64\"", NULL},
	{"number", "007", "\"7\"", NULL},
	{"number", "0", NULL, "the range is 1 to 64"},
	{"number", "65", NULL, "the range is 1 to 64"},
	{"number", "-1", NULL, "a whole number"},
	{"number", "", NULL, "a whole number"},
	{"number", " 5", NULL, "a whole number"},
	{"number", "5 ", NULL, "a whole number"},
	{"number", "5.5", NULL, "a whole number"},
	{"number", "0x10", NULL, "a whole number"},
	{"number", "99999999999999999999", NULL, "a whole number"},
	{"any_number", "9223372036854775807", "\"9223372036854775807\"", NULL},
	{"duration", "250ms", "\"250ms\"", NULL},
	{"duration", "10s", "\"10s\"", NULL},
	{"duration", "1m", "\"1m\"", NULL},
	{"duration", "60s", "\"1m\"", NULL},
	{"duration", "90S", "\"90s\"", NULL},
	{"duration", "1500ms", "\"1500ms\"", NULL},
	{"duration", "0", NULL, "the range is 10ms to 90s"},
	{"duration", "9ms", NULL, "the range is 10ms to 90s"},
	{"duration", "1d", NULL, "the range is 10ms to 90s"},
	{"duration", "5", NULL, "a duration such as"},
	{"duration", "5 s", NULL, "a duration such as"},
	{"duration", "s", NULL, "a duration such as"},
	{"duration", "5sec", NULL, "a duration such as"},
	{"duration", "300000000000000000d", NULL, "a duration such as"},
	{"size", "2048", "\"2K\"", NULL},
	{"size", "2049", "\"2049\"", NULL},
	{"size", "64m", "\"64M\"", NULL},
	{"size", "1G", "\"1G\"", NULL},
	{"size", "2G", NULL, "the range is 1K to 1G"},
	{"size", "1T", NULL, "a size such as"},
	{"size", "64MB", NULL, "a size such as"},
	{"mode", "0600", "\"0600\"", NULL},
	{"mode", "666", "\"0666\"", NULL},
	{"mode", "0", "\"0000\"", NULL},
	{"mode", "0888", NULL, "octal"},
	{"mode", "01777", NULL, "octal"},
	{"mode", "-1", NULL, "octal"},
	{"mode", "", NULL, "octal"},
	{"mode", "rw", NULL, "octal"},
	{"choice", "first", "first", NULL},
	{"choice", "third", "third", NULL},
	{"choice", "fourth", NULL, "one of first|second|third"},
	{"choice", "First", NULL, "one of first|second|third"},
	{"choice", "", NULL, "one of first|second|third"},
	{"choice", "first|second", NULL, "one of first|second|third"},
	{"choice", "sec", NULL, "one of first|second|third"},
};

START_TEST(set_and_show)
{
	struct buf before = {0}, after = {0};

	show(cases[_i].name, &before);
	if (cases[_i].shown) {
		ck_assert_msg(set(cases[_i].name, cases[_i].text) == 0, "%s", why.text);
		show(cases[_i].name, &after);
		assert_slice(buf_slice(&after), cases[_i].shown);
	} else {
		ck_assert_int_eq(set(cases[_i].name, cases[_i].text), -1);
		assert_contains(why.text, cases[_i].reason);
		assert_contains(why.text, cases[_i].name);
		ck_assert_str_eq(why.option, cases[_i].name);
		show(cases[_i].name, &after);
		assert_slice(buf_slice(&after), buf_string(&before));
	}
	buf_finish(&before);
	buf_finish(&after);
}
END_TEST

START_TEST(unset_is_shown_empty)
{
	struct buf out = {0};

	show("text", &out);
	assert_buf(&out, "\"\"");
	show("secret", &out);
	assert_buf(&out, "\"\"");
	show("list", &out);
	assert_buf(&out, "{}");
	buf_finish(&out);
}
END_TEST

START_TEST(list_is_set_from_all_its_items)
{
	const char *items[] = {"a", "b \"c\"", ""};
	const struct setting *row = setting_find(table, "list");
	struct buf out = {0};

	ck_assert_int_eq(setting_set(row, &values, items, 3, &why), 0);
	show("list", &out);
	assert_buf(&out, "{\"a\", \"b \\\"c\\\"\", \"\"}");
	ck_assert_int_eq(setting_set(row, &values, items, 1, &why), 0);
	ck_assert_uint_eq(values.list.count, 1);
	ck_assert_int_eq(setting_set(row, &values, items, 0, &why), 0);
	ck_assert_uint_eq(values.list.count, 0);
	buf_finish(&out);
}
END_TEST

START_TEST(setting_twice_frees_the_first)
{
	ck_assert_int_eq(set("text", "one"), 0);
	ck_assert_int_eq(set("text", "two"), 0);
	ck_assert_int_eq(set("secret", "one"), 0);
	ck_assert_int_eq(set("secret", "two"), 0);
	ck_assert_str_eq(values.text, "two");
	ck_assert_str_eq(values.secret, "two");
}
END_TEST

START_TEST(closest_name)
{
	const char *names[] = {"source", "query", "maps", "serves", "ttl", NULL};
	const char *none[] = {NULL};

	ck_assert_str_eq(setting_closest("qery", names), "query");
	ck_assert_str_eq(setting_closest("querry", names), "query");
	ck_assert_str_eq(setting_closest("soruce", names), "source");
	ck_assert_str_eq(setting_closest("server", names), "serves");
	ck_assert_str_eq(setting_closest("map", names), "maps");
	ck_assert_ptr_null(setting_closest("result_format", names));
	ck_assert_ptr_null(setting_closest("query", none));
	ck_assert_ptr_null(setting_closest(
		"a_word_that_is_much_longer_than_any_name_of_an_option_could_ever_get_to_be",
		names));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("setting");
	TCase *tcase = tcase_create("setting");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, defaults);
	tcase_add_test(tcase, find);
	tcase_add_test(tcase, is_set);
	tcase_add_loop_test(tcase, set_and_show, 0, sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(tcase, unset_is_shown_empty);
	tcase_add_test(tcase, list_is_set_from_all_its_items);
	tcase_add_test(tcase, setting_twice_frees_the_first);
	tcase_add_test(tcase, closest_name);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
